/* SPDX-License-Identifier: Apache-2.0
 * The runtime: what everything opened from it shares. Memory under the ceiling is handed out by priority, then in order
 * of arrival, so that a large pass is not starved by small ones that slip past it. */
#include "base/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/wait.h"

#define PACKED_LEAST_NS 20000000u /* less is not felt at a start */

enum { MAX_THREADS = 1024, MAX_SPARE = 64 << 20 };
static const long poll_ns = 20 * 1000 * 1000; /* a cancel cannot wake a waiter: it may come from a signal handler */

typedef ilki_waiter waiter;

static void list_features(uint32_t features, char *out, size_t n)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } rows[] = {
#define ROW(id, text, bit) {1u << (bit), text},
        ILKI_CPU_LIST(ROW)
#undef ROW
    };
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof rows / sizeof *rows && len < n; i++)
        if (features & rows[i].bit)
            len += (size_t)snprintf(out + len, n - len, "%s%s", len > 0 ? " " : "", rows[i].name);
}

static ilk_status init_locks(ilk_runtime *rt, ilk_error *err)
{
    int e = ilki_base_wait_init(&rt->lock, &rt->freed);
    return e == 0 ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, e, "the runtime's lock could not be made");
}

/* `asked`, or what the environment says in MiB ("off" and what is no number: none), or 4 GiB. */
static uint64_t packed_ceiling(uint64_t asked)
{
    const char *said = getenv("ILK_PACKED_CACHE");
    char *end = NULL;
    if (asked)
        return asked;
    if (!said || !*said)
        return (uint64_t)4 << 30;
    unsigned long long n = *said >= '0' && *said <= '9' ? strtoull(said, &end, 10) : 0;
    return end && !*end ? (n < (1ULL << 40) ? n : 1ULL << 40) << 20 : 0;
}

ilk_status ilki_base_runtime_new(ilk_runtime **out, const ilk_runtime_options *opt, ilk_error *err)
{
    *out = NULL;
    if (opt->n_threads > MAX_THREADS)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "runtime options: n_threads: expected at most %d, got %u",
                              (int)MAX_THREADS, opt->n_threads);
    if ((int)opt->log_level < 0 || opt->log_level > ILK_LOG_DEBUG)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "runtime options: log_level: expected 0 to %d, got %d",
                              (int)ILK_LOG_DEBUG, (int)opt->log_level);
    ilk_runtime *rt = ilki_base_zalloc(1, sizeof *rt);
    if (rt == NULL)
        return ilki_base_fail_memory(err, sizeof *rt, "the runtime");
    rt->vfs = &ilki_base_vfs_posix;
    rt->log = opt->log;
    rt->log_user = opt->log_user;
    rt->log_level = opt->log_level != 0 ? opt->log_level : ILK_LOG_WARN;
    rt->pid = (int)getpid();
    rt->n_cpus = ilki_base_cpu_count();
    rt->packed_ceiling = packed_ceiling(opt->packed_cache_bytes);
    rt->packed_least_ns = PACKED_LEAST_NS;
    rt->ceiling_bytes = opt->memory_ceiling_bytes;
    if (rt->ceiling_bytes == 0)
        rt->ceiling_bytes = ilki_base_memory_bytes() / 4 * 3;
    list_features(ilki_base_cpu_features(), rt->features, sizeof rt->features);
    if (opt->media_helper != NULL)
        rt->media_helper = ilki_base_strndup(opt->media_helper, strlen(opt->media_helper));
    ilk_status st = opt->media_helper != NULL && rt->media_helper == NULL
                        ? ilki_base_fail_memory(err, strlen(opt->media_helper), "the path of the media helper")
                        : init_locks(rt, err);
    if (st != ILK_OK) {
        free(rt->media_helper);
        free(rt);
        return st;
    }
    st = ilki_base_pool_new(&rt->pool, opt->n_threads != 0 ? opt->n_threads : rt->n_cpus, err);
    if (st != ILK_OK) {
        ilki_base_runtime_free(rt);
        return st;
    }
    *out = rt;
    return ILK_OK;
}

void ilki_base_runtime_free(ilk_runtime *rt)
{
    if (rt == NULL)
        return;
    ilki_base_pool_free(rt->pool);
    if (rt->media_free != NULL)
        rt->media_free(rt->media);
    free(rt->media_helper);
    free(rt->spare);
    if (rt->pid == (int)getpid()) {
        pthread_cond_destroy(&rt->freed);
        pthread_mutex_destroy(&rt->lock);
    }
    free(rt);
}

ilk_status ilki_base_runtime_check(const ilk_runtime *rt, ilk_error *err)
{
    if (rt->pid != (int)getpid())
        return ilki_base_fail(err, ILK_FORKED, "runtime of process %d used in its child %d: open another one there",
                              rt->pid, (int)getpid());
    return ILK_OK;
}

/* ---- memory */

static void enqueue(ilk_runtime *rt, waiter *w)
{
    waiter **at = &rt->waiters;
    while (*at != NULL && (*at)->priority >= w->priority)
        at = &(*at)->next;
    w->next = *at;
    *at = w;
}

