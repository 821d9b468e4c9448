/* SPDX-License-Identifier: Apache-2.0
 * ilk rerank: documents in the order in which they answer a query, by a cross-encoder. Documents are lines, files or
 * records; or, with --jsonl, a line is a query with its documents. */
#include <stdlib.h>
#include <string.h>

#include "cli/choose.h"
#include "cli/records.h"
#include "commands.h"

#define MAX_KEPT ((size_t)4 << 30) /* bytes of documents kept to be printed in order */

static const cli_flag flags[] = {
    {"jsonl", 0, CLI_SWITCH, NULL, "a line is {\"query\", \"documents\": [...]}; no QUERY is given then", 0, 0},
    {"records", 0, CLI_SWITCH, NULL, "documents are records {\"id\", \"text\"}, one a line", 0, 0},
    {"whole", 0, CLI_SWITCH, NULL, "a file is one document (default: a line is)", 0, 0},
    {"raw-scores", 0, CLI_SWITCH, NULL, "the model's own numbers, without its activation", 0, 0},
    {"top", 0, CLI_COUNT, "N", "print the N best only", 1, 0},
    {"strict", 0, CLI_SWITCH, NULL, "a pair longer than the model reads is fatal (default: the longer text is cut)", 0,
     0},
    {0},
};

typedef struct scored {
    size_t index; /* in the order of the input */
    float score;
    size_t id, id_len, text, text_len; /* in the ranking's buffers */
} scored;

typedef struct ranking {
    cli *c;
    ilk_model *m;
    ilk_rerank_options options;
    const char *kind; /* "prob" or "logit" */
    scored *list;
    size_t n, cap;
    float *scores;
    size_t cap_scores;
    ilki_buf ids, texts;
} ranking;

