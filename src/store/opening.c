/* SPDX-License-Identifier: Apache-2.0
 * Opening, creating and closing a store. Opened stepwise; one exit hands a half-built store to the closer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/core.h"

#define DEFAULT_LOG_BYTES ((uint64_t)1 << 30)

/* ---- the directory */

static char *absolute(const char *dir)
{
    char cwd[4096];
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    char *clean = ilki_base_strndup(dir, n);
    if (!clean || dir[0] == '/' || !getcwd(cwd, sizeof cwd))
        return clean;
    char *out = ilki_base_path_join(cwd, clean);
    free(clean);
    return out;
}

static char *inside(const ilki_store *s, const char *name)
{
    return ilki_base_path_join(s->dir, name);
}

typedef struct listing {
    const char *other; /* something that is not a store's, or NULL */
    char name[256];
    bool records; /* log files that hold some */
    ilki_store *store;
    const char *within;
} listing;

static bool is_temporary(const char *name)
{
    return strncmp(name, "manifest.tmp-", 13) == 0 || strncmp(name, ".gitignore.tmp-", 15) == 0;
}

static bool look_at_name(void *user, const char *name, ilki_file_type type)
{
    static const char *const ours[] = {".", "..", ".gitignore", "config", "lock", "log", "derived", "manifest"};
    listing *l = user;
    (void)type;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(name, ours[i]) == 0)
            return true;
    if (is_temporary(name))
        return true;
    snprintf(l->name, sizeof l->name, "%s", name);
    l->other = l->name;
    return false;
}

static bool look_at_log(void *user, const char *name, ilki_file_type type)
{
    listing *l = user;
    ilki_stat st;
    (void)type;
    char *dir = inside(l->store, "log"), *path = dir ? ilki_base_path_join(dir, name) : NULL;
    const ilki_vfs *v = l->store->vfs;
    /* what cannot be looked at counts as records: nothing is made over it */
    l->records = !path || v->stat(v, path, false, &st, NULL) != ILK_OK ||
                 (st.type == ILKI_FILE_REGULAR && st.size > ILKI_LOG_HEADER_BYTES);
    free(path);
    free(dir);
    return !l->records;
}

/* A store is made in a directory that is empty, or that a crash left half made. */
static ilk_status check_vacant(ilki_store *s, ilk_error *err)
{
    listing l = {.store = s};
    ilk_status st = s->vfs->list(s->vfs, s->dir, look_at_name, &l, err);
    if (!st && l.other)
        return ilki_base_fail(err, ILK_MISMATCH,
                              "%s: it holds \"%s\" and no store; a store wants a directory of its own", s->dir,
                              l.other);
    char *log_dir = st ? NULL : inside(s, "log");
    if (log_dir && s->vfs->list(s->vfs, log_dir, look_at_log, &l, NULL) == ILK_OK && l.records)
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: the manifest is missing, and log/ holds records", s->dir);
    free(log_dir);
    return st;
}

/* mkdir -p that is on the disk when it returns: each new name's directory is synced. */
static ilk_status make_dir(ilki_store *s, ilk_error *err)
{
    ilki_stat have;
    size_t n = strlen(s->dir), keep = n;
    char *path = ilki_base_strndup(s->dir, n);
    if (!path)
        return ilki_base_fail_memory(err, n, "a path");
    while (keep > 1 && s->vfs->stat(s->vfs, path, true, &have, NULL) == ILK_NOT_FOUND) {
        while (keep > 1 && path[keep - 1] != '/')
            keep--;
        while (keep > 1 && path[keep - 1] == '/')
            keep--;
        path[keep] = '\0';
    }
    ilk_status st = ilki_base_make_dirs(s->vfs, s->dir, 0700, err);
    for (size_t end = keep; !st && end < n;) {
        memcpy(path, s->dir, n + 1);
        path[end] = '\0';
        st = s->vfs->sync_dir(s->vfs, path, err);
        for (end++; end < n && s->dir[end] != '/'; end++)
            ;
    }
    free(path);
    return st;
}

static ilk_status create(ilki_store *s, ilk_error *err)
{
    char *ignore = inside(s, ".gitignore"), *derived = inside(s, "derived");
    ilk_status st = ignore && derived ? check_vacant(s, err) : ilki_base_fail_memory(err, strlen(s->dir), "a path");
    if (!st)
        st = s->vfs->make_dir(s->vfs, derived, 0700, err);
    if (!st)
        st = ilki_base_write_file(s->vfs, ignore, "*\n", 2, err);
    if (!st)
        st = ilki_store_log_create(s->vfs, s->dir, err);
    free(ignore);
    free(derived);
    return st;
}

