/* SPDX-License-Identifier: Apache-2.0
 * Jobs: cancel, deadline, priority, progress, and the result of queued work. The call that runs under a job polls it;
 * nothing is ever interrupted from outside. Only the state of queued work needs the lock: a job that is never submitted
 * never takes it. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/runtime.h"

#if ATOMIC_INT_LOCK_FREE != 2
#error "ilk_job_cancel must be lock-free: signal handlers call it"
#endif

static const uint64_t progress_ns = 100 * 1000 * 1000; /* between two calls of a progress callback */

typedef enum queue_state { QUEUE_NONE, QUEUE_RUNS, QUEUE_ENDED } queue_state;

struct ilk_job {
    ilk_job_options opt;
    const ilk_job *above; /* whose stop is this one's too; NULL: none */
    uint64_t deadline_ns; /* of the monotonic clock; 0: none */
    atomic_int cancelled;
    uint64_t last_progress_ns; /* of the thread that made the call */
    int pid;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t ended;
    queue_state queued;
    void (*free_result)(void *);
    void *result;
    ilk_status status;
    ilk_error err;
};

ilk_job *ilki_base_job_new(const ilk_job_options *opt)
{
    ilk_job *job = ilki_base_zalloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->opt = *opt;
    job->pid = (int)getpid();
    atomic_init(&job->cancelled, 0);
    /* beyond a century a deadline is none, and the sum below cannot overflow */
    if (opt->deadline_seconds > 0 && opt->deadline_seconds < 3e9)
        job->deadline_ns = ilki_base_now_ns() + (uint64_t)(opt->deadline_seconds * 1e9);
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->ended, NULL);
    return job;
}

ilk_job *ilki_base_job_under(const ilk_job *above, double seconds)
{
    ilk_job_options opt = {.size = sizeof opt};
    if (above != NULL)
        opt = above->opt;
    opt.deadline_seconds = seconds > 0 ? seconds : 1e-9; /* 0 would be none */
    opt.done = NULL;
    ilk_job *job = ilki_base_job_new(&opt);
    if (job != NULL)
        job->above = above;
    return job;
}

void ilki_base_job_free(ilk_job *job)
{
    if (job == NULL)
        return;
    if (job->pid == (int)getpid()) {
        pthread_mutex_lock(&job->lock);
        if (job->queued == QUEUE_RUNS)
            ilki_base_job_cancel(job);
        while (job->queued == QUEUE_RUNS)
            pthread_cond_wait(&job->ended, &job->lock);
        pthread_mutex_unlock(&job->lock);
        pthread_cond_destroy(&job->ended);
        pthread_mutex_destroy(&job->lock);
    }
    if (job->result != NULL && job->free_result != NULL)
        job->free_result(job->result);
    free(job);
}

void ilki_base_job_cancel(ilk_job *job)
{
    if (job != NULL)
        atomic_store_explicit(&job->cancelled, 1, memory_order_relaxed);
}

/* A cancel, wherever above, before a deadline, which the caller may not know of. */
static ilk_status stop_reason(const ilk_job *job)
{
    ilk_status reason = ILK_OK;
    for (; job != NULL; job = job->above) {
        if (atomic_load_explicit(&job->cancelled, memory_order_relaxed))
            return ILK_CANCELLED;
        if (job->deadline_ns != 0 && ilki_base_now_ns() >= job->deadline_ns)
            reason = ILK_DEADLINE;
    }
    return reason;
}

bool ilki_base_job_stopped(const ilk_job *job)
{
    return stop_reason(job) != ILK_OK;
}

ilk_status ilki_base_job_check(const ilk_job *job, ilk_error *err)
{
    switch (stop_reason(job)) {
    case ILK_CANCELLED:
        return ilki_base_fail(err, ILK_CANCELLED, "the job was cancelled");
    case ILK_DEADLINE:
        return ilki_base_fail(err, ILK_DEADLINE, "the job's deadline of %g s has passed", job->opt.deadline_seconds);
    default:
        return ILK_OK;
    }
}

ilk_priority ilki_base_job_priority(const ilk_job *job)
{
    return job == NULL ? ILK_PRIORITY_NORMAL : job->opt.priority;
}

void ilki_base_job_progress(ilk_job *job, const char *stage, const char *unit, uint64_t done, uint64_t total,
                            uint64_t skipped, bool last)
{
    if (job == NULL || job->opt.progress == NULL)
        return;
    uint64_t now = ilki_base_now_ns();
    if (!last && job->last_progress_ns != 0 && now - job->last_progress_ns < progress_ns)
        return;
    job->last_progress_ns = now;
    ilk_progress p = {sizeof p, stage, unit, done, total, skipped};
    job->opt.progress(job->opt.progress_user, &p);
}

/* ---- queued work */

static ilk_status check_owner(const ilk_job *job, ilk_error *err)
{
    if (job == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "queued work needs a job, got NULL");
    if (job->pid != (int)getpid())
        return ilki_base_fail(err, ILK_FORKED, "job of process %d used in its child %d", job->pid, (int)getpid());
    return ILK_OK;
}

ilk_status ilki_base_job_begin(ilk_job *job, void (*free_result)(void *), ilk_error *err)
{
    ilk_status st = check_owner(job, err);
    if (st != ILK_OK)
        return st;
    pthread_mutex_lock(&job->lock);
    if (job->queued == QUEUE_NONE) {
        job->queued = QUEUE_RUNS;
        job->free_result = free_result;
    } else {
        st = ILK_BUSY;
    }
    pthread_mutex_unlock(&job->lock);
    if (st != ILK_OK)
        return ilki_base_fail(err, st, "the job already has queued work that was not waited for");
    return ILK_OK;
}

/* `done` runs before anybody can learn of the end and free the job. */
void ilki_base_job_end(ilk_job *job, ilk_status status, const ilk_error *err, void *result)
{
    job->status = status;
    job->result = result;
    job->err = (ilk_error){.size = sizeof job->err, .status = status};
    if (err != NULL)
        ilki_base_error_copy(&job->err, err);
    if (job->opt.done != NULL)
        job->opt.done(job->opt.done_user, job);
    pthread_mutex_lock(&job->lock);
    job->queued = QUEUE_ENDED;
    pthread_cond_broadcast(&job->ended);
    pthread_mutex_unlock(&job->lock);
}

ilk_status ilki_base_job_wait(ilk_job *job, void **result, ilk_error *err)
{
    *result = NULL;
    ilk_status st = check_owner(job, err);
    if (st != ILK_OK)
        return st;
    pthread_mutex_lock(&job->lock);
    while (job->queued == QUEUE_RUNS)
        pthread_cond_wait(&job->ended, &job->lock);
    if (job->queued == QUEUE_ENDED) {
        st = job->status;
        *result = job->result;
        job->result = NULL;
        job->queued = QUEUE_NONE;
        if (st != ILK_OK)
            ilki_base_error_copy(err, &job->err);
    } else {
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "the job has no queued work to wait for");
    }
    pthread_mutex_unlock(&job->lock);
    return st;
}
