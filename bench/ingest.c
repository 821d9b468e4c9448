/* SPDX-License-Identifier: Apache-2.0
 * Durable ingest against a bare loop of write and fdatasync of the same bytes: bench_ingest DIR [BATCHES [ITEMS [DIM]]].
 * DIR is made and must be on the disk to be judged. Both run in one process on one thread, batch by batch, each on a file
 * of its own that grows by every batch; every second pair begins with the other one, so that what a sync leaves behind
 * for the next meets both. Items carry 200 bytes of text and one f32 vector. Printed: rates until acknowledgement, CPU
 * time of the calling thread (a disk's moods do not show there), the ratio of sums, of medians and the median over the
 * pairs, and what applying behind the log cost the process and closing took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "store/store.h"

enum { MAX_ITEMS = 10000, TEXT_BYTES = 200, ID_BYTES = 32 };

typedef struct load {
    ilk_item *items;
    ilk_field *fields;
    ilk_vector *vectors;
    char *ids, *texts;
    float *floats;
    size_t n, dim;
} load;

static bool make_load(load *l, size_t n, size_t dim)
{
    *l = (load){.n = n, .dim = dim};
    l->items = calloc(n, sizeof *l->items);
    l->fields = calloc(n, sizeof *l->fields);
    l->vectors = calloc(n, sizeof *l->vectors);
    l->ids = calloc(n, ID_BYTES);
    l->texts = malloc(n * TEXT_BYTES);
    l->floats = malloc(n * dim * sizeof *l->floats);
    if (!l->items || !l->fields || !l->vectors || !l->ids || !l->texts || !l->floats)
        return false;
    for (size_t i = 0; i < n * dim; i++)
        l->floats[i] = (float)(i % 1009) / 1009.0F - 0.5F;
    for (size_t i = 0; i < n; i++) {
        memset(l->texts + i * TEXT_BYTES, (int)('a' + i % 26), TEXT_BYTES);
        ilk_field *f = &l->fields[i];
        f->size = sizeof *f;
        f->name = "text";
        f->value.type = ILK_VALUE_TEXT;
        f->value.text = l->texts + i * TEXT_BYTES;
        f->value.n_bytes = TEXT_BYTES;
        l->vectors[i] = (ilk_vector){.size = sizeof(ilk_vector), .space = "v", .rows = 1, .dim = (uint32_t)dim};
        l->vectors[i].data = l->floats + i * dim;
        l->items[i].size = sizeof l->items[i];
        l->items[i].id = l->ids + i * ID_BYTES;
        l->items[i].fields = f;
        l->items[i].n_fields = 1;
        l->items[i].vectors = &l->vectors[i];
        l->items[i].n_vectors = 1;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sum(const double *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += x[i];
    return s;
}

typedef struct run {
    const ilki_vfs *v;
    ilki_store *s;
    ilki_file *bare;
    char *bytes; /* of one batch of the bare loop */
    size_t n_bytes;
    uint64_t at;
    double *store_ms, *bare_ms, *pair; /* pair: bare / store of each batch */
    double store_cpu, bare_cpu;        /* ms of the calling thread */
    ilk_error err;
} run;

static double cpu_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static ilk_status store_step(run *r, load *l, size_t batch)
{
    for (size_t i = 0; i < l->n; i++)
        snprintf(l->ids + i * ID_BYTES, ID_BYTES, "item-%zu", batch * l->n + i);
    ilki_batch b = {.items = l->items, .n_items = l->n};
    double cpu = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
    uint64_t t = ilki_base_now_ns();
    ilk_status st = ilki_store_write(r->s, &b, NULL, NULL, &r->err);
    r->store_ms[batch] = (double)(ilki_base_now_ns() - t) / 1e6;
    r->store_cpu += cpu_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return st;
}

static ilk_status bare_step(run *r, size_t batch)
{
    double cpu = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
    uint64_t t = ilki_base_now_ns();
    ilk_status st = r->v->write(r->bare, r->at, r->bytes, r->n_bytes, &r->err);
    if (!st)
        st = r->v->sync(r->bare, &r->err);
    r->bare_ms[batch] = (double)(ilki_base_now_ns() - t) / 1e6;
    r->bare_cpu += cpu_ms(CLOCK_THREAD_CPUTIME_ID) - cpu;
    r->at += r->n_bytes;
    return st;
}

static ilk_status step(run *r, load *l, size_t batch)
{
    bool bare_first = batch % 2;
    ilk_status st = bare_first ? bare_step(r, batch) : store_step(r, l, batch);
    if (!st)
        st = bare_first ? store_step(r, l, batch) : bare_step(r, batch);
    r->pair[batch] = r->bare_ms[batch] / r->store_ms[batch];
    return st;
}

