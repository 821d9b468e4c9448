/* SPDX-License-Identifier: Apache-2.0
 * Text in pages, each ended by a form feed, as converters write it: a segment per page, with its number. Lines of such a
 * text are not lines of the file. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "docs/docs.h"
#include "docs/kinds.h"

/* UTF-8 without NUL or form feeds, which become newlines: the pages are kept apart by their segments. */
static void put_page(ilki_buf *b, const char *s, size_t n)
{
    if (ilki_base_utf8_valid(s, n) && !memchr(s, '\0', n)) {
        ilki_base_buf_add(b, s, n);
        return;
    }
    for (size_t at = 0, len; at < n && !b->failed; at += len) {
        char u[4];
        uint32_t cp = ilki_base_utf8_get(s + at, n - at, &len);
        ilki_base_buf_add(b, u, ilki_base_utf8_put(cp ? cp : 0xfffd, u));
    }
}

static ilk_status add_pages(ilki_doc *doc, const size_t *ends, size_t n_pages, ilk_error *err)
{
    size_t start = 0;
    for (size_t i = 0; i < n_pages; i++) {
        size_t had = doc->n_segments;
        ilk_status st = ilki_docs_add_segment(doc, start, ends[i], "", false, err);
        if (st != ILK_OK)
            return st;
        if (doc->n_segments > had)
            doc->segments[had].page = (uint32_t)(i + 1);
        start = ends[i];
    }
    return ILK_OK;
}

static ilk_status read_pages(ilki_doc *doc, const char *text, size_t n, size_t **ends, size_t *n_pages, ilk_error *err)
{
    ilki_buf b;
    size_t cap = 0;
    ilki_base_buf_init(&b, n * 3 + 16);
    for (size_t at = 0; at < n && !b.failed;) {
        const char *feed = memchr(text + at, '\f', n - at);
        size_t end = feed ? (size_t)(feed - text) : n;
        if (*n_pages == cap) {
            cap = cap ? cap * 2 : 64;
            size_t *more = realloc(*ends, cap * sizeof *more);
            if (!more) {
                ilki_base_buf_deinit(&b);
                return ilki_base_fail_memory(err, cap * sizeof *more, "pages");
            }
            *ends = more;
        }
        put_page(&b, text + at, end - at);
        ilki_base_buf_addc(&b, '\n');
        (*ends)[(*n_pages)++] = b.len;
        at = end + (feed != NULL);
    }
    ilk_status st = ilki_base_buf_check(&b, "pages", err);
    if (st == ILK_OK && *n_pages)
        doc->text = ilki_base_buf_take(&b, &doc->n_text);
    ilki_base_buf_deinit(&b);
    return st;
}

ilk_status ilki_docs_read_pages(ilki_doc **out, const char *kind, const char *text, size_t n, ilk_error *err)
{
    size_t *ends = NULL, n_pages = 0;
    *out = NULL;
    ilki_doc *doc = ilki_base_zalloc(1, sizeof *doc);
    if (!doc)
        return ilki_base_fail_memory(err, sizeof *doc, "a document");
    doc->kind = kind;
    doc->no_lines = true;
    ilk_status st = read_pages(doc, text, n, &ends, &n_pages, err);
    if (st == ILK_OK)
        st = add_pages(doc, ends, n_pages, err);
    if (st == ILK_OK && doc->n_segments == 0)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "no text on its %zu pages: they may be scanned pictures", n_pages);
    free(ends);
    if (st != ILK_OK) {
        ilki_docs_free(doc);
        return st;
    }
    *out = doc;
    return ILK_OK;
}
