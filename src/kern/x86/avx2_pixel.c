/* SPDX-License-Identifier: Apache-2.0
 * Sums of bytes by integer weights, AVX2. vpmulld would multiply as they are, but costs two steps; so a weight is cut
 * into w = 2^14 high + low, 0 <= low < 2^14, and vpmaddwd sums two bytes by two halves at once; a weight of two bytes is a
 * half as it is. Sums of halves may wrap: all is modulo 2^32, and the whole sum fits. Across, a register is two rows at the
 * same four pixels, and four rows share the cutting of a weight. */
#include <immintrin.h>
#include <string.h>

#include "kern/x86/four_rows.h"

#define INLINE   static inline __attribute__((always_inline))
#define LOW_BITS 14
#define LOW_MASK ((1 << LOW_BITS) - 1)

INLINE uint8_t clip_byte(int32_t sum, unsigned shift)
{
    int32_t v = sum >> shift;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Sums of eight columns. */
typedef struct sums {
    __m256i high, low;
} sums;

/* Two weights of the rows k and k + 1, as the halves of 32 bits: the high parts of both, the low ones. Weights of two bytes
 * fit a half as they are. */
typedef struct pair {
    int32_t high, low;
} pair;

INLINE pair pair_of(const int32_t *w, size_t k, size_t n_rows, bool high)
{
    int32_t a = w[k], b = k + 1 < n_rows ? w[k + 1] : 0;
    uint32_t low_a = (uint32_t)(high ? a & LOW_MASK : a), low_b = (uint32_t)(high ? b & LOW_MASK : b);
    return (pair){(int32_t)(((uint32_t)(a >> LOW_BITS) & 0xffff) | (uint32_t)(b >> LOW_BITS) << 16),
                  (int32_t)((low_a & 0xffff) | low_b << 16)};
}

INLINE void add_8(sums *s, __m128i bytes, pair w, bool high)
{
    __m256i p = _mm256_cvtepu8_epi16(bytes);
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(p, _mm256_set1_epi32(w.low)));
    if (high)
        s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(p, _mm256_set1_epi32(w.high)));
}

INLINE __m256i end_8(const sums *s, __m128i shift)
{
    return _mm256_sra_epi32(_mm256_add_epi32(s->low, _mm256_slli_epi32(s->high, LOW_BITS)), shift);
}

INLINE void store_16(uint8_t *out, const sums *a, const sums *b, __m128i shift)
{
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(end_8(a, shift), end_8(b, shift)), 0xd8);
    _mm_storeu_si128((__m128i *)out,
                     _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

/* ------------------------------------------------------------------ down */

enum { MOST_PAIRS = 128 }; /* that are cut once for all columns */

/* Thirty-two columns from x: as many sums as leave registers for the rest. */
INLINE void down_32(uint8_t *out, const uint8_t *const *rows, const int32_t *w, const pair *cut, size_t n_rows,
                    size_t x, unsigned shift, bool high)
{
    __m256i half = _mm256_set1_epi32(1 << (shift - 1)), zero = _mm256_setzero_si256();
    __m128i by = _mm_cvtsi32_si128((int)shift);
    sums s0 = {zero, half}, s1 = s0, s2 = s0, s3 = s0;
    for (size_t k = 0; k < n_rows; k += 2) {
        pair p = k / 2 < MOST_PAIRS ? cut[k / 2] : pair_of(w, k, n_rows, high);
        const uint8_t *a = rows[k] + x, *b = rows[k + 1 < n_rows ? k + 1 : k] + x;
        __m128i a0 = _mm_loadu_si128((const __m128i *)a), b0 = _mm_loadu_si128((const __m128i *)b),
                a1 = _mm_loadu_si128((const __m128i *)(a + 16)), b1 = _mm_loadu_si128((const __m128i *)(b + 16));
        add_8(&s0, _mm_unpacklo_epi8(a0, b0), p, high);
        add_8(&s1, _mm_unpackhi_epi8(a0, b0), p, high);
        add_8(&s2, _mm_unpacklo_epi8(a1, b1), p, high);
        add_8(&s3, _mm_unpackhi_epi8(a1, b1), p, high);
    }
    store_16(out + x, &s0, &s1, by);
    store_16(out + x + 16, &s2, &s3, by);
}

INLINE size_t down_most(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t n,
                        bool high)
{
    const int32_t *w = t->weight + i * t->step;
    size_t x = 0, n_rows = t->count[i];
    pair cut[MOST_PAIRS];
    for (size_t k = 0; k < n_rows && k / 2 < MOST_PAIRS; k += 2)
        cut[k / 2] = pair_of(w, k, n_rows, high);
    for (; x + 32 <= n; x += 32)
        down_32(out, rows, w, cut, n_rows, x, t->shift, high);
    return x;
}

static void bytes_down(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t n)
{
    const int32_t *w = t->weight + i * t->step;
    size_t x = t->n_parts > 2 ? down_most(out, rows, t, i, n, true) : down_most(out, rows, t, i, n, false);
    for (; x < n; x++) {
        int32_t sum = 1 << (t->shift - 1);
        for (size_t k = 0; k < t->count[i]; k++)
            sum += w[k] * rows[k][x];
        out[x] = clip_byte(sum, t->shift);
    }
}

/* ------------------------------------------------------------------ across */

/* 16 bytes from `at` of rows k and k + 1, a lane each; what lies behind a row's end is 0. */
INLINE __m256i load_2(const four_rows *r, size_t k, size_t at, bool whole)
{
    uint8_t own[2][16] = {{0}};
    if (whole)
        return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(r->in[k] + at))),
                                       _mm_loadu_si128((const __m128i *)(r->in[k + 1] + at)), 1);
    for (size_t i = 0; i < 2; i++)
        memcpy(own[i], r->in[k + i] + at, r->n_bytes - at < 16 ? r->n_bytes - at : 16);
    return _mm256_loadu_si256((const __m256i *)own);
}