static int better(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static void sort(ranking *r)
{
    if (r->n) /* no document: no list */
        qsort(r->list, r->n, sizeof *r->list, better);
}

/* Scores of n documents into r->list, behind what is there. */
static ilk_status score(ranking *r, const ilk_input *query, const ilk_input *docs, size_t n)
{
    cli *c = r->c;
    if (r->n + n > r->cap) {
        size_t cap = (r->n + n) * 2;
        scored *list = realloc(r->list, cap * sizeof *list);
        if (!list)
            return ilki_base_fail_memory(&c->err, cap * sizeof *list, "documents");
        r->list = list;
        r->cap = cap;
    }
    if (n > r->cap_scores) {
        free(r->scores);
        r->scores = ilki_base_zalloc(n, sizeof *r->scores);
        r->cap_scores = r->scores ? n : 0;
        if (!r->scores)
            return ilki_base_fail_memory(&c->err, n * sizeof *r->scores, "scores");
    }
    ilk_status st = n ? ilk_rerank(r->m, query, docs, n, &r->options, c->job, r->scores, &c->err) : ILK_OK;
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        r->list[r->n + i] = (scored){.index = r->n + i, .score = r->scores[i]};
    if (st == ILK_OK)
        r->n += n;
    return st;
}

static void one_part(ilk_part *part, ilk_input *in, const char *text, size_t n)
{
    ilk_part_init(part);
    ilk_input_init(in);
    part->kind = ILK_PART_TEXT;
    part->modality = ILK_TEXT;
    part->data = text;
    part->n_bytes = n;
    in->parts = part;
    in->n_parts = 1;
}

static size_t shown(const ranking *r)
{
    size_t top = (size_t)cli_count(r->c, "top", r->n);
    return top < r->n ? top : r->n;
}

/* ------------------------------------------------------------------ a query on the command line */

static ilk_status score_batch(ranking *r, const ilk_input *query, cli_records *rec, ilk_input *in)
{
    size_t n = 0, before = r->n;
    for (size_t i = 0; i < rec->n; i++)
        if (!rec->list[i].bad) {
            ilk_input_init(&in[n]);
            in[n].parts = rec->parts + rec->list[i].part;
            in[n++].n_parts = rec->list[i].n_parts;
        }
    ilk_status st = score(r, query, in, n);
    for (size_t i = 0; i < rec->n && st == ILK_OK; i++) {
        const cli_record *d = &rec->list[i];
        if (d->bad)
            continue;
        scored *s = &r->list[before++];
        s->id = r->ids.len;
        s->id_len = d->id_len;
        ilki_base_buf_add(&r->ids, ilki_base_buf_view(&rec->ids) + d->id, d->id_len);
        s->text = r->texts.len;
        for (size_t k = 0; k < d->n_parts; k++)
            ilki_base_buf_add(&r->texts, rec->parts[d->part + k].data, rec->parts[d->part + k].n_bytes);
        s->text_len = r->texts.len - s->text;
    }
    if (st == ILK_OK)
        st = ilki_base_buf_check(&r->ids, "ids", &r->c->err);
    return st == ILK_OK ? ilki_base_buf_check(&r->texts, "documents", &r->c->err) : st;
}

static void put_ranking(ranking *r)
{
    cli *c = r->c;
    sort(r);
    for (size_t i = 0; i < shown(r) && cli_out_ok(c); i++) {
        const scored *s = &r->list[i];
        const char *text = ilki_base_buf_view(&r->texts) + s->text;
        ilki_buf b;
        ilki_jsonw w;
        ilki_base_buf_init(&b, (size_t)1 << 30);
        if (c->out.out_terminal) {
            cli_escape(&b, text, s->text_len, "");
            cli_putf(c, "%9.4f  ", (double)s->score);
            cli_put(c, ilki_base_buf_view(&b), b.len);
            cli_puts(c, "\n");
            ilki_base_buf_deinit(&b);
            continue;
        }
        ilki_base_buf_addf(&b, "{\"rank\":%zu,\"id\":", i + 1);
        ilki_base_buf_add(&b, ilki_base_buf_view(&r->ids) + s->id, s->id_len);
        ilki_base_buf_adds(&b, ",\"score\":");
        ilki_base_jsonw_init(&w, &b);
        ilki_base_jsonw_float(&w, s->score);
        ilki_base_buf_addf(&b, ",\"score_kind\":\"%s\",\"text\":", r->kind);
        ilki_base_jsonw_init(&w, &b);
        ilki_base_jsonw_string(&w, text, s->text_len);
        ilki_base_buf_addc(&b, '}');
        cli_put_json(c, &b);
    }
}

static int rank_documents(ranking *r, cli_records *rec)
{
    cli *c = r->c;
    ilk_part part;
    ilk_input query, *in = ilki_base_zalloc(CLI_BATCH_RECORDS, sizeof *in);
    one_part(&part, &query, c->operands[0], strlen(c->operands[0]));
    ilk_status st = in ? ILK_OK : ilki_base_fail_memory(&c->err, CLI_BATCH_RECORDS * sizeof *in, "a batch");
    while (st == ILK_OK && cli_out_ok(c) && cli_records_next(rec))
        st = score_batch(r, &query, rec, in);
    free(in);
    if (st == ILK_OK && c->err.status == ILK_NO_MEMORY)
        st = c->err.status;
    if (st != ILK_OK)
        return cli_fail_err(c);
    if (rec->n_unreadable && r->n == 0)
        return CLI_FAILED;
    if (!cli_signal_caught())
        put_ranking(r);
    return r->n ? CLI_FOUND : CLI_NOTHING;
}

/* ------------------------------------------------------------------ a query a line */

/* Texts of a document: a string, a list of strings, or a record with one of them as "text". */
static size_t take_texts(const ilki_json *j, ilki_json_node d, ilk_part *to, size_t room)
{
    size_t n = 0;
    if (ilki_base_json_type(j, d) == ILKI_JSON_OBJECT)
        d = ilki_base_json_get(j, d, "text");
    bool list = ilki_base_json_type(j, d) == ILKI_JSON_ARRAY;
    for (ilki_json_node i = list ? ilki_base_json_first(j, d) : d; i; i = list ? ilki_base_json_next(j, i) : 0) {
        size_t len;
        const char *s = ilki_base_json_string(j, i, &len);
        ilk_input unused;
        if (!s || n == room)
            return 0;
        one_part(&to[n++], &unused, s, len);
    }
    return n;
}

static void put_results(ranking *r)
{
    ilki_buf b;
    ilki_jsonw w;
    sort(r);
    ilki_base_buf_init(&b, (size_t)1 << 30);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    ilki_base_jsonw_key(&w, "results");
    ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < shown(r); i++) {
        ilki_base_jsonw_open(&w, '{');
        ilki_base_jsonw_key(&w, "index");
        ilki_base_jsonw_uint(&w, r->list[i].index);
        ilki_base_jsonw_key(&w, "score");
        ilki_base_jsonw_float(&w, r->list[i].score);
        ilki_base_jsonw_close(&w, '}');
    }
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(r->c, &b);
}

