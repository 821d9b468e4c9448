/* SPDX-License-Identifier: Apache-2.0
 * What the AVX-512 tables of 8-bit products share: the packed form, four codes along k of 16 columns side by side, and
 * the way from sums in i32 to a finished element. */
#ifndef ILKI_KERN_AVX512_I8_H
#define ILKI_KERN_AVX512_I8_H

#include <string.h>

#include "kern/x86/avx512_math.h"

enum { NR = 64, WIDE = 16, DEEP = 4 };

#include "kern/pack_i8.inc"

/* Sums and what they are part of: rows from i on and columns x to x + width of the panel of column j. */
typedef struct block {
    const ilki_gemm_i8 *g;
    panel_i8 p;
    const int32_t *sums; /* [rows][lds], 64-byte aligned */
    size_t lds, i, rows, j, x, width;
} block;

/* Below this an intermediate zero * sum of codes, and what is left of a sum without it, are integers that an f32 holds:
 * 255 * 127 * k < 2^24. */
enum { EXACT_K = 516 };

/* What 16 columns have in common. */
typedef struct columns {
    __m512i codes;
    __m512 codes_ps, scale, bias, e[ILKI_I8_EXACT];
    __mmask16 mask, kept; /* that exist; of those, what the next product keeps */
    size_t at;            /* of the output */
} columns;

INLINE columns get_columns(const block *b, const size_t n_exact, size_t x)
{
    const ilki_gemm_i8 *g = b->g;
    columns c = {.mask = g->j1 > b->j + x ? head_mask(g->j1 - b->j - x) : 0, .at = b->j + x};
    c.kept = c.mask;
    if (g->range && g->keep)
        c.kept = _mm512_mask_cmp_ps_mask(c.mask, _mm512_maskz_loadu_ps(c.mask, g->keep + c.at), _mm512_setzero_ps(),
                                         _CMP_NEQ_UQ);
    c.codes = _mm512_loadu_si512(b->p.sum + x);
    c.codes_ps = _mm512_cvtepi32_ps(c.codes);
    c.scale = _mm512_loadu_ps(b->p.scale + x);
    c.bias = g->bias ? _mm512_maskz_loadu_ps(c.mask, g->bias + c.at) : _mm512_setzero_ps();
    for (size_t y = 0; y < n_exact; y++)
        c.e[y] = _mm512_loadu_ps(b->p.exact + y * NR + x);
    return c;
}

/* The sum s of a row of codes without its zero and with its scales, as ops.h states. */
INLINE __m512 scale_sum(__m512i s, const columns *c, const ilki_i8_head *head, const bool small_k)
{
    const __m512i zero = _mm512_set1_epi32(head->zero);
    __m512 v;
    if (small_k)
        v = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(zero), c->codes_ps, _mm512_cvtepi32_ps(s));
    else
        v = _mm512_cvtepi32_ps(_mm512_sub_epi32(s, _mm512_mullo_epi32(zero, c->codes)));
    return _mm512_mul_ps(v, _mm512_mul_ps(_mm512_set1_ps(head->scale), c->scale));
}

INLINE __m512 end_columns(const ilki_gemm_i8 *g, const columns *c, size_t i, const ilki_act act, __m512 v)
{
    if (g->bias)
        v = _mm512_add_ps(v, c->bias);
    v = act == ILKI_ACT_GELU ? gelu_near_ps(v) : act_ps(v, act);
    if (g->residual)
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(c->mask, g->residual + i * g->ldr + c->at));
    _mm512_mask_storeu_ps(g->c + i * g->ldc + c->at, c->mask, v);
    return v;
}

/* v and w widen a row's range; NaN leaves it. */
INLINE void widen(float *range, __mmask16 of_v, __m512 v, __mmask16 of_w, __m512 w)
{
    __m512 lo = _mm512_loadu_ps(range), hi = _mm512_loadu_ps(range + ILKI_I8_LANES);
    lo = _mm512_mask_min_ps(lo, of_v, v, lo);
    hi = _mm512_mask_max_ps(hi, of_v, v, hi);
    _mm512_storeu_ps(range, _mm512_mask_min_ps(lo, of_w, w, lo));
    _mm512_storeu_ps(range + ILKI_I8_LANES, _mm512_mask_max_ps(hi, of_w, w, hi));
}

/* All rows of 32 columns: n_exact, act and small_k are constants where this is inlined. */
INLINE void finish_columns(const block *b, const size_t n_exact, const ilki_act act, const bool small_k, size_t x)
{
    const ilki_gemm_i8 *g = b->g;
    const columns low = get_columns(b, n_exact, x), high = get_columns(b, n_exact, x + 16);
    const int32_t *sums = b->sums + x - b->x;
    for (size_t r = 0; r < b->rows; r++) {
        const ilki_i8_head *head = (const void *)(g->a + (b->i + r) * g->lda);
        __m512 v = scale_sum(_mm512_load_si512(sums + r * b->lds), &low, head, small_k);
        __m512 w = scale_sum(_mm512_load_si512(sums + r * b->lds + 16), &high, head, small_k);
        for (size_t y = 0; y < n_exact; y++) {
            __m512 own = _mm512_set1_ps(head->exact[y]);
            v = _mm512_fmadd_ps(own, low.e[y], v);
            w = _mm512_fmadd_ps(own, high.e[y], w);
        }
        v = end_columns(g, &low, b->i + r, act, v);
        w = end_columns(g, &high, b->i + r, act, w);
        if (g->range)
            widen(g->range + (b->i + r) * 2 * ILKI_I8_LANES, low.kept, v, high.kept, w);
    }
}

#define FINISH(name, n_exact, act, small_k)                                                                            \
    static __attribute__((noinline)) void name(const block *b)                                                         \
    {                                                                                                                  \
        for (size_t x = b->x; x < b->x + b->width && b->j + x < b->g->j1; x += 32)                                     \
            finish_columns(b, n_exact, act, small_k, x);                                                               \
    }
FINISH(finish_none_0, 0, ILKI_ACT_NONE, false)
FINISH(finish_none_4, 4, ILKI_ACT_NONE, false)
FINISH(finish_none_8, 8, ILKI_ACT_NONE, false)
FINISH(finish_gelu_0, 0, ILKI_ACT_GELU, false)
FINISH(finish_gelu_4, 4, ILKI_ACT_GELU, false)
FINISH(finish_gelu_8, 8, ILKI_ACT_GELU, false)
FINISH(finish_none_4_small, 4, ILKI_ACT_NONE, true)
FINISH(finish_gelu_4_small, 4, ILKI_ACT_GELU, true)
FINISH(finish_other, b->g->n_exact, b->g->act, false)
#undef FINISH

typedef void finish_fn(const block *b);

INLINE finish_fn *finish_of(const ilki_gemm_i8 *g)
{
    const size_t n = g->n_exact;
    if (n == 4 && g->k <= EXACT_K && g->act == ILKI_ACT_NONE)
        return finish_none_4_small;
    if (n == 4 && g->k <= EXACT_K && g->act == ILKI_ACT_GELU)
        return finish_gelu_4_small;
    if (g->act == ILKI_ACT_NONE)
        return n == 0 ? finish_none_0 : n == 4 ? finish_none_4 : finish_none_8;
    if (g->act == ILKI_ACT_GELU)
        return n == 0 ? finish_gelu_0 : n == 4 ? finish_gelu_4 : finish_gelu_8;
    return finish_other;
}

#endif
