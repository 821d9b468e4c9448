/* SPDX-License-Identifier: Apache-2.0
 * Two encoders of one space, a text and a picture: what CLIP, SigLIP and Chinese-CLIP share. Tower 0 is the text and tower
 * 1 the picture, or the one that the checkpoint has alone. For the family files of this room only. */
#ifndef ILKI_MODELS_DUAL_H
#define ILKI_MODELS_DUAL_H

#include "models/encoder.h"

typedef struct ilki_dual_spec {
    const ilki_family *family;
    const ilki_encoder_spec *text, *vision;
    const char *compare_by;                    /* "softmax", "sigmoid" */
    const char *text_section, *vision_section; /* of the config */
} ilki_dual_spec;

ilk_status ilki_dual_open(ilki_net **out, const ilki_dual_spec *spec, const ilki_model_source *src, ilk_error *err);
void ilki_dual_close(ilki_net *net);
ilk_status ilki_dual_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                             ilki_tower_out *out);

/* For settle: a tower of pictures. image_size and patch_size to c.n_positions, `n_own` rows before the patches. BAD_FORMAT
 * where a patch is larger than the picture. */
ilk_status ilki_dual_settle_picture(ilki_encoder *e, uint32_t n_own, ilk_error *err);
/* projection_dim: of the whole of config.json where it has the object `section`, else a tower's own; absent: 512. */
ilk_status ilki_dual_read_projection(ilki_encoder *e, const ilki_model_source *src, ilk_error *err);

/* Fields and rows that the families share. */
#define ILKI_DUAL_SIZE(text, member, usual, most)                                                                      \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_U32, .offset = offsetof(ilki_encoder_config, member), .otherwise = usual,     \
        .min = 1, .max = most                                                                                          \
    }
#define ILKI_DUAL_LAYERS(layer, norm1, norm2, o_name, fc1, fc2)                                                        \
    ILKI_ENCODER_NORM(layer norm1, ilki_encoder_layer, attn_norm),                                                     \
        ILKI_ENCODER_NORM(layer norm2, ilki_encoder_layer, mlp_norm),                                                  \
        ILKI_ENCODER_LINEAR(layer o_name, ilki_encoder_layer, o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),                  \
        ILKI_ENCODER_LINEAR(layer fc1, ilki_encoder_layer, in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN),                    \
        ILKI_ENCODER_LINEAR(layer fc2, ilki_encoder_layer, out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM)
#define ILKI_DUAL_NUMBER(text, member)                                                                                 \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_VECTOR, .name = text, .offset = offsetof(ilki_encoder, member), .cols = ILKI_ENCODER_ONE,  \
        .stored = ILKI_STORED_FLAT, .optional = true                                                                   \
    }
#define ILKI_DUAL_COMPARISON                                                                                           \
    ILKI_DUAL_NUMBER("/logit_scale", compare_scale), ILKI_DUAL_NUMBER("/logit_bias", compare_bias)
#define ILKI_DUAL_FIRST(text)                                                                                          \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_VECTOR, .name = text, .offset = offsetof(ilki_encoder, first), .cols = ILKI_ENCODER_DIM    \
    }
#define ILKI_DUAL_PATCH(text, has_bias)                                                                                \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder, patch), .cols = ILKI_ENCODER_PATCH, \
        .rows = {ILKI_ENCODER_DIM}, .bias = has_bias, .stored = ILKI_STORED_FLAT                                       \
    }
#define ILKI_DUAL_PROJECTION(text, has_bias, may_lack)                                                                 \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder, projection),                        \
        .cols = ILKI_ENCODER_DIM, .rows = {ILKI_ENCODER_PROJECTION}, .bias = has_bias, .optional = may_lack            \
    }

#endif
