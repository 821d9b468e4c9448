/* SPDX-License-Identifier: Apache-2.0
 * The faulty twin of the vfs: it behaves as the real one does, fails when told, and loses at a crash what it may lose and
 * nothing else. */
#include "faulty.h"

#include <stdlib.h>
#include <unistd.h>

#include "random.h"
#include "test.h"

/* ---- as the real one: the same random calls on both */

enum { N_NAMES = 7, N_HANDLES = 4 };
static const char *const names[N_NAMES] = {"/a", "/b", "/d", "/d/x", "/d/y", "/e/z", "/d/../d//./x"};

typedef struct twin {
    const ilki_vfs *v;
    char root[64];
    ilki_file *open[N_HANDLES];
} twin;

static const char *path_of(const twin *t, size_t i)
{
    static char paths[4][128];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s%s", t->root, names[i]);
    return p;
}

static bool hash_name(void *user, const char *name, ilki_file_type type)
{
    uint64_t h = type == ILKI_FILE_DIR;
    for (; *name != '\0'; name++)
        h = h * 131 + (unsigned char)*name;
    *(uint64_t *)user += h; /* in any order */
    return true;
}

/* A call on an open file; *seen gets what it found. */
static ilk_status call_on_file(ilki_file *f, uint64_t what, uint64_t r, uint64_t *seen)
{
    const ilki_vfs *v = f->vfs;
    unsigned char buf[3000];
    size_t got = 0;
    uint64_t at = (r >> 8) % 5000, n = (r >> 24) % sizeof buf;
    ilk_status st;
    switch (what) {
    case 0:
    case 1:
        for (size_t i = 0; i < n; i++)
            buf[i] = (unsigned char)(r + i);
        return v->write(f, at, buf, n, NULL);
    case 2:
    case 3:
        st = v->read(f, at, buf, n, &got, NULL);
        for (size_t i = 0; i < got; i++)
            *seen = *seen * 131 + buf[i];
        *seen += got;
        return st;
    case 4:
        return v->truncate(f, at, NULL);
    case 5:
        return v->size(f, seen, NULL);
    case 6:
        return v->lock(f, (ilki_lock)(r >> 8) % 3, NULL);
    default:
        return v->lock_range(f, at % 10, 1 + n % 10, (ilki_lock)(r >> 40) % 3, NULL);
    }
}

static ilk_status call_on_path(twin *t, uint64_t what, uint64_t r, uint64_t *seen)
{
    const ilki_vfs *v = t->v;
    const char *a = path_of(t, (r >> 8) % N_NAMES), *b = path_of(t, (r >> 16) % N_NAMES);
    ilki_stat st = {0};
    ilk_status status;
    switch (what) {
    case 0:
        return v->make_dir(v, path_of(t, 2), 0700, NULL);
    case 1:
        return v->unlink(v, a, NULL);
    case 2:
        return (r >> 8) % N_NAMES == 2 || (r >> 16) % N_NAMES == 2 ? ILK_OK : v->rename(v, a, b, NULL);
    case 3:
        status = v->stat(v, a, true, &st, NULL);
        *seen = (uint64_t)st.type * 100000 + (st.type == ILKI_FILE_DIR ? 0 : st.size);
        return status;
    case 4:
        return v->list(v, a, hash_name, seen, NULL);
    default:
        return v->sync_dir(v, a, NULL);
    }
}

static ilk_status call(twin *t, uint64_t r, uint64_t *seen)
{
    ilki_file **f = &t->open[(r >> 4) % N_HANDLES];
    uint64_t what = (r >> 56) % 18;
    *seen = 0;
    if (what < 10 && *f == NULL) {
        size_t name = (r >> 8) % N_NAMES;
        if (name == 2) /* the real one opens a directory, to no use */
            return ILK_OK;
        return t->v->open(t->v, f, path_of(t, name), (int)(r >> 32) % 8, NULL);
    }
    if (what == 9 || what == 8) {
        t->v->close(*f);
        *f = NULL;
        return ILK_OK;
    }
    return what < 8 ? call_on_file(*f, what, r, seen) : call_on_path(t, what % 6, r, seen);
}

