/* SPDX-License-Identifier: Apache-2.0
 * Layouts that captioned pictures come in. Names of columns are those of Hugging Face's image folders (file_name, text), of
 * open_clip's tables (filepath, title), of Flickr8k (image, caption) and the like. Files are not trusted: what is no row is
 * named and passed over. */
#include "tasks/captions.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "tasks/files.h"
#include "tasks/rows.h"

#define MAX_FILE  ((size_t)4 << 30)
#define MAX_NOTE  ((size_t)1 << 20) /* of a .txt beside a picture */
#define MAX_LISTS ((size_t)1 << 16) /* captions of one row */

enum { PICTURE, SAID, LANGUAGE, N_COLUMNS };

/* A name is a column's, for what is read: captions (1), labels (2). */
static const struct {
    const char *name;
    int of, when;
} names[] = {
    {"image", PICTURE, 3},      {"image_path", PICTURE, 3}, {"file_name", PICTURE, 3}, {"filename", PICTURE, 3},
    {"filepath", PICTURE, 3},   {"file_path", PICTURE, 3},  {"file", PICTURE, 3},      {"path", PICTURE, 3},
    {"image_name", PICTURE, 3}, {"picture", PICTURE, 3},    {"caption", SAID, 1},      {"captions", SAID, 1},
    {"text", SAID, 1},          {"title", SAID, 1},         {"sentence", SAID, 1},     {"sentences", SAID, 1},
    {"comment", SAID, 1},       {"label", SAID, 2},         {"class", SAID, 2},        {"class_name", SAID, 2},
    {"category", SAID, 2},      {"text", SAID, 2},          {"language", LANGUAGE, 3}, {"lang", LANGUAGE, 3},
    {"locale", LANGUAGE, 3},
};
enum { N_NAMES = sizeof names / sizeof *names };

typedef struct reader {
    ilki_captions *to;
    const ilki_vfs *vfs;
    const char *path;
    char *dir; /* of the pictures */
    ilki_said said;
    ilki_notes *notes;
} reader;

typedef struct piece {
    const char *s;
    size_t n;
} piece;

static piece trim(piece p)
{
    while (p.n && ilki_tasks_is_space(p.s[0])) {
        p.s++;
        p.n--;
    }
    while (p.n && ilki_tasks_is_space(p.s[p.n - 1]))
        p.n--;
    return p;
}

/* ------------------------------------------------------------------ captions */

static ilk_status add(ilki_captions *to, uint32_t picture, piece said, piece language, ilk_error *err)
{
    ilki_caption c = {.picture = picture};
    if (to->n == to->cap) {
        size_t cap = to->cap ? to->cap * 2 : 1024;
        ilki_caption *list = realloc(to->list, cap * sizeof *list);
        if (!list)
            return ilki_base_fail_memory(err, cap * sizeof *list, "captions");
        to->list = list;
        to->cap = cap;
    }
    ilk_status st = ilki_tasks_ids_add(&to->texts, said.s, said.n, &c.text, NULL, err);
    if (st == ILK_OK)
        st = ilki_tasks_ids_add(&to->languages, language.s, language.n, &c.language, NULL, err);
    if (st == ILK_OK)
        to->list[to->n++] = c;
    return st;
}

