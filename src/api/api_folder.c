/* SPDX-License-Identifier: Apache-2.0
 * ilk_ingest, ilk_prune, ilk_ask, ilk_search, ilk_similar: argument checks before room engine. */
#include <math.h>

#include "api/sized.h"
#include "api/take.h"
#include "engine/collection.h"

enum { MAX_MODELS = 32 }; /* of an ingest: a bit each */

void ilk_ingest_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_from(opt, size, &ilki_api_ingest_options, sizeof ilki_api_ingest_options);
}

void ilk_ingest_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

static ilk_status check_store(const ilk_store *s, const char *call, ilk_error *err)
{
    if (!s)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: store is NULL", call);
    return ilki_base_runtime_check(s->rt, err);
}

static ilk_status check_ingest(ilk_model *const *models, size_t n_models, const char *const *paths, size_t n_paths,
                               const ilk_ingest_options *o, ilk_error *err)
{
    if ((n_models == 0 || !models) && !(o->dry_run && n_models == 0))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: expected a model, found none");
    if (n_models > MAX_MODELS)
        return ilki_base_fail(err, ILK_LIMIT, "ilk_ingest: expected at most %d models, found %zu", MAX_MODELS,
                              n_models);
    for (size_t i = 0; i < n_models; i++)
        if (!models[i])
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: model %zu is NULL", i);
    if (n_paths == 0 || !paths)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: expected a path, found none");
    for (size_t i = 0; i < n_paths; i++)
        if (!paths[i] || !*paths[i])
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: path %zu is empty", i);
    if (o->n_exclude && !o->exclude)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: exclude is NULL for %zu globs", o->n_exclude);
    for (size_t i = 0; i < o->n_exclude; i++)
        if (!o->exclude[i])
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ingest: glob %zu is NULL", i);
    return ILK_OK;
}

/* *result gets what was done, also where the call fails; a NULL one is fine. */
static ilk_status give_result(ilk_ingest_result *result, const ilk_ingest_result *own, ilk_error *err)
{
    return result ? ilki_api_give_sized(result, own, sizeof *own, "ingest result", err) : ILK_OK;
}

ilk_status ilk_ingest(ilk_store *s, ilk_model *const *models, size_t n_models, const char *const *paths, size_t n_paths,
                      const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result, ilk_error *err)
{
    ilk_ingest_options o = ilki_api_ingest_options;
    ilk_ingest_result own = {.size = sizeof own};
    ilk_status st = ilki_base_take_options(&o, sizeof o, opt, "ingest options", err);
    bool planned = !st && !s && o.dry_run;
    if (planned && (!o.runtime || !o.where || o.where[0] != '/'))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT,
                            "ilk_ingest: a dry run without a store wants a runtime and an absolute path in `where`");
    if (!st)
        st = planned ? ilki_base_runtime_check(o.runtime, err) : check_store(s, "ilk_ingest", err);
    if (!st)
        st = check_ingest(models, n_models, paths, n_paths, &o, err);
    if (!st)
        st = give_result(result, &own, err); /* before the work, not after it */
    if (st)
        return st;
    st = ilki_engine_ingest(s, models, n_models, paths, n_paths, &o, job, &own, err);
    give_result(result, &own, NULL);
    return st;
}

ilk_status ilk_prune(ilk_store *s, int dry_run, ilk_event_fn event, void *user, ilk_job *job, ilk_ingest_result *result,
                     ilk_error *err)
{
    ilk_ingest_result own = {.size = sizeof own};
    ilk_status st = check_store(s, "ilk_prune", err);
    if (!st)
        st = give_result(result, &own, err);
    if (st)
        return st;
    st = ilki_engine_prune(s, dry_run != 0, event, user, job, &own, err);
    give_result(result, &own, NULL);
    return st;
}

void ilk_question_init_sized(void *question, size_t size)
{
    ilki_api_init_sized(question, size);
}

static ilk_status check_terms(const ilk_question *q, ilk_error *err)
{
    if (q->n_terms == 0 || !q->terms)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "question: expected a term, found none");
    if (q->terms->size < sizeof *q->terms || q->terms->size > 65536)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "question: terms: size is %zu: call ilk_input_init first",
                              q->terms->size);
    for (size_t i = 0; i < q->n_terms; i++) {
        const ilk_input *in = (const ilk_input *)(const void *)((const char *)q->terms + i * q->terms->size);
        if (in->n_parts == 0 || !in->parts || in->parts->size < sizeof *in->parts || in->parts->size > 65536)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                                  "question: term %zu: expected a part that ilk_part_init was called for", i + 1);
        if (q->weights && (!isfinite(q->weights[i]) || q->weights[i] == 0))
            return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                                  "question: term %zu: expected a finite weight other than 0, found %g", i + 1,
                                  (double)q->weights[i]);
    }
    if ((int)q->modality < 0 || q->modality > ILK_IMU)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "question: unknown modality %d", (int)q->modality);
    return ILK_OK;
}

ilk_status ilk_ask(ilk_store *s, ilk_model *const *models, size_t n_models, const ilk_question *question,
                   const ilk_query *q, ilk_job *job, ilk_hits **out, ilk_error *err)
{
    ilki_arena arena = {0};
    ilk_query *own = NULL;
    ilk_question asked = {.size = sizeof asked};
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ask: out is NULL");
    *out = NULL;
    ilk_status st = check_store(s, "ilk_ask", err);
    if (!st && (n_models == 0 || !models || !question))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ask: expected %s", question ? "a model" : "a question");
    for (size_t i = 0; !st && i < n_models; i++)
        if (!models[i])
            st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_ask: model %zu is NULL", i);
    if (!st)
        st = ilki_base_take_options(&asked, sizeof asked, question, "question", err);
    if (!st)
        st = check_terms(&asked, err);
    if (!st)
        st = ilki_api_take_queries(&arena, q, 1, true, &own, err);
    if (!st)
        st = ilki_engine_ask(s, (ilki_models){models, n_models}, &asked, own, job, out, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

ilk_status ilk_search(ilk_store *s, ilk_model *m, const ilk_input *in, const ilk_query *q, ilk_job *job, ilk_hits **out,
                      ilk_error *err)
{
    ilk_question one = {.size = sizeof one, .terms = in, .n_terms = in != NULL};
    return ilk_ask(s, &m, m != NULL, &one, q, job, out, err);
}

ilk_status ilk_similar(ilk_store *s, const char *path_or_id, const ilk_query *q, ilk_job *job, ilk_hits **out,
                       ilk_error *err)
{
    ilki_arena arena = {0};
    ilk_query *own = NULL;
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_similar: out is NULL");
    *out = NULL;
    ilk_status st = check_store(s, "ilk_similar", err);
    if (!st && (!path_or_id || !*path_or_id))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_similar: path_or_id is empty");
    if (!st)
        st = ilki_api_take_queries(&arena, q, 1, true, &own, err);
    if (!st)
        st = ilki_engine_similar(s, path_or_id, own, job, out, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

void ilk_media_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

ilk_status ilk_runtime_get_media_info(ilk_runtime *rt, ilk_media_info *info, ilk_error *err)
{
    if (!rt || !info)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_runtime_get_media_info: %s is NULL", rt ? "info" : "runtime");
    ilk_media_info all = {.size = sizeof all};
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (!st)
        st = ilki_engine_media_info(rt, &all, err);
    return st ? st : ilki_api_give_sized(info, &all, sizeof all, "media info", err);
}
