/* SPDX-License-Identifier: Apache-2.0
 * Pictures of the model's own size to vectors, as a caller meets it: bench_pictures DIR [THREADS [SECONDS [N]]]. Prints
 * milliseconds (best and median) of a call with N pictures, and pictures a second by the best. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "ilk.h"

enum { MOST_CALLS = 10000 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ilk_status run(ilk_model *m, const ilk_input *in, size_t n, double seconds, ilk_error *err)
{
    static double ms[MOST_CALLS];
    size_t n_calls = 0;
    uint64_t end = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    do {
        ilk_vectors *v = NULL;
        uint64_t start = ilki_base_now_ns();
        ilk_status st = ilk_embed(m, in, n, NULL, NULL, &v, err);
        ms[n_calls] = (double)(ilki_base_now_ns() - start) / 1e6;
        if (st == ILK_OK && ilk_vectors_get_status(v, 0, NULL) != ILK_OK)
            st = ilk_vectors_get_status(v, 0, NULL);
        ilk_vectors_free(v);
        if (st != ILK_OK)
            return st;
        n_calls++;
    } while (n_calls < MOST_CALLS && (n_calls < 3 || ilki_base_now_ns() < end));
    qsort(ms, n_calls, sizeof *ms, by_size);
    printf("%zu pictures: best %.2f ms, median %.2f ms, %.1f pictures/s\n", n, ms[0], ms[n_calls / 2],
           (double)n * 1e3 / ms[0]);
    return ILK_OK;
}

int main(int argc, char **argv)
{
    ilk_error err;
    ilk_runtime_options opt;
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_info info;
    size_t n = argc > 4 ? strtoul(argv[4], NULL, 10) : 8;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    ilk_model_info_init(&info);
    opt.n_threads = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    if (argc < 2 || n == 0 || n > 4096) {
        fprintf(stderr, "usage: bench_pictures DIR [THREADS [SECONDS [N]]]\n");
        return 2;
    }
    ilk_model_options mo;
    ilk_model_options_init(&mo);
    mo.precision = ILK_PRECISION_F32;
    ilk_part *parts = calloc(n, sizeof *parts);
    ilk_input *in = calloc(n, sizeof *in);
    unsigned char *pixels = NULL;
    ilk_status st = ilk_runtime_open(&rt, &opt, &err);
    if (st == ILK_OK)
        st = ilk_model_open(&m, rt, argv[1], &mo, &err);
    if (st == ILK_OK)
        st = ilk_model_get_info(m, &info, &err);
    size_t n_bytes = (size_t)info.image_size * info.image_size * 3;
    pixels = malloc(n_bytes + 1);
    for (size_t i = 0; pixels && i < n_bytes; i++)
        pixels[i] = (unsigned char)(i * 2654435761u >> 13);
    for (size_t i = 0; parts && in && i < n; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_PIXELS;
        parts[i].modality = ILK_IMAGE;
        parts[i].data = pixels;
        parts[i].shape[0] = parts[i].shape[1] = info.image_size;
        parts[i].shape[2] = 3;
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    if (st == ILK_OK && parts && in && pixels)
        st = run(m, in, n, argc > 3 ? strtod(argv[3], NULL) : 2, &err);
    if (st != ILK_OK)
        fprintf(stderr, "bench_pictures: %s\n", err.message);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    free(parts);
    free(in);
    free(pixels);
    return st != ILK_OK;
}
