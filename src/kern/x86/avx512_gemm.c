/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM over packed weights, AVX-512. A tile is 8 rows by 48 columns: 24 accumulators, 3 registers of weights, one
 * broadcast. Per step of k that is 24 multiply-adds (12 cycles on two ports) and 11 loads; four steps go between two
 * looks at the loop, since what counts and adds competes with the multiply-adds for their ports. Accumulators are named, not an
 * array: GCC 12 stores an array's every iteration. The loops are those of gemm_loops.inc. */
#include "kern/gemm_tile.h"
#include "kern/x86/avx512_math.h"
#include "kern/x86/avx512_transpose.h"

enum {
    NR = 48,
    MR = 8,
    KC = 384,    /* steps of k between visits: a panel's cut is 72 KiB, of 2 MiB L2 */
    BLOCK = 128, /* rows in a block */
    GROUP = 2,   /* panels worked on together where k is cut; their sums take 48 KiB of stack */
    UNROLL = 4,  /* steps of k in a turn of the loop */
    AHEAD = 8,   /* steps of k that a tile asks ahead where weights come from far memory */
    NEAR = 24,   /* at most so many bytes to ask for at a step: eight tiles or more share a panel */
    ENDS = 1,
};

static void pack_f32(void *to, const float *w, size_t ldw, size_t n, size_t k)
{
    float *packed = to;
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
#define TURN(o)                                                                                                        \
    do {                                                                                                               \
        __m512 b0 = _mm512_loadu_ps(b + (o)*NR), b1 = _mm512_loadu_ps(b + (o)*NR + 16);                                \
        __m512 b2 = _mm512_loadu_ps(b + (o)*NR + 32);                                                                  \
        STEP(0, a[o])                                                                                                  \
        STEP(1, a[lda + (o)])                                                                                          \
        STEP(2, a[2 * lda + (o)])                                                                                      \
        STEP(3, a[lda3 + (o)])                                                                                         \
        STEP(4, a4[o])                                                                                                 \
        STEP(5, a4[lda + (o)])                                                                                         \
        STEP(6, a4[2 * lda + (o)])                                                                                     \
        STEP(7, a4[lda3 + (o)])                                                                                        \
    } while (0)
#define GET(i)                                                                                                         \
    __m512 c##i##0 = _mm512_setzero_ps(), c##i##1 = c##i##0, c##i##2 = c##i##0;                                        \
    if (rows > i && !t->first) {                                                                                       \
        c##i##0 = _mm512_load_ps(t->sums + i * NR);                                                                    \
        c##i##1 = _mm512_load_ps(t->sums + i * NR + 16);                                                               \
        c##i##2 = _mm512_load_ps(t->sums + i * NR + 32);                                                               \
    }
#define PUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm512_store_ps(t->sums + i * NR, c##i##0);                                                                    \
        _mm512_store_ps(t->sums + i * NR + 16, c##i##1);                                                               \
        _mm512_store_ps(t->sums + i * NR + 32, c##i##2);                                                               \
    }
#define BIAS(i)                                                                                                        \
    c##i##0 = _mm512_add_ps(c##i##0, b0);                                                                              \
    c##i##1 = _mm512_add_ps(c##i##1, b1);                                                                              \
    c##i##2 = _mm512_add_ps(c##i##2, b2);
#define RESIDUAL(i)                                                                                                    \
    if (rows > i) {                                                                                                    \
        c##i##0 = _mm512_add_ps(c##i##0, _mm512_maskz_loadu_ps(m0, t->residual + i * t->ldr));                         \
        c##i##1 = _mm512_add_ps(c##i##1, _mm512_maskz_loadu_ps(m1, t->residual + i * t->ldr + 16));                    \
        c##i##2 = _mm512_add_ps(c##i##2, _mm512_maskz_loadu_ps(m2, t->residual + i * t->ldr + 32));                    \
    }
#define OUT(i)                                                                                                         \
    if (rows > i) {                                                                                                    \
        _mm512_mask_storeu_ps(t->c + i * t->ldc, m0, c##i##0);                                                         \
        _mm512_mask_storeu_ps(t->c + i * t->ldc + 16, m1, c##i##1);                                                    \
        _mm512_mask_storeu_ps(t->c + i * t->ldc + 32, m2, c##i##2);                                                    \
    }
#define EIGHT(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)

/* sums[rows][NR] (+)= a[rows][k] * panel, on top of what is there unless `first`; or the end of it. Where many tiles go
 * over a panel it is in L2, and the hardware's prefetch gets it from there: asking costs more than it gives. Where there
 * are few, a tile has much to ask for, in even steps. */
INLINE void tile(const int rows, const gemm_tile *t)
{
    EIGHT(GET)
    const size_t lda = t->lda, lda3 = 3 * lda, next_step = t->next_step;
    const float *a = t->a, *a4 = rows > 4 ? a + 4 * lda : a, *b = t->b, *end = a + t->k;
    const char *next = t->next;
    if (rows > 4 && next_step <= NEAR) {
        for (const float *turns = a + t->k / UNROLL * UNROLL; a != turns; a += UNROLL, a4 += UNROLL, b += UNROLL * NR) {
            _mm_prefetch(next, _MM_HINT_T1);
            _mm_prefetch(next + 64, _MM_HINT_T1);
            next += UNROLL * next_step;
            TURN(0);
            TURN(1);
            TURN(2);
            TURN(3);
        }
    }
    for (; a != end; a++, a4++, b += NR) {
        _mm_prefetch((const char *)(b + AHEAD * NR), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + AHEAD * NR + 16), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + AHEAD * NR + 32), _MM_HINT_T0);
        if (rows > 4) { /* fewer are bound by memory, which the hardware's prefetch keeps busy by itself */
            _mm_prefetch(next, _MM_HINT_T1);
            _mm_prefetch(next + 64, _MM_HINT_T1);
            next += next_step;
        }
        TURN(0);
    }
    if (!t->c) {
        EIGHT(PUT)
        return;
    }
    const size_t n = t->n;
    const __mmask16 m0 = head_mask(n), m1 = n > 16 ? head_mask(n - 16) : 0, m2 = n > 32 ? head_mask(n - 32) : 0;
    if (t->bias) {
        __m512 b0 = _mm512_maskz_loadu_ps(m0, t->bias), b1 = _mm512_maskz_loadu_ps(m1, t->bias + 16);
        __m512 b2 = _mm512_maskz_loadu_ps(m2, t->bias + 32);
        EIGHT(BIAS)
    }
    if (t->residual) {
        EIGHT(RESIDUAL)
    }
    EIGHT(OUT)
}

#define TILE(rows)                                                                                                     \
    static __attribute__((noinline)) void tile##rows(const gemm_tile *t)                                               \
    {                                                                                                                  \
        tile(rows, t);                                                                                                 \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)

typedef void tile_fn(const gemm_tile *);
static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6, tile7, tile8};

#include "kern/x86/avx512_finish.inc"

#include "kern/gemm_loops.inc"

const ilki_kern_ops ilki_kern_avx512_gemm = {
    .name = "avx512",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .gemm_f32_few = 8,
    .gemm_f32_gflops = 100,
    .layout_f32 = 1,
    .packed_bytes_f32 = packed_bytes_f32,
    .pack_f32 = pack_f32,
    .packed_at_f32 = packed_at_f32,
    .gemm_scratch_f32 = gemm_scratch_f32,
    .gemm_f32 = gemm_f32,
};
