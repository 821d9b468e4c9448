/* SPDX-License-Identifier: Apache-2.0
 * SQLite's WAL on the faulty twin: power lost at each call, several outcomes of each; what was acknowledged is there, the
 * database is sound. It proves the twin and the sqlite3_vfs at once. */
#include <stdlib.h>

#include "faulty.h"
#include "store/sqlite_vfs.h"
#include "test.h"

/* Opens, makes the table and inserts rows 1.. one transaction each; the last row that was acknowledged. */
static int insert_rows(faulty *f, int n_rows)
{
    ilki_sqlite_vfs vfs = {0};
    sqlite3 *db = NULL;
    int acked = 0, reserved = ILKI_PAGE_RESERVED;
    CHECK_OK(ilki_store_sqlite_vfs_add(&vfs, faulty_vfs(f), NULL), NULL);
    bool ok = sqlite3_open_v2("/meta", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.name) == SQLITE_OK &&
              sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved) == SQLITE_OK &&
              sqlite3_exec(db,
                           "pragma journal_mode=wal; pragma synchronous=full; pragma wal_autocheckpoint=4;"
                           "create table if not exists t(x integer primary key, y)",
                           NULL, NULL, NULL) == SQLITE_OK;
    for (int i = 1; ok && i <= n_rows; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "insert into t values(%d, zeroblob(%d))", i, i % 3 * 2000);
        if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
            break;
        acked = i;
    }
    sqlite3_close(db);
    ilki_store_sqlite_vfs_remove(&vfs);
    return acked;
}

/* "ok" counts as 1. */
static int take_int(void *user, int n, char **values, char **names)
{
    (void)n, (void)names;
    *(int *)user = strcmp(values[0] ? values[0] : "0", "ok") == 0 ? 1 : atoi(values[0] ? values[0] : "0");
    return 0;
}

static bool check_rows(faulty *f, int acked, uint64_t n, uint64_t seed)
{
    ilki_sqlite_vfs vfs = {0};
    sqlite3 *db = NULL;
    int sound = 0, rows = 0, last = 0;
    char *why = NULL;
    ilki_store_sqlite_vfs_add(&vfs, faulty_vfs(f), NULL);
    int rc = sqlite3_open_v2("/meta", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.name);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "pragma integrity_check", take_int, &sound, &why);
    int made = 0;
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "select count(*) from sqlite_master", take_int, &made, &why);
    if (rc == SQLITE_OK && made) {
        rc = sqlite3_exec(db, "select count(*) from t", take_int, &rows, &why);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(db, "select max(x) from t", take_int, &last, &why);
    }
    bool good = rc == SQLITE_OK && sound == 1 && rows == last && last >= acked;
    if (!good)
        printf("cut %d seed %d: rc %d %s, sound %d, rows %d, last %d, acked %d\n", (int)n, (int)seed, rc,
               why ? why : "", sound, rows, last, acked);
    sqlite3_free(why);
    sqlite3_close(db);
    ilki_store_sqlite_vfs_remove(&vfs);
    return good;
}

static void wal_survives(void)
{
    int n_bad = 0, cuts = 0;
    bool cut = true;
    for (uint64_t n = 1; cut && n_bad < 10; n++, cuts++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            faulty *f = faulty_new();
            faulty_cut_power(f, n);
            int acked = insert_rows(f, 12);
            cut = acked < 12;
            CHECK_INT(faulty_n_open(f), 0);
            faulty_crash(f, seed == 5 ? FAULTY_LOSE_ALL : FAULTY_SEEDED, seed * 1000 + n);
            n_bad += !check_rows(f, acked, n, seed);
            faulty_free(f);
        }
    printf("%d cuts\n", cuts);
    CHECK(cuts > 100);
    CHECK_INT(n_bad, 0);
}

TEST_MAIN({"wal_survives", wal_survives})
