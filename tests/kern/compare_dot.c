/* SPDX-License-Identifier: Apache-2.0
 * The comparator, dot products, codes and probes: f32 against a double sum, integers exactly. */
#include "kern/compare.h"

static const size_t lengths[] = {96, 127, 255, 384, 768, 1000, 1024, 4099};
enum { N_ALL = N_LENGTHS + sizeof lengths / sizeof *lengths };

static size_t length(size_t c)
{
    return c < N_LENGTHS ? c : lengths[c - N_LENGTHS];
}

static void dot_all(void)
{
    for (size_t c = 0; c < N_ALL; c++)
        for (int kind = 0; kind < N_KINDS; kind++) {
            size_t n = length(c);
            float *a = pen_floats(0, n, (enum kind)kind), *b = pen_floats(1, n, kind == ZEROS ? WIDE : (enum kind)kind);
            double sum = 0.0, size = 0.0;
            for (size_t i = 0; i < n; i++) {
                sum += (double)a[i] * (double)b[i];
                size += fabs((double)a[i] * (double)b[i]);
            }
            float got = table->dot_f32(a, b, n);
            double bound = (double)(n + 1) * (U * size + TINY);
            test_check(within((double)got, sum, bound), __FILE__, __LINE__,
                       "dot n %zu kind %d: got %.9g, want %.9g +- %g", n, kind, (double)got, sum, bound);
            float *moved = pen_take(2, (n + 5) * sizeof *moved); /* another alignment, the same bits */
            memcpy(moved, a, n * sizeof *moved);
            float again = table->dot_f32(moved, b, n);
            CHECK_MEM(&again, &got, sizeof got);
        }
}

static void dot_rows_all(void)
{
    for (size_t c = 0; c < N_ALL; c++) {
        size_t n = length(c), rows = c % 11, stride = n + c % 3;
        float *q = pen_floats(0, n, PLAIN), *x = pen_floats(1, span(rows, n, stride), PLAIN);
        float *out = pen_take(2, rows * sizeof *out);
        table->dot_f32_rows(out, q, x, stride, rows, n);
        CHECK(pen_kept(2, out));
        for (size_t r = 0; r < rows; r++) {
            float one = table->dot_f32(q, x + r * stride, n);
            CHECK_MEM(&out[r], &one, sizeof one);
        }
    }
}

static int8_t *pen_codes(int pen, size_t n, int kind)
{
    int8_t *x = pen_take(pen, n);
    for (size_t i = 0; i < n; i++) {
        int v = (int)(test_random(&seed) % 255) - 127;
        x[i] = (int8_t)(kind == 0 ? v : kind == 1 ? 127 : kind == 2 ? -127 : kind == 3 ? (i % 2 ? 127 : -127) : 0);
    }
    return x;
}

static void dot_i8_all(void)
{
    static const size_t large[] = {1023, 4096, 65536};
    for (size_t c = 0; c < N_ALL + 3; c++)
        for (int kind = 0; kind < 25; kind++) {
            size_t n = c < N_ALL ? length(c) : large[c - N_ALL], rows = (c + (size_t)kind) % 11;
            if (n > 4096)
                rows = rows % 2 ? 5 : 1;
            size_t stride = n + (size_t)kind % 4;
            int8_t *q = pen_codes(0, n, kind % 5), *x = pen_codes(1, span(rows, n, stride), kind / 5);
            int32_t *out = pen_take(2, rows * sizeof *out), *want = pen_take(3, rows * sizeof *want);
            table->dot_i8_rows(out, q, x, stride, rows, n);
            for (size_t r = 0; r < rows; r++) {
                int64_t s = 0;
                for (size_t i = 0; i < n; i++)
                    s += q[i] * x[r * stride + i];
                want[r] = (int32_t)s;
            }
            CHECK_MEM(out, want, rows * sizeof *out);
            CHECK(pen_kept(2, out));
        }
}

