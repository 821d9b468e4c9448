/* SPDX-License-Identifier: Apache-2.0
 * A vocabulary: strings and ids both ways, and the trie over characters that every look-up walks. */
#ifndef ILKI_TEXT_VOCAB_H
#define ILKI_TEXT_VOCAB_H

#include "base/map.h"

/* ---- trie: edges in one open-addressed table, key (node, character). The root is node 0. */

typedef struct ilki_text_edge {
    uint64_t key;  /* (from + 1) << 21 | character; 0: empty slot */
    uint32_t node; /* where it leads */
    int32_t id;    /* of the string that ends there, -1: none does */
} ilki_text_edge;

typedef struct ilki_text_trie {
    ilki_text_edge *edges; /* NULL while empty */
    size_t n, cap;         /* cap is a power of two */
    unsigned shift;        /* 64 - log2(cap) */
    uint32_t n_nodes;      /* without the root */
} ilki_text_trie;

/* The edge from a node under a character, NULL where there is none. */
static inline const ilki_text_edge *ilki_text_trie_step(const ilki_text_trie *t, uint32_t node, uint32_t cp)
{
    if (!t->edges)
        return NULL;
    uint64_t key = ((uint64_t)node + 1) << 21 | cp;
    size_t i = (size_t)(key * 0x9e3779b97f4a7c15U >> t->shift);
    for (; t->edges[i].key; i = (i + 1) & (t->cap - 1))
        if (t->edges[i].key == key)
            return &t->edges[i];
    return NULL;
}

bool ilki_text_trie_reserve(ilki_text_trie *t, size_t n_edges);
/* Room for just so many edges, in the arena: such a trie does not grow further and is not freed by itself. */
bool ilki_text_trie_place(ilki_text_trie *t, size_t n_edges, ilki_arena *arena);
/* Enters a string of n > 0 characters; `*old` gets the id it had, or -1. False when memory is short. */
bool ilki_text_trie_add(ilki_text_trie *t, const uint32_t *cps, size_t n, int32_t id, int32_t *old);
void ilki_text_trie_deinit(ilki_text_trie *t);

/* ---- vocabulary; a zeroed one is valid and empty */

enum { ILKI_TEXT_MAX_ID = (1 << 22) - 1 };

typedef struct ilki_vocab {
    bool hashed; /* set before the first string: whole strings in `map`, no trie */
    ilki_text_trie trie;
    ilki_map map;
    ilki_arena arena;
    const char **strings; /* by id, NULL for a hole */
    uint32_t *lengths;
    size_t n, cap;    /* largest id + 1 */
    size_t n_strings; /* different strings */
    int32_t empty_id; /* of "", -1 where it is none; set by init */
} ilki_vocab;

void ilki_text_vocab_init(ilki_vocab *v);
void ilki_text_vocab_deinit(ilki_vocab *v);

/* Enters a string; one that is there already gets the new id and its old id becomes a hole. An id outside [0,
 * ILKI_TEXT_MAX_ID] is LIMIT; `name` is the file for messages. */
ilk_status ilki_text_vocab_add(ilki_vocab *v, const char *s, size_t n, int64_t id, const char *name, ilk_error *err);
/* Names an id without making its string part of the vocabulary: an added token. */
ilk_status ilki_text_vocab_name(ilki_vocab *v, const char *s, size_t n, int64_t id, const char *name, ilk_error *err);
int32_t ilki_text_vocab_get(const ilki_vocab *v, const char *s, size_t n); /* -1 where absent */

/* Room for so many strings of usual length. */
bool ilki_text_vocab_reserve(ilki_vocab *v, size_t n_strings);

/* The node that the string leads to; false where no string of the vocabulary begins so. Not of a hashed one. */
bool ilki_text_vocab_walk(const ilki_vocab *v, const char *s, size_t n, uint32_t *node);

#endif
