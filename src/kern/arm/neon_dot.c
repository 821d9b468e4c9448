/* SPDX-License-Identifier: Apache-2.0
 * Dot products, codes and the peak probes, NEON. */
#include "kern/arm/neon_lanes.h"

#define VF_UNKNOWN(a, b, c, d, e, f) __asm__ volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d), "+w"(e), "+w"(f))
#include "kern/lanes_dot.inc"

/* Sixteen products of codes, added in pairs into four sums: a product of two codes fits 16 bits, two of them do not. */
INLINE int32x4_t add_16(int32x4_t s, const int8_t *q, const int8_t *b)
{
    int8x16_t x = vld1q_s8(q), y = vld1q_s8(b);
    s = vpadalq_s16(s, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    return vpadalq_s16(s, vmull_high_s8(x, y));
}

static void dot_i8_rows(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    size_t whole = n / 16 * 16;
    int8_t q_tail[16] = {0}, tail[16] = {0};
    memcpy(q_tail, q + whole, n - whole);
    for (size_t r = 0; r < n_rows; r++) {
        const int8_t *b = rows + r * stride;
        int32x4_t s = vdupq_n_s32(0), t = s;
        size_t i = 0;
        for (; i + 32 <= whole; i += 32) {
            s = add_16(s, q + i, b + i);
            t = add_16(t, q + i + 16, b + i + 16);
        }
        if (i < whole)
            s = add_16(s, q + i, b + i);
        if (whole < n) {
            memcpy(tail, b + whole, n - whole);
            t = add_16(t, q_tail, tail);
        }
        out[r] = vaddvq_s32(vaddq_s32(s, t));
    }
}

static uint64_t peak_read(const void *p, size_t n_bytes)
{
    const uint8_t *from = p;
    uint8x16_t a = vdupq_n_u8(0), b = a, c = a, d = a;
    for (size_t i = 0; i + 64 <= n_bytes; i += 64) {
        a = veorq_u8(a, vld1q_u8(from + i));
        b = veorq_u8(b, vld1q_u8(from + i + 16));
        c = veorq_u8(c, vld1q_u8(from + i + 32));
        d = veorq_u8(d, vld1q_u8(from + i + 48));
    }
    uint64x2_t x = vreinterpretq_u64_u8(veorq_u8(veorq_u8(a, b), veorq_u8(c, d)));
    return vgetq_lane_u64(x, 0) ^ vgetq_lane_u64(x, 1);
}

const ilki_kern_ops ilki_kern_neon_dot = {
    .name = "neon",
    .dot_f32 = dot_f32,
    .dot_f32_rows = dot_f32_rows,
    .dot_i8_rows = dot_i8_rows,
    .quant_i8 = quant_i8,
    .peak_f32 = peak_f32,
    .peak_read = peak_read,
};
