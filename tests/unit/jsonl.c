/* SPDX-License-Identifier: Apache-2.0
 * JSON lines: which strings are text, lines, what is passed over. More in the goldens of tests/unit/documents.c. */
#include "docs/docs.h"
#include "test.h"

static ilki_doc *read_text(const char *text)
{
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_docs_read(&doc, "a.jsonl", text, strlen(text), 0, &err), &err);
    return doc;
}

#define CHECK_TEXT(json, want)                                                                                         \
    do {                                                                                                               \
        ilki_doc *one = read_text(json);                                                                               \
        CHECK(one != NULL);                                                                                            \
        if (one)                                                                                                       \
            CHECK_STR(one->text, want);                                                                                \
        ilki_docs_free(one);                                                                                           \
    } while (0)

static void fields(void)
{
    CHECK_TEXT("{\"text\":\"a\",\"other\":\"b\"}", "a\n");
    CHECK_TEXT("{\"text\":\"a\",\"title\":\"t\"}", "t\na\n");
    CHECK_TEXT("{\"question\":\"q\",\"answer\":\"a\"}", "q\na\n");
    CHECK_TEXT("{\"body\":\"b\",\"abstract\":\"x\"}", "b\nx\n");
    CHECK_TEXT("{\"title\":\"t\",\"k\":{\"z\":[\"deep\",1,null]}}", "t\ndeep\n");
    CHECK_TEXT("{\"text\":\" \",\"k\":\"v\"}", "v\n");
    CHECK_TEXT("[[\"a\",[\"b\"]],\"c\"]", "a\nb\nc\n");
    CHECK_TEXT("\"s\"", "s\n");
}

static void lines(void)
{
    ilki_doc *doc = read_text("{\"text\":\"a\\nb\"}\r\n\r\n17\n{\"text\":\"c\"}\n{");
    REQUIRE(CHECK(doc != NULL));
    REQUIRE(CHECK_INT(doc->n_segments, 2));
    CHECK_INT(doc->segments[0].line_first, 1);
    CHECK_INT(doc->segments[0].line_last, 1);
    CHECK_INT(doc->segments[1].line_first, 4);
    CHECK(doc->note && strstr(doc->note, "line 3 passed over: no text in it (and more such lines)"));
    ilki_docs_free(doc);
}

static void deep(void)
{
    char text[4096] = "";
    for (int i = 0; i < 1000; i++)
        text[i] = '[';
    ilki_doc *doc = read_text(text);
    REQUIRE(CHECK(doc != NULL));
    CHECK_INT(doc->n_segments, 0);
    CHECK(doc->note && strstr(doc->note, "line 1 passed over"));
    ilki_docs_free(doc);
}

TEST_MAIN({"fields", fields}, {"lines", lines}, {"deep", deep})
