/* SPDX-License-Identifier: Apache-2.0
 * The rules that hold in one directory: a stack of levels, one per directory from the top of the git repository (or the
 * root of the walk) down to the current one.
 *
 * Order of say: the caller's globs, relative to the root; then the .ignore files, the deepest first; then .gitignore
 * files, the deepest first, up to the directory that holds .git; then that repository's info/exclude. A .git below the
 * root begins a scope of its own, as it does for git. Outside of any repository .gitignore files count too. The user's
 * global excludes are not read: what a folder yields should follow from the folder. */
#include "engine/ignore.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { MAX_RULE_BYTES = 16 << 20 };

typedef struct level {
    size_t n_dir; /* bytes of its directory's path with the slash behind it */
    ilki_ignore *git, *ignore, *info;
    bool top; /* holds .git */
} level;

struct ilki_rules {
    const ilki_vfs *vfs;
    ilki_ignore *exclude;
    size_t n_root; /* as n_dir */
    bool files;
    level *levels;
    size_t n, cap;
};

/* The list in `dir`/`name`; NULL where it is absent or cannot be read, as git does it. */
static ilk_status read_list(ilki_rules *r, const char *dir, const char *name, ilki_ignore **out, ilk_error *err)
{
    char *path = ilki_base_path_join(dir, name), *text = NULL;
    size_t n = 0;
    *out = NULL;
    if (!path)
        return ilki_base_fail_memory(err, strlen(dir) + strlen(name), "a path");
    ilk_status st = ilki_base_read_file(r->vfs, path, MAX_RULE_BYTES, &text, &n, NULL);
    free(path);
    if (st)
        return st == ILK_NO_MEMORY ? ilki_base_fail_memory(err, n, name) : ILK_OK;
    st = ilki_engine_ignore_parse(out, text, n, err);
    free(text);
    return st;
}

/* First line of a small file behind `prefix`, or NULL; freed with free(). */
static char *read_line(const ilki_vfs *vfs, const char *dir, const char *name, const char *prefix)
{
    char *path = ilki_base_path_join(dir, name), *text = NULL, *line = NULL;
    size_t n = 0, n_prefix = strlen(prefix);
    if (path && ilki_base_read_file(vfs, path, 1 << 16, &text, &n, NULL) == ILK_OK && n >= n_prefix &&
        memcmp(text, prefix, n_prefix) == 0)
        line = ilki_base_strndup(text + n_prefix, strcspn(text + n_prefix, "\r\n"));
    free(path);
    free(text);
    return line;
}

/* info/exclude of the repository whose work tree is `dir`: .git is a directory or, in a linked work tree and in a
 * submodule, a file that points to one, which may point on to the common directory. */
static ilk_status read_info(ilki_rules *r, const char *dir, ilki_ignore **out, ilk_error *err)
{
    char *git = ilki_base_path_join(dir, ".git");
    char *link = git ? read_line(r->vfs, dir, ".git", "gitdir: ") : NULL;
    if (link) {
        free(git);
        git = ilki_base_path_join(dir, link);
        free(link);
    }
    char *common = git ? read_line(r->vfs, git, "commondir", "") : NULL;
    if (common) {
        char *to = ilki_base_path_join(git, common);
        free(git);
        free(common);
        git = to;
    }
    ilk_status st = git ? read_list(r, git, "info/exclude", out, err)
                        : ilki_base_fail_memory(err, strlen(dir), "a path");
    free(git);
    return st;
}

unsigned ilki_engine_rules_look(const ilki_vfs *vfs, const char *dir)
{
    static const char *const names[] = {".gitignore", ".ignore", ".git"};
    unsigned has = 0;
    for (size_t i = 0; i < 3; i++) {
        char *path = ilki_base_path_join(dir, names[i]);
        ilki_stat st;
        if (path && vfs->stat(vfs, path, false, &st, NULL) == ILK_OK && (i > 0 || st.type == ILKI_FILE_REGULAR))
            has |= 1U << i;
        free(path);
    }
    return has;
}

static size_t with_slash(const char *dir)
{
    size_t n = strlen(dir);
    return n && dir[n - 1] == '/' ? n : n + 1;
}

