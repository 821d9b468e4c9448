/* SPDX-License-Identifier: Apache-2.0
 * Folders into a store. Every file met is judged: by size, time and inode first, then by the hash of its content. What is
 * unchanged costs a stat; what moved keeps its id and vectors and gets another source record; the rest is cut, embedded
 * and written. At the end of a run over a folder the items of files that are no longer in it are deleted.
 *
 * A record also holds a hash of what made the items (chunking, models, this file's version): other settings, other items.
 * A file that was written less than a tenth of a second before it was read is recorded without its time, since it could
 * change again within the clock's grain: the next run compares its content. */
#include "engine/ingest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "engine/walk.h"

enum {
    MAX_READ_FILES = 64,
    MAX_READ_BYTES = 4 << 20,
    MAX_READ_PICTURES = 32 << 20, /* bytes of their files, and of what models are given of them */
    DEFAULT_MAX_BYTES = 32 << 20,
    DEFAULT_MAX_PICTURE_BYTES = 256 << 20,
    FIRST_GROUP = 64,
    GRAIN_NS = 100 * 1000 * 1000
};

/* ------------------------------------------------------------------ begin and end */

static ilk_status check_backend(ilki_ingest *g, ilk_error *err)
{
    if (!g->s->backend) /* planned */
        return ILK_OK;
    uint32_t caps = g->s->backend->type->capabilities(g->s->backend);
    g->store = ilki_engine_local_store(g->s->backend);
    if (!g->store || !(caps & ILKI_CAP_SOURCES))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "backend \"%s\" keeps no source files", g->s->backend->type->name);
    if (caps & ILKI_CAP_READ_ONLY && !g->opt->dry_run)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "store %s is open read-only", g->s->path);
    return g->opt->dry_run ? ilki_store_refresh(g->store, err) : ILK_OK;
}

static ilk_status set_up(ilki_ingest *g, ilk_error *err)
{
    ilk_status st = check_backend(g, err);
    if (st)
        return st;
    g->n_threads = ilki_base_pool_threads(g->rt->pool);
    g->scratch = ilki_base_zalloc(g->n_threads, sizeof *g->scratch);
    g->spare = ilki_base_zalloc(g->n_models, sizeof *g->spare);
    bool ok = g->scratch && g->spare;
    for (unsigned i = 0; ok && i < g->n_threads; i++)
        ok = (g->scratch[i] = ilki_text_scratch_new()) != NULL;
    st = ok ? ILK_OK : ilki_base_fail_memory(err, g->n_threads * sizeof *g->scratch, "an ingest");
    if (!st && g->store)
        st = ilki_engine_known_load(&g->known, g->store, err);
    if (!st)
        st = ilki_engine_decide_settings(g, err);
    g->group = FIRST_GROUP;
    g->max_bytes = g->opt->max_file_bytes ? g->opt->max_file_bytes : DEFAULT_MAX_BYTES;
    g->max_picture_bytes = g->opt->max_file_bytes ? g->opt->max_file_bytes : DEFAULT_MAX_PICTURE_BYTES;
    g->committed_ns = ilki_base_now_ns();
    return st;
}

static void tear_down(ilki_ingest *g)
{
    for (unsigned i = 0; g->scratch && i < g->n_threads; i++)
        ilki_text_scratch_free(g->scratch[i]);
    free(g->scratch);
    free(g->own);
    free(g->names);
    free(g->spaces);
    free(g->kept_ocr);
    ilki_engine_work_list_deinit(&g->read);
    ilki_engine_work_list_deinit(&g->open);
    ilki_engine_work_list_deinit(&g->done);
    ilki_engine_spare_deinit(g);
    pthread_mutex_destroy(&g->spare_lock);
    ilki_engine_known_deinit(&g->known);
    for (size_t i = 0; i < g->n_unread; i++)
        free(g->unread[i]);
    free(g->unread);
}

/* ------------------------------------------------------------------ one file */

void ilki_engine_progress(ilki_ingest *g, bool last)
{
    uint64_t n = g->n_settled + g->done.n; /* done: all but written */
    if (g->n_total < n)
        g->n_total = n;
    ilki_base_job_progress(g->job, "index", "files", n, g->n_total, g->result->n_skipped, last);
}

