/* SPDX-License-Identifier: Apache-2.0
 * Writing the hub's cache. What is visible is whole: a blob gets its name by a rename when its hash has been checked and
 * its bytes are synced; a snapshot is made aside, below .locks, and renamed; a ref is written last. So a process that is
 * killed leaves .incomplete files, from which the next one goes on, and nothing else. Other programs that keep to the
 * layout may work beside: they take the same locks, and where they do not, a rename replaces equal bytes by equal ones. */
#include "net/hub_cache.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "net/gitblob.h"

#define SPARE_BYTES ((uint64_t)64 << 20) /* that are left free on the disk */

enum { MAX_PATH = 8192, CHUNK = 1 << 20, WAIT_NS = 40 * 1000 * 1000 };

/* ---- places */

static ilk_status place(ilki_buf *b, ilk_error *err, const char *dir, const char *name, const char *suffix)
{
    ilki_base_buf_init(b, MAX_PATH);
    ilki_base_buf_addf(b, "%s/%s%s", dir, name, suffix);
    return ilki_base_buf_check(b, "a path", err);
}

ilk_status ilki_net_cache_init(ilki_hub_cache *c, ilk_runtime *rt, const char *repo, size_t n_hub, ilk_error *err)
{
    ilki_buf b;
    *c = (ilki_hub_cache){.rt = rt};
    ilki_base_buf_init(&b, MAX_PATH);
    ilki_base_buf_addf(&b, "%.*s/.locks%s", (int)n_hub, repo, repo + n_hub);
    ilk_status st = ilki_base_buf_check(&b, "a path", err);
    c->locks = ilki_base_buf_take(&b, NULL);
    c->repo = ilki_base_strndup(repo, strlen(repo));
    if (st == ILK_OK && c->repo == NULL)
        st = ilki_base_fail_memory(err, strlen(repo), "a path");
    ilki_base_buf_deinit(&b);
    if (st != ILK_OK)
        ilki_net_cache_deinit(c);
    return st;
}

void ilki_net_cache_deinit(ilki_hub_cache *c)
{
    free(c->repo);
    free(c->locks);
    c->repo = c->locks = NULL;
}

uint64_t ilki_net_cache_present(const ilki_hub_cache *c, const ilki_hub_file *f, bool *whole)
{
    const ilki_vfs *v = c->rt->vfs;
    ilki_buf path;
    ilki_stat st;
    uint64_t n = 0;
    *whole = false;
    ilki_base_buf_init(&path, MAX_PATH);
    if (ilki_base_buf_addf(&path, "%s/blobs/%s", c->repo, f->hash) &&
        v->stat(v, path.data, true, &st, NULL) == ILK_OK && st.type == ILKI_FILE_REGULAR && st.size == f->n_bytes) {
        *whole = true;
        n = f->n_bytes;
    } else if (ilki_base_buf_adds(&path, ".incomplete") && v->stat(v, path.data, false, &st, NULL) == ILK_OK &&
               st.type == ILKI_FILE_REGULAR && st.size <= f->n_bytes) {
        n = st.size;
    }
    ilki_base_buf_deinit(&path);
    return n;
}

ilk_status ilki_net_cache_prepare(const ilki_hub_cache *c, uint64_t n_bytes, ilk_error *err)
{
    static const char *const dirs[] = {"blobs", "refs", "snapshots"};
    const ilki_vfs *v = c->rt->vfs;
    uint64_t room = 0;
    ilk_status st = ilki_base_make_dirs(v, c->locks, 0777, err);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs && st == ILK_OK; i++) {
        ilki_buf path;
        st = place(&path, err, c->repo, dirs[i], "");
        if (st == ILK_OK)
            st = ilki_base_make_dirs(v, path.data, 0777, err);
        ilki_base_buf_deinit(&path);
    }
    if (st == ILK_OK)
        st = v->free_bytes(v, c->repo, &room, err);
    if (st == ILK_OK && n_bytes > 0 && (room < SPARE_BYTES || room - SPARE_BYTES < n_bytes))
        st = ilki_base_fail(err, ILK_LIMIT, "%s: %.1f MB are to be fetched, and %.1f MB are free on this disk", c->repo,
                            (double)n_bytes * 1e-6, (double)room * 1e-6);
    return st;
}

/* ---- locks */

/* The lock's file may be removed by whoever held it: then the lock is on something that nobody else will find. */
static bool is_still_there(const ilki_vfs *v, ilki_file *lock, const char *path)
{
    ilki_stat held, named;
    return v->fstat(lock, &held, NULL) == ILK_OK && v->stat(v, path, false, &named, NULL) == ILK_OK &&
           held.ino == named.ino && held.dev == named.dev;
}

