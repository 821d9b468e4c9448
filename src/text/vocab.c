/* SPDX-License-Identifier: Apache-2.0
 * The trie's table is at most half full, so that a miss, the commonest answer at the end of a piece, is short. */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

enum { TRIE_FIRST = 64, IDS_FIRST = 256 };

/* ---- trie */

static void place(ilki_text_trie *t, const ilki_text_edge *edge)
{
    size_t i = (size_t)(edge->key * 0x9e3779b97f4a7c15U >> t->shift);
    while (t->edges[i].key)
        i = (i + 1) & (t->cap - 1);
    t->edges[i] = *edge;
}

bool ilki_text_trie_reserve(ilki_text_trie *t, size_t n_edges)
{
    size_t need, cap = t->cap ? t->cap : TRIE_FIRST;
    unsigned log2 = 0;
    if (!ilki_base_mul(n_edges, 2, &need))
        return false;
    while (cap < need)
        if (!ilki_base_mul(cap, 2, &cap))
            return false;
    if (cap == t->cap)
        return true;
    /* aligned: a large table gets huge pages, and its random accesses fewer misses */
    ilki_text_trie bigger = {.edges = ilki_base_alloc_aligned(cap, sizeof *t->edges), .n = t->n, .cap = cap};
    if (!bigger.edges)
        return false;
    memset(bigger.edges, 0, cap * sizeof *bigger.edges);
    while ((size_t)1 << log2 < cap)
        log2++;
    bigger.shift = 64 - log2;
    bigger.n_nodes = t->n_nodes;
    for (size_t i = 0; i < t->cap; i++)
        if (t->edges[i].key)
            place(&bigger, &t->edges[i]);
    free(t->edges);
    *t = bigger;
    return true;
}

bool ilki_text_trie_place(ilki_text_trie *t, size_t n_edges, ilki_arena *arena)
{
    unsigned log2 = 6;
    while ((size_t)1 << log2 < n_edges * 2)
        log2++;
    *t = (ilki_text_trie){.cap = (size_t)1 << log2, .shift = 64 - log2};
    t->edges = ilki_base_arena_alloc(arena, t->cap, sizeof *t->edges);
    return t->edges != NULL;
}

/* The edge from a node under a character, made where it is missing; NULL when memory is short. */
static ilki_text_edge *make_edge(ilki_text_trie *t, uint32_t node, uint32_t cp)
{
    bool room = t->n < t->cap / 2;
    if (t->n_nodes == UINT32_MAX - 1 || (!room && !ilki_text_trie_reserve(t, t->n + 1)))
        return NULL;
    uint64_t key = ((uint64_t)node + 1) << 21 | cp;
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15U >> t->shift);
    for (; t->edges[i].key; i = (i + 1) & (t->cap - 1))
        if (t->edges[i].key == key)
            return &t->edges[i];
    t->n++;
    t->n_nodes++;
    t->edges[i] = (ilki_text_edge){.key = key, .node = t->n_nodes, .id = -1};
    return &t->edges[i];
}

bool ilki_text_trie_add(ilki_text_trie *t, const uint32_t *cps, size_t n, int32_t id, int32_t *old)
{
    uint32_t node = 0;
    ilki_text_edge *edge = NULL;
    for (size_t i = 0; i < n; i++) {
        edge = make_edge(t, node, cps[i]);
        if (!edge)
            return false;
        node = edge->node;
    }
    *old = -1;
    if (edge) {
        *old = edge->id;
        edge->id = id;
    }
    return true;
}

void ilki_text_trie_deinit(ilki_text_trie *t)
{
    free(t->edges);
    *t = (ilki_text_trie){0};
}

/* ---- vocabulary */

void ilki_text_vocab_init(ilki_vocab *v)
{
    *v = (ilki_vocab){.empty_id = -1};
}

void ilki_text_vocab_deinit(ilki_vocab *v)
{
    ilki_text_trie_deinit(&v->trie);
    ilki_base_map_deinit(&v->map);
    ilki_base_arena_deinit(&v->arena);
    free(v->strings);
    free(v->lengths);
    ilki_text_vocab_init(v);
}

static bool grow_ids(ilki_vocab *v, size_t n)
{
    if (n > v->cap) {
        size_t cap = v->cap ? v->cap : IDS_FIRST;
        while (cap < n)
            cap *= 2; /* ids are bounded, so is cap */
        const char **strings = realloc(v->strings, cap * sizeof *strings);
        if (!strings)
            return false;
        v->strings = strings;
        uint32_t *lengths = realloc(v->lengths, cap * sizeof *lengths);
        if (!lengths)
            return false;
        v->lengths = lengths;
        v->cap = cap;
    }
    for (; v->n < n; v->n++) {
        v->strings[v->n] = NULL;
        v->lengths[v->n] = 0;
    }
    return true;
}

