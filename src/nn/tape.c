/* SPDX-License-Identifier: Apache-2.0
 * What the layers write on a tape. */
#include "nn/tape.h"

#include <string.h>

void ilki_nn_tape_reset(ilki_tape *t)
{
    size_t max_bytes = t->arena.max_bytes;
    ilki_base_arena_deinit(&t->arena);
    *t = (ilki_tape){.arena.max_bytes = max_bytes};
}

const float *ilki_nn_tape_copy(ilki_nn *ctx, const float *x, size_t ldx, size_t n_rows, size_t n)
{
    if (ctx->status != ILK_OK)
        return NULL;
    float *copy = ilki_base_arena_alloc(&ctx->tape->arena, n_rows * n, sizeof *copy);
    if (!copy) {
        ilki_nn_fail(ctx, ILK_NO_MEMORY, "tape: %zu rows of %zu do not fit behind %zu bytes", n_rows, n,
                     ctx->tape->arena.total_bytes);
        return NULL;
    }
    for (size_t i = 0; i < n_rows; i++)
        memcpy(copy + i * n, x + i * ldx, n * sizeof *copy);
    return copy;
}

ilki_tape_entry *ilki_nn_tape_add(ilki_nn *ctx, ilki_tape_op op, const float *x, size_t ldx, size_t n_rows, size_t n)
{
    const float *copy = ilki_nn_tape_copy(ctx, x, ldx, n_rows, n);
    if (!copy)
        return NULL;
    ilki_tape_entry *e = ilki_base_arena_alloc(&ctx->tape->arena, 1, sizeof *e);
    if (!e) {
        ilki_nn_fail(ctx, ILK_NO_MEMORY, "tape: no room behind %zu bytes", ctx->tape->arena.total_bytes);
        return NULL;
    }
    *e = (ilki_tape_entry){.prev = ctx->tape->last, .op = op, .n_rows = n_rows, .n = n, .x = copy};
    ctx->tape->last = e;
    ctx->tape->n_entries++;
    return e;
}
