/* SPDX-License-Identifier: Apache-2.0
 * Rows and elementwise vectors, AVX2. */
#include "kern/x86/avx2_lanes.h"

#include "kern/lanes_vec.inc"

const ilki_kern_ops ilki_kern_avx2_vec = {
    .name = "avx2",
    LANES_VEC_ENTRIES,
};
