/* SPDX-License-Identifier: Apache-2.0
 * Stores through the public header: the caller's own vectors, callers of other versions, and every argument wrong once. */
#include <stddef.h>
#include <sys/wait.h>

#include "test.h"
#include "tree.h"

typedef struct world {
    char *dir;
    ilk_runtime *rt;
    ilk_store *s;
    ilk_error err;
} world;

static bool world_open(world *w)
{
    ilk_runtime_options opt;
    ilk_store_options so;
    ilk_space space;
    memset(w, 0, sizeof *w);
    ilk_error_init(&w->err);
    ilk_runtime_options_init(&opt);
    ilk_store_options_init(&so);
    ilk_space_init(&space);
    opt.n_threads = 1;
    so.sync = ILK_SYNC_NORMAL;
    w->dir = tree_new();
    space.name = "v";
    space.dim = 3;
    return CHECK_OK(ilk_runtime_open(&w->rt, &opt, &w->err), &w->err) &&
           CHECK_OK(ilk_store_open(&w->s, w->rt, tree_path(w->dir, "shelf"), &so, &w->err), &w->err) &&
           CHECK_OK(ilk_store_ensure_space(w->s, &space, &w->err), &w->err);
}

static void world_close(world *w)
{
    ilk_store_close(w->s);
    ilk_runtime_close(w->rt);
    tree_free(w->dir);
}

static ilk_field text_field(const char *name, const char *text)
{
    ilk_field f;
    ilk_field_init(&f);
    f.name = name;
    f.value.type = ILK_VALUE_TEXT;
    f.value.text = text;
    f.value.n_bytes = strlen(text);
    return f;
}

static ilk_vector vector_of(const float *v)
{
    ilk_vector x;
    ilk_vector_init(&x);
    x.space = "v";
    x.data = v;
    x.rows = 1;
    x.dim = 3;
    return x;
}

static const float axes[4][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {1, 1, 0}};

static void put_axes(world *w)
{
    static const char *const ids[] = {"x", "y", "z", "xy"};
    ilk_item items[4];
    ilk_vector vectors[4];
    ilk_field fields[4][3];
    for (int i = 0; i < 4; i++) {
        ilk_item_init(&items[i]);
        vectors[i] = vector_of(axes[i]);
        fields[i][0] = text_field("text", ids[i]);
        fields[i][1] = text_field("uri", "http://example.org/");
        fields[i][2] = text_field("title", "an axis");
        items[i].id = ids[i];
        items[i].parent = i == 3 ? "x" : NULL;
        items[i].fields = fields[i];
        items[i].n_fields = 3;
        items[i].vectors = &vectors[i];
        items[i].n_vectors = 1;
        items[i].segment.line_first = (uint32_t)i + 1;
    }
    CHECK_OK(ilk_store_upsert(w->s, items, 4, NULL, &w->err), &w->err);
}

