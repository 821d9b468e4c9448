/* SPDX-License-Identifier: Apache-2.0
 * Rows and elementwise vectors, NEON. */
#include "kern/arm/neon_lanes.h"

#include "kern/lanes_vec.inc"

const ilki_kern_ops ilki_kern_neon_vec = {
    .name = "neon",
    LANES_VEC_ENTRIES,
};
