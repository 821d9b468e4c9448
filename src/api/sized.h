/* SPDX-License-Identifier: Apache-2.0
 * Public structs that begin with `size`: how the boundary fills them for callers older or newer than the library. */
#ifndef ILKI_API_SIZED_H
#define ILKI_API_SIZED_H

#include <string.h>

#include "base/error.h"

/* What every …_init_sized does whose defaults are zero: all of the caller's struct zeroed, its size set. */
static inline void ilki_api_init_sized(void *to, size_t size)
{
    if (to == NULL || size < sizeof size)
        return;
    memset(to, 0, size);
    memcpy(to, &size, sizeof size);
}

/* Copies what the library knows into what the caller has room for; to->size stays the caller's. */
static inline ilk_status ilki_api_give_sized(void *to, const void *from, size_t n, const char *what, ilk_error *err)
{
    size_t size;
    if (to == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a struct to fill, got NULL", what);
    memcpy(&size, to, sizeof size);
    if (size < sizeof size || size > 65536)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: size is %zu: call its init macro first", what, size);
    size_t take = n < size ? n : size;
    memcpy((char *)to + sizeof size, (const char *)from + sizeof size, take - sizeof size);
    return ILK_OK;
}

#endif