/* One row: what is wrong with it is junk. */
static ilk_status add_row(reader *r, uint64_t line, piece picture, piece said, piece language, ilk_error *err)
{
    uint32_t number;
    picture = trim(picture);
    said = trim(said);
    language = trim(language);
    if (language.n == 0)
        language = (piece){"default", strlen("default")};
    if (!ilki_tasks_is_id(picture.s, picture.n))
        return ilki_tasks_junk(r->notes, r->path, line, err, "expected the path of a picture, 1 to 4096 bytes");
    if (!ilki_tasks_is_id(said.s, said.n) || !ilki_base_utf8_valid(said.s, said.n))
        return ilki_tasks_junk(r->notes, r->path, line, err, "expected a %s, 1 to 4096 bytes of UTF-8",
                               r->said == ILKI_SAID_LABEL ? "label" : "caption");
    if (!ilki_tasks_is_id(language.s, language.n))
        return ilki_tasks_junk(r->notes, r->path, line, err, "expected the name of a language");
    char *name = ilki_base_strndup(picture.s, picture.n), *path = name ? ilki_base_path_join(r->dir, name) : NULL;
    ilk_status st = path ? ILK_OK : ilki_base_fail_memory(err, picture.n, "a path");
    if (st == ILK_OK && !ilki_tasks_is_id(path, strlen(path)))
        st = ilki_tasks_junk(r->notes, r->path, line, err, "a path of more than 4096 bytes");
    else if (st == ILK_OK &&
             (st = ilki_tasks_ids_add(&r->to->pictures, path, strlen(path), &number, NULL, err)) == ILK_OK)
        st = add(r->to, number, said, language, err);
    free(name);
    free(path);
    return st;
}

static int by_parts(const void *a, const void *b)
{
    const ilki_caption *x = a, *y = b;
    if (x->picture != y->picture)
        return x->picture < y->picture ? -1 : 1;
    if (x->text != y->text)
        return x->text < y->text ? -1 : 1;
    return x->language < y->language ? -1 : x->language > y->language;
}

static void sort(ilki_captions *c)
{
    size_t kept = 0;
    if (c->n)
        qsort(c->list, c->n, sizeof *c->list, by_parts);
    for (size_t i = 0; i < c->n; i++)
        if (kept == 0 || by_parts(&c->list[kept - 1], &c->list[i]) != 0)
            c->list[kept++] = c->list[i];
    c->n = kept;
}

/* ------------------------------------------------------------------ tables */

static bool is_column(size_t k, int of, ilki_said said)
{
    return names[k].of == of && names[k].when & (said == ILKI_SAID_LABEL ? 2 : 1);
}

/* True where the row is names of columns: those of a picture and of what is said are among them. */
static bool read_names(const reader *r, const ilki_row *row, size_t column[N_COLUMNS])
{
    size_t n;
    for (int of = 0; of < N_COLUMNS; of++) {
        column[of] = SIZE_MAX;
        for (size_t k = 0; k < N_NAMES; k++)
            for (size_t i = 0; i < row->n && is_column(k, of, r->said) && column[of] == SIZE_MAX; i++) {
                const char *s = ilki_tasks_row_field(row, i, &n);
                if (ilki_tasks_same_name(s, n, names[k].name))
                    column[of] = i;
            }
    }
    return column[PICTURE] != SIZE_MAX && column[SAID] != SIZE_MAX;
}

static piece cell(const ilki_row *row, size_t i)
{
    piece p = {NULL, 0};
    if (i < row->n)
        p.s = ilki_tasks_row_field(row, i, &p.n);
    return p;
}

static ilk_status read_table(reader *r, const char *s, size_t n, char separator, ilk_error *err)
{
    const char *end = s + n;
    uint64_t line = 1;
    bool known = false;
    size_t column[N_COLUMNS], width = 0;
    ilki_row row;
    ilk_status st = ILK_OK;
    ilki_base_buf_init(&row.text, MAX_FILE);
    while (s < end && st == ILK_OK) {
        uint64_t at = line;
        s = ilki_tasks_read_row(&row, s, end, separator, &line);
        st = ilki_base_buf_check(&row.text, "a row", err);
        if (st != ILK_OK || (row.n == 1 && row.text.len == 0 && !row.broken))
            continue;
        if (!known) {
            known = true;
            width = row.n;
            if (read_names(r, &row, column))
                continue;
            column[PICTURE] = 0;
            column[SAID] = 1;
            if (row.n != 2) {
                st = ilki_base_fail(err, ILK_BAD_FORMAT,
                                    "%s: expected names of columns (image, %s), or rows of a picture and a %s, found a "
                                    "first row of %zu fields",
                                    r->path, r->said == ILKI_SAID_LABEL ? "label" : "caption",
                                    r->said == ILKI_SAID_LABEL ? "label" : "caption", row.n);
                continue;
            }
        }
        if (row.broken)
            st = ilki_tasks_junk(r->notes, r->path, at, err, "a quote that is not closed, or more than %d fields",
                                 ILKI_ROW_FIELDS);
        else if (row.n < width)
            st = ilki_tasks_junk(r->notes, r->path, at, err, "expected %zu fields, found %zu", width, row.n);
        else
            st = add_row(r, at, cell(&row, column[PICTURE]), cell(&row, column[SAID]), cell(&row, column[LANGUAGE]),
                         err);
    }
    ilki_base_buf_deinit(&row.text);
    return st;
}

