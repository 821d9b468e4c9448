/* SPDX-License-Identifier: Apache-2.0
 * ilk_eval_*, ilk_verify_*, ilk_model_calibrate: argument checks before room tasks. */
#include "api/sized.h"
#include "base/runtime.h"
#include "tasks/tasks.h"

#define MAX_DEPTH 1000000

void ilk_eval_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_eval_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

void ilk_sts_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

void ilk_against_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_against_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

void ilk_verify_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_golden_result_init_sized(void *result, size_t size)
{
    ilki_api_init_sized(result, size);
}

void ilk_calibration_init_sized(void *calibration, size_t size)
{
    ilki_api_init_sized(calibration, size);
}

static ilk_status take_options(ilk_eval_options *o, const ilk_eval_options *opt, ilk_error *err)
{
    ilk_eval_options_init(o);
    ilk_status st = opt != NULL ? ilki_base_take_options(o, sizeof *o, opt, "eval options", err) : ILK_OK;
    if (st == ILK_OK && (o->k > MAX_DEPTH || o->top > MAX_DEPTH))
        st = ilki_base_fail(err, ILK_LIMIT, "eval options: expected k and top of at most %d, found %u and %u",
                            MAX_DEPTH, o->k, o->top);
    return st;
}

ilk_status ilk_eval_retrieval(ilk_runtime *rt, ilk_model *m, const char *dir, const ilk_eval_options *opt, ilk_job *job,
                              ilk_eval_result *result, ilk_error *err)
{
    ilk_eval_options o;
    ilk_eval_result all = {.size = sizeof all};
    if (rt == NULL || dir == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_eval_retrieval: %s is NULL", rt == NULL ? "runtime" : "dir");
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK && m != NULL && ilki_embed_runtime(m) != rt)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_eval_retrieval: the model was opened with another runtime");
    if (st == ILK_OK)
        st = take_options(&o, opt, err);
    if (st == ILK_OK && m == NULL && o.run_in == NULL)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_eval_retrieval: expected a model or a run to read");
    if (st == ILK_OK && o.run_in != NULL && o.reranker != NULL)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT,
                            "eval options: expected a reranker or a run to read as it is, found both");
    if (st == ILK_OK)
        st = ilki_tasks_retrieval(rt, m, dir, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "eval result", err) : st;
}

ilk_status ilk_eval_sts(ilk_model *m, const char *file, const ilk_eval_options *opt, ilk_job *job,
                        ilk_sts_result *result, ilk_error *err)
{
    ilk_eval_options o;
    ilk_sts_result all = {.size = sizeof all};
    if (m == NULL || file == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_eval_sts: %s is NULL", m == NULL ? "model" : "file");
    ilk_status st = ilki_base_runtime_check(ilki_embed_runtime(m), err);
    if (st == ILK_OK)
        st = take_options(&o, opt, err);
    if (st == ILK_OK)
        st = ilki_tasks_sts(m, file, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "sts result", err) : st;
}

ilk_status ilk_verify_against(ilk_model *m, const char *texts, const char *vectors, const ilk_against_options *opt,
                              ilk_job *job, ilk_against_result *result, ilk_error *err)
{
    ilk_against_options o;
    ilk_against_result all = {.size = sizeof all};
    if (m == NULL || texts == NULL || vectors == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_verify_against: %s is NULL",
                              m == NULL       ? "model"
                              : texts == NULL ? "texts"
                                              : "vectors");
    ilk_against_options_init(&o);
    ilk_status st = ilki_base_runtime_check(ilki_embed_runtime(m), err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "against options", err);
    if (st == ILK_OK && !(o.min_cosine >= -1 && o.min_cosine <= 1))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "against options: expected a min_cosine of -1 to 1, found %g",
                            o.min_cosine);
    if (st == ILK_OK && !(ilki_embed_info(m)->heads & ILK_HEAD_DENSE))
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a model that makes vectors", ilki_embed_info(m)->id);
    if (st == ILK_OK)
        st = ilki_tasks_against(m, texts, vectors, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "against result", err) : st;
}

ilk_status ilk_verify_known(ilk_model *m, const ilk_verify_options *opt, ilk_job *job, ilk_golden_result *result,
                            ilk_error *err)
{
    ilk_verify_options o;
    ilk_golden_result all = {.size = sizeof all};
    if (m == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_verify_known: model is NULL");
    ilk_verify_options_init(&o);
    ilk_status st = ilki_base_runtime_check(ilki_embed_runtime(m), err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "verify options", err);
    if (st == ILK_OK && o.f32 != NULL && ilki_embed_info(o.f32)->dim != ilki_embed_info(m)->dim)
        st = ilki_base_fail(err, ILK_MISMATCH, "ilk_verify_known: dimensions %u and %u: expected one checkpoint twice",
                            ilki_embed_info(m)->dim, ilki_embed_info(o.f32)->dim);
    if (st == ILK_OK)
        st = ilki_tasks_known(m, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(result, &all, sizeof all, "golden result", err) : st;
}

ilk_status ilk_model_calibrate(ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_job *job,
                               ilk_calibration *out, ilk_error *err)
{
    ilk_model_options o;
    ilk_calibration all;
    if (rt == NULL || where == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_model_calibrate: %s is NULL",
                              rt == NULL ? "runtime" : "where");
    ilk_model_options_init(&o);
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "model options", err);
    if (st == ILK_OK)
        st = ilki_tasks_calibrate(rt, where, &o, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(out, &all, sizeof all, "calibration", err) : st;
}

ilk_status ilk_model_get_calibration(ilk_model *m, ilk_calibration *out, ilk_error *err)
{
    ilk_calibration all;
    if (m == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_model_get_calibration: model is NULL");
    ilk_status st = ilki_base_runtime_check(ilki_embed_runtime(m), err);
    if (st == ILK_OK)
        st = ilki_tasks_get_calibration(m, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(out, &all, sizeof all, "calibration", err) : st;
}
