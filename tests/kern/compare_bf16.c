/* SPDX-License-Identifier: Apache-2.0
 * The comparator, bf16 products: operands are rounded here as ops.h states, so that the rest is the bound of a product in
 * f32; rows and column ranges against each other bit by bit. */
#include "kern/compare.h"

typedef struct product {
    ilki_gemm_f32 g;
    float *w, *c;
} product;

static product new_product(size_t m, size_t n, size_t k, enum kind kind)
{
    size_t pad = (m + k) % 3;
    product p = {.w = pen_floats(1, span(n, k, k + pad), kind == ZEROS ? PLAIN : kind)};
    void *packed = pen_take(3, table->packed_bytes_bf16(n, k));
    size_t scratch = table->gemm_scratch_bf16(m, k);
    p.c = pen_take(4, span(m, n, n + pad) * sizeof *p.c);
    p.g = (ilki_gemm_f32){
        .a = pen_floats(0, span(m, k, k + pad), kind), .packed = packed, .c = p.c, .m = m, .n = n, .k = k};
    p.g.bias = pen_floats(2, n, PLAIN);
    p.g.residual = m % 2 ? pen_floats(5, span(m, n, n + pad), PLAIN) : NULL;
    p.g.scratch = pen_take(6, (scratch + 63) / 64 * 64);
    p.g.lda = k + pad;
    p.g.ldc = p.g.ldr = n + pad;
    p.g.j1 = n;
    p.g.act = (ilki_act)((m + n) % N_ACTS);
    CHECK(table->packed_bytes_bf16(n, k) <= (n + 255) * (k + 63) * 4);
    table->pack_bf16(packed, p.w, k + pad, n, k);
    CHECK(pen_kept(3, packed));
    return p;
}

static void check_product(size_t m, size_t n, size_t k, enum kind kind)
{
    product p = new_product(m, n, k, kind);
    const ilki_gemm_f32 *g = &p.g;
    table->gemm_bf16(g);
    CHECK(pen_kept(4, p.c) && gaps_kept(p.c, m, n, g->ldc));
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = (double)g->bias[j], size = fabs(sum), most = 1.0;
            for (size_t x = 0; x < k; x++) {
                double a = (double)rounded(g->a[i * g->lda + x]), w = (double)rounded(p.w[j * g->lda + x]);
                sum += a * w;
                size += fabs(a * w);
                most = fmax(most, fabs(a) + fabs(w));
            }
            double out = act_exact(sum, g->act);
            double bound = 1.13 * (double)(k + 2) * (U * size + 0x1p-126 * (most + 2.0)) + act_bound(sum, g->act);
            if (g->residual) {
                double r = (double)g->residual[i * g->ldr + j];
                bound += U * (fabs(out) + fabs(r) + bound);
                out += r;
            }
            double got = (double)p.c[i * g->ldc + j];
            if (!within(got, out, bound)) {
                test_check(false, __FILE__, __LINE__, "%zux%zux%zu kind %d act %d: [%zu][%zu] %.9g, want %.9g +- %g", m,
                           n, k, (int)kind, (int)g->act, i, j, got, out, bound);
                return;
            }
        }
}

static void gemm_all(void)
{
    size_t n_done = 0;
    for (size_t n = 1; n < N_LENGTHS; n += 1 + n / 5)
        for (size_t k = 0; k < N_LENGTHS; k += 1 + k / 3, n_done++)
            check_product(1 + n_done % 35, n, k, (enum kind)(n_done % N_KINDS));
    check_product(33, 200, 384, PLAIN);
    check_product(64, 65, 1000, WIDE);
    check_product(7, 130, 769, CANCEL);
    size_t nr = table->gemm_bf16_nr, n = 2 * nr + 3, m = 40;
    product p = new_product(m, n, 70, PLAIN);
    float *all = malloc(m * p.g.ldc * sizeof *all);
    ((float *)(uintptr_t)p.g.a)[9 * p.g.lda + 3] = NAN; /* stays in its row */
    p.g.act = ILKI_ACT_NONE;
    table->gemm_bf16(&p.g);
    memcpy(all, p.c, span(m, n, p.g.ldc) * sizeof *all);
    for (size_t i = 0; i < m; i++)
        CHECK(isnan(all[i * p.g.ldc]) == (i == 9));
    for (size_t i = 0; i < m; i++) {
        ilki_gemm_f32 g = p.g;
        g.a += i * g.lda;
        g.m = 1 + i % 5 < m - i ? 1 + i % 5 : m - i;
        g.j0 = i % 3 * nr;
        g.j1 = min_size(g.j0 + nr, n);
        memset(p.c, CANARY, span(m, n, g.ldc) * sizeof *all);
        table->gemm_bf16(&g);
        for (size_t r = 0; r < g.m; r++)
            CHECK_MEM(p.c + r * g.ldc + g.j0, all + (i + r) * g.ldc + g.j0, (g.j1 - g.j0) * sizeof *all);
    }
    free(all);
}

static void gemm(void)
{
    each_table(E_packed_bytes_bf16, gemm_all);
    each_table(E_pack_bf16, gemm_all);
    each_table(E_gemm_scratch_bf16, gemm_all);
    each_table(E_gemm_bf16, gemm_all);
}

static void all_ran(void)
{
    static const enum entry entries[] = {E_packed_bytes_bf16, E_pack_bf16, E_gemm_scratch_bf16, E_gemm_bf16};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"gemm", gemm}, {"all_ran", all_ran})
