/* SPDX-License-Identifier: Apache-2.0
 * The thread pool: results, slots, priorities, cancel, fork, signals, floating-point mode, posts. Tasks that stand for
 * long work sleep, so that the figures hold on a machine with one core too; what is held is how many tasks ran and who
 * ran them, not how long it took, and where a thread may come late because the machine is busy, one of several tries. */
#include "base/pool.h"

#include <float.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/cpu.h"
#include "base/fpmode.h"
#include "base/runtime.h"
#include "clock.h"
#include "test.h"

enum { MAX_TASKS = 2000, MAX_SLOTS = 64, TRIES = 8 };

static ilki_pool *new_pool(unsigned n)
{
    ilki_pool *p = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_pool_new(&p, n, &err), &err);
    return p;
}

/* ---- what a run computes */

typedef struct sums {
    uint64_t out[MAX_TASKS];
    atomic_int times[MAX_TASKS]; /* runs of each task */
    atomic_int inside[MAX_SLOTS];
    atomic_int n_shared_slots, n_bad_slots;
    unsigned n_slots;
    int rounds;
} sums;

static uint64_t churn(uint64_t x, int rounds)
{
    for (int i = 0; i < rounds; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

static void sum_task(void *arg, size_t i, unsigned slot)
{
    sums *s = arg;
    if (slot >= s->n_slots) {
        atomic_fetch_add(&s->n_bad_slots, 1);
        return;
    }
    if (atomic_fetch_add(&s->inside[slot], 1) != 0)
        atomic_fetch_add(&s->n_shared_slots, 1);
    s->out[i] = churn(i, s->rounds);
    atomic_fetch_add(&s->times[i], 1);
    atomic_fetch_sub(&s->inside[slot], 1);
}

static bool sums_right(const sums *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->times[i] != 1 || s->out[i] != churn(i, s->rounds))
            return false;
    return s->n_bad_slots == 0 && s->n_shared_slots == 0;
}

static void results(void)
{
    static const unsigned threads[] = {1, 2, 3, 16};
    static const size_t counts[] = {0, 1, 2, 3, 7, 16, 100, MAX_TASKS};
    sums *s = malloc(sizeof *s);
    for (size_t t = 0; t < 4; t++) {
        ilki_pool *p = new_pool(threads[t]);
        REQUIRE(CHECK(p != NULL));
        CHECK_INT(ilki_base_pool_threads(p), threads[t]);
        for (int round = 0; round < 30; round++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
                memset(s, 0, sizeof *s);
                s->n_slots = threads[t];
                s->rounds = round * 20;
                ilki_run run = {sum_task, s, counts[c], 0, NULL};
                ilk_status st = ilki_base_pool_run(p, &run, NULL);
                if (st != ILK_OK || !sums_right(s, counts[c]))
                    CHECK_INT(counts[c], -1);
            }
        CHECK(true);
        ilki_base_pool_free(p);
    }
    memset(s, 0, sizeof *s);
    s->n_slots = 1;
    ilki_run run = {sum_task, s, 50, 0, NULL};
    CHECK_OK(ilki_base_pool_run(NULL, &run, NULL), NULL);
    CHECK(sums_right(s, 50));
    CHECK_INT(ilki_base_pool_threads(NULL), 1);
    free(s);
}

/* Writes of the tasks reach the caller, and the caller's reach the tasks, without atomics (the thread sanitizer looks). */
static void visibility(void)
{
    ilki_pool *p = new_pool(3);
    REQUIRE(CHECK(p != NULL));
    sums *s = calloc(1, sizeof *s);
    s->n_slots = 3;
    for (int i = 0; i < 2000; i++) {
        s->rounds = i % 50; /* read by the tasks */
        ilki_run run = {sum_task, s, 4, 0, NULL};
        CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
        uint64_t all = s->out[0] ^ s->out[1] ^ s->out[2] ^ s->out[3];
        uint64_t want = churn(0, s->rounds) ^ churn(1, s->rounds) ^ churn(2, s->rounds) ^ churn(3, s->rounds);
        if (all != want)
            CHECK_INT(i, -1);
    }
    free(s);
    ilki_base_pool_free(p);
}

static void arguments(void)
{
    ilki_pool *p = (ilki_pool *)&p;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_base_pool_new(&p, 0, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(p == NULL);
    CHECK_STATUS(ilki_base_pool_new(&p, 1025, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "1025") != NULL);
    ilki_base_pool_free(NULL);
}

/* ---- who runs what */

typedef struct trace {
    pthread_t caller;
    double ms; /* a task sleeps that long */
    atomic_int by_caller, by_others, running;
    atomic_int seen[MAX_SLOTS];
} trace;

static void trace_task(void *arg, size_t i, unsigned slot)
{
    trace *t = arg;
    (void)i;
    atomic_fetch_add(&t->running, 1);
    if (t->ms > 0)
        test_sleep_ms(t->ms);
    atomic_fetch_add(pthread_equal(t->caller, pthread_self()) ? &t->by_caller : &t->by_others, 1);
    atomic_fetch_add(&t->seen[slot], 1);
    atomic_fetch_sub(&t->running, 1);
}

static void sharing(void)
{
    ilki_pool *p = new_pool(3);
    REQUIRE(CHECK(p != NULL));
    trace t;
    ilki_run run;
    for (int i = 0; i == 0 || (i < TRIES && (t.by_others < 10 || !t.seen[1] || !t.seen[2])); i++) {
        t = (trace){.caller = pthread_self(), .ms = 1};
        run = (ilki_run){trace_task, &t, 30, 0, NULL};
        CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
        CHECK_INT(t.by_caller + t.by_others, 30);
        CHECK_INT(t.seen[0], t.by_caller);
    }
    CHECK(t.by_others >= 10);
    CHECK(t.seen[1] > 0 && t.seen[2] > 0);
    trace small = {.caller = pthread_self(), .ms = 1};
    run = (ilki_run){trace_task, &small, 10, 299999, NULL}; /* a cheap run stays here, whatever it says it is */
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    CHECK_INT(small.by_caller, 10);
    trace large = {.caller = pthread_self(), .ms = 1};
    run = (ilki_run){trace_task, &large, 30, 300000, NULL};
    for (int i = 0; i < TRIES && large.by_others == 0; i++)
        CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    CHECK(large.by_others > 0);
    ilki_base_pool_free(p);
}

/* Holds its thread until every other one has a task too, or for ten seconds. */
static void meet(void *arg, size_t i, unsigned slot)
{
    trace *t = arg;
    (void)i;
    t->seen[slot]++;
    t->running++;
    for (int k = 0; k < 10000 && t->running < 16; k++)
        test_sleep_ms(1);
}

/* More sleepers than one thread wakes: the woken wake the rest. */
static void wake_all(void)
{
    ilki_pool *p = new_pool(16);
    REQUIRE(CHECK(p != NULL));
    test_sleep_ms(20);
    trace t = {.ms = 0};
    ilki_run run = {meet, &t, 16, 0, NULL};
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    for (int i = 0; i < 16; i++)
        CHECK_INT(t.seen[i], 1);
    ilki_base_pool_free(p);
}

typedef struct runner {
    ilki_pool *pool;
    ilk_job *job;
    trace *t;
    size_t n;
    ilk_status status;
    atomic_bool over;
} runner;

static void *run_in_thread(void *arg)
{
    runner *r = arg;
    r->t->caller = pthread_self();
    ilki_run run = {trace_task, r->t, r->n, 0, r->job};
    r->status = ilki_base_pool_run(r->pool, &run, NULL);
    r->over = true;
    return NULL;
}

static ilk_job *job_of(ilk_priority priority, double seconds)
{
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.priority = priority;
    o.deadline_seconds = seconds;
    return ilk_job_new(&o);
}

/* The pool's one worker is busy with a long run of priority `first`; a run of priority `second` comes. The tasks that the
 * worker did for the second one. */
static int tasks_taken_over(ilk_priority first, ilk_priority second)
{
    ilki_pool *p = new_pool(2);
    ilk_job *a = job_of(first, 0), *b = job_of(second, 0);
    trace ta = {.ms = 2}, tb = {.ms = 2, .caller = pthread_self()};
    runner r = {.pool = p, .job = a, .t = &ta, .n = 2000};
    pthread_t thread;
    pthread_create(&thread, NULL, run_in_thread, &r);
    while (ta.by_others == 0)
        test_sleep_ms(1);
    ilki_run run = {trace_task, &tb, 20, 0, b};
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    CHECK(!r.over);
    CHECK_INT(tb.by_caller + tb.by_others, 20);
    ilk_job_cancel(a);
    pthread_join(thread, NULL);
    CHECK_INT(r.status, ILK_CANCELLED);
    ilk_job_free(a);
    ilk_job_free(b);
    ilki_base_pool_free(p);
    return tb.by_others;
}

static void overtakes(ilk_priority first, ilk_priority second)
{
    int most = 0;
    for (int i = 0; i < TRIES && most < 6; i++) {
        int n = tasks_taken_over(first, second);
        most = n > most ? n : most;
    }
    CHECK_THAT(most >= 6, "%d over %d: %d tasks at best", (int)second, (int)first, most);
}

static void priorities(void)
{
    overtakes(ILK_PRIORITY_LOW, ILK_PRIORITY_HIGH);
    overtakes(ILK_PRIORITY_NORMAL, ILK_PRIORITY_HIGH);
    overtakes(ILK_PRIORITY_LOW, ILK_PRIORITY_NORMAL);
    CHECK_INT(tasks_taken_over(ILK_PRIORITY_HIGH, ILK_PRIORITY_LOW), 0);
    CHECK_INT(tasks_taken_over(ILK_PRIORITY_NORMAL, ILK_PRIORITY_NORMAL), 0); /* the older one first */
}

/* A worker that comes free takes the older of two equal runs, and stays with it. */
static void oldest_first(void)
{
    ilki_pool *p = new_pool(2);
    ilk_job *high = job_of(ILK_PRIORITY_HIGH, 0), *end = job_of(ILK_PRIORITY_NORMAL, 0);
    trace th = {.ms = 2}, ta = {.ms = 2}, tb = {.ms = 2};
    runner r[] = {{.pool = p, .job = high, .t = &th, .n = 2000},
                  {.pool = p, .job = end, .t = &ta, .n = 2000},
                  {.pool = p, .job = end, .t = &tb, .n = 2000}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, run_in_thread, &r[i]);
        while (r[i].t->by_caller == 0)
            test_sleep_ms(1);
    }
    CHECK_INT(ta.by_others + tb.by_others, 0);
    ilk_job_cancel(high);
    TEST_WAIT_UNTIL(ta.by_others + tb.by_others >= 5);
    CHECK_INT(tb.by_others, 0);
    ilk_job_cancel(end);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    ilk_job_free(high);
    ilk_job_free(end);
    ilki_base_pool_free(p);
}

static void cancel(void)
{
    ilki_pool *p = new_pool(3);
    ilk_job *job = job_of(ILK_PRIORITY_NORMAL, 0);
    trace t = {.ms = 2};
    runner r = {.pool = p, .job = job, .t = &t, .n = 100000};
    pthread_t thread;
    pthread_create(&thread, NULL, run_in_thread, &r);
    TEST_WAIT_UNTIL(t.by_caller + t.by_others >= 9);
    ilk_job_cancel(job);
    int at_cancel = t.by_caller + t.by_others;
    pthread_join(thread, NULL);
    CHECK_INT(r.status, ILK_CANCELLED);
    CHECK_INT(t.running, 0); /* nobody works for a run that is over */
    int n = t.by_caller + t.by_others;
    CHECK_THAT(n <= at_cancel + 3, "%d tasks at the cancel, %d at the end", at_cancel, n); /* each thread's own */
    test_sleep_ms(10);
    CHECK_INT(t.by_caller + t.by_others, n);

    ilki_run run = {trace_task, &t, 4, 0, job}; /* stopped before it begins */
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_base_pool_run(p, &run, &err), ILK_CANCELLED, &err);
    run.cost_ns = 1; /* and alone */
    CHECK_STATUS(ilki_base_pool_run(p, &run, &err), ILK_CANCELLED, &err);
    CHECK_INT(t.by_caller + t.by_others, n);
    ilk_job_free(job);

    job = job_of(ILK_PRIORITY_NORMAL, 0.03);
    trace d = {.ms = 2, .caller = pthread_self()};
    run = (ilki_run){trace_task, &d, 100000, 0, job};
    CHECK_STATUS(ilki_base_pool_run(p, &run, &err), ILK_DEADLINE, &err);
    n = d.by_caller + d.by_others;
    CHECK_THAT(n <= 3 * (30 / 2 + 1), "%d tasks of 2 ms on 3 threads in 30 ms", n);
    ilk_job_free(job);
    ilki_base_pool_free(p);
}

