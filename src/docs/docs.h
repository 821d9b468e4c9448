/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a file to segments of text. A kind of document is a row in docs.c: {name, probe, read}. The decision looks at
 * the name's extension and the first bytes, never at one alone where they can disagree; gzip is unpacked first. What is
 * not text is refused with a reason that a person can use ("binary file", "empty file"). What needs a library that a
 * hostile file could break is of a kind outside (outside.c): recognised here, read by the helper program ilk-media.
 * Single-threaded, no I/O. */
#ifndef ILKI_DOCS_DOCS_H
#define ILKI_DOCS_DOCS_H

#include "base/buf.h"

/* A run of text that belongs together: a section, a function. */
typedef struct ilki_doc_segment {
    size_t start, end;   /* bytes of ilki_doc.text, trimmed of blank lines */
    uint32_t line_first; /* in the source file, from 1 */
    uint32_t line_last;
    const char *context; /* heading path "Guide > Install" or symbol "Parser.next"; "" for none */
    uint32_t page;       /* from 1; 0: the kind has no pages */
    bool code;           /* chunk by lines, not sentences */
} ilki_doc_segment;

typedef struct ilki_doc {
    const char *kind;     /* "text", "markdown", "rst", "man", "source" */
    const char *language; /* of source code: "c", "python", …; or NULL */
    char *title;          /* owned, or NULL */
    char *text;           /* owned, UTF-8, NUL-terminated: what the segments point into */
    size_t n_text;
    uint32_t *line_of; /* [n_lines] source line (from 1) of each line of `text`; NULL: line i is i + 1 */
    size_t n_lines;
    ilki_doc_segment *segments; /* in order, not overlapping; contexts live in `arena` */
    size_t n_segments, cap_segments;
    bool no_lines; /* lines mean nothing in the file: its segments have 0 */
    char *note;    /* owned, or NULL: what of it was passed over, for the person who looks after the file */
    size_t asked_at, asked_line; /* the last place that was asked for, and newlines before it */
    ilki_arena arena;
    const ilk_job *job; /* while it is read; may be NULL */
} ilki_doc;

/* Reads n bytes of a file called `name` (its path or last component; it decides the kind together with the content).
 * UNSUPPORTED: not a kind of text, message says what it seems to be. BAD_FORMAT: broken gzip. LIMIT: more than
 * max_text_bytes after unpacking (0: 32 MiB). An empty document has no segments. Text that is not UTF-8 is taken as
 * UTF-16 where a byte-order mark says so, else as Windows-1252, which every byte string is. */
ilk_status ilki_docs_read(ilki_doc **out, const char *name, const void *data, size_t n, size_t max_text_bytes,
                          ilk_error *err);
/* The same under a job, which is looked at every megabyte or line: CANCELLED, DEADLINE. */
ilk_status ilki_docs_read_under(const ilk_job *job, ilki_doc **out, const char *name, const void *data, size_t n,
                                size_t max_text_bytes, ilk_error *err);
void ilki_docs_free(ilki_doc *doc);

/* Could a file of this name and these first bytes (up to 4 KiB are enough) be read? Cheap; UNSUPPORTED with the reason. */
ilk_status ilki_docs_probe(const char *name, const void *head, size_t n, ilk_error *err);

/* The source line, from 1, that holds byte `at` of text; 0 in a document without lines. Costs the way from the last place that was asked for. */
uint32_t ilki_docs_line(ilki_doc *doc, size_t at);

/* ---- kinds outside */
typedef struct ilki_doc_outside {
    const char *kind;   /* "html", "epub", "docx", "odt", "pdf" */
    const char *what;   /* "an HTML page" */
    const char *reader; /* of the helper; of a converter the text comes as pages ended by form feeds */
    bool converter;
    bool text; /* a binary file is none of it */
} ilki_doc_outside;

/* NULL: docs reads it itself, or nobody does. */
const ilki_doc_outside *ilki_docs_outside(const char *name, const void *head, size_t n);

/* *out: the bytes themselves, or what a gzip file unpacks to, in `unpacked`. */
ilk_status ilki_docs_plain(const void *data, size_t n, size_t max, ilki_buf *unpacked, const void **out, size_t *n_out,
                           ilk_error *err);

/* A document from text with a form feed at the end of each page (pages.c); UNSUPPORTED where there is no text on them. */
ilk_status ilki_docs_read_pages(ilki_doc **out, const char *kind, const char *text, size_t n, ilk_error *err);

/* ---- a document as bytes (packed.c), to come from a process that is not trusted */
void ilki_docs_pack(const ilki_doc *doc, ilki_buf *out);
/* Copies what it takes. BAD_FORMAT: not such bytes, or segments that do not lie in the text, in order; LIMIT: more than
 * max_text_bytes (0: 32 MiB). `kind` is a constant string. */
ilk_status ilki_docs_unpack(ilki_doc **out, const char *kind, const void *data, size_t n, size_t max_text_bytes,
                            ilk_error *err);

#endif