static void own_vectors(void)
{
    world w;
    ilk_hits *h = NULL;
    ilk_hit hit;
    ilk_query q[2];
    ilk_hit_init(&hit);
    if (!world_open(&w))
        goto end;
    put_axes(&w);
    ilk_query_init(&q[0]);
    ilk_query_init(&q[1]);
    q[0].vector = vector_of(axes[0]);
    q[1].vector = vector_of(axes[2]);
    q[0].k = 2;
    CHECK_OK(ilk_store_search(w.s, q, 2, NULL, &h, &w.err), &w.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    CHECK_INT(ilk_hits_get_count(h, 1), 4);
    CHECK_INT(ilk_hits_get_count(h, 2), 0);
    CHECK_OK(ilk_hits_get(h, 0, 1, &hit, &w.err), &w.err);
    CHECK_STR(hit.id, "xy");
    CHECK_STR(hit.parent, "x");
    CHECK_STR(hit.text, "xy");
    CHECK_STR(hit.uri, "http://example.org/");
    CHECK_STR(hit.collection, "shelf");
    CHECK(hit.path == NULL && hit.modality == NULL && hit.model == NULL);
    CHECK(hit.n_fields == 1 && strcmp(hit.fields[0].name, "title") == 0);
    CHECK_INT(hit.rank, 2);
    CHECK_INT(hit.segment.line_first, 4);
    CHECK_INT(hit.segment.page, ILK_ABSENT);
    CHECK(isnan(hit.segment.t0));
    CHECK_NEAR((double)hit.score, 0.70710678, 1e-6);
    CHECK_STR(ilk_score_kind_string(hit.score_kind), "cosine");
    ilk_vector v;
    ilk_vector_init(&v);
    CHECK_STATUS(ilk_hits_get_vector(h, 0, 0, "v", &v, &w.err), ILK_UNSUPPORTED, &w.err);
    CHECK_STATUS(ilk_hits_get(h, 0, 2, &hit, &w.err), ILK_NOT_FOUND, &w.err);
    CHECK_STATUS(ilk_hits_get(h, 2, 0, &hit, &w.err), ILK_NOT_FOUND, &w.err);
    ilk_hits_free(h);
    const char *ids[] = {"z", "nothing", "x"};
    CHECK_OK(ilk_store_get(w.s, ids, 3, &h, &w.err), &w.err);
    CHECK(ilk_hits_get_count(h, 0) == 1 && ilk_hits_get_count(h, 1) == 0 && ilk_hits_get_count(h, 2) == 1);
    CHECK_OK(ilk_hits_get_vector(h, 2, 0, "v", &v, &w.err), &w.err);
    CHECK(v.dim == 3 && v.rows == 1);
    CHECK_FLOATS(v.data, axes[0], 3, 0, 0);
    CHECK_STATUS(ilk_hits_get_vector(h, 2, 0, "w", &v, &w.err), ILK_NOT_FOUND, &w.err);
    ilk_hits_free(h);
    /* a deleted item takes its parts along */
    CHECK_OK(ilk_store_delete(w.s, ids + 1, 2, &w.err), &w.err);
    uint64_t n = 0;
    CHECK_OK(ilk_store_count(w.s, NULL, &n, &w.err), &w.err);
    CHECK_INT(n, 2);
    ilk_store_info info;
    ilk_store_info_init(&info);
    CHECK_OK(ilk_store_get_info(w.s, &info, &w.err), &w.err);
    CHECK(info.n_items == 2 && info.n_spaces == 1 && info.last_lsn > 0 && info.n_deleted >= 2);
    CHECK_STR(info.path, tree_path(w.dir, "shelf"));
    ilk_space space;
    ilk_space_init(&space);
    CHECK_OK(ilk_store_get_space(w.s, 0, &space, &w.err), &w.err);
    CHECK(space.dim == 3 && strcmp(space.name, "v") == 0);
    CHECK_STATUS(ilk_store_get_space(w.s, 1, &space, &w.err), ILK_NOT_FOUND, &w.err);
    space.metric = ILK_DOT;
    CHECK_STATUS(ilk_store_ensure_space(w.s, &space, &w.err), ILK_MISMATCH, &w.err);
    CHECK(strstr(w.err.message, "metric") != NULL);
end:
    world_close(&w);
}

/* Several queries in one call, some of which share a walk over the codes: each as if it were alone. */
static void many_queries(void)
{
    enum { N = 400, QUERIES = 90 };
    world w;
    static float vectors[N][3], asked[QUERIES][3];
    static ilk_query q[QUERIES];
    ilk_hits *all = NULL, *one = NULL;
    uint64_t seed = 5;
    if (!world_open(&w))
        goto end;
    for (size_t i = 0; i < N; i++) {
        ilk_item item;
        ilk_vector v = vector_of(vectors[i]);
        char id[16];
        for (size_t k = 0; k < 3; k++)
            vectors[i][k] = (float)(test_random(&seed) % 7) - 3; /* many are equal */
        snprintf(id, sizeof id, "i%03zu", i);
        ilk_item_init(&item);
        item.id = id;
        item.vectors = &v;
        item.n_vectors = 1;
        CHECK_OK(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), &w.err);
    }
    for (size_t i = 0; i < QUERIES; i++) {
        for (size_t k = 0; k < 3; k++)
            asked[i][k] = (float)(test_random(&seed) % 100) - 50;
        ilk_query_init(&q[i]);
        q[i].vector = vector_of(asked[i]);
        q[i].k = i < 70 ? 10 : i < 80 ? 300 : 0;
        q[i].vector.space = i % 9 == 8 ? NULL : "v";
        q[i].min_score = i % 11 == 10 ? 0.9f : NAN;
    }
    q[85].vector.data = NULL;
    CHECK_OK(ilk_store_search(w.s, q, QUERIES, NULL, &all, &w.err), &w.err);
    for (size_t i = 0; i < QUERIES && all; i++) {
        CHECK_OK(ilk_store_search(w.s, &q[i], 1, NULL, &one, &w.err), &w.err);
        size_t n = ilk_hits_get_count(one, 0);
        CHECK_INT(ilk_hits_get_count(all, i), n);
        for (size_t k = 0; k < n; k++) {
            ilk_hit a, b;
            ilk_hit_init(&a);
            ilk_hit_init(&b);
            CHECK_OK(ilk_hits_get(all, i, k, &a, &w.err), &w.err);
            CHECK_OK(ilk_hits_get(one, 0, k, &b, &w.err), &w.err);
            CHECK_STR(a.id, b.id);
            CHECK(memcmp(&a.score, &b.score, sizeof a.score) == 0 && a.score_kind == b.score_kind && a.rank == b.rank);
        }
        ilk_hits_free(one);
    }
    ilk_hits_free(all);
    asked[33][1] = NAN;
    CHECK_STATUS(ilk_store_search(w.s, q, QUERIES, NULL, &all, &w.err), ILK_NOT_FINITE, &w.err);
    CHECK_THAT(strncmp(w.err.message, "query 33: ", 10) == 0, "%s", w.err.message);
    q[20].vector.space = "none";
    CHECK_STATUS(ilk_store_search(w.s, q, QUERIES, NULL, &all, &w.err), ILK_MISMATCH, &w.err);
    CHECK_THAT(strncmp(w.err.message, "query 20: ", 10) == 0, "%s", w.err.message);
end:
    world_close(&w);
}

