/* SPDX-License-Identifier: Apache-2.0
 * Elementary functions on 16 lanes, for the AVX-512 files alone: static inline only, so that no code of this ISA is
 * shared with a file compiled without it. Coefficients are weighted minimax fits, errors those found over a dense grid
 * (docs/NUMERICS.md). Every lane has the same bits wherever it stands in a row: a tail is a masked register. */
#ifndef ILKI_KERN_AVX512_MATH_H
#define ILKI_KERN_AVX512_MATH_H

#include <immintrin.h>

#include "kern/ops.h"

#define INLINE static inline __attribute__((always_inline))

/* The first n of 16 lanes; all of them for n >= 16. */
INLINE __mmask16 head_mask(size_t n)
{
    return n >= 16 ? (__mmask16)0xffff : (__mmask16)((1U << n) - 1U);
}

/* 2^n e^r, |r| <= ln 2 / 2; zero in the lanes that are not `normal`. */
INLINE __m512 exp_reduced_ps(__m512 r, __m512 n, __mmask16 normal)
{
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.0013814599f), r, _mm512_set1_ps(0.008368717f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.04166839f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.16666521f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.49999994f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_maskz_scalef_ps(normal, p, n);
}

/* e^x within 1.1 units of the last place's half; 0 below -87.3, where the result would be subnormal; inf above 88.7; NaN
 * stays. */
INLINE __m512 exp_ps(__m512 x)
{
    __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.33f), _CMP_NLT_UQ);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8); /* nearest, no exception */
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), x);                   /* ln 2 in two parts */
    return exp_reduced_ps(_mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r), n, normal);
}

/* The same for an x that is a rounded difference already: ln 2 in one part adds 3e-9 |x| to that rounding's 6e-8 |x|. */
INLINE __m512 exp_weight_ps(__m512 x)
{
    __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.33f), _CMP_NLT_UQ);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
    return exp_reduced_ps(_mm512_fnmadd_ps(n, _mm512_set1_ps(0.693147181f), x), n, normal);
}

INLINE __m512 sigmoid_ps(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_div_ps(one, _mm512_add_ps(one, exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), x))));
}

/* x sigmoid(a x) */
INLINE __m512 swish_ps(__m512 x, float a)
{
    __m512 e = exp_ps(_mm512_mul_ps(x, _mm512_set1_ps(-a)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
}

/* Odd polynomial under 0.55, 1 - 2 / (e^2|x| + 1) above: within 2 ulp. */
INLINE __m512 tanh_ps(__m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 a = _mm512_abs_ps(x), s = _mm512_mul_ps(x, x);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(-0.0062824734f), s, _mm512_set1_ps(0.021077758f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0.05385386f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(0.13332602f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-0.3333332f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(x, s), p, x);
    __m512 e = exp_ps(_mm512_add_ps(a, a));
    __m512 t = _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(e, one)));
    t = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(t), _mm512_castps_si512(x),
                                                      _mm512_set1_epi32(INT32_MIN), 0xd8)); /* the sign of x */
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, _mm512_set1_ps(0.55f), _CMP_LT_OQ), t, p);
}

/* x/2 + |x| g(|x|) with g = erf(|x| / sqrt 2) / 2 as |x| times a polynomial in x^2 mapped to -1..1; from 5.3 on g is
 * one half to the last bit, so that the function ends in 0 and x. Within 1.3e-7 max(1, |x|). */
INLINE __m512 gelu_ps(__m512 x)
{
    __m512 whole = _mm512_abs_ps(x), a = _mm512_min_ps(_mm512_set1_ps(5.3f), whole);
    __m512 t = _mm512_fmadd_ps(_mm512_mul_ps(a, a), _mm512_set1_ps(0.071199715f), _mm512_set1_ps(-1.0f));
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0x1.296878p-12f), t, _mm512_set1_ps(-0x1.90da50p-11f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.7fd1d6p-11f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.1f4bc4p-10f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.9ae6d8p-9f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.7f5b08p-8f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.21480cp-7f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.b00fc4p-7f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.3614b6p-6f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.9e7cc4p-6f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.06cba2p-5f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.445002p-5f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.939270p-5f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.1075b6p-4f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.11301ep-3f));
    return _mm512_fmadd_ps(whole, _mm512_mul_ps(a, p), _mm512_mul_ps(x, _mm512_set1_ps(0.5f)));
}

/* The same from a shorter polynomial, up to 4: within 1e-4 max(1, |x|), and 0 and x themselves beyond. */
INLINE __m512 gelu_near_ps(__m512 x)
{
    __m512 whole = _mm512_abs_ps(x), a = _mm512_min_ps(_mm512_set1_ps(4.0f), whole);
    __m512 t = _mm512_fmadd_ps(_mm512_mul_ps(a, a), _mm512_set1_ps(0.125f), _mm512_set1_ps(-1.0f));
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0x1.c2baa6p-8f), t, _mm512_set1_ps(-0x1.1c8ecep-6f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.7c60a2p-6f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.1c948cp-5f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.c763e4p-5f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0x1.5a49f2p-4f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0x1.686114p-3f));
    return _mm512_fmadd_ps(whole, _mm512_mul_ps(a, p), _mm512_mul_ps(x, _mm512_set1_ps(0.5f)));
}

/* x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3) */
INLINE __m512 gelu_tanh_ps(__m512 x)
{
    __m512 s = _mm512_mul_ps(x, x);
    __m512 z = _mm512_mul_ps(x, _mm512_fmadd_ps(s, _mm512_set1_ps(-0.0713548163f), _mm512_set1_ps(-1.59576912f)));
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), exp_ps(z)));
}

INLINE __m512 act_ps(__m512 x, ilki_act act)
{
    switch (act) {
    case ILKI_ACT_GELU:
        return gelu_ps(x);
    case ILKI_ACT_GELU_TANH:
        return gelu_tanh_ps(x);
    case ILKI_ACT_GELU_QUICK:
        return swish_ps(x, 1.702f);
    case ILKI_ACT_SILU:
        return swish_ps(x, 1.0f);
    case ILKI_ACT_RELU:
        return _mm512_max_ps(_mm512_setzero_ps(), x);
    case ILKI_ACT_TANH:
        return tanh_ps(x);
    case ILKI_ACT_SIGMOID:
        return sigmoid_ps(x);
    case ILKI_ACT_NONE:
        break;
    }
    return x;
}

#endif
