/* SPDX-License-Identifier: Apache-2.0
 * Places in an order of similarity: what recall is made of. */
#ifndef ILKI_EMBED_RANK_H
#define ILKI_EMBED_RANK_H

#include <stddef.h>
#include <stdint.h>

/* The place, from 0, of the first of the rows right[n_right] among scores[n], largest score first; of equal scores the row
 * with the smaller number is first. n where n_right is 0. Scores are no NaNs. */
size_t ilki_embed_first_place(const float *scores, size_t n, const uint32_t *right, size_t n_right);

#endif
