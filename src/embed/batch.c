/* SPDX-License-Identifier: Apache-2.0
 * Batches. Inputs are tokenised a window at a time; a window's texts are laid end to end into passes of about batch_tokens
 * tokens, without padding, then its pictures likewise into passes of their tower (pass.c). An input of text and pictures,
 * or of several pictures, gets the normalised sum of the unit vectors of all, each with its share; the text's comes first
 * and the pictures follow in their order, so that the sum's bits do not depend on the batch.
 *
 * Memory of a call: the tokens of one window, the sums of its fused inputs, and what a pass takes. */
#include <stdlib.h>
#include <string.h>

#include "embed/pass.h"
#include "nn/layers.h"

#define WINDOW_INPUTS 2048

/* The window that is worked on. */
typedef struct window {
    ilk_model *m;
    ilk_job *job;
    const ilki_embed_plan *plan;
    const ilk_input *const *in; /* [n] */
    size_t first, n;
    const ilki_window *tokens;
    ilki_fusion fusion;
} window;

/* ------------------------------------------------------------------ fused vectors */

static bool is_fused(const ilki_input_tokens *t)
{
    return t->status == ILK_OK && t->n_others + (t->n > 0) > 1;
}

static float share_of(const window *w, const ilki_input_tokens *t, bool text)
{
    float others = t->n ? 1 - w->plan->text_share : 1;
    return text ? w->plan->text_share : others / (float)(t->n_others ? t->n_others : 1);
}

static ilk_status find_fused(window *w, ilk_vectors *v, ilk_error *err)
{
    size_t n_fused = 0, dim = w->m->dim;
    ilki_fusion *f = &w->fusion;
    for (size_t i = 0; i < w->n; i++)
        n_fused += is_fused(ilki_embed_window_view(w->tokens, i));
    *f = (ilki_fusion){.first = w->first, .n = w->n};
    if (n_fused == 0)
        return ILK_OK;
    f->at = ilki_base_zalloc(w->n, sizeof *f->at);
    f->sums = ilki_base_zalloc(n_fused * dim, sizeof *f->sums);
    if (!f->at || !f->sums)
        return ilki_base_fail_memory(err, n_fused * dim * sizeof *f->sums, "vectors that are added");
    uint32_t at = 0;
    for (size_t i = 0; i < w->n; i++) {
        const ilki_input_tokens *t = ilki_embed_window_view(w->tokens, i);
        f->at[i] = is_fused(t) ? at++ : UINT32_MAX;
        if (is_fused(t))
            v->state[w->first + i].fused = 1U << ILK_IMAGE | (t->n ? 1U << ILK_TEXT : 0);
    }
    return ILK_OK;
}

static void finish_fused(window *w, ilk_vectors *v)
{
    const ilki_fusion *f = &w->fusion;
    _Alignas(ILKI_ALIGN) unsigned char room[4096];
    ilki_ws ws;
    ilki_base_ws_init(&ws, room, sizeof room);
    ilki_nn ctx = {.ops = w->m->rt->ops, .ws = &ws};
    size_t dim = w->m->dim;
    for (size_t i = 0; f->at && i < w->n; i++) {
        size_t row = w->first + i;
        if (f->at[i] == UINT32_MAX || v->state[row].status != ILK_OK)
            continue;
        ilki_nn_normalise(&ctx, f->sums + f->at[i] * dim, dim, 1, dim);
        memcpy(v->data + row * v->dim, f->sums + f->at[i] * dim, v->dim * sizeof *v->data);
        if (v->dim < dim)
            ilki_nn_normalise(&ctx, v->data + row * v->dim, v->dim, 1, v->dim);
    }
}

/* ------------------------------------------------------------------ texts and pictures */

/* Tokens and sequences of the largest pass that the window will need. */
static void largest_pass(const window *w, size_t budget, size_t *n_tokens, size_t *n_seqs)
{
    size_t tokens = 0, seqs = 0;
    *n_tokens = *n_seqs = 0;
    for (size_t i = 0; i < w->n; i++) {
        size_t t = ilki_embed_window_view(w->tokens, i)->n;
        if (tokens + t > budget)
            tokens = seqs = 0;
        tokens += t;
        seqs += t > 0;
        if (tokens > *n_tokens)
            *n_tokens = tokens;
        if (seqs > *n_seqs)
            *n_seqs = seqs;
    }
}

static void tell(const window *w, size_t done, size_t total)
{
    if (!w->plan->quiet)
        ilki_base_job_progress(w->job, w->plan->query ? "rerank" : "embed", w->m->text_tower < 0 ? "pictures" : "texts",
                               done, total, 0, false);
}

