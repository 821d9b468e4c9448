/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM on matrix tiles. Every f32 is split into three bf16, x = x1 + x2 + x3 exactly (rounded to nearest, 8 bits
 * each), and a product is the sum of six: x1 y3 + x1 y2 + x2 y2 + x2 y1 + x3 y1 + x1 y1, the largest last. What is left
 * out is at most 2^-24 |x y|; docs/NUMERICS.md derives the bound.
 *
 * Weights are packed as f32, since three pieces would take half as much memory and time of reading again, and split on
 * the way: a cut of 64 k ahead of the tiles, whose products leave the vector ports idle, into a ring that stays in L1.
 * Stores must be well ahead of the tile loads that read them, which nothing forwards to. Rows are split once a call, up
 * to BLOCK_MOST at a time. A step works on 2 x 2 tiles of sums and costs 24 products of 16 cycles; the planes are loaded
 * in an order that changes one operand at a time.
 *
 * Order of reduction of an element, whatever m, n and the position are: steps of 32 k; in a step the six products as
 * above; in a product the hardware adds k = 0 to 15 and k = 16 to 31 each as one chain, then both, then the sum so far. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_math.h"
#include "kern/x86/avx512_transpose.h"

enum {
    NR = 32,
    MR = 32,
    STEP = 32,                            /* k of a tile */
    PLANES = 3,                           /* of bf16 */
    STEP_BYTES = PLANES * 2 * TILE_BYTES, /* a step of 32 rows or columns, all planes */
    BLOCK_BYTES = 1280 * 1024,            /* of planes of a block of rows, of 2 MiB of L2 */
    BLOCK_MOST = 256,
    AHEAD = 384, /* floats of weights that are asked for before they are split: 1.5 quarters */
    CUT = 2,     /* steps between visits of the sums; two cuts of weights' planes, 24 KiB, stay in L1 */
};

static size_t n_steps(size_t k)
{
    return k ? (k + STEP - 1) / STEP : 1;
}

/* Rows that are split together: a multiple of MR. */
static size_t block_rows(size_t k)
{
    size_t n = BLOCK_BYTES / (STEP_BYTES * (n_steps(k) + 1));
    return n < 1 ? MR : n > BLOCK_MOST / MR ? BLOCK_MOST : n * MR;
}

static size_t planes_bytes(size_t m, size_t k)
{
    size_t rows = block_rows(k);
    rows = m < rows ? (m + MR - 1) / MR * MR : rows;
    return rows / MR * n_steps(k) * STEP_BYTES;
}

#include "kern/x86/avx512_finish.inc"

#include "kern/gemm_finish.inc"

/* A panel is steps of 16 x 2 rows of NR: rows r and r + 16 of a step side by side, since they are split together. What is
 * missing of the last step or panel is zeros. */
static size_t packed_bytes_f32(size_t n, size_t k)
{
    return (n + NR - 1) / NR * (n_steps(k) * STEP) * (NR * sizeof(float));
}

static float packed_at_f32(const void *packed, size_t k, size_t j, size_t p)
{
    const float *step = (const float *)packed + (j / NR * n_steps(k) + p / STEP) * STEP * NR;
    return step[(p % 16 * 2 + p / 16 % 2) * NR + j % NR];
}

static void pack_f32(void *to, const float *w, size_t ldw, size_t n, size_t k)
{
    float *packed = to;
    size_t panel = n_steps(k) * STEP * NR, tail = k % STEP || k == 0 ? STEP * NR : 0;
    for (size_t j0 = 0; j0 < n; j0 += NR, packed += panel) {
        memset(packed + panel - tail, 0, tail * sizeof *packed);
        for (size_t p = 0; p < k; p += 16)
            for (size_t j = j0; j < j0 + NR; j += 16)
                transpose16(packed + p / STEP * STEP * NR + p / 16 % 2 * NR + (j - j0), 2 * NR,
                            w + (j < n ? j * ldw + p : 0), ldw, j < n ? n - j : 0, k - p < 16 ? k - p : 16);
    }
}

