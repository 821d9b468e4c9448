/* SPDX-License-Identifier: Apache-2.0
 * Jobs: cancel (from a signal handler too), deadline, progress, and the result of queued work. */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/pool.h"
#include "base/runtime.h"
#include "clock.h"
#include "test.h"

static void null_job(void)
{
    CHECK_OK(ilki_base_job_check(NULL, NULL), NULL);
    CHECK(!ilki_base_job_stopped(NULL));
    CHECK_INT(ilki_base_job_priority(NULL), ILK_PRIORITY_NORMAL);
    ilki_base_job_progress(NULL, "stage", "units", 1, 2, 0, true);
    ilk_job_cancel(NULL);
    ilk_job_free(NULL);
    void *result;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_base_job_begin(NULL, free, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilki_base_job_wait(NULL, &result, &err), ILK_BAD_ARGUMENT, &err);
}

static void options(void)
{
    ilk_job *job = ilk_job_new(NULL);
    REQUIRE(CHECK(job != NULL));
    CHECK_INT(ilki_base_job_priority(job), ILK_PRIORITY_NORMAL);
    CHECK_OK(ilki_base_job_check(job, NULL), NULL);
    ilk_job_free(job);

    ilk_job_options o;
    ilk_job_options_init(&o);
    o.priority = ILK_PRIORITY_LOW;
    o.deadline_seconds = 1e300; /* as good as none */
    job = ilk_job_new(&o);
    REQUIRE(CHECK(job != NULL));
    CHECK_INT(ilki_base_job_priority(job), ILK_PRIORITY_LOW);
    CHECK(!ilki_base_job_stopped(job));
    ilk_job_free(job);

    static const double bad[] = {-1, (double)NAN, (double)INFINITY};
    for (int i = 0; i < 3; i++) {
        ilk_job_options_init(&o);
        o.deadline_seconds = bad[i];
        CHECK(ilk_job_new(&o) == NULL);
    }
    ilk_job_options_init(&o);
    o.priority = (ilk_priority)7;
    CHECK(ilk_job_new(&o) == NULL);
    ilk_job_options_init(&o);
    o.size = 0;
    CHECK(ilk_job_new(&o) == NULL);
    ilk_job_options_init_sized(NULL, 8);
    struct {
        size_t size;
        int priority;
        int behind;
    } old = {0, 0, 5}; /* a caller that knew of the first member only */
    ilk_job_options_init_sized(&old, 12);
    CHECK_INT(old.behind, 5);
    old.priority = ILK_PRIORITY_HIGH;
    job = ilk_job_new((const ilk_job_options *)(const void *)&old);
    REQUIRE(CHECK(job != NULL));
    CHECK_INT(ilki_base_job_priority(job), ILK_PRIORITY_HIGH);
    ilk_job_free(job);
}

static void cancel_and_deadline(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.deadline_seconds = 0.02;
    ilk_job *job = ilk_job_new(&o);
    REQUIRE(CHECK(job != NULL));
    test_sleep_ms(25);
    CHECK(ilki_base_job_stopped(job));
    CHECK_STATUS(ilki_base_job_check(job, &err), ILK_DEADLINE, &err);
    CHECK(strstr(err.message, "0.02") != NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_base_job_check(job, &err), ILK_CANCELLED, &err);
    CHECK_INT(err.status, ILK_CANCELLED);
    CHECK(ilki_base_job_stopped(job));
    ilk_job_free(job);
    o.deadline_seconds = 1000;
    job = ilk_job_new(&o);
    REQUIRE(CHECK(job != NULL));
    CHECK(!ilki_base_job_stopped(job));
    ilk_job_free(job);
}

static ilk_job *volatile signalled;
static atomic_int n_naps, n_naps_at_alarm;

static void on_alarm(int number)
{
    (void)number;
    ilk_job_cancel(signalled);
    n_naps_at_alarm = n_naps;
}

static void nap(void *arg, size_t i, unsigned slot)
{
    (void)arg, (void)i, (void)slot;
    test_sleep_ms(2);
    n_naps++;
}

static void cancel_in_handler(void)
{
    struct sigaction act = {.sa_handler = on_alarm}, old;
    sigaction(SIGALRM, &act, &old);
    ilk_job *job = signalled = ilk_job_new(NULL);
    ilki_pool *p = NULL;
    CHECK_OK(ilki_base_pool_new(&p, 2, NULL), NULL);
    struct timespec t = {0, 30 * 1000 * 1000};
    struct itimerspec when = {{0, 0}, t};
    timer_t timer;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    CHECK_INT(timer_create(CLOCK_MONOTONIC, &ev, &timer), 0);
    timer_settime(timer, 0, &when, NULL);
    ilki_run run = {nap, NULL, 100000, 0, job};
    CHECK_STATUS(ilki_base_pool_run(p, &run, NULL), ILK_CANCELLED, NULL);
    CHECK_THAT(n_naps - n_naps_at_alarm <= 2, "%d naps after the alarm: each of 2 threads ends the one it is in",
               n_naps - n_naps_at_alarm);
    timer_delete(timer);
    sigaction(SIGALRM, &old, NULL);
    ilki_base_pool_free(p);
    ilk_job_free(job);
}

