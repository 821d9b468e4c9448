/* SPDX-License-Identifier: Apache-2.0
 * The runtime: options, info, memory ceiling, log, fork. */
#include "base/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "cancel.h"
#include "kern/ops.h"
#include "test.h"

static ilk_runtime *open_with(unsigned n_threads, uint64_t ceiling)
{
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options o;
    ilk_runtime_options_init(&o);
    o.n_threads = n_threads;
    o.memory_ceiling_bytes = ceiling;
    ilk_runtime *rt = NULL;
    CHECK_OK(ilk_runtime_open(&rt, &o, &err), &err);
    return rt;
}

static void defaults(void)
{
    unsetenv("ILK_CPU");
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime *rt = NULL;
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    REQUIRE(CHECK(rt != NULL));
    ilk_runtime_info info;
    ilk_runtime_info_init(&info);
    CHECK_OK(ilk_runtime_get_info(rt, &info, &err), &err);
    CHECK_INT(info.size, sizeof info);
    CHECK_INT(info.n_threads, ilki_base_cpu_count());
    CHECK_INT(info.n_cpus, ilki_base_cpu_count());
    CHECK_INT(info.memory_ceiling_bytes, ilki_base_memory_bytes() / 4 * 3);
    CHECK_INT(info.memory_used_bytes, 0);
    CHECK(strstr(info.kernels, "ref") != NULL);
    CHECK((ilki_base_cpu_features() & ILKI_CPU_AVX2) == 0 || strstr(info.cpu_features, "avx2") != NULL);
    CHECK(rt->vfs == &ilki_base_vfs_posix);
    CHECK(rt->ops != NULL && rt->ops->dot_f32 != NULL);
    ilk_runtime_close(rt);
    ilk_runtime_close(NULL);
}

