/* SPDX-License-Identifier: Apache-2.0
 * A store as the engine sees it: opened by path through a backend, its questions answered with hits. */
#include "engine/collection.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/local.h"

/* ------------------------------------------------------------------ open */

/* ".ilk" is named after the folder it stands in; any other store after its own directory. */
static const char *name_of(const char *path, const char *home)
{
    const char *name = ilki_base_path_name(path);
    if (strcmp(name, ".ilk") == 0 && *ilki_base_path_name(home))
        return ilki_base_path_name(home);
    return name;
}

static ilk_status set_place(ilk_store *s, const char *path, ilk_error *err)
{
    s->path = realpath(path, NULL);
    if (!s->path)
        return ilki_base_fail_errno(err, ILK_IO, errno, "store %s", path);
    const char *slash = strrchr(s->path, '/');
    s->home = ilki_base_strndup(s->path, slash == s->path ? 1 : (size_t)(slash - s->path));
    const char *name = s->home ? name_of(s->path, s->home) : NULL;
    s->name = name ? ilki_base_strndup(name, strlen(name)) : NULL;
    return s->name ? ILK_OK : ilki_base_fail_memory(err, strlen(s->path), "a path");
}

ilk_status ilki_engine_open(ilk_store **out, ilk_runtime *rt, const char *path, const ilk_store_options *opt,
                            ilk_error *err)
{
    *out = NULL;
    ilk_store *s = ilki_base_zalloc(1, sizeof *s);
    if (!s)
        return ilki_base_fail_memory(err, sizeof *s, "a store");
    s->rt = rt;
    ilk_status st = ilki_engine_local.open(&s->backend, rt, path, opt, err);
    if (!st)
        st = set_place(s, path, err);
    if (st)
        ilki_engine_close(s);
    else
        *out = s;
    return st;
}

void ilki_engine_close(ilk_store *s)
{
    if (!s)
        return;
    if (s->backend)
        s->backend->type->close(s->backend);
    free(s->path);
    free(s->home);
    free(s->name);
    free(s);
}

/* ------------------------------------------------------------------ spaces */

ilk_status ilki_engine_space_by_name(ilk_store *s, const char *name, const ilk_space **out, ilk_error *err)
{
    const ilk_space *space = NULL;
    size_t n_dense = 0;
    *out = NULL;
    for (size_t i = 0; s->backend->type->space(s->backend, i, &space, NULL) == ILK_OK; i++) {
        n_dense += space->kind == ILK_DENSE;
        if (name ? strcmp(space->name, name) == 0 : space->kind == ILK_DENSE)
            *out = space;
    }
    if (*out && (name || n_dense == 1))
        return ILK_OK;
    *out = NULL;
    if (name)
        return ilki_base_fail(err, ILK_MISMATCH, "store %s has no space \"%s\"", s->path, name);
    return ilki_base_fail(err, ILK_MISMATCH, "store %s: the query names no space, and the store has %zu", s->path,
                          n_dense);
}

const ilk_space *ilki_engine_space_by_fingerprint(ilk_store *s, const char *hex)
{
    const ilk_space *space = NULL;
    for (size_t i = 0; s->backend->type->space(s->backend, i, &space, NULL) == ILK_OK; i++)
        if (space->kind == ILK_DENSE && space->fingerprint && strcmp(space->fingerprint, hex) == 0)
            return space;
    return NULL;
}

ilk_status ilki_engine_check_precision(const ilk_store *s, const ilk_space *space, ilk_precision precision,
                                       ilk_error *err)
{
    const char *name = ilk_precision_name(precision);
    if (!space->precision || strcmp(space->precision, name) == 0)
        return ILK_OK;
    return ilki_base_fail(err, ILK_MISMATCH, "the vectors of %s were made with precision %s, this model has %s",
                          s->path, space->precision, name);
}

/* ------------------------------------------------------------------ questions */

