/* SPDX-License-Identifier: Apache-2.0
 * The flat index against every row's exact score. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cpu.h"
#include "index/index.h"
#include "index/topk.h"
#include "test.h"

#define N 3000

typedef struct data {
    uint32_t dim;
    float *rows; /* row of label 10 + 3 i is i */
    size_t n;
    size_t n_fetched;
} data;

static ilki_kern_ops ops;

static float gauss(uint64_t *seed)
{
    double s = 0;
    for (int i = 0; i < 12; i++)
        s += (double)(test_random(seed) >> 11) / 9007199254740992.0;
    return (float)(s - 6);
}

/* Vectors around 20 centres, as embeddings lie. */
static data make_data(uint32_t dim, size_t n, uint64_t seed)
{
    data d = {.dim = dim, .n = n};
    float *centres = calloc((size_t)20 * dim, sizeof *centres);
    d.rows = calloc(n * dim, sizeof *d.rows);
    for (size_t i = 0; i < (size_t)20 * dim; i++)
        centres[i] = gauss(&seed);
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < dim; k++)
            d.rows[i * dim + k] = centres[i % 20 * dim + k] + 0.4f * gauss(&seed);
    free(centres);
    return d;
}

static ilk_status fetch(void *user, uint64_t label, float *to, ilk_error *err)
{
    data *d = user;
    (void)err;
    d->n_fetched++;
    memcpy(to, d->rows + (label - 10) / 3 * d->dim, d->dim * sizeof *to);
    return ILK_OK;
}

static ilki_index *build(const data *d, ilk_metric metric, ilki_pool *pool)
{
    ilki_index *ix = NULL;
    ilki_index_spec spec = {"flat", d->dim, metric, &ops, pool};
    const ilki_index_type *type = ilki_index_find_type("flat");
    if (!CHECK_OK(type->new_(&ix, &spec, NULL), NULL))
        return NULL;
    for (size_t i = 0; i < d->n; i++)
        CHECK_OK(type->add(ix, 10 + 3 * i, d->rows + i * d->dim, NULL), NULL);
    CHECK_INT(type->count(ix), d->n);
    return ix;
}

/* The k best by exact score among rows that `keep` admits. */
static size_t truth(const data *d, ilk_metric metric, const float *q, size_t k, bool (*keep)(size_t),
                    ilki_candidate *out)
{
    ilki_topk top = {out, k, 0};
    for (size_t i = 0; i < d->n; i++)
        if (!keep || keep(i))
            ilki_index_topk_push(
                &top, (ilki_candidate){10 + 3 * i, ilki_index_score(metric, q, d->rows + i * d->dim, d->dim)});
    ilki_index_topk_sort(&top);
    return top.n;
}

static void check_same(const ilki_candidate *got, size_t n_got, const ilki_candidate *want, size_t n_want)
{
    REQUIRE(CHECK_INT(n_got, n_want));
    for (size_t i = 0; i < n_got; i++) {
        CHECK_INT(got[i].label, want[i].label);
        CHECK(memcmp(&got[i].score, &want[i].score, sizeof(float)) == 0);
    }
}

static void metrics(void)
{
    static const uint32_t dims[] = {1, 7, 64, 100, 384};
    for (size_t m = 0; m < 15; m++) {
        ilk_metric metric = (ilk_metric)(ILK_COSINE + m % 3);
        data d = make_data(dims[m / 3], N, m);
        ilki_index *ix = build(&d, metric, NULL);
        uint64_t seed = 99;
        REQUIRE(ix != NULL);
        for (int round = 0; round < 20; round++) {
            ilki_candidate got[10], want[10];
            float *q = d.rows + test_random(&seed) % d.n * d.dim;
            size_t n;
            /* one dimension has hundreds of equal codes: every row is a candidate there */
            ilki_index_query query = {
                .vector = q, .k = 10, .n_candidates = d.dim < 8 ? N : 64, .fetch = fetch, .fetch_user = &d};
            CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
            check_same(got, n, want, truth(&d, metric, q, 10, NULL, want));
        }
        ix->type->free(ix);
        free(d.rows);
    }
}

