/* SPDX-License-Identifier: Apache-2.0
 * Removing what belongs to files that are gone, in batches: the items, and the source is marked GONE, so that a file
 * that comes back has its old id. */
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"

enum { BATCH = 500 };

typedef struct batch_of {
    const char *deletes[BATCH];
    ilki_source sources[BATCH];
    uint32_t n_items[BATCH]; /* that they had */
    size_t n;
} batch_of;

static ilk_status flush(ilk_store *s, batch_of *b, bool dry_run, const ilk_ingest_options *opt,
                        ilk_ingest_result *result, ilk_error *err)
{
    ilki_batch batch = {.deletes = b->deletes, .n_deletes = b->n, .sources = b->sources, .n_sources = b->n};
    ilk_status st = b->n && !dry_run ? s->backend->type->upsert(s->backend, &batch, NULL, err) : ILK_OK;
    for (size_t i = 0; !st && i < b->n; i++) {
        ilk_event e = {.size = sizeof e, .kind = ILK_EVENT_REMOVED, .path = b->sources[i].path};
        e.n_chunks = b->n_items[i];
        ilki_engine_tell(opt, result, &e);
    }
    b->n = 0;
    return st;
}

ilk_status ilki_engine_remove(ilk_store *s, const ilki_known_files *known, ilki_gone_fn gone, void *user, bool dry_run,
                              const ilk_ingest_options *opt, ilk_job *job, ilk_ingest_result *result, ilk_error *err)
{
    batch_of *b = ilki_base_zalloc(1, sizeof *b);
    ilk_status st = b ? ILK_OK : ilki_base_fail_memory(err, sizeof *b, "a batch");
    for (size_t i = 0; !st && i < known->n; i++) {
        const ilki_known *e = known->list[i];
        if (i % 64 == 0)
            st = ilki_base_job_check(job, err);
        if (st || e->state == ILKI_SOURCE_GONE || e->state == 0 || e->seen)
            continue;
        ilki_source *src = &b->sources[b->n];
        *src = ilki_engine_known_source(known, e);
        if (!gone(user, src))
            continue;
        b->n_items[b->n] = src->n_items;
        b->deletes[b->n] = src->id;
        src->state = ILKI_SOURCE_GONE;
        src->reason = NULL;
        src->n_items = 0;
        b->n++;
        if (b->n == BATCH)
            st = flush(s, b, dry_run, opt, result, err);
    }
    if (!st)
        st = flush(s, b, dry_run, opt, result, err);
    free(b);
    return st;
}

/* ---- prune */

static bool is_absent(void *user, const ilki_source *src)
{
    ilk_store *s = user;
    ilki_stat st;
    char *path = ilki_engine_absolute(s, src);
    ilk_status status = path ? s->rt->vfs->stat(s->rt->vfs, path, true, &st, NULL) : ILK_NO_MEMORY;
    free(path);
    return status == ILK_NOT_FOUND || (status == ILK_OK && st.type != ILKI_FILE_REGULAR);
}

ilk_status ilki_engine_prune(ilk_store *s, bool dry_run, ilk_event_fn event, void *user, ilk_job *job,
                             ilk_ingest_result *result, ilk_error *err)
{
    ilki_known_files known = {0};
    ilk_ingest_options opt = {.size = sizeof opt, .event = event, .event_user = user};
    ilki_store *store = ilki_engine_local_store(s->backend);
    if (!store)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "backend \"%s\" keeps no source files", s->backend->type->name);
    ilk_status st = ilki_store_refresh(store, err);
    if (!st)
        st = ilki_engine_known_load(&known, store, err);
    for (size_t i = 0; !st && i < known.n; i++)
        result->n_files += known.list[i]->state != ILKI_SOURCE_GONE;
    if (!st)
        st = ilki_engine_remove(s, &known, is_absent, s, dry_run, &opt, job, result, err);
    ilki_engine_known_deinit(&known);
    return st;
}
