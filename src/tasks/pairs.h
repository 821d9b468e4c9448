/* SPDX-License-Identifier: Apache-2.0
 * Pairs of texts with a gold score, from .csv, .tsv or .jsonl. */
#ifndef ILKI_TASKS_PAIRS_H
#define ILKI_TASKS_PAIRS_H

#include "tasks/lines.h"

typedef struct ilki_pair {
    size_t text[2], n[2]; /* in `texts` */
    double score;
    uint64_t line; /* where it begins */
} ilki_pair;

typedef struct ilki_pairs {
    ilki_buf texts;
    ilki_pair *list;
    size_t n, cap;
} ilki_pairs;

/* The name's end tells the form. A table's columns are found by their names, where the first row has them, else by their
 * number: three (text, text, score, or the score first), or the seven and more of the STS benchmark (score in the fifth,
 * texts in the sixth and seventh). Rows that are none are junk. BAD_FORMAT where nothing is left. */
ilk_status ilki_tasks_read_pairs(ilki_pairs *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                 ilk_error *err);
void ilki_tasks_pairs_deinit(ilki_pairs *p);

#endif