static bool keep_third(size_t i)
{
    return i % 3 == 0;
}

static void filter_and_remove(void)
{
    data d = make_data(96, N, 5);
    ilki_index *ix = build(&d, ILK_COSINE, NULL);
    uint64_t *allowed = calloc(N, sizeof *allowed);
    ilki_candidate got[10], want[10];
    size_t n, n_allowed = 0;
    REQUIRE(ix != NULL);
    for (size_t i = 0; i < N; i += 3)
        allowed[n_allowed++] = 10 + 3 * i;
    ilki_index_query query = {.vector = d.rows,
                              .k = 10,
                              .n_candidates = 64,
                              .allowed = allowed,
                              .n_allowed = n_allowed,
                              .fetch = fetch,
                              .fetch_user = &d};
    CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
    check_same(got, n, want, truth(&d, ILK_COSINE, d.rows, 10, keep_third, want));
    query.n_allowed = 0;
    CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
    CHECK_INT(n, 0);
    query.allowed = NULL;
    for (size_t i = 0; i < N; i++)
        if (!keep_third(i))
            ix->type->remove(ix, 10 + 3 * i);
    ix->type->remove(ix, 11); /* no such label */
    ix->type->remove(ix, 13);
    CHECK_INT(ix->type->count(ix), N / 3);
    CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
    check_same(got, n, want, truth(&d, ILK_COSINE, d.rows, 10, keep_third, want));
    CHECK_OK(ix->type->check(ix, NULL), NULL);
    ix->type->free(ix);
    free(allowed);
    free(d.rows);
}

static void threads(void)
{
    data d = make_data(48, 40000, 6);
    ilki_candidate want[100];
    for (unsigned t = 1; t <= 3; t++) {
        ilki_pool *pool = NULL;
        REQUIRE(CHECK_OK(ilki_base_pool_new(&pool, t, NULL), NULL));
        ilki_index *ix = build(&d, ILK_DOT, pool);
        ilki_candidate got[100];
        size_t n;
        ilki_index_query query = {.vector = d.rows + 48, .k = 100, .n_candidates = 100};
        CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
        CHECK_INT(n, 100);
        if (t == 1)
            memcpy(want, got, sizeof want);
        check_same(got, n, want, 100);
        ix->type->free(ix);
        ilki_base_pool_free(pool);
    }
    free(d.rows);
}

static void bad_input(void)
{
    data d = make_data(8, 4, 1);
    ilki_index *ix = build(&d, ILK_COSINE, NULL);
    float v[8] = {NAN}, zero[8] = {0};
    ilki_candidate got[4];
    size_t n;
    ilki_index_spec spec = {"flat", 0, ILK_COSINE, &ops, NULL};
    ilki_index *none = NULL;
    REQUIRE(ix != NULL);
    CHECK_STATUS(ix->type->add(ix, 100, v, NULL), ILK_NOT_FINITE, NULL);
    CHECK_STATUS(ix->type->add(ix, 10, zero, NULL), ILK_BAD_ARGUMENT, NULL);
    CHECK_OK(ix->type->add(ix, 101, zero, NULL), NULL);
    ilki_index_query query = {.vector = v, .k = 4};
    CHECK_STATUS(ix->type->search(ix, &query, NULL, got, &n, NULL), ILK_NOT_FINITE, NULL);
    query.vector = zero;
    CHECK_OK(ix->type->search(ix, &query, NULL, got, &n, NULL), NULL);
    CHECK_INT(n, 4);
    CHECK_INT(got[0].label, 10); /* all are 0: ties by label */
    CHECK_STATUS(ix->type->new_(&none, &spec, NULL), ILK_LIMIT, NULL);
    CHECK(ilki_index_find_type("nothing") == NULL);
    ix->type->free(ix);
    ilki_index_find_type("flat")->free(NULL);
    free(d.rows);
}

