/* SPDX-License-Identifier: Apache-2.0
 * Check: reads every byte of the log, then makes the tables once more in memory and compares them row by row with those
 * in use. Only the tables can be repaired, and only from a sound log. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

typedef struct check {
    ilki_store *s;
    ilk_finding_fn found;
    void *user;
    ilk_job *job;
    bool log_bad;
    char wrong[512]; /* the first difference of the tables; empty: none */
} check;

static void tell(const check *c, const char *object, const char *finding, bool repaired)
{
    if (c->found)
        c->found(c->user, object, finding, repaired);
}

/* ---- the log */

static ilk_status check_log(check *c, uint64_t upto, ilk_error *err)
{
    ilki_scan scan;
    ilki_scan_state state = ILKI_SCAN_BATCH;
    ilk_status st = ILK_OK;
    bool more = true;
    char object[64];
    uint64_t done = 0, total = 0;
    ilki_store_log_bytes(&c->s->log, &total, NULL);
    ilki_store_scan_start(&scan, &c->s->log);
    scan.floor_lsn = upto;
    while (!st && more && scan.next_lsn <= upto) {
        ilk_error why;
        ilk_error_init(&why);
        st = ilki_base_job_check(c->job, err);
        ilk_status got = st ? st : ilki_store_scan_next(&c->s->log, &scan, &state, &why);
        done += got ? 0 : scan.n;
        ilki_base_job_progress(c->job, "checking the log", "bytes", done, total, 0, false);
        if (!st && got == ILK_CORRUPT) {
            snprintf(object, sizeof object, "log file %" PRIu64, scan.file);
            tell(c, object, why.message, false);
            c->log_bad = true;
            st = ilki_store_scan_skip(&c->s->log, &scan, &more, err);
        } else if (!st && got) {
            st = got;
            ilki_base_error_copy(err, &why);
        } else if (state != ILKI_SCAN_BATCH) {
            break;
        }
    }
    ilki_store_scan_deinit(&scan);
    return st;
}

/* ---- the tables */

static const char *const contents[] = {
    "SELECT lsn, id, parent, file, at, total, body, vectors FROM item ORDER BY lsn",
    "SELECT lsn, id FROM item ORDER BY id",
    "SELECT id FROM item WHERE parent IS NOT NULL ORDER BY parent, id",
    "SELECT f.lsn, n.name, f.c, f.v, f.x FROM field f JOIN name n USING(n) ORDER BY f.lsn, n.name",
    "SELECT c, v, x, lsn FROM field INDEXED BY field_value JOIN name USING(n) ORDER BY name, c, v, x, lsn",
    "SELECT lsn, at, id FROM dead ORDER BY lsn",
    "SELECT lsn FROM dead INDEXED BY dead_at WHERE at > 0 ORDER BY at, lsn",
    "SELECT n, body FROM space ORDER BY n",
    "SELECT name, value FROM meta ORDER BY name",
    "SELECT id, lsn, root, path, hash, state, body FROM source ORDER BY id",
    "SELECT id FROM source ORDER BY root, path, id",
    "SELECT id FROM source ORDER BY hash, id",
    "SELECT lsn, file, at, versions FROM state",
};

static bool same_row(sqlite3_stmt *a, sqlite3_stmt *b)
{
    for (int i = 0; i < sqlite3_column_count(a); i++) {
        if (sqlite3_column_type(a, i) != sqlite3_column_type(b, i))
            return false;
        if (sqlite3_column_type(a, i) == SQLITE_FLOAT) {
            if (sqlite3_column_double(a, i) != sqlite3_column_double(b, i))
                return false;
            continue;
        }
        int n = sqlite3_column_bytes(a, i);
        if (n != sqlite3_column_bytes(b, i) ||
            (n && memcmp(sqlite3_column_blob(a, i), sqlite3_column_blob(b, i), (size_t)n) != 0))
            return false;
    }
    return true;
}

/* Rows of one statement on both sides, a: in use, b: as the log has it. */
static ilk_status compare(check *c, ilki_conn *a, ilki_conn *b, const char *text, ilk_error *err)
{
    sqlite3_stmt *p = NULL, *q = NULL;
    bool in_a = true, in_b = true;
    size_t n = 0;
    ilk_error why;
    ilk_error_init(&why);
    int rc = sqlite3_prepare_v2(a->db, text, -1, &p, NULL);
    ilk_status st_a = rc ? ilki_store_db_fail(a, rc, &why) : ILK_OK, st = ILK_OK;
    rc = sqlite3_prepare_v2(b->db, text, -1, &q, NULL);
    if (rc)
        st = ilki_store_db_fail(b, rc, err);
    while (!st && !st_a && in_a && in_b) {
        st_a = ilki_store_db_step(a, p, &in_a, &why);
        st = ilki_store_db_step(b, q, &in_b, err);
        if (!st && !st_a && (in_a != in_b || (in_a && !same_row(p, q)))) {
            snprintf(c->wrong, sizeof c->wrong, "row %zu of \"%.200s\" differs from the log", n, text);
            break;
        }
        if (!st && ++n % 1024 == 0)
            st = ilki_base_job_check(c->job, err);
    }
    if (st_a)
        snprintf(c->wrong, sizeof c->wrong, "%.500s", why.message);
    sqlite3_finalize(p);
    sqlite3_finalize(q);
    return st;
}

