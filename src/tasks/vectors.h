/* SPDX-License-Identifier: Apache-2.0
 * Vectors that somebody else made: .npy, or JSON lines. */
#ifndef ILKI_TASKS_VECTORS_H
#define ILKI_TASKS_VECTORS_H

#include "tasks/lines.h"

typedef struct ilki_rows {
    float *data; /* [n][dim], finite; owned */
    size_t n, dim;
} ilki_rows;

/* .npy of two dimensions (or one: a single row), or .jsonl whose lines are arrays of numbers or objects with one as
 * "embedding" (or "vector"), all of one length. */
ilk_status ilki_tasks_read_rows(ilki_rows *to, const ilki_vfs *vfs, const char *path, ilk_error *err);

/* Texts of a file, one behind the other: lines, or of a .jsonl the "text" of each. No line is passed over, since a row of
 * vectors belongs to each. */
typedef struct ilki_row_texts {
    ilki_buf texts;
    size_t *at; /* [n + 1] */
    size_t n, cap;
} ilki_row_texts;
ilk_status ilki_tasks_read_texts(ilki_row_texts *to, const ilki_vfs *vfs, const char *path, ilk_error *err);
void ilki_tasks_texts_deinit(ilki_row_texts *t);

#endif
