/* SPDX-License-Identifier: Apache-2.0
 * The comparator, elementwise entries: values against double precision, and the same bits at every position. */
#include "kern/compare.h"

/* Points where activations turn, end or lose digits, and what lies around every power of two. */
static size_t hard_points(float *x, size_t max)
{
    static const float turns[] = {0.0f,     -0.0f,  0.55f, 0.5500001f, 0.5499999f, 5.3f,  5.2999997f, 5.3000007f,
                                  7.9f,     9.1f,   17.0f, 20.0f,      87.0f,      87.4f, 88.7f,      88.8f,
                                  103.9f,   104.1f, 1e4f,  1e20f,      3e38f,      1e-8f, 1e-20f,     1.2e-38f,
                                  1.1e-38f, 1e-45f, 51.9f, 43.6f,      44.4f};
    size_t n = 0;
    for (size_t i = 0; i < sizeof turns / sizeof *turns && n + 2 <= max; i++) {
        x[n++] = turns[i];
        x[n++] = -turns[i];
    }
    while (n < max) /* evenly over the exponents from 2^-20 to 2^7 */
        x[n++] = (test_random(&seed) % 2 ? 1.0f : -1.0f) * exp2f(13.5f * uniform() - 6.5f);
    return n;
}

static void act_all(void)
{
    enum { N = 20000 };
    static float in[N];
    size_t n = hard_points(in, N);
    for (int act = 0; act < N_ACTS; act++) {
        float *x = pen_take(0, n * sizeof *x);
        memcpy(x, in, n * sizeof *x);
        table->act_f32(x, n, (ilki_act)act);
        double worst = 0.0;
        for (size_t i = 0; i < n; i++) {
            double want = act_exact((double)in[i], (ilki_act)act), bound = act_bound((double)in[i], (ilki_act)act);
            double off = fabs((double)x[i] - want);
            /* products of the largest numbers may pass the range: z of the tanh form, x^3 */
            bool huge = fabs((double)in[i]) > 1e12;
            if (!within((double)x[i], want, bound + TINY) && !(huge && act == ILKI_ACT_GELU_TANH && x[i] == 0.0f)) {
                test_check(false, __FILE__, __LINE__, "act %d(%.9g): got %.9g, want %.9g +- %g", act, (double)in[i],
                           (double)x[i], want, bound);
                break;
            }
            if (bound > 0.0 && !huge && off / bound > worst)
                worst = off / bound;
        }
        CHECK(worst <= 1.0 && pen_kept(0, x));
        /* one by one, and in every length that ends at the page */
        for (size_t len = 0; len < N_LENGTHS; len++) {
            size_t from = (len * 131) % (n - len);
            float *y = pen_take(1, len * sizeof *y);
            memcpy(y, in + from, len * sizeof *y);
            table->act_f32(y, len, (ilki_act)act);
            if (memcmp(y, x + from, len * sizeof *y) || !pen_kept(1, y)) {
                test_check(false, __FILE__, __LINE__, "act %d: %zu from %zu have other bits alone", act, len, from);
                break;
            }
        }
    }
    float nan[3] = {NAN, 1.0f, NAN};
    for (int act = 0; act < N_ACTS; act++) {
        float x[3];
        memcpy(x, nan, sizeof x);
        table->act_f32(x, 3, (ilki_act)act);
        CHECK(act == ILKI_ACT_RELU || (isnan(x[0]) && isnan(x[2])));
        CHECK(isfinite(x[1]));
    }
}

enum vec_op { ADD, AXPY, SCALE };

static void vec_call(enum vec_op op, float *y, const float *x, float a, size_t n)
{
    switch (op) {
    case ADD:
        table->add_f32(y, x, n);
        break;
    case AXPY:
        table->axpy_f32(y, x, a, n);
        break;
    case SCALE:
        table->scale_f32(y, a, n);
        break;
    }
}

static double vec_exact(enum vec_op op, double y, double x, double a, double *bound)
{
    double r = op == ADD ? y + x : op == AXPY ? y + a * x : a * y;
    /* one rounding where the result is one operation, that of the product too where they are two */
    *bound = U * fabs(r) + TINY + (op == AXPY ? U * fabs(a * x) * (1.0 + U) : 0.0);
    return r;
}

static void vec_check(enum vec_op op)
{
    static const size_t lengths[] = {127, 128, 384, 1000, 4099};
    for (size_t c = 0; c < N_LENGTHS + sizeof lengths / sizeof *lengths; c++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            size_t n = c < N_LENGTHS ? c : lengths[c - N_LENGTHS];
            float a = 3.0f * uniform();
            float *x = pen_floats(0, n, (enum kind)kind), *y = pen_floats(1, n, (enum kind)kind);
            float *was = pen_take(2, n * sizeof *was);
            memcpy(was, y, n * sizeof *was);
            vec_call(op, y, x, a, n);
            CHECK(pen_kept(1, y));
            for (size_t i = 0; i < n; i++) {
                double bound, want = vec_exact(op, (double)was[i], (double)x[i], (double)a, &bound);
                float alone = was[i];
                vec_call(op, &alone, x + i, a, 1);
                if (!within((double)y[i], want, bound) || memcmp(&alone, &y[i], sizeof alone)) {
                    test_check(false, __FILE__, __LINE__, "op %d n %zu [%zu]: got %.9g, alone %.9g, want %.9g +- %g",
                               op, n, i, (double)y[i], (double)alone, want, bound);
                    return;
                }
            }
        }
}

