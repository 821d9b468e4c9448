/* SPDX-License-Identifier: Apache-2.0
 * Linear layers, the MLP made of two of them, and element-wise sums. A linear is cut into tiles of rows and of column
 * panels, so that a short query's few rows are shared out too. A low-rank delta is added before the activation, in a
 * scratch of its rows. */
#include "nn/layers.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "nn/stream.h"
#include "nn/tape.h"
#include "nn/watch.h"
#include "nn/work.h"

enum { TILE_ROWS = 128 };

static size_t or_dense(size_t ld, size_t n)
{
    return ld ? ld : n;
}

uint64_t ilki_nn_linear_ns(const ilki_nn *ctx, const ilki_linear *l)
{
    uint64_t flops = 2 * (uint64_t)l->n_in * l->n_out, more = 0;
    if (l->delta)
        more = 2 * (uint64_t)l->delta->rank * (l->n_in + l->n_out);
    if (l->form == ILKI_FORM_BF16)
        return flops / ctx->ops->gemm_bf16_gflops + l->n_out / 4 + ilki_nn_flops_ns(ctx, more);
    if (l->i8) /* and codes of the inputs, and outputs from sums */
        return (l->form == ILKI_FORM_I8W ? 2 : 1) * (flops / ctx->ops->gemm_i8_gflops + (l->n_in + l->n_out) / 4) +
               ilki_nn_flops_ns(ctx, more);
    return ilki_nn_flops_ns(ctx, flops + more);
}

/* ---- tiles */

typedef struct tiles {
    const ilki_linear *l;
    ilki_linear_args a; /* every ld set */
    size_t rows, cols, n_col_tiles;
    unsigned char *codes;          /* of the inputs, where they are multiplied as such */
    size_t ld_codes, codes_of_row; /* rows of codes for a row of inputs: 2 where weights alone are of 8 bits */
    const struct joint *joint;     /* NULL: none */
} tiles;

/* What a linear of 8 bits knows of the one before or behind it: ranges of rows, as ilki_rows_i8 has them, that spare the
 * latter a look through its inputs. */
typedef struct joint {
    float *of_y;       /* to be kept up for the outputs, or NULL */
    const float *keep; /* [n_out] of who reads these; NULL: all */
    const float *of_x; /* of the inputs, or NULL */
} joint;

static float *range_at(float *range, size_t row)
{
    return ilki_nn_at(range, row * 2 * ILKI_I8_LANES);
}

/* What a product of these rows needs beside its operands; false when the workspace is short. */
static bool take_scratch(ilki_nn *sub, size_t m, size_t k, void **scratch)
{
    size_t n_bytes = sub->ops->gemm_scratch_f32(m, k);
    *scratch = n_bytes ? ilki_nn_take(sub, n_bytes, 1) : NULL;
    return *scratch || n_bytes == 0;
}

static ilki_gemm_i8 product_i8(const tiles *t, size_t first, size_t n, size_t j0, size_t j1)
{
    const ilki_linear_args *a = &t->a;
    return (ilki_gemm_i8){.a = t->codes + first * t->codes_of_row * t->ld_codes,
                          .packed = t->l->packed,
                          .bias = t->l->bias,
                          .residual = a->residual ? a->residual + first * a->ldr : NULL,
                          .c = a->y + first * a->ldy,
                          .range = t->joint ? range_at(t->joint->of_y, first) : NULL,
                          .keep = t->joint ? t->joint->keep : NULL,
                          .m = n,
                          .n = t->l->n_out,
                          .k = t->l->n_in,
                          .n_exact = t->l->i8->channels.n_exact,
                          .lda = t->codes_of_row * t->ld_codes,
                          .ldc = a->ldy,
                          .ldr = a->ldr,
                          .j0 = j0,
                          .j1 = j1,
                          .act = a->act};
}

static void gemm_i8_rows(ilki_nn *sub, const tiles *t, size_t first, size_t n, size_t j0, size_t j1)
{
    ilki_gemm_i8 g = product_i8(t, first, n, j0, j1);
    sub->ops->gemm_i8(&g);
}

