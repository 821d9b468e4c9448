/* SPDX-License-Identifier: Apache-2.0
 * Files of lines: read in large pieces through the table of file operations, never more than a line and a piece in
 * memory. A line over the limit is passed over while it is read. */
#include "tasks/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#define PIECE    ((size_t)1 << 18)
#define MAX_ID   4096
#define MAX_TOLD 20

/* ------------------------------------------------------------------ lines */

ilk_status ilki_tasks_lines_open(ilki_lines *l, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    *l = (ilki_lines){.path = path};
    ilk_status st = vfs->open(vfs, &l->file, path, ILKI_OPEN_READ, err);
    if (st == ILK_OK)
        st = l->file->vfs->size(l->file, &l->size, err);
    l->cap = PIECE;
    if (st == ILK_OK && (l->buf = malloc(l->cap)) == NULL)
        st = ilki_base_fail_memory(err, l->cap, "lines");
    if (st != ILK_OK)
        ilki_tasks_lines_close(l);
    return st;
}

void ilki_tasks_lines_close(ilki_lines *l)
{
    if (l->file)
        l->file->vfs->close(l->file);
    free(l->buf);
    *l = (ilki_lines){0};
}

/* Room for a piece behind what is there: what was given is dropped, the buffer grows up to the limit of a line. */
static ilk_status make_room(ilki_lines *l, ilk_error *err)
{
    memmove(l->buf, l->buf + l->from, l->len - l->from);
    l->at += l->from;
    l->len -= l->from;
    l->from = 0;
    if (l->cap - l->len >= PIECE)
        return ILK_OK;
    size_t cap = l->cap * 2;
    char *buf = realloc(l->buf, cap);
    if (!buf)
        return ilki_base_fail_memory(err, cap, "a line");
    l->buf = buf;
    l->cap = cap;
    return ILK_OK;
}

static ilk_status read_piece(ilki_lines *l, ilk_error *err)
{
    size_t got = 0;
    ilk_status st = make_room(l, err);
    if (st == ILK_OK)
        st = l->file->vfs->read(l->file, l->at + l->len, l->buf + l->len, l->cap - l->len, &got, err);
    if (st == ILK_OK)
        l->ended = got < l->cap - l->len;
    l->len += got;
    return st;
}

ilk_status ilki_tasks_lines_next(ilki_lines *l, const char **text, size_t *n, ilk_error *err)
{
    static const char bom[] = "\xef\xbb\xbf";
    size_t looked = 0;
    const char *end = NULL;
    *text = NULL;
    *n = 0;
    l->too_long = false;
    l->offset = l->at + l->from;
    for (;;) {
        size_t left = l->len - l->from;
        end = left > looked ? memchr(l->buf + l->from + looked, '\n', left - looked) : NULL;
        if (end || l->ended)
            break;
        looked = left;
        if (left > ILKI_TASKS_LINE) { /* the rest is not kept */
            l->too_long = true;
            l->from = l->len;
            looked = 0;
        }
        ilk_status st = read_piece(l, err);
        if (st != ILK_OK)
            return st;
    }
    const char *begin = l->buf + l->from;
    size_t length = end ? (size_t)(end - begin) : l->len - l->from;
    if (!end && length == 0 && !l->too_long)
        return ILK_OK;
    l->from += length + (end != NULL);
    l->line++;
    l->too_long |= length > ILKI_TASKS_LINE;
    if (l->too_long)
        length = 0;
    if (l->line == 1 && length >= 3 && memcmp(begin, bom, 3) == 0) {
        begin += 3;
        length -= 3;
        l->offset += 3;
    }
    if (length && begin[length - 1] == '\r')
        length--;
    *text = begin;
    *n = length;
    return ILK_OK;
}

ilk_status ilki_tasks_read_at(ilki_file *f, uint64_t offset, size_t n, ilki_buf *to, ilk_error *err)
{
    size_t got = 0;
    ilki_base_buf_reset(to);
    if (!ilki_base_buf_reserve(to, n))
        return ilki_base_buf_check(to, "a document", err);
    ilk_status st = f->vfs->read(f, offset, to->data, n, &got, err);
    if (st == ILK_OK && got < n)
        st = ilki_base_fail(err, ILK_IO, "a file became shorter while it was read: expected %zu bytes, found %zu", n,
                            got);
    if (st == ILK_OK) {
        to->len = n;
        to->data[n] = 0;
    }
    return st;
}

