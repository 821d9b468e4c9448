/* SPDX-License-Identifier: Apache-2.0
 * The tables that are derived from the log: SQLite in derived/meta.db, or in memory for a reader that cannot use that
 * file. Connections are handed out one per caller; nobody holds two, and none is held across a caller's callback. */
#ifndef ILKI_STORE_META_H
#define ILKI_STORE_META_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/sqlite_vfs.h"
#include "store/tail.h"

struct ilki_store;

typedef enum ilki_sql {
    ILKI_SQL_STATE,
    ILKI_SQL_SET_STATE,
    ILKI_SQL_ITEM_BY_ID, /* lsn, parent, file, at, total, body, vectors, id */
    ILKI_SQL_ITEM_BY_LSN,
    ILKI_SQL_PARTS,
    ILKI_SQL_ADD_ITEM,
    ILKI_SQL_DROP_ITEM,
    ILKI_SQL_ADD_DEAD,
    ILKI_SQL_ADD_FIELD,
    ILKI_SQL_DROP_FIELDS,
    ILKI_SQL_NAME,
    ILKI_SQL_ADD_NAME,
    ILKI_SQL_SET_META,
    ILKI_SQL_DROP_META,
    ILKI_SQL_META,
    ILKI_SQL_SET_SOURCE,
    ILKI_SQL_SOURCE_BY_ID,
    ILKI_SQL_SOURCE_BY_PATH,
    ILKI_SQL_SOURCE_BY_HASH,
    ILKI_SQL_SOURCES,
    ILKI_SQL_ADD_SPACE,
    ILKI_SQL_SPACES,
    ILKI_SQL_CHANGED_ITEMS,
    ILKI_SQL_CHANGED_DEAD,
    ILKI_SQL_BEGIN,
    ILKI_SQL_BEGIN_WRITE,
    ILKI_SQL_COMMIT,
    ILKI_SQL_ROLLBACK,
    ILKI_SQL_COUNT
} ilki_sql;

enum { ILKI_KNOWN_NAMES = 16 };

typedef struct ilki_conn {
    sqlite3 *db;
    sqlite3_stmt *stmts[ILKI_SQL_COUNT];
    struct ilki_db *owner;
    struct ilki_conn *next;
    ilk_status func_status; /* of a function of ours that failed inside a statement; else OK */
    ilk_error func_error;
    struct {
        char name[ILKI_FIELD_NAME_BYTES + 1];
        int64_t n;
    } names[ILKI_KNOWN_NAMES]; /* of fields, seen in this transaction */
    size_t n_names;
} ilki_conn;

/* Up to where the log has been applied: with the tables, in one transaction. */
typedef struct ilki_db_state {
    uint64_t lsn, file, at; /* the next batch begins at `at` of log file `file` */
    uint64_t versions;      /* item versions ever put */
} ilki_db_state;

typedef struct ilki_db {
    struct ilki_store *store;
    ilki_sqlite_vfs vfs;
    char *path;
    bool in_memory; /* one connection serves all, one after another */
    bool read_only;
    uint8_t uuid[ILKI_UUID_BYTES];
    uint64_t dev, ino; /* of the file, to notice one that took its place */
    atomic_bool unfit; /* something was found malformed: to be rebuilt */
    bool blank;        /* of what was opened last: a file without a table, as one is left that was never filled */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    ilki_conn *idle;
    size_t n_open, n_busy;
    bool open, draining;
    ilki_conn *writer; /* under the store's apply lock */
} ilki_db;

enum { ILKI_MAX_CONNECTIONS = 4, ILKI_MAX_KEPT_BYTES = 128 }; /* of a text or bytes value in `field` */

/* The classes of values that compare with each other: column c of `field`. */
typedef enum ilki_class {
    ILKI_CLASS_NULL,
    ILKI_CLASS_BOOL,
    ILKI_CLASS_NUMBER,
    ILKI_CLASS_TEXT,
    ILKI_CLASS_BYTES,
    ILKI_CLASS_TIME
} ilki_class;
ilki_class ilki_store_value_class(ilk_value_type t);

ilk_status ilki_store_db_init(ilki_db *db, struct ilki_store *s, ilk_error *err);
void ilki_store_db_deinit(ilki_db *db);
/* Opens the tables that are there. CORRUPT: there are none, or unfit ones; to be made anew. */
ilk_status ilki_store_db_open(ilki_db *db, ilk_error *err);
/* Makes empty ones, in the file or in memory, in place of what is there; no connection may be held by the caller. Callers
 * of db_take wait until `ready`. */
ilk_status ilki_store_db_reset(ilki_db *db, bool in_memory, ilk_error *err);
void ilki_store_db_ready(ilki_db *db, bool usable);

ilk_status ilki_store_db_take(ilki_db *db, ilki_conn **c, ilk_error *err);
void ilki_store_db_give(ilki_db *db, ilki_conn *c); /* ends a transaction that is open */
/* The connection that writes: under the apply lock. */
ilk_status ilki_store_db_take_writer(ilki_db *db, ilki_conn **c, ilk_error *err);
void ilki_store_db_give_writer(ilki_db *db, ilki_conn *c);

/* A prepared statement, reset; NULL with err filled. */
sqlite3_stmt *ilki_store_db_stmt(ilki_conn *c, ilki_sql which, ilk_status *st, ilk_error *err);
/* Steps: *row where there is one. Any failure resets the statement. */
ilk_status ilki_store_db_step(ilki_conn *c, sqlite3_stmt *s, bool *row, ilk_error *err);
/* One that gives no rows. */
ilk_status ilki_store_db_run(ilki_conn *c, ilki_sql which, ilk_error *err);
ilk_status ilki_store_db_fail(ilki_conn *c, int rc, ilk_error *err);
ilk_status ilki_store_db_state(ilki_conn *c, ilki_db_state *state, ilk_error *err);

/* Closes what is open and opens the file anew; waits for connections to come back. */
ilk_status ilki_store_db_reopen(ilki_db *db, ilk_error *err);
/* Has another file taken the place of the one that is open? */
bool ilki_store_db_replaced(ilki_db *db);

/* apply.c: batches in order, in one transaction, and the state behind them. */
ilk_status ilki_store_db_apply(ilki_conn *c, ilki_tail_batch *const *batches, size_t n, ilk_error *err);

#endif
