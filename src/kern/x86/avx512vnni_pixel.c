/* SPDX-License-Identifier: Apache-2.0
 * Sums of bytes by integer weights with vpdpbusd, which takes bytes as they are: four taps at once for each of 16 sums. A
 * weight is three signed bytes, so a sum is three sums, put together at the end; all is modulo 2^32, and the whole fits.
 * Across, a register is four rows at the same four pixels: one weight for all of it, and its lanes are the outputs. */
#include <immintrin.h>
#include <string.h>

#include "kern/x86/four_rows.h"

#define INLINE static inline __attribute__((always_inline))

/* 16 sums, by the weights' bytes. */
typedef struct sums {
    __m512i low, middle, high;
} sums;

INLINE sums no_sums(void)
{
    __m512i zero = _mm512_setzero_si512();
    return (sums){zero, zero, zero};
}

INLINE __m512i four_of(const int8_t *parts)
{
    int32_t v;
    memcpy(&v, parts, sizeof v);
    return _mm512_set1_epi32(v);
}

INLINE void add_4(sums *s, __m512i pixels, const int8_t *parts, bool high)
{
    s->low = _mm512_dpbusd_epi32(s->low, pixels, four_of(parts));
    s->middle = _mm512_dpbusd_epi32(s->middle, pixels, four_of(parts + 4));
    if (high)
        s->high = _mm512_dpbusd_epi32(s->high, pixels, four_of(parts + 8));
}

INLINE __m512i end_16(const sums *s, __m512i half, __m128i shift, bool high)
{
    __m512i sum = _mm512_add_epi32(_mm512_add_epi32(s->low, half), _mm512_slli_epi32(s->middle, 8));
    if (high)
        sum = _mm512_add_epi32(sum, _mm512_slli_epi32(s->high, 16));
    return _mm512_sra_epi32(sum, shift);
}

