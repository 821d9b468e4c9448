/* SPDX-License-Identifier: Apache-2.0
 * Rows and elementwise vectors over the lanes of an ISA. A tail is a partial load, so an element has the same bits at
 * every position. A row's sums run in four accumulators; how they are split depends on n alone. */
#ifndef ILKI_KERN_LANES_VEC_H
#define ILKI_KERN_LANES_VEC_H

#include <math.h>

#include "kern/lanes_math.h"

#define EACH(n, i) for (size_t i = 0; i < (n); i += LANES)

static void act_f32(float *x, size_t n, ilki_act act)
{
    EACH(n, i)
    {
        vm m = vm_head(n - i);
        vf_store_head(x + i, m, vf_act(vf_load_head(x + i, m), act));
    }
}

static void add_f32(float *y, const float *x, size_t n)
{
    EACH(n, i)
    {
        vm m = vm_head(n - i);
        vf_store_head(y + i, m, vf_add(vf_load_head(y + i, m), vf_load_head(x + i, m)));
    }
}

static void mul_f32(float *y, const float *x, size_t n)
{
    EACH(n, i)
    {
        vm m = vm_head(n - i);
        vf_store_head(y + i, m, vf_mul(vf_load_head(y + i, m), vf_load_head(x + i, m)));
    }
}

static void axpy_f32(float *y, const float *x, float a, size_t n)
{
    const vf va = vf_set1(a);
    EACH(n, i)
    {
        vm m = vm_head(n - i);
        vf_store_head(y + i, m, vf_fma(va, vf_load_head(x + i, m), vf_load_head(y + i, m)));
    }
}

static void scale_f32(float *y, float a, size_t n)
{
    const vf va = vf_set1(a);
    EACH(n, i)
    {
        vm m = vm_head(n - i);
        vf_store_head(y + i, m, vf_mul(va, vf_load_head(y + i, m)));
    }
}

static void rope_split(float *x, const float *cos_, const float *sin_, size_t half)
{
    EACH(half, i)
    {
        vm m = vm_head(half - i);
        vf a = vf_load_head(x + i, m), b = vf_load_head(x + half + i, m);
        vf c = vf_load_head(cos_ + i, m), s = vf_load_head(sin_ + i, m);
        vf_store_head(x + i, m, vf_fnma(b, s, vf_mul(a, c)));
        vf_store_head(x + half + i, m, vf_fma(b, c, vf_mul(a, s)));
    }
}

static void rope_f32(float *x, const float *cos_, const float *sin_, size_t half, bool interleaved)
{
    if (!interleaved) {
        rope_split(x, cos_, sin_, half);
        return;
    }
    for (size_t i = 0; i < half; i += LANES / 2) {
        vm m = vm_head(2 * (half - i));
        vf v = vf_load_head(x + 2 * i, m), c = vf_load_twice(cos_ + i, half - i), s = vf_load_twice(sin_ + i, half - i);
        vf_store_head(x + 2 * i, m, vf_fma_alternate(v, c, vf_mul(vf_swap_pairs(v), s)));
    }
}

/* ---- rows */

/* The sum over a row of f, an expression over v; lanes of v past n count as zeros whatever f makes of them. */
#define SUM_ROW(x, n, result, f)                                                                                       \
    do {                                                                                                               \
        vf s0 = vf_set1(0.0f), s1 = s0, s2 = s0, s3 = s0, v;                                                           \
        size_t i_ = 0;                                                                                                 \
        for (; i_ + 4 * LANES <= (n); i_ += 4 * LANES) {                                                               \
            v = vf_load((x) + i_);                                                                                     \
            s0 = vf_add(s0, f);                                                                                        \
            v = vf_load((x) + i_ + LANES);                                                                             \
            s1 = vf_add(s1, f);                                                                                        \
            v = vf_load((x) + i_ + 2 * LANES);                                                                         \
            s2 = vf_add(s2, f);                                                                                        \
            v = vf_load((x) + i_ + 3 * LANES);                                                                         \
            s3 = vf_add(s3, f);                                                                                        \
        }                                                                                                              \
        for (; i_ < (n); i_ += LANES) {                                                                                \
            vm m_ = vm_head((n)-i_);                                                                                   \
            v = vf_load_head((x) + i_, m_);                                                                            \
            s0 = vf_add(s0, vf_head(m_, f, vf_set1(0.0f)));                                                            \
        }                                                                                                              \
        result = vf_sum(vf_add(vf_add(s0, s1), vf_add(s2, s3)));                                                       \
    } while (0)

