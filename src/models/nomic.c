/* SPDX-License-Identifier: Apache-2.0
 * nomic-bert (nomic-embed-text v1 and v1.5), after transformers 5.24 models/nomic_bert/modeling_nomic_bert.py
 * NomicBertModel: BERT's post-norm stack with
 *
 *   x = LayerNorm(word[id] + type[t]), no table of positions
 *   q and k turned by position (half-split, whole head, theta 1000)
 *   mlp(x) = (silu(x Wgate) * x Wup) Wdown; no linear has a bias
 *
 * Two layouts: the published one with GPT-2's words (n_embd, Wqkv, fc11 up, fc12 gate, fc2 down), and that of the class
 * in transformers. Experts, a rescaled theta, pre-norm and biases of the published class's other models are refused. */
#include <string.h>

#include "models/encoder.h"

/* ---- config.json */

static const char *const swiglu_words[] = {"swiglu", NULL};

static const ilki_config_field published_fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("n_embd", dim, 1 << 15),
    ILKI_ENCODER_SIZE("n_layer", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("n_head", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("n_inner", ffn, 1 << 18),
    ILKI_ENCODER_SIZE("n_positions", n_positions, 1 << 24),
    ILKI_ENCODER_U32("type_vocab_size", n_types, 2, 1 << 16),
    ILKI_ENCODER_WORD("activation_function", position, 0, swiglu_words),
    ILKI_ENCODER_FLOAT("layer_norm_epsilon", eps, 1e-5, 1),
    ILKI_ENCODER_FLOAT("rotary_emb_base", theta[0], 1000, 1e12),
    ILKI_ENCODER_FLOAT("rotary_emb_fraction", theta[1], 0, 1),
    ILKI_ENCODER_BOOL("qkv_proj_bias", attn_bias),
    ILKI_ENCODER_BOOL("mlp_fc1_bias", mlp_bias),
};
static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("hidden_size", dim, 1 << 15),
    ILKI_ENCODER_SIZE("num_hidden_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("num_attention_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("intermediate_size", ffn, 1 << 18),
    ILKI_ENCODER_U32("max_position_embeddings", n_positions, 2048, 1 << 24),
    ILKI_ENCODER_U32("type_vocab_size", n_types, 2, 1 << 16),
    ILKI_ENCODER_U32("head_dim", head_dim, 0, 1 << 15),
    ILKI_ENCODER_WORD("hidden_act", act, 5, ilki_encoder_act_words), /* silu */
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-12, 1),
    ILKI_ENCODER_FLOAT("rope_theta", theta[0], 1000, 1e12),
};

static ilk_status settle_both(ilki_encoder *e)
{
    e->c.rotary = e->c.gated = e->c.pooler_first = true;
    e->c.theta[1] = 0;
    return ILK_OK;
}

static ilk_status settle_published(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    static const char *const others[] = {"prenorm",
                                         "parallel_block",
                                         "use_rms_norm",
                                         "causal",
                                         "rotary_emb_interleaved",
                                         "rotary_emb_scale_base",
                                         "rotary_scaling_factor",
                                         "num_experts",
                                         "qkv_proj_bias",
                                         "mlp_fc1_bias",
                                         "mlp_fc2_bias",
                                         NULL};
    ilk_status s = ilki_encoder_refuse(src, others, err);
    if (s == ILK_OK && e->c.theta[1] != 1)
        s = ilki_base_fail(err, ILK_UNSUPPORTED, "config.json: rotary_emb_fraction: expected 1, found %g",
                           (double)e->c.theta[1]);
    e->c.act = 5; /* silu */
    return s == ILK_OK ? settle_both(e) : s;
}

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    static const char *const others[] = {"rope_scaling", NULL};
    const ilki_json *j = src->config;
    const char *key = "rope_parameters";
    ilk_status s = ilki_encoder_refuse(src, others, err);
    if (s == ILK_OK)
        s = ilki_encoder_read_rope(j, ilki_base_json_get(j, ilki_base_json_root(j), key), key, &e->c.theta[0], err);
    if (s == ILK_OK && e->c.head_dim && e->c.head_dim * e->c.n_heads != e->c.dim)
        s = ilki_base_fail(err, ILK_UNSUPPORTED,
                           "config.json: head_dim: expected hidden_size / num_attention_heads (%u), "
                           "found %u",
                           e->c.dim / e->c.n_heads, e->c.head_dim);
    return s == ILK_OK ? settle_both(e) : s;
}

