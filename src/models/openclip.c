/* SPDX-License-Identifier: Apache-2.0
 * CLIP as open_clip saves it (open_clip_config.json, names visual.* and transformer.resblocks.*), after open_clip 3.3
 * transformer.py VisionTransformer and TextTransformer: clip.c's network under other names, q, k and v in one matrix, the
 * projections stored [width][embed]. OpenAI's own files have the same names. What the config tells:
 *
 *   quick_gelu; else act_kwargs.approximate "tanh"; else the exact GELU.  norm_kwargs.eps, else 1e-5
 *   width / head_width heads in the tower of pictures;  int(width * mlp_ratio) in the middle of an MLP
 *   pool_type of texts: "argmax" the first of the largest id, "eos", "first", "last"
 *   no_causal_mask: a text's tokens see all others, pads up to context_length included
 *   custom_text: the text's names begin with "text.";  proj_bias: its projection is a linear like others
 *
 * Refused by name: towers of timm and of transformers, ResNets, attentional pooling, CoCa's class token, layer scale and
 * the other additions to a layer. */
#include "models/dual.h"

#include <string.h>

#define TEXT   "text_cfg"
#define VISION "vision_cfg"

enum { GELU = 0, GELU_TANH = 2, QUICK_GELU = 7 }; /* of ilki_encoder_act_words */

/* ---- config */

static const char *const pool_words[] = {"argmax", "eos", "first", "last", NULL};
static const ilki_config_field text_fields[] = {
    ILKI_DUAL_SIZE("vocab_size", vocab, 49408, 1 << 24),
    ILKI_DUAL_SIZE("width", dim, 512, 1 << 15),
    ILKI_DUAL_SIZE("layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("heads", n_heads, 8, 1 << 10),
    ILKI_DUAL_SIZE("context_length", n_positions, 77, 1 << 16),
    ILKI_ENCODER_U32("pad_id", pad, 0, 1 << 24),
    ILKI_ENCODER_U32("eos_id", eos, 2, 1 << 24),
    ILKI_ENCODER_WORD("pool_type", head_pool, 0, pool_words),
};
static const ilki_config_field vision_fields[] = {
    ILKI_DUAL_SIZE("width", dim, 768, 1 << 15),          ILKI_DUAL_SIZE("layers", n_layers, 12, 1 << 10),
    ILKI_DUAL_SIZE("head_width", head_dim, 64, 1 << 12), ILKI_DUAL_SIZE("image_size", image, 224, 1 << 14),
    ILKI_DUAL_SIZE("patch_size", patch, 16, 1 << 10),
};

static ilki_json_node model_cfg(const ilki_json *j)
{
    return ilki_base_json_get(j, ilki_base_json_root(j), "model_cfg");
}

/* What is there in a tower's config and not built. */
static ilk_status refuse(const ilki_json *j, const char *section, ilk_error *err)
{
    static const char *const keys[] = {"timm_model_name", "hf_model_name",    "attentional_pool", "no_ln_pre",
                                       "embed_cls",       "ls_init_value",    "qk_norm",          "scaled_cosine_attn",
                                       "scale_heads",     "scale_attn_inner", "scale_attn",       "scale_fc"};
    ilki_json_node cfg = ilki_base_json_get(j, model_cfg(j), section);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ilki_json_node found = ilki_base_json_get(j, cfg, keys[i]);
        const char *word = ilki_base_json_string(j, found, NULL);
        if (ilki_base_json_type(j, found) > ILKI_JSON_FALSE)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "open_clip_config.json: %s: %s: expected none, found %s%.64s%s",
                                  section, keys[i], word ? "\"" : "one", word ? word : "", word ? "\"" : "");
    }
    if (ilki_base_json_type(j, ilki_base_json_get(j, cfg, "layers")) == ILKI_JSON_ARRAY)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "open_clip_config.json: %s: layers: expected a number, found a list, as ResNets have it",
                              section);
    const char *pool = ilki_base_json_string(j, ilki_base_json_get(j, cfg, "pool_type"), NULL);
    if (strcmp(section, VISION) == 0 && pool && strcmp(pool, "tok") != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "open_clip_config.json: %s: pool_type: expected tok, found \"%.64s\"", section, pool);
    return ILK_OK;
}