/* A fate that needs no record. */
static void tell_now(ilki_ingest *g, ilk_event_kind kind, const char *path, const char *reason)
{
    ilk_event e = {.size = sizeof e, .kind = kind, .path = path, .reason = reason};
    ilki_engine_tell(g->opt, g->result, &e);
    g->n_settled++;
}

/* Neither read nor written since: nothing is to be done. */
static bool is_untouched(const ilki_ingest *g, const ilki_source *src, const ilki_stat *st)
{
    return (src->state == ILKI_SOURCE_INDEXED || src->state == ILKI_SOURCE_SKIPPED) && src->mtime_ns != 0 &&
           src->mtime_ns == st->mtime_ns && src->n_bytes == st->size && src->ino == st->ino &&
           ilki_engine_same_settings(g, src);
}

static bool same_extension(const char *a, const char *b)
{
    const char *x = strrchr(ilki_base_path_name(a), '.'), *y = strrchr(ilki_base_path_name(b), '.');
    return x && y ? strcmp(x, y) == 0 : x == y;
}

/* A source of the same content whose file is gone: this file is where it went. */
static ilki_known *find_moved(ilki_ingest *g, const uint8_t hash[32], const char *path)
{
    ilki_known *e = ilki_engine_known_by_hash(&g->known, hash);
    for (; e; e = ilki_engine_known_next(&g->known, e)) {
        ilki_stat st;
        if (e->seen || e->state != ILKI_SOURCE_INDEXED || memcmp(e->content_hash, hash, 32) != 0)
            continue;
        ilki_source src = ilki_engine_known_source(&g->known, e);
        if (!ilki_engine_same_settings(g, &src) || !same_extension(src.path, path))
            continue;
        char *absolute = ilki_engine_absolute(g->s, &src);
        bool gone = absolute && g->vfs->stat(g->vfs, absolute, true, &st, NULL) == ILK_NOT_FOUND;
        free(absolute);
        if (gone)
            return e;
    }
    return NULL;
}

static void record_stat(ilki_source *src, const ilki_stat *st)
{
    struct timespec now = {0};
    timespec_get(&now, TIME_UTC);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    bool fresh = st->mtime_ns > now_ns - GRAIN_NS;
    src->dev = st->dev;
    src->ino = st->ino;
    src->n_bytes = st->size;
    src->mtime_ns = fresh ? 0 : st->mtime_ns;
}

/* Judges a file that was read: unchanged, moved, or to be cut. Takes w and its data. */
static ilk_status judge(ilki_ingest *g, ilki_file_work *w, ilki_known *moved, ilk_error *err)
{
    const ilki_source *had = &w->had;
    bool same = memcmp(had->content_hash, w->src.content_hash, 32) == 0 && ilki_engine_same_settings(g, had);
    bool has_items = had->state == ILKI_SOURCE_INDEXED || (had->state == ILKI_SOURCE_FAILED && had->n_items > 0);
    if (moved || (same && has_items)) {
        w->src.state = ILKI_SOURCE_INDEXED;
        return ilki_engine_settle(g, w, moved ? ILK_EVENT_MOVED : ILK_EVENT_UNCHANGED, NULL, err);
    }
    w->drop_items = had->n_items > 0;
    memcpy(w->src.settings_hash, g->settings[w->picture ? ILKI_PICTURE : ILKI_DOCUMENT], 32);
    ilk_status st = w->picture ? ilki_engine_plan_picture(g, w, err) : ILK_OK;
    *(w->picture ? &g->read_pictures : &g->read_bytes) += w->n_data + w->rows_bytes;
    if (!st && !ilki_engine_work_push(&g->read, w))
        st = ilki_base_fail_memory(err, sizeof *w, "a file");
    if (st)
        ilki_engine_work_free(w);
    return st;
}

