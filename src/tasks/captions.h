/* SPDX-License-Identifier: Apache-2.0
 * Pictures with something said of each: captions for retrieval and training, labels for classes. */
#ifndef ILKI_TASKS_CAPTIONS_H
#define ILKI_TASKS_CAPTIONS_H

#include "tasks/lines.h"

/* That `text` is said of `picture` in `language`. */
typedef struct ilki_caption {
    uint32_t picture, text, language; /* numbers of the ids below */
} ilki_caption;

typedef struct ilki_captions {
    ilki_ids pictures;  /* paths as they can be opened */
    ilki_ids texts;     /* each once, white space around it gone: what several pictures share is one text */
    ilki_ids languages; /* as the file names them; "default" where it names none */
    ilki_caption *list; /* by picture, text, language; none twice */
    size_t n, cap;
} ilki_captions;

typedef enum ilki_said { ILKI_SAID_CAPTION, ILKI_SAID_LABEL } ilki_said;

/* Reads `path`:
 *   a file .jsonl, .csv, .tsv or .txt: rows with a picture (image, file_name, path, ...), relative to the file's folder, what
 *     is said of it (caption, text, ...; of labels label, class, ...; a string or, in JSON, a list) and, if it likes, a
 *     language. A table has names of columns, or rows of two fields, the picture first; a .txt is one with tabs, else commas.
 *   a folder with captions.jsonl, .csv, .tsv or .txt (of labels: labels.*) or metadata.jsonl or .csv: that file.
 *   another folder, of captions: each file NAME.txt beside a picture NAME.png, .jpg, ...: a caption per line; a line
 *     "xx.utf8=..." is of the language xx, as the stamps of Tux Paint have it.
 * Rows that are none are junk. BAD_FORMAT where nothing is left. */
ilk_status ilki_tasks_read_captions(ilki_captions *to, const ilki_vfs *vfs, const char *path, ilki_said said,
                                    ilki_notes *notes, ilk_error *err);
void ilki_tasks_captions_deinit(ilki_captions *c);

/* The file of `dir` that says it, as above; *file NULL: there is none. Freed with free(). */
ilk_status ilki_tasks_captions_file(const ilki_vfs *vfs, const char *dir, ilki_said said, char **file, ilk_error *err);

#endif
