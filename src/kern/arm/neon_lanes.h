/* SPDX-License-Identifier: Apache-2.0
 * Four lanes of NEON (AArch64) under the names that lanes_*.h are written in. */
#ifndef ILKI_KERN_NEON_LANES_H
#define ILKI_KERN_NEON_LANES_H

#include <arm_neon.h>
#include <string.h>

#include "kern/ops.h"

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 4 };
typedef float32x4_t vf; /* lanes */
typedef size_t vm;      /* how many lanes exist, 0 to 4 */

/* The first n lanes; all for n >= 4. */
INLINE vm vm_head(size_t n)
{
    return n < 4 ? n : 4;
}
INLINE vf vf_set1(float x)
{
    return vdupq_n_f32(x);
}
INLINE vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
INLINE void vf_store(float *p, vf v)
{
    vst1q_f32(p, v);
}
/* Lanes past the head are 0 and not read. */
INLINE vf vf_load_head(const float *p, vm m)
{
    float t[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (m == 4)
        return vld1q_f32(p);
    memcpy(t, p, m * sizeof *t);
    return vld1q_f32(t);
}
INLINE void vf_store_head(float *p, vm m, vf v)
{
    float t[4];
    vst1q_f32(t, v);
    memcpy(p, t, m * sizeof *t);
}
INLINE vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
INLINE vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
INLINE vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
INLINE vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
INLINE vf vf_fma(vf a, vf b, vf c) /* a b + c */
{
    return vfmaq_f32(c, a, b);
}
INLINE vf vf_fnma(vf a, vf b, vf c) /* c - a b */
{
    return vfmsq_f32(c, a, b);
}
INLINE vf vf_abs(vf a)
{
    return vabsq_f32(a);
}
INLINE vf vf_round(vf a) /* to the nearest integer */
{
    return vrndnq_f32(a);
}
/* max and min of numbers; where one is no number, b. */
INLINE vf vf_max(vf a, vf b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
INLINE vf vf_min(vf a, vf b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
/* x < y ? a : b; b where x or y is no number */
INLINE vf vf_if_less(vf x, vf y, vf a, vf b)
{
    return vbslq_f32(vcltq_f32(x, y), a, b);
}
/* The lanes of a that exist, b in the others. */
INLINE vf vf_head(vm m, vf a, vf b)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)m)), a, b);
}
/* a >= 0 with the sign of s */
INLINE vf vf_sign(vf a, vf s)
{
    return vbslq_f32(vdupq_n_u32(0x80000000U), s, a);
}
/* a 2^n for an integer n of -126 to 128, in two factors so that 128 is no special case */
INLINE vf vf_scale2(vf a, vf n)
{
    int32x4_t i = vcvtnq_s32_f32(n), half = vshrq_n_s32(i, 1), one = vdupq_n_s32(127);
    int32x4_t x = vshlq_n_s32(vaddq_s32(half, one), 23), y = vshlq_n_s32(vaddq_s32(vsubq_s32(i, half), one), 23);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(x)), vreinterpretq_f32_s32(y));
}
INLINE float vf_sum(vf a)
{
    return vaddvq_f32(a);
}
INLINE float vf_highest(vf a)
{
    return vmaxnmvq_f32(a);
}
INLINE vf vf_fma_alternate(vf x, vf c, vf t) /* x c - t, x c + t over pairs of lanes */
{
    static const float sign[4] = {-1.0f, 1.0f, -1.0f, 1.0f};
    return vfmaq_f32(vmulq_f32(t, vld1q_f32(sign)), x, c);
}
INLINE vf vf_swap_pairs(vf x)
{
    return vrev64q_f32(x);
}
/* p[0], p[0], p[1], p[1] for LANES / 2 values; only the n that exist are read */
INLINE vf vf_load_twice(const float *p, size_t n)
{
    float b = n > 1 ? p[1] : 0.0f, t[4] = {p[0], p[0], b, b};
    return vld1q_f32(t);
}
INLINE void vf_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 2);
}
INLINE float f_sqrt(float x)
{
    return vget_lane_f32(vsqrt_f32(vdup_n_f32(x)), 0);
}
/* codes of LANES values, |v| <= 127, rounded half to even */
INLINE void vf_put_codes(int8_t *to, vf v)
{
    int16x4_t w = vqmovn_s32(vcvtnq_s32_f32(v));
    int8_t t[8];
    vst1_s8(t, vqmovn_s16(vcombine_s16(w, w)));
    memcpy(to, t, 4);
}

#endif
