/* SPDX-License-Identifier: Apache-2.0
 * Finding whole batches in log files, and telling a half-written tail from damage: docs/FORMAT.md, "What is valid". A
 * window of the file is held in memory; it grows to hold the batch at hand. Nothing read is trusted before its crc, and
 * no length allocates more than the file has. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "store/log.h"

enum { WINDOW_BYTES = 1 << 20, MAX_SCAN_BYTES = ILKI_MAX_BATCH_BYTES + (64 << 20) };

/* One look at the place where a batch should begin. */
typedef struct look {
    ilki_file *f;
    ilki_log_entry entry;
    uint64_t limit;  /* bytes of the file that count */
    size_t good;     /* bytes of valid records of the batch */
    bool written;    /* what is wrong cannot be a half-written tail: its checksum holds */
    bool whole;      /* the batch is valid to its last record */
    const char *why; /* it is not */
    ilki_record_head head;
} look;

void ilki_store_scan_init(ilki_scan *s, uint64_t file, uint64_t at, uint64_t next_lsn)
{
    memset(s, 0, sizeof *s);
    s->file = file;
    s->at = at;
    s->next_lsn = next_lsn;
}

void ilki_store_scan_start(ilki_scan *s, ilki_log *log)
{
    pthread_mutex_lock(&log->lock);
    ilki_store_scan_init(s, log->m.files[0].number, ILKI_LOG_HEADER_BYTES, log->m.files[0].first_lsn);
    pthread_mutex_unlock(&log->lock);
}

void ilki_store_scan_deinit(ilki_scan *s)
{
    free(s->data);
    s->data = NULL;
    s->cap = s->len = 0;
}

/* ---- the window */

/* n bytes at `at` of the file, or NULL with *st: OK where the file ends before. */
static const unsigned char *need(ilki_scan *s, const look *l, uint64_t at, uint64_t n, ilk_status *st, ilk_error *err)
{
    *st = ILK_OK;
    if (at > l->limit || n > l->limit - at)
        return NULL;
    bool here = s->data_file == s->file && at >= s->data_at && at - s->data_at <= s->len;
    if (here && n <= s->len - (at - s->data_at))
        return s->data + (at - s->data_at);
    /* twice what is asked, so that a long batch is read a few times over and not once per record */
    uint64_t want = n > WINDOW_BYTES / 2 ? 2 * n : WINDOW_BYTES;
    if (want > l->limit - at)
        want = l->limit - at;
    if (want > s->cap) {
        unsigned char *data = malloc((size_t)want);
        if (!data) {
            *st = ilki_base_fail_memory(err, (size_t)want, "a part of the log");
            return NULL;
        }
        free(s->data);
        s->data = data;
        s->cap = (size_t)want;
    }
    s->data_file = s->file;
    s->data_at = at;
    s->len = 0;
    *st = l->f->vfs->read(l->f, at, s->data, (size_t)want, &s->len, err);
    return *st == ILK_OK && n <= s->len ? s->data : NULL;
}

static ilk_status begin_look(ilki_log *log, ilki_scan *s, look *l, ilk_error *err)
{
    memset(l, 0, sizeof *l);
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < log->m.n_files; i++)
        if (log->m.files[i].number == s->file)
            l->entry = log->m.files[i];
    pthread_mutex_unlock(&log->lock);
    ilk_status st = ilki_store_log_reader(log, s->file, &l->f, &s->salt, err);
    if (!st)
        st = l->f->vfs->size(l->f, &l->limit, err);
    if (!st && l->entry.sealed && l->limit > l->entry.floor_bytes)
        l->limit = l->entry.floor_bytes;
    return st;
}

/* ---- one batch */

/* The record behind l->good: true where it is valid; otherwise l->why, or an error. */
static ilk_status look_at_record(ilki_scan *s, look *l, ilk_error *err)
{
    ilk_status st;
    uint64_t batch = s->next_lsn, lsn = l->good ? l->head.lsn + 1 : batch;
    l->why = NULL;
    l->written = false;
    const unsigned char *p = need(s, l, s->at, l->good + ILKI_HEAD_BYTES, &st, err);
    if (st)
        return st;
    ilki_record_head h;
    if (!p || !ilki_store_head_get(p + l->good, s->salt, &h)) {
        l->why = p ? "its header is damaged" : "the file ends inside its header";
        return ILK_OK;
    }
    l->written = true;
    if (h.lsn != lsn || h.batch != batch || ((h.flags & ILKI_RECORD_FIRST) != 0) != (l->good == 0)) {
        l->why = "it does not follow the record before it";
        return ILK_OK;
    }
    uint64_t total = ilki_store_head_total(&h);
    if (l->good + total > MAX_SCAN_BYTES) {
        l->why = "its batch is longer than any may be";
        return ILK_OK;
    }
    p = need(s, l, s->at, l->good + total, &st, err);
    if (st)
        return st;
    const unsigned char *body = p ? p + l->good + ILKI_HEAD_BYTES : NULL;
    l->written = p && ilki_base_crc32c(0, body, ilki_pad8(h.body_bytes)) == h.body_crc;
    if (l->written && h.type > ILKI_RECORD_SOURCE && h.type < ILKI_RECORD_SKIPPABLE)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "log file %" PRIu64 " at %" PRIu64 ": record type %u of a later version", s->file,
                              s->at + l->good, h.type);
    l->why = p ? ilki_store_body_check(&h, body) : "the file ends inside it";
    if (!l->why) {
        l->written = false;
        l->why = ilki_store_data_check(&h, body, body + ilki_pad8(h.body_bytes));
    }
    if (!l->why) {
        l->head = h;
        l->good += (size_t)total;
        l->whole = (h.flags & ILKI_RECORD_LAST) != 0;
    }
    return ILK_OK;
}

