/* SPDX-License-Identifier: Apache-2.0
 * The public functions that need no runtime: status strings, ilk_error and the version. */
#include <string.h>

#include "ilk.h"

const char *ilk_status_string(ilk_status status)
{
    static const char *const texts[] = {
#define STATUS_TEXT(name, text) text,
        ILK_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    };
    size_t i = (size_t)status;
    return i < sizeof texts / sizeof *texts ? texts[i] : "unknown status";
}

const char *ilk_precision_name(ilk_precision precision)
{
    static const char *const names[] = {"auto", "f32", "bf16", "int8", "int8w"};
    size_t i = (size_t)precision;
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

const char *ilk_attention_name(ilk_attention attention)
{
    static const char *const names[] = {"auto", "f32", "bf16"};
    size_t i = (size_t)attention;
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

void ilk_error_init_sized(void *err, size_t size)
{
    if (!err || size < sizeof size)
        return;
    memset(err, 0, size);
    memcpy(err, &size, sizeof size);
}

const char *ilk_version(void)
{
    return ILK_VERSION;
}