/* A file that could not be read, or should not be. */
static ilk_status give_up(ilki_ingest *g, ilki_file_work *w, const ilki_stat *st, const ilk_error *why, ilk_error *err)
{
    if (why->status == ILK_UNSUPPORTED) {
        record_stat(&w->src, st);
        memcpy(w->src.settings_hash, g->settings[w->picture ? ILKI_PICTURE : ILKI_DOCUMENT], 32);
        memset(w->src.content_hash, 0, 32);
        return ilki_engine_settle(g, w, ILK_EVENT_SKIPPED, why->message, err);
    }
    if (g->opt->strict && !g->strict_status)
        g->strict_status = ilki_base_fail(err, why->status, "%s: %s", w->src.path, why->message);
    return ilki_engine_settle(g, w, ILK_EVENT_FAILED, why->message, err);
}

static ilk_status hash_content(const ilki_ingest *g, const char *data, size_t n, uint8_t hash[32], ilk_error *err)
{
    enum { PIECE = 4 << 20 };
    ilki_sha256 h;
    ilk_status st = ILK_OK;
    ilki_base_sha256_init(&h);
    for (size_t at = 0; !st && at < n; at += PIECE) {
        ilki_base_sha256_add(&h, data + at, n - at < PIECE ? n - at : PIECE);
        st = ilki_base_job_check(g->job, err);
    }
    ilki_base_sha256_end(&h, hash);
    return st;
}

static ilk_status read_file(ilki_ingest *g, const char *absolute, ilki_known *known, const char *root, const char *path,
                            const ilki_stat *seen, ilk_error *err)
{
    ilki_stat st = *seen;
    ilk_error why;
    ilki_content c;
    uint8_t hash[32];
    ilki_known *moved = NULL;
    ilk_error_init_sized(&why, sizeof why);
    ilk_status status = ilki_engine_read_source(g, absolute, path, &c, &st, &why);
    if (!status)
        status = hash_content(g, c.data, c.n, hash, &why);
    if (status == ILK_NO_MEMORY || status == ILK_CANCELLED || status == ILK_DEADLINE) {
        free(c.data);
        ilki_base_error_copy(err, &why);
        return status;
    }
    if (status == ILK_NOT_FOUND) /* deleted since its folder was listed */
        return ILK_OK;
    if (!status)
        moved = known ? NULL : find_moved(g, hash, path);
    ilk_status made = ILK_OK;
    if (moved)
        made = ilki_engine_known_move(&g->known, known = moved, root, path, err);
    else if (!known)
        made = ilki_engine_known_add(&g->known, root, path, &known, err);
    const ilki_source had = made ? (ilki_source){0} : ilki_engine_known_source(&g->known, known);
    ilki_file_work *w = made ? NULL : ilki_engine_work_new(known, &had);
    if (!w) {
        free(c.data);
        return made ? made : ilki_base_fail_memory(err, sizeof *w, "a file");
    }
    known->seen = true;
    w->data = c.data;
    w->n_data = c.n;
    w->picture = c.is.is == ILKI_SNIFFED_NOTHING ? NULL : c.is.reader ? c.is.reader : c.is.what;
    if (status)
        return give_up(g, w, &st, &why, err);
    memcpy(w->src.content_hash, hash, 32);
    record_stat(&w->src, &st);
    return judge(g, w, moved, err);
}

/* Cuts, embeds and writes what has gathered. */
static ilk_status work_on(ilki_ingest *g, bool all, ilk_error *err)
{
    ilk_status st = ILK_OK;
    if (all || g->read.n >= MAX_READ_FILES || g->read_bytes >= MAX_READ_BYTES || g->read_pictures >= MAX_READ_PICTURES)
        st = ilki_engine_cut(g, err);
    if (!st)
        st = ilki_engine_embed_open(g, all, err);
    if (!st && all)
        st = ilki_engine_commit(g, err);
    ilki_engine_progress(g, false);
    return st;
}