/* What both towers read beside their fields. */
static ilk_status settle(ilki_encoder *e, const ilki_json *j, const char *section, ilk_error *err)
{
    ilki_json_node model = model_cfg(j), cfg = ilki_base_json_get(j, model, section),
                   act = ilki_base_json_get(j, ilki_base_json_get(j, cfg, "act_kwargs"), "approximate");
    double ratio = ilki_base_json_double(j, ilki_base_json_get(j, cfg, "mlp_ratio"), 4.0);
    const char *approximate = ilki_base_json_string(j, act, NULL);
    const ilki_config_field embed = ILKI_DUAL_SIZE("embed_dim", projection, 512, 1 << 15);
    const ilki_config_field eps = ILKI_ENCODER_FLOAT("eps", eps, 1e-5, 1);
    ilk_status s = ilki_models_read_config(j, model, "open_clip_config.json: model_cfg", &embed, 1, &e->c, err);
    ilki_json_node norm = ilki_base_json_get(j, cfg, "norm_kwargs");
    e->c.eps = 1e-5f;
    if (s == ILK_OK && ilki_base_json_type(j, norm) > ILKI_JSON_NULL)
        s = ilki_models_read_config(j, norm, "open_clip_config.json: norm_kwargs", &eps, 1, &e->c, err);
    if (s == ILK_OK && !(ratio > 0 && ratio * e->c.dim >= 1 && ratio * e->c.dim < 1 << 18))
        s = ilki_base_fail(err, ILK_BAD_FORMAT, "open_clip_config.json: %s: mlp_ratio: expected a number above 0",
                           section);
    if (s != ILK_OK)
        return s;
    e->c.ffn = (uint32_t)(ratio * e->c.dim);
    e->c.act = ilki_base_json_bool(j, ilki_base_json_get(j, model, "quick_gelu"), false) ? QUICK_GELU
               : approximate && strcmp(approximate, "tanh") == 0                         ? GELU_TANH
                                                                                         : GELU;
    e->c.pre_norm = true;
    return ILK_OK;
}

static ilk_status settle_text(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    static const uint32_t owns[] = {ILKI_OWN_LARGEST, ILKI_OWN_EOS, ILKI_OWN_FIRST, ILKI_OWN_LAST};
    const ilki_json *j = src->config;
    ilki_json_node cfg = ilki_base_json_get(j, model_cfg(j), "text_cfg");
    bool full = ilki_base_json_bool(j, ilki_base_json_get(j, cfg, "no_causal_mask"), false);
    e->c.own = owns[e->c.head_pool];
    e->attn[0].mask = full ? ILKI_MASK_FULL : ILKI_MASK_CAUSAL;
    if (full || e->c.own == ILKI_OWN_LAST)
        e->c.pad_to = e->c.n_positions;
    return settle(e, j, TEXT, err);
}

static ilk_status settle_vision(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    e->c.channels = 3;
    e->c.own = ILKI_OWN_FIRST;
    e->c.own_norm = true;
    ilk_status s = settle(e, src->config, VISION, err);
    return s == ILK_OK ? ilki_dual_settle_picture(e, 1, err) : s;
}

static ilk_status finish(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    if (e->projection.n_out)
        return ILK_OK;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected shape [%u, %u], found no tensor of this name",
                          src->dir, e->patch.n_out ? "visual.proj" : "text_projection", e->c.dim, e->c.projection);
}

/* ---- weights */

#define LAYER "transformer.resblocks.%u."
#define LAYERS                                                                                                         \
    {.kind = ILKI_WEIGHT_LINEAR,                                                                                       \
     .name = LAYER "attn.in_proj",                                                                                     \
     .offset = offsetof(ilki_encoder_layer, qkv),                                                                      \
     .cols = ILKI_ENCODER_DIM,                                                                                         \
     .rows = {ILKI_ENCODER_DIM3},                                                                                      \
     .suffixes = {"_weight", "_bias"}},                                                                                \
        ILKI_DUAL_LAYERS(LAYER, "ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
#define PROJECTION(text, how, has_bias, suffix)                                                                        \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder, projection),                        \
        .cols = ILKI_ENCODER_DIM, .rows = {ILKI_ENCODER_PROJECTION}, .bias = has_bias, .stored = how,                  \
        .suffixes = {suffix}, .optional = true                                                                         \
    }