static void options(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options o;
    ilk_runtime *rt = (ilk_runtime *)&o;
    ilk_runtime_options_init(&o);
    o.n_threads = 1025;
    CHECK_STATUS(ilk_runtime_open(&rt, &o, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(rt == NULL);
    CHECK(strstr(err.message, "n_threads") != NULL && strstr(err.message, "1025") != NULL);
    ilk_runtime_options_init(&o);
    o.cpu = "z80";
    CHECK_STATUS(ilk_runtime_open(&rt, &o, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "runtime options: cpu") != NULL && strstr(err.message, "z80") != NULL);
    ilk_runtime_options_init(&o);
    o.log_level = (ilk_log_level)9;
    CHECK_STATUS(ilk_runtime_open(&rt, &o, &err), ILK_BAD_ARGUMENT, &err);
    ilk_runtime_options_init(&o);
    o.size = 3;
    CHECK_STATUS(ilk_runtime_open(&rt, &o, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_runtime_open(NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_runtime_get_info(NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);

    setenv("ILK_CPU", "ref", 1);
    rt = open_with(1, 1 << 20);
    REQUIRE(CHECK(rt != NULL));
    ilk_runtime_info info;
    ilk_runtime_info_init(&info);
    CHECK_OK(ilk_runtime_get_info(rt, &info, &err), &err);
    CHECK_STR(info.kernels, "ref");
    CHECK_INT(info.n_threads, 1);
    CHECK_INT(info.memory_ceiling_bytes, 1 << 20);
    CHECK_STATUS(ilk_runtime_get_info(rt, NULL, &err), ILK_BAD_ARGUMENT, &err);
    info.size = 1;
    CHECK_STATUS(ilk_runtime_get_info(rt, &info, &err), ILK_BAD_ARGUMENT, &err);
    struct {
        size_t size;
        unsigned n_threads, n_cpus;
        uint64_t behind;
    } old = {0, 0, 0, 77}; /* a caller that knew of two members */
    ilk_runtime_info_init_sized(&old, 16);
    CHECK_OK(ilk_runtime_get_info(rt, (ilk_runtime_info *)(void *)&old, &err), &err);
    CHECK_INT(old.n_threads, 1);
    CHECK_INT(old.size, 16);
    CHECK_INT(old.behind, 77);
    ilk_runtime_close(rt);
    setenv("ILK_CPU", "abacus", 1);
    CHECK_STATUS(ilk_runtime_open(&rt, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "ILK_CPU") != NULL);
    ilk_runtime_options_init(&o);
    o.cpu = "ref"; /* the option wins */
    CHECK_OK(ilk_runtime_open(&rt, &o, &err), &err);
    ilk_runtime_close(rt);
    unsetenv("ILK_CPU");
}

/* ---- memory */

typedef struct taker {
    ilk_runtime *rt;
    ilk_job *job;
    uint64_t n;
    ilk_status status;
    int at; /* order of arrival at the memory */
    atomic_bool over;
} taker;

static size_t n_waiting(ilk_runtime *rt)
{
    size_t n = 0;
    pthread_mutex_lock(&rt->lock);
    for (const ilki_waiter *w = rt->waiters; w; w = w->next)
        n++;
    pthread_mutex_unlock(&rt->lock);
    return n;
}

static atomic_int n_arrived;

static void *take_memory(void *arg)
{
    taker *t = arg;
    t->status = ilki_base_runtime_reserve(t->rt, t->n, "a pass", t->job, NULL);
    t->at = atomic_fetch_add(&n_arrived, 1);
    t->over = true;
    if (t->status == ILK_OK) {
        test_sleep_ms(5);
        ilki_base_runtime_release(t->rt, t->n);
    }
    return NULL;
}

static uint64_t used(ilk_runtime *rt)
{
    ilk_runtime_info info;
    ilk_runtime_info_init(&info);
    CHECK_OK(ilk_runtime_get_info(rt, &info, NULL), NULL);
    return info.memory_used_bytes;
}

static ilk_status reserve_one(void *rt, ilk_job *job, ilk_error *err)
{
    return ilki_base_runtime_reserve(rt, 1, "a pass", job, err);
}

static void memory(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime *rt = open_with(1, 1000);
    REQUIRE(CHECK(rt != NULL));
    CHECK_STATUS(ilki_base_runtime_reserve(rt, 1001, "the pass of model x", NULL, &err), ILK_LIMIT, &err);
    CHECK(strstr(err.message, "model x") && strstr(err.message, "1001") && strstr(err.message, "1000"));
    CHECK_OK(ilki_base_runtime_reserve(rt, 1000, "a pass", NULL, &err), &err);
    CHECK_INT(used(rt), 1000);
    CHECK_OK(ilki_base_runtime_reserve(rt, 0, "nothing", NULL, &err), &err);

    cancelled wait = {.what = "waiting for memory", .kind = CANCEL_WAIT, .after_ms = 30, .run = reserve_one, .arg = rt};
    cancel_in_time(&wait);
    wait.deadline = true;
    cancel_in_time(&wait);
    CHECK_INT(used(rt), 1000);

    ilki_base_runtime_release(rt, 1000);
    CHECK_INT(used(rt), 0);
    ilk_runtime_close(rt);
}

/* A large pass is not overtaken by small ones that came later; a high one overtakes. */
static void memory_in_order(void)
{
    ilk_runtime *rt = open_with(1, 1000);
    REQUIRE(CHECK(rt != NULL));
    CHECK_OK(ilki_base_runtime_reserve(rt, 500, "a pass", NULL, NULL), NULL);
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.priority = ILK_PRIORITY_HIGH;
    ilk_job *high = ilk_job_new(&o);
    taker t[] = {{.rt = rt, .n = 900}, {.rt = rt, .n = 200}, {.rt = rt, .n = 950, .job = high}};
    pthread_t threads[3];
    n_arrived = 0;
    for (int i = 0; i < 3; i++) {
        pthread_create(&threads[i], NULL, take_memory, &t[i]);
        TEST_WAIT_UNTIL(n_waiting(rt) == (size_t)i + 1);
    }
    CHECK(!t[0].over && !t[1].over && !t[2].over); /* 200 would fit, and waits its turn */
    ilki_base_runtime_release(rt, 500);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(t[i].status, ILK_OK);
    }
    CHECK_INT(t[2].at, 0);
    CHECK_INT(t[0].at, 1);
    CHECK_INT(t[1].at, 2);
    CHECK_INT(used(rt), 0);
    ilk_job_free(high);
    ilk_runtime_close(rt);
}

/* When the first in line gives up, the next one is looked at. */
static void memory_next_in_line(void)
{
    ilk_runtime *rt = open_with(1, 1000);
    REQUIRE(CHECK(rt != NULL));
    CHECK_OK(ilki_base_runtime_reserve(rt, 500, "a pass", NULL, NULL), NULL);
    taker t[] = {{.rt = rt, .n = 900, .job = ilk_job_new(NULL)}, {.rt = rt, .n = 200}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, take_memory, &t[i]);
        TEST_WAIT_UNTIL(n_waiting(rt) == (size_t)i + 1);
    }
    CHECK(!t[1].over);
    ilk_job_cancel(t[0].job);
    pthread_join(threads[0], NULL);
    TEST_WAIT_UNTIL(t[1].over);
    ilki_base_runtime_release(rt, 500);
    pthread_join(threads[1], NULL);
    CHECK_INT(used(rt), 0);
    ilk_job_free(t[0].job);
    ilk_runtime_close(rt);
}

/* ---- log */

typedef struct lines {
    int n;
    ilk_log_level level;
    char last[1100];
} lines;

static void take_line(void *user, ilk_log_level level, const char *message)
{
    lines *l = user;
    l->n++;
    l->level = level;
    snprintf(l->last, sizeof l->last, "%s", message);
}

static void logging(void)
{
    lines l = {0};
    ilk_runtime_options o;
    ilk_runtime_options_init(&o);
    o.log = take_line;
    o.log_user = &l;
    o.n_threads = 1;
    ilk_runtime *rt = NULL;
    CHECK_OK(ilk_runtime_open(&rt, &o, NULL), NULL);
    ilki_base_log(rt, ILK_LOG_INFO, "not wanted");
    CHECK_INT(l.n, 0);
    ilki_base_log(rt, ILK_LOG_WARN, "file %s has %d", "x", 3);
    CHECK_INT(l.n, 1);
    CHECK_INT(l.level, ILK_LOG_WARN);
    CHECK_STR(l.last, "file x has 3");
    char big[3000];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    ilki_base_log(rt, ILK_LOG_ERROR, "%s", big);
    CHECK_INT(l.n, 2);
    CHECK_INT(strlen(l.last), 1023);
    ilki_base_log(NULL, ILK_LOG_ERROR, "to nobody");
    ilk_runtime_close(rt);
}

static void fork_child(void)
{
    ilk_runtime *rt = open_with(3, 1000);
    REQUIRE(CHECK(rt != NULL));
    CHECK_OK(ilki_base_runtime_check(rt, NULL), NULL);
    pthread_mutex_lock(&rt->lock); /* as another thread may hold it at the moment of the fork */
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        ilk_error err;
        ilk_error_init(&err);
        ilk_runtime_info info;
        ilk_runtime_info_init(&info);
        int bad = ilk_runtime_get_info(rt, &info, &err) != ILK_FORKED;
        bad |= (err.status != ILK_FORKED) << 1;
        bad |= (ilki_base_runtime_reserve(rt, 1, "a pass", NULL, &err) != ILK_FORKED) << 2;
        ilki_base_runtime_release(rt, 1);
        ilk_runtime_close(rt);
        _exit(bad);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    pthread_mutex_unlock(&rt->lock);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    ilk_runtime_close(rt);
}

/* A workspace that was given back is handed out again, counts while it waits, and goes where it stands in the way. */
static void workspaces(void)
{
    enum { MB = 1 << 20 };
    ilk_runtime *rt = open_with(1, 100 * MB);
    REQUIRE(CHECK(rt != NULL));
    void *a = NULL, *b = NULL, *c = NULL;
    uint64_t n_a = 0, n_b = 0, n_c = 0;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_runtime_take(rt, 3 * MB, NULL, &a, &n_a, &err), &err);
    CHECK(n_a >= 3 * MB && (uintptr_t)a % ILKI_ALIGN == 0);
    memset(a, 1, (size_t)n_a);
    CHECK_INT(used(rt), 3 * MB);
    ilki_base_runtime_give(rt, a, n_a);
    CHECK_INT(used(rt), 3 * MB);
    CHECK_OK(ilki_base_runtime_take(rt, 2 * MB, NULL, &b, &n_b, &err), &err);
    CHECK(b == a && n_b == n_a);
    CHECK_OK(ilki_base_runtime_take(rt, MB, NULL, &c, &n_c, &err), &err);
    CHECK(c != b);
    CHECK_INT(used(rt), 4 * MB);
    ilki_base_runtime_give(rt, c, n_c); /* waits, until the larger one comes back */
    CHECK_INT(used(rt), 4 * MB);
    ilki_base_runtime_give(rt, b, n_b);
    CHECK_INT(used(rt), 3 * MB);
    CHECK_OK(ilki_base_runtime_take(rt, 4 * MB, NULL, &b, &n_b, &err), &err); /* too large for what waits */
    CHECK_INT(used(rt), 7 * MB);
    CHECK_OK(ilki_base_runtime_reserve(rt, 96 * MB, "a pass", NULL, &err), &err); /* in whose way it stands */
    CHECK_INT(used(rt), 100 * MB);
    ilki_base_runtime_release(rt, 96 * MB);
    ilki_base_runtime_give(rt, b, n_b);
    CHECK_OK(ilki_base_runtime_take(rt, 70 * MB, NULL, &a, &n_a, &err), &err);
    ilki_base_runtime_give(rt, a, n_a); /* too large to keep */
    CHECK_INT(used(rt), 4 * MB);
    ilki_base_runtime_give(rt, NULL, 5);
    CHECK_STATUS(ilki_base_runtime_take(rt, 101 * MB, NULL, &a, &n_a, &err), ILK_LIMIT, &err);
    CHECK(a == NULL);
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_base_runtime_take(rt, MB, job, &a, &n_a, &err), ILK_CANCELLED, &err);
    CHECK(a == NULL);
    ilk_job_free(job);
    ilk_runtime_close(rt); /* with what waits; the address sanitizer looks */
}

TEST_MAIN({"defaults", defaults}, {"options", options}, {"memory", memory}, {"memory_in_order", memory_in_order},
          {"memory_next_in_line", memory_next_in_line}, {"workspaces", workspaces}, {"logging", logging},
          {"fork", fork_child})