/* Two passes for the moments: the second also finds how far the first one's mean was off, and takes it out again. */
static void layernorm_f32(float *y, const float *x, const float *w, const float *b, size_t rows, size_t n, size_t ldy,
                          size_t ldx, float eps)
{
    for (size_t r = 0; r < rows; r++, y += ldy, x += ldx) {
        float sum, square, inverse_n = 1.0f / (float)n;
        SUM_ROW(x, n, sum, v);
        const vf mean = vf_set1(sum * inverse_n);
        SUM_ROW(x, n, sum, vf_sub(v, mean));
        const vf off = vf_set1(sum * inverse_n);
        SUM_ROW(x, n, square, vf_mul(vf_sub(vf_sub(v, mean), off), vf_sub(vf_sub(v, mean), off)));
        const vf scale = vf_set1(1.0f / f_sqrt(square * inverse_n + eps));
        EACH(n, i)
        {
            vm m = vm_head(n - i);
            vf v = vf_sub(vf_sub(vf_load_head(x + i, m), mean), off);
            vf vb = b ? vf_load_head(b + i, m) : vf_set1(0.0f);
            vf_store_head(y + i, m, vf_fma(vf_mul(v, scale), vf_load_head(w + i, m), vb));
        }
    }
}

static void rmsnorm_f32(float *y, const float *x, const float *w, size_t rows, size_t n, size_t ldy, size_t ldx,
                        float eps, float w_add)
{
    const vf add = vf_set1(w_add);
    for (size_t r = 0; r < rows; r++, y += ldy, x += ldx) {
        float square;
        SUM_ROW(x, n, square, vf_mul(v, v));
        const vf scale = vf_set1(1.0f / f_sqrt(square / (float)n + eps));
        EACH(n, i)
        {
            vm m = vm_head(n - i);
            vf v = vf_mul(vf_load_head(x + i, m), scale);
            vf_store_head(y + i, m, vf_mul(v, vf_add(vf_load_head(w + i, m), add)));
        }
    }
}

static void softmax_f32(float *x, size_t rows, size_t n, size_t ldx)
{
    const vf lowest = vf_set1(-INFINITY), zero = vf_set1(0.0f);
    for (size_t r = 0; r < rows; r++, x += ldx) {
        vf max = lowest, sum = zero;
        EACH(n, i)
        {
            vm m = vm_head(n - i);
            max = vf_max(vf_head(m, vf_load_head(x + i, m), lowest), max);
        }
        max = vf_set1(vf_highest(max));
        EACH(n, i)
        {
            vm m = vm_head(n - i);
            vf e = vf_exp(vf_sub(vf_load_head(x + i, m), max));
            sum = vf_add(sum, vf_head(m, e, zero));
            vf_store_head(x + i, m, e);
        }
        scale_f32(x, 1.0f / vf_sum(sum), n);
    }
}

#define LANES_VEC_ENTRIES                                                                                              \
    .layernorm_f32 = layernorm_f32, .rmsnorm_f32 = rmsnorm_f32, .softmax_f32 = softmax_f32, .act_f32 = act_f32,        \
    .add_f32 = add_f32, .mul_f32 = mul_f32, .axpy_f32 = axpy_f32, .scale_f32 = scale_f32, .rope_f32 = rope_f32

#endif