/* Activations of two codes: the finer ones' product first, then the other, which has the exact channels and the bias, on top
 * of it. Where an activation lies between them and a residual, the sum is made apart. */
static void gemm_i8w_rows(ilki_nn *sub, const tiles *t, size_t first, size_t n, size_t j0, size_t j1)
{
    const ilki_linear_args *a = &t->a;
    const ilki_kern_ops *ops = sub->ops;
    ilki_gemm_i8 coarse = product_i8(t, first, n, j0, j1), fine = coarse;
    bool apart = a->act != ILKI_ACT_NONE && a->residual;
    size_t mark = ilki_base_ws_mark(sub->ws);
    if (apart) {
        fine.residual = NULL;
        fine.ldc = t->l->n_out;
        fine.c = ilki_nn_take(sub, n * t->l->n_out, sizeof *fine.c);
        if (!fine.c)
            return;
    }
    fine.a += t->ld_codes;
    fine.bias = NULL;
    fine.act = coarse.act = ILKI_ACT_NONE;
    coarse.residual = coarse.c = fine.c;
    coarse.ldr = coarse.ldc = fine.ldc;
    ops->gemm_i8(&fine);
    ops->gemm_i8(&coarse);
    for (size_t i = 0; i < n && a->act != ILKI_ACT_NONE; i++) {
        float *c = fine.c + i * fine.ldc + j0, *y = a->y + (first + i) * a->ldy + j0;
        ops->act_f32(c, j1 - j0, a->act);
        if (apart) {
            ops->add_f32(c, a->residual + (first + i) * a->ldr + j0, j1 - j0);
            memcpy(y, c, (j1 - j0) * sizeof *y);
        }
    }
    ilki_base_ws_release(sub->ws, mark);
}

static void gemm_float_rows(ilki_nn *sub, const tiles *t, size_t first, size_t n, size_t j0, size_t j1)
{
    bool half = t->l->form == ILKI_FORM_BF16;
    void *scratch = NULL;
    if (half ? !(scratch = ilki_nn_take(sub, sub->ops->gemm_scratch_bf16(n, t->l->n_in), 1))
             : !take_scratch(sub, n, t->l->n_in, &scratch))
        return;
    const ilki_linear_args *a = &t->a;
    ilki_gemm_f32 g = {.a = a->x + first * a->ldx,
                       .packed = t->l->packed,
                       .bias = t->l->bias,
                       .residual = a->residual ? a->residual + first * a->ldr : NULL,
                       .c = a->y + first * a->ldy,
                       .scratch = scratch,
                       .m = n,
                       .n = t->l->n_out,
                       .k = t->l->n_in,
                       .lda = a->ldx,
                       .ldc = a->ldy,
                       .ldr = a->ldr,
                       .j0 = j0,
                       .j1 = j1,
                       .act = a->act};
    (half ? sub->ops->gemm_bf16 : sub->ops->gemm_f32)(&g);
}

static void gemm_rows(ilki_nn *sub, const tiles *t, size_t first, size_t n, size_t j0, size_t j1)
{
    if (t->l->form == ILKI_FORM_I8)
        gemm_i8_rows(sub, t, first, n, j0, j1);
    else if (t->l->form == ILKI_FORM_I8W)
        gemm_i8w_rows(sub, t, first, n, j0, j1);
    else
        gemm_float_rows(sub, t, first, n, j0, j1);
}

