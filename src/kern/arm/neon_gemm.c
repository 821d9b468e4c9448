/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM over packed weights, NEON: tiles of 8 rows by 12 columns, 24 accumulators, 3 registers of weights. */
#include "kern/arm/neon_lanes.h"

enum {
    VECS = 3,
    NR = VECS * LANES,
    MR = 8,
    KC = 384,   /* a panel's cut is 18 KiB: it stays in L1 */
    BLOCK = 96, /* a cut of its rows is 144 KiB */
    GROUP = 4,
    ENDS = 0,
};

#include "kern/lanes_gemm.inc"

TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
TILE(7)
TILE(8)
static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6, tile7, tile8};

#include "kern/gemm_loops.inc"

const ilki_kern_ops ilki_kern_neon_gemm = {
    .name = "neon",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .gemm_f32_gflops = 40,
    .layout_f32 = 1,
    .packed_bytes_f32 = packed_bytes_f32,
    .pack_f32 = pack_f32,
    .packed_at_f32 = packed_at_f32,
    .gemm_scratch_f32 = gemm_scratch_f32,
    .gemm_f32 = gemm_f32,
};