static void cancel_in_last(void *arg, size_t i, unsigned slot)
{
    (void)slot;
    if (i == 4)
        ilk_job_cancel(arg);
    test_sleep_ms(1);
}

/* A run whose tasks were all begun before the cancel is whole: OK, at most. Never a run with a hole that says OK. */
static void late_cancel(void)
{
    ilki_pool *p = new_pool(2);
    for (int i = 0; i < 20; i++) {
        ilk_job *job = job_of(ILK_PRIORITY_NORMAL, 0);
        ilki_run run = {cancel_in_last, job, 5, 0, job};
        CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
        ilk_job_free(job);
    }
    ilki_base_pool_free(p);
}

/* ---- many callers */

typedef struct caller {
    ilki_pool *pool;
    unsigned n_slots;
    int n_runs, n_wrong;
} caller;

static void *call_many(void *arg)
{
    caller *c = arg;
    sums *s = malloc(sizeof *s);
    for (int i = 0; i < c->n_runs; i++) {
        memset(s, 0, sizeof *s);
        s->n_slots = c->n_slots;
        s->rounds = i % 100;
        size_t n = 1 + (size_t)i * 7 % 60;
        ilki_run run = {sum_task, s, n, 0, NULL};
        if (ilki_base_pool_run(c->pool, &run, NULL) != ILK_OK || !sums_right(s, n))
            c->n_wrong++;
    }
    free(s);
    return NULL;
}

