/* SPDX-License-Identifier: Apache-2.0
 * Where the store is. As with git, a command works in any folder below the one that has .ilk. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/vfs.h"
#include "choose.h"

static bool is_dir(const char *path)
{
    ilki_stat st;
    return path && ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, path, true, &st, NULL) == ILK_OK &&
           st.type == ILKI_FILE_DIR;
}

/* $XDG_DATA_HOME/ilk/stores/HASH for a folder that cannot be written; NULL where no variable says where. */
static char *store_apart(const char *folder)
{
    const char *base = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    uint8_t digest[32];
    char hex[65];
    ilki_buf b;
    ilki_base_sha256(folder, strlen(folder), digest);
    ilki_base_hex(digest, 16, hex);
    ilki_base_buf_init(&b, 2 * PATH_MAX);
    if (base && base[0] == '/')
        ilki_base_buf_addf(&b, "%s/ilk/stores/%s", base, hex);
    else if (home && *home)
        ilki_base_buf_addf(&b, "%s/.local/share/ilk/stores/%s", home, hex);
    char *path = b.len ? ilki_base_buf_take(&b, NULL) : NULL;
    ilki_base_buf_deinit(&b);
    return path;
}

static char *parent_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash != path ? ilki_base_strndup(path, (size_t)(slash - path)) : strdup("/");
}

/* The absolute directory that holds the store, which need not exist yet; NULL where its own does not. */
static char *home_of(const char *store)
{
    char *absolute = realpath(store, NULL), *home = NULL;
    if (absolute) {
        home = parent_of(absolute);
        free(absolute);
        return home;
    }
    const char *slash = strrchr(store, '/');
    char *above = !slash ? strdup(".") : parent_of(store);
    home = above ? realpath(above, NULL) : NULL;
    free(above);
    return home;
}

/* `given` is the store, or a folder that has one. */
static void take_given(cli_place *p, const char *given, const char *folder)
{
    char *inner = ilki_base_path_join(given, ".ilk"), *absolute;
    p->store = is_dir(inner) ? inner : strdup(given);
    if (p->store != inner)
        free(inner);
    p->exists = is_dir(p->store);
    absolute = p->store && p->exists ? realpath(p->store, NULL) : NULL;
    p->folder = absolute ? parent_of(absolute) : strdup(folder);
    free(absolute);
}

/* From `folder` upwards: .ilk, or a store apart for that folder. */
static bool look_upwards(cli_place *p, const char *folder)
{
    char *at = strdup(folder);
    while (at) {
        char *store = ilki_base_path_join(at, ".ilk"), *apart = NULL;
        bool found = is_dir(store);
        if (!found) {
            apart = store_apart(at);
            found = is_dir(apart);
        }
        if (found) {
            p->store = apart ? apart : store;
            p->apart = apart != NULL;
            p->folder = at;
            p->exists = true;
            free(apart ? store : NULL);
            return true;
        }
        free(store);
        free(apart);
        char *up = strcmp(at, "/") == 0 ? NULL : parent_of(at);
        free(at);
        at = up;
    }
    return false;
}

bool cli_place_find(cli *c, const char *folder, cli_place *p)
{
    const char *given = cli_setting_text(c, "store", NULL);
    memset(p, 0, sizeof *p);
    char *absolute = realpath(*folder ? folder : ".", NULL);
    if (!absolute) {
        cli_fail(c, "%s: %s", *folder ? folder : "the current folder", strerror(errno));
        return false;
    }
    if (!is_dir(absolute)) { /* a file: its folder is meant */
        char *up = parent_of(absolute);
        free(absolute);
        absolute = up;
    }
    if (given) {
        take_given(p, given, absolute);
    } else if (absolute && !look_upwards(p, absolute)) {
        p->apart = access(absolute, W_OK) != 0;
        p->store = p->apart ? store_apart(absolute) : ilki_base_path_join(absolute, ".ilk");
        p->folder = strdup(absolute);
        if (p->apart && !p->store)
            cli_fail(c, "%s cannot be written and there is no HOME for its store: give --store PATH", absolute);
    }
    free(absolute);
    if (!p->store || !p->folder) {
        cli_place_free(p);
        return false;
    }
    p->home = home_of(p->store);
    cli_config_read_folder(c, p->store);
    return true;
}

void cli_place_free(cli_place *p)
{
    free(p->store);
    free(p->folder);
    free(p->home);
    memset(p, 0, sizeof *p);
}

