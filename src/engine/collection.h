/* SPDX-License-Identifier: Apache-2.0
 * struct ilk_store: a backend with its place and name, and what the engine does with it. Arguments have been checked and
 * brought to the library's own struct sizes by api/. */
#ifndef ILKI_ENGINE_COLLECTION_H
#define ILKI_ENGINE_COLLECTION_H

#include "engine/backend.h"

struct ilk_store {
    ilk_runtime *rt;
    ilki_backend *backend;
    char *path; /* of the store's directory, without links */
    char *home; /* the directory that holds it: sources of root "" stand in it */
    char *name; /* of the collection, for hits */
};

ilk_status ilki_engine_open(ilk_store **out, ilk_runtime *rt, const char *path, const ilk_store_options *opt,
                            ilk_error *err);
void ilki_engine_close(ilk_store *s);

/* The space of a name, or of a model's fingerprint; MISMATCH where there is none. Borrowed from the store. */
ilk_status ilki_engine_space_by_name(ilk_store *s, const char *name, const ilk_space **out, ilk_error *err);
const ilk_space *ilki_engine_space_by_fingerprint(ilk_store *s, const char *hex);
/* MISMATCH where a model of this precision computes otherwise than the one that made the space: vectors of two precisions
 * are near each other, but no store mixes them. */
ilk_status ilki_engine_check_precision(const ilk_store *s, const ilk_space *space, ilk_precision precision,
                                       ilk_error *err);

/* ---- hits: collection.c, hits.c */
ilk_status ilki_engine_query(ilk_store *s, const ilk_query *q, size_t n_q, ilk_job *job, ilk_hits **out,
                             ilk_error *err);
ilk_status ilki_engine_get(ilk_store *s, const char *const *ids, size_t n, ilk_hits **out, ilk_error *err);
ilk_status ilki_engine_scan(ilk_store *s, const ilk_filter *filter, const char *after, size_t limit, ilk_hits **out,
                            ilk_error *err);
ilk_status ilki_engine_info(ilk_store *s, ilk_store_info *info, ilk_error *err);
ilk_status ilki_engine_check(ilk_store *s, bool repair, ilk_finding_fn found, void *user, ilk_job *job, ilk_error *err);

/* An empty result of n queries; `vectors`: its records will have them. */
ilk_status ilki_engine_hits_new(ilk_hits **out, size_t n_queries, bool vectors, ilk_error *err);

/* Makes the hits of query i from n found, whose records it takes, also on failure. `space` (NULL: none was searched)
 * gives score_kind and model. */
ilk_status ilki_engine_hits_set(ilk_hits *h, size_t i, const ilk_store *s, const ilk_space *space, ilki_found *found,
                                size_t n, ilk_error *err);
void ilki_engine_hits_free(ilk_hits *h);
size_t ilki_engine_hits_count(const ilk_hits *h, size_t query);
const ilk_hit *ilki_engine_hits_at(const ilk_hits *h, size_t query, size_t i); /* NULL where there is none */
/* UNSUPPORTED where the record was read without vectors */
ilk_status ilki_engine_hits_vector(const ilk_hits *h, size_t query, size_t i, const char *space, const ilk_vector **out,
                                   ilk_error *err);

/* ---- search.c */
ilk_status ilki_engine_search(ilk_store *s, ilk_model *m, const ilk_input *in, const ilk_query *q, ilk_job *job,
                              ilk_hits **out, ilk_error *err);
ilk_status ilki_engine_similar(ilk_store *s, const char *path_or_id, const ilk_query *q, ilk_job *job, ilk_hits **out,
                               ilk_error *err);

/* ---- ingest.c, prune.c */
ilk_status ilki_engine_ingest(ilk_store *s, ilk_model *const *models, size_t n_models, const char *const *paths,
                              size_t n_paths, const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result,
                              ilk_error *err);
ilk_status ilki_engine_prune(ilk_store *s, bool dry_run, ilk_event_fn event, void *user, ilk_job *job,
                             ilk_ingest_result *result, ilk_error *err);

/* ---- sources.c */
ilk_status ilki_engine_list_sources(ilk_store *s, ilk_source_fn fn, void *user, ilk_error *err);

/* What ilk_runtime_get_media_info tells. */
ilk_status ilki_engine_media_info(ilk_runtime *rt, ilk_media_info *info, ilk_error *err);

#endif
