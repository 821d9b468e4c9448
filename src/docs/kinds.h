/* SPDX-License-Identifier: Apache-2.0
 * What the kinds of document share inside this room. */
#ifndef ILKI_DOCS_KINDS_H
#define ILKI_DOCS_KINDS_H

#include "docs/docs.h"

#define ILKI_DOCS_MAX_TEXT ((size_t)32 << 20)

/* One kind. `probe` sees the lower-case name without .gz and the decoded beginning; the first row that says yes reads.
 * `read` finds doc->text filled with the decoded source (lines end in '\n') and may replace it. */
typedef struct ilki_doc_kind {
    const char *name;
    bool (*probe)(const char *name, const char *head, size_t n);
    ilk_status (*read)(ilki_doc *doc, const char *name, ilk_error *err);
} ilki_doc_kind;

extern const ilki_doc_kind ilki_docs_markdown, ilki_docs_rst, ilki_docs_man, ilki_docs_source, ilki_docs_jsonl,
    ilki_docs_table;

/* The row of outside.c by lower-case name without .gz and the beginning of the plain bytes. */
const ilki_doc_outside *ilki_docs_find_outside(const char *name, const void *head, size_t n);

/* Appends a segment over text[start, end), trimmed of blank lines; nothing where only white space is left. `context` is
 * copied. */
ilk_status ilki_docs_add_segment(ilki_doc *doc, size_t start, size_t end, const char *context, bool code,
                                 ilk_error *err);

/* Source lines of all segments, in one walk over the text. */
void ilki_docs_number_lines(ilki_doc *doc);

/* ---- for kinds that write another text than the file's (line_map.c) */

/* The source line of the next line of text. False: out of memory. */
bool ilki_docs_add_line(uint32_t **line_of, size_t *n, size_t *cap, uint32_t line);

/* The end of such a kind's read: text and line map go to the document where st is OK, and are freed where not, as is the
 * source. */
ilk_status ilki_docs_take_lines(ilki_doc *doc, char *source, ilki_buf *text, uint32_t *line_of, size_t n_lines,
                                ilk_status st, ilk_error *err);

/* Sets doc->note. */
ilk_status ilki_docs_note(ilki_doc *doc, ilk_error *err, const char *fmt, ...) ILKI_PRINTF(3, 4);

/* A stack of headings that gives "A > B > C". Levels count from 1; a level closes all that are as deep or deeper. */
#define ILKI_DOCS_LEVELS 8
typedef struct ilki_headings {
    char title[ILKI_DOCS_LEVELS][160];
    char path[ILKI_DOCS_LEVELS * 164];
} ilki_headings;
void ilki_docs_heading(ilki_headings *h, unsigned level, const char *title, size_t n);

/* One line of text: [start, end) without its newline; false past the last. *at moves behind the newline. */
bool ilki_docs_next_line(const char *text, size_t n, size_t *at, size_t *start, size_t *end);

/* For loops over a text: CANCELLED or DEADLINE where the reader's job says so. */
ilk_status ilki_docs_go_on(const ilki_doc *doc, ilk_error *err);

bool ilki_docs_has_suffix(const char *name, const char *suffix);
bool ilki_docs_blank(const char *s, size_t n); /* white space alone */

/* Language row of source.c for a name, by extension, file name or "#!" line; NULL: not source. */
struct ilki_language;
const struct ilki_language *ilki_docs_language(const char *name, const char *head, size_t n);

#endif
