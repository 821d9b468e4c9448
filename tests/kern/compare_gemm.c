/* SPDX-License-Identifier: Apache-2.0
 * The comparator, matrix products: values against a double sum, rows and column ranges against each other bit by bit. */
#include "kern/compare.h"

typedef struct gemm_case {
    size_t m, n, k, pad; /* pad: how much wider than their contents rows are */
    ilki_act act;
    bool bias;
    int residual; /* 0 none, 1 an array of its own, 2 c itself */
    enum kind kind;
} gemm_case;

/* Memory for the packed form, and for what a product needs beside it. */
static void *pen_packed(int i, size_t n, size_t k)
{
    return pen_take(i, table->packed_bytes_f32(n, k));
}

static void *pen_scratch(size_t m, size_t k)
{
    size_t n = table->gemm_scratch_f32(m, k);
    return n ? pen_take(6, (n + 63) / 64 * 64) : NULL;
}

/* c[i][j] as it should be, and how far from it a chain of k multiply-adds in f32 may end. */
static double gemm_exact(const ilki_gemm_f32 *g, const float *w, size_t ldw, size_t i, size_t j, const float *residual,
                         double *bound)
{
    double sum = 0.0, size = 0.0, most = 1.0;
    for (size_t p = 0; p < g->k; p++) {
        double t = (double)g->a[i * g->lda + p] * (double)w[j * ldw + p];
        sum += t;
        size += fabs(t);
        most = fmax(most, fabs((double)g->a[i * g->lda + p]) + fabs((double)w[j * ldw + p]));
    }
    if (g->bias) {
        sum += (double)g->bias[j];
        size += fabs((double)g->bias[j]);
    }
    /* a piece of either operand and each of six products; or a product */
    double lost = (double)(g->k + 1) * (table->gemm_f32_flushes ? 0x1p-126 * (most + 12.0) : TINY);
    /* no activation is steeper than 1.13 */
    *bound = 1.13 * ((double)(g->k + 1) * U * size + lost) + act_bound(sum, g->act);
    double out = act_exact(sum, g->act);
    if (residual) {
        double r = (double)residual[i * g->ldr + j];
        *bound += U * (fabs(out) + fabs(r) + *bound);
        out += r;
    }
    return out;
}

static void gemm_check(const gemm_case *t)
{
    size_t lda = t->k + t->pad, ldw = t->k + t->pad, ldc = t->n + t->pad, ldr = ldc;
    float *a = pen_floats(0, span(t->m, t->k, lda), t->kind);
    float *w = pen_floats(1, span(t->n, t->k, ldw), t->kind == ZEROS ? PLAIN : t->kind);
    float *bias = pen_floats(2, t->n, PLAIN);
    void *packed = pen_packed(3, t->n, t->k), *scratch = pen_scratch(t->m, t->k);
    float *c = pen_take(4, span(t->m, t->n, ldc) * sizeof *c);
    float *residual = pen_floats(5, span(t->m, t->n, ldr), PLAIN);
    table->pack_f32(packed, w, ldw, t->n, t->k);
    CHECK(pen_kept(3, packed));
    if (t->residual == 2)
        for (size_t i = 0; i < t->m; i++)
            memcpy(c + i * ldc, residual + i * ldr, t->n * sizeof *c);
    ilki_gemm_f32 g = {.a = a,
                       .packed = packed,
                       .bias = t->bias ? bias : NULL,
                       .c = c,
                       .scratch = scratch,
                       .m = t->m,
                       .n = t->n,
                       .k = t->k,
                       .lda = lda,
                       .ldc = ldc,
                       .ldr = ldr,
                       .j1 = t->n,
                       .act = t->act};
    g.residual = t->residual == 2 ? c : t->residual == 1 ? residual : NULL;
    table->gemm_f32(&g);
    CHECK(pen_kept(4, c) && gaps_kept(c, t->m, t->n, ldc) && (!scratch || pen_kept(6, scratch)));
    for (size_t i = 0; i < t->m; i++)
        for (size_t j = 0; j < t->n; j++) {
            double bound, want = gemm_exact(&g, w, ldw, i, j, t->residual ? residual : NULL, &bound);
            double got = (double)c[i * ldc + j];
            if (!within(got, want, bound)) {
                test_check(false, __FILE__, __LINE__,
                           "gemm %zux%zux%zu act %d bias %d residual %d kind %d: [%zu][%zu] got %.9g, want %.9g +- %g",
                           t->m, t->n, t->k, t->act, t->bias, t->residual, t->kind, i, j, got, want, bound);
                return;
            }
        }
}

