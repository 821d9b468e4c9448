/* SPDX-License-Identifier: Apache-2.0
 * See alloc_count.h. The linker sends every call of malloc to __wrap_malloc, and __real_malloc to malloc. */
#include "alloc_count.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
int __real_posix_memalign(void **out, size_t align, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
int __wrap_posix_memalign(void **out, size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static atomic_uint_least64_t n_allocs, n_bytes, n_failed;
static atomic_int_least64_t until_failure; /* 0: off; 1: the next one */
static atomic_bool fails_for_ever;
static _Thread_local int paused;

void alloc_count_pause(int change)
{
    paused += change;
}

void alloc_count_reset(void)
{
    atomic_store(&n_allocs, 0);
    atomic_store(&n_bytes, 0);
}

uint64_t alloc_bytes(void)
{
    return atomic_load(&n_bytes);
}

uint64_t alloc_count(void)
{
    return atomic_load(&n_allocs);
}

void alloc_fail_at(uint64_t n, bool for_ever)
{
    atomic_store(&n_failed, 0);
    atomic_store(&fails_for_ever, for_ever);
    atomic_store(&until_failure, (int_least64_t)n);
}

bool alloc_fail_off(void)
{
    atomic_store(&until_failure, 0);
    atomic_store(&fails_for_ever, false);
    return atomic_load(&n_failed) > 0;
}

/* Counts one allocation; true when it is to fail. */
static bool fails(void)
{
    if (paused > 0)
        return false;
    atomic_fetch_add(&n_allocs, 1);
    int_least64_t left = atomic_load(&until_failure);
    while (left > 0)
        if (atomic_compare_exchange_weak(&until_failure, &left,
                                         left == 1 && atomic_load(&fails_for_ever) ? 1 : left - 1))
            break;
    if (left != 1)
        return false;
    atomic_fetch_add(&n_failed, 1);
    errno = ENOMEM;
    return true;
}

/* The same of an allocation whose bytes are counted. */
static bool fails_over(size_t n)
{
    if (paused <= 0)
        atomic_fetch_add(&n_bytes, n);
    return fails();
}

void *__wrap_malloc(size_t n)
{
    return fails_over(n) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_over(n * size) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails_over(n) ? NULL : __real_aligned_alloc(align, n);
}

int __wrap_posix_memalign(void **out, size_t align, size_t n)
{
    return fails_over(n) ? ENOMEM : __real_posix_memalign(out, align, n);
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = fails() ? NULL : __real_malloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *__wrap_strdup(const char *s)
{
    return __wrap_strndup(s, strlen(s));
}
