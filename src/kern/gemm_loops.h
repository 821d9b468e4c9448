/* SPDX-License-Identifier: Apache-2.0
 * The loops around a GEMM tile, the same for every ISA; a kernel file includes this once, behind
 *     enum { NR, MR, KC, BLOCK, GROUP }   columns of a panel, rows of a tile, steps of k between visits, rows of a block,
 *                                         panels worked on together where k is cut
 *     ENDS                             whether tiles add bias and residual themselves, which saves the sums a way
 *     tiles[rows](&t)                  see gemm_tile.h
 *     finish(g, act, out, i, rows, j, n)   bias, activation and residual over a finished tile; inline, `act` a constant
 *
 * Blocks of rows, groups of panels, cuts of k, panels, tiles. A panel's cut is read once from far memory for each block of
 * rows and then from L2; each tile asks for its share of the next cut meanwhile. Sums wait between cuts as the f32 they
 * are, so an element is one chain of fused multiply-adds over ascending k from 0, whatever the tile's height, the block
 * and the cut. */
#ifndef ILKI_KERN_GEMM_LOOPS_H
#define ILKI_KERN_GEMM_LOOPS_H

static void finish_none(const ilki_gemm_f32 *g, const float *t, size_t i, size_t rows, size_t j, size_t n)
{
    finish(g, ILKI_ACT_NONE, t, i, rows, j, n);
}

static void finish_gelu(const ilki_gemm_f32 *g, const float *t, size_t i, size_t rows, size_t j, size_t n)
{
    finish(g, ILKI_ACT_GELU, t, i, rows, j, n);
}

static void finish_other(const ilki_gemm_f32 *g, const float *t, size_t i, size_t rows, size_t j, size_t n)
{
    finish(g, g->act, t, i, rows, j, n);
}

/* m rows from i0, m <= BLOCK, and the panels of columns j0 to j1, at most GROUP: their sums gather in `sums` while k goes
 * by in cuts, so that a cut of the rows is used for every panel while it is near, and a panel's cut for every row. */
static void gemm_block(const ilki_gemm_f32 *g, size_t i0, size_t m, size_t j0, size_t j1)
{
    void (*finish_fn)(const ilki_gemm_f32 *, const float *, size_t, size_t, size_t, size_t) = g->act == ILKI_ACT_NONE
                                                                                                  ? finish_none
                                                                                              : g->act == ILKI_ACT_GELU
                                                                                                  ? finish_gelu
                                                                                                  : finish_other;
    float sums[GROUP][BLOCK * NR] __attribute__((aligned(64)));
    size_t n_tiles = (m + MR - 1) / MR, step = (NR * sizeof(float) + n_tiles - 1) / n_tiles, p = 0;
    do { /* once for k = 0 too: zero sums are finished like others */
        size_t k = g->k - p < KC ? g->k - p : KC;
        bool last = p + k == g->k, ends = ENDS && last && g->act == ILKI_ACT_NONE;
        for (size_t j = j0; j < j1; j += NR) {
            const float *panel = g->packed + j * g->k + NR * p;
            gemm_tile t = {.b = panel, .lda = g->lda, .k = k, .first = p == 0, .next_step = step};
            t.next = (const char *)(j + NR < j1 ? panel + NR * g->k
                                    : !last     ? g->packed + j0 * g->k + NR * (p + k)
                                                : panel + NR * k);
            t.ldc = g->ldc;
            t.ldr = g->ldr;
            t.n = g->j1 - j < NR ? g->j1 - j : NR;
            t.bias = g->bias ? g->bias + j : NULL;
            for (size_t i = 0; i < m; i += MR) {
                size_t rows = m - i < MR ? m - i : MR;
                t.sums = sums[(j - j0) / NR] + i * NR;
                t.a = g->a + (i0 + i) * g->lda + p;
                if (ends) {
                    t.c = g->c + (i0 + i) * g->ldc + j;
                    t.residual = g->residual ? g->residual + (i0 + i) * g->ldr + j : NULL;
                }
                tiles[rows](&t);
                t.next += step * k;
                if (last && !ends)
                    finish_fn(g, t.sums, i0 + i, rows, j, t.n);
            }
        }
        p += k;
    } while (p < g->k);
}

static void gemm_f32(const ilki_gemm_f32 *g)
{
    size_t group = g->k > KC ? GROUP * NR : NR;
    for (size_t i = 0; i < g->m; i += BLOCK)
        for (size_t j = g->j0; j < g->j1; j += group)
            gemm_block(g, i, g->m - i < BLOCK ? g->m - i : BLOCK, j, g->j1 - j < group ? g->j1 : j + group);
}

#endif
