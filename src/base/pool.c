/* SPDX-License-Identifier: Apache-2.0
 * The pool of pool.h.
 *
 * An open run lives in one of MAX_RUNS slots of the pool, never on its caller's stack. A slot's `state` says whether the
 * run is open and how many workers are attached; a worker attaches by compare-and-swap, claims tasks by adding to `next`
 * and counts the finished ones in `n_done`. The run ends when n_done reaches n_tasks, whatever workers are still
 * attached: one that lost its core between attaching and claiming delays nobody, and the slot is reused only after it
 * has left. `open` is a bit set of the slots that may still have tasks to claim.
 *
 * A worker with nothing to claim sleeps on `epoch`, which every opening of a run changes; it looks at `epoch` after each
 * task as well, and leaves its run when a better one has come. Nothing takes a lock but the queue of posts.
 *
 * Orders: the opener's store of `state` releases the run's fields, the worker's compare-and-swap acquires them; the
 * additions to n_done release what the tasks wrote, the caller's load of it acquires that. */
#include "base/pool.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/fpmode.h"
#include "base/gate.h"
#include "base/mem.h"
#include "base/runtime.h"

enum {
    MAX_RUNS = 32, /* open at the same time; a further caller works alone */
    MAX_THREADS = 1024,
    N_PRIORITIES = 3,
    WAKE_FAN =
        4, /* sleepers woken by one thread; they wake others, since each futex call costs its caller microseconds */
    STACK_BYTES = 2 << 20
};
static const uint64_t spin_ns = 20 * 1000;
static const uint64_t alone_ns = 300 * 1000;

/* slot.state: two flags and the number of attached workers */
#define SLOT_OPEN  0x80000000u
#define SLOT_OWNED 0x40000000u

/* slot.finished */
enum { RUNNING, CALLER_SLEEPS, FINISHED };

typedef struct slot {
    _Alignas(ILKI_ALIGN) _Atomic uint32_t state;
    /* read by workers that are not attached yet, so atomic */
    atomic_int priority;
    _Atomic uint64_t ticket; /* age: smaller is older */
    ilki_run run;            /* constant while the slot is open or a worker is attached */
    _Alignas(ILKI_ALIGN) atomic_size_t next;
    atomic_size_t n_done;
    atomic_bool stopped; /* a task was left undone because the job stopped */
    ilki_gate finished;
} slot;

typedef struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
} post;

typedef struct worker {
    ilki_pool *pool;
    unsigned id; /* the task's `slot`; 0 is the caller's */
    pthread_t thread;
} worker;

struct ilki_pool {
    slot slots[MAX_RUNS];
    _Alignas(ILKI_ALIGN) _Atomic uint32_t open; /* bit per slot */
    ilki_gate epoch;
    atomic_uint n_sleeping;
    atomic_bool stop;
    _Alignas(ILKI_ALIGN) _Atomic uint64_t tickets;
    unsigned n_threads, n_started;
    bool may_spin;
    int pid;
    worker *workers;
    /* posts */
    pthread_mutex_t lock;
    pthread_cond_t posted;
    post *first[N_PRIORITIES], *last[N_PRIORITIES]; /* high, normal, low */
    bool service_started, draining;
    pthread_t service;
};

/* ---- tasks of one run */

/* The one who finishes the last task tells the caller. */
static void finish_tasks(slot *s, size_t n)
{
    if (atomic_fetch_add_explicit(&s->n_done, n, memory_order_acq_rel) + n != s->run.n_tasks)
        return;
    if (atomic_exchange(&s->finished.value, FINISHED) == CALLER_SLEEPS)
        ilki_base_gate_wake(&s->finished, 1);
}

/* The claimed task and all that nobody has claimed yet are left undone. */
static void skip_rest(slot *s)
{
    size_t n = s->run.n_tasks;
    atomic_store_explicit(&s->stopped, true, memory_order_relaxed);
    size_t claimed = atomic_exchange_explicit(&s->next, n, memory_order_relaxed);
    finish_tasks(s, 1 + (claimed < n ? n - claimed : 0));
}

/* Claims and runs one task; false when there is none left. */
static bool run_next(slot *s, unsigned id)
{
    size_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
    if (i >= s->run.n_tasks)
        return false;
    if (ilki_base_job_stopped(s->run.job)) {
        skip_rest(s);
        return false;
    }
    s->run.fn(s->run.arg, i, id);
    finish_tasks(s, 1);
    return true;
}

/* ---- which run a worker serves */

