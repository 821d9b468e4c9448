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
ilk_status ilki_engine_check_precision(const ilk_store *s, const ilk_space *space, const char *precision,
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

/* What one question found. `space` (NULL: none was searched) is whose vectors were compared, unless an element of
 * `found` names its own. */
typedef struct ilki_answer {
    ilk_score_kind kind;
    const ilk_space *space;
    ilki_found *found;
    size_t n;
} ilki_answer;
ilk_score_kind ilki_engine_score_kind(const ilk_space *space); /* NULL: ILK_SCORE_NONE */

/* Makes the hits of query i from an answer, whose records it takes, also on failure. */
ilk_status ilki_engine_hits_set(ilk_hits *h, size_t i, const ilk_store *s, const ilki_answer *a, ilk_error *err);
void ilki_engine_hits_free(ilk_hits *h);
size_t ilki_engine_hits_count(const ilk_hits *h, size_t query);
const ilk_hit *ilki_engine_hits_at(const ilk_hits *h, size_t query, size_t i); /* NULL where there is none */
/* UNSUPPORTED where the record was read without vectors */
ilk_status ilki_engine_hits_vector(const ilk_hits *h, size_t query, size_t i, const char *space, const ilk_vector **out,
                                   ilk_error *err);

/* ---- search.c, compose.c, fusion.c */
typedef struct ilki_models {
    ilk_model *const *list;
    size_t n;
} ilki_models;

ilk_status ilki_engine_ask(ilk_store *s, ilki_models models, const ilk_question *question, const ilk_query *q,
                           ilk_job *job, ilk_hits **out, ilk_error *err);

/* One vector of the question's terms: their unit vectors times their weights, added, at unit length; of a single term of
 * a weight above 0 the vector itself. `*vector`: as many floats as the model's dimension, freed with free(). */
ilk_status ilki_engine_compose(ilk_model *m, const ilk_question *question, ilk_job *job, float **vector,
                               ilk_error *err);

/* Merges lists by the ranks in them into at most k found, best first; takes all records, also on failure. */
ilk_status ilki_engine_fuse(const ilki_answer *lists, size_t n_lists, size_t k, ilki_found *out, size_t *n_out,
                            ilk_error *err);

/* ---- similar.c */
ilk_status ilki_engine_similar(ilk_store *s, const char *path_or_id, const ilk_query *q, ilk_job *job, ilk_hits **out,
                               ilk_error *err);

/* ---- ingest.c, prune.c */
ilk_status ilki_engine_ingest(ilk_store *s, ilk_model *const *models, size_t n_models, const char *const *paths,
                              size_t n_paths, const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result,
                              ilk_error *err);
ilk_status ilki_engine_prune(ilk_store *s, bool dry_run, ilk_event_fn event, void *user, ilk_job *job,
                             ilk_ingest_result *result, ilk_error *err);

/* ---- document.c */
ilk_status ilki_engine_probe(const char *name, const void *head, size_t n, ilk_file_info *info, ilk_error *err);
ilk_status ilki_engine_document_open(ilk_document **out, ilk_runtime *rt, ilk_model *m, const char *path,
                                     const ilk_document_options *opt, ilk_job *job, ilk_error *err);
void ilki_engine_document_close(ilk_document *d);
void ilki_engine_document_info(const ilk_document *d, ilk_document_info *info);
const ilk_passage *ilki_engine_document_passage(const ilk_document *d, size_t i); /* NULL past the last */

/* ---- thumbs.c */
struct ilk_thumbnails {
    ilk_thumbnail *list; /* data and messages owned */
    size_t n;
};
ilk_status ilki_engine_thumbnails(ilk_store *s, const char *const *paths, size_t n, const ilk_thumbnail_options *opt,
                                  ilk_job *job, ilk_thumbnails **out, ilk_error *err);
void ilki_engine_thumbnails_free(ilk_thumbnails *t);

/* ---- sources.c */
ilk_status ilki_engine_list_sources(ilk_store *s, ilk_source_fn fn, void *user, ilk_error *err);

/* What ilk_runtime_get_media_info tells. */
ilk_status ilki_engine_media_info(ilk_runtime *rt, ilk_media_info *info, ilk_error *err);

#endif
