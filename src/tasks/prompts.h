/* SPDX-License-Identifier: Apache-2.0
 * What is said of a class to a model that compares texts with pictures. */
#ifndef ILKI_TASKS_PROMPTS_H
#define ILKI_TASKS_PROMPTS_H

#include "tasks/lines.h"

typedef struct ilki_prompts {
    ilki_arena arena;
    const char **text; /* [n] each has "{}" where the class goes */
    size_t n;
} ilki_prompts;

/* CLIP's own: n is 1 ("a photo of a {}.") or 80. */
ilk_status ilki_tasks_clip_prompts(ilki_prompts *to, size_t n, ilk_error *err);
/* Lines of a file, "{}" or "{c}" in each; a line without it is junk, BAD_FORMAT where none is left. */
ilk_status ilki_tasks_read_prompts(ilki_prompts *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                   ilk_error *err);
/* The prompt with the class in it, added to b. */
void ilki_tasks_fill_prompt(ilki_buf *b, const char *prompt, const char *name);
void ilki_tasks_prompts_deinit(ilki_prompts *p);

#endif