static void same_as_posix(void)
{
    const char *tmp = getenv("TMPDIR");
    faulty *fs = faulty_new();
    twin real = {.v = &ilki_base_vfs_posix}, fake = {.v = faulty_vfs(fs)};
    snprintf(real.root, sizeof real.root, "%s/ilk-faulty-XXXXXX", tmp != NULL && strlen(tmp) < 40 ? tmp : "/tmp");
    REQUIRE(CHECK(mkdtemp(real.root) != NULL));
    uint64_t random = 7, by_status[ILK_STATUS_COUNT] = {0};
    for (int i = 0; i < 30000; i++) {
        uint64_t r = test_random(&random), a, b;
        ilk_status sa = call(&real, r, &a), sb = call(&fake, r, &b);
        by_status[sa]++;
        if (sa != sb || a != b) {
            printf("call %d, %llx: real %s %llx, fake %s %llx\n", i, (unsigned long long)r, ilk_status_string(sa),
                   (unsigned long long)a, ilk_status_string(sb), (unsigned long long)b);
            CHECK(false);
            break;
        }
    }
    CHECK(by_status[ILK_OK] > 10000);
    CHECK(by_status[ILK_BUSY] > 300 && by_status[ILK_NOT_FOUND] > 300 && by_status[ILK_IO] > 100);
    for (int i = 0; i < N_HANDLES; i++) {
        real.v->close(real.open[i]);
        fake.v->close(fake.open[i]);
    }
    CHECK_INT(faulty_n_open(fs), 0);
    faulty_free(fs);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", real.root);
    CHECK_INT(system(command), 0);
}

/* ---- small verbs for what follows */

static ilki_file *open_file(faulty *f, const char *path)
{
    ilki_file *file = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(faulty_vfs(f)->open(faulty_vfs(f), &file, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, &err), &err);
    return file;
}

static ilk_status put(ilki_file *f, uint64_t at, int c, size_t n)
{
    char buf[8192];
    memset(buf, c, n);
    return f->vfs->write(f, at, buf, n, NULL);
}

/* The file's bytes as a string of at most 8191; "-" where there is none. */
static const char *content(faulty *f, const char *path)
{
    static char text[8192];
    char *data = NULL;
    size_t n = 0;
    if (ilki_base_read_file(faulty_vfs(f), path, sizeof text - 1, &data, &n, NULL) != ILK_OK)
        return "-";
    memcpy(text, data, n + 1);
    free(data);
    return text;
}

static void maps_and_locks(void)
{
    faulty *f = faulty_new();
    ilki_file *a = open_file(f, "/m"), *b = open_file(f, "/m");
    const ilki_vfs *v = faulty_vfs(f);
    void *x = NULL, *y = NULL;
    uint64_t size = 0;
    CHECK_OK(v->map_shared(a, 65536, 32768, &x, NULL), NULL);
    CHECK_OK(v->map_shared(b, 65536, 32768, &y, NULL), NULL);
    CHECK_OK(v->size(b, &size, NULL), NULL);
    CHECK_INT(size, 98304);
    memcpy(x, "index", 6);
    CHECK_STR((char *)y, "index");
    const void *m = NULL;
    CHECK_OK(put(a, 0, 'q', 10), NULL);
    CHECK_OK(v->map(b, 0, 98304, &m, NULL), NULL);
    CHECK_MEM(m, "qqqqqqqqqq", 10);
    CHECK_STATUS(v->map(b, 0, 98305, &m, NULL), ILK_IO, NULL);
    CHECK_OK(v->lock(a, ILKI_LOCK_EXCLUSIVE, NULL), NULL);
    CHECK_STATUS(v->lock(b, ILKI_LOCK_SHARED, NULL), ILK_BUSY, NULL);
    v->unmap(a, x, 32768);
    v->unmap(b, y, 32768);
    v->close(a); /* unlocks */
    CHECK_OK(v->lock(b, ILKI_LOCK_SHARED, NULL), NULL);
    v->close(b);
    faulty_free(f);
}

