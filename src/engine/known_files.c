/* SPDX-License-Identifier: Apache-2.0
 * Loaded once per ingest: under 200 bytes a file, against a query of the tables for each; which is what an ingest's memory
 * grows by, so that strings lie in one piece, settings are numbered, and tables hold places in the list and half a hash,
 * never keys: what a slot leads to is compared. by_hash alone does not compare: content changes behind it, so its slots
 * begin chains of all whose content had the same half of a hash once. */
#include "engine/known_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/map.h"

/* ---- tables: open addressing, linear probing, at most three quarters full, removal by shifting the run back */

struct ilki_known_slot {
    uint32_t hash, at; /* at: ILKI_NONE_KNOWN where it is empty */
};

enum { MIN_CAP = 64 };

static struct ilki_known_slot *empty_slots(size_t cap)
{
    size_t bytes;
    struct ilki_known_slot *s = ilki_base_mul(cap, sizeof *s, &bytes) ? malloc(bytes) : NULL;
    if (s)
        memset(s, 0xff, bytes);
    return s;
}

static void set_slot(ilki_known_table *t, uint32_t hash, uint32_t at)
{
    size_t i = hash & (t->cap - 1);
    while (t->slots[i].at != ILKI_NONE_KNOWN)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = (struct ilki_known_slot){hash, at};
}

static bool put(ilki_known_table *t, uint32_t hash, uint32_t at)
{
    if (t->n + 1 > t->cap - t->cap / 4) {
        ilki_known_table more = {.n = t->n, .cap = t->cap ? t->cap * 2 : MIN_CAP};
        if (!(more.slots = empty_slots(more.cap)))
            return false;
        for (size_t i = 0; i < t->cap; i++)
            if (t->slots[i].at != ILKI_NONE_KNOWN)
                set_slot(&more, t->slots[i].hash, t->slots[i].at);
        free(t->slots);
        *t = more;
    }
    set_slot(t, hash, at);
    t->n++;
    return true;
}

/* The place in the list that the next slot of this hash leads to; *i, the hash at first, is where to go on. */
static uint32_t next_at(const ilki_known_table *t, uint32_t hash, size_t *i)
{
    for (size_t mask = t->cap - 1; t->cap;) {
        const struct ilki_known_slot *s = &t->slots[*i & mask];
        if (s->at == ILKI_NONE_KNOWN)
            break;
        *i = (*i & mask) + 1;
        if (s->hash == hash)
            return s->at;
    }
    return ILKI_NONE_KNOWN;
}

static void drop(ilki_known_table *t, uint32_t hash, uint32_t at)
{
    size_t mask = t->cap - 1, hole = hash & mask;
    while (t->slots[hole].at != at)
        hole = (hole + 1) & mask;
    /* every later slot of the run moves into the hole unless that would put it before its own home */
    for (size_t i = (hole + 1) & mask; t->slots[i].at != ILKI_NONE_KNOWN; i = (i + 1) & mask)
        if (((i - t->slots[i].hash) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    t->slots[hole].at = ILKI_NONE_KNOWN;
    t->n--;
}

/* ---- entries */

static const char *path_of(const ilki_known *e)
{
    return e->strings + strlen(e->strings) + 1;
}

static const char *id_of(const ilki_known *e)
{
    const char *path = path_of(e);
    return path + strlen(path) + 1;
}

static uint32_t half_hash(const ilki_known_files *k, const void *data, size_t n)
{
    return (uint32_t)ilki_base_hash64(data, n, k->seed);
}

static uint32_t hash_of_path(const ilki_known_files *k, const char *root, const char *path)
{
    uint32_t of_root = half_hash(k, root, strlen(root));
    return (uint32_t)ilki_base_hash64(path, strlen(path), k->seed ^ of_root);
}

/* The strings of an entry; NULL: memory is short. */
static char *lay_strings(ilki_arena *a, const ilki_source *src)
{
    const char *const parts[] = {src->root, src->path, src->id, src->reason ? src->reason : ""};
    size_t lengths[4], n = 0;
    for (int i = 0; i < 4; i++)
        n += lengths[i] = strlen(parts[i]) + 1;
    char *s = ilki_base_arena_alloc(a, n, 1);
    for (int i = 0; s && i < 4; s += lengths[i++])
        memcpy(s, parts[i], lengths[i]);
    return s ? s - n : NULL;
}

/* Its number, the newest first; 0 where memory is short: such a file is read again. */
static uint32_t number_settings(ilki_known_files *k, const uint8_t hash[32])
{
    for (size_t i = k->n_settings; i-- > 0;)
        if (memcmp(k->settings[i], hash, 32) == 0)
            return (uint32_t)i;
    uint8_t(*more)[32] = realloc(k->settings, (k->n_settings + 1) * sizeof *more);
    if (!more)
        return 0;
    k->settings = more;
    memcpy(k->settings[k->n_settings], hash, 32);
    return (uint32_t)k->n_settings++;
}

void ilki_engine_known_keep(ilki_known_files *k, ilki_known *e, const ilki_source *src)
{
    e->dev = src->dev;
    e->ino = src->ino;
    e->n_bytes = src->n_bytes;
    e->mtime_ns = src->mtime_ns;
    memcpy(e->content_hash, src->content_hash, 32);
    e->n_items = src->n_items;
    e->settings = number_settings(k, src->settings_hash);
    e->state = (uint8_t)src->state;
    e->has_reason = false;
}

ilki_source ilki_engine_known_source(const ilki_known_files *k, const ilki_known *e)
{
    const char *id = id_of(e);
    ilki_source src = {.id = id,
                       .path = path_of(e),
                       .root = e->strings,
                       .dev = e->dev,
                       .ino = e->ino,
                       .n_bytes = e->n_bytes,
                       .mtime_ns = e->mtime_ns,
                       .state = (ilki_source_state)e->state,
                       .reason = e->has_reason ? id + strlen(id) + 1 : NULL,
                       .n_items = e->n_items};
    memcpy(src.content_hash, e->content_hash, 32);
    memcpy(src.settings_hash, k->settings[e->settings], 32);
    return src;
}

static bool begin(ilki_known_files *k)
{
    if (k->settings)
        return true;
    if (getentropy(&k->seed, sizeof k->seed) != 0)
        k->seed = (uint64_t)(uintptr_t)k; /* no entropy source: an address is better than a constant */
    k->settings = calloc(1, sizeof *k->settings);
    k->n_settings = k->settings != NULL;
    return k->settings != NULL;
}

/* Into the list and by_id; by_path unless GONE. */
static ilki_known *append(ilki_known_files *k, const ilki_source *src)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? k->cap * 2 : 256;
        ilki_known **more = cap < ILKI_NONE_KNOWN && begin(k) ? realloc(k->list, cap * sizeof *more) : NULL;
        if (!more)
            return NULL;
        k->list = more;
        k->cap = cap;
    }
    ilki_known *e = ilki_base_arena_alloc(&k->arena, 1, sizeof *e);
    char *strings = lay_strings(&k->arena, src);
    if (!e || !strings)
        return NULL;
    ilki_engine_known_keep(k, e, src);
    e->strings = strings;
    e->next = ILKI_NONE_KNOWN;
    e->has_reason = src->reason != NULL;
    uint32_t at = (uint32_t)k->n;
    if (!put(&k->by_id, half_hash(k, src->id, strlen(src->id)), at) ||
        (src->state != ILKI_SOURCE_GONE && !put(&k->by_path, hash_of_path(k, src->root, src->path), at)))
        return NULL;
    k->list[k->n++] = e;
    return e;
}

