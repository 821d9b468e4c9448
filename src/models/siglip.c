/* SPDX-License-Identifier: Apache-2.0
 * SigLIP (model_type "siglip", and its towers alone), after transformers 5.24 models/siglip/modeling_siglip.py SiglipModel;
 * SigLIP 2 of fixed resolution is published under the same type:
 *
 *   text:    x = word[id] + position[p], exactly max_position_embeddings tokens, the pads attended like others
 *   picture: x = patches Wp + b + position, no class token
 *   per layer, pre-norm, every linear with a bias:
 *     x = x + attention(norm1(x)) Wo;  x = x + act(norm2(x) W1) W2;  every token sees all
 *   text:    the last row of norm(x) times Wt + b
 *   picture: a learned query attends to norm(x) (own.c)
 *
 * "siglip2", whose pictures keep their shape, is refused. */
#include "models/dual.h"

#include <string.h>

enum { GELU_TANH = 2 }; /* of ilki_encoder_act_words */

/* ---- config.json */

static const ilki_config_field text_fields[] = {
    ILKI_DUAL_SIZE("vocab_size", vocab, 32000, 1 << 24),
    ILKI_DUAL_SIZE("hidden_size", dim, 768, 1 << 15),
    ILKI_DUAL_SIZE("num_hidden_layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("num_attention_heads", n_heads, 12, 1 << 10),
    ILKI_DUAL_SIZE("intermediate_size", ffn, 3072, 1 << 18),
    ILKI_DUAL_SIZE("max_position_embeddings", n_positions, 64, 1 << 24),
    ILKI_ENCODER_U32("projection_size", projection, 0, 1 << 15),
    ILKI_ENCODER_U32("pad_token_id", pad, 1, 1 << 24),
    ILKI_ENCODER_WORD("hidden_act", act, GELU_TANH, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-6, 1),
};
static const ilki_config_field vision_fields[] = {
    ILKI_DUAL_SIZE("hidden_size", dim, 768, 1 << 15),
    ILKI_DUAL_SIZE("num_hidden_layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("num_attention_heads", n_heads, 12, 1 << 10),
    ILKI_DUAL_SIZE("intermediate_size", ffn, 3072, 1 << 18),
    ILKI_DUAL_SIZE("image_size", image, 224, 1 << 14),
    ILKI_DUAL_SIZE("patch_size", patch, 16, 1 << 10),
    ILKI_DUAL_SIZE("num_channels", channels, 3, 3),
    ILKI_ENCODER_WORD("hidden_act", act, GELU_TANH, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-6, 1),
};

static ilk_status settle_text(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    (void)src;
    (void)err;
    e->c.pre_norm = true;
    e->c.own = ILKI_OWN_LAST;
    e->c.pad_to = e->c.n_positions;
    e->c.projection = e->c.projection ? e->c.projection : e->c.dim;
    return ILK_OK;
}

static ilk_status settle_vision(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    const ilki_json *j = src->config;
    ilki_json_node section = ilki_base_json_get(j, ilki_base_json_root(j), "vision_config"),
                   head = ilki_base_json_get(j, section ? section : ilki_base_json_root(j), "vision_use_head");
    if (!ilki_base_json_bool(j, head, true))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "config.json: vision_use_head: expected true, found false");
    e->c.own = ILKI_OWN_PROBE;
    return ilki_dual_settle_picture(e, 0, err);
}

/* ---- weights */

#define LAYER "encoder.layers.%u."
#define LAYERS                                                                                                         \
    ILKI_ENCODER_QKV(LAYER "self_attn.%s", "q_proj", "k_proj", "v_proj"),                                              \
        ILKI_DUAL_LAYERS(LAYER, "layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
#define PROBE_LINEAR(text, member, n_in, n_out)                                                                        \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder, probe.member), .cols = n_in,        \
        .rows = {                                                                                                      \
            n_out                                                                                                      \
        }                                                                                                              \
    }
static const ilki_weight text_rows[] = {
    ILKI_ENCODER_TABLE("embeddings.token_embedding.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embedding.weight", position, ILKI_ENCODER_POSITIONS),
    LAYERS,
    ILKI_ENCODER_NORM("final_layer_norm", ilki_encoder, final_norm),
    ILKI_DUAL_PROJECTION("head", ILKI_BIAS_REQUIRED, false),
    ILKI_DUAL_COMPARISON,
};
static const ilki_weight vision_rows[] = {
    ILKI_ENCODER_TABLE("embeddings.position_embedding.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_DUAL_PATCH("embeddings.patch_embedding", ILKI_BIAS_REQUIRED),
    LAYERS,
    ILKI_ENCODER_NORM("post_layernorm", ilki_encoder, final_norm),
    {.kind = ILKI_WEIGHT_VECTOR,
     .name = "head.probe",
     .offset = offsetof(ilki_encoder, probe.query),
     .cols = ILKI_ENCODER_DIM,
     .stored = ILKI_STORED_FLAT},
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "head.attention.in_proj",
     .offset = offsetof(ilki_encoder, probe.qkv),
     .cols = ILKI_ENCODER_DIM,
     .rows = {ILKI_ENCODER_DIM3},
     .suffixes = {"_weight", "_bias"}},
    PROBE_LINEAR("head.attention.out_proj", o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM("head.layernorm", ilki_encoder, probe.norm),
    PROBE_LINEAR("head.mlp.fc1", in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN),
    PROBE_LINEAR("head.mlp.fc2", out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
};
static const char *const text_prefixes[] = {"text_model.", "", NULL};
static const char *const vision_prefixes[] = {"vision_model.", "", NULL};
static const char *const text_ignored[] = {"*position_ids", "vision_model.*", NULL};
static const char *const vision_ignored[] = {"*position_ids", "text_model.*", "logit_scale", "logit_bias", NULL};
static const ilki_weight_list text_list = {"siglip's text tower", text_rows, sizeof text_rows / sizeof *text_rows,
                                           text_prefixes, text_ignored};
static const ilki_weight_list vision_list = {"siglip's vision tower", vision_rows,
                                             sizeof vision_rows / sizeof *vision_rows, vision_prefixes, vision_ignored};
static const ilki_weight_list *const text_lists[] = {&text_list, NULL}, *const vision_lists[] = {&vision_list, NULL};

extern const ilki_family ilki_family_siglip;
static const ilki_encoder_spec text_spec = {&ilki_family_siglip, text_fields, sizeof text_fields / sizeof *text_fields,
                                            text_lists,          settle_text, NULL};
static const ilki_encoder_spec vision_spec = {
    &ilki_family_siglip, vision_fields, sizeof vision_fields / sizeof *vision_fields,
    vision_lists,        settle_vision, NULL};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    static const ilki_dual_spec spec = {&ilki_family_siglip, &text_spec,    &vision_spec,
                                        "sigmoid",           "text_config", "vision_config"};
    const ilki_json *j = src->config;
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, ilki_base_json_root(j), "model_type"), NULL);
    *out = NULL;
    if (type && strncmp(type, "siglip2", strlen("siglip2")) == 0)
        return ilki_base_fail(
            err, ILK_UNSUPPORTED,
            "%s/config.json: model_type \"%s\": pictures that keep their shape (NaFlex) are not built; "
            "checkpoints of SigLIP 2 with a fixed resolution have model_type \"siglip\"",
            src->dir, type);
    return ilki_dual_open(out, &spec, src, err);
}

static const char *const model_types[] = {"siglip", "siglip_text_model", "siglip_vision_model", "siglip2", NULL};
const ilki_family ilki_family_siglip = {"siglip", model_types, open_net, ilki_dual_close, ilki_dual_forward};
