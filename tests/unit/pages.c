/* SPDX-License-Identifier: Apache-2.0
 * Text in pages. */
#include "docs/docs.h"
#include "test.h"

static void pages(void)
{
    static const char text[] = "one\n\f \n\f\xff three\0x\n\f";
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_docs_read_pages(&doc, "pdf", text, sizeof text - 1, &err), &err));
    CHECK_STR(doc->kind, "pdf");
    REQUIRE(CHECK_INT(doc->n_segments, 2));
    CHECK_INT(doc->segments[0].page, 1);
    CHECK_INT(doc->segments[1].page, 3);
    CHECK_INT(doc->segments[0].line_first, 0);
    CHECK_INT(ilki_docs_line(doc, 0), 0);
    CHECK_MEM(doc->text + doc->segments[0].start, "one", 3);
    CHECK_MEM(doc->text + doc->segments[1].start, "\xef\xbf\xbd three\xef\xbf\xbdx", 13);
    CHECK_INT(doc->segments[1].end - doc->segments[1].start, 13);
    CHECK(strlen(doc->text) == doc->n_text);
    ilki_docs_free(doc);
}

static void unended(void)
{
    ilki_doc *doc = NULL;
    REQUIRE(CHECK_OK(ilki_docs_read_pages(&doc, "pdf", "a\fb", 3, NULL), NULL));
    CHECK_INT(doc->n_segments, 2);
    CHECK_INT(doc->segments[1].page, 2);
    ilki_docs_free(doc);
}

static void without_text(void)
{
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_docs_read_pages(&doc, "pdf", "\f \n\f", 4, &err), ILK_UNSUPPORTED, &err);
    CHECK_STR(err.message, "no text on its 2 pages: they may be scanned pictures");
    CHECK(doc == NULL);
    CHECK_STATUS(ilki_docs_read_pages(&doc, "pdf", "", 0, &err), ILK_UNSUPPORTED, &err);
}

TEST_MAIN({"pages", pages}, {"unended", unended}, {"without_text", without_text})
