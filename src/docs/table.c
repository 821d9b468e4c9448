/* SPDX-License-Identifier: Apache-2.0
 * Tables of values with a separator (RFC 4180 and what is found in its place): the first row names the columns, each
 * other one becomes a segment of lines "name: value" under the numbers of its lines. The separator is the one of , ; tab |
 * that cuts the first rows into the same number of at least two fields most often. Quotes stand around fields, doubled
 * within them; a quote that never ends makes its row the rest of the file, so a field of more than a megabyte is taken as
 * one that was not quoted. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "docs/docs.h"
#include "docs/kinds.h"

enum { MAX_COLUMNS = 4096, MAX_FIELD = 1 << 20, SNIFF_ROWS = 20, MAX_NAME = 200 };

static bool probe(const char *name, const char *head, size_t n)
{
    (void)head, (void)n;
    return ilki_docs_has_suffix(name, ".csv") || ilki_docs_has_suffix(name, ".tsv");
}

/* ---- fields of a row: a cursor over the text */

typedef struct cursor {
    const char *p;
    size_t n, at;
    uint32_t line;
    char separator;
} cursor;

/* The end of a quoted field that begins at `at` (the quote itself); 0: there is none near. */
static size_t quoted_end(const cursor *c, size_t at)
{
    size_t most = c->n - at < MAX_FIELD ? c->n : at + MAX_FIELD;
    for (size_t i = at + 1; i < most; i++) {
        if (c->p[i] != '"')
            continue;
        if (i + 1 < c->n && c->p[i + 1] == '"') {
            i++;
            continue;
        }
        return i + 1;
    }
    return 0;
}

/* One field into `out` (NULL: nowhere); false behind the last of the row, with the cursor on the next row. */
static bool next_field(cursor *c, ilki_buf *out, bool *more)
{
    size_t end = c->at < c->n && c->p[c->at] == '"' ? quoted_end(c, c->at) : 0;
    if (end) {
        for (size_t i = c->at + 1; i + 1 < end; i++) {
            if (out)
                ilki_base_buf_addc(out, c->p[i]);
            c->line += c->p[i] == '\n';
            i += c->p[i] == '"';
        }
        c->at = end;
    }
    size_t from = c->at; /* also what stands behind a closing quote */
    while (c->at < c->n && c->p[c->at] != c->separator && c->p[c->at] != '\n')
        c->at++;
    if (out)
        ilki_base_buf_add(out, c->p + from, c->at - from);
    *more = c->at < c->n && c->p[c->at] == c->separator;
    if (c->at < c->n) {
        c->line += c->p[c->at] == '\n';
        c->at++;
    }
    return !out || !out->failed;
}

static size_t count_fields(cursor *c)
{
    size_t n = 0;
    for (bool more = true; more && n < MAX_COLUMNS; n++)
        next_field(c, NULL, &more);
    return n;
}

static char sniff(const char *p, size_t n, bool tabs)
{
    static const char separators[] = {',', ';', '\t', '|'};
    char best = tabs ? '\t' : ',';
    size_t best_score = 0;
    for (size_t s = 0; s < sizeof separators; s++) {
        cursor c = {.p = p, .n = n, .separator = separators[s]};
        size_t first = count_fields(&c), same = 1;
        for (int row = 1; row < SNIFF_ROWS && c.at < c.n; row++)
            same += count_fields(&c) == first;
        size_t score = first < 2 ? 0 : same * 1000 + (first < 999 ? first : 999);
        if (score > best_score) {
            best_score = score;
            best = separators[s];
        }
    }
    return best;
}

/* ---- rows to text */

typedef struct table {
    ilki_doc *doc;
    cursor c;
    ilki_buf text, field;
    char **names;
    size_t n_names;
    uint32_t *line_of;
    size_t n_lines, cap_lines;
} table;

