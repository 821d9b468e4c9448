/* SPDX-License-Identifier: Apache-2.0
 * Batches. Inputs are tokenised a window at a time; a window's sequences are laid end to end into passes of about
 * batch_tokens tokens, without padding; each pass goes through the network, then through the modules behind it. Where a
 * pass begins and ends never changes a bit of a vector (kern's one order of reduction).
 *
 * Memory of a call: the tokens of one window, and one workspace that grows to the largest pass it has met and is taken
 * from the runtime's ceiling while the call lasts. */
#include <stdlib.h>
#include <string.h>

#include "embed/state.h"
#include "nn/layers.h"

#define WINDOW_INPUTS 2048

/* The memory of a call's passes. */
typedef struct pass {
    ilk_model *m;
    ilk_job *job;
    const ilki_embed_plan *plan;
    int32_t *ids, *types;
    uint32_t *offsets, *skip;
    size_t *row;  /* of the result, per sequence */
    float *x, *y; /* [n_seqs][width]: pooled, and what a dense module makes of it */
    size_t width;
    size_t cap_tokens, cap_seqs, n_tokens, n_seqs;
    bool typed;
    void *ws_memory;
    uint64_t ws_bytes;
} pass;

static void pass_deinit(pass *p)
{
    free(p->ids);
    free(p->types);
    free(p->offsets);
    free(p->skip);
    free(p->row);
    free(p->x);
    free(p->y);
    ilki_base_runtime_give(p->m->rt, p->ws_memory, p->ws_bytes);
}

/* Room for a pass of n_tokens in n_seqs; what was there is lost. */
static ilk_status pass_reserve(pass *p, size_t n_tokens, size_t n_seqs, ilk_error *err)
{
    if (n_tokens > p->cap_tokens) {
        free(p->ids);
        free(p->types);
        p->ids = ilki_base_alloc_aligned(n_tokens, sizeof *p->ids);
        p->types = ilki_base_alloc_aligned(n_tokens, sizeof *p->types);
        p->cap_tokens = p->ids && p->types ? n_tokens : 0;
    }
    if (n_seqs > p->cap_seqs) {
        free(p->offsets);
        free(p->skip);
        free(p->row);
        free(p->x);
        free(p->y);
        p->offsets = ilki_base_alloc_aligned(n_seqs + 1, sizeof *p->offsets);
        p->skip = ilki_base_alloc_aligned(n_seqs, sizeof *p->skip);
        p->row = ilki_base_alloc_aligned(n_seqs, sizeof *p->row);
        p->x = ilki_base_alloc_aligned(n_seqs * p->width, sizeof *p->x);
        p->y = ilki_base_alloc_aligned(n_seqs * p->width, sizeof *p->y);
        p->cap_seqs = p->offsets && p->skip && p->row && p->x && p->y ? n_seqs : 0;
    }
    if (p->cap_tokens < n_tokens || p->cap_seqs < n_seqs)
        return ilki_base_fail_memory(err, n_tokens * sizeof *p->ids + n_seqs * p->width * sizeof *p->x, "a pass");
    return ILK_OK;
}

static ilk_status grow_workspace(pass *p, size_t n_bytes, ilk_error *err)
{
    if (n_bytes <= p->ws_bytes)
        return ILK_OK;
    ilki_base_runtime_give(p->m->rt, p->ws_memory, p->ws_bytes);
    p->ws_memory = NULL;
    p->ws_bytes = 0;
    return ilki_base_runtime_take(p->m->rt, n_bytes, p->job, &p->ws_memory, &p->ws_bytes, err);
}

/* ------------------------------------------------------------------ one pass */

static void add_sequence(pass *p, const ilki_input_tokens *t, size_t row)
{
    memcpy(p->ids + p->n_tokens, t->ids, t->n * sizeof *t->ids);
    if (t->types)
        memcpy(p->types + p->n_tokens, t->types, t->n * sizeof *t->types);
    else
        memset(p->types + p->n_tokens, 0, t->n * sizeof *p->types);
    p->typed |= t->types != NULL;
    p->offsets[p->n_seqs] = (uint32_t)p->n_tokens;
    p->skip[p->n_seqs] = t->n_prompt;
    p->row[p->n_seqs++] = row;
    p->n_tokens += t->n;
    p->offsets[p->n_seqs] = (uint32_t)p->n_tokens;
}

/* The chain behind the pooling over rows of x; *x ends as the last module's output. */
static void run_modules(pass *p, ilki_nn *ctx, size_t n_seqs, float **x, float **y)
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

