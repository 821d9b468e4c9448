/* SPDX-License-Identifier: Apache-2.0
 * Sums of bytes by integer weights, AVX2. vpmulld would multiply as they are, but costs two steps; so a weight is cut
 * into w = 2^14 high + low, 0 <= low < 2^14, and vpmaddwd sums two bytes by two halves at once. Sums of halves may wrap:
 * all is modulo 2^32, and the whole sum fits. */
#include <immintrin.h>

#include "kern/ops.h"

#define INLINE   static inline __attribute__((always_inline))
#define LOW_BITS 14
#define LOW_MASK ((1 << LOW_BITS) - 1)

INLINE uint8_t clip_byte(int32_t sum, unsigned shift)
{
    int32_t v = sum >> shift;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Two halves of weights beside each other, in every 32 bits. */
INLINE __m256i pair_of(int32_t a, int32_t b)
{
    return _mm256_set1_epi32((int32_t)(((uint32_t)a & 0xffff) | (uint32_t)b << 16));
}

/* Sums of eight columns. */
typedef struct sums {
    __m256i high, low;
} sums;

INLINE void add_8(sums *s, __m128i pairs, __m256i high, __m256i low)
{
    __m256i p = _mm256_cvtepu8_epi16(pairs);
    s->high = _mm256_add_epi32(s->high, _mm256_madd_epi16(p, high));
    s->low = _mm256_add_epi32(s->low, _mm256_madd_epi16(p, low));
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

/* Thirty-two columns from x: as many sums as leave registers for the rest. */
INLINE void down_32(uint8_t *out, const uint8_t *const *rows, const int32_t *w, size_t n_rows, size_t x, unsigned shift)
{
    __m256i half = _mm256_set1_epi32(1 << (shift - 1)), zero = _mm256_setzero_si256();
    __m128i by = _mm_cvtsi32_si128((int)shift);
    sums s0 = {zero, half}, s1 = s0, s2 = s0, s3 = s0;
    for (size_t k = 0; k < n_rows; k += 2) {
        bool last = k + 1 == n_rows;
        int32_t w0 = w[k], w1 = last ? 0 : w[k + 1];
        const uint8_t *a = rows[k] + x, *b = rows[last ? k : k + 1] + x;
        __m128i a0 = _mm_loadu_si128((const __m128i *)a), b0 = _mm_loadu_si128((const __m128i *)b),
                a1 = _mm_loadu_si128((const __m128i *)(a + 16)), b1 = _mm_loadu_si128((const __m128i *)(b + 16));
        __m256i high = pair_of(w0 >> LOW_BITS, w1 >> LOW_BITS), low = pair_of(w0 & LOW_MASK, w1 & LOW_MASK);
        add_8(&s0, _mm_unpacklo_epi8(a0, b0), high, low);
        add_8(&s1, _mm_unpackhi_epi8(a0, b0), high, low);
        add_8(&s2, _mm_unpacklo_epi8(a1, b1), high, low);
        add_8(&s3, _mm_unpackhi_epi8(a1, b1), high, low);
    }
    store_16(out + x, &s0, &s1, by);
    store_16(out + x + 16, &s2, &s3, by);
}

static void bytes_down(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *t, size_t i, size_t n)
{
    const int32_t *w = t->weight + i * t->step;
    size_t x = 0, n_rows = t->count[i];
    unsigned shift = t->shift;
    for (; x + 32 <= n; x += 32)
        down_32(out, rows, w, n_rows, x, shift);
    for (; x < n; x++) {
        int32_t sum = 1 << (shift - 1);
        for (size_t k = 0; k < n_rows; k++)
            sum += w[k] * rows[k][x];
        out[x] = clip_byte(sum, shift);
    }
}

/* Four pixels by four weights, the first two pixels in the lower lane: r r g g b b 0 0 as 16 bits each. */
INLINE void across_4(__m256i *high, __m256i *low, const uint8_t *p, const int32_t *w)
{
    const __m256i spread = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1, 6, -1, 9, -1, 7,
                                            -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1),
                  highs = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5,
                                           6, 7, 4, 5, 6, 7),
                  lows = _mm256_setr_epi8(8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 12, 13, 14, 15, 12,
                                          13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
    __m128i four = _mm_loadu_si128((const __m128i *)w);
    __m256i cut = _mm256_broadcastsi128_si256(
                _mm_packs_epi32(_mm_srai_epi32(four, LOW_BITS), _mm_and_si128(four, _mm_set1_epi32(LOW_MASK)))),
            x = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p)), spread);
    *high = _mm256_add_epi32(*high, _mm256_madd_epi16(x, _mm256_shuffle_epi8(cut, highs)));
    *low = _mm256_add_epi32(*low, _mm256_madd_epi16(x, _mm256_shuffle_epi8(cut, lows)));
}

static void row_across(uint8_t *out, const uint8_t *in, size_t n_in, const ilki_kern_taps *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const int32_t *w = t->weight + i * t->step;
        size_t k = 0, n = t->count[i], at = (size_t)t->first[i] * 3;
        __m256i high = _mm256_setzero_si256(), low = high;
        for (; k < n && at + 16 <= n_in * 3; k += 4, at += 12) /* the last load takes four bytes more than it needs */
            across_4(&high, &low, in + at, w + k);
        low = _mm256_add_epi32(low, _mm256_slli_epi32(high, LOW_BITS));
        __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
        sum = _mm_add_epi32(sum, _mm_set1_epi32(1 << (t->shift - 1)));
        for (; k < n; k++, at += 3) {
            __m128i p = _mm_setr_epi32(in[at], in[at + 1], in[at + 2], 0);
            sum = _mm_add_epi32(sum, _mm_mullo_epi32(p, _mm_set1_epi32(w[k])));
        }
        int32_t channels[4];
        _mm_storeu_si128((__m128i *)channels, sum);
        for (size_t c = 0; c < 3; c++)
            out[3 * i + c] = clip_byte(channels[c], t->shift);
    }
}

static void rgb_across(uint8_t *const *out, const uint8_t *const *in, size_t n_rows, size_t n_in,
                       const ilki_kern_taps *t)
{
    for (size_t y = 0; y < n_rows; y++)
        row_across(out[y], in[y], n_in, t);
}

const ilki_kern_ops ilki_kern_avx2_pixel = {
    .name = "avx2",
    .bytes_down = bytes_down,
    .rgb_across = rgb_across,
};
