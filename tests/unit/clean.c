/* SPDX-License-Identifier: Apache-2.0
 * Texts as open_clip cleans them (tests/fixtures/clean, by tools/gen_entities.py); bytes that are no UTF-8; a ceiling. */
#include "text/clean.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "net.h"
#include "random.h"
#include "test.h"
#include "text/part.h"
#include "tokenizer_files.h"

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

/* ---- a limit lets the rest of a text be */

static size_t make_text(char *to, size_t room, uint64_t *state)
{
    static const char *const parts[] = {"search ",
                                        "a red bicycle ",
                                        " ",
                                        "\n",
                                        "\t",
                                        "  \r\n ",
                                        "_",
                                        "-",
                                        ".",
                                        "&amp;",
                                        "&amp;amp;lt;",
                                        "&#65;",
                                        "&#x20;",
                                        "&nbsp;",
                                        "&amp",
                                        "&",
                                        "&no",
                                        "&#",
                                        "\xc3\xa9 ",
                                        "\xe7\x8c\xab",
                                        "\xe2\x82",
                                        "\xff",
                                        "\xc2\xa0",
                                        "\xe2\x80\xa8",
                                        "e\xcc\x81 ",
                                        "<|endoftext|>",
                                        "<mask> ",
                                        "1234 ",
                                        "It's ",
                                        "&quot;x&quot; "};
    size_t n = 0, n_wild = test_random(state) % 8;
    while (n + 32 < room) {
        bool wild = test_random(state) % 8 < n_wild;
        const char *part = parts[wild ? test_random(state) % (sizeof parts / sizeof *parts) : test_random(state) % 2];
        memcpy(to + n, part, strlen(part));
        n += strlen(part);
    }
    return n;
}

/* A limited text has the tokens and spans that the cleaned whole has; of what is dropped the count ends somewhere past it. */
static void limited(void)
{
    static const char *const folders[] = {"tok-clip", "tok-bert-uncased", "tok-xlm-r", "tok-siglip2", "tok-t5"};
    enum { ROOM = 60000 };
    char *text = malloc(ROOM);
    uint64_t state = 7;
    size_t n_less = 0;
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        char dir[1024];
        ilki_tokenizer *t = NULL;
        ilk_error opened;
        ilk_error_init(&opened);
        snprintf(dir, sizeof dir, ILK_TEST_DIR "/fixtures/%s", folders[f]);
        CHECK_OK(test_open_tokenizer(&t, dir, ILKI_TOKENIZER_DEFAULT, &opened), &opened);
        ilki_text_scratch *s = ilki_text_scratch_new();
        for (unsigned k = 0; t && k < 40 * test_scale(); k++) {
            ilki_text_cleaning how = k % 2 ? ILKI_CLEAN_WHITESPACE : ILKI_CLEAN_CANONICALIZE;
            ilki_encoding whole = {0}, part = {0};
            ilki_encode_options o = {.max_tokens = 1 + test_random(&state) % 80};
            ilki_buf out, between;
            ilk_error err;
            ilk_error_init(&err);
            ilki_base_buf_init(&out, 1 << 20);
            ilki_base_buf_init(&between, 1 << 20);
            size_t n = make_text(text, ROOM, &state);
            CHECK_OK(ilki_text_clean(&out, &between, how, text, n, &err), &err);
            ilki_text_set_cleaning(t, ILKI_CLEAN_NONE);
            CHECK_OK(ilki_text_encode(t, s, ilki_base_buf_view(&out), out.len, &o, &whole, &err), &err);
            ilki_text_set_cleaning(t, how);
            CHECK_OK(ilki_text_encode(t, s, text, n, &o, &part, &err), &err);
            CHECK_THAT(
                part.n == whole.n && memcmp(part.ids, whole.ids, part.n * sizeof *part.ids) == 0 &&
                    memcmp(part.spans, whole.spans, part.n * sizeof *part.spans) == 0 &&
                    part.n_dropped_more == whole.n_dropped_more &&
                    (part.n_dropped_more ? part.n_dropped <= whole.n_dropped : part.n_dropped == whole.n_dropped),
                "%s, text %u: %zu and %zu of %zu and %zu", folders[f], k, part.n, part.n_dropped, whole.n,
                whole.n_dropped);
            n_less += s->cleaned.len < out.len / 2;
            ilki_base_buf_deinit(&out);
            ilki_base_buf_deinit(&between);
            ilki_text_encoding_deinit(&whole);
            ilki_text_encoding_deinit(&part);
        }
        ilki_text_scratch_free(s);
        ilki_text_tokenizer_free(t);
    }
    CHECK_THAT(n_less > 100, "%zu of 200 texts were cleaned in part", n_less);
    free(text);
}

TEST_MAIN({"as_open_clip", as_open_clip}, {"bytes", bytes}, {"limited", limited})
