/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits with usmmla: two rows of eight unsigned codes times two columns of eight signed ones give a square
 * of four sums. A tile is 4 rows by 16 columns: 16 accumulators, taken apart at the end. */
#include "kern/arm/neon_lanes.h"

#include "kern/lanes_math.inc"

enum { NR = 16, WIDE = 16, DEEP = 8 };
#define TILES  4
#define OFFSET 0

#include "kern/pack_i8.inc"

/* accumulator of rows 2 r and 2 r + 1 and columns 2 x and 2 x + 1 */
#define ROW(f, r)    f(r, 0) f(r, 1) f(r, 2) f(r, 3) f(r, 4) f(r, 5) f(r, 6) f(r, 7)
#define ZERO(r, x)   int32x4_t c##r##x = vdupq_n_s32(0);
#define STEP_0(r, x) c0##x = vusmmlaq_s32(c0##x, a0, vld1q_s8(b + 16 * x));
#define STEP_1(r, x)                                                                                                   \
    {                                                                                                                  \
        int8x16_t w = vld1q_s8(b + 16 * x);                                                                            \
        c0##x = vusmmlaq_s32(c0##x, a0, w);                                                                            \
        c1##x = vusmmlaq_s32(c1##x, a1, w);                                                                            \
    }
#define PUT(r, x)                                                                                                      \
    if (rows > 2 * r)                                                                                                  \
        vst1_s32(sums + 2 * r * NR + 2 * x, vget_low_s32(c##r##x));                                                    \
    if (rows > 2 * r + 1)                                                                                              \
        vst1_s32(sums + (2 * r + 1) * NR + 2 * x, vget_high_s32(c##r##x));

/* Eight codes each of two rows; the second's are zeros where it is not there. */
INLINE uint8x16_t two_rows(const unsigned char *a, const unsigned char *second)
{
    return vcombine_u8(vld1_u8(a), second ? vld1_u8(second) : vdup_n_u8(0));
}

INLINE void tile(const int rows, int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    ROW(ZERO, 0) ROW(ZERO, 1) for (size_t p = 0; p < k; p += DEEP, b += DEEP * NR)
    {
        uint8x16_t a0 = two_rows(a + p, rows > 1 ? a + lda + p : NULL);
        if (rows > 2) {
            uint8x16_t a1 = two_rows(a + 2 * lda + p, rows > 3 ? a + 3 * lda + p : NULL);
            ROW(STEP_1, 1)
        } else {
            ROW(STEP_0, 0)
        }
    }
    ROW(PUT, 0) ROW(PUT, 1)
}

#include "kern/gemm_i8_loops.inc"

#define PEAK_NAME       peak_i8
#define PEAK_V          int32x4_t
#define PEAK_STEP(c, f) vusmmlaq_s32(c, vreinterpretq_u8_s32(f), vreinterpretq_s8_s32(f))
#define PEAK_REGISTER   "+w"
#define PEAK_OPS        64
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_i8mm_i8 = {
    .name = "i8mm",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = TILES,
    .gemm_i8_gflops = 150,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
