/* SPDX-License-Identifier: Apache-2.0
 * The harness of every C test. A file lists its tests in one table and ends with it:
 *
 *     static void adds(void) { CHECK_INT(1 + 1, 2); }
 *     TEST_MAIN({"adds", adds}, {"other", other})
 *
 * A check that fails prints where, what was got and what was wanted, and the test goes on; every check is an expression
 * that is true when it held, and REQUIRE(check) leaves the test when it did not. Checks may be made from any thread. A
 * test that makes no check fails, unless it called TEST_SKIP; a program in which every test was skipped exits 77, and one
 * that needs more seconds of the processors than ILK_TEST_BUDGET fails. An argument is a part of the names of the tests
 * to run. */
#ifndef ILK_TEST_H
#define ILK_TEST_H
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "ilk.h"
#include "random.h"

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

static atomic_int test_n_checks, test_n_failed;
static atomic_bool test_skipped;

/* clang-format off */
#define TEST_MAIN(...) \
    int main(int argc, char **argv) \
    { \
        static const test_case tests[] = {__VA_ARGS__}; \
        return test_run(tests, sizeof tests / sizeof *tests, argc, argv); \
    }
/* Leaves the test: something it needs is not here. `...` is a format that says what. */
#define TEST_SKIP(...) do { printf("SKIPPED: " __VA_ARGS__); printf("\n"); test_skipped = true; return; } while (0)
#define REQUIRE(check) do { if (!(check)) return; } while (0)
/* clang-format on */
#define TEST_AT                      __FILE__, __LINE__
#define TEST_PLACE                   const char *file, int line
#define CHECK(cond)                  test_check((cond), TEST_AT, "%s", #cond)
#define CHECK_THAT(cond, ...)        test_check((cond), TEST_AT, __VA_ARGS__) /* with a format of one's own */
#define CHECK_INT(got, want)         test_int((long long)(got), (long long)(want), #got, TEST_AT)
#define CHECK_STR(got, want)         test_str((got), (want), #got, TEST_AT)
#define CHECK_MEM(got, want, n)      test_mem((got), (want), (n), #got, TEST_AT)
#define CHECK_NEAR(got, want, bound) test_near((got), (want), (bound), #got, TEST_AT)
/* |got[i] - want[i]| <= abs + rel * |want[i]| for all i; a NaN never holds. abs = rel = 0 wants the same bits. */
#define CHECK_FLOATS(got, want, n, abs, rel) test_floats((got), (want), (n), (abs), (rel), #got, TEST_AT)
/* the status of a call; on a surprise the error's message is printed too. `err` may be NULL. */
#define CHECK_OK(call, err)             test_status((call), ILK_OK, (err), #call, TEST_AT)
#define CHECK_STATUS(call, status, err) test_status((call), (status), (err), #call, TEST_AT)

__attribute__((format(printf, 4, 5))) static inline bool test_check(bool held, TEST_PLACE, const char *fmt, ...)
{
    test_n_checks++;
    if (held)
        return true;
    char text[1536]; /* one printf: lines of threads stay whole */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%s:%d: FAILED: %s\n", file, line, text);
    test_n_failed++;
    return false;
}

static inline bool test_int(long long got, long long want, const char *what, TEST_PLACE)
{
    return test_check(got == want, file, line, "%s: got %lld (%#llx), want %lld (%#llx)", what, got, got, want, want);
}

static inline bool test_str(const char *got, const char *want, const char *what, TEST_PLACE)
{
    bool same = got == want || (got && want && strcmp(got, want) == 0);
    return test_check(same, file, line, "%s:\n    got  \"%s\"\n    want \"%s\"", what, got ? got : "(NULL)",
                      want ? want : "(NULL)");
}

static inline bool test_mem(const void *got, const void *want, size_t n, const char *what, TEST_PLACE)
{
    const unsigned char *g = got, *w = want;
    for (size_t i = 0; i < n; i++)
        if (!g || !w || g[i] != w[i])
            return test_check(false, file, line, "%s: byte %zu of %zu: got 0x%02x, want 0x%02x", what, i, n,
                              g ? g[i] : 0U, w ? w[i] : 0U);
    return test_check(true, file, line, "%s", what);
}

static inline bool test_near(double got, double want, double bound, const char *what, TEST_PLACE)
{
    return test_check(fabs(got - want) <= bound || got == want, file, line, "%s: got %.17g, want %.17g +- %g", what,
                      got, want, bound);
}

/* Floats between a and b. */
static inline long long test_ulps(float a, float b)
{
    int32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return llabs((x < 0 ? (long long)INT32_MIN - x : x) - (y < 0 ? (long long)INT32_MIN - y : y));
}

static inline bool test_floats(const float *got, const float *want, size_t n, double abs, double rel, const char *what,
                               TEST_PLACE)
{
    for (size_t i = 0; i < n; i++) {
        double g = (double)got[i], w = (double)want[i], bound = abs + rel * fabs(w);
        bool same = memcmp(&got[i], &want[i], sizeof *got) == 0 && g == g;
        if (!same && !(bound > 0 && isfinite(w) && fabs(g - w) <= bound))
            return test_check(false, file, line,
                              "%s: [%zu] of %zu: got %.9g, want %.9g: off by %g, %lld ulps, bound %g", what, i, n, g, w,
                              fabs(g - w), test_ulps(got[i], want[i]), bound);
    }
    return test_check(true, file, line, "%s", what);
}

static inline bool test_status(ilk_status got, ilk_status want, const ilk_error *err, const char *what, TEST_PLACE)
{
    return test_check(got == want, file, line, "%s: got \"%s\", want \"%s\"%s%s", what, ilk_status_string(got),
                      ilk_status_string(want), err && got ? ": " : "", err && got ? err->message : "");
}

/* What this process and the children it waited for have had of the processors. */
static inline double test_seconds(void)
{
    double seconds = 0;
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (int i = 0; i < 2; i++) {
        struct rusage r;
        if (getrusage(whose[i], &r) == 0)
            seconds += (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
                       1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
    }
    return seconds;
}

static inline int test_run(const test_case *tests, size_t n, int argc, char **argv)
{
    int n_run = 0, n_bad = 0, n_skipped = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < n; i++) {
        int checks = test_n_checks, failed = test_n_failed;
        if (argc > 1 && !strstr(tests[i].name, argv[1]))
            continue;
        test_skipped = false;
        tests[i].run();
        bool empty = test_n_checks == checks && !test_skipped, bad = test_n_failed != failed || empty;
        if (bad)
            printf("%s: FAILED%s\n", tests[i].name, empty ? ": it checked nothing" : "");
        n_skipped += !bad && test_skipped;
        n_bad += bad;
        n_run++;
    }
    const char *budget = getenv("ILK_TEST_BUDGET");
    double seconds = test_seconds();
    if (budget && !test_check(seconds <= strtod(budget, NULL), TEST_AT, "%.1f s of work, at most %s", seconds, budget))
        n_bad++;
    printf("%d tests: %d failed, %d skipped, %d checks, %.1f s of work\n", n_run, n_bad, n_skipped, (int)test_n_checks,
           seconds);
    return n_bad || n_run == 0 ? 1 : n_skipped == n_run ? 77 : 0;
}

#endif
