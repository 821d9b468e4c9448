/* SPDX-License-Identifier: Apache-2.0
 * Rows and elementwise vectors, AVX-512. A tail is a masked register, so an element has the same bits at every position.
 * A row's sums run in four accumulators of 16 lanes; how they are split depends on n alone. */
#include "kern/x86/avx512_math.h"

#include <string.h>

#include <math.h>

/* f(x[i..i+16), mask) for the whole of 0..n */
#define EACH(n, i, mask)                                                                                               \
    for (size_t i = 0; i < (n); i += 16)                                                                               \
        for (__mmask16 mask = head_mask((n)-i), once_ = 1; once_; once_ = 0)

/* ---- vec */

static void act_f32(float *x, size_t n, ilki_act act)
{
    EACH(n, i, mask)
    _mm512_mask_storeu_ps(x + i, mask, act_ps(_mm512_maskz_loadu_ps(mask, x + i), act));
}

static void add_f32(float *y, const float *x, size_t n)
{
    EACH(n, i, mask)
    _mm512_mask_storeu_ps(y + i, mask,
                          _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y + i), _mm512_maskz_loadu_ps(mask, x + i)));
}

static void mul_f32(float *y, const float *x, size_t n)
{
    EACH(n, i, mask)
    _mm512_mask_storeu_ps(y + i, mask,
                          _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, y + i), _mm512_maskz_loadu_ps(mask, x + i)));
}

static void axpy_f32(float *y, const float *x, float a, size_t n)
{
    const __m512 va = _mm512_set1_ps(a);
    EACH(n, i, mask)
    _mm512_mask_storeu_ps(y + i, mask,
                          _mm512_fmadd_ps(va, _mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, y + i)));
}

static void scale_f32(float *y, float a, size_t n)
{
    const __m512 va = _mm512_set1_ps(a);
    EACH(n, i, mask)
    _mm512_mask_storeu_ps(y + i, mask, _mm512_mul_ps(va, _mm512_maskz_loadu_ps(mask, y + i)));
}

static void rope_split(float *x, const float *cos_, const float *sin_, size_t half)
{
    EACH(half, i, mask)
    {
        __m512 a = _mm512_maskz_loadu_ps(mask, x + i), b = _mm512_maskz_loadu_ps(mask, x + half + i);
        __m512 c = _mm512_maskz_loadu_ps(mask, cos_ + i), s = _mm512_maskz_loadu_ps(mask, sin_ + i);
        _mm512_mask_storeu_ps(x + i, mask, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
        _mm512_mask_storeu_ps(x + half + i, mask, _mm512_fmadd_ps(b, c, _mm512_mul_ps(a, s)));
    }
}

/* Eight pairs a register; cosines and sines are doubled into both places of a pair. */
static void rope_f32(float *x, const float *cos_, const float *sin_, size_t half, bool interleaved)
{
    if (!interleaved) {
        rope_split(x, cos_, sin_, half);
        return;
    }
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    for (size_t i = 0; i < half; i += 8) {
        __mmask16 pairs = head_mask(half - i < 8 ? half - i : 8), mask = head_mask(2 * (half - i));
        __m512 v = _mm512_maskz_loadu_ps(mask, x + 2 * i);
        __m512 c = _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(pairs, cos_ + i));
        __m512 s = _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(pairs, sin_ + i));
        __m512 t = _mm512_mul_ps(_mm512_permute_ps(v, 0xb1), s); /* the other of the pair */
        _mm512_mask_storeu_ps(x + 2 * i, mask, _mm512_fmaddsub_ps(v, c, t));
    }
}

/* ---- rows */

INLINE float sum4(__m512 a, __m512 b, __m512 c, __m512 d)
{
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
}

/* s0..s3 += f(x) in turn, `f` an expression over v, which is zero past n; its value there is masked off. */
#define SUM_ROW(x, n, result, f)                                                                                       \
    do {                                                                                                               \
        __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0, v;                                                 \
        size_t i_ = 0;                                                                                                 \
        for (; i_ + 64 <= (n); i_ += 64) {                                                                             \
            v = _mm512_loadu_ps((x) + i_);                                                                             \
            s0 = _mm512_add_ps(s0, f);                                                                                 \
            v = _mm512_loadu_ps((x) + i_ + 16);                                                                        \
            s1 = _mm512_add_ps(s1, f);                                                                                 \
            v = _mm512_loadu_ps((x) + i_ + 32);                                                                        \
            s2 = _mm512_add_ps(s2, f);                                                                                 \
            v = _mm512_loadu_ps((x) + i_ + 48);                                                                        \
            s3 = _mm512_add_ps(s3, f);                                                                                 \
        }                                                                                                              \
        for (; i_ < (n); i_ += 16) {                                                                                   \
            __mmask16 mask = head_mask((n)-i_);                                                                        \
            v = _mm512_maskz_loadu_ps(mask, (x) + i_);                                                                 \
            s0 = _mm512_mask_add_ps(s0, mask, s0, f);                                                                  \
        }                                                                                                              \
        result = sum4(s0, s1, s2, s3);                                                                                 \
    } while (0)

