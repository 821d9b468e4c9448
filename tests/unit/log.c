/* SPDX-License-Identifier: Apache-2.0
 * The log alone, on the file system in memory: batches come back, a half-written tail is the end, damage is not. */
#include "store/log.h"

#include "faulty.h"
#include "store_test.h"

enum { MAX_BATCHES = 64 };

typedef struct rig {
    faulty *f;
    const ilki_vfs *v;
    ilki_log log;
    ilki_buf buf;
    ilk_error err;
    uint64_t ends[MAX_BATCHES]; /* of each batch, in its file */
    size_t n;
} rig;

static void rig_new(rig *r)
{
    memset(r, 0, sizeof *r);
    r->f = faulty_new();
    r->v = faulty_vfs(r->f);
    ilk_error_init(&r->err);
    ilki_base_buf_init(&r->buf, 1 << 20);
    CHECK_OK(r->v->make_dir(r->v, "/s", 0700, &r->err), &r->err);
    CHECK_OK(r->v->sync_dir(r->v, "/", &r->err), &r->err);
    CHECK_OK(ilki_store_log_create(r->v, "/s", &r->err), &r->err);
}

static void rig_free(rig *r)
{
    ilki_store_log_close(&r->log);
    ilki_base_buf_deinit(&r->buf);
    CHECK_INT(faulty_n_open(r->f), 0);
    faulty_free(r->f);
}

/* Scans from the start; the number of batches, and how it ended. */
static size_t scan_all(rig *r, ilki_scan *s, ilki_scan_state *state, ilk_status *st)
{
    size_t n = 0;
    ilki_store_scan_start(s, &r->log);
    do {
        *st = ilki_store_scan_next(&r->log, s, state, &r->err);
        n += *st == ILK_OK && *state == ILKI_SCAN_BATCH;
    } while (*st == ILK_OK && *state == ILKI_SCAN_BATCH);
    return n;
}

static ilk_status open_writer(rig *r, size_t *n)
{
    ilki_scan s;
    ilki_scan_state state;
    ilk_status st = ilki_store_log_open(&r->log, r->v, "/s", true, &r->err);
    if (st)
        return st;
    r->log.max_bytes = 1 << 20;
    *n = scan_all(r, &s, &state, &st);
    if (!st)
        st = ilki_store_log_recover(&r->log, &s, state, 0, &r->err);
    ilki_store_scan_deinit(&s);
    return st;
}

/* A batch of k deletes, about 40 bytes of text each. */
static ilk_status append(rig *r, size_t k, bool sync)
{
    char id[64];
    ilk_status st = ilki_store_log_room(&r->log, 104 * k, &r->err);
    if (st)
        return st;
    ilki_encoder e = {.buf = &r->buf,
                      .salt = ilki_store_log_salt(&r->log),
                      .batch = r->log.next_lsn,
                      .lsn = r->log.next_lsn,
                      .durable = r->log.durable_lsn,
                      .n_left = k};
    ilki_base_buf_reset(&r->buf);
    for (size_t i = 0; i < k; i++) {
        int n = snprintf(id, sizeof id, "an id of some forty bytes, number %07u", (unsigned)e.lsn);
        ilki_store_put_delete(&e, id, (size_t)n);
    }
    st = ilki_store_log_append(&r->log, r->buf.data, r->buf.len, k, sync, &r->err);
    if (!st && r->n < MAX_BATCHES)
        r->ends[r->n++] = r->log.at;
    return st;
}

static void read_file(rig *r, const char *path, char **data, size_t *n)
{
    CHECK_OK(ilki_base_read_file(r->v, path, 1 << 24, data, n, &r->err), &r->err);
}

/* Puts n bytes in place of a file, durably, and without close's floor in the manifest. */
static void put_file(rig *r, const char *path, const char *data, size_t n)
{
    ilki_file *f = NULL;
    REQUIRE(CHECK_OK(r->v->open(r->v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, &r->err), &r->err));
    CHECK_OK(r->v->truncate(f, 0, &r->err), &r->err);
    CHECK_OK(r->v->write(f, 0, data, n, &r->err), &r->err);
    CHECK_OK(r->v->sync(f, &r->err), &r->err);
    r->v->close(f);
}

/* As a killed process leaves it: no floor is written. */
static void abandon(rig *r)
{
    r->log.failed = true;
    ilki_store_log_close(&r->log);
}

