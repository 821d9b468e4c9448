/* SPDX-License-Identifier: Apache-2.0
 * ilk search: passages by meaning. Where there is no store it offers to make one first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "indexing.h"
#include "show_hits.h"

/* The words as one query; "-" alone is standard input. */
static bool read_query(cli *c, ilki_buf *b)
{
    if (c->n_operands == 1 && strcmp(c->operands[0], "-") == 0) {
        char part[4096];
        ssize_t n;
        while (!cli_signal_caught() && (n = read(0, part, sizeof part)) != 0) {
            if (n > 0)
                ilki_base_buf_add(b, part, (size_t)n);
            else if (errno != EINTR)
                break;
        }
        while (b->len && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r'))
            ilki_base_buf_truncate(b, b->len - 1);
    } else {
        for (size_t i = 0; i < c->n_operands; i++)
            ilki_base_buf_addf(b, "%s%s", i ? " " : "", c->operands[i]);
    }
    if (ilki_base_buf_check(b, "the query", &c->err) != ILK_OK) {
        cli_fail_err(c);
        return false;
    }
    if (b->len == 0 && !cli_signal_caught())
        cli_usage(c, "search: the query is empty");
    return b->len > 0;
}

static bool ask(cli *c, const char *folder)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 16);
    ilki_base_buf_addf(&b, "there is no store in %s or above. Index this folder now?", folder);
    bool yes = cli_ask(c, false, ilki_base_buf_view(&b));
    ilki_base_buf_deinit(&b);
    return yes;
}

static bool open_or_index(cli *c, const cli_place *p, ilk_store **s, ilk_model **m)
{
    ilk_status st = cli_store_open(c, p, CLI_OPEN_READ, s);
    if (st == ILK_OK)
        return cli_choose_model(c, *s, m);
    if (st != ILK_NOT_FOUND)
        return false;
    const char *folder = p->folder;
    if (ask(c, p->folder)) {
        ilk_error_init(&c->err);
        int status = cli_index(c, p, &folder, 1, s, m);
        if (status == CLI_NOTHING)
            cli_fail(c, "%s: there is nothing to read", p->folder);
        return status == CLI_FOUND;
    }
    if (!cli_signal_caught())
        cli_store_need(c, p, CLI_OPEN_READ, s);
    return false;
}

static int search(cli *c, const cli_place *p, ilk_store *s, ilk_model *m, const char *text, size_t n)
{
    ilk_query q;
    ilk_input in;
    ilk_part part;
    ilk_hits *h = NULL;
    cli_hits_query(c, &q);
    ilk_part_init(&part);
    part.kind = ILK_PART_TEXT;
    part.modality = ILK_TEXT;
    part.data = text;
    part.n_bytes = n;
    ilk_input_init(&in);
    in.parts = &part;
    in.n_parts = 1;
    in.role = ILK_ROLE_QUERY;
    int status = CLI_FAILED;
    if (ilk_search(s, m, &in, &q, c->job, &h, &c->err) == ILK_OK)
        status = cli_hits_show(c, p, h, text, m);
    else
        cli_fail_err(c);
    ilk_hits_free(h);
    return status;
}

static int run(cli *c)
{
    cli_place p;
    ilki_buf query;
    ilk_store *s = NULL;
    ilk_model *m = NULL;
    int status = CLI_FAILED;
    if (!cli_hits_one_form(c))
        return CLI_FAILED;
    ilki_base_buf_init(&query, 1 << 24);
    cli_config_read_user(c);
    if (read_query(c, &query) && cli_place_find(c, "", &p)) {
        if (open_or_index(c, &p, &s, &m))
            status = search(c, &p, s, m, query.data, query.len);
        cli_place_free(&p);
    }
    ilki_base_buf_deinit(&query);
    ilk_store_close(s);
    ilk_model_close(m);
    return status;
}

const cli_command cli_cmd_search = {
    "search",
    "find passages by meaning",
    "QUERY...",
    CLI_TEXT,
    1,
    UINT32_MAX,
    "ilk search \"make a file readable by its owner only\"\tthe ten best passages\n"
    "ilk search -k 3 --min-score 0.4 rust on iron\tonly good ones\n"
    "ilk search -l \"travel costs\" | xargs less\tpaths alone; -0 for xargs -0\n"
    "ilk search --jsonl \"travel costs\" | jq .path\trecords\n",
    "Searches the store of this folder, the nearest .ilk upwards, with the model it was made with. The larger a score, "
    "the nearer a passage is to the query; the scale depends on the model. On a terminal the sentence that answers best "
    "stands out; through a pipe come lines of rank, score, path, lines, heading and passage, with tabs between.\n\n"
    "\"-\" reads the query from standard input. Where there is no store, and on a terminal, it offers to index the "
    "folder first.",
    (const cli_flag *const[]){cli_hit_flags, cli_record_flags, cli_model_flags, cli_store_flags, NULL},
    run,
};
