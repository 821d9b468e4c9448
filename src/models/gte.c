/* SPDX-License-Identifier: Apache-2.0
 * GTE's own architecture (gte-multilingual-base, gte-*-en-v1.5, snowflake-arctic-embed-m-v2.0), after transformers 5.24
 * models/gte/modeling_gte.py GteModel: BERT's post-norm stack with
 *
 *   x = LayerNorm(word[id] + type[t]), no table of positions; type_vocab_size 0: no types either, 1: all are 0
 *   q and k turned by position (half-split, whole head)
 *   mlp(x) = (act(x Wgate) * x Wup) Wdown, the first two without a bias
 *
 * Two layouts: the published one ("new": qkv_proj, up_gate_proj with the gate second) and that of the class in
 * transformers. The published class's "ntk" scaling is fixed by the config: frequencies are those of theta * factor,
 * divided by factor^(2 / width of a head). */
#include <math.h>
#include <string.h>

#include "models/encoder.h"

/* ---- config.json */

static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("hidden_size", dim, 1 << 15),
    ILKI_ENCODER_SIZE("num_hidden_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("num_attention_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("intermediate_size", ffn, 1 << 18),
    ILKI_ENCODER_U32("max_position_embeddings", n_positions, 8192, 1 << 24),
    ILKI_ENCODER_U32("type_vocab_size", n_types, 1, 1 << 16),
    ILKI_ENCODER_WORD("hidden_act", act, 0, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-12, 1),
    ILKI_ENCODER_FLOAT("rope_theta", theta[0], 160000, 1e12),
};

/* rope_scaling of the published class: "ntk" with a factor alone. */
static ilk_status read_ntk(ilki_encoder *e, const ilki_json *j, ilki_json_node scaling, ilk_error *err)
{
    static const char *const words[] = {"ntk", NULL};
    static const ilki_config_field ntk[] = {
        ILKI_ENCODER_WORD("type", position, 0, words),
        {.key = "factor",
         .type = ILKI_CONFIG_FLOAT,
         .offset = offsetof(ilki_encoder_config, theta[1]),
         .required = true,
         .min = 1,
         .max = 1e6},
    };
    ilk_status s = ilki_models_read_config(j, scaling, "config.json: rope_scaling", ntk, sizeof ntk / sizeof *ntk,
                                           &e->c, err);
    if (s == ILK_OK && ilki_base_json_type(j, ilki_base_json_get(j, scaling, "mixed_b")) > ILKI_JSON_NULL)
        s = ilki_base_fail(err, ILK_UNSUPPORTED, "config.json: rope_scaling: mixed_b: expected none, found one");
    if (s == ILK_OK && e->c.theta[1] > 1) { /* the reference's condition: the cache is longer than the positions */
        e->c.theta[0] *= e->c.theta[1];
        e->rope[0].freq_div = (float)pow((double)e->c.theta[1], 2.0 * e->c.n_heads / e->c.dim);
    }
    e->c.theta[1] = 0;
    return s;
}

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    static const char *const others[] = {"logn_attention_scale", "is_decoder", NULL};
    static const char *const layer_norm[] = {"layer_norm", NULL}, *const rope[] = {"rope", NULL};
    static const ilki_config_field words[] = {
        ILKI_ENCODER_WORD("layer_norm_type", position, 0, layer_norm),
        ILKI_ENCODER_WORD("position_embedding_type", position, 0, rope),
    };
    const ilki_json *j = src->config;
    const char *key = "rope_parameters";
    ilki_json_node root = ilki_base_json_root(j), scaling = ilki_base_json_get(j, root, "rope_scaling");
    ilk_status s = ilki_models_read_config(j, root, "config.json", words, sizeof words / sizeof *words, &e->c, err);
    if (s == ILK_OK)
        s = ilki_encoder_refuse(src, others, err);
    if (s == ILK_OK)
        s = ilki_encoder_read_rope(j, ilki_base_json_get(j, root, key), key, &e->c.theta[0], err);
    if (s == ILK_OK && ilki_base_json_type(j, scaling) > ILKI_JSON_NULL)
        s = read_ntk(e, j, scaling, err);
    e->c.rotary = e->c.gated = e->c.gate_second = e->c.pooler_first = true;
    e->c.no_types = e->c.n_types < 2;
    return s;
}

