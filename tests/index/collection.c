/* SPDX-License-Identifier: Apache-2.0
 * A store over several sessions and handles: the files of codes are kept, followed, distrusted and made again. */
#include <dirent.h>

#include "random.h"
#include "test.h"
#include "tree.h"

enum { DIM = 40, N = 400 };

typedef struct world {
    char *dir;
    ilk_runtime *rt;
    ilk_store *s;
    ilk_error err;
    float v[N][DIM];
    char warnings[2000];
} world;

static void note(void *user, ilk_log_level level, const char *message)
{
    world *w = user;
    size_t n = strlen(w->warnings);
    if (level <= ILK_LOG_WARN)
        snprintf(w->warnings + n, sizeof w->warnings - n, "%s\n", message);
}

static bool open_store(world *w, bool read_only, bool no_mmap)
{
    ilk_store_options opt;
    ilk_store_options_init(&opt);
    opt.sync = ILK_SYNC_NORMAL;
    opt.read_only = read_only;
    opt.no_mmap = no_mmap;
    ilk_store_close(w->s);
    return CHECK_OK(ilk_store_open(&w->s, w->rt, tree_path(w->dir, "s"), &opt, &w->err), &w->err);
}

static void put(world *w, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        ilk_item item;
        ilk_vector v;
        char id[16];
        ilk_item_init(&item);
        ilk_vector_init(&v);
        snprintf(id, sizeof id, "i%03zu", i);
        v.space = "v";
        v.data = w->v[i];
        v.rows = 1;
        v.dim = DIM;
        item.id = id;
        item.vectors = &v;
        item.n_vectors = 1;
        CHECK_OK(ilk_store_upsert(w->s, &item, 1, NULL, &w->err), &w->err);
    }
}

static bool world_open(world *w, size_t n)
{
    ilk_runtime_options opt;
    ilk_space space;
    uint64_t seed = 3;
    memset(w, 0, sizeof *w);
    ilk_error_init(&w->err);
    ilk_runtime_options_init(&opt);
    ilk_space_init(&space);
    opt.log = note;
    opt.log_user = w;
    opt.n_threads = 1;
    w->dir = tree_new();
    for (size_t i = 0; i < N * DIM; i++)
        w->v[i / DIM][i % DIM] = (float)((double)(test_random(&seed) >> 40) / (1 << 23) - 1.0);
    space.name = "v";
    space.dim = DIM;
    if (!CHECK_OK(ilk_runtime_open(&w->rt, &opt, &w->err), &w->err) || !open_store(w, false, false) ||
        !CHECK_OK(ilk_store_ensure_space(w->s, &space, &w->err), &w->err))
        return false;
    put(w, 0, n);
    return true;
}

static void world_close(world *w)
{
    ilk_store_close(w->s);
    ilk_runtime_close(w->rt);
    tree_free(w->dir);
}

/* Every tenth of the first n finds itself; the n-th is not there. */
static void check_all(ilk_store *s, world *w, size_t n)
{
    for (size_t i = 0; i <= n && i<N; i += i + 10> n && i < n ? n - i : 10) {
        ilk_query q;
        ilk_hits *h = NULL;
        char id[16];
        ilk_query_init(&q);
        q.vector.data = w->v[i];
        q.vector.rows = 1;
        q.vector.dim = DIM;
        q.k = 1;
        snprintf(id, sizeof id, "i%03zu", i);
        if (!CHECK_OK(ilk_store_search(s, &q, 1, NULL, &h, &w->err), &w->err))
            return;
        ilk_hit hit;
        ilk_hit_init(&hit);
        CHECK_OK(ilk_hits_get(h, 0, 0, &hit, &w->err), &w->err);
        CHECK_THAT(i == n || (strcmp(hit.id, id) == 0 && hit.score > 0.9999f), "%s: found %s, %g", id, hit.id,
                   (double)hit.score);
        CHECK(i < n || strcmp(hit.id, id) != 0);
        ilk_hits_free(h);
    }
}

/* The file of codes; "" where there is none. */
static const char *codes_file(const world *w)
{
    static char path[4200];
    DIR *d = opendir(tree_path(w->dir, "s/derived"));
    *path = '\0';
    for (struct dirent *e; d && (e = readdir(d));)
        if (strncmp(e->d_name, "flat-", 5) == 0)
            snprintf(path, sizeof path, "%s", tree_path(w->dir, "s/derived/%s", e->d_name));
    if (d)
        closedir(d);
    return path;
}

static void codes_are_kept_and_followed(void)
{
    world w;
    struct stat before, after;
    if (!world_open(&w, 200))
        goto end;
    CHECK_STR(codes_file(&w), "");
    if (!open_store(&w, false, false))
        goto end;
    REQUIRE(CHECK(*codes_file(&w)));
    TREE_NEED(stat(codes_file(&w), &before) == 0);
    check_all(w.s, &w, 200);
    put(&w, 200, 203); /* few: not worth another file */
    check_all(w.s, &w, 203);
    CHECK(open_store(&w, false, true));
    TREE_NEED(stat(codes_file(&w), &after) == 0);
    CHECK(before.st_ino == after.st_ino && before.st_size == after.st_size);
    check_all(w.s, &w, 203);
    put(&w, 100, 300);
    CHECK(open_store(&w, true, false));
    TREE_NEED(stat(codes_file(&w), &after) == 0);
    CHECK(after.st_size > before.st_size);
    check_all(w.s, &w, 300);
    CHECK_STR(w.warnings, "");
end:
    world_close(&w);
}

