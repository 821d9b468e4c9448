/* SPDX-License-Identifier: Apache-2.0
 * Where a collection lives: a row of backend.c. The engine reaches the local store only through it, so that a remote
 * engine (SQL, Milvus) is another row. Filters travel as the typed tree of ilk.h; what a backend cannot do it refuses
 * with UNSUPPORTED, naming what was asked, and says so in its capabilities beforehand. */
#ifndef ILKI_ENGINE_BACKEND_H
#define ILKI_ENGINE_BACKEND_H

#include "base/runtime.h"
#include "store/store.h"

typedef struct ilki_backend ilki_backend;

enum {
    ILKI_CAP_FILTER = 1,  /* every operator of ilk_filter */
    ILKI_CAP_EXACT = 2,   /* scores are those of the original vectors */
    ILKI_CAP_SOURCES = 4, /* keeps source files with items, in one batch */
    ILKI_CAP_SPARSE = 8,
    ILKI_CAP_MULTI = 16,
    ILKI_CAP_CHECK = 32,
    ILKI_CAP_READ_ONLY = 64 /* this one, as opened */
};

enum { ILKI_DEFAULT_K = 10, ILKI_MAX_K = 1000000 };

typedef struct ilki_found {
    float score; /* NaN where no vector was asked */
    ilki_record *record;
    const ilk_space *space; /* of fused answers: where it ranks best; left NULL by a backend */
} ilki_found;

/* Takes the n records that query i found; `found` is the backend's. */
typedef ilk_status (*ilki_found_fn)(void *user, size_t i, ilki_found *found, size_t n, ilk_error *err);

typedef struct ilki_backend_type {
    const char *name; /* "local" */
    ilk_status (*open)(ilki_backend **out, ilk_runtime *rt, const char *where, const ilk_store_options *opt,
                       ilk_error *err);
    void (*close)(ilki_backend *b);
    uint32_t (*capabilities)(const ilki_backend *b);
    ilk_status (*ensure)(ilki_backend *b, const ilk_space *space, ilk_error *err);
    /* the i-th space, borrowed until close; NOT_FOUND past the last */
    ilk_status (*space)(ilki_backend *b, size_t i, const ilk_space **space, ilk_error *err);
    ilk_status (*upsert)(ilki_backend *b, const ilki_batch *batch, ilk_job *job, ilk_error *err);
    ilk_status (*remove)(ilki_backend *b, const char *const *ids, size_t n, ilk_error *err);
    /* at most k (0: ILKI_DEFAULT_K) into found, *n_found of them; records are the caller's to free, without vectors.
       Without a vector: the first k items that pass the filter, in order of id, scores NaN */
    ilk_status (*query)(ilki_backend *b, const ilk_query *q, ilk_job *job, ilki_found *found, size_t *n_found,
                        ilk_error *err);
    /* Each of n_q as `query` answers it, in order, with work that they share done once; *at is the query that failed. NULL:
       there is none to share */
    ilk_status (*query_many)(ilki_backend *b, const ilk_query *q, size_t n_q, ilk_job *job, ilki_found_fn each,
                             void *user, size_t *at, ilk_error *err);
    ilk_status (*get)(ilki_backend *b, const char *id, bool vectors, ilki_record **out, ilk_error *err);
    /* at most `limit` records into out, *n of them, without vectors */
    ilk_status (*scan)(ilki_backend *b, const ilk_filter *filter, const char *after, size_t limit, ilki_record **out,
                       size_t *n, ilk_error *err);
    ilk_status (*count)(ilki_backend *b, const ilk_filter *filter, uint64_t *n, ilk_error *err);
} ilki_backend_type;

struct ilki_backend {
    const ilki_backend_type *type;
};

/* Row i, NULL past the last; the row of a name, NULL where unknown. */
const ilki_backend_type *ilki_engine_get_backend(size_t i);
const ilki_backend_type *ilki_engine_find_backend(const char *name);

/* The local row's store, for what no remote engine has (sources, check, info); NULL for other rows. */
ilki_store *ilki_engine_local_store(ilki_backend *b);

/* Checks a filter: operators, field names, value counts, at most 1000 nodes and 32 levels, finite numbers. */
ilk_status ilki_engine_check_filter(const ilk_filter *f, ilk_error *err);

#endif
