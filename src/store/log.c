/* SPDX-License-Identifier: Apache-2.0
 * Log files: creating, opening, appending, rolling, recovering. docs/FORMAT.md states bytes, validity, the order of
 * writes and what survives which crash; scan.c finds batches in them.
 *
 * Invariants of the writer: `at` is the end of the last whole batch and of the file; records up to durable_lsn are on
 * the disk; once `failed`, nothing is written again, since it is no longer known what the disk holds. */
#include "store/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"

enum { VERSION = 1, COPY_BYTES = 1 << 20 };
static const unsigned char magic[8] = {0x89, 'i', 'l', 'k', 'L', 'O', 'G', '\n'};

static char *file_path(const char *dir, uint64_t number)
{
    char name[32];
    snprintf(name, sizeof name, "%08" PRIu64 ".log", number);
    return ilki_base_path_join(dir, name);
}

/* ---- file headers */

static ilk_status header_write(const ilki_vfs *v, const char *dir, const uint8_t *uuid, const ilki_log_entry *e,
                               ilki_file **out, ilk_error *err)
{
    ilki_buf b;
    ilki_file *f = NULL;
    char *path = file_path(dir, e->number);
    ilki_base_buf_init(&b, ILKI_LOG_HEADER_BYTES);
    ilki_base_buf_add(&b, magic, sizeof magic);
    ilki_base_buf_put_u32(&b, VERSION);
    ilki_base_buf_put_u32(&b, ILKI_LOG_HEADER_BYTES);
    ilki_base_buf_add(&b, uuid, ILKI_UUID_BYTES);
    ilki_base_buf_put_u64(&b, e->number);
    ilki_base_buf_put_u64(&b, e->first_lsn);
    ilki_base_buf_put_u32(&b, e->salt);
    ilki_base_buf_put_u64(&b, 0);
    ilki_base_buf_put_u32(&b, ilki_base_crc32c(0, ilki_base_buf_view(&b), b.len));
    ilk_status st = path ? ilki_base_buf_check(&b, "a log header", err)
                         : ilki_base_fail_memory(err, strlen(dir), "a path");
    /* A file of this name that no manifest names is left from a roll that a crash ended: it does not exist. */
    if (!st)
        st = v->open(v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_NOFOLLOW, err);
    if (!st)
        st = v->truncate(f, 0, err);
    if (!st)
        st = v->write(f, 0, b.data, b.len, err);
    if (!st)
        st = v->sync(f, err);
    if (!st)
        st = v->sync_dir(v, dir, err);
    if (st && f) {
        v->close(f);
        f = NULL;
    }
    ilki_base_buf_deinit(&b);
    free(path);
    *out = f;
    return st;
}

ilk_status ilki_store_log_header(ilki_file *f, const char *path, uint8_t uuid[ILKI_UUID_BYTES], ilki_log_entry *e,
                                 ilk_error *err)
{
    unsigned char h[ILKI_LOG_HEADER_BYTES];
    size_t got = 0;
    ilki_cur c;
    ilk_status st = f->vfs->read(f, 0, h, sizeof h, &got, err);
    if (st)
        return st;
    ilki_base_cur_init(&c, h, got);
    const unsigned char *m = ilki_base_cur_bytes(&c, sizeof magic);
    uint32_t version = ilki_base_cur_u32(&c), bytes = ilki_base_cur_u32(&c);
    const unsigned char *id = ilki_base_cur_bytes(&c, ILKI_UUID_BYTES);
    *e = (ilki_log_entry){.number = ilki_base_cur_u64(&c), .floor_bytes = ILKI_LOG_HEADER_BYTES};
    e->first_lsn = ilki_base_cur_u64(&c);
    e->floor_lsn = e->first_lsn - 1;
    e->salt = ilki_base_cur_u32(&c);
    ilki_base_cur_u64(&c);
    uint32_t crc = ilki_base_cur_u32(&c);
    if (c.bad || memcmp(m, magic, sizeof magic) != 0 || crc != ilki_base_crc32c(0, h, sizeof h - 4))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: its header is damaged", path);
    if (version != VERSION || bytes != ILKI_LOG_HEADER_BYTES)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: version %u, this program knows %d", path, version, VERSION);
    memcpy(uuid, id, ILKI_UUID_BYTES);
    return ILK_OK;
}

static ilk_status header_check(ilki_file *f, const char *path, const uint8_t *uuid, const ilki_log_entry *e,
                               ilk_error *err)
{
    uint8_t id[ILKI_UUID_BYTES];
    ilki_log_entry got;
    ilk_status st = ilki_store_log_header(f, path, id, &got, err);
    if (!st && (memcmp(id, uuid, ILKI_UUID_BYTES) != 0 || got.number != e->number || got.first_lsn != e->first_lsn ||
                got.salt != e->salt))
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: this log file belongs to another store, or to another place in it",
                            path);
    return st;
}

