/* SPDX-License-Identifier: Apache-2.0
 * JSON lines: each line a record, each record a segment under the number of its line. What of a record is text: the
 * members `title`, `text`, `content`, `body` and their like, in that order, where there is one of the last; else every
 * string in it, in the order of the file. A line that is a string is that text. A line that is no JSON is passed over and
 * told in the document's note, and so is one without any text. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "docs/docs.h"
#include "docs/kinds.h"

enum { MAX_LINE_BYTES = 16 << 20, MAX_NODES = 1 << 20 };

static bool probe(const char *name, const char *head, size_t n)
{
    (void)head, (void)n;
    return ilki_docs_has_suffix(name, ".jsonl") || ilki_docs_has_suffix(name, ".ndjson");
}

typedef struct records {
    ilki_doc *doc;
    ilki_buf text;
    uint32_t *line_of;
    size_t n_lines, cap_lines, n_bad;
    uint32_t line, first_bad;
    char why[1012]; /* of the first that was passed over */
} records;

static const char *const titles[] = {"title", "headline", "question"};
static const char *const bodies[] = {"text",     "content", "contents", "body",
                                     "document", "passage", "answer",   "abstract"};

/* Adds a string as lines of its own, all of them under the record's line. NULs cannot be in a document. */
static ilk_status add_string(records *r, const char *s, size_t n, ilk_error *err)
{
    if (ilki_docs_blank(s, n))
        return ILK_OK;
    size_t start = r->text.len;
    ilki_base_buf_add(&r->text, s, n);
    if (!ilki_base_buf_addc(&r->text, '\n'))
        return ilki_base_buf_check(&r->text, "records", err);
    for (char *p = r->text.data + start; p < r->text.data + r->text.len; p++) {
        *p = (char)(*p == '\0' || *p == '\r' ? ' ' : *p);
        if (*p != '\n')
            continue;
        if (!ilki_docs_add_line(&r->line_of, &r->n_lines, &r->cap_lines, r->line))
            return ilki_base_fail_memory(err, r->cap_lines * sizeof *r->line_of, "lines of records");
    }
    return ILK_OK;
}

static ilk_status add_member(records *r, const ilki_json *j, ilki_json_node object, const char *const *names, size_t n,
                             bool all, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; st == ILK_OK && i < n; i++) {
        size_t len;
        const char *s = ilki_base_json_string(j, ilki_base_json_get(j, object, names[i]), &len);
        if (!s || ilki_docs_blank(s, len))
            continue;
        st = add_string(r, s, len, err);
        if (!all)
            break;
    }
    return st;
}

/* Every string below `root`, without recursion: children are entered before what comes next. */
static ilk_status add_all(records *r, const ilki_json *j, ilki_json_node root, ilk_error *err)
{
    ilki_json_node stack[64], node = root; /* as deep as the reader lets a text be */
    size_t depth = 0;
    ilk_status st = ILK_OK;
    while (node && st == ILK_OK) {
        size_t len;
        const char *s = ilki_base_json_string(j, node, &len);
        if (s)
            st = add_string(r, s, len, err);
        ilki_json_node child = ilki_base_json_first(j, node);
        ilki_json_node next = node == root ? 0 : ilki_base_json_next(j, node);
        if (child && depth < sizeof stack / sizeof *stack) {
            stack[depth++] = next;
            node = child;
            continue;
        }
        while (!next && depth)
            next = stack[--depth];
        node = next;
    }
    return st;
}

static ilk_status add_record(records *r, const ilki_json *j, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j);
    size_t start = r->text.len;
    ilk_status st = add_member(r, j, root, titles, sizeof titles / sizeof *titles, false, err);
    size_t title_end = r->text.len;
    if (st == ILK_OK)
        st = add_member(r, j, root, bodies, sizeof bodies / sizeof *bodies, true, err);
    if (st == ILK_OK && r->text.len == title_end) { /* no body: all strings, the title among them once */
        ilki_base_buf_truncate(&r->text, start);
        while (r->n_lines && r->line_of[r->n_lines - 1] == r->line)
            r->n_lines--;
        st = add_all(r, j, root, err);
    }
    return st;
}

static void pass_over(records *r, const char *why)
{
    if (r->n_bad++ > 0)
        return;
    r->first_bad = r->line;
    snprintf(r->why, sizeof r->why, "%s", why);
}

static ilk_status read_line(records *r, const char *line, size_t n, ilk_error *err)
{
    const ilki_json_limits limits = {.max_bytes = MAX_LINE_BYTES, .max_nodes = MAX_NODES, .max_depth = 48};
    ilki_json *j = NULL;
    ilk_error why;
    ilk_error_init_sized(&why, sizeof why);
    size_t start = r->text.len;
    ilk_status st = ilki_base_json_parse(&j, line, n, "record", &limits, &why);
    if (st == ILK_NO_MEMORY)
        return ilki_base_fail_memory(err, n, "a record");
    if (st != ILK_OK) {
        pass_over(r, why.message);
        return ILK_OK;
    }
    st = add_record(r, j, err);
    ilki_base_json_free(j);
    if (st != ILK_OK || r->text.len == start) {
        if (st == ILK_OK)
            pass_over(r, "no text in it");
        return st;
    }
    r->doc->text = (char *)(uintptr_t)ilki_base_buf_view(&r->text); /* borrowed, for the trimming of the segment */
    r->doc->n_text = r->text.len;
    st = ilki_docs_add_segment(r->doc, start, r->text.len, "", false, err);
    r->doc->text = NULL;
    return st;
}

static ilk_status read_lines(records *r, const char *source, size_t n_source, ilk_error *err)
{
    size_t at = 0, a, b;
    ilk_status st = ILK_OK;
    while (st == ILK_OK && ilki_docs_next_line(source, n_source, &at, &a, &b)) {
        r->line++;
        if (!ilki_docs_blank(source + a, b - a))
            st = read_line(r, source + a, b - a, err);
        if (st == ILK_OK)
            st = ilki_docs_go_on(r->doc, err);
    }
    if (st == ILK_OK && r->n_bad)
        st = ilki_docs_note(r->doc, err, "line %u passed over: %s%s", r->first_bad, r->why,
                            r->n_bad > 1 ? " (and more such lines)" : "");
    return st;
}

static ilk_status read(ilki_doc *doc, const char *name, ilk_error *err)
{
    char *source = doc->text;
    size_t n_source = doc->n_text;
    records r = {.doc = doc};
    (void)name;
    doc->text = NULL;
    ilki_base_buf_init(&r.text, n_source + 16);
    ilk_status st = read_lines(&r, source, n_source, err);
    return ilki_docs_take_lines(doc, source, &r.text, r.line_of, r.n_lines, st, err);
}

const ilki_doc_kind ilki_docs_jsonl = {"jsonl", probe, read};