/* ------------------------------------------------------------------ files */

static char path[64];

static void make_path(void)
{
    snprintf(path, sizeof path, "/tmp/ilk-flat-%d", (int)getpid());
}

static void save_and_load(void)
{
    data d = make_data(100, N, 8);
    ilki_index *ix = build(&d, ILK_COSINE, NULL), *loaded = NULL;
    ilki_index_spec spec = {"flat", 100, ILK_COSINE, &ops, NULL};
    uint64_t upto = 0;
    make_path();
    REQUIRE(ix != NULL);
    for (size_t i = 0; i < N; i++)
        if (!keep_third(i))
            ix->type->remove(ix, 10 + 3 * i);
    for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
        ilki_candidate got[10], want[10];
        size_t n, n_want;
        ilki_index_query query = {.vector = d.rows, .k = 10, .n_candidates = 64};
        REQUIRE(CHECK_OK(ix->type->save(ix, &ilki_base_vfs_posix, path, 77, NULL), NULL));
        REQUIRE(CHECK_OK(ix->type->load(&loaded, &spec, &ilki_base_vfs_posix, path, no_mmap, &upto, NULL), NULL));
        CHECK_INT(upto, 77);
        CHECK_INT(loaded->type->count(loaded), N / 3);
        CHECK_OK(loaded->type->check(loaded, NULL), NULL);
        CHECK_OK(ix->type->search(ix, &query, NULL, want, &n_want, NULL), NULL);
        CHECK_OK(loaded->type->search(loaded, &query, NULL, got, &n, NULL), NULL);
        check_same(got, n, want, n_want);
        /* what was loaded goes on living: rows come and go, and it is saved again */
        loaded->type->remove(loaded, want[0].label);
        CHECK_OK(loaded->type->add(loaded, 1000000, d.rows, NULL), NULL);
        CHECK_OK(loaded->type->search(loaded, &query, NULL, got, &n, NULL), NULL);
        CHECK_INT(got[0].label, 1000000);
        CHECK_INT(got[1].label, want[1].label);
        CHECK_OK(loaded->type->save(loaded, &ilki_base_vfs_posix, path, 78, NULL), NULL);
        loaded->type->free(loaded);
        REQUIRE(CHECK_OK(ix->type->load(&loaded, &spec, &ilki_base_vfs_posix, path, no_mmap, &upto, NULL), NULL));
        CHECK_INT(upto, 78);
        CHECK_INT(loaded->type->count(loaded), N / 3);
        loaded->type->free(loaded);
    }
    spec.dim = 101;
    CHECK_STATUS(ix->type->load(&loaded, &spec, &ilki_base_vfs_posix, path, false, &upto, NULL), ILK_MISMATCH, NULL);
    ix->type->free(ix);
    free(d.rows);
    unlink(path);
}

/* In place and without a sync, for there are thousands of these. */
static void write_plain(const char *bytes, size_t n)
{
    FILE *f = fopen(path, "r+b");
    REQUIRE(CHECK(f != NULL));
    CHECK_INT(fwrite(bytes, 1, n, f), n);
    fflush(f);
    CHECK_INT(ftruncate(fileno(f), (off_t)n), 0);
    fclose(f);
}