static void gemm_values(void)
{
    size_t nr = table->gemm_f32_nr;
    CHECK(nr > 0 && table->gemm_f32_mr > 0);
    for (size_t k = 0; k < N_LENGTHS; k++)
        for (int v = 0; v < 4; v++) {
            uint64_t r = test_random(&seed);
            gemm_case t = {.m = r % 19,
                           .n = 1 + (r >> 8) % (2 * nr + 3),
                           .k = k,
                           .pad = (r >> 16) % 5,
                           .act = (ilki_act)((k + (size_t)v) % N_ACTS),
                           .bias = (r >> 24) & 1,
                           .residual = (int)((r >> 32) % 3),
                           .kind = (enum kind)((r >> 40) % N_KINDS)};
            gemm_check(&t);
        }
    static const size_t large[][3] = {{129, 100, 33}, {7, 97, 384},  {9, 49, 385},  {17, 145, 767}, {130, 97, 400},
                                      {3, 192, 1153}, {1, 50, 4096}, {33, 16, 129}, {64, 384, 64},  {260, 3, 50}};
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        for (int residual = 0; residual < 3; residual++) {
            gemm_case t = {.m = large[i][0],
                           .n = large[i][1],
                           .k = large[i][2],
                           .pad = i % 3,
                           .act = (i + (size_t)residual) % 2 ? ILKI_ACT_GELU : ILKI_ACT_NONE,
                           .bias = residual != 1,
                           .residual = residual,
                           .kind = (enum kind)((i + (size_t)residual) % N_KINDS)};
            gemm_check(&t);
        }
}

/* A row has the same bits alone and among others, a column in every range that holds it. */
static void gemm_same_bits(void)
{
    static const size_t ks[] = {1, 5, 63, 384, 801};
    enum { M = 40 };
    size_t n = 3 * table->gemm_f32_nr + 5;
    float *bias = pen_floats(2, n, PLAIN);
    for (size_t x = 0; x < sizeof ks / sizeof *ks; x++) {
        size_t k = ks[x];
        float *a = pen_floats(0, M * k, PLAIN), *w = pen_floats(1, n * k, PLAIN);
        void *packed = pen_packed(3, n, k);
        float *all = pen_take(4, M * n * sizeof *all), *c = pen_take(5, M * n * sizeof *c);
        table->pack_f32(packed, w, k, n, k);
        ilki_gemm_f32 g = {.a = a,
                           .packed = packed,
                           .bias = bias,
                           .c = all,
                           .scratch = pen_scratch(M, k),
                           .m = M,
                           .n = n,
                           .k = k,
                           .lda = k,
                           .ldc = n,
                           .j1 = n,
                           .act = (ilki_act)(x % N_ACTS)};
        table->gemm_f32(&g);
        g.c = c;
        for (size_t m = 1; m <= M; m++)
            for (size_t i = 0; i + m <= M; i += M - m > 7 ? 7 : 1) {
                g.a = a + i * k;
                g.m = m;
                g.scratch = pen_scratch(m, k);
                table->gemm_f32(&g);
                if (memcmp(c, all + i * n, m * n * sizeof *c)) {
                    test_check(false, __FILE__, __LINE__, "k %zu: rows %zu to %zu have other bits than in %d", k, i,
                               i + m - 1, M);
                    break;
                }
            }
        g.a = a;
        g.m = M;
        g.scratch = pen_scratch(M, k);
        for (g.j0 = 0; g.j0 < n; g.j0 += table->gemm_f32_nr)
            for (g.j1 = g.j0 + table->gemm_f32_nr; g.j0 < n && g.j1 < n + table->gemm_f32_nr;
                 g.j1 += table->gemm_f32_nr) {
                g.j1 = min_size(g.j1, n);
                memset(c, CANARY, M * n * sizeof *c);
                table->gemm_f32(&g);
                bool same = true;
                for (size_t i = 0; i < M; i++) {
                    same &= memcmp(c + i * n + g.j0, all + i * n + g.j0, (g.j1 - g.j0) * sizeof *c) == 0;
                    for (size_t j = 0; j < n * sizeof *c; j++)
                        same &= (j / sizeof *c >= g.j0 && j / sizeof *c < g.j1) ||
                                ((unsigned char *)(c + i * n))[j] == CANARY;
                }
                test_check(same, __FILE__, __LINE__, "k %zu: columns %zu to %zu differ from the whole", k, g.j0, g.j1);
            }
    }
}

