/* SPDX-License-Identifier: Apache-2.0
 * What the loops of a GEMM (gemm_loops.inc) hand to a kernel's tile. */
#ifndef ILKI_KERN_GEMM_TILE_H
#define ILKI_KERN_GEMM_TILE_H

#include "kern/ops.h"

typedef struct gemm_tile {
    float *sums; /* [rows][NR], 64-byte aligned */
    const float *a, *b;
    size_t lda, k;
    bool first; /* sums start from 0, not from what is there */
    const char *next;
    size_t next_step; /* bytes to go on from `next` for each step of k, asking for what lies there */
    /* The end of a product without activation, where the kernel has ENDS: c = sums + bias + residual over the n columns
     * that exist; NULL: the sums are put back. bias and residual may be NULL. */
    float *c;
    const float *bias, *residual;
    size_t ldc, ldr, n;
} gemm_tile;

#endif
