/* SPDX-License-Identifier: Apache-2.0
 * ilk models: the checkpoints of the Hugging Face cache that ilk can read, or the table of short names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "cli/choose.h"
#include "commands.h"

enum { COLUMNS = 7, CELL = 160 };

static const cli_flag flags[] = {
    {"known", 0, CLI_SWITCH, NULL, "the models that have a short name, fetched or not", 0, 0},
    {"jsonl", 0, CLI_SWITCH, NULL, "print JSON lines, on a terminal too", 0, 0},
    {0},
};

/* A table is as wide as its rows, so it is printed when all are there. */
typedef struct table {
    cli *c;
    char (*cells)[COLUMNS][CELL];
    size_t n, cap;
    bool json;
} table;

static void end_line(table *t, ilki_jsonw *w, ilki_buf *b)
{
    ilki_base_jsonw_close(w, '}');
    cli_put_json(t->c, b);
    t->n++;
}

static void begin_line(ilki_jsonw *w, ilki_buf *b)
{
    ilki_base_buf_init(b, 1 << 20);
    ilki_base_jsonw_init(w, b);
    ilki_base_jsonw_open(w, '{');
}

/* Rows past the capacity are left out: there are at most as many as the caller has made room for. */
static void add_row(table *t, const char *const *cells)
{
    for (size_t k = 0; t->n < t->cap && k < COLUMNS; k++) {
        ilki_buf b;
        ilki_base_buf_init(&b, 65536);
        cli_escape(&b, cells[k] ? cells[k] : "", cells[k] ? strlen(cells[k]) : 0, "");
        snprintf(t->cells[t->n][k], CELL, "%s", ilki_base_buf_view(&b));
        ilki_base_buf_deinit(&b);
    }
    t->n += t->n < t->cap;
}

static void put_table(table *t)
{
    size_t width[COLUMNS] = {0};
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < COLUMNS; k++) {
            size_t n = cli_cells(t->cells[i][k], strlen(t->cells[i][k]));
            width[k] = n > width[k] ? n : width[k];
        }
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < COLUMNS; k++) {
            const char *s = t->cells[i][k];
            size_t pad = width[k] - cli_cells(s, strlen(s));
            bool last = k + 1 == COLUMNS || width[k + 1] == 0;
            cli_putf(t->c, "%s%*s", s, last ? 0 : (int)pad + 2, "");
            if (last)
                break;
        }
        cli_puts(t->c, "\n");
    }
}

static const char *megabytes(char *to, size_t n, uint64_t bytes)
{
    snprintf(to, n, "%.0f MB", (double)bytes * 1e-6);
    return to;
}

static void add_known(table *t, const ilk_known *k)
{
    char size[32], dim[32], length[32];
    if (t->json) {
        ilki_buf b;
        ilki_jsonw w;
        begin_line(&w, &b);
        cli_json_string(&w, "name", k->name);
        cli_json_string(&w, "id", k->id);
        cli_json_string(&w, "kind", k->kind);
        cli_json_uint(&w, "weights_bytes", k->weights_bytes);
        cli_json_uint(&w, "dim", k->dim);
        cli_json_uint(&w, "max_tokens", k->max_tokens);
        cli_json_string(&w, "licence", k->licence);
        cli_json_string(&w, "languages", k->languages);
        cli_json_string(&w, "source", k->source);
        end_line(t, &w, &b);
        return;
    }
    snprintf(dim, sizeof dim, k->dim ? "dim %u" : "scores", k->dim);
    snprintf(length, sizeof length, "%u tokens", k->max_tokens);
    add_row(t, (const char *[COLUMNS]){k->name, megabytes(size, sizeof size, k->weights_bytes), dim, length, k->licence,
                                       k->languages, k->id});
}

static const char *kind_of(const ilk_model_info *i)
{
    bool sees = i->modalities & 1U << ILK_IMAGE, reads = i->modalities & 1U << ILK_TEXT;
    return i->score_kind ? "rerank" : !sees ? "text" : reads ? "text+image" : "image";
}

