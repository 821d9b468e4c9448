/* SPDX-License-Identifier: Apache-2.0
 * The table of families, and what all of them share: finding one by config.json, the checks of a pass, its measure. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "models/model.h"
#include "models/quirks.h"
#include "models/settle.h"

extern const ilki_family ilki_family_bert, ilki_family_roberta, ilki_family_distilbert, ilki_family_mpnet,
    ilki_family_modernbert, ilki_family_nomic, ilki_family_gte, ilki_family_clip, ilki_family_siglip,
    ilki_family_chinese_clip, ilki_family_openclip;

static const ilki_family *const families[] = {
    &ilki_family_bert,       &ilki_family_roberta,      &ilki_family_distilbert, &ilki_family_mpnet,
    &ilki_family_modernbert, &ilki_family_nomic,        &ilki_family_gte,        &ilki_family_clip,
    &ilki_family_siglip,     &ilki_family_chinese_clip, &ilki_family_openclip};

static const ilki_quirk quirks[] = {
#define ILKI_QUIRK(model_type, key, value, effect, arg, note) {model_type, key, value, effect, arg, note},
#include "models/quirks.def"
#undef ILKI_QUIRK
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- families and quirks */

static bool is_string(const ilki_json *j, ilki_json_node node, const char *want)
{
    const char *s = ilki_base_json_string(j, node, NULL);
    return s && strcmp(s, want) == 0;
}

const ilki_quirk *ilki_models_find_quirk(const ilki_quirk *rows, size_t n_rows, ilki_quirk_effect effect,
                                         const ilki_json *config)
{
    ilki_json_node root = ilki_base_json_root(config), type = ilki_base_json_get(config, root, "model_type");
    for (size_t i = 0; i < n_rows; i++) {
        const ilki_quirk *q = &rows[i];
        ilki_json_node key = q->key ? ilki_base_json_get(config, root, q->key) : 0;
        bool fits = q->model_type ? is_string(config, type, q->model_type) : type == 0;
        if (q->effect == effect && fits && (!q->key || (key && (!q->value || is_string(config, key, q->value)))))
            return q;
    }
    return NULL;
}

static ilk_status no_family(const ilki_model_source *src, const char *type, ilk_error *err)
{
    char list[512] = "";
    size_t at = 0;
    for (size_t i = 0; i < COUNT(families); i++)
        for (const char *const *t = families[i]->model_types; *t && at < sizeof list; t++)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", *t);
    if (!type)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s/config.json: model_type: expected one of %s; found none",
                              src->dir, list);
    return ilki_base_fail(err, ILK_UNSUPPORTED, "%s/config.json: model_type: expected one of %s; found \"%.64s\"",
                          src->dir, list, type);
}

/* Closes what cannot be settled. What was packed before was settled before. */
static ilk_status settle(ilki_net **net, const ilki_model_source *src, ilk_error *err)
{
    if (ilki_tensor_packs_mapped(src->packs))
        return ILK_OK;
    ilk_status s = ilki_models_settle(*net, src, err);
    if (s != ILK_OK) {
        ilki_models_close(*net);
        *net = NULL;
    }
    return s;
}

ilk_status ilki_models_open(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    *out = NULL;
    ilki_json_node root = ilki_base_json_root(src->config);
    const char *type = ilki_base_json_string(src->config, ilki_base_json_get(src->config, root, "model_type"), NULL);
    if (!type && ilki_base_json_get(src->config, root, "model_cfg")) /* of open_clip_config.json */
        type = "open_clip";
    const ilki_quirk *q = ilki_models_find_quirk(quirks, COUNT(quirks), ILKI_QUIRK_MODEL_TYPE, src->config);
    if (q)
        type = q->arg;
    for (size_t i = 0; type && i < COUNT(families); i++)
        for (const char *const *t = families[i]->model_types; *t; t++)
            if (strcmp(*t, type) == 0) {
                ilk_status s = families[i]->open(out, src, err);
                if (s == ILK_OK && q)
                    (*out)->notes[0] = q->note;
                return s == ILK_OK && (src->form == ILKI_FORM_I8 || src->form == ILKI_FORM_I8W) ? settle(out, src, err)
                                                                                                : s;
            }
    return no_family(src, type, err);
}