/* All columns of some rows: h = scale (x A^T) B^T; h += x W^T + b; y = act(h) + residual. */
static void delta_rows(ilki_nn *sub, const tiles *t, size_t first, size_t n)
{
    const ilki_linear *l = t->l;
    const ilki_lowrank *d = l->delta;
    const ilki_linear_args *a = &t->a;
    const ilki_kern_ops *ops = sub->ops;
    float *low = ilki_nn_take(sub, n * d->rank, sizeof *low);
    float *h = ilki_nn_take(sub, n * l->n_out, sizeof *h);
    void *scratch_in, *scratch_rank;
    if (!low || !h || !take_scratch(sub, n, l->n_in, &scratch_in) || !take_scratch(sub, n, d->rank, &scratch_rank))
        return;
    ilki_gemm_f32 g = {.a = a->x + first * a->ldx,
                       .packed = d->packed_a,
                       .c = low,
                       .scratch = scratch_in,
                       .m = n,
                       .n = d->rank,
                       .k = l->n_in,
                       .lda = a->ldx,
                       .ldc = d->rank,
                       .j1 = d->rank};
    ops->gemm_f32(&g);
    ops->scale_f32(low, d->scale, n * d->rank);
    g = (ilki_gemm_f32){.a = low,
                        .packed = d->packed_b,
                        .c = h,
                        .scratch = scratch_rank,
                        .m = n,
                        .n = l->n_out,
                        .k = d->rank,
                        .lda = d->rank,
                        .ldc = l->n_out,
                        .j1 = l->n_out};
    ops->gemm_f32(&g);
    tiles whole = *t;
    whole.a = (ilki_linear_args){.x = a->x + first * a->ldx, .y = h, .residual = h, .ldx = a->ldx, .ldy = l->n_out};
    whole.a.ldr = l->n_out;
    if (t->codes)
        whole.codes = t->codes + first * t->codes_of_row * t->ld_codes;
    gemm_rows(sub, &whole, 0, n, 0, l->n_out);
    if (a->act != ILKI_ACT_NONE)
        ops->act_f32(h, n * l->n_out, a->act);
    for (size_t i = 0; i < n; i++) {
        if (a->residual)
            ops->add_f32(h + i * l->n_out, a->residual + (first + i) * a->ldr, l->n_out);
        memcpy(a->y + (first + i) * a->ldy, h + i * l->n_out, l->n_out * sizeof *h);
    }
}

static void run_tile(ilki_nn *sub, void *arg, size_t index)
{
    const tiles *t = arg;
    size_t first = index / t->n_col_tiles * t->rows, j0 = index % t->n_col_tiles * t->cols;
    size_t n = t->a.n_rows - first < t->rows ? t->a.n_rows - first : t->rows;
    size_t j1 = t->l->n_out - j0 < t->cols ? t->l->n_out : j0 + t->cols;
    if (t->l->delta)
        delta_rows(sub, t, first, n);
    else
        gemm_rows(sub, t, first, n, j0, j1);
}

/* Tiles that take about ILKI_NN_TASK_NS, and at least four a thread where the whole is large enough. */
static void cut_tiles(const ilki_nn *ctx, tiles *t, uint64_t row_ns)
{
    const ilki_kern_ops *ops = ctx->ops;
    size_t n_rows = t->a.n_rows, n_out = t->l->n_out;
    size_t nr = t->l->i8 ? ops->gemm_i8_nr : t->l->form == ILKI_FORM_BF16 ? ops->gemm_bf16_nr : ops->gemm_f32_nr;
    size_t threads = ctx->pool ? ilki_base_pool_threads(ctx->pool) : 1;
    /* a task already: these kernels cut as they like */
    bool whole = !ctx->pool && !ctx->job && (t->l->form == ILKI_FORM_F32 || t->l->form == ILKI_FORM_I8);
    t->rows = whole || n_rows < TILE_ROWS ? n_rows : TILE_ROWS;
    t->cols = n_out;
    if (t->l->delta) {
        t->rows = ilki_nn_block_rows(ctx, n_rows, row_ns);
    } else if (!whole) {
        uint64_t want = row_ns * n_rows / ((ilki_nn_few_rows(ctx, n_rows) ? 1 : 4) * threads) + 1;
        if (want > ILKI_NN_TASK_NS || threads == 1)
            want = ILKI_NN_TASK_NS;
        uint64_t cols = n_out * want / (row_ns * t->rows + 1) / nr * nr;
        cols = cols < nr ? nr : cols;
        t->cols = cols < n_out ? (size_t)cols : n_out;
        if (row_ns / (n_out / t->cols) * t->rows > 2 * ILKI_NN_TASK_NS)
            t->rows = ilki_nn_block_rows(ctx, t->rows, row_ns / (n_out / t->cols));
    }
    t->n_col_tiles = (n_out + t->cols - 1) / t->cols;
}

