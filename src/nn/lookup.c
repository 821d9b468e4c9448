/* SPDX-License-Identifier: Apache-2.0
 * Rows into and out of the stream: embedding tables, replaced rows, added rows, chosen rows. Tables stay in the file's
 * type and place; the rows that a text needs are converted as they are read. */
#include "nn/layers.h"

#include <string.h>

#include "nn/work.h"

typedef struct lookup {
    const ilki_lookup_args *a;
    size_t ldy;
} lookup;

/* Row `index` of a table into `to`. */
static bool read_row(ilki_nn *sub, const ilki_tensor *t, int32_t index, size_t dim, float *to)
{
    if ((uint64_t)index >= t->shape[0]) { /* a negative one, too */
        ilki_nn_fail(sub, ILK_BAD_ARGUMENT, "row %ld of tensor %s: expected 0 to %llu", (long)index, t->name,
                     (unsigned long long)t->shape[0] - 1);
        return false;
    }
    ilk_status status = ilki_tensor_read_f32(t, (size_t)index * dim, dim, to, sub->err);
    if (status != ILK_OK)
        sub->status = status;
    return status == ILK_OK;
}

/* Row `first` of the batch; `tmp` [dim] holds one row of a further table. */
static void lookup_row(ilki_nn *sub, const lookup *l, size_t i, float *tmp)
{
    const ilki_lookup_args *a = l->a;
    float *y = a->y + i * l->ldy;
    if (!a->word)
        memset(y, 0, a->dim * sizeof *y);
    else if (!read_row(sub, a->word, a->ids[i], a->dim, y))
        return;
    else if (a->word_scale != 0.0f && a->word_scale != 1.0f)
        sub->ops->scale_f32(y, a->word_scale, a->dim);
    if (a->type && read_row(sub, a->type, a->types ? a->types[i] : 0, a->dim, tmp))
        sub->ops->add_f32(y, tmp, a->dim);
    if (a->position && read_row(sub, a->position, a->positions[i], a->dim, tmp))
        sub->ops->add_f32(y, tmp, a->dim);
}

static void lookup_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const lookup *l = arg;
    float *tmp = ilki_nn_take(sub, l->a->dim, sizeof *tmp);
    for (size_t i = first; i < first + n && sub->status == ILK_OK; i++)
        lookup_row(sub, l, i, tmp);
}

void ilki_nn_lookup(ilki_nn *ctx, const ilki_lookup_args *a)
{
    lookup l = {a, a->ldy ? a->ldy : a->dim};
    ilki_nn_run_rows(ctx, &(ilki_rows_args){lookup_rows, &l, a->n_rows, a->dim + 50},
                     ilki_nn_bytes(a->dim, sizeof(float)));
}

void ilki_nn_positions(ilki_nn *ctx, int32_t *out, const uint32_t *offsets, size_t n_seqs, const ilki_kv *const *prefix)
{
    if (!ilki_nn_live(ctx))
        return;
    for (size_t s = 0; s < n_seqs; s++) {
        int32_t at = prefix && prefix[s] ? (int32_t)prefix[s]->n_tokens : 0;
        for (size_t i = offsets[s]; i < offsets[s + 1]; i++)
            out[i] = at++;
    }
}

/* ---- rows moved: memory traffic alone, on this thread */

void ilki_nn_replace_rows(ilki_nn *ctx, float *x, size_t ldx, size_t first, const float *rows, size_t n, size_t dim)
{
    if (!ilki_nn_live(ctx))
        return;
    for (size_t i = 0; i < n; i++)
        memcpy(x + (first + i) * (ldx ? ldx : dim), rows + i * dim, dim * sizeof *x);
}

void ilki_nn_add_rows(ilki_nn *ctx, float *x, size_t ldx, const uint32_t *at, const float *rows, size_t n, size_t dim)
{
    if (!ilki_nn_live(ctx))
        return;
    for (size_t i = 0; i < n; i++)
        ctx->ops->add_f32(x + at[i] * (ldx ? ldx : dim), rows + i * dim, dim);
}

void ilki_nn_take_rows(ilki_nn *ctx, float *y, const float *x, size_t ldx, const uint32_t *at, size_t n, size_t dim)
{
    if (!ilki_nn_live(ctx))
        return;
    for (size_t i = 0; i < n; i++)
        memcpy(y + i * dim, x + (at ? at[i] : i) * (ldx ? ldx : dim), dim * sizeof *y);
}
