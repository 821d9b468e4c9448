/* SPDX-License-Identifier: Apache-2.0
 * The local row: items in the store, one flat index in memory per dense space, labels are LSNs.
 *
 * What a search finds is read from the store again, so an item that was replaced meanwhile shows as NOT_FOUND: the query
 * is then repeated, at last with the index made again from the log. */
#include "engine/local.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/codes.h"
#include "engine/selection.h"

enum { MAX_ATTEMPTS = 5, ALIKE = 64 /* queries of one walk */, ALIKE_CANDIDATES = 1 << 20 };

typedef struct local {
    ilki_backend base;
    ilki_store *store;
    bool read_only;
    atomic_bool wrote;
    ilki_codes codes;
    ilki_selections selections;
} local;

static local *of(ilki_backend *b)
{
    return (local *)b;
}

/* ------------------------------------------------------------------ query */

typedef struct lookup {
    local *l;
    ilki_space_codes *sc;
    bool moved; /* a label is no longer current */
    bool store_failed;
    const ilki_candidate *given; /* [n_given] of a walk for several; NULL: none */
    size_t n_given;
} lookup;

static ilk_status fetch(void *user, uint64_t label, float *to, ilk_error *err)
{
    lookup *u = user;
    ilk_status st = ilki_store_get_dense(u->l->store, label, u->sc->space->name, to, u->sc->space->dim, err);
    u->moved |= st == ILK_NOT_FOUND;
    u->store_failed |= st != ILK_OK;
    return st;
}

static int by_score_then_id(const void *a, const void *b)
{
    const ilki_found *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->record->item.id, y->record->item.id);
}

static void free_found(ilki_found *found, size_t from, size_t n)
{
    for (size_t i = from; i < n; i++) {
        ilki_store_record_free(found[i].record);
        found[i].record = NULL;
    }
}

/* Reads the records of candidates down to the score of the k-th and puts equal scores in order of id. */
static ilk_status resolve(lookup *u, const ilki_candidate *c, size_t n, size_t k, float floor, ilki_found *out,
                          size_t *n_out, ilk_error *err)
{
    ilk_status st = ILK_OK;
    size_t got = 0;
    if (n > k)
        while (n > k && c[n - 1].score < c[k - 1].score)
            n--;
    ilki_found *all = ilki_base_zalloc(n, sizeof *all);
    if (!all)
        return ilki_base_fail_memory(err, n * sizeof *all, "results");
    for (; !st && got < n && !(c[got].score < floor); got += !st) {
        all[got].score = c[got].score;
        st = ilki_store_get_lsn(u->l->store, c[got].label, false, &all[got].record, err);
        u->moved |= st == ILK_NOT_FOUND;
        u->store_failed |= st != ILK_OK;
    }
    if (st) {
        free_found(all, 0, got);
    } else {
        if (got > 1)
            qsort(all, got, sizeof *all, by_score_then_id);
        *n_out = got < k ? got : k;
        free_found(all, *n_out, got);
        memcpy(out, all, *n_out * sizeof *all);
    }
    free(all);
    return st;
}

static size_t n_candidates(const ilk_query *q, size_t want)
{
    return q->candidates > want ? q->candidates : want > 16 ? 4 * want : 64;
}

static size_t first_want(const ilk_query *q)
{
    return (q->k ? q->k : ILKI_DEFAULT_K) + 8;
}