/* ---- splitting */

/* 16 pairs (even[i], odd[i]) rounded to bf16, as 64 bytes; what the rounding left stays in them. In integers: a carry out
 * of the 8 bits goes to the exponent. A tie goes away from 0, which is half a unit like any other way. */
INLINE __m512i take_bf16(__m512 *even, __m512 *odd)
{
    const __m512i half = _mm512_set1_epi32(0x8000), high = _mm512_set1_epi32(-65536);
    __m512i e = _mm512_add_epi32(_mm512_castps_si512(*even), half);
    __m512i o = _mm512_add_epi32(_mm512_castps_si512(*odd), half);
    *even = _mm512_sub_ps(*even, _mm512_castsi512_ps(_mm512_and_si512(e, high)));
    *odd = _mm512_sub_ps(*odd, _mm512_castsi512_ps(_mm512_and_si512(o, high)));
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(e, 16), o);
}

/* A row of a tile in each plane. The last piece needs no rounding: it has 7 bits. */
INLINE void split(unsigned char *to, __m512 even, __m512 odd)
{
    _mm512_store_si512(to, take_bf16(&even, &odd));
    _mm512_store_si512(to + 2 * TILE_BYTES, take_bf16(&even, &odd));
    _mm512_store_si512(to + 4 * TILE_BYTES,
                       _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(_mm512_castps_si512(even), 16),
                                               _mm512_castps_si512(odd)));
}

/* Some rows of a step of which k are left. Step by step the planes are written in order, which is 1.5 times as fast as row by
 * row. */
INLINE void split_step(unsigned char *to, const float *a, size_t lda, size_t rows, size_t k)
{
    if (k >= STEP)
        for (size_t i = 0; i < rows; i++, a += lda, to += TILE_ROW_BYTES)
            split(to, _mm512_loadu_ps(a), _mm512_loadu_ps(a + 16));
    else
        for (size_t i = 0; i < rows; i++, a += lda, to += TILE_ROW_BYTES)
            split(to, _mm512_maskz_loadu_ps(head_mask(k), a),
                  _mm512_maskz_loadu_ps(k > 16 ? head_mask(k - 16) : 0, a + 16));
}

/* Rows of A: [32 rows][step][plane][16 rows][64 bytes], two tiles of 16 rows in a plane. */
static void split_rows(unsigned char *planes, const float *a, size_t lda, size_t m, size_t k)
{
    for (size_t i = 0; i < m; i += MR)
        for (size_t p = 0, rows = m - i < MR ? m - i : MR; p < n_steps(k) * STEP; p += STEP, planes += STEP_BYTES)
            split_step(planes, a + i * lda + p, lda, rows, k - p);
}

/* ---- products */

#define LOAD_A(plane)                                                                                                  \
    do {                                                                                                               \
        _tile_loadd(4, a + (plane)*2 * TILE_BYTES, TILE_ROW_BYTES);                                                    \
        if (two)                                                                                                       \
            _tile_loadd(5, a + ((plane)*2 + 1) * TILE_BYTES, TILE_ROW_BYTES);                                          \
    } while (0)
#define LOAD_B(plane)                                                                                                  \
    do {                                                                                                               \
        _tile_loadd(6, b + (plane)*2 * TILE_BYTES, TILE_ROW_BYTES);                                                    \
        _tile_loadd(7, b + ((plane)*2 + 1) * TILE_BYTES, TILE_ROW_BYTES);                                              \
    } while (0)
#define PRODUCTS()                                                                                                     \
    do {                                                                                                               \
        _tile_dpbf16ps(0, 4, 6);                                                                                       \
        _tile_dpbf16ps(1, 4, 7);                                                                                       \
        if (two) {                                                                                                     \
            _tile_dpbf16ps(2, 5, 6);                                                                                   \
            _tile_dpbf16ps(3, 5, 7);                                                                                   \
        }                                                                                                              \
    } while (0)

