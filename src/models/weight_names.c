/* SPDX-License-Identifier: Apache-2.0
 * Names of weights: a row's name filled in, what stands before all names of a file, and which tensors of it nobody asked
 * for. A prefix is the family's own ("bert."), a wrap what programs put before a whole model ("state_dict.", "model.",
 * in any number); both are found once, by the list's first row, and two models in one file are an error. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "models/loader.h"

/* ---- one name */

void ilki_models_weight_name(const ilki_loader *l, const ilki_weight *row, uint32_t layer, const char *part,
                             const char *suffix, char to[ILKI_WEIGHT_NAME])
{
    size_t at = 0;
    bool bare = row->name[0] == '/';
    at += (size_t)snprintf(to, ILKI_WEIGHT_NAME, "%.*s%s", (int)l->n_wrap, l->wrap ? l->wrap : "",
                           bare ? "" : l->prefix);
    for (const char *p = row->name + bare; *p && at < ILKI_WEIGHT_NAME; p++) {
        if (p[0] == '%' && p[1] == 'u')
            at += (size_t)snprintf(to + at, ILKI_WEIGHT_NAME - at, "%" PRIu32, layer);
        else if (p[0] == '%' && p[1] == 's')
            at += (size_t)snprintf(to + at, ILKI_WEIGHT_NAME - at, "%s", part);
        else
            at += (size_t)snprintf(to + at, ILKI_WEIGHT_NAME - at, "%c", *p);
        p += p[0] == '%';
    }
    if (at < ILKI_WEIGHT_NAME)
        snprintf(to + at, ILKI_WEIGHT_NAME - at, "%s", suffix);
}

static const ilki_tensor *find(const ilki_loader *l, const char *name)
{
    const ilki_tensor *t = ilki_format_find(l->src->weights, name);
    if (t)
        l->used[t - ilki_format_view(l->src->weights, 0)] = true;
    return t;
}

/* A name that takes no prefix may have it all the same, in a file where everything has. */
const ilki_tensor *ilki_models_weight_find(const ilki_loader *l, const ilki_weight *row, uint32_t layer,
                                           const char *part, const char *suffix)
{
    char name[ILKI_WEIGHT_NAME];
    ilki_models_weight_name(l, row, layer, part, suffix, name);
    const ilki_tensor *t = find(l, name);
    if (!t && row->name[0] == '/') {
        ilki_weight plain = *row;
        plain.name++;
        ilki_models_weight_name(l, &plain, layer, part, suffix, name);
        t = find(l, name);
    }
    return t;
}

/* ---- what stands before every name */

/* What programs that save more than a model, or a model that runs inside another, put before its names; in any order and
 * number. */
static const char *const wrappers[] = {"state_dict.", "model_state_dict.", "module.",      "model.",
                                       "auto_model.", "0.auto_model.",     "transformer.", "_orig_mod."};

static bool is_wrap(const char *s, size_t n)
{
    size_t at = 0, len = 1;
    while (at < n && len) {
        len = 0;
        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && !len; i++)
            if (strlen(wrappers[i]) <= n - at && memcmp(s + at, wrappers[i], strlen(wrappers[i])) == 0)
                len = strlen(wrappers[i]);
        at += len;
    }
    return at == n;
}

/* Parts what stands before the list's first name: a wrap, and the longest prefix of the list. */
static bool part_stem(ilki_loader *l, const char *stem, size_t n)
{
    bool found = false;
    size_t longest = 0;
    for (const char *const *p = l->list->prefixes; *p; p++) {
        size_t len = strlen(*p);
        if (len > n || (found && len <= longest) || memcmp(stem + n - len, *p, len) != 0 || !is_wrap(stem, n - len))
            continue;
        found = true;
        longest = len;
        l->prefix = *p;
        l->wrap = stem;
        l->n_wrap = n - len;
    }
    return found;
}

/* Finds the list's first row: under which wrap and prefix. `*first` and `*second` are two tensors where there are two
 * such rows, `*other` one under an unknown prefix where there is none; false: none. */
