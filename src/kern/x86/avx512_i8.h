/* SPDX-License-Identifier: Apache-2.0
 * What the AVX-512 tables of 8-bit products share: the packed form, four codes along k of 16 columns side by side, and
 * the way from sums in i32 to a finished element. */
#ifndef ILKI_KERN_AVX512_I8_H
#define ILKI_KERN_AVX512_I8_H

#include <string.h>

#include "kern/x86/avx512_math.h"

enum { NR = 64, WIDE = 16, DEEP = 4 };

#include "kern/pack_i8.inc"

/* One element of 16 columns each: n_exact and act are constants where this is inlined. */
INLINE void finish_columns(const ilki_gemm_i8 *g, const size_t n_exact, const ilki_act act, const panel_i8 *p,
                           const int32_t *sums, size_t i, size_t rows, size_t j, size_t x)
{
    const __mmask16 mask = head_mask(g->j1 - j - x);
    const __m512i codes = _mm512_loadu_si512(p->sum + x);
    const __m512 scale = _mm512_loadu_ps(p->scale + x);
    const __m512 bias = g->bias ? _mm512_maskz_loadu_ps(mask, g->bias + j + x) : _mm512_setzero_ps();
    __m512 e[ILKI_I8_EXACT];
    for (size_t y = 0; y < n_exact; y++)
        e[y] = _mm512_loadu_ps(p->exact + y * NR + x);
    for (size_t r = 0; r < rows; r++) {
        const ilki_i8_head *head = (const void *)(g->a + (i + r) * g->lda);
        __m512i s = _mm512_sub_epi32(_mm512_load_si512(sums + r * NR + x),
                                     _mm512_mullo_epi32(_mm512_set1_epi32(head->zero), codes));
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(_mm512_set1_ps(head->scale), scale));
        for (size_t y = 0; y < n_exact; y++)
            v = _mm512_fmadd_ps(_mm512_set1_ps(head->exact[y]), e[y], v);
        if (g->bias)
            v = _mm512_add_ps(v, bias);
        v = act_ps(v, act);
        if (g->residual)
            v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, g->residual + (i + r) * g->ldr + j + x));
        _mm512_mask_storeu_ps(g->c + (i + r) * g->ldc + j + x, mask, v);
    }
}

/* sums [rows][NR] of rows from i and the panel of column j, of which columns `from` to `to` are there. */
#define FINISH(name, n_exact, act)                                                                                     \
    static void name(const ilki_gemm_i8 *g, const panel_i8 *p, const int32_t *sums, size_t i, size_t rows, size_t j)   \
    {                                                                                                                  \
        for (size_t x = 0; x < NR && j + x < g->j1; x += 16)                                                           \
            finish_columns(g, n_exact, act, p, sums, i, rows, j, x);                                                   \
    }
FINISH(finish_none_0, 0, ILKI_ACT_NONE)
FINISH(finish_none_4, 4, ILKI_ACT_NONE)
FINISH(finish_none_8, 8, ILKI_ACT_NONE)
FINISH(finish_gelu_0, 0, ILKI_ACT_GELU)
FINISH(finish_gelu_4, 4, ILKI_ACT_GELU)
FINISH(finish_gelu_8, 8, ILKI_ACT_GELU)
FINISH(finish_other, g->n_exact, g->act)
#undef FINISH

typedef void finish_fn(const ilki_gemm_i8 *, const panel_i8 *, const int32_t *, size_t, size_t, size_t);

INLINE finish_fn *finish_of(const ilki_gemm_i8 *g)
{
    size_t n = g->n_exact;
    if (g->act == ILKI_ACT_NONE)
        return n == 0 ? finish_none_0 : n == 4 ? finish_none_4 : finish_none_8;
    if (g->act == ILKI_ACT_GELU)
        return n == 0 ? finish_gelu_0 : n == 4 ? finish_gelu_4 : finish_gelu_8;
    return finish_other;
}

#endif
