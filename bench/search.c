/* SPDX-License-Identifier: Apache-2.0
 * Exact search as a caller of the library meets it: bench_search FOLDER DIM STORE [THREADS]. FOLDER holds base.f32,
 * queries.f32 and exact.i32 (ten nearest per query), which compare.py has made; STORE is made here where it is absent.
 * Prints JSON: queries a second one at a time and all at once (best of several rounds), the share of the true ten found,
 * and what filling the store took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "ilk.h"

enum { K = 10, ID_BYTES = 24, BATCH = 1000, SECONDS = 2, SINGLES = 32 };

typedef struct data {
    float *base, *queries;
    int32_t *exact;
    size_t n, n_queries, dim;
} data;

static void *read_array(const char *dir, const char *name, size_t *n_bytes, ilk_error *err)
{
    char *path = ilki_base_path_join(dir, name), *bytes = NULL;
    if (path)
        ilki_base_read_file(&ilki_base_vfs_posix, path, (size_t)1 << 32, &bytes, n_bytes, err);
    free(path);
    return bytes;
}

static bool read_data(data *d, const char *dir, ilk_error *err)
{
    size_t base = 0, queries = 0, exact = 0;
    d->base = read_array(dir, "base.f32", &base, err);
    d->queries = d->base ? read_array(dir, "queries.f32", &queries, err) : NULL;
    d->exact = d->queries ? read_array(dir, "exact.i32", &exact, err) : NULL;
    d->n = base / sizeof(float) / d->dim;
    d->n_queries = queries / sizeof(float) / d->dim;
    return d->exact && d->n && d->n_queries && exact == d->n_queries * K * sizeof *d->exact;
}

static ilk_status fill(ilk_store *s, const data *d, ilk_error *err)
{
    static ilk_item items[BATCH];
    static ilk_vector vectors[BATCH];
    static char ids[BATCH][ID_BYTES];
    ilk_space space;
    ilk_space_init(&space);
    space.name = "v";
    space.kind = ILK_DENSE;
    space.dim = (uint32_t)d->dim;
    space.metric = ILK_COSINE;
    space.normalized = 1;
    ilk_status st = ilk_store_ensure_space(s, &space, err);
    for (size_t at = 0; at < d->n && st == ILK_OK; at += BATCH) {
        size_t n = d->n - at < BATCH ? d->n - at : BATCH;
        for (size_t i = 0; i < n; i++) {
            snprintf(ids[i], ID_BYTES, "%zu", at + i);
            vectors[i] = (ilk_vector){.size = sizeof vectors[i], .space = "v", .data = d->base + (at + i) * d->dim};
            vectors[i].rows = 1;
            vectors[i].dim = (uint32_t)d->dim;
            ilk_item_init(&items[i]);
            items[i].id = ids[i];
            items[i].vectors = &vectors[i];
            items[i].n_vectors = 1;
        }
        st = ilk_store_upsert(s, items, n, NULL, err);
    }
    return st;
}

static void set_query(ilk_query *q, const data *d, size_t i)
{
    ilk_query_init(q);
    q->k = K;
    q->vector.size = sizeof q->vector;
    q->vector.space = "v";
    q->vector.data = d->queries + i * d->dim;
    q->vector.rows = 1;
    q->vector.dim = (uint32_t)d->dim;
}

static size_t count_found(const ilk_hits *h, size_t query, const int32_t *exact)
{
    size_t found = 0;
    for (size_t i = 0; i < ilk_hits_get_count(h, query); i++) {
        ilk_hit hit;
        memset(&hit, 0, sizeof hit);
        hit.size = sizeof hit;
        if (ilk_hits_get(h, query, i, &hit, NULL) != ILK_OK)
            continue;
        for (size_t k = 0; k < K; k++)
            found += exact[k] == atoi(hit.id);
    }
    return found;
}

/* The best rate of rounds of `n` queries, `step` a call. */
static ilk_status measure(ilk_store *s, const ilk_query *q, size_t n, size_t step, double *qps, ilk_error *err)
{
    uint64_t begin = ilki_base_now_ns(), now = begin;
    ilk_status st = ILK_OK;
    *qps = 0;
    while (st == ILK_OK && now - begin < SECONDS * (uint64_t)1000000000) {
        uint64_t start = now;
        for (size_t i = 0; i < n && st == ILK_OK; i += step) {
            ilk_hits *h = NULL;
            st = ilk_store_search(s, q + i, n - i < step ? n - i : step, NULL, &h, err);
            ilk_hits_free(h);
        }
        now = ilki_base_now_ns();
        double rate = (double)n / (double)(now - start) * 1e9;
        *qps = rate > *qps ? rate : *qps;
    }
    return st;
}

static ilk_status run(ilk_store *s, const data *d, double fill_s, ilk_error *err)
{
    ilk_query *q = calloc(d->n_queries, sizeof *q);
    size_t found = 0, n_one = d->n_queries < SINGLES ? d->n_queries : SINGLES;
    double one = 0, batch = 0;
    ilk_hits *h = NULL;
    struct rusage u;
    for (size_t i = 0; i < d->n_queries; i++)
        set_query(&q[i], d, i);
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilk_store_search(s, q, d->n_queries, NULL, &h, err);
    double first_ms = (double)(ilki_base_now_ns() - start) / 1e6;
    for (size_t i = 0; st == ILK_OK && i < d->n_queries; i++)
        found += count_found(h, i, d->exact + i * K);
    ilk_hits_free(h);
    if (st == ILK_OK)
        st = measure(s, q, n_one, 1, &one, err);
    if (st == ILK_OK)
        st = measure(s, q, d->n_queries, d->n_queries, &batch, err);
    getrusage(RUSAGE_SELF, &u);
    if (st == ILK_OK)
        printf("{\"one\":%.1f,\"batch\":%.1f,\"recall\":%.4f,\"fill_s\":%.2f,\"first_ms\":%.1f,\"peak_mb\":%.1f}\n",
               one, batch, (double)found / (double)(d->n_queries * K), fill_s, first_ms, (double)u.ru_maxrss / 1024);
    free(q);
    return st;
}

int main(int argc, char **argv)
{
    data d = {.dim = argc > 3 ? strtoul(argv[2], NULL, 10) : 0};
    ilk_runtime *rt = NULL;
    ilk_store *s = NULL;
    uint64_t n = 0;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
    if (d.dim == 0 || !read_data(&d, argv[1], &err)) {
        fprintf(stderr, "usage: bench_search FOLDER DIM STORE [THREADS]\n%s\n", err.message);
        return 2;
    }
    ilk_status st = ilk_runtime_open(&rt, &opt, &err);
    if (st == ILK_OK)
        st = ilk_store_open(&s, rt, argv[3], NULL, &err);
    if (st == ILK_OK)
        st = ilk_store_count(s, NULL, &n, &err);
    uint64_t start = ilki_base_now_ns();
    if (st == ILK_OK && n < d.n)
        st = fill(s, &d, &err);
    double fill_s = n < d.n ? (double)(ilki_base_now_ns() - start) / 1e9 : 0;
    if (st == ILK_OK)
        st = run(s, &d, fill_s, &err);
    if (st != ILK_OK)
        fprintf(stderr, "bench_search: %s\n", err.message);
    ilk_store_close(s);
    ilk_runtime_close(rt);
    free(d.base);
    free(d.queries);
    free(d.exact);
    return st != ILK_OK;
}