/* One search under the shared lock. Asks for more than k until the ties at the k-th are all in. */
static ilk_status search(lookup *u, const ilk_query *q, const uint64_t *allowed, size_t n_allowed, ilk_job *job,
                         ilki_found *found, size_t *n_found, ilk_error *err)
{
    size_t k = q->k ? q->k : ILKI_DEFAULT_K, want = first_want(q), n = 0;
    ilki_candidate *c = NULL;
    ilk_status st = ILK_OK;
    pthread_rwlock_rdlock(&u->l->codes.lock);
    ilki_index *ix = u->sc->ix;
    for (; ix && !st; want *= 2) {
        ilki_candidate *more = realloc(c, want * sizeof *c);
        if (!more) {
            st = ilki_base_fail_memory(err, want * sizeof *c, "candidates");
            break;
        }
        c = more;
        ilki_index_query iq = {.vector = q->vector.data,
                               .k = want,
                               .n_candidates = n_candidates(q, want),
                               .allowed = allowed,
                               .n_allowed = n_allowed,
                               .fetch = fetch,
                               .fetch_user = u,
                               .given = want == first_want(q) ? u->given : NULL,
                               .n_given = u->n_given};
        st = ix->type->search(ix, &iq, job, c, &n, err);
        if (!st && (n < want || c[n - 1].score < c[k - 1].score))
            break;
    }
    pthread_rwlock_unlock(&u->l->codes.lock);
    if (!st && !ix) {
        u->moved = true; /* dropped by another thread's failure */
        st = ilki_base_fail(err, ILK_BUSY, "the index of space \"%s\" is being made", u->sc->space->name);
    }
    if (!st)
        st = resolve(u, c, n, k, q->min_score, found, n_found, err);
    free(c);
    return st;
}

/* LSNs that pass the filter and an index that has seen neither less nor more, so that no item is missed because it was
 * replaced between the two; under a stream of writes the last try stands. */
static ilk_status prepare(lookup *u, const ilk_filter *filter, bool fresh, ilk_job *job, uint64_t **allowed,
                          size_t *n_allowed, ilk_error *err)
{
    uint64_t before, after;
    uint8_t key[32];
    ilk_status st = ilki_engine_codes_update(&u->l->codes, u->sc, fresh, job, &before, err);
    if (st || !filter)
        return st;
    ilki_engine_selection_key(filter, key);
    if (!fresh && ilki_engine_selection_find(&u->l->selections, key, before, allowed, n_allowed))
        return ILK_OK;
    for (int i = 0; !st && i < 4; i++) {
        free(*allowed);
        *allowed = NULL;
        st = ilki_store_select(u->l->store, filter, allowed, n_allowed, err);
        if (!st)
            st = ilki_engine_codes_update(&u->l->codes, u->sc, false, job, &after, err);
        if (!st && after == before)
            ilki_engine_selection_keep(&u->l->selections, key, before, *allowed, *n_allowed);
        if (st || after == before)
            break;
        before = after;
    }
    return st;
}

static ilk_status check_vector(const ilk_query *q, const ilk_space *s, ilk_error *err)
{
    if (q->vector.dim != s->dim)
        return ilki_base_fail(err, ILK_MISMATCH, "query: space \"%s\" has dimension %u, the vector has %u", s->name,
                              s->dim, q->vector.dim);
    if (q->vector.rows > 1 || q->vector.indices)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "query: this backend takes one dense vector");
    for (uint32_t i = 0; i < q->vector.dim; i++)
        if (!isfinite(q->vector.data[i]))
            return ilki_base_fail(err, ILK_NOT_FINITE, "query: entry %u of its vector is not finite", i);
    return ILK_OK;
}

static ilk_status scan(ilki_backend *b, const ilk_filter *filter, const char *after, size_t limit, ilki_record **out,
                       size_t *n, ilk_error *err);

static ilk_status query_without_vector(local *l, const ilk_query *q, ilki_found *found, size_t *n_found, ilk_error *err)
{
    size_t k = q->k ? q->k : ILKI_DEFAULT_K;
    ilki_record **records = ilki_base_zalloc(k, sizeof *records);
    if (!records)
        return ilki_base_fail_memory(err, k * sizeof *records, "results");
    ilk_status st = scan(&l->base, q->filter, NULL, k, records, n_found, err);
    for (size_t i = 0; i < *n_found; i++)
        found[i] = (ilki_found){.score = NAN, .record = records[i]};
    free(records);
    return st;
}

