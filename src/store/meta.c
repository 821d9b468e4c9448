/* SPDX-License-Identifier: Apache-2.0
 * Connections and statements of the derived tables. Ids, names, texts and paths are kept as blobs, which SQLite compares
 * byte by byte; a text or bytes value longer than 128 bytes is kept as its first 128 with x = 1 (filter_sql.c reads the rest
 * from the log where it matters).
 *
 *   state   one row: store id, LSN, log file and offset applied, item versions ever put
 *   item    current versions by LSN: id, parent, place in the log, number of vectors
 *   field   typed fields of current items; names are numbered in `name`
 *   dead    versions that are no longer current: LSN, LSN of the record that ended it, id
 *   space, meta, source  what their records say */
#include "store/meta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

enum { SCHEMA = 1, BUSY_MS = 5000, CACHE_KIB = 2048, CHECKPOINT_PAGES = 4000 };

static const char schema[] =
    "CREATE TABLE state(k INTEGER PRIMARY KEY, uuid BLOB NOT NULL, lsn INTEGER NOT NULL, file INTEGER NOT NULL,"
    " at INTEGER NOT NULL, versions INTEGER NOT NULL);"
    "CREATE TABLE item(lsn INTEGER PRIMARY KEY, id BLOB NOT NULL, parent BLOB, file INTEGER NOT NULL,"
    " at INTEGER NOT NULL, total INTEGER NOT NULL, body INTEGER NOT NULL, vectors INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX item_id ON item(id);"
    "CREATE INDEX item_parent ON item(parent) WHERE parent IS NOT NULL;"
    "CREATE TABLE name(n INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE field(lsn INTEGER NOT NULL, n INTEGER NOT NULL, c INTEGER NOT NULL, v, x INTEGER NOT NULL,"
    " PRIMARY KEY(lsn, n)) WITHOUT ROWID;"
    "CREATE INDEX field_value ON field(n, c, v, x);"
    "CREATE TABLE dead(lsn INTEGER PRIMARY KEY, at INTEGER NOT NULL, id BLOB NOT NULL);"
    "CREATE INDEX dead_at ON dead(at);"
    "CREATE TABLE space(n INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE meta(name BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE source(id BLOB PRIMARY KEY, lsn INTEGER NOT NULL, root BLOB NOT NULL, path BLOB NOT NULL,"
    " hash BLOB NOT NULL, state INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX source_path ON source(root, path);"
    "CREATE INDEX source_hash ON source(hash);";

#define ITEM_COLUMNS "SELECT lsn, parent, file, at, total, body, vectors, id FROM item "

