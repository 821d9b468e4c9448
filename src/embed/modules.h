/* SPDX-License-Identifier: Apache-2.0
 * What surrounds the network in a sentence-transformers folder: the chain of modules, prompts, length, similarity. */
#ifndef ILKI_EMBED_MODULES_H
#define ILKI_EMBED_MODULES_H

#include "base/json.h"
#include "base/vfs.h"
#include "format/format.h"
#include "models/model.h"
#include "tensor/linear.h"

#define ILKI_EMBED_MODULES 8
#define ILKI_EMBED_FILES   32

typedef enum ilki_module_kind { ILKI_MODULE_DENSE = 1, ILKI_MODULE_NORMALIZE } ilki_module_kind;

/* What comes behind the pooling, in order. */
typedef struct ilki_module {
    ilki_module_kind kind;
    ilki_linear dense;
    ilki_act act;
    ilki_weights *weights; /* of a dense module */
} ilki_module;

typedef struct ilki_prompt {
    const char *name, *text;
} ilki_prompt;

typedef struct ilki_modules {
    bool own;         /* set before reading: the network's vectors are its own, so there is no Pooling module */
    unsigned pooling; /* ILKI_POOL_… or-ed; 0: no Pooling module */
    bool skip_prompt; /* include_prompt false: tokens of the prompt are not pooled */
    ilki_module list[ILKI_EMBED_MODULES];
    unsigned n;
    uint32_t max_seq_length; /* of sentence_bert_config.json; 0: it does not say */
    uint32_t truncate_dim;   /* 0: none */
    const ilki_prompt *prompts;
    size_t n_prompts;
    const char *default_prompt; /* text, or NULL */
    const char *prompt_query, *prompt_document;
    const char *similarity; /* "cosine", … */
    bool lower_case;        /* do_lower_case of sentence_bert_config.json */
    bool cross_encoder;     /* config_sentence_transformers.json says it was saved as one */
    const char *activation; /* of its scores, as that file names it, or NULL */
    /* files that decide a vector, relative to the folder; for the fingerprint */
    const char *files[ILKI_EMBED_FILES];
    unsigned n_files;
} ilki_modules;

/* Reads modules.json and what it names. Without one: mean pooling alone, as the reference has it. `pool_dim` is the
 * network's dimension. Strings live in `arena`. */
ilk_status ilki_embed_read_modules(ilki_modules *m, const ilki_vfs *vfs, const char *dir, const ilki_kern_ops *ops,
                                   uint32_t pool_dim, ilki_arena *arena, ilk_error *err);
void ilki_embed_free_modules(ilki_modules *m);

/* Dimension behind the whole chain, truncate_dim not applied. */
uint32_t ilki_embed_modules_dim(const ilki_modules *m, uint32_t pool_dim);

/* A Dense module of folder `dir`, whose config.json is `j`; `file` is what messages call that. `dim` comes in. */
ilk_status ilki_embed_read_dense(ilki_module *to, const ilki_vfs *vfs, const char *dir, const char *file,
                                 const ilki_json *j, const ilki_kern_ops *ops, uint32_t dim, ilk_error *err);
/* The name of its weights' file. */
const char *ilki_embed_dense_file(const ilki_vfs *vfs, const char *dir);

/* "mean", "cls+max", …; into `to`. */
void ilki_embed_pooling_name(unsigned pooling, char *to, size_t n_bytes);

/* Reads and parses `dir`/`name`; *out NULL where there is no such file and it need not be. */
ilk_status ilki_embed_read_json(ilki_json **out, const ilki_vfs *vfs, const char *dir, const char *name, bool required,
                                ilk_error *err);

#endif