INLINE float inverse_root(float x)
{
    return 1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

/* Two passes for the moments: the second also finds how far the first one's mean was off, and takes it out again. */
static void layernorm_f32(float *y, const float *x, const float *w, const float *b, size_t rows, size_t n, size_t ldy,
                          size_t ldx, float eps)
{
    for (size_t r = 0; r < rows; r++, y += ldy, x += ldx) {
        float sum, square, inverse_n = 1.0f / (float)n;
        SUM_ROW(x, n, sum, v);
        const __m512 mean = _mm512_set1_ps(sum * inverse_n);
        SUM_ROW(x, n, sum, _mm512_sub_ps(v, mean));
        float off = sum * inverse_n;
        const __m512 vo = _mm512_set1_ps(off);
        SUM_ROW(x, n, square,
                _mm512_mul_ps(_mm512_sub_ps(_mm512_sub_ps(v, mean), vo), _mm512_sub_ps(_mm512_sub_ps(v, mean), vo)));
        const __m512 scale = _mm512_set1_ps(inverse_root(square * inverse_n + eps));
        EACH(n, i, mask)
        {
            __m512 v = _mm512_sub_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean), vo);
            __m512 vb = b ? _mm512_maskz_loadu_ps(mask, b + i) : _mm512_setzero_ps();
            v = _mm512_fmadd_ps(_mm512_mul_ps(v, scale), _mm512_maskz_loadu_ps(mask, w + i), vb);
            _mm512_mask_storeu_ps(y + i, mask, v);
        }
    }
}

static void rmsnorm_f32(float *y, const float *x, const float *w, size_t rows, size_t n, size_t ldy, size_t ldx,
                        float eps, float w_add)
{
    const __m512 add = _mm512_set1_ps(w_add);
    for (size_t r = 0; r < rows; r++, y += ldy, x += ldx) {
        float square;
        SUM_ROW(x, n, square, _mm512_mul_ps(v, v));
        const __m512 scale = _mm512_set1_ps(inverse_root(square / (float)n + eps));
        EACH(n, i, mask)
        {
            __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), scale);
            v = _mm512_mul_ps(v, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, w + i), add));
            _mm512_mask_storeu_ps(y + i, mask, v);
        }
    }
}

static void softmax_f32(float *x, size_t rows, size_t n, size_t ldx)
{
    for (size_t r = 0; r < rows; r++, x += ldx) {
        __m512 max = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
        EACH(n, i, mask)
        max = _mm512_mask_max_ps(max, mask, max, _mm512_maskz_loadu_ps(mask, x + i));
        max = _mm512_set1_ps(_mm512_reduce_max_ps(max));
        EACH(n, i, mask)
        {
            __m512 e = exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), max));
            sum = _mm512_mask_add_ps(sum, mask, sum, e);
            _mm512_mask_storeu_ps(x + i, mask, e);
        }
        scale_f32(x, 1.0f / _mm512_reduce_add_ps(sum), n);
    }
}

/* ---- rows of codes */

enum { TURN = 64, MOST_MASKS = ILKI_I8_MAX_K / 16 }; /* values of a turn: four registers */

/* The values of a turn that are kept: masks from `m` on, whose last ones are zeros. */
INLINE void get_kept(__m512 v[4], const float *x, const __mmask16 *m)
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        v[i] = _mm512_maskz_loadu_ps(m[i], x + 16 * i);
}