/* `given`: [n_given] candidates of the first try; NULL: none. */
static ilk_status query_given(local *l, const ilk_query *q, const ilki_candidate *given, size_t n_given, ilk_job *job,
                              ilki_found *found, size_t *n_found, ilk_error *err)
{
    lookup u = {.l = l, .given = given, .n_given = n_given};
    *n_found = 0;
    if (q->k > ILKI_MAX_K)
        return ilki_base_fail(err, ILK_LIMIT, "query: k is %u, at most %d", q->k, ILKI_MAX_K);
    if (q->candidates > ILKI_MAX_K)
        return ilki_base_fail(err, ILK_LIMIT, "query: %u candidates, at most %d", q->candidates, ILKI_MAX_K);
    ilk_status st = ilki_engine_check_filter(q->filter, err);
    if (!st && u.l->read_only)
        st = ilki_store_refresh(u.l->store, err);
    if (!st && !q->vector.data)
        return query_without_vector(u.l, q, found, n_found, err);
    if (!st)
        st = ilki_engine_codes_find(&u.l->codes, q->vector.space, &u.sc, err);
    if (!st)
        st = check_vector(q, u.sc->space, err);
    bool fresh = false;
    for (int i = 0; !st && i < MAX_ATTEMPTS; i++) {
        uint64_t *allowed = NULL;
        size_t n_allowed = 0;
        u.moved = u.store_failed = false;
        st = prepare(&u, q->filter, fresh, job, &allowed, &n_allowed, err);
        if (st)
            return free(allowed), st;
        st = search(&u, q, q->filter ? allowed ? allowed : &(uint64_t){0} : NULL, n_allowed, job, found, n_found, err);
        free(allowed);
        bool again = u.moved || (st == ILK_CORRUPT && !u.store_failed);
        u.given = NULL;
        if (!st || !again || i + 1 == MAX_ATTEMPTS)
            break;
        fresh = !u.moved ||
                i + 2 == MAX_ATTEMPTS; /* codes that fail their checksum, or an index that is plainly wrong */
        if (fresh)
            ilki_base_log(u.l->codes.rt, ILK_LOG_INFO, "the codes of space \"%s\" are made again from the log",
                          u.sc->space->name);
        st = ILK_OK;
    }
    return st;
}

static ilk_status query(ilki_backend *b, const ilk_query *q, ilk_job *job, ilki_found *found, size_t *n_found,
                        ilk_error *err)
{
    return query_given(of(b), q, NULL, 0, job, found, n_found, err);
}

/* ------------------------------------------------------------------ several queries */

/* May two queries share a walk? */
static bool are_alike(const ilk_query *a, const ilk_query *b)
{
    return a->vector.data && b->vector.data && a->filter == b->filter && a->k == b->k &&
           a->candidates == b->candidates && a->vector.dim == b->vector.dim &&
           strcmp(a->vector.space, b->vector.space) == 0;
}

/* Candidates of n_q queries that are alike: to[i * step], n[i] of them. What fails here is found again by each query. */
static bool walk(local *l, const ilk_query *q, size_t n_q, ilk_job *job, ilki_candidate *to, size_t step, size_t *n)
{
    lookup u = {.l = l};
    uint64_t *allowed = NULL;
    size_t n_allowed = 0;
    ilki_index_query *all = ilki_base_zalloc(n_q, sizeof *all);
    bool ok = all && !ilki_engine_check_filter(q->filter, NULL) &&
              !ilki_engine_codes_find(&l->codes, q->vector.space, &u.sc, NULL) && u.sc->space->dim == q->vector.dim &&
              !prepare(&u, q->filter, false, job, &allowed, &n_allowed, NULL);
    for (size_t i = 0; ok && i < n_q; i++)
        all[i] = (ilki_index_query){.vector = q[i].vector.data,
                                    .n_candidates = step,
                                    .allowed = q->filter ? allowed ? allowed : &(uint64_t){0} : NULL,
                                    .n_allowed = n_allowed};
    pthread_rwlock_rdlock(&l->codes.lock);
    ilki_index *ix = ok ? u.sc->ix : NULL;
    ok = ix && !ix->type->candidates(ix, all, n_q, job, to, n, NULL);
    pthread_rwlock_unlock(&l->codes.lock);
    free(allowed);
    free(all);
    return ok;
}