/* The weights of the call in the order of their use, split a cut of k ahead into a ring that stays in L1. */
typedef struct stream {
    const float *from; /* the quarter of a step that comes next */
    size_t todo;       /* quarters */
    unsigned char *to; /* in the ring, for that step */
    size_t quarter;    /* of that step */
} stream;

/* The next four rows of the tiles of a step. */
INLINE void split_quarter(stream *w)
{
    const float *from = w->from;
    unsigned char *to = w->to + w->quarter * 4 * TILE_ROW_BYTES;
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) {
        const float *even = from + i / 2 * 2 * NR + i % 2 * 16;
        _mm_prefetch((const char *)(from + AHEAD + i * 32), _MM_HINT_T0);
        _mm_prefetch((const char *)(from + AHEAD + i * 32 + 16), _MM_HINT_T0);
        split(to + i % 2 * TILE_BYTES + i / 2 * TILE_ROW_BYTES, _mm512_loadu_ps(even), _mm512_loadu_ps(even + NR));
    }
    w->from += STEP * NR / 4;
    w->todo--;
    w->quarter = (w->quarter + 1) % 4;
    if (w->quarter == 0)
        w->to += STEP_BYTES;
}

/* One step: the six products, and between them the splitting of some quarters of a later step. */
INLINE void step(const unsigned char *a, const unsigned char *b, const bool two, stream *w, size_t quarters)
{
    LOAD_A(0);
    LOAD_B(2);
    PRODUCTS();
    if (quarters > 0)
        split_quarter(w);
    LOAD_B(1);
    PRODUCTS();
    if (quarters > 1)
        split_quarter(w);
    LOAD_A(1);
    PRODUCTS();
    if (quarters > 2)
        split_quarter(w);
    LOAD_B(0);
    PRODUCTS();
    for (size_t i = 3; i < quarters; i++)
        split_quarter(w);
    LOAD_A(2);
    PRODUCTS();
    LOAD_A(0);
    PRODUCTS();
    tiles_fence();
}

/* Up to 32 rows by a panel for a cut of k. */
typedef struct cut {
    const unsigned char *a, *b; /* planes of the rows and of the panel, at the cut */
    float *sums;                /* [32][NR] */
    size_t n;                   /* steps */
    bool begins;                /* sums are 0 so far */
    size_t quarters;            /* to be split in the whole cut */
} cut;

INLINE void products(const cut *x, stream *w, const bool two)
{
    const unsigned char *a = x->a, *b = x->b;
    enum { LD = NR * sizeof(float) };
    if (x->begins) {
        _tile_zero(0);
        _tile_zero(1);
        if (two) {
            _tile_zero(2);
            _tile_zero(3);
        }
    } else {
        _tile_loadd(0, x->sums, LD);
        _tile_loadd(1, x->sums + 16, LD);
        if (two) {
            _tile_loadd(2, x->sums + 16 * NR, LD);
            _tile_loadd(3, x->sums + 16 * NR + 16, LD);
        }
    }
    for (size_t s = x->n, todo = x->quarters; s > 0; s--, a += STEP_BYTES, b += STEP_BYTES) {
        size_t quarters = (todo + s - 1) / s;
        todo -= quarters;
        step(a, b, two, w, quarters);
    }
    _tile_stored(0, x->sums, LD);
    _tile_stored(1, x->sums + 16, LD);
    if (two) {
        _tile_stored(2, x->sums + 16 * NR, LD);
        _tile_stored(3, x->sums + 16 * NR + 16, LD);
    }
    tiles_fence();
}

static __attribute__((noinline)) void products_16(const cut *x, stream *w)
{
    products(x, w, false);
}

static __attribute__((noinline)) void products_32(const cut *x, stream *w)
{
    products(x, w, true);
}

/* Steps of cut c of n: as even as they can be. */
INLINE size_t cut_steps(size_t steps, size_t c, size_t n)
{
    return steps * (c + 1) / n - steps * c / n;
}

