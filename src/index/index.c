/* SPDX-License-Identifier: Apache-2.0
 * The table of index types, and the exact score that all of them are measured by. */
#include "index/index.h"

#include <math.h>
#include <string.h>

#include "index/flat.h"

static const ilki_index_type *const types[] = {&ilki_index_flat};

const ilki_index_type *ilki_index_find_type(const char *name)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

/* Products of floats are exact in double; four chains, always split the same way. */
static double dot(const float *a, const float *b, size_t n)
{
    double s[4] = {0};
    for (size_t i = 0; i < n; i++)
        s[i & 3] += (double)a[i] * (double)b[i];
    return (s[0] + s[1]) + (s[2] + s[3]);
}

float ilki_index_score(ilk_metric metric, const float *a, const float *b, size_t dim)
{
    if (metric == ILK_DOT)
        return (float)dot(a, b, dim);
    if (metric == ILK_NEG_L2) {
        double s[4] = {0};
        for (size_t i = 0; i < dim; i++) {
            double d = (double)a[i] - (double)b[i];
            s[i & 3] += d * d;
        }
        return (float)-sqrt((s[0] + s[1]) + (s[2] + s[3]));
    }
    double norms = sqrt(dot(a, a, dim)) * sqrt(dot(b, b, dim));
    return norms > 0 ? (float)(dot(a, b, dim) / norms) : 0.0f;
}