static ilk_status read_table_file(reader *r, ilk_error *err)
{
    char *text = NULL;
    size_t n = 0;
    ilk_status st = ilki_base_read_file(r->vfs, r->path, MAX_FILE, &text, &n, err);
    size_t skip = st == ILK_OK && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (st == ILK_OK) {
        const char *first = text + skip, *stop = memchr(first, '\n', n - skip);
        size_t head = stop ? (size_t)(stop - first) : n - skip;
        bool tabs = ilki_tasks_ends_with(r->path, ".tsv") || memchr(first, '\t', head) != NULL;
        st = read_table(r, first, n - skip, tabs ? '\t' : ',', err);
    }
    free(text);
    return st;
}

/* ------------------------------------------------------------------ JSON lines */

static ilki_json_node member(const ilki_json *j, int of, ilki_said said)
{
    ilki_json_node found = 0;
    for (size_t k = 0; k < N_NAMES && !found; k++)
        if (is_column(k, of, said))
            found = ilki_base_json_get(j, ilki_base_json_root(j), names[k].name);
    return found;
}

static piece string(const ilki_json *j, ilki_json_node node)
{
    piece p = {NULL, 0};
    p.s = ilki_base_json_string(j, node, &p.n);
    return p;
}

static ilk_status add_json(reader *r, const char *text, size_t n, uint64_t line, ilk_error *err)
{
    static const ilki_json_limits limits = {.max_depth = 16};
    ilki_json *j = NULL;
    ilk_error why;
    size_t n_said = 0;
    ilk_error_init(&why);
    ilk_status st = ilki_base_json_parse(&j, text, n, "line", &limits, &why);
    if (st == ILK_NO_MEMORY)
        return ilki_base_fail(err, st, "%s", why.message);
    ilki_json_node said = st == ILK_OK ? member(j, SAID, r->said) : 0;
    piece picture = st == ILK_OK ? string(j, member(j, PICTURE, r->said)) : (piece){NULL, 0};
    piece language = st == ILK_OK ? string(j, member(j, LANGUAGE, r->said)) : (piece){NULL, 0};
    st = ILK_OK;
    bool list = said && ilki_base_json_type(j, said) == ILKI_JSON_ARRAY;
    if (!picture.s || !(list || (said && string(j, said).s)) || (list && ilki_base_json_count(j, said) > MAX_LISTS))
        st = ilki_tasks_junk(r->notes, r->path, line, err, "expected an object {\"image\", \"%s\"} of strings",
                             r->said == ILKI_SAID_LABEL ? "label" : "caption");
    else if (!list)
        st = add_row(r, line, picture, string(j, said), language, err);
    for (ilki_json_node i = list && st == ILK_OK && picture.s ? ilki_base_json_first(j, said) : 0; i && st == ILK_OK;
         i = ilki_base_json_next(j, i), n_said++)
        st = n_said < MAX_LISTS ? add_row(r, line, picture, string(j, i), language, err) : ILK_OK;
    ilki_base_json_free(j);
    return st;
}

