/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM over the lanes of an ISA: a tile of MR (6 or 8) rows by VECS (2 or 3) registers, accumulators named because
 * GCC 12 stores those of an array every iteration. A kernel file defines MR, VECS, NR = VECS * LANES, KC, BLOCK, GROUP. */
#ifndef ILKI_KERN_LANES_GEMM_H
#define ILKI_KERN_LANES_GEMM_H

#include "kern/gemm_tile.h"
#include "kern/lanes_math.h"

static void pack_f32(float *packed, const float *w, size_t ldw, size_t n, size_t k)
{
    for (size_t j0 = 0; j0 < n; j0 += NR)
        for (size_t p = 0; p < k; p++)
            for (size_t j = j0; j < j0 + NR; j++)
                *packed++ = j < n ? w[j * ldw + p] : 0.0f;
}

#define GET(i)                                                                                                         \
    vf c##i##0 = vf_set1(0.0f), c##i##1 = c##i##0, c##i##2 = c##i##0;                                                  \
    if (rows > i && !first) {                                                                                          \
        c##i##0 = vf_load(out + i * NR);                                                                               \
        c##i##1 = vf_load(out + i * NR + LANES);                                                                       \
        if (VECS > 2)                                                                                                  \
            c##i##2 = vf_load(out + i * NR + 2 * LANES);                                                               \
    }
#define STEP(i, from)                                                                                                  \
    if (rows > i) {                                                                                                    \
        vf x = vf_set1(from);                                                                                          \
        c##i##0 = vf_fma(x, b0, c##i##0);                                                                              \
        c##i##1 = vf_fma(x, b1, c##i##1);                                                                              \
        if (VECS > 2)                                                                                                  \
            c##i##2 = vf_fma(x, b2, c##i##2);                                                                          \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        vf_store(out + i * NR, c##i##0);                                                                               \
        vf_store(out + i * NR + LANES, c##i##1);                                                                       \
        if (VECS > 2)                                                                                                  \
            vf_store(out + i * NR + 2 * LANES, c##i##2);                                                               \
    }

/* sums[rows][NR] (+)= a[rows][k] * panel, on top of what is there unless `first`. */
INLINE void tile(const int rows, const gemm_tile *t)
{
    float *out = t->sums;
    const bool first = t->first;
    const float *a = t->a, *b = t->b;
    const char *next = t->next;
    const size_t lda = t->lda, k = t->k, next_step = t->next_step;
    GET(0) GET(1) GET(2) GET(3) GET(4) GET(5) GET(6) GET(7) const float *a4 = rows > 4 ? a + 4 * lda : a;
    size_t lda3 = 3 * lda;
    for (size_t p = 0; p < k; p++) {
        vf b0 = vf_load(b), b1 = vf_load(b + LANES), b2 = VECS > 2 ? vf_load(b + (VECS - 1) * LANES) : b1;
        b += NR;
        if (rows > 2) {
            vf_prefetch(next);
            next += next_step;
        }
        STEP(0, a[0])
        STEP(1, a[lda])
        STEP(2, a[2 * lda])
        STEP(3, a[lda3])
        STEP(4, a4[0])
        STEP(5, a4[lda])
        STEP(6, a4[2 * lda])
        STEP(7, a4[lda3])
        a++;
        a4++;
    }
    PUT(0) PUT(1) PUT(2) PUT(3) PUT(4) PUT(5) PUT(6) PUT(7)
}

#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(const gemm_tile *t)                                               \
    {                                                                                                                  \
        tile(rows, t);                                                                                                 \
    }

/* Bias, activation and residual over a finished tile of rows x n columns at row i, column j. */
INLINE void finish(const ilki_gemm_f32 *g, const ilki_act act, const float *t, size_t i, size_t rows, size_t j,
                   size_t n)
{
    for (size_t x = 0; x < n; x += LANES) {
        vm m = vm_head(n - x);
        vf bias = g->bias ? vf_load_head(g->bias + j + x, m) : vf_set1(0.0f);
        for (size_t r = 0; r < rows; r++) {
            vf v = vf_act(vf_add(vf_load(t + r * NR + x), bias), act);
            if (g->residual)
                v = vf_add(v, vf_load_head(g->residual + (i + r) * g->ldr + j + x, m));
            vf_store_head(g->c + (i + r) * g->ldc + j + x, m, v);
        }
    }
}

typedef void tile_fn(const gemm_tile *);

#endif
