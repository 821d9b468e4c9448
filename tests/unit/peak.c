/* SPDX-License-Identifier: Apache-2.0
 * The measured peaks are of this world, end when asked, and stay under the memory ceiling. */
#include "ilk.h"

#include "base/runtime.h"
#include "cancel.h"
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
    double start = test_process_ms();
    CHECK_OK(ilk_runtime_measure_peak(rt, NULL, &peak, &err), &err);
    double seconds = (test_process_ms() - start) / 1e3;
    printf("%.1f GFLOP/s, %.1f GB/s, %u threads, %.2f s of them\n", peak.gflops_f32, peak.read_gbytes, peak.n_threads,
           seconds);
    CHECK(peak.gflops_f32 > 0.01 && peak.gflops_f32 < 1e5);
    CHECK((peak.gflops_f32_tiles > 0) == (rt->ops->peak_tiles_f32 != NULL));
    CHECK(peak.gops_i8 > 0.01 && peak.gops_i8 < 1e6);
    CHECK((peak.gflops_bf16 > 0) == (rt->ops->peak_bf16 != NULL));
    CHECK(peak.read_gbytes > 0.01 && peak.read_gbytes < 1e5);
    CHECK_INT(peak.n_threads, 2);
    CHECK(seconds < 10);
    CHECK_INT(rt->used_bytes, 0);
    ilk_runtime_close(rt);
}

static ilk_status measure(void *rt, ilk_job *job, ilk_error *err)
{
    ilk_peak peak;
    ilk_peak_init(&peak);
    ilk_status st = ilk_runtime_measure_peak(rt, job, &peak, err);
    CHECK(peak.gflops_f32 == 0);
    return st;
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
    cancel_in_time(&(cancelled){.what = "measuring", .after_ms = 50, .deadline = true, .run = measure, .arg = rt});
    ilk_runtime_close(rt);
}

TEST_MAIN({"peaks", peaks}, {"limits", limits})