/* SQLite's own look at its pages: the first thing it says, "ok" or not. */
static void check_pages(check *c, ilki_conn *a)
{
    sqlite3_stmt *q = NULL;
    bool row = false;
    ilk_error why;
    ilk_error_init(&why);
    int rc = sqlite3_prepare_v2(a->db, "PRAGMA integrity_check(1)", -1, &q, NULL);
    ilk_status st = rc ? ilki_store_db_fail(a, rc, &why) : ilki_store_db_step(a, q, &row, &why);
    const char *text = st ? why.message : row ? (const char *)sqlite3_column_text(q, 0) : "no answer";
    if (st || !text || strcmp(text, "ok") != 0)
        snprintf(c->wrong, sizeof c->wrong, "%.500s", text ? text : "no answer");
    sqlite3_finalize(q);
}

/* With a view's connection, inside its snapshot: nothing moves while this looks. */
static ilk_status compare_tables(check *c, ilki_conn *a, uint64_t upto, ilk_error *err)
{
    ilki_db twin;
    ilk_status st = ilki_store_db_init(&twin, c->s, err);
    if (!st)
        st = ilki_store_db_reset(&twin, true, err);
    if (!st)
        st = ilki_store_replay(c->s, twin.writer, upto, err);
    if (!st)
        check_pages(c, a);
    for (size_t i = 0; !st && !c->wrong[0] && i < sizeof contents / sizeof *contents; i++)
        st = compare(c, a, twin.writer, contents[i], err);
    ilki_store_db_deinit(&twin);
    return st;
}

/* A reader that found the file unfit serves from memory: the file is looked at once more, to say what is wrong. */
static ilk_status check_refused(check *c, ilk_error *err)
{
    ilki_db file;
    ilki_stat have;
    ilk_error why;
    ilk_error_init(&why);
    if (c->s->foreign || c->s->vfs->stat(c->s->vfs, c->s->db.path, true, &have, NULL) || have.size == 0)
        return ILK_OK;
    ilk_status st = ilki_store_db_init(&file, c->s, err);
    ilk_status got = st ? st : ilki_store_db_open(&file, &why);
    if (!st && got == ILK_CORRUPT && !file.blank) /* whoever was to fill it ended before; nothing is lost by that */
        snprintf(c->wrong, sizeof c->wrong, "%.500s", why.message);
    else if (!got && file.idle)
        check_pages(c, file.idle);
    if (!st)
        ilki_store_db_deinit(&file);
    return st;
}

static ilk_status check_tables(check *c, ilk_error *err)
{
    ilki_view v;
    ilk_error why;
    ilk_error_init(&why);
    ilk_status st = ilki_store_view_open(c->s, &v, &why);
    if (st == ILK_CORRUPT) {
        snprintf(c->wrong, sizeof c->wrong, "%.500s", why.message);
        return ILK_OK;
    }
    if (st) {
        ilki_base_error_copy(err, &why);
        return st;
    }
    st = compare_tables(c, v.c, v.applied, err);
    ilki_store_view_close(&v);
    return st;
}

/* Other connections may hold pages in their caches that the file has no more: they are opened anew to look at the file. */
static ilk_status look_afresh(ilki_store *s, ilk_error *err)
{
    if (s->db.in_memory)
        return ILK_OK;
    pthread_mutex_lock(&s->apply_lock);
    ilk_status st = ilki_store_db_reopen(&s->db, err);
    pthread_mutex_unlock(&s->apply_lock);
    return st == ILK_CORRUPT ? ILK_OK : st; /* seen again, and told, when the tables are looked at */
}

static ilk_status repair_tables(check *c, ilk_error *err)
{
    pthread_mutex_lock(&c->s->apply_lock);
    ilk_status st = ilki_store_rebuild(c->s, err);
    pthread_mutex_unlock(&c->s->apply_lock);
    return st;
}

ilk_status ilki_store_check(ilki_store *s, bool repair, ilk_finding_fn found, void *user, ilk_job *job, ilk_error *err)
{
    check c = {.s = s, .found = found, .user = user, .job = job};
    pthread_mutex_lock(&s->tail.lock);
    uint64_t upto = s->tail.last_lsn;
    pthread_mutex_unlock(&s->tail.lock);
    ilk_status st = check_log(&c, upto, err);
    if (!st)
        st = look_afresh(s, err);
    if (!st && !c.log_bad)
        st = check_tables(&c, err);
    if (!st && !c.log_bad && !c.wrong[0] && s->read_only && s->db.in_memory)
        st = check_refused(&c, err);
    if (st)
        return st;
    if (c.log_bad)
        return ilki_base_fail(err, ILK_CORRUPT, "%s: the log is damaged; the tables were left as they are", s->dir);
    if (!c.wrong[0])
        return ILK_OK;
    bool can = repair && !s->read_only;
    if (can)
        st = repair_tables(&c, err);
    tell(&c, "derived/meta.db", c.wrong, can && !st);
    if (!st && !can)
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: the tables differ from the log; a check with repair rebuilds them",
                            s->dir);
    return st;
}
