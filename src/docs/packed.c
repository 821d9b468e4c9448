/* SPDX-License-Identifier: Apache-2.0
 * A document as bytes. Little-endian; str is u32 n and n bytes of UTF-8 without NUL:
 *   u32 'ILKD', u8 flags (1: no lines, 2: a line map follows), str title, str note, str text,
 *   [u32 n, u32 line[n]]  one for each line of text, none past the end of the file
 *   u32 n, n of {u32 start, u32 end, u32 page, u8 code, str context}
 * Who reads them trusts nothing: a segment must lie in the text behind the one before it, at borders of characters. Lines
 * of segments are counted anew. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "docs/docs.h"
#include "docs/kinds.h"

#define MAGIC       0x444b4c49u
#define MAX_TITLE   4096
#define MAX_NOTE    1000
#define MAX_CONTEXT 4096

enum { NO_LINES = 1, LINE_MAP = 2 };

static void put_str(ilki_buf *b, const char *s, size_t n)
{
    ilki_base_buf_put_u32(b, (uint32_t)n);
    ilki_base_buf_add(b, s, n);
}

void ilki_docs_pack(const ilki_doc *doc, ilki_buf *b)
{
    bool map = doc->line_of != NULL && !doc->no_lines;
    ilki_base_buf_put_u32(b, MAGIC);
    ilki_base_buf_put_u8(b, (uint8_t)((doc->no_lines ? NO_LINES : 0) | (map ? LINE_MAP : 0)));
    put_str(b, doc->title ? doc->title : "", doc->title ? strlen(doc->title) : 0);
    put_str(b, doc->note ? doc->note : "", doc->note ? strlen(doc->note) : 0);
    put_str(b, doc->text ? doc->text : "", doc->n_text);
    if (map) {
        ilki_base_buf_put_u32(b, (uint32_t)doc->n_lines);
        for (size_t i = 0; i < doc->n_lines; i++)
            ilki_base_buf_put_u32(b, doc->line_of[i]);
    }
    ilki_base_buf_put_u32(b, (uint32_t)doc->n_segments);
    for (size_t i = 0; i < doc->n_segments; i++) {
        const ilki_doc_segment *s = &doc->segments[i];
        ilki_base_buf_put_u32(b, (uint32_t)s->start);
        ilki_base_buf_put_u32(b, (uint32_t)s->end);
        ilki_base_buf_put_u32(b, s->page);
        ilki_base_buf_put_u8(b, s->code);
        put_str(b, s->context, strlen(s->context));
    }
}

/* ---- reading */

static ilk_status broken(const char *what, ilk_error *err)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "packed document: %s", what);
}

/* A string of at most `max` bytes; NULL: it is not one. */
static const char *get_str(ilki_cur *c, size_t max, size_t *n)
{
    *n = ilki_base_cur_u32(c);
    const char *p = *n <= max ? (const char *)ilki_base_cur_bytes(c, *n) : NULL;
    return p && !memchr(p, '\0', *n) && ilki_base_utf8_valid(p, *n) ? p : NULL;
}

/* A string that a document owns; empty: NULL. */
static ilk_status take_str(ilki_cur *c, size_t max, char **to, ilk_error *err)
{
    size_t n;
    const char *s = get_str(c, max, &n);
    if (!s)
        return broken("malformed title or note", err);
    *to = n ? ilki_base_strndup(s, n) : NULL;
    return n && !*to ? ilki_base_fail_memory(err, n + 1, "a document") : ILK_OK;
}

static ilk_status take_text(ilki_cur *c, size_t max, ilki_doc *doc, ilk_error *err)
{
    ilki_cur peek = *c;
    size_t n = ilki_base_cur_u32(&peek);
    if (n > max)
        return ilki_base_fail(err, ILK_LIMIT, "its text of %zu bytes is over the limit of %zu", n, max);
    const char *s = get_str(c, max, &n);
    if (!s)
        return broken("malformed text", err);
    doc->text = ilki_base_strndup(s, n);
    doc->n_text = n;
    return doc->text ? ILK_OK : ilki_base_fail_memory(err, n + 1, "a document");
}

