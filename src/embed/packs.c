/* SPDX-License-Identifier: Apache-2.0
 * See packs.h. Packing is done again at every start unless it is worth a file: f32 and bf16 are hardly more than copied (0.2
 * ns a byte), so only large models gain; 8 bits are read, watched, chosen and packed twice (1 ns a byte). Below LEAST_NS
 * nothing is looked up, hashed or written that would not be anyway.
 *
 * A file is found by the folder's fingerprint as it is remembered for files that lie there so (fingerprint.c); nothing is
 * hashed to find one. To keep one the fingerprint is asked for, and the folder is looked at again: if it has changed since
 * before the weights were read, they are nobody's.
 *
 * A file that was used is touched, at most once an hour, and the folder's ceiling throws out those touched longest ago.
 * Writers need no lock: each has a name of its own until it renames, and two that rename write the same. */
#include "embed/packs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "embed/auto.h"
#include "embed/state.h"
#include "models/settle.h"

#define FOLDER "packed"
#define SUFFIX ".pack"
#define TEMP   ".tmp-"

enum { MAX_LISTED = 4096 };
static const int64_t hour_ns = 3600 * INT64_C(1000000000);

/* ------------------------------------------------------------------ names */

static void add_text(ilki_sha256 *sha, const char *s)
{
    ilki_base_sha256_add(sha, s, strlen(s) + 1);
}

/* The file's path, NULL where there is no cache; and the key in it. */
static char *path_of(const ilk_model *m, const char *fingerprint, uint8_t key[ILKI_PACK_KEY])
{
    const ilki_kern_ops *ops = m->rt->ops;
    char layouts[128], hex[2 * ILKI_PACK_KEY + 1], name[160];
    ilki_sha256 sha;
    snprintf(layouts, sizeof layouts, "f32 %zu bf16 %zu i8 %zu models %d", ops->layout_f32, ops->layout_bf16,
             ops->layout_i8, ILKI_MODELS_LAYOUT);
    ilki_base_sha256_init(&sha);
    add_text(&sha, ILK_VERSION);
    add_text(&sha, fingerprint);
    add_text(&sha, m->rt->kernels);
    add_text(&sha, layouts);
    add_text(&sha, ilk_precision_name(m->info.precision));
    ilki_base_sha256_end(&sha, key);
    ilki_base_hex(key, ILKI_PACK_KEY, hex);
    snprintf(name, sizeof name, FOLDER "/%.16s-%s-%.32s" SUFFIX, fingerprint, ilk_precision_name(m->info.precision),
             hex);
    return ilki_embed_cache_path(name);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ------------------------------------------------------------------ finding */

static bool has_cache(const ilk_model *m)
{
    return m->packed_cache != ILK_PACKED_OFF && !m->no_mmap && !m->streamed && m->glance[0] && m->rt->packed_ceiling &&
           m->rt->vfs->map != NULL;
}

void ilki_embed_packs_find(ilk_model *m)
{
    const ilki_vfs *vfs = m->rt->vfs;
    char fingerprint[65];
    uint8_t key[ILKI_PACK_KEY];
    ilk_error err;
    if (!has_cache(m))
        return;
    ilk_error_init(&err);
    char *path = ilki_embed_recall_folder(m, fingerprint) ? path_of(m, fingerprint, key) : NULL;
    ilk_status st = path ? ilki_tensor_packs_open(&m->packs, vfs, path, key, &err) : ILK_NOT_FOUND;
    if (st == ILK_OK) {
        m->packed_file = path;
        if (vfs->touch && now_ns() - ilki_tensor_packs_mtime_ns(m->packs) > hour_ns)
            vfs->touch(vfs, path, NULL);
        return;
    }
    free(path);
    if (st != ILK_NOT_FOUND)
        ilki_base_log(m->rt, ILK_LOG_INFO, "packed weights are not taken: %s", err.message);
    if (m->packed_cache == ILK_PACKED_KEEP)
        m->packs = ilki_tensor_packs_new();
}

void ilki_embed_packs_drop(ilk_model *m)
{
    ilki_tensor_packs_close(m->packs);
    free(m->packed_file);
    m->packs = NULL;
    m->packed_file = NULL;
}

void ilki_embed_packs_refuse(ilk_model *m, const ilk_error *why)
{
    ilki_base_log(m->rt, ILK_LOG_INFO, "packed weights are not taken: %s", why->message);
    ilki_embed_packs_drop(m);
    if (m->packed_cache == ILK_PACKED_KEEP)
        m->packs = ilki_tensor_packs_new();
}

/* ------------------------------------------------------------------ room */

typedef struct kept {
    char *path;
    uint64_t size;
    int64_t mtime_ns;
} kept;

typedef struct folder {
    const ilki_vfs *vfs;
    const char *dir;
    kept list[MAX_LISTED];
    size_t n;
    uint64_t n_bytes;
    bool clean; /* what a killed writer left goes */
} folder;

static bool see(void *user, const char *name, ilki_file_type type)
{
    folder *f = user;
    ilki_stat st;
    size_t len = strlen(name);
    bool temp = strstr(name, SUFFIX TEMP) != NULL;
    bool ours = len > strlen(SUFFIX) && strcmp(name + len - strlen(SUFFIX), SUFFIX) == 0;
    (void)type;
    char *path = ours || temp ? ilki_base_path_join(f->dir, name) : NULL;
    if (path && f->vfs->stat(f->vfs, path, false, &st, NULL) == ILK_OK && st.type == ILKI_FILE_REGULAR) {
        if (temp && f->clean && now_ns() - st.mtime_ns > hour_ns) {
            f->vfs->unlink(f->vfs, path, NULL);
        } else {
            f->n_bytes += st.size;
            if (ours && f->n < MAX_LISTED) {
                f->list[f->n++] = (kept){path, st.size, st.mtime_ns};
                path = NULL;
            }
        }
    }
    free(path);
    return true;
}

static int by_age(const void *a, const void *b)
{
    int64_t x = ((const kept *)a)->mtime_ns, y = ((const kept *)b)->mtime_ns;
    return (x > y) - (x < y);
}

/* NULL when memory is short. */
static folder *list_folder(const ilki_vfs *vfs, const char *dir, bool clean)
{
    folder *f = ilki_base_zalloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->vfs = vfs;
    f->dir = dir;
    f->clean = clean;
    vfs->list(vfs, dir, see, f, NULL);
    qsort(f->list, f->n, sizeof *f->list, by_age);
    return f;
}

static void free_folder(folder *f)
{
    for (size_t i = 0; f && i < f->n; i++)
        free(f->list[i].path);
    free(f);
}

void ilki_embed_packs_make_room(const ilki_vfs *vfs, const char *dir, uint64_t ceiling, uint64_t n_bytes)
{
    folder *f = list_folder(vfs, dir, true);
    uint64_t most = n_bytes < ceiling ? ceiling - n_bytes : 0;
    for (size_t i = 0; f && i < f->n && f->n_bytes > most; i++)
        if (vfs->unlink(vfs, f->list[i].path, NULL) == ILK_OK)
            f->n_bytes -= f->list[i].size;
    free_folder(f);
}

ilk_status ilki_embed_packs_info(const ilk_runtime *rt, ilk_packed_info *out, ilk_error *err)
{
    char *dir = ilki_embed_cache_path(FOLDER);
    ilk_packed_info info = {.size = sizeof info, .ceiling_bytes = rt->packed_ceiling};
    if (!dir)
        return ilki_base_fail(err, ILK_NOT_FOUND, "packed weights: neither XDG_CACHE_HOME nor HOME is set");
    folder *f = list_folder(rt->vfs, dir, false);
    snprintf(info.folder, sizeof info.folder, "%s", dir);
    if (f) {
        info.n_files = f->n;
        info.n_bytes = f->n_bytes;
    }
    ilk_status st = f ? ILK_OK : ilki_base_fail_memory(err, sizeof *f, "a folder");
    free_folder(f);
    free(dir);
    *out = info;
    return st;
}

/* ------------------------------------------------------------------ keeping */

/* What packing the same again would cost a calm machine. */
static uint64_t cost_ns(const ilki_packs *p)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < ilki_tensor_packs_count(p); i++) {
        const ilki_pack *pack = ilki_tensor_packs_view(p, i);
        bool floats = pack->kind == ILKI_PACK_LINEAR && pack->form < ILKI_FORM_I8;
        ns += floats ? pack->n_bytes / 5 : pack->n_bytes;
    }
    return ns;
}