static ilk_status meet(ilki_ingest *g, const char *absolute, const ilki_stat *st, ilk_error *err)
{
    const char *root, *path;
    ilki_engine_locate(g->s, absolute, &root, &path);
    ilki_known *known = ilki_engine_known_find(&g->known, root, path);
    if (known && known->seen)
        return ILK_OK; /* two of the folders given hold it */
    g->result->n_files++;
    ilk_status status = ILK_OK;
    const ilki_source had = known ? ilki_engine_known_source(&g->known, known) : (ilki_source){0};
    if (known)
        known->seen = true;
    if (known && is_untouched(g, &had, st)) {
        tell_now(g, had.state == ILKI_SOURCE_SKIPPED ? ILK_EVENT_SKIPPED : ILK_EVENT_UNCHANGED, path, had.reason);
    } else {
        status = read_file(g, absolute, known, root, path, st, err);
    }
    if (!status)
        status = work_on(g, false, err);
    return status ? status : g->strict_status;
}

/* ------------------------------------------------------------------ folders */

static ilk_status add_unread(ilki_ingest *g, const char *path, ilk_error *err)
{
    if (g->n_unread == g->cap_unread) {
        size_t cap = g->cap_unread ? g->cap_unread * 2 : 8;
        char **more = realloc(g->unread, cap * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, cap * sizeof *more, "folders");
        g->unread = more;
        g->cap_unread = cap;
    }
    if (!(g->unread[g->n_unread] = ilki_base_strndup(path, strlen(path))))
        return ilki_base_fail_memory(err, strlen(path), "folders");
    g->n_unread++;
    return ILK_OK;
}

static ilk_status on_entry(void *user, const ilki_walk_entry *e, ilk_error *err)
{
    ilki_ingest *g = user;
    const char *root, *path;
    if (e->status == ILK_OK)
        return meet(g, e->path, &e->st, err);
    ilki_engine_locate(g->s, e->path, &root, &path);
    g->result->n_files++;
    tell_now(g, e->status == ILK_UNSUPPORTED ? ILK_EVENT_SKIPPED : ILK_EVENT_FAILED, path, e->reason);
    if (e->status == ILK_UNSUPPORTED)
        return ILK_OK;
    if (g->opt->strict)
        return ilki_base_fail(err, e->status, "%s: %s", path, e->reason);
    return add_unread(g, e->path, err);
}

static ilk_status count_entry(void *user, const ilki_walk_entry *e, ilk_error *err)
{
    (void)err;
    *(uint64_t *)user += e->status == ILK_OK;
    return ILK_OK;
}

static ilki_walk_options walk_options(const ilki_ingest *g, bool names_only)
{
    ilki_walk_options o = {.hidden = g->opt->hidden != 0,
                           .no_ignore = g->opt->no_ignore != 0,
                           .exclude = g->opt->exclude,
                           .n_exclude = g->opt->n_exclude,
                           .names_only = names_only,
                           .job = g->job};
    ilki_stat st;
    if (g->vfs->stat(g->vfs, g->s->path, true, &st, NULL) == ILK_OK) {
        o.skip_dev = st.dev;
        o.skip_ino = st.ino;
    }
    return o;
}

typedef struct root {
    char *path; /* absolute; of a folder without links */
    ilki_stat st;
} root;

/* A folder is resolved whole; a file keeps its own name, so that a link to a file is found by the link's name. */
static ilk_status resolve_root(ilki_ingest *g, const char *given, root *r, ilk_error *err)
{
    ilk_status st = g->vfs->stat(g->vfs, given, true, &r->st, err);
    if (st)
        return st;
    if (r->st.type == ILKI_FILE_DIR) {
        r->path = realpath(given, NULL);
        return r->path ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, errno, "%s", given);
    }
    const char *name = ilki_base_path_name(given);
    char *dir = ilki_base_strndup(given, (size_t)(name - given));
    char *real = dir ? realpath(*dir ? dir : ".", NULL) : NULL;
    if (real)
        r->path = ilki_base_path_join(real, name);
    else if (dir)
        st = ilki_base_fail_errno(err, ILK_IO, errno, "%s", given);
    if (!st && !r->path)
        st = ilki_base_fail_memory(err, strlen(given), "a path");
    free(real);
    free(dir);
    return st;
}

typedef struct gone_from {
    const ilki_ingest *g;
    const root *roots;
    size_t n_roots;
} gone_from;

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || dir[n - 1] == '/');
}

