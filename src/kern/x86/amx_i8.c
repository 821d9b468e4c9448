/* SPDX-License-Identifier: Apache-2.0
 * Products of 8 bits on tiles, unsigned by signed. Two tiles of rows by two of columns share four loads for four products
 * of 16 cycles each; 16 rows or fewer go by four tiles of columns. The packed form is AVX-512 VNNI's: 16 of
 * its groups are a tile of weights of 1 KiB in one piece.
 *
 * A product whose weights the second level of cache holds goes by 32 rows, over all columns. One with more goes by
 * panels, each for many rows: half a panel stays in the first level, where k is too long for that in parts, between
 * which the sums wait. Then the next half panel comes from far, and so do the lines that a block goes to: too many
 * streams for the CPU to foresee. Both are asked for beside the tiles of a block before.
 *
 * What is behind a sum (scales, exact channels, activation) takes about as long as the tiles with 384 steps of k and
 * follows them. Beside the tiles of the next block it was no faster: while tiles are multiplied, vectors of 512 bits
 * get one port of two. */
#include "kern/x86/amx_tile.h"
#include "kern/x86/avx512_i8.h"

enum {
    MR = 32,
    MOST_ROWS = 256,          /* that go through a panel together */
    NEAR_CODES = 512 << 10,   /* bytes of rows that the second level of cache keeps beside all else, */
    NEAR_WEIGHTS = 512 << 10, /* and of weights; of twice as many where */
    SHORT_K = 512,            /* the first one holds half a panel and 32 rows */
    LONG_K = 1024,            /* longer ones go by parts whatever there is of them */
    WHOLE_K = 768,            /* steps of k of half a panel that the first level holds beside all else, */
    PART_K = 512,             /* and of one that is taken in parts */
    BLOCK_SUMS = MR * NR / 2
};

/* What the tiles of a block ask for beside their steps of k. */
typedef struct ahead {
    const char *weights;             /* the lines of the next half panel, */
    const char *out;                 /* and of the block's rows of 32 outputs, ld_out bytes apart */
    size_t n_weights, n_out, ld_out; /* how many lines and rows with each step */
} ahead;

INLINE void ask(ahead *f)
{
    for (size_t x = 0; x < f->n_weights; x++, f->weights += 64)
        _mm_prefetch(f->weights, _MM_HINT_T1);
    for (size_t x = 0; x < f->n_out; x++, f->out += f->ld_out) {
        _mm_prefetch(f->out, _MM_HINT_T1);
        _mm_prefetch(f->out + 64, _MM_HINT_T1);
    }
}

