/* SPDX-License-Identifier: Apache-2.0
 * Fails and counts allocations of the library and the test; for programs of the label `fault`, which the linker gives
 * --wrap for. Set alloc_fail_at to n to make the n-th from now (from 1) and, with alloc_fail_on, all later ones fail. */
#ifndef ILK_TEST_ALLOC_H
#define ILK_TEST_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_long alloc_count, alloc_fail_at; /* alloc_fail_at 0: none */
static atomic_bool alloc_fail_on;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

/* Counts from 1 again and fails the n-th allocation; n = 0 fails none. */
static inline void alloc_start(long n, bool all_later)
{
    alloc_count = 0;
    alloc_fail_on = all_later;
    alloc_fail_at = n;
}

static inline bool alloc_fails(void)
{
    long n = ++alloc_count, at = alloc_fail_at;
    return at && (n == at || (n > at && alloc_fail_on));
}

void *__wrap_malloc(size_t n)
{
    return alloc_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return alloc_fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return alloc_fails() ? NULL : __real_aligned_alloc(align, n);
}

#endif
