/* SPDX-License-Identifier: Apache-2.0
 * What a checkpoint's vectors become in 8 bits: near those of f32 in every family of text encoders, the same bits alone,
 * in a batch and on any threads, under one fingerprint. With ILK_TEST_MINILM and ILK_TEST_DATA also the published model
 * on real sentences. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ilk.h"
#include "test.h"

enum { MAX_TEXTS = 400 };

static ilk_runtime *open_runtime(unsigned n_threads)
{
    ilk_runtime_options o;
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&o);
    o.n_threads = n_threads;
    CHECK_OK(ilk_runtime_open(&rt, &o, &err), &err);
    return rt;
}

static ilk_model *open_model(ilk_runtime *rt, const char *dir, ilk_precision precision)
{
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_model_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    ilk_model_info_init(&info);
    o.precision = precision;
    if (CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err) && CHECK_OK(ilk_model_get_info(m, &info, &err), &err))
        CHECK_INT(info.precision, precision);
    return m;
}

static ilk_vectors *embed(ilk_model *m, const char *const *texts, size_t n)
{
    ilk_input *in = calloc(n, sizeof *in);
    ilk_part *parts = calloc(n, sizeof *parts);
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < n; i++) {
        ilk_input_init(&in[i]);
        ilk_part_init(&parts[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].modality = ILK_TEXT;
        parts[i].data = texts[i];
        parts[i].n_bytes = strlen(texts[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    CHECK_OK(ilk_embed(m, in, n, NULL, NULL, &v, &err), &err);
    free(in);
    free(parts);
    return v;
}

typedef struct figures {
    double mean, least;
} figures;

static figures compare(const ilk_vectors *a, const ilk_vectors *b)
{
    figures f = {0, 1};
    size_t n = ilk_vectors_get_count(a), dim;
    for (size_t i = 0; i < n; i++) {
        const float *x = ilk_vectors_get_dense(a, i, &dim), *y = ilk_vectors_get_dense(b, i, &dim);
        double xy = 0, xx = 0, yy = 0;
        for (size_t k = 0; k < dim; k++) {
            xy += (double)x[k] * (double)y[k];
            xx += (double)x[k] * (double)x[k];
            yy += (double)y[k] * (double)y[k];
        }
        double c = xy / sqrt(xx * yy);
        f.mean += c / (double)n;
        f.least = fmin(f.least, c);
    }
    return f;
}

static const char *const texts[] = {"a red cat",
                                    "The quick brown fox jumps over the lazy dog.",
                                    "one",
                                    "vectors, rows and columns",
                                    "A man is playing a guitar on the street while people listen to him.",
                                    "1 2 3 4 5 6 7",
                                    "cat"};
enum { N_TEXTS = sizeof texts / sizeof *texts };

/* One row of results of every form must be what a text alone gives, on one thread and on three. */
static void same_bits(const char *dir, ilk_precision precision, const ilk_vectors *all)
{
    static const unsigned threads[] = {1, 3};
    for (size_t t = 0; t < 2; t++) {
        ilk_runtime *rt = open_runtime(threads[t]);
        ilk_model *m = open_model(rt, dir, precision);
        for (size_t i = 0; i < N_TEXTS; i++) {
            size_t dim;
            ilk_vectors *one = embed(m, &texts[i], 1);
            const float *x = ilk_vectors_get_dense(one, 0, &dim), *y = ilk_vectors_get_dense(all, i, &dim);
            CHECK_MEM(x, y, dim * sizeof *x);
            ilk_vectors_free(one);
        }
        ilk_model_close(m);
        ilk_runtime_close(rt);
    }
}

