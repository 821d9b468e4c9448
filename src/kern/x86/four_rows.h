/* SPDX-License-Identifier: Apache-2.0
 * Pixels resized along rows, four rows at once: how any number of rows becomes fours. */
#ifndef ILKI_KERN_FOUR_ROWS_H
#define ILKI_KERN_FOUR_ROWS_H

#include "kern/ops.h"

typedef struct four_rows {
    const uint8_t *in[4];
    uint8_t *out[4];
    size_t n_bytes; /* of a row of the input */
} four_rows;

/* `high`: the weights have high parts too; a constant where this is inlined. */
typedef void across_fn(const four_rows *r, const ilki_kern_taps *t, const bool high);

/* Rows that are missing among four are the last one once more. */
static inline __attribute__((always_inline)) void by_four_rows(across_fn *across, uint8_t *const *out,
                                                               const uint8_t *const *in, size_t n_rows, size_t n_in,
                                                               const ilki_kern_taps *t)
{
    for (size_t y = 0; y < n_rows; y += 4) {
        four_rows r = {.n_bytes = n_in * 3};
        for (size_t k = 0; k < 4; k++) {
            r.in[k] = in[y + k < n_rows ? y + k : n_rows - 1];
            r.out[k] = out[y + k < n_rows ? y + k : n_rows - 1];
        }
        if (t->n_parts > 2)
            across(&r, t, true);
        else
            across(&r, t, false);
    }
}

#endif
