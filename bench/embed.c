/* SPDX-License-Identifier: Apache-2.0
 * The library as a caller meets it, for compare.py and for the profiler.
 *
 *   bench_embed MODEL [THREADS]             reads commands from stdin and answers each with a line of JSON:
 *       shape 8x128 SECONDS                 token ids in, unit vectors out, again and again
 *       lines FILE                          the lines of a file, each one a text (ILK_BENCH_BATCH_TOKENS: of a pass)
 *   bench_embed MODEL THREADS once TEXT     the way from nothing to a first vector, stage by stage in milliseconds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "ilk.h"

enum { MAX_RUNS = 100000, MAX_FILE = 1 << 30 };

static double ms_since(uint64_t start)
{
    return (double)(ilki_base_now_ns() - start) / 1e6;
}

static double peak_mb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void say_error(const ilk_error *err)
{
    printf("{\"error\":\"%s\"}\n", ilk_status_string(err->status));
    fprintf(stderr, "bench_embed: %s\n", err->message);
}

/* ------------------------------------------------------------------ token ids of one length */

static void run_shape(ilk_model *m, size_t n_seqs, size_t len, double seconds)
{
    static double ms[MAX_RUNS];
    size_t n_runs = 0;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info info;
    ilk_model_info_init(&info);
    ilk_status st = ilk_model_get_info(m, &info, &err);
    int32_t *ids = calloc(n_seqs * len, sizeof *ids);
    ilk_input *in = calloc(n_seqs, sizeof *in);
    ilk_part *parts = calloc(n_seqs, sizeof *parts);
    for (size_t i = 0; i < n_seqs * len; i++)
        ids[i] = (int32_t)((i * 7919 + 1000) % info.vocab_size);
    for (size_t i = 0; i < n_seqs; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_IDS;
        parts[i].data = ids + i * len;
        parts[i].shape[0] = (uint32_t)len;
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    uint64_t begin = ilki_base_now_ns();
    while (st == ILK_OK && n_runs < MAX_RUNS && (n_runs == 0 || ms_since(begin) < seconds * 1e3)) {
        ilk_vectors *v = NULL;
        uint64_t start = ilki_base_now_ns();
        st = ilk_embed(m, in, n_seqs, NULL, NULL, &v, &err);
        ms[n_runs++] = ms_since(start);
        ilk_vectors_free(v);
    }
    if (st == ILK_OK) {
        qsort(ms, n_runs, sizeof *ms, by_size);
        printf("{\"best_ms\":%.4f,\"median_ms\":%.4f,\"runs\":%zu,\"peak_mb\":%.1f}\n", ms[0], ms[n_runs / 2], n_runs,
               peak_mb());
    } else {
        say_error(&err);
    }
    free(parts);
    free(in);
    free(ids);
}

/* ------------------------------------------------------------------ lines of a file */

static size_t split_lines(const char *text, size_t n, ilk_part *parts, ilk_input *in)
{
    size_t n_lines = 0;
    for (size_t at = 0; at < n; n_lines++) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        if (parts) {
            ilk_part_init(&parts[n_lines]);
            ilk_input_init(&in[n_lines]);
            parts[n_lines].kind = ILK_PART_TEXT;
            parts[n_lines].data = text + at;
            parts[n_lines].n_bytes = len;
            in[n_lines].parts = &parts[n_lines];
            in[n_lines].n_parts = 1;
        }
        at += len + 1;
    }
    return n_lines;
}

