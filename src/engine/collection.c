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

static ilk_status no_space_called(const ilk_store *s, const char *name, ilk_error *err)
{
    const ilk_space *space = NULL;
    ilki_buf others;
    ilki_base_buf_init(&others, 4096);
    for (size_t i = 0; s->backend->type->space(s->backend, i, &space, NULL) == ILK_OK; i++)
        ilki_base_buf_addf(&others, "%s\"%s\"", i ? ", " : "", space->name);
    ilk_status st = ilki_base_fail(err, ILK_MISMATCH, "store %s has no space \"%s\"; it has %s", s->path, name,
                                   others.len ? ilki_base_buf_view(&others) : "none");
    ilki_base_buf_deinit(&others);
    return st;
}

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
        return no_space_called(s, name, err);
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

ilk_status ilki_engine_check_precision(const ilk_store *s, const ilk_space *space, const char *precision,
                                       ilk_error *err)
{
    if (!space->precision || strcmp(space->precision, precision) == 0)
        return ILK_OK;
    return ilki_base_fail(err, ILK_MISMATCH, "the vectors of %s were made with precision %s, this model has %s",
                          s->path, space->precision, precision);
}

/* ------------------------------------------------------------------ questions */

/* A query as backends take it: its space by name. */
static ilk_status name_space(ilk_store *s, ilk_query *q, const ilk_space **space, ilk_error *err)
{
    size_t k = q->k ? q->k : ILKI_DEFAULT_K;
    *space = NULL;
    if (k > ILKI_MAX_K)
        return ilki_base_fail(err, ILK_LIMIT, "query: k is %zu, at most %d", k, ILKI_MAX_K);
    ilk_status st = q->vector.data ? ilki_engine_space_by_name(s, q->vector.space, space, err) : ILK_OK;
    if (!st && *space)
        q->vector.space = (*space)->name;
    return st;
}

typedef struct answers {
    ilk_store *s;
    ilk_hits *h;
    const ilk_space **spaces; /* [queries] */
} answers;

static ilk_status take_found(void *user, size_t i, ilki_found *found, size_t n, ilk_error *err)
{
    const answers *a = user;
    ilki_answer one = {ilki_engine_score_kind(a->spaces[i]), a->spaces[i], found, n};
    return ilki_engine_hits_set(a->h, i, a->s, &one, err);
}

static ilk_status one_by_one(answers *a, const ilk_query *q, size_t n_q, ilk_job *job, size_t *at, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (*at = 0; !st && *at < n_q; *at += !st) {
        size_t n = 0, k = q[*at].k ? q[*at].k : ILKI_DEFAULT_K;
        ilki_found *found = ilki_base_zalloc(k, sizeof *found);
        st = found ? ilki_base_job_check(job, err) : ilki_base_fail_memory(err, k * sizeof *found, "results");
        if (!st)
            st = a->s->backend->type->query(a->s->backend, &q[*at], job, found, &n, err);
        if (!st)
            st = take_found(a, *at, found, n, err);
        free(found);
    }
    return st;
}

ilk_status ilki_engine_query(ilk_store *s, const ilk_query *q, size_t n_q, ilk_job *job, ilk_hits **out, ilk_error *err)
{
    const ilki_backend_type *type = s->backend->type;
    answers a = {.s = s, .spaces = ilki_base_zalloc(n_q, sizeof *a.spaces)};
    ilk_query *named = ilki_base_zalloc(n_q, sizeof *named);
    size_t at = 0;
    *out = NULL;
    ilk_status st = a.spaces && named ? ilki_engine_hits_new(&a.h, n_q, false, err)
                                      : ilki_base_fail_memory(err, n_q * sizeof *named, "queries");
    for (size_t i = 0; !st && i < n_q; i++) {
        at = i;
        named[i] = q[i];
        st = name_space(s, &named[i], &a.spaces[i], err);
    }
    if (!st && n_q > 1 && type->query_many)
        st = type->query_many(s->backend, named, n_q, job, take_found, &a, &at, err);
    else if (!st)
        st = one_by_one(&a, named, n_q, job, &at, err);
    if (st && n_q > 1)
        ilki_base_error_prefix(err, "query %zu", at);
    if (st)
        ilki_engine_hits_free(a.h);
    else
        *out = a.h;
    free(named);
    free(a.spaces);
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
