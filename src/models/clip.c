/* SPDX-License-Identifier: Apache-2.0
 * CLIP (model_type "clip", and its towers alone), after transformers 5.24 models/clip/modeling_clip.py CLIPModel,
 * CLIPTextModelWithProjection and CLIPVisionModelWithProjection; MetaCLIP 2 (models/metaclip_2) is the same network:
 *
 *   text:    x = word[id] + position[p]
 *   picture: x = norm([class, patches Wp] + position)
 *   per layer, pre-norm, every linear with a bias:
 *     x = x + attention(norm1(x)) Wo;  x = x + act(norm2(x) W1) W2;  a text's token sees those before it alone
 *   text:    norm(x), the row of the end token times Wt
 *   picture: norm(the class token's row) times Wv
 *
 * The end token is the first one whose id is eos_token_id; where that is 2, as checkpoints before 2023 have it though
 * theirs is not, it is the first of the largest id (MetaCLIP 2's is 2 indeed). A text ends there, so pads are never
 * computed. A tower saved without its projection gives the pooled row itself. */
#include "models/dual.h"

#include <string.h>

/* ---- config.json */

static const ilki_config_field text_fields[] = {
    ILKI_DUAL_SIZE("vocab_size", vocab, 49408, 1 << 24),
    ILKI_DUAL_SIZE("hidden_size", dim, 512, 1 << 15),
    ILKI_DUAL_SIZE("num_hidden_layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("num_attention_heads", n_heads, 8, 1 << 10),
    ILKI_DUAL_SIZE("intermediate_size", ffn, 2048, 1 << 18),
    ILKI_DUAL_SIZE("max_position_embeddings", n_positions, 77, 1 << 24),
    ILKI_ENCODER_U32("eos_token_id", eos, 49407, 1 << 24),
    ILKI_ENCODER_WORD("hidden_act", act, 7, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-5, 1),
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

static bool is_metaclip(const ilki_model_source *src)
{
    const ilki_json *j = src->config;
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, ilki_base_json_root(j), "model_type"), NULL);
    return type && strncmp(type, "metaclip_2", strlen("metaclip_2")) == 0;
}

static ilk_status settle_text(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.pre_norm = true;
    e->c.own = e->c.eos == 2 && !is_metaclip(src) ? ILKI_OWN_LARGEST : ILKI_OWN_EOS;
    e->attn[0].mask = ILKI_MASK_CAUSAL;
    return ilki_dual_read_projection(e, src, err);
}

static ilk_status settle_vision(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.own = ILKI_OWN_FIRST;
    e->c.own_norm = true;
    ilk_status s = ilki_dual_settle_picture(e, 1, err);
    return s == ILK_OK ? ilki_dual_read_projection(e, src, err) : s;
}

/* A tower whose class has no projection is saved without one; a model of both needs both. */
static ilk_status finish(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    const ilki_json *j = src->config;
    ilki_json_node root = ilki_base_json_root(j);
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, root, "model_type"), NULL);
    const char *class = ilki_base_json_string(j, ilki_base_json_first(j, ilki_base_json_get(j, root, "architectures")),
                                              NULL);
    bool alone = type && strstr(type, "_model") != NULL, without = !class || !strstr(class, "WithProjection");
    if (e->projection.n_out || (alone && without))
        return ILK_OK;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected shape [%u, %u], found no tensor of this name",
                          src->dir, e->patch.n_out ? "visual_projection.weight" : "text_projection.weight",
                          e->c.projection, e->c.dim);
}

/* ---- weights */

#define LAYER "encoder.layers.%u."
#define LAYERS                                                                                                         \
    ILKI_ENCODER_QKV(LAYER "self_attn.%s", "q_proj", "k_proj", "v_proj"),                                              \
        ILKI_DUAL_LAYERS(LAYER, "layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
static const ilki_weight text_rows[] = {
    ILKI_ENCODER_TABLE("embeddings.token_embedding.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embedding.weight", position, ILKI_ENCODER_POSITIONS),
    LAYERS,
    ILKI_ENCODER_NORM("final_layer_norm", ilki_encoder, final_norm),
    ILKI_DUAL_PROJECTION("/text_projection", ILKI_BIAS_NONE, true),
    ILKI_DUAL_COMPARISON,
};
static const ilki_weight vision_rows[] = {
    ILKI_DUAL_FIRST("embeddings.class_embedding"),
    ILKI_DUAL_PATCH("embeddings.patch_embedding", ILKI_BIAS_NONE),
    ILKI_ENCODER_TABLE("embeddings.position_embedding.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_NORM("pre_layrnorm", ilki_encoder, norm), /* so it is spelled */
    LAYERS,
    ILKI_ENCODER_NORM("post_layernorm", ilki_encoder, final_norm),
    ILKI_DUAL_PROJECTION("/visual_projection", ILKI_BIAS_NONE, true),
};
static const char *const text_prefixes[] = {"text_model.", "", NULL};
static const char *const vision_prefixes[] = {"vision_model.", "", NULL};
static const char *const text_ignored[] = {"*position_ids", "vision_model.*", "visual_projection.*", NULL};
static const char *const vision_ignored[] = {"*position_ids", "text_model.*", "text_projection.*", "logit_scale", NULL};
static const ilki_weight_list text_list = {"clip's text tower", text_rows, sizeof text_rows / sizeof *text_rows,
                                           text_prefixes, text_ignored};
static const ilki_weight_list vision_list = {"clip's vision tower", vision_rows,
                                             sizeof vision_rows / sizeof *vision_rows, vision_prefixes, vision_ignored};
static const ilki_weight_list *const text_lists[] = {&text_list, NULL}, *const vision_lists[] = {&vision_list, NULL};

extern const ilki_family ilki_family_clip;
static const ilki_encoder_spec text_spec = {&ilki_family_clip, text_fields, sizeof text_fields / sizeof *text_fields,
                                            text_lists,        settle_text, finish};
static const ilki_encoder_spec vision_spec = {
    &ilki_family_clip, vision_fields, sizeof vision_fields / sizeof *vision_fields,
    vision_lists,      settle_vision, finish};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    static const ilki_dual_spec spec = {&ilki_family_clip, &text_spec,    &vision_spec,
                                        "softmax",         "text_config", "vision_config"};
    return ilki_dual_open(out, &spec, src, err);
}

static const char *const model_types[] = {"clip",       "clip_text_model",       "clip_vision_model",
                                          "metaclip_2", "metaclip_2_text_model", "metaclip_2_vision_model",
                                          NULL};
const ilki_family ilki_family_clip = {"clip", model_types, open_net, ilki_dual_close, ilki_dual_forward};