/* One line's query and documents; a message in c->err otherwise. */
static ilk_status rank_line(ranking *r, const ilki_json *j)
{
    ilk_error *err = &r->c->err;
    ilki_json_node root = ilki_base_json_root(j), list = ilki_base_json_get(j, root, "documents");
    size_t n = ilki_base_json_count(j, list), room = n, at = 0, n_query;
    const char *q = ilki_base_json_string(j, ilki_base_json_get(j, root, "query"), &n_query);
    if (!q || ilki_base_json_type(j, list) != ILKI_JSON_ARRAY)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "expected {\"query\": string, \"documents\": list}");
    for (ilki_json_node d = ilki_base_json_first(j, list); d; d = ilki_base_json_next(j, d)) {
        bool object = ilki_base_json_type(j, d) == ILKI_JSON_OBJECT;
        room += ilki_base_json_count(j, object ? ilki_base_json_get(j, d, "text") : d);
    }
    ilk_part query_part, *parts = ilki_base_zalloc(room, sizeof *parts);
    ilk_input query, *docs = ilki_base_zalloc(n, sizeof *docs);
    ilk_status st = parts && docs ? ILK_OK : ilki_base_fail_memory(err, room * sizeof *parts, "a line");
    one_part(&query_part, &query, q, n_query);
    ilki_json_node d = ilki_base_json_first(j, list);
    for (size_t i = 0; st == ILK_OK && i < n; i++, d = ilki_base_json_next(j, d)) {
        ilk_input_init(&docs[i]);
        docs[i].parts = parts + at;
        docs[i].n_parts = take_texts(j, d, parts + at, room - at);
        at += docs[i].n_parts;
        if (docs[i].n_parts == 0)
            st = ilki_base_fail(err, ILK_BAD_FORMAT,
                                "document %zu: expected a string, a list of strings or a record with \"text\"", i);
    }
    r->n = 0;
    if (st == ILK_OK)
        st = score(r, &query, docs, n);
    free(parts);
    free(docs);
    return st;
}

static int rank_lines(ranking *r, cli_records *rec)
{
    cli *c = r->c;
    size_t n_good = 0, n = 0;
    while (cli_out_ok(c) && cli_records_next(rec)) {
        for (size_t i = 0; i < rec->n && cli_out_ok(c) && !cli_signal_caught(); i++) {
            const cli_record *line = &rec->list[i];
            char name[8192];
            ilki_json *j = NULL;
            if (line->bad || rec->parts[line->part].n_bytes == 0) {
                n += line->bad;
                continue;
            }
            n++;
            cli_record_name(line, name, sizeof name);
            ilk_status st = ilki_base_json_parse(&j, rec->parts[line->part].data, rec->parts[line->part].n_bytes, name,
                                                 NULL, &c->err);
            if (st == ILK_OK && (st = rank_line(r, j)) != ILK_OK)
                ilki_base_error_prefix(&c->err, "%s", name);
            ilki_base_json_free(j);
            if (st == ILK_OK) {
                put_results(r);
                n_good++;
                continue;
            }
            if (st == ILK_NO_MEMORY || st == ILK_CANCELLED || st == ILK_UNSUPPORTED || cli_on(c, "strict"))
                return cli_fail_err(c);
            cli_warn(c, "%s", c->err.message);
        }
        cli_flush(c);
    }
    if (c->err.status == ILK_NO_MEMORY)
        return cli_fail_err(c);
    if (n > n_good)
        cli_note(c, "%zu of %zu lines have no result", n - n_good, n);
    return n_good ? CLI_FOUND : rec->n_unreadable && n == 0 ? CLI_FAILED : CLI_NOTHING;
}

