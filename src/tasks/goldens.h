/* SPDX-License-Identifier: Apache-2.0
 * The golden values of embed/known.def as a table, and the texts that they are of. */
#ifndef ILKI_TASKS_GOLDENS_H
#define ILKI_TASKS_GOLDENS_H

#include "base/vfs.h"
#include "embed/embed.h"

/* A picture that does not travel with ilk: whoever has it puts it into a folder, under this name or another. */
typedef struct ilki_golden_picture {
    const char *name, *where; /* of the file; whence it is */
    const char *sha256;       /* 64 hex digits */
} ilki_golden_picture;

/* What published values are of. */
typedef struct ilki_golden_set {
    const char *const *texts;
    size_t n;                           /* at most ILKI_GOLDEN_TEXTS */
    const ilki_golden_picture *picture; /* the values are of it, the texts are its labels; NULL: of the texts */
} ilki_golden_set;
#define ILKI_GOLDEN_TEXTS 5

typedef enum ilki_golden_kind {
    ILKI_GOLDEN_SIMILARITY, /* the model's similarity of the first text, as a query, to each other one, as a document */
    ILKI_GOLDEN_SCORE,      /* a reranker's scores of the same */
    ILKI_GOLDEN_COSINE,     /* cosines of all pairs, in order, without prompts */
    ILKI_GOLDEN_ENTRIES,    /* the first entries of the vector of the picture or the first text, without prompt, at unit
                               length */
    ILKI_GOLDEN_LOGIT,      /* the picture's score against each text: compare_scale * cosine + compare_bias */
    ILKI_GOLDEN_PROB        /* what compare_by makes of those */
} ilki_golden_kind;

#define ILKI_GOLDEN_VALUES 8
typedef struct ilki_golden_row {
    const char *id;
    const ilki_golden_set *set;
    ilki_golden_kind kind;
    double tolerance; /* at f32, of a value of 1 or less; more in proportion to a larger one */
    const char *source;
    size_t n;
    double v[ILKI_GOLDEN_VALUES];
} ilki_golden_row;

/* The i-th row, NULL past the last. */
const ilki_golden_row *ilki_tasks_golden_at(size_t i);

/* The picture's bytes, from the file of its name in `dir`, else from any there; its hash decides. Freed with free().
 * NOT_FOUND where no file is it. */
ilk_status ilki_tasks_find_picture(const ilki_vfs *vfs, const char *dir, const ilki_golden_picture *picture,
                                   char **data, size_t *n, ilk_error *err);

/* As ilki_tasks_known, with the rows of another table: `id` says which of them. */
ilk_status ilki_tasks_run_goldens(ilk_model *m, const ilk_verify_options *opt, const ilki_golden_row *rows, size_t n,
                                  const char *id, ilk_job *job, ilk_golden_result *result, ilk_error *err);

#endif