INLINE void steps_32(const unsigned char *a, size_t lda, const int8_t *b, size_t k, size_t n, ahead *f)
{
    const unsigned char *a1 = a + TILE_ROWS * lda;
    for (size_t p = 0; p < n; p += TILE_ROW_BYTES, b += TILE_BYTES) {
        _tile_loadd(6, b, TILE_ROW_BYTES);
        _tile_loadd(4, a + p, lda);
        _tile_loadd(7, b + 16 * k, TILE_ROW_BYTES);
        _tile_loadd(5, a1 + p, lda);
        if (f)
            ask(f);
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
}

INLINE void zero_sums(void)
{
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

INLINE void load_32(const int32_t *sums)
{
    _tile_loadd(0, sums, NR / 2 * 4);
    _tile_loadd(1, sums + 16, NR / 2 * 4);
    _tile_loadd(2, sums + TILE_ROWS * NR / 2, NR / 2 * 4);
    _tile_loadd(3, sums + TILE_ROWS * NR / 2 + 16, NR / 2 * 4);
}

INLINE void store_32(int32_t *sums)
{
    _tile_stored(0, sums, NR / 2 * 4);
    _tile_stored(1, sums + 16, NR / 2 * 4);
    _tile_stored(2, sums + TILE_ROWS * NR / 2, NR / 2 * 4);
    _tile_stored(3, sums + TILE_ROWS * NR / 2 + 16, NR / 2 * 4);
}

/* 16 rows or fewer, sums [16][NR] of a panel; tiles 2 and 3 are configured for as many rows as 0 and 1 */
INLINE void tile_16(int32_t *sums, const unsigned char *a, size_t lda, const int8_t *b, size_t k)
{
    zero_sums();
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
static void gemm_near(const ilki_gemm_i8 *g, finish_fn *finish, size_t i, size_t rows)
{
    int32_t sums[BLOCK_SUMS] __attribute__((aligned(64)));
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
            if (width == NR) {
                tile_16(sums, a, g->lda, b.p.codes, k);
            } else {
                zero_sums();
                steps_32(a, g->lda, b.p.codes + b.x * k, k, k, NULL);
                store_32(sums);
            }
            tiles_fence();
            finish(&b);
        }
    }
}

/* Where a block of 32 rows by half a panel begins: row `at` of those that go through the panel together, whose sums wait in
 * `sums`. It ends where the rows end: the last block may have rows of the one before, which were finished with that. */
typedef struct place {
    size_t at, fresh; /* rows that are its own, the last ones */
    int32_t *sums;
} place;

INLINE place place_of(size_t block_, size_t n_rows, int32_t *sums)
{
    const size_t at = block_ * MR, left = n_rows - at;
    return left < MR ? (place){n_rows - MR, left, sums + block_ * BLOCK_SUMS}
                     : (place){at, MR, sums + block_ * BLOCK_SUMS};
}

/* Half a panel, b->x, for the n_rows rows from i on, 32 or more. */
static void half_panel(block *b, finish_fn *finish, int32_t *sums, size_t i, size_t n_rows)
{
    const ilki_gemm_i8 *g = b->g;
    const size_t k = deep_k(g->k), n_parts = k <= WHOLE_K ? 1 : (k + PART_K - 1) / PART_K;
    const size_t part = (k / n_parts + TILE_ROW_BYTES - 1) / TILE_ROW_BYTES * TILE_ROW_BYTES;
    const size_t n_blocks = (n_rows + MR - 1) / MR;
    const int8_t *codes = b->p.codes + b->x * k;
    ahead f = {.weights = (const char *)codes + MR * k, .ld_out = g->ldc * sizeof *g->c};
    f.n_weights = (MR + n_blocks - 1) / n_blocks;
    for (size_t p = 0; p < k; p += part) {
        const size_t n = k - p < part ? k - p : part, steps = n / TILE_ROW_BYTES;
        const bool last = p + n == k;
        f.n_out = last ? (MR + steps - 1) / steps : 0;
        for (size_t y = 0; y < n_blocks; y++) {
            const place at = place_of(y, n_rows, sums);
            const unsigned char *a = g->a + (i + at.at) * g->lda + sizeof(ilki_i8_head) + p;
            f.out = (const char *)(g->c + (i + at.at) * g->ldc + b->j + b->x);
            if (p == 0)
                zero_sums();
            else
                load_32(at.sums);
            steps_32(a, g->lda, codes + p * 16, k, n, &f);
            store_32(at.sums);
            tiles_fence();
            if (!last)
                continue;
            b->sums = at.sums + (MR - at.fresh) * b->lds;
            b->i = i + at.at + MR - at.fresh;
            b->rows = at.fresh;
            finish(b);
        }
    }
}

/* Rows from i on, 32 or more, by panels. */
static void gemm_far(const ilki_gemm_i8 *g, finish_fn *finish, size_t i, size_t n_rows)
{
    int32_t sums[MOST_ROWS / MR * BLOCK_SUMS] __attribute__((aligned(64)));
    block b = {.g = g, .lds = NR / 2, .width = NR / 2};
    for (b.j = g->j0; b.j < g->j1; b.j += NR) {
        b.p = panel_at(g->packed, g->k, g->n_exact, b.j);
        for (b.x = 0; b.x < NR && b.j + b.x < g->j1; b.x += NR / 2)
            half_panel(&b, finish, sums, i, n_rows);
    }
}

/* How many rows go through a panel together, as even parts of all as whole blocks allow; 0: the weights are near. */
static size_t rows_together(const ilki_gemm_i8 *g)
{
    const size_t fit = NEAR_CODES / g->lda, most = fit < 2 * MR ? 2 * MR : fit < MOST_ROWS ? fit : MOST_ROWS;
    const size_t weights = g->k <= SHORT_K ? 2 * NEAR_WEIGHTS : g->k <= LONG_K ? NEAR_WEIGHTS : 0;
    if (g->m <= MR || (g->j1 - g->j0) * g->k <= weights)
        return 0;
    const size_t n_parts = (g->m + most - 1) / most;
    return (g->m / n_parts + MR - 1) / MR * MR;
}

static void gemm_i8(const ilki_gemm_i8 *g)
{
    finish_fn *finish = finish_of(g);
    const size_t together = rows_together(g);
    size_t i = 0;
    tiles_fence(); /* the codes of the rows are written just before */
    if (g->m >= MR)
        tiles_open(TILE_ROWS, TILE_ROWS);
    for (; together && g->m - i >= MR; i += g->m - i < together ? g->m - i : together)
        gemm_far(g, finish, i, g->m - i < together ? g->m - i : together);
    for (; g->m - i >= MR; i += MR)
        gemm_near(g, finish, i, MR);
    if (g->m > i) {
        const size_t rest = g->m - i;
        tiles_open(rest < TILE_ROWS ? rest : TILE_ROWS, rest > TILE_ROWS ? rest - TILE_ROWS : rest);
        gemm_near(g, finish, i, rest);
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
