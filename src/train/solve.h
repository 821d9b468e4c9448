/* SPDX-License-Identifier: Apache-2.0
 * The two pieces of linear algebra that a closed fit needs, in double. Matrices are row-major. Results do not depend on the
 * number of threads. */
#ifndef ILKI_TRAIN_SOLVE_H
#define ILKI_TRAIN_SOLVE_H

#include "base/pool.h"

/* A symmetric positive definite a [n][n], of which the lower triangle is read, becomes L with A = L L^T there. MISMATCH
 * where a pivot is not positive. */
ilk_status ilki_train_cholesky(ilki_pool *pool, double *a, size_t n, ilk_job *job, ilk_error *err);
/* b [n][m] becomes X with L L^T X = B. */
ilk_status ilki_train_cholesky_solve(ilki_pool *pool, const double *l, size_t n, double *b, size_t m, ilk_job *job,
                                     ilk_error *err);

/* out [rows][cols] becomes U V^T of m = U S V^T: of all matrices with orthonormal rows (columns, where there are more rows)
 * the one with the largest trace of out^T m, which is *sum, the sum of the singular values. Directions in which m is nothing
 * are left out. LIMIT where the rotations do not settle. */
ilk_status ilki_train_polar(ilki_pool *pool, const double *m, size_t rows, size_t cols, double *out, double *sum,
                            ilk_job *job, ilk_error *err);

#endif
