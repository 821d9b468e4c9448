/* SPDX-License-Identifier: Apache-2.0
 * Products of bf16 and of 8 bits: billions of operations a second (a multiply-add is two) of every table this CPU has, by
 * shapes of BERT and rows, on this thread's CPU time, exact channels and rounding of rows included.
 *
 *     bench_products [TABLE]     TABLE as "amx"
 *
 * Each figure is the best of several windows of 3 ms; the small weights stay in the second level of cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "kern/ops.h"

enum { WINDOW_NS = 3000000, N_WINDOWS = 12, MAX_TABLES = 32, MOST_ROWS = 512 };

typedef struct operands {
    size_t k, n;
    float *x, *w, *bias, *c, *keep;
    unsigned char *codes;
    void *packed, *scratch;
    ilki_i8_channels channels;
} operands;

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run_i8(const ilki_kern_ops *ops, const operands *o, size_t m)
{
    ilki_gemm_i8 g = {.a = o->codes, .packed = o->packed, .bias = o->bias, .c = o->c, .m = m, .n = o->n, .k = o->k};
    g.lda = ilki_kern_i8_row_bytes(o->k);
    g.ldc = o->n;
    g.j1 = o->n;
    g.n_exact = o->channels.n_exact;
    ops->gemm_i8(&g);
}

static void run_bf16(const ilki_kern_ops *ops, const operands *o, size_t m)
{
    ilki_gemm_f32 g = {.a = o->x, .packed = o->packed, .bias = o->bias, .c = o->c, .m = m, .n = o->n, .k = o->k};
    g.scratch = o->scratch;
    g.lda = o->k;
    g.ldc = o->n;
    g.j1 = o->n;
    ops->gemm_bf16(&g);
}

static double window(const ilki_kern_ops *ops, const operands *o, size_t m, bool i8)
{
    uint64_t start = cpu_ns(), now = start;
    double done = 0;
    while (now - start < WINDOW_NS) {
        (i8 ? run_i8 : run_bf16)(ops, o, m);
        done += 2.0 * (double)m * (double)o->n * (double)o->k;
        now = cpu_ns();
    }
    return done / (double)(now - start);
}

static void pack(const ilki_kern_ops *ops, const ilki_kern_ops *best, operands *o, bool i8)
{
    if (i8) {
        ops->pack_i8(o->packed, o->w, o->k, o->n, o->k, &o->channels);
        best->quant_rows_i8(
            &(ilki_rows_i8){o->codes, o->x, &o->channels, NULL, ilki_kern_i8_row_bytes(o->k), o->k, MOST_ROWS, o->k});
    } else {
        ops->pack_bf16(o->packed, o->w, o->k, o->n, o->k);
    }
}

static bool bench_shape(const ilki_kern_table *t, const ilki_kern_ops *best, size_t k, size_t n, bool i8)
{
    static const uint32_t exact[] = {1, 50, 100, 300};
    static const size_t rows[] = {1, 16, 128, MOST_ROWS};
    size_t n_packed = i8 ? t->ops->packed_bytes_i8(n, k, 4) : t->ops->packed_bytes_bf16(n, k);
    size_t n_scratch = i8 ? 64 : t->ops->gemm_scratch_bf16(MOST_ROWS, k);
    operands o = {.k = k, .n = n};
    o.x = ilki_base_alloc_aligned(MOST_ROWS * k, sizeof(float));
    o.w = ilki_base_alloc_aligned(n * k, sizeof(float));
    o.bias = ilki_base_zalloc(n, sizeof(float));
    o.c = ilki_base_zalloc(MOST_ROWS * n, sizeof(float));
    o.keep = ilki_base_zalloc(k, sizeof(float));
    o.codes = ilki_base_alloc_aligned(MOST_ROWS * ilki_kern_i8_row_bytes(k), 1);
    o.packed = ilki_base_alloc_aligned(n_packed, 1);
    o.scratch = ilki_base_alloc_aligned(n_scratch, 1);
    o.channels = (ilki_i8_channels){exact, 4, o.keep};
    bool good = o.x && o.w && o.bias && o.c && o.keep && o.codes && o.packed && o.scratch;
    for (size_t i = 0; good && i < MOST_ROWS * k; i++)
        o.x[i] = (float)(i * 2654435761U % 2048) / 1024.0f - 1.0f;
    for (size_t i = 0; good && i < n * k; i++)
        o.w[i] = (float)(i * 2246822519U % 2048) / 1024.0f - 1.0f;
    for (size_t i = 0; good && i < k; i++)
        o.keep[i] = i == 1 || i == 50 || i == 100 || i == 300 ? 0.0f : 1.0f;
    if (good) {
        pack(t->ops, best, &o, i8);
        printf("%-10s %-4s %4zu x %4zu", t->name, i8 ? "i8" : "bf16", k, n);
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            double most = 0;
            for (int w = 0; w < N_WINDOWS; w++) {
                double now = window(t->ops, &o, rows[r], i8);
                most = now > most ? now : most;
            }
            printf("  m %3zu: %6.0f", rows[r], most);
        }
        printf("\n");
    }
    void *all[] = {o.x, o.w, o.bias, o.c, o.keep, o.codes, o.packed, o.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return good;
}

int main(int argc, char **argv)
{
    static const size_t shapes[][2] = {{384, 384}, {384, 1152}, {384, 1536}, {1536, 384}, {768, 3072}, {3072, 768}};
    size_t n;
    const ilki_kern_table *t = ilki_kern_tables(&n);
    ilki_kern_ops best;
    if (ilki_kern_select(&best, NULL, ilki_base_cpu_features(), NULL, 0, NULL) != ILK_OK)
        return 1;
    for (size_t i = 1; i < n; i++) {
        if ((!t[i].ops->gemm_i8 && !t[i].ops->gemm_bf16) || !ilki_base_cpu_permit(t[i].needs) ||
            (argc > 1 && strcmp(argv[1], t[i].name) != 0))
            continue;
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            if (!bench_shape(&t[i], &best, shapes[s][0], shapes[s][1], t[i].ops->gemm_i8 != NULL)) {
                fprintf(stderr, "bench_products: out of memory\n");
                return 1;
            }
    }
    return 0;
}