static void dequeue(ilk_runtime *rt, const waiter *w)
{
    waiter **at = &rt->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (rt->waiters != NULL) /* the next in line may fit already */
        pthread_cond_broadcast(&rt->freed);
}

static void wait_for_memory(ilk_runtime *rt, const ilk_job *job)
{
    if (job == NULL)
        pthread_cond_wait(&rt->freed, &rt->lock);
    else
        ilki_base_wait_for(&rt->lock, &rt->freed, poll_ns);
}

/* Frees the spare workspace where it stands in the way of n_bytes; under the lock. */
static bool fits(ilk_runtime *rt, uint64_t n_bytes)
{
    if (n_bytes > rt->ceiling_bytes - rt->used_bytes && rt->spare != NULL) {
        free(rt->spare);
        rt->used_bytes -= rt->spare_bytes;
        rt->spare = NULL;
    }
    return n_bytes <= rt->ceiling_bytes - rt->used_bytes;
}

ilk_status ilki_base_runtime_reserve(ilk_runtime *rt, uint64_t n_bytes, const char *what, ilk_job *job, ilk_error *err)
{
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK)
        st = ilki_base_job_check(job, err);
    if (st != ILK_OK)
        return st;
    if (n_bytes > rt->ceiling_bytes)
        return ilki_base_fail(err, ILK_LIMIT, "%s needs %llu bytes, the memory ceiling is %llu", what,
                              (unsigned long long)n_bytes, (unsigned long long)rt->ceiling_bytes);
    pthread_mutex_lock(&rt->lock);
    waiter self = {NULL, (int)ilki_base_job_priority(job)};
    enqueue(rt, &self);
    while (rt->waiters != &self || !fits(rt, n_bytes)) {
        st = ilki_base_job_check(job, err);
        if (st != ILK_OK)
            break;
        wait_for_memory(rt, job);
    }
    if (st == ILK_OK)
        rt->used_bytes += n_bytes;
    dequeue(rt, &self);
    pthread_mutex_unlock(&rt->lock);
    return st;
}

void ilki_base_runtime_release(ilk_runtime *rt, uint64_t n_bytes)
{
    if (rt->pid != (int)getpid()) /* somebody in the parent may hold the lock for ever */
        return;
    pthread_mutex_lock(&rt->lock);
    rt->used_bytes -= n_bytes;
    if (rt->waiters != NULL)
        pthread_cond_broadcast(&rt->freed);
    pthread_mutex_unlock(&rt->lock);
}

ilk_status ilki_base_runtime_take(ilk_runtime *rt, uint64_t n_bytes, ilk_job *job, void **out, uint64_t *got,
                                  ilk_error *err)
{
    *out = NULL;
    *got = n_bytes;
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK)
        st = ilki_base_job_check(job, err);
    if (st != ILK_OK)
        return st;
    pthread_mutex_lock(&rt->lock);
    if (rt->spare != NULL && rt->spare_bytes >= n_bytes) {
        *out = rt->spare;
        *got = rt->spare_bytes;
        rt->spare = NULL;
    }
    pthread_mutex_unlock(&rt->lock);
    if (*out != NULL)
        return ILK_OK;
    st = ilki_base_runtime_reserve(rt, n_bytes, "a pass of the network", job, err);
    if (st != ILK_OK)
        return st;
    *out = n_bytes == (size_t)n_bytes ? ilki_base_alloc_aligned((size_t)n_bytes, 1) : NULL;
    if (*out != NULL)
        return ILK_OK;
    ilki_base_runtime_release(rt, n_bytes);
    return ilki_base_fail_memory(err, (size_t)n_bytes, "a pass of the network");
}

void ilki_base_runtime_give(ilk_runtime *rt, void *workspace, uint64_t n_bytes)
{
    void *drop = workspace;
    uint64_t drop_bytes = n_bytes;
    if (workspace == NULL)
        return;
    if (rt->pid == (int)getpid()) {
        pthread_mutex_lock(&rt->lock);
        if (n_bytes <= MAX_SPARE && rt->waiters == NULL && (rt->spare == NULL || rt->spare_bytes < n_bytes)) {
            drop = rt->spare;
            drop_bytes = rt->spare_bytes;
            rt->spare = workspace;
            rt->spare_bytes = n_bytes;
        }
        pthread_mutex_unlock(&rt->lock);
    }
    if (drop != NULL)
        ilki_base_runtime_release(rt, drop_bytes);
    free(drop);
}

uint64_t ilki_base_runtime_used(const ilk_runtime *rt)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)(uintptr_t)&rt->lock; /* looking changes nothing a caller can see */
    pthread_mutex_lock(lock);
    uint64_t used = rt->used_bytes;
    pthread_mutex_unlock(lock);
    return used;
}

/* ---- log */

void ilki_base_log(const ilk_runtime *rt, ilk_log_level level, const char *fmt, ...)
{
    if (rt == NULL || rt->log == NULL || level > rt->log_level)
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    rt->log(rt->log_user, level, text);
}
