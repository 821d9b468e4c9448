/* SPDX-License-Identifier: Apache-2.0
 * A job that another thread cancels while a call is at work, and how long the call goes on after that: 50 ms at most, as
 * ilk.h promises.
 *
 * What a busy machine adds is no defect. Of a call that works, the time is the less of what the clock and what the
 * processors' time show; a call that waits (for a network, a helper) uses no processor, so its clock counts; and both are
 * tried again until they are back in time once. A call that always goes on for longer fails every try. */
#ifndef ILK_TEST_CANCEL_H
#define ILK_TEST_CANCEL_H

#include <pthread.h>

#include "clock.h"
#include "test.h"

enum { CANCEL_MS = 50 * TEST_SLOWNESS, CANCEL_TRIES = 12 };

typedef enum cancel_kind { CANCEL_WORK, CANCEL_WAIT } cancel_kind;

typedef struct canceller {
    ilk_job *job;
    double after_ms;
    const atomic_bool *begun;
    pthread_t thread;
    double wall_at, process_at; /* when it was cancelled */
} canceller;

static inline void *cancel_thread(void *arg)
{
    canceller *c = arg;
    while (c->begun && !*c->begun)
        test_sleep_ms(1);
    test_sleep_ms(c->after_ms);
    c->wall_at = test_wall_ms();
    c->process_at = test_process_ms();
    ilk_job_cancel(c->job);
    return NULL;
}

/* From now on, or with `begun` from when that is true, a thread sleeps and then cancels the job. */
static inline bool cancel_begin(canceller *c, ilk_job *job, const atomic_bool *begun, double after_ms)
{
    *c = (canceller){.job = job, .after_ms = after_ms, .begun = begun};
    return CHECK(job != NULL) && CHECK_INT(pthread_create(&c->thread, NULL, cancel_thread, c), 0);
}

/* Behind the call: ms since the cancel; less than 0 when the call was over before. */
static inline double cancel_end(canceller *c, cancel_kind kind)
{
    double wall = test_wall_ms(), process = test_process_ms();
    pthread_join(c->thread, NULL);
    wall -= c->wall_at;
    process -= c->process_at;
    return kind == CANCEL_WORK && process < wall ? process : wall;
}

/* A call that is to be stopped. */
typedef struct cancelled {
    const char *what;
    cancel_kind kind;
    double after_ms;
    bool deadline;      /* by the job's deadline instead of a cancel */
    atomic_bool *begun; /* NULL, or set by `run`: the time to a cancel counts from there */
    ilk_status (*run)(void *arg, ilk_job *job, ilk_error *err);
    void *arg;
} cancelled;

static inline bool cancel_once(const cancelled *c, double *ms)
{
    canceller by;
    ilk_error err;
    ilk_error_init(&err);
    ilk_job *job = ilk_job_new(NULL);
    if (c->begun)
        *c->begun = false;
    if (!cancel_begin(&by, job, c->begun, c->after_ms))
        return false;
    ilk_status st = c->run(c->arg, job, &err);
    if (c->begun)
        *c->begun = true; /* whatever became of the call, the thread ends */
    *ms = cancel_end(&by, c->kind);
    bool was = CHECK_STATUS(st, ILK_CANCELLED, &err);
    ilk_job_free(job);
    return was;
}

static inline bool cancel_deadline_once(const cancelled *c, double *ms)
{
    ilk_error err;
    ilk_job_options o;
    ilk_error_init(&err);
    ilk_job_options_init(&o);
    o.deadline_seconds = c->after_ms / 1e3;
    double wall = test_wall_ms(), process = test_process_ms();
    ilk_job *job = ilk_job_new(&o);
    ilk_status st = c->run(c->arg, job, &err);
    wall = test_wall_ms() - wall;
    process = test_process_ms() - process;
    *ms = (c->kind == CANCEL_WORK && process < wall ? process : wall) - c->after_ms;
    bool was = CHECK_STATUS(st, ILK_DEADLINE, &err);
    ilk_job_free(job);
    return was;
}

static inline bool cancel_in_time(const cancelled *c)
{
    double best = HUGE_VAL, ms;
    for (int i = 0; i < CANCEL_TRIES && best > CANCEL_MS; i++) {
        if (!(c->deadline ? cancel_deadline_once(c, &ms) : cancel_once(c, &ms)))
            return false;
        best = ms < best ? ms : best;
    }
    return CHECK_THAT(best <= CANCEL_MS, "%s: a stop took %.1f ms at best, at most %d", c->what, best, (int)CANCEL_MS);
}

#endif