/* ---- create, open, close */

ilk_status ilki_store_log_create(const ilki_vfs *v, const char *dir, ilk_error *err)
{
    ilki_log_entry e = {.number = 1, .first_lsn = 1, .floor_bytes = ILKI_LOG_HEADER_BYTES};
    ilki_manifest m = {.files = &e, .n_files = 1};
    struct timespec now;
    ilki_file *f = NULL;
    char *log_dir = ilki_base_path_join(dir, "log"), *path = ilki_base_path_join(dir, "manifest");
    clock_gettime(CLOCK_REALTIME, &now);
    m.created_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    ilk_status st = log_dir && path ? ILK_OK : ilki_base_fail_memory(err, strlen(dir) + 16, "a path");
    if (!st)
        st = ilki_store_random(m.uuid, sizeof m.uuid, err);
    if (!st)
        st = ilki_store_random(&e.salt, sizeof e.salt, err);
    if (!st)
        st = v->make_dir(v, log_dir, 0700, err);
    if (!st)
        st = v->sync_dir(v, dir, err);
    if (!st)
        st = header_write(v, log_dir, m.uuid, &e, &f, err);
    if (f)
        v->close(f);
    if (!st)
        st = ilki_store_manifest_write(&m, v, path, err);
    free(log_dir);
    free(path);
    return st;
}

static ilk_status see_manifest(ilki_log *log, ilki_manifest *m, bool to_write, ilk_error *err)
{
    /* stat before read: a manifest that is replaced in between is seen as new the next time */
    ilk_status st = log->vfs->stat(log->vfs, log->manifest_path, true, &log->seen, err);
    return st ? st : ilki_store_manifest_read(m, log->vfs, log->manifest_path, to_write, err);
}

ilk_status ilki_store_log_open(ilki_log *log, const ilki_vfs *v, const char *dir, bool to_write, ilk_error *err)
{
    memset(log, 0, sizeof *log);
    pthread_mutex_init(&log->lock, NULL);
    log->vfs = v;
    log->dir = ilki_base_path_join(dir, "log");
    log->manifest_path = ilki_base_path_join(dir, "manifest");
    ilk_status st = log->dir && log->manifest_path ? ILK_OK : ilki_base_fail_memory(err, strlen(dir) + 16, "a path");
    if (!st)
        st = see_manifest(log, &log->m, to_write, err);
    if (!st) {
        log->readers = ilki_base_zalloc(log->m.n_files, sizeof *log->readers);
        if (!log->readers)
            st = ilki_base_fail_memory(err, log->m.n_files * sizeof *log->readers, "log files");
    }
    if (st)
        ilki_store_log_close(log);
    return st;
}

void ilki_store_log_close(ilki_log *log)
{
    if (!log->vfs)
        return;
    uint64_t last = log->next_lsn - 1;
    if (log->active && !log->failed && last > log->m.files[log->m.n_files - 1].floor_lsn &&
        ilki_store_log_sync(log, NULL) == ILK_OK) {
        log->m.files[log->m.n_files - 1].floor_bytes = log->at;
        log->m.files[log->m.n_files - 1].floor_lsn = last;
        ilki_store_manifest_write(&log->m, log->vfs, log->manifest_path, NULL); /* a floor too low does no harm */
    }
    for (size_t i = 0; i < log->m.n_files && log->readers; i++)
        log->vfs->close(log->readers[i]);
    log->vfs->close(log->active);
    free(log->readers);
    free(log->dir);
    free(log->manifest_path);
    ilki_store_manifest_deinit(&log->m);
    pthread_mutex_destroy(&log->lock);
    memset(log, 0, sizeof *log);
}

/* Under log->lock: room for the handles of n files. */
static ilk_status grow_readers(ilki_log *log, size_t n, ilk_error *err)
{
    ilki_file **grown = realloc(log->readers, n * sizeof *grown);
    if (!grown)
        return ilki_base_fail_memory(err, n * sizeof *grown, "log files");
    log->readers = grown;
    for (size_t i = log->m.n_files; i < n; i++)
        grown[i] = NULL;
    return ILK_OK;
}

