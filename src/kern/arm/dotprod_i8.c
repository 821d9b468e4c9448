/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits with sdot, which multiplies signed by signed: codes of rows are taken less 128 (their top bit
 * flipped). A tile is 4 rows by 16 columns; a lane of a register of codes stands for the broadcast. */
#include "kern/arm/neon_lanes.h"

#include "kern/lanes_math.inc"

enum { NR = 16, WIDE = 16, DEEP = 4 };
#define TILES  4
#define OFFSET 128

#include "kern/pack_i8.inc"

#define ZERO(i) int32x4_t c##i##0 = vdupq_n_s32(0), c##i##1 = c##i##0, c##i##2 = c##i##0, c##i##3 = c##i##0;
#define CODES(i)                                                                                                       \
    int8x16_t a##i = rows > i ? vreinterpretq_s8_u8(veorq_u8(vld1q_u8(a + i * lda + p), vdupq_n_u8(128)))              \
                              : vdupq_n_s8(0);
#define STEP(i, lane)                                                                                                  \
    if (rows > i) {                                                                                                    \
        c##i##0 = vdotq_laneq_s32(c##i##0, b0, a##i, lane);                                                            \
        c##i##1 = vdotq_laneq_s32(c##i##1, b1, a##i, lane);                                                            \
        c##i##2 = vdotq_laneq_s32(c##i##2, b2, a##i, lane);                                                            \
        c##i##3 = vdotq_laneq_s32(c##i##3, b3, a##i, lane);                                                            \
    }
#define TURN(lane)                                                                                                     \
    do {                                                                                                               \
        int8x16_t b0 = vld1q_s8(b), b1 = vld1q_s8(b + 16), b2 = vld1q_s8(b + 32), b3 = vld1q_s8(b + 48);               \
        b += DEEP * NR;                                                                                                \
        STEP(0, lane)                                                                                                  \
        STEP(1, lane)                                                                                                  \
        STEP(2, lane)                                                                                                  \
        STEP(3, lane)                                                                                                  \
    } while (0)
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        vst1q_s32(sums + i * NR, c##i##0);                                                                             \
        vst1q_s32(sums + i * NR + 4, c##i##1);                                                                         \
        vst1q_s32(sums + i * NR + 8, c##i##2);                                                                         \
        vst1q_s32(sums + i * NR + 12, c##i##3);                                                                        \
    }
#define FOUR(f) f(0) f(1) f(2) f(3)

INLINE void tile(const int rows, int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    FOUR(ZERO)
    for (size_t p = 0; p < k; p += 16) {
        FOUR(CODES)
        TURN(0);
        TURN(1);
        TURN(2);
        TURN(3);
    }
    FOUR(PUT)
}

#include "kern/gemm_i8_loops.inc"

#define PEAK_NAME       peak_i8
#define PEAK_V          int32x4_t
#define PEAK_STEP(c, f) vdotq_s32(c, vreinterpretq_s8_s32(f), vreinterpretq_s8_s32(f))
#define PEAK_REGISTER   "+w"
#define PEAK_OPS        32
#include "kern/peak_chains.inc"

const ilki_kern_ops ilki_kern_dotprod_i8 = {
    .name = "dotprod",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = TILES,
    .gemm_i8_gflops = 100,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