ilk_status ilki_engine_rules_enter(ilki_rules *r, const char *dir, unsigned has, ilk_error *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        level *more = realloc(r->levels, cap * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, cap * sizeof *more, "ignore rules");
        r->levels = more;
        r->cap = cap;
    }
    level l = {.n_dir = with_slash(dir), .top = has & ILKI_HAS_GIT};
    ilk_status st = ILK_OK;
    if (r->files && has & ILKI_HAS_GITIGNORE)
        st = read_list(r, dir, ".gitignore", &l.git, err);
    if (!st && r->files && has & ILKI_HAS_IGNORE)
        st = read_list(r, dir, ".ignore", &l.ignore, err);
    if (!st && r->files && has & ILKI_HAS_GIT)
        st = read_info(r, dir, &l.info, err);
    r->levels[r->n++] = l;
    if (st)
        ilki_engine_rules_leave(r);
    return st;
}

void ilki_engine_rules_leave(ilki_rules *r)
{
    if (r->n == 0)
        return;
    level *l = &r->levels[--r->n];
    ilki_engine_ignore_free(l->git);
    ilki_engine_ignore_free(l->ignore);
    ilki_engine_ignore_free(l->info);
}

/* The first `end` bytes of an absolute path, "/" for none. */
static void cut_path(char *dir, const char *path, size_t end)
{
    memcpy(dir, path, end);
    memcpy(dir + end, end ? "" : "/", end ? 1 : 2);
}

/* Enters the directories above `root` from the top of its repository on; none where it lies in no repository or is the
 * top itself. */
static ilk_status enter_above(ilki_rules *r, const char *root, ilk_error *err)
{
    size_t n = strlen(root), end = n;
    char *dir = ilki_base_strndup(root, n);
    if (!dir)
        return ilki_base_fail_memory(err, n, "a path");
    ilk_status st = ILK_OK;
    for (;;) {
        cut_path(dir, root, end);
        if (ilki_engine_rules_look(r->vfs, dir) & ILKI_HAS_GIT)
            break;
        if (end == 0) {
            end = n;
            break;
        }
        while (root[--end] != '/') {
        }
    }
    while (!st && end < n) {
        cut_path(dir, root, end);
        st = ilki_engine_rules_enter(r, dir, ilki_engine_rules_look(r->vfs, dir), err);
        for (end++; end < n && root[end] != '/'; end++) {
        }
    }
    free(dir);
    return st;
}

ilk_status ilki_engine_rules_new(ilki_rules **out, const ilki_vfs *vfs, const char *root, const char *const *exclude,
                                 size_t n_exclude, bool files, ilk_error *err)
{
    ilki_buf text;
    ilk_status st = ILK_OK;
    *out = NULL;
    ilki_base_buf_init(&text, MAX_RULE_BYTES);
    ilki_rules *r = ilki_base_zalloc(1, sizeof *r);
    if (!r)
        return ilki_base_fail_memory(err, sizeof *r, "ignore rules");
    r->vfs = vfs;
    r->files = files;
    r->n_root = with_slash(root);
    for (size_t i = 0; i < n_exclude; i++) {
        ilki_base_buf_adds(&text, exclude[i]);
        ilki_base_buf_addc(&text, '\n');
    }
    st = ilki_base_buf_check(&text, "exclude patterns", err);
    if (!st && n_exclude)
        st = ilki_engine_ignore_parse(&r->exclude, ilki_base_buf_view(&text), text.len, err);
    if (!st && files && strcmp(root, "/") != 0)
        st = enter_above(r, root, err);
    ilki_base_buf_deinit(&text);
    if (st)
        ilki_engine_rules_free(r);
    else
        *out = r;
    return st;
}

void ilki_engine_rules_free(ilki_rules *r)
{
    if (!r)
        return;
    while (r->n)
        ilki_engine_rules_leave(r);
    ilki_engine_ignore_free(r->exclude);
    free(r->levels);
    free(r);
}

bool ilki_engine_rules_exclude(ilki_rules *r, const char *path, bool is_dir)
{
    size_t n = strlen(path);
    ilki_verdict v = ILKI_VERDICT_NONE;
    if (r->exclude && n > r->n_root)
        v = ilki_engine_ignore_match(r->exclude, path + r->n_root, n - r->n_root, is_dir);
    for (size_t i = r->n; !v && i-- > 0;)
        if (r->levels[i].ignore)
            v = ilki_engine_ignore_match(r->levels[i].ignore, path + r->levels[i].n_dir, n - r->levels[i].n_dir,
                                         is_dir);
    for (size_t i = r->n; !v && i-- > 0;) {
        level *l = &r->levels[i];
        if (l->git)
            v = ilki_engine_ignore_match(l->git, path + l->n_dir, n - l->n_dir, is_dir);
        if (!v && l->info)
            v = ilki_engine_ignore_match(l->info, path + l->n_dir, n - l->n_dir, is_dir);
        if (l->top)
            break;
    }
    return v == ILKI_VERDICT_OUT;
}