/* ------------------------------------------------------------------ the command */

static int run_model(ranking *r, cli_records_kind kind)
{
    cli *c = r->c;
    cli_records rec;
    ilk_model_info info;
    bool lines = cli_on(c, "jsonl");
    size_t skip = lines ? 0 : 1;
    ilk_model_info_init(&info);
    if (ilk_model_get_info(r->m, &info, &c->err) != ILK_OK)
        return cli_fail_err(c);
    ilk_rerank_options_init(&r->options);
    r->options.raw_scores = cli_on(c, "raw-scores");
    r->options.strict = cli_on(c, "strict");
    r->kind = r->options.raw_scores || !info.score_kind ? "logit" : info.score_kind;
    int status = CLI_FAILED;
    if (cli_records_open(&rec, c, kind, c->operands + skip, c->n_operands - skip))
        status = lines ? rank_lines(r, &rec) : rank_documents(r, &rec);
    else
        cli_fail_err(c);
    cli_records_close(&rec);
    return status;
}

static int run(cli *c)
{
    ranking r = {.c = c};
    cli_records_kind kind = cli_on(c, "records") ? CLI_RECORDS_JSON
                            : cli_on(c, "whole") ? CLI_RECORDS_WHOLE
                                                 : CLI_RECORDS_LINES;
    if (cli_on(c, "jsonl") + cli_on(c, "records") + cli_on(c, "whole") > 1)
        return cli_usage(c, "--jsonl, --records and --whole exclude each other");
    if (!cli_on(c, "jsonl") && c->n_operands == 0)
        return cli_usage(c, "expected QUERY [FILE...]");
    ilki_base_buf_init(&r.ids, MAX_KEPT);
    ilki_base_buf_init(&r.texts, MAX_KEPT);
    cli_config_read_user(c);
    int status = CLI_FAILED;
    if (cli_choose_model(c, NULL, &r.m))
        status = run_model(&r, kind);
    ilk_model_close(r.m);
    ilki_base_buf_deinit(&r.ids);
    ilki_base_buf_deinit(&r.texts);
    free(r.list);
    free(r.scores);
    return status;
}

const cli_command cli_cmd_rerank = {
    "rerank",
    "documents in the order in which they answer a query",
    "QUERY [FILE...]",
    CLI_FILE,
    0,
    UINT32_MAX,
    "ilk rerank -m ORG/NAME 'how do bees fly' passages.txt\teach line is a document, best first\n"
    "ilk rerank -m DIR --top 3 'a query' --whole *.txt\tthe three files that answer best\n"
    "ilk rerank -m DIR --jsonl pairs.jsonl\tmany queries, each with its documents\n",
    "The model is a cross-encoder: it reads query and document together, so a score is for this pair alone. Without FILE, "
    "or for \"-\", standard input is read. A pair that is longer than the model reads loses the end of its longer text.\n\n"
    "The output is a record {\"rank\", \"id\", \"score\", \"score_kind\", \"text\"} a line, on a terminal score and text. "
    "With --jsonl a line is {\"results\": [{\"index\", \"score\"}]}, the index counting from 0 in the line's documents, "
    "each a string, a list of strings or a record {\"text\"}.",
    (const cli_flag *const[]){cli_model_flags, flags, NULL},
    run,
};
