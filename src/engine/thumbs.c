/* SPDX-License-Identifier: Apache-2.0
 * Thumbnails, made when somebody wants to see them: most pictures of a folder never are, and an ingest should not pay for
 * them. A JPEG is decoded at an eighth of its size, so a page of them takes as long as a few whole pictures.
 *
 * The cache: XDG_CACHE_HOME/ilk/thumbnails/AB/CDEF...-SIDE[x].jpg, by the SHA-256 of the file's content, "x" for one that
 * is not turned. It is shared by all stores and holds nothing that cannot be made again: a file in it that is no JPEG is as
 * good as none, and of each of its 256 folders the oldest files go when there are more than 64. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "embed/embed.h"
#include "engine/ingest.h"
#include "media/decode.h"

enum { DEFAULT_SIDE = 256, MOST_SIDE = 1024, MAX_FILE_BYTES = 256 << 20, MOST_KEPT = 64, NAME_BYTES = 96 };

typedef struct wanted {
    char *absolute; /* of the source; NULL: it is not in the store */
    uint8_t hash[32];
    uint64_t n_bytes;
    int64_t mtime_ns;
} wanted;

typedef struct making {
    ilk_store *s;
    ilki_media *media;
    ilk_job *job;
    uint32_t side;
    bool turned;
    char *cache; /* its folder; NULL: none */
    wanted *wants;
    ilk_thumbnail *list;
} making;

/* ------------------------------------------------------------------ the cache */

/* The folder of a hash, or the file in it; freed with free(). */
static char *place_of(const making *k, const uint8_t hash[32], bool file)
{
    char hex[65], name[NAME_BYTES];
    if (!k->cache)
        return NULL;
    ilki_base_hex(hash, 32, hex);
    if (file)
        snprintf(name, sizeof name, "%.2s/%s-%u%s.jpg", hex, hex + 2, k->side, k->turned ? "" : "x");
    else
        snprintf(name, sizeof name, "%.2s", hex);
    return ilki_base_path_join(k->cache, name);
}

static uint32_t be16(const unsigned char *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

/* Width and height from the frame's header; false: it is none of ours, or not all of one. */
static bool jpeg_size(const unsigned char *p, size_t n, uint32_t most, uint32_t *width, uint32_t *height)
{
    if (n < 4 || p[0] != 0xff || p[1] != 0xd8 || p[n - 2] != 0xff || p[n - 1] != 0xd9)
        return false;
    for (size_t at = 2; n - at >= 9 && p[at] == 0xff; at += 2 + be16(p + at + 2)) {
        if (p[at + 1] == 0xc0 || p[at + 1] == 0xc2) {
            *height = be16(p + at + 5);
            *width = be16(p + at + 7);
            return *width && *height && *width <= most && *height <= most;
        }
        if (be16(p + at + 2) + 2 > n - at)
            return false;
    }
    return false;
}

static bool read_cached(const making *k, const uint8_t hash[32], ilk_thumbnail *t)
{
    char *path = place_of(k, hash, true), *data = NULL;
    size_t n;
    bool ok = path && ilki_base_read_file(k->s->rt->vfs, path, ILKI_MEDIA_MAX_FILE, &data, &n, NULL) == ILK_OK &&
              jpeg_size((const unsigned char *)data, n, k->side, &t->width, &t->height);
    free(path);
    if (!ok) {
        free(data);
        return false;
    }
    t->data = data;
    t->n_bytes = n;
    return true;
}

typedef struct oldest {
    const ilki_vfs *vfs;
    const char *dir;
    char name[NAME_BYTES];
    int64_t mtime_ns;
    size_t n;
} oldest;

static bool look_at(void *user, const char *name, ilki_file_type type)
{
    oldest *o = user;
    ilki_stat st;
    char *path = type == ILKI_FILE_REGULAR && strlen(name) < sizeof o->name ? ilki_base_path_join(o->dir, name) : NULL;
    if (path && o->vfs->stat(o->vfs, path, false, &st, NULL) == ILK_OK && (o->n++ == 0 || st.mtime_ns < o->mtime_ns)) {
        o->mtime_ns = st.mtime_ns;
        snprintf(o->name, sizeof o->name, "%s", name);
    }
    free(path);
    return true;
}

/* Best effort: without a cache a thumbnail is made each time. */
static void write_cached(const making *k, const uint8_t hash[32], const ilk_thumbnail *t)
{
    const ilki_vfs *vfs = k->s->rt->vfs;
    char *dir = place_of(k, hash, false), *path = place_of(k, hash, true);
    if (dir && path && ilki_base_make_dirs(vfs, dir, 0700, NULL) == ILK_OK &&
        ilki_base_write_file(vfs, path, t->data, t->n_bytes, NULL) == ILK_OK) {
        oldest o = {.vfs = vfs, .dir = dir};
        vfs->list(vfs, dir, look_at, &o, NULL);
        char *victim = o.n > MOST_KEPT ? ilki_base_path_join(dir, o.name) : NULL;
        if (victim)
            vfs->unlink(vfs, victim, NULL);
        free(victim);
    }
    free(dir);
    free(path);
}

/* ------------------------------------------------------------------ one */

static void fail(ilk_thumbnail *t, const ilk_error *why)
{
    t->status = why->status;
    t->message = ilki_base_strndup(why->message, strlen(why->message));
}

static ilk_status make(making *k, const wanted *w, ilk_thumbnail *t, ilk_error *err)
{
    char *data = NULL;
    size_t n;
    uint8_t hash[32];
    ilki_media_small small;
    ilk_status st = ilki_base_read_file(k->s->rt->vfs, w->absolute, MAX_FILE_BYTES, &data, &n, err);
    if (st)
        return st;
    ilki_base_sha256(data, n, hash);
    bool known = read_cached(k, hash, t);
    if (!known)
        st = ilki_media_make_small(k->media, data, n, (uint16_t)k->side, k->turned, k->job, &small, err);
    free(data);
    if (st || known)
        return st;
    t->data = small.data;
    t->n_bytes = small.n_bytes;
    t->width = small.width;
    t->height = small.height;
    write_cached(k, hash, t);
    return ILK_OK;
}

static void make_one(void *arg, size_t i, unsigned slot)
{
    making *k = arg;
    const wanted *w = &k->wants[i];
    ilk_thumbnail *t = &k->list[i];
    ilki_stat st;
    ilk_error err;
    (void)slot;
    ilk_error_init_sized(&err, sizeof err);
    t->size = sizeof *t;
    if (!w->absolute) {
        ilki_base_fail(&err, ILK_NOT_FOUND, "no file of this name is in the store");
        fail(t, &err);
        return;
    }
    const ilki_vfs *vfs = k->s->rt->vfs;
    bool there = vfs->stat(vfs, w->absolute, true, &st, NULL) == ILK_OK;
    bool changed = there && (st.size != w->n_bytes || (w->mtime_ns && st.mtime_ns != w->mtime_ns));
    if (changed || !read_cached(k, w->hash, t))
        if (make(k, w, t, &err))
            fail(t, &err);
}

/* ------------------------------------------------------------------ all */

typedef struct finding {
    ilk_store *s;
    wanted *w;
    bool short_of_memory;
} finding;

static bool take_source(void *user, const ilki_source *src)
{
    finding *f = user;
    f->w->absolute = ilki_engine_absolute(f->s, src);
    f->short_of_memory = !f->w->absolute;
    memcpy(f->w->hash, src->content_hash, 32);
    f->w->n_bytes = src->n_bytes;
    f->w->mtime_ns = src->mtime_ns;
    return false;
}

static ilk_status find_sources(making *k, ilki_store *store, const char *const *paths, size_t n, ilk_error *err)
{
    ilk_status st = ilki_store_refresh(store, err);
    for (size_t i = 0; !st && i < n; i++) {
        finding f = {k->s, &k->wants[i], false};
        bool top = paths[i][0] == '/';
        st = ilki_store_source_by_path(store, top ? "/" : "", paths[i] + top, take_source, &f, err);
        st = st == ILK_NOT_FOUND ? ILK_OK : st;
        if (!st && f.short_of_memory)
            st = ilki_base_fail_memory(err, strlen(paths[i]), "a path");
    }
    return st;
}

void ilki_engine_thumbnails_free(ilk_thumbnails *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->list && i < t->n; i++) {
        free((void *)(uintptr_t)t->list[i].data);
        free((void *)(uintptr_t)t->list[i].message);
    }
    free(t->list);
    free(t);
}