/* Two rows: four pixels by four weights, whose halves stand in pairs: the high ones of 0 and 1, of 2 and 3, the low ones. */
INLINE void across_4(sums *s, __m256i pixels, const int32_t pairs[4], bool high)
{
    const __m256i first = _mm256_broadcastsi128_si256(
                      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1)),
                  second = _mm256_broadcastsi128_si256(
                      _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
    __m256i a = _mm256_shuffle_epi8(pixels, first), b = _mm256_shuffle_epi8(pixels, second);
    s->low = _mm256_add_epi32(s->low, _mm256_add_epi32(_mm256_madd_epi16(a, _mm256_set1_epi32(pairs[2])),
                                                       _mm256_madd_epi16(b, _mm256_set1_epi32(pairs[3]))));
    if (high)
        s->high = _mm256_add_epi32(s->high, _mm256_add_epi32(_mm256_madd_epi16(a, _mm256_set1_epi32(pairs[0])),
                                                             _mm256_madd_epi16(b, _mm256_set1_epi32(pairs[1]))));
}

/* Weights of two bytes fit a half as they are. */
INLINE void cut_4(int32_t pairs[4], const int32_t *w, bool high)
{
    __m128i four = _mm_loadu_si128((const __m128i *)w);
    __m128i low = high ? _mm_and_si128(four, _mm_set1_epi32(LOW_MASK)) : four;
    _mm_storeu_si128((__m128i *)pairs, _mm_packs_epi32(_mm_srai_epi32(four, LOW_BITS), low));
}

/* Output i of rows 0 and 1, and of rows 2 and 3: a lane is r g b and a 0. */
INLINE void output(__m256i *a, __m256i *b, const four_rows *r, const ilki_kern_taps *t, size_t i, bool high)
{
    const int32_t *w = t->weight + i * t->step;
    size_t at = (size_t)t->first[i] * 3, n = (t->count[i] + 3) / 4;
    bool whole = at + n * 12 + 4 <= r->n_bytes; /* a load takes four bytes more than it needs */
    __m256i half = _mm256_set1_epi32(1 << (t->shift - 1)), zero = _mm256_setzero_si256();
    sums s = {zero, half}, u = s;
    int32_t pairs[4];
    if (whole)
        for (size_t k = 0; k < n; k++, at += 12) {
            cut_4(pairs, w + 4 * k, high);
            across_4(&s, load_2(r, 0, at, true), pairs, high);
            across_4(&u, load_2(r, 2, at, true), pairs, high);
        }
    else
        for (size_t k = 0; k < n; k++, at += 12) {
            cut_4(pairs, w + 4 * k, high);
            across_4(&s, load_2(r, 0, at, false), pairs, high);
            across_4(&u, load_2(r, 2, at, false), pairs, high);
        }
    *a = end_8(&s, _mm_cvtsi32_si128((int)t->shift));
    *b = end_8(&u, _mm_cvtsi32_si128((int)t->shift));
}

/* r g b 0 of four outputs, in a lane for each of two rows, to 12 bytes; the four behind them are the next ones', who come
 * later. */
INLINE void store_2(const four_rows *r, size_t k, size_t at, size_t left, const __m256i *x)
{
    const __m256i join = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    __m256i bytes = _mm256_shuffle_epi8(
        _mm256_packus_epi16(_mm256_packs_epi32(x[0], x[2]), _mm256_packs_epi32(x[4], x[6])), join);
    uint8_t own[2][16];
    if (left >= 16) {
        _mm_storeu_si128((__m128i *)(r->out[k] + at), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(r->out[k + 1] + at), _mm256_extracti128_si256(bytes, 1));
        return;
    }
    _mm256_storeu_si256((__m256i *)own, bytes);
    for (size_t i = 0; i < 2; i++)
        memcpy(r->out[k + i] + at, own[i], left < 12 ? left : 12);
}

INLINE void across_rows(const four_rows *r, const ilki_kern_taps *t, bool high)
{
    for (size_t i = 0, last = t->n - 1; i < t->n; i += 4) {
        __m256i x[8]; /* of each output, two pairs of rows */
        output(&x[0], &x[1], r, t, i, high);
        output(&x[2], &x[3], r, t, i + 1 < last ? i + 1 : last, high);
        output(&x[4], &x[5], r, t, i + 2 < last ? i + 2 : last, high);
        output(&x[6], &x[7], r, t, i + 3 < last ? i + 3 : last, high);
        store_2(r, 0, 3 * i, (t->n - i) * 3, x);
        store_2(r, 2, 3 * i, (t->n - i) * 3, x + 1);
    }
}

static void rgb_across(uint8_t *const *out, const uint8_t *const *in, size_t n_rows, size_t n_in,
                       const ilki_kern_taps *t)
{
    by_four_rows(across_rows, out, in, n_rows, n_in, t);
}

const ilki_kern_ops ilki_kern_avx2_pixel = {
    .name = "avx2",
    .bytes_down = bytes_down,
    .rgb_across = rgb_across,
};
