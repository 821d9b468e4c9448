/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a store changed where it lies: what a program is told afterwards is right, or an error. Derived data heals by
 * itself or by a check; what is wrong in the log is told and never served. */
#include "faulty.h"
#include "random.h"
#include "store/sqlite_vfs.h"
#include "store_test.h"

enum { N_IDS = 40, MAX_FILES = 8, MAX_BYTES = 1 << 20 };

typedef struct image {
    char path[64];
    char *data;
    size_t n;
} image;

typedef struct rig {
    faulty *f;
    const ilki_vfs *v;
    image files[MAX_FILES];
    size_t n_files;
    int64_t version[N_IDS];
    ilk_error err;
    size_t n_findings, n_repaired;
    bool repair;
} rig;

static ilk_status open_store(rig *r, ilki_store **s, bool read_only)
{
    ilki_store_open_options opt = {
        .vfs = r->v, .read_only = read_only, .max_log_bytes = 9000, .gather = 1000, .repair = r->repair};
    return ilki_store_open(s, "/store", &opt, &r->err);
}

static void keep(rig *r, const char *path)
{
    image *m = &r->files[r->n_files];
    snprintf(m->path, sizeof m->path, "%s", path);
    if (ilki_base_read_file(r->v, path, MAX_BYTES, &m->data, &m->n, NULL) == ILK_OK)
        r->n_files++;
}

/* A store of two log files and more, closed, and a copy of its files. */
static void rig_new(rig *r)
{
    memset(r, 0, sizeof *r);
    r->f = faulty_new();
    r->v = faulty_vfs(r->f);
    ilk_error_init(&r->err);
    memset(r->version, 0xff, sizeof r->version);
    ilki_store *s;
    REQUIRE(CHECK_OK(open_store(r, &s, false), &r->err));
    ilk_space sp = st_space("v", ILK_DENSE, ST_DIM);
    uint64_t rng = 4;
    for (int k = 0; k < 16; k++) {
        st_batch b = {0};
        char id[16];
        for (int i = 0; i < 3; i++) {
            size_t x = (size_t)(k * 3 + i) % N_IDS;
            snprintf(id, sizeof id, "i%02zu", x);
            r->version[x] = (int64_t)(test_random(&rng) % 1000);
            st_put(&b, id, NULL, (uint64_t)r->version[x]);
        }
        if (k == 14) {
            st_delete(&b, "i20");
            r->version[20] = -1;
        }
        ilki_batch args = st_args(&b);
        args.spaces = &sp;
        args.n_spaces = 1;
        CHECK_OK(ilki_store_write(s, &args, NULL, NULL, &r->err), &r->err);
    }
    ilki_store_close(s);
    keep(r, "/store/manifest");
    keep(r, "/store/log/00000001.log");
    keep(r, "/store/log/00000002.log");
    keep(r, "/store/derived/meta.db");
    CHECK_INT(r->n_files, 4);
}

static void rig_free(rig *r)
{
    for (size_t i = 0; i < r->n_files; i++)
        free(r->files[i].data);
    CHECK_INT(faulty_n_open(r->f), 0);
    faulty_free(r->f);
}

static void put_file(rig *r, const char *path, const char *data, size_t n)
{
    ilki_file *f = NULL;
    REQUIRE(CHECK_OK(r->v->open(r->v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, &r->err), &r->err));
    CHECK_OK(r->v->truncate(f, 0, &r->err), &r->err);
    CHECK_OK(r->v->write(f, 0, data, n, &r->err), &r->err);
    r->v->close(f);
}

static void restore(rig *r)
{
    static const char *const others[] = {"/store/derived/meta.db-wal", "/store/derived/meta.db-shm"};
    for (size_t i = 0; i < 2; i++)
        r->v->unlink(r->v, others[i], NULL);
    for (size_t i = 0; i < r->n_files; i++)
        put_file(r, r->files[i].path, r->files[i].data, r->files[i].n);
}

