/* SPDX-License-Identifier: Apache-2.0
 * The harness of every C test. A file lists its tests in one table and ends with it:
 *
 *     static void adds(void) { CHECK_INT(1 + 1, 2); }
 *     TEST_MAIN({"adds", adds}, {"other", other})
 *
 * A check that fails prints where, what was got and what was wanted, and the test goes on; every check is an expression
 * that is true when it held, and REQUIRE(check) leaves the test when it did not. Checks may be made from any thread. A
 * test that makes no check fails, unless it called TEST_SKIP; a program in which every test was skipped exits 77.
 * Arguments: substrings of test names to run; -l lists them. */
#ifndef ILK_TEST_H
#define ILK_TEST_H

#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ilk.h"

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

static atomic_int test_n_checks, test_n_failed;
static atomic_bool test_skipped;

#define TEST_MAIN(...)                                                                                                 \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        static const test_case tests[] = {__VA_ARGS__};                                                                \
        return test_run(tests, sizeof tests / sizeof *tests, argc, argv);                                              \
    }

/* Leaves the test: something it needs is not here. `...` is a format that says what. */
#define TEST_SKIP(...)                                                                                                 \
    do {                                                                                                               \
        printf("SKIPPED: " __VA_ARGS__);                                                                               \
        printf("\n");                                                                                                  \
        test_skipped = true;                                                                                           \
        return;                                                                                                        \
    } while (0)
#define REQUIRE(check)                                                                                                 \
    do {                                                                                                               \
        if (!(check))                                                                                                  \
            return;                                                                                                    \
    } while (0)

#define CHECK(cond)                  test_check((cond), __FILE__, __LINE__, "%s", #cond)
#define CHECK_INT(got, want)         test_int((long long)(got), (long long)(want), #got, __FILE__, __LINE__)
#define CHECK_STR(got, want)         test_str((got), (want), #got, __FILE__, __LINE__)
#define CHECK_MEM(got, want, n)      test_mem((got), (want), (n), #got, __FILE__, __LINE__)
#define CHECK_NEAR(got, want, bound) test_near((got), (want), (bound), #got, __FILE__, __LINE__)
/* |got[i] - want[i]| <= abs + rel * |want[i]| for all i; a NaN never holds. abs = rel = 0 wants the same bits. */
#define CHECK_FLOATS(got, want, n, abs, rel) test_floats((got), (want), (n), (abs), (rel), #got, __FILE__, __LINE__)
/* the status of a call; on a surprise the error's message is printed too. `err` may be NULL. */
#define CHECK_OK(call, err)             test_status((call), ILK_OK, (err), #call, __FILE__, __LINE__)
#define CHECK_STATUS(call, status, err) test_status((call), (status), (err), #call, __FILE__, __LINE__)

static inline __attribute__((format(printf, 4, 5))) bool test_check(bool held, const char *file, int line,
                                                                    const char *fmt, ...)
{
    test_n_checks++;
    if (!held) {
        char text[1536];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        printf("%s:%d: FAILED: %s\n", file, line, text);
        test_n_failed++;
    }
    return held;
}

static inline bool test_int(long long got, long long want, const char *what, const char *file, int line)
{
    return test_check(got == want, file, line, "%s: got %lld (0x%llx), want %lld (0x%llx)", what, got,
                      (unsigned long long)got, want, (unsigned long long)want);
}

static inline bool test_str(const char *got, const char *want, const char *what, const char *file, int line)
{
    bool same = got == want || (got && want && strcmp(got, want) == 0);
    return test_check(same, file, line, "%s:\n    got  \"%s\"\n    want \"%s\"", what, got ? got : "(NULL)",
                      want ? want : "(NULL)");
}

static inline bool test_mem(const void *got, const void *want, size_t n, const char *what, const char *file, int line)
{
    const unsigned char *g = got, *w = want;
    size_t i = 0;
    while (i < n && g && w && g[i] == w[i])
        i++;
    return test_check(i == n, file, line, "%s: byte %zu of %zu: got 0x%02x, want 0x%02x", what, i, n,
                      i < n && g ? g[i] : 0U, i < n && w ? w[i] : 0U);
}

static inline bool test_near(double got, double want, double bound, const char *what, const char *file, int line)
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
    long long p = x < 0 ? (long long)INT32_MIN - x : x, q = y < 0 ? (long long)INT32_MIN - y : y;
    return p > q ? p - q : q - p;
}

static inline bool test_floats(const float *got, const float *want, size_t n, double abs, double rel, const char *what,
                               const char *file, int line)
{
    size_t i = 0, n_bad = 0, first = 0;
    for (; i < n; i++) {
        double bound = abs + rel * fabs((double)want[i]);
        bool same = memcmp(&got[i], &want[i], sizeof *got) == 0 && got[i] == got[i];
        if (!same && !(bound > 0 && fabs((double)got[i] - (double)want[i]) <= bound) && n_bad++ == 0)
            first = i;
    }
    if (n_bad == 0)
        return test_check(true, file, line, "%s", what);
    double g = (double)got[first], w = (double)want[first];
    return test_check(false, file, line,
                      "%s: [%zu] of %zu: got %.9g, want %.9g: off by %g, %lld ulps, bound %g; %zu wrong", what, first,
                      n, g, w, fabs(g - w), test_ulps(got[first], want[first]), abs + rel * fabs(w), n_bad);
}

static inline bool test_status(ilk_status got, ilk_status want, const ilk_error *err, const char *what,
                               const char *file, int line)
{
    return test_check(got == want, file, line, "%s: got \"%s\", want \"%s\"%s%s", what, ilk_status_string(got),
                      ilk_status_string(want), err && got ? ": " : "", err && got ? err->message : "");
}

/* The tests' only randomness (splitmix64): the same on every machine. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

static inline bool test_wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return true;
    return argc < 2;
}

static inline int test_run(const test_case *tests, size_t n, int argc, char **argv)
{
    int n_run = 0, n_bad = 0, n_skipped = 0;
    bool list = argc == 2 && strcmp(argv[1], "-l") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < n; i++) {
        if (list)
            printf("%s\n", tests[i].name);
        if (list || !test_wanted(tests[i].name, argc, argv))
            continue;
        int checks = test_n_checks, failed = test_n_failed;
        test_skipped = false;
        tests[i].run();
        bool empty = test_n_checks == checks && !test_skipped, bad = test_n_failed != failed || empty;
        if (bad)
            printf("%s: FAILED%s\n", tests[i].name, empty ? ": it checked nothing" : "");
        n_skipped += !bad && test_skipped;
        n_bad += bad;
        n_run++;
    }
    if (list)
        return 0;
    printf("%d tests: %d failed, %d skipped, %d checks\n", n_run, n_bad, n_skipped, (int)test_n_checks);
    if (n_run == 0)
        printf("FAILED: no test of this name\n");
    return n_bad || n_run == 0 ? 1 : n_skipped == n_run ? 77 : 0;
}

#endif
