/* SPDX-License-Identifier: Apache-2.0
 * Documents as bytes: there and back, cut short, and told lies about. */
#include <stdlib.h>

#include "base/mem.h"
#include "docs/docs.h"
#include "test.h"

static const char text[] = "# One\n\nFirst text.\n\n# Two\n\nSecond t\303\251xt.\n";

static bool pack(ilki_buf *b)
{
    ilki_doc *doc = NULL;
    ilki_base_buf_init(b, 1 << 20);
    if (!CHECK_OK(ilki_docs_read(&doc, "a.md", text, sizeof text - 1, 0, NULL), NULL))
        return false;
    doc->segments[1].page = 7;
    ilki_docs_pack(doc, b);
    ilki_docs_free(doc);
    return CHECK(!b->failed);
}

static void there_and_back(void)
{
    ilki_buf b;
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(pack(&b));
    if (CHECK_OK(ilki_docs_unpack(&doc, "html", b.data, b.len, 0, &err), &err)) {
        CHECK_STR(doc->kind, "html");
        CHECK_INT(doc->n_text, sizeof text);
        CHECK_MEM(doc->text, text, sizeof text - 1);
        CHECK_STR(doc->title, "One");
        CHECK_INT(doc->n_segments, 2);
        CHECK_STR(doc->segments[0].context, "One");
        CHECK_INT(doc->segments[0].line_first, 3);
        CHECK_INT(doc->segments[1].line_first, 7);
        CHECK_INT(doc->segments[1].page, 7);
        CHECK_INT(doc->segments[0].page, 0);
        ilki_docs_free(doc);
    }
    CHECK_STATUS(ilki_docs_unpack(&doc, "html", b.data, b.len, 10, &err), ILK_LIMIT, &err);
    ilki_base_buf_deinit(&b);
}

static void cut_and_turned(void)
{
    ilki_buf b;
    ilki_doc *doc = NULL;
    REQUIRE(pack(&b));
    for (size_t n = 0; n < b.len; n++) {
        unsigned char *copy = malloc(n ? n : 1); /* the sanitizer sees the first byte too far */
        REQUIRE(CHECK(copy != NULL));
        memcpy(copy, b.data, n);
        CHECK_STATUS(ilki_docs_unpack(&doc, "html", copy, n, 0, NULL), ILK_BAD_FORMAT, NULL);
        free(copy);
    }
    ilki_base_buf_addc(&b, 'x');
    CHECK_STATUS(ilki_docs_unpack(&doc, "html", b.data, b.len, 0, NULL), ILK_BAD_FORMAT, NULL);
    ilki_base_buf_truncate(&b, b.len - 1);
    for (size_t i = 0; i < b.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            b.data[i] ^= (char)(1 << bit);
            if (ilki_docs_unpack(&doc, "html", b.data, b.len, 0, NULL) == ILK_OK) {
                for (size_t k = 0, last = 0; k < doc->n_segments; last = doc->segments[k++].end)
                    CHECK(doc->segments[k].start >= last && doc->segments[k].end <= doc->n_text);
                ilki_docs_free(doc);
            }
            b.data[i] ^= (char)(1 << bit);
        }
    ilki_base_buf_deinit(&b);
}

TEST_MAIN({"there_and_back", there_and_back}, {"cut_and_turned", cut_and_turned})