void ilki_models_close(ilki_net *net)
{
    if (net)
        net->family->close(net);
}

/* ---- the checks of a pass */

static ilk_status check_sequences(const ilki_tower_info *tower, const ilki_tower_in *in, ilk_error *err)
{
    if (in->n_seqs == 0 || in->n_tokens == 0 || !in->offsets || in->n_tokens > UINT32_MAX / 2)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "expected 1 to 2^31 tokens in sequences, found %zu in %zu",
                              in->n_tokens, in->n_seqs);
    if (in->offsets[0] != 0 || in->offsets[in->n_seqs] != in->n_tokens)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "offsets: expected 0 to %zu, found %u to %u", in->n_tokens,
                              in->offsets[0], in->offsets[in->n_seqs]);
    for (size_t i = 0; i < in->n_seqs; i++) {
        uint64_t before = in->prefix && in->prefix[i] ? in->prefix[i]->n_tokens : 0;
        if (in->offsets[i] >= in->offsets[i + 1])
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "sequence %zu: expected tokens, found offsets %u to %u", i,
                                  in->offsets[i], in->offsets[i + 1]);
        if (tower->max_tokens && before + in->offsets[i + 1] - in->offsets[i] > tower->max_tokens)
            return ilki_base_fail(err, ILK_LIMIT, "sequence %zu: expected at most %u tokens, found %llu", i,
                                  tower->max_tokens,
                                  (unsigned long long)(before + in->offsets[i + 1] - in->offsets[i]));
    }
    return ILK_OK;
}

static ilk_status check_input(const ilki_tower_info *tower, const ilki_tower_in *in, ilk_error *err)
{
    if (!in->ids == !in->rows)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "expected ids or rows, found %s", in->ids ? "both" : "neither");
    if (in->ids && !tower->vocab_size)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "tower %s: expected rows, found ids", tower->name);
    for (size_t i = 0; in->ids && i < in->n_tokens; i++)
        if (in->ids[i] < 0 || (uint32_t)in->ids[i] >= tower->vocab_size)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "token %zu: expected an id below %u, found %d", i,
                                  tower->vocab_size, in->ids[i]);
    if (in->rows && in->row_dim != tower->row_dim)
        return ilki_base_fail(err, ILK_MISMATCH, "tower %s: expected rows of %u, found %zu", tower->name,
                              tower->row_dim, in->row_dim);
    if (in->rows && !ilki_tensor_finite(in->rows, in->n_tokens * in->row_dim))
        return ilki_base_fail(err, ILK_NOT_FINITE, "tower %s: expected finite rows, found a NaN or infinity",
                              tower->name);
    if (in->n_axes > 3 || (in->positions && in->n_axes == 0))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "positions: expected 1 to 3 axes, found %u", in->n_axes);
    for (size_t i = 0; i < in->n_spans; i++)
        if (in->spans[i].first > in->n_tokens || in->spans[i].n > in->n_tokens - in->spans[i].first)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "span %zu: expected it within %zu tokens, found %zu + %zu", i,
                                  in->n_tokens, in->spans[i].first, in->spans[i].n);
        else if (in->spans[i].rows && !ilki_tensor_finite(in->spans[i].rows, in->spans[i].n * tower->dim))
            return ilki_base_fail(err, ILK_NOT_FINITE, "span %zu: expected finite rows, found a NaN or infinity", i);
    for (size_t i = 0; i < in->n_layer_rows; i++) {
        const ilki_layer_rows *r = &in->layer_rows[i];
        if (r->layer >= tower->n_layers)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "layer rows %zu: expected a layer below %u, found %u", i,
                                  tower->n_layers, r->layer);
        for (size_t k = 0; k < r->n; k++)
            if (r->at[k] >= in->n_tokens)
                return ilki_base_fail(err, ILK_BAD_ARGUMENT, "layer rows %zu: expected a token below %zu, found %u", i,
                                      in->n_tokens, r->at[k]);
        if (!ilki_tensor_finite(r->rows, r->n * tower->dim))
            return ilki_base_fail(err, ILK_NOT_FINITE, "layer rows %zu: expected finite rows, found a NaN or infinity",
                                  i);
    }
    return ILK_OK;
}

