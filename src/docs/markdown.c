/* SPDX-License-Identifier: Apache-2.0
 * Markdown (CommonMark's block structure as far as sections need it): ATX and setext headings, fenced code in which
 * nothing is a heading, YAML front matter with a title. A section is the text between two headings; the headings above it
 * are its context, their lines are not part of it. */
#include <stdlib.h>
#include <string.h>

#include "docs/kinds.h"

static bool probe(const char *name, const char *head, size_t n)
{
    (void)head;
    (void)n;
    return ilki_docs_has_suffix(name, ".md") || ilki_docs_has_suffix(name, ".markdown") ||
           ilki_docs_has_suffix(name, ".mkd") || ilki_docs_has_suffix(name, ".mdx") ||
           ilki_docs_has_suffix(name, ".rmd") || ilki_docs_has_suffix(name, ".qmd");
}

/* Up to three spaces, then one to six '#', then space or end: the level, and the title without closing '#'s. */
static unsigned atx(const char *s, size_t n, const char **title, size_t *n_title)
{
    size_t i = 0, level = 0;
    while (i < n && i < 3 && s[i] == ' ')
        i++;
    while (i < n && s[i] == '#') {
        i++;
        level++;
    }
    if (level < 1 || level > 6 || (i < n && s[i] != ' ' && s[i] != '\t'))
        return 0;
    while (i < n && (s[i] == ' ' || s[i] == '\t'))
        i++;
    while (n > i && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    size_t bare = n;
    while (bare > i && s[bare - 1] == '#')
        bare--;
    if (bare == i || s[bare - 1] == ' ')
        n = bare;
    while (n > i && s[n - 1] == ' ')
        n--;
    *title = s + i;
    *n_title = n - i;
    return (unsigned)level;
}

/* A line of '=' (1) or '-' (2) alone; 0 otherwise. */
static unsigned setext(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && i < 3 && s[i] == ' ')
        i++;
    while (n > i && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    if (i == n || (s[i] != '=' && s[i] != '-'))
        return 0;
    for (size_t k = i; k < n; k++)
        if (s[k] != s[i])
            return 0;
    return s[i] == '=' ? 1 : 2;
}

/* The fence character and its count where the line opens or closes a fence. */
static size_t fence(const char *s, size_t n, char *c)
{
    size_t i = 0, k = 0;
    while (i < n && i < 3 && s[i] == ' ')
        i++;
    if (i == n || (s[i] != '`' && s[i] != '~'))
        return 0;
    *c = s[i];
    while (i + k < n && s[i + k] == *c)
        k++;
    return k >= 3 ? k : 0;
}

static ilk_status set_title(ilki_doc *doc, const char *s, size_t n, ilk_error *err)
{
    if (doc->title || n == 0)
        return ILK_OK;
    doc->title = ilki_base_strndup(s, n);
    return doc->title ? ILK_OK : ilki_base_fail_memory(err, n + 1, "the title of a document");
}

/* "---" … "---" at the very beginning: behind it the text begins; `title:` in it names the document. */
static size_t front_matter(ilki_doc *doc, ilk_error *err, ilk_status *st)
{
    size_t at = 0, a, b;
    const char *t = doc->text;
    if (!ilki_docs_next_line(t, doc->n_text, &at, &a, &b) || b - a != 3 || memcmp(t + a, "---", 3) != 0)
        return 0;
    const char *title = NULL;
    size_t n_title = 0;
    while (ilki_docs_next_line(t, doc->n_text, &at, &a, &b)) {
        if (b - a > 6 && memcmp(t + a, "title:", 6) == 0) {
            a += 6;
            while (a < b && (t[a] == ' ' || t[a] == '"' || t[a] == '\''))
                a++;
            while (b > a && (t[b - 1] == ' ' || t[b - 1] == '"' || t[b - 1] == '\''))
                b--;
            title = t + a;
            n_title = b - a;
        } else if (b - a == 3 && (memcmp(t + a, "---", 3) == 0 || memcmp(t + a, "...", 3) == 0)) {
            *st = set_title(doc, title, n_title, err);
            return at;
        }
    }
    return 0;
}

static ilk_status read_sections(ilki_doc *doc, ilki_headings *h, ilk_error *err)
{
    ilk_status st = ILK_OK;
    const char *t = doc->text;
    size_t at = front_matter(doc, err, &st), a, b, begin = at;
    size_t prev_a = 0, prev_n = 0; /* a paragraph's first line, just read: an underline would make it a heading */
    size_t fence_n = 0;
    char fence_c = 0;
    bool blank_before = true;
    while (st == ILK_OK && ilki_docs_next_line(t, doc->n_text, &at, &a, &b)) {
        const char *title = NULL;
        size_t n_title = 0, n = b - a, cut = a;
        char c;
        size_t f = fence(t + a, n, &c);
        if (f && (!fence_n || (c == fence_c && f >= fence_n && ilki_docs_blank(t + a + f, n > f ? n - f : 0)))) {
            fence_n = fence_n ? 0 : f;
            fence_c = c;
        }
        unsigned level = fence_n || f ? 0 : atx(t + a, n, &title, &n_title);
        if (!level && !fence_n && prev_n && (level = setext(t + a, n)) != 0) {
            title = t + prev_a;
            n_title = prev_n;
            cut = prev_a;
        }
        prev_n = 0;
        if (level) {
            st = ilki_docs_add_segment(doc, begin, cut, h->path, false, err);
            ilki_docs_heading(h, level, title, n_title);
            if (st == ILK_OK && level == 1)
                st = set_title(doc, title, n_title, err);
            begin = at;
        } else if (!fence_n && blank_before && n < 160 && !ilki_docs_blank(t + a, n) && !strchr("-*+>|#`", t[a])) {
            prev_a = a;
            prev_n = n;
        }
        blank_before = level || ilki_docs_blank(t + a, n);
        if (st == ILK_OK)
            st = ilki_docs_go_on(doc, err);
    }
    return st == ILK_OK ? ilki_docs_add_segment(doc, begin, doc->n_text, h->path, false, err) : st;
}

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    ilki_headings *h = ilki_base_zalloc(1, sizeof *h);
    (void)name;
    if (!h)
        return ilki_base_fail_memory(err, sizeof *h, "the headings of a document");
    ilk_status st = read_sections(doc, h, err);
    free(h);
    return st;
}

const ilki_doc_kind ilki_docs_markdown = {"markdown", probe, read};