static void quant_all(void)
{
    for (size_t c = 0; c < N_ALL; c++)
        for (int kind = 0; kind < N_KINDS + 4; kind++) {
            size_t n = length(c);
            float *x = pen_floats(0, n, (enum kind)kind);
            for (size_t i = 0; i < n && kind >= N_KINDS;
                 i++) /* halves to round to even, and subnormals of a few units */
                x[i] = kind == N_KINDS       ? (float)(test_random(&seed) % 255) - 127.0f + (i ? 0.5f : 0.0f)
                       : kind == N_KINDS + 1 ? uniform() * 0x1p-140f
                       : kind == N_KINDS + 2 ? uniform() * 0x1p-147f
                                             : uniform() * 3e38f;
            if (n && kind == N_KINDS)
                x[0] = 127.0f;
            int8_t *codes = pen_take(1, n), *want = pen_take(2, n);
            float scale = table->quant_i8(codes, x, n), right = ilki_kern_ref.quant_i8(want, x, n);
            CHECK_MEM(&scale, &right, sizeof scale);
            CHECK_MEM(codes, want, n);
            CHECK(pen_kept(1, codes));
            for (size_t i = 0; i < n && scale > 0x1p-120f; i++) {
                bool near = fabs((double)codes[i] * (double)scale - (double)x[i]) <= 0.5001 * (double)scale;
                if (!test_check(near && codes[i] != -128, __FILE__, __LINE__, "code %d of %.9g, scale %.9g", codes[i],
                                (double)x[i], (double)scale))
                    break;
            }
        }
    /* what is no number gives codes all the same */
    float bad[20] = {1.0f, NAN, -2.0f}, ours, refs;
    int8_t codes[20], want[20];
    ours = table->quant_i8(codes, bad, 20);
    refs = ilki_kern_ref.quant_i8(want, bad, 20);
    CHECK(ours == refs);
    CHECK_MEM(codes, want, 20);
}

static void peak_tiles_f32_all(void)
{
    uint64_t one = table->peak_tiles_f32(1);
    CHECK(table->peak_tiles_f32(0) == 0 && one > 0 && table->peak_tiles_f32(1000) == 1000 * one);
}

/* What a probe counts is in proportion to its iterations, and a rate of this world. */
static void probe(uint64_t (*peak)(uint64_t), double most)
{
    uint64_t one = peak(1);
    CHECK(peak(0) == 0 && one > 0 && peak(1000) == 1000 * one);
    double t = test_thread_ms();
    uint64_t n = 0;
    while (test_thread_ms() - t < 2)
        n += peak(10000);
    double rate = (double)n / (test_thread_ms() - t) / 1e6;
    test_check(rate > 0.01 && rate < most, __FILE__, __LINE__, "%s: %g GOP/s", table->name, rate);
}

static void peak_f32_all(void)
{
    probe(table->peak_f32, 2000.0);
}

static void peak_bf16_all(void)
{
    probe(table->peak_bf16, 20000.0);
}

static void peak_i8_all(void)
{
    probe(table->peak_i8, 40000.0);
}

static void peak_read_all(void)
{
    for (size_t n = 0; n < 1500; n += 1 + n / 9) {
        unsigned char *x = pen_take(0, n);
        uint64_t want = 0;
        for (size_t i = 0; i < n; i++)
            x[i] = (unsigned char)test_random(&seed);
        for (size_t i = 0; i < n / 64 * 8; i++) {
            uint64_t word;
            memcpy(&word, x + 8 * i, 8);
            want ^= word;
        }
        CHECK(table->peak_read(x, n) == want);
    }
}

static void dot(void)
{
    each_table(E_dot_f32, dot_all);
    each_table(E_dot_f32_rows, dot_rows_all);
}
static void dot_i8(void)
{
    each_table(E_dot_i8_rows, dot_i8_all);
}
static void quant(void)
{
    each_table(E_quant_i8, quant_all);
}
static void peak(void)
{
    each_table(E_peak_f32, peak_f32_all);
    each_table(E_peak_tiles_f32, peak_tiles_f32_all);
    each_table(E_peak_bf16, peak_bf16_all);
    each_table(E_peak_i8, peak_i8_all);
    each_table(E_peak_read, peak_read_all);
}
static void all_ran(void)
{
    static const enum entry entries[] = {E_dot_f32,  E_dot_f32_rows, E_dot_i8_rows, E_quant_i8,
                                         E_peak_f32, E_peak_i8,      E_peak_read};
    check_all_ran(entries, sizeof entries / sizeof *entries);
}

TEST_MAIN({"dot", dot}, {"dot_i8", dot_i8}, {"quant", quant}, {"peak", peak}, {"all_ran", all_ran})
