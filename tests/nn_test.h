/* SPDX-License-Identifier: Apache-2.0
 * For tests of layers and models: runs a pass as the library does it, and looks after what must hold of every pass. A
 * program that includes this header includes "alloc_count.h" before it.
 *
 *   nn_pass      measures, reserves just what was measured, runs, and checks that nothing was allocated meanwhile
 *   nn_same      runs a pass on no pool and on pools of 1, 2, 3 and 16 threads: the same bits
 *   nn_tables    the kernel tables to try */
#ifndef ILK_NN_TEST_H
#define ILK_NN_TEST_H

#include <math.h>
#include <stdlib.h>

#include "alloc_count.h"
#include "base/cpu.h"
#include "nn/tape.h"
#include "test.h"

typedef void (*nn_fn)(ilki_nn *ctx, void *arg);

/* An activation by its definition. */
static inline double act_of(double x, ilki_act act)
{
    switch (act) {
    case ILKI_ACT_GELU:
        return x / 2 * erfc(-x / sqrt(2));
    case ILKI_ACT_GELU_TANH:
        return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ILKI_ACT_GELU_QUICK:
        return x / (1 + exp(-1.702 * x));
    case ILKI_ACT_SILU:
        return x / (1 + exp(-x));
    case ILKI_ACT_RELU:
        return x > 0 ? x : 0;
    case ILKI_ACT_TANH:
        return tanh(x);
    case ILKI_ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    case ILKI_ACT_NONE:
        break;
    }
    return x;
}

/* fn takes what it needs from ctx->ws; while measuring it gets NULL there. */
static inline ilk_status nn_pass(const ilki_nn *with, nn_fn fn, void *arg, ilk_error *err)
{
    ilki_ws ws;
    ilki_nn ctx = *with;
    ctx.ws = &ws;
    ctx.err = err;
    ilki_base_ws_init(&ws, NULL, 0);
    fn(&ctx, arg);
    if (ctx.status != ILK_OK)
        return ctx.status;
    size_t bytes = ws.peak ? ws.peak : ILKI_ALIGN;
    void *memory = ilki_base_alloc_aligned(bytes, 1);
    memset(memory, 0xff, bytes); /* NaN: what is read before it is written is seen */
    ilki_base_ws_init(&ws, memory, bytes);
    uint64_t before = alloc_count();
    fn(&ctx, arg);
    if (!ctx.tape)
        CHECK_INT(alloc_count() - before, 0);
    CHECK(!ws.overrun);
    CHECK_INT(ws.used, 0);
    free(memory);
    return ctx.status;
}

enum { NN_TABLES = 4 };

/* The reference, what AVX2 and AVX-512 alone give, the best; the last is the best. */
static inline size_t nn_tables(ilki_kern_ops ops[NN_TABLES])
{
    static const char *const masks[NN_TABLES] = {"ref", "avx2", "avx512", NULL};
    uint32_t features = ilki_base_cpu_features();
    size_t n = 0;
    for (size_t i = 0; i < NN_TABLES; i++)
        if (ilki_kern_select(&ops[n], masks[i], features, NULL, 0, NULL) == ILK_OK &&
            (n == 0 || strcmp(ops[n].name, ops[n - 1].name) != 0))
            n++;
    CHECK(n > 0);
    return n;
}

/* `fn` fills out [n]; it is run everywhere and must give what it gives without a pool. */
static inline void nn_same(const ilki_kern_ops *ops, nn_fn fn, void *arg, float *out, size_t n)
{
    static const unsigned threads[] = {0, 1, 2, 3, 16};
    float *want = malloc(n * sizeof *want);
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        ilki_pool *pool = NULL;
        if (threads[i])
            CHECK_OK(ilki_base_pool_new(&pool, threads[i], &err), &err);
        memset(out, 0x5a, n * sizeof *out); /* finite, so that what lies between rows compares */
        CHECK_OK(nn_pass(&(ilki_nn){.ops = ops, .pool = pool}, fn, arg, &err), &err);
        if (i == 0)
            memcpy(want, out, n * sizeof *want);
        if (!CHECK_FLOATS(out, want, n, 0, 0))
            printf("    on %u threads, table %s\n", threads[i], ops->name);
        ilki_base_pool_free(pool);
    }
    free(want);
}

/* Numbers in -1 … 1; freed by the caller. */
static inline float *nn_random(uint64_t *state, size_t n)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)(test_random(state) >> 40) / (1 << 23) - 1.0);
    return x;
}

#endif