/* ---- faults */

static void faults(void)
{
    faulty *f = faulty_new();
    const ilki_vfs *v = faulty_vfs(f);
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *a = open_file(f, "/a");
    faulty_fail(f, FAULTY_WRITE, 2, ENOSPC, FAULTY_ONCE);
    CHECK_OK(put(a, 0, 'x', 10), NULL);
    CHECK_STATUS(v->write(a, 0, "yyyy", 4, &err), ILK_IO, &err);
    CHECK(strstr(err.message, "/a") && strstr(err.message, "No space left"));
    CHECK_OK(put(a, 10, 'z', 1), NULL);
    CHECK(faulty_fail_off(f));
    CHECK_STR(content(f, "/a"), "xxxxxxxxxxz");
    CHECK_INT(faulty_count(f, FAULTY_WRITE), 3);

    faulty_fail(f, FAULTY_WRITE, 1, EIO, FAULTY_TORN | FAULTY_FOR_EVER);
    CHECK_STATUS(put(a, 0, 'w', 8), ILK_IO, NULL);
    CHECK_STATUS(put(a, 4, 'w', 4), ILK_IO, NULL);
    CHECK(faulty_fail_off(f));
    CHECK_STR(content(f, "/a"), "wwwwwwxxxxz");

    static const struct {
        faulty_op op;
        const char *name;
    } rows[] = {{FAULTY_OPEN, "open"},     {FAULTY_READ, "read"},     {FAULTY_TRUNCATE, "truncate"},
                {FAULTY_SYNC, "sync"},     {FAULTY_LOCK, "lock"},     {FAULTY_MAP, "map"},
                {FAULTY_STAT, "stat"},     {FAULTY_LIST, "list"},     {FAULTY_MAKE_DIR, "make"},
                {FAULTY_RENAME, "rename"}, {FAULTY_UNLINK, "unlink"}, {FAULTY_SYNC_DIR, "sync directory"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int any = 0; any < 2; any++) {
            ilki_file *b = NULL;
            char c;
            size_t got;
            const void *p;
            uint64_t seen = 0;
            ilki_stat s;
            faulty_fail(f, any ? FAULTY_ANY : rows[i].op, 1, EIO, FAULTY_ONCE);
            ilk_status st = rows[i].op == FAULTY_OPEN       ? v->open(v, &b, "/new", ILKI_OPEN_CREATE, &err)
                            : rows[i].op == FAULTY_READ     ? v->read(a, 0, &c, 1, &got, &err)
                            : rows[i].op == FAULTY_TRUNCATE ? v->truncate(a, 0, &err)
                            : rows[i].op == FAULTY_SYNC     ? v->sync(a, &err)
                            : rows[i].op == FAULTY_LOCK     ? v->lock(a, ILKI_LOCK_SHARED, &err)
                            : rows[i].op == FAULTY_MAP      ? v->map(a, 0, 1, &p, &err)
                            : rows[i].op == FAULTY_STAT     ? v->stat(v, "/a", true, &s, &err)
                            : rows[i].op == FAULTY_LIST     ? v->list(v, "/", hash_name, &seen, &err)
                            : rows[i].op == FAULTY_MAKE_DIR ? v->make_dir(v, "/d", 0700, &err)
                            : rows[i].op == FAULTY_RENAME   ? v->rename(v, "/a", "/b", &err)
                            : rows[i].op == FAULTY_UNLINK   ? v->unlink(v, "/a", &err)
                                                            : v->sync_dir(v, "/", &err);
            CHECK(faulty_fail_off(f));
            CHECK_STATUS(st, ILK_IO, &err);
            if (st == ILK_IO)
                CHECK(strncmp(err.message, rows[i].name, strlen(rows[i].name)) == 0);
        }
    }
    CHECK_STR(content(f, "/a"), "wwwwwwxxxxz"); /* none of them did anything */
    CHECK_STR(content(f, "/new"), "-");
    faulty_fail(f, FAULTY_OPEN, 1, EIO, FAULTY_ONCE);
    CHECK(!faulty_fail_off(f));
    v->close(a);
    faulty_free(f);
}

