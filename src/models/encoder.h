/* SPDX-License-Identifier: Apache-2.0
 * Bidirectional text encoders of one stack: what differs between the families is a config, a weight list and a few
 * switches, told by a spec; encoder.c opens, runs and closes all of them. For the family files of this room only. */
#ifndef ILKI_MODELS_ENCODER_H
#define ILKI_MODELS_ENCODER_H

#include "models/config.h"
#include "models/model.h"
#include "models/weights.h"
#include "nn/layers.h"

typedef struct ilki_encoder_config {
    /* read from config.json by the family's fields */
    uint32_t vocab, dim, n_layers, n_heads, ffn, n_positions, n_types, pad;
    uint32_t act;      /* index of ilki_encoder_act_words */
    uint32_t position; /* index of ilki_encoder_position_words */
    float eps;
    bool decoder, cross, sinusoidal;
    uint32_t head_dim, n_experts, head_pool, head_act, n_buckets, every, window;
    uint32_t image, patch, channels, projection, eos;
    float theta[2];
    bool norm_bias, attn_bias, mlp_bias;
    /* settled by the family */
    bool pre_norm;      /* norms before attention and MLP, one behind the last layer */
    bool gated;         /* MLP of two halves multiplied */
    bool gate_second;   /* the second half is the activated one */
    bool rotary;        /* positions turn q and k; else rows of a table */
    bool pad_positions; /* pad + 1, pad + 2 ..., a pad token in the text standing still at pad */
    bool no_types;      /* the reference's tokenizer gives none: all are 0 */
    bool pooler_first;  /* head "classifier" reads what head "pooler" gives */
    uint32_t own;       /* ILKI_OWN_...: which row the family's own vector is made of */
    bool own_norm;      /* the last norm is of that row alone, not of all */
    uint32_t pad_to;    /* texts are padded with `pad` to so many tokens; 0: not at all */
    /* settled by open */
    uint32_t n_labels; /* of head "classifier" */
} ilki_encoder_config;

enum {
    ILKI_OWN_NONE = 0,
    ILKI_OWN_FIRST,
    ILKI_OWN_LAST,
    ILKI_OWN_EOS,     /* the first one whose id is c.eos, else the first */
    ILKI_OWN_LARGEST, /* the first one of the largest id */
    ILKI_OWN_PROBE    /* none: a learned query attends to all */
};

typedef struct ilki_encoder_layer {
    ilki_linear qkv;               /* [3 dim][dim] */
    ilki_linear o;                 /* [dim][dim] */
    ilki_linear in;                /* [ffn][dim]; gated: [2 ffn][dim] */
    ilki_linear out;               /* [dim][ffn] */
    ilki_norm attn_norm, mlp_norm; /* behind the sums, or with pre_norm before; w NULL: none */
    uint32_t kind;                 /* of ilki_encoder.attn and rope */
} ilki_encoder_layer;

typedef struct ilki_encoder {
    ilki_net net;
    ilki_encoder_config c;
    ilki_arena arena;
    const ilki_weight_list *weights;           /* the one that fits the checkpoint */
    const ilki_tensor *word, *position, *type; /* [vocab][dim], [n_positions][dim], [n_types][dim]; NULL: none */
    const ilki_tensor *bias;                   /* [n_buckets][n_heads] of relative positions, or NULL */
    ilki_norm norm, final_norm;
    ilki_encoder_layer *layers;
    ilki_linear pooler; /* [dim][dim]; n_out 0: the checkpoint has none */
    struct {
        unsigned pool; /* ILKI_POOL_CLS or _MEAN */
        ilki_linear dense;
        ilki_act act;
        ilki_norm norm; /* w NULL: none */
        ilki_linear out;
    } classifier;           /* out(norm(act(dense(pooled)))) */
    ilki_linear patch;      /* [dim][channels * patch * patch] of pictures; n_out 0: the tower reads ids */
    const float *first;     /* [dim] put before the patches, or NULL */
    ilki_linear projection; /* [projection][dim] of the family's own vector; n_out 0: none */
    struct {
        const float *query; /* [dim] */
        ilki_linear qkv;    /* [3 dim][dim]: q of the query, k and v of the rows */
        ilki_linear o, in, out;
        ilki_norm norm;
    } probe;                                   /* h = attention; out(act(in(norm(h)))) + h */
    const float *compare_scale, *compare_bias; /* [1] logit_scale and logit_bias of two towers, or NULL */
    ilki_attn attn[2];
    ilki_rope rope[2];
} ilki_encoder;

/* Sizes of weight lists. */
enum {
    ILKI_ENCODER_VOCAB = 1,
    ILKI_ENCODER_POSITIONS,
    ILKI_ENCODER_TYPES,
    ILKI_ENCODER_DIM,
    ILKI_ENCODER_DIM3,
    ILKI_ENCODER_FFN,
    ILKI_ENCODER_FFN2,
    ILKI_ENCODER_HEADS,
    ILKI_ENCODER_BUCKETS,
    ILKI_ENCODER_LABELS,
    ILKI_ENCODER_PATCH,
    ILKI_ENCODER_PROJECTION,
    ILKI_ENCODER_ONE,
    ILKI_ENCODER_N_DIMS
};

