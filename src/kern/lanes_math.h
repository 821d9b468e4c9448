/* SPDX-License-Identifier: Apache-2.0
 * Elementary functions over the lanes of an ISA (avx2_lanes.h, neon_lanes.h, included first): the approximations of
 * x86/avx512_math.h, whose comments give their errors. */
#ifndef ILKI_KERN_LANES_MATH_H
#define ILKI_KERN_LANES_MATH_H

/* e^x; 0 below -87.3, inf above 88.7; NaN stays. */
INLINE vf vf_exp(vf x)
{
    vf most = vf_min(vf_set1(89.0f), x); /* b of the two for a NaN */
    vf n = vf_round(vf_mul(most, vf_set1(1.44269504f)));
    vf r = vf_fnma(n, vf_set1(0.693145752f), most); /* ln 2 in two parts */
    r = vf_fnma(n, vf_set1(1.42860677e-6f), r);
    vf p = vf_fma(vf_set1(0.0013814599f), r, vf_set1(0.008368717f));
    p = vf_fma(p, r, vf_set1(0.04166839f));
    p = vf_fma(p, r, vf_set1(0.16666521f));
    p = vf_fma(p, r, vf_set1(0.49999994f));
    p = vf_fma(p, r, vf_set1(1.0f));
    p = vf_fma(p, r, vf_set1(1.0f));
    return vf_if_less(x, vf_set1(-87.33f), vf_set1(0.0f), vf_scale2(p, n));
}

/* x sigmoid(a x) */
INLINE vf vf_swish(vf x, float a)
{
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(vf_mul(x, vf_set1(-a)))));
}

INLINE vf vf_tanh(vf x)
{
    const vf one = vf_set1(1.0f);
    vf a = vf_abs(x), s = vf_mul(x, x);
    vf p = vf_fma(vf_set1(-0.0062824734f), s, vf_set1(0.021077758f));
    p = vf_fma(p, s, vf_set1(-0.05385386f));
    p = vf_fma(p, s, vf_set1(0.13332602f));
    p = vf_fma(p, s, vf_set1(-0.3333332f));
    p = vf_fma(vf_mul(x, s), p, x);
    vf t = vf_sub(one, vf_div(vf_set1(2.0f), vf_add(vf_exp(vf_add(a, a)), one)));
    return vf_if_less(a, vf_set1(0.55f), p, vf_sign(t, x));
}

INLINE vf vf_gelu(vf x)
{
    vf whole = vf_abs(x), a = vf_min(vf_set1(5.3f), whole);
    vf t = vf_fma(vf_mul(a, a), vf_set1(0.071199715f), vf_set1(-1.0f));
    vf p = vf_fma(vf_set1(0x1.296878p-12f), t, vf_set1(-0x1.90da50p-11f));
    p = vf_fma(p, t, vf_set1(0x1.7fd1d6p-11f));
    p = vf_fma(p, t, vf_set1(-0x1.1f4bc4p-10f));
    p = vf_fma(p, t, vf_set1(0x1.9ae6d8p-9f));
    p = vf_fma(p, t, vf_set1(-0x1.7f5b08p-8f));
    p = vf_fma(p, t, vf_set1(0x1.21480cp-7f));
    p = vf_fma(p, t, vf_set1(-0x1.b00fc4p-7f));
    p = vf_fma(p, t, vf_set1(0x1.3614b6p-6f));
    p = vf_fma(p, t, vf_set1(-0x1.9e7cc4p-6f));
    p = vf_fma(p, t, vf_set1(0x1.06cba2p-5f));
    p = vf_fma(p, t, vf_set1(-0x1.445002p-5f));
    p = vf_fma(p, t, vf_set1(0x1.939270p-5f));
    p = vf_fma(p, t, vf_set1(-0x1.1075b6p-4f));
    p = vf_fma(p, t, vf_set1(0x1.11301ep-3f));
    return vf_fma(whole, vf_mul(a, p), vf_mul(x, vf_set1(0.5f)));
}

/* x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3) */
INLINE vf vf_gelu_tanh(vf x)
{
    vf z = vf_mul(x, vf_fma(vf_mul(x, x), vf_set1(-0.0713548163f), vf_set1(-1.59576912f)));
    return vf_div(x, vf_add(vf_set1(1.0f), vf_exp(z)));
}

INLINE vf vf_act(vf x, ilki_act act)
{
    switch (act) {
    case ILKI_ACT_GELU:
        return vf_gelu(x);
    case ILKI_ACT_GELU_TANH:
        return vf_gelu_tanh(x);
    case ILKI_ACT_GELU_QUICK:
        return vf_swish(x, 1.702f);
    case ILKI_ACT_SILU:
        return vf_swish(x, 1.0f);
    case ILKI_ACT_RELU:
        return vf_max(vf_set1(0.0f), x);
    case ILKI_ACT_TANH:
        return vf_tanh(x);
    case ILKI_ACT_SIGMOID:
        return vf_div(vf_set1(1.0f), vf_add(vf_set1(1.0f), vf_exp(vf_sub(vf_set1(0.0f), x))));
    case ILKI_ACT_NONE:
        break;
    }
    return x;
}

#endif