/* Each byte changed, each length cut: an error at load, or at the first touch, never another answer. */
static void damage(void)
{
    data d = make_data(16, 40, 9);
    ilki_index *ix = build(&d, ILK_COSINE, NULL), *loaded = NULL;
    ilki_index_spec spec = {"flat", 16, ILK_COSINE, &ops, NULL};
    char *bytes = NULL;
    size_t n;
    uint64_t upto;
    make_path();
    REQUIRE(ix != NULL);
    REQUIRE(CHECK_OK(ix->type->save(ix, &ilki_base_vfs_posix, path, 1, NULL), NULL));
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &bytes, &n, NULL), NULL));
    for (size_t i = 0; i < n; i += i >= 64 && i < 4096 ? 500 : 1) {
        bytes[i] ^= 0x10;
        write_plain(bytes, n);
        bytes[i] ^= 0x10;
        ilki_candidate got[40];
        size_t n_got;
        ilki_index_query query = {.vector = d.rows, .k = 40};
        if (ix->type->load(&loaded, &spec, &ilki_base_vfs_posix, path, false, &upto, NULL) != ILK_OK)
            continue;
        bool pad = i >= 64 && i < 4096; /* bytes that mean nothing */
        if (!CHECK(pad || loaded->type->search(loaded, &query, NULL, got, &n_got, NULL) == ILK_CORRUPT))
            printf("byte %zu\n", i);
        loaded->type->free(loaded);
    }
    for (size_t cut = 0; cut < n; cut += 7) {
        write_plain(bytes, cut);
        CHECK(ix->type->load(&loaded, &spec, &ilki_base_vfs_posix, path, cut % 2, &upto, NULL) != ILK_OK);
    }
    ix->type->free(ix);
    free(bytes);
    free(d.rows);
    unlink(path);
}

/* Candidates of many queries in one walk: a search that is given them finds the same bits. */
static void many(void)
{
    enum { QUERIES = 150, STEP = 40, K = 10 };
    static ilki_candidate shared[QUERIES * STEP];
    uint64_t allowed[N / 5];
    size_t n_shared[QUERIES], n_allowed = 0;
    for (size_t i = 0; i < N; i += 5)
        allowed[n_allowed++] = 10 + 3 * i;
    for (int round = 0; round < 6; round++) {
        data d = make_data(round % 2 ? 100 : 7, N, (uint64_t)round + 50);
        ilki_index *ix = build(&d, (ilk_metric)(ILK_COSINE + round % 3), NULL);
        ilki_index_query q[QUERIES];
        REQUIRE(ix != NULL);
        for (size_t i = 0; i < N; i += 7)
            ix->type->remove(ix, 10 + 3 * i);
        for (size_t i = 0; i < QUERIES; i++)
            q[i] = (ilki_index_query){.vector = d.rows + i * 11 % N * d.dim,
                                      .k = K,
                                      .n_candidates = STEP,
                                      .allowed = round > 2 ? allowed : NULL,
                                      .n_allowed = round > 2 ? n_allowed : 0,
                                      .fetch = fetch,
                                      .fetch_user = &d};
        REQUIRE(CHECK_OK(ix->type->candidates(ix, q, QUERIES, NULL, shared, n_shared, NULL), NULL));
        for (size_t i = 0; i < QUERIES; i++) {
            ilki_candidate want[K], got[K];
            size_t n_want, n_got;
            CHECK_OK(ix->type->search(ix, &q[i], NULL, want, &n_want, NULL), NULL);
            CHECK_INT(n_shared[i], STEP);
            q[i].given = shared + i * STEP;
            q[i].n_given = n_shared[i];
            CHECK_OK(ix->type->search(ix, &q[i], NULL, got, &n_got, NULL), NULL);
            check_same(got, n_got, want, n_want);
        }
        CHECK_OK(ix->type->candidates(ix, q, 0, NULL, shared, n_shared, NULL), NULL);
        float *row = d.rows, kept = row[0];
        row[0] = NAN;
        CHECK_STATUS(ix->type->candidates(ix, q, QUERIES, NULL, shared, n_shared, NULL), ILK_NOT_FINITE, NULL);
        row[0] = kept;
        ix->type->free(ix);
        free(d.rows);
    }
}

static void setup(void)
{
    CHECK_OK(ilki_kern_select(&ops, NULL, ilki_base_cpu_features(), (char[64]){0}, 64, NULL), NULL);
}

TEST_MAIN({"setup", setup}, {"metrics", metrics}, {"filter_and_remove", filter_and_remove}, {"threads", threads},
          {"many", many}, {"bad_input", bad_input}, {"save_and_load", save_and_load}, {"damage", damage})