static void save_linear(ilki_nn *ctx, const ilki_linear *l, const ilki_linear_args *a)
{
    if (l->form != ILKI_FORM_F32) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: the backward of bf16 and 8-bit weights is not built");
        return;
    }
    ilki_tape_entry *e = ilki_nn_tape_add(ctx, ILKI_TAPE_LINEAR, a->x, a->ldx, a->n_rows, l->n_in);
    if (!e)
        return;
    e->linear = l;
    e->weight_at = ctx->ops->packed_at_f32;
    e->act = a->act;
    if (a->act == ILKI_ACT_NONE)
        return;
    /* the backward of an activation needs what went into it */
    float *pre = ilki_base_arena_alloc(&ctx->tape->arena, a->n_rows * l->n_out, sizeof *pre);
    if (!pre) {
        ilki_nn_fail(ctx, ILK_NO_MEMORY, "tape: out of memory after %zu bytes", ctx->tape->arena.total_bytes);
        return;
    }
    ilki_tape *tape = ctx->tape;
    ilki_linear_args plain = *a;
    plain.y = pre;
    plain.ldy = l->n_out;
    plain.residual = NULL;
    plain.act = ILKI_ACT_NONE;
    ctx->tape = NULL;
    ilki_nn_linear(ctx, l, &plain);
    ctx->tape = tape;
    e->pre = pre;
}

/* ---- 8-bit inputs */

static ilki_rows_i8 rows_of(const tiles *t, size_t first, size_t n)
{
    size_t ld = t->codes_of_row * t->ld_codes;
    return (ilki_rows_i8){.a = t->codes + first * ld,
                          .x = t->a.x + first * t->a.ldx,
                          .channels = &t->l->i8->channels,
                          .range = t->joint ? ilki_nn_at_const(t->joint->of_x, first * 2 * ILKI_I8_LANES) : NULL,
                          .lda = ld,
                          .ldx = t->a.ldx,
                          .rows = n,
                          .k = t->l->n_in};
}

/* Codes of rows, normalised or as they are; where nobody wants the former, one row at a time stands in `own`. Gives the
 * first of the rows that were coded. */
static const float *code_rows(ilki_nn *sub, const tiles *t, const ilki_rows_i8 *r, size_t first, float *own)
{
    const ilki_linear_args *a = &t->a;
    if (!a->norm) {
        sub->ops->quant_rows_i8(r);
        return r->x;
    }
    ilki_norm_f32 n = ilki_nn_norm_of(a->norm);
    n.x = r->x;
    n.y = own ? own : a->normed + first * a->ldn;
    n.rows = r->rows;
    n.ldx = r->ldx;
    n.ldy = own ? 0 : a->ldn;
    n.a = r->a;
    n.lda = r->lda;
    n.channels = r->channels;
    sub->ops->norm_f32(&n);
    return n.y;
}

/* Second codes of what the first leave, row by row. */
static void code_twice(ilki_nn *sub, const tiles *t, size_t first, size_t n, float *own)
{
    float *rest = ilki_nn_take(sub, t->l->n_in, sizeof *rest);
    for (size_t i = first; i < first + n && rest; i++) {
        ilki_rows_i8 r = rows_of(t, i, 1);
        const float *x = code_rows(sub, t, &r, i, own);
        sub->ops->rest_i8(rest, x, r.a, r.k, r.channels);
        r.a += t->ld_codes;
        r.x = rest;
        r.range = NULL;
        sub->ops->quant_rows_i8(&r);
    }
}

static void make_codes(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const tiles *t = arg;
    float *own = t->a.norm && !t->a.wants_normed ? ilki_nn_take(sub, t->l->n_in, sizeof *own) : NULL;
    if (sub->status != ILK_OK)
        return;
    ilki_rows_i8 r = rows_of(t, first, n);
    if (t->codes_of_row == 2)
        code_twice(sub, t, first, n, own);
    else
        code_rows(sub, t, &r, first, own);
}