ilk_status ilki_store_log_refresh(ilki_log *log, ilk_error *err)
{
    ilki_stat now;
    ilki_manifest m = {0};
    ilk_status st = log->vfs->stat(log->vfs, log->manifest_path, true, &now, err);
    if (st || (now.ino == log->seen.ino && now.mtime_ns == log->seen.mtime_ns && now.size == log->seen.size &&
               now.ctime_ns == log->seen.ctime_ns))
        return st;
    st = see_manifest(log, &m, false, err);
    if (st)
        return st;
    pthread_mutex_lock(&log->lock);
    if (memcmp(m.uuid, log->m.uuid, sizeof m.uuid) != 0 || m.n_files < log->m.n_files)
        st = ilki_base_fail(err, ILK_MISMATCH, "%s: another store has taken this place; open it again",
                            log->manifest_path);
    if (!st)
        st = grow_readers(log, m.n_files, err);
    if (!st) {
        ilki_manifest old = log->m;
        log->m = m;
        m = old;
    }
    pthread_mutex_unlock(&log->lock);
    ilki_store_manifest_deinit(&m);
    return st;
}

/* ---- reading */

ilk_status ilki_store_log_reader(ilki_log *log, uint64_t file, ilki_file **f, uint32_t *salt, ilk_error *err)
{
    ilk_status st = ILK_OK;
    pthread_mutex_lock(&log->lock);
    size_t i = 0;
    while (i < log->m.n_files && log->m.files[i].number != file)
        i++;
    if (i == log->m.n_files) {
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: the manifest names no log file %" PRIu64, log->dir, file);
    } else if (!log->readers[i]) {
        char *path = file_path(log->dir, file);
        ilki_file *opened = NULL;
        st = path ? log->vfs->open(log->vfs, &opened, path, ILKI_OPEN_READ | ILKI_OPEN_NOFOLLOW, err)
                  : ilki_base_fail_memory(err, 32, "a path");
        if (st == ILK_NOT_FOUND)
            st = ilki_base_fail(err, ILK_CORRUPT, "%s: this log file is missing", path);
        if (!st)
            st = header_check(opened, path, log->m.uuid, &log->m.files[i], err);
        if (!st)
            log->readers[i] = opened;
        else
            log->vfs->close(opened);
        free(path);
    }
    if (!st) {
        *f = log->readers[i];
        *salt = log->m.files[i].salt;
    }
    pthread_mutex_unlock(&log->lock);
    return st;
}

ilk_status ilki_store_log_bytes(ilki_log *log, uint64_t *n, ilk_error *err)
{
    *n = 0;
    for (size_t i = 0;; i++) {
        ilki_file *f;
        uint64_t size, number;
        uint32_t salt;
        pthread_mutex_lock(&log->lock);
        bool done = i >= log->m.n_files;
        number = done ? 0 : log->m.files[i].number;
        pthread_mutex_unlock(&log->lock);
        if (done)
            return ILK_OK;
        ilk_status st = ilki_store_log_reader(log, number, &f, &salt, err);
        if (!st)
            st = f->vfs->size(f, &size, err);
        if (st)
            return st;
        *n += size;
    }
}

/* ---- the writer */

static ilki_log_entry *last_file(ilki_log *log)
{
    return &log->m.files[log->m.n_files - 1];
}

uint32_t ilki_store_log_salt(ilki_log *log)
{
    return last_file(log)->salt;
}

uint64_t ilki_store_log_number(ilki_log *log)
{
    return last_file(log)->number;
}

/* Where the first batch begins that holds a record past `lsn`, no less than the floor; the end if there is none. */
static ilk_status find_lsn(ilki_log *log, uint64_t lsn, uint64_t *at, ilk_error *err)
{
    ilki_scan s;
    ilki_scan_state state = ILKI_SCAN_BATCH;
    const ilki_log_entry *e = last_file(log);
    ilki_store_scan_init(&s, e->number, e->floor_bytes, e->floor_lsn + 1);
    ilk_status st = ILK_OK;
    *at = log->at;
    while (!st && state == ILKI_SCAN_BATCH) {
        st = ilki_store_scan_next(log, &s, &state, err);
        if (!st && state == ILKI_SCAN_BATCH && s.last_lsn > lsn) {
            *at = s.batch_at;
            break;
        }
    }
    ilki_store_scan_deinit(&s);
    return st;
}

/* The page cache may show what a failed sync did not bring to the disk: writing it again makes the next sync mean it. */
static ilk_status write_again(ilki_log *log, uint64_t at, ilk_error *err)
{
    unsigned char *copy = malloc(COPY_BYTES);
    if (!copy)
        return ilki_base_fail_memory(err, COPY_BYTES, "the end of the log");
    ilk_status st = ILK_OK;
    while (!st && at < log->at) {
        size_t n = log->at - at < COPY_BYTES ? (size_t)(log->at - at) : COPY_BYTES, got = 0;
        st = log->vfs->read(log->active, at, copy, n, &got, err);
        if (!st && got < n)
            st = ilki_base_fail(err, ILK_CORRUPT, "%s: the last file ends at %" PRIu64 ", expected %" PRIu64, log->dir,
                                at + got, log->at);
        if (!st)
            st = log->vfs->write(log->active, at, copy, n, err);
        at += n;
    }
    free(copy);
    return st;
}