static void add_cached(table *t, const cli_cached_model *cached, const ilk_model_info *i)
{
    char size[32], dim[32];
    const char *kind = kind_of(i), *commit = ilki_base_path_name(cached->dir);
    ilk_known known;
    ilk_known_init(&known);
    const char *name = ilk_known_find(cached->id, &known, NULL) == ILK_OK && strcmp(known.id, cached->id) == 0
                           ? known.name
                           : NULL;
    if (t->json) {
        ilki_buf b;
        ilki_jsonw w;
        begin_line(&w, &b);
        cli_json_string(&w, "id", cached->id);
        cli_json_string(&w, "revision", commit);
        cli_json_string(&w, "name", name);
        cli_json_string(&w, "kind", kind);
        cli_json_string(&w, "family", i->family);
        cli_json_uint(&w, "dim", i->dim);
        cli_json_uint(&w, "max_tokens", i->max_tokens);
        cli_json_uint(&w, "weights_bytes", i->weights_bytes);
        cli_json_string(&w, "path", cached->dir);
        end_line(t, &w, &b);
        return;
    }
    char revision[13];
    snprintf(revision, sizeof revision, "%.12s", commit);
    snprintf(dim, sizeof dim, "dim %u", i->dim);
    add_row(t, (const char *[COLUMNS]){cached->id, revision, kind, i->family, dim,
                                       megabytes(size, sizeof size, i->weights_bytes), name});
}

static void list_known(table *t)
{
    ilk_known k;
    ilk_known_init(&k);
    for (size_t i = 0; ilk_known_get(i, &k, NULL) == ILK_OK; i++)
        add_known(t, &k);
}

static void list_cached(table *t, const cli_cached_model *list, size_t n)
{
    for (size_t i = 0; i < n && !cli_signal_caught() && cli_out_ok(t->c); i++) {
        ilk_model *m = NULL;
        ilk_model_info info;
        ilk_error err;
        ilk_error_init(&err);
        ilk_model_info_init(&info);
        if (ilk_model_open(&m, t->c->rt, list[i].dir, NULL, &err) == ILK_OK &&
            ilk_model_get_info(m, &info, &err) == ILK_OK)
            add_cached(t, &list[i], &info);
        else if (t->c->verbose)
            cli_note(t->c, "%s: %s", list[i].id, err.message);
        ilk_model_close(m);
    }
}

static int run(cli *c)
{
    cli_cached_model *list = NULL;
    size_t n = 0;
    table t = {.c = c, .json = cli_on(c, "jsonl") || !c->out.out_terminal, .cap = 1024};
    cli_config_read_user(c);
    if (!cli_open_runtime(c))
        return CLI_FAILED;
    if (!t.json && (t.cells = ilki_base_zalloc(t.cap, sizeof *t.cells)) == NULL)
        return cli_fail(c, "out of memory for a table");
    if (cli_on(c, "known")) {
        list_known(&t);
    } else {
        n = cli_cache_list(&list);
        list_cached(&t, list, n);
    }
    if (!t.json)
        put_table(&t);
    if (t.n == 0 && !cli_signal_caught())
        cli_note(c, "no model that ilk can read is in the cache; ilk models --known names some that ilk pull fetches");
    cli_cache_free(list, n);
    free(t.cells);
    return t.n ? CLI_FOUND : CLI_NOTHING;
}

const cli_command cli_cmd_models = {
    "models",
    "the models in the Hugging Face cache, or those with short names",
    "",
    CLI_TEXT,
    0,
    0,
    "ilk models\twhat is there and can be used\n"
    "ilk models --known\tgood ones, their size, licence and languages\n",
    "A table on a terminal, JSON lines elsewhere. With --verbose the checkpoints that cannot be used are named, with the "
    "reason.",
    (const cli_flag *const[]){flags, NULL},
    run,
};