/* The slot whose run is the best of those with a priority over `above`, or -1. */
static int best_slot(ilki_pool *p, int above)
{
    int best = -1, best_priority = above;
    uint64_t best_ticket = 0;
    for (uint32_t open = atomic_load_explicit(&p->open, memory_order_acquire); open != 0; open &= open - 1) {
        int i = __builtin_ctz(open);
        int priority = atomic_load_explicit(&p->slots[i].priority, memory_order_relaxed);
        uint64_t ticket = atomic_load_explicit(&p->slots[i].ticket, memory_order_relaxed);
        if (priority > best_priority || (best >= 0 && priority == best_priority && ticket < best_ticket)) {
            best = i;
            best_priority = priority;
            best_ticket = ticket;
        }
    }
    return best;
}

static bool attach(slot *s)
{
    uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
    while (state & SLOT_OPEN)
        if (atomic_compare_exchange_weak_explicit(&s->state, &state, state + 1, memory_order_acquire,
                                                  memory_order_relaxed))
            return true;
    return false;
}

static void detach(slot *s)
{
    atomic_fetch_sub_explicit(&s->state, 1, memory_order_release);
}

static void mark_exhausted(ilki_pool *p, const slot *s)
{
    atomic_fetch_and_explicit(&p->open, ~(1u << (s - p->slots)), memory_order_relaxed);
}

/* A woken thread that finds more tasks than it can do passes the news on. */
static void wake_for(ilki_pool *p, size_t n_tasks)
{
    size_t n = atomic_load(&p->n_sleeping);
    n = n < n_tasks ? n : n_tasks;
    if (n > 0)
        ilki_base_gate_wake(&p->epoch, n < WAKE_FAN ? (uint32_t)n : WAKE_FAN);
}

/* Serves the attached run until it has no tasks left or a better run is open; detaches. */
static void serve(ilki_pool *p, slot *s, unsigned id, uint32_t seen)
{
    int priority = atomic_load_explicit(&s->priority, memory_order_relaxed);
    for (;;) {
        if (!run_next(s, id)) {
            mark_exhausted(p, s);
            break;
        }
        uint32_t epoch = atomic_load_explicit(&p->epoch.value, memory_order_acquire);
        if (epoch != seen && best_slot(p, priority) >= 0)
            break;
        seen = epoch;
    }
    detach(s);
}

/* Until `epoch` moves on from `seen`; true when the thread slept for it. */
static bool idle(ilki_pool *p, uint32_t seen)
{
    if (p->may_spin) {
        uint64_t until = ilki_base_now_ns() + spin_ns;
        do {
            for (int i = 0; i < 32; i++) {
                if (atomic_load_explicit(&p->epoch.value, memory_order_acquire) != seen)
                    return false;
                ilki_base_cpu_relax();
            }
        } while (ilki_base_now_ns() < until);
    }
    /* Before the sleep looks at epoch, in one order with open_run, which changes epoch before it looks here. */
    atomic_fetch_add(&p->n_sleeping, 1);
    ilki_base_gate_wait(&p->epoch, seen);
    atomic_fetch_sub(&p->n_sleeping, 1);
    return true;
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    ilki_pool *p = w->pool;
    bool slept = true;
    ilki_base_fpmode_default();
    for (;;) {
        uint32_t seen = atomic_load(&p->epoch.value);
        int i = best_slot(p, INT_MIN);
        if (i >= 0) {
            slot *s = &p->slots[i];
            if (!attach(s))
                continue; /* it ended this moment; its bit is gone by now */
            size_t next = atomic_load_explicit(&s->next, memory_order_relaxed);
            if (slept && s->run.n_tasks > next + 1)
                wake_for(p, s->run.n_tasks - next - 1);
            slept = false;
            serve(p, s, w->id, seen);
        } else if (atomic_load(&p->stop)) {
            return NULL;
        } else {
            slept = idle(p, seen);
        }
    }
}

/* ---- runs */

static ilk_status run_alone(const ilki_run *run, ilk_error *err)
{
    for (size_t i = 0; i < run->n_tasks; i++) {
        if (ilki_base_job_stopped(run->job))
            return ilki_base_job_check(run->job, err);
        run->fn(run->arg, i, 0);
    }
    return ILK_OK;
}

