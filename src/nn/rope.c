/* SPDX-License-Identifier: Apache-2.0
 * Rotary positions. Frequency f of dim / 2 turns its pair of entries by position * theta^(-2 f / freq_dim) / freq_div;
 * with several axes each frequency belongs to one of them. The table holds cosines and sines of all rows once per pass, so that the
 * layers and their heads share it. torch keeps frequencies and angles in f32, and at position 8,000 that rounding is
 * larger than all others together: to agree, it is made here as well. */
#include "nn/layers.h"

#include <assert.h>
#include <math.h>

#include "nn/work.h"

typedef struct table {
    const ilki_rope *r;
    const int32_t *positions;
    size_t n_rows;
    float *cos_, *sin_;
    const float *freq;         /* [dim / 2] */
    const unsigned char *axis; /* [dim / 2] */
} table;

/* The axis frequency f belongs to. */
static unsigned axis_of(const ilki_rope *r, uint32_t f)
{
    if (r->n_axes < 2)
        return 0;
    if (r->sections == ILKI_ROPE_STRIDED) {
        unsigned axis = f % r->n_axes;
        return f / r->n_axes < r->section[axis] ? axis : 0;
    }
    unsigned axis = 0;
    for (uint32_t end = r->section[0]; axis + 1 < r->n_axes && f >= end; end += r->section[axis])
        axis++;
    return axis;
}

static void table_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const table *t = arg;
    size_t half = t->r->dim / 2;
    (void)sub;
    for (size_t i = first; i < first + n; i++)
        for (size_t f = 0; f < half; f++) {
            float angle = (float)t->positions[t->axis[f] * t->n_rows + i] * t->freq[f];
            t->cos_[i * half + f] = (float)cos((double)angle);
            t->sin_[i * half + f] = (float)sin((double)angle);
        }
}

void ilki_nn_rope_table(ilki_nn *ctx, const ilki_rope *r, const int32_t *positions, size_t n_rows, float *cos_,
                        float *sin_)
{
    assert(r->dim % 2 == 0 && r->n_axes >= 1 && r->n_axes <= 3);
    size_t half = r->dim / 2, mark = ilki_base_ws_mark(ctx->ws);
    float *freq = ilki_nn_take(ctx, half, sizeof *freq);
    unsigned char *axis = ilki_nn_take(ctx, half, 1);
    if (ilki_nn_live(ctx)) {
        double denominator = r->freq_dim ? r->freq_dim : r->dim;
        double divisor = r->freq_div > 0 ? (double)r->freq_div : 1;
        for (size_t f = 0; f < half; f++) {
            freq[f] = (float)(pow((double)r->theta, -2.0 * (double)f / denominator) / divisor);
            axis[f] = (unsigned char)axis_of(r, (uint32_t)f);
        }
    }
    table t = {r, positions, n_rows, cos_, sin_, freq, axis};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){table_rows, &t, n_rows, half * 40}, 0);
    ilki_base_ws_release(ctx->ws, mark);
}

typedef struct turn {
    const ilki_rope *r;
    const ilki_rope_args *a;
    size_t ldx;
} turn;

static void turn_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const turn *t = arg;
    size_t half = t->r->dim / 2;
    for (size_t i = first; i < first + n; i++)
        for (size_t h = 0; h < t->a->n_heads; h++)
            sub->ops->rope_f32(t->a->x + i * t->ldx + h * t->a->d_head, t->a->cos_ + i * half, t->a->sin_ + i * half,
                               half, t->r->pairing == ILKI_ROPE_INTERLEAVED);
}

void ilki_nn_rope(ilki_nn *ctx, const ilki_rope *r, const ilki_rope_args *a)
{
    assert(r->dim <= a->d_head);
    turn t = {r, a, a->ldx ? a->ldx : a->n_heads * a->d_head};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){turn_rows, &t, a->n_rows, a->n_heads * r->dim}, 0);
}
