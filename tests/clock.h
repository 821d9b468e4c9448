/* SPDX-License-Identifier: Apache-2.0
 * Time that a busy machine does not stretch. Tests that bound a time use it, or take the best of a few tries: a test
 * fails for a defect, never for what else the machine does. */
#ifndef ILK_TEST_CLOCK_H
#define ILK_TEST_CLOCK_H

#include <time.h>

/* How many times longer the same work takes here: kernels under a sanitizer are slower by as much. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TEST_SLOWNESS = 10 };
#else
enum { TEST_SLOWNESS = 1 };
#endif

static inline double test_ms_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static inline double test_wall_ms(void)
{
    return test_ms_of(CLOCK_MONOTONIC);
}

/* What the calling thread, and what all of the process, has had of the processors. */
static inline double test_thread_ms(void)
{
    return test_ms_of(CLOCK_THREAD_CPUTIME_ID);
}

static inline double test_process_ms(void)
{
    return test_ms_of(CLOCK_PROCESS_CPUTIME_ID);
}

static inline void test_sleep_ms(double ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000L};
    nanosleep(&t, NULL);
}

/* Waits, however long it takes, until an expression is true: for what another thread is about to do. Were it never true,
 * the time that a test may take would end it. */
#define TEST_WAIT_UNTIL(cond)                                                                                          \
    do {                                                                                                               \
        test_sleep_ms(0.5);                                                                                            \
    } while (!(cond))

#endif
