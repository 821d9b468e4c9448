/* SPDX-License-Identifier: Apache-2.0
 * See flow.h. */
#include "flow.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADING = 1 << 12 };

void media_flow_begin(media_flow *f, ilki_doc *doc, size_t most, bool lines, ilk_error *err)
{
    memset(f, 0, sizeof *f);
    f->doc = doc;
    f->err = err;
    f->line = lines ? 1 : 0;
    doc->no_lines = !lines;
    ilki_base_buf_init(&f->out, most);
    ilki_base_buf_init(&f->heading, MAX_HEADING);
}

static void fail(media_flow *f, ilk_status st)
{
    if (f->status == ILK_OK)
        f->status = st;
}

/* Notes the source line of each line of text that is begun. */
static void note_line(media_flow *f)
{
    if (f->line == 0)
        return;
    if (f->n_lines == f->cap_lines) {
        size_t cap = f->cap_lines ? f->cap_lines * 2 : 256;
        uint32_t *more = realloc(f->line_of, cap * sizeof *more);
        if (!more) {
            fail(f, ilki_base_fail_memory(f->err, cap * sizeof *more, "lines of a document"));
            return;
        }
        f->line_of = more;
        f->cap_lines = cap;
    }
    uint32_t last = f->n_lines ? f->line_of[f->n_lines - 1] : 1;
    f->line_of[f->n_lines++] = f->line > last ? f->line : last;
}

static void put(media_flow *f, const char *s, size_t n)
{
    if (f->out.len == 0 || f->out.data[f->out.len - 1] == '\n')
        note_line(f);
    if (f->status == ILK_OK && !ilki_base_buf_add(&f->out, s, n))
        fail(f, ilki_base_buf_check(&f->out, "the text of a document", f->err));
}

static void newline(media_flow *f)
{
    if (f->out.len == 0 || f->out.data[f->out.len - 1] == '\n')
        note_line(f); /* an empty one */
    if (f->status == ILK_OK && !ilki_base_buf_addc(&f->out, '\n'))
        fail(f, ilki_base_buf_check(&f->out, "the text of a document", f->err));
}

/* What waits goes before the text that comes. */
static void settle(media_flow *f)
{
    bool at_start = f->out.len == 0 || f->out.data[f->out.len - 1] == '\n';
    for (; f->breaks && f->out.len > 0; f->breaks--)
        if (!(f->breaks == 1 && at_start && f->out.len < 2))
            newline(f);
    f->breaks = 0;
    at_start = f->out.len == 0 || f->out.data[f->out.len - 1] == '\n';
    if (f->cell && !at_start)
        put(f, " | ", 3);
    else if (f->space && !at_start)
        put(f, " ", 1);
    f->cell = f->space = f->fresh = false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f';
}

static void put_word(media_flow *f, const char *s, size_t n)
{
    if (f->level) {
        if (f->heading.len && f->space)
            ilki_base_buf_addc(&f->heading, ' ');
        f->space = false;
        ilki_base_buf_add(&f->heading, s, n); /* a heading too long to be one is emptied: it is text of no use */
        return;
    }
    settle(f);
    put(f, s, n);
}

static void put_lines(media_flow *f, const char *s, size_t n)
{
    for (size_t at = 0; at < n && f->status == ILK_OK;) {
        const char *nl = memchr(s + at, '\n', n - at);
        size_t end = nl ? (size_t)(nl - s) : n;
        if (end > at) {
            settle(f);
            put(f, s + at, end - at);
        }
        if (nl) {
            f->breaks = 0;
            newline(f);
            f->line += f->line > 0;
        }
        at = end + (nl != NULL);
    }
}

void media_flow_text(media_flow *f, const char *s, size_t n)
{
    if (f->pre && !f->level) {
        put_lines(f, s, n);
        return;
    }
    for (size_t at = 0; at < n && f->status == ILK_OK;) {
        size_t from = at;
        while (at < n && !is_space(s[at]))
            at++;
        if (at > from)
            put_word(f, s + from, at - from);
        for (; at < n && is_space(s[at]); at++) {
            f->space = true;
            f->line += f->line > 0 && s[at] == '\n';
        }
    }
}