/* lo and hi of what is kept and 0; NaN where something is. */
INLINE float range_of(const float *x, size_t k, const __mmask16 *masks, float *least)
{
    __m512 lo = _mm512_setzero_ps(), hi = lo, lo1 = lo, hi1 = lo, v[4];
    __mmask16 bad = 0;
    for (size_t p = 0; p < k; p += TURN) {
        get_kept(v, x + p, masks + p / 16);
        lo = _mm512_min_ps(_mm512_min_ps(v[0], v[1]), lo);
        hi = _mm512_max_ps(_mm512_max_ps(v[0], v[1]), hi);
        lo1 = _mm512_min_ps(_mm512_min_ps(v[2], v[3]), lo1);
        hi1 = _mm512_max_ps(_mm512_max_ps(v[2], v[3]), hi1);
        bad |= _mm512_cmp_ps_mask(v[0], v[1], _CMP_UNORD_Q) | _mm512_cmp_ps_mask(v[2], v[3], _CMP_UNORD_Q);
    }
    *least = _mm512_reduce_min_ps(_mm512_min_ps(lo, lo1));
    return bad ? NAN : _mm512_reduce_max_ps(_mm512_max_ps(hi, hi1)) - *least;
}

/* 64 codes: 32-bit integers saturate to 16 bits, which no code reaches, then to bytes; the packs leave quarters of lanes
 * that one permutation puts in order. A row that is not finite has by = 0, and INT_MIN or 0 become 0. */
INLINE __m512i codes_64(const __m512 v[4], __m512 by, __m512i zero)
{
    const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    __m512i a = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(v[0], by)),
                                   _mm512_cvtps_epi32(_mm512_mul_ps(v[1], by)));
    __m512i b = _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(v[2], by)),
                                   _mm512_cvtps_epi32(_mm512_mul_ps(v[3], by)));
    a = _mm512_packus_epi16(_mm512_add_epi16(a, zero), _mm512_add_epi16(b, zero));
    return _mm512_permutexvar_epi32(order, a);
}

static void quant_row_i8(unsigned char *a, const float *x, size_t k, const ilki_i8_channels *c, const __mmask16 *masks)
{
    ilki_i8_head head = {0};
    float by = 0.0f, least, range = range_of(x, k, masks, &least);
    for (size_t e = 0; e < c->n_exact; e++) {
        head.exact[e] = x[c->exact[e]];
        range += head.exact[e] * 0.0f; /* these are finite, too */
    }
    if (!(range <= 3.4028235e38f)) {
        head.scale = NAN;
    } else if (range >= 0x1p-118f) {
        by = 255.0f / range;
        head.scale = range / 255.0f;
        head.zero = _mm_cvtss_si32(_mm_set_ss(-least * by));
    }
    memcpy(a, &head, sizeof head);
    a += sizeof head;
    const __m512i zero = _mm512_set1_epi16((int16_t)head.zero);
    for (size_t p = 0; p < k; p += TURN) {
        __m512 v[4];
        get_kept(v, x + p, masks + p / 16);
        __m512i codes = codes_64(v, _mm512_set1_ps(by), zero);
        if (k - p < TURN) /* what is behind the row is 0, not the code of 0 */
            codes = _mm512_maskz_mov_epi8(((__mmask64)1 << (k - p)) - 1U, codes);
        _mm512_storeu_si512(a + p, codes);
    }
}

static void quant_rows_i8(unsigned char *a, size_t lda, const float *x, size_t ldx, size_t rows, size_t k,
                          const ilki_i8_channels *c)
{
    __mmask16 masks[MOST_MASKS + 4];
    for (size_t p = 0; p < (k + TURN - 1) / TURN * TURN; p += 16) {
        __mmask16 in = k > p ? head_mask(k - p) : 0;
        masks[p / 16] = c->keep ? _mm512_mask_cmp_ps_mask(in, _mm512_maskz_loadu_ps(in, c->keep + p),
                                                          _mm512_setzero_ps(), _CMP_NEQ_UQ)
                                : in;
    }
    for (size_t i = 0; i < rows; i++)
        quant_row_i8(a + i * lda, x + i * ldx, k, c, masks);
}

#include "kern/rest_i8.inc"

const ilki_kern_ops ilki_kern_avx512_vec = {
    .name = "avx512",
    .quant_rows_i8 = quant_rows_i8,
    .rest_i8 = rest_i8,
    .layernorm_f32 = layernorm_f32,
    .rmsnorm_f32 = rmsnorm_f32,
    .softmax_f32 = softmax_f32,
    .act_f32 = act_f32,
    .add_f32 = add_f32,
    .mul_f32 = mul_f32,
    .axpy_f32 = axpy_f32,
    .scale_f32 = scale_f32,
    .rope_f32 = rope_f32,
};
