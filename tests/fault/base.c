/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of buffer, map, arena and JSON fails once: NO_MEMORY or false, nothing leaks, nothing half-done. */
#include <stdlib.h>

#include "alloc_count.h"
#include "base/json.h"
#include "base/map.h"
#include "test.h"

/* Runs `step` with the n-th allocation failing until a run needs fewer; wants it to fail each time before. */
static void fail_each(bool (*step)(void), long at_least)
{
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        for (long n = 1;; n++) {
            alloc_fail_at((uint64_t)n, for_ever);
            bool ok = step(), failed = alloc_fail_off();
            CHECK_INT(ok, !failed);
            if (!failed) {
                CHECK(n > at_least);
                break;
            }
        }
    }
}

static bool use_buf(void)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 20);
    for (int i = 0; i < 1000; i++)
        ilki_base_buf_addf(&b, "%d,", i);
    ilk_status status = ilki_base_buf_check(&b, "text", NULL);
    size_t len;
    char *text = ilki_base_buf_take(&b, &len);
    CHECK_INT(text != NULL, status == ILK_OK);
    CHECK_INT(status, text ? ILK_OK : ILK_NO_MEMORY);
    CHECK_INT(len, text ? 3890 : 0);
    free(text);
    ilki_base_buf_deinit(&b);
    return status == ILK_OK;
}

static bool use_map(void)
{
    static const char keys[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    ilki_map m = {0};
    uint32_t n = 0;
    while (n < 36 && ilki_base_map_put(&m, keys + n, 1, n, NULL))
        n++;
    for (uint32_t i = 0; i < 36; i++)
        CHECK_INT(ilki_base_map_get(&m, keys + i, 1), i < n ? i : ILKI_MAP_NONE);
    CHECK_INT(m.n, n);
    ilki_base_map_deinit(&m);
    return n == 36;
}

static bool use_arena(void)
{
    ilki_arena a = {0};
    bool ok = true;
    for (int i = 0; i < 1000; i++)
        ok = ilki_base_arena_strndup(&a, "some text of forty bytes or a little more", 41) && ok;
    char *dup = ilki_base_strndup("x", 1);
    void *zero = ilki_base_zalloc(3, 3), *aligned = ilki_base_alloc_aligned(3, 3);
    ok = ok && dup && zero && aligned;
    free(dup);
    free(zero);
    free(aligned);
    ilki_base_arena_deinit(&a);
    return ok;
}

static bool use_json(void)
{
    static char text[4000];
    ilki_json *j;
    ilk_error err;
    ilk_error_init(&err);
    size_t n = (size_t)snprintf(text, sizeof text, "{\"a\":1,\"b\":2,\"c\":[0");
    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ",%d", i);
    n += (size_t)snprintf(text + n, sizeof text - n, "]}");
    ilk_status status = ilki_base_json_parse(&j, text, n, "t", &(ilki_json_limits){.unique_keys = true}, &err);
    CHECK(status == ILK_OK || status == ILK_NO_MEMORY);
    CHECK_INT(j != NULL, status == ILK_OK);
    CHECK_INT(err.message[0] != '\0', status != ILK_OK);
    ilki_base_json_free(j);
    return status == ILK_OK;
}

static void buf(void)
{
    fail_each(use_buf, 5);
}

static void map(void)
{
    fail_each(use_map, 2);
}

static void arena(void)
{
    fail_each(use_arena, 5);
}

static void json(void)
{
    fail_each(use_json, 5);
}

TEST_MAIN({"buf", buf}, {"map", map}, {"arena", arena}, {"json", json})
