/* SPDX-License-Identifier: Apache-2.0
 * Texts as open_clip cleans them (tests/fixtures/clean, by tools/gen_entities.py); bytes that are no UTF-8; a ceiling. */
#include "text/clean.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "net.h"
#include "test.h"

static void check_text(ilki_text_cleaning how, const char *text, const char *want)
{
    ilki_buf out, between;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&out, 1 << 20);
    ilki_base_buf_init(&between, 1 << 20);
    CHECK_OK(ilki_text_clean(&out, &between, how, text, strlen(text), &err), &err);
    const char *got = ilki_base_buf_view(&out);
    CHECK_THAT(strcmp(got, want) == 0, "\"%s\": \"%s\", want \"%s\"", text, got, want);
    ilki_base_buf_deinit(&out);
    ilki_base_buf_deinit(&between);
}

static void as_open_clip(void)
{
    ilki_json *j = NULL;
    size_t n = 0;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_read_json(&j, ILK_TEST_DIR "/fixtures/clean", "cases.json", &err), &err));
    for (ilki_json_node row = ilki_base_json_first(j, ilki_base_json_root(j)); row;
         row = ilki_base_json_next(j, row), n++) {
        const char *text[3];
        ilki_json_node v = ilki_base_json_first(j, row);
        for (size_t i = 0; i < 3; i++, v = ilki_base_json_next(j, v))
            text[i] = ilki_base_json_string(j, v, NULL);
        if (CHECK(text[0] && text[1] && text[2])) {
            check_text(ILKI_CLEAN_WHITESPACE, text[0], text[1]);
            check_text(ILKI_CLEAN_CANONICALIZE, text[0], text[2]);
        }
    }
    CHECK(n > 200);
    ilki_base_json_free(j);
}

/* Any bytes give valid UTF-8, and a ceiling is an error. */
static void bytes(void)
{
    static const char broken[] = "a\xff&\xc3;&amp\xe2\x82;&#x\0;&\0b";
    ilki_buf out, between;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&out, 64);
    ilki_base_buf_init(&between, 64);
    for (size_t n = 0; n <= sizeof broken; n++) {
        CHECK_OK(ilki_text_clean(&out, &between, ILKI_CLEAN_CANONICALIZE, broken, n, &err), &err);
        CHECK(ilki_base_utf8_valid(ilki_base_buf_view(&out), out.len));
    }
    char lots[100];
    memset(lots, 'x', sizeof lots);
    CHECK_STATUS(ilki_text_clean(&out, &between, ILKI_CLEAN_WHITESPACE, lots, sizeof lots, &err), ILK_LIMIT, &err);
    ilki_base_buf_deinit(&out);
    ilki_base_buf_deinit(&between);
}

TEST_MAIN({"as_open_clip", as_open_clip}, {"bytes", bytes})
