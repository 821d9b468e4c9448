/* SPDX-License-Identifier: Apache-2.0
 * The table of backends. A remote engine is a file in engine/remote and a row here. */
#include "engine/backend.h"

#include <string.h>

#include "engine/local.h"

static const ilki_backend_type *const rows[] = {
    &ilki_engine_local,
};

const ilki_backend_type *ilki_engine_get_backend(size_t i)
{
    return i < sizeof rows / sizeof *rows ? rows[i] : NULL;
}

const ilki_backend_type *ilki_engine_find_backend(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i]->name, name) == 0)
            return rows[i];
    return NULL;
}