/* The rows as codes, in the workspace. */
static void take_codes(ilki_nn *ctx, tiles *t)
{
    size_t row = ilki_nn_bytes(t->l->n_in, sizeof(float)), k = t->l->n_in;
    t->codes_of_row = t->l->form == ILKI_FORM_I8W ? 2 : 1;
    t->ld_codes = ilki_kern_i8_row_bytes(k);
    t->codes = ilki_nn_take(ctx, t->a.n_rows, t->codes_of_row * t->ld_codes);
    uint64_t row_ns = t->codes_of_row * k / 8 + (t->a.norm ? k : 0) + 1;
    ilki_nn_run_rows(ctx, &(ilki_rows_args){make_codes, t, t->a.n_rows, row_ns},
                     (t->codes_of_row == 2 ? row : 0) + (t->a.norm && !t->a.wants_normed ? row : 0));
}

/* The norm of a linear that does not take it with its codes: ahead of it. */
static void norm_first(ilki_nn *ctx, ilki_linear_args *a)
{
    size_t n = a->norm->dim, ld = a->wants_normed ? a->ldn : n;
    float *y = a->wants_normed ? a->normed : ilki_nn_take(ctx, a->n_rows * n, sizeof *y);
    ilki_nn_norm(ctx, a->norm, y, ld, a->x, a->ldx, a->n_rows);
    a->x = y;
    a->ldx = ld;
    a->norm = NULL;
}

static void watch_linear(ilki_nn *ctx, const ilki_linear *l, const ilki_linear_args *a)
{
    ilki_linear_i8 *i8 = l->i8;
    if (!i8->seen) {
        ilki_watched *w = ilki_base_arena_alloc(&ctx->watch->arena, 1, sizeof *w);
        float *seen = ilki_base_arena_alloc(&ctx->watch->arena, l->n_in, sizeof *seen);
        if (!w || !seen) {
            ilki_nn_fail(ctx, ILK_NO_MEMORY, "watching a linear layer: out of memory");
            return;
        }
        memset(seen, 0, l->n_in * sizeof *seen);
        *w = (ilki_watched){l, ctx->watch->first};
        ctx->watch->first = w;
        ctx->watch->n++;
        i8->seen = seen;
    }
    for (size_t i = 0; i < a->n_rows; i++) {
        const float *x = a->x + i * a->ldx;
        for (size_t k = 0; k < l->n_in; k++) {
            float size = fabsf(x[k]);
            i8->seen[k] = size > i8->seen[k] ? size : i8->seen[k];
        }
    }
}

/* ---- */

static size_t scratch_of_tile(const ilki_nn *ctx, const tiles *t)
{
    const ilki_linear *l = t->l;
    const ilki_kern_ops *ops = ctx->ops;
    size_t product = ilki_nn_bytes(ops->gemm_scratch_f32(t->rows, l->n_in), 1), n = product;
    if (l->form == ILKI_FORM_BF16)
        n += ilki_nn_bytes(ops->gemm_scratch_bf16(t->rows, l->n_in), 1);
    if (l->form == ILKI_FORM_I8W && t->a.act != ILKI_ACT_NONE && t->a.residual)
        n += ilki_nn_bytes(t->rows * l->n_out, sizeof(float));
    if (l->delta)
        n += product + ilki_nn_bytes(ops->gemm_scratch_f32(t->rows, l->delta->rank), 1) +
             ilki_nn_bytes(t->rows * l->delta->rank, sizeof(float)) + ilki_nn_bytes(t->rows * l->n_out, sizeof(float));
    return n;
}