static void concurrent_callers(void)
{
    enum { MANY = 40 }; /* more than the pool has slots for runs */
    static const int n_callers[] = {2, 4, MANY};
    ilki_pool *p = new_pool(3);
    REQUIRE(CHECK(p != NULL));
    for (int k = 0; k < 3; k++) {
        caller c[MANY];
        pthread_t threads[MANY];
        for (int i = 0; i < n_callers[k]; i++) {
            c[i] = (caller){p, 3, 100, 0};
            pthread_create(&threads[i], NULL, call_many, &c[i]);
        }
        for (int i = 0; i < n_callers[k]; i++) {
            pthread_join(threads[i], NULL);
            CHECK_INT(c[i].n_wrong, 0);
        }
    }
    ilki_base_pool_free(p);
}

/* ---- the host program */

static void fork_child(void)
{
    ilki_pool *p = new_pool(3);
    REQUIRE(CHECK(p != NULL));
    trace t = {.caller = pthread_self(), .ms = 1};
    ilki_run run = {trace_task, &t, 6, 0, NULL};
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        ilk_error err;
        ilk_error_init(&err);
        int bad = ilki_base_pool_run(p, &run, &err) != ILK_FORKED;
        run.cost_ns = 1;
        bad |= (ilki_base_pool_run(p, &run, &err) != ILK_FORKED) << 1;
        bad |= (ilki_base_pool_post(p, ILK_PRIORITY_NORMAL, NULL, NULL, &err) != ILK_FORKED) << 2;
        ilki_base_pool_free(p);
        _exit(bad);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    ilki_base_pool_free(p);
}

