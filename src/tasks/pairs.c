/* SPDX-License-Identifier: Apache-2.0
 * Tables of pairs, and JSON lines that are objects, or arrays of two texts and a score. */
#include "tasks/pairs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tasks/rows.h"

#define MAX_FILE ((size_t)4 << 30)

typedef struct columns {
    size_t text[2], score;
    size_t n; /* of a row */
} columns;

static const struct {
    const char *name;
    int of; /* 0, 1: a text; 2: the score */
} names[] = {
    {"sentence1", 0},  {"sentence2", 1},  {"score", 2},      {"similarity_score", 2}, {"similarity", 2},
    {"label", 2},      {"gold_score", 2}, {"sentence_a", 0}, {"sentence_b", 1},       {"sentence_1", 0},
    {"sentence_2", 1}, {"text1", 0},      {"text2", 1},      {"text_1", 0},           {"text_2", 1},
    {"sent1", 0},      {"sent2", 1},      {"premise", 0},    {"hypothesis", 1},       {"relatedness_score", 2},
    {"query", 0},      {"document", 1},
};
enum { N_NAMES = sizeof names / sizeof *names };

/* ------------------------------------------------------------------ columns */

/* True where the row is names of columns: both texts and the score are among them. */
static bool read_names(const ilki_row *r, columns *c)
{
    size_t found[3] = {SIZE_MAX, SIZE_MAX, SIZE_MAX}, n;
    for (size_t k = 0; k < N_NAMES; k++)
        for (size_t i = 0; i < r->n; i++) {
            const char *s = ilki_tasks_row_field(r, i, &n);
            if (found[names[k].of] == SIZE_MAX && ilki_tasks_same_name(s, n, names[k].name))
                found[names[k].of] = i;
        }
    *c = (columns){{found[0], found[1]}, found[2], r->n};
    return found[0] != SIZE_MAX && found[1] != SIZE_MAX && found[2] != SIZE_MAX;
}

static bool is_number(const ilki_row *r, size_t i)
{
    size_t n;
    double v;
    const char *s = i < r->n ? ilki_tasks_row_field(r, i, &n) : NULL;
    return s && ilki_tasks_number(s, n, &v);
}

/* By the number of columns of a first row without names. */
static bool guess_columns(const ilki_row *r, columns *c)
{
    if (r->n == 3 && is_number(r, 2))
        *c = (columns){{0, 1}, 2, 3};
    else if (r->n == 3 && is_number(r, 0))
        *c = (columns){{1, 2}, 0, 3};
    else if (r->n >= 7 && is_number(r, 4))
        *c = (columns){{5, 6}, 4, 7};
    else
        return false;
    return true;
}

/* ------------------------------------------------------------------ pairs */

static ilk_status add_pair(ilki_pairs *to, const char *const s[2], const size_t n[2], double score, uint64_t line,
                           ilk_error *err)
{
    if (to->n == to->cap) {
        size_t cap = to->cap ? to->cap * 2 : 1024;
        ilki_pair *list = realloc(to->list, cap * sizeof *list);
        if (!list)
            return ilki_base_fail_memory(err, cap * sizeof *list, "pairs");
        to->list = list;
        to->cap = cap;
    }
    ilki_pair *p = &to->list[to->n++];
    *p = (ilki_pair){.score = score, .line = line};
    for (size_t i = 0; i < 2; i++) {
        p->text[i] = to->texts.len;
        p->n[i] = n[i];
        ilki_base_buf_add(&to->texts, s[i], n[i]);
    }
    return ilki_base_buf_check(&to->texts, "pairs", err);
}

static ilk_status add_row(ilki_pairs *to, const ilki_row *r, const columns *c, const char *path, uint64_t line,
                          ilki_notes *notes, ilk_error *err)
{
    const char *s[2];
    size_t n[2], n_score;
    double score;
    if (r->broken)
        return ilki_tasks_junk(notes, path, line, err, "a quote that is not closed, or more than %d fields",
                               ILKI_ROW_FIELDS);
    if (r->n < c->n)
        return ilki_tasks_junk(notes, path, line, err, "expected %zu fields, found %zu", c->n, r->n);
    for (size_t i = 0; i < 2; i++)
        s[i] = ilki_tasks_row_field(r, c->text[i], &n[i]);
    const char *gold = ilki_tasks_row_field(r, c->score, &n_score);
    if (!ilki_tasks_number(gold, n_score, &score) || !isfinite(score))
        return ilki_tasks_junk(notes, path, line, err, "expected a finite number as the score, found \"%.*s\"",
                               n_score < 80 ? (int)n_score : 80, gold);
    return add_pair(to, s, n, score, line, err);
}

