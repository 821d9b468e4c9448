/* SPDX-License-Identifier: Apache-2.0
 * ilk_runtime_* and ilk_job_*: argument checks, and the kernel table that base knows nothing of. */
#include <math.h>
#include <stdlib.h>

#include "api/sized.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "base/runtime.h"
#include "kern/ops.h"

void ilk_runtime_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_runtime_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_job_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

/* The option wins over the environment's ILK_CPU; neither given means all that the machine has. */
static ilk_status select_kernels(ilk_runtime *rt, const char *cpu, ilk_error *err)
{
    ilki_kern_ops *ops = ilki_base_zalloc(1, sizeof *ops);
    if (ops == NULL)
        return ilki_base_fail_memory(err, sizeof *ops, "the kernel table");
    const char *from = cpu != NULL ? "runtime options: cpu" : "environment: ILK_CPU";
    if (cpu == NULL)
        cpu = getenv("ILK_CPU");
    ilk_status st = ilki_kern_select(ops, cpu, ilki_base_cpu_features(), rt->kernels, sizeof rt->kernels, err);
    if (st != ILK_OK) {
        ilki_base_error_prefix(err, "%s", from);
        free(ops);
        return st;
    }
    rt->ops = ops;
    return ILK_OK;
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
        st = select_kernels(rt, o.cpu, err);
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
    ilki_kern_ops *ops = (ilki_kern_ops *)(uintptr_t)rt->ops;
    ilki_base_runtime_free(rt); /* the threads end first: they use the table */
    free(ops);
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