static bool remove_temporary(void *user, const char *name, ilki_file_type type)
{
    ilki_store *s = user;
    char *path = is_temporary(name) && type == ILKI_FILE_REGULAR ? inside(s, name) : NULL;
    if (path)
        s->vfs->unlink(s->vfs, path, NULL);
    free(path);
    return true;
}

static bool has_manifest(ilki_store *s, ilk_status *st, ilk_error *err)
{
    ilki_stat have;
    char *path = inside(s, "manifest");
    *st = path ? s->vfs->stat(s->vfs, path, true, &have, err) : ilki_base_fail_memory(err, strlen(s->dir), "a path");
    free(path);
    bool found = *st == ILK_OK;
    if (*st == ILK_NOT_FOUND)
        *st = ILK_OK;
    return found;
}

static ilk_status take_lock(ilki_store *s, ilk_error *err)
{
    char *path = inside(s, "lock");
    if (!path)
        return ilki_base_fail_memory(err, strlen(s->dir), "a path");
    ilk_status st = s->vfs->open(s->vfs, &s->lock_file, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_NOFOLLOW,
                                 err);
    if (!st) {
        st = s->vfs->lock(s->lock_file, ILKI_LOCK_EXCLUSIVE, err);
        if (st == ILK_BUSY)
            ilki_base_fail(err, st, "%s: another process or handle writes to this store", path);
    }
    free(path);
    return st;
}

static ilk_status open_dir(ilki_store *s, bool no_create, ilk_error *err)
{
    ilk_status st;
    bool found = has_manifest(s, &st, err);
    if (!st && s->repair && !s->read_only) {
        ilki_stat have;
        char *log_dir = inside(s, "log");
        if (log_dir && s->vfs->stat(s->vfs, log_dir, true, &have, NULL) == ILK_OK) { /* else: nothing of a store's */
            st = take_lock(s, err);
            st = st ? st : ilki_store_salvage(s, err);
            found = !st && has_manifest(s, &st, err);
        }
        free(log_dir);
    }
    if (!st && !found && (no_create || s->read_only))
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: there is no store here", s->dir);
    if (st || s->read_only)
        return st;
    if (!found) {
        st = make_dir(s, err);
        if (!st)
            st = check_vacant(s, err); /* before the lock file is made among a stranger's */
    }
    if (!st && !s->lock_file)
        st = take_lock(s, err);
    if (!st)
        found = has_manifest(s, &st, err); /* another may have made it meanwhile */
    if (!st && !found)
        st = create(s, err);
    if (!st)
        s->vfs->list(s->vfs, s->dir, remove_temporary, s, NULL);
    return st;
}

/* ---- tables and tail */

static ilk_status open_tables(ilki_store *s, ilk_error *err)
{
    ilk_status st = s->foreign ? ILK_CORRUPT : ilki_store_db_open(&s->db, err);
    if (st == ILK_OK || (!s->read_only && st != ILK_CORRUPT))
        return st;
    /* Unfit: made anew from the log, up to what is known to be on the disk; a reader's in memory. */
    const ilki_log_entry *last = &s->log.m.files[s->log.m.n_files - 1];
    ilki_store_tail_restart(&s->tail, last->floor_lsn);
    if (last->floor_lsn)
        ilki_base_log(s->rt, ILK_LOG_INFO, "%s: building the tables from the log, up to LSN %llu", s->dir,
                      (unsigned long long)last->floor_lsn);
    return ilki_store_rebuild(s, err);
}

static ilk_status tables_state(ilki_store *s, ilki_db_state *state, ilk_error *err)
{
    ilki_conn *c;
    ilk_status st = ilki_store_db_take(&s->db, &c, err);
    if (st)
        return st;
    st = ilki_store_db_state(c, state, err);
    ilki_store_db_give(&s->db, c);
    return st;
}

