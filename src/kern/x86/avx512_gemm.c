/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM over packed weights, AVX-512. A tile is 8 rows by 48 columns: 24 accumulators, 3 registers of weights, one
 * broadcast. Per step of k that is 24 multiply-adds (12 cycles on two ports) and 11 loads. Accumulators are named, not an
 * array: GCC 12 stores an array's every iteration. The loops are those of gemm_loops.h. */
#include "kern/x86/avx512_transpose.h"

enum {
    NR = 48,
    MR = 8,
    KC = 384,    /* steps of k between visits: a panel's cut is 72 KiB, of 2 MiB L2 */
    BLOCK = 128, /* rows in a block */
    GROUP = 2,   /* panels worked on together where k is cut; their sums take 48 KiB of stack */
    AHEAD = 8,   /* steps of k that a tile asks ahead from L2 */
};

static void pack_f32(float *packed, const float *w, size_t ldw, size_t n, size_t k)
{
    for (size_t j0 = 0; j0 < n; j0 += NR, packed += k * NR)
        for (size_t p = 0; p < k; p += 16)
            for (size_t j = j0; j < j0 + NR; j += 16)
                transpose16(packed + p * NR + (j - j0), NR, w + (j < n ? j * ldw + p : 0), ldw, j < n ? n - j : 0,
                            k - p < 16 ? k - p : 16);
}

/* One step of k for row i: three multiply-adds. `rows` is a constant where this is inlined. */
#define STEP(i, from)                                                                                                  \
    if (rows > i) {                                                                                                    \
        __m512 x = _mm512_set1_ps(from);                                                                               \
        c##i##0 = _mm512_fmadd_ps(x, b0, c##i##0);                                                                     \
        c##i##1 = _mm512_fmadd_ps(x, b1, c##i##1);                                                                     \
        c##i##2 = _mm512_fmadd_ps(x, b2, c##i##2);                                                                     \
    }
#define GET(i)                                                                                                         \
    __m512 c##i##0 = _mm512_setzero_ps(), c##i##1 = c##i##0, c##i##2 = c##i##0;                                        \
    if (rows > i && !first) {                                                                                          \
        c##i##0 = _mm512_load_ps(out + i * NR);                                                                        \
        c##i##1 = _mm512_load_ps(out + i * NR + 16);                                                                   \
        c##i##2 = _mm512_load_ps(out + i * NR + 32);                                                                   \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm512_store_ps(out + i * NR, c##i##0);                                                                        \
        _mm512_store_ps(out + i * NR + 16, c##i##1);                                                                   \
        _mm512_store_ps(out + i * NR + 32, c##i##2);                                                                   \
    }

/* out[rows][NR] (+)= a[rows][k] * panel, on top of what is there unless `first`. Asks for the current panel a few steps
 * ahead, and for two lines at `next` at each step of k, going next_step bytes on. */
INLINE void tile(const int rows, float *out, bool first, const float *a, size_t lda, const float *b, size_t k,
                 const char *next, size_t next_step)
{
    GET(0) GET(1) GET(2) GET(3) GET(4) GET(5) GET(6) GET(7) const float *a4 = rows > 4 ? a + 4 * lda : a;
    size_t lda3 = 3 * lda;
    for (size_t p = 0; p < k; p++) {
        __m512 b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16), b2 = _mm512_loadu_ps(b + 32);
        _mm_prefetch((const char *)(b + AHEAD * NR), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + AHEAD * NR + 16), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + AHEAD * NR + 32), _MM_HINT_T0);
        b += NR;
        if (rows > 4) { /* fewer are bound by memory, which the hardware's prefetch keeps busy by itself */
            _mm_prefetch(next, _MM_HINT_T1);
            _mm_prefetch(next + 64, _MM_HINT_T1);
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
    static __attribute__((noinline)) void tile##rows(float *out, bool first, const float *a, size_t lda,               \
                                                     const float *b, size_t k, const char *next, size_t next_step)     \
    {                                                                                                                  \
        tile(rows, out, first, a, lda, b, k, next, next_step);                                                         \
    }
TILE(1)
TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) TILE(7) TILE(8)

    typedef void tile_fn(float *, bool, const float *, size_t, const float *, size_t, const char *, size_t);
static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6, tile7, tile8};

/* Bias, activation and residual over a finished tile of rows x n columns at row i, column j. */
INLINE
void finish(const ilki_gemm_f32 *g, const ilki_act act, const float *t, size_t i, size_t rows, size_t j, size_t n)
{
    for (size_t x = 0; x < n; x += 16) {
        __mmask16 mask = head_mask(n - x);
        __m512 bias = g->bias ? _mm512_maskz_loadu_ps(mask, g->bias + j + x) : _mm512_setzero_ps();
        for (size_t r = 0; r < rows; r++) {
            __m512 v = act_ps(_mm512_add_ps(_mm512_load_ps(t + r * NR + x), bias), act);
            if (g->residual)
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, g->residual + (i + r) * g->ldr + j + x));
            _mm512_mask_storeu_ps(g->c + (i + r) * g->ldc + j + x, mask, v);
        }
    }
}

#include "kern/gemm_loops.h"

const ilki_kern_ops ilki_kern_avx512_gemm = {
    .name = "avx512",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .pack_f32 = pack_f32,
    .gemm_f32 = gemm_f32,
};