static const char *const sql[ILKI_SQL_COUNT] = {
    [ILKI_SQL_STATE] = "SELECT uuid, lsn, file, at, versions FROM state WHERE k = 0",
    [ILKI_SQL_SET_STATE] = "INSERT OR REPLACE INTO state VALUES(0, ?, ?, ?, ?, ?)",
    [ILKI_SQL_ITEM_BY_ID] = ITEM_COLUMNS "WHERE id = ?",
    [ILKI_SQL_ITEM_BY_LSN] = ITEM_COLUMNS "WHERE lsn = ?",
    [ILKI_SQL_PARTS] = "SELECT id FROM item WHERE parent = ?",
    [ILKI_SQL_ADD_ITEM] = "INSERT OR IGNORE INTO item VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [ILKI_SQL_DROP_ITEM] = "DELETE FROM item WHERE lsn = ?",
    [ILKI_SQL_ADD_DEAD] = "INSERT INTO dead VALUES(?, ?, ?)",
    [ILKI_SQL_ADD_FIELD] = "INSERT INTO field VALUES(?, ?, ?, ?, ?)",
    [ILKI_SQL_DROP_FIELDS] = "DELETE FROM field WHERE lsn = ?",
    [ILKI_SQL_NAME] = "SELECT n FROM name WHERE name = ?",
    [ILKI_SQL_ADD_NAME] = "INSERT INTO name(name) VALUES(?)",
    [ILKI_SQL_SET_META] = "INSERT OR REPLACE INTO meta VALUES(?, ?)",
    [ILKI_SQL_DROP_META] = "DELETE FROM meta WHERE name = ?",
    [ILKI_SQL_META] = "SELECT value FROM meta WHERE name = ?",
    [ILKI_SQL_SET_SOURCE] = "INSERT OR REPLACE INTO source VALUES(?, ?, ?, ?, ?, ?, ?)",
    [ILKI_SQL_SOURCE_BY_ID] = "SELECT id, lsn, body FROM source WHERE id = ?",
    [ILKI_SQL_SOURCE_BY_PATH] = "SELECT id, lsn, body FROM source WHERE root = ? AND path = ? AND state <> 4",
    [ILKI_SQL_SOURCE_BY_HASH] = "SELECT id, lsn, body FROM source WHERE hash = ? AND state <> 4",
    [ILKI_SQL_SOURCES] = "SELECT id, lsn, body FROM source",
    [ILKI_SQL_ADD_SPACE] = "INSERT OR REPLACE INTO space VALUES(?, ?)",
    [ILKI_SQL_SPACES] = "SELECT n, body FROM space ORDER BY n",
    [ILKI_SQL_CHANGED_ITEMS] = "SELECT lsn, id, file, at, total, body FROM item WHERE lsn > ? ORDER BY lsn",
    [ILKI_SQL_CHANGED_DEAD] = "SELECT lsn, at, id FROM dead WHERE at > ?1 AND lsn <= ?1 ORDER BY at",
    [ILKI_SQL_BEGIN] = "BEGIN",
    [ILKI_SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [ILKI_SQL_COMMIT] = "COMMIT",
    [ILKI_SQL_ROLLBACK] = "ROLLBACK",
};

ilki_class ilki_store_value_class(ilk_value_type t)
{
    static const ilki_class classes[] = {ILKI_CLASS_NULL, ILKI_CLASS_BOOL,  ILKI_CLASS_NUMBER, ILKI_CLASS_NUMBER,
                                         ILKI_CLASS_TEXT, ILKI_CLASS_BYTES, ILKI_CLASS_TIME};
    return classes[t];
}

/* ---- statements */

ilk_status ilki_store_db_fail(ilki_conn *c, int rc, ilk_error *err)
{
    int base = rc & 0xff, full = c->db ? sqlite3_extended_errcode(c->db) : rc;
    const char *text = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);
    ilk_status st = ILK_IO;
    if (c->func_status) { /* the log's, not the tables' */
        st = c->func_status;
        ilki_base_error_copy(err, &c->func_error);
        c->func_status = ILK_OK;
        return st;
    }
    if (base == SQLITE_NOMEM)
        st = ILK_NO_MEMORY;
    else if (base == SQLITE_BUSY || base == SQLITE_LOCKED)
        st = ILK_BUSY;
    else if (base == SQLITE_TOOBIG)
        st = ILK_LIMIT;
    else if (base == SQLITE_CORRUPT || base == SQLITE_NOTADB || base == SQLITE_ERROR || base == SQLITE_SCHEMA ||
             base == SQLITE_CONSTRAINT || base == SQLITE_MISMATCH || rc == SQLITE_IOERR_DATA ||
             (base == SQLITE_IOERR && full == SQLITE_IOERR_DATA))
        st = ILK_CORRUPT;
    if (st == ILK_CORRUPT)
        atomic_store(&c->owner->unfit, true);
    return ilki_base_fail(err, st, "%s: %s", c->owner->path, text);
}

sqlite3_stmt *ilki_store_db_stmt(ilki_conn *c, ilki_sql which, ilk_status *st, ilk_error *err)
{
    *st = ILK_OK;
    if (!c->stmts[which]) {
        int rc = sqlite3_prepare_v3(c->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &c->stmts[which], NULL);
        if (rc) {
            *st = ilki_store_db_fail(c, rc, err);
            return NULL;
        }
    } else {
        sqlite3_reset(c->stmts[which]);
    }
    return c->stmts[which];
}

ilk_status ilki_store_db_step(ilki_conn *c, sqlite3_stmt *s, bool *row, ilk_error *err)
{
    int rc = sqlite3_step(s);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW)
        return ILK_OK;
    ilk_status st = rc == SQLITE_DONE ? ILK_OK : ilki_store_db_fail(c, rc, err);
    sqlite3_reset(s);
    return st;
}

ilk_status ilki_store_db_run(ilki_conn *c, ilki_sql which, ilk_error *err)
{
    ilk_status st;
    bool row;
    sqlite3_stmt *s = ilki_store_db_stmt(c, which, &st, err);
    return s ? ilki_store_db_step(c, s, &row, err) : st;
}

