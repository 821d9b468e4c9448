/* SPDX-License-Identifier: Apache-2.0
 * LayerNorm and RMSNorm over rows, and over the heads inside rows. */
#include "nn/layers.h"

#include "nn/tape.h"
#include "nn/work.h"

typedef struct norm_rows {
    const ilki_norm *norm;
    float *y;
    const float *x;
    size_t ldy, ldx;
    size_t n_heads; /* parts of a row that are normalised alone */
} norm_rows;

static void apply(const ilki_kern_ops *ops, const ilki_norm *n, float *y, size_t ldy, const float *x, size_t ldx,
                  size_t rows)
{
    ilki_norm_f32 t = ilki_nn_norm_of(n);
    t.x = x;
    t.y = y;
    t.rows = rows;
    t.ldx = ldx;
    t.ldy = ldy;
    ops->norm_f32(&t);
}

static void run_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const norm_rows *r = arg;
    if (r->n_heads == 1) {
        apply(sub->ops, r->norm, r->y + first * r->ldy, r->ldy, r->x + first * r->ldx, r->ldx, n);
        return;
    }
    for (size_t i = first; i < first + n; i++)
        apply(sub->ops, r->norm, r->y + i * r->ldy, r->norm->dim, r->x + i * r->ldx, r->norm->dim, r->n_heads);
}

void ilki_nn_norm(ilki_nn *ctx, const ilki_norm *n, float *y, size_t ldy, const float *x, size_t ldx, size_t n_rows)
{
    norm_rows r = {n, y, x, ldy ? ldy : n->dim, ldx ? ldx : n->dim, 1};
    if (ctx->tape && ilki_nn_live(ctx)) {
        ilki_tape_entry *e = ilki_nn_tape_add(ctx, ILKI_TAPE_NORM, x, r.ldx, n_rows, n->dim);
        if (e)
            e->norm = *n;
    }
    ilki_nn_run_rows(ctx, &(ilki_rows_args){run_rows, &r, n_rows, n->dim}, 0);
}

void ilki_nn_norm_heads(ilki_nn *ctx, const ilki_norm *n, float *x, size_t ldx, size_t n_rows, size_t n_heads)
{
    if (ctx->tape) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: the backward of a norm of heads is not built");
        return;
    }
    norm_rows r = {n, x, x, ldx ? ldx : n->dim * n_heads, ldx ? ldx : n->dim * n_heads, n_heads};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){run_rows, &r, n_rows, n->dim * n_heads}, 0);
}