static void run_linear(ilki_nn *ctx, const ilki_linear *l, const ilki_linear_args *a, const joint *with)
{
    if (ctx->status != ILK_OK || a->n_rows == 0)
        return;
    assert(!l->stale && (!l->delta || !l->delta->stale));
    ilki_linear shown;
    size_t mark = ilki_base_ws_mark(ctx->ws);
    l = ilki_nn_stream_show(ctx, l, &shown);
    if (!l)
        return;
    tiles t = {.l = l, .a = *a, .joint = with};
    t.a.ldx = or_dense(a->ldx, l->n_in);
    t.a.ldn = or_dense(a->ldn, l->n_in);
    t.a.ldy = or_dense(a->ldy, l->n_out);
    t.a.ldr = or_dense(a->ldr, l->n_out);
    if (a->norm && (!l->i8 || l->delta || ctx->tape || ctx->watch)) /* all but codes need the rows as floats */
        norm_first(ctx, &t.a);
    if (ctx->tape && ilki_nn_live(ctx))
        save_linear(ctx, l, &t.a);
    if (ctx->watch && l->i8 && ilki_nn_live(ctx))
        watch_linear(ctx, l, &t.a);
    if (l->i8)
        take_codes(ctx, &t);
    uint64_t row_ns = ilki_nn_linear_ns(ctx, l);
    cut_tiles(ctx, &t, row_ns);
    ilki_nn_work w = {.fn = run_tile,
                      .arg = &t,
                      .n_tasks = (a->n_rows + t.rows - 1) / t.rows * t.n_col_tiles,
                      .scratch_bytes = scratch_of_tile(ctx, &t),
                      .cost_ns = ctx->awake ? 0 : row_ns * a->n_rows};
    ilki_nn_run(ctx, &w);
    ilki_base_ws_release(ctx->ws, mark);
}

void ilki_nn_linear(ilki_nn *ctx, const ilki_linear *l, const ilki_linear_args *a)
{
    run_linear(ctx, l, a, NULL);
}

/* ---- MLP */

uint64_t ilki_nn_mlp_ns(const ilki_nn *ctx, const ilki_mlp *mlp)
{
    return ilki_nn_linear_ns(ctx, mlp->in) + ilki_nn_linear_ns(ctx, mlp->out) + mlp->in->n_out;
}

typedef struct mlp_chain {
    const ilki_mlp *mlp;
    ilki_linear_args a;
} mlp_chain;

/* h[i][:half] = act(h[i][:half]) * h[i][half:], or the other half activated; rows 2 * half apart */
static void gate(ilki_nn *sub, const ilki_mlp *mlp, float *h, size_t n, const joint *j)
{
    size_t half = mlp->in->n_out / 2;
    for (size_t i = 0; i < n && ilki_nn_live(sub); i++, h += 2 * half) {
        float *second = h + half;
        sub->ops->gate_f32(&(ilki_gate_f32){.y = h,
                                            .a = mlp->gate_second ? second : h,
                                            .b = mlp->gate_second ? h : second,
                                            .range = range_at(j->of_y, i),
                                            .keep = j->keep,
                                            .n = half,
                                            .act = mlp->act});
    }
}

/* The ranges of hidden rows are kept up by whoever makes them for a linear that makes codes of them: a gate, or a product
 * whose columns are not shared out among threads. */
static bool knows_ranges(const ilki_nn *sub, const ilki_mlp *mlp)
{
    return mlp->out->i8 && (mlp->gated || (mlp->in->form == ILKI_FORM_I8 && !mlp->in->delta && !sub->pool));
}

/* The hidden rows go as codes from the first linear's output to the second's input: a block that is read again while it is
 * near, and as few blocks as that allows, since each reads all weights. Floats do better with all of a task's rows at once. */
static size_t mlp_block(const ilki_nn *sub, const ilki_mlp *mlp, size_t n)
{
    enum { NEAR_ROWS = 128 };
    size_t mr = sub->ops->gemm_i8_mr, n_blocks = n / NEAR_ROWS;
    return !mlp->out->i8 || sub->tape || sub->pool || n_blocks < 2 ? n : (n / n_blocks + mr - 1) / mr * mr;
}

