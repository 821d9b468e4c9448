/* SPDX-License-Identifier: Apache-2.0
 * Pairs in three parts: to fit on, to choose by, to judge by. */
#ifndef ILKI_TRAIN_FOLDS_H
#define ILKI_TRAIN_FOLDS_H

#include "train/train.h"

typedef enum ilki_fold { ILKI_FOLD_TEST, ILKI_FOLD_CHOICE, ILKI_FOLD_FIT, ILKI_FOLDS } ilki_fold;

/* A group is what pictures and captions hold together, through captions that several pictures have and pictures that have
 * several: it lies in one part as a whole, or a caption that was learnt would be asked for. */
typedef struct ilki_folds {
    ilki_train_pair *pairs; /* [n] in the order of the parts, within one in the groups' shuffled order */
    size_t first[ILKI_FOLDS + 1];
    size_t n_groups[ILKI_FOLDS];
} ilki_folds;

/* A fifth of the pairs each to judge and to choose by, of at most 2,000 pictures; groups of more than a twentieth of all
 * pairs are fitted on. The same for the same pairs and seed. */
ilk_status ilki_train_folds_init(ilki_folds *f, const ilki_train_pairs *pairs, uint64_t seed, ilk_error *err);
void ilki_train_folds_deinit(ilki_folds *f);

/* The next of a sequence of numbers (splitmix64), for shuffles. */
uint64_t ilki_train_random(uint64_t *state);

#endif
