/* SPDX-License-Identifier: Apache-2.0
 * Dot products of codes with vpdpbusd, which multiplies unsigned by signed: rows are taken as r + 128 (their top bit
 * flipped), q stays signed, and 128 sum(q) is taken off at the end. Sums are modulo 2^32, so nothing is lost between. */
#include <immintrin.h>
#include <stddef.h>

#include "kern/ops.h"

#define INLINE static inline __attribute__((always_inline))

INLINE __mmask64 head_mask64(size_t n)
{
    return n >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1U;
}

INLINE int32_t less(__m512i sum, uint32_t offset)
{
    return (int32_t)((uint32_t)_mm512_reduce_add_epi32(sum) - offset);
}

static void dot_i8_rows(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    const __m512i flip = _mm512_set1_epi8(-128), one = _mm512_set1_epi8(1);
    __m512i q_sum = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64)
        q_sum = _mm512_dpbusd_epi32(q_sum, one, _mm512_maskz_loadu_epi8(head_mask64(n - i), q + i));
    uint32_t offset = 128U * (uint32_t)_mm512_reduce_add_epi32(q_sum);
    size_t r = 0;
#define STEP(sum, from)                                                                                                \
    sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, (from) + i), flip), q0);
    for (; r + 4 <= n_rows; r += 4) {
        const int8_t *b = rows + r * stride, *d = b + stride, *e = d + stride, *f = e + stride;
        __m512i s = _mm512_setzero_si512(), t = s, u = s, v = s;
        for (size_t i = 0; i < n; i += 64) {
            __mmask64 mask = head_mask64(n - i);
            __m512i q0 = _mm512_maskz_loadu_epi8(mask, q + i); /* zeros past n: what stands against them is nothing */
            STEP(s, b) STEP(t, d) STEP(u, e) STEP(v, f)
        }
        out[r] = less(s, offset);
        out[r + 1] = less(t, offset);
        out[r + 2] = less(u, offset);
        out[r + 3] = less(v, offset);
    }
    for (; r < n_rows; r++) {
        const int8_t *b = rows + r * stride;
        __m512i s = _mm512_setzero_si512();
        for (size_t i = 0; i < n; i += 64) {
            __mmask64 mask = head_mask64(n - i);
            __m512i q0 = _mm512_maskz_loadu_epi8(mask, q + i);
            STEP(s, b)
        }
        out[r] = less(s, offset);
    }
#undef STEP
}

const ilki_kern_ops ilki_kern_avx512vnni_dot = {
    .name = "avx512vnni",
    .dot_i8_rows = dot_i8_rows,
};
