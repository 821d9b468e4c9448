/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits on tiles, unsigned by signed. Two tiles of rows by two of columns share four loads for four products
 * of 16 cycles each; 16 rows or fewer go by four tiles of columns. The packed form is AVX-512 VNNI's: 16 of
 * its groups are a tile of weights of 1 KiB in one piece. What is behind a sum (scales, exact channels,
 * activation) takes about as long as the tiles with 384 steps of k, and follows them: interleaved with the next block's
 * products, and with its weights asked for ahead, both were slower. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_i8.h"

enum { MR = 32 };

/* sums [32][NR / 2] of half a panel, whose codes begin at b */
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
    _tile_stored(0, sums, NR / 2 * 4);
    _tile_stored(1, sums + 16, NR / 2 * 4);
    _tile_stored(2, sums + TILE_ROWS * NR / 2, NR / 2 * 4);
    _tile_stored(3, sums + TILE_ROWS * NR / 2 + 16, NR / 2 * 4);
}

/* 16 rows or fewer, sums [16][NR] of a panel; tiles 2 and 3 are configured for as many rows as 0 and 1 */
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

/* Rows from i on, at most 32 of them, of all panels. A block is finished right behind its tiles: what the first level of
 * cache then holds is 32 rows of codes, half a panel and the sums. */
static void gemm_rows(const ilki_gemm_i8 *g, finish_fn *finish, size_t i, size_t rows)
{
    int32_t sums[MR * NR / 2] __attribute__((aligned(64)));
    const unsigned char *a = g->a + i * g->lda + sizeof(ilki_i8_head);
    const size_t k = deep_k(g->k), width = rows > TILE_ROWS ? NR / 2 : NR;
    for (size_t j = g->j0; j < g->j1; j += NR) {
        block b = {.g = g,
                   .p = panel_at(g->packed, g->k, g->n_exact, j),
                   .sums = sums,
                   .lds = width,
                   .i = i,
                   .rows = rows,
                   .j = j};
        for (b.x = 0, b.width = width; b.x < NR && j + b.x < g->j1; b.x += width) {
            if (width == NR)
                tile_16(sums, a, g->lda, b.p.codes, k);
            else
                tile_32(sums, a, g->lda, b.p.codes + b.x * k, k);
            tiles_fence();
            finish(&b);
        }
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
