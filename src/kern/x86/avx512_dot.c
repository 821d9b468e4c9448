/* SPDX-License-Identifier: Apache-2.0
 * Dot products, codes and the peak probes, AVX-512. A dot product runs in four chains of 16 lanes, added pairwise at the
 * end; several rows at once share the loads of q and nothing else, so a row's bits do not depend on its neighbours. */
#include "kern/x86/avx512_math.h"

#include <string.h>

/* Four chains for row `r`, which starts at `from`. */
#define CHAINS(r) __m512 r##0 = _mm512_setzero_ps(), r##1 = r##0, r##2 = r##0, r##3 = r##0;
#define STEP(r, from)                                                                                                  \
    r##0 = _mm512_fmadd_ps(q0, _mm512_loadu_ps((from) + i), r##0);                                                     \
    r##1 = _mm512_fmadd_ps(q1, _mm512_loadu_ps((from) + i + 16), r##1);                                                \
    r##2 = _mm512_fmadd_ps(q2, _mm512_loadu_ps((from) + i + 32), r##2);                                                \
    r##3 = _mm512_fmadd_ps(q3, _mm512_loadu_ps((from) + i + 48), r##3);
#define TAIL(r, from) r##0 = _mm512_fmadd_ps(q0, _mm512_maskz_loadu_ps(mask, (from) + i), r##0);
#define SUM(r)        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(r##0, r##1), _mm512_add_ps(r##2, r##3)))
#define LOAD_Q                                                                                                         \
    __m512 q0 = _mm512_loadu_ps(q + i), q1 = _mm512_loadu_ps(q + i + 16), q2 = _mm512_loadu_ps(q + i + 32),            \
           q3 = _mm512_loadu_ps(q + i + 48);
#define LOAD_TAIL                                                                                                      \
    __mmask16 mask = head_mask(n - i);                                                                                 \
    __m512 q0 = _mm512_maskz_loadu_ps(mask, q + i);

static float dot_f32(const float *q, const float *b, size_t n)
{
    CHAINS(r)
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        LOAD_Q
        STEP(r, b)
    }
    for (; i < n; i += 16) {
        LOAD_TAIL
        TAIL(r, b)
    }
    return SUM(r);
}

static void dot_f32_rows(float *out, const float *q, const float *rows, size_t stride, size_t n_rows, size_t n)
{
    size_t r = 0;
    for (; r + 4 <= n_rows; r += 4) {
        const float *b = rows + r * stride, *d = b + stride, *e = d + stride, *f = e + stride;
        CHAINS(s) CHAINS(t) CHAINS(u) CHAINS(v) size_t i = 0;
        for (; i + 64 <= n; i += 64) {
            LOAD_Q
            STEP(s, b) STEP(t, d) STEP(u, e) STEP(v, f)
        }
        for (; i < n; i += 16) {
            LOAD_TAIL
            TAIL(s, b) TAIL(t, d) TAIL(u, e) TAIL(v, f)
        }
        out[r] = SUM(s);
        out[r + 1] = SUM(t);
        out[r + 2] = SUM(u);
        out[r + 3] = SUM(v);
    }
    for (; r < n_rows; r++)
        out[r] = dot_f32(q, rows + r * stride, n);
}

/* Widened to 16 bits: exact. */
INLINE __m512i load_16(const int8_t *p, __mmask32 mask)
{
    return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, p));
}

INLINE __mmask32 head_mask32(size_t n)
{
    return n >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << n) - 1U;
}

static void dot_i8_rows(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n)
{
    size_t r = 0;
    for (; r + 4 <= n_rows; r += 4) {
        const int8_t *b = rows + r * stride, *d = b + stride, *e = d + stride, *f = e + stride;
        __m512i s = _mm512_setzero_si512(), t = s, u = s, v = s;
        for (size_t i = 0; i < n; i += 32) {
            __mmask32 mask = head_mask32(n - i);
            __m512i q0 = load_16(q + i, mask);
            s = _mm512_add_epi32(s, _mm512_madd_epi16(q0, load_16(b + i, mask)));
            t = _mm512_add_epi32(t, _mm512_madd_epi16(q0, load_16(d + i, mask)));
            u = _mm512_add_epi32(u, _mm512_madd_epi16(q0, load_16(e + i, mask)));
            v = _mm512_add_epi32(v, _mm512_madd_epi16(q0, load_16(f + i, mask)));
        }
        out[r] = _mm512_reduce_add_epi32(s);
        out[r + 1] = _mm512_reduce_add_epi32(t);
        out[r + 2] = _mm512_reduce_add_epi32(u);
        out[r + 3] = _mm512_reduce_add_epi32(v);
    }
    for (; r < n_rows; r++) {
        __m512i s = _mm512_setzero_si512();
        for (size_t i = 0; i < n; i += 32) {
            __mmask32 mask = head_mask32(n - i);
            s = _mm512_add_epi32(s, _mm512_madd_epi16(load_16(q + i, mask), load_16(rows + r * stride + i, mask)));
        }
        out[r] = _mm512_reduce_add_epi32(s);
    }
}

