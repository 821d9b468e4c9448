/* SPDX-License-Identifier: Apache-2.0
 * The thread pool: fork-join runs of numbered tasks under priorities, and one service thread for queued work.
 *
 * A run is cut by its caller into tasks of at most 5 ms. The calling thread works on its own run; idle pool threads take
 * the next task of the open run with the highest priority (ties: the oldest), so a long text never blocks a short query.
 * Threads spin at most 20 us for the next run, then sleep; a run whose estimated cost is under 300 us stays on the
 * calling thread. The pool never decides a result: tasks write disjoint outputs, and no order among them is promised.
 * Pool threads block all signals and hold the default floating-point mode. Runs may be opened from several threads at
 * once and from the service thread, not from inside a task. */
#ifndef ILKI_BASE_POOL_H
#define ILKI_BASE_POOL_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ilki_pool ilki_pool;

/* Task `index` of a run. `slot` is unique among the tasks of one run that execute at the same time and is below
 * ilki_base_pool_threads(): it may index scratch memory. */
typedef void (*ilki_task_fn)(void *arg, size_t index, unsigned slot);

typedef struct ilki_run {
    ilki_task_fn fn;
    void *arg;
    size_t n_tasks;
    uint64_t cost_ns; /* estimate of the whole run on one thread; 0: unknown, shared out when n_tasks > 1 */
    ilk_job *job;     /* priority; looked at before each task: once stopped, the rest is left undone */
} ilki_run;

/* n_threads >= 1 counts the calling thread: n_threads - 1 are started. */
ilk_status ilki_base_pool_new(ilki_pool **out, unsigned n_threads, ilk_error *err);

/* Ends and joins every thread; queued posts are run first. In a forked child it only frees. */
void ilki_base_pool_free(ilki_pool *p);

unsigned ilki_base_pool_threads(const ilki_pool *p);

/* Runs every task and returns when all are done, or the job's CANCELLED or DEADLINE when it stopped before the end (no
 * task is running any more then). A NULL pool runs all on this thread, slot 0. Nothing is allocated. */
ilk_status ilki_base_pool_run(ilki_pool *p, const ilki_run *run, ilk_error *err);

/* A run in two halves, for work beside other runs of the same caller: start offers the tasks to idle threads, finish does
 * on this thread what nobody has taken yet and returns as run does. Every start needs its finish, by the same thread;
 * `w` lies still between them. On a pool of one thread, or on none, finish does everything. */
typedef struct ilki_started_run {
    ilki_run run;
    void *slot; /* NULL: not offered */
} ilki_started_run;
void ilki_base_pool_start(ilki_pool *p, ilki_started_run *w, const ilki_run *run);
ilk_status ilki_base_pool_finish(ilki_pool *p, ilki_started_run *w, ilk_error *err);

/* Queues fn(arg) for the service thread, which is started by the first post and runs posts by priority, then in order.
 * Posts may open runs and may post. */
ilk_status ilki_base_pool_post(ilki_pool *p, ilk_priority priority, void (*fn)(void *arg), void *arg, ilk_error *err);

#endif
