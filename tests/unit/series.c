/* SPDX-License-Identifier: Apache-2.0
 * Pictures in a series by helpers that obey their files (tests/liar.c): each comes once, with its own pixels; a file that
 * kills or hangs its helper, or is none, costs itself alone; a cancel ends it at once. */
#include "media/series.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "cancel.h"
#include "test.h"
#include "tree.h"

enum { N = 200, MOST_THREADS = 4 };

typedef struct files {
    ilki_media_series *s;
    ilk_job *job;
    char bytes[N][8];
    int seen[N], good[N];
    ilk_status status[N];
    atomic_int left;
    atomic_bool *read; /* NULL, or set when the tenth file is met */
} files;

static char *top;

static ilki_media *open_liar(uint32_t n)
{
    ilki_media *m = NULL;
    const ilki_media_limits limits = {.max_processes = n, .max_files = 37};
    const char *path = tree_path(top, "liar-obedient");
    if (access(path, X_OK) != 0) {
        char block[65536];
        FILE *from = fopen(ILK_TEST_LIAR, "rbe"), *to = fopen(path, "wbe");
        TREE_NEED(from && to);
        for (size_t k; (k = fread(block, 1, sizeof block, from)) > 0;)
            TREE_NEED(fwrite(block, 1, k, to) == k);
        fclose(from);
        TREE_NEED(fclose(to) == 0 && chmod(path, 0700) == 0);
    }
    CHECK_OK(ilki_media_new(&m, path, &limits, NULL), NULL);
    return m;
}

static ilk_status wish(void *user, size_t i, ilki_media_wish *out, ilk_error *err)
{
    files *f = user;
    if (f->bytes[i][0] == 'L')
        return ilki_base_fail(err, ILK_NOT_FOUND, "it was lost");
    *out = (ilki_media_wish){f->bytes[i], 8, 0};
    return ILK_OK;
}

static void *take_all(void *arg)
{
    files *f = arg;
    while (atomic_fetch_sub(&f->left, 1) > 0) {
        ilki_media_picture p;
        ilk_error err;
        size_t i;
        ilk_error_init(&err);
        ilk_status st = ilki_media_series_next(f->s, f->job, &i, &p, &err);
        if (i == SIZE_MAX)
            break;
        f->seen[i]++;
        f->status[i] = st;
        if (f->read && i == 9)
            *f->read = true;
        if (st == ILK_OK) {
            f->good[i] = p.width == 1 && p.height == 1 && memcmp(p.pixels, f->bytes[i], 3) == 0;
            ilki_media_series_end_picture(f->s, &p);
        }
    }
    return NULL;
}

static void run(files *f, ilki_media *m, unsigned n_threads)
{
    pthread_t t[MOST_THREADS];
    ilk_error err;
    ilk_error_init(&err);
    f->left = N;
    REQUIRE(CHECK_OK(ilki_media_series_new(&f->s, m, N, wish, f, &err), &err));
    for (unsigned i = 1; i < n_threads; i++)
        REQUIRE(CHECK(pthread_create(&t[i], NULL, take_all, f) == 0));
    take_all(f);
    for (unsigned i = 1; i < n_threads; i++)
        pthread_join(t[i], NULL);
    ilki_media_series_free(f->s);
}

static void name(files *f)
{
    for (size_t i = 0; i < N; i++)
        snprintf(f->bytes[i], sizeof f->bytes[i], "%07zu", i * 7919);
}

static void check(const files *f, size_t i, ilk_status want)
{
    CHECK_THAT(f->seen[i] == 1 && f->status[i] == want && f->good[i] == (want == ILK_OK),
               "file %zu, \"%s\": met %d times, status %d, expected %d, pixels %s", i, f->bytes[i], f->seen[i],
               (int)f->status[i], (int)want, f->good[i] ? "its own" : "of another");
}

static void all(void)
{
    top = tree_new();
    for (unsigned n = 1; n <= MOST_THREADS; n++)
        for (unsigned helpers = 1; helpers <= n; helpers += n > 1 ? n - 1 : 1) {
            static files f;
            f = (files){.left = 0};
            ilki_media *m = open_liar(helpers);
            name(&f);
            run(&f, m, n);
            for (size_t i = 0; i < N; i++)
                check(&f, i, ILK_OK);
            ilki_media_free(m);
        }
}

