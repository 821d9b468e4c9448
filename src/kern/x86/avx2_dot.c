/* SPDX-License-Identifier: Apache-2.0
 * Dot products, codes and the peak probes, AVX2. Codes are widened to 16 bits before they are multiplied: vpmaddubsw would
 * saturate. */
#include "kern/x86/avx2_lanes.h"

#define VF_UNKNOWN(a, b, c, d, e, f) __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c), "+x"(d), "+x"(e), "+x"(f))
#include "kern/lanes_dot.inc"

/* Sixteen codes as 16 bits. */
INLINE __m256i load_16(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

INLINE int32_t sum_i32(__m256i a)
{
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1)));
}

static void dot_i8_rows(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    size_t whole = n / 16 * 16;
    int8_t q_tail[16] = {0}, tail[16] = {0};
    memcpy(q_tail, q + whole, n - whole);
    for (size_t r = 0; r < n_rows; r++) {
        const int8_t *b = rows + r * stride;
        __m256i s = _mm256_setzero_si256(), t = s;
        size_t i = 0;
        for (; i + 32 <= whole; i += 32) {
            s = _mm256_add_epi32(s, _mm256_madd_epi16(load_16(q + i), load_16(b + i)));
            t = _mm256_add_epi32(t, _mm256_madd_epi16(load_16(q + i + 16), load_16(b + i + 16)));
        }
        if (i < whole)
            s = _mm256_add_epi32(s, _mm256_madd_epi16(load_16(q + i), load_16(b + i)));
        if (whole < n) {
            memcpy(tail, b + whole, n - whole);
            t = _mm256_add_epi32(t, _mm256_madd_epi16(load_16(q_tail), load_16(tail)));
        }
        out[r] = sum_i32(_mm256_add_epi32(s, t));
    }
}

static uint64_t peak_read(const void *p, size_t n_bytes)
{
    const char *from = p;
    __m256i a = _mm256_setzero_si256(), b = a;
    for (size_t i = 0; i + 64 <= n_bytes; i += 64) {
        a = _mm256_xor_si256(a, _mm256_loadu_si256((const __m256i *)(from + i)));
        b = _mm256_xor_si256(b, _mm256_loadu_si256((const __m256i *)(from + i + 32)));
    }
    uint64_t words[4];
    _mm256_storeu_si256((__m256i *)words, _mm256_xor_si256(a, b));
    return words[0] ^ words[1] ^ words[2] ^ words[3];
}

const ilki_kern_ops ilki_kern_avx2_dot = {
    .name = "avx2",
    .dot_f32 = dot_f32,
    .dot_f32_rows = dot_f32_rows,
    .dot_i8_rows = dot_i8_rows,
    .quant_i8 = quant_i8,
    .peak_f32 = peak_f32,
    .peak_read = peak_read,
};