/* A bad number in one row stays in it, and padding columns put none in. */
static void gemm_apart(void)
{
    enum { M = 11, K = 9 };
    size_t n = table->gemm_f32_nr + 1;
    float *a = pen_floats(0, M * K, PLAIN), *w = pen_floats(1, n * K, PLAIN);
    float *c = pen_take(4, M * n * sizeof *c);
    void *packed = pen_packed(3, n, K);
    static const uint32_t nans[] = {0x7fffffff,
                                    0xff800001}; /* the largest payload, and the least of a signalling one */
    memcpy(a + 4 * K + 2, &nans[0], sizeof *a);
    memcpy(a + 5 * K + 8, &nans[1], sizeof *a);
    a[7 * K + 1] = INFINITY;
    a[2 * K + 3] = 3.4e38f; /* beyond bf16, whose tables may take it for infinite */
    table->pack_f32(packed, w, K, n, K);
    ilki_gemm_f32 g = {.a = a, .packed = packed, .c = c, .m = M, .n = n, .k = K, .lda = K, .ldc = n, .j1 = n};
    g.scratch = pen_scratch(M, K);
    table->gemm_f32(&g);
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < n; j++)
            CHECK(i == 2             ? !isfinite(c[i * n + j]) || !table->gemm_f32_flushes
                  : i == 4 || i == 5 ? isnan(c[i * n + j])
                  : i == 7           ? !isfinite(c[i * n + j])
                                     : isfinite(c[i * n + j]));
}

/* From 1 to 1.25, with two pieces of bf16 behind the first that are positive and as large as they can be: what a split in
 * three leaves out of their products has one sign. */
static float worst_to_split(float x)
{
    return 1.0f + floorf(fabsf(x) * 32.0f) * 0x1p-7f + 0x1p-8f - 0x1p-16f + 0x1p-17f - 0x1p-23f;
}

/* 0 plain, 1 cancelling, 2 of one sign, 3 worst to split, 4 that with signs.
 * Root mean square of the error, of the table's products and of chains of fused multiply-adds in f32. */
static void errors(size_t k, int kind, double *of_table, double *of_chain)
{
    enum { M = 6, N = 33 };
    float *a = pen_floats(0, M * k, kind == 1 ? CANCEL : PLAIN), *w = pen_floats(1, N * k, PLAIN);
    for (size_t i = 0; kind >= 2 && i < M * k; i++)
        a[i] = kind == 2 ? fabsf(a[i]) : kind == 3 ? worst_to_split(a[i]) : copysignf(worst_to_split(a[i]), a[i]);
    for (size_t i = 0; kind >= 2 && i < N * k; i++)
        w[i] = kind == 2 ? fabsf(w[i]) : worst_to_split(w[i]);
    float *c = pen_take(4, M * N * sizeof *c);
    void *packed = pen_packed(3, N, k);
    table->pack_f32(packed, w, k, N, k);
    ilki_gemm_f32 g = {.a = a, .packed = packed, .c = c, .m = M, .n = N, .k = k, .lda = k, .ldc = N, .j1 = N};
    g.scratch = pen_scratch(M, k);
    table->gemm_f32(&g);
    *of_table = *of_chain = 0.0;
    for (size_t i = 0; i < M * N; i++) {
        double sum = 0.0;
        float chain = 0.0f;
        for (size_t p = 0; p < k; p++) {
            sum += (double)a[i / N * k + p] * (double)w[i % N * k + p];
            chain = fmaf(a[i / N * k + p], w[i % N * k + p], chain);
        }
        *of_table += ((double)c[i] - sum) * ((double)c[i] - sum);
        *of_chain += ((double)chain - sum) * ((double)chain - sum);
    }
    *of_table = sqrt(*of_table / (M * N));
    *of_chain = sqrt(*of_chain / (M * N));
}

/* However a table adds up, it is no worse than the chain, also on what is made to be bad for it. */
static void gemm_no_worse(void)
{
    static const size_t ks[] = {32, 96, 384, 1536};
    for (size_t x = 0; x < sizeof ks / sizeof *ks; x++)
        for (int kind = 0; kind < 5; kind++) {
            double of_table, of_chain;
            errors(ks[x], kind, &of_table, &of_chain);
            /* the reference rounds products too */
            double most = table->gemm_f32 == ilki_kern_ref.gemm_f32 ? 2.0 : 1.0 + 1e-9;
            test_check(of_table <= most * of_chain, __FILE__, __LINE__, "%s, k %zu, kind %d: error %g, a chain's %g",
                       table->name, ks[x], kind, of_table, of_chain);
        }
}

