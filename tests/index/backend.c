/* SPDX-License-Identifier: Apache-2.0
 * What every row of backend.c must do, whatever stands behind it; truth is a scan over the test's own copy. */
#include "engine/backend.h"

#include <pthread.h>

#include "index/index.h"
#include "random.h"
#include "test.h"
#include "tree.h"

enum { DIM = 24, N = 600 };

typedef struct world {
    ilk_runtime *rt;
    char *dir;
    ilki_backend *b;
    ilk_error err;
    float v[N][DIM];
    bool alive[N];
    uint64_t seed;
    atomic_int n_logged;
} world;

/* An index that is wrong heals itself, so that only the log tells. */
static void count_log(void *user, ilk_log_level level, const char *message)
{
    world *w = user;
    w->n_logged++;
    printf("log %d: %s\n", (int)level, message);
}

static void fill(world *w, size_t i)
{
    for (size_t k = 0; k < DIM; k++)
        w->v[i][k] = (float)((double)(test_random(&w->seed) >> 40) / (1 << 23) - 1.0);
}

static bool open_again(world *w, const ilki_backend_type *type, bool read_only)
{
    ilk_store_options opt = {.size = sizeof opt, .sync = ILK_SYNC_NORMAL, .read_only = read_only};
    if (w->b)
        w->b->type->close(w->b);
    w->b = NULL;
    return CHECK_OK(type->open(&w->b, w->rt, tree_path(w->dir, "store"), &opt, &w->err), &w->err);
}

static ilk_space space_of(ilk_metric metric)
{
    return (ilk_space){
        .size = sizeof(ilk_space), .name = "v", .kind = ILK_DENSE, .dim = DIM, .metric = metric, .layer = -1};
}

static bool world_open(world *w, const ilki_backend_type *type, ilk_metric metric)
{
    ilk_runtime_options opt;
    memset(w, 0, sizeof *w);
    ilk_error_init(&w->err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.log = count_log;
    opt.log_user = w;
    opt.log_level = ILK_LOG_INFO;
    w->dir = tree_new();
    ilk_space space = space_of(metric);
    return CHECK_OK(ilk_runtime_open(&w->rt, &opt, &w->err), &w->err) && open_again(w, type, false) &&
           CHECK_OK(w->b->type->ensure(w->b, &space, &w->err), &w->err);
}

static void world_close(world *w)
{
    if (w->b)
        w->b->type->close(w->b);
    ilk_runtime_close(w->rt);
    tree_free(w->dir);
}

static ilk_value int_value(int64_t i)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_INT, .i = i};
}

/* Items [from, to), each with its vector and the field n = i % 10; every hundredth has a parent. */
static void put(world *w, size_t from, size_t to)
{
    static ilk_item items[N];
    static ilk_field fields[N];
    static ilk_vector vectors[N];
    static char ids[N][16];
    for (size_t i = from; i < to; i++) {
        fields[i] = (ilk_field){.size = sizeof *fields, .name = "n", .value = int_value((int64_t)(i % 10))};
        vectors[i] = (ilk_vector){.size = sizeof *vectors, .space = "v", .data = w->v[i], .rows = 1, .dim = DIM};
        snprintf(ids[i], sizeof ids[i], "item%04zu", i);
        items[i] = (ilk_item){.size = sizeof *items,
                              .id = ids[i],
                              .parent = i % 100 == 1 ? "item0000" : NULL,
                              .fields = &fields[i],
                              .n_fields = 1,
                              .vectors = &vectors[i],
                              .n_vectors = 1};
        w->alive[i] = true;
    }
    ilki_batch batch = {.items = items + from, .n_items = to - from};
    CHECK_OK(w->b->type->upsert(w->b, &batch, NULL, &w->err), &w->err);
}

static void take_away(world *w, size_t i)
{
    char id[16];
    const char *ids[] = {id};
    snprintf(id, sizeof id, "item%04zu", i);
    w->alive[i] = false;
    CHECK_OK(w->b->type->remove(w->b, ids, 1, &w->err), &w->err);
}