ilk_status ilki_store_db_state(ilki_conn *c, ilki_db_state *state, ilk_error *err)
{
    ilk_status st;
    bool row = false;
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_STATE, &st, err);
    if (s)
        st = ilki_store_db_step(c, s, &row, err);
    if (st)
        return st;
    if (!row || sqlite3_column_bytes(s, 0) != ILKI_UUID_BYTES ||
        memcmp(sqlite3_column_blob(s, 0), c->owner->uuid, ILKI_UUID_BYTES) != 0) {
        sqlite3_reset(s);
        atomic_store(&c->owner->unfit, true);
        return ilki_base_fail(err, ILK_CORRUPT, "%s: it does not belong to this store", c->owner->path);
    }
    *state = (ilki_db_state){(uint64_t)sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2),
                             (uint64_t)sqlite3_column_int64(s, 3), (uint64_t)sqlite3_column_int64(s, 4)};
    sqlite3_reset(s);
    return ILK_OK;
}

/* ---- connections */

static void conn_close(ilki_conn *c)
{
    if (!c)
        return;
    for (int i = 0; i < ILKI_SQL_COUNT; i++)
        sqlite3_finalize(c->stmts[i]);
    sqlite3_close(c->db);
    free(c);
}

static ilk_status exec(ilki_conn *c, const char *text, ilk_error *err)
{
    int rc = sqlite3_exec(c->db, text, NULL, NULL, NULL);
    return rc ? ilki_store_db_fail(c, rc, err) : ILK_OK;
}

static ilk_status conn_open(ilki_db *db, bool to_write, ilki_conn **out, ilk_error *err)
{
    ilki_conn *c = ilki_base_zalloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return ilki_base_fail_memory(err, sizeof *c, "a connection");
    c->owner = db;
    ilk_error_init(&c->func_error);
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (to_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    int rc = sqlite3_open_v2(db->in_memory ? ":memory:" : db->path, &c->db, flags, db->vfs.name);
    ilk_status st = rc ? ilki_store_db_fail(c, rc, err) : ILK_OK;
    if (!st) {
        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_timeout(c->db, BUSY_MS);
        /* A connection that is closed must not tidy up files that a rebuild may have replaced: deinit does that. */
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        st = exec(c,
                  "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON",
                  err);
    }
    if (!st)
        st = ilki_store_filter_functions(c, err);
    if (!st && to_write) {
        char text[160];
        snprintf(text, sizeof text, "PRAGMA cache_size=-%d; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=%d",
                 CACHE_KIB, CHECKPOINT_PAGES);
        st = exec(c, text, err);
    }
    if (st) {
        conn_close(c);
        c = NULL;
    }
    *out = c;
    return st;
}

/* 0 or the number of a pragma; -1 with *st. */
static int64_t pragma(ilki_conn *c, const char *text, ilk_status *st, ilk_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    int64_t v = -1;
    int rc = sqlite3_prepare_v2(c->db, text, -1, &s, NULL);
    *st = rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, s, &row, err);
    if (row)
        v = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return v;
}

static ilk_status conn_check(ilki_conn *c, ilk_error *err)
{
    ilk_status st;
    ilki_db_state state;
    int reserved = -1;
    int64_t version = pragma(c, "PRAGMA user_version", &st, err);
    if (st)
        return st;
    sqlite3_file_control(c->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
    if (version == 0 && pragma(c, "SELECT count(*) FROM sqlite_master", &st, err) == 0) {
        atomic_store(&c->owner->unfit, true);
        c->owner->blank = true;
        return ilki_base_fail(err, ILK_CORRUPT, "%s: there are no tables in it yet", c->owner->path);
    }
    if (version != SCHEMA || reserved != ILKI_PAGE_RESERVED) {
        atomic_store(&c->owner->unfit, true);
        return ilki_base_fail(err, ILK_CORRUPT, "%s: schema %d with %d bytes reserved, expected %d with %d",
                              c->owner->path, (int)version, reserved, SCHEMA, ILKI_PAGE_RESERVED);
    }
    return ilki_store_db_state(c, &state, err);
}

static ilk_status conn_create(ilki_conn *c, ilk_error *err)
{
    ilki_db *db = c->owner;
    int reserved = ILKI_PAGE_RESERVED;
    char text[64];
    ilk_status st = exec(c, "PRAGMA page_size=4096", err);
    if (!st && !db->in_memory) {
        sqlite3_file_control(c->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
        st = exec(c, "PRAGMA journal_mode=WAL", err);
    }
    if (!st)
        st = exec(c, "BEGIN IMMEDIATE", err);
    if (!st)
        st = exec(c, schema, err);
    snprintf(text, sizeof text, "PRAGMA user_version=%d", SCHEMA);
    if (!st)
        st = exec(c, text, err);
    sqlite3_stmt *s = st ? NULL : ilki_store_db_stmt(c, ILKI_SQL_SET_STATE, &st, err);
    bool row;
    if (s) {
        ilki_scan first;
        ilki_store_scan_start(&first, &db->store->log);
        sqlite3_bind_blob(s, 1, db->uuid, ILKI_UUID_BYTES, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, (sqlite3_int64)first.next_lsn - 1);
        sqlite3_bind_int64(s, 3, (sqlite3_int64)first.file);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)first.at);
        sqlite3_bind_int64(s, 5, 0);
        st = ilki_store_db_step(c, s, &row, err);
    }
    if (!st)
        st = exec(c, "COMMIT", err);
    if (!st && !db->in_memory)
        st = conn_check(c, err);
    return st;
}