static const ilki_weight text_rows[] = {
    ILKI_ENCODER_TABLE("token_embedding.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("positional_embedding", position, ILKI_ENCODER_POSITIONS),
    LAYERS,
    ILKI_ENCODER_NORM("ln_final", ilki_encoder, final_norm),
    PROJECTION("text_projection", ILKI_STORED_TRANSPOSED, ILKI_BIAS_NONE, ""),
    ILKI_DUAL_COMPARISON,
    ILKI_DUAL_NUMBER("logit_scale", compare_scale),
    ILKI_DUAL_NUMBER("logit_bias", compare_bias),
};
/* with proj_bias */
static const ilki_weight linear_text_rows[] = {
    ILKI_ENCODER_TABLE("token_embedding.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("positional_embedding", position, ILKI_ENCODER_POSITIONS),
    LAYERS,
    ILKI_ENCODER_NORM("ln_final", ilki_encoder, final_norm),
    PROJECTION("text_projection", ILKI_STORED_PLAIN, ILKI_BIAS_OPTIONAL, ".weight"),
    ILKI_DUAL_COMPARISON,
    ILKI_DUAL_NUMBER("logit_scale", compare_scale),
    ILKI_DUAL_NUMBER("logit_bias", compare_bias),
};
static const ilki_weight vision_rows[] = {
    ILKI_DUAL_FIRST("class_embedding"),
    ILKI_DUAL_PATCH("conv1", ILKI_BIAS_NONE),
    ILKI_ENCODER_TABLE("positional_embedding", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_NORM("ln_pre", ilki_encoder, norm),
    LAYERS,
    ILKI_ENCODER_NORM("ln_post", ilki_encoder, final_norm),
    PROJECTION("proj", ILKI_STORED_TRANSPOSED, ILKI_BIAS_NONE, ""),
};
/* as published; as open_clip's training saves it, from one device and from several; open_clip's CustomTextCLIP of each */
static const char *const text_prefixes[] = {
    "",        "text.",        "state_dict.", "state_dict.text.", "state_dict.module.", "state_dict.module.text.",
    "module.", "module.text.", NULL};
static const char *const vision_prefixes[] = {
    "visual.", "state_dict.visual.", "state_dict.module.visual.", "module.visual.", "", NULL};
static const char *const text_ignored[] = {"visual.*",    "state_dict.*",     "module.*",
                                           "optimizer.*", "input_resolution", "context_length",
                                           "vocab_size",  "*attn_mask",       NULL};
static const char *const vision_ignored[] = {
    "state_dict.*",   "module.*",   "optimizer.*",      "text.*",      "token_embedding.*", "positional_embedding",
    "transformer.*",  "ln_final.*", "text_projection*", "logit_scale", "logit_bias",        "input_resolution",
    "context_length", "vocab_size", "*attn_mask",       NULL};
static const ilki_weight_list text_list = {"open_clip's text tower", text_rows, sizeof text_rows / sizeof *text_rows,
                                           text_prefixes, text_ignored};
static const ilki_weight_list linear_text_list = {"open_clip's text tower", linear_text_rows,
                                                  sizeof linear_text_rows / sizeof *linear_text_rows, text_prefixes,
                                                  text_ignored};
static const ilki_weight_list vision_list = {"open_clip's vision tower", vision_rows,
                                             sizeof vision_rows / sizeof *vision_rows, vision_prefixes, vision_ignored};
static const ilki_weight_list *const text_lists[] = {&text_list, NULL};
static const ilki_weight_list *const linear_text_lists[] = {&linear_text_list, NULL};
static const ilki_weight_list *const vision_lists[] = {&vision_list, NULL};

extern const ilki_family ilki_family_openclip;
#define TEXT_SPEC(lists)                                                                                               \
    {                                                                                                                  \
        &ilki_family_openclip, text_fields, sizeof text_fields / sizeof *text_fields, lists, settle_text, finish       \
    }
static const ilki_encoder_spec text_spec = TEXT_SPEC(text_lists), linear_text_spec = TEXT_SPEC(linear_text_lists);
static const ilki_encoder_spec vision_spec = {
    &ilki_family_openclip, vision_fields, sizeof vision_fields / sizeof *vision_fields,
    vision_lists,          settle_vision, finish};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    static const ilki_dual_spec plain = {&ilki_family_openclip, &text_spec,
                                         &vision_spec,          "softmax",
                                         "model_cfg.text_cfg",  "model_cfg.vision_cfg"},
                                linear = {&ilki_family_openclip, &linear_text_spec,     &vision_spec, "softmax",
                                          "model_cfg.text_cfg",  "model_cfg.vision_cfg"};
    const ilki_json *j = src->config;
    ilki_json_node text = ilki_base_json_get(j, model_cfg(j), "text_cfg");
    bool biased = ilki_base_json_bool(j, ilki_base_json_get(j, text, "proj_bias"), false);
    ilk_status s = refuse(j, VISION, err); /* both before anything is read */
    *out = NULL;
    if (s == ILK_OK)
        s = refuse(j, TEXT, err);
    if (s == ILK_OK && ilki_base_json_type(j, ilki_base_json_get(j, model_cfg(j), "multimodal_cfg")) > ILKI_JSON_FALSE)
        s = ilki_base_fail(err, ILK_UNSUPPORTED,
                           "open_clip_config.json: multimodal_cfg: expected none, found one, as CoCa has it");
    if (s != ILK_OK)
        return s;
    return ilki_dual_open(out, biased ? &linear : &plain, src, err);
}

static const char *const model_types[] = {"open_clip", NULL};
const ilki_family ilki_family_openclip = {"open_clip", model_types, open_net, ilki_dual_close, ilki_dual_forward};
