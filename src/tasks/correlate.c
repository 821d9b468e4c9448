/* SPDX-License-Identifier: Apache-2.0
 * Pearson and Spearman. */
#include "tasks/correlate.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

double ilki_tasks_pearson(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return n > 1 && xx > 0 && yy > 0 ? xy / (sqrt(xx) * sqrt(yy)) : (double)NAN;
}

typedef struct valued {
    double value;
    size_t at;
} valued;

static int by_value(const void *a, const void *b)
{
    const valued *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static void rank(const double *x, size_t n, valued *sorted, double *ranks)
{
    for (size_t i = 0; i < n; i++)
        sorted[i] = (valued){x[i], i};
    qsort(sorted, n, sizeof *sorted, by_value);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && sorted[end].value == sorted[i].value;)
            end++;
        for (size_t k = i; k < end; k++)
            ranks[sorted[k].at] = (double)(i + 1 + end) / 2;
    }
}

ilk_status ilki_tasks_spearman(double *out, const double *x, const double *y, size_t n, ilk_error *err)
{
    *out = (double)NAN;
    if (n < 2)
        return ILK_OK;
    valued *sorted = malloc(n * sizeof *sorted);
    double *ranks = malloc(2 * n * sizeof *ranks);
    bool good = sorted && ranks;
    if (good) {
        rank(x, n, sorted, ranks);
        rank(y, n, sorted, ranks + n);
        *out = ilki_tasks_pearson(ranks, ranks + n, n);
    }
    free(sorted);
    free(ranks);
    return good ? ILK_OK : ilki_base_fail_memory(err, n * (sizeof *sorted + 2 * sizeof *ranks), "ranks");
}