/* The k best by a scan, ties by number, which is the order of ids. */
static size_t truth(const world *w, ilk_metric metric, const float *q, int64_t n, size_t k, size_t *best)
{
    size_t got = 0;
    for (; got < k; got++) {
        float top = 0;
        best[got] = SIZE_MAX;
        for (size_t i = 0; i < N; i++) {
            bool used = !w->alive[i] || (n >= 0 && (int64_t)(i % 10) != n);
            for (size_t j = 0; j < got && !used; j++)
                used = best[j] == i;
            float score = used ? 0 : ilki_index_score(metric, q, w->v[i], DIM);
            if (!used && (best[got] == SIZE_MAX || score > top)) {
                best[got] = i;
                top = score;
            }
        }
        if (best[got] == SIZE_MAX)
            break;
    }
    return got;
}

static void check_query(world *w, ilk_metric metric, const float *v, int64_t n, uint32_t k)
{
    ilki_found found[64];
    size_t best[64], n_found = 0, want = truth(w, metric, v, n, k, best);
    ilk_value value = int_value(n);
    ilk_filter filter = {.size = sizeof filter, .op = ILK_FILTER_EQ, .field = "n", .values = &value, .n_values = 1};
    ilk_query q = {.size = sizeof q, .k = k, .min_score = NAN, .candidates = 600, .filter = n >= 0 ? &filter : NULL};
    q.vector = (ilk_vector){.size = sizeof q.vector, .space = "v", .data = v, .rows = 1, .dim = DIM};
    if (!CHECK_OK(w->b->type->query(w->b, &q, NULL, found, &n_found, &w->err), &w->err))
        return;
    CHECK_INT(n_found, want);
    for (size_t i = 0; i < n_found; i++) {
        char id[16];
        snprintf(id, sizeof id, "item%04zu", i < want ? best[i] : 0);
        CHECK_STR(found[i].record->item.id, id);
        CHECK_NEAR((double)found[i].score, (double)ilki_index_score(metric, v, w->v[best[i]], DIM), 0);
        ilki_store_record_free(found[i].record);
    }
}

static void check_some(world *w, ilk_metric metric)
{
    float v[DIM];
    for (int i = 0; i < 4; i++) {
        memcpy(v, w->v[test_random(&w->seed) % N], sizeof v);
        v[i] += 0.5f;
        check_query(w, metric, v, -1, 10);
        check_query(w, metric, v, 3, 7);
    }
}

static void life(const ilki_backend_type *type, ilk_metric metric)
{
    world w;
    if (!world_open(&w, type, metric))
        goto end;
    float zero[DIM] = {1};
    check_query(&w, metric, zero, -1, 5); /* empty */
    for (size_t i = 0; i < N; i++)
        fill(&w, i);
    put(&w, 0, 200);
    check_some(&w, metric);
    put(&w, 200, N);
    check_some(&w, metric);
    for (size_t i = 0; i < N; i += 7)
        fill(&w, i);
    for (size_t i = 0; i < N; i += 7)
        put(&w, i, i + 1);
    for (size_t i = 2; i < N; i += 11)
        take_away(&w, i);
    check_some(&w, metric);
    CHECK(open_again(&w, type, false));
    check_some(&w, metric);
    take_away(&w, 0); /* and its parts */
    for (size_t i = 1; i < N; i += 100)
        w.alive[i] = false;
    for (size_t i = 1; i < 6; i++) /* equal vectors: by id */
        memcpy(w.v[590 - i], w.v[590], sizeof w.v[0]);
    put(&w, 580, N);
    check_query(&w, metric, w.v[590], -1, 3);
    check_some(&w, metric);
    CHECK(open_again(&w, type, true));
    check_some(&w, metric);
    CHECK(w.b->type->capabilities(w.b) & ILKI_CAP_READ_ONLY);
    CHECK_INT(w.n_logged, 0);
end:
    world_close(&w);
}

static void every_row(void (*test)(const ilki_backend_type *type))
{
    const ilki_backend_type *type;
    size_t i = 0;
    for (; (type = ilki_engine_get_backend(i)); i++) {
        CHECK(ilki_engine_find_backend(type->name) == type);
        test(type);
    }
    CHECK(i > 0 && !ilki_engine_find_backend("nope"));
}

static void life_of(const ilki_backend_type *type)
{
    life(type, ILK_COSINE);
    life(type, ILK_DOT);
    life(type, ILK_NEG_L2);
}
static void finds_what_a_scan_finds(void)
{
    every_row(life_of);
}

