/* SPDX-License-Identifier: Apache-2.0
 * The comparator, normalisations: values against double precision, rows against themselves alone. Their codes are
 * compare_i8.c's. */
#include "kern/compare.h"

static const size_t lengths[] = {96, 127, 384, 768, 1000, 1024, 4099};
enum { N_ALL = N_LENGTHS + sizeof lengths / sizeof *lengths };

static size_t length(size_t c)
{
    return c < N_LENGTHS ? c : lengths[c - N_LENGTHS];
}

/* Rows of kinds in turn; every third one far from zero, where a careless variance cancels. */
static float *rows_take(int pen, size_t rows, size_t n, size_t ld)
{
    float *x = pen_take(pen, span(rows, n, ld) * sizeof *x);
    for (size_t r = 0; r < rows; r++) {
        fill(x + r * ld, n, (enum kind)(r % N_KINDS));
        for (size_t i = 0; i < n && r % 3 == 2; i++)
            x[r * ld + i] += 300.0f;
    }
    return x;
}

/* Roundings that a sum over a row passes: chains of at least four lanes each, then a tree. */
static double depth(size_t n)
{
    return (double)n / 4.0 + 10.0;
}

typedef struct norm_row {
    const float *x, *w, *b;
    size_t n;
    float eps, w_add;
    double mean, size, away, inverse; /* exact: means of x, |x| and |x - mean|, and 1 / sqrt(moment + eps) */
} norm_row;

static void moments(norm_row *t, bool rms)
{
    double n = (double)t->n, square = 0.0;
    t->mean = t->size = t->away = 0.0;
    for (size_t j = 0; j < t->n; j++) {
        t->mean += (double)t->x[j] / n;
        t->size += fabs((double)t->x[j]) / n;
    }
    double from = rms ? 0.0 : t->mean;
    for (size_t j = 0; j < t->n; j++)
        t->away += fabs((double)t->x[j] - t->mean) / n;
    for (size_t j = 0; j < t->n; j++)
        square += ((double)t->x[j] - from) * ((double)t->x[j] - from) / n;
    t->inverse = 1.0 / sqrt(square + (double)t->eps);
}

static double layernorm_exact(const norm_row *t, size_t i, double *bound)
{
    double r = t->inverse, w = (double)t->w[i], b = t->b ? (double)t->b[i] : 0.0;
    double y = ((double)t->x[i] - t->mean) * r * w;
    /* A mean that is off shifts each element, and its square adds to the variance. A first mean may be off by d u
     * mean|x|; what is left after it was measured and taken out is d u of mean|x - mean|, which no offset of x enlarges. */
    double d = depth(t->n) * U, off = d * (t->away + d * t->size) + 2.0 * U * fabs((double)t->x[i] - t->mean);
    double relative = (depth(t->n) + 8.0) * U + 2.0 * off * off * r * r;
    *bound = fabs(w) * r * off + fabs(y) * relative + 2.0 * U * (fabs(y) + fabs(b)) + 4.0 * TINY;
    return y + b;
}

static double rmsnorm_exact(const norm_row *t, size_t i, double *bound)
{
    double w = (double)t->w[i], y = (double)t->x[i] * t->inverse;
    *bound = (depth(t->n) + 8.0) * U * fabs(y) * (fabs(w) + fabs((double)t->w_add)) + 4.0 * TINY;
    return y * (w + (double)t->w_add);
}

static void norm_call(bool rms, float *y, const float *x, const norm_row *t, size_t rows, size_t ldy, size_t ldx)
{
    table->norm_f32(&(ilki_norm_f32){.x = x,
                                     .y = y,
                                     .w = t->w,
                                     .b = t->b,
                                     .rows = rows,
                                     .n = t->n,
                                     .ldx = ldx,
                                     .ldy = ldy,
                                     .eps = t->eps,
                                     .w_add = t->w_add,
                                     .rms = rms});
}

static void norm_check(bool rms)
{
    enum { ROWS = 7 };
    for (size_t c = 0; c < N_ALL; c++) {
        size_t n = length(c), ldx = n + c % 3, ldy = n + c % 4;
        float *x = rows_take(0, ROWS, n, ldx), *w = pen_floats(1, n, PLAIN), *b = pen_floats(2, n, PLAIN);
        float *y = pen_take(3, span(ROWS, n, ldy) * sizeof *y), *alone = pen_take(4, n * sizeof *alone);
        norm_row t = {
            .w = w, .b = c % 5 ? b : NULL, .n = n, .eps = c % 2 ? 1e-12f : 1e-5f, .w_add = c % 3 ? 0.0f : 1.0f};
        norm_call(rms, y, x, &t, ROWS, ldy, ldx);
        CHECK(pen_kept(3, y) && gaps_kept(y, ROWS, n, ldy));
        for (size_t r = 0; r < ROWS && n; r++) {
            t.x = x + r * ldx;
            moments(&t, rms);
            for (size_t i = 0; i < n; i++) {
                double bound, want = rms ? rmsnorm_exact(&t, i, &bound) : layernorm_exact(&t, i, &bound);
                if (!within((double)y[r * ldy + i], want, bound)) {
                    test_check(false, __FILE__, __LINE__, "n %zu row %zu [%zu]: got %.9g, want %.9g +- %g", n, r, i,
                               (double)y[r * ldy + i], want, bound);
                    return;
                }
            }
            norm_call(rms, alone, t.x, &t, 1, n, n);
            CHECK_MEM(alone, y + r * ldy, n * sizeof *y);
            norm_call(rms, (float *)(uintptr_t)t.x, t.x, &t, 1, n, n); /* in place */
            CHECK_MEM(t.x, alone, n * sizeof *y);
        }
    }
}

static void norm_all(void)
{
    norm_check(false);
    norm_check(true);
}

static void norm(void)
{
    each_table(E_norm_f32, norm_all);
}
static void all_ran(void)
{
    static const enum entry entries[] = {E_norm_f32};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"norm", norm}, {"all_ran", all_ran})
