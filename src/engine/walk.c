/* SPDX-License-Identifier: Apache-2.0
 * Depth first over a stack of frames on the heap. A frame holds the sorted names of one directory, which was listed whole
 * and closed again, so neither depth nor width costs file descriptors or C stack. Directories are known by device and
 * inode; those above the root are known from the start, so that a link to one of them is not taken. */
#include "engine/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/runtime.h"
#include "engine/ignore.h"

enum { MAX_PATH_BYTES = 1 << 20 };

typedef struct name {
    const char *s;
    ilki_file_type type;
} name;

typedef struct frame {
    ilki_arena arena;
    name *names;
    size_t n, cap, at;
    size_t n_path; /* bytes of walk.path that are this directory's */
    unsigned has;
    bool no_memory;
} frame;

typedef struct walk {
    const ilki_vfs *vfs;
    const ilki_walk_options *opt;
    ilki_walk_fn fn;
    void *user;
    ilki_rules *rules;
    ilki_buf path;    /* of the entry at hand */
    const char *root; /* as given */
    size_t n_root;    /* bytes of path before `rel` */
    frame *frames;
    size_t n, cap;
    ilki_map seen; /* directories: dev and ino */
    ilki_arena keys;
    char **links; /* to directories, for later */
    size_t n_links, cap_links;
} walk;

/* ---- small parts */

static bool set_path(walk *w, size_t n, const char *more)
{
    ilki_base_buf_truncate(&w->path, n);
    if (n && w->path.data[n - 1] != '/')
        ilki_base_buf_addc(&w->path, '/');
    ilki_base_buf_adds(&w->path, more);
    return !w->path.failed;
}

static ilk_status tell(walk *w, const ilki_stat *st, ilk_status status, const char *reason, ilk_error *err)
{
    ilki_walk_entry e = {.path = w->path.data, .status = status, .reason = reason};
    e.rel = w->path.len > w->n_root ? w->path.data + w->n_root : "";
    if (st)
        e.st = *st;
    return w->fn(w->user, &e, err);
}

/* *is_new: it was not seen before; it is now. */
static ilk_status see(walk *w, const ilki_stat *st, bool *is_new, ilk_error *err)
{
    uint64_t key[2] = {st->dev, st->ino};
    *is_new = ilki_base_map_get(&w->seen, (const char *)key, sizeof key) == ILKI_MAP_NONE;
    if (!*is_new)
        return ILK_OK;
    uint64_t *kept = ilki_base_arena_alloc(&w->keys, 1, sizeof key);
    if (!kept)
        return ilki_base_fail_memory(err, sizeof key, "directories seen");
    memcpy(kept, key, sizeof key);
    if (!ilki_base_map_put(&w->seen, (const char *)kept, sizeof key, 1, NULL))
        return ilki_base_fail_memory(err, sizeof key, "directories seen");
    return ILK_OK;
}

static const char special[] = "a pipe, a socket or a device";

/* ---- frames */

static bool add_name(void *user, const char *s, ilki_file_type type)
{
    frame *f = user;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 32;
        name *more = realloc(f->names, cap * sizeof *more);
        if (!more)
            return !(f->no_memory = true);
        f->names = more;
        f->cap = cap;
    }
    const char *copy = ilki_base_arena_strndup(&f->arena, s, strlen(s));
    if (!copy)
        return !(f->no_memory = true);
    if (strcmp(s, ".gitignore") == 0 && type != ILKI_FILE_LINK) /* git does not follow it */
        f->has |= ILKI_HAS_GITIGNORE;
    else if (strcmp(s, ".ignore") == 0)
        f->has |= ILKI_HAS_IGNORE;
    else if (strcmp(s, ".git") == 0)
        f->has |= ILKI_HAS_GIT;
    f->names[f->n++] = (name){copy, type};
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const name *)a)->s, ((const name *)b)->s);
}

static void frame_deinit(frame *f)
{
    ilki_base_arena_deinit(&f->arena);
    free(f->names);
}

static void pop(walk *w)
{
    frame_deinit(&w->frames[--w->n]);
    ilki_engine_rules_leave(w->rules);
}

/* The directory at w->path becomes the top frame; one that cannot be read is told and passed over. */
static ilk_status push(walk *w, ilk_error *err)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 16;
        frame *more = realloc(w->frames, cap * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, cap * sizeof *more, "directories");
        w->frames = more;
        w->cap = cap;
    }
    frame f = {.n_path = w->path.len};
    ilk_error why;
    ilk_error_init(&why);
    ilk_status st = w->vfs->list(w->vfs, w->path.data, add_name, &f, &why);
    if (f.no_memory || st == ILK_NO_MEMORY) {
        frame_deinit(&f);
        return ilki_base_fail_memory(err, f.cap, "names of a directory");
    }
    if (st) {
        frame_deinit(&f);
        return tell(w, NULL, st, why.message, err);
    }
    if (f.n > 1)
        qsort(f.names, f.n, sizeof *f.names, compare_names);
    st = ilki_engine_rules_enter(w->rules, w->path.data, f.has, err);
    if (st)
        frame_deinit(&f);
    else
        w->frames[w->n++] = f;
    return st;
}