static void damaged_codes_are_made_again(void)
{
    world w;
    if (!world_open(&w, 250) || !open_store(&w, false, false))
        goto end;
    char *whole = NULL, *path = strdup(codes_file(&w));
    size_t n = 0;
    FILE *f = fopen(path, "rb");
    TREE_NEED(path && f);
    whole = malloc(1 << 20);
    n = fread(whole, 1, 1 << 20, f);
    fclose(f);
    CHECK(n > 250 * DIM);
    for (size_t at = 0; at < n + 3; at += n / 37) {
        ilk_store_close(w.s);
        w.s = NULL;
        char *bad = malloc(n);
        memcpy(bad, whole, n);
        if (at < n)
            bad[at] ^= 0x40;
        tree_write(path, bad, at < n ? n : n / 2); /* a flipped bit, at last a cut */
        free(bad);
        if (!open_store(&w, at % 2, at % 3 == 0))
            break;
        check_all(w.s, &w, 250);
    }
    /* a file of a store that had come further */
    CHECK(open_store(&w, false, false));
    put(&w, 250, N);
    ilk_store_close(w.s);
    w.s = NULL;
    f = fopen(path, "rb");
    n = fread(whole, 1, 1 << 20, f);
    fclose(f);
    world young;
    if (world_open(&young, 50) && open_store(&young, false, false)) {
        ilk_store_close(young.s);
        young.s = NULL;
        tree_write(codes_file(&young), whole, n);
        if (open_store(&young, false, false))
            check_all(young.s, &young, 50);
    }
    world_close(&young);
    free(whole);
    free(path);
end:
    world_close(&w);
}

static void reader_follows_writer(void)
{
    world w;
    ilk_store *reader = NULL;
    ilk_store_options opt;
    ilk_store_options_init(&opt);
    opt.read_only = 1;
    if (!world_open(&w, 20) || !CHECK_OK(ilk_store_open(&reader, w.rt, tree_path(w.dir, "s"), &opt, &w.err), &w.err))
        goto end;
    for (size_t n = 20; n < 120; n += 20) {
        check_all(reader, &w, n);
        put(&w, n, n + 20);
    }
    ilk_item item;
    ilk_item_init(&item);
    item.id = "x";
    CHECK(ilk_store_upsert(reader, &item, 1, NULL, &w.err) != ILK_OK);
end:
    ilk_store_close(reader);
    world_close(&w);
}

typedef struct findings {
    int n, n_repaired;
    char last[500];
} findings;

static void found(void *user, const char *object, const char *finding, int repaired)
{
    findings *f = user;
    f->n++;
    f->n_repaired += repaired;
    snprintf(f->last, sizeof f->last, "%s: %s", object, finding);
}

static void check_compares_codes_with_vectors(void)
{
    world w, other;
    findings f = {0};
    memset(&other, 0, sizeof other);
    if (!world_open(&w, 150) || !open_store(&w, false, false))
        goto end;
    CHECK_OK(ilk_store_check(w.s, 0, found, &f, NULL, &w.err), &w.err);
    CHECK_THAT(f.n == 0, "%s", f.last);
    /* sound codes, but of other vectors */
    if (!world_open(&other, 0))
        goto end;
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < DIM; k++)
            other.v[i][k] = -w.v[(i + 9) % N][k];
    put(&other, 0, 150);
    if (!open_store(&other, false, false))
        goto end;
    char *text = malloc(1 << 20);
    FILE *file = fopen(codes_file(&other), "rb");
    TREE_NEED(text && file);
    size_t n = fread(text, 1, 1 << 20, file);
    fclose(file);
    ilk_store_close(w.s);
    w.s = NULL;
    tree_write(codes_file(&w), text, n);
    free(text);
    if (!open_store(&w, false, false))
        goto end;
    CHECK_OK(ilk_store_check(w.s, 0, found, &f, NULL, &w.err), &w.err);
    CHECK_INT(f.n, 1);
    CHECK(strstr(f.last, "codes of space \"v\": 150 of 150"));
    f.n = 0;
    CHECK_OK(ilk_store_check(w.s, 1, found, &f, NULL, &w.err), &w.err);
    CHECK(f.n == 1 && f.n_repaired == 1);
    f.n = 0;
    CHECK_OK(ilk_store_check(w.s, 0, found, &f, NULL, &w.err), &w.err);
    CHECK_INT(f.n, 0);
    check_all(w.s, &w, 150);
end:
    if (other.dir)
        world_close(&other);
    world_close(&w);
}

TEST_MAIN({"codes_are_kept_and_followed", codes_are_kept_and_followed},
          {"damaged_codes_are_made_again", damaged_codes_are_made_again},
          {"reader_follows_writer", reader_follows_writer},
          {"check_compares_codes_with_vectors", check_compares_codes_with_vectors})
