/* SPDX-License-Identifier: Apache-2.0
 * Dot products of f32, codes and the peak probe over the lanes of an ISA. A dot product runs in four chains, added
 * pairwise at the end; its bits depend on its own operands alone. */
#ifndef ILKI_KERN_LANES_DOT_H
#define ILKI_KERN_LANES_DOT_H

#include <string.h>

static float dot_f32(const float *a, const float *b, size_t n)
{
    vf s0 = vf_set1(0.0f), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 = vf_fma(vf_load(a + i), vf_load(b + i), s0);
        s1 = vf_fma(vf_load(a + i + LANES), vf_load(b + i + LANES), s1);
        s2 = vf_fma(vf_load(a + i + 2 * LANES), vf_load(b + i + 2 * LANES), s2);
        s3 = vf_fma(vf_load(a + i + 3 * LANES), vf_load(b + i + 3 * LANES), s3);
    }
    for (; i < n; i += LANES) {
        vm m = vm_head(n - i);
        s0 = vf_fma(vf_load_head(a + i, m), vf_load_head(b + i, m), s0);
    }
    return vf_sum(vf_add(vf_add(s0, s1), vf_add(s2, s3)));
}

static void dot_f32_rows(float *out, const float *q, const float *rows, size_t stride, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++)
        out[r] = dot_f32(q, rows + r * stride, n);
}

static float quant_i8(int8_t *codes, const float *x, size_t n)
{
    const vf zero = vf_set1(0.0f);
    vf max = zero;
    for (size_t i = 0; i < n; i += LANES) /* the second operand is what a NaN leaves */
        max = vf_max(vf_abs(vf_load_head(x + i, vm_head(n - i))), max);
    float scale = vf_highest(max) / 127.0f;
    if (scale == 0.0f) {
        memset(codes, 0, n);
        return 0.0f;
    }
    const vf by = vf_set1(scale), low = vf_set1(-127.0f), high = vf_set1(127.0f);
    for (size_t i = 0; i < n; i += LANES) {
        vf v = vf_min(vf_max(vf_div(vf_load_head(x + i, vm_head(n - i)), by), low), high);
        int8_t some[LANES];
        vf_put_codes(n - i < LANES ? some : codes + i, v);
        if (n - i < LANES)
            memcpy(codes + i, some, n - i);
    }
    return scale;
}

/* Twelve chains: enough for four cycles of latency on two ports, or three on four. */
static uint64_t peak_f32(uint64_t n_iterations)
{
    vf f = vf_set1(0.999f), a = f, b = f, c = f, d = f, e = f, g = f, h = f, i = f, j = f, k = f, l = f, m = f;
    for (uint64_t x = 0; x < n_iterations; x++) {
        a = vf_fma(a, f, f);
        b = vf_fma(b, f, f);
        c = vf_fma(c, f, f);
        d = vf_fma(d, f, f);
        e = vf_fma(e, f, f);
        g = vf_fma(g, f, f);
        h = vf_fma(h, f, f);
        i = vf_fma(i, f, f);
        j = vf_fma(j, f, f);
        k = vf_fma(k, f, f);
        l = vf_fma(l, f, f);
        m = vf_fma(m, f, f);
        /* each is unknown again after every step: the chains are neither merged nor left out */
        VF_UNKNOWN(a, b, c, d, e, g);
        VF_UNKNOWN(h, i, j, k, l, m);
    }
    return n_iterations * 12 * LANES * 2;
}

#endif
