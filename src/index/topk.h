/* SPDX-License-Identifier: Apache-2.0
 * The k best of many candidates under one total order: score descending, label ascending. What is kept does not depend
 * on the order of pushing, so parts of a search may be merged in any order. */
#ifndef ILKI_INDEX_TOPK_H
#define ILKI_INDEX_TOPK_H

#include "index/index.h"

typedef struct ilki_topk {
    ilki_candidate *heap; /* [k], caller's memory; the worst kept one on top */
    size_t k, n;
} ilki_topk;

static inline bool ilki_index_better(ilki_candidate a, ilki_candidate b)
{
    return a.score > b.score || (a.score == b.score && a.label < b.label);
}

void ilki_index_topk_push(ilki_topk *t, ilki_candidate c);

/* A score at or below this cannot enter any more: -inf until k are kept. */
float ilki_index_topk_floor(const ilki_topk *t);

/* Sorts what is kept, best first; the heap is a plain array after. */
void ilki_index_topk_sort(ilki_topk *t);

#endif