void media_flow_break(media_flow *f, unsigned newlines)
{
    if (f->level) {
        f->space = true;
        return;
    }
    if (f->fresh)
        return; /* the first block of a cell stays on its row's line */
    size_t n = f->out.len;
    unsigned has = n && f->out.data[n - 1] == '\n' ? (n > 1 && f->out.data[n - 2] == '\n' ? 2 : 1) : 0;
    newlines = newlines > has ? newlines - has : 0;
    if (newlines > f->breaks)
        f->breaks = newlines;
    f->space = false;
}

void media_flow_row(media_flow *f)
{
    media_flow_row_end(f, 1);
    f->row = true;
}

void media_flow_row_end(media_flow *f, unsigned newlines)
{
    f->cell = f->fresh = f->row = false;
    media_flow_break(f, newlines);
}

void media_flow_cell(media_flow *f)
{
    if (f->level)
        return;
    f->cell = !f->row;
    f->breaks = f->row ? f->breaks : 0;
    f->row = false;
    f->fresh = true;
}

static void end_section(media_flow *f)
{
    if (f->status != ILK_OK)
        return;
    f->doc->text = (char *)(uintptr_t)ilki_base_buf_view(
        &f->out); /* borrowed: segments are trimmed by what stands there */
    f->doc->n_text = f->out.len;
    size_t had = f->doc->n_segments;
    ilk_status st = ilki_docs_add_segment(f->doc, f->start, f->out.len, f->path.path, false, f->err);
    f->doc->text = NULL;
    f->doc->n_text = 0;
    if (st != ILK_OK)
        fail(f, st);
    else if (f->doc->n_segments > had)
        f->doc->segments[had].page = f->page;
    f->start = f->out.len;
}

void media_flow_heading(media_flow *f, unsigned level)
{
    if (f->level)
        media_flow_heading_end(f);
    media_flow_break(f, 2);
    ilki_base_buf_reset(&f->heading);
    f->space = false;
    f->level = level;
}

/* The heading is a line of the text too, outside the segments. */
void media_flow_heading_end(media_flow *f)
{
    if (!f->level)
        return;
    unsigned level = f->level;
    f->level = 0;
    f->space = false;
    if (f->heading.len == 0)
        return; /* no heading, no section */
    end_section(f);
    settle(f);
    put(f, ilki_base_buf_view(&f->heading), f->heading.len);
    ilki_docs_heading(&f->path, level, f->heading.data, f->heading.len);
    newline(f);
    f->start = f->out.len;
}

void media_flow_section(media_flow *f, const char *title)
{
    if (f->level)
        media_flow_heading_end(f);
    media_flow_break(f, 2);
    end_section(f);
    memset(&f->path, 0, sizeof f->path);
    if (title && *title)
        ilki_docs_heading(&f->path, 1, title, strlen(title));
}

ilk_status media_flow_end(media_flow *f)
{
    media_flow_heading_end(f);
    end_section(f);
    ilki_doc *doc = f->doc;
    if (f->status == ILK_OK) {
        doc->text = ilki_base_buf_take(&f->out, &doc->n_text);
        if (!doc->text && !(doc->text = ilki_base_strndup("", 0)))
            fail(f, ilki_base_fail_memory(f->err, 1, "a document"));
    }
    if (f->status == ILK_OK && doc->n_segments == 0)
        fail(f, ilki_docs_add_segment(doc, 0, doc->n_text, "", false, f->err));
    if (f->n_lines) {
        doc->line_of = f->line_of;
        doc->n_lines = f->n_lines;
    } else {
        free(f->line_of);
    }
    ilki_base_buf_deinit(&f->out);
    ilki_base_buf_deinit(&f->heading);
    return f->status;
}
