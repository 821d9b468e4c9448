/* SPDX-License-Identifier: Apache-2.0
 * What is asked for, from the command line to terms of a question. Files are read here only where they hold words; a picture
 * goes on by its name, standard input as bytes. */
#include "question.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vfs.h"
#include "cli/whole_file.h"

#define MAX_WEIGHT 1000

const cli_flag cli_question_flags[] = {
    {"image", 0, CLI_LIST, "[W:]FILE", "find what is like this picture (-: standard input); may be repeated", 0, 0},
    {"plus", 0, CLI_LIST, "[W:]TEXT", "and like this, or like the file @FILE; may be repeated", 0, 0},
    {"minus", 0, CLI_LIST, "[W:]TEXT", "but not like this, or the file @FILE; may be repeated", 0, 0},
    {"modality", 0, CLI_CHOICE, "text|image", "only hits of this kind", 0, 0},
    {"space", 0, CLI_TEXT, "NAME", "ask this space of the store alone (see ilk status)", 0, 0},
    {0},
};

/* ------------------------------------------------------------------ reading */

const char *cli_question_weight(const char *s, float *weight)
{
    size_t digits = strspn(s, "0123456789"), n = digits;
    *weight = 1;
    if (s[0] == ':')
        return s + 1;
    if (s[n] == '.')
        n += 1 + strspn(s + n + 1, "0123456789");
    if (n == 0 || (n == 1 && digits == 0) || s[n] != ':' || s[n + 1] == 0 || (s[n + 1] >= '0' && s[n + 1] <= '9'))
        return s;
    double value = strtod(s, NULL); /* the locale is C's: no other is ever set */
    if (!(value > 0 && value <= MAX_WEIGHT) || (float)value == 0.0f)
        return NULL;
    *weight = (float)value;
    return s + n + 1 + strspn(s + n + 1, " ");
}

static bool take_words(cli *c, cli_term *t, const char *s, size_t n)
{
    t->data = ilki_base_strndup(s, n);
    t->n_data = n;
    if (!t->data)
        cli_fail(c, "out of memory for the query");
    return t->data != NULL;
}

/* What --image names is something else: that is told at once, and what to ask with instead. What seems to be nothing at
 * all, or broken, is told when it is decoded. */
static bool check_picture(cli *c, const char *name, const void *head, size_t n)
{
    ilk_file_info info;
    bool is_input = strcmp(name, "-") == 0;
    ilk_file_info_init(&info);
    if (n == 0 || ilk_file_probe(is_input ? "text" : name, head, n, &info, NULL) != ILK_OK ||
        info.modality == ILK_IMAGE)
        return true;
    cli_fail(c, "--image %s: expected a picture, found text (%s); --plus @%s asks with what it says", name, info.kind,
             name);
    return false;
}

static bool check_picture_file(cli *c, const char *file)
{
    char head[4096];
    ilki_file *f = NULL;
    size_t n = 0;
    const ilki_vfs *vfs = &ilki_base_vfs_posix;
    if (vfs->open(vfs, &f, file, ILKI_OPEN_READ, NULL) != ILK_OK)
        return true; /* why, is told when it is decoded */
    bool ok = vfs->read(f, 0, head, sizeof head, &n, NULL) != ILK_OK || check_picture(c, file, head, n);
    vfs->close(f);
    return ok;
}

/* A file of words, or a picture. Standard input can be read once. */
static bool take_file(cli *c, cli_term *t, const char *file, bool *stdin_read)
{
    bool is_input = strcmp(file, "-") == 0;
    t->file = file;
    if (is_input && *stdin_read) {
        cli_usage(c, "%s: standard input is named twice", c->command->name);
        return false;
    }
    *stdin_read |= is_input;
    if (t->picture && is_input)
        return cli_file_read(c, file, &t->data, &t->n_data) && check_picture(c, file, t->data, t->n_data);
    if (t->picture)
        return check_picture_file(c, file);
    return cli_file_take(c, file, &t->picture, &t->data, &t->n_data);
}

static bool add_flag(cli *c, cli_question *q, const char *name, const char *text, bool *stdin_read)
{
    cli_term *t = &q->terms[q->n];
    const char *rest = cli_question_weight(text, &t->weight);
    if (!rest || !*rest) {
        cli_usage(c, "--%s %s: expected %s", name, text,
                  rest ? "a text or a file" : "a weight above 0 and at most 1000");
        return false;
    }
    q->n++;
    t->picture = strcmp(name, "image") == 0;
    if (strcmp(name, "minus") == 0)
        t->weight = -t->weight;
    if (t->picture)
        return take_file(c, t, rest, stdin_read);
    if (rest[0] == '@' && rest[1] != '@')
        return take_file(c, t, rest + 1, stdin_read);
    rest += rest[0] == '@';
    return take_words(c, t, rest, strlen(rest));
}

