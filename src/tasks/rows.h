/* SPDX-License-Identifier: Apache-2.0
 * Rows of a table of text, one at a time. */
#ifndef ILKI_TASKS_ROWS_H
#define ILKI_TASKS_ROWS_H

#include "base/buf.h"

#define ILKI_ROW_FIELDS 32

typedef struct ilki_row {
    ilki_buf text; /* fields without their quotes, one behind the other; initialised by the caller, with its ceiling */
    size_t at[ILKI_ROW_FIELDS + 1];
    size_t n;
    bool broken; /* a quote that is not closed, or too many fields */
} ilki_row;

/* The next row of [s, end), s < end; returns where the one behind it begins and counts its lines. */
const char *ilki_tasks_read_row(ilki_row *r, const char *s, const char *end, char separator, uint64_t *line);
const char *ilki_tasks_row_field(const ilki_row *r, size_t i, size_t *n);

/* Whether a column's name is `word` (small letters, '_'): case does not count, '-' and ' ' are '_'. */
bool ilki_tasks_same_name(const char *s, size_t n, const char *word);

#endif
