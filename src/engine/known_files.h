/* SPDX-License-Identifier: Apache-2.0
 * Every source of a store in memory during an ingest, found by path, by content and by id. */
#ifndef ILKI_ENGINE_KNOWN_FILES_H
#define ILKI_ENGINE_KNOWN_FILES_H

#include "base/map.h"
#include "store/store.h"

typedef struct ilki_known {
    ilki_source src;         /* its strings lie in the arena */
    bool seen;               /* this run has met it */
    struct ilki_known *next; /* of the same content */
} ilki_known;

typedef struct ilki_known_files {
    ilki_arena arena;
    ilki_known **list;
    size_t n, cap;
    ilki_map by_path, by_hash, by_id; /* GONE ones stand in by_id alone */
} ilki_known_files;

/* A zeroed one is empty. */
ilk_status ilki_engine_known_load(ilki_known_files *k, ilki_store *s, ilk_error *err);
void ilki_engine_known_deinit(ilki_known_files *k);

ilki_known *ilki_engine_known_find(const ilki_known_files *k, const char *root, const char *path); /* NULL: none */

/* The first of `hash`, GONE and changed ones left out; ->next leads to the others, not checked. */
ilki_known *ilki_engine_known_by_hash(const ilki_known_files *k, const uint8_t hash[32]);

/* A file met for the first time, with an id of its own: minted from the path, or the one it had before it was GONE. */
ilk_status ilki_engine_known_add(ilki_known_files *k, const char *root, const char *path, ilki_known **out,
                                 ilk_error *err);

/* The file has another path now. */
ilk_status ilki_engine_known_move(ilki_known_files *k, ilki_known *e, const char *root, const char *path,
                                  ilk_error *err);

#endif
