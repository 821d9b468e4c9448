/* SPDX-License-Identifier: Apache-2.0
 * ids and vectors to neighbours, on memory alone: no store, no model. A label is a caller's 64-bit number.
 *
 * An index type is a row in index.c. The flat index keeps int8 codes with a scale per row and walks them all; the caller
 * reranks its candidates with exact vectors through a callback. Searching is safe from several threads while nobody
 * changes the index. */
#ifndef ILKI_INDEX_INDEX_H
#define ILKI_INDEX_INDEX_H

#include "base/runtime.h"
#include "kern/ops.h"

typedef struct ilki_index ilki_index;

typedef struct ilki_index_spec {
    const char *type; /* "flat" */
    uint32_t dim;
    ilk_metric metric;
    const ilki_kern_ops *ops;
    ilki_pool *pool; /* may be NULL */
} ilki_index_spec;

typedef struct ilki_candidate {
    uint64_t label;
    float score; /* larger is nearer: cosine, dot or negative squared-root distance */
} ilki_candidate;

typedef struct ilki_index_query {
    const float *vector;     /* [dim], finite */
    size_t k;                /* results */
    size_t n_candidates;     /* from the coarse pass, >= k */
    const uint64_t *allowed; /* ascending labels, or NULL: all */
    size_t n_allowed;
    /* exact vector of a label into to[dim]; a failure ends the search. NULL: coarse scores are returned. Called from the
       calling thread only */
    ilk_status (*fetch)(void *user, uint64_t label, float *to, ilk_error *err);
    void *fetch_user;
    const ilki_candidate *given; /* [n_given] by `candidates`; NULL: the search finds them */
    size_t n_given;
} ilki_index_query;

typedef struct ilki_index_type {
    const char *name;
    ilk_status (*new_)(ilki_index **out, const ilki_index_spec *spec, ilk_error *err);
    void (*free)(ilki_index *ix);
    ilk_status (*add)(ilki_index *ix, uint64_t label, const float *v, ilk_error *err); /* labels ascend */
    void (*remove)(ilki_index *ix, uint64_t label);                                    /* unknown: nothing */
    size_t (*count)(const ilki_index *ix);
    /* at most q->k into out, by score descending, ties by label ascending; *n how many */
    ilk_status (*search)(const ilki_index *ix, const ilki_index_query *q, ilk_job *job, ilki_candidate *out, size_t *n,
                         ilk_error *err);
    /* The coarse pass of several queries that share n_candidates and allowed, in one walk: query i's are
       to[i * n_candidates], n[i] of them. A search that is given them finds what it would have found without. */
    ilk_status (*candidates)(const ilki_index *ix, const ilki_index_query *q, size_t n_q, ilk_job *job,
                             ilki_candidate *to, size_t *n, ilk_error *err);
    /* `upto`: the LSN the index has seen, kept with it. Header with feature bits and checksums (CRC32C per 64 KiB); load
       maps the codes and refuses (CORRUPT, MISMATCH) what does not fit spec; the caller then rebuilds */
    ilk_status (*save)(const ilki_index *ix, const ilki_vfs *vfs, const char *path, uint64_t upto, ilk_error *err);
    ilk_status (*load)(ilki_index **out, const ilki_index_spec *spec, const ilki_vfs *vfs, const char *path,
                       bool no_mmap, uint64_t *upto, ilk_error *err);
    ilk_status (*check)(const ilki_index *ix, ilk_error *err);
} ilki_index_type;

struct ilki_index {
    const ilki_index_type *type;
};

const ilki_index_type *ilki_index_find_type(const char *name); /* NULL where unknown */

/* Exact score of two vectors by metric, double accumulation, the same bits on every thread count. */
float ilki_index_score(ilk_metric metric, const float *a, const float *b, size_t dim);

#endif