static void families(void)
{
    static const char *const names[] = {"bert-mean",  "roberta-mean", "mpnet-mean",
                                        "nomic-mean", "gte-native",   "bert-f16"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char dir[512], want[65] = "";
        const char *hex = NULL;
        snprintf(dir, sizeof dir, "%s/fixtures/%s", ILK_TEST_DIR, names[i]);
        ilk_runtime *rt = open_runtime(2);
        ilk_model *m = open_model(rt, dir, ILK_PRECISION_F32);
        ilk_vectors *truth = embed(m, texts, N_TEXTS);
        if (CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, NULL), NULL))
            memcpy(want, hex, sizeof want);
        ilk_model_close(m);
        for (int p = ILK_PRECISION_BF16; p <= ILK_PRECISION_INT8W; p++) {
            m = open_model(rt, dir, (ilk_precision)p);
            ilk_vectors *v = embed(m, texts, N_TEXTS);
            figures f = compare(truth, v);
            printf("%s %s: mean cosine %.5f, least %.5f\n", names[i], ilk_precision_name((ilk_precision)p), f.mean,
                   f.least);
            CHECK(f.mean > (p == ILK_PRECISION_BF16 ? 0.9999 : 0.999) && f.least > 0.998 && f.mean < 1.0 - 1e-9);
            if (CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, NULL), NULL))
                CHECK_STR(hex, want);
            same_bits(dir, (ilk_precision)p, v);
            ilk_vectors_free(v);
            ilk_model_close(m);
        }
        ilk_vectors_free(truth);
        ilk_runtime_close(rt);
    }
}

/* The first column of STS-B's English test split. */
static size_t read_sentences(char **to, size_t most)
{
    const char *data = getenv("ILK_TEST_DATA");
    char path[1024], line[4096];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/data/stsb/stsb-en-test.csv", data ? data : "");
    FILE *f = data ? fopen(path, "re") : NULL;
    while (f && n < most && fgets(line, sizeof line, f)) {
        char *end = line[0] == '"' ? strchr(line + 1, '"') : strchr(line, ',');
        if (!end)
            continue;
        *end = '\0';
        to[n++] = strdup(line[0] == '"' ? line + 1 : line);
    }
    if (f)
        fclose(f);
    return n;
}

static void minilm(void)
{
    const char *dir = getenv("ILK_TEST_MINILM");
    char *real[MAX_TEXTS];
    size_t n = dir ? read_sentences(real, MAX_TEXTS) : 0;
    if (n == 0)
        TEST_SKIP("ILK_TEST_MINILM and ILK_TEST_DATA name the model and the folder with data/stsb");
    CHECK_INT(n, MAX_TEXTS);
    ilk_runtime *rt = open_runtime(0);
    ilk_model *m = open_model(rt, dir, ILK_PRECISION_F32);
    ilk_vectors *truth = embed(m, (const char *const *)real, n);
    ilk_model_close(m);
    for (int p = ILK_PRECISION_BF16; p <= ILK_PRECISION_INT8W; p++) {
        m = open_model(rt, dir, (ilk_precision)p);
        ilk_vectors *v = embed(m, (const char *const *)real, n);
        figures f = compare(truth, v);
        printf("minilm %s: mean cosine %.5f, least %.5f\n", ilk_precision_name((ilk_precision)p), f.mean, f.least);
        CHECK(f.mean > 0.9995 && f.least > 0.998);
        ilk_vectors_free(v);
        ilk_model_close(m);
    }
    ilk_vectors_free(truth);
    ilk_runtime_close(rt);
    for (size_t i = 0; i < n; i++)
        free(real[i]);
}

static void refused(void)
{
    ilk_runtime *rt = open_runtime(1);
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    o.precision = (ilk_precision)99;
    CHECK_STATUS(ilk_model_open(&m, rt, ILK_TEST_DIR "/fixtures/bert-mean", &o, &err), ILK_BAD_ARGUMENT, NULL);
    CHECK(strstr(err.message, "precision") != NULL);
    CHECK(ilk_precision_name((ilk_precision)99) == NULL);
    CHECK_STR(ilk_precision_name(ILK_PRECISION_AUTO), "auto");
    ilk_runtime_close(rt);
}

TEST_MAIN({"families", families}, {"minilm", minilm}, {"refused", refused})