static ilk_status take_lock(ilki_hub_cache *c, const char *name, ilki_file **lock, ilk_error *err)
{
    const ilki_vfs *v = c->rt->vfs;
    const struct timespec moment = {0, WAIT_NS};
    ilki_buf path;
    bool told = false;
    *lock = NULL;
    ilk_status st = place(&path, err, c->locks, name, ".lock");
    while (st == ILK_OK) {
        if (*lock == NULL)
            st = v->open(v, lock, path.data, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_SHARED | ILKI_OPEN_NOFOLLOW,
                         err);
        if (st == ILK_OK)
            st = v->flock(*lock, ILKI_LOCK_EXCLUSIVE, err);
        if (st == ILK_OK && is_still_there(v, *lock, path.data))
            break;
        if (st == ILK_OK || st == ILK_BUSY) {
            if (st == ILK_BUSY && !told)
                ilki_base_log(c->rt, ILK_LOG_INFO, "waiting for another process, which fetches the same file");
            told |= st == ILK_BUSY;
            v->close(*lock);
            *lock = NULL;
            ilki_base_job_progress(c->job, "waiting", "bytes", c->done, c->total, 0, false);
            st = ilki_base_job_check(c->job, err);
            nanosleep(&moment, NULL);
        }
    }
    if (st != ILK_OK) {
        v->close(*lock);
        *lock = NULL;
    }
    ilki_base_buf_deinit(&path);
    return st;
}

/* ---- one blob */

typedef struct making {
    ilki_hub_cache *c;
    const ilki_hub_file *f;
    ilki_file *file;
    uint64_t at; /* bytes in the file, all of them hashed */
    bool found;  /* some of them are an earlier process's */
    ilki_sha256 sha256;
    ilki_gitblob git;
} making;

static bool has_sha256(const ilki_hub_file *f)
{
    return f->hash[40] != 0;
}

static void hash_begin(making *m)
{
    m->at = 0;
    m->found = false;
    ilki_base_sha256_init(&m->sha256);
    ilki_net_gitblob_init(&m->git, m->f->n_bytes);
}

static void hash_add(making *m, const void *data, size_t n)
{
    if (has_sha256(m->f))
        ilki_base_sha256_add(&m->sha256, data, n);
    else
        ilki_net_gitblob_add(&m->git, data, n);
    m->at += n;
}

static void hash_end(making *m, char hex[65])
{
    uint8_t sum[32];
    if (has_sha256(m->f))
        ilki_base_sha256_end(&m->sha256, sum);
    else
        ilki_net_gitblob_end(&m->git, sum);
    ilki_base_hex(sum, has_sha256(m->f) ? 32 : 20, hex);
}

static ilk_status begin_again(making *m, ilk_error *err)
{
    hash_begin(m);
    return m->c->rt->vfs->truncate(m->file, 0, err);
}

static ilk_status sink_begin(void *user, uint64_t at, uint64_t total, ilk_error *err)
{
    making *m = user;
    if (total != UINT64_MAX && total != m->f->n_bytes)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: the hub lists %llu bytes, and the server has %llu", m->f->path,
                              (unsigned long long)m->f->n_bytes, (unsigned long long)total);
    return at == m->at ? ILK_OK : begin_again(m, err);
}

static ilk_status sink_add(void *user, const void *data, size_t n, ilk_error *err)
{
    making *m = user;
    ilk_status st = m->c->rt->vfs->write(m->file, m->at, data, n, err);
    if (st != ILK_OK)
        return st;
    hash_add(m, data, n);
    ilki_base_job_progress(m->c->job, "fetching", "bytes", m->c->done + m->at, m->c->total, 0, false);
    return ILK_OK;
}

/* Opens the beginning that an interrupted fetch has left, and hashes it. */
static ilk_status open_beginning(making *m, const char *path, ilk_error *err)
{
    const ilki_vfs *v = m->c->rt->vfs;
    uint64_t size = 0;
    size_t got = 1;
    hash_begin(m);
    ilk_status st = v->open(v, &m->file, path,
                            ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_SHARED | ILKI_OPEN_NOFOLLOW, err);
    if (st == ILK_OK)
        st = v->size(m->file, &size, err);
    if (st == ILK_OK && size > m->f->n_bytes)
        return begin_again(m, err);
    char *chunk = st == ILK_OK && size > 0 ? ilki_base_alloc_aligned(CHUNK, 1) : NULL;
    if (st == ILK_OK && size > 0 && chunk == NULL)
        st = ilki_base_fail_memory(err, CHUNK, "a buffer");
    while (st == ILK_OK && m->at < size && got > 0) {
        st = ilki_base_job_check(m->c->job, err);
        if (st == ILK_OK)
            st = v->read(m->file, m->at, chunk, CHUNK, &got, err);
        if (st == ILK_OK)
            hash_add(m, chunk, got);
        ilki_base_job_progress(m->c->job, "checking", "bytes", m->c->done + m->at, m->c->total, 0, false);
    }
    m->found = m->at > 0;
    free(chunk);
    return st;
}