/* Sequences [first, last) of the pass: into their rows of v. */
static ilk_status run_network(pass *p, size_t first, size_t last, ilk_vectors *v, ilk_error *err)
{
    ilk_model *m = p->m;
    size_t n_seqs = last - first, bytes, dim = p->plan->query ? 1 : m->dim;
    uint32_t base = p->offsets[first], *offsets = p->offsets + first;
    float *x = p->x + first * p->width, *y = p->y + first * p->width;
    for (size_t i = first; i <= last && base; i++)
        p->offsets[i] -= base;
    ilki_tower_in in = {.n_seqs = n_seqs,
                        .n_tokens = offsets[n_seqs],
                        .offsets = offsets,
                        .ids = p->ids + base,
                        .types = p->typed ? p->types + base : NULL};
    ilki_tower_out out = {
        .pooling = m->modules.pooling, .pooled = x, .pool_skip = m->modules.skip_prompt ? p->skip + first : NULL};
    ilki_logits score = {.head = "classifier", .n_classes = 1, .out = x};
    if (p->plan->query)
        out = (ilki_tower_out){.logits = &score, .n_logits = 1};
    ilki_ws ws, none;
    ilki_base_ws_init(&none, NULL, 0);
    ilki_nn ctx = {.ops = m->rt->ops, .pool = m->rt->pool, .job = p->job, .ws = &none, .err = err};
    ilk_status st = ilki_models_measure(m->net, 0, &ctx, &in, &out, &bytes, err);
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
        st = ilki_models_forward(m->net, 0, &ctx, &in, &out);
    }
    if (st == ILK_OK) {
        run_modules(p, &ctx, n_seqs, &x, &y);
        st = ctx.status;
    }
    for (size_t i = 0; st == ILK_OK && i < n_seqs; i++)
        memcpy(v->data + p->row[first + i] * v->dim, x + i * dim, v->dim * sizeof *x);
    if (st == ILK_OK && p->plan->unit)
        for (size_t i = 0; i < n_seqs; i++)
            ilki_nn_normalise(&ctx, v->data + p->row[first + i] * v->dim, v->dim, 1, v->dim);
    for (size_t i = first; i <= last && base; i++)
        p->offsets[i] += base;
    return st == ILK_OK ? ctx.status : st;
}

/* A pass that meets a NaN is done again sequence by sequence, so that the one that makes it fails alone. */
static ilk_status run_pass(pass *p, ilk_vectors *v, ilk_error *err)
{
    ilk_status st = p->n_seqs ? run_network(p, 0, p->n_seqs, v, err) : ILK_OK;
    if (st == ILK_NOT_FINITE) {
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
    }
    p->n_tokens = p->n_seqs = 0;
    p->typed = false;
    return st;
}

/* ------------------------------------------------------------------ windows */

/* Tokens and sequences of the largest pass that the window will need. */
static void largest_pass(const ilki_window *w, size_t n, size_t budget, size_t *n_tokens, size_t *n_seqs)
{
    size_t tokens = 0, seqs = 0;
    *n_tokens = *n_seqs = 0;
    for (size_t i = 0; i < n; i++) {
        size_t t = ilki_embed_window_view(w, i)->n;
        if (tokens + t > budget) {
            tokens = seqs = 0;
        }
        tokens += t;
        seqs++;
        if (tokens > *n_tokens)
            *n_tokens = tokens;
        if (seqs > *n_seqs)
            *n_seqs = seqs;
    }
}

static ilk_status run_window(pass *p, const ilk_input *const *in, size_t first, size_t n, ilk_vectors *v,
                             ilk_error *err)
{
    ilki_window *w = NULL;
    size_t n_tokens, n_seqs, budget = p->m->batch_tokens;
    ilk_status st = ilki_embed_window_new(&w, p->m, in + first, n, p->plan, p->job, err);
    if (st != ILK_OK)
        return st;
    largest_pass(w, n, budget, &n_tokens, &n_seqs);
    st = pass_reserve(p, n_tokens, n_seqs, err);
    for (size_t i = 0; i < n && st == ILK_OK; i++) {
        const ilki_input_tokens *t = ilki_embed_window_view(w, i);
        v->state[first + i].n_tokens = t->n;
        v->state[first + i].n_dropped = t->n_dropped;
        if (t->status != ILK_OK) {
            ilk_error one;
            ilk_error_init(&one);
            ilki_base_fail(&one, t->status, "%s", t->message ? t->message : ilk_status_string(t->status));
            ilki_embed_vectors_fail(v, first + i, &one);
            continue;
        }
        if (p->n_tokens + t->n > budget) {
            st = run_pass(p, v, err);
            if (!p->plan->quiet)
                ilki_base_job_progress(p->job, p->plan->query ? "rerank" : "embed", "texts", first + i, v->n, 0, false);
        }
        if (st == ILK_OK)
            add_sequence(p, t, first + i);
    }
    if (st == ILK_OK)
        st = run_pass(p, v, err);
    ilki_embed_window_free(w);
    return st;
}

ilk_status ilki_embed_batch(ilk_model *m, const ilk_input *const *in, size_t n, const ilki_embed_plan *plan,
                            ilk_job *job, ilk_vectors *v, ilk_error *err)
{
    pass p = {.m = m, .job = job, .plan = plan, .width = m->pool_dim};
    ilk_status st = ILK_OK;
    for (unsigned i = 0; i < m->modules.n; i++)
        if (m->modules.list[i].kind == ILKI_MODULE_DENSE && m->modules.list[i].dense.n_out > p.width)
            p.width = m->modules.list[i].dense.n_out;
    for (size_t first = 0; first < n && st == ILK_OK; first += WINDOW_INPUTS) {
        st = ilki_base_job_check(job, err);
        if (st == ILK_OK)
            st = run_window(&p, in, first, n - first < WINDOW_INPUTS ? n - first : WINDOW_INPUTS, v, err);
    }
    if (st == ILK_OK && n && !plan->quiet)
        ilki_base_job_progress(job, plan->query ? "rerank" : "embed", "texts", n, n, 0, true);
    pass_deinit(&p);
    return st;
}
