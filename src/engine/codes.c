/* SPDX-License-Identifier: Apache-2.0
 * An index is made at the first query of its space: its derived file is loaded where that is sound and not ahead of the
 * log, then it follows the store's changes before every query. The store is never asked for changes with the shared
 * lock held, because the store may make callers wait for one of its connections. */
#include "engine/codes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

enum { SAVE_WHILE_OPEN = 1 << 17 /* changed rows */, CHECK_SAMPLES = 20000 };

static const ilki_index_type *flat(void)
{
    return ilki_index_find_type("flat");
}

static ilki_index_spec spec_of(const ilki_codes *c, const ilki_space_codes *sc)
{
    return (ilki_index_spec){
        .type = "flat", .dim = sc->space->dim, .metric = sc->space->metric, .ops = c->rt->ops, .pool = c->rt->pool};
}

static void drop(ilki_space_codes *sc)
{
    if (sc->ix)
        sc->ix->type->free(sc->ix);
    sc->ix = NULL;
    sc->upto = 0;
    sc->n_changed = 0;
}

/* Where the codes of a space are kept; freed with free(). */
static ilk_status file_of(const ilki_codes *c, const ilki_space_codes *sc, char **path, ilk_error *err)
{
    uint8_t hash[32];
    char name[32] = "flat-";
    ilki_base_sha256(sc->space->name, strlen(sc->space->name), hash);
    ilki_base_hex(hash, 8, name + 5);
    return ilki_store_derived_path(c->store, name, path, err);
}

/* A loaded index, or an empty one. */
static ilk_status make(ilki_codes *c, ilki_space_codes *sc, bool fresh, ilk_error *err)
{
    ilki_index_spec spec = spec_of(c, sc);
    char *path = NULL;
    ilk_error why;
    ilk_error_init_sized(&why, sizeof why);
    drop(sc);
    ilk_status st = file_of(c, sc, &path, err);
    if (st)
        return st;
    st = fresh ? ILK_NOT_FOUND : flat()->load(&sc->ix, &spec, c->rt->vfs, path, c->no_mmap, &sc->upto, &why);
    free(path);
    if (st && st != ILK_NOT_FOUND)
        ilki_base_log(c->rt, ILK_LOG_WARN, "the codes of space \"%s\" are made again: %s", sc->space->name,
                      why.message);
    if (!st)
        return ILK_OK;
    sc->upto = 0;
    return flat()->new_(&sc->ix, &spec, err);
}

static ilk_status save(ilki_codes *c, ilki_space_codes *sc, ilk_error *err)
{
    char *path = NULL;
    ilk_status st = file_of(c, sc, &path, err);
    if (!st)
        st = sc->ix->type->save(sc->ix, c->rt->vfs, path, sc->upto, err);
    if (!st)
        sc->n_changed = 0;
    free(path);
    return st;
}

typedef struct follow {
    ilki_space_codes *sc;
    ilk_job *job;
    ilk_status status;
    ilk_error *err;
    size_t n;
    bool stopped;
} follow;

static bool apply_change(void *user, const ilki_change *ch)
{
    follow *f = user;
    if (f->n++ % 1024 == 0 && (f->status = ilki_base_job_check(f->job, f->err)))
        return false;
    if (ch->old)
        f->sc->ix->type->remove(f->sc->ix, ch->old);
    if (ch->lsn && ch->vector)
        f->status = f->sc->ix->type->add(f->sc->ix, ch->lsn, ch->vector->data, f->err);
    f->sc->n_changed += ch->old || ch->vector;
    return f->status == ILK_OK;
}

static bool see_change(void *user, const ilki_change *ch)
{
    (void)ch;
    ((follow *)user)->stopped = true;
    return false;
}

/* With the exclusive lock: makes the index where there is none and applies what is new. A failure drops it. */
static ilk_status catch_up(ilki_codes *c, ilki_space_codes *sc, bool fresh, ilk_job *job, ilk_error *err)
{
    follow f = {.sc = sc, .job = job, .err = err};
    uint64_t upto = 0;
    ilk_status st = ILK_OK;
    if (!sc->ix || fresh)
        st = make(c, sc, fresh, err);
    if (!st)
        st = ilki_store_changes(c->store, sc->upto, sc->space->name, apply_change, &f, &upto, err);
    if (st == ILK_MISMATCH && sc->upto && !fresh) /* codes of changes that the log has lost */
        return catch_up(c, sc, true, job, err);
    if (!st)
        st = f.status;
    if (st)
        drop(sc);
    else
        sc->upto = upto;
    return st;
}

