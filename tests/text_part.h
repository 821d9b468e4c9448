/* SPDX-License-Identifier: Apache-2.0
 * A text as a part of an input. */
#ifndef ILK_TEST_TEXT_PART_H
#define ILK_TEST_TEXT_PART_H

#include <string.h>

#include "ilk.h"

static inline ilk_part test_text_part(const char *s)
{
    ilk_part p;
    ilk_part_init(&p);
    p.kind = ILK_PART_TEXT;
    p.data = s;
    p.n_bytes = strlen(s);
    return p;
}

#endif
