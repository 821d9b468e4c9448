/* SPDX-License-Identifier: Apache-2.0
 * A lane is a helper and the file that it reads ahead. Who asks for a picture gets a lane that nobody works with, has the
 * lane's helper asked for one more file, whose answer goes to the other slot of its memory, and waits for the file that
 * was asked for before. So the helper finds its next request when it has answered, and no picture waits for somebody to
 * wake up. At the end of the files, and while others wait for helpers, none is asked for ahead.
 *
 * A helper that is lost loses the file it was at; the one that waited behind it is asked for again, of another helper. */
#include "media/series.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/wait.h"
#include "media/process.h"

enum {
    WAIT_NS = 10 * 1000 * 1000,
    MOST_AHEAD = 1 << 20 /* of a larger file the pixels, a second time in memory, cost more than the wake-up */
};
#define NONE SIZE_MAX

typedef struct ilki_media_lane {
    ilki_media_process *p; /* NULL: none so far, or it was lost */
    bool busy;             /* somebody works with it */
    bool asked;            /* for `ahead` */
    size_t ahead;          /* the file whose turn is next here; or NONE */
    unsigned slot;         /* of the next answer */
} lane;

struct ilki_media_series {
    ilki_media *m;
    ilki_media_wish_fn wish;
    void *user;
    size_t n, next;       /* files; the first that no lane has */
    pthread_mutex_t lock; /* guards `next`, and of a lane that is not busy everything */
    pthread_cond_t freed;
    size_t n_lanes;
    lane lanes[];
};

/* ---- life */

ilk_status ilki_media_series_new(ilki_media_series **out, ilki_media *m, size_t n, ilki_media_wish_fn wish, void *user,
                                 ilk_error *err)
{
    size_t n_lanes = ilki_media_most(m), bytes = sizeof **out + n_lanes * sizeof(lane);
    ilki_media_series *s = ilki_base_zalloc(1, bytes);
    *out = NULL;
    if (!s)
        return ilki_base_fail_memory(err, bytes, "a series of pictures");
    int e = ilki_base_wait_init(&s->lock, &s->freed);
    if (e != 0) {
        free(s);
        return ilki_base_fail_errno(err, ILK_IO, e, "the lock of a series of pictures could not be made");
    }
    s->m = m;
    s->n = n;
    s->wish = wish;
    s->user = user;
    s->n_lanes = n_lanes;
    for (size_t i = 0; i < n_lanes; i++)
        s->lanes[i].ahead = NONE;
    *out = s;
    return ILK_OK;
}

void ilki_media_series_free(ilki_media_series *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_lanes; i++) {
        lane *l = &s->lanes[i];
        if (l->p && l->asked) /* nobody wants to know any more */
            ilki_media_discard(s->m, l->p);
        else if (l->p)
            ilki_media_give(s->m, l->p);
    }
    pthread_cond_destroy(&s->freed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- lanes */

/* One that nobody works with and that has a file, or a helper, or nothing; NULL: none that there is anything to do for. */
static lane *find_free(ilki_media_series *s)
{
    lane *best = NULL;
    for (size_t i = 0; i < s->n_lanes; i++) {
        lane *l = &s->lanes[i];
        if (l->busy || (l->ahead == NONE && s->next == s->n))
            continue;
        if (!best || l->ahead < best->ahead || (l->ahead == best->ahead && l->p && !best->p))
            best = l;
    }
    return best;
}

static bool is_left(const ilki_media_series *s)
{
    bool left = s->next < s->n;
    for (size_t i = 0; !left && i < s->n_lanes; i++)
        left = s->lanes[i].ahead != NONE;
    return left;
}

/* A lane, the file to be waited for, and whether its helper reads it; the lane's `ahead` is the file behind it. */
static ilk_status enter(ilki_media_series *s, ilk_job *job, lane **out, size_t *now, bool *asked, ilk_error *err)
{
    ilk_status st = ILK_OK;
    lane *l = NULL;
    bool wanted = ilki_media_wanted(s->m);
    pthread_mutex_lock(&s->lock);
    while (st == ILK_OK && is_left(s) && !(l = find_free(s))) {
        ilki_base_wait_for(&s->lock, &s->freed, WAIT_NS);
        st = ilki_base_job_check(job, err);
    }
    if (l) {
        l->busy = true;
        *asked = l->asked;
        *now = l->ahead != NONE ? l->ahead : s->next++;
        l->asked = false;
        bool more = !wanted && s->n - s->next >= s->n_lanes && !(l->p && ilki_media_is_worn(s->m, l->p, 2));
        l->ahead = more ? s->next++ : NONE;
    }
    pthread_mutex_unlock(&s->lock);
    *out = l;
    return st;
}

static void leave(ilki_media_series *s, lane *l)
{
    bool wanted = ilki_media_wanted(s->m);
    pthread_mutex_lock(&s->lock);
    bool over = l->ahead == NONE && l->p && (wanted || s->next == s->n || ilki_media_is_worn(s->m, l->p, 0));
    ilki_media_process *p = over ? l->p : NULL;
    if (p)
        l->p = NULL;
    l->busy = false;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->lock);
    if (p)
        ilki_media_give(s->m, p);
}

