/* SPDX-License-Identifier: Apache-2.0
 * A place is counted, not sorted for: one look at each score. */
#include "embed/rank.h"

size_t ilki_embed_first_place(const float *scores, size_t n, const uint32_t *right, size_t n_right)
{
    size_t best = n, place = 0;
    for (size_t i = 0; i < n_right; i++) {
        size_t row = right[i];
        if (best == n || scores[row] > scores[best] || (scores[row] >= scores[best] && row < best))
            best = row;
    }
    if (best == n)
        return n;
    for (size_t i = 0; i < n; i++)
        place += scores[i] > scores[best] || (i < best && scores[i] >= scores[best]);
    return place;
}
