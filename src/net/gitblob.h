/* SPDX-License-Identifier: Apache-2.0
 * The name git gives a file: the SHA-1 of "blob <size>" NUL and its bytes. The hub names its small files so; it tells
 * damage, not malice. Large files have a SHA-256. */
#ifndef ILKI_NET_GITBLOB_H
#define ILKI_NET_GITBLOB_H

#include <stddef.h>
#include <stdint.h>

typedef struct ilki_gitblob {
    uint32_t h[5];
    uint64_t n_bytes;
    uint8_t block[64];
} ilki_gitblob;

void ilki_net_gitblob_init(ilki_gitblob *g, uint64_t size);
void ilki_net_gitblob_add(ilki_gitblob *g, const void *data, size_t n);
void ilki_net_gitblob_end(ilki_gitblob *g, uint8_t out[20]);

#endif
