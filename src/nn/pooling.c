/* SPDX-License-Identifier: Apache-2.0
 * Rows of a sequence into one vector, as sentence-transformers does it, with sums in double; and unit length. */
#include "nn/layers.h"

#include <math.h>
#include <string.h>

#include "nn/work.h"

size_t ilki_nn_pool_count(unsigned modes)
{
    return (size_t)__builtin_popcount(modes);
}

/* out = max over rows */
static void pool_max(float *out, const float *x, size_t ldx, size_t n, size_t dim)
{
    memcpy(out, x, dim * sizeof *out);
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < dim; j++)
            if (!(out[j] >= x[i * ldx + j])) /* a NaN stays to be seen */
                out[j] = x[i * ldx + j];
}

/* out = sum_i w_i x_i / divisor, w_i = 1 or, `weighted`, first_weight + i */
static void pool_sum(float *out, double *sum, const float *x, size_t ldx, size_t n, size_t dim, size_t first_weight)
{
    memset(sum, 0, dim * sizeof *sum);
    double divisor = 0.0;
    for (size_t i = 0; i < n; i++) {
        double w = first_weight ? (double)(first_weight + i) : 1.0;
        divisor += w;
        for (size_t j = 0; j < dim; j++)
            sum[j] += w * (double)x[i * ldx + j];
    }
    for (size_t j = 0; j < dim; j++)
        out[j] = (float)(sum[j] / divisor);
}

static void pool_mode(const ilki_pool_args *a, unsigned mode, size_t s, double *sum, float *out)
{
    size_t ldx = a->ldx ? a->ldx : a->dim, n = a->offsets[s + 1] - a->offsets[s], skip = a->skip ? a->skip[s] : 0;
    const float *all = a->x + a->offsets[s] * ldx, *x = all + skip * ldx;
    n -= skip;
    switch (mode) {
    case ILKI_POOL_CLS:
        memcpy(out, all, a->dim * sizeof *out);
        break;
    case ILKI_POOL_LAST:
        memcpy(out, x + (n - 1) * ldx, a->dim * sizeof *out);
        break;
    case ILKI_POOL_MAX:
        pool_max(out, x, ldx, n, a->dim);
        break;
    case ILKI_POOL_WEIGHTED:
        pool_sum(out, sum, x, ldx, n, a->dim, skip + 1);
        break;
    case ILKI_POOL_MEAN:
        pool_sum(out, sum, x, ldx, n, a->dim, 0);
        break;
    default: /* ILKI_POOL_MEAN_SQRT: sum / sqrt(n) */
        pool_sum(out, sum, x, ldx, n, a->dim, 0);
        for (size_t j = 0; j < a->dim; j++)
            out[j] = (float)(sum[j] / sqrt((double)n));
    }
}

static void pool_sequences(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const ilki_pool_args *a = arg;
    double *sum = ilki_nn_take(sub, a->dim, sizeof *sum);
    if (!sum)
        return;
    size_t n_modes = ilki_nn_pool_count(a->modes);
    for (size_t s = first; s < first + n; s++) {
        size_t length = a->offsets[s + 1] - a->offsets[s];
        if (length <= (a->skip ? a->skip[s] : 0)) {
            ilki_nn_fail(sub, ILK_BAD_ARGUMENT,
                         "pooling of sequence %zu: %zu tokens, of which the first %u are left out", s, length,
                         a->skip ? a->skip[s] : 0);
            return;
        }
        float *out = a->out + s * n_modes * a->dim;
        for (unsigned mode = 1; mode <= ILKI_POOL_LAST; mode <<= 1)
            if (a->modes & mode) {
                pool_mode(a, mode, s, sum, out);
                out += a->dim;
            }
    }
}

void ilki_nn_pool(ilki_nn *ctx, const ilki_pool_args *a)
{
    if (a->n_seqs == 0 || ctx->status != ILK_OK)
        return;
    if (ctx->tape && (a->modes & ILKI_POOL_MAX)) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: the backward of max pooling is not built");
        return;
    }
    ilki_pool_args copy = *a;
    uint64_t seq_ns = (uint64_t)a->offsets[a->n_seqs] * a->dim * ilki_nn_pool_count(a->modes) / a->n_seqs + 1;
    ilki_nn_run_rows(ctx, &(ilki_rows_args){pool_sequences, &copy, a->n_seqs, seq_ns},
                     ilki_nn_bytes(a->dim, sizeof(double)));
}

typedef struct unit_rows {
    float *x;
    size_t ldx, n;
} unit_rows;

static void normalise_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const unit_rows *u = arg;
    (void)sub;
    for (size_t i = first; i < first + n; i++) {
        float *x = u->x + i * u->ldx;
        double sum = 0.0;
        for (size_t j = 0; j < u->n; j++)
            sum += (double)x[j] * (double)x[j];
        double norm = sqrt(sum);
        norm = norm < 1e-12 ? 1e-12 : norm;
        for (size_t j = 0; j < u->n; j++)
            x[j] = (float)((double)x[j] / norm);
    }
}

void ilki_nn_normalise(ilki_nn *ctx, float *x, size_t ldx, size_t n_rows, size_t n)
{
    if (ctx->tape) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: the backward of unit length is not built");
        return;
    }
    unit_rows u = {x, ldx ? ldx : n, n};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){normalise_rows, &u, n_rows, n * 2}, 0);
}
