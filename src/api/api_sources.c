/* SPDX-License-Identifier: Apache-2.0
 * ilk_store_list_sources: argument checks before room engine. */
#include "engine/collection.h"

ilk_status ilk_store_list_sources(ilk_store *s, ilk_source_fn fn, void *user, ilk_error *err)
{
    if (!s || !fn)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_list_sources: %s is NULL", s ? "fn" : "store");
    ilk_status st = ilki_base_runtime_check(s->rt, err);
    return st ? st : ilki_engine_list_sources(s, fn, user, err);
}
