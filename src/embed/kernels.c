/* SPDX-License-Identifier: Apache-2.0
 * See kernels.h. */
#include "embed/kernels.h"

#include <stdlib.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "kern/ops.h"

ilk_status ilki_embed_kernels_open(ilk_runtime *rt, const char *cpu, ilk_error *err)
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

void ilki_embed_kernels_close(ilk_runtime *rt)
{
    free((void *)(uintptr_t)rt->ops);
    rt->ops = NULL;
}