/* Fetches what is missing and checks the whole; a beginning that turns out wrong is fetched again, once. */
static ilk_status fill(making *m, ilki_hub *hub, const char *id, const char *commit, ilk_error *err)
{
    const ilki_net_sink sink = {sink_begin, sink_add, m};
    for (;;) {
        char hex[65];
        ilk_status st = ILK_OK;
        if (m->at < m->f->n_bytes)
            st = ilki_net_hub_get(hub, id, commit, m->f, m->at, &sink, m->c->job, err);
        if (st != ILK_OK)
            return st;
        if (m->at != m->f->n_bytes)
            return ilki_base_fail(err, ILK_IO, "%s: it ended after %llu bytes of %llu", m->f->path,
                                  (unsigned long long)m->at, (unsigned long long)m->f->n_bytes);
        hash_end(m, hex);
        if (strcmp(hex, m->f->hash) == 0)
            return ILK_OK;
        bool found = m->found;
        st = begin_again(m, err);
        if (st != ILK_OK)
            return st;
        if (!found)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: what came has the checksum %s, expected %s", m->f->path,
                                  hex, m->f->hash);
        ilki_base_log(m->c->rt, ILK_LOG_WARN,
                      "%s: the beginning left by an interrupted fetch is wrong; it is fetched anew", m->f->path);
    }
}

static ilk_status make_blob(ilki_hub_cache *c, ilki_hub *hub, const char *id, const char *commit,
                            const ilki_hub_file *f, ilk_error *err)
{
    const ilki_vfs *v = c->rt->vfs;
    making m = {.c = c, .f = f};
    ilki_buf dir, blob, part;
    ilki_base_buf_init(&part, MAX_PATH);
    ilki_base_buf_init(&blob, MAX_PATH);
    ilk_status st = place(&dir, err, c->repo, "blobs", "");
    if (st == ILK_OK)
        st = place(&blob, err, dir.data, f->hash, "");
    if (st == ILK_OK)
        st = place(&part, err, dir.data, f->hash, ".incomplete");
    if (st == ILK_OK)
        st = open_beginning(&m, part.data, err);
    if (st == ILK_OK)
        st = fill(&m, hub, id, commit, err);
    if (st == ILK_OK)
        st = v->sync(m.file, err);
    if (m.file)
        v->close(m.file);
    if (st == ILK_OK)
        st = v->rename(v, part.data, blob.data, err);
    if (st == ILK_OK)
        st = v->sync_dir(v, dir.data, err);
    ilki_base_buf_deinit(&dir);
    ilki_base_buf_deinit(&blob);
    ilki_base_buf_deinit(&part);
    return st;
}

ilk_status ilki_net_cache_fetch(ilki_hub_cache *c, ilki_hub *hub, const char *id, const char *commit,
                                const ilki_hub_file *f, ilk_error *err)
{
    ilki_file *lock = NULL;
    bool whole;
    ilk_status st = ILK_OK;
    ilki_net_cache_present(c, f, &whole);
    if (!whole)
        st = take_lock(c, f->hash, &lock, err);
    if (!whole && st == ILK_OK)
        ilki_net_cache_present(c, f, &whole); /* by whoever held the lock */
    if (!whole && st == ILK_OK)
        st = make_blob(c, hub, id, commit, f, err);
    if (lock)
        c->rt->vfs->close(lock);
    if (st == ILK_OK)
        c->done += f->n_bytes;
    return st;
}

/* ---- snapshots and refs */

/* dir/path -> blobs/hash, dir being two below the repository. What stands there and can be read is left. */
static ilk_status link_file(const ilki_vfs *v, const char *dir, const ilki_hub_file *f, ilk_error *err)
{
    ilki_buf path, target;
    ilki_stat info;
    ilki_base_buf_init(&target, MAX_PATH);
    ilk_status st = place(&path, err, dir, f->path, "");
    ilki_base_buf_adds(&target, "../../");
    for (const char *s = f->path; (s = strchr(s, '/')) != NULL; s++)
        ilki_base_buf_adds(&target, "../");
    ilki_base_buf_addf(&target, "blobs/%s", f->hash);
    if (st == ILK_OK)
        st = ilki_base_buf_check(&target, "a path", err);
    char *parent = st == ILK_OK ? ilki_base_path_dir(path.data) : NULL;
    if (st == ILK_OK)
        st = parent ? ilki_base_make_dirs(v, parent, 0777, err) : ilki_base_fail_memory(err, path.len, "a path");
    if (st == ILK_OK && v->stat(v, path.data, true, &info, NULL) != ILK_OK) {
        if (v->stat(v, path.data, false, &info, NULL) == ILK_OK) /* it points to nothing */
            st = v->unlink(v, path.data, err);
        if (st == ILK_OK)
            st = v->make_link(v, target.data, path.data, err);
        if (st == ILK_BUSY) /* another process was faster */
            st = ILK_OK;
    }
    free(parent);
    ilki_base_buf_deinit(&path);
    ilki_base_buf_deinit(&target);
    return st;
}

