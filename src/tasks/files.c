/* SPDX-License-Identifier: Apache-2.0
 * A folder is listed as a whole, then sorted: two machines, or two runs, go through it alike. */
#include "tasks/files.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define MAX_FILES 20000000

typedef struct listing {
    ilki_file_list *l;
    const char *below; /* of the folder that is listed, relative to the top */
    ilk_status status;
    ilk_error *err;
} listing;

static ilk_status grow(ilki_file_list *l, ilk_error *err)
{
    size_t cap = l->cap ? l->cap * 2 : 1024;
    if (l->n < l->cap)
        return ILK_OK;
    if (l->n >= MAX_FILES)
        return ilki_base_fail(err, ILK_LIMIT, "more than %d files", MAX_FILES);
    const char **path = realloc(l->path, cap * sizeof *path);
    if (!path)
        return ilki_base_fail_memory(err, cap * sizeof *path, "a list of files");
    l->path = path;
    l->cap = cap;
    return ILK_OK;
}

static bool add_entry(void *user, const char *name, ilki_file_type type)
{
    listing *g = user;
    (void)type;
    if (name[0] == '.')
        return true;
    char *joined = *g->below ? ilki_base_path_join(g->below, name) : ilki_base_strndup(name, strlen(name));
    g->status = joined ? grow(g->l, g->err) : ilki_base_fail_memory(g->err, strlen(name), "a path");
    const char *kept = g->status == ILK_OK ? ilki_base_arena_strndup(&g->l->arena, joined, strlen(joined)) : NULL;
    if (g->status == ILK_OK && !kept)
        g->status = ilki_base_fail_memory(g->err, strlen(joined), "a path");
    if (g->status == ILK_OK)
        g->l->path[g->l->n++] = kept;
    free(joined);
    return g->status == ILK_OK;
}

static unsigned depth_of(const char *path)
{
    unsigned n = 0;
    for (; *path; path++)
        n += *path == '/';
    return n;
}

/* What entry i is: a folder's entries join the end of the list, and nothing but files is kept. */
static ilk_status settle(ilki_file_list *l, const ilki_vfs *vfs, const char *dir, size_t i, bool *keep, ilk_error *err)
{
    ilki_stat info;
    char *path = ilki_base_path_join(dir, l->path[i]);
    *keep = false;
    if (!path)
        return ilki_base_fail_memory(err, strlen(l->path[i]), "a path");
    ilk_status st = vfs->stat(vfs, path, true, &info, err);
    if (st == ILK_NOT_FOUND) { /* a link to nowhere, or gone since */
        st = ILK_OK;
    } else if (st == ILK_OK && info.type == ILKI_FILE_DIR) {
        listing g = {.l = l, .below = l->path[i], .err = err};
        if (depth_of(l->path[i]) + 1 >= ILKI_TASKS_DEPTH)
            st = ilki_base_fail(err, ILK_LIMIT, "%s: more than %d folders within each other", path, ILKI_TASKS_DEPTH);
        else
            st = vfs->list(vfs, path, add_entry, &g, err);
        if (st == ILK_OK)
            st = g.status;
    } else if (st == ILK_OK) {
        *keep = info.type == ILKI_FILE_REGULAR;
    }
    free(path);
    return st;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

ilk_status ilki_tasks_list_files(ilki_file_list *l, const ilki_vfs *vfs, const char *dir, ilk_error *err)
{
    listing top = {.l = l, .below = "", .err = err};
    size_t kept = 0;
    *l = (ilki_file_list){0};
    ilk_status st = vfs->list(vfs, dir, add_entry, &top, err);
    if (st == ILK_OK)
        st = top.status;
    for (size_t i = 0; st == ILK_OK && i < l->n; i++) {
        bool keep;
        st = settle(l, vfs, dir, i, &keep, err);
        if (st == ILK_OK && keep)
            l->path[kept++] = l->path[i];
    }
    if (st != ILK_OK)
        return st;
    l->n = kept;
    if (kept)
        qsort((void *)l->path, kept, sizeof *l->path, by_bytes);
    return ILK_OK;
}

void ilki_tasks_file_list_deinit(ilki_file_list *l)
{
    free((void *)l->path);
    ilki_base_arena_deinit(&l->arena);
    *l = (ilki_file_list){0};
}