/* ---- weights */

#define LINEAR(text, member, n_in, n_out)                                                                              \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder_layer, member), .cols = n_in,        \
        .rows = {n_out}, .bias = ILKI_BIAS_NONE                                                                        \
    }
#define STACK(text, member, n_out, ...)                                                                                \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder_layer, member),                      \
        .cols = ILKI_ENCODER_DIM, .rows = {n_out, n_out, n_out}, .bias = ILKI_BIAS_NONE, .parts = {                    \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
#define EMBEDDINGS                                                                                                     \
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB),                                 \
        ILKI_ENCODER_TABLE("embeddings.token_type_embeddings.weight", type, ILKI_ENCODER_TYPES)
#define HEADS                                                                                                          \
    ILKI_ENCODER_HEAD("pooler.dense", pooler, ILKI_ENCODER_DIM),                                                       \
        ILKI_ENCODER_HEAD("/classifier", classifier.out, ILKI_ENCODER_LABELS)

static const ilki_weight published_rows[] = {
    ILKI_ENCODER_NORM("emb_ln", ilki_encoder, norm), /* the first tells the layouts apart */
    EMBEDDINGS,
    LINEAR("encoder.layers.%u.attn.Wqkv", qkv, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM3),
    LINEAR("encoder.layers.%u.attn.out_proj", o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM("encoder.layers.%u.norm1", ilki_encoder_layer, attn_norm),
    STACK("encoder.layers.%u.mlp.%s", in, ILKI_ENCODER_FFN, "fc12", "fc11"),
    LINEAR("encoder.layers.%u.mlp.fc2", out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM("encoder.layers.%u.norm2", ilki_encoder_layer, mlp_norm),
    HEADS,
};
static const ilki_weight rows[] = {
    ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm),
    EMBEDDINGS,
    STACK("layers.%u.self_attn.%s", qkv, ILKI_ENCODER_DIM, "q_proj", "k_proj", "v_proj"),
    LINEAR("layers.%u.self_attn.o_proj", o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM("layers.%u.post_attention_layernorm", ilki_encoder_layer, attn_norm),
    STACK("layers.%u.mlp.%s", in, ILKI_ENCODER_FFN, "gate_proj", "up_proj"),
    LINEAR("layers.%u.mlp.down_proj", out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM("layers.%u.post_mlp_layernorm", ilki_encoder_layer, mlp_norm),
    HEADS,
};
static const char *const prefixes[] = {"", "nomic_bert.", "bert.", "model.", NULL};
static const char *const ignored[] = {"cls.*", "*position_ids", "*inv_freq", NULL};
static const ilki_weight_list published = {"nomic_bert", published_rows, sizeof published_rows / sizeof *published_rows,
                                           prefixes, ignored};
static const ilki_weight_list list = {"nomic_bert", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&published, &list, NULL};

extern const ilki_family ilki_family_nomic;
static const ilki_encoder_spec published_spec = {&ilki_family_nomic,
                                                 published_fields,
                                                 sizeof published_fields / sizeof *published_fields,
                                                 lists,
                                                 settle_published,
                                                 NULL};
static const ilki_encoder_spec spec = {&ilki_family_nomic, fields, sizeof fields / sizeof *fields, lists, settle, NULL};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    const ilki_json *j = src->config;
    bool native = ilki_base_json_get(j, ilki_base_json_root(j), "hidden_size") != 0;
    return ilki_encoder_open(out, native ? &spec : &published_spec, src, err);
}

static const char *const model_types[] = {"nomic_bert", NULL};
const ilki_family ilki_family_nomic = {"nomic_bert", model_types, open_net, ilki_encoder_close, ilki_encoder_forward};
