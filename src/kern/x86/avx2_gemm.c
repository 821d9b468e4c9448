/* SPDX-License-Identifier: Apache-2.0
 * f32 GEMM over packed weights, AVX2: tiles of 6 rows by 16 columns, 12 accumulators, 2 registers of weights. */
#include "kern/x86/avx2_lanes.h"

enum {
    VECS = 2,
    NR = VECS * LANES,
    MR = 6,
    KC = 256,   /* a panel's cut is 16 KiB: it stays in L1 */
    BLOCK = 96, /* a cut of its rows is 96 KiB, for L2 of 256 KiB */
    GROUP = 4,
    ENDS = 0,
};

#include "kern/lanes_gemm.inc"

TILE(1)
TILE(2)
TILE(3) TILE(4) TILE(5) TILE(6) static tile_fn *const tiles[] = {NULL, tile1, tile2, tile3, tile4, tile5, tile6};

#include "kern/gemm_loops.inc"

const ilki_kern_ops ilki_kern_avx2_gemm = {
    .name = "avx2",
    .gemm_f32_nr = NR,
    .gemm_f32_mr = MR,
    .gemm_f32_few = 6,
    .gemm_f32_gflops = 40,
    .layout_f32 = 1,
    .packed_bytes_f32 = packed_bytes_f32,
    .pack_f32 = pack_f32,
    .packed_at_f32 = packed_at_f32,
    .gemm_scratch_f32 = gemm_scratch_f32,
    .gemm_f32 = gemm_f32,
};
