/* SPDX-License-Identifier: Apache-2.0
 * The rows of known.def as a table. Nothing else is known by name: a checkpoint that no row tells of is read all the
 * same. */
#include "embed/known.h"

#include <stdbool.h>
#include <string.h>

static const ilk_known rows[] = {
#define ILKI_KNOWN(name, id, kind, weights_bytes, dim, max_tokens, licence, languages, source)                         \
    {sizeof(ilk_known), name, id, kind, licence, languages, source, weights_bytes, dim, max_tokens},
#include "embed/known.def"
};

static bool is(const char *word, const char *name, size_t n)
{
    return strlen(word) == n && memcmp(word, name, n) == 0;
}

const ilk_known *ilki_embed_known_at(size_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

const ilk_known *ilki_embed_known_find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is(rows[i].name, name, n) || is(rows[i].id, name, n))
            return &rows[i];
    return NULL;
}
