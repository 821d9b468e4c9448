/* SPDX-License-Identifier: Apache-2.0
 * What the files of the one loader of weights share (weights.c). Private to them. */
#ifndef ILKI_MODELS_LOADER_H
#define ILKI_MODELS_LOADER_H

#include <pthread.h>

#include "models/weights.h"

#define ILKI_WEIGHT_NAME 256 /* bytes of the longest name */

typedef struct ilki_pack_job {
    ilki_linear *to;    /* NULL: of a table */
    ilki_tensor *table; /* to be filled with codes and scales; NULL: none, as of a table that is read where it lies */
    int8_t *codes;
    float *scales;
    const ilki_pack *ready, *ready_scales; /* what was packed before: of a linear, or of a table codes and scales */
    size_t at;                             /* bytes into the block */
    ilki_form form;
    bool streamed; /* has no packed form */
    const ilki_tensor *weights[ILKI_WEIGHT_PARTS], *biases[ILKI_WEIGHT_PARTS];
    size_t n_parts;
} ilki_pack_job;

typedef struct ilki_loader {
    const ilki_weight_list *list;
    const ilki_model_source *src;
    ilki_weight_target *to;
    const char *wrap; /* what stands before every name, n_wrap bytes of it */
    size_t n_wrap;
    const char *prefix; /* of the list, behind that */
    bool *used;         /* per tensor of the set */
    ilki_pack_job *jobs;
    size_t n_jobs;
    bool ready;           /* packed forms are mapped from src->packs */
    unsigned char *block; /* of the packed forms, in the target's arena */
    size_t n_bytes;
    pthread_mutex_t lock; /* guards the rest */
    size_t failed;        /* the lowest job that failed; n_jobs: none */
    ilk_status status;
    ilk_error *err;
} ilki_loader;

/* ---- weights.c */

/* Where a row's member is, of that layer. */
void *ilki_models_weight_member(const ilki_loader *l, const ilki_weight *row, uint32_t layer);

/* ---- weight_names.c */

/* wrap + prefix + pattern with %u and %s filled in + suffix */
void ilki_models_weight_name(const ilki_loader *l, const ilki_weight *row, uint32_t layer, const char *part,
                             const char *suffix, char to[ILKI_WEIGHT_NAME]);
/* The tensor of that name, which counts as used; NULL: none. */
const ilki_tensor *ilki_models_weight_find(const ilki_loader *l, const ilki_weight *row, uint32_t layer,
                                           const char *part, const char *suffix);
/* Finds what stands before every name. BAD_FORMAT: it is unknown, or of two models. */
ilk_status ilki_models_choose_prefix(ilki_loader *l, ilk_error *err);
/* One warning of tensors that are neither used nor ignored. */
void ilki_models_warn_unused(const ilki_loader *l);

/* ---- weight_tables.c */

/* A job for a large TABLE, where layers are of 8 bits: of one that is to be coded the member then points to what the job
 * will fill. */
ilk_status ilki_models_code_rows(ilki_loader *l, const ilki_weight *row, uint32_t layer, ilk_error *err);
/* The job's codes and scales. From any thread. */
ilk_status ilki_models_code_table(const ilki_loader *l, const ilki_pack_job *job, ilk_error *err);

/* ---- weight_packs.c */

/* What was packed before of a job, where l->ready. Asked for in the order of jobs. CORRUPT: something else was. */
ilk_status ilki_models_find_packs(ilki_loader *l, ilki_pack_job *job, ilk_error *err);
/* Does all jobs, or takes what was packed before, and adds what was made to src->packs. */
ilk_status ilki_models_pack(ilki_loader *l, ilk_error *err);

#endif
