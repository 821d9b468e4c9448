/* SPDX-License-Identifier: Apache-2.0
 * Bringing the derived tables up to the log: slices of the tail behind every write, the whole log where the tables are
 * missing or unfit. The tables never run ahead of what is known to be on the disk. */
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

enum { REPLAY_ENTRIES = 8192, REPLAY_BYTES = 16 << 20 };

/* ---- slices of the tail */

/* Holds the oldest batches up to `limit`, one slice; *more: others stay. */
static ilk_status hold_slice(ilki_tail *t, uint64_t limit, ilki_tail_batch ***out, size_t *n, bool *more,
                             ilk_error *err)
{
    size_t k = 0, n_entries = 0;
    ilk_status st = ILK_OK;
    pthread_mutex_lock(&t->lock);
    while (k < t->n && t->batches[t->first + k]->last_lsn <= limit && (k == 0 || n_entries < ILKI_SLICE_ENTRIES))
        n_entries += t->batches[t->first + k++]->n;
    *more = k < t->n && t->batches[t->first + k]->last_lsn <= limit;
    *out = k ? malloc(k * sizeof **out) : NULL;
    if (k && !*out)
        st = ilki_base_fail_memory(err, k * sizeof **out, "a slice of the tail");
    for (size_t i = 0; *out && i < k; i++) {
        (*out)[i] = t->batches[t->first + i];
        ilki_store_tail_batch_hold((*out)[i]);
    }
    *n = *out ? k : 0;
    pthread_mutex_unlock(&t->lock);
    return st;
}

static ilk_status apply_held(ilki_store *s, ilki_tail_batch **batches, size_t n, ilk_error *err)
{
    ilki_conn *c;
    ilk_status st = ilki_store_db_take_writer(&s->db, &c, err);
    if (st)
        return st;
    st = ilki_store_db_apply(c, batches, n, err);
    ilki_store_db_give_writer(&s->db, c);
    return st;
}

ilk_status ilki_store_apply_slice(ilki_store *s, uint64_t limit, bool *more, ilk_error *err)
{
    ilki_tail_batch **batches = NULL;
    size_t n = 0;
    *more = false;
    pthread_mutex_lock(&s->apply_lock);
    ilk_status st = hold_slice(&s->tail, limit, &batches, &n, more, err);
    if (!st && n) {
        st = apply_held(s, batches, n, err);
        if (st == ILK_CORRUPT && atomic_load(&s->db.unfit) && ilki_store_rebuild(s, err) == ILK_OK)
            st = apply_held(s, batches, n, err);
        if (!st)
            ilki_store_tail_trim(&s->tail, batches[n - 1]->last_lsn);
    }
    pthread_mutex_unlock(&s->apply_lock);
    for (size_t i = 0; i < n; i++)
        ilki_store_tail_batch_drop(batches[i]);
    free(batches);
    return st;
}

ilk_status ilki_store_apply_all(ilki_store *s, ilk_error *err)
{
    bool more = true;
    /* a log that has failed knows how far it is durable, and no further may be applied */
    ilk_status st = s->log.active && !s->log.failed ? ilki_store_log_sync(&s->log, err) : ILK_OK;
    uint64_t limit = s->log.active ? s->log.durable_lsn : UINT64_MAX;
    while (!st && more)
        st = ilki_store_apply_slice(s, limit, &more, err);
    return st;
}

/* On the service thread: a slice, and another post if there is more, so that others get their turn. */
static void serve(void *arg)
{
    ilki_store *s = arg;
    ilk_error err;
    bool more = false;
    ilk_error_init(&err);
    ilk_status st = ILK_OK;
    uint64_t limit = UINT64_MAX;
    if (s->sync != ILK_SYNC_FULL) {
        pthread_mutex_lock(&s->write_lock);
        st = ilki_store_log_sync(&s->log, &err);
        limit = s->log.durable_lsn;
        pthread_mutex_unlock(&s->write_lock);
    }
    if (!st)
        st = ilki_store_apply_slice(s, limit, &more, &err);
    if (!st && more && ilki_base_pool_post(s->rt->pool, ILK_PRIORITY_LOW, serve, s, NULL) == ILK_OK)
        return;
    pthread_mutex_lock(&s->service_lock);
    s->posted = false;
    if (st)
        ilki_base_error_copy(&s->apply_error, &err);
    pthread_cond_broadcast(&s->service_idle);
    pthread_mutex_unlock(&s->service_lock);
}

static void tail_size(ilki_store *s, uint64_t *bytes, size_t *n)
{
    pthread_mutex_lock(&s->tail.lock);
    *bytes = s->tail.bytes;
    *n = s->tail.n_entries;
    pthread_mutex_unlock(&s->tail.lock);
}

/* An apply that failed behind somebody's back is told on a thread of the caller's. */
static void tell_error(ilki_store *s)
{
    ilk_error err;
    ilk_error_init(&err);
    pthread_mutex_lock(&s->service_lock);
    ilki_base_error_copy(&err, &s->apply_error);
    s->apply_error.status = ILK_OK;
    pthread_mutex_unlock(&s->service_lock);
    if (err.status)
        ilki_base_log(s->rt, ILK_LOG_WARN, "%s: the tables fall behind the log: %s", s->dir, err.message);
}

bool ilki_store_apply_post(ilki_store *s)
{
    if (s->read_only || !s->rt || !s->rt->pool)
        return false;
    pthread_mutex_lock(&s->service_lock);
    bool post = !s->posted;
    s->posted = true;
    pthread_mutex_unlock(&s->service_lock);
    if (post && ilki_base_pool_post(s->rt->pool, ILK_PRIORITY_LOW, serve, s, NULL) != ILK_OK) {
        pthread_mutex_lock(&s->service_lock);
        s->posted = false;
        pthread_mutex_unlock(&s->service_lock);
    }
    return true;
}

