/* SPDX-License-Identifier: Apache-2.0
 * ilk_eval_*: argument checks before room tasks. */
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
