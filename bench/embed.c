/* SPDX-License-Identifier: Apache-2.0
 * The library as a caller meets it, for compare.py and for the profiler.
 *
 *   bench_embed [PRECISION] MODEL [THREADS]   reads commands from stdin and answers each with a line of JSON:
 *       shape 8x128 SECONDS                   token ids in, unit vectors out, again and again
 *       pixels N SECONDS                      the same of N pictures of the model's own size
 *       lines FILE [OUT]                      the lines of a file, each one a text (ILK_BENCH_BATCH_TOKENS: of a pass)
 *       files FILE [OUT]                      the lines of a file, each the path of a picture
 *   bench_embed [PRECISION] MODEL THREADS once TEXT   the way from nothing to a first vector, stage by stage in milliseconds
 *
 * PRECISION is f32 (without one), bf16, int8, int8w or auto. OUT gets the vectors as an array of NumPy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "ilk.h"

enum { MAX_RUNS = 100000, MAX_FILE = 1 << 30 };

static double ms_since(uint64_t start)
{
    return (double)(ilki_base_now_ns() - start) / 1e6;
}

/* VmHWM: getrusage would count the process that this one was forked from. */
static double peak_mb(void)
{
    char line[256];
    unsigned long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lu", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return (double)kb / 1024;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ilk_status status_of(const ilk_vectors *v, size_t i, ilk_error *err)
{
    const char *why = "";
    ilk_status st = ilk_vectors_get_status(v, i, &why);
    if (st != ILK_OK)
        snprintf(err->message, sizeof err->message, "%s", why);
    err->status = st;
    return st;
}

static void say_error(const ilk_error *err)
{
    printf("{\"error\":\"%s\"}\n", ilk_status_string(err->status));
    fprintf(stderr, "bench_embed: %s\n", err->message);
}

/* ------------------------------------------------------------------ the same call, again and again */

static ilk_input *whole_inputs(ilk_part *parts, size_t n)
{
    ilk_input *in = calloc(n + 1, sizeof *in);
    for (size_t i = 0; in && parts && i < n; i++) {
        ilk_input_init(&in[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    return in;
}

static void repeat(ilk_model *m, ilk_part *parts, size_t n, double seconds)
{
    static double ms[MAX_RUNS];
    size_t n_runs = 0;
    ilk_error err;
    ilk_error_init(&err);
    ilk_input *in = whole_inputs(parts, n);
    ilk_status st = in ? ILK_OK : ILK_NO_MEMORY;
    uint64_t begin = ilki_base_now_ns();
    while (st == ILK_OK && n_runs < MAX_RUNS && (n_runs == 0 || ms_since(begin) < seconds * 1e3)) {
        ilk_vectors *v = NULL;
        uint64_t start = ilki_base_now_ns();
        st = ilk_embed(m, in, n, NULL, NULL, &v, &err);
        ms[n_runs++] = ms_since(start);
        if (st == ILK_OK)
            st = status_of(v, 0, &err);
        ilk_vectors_free(v);
    }
    if (st == ILK_OK) {
        qsort(ms, n_runs, sizeof *ms, by_size);
        printf("{\"best_ms\":%.4f,\"median_ms\":%.4f,\"runs\":%zu,\"peak_mb\":%.1f}\n", ms[0], ms[n_runs / 2], n_runs,
               peak_mb());
    } else {
        say_error(&err);
    }
    free(in);
}

static void run_shape(ilk_model *m, size_t n_seqs, size_t len, double seconds)
{
    ilk_model_info info;
    ilk_model_info_init(&info);
    ilk_model_get_info(m, &info, NULL);
    int32_t *ids = calloc(n_seqs * len, sizeof *ids);
    ilk_part *parts = calloc(n_seqs, sizeof *parts);
    for (size_t i = 0; ids && i < n_seqs * len; i++)
        ids[i] = (int32_t)((i * 7919 + 1000) % info.vocab_size);
    for (size_t i = 0; ids && parts && i < n_seqs; i++) {
        ilk_part_init(&parts[i]);
        parts[i].kind = ILK_PART_IDS;
        parts[i].data = ids + i * len;
        parts[i].shape[0] = (uint32_t)len;
    }
    repeat(m, parts, n_seqs, seconds);
    free(parts);
    free(ids);
}

static void run_pixels(ilk_model *m, size_t n, double seconds)
{
    ilk_model_info info;
    ilk_model_info_init(&info);
    ilk_model_get_info(m, &info, NULL);
    size_t n_bytes = (size_t)info.image_size * info.image_size * 3;
    unsigned char *pixels = malloc(n_bytes + 1);
    ilk_part *parts = calloc(n, sizeof *parts);
    for (size_t i = 0; pixels && i < n_bytes; i++)
        pixels[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; pixels && parts && i < n; i++) {
        ilk_part_init(&parts[i]);
        parts[i].kind = ILK_PART_PIXELS;
        parts[i].modality = ILK_IMAGE;
        parts[i].data = pixels;
        parts[i].shape[0] = parts[i].shape[1] = info.image_size;
        parts[i].shape[2] = 3;
    }
    repeat(m, parts, n, seconds);
    free(parts);
    free(pixels);
}

/* ------------------------------------------------------------------ lines of a file */

/* As texts, or as paths of pictures, whose ends become NULs. */
static size_t split_lines(char *text, size_t n, ilk_part *parts, bool paths)
{
    size_t n_lines = 0;
    for (size_t at = 0; at < n; n_lines++) {
        char *end = memchr(text + at, '\n', n - at);
        size_t len = end ? (size_t)(end - text) - at : n - at;
        if (parts) {
            ilk_part_init(&parts[n_lines]);
            parts[n_lines].kind = paths ? ILK_PART_PATH : ILK_PART_TEXT;
            parts[n_lines].modality = paths ? ILK_IMAGE : ILK_TEXT;
            parts[n_lines].data = text + at;
            parts[n_lines].n_bytes = len;
            if (paths && end)
                *end = 0;
        }
        at += len + 1;
    }
    return n_lines;
}

static ilk_status write_npy(const char *path, const ilk_vectors *v, ilk_error *err)
{
    ilk_matrix x;
    ilk_matrix_init(&x);
    ilk_status st = ilk_vectors_view_matrix(v, &x, err);
    FILE *f = st == ILK_OK ? fopen(path, "wb") : NULL;
    if (f) {
        fwrite("\x93NUMPY\1\0v\0", 1, 10, f); /* a header of 118 bytes */
        int n = fprintf(f, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", x.rows, x.dim);
        fprintf(f, "%*s\n", 117 - n, "");
        for (size_t i = 0; i < x.rows; i++)
            fwrite(x.data + i * x.stride, sizeof(float), x.dim, f);
    }
    if (st == ILK_OK && (!f || fclose(f) != 0))
        st = ILK_IO;
    return st;
}

static void run_lines(ilk_model *m, const char *path, const char *out, bool paths)
{
    char *text = NULL;
    size_t n = 0, n_tokens = 0;
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilki_base_read_file(&ilki_base_vfs_posix, path, MAX_FILE, &text, &n, &err);
    size_t n_lines = st == ILK_OK ? split_lines(text, n, NULL, paths) : 0;
    ilk_part *parts = calloc(n_lines + 1, sizeof *parts);
    ilk_input *in = whole_inputs(parts, n_lines);
    if (st == ILK_OK) {
        split_lines(text, n, parts, paths);
        st = ilk_embed(m, in, n_lines, NULL, NULL, &v, &err);
    }
    for (size_t i = 0; st == ILK_OK && i < n_lines; i++) {
        st = status_of(v, i, &err);
        n_tokens += ilk_vectors_get_tokens(v, i, NULL);
    }
    if (st == ILK_OK && *out)
        st = write_npy(out, v, &err);
    double ms = ms_since(start);
    ilk_model_info info;
    ilk_model_info_init(&info);
    ilk_model_get_info(m, &info, NULL);
    if (st == ILK_OK)
        printf("{\"ms\":%.3f,\"lines\":%zu,\"tokens\":%zu,\"peak_mb\":%.1f,\"attention\":\"%s\"}\n", ms, n_lines,
               n_tokens, peak_mb(), ilk_attention_name(info.attention));
    else
        say_error(&err);
    ilk_vectors_free(v);
    free(in);
    free(parts);
    free(text);
}

/* ------------------------------------------------------------------ */

static int run_once(const char *dir, ilk_precision precision, unsigned n_threads, const char *text)
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
    mo.precision = precision;
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
    char path[4096], out[4096] = "";
    size_t n = 0, len = 0;
    double seconds = 0;
    if (sscanf(line, "shape %zux%zu %lf", &n, &len, &seconds) == 3 && n && len)
        run_shape(m, n, len, seconds);
    else if (sscanf(line, "pixels %zu %lf", &n, &seconds) == 2 && n)
        run_pixels(m, n, seconds);
    else if (sscanf(line, "lines %4095s %4095s", path, out) >= 1)
        run_lines(m, path, out, false);
    else if (sscanf(line, "files %4095s %4095s", path, out) >= 1)
        run_lines(m, path, out, true);
    else
        return false;
    fflush(stdout);
    return true;
}

static int serve(const char *dir, ilk_precision precision, unsigned n_threads)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    char line[9000];
    int rc = 1;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = n_threads;
    ilk_model_options mo;
    ilk_model_options_init(&mo);
    mo.precision = precision;
    if (getenv("ILK_BENCH_BATCH_TOKENS"))
        mo.batch_tokens = (uint32_t)atoi(getenv("ILK_BENCH_BATCH_TOKENS"));
    if (ilk_runtime_open(&rt, &opt, &err) == ILK_OK && ilk_model_open(&m, rt, dir, &mo, &err) == ILK_OK) {
        rc = 0;
        while (rc == 0 && fgets(line, sizeof line, stdin))
            if (!answer(m, line)) {
                fprintf(stderr, "bench_embed: expected a command, found %s", line);
                rc = 2;
            }
    } else {
        fprintf(stderr, "bench_embed: %s\n", err.message);
    }
    ilk_model_close(m);
    ilk_runtime_close(rt);
    return rc;
}

int main(int argc, char **argv)
{
    ilk_precision precision = ILK_PRECISION_F32;
    for (int p = 0; argc > 1 && ilk_precision_name((ilk_precision)p); p++)
        if (strcmp(argv[1], ilk_precision_name((ilk_precision)p)) == 0) {
            precision = (ilk_precision)p;
            argc--;
            argv++;
            break;
        }
    if (argc < 2 || (argc > 3 && (argc != 5 || strcmp(argv[3], "once") != 0))) {
        fprintf(stderr, "usage: bench_embed [PRECISION] MODEL [THREADS [once TEXT]]\n");
        return 2;
    }
    unsigned n_threads = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    return argc == 5 ? run_once(argv[1], precision, n_threads, argv[4]) : serve(argv[1], precision, n_threads);
}