/* Every answer is right or an error; how many were errors. */
static size_t ask_all(rig *r, ilki_store *s)
{
    size_t n_errors = 0;
    for (size_t i = 0; i < N_IDS; i++) {
        char id[16];
        ilki_record *rec = NULL;
        snprintf(id, sizeof id, "i%02zu", i);
        ilk_status st = ilki_store_get(s, id, true, &rec, &r->err);
        if (st == ILK_NOT_FOUND)
            CHECK_THAT(r->version[i] == -1, "%s is gone", id);
        else if (st == ILK_OK)
            CHECK_THAT(r->version[i] >= 0 && st_version(rec) == r->version[i], "%s is another", id);
        else
            n_errors += CHECK_STATUS(st, ILK_CORRUPT, &r->err);
        ilki_store_record_free(rec);
    }
    uint64_t n = 0;
    ilk_status st = ilki_store_count(s, NULL, &n, &r->err);
    if (st == ILK_OK)
        CHECK_INT(n, N_IDS - 1);
    else
        n_errors++;
    return n_errors;
}

static void count_finding(void *user, const char *object, const char *finding, int repaired)
{
    rig *r = user;
    CHECK(object[0] && finding[0]);
    r->n_findings++;
    r->n_repaired += repaired != 0;
}

/* One byte of the log changed. With tables or without, for a writer or a reader: opens with right answers, or says
 * CORRUPT; and a check always finds it. */
static void log_damage(rig *r, size_t file, size_t at)
{
    image *m = &r->files[file];
    for (int how = 0; how < 4; how++) {
        bool read_only = how & 1, no_tables = how & 2;
        ilki_store *s;
        restore(r);
        m->data[at] ^= 0x20;
        put_file(r, m->path, m->data, m->n);
        m->data[at] ^= 0x20;
        if (no_tables)
            r->v->unlink(r->v, "/store/derived/meta.db", NULL);
        ilk_status st = open_store(r, &s, read_only);
        if (st) {
            CHECK_STATUS(st, ILK_CORRUPT, &r->err);
            continue;
        }
        CHECK_THAT(!no_tables, "file %zu byte %zu: opened although the tables come from a damaged log", file, at);
        ask_all(r, s);
        r->n_findings = 0;
        st = ilki_store_check(s, true, count_finding, r, NULL, &r->err);
        CHECK_THAT(st == ILK_CORRUPT && r->n_findings > 0, "file %zu byte %zu: not found by a check", file, at);
        ask_all(r, s);
        ilki_store_close(s);
    }
}

static void flipped_log(void)
{
    static rig r;
    rig_new(&r);
    for (size_t file = 1; file <= 2; file++)
        for (size_t at = file * 3; at < r.files[file].n; at += 29)
            log_damage(&r, file, at);
    rig_free(&r);
}

static void flipped_manifest(void)
{
    static rig r;
    rig_new(&r);
    for (size_t at = 0; at < r.files[0].n; at++) {
        ilki_store *s;
        r.files[0].data[at] ^= 0x01;
        put_file(&r, r.files[0].path, r.files[0].data, r.files[0].n);
        CHECK_STATUS(open_store(&r, &s, at & 1), ILK_CORRUPT, &r.err);
        r.files[0].data[at] ^= 0x01;
    }
    restore(&r);
    ilki_store *s;
    REQUIRE(CHECK_OK(open_store(&r, &s, false), &r.err));
    CHECK_INT(ask_all(&r, s), 0);
    ilki_store_close(s);
    rig_free(&r);
}

/* One byte of the tables changed: every answer is right, whether it was met and mended on the way or not, and a check
 * with repair leaves sound tables behind. */
static void tables_damage(rig *r, size_t at, bool read_only)
{
    image *m = &r->files[3];
    ilki_store *s;
    restore(r);
    m->data[at] ^= 0x04;
    put_file(r, m->path, m->data, m->n);
    m->data[at] ^= 0x04;
    if (!CHECK_OK(open_store(r, &s, read_only), &r->err))
        return;
    size_t n_errors = ask_all(r, s);
    CHECK_THAT(n_errors == 0, "byte %zu: %zu answers failed: %s", at, n_errors, r->err.message);
    if (!read_only) {
        ilk_status st = ilki_store_check(s, true, count_finding, r, NULL, &r->err);
        CHECK_THAT(st == ILK_OK, "byte %zu: check: %s", at, r->err.message);
        st = ilki_store_check(s, false, NULL, NULL, NULL, &r->err);
        CHECK_THAT(st == ILK_OK, "byte %zu: check after repair: %s", at, r->err.message);
        CHECK_INT(ask_all(r, s), 0);
    }
    ilki_store_close(s);
}