/* A free slot, owned now; NULL when all are in use. */
static slot *own_slot(ilki_pool *p)
{
    for (int i = 0; i < MAX_RUNS; i++) {
        uint32_t unused = 0;
        if (atomic_load_explicit(&p->slots[i].state, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong_explicit(&p->slots[i].state, &unused, SLOT_OWNED, memory_order_acquire,
                                                    memory_order_relaxed))
            return &p->slots[i];
    }
    return NULL;
}

static void open_run(ilki_pool *p, slot *s, const ilki_run *run, size_t n_helpers)
{
    s->run = *run;
    atomic_store_explicit(&s->priority, (int)ilki_base_job_priority(run->job), memory_order_relaxed);
    atomic_store_explicit(&s->ticket, atomic_fetch_add_explicit(&p->tickets, 1, memory_order_relaxed),
                          memory_order_relaxed);
    atomic_store_explicit(&s->next, 0, memory_order_relaxed);
    atomic_store_explicit(&s->n_done, 0, memory_order_relaxed);
    atomic_store_explicit(&s->stopped, false, memory_order_relaxed);
    atomic_store_explicit(&s->finished.value, RUNNING, memory_order_relaxed);
    atomic_store_explicit(&s->state, SLOT_OPEN | SLOT_OWNED, memory_order_release);
    atomic_fetch_or_explicit(&p->open, 1u << (s - p->slots), memory_order_release);
    atomic_fetch_add(&p->epoch.value, 1);
    wake_for(p, n_helpers);
}

/* The last tasks are in other hands: spin for a moment, then sleep. */
static void wait_finished(const ilki_pool *p, slot *s)
{
    size_t n = s->run.n_tasks;
    uint64_t until = p->may_spin ? ilki_base_now_ns() + spin_ns : 0;
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&s->n_done, memory_order_acquire) == n)
                return;
            if (p->may_spin)
                ilki_base_cpu_relax();
        }
    } while (p->may_spin && ilki_base_now_ns() < until);
    uint32_t running = RUNNING;
    if (atomic_compare_exchange_strong(&s->finished.value, &running, CALLER_SLEEPS))
        while (atomic_load(&s->finished.value) == CALLER_SLEEPS)
            ilki_base_gate_wait(&s->finished, CALLER_SLEEPS);
}

/* Helps with an open run, waits for its end and gives the slot back. */
static ilk_status close_run(ilki_pool *p, slot *s, ilk_job *job, ilk_error *err)
{
    while (run_next(s, 0)) {
    }
    mark_exhausted(p, s);
    wait_finished(p, s);
    bool stopped = atomic_load_explicit(&s->stopped, memory_order_relaxed);
    atomic_fetch_and_explicit(&s->state, ~(SLOT_OPEN | SLOT_OWNED), memory_order_release);
    return stopped ? ilki_base_job_check(job, err) : ILK_OK;
}

static ilk_status run_shared(ilki_pool *p, const ilki_run *run, ilk_error *err)
{
    slot *s = own_slot(p);
    if (s == NULL)
        return run_alone(run, err);
    open_run(p, s, run, run->n_tasks - 1);
    return close_run(p, s, run->job, err);
}

ilk_status ilki_base_pool_run(ilki_pool *p, const ilki_run *run, ilk_error *err)
{
    if (p != NULL && p->pid != (int)getpid())
        return ilki_base_fail(err, ILK_FORKED, "thread pool of process %d used in its child %d", p->pid, (int)getpid());
    ilki_fpmode mode = ilki_base_fpmode_default();
    bool alone = p == NULL || p->n_started == 0 || run->n_tasks < 2 || (run->cost_ns != 0 && run->cost_ns < alone_ns);
    ilk_status st = alone ? run_alone(run, err) : run_shared(p, run, err);
    ilki_base_fpmode_restore(mode);
    return st;
}

void ilki_base_pool_start(ilki_pool *p, ilki_started_run *w, const ilki_run *run)
{
    bool offer = p != NULL && p->pid == (int)getpid() && p->n_started > 0 && run->n_tasks > 0;
    slot *s = offer ? own_slot(p) : NULL;
    *w = (ilki_started_run){*run, s};
    if (s != NULL)
        open_run(p, s, run, run->n_tasks);
}

ilk_status ilki_base_pool_finish(ilki_pool *p, ilki_started_run *w, ilk_error *err)
{
    if (w->slot == NULL)
        return ilki_base_pool_run(p, &w->run, err);
    ilki_fpmode mode = ilki_base_fpmode_default();
    ilk_status st = close_run(p, w->slot, w->run.job, err);
    ilki_base_fpmode_restore(mode);
    w->slot = NULL;
    return st;
}

/* ---- posts */

static post *take_post(ilki_pool *p)
{
    for (int i = 0; i < N_PRIORITIES; i++) {
        post *q = p->first[i];
        if (q != NULL) {
            p->first[i] = q->next;
            if (q->next == NULL)
                p->last[i] = NULL;
            return q;
        }
    }
    return NULL;
}