static ilk_status start_scan(ilki_store *s, ilk_error *err)
{
    ilki_db_state state;
    ilk_status st = ilki_store_space_load(s, err);
    if (!st)
        st = tables_state(s, &state, err);
    if (st)
        return st;
    ilki_store_scan_deinit(&s->scan);
    ilki_store_scan_init(&s->scan, state.file, state.at, state.lsn + 1);
    s->scan.floor_lsn = state.lsn;
    ilki_store_tail_restart(&s->tail, state.lsn);
    return ILK_OK;
}

/* Applies while scanning what is on the disk for certain, so that a long tail does not fill the memory. */
static ilk_status thin_tail(ilki_store *s, ilk_error *err)
{
    bool more = true;
    uint64_t limit = s->scan.durable, floor = s->log.m.files[s->log.m.n_files - 1].floor_lsn;
    ilk_status st = ILK_OK;
    pthread_mutex_lock(&s->tail.lock);
    bool thick = s->tail.bytes > ILKI_TAIL_MAX_BYTES / 2 || s->tail.n_entries > ILKI_TAIL_MAX_ENTRIES / 2;
    pthread_mutex_unlock(&s->tail.lock);
    while (thick && !st && more)
        st = ilki_store_apply_slice(s, limit > floor ? limit : floor, &more, err);
    return st;
}

static ilk_status scan_tail(ilki_store *s, ilki_scan_state *state, ilk_error *err)
{
    ilk_status st;
    do {
        st = ilki_store_scan_next(&s->log, &s->scan, state, err);
        if (!st && *state == ILKI_SCAN_BATCH) {
            st = ilki_store_take_batch(s, &s->scan, err);
            if (!st && (!s->read_only || s->db.in_memory))
                st = thin_tail(s, err);
        }
    } while (!st && *state == ILKI_SCAN_BATCH);
    return st;
}

static ilk_status recover(ilki_store *s, ilk_error *err)
{
    ilki_scan_state state = ILKI_SCAN_END;
    ilk_status st = open_tables(s, err);
    if (!st)
        st = start_scan(s, err);
    for (int attempt = 0; st && ilki_store_mend(s, &st, attempt, err); attempt++)
        st = start_scan(s, err);
    if (!st)
        st = scan_tail(s, &state, err);
    if (st || s->read_only)
        return st;
    uint64_t torn = state == ILKI_SCAN_TORN ? s->scan.torn_bytes : 0;
    st = ilki_store_log_recover(&s->log, &s->scan, state, s->scan.floor_lsn, err);
    if (!st && torn)
        ilki_base_log(s->rt, ILK_LOG_WARN, "%s: cut %llu bytes of a batch that was never completed off the log", s->dir,
                      (unsigned long long)torn);
    ilki_store_scan_deinit(&s->scan);
    return st;
}

/* ---- open, close, refresh */

static ilk_status check_owner(ilki_store *s, ilk_error *err)
{
    ilki_stat st;
    ilk_status status = s->vfs->stat(s->vfs, s->dir, true, &st, err);
    if (status == ILK_NOT_FOUND)
        return ILK_OK;
    if (!status && st.type != ILKI_FILE_DIR)
        return ilki_base_fail(err, ILK_MISMATCH, "%s: this is no directory", s->dir);
    if (!status && st.uid != (uint32_t)geteuid()) {
        s->foreign = true;
        if (!s->read_only)
            ilki_base_log(s->rt, ILK_LOG_WARN, "%s: this store belongs to another user; it is opened for reading only",
                          s->dir);
        s->read_only = true;
    }
    return status;
}

static ilk_status init(ilki_store *s, const char *dir, const ilki_store_open_options *opt, ilk_error *err)
{
    s->vfs = opt->vfs ? opt->vfs : opt->rt && opt->rt->vfs ? opt->rt->vfs : &ilki_base_vfs_posix;
    s->rt = opt->rt;
    s->sync = opt->sync;
    s->read_only = opt->read_only;
    s->repair = opt->repair;
    pthread_mutex_init(&s->write_lock, NULL);
    pthread_mutex_init(&s->apply_lock, NULL);
    pthread_mutex_init(&s->space_lock, NULL);
    pthread_mutex_init(&s->service_lock, NULL);
    pthread_cond_init(&s->service_idle, NULL);
    ilki_store_tail_init(&s->tail);
    ilki_base_buf_init(&s->buf, ILKI_MAX_BATCH_BYTES);
    ilk_error_init(&s->apply_error);
    s->dir = absolute(dir);
    return s->dir ? ILK_OK : ilki_base_fail_memory(err, strlen(dir), "a path");
}

