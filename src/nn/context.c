/* SPDX-License-Identifier: Apache-2.0
 * The context of a pass: its memory, its first failure, and how its work is cut into tasks. Where the cuts fall never
 * changes a bit of a result, so everything here may follow estimates. */
#include "nn/nn.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "nn/stream.h"
#include "nn/work.h"

void ilki_nn_fail(ilki_nn *ctx, ilk_status status, const char *fmt, ...)
{
    if (ctx->status != ILK_OK)
        return;
    char message[sizeof((ilk_error *)0)->message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    ctx->status = ilki_base_fail(ctx->err, status, "%s", message);
}

void *ilki_nn_take(ilki_nn *ctx, size_t n, size_t size)
{
    if (ctx->status != ILK_OK)
        return NULL;
    void *p = ilki_base_ws_take(ctx->ws, n, size);
    if (ctx->ws->overrun)
        ilki_nn_fail(ctx, ILK_LIMIT, "workspace of a pass: %zu bytes, %zu used, %zu times %zu more wanted",
                     ctx->ws->size, ctx->ws->used, n, size);
    return p;
}

/* ---- tasks */

typedef struct run_state {
    const ilki_nn *ctx;
    const ilki_nn_work *work;
    unsigned char *scratch; /* [slots][stride] */
    size_t stride;
    ilk_error *err;
    atomic_int failed; /* the first task's status that is not OK */
} run_state;

static void run_task(void *arg, size_t index, unsigned slot)
{
    run_state *s = arg;
    if (atomic_load_explicit(&s->failed, memory_order_relaxed) != ILK_OK)
        return;
    ilki_ws ws;
    ilk_error err;
    ilki_base_ws_init(&ws, s->scratch + slot * s->stride, s->stride);
    err.size = sizeof err;
    err.status = ILK_OK;
    err.message[0] = '\0';
    ilki_nn sub = {.ops = s->ctx->ops,
                   .ws = &ws,
                   .stream = s->ctx->stream,
                   .attend_f32 = s->ctx->attend_f32,
                   .slot = slot,
                   .err = &err};
    s->work->fn(&sub, s->work->arg, index);
    int ok = ILK_OK;
    if (sub.status != ILK_OK && atomic_compare_exchange_strong(&s->failed, &ok, (int)sub.status))
        ilki_base_error_copy(s->err, &err);
}

static unsigned n_slots(const ilki_nn *ctx)
{
    return ctx->pool ? ilki_base_pool_threads(ctx->pool) : 1;
}

void ilki_nn_run(ilki_nn *ctx, const ilki_nn_work *w)
{
    if (ctx->status != ILK_OK || w->n_tasks == 0)
        return;
    size_t mark = ilki_base_ws_mark(ctx->ws);
    /* never nothing: a workspace without memory would be a measuring one */
    size_t stride = w->scratch_bytes ? ilki_nn_bytes(w->scratch_bytes, 1) : ILKI_ALIGN;
    run_state s = {.ctx = ctx, .work = w, .stride = stride, .err = ctx->err};
    s.scratch = ilki_nn_take(ctx, n_slots(ctx), stride);
    if (s.scratch) {
        atomic_init(&s.failed, ILK_OK);
        ilk_status stopped = ILK_OK;
        if (ctx->pool || ctx->job) {
            ilki_run run = {.fn = run_task, .arg = &s, .n_tasks = w->n_tasks, .cost_ns = w->cost_ns, .job = ctx->job};
            stopped = ilki_base_pool_run(ctx->pool, &run, ctx->err);
        } else {
            for (size_t i = 0; i < w->n_tasks; i++)
                run_task(&s, i, 0);
        }
        int failed = atomic_load(&s.failed);
        ctx->status = failed != ILK_OK ? (ilk_status)failed : stopped;
    }
    ilki_base_ws_release(ctx->ws, mark);
}

/* ---- cuts */

uint64_t ilki_nn_flops_ns(const ilki_nn *ctx, uint64_t n_flops)
{
    return n_flops / ctx->ops->gemm_f32_gflops + 1;
}

uint64_t ilki_nn_attn_ns(const ilki_nn *ctx, uint64_t n_flops)
{
    /* exponentials beside the products */
    return ctx->ops->attn_f32 == ilki_kern_ref.attn_f32 ? n_flops + 1 : 2 * ilki_nn_flops_ns(ctx, n_flops);
}

/* Rows of a block when a thread's share is cut into so many. */
static uint64_t rows_in(uint64_t share, uint64_t turns, size_t mr)
{
    uint64_t rows = (share + turns - 1) / turns;
    return mr > 1 && rows > mr ? (rows + mr - 1) / mr * mr : rows;
}

/* Each block streams the weights of its chain once more from far memory, so blocks are large: up to half as many again
 * as ILKI_NN_BLOCK_NS allows, so that every thread gets the same number of them; and one fewer where that leaves less
 * of a thread's last block empty, for which the others would wait. */
size_t ilki_nn_block_rows(const ilki_nn *ctx, size_t n_rows, uint64_t row_ns)
{
    if (n_rows == 0)
        return 1;
    size_t threads = n_slots(ctx), mr = ctx->ops->gemm_f32_mr;
    if (n_rows * row_ns < ILKI_NN_ALONE_NS) /* the pool would run all blocks on one thread */
        return n_rows;
    uint64_t most = ILKI_NN_BLOCK_NS / (row_ns ? row_ns : 1) + 1, share = (n_rows + threads - 1) / threads;
    uint64_t turns = (share + most / 2) / most; /* blocks of a thread, to the nearest */
    turns = turns > 1 ? turns : 1;
    uint64_t rows = rows_in(share, turns, mr);
    if (turns > 1) {
        uint64_t fewer = rows_in(share, turns - 1, mr);
        if (2 * fewer <= 3 * most && fewer * (turns - 1) < rows * turns)
            rows = fewer;
    }
    return rows > n_rows ? n_rows : (size_t)rows;
}

typedef struct row_tasks {
    const ilki_rows_args *args;
    size_t block;
} row_tasks;

static void run_block(ilki_nn *sub, void *arg, size_t index)
{
    const row_tasks *t = arg;
    size_t first = index * t->block, left = t->args->n_rows - first;
    t->args->fn(sub, t->args->arg, first, left < t->block ? left : t->block);
}

static void run_blocks(ilki_nn *ctx, const ilki_rows_args *a, size_t block, size_t scratch_bytes)
{
    row_tasks t = {a, block};
    ilki_nn_work w = {.fn = run_block,
                      .arg = &t,
                      .n_tasks = (a->n_rows + block - 1) / block,
                      .scratch_bytes = scratch_bytes,
                      .cost_ns = a->n_rows * a->row_ns + 1};
    ilki_nn_run(ctx, &w);
}

void ilki_nn_run_rows(ilki_nn *ctx, const ilki_rows_args *a, size_t scratch_bytes)
{
    run_blocks(ctx, a, ilki_nn_block_rows(ctx, a->n_rows, a->row_ns), scratch_bytes);
}

bool ilki_nn_few_rows(const ilki_nn *ctx, size_t n_rows)
{
    enum { MOST = 4 }; /* sharing columns, every thread prepares all rows: with many that would be more than it saves */
    size_t threads = n_slots(ctx);
    return threads > 1 && n_rows <= (threads < MOST ? threads : MOST) * ctx->ops->gemm_f32_few;
}

enum { AWAKE_NS = 50000 }; /* a chain that is worth the waking of threads */

void ilki_nn_rows(ilki_nn *ctx, const ilki_rows_args *a)
{
    if (ctx->status != ILK_OK || a->n_rows == 0)
        return;
    bool few = ilki_nn_few_rows(ctx, a->n_rows);
    if (ctx->tape || ctx->watch || few) {
        size_t mark = ilki_base_ws_mark(ctx->ws);
        bool awake = ctx->awake;
        ctx->awake |= few && a->n_rows * a->row_ns > AWAKE_NS;
        a->fn(ctx, a->arg, 0, a->n_rows);
        ctx->awake = awake;
        ilki_base_ws_release(ctx->ws, mark);
        return;
    }
    size_t block = ilki_nn_block_rows(ctx, a->n_rows, a->row_ns), rest = a->n_rows % block;
    ilki_ws measuring;
    ilki_base_ws_init(&measuring, NULL, 0);
    ilki_nn sub = {.ops = ctx->ops, .ws = &measuring, .stream = ctx->stream, .err = ctx->err};
    bool noting = ilki_nn_stream_note(ctx);
    a->fn(&sub, a->arg, 0, block);
    if (rest) /* fewer rows may need more: the chains inside cut them otherwise */
        a->fn(&sub, a->arg, a->n_rows - rest, rest);
    ctx->status = sub.status;
    size_t mark = ilki_base_ws_mark(ctx->ws);
    if (noting)
        ilki_nn_stream_hold(ctx);
    run_blocks(ctx, a, block, measuring.peak);
    if (noting)
        ilki_nn_stream_end(ctx);
    ilki_base_ws_release(ctx->ws, mark);
}