/* The i-th of the three pieces of bf16 that make x. */
static float piece(float x, int i)
{
    float p = 0.0f;
    for (; i >= 0; i--) {
        uint32_t bits;
        x -= p;
        memcpy(&bits, &x, sizeof x);
        bits = (bits + 0x8000) & 0xffff0000;
        memcpy(&p, &bits, sizeof p);
    }
    return p;
}

/* A sum in the order that docs/NUMERICS.md gives for matrix tiles. */
static float by_tiles(const float *a, const float *w, size_t k)
{
    static const int pieces[][2] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
    float sum = 0.0f;
    for (size_t s = 0; s < k; s += 32)
        for (int x = 0; x < 6; x++) {
            float chain[2] = {0.0f, 0.0f};
            for (size_t p = s; p < k && p < s + 32; p++)
                chain[p / 16 % 2] = fmaf(piece(a[p], pieces[x][0]), piece(w[p], pieces[x][1]), chain[p / 16 % 2]);
            sum += chain[0] + chain[1];
        }
    return sum;
}

/* Another CPU with tiles gives the same bits if it adds in the order that is documented: this is where it would show. */
static void gemm_order_of_tiles(void)
{
    enum { M = 2, N = 3 };
    for (size_t k = 1; k < 200; k += 1 + k / 3) {
        float *a = pen_floats(0, M * k, PLAIN), *w = pen_floats(1, N * k, PLAIN), *c = pen_take(4, M * N * sizeof *c);
        void *packed = pen_packed(3, N, k);
        table->pack_f32(packed, w, k, N, k);
        ilki_gemm_f32 g = {.a = a, .packed = packed, .c = c, .m = M, .n = N, .k = k, .lda = k, .ldc = N, .j1 = N};
        g.scratch = pen_scratch(M, k);
        table->gemm_f32(&g);
        for (size_t i = 0; i < M * N; i++) {
            float want = by_tiles(a + i / N * k, w + i % N * k, k);
            test_check(c[i] == want, __FILE__, __LINE__, "k %zu: %.9g, in the documented order %.9g", k, (double)c[i],
                       (double)want);
        }
    }
}

static void gemm_all(void)
{
    if (strcmp(table->name, "amx") == 0)
        gemm_order_of_tiles();
    gemm_values();
    gemm_same_bits();
    gemm_apart();
    gemm_no_worse();
}

/* The panels hold the weights and zeros; one panel lies behind the other. */
static void pack_all(void)
{
    size_t nr = table->gemm_f32_nr;
    for (size_t n = 0; n < 3 * nr + 2; n += 1 + n / 7)
        for (size_t k = 0; k < N_LENGTHS; k += 1 + k / 5) {
            size_t ldw = k + n % 4, n_bytes = table->packed_bytes_f32(n, k), last = n ? (n - 1) / nr * nr : 0;
            float *w = pen_floats(0, span(n, k, ldw), WIDE);
            unsigned char *packed = pen_packed(1, n, k), *alone = pen_packed(2, n - last, k);
            table->pack_f32(packed, w, ldw, n, k);
            bool good = pen_kept(1, packed) && n_bytes <= (n + 255) * (k + 63) * 8;
            for (size_t j = 0; j < (n + nr - 1) / nr * nr; j++)
                for (size_t p = 0; p < k; p++)
                    good &= table->packed_at_f32(packed, k, j, p) == (j < n ? w[j * ldw + p] : 0.0f);
            table->pack_f32(alone, w + last * ldw, ldw, n - last, k);
            size_t at = table->packed_bytes_f32(last, k);
            good &= memcmp(packed + at, alone, n_bytes - at) == 0;
            test_check(good, __FILE__, __LINE__, "pack %zux%zu", n, k);
        }
}

static void pack(void)
{
    each_table(E_pack_f32, pack_all);
    each_table(E_packed_bytes_f32, pack_all);
    each_table(E_packed_at_f32, pack_all);
}

static void gemm(void)
{
    each_table(E_gemm_f32, gemm_all);
    each_table(E_gemm_scratch_f32, gemm_apart);
}

static void all_ran(void)
{
    static const enum entry entries[] = {E_packed_bytes_f32, E_pack_f32, E_packed_at_f32, E_gemm_scratch_f32,
                                         E_gemm_f32};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"pack", pack}, {"gemm", gemm}, {"all_ran", all_ran})