/* Walks the trie along a string of bytes, adding edges; the last edge or NULL when memory is short. */
static ilki_text_edge *enter(ilki_text_trie *t, const char *s, size_t n)
{
    uint32_t node = 0;
    ilki_text_edge *edge = NULL;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = (unsigned char)s[i];
        len = 1;
        if (cp >= 0x80)
            cp = ilki_base_utf8_get(s + i, n - i, &len);
        edge = make_edge(t, node, cp);
        if (!edge)
            return NULL;
        node = edge->node;
    }
    return edge;
}

ilk_status ilki_text_vocab_name(ilki_vocab *v, const char *s, size_t n, int64_t id, const char *name, ilk_error *err)
{
    if (id < 0 || id > ILKI_TEXT_MAX_ID)
        return ilki_base_fail(err, ILK_LIMIT, "%s: id %lld of \"%.*s\", at most %d is taken", name, (long long)id,
                              (int)(n < 64 ? n : 64), s, ILKI_TEXT_MAX_ID);
    char *copy = ilki_base_arena_strndup(&v->arena, s, n);
    if (!copy || n > UINT32_MAX || !grow_ids(v, (size_t)id + 1))
        return ilki_base_fail_memory(err, n, "a token of the vocabulary");
    v->strings[id] = copy;
    v->lengths[id] = (uint32_t)n;
    return ILK_OK;
}

/* Gives the string of strings[id] that id; `*old` is the one it had, or -1. False when memory is short. */
static bool exchange(ilki_vocab *v, int32_t id, size_t n, int32_t *old)
{
    uint32_t was = ILKI_MAP_NONE;
    if (n == 0) {
        *old = v->empty_id;
        v->empty_id = id;
        return true;
    }
    if (v->hashed) {
        bool ok = ilki_base_map_put(&v->map, v->strings[id], n, (uint32_t)id, &was);
        *old = was == ILKI_MAP_NONE ? -1 : (int32_t)was;
        return ok;
    }
    ilki_text_edge *edge = enter(&v->trie, v->strings[id], n);
    if (!edge)
        return false;
    *old = edge->id;
    edge->id = id;
    return true;
}

ilk_status ilki_text_vocab_add(ilki_vocab *v, const char *s, size_t n, int64_t id, const char *name, ilk_error *err)
{
    int32_t old;
    ilk_status status = ilki_text_vocab_name(v, s, n, id, name, err);
    if (status)
        return status;
    if (!exchange(v, (int32_t)id, n, &old))
        return ilki_base_fail_memory(err, v->trie.cap * 2 * sizeof(ilki_text_edge), "the vocabulary");
    if (old >= 0 && old != id)
        v->strings[old] = NULL; /* a hashed one's map keeps the old copy as its key: the arena holds both */
    else if (old < 0)
        v->n_strings++;
    return ILK_OK;
}

bool ilki_text_vocab_reserve(ilki_vocab *v, size_t n_strings)
{
    if (!v->hashed)
        return ilki_text_trie_reserve(&v->trie, n_strings * 2);
    return ilki_base_map_reserve(&v->map, n_strings);
}

static const ilki_text_edge *walk(const ilki_vocab *v, const char *s, size_t n)
{
    const ilki_text_edge *edge = NULL;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = ilki_base_utf8_get(s + i, n - i, &len);
        edge = ilki_text_trie_step(&v->trie, edge ? edge->node : 0, cp);
        if (!edge)
            return NULL;
    }
    return edge;
}

int32_t ilki_text_vocab_get(const ilki_vocab *v, const char *s, size_t n)
{
    if (n == 0)
        return v->empty_id;
    if (v->hashed) {
        uint32_t id = ilki_base_map_get(&v->map, s, n);
        return id == ILKI_MAP_NONE ? -1 : (int32_t)id;
    }
    const ilki_text_edge *edge = walk(v, s, n);
    return edge ? edge->id : -1;
}

bool ilki_text_vocab_walk(const ilki_vocab *v, const char *s, size_t n, uint32_t *node)
{
    const ilki_text_edge *edge = walk(v, s, n);
    if (n && !edge)
        return false;
    *node = edge ? edge->node : 0;
    return true;
}
