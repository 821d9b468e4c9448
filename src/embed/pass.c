/* SPDX-License-Identifier: Apache-2.0
 * One pass: sequences through a tower, then through the modules behind it, then each vector to its place. Rows of pictures
 * are made on the pool just before. Where a pass begins and ends never changes a bit of a vector (kern's one order of
 * reduction).
 *
 * Memory: the tokens or rows of the largest pass so far, and one workspace that grows to the largest and is taken from the
 * runtime's ceiling while the call lasts. */
#include "embed/pass.h"

#include <stdlib.h>
#include <string.h>

#include "nn/layers.h"
#include "nn/stream.h"

void ilki_embed_pass_init(ilki_pass *p, ilk_model *m, ilk_job *job, const ilki_embed_plan *plan, unsigned tower)
{
    *p = (ilki_pass){.m = m, .job = job, .plan = plan, .tower = tower, .width = m->pool_dim};
    for (unsigned i = 0; i < m->modules.n; i++)
        if (m->modules.list[i].kind == ILKI_MODULE_DENSE && m->modules.list[i].dense.n_out > p->width)
            p->width = m->modules.list[i].dense.n_out;
}

static void free_tokens(ilki_pass *p)
{
    free(p->ids);
    free(p->types);
    free(p->rows);
    p->ids = p->types = NULL;
    p->rows = NULL;
}

static void free_seqs(ilki_pass *p)
{
    free(p->offsets);
    free(p->skip);
    free(p->row);
    free(p->share);
    free((void *)p->parts);
    free(p->x);
    free(p->y);
    p->offsets = p->skip = NULL;
    p->row = NULL;
    p->parts = NULL;
    p->share = p->x = p->y = NULL;
}

void ilki_embed_pass_deinit(ilki_pass *p)
{
    free_tokens(p);
    free_seqs(p);
    ilki_base_runtime_give(p->m->rt, p->ws_memory, p->ws_bytes);
}

static bool reads_rows(const ilki_pass *p)
{
    return p->m->net->tower[p->tower].row_dim != 0;
}

ilk_status ilki_embed_pass_reserve(ilki_pass *p, size_t n_tokens, size_t n_seqs, ilk_error *err)
{
    size_t row_dim = p->m->net->tower[p->tower].row_dim, n_floats = 0;
    if (n_tokens > p->cap_tokens) {
        free_tokens(p);
        if (row_dim == 0) {
            p->ids = ilki_base_alloc_aligned(n_tokens, sizeof *p->ids);
            p->types = ilki_base_alloc_aligned(n_tokens, sizeof *p->types);
        } else if (ilki_base_mul(n_tokens, row_dim, &n_floats)) {
            p->rows = ilki_base_alloc_aligned(n_floats, sizeof *p->rows);
        }
        p->cap_tokens = p->rows || (p->ids && p->types) ? n_tokens : 0;
    }
    if (n_seqs > p->cap_seqs) {
        free_seqs(p);
        p->offsets = ilki_base_alloc_aligned(n_seqs + 1, sizeof *p->offsets);
        p->skip = ilki_base_alloc_aligned(n_seqs, sizeof *p->skip);
        p->row = ilki_base_alloc_aligned(n_seqs, sizeof *p->row);
        p->share = ilki_base_alloc_aligned(n_seqs, sizeof *p->share);
        p->parts = ilki_base_alloc_aligned(n_seqs, sizeof *p->parts);
        p->x = ilki_base_alloc_aligned(n_seqs * p->width, sizeof *p->x);
        p->y = ilki_base_alloc_aligned(n_seqs * p->width, sizeof *p->y);
        p->cap_seqs = p->offsets && p->skip && p->row && p->share && p->parts && p->x && p->y ? n_seqs : 0;
    }
    if (p->cap_tokens < n_tokens || p->cap_seqs < n_seqs)
        return ilki_base_fail_memory(err, n_tokens * sizeof *p->ids + n_seqs * p->width * sizeof *p->x, "a pass");
    return ILK_OK;
}

static ilk_status grow_workspace(ilki_pass *p, size_t n_bytes, ilk_error *err)
{
    if (n_bytes <= p->ws_bytes)
        return ILK_OK;
    ilki_base_runtime_give(p->m->rt, p->ws_memory, p->ws_bytes);
    p->ws_memory = NULL;
    p->ws_bytes = 0;
    return ilki_base_runtime_take(p->m->rt, n_bytes, p->job, &p->ws_memory, &p->ws_bytes, err);
}