static void add_all(void)
{
    vec_check(ADD);
}
/* The bits of an activation and a product, wherever the result goes, and the range of what is kept. */
static void gate_case(size_t n, ilki_act act, int where, bool some)
{
    float *a = pen_floats(0, n, PLAIN), *b = pen_floats(1, n, PLAIN), *keep = pen_take(2, n * sizeof *keep);
    float *want = pen_take(3, n * sizeof *want), *range = pen_take(5, RANGE * sizeof *range);
    for (size_t i = 0; i < n; i++)
        keep[i] = i % 3 ? 1.0f : 0.0f;
    if (n > 9 && some)
        b[9] = act % 2 ? NAN : INFINITY;
    memcpy(want, a, n * sizeof *want);
    table->act_f32(want, n, act);
    for (size_t i = 0; i < n; i++)
        want[i] *= b[i];
    float *y = where == 0 ? pen_take(4, n * sizeof *y) : where == 1 ? a : b;
    range_begin(range, 1);
    ilki_gate_f32 g = {
        .y = y, .a = a, .b = b, .range = n % 4 ? range : NULL, .keep = some ? keep : NULL, .n = n, .act = act};
    table->gate_f32(&g);
    CHECK(pen_kept(where == 0 ? 4 : where - 1, y) && pen_kept(5, range));
    for (size_t i = 0; i < n; i++)
        CHECK(memcmp(&y[i], &want[i], sizeof *y) == 0 || (isnan(y[i]) && isnan(want[i])));
    CHECK(!g.range || range_right(range, y, n, g.keep));
}

static void gate_all(void)
{
    static const size_t lengths[] = {127, 384, 1000};
    for (size_t c = 0; c < N_LENGTHS + sizeof lengths / sizeof *lengths; c++)
        for (int i = 0; i < 6 * N_ACTS; i++)
            gate_case(c < N_LENGTHS ? c : lengths[c - N_LENGTHS], (ilki_act)(i / 6), i % 3, i / 3 % 2);
}

static void axpy_all(void)
{
    vec_check(AXPY);
}
static void scale_all(void)
{
    vec_check(SCALE);
}

static void rope_all(void)
{
    for (size_t half = 0; half < N_LENGTHS; half++)
        for (int interleaved = 0; interleaved < 2; interleaved++) {
            float *x = pen_floats(0, 2 * half, WIDE), *c = pen_floats(1, half, PLAIN), *s = pen_floats(2, half, PLAIN);
            float *was = pen_take(3, 2 * half * sizeof *was);
            memcpy(was, x, 2 * half * sizeof *was);
            table->rope_f32(x, c, s, half, interleaved);
            CHECK(pen_kept(0, x));
            for (size_t i = 0; i < half; i++) {
                size_t p = interleaved ? 2 * i : i, q = interleaved ? 2 * i + 1 : i + half;
                double a = (double)was[p], b = (double)was[q], co = (double)c[i], si = (double)s[i];
                double bound = 3 * U * (fabs(a) + fabs(b)) + 3 * TINY;
                bool good = within((double)x[p], a * co - b * si, bound) &&
                            within((double)x[q], b * co + a * si, bound);
                float pair[2] = {was[p], was[q]};
                table->rope_f32(pair, c + i, s + i, 1, interleaved);
                good &= memcmp(&pair[0], &x[p], sizeof(float)) == 0 && memcmp(&pair[1], &x[q], sizeof(float)) == 0;
                if (!test_check(good, __FILE__, __LINE__, "rope half %zu interleaved %d pair %zu", half, interleaved,
                                i))
                    return;
            }
        }
}

static void act(void)
{
    each_table(E_act_f32, act_all);
}
static void elementwise(void)
{
    each_table(E_add_f32, add_all);
    each_table(E_gate_f32, gate_all);
    each_table(E_axpy_f32, axpy_all);
    each_table(E_scale_f32, scale_all);
}
static void rope(void)
{
    each_table(E_rope_f32, rope_all);
}
static void all_ran(void)
{
    static const enum entry entries[] = {E_act_f32, E_add_f32, E_gate_f32, E_axpy_f32, E_scale_f32, E_rope_f32};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"act", act}, {"elementwise", elementwise}, {"rope", rope}, {"all_ran", all_ran})
