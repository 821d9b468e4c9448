/* SPDX-License-Identifier: Apache-2.0
 * What the files of a data set share: lines under a limit, junk that is named and counted, ids as numbers. */
#ifndef ILKI_TASKS_LINES_H
#define ILKI_TASKS_LINES_H

#include "base/buf.h"
#include "base/map.h"
#include "base/vfs.h"

#define ILKI_TASKS_LINE ((size_t)32 << 20) /* bytes of one line */

typedef struct ilki_lines {
    const char *path; /* borrowed */
    ilki_file *file;
    char *buf; /* buf[from, len) is read and not given yet; it begins at byte `at` of the file */
    size_t cap, len, from;
    uint64_t at, size;
    bool ended;
    /* of the line that was given */
    uint64_t line, offset; /* from 1; of its first byte */
    bool too_long;         /* longer than ILKI_TASKS_LINE: passed over, the text is empty */
} ilki_lines;

ilk_status ilki_tasks_lines_open(ilki_lines *l, const ilki_vfs *vfs, const char *path, ilk_error *err);
/* The next line without its end ("\n" or "\r\n") and, the first, without a byte order mark; *text NULL at the end of the
 * file. Borrowed until the next call. */
ilk_status ilki_tasks_lines_next(ilki_lines *l, const char **text, size_t *n, ilk_error *err);
void ilki_tasks_lines_close(ilki_lines *l); /* of a zeroed one too */

/* Bytes [offset, offset + n) of a file into a buffer that is emptied first. */
ilk_status ilki_tasks_read_at(ilki_file *f, uint64_t offset, size_t n, ilki_buf *to, ilk_error *err);

/* Where junk is told. The first of it is named one by one, all of it is counted. */
typedef struct ilki_notes {
    ilk_note_fn fn; /* may be NULL */
    void *user;
    bool strict;
    uint64_t n_junk;
} ilki_notes;

/* "PATH:LINE: …" (line 0: "PATH: …"). OK, or with `strict` BAD_FORMAT and the message in err. */
ilk_status ilki_tasks_junk(ilki_notes *notes, const char *path, uint64_t line, ilk_error *err, const char *fmt, ...)
    ILKI_PRINTF(5, 6);
/* Told and not counted: something to know that is nobody's mistake. */
void ilki_tasks_note(const ilki_notes *notes, const char *fmt, ...) ILKI_PRINTF(2, 3);

/* Ids as numbers from 0, in order of arrival. A zeroed one is valid and empty. */
typedef struct ilki_ids {
    ilki_arena arena;
    ilki_map map;
    const char **name;
    size_t n, cap;
} ilki_ids;

/* What ids_add takes: 1 to 4096 bytes without a NUL. */
bool ilki_tasks_is_id(const char *id, size_t n);
/* `*fresh` (may be NULL): it was not there. LIMIT for an id with a NUL or of more than 4096 bytes. */
ilk_status ilki_tasks_ids_add(ilki_ids *ids, const char *id, size_t n, uint32_t *number, bool *fresh, ilk_error *err);
uint32_t ilki_tasks_ids_find(const ilki_ids *ids, const char *id, size_t n); /* ILKI_MAP_NONE where absent */
void ilki_tasks_ids_deinit(ilki_ids *ids);

bool ilki_tasks_is_space(char c); /* of ASCII */
bool ilki_tasks_ends_with(const char *path, const char *end);

/* A decimal number with white space around, as strtod reads it; hexadecimal forms, infinities and NaNs are none. False
 * where it is none. */
bool ilki_tasks_number(const char *s, size_t n, double *out);

#endif