/* ------------------------------------------------------------------ sequences */

static void add(ilki_pass *p, size_t n, uint32_t skip, size_t row, float share)
{
    p->offsets[p->n_seqs] = (uint32_t)p->n_tokens;
    p->skip[p->n_seqs] = skip;
    p->share[p->n_seqs] = share;
    p->row[p->n_seqs++] = row;
    p->n_tokens += n;
    p->offsets[p->n_seqs] = (uint32_t)p->n_tokens;
}

void ilki_embed_pass_add(ilki_pass *p, const ilki_input_tokens *t, size_t row, float share)
{
    memcpy(p->ids + p->n_tokens, t->ids, t->n * sizeof *t->ids);
    if (t->types)
        memcpy(p->types + p->n_tokens, t->types, t->n * sizeof *t->types);
    else
        memset(p->types + p->n_tokens, 0, t->n * sizeof *p->types);
    p->typed |= t->types != NULL;
    add(p, t->n, t->n_prompt, row, share);
}

void ilki_embed_pass_add_part(ilki_pass *p, const ilk_part *part, size_t row, float share)
{
    p->parts[p->n_seqs] = part;
    add(p, p->m->net->tower[p->tower].max_tokens, 0, row, share);
}

/* ------------------------------------------------------------------ the pass */

/* The chain behind the pooling over rows of x; *x ends as the last module's output. */
static void run_modules(ilki_pass *p, ilki_nn *ctx, size_t n_seqs, float **x, float **y)
{
    size_t dim = p->m->pool_dim;
    for (unsigned i = 0; i < p->plan->n_modules; i++) {
        const ilki_module *mod = &p->m->modules.list[i];
        if (mod->kind == ILKI_MODULE_NORMALIZE) {
            ilki_nn_normalise(ctx, *x, dim, n_seqs, dim);
            continue;
        }
        size_t out = mod->dense.n_out;
        ilki_nn_linear(
            ctx, &mod->dense,
            &(ilki_linear_args){.x = *x, .y = *y, .n_rows = n_seqs, .ldx = dim, .ldy = out, .act = mod->act});
        float *swap = *x;
        *x = *y;
        *y = swap;
        dim = out;
    }
}

/* Vectors x [n_seqs][dim] of sequences from `first` on: to their rows of v, or with their shares to the sums. */
static void deliver(ilki_pass *p, ilki_nn *ctx, size_t first, size_t n_seqs, float *x, ilk_vectors *v)
{
    const ilki_fusion *f = p->fusion;
    size_t dim = p->plan->query ? 1 : p->m->dim;
    for (size_t i = 0; i < n_seqs; i++) {
        size_t row = p->row[first + i];
        float *to = v->data + row * v->dim;
        uint32_t at = f ? f->at[row - f->first] : UINT32_MAX;
        if (v->state[row].status != ILK_OK)
            continue;
        if (at != UINT32_MAX) {
            ilki_nn_normalise(ctx, x + i * dim, dim, 1, dim);
            ctx->ops->axpy_f32(f->sums + at * dim, x + i * dim, p->share[first + i], dim);
            continue;
        }
        memcpy(to, x + i * dim, v->dim * sizeof *x);
        if (p->plan->unit)
            ilki_nn_normalise(ctx, to, v->dim, 1, v->dim);
    }
}

static void describe(const ilki_pass *p, size_t first, size_t n_seqs, float *x, ilki_tower_in *in, ilki_tower_out *out,
                     ilki_logits *score)
{
    const ilk_model *m = p->m;
    uint32_t base = p->offsets[first];
    *in = (ilki_tower_in){.n_seqs = n_seqs, .n_tokens = p->offsets[first + n_seqs] - base};
    if (reads_rows(p)) {
        in->row_dim = m->net->tower[p->tower].row_dim;
        in->rows = p->rows + (size_t)base * in->row_dim;
    } else {
        in->ids = p->ids + base;
        in->types = p->typed ? p->types + base : NULL;
    }
    *score = (ilki_logits){.head = "classifier", .n_classes = 1, .out = x};
    if (p->plan->query)
        *out = (ilki_tower_out){.logits = score, .n_logits = 1};
    else if (m->own)
        *out = (ilki_tower_out){.embedded = x};
    else
        *out = (ilki_tower_out){.pooling = p->plan->pooling ? p->plan->pooling : m->modules.pooling,
                                .pooled = x,
                                .pool_skip = m->modules.skip_prompt ? p->skip + first : NULL};
}

