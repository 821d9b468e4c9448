/* SPDX-License-Identifier: Apache-2.0
 * The machine's own peak of multiply-adds (two operations each), in billions a second, all threads at once:
 *
 *     bench_peak [THREADS [SECONDS [KIND ...]]]
 *
 * KIND is f32 (without one), tiles (f32 made of bf16 products on matrix tiles), bf16 or i8. One kind prints its figure
 * alone, several a line "KIND FIGURE" each; 0.0 where the CPU has no instructions of that kind. Each takes SECONDS, 0.3
 * without. It is what `ilk bench --peak` measures, but short enough to stand beside every other figure, because what a
 * shared machine gives varies from second to second. The best round of some milliseconds counts. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/runtime.h"
#include "ilk.h"
#include "kern/ops.h"
#include "threads.h"

enum { TASKS_PER_THREAD = 2, MAX_TASKS = 2048 };

typedef uint64_t peak_fn(uint64_t n_iterations);

typedef struct round {
    peak_fn *fn;
    uint64_t n_iterations;
    uint64_t ops[MAX_TASKS];
} round;

static void burn(void *arg, size_t i, unsigned slot)
{
    round *r = arg;
    (void)slot;
    r->ops[i] = r->fn(r->n_iterations);
}

/* The best rate of `seconds`; 0 where there is no such probe. */
static double measure(ilk_runtime *rt, peak_fn *fn, double seconds)
{
    static round r;
    r.fn = fn;
    r.n_iterations = 1 << 14;
    double best = 0;
    size_t n = (size_t)ilki_base_pool_threads(rt->pool) * TASKS_PER_THREAD;
    n = n < MAX_TASKS ? n : MAX_TASKS;
    ilki_run run = {.fn = burn, .arg = &r, .n_tasks = n};
    uint64_t begin = ilki_base_now_ns(), now = begin;
    while (fn && now - begin < (uint64_t)(seconds * 1e9)) {
        uint64_t start = now, ops = 0;
        ilk_status st = ilki_base_pool_run(rt->pool, &run, NULL);
        now = ilki_base_now_ns();
        for (size_t i = 0; i < n && st == ILK_OK; i++)
            ops += r.ops[i];
        double rate = (double)ops / (double)(now - start);
        best = rate > best ? rate : best;
        if (now - start < 3000000) /* too short a round measures its own ends */
            r.n_iterations *= 2;
    }
    return best;
}

int main(int argc, char **argv)
{
    double seconds;
    ilk_runtime *rt = open_threads("bench_peak", argc, argv, &seconds);
    if (!rt)
        return 1;
    const struct {
        const char *name;
        peak_fn *fn;
    } kinds[] = {{"f32", rt->ops->peak_f32},
                 {"tiles", rt->ops->peak_tiles_f32},
                 {"bf16", rt->ops->peak_bf16},
                 {"i8", rt->ops->peak_i8}};
    int failed = 0;
    for (int i = 3; i < (argc > 4 ? argc : 4); i++) {
        const char *name = i < argc ? argv[i] : kinds[0].name;
        size_t k = 0, n = sizeof kinds / sizeof *kinds;
        while (k < n && strcmp(kinds[k].name, name) != 0)
            k++;
        failed |= k == n;
        if (k == n)
            fprintf(stderr, "bench_peak: expected f32, tiles, bf16 or i8, found '%s'\n", name);
        else if (argc > 4)
            printf("%s %.1f\n", name, measure(rt, kinds[k].fn, seconds));
        else
            printf("%.1f\n", measure(rt, kinds[k].fn, seconds));
    }
    ilk_runtime_close(rt);
    return failed ? 2 : 0;
}
