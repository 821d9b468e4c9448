/* SPDX-License-Identifier: Apache-2.0
 * The real helper program, started and greeted. */
#ifndef ILK_TEST_MEDIA_TEST_H
#define ILK_TEST_MEDIA_TEST_H

#include <stdio.h>

#include "media/media.h"
#include "test.h"

#define MEDIA_NEEDED "ilk-media does not run here, for the reason above"

/* NULL, and why on stdout, where it does not run; ended with ilki_media_free. */
static inline ilki_media *media_helper(void)
{
    ilki_media *m = NULL;
    const ilki_media_hello *h;
    ilk_error err;
    ilk_error_init(&err);
    if (ilki_media_new(&m, ILK_TEST_MEDIA, NULL, &err) == ILK_OK && ilki_media_hello_of(m, NULL, &h, &err) == ILK_OK)
        return m;
    printf("%s\n", err.message);
    ilki_media_free(m);
    return NULL;
}

#endif
