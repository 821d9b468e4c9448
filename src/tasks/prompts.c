/* SPDX-License-Identifier: Apache-2.0
 * Prompts of classes: the published sets, and files of one's own. */
#include "tasks/prompts.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PROMPTS ((size_t)1 << 16)

static const char *const clip80[] = {
#define ILKI_PROMPT(text) text,
#include "tasks/prompts.def"
};
static const char *const clip1[] = {"a photo of a {}."};

/* The class's place in a prompt, NULL: it has none; *n: how many bytes it takes. */
static const char *find_place(const char *prompt, size_t *n)
{
    const char *empty = strstr(prompt, "{}"), *c = strstr(prompt, "{c}");
    *n = empty && (!c || empty < c) ? 2 : 3;
    return *n == 2 ? empty : c;
}

static ilk_status add(ilki_prompts *to, const char *text, size_t n, ilk_error *err)
{
    if (to->n % 64 == 0) {
        const char **more = realloc(to->text, (to->n + 64) * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, (to->n + 64) * sizeof *more, "prompts");
        to->text = more;
    }
    const char *kept = ilki_base_arena_strndup(&to->arena, text, n);
    if (!kept)
        return ilki_base_fail_memory(err, n, "a prompt");
    to->text[to->n++] = kept;
    return ILK_OK;
}

ilk_status ilki_tasks_clip_prompts(ilki_prompts *to, size_t n, ilk_error *err)
{
    size_t n80 = sizeof clip80 / sizeof *clip80;
    const char *const *list = n == n80 ? clip80 : clip1;
    ilk_status st = ILK_OK;
    *to = (ilki_prompts){0};
    if (n != 1 && n != n80)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "prompts: expected 1 or %zu, found %zu", n80, n);
    for (size_t i = 0; i < n && st == ILK_OK; i++)
        st = add(to, list[i], strlen(list[i]), err);
    return st;
}

ilk_status ilki_tasks_read_prompts(ilki_prompts *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                   ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n, place;
    *to = (ilki_prompts){0};
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        if (!l.too_long && n == 0)
            continue;
        bool usable = !l.too_long && ilki_tasks_is_id(text, n) && to->n < MAX_PROMPTS;
        if (usable && (st = add(to, text, n, err)) == ILK_OK && find_place(to->text[to->n - 1], &place))
            continue;
        if (usable && st == ILK_OK)
            to->n--;
        if (st == ILK_OK)
            st = ilki_tasks_junk(notes, path, l.line, err,
                                 "expected a prompt with {} where the class goes, of at most 4096 bytes");
    }
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && to->n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected prompts with {} in them, found none", path);
    return st;
}

void ilki_tasks_fill_prompt(ilki_buf *b, const char *prompt, const char *name)
{
    size_t n;
    const char *place = find_place(prompt, &n);
    ilki_base_buf_add(b, prompt, (size_t)(place - prompt));
    ilki_base_buf_add(b, name, strlen(name));
    ilki_base_buf_add(b, place + n, strlen(place + n));
}

void ilki_tasks_prompts_deinit(ilki_prompts *p)
{
    free((void *)p->text);
    ilki_base_arena_deinit(&p->arena);
    *p = (ilki_prompts){0};
}
