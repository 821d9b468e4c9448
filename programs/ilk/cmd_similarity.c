/* SPDX-License-Identifier: Apache-2.0
 * ilk similarity: how near texts and pictures are to each other, by the model's own function. */
#include <stdlib.h>
#include <string.h>

#include "cli/choose.h"
#include "cli/embedding.h"
#include "cli/whole_file.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"matrix", 0, CLI_SWITCH, NULL, "print a row of scores for each text (default: a line for each pair)", 0, 0},
    {0},
};

typedef struct text {
    char *read; /* of a file */
    const char *s;
    size_t n;
    bool picture; /* s: the name of its file, unless it was read */
} text;

/* "@path" is a file, "@@x" the text "@x". */
static bool take_text(cli *c, const char *operand, text *t)
{
    t->s = operand;
    if (operand[0] == '@' && operand[1] == '@') {
        t->s++;
    } else if (operand[0] == '@') {
        if (!cli_file_take(c, operand + 1, &t->picture, &t->read, &t->n))
            return false;
        t->s = t->read ? t->read : operand + 1;
        return true;
    }
    t->n = strlen(t->s);
    return true;
}

static void put_matrix(cli *c, const float *scores, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            cli_putf(c, "%.6f%c", (double)scores[i * n + j], j + 1 < n ? '\t' : '\n');
}

static void put_pairs(cli *c, const float *scores, size_t n)
{
    ilki_buf b;
    ilki_base_buf_init(&b, (size_t)1 << 30);
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            ilki_base_buf_reset(&b);
            for (size_t k = 0; k < 2; k++) {
                const char *s = c->operands[k ? j : i];
                ilki_base_buf_addc(&b, '\t');
                if (c->out.out_terminal)
                    cli_escape(&b, s, strlen(s), "");
                else
                    cli_escape_tsv(&b, s, strlen(s));
            }
            cli_putf(c, "%.6f", (double)scores[i * n + j]);
            cli_put(c, ilki_base_buf_view(&b), b.len);
            cli_puts(c, "\n");
        }
    ilki_base_buf_deinit(&b);
}

static void put_json(cli *c, const float *scores, size_t n, const char *kind)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, (size_t)1 << 30);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    ilki_base_jsonw_key(&w, "score_kind");
    ilki_base_jsonw_cstring(&w, kind);
    ilki_base_jsonw_key(&w, "texts");
    ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < n; i++)
        ilki_base_jsonw_cstring(&w, c->operands[i]);
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_key(&w, "scores");
    ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < n; i++) {
        ilki_base_jsonw_open(&w, '[');
        for (size_t j = 0; j < n; j++)
            ilki_base_jsonw_float(&w, scores[i * n + j]);
        ilki_base_jsonw_close(&w, ']');
    }
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void put_jsonl(cli *c, const float *scores, size_t n, const char *kind)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++) {
            ilki_buf b;
            ilki_jsonw w;
            ilki_base_buf_init(&b, (size_t)1 << 30);
            ilki_base_jsonw_init(&w, &b);
            ilki_base_jsonw_open(&w, '{');
            ilki_base_jsonw_key(&w, "a");
            ilki_base_jsonw_cstring(&w, c->operands[i]);
            ilki_base_jsonw_key(&w, "b");
            ilki_base_jsonw_cstring(&w, c->operands[j]);
            ilki_base_jsonw_key(&w, "score");
            ilki_base_jsonw_float(&w, scores[i * n + j]);
            ilki_base_jsonw_key(&w, "score_kind");
            ilki_base_jsonw_cstring(&w, kind);
            ilki_base_jsonw_close(&w, '}');
            cli_put_json(c, &b);
        }
}

/* The kind of score by the record's names. */
static const char *kind_of(const char *similarity)
{
    return strcmp(similarity, "euclidean") == 0   ? "neg_l2"
           : strcmp(similarity, "manhattan") == 0 ? "neg_l1"
                                                  : similarity;
}