typedef struct host {
    atomic_int n_unblocked, n_workers, n_flushed;
} host;

static volatile float smallest = FLT_MIN;

static void host_task(void *arg, size_t i, unsigned slot)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPROF, SIGPIPE};
    host *h = arg;
    (void)i;
    test_sleep_ms(1);
    if (smallest / 4 == 0)
        atomic_fetch_add(&h->n_flushed, 1);
    if (slot == 0)
        return;
    atomic_fetch_add(&h->n_workers, 1);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++)
        if (!sigismember(&set, signals[k]))
            atomic_fetch_add(&h->n_unblocked, 1);
}

static void host_post(void *arg)
{
    host_task(arg, 0, 1);
}

/* Flush-to-zero, as a fast-math library of the host program leaves it on this thread. */
static void set_flushing(bool on)
{
#if defined(__SSE__)
    _mm_setcsr(on ? _mm_getcsr() | 0x8040 : _mm_getcsr() & ~0x8040u);
#elif defined(__aarch64__)
    uint64_t mode = on ? 1 << 24 : 0;
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
#endif
}

static void signals_and_modes(void)
{
    set_flushing(true);
    bool flushing = smallest / 4 == 0;
    ilki_pool *p = new_pool(3);
    host h = {0};
    ilki_run run = {host_task, &h, 20, 0, NULL};
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    CHECK_OK(ilki_base_pool_post(p, ILK_PRIORITY_NORMAL, host_post, &h, NULL), NULL);
    ilki_base_pool_free(p);
    CHECK_INT(smallest / 4 == 0, flushing); /* the caller keeps its own */
    set_flushing(false);
#if defined(__SSE__) || defined(__aarch64__)
    CHECK(flushing);
#endif
    CHECK(h.n_workers > 1);
    CHECK_INT(h.n_unblocked, 0);
    CHECK_INT(h.n_flushed, 0);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    CHECK(!sigismember(&set, SIGTERM)); /* the caller's mask is as it was */
}