ilk_status ilki_store_open(ilki_store **out, const char *dir, const ilki_store_open_options *opt, ilk_error *err)
{
    *out = NULL;
    if (!dir || !*dir || !opt)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "a store wants a directory and options");
    ilki_store *s = ilki_base_zalloc(1, sizeof *s);
    if (!s)
        return ilki_base_fail_memory(err, sizeof *s, "a store");
    ilk_status st = init(s, dir, opt, err);
    if (!st)
        st = check_owner(s, err);
    if (!st)
        st = open_dir(s, opt->no_create, err);
    if (!st)
        st = ilki_store_log_open(&s->log, s->vfs, s->dir, !s->read_only, err);
    if (!st) {
        st = ilki_store_random(&s->seed, sizeof s->seed, err);
        s->gather = opt->gather ? opt->gather : ILKI_GATHER_ENTRIES;
        s->log.max_bytes = opt->max_log_bytes ? opt->max_log_bytes : DEFAULT_LOG_BYTES;
    }
    if (!st)
        st = ilki_store_db_init(&s->db, s, err);
    if (!st)
        st = recover(s, err);
    if (st) {
        s->log.failed = true; /* close writes nothing */
        ilki_store_close(s);
        return st;
    }
    if (!s->read_only) {
        pthread_mutex_lock(&s->write_lock);
        ilki_store_apply_behind(s);
        pthread_mutex_unlock(&s->write_lock);
    }
    *out = s;
    return ILK_OK;
}

void ilki_store_close(ilki_store *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->service_lock);
    while (s->posted)
        pthread_cond_wait(&s->service_idle, &s->service_lock);
    pthread_mutex_unlock(&s->service_lock);
    if (!s->read_only && s->log.active && !s->log.failed)
        ilki_store_apply_all(s, NULL);
    ilki_store_db_deinit(&s->db);
    ilki_store_log_close(&s->log);
    ilki_store_tail_deinit(&s->tail);
    ilki_store_scan_deinit(&s->scan);
    ilki_base_buf_deinit(&s->buf);
    for (size_t i = 0; i < s->n_spaces; i++)
        free(s->spaces[i]);
    free(s->spaces);
    if (s->lock_file)
        s->vfs->close(s->lock_file);
    pthread_mutex_destroy(&s->write_lock);
    pthread_mutex_destroy(&s->apply_lock);
    pthread_mutex_destroy(&s->space_lock);
    pthread_mutex_destroy(&s->service_lock);
    pthread_cond_destroy(&s->service_idle);
    free(s->dir);
    free(s);
}

/* The writer has rebuilt meta.db: what this reader has open is a file without a name. */
static ilk_status reopen_tables(ilki_store *s, ilk_error *err)
{
    pthread_mutex_lock(&s->apply_lock);
    ilk_status st = ilki_store_db_reopen(&s->db, err);
    if (st == ILK_CORRUPT)
        st = ilki_store_rebuild(s, err);
    pthread_mutex_unlock(&s->apply_lock);
    return st ? st : start_scan(s, err);
}

static ilk_status refresh(ilki_store *s, ilk_error *err)
{
    ilki_db_state at;
    ilki_scan_state state;
    ilk_status st = ilki_store_log_refresh(&s->log, err);
    if (!st && ilki_store_db_replaced(&s->db))
        st = reopen_tables(s, err);
    if (!st)
        st = tables_state(s, &at, err);
    if (st)
        return st;
    if (at.lsn + 1 > s->scan.next_lsn) /* the tables are ahead of what was read of the log */
        st = start_scan(s, err);
    else
        ilki_store_tail_trim(&s->tail, at.lsn);
    if (!st)
        st = scan_tail(s, &state, err);
    bool more = s->db.in_memory;
    while (!st && more)
        st = ilki_store_apply_slice(s, UINT64_MAX, &more, err);
    return st;
}

ilk_status ilki_store_refresh(ilki_store *s, ilk_error *err)
{
    if (!s->read_only)
        return ILK_OK;
    pthread_mutex_lock(&s->write_lock);
    ilk_status st = refresh(s, err);
    for (int attempt = 0; st && ilki_store_mend(s, &st, attempt, err); attempt++)
        st = refresh(s, err);
    pthread_mutex_unlock(&s->write_lock);
    return st;
}

bool ilki_store_is_read_only(const ilki_store *s)
{
    return s->read_only;
}