static void append_and_scan(void)
{
    rig r;
    size_t n = 9;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 0);
    for (size_t i = 1; i <= 10; i++)
        CHECK_OK(append(&r, i, true), &r.err);
    CHECK_INT(r.log.durable_lsn, 55);
    ilki_scan s;
    ilki_scan_state state;
    ilk_status st;
    CHECK_INT(scan_all(&r, &s, &state, &st), 10);
    CHECK_OK(st, &r.err);
    CHECK_INT(state, ILKI_SCAN_END);
    CHECK_INT(s.next_lsn, 56);
    ilki_store_scan_deinit(&s);
    ilki_store_log_close(&r.log);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 10);
    CHECK_INT(r.log.next_lsn, 56);
    CHECK_INT(r.log.m.files[0].floor_lsn, 55); /* a clean close has noted it */
    rig_free(&r);
}

static void rolls_to_new_files(void)
{
    rig r;
    size_t n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    r.log.max_bytes = 1000;
    for (int i = 0; i < 20; i++)
        CHECK_OK(append(&r, 3, true), &r.err);
    CHECK_OK(append(&r, 30, true), &r.err); /* longer than a file: has one of its own */
    CHECK_OK(append(&r, 1, true), &r.err);
    CHECK(r.log.m.n_files > 5);
    ilki_scan s;
    ilki_scan_state state;
    ilk_status st;
    CHECK_INT(scan_all(&r, &s, &state, &st), 22);
    CHECK_OK(st, &r.err);
    CHECK_INT(s.next_lsn, 92);
    ilki_store_scan_deinit(&s);
    uint64_t bytes, last = r.log.m.files[r.log.m.n_files - 1].number;
    CHECK_OK(ilki_store_log_bytes(&r.log, &bytes, &r.err), &r.err);
    CHECK(bytes > 91 * 96);
    abandon(&r);
    /* a file that no manifest names, as a crash in the middle of a roll leaves it, is taken over */
    char path[64];
    snprintf(path, sizeof path, "/s/log/%08u.log", (unsigned)last + 1);
    put_file(&r, path, "junk of an earlier life that is longer than a header of sixty-four bytes", 72);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 22);
    r.log.max_bytes = 100;
    CHECK_OK(append(&r, 2, true), &r.err);
    CHECK_INT(r.log.m.files[r.log.m.n_files - 1].number, last + 1);
    abandon(&r);
    CHECK_OK(open_writer(&r, &n), &r.err);
    CHECK_INT(n, 23);
    rig_free(&r);
}

