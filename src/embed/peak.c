/* SPDX-License-Identifier: Apache-2.0
 * The machine's own peaks, for `ilk bench --peak` and the figures that are stated as shares of them. Work goes through the
 * pool as a pass does, in tasks of some milliseconds. The best round counts: a peak is what the machine can do while
 * nothing else disturbs it. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "base/pool.h"
#include "embed/kernels.h"
#include "kern/ops.h"

enum { TASKS_PER_THREAD = 4 };
static const uint64_t task_ns = 3 * 1000 * 1000;
static const uint64_t each_ns = 250 * 1000 * 1000; /* for each of the peaks */
static const uint64_t buffer_bytes = 256 << 20;    /* far more than a cache holds */
static const size_t chunk_bytes = 4 << 20;

typedef uint64_t peak_fn(uint64_t n_iterations);

typedef struct probe {
    peak_fn *fn;
    const ilki_kern_ops *ops;
    uint64_t n_iterations; /* of one task */
    const unsigned char *buffer;
    size_t n_bytes;
    _Atomic uint64_t done; /* operations or bytes of one round */
    _Atomic uint64_t sink; /* what was read: the compiler must not think that nobody looks */
} probe;

static void compute(void *arg, size_t i, unsigned slot)
{
    probe *p = arg;
    (void)i, (void)slot;
    atomic_fetch_add_explicit(&p->done, p->fn(p->n_iterations), memory_order_relaxed);
}

static void read_chunk(void *arg, size_t i, unsigned slot)
{
    probe *p = arg;
    (void)slot;
    size_t at = i * chunk_bytes, n = p->n_bytes - at < chunk_bytes ? p->n_bytes - at : chunk_bytes;
    atomic_fetch_xor_explicit(&p->sink, p->ops->peak_read(p->buffer + at, n), memory_order_relaxed);
    atomic_fetch_add_explicit(&p->done, n, memory_order_relaxed);
}

/* Iterations that take about task_ns on one thread. */
static uint64_t calibrate(peak_fn *fn)
{
    uint64_t n = 1000;
    for (;;) {
        uint64_t start = ilki_base_now_ns();
        fn(n);
        uint64_t ns = ilki_base_now_ns() - start;
        if (ns >= task_ns / 4)
            return n * task_ns / ns + 1;
        n *= 2;
    }
}

/* Runs rounds for each_ns; the best rate of one. */
static ilk_status best_round(ilk_runtime *rt, const ilki_run *run, probe *p, double *per_ns, ilk_error *err)
{
    *per_ns = 0;
    uint64_t begin = ilki_base_now_ns(), end;
    do {
        atomic_store(&p->done, 0);
        uint64_t start = ilki_base_now_ns();
        ilk_status st = ilki_base_pool_run(rt->pool, run, err);
        if (st != ILK_OK)
            return st;
        end = ilki_base_now_ns();
        double rate = (double)atomic_load(&p->done) / (double)(end > start ? end - start : 1);
        if (rate > *per_ns)
            *per_ns = rate;
    } while (end - begin < each_ns);
    return ILK_OK;
}

static ilk_status measure_reads(ilk_runtime *rt, ilk_job *job, probe *p, double *per_ns, ilk_error *err)
{
    uint64_t n = rt->ceiling_bytes / 4 < buffer_bytes ? rt->ceiling_bytes / 4 : buffer_bytes;
    n = n / 64 * 64;
    if (n == 0)
        return ilki_base_fail(err, ILK_LIMIT, "measuring needs 256 bytes, the memory ceiling is %llu",
                              (unsigned long long)rt->ceiling_bytes);
    ilk_status st = ilki_base_runtime_reserve(rt, n, "measuring", job, err);
    if (st != ILK_OK)
        return st;
    unsigned char *buffer = ilki_base_alloc_aligned(n, 1);
    if (buffer != NULL) {
        memset(buffer, 1, n); /* pages that were never written are all the same one */
        p->buffer = buffer;
        p->n_bytes = n;
        ilki_run run = {read_chunk, p, (n + chunk_bytes - 1) / chunk_bytes, 0, job};
        st = best_round(rt, &run, p, per_ns, err);
        free(buffer);
    } else {
        st = ilki_base_fail_memory(err, n, "measuring");
    }
    ilki_base_runtime_release(rt, n);
    return st;
}

ilk_status ilki_embed_peak(ilk_runtime *rt, ilk_job *job, ilk_peak *out, ilk_error *err)
{
    ilk_status st = ilki_base_job_check(job, err);
    if (st != ILK_OK)
        return st;
    struct {
        peak_fn *fn;
        double *per_ns;
    } probes[] = {{rt->ops->peak_f32, &out->gflops_f32},
                  {rt->ops->peak_tiles_f32, &out->gflops_f32_tiles},
                  {rt->ops->peak_bf16, &out->gflops_bf16},
                  {rt->ops->peak_i8, &out->gops_i8}};
    probe p = {.ops = rt->ops};
    ilki_run run = {compute, &p, (size_t)ilki_base_pool_threads(rt->pool) * TASKS_PER_THREAD, 0, job};
    for (size_t i = 0; st == ILK_OK && i < sizeof probes / sizeof *probes; i++) {
        p.fn = probes[i].fn;
        if (!p.fn)
            continue;
        p.n_iterations = calibrate(p.fn);
        st = best_round(rt, &run, &p, probes[i].per_ns, err);
    }
    return st == ILK_OK ? measure_reads(rt, job, &p, &out->read_gbytes, err) : st;
}
