/* SPDX-License-Identifier: Apache-2.0
 * How layers run: numbered tasks, each with a sub-context and scratch of its own. For the files of this room only. */
#ifndef ILKI_NN_WORK_H
#define ILKI_NN_WORK_H

#include "nn/layers.h"

/* What a task should take: far under the 5 ms that a task may, since the estimates are of a common machine. */
#define ILKI_NN_TASK_NS 1000000u
/* Work that the pool does not share out (base/pool.c). */
#define ILKI_NN_ALONE_NS 300000u
/* The same for a block of rows under a chain of layers. */
#define ILKI_NN_BLOCK_NS 4000000u

typedef struct ilki_nn_work {
    void (*fn)(ilki_nn *sub, void *arg, size_t index); /* sub: pool, job and tape NULL */
    void *arg;
    size_t n_tasks;
    size_t scratch_bytes; /* of a task, in sub->ws */
    uint64_t cost_ns;     /* of all tasks on one thread */
} ilki_nn_work;

/* Takes the scratch of every slot, runs the tasks, gives the scratch back. While measuring it only counts. */
void ilki_nn_run(ilki_nn *ctx, const ilki_nn_work *w);

/* True when a layer may compute: no failure so far and not measuring. */
static inline bool ilki_nn_live(const ilki_nn *ctx)
{
    return ctx->status == ILK_OK && !ilki_nn_measuring(ctx);
}

/* Bytes that n objects take in a workspace. */
static inline size_t ilki_nn_bytes(size_t n, size_t size)
{
    return (n * size + ILKI_ALIGN - 1) / ILKI_ALIGN * ILKI_ALIGN;
}

/* A norm as the kernel takes it, rows aside. */
static inline ilki_norm_f32 ilki_nn_norm_of(const ilki_norm *n)
{
    return (ilki_norm_f32){.w = n->w, .b = n->b, .n = n->dim, .eps = n->eps, .w_add = n->w_add, .rms = n->rms};
}

/* ns of n_flops (a multiply-add is two) in the GEMM and in attention on one thread; guesses by what the table declares. */
uint64_t ilki_nn_flops_ns(const ilki_nn *ctx, uint64_t n_flops);
uint64_t ilki_nn_attn_ns(const ilki_nn *ctx, uint64_t n_flops);

/* Rows of a task when a row costs row_ns: a multiple of what the kernel likes, at most n_rows, and few enough that the
 * threads of the pool all get some where the whole is worth sharing. */
size_t ilki_nn_block_rows(const ilki_nn *ctx, size_t n_rows, uint64_t row_ns);

/* True where blocks of rows would each go over all weights, which take longer than the rows: layers share out columns
 * instead. */
bool ilki_nn_few_rows(const ilki_nn *ctx, size_t n_rows);

/* Tasks over row blocks, fn(sub, arg, first, n), each with so much scratch. */
void ilki_nn_run_rows(ilki_nn *ctx, const ilki_rows_args *a, size_t scratch_bytes);

/* Positions lo <= j < hi of the keys that the query at position i of a sequence of `total` may see, group ids aside;
 * prefix_len for ILKI_MASK_PREFIX, else 0. Both ends ascend with i. */
typedef struct ilki_nn_interval {
    size_t lo, hi;
} ilki_nn_interval;
ilki_nn_interval ilki_nn_attn_seen(const ilki_attn *d, size_t prefix_len, size_t total, size_t i);

#endif
