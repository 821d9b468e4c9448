/* SPDX-License-Identifier: Apache-2.0
 * The files that items come from, as the public record. */
#include <string.h>

#include "engine/collection.h"

typedef struct telling {
    ilk_source_fn fn;
    void *user;
    ilki_buf path;
} telling;

static bool tell(void *user, const ilki_source *src)
{
    static const ilk_source_state states[] = {[ILKI_SOURCE_INDEXED] = ILK_SOURCE_INDEXED,
                                              [ILKI_SOURCE_SKIPPED] = ILK_SOURCE_SKIPPED,
                                              [ILKI_SOURCE_FAILED] = ILK_SOURCE_FAILED};
    telling *t = user;
    if (src->state == ILKI_SOURCE_GONE)
        return true;
    size_t n_root = strlen(src->root);
    ilki_base_buf_reset(&t->path);
    ilki_base_buf_adds(&t->path, src->root);
    if (n_root && src->root[n_root - 1] != '/')
        ilki_base_buf_addc(&t->path, '/');
    if (!ilki_base_buf_adds(&t->path, src->path))
        return false;
    ilk_source out = {.size = sizeof out,
                      .id = src->id,
                      .path = ilki_base_buf_view(&t->path),
                      .state = states[src->state],
                      .reason = src->reason,
                      .n_bytes = src->n_bytes,
                      .mtime_ns = src->mtime_ns,
                      .n_items = src->n_items};
    return t->fn(t->user, &out) != 0;
}

ilk_status ilki_engine_list_sources(ilk_store *s, ilk_source_fn fn, void *user, ilk_error *err)
{
    ilki_store *local = ilki_engine_local_store(s->backend);
    if (!local)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "sources: the backend %s keeps none", s->backend->type->name);
    telling t = {fn, user, {0}};
    ilki_base_buf_init(&t.path, 1 << 20);
    ilk_status st = ilki_store_refresh(local, err);
    if (!st)
        st = ilki_store_sources(local, tell, &t, err);
    if (!st)
        st = ilki_base_buf_check(&t.path, "a path", err);
    ilki_base_buf_deinit(&t.path);
    return st;
}
