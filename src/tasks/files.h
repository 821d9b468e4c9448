/* SPDX-License-Identifier: Apache-2.0
 * The files below a folder, as a list in a fixed order. */
#ifndef ILKI_TASKS_FILES_H
#define ILKI_TASKS_FILES_H

#include "base/mem.h"
#include "base/vfs.h"

#define ILKI_TASKS_DEPTH 16 /* folders within folders */

typedef struct ilki_file_list {
    ilki_arena arena;
    const char **path; /* [n] relative to the folder, by their bytes */
    size_t n, cap;
} ilki_file_list;

/* Regular files, also behind links; of what begins with '.' nothing. Folders that lead deeper than ILKI_TASKS_DEPTH
 * are LIMIT, which is also what a circle of links comes to. */
ilk_status ilki_tasks_list_files(ilki_file_list *l, const ilki_vfs *vfs, const char *dir, ilk_error *err);
void ilki_tasks_file_list_deinit(ilki_file_list *l);

#endif
