/* SPDX-License-Identifier: Apache-2.0
 * What a reader of data sets has said of lines that it passed over: `tell` as its function adds to `told`. */
#ifndef ILK_TEST_TOLD_H
#define ILK_TEST_TOLD_H

#include <stdio.h>
#include <string.h>

static char told[8192];

static void tell(void *user, const char *message)
{
    size_t n = strlen(told);
    (void)user;
    snprintf(told + n, sizeof told - n, "%s\n", message);
}

#endif