/* The folder lies as it did before its weights were read. */
static bool is_unchanged(const ilk_model *m)
{
    char glance[65];
    ilki_embed_glance(m->rt->vfs, m->root, m->glance_name, glance);
    return strcmp(glance, m->glance) == 0;
}

/* A quarter of what is free at most: a cache does not fill a disk. */
static bool has_space(const ilki_vfs *vfs, const char *dir, uint64_t n_bytes)
{
    uint64_t n = 0;
    return !vfs->free_bytes || vfs->free_bytes(vfs, dir, &n, NULL) != ILK_OK || n / 4 >= n_bytes;
}

static ilk_status write_packs(ilk_model *m, uint64_t n_bytes, ilk_error *err)
{
    const ilki_vfs *vfs = m->rt->vfs;
    const char *fingerprint = NULL;
    uint8_t key[ILKI_PACK_KEY];
    ilk_status st = ilki_embed_fingerprint(m, NULL, &fingerprint, err);
    if (st != ILK_OK || !is_unchanged(m))
        return st;
    char *path = path_of(m, fingerprint, key), *dir = path ? ilki_base_path_dir(path) : NULL;
    if (dir)
        st = ilki_base_make_dirs(vfs, dir, 0700, err);
    if (dir && st == ILK_OK) {
        ilki_embed_packs_make_room(vfs, dir, m->rt->packed_ceiling, n_bytes);
        if (has_space(vfs, dir, n_bytes))
            st = ilki_tensor_packs_write(m->packs, vfs, path, key, err);
    }
    free(dir);
    free(path);
    return st;
}

void ilki_embed_packs_keep(ilk_model *m)
{
    ilk_error err;
    if (!m->packs || ilki_tensor_packs_mapped(m->packs))
        return;
    ilk_error_init(&err);
    uint64_t n_bytes = ilki_tensor_packs_bytes(m->packs);
    if (m->glance[0] && cost_ns(m->packs) >= m->rt->packed_least_ns && n_bytes <= m->rt->packed_ceiling / 2 &&
        write_packs(m, n_bytes, &err) != ILK_OK)
        ilki_base_log(m->rt, ILK_LOG_INFO, "packed weights are not kept: %s", err.message);
    ilki_embed_packs_drop(m);
}
