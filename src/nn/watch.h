/* SPDX-License-Identifier: Apache-2.0
 * What a watching pass keeps: the linears of 8 bits that it met, and of each the greatest magnitude of every input
 * channel. Such a pass runs a chain once over all its rows, as one with a tape does, and is nobody else's meanwhile. */
#ifndef ILKI_NN_WATCH_H
#define ILKI_NN_WATCH_H

#include "tensor/linear.h"

typedef struct ilki_watched {
    const ilki_linear *linear;
    struct ilki_watched *next;
} ilki_watched;

struct ilki_watch {
    ilki_arena arena; /* of the rest, and of every linear's i8->seen, which is taken away again by whoever settles it */
    ilki_watched *first;
    size_t n;
};

#endif
