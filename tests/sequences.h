/* SPDX-License-Identifier: Apache-2.0
 * N_SEQS sequences of random ids in one batch, for tests of text towers; a program defines N_SEQS before it includes this. */
#ifndef ILK_TEST_SEQUENCES_H
#define ILK_TEST_SEQUENCES_H

#include <string.h>

#include "models/model.h"
#include "random.h"

enum { MAX_LEN = 24 };

typedef struct batch {
    uint32_t offsets[N_SEQS + 1];
    int32_t ids[N_SEQS * MAX_LEN];
    size_t n;
} batch;

static inline void add(batch *b, const int32_t *ids, size_t n)
{
    memcpy(b->ids + b->offsets[b->n], ids, n * sizeof *ids);
    b->offsets[b->n + 1] = b->offsets[b->n] + (uint32_t)n;
    b->n++;
}

/* The first one is of MAX_LEN ids. */
static inline batch random_batch(uint64_t seed)
{
    batch b = {0};
    for (size_t i = 0; i < N_SEQS; i++) {
        int32_t ids[MAX_LEN];
        size_t n = i == 0 ? MAX_LEN : 1 + test_random(&seed) % MAX_LEN;
        for (size_t k = 0; k < n; k++)
            ids[k] = (int32_t)(test_random(&seed) % 140);
        add(&b, ids, n);
    }
    return b;
}

static inline ilki_tower_in input_of(const batch *b)
{
    return (ilki_tower_in){.n_seqs = b->n, .n_tokens = b->offsets[b->n], .offsets = b->offsets, .ids = b->ids};
}

#endif
