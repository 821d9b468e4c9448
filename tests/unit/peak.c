/* SPDX-License-Identifier: Apache-2.0
 * The measured peaks are of this world, end when asked, and stay under the memory ceiling. */
#include "ilk.h"

#include "base/cpu.h"
#include "base/runtime.h"
#include "kern/ops.h"
#include "test.h"

static ilk_runtime *open_with(unsigned n_threads, uint64_t ceiling)
{
    ilk_runtime_options o;
    ilk_runtime_options_init(&o);
    o.n_threads = n_threads;
    o.memory_ceiling_bytes = ceiling;
    ilk_runtime *rt = NULL;
    CHECK_OK(ilk_runtime_open(&rt, &o, NULL), NULL);
    return rt;
}

static void peaks(void)
{
    ilk_runtime *rt = open_with(2, 128 << 20);
    REQUIRE(CHECK(rt != NULL));
    ilk_error err;
    ilk_error_init(&err);
    ilk_peak peak;
    ilk_peak_init(&peak);
    uint64_t start = ilki_base_now_ns();
    CHECK_OK(ilk_runtime_measure_peak(rt, NULL, &peak, &err), &err);
    double seconds = (double)(ilki_base_now_ns() - start) / 1e9;
    printf("%.1f GFLOP/s, %.1f GB/s, %u threads, %.2f s\n", peak.gflops_f32, peak.read_gbytes, peak.n_threads, seconds);
    CHECK(peak.gflops_f32 > 0.01 && peak.gflops_f32 < 1e5);
    CHECK((peak.gflops_f32_tiles > 0) == (rt->ops->peak_tiles_f32 != NULL));
    CHECK(peak.gops_i8 > 0.01 && peak.gops_i8 < 1e6);
    CHECK((peak.gflops_bf16 > 0) == (rt->ops->peak_bf16 != NULL));
    CHECK(peak.read_gbytes > 0.01 && peak.read_gbytes < 1e5);
    CHECK_INT(peak.n_threads, 2);
    CHECK(seconds < 5);
    CHECK_INT(rt->used_bytes, 0);
    ilk_runtime_close(rt);
}

static void limits(void)
{
    ilk_runtime *rt = open_with(1, 100);
    REQUIRE(CHECK(rt != NULL));
    ilk_error err;
    ilk_error_init(&err);
    ilk_peak peak;
    ilk_peak_init(&peak);
    CHECK_STATUS(ilk_runtime_measure_peak(rt, NULL, &peak, &err), ILK_LIMIT, &err);
    CHECK_STATUS(ilk_runtime_measure_peak(NULL, NULL, &peak, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_runtime_measure_peak(rt, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilk_runtime_measure_peak(rt, job, &peak, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    ilk_job_options o;
    ilk_job_options_init(&o);
    o.deadline_seconds = 0.05;
    job = ilk_job_new(&o);
    uint64_t start = ilki_base_now_ns();
    CHECK_STATUS(ilk_runtime_measure_peak(rt, job, &peak, &err), ILK_DEADLINE, &err);
    CHECK((double)(ilki_base_now_ns() - start) / 1e6 < 200);
    CHECK(peak.gflops_f32 == 0);
    ilk_job_free(job);
    ilk_runtime_close(rt);
}

TEST_MAIN({"peaks", peaks}, {"limits", limits})