/* ---- one file */

/* The request; a file that does not come with it is one that cannot be had. */
static ilk_status put(ilki_media_series *s, lane *l, size_t i, unsigned slot, ilki_media_question *q, ilk_job *job,
                      ilk_error *err)
{
    ilki_media_wish w = {.how = 0};
    ilki_buf ops;
    ilk_status st = s->wish(s->user, i, &w, err);
    if (st != ILK_OK)
        return st;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_picture_ops(&ops, w.how);
    st = ilki_base_buf_check(&ops, "operations", err);
    *q = (ilki_media_question){.data = w.data, .n = w.n, .input = q->input, .ops = &ops, .lend = true};
    if (st == ILK_OK)
        st = ilki_media_put_file(l->p, q, slot, job, err);
    q->ops = NULL;
    ilki_base_buf_deinit(&ops);
    return st;
}

/* Asks for what comes next, where that takes no descriptor; what is wrong with it is said when its turn has come. */
static void put_ahead(ilki_media_series *s, lane *l, ilk_job *job)
{
    ilki_media_question q = {.input = -1};
    ilki_media_wish w = {.how = 0};
    if (l->ahead == NONE || l->asked || s->wish(s->user, l->ahead, &w, NULL) != ILK_OK || w.n > MOST_AHEAD ||
        (ilki_media_is_heavy(w.data, w.n) && !l->p->heavy) || !ilki_media_fits_inbox(l->p, l->slot ^ 1, w.n))
        return;
    l->asked = put(s, l, l->ahead, l->slot ^ 1, &q, job, NULL) == ILK_OK;
}

/* A helper that can be asked for file i, which nobody is asked for. */
static ilk_status suit(ilki_media_series *s, lane *l, size_t i, ilk_job *job, ilk_error *err)
{
    ilki_media_wish w = {.how = 0};
    ilk_status st = s->wish(s->user, i, &w, err);
    bool heavy = st == ILK_OK && ilki_media_is_heavy(w.data, w.n);
    if (st == ILK_OK && l->p && heavy && !l->p->heavy) {
        ilki_media_give(s->m, l->p); /* who needs it for its own place */
        l->p = NULL;
    }
    return st == ILK_OK && !l->p ? ilki_media_take(s->m, heavy, job, &l->p, err) : st;
}

/* What a helper says about file i, which is `asked` for or not. */
static ilk_status read_one(ilki_media_series *s, lane *l, size_t i, bool asked, ilk_job *job, ilki_media_result *r,
                           ilk_error *err)
{
    ilki_media_question q = {.input = -1, .seconds = ILKI_MEDIA_SECONDS, .lend = true};
    ilk_status st = ILK_OK;
    for (int try = 0;; try++) {
        if (!asked && (st = suit(s, l, i, job, err)) != ILK_OK)
            break;
        bool fresh = l->p->n_served == 0;
        if (!asked && (st = put(s, l, i, l->slot, &q, job, err)) != ILK_OK)
            break;
        put_ahead(s, l, job);
        ilki_media_outcome outcome = ilki_media_get(l->p, &q, l->slot, job, r, err);
        if (outcome == ILKI_MEDIA_ANSWERED) {
            r->lender = r->view ? l->p : NULL;
            r->lane = r->view ? l : NULL;
            l->slot ^= 1;
            st = ilki_media_judge(&r->about, err);
            break;
        }
        st = ilki_media_blame(s->m, l->p, outcome, q.seconds, job, err);
        l->p = NULL;
        l->asked = asked = false;
        if (!ilki_media_may_retry(s->m, outcome, fresh, try))
            break;
    }
    if (q.input >= 0)
        close(q.input);
    return st;
}

static void drop(ilki_media_picture *p)
{
    if (p->held.lender)
        ilki_media_tidy(p->held.lender, &p->held);
    free(p->held.data);
    free(p->fields);
    memset(p, 0, sizeof *p);
}

ilk_status ilki_media_series_next(ilki_media_series *s, ilk_job *job, size_t *index, ilki_media_picture *out,
                                  ilk_error *err)
{
    lane *l;
    bool asked = false;
    ilki_media_wish w = {.how = 0};
    ilk_error why; /* a caller without an error still gets its status */
    ilk_error_init_sized(&why, sizeof why);
    err = err ? err : &why;
    memset(out, 0, sizeof *out);
    *index = NONE;
    ilk_status st = enter(s, job, &l, index, &asked, err);
    if (!l)
        return st;
    st = read_one(s, l, *index, asked, job, &out->held, err);
    if (st == ILK_OK)
        st = s->wish(s->user, *index, &w, err);
    if (st == ILK_OK)
        st = ilki_media_take_picture(out, w.how, err);
    if (st == ILK_OK && out->held.lender)
        return ILK_OK; /* the lane is left when it is ended */
    if (st != ILK_OK)
        drop(out);
    leave(s, l);
    return st;
}

void ilki_media_series_end_picture(ilki_media_series *s, ilki_media_picture *p)
{
    lane *l = p->held.lane;
    drop(p);
    if (l)
        leave(s, l);
}