/* ---- power */

static void synced_survives(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        faulty *f = faulty_new();
        const ilki_vfs *v = faulty_vfs(f);
        CHECK_OK(v->make_dir(v, "/d", 0700, NULL), NULL);
        ilki_file *a = open_file(f, "/d/a");
        put(a, 0, 's', 3000);
        CHECK_OK(v->sync(a, NULL), NULL);
        CHECK_OK(v->sync_dir(v, "/d", NULL), NULL);
        CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
        put(a, 3000, 'u', 3000); /* behind what is synced */
        faulty_set_garbage(f, seed % 2);
        faulty_crash(f, FAULTY_SEEDED, seed);
        const char *text = content(f, "/d/a");
        size_t n = 0;
        while (text[n] == 's')
            n++;
        if (n != 3000)
            CHECK_INT(seed, -1);
        char c;
        size_t got;
        CHECK_STATUS(v->read(a, 0, &c, 1, &got, NULL), ILK_IO, NULL);
        v->close(a);
        CHECK_INT(faulty_n_unsynced(f), 0);
        faulty_free(f);
    }
}

/* Every outcome that faulty.h promises comes up: of 600 seeds, how many. */
static void outcomes(void)
{
    int n_gone = 0, n_old = 0, n_new = 0, n_torn = 0, n_reordered = 0, n_zeros = 0, n_other = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        faulty *f = faulty_new();
        const ilki_vfs *v = faulty_vfs(f);
        ilki_file *a = open_file(f, "/a");
        put(a, 0, 'o', 1536);
        v->sync(a, NULL);
        if (seed % 4 != 0)
            v->sync_dir(v, "/", NULL);
        put(a, 0, '1', 1536);   /* three sectors */
        put(a, 1536, '2', 512); /* and the file grows */
        v->close(a);
        faulty_crash(f, FAULTY_SEEDED, seed);
        const char *t = content(f, "/a");
        char s[5] = {t[0], t[0] != '-' ? t[512] : 0, t[0] != '-' ? t[1024] : 0, 0, 0};
        ilki_stat st;
        bool grown = v->stat(v, "/a", true, &st, NULL) == ILK_OK && st.size == 2048;
        if (t[0] == '-') {
            n_gone++;
            if (seed % 4 != 0)
                n_other++;
        } else if (grown && t[1536] == 0) {
            n_zeros++;
        } else if (strcmp(s, "111") == 0 && grown) {
            n_new++;
        } else if (strcmp(s, "ooo") == 0 && grown) {
            n_reordered++;
        } else if (strcmp(s, "ooo") == 0 && !grown) {
            n_old++;
        } else if (strspn(s, "o1") == 3) {
            n_torn++;
        } else {
            n_other++;
        }
        faulty_free(f);
    }
    printf("gone %d, old %d, new %d, torn %d, reordered %d, zeros %d\n", n_gone, n_old, n_new, n_torn, n_reordered,
           n_zeros);
    CHECK(n_gone > 20 && n_old > 60 && n_new > 60 && n_torn > 30 && n_reordered > 5 && n_zeros > 5);
    CHECK_INT(n_other, 0);
}

static void extremes(void)
{
    for (int kind = FAULTY_LOSE_ALL; kind <= FAULTY_KEEP_ALL; kind++) {
        faulty *f = faulty_new();
        const ilki_vfs *v = faulty_vfs(f);
        bool kept = kind == FAULTY_KEEP_ALL;
        ilki_file *a = open_file(f, "/a");
        put(a, 0, 'a', 3);
        v->sync(a, NULL);
        v->sync_dir(v, "/", NULL);
        put(a, 3, 'b', 3);
        void *p = NULL;
        ilki_file *s = open_file(f, "/shared");
        CHECK_OK(v->map_shared(s, 0, 4096, &p, NULL), NULL);
        memcpy(p, "x", 2);
        CHECK_INT(faulty_n_unsynced(f), 3); /* a write, the name and the size of the second */
        faulty_crash(f, (faulty_crash_kind)kind, 0);
        memcpy(p, "y", 2); /* by a process that is gone */
        CHECK_STR(content(f, "/a"), kept ? "aaabbb" : "aaa");
        CHECK_STR(content(f, "/shared"), kept ? "x" : "-");
        v->unmap(s, p, 4096);
        v->close(a);
        v->close(s);
        faulty_free(f);
    }
}

