/* SPDX-License-Identifier: Apache-2.0
 * Plain texts, and files of pictures, into vectors, without progress of their own: a task tells its own. */
#ifndef ILKI_TASKS_TEXTS_H
#define ILKI_TASKS_TEXTS_H

#include "embed/state.h"

typedef struct ilki_text {
    const char *s;
    size_t n;
} ilki_text;

typedef struct ilki_texts_how {
    ilk_role role;
    const char *prompt; /* NULL: the role's */
    uint32_t dim;       /* 0: all */
    int normalize;      /* as in ilk_embed_options */
    ilk_part_kind kind; /* 0: text; pictures: ILK_PART_PATH (s ends with a NUL), ILK_PART_ENCODED or ILK_PART_PIXELS,
                           without role and prompt */
    uint32_t side;      /* of pixels, RGB [side][side][3] */
    unsigned pooling;   /* ILKI_POOL_… instead of the checkpoint's; 0: its own. Of one mode, behind which modules of
                           the same width stand */
} ilki_texts_how;

/* One vector a text; failures of single texts are in the result, but NO_MEMORY, which ends the call. */
ilk_status ilki_tasks_embed(ilk_model *m, const ilki_text *texts, size_t n, const ilki_texts_how *how, ilk_job *job,
                            ilk_vectors **out, ilk_error *err);

/* Scores of a query's documents by a reranker, before its activation: what is far apart stays so. */
ilk_status ilki_tasks_rerank(ilk_model *m, ilki_text query, const ilki_text *docs, size_t n, ilk_job *job,
                             float *scores, ilk_error *err);

#endif
