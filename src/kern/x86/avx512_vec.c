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

/* The kept ones of 16 values from keep on. */
INLINE __mmask16 kept_of(const float *keep, __mmask16 in)
{
    return keep ? _mm512_mask_cmp_ps_mask(in, _mm512_maskz_loadu_ps(in, keep), _mm512_setzero_ps(), _CMP_NEQ_UQ) : in;
}

/* lo and hi over some values more; NaN leaves them. */
INLINE void widen(__m512 *lo, __m512 *hi, __mmask16 kept, __m512 v)
{
    *lo = _mm512_mask_min_ps(*lo, kept, v, *lo);
    *hi = _mm512_mask_max_ps(*hi, kept, v, *hi);
}

INLINE void gate(const ilki_gate_f32 *g, const ilki_act act)
{
    __m512 lo = _mm512_setzero_ps(), hi = lo;
    EACH(g->n, i, mask)
    {
        __m512 v = _mm512_mul_ps(act_ps(_mm512_maskz_loadu_ps(mask, g->a + i), act),
                                 _mm512_maskz_loadu_ps(mask, g->b + i));
        _mm512_mask_storeu_ps(g->y + i, mask, v);
        if (g->range)
            widen(&lo, &hi, kept_of(g->keep ? g->keep + i : NULL, mask), v);
    }
    if (!g->range)
        return;
    widen(&lo, &hi, 0xffff, _mm512_loadu_ps(g->range));
    widen(&lo, &hi, 0xffff, _mm512_loadu_ps(g->range + ILKI_I8_LANES));
    _mm512_storeu_ps(g->range, lo);
    _mm512_storeu_ps(g->range + ILKI_I8_LANES, hi);
}

static void gate_f32(const ilki_gate_f32 *g)
{
    if (g->act == ILKI_ACT_GELU)
        gate(g, ILKI_ACT_GELU);
    else if (g->act == ILKI_ACT_SILU)
        gate(g, ILKI_ACT_SILU);
    else
        gate(g, g->act);
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

INLINE float inverse_root(float x)
{
    return 1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

enum { TOGETHER = 2 }; /* rows whose sums run side by side, so that one's wait does not hold up the other */

/* What is taken off a row (its mean, then what that was off by), and what the rest is multiplied by. */
typedef struct moments {
    __m512 mean, off, scale;
} moments;

/* What the first, the second and the last sum of a row is of. */
INLINE __m512 term(__m512 v, const int pass, const moments *m)
{
    v = pass > 1 ? _mm512_sub_ps(v, m->mean) : v;
    v = pass > 2 ? _mm512_sub_ps(v, m->off) : v;
    return pass > 2 ? _mm512_mul_ps(v, v) : v;
}

INLINE void sum_rows(moments m[TOGETHER], const ilki_norm_f32 *t, const float *x, const size_t rows, const bool rms,
                     const int pass)
{
    __m512 s[TOGETHER][4];
    size_t i = 0;
    float inverse_n = 1.0f / (float)t->n;
#pragma GCC unroll 2
    for (size_t r = 0; r < rows; r++)
        s[r][0] = s[r][1] = s[r][2] = s[r][3] = _mm512_setzero_ps();
    for (; i + 64 <= t->n; i += 64)
#pragma GCC unroll 2
        for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
            for (size_t q = 0; q < 4; q++)
                s[r][q] = _mm512_add_ps(s[r][q], term(_mm512_loadu_ps(x + r * t->ldx + i + 16 * q), pass, &m[r]));
    for (; i < t->n; i += 16)
#pragma GCC unroll 2
        for (size_t r = 0; r < rows; r++) {
            __mmask16 mask = head_mask(t->n - i);
            __m512 v = _mm512_maskz_loadu_ps(mask, x + r * t->ldx + i);
            s[r][0] = _mm512_mask_add_ps(s[r][0], mask, s[r][0], term(v, pass, &m[r]));
        }
#pragma GCC unroll 2
    for (size_t r = 0; r < rows; r++) {
        float sum = sum4(s[r][0], s[r][1], s[r][2], s[r][3]);
        if (pass == 3)
            m[r].scale = _mm512_set1_ps(inverse_root((rms ? sum / (float)t->n : sum * inverse_n) + t->eps));
        else
            *(pass == 1 ? &m[r].mean : &m[r].off) = _mm512_set1_ps(sum * inverse_n);
    }
}

/* What the moments make of 16 values of a row, those of the mask; they widen its range where `kept` is not NULL. */
INLINE void norm_16(const ilki_norm_f32 *t, float *y, const float *x, size_t i, __mmask16 mask, const bool rms,
                    const moments *of, const __mmask16 *kept, __m512 range[2])
{
    __m512 v = _mm512_sub_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), of->mean), of->off);
    __m512 w = _mm512_maskz_loadu_ps(mask, t->w + i);
    v = _mm512_mul_ps(v, of->scale);
    v = rms ? _mm512_mul_ps(v, _mm512_add_ps(w, _mm512_set1_ps(t->w_add)))
            : _mm512_fmadd_ps(v, w, t->b ? _mm512_maskz_loadu_ps(mask, t->b + i) : _mm512_setzero_ps());
    _mm512_mask_storeu_ps(y + i, mask, v);
    if (kept)
        widen(&range[0], &range[1], kept[i / 16], v);
}

