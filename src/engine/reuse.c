/* SPDX-License-Identifier: Apache-2.0
 * A file that changed in one place keeps the vectors of its other passages, and one that gets a vector of another model
 * keeps those that it has: items hold the hash of what was embedded, and a space stands for the model, its precision and
 * its prompts, so that the same bytes give the same vector. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "engine/ingest.h"

static const ilk_vector *find_vector(const ilk_item *item, const ilk_space *space)
{
    for (size_t i = 0; i < item->n_vectors; i++) {
        const ilk_vector *v = &item->vectors[i];
        if (strcmp(v->space, space->name) == 0 && v->data && v->rows == 1 && v->dim == space->dim)
            return v;
    }
    return NULL;
}

/* What the item has of passage k's vectors, of the spaces that it lacks. */
static void copy_vectors(const ilki_ingest *g, ilki_file_work *w, size_t k, const ilk_item *item)
{
    ilki_passage *p = &w->passages[k];
    for (size_t m = 0; m < g->n_models; m++) {
        const ilk_vector *v = p->todo >> m & 1 ? find_vector(item, g->spaces[m]) : NULL;
        if (!v)
            continue;
        memcpy(w->vectors[m] + k * v->dim, v->data, v->dim * sizeof(float));
        p->todo &= ~(1U << m);
        w->n_embedded += p->todo == 0;
    }
}

ilk_status ilki_engine_reuse_own(ilki_ingest *g, ilki_file_work *w, size_t k, ilk_error *err)
{
    ilki_record *r = NULL;
    if (w->had.n_items == 0)
        return ILK_OK;
    ilk_status st = ilki_store_get(g->store, w->had.id, true, &r, err);
    if (st == ILK_NOT_FOUND) /* somebody deleted it */
        return ILK_OK;
    if (!st && memcmp(r->item.content_hash, w->passages[k].hash, 32) == 0)
        copy_vectors(g, w, k, &r->item);
    ilki_store_record_free(r);
    return st;
}

ilk_status ilki_engine_reuse(ilki_ingest *g, ilki_file_work *w, ilk_error *err)
{
    const ilki_source *had = &w->had;
    ilki_map map = {0}; /* hash -> first passage; the others follow through `next` */
    ilk_status st = ILK_OK;
    if (had->n_items == 0)
        return ILK_OK;
    uint32_t *next = ilki_base_zalloc(w->n_passages, sizeof *next);
    bool ok = next && w->n_passages < ILKI_MAP_NONE && ilki_base_map_reserve(&map, w->n_passages);
    for (size_t k = 0; ok && k < w->n_passages; k++) {
        next[k] = ILKI_MAP_NONE;
        ok = ilki_base_map_put(&map, (const char *)w->passages[k].hash, 32, (uint32_t)k, &next[k]);
    }
    if (!ok)
        st = ilki_base_fail_memory(err, w->n_passages * sizeof *next, "passages");
    for (uint32_t i = 0; !st && i < had->n_items; i++) {
        ilki_record *r = NULL;
        char id[64];
        snprintf(id, sizeof id, "%s#%" PRIu32, had->id, i);
        st = ilki_store_get(g->store, id, true, &r, err);
        if (st == ILK_NOT_FOUND) { /* somebody deleted it */
            st = ILK_OK;
            continue;
        }
        uint32_t k = st ? ILKI_MAP_NONE : ilki_base_map_get(&map, (const char *)r->item.content_hash, 32);
        for (; k != ILKI_MAP_NONE && w->passages[k].todo; k = next[k])
            copy_vectors(g, w, k, &r->item);
        ilki_store_record_free(r);
    }
    ilki_base_map_deinit(&map);
    free(next);
    return st;
}