static void flipped_tables(void)
{
    static rig r;
    rig_new(&r);
    uint64_t rng = 8;
    for (size_t at = 0; at < r.files[3].n; at += 1 + test_random(&rng) % 450)
        tables_damage(&r, at, test_random(&rng) % 3 == 0);
    for (size_t at = 0; at < 100; at++) /* SQLite's own header */
        tables_damage(&r, at, at % 3 == 0);
    CHECK(r.n_findings > 20 && r.n_repaired == r.n_findings);
    rig_free(&r);
}

/* A check that may not repair tells, and changes nothing. */
static void check_without_repair(void)
{
    static rig r;
    rig_new(&r);
    size_t n_told = 0;
    for (size_t page = 2; page < r.files[3].n / 4096; page++) {
        ilki_store *s;
        image *m = &r.files[3];
        restore(&r);
        m->data[page * 4096 + 100] ^= 0x04;
        put_file(&r, m->path, m->data, m->n);
        m->data[page * 4096 + 100] ^= 0x04;
        if (!CHECK_OK(open_store(&r, &s, false), &r.err))
            continue;
        r.n_findings = r.n_repaired = 0;
        ilk_status st = ilki_store_check(s, false, count_finding, &r, NULL, &r.err);
        n_told += st == ILK_CORRUPT && r.n_findings == 1 && r.n_repaired == 0;
        CHECK(st == ILK_OK || st == ILK_CORRUPT);
        ilki_store_close(s);
    }
    CHECK(n_told > 3);
    rig_free(&r);
}