/* ---- entries */

static ilk_status visit_dir(walk *w, const ilki_stat *st, ilk_error *err)
{
    bool is_new;
    if (st->dev == w->opt->skip_dev && st->ino == w->opt->skip_ino)
        return ILK_OK;
    ilk_status status = see(w, st, &is_new, err);
    if (status || !is_new)
        return status;
    return push(w, err);
}

static bool is_never(const walk *w, const char *s)
{
    return strcmp(s, ".git") == 0 || strcmp(s, ".ilk") == 0 || (s[0] == '.' && !w->opt->hidden);
}

static ilk_status keep_link(walk *w, ilk_error *err)
{
    if (w->n_links == w->cap_links) {
        size_t cap = w->cap_links ? w->cap_links * 2 : 16;
        char **more = realloc(w->links, cap * sizeof *more);
        if (!more)
            return ilki_base_fail_memory(err, cap * sizeof *more, "links");
        w->links = more;
        w->cap_links = cap;
    }
    char *copy = ilki_base_strndup(w->path.data, w->path.len);
    if (!copy)
        return ilki_base_fail_memory(err, w->path.len, "links");
    w->links[w->n_links++] = copy;
    return ILK_OK;
}

/* *met: the walk tells `target`, an absolute path without links below the root, under its own name. */
static ilk_status is_met(const walk *w, char *target, bool *met, ilk_error *err)
{
    ilki_rules *rules;
    const ilki_walk_options *o = w->opt;
    ilk_status st = ilki_engine_rules_new(&rules, w->vfs, w->root, o->exclude, o->n_exclude, !o->no_ignore, err);
    if (st)
        return st;
    st = ilki_engine_rules_enter(rules, w->root, ilki_engine_rules_look(w->vfs, w->root), err);
    *met = !st;
    for (char *s = target + w->n_root; *met && !st;) {
        char *end = s + strcspn(s, "/");
        bool is_dir = *end == '/';
        *end = '\0';
        if (is_never(w, s) || ilki_engine_rules_exclude(rules, target, is_dir))
            *met = false;
        else if (is_dir)
            st = ilki_engine_rules_enter(rules, target, ilki_engine_rules_look(w->vfs, target), err);
        if (!is_dir)
            break;
        *end = '/';
        s = end + 1;
    }
    ilki_engine_rules_free(rules);
    return st;
}

/* A link to a file. What it points to stands for it where that is met too; else the document would come twice. */
static ilk_status visit_file_link(walk *w, const ilki_stat *st, ilk_error *err)
{
    bool met = false;
    char *target = realpath(w->path.data, NULL);
    ilk_status status = ILK_OK;
    size_t n = strlen(w->root);
    if (target && strncmp(target, w->root, n) == 0 && (n == w->n_root || target[n] == '/'))
        status = is_met(w, target, &met, err);
    free(target);
    return status || met ? status : tell(w, st, ILK_OK, NULL, err);
}

static ilk_status visit_link(walk *w, ilk_error *err)
{
    ilki_stat st;
    ilk_error why;
    ilk_error_init(&why);
    ilk_status status = w->vfs->stat(w->vfs, w->path.data, true, &st, &why);
    if (status == ILK_NOT_FOUND)
        return tell(w, NULL, ILK_UNSUPPORTED, "a dangling link", err);
    if (status)
        return tell(w, NULL, status, why.message, err);
    if (st.type == ILKI_FILE_DIR) {
        if (ilki_engine_rules_exclude(w->rules, w->path.data, true))
            return ILK_OK;
        return keep_link(w, err);
    }
    if (st.type != ILKI_FILE_REGULAR)
        return tell(w, NULL, ILK_UNSUPPORTED, special, err);
    return visit_file_link(w, &st, err);
}

static ilk_status visit(walk *w, const name *e, ilk_error *err)
{
    ilki_stat st = {.type = e->type};
    ilk_error why;
    ilk_error_init(&why);
    if (is_never(w, e->s))
        return ILK_OK;
    bool need = e->type == ILKI_FILE_DIR || e->type == ILKI_FILE_OTHER || !w->opt->names_only;
    if (e->type == ILKI_FILE_LINK && w->opt->names_only)
        return ILK_OK;
    if (e->type != ILKI_FILE_OTHER && ilki_engine_rules_exclude(w->rules, w->path.data, e->type == ILKI_FILE_DIR))
        return ILK_OK;
    if (e->type == ILKI_FILE_LINK)
        return visit_link(w, err);
    ilk_status status = need ? w->vfs->stat(w->vfs, w->path.data, false, &st, &why) : ILK_OK;
    if (status == ILK_NOT_FOUND) /* gone since its directory was listed */
        return ILK_OK;
    if (status)
        return tell(w, NULL, status, why.message, err);
    if (e->type == ILKI_FILE_OTHER && ilki_engine_rules_exclude(w->rules, w->path.data, st.type == ILKI_FILE_DIR))
        return ILK_OK;
    switch (st.type) {
    case ILKI_FILE_DIR:
        return visit_dir(w, &st, err);
    case ILKI_FILE_LINK: /* the listing could not tell */
        return w->opt->names_only ? ILK_OK : visit_link(w, err);
    case ILKI_FILE_REGULAR:
        return tell(w, &st, ILK_OK, NULL, err);
    default:
        return tell(w, NULL, ILK_UNSUPPORTED, special, err);
    }
}