/* The first batch, with the space, tells how many bytes a batch has. */
static ilk_status prepare(run *r, load *l, const char *dir, ilk_runtime *rt)
{
    ilk_space space = {.size = sizeof space, .name = "v", .kind = ILK_DENSE, .metric = ILK_COSINE};
    ilk_store_info before, after;
    ilki_store_open_options opt = {.vfs = r->v, .rt = rt};
    space.dim = (uint32_t)l->dim;
    ilki_batch b = {.spaces = &space, .n_spaces = 1};
    char path[4096];
    snprintf(path, sizeof path, "%s/store", dir);
    ilk_status st = ilki_store_open(&r->s, path, &opt, &r->err);
    if (!st)
        st = ilki_store_write(r->s, &b, NULL, NULL, &r->err);
    if (!st)
        st = ilki_store_info(r->s, &before, &r->err);
    for (size_t i = 0; i < l->n; i++)
        snprintf(l->ids + i * ID_BYTES, ID_BYTES, "first-%zu", i);
    b = (ilki_batch){.items = l->items, .n_items = l->n};
    if (!st)
        st = ilki_store_write(r->s, &b, NULL, NULL, &r->err);
    if (!st)
        st = ilki_store_info(r->s, &after, &r->err);
    snprintf(path, sizeof path, "%s/bare", dir);
    if (!st)
        st = r->v->open(r->v, &r->bare, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, &r->err);
    if (!st)
        st = r->v->truncate(r->bare, 0, &r->err);
    if (st)
        return st;
    r->n_bytes = (size_t)(after.log_bytes - before.log_bytes);
    r->bytes = malloc(r->n_bytes);
    if (!r->bytes)
        return ilki_base_fail_memory(&r->err, r->n_bytes, "a batch");
    for (size_t i = 0; i < r->n_bytes; i++)
        r->bytes[i] = (char)(i * 2654435761U >> 24);
    return ILK_OK;
}

static void report(run *r, const load *l, size_t n)
{
    double s = sum(r->store_ms, n), b = sum(r->bare_ms, n);
    qsort(r->store_ms, n, sizeof *r->store_ms, by_value);
    qsort(r->bare_ms, n, sizeof *r->bare_ms, by_value);
    qsort(r->pair, n, sizeof *r->pair, by_value);
    double ms = r->store_ms[n / 2], mb = r->bare_ms[n / 2];
    printf("%zu batches of %zu items, %zu bytes each\n", n, l->n, r->n_bytes);
    printf("bare write+fdatasync: %8.0f items/s, median %.3f ms a batch, CPU %.3f ms\n", (double)(n * l->n) / b * 1e3,
           mb, r->bare_cpu / (double)n);
    printf("store, acknowledged:  %8.0f items/s, median %.3f ms a batch, CPU %.3f ms\n", (double)(n * l->n) / s * 1e3,
           ms, r->store_cpu / (double)n);
    printf("ratio %.3f of sums, %.3f of medians, %.3f median of pairs\n", b / s, mb / ms, r->pair[n / 2]);
}

int main(int argc, char **argv)
{
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 200, items = argc > 3 ? strtoul(argv[3], NULL, 10) : 100;
    size_t dim = argc > 4 ? strtoul(argv[4], NULL, 10) : 512;
    load l;
    run r = {.v = &ilki_base_vfs_posix};
    ilk_runtime *rt = NULL;
    ilk_error_init(&r.err);
    if (argc < 2 || n == 0 || items == 0 || items > MAX_ITEMS || dim == 0 || !make_load(&l, items, dim)) {
        fprintf(stderr, "usage: bench_ingest DIR [BATCHES [ITEMS [DIM]]]\n");
        return 2;
    }
    r.store_ms = calloc(n, sizeof *r.store_ms);
    r.bare_ms = calloc(n, sizeof *r.bare_ms);
    r.pair = calloc(n, sizeof *r.pair);
    ilk_status st = r.store_ms && r.bare_ms && r.pair ? ilk_runtime_open(&rt, NULL, &r.err) : ILK_NO_MEMORY;
    if (!st)
        st = prepare(&r, &l, argv[1], rt);
    double process = cpu_ms(CLOCK_PROCESS_CPUTIME_ID), caller = cpu_ms(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; !st && i < n; i++)
        st = step(&r, &l, i);
    caller = cpu_ms(CLOCK_THREAD_CPUTIME_ID) - caller;
    if (st) {
        fprintf(stderr, "%s: %s\n", ilk_status_string(st), r.err.message);
        return 2;
    }
    report(&r, &l, n);
    uint64_t t = ilki_base_now_ns();
    ilki_store_close(r.s);
    printf("close, with the rest applied: %.0f ms\n", (double)(ilki_base_now_ns() - t) / 1e6);
    process = cpu_ms(CLOCK_PROCESS_CPUTIME_ID) - process - caller;
    printf("applied behind, close included: CPU %.4f ms an item\n", process / (double)(n * items));
    r.v->close(r.bare);
    ilk_runtime_close(rt);
    return 0;
}
