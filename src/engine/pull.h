/* SPDX-License-Identifier: Apache-2.0
 * A model of the hub into the Hugging Face cache, where room embed finds it: asked for first, so that a caller can show
 * size and licence, then fetched. */
#ifndef ILKI_ENGINE_PULL_H
#define ILKI_ENGINE_PULL_H

#include "base/runtime.h"

/* Public semantics of ilk_pull_*; *opt has its defaults filled. */
ilk_status ilki_engine_pull_open(ilk_pull **out, ilk_runtime *rt, const char *id, const ilk_pull_options *opt,
                                 ilk_job *job, ilk_error *err);
void ilki_engine_pull_close(ilk_pull *p);
const ilk_pull_info *ilki_engine_pull_info(const ilk_pull *p);
const ilk_pull_file *ilki_engine_pull_file(const ilk_pull *p, size_t i); /* NULL past the last */
ilk_status ilki_engine_pull_run(ilk_pull *p, ilk_job *job, ilk_error *err);
ilk_runtime *ilki_engine_pull_runtime(const ilk_pull *p);

/* Version of the library that fetches, or NULL with the reason in err. */
const char *ilki_engine_network_version(ilk_error *err);

#endif
