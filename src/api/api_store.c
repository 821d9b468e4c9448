/* SPDX-License-Identifier: Apache-2.0
 * ilk_store_*: argument checks before room engine. */
#include <string.h>

#include "api/sized.h"
#include "api/take.h"
#include "engine/collection.h"

void ilk_space_init_sized(void *space, size_t size)
{
    ilki_api_init_from(space, size, &ilki_api_space, sizeof ilki_api_space);
}

void ilk_value_init_sized(void *value, size_t size)
{
    ilki_api_init_sized(value, size);
}

void ilk_field_init_sized(void *field, size_t size)
{
    ilki_api_init_from(field, size, &ilki_api_field, sizeof ilki_api_field);
}

void ilk_vector_init_sized(void *vector, size_t size)
{
    ilki_api_init_sized(vector, size);
}

void ilk_segment_init_sized(void *segment, size_t size)
{
    ilki_api_init_from(segment, size, &ilki_api_segment, sizeof ilki_api_segment);
}

void ilk_item_init_sized(void *item, size_t size)
{
    ilki_api_init_from(item, size, &ilki_api_item, sizeof ilki_api_item);
}

void ilk_store_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_filter_init_sized(void *filter, size_t size)
{
    ilki_api_init_sized(filter, size);
}

void ilk_query_init_sized(void *q, size_t size)
{
    ilki_api_init_from(q, size, &ilki_api_query, sizeof ilki_api_query);
}

void ilk_store_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

/* ------------------------------------------------------------------ open */

static ilk_status check_store(const ilk_store *s, const char *call, ilk_error *err)
{
    if (!s)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: store is NULL", call);
    return ilki_base_runtime_check(s->rt, err);
}

ilk_status ilk_store_open(ilk_store **out, ilk_runtime *rt, const char *path, const ilk_store_options *opt,
                          ilk_error *err)
{
    ilk_store_options o;
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_open: out is NULL");
    *out = NULL;
    if (!rt || !path || !*path)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_open: %s",
                              rt ? "the path is empty" : "runtime is NULL");
    ilk_store_options_init(&o);
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (!st)
        st = ilki_base_take_options(&o, sizeof o, opt, "store options", err);
    if (!st && o.sync != ILK_SYNC_FULL && o.sync != ILK_SYNC_NORMAL)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "store options: sync is %d", (int)o.sync);
    return st ? st : ilki_engine_open(out, rt, path, &o, err);
}

void ilk_store_close(ilk_store *s)
{
    ilki_engine_close(s);
}

/* ------------------------------------------------------------------ spaces */

ilk_status ilk_store_ensure_space(ilk_store *s, const ilk_space *space, ilk_error *err)
{
    ilk_space own = ilki_api_space;
    ilk_status st = check_store(s, "ilk_store_ensure_space", err);
    if (!st && !space)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_ensure_space: space is NULL");
    if (!st)
        st = ilki_base_take_options(&own, sizeof own, space, "space", err);
    return st ? st : s->backend->type->ensure(s->backend, &own, err);
}

ilk_status ilk_store_get_space(ilk_store *s, size_t i, ilk_space *space, ilk_error *err)
{
    const ilk_space *own = NULL;
    ilk_status st = check_store(s, "ilk_store_get_space", err);
    if (!st)
        st = s->backend->type->space(s->backend, i, &own, err);
    return st ? st : ilki_api_give_sized(space, own, sizeof *own, "space", err);
}

/* ------------------------------------------------------------------ items */

ilk_status ilk_store_upsert(ilk_store *s, const ilk_item *items, size_t n, ilk_job *job, ilk_error *err)
{
    ilki_arena arena = {0};
    ilki_batch batch = {.n_items = n};
    ilk_status st = check_store(s, "ilk_store_upsert", err);
    if (!st)
        st = ilki_base_job_check(job, err);
    if (!st)
        st = ilki_api_take_items(&arena, items, n, &batch.items, err);
    if (!st && n)
        st = s->backend->type->upsert(s->backend, &batch, job, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

static ilk_status check_ids(const char *const *ids, size_t n, const char *call, ilk_error *err)
{
    if (n && !ids)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: ids is NULL for %zu of them", call, n);
    for (size_t i = 0; i < n; i++)
        if (!ids[i])
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: id %zu is NULL", call, i);
    return ILK_OK;
}

ilk_status ilk_store_delete(ilk_store *s, const char *const *ids, size_t n, ilk_error *err)
{
    ilk_status st = check_store(s, "ilk_store_delete", err);
    if (!st)
        st = check_ids(ids, n, "ilk_store_delete", err);
    if (!st && n)
        st = s->backend->type->remove(s->backend, ids, n, err);
    return st;
}

/* ------------------------------------------------------------------ questions */

ilk_status ilk_store_search(ilk_store *s, const ilk_query *q, size_t n_q, ilk_job *job, ilk_hits **out, ilk_error *err)
{
    ilki_arena arena = {0};
    ilk_query *own = NULL;
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_search: out is NULL");
    *out = NULL;
    ilk_status st = check_store(s, "ilk_store_search", err);
    if (!st)
        st = ilki_api_take_queries(&arena, q, n_q, false, &own, err);
    if (!st)
        st = ilki_engine_query(s, own, n_q, job, out, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

ilk_status ilk_store_get(ilk_store *s, const char *const *ids, size_t n, ilk_hits **out, ilk_error *err)
{
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_get: out is NULL");
    *out = NULL;
    ilk_status st = check_store(s, "ilk_store_get", err);
    if (!st)
        st = check_ids(ids, n, "ilk_store_get", err);
    return st ? st : ilki_engine_get(s, ids, n, out, err);
}

ilk_status ilk_store_scan(ilk_store *s, const ilk_filter *filter, const char *after, size_t limit, ilk_hits **out,
                          ilk_error *err)
{
    ilki_arena arena = {0};
    if (!out)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_scan: out is NULL");
    *out = NULL;
    ilk_status st = check_store(s, "ilk_store_scan", err);
    if (!st && (limit == 0 || limit > ILKI_MAX_K))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_scan: limit is %zu, expected 1 to %d", limit, ILKI_MAX_K);
    if (!st)
        st = ilki_api_take_filter(&arena, filter, &filter, err);
    if (!st)
        st = ilki_engine_scan(s, filter, after, limit, out, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

ilk_status ilk_store_count(ilk_store *s, const ilk_filter *filter, uint64_t *n, ilk_error *err)
{
    ilki_arena arena = {0};
    ilk_status st = check_store(s, "ilk_store_count", err);
    if (!st && !n)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_store_count: n is NULL");
    if (!st)
        st = ilki_api_take_filter(&arena, filter, &filter, err);
    if (!st)
        st = s->backend->type->count(s->backend, filter, n, err);
    ilki_base_arena_deinit(&arena);
    return st;
}

ilk_status ilk_store_get_info(ilk_store *s, ilk_store_info *info, ilk_error *err)
{
    ilk_store_info own = {.size = sizeof own};
    ilk_status st = check_store(s, "ilk_store_get_info", err);
    if (!st)
        st = ilki_engine_info(s, &own, err);
    return st ? st : ilki_api_give_sized(info, &own, sizeof own, "store info", err);
}

ilk_status ilk_store_check(ilk_store *s, int repair, ilk_finding_fn found, void *user, ilk_job *job, ilk_error *err)
{
    ilk_status st = check_store(s, "ilk_store_check", err);
    return st ? st : ilki_engine_check(s, repair != 0, found, user, job, err);
}