static bool find_prefix(ilki_loader *l, const ilki_tensor **first, const ilki_tensor **second,
                        const ilki_tensor **other)
{
    static const char *const suffixes[] = {"", ".weight", ".gamma"};
    const ilki_weight *row = &l->list->rows[0];
    *first = *second = *other = NULL;
    l->prefix = "";
    l->n_wrap = 0;
    for (size_t s = 0; s < sizeof suffixes / sizeof *suffixes; s++) {
        char name[ILKI_WEIGHT_NAME];
        ilki_loader bare = {.prefix = ""};
        ilki_models_weight_name(&bare, row, 0, row->parts[0], suffixes[s], name);
        for (size_t i = 0; i < ilki_format_count(l->src->weights); i++) {
            const ilki_tensor *t = ilki_format_view(l->src->weights, i);
            size_t len = strlen(t->name), n = strlen(name);
            if (len < n || strcmp(t->name + len - n, name) != 0 || (len > n && t->name[len - n - 1] != '.'))
                continue;
            ilki_loader at = *l;
            if (!part_stem(&at, t->name, len - n))
                *other = t;
            else if (*first)
                *second = t;
            else {
                *first = t;
                l->prefix = at.prefix;
                l->wrap = at.wrap;
                l->n_wrap = at.n_wrap;
            }
        }
    }
    return *first != NULL;
}

bool ilki_models_list_fits(const ilki_weight_list *list, const ilki_model_source *src)
{
    const ilki_tensor *first, *second, *other;
    ilki_loader l = {.list = list, .src = src};
    return find_prefix(&l, &first, &second, &other);
}

ilk_status ilki_models_choose_prefix(ilki_loader *l, ilk_error *err)
{
    const ilki_tensor *first, *second, *other;
    if (find_prefix(l, &first, &second, &other)) {
        if (!second)
            return ILK_OK;
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected one %s model, found two: tensors %s and %s",
                              first->file, l->list->family, first->name, second->name);
    }
    l->prefix = l->list->prefixes[0];
    l->n_wrap = 0;
    if (other)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: tensor %s: expected it behind a known prefix, found another",
                              other->file, other->name);
    return ILK_OK;
}

/* ---- unused tensors */

static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern), len = strlen(name);
    if (pattern[0] == '*')
        return len >= n - 1 && strcmp(name + len - (n - 1), pattern + 1) == 0;
    if (n && pattern[n - 1] == '*')
        return strncmp(name, pattern, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool is_ignored(const ilki_loader *l, const char *name)
{
    const ilki_weight_list *list = l->list;
    if (l->n_wrap && strncmp(name, l->wrap, l->n_wrap) == 0)
        name += l->n_wrap;
    for (const char *const *p = list->prefixes; *p; p++) {
        size_t n = strlen(*p);
        if (strncmp(name, *p, n) != 0)
            continue;
        for (const char *const *i = list->ignored; *i; i++)
            if (matches(*i, name + n))
                return true;
    }
    return false;
}

void ilki_models_warn_unused(const ilki_loader *l)
{
    size_t n_unused = 0, n = ilki_format_count(l->src->weights);
    const char *file = NULL;
    ilki_buf names;
    ilki_base_buf_init(&names, 1 << 16);
    for (size_t i = 0; i < n; i++) {
        const ilki_tensor *t = ilki_format_view(l->src->weights, i);
        if (l->used[i] || is_ignored(l, t->name))
            continue;
        file = file ? file : t->file;
        if (n_unused++ < 4)
            ilki_base_buf_addf(&names, "%s%s", n_unused > 1 ? ", " : "", t->name);
    }
    if (n_unused)
        ilki_base_log(l->src->rt, ILK_LOG_WARN, "%s: %zu tensors are not used by %s: %s%s", file, n_unused,
                      l->list->family, ilki_base_buf_view(&names), n_unused > 4 ? ", ..." : "");
    ilki_base_buf_deinit(&names);
}
