/* SPDX-License-Identifier: Apache-2.0
 * Every source of a store in memory during an ingest, found by path, by content and by id. */
#ifndef ILKI_ENGINE_KNOWN_FILES_H
#define ILKI_ENGINE_KNOWN_FILES_H

#include "base/mem.h"
#include "store/store.h"

/* What ilki_engine_known_source unfolds. */
typedef struct ilki_known {
    const char *strings; /* root, path, id, and the reason where has_reason: behind one another in the arena */
    uint64_t dev, ino, n_bytes;
    int64_t mtime_ns;
    uint8_t content_hash[32];
    uint32_t n_items;
    uint32_t next;     /* in the list: of the same content; or ILKI_NONE_KNOWN */
    uint32_t settings; /* of the table of settings' hashes */
    uint8_t state;     /* ilki_source_state; 0: not written so far */
    bool has_reason;
    bool seen; /* this run has met it */
} ilki_known;

#define ILKI_NONE_KNOWN UINT32_MAX

typedef struct ilki_known_table {
    struct ilki_known_slot *slots; /* NULL while empty */
    size_t n, cap;
} ilki_known_table;

typedef struct ilki_known_files {
    ilki_arena arena;
    ilki_known **list;
    size_t n, cap;
    ilki_known_table by_path, by_hash, by_id; /* GONE ones stand in by_id alone */
    uint8_t (*settings)[32];                  /* the first is zeros */
    size_t n_settings;
    uint64_t seed;
} ilki_known_files;

/* A zeroed one is empty. */
ilk_status ilki_engine_known_load(ilki_known_files *k, ilki_store *s, ilk_error *err);
void ilki_engine_known_deinit(ilki_known_files *k);

/* Its strings lie in the arena. */
ilki_source ilki_engine_known_source(const ilki_known_files *k, const ilki_known *e);

ilki_known *ilki_engine_known_find(const ilki_known_files *k, const char *root, const char *path); /* NULL: none */

/* The first that may have `hash`, and the one after e; GONE ones are left out, the content is not compared. */
ilki_known *ilki_engine_known_by_hash(const ilki_known_files *k, const uint8_t hash[32]);
ilki_known *ilki_engine_known_next(const ilki_known_files *k, const ilki_known *e);

/* A file met for the first time, with an id of its own: minted from the path, or the one it had before it was GONE. */
ilk_status ilki_engine_known_add(ilki_known_files *k, const char *root, const char *path, ilki_known **out,
                                 ilk_error *err);

/* The file has another path now. */
ilk_status ilki_engine_known_move(ilki_known_files *k, ilki_known *e, const char *root, const char *path,
                                  ilk_error *err);

/* It was written: what src says but for its strings. The reason is not kept: a file is met once in a run. */
void ilki_engine_known_keep(ilki_known_files *k, ilki_known *e, const ilki_source *src);

#endif
