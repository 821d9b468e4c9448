/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>

#include "test.h"

static void appends(void)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1000);
    CHECK_STR(ilki_base_buf_view(&b), "");
    CHECK(ilki_base_buf_add(&b, NULL, 0));
    CHECK(ilki_base_buf_adds(&b, "ab"));
    CHECK(ilki_base_buf_addc(&b, 'c'));
    CHECK(ilki_base_buf_addf(&b, "-%d-%s", 42, "xyz"));
    CHECK_STR(ilki_base_buf_view(&b), "abc-42-xyz");
    CHECK_INT(b.len, 10);
    for (int i = 0; i < 30; i++)
        CHECK(ilki_base_buf_addf(&b, "%030d", i));
    CHECK_INT(b.len, 910);
    CHECK_INT(strlen(b.data), 910);
    ilki_base_buf_truncate(&b, 2000);
    ilki_base_buf_truncate(&b, 3);
    CHECK_STR(ilki_base_buf_view(&b), "abc");
    ilki_base_buf_reset(&b);
    CHECK_STR(ilki_base_buf_view(&b), "");
    CHECK_OK(ilki_base_buf_check(&b, "text", NULL), NULL);
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&b);
}

static void ceiling(void)
{
    ilk_error err;
    ilk_error_init(&err);
    for (size_t max = 0; max < 300; max++) {
        ilki_buf b;
        size_t n = 0;
        ilki_base_buf_init(&b, max);
        while (ilki_base_buf_addc(&b, 'x'))
            n++;
        CHECK_INT(n, max);
        CHECK(b.failed && b.len == 0 && b.data == NULL);
        CHECK(!ilki_base_buf_add(&b, NULL, 0));
        CHECK(!ilki_base_buf_addf(&b, "%d", 1));
        CHECK(ilki_base_buf_take(&b, &n) == NULL);
        CHECK_INT(n, 0);
        CHECK_STATUS(ilki_base_buf_check(&b, "text", &err), ILK_LIMIT, &err);
        CHECK(strncmp(err.message, "text: ", 6) == 0);
        ilki_base_buf_fail(&b, ILK_NO_MEMORY);
        CHECK_STATUS(ilki_base_buf_check(&b, "text", NULL), ILK_LIMIT, NULL);
        ilki_base_buf_reset(&b);
        CHECK_INT(ilki_base_buf_add(&b, "ab", 2), max >= 2);
        ilki_base_buf_deinit(&b);
    }
    ilki_buf b;
    ilki_base_buf_init(&b, SIZE_MAX);
    CHECK(ilki_base_buf_addc(&b, 'x'));
    CHECK(!ilki_base_buf_reserve(&b, SIZE_MAX));
    CHECK_STATUS(ilki_base_buf_check(&b, "text", NULL), ILK_LIMIT, NULL);
    ilki_base_buf_deinit(&b);
}

static void reserve_and_take(void)
{
    ilki_buf b;
    size_t n = 9;
    ilki_base_buf_init(&b, 100);
    char *p = ilki_base_buf_take(&b, &n);
    CHECK_STR(p, "");
    CHECK_INT(n, 0);
    free(p);
    CHECK(ilki_base_buf_reserve(&b, 100));
    CHECK_STR(ilki_base_buf_view(&b), "");
    const char *before = b.data;
    for (int i = 0; i < 100; i++)
        CHECK(ilki_base_buf_addc(&b, 'y'));
    CHECK(b.data == before);
    p = ilki_base_buf_take(&b, NULL);
    CHECK(p == before && strlen(p) == 100);
    free(p);
    CHECK(b.data == NULL && b.len == 0 && b.max == 100 && !b.failed);
}

static void numbers_round_trip(void)
{
    static const unsigned char want[] = {0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e,
                                         0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08, 0x00, 0x00, 0x80,
                                         0x3f, 0,    0,    0,    0,    0,    0,    0,    0xc0};
    ilki_buf b;
    ilki_cur c;
    ilki_base_buf_init(&b, 100);
    ilki_base_buf_put_u8(&b, 1);
    ilki_base_buf_put_u16(&b, 0x0203);
    ilki_base_buf_put_u32(&b, 0x04050607);
    ilki_base_buf_put_u64(&b, 0x08090a0b0c0d0e0f);
    ilki_base_buf_put_f32(&b, 1.0f);
    ilki_base_buf_put_f64(&b, -2.0);
    REQUIRE(CHECK_INT(b.len, sizeof want));
    CHECK_MEM(b.data, want, sizeof want);
    for (size_t n = 0; n <= sizeof want; n++) { /* every truncation: no byte past the end is read */
        unsigned char *copy = malloc(n ? n : 1);
        REQUIRE(CHECK(copy != NULL));
        memcpy(copy, want, n);
        ilki_base_cur_init(&c, copy, n);
        CHECK_INT(ilki_base_cur_u8(&c), n >= 1 ? 1 : 0);
        CHECK_INT(ilki_base_cur_u16(&c), n >= 3 ? 0x0203 : 0);
        CHECK_INT(ilki_base_cur_u32(&c), n >= 7 ? 0x04050607 : 0);
        CHECK_INT(ilki_base_cur_u64(&c), n >= 15 ? 0x08090a0b0c0d0e0f : 0);
        CHECK_NEAR((double)ilki_base_cur_f32(&c), n >= 19 ? 1 : 0, 0);
        CHECK_NEAR(ilki_base_cur_f64(&c), n >= 27 ? -2 : 0, 0);
        CHECK_INT(c.bad, n < sizeof want);
        free(copy);
    }
    CHECK_INT(ilki_base_cur_left(&c), 0);
    ilki_base_buf_deinit(&b);
}

static void cursor_stays_bad(void)
{
    ilki_cur c;
    ilki_base_cur_init(&c, "abc", 3);
    CHECK(ilki_base_cur_bytes(&c, SIZE_MAX) == NULL);
    CHECK(c.bad);
    CHECK_INT(ilki_base_cur_left(&c), 3);
    CHECK_INT(ilki_base_cur_u8(&c), 0);
    ilki_base_cur_init(&c, NULL, 0);
    CHECK(ilki_base_cur_bytes(&c, 0) != NULL && !c.bad);
    ilki_base_cur_init(&c, "abc", 3);
    const unsigned char *p = ilki_base_cur_bytes(&c, 2);
    CHECK(p && p[0] == 'a' && ilki_base_cur_u8(&c) == 'c' && !c.bad);
}

TEST_MAIN({"appends", appends}, {"ceiling", ceiling}, {"reserve_and_take", reserve_and_take},
          {"numbers_round_trip", numbers_round_trip}, {"cursor_stays_bad", cursor_stays_bad})
