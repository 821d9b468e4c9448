/* SPDX-License-Identifier: Apache-2.0
 * Chinese-CLIP (model_type "chinese_clip"), after transformers 5.24
 * models/chinese_clip/modeling_chinese_clip.py ChineseCLIPModel: BERT (bert.c) for texts, whose first token's row times Wt
 * is the vector, and CLIP's tower (clip.c) for pictures. A pooler that a checkpoint may have is not used. Pads are masked
 * in the reference, so none are computed. */
#include "models/dual.h"

/* ---- config.json */

static const ilki_config_field text_fields[] = {
    ILKI_DUAL_SIZE("vocab_size", vocab, 30522, 1 << 24),
    ILKI_DUAL_SIZE("hidden_size", dim, 768, 1 << 15),
    ILKI_DUAL_SIZE("num_hidden_layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("num_attention_heads", n_heads, 12, 1 << 10),
    ILKI_DUAL_SIZE("intermediate_size", ffn, 3072, 1 << 18),
    ILKI_DUAL_SIZE("max_position_embeddings", n_positions, 512, 1 << 24),
    ILKI_DUAL_SIZE("type_vocab_size", n_types, 2, 1 << 16),
    ILKI_ENCODER_WORD("hidden_act", act, 0, ilki_encoder_act_words),
    ILKI_ENCODER_WORD("position_embedding_type", position, 0, ilki_encoder_position_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-12, 1),
    ILKI_ENCODER_BOOL("is_decoder", decoder),
    ILKI_ENCODER_BOOL("add_cross_attention", cross),
};
static const ilki_config_field vision_fields[] = {
    ILKI_DUAL_SIZE("hidden_size", dim, 768, 1 << 15),
    ILKI_DUAL_SIZE("num_hidden_layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("num_attention_heads", n_heads, 12, 1 << 10),
    ILKI_DUAL_SIZE("intermediate_size", ffn, 3072, 1 << 18),
    ILKI_DUAL_SIZE("image_size", image, 224, 1 << 14),
    ILKI_DUAL_SIZE("patch_size", patch, 32, 1 << 10),
    ILKI_DUAL_SIZE("num_channels", channels, 3, 3),
    ILKI_ENCODER_WORD("hidden_act", act, 7, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-5, 1),
};

static ilk_status settle_text(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.own = ILKI_OWN_FIRST;
    return ilki_dual_read_projection(e, src, err);
}

static ilk_status settle_vision(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.own = ILKI_OWN_FIRST;
    e->c.own_norm = true;
    ilk_status s = ilki_dual_settle_picture(e, 1, err);
    return s == ILK_OK ? ilki_dual_read_projection(e, src, err) : s;
}

/* ---- weights */

#define BERT_LAYER "encoder.layer.%u."
#define LAYER      "encoder.layers.%u."
static const ilki_weight text_rows[] = {
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embeddings.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_TABLE("embeddings.token_type_embeddings.weight", type, ILKI_ENCODER_TYPES),
    ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm),
    ILKI_ENCODER_QKV(BERT_LAYER "attention.self.%s", "query", "key", "value"),
    ILKI_DUAL_LAYERS(BERT_LAYER, "attention.output.LayerNorm", "output.LayerNorm", "attention.output.dense",
                     "intermediate.dense", "output.dense"),
    ILKI_DUAL_PROJECTION("/text_projection", ILKI_BIAS_NONE, false),
    ILKI_DUAL_COMPARISON,
};
static const ilki_weight vision_rows[] = {
    ILKI_DUAL_FIRST("embeddings.class_embedding"),
    ILKI_DUAL_PATCH("embeddings.patch_embedding", ILKI_BIAS_NONE),
    ILKI_ENCODER_TABLE("embeddings.position_embedding.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_NORM("pre_layrnorm", ilki_encoder, norm),
    ILKI_ENCODER_QKV(LAYER "self_attn.%s", "q_proj", "k_proj", "v_proj"),
    ILKI_DUAL_LAYERS(LAYER, "layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"),
    ILKI_ENCODER_NORM("post_layernorm", ilki_encoder, final_norm),
    ILKI_DUAL_PROJECTION("/visual_projection", ILKI_BIAS_NONE, false),
};
static const char *const text_prefixes[] = {"text_model.", "", NULL}, *const vision_prefixes[] = {"vision_model.", "",
                                                                                                  NULL};
static const char *const text_ignored[] = {"*position_ids",
                                           "*pooler.dense.weight",
                                           "*pooler.dense.bias",
                                           "vision_model.*",
                                           "visual_projection.*",

                                           NULL};
static const char *const vision_ignored[] = {"*position_ids", "text_model.*", "text_projection.*", "logit_scale", NULL};
static const ilki_weight_list text_list = {"chinese_clip's text tower", text_rows, sizeof text_rows / sizeof *text_rows,
                                           text_prefixes, text_ignored};
static const ilki_weight_list vision_list = {"chinese_clip's vision tower", vision_rows,
                                             sizeof vision_rows / sizeof *vision_rows, vision_prefixes, vision_ignored};
static const ilki_weight_list *const text_lists[] = {&text_list, NULL}, *const vision_lists[] = {&vision_list, NULL};

extern const ilki_family ilki_family_chinese_clip;
static const ilki_encoder_spec text_spec = {
    &ilki_family_chinese_clip, text_fields, sizeof text_fields / sizeof *text_fields, text_lists, settle_text, NULL};
static const ilki_encoder_spec vision_spec = {&ilki_family_chinese_clip,
                                              vision_fields,
                                              sizeof vision_fields / sizeof *vision_fields,
                                              vision_lists,
                                              settle_vision,
                                              NULL};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    static const ilki_dual_spec spec = {
        &ilki_family_chinese_clip, &text_spec, &vision_spec, "softmax", "text_config", "vision_config"};
    return ilki_dual_open(out, &spec, src, err);
}

static const char *const model_types[] = {"chinese_clip", NULL};
const ilki_family ilki_family_chinese_clip = {"chinese_clip", model_types, open_net, ilki_dual_close,
                                              ilki_dual_forward};
