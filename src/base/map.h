/* SPDX-License-Identifier: Apache-2.0
 * Hash map from byte strings to a 32-bit value: vocabularies, tensor names, item ids. Open addressing, a keyed hash
 * against crafted keys. Keys are borrowed: the caller keeps them alive. Not thread-safe for writers. */
#ifndef ILKI_BASE_MAP_H
#define ILKI_BASE_MAP_H

#include "base/mem.h"

typedef struct ilki_map {
    struct ilki_map_slot *slots; /* NULL while empty */
    size_t n, cap;
    uint64_t seed; /* 0: drawn at the first growth */
} ilki_map;

#define ILKI_MAP_NONE UINT32_MAX

/* A zeroed map is valid and empty. */
void ilki_base_map_deinit(ilki_map *m);
bool ilki_base_map_reserve(ilki_map *m, size_t n);

/* Sets key to value, which is not ILKI_MAP_NONE; `*old` (may be NULL) gets what was there, or ILKI_MAP_NONE. The map
 * keeps the key of the first put. False when memory is short or the key is longer than 4 GiB. */
bool ilki_base_map_put(ilki_map *m, const char *key, size_t len, uint32_t value, uint32_t *old);
/* The same, but the map keeps this key from now on: for keys whose memory goes when they are put again. */
bool ilki_base_map_renew(ilki_map *m, const char *key, size_t len, uint32_t value, uint32_t *old);
uint32_t ilki_base_map_get(const ilki_map *m, const char *key, size_t len); /* ILKI_MAP_NONE where absent */
bool ilki_base_map_remove(ilki_map *m, const char *key, size_t len);

/* A fast keyed 64-bit hash of bytes; not cryptographic, and not for files: it depends on the byte order. */
uint64_t ilki_base_hash64(const void *data, size_t n, uint64_t seed);

#endif