static ilk_status look_at_batch(ilki_scan *s, look *l, ilk_error *err)
{
    l->good = 0;
    l->whole = false;
    ilk_status st;
    do
        st = look_at_record(s, l, err);
    while (!st && !l->why && !l->whole);
    return st;
}

/* Is there, past the invalid record, one whose writer knew the invalid batch to be on the disk? */
static ilk_status look_for_later(ilki_scan *s, const look *l, bool *found, ilk_error *err)
{
    ilk_status st = ILK_OK;
    *found = false;
    for (uint64_t at = s->at + l->good; !st && !*found && at + ILKI_HEAD_BYTES <= l->limit; at += 8) {
        ilki_record_head h;
        const unsigned char *p = need(s, l, at, ILKI_HEAD_BYTES, &st, err);
        if (!p)
            break;
        *found = p[0] == 0x49 && ilki_store_head_get(p, s->salt, &h) && h.durable >= s->next_lsn;
    }
    return st;
}

/* What the manifest or the tables say must be there. */
static bool below_floor(const ilki_scan *s, const look *l)
{
    return l->entry.sealed || s->at > l->limit || s->at < l->entry.floor_bytes || s->next_lsn <= l->entry.floor_lsn ||
           s->next_lsn <= s->floor_lsn;
}

static ilk_status fail_damaged(ilki_log *log, ilki_scan *s, const look *l, ilk_error *err)
{
    s->bad_at = s->at + l->good;
    return ilki_base_fail(err, ILK_CORRUPT, "%s: log file %" PRIu64 " is damaged at %" PRIu64 ", LSN %" PRIu64 ": %s",
                          log->dir, s->file, s->bad_at, l->good ? l->head.lsn + 1 : s->next_lsn, l->why);
}

static void take_batch(ilki_scan *s, const look *l)
{
    s->bytes = s->data + (s->at - s->data_at);
    s->n = l->good;
    s->batch_file = s->file;
    s->batch_at = s->at;
    s->first_lsn = s->next_lsn;
    s->last_lsn = l->head.lsn;
    s->durable = l->head.durable;
    s->at += l->good;
    s->next_lsn = l->head.lsn + 1;
}

/* The number of the file behind s->file, or 0. */
static uint64_t next_file(ilki_log *log, uint64_t file)
{
    uint64_t number = 0;
    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i + 1 < log->m.n_files; i++)
        if (log->m.files[i].number == file)
            number = log->m.files[i + 1].number;
    pthread_mutex_unlock(&log->lock);
    return number;
}

static ilk_status no_batch(ilki_log *log, ilki_scan *s, look *l, ilki_scan_state *state, ilk_error *err)
{
    bool later = false, damaged = l->written || below_floor(s, l);
    ilk_status st = damaged ? ILK_OK : look_for_later(s, l, &later, err);
    if (st)
        return st;
    if (!damaged && !later) {
        *state = ILKI_SCAN_TORN;
        s->len = 0;
        s->torn_bytes = l->limit - s->at;
        return ILK_OK;
    }
    /* A writer may have finished the batch since: one more look decides. */
    s->len = 0;
    st = begin_look(log, s, l, err);
    if (!st)
        st = look_at_batch(s, l, err);
    if (st)
        return st;
    if (!l->whole)
        return fail_damaged(log, s, l, err);
    take_batch(s, l);
    *state = ILKI_SCAN_BATCH;
    return ILK_OK;
}

ilk_status ilki_store_scan_next(ilki_log *log, ilki_scan *s, ilki_scan_state *state, ilk_error *err)
{
    look l;
    uint64_t next;
    ilk_status st = begin_look(log, s, &l, err);
    while (!st && l.entry.sealed && s->at == l.entry.floor_bytes && s->next_lsn == l.entry.floor_lsn + 1 &&
           (next = next_file(log, s->file)) != 0) {
        s->file = next;
        s->at = ILKI_LOG_HEADER_BYTES;
        st = begin_look(log, s, &l, err);
    }
    if (st)
        return st;
    if (s->at == l.limit && !below_floor(s, &l)) {
        *state = ILKI_SCAN_END;
        s->torn_bytes = 0;
        s->len = 0; /* the file may grow, or be cut and grow: nothing read here counts later */
        return ILK_OK;
    }
    st = look_at_batch(s, &l, err);
    if (st)
        return st;
    if (!l.whole)
        return no_batch(log, s, &l, state, err);
    take_batch(s, &l);
    *state = ILKI_SCAN_BATCH;
    return ILK_OK;
}

ilk_status ilki_store_scan_skip(ilki_log *log, ilki_scan *s, bool *more, ilk_error *err)
{
    look l;
    uint64_t next = s->file, from = s->bad_at + 8;
    *more = false;
    do {
        s->file = next;
        ilk_status st = begin_look(log, s, &l, err);
        for (uint64_t at = from; !st && at + ILKI_HEAD_BYTES <= l.limit; at += 8) {
            ilki_record_head h;
            const unsigned char *p = need(s, &l, at, ILKI_HEAD_BYTES, &st, err);
            if (p && ilki_store_head_get(p, s->salt, &h) && h.flags & ILKI_RECORD_FIRST && h.lsn > s->next_lsn) {
                s->at = at;
                s->next_lsn = h.lsn;
                *more = true;
                return ILK_OK;
            }
        }
        if (st && st != ILK_CORRUPT)
            return st;
        from = ILKI_LOG_HEADER_BYTES;
    } while ((next = next_file(log, s->file)) != 0);
    return ILK_OK;
}
