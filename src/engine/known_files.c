/* SPDX-License-Identifier: Apache-2.0
 * Loaded once per ingest: about 300 bytes a file, against a query of the tables for each. Keys of the maps lie in the
 * arena and never change; what they lead to is compared again where it may have moved on. */
#include "engine/known_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* "root NUL path" */
static char *path_key(ilki_arena *a, const char *root, const char *path, size_t *n)
{
    size_t n_root = strlen(root), n_path = strlen(path);
    char *key = ilki_base_arena_alloc(a, n_root + n_path + 2, 1);
    if (!key)
        return NULL;
    memcpy(key, root, n_root + 1);
    memcpy(key + n_root + 1, path, n_path + 1);
    *n = n_root + 1 + n_path;
    return key;
}

/* Into the list and by_id; by_path unless GONE. */
static ilki_known *append(ilki_known_files *k, const ilki_source *src)
{
    size_t n;
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 256;
        ilki_known **more = realloc(k->list, cap * sizeof *more);
        if (!more || cap >= ILKI_MAP_NONE)
            return NULL;
        k->list = more;
        k->cap = cap;
    }
    ilki_known *e = ilki_base_arena_alloc(&k->arena, 1, sizeof *e);
    char *key = path_key(&k->arena, src->root, src->path, &n);
    char *id = ilki_base_arena_strndup(&k->arena, src->id, strlen(src->id));
    char *reason = src->reason ? ilki_base_arena_strndup(&k->arena, src->reason, strlen(src->reason)) : NULL;
    if (!e || !key || !id || (src->reason && !reason))
        return NULL;
    e->src = *src;
    e->src.root = key;
    e->src.path = key + strlen(key) + 1;
    e->src.id = id;
    e->src.reason = reason;
    if (!ilki_base_map_put(&k->by_id, id, strlen(id), (uint32_t)k->n, NULL) ||
        (src->state != ILKI_SOURCE_GONE && !ilki_base_map_put(&k->by_path, key, n, (uint32_t)k->n, NULL)))
        return NULL;
    k->list[k->n++] = e;
    return e;
}

/* Behind those of the same content. */
static bool add_hash(ilki_known_files *k, ilki_known *e)
{
    uint32_t first = ilki_base_map_get(&k->by_hash, (const char *)e->src.content_hash, 32);
    if (first != ILKI_MAP_NONE) {
        e->next = k->list[first]->next;
        k->list[first]->next = e;
        return true;
    }
    char *key = ilki_base_arena_alloc(&k->arena, 32, 1);
    if (!key)
        return false;
    memcpy(key, e->src.content_hash, 32);
    return ilki_base_map_put(&k->by_hash, key, 32, (uint32_t)k->n - 1, NULL);
}

typedef struct loading {
    ilki_known_files *k;
    bool no_memory;
} loading;

static bool load_one(void *user, const ilki_source *src)
{
    loading *l = user;
    ilki_known *e = append(l->k, src);
    l->no_memory = !e || (src->state == ILKI_SOURCE_INDEXED && !add_hash(l->k, e));
    return !l->no_memory;
}

ilk_status ilki_engine_known_load(ilki_known_files *k, ilki_store *s, ilk_error *err)
{
    loading l = {.k = k};
    ilk_status st = ilki_store_sources(s, load_one, &l, err);
    if (!st && l.no_memory)
        st = ilki_base_fail_memory(err, k->arena.total_bytes, "the list of files");
    return st;
}

void ilki_engine_known_deinit(ilki_known_files *k)
{
    ilki_base_arena_deinit(&k->arena);
    free(k->list);
    ilki_base_map_deinit(&k->by_path);
    ilki_base_map_deinit(&k->by_hash);
    ilki_base_map_deinit(&k->by_id);
}

/* ---- finding */

ilki_known *ilki_engine_known_find(const ilki_known_files *k, const char *root, const char *path)
{
    ilki_arena a = {0};
    size_t n;
    char *key = path_key(&a, root, path, &n);
    uint32_t i = key ? ilki_base_map_get(&k->by_path, key, n) : ILKI_MAP_NONE;
    ilki_base_arena_deinit(&a);
    return i == ILKI_MAP_NONE ? NULL : k->list[i];
}

ilki_known *ilki_engine_known_by_hash(const ilki_known_files *k, const uint8_t hash[32])
{
    uint32_t i = ilki_base_map_get(&k->by_hash, (const char *)hash, 32);
    return i == ILKI_MAP_NONE ? NULL : k->list[i];
}

/* ---- changing */

static void mint(char id[17], const char *root, const char *path, uint32_t counter)
{
    ilki_sha256 h;
    uint8_t digest[32];
    ilki_base_sha256_init(&h);
    ilki_base_sha256_add(&h, root, strlen(root) + 1);
    ilki_base_sha256_add(&h, path, strlen(path) + 1);
    ilki_base_sha256_add(&h, &counter, sizeof counter);
    ilki_base_sha256_end(&h, digest);
    ilki_base_hex(digest, 8, id);
}

ilk_status ilki_engine_known_add(ilki_known_files *k, const char *root, const char *path, ilki_known **out,
                                 ilk_error *err)
{
    ilki_source src = {.root = root, .path = path};
    char id[17];
    for (uint32_t counter = 0;; counter++) {
        mint(id, root, path, counter);
        uint32_t i = ilki_base_map_get(&k->by_id, id, 16);
        if (i == ILKI_MAP_NONE)
            break;
        const ilki_source *had = &k->list[i]->src;
        if (had->state == ILKI_SOURCE_GONE && strcmp(had->root, root) == 0 && strcmp(had->path, path) == 0)
            break;
    }
    src.id = id;
    *out = append(k, &src);
    if (!*out)
        return ilki_base_fail_memory(err, strlen(path), "the list of files");
    (*out)->seen = true;
    return ILK_OK;
}

ilk_status ilki_engine_known_move(ilki_known_files *k, ilki_known *e, const char *root, const char *path,
                                  ilk_error *err)
{
    size_t n, n_old = strlen(e->src.root) + 1 + strlen(e->src.path);
    char *key = path_key(&k->arena, root, path, &n);
    uint32_t at = ilki_base_map_get(&k->by_id, e->src.id, strlen(e->src.id));
    if (!key || !ilki_base_map_put(&k->by_path, key, n, at, NULL))
        return ilki_base_fail_memory(err, strlen(path), "the list of files");
    ilki_base_map_remove(&k->by_path, e->src.root, n_old);
    e->src.root = key;
    e->src.path = key + strlen(key) + 1;
    e->seen = true;
    return ILK_OK;
}