static ilk_status read_json_lines(reader *r, ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n;
    ilk_status st = ilki_tasks_lines_open(&l, r->vfs, r->path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        if (l.too_long)
            st = ilki_tasks_junk(r->notes, r->path, l.line, err, "a line of more than 32 MiB");
        else if (n)
            st = add_json(r, text, n, l.line, err);
    }
    ilki_tasks_lines_close(&l);
    return st;
}

/* ------------------------------------------------------------------ a note beside each picture */

static bool is_picture_of(const char *path, const char *note)
{
    static const char *const ends[] = {"png", "jpg",  "jpeg", "webp", "gif", "bmp",
                                       "tif", "tiff", "heic", "avif", "ppm", "svg"};
    size_t stem = strlen(note) - strlen("txt");
    if (strncmp(path, note, stem) != 0)
        return false;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const char *end = path + stem;
        size_t k = 0;
        while (end[k] && ends[i][k] && (end[k] | 0x20) == ends[i][k])
            k++;
        if (!end[k] && !ends[i][k])
            return true;
    }
    return false;
}

/* "de.utf8=Ein Hund." is of "de"; another line of no language that it names. */
static piece split_language(piece *line)
{
    static const char mark[] = ".utf8=";
    size_t n = 0, skip = sizeof mark - 1;
    while (n < line->n && n < 16 && line->s[n] != '.' && line->s[n] != '=' && !ilki_tasks_is_space(line->s[n]))
        n++;
    if (n < 2 || line->n < n + skip || memcmp(line->s + n, mark, skip) != 0)
        return (piece){NULL, 0};
    piece language = {line->s, n};
    line->s += n + skip;
    line->n -= n + skip;
    return language;
}

static ilk_status read_note(reader *r, const char *picture, const char *note, ilk_error *err)
{
    char *text = NULL, *path = ilki_base_path_join(r->dir, note);
    size_t n = 0;
    uint64_t line = 0;
    ilk_error why;
    ilk_error_init(&why);
    if (!path)
        return ilki_base_fail_memory(err, strlen(note), "a path");
    ilk_status st = ilki_base_read_file(r->vfs, path, MAX_NOTE, &text, &n, &why);
    if (st == ILK_NO_MEMORY)
        st = ilki_base_fail(err, st, "%s", why.message);
    else if (st != ILK_OK)
        st = ilki_tasks_junk(r->notes, path, 0, err, "%s", why.message);
    const char *folder = r->path;
    r->path = path; /* where junk is */
    for (const char *s = text, *end = text ? text + n : NULL; s && s < end && st == ILK_OK;) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        piece said = trim((piece){s, (size_t)((stop ? stop : end) - s)});
        piece language = split_language(&said);
        line++;
        if (trim(said).n) /* the stamps have languages in which nothing is said yet */
            st = add_row(r, line, (piece){picture, strlen(picture)}, said, language, err);
        s = stop ? stop + 1 : end;
    }
    r->path = folder;
    free(path);
    free(text);
    return st;
}

/* Sorted paths: a picture NAME.png stands near NAME.txt, behind or before it. */
static ilk_status read_notes(reader *r, ilk_error *err)
{
    ilki_file_list l;
    ilk_status st = ilki_tasks_list_files(&l, r->vfs, r->dir, err);
    for (size_t i = 0; i < l.n && st == ILK_OK; i++) {
        const char *note = l.path[i];
        size_t first = i, stem = strlen(note);
        if (!ilki_tasks_ends_with(note, ".txt"))
            continue;
        stem -= strlen("txt");
        while (first && strncmp(l.path[first - 1], note, stem) == 0)
            first--;
        while (first < l.n && strncmp(l.path[first], note, stem) == 0 && !is_picture_of(l.path[first], note))
            first++;
        if (first < l.n && strncmp(l.path[first], note, stem) == 0)
            st = read_note(r, l.path[first], note, err);
    }
    ilki_tasks_file_list_deinit(&l);
    return st;
}

