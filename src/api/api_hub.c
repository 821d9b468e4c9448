/* SPDX-License-Identifier: Apache-2.0
 * ilk_known_*: the table of known models. */
#include <string.h>

#include "api/sized.h"
#include "embed/known.h"

void ilk_known_init_sized(void *known, size_t size)
{
    ilki_api_init_sized(known, size);
}

ilk_status ilk_known_get(size_t i, ilk_known *known, ilk_error *err)
{
    const ilk_known *row = ilki_embed_known_at(i);
    if (row == NULL)
        return ilki_base_fail(err, ILK_NOT_FOUND, "no row %zu in the table of known models", i);
    return ilki_api_give_sized(known, row, sizeof *row, "known model", err);
}

ilk_status ilk_known_find(const char *name, ilk_known *known, ilk_error *err)
{
    if (name == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_known_find: name is NULL");
    const ilk_known *row = ilki_embed_known_find(name, strlen(name));
    if (row == NULL)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no known model has this name or id", name);
    return ilki_api_give_sized(known, row, sizeof *row, "known model", err);
}
