/* SPDX-License-Identifier: Apache-2.0
 * What filters selected lately: the labels of a few, each as of one state of the store. A question to a store of pictures
 * asks the same filter again and again, and SQL over 100,000 items costs more than the search. Thread-safe. */
#ifndef ILKI_ENGINE_SELECTION_H
#define ILKI_ENGINE_SELECTION_H

#include <pthread.h>

#include "store/store.h"

enum { ILKI_SELECTIONS = 4, ILKI_SELECTION_LABELS = 1 << 20 /* larger ones are not kept */ };

typedef struct ilki_selection {
    uint8_t key[32]; /* of the filter */
    uint64_t upto;   /* LSN that the store had */
    uint64_t used;   /* when it was asked for last */
    uint64_t *labels;
    size_t n;
} ilki_selection;

typedef struct ilki_selections {
    pthread_mutex_t lock;
    ilki_selection list[ILKI_SELECTIONS]; /* labels NULL: free */
    uint64_t clock;
} ilki_selections;

/* False: no lock can be made. */
bool ilki_engine_selections_init(ilki_selections *s);
void ilki_engine_selections_deinit(ilki_selections *s);

/* The same for equal filters, another for others. */
void ilki_engine_selection_key(const ilk_filter *f, uint8_t key[32]);

/* A copy of what the filter selected when the store was at `upto`; false: not known, or no memory. */
bool ilki_engine_selection_find(ilki_selections *s, const uint8_t key[32], uint64_t upto, uint64_t **labels, size_t *n);

/* Keeps a copy in the place of the one that was not asked for longest. */
void ilki_engine_selection_keep(ilki_selections *s, const uint8_t key[32], uint64_t upto, const uint64_t *labels,
                                size_t n);

#endif
