/* SPDX-License-Identifier: Apache-2.0
 * The machine's own peak of f32 multiply-adds, in GFLOP/s, all threads at once: bench_peak [THREADS [SECONDS]]. It is what
 * `ilk bench --peak` measures, but short enough to stand beside every other figure, because what a shared machine gives
 * varies from second to second. The best round of some milliseconds counts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/runtime.h"
#include "ilk.h"
#include "kern/ops.h"

enum { TASKS_PER_THREAD = 2, MAX_TASKS = 2048 };

typedef struct round {
    const ilki_kern_ops *ops;
    uint64_t n_iterations;
    uint64_t flops[MAX_TASKS];
} round;

static void burn(void *arg, size_t i, unsigned slot)
{
    round *r = arg;
    (void)slot;
    r->flops[i] = r->ops->peak_f32(r->n_iterations);
}

int main(int argc, char **argv)
{
    static round r = {.n_iterations = 1 << 14};
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options opt;
    ilk_runtime_options_init(&opt);
    opt.n_threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    double seconds = argc > 2 ? atof(argv[2]) : 0.3, best = 0;
    if (ilk_runtime_open(&rt, &opt, &err) != ILK_OK) {
        fprintf(stderr, "bench_peak: %s\n", err.message);
        return 1;
    }
    r.ops = rt->ops;
    size_t n = (size_t)ilki_base_pool_threads(rt->pool) * TASKS_PER_THREAD;
    n = n < MAX_TASKS ? n : MAX_TASKS;
    ilki_run run = {.fn = burn, .arg = &r, .n_tasks = n};
    uint64_t begin = ilki_base_now_ns(), now = begin;
    while (now - begin < (uint64_t)(seconds * 1e9)) {
        uint64_t start = now, flops = 0;
        ilk_status st = ilki_base_pool_run(rt->pool, &run, &err);
        now = ilki_base_now_ns();
        for (size_t i = 0; i < n && st == ILK_OK; i++)
            flops += r.flops[i];
        double rate = (double)flops / (double)(now - start);
        best = rate > best ? rate : best;
        if (now - start < 3000000) /* too short a round measures its own ends */
            r.n_iterations *= 2;
    }
    printf("%.1f\n", best);
    ilk_runtime_close(rt);
    return 0;
}
