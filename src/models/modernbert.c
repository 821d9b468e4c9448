/* SPDX-License-Identifier: Apache-2.0
 * ModernBERT, after transformers 5.24 models/modernbert/modeling_modernbert.py ModernBertModel:
 *
 *   x = LayerNorm(word[id])
 *   per layer, pre-norm, linears and norms without biases unless config.json says otherwise; layer 0 has no first norm:
 *     q, k, v = LayerNorm(x) Wqkv, q and k turned by position (half-split, whole head)
 *     x = x + attention Wo
 *     a, b = halves of LayerNorm(x) Wi;  x = x + (act(a) * b) Wo
 *   x = LayerNorm(x)
 *   head "classifier": first token or mean, LayerNorm(act(x Wd)) Wc
 *
 * Every third layer attends to all tokens with one theta, the others to local_attention / 2 on either side with another.
 * What "after the last layer" gives is behind the last norm, as the reference's hidden states have it. */
#include <string.h>

#include "models/encoder.h"

/* ---- config.json */

static const char *const pool_words[] = {"cls", "mean", NULL};

static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("hidden_size", dim, 1 << 15),
    ILKI_ENCODER_SIZE("num_hidden_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("num_attention_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("intermediate_size", ffn, 1 << 18),
    ILKI_ENCODER_SIZE("max_position_embeddings", n_positions, 1 << 24),
    ILKI_ENCODER_WORD("hidden_activation", act, 0, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("norm_eps", eps, 1e-5, 1),
    ILKI_ENCODER_BOOL("norm_bias", norm_bias),
    ILKI_ENCODER_BOOL("attention_bias", attn_bias),
    ILKI_ENCODER_BOOL("mlp_bias", mlp_bias),
    {.key = "global_attn_every_n_layers",
     .type = ILKI_CONFIG_U32,
     .offset = offsetof(ilki_encoder_config, every),
     .otherwise = 3,
     .min = 1,
     .max = 1 << 10},
    ILKI_ENCODER_U32("local_attention", window, 128, 1 << 24),
    ILKI_ENCODER_FLOAT("global_rope_theta", theta[0], 160000, 1e12),
    ILKI_ENCODER_FLOAT("local_rope_theta", theta[1], 10000, 1e12),
    ILKI_ENCODER_WORD("classifier_pooling", head_pool, 0, pool_words),
    ILKI_ENCODER_WORD("classifier_activation", head_act, 0, ilki_encoder_act_words),
};

/* layer_types, or full attention in every n-th layer from the first on. */
static ilk_status read_kinds(ilki_encoder *e, const ilki_json *j, ilk_error *err)
{
    ilki_json_node list = ilki_base_json_get(j, ilki_base_json_root(j), "layer_types");
    bool listed = ilki_base_json_type(j, list) > ILKI_JSON_NULL;
    if (listed && ilki_base_json_count(j, list) != e->c.n_layers)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "config.json: layer_types: expected one of each of %u layers, found %zu", e->c.n_layers,
                              ilki_base_json_count(j, list));
    ilki_json_node at = ilki_base_json_first(j, list);
    for (uint32_t i = 0; i < e->c.n_layers; i++, at = listed ? ilki_base_json_next(j, at) : 0) {
        const char *type = listed ? ilki_base_json_string(j, at, NULL) : NULL;
        e->layers[i].kind = listed ? type && strcmp(type, "sliding_attention") == 0 : i % e->c.every != 0;
        if (listed && (!type || (e->layers[i].kind == 0 && strcmp(type, "full_attention") != 0)))
            return ilki_base_fail(
                err, ILK_UNSUPPORTED,
                "config.json: layer_types: expected full_attention or sliding_attention, found \"%.64s\"",
                type ? type : "");
    }
    return ILK_OK;
}

