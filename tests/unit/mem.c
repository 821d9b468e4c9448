/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include <stdlib.h>

#include "test.h"

static void checked_sizes(void)
{
    size_t out = 7;
    CHECK(ilki_base_mul(3, 5, &out));
    CHECK_INT(out, 15);
    CHECK(!ilki_base_mul(SIZE_MAX / 2, 3, &out));
    CHECK(!ilki_base_add(SIZE_MAX, 1, &out));
    CHECK_INT(out, 15);
    CHECK(ilki_base_add(SIZE_MAX - 1, 1, &out));
    CHECK_INT(out, SIZE_MAX);
}

static void allocations(void)
{
    unsigned char *p = ilki_base_zalloc(100, 7);
    REQUIRE(CHECK(p != NULL));
    for (size_t i = 0; i < 700; i++)
        if (p[i] != 0)
            CHECK_INT(p[i], 0);
    free(p);
    CHECK(ilki_base_zalloc(SIZE_MAX / 4, 8) == NULL);
    CHECK(ilki_base_zalloc(PTRDIFF_MAX, 1) == NULL);
    CHECK(ilki_base_alloc_aligned(SIZE_MAX / 4, 8) == NULL);
    CHECK(ilki_base_alloc_aligned(SIZE_MAX - 5, 1) == NULL);
    for (size_t n = 0; n < 200; n++) {
        void *a = ilki_base_alloc_aligned(n, 1), *z = ilki_base_zalloc(0, n);
        CHECK(a && (uintptr_t)a % ILKI_ALIGN == 0);
        CHECK(z != NULL);
        if (a)
            memset(a, 1, n);
        free(a);
        free(z);
    }
    char *s = ilki_base_strndup("abcdef", 3), *e = ilki_base_strndup(NULL, 0);
    CHECK_STR(s, "abc");
    CHECK_STR(e, "");
    CHECK(ilki_base_strndup("x", SIZE_MAX) == NULL);
    CHECK(ilki_base_strndup("x", PTRDIFF_MAX) == NULL);
    free(s);
    free(e);
}

/* Objects of many sizes: aligned, zeroed, apart from each other. */
static void arena_objects(void)
{
    enum { N = 3000 };
    static unsigned char *p[N];
    static size_t size[N];
    uint64_t rng = 1;
    ilki_arena a = {0};
    for (size_t i = 0; i < N; i++) {
        uint64_t r = test_random(&rng);
        size[i] = r % 50 == 0 ? r % 100000 : r % 90;
        p[i] = ilki_base_arena_alloc(&a, 1, size[i]);
        REQUIRE(CHECK(p[i] && (uintptr_t)p[i] % 16 == 0));
        for (size_t k = 0; k < size[i]; k++)
            if (p[i][k])
                CHECK_INT(p[i][k], 0);
        memset(p[i], (int)(i % 255) + 1, size[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < size[i]; k++)
            if (p[i][k] != i % 255 + 1)
                REQUIRE(CHECK_INT(p[i][k], i % 255 + 1));
    CHECK(ilki_base_arena_alloc(&a, SIZE_MAX / 2, 4) == NULL);
    CHECK(ilki_base_arena_alloc(&a, SIZE_MAX, 1) == NULL);
    CHECK(ilki_base_arena_strndup(&a, "x", SIZE_MAX) == NULL);
    char *s = ilki_base_arena_strndup(&a, "hello", 4);
    CHECK_STR(s, "hell");
    ilki_base_arena_deinit(&a);
    CHECK(a.head == NULL && a.total_bytes == 0);
    ilki_base_arena_deinit(&a);
}

/* A large object does not throw away the room that the current block still has. */
static void arena_keeps_its_block(void)
{
    ilki_arena a = {0};
    char *x = ilki_base_arena_alloc(&a, 1, 16), *big = ilki_base_arena_alloc(&a, 1, 1 << 22),
         *y = ilki_base_arena_alloc(&a, 1, 16);
    CHECK(x && big && y == x + 16);
    ilki_base_arena_deinit(&a);
}

static void arena_ceiling(void)
{
    ilki_arena a = {.max_bytes = 10000};
    size_t n = 0;
    while (ilki_base_arena_alloc(&a, 1, 100))
        n++;
    CHECK(a.total_bytes <= 10000);
    CHECK(n >= 80 && n * 100 <= 10000);
    CHECK(ilki_base_arena_alloc(&a, 1, 20000) == NULL);
    ilki_base_arena_deinit(&a);
    CHECK(ilki_base_arena_alloc(&a, 1, 9984) != NULL);
    CHECK(ilki_base_arena_alloc(&a, 1, 100) == NULL);
    ilki_base_arena_deinit(&a);
}

static void workspace(void)
{
    ilki_ws plan, ws;
    ilki_base_ws_init(&plan, NULL, 0);
    CHECK(ilki_base_ws_take(&plan, 10, 4) == NULL);
    size_t mark = ilki_base_ws_mark(&plan);
    CHECK(ilki_base_ws_take(&plan, 3, 64) == NULL);
    ilki_base_ws_release(&plan, mark);
    CHECK(ilki_base_ws_take(&plan, 1, 1) == NULL);
    CHECK_INT(plan.used, 128);
    CHECK_INT(plan.peak, 256);
    CHECK(!plan.overrun);
    CHECK(ilki_base_ws_take(&plan, SIZE_MAX / 2, 3) == NULL);
    CHECK(plan.overrun);

    unsigned char *base = ilki_base_alloc_aligned(plan.peak, 1);
    REQUIRE(CHECK(base != NULL));
    ilki_base_ws_init(&ws, base, plan.peak);
    CHECK(ilki_base_ws_take(&ws, 10, 4) == base);
    mark = ilki_base_ws_mark(&ws);
    CHECK(ilki_base_ws_take(&ws, 3, 64) == base + 64);
    CHECK(!ws.overrun);
    CHECK(ilki_base_ws_take(&ws, 1, 1) == NULL);
    CHECK(ws.overrun);
    ws.overrun = false;
    ilki_base_ws_release(&ws, mark);
    CHECK(ilki_base_ws_take(&ws, 192, 1) == base + 64);
    CHECK_INT(ws.peak, 256);
    CHECK(ilki_base_ws_take(&ws, 0, 8) != NULL);
    CHECK(!ws.overrun);
    ilki_base_ws_release(&ws, 1000);
    CHECK(ws.overrun);
    free(base);
}

TEST_MAIN({"checked_sizes", checked_sizes}, {"allocations", allocations}, {"arena_objects", arena_objects},
          {"arena_keeps_its_block", arena_keeps_its_block}, {"arena_ceiling", arena_ceiling}, {"workspace", workspace})
