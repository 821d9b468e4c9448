/* SPDX-License-Identifier: Apache-2.0
 * ilk tokenize: texts to token ids, as the model reads them. */
#include <string.h>

#include "cli/choose.h"
#include "cli/records.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"jsonl", 0, CLI_SWITCH, NULL, "read records {\"id\", \"text\"}, one a line", 0, 0},
    {"whole", 0, CLI_SWITCH, NULL, "a file is one text (default: a line is)", 0, 0},
    {0},
};

static bool put_tokens(cli *c, ilk_model *m, const cli_records *r, const cli_record *rec)
{
    ilk_tokens *t = NULL;
    ilki_buf b, text;
    ilki_jsonw w;
    size_t n = 0;
    ilki_base_buf_init(&text, 2 * CLI_RECORD_BYTES);
    for (size_t i = 0; i < rec->n_parts; i++)
        ilki_base_buf_add(&text, r->parts[rec->part + i].data, r->parts[rec->part + i].n_bytes);
    ilk_status st = ilk_tokenize(m, ilki_base_buf_view(&text), text.len, &t, &c->err);
    ilki_base_buf_deinit(&text);
    if (st != ILK_OK) {
        char name[8192];
        cli_record_name(rec, name, sizeof name);
        cli_warn(c, "%s: %s", name, c->err.message);
        return false;
    }
    const int32_t *ids = ilk_tokens_get_ids(t, &n);
    ilki_base_buf_init(&b, (size_t)1 << 30);
    ilki_base_buf_adds(&b, "{\"id\":");
    ilki_base_buf_add(&b, ilki_base_buf_view(&r->ids) + rec->id, rec->id_len);
    ilki_base_buf_adds(&b, ",\"ids\":");
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '[');
    for (size_t i = 0; i < n; i++)
        ilki_base_jsonw_int(&w, ids[i]);
    ilki_base_jsonw_close(&w, ']');
    ilki_base_buf_addc(&b, '}');
    cli_put_json(c, &b);
    ilk_tokens_free(t);
    return true;
}

static int run(cli *c)
{
    cli_records r;
    ilk_model *m = NULL;
    size_t n_good = 0, n = 0;
    cli_records_kind kind = cli_on(c, "jsonl")   ? CLI_RECORDS_JSON
                            : cli_on(c, "whole") ? CLI_RECORDS_WHOLE
                                                 : CLI_RECORDS_LINES;
    if (cli_on(c, "jsonl") && cli_on(c, "whole"))
        return cli_usage(c, "--jsonl and --whole exclude each other");
    cli_config_read_user(c);
    if (!cli_choose_model(c, NULL, &m))
        return CLI_FAILED;
    bool ok = cli_records_open(&r, c, kind, c->operands, c->n_operands);
    while (ok && cli_out_ok(c) && cli_records_next(&r)) {
        for (size_t i = 0; i < r.n && cli_out_ok(c) && !cli_signal_caught(); i++, n++)
            n_good += !r.list[i].bad && put_tokens(c, m, &r, &r.list[i]);
        cli_flush(c);
    }
    int status = n_good ? CLI_FOUND : n || !r.n_unreadable ? CLI_NOTHING : CLI_FAILED;
    if (!ok || c->err.status == ILK_NO_MEMORY)
        status = cli_fail_err(c);
    cli_records_close(&r);
    ilk_model_close(m);
    return status;
}

const cli_command cli_cmd_tokenize = {
    "tokenize",
    "texts into the token ids that a model reads",
    "[FILE...]",
    CLI_FILE,
    0,
    UINT32_MAX,
    "ilk tokenize -m ORG/NAME texts.txt\tfor each line {\"id\", \"ids\": [...]}\n"
    "echo 'a text' | ilk tokenize -m DIR\tstandard input\n",
    "Special tokens are included, and a text is cut at the model's limit.",
    (const cli_flag *const[]){cli_model_flags, flags, NULL},
    run,
};
