/* SPDX-License-Identifier: Apache-2.0
 * reStructuredText, as far as sections need it: a title is a line over (and maybe under) a line of one punctuation
 * character at least as long as it. The level of a style is the order in which the styles first appear, as docutils has
 * it. Directives and comments stay in the text. */
#include <stdlib.h>
#include <string.h>

#include "docs/kinds.h"

static bool probe(const char *name, const char *head, size_t n)
{
    (void)head;
    (void)n;
    return ilki_docs_has_suffix(name, ".rst") || ilki_docs_has_suffix(name, ".rest");
}

typedef struct line {
    size_t start, end; /* without trailing white space */
} line;

static bool next(const ilki_doc *doc, size_t *at, line *l)
{
    if (!ilki_docs_next_line(doc->text, doc->n_text, at, &l->start, &l->end))
        return false;
    while (l->end > l->start && ilki_docs_blank(doc->text + l->end - 1, 1))
        l->end--;
    return true;
}

/* The character of an adornment line, 0 for any other line. */
static char adornment(const ilki_doc *doc, line l)
{
    const char *s = doc->text + l.start;
    size_t n = l.end - l.start;
    if (n < 2 || !strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", s[0]))
        return 0;
    for (size_t i = 1; i < n; i++)
        if (s[i] != s[0])
            return 0;
    return s[0];
}

/* Characters, which is what an underline is measured against; wide ones are taken as one, so a short underline passes. */
static size_t width(const char *s, size_t n)
{
    size_t w = 0;
    for (size_t i = 0; i < n; i++)
        w += ((unsigned char)s[i] & 0xc0) != 0x80;
    return w;
}

static bool underlines(const ilki_doc *doc, line title, line under)
{
    size_t n = title.end - title.start;
    return n > 0 && adornment(doc, under) && !adornment(doc, title) &&
           under.end - under.start >= width(doc->text + title.start, n);
}

typedef struct reader {
    ilki_doc *doc;
    ilki_headings h;
    char style[ILKI_DOCS_LEVELS][2]; /* character, overlined */
    unsigned n_styles;
    size_t begin;
} reader;

static unsigned level_of(reader *r, char c, bool over)
{
    for (unsigned i = 0; i < r->n_styles; i++)
        if (r->style[i][0] == c && r->style[i][1] == over)
            return i + 1;
    if (r->n_styles < ILKI_DOCS_LEVELS) {
        r->style[r->n_styles][0] = c;
        r->style[r->n_styles][1] = over;
        r->n_styles++;
    }
    return r->n_styles;
}

/* Ends the section before `cut` and begins one behind `next_at` under the title. */
static ilk_status begin_section(reader *r, size_t cut, line title, char c, bool over, size_t next_at, ilk_error *err)
{
    ilki_doc *doc = r->doc;
    ilk_status st = ilki_docs_add_segment(doc, r->begin, cut, r->h.path, false, err);
    while (title.start < title.end && doc->text[title.start] == ' ')
        title.start++;
    ilki_docs_heading(&r->h, level_of(r, c, over), doc->text + title.start, title.end - title.start);
    r->begin = next_at;
    if (st == ILK_OK && !doc->title) {
        doc->title = ilki_base_strndup(doc->text + title.start, title.end - title.start);
        if (!doc->title)
            st = ilki_base_fail_memory(err, title.end - title.start + 1, "the title of a document");
    }
    return st;
}

static ilk_status read_sections(reader *r, ilk_error *err)
{
    ilk_status st = ILK_OK;
    size_t at = 0, at2, at3;
    line l, l2, l3;
    bool blank_before = true;
    while (st == ILK_OK && next(r->doc, &at, &l)) {
        char c = adornment(r->doc, l);
        at2 = at;
        bool two = next(r->doc, &at2, &l2);
        at3 = at2;
        bool three = two && next(r->doc, &at3, &l3);
        if (c && three && l2.end > l2.start && adornment(r->doc, l3) == c && l3.end - l3.start == l.end - l.start &&
            underlines(r->doc, l2, l3)) {
            st = begin_section(r, l.start, l2, c, true, at3, err);
            at = at3;
            blank_before = true;
        } else if (!c && two && blank_before && underlines(r->doc, l, l2)) {
            st = begin_section(r, l.start, l, adornment(r->doc, l2), false, at2, err);
            at = at2;
            blank_before = true;
        } else {
            blank_before = l.end == l.start || strncmp(r->doc->text + l.start, ".. ", 3) == 0;
        }
        if (st == ILK_OK)
            st = ilki_docs_go_on(r->doc, err);
    }
    return st == ILK_OK ? ilki_docs_add_segment(r->doc, r->begin, r->doc->n_text, r->h.path, false, err) : st;
}

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    reader *r = ilki_base_zalloc(1, sizeof *r);
    (void)name;
    if (!r)
        return ilki_base_fail_memory(err, sizeof *r, "the headings of a document");
    r->doc = doc;
    ilk_status st = read_sections(r, err);
    free(r);
    return st;
}

const ilki_doc_kind ilki_docs_rst = {"rst", probe, read};