/* The last batch cut at every length: the batches before are there, the writer goes on behind them. */
static void every_torn_tail_is_the_end(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    for (int i = 0; i < 3; i++)
        CHECK_OK(append(&r, 2, true), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    CHECK_INT(size, r.ends[2]);
    for (size_t cut = r.ends[1]; cut <= size; cut++) {
        put_file(&r, "/s/log/00000001.log", data, cut);
        REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
        CHECK_INT(n, cut == size ? 3 : 2);
        CHECK_INT(r.log.at, cut == size ? r.ends[2] : r.ends[1]);
        CHECK_OK(append(&r, 1, true), &r.err);
        abandon(&r);
        REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
        CHECK_INT(n, cut == size ? 4 : 3);
        abandon(&r);
    }
    free(data);
    rig_free(&r);
}

/* Of a lost batch of two its second record arrived: it must not come to stand behind a shorter batch written there. */
static void no_record_outlives_its_batch(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_OK(append(&r, 1, true), &r.err);
    CHECK_OK(append(&r, 2, true), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    memset(data + r.ends[0], 0, ILKI_HEAD_BYTES);
    put_file(&r, "/s/log/00000001.log", data, size);
    free(data);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 1);
    CHECK_OK(append(&r, 1, true), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    CHECK_INT(size, r.ends[2]);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 2);
    free(data);
    rig_free(&r);
}

/* One byte changed anywhere in a log of synced batches: in the last, where nothing says that it was ever whole, it is
 * the end; before, it is damage, told with its place. */
static void damage_inside_is_told(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    for (int i = 0; i < 4; i++)
        CHECK_OK(append(&r, 2, true), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    for (size_t at = ILKI_LOG_HEADER_BYTES; at < size; at++) {
        data[at] ^= 0x10;
        put_file(&r, "/s/log/00000001.log", data, size);
        ilki_scan s;
        ilki_scan_state state = ILKI_SCAN_BATCH;
        ilk_status st;
        REQUIRE(CHECK_OK(ilki_store_log_open(&r.log, r.v, "/s", false, &r.err), &r.err));
        size_t got = scan_all(&r, &s, &state, &st), hit = 0;
        while (at >= r.ends[hit])
            hit++;
        CHECK_INT(got, hit);
        CHECK_INT(st, hit == 3 ? ILK_OK : ILK_CORRUPT);
        CHECK_INT(state, hit == 3 ? ILKI_SCAN_TORN : hit ? ILKI_SCAN_BATCH : state);
        bool more = false;
        if (st) {
            CHECK(s.bad_at <= at && at < s.bad_at + 200);
            CHECK_OK(ilki_store_scan_skip(&r.log, &s, &more, &r.err), &r.err);
            CHECK(more && s.at == r.ends[hit]);
        }
        ilki_store_scan_deinit(&s);
        ilki_store_log_close(&r.log);
        data[at] ^= 0x10;
    }
    free(data);
    rig_free(&r);
}

/* What the manifest says was whole must be, to the last byte. */
static void floor_makes_a_tail_damage(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    for (int i = 0; i < 2; i++)
        CHECK_OK(append(&r, 2, true), &r.err);
    ilki_store_log_close(&r.log);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    for (size_t cut = 0; cut < size; cut += 7) {
        put_file(&r, "/s/log/00000001.log", data, cut);
        CHECK_STATUS(open_writer(&r, &n), ILK_CORRUPT, &r.err);
        abandon(&r);
    }
    free(data);
    rig_free(&r);
}

/* Without syncs whole batches may be lost in the middle: the end, as no later record says that they were durable. */
static void unsynced_hole_is_the_end(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_OK(append(&r, 2, true), &r.err);
    for (int i = 0; i < 3; i++)
        CHECK_OK(append(&r, 2, false), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    memset(data + r.ends[1], 0, 50);
    put_file(&r, "/s/log/00000001.log", data, size);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 2);
    abandon(&r);
    memset(data + r.ends[0] - 50, 0, 50); /* the first was synced, and the others know */
    put_file(&r, "/s/log/00000001.log", data, size);
    CHECK_STATUS(open_writer(&r, &n), ILK_CORRUPT, &r.err);
    abandon(&r);
    free(data);
    rig_free(&r);
}

/* After a failed sync nothing is written; opened again, the batch that was never acknowledged is made durable. */
static void failed_sync_is_final(void)
{
    rig r;
    size_t n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_OK(append(&r, 2, true), &r.err);
    faulty_fail(r.f, FAULTY_SYNC, 1, EIO, FAULTY_ONCE);
    CHECK_STATUS(append(&r, 2, true), ILK_IO, &r.err);
    faulty_fail_off(r.f);
    faulty_reset_counts(r.f);
    CHECK_STATUS(append(&r, 2, true), ILK_IO, &r.err);
    CHECK(strstr(r.err.message, "open the store again") != NULL);
    CHECK_INT(faulty_count(r.f, FAULTY_WRITE), 0);
    ilki_store_log_close(&r.log);
    CHECK_INT(faulty_count(r.f, FAULTY_WRITE), 0);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 2);
    CHECK(faulty_count(r.f, FAULTY_SYNC) > 0);
    r.log.failed = true;
    /* a page that failed to sync never reaches the disk by syncing alone: recovery has written it again */
    ilki_store_log_close(&r.log);
    faulty_crash(r.f, FAULTY_LOSE_ALL, 0);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    CHECK_INT(n, 2);
    rig_free(&r);
}

static void manifest_is_checked(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    r.log.max_bytes = 300;
    for (int i = 0; i < 6; i++)
        CHECK_OK(append(&r, 2, true), &r.err);
    ilki_store_log_close(&r.log);
    read_file(&r, "/s/manifest", &data, &size);
    for (size_t at = 0; at < size; at++) {
        data[at] ^= 1;
        put_file(&r, "/s/manifest", data, size);
        CHECK_STATUS(ilki_store_log_open(&r.log, r.v, "/s", false, &r.err), ILK_CORRUPT, &r.err);
        data[at] ^= 1;
    }
    for (size_t cut = 0; cut < size; cut++) {
        put_file(&r, "/s/manifest", data, cut);
        CHECK_STATUS(ilki_store_log_open(&r.log, r.v, "/s", false, &r.err), ILK_CORRUPT, &r.err);
    }
    put_file(&r, "/s/manifest", data, size);
    free(data);
    ilki_manifest m;
    REQUIRE(CHECK_OK(ilki_store_manifest_read(&m, r.v, "/s/manifest", true, &r.err), &r.err));
    m.compatible = 8;
    CHECK_OK(ilki_store_manifest_write(&m, r.v, "/s/manifest", &r.err), &r.err);
    CHECK_OK(open_writer(&r, &n), &r.err);
    CHECK_OK(append(&r, 1, true), &r.err);
    ilki_store_log_close(&r.log);
    ilki_store_manifest_deinit(&m);
    REQUIRE(CHECK_OK(ilki_store_manifest_read(&m, r.v, "/s/manifest", true, &r.err), &r.err));
    CHECK_INT(m.compatible, 8); /* kept by a program that does not know it */
    m.ro_compatible = 4;
    CHECK_OK(ilki_store_manifest_write(&m, r.v, "/s/manifest", &r.err), &r.err);
    CHECK_STATUS(ilki_store_log_open(&r.log, r.v, "/s", true, &r.err), ILK_UNSUPPORTED, &r.err);
    CHECK_OK(ilki_store_log_open(&r.log, r.v, "/s", false, &r.err), &r.err);
    ilki_store_log_close(&r.log);
    m.incompatible = 2;
    CHECK_OK(ilki_store_manifest_write(&m, r.v, "/s/manifest", &r.err), &r.err);
    CHECK_STATUS(ilki_store_log_open(&r.log, r.v, "/s", false, &r.err), ILK_UNSUPPORTED, &r.err);
    ilki_store_manifest_deinit(&m);
    rig_free(&r);
}

/* A reader that waits at a half-written tail goes on when the writer does. */
static void reader_follows(void)
{
    rig r;
    char *data;
    size_t size, n;
    rig_new(&r);
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err));
    for (int i = 0; i < 2; i++)
        CHECK_OK(append(&r, 2, true), &r.err);
    abandon(&r);
    read_file(&r, "/s/log/00000001.log", &data, &size);
    ilki_log reader;
    ilki_scan s;
    ilki_scan_state state;
    REQUIRE(CHECK_OK(ilki_store_log_open(&reader, r.v, "/s", false, &r.err), &r.err));
    ilki_store_scan_start(&s, &reader);
    for (size_t cut = r.ends[0]; cut < size; cut += 5) {
        put_file(&r, "/s/log/00000001.log", data, cut);
        for (int i = 0; i < 2; i++)
            CHECK_OK(ilki_store_scan_next(&reader, &s, &state, &r.err), &r.err);
        CHECK_INT(state, cut == r.ends[0] ? ILKI_SCAN_END : ILKI_SCAN_TORN);
        CHECK_INT(s.at, r.ends[0]);
    }
    REQUIRE(CHECK_OK(open_writer(&r, &n), &r.err)); /* cuts the tail and writes another there */
    r.log.max_bytes = 600;
    for (int i = 0; i < 5; i++)
        CHECK_OK(append(&r, 1, true), &r.err);
    n = 0;
    for (int i = 0; i < 2; i++) {
        do {
            CHECK_OK(ilki_store_scan_next(&reader, &s, &state, &r.err), &r.err);
            n += state == ILKI_SCAN_BATCH;
        } while (state == ILKI_SCAN_BATCH);
        CHECK_OK(ilki_store_log_refresh(&reader, &r.err), &r.err);
    }
    CHECK_INT(n, 5);
    CHECK_INT(s.next_lsn, 8);
    ilki_store_scan_deinit(&s);
    ilki_store_log_close(&reader);
    free(data);
    rig_free(&r);
}

TEST_MAIN({"append_and_scan", append_and_scan}, {"rolls_to_new_files", rolls_to_new_files},
          {"every_torn_tail_is_the_end", every_torn_tail_is_the_end},
          {"no_record_outlives_its_batch", no_record_outlives_its_batch},
          {"damage_inside_is_told", damage_inside_is_told}, {"floor_makes_a_tail_damage", floor_makes_a_tail_damage},
          {"unsynced_hole_is_the_end", unsynced_hole_is_the_end}, {"failed_sync_is_final", failed_sync_is_final},
          {"manifest_is_checked", manifest_is_checked}, {"reader_follows", reader_follows})