static ilk_status take_lines(ilki_cur *c, ilki_doc *doc, ilk_error *err)
{
    size_t n = ilki_base_cur_u32(c), size;
    if (c->bad || n == 0 || n > ilki_base_cur_left(c) / 4 || !ilki_base_mul(n, sizeof *doc->line_of, &size))
        return broken("malformed map of lines", err);
    doc->line_of = malloc(size);
    if (!doc->line_of)
        return ilki_base_fail_memory(err, size, "lines of a document");
    doc->n_lines = n;
    for (size_t i = 0; i < n; i++) {
        doc->line_of[i] = ilki_base_cur_u32(c);
        if (doc->line_of[i] == 0 || (i && doc->line_of[i] < doc->line_of[i - 1]))
            return broken("lines that do not rise", err);
    }
    return ILK_OK;
}

static bool at_border(const ilki_doc *doc, size_t at)
{
    return at == doc->n_text || ((unsigned char)doc->text[at] & 0xc0) != 0x80;
}

static ilk_status take_segment(ilki_cur *c, ilki_doc *doc, size_t last, ilk_error *err)
{
    size_t start = ilki_base_cur_u32(c), end = ilki_base_cur_u32(c), n;
    uint32_t page = ilki_base_cur_u32(c), code = ilki_base_cur_u8(c);
    const char *s = get_str(c, MAX_CONTEXT, &n);
    if (!s || start < last || end <= start || end > doc->n_text || !at_border(doc, start) || !at_border(doc, end) ||
        code > 1)
        return broken("malformed segment", err);
    char *context = ilki_base_strndup(s, n);
    if (!context)
        return ilki_base_fail_memory(err, n + 1, "the heading of a section");
    size_t had = doc->n_segments;
    ilk_status st = ilki_docs_add_segment(doc, start, end, context, code == 1, err);
    free(context);
    if (st == ILK_OK && doc->n_segments > had)
        doc->segments[had].page = page;
    return st;
}

ilk_status ilki_docs_unpack(ilki_doc **out, const char *kind, const void *data, size_t n, size_t max_text_bytes,
                            ilk_error *err)
{
    ilki_cur c;
    ilki_base_cur_init(&c, data, n);
    *out = NULL;
    ilki_doc *doc = ilki_base_zalloc(1, sizeof *doc);
    if (!doc)
        return ilki_base_fail_memory(err, sizeof *doc, "a document");
    doc->kind = kind;
    bool ours = ilki_base_cur_u32(&c) == MAGIC;
    unsigned flags = ilki_base_cur_u8(&c);
    ilk_status st = c.bad || !ours || flags > (NO_LINES | LINE_MAP) ? broken("not one of this version", err) : ILK_OK;
    doc->no_lines = flags & NO_LINES;
    if (st == ILK_OK)
        st = take_str(&c, MAX_TITLE, &doc->title, err);
    if (st == ILK_OK)
        st = take_str(&c, MAX_NOTE, &doc->note, err);
    if (st == ILK_OK)
        st = take_text(&c, max_text_bytes ? max_text_bytes : ILKI_DOCS_MAX_TEXT, doc, err);
    if (st == ILK_OK && flags & LINE_MAP)
        st = take_lines(&c, doc, err);
    size_t n_segments = st == ILK_OK ? ilki_base_cur_u32(&c) : 0;
    for (size_t i = 0; st == ILK_OK && i < n_segments; i++)
        st = take_segment(&c, doc, doc->n_segments ? doc->segments[doc->n_segments - 1].end : 0, err);
    if (st == ILK_OK && (c.bad || ilki_base_cur_left(&c)))
        st = broken("it ends elsewhere than it should", err);
    if (st == ILK_OK)
        ilki_docs_number_lines(doc);
    if (st != ILK_OK) {
        ilki_docs_free(doc);
        return st;
    }
    *out = doc;
    return ILK_OK;
}
