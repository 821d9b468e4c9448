/* SPDX-License-Identifier: Apache-2.0
 * The vector that a family of two towers makes of a sequence by itself: one row of the stream, its norm where the last
 * norm is of that row alone, a projection where there is one. SigLIP's pictures have a learned query instead, which
 * attends to all rows:
 *
 *   h = attention(query Wq, x Wk, x Wv) Wo;  h = h + act(norm(h) W1) W2 */
#include "models/encoder.h"

static size_t find_row(const ilki_encoder *e, const ilki_tower_in *in, size_t first, size_t end)
{
    size_t at = first;
    switch (e->c.own) {
    case ILKI_OWN_LAST:
        return end - 1;
    case ILKI_OWN_EOS:
        while (at < end && in->ids[at] != (int32_t)e->c.eos)
            at++;
        return at < end ? at : first;
    case ILKI_OWN_LARGEST:
        for (size_t i = first + 1; i < end; i++)
            if (in->ids[i] > in->ids[at])
                at = i;
        return at;
    default:
        return first;
    }
}

void ilki_encoder_own_rows(const ilki_encoder *e, const ilki_tower_in *in, uint32_t *at)
{
    for (size_t i = 0; i < in->n_seqs; i++)
        at[i] = (uint32_t)find_row(e, in, in->offsets[i], in->offsets[i + 1]);
}

/* The query takes the place of the first row's q of every sequence, and what it got is the first row of the result: one
 * attention more than the layers' own, less than one part in a hundred of the pass. */
static void attend_by_query(ilki_nn *ctx, const ilki_encoder *e, const ilki_tower_in *in, const float *x, float *h)
{
    size_t n = in->n_seqs, d = e->c.dim, mark = ilki_base_ws_mark(ctx->ws);
    float *q = ilki_nn_take(ctx, 3 * d, sizeof *q);
    float *qkv = ilki_nn_take(ctx, in->n_tokens * 3 * d, sizeof *qkv);
    float *a = ilki_nn_take(ctx, in->n_tokens * d, sizeof *a), *first = ilki_nn_take(ctx, n * d, sizeof *first);
    ilki_linear_args one = {.x = e->probe.query, .y = q, .n_rows = 1}, all = {.x = x, .y = qkv, .n_rows = in->n_tokens};
    ilki_nn_linear(ctx, &e->probe.qkv, &one);
    ilki_nn_linear(ctx, &e->probe.qkv, &all);
    for (size_t i = 0; i < n; i++)
        ilki_nn_replace_rows(ctx, qkv, 3 * d, in->offsets[i], q, 1, d);
    ilki_attn_args args = {.q = qkv,
                           .k = ilki_nn_at(qkv, d),
                           .v = ilki_nn_at(qkv, 2 * d),
                           .out = a,
                           .ldq = 3 * d,
                           .ldk = 3 * d,
                           .ldv = 3 * d,
                           .ldout = d,
                           .offsets = in->offsets,
                           .n_seqs = n};
    ilki_nn_attention(ctx, &e->attn[0], &args);
    ilki_nn_take_rows(ctx, first, a, d, in->offsets, n, d);
    ilki_linear_args out = {.x = first, .y = h, .n_rows = n};
    ilki_nn_linear(ctx, &e->probe.o, &out);
    ilki_base_ws_release(ctx->ws, mark);
}

static void run_probe(ilki_nn *ctx, const ilki_encoder *e, const ilki_tower_in *in, const float *x, float *to)
{
    size_t n = in->n_seqs, d = e->c.dim;
    float *h = ilki_nn_take(ctx, n * d, sizeof *h);
    attend_by_query(ctx, e, in, x, h);
    ilki_mlp mlp = {.in = &e->probe.in, .out = &e->probe.out, .act = ilki_encoder_act(e->c.act)};
    ilki_linear_args a = {.x = h, .norm = &e->probe.norm, .y = to, .residual = h, .n_rows = n};
    ilki_nn_mlp(ctx, &mlp, &a);
}

void ilki_encoder_own(ilki_nn *ctx, const ilki_encoder *e, const ilki_tower_in *in, const float *x, bool kept,
                      float *out)
{
    size_t n = in->n_seqs, d = e->c.dim, mark = ilki_base_ws_mark(ctx->ws);
    bool projected = e->projection.n_out != 0;
    float *to = projected ? ilki_nn_take(ctx, n * d, sizeof *to) : out;
    uint32_t *at = kept ? NULL : ilki_nn_take(ctx, n, sizeof *at);
    if (at)
        ilki_encoder_own_rows(e, in, at);
    if (e->c.own == ILKI_OWN_PROBE)
        run_probe(ctx, e, in, x, to);
    else
        ilki_nn_take_rows(ctx, to, x, d, at, n, d);
    const ilki_norm *norm = e->c.own_norm ? &e->final_norm : NULL;
    ilki_linear_args a = {.x = to, .norm = norm, .normed = to, .wants_normed = true, .y = out, .n_rows = n};
    if (projected)
        ilki_nn_linear(ctx, &e->projection, &a);
    else if (norm)
        ilki_nn_norm(ctx, norm, to, 0, to, 0, n);
    ilki_base_ws_release(ctx->ws, mark);
}
