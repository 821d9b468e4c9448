/* SPDX-License-Identifier: Apache-2.0
 * Two correlations of scipy.stats. */
#ifndef ILKI_TASKS_CORRELATE_H
#define ILKI_TASKS_CORRELATE_H

#include "base/error.h"

/* NaN for fewer than two pairs or where one side is constant. Sums in double, of differences from the mean. */
double ilki_tasks_pearson(const double *x, const double *y, size_t n);

/* Pearson's of the ranks; equal values share the mean of their ranks. Errors: NO_MEMORY. */
ilk_status ilki_tasks_spearman(double *out, const double *x, const double *y, size_t n, ilk_error *err);

#endif