static void quiet_when_idle(void)
{
    ilki_pool *p = new_pool(3);
    trace t = {.caller = pthread_self(), .ms = 1};
    ilki_run run = {trace_task, &t, 6, 0, NULL};
    CHECK_OK(ilki_base_pool_run(p, &run, NULL), NULL);
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    test_sleep_ms(100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
    CHECK(ms < 20);
    ilki_base_pool_free(p);
}

static void *hog(void *arg)
{
    atomic_bool *stop = arg;
    while (!*stop) {
    }
    return NULL;
}

static double ms_of_joins(unsigned n_threads, int n_joins)
{
    ilki_pool *p = new_pool(n_threads);
    sums *s = calloc(1, sizeof *s);
    s->n_slots = n_threads;
    s->rounds = 20000; /* about 20 us */
    ilki_run run = {sum_task, s, 16, 0, NULL};
    uint64_t start = ilki_base_now_ns();
    for (int i = 0; i < n_joins; i++)
        ilki_base_pool_run(p, &run, NULL);
    double ms = (double)(ilki_base_now_ns() - start) / 1e6;
    free(s);
    ilki_base_pool_free(p);
    return ms;
}

/* A process that hogs a core, and more threads than cores, cost their share and no more. */
static bool holds_up(bool last)
{
    enum { JOINS = 60 };
    double alone = ms_of_joins(1, JOINS);
    double crowded = ms_of_joins(16, JOINS);
    atomic_bool stop = false;
    pthread_t thread;
    pthread_create(&thread, NULL, hog, &stop);
    double hogged = ms_of_joins(ilki_base_cpu_count(), JOINS), both = ms_of_joins(16, JOINS);
    stop = true;
    pthread_join(thread, NULL);
    double bound = 4 * alone + JOINS * 10;
    printf("%d joins: 1 thread %.1f ms, 16 threads %.1f ms, a hog beside %.1f ms, both %.1f ms\n", JOINS, alone,
           crowded, hogged, both);
    bool good = crowded < bound && hogged < bound && both < bound;
    CHECK_THAT(good || !last, "more than %.1f ms", bound);
    return good;
}

static void does_not_collapse(void)
{
    for (int i = 1; i <= TRIES && !holds_up(i == TRIES); i++)
        ;
}

static void allocates_nothing(void)
{
    ilki_pool *p = new_pool(3);
    ilk_job *job = job_of(ILK_PRIORITY_HIGH, 100);
    sums *s = calloc(1, sizeof *s);
    s->n_slots = 3;
    alloc_count_reset();
    ilki_run run = {sum_task, s, 50, 0, job};
    for (int i = 0; i < 100; i++)
        if (ilki_base_pool_run(p, &run, NULL) != ILK_OK)
            CHECK_INT(i, -1);
    CHECK_INT(alloc_count(), 0);
    free(s);
    ilk_job_free(job);
    ilki_base_pool_free(p);
}

/* ---- posts */

typedef struct order {
    atomic_int n;
    atomic_bool taken, go;
    char text[16];
} order;

typedef struct letter {
    order *to;
    char c;
} letter;

static void write_letter(void *arg)
{
    letter *l = arg;
    l->to->taken = true;
    while (l->c == '.' && !l->to->go)
        test_sleep_ms(1);
    l->to->text[l->to->n++] = l->c;
}

static void posts(void)
{
    ilki_pool *p = new_pool(2);
    order o = {0};
    letter letters[] = {{&o, '.'}, {&o, 'l'}, {&o, 'n'}, {&o, 'm'}, {&o, 'h'}, {&o, 'k'}};
    static const ilk_priority priority[] = {ILK_PRIORITY_NORMAL, ILK_PRIORITY_LOW,  ILK_PRIORITY_NORMAL,
                                            ILK_PRIORITY_NORMAL, ILK_PRIORITY_HIGH, ILK_PRIORITY_LOW};
    for (int i = 0; i < 6; i++) {
        CHECK_OK(ilki_base_pool_post(p, priority[i], write_letter, &letters[i], NULL), NULL);
        if (i == 0)
            TEST_WAIT_UNTIL(o.taken); /* before the others come */
    }
    CHECK_INT(o.n, 0);
    o.go = true;
    ilki_base_pool_free(p); /* which runs what is queued */
    CHECK_STR(o.text, ".hnmlk");
}

typedef struct chain {
    ilki_pool *pool;
    trace t;
    int left;
    int n_bad;
} chain;

static void link_post(void *arg)
{
    chain *c = arg;
    c->t.caller = pthread_self();
    ilki_run run = {trace_task, &c->t, 10, 0, NULL};
    c->n_bad += ilki_base_pool_run(c->pool, &run, NULL) != ILK_OK;
    if (--c->left > 0)
        c->n_bad += ilki_base_pool_post(c->pool, ILK_PRIORITY_NORMAL, link_post, c, NULL) != ILK_OK;
}

static void posts_run_and_post(void)
{
    chain c = {.pool = new_pool(2), .t = {.ms = 0.2}, .left = 5};
    CHECK_OK(ilki_base_pool_post(c.pool, ILK_PRIORITY_LOW, link_post, &c, NULL), NULL);
    ilki_base_pool_free(c.pool);
    CHECK_INT(c.left, 0);
    CHECK_INT(c.n_bad, 0);
    CHECK_INT(c.t.by_caller + c.t.by_others, 50);
}

/* ---- runs in two halves */

typedef struct who {
    pthread_t thread;
    atomic_bool done;
} who;

static void record_thread(void *arg, size_t i, unsigned slot)
{
    who *w = arg;
    (void)i, (void)slot;
    w->thread = pthread_self();
    w->done = true;
}

static void started_runs(void)
{
    static const unsigned threads[] = {0, 1, 2, 16};
    sums *s = malloc(2 * sizeof *s);
    for (size_t t = 0; t < 4; t++) {
        ilki_pool *p = threads[t] ? new_pool(threads[t]) : NULL;
        for (int round = 0; round < 200; round++) {
            ilki_started_run w;
            size_t n = (size_t)round % 5;
            memset(s, 0, 2 * sizeof *s);
            s[0].n_slots = s[1].n_slots = threads[t] ? threads[t] : 1;
            s[0].rounds = s[1].rounds = round * 20;
            ilki_base_pool_start(p, &w, &(ilki_run){.fn = sum_task, .arg = &s[0], .n_tasks = n});
            CHECK_OK(ilki_base_pool_run(p, &(ilki_run){.fn = sum_task, .arg = &s[1], .n_tasks = 50}, NULL), NULL);
            CHECK_OK(ilki_base_pool_finish(p, &w, NULL), NULL);
            CHECK(sums_right(&s[0], n) && sums_right(&s[1], 50));
        }
        ilki_base_pool_free(p);
    }
    free(s);
}

/* Even one task goes to another thread while this one is busy; a stopped job is told by finish. */
static void started_beside(void)
{
    ilki_pool *p = new_pool(2);
    who by = {.done = false};
    ilki_started_run w;
    ilki_base_pool_start(p, &w, &(ilki_run){.fn = record_thread, .arg = &by, .n_tasks = 1});
    for (int i = 0; i < 2000 && !by.done; i++)
        test_sleep_ms(5);
    CHECK(by.done);
    CHECK_OK(ilki_base_pool_finish(p, &w, NULL), NULL);
    CHECK(!pthread_equal(by.thread, pthread_self()));

    ilk_job_options opt = {.size = sizeof opt};
    ilk_job *job = ilki_base_job_new(&opt);
    ilki_base_job_cancel(job);
    by.done = false;
    ilki_base_pool_start(p, &w, &(ilki_run){.fn = record_thread, .arg = &by, .n_tasks = 1, .job = job});
    CHECK_INT(ilki_base_pool_finish(p, &w, NULL), ILK_CANCELLED);
    CHECK(!by.done);
    ilki_base_job_free(job);
    ilki_base_pool_free(p);
}

TEST_MAIN({"results", results}, {"visibility", visibility}, {"arguments", arguments}, {"sharing", sharing},
          {"wake_all", wake_all}, {"priorities", priorities}, {"oldest_first", oldest_first}, {"cancel", cancel},
          {"late_cancel", late_cancel}, {"concurrent_callers", concurrent_callers}, {"fork", fork_child},
          {"signals_and_modes", signals_and_modes}, {"quiet_when_idle", quiet_when_idle},
          {"does_not_collapse", does_not_collapse}, {"allocates_nothing", allocates_nothing}, {"posts", posts},
          {"posts_run_and_post", posts_run_and_post}, {"started_runs", started_runs},
          {"started_beside", started_beside})