/* Behind those of the same content. */
static bool add_hash(ilki_known_files *k, ilki_known *e)
{
    uint32_t hash = half_hash(k, e->content_hash, 32), at = (uint32_t)k->n - 1;
    size_t i = hash;
    uint32_t first = next_at(&k->by_hash, hash, &i);
    if (first == ILKI_NONE_KNOWN)
        return put(&k->by_hash, hash, at);
    e->next = k->list[first]->next;
    k->list[first]->next = at;
    return true;
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
    free(k->by_path.slots);
    free(k->by_hash.slots);
    free(k->by_id.slots);
    free(k->settings);
}

/* ---- finding */

ilki_known *ilki_engine_known_find(const ilki_known_files *k, const char *root, const char *path)
{
    uint32_t hash = hash_of_path(k, root, path), at;
    size_t i = hash;
    while ((at = next_at(&k->by_path, hash, &i)) != ILKI_NONE_KNOWN)
        if (strcmp(k->list[at]->strings, root) == 0 && strcmp(path_of(k->list[at]), path) == 0)
            return k->list[at];
    return NULL;
}

static uint32_t find_id(const ilki_known_files *k, const char *id)
{
    uint32_t hash = half_hash(k, id, strlen(id)), at;
    size_t i = hash;
    while ((at = next_at(&k->by_id, hash, &i)) != ILKI_NONE_KNOWN && strcmp(id_of(k->list[at]), id) != 0)
        ;
    return at;
}

ilki_known *ilki_engine_known_by_hash(const ilki_known_files *k, const uint8_t hash[32])
{
    uint32_t half = half_hash(k, hash, 32);
    size_t i = half;
    uint32_t at = next_at(&k->by_hash, half, &i);
    return at == ILKI_NONE_KNOWN ? NULL : k->list[at];
}

ilki_known *ilki_engine_known_next(const ilki_known_files *k, const ilki_known *e)
{
    return e->next == ILKI_NONE_KNOWN ? NULL : k->list[e->next];
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
        uint32_t at = find_id(k, id);
        if (at == ILKI_NONE_KNOWN)
            break;
        const ilki_known *had = k->list[at];
        if (had->state == ILKI_SOURCE_GONE && strcmp(had->strings, root) == 0 && strcmp(path_of(had), path) == 0)
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
    const ilki_source src = {.root = root, .path = path, .id = id_of(e)};
    uint32_t had = hash_of_path(k, e->strings, path_of(e)), at;
    size_t i = had;
    while ((at = next_at(&k->by_path, had, &i)) != ILKI_NONE_KNOWN && k->list[at] != e)
        ;
    char *strings = lay_strings(&k->arena, &src);
    if (at == ILKI_NONE_KNOWN || !strings || !put(&k->by_path, hash_of_path(k, root, path), at))
        return ilki_base_fail_memory(err, strlen(path), "the list of files");
    drop(&k->by_path, had, at);
    e->strings = strings;
    e->has_reason = false;
    e->seen = true;
    return ILK_OK;
}