/* What a file does, and what is said of it. */
static void hostile(void)
{
    static const struct {
        char first;
        ilk_status want;
    } kinds[] = {{'X', ILK_BAD_FORMAT}, {'B', ILK_BAD_FORMAT}, {'L', ILK_NOT_FOUND}};
    for (unsigned n = 1; n <= 2; n++) {
        static files f;
        f = (files){.left = 0};
        ilki_media *m = open_liar(n);
        name(&f);
        for (size_t i = 3; i < N; i += 7)
            f.bytes[i][0] = kinds[i % 3].first;
        f.bytes[N - 1][0] = f.bytes[N - 2][0] = f.bytes[0][0] = f.bytes[1][0] = 'X'; /* also in a row */
        run(&f, m, n);
        for (size_t i = 0; i < N; i++) {
            const char *at = strchr("XBL", f.bytes[i][0]);
            check(&f, i, at ? kinds[at - "XBL"].want : ILK_OK);
        }
        ilki_media_free(m);
    }
}

/* Files for heavy helpers between others: a lane changes its helper, and keeps what reads everything. */
static void mixed(void)
{
    for (unsigned n = 1; n <= MOST_THREADS; n++)
        for (unsigned every = 1; every < N; every = every * 3 + 1) {
            static files f;
            f = (files){.left = 0};
            ilki_media *m = open_liar(n > 1 ? n - 1 : n);
            name(&f);
            for (size_t i = every - 1; i < N; i += every)
                memcpy(f.bytes[i] + 4, "ftyp", 4);
            run(&f, m, n);
            for (size_t i = 0; i < N; i++)
                check(&f, i, ILK_OK);
            ilki_media_free(m);
        }
}

static atomic_bool ten_are_read;

/* The status of the file whose helper hangs. */
static ilk_status read_with_one_that_hangs(void *arg, ilk_job *job, ilk_error *err)
{
    static files f;
    (void)err;
    f = (files){.job = job, .read = &ten_are_read};
    name(&f);
    f.bytes[10][0] = 'H';
    run(&f, arg, 1);
    for (size_t i = 0; i < 10; i++)
        check(&f, i, ILK_OK);
    CHECK(f.status[11] != ILK_OK || !f.seen[11]);
    return f.status[10];
}

static void cancel(void)
{
    if (!top)
        top = tree_new();
    ilki_media *m = open_liar(1);
    cancel_in_time(&(cancelled){.what = "a helper that hangs",
                                .kind = CANCEL_WAIT,
                                .after_ms = 30,
                                .begun = &ten_are_read,
                                .run = read_with_one_that_hangs,
                                .arg = m});
    ilki_media_free(m);
}

typedef struct other {
    ilki_media *m;
    files f;
    int n_good;
} other;

/* Two series at once and somebody who wants a helper now and then: all come to an end. */
static void *one_by_one(void *arg)
{
    other *o = arg;
    for (int i = 0; i < 50; i++) {
        ilki_media_picture p;
        o->n_good += ilki_media_read_picture(o->m, "abcdefg", 8, 0, NULL, &p, NULL) == ILK_OK &&
                     memcmp(p.pixels, "abc", 3) == 0;
        ilki_media_end_picture(o->m, &p);
    }
    return NULL;
}

static void *second(void *arg)
{
    other *o = arg;
    run(&o->f, o->m, 2);
    return NULL;
}

static void together(void)
{
    static other a;
    static files b;
    pthread_t t[2];
    a = (other){.m = open_liar(2)};
    b = (files){.left = 0};
    name(&a.f);
    name(&b);
    REQUIRE(CHECK(pthread_create(&t[0], NULL, second, &a) == 0 && pthread_create(&t[1], NULL, one_by_one, &a) == 0));
    run(&b, a.m, 2);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    CHECK_INT(a.n_good, 50);
    for (size_t i = 0; i < N; i++) {
        check(&a.f, i, ILK_OK);
        check(&b, i, ILK_OK);
    }
    ilki_media_free(a.m);
    tree_free(top);
}

TEST_MAIN({"all", all}, {"hostile", hostile}, {"mixed", mixed}, {"cancel", cancel}, {"together", together})