/* ------------------------------------------------------------------ what it is */

static bool is_folder(const ilki_vfs *vfs, const char *path)
{
    ilki_stat info;
    return vfs->stat(vfs, path, true, &info, NULL) == ILK_OK && info.type == ILKI_FILE_DIR;
}

ilk_status ilki_tasks_captions_file(const ilki_vfs *vfs, const char *dir, ilki_said said, char **file, ilk_error *err)
{
    static const char *const captions[] = {"captions.jsonl", "captions.csv", "captions.tsv", "captions.txt"},
                             *const labels[] = {"labels.jsonl", "labels.csv", "labels.tsv", "labels.txt"},
                             *const both[] = {"metadata.jsonl", "metadata.csv"};
    *file = NULL;
    for (size_t i = 0; i < 6; i++) {
        ilki_stat info;
        const char *name = i >= 4 ? both[i - 4] : said == ILKI_SAID_LABEL ? labels[i] : captions[i];
        char *path = ilki_base_path_join(dir, name);
        if (!path)
            return ilki_base_fail_memory(err, strlen(dir), "a path");
        if (vfs->stat(vfs, path, true, &info, NULL) == ILK_OK && info.type == ILKI_FILE_REGULAR) {
            *file = path;
            return ILK_OK;
        }
        free(path);
    }
    return ILK_OK;
}

/* What is read, and the folder of its pictures; *file NULL: the notes of a folder. */
static ilk_status find_place(const ilki_vfs *vfs, const char *path, ilki_said said, char **file, char **dir,
                             ilk_error *err)
{
    bool folder = is_folder(vfs, path);
    *file = NULL;
    *dir = folder ? ilki_base_strndup(path, strlen(path)) : ilki_base_path_dir(path);
    if (!*dir)
        return ilki_base_fail_memory(err, strlen(path), "a path");
    if (folder)
        return ilki_tasks_captions_file(vfs, path, said, file, err);
    *file = ilki_base_strndup(path, strlen(path));
    return *file ? ILK_OK : ilki_base_fail_memory(err, strlen(path), "a path");
}

ilk_status ilki_tasks_read_captions(ilki_captions *to, const ilki_vfs *vfs, const char *path, ilki_said said,
                                    ilki_notes *notes, ilk_error *err)
{
    char *file;
    reader r = {.to = to, .vfs = vfs, .said = said, .notes = notes};
    *to = (ilki_captions){0};
    ilk_status st = find_place(vfs, path, said, &file, &r.dir, err);
    r.path = file ? file : path;
    if (st == ILK_OK && !file)
        st = said == ILKI_SAID_CAPTION ? read_notes(&r, err) : ILK_OK;
    else if (st == ILK_OK && ilki_tasks_ends_with(file, ".jsonl"))
        st = read_json_lines(&r, err);
    else if (st == ILK_OK && (ilki_tasks_ends_with(file, ".csv") || ilki_tasks_ends_with(file, ".tsv") ||
                              ilki_tasks_ends_with(file, ".txt")))
        st = read_table_file(&r, err);
    else if (st == ILK_OK)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a folder, or a file .jsonl, .csv, .tsv or .txt", path);
    if (st == ILK_OK)
        sort(to);
    if (st == ILK_OK && to->n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected pictures with %s, found none", path,
                            said == ILKI_SAID_LABEL ? "labels" : "captions");
    free(file);
    free(r.dir);
    return st;
}

void ilki_tasks_captions_deinit(ilki_captions *c)
{
    ilki_tasks_ids_deinit(&c->pictures);
    ilki_tasks_ids_deinit(&c->texts);
    ilki_tasks_ids_deinit(&c->languages);
    free(c->list);
    *c = (ilki_captions){0};
}