/* A job under another stops with it, and by itself; the other goes on. */
static void under_another(void)
{
    ilk_job *above = ilk_job_new(NULL);
    ilk_job *early = ilki_base_job_under(above, 0), *late = ilki_base_job_under(above, 1000),
            *alone = ilki_base_job_under(NULL, 1000);
    REQUIRE(CHECK(above && early && late && alone));
    test_sleep_ms(1);
    CHECK_STATUS(ilki_base_job_check(early, NULL), ILK_DEADLINE, NULL);
    CHECK_STATUS(ilki_base_job_check(late, NULL), ILK_OK, NULL);
    CHECK_STATUS(ilki_base_job_check(above, NULL), ILK_OK, NULL);
    ilk_job_cancel(above);
    CHECK_STATUS(ilki_base_job_check(late, NULL), ILK_CANCELLED, NULL);
    CHECK_STATUS(ilki_base_job_check(early, NULL), ILK_CANCELLED, NULL); /* not its own deadline any more */
    CHECK(ilki_base_job_stopped(late) && !ilki_base_job_stopped(alone));
    ilk_job_cancel(alone);
    CHECK_STATUS(ilki_base_job_check(alone, NULL), ILK_CANCELLED, NULL);
    ilk_job_free(early);
    ilk_job_free(late);
    ilk_job_free(alone);
    ilk_job_free(above);
}

/* ---- progress */

typedef struct seen {
    int n;
    ilk_progress last;
} seen;

static void see(void *user, const ilk_progress *p)
{
    seen *s = user;
    s->n++;
    s->last = *p;
}

static void progress(void)
{
    seen s = {0};
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.progress = see;
    o.progress_user = &s;
    ilk_job *job = ilk_job_new(&o);
    REQUIRE(CHECK(job != NULL));
    double start = test_wall_ms();
    for (uint64_t i = 0; s.n < 4; i++) {
        ilki_base_job_progress(job, "embedding", "texts", i, 1000, 3, false);
        CHECK(i > 0 || s.n == 1); /* the first at once, then ten a second */
        test_sleep_ms(0.2);
    }
    CHECK(test_wall_ms() - start >= 300);
    int n = s.n;
    ilki_base_job_progress(job, "embedding", "texts", 1000, 1000, 4, true);
    CHECK_INT(s.n, n + 1);
    CHECK_STR(s.last.stage, "embedding");
    CHECK_STR(s.last.unit, "texts");
    CHECK_INT(s.last.size, sizeof s.last);
    CHECK_INT(s.last.done, 1000);
    CHECK_INT(s.last.total, 1000);
    CHECK_INT(s.last.skipped, 4);
    ilk_job_free(job);
}

/* ---- queued work */

typedef struct ending {
    ilk_job *job;
    ilk_status status;
    atomic_int n_done;
    ilk_job *done_job;
} ending;

static void count_done(void *user, ilk_job *job)
{
    ending *e = user;
    e->done_job = job;
    ilk_job_cancel(job); /* the one call that is allowed here */
    test_sleep_ms(5);
    e->n_done++;
}

static void *end_soon(void *arg)
{
    ending *e = arg;
    test_sleep_ms(20);
    ilk_error err;
    ilk_error_init(&err);
    if (e->status != ILK_OK)
        ilki_base_fail(&err, e->status, "the pass failed");
    ilki_base_job_end(e->job, e->status, &err, e->status == ILK_OK ? malloc(16) : NULL);
    return NULL;
}

static ilk_job *begun(ending *e, ilk_status status)
{
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.done = count_done;
    o.done_user = e;
    *e = (ending){ilk_job_new(&o), status, 0, NULL};
    CHECK_OK(ilki_base_job_begin(e->job, free, NULL), NULL);
    return e->job;
}

static void queued(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ending e;
    void *result = &e;
    pthread_t thread;
    ilk_job *job = begun(&e, ILK_OK);
    CHECK_STATUS(ilki_base_job_begin(job, free, &err), ILK_BUSY, &err);
    pthread_create(&thread, NULL, end_soon, &e);
    CHECK_OK(ilki_base_job_wait(job, &result, &err), &err);
    CHECK_INT(e.n_done, 1); /* before anybody learns of the end */
    CHECK(e.done_job == job);
    CHECK(result != NULL);
    free(result);
    pthread_join(thread, NULL);
    CHECK_STATUS(ilki_base_job_wait(job, &result, &err), ILK_BAD_ARGUMENT, &err); /* taken once */
    CHECK(result == NULL);
    CHECK_OK(ilki_base_job_begin(job, free, &err), &err); /* and ready for more */
    ilki_base_job_end(job, ILK_OK, NULL, malloc(16));
    ilk_job_free(job); /* a result that nobody took: the leak checker looks */

    job = begun(&e, ILK_NOT_FINITE);
    pthread_create(&thread, NULL, end_soon, &e);
    CHECK_STATUS(ilki_base_job_wait(job, &result, &err), ILK_NOT_FINITE, NULL);
    CHECK_STR(err.message, "the pass failed");
    CHECK(result == NULL);
    pthread_join(thread, NULL);
    ilk_job_free(job);

    job = begun(&e, ILK_OK);
    pthread_create(&thread, NULL, end_soon, &e);
    ilk_job_free(job); /* waits for the end, frees the result */
    CHECK_INT(e.n_done, 1);
    pthread_join(thread, NULL);
}

static void fork_child(void)
{
    ending e;
    ilk_job *job = begun(&e, ILK_OK);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        void *result;
        int bad = ilki_base_job_wait(job, &result, NULL) != ILK_FORKED;
        bad |= (ilki_base_job_begin(job, free, NULL) != ILK_FORKED) << 1;
        ilk_job_free(job);
        _exit(bad);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    ilki_base_job_end(job, ILK_OK, NULL, NULL);
    ilk_job_free(job);
}

static void no_memory(void)
{
    alloc_fail_at(1, false);
    CHECK(ilk_job_new(NULL) == NULL);
    CHECK(alloc_fail_off());
}

TEST_MAIN({"null_job", null_job}, {"options", options}, {"cancel_and_deadline", cancel_and_deadline},
          {"cancel_in_handler", cancel_in_handler}, {"under_another", under_another}, {"progress", progress},
          {"queued", queued}, {"fork", fork_child}, {"no_memory", no_memory})
