/* SPDX-License-Identifier: Apache-2.0
 * The local row of backend.c: the store on this machine's disk, searched by flat indexes in memory. */
#ifndef ILKI_ENGINE_LOCAL_H
#define ILKI_ENGINE_LOCAL_H

#include "engine/backend.h"

extern const ilki_backend_type ilki_engine_local;

/* ilk_store_check: the store, then the codes. */
ilk_status ilki_engine_local_check(ilki_backend *b, bool repair, ilk_finding_fn found, void *user, ilk_job *job,
                                   ilk_error *err);

#endif
