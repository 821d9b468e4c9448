/* SPDX-License-Identifier: Apache-2.0
 * Pairs that stand in memory with their vectors, to measure a fit by. */
#ifndef ILKI_TRAIN_HELD_H
#define ILKI_TRAIN_HELD_H

#include "base/runtime.h"
#include "train/moments.h"
#include "train/train.h"

/* Side 0 goes through the fit, side 1 is where it leads. */
typedef struct ilki_held {
    size_t n, n_rows[2], dim[2];
    float *rows[2];      /* [n_rows][dim] of unit length */
    uint32_t *row_of[2]; /* [n] of each pair */
} ilki_held;

/* Embeds pairs: strings[side] are all there are, by number; of a pair, side `picture_side` is the picture. Pairs that have
 * no vector on a side are left out. */
typedef struct ilki_embedder {
    ilk_model *model[2];
    const ilki_train_pairs *all;
    int picture_side;
    uint32_t *place[2]; /* scratch, [all->n_pictures or n_texts], UINT32_MAX everywhere between calls */
    uint64_t n_done[2]; /* strings that were embedded, for progress */
    uint64_t n_junk;
    uint8_t *told[2]; /* what failed was told already */
} ilki_embedder;

ilk_status ilki_train_embedder_init(ilki_embedder *e, ilk_error *err); /* model, all and picture_side are set */
void ilki_train_embedder_deinit(ilki_embedder *e);
ilk_status ilki_train_hold(ilki_held *h, ilki_embedder *e, const ilki_train_pair *pairs, size_t n, ilk_job *job,
                           ilk_error *err);
void ilki_train_held_deinit(ilki_held *h);

typedef struct ilki_measured {
    double recall[2]; /* Recall@5 of the queries of text, of the pictures */
    double cosine;    /* mean of the pairs */
} ilki_measured;

/* A fit's figures, or without one those of the vectors as they are: their first entries, where one side has more. */
ilk_status ilki_train_measure(const ilki_held *h, const ilki_fit *fit, int picture_side, ilk_runtime *rt, ilk_job *job,
                              ilki_measured *to, ilk_error *err);

#endif