static float quant_i8(int8_t *codes, const float *x, size_t n)
{
    __m512 max = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) /* the second operand is what a NaN leaves */
        max = _mm512_max_ps(_mm512_abs_ps(_mm512_maskz_loadu_ps(head_mask(n - i), x + i)), max);
    float scale = _mm512_reduce_max_ps(max) / 127.0f;
    if (scale == 0.0f) {
        memset(codes, 0, n);
        return 0.0f;
    }
    const __m512 by = _mm512_set1_ps(scale), low = _mm512_set1_ps(-127.0f), high = _mm512_set1_ps(127.0f);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = head_mask(n - i);
        __m512 v = _mm512_div_ps(_mm512_maskz_loadu_ps(mask, x + i), by);
        v = _mm512_min_ps(_mm512_max_ps(v, low), high);
        _mm512_mask_cvtepi32_storeu_epi8(codes + i, mask, _mm512_cvtps_epi32(v));
    }
    return scale;
}

/* ---- peak: twelve chains hide four cycles of latency on two ports */

static uint64_t peak_f32(uint64_t n_iterations)
{
    __m512 f = _mm512_set1_ps(0.999f);
    __m512 a = f, b = f, c = f, d = f, e = f, g = f, h = f, i = f, j = f, k = f, l = f, m = f;
    for (uint64_t x = 0; x < n_iterations; x++) {
        a = _mm512_fmadd_ps(a, f, f);
        b = _mm512_fmadd_ps(b, f, f);
        c = _mm512_fmadd_ps(c, f, f);
        d = _mm512_fmadd_ps(d, f, f);
        e = _mm512_fmadd_ps(e, f, f);
        g = _mm512_fmadd_ps(g, f, f);
        h = _mm512_fmadd_ps(h, f, f);
        i = _mm512_fmadd_ps(i, f, f);
        j = _mm512_fmadd_ps(j, f, f);
        k = _mm512_fmadd_ps(k, f, f);
        l = _mm512_fmadd_ps(l, f, f);
        m = _mm512_fmadd_ps(m, f, f);
        /* each is unknown again after every step: the chains are neither merged nor left out */
        __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(g));
        __asm__ volatile("" : "+v"(h), "+v"(i), "+v"(j), "+v"(k), "+v"(l), "+v"(m));
    }
    return n_iterations * 12 * 16 * 2;
}

static uint64_t peak_read(const void *p, size_t n_bytes)
{
    const char *from = p;
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 256 <= n_bytes; i += 256) {
        a = _mm512_xor_si512(a, _mm512_loadu_si512(from + i));
        b = _mm512_xor_si512(b, _mm512_loadu_si512(from + i + 64));
        c = _mm512_xor_si512(c, _mm512_loadu_si512(from + i + 128));
        d = _mm512_xor_si512(d, _mm512_loadu_si512(from + i + 192));
    }
    for (; i + 64 <= n_bytes; i += 64)
        a = _mm512_xor_si512(a, _mm512_loadu_si512(from + i));
    uint64_t words[8], x = 0;
    _mm512_storeu_si512(words, _mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d)));
    for (int w = 0; w < 8; w++)
        x ^= words[w];
    return x;
}

const ilki_kern_ops ilki_kern_avx512_dot = {
    .name = "avx512",
    .dot_f32 = dot_f32,
    .dot_f32_rows = dot_f32_rows,
    .dot_i8_rows = dot_i8_rows,
    .quant_i8 = quant_i8,
    .peak_f32 = peak_f32,
    .peak_read = peak_read,
};
