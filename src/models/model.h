/* SPDX-License-Identifier: Apache-2.0
 * The forward contract. A model is a list of towers; a tower turns flat ids or f32 rows of several sequences into what
 * was asked for. It is wide enough for vision-language models, sound and training; a family refuses (UNSUPPORTED, naming
 * the member) what it cannot do, and never ignores a member that is set. */
#ifndef ILKI_MODELS_MODEL_H
#define ILKI_MODELS_MODEL_H

#include "base/json.h"
#include "base/vfs.h"
#include "format/format.h"
#include "nn/nn.h"
#include "tensor/packfile.h"

typedef struct ilki_tower_span {
    size_t first, n; /* tokens of the flat batch */
    ilk_modality modality;
    uint32_t t, h, w;  /* grid, 0 where it has none */
    const float *rows; /* [n][dim] that replace the embedded tokens, or NULL */
} ilki_tower_span;

typedef struct ilki_layer_rows {
    uint32_t layer;     /* added to the stream after this layer (DeepStack) */
    const uint32_t *at; /* [n] flat token indices */
    const float *rows;  /* [n][dim] */
    size_t n;
} ilki_layer_rows;

typedef struct ilki_tower_in {
    size_t n_seqs, n_tokens;
    const uint32_t *offsets; /* [n_seqs + 1], first 0, last n_tokens; no sequence is empty */
    const int32_t *ids;      /* [n_tokens]; or NULL and: */
    const float *rows;       /* [n_tokens][row_dim]: patches, mel frames, IMU */
    size_t row_dim;
    const int32_t *types;     /* [n_tokens] token types, NULL: zeros */
    const int32_t *positions; /* [n_axes][n_tokens], NULL: prefix length + 0, 1, 2 … per sequence */
    unsigned n_axes;
    const uint32_t *groups;       /* [n_tokens], for layers with ILKI_MASK_GROUP */
    const uint32_t *prefix_len;   /* [n_seqs], for layers with ILKI_MASK_PREFIX; counts a cached prefix too */
    const ilki_kv *const *prefix; /* [n_seqs], entries may be NULL */
    const ilki_tower_span *spans;
    size_t n_spans;
    const ilki_layer_rows *layer_rows;
    size_t n_layer_rows;
} ilki_tower_in;

typedef struct ilki_logits {
    const char *head;       /* a head the family names: "classifier", "lm" */
    const int32_t *classes; /* [n_classes] rows of the head wanted, NULL: all */
    size_t n_classes;
    float *out; /* [n_seqs][n_classes] */
} ilki_logits;

/* What is wanted: every non-NULL member is filled. */
typedef struct ilki_tower_out {
    unsigned pooling;          /* ILKI_POOL_… (nn.h) or-ed */
    const uint32_t *pool_skip; /* [n_seqs] first tokens left out of pooling (a prompt), or NULL */
    float *pooled;             /* [n_seqs][dim * number of poolings] */
    const uint32_t *row_at;    /* [n_rows] flat indices */
    size_t n_rows;
    float *rows;         /* [n_rows][dim] of the last layer, after the final norm */
    float *tokens;       /* [n_tokens][dim], likewise */
    int32_t layer;       /* 0: the embeddings, k: after layer k; for: */
    float *layer_tokens; /* [n_tokens][dim] */
    ilki_logits *logits;
    size_t n_logits;
    ilki_kv **kv; /* [n_seqs], to be filled: caller's memory of the right shape, entries may be NULL */
    float *
        embedded; /* [n_seqs][embed_dim] what the family itself makes of a sequence: pooled, projected, not normalised */
} ilki_tower_out;

typedef struct ilki_tower_info {
    const char *name;    /* "text", "vision" */
    uint32_t modalities; /* bit 1 << ilk_modality */
    uint32_t dim, row_dim, n_layers, vocab_size;
    uint32_t max_tokens;   /* positions it has; 0: no bound, and then: */
    uint32_t usual_tokens; /* the length config.json states; more is possible. 0: it states none */
    ilki_attn attn;        /* of layer 0: shapes for an ilki_kv */
    uint32_t n_labels;     /* classes of the head "classifier"; 0: it has none */
    unsigned pooling;      /* the family's own, where no module says otherwise; 0: none */
    uint32_t embed_dim;    /* of `embedded`; 0: the family has no vector of its own */
    const char *embed_by;  /* how it pools, for people: "eos", "cls", "last", "probe" */
    uint32_t
        n_own_rows; /* first rows of a sequence that the tower makes itself (a class token): theirs come as zeros */
    uint32_t image_size, patch_size; /* of a tower that reads pictures as rows of patches [channel][y][x]; else 0 */
    int32_t pad_to, pad_id;          /* texts are padded to so many tokens, which are attended; 0: not at all */
} ilki_tower_info;

/* A checkpoint's files as a family sees them. */
typedef struct ilki_model_source {
    const char *dir;
    const ilki_json *config; /* config.json */
    ilki_weights *weights;   /* every tensor by name (format/format.h); outlives the net */
    const ilki_kern_ops *ops;
    ilki_pool *pool; /* for packing */
    ilk_job *job;
    ilki_form form;        /* of the layers' linears; heads are f32 in all */
    bool streamed;         /* those in f32 have no packed form: passes need a stream (nn/stream.h) */
    const ilk_runtime *rt; /* for warnings */
    /* mapped: packed forms of an earlier start, which outlive the net; CORRUPT where they are not its own. New: those that
     * are made are added. NULL: neither */
    ilki_packs *packs;
} ilki_model_source;

typedef struct ilki_net ilki_net; /* each family's own struct begins with one */

typedef struct ilki_family {
    const char *name;
    const char *const *model_types; /* of config.json, NULL-terminated */
    ilk_status (*open)(ilki_net **out, const ilki_model_source *src, ilk_error *err);
    void (*close)(ilki_net *net);
    /* a pass of tower `t`; with ctx->ws measuring it only counts. Called from several threads with a context each. */
    ilk_status (*forward)(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in, ilki_tower_out *out);
} ilki_family;

struct ilki_net {
    const ilki_family *family;
    unsigned n_towers;
    ilki_tower_info tower[4];
    uint64_t n_parameters;
    uint64_t memory_bytes; /* owned: packed weights and tables */
    const char *notes[8];  /* quirks that applied, NULL-terminated */
    /* of models that compare two towers: softmax or sigmoid of scale * cosine + bias; NULL: the family has none */
    const char *compare_by;
    float compare_scale, compare_bias;
};

/* Finds the family by config.json's model_type and opens it. UNSUPPORTED names the model_type and those that are built. */
ilk_status ilki_models_open(ilki_net **out, const ilki_model_source *src, ilk_error *err);
void ilki_models_close(ilki_net *net);

/* Checks `in` and `out` against the tower (offsets ascending, ids in range, finite rows, shapes) and runs the pass. */
ilk_status ilki_models_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                               ilki_tower_out *out);

/* Bytes of workspace such a pass needs. */
ilk_status ilki_models_measure(const ilki_net *net, unsigned t, const ilki_nn *ctx, const ilki_tower_in *in,
                               const ilki_tower_out *out, size_t *n_bytes, ilk_error *err);

#endif
