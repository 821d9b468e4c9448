/* SPDX-License-Identifier: Apache-2.0
 * A document as the helper might send it: what is taken is a document, and packs to what is taken again. */
#include <stdlib.h>

#include "base/utf8.h"
#include "docs/docs.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_doc *doc = NULL, *again = NULL;
    ilki_buf b;
    if (ilki_docs_unpack(&doc, "x", data, n, 1 << 16, NULL) != ILK_OK) {
        MUST(doc == NULL);
        return 0;
    }
    size_t last = 0;
    for (size_t i = 0; i < doc->n_segments; last = doc->segments[i++].end) {
        const ilki_doc_segment *s = &doc->segments[i];
        MUST(s->start >= last && s->end > s->start && s->end <= doc->n_text);
        MUST(ilki_base_utf8_valid(doc->text + s->start, s->end - s->start));
        MUST(ilki_docs_line(doc, s->start) == s->line_first);
    }
    ilki_base_buf_init(&b, 1 << 20);
    ilki_docs_pack(doc, &b);
    MUST(b.failed || ilki_docs_unpack(&again, "x", b.data, b.len, 1 << 16, NULL) == ILK_OK);
    MUST(b.failed || again->n_segments == doc->n_segments);
    ilki_docs_free(again);
    ilki_docs_free(doc);
    ilki_base_buf_deinit(&b);
    return 0;
}

#include "fuzz_main.h"