static void names_are_lost(void)
{
    int n_old = 0, n_new = 0, n_back = 0, n_away = 0, n_cross = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        faulty *f = faulty_new();
        const ilki_vfs *v = faulty_vfs(f);
        CHECK_OK(ilki_base_write_file(v, "/f", "old", 3, NULL), NULL);
        CHECK_OK(ilki_base_write_file(v, "/g", "gone", 4, NULL), NULL);
        CHECK_OK(ilki_base_write_file(v, "/t", "new", 3, NULL), NULL);
        CHECK_OK(v->make_dir(v, "/d", 0700, NULL), NULL);
        CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
        CHECK_OK(v->rename(v, "/t", "/f", NULL), NULL);
        CHECK_OK(v->unlink(v, "/g", NULL), NULL);
        ilki_file *x = open_file(f, "/x");
        put(x, 0, 'x', 1);
        v->sync(x, NULL);
        v->close(x);
        CHECK_OK(v->rename(v, "/x", "/d/x", NULL), NULL);
        CHECK_OK(v->sync_dir(v, "/d", NULL), NULL); /* makes the last rename last, and nothing else */
        faulty_crash(f, FAULTY_SEEDED, seed);
        bool old = strcmp(content(f, "/f"), "old") == 0, fresh = strcmp(content(f, "/f"), "new") == 0;
        if (!old && !fresh)
            CHECK_INT(seed, -1);
        if (old && strcmp(content(f, "/t"), "new") != 0)
            CHECK_INT(seed, -2);
        if (fresh && strcmp(content(f, "/t"), "-") != 0)
            CHECK_INT(seed, -3);
        n_old += old;
        n_new += fresh;
        n_back += strcmp(content(f, "/g"), "gone") == 0;
        n_away += strcmp(content(f, "/g"), "-") == 0;
        n_cross += strcmp(content(f, "/d/x"), "x") == 0 && strcmp(content(f, "/x"), "-") == 0;
        faulty_free(f);
    }
    CHECK(n_old > 40 && n_new > 40 && n_back > 40 && n_away > 40);
    CHECK_INT(n_old + n_new, 200);
    CHECK_INT(n_back + n_away, 200);
    CHECK_INT(n_cross, 200);
}

/* A directory that was not synced takes its files along, and a directory's rename its content. */
static void directories(void)
{
    faulty *f = faulty_new();
    const ilki_vfs *v = faulty_vfs(f);
    CHECK_OK(v->make_dir(v, "/d", 0700, NULL), NULL);
    CHECK_OK(ilki_base_write_file(v, "/d/f", "x", 1, NULL), NULL);
    CHECK_OK(v->rename(v, "/d", "/e", NULL), NULL);
    CHECK_STR(content(f, "/e/f"), "x");
    CHECK_STR(content(f, "/d/f"), "-");
    CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
    faulty_crash(f, FAULTY_LOSE_ALL, 0);
    CHECK_STR(content(f, "/e/f"), "x");
    CHECK_OK(v->make_dir(v, "/n", 0700, NULL), NULL);
    CHECK_OK(ilki_base_write_file(v, "/n/f", "x", 1, NULL), NULL);
    faulty_crash(f, FAULTY_LOSE_ALL, 0);
    CHECK_STR(content(f, "/n/f"), "-");
    faulty_free(f);
}