static ilk_status score_all(cli *c, ilk_model *m, const ilk_vectors *v, size_t n, float *scores)
{
    for (size_t i = 0; i < n; i++) {
        const char *message = NULL;
        ilk_status st = ilk_vectors_get_status(v, i, &message);
        if (st != ILK_OK)
            return ilki_base_fail(&c->err, st, "text %zu: %s", i + 1, message ? message : ilk_status_string(st));
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            size_t dim;
            const float *a = ilk_vectors_get_dense(v, i, &dim), *b = ilk_vectors_get_dense(v, j, &dim);
            ilk_status st = ilk_model_get_similarity(m, a, b, dim, &scores[i * n + j], &c->err);
            if (st != ILK_OK)
                return st;
        }
    return ILK_OK;
}

static int compare(cli *c, ilk_model *m, const text *texts, size_t n)
{
    cli_embedding e;
    ilk_model_info info;
    ilk_vectors *v = NULL;
    ilk_input *in = ilki_base_zalloc(n, sizeof *in);
    ilk_part *parts = ilki_base_zalloc(n, sizeof *parts);
    float *scores = ilki_base_zalloc(n * n, sizeof *scores);
    ilk_model_info_init(&info);
    int status = CLI_FAILED;
    ilk_status st = in && parts && scores ? ilk_model_get_info(m, &info, &c->err)
                                          : ilki_base_fail_memory(&c->err, n * n * sizeof *scores, "the scores");
    if (st == ILK_OK && !cli_embedding_read(c, &info, &e))
        goto end;
    for (size_t i = 0; i < n && st == ILK_OK; i++) {
        ilk_part_init(&parts[i]);
        parts[i].kind = !texts[i].picture ? ILK_PART_TEXT : texts[i].read ? ILK_PART_ENCODED : ILK_PART_PATH;
        parts[i].modality = texts[i].picture ? ILK_IMAGE : ILK_TEXT;
        parts[i].data = texts[i].s;
        parts[i].n_bytes = texts[i].n;
        cli_embedding_input(&e, &in[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    if (st == ILK_OK)
        st = ilk_embed(m, in, n, &e.options, c->job, &v, &c->err);
    if (st == ILK_OK)
        st = score_all(c, m, v, n, scores);
    if (st != ILK_OK) {
        cli_fail_err(c);
        goto end;
    }
    status = CLI_FOUND;
    if (cli_on(c, "json"))
        put_json(c, scores, n, kind_of(info.similarity));
    else if (cli_on(c, "jsonl"))
        put_jsonl(c, scores, n, kind_of(info.similarity));
    else if (cli_on(c, "matrix"))
        put_matrix(c, scores, n);
    else
        put_pairs(c, scores, n);
end:
    ilk_vectors_free(v);
    free(in);
    free(parts);
    free(scores);
    return status;
}

static int run(cli *c)
{
    ilk_model *m = NULL;
    size_t n = c->n_operands;
    int status = CLI_FAILED;
    text *texts = ilki_base_zalloc(n, sizeof *texts);
    bool ok = texts != NULL;
    cli_config_read_user(c);
    for (size_t i = 0; i < n && ok; i++)
        ok = take_text(c, c->operands[i], &texts[i]);
    if (ok && cli_choose_model(c, NULL, &m))
        status = compare(c, m, texts, n);
    for (size_t i = 0; i < n && texts; i++)
        free(texts[i].read);
    free(texts);
    ilk_model_close(m);
    return status;
}

const cli_command cli_cmd_similarity = {
    "similarity",
    "how near texts and pictures are to each other",
    "TEXT TEXT...",
    CLI_FILE,
    2,
    2000,
    "ilk similarity -m ORG/NAME 'a cat' 'a dog'\tone score, larger is nearer\n"
    "ilk similarity -m DIR @a.txt @b.txt @c.txt\tfiles, each one text: a line for each pair\n"
    "ilk similarity -m DIR 'a cat' @cat.jpg\ta text and a picture\n"
    "ilk similarity -m DIR --matrix one two three\ta table of scores\n",
    "@FILE is a text, the text of a document, or a picture. Scores are by the model's own function, most often the cosine. A text that begins with @ is written with two.",
    (const cli_flag *const[]){cli_model_flags, cli_embedding_flags, flags, cli_record_flags, NULL},
    run,
};