static ilk_status read_names(table *t, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (bool more = true; more && st == ILK_OK;) {
        ilki_base_buf_reset(&t->field);
        if (!next_field(&t->c, &t->field, &more))
            return ilki_base_buf_check(&t->field, "the name of a column", err);
        if (t->n_names == MAX_COLUMNS)
            return ilki_base_fail(err, ILK_LIMIT, "table of more than %d columns", (int)MAX_COLUMNS);
        size_t n = t->field.len < MAX_NAME ? t->field.len : MAX_NAME;
        if (n < t->field.len)
            n = ilki_base_utf8_floor(ilki_base_buf_view(&t->field), n);
        char *name = ilki_base_strndup(ilki_base_buf_view(&t->field), n);
        char **names = name ? realloc(t->names, (t->n_names + 1) * sizeof *names) : NULL;
        if (!names) {
            free(name);
            return ilki_base_fail_memory(err, n + 1, "the names of columns");
        }
        for (char *p = name; *p; p++)
            *p = (char)(*p == '\n' ? ' ' : *p);
        t->names = names;
        names[t->n_names++] = name;
    }
    return st;
}

/* "name: value", values of several lines as they are. */
static ilk_status add_value(table *t, size_t column, uint32_t line, ilk_error *err)
{
    size_t start = t->text.len;
    if (ilki_docs_blank(ilki_base_buf_view(&t->field), t->field.len))
        return ILK_OK;
    if (column < t->n_names && *t->names[column])
        ilki_base_buf_addf(&t->text, "%s: ", t->names[column]);
    ilki_base_buf_add(&t->text, ilki_base_buf_view(&t->field), t->field.len);
    if (!ilki_base_buf_addc(&t->text, '\n'))
        return ilki_base_buf_check(&t->text, "the text of a table", err);
    for (size_t i = start; i < t->text.len; i++) {
        if (t->text.data[i] != '\n')
            continue;
        if (!ilki_docs_add_line(&t->line_of, &t->n_lines, &t->cap_lines, line++))
            return ilki_base_fail_memory(err, t->cap_lines * sizeof *t->line_of, "lines of a table");
    }
    return ILK_OK;
}

static ilk_status read_row(table *t, ilk_error *err)
{
    size_t start = t->text.len, column = 0;
    ilk_status st = ILK_OK;
    for (bool more = true; more && st == ILK_OK; column++) {
        uint32_t line = t->c.line;
        ilki_base_buf_reset(&t->field);
        if (!next_field(&t->c, &t->field, &more))
            return ilki_base_buf_check(&t->field, "a field of a table", err);
        st = add_value(t, column, line, err);
    }
    if (st != ILK_OK || t->text.len == start)
        return st;
    t->doc->text = (char *)(uintptr_t)ilki_base_buf_view(&t->text); /* borrowed, for the trimming of the segment */
    t->doc->n_text = t->text.len;
    st = ilki_docs_add_segment(t->doc, start, t->text.len, "", false, err);
    t->doc->text = NULL;
    return st;
}

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    char *source = doc->text;
    table t = {.doc = doc, .c = {.p = source, .n = doc->n_text, .line = 1}};
    doc->text = NULL;
    ilki_base_buf_init(&t.field, t.c.n + 16);
    ilki_base_buf_init(&t.text, ILKI_DOCS_MAX_TEXT); /* names are repeated in every row: more than the source may be */
    t.c.separator = sniff(source, t.c.n, ilki_docs_has_suffix(name, ".tsv"));
    ilk_status st = read_names(&t, err);
    while (st == ILK_OK && t.c.at < t.c.n)
        if ((st = read_row(&t, err)) == ILK_OK)
            st = ilki_docs_go_on(doc, err);
    ilki_base_buf_deinit(&t.field);
    for (size_t i = 0; i < t.n_names; i++)
        free(t.names[i]);
    free(t.names);
    return ilki_docs_take_lines(doc, source, &t.text, t.line_of, t.n_lines, st, err);
}

const ilki_doc_kind ilki_docs_table = {"csv", probe, read};
