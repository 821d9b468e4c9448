/* SPDX-License-Identifier: Apache-2.0
 * What against.c and causes.c share: texts, somebody's rows, and the model's own. */
#ifndef ILKI_TASKS_AGAINST_H
#define ILKI_TASKS_AGAINST_H

#include "tasks/texts.h"
#include "tasks/vectors.h"

typedef struct ilki_against {
    ilk_model *m;
    ilk_job *job;
    const ilk_against_options *opt;
    double min_cosine;
    ilki_text *texts;
    size_t n_texts;
    ilki_rows rows;
    ilk_vectors *own; /* of all texts, as asked for */
    size_t dim;       /* entries that both have */
    double *cosine;   /* [min(n_texts, rows.n)] of text i and row i */
    ilk_against_result *result;
} ilki_against;

/* 0 where one is all zeros. Sums in double. */
double ilki_tasks_cosine(const float *a, const float *b, size_t dim);
double ilki_tasks_length(const float *a, size_t dim);

static inline const float *ilki_tasks_row(const ilki_against *a, size_t i)
{
    return a->rows.data + i * a->rows.dim;
}
static inline const float *ilki_tasks_own(const ilki_against *a, size_t i)
{
    return a->own->data + i * a->own->dim;
}

/* Fills cause, explanation and their cosines of a->result. */
ilk_status ilki_tasks_find_cause(ilki_against *a, ilk_error *err);

#endif
