/* SPDX-License-Identifier: Apache-2.0
 * GFLOP/s of every GEMM table this CPU has, by shape and rows, and as a share of the peak probe run beside it.
 *
 *     bench_gemm [TABLE [THREADS]]     TABLE as "avx512", or "all"; THREADS 1 by default
 *
 * Each figure is the best of several windows of 4 ms, the probe's windows between the kernel's, because a shared machine
 * has slow spells. Threads share the rows where there are many, else the columns; nobody waits for anybody. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "kern/ops.h"

enum { WINDOW_NS = 4000000, N_WINDOWS = 16, MAX_THREADS = 64 };

typedef struct worker {
    const ilki_kern_ops *ops;
    ilki_gemm_f32 g; /* m 0: the peak probe */
    double gflops;   /* out */
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    uint64_t start = ilki_base_now_ns(), now = start;
    double flops = 0.0;
    while (now - start < WINDOW_NS) {
        if (w->g.m == 0) {
            flops += (double)(w->ops->peak_tiles_f32 ? w->ops->peak_tiles_f32(1000) : w->ops->peak_f32(20000));
        } else {
            w->ops->gemm_f32(&w->g);
            flops += 2.0 * (double)w->g.m * (double)(w->g.j1 - w->g.j0) * (double)w->g.k;
        }
        now = ilki_base_now_ns();
    }
    w->gflops = flops / (double)(now - start);
    return NULL;
}

/* All workers at once; the sum of their rates. */
static double window(worker *workers, unsigned n)
{
    pthread_t threads[MAX_THREADS];
    bool started[MAX_THREADS] = {false};
    double sum = 0.0;
    for (unsigned i = 1; i < n; i++)
        started[i] = pthread_create(&threads[i], NULL, work, &workers[i]) == 0;
    work(&workers[0]);
    for (unsigned i = 0; i < n; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        sum += i == 0 || started[i] ? workers[i].gflops : 0.0;
    }
    return sum;
}

/* The share of thread i of n. */
static ilki_gemm_f32 share(ilki_gemm_f32 g, size_t nr, unsigned i, unsigned n)
{
    if (g.m >= 32 * (size_t)n) {
        size_t from = g.m * i / n, to = g.m * (i + 1) / n;
        g.a += from * g.lda;
        g.c += from * g.ldc;
        g.m = to - from;
    } else {
        size_t panels = (g.n + nr - 1) / nr;
        g.j0 = panels * i / n * nr;
        g.j1 = i + 1 == n ? g.n : panels * (i + 1) / n * nr;
    }
    return g;
}

static void measure(const ilki_kern_ops *ops, const ilki_kern_ops *probe, const ilki_gemm_f32 *g, unsigned n)
{
    worker run[MAX_THREADS], peak[MAX_THREADS];
    double best = 0.0, most = 0.0;
    for (unsigned i = 0; i < n; i++) {
        run[i] = (worker){.ops = ops, .g = share(*g, ops->gemm_f32_nr, i, n)};
        run[i].g.scratch = (unsigned char *)g->scratch + i * ((ops->gemm_scratch_f32(512, g->k) + 63) / 64 * 64);
        peak[i] = (worker){.ops = probe};
    }
    for (int w = 0; w < N_WINDOWS; w++) {
        double p = window(peak, n), r = window(run, n);
        most = p > most ? p : most;
        best = r > best ? r : best;
    }
    printf("  m %3zu: %6.1f (%2.0f %% of %.0f)", g->m, best, 100.0 * best / most, most);
    fflush(stdout);
}

static bool bench_shape(const ilki_kern_ops *ops, const ilki_kern_ops *probe, size_t k, size_t n, unsigned threads)
{
    static const size_t rows[] = {1, 16, 128, 512};
    size_t m = 512, n_scratch = (ops->gemm_scratch_f32(m, k) + 63) / 64 * 64;
    float *a = ilki_base_alloc_aligned(m * k, sizeof *a), *w = ilki_base_alloc_aligned(n * k, sizeof *w);
    void *packed = ilki_base_alloc_aligned(ops->packed_bytes_f32(n, k), 1);
    unsigned char *scratch = ilki_base_alloc_aligned(n_scratch * threads + 1, 1);
    float *c = ilki_base_zalloc(m * n, sizeof *c);
    float *bias = ilki_base_zalloc(n, sizeof *bias);
    bool good = a && w && packed && scratch && c && bias;
    if (good) {
        for (size_t i = 0; i < m * k; i++)
            a[i] = (float)(i * 2654435761U % 2048) / 1024.0f - 1.0f;
        for (size_t i = 0; i < n * k; i++)
            w[i] = (float)(i * 2246822519U % 2048) / 1024.0f - 1.0f;
        ops->pack_f32(packed, w, k, n, k);
        printf("%-7s %4zu x %4zu", ops->name, k, n);
        for (size_t x = 0; x < sizeof rows / sizeof *rows; x++) {
            ilki_gemm_f32 g = {.a = a,
                               .packed = packed,
                               .bias = bias,
                               .c = c,
                               .scratch = scratch,
                               .m = rows[x],
                               .n = n,
                               .k = k,
                               .lda = k,
                               .ldc = n,
                               .j1 = n,
                               .act = n > k ? ILKI_ACT_GELU : ILKI_ACT_NONE};
            measure(ops, probe, &g, threads);
        }
        printf("\n");
    }
    free(a);
    free(w);
    free(packed);
    free(scratch);
    free(c);
    free(bias);
    return good;
}

int main(int argc, char **argv)
{
    static const size_t shapes[][2] = {{384, 384},  {384, 1152}, {384, 1536},  {1536, 384},
                                       {768, 3072}, {3072, 768}, {1024, 4096}, {4096, 1024}};
    const char *only = argc > 1 && strcmp(argv[1], "all") != 0 ? argv[1] : NULL;
    unsigned threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "bench_gemm: expected 1 to %d threads\n", (int)MAX_THREADS);
        return 2;
    }
    size_t n;
    uint32_t features = ilki_base_cpu_features();
    const ilki_kern_table *t = ilki_kern_tables(&n);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!t[i].ops->gemm_f32 || !(i == 0 || ilki_base_cpu_permit(t[i].needs)) ||
            (only ? strcmp(only, t[i].name) != 0 : i == 0))
            continue;
        ilki_kern_ops probe; /* of the same ISA */
        if (ilki_kern_select(&probe, t[i].name, features, NULL, 0, NULL) != ILK_OK)
            continue;
        any = true;
        printf("%s, %u threads, GFLOP/s by k x n (wider than deep: with GELU)\n", t[i].name, threads);
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            if (!bench_shape(t[i].ops, &probe, shapes[s][0], shapes[s][1], threads)) {
                fprintf(stderr, "bench_gemm: out of memory\n");
                return 1;
            }
    }
    if (!any)
        fprintf(stderr, "bench_gemm: no such table on this CPU\n");
    return any ? 0 : 2;
}