static void mlp_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const mlp_chain *c = arg;
    const ilki_mlp *mlp = c->mlp;
    const ilki_linear_args *a = &c->a;
    size_t width = mlp->in->n_out, block = mlp_block(sub, mlp, n), mark = ilki_base_ws_mark(sub->ws);
    float *h = ilki_nn_take(sub, block * width, sizeof *h);
    joint j = {.keep = mlp->out->i8 ? mlp->out->i8->channels.keep : NULL};
    if (knows_ranges(sub, mlp))
        j.of_y = ilki_nn_take(sub, block * 2 * ILKI_I8_LANES, sizeof *j.of_y);
    const joint behind = {.of_x = j.of_y};
    for (size_t end = first + n; first < end; first += block) {
        size_t rows = end - first < block ? end - first : block;
        ilki_linear_args in = {.x = ilki_nn_at_const(a->x, first * a->ldx),
                               .norm = a->norm,
                               .normed = ilki_nn_at(a->normed, first * a->ldn),
                               .wants_normed = a->wants_normed,
                               .y = h,
                               .n_rows = rows,
                               .ldx = a->ldx,
                               .ldn = a->ldn,
                               .act = mlp->gated ? ILKI_ACT_NONE : mlp->act};
        ilki_linear_args out = {.x = h,
                                .y = ilki_nn_at(a->y, first * a->ldy),
                                .residual = ilki_nn_at_const(a->residual, first * a->ldr),
                                .n_rows = rows,
                                .ldx = width,
                                .ldy = a->ldy,
                                .ldr = a->ldr};
        if (j.of_y)
            memset(j.of_y, 0, rows * 2 * ILKI_I8_LANES * sizeof *j.of_y);
        run_linear(sub, mlp->in, &in, mlp->gated ? NULL : &j);
        if (mlp->gated)
            gate(sub, mlp, h, rows, &j);
        run_linear(sub, mlp->out, &out, &behind);
    }
    ilki_base_ws_release(sub->ws, mark);
}

void ilki_nn_mlp(ilki_nn *ctx, const ilki_mlp *mlp, const ilki_linear_args *a)
{
    assert(mlp->in->n_out == mlp->out->n_in * (mlp->gated ? 2 : 1));
    if (mlp->gated && ctx->tape) {
        ilki_nn_fail(ctx, ILK_UNSUPPORTED, "tape: the backward of a gated MLP is not built");
        return;
    }
    mlp_chain c = {mlp, *a};
    c.a.ldx = or_dense(a->ldx, mlp->in->n_in);
    c.a.ldy = or_dense(a->ldy, mlp->out->n_out);
    c.a.ldr = or_dense(a->ldr, mlp->out->n_out);
    c.a.ldn = or_dense(a->ldn, mlp->in->n_in);
    ilki_nn_rows(ctx, &(ilki_rows_args){mlp_rows, &c, a->n_rows, ilki_nn_mlp_ns(ctx, mlp)});
}

/* ---- element-wise */

typedef struct each_row {
    float *y;
    const float *x;
    size_t ldy, ldx, n;
    ilki_act act;
} each_row;

static void act_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const each_row *e = arg;
    for (size_t i = first; i < first + n; i++)
        sub->ops->act_f32(e->y + i * e->ldy, e->n, e->act);
}

void ilki_nn_act(ilki_nn *ctx, ilki_act act, float *x, size_t ldx, size_t n_rows, size_t n)
{
    each_row e = {.y = x, .ldy = or_dense(ldx, n), .n = n, .act = act};
    if (ctx->tape && ilki_nn_live(ctx)) {
        ilki_tape_entry *saved = ilki_nn_tape_add(ctx, ILKI_TAPE_ACT, x, e.ldy, n_rows, n);
        if (saved)
            saved->act = act;
    }
    ilki_nn_run_rows(ctx, &(ilki_rows_args){act_rows, &e, n_rows, n * 2}, 0);
}

static void add_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const each_row *e = arg;
    for (size_t i = first; i < first + n; i++)
        sub->ops->add_f32(e->y + i * e->ldy, e->x + i * e->ldx, e->n);
}

void ilki_nn_add(ilki_nn *ctx, float *y, size_t ldy, const float *x, size_t ldx, size_t n_rows, size_t n)
{
    each_row e = {.y = y, .x = x, .ldy = or_dense(ldy, n), .ldx = or_dense(ldx, n), .n = n};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){add_rows, &e, n_rows, n / 4 + 1}, 0);
}
