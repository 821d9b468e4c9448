/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits on AVX2, exactly: both sides are widened to 16 bits for vpmaddwd. vpmaddubsw, which needs no
 * widening, saturates at 16 bits and gives wrong sums. A tile is 6 rows by 16 columns; a cut of its rows is widened into
 * memory first, since a broadcast from there costs no shuffle. */
#include "kern/x86/avx2_lanes.h"

#include "kern/lanes_math.inc"

enum { NR = 16, WIDE = 16, DEEP = 2, CUT = 256 };
#define TILES  6
#define OFFSET 0

#include "kern/pack_i8.inc"

#define ZERO(i) __m256i c##i##0 = _mm256_setzero_si256(), c##i##1 = c##i##0;
#define WIDEN(i)                                                                                                       \
    if (rows > i)                                                                                                      \
        for (size_t p = 0; p < n; p += 16)                                                                             \
            _mm256_store_si256(                                                                                        \
                (__m256i *)(void *)(wide[i] + p),                                                                      \
                _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(a + i * lda + p))));
#define STEP(i)                                                                                                        \
    if (rows > i) {                                                                                                    \
        int32_t two;                                                                                                   \
        memcpy(&two, wide[i] + p, sizeof two);                                                                         \
        __m256i x = _mm256_set1_epi32(two);                                                                            \
        c##i##0 = _mm256_add_epi32(c##i##0, _mm256_madd_epi16(x, b0));                                                 \
        c##i##1 = _mm256_add_epi32(c##i##1, _mm256_madd_epi16(x, b1));                                                 \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm256_store_si256((__m256i *)(void *)(sums + i * NR), c##i##0);                                               \
        _mm256_store_si256((__m256i *)(void *)(sums + i * NR + 8), c##i##1);                                           \
    }
#define SIX(f) f(0) f(1) f(2) f(3) f(4) f(5)

INLINE void tile(const int rows, int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    int16_t wide[TILES][CUT] __attribute__((aligned(32)));
    SIX(ZERO)
    for (; k > 0; k -= k < CUT ? k : CUT, a += CUT) {
        const size_t n = k < CUT ? k : CUT;
        SIX(WIDEN)
        for (size_t p = 0; p < n; p += DEEP, b += DEEP * NR) {
            __m256i b0 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)b));
            __m256i b1 = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(b + 16)));
            STEP(0)
            STEP(1)
            STEP(2)
            STEP(3)
            STEP(4)
            STEP(5)
        }
    }
    SIX(PUT)
}

#include "kern/gemm_i8_loops.inc"

#define PEAK_NAME       peak_i8
#define PEAK_V          __m256i
#define PEAK_STEP(c, f) _mm256_add_epi32(c, _mm256_madd_epi16(f, c))
#define PEAK_REGISTER   "+x"
#define PEAK_OPS        32
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_avx2_i8 = {
    .name = "avx2",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = TILES,
    .gemm_i8_gflops = 60,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