ilk_status ilki_engine_codes_update(ilki_codes *c, ilki_space_codes *sc, bool fresh, ilk_job *job, uint64_t *upto,
                                    ilk_error *err)
{
    follow f = {.sc = sc};
    ilk_status st = c->read_only ? ilki_store_refresh(c->store, err) : ILK_OK;
    if (st)
        return st;
    pthread_rwlock_rdlock(&c->lock);
    uint64_t since = sc->upto;
    bool must = !sc->ix || fresh;
    pthread_rwlock_unlock(&c->lock);
    *upto = since;
    if (!must) {
        uint64_t unused;
        st = ilki_store_changes(c->store, since, NULL, see_change, &f, &unused, err);
        if (st || !f.stopped)
            return st;
    }
    pthread_rwlock_wrlock(&c->lock);
    st = catch_up(c, sc, fresh, job, err);
    *upto = sc->upto;
    bool grown = !st && !c->read_only && sc->n_changed > SAVE_WHILE_OPEN &&
                 sc->n_changed > sc->ix->type->count(sc->ix) / 4;
    if (grown && save(c, sc, NULL))
        sc->n_changed = 0; /* told at close, if it still fails */
    pthread_rwlock_unlock(&c->lock);
    return st;
}

ilk_status ilki_engine_codes_find(ilki_codes *c, const char *name, ilki_space_codes **out, ilk_error *err)
{
    const ilk_space *space = NULL, *found = NULL;
    size_t n_dense = 0;
    *out = NULL;
    for (size_t i = 0; ilki_store_space(c->store, i, &space, NULL) == ILK_OK; i++) {
        n_dense += space->kind == ILK_DENSE;
        if (name ? strcmp(space->name, name) == 0 : space->kind == ILK_DENSE)
            found = space;
    }
    if (!found || (!name && n_dense > 1))
        return ilki_base_fail(err, ILK_MISMATCH, name ? "the store has no space \"%s\"" : "the query names no space%s",
                              name      ? name
                              : n_dense ? " and the store has several"
                                        : " and the store has none");
    if (found->kind != ILK_DENSE)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "space \"%s\": this backend searches dense vectors only", name);
    pthread_rwlock_wrlock(&c->lock);
    for (size_t i = 0; i < c->n && !*out; i++)
        if (c->spaces[i]->space == found)
            *out = c->spaces[i];
    if (!*out && c->n == c->cap) {
        ilki_space_codes **more = realloc(c->spaces, (c->cap + 8) * sizeof *more);
        if (more) {
            c->spaces = more;
            c->cap += 8;
        }
    }
    if (!*out && c->n < c->cap && (*out = ilki_base_zalloc(1, sizeof **out))) {
        (*out)->space = found;
        c->spaces[c->n++] = *out;
    }
    pthread_rwlock_unlock(&c->lock);
    return *out ? ILK_OK : ilki_base_fail_memory(err, sizeof **out, "a space");
}

/* Codes follow the log at the end of a session that wrote, where enough has changed: a later start then has little to
 * catch up with. Their loss costs time only. */
void ilki_engine_codes_save(ilki_codes *c)
{
    const ilk_space *space;
    ilk_error err;
    ilk_error_init_sized(&err, sizeof err);
    for (size_t i = 0; ilki_store_space(c->store, i, &space, NULL) == ILK_OK; i++) {
        ilki_space_codes *sc;
        if (space->kind != ILK_DENSE || ilki_engine_codes_find(c, space->name, &sc, NULL))
            continue;
        ilk_status st = catch_up(c, sc, false, NULL, &err);
        if (!st && sc->n_changed * 32 > sc->ix->type->count(sc->ix))
            st = save(c, sc, &err);
        if (st)
            ilki_base_log(c->rt, ILK_LOG_WARN, "the codes of space \"%s\" could not be saved: %s", space->name,
                          err.message);
    }
}

void ilki_engine_codes_deinit(ilki_codes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        drop(c->spaces[i]);
        free(c->spaces[i]);
    }
    free(c->spaces);
    c->spaces = NULL;
    c->n = c->cap = 0;
}

/* ------------------------------------------------------------------ check */

typedef struct comparison {
    ilki_space_codes *sc;
    ilk_job *job;
    ilk_error *err;
    ilk_status status;
    size_t n, step, n_wrong;
} comparison;

