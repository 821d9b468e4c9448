/* SPDX-License-Identifier: Apache-2.0
 * ilk search: passages and pictures by meaning. Where there is no store it offers to make one first. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "indexing.h"
#include "show_hits.h"

static bool ask(cli *c, const char *folder)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 16);
    ilki_base_buf_addf(&b, "there is no store in %s or above. Index this folder now?", folder);
    bool yes = cli_ask(c, false, ilki_base_buf_view(&b));
    ilki_base_buf_deinit(&b);
    return yes;
}

/* *s with the models it takes; with none, it is bare. */
static bool open_or_index(cli *c, const cli_place *p, ilk_store **s, cli_models *m)
{
    ilk_status st = cli_store_open(c, p, CLI_OPEN_READ, s);
    if (st == ILK_OK)
        return cli_store_is_bare(c, p, *s) || cli_choose_models(c, *s, cli_text(c, "space"), m);
    if (st != ILK_NOT_FOUND)
        return false;
    const char *folder = p->folder;
    if (ask(c, p->folder)) {
        ilk_error_init(&c->err);
        int status = cli_index(c, p, &folder, 1, s);
        if (status == CLI_NOTHING)
            cli_fail(c, "%s: there is nothing to read", p->folder);
        return status == CLI_FOUND && cli_choose_models(c, *s, cli_text(c, "space"), m);
    }
    if (!cli_signal_caught())
        cli_store_need(c, p, CLI_OPEN_READ, s);
    return false;
}

/* The first model that reads texts: it finds the best sentences. */
static ilk_model *reader_of(const cli_models *m)
{
    ilk_model_info info;
    ilk_model_info_init(&info);
    for (size_t i = 0; i < m->n; i++)
        if (ilk_model_get_info(m->list[i], &info, NULL) == ILK_OK && info.modalities & 1U << ILK_TEXT)
            return m->list[i];
    return NULL;
}

static int search(cli *c, const cli_place *p, ilk_store *s, const cli_models *m, const cli_question *question)
{
    ilk_query q;
    ilk_question asked;
    ilk_hits *h = NULL;
    cli_hits_query(c, &q);
    q.vector.space = cli_text(c, "space");
    cli_question_fill(c, question, &asked);
    int status = CLI_FAILED;
    if (m->n == 0)
        return cli_hits_show(c, p, s, NULL, question, NULL);
    if (ilk_ask(s, m->list, m->n, &asked, &q, c->job, &h, &c->err) == ILK_OK)
        status = cli_hits_show(c, p, s, h, question, reader_of(m));
    else
        cli_fail_err(c);
    ilk_hits_free(h);
    return status;
}

static int run(cli *c)
{
    cli_place p;
    cli_question question;
    cli_models m = {0};
    ilk_store *s = NULL;
    int status = CLI_FAILED;
    if (!cli_hits_one_form(c))
        return CLI_FAILED;
    cli_config_read_user(c);
    if (cli_question_read(c, &question) && cli_place_find(c, "", &p)) {
        if (open_or_index(c, &p, &s, &m))
            status = search(c, &p, s, &m, &question);
        cli_place_free(&p);
    }
    cli_question_free(&question);
    ilk_store_close(s);
    cli_close_models(&m);
    return status;
}

const cli_command cli_cmd_search = {
    "search",
    "find passages and pictures by meaning",
    "[QUERY...]",
    CLI_TEXT,
    0,
    UINT32_MAX,
    "ilk search \"make a file readable by its owner only\"\tthe ten best passages\n"
    "ilk search \"a red bicycle\"\talso pictures, where the store's model sees\n"
    "ilk search --image cat.jpg\twhat is like a picture\n"
    "ilk search beach --image cat.jpg --minus 0.5:people\tboth, and less of people\n"
    "ilk search -k 3 --min-score 0.4 rust on iron\tonly good ones\n"
    "ilk search -l \"travel costs\" | xargs less\tpaths alone; -0 for xargs -0\n"
    "ilk search --jsonl \"travel costs\" | jq .path\trecords\n"
    "ilk search -k 60 --html hits.html \"a red bicycle\"\ta page to look at\n",
    "Searches the store of this folder, the nearest .ilk upwards, with the models it was made with. The larger a score, "
    "the nearer a hit is to the query; the scale depends on the model. On a terminal the sentence that answers best "
    "stands out; through a pipe come lines of rank, score, path, lines, heading and passage, with tabs between; of a "
    "picture its size and what is known of it stands for the passage.\n\n"
    "\"-\" reads the query from standard input. Where there is no store, and on a terminal, it offers to index the "
    "folder first.\n\n"
    "Several terms (QUERY, --image, --plus, --minus) are one query: their vectors are added, each times its weight, and "
    "scores are then of the kind \"weighted\". A weight is written before a colon, as in 0.5:dogs, without a sign; what "
    "has a digit behind the colon is text, as in 10:30 or 16:9 (2: 3 dogs weighs \"3 dogs\"), and so is what stands "
    "behind a colon without a number (:2:dogs is \"2:dogs\"). @FILE is the text of a file, or a picture; @@x is the text "
    "@x. Terms that cancel each other out are an error.\n\n"
    "A query goes to every space of the store whose model reads all its terms, or to --space alone. Where a model reads "
    "texts and pictures, each kind is ranked by itself, since a text is nearer to any other text than to the picture it "
    "describes. Lists are merged by rank: scores of the kind \"rrf\" are sums of 1 / (60 + rank). --modality gives one "
    "kind, with its own scores.",
    (const cli_flag *const[]){cli_question_flags, cli_hit_flags, cli_record_flags, cli_model_flags, cli_store_flags,
                              NULL},
    run,
};
