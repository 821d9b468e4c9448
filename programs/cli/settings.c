/* SPDX-License-Identifier: Apache-2.0
 * Settings: a flag wins over the environment, that over the config of the folder, that over the user's. A config file
 * has lines "key = value", '#' begins a comment line, a value may stand in double quotes. What is not understood is
 * named with file and line and passed over. */
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "cli.h"

#define MAX_CONFIG_BYTES 65536
#define MAX_SETTINGS     256

static const struct row {
    const char *name, *env;
    bool folder, list;
} rows[] = {
    {"model", "ILK_MODEL", true, false}, {"store", "ILK_STORE", false, false}, {"threads", "ILK_THREADS", false, false},
    {"cpu", "ILK_CPU", false, false},    {"color", NULL, false, false},        {"chunk-tokens", NULL, true, false},
    {"overlap", NULL, true, false},      {"hidden", NULL, true, false},        {"no-ignore", NULL, true, false},
    {"exclude", NULL, true, true},
};
#define N_ROWS (sizeof rows / sizeof *rows)

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* "org/name" or "org/name@revision": no path, and not the name of a directory here either. */
static bool is_model_id(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/@";
    ilki_stat st;
    const char *slash = strchr(s, '/');
    return s[strspn(s, allowed)] == 0 && slash && slash != s && slash[1] && !strchr(slash + 1, '/') && s[0] != '.' &&
           !strstr(s, "..") && ilki_base_vfs_posix.stat(&ilki_base_vfs_posix, s, true, &st, NULL) != ILK_OK;
}

static char *trim(char *s)
{
    s += strspn(s, " \t\r");
    size_t n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = 0;
    return s;
}

static void take_line(cli *c, char *line, const char *file, unsigned number, bool of_folder)
{
    char *key = trim(line), *equal = strchr(key, '=');
    if (*key == 0 || *key == '#')
        return;
    if (!equal) {
        cli_warn(c, "%s:%u: expected \"key = value\", found \"%s\"", file, number, key);
        return;
    }
    *equal = 0;
    char *value = trim(equal + 1);
    size_t n = strlen(value);
    key = trim(key);
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value[n - 1] = 0;
        value++;
    }
    const struct row *r = find_row(key);
    if (!r) {
        cli_suggestion s = {key, NULL, 0};
        for (size_t i = 0; i < N_ROWS; i++)
            cli_suggest(&s, rows[i].name);
        cli_warn(c, "%s:%u: unknown key \"%s\"%s%s", file, number, key, s.best ? ": did you mean " : "",
                 s.best ? s.best : "");
    } else if (of_folder && !r->folder) {
        cli_warn(c, "%s:%u: \"%s\" may not be set by a folder: passed over", file, number, key);
    } else if (of_folder && strcmp(key, "model") == 0 && !is_model_id(value)) {
        cli_warn(c, "%s:%u: a folder may set a model's id (ORG/NAME) only, not \"%s\": passed over", file, number,
                 value);
    } else if (c->n_settings == MAX_SETTINGS) {
        cli_warn(c, "%s:%u: more than %d settings", file, number, MAX_SETTINGS);
    } else {
        cli_setting *to = &c->settings[c->n_settings];
        *to = (cli_setting){strdup(key), strdup(value), file, number};
        c->n_settings += to->key && to->value;
    }
}

/* Takes `path`; it is kept in *kept where the file exists. */
static void read_config(cli *c, char *path, char **kept, bool of_folder)
{
    ilk_error err;
    char *text = NULL;
    size_t n;
    ilk_error_init(&err);
    ilk_status st = path ? ilki_base_read_file(&ilki_base_vfs_posix, path, MAX_CONFIG_BYTES, &text, &n, &err)
                         : ILK_NOT_FOUND;
    if (st == ILK_OK && !c->settings && !(c->settings = ilki_base_zalloc(MAX_SETTINGS, sizeof *c->settings)))
        st = ilki_base_fail_memory(&err, sizeof *c->settings, "the settings");
    if (st != ILK_OK) {
        if (st != ILK_NOT_FOUND)
            cli_warn(c, "%s", err.message);
        free(text);
        free(path);
        return;
    }
    *kept = path;
    char *next = text;
    for (unsigned number = 1; next; number++) {
        char *line = next, *end = strchr(line, '\n');
        if (end)
            *end = 0;
        next = end ? end + 1 : NULL;
        take_line(c, line, path, number, of_folder);
    }
    free(text);
}

void cli_config_read_user(cli *c)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    if (base && base[0] == '/') {
        path = ilki_base_path_join(base, "ilk/config");
    } else if (home && *home) {
        path = ilki_base_path_join(home, ".config/ilk/config");
    }
    read_config(c, path, &c->user_config, false);
    const char *from, *color = cli_setting_text(c, "color", &from);
    if (color && strcmp(color, "auto") != 0 && strcmp(color, "always") != 0 && strcmp(color, "never") != 0)
        cli_warn(c, "%s: color: expected auto, always or never, found \"%s\"", from, color);
    else if (color)
        cli_out_set_color(c, color);
}

void cli_config_read_folder(cli *c, const char *store)
{
    if (!c->folder_config)
        read_config(c, ilki_base_path_join(store, "config"), &c->folder_config, true);
}

static size_t flag_index(const cli *c, const char *name)
{
    size_t i = 0;
    while (i < c->n_flags && strcmp(c->flags[i]->name, name) != 0)
        i++;
    return i;
}

/* The last line of a file wins. */
static const cli_setting *find_in(const cli *c, const char *name, const char *file)
{
    for (size_t i = c->n_settings; file && i-- > 0;)
        if (c->settings[i].file == file && strcmp(c->settings[i].key, name) == 0)
            return &c->settings[i];
    return NULL;
}

const char *cli_setting_text(const cli *c, const char *name, const char **from)
{
    const struct row *r = find_row(name);
    const char *unused, **place = from ? from : &unused;
    size_t i = flag_index(c, name);
    if (i < c->n_flags && c->values[i].text) {
        *place = "command line";
        return c->values[i].text;
    }
    const char *env = r && r->env ? getenv(r->env) : NULL;
    if (env && *env) {
        *place = r->env;
        return env;
    }
    const cli_setting *s = find_in(c, name, c->folder_config);
    if (!s)
        s = find_in(c, name, c->user_config);
    *place = s ? s->file : NULL;
    return s ? s->value : NULL;
}

bool cli_setting_count(cli *c, const char *name, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *from, *text = cli_setting_text(c, name, &from);
    if (!text)
        return true;
    if (cli_parse_count(text, min, max, out))
        return true;
    cli_fail(c, "%s: %s: expected a whole number from %llu to %llu, found \"%s\"", from, name, (unsigned long long)min,
             (unsigned long long)max, text);
    return false;
}

bool cli_setting_on(cli *c, const char *name, bool *out)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    const char *from, *text = cli_setting_text(c, name, &from);
    if (!text)
        return true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2;
            return true;
        }
    cli_fail(c, "%s: %s: expected yes or no, found \"%s\"", from, name, text);
    return false;
}

size_t cli_given_list(const cli *c, const char *name, const char **out, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < c->n_list && k < n; i++)
        if (strcmp(c->list[i].flag->name, name) == 0)
            out[k++] = c->list[i].text;
    return k;
}

size_t cli_setting_list(const cli *c, const char *name, const char **out, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < c->n_settings && k < n; i++)
        if (strcmp(c->settings[i].key, name) == 0)
            out[k++] = c->settings[i].value;
    return k + cli_given_list(c, name, out + k, n - k);
}
