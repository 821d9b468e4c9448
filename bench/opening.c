/* SPDX-License-Identifier: Apache-2.0
 * How long opening takes, and the first vector behind it.
 *
 *   bench_opening MODEL PRECISION [RUNS] [off]    the best and median of RUNS (20) in one process, in milliseconds; the
 *                                                 first run writes packed weights, unless `off` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"
#include "ilk.h"

enum { MAX_RUNS = 1000 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ilk_status open_once(ilk_runtime *rt, const char *where, const ilk_model_options *o, double *open_ms,
                            double *first_ms, ilk_error *err)
{
    ilk_model *m = NULL;
    ilk_model_info info;
    float *v = NULL;
    ilk_model_info_init(&info);
    uint64_t begin = ilki_base_now_ns();
    ilk_status st = ilk_model_open(&m, rt, where, o, err);
    *open_ms = (double)(ilki_base_now_ns() - begin) / 1e6;
    if (st == ILK_OK)
        st = ilk_model_get_info(m, &info, err);
    if (st == ILK_OK && !(v = calloc(info.dim, sizeof *v)))
        st = ILK_NO_MEMORY;
    if (st == ILK_OK)
        st = ilk_embed_text(m, "how many people live in London", ILK_ROLE_QUERY, v, info.dim, err);
    *first_ms = (double)(ilki_base_now_ns() - begin) / 1e6;
    free(v);
    ilk_model_close(m);
    return st;
}

int main(int argc, char **argv)
{
    static double open_ms[MAX_RUNS], first_ms[MAX_RUNS];
    size_t n = argc > 3 ? strtoul(argv[3], NULL, 10) : 20;
    int p = 0;
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_error_init(&err);
    while (argc > 2 && ilk_precision_name((ilk_precision)p) &&
           strcmp(ilk_precision_name((ilk_precision)p), argv[2]) != 0)
        p++;
    if (argc < 3 || n == 0 || n > MAX_RUNS || !ilk_precision_name((ilk_precision)p)) {
        fprintf(stderr, "usage: bench_opening MODEL f32|bf16|int8|int8w [RUNS] [off]\n");
        return 2;
    }
    ilk_model_options o;
    ilk_model_options_init(&o);
    o.precision = (ilk_precision)p;
    o.packed_cache = argc > 4 ? ILK_PACKED_OFF : ILK_PACKED_KEEP;
    ilk_status st = ilk_runtime_open(&rt, NULL, &err);
    for (size_t i = 0; i < n && st == ILK_OK; i++)
        st = open_once(rt, argv[1], &o, &open_ms[i], &first_ms[i], &err);
    ilk_runtime_close(rt);
    if (st != ILK_OK) {
        fprintf(stderr, "bench_opening: %s\n", err.message);
        return 1;
    }
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%s: open first %.1f", argv[2], open_ms[0]);
    qsort(open_ms, n, sizeof *open_ms, by_size);
    qsort(first_ms, n, sizeof *first_ms, by_size);
    printf(", best %.1f, median %.1f; with a vector best %.1f, median %.1f ms; peak %.1f MB\n", open_ms[0],
           open_ms[n / 2], first_ms[0], first_ms[n / 2], (double)u.ru_maxrss / 1024);
    return 0;
}