/* Until the stack is as it was before the last push. */
static ilk_status run(walk *w, size_t base, ilk_error *err)
{
    ilk_status st = ILK_OK;
    while (!st && w->n > base) {
        frame *f = &w->frames[w->n - 1];
        if (f->at == f->n) {
            pop(w);
            continue;
        }
        const name *e = &f->names[f->at++];
        st = ilki_base_job_check(w->opt->job, err);
        if (!st && !set_path(w, f->n_path, e->s))
            st = ilki_base_buf_check(&w->path, "a path", err);
        if (!st)
            st = visit(w, e, err);
    }
    return st;
}

/* ---- links to directories */

/* The rules of every directory from the root to the one that holds `path`. */
static ilk_status enter_chain(walk *w, const char *path, size_t *n_entered, ilk_error *err)
{
    ilk_status st = ILK_OK;
    *n_entered = 0;
    for (size_t at = w->n_root; !st; at++) {
        /* "/a/b/" has its directory without the slash, "/" keeps it */
        if (at == w->n_root || path[at] == '/') {
            size_t n = at == w->n_root && at > 1 ? at - 1 : at;
            char *dir = ilki_base_strndup(path, n);
            if (!dir)
                return ilki_base_fail_memory(err, n, "a path");
            st = ilki_engine_rules_enter(w->rules, dir, ilki_engine_rules_look(w->vfs, dir), err);
            *n_entered += !st;
            free(dir);
        }
        if (!path[at] || !strchr(path + at, '/'))
            break;
    }
    return st;
}

static ilk_status walk_link(walk *w, const char *path, ilk_error *err)
{
    ilki_stat st;
    size_t n_entered = 0;
    ilki_base_buf_truncate(&w->path, 0);
    if (!ilki_base_buf_adds(&w->path, path))
        return ilki_base_buf_check(&w->path, "a path", err);
    if (w->vfs->stat(w->vfs, path, true, &st, NULL) || st.type != ILKI_FILE_DIR)
        return ILK_OK; /* changed since */
    ilk_status status = enter_chain(w, path, &n_entered, err);
    if (!status)
        status = visit_dir(w, &st, err);
    if (!status)
        status = run(w, 0, err);
    while (w->n)
        pop(w);
    while (n_entered--)
        ilki_engine_rules_leave(w->rules);
    return status;
}

/* ---- entry */

/* Marks the directories above the root. */
static ilk_status see_above(walk *w, const char *root, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t n = strlen(root); !st && n > 0;) {
        while (n > 0 && root[--n] != '/') {
        }
        char *dir = ilki_base_strndup(root, n ? n : 1);
        ilki_stat s;
        bool is_new;
        if (!dir)
            return ilki_base_fail_memory(err, n, "a path");
        if (strcmp(dir, root) != 0 && w->vfs->stat(w->vfs, dir, true, &s, NULL) == ILK_OK)
            st = see(w, &s, &is_new, err);
        free(dir);
    }
    return st;
}

ilk_status ilki_engine_walk(const ilki_vfs *vfs, const char *root, const ilki_walk_options *opt, ilki_walk_fn fn,
                            void *user, ilk_error *err)
{
    walk w = {.vfs = vfs, .opt = opt, .fn = fn, .user = user, .root = root};
    ilki_stat s;
    ilki_base_buf_init(&w.path, MAX_PATH_BYTES);
    w.n_root = strlen(root) + (root[strlen(root) - 1] != '/');
    ilk_status st = vfs->stat(vfs, root, true, &s, err);
    if (!st && s.type != ILKI_FILE_DIR)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a directory", root);
    if (!st)
        st = ilki_engine_rules_new(&w.rules, vfs, root, opt->exclude, opt->n_exclude, !opt->no_ignore, err);
    if (!st)
        st = see_above(&w, root, err);
    if (!st && !ilki_base_buf_adds(&w.path, root))
        st = ilki_base_buf_check(&w.path, "a path", err);
    if (!st)
        st = visit_dir(&w, &s, err);
    if (!st)
        st = run(&w, 0, err);
    for (size_t i = 0; !st && i < w.n_links; i++) /* grows while they are walked */
        st = walk_link(&w, w.links[i], err);
    while (w.n)
        pop(&w);
    ilki_engine_rules_free(w.rules);
    for (size_t i = 0; i < w.n_links; i++)
        free(w.links[i]);
    free(w.links);
    free(w.frames);
    ilki_base_map_deinit(&w.seen);
    ilki_base_arena_deinit(&w.keys);
    ilki_base_buf_deinit(&w.path);
    return st;
}