/* ---- the set of connections */

ilk_status ilki_store_db_init(ilki_db *db, struct ilki_store *s, ilk_error *err)
{
    memset(db, 0, sizeof *db);
    db->store = s;
    db->read_only = s->read_only;
    memcpy(db->uuid, s->log.m.uuid, sizeof db->uuid);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->freed, NULL);
    db->path = ilki_base_path_join(s->dir, "derived/meta.db");
    if (!db->path)
        return ilki_base_fail_memory(err, strlen(s->dir) + 16, "a path");
    return ilki_store_sqlite_vfs_add(&db->vfs, s->vfs, err);
}

static void close_idle(ilki_db *db)
{
    for (ilki_conn *c = db->idle, *next; c; c = next) {
        next = c->next;
        conn_close(c);
        db->n_open--;
    }
    db->idle = NULL;
}

void ilki_store_db_deinit(ilki_db *db)
{
    if (!db->store)
        return;
    close_idle(db);
    if (db->writer && !atomic_load(&db->unfit)) /* checkpoint, and take -wal and -shm away */
        sqlite3_db_config(db->writer->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    conn_close(db->writer);
    ilki_store_sqlite_vfs_remove(&db->vfs);
    free(db->path);
    pthread_cond_destroy(&db->freed);
    pthread_mutex_destroy(&db->lock);
    memset(db, 0, sizeof *db);
}

static void remember_file(ilki_db *db)
{
    ilki_stat st = {0};
    if (!db->in_memory && db->store->vfs->stat(db->store->vfs, db->path, true, &st, NULL) == ILK_OK) {
        db->dev = st.dev;
        db->ino = st.ino;
    }
}

bool ilki_store_db_replaced(ilki_db *db)
{
    ilki_stat st;
    return !db->in_memory && db->store->vfs->stat(db->store->vfs, db->path, true, &st, NULL) == ILK_OK &&
           (st.dev != db->dev || st.ino != db->ino);
}

ilk_status ilki_store_db_open(ilki_db *db, ilk_error *err)
{
    const ilki_vfs *v = db->store->vfs;
    ilki_conn *c = NULL;
    ilki_stat have;
    ilk_status st = v->stat(v, db->path, true, &have, err);
    if (st == ILK_NOT_FOUND || (!st && have.size == 0)) {
        atomic_store(&db->unfit, true);
        return ilki_base_fail(err, ILK_CORRUPT, "%s: there is none yet", db->path);
    }
    if (st)
        return st;
    db->blank = false;
    st = conn_open(db, !db->read_only, &c, err);
    if (!st)
        st = conn_check(c, err);
    if (st) {
        conn_close(c);
        return st;
    }
    remember_file(db);
    pthread_mutex_lock(&db->lock);
    if (db->read_only) {
        db->idle = c;
        db->n_open = 1;
    } else {
        db->writer = c;
    }
    db->open = true;
    pthread_mutex_unlock(&db->lock);
    return ILK_OK;
}

static ilk_status remove_files(ilki_db *db, ilk_error *err)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    const ilki_vfs *v = db->store->vfs;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char *path = malloc(strlen(db->path) + 16);
        if (!path)
            return ilki_base_fail_memory(err, strlen(db->path) + 16, "a path");
        sprintf(path, "%s%s", db->path, ends[i]);
        ilk_status st = v->unlink(v, path, err);
        free(path);
        if (st && st != ILK_NOT_FOUND)
            return st;
    }
    char *dir = ilki_base_path_join(db->store->dir, "derived");
    ilk_status st = dir ? v->make_dir(v, dir, 0700, err) : ilki_base_fail_memory(err, strlen(db->path), "a path");
    free(dir);
    return st;
}

