/* SPDX-License-Identifier: Apache-2.0
 * ilk embed: texts in, vectors out, in batches: memory does not grow with the input. A file made with -o appears under
 * its name only when it is whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/choose.h"
#include "cli/embedding.h"
#include "cli/records.h"
#include "cli/sink.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"jsonl", 0, CLI_SWITCH, NULL,
     "read records {\"id\", \"text\", \"image\"} or {\"id\", \"parts\"}, one a line; each a string or a list", 0, 0},
    {"whole", 0, CLI_SWITCH, NULL, "a file is one text (default: a line is)", 0, 0},
    {"format", 0, CLI_CHOICE, "jsonl|npy|f32",
     "jsonl: records {\"id\", \"embedding\"} (default); npy: NumPy; f32: bare "
     "little-endian floats",
     0, 0},
    {"output", 'o', CLI_FILE, "FILE", "write there, as a whole or not at all (npy needs it)", 0, 0},
    {"text-share", 0, CLI_NUMBER, "X", "of a record of text and pictures, the text's share of the sum (default: 0.5)",
     0, 0},
    {"no-exif", 0, CLI_SWITCH, NULL, "do not turn pictures as their EXIF says", 0, 0},
    {"strict", 0, CLI_SWITCH, NULL, "an input that cannot be read, or is longer than the model reads, is fatal", 0, 0},
    {0},
};

typedef struct totals {
    uint64_t n, n_bad, n_cut, first_cut;
} totals;

static void put_embedding(cli_sink *sink, const cli_records *r, const cli_record *rec, const float *v, size_t dim,
                          bool fused)
{
    ilki_buf *b = cli_sink_buf(sink);
    ilki_jsonw w;
    ilki_base_buf_adds(b, "{\"id\":");
    ilki_base_buf_add(b, ilki_base_buf_view(&r->ids) + rec->id, rec->id_len);
    ilki_base_buf_adds(b, ",\"embedding\":");
    ilki_base_jsonw_init(&w, b);
    ilki_base_jsonw_open(&w, '[');
    for (size_t k = 0; k < dim; k++)
        ilki_base_jsonw_float(&w, v[k]);
    ilki_base_jsonw_close(&w, ']');
    ilki_base_buf_adds(b, fused ? ",\"fused\":\"sum\"}\n" : "}\n");
}

static void name_failure(cli *c, const cli_record *rec, ilk_status st, const char *message)
{
    char name[8192];
    cli_record_name(rec, name, sizeof name);
    size_t n = strlen(name);
    if (message && strncmp(message, name, n) == 0 && message[n] == ':') /* of a picture it names the file itself */
        cli_warn(c, "%s", message);
    else
        cli_warn(c, "%s: %s", name, message ? message : ilk_status_string(st));
}

/* One record's vector. A record without one leaves a row of zeros where rows are counted, and no JSON record. */
static void put_record(cli *c, cli_sink *sink, const cli_records *r, size_t i, const ilk_vectors *v, size_t at,
                       totals *t)
{
    const cli_record *rec = &r->list[i];
    const char *message = NULL;
    size_t dim = 0, dropped = 0;
    const float *values = rec->bad ? NULL : ilk_vectors_get_dense(v, at, &dim);
    t->n++;
    if (!rec->bad && !values) {
        ilk_status st = ilk_vectors_get_status(v, at, &message);
        name_failure(c, rec, st, message);
    }
    if (!values) {
        t->n_bad++;
        if (sink->kind != CLI_SINK_JSONL)
            cli_sink_zeros(sink);
        return;
    }
    ilk_vectors_get_tokens(v, at, &dropped);
    if (dropped > 0) {
        if (t->n_cut++ == 0)
            t->first_cut = rec->line;
        if (c->verbose)
            name_failure(c, rec, ILK_LIMIT, "longer than the model reads: cut");
    }
    if (sink->kind == CLI_SINK_JSONL)
        put_embedding(sink, r, rec, values, dim, ilk_vectors_get_fused(v, at) != 0);
    else
        cli_sink_floats(sink, values, dim);
}

static ilk_status run_batch(cli *c, ilk_model *m, const cli_embedding *e, cli_records *r, ilk_input *in, cli_sink *sink,
                            totals *t)
{
    ilk_vectors *v = NULL;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->list[i].bad)
            continue;
        cli_embedding_input(e, &in[n]);
        in[n].parts = r->parts + r->list[i].part;
        in[n++].n_parts = r->list[i].n_parts;
    }
    ilk_status st = n ? ilk_embed(m, in, n, &e->options, c->job, &v, &c->err) : ILK_OK;
    for (size_t i = 0; i < r->n && st == ILK_OK; i++) {
        put_record(c, sink, r, i, v, at, t);
        at += !r->list[i].bad;
    }
    ilk_vectors_free(v);
    if (st == ILK_OK)
        st = cli_sink_flush(sink, &c->err);
    if (st == ILK_OK && cli_on(c, "strict") && t->n_bad)
        st = ilki_base_fail(&c->err, ILK_BAD_FORMAT, "an input failed, and --strict is on");
    return st;
}