/* Fields and rows of the families' tables. */
#define ILKI_ENCODER_SIZE(text, member, most)                                                                          \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_U32, .offset = offsetof(ilki_encoder_config, member), .required = true,       \
        .min = 1, .max = most                                                                                          \
    }
#define ILKI_ENCODER_U32(text, member, usual, most)                                                                    \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_U32, .offset = offsetof(ilki_encoder_config, member), .otherwise = usual,     \
        .max = most                                                                                                    \
    }
#define ILKI_ENCODER_FLOAT(text, member, usual, most)                                                                  \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_FLOAT, .offset = offsetof(ilki_encoder_config, member), .otherwise = usual,   \
        .max = most                                                                                                    \
    }
#define ILKI_ENCODER_BOOL(text, member)                                                                                \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_BOOL, .offset = offsetof(ilki_encoder_config, member)                         \
    }
#define ILKI_ENCODER_WORD(text, member, usual, list)                                                                   \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_WORD, .offset = offsetof(ilki_encoder_config, member), .otherwise = usual,    \
        .words = list                                                                                                  \
    }
#define ILKI_ENCODER_TABLE(text, member, n)                                                                            \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_TABLE, .name = text, .offset = offsetof(ilki_encoder, member), .cols = ILKI_ENCODER_DIM,   \
        .rows = {                                                                                                      \
            n                                                                                                          \
        }                                                                                                              \
    }
#define ILKI_ENCODER_NORM(text, type, member)                                                                          \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_NORM, .name = text, .offset = offsetof(type, member), .cols = ILKI_ENCODER_DIM             \
    }
#define ILKI_ENCODER_LINEAR(text, type, member, n_in, n_out)                                                           \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(type, member), .cols = n_in, .rows = { n_out }    \
    }
#define ILKI_ENCODER_HEAD(text, member, n_out)                                                                         \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder, member), .cols = ILKI_ENCODER_DIM,  \
        .rows = {n_out}, .optional = true                                                                              \
    }
#define ILKI_ENCODER_QKV(text, q, k, v)                                                                                \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(ilki_encoder_layer, qkv),                         \
        .cols = ILKI_ENCODER_DIM, .rows = {ILKI_ENCODER_DIM, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM}, .parts = {           \
            q,                                                                                                         \
            k,                                                                                                         \
            v                                                                                                          \
        }                                                                                                              \
    }

/* Activations as transformers names them, NULL-terminated, and the word list of "absolute" positions alone. */
extern const char *const ilki_encoder_act_words[];
extern const char *const ilki_encoder_position_words[];
ilki_act ilki_encoder_act(uint32_t word);

typedef struct ilki_encoder_spec {
    const ilki_family *family;
    const ilki_config_field *fields; /* into ilki_encoder_config */
    size_t n_fields;
    const ilki_weight_list *const *lists; /* NULL-terminated: the first that fits */
    /* sets the switches, layers' kinds, windows; refuses what the family has and this one has not */
    ilk_status (*settle)(ilki_encoder *e, const ilki_model_source *src, ilk_error *err);
    /* what needs weights, or NULL */
    ilk_status (*finish)(ilki_encoder *e, const ilki_model_source *src, ilk_error *err);
} ilki_encoder_spec;

ilk_status ilki_encoder_open(ilki_net **out, const ilki_encoder_spec *spec, const ilki_model_source *src,
                             ilk_error *err);
/* The same for one tower of several. */
typedef struct ilki_encoder_place {
    const char *tower; /* "text", "vision" */
    const char
        *section; /* the object of config.json that holds the fields; the whole where there is none of this name */
} ilki_encoder_place;
ilk_status ilki_encoder_open_tower(ilki_net **out, const ilki_encoder_spec *spec, const ilki_encoder_place *place,
                                   const ilki_model_source *src, ilk_error *err);
void ilki_encoder_close(ilki_net *net);
ilk_status ilki_encoder_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                                ilki_tower_out *out);

/* rope_theta of an object of rope parameters (0: absent) into *theta, which keeps its value where there is none.
 * UNSUPPORTED: a rope_type other than "default". `key` stands in messages. */
ilk_status ilki_encoder_read_rope(const ilki_json *j, ilki_json_node rope, const char *key, float *theta,
                                  ilk_error *err);
/* The family's own vector [n_seqs][embed_dim] of the stream's rows: of all of them, or with `kept` of those alone that
 * ilki_encoder_own_rows names. own.c */
void ilki_encoder_own(ilki_nn *ctx, const ilki_encoder *e, const ilki_tower_in *in, const float *x, bool kept,
                      float *out);
/* at[i]: the flat row of sequence i that its own vector is made of. */
void ilki_encoder_own_rows(const ilki_encoder *e, const ilki_tower_in *in, uint32_t *at);

/* UNSUPPORTED where a key of config.json is there and neither null nor false: "expected none". */
ilk_status ilki_encoder_refuse(const ilki_model_source *src, const char *const *keys, ilk_error *err);

#endif