/* The operands as one text; "-" alone is standard input. */
static bool add_operands(cli *c, cli_question *q, bool *stdin_read)
{
    cli_term *t = &q->terms[q->n++];
    t->weight = 1;
    if (c->n_operands == 1 && strcmp(c->operands[0], "-") == 0) {
        *stdin_read = true;
        if (!cli_file_read(c, "-", &t->data, &t->n_data))
            return false;
        while (t->n_data && (t->data[t->n_data - 1] == '\n' || t->data[t->n_data - 1] == '\r'))
            t->data[--t->n_data] = 0;
    } else {
        ilki_buf b;
        ilki_base_buf_init(&b, 1 << 24);
        for (size_t i = 0; i < c->n_operands; i++)
            ilki_base_buf_addf(&b, "%s%s", i ? " " : "", c->operands[i]);
        bool ok = ilki_base_buf_check(&b, "the query", &c->err) == ILK_OK
                      ? take_words(c, t, ilki_base_buf_view(&b), b.len)
                      : cli_fail_err(c) == CLI_FOUND;
        ilki_base_buf_deinit(&b);
        if (!ok)
            return false;
    }
    bool blank = strspn(t->data, " \t\r\n\v\f") == t->n_data;
    if (blank && !cli_signal_caught())
        cli_usage(c, "%s: the query is empty", c->command->name);
    return !blank;
}

static bool is_ours(const cli_flag *flag)
{
    return strcmp(flag->name, "image") == 0 || strcmp(flag->name, "plus") == 0 || strcmp(flag->name, "minus") == 0;
}

static void make_inputs(cli_question *q)
{
    for (size_t i = 0; i < q->n; i++) {
        cli_term *t = &q->terms[i];
        ilk_part *p = &q->parts[i];
        ilk_part_init(p);
        p->modality = t->picture ? ILK_IMAGE : ILK_TEXT;
        p->kind = !t->picture ? ILK_PART_TEXT : t->data ? ILK_PART_ENCODED : ILK_PART_PATH;
        p->data = t->data ? t->data : t->file;
        p->n_bytes = t->n_data;
        ilk_input_init(&q->inputs[i]);
        q->inputs[i].parts = p;
        q->inputs[i].n_parts = 1;
        q->inputs[i].role = ILK_ROLE_QUERY;
        q->weights[i] = t->weight;
        if (!q->words && !t->picture && t->weight > 0)
            q->words = t->data;
    }
}

bool cli_question_read(cli *c, cli_question *q)
{
    size_t most = c->n_list + 1;
    bool stdin_read = false, ok;
    *q = (cli_question){.terms = ilki_base_zalloc(most, sizeof *q->terms),
                        .parts = ilki_base_zalloc(most, sizeof *q->parts),
                        .inputs = ilki_base_zalloc(most, sizeof *q->inputs),
                        .weights = ilki_base_zalloc(most, sizeof *q->weights)};
    if (!q->terms || !q->parts || !q->inputs || !q->weights) {
        cli_fail(c, "out of memory for the query");
        return false;
    }
    ok = c->n_operands == 0 || add_operands(c, q, &stdin_read);
    for (size_t i = 0; i < c->n_list && ok; i++)
        if (is_ours(c->list[i].flag))
            ok = add_flag(c, q, c->list[i].flag->name, c->list[i].text, &stdin_read);
    if (ok && q->n == 0) {
        cli_usage(c, "%s: expected a text or a picture to look for", c->command->name);
        ok = false;
    }
    if (ok)
        make_inputs(q);
    return ok;
}

void cli_question_free(cli_question *q)
{
    for (size_t i = 0; q->terms && i < q->n; i++)
        free(q->terms[i].data);
    free(q->terms);
    free(q->parts);
    free(q->inputs);
    free(q->weights);
    memset(q, 0, sizeof *q);
}

void cli_question_fill(const cli *c, const cli_question *q, ilk_question *to)
{
    const char *modality = cli_text(c, "modality");
    ilk_question_init(to);
    to->terms = q->inputs;
    to->n_terms = q->n;
    to->weights = q->weights;
    if (modality)
        to->modality = strcmp(modality, "image") == 0 ? ILK_IMAGE : ILK_TEXT;
}

/* ------------------------------------------------------------------ telling */

static bool is_plain(const cli_question *q)
{
    return q->n == 1 && !q->terms[0].picture && !q->terms[0].file && q->weights[0] == 1.0f;
}

void cli_question_json(ilki_jsonw *w, const cli_question *q)
{
    if (q->words) {
        ilki_base_jsonw_key(w, "query");
        ilki_base_jsonw_cstring(w, q->words);
    }
    if (is_plain(q))
        return;
    ilki_base_jsonw_key(w, "terms");
    ilki_base_jsonw_open(w, '[');
    for (size_t i = 0; i < q->n; i++) {
        const cli_term *t = &q->terms[i];
        ilki_base_jsonw_open(w, '{');
        if (t->file)
            cli_json_string(w, t->picture ? "image" : "file", t->file);
        else
            cli_json_string(w, "text", t->data);
        ilki_base_jsonw_key(w, "weight");
        ilki_base_jsonw_float(w, t->weight);
        ilki_base_jsonw_close(w, '}');
    }
    ilki_base_jsonw_close(w, ']');
}

void cli_question_text(ilki_buf *b, const cli_question *q)
{
    for (size_t i = 0; i < q->n; i++) {
        const cli_term *t = &q->terms[i];
        float size = t->weight < 0 ? -t->weight : t->weight;
        ilki_base_buf_adds(b, i == 0 ? (t->weight < 0 ? "- " : "") : t->weight < 0 ? " - " : " + ");
        if (size != 1.0f)
            ilki_base_buf_addf(b, "%g x ", (double)size);
        ilki_base_buf_adds(b, !t->file ? t->data : strcmp(t->file, "-") == 0 ? "standard input" : t->file);
    }
}