static void run_lines(ilk_model *m, const char *path)
{
    char *text = NULL;
    size_t n = 0, n_tokens = 0;
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilki_base_read_file(&ilki_base_vfs_posix, path, MAX_FILE, &text, &n, &err);
    size_t n_lines = st == ILK_OK ? split_lines(text, n, NULL, NULL) : 0;
    ilk_part *parts = calloc(n_lines + 1, sizeof *parts);
    ilk_input *in = calloc(n_lines + 1, sizeof *in);
    if (st == ILK_OK) {
        split_lines(text, n, parts, in);
        st = ilk_embed(m, in, n_lines, NULL, NULL, &v, &err);
    }
    double ms = ms_since(start);
    for (size_t i = 0; st == ILK_OK && i < n_lines; i++)
        n_tokens += ilk_vectors_get_tokens(v, i, NULL);
    if (st == ILK_OK)
        printf("{\"ms\":%.3f,\"lines\":%zu,\"tokens\":%zu,\"peak_mb\":%.1f}\n", ms, n_lines, n_tokens, peak_mb());
    else
        say_error(&err);
    ilk_vectors_free(v);
    free(in);
    free(parts);
    free(text);
}

/* ------------------------------------------------------------------ */

static int run_once(const char *dir, unsigned n_threads, const char *text)
{
    uint64_t t0 = ilki_base_now_ns();
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = n_threads;
    ilk_part part;
    ilk_part_init(&part);
    part.kind = ILK_PART_TEXT;
    part.data = text;
    part.n_bytes = strlen(text);
    ilk_input in;
    ilk_input_init(&in);
    in.parts = &part;
    in.n_parts = 1;
    ilk_model_options mo;
    ilk_model_options_init(&mo);
    mo.precision = ILK_PRECISION_F32;
    ilk_status st = ilk_runtime_open(&rt, &opt, &err);
    uint64_t t1 = ilki_base_now_ns();
    if (st == ILK_OK)
        st = ilk_model_open(&m, rt, dir, &mo, &err);
    uint64_t t2 = ilki_base_now_ns();
    if (st == ILK_OK)
        st = ilk_embed(m, &in, 1, NULL, NULL, &v, &err);
    uint64_t t3 = ilki_base_now_ns();
    ilk_vectors_free(v);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    uint64_t t4 = ilki_base_now_ns();
    if (st != ILK_OK) {
        say_error(&err);
        return 1;
    }
    printf("{\"runtime_ms\":%.2f,\"open_ms\":%.2f,\"embed_ms\":%.2f,\"close_ms\":%.2f,\"peak_mb\":%.1f}\n",
           (double)(t1 - t0) / 1e6, (double)(t2 - t1) / 1e6, (double)(t3 - t2) / 1e6, (double)(t4 - t3) / 1e6,
           peak_mb());
    return 0;
}

static bool answer(ilk_model *m, const char *line)
{
    char path[4096];
    size_t n_seqs = 0, len = 0;
    double seconds = 0;
    if (sscanf(line, "shape %zux%zu %lf", &n_seqs, &len, &seconds) == 3 && n_seqs && len)
        run_shape(m, n_seqs, len, seconds);
    else if (sscanf(line, "lines %4095s", path) == 1)
        run_lines(m, path);
    else
        return false;
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    char line[8192];
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    ilk_model_options mo;
    ilk_model_options_init(&mo);
    mo.precision = ILK_PRECISION_F32;
    if (argc < 2 || (argc > 3 && (argc != 5 || strcmp(argv[3], "once") != 0))) {
        fprintf(stderr, "usage: bench_embed MODEL [THREADS [once TEXT]]\n");
        return 2;
    }
    opt.n_threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    if (argc == 5)
        return run_once(argv[1], opt.n_threads, argv[4]);
    if (getenv("ILK_BENCH_BATCH_TOKENS"))
        mo.batch_tokens = (uint32_t)atoi(getenv("ILK_BENCH_BATCH_TOKENS"));
    if (ilk_runtime_open(&rt, &opt, &err) != ILK_OK || ilk_model_open(&m, rt, argv[1], &mo, &err) != ILK_OK) {
        fprintf(stderr, "bench_embed: %s\n", err.message);
        return 1;
    }
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, stdin))
        if (!answer(m, line)) {
            fprintf(stderr, "bench_embed: expected a command, found %s", line);
            rc = 2;
        }
    ilk_model_close(m);
    ilk_runtime_close(rt);
    return rc;
}
