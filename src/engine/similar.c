/* SPDX-License-Identifier: Apache-2.0
 * Questions asked with what is already stored: a picture asks with its own vector, a text with the mean of its passages'
 * vectors. No model is needed. */
#include <stdlib.h>
#include <string.h>

#include "engine/collection.h"

enum { PAGE = 256 };

static ilk_value text_value(const char *s)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = s, .n_bytes = strlen(s)};
}

static ilk_filter test(ilk_filter_op op, const char *field, const ilk_value *v)
{
    return (ilk_filter){.size = sizeof(ilk_filter), .op = op, .field = field, .values = v, .n_values = 1};
}

typedef struct mean {
    const char *space; /* the caller's choice, else the first dense one met; owned by the store */
    double *sum;
    float *vector;
    uint32_t dim;
    size_t n;
} mean;

/* Adds an item's vector. */
static ilk_status add_item(mean *m, ilk_store *s, const ilki_record *r, ilk_error *err)
{
    for (size_t i = 0; i < r->item.n_vectors; i++) {
        const ilk_vector *v = &r->item.vectors[i];
        const ilk_space *space;
        if (!v->data || (m->space && strcmp(m->space, v->space) != 0))
            continue;
        ilk_status st = ilki_engine_space_by_name(s, v->space, &space, err);
        if (st)
            return st;
        if (space->kind != ILK_DENSE)
            continue;
        if (!m->sum) {
            m->space = space->name;
            m->dim = space->dim;
            m->sum = ilki_base_zalloc(m->dim, sizeof *m->sum);
            m->vector = ilki_base_zalloc(m->dim, sizeof *m->vector);
            if (!m->sum || !m->vector)
                return ilki_base_fail_memory(err, m->dim * sizeof *m->sum, "a mean");
        }
        for (uint32_t k = 0; k < m->dim && v->dim == m->dim; k++)
            m->sum[k] += (double)v->data[k];
        m->n++;
        return ILK_OK;
    }
    return ILK_OK;
}

/* Adds an item and, page by page, its parts. */
static ilk_status add_family(mean *m, ilk_store *s, const char *id, ilk_job *job, ilk_error *err)
{
    ilk_value v = text_value(id);
    ilk_filter parts = test(ILK_FILTER_EQ, "parent", &v);
    ilki_record *self = NULL, *page[PAGE], *one = NULL;
    char *after = NULL;
    size_t n = 0;
    ilk_status st = s->backend->type->get(s->backend, id, true, &self, err);
    if (!st)
        st = add_item(m, s, self, err);
    ilki_store_record_free(self);
    do {
        if (!st)
            st = ilki_base_job_check(job, err);
        if (!st)
            st = s->backend->type->scan(s->backend, &parts, after, PAGE, page, &n, err);
        if (st)
            break;
        for (size_t i = 0; i < n; i++) {
            if (!st && (st = s->backend->type->get(s->backend, page[i]->item.id, true, &one, err)) == ILK_OK)
                st = add_item(m, s, one, err);
            else if (st == ILK_NOT_FOUND) /* deleted since the page was read */
                st = ILK_OK;
            ilki_store_record_free(one);
            one = NULL;
        }
        free(after);
        after = n ? ilki_base_strndup(page[n - 1]->item.id, strlen(page[n - 1]->item.id)) : NULL;
        for (size_t i = 0; i < n; i++)
            ilki_store_record_free(page[i]);
        if (!st && n && !after)
            st = ilki_base_fail_memory(err, 512, "an id");
    } while (!st && n == PAGE);
    free(after);
    return st;
}

typedef struct kept_id {
    char *id;
    bool no_memory;
} kept_id;

static bool keep_id(void *user, const ilki_source *src)
{
    kept_id *k = user;
    if (src->n_items)
        k->no_memory = !(k->id = ilki_base_strndup(src->id, strlen(src->id)));
    return false;
}

/* The item that a path or an id names; freed with free(). */
static ilk_status resolve(ilk_store *s, const char *what, char **id, ilk_error *err)
{
    ilki_store *store = ilki_engine_local_store(s->backend);
    ilki_record *r = NULL;
    kept_id kept = {0};
    ilk_status st = ILK_OK;
    if (store)
        st = ilki_store_refresh(store, err);
    if (store && !st)
        st = ilki_store_source_by_path(store, *what == '/' ? "/" : "", *what == '/' ? what + 1 : what, keep_id, &kept,
                                       err);
    if (st == ILK_NOT_FOUND)
        st = ILK_OK;
    if (kept.no_memory)
        st = ilki_base_fail_memory(err, 17, "an id");
    *id = kept.id;
    if (st || *id)
        return st;
    st = s->backend->type->get(s->backend, what, false, &r, err);
    ilki_store_record_free(r);
    if (st == ILK_NOT_FOUND)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: neither an indexed file nor an item of %s", what, s->path);
    if (!st && !(*id = ilki_base_strndup(what, strlen(what))))
        st = ilki_base_fail_memory(err, strlen(what), "an id");
    return st;
}

ilk_status ilki_engine_similar(ilk_store *s, const char *path_or_id, const ilk_query *q, ilk_job *job, ilk_hits **out,
                               ilk_error *err)
{
    mean m = {.space = q->vector.space};
    char *id = NULL;
    const ilk_space *named;
    *out = NULL;
    ilk_status st = ilki_engine_check_filter(q->filter, err);
    if (!st && m.space)
        st = ilki_engine_space_by_name(s, m.space, &named, err);
    if (!st)
        st = resolve(s, path_or_id, &id, err);
    if (!st)
        st = add_family(&m, s, id, job, err);
    if (!st && m.n == 0)
        st = ilki_base_fail(err, ILK_NOT_FOUND, "%s: it has no dense vector%s%s%s", path_or_id,
                            m.space ? " in space \"" : "", m.space ? m.space : "", m.space ? "\"" : "");
    if (!st) {
        for (uint32_t k = 0; k < m.dim; k++)
            m.vector[k] = (float)(m.sum[k] / (double)m.n);
        ilk_value v = text_value(id);
        ilk_filter parts[3] = {test(ILK_FILTER_NE, "id", &v), test(ILK_FILTER_NE, "parent", &v)};
        size_t n = 2;
        if (q->filter)
            parts[n++] = *q->filter;
        ilk_filter all = {.size = sizeof all, .op = ILK_FILTER_AND, .children = parts, .n_children = n};
        ilk_query query = *q;
        query.filter = &all;
        query.vector = (ilk_vector){
            .size = sizeof query.vector, .space = m.space, .data = m.vector, .rows = 1, .dim = m.dim};
        st = ilki_engine_query(s, &query, 1, job, out, err);
    }
    free(id);
    free(m.sum);
    free(m.vector);
    return st;
}
