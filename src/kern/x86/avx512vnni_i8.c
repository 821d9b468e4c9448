/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits with vpdpbusd: unsigned activations, signed weights, four steps of k at once, exactly. A tile is 6
 * rows by 64 columns: 24 accumulators, 4 registers of weights, one broadcast; 10 loads for 24 products on two ports. Accumulators are
 * named, not an array: GCC 12 stores an array's every iteration. */
#include "kern/x86/avx512_i8.h"

enum { MR = 6 };

#define ZERO(i) __m512i c##i##0 = _mm512_setzero_si512(), c##i##1 = c##i##0, c##i##2 = c##i##0, c##i##3 = c##i##0;
#define STEP(i, from)                                                                                                  \
    if (rows > i) {                                                                                                    \
        int32_t four;                                                                                                  \
        memcpy(&four, from, sizeof four);                                                                              \
        __m512i x = _mm512_set1_epi32(four);                                                                           \
        c##i##0 = _mm512_dpbusd_epi32(c##i##0, x, b0);                                                                 \
        c##i##1 = _mm512_dpbusd_epi32(c##i##1, x, b1);                                                                 \
        c##i##2 = _mm512_dpbusd_epi32(c##i##2, x, b2);                                                                 \
        c##i##3 = _mm512_dpbusd_epi32(c##i##3, x, b3);                                                                 \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm512_store_si512(sums + i * NR, c##i##0);                                                                    \
        _mm512_store_si512(sums + i * NR + 16, c##i##1);                                                               \
        _mm512_store_si512(sums + i * NR + 32, c##i##2);                                                               \
        _mm512_store_si512(sums + i * NR + 48, c##i##3);                                                               \
    }
#define SIX(f) f(0) f(1) f(2) f(3) f(4) f(5)

/* sums [rows][NR] = codes of `rows` rows times a panel's; k a multiple of ILKI_I8_ALIGN */
INLINE void tile(const int rows, int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    SIX(ZERO)
    const unsigned char *a3 = rows > 3 ? a + 3 * lda : a;
    for (size_t p = 0; p < k; p += DEEP, b += DEEP * WIDE) {
        __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16 * k);
        __m512i b2 = _mm512_loadu_si512(b + 32 * k), b3 = _mm512_loadu_si512(b + 48 * k);
        STEP(0, a + p)
        STEP(1, a + lda + p)
        STEP(2, a + 2 * lda + p)
        STEP(3, a3 + p)
        STEP(4, a3 + lda + p)
        STEP(5, a3 + 2 * lda + p)
    }
    SIX(PUT)
}

typedef void tile_fn(int32_t *, const unsigned char *, size_t, const int8_t *, size_t);
#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(int32_t *sums, const unsigned char *a, size_t lda,                \
                                                     const int8_t *b, size_t k)                                        \
    {                                                                                                                  \
        tile(rows, sums, a, lda, b, k);                                                                                \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6};

static void gemm_i8(const ilki_gemm_i8 *g)
{
    int32_t sums[MR * NR] __attribute__((aligned(64)));
    finish_fn *finish = finish_of(g);
    for (size_t j = g->j0; j < g->j1; j += NR) {
        panel_i8 p = panel_at(g->packed, g->k, g->n_exact, j);
        for (size_t i = 0; i < g->m; i += MR) {
            size_t rows = g->m - i < MR ? g->m - i : MR;
            block b = {.g = g, .p = p, .sums = sums, .lds = NR, .i = i, .rows = rows, .j = j, .width = NR};
            tiles[rows](sums, g->a + i * g->lda + sizeof(ilki_i8_head), g->lda, p.codes, deep_k(g->k));
            finish(&b);
        }
    }
}

#define PEAK_NAME       peak_i8
#define PEAK_V          __m512i
#define PEAK_STEP(c, f) _mm512_dpbusd_epi32(c, f, f)
#define PEAK_REGISTER   "+v"
#define PEAK_OPS        128
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_avx512vnni_i8 = {
    .name = "avx512vnni",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = MR,
    .gemm_i8_gflops = 300,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
