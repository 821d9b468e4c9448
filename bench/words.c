/* SPDX-License-Identifier: Apache-2.0
 * Words to hits over a store of many pictures: bench_words [PRECISION] MODEL STORE N [THREADS [SECONDS]]. STORE is made where
 * it is absent, with N random vectors of unit length under the model's dimension, one path each. Prints JSON: milliseconds
 * from a query's words to ten hits read, the median, the 95th percentile and the best, the text tower warm; and the tower's
 * share alone. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "ilk.h"

enum { BATCH = 1000, ID_BYTES = 32, MOST = 100000, K = 10 };

static const char *const words[] = {"a red bicycle",
                                    "two dogs at the river",
                                    "a photo of a cat",
                                    "the old lighthouse by night",
                                    "children with a yellow kite",
                                    "snow on a wooden bridge",
                                    "a bowl of soup",
                                    "a man who reads a newspaper"};

static float next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / (float)(1 << 23) - 1.0f;
}

static ilk_status fill(ilk_store *s, size_t n, uint32_t dim, ilk_error *err)
{
    static ilk_item items[BATCH];
    static ilk_vector vectors[BATCH];
    static char ids[BATCH][ID_BYTES];
    float *x = malloc(BATCH * dim * sizeof *x);
    uint64_t state = 7;
    ilk_space space;
    ilk_space_init(&space);
    space.name = "v";
    space.kind = ILK_DENSE;
    space.dim = dim;
    space.metric = ILK_COSINE;
    space.normalized = 1;
    ilk_status st = x ? ilk_store_ensure_space(s, &space, err) : ILK_NO_MEMORY;
    for (size_t at = 0; at < n && st == ILK_OK; at += BATCH) {
        size_t now = n - at < BATCH ? n - at : BATCH;
        for (size_t i = 0; i < now; i++) {
            float *v = x + i * dim, sum = 0;
            for (size_t j = 0; j < dim; j++) {
                v[j] = next_random(&state);
                sum += v[j] * v[j];
            }
            for (size_t j = 0; j < dim; j++)
                v[j] /= sqrtf(sum);
            snprintf(ids[i], ID_BYTES, "pictures/%zu.jpg", at + i);
            vectors[i] = (ilk_vector){.size = sizeof vectors[i], .space = "v", .data = v, .rows = 1, .dim = dim};
            ilk_item_init(&items[i]);
            items[i].id = ids[i];
            items[i].vectors = &vectors[i];
            items[i].n_vectors = 1;
        }
        st = ilk_store_upsert(s, items, now, NULL, err);
    }
    free(x);
    return st;
}

static ilk_status ask(ilk_model *m, ilk_store *s, const char *text, double *embed_ms, ilk_error *err)
{
    ilk_vectors *v = NULL;
    ilk_hits *h = NULL;
    ilk_part part;
    ilk_input in;
    ilk_query q;
    ilk_part_init(&part);
    ilk_input_init(&in);
    ilk_query_init(&q);
    part.kind = ILK_PART_TEXT;
    part.data = text;
    part.n_bytes = strlen(text);
    in.parts = &part;
    in.n_parts = 1;
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilk_embed(m, &in, 1, NULL, NULL, &v, err);
    *embed_ms = (double)(ilki_base_now_ns() - start) / 1e6;
    if (st == ILK_OK) {
        size_t dim = 0;
        q.k = K;
        q.vector.size = sizeof q.vector;
        q.vector.space = "v";
        q.vector.data = ilk_vectors_get_dense(v, 0, &dim);
        q.vector.rows = 1;
        q.vector.dim = (uint32_t)dim;
        st = ilk_store_search(s, &q, 1, NULL, &h, err);
    }
    for (size_t i = 0; st == ILK_OK && i < ilk_hits_get_count(h, 0); i++) {
        ilk_hit hit = {.size = sizeof hit};
        st = ilk_hits_get(h, 0, i, &hit, err);
    }
    ilk_hits_free(h);
    ilk_vectors_free(v);
    return st;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ilk_status run(ilk_model *m, ilk_store *s, double seconds, ilk_error *err)
{
    static double ms[MOST], tower[MOST];
    size_t n = 0;
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < sizeof words / sizeof *words && st == ILK_OK; i++)
        st = ask(m, s, words[i], tower, err); /* warm */
    uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    while (st == ILK_OK && n < MOST && (n < 20 || ilki_base_now_ns() < end)) {
        uint64_t start = ilki_base_now_ns();
        st = ask(m, s, words[n % (sizeof words / sizeof *words)], &tower[n], err);
        ms[n++] = (double)(ilki_base_now_ns() - start) / 1e6;
    }
    if (st == ILK_OK) {
        qsort(ms, n, sizeof *ms, by_size);
        qsort(tower, n, sizeof *tower, by_size);
        printf("{\"p50\":%.3f,\"p95\":%.3f,\"best\":%.3f,\"tower_p50\":%.3f,\"queries\":%zu}\n", ms[n / 2],
               ms[n * 95 / 100], ms[0], tower[n / 2], n);
    }
    return st;
}

int main(int argc, char **argv)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_store *s = NULL;
    ilk_error err;
    ilk_runtime_options opt;
    ilk_model_options mo;
    ilk_model_info info;
    uint64_t have = 0;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    ilk_model_options_init(&mo);
    ilk_model_info_init(&info);
    mo.precision = ILK_PRECISION_F32;
    for (int p = 0; argc > 1 && ilk_precision_name((ilk_precision)p); p++)
        if (strcmp(argv[1], ilk_precision_name((ilk_precision)p)) == 0) {
            mo.precision = (ilk_precision)p;
            argc--;
            argv++;
            break;
        }
    if (argc < 4) {
        fprintf(stderr, "usage: bench_words [PRECISION] MODEL STORE N [THREADS [SECONDS]]\n");
        return 2;
    }
    size_t n = strtoul(argv[3], NULL, 10);
    opt.n_threads = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
    ilk_status st = ilk_runtime_open(&rt, &opt, &err);
    if (st == ILK_OK)
        st = ilk_model_open(&m, rt, argv[1], &mo, &err);
    if (st == ILK_OK)
        st = ilk_model_get_info(m, &info, &err);
    if (st == ILK_OK)
        st = ilk_store_open(&s, rt, argv[2], NULL, &err);
    if (st == ILK_OK)
        st = ilk_store_count(s, NULL, &have, &err);
    if (st == ILK_OK && have < n)
        st = fill(s, n, info.dim, &err);
    if (st == ILK_OK)
        st = run(m, s, argc > 5 ? atof(argv[5]) : 3, &err);
    if (st != ILK_OK)
        fprintf(stderr, "bench_words: %s\n", err.message);
    ilk_store_close(s);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    return st != ILK_OK;
}