/* Below a folder that was walked, not met, and not in a folder that could not be read. */
static bool is_gone(void *user, const ilki_source *src)
{
    const gone_from *f = user;
    char *path = ilki_engine_absolute(f->g->s, src);
    bool gone = false;
    for (size_t i = 0; path && !gone && i < f->n_roots; i++)
        gone = f->roots[i].st.type == ILKI_FILE_DIR && is_below(path, f->roots[i].path);
    for (size_t i = 0; gone && i < f->g->n_unread; i++)
        gone = strcmp(path, f->g->unread[i]) != 0 && !is_below(path, f->g->unread[i]);
    free(path);
    return gone;
}

static ilk_status run(ilki_ingest *g, root *roots, size_t n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    ilki_walk_options count = walk_options(g, true), all = walk_options(g, false);
    for (size_t i = 0; !st && i < n; i++)
        if (roots[i].st.type == ILKI_FILE_DIR)
            st = ilki_engine_walk(g->vfs, roots[i].path, &count, count_entry, &g->n_total, err);
        else
            g->n_total++;
    ilki_engine_progress(g, false);
    for (size_t i = 0; !st && i < n; i++)
        st = roots[i].st.type == ILKI_FILE_DIR ? ilki_engine_walk(g->vfs, roots[i].path, &all, on_entry, g, err)
                                               : meet(g, roots[i].path, &roots[i].st, err);
    if (!st)
        st = work_on(g, true, err);
    if (!st)
        st = g->strict_status;
    gone_from from = {.g = g, .roots = roots, .n_roots = n};
    if (!st && !g->opt->keep_missing)
        st = ilki_engine_remove(g->s, &g->known, is_gone, &from, g->opt->dry_run != 0, g->opt, g->job, g->result, err);
    return st;
}

/* Of a store that is still to be made, what a dry run looks at. */
static ilk_status plan_store(ilk_store *planned, const ilk_ingest_options *opt, ilk_error *err)
{
    const char *slash = strrchr(opt->where, '/');
    *planned = (ilk_store){.rt = opt->runtime, .path = ilki_base_strndup(opt->where, strlen(opt->where))};
    planned->home = ilki_base_strndup(opt->where, slash == opt->where ? 1 : (size_t)(slash - opt->where));
    return planned->path && planned->home ? ILK_OK : ilki_base_fail_memory(err, strlen(opt->where), "a path");
}

ilk_status ilki_engine_ingest(ilk_store *s, ilk_model *const *models, size_t n_models, const char *const *paths,
                              size_t n_paths, const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result,
                              ilk_error *err)
{
    ilk_store planned = {0};
    ilk_status st = s ? ILK_OK : plan_store(&planned, opt, err);
    s = s ? s : &planned;
    ilki_ingest g = {.s = s, .rt = s->rt, .vfs = s->rt->vfs, .models = models, .n_models = n_models};
    uint64_t begin = ilki_base_now_ns();
    pthread_mutex_init(&g.spare_lock, NULL);
    g.opt = opt;
    g.job = job;
    g.result = result;
    root *roots = ilki_base_zalloc(n_paths, sizeof *roots);
    if (!st && !roots)
        st = ilki_base_fail_memory(err, n_paths * sizeof *roots, "paths");
    for (size_t i = 0; !st && i < n_paths; i++)
        st = resolve_root(&g, paths[i], &roots[i], err);
    if (!st)
        st = set_up(&g, err);
    if (!st)
        st = run(&g, roots, n_paths, err);
    /* what is done is kept, whatever ended the run; its own failure says more than a cancel */
    if (st && g.done.n && ilki_engine_commit(&g, NULL) == ILK_OK)
        ilki_engine_progress(&g, false);
    if (!st)
        ilki_engine_progress(&g, true);
    result->seconds = (double)(ilki_base_now_ns() - begin) * 1e-9;
    tear_down(&g);
    for (size_t i = 0; roots && i < n_paths; i++)
        free(roots[i].path);
    free(roots);
    free(planned.path);
    free(planned.home);
    return st;
}
