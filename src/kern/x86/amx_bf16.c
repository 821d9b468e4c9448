/* SPDX-License-Identifier: Apache-2.0
 * bf16 products on tiles, one product an element (amx_gemm.c needs six for f32): two tiles of rows by two of columns, 16
 * rows or fewer by four of columns, as amx_i8.c. Sums are f32; denormal operands and results count as 0. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_bf16.h"

enum { MR = 32, B_STRIDE = DEEP * NR * 2, STEP_BYTES = 16 * B_STRIDE };

INLINE void zero(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* sums [32][NR] of 32 columns */
INLINE void tile_32(float *sums, const unsigned char *a, size_t lda, const unsigned char *b, size_t k_bytes)
{
    zero();
    for (size_t p = 0; p < k_bytes; p += TILE_ROW_BYTES, b += STEP_BYTES) {
        _tile_loadd(6, b, B_STRIDE);
        _tile_loadd(4, a + p, lda);
        _tile_loadd(7, b + TILE_ROW_BYTES, B_STRIDE);
        _tile_loadd(5, a + TILE_ROWS * lda + p, lda);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums, NR * 4);
    _tile_stored(1, sums + 16, NR * 4);
    _tile_stored(2, sums + TILE_ROWS * NR, NR * 4);
    _tile_stored(3, sums + TILE_ROWS * NR + 16, NR * 4);
}

/* 16 rows or fewer, all columns of a panel */
INLINE void tile_16(float *sums, const unsigned char *a, size_t lda, const unsigned char *b, size_t k_bytes)
{
    zero();
    for (size_t p = 0; p < k_bytes; p += TILE_ROW_BYTES, b += STEP_BYTES) {
        _tile_loadd(4, a + p, lda);
        _tile_loadd(6, b, B_STRIDE);
        _tile_loadd(7, b + TILE_ROW_BYTES, B_STRIDE);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(6, b + 2 * TILE_ROW_BYTES, B_STRIDE);
        _tile_dpbf16ps(1, 4, 7);
        _tile_loadd(7, b + 3 * TILE_ROW_BYTES, B_STRIDE);
        _tile_dpbf16ps(2, 4, 6);
        _tile_dpbf16ps(3, 4, 7);
    }
    _tile_stored(0, sums, NR * 4);
    _tile_stored(1, sums + 16, NR * 4);
    _tile_stored(2, sums + 32, NR * 4);
    _tile_stored(3, sums + 48, NR * 4);
}

/* Rows from i on, at most 32 of them, of all panels. */
static void gemm_rows(const ilki_gemm_f32 *g, finish_fn *end, size_t i, size_t rows)
{
    float sums[MR * NR] __attribute__((aligned(64)));
    size_t lda = deep_k(g->k) * 2;
    unsigned char *a = (unsigned char *)g->scratch + i * lda;
    for (size_t r = 0; r < rows; r++)
        round_row((uint16_t *)(void *)(a + r * lda), g->a + (i + r) * g->lda, g->k);
    tiles_fence();
    for (size_t j = g->j0; j < g->j1; j += NR) {
        const unsigned char *b = (const unsigned char *)g->packed + j * lda;
        if (rows > TILE_ROWS) {
            tile_32(sums, a, lda, b, lda);
            tile_32(sums + 32, a, lda, b + 2 * TILE_ROW_BYTES, lda);
        } else {
            tile_16(sums, a, lda, b, lda);
        }
        end(g, sums, i, rows, j, g->j1 - j < NR ? g->j1 - j : NR);
    }
}

static void gemm_bf16(const ilki_gemm_f32 *g)
{
    finish_fn *end = pick_finish(g->act);
    size_t whole = g->m / MR * MR, rest = g->m - whole;
    if (whole)
        tiles_open(TILE_ROWS, TILE_ROWS);
    for (size_t i = 0; i < whole; i += MR)
        gemm_rows(g, end, i, MR);
    if (rest) {
        tiles_open(rest < TILE_ROWS ? rest : TILE_ROWS, rest > TILE_ROWS ? rest - TILE_ROWS : rest);
        gemm_rows(g, end, whole, rest);
    }
    if (g->m)
        tiles_close();
}

/* Products without loads: what the tiles could do at best. */
static uint64_t peak_bf16(uint64_t n_iterations)
{
    tiles_open(TILE_ROWS, TILE_ROWS);
    for (uint64_t i = 0; i < n_iterations; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    tiles_close();
    return n_iterations * 4 * TILE_ROWS * TILE_ROWS * STEP * 2;
}

const ilki_kern_ops ilki_kern_amx_bf16 = {
    .name = "amx",
    .gemm_bf16_nr = NR,
    .gemm_bf16_gflops = 500,
    .layout_bf16 = 1,
    .packed_bytes_bf16 = packed_bytes_bf16,
    .pack_bf16 = pack_bf16,
    .gemm_scratch_bf16 = gemm_scratch_bf16,
    .gemm_bf16 = gemm_bf16,
    .peak_bf16 = peak_bf16,
};