void cli_place_path(ilki_buf *b, const cli_place *p, const char *path)
{
    char here[PATH_MAX];
    char *full = path[0] == '/' || !p->home ? strdup(path) : ilki_base_path_join(p->home, path);
    if (!full || full[0] != '/' || !getcwd(here, sizeof here)) {
        ilki_base_buf_adds(b, full ? full : path);
        free(full);
        return;
    }
    /* the longest common folder, then one ".." for each level above it */
    size_t n = strlen(here), common = 0, i = 0;
    if (n == 1)
        n = 0; /* "/" */
    for (; i < n && here[i] == full[i]; i++)
        if (here[i] == '/')
            common = i;
    if (i == n && full[n] == '/')
        common = n;
    size_t ups = 0;
    for (size_t k = common; k < n; k++)
        ups += here[k] == '/';
    if (ups > 3 || (ups > 0 && common == 0)) {
        ilki_base_buf_adds(b, full);
    } else {
        for (size_t k = 0; k < ups; k++)
            ilki_base_buf_adds(b, "../");
        ilki_base_buf_adds(b, full + common + 1);
    }
    free(full);
}

char *cli_place_name(const cli_place *p, const char *file)
{
    char *absolute = realpath(file, NULL);
    size_t n = p->home ? strlen(p->home) : 0;
    if (!absolute || n == 0 || strncmp(absolute, p->home, n) != 0)
        return absolute;
    bool top = n == 1; /* "/" */
    if (top || absolute[n] == '/')
        memmove(absolute, absolute + n + !top, strlen(absolute + n + !top) + 1);
    return absolute;
}

ilk_status cli_store_open(cli *c, const cli_place *p, cli_open_mode mode, ilk_store **s)
{
    ilk_store_options o;
    *s = NULL;
    if (!cli_open_runtime(c)) {
        c->err.status = ILK_BAD_ARGUMENT;
        return ILK_BAD_ARGUMENT;
    }
    ilk_store_options_init(&o);
    o.read_only = mode == CLI_OPEN_READ;
    o.no_create = mode != CLI_OPEN_CREATE;
    o.repair = mode == CLI_OPEN_REPAIR;
    ilk_status st = ILK_OK;
    if (mode == CLI_OPEN_CREATE && p->apart)
        st = ilki_base_make_dirs(&ilki_base_vfs_posix, p->store, 0700, &c->err);
    if (st == ILK_OK)
        st = ilk_store_open(s, c->rt, p->store, &o, &c->err);
    if (st != ILK_OK && st != ILK_NOT_FOUND)
        cli_fail_err(c);
    return st;
}

bool cli_store_need(cli *c, const cli_place *p, cli_open_mode mode, ilk_store **s)
{
    ilki_buf b;
    ilk_status st = cli_store_open(c, p, mode, s);
    if (st != ILK_NOT_FOUND)
        return st == ILK_OK;
    ilki_base_buf_init(&b, 65536);
    cli_quote(&b, p->folder);
    if (p->exists) /* the directory is there */
        cli_fail(
            c,
            "%s: expected a store, found none: its manifest is missing: ilk check --repair makes it again of a log "
            "that has something in it, ilk index begins anew where none has",
            p->store);
    else if (cli_setting_text(c, "store", NULL))
        cli_fail(c, "there is no store at %s; to make one: ilk index --store %s FOLDER", p->store, p->store);
    else
        cli_fail(c, "there is no store in %s or above; to make one: ilk index %s", p->folder, ilki_base_buf_view(&b));
    ilki_base_buf_deinit(&b);
    return false;
}

bool cli_store_is_bare(cli *c, const cli_place *p, ilk_store *s)
{
    ilk_store_info info;
    ilk_store_info_init(&info);
    if (cli_given(c, "model") || ilk_store_get_info(s, &info, NULL) != ILK_OK || info.n_spaces > 0)
        return false;
    cli_note(c, "%s: nothing is in this store yet; ilk index fills it", p->store);
    return true;
}

bool cli_store_space(ilk_store *s, ilk_space *space)
{
    ilk_space_init(space);
    for (size_t i = 0; ilk_store_get_space(s, i, space, NULL) == ILK_OK; i++)
        if (space->model)
            return true;
    return false;
}

ilk_filter cli_store_equals(const char *field, const char *text, ilk_value *value)
{
    ilk_filter f;
    ilk_filter_init(&f);
    ilk_value_init(value);
    value->type = ILK_VALUE_TEXT;
    value->text = text;
    value->n_bytes = strlen(text);
    f.op = ILK_FILTER_EQ;
    f.field = field;
    f.values = value;
    f.n_values = 1;
    return f;
}