static ilk_status read_table(ilki_pairs *to, const char *s, size_t n, char separator, const char *path,
                             ilki_notes *notes, ilk_error *err)
{
    const char *end = s + n;
    uint64_t line = 1;
    bool known = false;
    columns c = {0};
    ilki_row r;
    ilk_status st = ILK_OK;
    ilki_base_buf_init(&r.text, MAX_FILE);
    while (s < end && st == ILK_OK) {
        uint64_t at = line;
        s = ilki_tasks_read_row(&r, s, end, separator, &line);
        st = ilki_base_buf_check(&r.text, "a row", err);
        if (st != ILK_OK || (r.n == 1 && r.text.len == 0 && !r.broken))
            continue;
        if (!known && (known = read_names(&r, &c)))
            continue;
        if (!known && !(known = guess_columns(&r, &c)))
            st = ilki_base_fail(
                err, ILK_BAD_FORMAT,
                "%s: expected names of columns (sentence1, sentence2, score), or rows of two texts and a "
                "score, found a first row of %zu fields",
                path, r.n);
        else
            st = add_row(to, &r, &c, path, at, notes, err);
    }
    ilki_base_buf_deinit(&r.text);
    return st;
}

static ilki_json_node member(const ilki_json *j, int of)
{
    ilki_json_node root = ilki_base_json_root(j), found = 0;
    if (ilki_base_json_type(j, root) == ILKI_JSON_ARRAY)
        return ilki_base_json_at(j, root, (size_t)of);
    for (size_t k = 0; k < N_NAMES && !found; k++)
        if (names[k].of == of)
            found = ilki_base_json_get(j, root, names[k].name);
    return found;
}

static ilk_status add_json(ilki_pairs *to, const char *text, size_t n, const char *path, uint64_t line,
                           ilki_notes *notes, ilk_error *err)
{
    ilki_json *j = NULL;
    ilk_error why;
    const char *s[2] = {NULL, NULL};
    size_t len[2] = {0, 0};
    ilk_error_init_sized(&why, sizeof why);
    ilk_status st = ilki_base_json_parse(&j, text, n, "line", NULL, &why);
    if (st == ILK_NO_MEMORY)
        return ilki_base_fail(err, st, "%s", why.message);
    for (int i = 0; st == ILK_OK && i < 2; i++)
        s[i] = ilki_base_json_string(j, member(j, i), &len[i]);
    double score = st == ILK_OK ? ilki_base_json_double(j, member(j, 2), (double)NAN) : (double)NAN;
    if (s[0] && s[1] && isfinite(score))
        st = add_pair(to, s, len, score, line, err);
    else
        st = ilki_tasks_junk(
            notes, path, line, err,
            "expected an object {\"sentence1\", \"sentence2\", \"score\"} of two strings and a number");
    ilki_base_json_free(j);
    return st;
}

static ilk_status read_json_lines(ilki_pairs *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                  ilk_error *err)
{
    ilki_lines l;
    const char *text;
    size_t n;
    ilk_status st = ilki_tasks_lines_open(&l, vfs, path, err);
    while (st == ILK_OK && (st = ilki_tasks_lines_next(&l, &text, &n, err)) == ILK_OK && text) {
        if (l.too_long)
            st = ilki_tasks_junk(notes, path, l.line, err, "a line of more than 32 MiB");
        else if (n)
            st = add_json(to, text, n, path, l.line, notes, err);
    }
    ilki_tasks_lines_close(&l);
    return st;
}

ilk_status ilki_tasks_read_pairs(ilki_pairs *to, const ilki_vfs *vfs, const char *path, ilki_notes *notes,
                                 ilk_error *err)
{
    bool tsv = ilki_tasks_ends_with(path, ".tsv") || ilki_tasks_ends_with(path, ".txt"),
         csv = ilki_tasks_ends_with(path, ".csv");
    ilk_status st = ILK_OK;
    *to = (ilki_pairs){0};
    ilki_base_buf_init(&to->texts, MAX_FILE);
    if (ilki_tasks_ends_with(path, ".jsonl")) {
        st = read_json_lines(to, vfs, path, notes, err);
    } else if (tsv || csv) {
        char *text = NULL;
        size_t n = 0, skip;
        st = ilki_base_read_file(vfs, path, MAX_FILE, &text, &n, err);
        skip = st == ILK_OK && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        if (st == ILK_OK)
            st = read_table(to, text + skip, n - skip, csv ? ',' : '\t', path, notes, err);
        free(text);
    } else {
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a file .csv, .tsv or .jsonl", path);
    }
    if (st == ILK_OK && to->n == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected pairs of texts with a score, found none", path);
    return st;
}

void ilki_tasks_pairs_deinit(ilki_pairs *p)
{
    ilki_base_buf_deinit(&p->texts);
    free(p->list);
    *p = (ilki_pairs){0};
}
