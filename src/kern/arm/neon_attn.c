/* SPDX-License-Identifier: Apache-2.0
 * Attention in key blocks, NEON. */
#include "kern/arm/neon_lanes.h"

#include "kern/lanes_attn.inc"

const ilki_kern_ops ilki_kern_neon_attn = {
    .name = "neon",
    LANES_ATTN_ENTRIES,
};