static void failed_sync(void)
{
    faulty *f = faulty_new();
    const ilki_vfs *v = faulty_vfs(f);
    ilki_file *a = open_file(f, "/a");
    CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
    put(a, 0, 'a', 3);
    faulty_fail(f, FAULTY_SYNC, 1, EIO, FAULTY_ONCE);
    CHECK_STATUS(v->sync(a, NULL), ILK_IO, NULL);
    faulty_fail_off(f);
    CHECK_STR(content(f, "/a"), "aaa");
    put(a, 3, 'b', 2);
    CHECK_OK(v->sync(a, NULL), NULL); /* says OK, and the first write is lost all the same */
    v->close(a);
    faulty_crash(f, FAULTY_SEEDED, 1);
    CHECK_STR(content(f, "/a"), ""); /* three zeros, then bb */
    ilki_stat st;
    CHECK_OK(v->stat(v, "/a", true, &st, NULL), NULL);
    CHECK_INT(st.size, 5);
    faulty_free(f);
}

/* Power lost at each call of a careful writer: the old file or the new one, acknowledged means new. */
static void careful_writer(void)
{
    bool cut = true;
    int n_old = 0, n_new = 0;
    uint64_t n = 1;
    for (; cut; n++) {
        for (uint64_t seed = 0; seed < 40; seed++) {
            faulty *f = faulty_new();
            const ilki_vfs *v = faulty_vfs(f);
            CHECK_OK(ilki_base_write_file(v, "/f", "old", 3, NULL), NULL);
            faulty_cut_power(f, n);
            ilk_status st = ilki_base_write_file(v, "/f", "new", 3, NULL);
            ilki_file *any = NULL;
            cut = v->open(v, &any, "/f", ILKI_OPEN_READ, NULL) != ILK_OK; /* the power stays off */
            v->close(any);
            CHECK_INT(faulty_n_open(f), 0);
            faulty_crash(f, FAULTY_SEEDED, seed);
            const char *text = content(f, "/f");
            bool old = strcmp(text, "old") == 0, fresh = strcmp(text, "new") == 0;
            if (!(old || fresh) || (st == ILK_OK && !fresh))
                CHECK_INT(seed, -1);
            n_old += old;
            n_new += fresh;
            faulty_free(f);
        }
    }
    CHECK_INT(n, 7); /* open, write, sync, rename, sync_dir; then nothing was cut */
    CHECK(n_old > 100 && n_new > 45);
}

/* The twin catches the one who forgets: no sync before the rename. */
static void careless_writer(void)
{
    int n_bad = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        faulty *f = faulty_new();
        const ilki_vfs *v = faulty_vfs(f);
        CHECK_OK(ilki_base_write_file(v, "/f", "old", 3, NULL), NULL);
        ilki_file *t = open_file(f, "/t");
        put(t, 0, 'n', 3);
        v->close(t);
        CHECK_OK(v->rename(v, "/t", "/f", NULL), NULL);
        CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
        faulty_crash(f, FAULTY_SEEDED, seed);
        n_bad += strcmp(content(f, "/f"), "nnn") != 0;
        faulty_free(f);
    }
    CHECK(n_bad > 20);
}

static void same_seed_same_state(void)
{
    char first[8192];
    for (int i = 0; i < 2; i++) {
        faulty *f = faulty_new();
        ilki_file *a = open_file(f, "/a");
        faulty_vfs(f)->sync_dir(faulty_vfs(f), "/", NULL);
        for (uint64_t k = 0; k < 10; k++)
            put(a, k * 700, 'a' + (int)k, 700);
        faulty_vfs(f)->close(a);
        faulty_crash(f, FAULTY_SEEDED, 3);
        if (i == 0)
            memcpy(first, content(f, "/a"), sizeof first);
        else
            CHECK_STR(content(f, "/a"), first);
        faulty_free(f);
    }
}

TEST_MAIN({"same_as_posix", same_as_posix}, {"maps_and_locks", maps_and_locks}, {"faults", faults},
          {"synced_survives", synced_survives}, {"outcomes", outcomes}, {"extremes", extremes},
          {"names_are_lost", names_are_lost}, {"directories", directories}, {"failed_sync", failed_sync},
          {"careful_writer", careful_writer}, {"careless_writer", careless_writer},
          {"same_seed_same_state", same_seed_same_state})