static void pages_and_filters(void)
{
    world w;
    ilk_hits *h = NULL;
    ilk_value v[2];
    ilk_filter kids[2], f;
    if (!world_open(&w))
        goto end;
    put_axes(&w);
    for (int i = 0; i < 2; i++) {
        ilk_value_init(&v[i]);
        v[i].type = ILK_VALUE_TEXT;
        v[i].text = i ? "z" : "x";
        v[i].n_bytes = 1;
        ilk_filter_init(&kids[i]);
    }
    ilk_filter_init(&f);
    kids[0].op = ILK_FILTER_IN;
    kids[0].field = "text";
    kids[0].values = v;
    kids[0].n_values = 2;
    kids[1].op = ILK_FILTER_EQ;
    kids[1].field = "parent";
    kids[1].values = v;
    kids[1].n_values = 1;
    f.op = ILK_FILTER_OR;
    f.children = kids;
    f.n_children = 2;
    CHECK_OK(ilk_store_scan(w.s, &f, NULL, 2, &h, &w.err), &w.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    ilk_hit hit;
    ilk_hit_init(&hit);
    CHECK_OK(ilk_hits_get(h, 0, 1, &hit, &w.err), &w.err);
    CHECK_STR(hit.id, "xy");
    CHECK(isnan(hit.score) && hit.score_kind == ILK_SCORE_NONE);
    ilk_hits *next = NULL;
    CHECK_OK(ilk_store_scan(w.s, &f, hit.id, 2, &next, &w.err), &w.err);
    CHECK_INT(ilk_hits_get_count(next, 0), 1);
    ilk_hits_free(next);
    ilk_hits_free(h);
    ilk_query q;
    ilk_query_init(&q);
    q.filter = &f;
    q.vector = vector_of(axes[1]);
    CHECK_OK(ilk_store_search(w.s, &q, 1, NULL, &h, &w.err), &w.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 3);
    ilk_hits_free(h);
    /* deeper than allowed, as a chain and as a cycle */
    ilk_filter loop;
    ilk_filter_init(&loop);
    loop.op = ILK_FILTER_NOT;
    loop.children = &loop;
    loop.n_children = 1;
    CHECK_STATUS(ilk_store_scan(w.s, &loop, NULL, 2, &h, &w.err), ILK_LIMIT, &w.err);
    loop.n_children = SIZE_MAX;
    CHECK_STATUS(ilk_store_scan(w.s, &loop, NULL, 2, &h, &w.err), ILK_LIMIT, &w.err);
end:
    world_close(&w);
}

/* A caller with a smaller ilk_item, fields that are larger than ours, and garbage behind its small results. */
static void callers_of_other_versions(void)
{
    world w;
    if (!world_open(&w))
        goto end;
    struct {
        ilk_field known;
        long later[3];
    } fields[2];
    struct {
        ilk_vector known;
        double later;
    } vector;
    memset(fields, 0x5a, sizeof fields);
    memset(&vector, 0x5a, sizeof vector);
    fields[0].known = text_field("text", "first");
    fields[1].known = text_field("title", "second");
    fields[0].known.size = fields[1].known.size = sizeof fields[0];
    vector.known = vector_of(axes[3]);
    vector.known.size = sizeof vector;
    enum { OLD = offsetof(ilk_item, content_hash) };
    char old[2][OLD];
    for (int i = 0; i < 2; i++) {
        ilk_item item;
        ilk_item_init_sized(&item, sizeof item);
        item.size = OLD;
        item.id = i ? "b" : "a";
        item.fields = &fields[0].known;
        item.n_fields = 2;
        item.vectors = &vector.known;
        item.n_vectors = 1;
        memcpy(old[i], &item, OLD);
    }
    CHECK_OK(ilk_store_upsert(w.s, (const ilk_item *)(const void *)old, 2, NULL, &w.err), &w.err);
    ilk_hits *h = NULL;
    const char *ids[] = {"a", "b"};
    CHECK_OK(ilk_store_get(w.s, ids, 2, &h, &w.err), &w.err);
    struct {
        char hit[offsetof(ilk_hit, text)];
        char guard[16];
    } small;
    memset(&small, 0x7e, sizeof small);
    ilk_hit_init_sized(&small, sizeof small.hit);
    CHECK_INT(small.guard[0], 0x7e);
    CHECK_OK(ilk_hits_get(h, 1, 0, (ilk_hit *)(void *)&small, &w.err), &w.err);
    const char *id;
    memcpy(&id, small.hit + offsetof(ilk_hit, id), sizeof id);
    CHECK_STR(id, "b");
    CHECK_INT(small.guard[0], 0x7e);
    ilk_hit hit;
    ilk_hit_init(&hit);
    CHECK_OK(ilk_hits_get(h, 0, 0, &hit, &w.err), &w.err);
    CHECK_STR(hit.text, "first");
    CHECK(hit.n_fields == 1 && memcmp(hit.fields[0].value.text, "second", 6) == 0);
    ilk_hits_free(h);
    /* inits write no byte past the caller's struct, and all of the caller's */
    typedef void (*init_fn)(void *, size_t);
    static const init_fn inits[] = {
        ilk_space_init_sized,         ilk_value_init_sized,      ilk_field_init_sized,
        ilk_vector_init_sized,        ilk_item_init_sized,       ilk_segment_init_sized,
        ilk_store_options_init_sized, ilk_filter_init_sized,     ilk_query_init_sized,
        ilk_hit_init_sized,           ilk_store_info_init_sized, ilk_ingest_options_init_sized,
        ilk_ingest_result_init_sized};
    for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
        for (size_t size = sizeof(size_t); size < 600; size += 41) {
            size_t got;
            unsigned char raw[608];
            memset(raw, 0xc3, sizeof raw);
            inits[i](raw, size);
            memcpy(&got, raw, sizeof got);
            CHECK(got == size && raw[size] == 0xc3 && (size < 300 || raw[size - 1] == 0));
        }
end:
    world_close(&w);
}

static void bad_arguments(void)
{
    world w;
    ilk_hits *h = NULL;
    ilk_store *s = NULL;
    if (!world_open(&w))
        goto end;
    put_axes(&w);
    CHECK_STATUS(ilk_store_open(NULL, w.rt, "x", NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_open(&s, NULL, "x", NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_open(&s, w.rt, "", NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_open(&s, w.rt, tree_path(w.dir, "shelf"), NULL, &w.err), ILK_BUSY, &w.err);
    ilk_store_options so;
    ilk_store_options_init(&so);
    so.no_create = 1;
    CHECK_STATUS(ilk_store_open(&s, w.rt, tree_path(w.dir, "none"), &so, &w.err), ILK_NOT_FOUND, &w.err);
    CHECK(s == NULL);
    so.sync = (ilk_sync)7;
    CHECK_STATUS(ilk_store_open(&s, w.rt, tree_path(w.dir, "none"), &so, &w.err), ILK_BAD_ARGUMENT, &w.err);
    ilk_item item;
    ilk_item_init(&item);
    CHECK_STATUS(ilk_store_upsert(NULL, &item, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_upsert(w.s, NULL, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err); /* no id */
    CHECK_OK(ilk_store_upsert(w.s, NULL, 0, NULL, &w.err), &w.err);
    item.id = "q";
    item.n_fields = 1;
    CHECK_STATUS(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK(strstr(w.err.message, "item 0") != NULL);
    item.n_fields = 0;
    float nan3[3] = {0, NAN, 0};
    ilk_vector v = vector_of(nan3);
    item.vectors = &v;
    item.n_vectors = 1;
    CHECK_STATUS(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), ILK_NOT_FINITE, &w.err);
    v.data = axes[0];
    v.dim = 2;
    CHECK_STATUS(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), ILK_MISMATCH, &w.err);
    item.size = 1;
    CHECK_STATUS(ilk_store_upsert(w.s, &item, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    const char *ids[] = {"x", NULL};
    CHECK_STATUS(ilk_store_delete(w.s, ids, 2, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_get(w.s, ids, 2, &h, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_get(w.s, ids, 1, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_scan(w.s, NULL, NULL, 0, &h, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_search(w.s, NULL, 2, NULL, &h, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_OK(ilk_store_search(w.s, NULL, 0, NULL, &h, &w.err), &w.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 0);
    ilk_hits_free(h);
    ilk_query q[2];
    ilk_query_init(&q[0]);
    ilk_query_init(&q[1]);
    q[1].vector = vector_of(axes[0]);
    q[1].vector.space = "w";
    CHECK_STATUS(ilk_store_search(w.s, q, 2, NULL, &h, &w.err), ILK_MISMATCH, &w.err);
    CHECK(h == NULL && strstr(w.err.message, "query 1"));
    CHECK_STATUS(ilk_store_count(w.s, NULL, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_ensure_space(w.s, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_store_get_info(w.s, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    CHECK_STATUS(ilk_hits_get(NULL, 0, 0, NULL, &w.err), ILK_BAD_ARGUMENT, &w.err);
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    ilk_query_init(&q[0]);
    CHECK_STATUS(ilk_store_search(w.s, q, 1, job, &h, &w.err), ILK_CANCELLED, &w.err);
    ilk_job_free(job);
    ilk_hits_free(NULL);
    ilk_store_close(NULL);
    CHECK_STR(ilk_score_kind_string((ilk_score_kind)99), "unknown");
    uint64_t n = 0;
    CHECK_OK(ilk_store_count(w.s, NULL, &n, &w.err), &w.err);
    CHECK_INT(n, 4); /* none of it left a trace */
end:
    world_close(&w);
}

static void forked_child(void)
{
    world w;
    if (!world_open(&w))
        goto end;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t n;
        ilk_hits *h;
        ilk_query q;
        ilk_query_init(&q);
        int ok = ilk_store_count(w.s, NULL, &n, NULL) == ILK_FORKED &&
                 ilk_store_search(w.s, &q, 1, NULL, &h, NULL) == ILK_FORKED &&
                 ilk_store_upsert(w.s, NULL, 0, NULL, NULL) == ILK_FORKED;
        ilk_store_close(w.s);
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    TREE_NEED(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    put_axes(&w);
end:
    world_close(&w);
}

TEST_MAIN({"own_vectors", own_vectors}, {"many_queries", many_queries}, {"pages_and_filters", pages_and_filters},
          {"callers_of_other_versions", callers_of_other_versions}, {"bad_arguments", bad_arguments},
          {"forked_child", forked_child})