static void answers_of(const ilki_backend_type *type)
{
    world w;
    if (!world_open(&w, type, ILK_COSINE))
        goto end;
    for (size_t i = 0; i < N; i++)
        fill(&w, i);
    put(&w, 0, N);
    /* pages */
    ilki_record *page[50];
    char after[32] = "";
    size_t n = 0, total = 0;
    ilk_value v = int_value(4);
    ilk_filter f = {.size = sizeof f, .op = ILK_FILTER_GE, .field = "n", .values = &v, .n_values = 1};
    do {
        if (!CHECK_OK(w.b->type->scan(w.b, &f, *after ? after : NULL, 50, page, &n, &w.err), &w.err))
            break;
        for (size_t i = 0; i < n; i++) {
            CHECK(strcmp(page[i]->item.id, after) > 0);
            CHECK(page[i]->item.fields[0].value.i >= 4);
            snprintf(after, sizeof after, "%s", page[i]->item.id);
            ilki_store_record_free(page[i]);
        }
        total += n;
    } while (n);
    uint64_t count = 0;
    CHECK_INT(total, N * 6 / 10);
    CHECK_OK(w.b->type->count(w.b, &f, &count, &w.err), &w.err);
    CHECK_INT(count, N * 6 / 10);
    CHECK_OK(w.b->type->count(w.b, NULL, &count, &w.err), &w.err);
    CHECK_INT(count, N);
    /* get */
    ilki_record *r = NULL;
    CHECK_OK(w.b->type->get(w.b, "item0101", true, &r, &w.err), &w.err);
    CHECK(r && r->item.n_vectors == 1 && r->item.parent && strcmp(r->item.parent, "item0000") == 0);
    if (r)
        CHECK_FLOATS(r->item.vectors[0].data, w.v[101], DIM, 0, 0);
    ilki_store_record_free(r);
    CHECK_STATUS(w.b->type->get(w.b, "nope", true, &r, &w.err), ILK_NOT_FOUND, &w.err);
    CHECK(r == NULL);
    /* without a vector, and with a floor */
    ilki_found found[20];
    ilk_query q = {.size = sizeof q, .k = 5, .min_score = NAN};
    CHECK_OK(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), &w.err);
    CHECK_INT(n, 5);
    for (size_t i = 0; i < n; i++) {
        CHECK(isnan(found[i].score) && strncmp(found[i].record->item.id, "item000", 7) == 0);
        ilki_store_record_free(found[i].record);
    }
    q.vector = (ilk_vector){.size = sizeof q.vector, .data = w.v[7], .rows = 1, .dim = DIM}; /* the only space */
    q.min_score = 0.999f;
    q.k = 0;
    CHECK_OK(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), &w.err);
    CHECK_INT(n, 1);
    for (size_t i = 0; i < n; i++) {
        CHECK_STR(found[i].record->item.id, "item0007");
        ilki_store_record_free(found[i].record);
    }
end:
    world_close(&w);
}
static void pages_counts_and_floors(void)
{
    every_row(answers_of);
}

