/* SPDX-License-Identifier: Apache-2.0
 * Attention in key blocks, AVX2. */
#include "kern/x86/avx2_lanes.h"

#include "kern/lanes_attn.inc"

const ilki_kern_ops ilki_kern_avx2_attn = {
    .name = "avx2",
    LANES_ATTN_ENTRIES,
};
