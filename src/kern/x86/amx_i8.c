/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits on tiles, unsigned by signed. Two tiles of rows by two of columns share four loads for four products
 * of 16 cycles each; 16 rows or fewer go by four tiles of columns. The packed form is AVX-512 VNNI's: 16 of
 * its groups are a tile of weights of 1 KiB in one piece. What is behind a sum (scales, exact channels, activation) costs the
 * vector ports more than the tiles take for 384 steps of k. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_i8.h"

enum { MR = 32 };

/* sums [32][NR] of columns x to x + 31 */
INLINE void tile_32(int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    const unsigned char *a1 = a + TILE_ROWS * lda;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t p = 0; p < k; p += TILE_ROW_BYTES, b += TILE_BYTES) {
        _tile_loadd(6, b, TILE_ROW_BYTES);
        _tile_loadd(4, a + p, lda);
        _tile_loadd(7, b + 16 * k, TILE_ROW_BYTES);
        _tile_loadd(5, a1 + p, lda);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_stored(0, sums, NR * 4);
    _tile_stored(1, sums + 16, NR * 4);
    _tile_stored(2, sums + TILE_ROWS * NR, NR * 4);
    _tile_stored(3, sums + TILE_ROWS * NR + 16, NR * 4);
}

/* 16 rows or fewer, all columns of a panel; tile 2 and 3 are configured for as many rows as 0 and 1 */
INLINE void tile_16(int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t p = 0; p < k; p += TILE_ROW_BYTES, b += TILE_BYTES) {
        _tile_loadd(4, a + p, lda);
        _tile_loadd(6, b, TILE_ROW_BYTES);
        _tile_loadd(7, b + 16 * k, TILE_ROW_BYTES);
        _tile_dpbusd(0, 4, 6);
        _tile_loadd(6, b + 32 * k, TILE_ROW_BYTES);
        _tile_dpbusd(1, 4, 7);
        _tile_loadd(7, b + 48 * k, TILE_ROW_BYTES);
        _tile_dpbusd(2, 4, 6);
        _tile_dpbusd(3, 4, 7);
    }
    _tile_stored(0, sums, NR * 4);
    _tile_stored(1, sums + 16, NR * 4);
    _tile_stored(2, sums + 32, NR * 4);
    _tile_stored(3, sums + 48, NR * 4);
}

/* Rows from i on, at most 32 of them, of all panels. */
static void gemm_rows(const ilki_gemm_i8 *g, finish_fn *finish, size_t i, size_t rows)
{
    int32_t sums[MR * NR] __attribute__((aligned(64)));
    const unsigned char *a = g->a + i * g->lda + sizeof(ilki_i8_head);
    for (size_t j = g->j0; j < g->j1; j += NR) {
        panel_i8 p = panel_at(g->packed, g->k, g->n_exact, j);
        if (rows > TILE_ROWS) {
            tile_32(sums, a, g->lda, p.codes, deep_k(g->k));
            tile_32(sums + 32, a, g->lda, p.codes + 32 * deep_k(g->k), deep_k(g->k));
        } else {
            tile_16(sums, a, g->lda, p.codes, deep_k(g->k));
        }
        finish(g, &p, sums, i, rows, j);
    }
}

static void gemm_i8(const ilki_gemm_i8 *g)
{
    finish_fn *finish = finish_of(g);
    size_t whole = g->m / MR * MR, rest = g->m - whole;
    tiles_fence(); /* the codes of the rows are written just before */
    if (whole)
        tiles_open(TILE_ROWS, TILE_ROWS);
    for (size_t i = 0; i < whole; i += MR)
        gemm_rows(g, finish, i, MR);
    if (rest) {
        tiles_open(rest < TILE_ROWS ? rest : TILE_ROWS, rest > TILE_ROWS ? rest - TILE_ROWS : rest);
        gemm_rows(g, finish, whole, rest);
    }
    if (g->m)
        tiles_close();
}

/* Products without loads: what the tiles could do at best. */
static uint64_t peak_i8(uint64_t n_iterations)
{
    tiles_open(TILE_ROWS, TILE_ROWS);
    for (uint64_t i = 0; i < n_iterations; i++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    tiles_close();
    return n_iterations * 4 * TILE_ROWS * TILE_ROWS * TILE_ROW_BYTES * 2;
}

const ilki_kern_ops ilki_kern_amx_i8 = {
    .name = "amx",
    PACK_I8_ENTRIES,
    .gemm_i8_mr = MR,
    .gemm_i8_gflops = 1000,
    .gemm_i8 = gemm_i8,
    .peak_i8 = peak_i8,
};
