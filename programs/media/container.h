/* SPDX-License-Identifier: Apache-2.0
 * The parts of a ZIP container that a reader wants, in memory. */
#ifndef ILK_MEDIA_CONTAINER_H
#define ILK_MEDIA_CONTAINER_H

#include "base/buf.h"

typedef struct media_part {
    char *name; /* path within the container */
    char *data; /* NUL-terminated behind n bytes */
    size_t n;
} media_part;

typedef struct media_parts {
    media_part *list;
    size_t n, cap, n_bytes;
} media_parts;

void media_archive_prepare(void);

/* Unpacks the entries that `wanted` says yes to. BAD_FORMAT: a broken container, or one that ends too early; LIMIT: more
 * entries, or a larger entry, or more in all, or for the size of the file, than a document has (container.c). Deinit after a
 * failure too. */
ilk_status media_archive_read(media_parts *parts, const unsigned char *data, size_t n, bool (*wanted)(const char *name),
                              ilk_error *err);
void media_parts_deinit(media_parts *parts);

const media_part *media_parts_find(const media_parts *parts, const char *name); /* NULL: none */

#endif
