/* SPDX-License-Identifier: Apache-2.0
 * Reading vectors and the texts they belong to. Row i belongs to text i, so whatever is wrong ends the reading. */
#include "tasks/vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "embed/embed.h"

#define MAX_DIM   65536
#define MAX_TEXTS ((size_t)4 << 30)

/* ------------------------------------------------------------------ vectors */

/* One line's numbers behind the rows that are there. */
static ilk_status add_row(ilki_rows *to, size_t *cap, const ilki_json *j, const ilki_lines *l, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j), list = root;
    if (ilki_base_json_type(j, root) == ILKI_JSON_OBJECT) {
        list = ilki_base_json_get(j, root, "embedding");
        list = list ? list : ilki_base_json_get(j, root, "vector");
    }
    size_t n = ilki_base_json_count(j, list), i = 0;
    if (ilki_base_json_type(j, list) != ILKI_JSON_ARRAY || n == 0 || n > MAX_DIM)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s:%llu: expected an array of numbers, or an object with one as \"embedding\"", l->path,
                              (unsigned long long)l->line);
    if (to->n && n != to->dim)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s:%llu: expected %zu numbers as before, found %zu", l->path,
                              (unsigned long long)l->line, to->dim, n);
    if (to->n == *cap) {
        size_t want = *cap ? *cap * 2 : 256, bytes;
        float *data = ilki_base_mul(want, n * sizeof *data, &bytes) ? realloc(to->data, bytes) : NULL;
        if (!data)
            return ilki_base_fail_memory(err, want * n * sizeof *data, "vectors");
        to->data = data;
        *cap = want;
    }
    to->dim = n;
    for (ilki_json_node v = ilki_base_json_first(j, list); v; v = ilki_base_json_next(j, v)) {
        float x = (float)ilki_base_json_double(j, v, (double)NAN);
        if (!isfinite(x))
            return ilki_base_fail(err, ILK_BAD_FORMAT, "%s:%llu: number %zu: expected a finite number", l->path,
                                  (unsigned long long)l->line, i);
        to->data[to->n * n + i++] = x;
    }
    to->n++;
    return ILK_OK;
}

static ilk_status read_json_rows(ilki_rows *to, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n, cap = 0;
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        ilki_json *j = NULL;
        if (n == 0 && !l.too_long)
            continue;
        if (l.too_long) {
            st = ilki_base_fail(err, ILK_LIMIT, "%s:%llu: a line of more than 32 MiB", path,
                                (unsigned long long)l.line);
            break;
        }
        st = ilki_base_json_parse(&j, text, n, path, NULL, err);
        if (st == ILK_OK)
            st = add_row(to, &cap, j, &l, err);
        else
            ilki_base_error_prefix(err, "line %llu", (unsigned long long)l.line);
        ilki_base_json_free(j);
    }
    ilki_tasks_lines_close(&l);
    return st;
}

ilk_status ilki_tasks_read_rows(ilki_rows *to, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    *to = (ilki_rows){0};
    ilk_status st = ilki_tasks_ends_with(path, ".jsonl")
                        ? read_json_rows(to, vfs, path, err)
                        : ilki_embed_read_array(vfs, path, &to->data, &to->n, &to->dim, err);
    if (st == ILK_OK && (to->n == 0 || to->dim == 0))
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected vectors, found none", path);
    if (st != ILK_OK) {
        free(to->data);
        *to = (ilki_rows){0};
    }
    return st;
}

/* ------------------------------------------------------------------ texts */

static ilk_status add_text(ilki_row_texts *to, const char *s, size_t n, ilk_error *err)
{
    if (to->n + 2 > to->cap) {
        size_t cap = to->cap ? to->cap * 2 : 1024;
        size_t *at = realloc(to->at, cap * sizeof *at);
        if (!at)
            return ilki_base_fail_memory(err, cap * sizeof *at, "texts");
        to->at = at;
        to->cap = cap;
    }
    to->at[to->n] = to->texts.len;
    ilki_base_buf_add(&to->texts, s, n);
    to->at[++to->n] = to->texts.len;
    return ilki_base_buf_check(&to->texts, "texts", err);
}

static ilk_status add_record(ilki_row_texts *to, const char *s, size_t n, const ilki_lines *l, ilk_error *err)
{
    ilki_json *j = NULL;
    size_t len;
    ilk_status st = ilki_base_json_parse(&j, s, n, l->path, NULL, err);
    if (st == ILK_OK) {
        ilki_json_node root = ilki_base_json_root(j);
        bool object = ilki_base_json_type(j, root) == ILKI_JSON_OBJECT;
        const char *text = ilki_base_json_string(j, object ? ilki_base_json_get(j, root, "text") : root, &len);
        st = text ? add_text(to, text, len, err)
                  : ilki_base_fail(err, ILK_BAD_FORMAT, "%s:%llu: expected a string, or an object with one as \"text\"",
                                   l->path, (unsigned long long)l->line);
    } else {
        ilki_base_error_prefix(err, "line %llu", (unsigned long long)l->line);
    }
    ilki_base_json_free(j);
    return st;
}

ilk_status ilki_tasks_read_texts(ilki_row_texts *to, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n;
    bool json = ilki_tasks_ends_with(path, ".jsonl");
    *to = (ilki_row_texts){0};
    ilki_base_buf_init(&to->texts, MAX_TEXTS);
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        if (l.too_long)
            st = ilki_base_fail(err, ILK_LIMIT, "%s:%llu: a line of more than 32 MiB", path,
                                (unsigned long long)l.line);
        else if (!json)
            st = add_text(to, text, n, err);
        else if (n)
            st = add_record(to, text, n, &l, err);
    }
    ilki_tasks_lines_close(&l);
    if (st == ILK_OK && to->n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected texts, one a line, found none", path);
    return st;
}

void ilki_tasks_texts_deinit(ilki_row_texts *t)
{
    ilki_base_buf_deinit(&t->texts);
    free(t->at);
    *t = (ilki_row_texts){0};
}
