/* SPDX-License-Identifier: Apache-2.0
 * Channels that dwarf the others are a property of the weights: they stand out for every token. So a pass over tokens
 * drawn at random shows them (docs/NUMERICS.md has what that is worth beside real text), and no family need know more
 * than it does: what watches are the linears. Pictures are patches of one random level each with a little noise. */
#include "models/settle.h"

#include <stdlib.h>

#include "nn/watch.h"

enum { N_SEQS = 8, SEQ_TOKENS = 32, N_PICTURES = 2, EDGE_IDS = 128 };

typedef struct made_up {
    ilki_tower_in in;
    uint32_t offsets[N_SEQS + 1];
    int32_t *ids;
    float *rows;
} made_up;

static uint32_t draw(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((*state >> 32) * below >> 32);
}

/* Every fourth token is of the first ids, where vocabularies have their special tokens. */
static ilk_status make_text(made_up *m, const ilki_tower_info *t, ilk_error *err)
{
    uint32_t len = t->max_tokens && t->max_tokens < SEQ_TOKENS ? t->max_tokens : SEQ_TOKENS;
    uint32_t edge = t->vocab_size < EDGE_IDS ? t->vocab_size : EDGE_IDS;
    uint64_t state = 1;
    size_t n = (size_t)N_SEQS * len;
    m->ids = ilki_base_zalloc(n, sizeof *m->ids);
    if (!m->ids)
        return ilki_base_fail_memory(err, n * sizeof *m->ids, "tokens to watch");
    for (size_t i = 0; i < n; i++)
        m->ids[i] = (int32_t)draw(&state, i % 4 ? t->vocab_size : edge);
    m->in = (ilki_tower_in){.n_seqs = N_SEQS, .n_tokens = n, .offsets = m->offsets, .ids = m->ids};
    return ILK_OK;
}

static ilk_status make_pictures(made_up *m, const ilki_tower_info *t, ilk_error *err)
{
    size_t side = t->image_size / t->patch_size, len = side * side + t->n_own_rows, n = N_PICTURES * len;
    uint64_t state = 1;
    m->rows = ilki_base_zalloc(n * t->row_dim, sizeof *m->rows);
    if (!m->rows)
        return ilki_base_fail_memory(err, n * t->row_dim * sizeof *m->rows, "pictures to watch");
    for (size_t i = 0; i < n; i++) {
        float level = (float)draw(&state, 4000) / 1000.0f - 2.0f;
        for (size_t k = 0; k < t->row_dim && i % len >= t->n_own_rows; k++)
            m->rows[i * t->row_dim + k] = level + (float)draw(&state, 1000) / 2000.0f;
    }
    m->in = (ilki_tower_in){.n_seqs = N_PICTURES, .n_tokens = n, .offsets = m->offsets, .rows = m->rows};
    m->in.row_dim = t->row_dim;
    return ILK_OK;
}

static ilk_status watch_tower(const ilki_net *net, unsigned t, const ilki_model_source *src, ilki_watch *watch,
                              ilk_error *err)
{
    const ilki_tower_info *tower = &net->tower[t];
    made_up m = {0};
    ilk_status s = tower->vocab_size   ? make_text(&m, tower, err)
                   : tower->patch_size ? make_pictures(&m, tower, err)
                                       : ILK_OK; /* nothing is known of its input: it has no exact channels */
    size_t n_bytes = 0;
    void *memory = NULL;
    float *row = ilki_base_zalloc(tower->dim, sizeof *row);
    const uint32_t at = 0;
    ilki_tower_out out = {.row_at = &at, .n_rows = 1, .rows = row};
    ilki_ws ws;
    ilki_nn ctx = {.ops = src->ops, .pool = src->pool, .job = src->job, .ws = &ws, .watch = watch, .err = err};
    for (size_t i = 0; i <= m.in.n_seqs; i++)
        m.offsets[i] = (uint32_t)(i * (m.in.n_tokens / (m.in.n_seqs ? m.in.n_seqs : 1)));
    if (s != ILK_OK || m.in.n_tokens == 0)
        goto end;
    s = row ? ilki_models_measure(net, t, &ctx, &m.in, &out, &n_bytes, err)
            : ilki_base_fail_memory(err, tower->dim * sizeof *row, "a row");
    if (s != ILK_OK)
        goto end;
    memory = ilki_base_alloc_aligned(n_bytes, 1);
    if (!memory) {
        s = ilki_base_fail_memory(err, n_bytes, "the workspace of a watching pass");
        goto end;
    }
    ilki_base_ws_init(&ws, memory, n_bytes);
    s = ilki_models_forward(net, t, &ctx, &m.in, &out);
end:
    free(memory);
    free(row);
    free(m.ids);
    free(m.rows);
    return s;
}

/* ---- settling */

typedef struct settle_job {
    const ilki_model_source *src;
    const ilki_linear **linears;
    ilk_status *status; /* [n] */
} settle_job;

static void settle_one(void *arg, size_t i, unsigned slot)
{
    const settle_job *job = arg;
    const ilki_linear *l = job->linears[i];
    (void)slot;
    for (size_t p = 0; p < l->n_parts; p++)
        ilki_format_will_need(job->src->weights, l->parts[p]);
    job->status[i] = ilki_tensor_linear_settle(l, job->src->ops, NULL);
    for (size_t p = 0; p < l->n_parts; p++)
        ilki_format_done_with(job->src->weights, l->parts[p]);
}

static ilk_status settle_all(const ilki_watch *watch, const ilki_model_source *src, ilk_error *err)
{
    settle_job job = {.src = src};
    job.linears = ilki_base_zalloc(watch->n, sizeof *job.linears);
    job.status = ilki_base_zalloc(watch->n, sizeof *job.status);
    ilk_status s = ILK_OK;
    if (!job.linears || !job.status)
        s = ilki_base_fail_memory(err, watch->n * sizeof *job.linears, "linears to settle");
    size_t n = 0;
    for (const ilki_watched *w = watch->first; s == ILK_OK && w; w = w->next)
        job.linears[n++] = w->linear;
    ilki_run run = {.fn = settle_one, .arg = &job, .n_tasks = n, .job = src->job};
    if (s == ILK_OK)
        s = ilki_base_pool_run(src->pool, &run, err);
    for (size_t i = 0; i < n && s == ILK_OK; i++)
        if (job.status[i] != ILK_OK) /* its weights were read once already, so what fails is memory */
            s = ilki_base_fail(err, job.status[i], "packing %s again: out of memory", job.linears[i]->parts[0]->name);
    free(job.linears);
    free(job.status);
    return s;
}

ilk_status ilki_models_settle(const ilki_net *net, const ilki_model_source *src, ilk_error *err)
{
    ilki_watch watch = {0};
    ilk_status s = ILK_OK;
    for (unsigned t = 0; t < net->n_towers && s == ILK_OK; t++)
        s = watch_tower(net, t, src, &watch, err);
    if (s == ILK_OK)
        s = settle_all(&watch, src, err);
    for (const ilki_watched *w = watch.first; w; w = w->next)
        w->linear->i8->seen = NULL;
    ilki_base_arena_deinit(&watch.arena);
    return s;
}
