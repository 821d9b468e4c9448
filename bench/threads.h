/* SPDX-License-Identifier: Apache-2.0
 * What programs called with [THREADS [SECONDS]] begin with. */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <stdio.h>
#include <stdlib.h>

#include "ilk.h"

/* A runtime of argv[1] threads, without it of all CPUs; and how long a figure may take, argv[2], without it 0.3. NULL, and
 * a message of `program`, where it does not open. */
static ilk_runtime *open_threads(const char *program, int argc, char **argv, double *seconds)
{
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_runtime_options opt;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    *seconds = argc > 2 ? atof(argv[2]) : 0.3;
    if (ilk_runtime_open(&rt, &opt, &err) != ILK_OK)
        fprintf(stderr, "%s: %s\n", program, err.message);
    return rt;
}

#endif