/* 64 sums to bytes, those of a lane behind each other. */
INLINE __m512i pack_64(__m512i a, __m512i b, __m512i c, __m512i d)
{
    return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

/* ------------------------------------------------------------------ down */

/* The columns of `mask` from x. */
INLINE void down_64(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t x,
                    __mmask64 mask, bool high)
{
    const int8_t *parts = t->parts + i * t->step * 3;
    size_t n = t->count[i];
    sums s0 = no_sums(), s1 = s0, s2 = s0, s3 = s0;
    for (size_t k = 0; k < n; k += 4, parts += 12) {
        size_t last = n - 1; /* what is past it has the weight 0 */
        __m512i a = _mm512_maskz_loadu_epi8(mask, rows[k] + x),
                b = _mm512_maskz_loadu_epi8(mask, rows[k + 1 < last ? k + 1 : last] + x),
                c = _mm512_maskz_loadu_epi8(mask, rows[k + 2 < last ? k + 2 : last] + x),
                d = _mm512_maskz_loadu_epi8(mask, rows[k + 3 < last ? k + 3 : last] + x);
        __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
        add_4(&s0, _mm512_unpacklo_epi16(ab, cd), parts, high);
        add_4(&s1, _mm512_unpackhi_epi16(ab, cd), parts, high);
        ab = _mm512_unpackhi_epi8(a, b);
        cd = _mm512_unpackhi_epi8(c, d);
        add_4(&s2, _mm512_unpacklo_epi16(ab, cd), parts, high);
        add_4(&s3, _mm512_unpackhi_epi16(ab, cd), parts, high);
    }
    __m512i half = _mm512_set1_epi32(1 << (t->shift - 1));
    __m128i by = _mm_cvtsi32_si128((int)t->shift);
    _mm512_mask_storeu_epi8(out + x, mask,
                            pack_64(end_16(&s0, half, by, high), end_16(&s1, half, by, high),
                                    end_16(&s2, half, by, high), end_16(&s3, half, by, high)));
}

static void bytes_down(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t n)
{
    for (size_t x = 0; x < n; x += 64) {
        __mmask64 mask = n - x < 64 ? ((__mmask64)1 << (n - x)) - 1 : ~(__mmask64)0;
        if (t->n_parts > 2)
            down_64(out, rows, t, i, x, mask, true);
        else
            down_64(out, rows, t, i, x, mask, false);
    }
}

/* ------------------------------------------------------------------ across */

/* 16 bytes of each row from `at`; what lies behind the row's end is 0. */
INLINE __m512i load_4(const four_rows *r, size_t at, bool whole)
{
    __mmask16 mask = whole ? 0xffff : (__mmask16)((1u << (r->n_bytes - at < 16 ? r->n_bytes - at : 16)) - 1);
    __m512i z = _mm512_castsi128_si512(whole ? _mm_loadu_si128((const __m128i *)(r->in[0] + at))
                                             : _mm_maskz_loadu_epi8(mask, r->in[0] + at));
#define INSERT(k)                                                                                                      \
    z = _mm512_inserti32x4(                                                                                            \
        z, whole ? _mm_loadu_si128((const __m128i *)(r->in[k] + at)) : _mm_maskz_loadu_epi8(mask, r->in[k] + at), k)
    INSERT(1);
    INSERT(2);
    INSERT(3);
#undef INSERT
    return z;
}

/* Output i of four rows: a lane is r g b and a 0. */
INLINE __m512i output(const four_rows *r, const ilki_kern_taps *t, size_t i, bool high)
{
    const __m512i spread = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
    const int8_t *parts = t->parts + i * t->step * 3;
    size_t at = (size_t)t->first[i] * 3, n = t->count[i], end = at + (n + 3) / 4 * 12 + 4;
    sums s = no_sums();
    if (end <= r->n_bytes)
        for (; n > 0; n -= n < 4 ? n : 4, at += 12, parts += 12)
            add_4(&s, _mm512_shuffle_epi8(load_4(r, at, true), spread), parts, high);
    else
        for (; n > 0; n -= n < 4 ? n : 4, at += 12, parts += 12)
            add_4(&s, _mm512_shuffle_epi8(load_4(r, at, false), spread), parts, high);
    return end_16(&s, _mm512_set1_epi32(1 << (t->shift - 1)), _mm_cvtsi32_si128((int)t->shift), high);
}

/* Four outputs of four rows are stored at once; the four bytes behind them are the next ones', who come later. */
INLINE void across_4(const four_rows *r, const ilki_kern_taps *t, bool high)
{
    const __m512i join = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    for (size_t i = 0, last = t->n - 1; i < t->n; i += 4) {
        __m512i bytes = pack_64(output(r, t, i, high), output(r, t, i + 1 < last ? i + 1 : last, high),
                                output(r, t, i + 2 < last ? i + 2 : last, high),
                                output(r, t, i + 3 < last ? i + 3 : last, high));
        size_t left = (t->n - i) * 3;
        __mmask16 mask = left < 16 ? (__mmask16)((1u << (left < 12 ? left : 12)) - 1) : 0xffff;
        bytes = _mm512_shuffle_epi8(bytes, join);
        _mm_mask_storeu_epi8(r->out[0] + 3 * i, mask, _mm512_castsi512_si128(bytes));
        _mm_mask_storeu_epi8(r->out[1] + 3 * i, mask, _mm512_extracti32x4_epi32(bytes, 1));
        _mm_mask_storeu_epi8(r->out[2] + 3 * i, mask, _mm512_extracti32x4_epi32(bytes, 2));
        _mm_mask_storeu_epi8(r->out[3] + 3 * i, mask, _mm512_extracti32x4_epi32(bytes, 3));
    }
}

static void rgb_across(uint8_t *const *out, const uint8_t *const *in, size_t n_rows, size_t n_in,
                       const ilki_kern_taps *t)
{
    by_four_rows(across_4, out, in, n_rows, n_in, t);
}

const ilki_kern_ops ilki_kern_avx512vnni_pixel = {
    .name = "avx512vnni",
    .bytes_down = bytes_down,
    .rgb_across = rgb_across,
};