static ilk_status query_one(ilk_store *s, const ilk_query *q, ilk_job *job, ilk_hits *h, size_t i, ilk_error *err)
{
    ilk_query named = *q;
    const ilk_space *space = NULL;
    size_t n = 0, k = q->k ? q->k : ILKI_DEFAULT_K;
    if (k > ILKI_MAX_K)
        return ilki_base_fail(err, ILK_LIMIT, "query: k is %zu, at most %d", k, ILKI_MAX_K);
    ilk_status st = q->vector.data ? ilki_engine_space_by_name(s, q->vector.space, &space, err) : ILK_OK;
    if (st)
        return st;
    if (space)
        named.vector.space = space->name;
    ilki_found *found = ilki_base_zalloc(k, sizeof *found);
    if (!found)
        return ilki_base_fail_memory(err, k * sizeof *found, "results");
    st = s->backend->type->query(s->backend, &named, job, found, &n, err);
    ilki_answer a = {ilki_engine_score_kind(space), space, found, n};
    if (!st)
        st = ilki_engine_hits_set(h, i, s, &a, err);
    free(found);
    return st;
}

ilk_status ilki_engine_query(ilk_store *s, const ilk_query *q, size_t n_q, ilk_job *job, ilk_hits **out, ilk_error *err)
{
    ilk_hits *h = NULL;
    ilk_status st = ilki_engine_hits_new(&h, n_q, false, err);
    *out = NULL;
    for (size_t i = 0; !st && i < n_q; i++) {
        st = ilki_base_job_check(job, err);
        if (!st)
            st = query_one(s, &q[i], job, h, i, err);
        if (st && n_q > 1)
            ilki_base_error_prefix(err, "query %zu", i);
    }
    if (st)
        ilki_engine_hits_free(h);
    else
        *out = h;
    return st;
}

ilk_status ilki_engine_get(ilk_store *s, const char *const *ids, size_t n, ilk_hits **out, ilk_error *err)
{
    ilk_hits *h = NULL;
    ilk_status st = ilki_engine_hits_new(&h, n, true, err);
    *out = NULL;
    for (size_t i = 0; !st && i < n; i++) {
        ilki_found found = {.score = NAN};
        st = s->backend->type->get(s->backend, ids[i], true, &found.record, err);
        if (!st)
            st = ilki_engine_hits_set(h, i, s, &(ilki_answer){.found = &found, .n = 1}, err);
        else if (st == ILK_NOT_FOUND)
            st = ILK_OK;
    }
    if (st)
        ilki_engine_hits_free(h);
    else
        *out = h;
    return st;
}

ilk_status ilki_engine_scan(ilk_store *s, const ilk_filter *filter, const char *after, size_t limit, ilk_hits **out,
                            ilk_error *err)
{
    ilk_hits *h = NULL;
    size_t n = 0;
    *out = NULL;
    ilki_record **records = ilki_base_zalloc(limit, sizeof *records);
    ilki_found *found = ilki_base_zalloc(limit, sizeof *found);
    ilk_status st = records && found ? ILK_OK : ilki_base_fail_memory(err, limit * sizeof *found, "a page");
    if (!st)
        st = s->backend->type->scan(s->backend, filter, after, limit, records, &n, err);
    for (size_t i = 0; !st && i < n; i++)
        found[i] = (ilki_found){.score = NAN, .record = records[i]};
    if (!st)
        st = ilki_engine_hits_new(&h, 1, false, err);
    if (!st)
        st = ilki_engine_hits_set(h, 0, s, &(ilki_answer){.found = found, .n = n}, err);
    else
        for (size_t i = 0; i < n; i++)
            ilki_store_record_free(records[i]);
    if (st)
        ilki_engine_hits_free(h);
    else
        *out = h;
    free(records);
    free(found);
    return st;
}

ilk_status ilki_engine_check(ilk_store *s, bool repair, ilk_finding_fn found, void *user, ilk_job *job, ilk_error *err)
{
    if (!(s->backend->type->capabilities(s->backend) & ILKI_CAP_CHECK))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "backend \"%s\" cannot check itself", s->backend->type->name);
    return ilki_engine_local_check(s->backend, repair, found, user, job, err);
}

ilk_status ilki_engine_info(ilk_store *s, ilk_store_info *info, ilk_error *err)
{
    ilki_store *store = ilki_engine_local_store(s->backend);
    if (!store)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "backend \"%s\" has no figures", s->backend->type->name);
    ilk_status st = ilki_store_refresh(store, err);
    if (!st)
        st = ilki_store_info(store, info, err);
    info->path = s->path;
    return st;
}