/* Waits for every connection and closes it; nobody gets another until `ready`. */
static void drain(ilki_db *db)
{
    pthread_mutex_lock(&db->lock);
    db->draining = true;
    while (db->n_busy)
        pthread_cond_wait(&db->freed, &db->lock);
    close_idle(db);
    db->open = false;
    pthread_mutex_unlock(&db->lock);
}

ilk_status ilki_store_db_reopen(ilki_db *db, ilk_error *err)
{
    drain(db);
    conn_close(db->writer);
    db->writer = NULL;
    ilk_status st = ilki_store_db_open(db, err);
    pthread_mutex_lock(&db->lock);
    db->draining = false;
    pthread_cond_broadcast(&db->freed);
    pthread_mutex_unlock(&db->lock);
    return st;
}

ilk_status ilki_store_db_reset(ilki_db *db, bool in_memory, ilk_error *err)
{
    drain(db);
    conn_close(db->writer);
    db->writer = NULL;
    db->in_memory = in_memory;
    atomic_store(&db->unfit, false);
    ilki_conn *c = NULL;
    ilk_status st = in_memory ? ILK_OK : remove_files(db, err);
    if (!st)
        st = conn_open(db, true, &c, err);
    if (!st)
        st = conn_create(c, err);
    if (st) {
        conn_close(c);
        c = NULL;
    }
    remember_file(db);
    db->writer = c;
    return st;
}

void ilki_store_db_ready(ilki_db *db, bool usable)
{
    pthread_mutex_lock(&db->lock);
    db->draining = false;
    db->open = usable;
    if (usable && db->in_memory) { /* the one connection is everybody's */
        db->idle = db->writer;
        db->writer = NULL;
        db->n_open = 1;
    }
    pthread_cond_broadcast(&db->freed);
    pthread_mutex_unlock(&db->lock);
    if (!usable)
        atomic_store(&db->unfit, true);
}

ilk_status ilki_store_db_take(ilki_db *db, ilki_conn **out, ilk_error *err)
{
    size_t max = db->in_memory ? 1 : ILKI_MAX_CONNECTIONS;
    ilki_conn *c = NULL;
    ilk_status st = ILK_OK;
    *out = NULL;
    pthread_mutex_lock(&db->lock);
    while (db->draining || (db->open && !db->idle && db->n_open >= max))
        pthread_cond_wait(&db->freed, &db->lock);
    if (!db->open) {
        pthread_mutex_unlock(&db->lock);
        atomic_store(&db->unfit, true);
        return ilki_base_fail(err, ILK_CORRUPT, "%s: it could not be rebuilt", db->path);
    }
    db->n_busy++;
    if (db->idle) {
        c = db->idle;
        db->idle = c->next;
    } else {
        db->n_open++;
    }
    pthread_mutex_unlock(&db->lock);
    if (!c)
        st = conn_open(db, false, &c, err);
    if (st) {
        pthread_mutex_lock(&db->lock);
        db->n_busy--;
        db->n_open--;
        pthread_cond_broadcast(&db->freed);
        pthread_mutex_unlock(&db->lock);
    }
    *out = c;
    return st;
}

/* No cursor stays open and no transaction: a failed statement may have ended it already. */
static void conn_rest(ilki_conn *c)
{
    for (int i = 0; i < ILKI_SQL_COUNT; i++)
        if (c->stmts[i])
            sqlite3_reset(c->stmts[i]);
    if (!sqlite3_get_autocommit(c->db))
        ilki_store_db_run(c, ILKI_SQL_ROLLBACK, NULL);
}

void ilki_store_db_give(ilki_db *db, ilki_conn *c)
{
    if (!c)
        return;
    conn_rest(c);
    pthread_mutex_lock(&db->lock);
    c->next = db->idle;
    db->idle = c;
    db->n_busy--;
    pthread_cond_broadcast(&db->freed);
    pthread_mutex_unlock(&db->lock);
}

ilk_status ilki_store_db_take_writer(ilki_db *db, ilki_conn **c, ilk_error *err)
{
    if (db->in_memory)
        return ilki_store_db_take(db, c, err);
    *c = db->writer;
    return db->writer ? ILK_OK : ilki_base_fail(err, ILK_CORRUPT, "%s: it could not be rebuilt", db->path);
}

void ilki_store_db_give_writer(ilki_db *db, ilki_conn *c)
{
    if (db->in_memory)
        ilki_store_db_give(db, c);
    else if (c)
        conn_rest(c);
}
