/* SPDX-License-Identifier: Apache-2.0
 * Checked arithmetic, allocation and the arena. Every allocation of ilk passes this header or ilki_buf, so that tests
 * can fail and count them (they wrap malloc, calloc, realloc and aligned_alloc at link time). */
#ifndef ILKI_BASE_MEM_H
#define ILKI_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define ILKI_ALIGN 64 /* bytes: a cache line and an AVX-512 register */
/* Of a huge page, on x86-64 and on arm64 with pages of 4 KiB: one takes the fault, and the place in the TLB, of 512. */
#define ILKI_HUGE_BYTES ((uintptr_t)2 << 20)

/* False on overflow; *out is then untouched. Every size read from a file passes these. */
static inline bool ilki_base_mul(size_t a, size_t b, size_t *out)
{
    size_t v;
    if (__builtin_mul_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}
static inline bool ilki_base_add(size_t a, size_t b, size_t *out)
{
    size_t v;
    if (__builtin_add_overflow(a, b, &v))
        return false;
    *out = v;
    return true;
}

/* n zeroed objects of `size` bytes, or NULL (also on overflow). Freed with free(). n * size == 0 gives a valid pointer. */
void *ilki_base_zalloc(size_t n, size_t size);

/* n objects, not zeroed, aligned to ILKI_ALIGN; freed with free(). */
void *ilki_base_alloc_aligned(size_t n, size_t size);

/* Asks for huge pages under the part of fresh memory that can have them: fewer faults to fill it, fewer misses to read
 * it. Only advice; nothing where the system has none, or n is small. */
void ilki_base_advise_huge(void *p, size_t n);

/* A copy of the first n bytes with a NUL behind; NULL when memory is short. */
char *ilki_base_strndup(const char *s, size_t n);

/* ---- arena: many small objects that die together. Not thread-safe. A zeroed arena is valid and empty. */
typedef struct ilki_arena {
    struct ilki_arena_block *head;
    size_t used, total_bytes; /* of the head block; of all blocks */
    size_t max_bytes;         /* ceiling over all blocks; 0: none */
} ilki_arena;

/* NULL when memory or the ceiling is short. Zeroed, aligned to 16. */
void *ilki_base_arena_alloc(ilki_arena *a, size_t n, size_t size);
char *ilki_base_arena_strndup(ilki_arena *a, const char *s, size_t n);
void ilki_base_arena_deinit(ilki_arena *a);

/* ---- workspace: the memory of one pass, taken in order and given back by resetting a mark; never grows. Sizes are
 * planned first with a measuring workspace (base == NULL), which hands out NULL and only counts. */
typedef struct ilki_ws {
    unsigned char *base;
    size_t size, used, peak;
    bool overrun; /* a taker asked for more than there is: a programmer's error, checked at the end of a pass */
} ilki_ws;

void ilki_base_ws_init(ilki_ws *ws, void *base, size_t size);

/* n objects of `size` bytes, aligned to ILKI_ALIGN, contents undefined; NULL while measuring or on overrun. */
void *ilki_base_ws_take(ilki_ws *ws, size_t n, size_t size);
static inline size_t ilki_base_ws_mark(const ilki_ws *ws)
{
    return ws->used;
}
void ilki_base_ws_release(ilki_ws *ws, size_t mark);

#endif