/* m rows from i0 by all panels of the call: panels, cuts of k, groups of 32 rows. */
static void gemm_block(const ilki_gemm_f32 *g, unsigned char *planes, unsigned char *ring, size_t i0, size_t m)
{
    finish_fn *const end = pick_finish(g->act);
    float sums[BLOCK_MOST * NR] __attribute__((aligned(64)));
    const size_t steps = n_steps(g->k), cuts = (steps + CUT - 1) / CUT, groups = (m + MR - 1) / MR;
    stream w = {.from = (const float *)g->packed + g->j0 * steps * STEP, .to = ring};
    w.todo = (g->j1 - g->j0 + NR - 1) / NR * steps * 4;
    split_rows(planes, g->a + i0 * g->lda, g->lda, m, g->k);
    for (size_t q = 0; q < 4 * cut_steps(steps, 0, cuts); q++)
        split_quarter(&w);
    size_t opened = 0, half = 0;
    for (size_t j = g->j0; j < g->j1; j += NR)
        for (size_t c = 0, s = 0; c < cuts; c++) {
            cut x = {.n = cut_steps(steps, c, cuts), .b = ring + half * CUT * STEP_BYTES, .begins = c == 0};
            size_t quarters = w.todo ? 4 * cut_steps(steps, c + 1 < cuts ? c + 1 : 0, cuts) : 0;
            half = 1 - half;
            w.to = ring + half * CUT * STEP_BYTES;
            for (size_t i = 0; i < groups; i++) {
                size_t rows = m - i * MR < MR ? m - i * MR : MR;
                x.a = planes + (i * steps + s) * STEP_BYTES;
                x.sums = sums + i * MR * NR;
                x.quarters = quarters * (i + 1) / groups - quarters * i / groups;
                if (rows != opened)
                    tiles_open(rows < 16 ? rows : 16, rows > 16 ? rows - 16 : 0);
                opened = rows;
                if (rows > 16)
                    products_32(&x, &w);
                else
                    products_16(&x, &w);
                if (c + 1 == cuts)
                    end(g, x.sums, i0 + i * MR, rows, j, g->j1 - j < NR ? g->j1 - j : NR);
            }
            s += x.n;
        }
}

static void gemm_f32(const ilki_gemm_f32 *g)
{
    size_t most = block_rows(g->k), n = (g->m + most - 1) / most;
    unsigned char *planes = g->scratch, *ring = planes + planes_bytes(g->m, g->k);
    if (g->m == 0 || g->j0 >= g->j1)
        return;
    size_t even = ((g->m + n - 1) / n + MR - 1) / MR * MR; /* blocks of about one size */
    for (size_t i = 0; i < g->m; i += even)
        gemm_block(g, planes, ring, i, g->m - i < even ? g->m - i : even);
    tiles_close();
}

static size_t gemm_scratch_f32(size_t m, size_t k)
{
    return planes_bytes(m, k) + 2 * CUT * STEP_BYTES;
}

/* Steps without loads and splitting: what the tiles could do at best. */
static uint64_t peak_tiles_f32(uint64_t n_iterations)
{
    const bool two = true;
    tiles_open(16, 16);
    for (uint64_t i = 0; i < n_iterations; i++) {
        PRODUCTS();
        PRODUCTS();
        PRODUCTS();
        PRODUCTS();
        PRODUCTS();
        PRODUCTS();
    }
    tiles_close();
    return n_iterations * 2 * MR * NR * STEP;
}

const ilki_kern_ops ilki_kern_amx_gemm = {
    .name = "amx",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .gemm_f32_flushes = true,
    .gemm_f32_few = 48,
    .gemm_f32_gflops = 200,
    .layout_f32 = 1,
    .packed_bytes_f32 = packed_bytes_f32,
    .pack_f32 = pack_f32,
    .packed_at_f32 = packed_at_f32,
    .gemm_scratch_f32 = gemm_scratch_f32,
    .gemm_f32 = gemm_f32,
    .peak_tiles_f32 = peak_tiles_f32,
};
