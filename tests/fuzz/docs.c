/* SPDX-License-Identifier: Apache-2.0
 * Documents: the first byte chooses the file's name, the rest is its bytes. Segments of what is accepted lie in the text,
 * in order, with lines of the file. */
#include "docs/docs.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "must.h"

static const char *name_of(uint8_t c)
{
    static const char *const names[] = {"a.md",  "a.rst", "a.1",  "a.c",  "a.py", "A.java", "a.sh",
                                        "a.txt", "a.el",  "a.go", "a.js", "a.hs", "a.csv",  "a.jsonl"};
    static const char letters[] = "mr1cpjstegxhvl";
    for (size_t i = 0; i < sizeof letters - 1; i++)
        if (letters[i] == (char)c)
            return names[i];
    return names[c % (sizeof names / sizeof *names)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_doc *doc = NULL;
    if (n == 0)
        return 0;
    if (ilki_docs_read(&doc, name_of(data[0]), data + 1, n - 1, 1 << 16, NULL) != ILK_OK) {
        MUST(doc == NULL);
        return 0;
    }
    size_t last = 0;
    for (size_t i = 0; i < doc->n_segments; i++) {
        const ilki_doc_segment *s = &doc->segments[i];
        MUST(ilki_base_utf8_valid(doc->text + s->start, s->end - s->start));
        MUST(s->start >= last && s->end > s->start && s->end <= doc->n_text);
        MUST(s->line_first >= 1 && s->line_last >= s->line_first && s->context != NULL);
        MUST(ilki_docs_line(doc, s->start) == s->line_first);
        last = s->end;
    }
    ilki_docs_free(doc);
    return 0;
}

#include "fuzz_main.h"