/* What ends the call, and not one picture alone. */
static ilk_status end_of(const making *k, size_t n, ilk_error *err)
{
    ilk_status st = ilki_base_job_check(k->job, err);
    for (size_t i = 0; !st && i < n; i++)
        if (k->list[i].status == ILK_NO_MEMORY)
            st = ilki_base_fail(err, ILK_NO_MEMORY, "%s", k->list[i].message ? k->list[i].message : "out of memory");
    return st;
}

ilk_status ilki_engine_thumbnails(ilk_store *s, const char *const *paths, size_t n, const ilk_thumbnail_options *opt,
                                  ilk_job *job, ilk_thumbnails **out, ilk_error *err)
{
    making k = {.s = s, .job = job, .turned = !opt->no_exif, .side = opt->side ? opt->side : DEFAULT_SIDE};
    ilki_store *store = ilki_engine_local_store(s->backend);
    *out = NULL;
    if (k.side > MOST_SIDE)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "thumbnails: expected a side of at most %d, found %u",
                              (int)MOST_SIDE, k.side);
    if (!store)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "backend \"%s\" keeps no source files", s->backend->type->name);
    ilk_status st = ilki_media_of(s->rt, &k.media, err);
    if (!st)
        st = ilki_media_check(k.media, "jpeg", job, err);
    if (st)
        return st;
    ilk_thumbnails *t = ilki_base_zalloc(1, sizeof *t);
    k.wants = ilki_base_zalloc(n, sizeof *k.wants);
    if (t)
        t->list = k.list = ilki_base_zalloc(t->n = n, sizeof *k.list);
    if (!t || !k.wants || !k.list)
        st = ilki_base_fail_memory(err, n * sizeof *k.list, "thumbnails");
    k.cache = ilki_embed_cache_path("thumbnails");
    if (!st)
        st = find_sources(&k, store, paths, n, err);
    ilki_run run = {.fn = make_one, .arg = &k, .n_tasks = n, .job = job};
    if (!st && n)
        st = ilki_base_pool_run(s->rt->pool, &run, err);
    if (!st)
        st = end_of(&k, n, err);
    for (size_t i = 0; k.wants && i < n; i++)
        free(k.wants[i].absolute);
    free(k.wants);
    free(k.cache);
    if (st)
        ilki_engine_thumbnails_free(t);
    else
        *out = t;
    return st;
}
