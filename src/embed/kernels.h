/* SPDX-License-Identifier: Apache-2.0
 * The kernel table of a runtime: base knows no kernel, and the public boundary reaches kern through this room. */
#ifndef ILKI_EMBED_KERNELS_H
#define ILKI_EMBED_KERNELS_H

#include "base/runtime.h"

/* Fills rt->ops and rt->kernels from the option `cpu`, which wins over the environment's ILK_CPU; neither given means all
 * that the machine has. Errors: BAD_ARGUMENT (an unknown table, or one this CPU lacks), NO_MEMORY. */
ilk_status ilki_embed_kernels_open(ilk_runtime *rt, const char *cpu, ilk_error *err);

/* Gives up rt->ops; when no thread uses it any more. */
void ilki_embed_kernels_close(ilk_runtime *rt);

/* What the runtime's threads reach together with its own table (peak.c): the rates in `out`, each the best of many rounds of
 * some milliseconds, for about a second in all. */
ilk_status ilki_embed_peak(ilk_runtime *rt, ilk_job *job, ilk_peak *out, ilk_error *err);

#endif