/* ---- weights */

#define LINEAR(text, member, n_in, n_out, with)                                                                        \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder_layer, member), .cols = n_in,        \
        .rows = {n_out}, .bias = with                                                                                  \
    }
#define TYPES                                                                                                          \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_TABLE, .name = "embeddings.token_type_embeddings.weight",                                  \
        .offset = offsetof(ilki_encoder, type), .cols = ILKI_ENCODER_DIM, .rows = {ILKI_ENCODER_TYPES},                \
        .optional = true                                                                                               \
    }
#define EMBEDDINGS                                                                                                     \
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB), TYPES,                          \
        ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm)
#define HEADS                                                                                                          \
    ILKI_ENCODER_HEAD("pooler.dense", pooler, ILKI_ENCODER_DIM),                                                       \
        ILKI_ENCODER_HEAD("/classifier", classifier.out, ILKI_ENCODER_LABELS)

static const ilki_weight published_rows[] = {
    LINEAR("encoder.layer.%u.attention.qkv_proj", qkv, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM3, ILKI_BIAS_REQUIRED),
    EMBEDDINGS,
    LINEAR("encoder.layer.%u.attention.o_proj", o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM, ILKI_BIAS_REQUIRED),
    ILKI_ENCODER_NORM("encoder.layer.%u.attn_ln", ilki_encoder_layer, attn_norm),
    LINEAR("encoder.layer.%u.mlp.up_gate_proj", in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN2, ILKI_BIAS_NONE),
    LINEAR("encoder.layer.%u.mlp.down_proj", out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM, ILKI_BIAS_REQUIRED),
    ILKI_ENCODER_NORM("encoder.layer.%u.mlp_ln", ilki_encoder_layer, mlp_norm),
    HEADS,
};
static const ilki_weight rows[] = {
    ILKI_ENCODER_QKV("layers.%u.self_attn.%s", "q_proj", "k_proj", "v_proj"),
    EMBEDDINGS,
    LINEAR("layers.%u.self_attn.o_proj", o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM, ILKI_BIAS_REQUIRED),
    ILKI_ENCODER_NORM("layers.%u.post_attention_layernorm", ilki_encoder_layer, attn_norm),
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "layers.%u.mlp.%s",
     .offset = offsetof(ilki_encoder_layer, in),
     .cols = ILKI_ENCODER_DIM,
     .rows = {ILKI_ENCODER_FFN, ILKI_ENCODER_FFN},
     .bias = ILKI_BIAS_NONE,
     .parts = {"up_proj", "gate_proj"}},
    LINEAR("layers.%u.mlp.down_proj", out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM, ILKI_BIAS_REQUIRED),
    ILKI_ENCODER_NORM("layers.%u.post_mlp_layernorm", ilki_encoder_layer, mlp_norm),
    HEADS,
};
static const char *const prefixes[] = {"", "new.", "gte.", "model.", NULL};
static const char *const ignored[] = {"lm_head.*", "*position_ids", "*inv_freq", NULL};
static const ilki_weight_list published = {"gte", published_rows, sizeof published_rows / sizeof *published_rows,
                                           prefixes, ignored};
static const ilki_weight_list list = {"gte", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&published, &list, NULL};

/* The list takes a table of token types as it comes: here it must fit. */
static ilk_status finish(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    if ((e->type != NULL) == (e->c.n_types != 0))
        return ILK_OK;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: type_vocab_size: expected as the weights have it (%s), found %u",
                          src->dir, e->type ? "a table" : "no table", e->c.n_types);
}

extern const ilki_family ilki_family_gte;
static const ilki_encoder_spec spec = {&ilki_family_gte, fields, sizeof fields / sizeof *fields, lists, settle, finish};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    return ilki_encoder_open(out, &spec, src, err);
}

static const char *const model_types[] = {"gte", "new", NULL};
const ilki_family ilki_family_gte = {"gte", model_types, open_net, ilki_encoder_close, ilki_encoder_forward};
