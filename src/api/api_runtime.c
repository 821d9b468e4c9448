/* SPDX-License-Identifier: Apache-2.0
 * ilk_runtime_* and ilk_job_*: argument checks. */
#include <math.h>

#include "api/sized.h"
#include "base/runtime.h"
#include "embed/kernels.h"
#include "embed/packs.h"

void ilk_runtime_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_runtime_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_packed_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_job_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

ilk_status ilk_runtime_open(ilk_runtime **out, const ilk_runtime_options *opt, ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_runtime_open: out is NULL");
    *out = NULL;
    ilk_runtime_options o;
    ilk_runtime_options_init(&o);
    ilk_status st = ILK_OK;
    if (opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "runtime options", err);
    ilk_runtime *rt = NULL;
    if (st == ILK_OK)
        st = ilki_base_runtime_new(&rt, &o, err);
    if (st == ILK_OK)
        st = ilki_embed_kernels_open(rt, o.cpu, err);
    if (st != ILK_OK) {
        ilk_runtime_close(rt);
        return st;
    }
    *out = rt;
    return ILK_OK;
}

void ilk_runtime_close(ilk_runtime *rt)
{
    if (rt == NULL)
        return;
    ilki_base_pool_free(rt->pool); /* the threads end first: they use the table */
    rt->pool = NULL;
    ilki_embed_kernels_close(rt);
    ilki_base_runtime_free(rt);
}

ilk_status ilk_runtime_get_info(const ilk_runtime *rt, ilk_runtime_info *info, ilk_error *err)
{
    if (rt == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_runtime_get_info: runtime is NULL");
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st != ILK_OK)
        return st;
    ilk_runtime_info all = {
        .size = sizeof all,
        .n_threads = ilki_base_pool_threads(rt->pool),
        .n_cpus = rt->n_cpus,
        .memory_ceiling_bytes = rt->ceiling_bytes,
        .memory_used_bytes = ilki_base_runtime_used(rt),
        .kernels = rt->kernels,
        .cpu_features = rt->features,
    };
    return ilki_api_give_sized(info, &all, sizeof all, "runtime info", err);
}

ilk_status ilk_runtime_get_packed_info(const ilk_runtime *rt, ilk_packed_info *info, ilk_error *err)
{
    ilk_packed_info all = {.size = sizeof all};
    if (rt == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_runtime_get_packed_info: runtime is NULL");
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK)
        st = ilki_embed_packs_info(rt, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(info, &all, sizeof all, "packed info", err) : st;
}

void ilk_peak_init_sized(void *peak, size_t size)
{
    ilki_api_init_sized(peak, size);
}

ilk_status ilk_runtime_measure_peak(ilk_runtime *rt, ilk_job *job, ilk_peak *peak, ilk_error *err)
{
    if (rt == NULL || peak == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_runtime_measure_peak: %s is NULL",
                              rt == NULL ? "runtime" : "peak");
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st != ILK_OK)
        return st;
    ilk_peak all = {.size = sizeof all, .n_threads = ilki_base_pool_threads(rt->pool)};
    st = ilki_embed_peak(rt, job, &all, err);
    return st == ILK_OK ? ilki_api_give_sized(peak, &all, sizeof all, "peak", err) : st;
}

/* ---- jobs */

ilk_job *ilk_job_new(const ilk_job_options *opt)
{
    ilk_job_options o;
    ilk_job_options_init(&o);
    if (opt != NULL && ilki_base_take_options(&o, sizeof o, opt, "job options", NULL) != ILK_OK)
        return NULL;
    if (!(o.deadline_seconds >= 0) || isinf(o.deadline_seconds))
        return NULL;
    if (o.priority < ILK_PRIORITY_LOW || o.priority > ILK_PRIORITY_HIGH)
        return NULL;
    return ilki_base_job_new(&o);
}

void ilk_job_free(ilk_job *job)
{
    ilki_base_job_free(job);
}

void ilk_job_cancel(ilk_job *job)
{
    ilki_base_job_cancel(job);
}
