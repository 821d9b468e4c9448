/* SPDX-License-Identifier: Apache-2.0
 * The order and the time of candidates; see calibrate.h. What one takes is foretold by the longest of those before it: all read
 * the same weights and embed the same texts, and a machine that was slow for one is slow for the next. */
#include "tasks/calibrate.h"

enum { LAST_BEGIN_PERCENT = 85 }; /* the rest is for turns and attention */

static bool is_over(const ilki_trials *t, ilk_status st)
{
    return st == ILK_DEADLINE && !ilki_base_job_stopped(t->job);
}

ilk_status ilki_tasks_try(ilki_trials *t, ilk_error *err)
{
    static const ilk_precision order[] = {ILK_PRECISION_F32, ILK_PRECISION_INT8, ILK_PRECISION_INT8W,
                                          ILK_PRECISION_BF16};
    uint64_t last_ns = t->begin_ns + (t->until_ns - t->begin_ns) / 100 * LAST_BEGIN_PERCENT, longest_ns = 0;
    t->short_of_time = false;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (!t->may(t->user, (int)order[i]))
            continue;
        uint64_t begin = t->now_ns(t->user);
        if (begin >= t->until_ns || (longest_ns && begin + longest_ns > last_ns)) {
            t->short_of_time = true;
            continue;
        }
        ilk_status st = t->measure(t->user, (int)order[i], err);
        if (is_over(t, st)) {
            t->short_of_time = true;
            return ILK_OK;
        }
        if (st != ILK_OK)
            return st;
        uint64_t took = t->now_ns(t->user) - begin;
        if (i > 0 && took > longest_ns)
            longest_ns = took;
    }
    return ILK_OK;
}