/* Queries that are alike, and few. */
static ilk_status query_alike(local *l, const ilk_query *q, size_t n_q, size_t first, ilk_job *job, ilki_found_fn each,
                              void *user, size_t *at, ilk_error *err)
{
    size_t k = q->k ? q->k : ILKI_DEFAULT_K, step = n_candidates(q, first_want(q)), n[ALIKE], n_found, room = 0;
    bool walks = n_q > 1 && k <= ILKI_MAX_K && q->candidates <= ILKI_MAX_K && ilki_base_mul(n_q, step, &room) &&
                 room <= ALIKE_CANDIDATES;
    ilki_candidate *c = walks ? ilki_base_zalloc(room, sizeof *c) : NULL;
    ilki_found *found = k <= ILKI_MAX_K ? ilki_base_zalloc(k, sizeof *found) : ilki_base_zalloc(1, sizeof *found);
    ilk_status st = found ? ILK_OK : ilki_base_fail_memory(err, k * sizeof *found, "results");
    bool given = st == ILK_OK && c && walk(l, q, n_q, job, c, step, n);
    for (size_t i = 0; !st && i < n_q; i++) {
        *at = first + i;
        st = ilki_base_job_check(job, err);
        if (!st)
            st = query_given(l, &q[i], given ? c + i * step : NULL, given ? n[i] : 0, job, found, &n_found, err);
        if (!st)
            st = each(user, first + i, found, n_found, err);
    }
    free(found);
    free(c);
    return st;
}

static ilk_status query_many(ilki_backend *b, const ilk_query *q, size_t n_q, ilk_job *job, ilki_found_fn each,
                             void *user, size_t *at, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0, n = 0; !st && i < n_q; i += n) {
        for (n = 1; n < ALIKE && i + n < n_q && are_alike(&q[i], &q[i + n]);)
            n++;
        st = query_alike(of(b), q + i, n, i, job, each, user, at, err);
    }
    return st;
}

/* ------------------------------------------------------------------ the rest of the row */

static ilk_status open_(ilki_backend **out, ilk_runtime *rt, const char *where, const ilk_store_options *opt,
                        ilk_error *err)
{
    *out = NULL;
    local *l = ilki_base_zalloc(1, sizeof *l);
    if (!l)
        return ilki_base_fail_memory(err, sizeof *l, "a store");
    int rc = pthread_rwlock_init(&l->codes.lock, NULL);
    if (rc || !ilki_engine_selections_init(&l->selections)) {
        if (!rc)
            pthread_rwlock_destroy(&l->codes.lock);
        free(l);
        return ilki_base_fail_errno(err, ILK_IO, rc ? rc : EAGAIN, "lock of a store");
    }
    l->base.type = &ilki_engine_local;
    ilki_store_open_options o = {.vfs = rt->vfs,
                                 .rt = rt,
                                 .sync = opt->sync,
                                 .read_only = opt->read_only,
                                 .no_create = opt->no_create,
                                 .no_mmap = opt->no_mmap,
                                 .repair = opt->repair != 0};
    ilk_status st = ilki_store_open(&l->store, where, &o, err);
    l->read_only = !st && ilki_store_is_read_only(l->store);
    l->codes.rt = rt;
    l->codes.store = l->store;
    l->codes.read_only = l->read_only;
    l->codes.no_mmap = opt->no_mmap;
    if (st)
        ilki_engine_local.close(&l->base);
    else
        *out = &l->base;
    return st;
}

static void close_(ilki_backend *b)
{
    local *l = of(b);
    if (!l)
        return;
    bool forked = l->codes.rt && ilki_base_runtime_check(l->codes.rt, NULL) != ILK_OK;
    if (l->store && l->wrote && !forked)
        ilki_engine_codes_save(&l->codes);
    ilki_engine_codes_deinit(&l->codes);
    if (!forked) /* its connections, locks and service thread are the parent's: a child leaves them alone */
        ilki_store_close(l->store);
    ilki_engine_selections_deinit(&l->selections);
    pthread_rwlock_destroy(&l->codes.lock);
    free(l);
}

static uint32_t capabilities(const ilki_backend *b)
{
    const local *l = (const local *)b;
    return ILKI_CAP_FILTER | ILKI_CAP_EXACT | ILKI_CAP_SOURCES | ILKI_CAP_CHECK |
           (l->read_only ? ILKI_CAP_READ_ONLY : 0U);
}

static ilk_status upsert(ilki_backend *b, const ilki_batch *batch, ilk_job *job, ilk_error *err)
{
    ilk_status st = ilki_store_write(of(b)->store, batch, job, NULL, err);
    if (!st) {
        of(b)->wrote = true;
    }
    return st;
}

