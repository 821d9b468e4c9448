/* SPDX-License-Identifier: Apache-2.0
 * Results: records of the backend as the public result record. The records stay alive inside, hits point into them; what
 * has to be made (strings with a NUL, joined paths, the list of the other fields) lies in one arena. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/collection.h"

typedef struct group {
    ilk_hit *hits;
    ilki_record **records;
    size_t n;
} group;

struct ilk_hits {
    ilki_arena arena;
    group *groups;
    size_t n_groups;
    bool vectors; /* records were read with them */
};

ilk_status ilki_engine_hits_new(ilk_hits **out, size_t n_queries, bool vectors, ilk_error *err)
{
    ilk_hits *h = ilki_base_zalloc(1, sizeof *h);
    *out = NULL;
    if (!h || !(h->groups = ilki_base_zalloc(n_queries, sizeof *h->groups))) {
        free(h);
        return ilki_base_fail_memory(err, n_queries * sizeof(group), "results");
    }
    h->n_groups = n_queries;
    h->vectors = vectors;
    *out = h;
    return ILK_OK;
}

void ilki_engine_hits_free(ilk_hits *h)
{
    if (!h)
        return;
    for (size_t g = 0; g < h->n_groups; g++)
        for (size_t i = 0; i < h->groups[g].n; i++)
            ilki_store_record_free(h->groups[g].records[i]);
    ilki_base_arena_deinit(&h->arena);
    free(h->groups);
    free(h);
}

/* ---- making */

/* "" stands for the store's neighbourhood: such a path is relative, every other one absolute. */
static char *join_path(ilki_arena *a, const ilki_source *src)
{
    size_t n_root = strlen(src->root), n = strlen(src->path);
    bool slash = n_root && src->root[n_root - 1] != '/';
    char *out = ilki_base_arena_alloc(a, n_root + n + 2, 1);
    if (!out)
        return NULL;
    memcpy(out, src->root, n_root);
    if (slash)
        out[n_root] = '/';
    memcpy(out + n_root + slash, src->path, n);
    return out;
}

/* The member of the hit that a reserved field fills; NULL for other fields. */
static const char **member_of(ilk_hit *hit, const ilk_field *f)
{
    const struct {
        const char *name;
        const char **member;
    } reserved[] = {{"text", &hit->text}, {"uri", &hit->uri}, {"modality", &hit->modality}};
    for (size_t i = 0; f->value.type == ILK_VALUE_TEXT && i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(f->name, reserved[i].name) == 0)
            return reserved[i].member;
    return NULL;
}

static bool make_hit(ilki_arena *a, ilk_hit *hit, const ilki_record *r)
{
    const ilk_item *item = &r->item;
    ilk_field *rest = ilki_base_arena_alloc(a, item->n_fields + 1, sizeof *rest);
    if (!rest)
        return false;
    for (size_t i = 0; i < item->n_fields; i++) {
        const ilk_field *f = &item->fields[i];
        const char **member = member_of(hit, f);
        if (!member)
            rest[hit->n_fields++] = *f;
        else if (!(*member = ilki_base_arena_strndup(a, f->value.text, f->value.n_bytes)))
            return false;
    }
    hit->id = item->id;
    hit->parent = item->parent;
    hit->segment = item->segment;
    hit->fields = rest;
    hit->path = r->source.id ? join_path(a, &r->source) : NULL;
    return hit->path || !r->source.id;
}

ilk_score_kind ilki_engine_score_kind(const ilk_space *space)
{
    if (!space)
        return ILK_SCORE_NONE;
    return space->metric == ILK_DOT ? ILK_SCORE_DOT : space->metric == ILK_NEG_L2 ? ILK_SCORE_NEG_L2 : ILK_SCORE_COSINE;
}

ilk_status ilki_engine_hits_set(ilk_hits *h, size_t i, const ilk_store *s, const ilki_answer *a, ilk_error *err)
{
    group *g = &h->groups[i];
    const ilk_space *last = NULL;
    const char *model = NULL;
    g->hits = ilki_base_arena_alloc(&h->arena, a->n, sizeof *g->hits);
    g->records = ilki_base_arena_alloc(&h->arena, a->n, sizeof *g->records);
    const char *name = ilki_base_arena_strndup(&h->arena, s->name, strlen(s->name));
    bool ok = g->hits && g->records && name;
    for (size_t k = 0; k < a->n; k++) {
        const ilk_space *space = a->found[k].space ? a->found[k].space : a->space;
        if (ok && space != last && (last = space)) {
            model = space->model ? ilki_base_arena_strndup(&h->arena, space->model, strlen(space->model)) : NULL;
            ok = model || !space->model;
        }
        if (!ok) {
            ilki_store_record_free(a->found[k].record);
            continue;
        }
        g->records[k] = a->found[k].record;
        g->hits[k] = (ilk_hit){.size = sizeof(ilk_hit),
                               .rank = (uint32_t)k + 1,
                               .score = a->found[k].score,
                               .score_kind = a->kind,
                               .model = model,
                               .collection = name};
        g->n = k + 1;
        ok = make_hit(&h->arena, &g->hits[k], g->records[k]);
    }
    return ok ? ILK_OK : ilki_base_fail_memory(err, a->n * sizeof *g->hits, "results");
}

/* ---- reading */

size_t ilki_engine_hits_count(const ilk_hits *h, size_t query)
{
    return query < h->n_groups ? h->groups[query].n : 0;
}

const ilk_hit *ilki_engine_hits_at(const ilk_hits *h, size_t query, size_t i)
{
    return i < ilki_engine_hits_count(h, query) ? &h->groups[query].hits[i] : NULL;
}

ilk_status ilki_engine_hits_vector(const ilk_hits *h, size_t query, size_t i, const char *space, const ilk_vector **out,
                                   ilk_error *err)
{
    const ilk_item *item = &h->groups[query].records[i]->item;
    if (!h->vectors)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "vectors come with ilk_store_get alone, not with these hits");
    for (size_t k = 0; k < item->n_vectors; k++)
        if (strcmp(item->vectors[k].space, space) == 0) {
            if (!item->vectors[k].data)
                break;
            *out = &item->vectors[k];
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_NOT_FOUND, "item \"%s\" has no vector of space \"%s\"", item->id, space);
}