/* An item's own vector must find the item, with about its exact score: two quantisations cost less than 2 %. */
static bool compare_one(void *user, const ilki_change *ch)
{
    comparison *k = user;
    ilki_candidate got = {0};
    size_t n = 0;
    if (!ch->lsn || !ch->vector)
        return true;
    if (k->n++ % k->step)
        return true;
    const float *v = ch->vector->data;
    size_t dim = k->sc->space->dim;
    ilki_index_query q = {.vector = v, .k = 1, .n_candidates = 1, .allowed = &ch->lsn, .n_allowed = 1};
    if ((k->status = ilki_base_job_check(k->job, k->err)) ||
        (k->status = k->sc->ix->type->search(k->sc->ix, &q, NULL, &got, &n, k->err)))
        return false;
    double norm = sqrt((double)ilki_index_score(ILK_DOT, v, v, dim));
    double scale = k->sc->space->metric == ILK_COSINE ? 1 : k->sc->space->metric == ILK_DOT ? norm * norm : norm;
    double want = (double)ilki_index_score(k->sc->space->metric, v, v, dim);
    /* a distance is the root of a small difference of large numbers */
    double bound = scale * (k->sc->space->metric == ILK_NEG_L2 ? 0.2 : 0.02);
    k->n_wrong += n != 1 || fabs((double)got.score - want) > bound;
    return true;
}

/* What is wrong with an index that is up to date, or ""; *moved: somebody wrote meanwhile, nothing can be said. */
static ilk_status compare(ilki_codes *c, ilki_space_codes *sc, ilk_job *job, char *finding, size_t room, bool *moved,
                          ilk_error *err)
{
    comparison k = {.sc = sc, .job = job, .err = err};
    ilk_error why;
    uint64_t upto;
    ilk_error_init_sized(&why, sizeof why);
    size_t n = sc->ix->type->count(sc->ix);
    k.step = n / CHECK_SAMPLES + 1;
    *finding = '\0';
    *moved = false;
    if (sc->ix->type->check(sc->ix, &why)) {
        snprintf(finding, room, "%s", why.message);
        return ILK_OK;
    }
    ilk_status st = ilki_store_changes(c->store, 0, sc->space->name, compare_one, &k, &upto, err);
    if (!st)
        st = k.status;
    *moved = !st && upto != sc->upto;
    if (*moved)
        return ILK_OK;
    if (!st && k.n != n)
        snprintf(finding, room, "holds the codes of %zu items, the log has %zu", n, k.n);
    else if (!st && k.n_wrong)
        snprintf(finding, room, "%zu of %zu codes do not fit their vectors", k.n_wrong, (k.n + k.step - 1) / k.step);
    return st;
}

/* What keeps the file of a space from being loaded, or "". */
static ilk_status look_at_file(const ilki_codes *c, const ilki_space_codes *sc, char *finding, size_t room,
                               ilk_error *err)
{
    ilki_index_spec spec = spec_of(c, sc);
    ilki_index *ix = NULL;
    uint64_t upto;
    char *path = NULL;
    ilk_error why;
    ilk_error_init_sized(&why, sizeof why);
    *finding = '\0';
    ilk_status st = file_of(c, sc, &path, err);
    if (st)
        return st;
    ilk_status got = flat()->load(&ix, &spec, c->rt->vfs, path, c->no_mmap, &upto, &why);
    free(path);
    if (ix)
        ix->type->free(ix);
    if (got == ILK_NO_MEMORY) {
        ilki_base_error_copy(err, &why);
        return got;
    }
    if (got && got != ILK_NOT_FOUND)
        snprintf(finding, room, "%s", why.message);
    return ILK_OK;
}

ilk_status ilki_engine_codes_check(ilki_codes *c, bool repair, ilk_finding_fn found, void *user, ilk_job *job,
                                   ilk_error *err)
{
    const ilk_space *space;
    ilk_status st = c->read_only ? ilki_store_refresh(c->store, err) : ILK_OK;
    for (size_t i = 0; !st && ilki_store_space(c->store, i, &space, NULL) == ILK_OK; i++) {
        ilki_space_codes *sc;
        char finding[1024], object[300];
        bool repaired = false;
        if (space->kind != ILK_DENSE)
            continue;
        st = ilki_engine_codes_find(c, space->name, &sc, err);
        if (st)
            break;
        pthread_rwlock_wrlock(&c->lock);
        drop(sc); /* what is on disk is to be checked */
        st = look_at_file(c, sc, finding, sizeof finding, err);
        bool moved = !*finding;
        for (int again = 0; !st && moved && again < 4; again++) {
            st = catch_up(c, sc, false, job, err);
            if (!st)
                st = compare(c, sc, job, finding, sizeof finding, &moved, err);
        }
        if (!st && *finding && repair) {
            st = catch_up(c, sc, true, job, err);
            repaired = !st && !c->read_only && save(c, sc, NULL) == ILK_OK;
        } else if (!st && *finding) {
            drop(sc);
        }
        pthread_rwlock_unlock(&c->lock);
        snprintf(object, sizeof object, "codes of space \"%.256s\"", space->name);
        if (!st && *finding && found)
            found(user, object, finding, repaired);
    }
    return st;
}