static ilk_status read_thetas(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    static const char *const scaled[] = {"rope_scaling", NULL}, *const kinds[] = {"full_attention",
                                                                                  "sliding_attention"};
    const ilki_json *j = src->config;
    ilki_json_node all = ilki_base_json_get(j, ilki_base_json_root(j), "rope_parameters");
    ilk_status s = ilki_encoder_refuse(src, scaled, err);
    for (unsigned i = 0; s == ILK_OK && i < 2; i++)
        s = ilki_encoder_read_rope(j, ilki_base_json_get(j, all, kinds[i]), kinds[i], &e->c.theta[i], err);
    return s;
}

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.pre_norm = e->c.gated = e->c.rotary = true;
    e->attn[1].window_left = e->attn[1].window_right = e->c.window / 2;
    e->classifier.pool = e->c.head_pool ? ILKI_POOL_MEAN : ILKI_POOL_CLS;
    e->classifier.act = ilki_encoder_act(e->c.head_act);
    ilk_status s = read_kinds(e, src->config, err);
    return s == ILK_OK ? read_thetas(e, src, err) : s;
}

/* The list takes biases as they come, and the absence of layer 0's norm from any layer: here they must fit. */
static ilk_status finish(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    const ilki_encoder_layer *l = e->layers;
    const char *wrong = (e->norm.b != NULL) != e->c.norm_bias       ? "norm_bias"
                        : (l[0].qkv.bias != NULL) != e->c.attn_bias ? "attention_bias"
                        : (l[0].in.bias != NULL) != e->c.mlp_bias   ? "mlp_bias"
                                                                    : NULL;
    if (wrong)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: %s: expected as the weights have it, found otherwise in config.json", src->dir,
                              wrong);
    for (uint32_t i = 1; i < e->c.n_layers; i++)
        if (!l[i].attn_norm.w)
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected tensor layers.%u.attn_norm.weight, found none",
                                  src->dir, i);
    return ILK_OK;
}

/* ---- weights */

#define MAYBE(text, type, member, n_in, n_out)                                                                         \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(type, member), .cols = n_in, .rows = {n_out},     \
        .bias = ILKI_BIAS_OPTIONAL                                                                                     \
    }
#define NORM(text, type, member, absent)                                                                               \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_NORM, .name = text, .offset = offsetof(type, member), .cols = ILKI_ENCODER_DIM,            \
        .bias = ILKI_BIAS_OPTIONAL, .optional = absent                                                                 \
    }
static const ilki_weight rows[] = {
    ILKI_ENCODER_TABLE("embeddings.tok_embeddings.weight", word, ILKI_ENCODER_VOCAB),
    NORM("embeddings.norm", ilki_encoder, norm, false),
    NORM("layers.%u.attn_norm", ilki_encoder_layer, attn_norm, true),
    MAYBE("layers.%u.attn.Wqkv", ilki_encoder_layer, qkv, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM3),
    MAYBE("layers.%u.attn.Wo", ilki_encoder_layer, o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    NORM("layers.%u.mlp_norm", ilki_encoder_layer, mlp_norm, false),
    MAYBE("layers.%u.mlp.Wi", ilki_encoder_layer, in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN2),
    MAYBE("layers.%u.mlp.Wo", ilki_encoder_layer, out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    NORM("final_norm", ilki_encoder, final_norm, false),
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "/head.dense",
     .offset = offsetof(ilki_encoder, classifier.dense),
     .cols = ILKI_ENCODER_DIM,
     .rows = {ILKI_ENCODER_DIM},
     .bias = ILKI_BIAS_OPTIONAL,
     .optional = true},
    NORM("/head.norm", ilki_encoder, classifier.norm, true),
    ILKI_ENCODER_HEAD("/classifier", classifier.out, ILKI_ENCODER_LABELS),
};
static const char *const prefixes[] = {"", "model.", NULL};
static const char *const ignored[] = {"decoder.*", NULL};
static const ilki_weight_list list = {"modernbert", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&list, NULL};

extern const ilki_family ilki_family_modernbert;
static const ilki_encoder_spec spec = {
    &ilki_family_modernbert, fields, sizeof fields / sizeof *fields, lists, settle, finish};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    return ilki_encoder_open(out, &spec, src, err);
}

static const char *const model_types[] = {"modernbert", NULL};
const ilki_family ilki_family_modernbert = {"modernbert", model_types, open_net, ilki_encoder_close,
                                            ilki_encoder_forward};
