/* SPDX-License-Identifier: Apache-2.0
 * Counts allocations, and fails the n-th one. A test that includes this header is linked with ilk_alloc_wrap (see
 * CMakeLists.txt; a program elsewhere links that target itself), which wraps malloc, calloc, realloc, aligned_alloc,
 * posix_memalign, strdup and strndup of the test and of libilk.a at link time. What libc and other shared libraries
 * allocate inside (a DIR, a thread's stack, SQLite's pages) is neither counted nor failed.
 *
 *     alloc_count_reset();  run();  CHECK_INT(alloc_count(), 0);          nothing is allocated in a run
 *
 *     for (uint64_t n = 1;; n++) {                                        each allocation fails once
 *         alloc_fail_at(n, false);
 *         ilk_status st = open(&x, &err);
 *         bool failed = alloc_fail_off();
 *         ... st is NO_MEMORY and x NULL, or the call got by without; close(x) ...
 *         if (!failed)
 *             break;                                                      fewer than n allocations: all were tried
 *     }
 *
 * Counters belong to the whole process; they may be used while threads run. */
#ifndef ILK_ALLOC_COUNT_H
#define ILK_ALLOC_COUNT_H

#include <stdbool.h>
#include <stdint.h>

/* Allocations since the last reset, on all threads. realloc counts, free does not. */
void alloc_count_reset(void);
uint64_t alloc_count(void);
uint64_t alloc_bytes(void); /* that they asked for, realloc's and strings' left out */

/* The n-th allocation from now (1 is the next) gives NULL with ENOMEM, and with `for_ever` all after it too. */
void alloc_fail_at(uint64_t n, bool for_ever);

/* Ends the failing; true when any allocation was failed since alloc_fail_at. */
bool alloc_fail_off(void);

/* +1: what this thread allocates is neither counted nor failed, until -1. For other helpers of the tests: faulty.c does
 * it by itself. */
void alloc_count_pause(int change);

#endif