void ilki_store_apply_behind(ilki_store *s)
{
    uint64_t bytes;
    size_t n;
    tell_error(s);
    tail_size(s, &bytes, &n);
    if (n < s->gather && bytes < ILKI_TAIL_MAX_BYTES)
        return;
    if (ilki_store_apply_post(s) && bytes < ILKI_TAIL_MAX_BYTES && n < ILKI_TAIL_MAX_ENTRIES)
        return;
    /* The batch is acknowledged whatever happens here: a failure becomes an error when the tail is full. */
    bool more;
    ilk_error err;
    ilk_error_init(&err);
    ilk_status st = s->sync == ILK_SYNC_FULL ? ILK_OK : ilki_store_log_sync(&s->log, &err);
    if (!st)
        st = ilki_store_apply_slice(s, s->log.durable_lsn, &more, &err);
    if (st)
        ilki_base_log(s->rt, ILK_LOG_WARN, "%s: the tables fall behind the log: %s", s->dir, err.message);
}

/* ---- from the log */

static void drop_all(ilki_tail_batch **batches, size_t *n)
{
    for (size_t i = 0; i < *n; i++)
        ilki_store_tail_batch_drop(batches[i]);
    *n = 0;
}

ilk_status ilki_store_replay(ilki_store *s, ilki_conn *c, uint64_t upto, ilk_error *err)
{
    enum { MAX_BATCHES = 1024 };
    ilki_db_state at;
    ilki_tail_batch **batches = malloc(MAX_BATCHES * sizeof *batches);
    size_t n = 0, n_entries = 0;
    uint64_t bytes = 0;
    if (!batches)
        return ilki_base_fail_memory(err, MAX_BATCHES * sizeof *batches, "a replay");
    ilk_status st = ilki_store_db_state(c, &at, err);
    if (st) {
        free(batches);
        return st;
    }
    ilki_scan scan;
    ilki_store_scan_init(&scan, at.file, at.at, at.lsn + 1);
    scan.floor_lsn = upto;
    while (!st && scan.next_lsn <= upto) {
        ilki_scan_state state = ILKI_SCAN_END;
        st = ilki_store_scan_next(&s->log, &scan, &state, err);
        if (!st && state != ILKI_SCAN_BATCH)
            st = ilki_base_fail(err, ILK_CORRUPT, "%s: the log ends at LSN %llu, expected %llu", s->dir,
                                (unsigned long long)scan.next_lsn - 1, (unsigned long long)upto);
        if (st)
            break;
        batches[n] = ilki_store_tail_batch_new(scan.bytes, scan.n, scan.batch_file, scan.batch_at);
        if (!batches[n]) {
            st = ilki_base_fail_memory(err, scan.n, "a replay");
            break;
        }
        n_entries += batches[n]->n;
        bytes += batches[n++]->bytes;
        if (n == MAX_BATCHES || n_entries >= REPLAY_ENTRIES || bytes >= REPLAY_BYTES || scan.next_lsn > upto) {
            st = ilki_store_db_apply(c, batches, n, err);
            drop_all(batches, &n);
            n_entries = 0;
            bytes = 0;
        }
    }
    drop_all(batches, &n);
    ilki_store_scan_deinit(&scan);
    free(batches);
    return st;
}

ilk_status ilki_store_rebuild(ilki_store *s, ilk_error *err)
{
    pthread_mutex_lock(&s->tail.lock);
    uint64_t upto = s->tail.n ? s->tail.batches[s->tail.first]->first_lsn - 1 : s->tail.last_lsn;
    pthread_mutex_unlock(&s->tail.lock);
    ilk_status st = ilki_store_db_reset(&s->db, s->read_only, err);
    if (!st)
        st = ilki_store_replay(s, s->db.writer, upto, err);
    ilki_store_db_ready(&s->db, st == ILK_OK);
    return st;
}

bool ilki_store_mend(ilki_store *s, ilk_status *st, int attempt, ilk_error *err)
{
    if (*st != ILK_CORRUPT || attempt > 0 || !atomic_load(&s->db.unfit))
        return false;
    pthread_mutex_lock(&s->apply_lock);
    ilk_status done = atomic_load(&s->db.unfit) ? ilki_store_rebuild(s, err) : ILK_OK;
    pthread_mutex_unlock(&s->apply_lock);
    if (done) {
        *st = done;
        return false;
    }
    return true;
}

ilk_status ilki_store_take_batch(ilki_store *s, const ilki_scan *scan, ilk_error *err)
{
    ilki_tail_batch *b = ilki_store_tail_batch_new(scan->bytes, scan->n, scan->batch_file, scan->batch_at);
    if (!b)
        return ilki_base_fail_memory(err, scan->n, "the tail of the log");
    ilk_status st = ilki_store_tail_reserve(&s->tail, err);
    for (size_t i = 0; !st && b->n_spaces && i < b->n; i++) {
        if (b->entries[i].type != ILKI_RECORD_SPACE)
            continue;
        ilki_space_row *row = ilki_store_space_row_new(b->entries[i].body, b->entries[i].place.body_bytes);
        st = row ? ilki_store_space_reserve(s, 1, err)
                 : ilki_base_fail_memory(err, b->entries[i].place.body_bytes, "a space");
        if (!st)
            ilki_store_space_add(s, row);
        else
            free(row);
    }
    if (st) {
        ilki_store_tail_batch_drop(b);
        return st;
    }
    ilki_store_tail_add(&s->tail, b);
    return ILK_OK;
}
