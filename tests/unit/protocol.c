/* SPDX-License-Identifier: Apache-2.0
 * Messages between client and helper: there and back, cut short, with every bit turned. */
#include "media/protocol.h"

#include <stdlib.h>

#include "test.h"

static void hello(void)
{
    static ilki_media_hello h, got;
    ilki_buf b;
    h = (ilki_media_hello){.sandbox = ILKI_MEDIA_SECCOMP, .note = "n", .n_rows = 2};
    strcpy(h.rows[0].name, "html");
    strcpy(h.rows[1].name, "heif");
    strcpy(h.rows[1].lacks, "libheif");
    ilki_base_buf_init(&b, 4096);
    ilki_media_put_hello(&b, &h);
    CHECK_OK(ilki_media_get_hello(&got, b.data, b.len, NULL), NULL);
    CHECK_INT(got.sandbox, ILKI_MEDIA_SECCOMP);
    CHECK_INT(got.n_rows, 2);
    CHECK_STR(got.rows[1].lacks, "libheif");
    for (size_t n = 0; n < b.len; n++)
        CHECK_STATUS(ilki_media_get_hello(&got, b.data, n, NULL), ILK_BAD_FORMAT, NULL);
    for (size_t i = 0; i < 8 * b.len; i++) {
        b.data[i / 8] ^= (char)(1 << i % 8);
        if (ilki_media_get_hello(&got, b.data, b.len, NULL) == ILK_OK)
            CHECK(got.n_rows == 2 && got.sandbox < ILKI_MEDIA_SANDBOXES);
        b.data[i / 8] ^= (char)(1 << i % 8);
    }
    ilki_base_buf_deinit(&b);
}

static void request(void)
{
    ilki_media_step steps[ILKI_MEDIA_MAX_OPS];
    ilki_buf ops, b;
    uint32_t id;
    size_t n;
    char name[32];
    ilki_base_buf_init(&ops, 4096);
    ilki_base_buf_init(&b, 4096);
    ilki_media_add_open(&ops, "docx");
    ilki_media_add_op(&ops, ILKI_MEDIA_CROP, "0123456789abcdef", 16);
    ilki_media_add_text(&ops, 77);
    ilki_media_put_request(&b, 5, ops.data, ops.len);
    REQUIRE(CHECK_OK(ilki_media_get_request(&id, steps, &n, b.data, b.len, NULL), NULL));
    CHECK_INT(id, 5);
    CHECK_INT(n, 3);
    CHECK_INT(steps[0].op, ILKI_MEDIA_OPEN);
    CHECK(ilki_media_get_str(&steps[0].args, name, sizeof name));
    CHECK_STR(name, "docx");
    CHECK_INT(steps[1].op, ILKI_MEDIA_CROP);
    CHECK_INT(ilki_base_cur_left(&steps[1].args), 16);
    CHECK_INT(ilki_base_cur_u64(&steps[2].args), 77);
    for (size_t k = 0; k < b.len; k++)
        CHECK_STATUS(ilki_media_get_request(&id, steps, &n, b.data, k, NULL), ILK_BAD_FORMAT, NULL);
    ilki_base_buf_addc(&b, 'x');
    CHECK_STATUS(ilki_media_get_request(&id, steps, &n, b.data, b.len, NULL), ILK_BAD_FORMAT, NULL);
    ilki_base_buf_deinit(&ops);
    ilki_base_buf_deinit(&b);
}

static void answer(void)
{
    static ilki_media_answer got;
    const ilki_media_answer a = {.id = 9,
                                 .form = ILKI_MEDIA_FORM_PIXELS,
                                 .width = 5,
                                 .height = 3,
                                 .channels = 4,
                                 .frames = 2,
                                 .source_width = 50,
                                 .source_height = 30,
                                 .n_bytes = 120,
                                 .message = ""};
    ilki_buf b;
    ilki_base_buf_init(&b, 4096);
    ilki_media_put_answer(&b, &a);
    CHECK_OK(ilki_media_get_answer(&got, b.data, b.len, NULL), NULL);
    CHECK(got.id == 9 && got.width == 5 && got.height == 3 && got.channels == 4 && got.frames == 2);
    CHECK(got.source_width == 50 && got.source_height == 30 && got.n_bytes == 120);
    for (size_t n = 0; n < b.len; n++)
        CHECK_STATUS(ilki_media_get_answer(&got, b.data, n, NULL), ILK_BAD_FORMAT, NULL);
    for (size_t i = 0; i < 8 * b.len; i++) {
        b.data[i / 8] ^= (char)(1 << i % 8);
        if (ilki_media_get_answer(&got, b.data, b.len, NULL) == ILK_OK && got.form == ILKI_MEDIA_FORM_PIXELS &&
            !got.status)
            CHECK((uint64_t)got.width * got.height * got.channels * got.frames == got.n_bytes);
        b.data[i / 8] ^= (char)(1 << i % 8);
    }
    ilki_base_buf_deinit(&b);
}

/* What a decoder says becomes part of a line. */
static void message(void)
{
    static ilki_media_answer got;
    const ilki_media_answer a = {.status = ILK_BAD_FORMAT, .message = "Invalid:\n\tno \x1b[31mbox \xc3\xa4\x7f\r\n \n"};
    ilki_buf b;
    ilki_base_buf_init(&b, 4096);
    ilki_media_put_answer(&b, &a);
    CHECK_OK(ilki_media_get_answer(&got, b.data, b.len, NULL), NULL);
    CHECK_STR(got.message, "Invalid:  no  [31mbox \xc3\xa4");
    ilki_base_buf_deinit(&b);
}

TEST_MAIN({"hello", hello}, {"request", request}, {"answer", answer}, {"message", message})