static void will_need(void *user, const ilki_tensor *t)
{
    ilki_format_will_need(user, t);
}

static void done_with(void *user, const ilki_tensor *t)
{
    ilki_format_done_with(user, t);
}

/* Sequences [first, last) of the pass: to their places. */
static ilk_status run_network(ilki_pass *p, size_t first, size_t last, ilk_vectors *v, ilk_error *err)
{
    ilk_model *m = p->m;
    size_t n_seqs = last - first, bytes;
    uint32_t base = p->offsets[first];
    float *x = p->x + first * p->width, *y = p->y + first * p->width;
    ilki_tower_in in;
    ilki_tower_out out;
    ilki_logits score;
    describe(p, first, n_seqs, x, &in, &out, &score);
    for (size_t i = first; i <= last && base; i++)
        p->offsets[i] -= base;
    in.offsets = p->offsets + first;
    ilki_ws ws, none;
    ilki_base_ws_init(&none, NULL, 0);
    ilki_stream stream = {.will_need = will_need, .done_with = done_with, .user = m->weights};
    ilki_nn ctx = {.ops = m->rt->ops,
                   .pool = m->rt->pool,
                   .job = p->job,
                   .ws = &none,
                   .stream = m->streamed ? &stream : NULL,
                   .attend_f32 = m->attention == ILK_ATTENTION_F32,
                   .err = err};
    ilk_status st = ilki_models_measure(m->net, p->tower, &ctx, &in, &out, &bytes, err);
    if (st == ILK_OK) {
        run_modules(p, &ctx, n_seqs, &x, &y);
        st = ctx.status == ILK_OK ? grow_workspace(p, bytes > none.peak ? bytes : none.peak, err) : ctx.status;
    }
    x = p->x + first * p->width;
    y = p->y + first * p->width;
    if (st == ILK_OK) {
        ilki_base_ws_init(&ws, p->ws_memory, p->ws_bytes);
        ctx.ws = &ws;
        ctx.status = ILK_OK;
        st = ilki_models_forward(m->net, p->tower, &ctx, &in, &out);
    }
    if (st == ILK_OK) {
        run_modules(p, &ctx, n_seqs, &x, &y);
        st = ctx.status;
    }
    if (st == ILK_OK)
        deliver(p, &ctx, first, n_seqs, x, v);
    for (size_t i = first; i <= last && base; i++)
        p->offsets[i] += base;
    return st == ILK_OK ? ctx.status : st;
}

/* A pass that meets a NaN is done again sequence by sequence, so that the one that makes it fails alone. */
static ilk_status run_sequences(ilki_pass *p, ilk_vectors *v, ilk_error *err)
{
    ilk_status st = run_network(p, 0, p->n_seqs, v, err);
    if (st != ILK_NOT_FINITE)
        return st;
    st = ILK_OK;
    for (size_t i = 0; i < p->n_seqs && st == ILK_OK; i++) {
        ilk_error one;
        ilk_error_init(&one);
        st = run_network(p, i, i + 1, v, &one);
        if (st == ILK_NOT_FINITE) {
            ilki_embed_vectors_fail(v, p->row[i], &one);
            st = ILK_OK;
        } else if (st != ILK_OK && err) {
            ilki_base_error_copy(err, &one);
        }
    }
    return st;
}

ilk_status ilki_embed_pass_run(ilki_pass *p, ilk_vectors *v, ilk_error *err)
{
    ilk_status st = ILK_OK;
    if (p->n_seqs && reads_rows(p)) { /* which waits for memory itself: nothing is held meanwhile */
        ilki_base_runtime_give(p->m->rt, p->ws_memory, p->ws_bytes);
        p->ws_memory = NULL;
        p->ws_bytes = 0;
        st = ilki_embed_fill_rows(p, v, err);
    }
    if (st == ILK_OK && p->n_seqs)
        st = run_sequences(p, v, err);
    p->n_tokens = p->n_seqs = 0;
    p->typed = false;
    return st;
}