/* ---- rows of codes */

enum { TURN = 64, MOST_MASKS = ILKI_I8_MAX_K / 16 }; /* values of a turn: four registers */

/* Which values of a row are kept, for whole turns of them. */
typedef struct row_masks {
    __mmask16 kept[MOST_MASKS + 4];
} row_masks;

INLINE void get_masks(row_masks *m, size_t k, const ilki_i8_channels *c)
{
    for (size_t p = 0; p < (k + TURN - 1) / TURN * TURN; p += 16) {
        __mmask16 in = k > p ? head_mask(k - p) : 0;
        m->kept[p / 16] = kept_of(c->keep ? c->keep + p : NULL, in);
    }
}

/* lo and hi of what is kept and 0. */
INLINE void range_of(const float *x, size_t k, const __mmask16 *m, __m512 *lo, __m512 *hi)
{
    __m512 lo1 = _mm512_setzero_ps(), hi1 = lo1;
    *lo = *hi = lo1;
    for (size_t p = 0; p < k; p += TURN, m += TURN / 16) {
        widen(lo, hi, m[0], _mm512_maskz_loadu_ps(m[0], x + p));
        widen(&lo1, &hi1, m[1], _mm512_maskz_loadu_ps(m[1], x + p + 16));
        widen(lo, hi, m[2], _mm512_maskz_loadu_ps(m[2], x + p + 32));
        widen(&lo1, &hi1, m[3], _mm512_maskz_loadu_ps(m[3], x + p + 48));
    }
    widen(lo, hi, 0xffff, lo1);
    widen(lo, hi, 0xffff, hi1);
}

/* 64 codes: 32-bit integers saturate to 16 bits, which no code reaches, then to bytes; the packs leave quarters of lanes
 * that one permutation puts in order. NaN becomes 0. */
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

/* Codes of k values and zeros behind them; false where one is NaN. What an exact channel gets is its caller's to mend. */
INLINE bool put_codes(unsigned char *a, const float *x, size_t k, __m512 by, __m512i zero)
{
    __mmask16 good = 0xffff, good1 = 0xffff;
    __m512 v[4];
    size_t p = 0;
    for (; p + TURN <= k; p += TURN) {
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
            v[i] = _mm512_loadu_ps(x + p + 16 * i);
        good = _mm512_mask_cmp_ps_mask(good, v[0], v[1], _CMP_ORD_Q);
        good1 = _mm512_mask_cmp_ps_mask(good1, v[2], v[3], _CMP_ORD_Q);
        _mm512_storeu_si512(a + p, codes_64(v, by, zero));
    }
    if (p < k) { /* what is behind the row is 0, not the code of 0 */
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            v[i] = k - p > 16 * i ? _mm512_maskz_loadu_ps(head_mask(k - p - 16 * i), x + p + 16 * i)
                                  : _mm512_setzero_ps();
        good = _mm512_mask_cmp_ps_mask(good, v[0], v[1], _CMP_ORD_Q);
        good1 = _mm512_mask_cmp_ps_mask(good1, v[2], v[3], _CMP_ORD_Q);
        _mm512_storeu_si512(a + p, _mm512_maskz_mov_epi8(((__mmask64)1 << (k - p)) - 1U, codes_64(v, by, zero)));
    }
    return (good & good1) == 0xffff;
}

