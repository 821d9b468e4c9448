/* SPDX-License-Identifier: Apache-2.0
 * bf16 products with vdpbf16ps, two steps of k at once: a tile of 6 rows by 64 columns. Sums are f32; denormal operands and
 * results count as 0. On some CPUs this doubles f32, on others it halves it. */
#include "kern/x86/avx512_bf16.h"

enum { MR = 6 };

#define ZERO(i) __m512 c##i##0 = _mm512_setzero_ps(), c##i##1 = c##i##0, c##i##2 = c##i##0, c##i##3 = c##i##0;
#define STEP_ROW(i, from)                                                                                              \
    if (rows > i) {                                                                                                    \
        int32_t two;                                                                                                   \
        memcpy(&two, from, sizeof two);                                                                                \
        __m512bh x = (__m512bh)_mm512_set1_epi32(two);                                                                 \
        c##i##0 = _mm512_dpbf16_ps(c##i##0, x, b0);                                                                    \
        c##i##1 = _mm512_dpbf16_ps(c##i##1, x, b1);                                                                    \
        c##i##2 = _mm512_dpbf16_ps(c##i##2, x, b2);                                                                    \
        c##i##3 = _mm512_dpbf16_ps(c##i##3, x, b3);                                                                    \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm512_store_ps(sums + i * NR, c##i##0);                                                                       \
        _mm512_store_ps(sums + i * NR + 16, c##i##1);                                                                  \
        _mm512_store_ps(sums + i * NR + 32, c##i##2);                                                                  \
        _mm512_store_ps(sums + i * NR + 48, c##i##3);                                                                  \
    }
#define SIX(f) f(0) f(1) f(2) f(3) f(4) f(5)

/* sums [rows][NR]; k padded */
INLINE void tile(const int rows, float *sums, const uint16_t *a, const uint16_t *b, size_t k)
{
    SIX(ZERO)
    const uint16_t *a3 = rows > 3 ? a + 3 * k : a;
    for (size_t p = 0; p < k; p += DEEP, b += DEEP * NR) {
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + 32);
        __m512bh b2 = (__m512bh)_mm512_loadu_si512(b + 64), b3 = (__m512bh)_mm512_loadu_si512(b + 96);
        STEP_ROW(0, a + p)
        STEP_ROW(1, a + k + p)
        STEP_ROW(2, a + 2 * k + p)
        STEP_ROW(3, a3 + p)
        STEP_ROW(4, a3 + k + p)
        STEP_ROW(5, a3 + 2 * k + p)
    }
    SIX(PUT)
}

typedef void tile_fn(float *, const uint16_t *, const uint16_t *, size_t);
#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(float *sums, const uint16_t *a, const uint16_t *b, size_t k)      \
    {                                                                                                                  \
        tile(rows, sums, a, b, k);                                                                                     \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6};

static void gemm_bf16(const ilki_gemm_f32 *g)
{
    float sums[MR * NR] __attribute__((aligned(64)));
    finish_fn *end = pick_finish(g->act);
    uint16_t *a = g->scratch;
    size_t k = deep_k(g->k);
    for (size_t i = 0; i < g->m; i++)
        round_row(a + i * k, g->a + i * g->lda, g->k);
    for (size_t j = g->j0; j < g->j1; j += NR)
        for (size_t i = 0; i < g->m; i += MR) {
            size_t rows = g->m - i < MR ? g->m - i : MR;
            tiles[rows](sums, a + i * k, (const uint16_t *)g->packed + j * k, k);
            end(g, sums, i, rows, j, g->j1 - j < NR ? g->j1 - j : NR);
        }
}

#define PEAK_NAME       peak_bf16
#define PEAK_V          __m512
#define PEAK_STEP(c, f) _mm512_dpbf16_ps(c, (__m512bh)f, (__m512bh)f)
#define PEAK_REGISTER   "+v"
#define PEAK_OPS        64
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_avx512bf16_bf16 = {
    .name = "avx512bf16",
    .gemm_bf16_nr = NR,
    .gemm_bf16_gflops = 40,
    .layout_bf16 = 1,
    .packed_bytes_bf16 = packed_bytes_bf16,
    .pack_bf16 = pack_bf16,
    .gemm_scratch_bf16 = gemm_scratch_bf16,
    .gemm_bf16 = gemm_bf16,
    .peak_bf16 = peak_bf16,
};
