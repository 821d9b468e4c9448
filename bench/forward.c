/* SPDX-License-Identifier: Apache-2.0
 * The pass of a checkpoint's first tower, mean pooling, on batches of one length: bench_forward [f32|bf16|int8|int8w] DIR [THREADS
 * [SECONDS [SEQSxTOKENS ...]]]. Prints milliseconds (best and median) and the arithmetic of dense layers and attention in GFLOP/s:
 * by the clock, and by CPU time, which says on a machine with other work what the code itself does with a core; the
 * latter also as a share of the peak probe, run before and after each pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "checkpoint.h"

/* of all threads */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* GFLOP/s of the probe by this thread's CPU time; a core at full clock takes 0.5 ms for it */
static double peak_gflops(const ilki_kern_ops *ops)
{
    struct timespec from, to;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    double flops = (double)(ops->peak_tiles_f32 ? ops->peak_tiles_f32(2000) : ops->peak_f32(50000));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    return flops / ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec));
}

/* multiply-adds count two; embeddings, norms and heads not at all */
static double n_flops(const setup *s, size_t n_seqs, size_t n)
{
    const ilki_tower_info *t = &s->net->tower[0];
    int64_t ffn = 0;
    ilki_json_node root = ilki_base_json_root(s->config);
    ilki_base_json_int(s->config, ilki_base_json_get(s->config, root, "intermediate_size"), 1, 1 << 20, &ffn);
    double d = t->dim, dense = t->n_layers * (8 * d * d + 4 * d * (double)ffn),
           attention = 4 * d * (double)n * t->n_layers;
    return (dense + attention) * (double)(n_seqs * n);
}

static void run_shape(setup *s, size_t n_seqs, size_t len, double seconds)
{
    enum { MAX_RUNS = 10000 };
    static double ms[MAX_RUNS], cpu[MAX_RUNS], peak[MAX_RUNS], share[MAX_RUNS];
    size_t n_tokens = n_seqs * len, dim = s->net->tower[0].dim, n_bytes = 0, n_runs = 0;
    uint32_t *offsets = calloc(n_seqs + 1, sizeof *offsets);
    int32_t *ids = calloc(n_tokens, sizeof *ids);
    float *pooled = calloc(n_seqs * dim, sizeof *pooled);
    for (size_t i = 0; i <= n_seqs; i++)
        offsets[i] = (uint32_t)(i * len);
    for (size_t i = 0; i < n_tokens; i++)
        ids[i] = (int32_t)((i * 7919 + 1000) % s->net->tower[0].vocab_size);
    ilki_tower_in in = {.n_seqs = n_seqs, .n_tokens = n_tokens, .offsets = offsets, .ids = ids};
    ilki_tower_out out = {.pooling = ILKI_POOL_MEAN, .pooled = pooled};
    double mflops = n_flops(s, n_seqs, len) / 1e6;
    ilki_ws ws;
    ilki_nn ctx = {.ops = s->rt->ops, .pool = s->rt->pool, .ws = &ws, .err = &s->err};
    ilk_status st = ilki_models_measure(s->net, 0, &ctx, &in, &out, &n_bytes, &s->err);
    void *memory = ilki_base_alloc_aligned(n_bytes, 1);
    uint64_t begin = ilki_base_now_ns();
    while (st == ILK_OK && n_runs < MAX_RUNS && (double)(ilki_base_now_ns() - begin) < seconds * 1e9) {
        ilki_base_ws_init(&ws, memory, n_bytes);
        double before = peak_gflops(ctx.ops);
        uint64_t start = ilki_base_now_ns();
        double cpu_start = cpu_ms();
        st = ilki_models_forward(s->net, 0, &ctx, &in, &out);
        cpu[n_runs] = cpu_ms() - cpu_start;
        ms[n_runs] = (double)(ilki_base_now_ns() - start) / 1e6;
        peak[n_runs] = (before + peak_gflops(ctx.ops)) / 2;
        share[n_runs] = mflops / cpu[n_runs] / peak[n_runs];
        n_runs++;
    }
    if (st != ILK_OK) {
        printf("%s\n", s->err.message);
    } else {
        qsort(ms, n_runs, sizeof *ms, by_size);
        qsort(cpu, n_runs, sizeof *cpu, by_size);
        qsort(peak, n_runs, sizeof *peak, by_size);
        qsort(share, n_runs, sizeof *share, by_size);
        printf(
            "%zux%zu: best %.3f ms, median %.3f ms, %.0f tokens/s, %.1f GFLOP/s; of a core's time best %.1f, median %.1f "
            "GFLOP/s, median share of the peak %.3f (probe: %.0f); workspace %.1f MB\n",
            n_seqs, len, ms[0], ms[n_runs / 2], (double)n_tokens / ms[0] * 1e3, mflops / ms[0], mflops / cpu[0],
            mflops / cpu[n_runs / 2], share[n_runs / 2], peak[n_runs / 2], (double)n_bytes / 1e6);
    }
    free(memory);
    free(offsets);
    free(ids);
    free(pooled);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"1x16", "1x128", "8x128", "32x32", "1x512"};
    setup s = {0};
    ilk_error_init(&s.err);
    if (argc > 1 && setup_form(&s, argv[1])) {
        argc--;
        argv++;
    }
    if (argc < 2 || setup_open(&s, argv[1], argc > 2 ? (unsigned)atoi(argv[2]) : 0) != ILK_OK) {
        printf("%s\n", argc < 2 ? "usage: bench_forward [f32|bf16|int8|int8w] DIR [THREADS [SECONDS [SEQSxTOKENS ...]]]"
                                : s.err.message);
        return 2;
    }
    printf("open %.1f ms, kernels %s, %u threads\n", s.open_ms, s.rt->kernels, ilki_base_pool_threads(s.rt->pool));
    double seconds = argc > 3 ? atof(argv[3]) : 1;
    int n = argc > 4 ? argc - 4 : (int)(sizeof usual / sizeof *usual);
    for (int i = 0; i < n; i++) {
        size_t n_seqs = 0, len = 0;
        if (sscanf(argc > 4 ? argv[4 + i] : usual[i], "%zux%zu", &n_seqs, &len) == 2 && n_seqs && len)
            run_shape(&s, n_seqs, len, seconds);
    }
    setup_close(&s);
    return 0;
}
