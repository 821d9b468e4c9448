/* SPDX-License-Identifier: Apache-2.0
 * What the files of this room share: the store itself, views, and who may hold which lock.
 *
 * Order of locks: write_lock, apply_lock, then one of tail.lock, db.lock, log.lock, space_lock, service_lock. A
 * connection is waited for only with at most the first two held. */
#ifndef ILKI_STORE_CORE_H
#define ILKI_STORE_CORE_H

#include "store/filter_sql.h"
#include "store/log.h"
#include "store/meta.h"
#include "store/tail.h"

enum {
    ILKI_TAIL_MAX_BYTES = 64 << 20, /* of memory: past it a writer helps to apply */
    ILKI_TAIL_MAX_ENTRIES = 1 << 18,
    ILKI_SLICE_ENTRIES = 4000, /* records applied in one transaction, if no batch is longer */
    /* So many gather before they are applied, unless somebody reads: many small transactions write the same pages of
     * SQLite's log again and again, and take the core and the disk of who writes. */
    ILKI_GATHER_ENTRIES = 4000
};

typedef struct ilki_space_row {
    ilk_space space; /* strings into `body` */
    uint32_t id;
    unsigned char body[];
} ilki_space_row;

struct ilki_store {
    const ilki_vfs *vfs;
    ilk_runtime *rt;
    char *dir;
    ilk_sync sync;
    size_t gather;
    uint64_t seed; /* of hashes */
    bool read_only, foreign, repair;
    ilki_file *lock_file;
    ilki_log log;
    ilki_db db;
    ilki_tail tail;
    pthread_mutex_t write_lock; /* writing; a reader's refresh */
    pthread_mutex_t apply_lock; /* changing the derived tables */
    ilki_buf buf;               /* a batch being encoded: under write_lock */
    ilki_scan scan;             /* a reader's: where it goes on */
    pthread_mutex_t space_lock;
    ilki_space_row **spaces; /* in order of creation; rows stay until close */
    size_t n_spaces, cap_spaces;
    pthread_mutex_t service_lock;
    pthread_cond_t service_idle;
    bool posted;           /* the service thread has been asked to apply */
    ilk_error apply_error; /* of the service thread, until it is told */
};

/* ---- recover.c */
/* Applies batches of the tail up to `limit` (an LSN), a slice; *more: something is left. Takes apply_lock. */
ilk_status ilki_store_apply_slice(ilki_store *s, uint64_t limit, bool *more, ilk_error *err);
/* The same until nothing is left, after syncing the log where that has not been done. With write_lock held. */
ilk_status ilki_store_apply_all(ilki_store *s, ilk_error *err);
/* After a write: once enough has gathered, has the service thread apply it, or applies it here. With write_lock held. */
void ilki_store_apply_behind(ilki_store *s);
/* Has the service thread apply what there is; false: there is no such thread. Any lock may be held but service_lock. */
bool ilki_store_apply_post(ilki_store *s);
/* After a failed read: true when the tables were unfit and have been rebuilt, so that the caller tries once more. */
bool ilki_store_mend(ilki_store *s, ilk_status *st, int attempt, ilk_error *err);
/* Replays the log from the state of `db` to the LSN `upto`; `c` is its writing connection. */
ilk_status ilki_store_replay(ilki_store *s, ilki_conn *c, uint64_t upto, ilk_error *err);
/* Rebuilds the tables up to where the tail begins. With apply_lock held. */
ilk_status ilki_store_rebuild(ilki_store *s, ilk_error *err);
/* A batch found in the log goes to the tail, its spaces to the store. */
ilk_status ilki_store_take_batch(ilki_store *s, const ilki_scan *scan, ilk_error *err);

/* ---- salvage.c */
/* A store whose manifest is missing or damaged gets another, made from the headers of its log files: what was done, and
 * what could not be used, goes to the log. A sound manifest, or none and no log file, is left as it is. With the lock
 * held. UNSUPPORTED: a later version's. CORRUPT: the log files do not make a whole. */
ilk_status ilki_store_salvage(ilki_store *s, ilk_error *err);

/* ---- space.c */
ilki_space_row *ilki_store_space_row_new(const unsigned char *body, size_t n);
ilk_status ilki_store_space_reserve(ilki_store *s, size_t n, ilk_error *err);
void ilki_store_space_add(ilki_store *s, ilki_space_row *row);   /* takes it; a known id is dropped */
ilk_status ilki_store_space_load(ilki_store *s, ilk_error *err); /* what the tables know and the store does not */
const ilki_space_row *ilki_store_space_by_name(ilki_store *s, const char *name);
const ilki_space_row *ilki_store_space_by_id(ilki_store *s, uint32_t id);

/* ---- view.c: one snapshot of the tables, and the tail past it */
typedef struct ilki_view {
    ilki_store *store;
    ilki_conn *c;
    uint64_t applied, last; /* LSN of the snapshot; of the newest batch seen */
    uint64_t versions;      /* puts in the log so far */
    ilki_entry **items;     /* newest put or delete of each id past the snapshot, by id */
    size_t n_items;
    ilki_tail_batch **held; /* oldest first */
    size_t n_held;
} ilki_view;

ilk_status ilki_store_view_open(ilki_store *s, ilki_view *v, ilk_error *err);
void ilki_store_view_close(ilki_view *v);   /* gives the connection back; a zeroed one is fine */
void ilki_store_view_release(ilki_view *v); /* the connection alone; entries stay until close */
/* The newest put or delete of each id among LSNs (applied, upto], by id; freed with free(). Batches are applied whole,
 * so that those held lie past the snapshot as a whole. */
ilk_status ilki_store_view_collect(const ilki_view *v, uint64_t upto, ilki_entry ***out, size_t *n, ilk_error *err);
/* Does the tail replace this id? NULL where not. */
ilki_entry *ilki_store_view_find(ilki_entry *const *items, size_t n, const char *id, size_t len);

/* ---- read.c */
/* A place of the log, read and checked: head and body, with `data` the data section too (without: data_bytes is 0). */
typedef struct ilki_raw {
    unsigned char *bytes; /* freed with free() */
    ilki_record_head head;
    const unsigned char *body, *data;
} ilki_raw;
ilk_status ilki_store_read_place(ilki_store *s, const ilki_place *p, uint64_t lsn, bool data, ilki_raw *out,
                                 ilk_error *err);
/* The vector of `space` in a raw item, checked: NULL in out->data where there is none. Data is put into *block. */
ilk_status ilki_store_raw_vector(const ilki_raw *raw, uint32_t space, const char *name, ilk_vector *out, void **block,
                                 ilk_error *err);

/* ---- catalogue.c */
/* The source of an id, in a copy of its body (NULL where there is none), freed with free(). */
ilk_status ilki_store_source_body(ilki_store *s, const char *id, unsigned char **body, size_t *n, ilk_error *err);

#endif
