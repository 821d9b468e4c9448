/* SPDX-License-Identifier: Apache-2.0
 * What every fuzz target has: the entry, and a check that ends the process. */
#ifndef ILK_FUZZ_MUST_H
#define ILK_FUZZ_MUST_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond))                                                                                                   \
            abort();                                                                                                   \
    } while (0)

#endif
