/* SPDX-License-Identifier: Apache-2.0 */
#include "base/num.h"

#include <float.h>
#include <locale.h>
#include <stdlib.h>

#include "test.h"

static double read_double(const char *s)
{
    double v = -12345;
    size_t n = strlen(s);
    char *copy = malloc(n ? n : 1); /* no NUL behind it */
    if (!CHECK(copy != NULL))
        return v;
    memcpy(copy, s, n);
    if (CHECK_INT(ilki_base_num_scan(copy, n, NULL), n))
        ilki_base_num_double(copy, n, &v);
    free(copy);
    return v;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

#define CHECK_BITS(got, want) CHECK_THAT(same_bits(got, want), "%s: %a, want %a", #got, got, want)

static void grammar(void)
{
    static const char *const good[] = {"0", "-0", "1", "10", "0.5", "1e5", "1E+5", "1e-05", "-1.25e10", "0e0", "0.0"};
    static const struct {
        const char *text;
        size_t stop;
    } bad[] = {{"", 0},     {"-", 1},  {"+1", 0},  {".5", 0}, {"01", 1},       {"-00", 2}, {"1.", 2},
               {"1.e5", 2}, {"1e", 2}, {"1e+", 3}, {"e5", 0}, {"Infinity", 0}, {"NaN", 0}, {"-x", 1}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_INT(ilki_base_num_scan(good[i], strlen(good[i]), NULL), strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t stop = 99;
        CHECK_INT(ilki_base_num_scan(bad[i].text, strlen(bad[i].text), &stop), 0);
        CHECK_INT(stop, bad[i].stop);
    }
    CHECK_INT(ilki_base_num_scan("0x10", 4, NULL), 1);
    CHECK_INT(ilki_base_num_scan("1.5,2", 5, NULL), 3);
}

static void hard_doubles(void)
{
    CHECK_BITS(read_double("0"), 0.0);
    CHECK_BITS(read_double("-0"), -0.0);
    CHECK_BITS(read_double("0e999999999999999999999"), 0.0);
    CHECK_BITS(read_double("0.000"), 0.0);
    CHECK_BITS(read_double("1"), 1.0);
    CHECK_BITS(read_double("0.1"), 0x1.999999999999ap-4);
    CHECK_BITS(read_double("9007199254740993"), 0x1p53);
    CHECK_BITS(read_double("9007199254740993.00000000000000000000000000000000000000000001"), 0x1.0000000000001p53);
    CHECK_BITS(read_double("1e23"), 0x1.52d02c7e14af6p76);
    CHECK_BITS(read_double("2.2250738585072011e-308"), 0x0.fffffffffffffp-1022);
    CHECK_BITS(read_double("2.2250738585072014e-308"), 0x1p-1022);
    CHECK_BITS(read_double("5e-324"), 0x1p-1074);
    CHECK_BITS(read_double("2.4703282292062327e-324"), 0.0);
    CHECK_BITS(read_double("2.4703282292062328e-324"), 0x1p-1074);
    CHECK_BITS(read_double("1e-400"), 0.0);
    CHECK_BITS(read_double("-1e-99999999999999999999"), -0.0);
    CHECK_BITS(read_double("1.7976931348623157e308"), DBL_MAX);
    CHECK_BITS(read_double("1.797693134862315807e308"), DBL_MAX);
    CHECK_BITS(read_double("0.00000000000000000000000000000000000000000012345e42"), 0.12345);
    CHECK_BITS(read_double("123450000000000000000000000000000000000000000e-44"), 1.2345);
    double v;
    CHECK(!ilki_base_num_double("1e309", 5, &v) && isinf(v) && v > 0);
    CHECK(!ilki_base_num_double("-1.8e308", 8, &v) && isinf(v) && v < 0);
    CHECK(!ilki_base_num_double("1e99999999999999999999", 22, &v));
}

/* Exact halfway points between neighbours, all their digits written out: to even, and up with anything more behind. */
static void halfway_points(void)
{
    static char text[1600];
    uint64_t rng = 8;
    if (LDBL_MANT_DIG < 64)
        TEST_SKIP("long double holds no halfway point of doubles");
    for (int i = 0; i < 300; i++) {
        uint64_t bits = test_random(&rng) & 0x7fffffffffffffff;
        double a, b;
        if (bits >> 52 >= 0x7fe)
            continue;
        if (i % 5 == 0)
            bits &= 0xfffffffffffff; /* subnormal */
        memcpy(&a, &bits, sizeof a);
        bits++;
        memcpy(&b, &bits, sizeof b);
        int n = snprintf(text, sizeof text, "%.1080Le", ((long double)a + (long double)b) / 2);
        CHECK_BITS(read_double(text), bits & 1 ? a : b);
        char *e = strchr(text, 'e');
        REQUIRE(CHECK(e && n < (int)sizeof text - 2));
        e[-1] = '1';
        CHECK_BITS(read_double(text), b);
    }
}

static void agrees_with_strtod(void)
{
    uint64_t rng = 9;
    for (int i = 0; i < 50000; i++) {
        char text[64];
        int n_digits = 1 + (int)(test_random(&rng) % 20), at = 0, point = (int)(test_random(&rng) % 21);
        for (int d = 0; d < n_digits; d++) {
            if (d == point && d > 0)
                text[at++] = '.';
            text[at++] = (char)('0' + test_random(&rng) % 10);
            if (d == 0 && text[0] == '0')
                text[0] = '7';
        }
        int exponent = (int)(test_random(&rng) % 60) - 30;
        snprintf(text + at, sizeof text - (size_t)at, "e%d", i % 10 ? exponent : exponent * 11);
        if (i % 3 == 0)
            text[at] = '\0';
        double want = strtod(text, NULL), got = read_double(text);
        if (!same_bits(got, want))
            CHECK_BITS(got, want);
    }
}

static void integers(void)
{
    static const struct {
        const char *text;
        bool fits;
        int64_t v;
    } rows[] = {{"0", true, 0},
                {"-0", true, 0},
                {"0e5", true, 0},
                {"0.000", true, 0},
                {"1.0", true, 1},
                {"1e3", true, 1000},
                {"1.5e1", true, 15},
                {"100e-2", true, 1},
                {"-12.0e0", true, -12},
                {"9007199254740993", true, 9007199254740993},
                {"9223372036854775807", true, INT64_MAX},
                {"9223372036854775808", false, 0},
                {"-9223372036854775808", true, INT64_MIN},
                {"-9223372036854775809", false, 0},
                {"1e18", true, 1000000000000000000},
                {"1e19", false, 0},
                {"1e20", false, 0},
                {"99999999999999999999", false, 0},
                {"18446744073709551616", false, 0},
                {"1e99999999999999999999", false, 0},
                {"1.5", false, 0},
                {"1e-1", false, 0},
                {"10e-2", false, 0},
                {"1.00000000000000000000000000000001", false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t v = 77;
        if (!CHECK_INT(ilki_base_num_int(rows[i].text, strlen(rows[i].text), &v), rows[i].fits) ||
            !CHECK_INT(v, rows[i].fits ? rows[i].v : 77))
            printf("    for %s\n", rows[i].text);
    }
}

static const char *print_double(double v)
{
    static char out[ILKI_NUM_BYTES];
    size_t n = ilki_base_num_print_double(v, out);
    CHECK_INT(n, strlen(out));
    return out;
}

static const char *print_float(float v)
{
    static char out[ILKI_NUM_BYTES];
    size_t n = ilki_base_num_print_float(v, out);
    CHECK_INT(n, strlen(out));
    return out;
}

static void printed_forms(void)
{
    CHECK_STR(print_double(0), "0");
    CHECK_STR(print_double(-0.0), "-0.0");
    CHECK_STR(print_double(1), "1");
    CHECK_STR(print_double(-1234567), "-1234567");
    CHECK_STR(print_double(0.1), "0.1");
    CHECK_STR(print_double(0.1 + 0.2), "0.30000000000000004");
    CHECK_STR(print_double(1.0 / 3), "0.3333333333333333");
    CHECK_STR(print_double(0.00001234), "0.00001234");
    CHECK_STR(print_double(0.000001234), "1.234e-6");
    CHECK_STR(print_double(123456789.125), "123456789.125");
    CHECK_STR(print_double(1e16), "10000000000000000");
    CHECK_STR(print_double(1e17), "1e17");
    CHECK_STR(print_double(1e22), "1e22");
    CHECK_STR(print_double(1e23), "1e23");
    CHECK_STR(print_double(-DBL_MAX), "-1.7976931348623157e308");
    CHECK_STR(print_double(5e-324), "5e-324");
    CHECK_STR(print_double(0x1p-44), "5.684341886080802e-14");
    CHECK_STR(print_double(9007199254740993.0), "9007199254740992");
    CHECK_STR(print_float(0.1f), "0.1");
    CHECK_STR(print_float(-0.0f), "-0.0");
    CHECK_STR(print_float(1.0f / 3), "0.33333334");
    CHECK_STR(print_float(16777216.0f), "16777216");
    CHECK_STR(print_float(FLT_MAX), "3.4028235e38");
    CHECK_STR(print_float(0x1p-149f), "1e-45");
    CHECK_STR(print_float(FLT_MIN), "1.1754944e-38");
    CHECK_STR(print_float(0.999999940f), "0.99999994");
    CHECK_STR(print_float(0.03125f), "0.03125");
}

static size_t count_digits(const char *s)
{
    size_t n = 0, zeros = 0;
    for (; *s && *s != 'e'; s++) {
        if (*s == '0')
            zeros += n > 0;
        else if (*s >= '1' && *s <= '9') {
            n += zeros + 1;
            zeros = 0;
        }
    }
    return n;
}

/* Random bits: the text reads back the same and no shorter rounding of the value does. */
static void doubles_round_trip(void)
{
    uint64_t rng = 10;
    for (int i = 0; i < 40000; i++) {
        uint64_t bits = i < 2098 ? (i < 2046 ? (uint64_t)(i + 1) << 52 : (uint64_t)1 << (i - 2046)) : test_random(&rng);
        double v;
        char shorter[64];
        memcpy(&v, &bits, sizeof v);
        if (i % 4 == 3 && i > 2098) /* values of usual size */
            v = (double)(int64_t)(bits >> 40) / 1000 - 8000;
        if (!isfinite(v))
            continue;
        const char *text = print_double(v);
        if (!same_bits(strtod(text, NULL), v))
            CHECK_BITS(strtod(text, NULL), v);
        int n = (int)count_digits(text);
        if (n > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", n - 2, v);
            if (strtod(shorter, NULL) == v)
                CHECK_STR(text, shorter);
        }
    }
}

static void floats_round_trip(void)
{
    uint64_t rng = 11;
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = i < 254 ? (uint32_t)(i + 1) << 23 : (uint32_t)test_random(&rng);
        float v;
        char shorter[64];
        memcpy(&v, &bits, sizeof v);
        if (i % 2 && i > 254) /* entries of unit vectors */
            v = (float)(bits >> 8) / 16777216.0f - 0.5f;
        if (!isfinite(v))
            continue;
        const char *text = print_float(v);
        float back = strtof(text, NULL);
        if (memcmp(&back, &v, sizeof v) != 0)
            CHECK_FLOATS(&back, &v, 1, 0, 0);
        int n = (int)count_digits(text);
        if (n > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", n - 2, (double)v);
            if (strtof(shorter, NULL) == v)
                CHECK_STR(text, shorter);
        }
    }
}

/* A locale whose decimal point is a comma, made here by the system's own tool. */
static void a_comma_locale_changes_nothing(void)
{
    char dir[] = "/tmp/ilk-locale-XXXXXX", path[64], command[256];
    REQUIRE(CHECK(mkdtemp(dir) != NULL));
    snprintf(path, sizeof path, "%s/source", dir);
    FILE *f = fopen(path, "we");
    REQUIRE(CHECK(f != NULL));
    fputs("LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"<U002E>\"\ngrouping 3;3\nEND LC_NUMERIC\n", f);
    fclose(f);
    snprintf(command, sizeof command, "localedef -c --no-archive -i %s %s/comma >/dev/null 2>&1", path, dir);
    int made = system(command);
    (void)made; /* it warns about the categories that are not there */
    setenv("LOCPATH", dir, 1);
    bool set = setlocale(LC_NUMERIC, "comma") != NULL;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    CHECK_INT(system(command), 0);
    if (!set)
        TEST_SKIP("localedef is not installed (Debian: libc-bin and locales)");
    snprintf(path, sizeof path, "%.1f", 0.5);
    CHECK_STR(path, "0,5");
    CHECK_STR(print_double(0.5), "0.5");
    CHECK_STR(print_double(1234567.125), "1234567.125");
    CHECK_STR(print_double(1e300), "1e300");
    CHECK_STR(print_double(1.5e300), "1.5e300");
    CHECK_STR(print_float(1.5e-30f), "1.5e-30");
    CHECK_STR(print_float(0.1f), "0.1");
    CHECK_BITS(read_double("0.1"), 0.1);
    CHECK_BITS(read_double("1.7976931348623157e308"), DBL_MAX);
    CHECK_BITS(read_double("2.2250738585072011e-308"), 0x0.fffffffffffffp-1022);
    CHECK_BITS(read_double("3.141592653589793238462643383279"), 0x1.921fb54442d18p+1);
    setlocale(LC_NUMERIC, "C");
}

TEST_MAIN({"grammar", grammar}, {"hard_doubles", hard_doubles}, {"halfway_points", halfway_points},
          {"agrees_with_strtod", agrees_with_strtod}, {"integers", integers}, {"printed_forms", printed_forms},
          {"doubles_round_trip", doubles_round_trip}, {"floats_round_trip", floats_round_trip},
          {"a_comma_locale_changes_nothing", a_comma_locale_changes_nothing})
