/* SPDX-License-Identifier: Apache-2.0
 * The model handle, and what the files of this room call of each other. */
#ifndef ILKI_EMBED_STATE_H
#define ILKI_EMBED_STATE_H

#include <pthread.h>

#include "embed/adapter.h"
#include "embed/embed.h"
#include "embed/modality.h"
#include "embed/modules.h"
#include "embed/packs.h"
#include "embed/projection.h"
#include "media/processor.h"

struct ilki_request;

#define ILKI_OPEN_CLIP_CONFIG "open_clip_config.json"

struct ilk_model {
    ilk_runtime *rt;
    ilki_arena arena;         /* strings of info, prompts and space */
    char *dir;                /* of config.json, weights and tokenizer */
    char *root;               /* of modules.json: dir, the folder around it, or the adapter's */
    const char *weights_path; /* one file, or the index of shards; NULL: the first that open.c finds */
    ilki_adapter *adapter;    /* merged into the weights; or NULL */
    char *adapter_config;     /* path of its file */
    bool apart;               /* its folder is not the checkpoint's */
    ilki_json *config;
    ilki_weights *weights;
    ilki_net *net;
    ilki_tokenizer *tokenizer;
    ilki_modules modules;
    ilki_projection *projection; /* the last but one of the modules; or NULL */
    ilk_model_info info;
    const char *config_name;     /* of the file that config is from */
    bool open_clip;              /* that is open_clip's, which tells the processor too */
    int text_tower, image_tower; /* of net; -1: none */
    bool own;                    /* vectors are the towers' own, not pooled by a module */
    int32_t pad_id;              /* of texts that are padded; they are where the tower says so */
    bool pad_left;
    ilki_image_spec image;      /* with an image_tower, and so the next */
    const char *processor;      /* the file it is from */
    float (*pixel_values)[256]; /* [3] */
    ilk_attention attention;    /* asked for or decided; AUTO: the kernels' own */
    ilk_job *job;               /* that it is being opened under */
    uint32_t batch_tokens;
    uint32_t pool_dim, dim; /* out of the pooling; out of the chain, truncate_dim not applied */
    bool no_mmap;
    ilk_packed_cache packed_cache;
    ilki_packs *packs;       /* mapped, or collecting while the model is opened; NULL: neither */
    char *packed_file;       /* of those that are mapped */
    const char *glance_name; /* what the glance was named with: the weights, where they were named; "" */
    bool exceeds;            /* the weights in f32 alone are more than the memory ceiling */
    bool streamed;           /* they are packed as a pass needs them */
    bool undecided;          /* precision AUTO was asked for, and none is cached: F32 if it fits */
    char glance[65];         /* of the folder before anything of it was read; see auto.h */
    enum { ILKI_SCORE_SIGMOID = 0, ILKI_SCORE_IDENTITY, ILKI_SCORE_UNKNOWN } score; /* of a reranker's logit */
    const char *score_name;                                                         /* the unknown one's */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t idle;
    char fingerprint[65]; /* "" until asked for */
    ilk_space space;
    struct ilki_request *first, *last; /* queue of ilk_submit */
    bool draining;
};

/* Whether there is a file of this name; and one that a checkpoint has its weights in. */
bool ilki_embed_has_file(const ilki_vfs *vfs, const char *dir, const char *name);
bool ilki_embed_has_weights(const ilki_vfs *vfs, const char *dir);

/* ---- results */

struct ilk_vectors {
    float *data; /* [n][dim], rows of failed inputs are zeros */
    size_t n, dim;
    struct ilki_vector_state {
        ilk_status status;
        const char *message; /* owned */
        size_t n_tokens, n_dropped;
        uint32_t fused; /* bits of the modalities whose vectors were added; 0: one vector alone */
    } * state;
};
ilk_status ilki_embed_vectors_new(ilk_vectors **out, size_t n, size_t dim, ilk_error *err);
void ilki_embed_vectors_free(ilk_vectors *v);
/* input i failed: its row becomes zeros, its status and message those of `from`. */
void ilki_embed_vectors_fail(ilk_vectors *v, size_t i, const ilk_error *from);

/* The first text of every pair. */
typedef struct ilki_pair_query {
    const char *text;
    size_t n;
} ilki_pair_query;

/* Checked, complete options: dim is what comes out. */
typedef struct ilki_embed_plan {
    size_t dim;
    bool cut, unit;   /* keep the first dim entries; end with unit length */
    float text_share; /* of a vector of text and pictures */
    bool strict;
    bool as_is;         /* pictures are not turned as their files say */
    bool quiet;         /* no progress: this is not the caller's thread, or the caller tells it */
    unsigned pooling;   /* ILKI_POOL_… instead of the checkpoint's, as wide as that; 0: its own */
    unsigned n_modules; /* of the chain, a final Normalize left out where the caller asks for -1 */
    const ilki_pair_query
        *query;               /* not NULL: rows are the one logit of head "classifier" for (query, input); dim is 1 */
    const uint32_t *query_of; /* which of several queries an input has; NULL: query[0] */
} ilki_embed_plan;
ilk_status ilki_embed_make_plan(const ilk_model *m, const ilk_embed_options *opt, ilki_embed_plan *plan,
                                ilk_error *err);

/* Inputs [0, n) into rows [0, n) of v. */
ilk_status ilki_embed_batch(ilk_model *m, const ilk_input *const *in, size_t n, const ilki_embed_plan *plan,
                            ilk_job *job, ilk_vectors *v, ilk_error *err);

/* Whether the model is a reranker that can answer so. */
ilk_status ilki_embed_check_rerank(const ilk_model *m, const ilk_rerank_options *opt, ilk_error *err);
/* Logits [first, first + n) of v become scores. */
void ilki_embed_make_scores(const ilk_model *m, const ilk_rerank_options *opt, ilk_vectors *v, size_t first, size_t n);

/* Which activation a reranker's scores take. */
ilk_status ilki_embed_read_score(ilk_model *m, ilk_error *err);

/* The fingerprint of an earlier model from the same files, by the glance at the folder. */
bool ilki_embed_recall_folder(const ilk_model *m, char hex[65]);

/* ---- tokens of one window of inputs: inputs.c */

typedef struct ilki_input_tokens {
    const int32_t *ids, *types;      /* types NULL: zeros */
    uint32_t n, n_dropped, n_prompt; /* n_prompt: tokens that pooling leaves out; n 0: no text, or none that is valid */
    uint32_t n_others;               /* parts that are no text */
    ilk_status status;
    const char *message; /* owned by the window's owner until freed; NULL where OK */
} ilki_input_tokens;

typedef struct ilki_window ilki_window;
/* Tokenises inputs [first, first + n) on the pool. Errors of single inputs are in their status. Of the plan: strict and
 * the queries. */
ilk_status ilki_embed_window_new(ilki_window **out, ilk_model *m, const ilk_input *const *in, size_t first, size_t n,
                                 const ilki_embed_plan *plan, ilk_job *job, ilk_error *err);
/* The parts of one side of a pair as one text: texts alone, no prompt, no instruction. Borrowed, or in buf. */
ilk_status ilki_embed_pair_text(const ilk_model *m, const ilk_input *in, ilki_buf *buf, const char **text, size_t *n,
                                ilk_error *err);
const ilki_input_tokens *ilki_embed_window_view(const ilki_window *w, size_t i);
void ilki_embed_window_free(ilki_window *w);

/* Part k of an input. */
const ilk_part *ilki_embed_part(const ilk_input *in, size_t k);

#endif