/* Tables that are sound for SQLite and say something else than the log. */
static void tables_of_another_mind(void)
{
    static rig r;
    static const char *const spoil[] = {"DELETE FROM item WHERE id = x'693035'",
                                        "UPDATE item SET at = at + 8 WHERE lsn = 20",
                                        "UPDATE field SET v = 77 WHERE lsn = 20 AND c = 2",
                                        "DELETE FROM dead",
                                        "UPDATE state SET versions = 1",
                                        "UPDATE space SET body = x'00'",
                                        "UPDATE state SET uuid = zeroblob(16)",
                                        "DROP TABLE meta",
                                        "PRAGMA user_version=9"};
    rig_new(&r);
    for (size_t i = 0; i < sizeof spoil / sizeof *spoil; i++) {
        ilki_store *s;
        restore(&r);
        /* through SQLite itself, and our file system under it, so that pages keep their checksums */
        ilki_sqlite_vfs vfs;
        sqlite3 *db = NULL;
        CHECK_OK(ilki_store_sqlite_vfs_add(&vfs, r.v, &r.err), &r.err);
        CHECK_INT(sqlite3_open_v2("/store/derived/meta.db", &db, SQLITE_OPEN_READWRITE, vfs.name), SQLITE_OK);
        CHECK_INT(sqlite3_exec(db, spoil[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        ilki_store_sqlite_vfs_remove(&vfs);
        if (!CHECK_OK(open_store(&r, &s, false), &r.err))
            continue;
        r.n_findings = r.n_repaired = 0;
        CHECK_OK(ilki_store_check(s, true, count_finding, &r, NULL, &r.err), &r.err);
        CHECK_THAT(r.n_repaired == (i < 5 || i == 7), /* the others are seen at open */ "%s: %zu found, %zu repaired",
                   spoil[i], r.n_findings, r.n_repaired);
        CHECK_INT(ask_all(&r, s), 0);
        CHECK_OK(ilki_store_check(s, false, NULL, NULL, NULL, &r.err), &r.err);
        ilki_store_close(s);
    }
    rig_free(&r);
}

static bool query_int(rig *r, const char *text, int64_t *n)
{
    ilki_sqlite_vfs vfs;
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    CHECK_OK(ilki_store_sqlite_vfs_add(&vfs, r->v, &r->err), &r->err);
    CHECK_INT(sqlite3_open_v2("/store/derived/meta.db", &db, SQLITE_OPEN_READWRITE, vfs.name), SQLITE_OK);
    bool ok = sqlite3_prepare_v2(db, text, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    *n = ok ? sqlite3_column_int64(q, 0) : -1;
    sqlite3_finalize(q);
    sqlite3_close(db);
    ilki_store_sqlite_vfs_remove(&vfs);
    return ok;
}

static void nothing_is_left_of_old_versions(void)
{
    static rig r;
    int64_t n;
    rig_new(&r);
    CHECK(query_int(&r, "SELECT count(*) FROM field WHERE lsn NOT IN (SELECT lsn FROM item)", &n));
    CHECK_INT(n, 0);
    CHECK(query_int(&r, "SELECT count(*) FROM field", &n));
    CHECK_INT(n, 3 * (N_IDS - 1));
    CHECK(query_int(&r, "SELECT count(*) FROM dead", &n));
    CHECK_INT(n, 48 - (N_IDS - 1));
    rig_free(&r);
}

/* SQLite's own log damaged under an open store: once it is read again it ends early, and the tables with it. */
static void flipped_wal_of_a_live_store(void)
{
    static rig r;
    ilki_store *s;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_store(&r, &s, false), &r.err));
    for (int k = 0; k < 40; k++) {
        st_batch b = {0};
        char id[16];
        for (int i = 0; i < 39; i++) {
            snprintf(id, sizeof id, "i%02d", i);
            if (i == 20)
                continue;
            r.version[i] = k * 100 + i;
            st_put(&b, id, NULL, (uint64_t)r.version[i]);
        }
        ilki_batch args = st_args(&b);
        CHECK_OK(ilki_store_write(s, &args, NULL, NULL, &r.err), &r.err);
    }
    char *data;
    size_t n;
    REQUIRE(CHECK_OK(ilki_base_read_file(r.v, "/store/derived/meta.db-wal", MAX_BYTES, &data, &n, &r.err), &r.err));
    REQUIRE(CHECK(n > 20000)); /* something was applied */
    data[40] ^= 1;
    put_file(&r, "/store/derived/meta.db-wal", data, n);
    free(data);
    r.n_findings = r.n_repaired = 0;
    CHECK_OK(ilki_store_check(s, true, count_finding, &r, NULL, &r.err), &r.err);
    CHECK(r.n_findings == 1 && r.n_repaired == 1);
    CHECK_INT(ask_all(&r, s), 0);
    CHECK_OK(ilki_store_check(s, false, NULL, NULL, NULL, &r.err), &r.err);
    ilki_store_close(s);
    REQUIRE(CHECK_OK(open_store(&r, &s, false), &r.err));
    CHECK_INT(ask_all(&r, s), 0);
    ilki_store_close(s);
    rig_free(&r);
}

/* derived/ may be deleted as a whole, and what is left of a deleted one does no harm. */
static void no_tables(void)
{
    static rig r;
    static const char *const files[] = {"/store/derived/meta.db", "/store/derived/meta.db-wal",
                                        "/store/derived/meta.db-shm"};
    rig_new(&r);
    for (int how = 0; how < 4; how++) {
        ilki_store *s;
        restore(&r);
        r.v->unlink(r.v, files[0], NULL);
        if (how == 1) /* leftovers of an unclean end */
            put_file(&r, files[1], r.files[3].data, 5000);
        if (how == 2)
            put_file(&r, files[0], "", 0);
        if (how == 3)
            put_file(&r, files[0], "this is no database", 19);
        for (int read_only = 1; read_only >= 0; read_only--) {
            if (!CHECK_OK(open_store(&r, &s, read_only), &r.err))
                continue;
            CHECK_INT(ask_all(&r, s), 0);
            /* what is absent comes back unasked; a file that a reader had to refuse is told */
            ilk_status want = how == 3 && read_only ? ILK_CORRUPT : ILK_OK;
            CHECK_STATUS(ilki_store_check(s, false, NULL, NULL, NULL, &r.err), want, &r.err);
            ilki_store_close(s);
        }
    }
    rig_free(&r);
}

/* Where locks, maps or writes are refused, as on a file system that is mounted read-only, a reader still answers. */
static void reader_that_may_only_read(void)
{
    static rig r;
    static const faulty_op ops[] = {FAULTY_LOCK, FAULTY_MAP, FAULTY_WRITE, FAULTY_TRUNCATE, FAULTY_SYNC};
    rig_new(&r);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        ilki_store *s;
        restore(&r);
        faulty_reset_counts(r.f);
        faulty_fail(r.f, ops[i], 1, EROFS, FAULTY_FOR_EVER);
        if (CHECK_OK(open_store(&r, &s, true), &r.err)) {
            CHECK_INT(ask_all(&r, s), 0);
            CHECK_OK(ilki_store_refresh(s, &r.err), &r.err);
            CHECK_OK(ilki_store_check(s, false, NULL, NULL, NULL, &r.err), &r.err);
            ilki_store_close(s);
        }
        faulty_fail_off(r.f);
        CHECK_INT(faulty_count(r.f, FAULTY_WRITE) + faulty_count(r.f, FAULTY_RENAME) + faulty_count(r.f, FAULTY_SYNC),
                  0);
    }
    rig_free(&r);
}

/* Without a manifest a file between two that is missing is told by the numbers, the last one by the tables alone: while
 * they are there, a store is not made shorter in silence. */
static void log_file_is_missing_with_the_manifest(void)
{
    static rig r;
    static const char *const gone[] = {"/store/log/00000001.log", "/store/log/00000002.log", "/store/log/00000003.log"};
    rig_new(&r);
    keep(&r, gone[2]);
    REQUIRE(CHECK_INT(r.n_files, 5));
    for (size_t i = 0; i < 3; i++) {
        ilki_store *s;
        ilki_stat st;
        restore(&r);
        r.v->unlink(r.v, "/store/manifest", NULL);
        r.v->unlink(r.v, gone[i], NULL);
        r.repair = true;
        CHECK_STATUS(open_store(&r, &s, false), ILK_CORRUPT, &r.err);
        CHECK(strstr(r.err.message, i == 0 ? "expected log file 1" : i == 1 ? "log file 3" : "no log file 3"));
        CHECK_STATUS(r.v->stat(r.v, "/store/manifest", true, &st, NULL), i < 2 ? ILK_NOT_FOUND : ILK_OK, NULL);
        r.repair = false;
        CHECK(open_store(&r, &s, true) != ILK_OK);
    }
    rig_free(&r);
}

/* Opens with repair; a second time without: what was made is a manifest like any other. */
static void made_again(rig *r)
{
    for (int i = 0; i < 2; i++) {
        ilki_store *s;
        r->repair = i == 0;
        REQUIRE(CHECK_OK(open_store(r, &s, false), &r->err));
        CHECK_INT(ask_all(r, s), 0);
        CHECK_OK(ilki_store_check(s, false, NULL, NULL, NULL, &r->err), &r->err);
        ilki_store_close(s);
    }
    r->repair = false;
}

static void manifest_made_again(void)
{
    static rig r;
    ilki_store *s;
    rig_new(&r);
    const image *m = &r.files[0], *second = &r.files[2];
    for (size_t at = 0; at < m->n; at += 7) {
        restore(&r);
        char *data = malloc(m->n);
        REQUIRE(CHECK(data != NULL));
        memcpy(data, m->data, m->n);
        data[at] ^= 4;
        put_file(&r, m->path, data, m->n);
        free(data);
        CHECK(open_store(&r, &s, false) != ILK_OK);
        made_again(&r);
    }
    /* without one; with what a crash left of a roll behind it, and with tables to be made too */
    restore(&r);
    r.v->unlink(r.v, m->path, NULL);
    put_file(&r, "/store/log/00000077.log", second->data, 64);
    r.repair = true;
    CHECK_STATUS(open_store(&r, &s, false), ILK_CORRUPT, &r.err); /* its header says 2 */
    r.v->unlink(r.v, "/store/log/00000077.log", NULL);
    r.v->unlink(r.v, "/store/derived/meta.db", NULL);
    made_again(&r);
    /* a damaged header, a missing file: records would be left out, so nothing is made */
    restore(&r);
    r.repair = true;
    put_file(&r, m->path, "x", 1);
    second = &r.files[1];
    char head[64];
    memcpy(head, second->data, sizeof head);
    head[20] ^= 1;
    put_file(&r, second->path, head, sizeof head);
    CHECK_STATUS(open_store(&r, &s, false), ILK_CORRUPT, &r.err);
    restore(&r);
    r.repair = true; /* a sound one stays */
    made_again(&r);
    rig_free(&r);
}

TEST_MAIN({"flipped_log", flipped_log}, {"flipped_manifest", flipped_manifest}, {"flipped_tables", flipped_tables},
          {"check_without_repair", check_without_repair}, {"tables_of_another_mind", tables_of_another_mind},
          {"nothing_is_left_of_old_versions", nothing_is_left_of_old_versions},
          {"flipped_wal_of_a_live_store", flipped_wal_of_a_live_store}, {"no_tables", no_tables},
          {"reader_that_may_only_read", reader_that_may_only_read}, {"manifest_made_again", manifest_made_again},
          {"log_file_is_missing_with_the_manifest", log_file_is_missing_with_the_manifest})
