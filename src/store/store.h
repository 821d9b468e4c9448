/* SPDX-License-Identifier: Apache-2.0
 * Durable records and typed columns; no vector arithmetic. docs/FORMAT.md has the bytes.
 *
 * The log is the truth: each record is one whole item version, a delete, a space, a metadata or a source-file record; a
 * batch is visible only with its last record. Every record has a log sequence number (LSN), ascending, never reused: the
 * LSN of an item's current version is its key in indexes. SQLite (WAL, NORMAL, through the same vfs) holds what can be
 * derived: id -> LSN and place in the log, parents, typed fields, sources. It is applied behind the log; what it has not
 * seen yet (the tail) is kept in memory by writer and reader alike, and every answer merges the two.
 *
 * One writer process (lock), any number of readers; a reader calls ilki_store_refresh to see newer batches. Each call
 * answers from one state between two batches; two calls may answer from two. Calls on one ilki_store may come from
 * several threads, and from a callback: no lock is held while one runs. After an I/O error of the log's write or sync
 * every later write fails until the store is opened again. */
#ifndef ILKI_STORE_STORE_H
#define ILKI_STORE_STORE_H

#include "base/buf.h"
#include "base/runtime.h"

typedef struct ilki_store ilki_store;

typedef struct ilki_store_open_options {
    const ilki_vfs *vfs;
    ilk_runtime *rt; /* log callback, service thread for applying; may be NULL in tests: applied inline */
    ilk_sync sync;
    bool read_only, no_create, no_mmap;
    uint64_t max_log_bytes; /* of one log file before the next is begun; 0: 1 GiB */
    bool repair;            /* a manifest that is missing or damaged is made again from the log files, and told */
    uint32_t gather;        /* records that may wait to be applied while nobody reads; 0: 4000 */
} ilki_store_open_options;

ilk_status ilki_store_open(ilki_store **out, const char *dir, const ilki_store_open_options *opt, ilk_error *err);
/* Applies the tail if it is the writer, syncs, closes. */
void ilki_store_close(ilki_store *s);

/* As opened, or because it belongs to somebody else. */
bool ilki_store_is_read_only(const ilki_store *s);

/* ---- a source file: where items come from */
typedef enum ilki_source_state {
    ILKI_SOURCE_INDEXED = 1,
    ILKI_SOURCE_SKIPPED,
    ILKI_SOURCE_FAILED,
    ILKI_SOURCE_GONE
} ilki_source_state;

typedef struct ilki_source {
    const char *id;   /* item id, minted once; survives a move */
    const char *path; /* raw bytes, relative to root, NUL-terminated; unique among sources that are not GONE */
    const char *root; /* raw bytes: absolute directory, or "" for the directory that holds the store */
    uint64_t dev, ino, n_bytes;
    int64_t mtime_ns;
    uint8_t content_hash[32];
    ilki_source_state state;
    const char *reason; /* for SKIPPED and FAILED; else NULL */
    uint32_t n_items;
    uint8_t settings_hash[32]; /* of what made the items: chunking, model fingerprint, space */
} ilki_source;

/* ---- writing: everything in one batch, acknowledged by the log's fdatasync (sync full) or write (sync normal) */
typedef struct ilki_batch {
    const ilk_space *spaces; /* ensured: MISMATCH names the member that differs from the space of that name */
    size_t n_spaces;
    const char *const *deletes; /* item ids; parts (items whose parent they are) go with them */
    size_t n_deletes;
    const ilk_item *items; /* applied after the deletes; the last of equal ids wins */
    size_t n_items;
    const ilki_source *sources; /* keyed by id */
    size_t n_sources;
    const char *const *meta; /* pairs name, value: store-wide metadata */
    size_t n_meta;
} ilki_batch;

/* *last_lsn (may be NULL) gets the LSN of the batch's last record. Arguments are checked before a byte is written. */
ilk_status ilki_store_write(ilki_store *s, const ilki_batch *b, ilk_job *job, uint64_t *last_lsn, ilk_error *err);

/* ---- reading */

/* For readers: looks at the log for newer batches. For the writer: nothing. */
ilk_status ilki_store_refresh(ilki_store *s, ilk_error *err);