static int finish(cli *c, const totals *t, size_t n_unreadable, uint32_t max_tokens)
{
    char where[64] = "";
    if (t->first_cut) /* a whole file has no line */
        snprintf(where, sizeof where, ", the first in line %llu", (unsigned long long)t->first_cut);
    if (t->n_cut && !c->verbose)
        cli_note(c, "%llu of %llu texts are longer than %u tokens and were cut%s (-v names all)",
                 (unsigned long long)t->n_cut, (unsigned long long)t->n, max_tokens, where);
    if (t->n_bad)
        cli_note(c, "%llu of %llu inputs have no vector", (unsigned long long)t->n_bad, (unsigned long long)t->n);
    if (n_unreadable && (cli_on(c, "strict") || t->n == 0))
        return CLI_FAILED;
    return t->n > t->n_bad ? CLI_FOUND : CLI_NOTHING;
}

static int run_all(cli *c, ilk_model *m, cli_records *r, cli_sink *sink)
{
    cli_embedding e;
    ilk_model_info info;
    totals t = {0};
    ilk_input *in = ilki_base_zalloc(CLI_BATCH_RECORDS, sizeof *in);
    ilk_model_info_init(&info);
    ilk_status st = in ? ilk_model_get_info(m, &info, &c->err) : ilki_base_fail_memory(&c->err, sizeof *in, "a batch");
    if (st == ILK_OK && !cli_embedding_read(c, &info, &e)) {
        free(in);
        return CLI_FAILED;
    }
    e.options.no_exif = cli_on(c, "no-exif");
    if (st == ILK_OK && cli_given(c, "text-share")) {
        e.options.text_share = (float)cli_number(c, "text-share", 0);
        if (!(e.options.text_share > 0 && e.options.text_share <= 1)) {
            free(in);
            return cli_usage(c, "--text-share: expected a number above 0 and at most 1");
        }
    }
    if (st == ILK_OK)
        st = cli_sink_open(sink, e.options.dim ? e.options.dim : info.dim, &c->err);
    while (st == ILK_OK && cli_out_ok(c) && cli_records_next(r))
        st = run_batch(c, m, &e, r, in, sink, &t);
    free(in);
    if (st == ILK_OK && c->err.status == ILK_NO_MEMORY)
        st = c->err.status;
    if (st == ILK_OK && !cli_signal_caught())
        st = cli_sink_close(sink, &c->err);
    return st == ILK_OK ? finish(c, &t, r->n_unreadable, info.max_tokens) : cli_fail_err(c);
}

static int run(cli *c)
{
    const char *format = cli_text(c, "format"), *output = cli_text(c, "output");
    cli_records r;
    cli_sink sink;
    ilk_model *m = NULL;
    cli_records_kind kind = cli_on(c, "jsonl")   ? CLI_RECORDS_JSON
                            : cli_on(c, "whole") ? CLI_RECORDS_WHOLE
                                                 : CLI_RECORDS_LINES;
    if (cli_on(c, "jsonl") && cli_on(c, "whole"))
        return cli_usage(c, "--jsonl and --whole exclude each other");
    if (!cli_sink_init(&sink, c, format ? format : "jsonl", output))
        return CLI_FAILED;
    cli_config_read_user(c);
    int status = CLI_FAILED;
    if (cli_choose_model(c, NULL, &m)) {
        if (cli_records_open(&r, c, kind, c->operands, c->n_operands)) {
            r.by_kind = true;
            r.model = m;
            status = run_all(c, m, &r, &sink);
        } else
            status = cli_fail_err(c);
        cli_records_close(&r);
    }
    cli_sink_deinit(&sink);
    ilk_model_close(m);
    return status;
}

const cli_command cli_cmd_embed = {
    "embed",
    "texts, pictures and documents into vectors",
    "[FILE...]",
    CLI_FILE,
    0,
    UINT32_MAX,
    "ilk embed -m ORG/NAME texts.txt\ta vector for each line, as JSON records\n"
    "ilk embed -m DIR --format npy -o v.npy texts.txt\tfor NumPy: row i is line i\n"
    "ilk embed -m DIR --as query -\tstandard input, each line as a query\n"
    "ilk embed -m DIR --jsonl records.jsonl\trecords {\"id\", \"text\", \"image\"}\n"
    "ilk embed -m DIR cat.jpg dog.png\ta vector for each picture\n"
    "ilk embed -m DIR report.pdf\ta vector for each passage\n",
    "A line is a text, its id the number of the line, from 1 (with several files FILE:LINE). Without FILE, or for \"-\", "
    "standard input is read, and what is there is answered when it pauses. A picture is one input, its id the name of the "
    "file; a document (HTML, PDF, EPUB, DOCX, ODT) is cut into passages as ilk index cuts it, and has a record for each "
    "with the id FILE#N, from 0.\n\n"
    "A record's \"text\" and \"image\" (names of files) are each a string or a list; \"parts\":[{\"text\"},{\"image\"}] keeps "
    "an order. Several texts are one text. Text and pictures, or several pictures, get one vector, the normalised sum of "
    "their unit vectors, and their output says \"fused\":\"sum\".\n\n"
    "An input that cannot be embedded is named on standard error; it has no record, and with npy and f32 a row of zeros "
    "keeps the rows in step with the lines. A text that is longer than the model reads is cut and counted.",
    (const cli_flag *const[]){cli_model_flags, cli_embedding_flags, flags, NULL},
    run,
};
