/* SPDX-License-Identifier: Apache-2.0
 * LayerNorm and RMSNorm over rows and heads, with strides and in place. */
#include "alloc_count.h"
#include "nn/layers.h"
#include "nn_test.h"

typedef struct call {
    ilki_norm norm;
    const float *x;
    float *y;
    size_t n, ldx, ldy, n_heads; /* n_heads 0: whole rows */
    bool in_place;
} call;

static void run_norm(ilki_nn *ctx, void *arg)
{
    call *c = arg;
    if (c->in_place && !ilki_nn_measuring(ctx))
        memcpy(c->y, c->x, c->n * c->ldx * sizeof *c->y);
    if (c->n_heads)
        ilki_nn_norm_heads(ctx, &c->norm, c->y, c->ldy, c->n, c->n_heads);
    else
        ilki_nn_norm(ctx, &c->norm, c->y, c->ldy, c->in_place ? c->y : c->x, c->ldx, c->n);
}

static void want_part(const ilki_norm *n, const float *x, float *y)
{
    double mean = 0, square = 0;
    for (size_t j = 0; j < n->dim && !n->rms; j++)
        mean += (double)x[j] / (double)n->dim;
    for (size_t j = 0; j < n->dim; j++)
        square += ((double)x[j] - mean) * ((double)x[j] - mean) / (double)n->dim;
    for (size_t j = 0; j < n->dim; j++) {
        double w = n->rms ? (double)n->w[j] + (double)n->w_add : (double)n->w[j];
        y[j] = (float)(((double)x[j] - mean) / sqrt(square + (double)n->eps) * w + (n->b ? (double)n->b[j] : 0));
    }
}

static void check_norm(const ilki_kern_ops *ops, call *c)
{
    size_t n_parts = c->n_heads ? c->n_heads : 1, dim = c->norm.dim, ldy = c->ldy ? c->ldy : dim * n_parts;
    size_t ldx = c->ldx ? c->ldx : dim * n_parts;
    nn_same(ops, run_norm, c, c->y, c->n * ldy - (ldy - dim * n_parts));
    float want[64];
    for (size_t i = 0; i < c->n; i++)
        for (size_t h = 0; h < n_parts; h++) {
            want_part(&c->norm, c->x + i * ldx + h * dim, want);
            if (!CHECK_FLOATS(c->y + i * ldy + h * dim, want, dim, 2e-6, 1e-6))
                return;
        }
    for (size_t j = dim * n_parts; c->in_place && j < ldy; j++) /* what lies between rows stays */
        CHECK_NEAR(c->y[j], c->x[j], 0);
}

static void norms(void)
{
    ilki_kern_ops ops[NN_TABLES];
    enum { N = 500, DIM = 48 };
    uint64_t seed = 9;
    float *x = nn_random(&seed, N * 200), *y = malloc((size_t)N * 200 * sizeof *y), *w = nn_random(&seed, DIM),
          *b = nn_random(&seed, DIM);
    for (size_t t = 0, n = nn_tables(ops); t < n; t++)
        for (int i = 0; i < 4; i++) {
            ilki_norm norm = {w, i == 0 ? b : NULL, DIM, i == 1 ? 1e-2f : 1e-12f, i == 3 ? 1.0f : 0.0f, i > 1};
            check_norm(&ops[t], &(call){norm, x, y, N, 0, 0, 0, false});
            check_norm(&ops[t], &(call){norm, x, y, N, 60, 70, 0, false});
            check_norm(&ops[t], &(call){norm, x, y, N, 50, 50, 0, true});
            check_norm(&ops[t], &(call){norm, x, y, N, 200, 200, 3, true});
        }
    free(x);
    free(y);
    free(w);
    free(b);
}

TEST_MAIN({"norms", norms})