static void refusals_of(const ilki_backend_type *type)
{
    world w;
    if (!world_open(&w, type, ILK_COSINE))
        goto end;
    fill(&w, 0);
    put(&w, 0, 1);
    ilki_found found[10];
    size_t n = 99;
    float bad[DIM] = {NAN};
    ilk_query q = {.size = sizeof q, .k = 5, .min_score = NAN};
    q.vector = (ilk_vector){.size = sizeof q.vector, .space = "w", .data = w.v[0], .rows = 1, .dim = DIM};
    CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_MISMATCH, &w.err);
    CHECK(n == 0 && strstr(w.err.message, "\"w\""));
    q.vector.space = "v";
    q.vector.dim = DIM - 1;
    CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_MISMATCH, &w.err);
    CHECK(strstr(w.err.message, "24") && strstr(w.err.message, "23"));
    q.vector.dim = DIM;
    q.vector.data = bad;
    CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_NOT_FINITE, &w.err);
    q.vector.data = w.v[0];
    q.k = ILKI_MAX_K + 1;
    CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_LIMIT, &w.err);
    q.k = 5;
    ilk_filter f = {.size = sizeof f, .op = ILK_FILTER_NOT};
    q.filter = &f;
    CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_BAD_ARGUMENT, &w.err);
    q.filter = NULL;
    ilk_space space = space_of(ILK_DOT);
    CHECK_STATUS(w.b->type->ensure(w.b, &space, &w.err), ILK_MISMATCH, &w.err);
    space = (ilk_space){
        .size = sizeof space, .name = "s", .kind = ILK_SPARSE, .metric = ILK_DOT, .dim = 100, .layer = -1};
    if (!(w.b->type->capabilities(w.b) & ILKI_CAP_SPARSE) && w.b->type->ensure(w.b, &space, NULL) == ILK_OK) {
        uint32_t at[DIM] = {1};
        q.vector.space = "s";
        q.vector.indices = at;
        CHECK_STATUS(w.b->type->query(w.b, &q, NULL, found, &n, &w.err), ILK_UNSUPPORTED, &w.err);
    }
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    q.vector = (ilk_vector){.size = sizeof q.vector, .space = "v", .data = w.v[0], .rows = 1, .dim = DIM};
    CHECK_STATUS(w.b->type->query(w.b, &q, job, found, &n, &w.err), ILK_CANCELLED, &w.err);
    ilk_job_free(job);
    CHECK(open_again(&w, type, true));
    ilki_batch empty = {.n_items = 0};
    ilk_item item = {.size = sizeof item, .id = "x"};
    empty.items = &item;
    empty.n_items = 1;
    CHECK(w.b->type->upsert(w.b, &empty, NULL, &w.err) != ILK_OK);
end:
    world_close(&w);
}
static void refusals(void)
{
    every_row(refusals_of);
}

/* ---- one writes, two ask */

typedef struct crowd {
    world *w;
    bool stop;
    pthread_mutex_t lock;
} crowd;

static bool stopped(crowd *c)
{
    pthread_mutex_lock(&c->lock);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    return stop;
}

/* Vectors are rewritten as they are: whatever moment a query sees, its answer is the same. */
static void *ask(void *arg)
{
    crowd *c = arg;
    ilki_found found[5];
    size_t n = 0, best[5];
    ilk_error err;
    ilk_error_init(&err);
    truth(c->w, ILK_COSINE, c->w->v[17], 7, 5, best);
    ilk_value value = int_value(7);
    ilk_filter f = {.size = sizeof f, .op = ILK_FILTER_EQ, .field = "n", .values = &value, .n_values = 1};
    ilk_query q = {.size = sizeof q, .k = 5, .min_score = NAN, .candidates = 600, .filter = &f};
    q.vector = (ilk_vector){.size = sizeof q.vector, .space = "v", .data = c->w->v[17], .rows = 1, .dim = DIM};
    for (int i = 0; i < 5 || !stopped(c); i++) {
        if (!CHECK_OK(c->w->b->type->query(c->w->b, &q, NULL, found, &n, &err), &err))
            break;
        CHECK(n > 0 && strcmp(found[0].record->item.id, "item0017") == 0);
        for (size_t k = 0; k < n; k++)
            ilki_store_record_free(found[k].record);
    }
    return NULL;
}

static void crowd_of(const ilki_backend_type *type)
{
    world w;
    if (!world_open(&w, type, ILK_COSINE))
        goto end;
    for (size_t i = 0; i < N; i++)
        fill(&w, i);
    put(&w, 0, N);
    crowd c = {.w = &w, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        TREE_NEED(pthread_create(&threads[i], NULL, ask, &c) == 0);
    for (size_t i = 0; i < 300; i++) {
        size_t at = i % 3 ? test_random(&w.seed) % N : 17;
        if (at % 100 != 1 && at % 100 != 0)
            put(&w, at, at + 1);
    }
    pthread_mutex_lock(&c.lock);
    c.stop = true;
    pthread_mutex_unlock(&c.lock);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
end:
    world_close(&w);
}
static void writer_and_askers(void)
{
    every_row(crowd_of);
}

TEST_MAIN({"finds_what_a_scan_finds", finds_what_a_scan_finds}, {"pages_counts_and_floors", pages_counts_and_floors},
          {"refusals", refusals}, {"writer_and_askers", writer_and_askers})
