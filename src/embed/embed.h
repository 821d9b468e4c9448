/* SPDX-License-Identifier: Apache-2.0
 * A model directory to vectors. struct ilk_model is this room's; the public ilk_model_… and ilk_embed… calls of ilk.h
 * are defined in api/ as argument checks before these. */
#ifndef ILKI_EMBED_EMBED_H
#define ILKI_EMBED_EMBED_H

#include "base/runtime.h"
#include "models/model.h"
#include "text/tokenizer.h"

ilk_status ilki_embed_open(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                           ilk_error *err);
/* The same; a job that stops ends the packing of weights. */
ilk_status ilki_embed_open_under(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                                 ilk_job *job, ilk_error *err);
/* In f32, whatever the options say, and kept packed only where that is under the memory ceiling: else a pass packs a layer
 * at a time. Such a model is slow and gives the same bits. */
ilk_status ilki_embed_open_reference(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                                     ilk_job *job, ilk_error *err);

/* What follows a precision's name where attention is in f32 although its kernels have bf16, or so it was asked for. */
#define ILKI_ATTENDS_F32 "+attention-f32"
void ilki_embed_close(ilk_model *m);

/* Where a model would be read from: an existing directory, or the Hugging Face cache; and what it is called: `where`, or
 * the id that a short name stands for. Both freed with free(). NOT_FOUND names the places looked at. */
ilk_status ilki_embed_resolve(const ilki_vfs *vfs, const char *where, char **dir, char **name, ilk_error *err);

/* "org/name[@revision]" in the Hugging Face cache, there or not. */
typedef struct ilki_model_id {
    char *id, *repo;      /* "org/name"; the cache's directory of it */
    const char *revision; /* borrowed from what was asked for; "main" */
    size_t n_hub;         /* the first bytes of repo are the cache's folder */
} ilki_model_id;
/* NOT_FOUND where it is no id, or no variable says where the cache is. */
ilk_status ilki_embed_cache_repo(const char *where, ilki_model_id *id, ilk_error *err);
void ilki_embed_free_id(ilki_model_id *id);

const ilk_model_info *ilki_embed_info(const ilk_model *m);
const ilki_tokenizer *ilki_embed_tokenizer(const ilk_model *m);
ilk_runtime *ilki_embed_runtime(const ilk_model *m);

/* OK where the model makes vectors of all these modalities (bits 1 << ilk_modality), else UNSUPPORTED. */
ilk_status ilki_embed_need(const ilk_model *m, uint32_t modalities, ilk_error *err);

/* The space its vectors belong to, borrowed from the model; asks for the fingerprint. name: "text", "image" if it sees. */
ilk_status ilki_embed_space(ilk_model *m, ilk_job *job, const ilk_space **space, ilk_error *err);
/* XDG_CACHE_HOME/ilk/NAME; NULL where no variable says where it is. Freed with free(). */
char *ilki_embed_cache_path(const char *name);
ilk_status ilki_embed_fingerprint(ilk_model *m, ilk_job *job, const char **hex, ilk_error *err);

/* Whether vectors of the model, whose fingerprint is `hex`, are comparable with those of the space: one made both, or a
 * projection leads the one into the space of the other, or both into the same. */
bool ilki_embed_joins(const ilk_model *m, const char *hex, const ilk_space *space);

/* Public semantics of ilk_embed; n_in may be any number: batches by token budget are made inside. */
ilk_status ilki_embed_run(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                          ilk_vectors **out, ilk_error *err);
ilk_status ilki_embed_submit(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                             ilk_error *err);
ilk_status ilki_embed_wait(ilk_job *job, ilk_vectors **out, ilk_error *err);

/* The one array of a .npy as rows: *out is [*rows][*dim], freed with free(). BAD_FORMAT where it has more dimensions than
 * two; NOT_FINITE. */
ilk_status ilki_embed_read_array(const ilki_vfs *vfs, const char *path, float **out, size_t *rows, size_t *dim,
                                 ilk_error *err);

/* Public semantics of ilk_rerank and ilk_submit_rerank; `quiet`: the caller tells progress. */
ilk_status ilki_embed_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                             const ilk_rerank_options *opt, bool quiet, ilk_job *job, float *scores, ilk_error *err);
ilk_status ilki_embed_submit_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                                    const ilk_rerank_options *opt, ilk_job *job, ilk_error *err);

/* Similarity of two vectors by the function that the checkpoint names; a larger one is nearer (distances are negated).
 * NOT_FINITE where a vector holds a NaN or infinity. */
ilk_status ilki_embed_similarity(const ilk_model *m, const float *a, const float *b, size_t dim, float *score,
                                 ilk_error *err);

#endif