static ilk_status check_wanted(const ilki_tower_info *tower, const ilki_tower_in *in, const ilki_tower_out *out,
                               ilk_error *err)
{
    if (out->pooling && !out->pooled)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "pooling: expected memory for it, found none");
    if (out->pooled && (out->pooling == 0 || out->pooling >= ILKI_POOL_LAST * 2U))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "pooling: expected a mode, found %u", out->pooling);
    if (out->layer_tokens && (out->layer < 0 || (uint32_t)out->layer > tower->n_layers))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "layer: expected 0 to %u, found %d", tower->n_layers, out->layer);
    for (size_t i = 0; out->rows && i < out->n_rows; i++)
        if (out->row_at[i] >= in->n_tokens)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "row %zu: expected a token below %zu, found %u", i,
                                  in->n_tokens, out->row_at[i]);
    if (out->embedded && !tower->embed_dim)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "tower %s: expected no vector of its own to be wanted, found one",
                              tower->name);
    if (!out->pooled && !out->rows && !out->tokens && !out->layer_tokens && !out->n_logits && !out->kv &&
        !out->embedded)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "expected an output to fill, found none");
    return ILK_OK;
}

static ilk_status check_pass(const ilki_net *net, unsigned t, const ilki_tower_in *in, const ilki_tower_out *out,
                             ilk_error *err)
{
    if (t >= net->n_towers)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "tower: expected one below %u, found %u", net->n_towers, t);
    ilk_status s = check_sequences(&net->tower[t], in, err);
    if (s == ILK_OK)
        s = check_input(&net->tower[t], in, err);
    return s == ILK_OK ? check_wanted(&net->tower[t], in, out, err) : s;
}

static ilk_status check_result(const float *x, size_t n, const char *what, ilk_error *err)
{
    if (!x || ilki_tensor_finite(x, n))
        return ILK_OK;
    return ilki_base_fail(err, ILK_NOT_FINITE, "%s: expected finite numbers from the model, found a NaN or infinity",
                          what);
}

ilk_status ilki_models_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                               ilki_tower_out *out)
{
    ilk_status s = check_pass(net, t, in, out, ctx->err);
    if (s == ILK_OK)
        s = net->family->forward(net, t, ctx, in, out);
    if (s != ILK_OK || ilki_nn_measuring(ctx))
        return s;
    size_t dim = net->tower[t].dim, n_modes = (size_t)__builtin_popcount(out->pooling);
    s = check_result(out->pooled, in->n_seqs * n_modes * dim, "pooled", ctx->err);
    if (s == ILK_OK)
        s = check_result(out->rows, out->n_rows * dim, "rows", ctx->err);
    if (s == ILK_OK)
        s = check_result(out->tokens, in->n_tokens * dim, "tokens", ctx->err);
    if (s == ILK_OK)
        s = check_result(out->embedded, in->n_seqs * net->tower[t].embed_dim, "embedded", ctx->err);
    for (size_t i = 0; s == ILK_OK && i < out->n_logits; i++)
        s = check_result(out->logits[i].out, in->n_seqs * out->logits[i].n_classes, out->logits[i].head, ctx->err);
    return s;
}

ilk_status ilki_models_measure(const ilki_net *net, unsigned t, const ilki_nn *ctx, const ilki_tower_in *in,
                               const ilki_tower_out *out, size_t *n_bytes, ilk_error *err)
{
    ilki_ws ws;
    ilki_base_ws_init(&ws, NULL, 0);
    ilki_nn measure = *ctx;
    ilki_tower_out wanted = *out;
    measure.ws = &ws;
    measure.err = err;
    measure.status = ILK_OK;
    ilk_status s = ilki_models_forward(net, t, &measure, in, &wanted);
    *n_bytes = s == ILK_OK ? ws.peak : 0;
    return s;
}
