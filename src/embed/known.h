/* SPDX-License-Identifier: Apache-2.0
 * What is known of published models by name: rows of known.def, each with its source. */
#ifndef ILKI_EMBED_KNOWN_H
#define ILKI_EMBED_KNOWN_H

#include "ilk.h"

/* The i-th row, NULL past the last. */
const ilk_known *ilki_embed_known_at(size_t i);

/* The row whose short name or id is `name` (n bytes, case counts), or NULL. */
const ilk_known *ilki_embed_known_find(const char *name, size_t n);

#endif