/* The i-th space in order of creation, borrowed until close; NOT_FOUND past the last. */
ilk_status ilki_store_space(ilki_store *s, size_t i, const ilk_space **space, ilk_error *err);
/* NULL where absent; freed with free() */
ilk_status ilki_store_meta(ilki_store *s, const char *name, char **value, ilk_error *err);

/* One item version, decoded into one block of memory. */
typedef struct ilki_record {
    uint64_t lsn;
    ilk_item item;      /* all pointers into the record */
    ilki_source source; /* id NULL where the item (or its parent) has none */
} ilki_record;
void ilki_store_record_free(ilki_record *r);

/* Current version of an id, or of an LSN. NOT_FOUND where there is none (any more). CORRUPT where the checksum of the
 * bytes read fails. `vectors` false leaves the vectors out. */
ilk_status ilki_store_get(ilki_store *s, const char *id, bool vectors, ilki_record **out, ilk_error *err);
ilk_status ilki_store_get_lsn(ilki_store *s, uint64_t lsn, bool vectors, ilki_record **out, ilk_error *err);
/* One dense vector alone (rows 1), for reranking: dim floats. NOT_FOUND where the version has none in that space. */
ilk_status ilki_store_get_dense(ilki_store *s, uint64_t lsn, const char *space, float *to, size_t dim, ilk_error *err);

/* In a filter NE is "not EQ": it holds where the field is absent or of a type that does not compare. NULL equals NULL.
 * A scan is taken in pages of some thousands, each of one state. */

/* Current items that pass the filter (NULL: all), in order of id, after the id `after`; `fn` returns false to stop. */
typedef bool (*ilki_item_fn)(void *user, uint64_t lsn, const char *id, const char *parent);
ilk_status ilki_store_scan(ilki_store *s, const ilk_filter *filter, const char *after, ilki_item_fn fn, void *user,
                           ilk_error *err);
ilk_status ilki_store_count(ilki_store *s, const ilk_filter *filter, uint64_t *n, ilk_error *err);
/* LSNs of the current items that pass, ascending; freed with free(). For restricting a vector search. */
ilk_status ilki_store_select(ilki_store *s, const ilk_filter *filter, uint64_t **lsns, size_t *n, ilk_error *err);

/* What changed after `since` (0: everything current), in log order: a put of `lsn` that replaced `old` (0: new), or a
 * delete (lsn 0). Indexes catch up with it. `vector` of `space` is given for puts, NULL where the item has none there. */
typedef struct ilki_change {
    uint64_t lsn, old;
    const char *id;
    const ilk_vector *vector;
} ilki_change;
typedef bool (*ilki_change_fn)(void *user, const ilki_change *c);
ilk_status ilki_store_changes(ilki_store *s, uint64_t since, const char *space, ilki_change_fn fn, void *user,
                              uint64_t *upto, ilk_error *err);

/* Sources: by path (relative to root), by id, by content hash (first that is not GONE), or all in order of path. */
typedef bool (*ilki_source_fn)(void *user, const ilki_source *src);
ilk_status ilki_store_source_by_path(ilki_store *s, const char *root, const char *path, ilki_source_fn fn, void *user,
                                     ilk_error *err);
ilk_status ilki_store_source_by_id(ilki_store *s, const char *id, ilki_source_fn fn, void *user, ilk_error *err);
ilk_status ilki_store_source_by_hash(ilki_store *s, const uint8_t hash[32], ilki_source_fn fn, void *user,
                                     ilk_error *err);
ilk_status ilki_store_sources(ilki_store *s, ilki_source_fn fn, void *user, ilk_error *err);

ilk_status ilki_store_info(ilki_store *s, ilk_store_info *info, ilk_error *err);
ilk_status ilki_store_check(ilki_store *s, bool repair, ilk_finding_fn found, void *user, ilk_job *job, ilk_error *err);

/* ---- derived files of indexes live beside the log; a name is [a-z0-9-]+. Old or new, never half. */
ilk_status ilki_store_derived_path(ilki_store *s, const char *name, char **path,
                                   ilk_error *err); /* freed with free() */

#endif
