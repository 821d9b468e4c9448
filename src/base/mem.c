/* SPDX-License-Identifier: Apache-2.0
 * Allocation, arena and workspace. Sizes above PTRDIFF_MAX are refused here and never reach the allocator. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Largest block an arena asks for unless one object is larger; the first is a page. */
enum { ARENA_FIRST = 4096, ARENA_LAST = 1 << 20, ARENA_ALIGN = 16 };

struct ilki_arena_block {
    struct ilki_arena_block *next;
    size_t size; /* bytes of data behind this header */
};

static bool checked_bytes(size_t n, size_t size, size_t *bytes)
{
    return ilki_base_mul(n, size, bytes) && *bytes <= PTRDIFF_MAX - 2 * ILKI_HUGE_BYTES;
}

void *ilki_base_zalloc(size_t n, size_t size)
{
    size_t bytes;
    if (!checked_bytes(n, size, &bytes))
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *ilki_base_alloc_aligned(size_t n, size_t size)
{
    size_t bytes;
    if (!checked_bytes(n, size, &bytes))
        return NULL;
    bytes = (bytes + ILKI_ALIGN - 1) / ILKI_ALIGN * ILKI_ALIGN;
    if (bytes < ILKI_HUGE_BYTES)
        return aligned_alloc(ILKI_ALIGN, bytes ? bytes : ILKI_ALIGN);
    /* whole huge pages, as every allocator wants it; the rest of the last one stays untouched small pages */
    void *p = aligned_alloc(ILKI_HUGE_BYTES, (bytes + ILKI_HUGE_BYTES - 1) / ILKI_HUGE_BYTES * ILKI_HUGE_BYTES);
    ilki_base_advise_huge(p, bytes);
    return p;
}

void ilki_base_advise_huge(void *p, size_t n)
{
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)p + ILKI_HUGE_BYTES - 1) & ~(ILKI_HUGE_BYTES - 1);
    uintptr_t to = ((uintptr_t)p + n) & ~(ILKI_HUGE_BYTES - 1);
    if (p && from < to)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)p;
    (void)n;
#endif
}

char *ilki_base_strndup(const char *s, size_t n)
{
    size_t bytes;
    if (!ilki_base_add(n, 1, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    char *copy = malloc(bytes);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

/* ---- arena */

_Static_assert(sizeof(struct ilki_arena_block) % ARENA_ALIGN == 0, "objects behind the header are aligned");

static unsigned char *block_data(struct ilki_arena_block *b)
{
    return (unsigned char *)(b + 1);
}

/* A block for `bytes` more: twice the head where the ceiling allows, else just what is needed. */
static struct ilki_arena_block *new_block(ilki_arena *a, size_t bytes)
{
    size_t size = a->head ? a->head->size * 2 : ARENA_FIRST - sizeof(struct ilki_arena_block);
    if (size > ARENA_LAST)
        size = ARENA_LAST;
    if (size < bytes)
        size = bytes;
    if (a->max_bytes) {
        if (a->total_bytes > a->max_bytes || bytes > a->max_bytes - a->total_bytes)
            return NULL;
        if (size > a->max_bytes - a->total_bytes)
            size = bytes;
    }
    struct ilki_arena_block *b = calloc(1, sizeof *b + size);
    if (!b)
        return NULL;
    b->size = size;
    a->total_bytes += size;
    return b;
}

void *ilki_base_arena_alloc(ilki_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!checked_bytes(n, size, &bytes))
        return NULL;
    bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (bytes == 0)
        bytes = ARENA_ALIGN; /* every object has its own address */
    if (a->head && bytes <= a->head->size - a->used) {
        void *p = block_data(a->head) + a->used;
        a->used += bytes;
        return p;
    }
    struct ilki_arena_block *b = new_block(a, bytes);
    if (!b)
        return NULL;
    if (a->head && b->size - bytes < a->head->size - a->used) {
        /* One large object: the head keeps the more room and stays. */
        b->next = a->head->next;
        a->head->next = b;
    } else {
        b->next = a->head;
        a->head = b;
        a->used = bytes;
    }
    return block_data(b);
}

char *ilki_base_arena_strndup(ilki_arena *a, const char *s, size_t n)
{
    size_t bytes;
    if (!ilki_base_add(n, 1, &bytes))
        return NULL;
    char *copy = ilki_base_arena_alloc(a, bytes, 1);
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

void ilki_base_arena_deinit(ilki_arena *a)
{
    for (struct ilki_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    a->head = NULL;
    a->used = a->total_bytes = 0;
}

/* ---- workspace */

void ilki_base_ws_init(ilki_ws *ws, void *base, size_t size)
{
    *ws = (ilki_ws){.base = base, .size = base ? size : 0};
}

void *ilki_base_ws_take(ilki_ws *ws, size_t n, size_t size)
{
    size_t bytes, end;
    if (!checked_bytes(n, size, &bytes))
        goto overrun;
    bytes = (bytes + ILKI_ALIGN - 1) / ILKI_ALIGN * ILKI_ALIGN;
    if (!ilki_base_add(ws->used, bytes, &end) || (ws->base && end > ws->size))
        goto overrun;
    unsigned char *p = ws->base ? ws->base + ws->used : NULL;
    ws->used = end;
    if (end > ws->peak)
        ws->peak = end;
    return p;

overrun:
    ws->overrun = true;
    return NULL;
}

void ilki_base_ws_release(ilki_ws *ws, size_t mark)
{
    if (mark <= ws->used)
        ws->used = mark;
    else
        ws->overrun = true;
}