static ilk_status ensure(ilki_backend *b, const ilk_space *s, ilk_error *err)
{
    ilki_batch batch = {.spaces = s, .n_spaces = 1};
    return upsert(b, &batch, NULL, err);
}

static ilk_status space(ilki_backend *b, size_t i, const ilk_space **out, ilk_error *err)
{
    ilk_status st = of(b)->read_only ? ilki_store_refresh(of(b)->store, err) : ILK_OK;
    return st ? st : ilki_store_space(of(b)->store, i, out, err);
}

static ilk_status remove_(ilki_backend *b, const char *const *ids, size_t n, ilk_error *err)
{
    ilki_batch batch = {.deletes = ids, .n_deletes = n};
    return upsert(b, &batch, NULL, err);
}

static ilk_status get(ilki_backend *b, const char *id, bool vectors, ilki_record **out, ilk_error *err)
{
    ilk_status st = of(b)->read_only ? ilki_store_refresh(of(b)->store, err) : ILK_OK;
    *out = NULL;
    return st ? st : ilki_store_get(of(b)->store, id, vectors, out, err);
}

typedef struct page {
    ilki_arena arena;
    const char **ids;
    size_t n, limit;
    bool no_memory;
} page;

static bool add_to_page(void *user, uint64_t lsn, const char *id, const char *parent)
{
    page *p = user;
    (void)lsn, (void)parent;
    const char *copy = ilki_base_arena_strndup(&p->arena, id, strlen(id));
    if (!copy)
        return !(p->no_memory = true);
    p->ids[p->n++] = copy;
    return p->n < p->limit;
}

static ilk_status scan(ilki_backend *b, const ilk_filter *filter, const char *after, size_t limit, ilki_record **out,
                       size_t *n, ilk_error *err)
{
    local *l = of(b);
    page p = {.limit = limit};
    *n = 0;
    if (limit == 0)
        return ILK_OK;
    ilk_status st = ilki_engine_check_filter(filter, err);
    if (!st && l->read_only)
        st = ilki_store_refresh(l->store, err);
    if (!st && !(p.ids = ilki_base_zalloc(limit, sizeof *p.ids)))
        st = ilki_base_fail_memory(err, limit * sizeof *p.ids, "a page");
    if (!st)
        st = ilki_store_scan(l->store, filter, after, add_to_page, &p, err);
    if (!st && p.no_memory)
        st = ilki_base_fail_memory(err, p.arena.total_bytes, "a page");
    for (size_t i = 0; !st && i < p.n; i++) {
        st = ilki_store_get(l->store, p.ids[i], false, &out[*n], err);
        *n += !st;
        if (st == ILK_NOT_FOUND) /* deleted since it was listed */
            st = ILK_OK;
    }
    while (st && *n)
        ilki_store_record_free(out[--*n]);
    free(p.ids);
    ilki_base_arena_deinit(&p.arena);
    return st;
}

static ilk_status count(ilki_backend *b, const ilk_filter *filter, uint64_t *n, ilk_error *err)
{
    ilk_status st = ilki_engine_check_filter(filter, err);
    if (!st && of(b)->read_only)
        st = ilki_store_refresh(of(b)->store, err);
    return st ? st : ilki_store_count(of(b)->store, filter, n, err);
}

const ilki_backend_type ilki_engine_local = {
    .name = "local",
    .open = open_,
    .close = close_,
    .capabilities = capabilities,
    .ensure = ensure,
    .space = space,
    .upsert = upsert,
    .remove = remove_,
    .query = query,
    .query_many = query_many,
    .get = get,
    .scan = scan,
    .count = count,
};

ilki_store *ilki_engine_local_store(ilki_backend *b)
{
    return b && b->type == &ilki_engine_local ? of(b)->store : NULL;
}

ilk_status ilki_engine_local_check(ilki_backend *b, bool repair, ilk_finding_fn found, void *user, ilk_job *job,
                                   ilk_error *err)
{
    local *l = of(b);
    ilk_status st = ilki_store_check(l->store, repair, found, user, job, err);
    return st ? st : ilki_engine_codes_check(&l->codes, repair, found, user, job, err);
}