/* The codes of a row whose kept values that are numbers lie in lo to hi. */
INLINE void finish_row_i8(unsigned char *a, const float *x, size_t k, const ilki_i8_channels *c, __m512 lo, __m512 hi)
{
    ilki_i8_head head = {0};
    float by = 0.0f, least = _mm512_reduce_min_ps(lo), range = _mm512_reduce_max_ps(hi) - least, finite = 0.0f;
    if (range >= 0x1p-118f && range <= 3.4028235e38f) {
        by = 255.0f / range;
        head.scale = range / 255.0f;
        head.zero = _mm_cvtss_si32(_mm_set_ss(-least * by));
    }
    bool numbers = put_codes(a + sizeof head, x, k, _mm512_set1_ps(by), _mm512_set1_epi16((int16_t)head.zero));
    for (size_t e = 0; e < c->n_exact; e++) {
        head.exact[e] = x[c->exact[e]];
        finite += head.exact[e] * 0.0f; /* these are, too */
    }
    if (!numbers || !(range + finite <= 3.4028235e38f)) {
        head.scale = NAN;
        head.zero = 0;
        memset(a + sizeof head, 0, k);
    }
    memcpy(a, &head, sizeof head);
    for (size_t e = 0; e < c->n_exact; e++)
        a[sizeof head + c->exact[e]] = (unsigned char)head.zero;
}

static void quant_rows_i8(const ilki_rows_i8 *r)
{
    row_masks m;
    const float *range = r->range;
    if (!range)
        get_masks(&m, r->k, r->channels);
    for (size_t i = 0; i < r->rows; i++) {
        const float *x = r->x + i * r->ldx;
        __m512 lo, hi;
        if (range) {
            lo = _mm512_loadu_ps(range + i * 2 * ILKI_I8_LANES);
            hi = _mm512_loadu_ps(range + i * 2 * ILKI_I8_LANES + ILKI_I8_LANES);
        } else {
            range_of(x, r->k, m.kept, &lo, &hi);
        }
        finish_row_i8(r->a + i * r->lda, x, r->k, r->channels, lo, hi);
    }
}

INLINE void norm_rows(const ilki_norm_f32 *t, size_t first, const size_t rows, const bool rms, const __mmask16 *kept)
{
    const float *x = t->x + first * t->ldx;
    moments m[TOGETHER] = {{_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()},
                           {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()}};
    if (!rms) { /* the second finds how far the first one's mean was off */
        sum_rows(m, t, x, rows, rms, 1);
        sum_rows(m, t, x, rows, rms, 2);
    }
    sum_rows(m, t, x, rows, rms, 3);
#pragma GCC unroll 2
    for (size_t r = 0; r < rows; r++, x += t->ldx) {
        __m512 range[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        float *y = t->y + (first + r) * t->ldy;
        size_t i = 0;
        for (; i + 16 <= t->n; i += 16)
            norm_16(t, y, x, i, 0xffff, rms, &m[r], kept, range);
        if (i < t->n)
            norm_16(t, y, x, i, head_mask(t->n - i), rms, &m[r], kept, range);
        if (kept)
            finish_row_i8(t->a + (first + r) * t->lda, y, t->n, t->channels, range[0], range[1]);
    }
}

INLINE void norm_all(const ilki_norm_f32 *t, const bool rms, const __mmask16 *kept)
{
    size_t i = 0;
    for (; i + TOGETHER <= t->rows; i += TOGETHER)
        norm_rows(t, i, TOGETHER, rms, kept);
    if (i < t->rows)
        norm_rows(t, i, 1, rms, kept);
}

static void norm_f32(const ilki_norm_f32 *t)
{
    row_masks m;
    if (t->a)
        get_masks(&m, t->n, t->channels);
    if (t->rms)
        norm_all(t, true, t->a ? m.kept : NULL);
    else
        norm_all(t, false, t->a ? m.kept : NULL);
}

#include "kern/rest_i8.inc"

const ilki_kern_ops ilki_kern_avx512_vec = {
    .name = "avx512",
    .quant_rows_i8 = quant_rows_i8,
    .rest_i8 = rest_i8,
    .norm_f32 = norm_f32,
    .act_f32 = act_f32,
    .add_f32 = add_f32,
    .gate_f32 = gate_f32,
    .axpy_f32 = axpy_f32,
    .scale_f32 = scale_f32,
    .rope_f32 = rope_f32,
};
