/* SPDX-License-Identifier: Apache-2.0
 * What a linear fit needs to know of its pairs, however many they are: sums of products; and the fits made of them. */
#ifndef ILKI_TRAIN_MOMENTS_H
#define ILKI_TRAIN_MOMENTS_H

#include <stdint.h>

#include "base/pool.h"

/* Targets of the pairs as they are, and as three shuffles have them, which are the baseline. */
enum { ILKI_TRAIN_TRUE = 0, ILKI_TRAIN_SHUFFLES = 3, ILKI_TRAIN_TARGETS };

typedef struct ilki_moments {
    size_t d, e; /* entries of a source vector x, of a target vector y */
    uint64_t n;
    double *sx, *sy;                 /* [d], [e] */
    double *sxx;                     /* [d][d] the lower triangle */
    double *sxy[ILKI_TRAIN_TARGETS]; /* [d][e] */
} ilki_moments;

ilk_status ilki_train_moments_init(ilki_moments *m, size_t d, size_t e, ilk_error *err);
void ilki_train_moments_deinit(ilki_moments *m);
/* n pairs x [n][d], y [n][e]; target_of[k][i] is the row of y that pair i has with targets k. */
ilk_status ilki_train_moments_add(ilki_moments *m, ilki_pool *pool, const float *x, const float *y, size_t n,
                                  uint32_t *const target_of[ILKI_TRAIN_TARGETS], ilk_job *job, ilk_error *err);

typedef struct ilki_fit {
    size_t d, e;
    float *weight, *bias; /* [e][d], [e] */
} ilki_fit;

/* A ridge: least squares with an offset, lambda in units of the mean variance of an entry of x. A lambda of 0 is Procrustes:
 * the rotation, scale and offset with the least squares. */
ilk_status ilki_train_fit(ilki_fit *fit, const ilki_moments *m, int targets, double lambda, ilki_pool *pool,
                          ilk_job *job, ilk_error *err);
void ilki_train_fit_deinit(ilki_fit *fit);

#endif