static ilk_status run_texts(const window *w, ilki_pass *p, ilk_vectors *v, ilk_error *err)
{
    size_t n_tokens, n_seqs, budget = w->m->batch_tokens;
    largest_pass(w, budget, &n_tokens, &n_seqs);
    ilk_status st = ilki_embed_pass_reserve(p, n_tokens, n_seqs, err);
    for (size_t i = 0; i < w->n && st == ILK_OK; i++) {
        const ilki_input_tokens *t = ilki_embed_window_view(w->tokens, i);
        if (t->status != ILK_OK || t->n == 0)
            continue;
        if (p->n_tokens + t->n > budget) {
            st = ilki_embed_pass_run(p, v, err);
            tell(w, w->first + i, v->n);
        }
        if (st == ILK_OK)
            ilki_embed_pass_add(p, t, w->first + i, share_of(w, t, true));
    }
    return st == ILK_OK ? ilki_embed_pass_run(p, v, err) : st;
}

static ilk_status run_pictures(const window *w, ilki_pass *p, ilk_vectors *v, ilk_error *err)
{
    size_t each = w->m->net->tower[p->tower].max_tokens, n = 0, most = w->m->batch_tokens / each;
    for (size_t i = 0; i < w->n; i++)
        n += ilki_embed_window_view(w->tokens, i)->n_others;
    most = most < 1 ? 1 : most > n ? n : most;
    ilk_status st = n ? ilki_embed_pass_reserve(p, most * each, most, err) : ILK_OK;
    for (size_t i = 0; i < w->n && n && st == ILK_OK; i++) {
        const ilki_input_tokens *t = ilki_embed_window_view(w->tokens, i);
        for (size_t k = 0; t->n_others && t->status == ILK_OK && k < w->in[i]->n_parts && st == ILK_OK; k++) {
            const ilk_part *part = ilki_embed_part(w->in[i], k);
            if (!ilki_embed_modality(ilki_embed_part_modality(part)))
                continue;
            if (p->n_seqs == most) {
                st = ilki_embed_pass_run(p, v, err);
                tell(w, w->first + i, v->n);
            }
            v->state[w->first + i].n_tokens += each;
            if (st == ILK_OK)
                ilki_embed_pass_add_part(p, part, w->first + i, share_of(w, t, false));
        }
    }
    return st == ILK_OK ? ilki_embed_pass_run(p, v, err) : st;
}

/* ------------------------------------------------------------------ windows */

static void take_states(const window *w, ilk_vectors *v)
{
    for (size_t i = 0; i < w->n; i++) {
        const ilki_input_tokens *t = ilki_embed_window_view(w->tokens, i);
        v->state[w->first + i].n_tokens = t->n;
        v->state[w->first + i].n_dropped = t->n_dropped;
        if (t->status == ILK_OK)
            continue;
        ilk_error one;
        ilk_error_init(&one);
        ilki_base_fail(&one, t->status, "%s", t->message ? t->message : ilk_status_string(t->status));
        ilki_embed_vectors_fail(v, w->first + i, &one);
    }
}

static ilk_status run_window(window *w, ilki_pass *texts, ilki_pass *pictures, ilk_vectors *v, ilk_error *err)
{
    ilki_window *tokens = NULL;
    ilk_status st = ilki_embed_window_new(&tokens, w->m, w->in, w->first, w->n, w->plan, w->job, err);
    if (st != ILK_OK)
        return st;
    w->tokens = tokens;
    take_states(w, v);
    st = find_fused(w, v, err);
    texts->fusion = pictures->fusion = w->fusion.at ? &w->fusion : NULL;
    if (st == ILK_OK && w->m->text_tower >= 0)
        st = run_texts(w, texts, v, err);
    if (st == ILK_OK && w->m->image_tower >= 0)
        st = run_pictures(w, pictures, v, err);
    if (st == ILK_OK)
        finish_fused(w, v);
    free(w->fusion.at);
    free(w->fusion.sums);
    ilki_embed_window_free(tokens);
    return st;
}

ilk_status ilki_embed_batch(ilk_model *m, const ilk_input *const *in, size_t n, const ilki_embed_plan *plan,
                            ilk_job *job, ilk_vectors *v, ilk_error *err)
{
    ilki_pass texts, pictures;
    ilk_status st = ILK_OK;
    ilki_embed_pass_init(&texts, m, job, plan, m->text_tower < 0 ? 0 : (unsigned)m->text_tower);
    ilki_embed_pass_init(&pictures, m, job, plan, m->image_tower < 0 ? 0 : (unsigned)m->image_tower);
    for (size_t first = 0; first < n && st == ILK_OK; first += WINDOW_INPUTS) {
        window w = {.m = m, .job = job, .plan = plan, .in = in + first, .first = first};
        w.n = n - first < WINDOW_INPUTS ? n - first : WINDOW_INPUTS;
        st = ilki_base_job_check(job, err);
        if (st == ILK_OK)
            st = run_window(&w, &texts, &pictures, v, err);
    }
    if (st == ILK_OK && n && !plan->quiet)
        ilki_base_job_progress(job, plan->query ? "rerank" : "embed", m->text_tower < 0 ? "pictures" : "texts", n, n, 0,
                               true);
    ilki_embed_pass_deinit(&texts);
    ilki_embed_pass_deinit(&pictures);
    return st;
}
