/* SPDX-License-Identifier: Apache-2.0
 * Judgements, runs and what trec_eval makes of them. */
#ifndef ILKI_TASKS_TREC_H
#define ILKI_TASKS_TREC_H

#include "tasks/lines.h"

typedef struct ilki_judgement {
    uint32_t query, doc; /* numbers of `queries`, `docs` */
    int32_t grade;       /* 1 and more: relevant; its own gain */
} ilki_judgement;

typedef struct ilki_judgements {
    ilki_ids queries, docs;
    ilki_judgement *list; /* by query, then document */
    size_t n, cap;
} ilki_judgements;

/* One document of a run. */
typedef struct ilki_ranked {
    uint32_t doc; /* number of the run's `docs` */
    float score;
} ilki_ranked;

/* A ranking per query: ranked[first[q], first[q + 1]). Best first once it was sorted. */
typedef struct ilki_ranking {
    ilki_ids queries, docs;
    ilki_ranked *ranked;
    size_t *first; /* [queries.n + 1] */
    size_t n;
} ilki_ranking;

/* Judgements of a file: "query TAB document TAB grade" (BEIR, a line of names on top is passed over) or "query 0 document
 * grade" (TREC). A pair that was judged before is junk. */
ilk_status ilki_tasks_read_judgements(ilki_judgements *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                      ilk_error *err);
void ilki_tasks_judgements_deinit(ilki_judgements *j);

/* A run of TREC: "query Q0 document rank score tag". The rank is not looked at: the score, rounded to f32, decides. A
 * document that a query has already, and a score that is no finite number, are junk. Sorted. */
ilk_status ilki_tasks_read_run(ilki_ranking *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                               ilk_error *err);
/* Writes a sorted run. BAD_ARGUMENT where an id holds white space, since the format has no quotes. */
ilk_status ilki_tasks_write_run(const ilki_ranking *r, const ilki_vfs *vfs, const char *path, const char *tag,
                                ilk_error *err);
void ilki_tasks_ranking_deinit(ilki_ranking *r);

/* trec_eval's order: score descending, equal scores by id descending (bytes). */
bool ilki_tasks_before(const ilki_ids *docs, ilki_ranked a, ilki_ranked b);
void ilki_tasks_sort(const ilki_ids *docs, ilki_ranked *list, size_t n);

/* The measures of one query: `list` is sorted, `judged` are all judgements of the query, by document. cuts are set by
 * the caller; the rest is filled. */
void ilki_tasks_measure(const ilki_ids *run_docs, const ilki_ranked *list, size_t n, const ilki_judgements *j,
                        const ilki_judgement *judged, size_t n_judged, ilk_eval_scores *to);

/* All queries that are judged and in the run; with `complete` all that are judged, a query without a ranking counting
 * as an empty one. Means over them into result->mean, each query to `each` (may be NULL) in the order of judgements. */
void ilki_tasks_evaluate(const ilki_ranking *r, const ilki_judgements *j, bool complete, ilk_eval_scores_fn each,
                         void *user, ilk_eval_result *result);

#endif
