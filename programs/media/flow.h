/* SPDX-License-Identifier: Apache-2.0
 * Running text from markup to a document: white space collapsed, blocks on lines of their own, headings to heading paths,
 * lines of the source. Every reader of marked-up documents writes through it. After a failure all calls do nothing, and
 * the end tells it. */
#ifndef ILK_MEDIA_FLOW_H
#define ILK_MEDIA_FLOW_H

#include "docs/docs.h"
#include "docs/kinds.h"

typedef struct media_flow {
    ilki_doc *doc;
    ilki_buf out, heading;
    ilki_headings path;
    size_t start;        /* of the section in work */
    unsigned level;      /* of the heading that is being read; 0: none */
    unsigned pre;        /* depth of text whose white space counts */
    unsigned breaks;     /* newlines that go before the next text: 0, 1, 2 */
    bool space, cell;    /* a space, a border of cells goes before it */
    bool fresh;          /* a cell has begun, and no text of it */
    bool row;            /* a row has begun, and no cell of it */
    uint32_t line, page; /* of the source; 0: it has none */
    uint32_t *line_of;
    size_t n_lines, cap_lines;
    ilk_status status;
    ilk_error *err;
} media_flow;

/* `most`: bytes of text. `lines`: the caller sets flow.line to that of the first byte before it hands text over, which
 * counts the newlines in it. */
void media_flow_begin(media_flow *f, ilki_doc *doc, size_t most, bool lines, ilk_error *err);
void media_flow_text(media_flow *f, const char *s, size_t n);
void media_flow_break(media_flow *f, unsigned newlines);
void media_flow_row(media_flow *f);
void media_flow_row_end(media_flow *f, unsigned newlines);
void media_flow_cell(media_flow *f);                    /* the next text is another cell of the row */
void media_flow_heading(media_flow *f, unsigned level); /* what follows, up to its end, is a heading */
void media_flow_heading_end(media_flow *f);
void media_flow_section(media_flow *f, const char *title); /* a part begins: headings before it mean nothing in it */
/* Gives text, segments and lines to the document. */
ilk_status media_flow_end(media_flow *f);

#endif
