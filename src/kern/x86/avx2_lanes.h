/* SPDX-License-Identifier: Apache-2.0
 * Eight lanes of AVX2 and FMA under the names that lanes_*.h are written in. */
#ifndef ILKI_KERN_AVX2_LANES_H
#define ILKI_KERN_AVX2_LANES_H

#include <immintrin.h>

#include "kern/ops.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8 };
typedef __m256 vf;  /* lanes */
typedef __m256i vm; /* the lanes that exist: all bits of a lane or none */

/* The first n lanes; all for n >= 8. */
INLINE vm vm_head(size_t n)
{
    static const int32_t bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(bits + (n < 8 ? 8 - n : 0)));
}
INLINE vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}
INLINE vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
INLINE void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}
/* Lanes past the head are 0 and not read. */
INLINE vf vf_load_head(const float *p, vm m)
{
    return _mm256_maskload_ps(p, m);
}
INLINE void vf_store_head(float *p, vm m, vf v)
{
    _mm256_maskstore_ps(p, m, v);
}
INLINE vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
INLINE vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
INLINE vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
INLINE vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
INLINE vf vf_fma(vf a, vf b, vf c) /* a b + c */
{
    return _mm256_fmadd_ps(a, b, c);
}
INLINE vf vf_fnma(vf a, vf b, vf c) /* c - a b */
{
    return _mm256_fnmadd_ps(a, b, c);
}
INLINE vf vf_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
INLINE vf vf_round(vf a) /* to the nearest integer */
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* max and min of numbers; where one is no number, b. */
INLINE vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
INLINE vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
/* x < y ? a : b; b where x or y is no number */
INLINE vf vf_if_less(vf x, vf y, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
}
/* The lanes of a that exist, b in the others. */
INLINE vf vf_head(vm m, vf a, vf b)
{
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m));
}
/* a >= 0 with the sign of s */
INLINE vf vf_sign(vf a, vf s)
{
    return _mm256_or_ps(a, _mm256_and_ps(_mm256_set1_ps(-0.0f), s));
}
/* a 2^n for an integer n of -126 to 128, in two factors so that 128 is no special case */
INLINE vf vf_scale2(vf a, vf n)
{
    __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1), one = _mm256_set1_epi32(127);
    __m256i x = _mm256_slli_epi32(_mm256_add_epi32(half, one), 23);
    __m256i y = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(i, half), one), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(x)), _mm256_castsi256_ps(y));
}
INLINE float vf_sum(vf a)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}
INLINE float vf_highest(vf a)
{
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}
/* a c -+ b s over pairs in a register: lane 2i gets a - b, 2i + 1 gets a + b */
INLINE vf vf_fma_alternate(vf x, vf c, vf t) /* x c - t, x c + t */
{
    return _mm256_fmaddsub_ps(x, c, t);
}
INLINE vf vf_swap_pairs(vf x)
{
    return _mm256_permute_ps(x, 0xb1);
}
/* p[0], p[0], p[1], p[1], … for LANES / 2 values; only the n that exist are read */
INLINE vf vf_load_twice(const float *p, size_t n)
{
    __m128i m = _mm256_castsi256_si128(vm_head(n < 4 ? n : 4));
    __m256 x = _mm256_castps128_ps256(_mm_maskload_ps(p, m));
    return _mm256_permutevar8x32_ps(x, _mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0));
}
INLINE void vf_prefetch(const void *p)
{
    _mm_prefetch((const char *)p, _MM_HINT_T1);
}
INLINE float f_sqrt(float x)
{
    return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}
/* codes of LANES values, |v| <= 127, rounded half to even */
INLINE void vf_put_codes(int8_t *to, vf v)
{
    __m256i i = _mm256_cvtps_epi32(v);
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packs_epi16(w, w));
}

#endif
