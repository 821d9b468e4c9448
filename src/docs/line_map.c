/* SPDX-License-Identifier: Apache-2.0
 * What kinds share that write another text than the file's: the map of lines, the end, the note. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "docs/docs.h"
#include "docs/kinds.h"

enum { MAX_NOTE = 900 };

bool ilki_docs_add_line(uint32_t **line_of, size_t *n, size_t *cap, uint32_t line)
{
    if (*n == *cap) {
        size_t more = *cap ? *cap * 2 : 256;
        uint32_t *list = realloc(*line_of, more * sizeof *list);
        if (!list)
            return false;
        *line_of = list;
        *cap = more;
    }
    (*line_of)[(*n)++] = line;
    return true;
}

ilk_status ilki_docs_take_lines(ilki_doc *doc, char *source, ilki_buf *text, uint32_t *line_of, size_t n_lines,
                                ilk_status st, ilk_error *err)
{
    free(source);
    free(doc->text);
    doc->text = NULL;
    doc->n_text = 0;
    if (st == ILK_OK)
        st = ilki_base_buf_check(text, "the text of a document", err);
    if (st == ILK_OK && !(doc->text = ilki_base_buf_take(text, &doc->n_text)) &&
        !(doc->text = ilki_base_strndup("", 0)))
        st = ilki_base_fail_memory(err, 1, "the text of a document");
    ilki_base_buf_deinit(text);
    if (st == ILK_OK && n_lines) {
        doc->line_of = line_of;
        doc->n_lines = n_lines;
    } else {
        free(line_of);
    }
    return st;
}

ilk_status ilki_docs_note(ilki_doc *doc, ilk_error *err, const char *fmt, ...)
{
    char text[1200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    free(doc->note);
    size_t n = strlen(text);
    doc->note = ilki_base_strndup(text, n <= MAX_NOTE ? n : ilki_base_utf8_floor(text, MAX_NOTE));
    return doc->note ? ILK_OK : ilki_base_fail_memory(err, sizeof text, "a note");
}
