/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits with vpdpbusd on 256 bits (AVX-VNNI): a tile of 6 rows by 16 columns, 12 accumulators. */
#include "kern/x86/avx2_lanes.h"

#include "kern/lanes_math.inc"

enum { NR = 16, WIDE = 16, DEEP = 4 };
#define TILES  6
#define OFFSET 0

#include "kern/pack_i8.inc"

#define ZERO(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define STEP(i, from)                                                                                                  \
    if (rows > i) {                                                                                                    \
        int32_t four;                                                                                                  \
        memcpy(&four, from, sizeof four);                                                                              \
        __m256i x = _mm256_set1_epi32(four);                                                                           \
        c##i##0 = _mm256_dpbusd_avx_epi32(c##i##0, x, b0);                                                             \
        c##i##1 = _mm256_dpbusd_avx_epi32(c##i##1, x, b1);                                                             \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm256_store_si256((__m256i *)(void *)(sums + i * NR), c##i##0);                                               \
        _mm256_store_si256((__m256i *)(void *)(sums + i * NR + 8), c##i##1);                                           \
    }
#define SIX(f) f(0) f(1) f(2) f(3) f(4) f(5)

INLINE void tile(const int rows, int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    SIX(ZERO)
    const unsigned char *a3 = rows > 3 ? a + 3 * lda : a;
    for (size_t p = 0; p < k; p += DEEP, b += DEEP * NR) {
        __m256i b0 = _mm256_loadu_si256((const __m256i *)(const void *)b);
        __m256i b1 = _mm256_loadu_si256((const __m256i *)(const void *)(b + 32));
        STEP(0, a + p)
        STEP(1, a + lda + p)
        STEP(2, a + 2 * lda + p)
        STEP(3, a3 + p)
        STEP(4, a3 + lda + p)
        STEP(5, a3 + 2 * lda + p)
    }
    SIX(PUT)
}

#include "kern/gemm_i8_loops.inc"

#define PEAK_NAME       peak_i8
#define PEAK_V          __m256i
#define PEAK_STEP(c, f) _mm256_dpbusd_avx_epi32(c, f, f)
#define PEAK_REGISTER   "+x"
#define PEAK_OPS        64
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_avxvnni_i8 = {
    .name = "avxvnni",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = TILES,
    .gemm_i8_gflops = 150,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
