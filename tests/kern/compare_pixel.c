/* SPDX-License-Identifier: Apache-2.0
 * The comparator, entries of pixels: every byte as the reference has it, and nothing touched outside. */
#include "kern/compare.h"

enum { MAX_TAPS = 71 };

/* Weights as a filter has them: some below zero, their sum about 2^shift, the magnitudes' under twice that. */
static void fill_weights(int32_t *w, size_t n, unsigned shift)
{
    for (size_t k = 0; k < n; k++) {
        double part = (double)(1 << shift) / (double)n;
        w[k] = (int32_t)(part * (1.0 + 0.9 * (double)uniform()) * (k % 5 == 2 ? -0.3 : 1.0));
    }
}

static uint8_t *pen_bytes(int pen, size_t n)
{
    uint8_t *p = pen_take(pen, n);
    for (size_t i = 0; i < n; i++) /* many at the ends, where clipping begins */
        p[i] = test_random(&seed) % 3 ? (uint8_t)test_random(&seed) : test_random(&seed) % 2 ? 255 : 0;
    return p;
}

static void bytes_down_all(void)
{
    static const size_t widths[] = {100, 672, 1025};
    const uint8_t *rows[MAX_TAPS];
    int32_t w[MAX_TAPS + 3];
    int8_t parts[(MAX_TAPS + 3) * 3];
    for (size_t len = 0; len < N_LENGTHS + 3; len++) {
        size_t n = len < N_LENGTHS ? len : widths[len - N_LENGTHS];
        for (size_t n_rows = 1; n_rows < MAX_TAPS; n_rows += 1 + n_rows / 4) {
            unsigned shift = 8 + (unsigned)(test_random(&seed) % 15);
            uint8_t *in = pen_bytes(0, n * 7), *got = pen_take(1, n), *want = pen_take(2, n);
            for (size_t k = 0; k < n_rows; k++)
                rows[k] = in + k % 7 * n;
            memset(w, 0, sizeof w);
            fill_weights(w, n_rows, shift);
            uint32_t first = 0, count = (uint32_t)n_rows, step = (count + 3) / 4 * 4;
            ilki_kern_taps t = {&first, &count, w, parts, 1, step, shift, ilki_kern_cut_weights(parts, w, step)};
            table->bytes_down(got, rows, &t, 0, n);
            ilki_kern_ref.bytes_down(want, rows, &t, 0, n);
            if (memcmp(got, want, n) || !pen_kept(1, got)) {
                test_check(false, __FILE__, __LINE__, "%zu rows of %zu: other bytes", n_rows, n);
                return;
            }
        }
    }
    CHECK(true);
}

/* A window of taps that slides from one end of the row to the other, over 1 to 6 rows that lie apart. */
static void across_case(size_t n_in, size_t n_out, size_t n_taps, unsigned shift)
{
    enum { MOST_ROWS = 6 };
    size_t n_rows = 1 + (n_in + n_taps) % MOST_ROWS, in_stride = n_in * 3, out_stride = n_out * 3;
    uint32_t first[128], count[128];
    size_t step = (n_taps + 3) / 4 * 4;
    int32_t *w = pen_take(3, n_out * step * sizeof *w);
    memset(w, 0, n_out * step * sizeof *w);
    for (size_t i = 0; i < n_out; i++) {
        first[i] = (uint32_t)(n_out > 1 ? i * (n_in - n_taps) / (n_out - 1) : 0);
        count[i] = (uint32_t)n_taps;
        fill_weights(w + i * step, n_taps, shift);
    }
    int8_t *parts = (int8_t *)pen_take(4, n_out * step * 3);
    ilki_kern_taps t = {first,           count,          w,     parts,
                        (uint32_t)n_out, (uint32_t)step, shift, ilki_kern_cut_weights(parts, w, n_out * step)};
    uint8_t *in = pen_bytes(0, in_stride * n_rows), *got = pen_take(1, out_stride * n_rows),
            *want = pen_take(2, out_stride * n_rows), *to[MOST_ROWS], *to_ref[MOST_ROWS];
    const uint8_t *from[MOST_ROWS];
    for (size_t y = 0; y < n_rows;
         y++) { /* the first row of the input is at its end, where reading on would be noticed */
        from[y] = in + (n_rows - 1 - y) * in_stride;
        to[y] = got + (n_rows - 1 - y) * out_stride;
        to_ref[y] = want + (n_rows - 1 - y) * out_stride;
    }
    table->rgb_across(to, from, n_rows, n_in, &t);
    ilki_kern_ref.rgb_across(to_ref, from, n_rows, n_in, &t);
    test_check(memcmp(got, want, out_stride * n_rows) == 0 && pen_kept(1, got), __FILE__, __LINE__,
               "%zu rows of %zu to %zu by %zu: other bytes", n_rows, n_in, n_out, n_taps);
}

static void rgb_across_all(void)
{
    for (size_t n_taps = 1; n_taps < MAX_TAPS; n_taps++)
        for (size_t more = 0; more < 12; more++)
            across_case(n_taps + more * more, 1 + more * 9, n_taps, 8 + (unsigned)(n_taps + more) % 15);
}

static void down(void)
{
    each_table(E_bytes_down, bytes_down_all);
}
static void across(void)
{
    each_table(E_rgb_across, rgb_across_all);
}
/* What a runtime gets is the last table's that has it. */
static void taken(void)
{
    size_t n;
    ilki_kern_ops ops, want = ilki_kern_ref;
    const ilki_kern_table *t = ilki_kern_tables(&n);
    for (size_t i = 0; i < n; i++) {
        want.bytes_down = t[i].ops->bytes_down && may_run(&t[i]) ? t[i].ops->bytes_down : want.bytes_down;
        want.rgb_across = t[i].ops->rgb_across && may_run(&t[i]) ? t[i].ops->rgb_across : want.rgb_across;
    }
    CHECK(ilki_kern_select(&ops, NULL, ilki_base_cpu_features(), NULL, 0, NULL) == ILK_OK);
    CHECK(ops.bytes_down == want.bytes_down && ops.rgb_across == want.rgb_across);
}
static void all_ran(void)
{
    static const enum entry entries[] = {E_bytes_down, E_rgb_across};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"down", down}, {"across", across}, {"taken", taken}, {"all_ran", all_ran})