static void *service_main(void *arg)
{
    ilki_pool *p = arg;
    ilki_base_fpmode_default();
    pthread_mutex_lock(&p->lock);
    for (;;) {
        post *q = take_post(p);
        if (q != NULL) {
            pthread_mutex_unlock(&p->lock);
            q->fn(q->arg);
            free(q);
            pthread_mutex_lock(&p->lock);
        } else if (p->draining) {
            break;
        } else {
            pthread_cond_wait(&p->posted, &p->lock);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* A thread that no signal of the host program is delivered to. */
static int start_thread(pthread_t *t, void *(*main)(void *), void *arg)
{
    sigset_t all, old;
    pthread_attr_t attr;
    int e = pthread_attr_init(&attr);
    if (e != 0)
        return e;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    e = pthread_create(t, &attr, main, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return e;
}

ilk_status ilki_base_pool_post(ilki_pool *p, ilk_priority priority, void (*fn)(void *arg), void *arg, ilk_error *err)
{
    if (p->pid != (int)getpid())
        return ilki_base_fail(err, ILK_FORKED, "thread pool of process %d used in its child %d", p->pid, (int)getpid());
    post *q = ilki_base_zalloc(1, sizeof *q);
    if (q == NULL)
        return ilki_base_fail_memory(err, sizeof *q, "a queued call");
    q->fn = fn;
    q->arg = arg;
    int queue = priority > ILK_PRIORITY_NORMAL ? 0 : priority < ILK_PRIORITY_NORMAL ? 2 : 1;
    pthread_mutex_lock(&p->lock);
    int e = p->service_started ? 0 : start_thread(&p->service, service_main, p);
    if (e == 0) {
        p->service_started = true;
        if (p->last[queue] != NULL)
            p->last[queue]->next = q;
        else
            p->first[queue] = q;
        p->last[queue] = q;
        pthread_cond_signal(&p->posted);
    }
    pthread_mutex_unlock(&p->lock);
    if (e == 0)
        return ILK_OK;
    free(q);
    return ilki_base_fail_errno(err, ILK_IO, e, "the thread for queued calls could not be started");
}

/* ---- life */

static void stop_threads(ilki_pool *p)
{
    if (p->service_started) {
        pthread_mutex_lock(&p->lock);
        p->draining = true;
        pthread_cond_signal(&p->posted);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->service, NULL);
    }
    atomic_store(&p->stop, true);
    atomic_fetch_add(&p->epoch.value, 1);
    ilki_base_gate_wake(&p->epoch, UINT32_MAX);
    for (unsigned i = 0; i < p->n_started; i++)
        pthread_join(p->workers[i].thread, NULL);
    pthread_cond_destroy(&p->posted);
    pthread_mutex_destroy(&p->lock);
    ilki_base_gate_deinit(&p->epoch);
    for (int i = 0; i < MAX_RUNS; i++)
        ilki_base_gate_deinit(&p->slots[i].finished);
}

void ilki_base_pool_free(ilki_pool *p)
{
    if (p == NULL)
        return;
    if (p->pid == (int)getpid()) {
        stop_threads(p);
    } else { /* the threads and whoever held the lock are in the parent */
        for (post *q = take_post(p); q != NULL; q = take_post(p))
            free(q);
    }
    free(p->workers);
    free(p);
}

static void init_pool(ilki_pool *p, unsigned n_threads)
{
    p->n_threads = n_threads;
    p->pid = (int)getpid();
    /* more threads than CPUs: a spinning thread would hold the core that the awaited one needs */
    p->may_spin = n_threads <= ilki_base_cpu_count();
    atomic_init(&p->open, 0);
    atomic_init(&p->n_sleeping, 0);
    atomic_init(&p->stop, false);
    atomic_init(&p->tickets, 0);
    ilki_base_gate_init(&p->epoch);
    for (int i = 0; i < MAX_RUNS; i++) {
        atomic_init(&p->slots[i].state, 0);
        ilki_base_gate_init(&p->slots[i].finished);
    }
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->posted, NULL);
}

ilk_status ilki_base_pool_new(ilki_pool **out, unsigned n_threads, ilk_error *err)
{
    *out = NULL;
    if (n_threads < 1 || n_threads > MAX_THREADS)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "thread pool: expected 1 to %d threads, got %u", (int)MAX_THREADS,
                              n_threads);
    ilki_pool *p = ilki_base_alloc_aligned(1, sizeof *p);
    if (p == NULL)
        return ilki_base_fail_memory(err, sizeof *p, "the thread pool");
    memset(p, 0, sizeof *p);
    init_pool(p, n_threads);
    p->workers = ilki_base_zalloc(n_threads, sizeof *p->workers);
    if (p->workers == NULL) {
        ilki_base_pool_free(p);
        return ilki_base_fail_memory(err, n_threads * sizeof *p->workers, "the thread pool");
    }
    for (unsigned i = 1; i < n_threads; i++) {
        worker *w = &p->workers[i - 1];
        w->pool = p;
        w->id = i;
        int e = start_thread(&w->thread, worker_main, w);
        if (e != 0) {
            ilki_base_pool_free(p);
            return ilki_base_fail_errno(err, ILK_IO, e, "thread %u of %u could not be started", i + 1, n_threads);
        }
        p->n_started = i;
    }
    *out = p;
    return ILK_OK;
}

unsigned ilki_base_pool_threads(const ilki_pool *p)
{
    return p == NULL ? 1 : p->n_threads;
}