/* ------------------------------------------------------------------ notes */

ilk_status ilki_tasks_junk(ilki_notes *notes, const char *path, uint64_t line, ilk_error *err, const char *fmt, ...)
{
    char what[600], text[1040], place[32] = "";
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    if (line)
        snprintf(place, sizeof place, ":%llu", (unsigned long long)line);
    if (notes->strict)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s%s: %s", path, place, what);
    notes->n_junk++;
    if (notes->fn && notes->n_junk <= MAX_TOLD) {
        snprintf(text, sizeof text, "%.380s%s: %s", path, place, what);
        notes->fn(notes->user, text);
    }
    if (notes->fn && notes->n_junk == MAX_TOLD + 1)
        notes->fn(notes->user, "more of that is counted and not named");
    return ILK_OK;
}

void ilki_tasks_note(const ilki_notes *notes, const char *fmt, ...)
{
    char text[1000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (notes->fn)
        notes->fn(notes->user, text);
}

/* ------------------------------------------------------------------ ids */

bool ilki_tasks_is_id(const char *id, size_t n)
{
    return n > 0 && n <= MAX_ID && !memchr(id, 0, n);
}

ilk_status ilki_tasks_ids_add(ilki_ids *ids, const char *id, size_t n, uint32_t *number, bool *fresh, ilk_error *err)
{
    uint32_t found = ilki_tasks_ids_find(ids, id, n);
    if (fresh)
        *fresh = found == ILKI_MAP_NONE;
    *number = found;
    if (found != ILKI_MAP_NONE)
        return ILK_OK;
    if (!ilki_tasks_is_id(id, n) || ids->n >= ILKI_MAP_NONE - 1)
        return ilki_base_fail(err, ILK_LIMIT, "an id: expected at most %d bytes without a NUL, found %zu", MAX_ID, n);
    if (ids->n == ids->cap) {
        size_t cap = ids->cap ? ids->cap * 2 : 1024;
        const char **name = realloc(ids->name, cap * sizeof *name);
        if (!name)
            return ilki_base_fail_memory(err, cap * sizeof *name, "ids");
        ids->name = name;
        ids->cap = cap;
    }
    const char *copy = ilki_base_arena_strndup(&ids->arena, id, n);
    if (!copy || !ilki_base_map_put(&ids->map, copy, n, (uint32_t)ids->n, NULL))
        return ilki_base_fail_memory(err, n, "an id");
    *number = (uint32_t)ids->n;
    ids->name[ids->n++] = copy;
    return ILK_OK;
}

uint32_t ilki_tasks_ids_find(const ilki_ids *ids, const char *id, size_t n)
{
    return ilki_base_map_get(&ids->map, id, n);
}

void ilki_tasks_ids_deinit(ilki_ids *ids)
{
    free(ids->name);
    ilki_base_map_deinit(&ids->map);
    ilki_base_arena_deinit(&ids->arena);
    *ids = (ilki_ids){0};
}

/* ------------------------------------------------------------------ characters and numbers */

bool ilki_tasks_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool ilki_tasks_ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcmp(path + n - m, end) == 0;
}

/* What strtod takes and JSON's grammar does not: a plus, zeros before, nothing before or behind the point. */
bool ilki_tasks_number(const char *s, size_t n, double *out)
{
    char text[400];
    size_t len = 0;
    while (n && ilki_tasks_is_space(*s))
        s++, n--;
    while (n && ilki_tasks_is_space(s[n - 1]))
        n--;
    if (n == 0 || n > sizeof text - 3)
        return false;
    if (*s == '+' || *s == '-') {
        if (*s == '-')
            text[len++] = '-';
        s++, n--;
        if (n == 0 || *s == '-')
            return false;
    }
    size_t digits = len;
    while (n > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9')
        s++, n--;
    if (n > 1 && s[0] == '.' && s[1] >= '0' && s[1] <= '9')
        text[len++] = '0';
    while (n && *s >= '0' && *s <= '9')
        text[len++] = *s++, n--;
    bool point = n && *s == '.' && len > digits && (n == 1 || s[1] < '0' || s[1] > '9');
    if (point)
        s++, n--;
    memcpy(text + len, s, n);
    len += n;
    if (ilki_base_num_scan(text, len, NULL) != len || len == 0)
        return false;
    (void)ilki_base_num_double(text, len, out); /* what is too large is infinite, as with strtod */
    return true;
}
