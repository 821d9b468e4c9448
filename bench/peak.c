/* SPDX-License-Identifier: Apache-2.0
 * The machine's own peak of f32 multiply-adds, in GFLOP/s: bench_peak [THREADS [SECONDS]]. It is taken beside every other
 * figure, because what a shared machine gives varies. Best slice of 5 ms, all threads at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { STEPS = 1 << 14, MAX_THREADS = 256 };

/* Each burns STEPS rounds of twelve independent multiply-adds and returns their arithmetic: named accumulators, since
 * GCC 12 stores an array of them every round. */
#define BURN(V, SET, FMA, LANES)                                                                                       \
    V a0 = SET(1), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0, a8 = a0, a9 = a0, a10 = a0,          \
      a11 = a0, x = SET(0.999f), y = SET(0.001f);                                                                      \
    for (int i = 0; i < STEPS; i++) {                                                                                  \
        a0 = FMA(a0, x, y), a1 = FMA(a1, x, y), a2 = FMA(a2, x, y), a3 = FMA(a3, x, y), a4 = FMA(a4, x, y),            \
        a5 = FMA(a5, x, y), a6 = FMA(a6, x, y), a7 = FMA(a7, x, y), a8 = FMA(a8, x, y), a9 = FMA(a9, x, y),            \
        a10 = FMA(a10, x, y), a11 = FMA(a11, x, y);                                                                    \
        __asm__ volatile("" /* they are equal, which the compiler must not find out */                                 \
                         : REG(a0), REG(a1), REG(a2), REG(a3), REG(a4), REG(a5), REG(a6), REG(a7), REG(a8), REG(a9),   \
                           REG(a10), REG(a11));                                                                        \
    }                                                                                                                  \
    keep = LANE(a0) + LANE(a1) + LANE(a2) + LANE(a3) + LANE(a4) + LANE(a5) + LANE(a6) + LANE(a7) + LANE(a8) +          \
           LANE(a9) + LANE(a10) + LANE(a11);                                                                           \
    return 24.0 * LANES * STEPS

static volatile float keep;

#if defined(__x86_64__)
#define REG(a)  "+v"(a)
#define LANE(a) _mm512_cvtss_f32(a)
__attribute__((target("avx512f"))) static double burn_avx512(void)
{
    BURN(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16);
}
#undef REG
#undef LANE
#define REG(a)  "+x"(a)
#define LANE(a) _mm256_cvtss_f32(a)
__attribute__((target("avx2,fma"))) static double burn_avx2(void)
{
    BURN(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8);
}
#elif defined(__aarch64__)
#define REG(a)          "+w"(a)
#define LANE(a)         vgetq_lane_f32(a, 0)
#define NEON(acc, x, y) vfmaq_f32(acc, x, y)
static double burn_neon(void)
{
    BURN(float32x4_t, vdupq_n_f32, NEON, 4);
}
#endif

static double burn(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return burn_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return burn_avx2();
#elif defined(__aarch64__)
    return burn_neon();
#endif
    return 0;
}

typedef struct crew {
    uint64_t end_ns;
    atomic_uint arrived;
    unsigned n;
    double best[MAX_THREADS]; /* GFLOP/s of one thread's best slice */
} crew;

typedef struct member {
    crew *crew;
    unsigned id;
} member;

static void *work(void *arg)
{
    member *m = arg;
    atomic_fetch_add(&m->crew->arrived, 1);
    while (atomic_load(&m->crew->arrived) < m->crew->n)
        ilki_base_cpu_relax();
    while (ilki_base_now_ns() < m->crew->end_ns) {
        uint64_t start = ilki_base_now_ns(), ns = 0;
        double flops = 0;
        for (; ns < 5000000; ns = ilki_base_now_ns() - start)
            flops += burn();
        double rate = flops / (double)ns;
        if (rate > m->crew->best[m->id])
            m->crew->best[m->id] = rate;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static crew c;
    static member members[MAX_THREADS];
    pthread_t threads[MAX_THREADS];
    int asked = argc > 1 ? atoi(argv[1]) : 0;
    double sum = 0;
    c.n = asked > 0 && asked <= MAX_THREADS ? (unsigned)asked : ilki_base_cpu_count();
    c.n = c.n < MAX_THREADS ? c.n : MAX_THREADS;
    c.end_ns = ilki_base_now_ns() + (uint64_t)((argc > 2 ? atof(argv[2]) : 0.3) * 1e9);
    for (unsigned i = 0; i < c.n; i++) {
        members[i] = (member){&c, i};
        if (i > 0 && pthread_create(&threads[i], NULL, work, &members[i]) != 0)
            return 1;
    }
    work(&members[0]);
    for (unsigned i = 0; i < c.n; i++) {
        if (i > 0)
            pthread_join(threads[i], NULL);
        sum += c.best[i];
    }
    printf("%.1f\n", sum);
    return 0;
}