ilk_status ilki_store_log_recover(ilki_log *log, const ilki_scan *end, ilki_scan_state state, uint64_t safe,
                                  ilk_error *err)
{
    const ilki_log_entry *e = last_file(log);
    uint64_t from = 0;
    char *path = file_path(log->dir, e->number);
    if (!path)
        return ilki_base_fail_memory(err, 32, "a path");
    ilk_status st = log->vfs->open(log->vfs, &log->active, path, ILKI_OPEN_WRITE | ILKI_OPEN_NOFOLLOW, err);
    free(path);
    if (!st && state == ILKI_SCAN_TORN)
        st = log->vfs->truncate(log->active, end->at, err);
    log->at = end->at;
    log->next_lsn = end->next_lsn;
    uint64_t last = log->next_lsn - 1;
    if (safe < e->floor_lsn)
        safe = e->floor_lsn;
    if (safe < end->durable)
        safe = end->durable;
    if (!st && safe < last)
        st = find_lsn(log, safe, &from, err);
    if (!st && safe < last)
        st = write_again(log, from, err);
    if (!st && (safe < last || state == ILKI_SCAN_TORN))
        st = log->vfs->sync(log->active, err);
    log->durable_lsn = last;
    if (st)
        log->failed = true;
    return st;
}

/* The manifest decides which of two files is the last: where its writing fails midway, both answers are possible. */
static ilk_status roll(ilki_log *log, ilk_error *err)
{
    ilki_file *f = NULL;
    ilki_log_entry e = {.number = last_file(log)->number + 1,
                        .first_lsn = log->next_lsn,
                        .floor_bytes = ILKI_LOG_HEADER_BYTES,
                        .floor_lsn = log->next_lsn - 1};
    ilki_manifest m = log->m;
    ilk_status st = ilki_store_log_sync(log, err);
    if (!st)
        st = ilki_store_random(&e.salt, sizeof e.salt, err);
    if (st)
        return st;
    m.files = malloc((m.n_files + 1) * sizeof *m.files);
    if (!m.files)
        return ilki_base_fail_memory(err, (m.n_files + 1) * sizeof *m.files, "the manifest");
    memcpy(m.files, log->m.files, m.n_files * sizeof *m.files);
    m.files[m.n_files - 1].sealed = true;
    m.files[m.n_files - 1].floor_bytes = log->at;
    m.files[m.n_files - 1].floor_lsn = log->next_lsn - 1;
    m.files[m.n_files++] = e;
    pthread_mutex_lock(&log->lock);
    st = grow_readers(log, m.n_files, err);
    pthread_mutex_unlock(&log->lock);
    if (!st)
        st = header_write(log->vfs, log->dir, m.uuid, &e, &f, err);
    if (!st) {
        st = ilki_store_manifest_write(&m, log->vfs, log->manifest_path, err);
        log->failed = st != ILK_OK;
    }
    if (st) {
        log->vfs->close(f);
        free(m.files);
        return st;
    }
    pthread_mutex_lock(&log->lock);
    free(log->m.files);
    log->m = m;
    pthread_mutex_unlock(&log->lock);
    log->vfs->close(log->active);
    log->active = f;
    log->at = ILKI_LOG_HEADER_BYTES;
    return ILK_OK;
}

static ilk_status fail_written(const ilki_log *log, ilk_error *err)
{
    return ilki_base_fail(err, ILK_IO, "%s: an earlier write or sync failed; open the store again to go on", log->dir);
}

ilk_status ilki_store_log_room(ilki_log *log, uint64_t n, ilk_error *err)
{
    if (log->failed)
        return fail_written(log, err);
    if (log->at + n <= log->max_bytes || log->at == ILKI_LOG_HEADER_BYTES)
        return ILK_OK;
    return roll(log, err);
}

ilk_status ilki_store_log_append(ilki_log *log, const void *data, size_t n, size_t n_records, bool sync, ilk_error *err)
{
    if (log->failed)
        return fail_written(log, err);
    ilk_status st = log->vfs->write(log->active, log->at, data, n, err);
    if (!st && sync)
        st = log->vfs->sync(log->active, err);
    if (st) {
        log->failed = true;
        return st;
    }
    log->at += n;
    log->next_lsn += n_records;
    if (sync)
        log->durable_lsn = log->next_lsn - 1;
    return ILK_OK;
}

ilk_status ilki_store_log_sync(ilki_log *log, ilk_error *err)
{
    if (log->failed)
        return fail_written(log, err);
    if (log->durable_lsn == log->next_lsn - 1)
        return ILK_OK;
    ilk_status st = log->vfs->sync(log->active, err);
    if (st)
        log->failed = true;
    else
        log->durable_lsn = log->next_lsn - 1;
    return st;
}