static ilk_status link_files(const ilki_vfs *v, const char *dir, const ilki_hub_model *m, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < m->n_files && st == ILK_OK; i++)
        if (m->files[i].wanted)
            st = link_file(v, dir, &m->files[i], err);
    return st;
}

static ilk_status show_snapshot(const ilki_hub_cache *c, const ilki_hub_model *m, ilk_error *err)
{
    const ilki_vfs *v = c->rt->vfs;
    ilki_buf all, dir, aside;
    ilki_stat info;
    ilki_base_buf_init(&dir, MAX_PATH);
    ilki_base_buf_init(&aside, MAX_PATH);
    ilk_status st = place(&all, err, c->repo, "snapshots", "");
    if (st == ILK_OK)
        st = place(&dir, err, all.data, m->commit, "");
    if (st == ILK_OK)
        st = place(&aside, err, c->locks, m->commit, ".new");
    if (st == ILK_OK && v->stat(v, dir.data, false, &info, NULL) != ILK_OK) {
        /* links made aside point to nothing until they are where they belong */
        st = link_files(v, aside.data, m, err);
        if (st == ILK_OK)
            st = v->sync_dir(v, aside.data, err);
        if (st == ILK_OK)
            st = v->rename(v, aside.data, dir.data, err);
    }
    if (st == ILK_OK) /* and what a snapshot that was there lacked */
        st = link_files(v, dir.data, m, err);
    if (st == ILK_OK)
        st = v->sync_dir(v, dir.data, err);
    if (st == ILK_OK)
        st = v->sync_dir(v, all.data, err);
    ilki_base_buf_deinit(&all);
    ilki_base_buf_deinit(&dir);
    ilki_base_buf_deinit(&aside);
    return st;
}

/* The file is made aside: below refs, everything is read as a ref. */
static ilk_status write_new(const ilki_vfs *v, const char *path, const char *text, ilk_error *err)
{
    ilki_file *f = NULL;
    ilk_status st = v->open(v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_SHARED | ILKI_OPEN_NOFOLLOW,
                            err);
    if (st == ILK_OK)
        st = v->truncate(f, 0, err);
    if (st == ILK_OK)
        st = v->write(f, 0, text, strlen(text), err);
    if (st == ILK_OK)
        st = v->sync(f, err);
    if (f)
        v->close(f);
    return st;
}

static ilk_status write_ref(const ilki_hub_cache *c, const char *commit, const char *revision, ilk_error *err)
{
    const ilki_vfs *v = c->rt->vfs;
    ilki_buf refs, ref, aside;
    char *dir = NULL, *old = NULL;
    size_t n;
    ilki_base_buf_init(&ref, MAX_PATH);
    ilki_base_buf_init(&aside, MAX_PATH);
    ilk_status st = place(&refs, err, c->repo, "refs", "");
    if (st == ILK_OK)
        st = place(&ref, err, refs.data, revision, "");
    if (st == ILK_OK)
        st = place(&aside, err, c->locks, commit, ".ref");
    bool same = st == ILK_OK && ilki_base_read_file(v, ref.data, 64, &old, &n, NULL) == ILK_OK &&
                strcmp(old, commit) == 0;
    if (st == ILK_OK && !same) {
        dir = ilki_base_path_dir(ref.data);
        st = dir ? ilki_base_make_dirs(v, dir, 0777, err) : ilki_base_fail_memory(err, ref.len, "a path");
        if (st == ILK_OK)
            st = write_new(v, aside.data, commit, err);
        if (st == ILK_OK)
            st = v->rename(v, aside.data, ref.data, err);
        if (st == ILK_OK)
            st = v->sync_dir(v, dir, err);
    }
    free(dir);
    free(old);
    ilki_base_buf_deinit(&refs);
    ilki_base_buf_deinit(&ref);
    ilki_base_buf_deinit(&aside);
    return st;
}

ilk_status ilki_net_cache_publish(ilki_hub_cache *c, const ilki_hub_model *m, const char *revision, ilk_error *err)
{
    ilki_file *lock = NULL;
    ilk_status st = take_lock(c, m->commit, &lock, err);
    if (st == ILK_OK)
        st = show_snapshot(c, m, err);
    if (st == ILK_OK && strcmp(revision, m->commit) != 0)
        st = write_ref(c, m->commit, revision, err);
    if (lock)
        c->rt->vfs->close(lock);
    return st;
}
