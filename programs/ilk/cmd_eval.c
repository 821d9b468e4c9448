/* SPDX-License-Identifier: Apache-2.0
 * ilk eval: how good a model is on a file of pairs (sts) or a folder of the BEIR layout (retrieval). */
#include <stdio.h>
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"k", 'k', CLI_COUNT, "N", "retrieval: documents of a ranking (default: 100)", 1, 1000000},
    {"split", 0, CLI_TEXT, "NAME", "retrieval: judgements of qrels/NAME.tsv (default: test)", 0, 0},
    {"rerank", 0, CLI_MODEL, "MODEL", "retrieval: a cross-encoder scores the best of each ranking anew", 0, 0},
    {"top", 0, CLI_COUNT, "N", "with --rerank: how many; the ranking is those alone then (default: 100)", 1, 1000000},
    {"run", 0, CLI_FILE, "FILE", "retrieval: write the rankings as a run of TREC", 0, 0},
    {"from-run", 0, CLI_FILE, "FILE", "retrieval: measure this run; no model is needed", 0, 0},
    {"complete", 0, CLI_SWITCH, NULL, "retrieval: a judged query that the run lacks counts as 0 (default: not at all)",
     0, 0},
    {"per-query", 0, CLI_SWITCH, NULL, "retrieval: a line for each query, too", 0, 0},
    {"query-prompt", 0, CLI_TEXT, "STRING", "put this before each query (default: the model's own prompt)", 0, 0},
    {"document-prompt", 0, CLI_TEXT, "STRING", "put this before each document (default: the model's own prompt)", 0, 0},
    {"prompt", 0, CLI_TEXT, "STRING", "sts: put this before each text", 0, 0},
    {"dim", 0, CLI_COUNT, "N", "keep the first N entries of a vector", 1, 1 << 20},
    {"strict", 0, CLI_SWITCH, NULL, "a line that is not what it should be is fatal (default: named and passed over)", 0,
     0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

typedef struct evaluation {
    cli *c;
    ilk_model *m, *reranker;
    ilk_eval_options opt;
    ilki_buf buf; /* the JSON document */
    ilki_jsonw w;
} evaluation;

static void tell(void *user, const char *message)
{
    evaluation *e = user;
    cli_warn(e->c, "%s", message);
}

static void put_scores(ilki_jsonw *w, const ilk_eval_scores *s)
{
    char key[32];
    for (uint32_t i = 0; i < s->n_cuts; i++) {
        snprintf(key, sizeof key, "ndcg@%u", s->cuts[i]);
        cli_json_number(w, key, s->ndcg[i]);
    }
    for (uint32_t i = 0; i < s->n_cuts; i++) {
        snprintf(key, sizeof key, "recall@%u", s->cuts[i]);
        cli_json_number(w, key, s->recall[i]);
    }
    cli_json_number(w, "mrr", s->mrr);
    cli_json_number(w, "mrr@10", s->mrr10);
    cli_json_number(w, "map", s->map);
}

static double ndcg_at_10(const ilk_eval_scores *s)
{
    for (uint32_t i = 0; i < s->n_cuts; i++)
        if (s->cuts[i] == 10)
            return s->ndcg[i];
    return 0;
}

/* A query's measures, as they come. */
static void put_query(void *user, const ilk_eval_scores *s)
{
    evaluation *e = user;
    cli *c = e->c;
    if (cli_on(c, "json")) {
        ilki_base_jsonw_open(&e->w, '{');
        ilki_base_jsonw_key(&e->w, "query");
        ilki_base_jsonw_cstring(&e->w, s->query);
        put_scores(&e->w, s);
        ilki_base_jsonw_close(&e->w, '}');
        return;
    }
    ilki_buf id;
    ilki_base_buf_init(&id, 65536);
    if (c->out.out_terminal)
        cli_escape(&id, s->query, strlen(s->query), "");
    else
        cli_escape_tsv(&id, s->query, strlen(s->query));
    cli_progress_erase(c);
    cli_putf(c, "query\t%s\tndcg@10\t%.6f\tmrr\t%.6f\tmap\t%.6f\n", ilki_base_buf_view(&id), ndcg_at_10(s), s->mrr,
             s->map);
    ilki_base_buf_deinit(&id);
}

static ilk_status put_model(evaluation *e)
{
    ilk_model_info info;
    ilk_model_info_init(&info);
    if (!e->m)
        return ILK_OK;
    ilk_status st = ilk_model_get_info(e->m, &info, &e->c->err);
    if (st != ILK_OK)
        return st;
    if (cli_on(e->c, "json")) {
        ilki_base_jsonw_key(&e->w, "model");
        ilki_base_jsonw_cstring(&e->w, info.id);
    } else {
        cli_field(e->c, "model", "%s", info.id);
    }
    return ILK_OK;
}

static void begin(evaluation *e)
{
    ilki_base_buf_init(&e->buf, (size_t)1 << 30);
    ilki_base_jsonw_init(&e->w, &e->buf);
    ilki_base_jsonw_open(&e->w, '{');
}

static void end(evaluation *e)
{
    ilki_base_jsonw_close(&e->w, '}');
    if (cli_on(e->c, "json"))
        cli_put_json(e->c, &e->buf);
    else
        ilki_base_buf_deinit(&e->buf);
}

static void put_count(evaluation *e, const char *key, uint64_t n)
{
    if (cli_on(e->c, "json")) {
        ilki_base_jsonw_key(&e->w, key);
        ilki_base_jsonw_uint(&e->w, n);
    } else {
        cli_field(e->c, key, "%llu", (unsigned long long)n);
    }
}

/* ------------------------------------------------------------------ retrieval */

static void put_retrieval(evaluation *e, const ilk_eval_result *r)
{
    cli *c = e->c;
    const ilk_eval_scores *s = &r->mean;
    char key[32];
    put_count(e, "queries", r->n_queries);
    put_count(e, "missing", r->n_missing);
    put_count(e, "documents", r->n_documents);
    put_count(e, "passed_over", r->n_junk);
    if (cli_on(c, "json")) {
        put_scores(&e->w, s);
        cli_json_number(&e->w, "seconds", r->seconds);
        return;
    }
    for (uint32_t i = 0; i < s->n_cuts; i++) {
        snprintf(key, sizeof key, "ndcg@%u", s->cuts[i]);
        cli_field(c, key, "%.4f", s->ndcg[i]);
    }
    for (uint32_t i = 0; i < s->n_cuts; i++) {
        snprintf(key, sizeof key, "recall@%u", s->cuts[i]);
        cli_field(c, key, "%.4f", s->recall[i]);
    }
    cli_field(c, "mrr", "%.4f", s->mrr);
    cli_field(c, "mrr@10", "%.4f", s->mrr10);
    cli_field(c, "map", "%.4f", s->map);
    cli_field(c, "seconds", "%.1f", r->seconds);
}

static int run_retrieval(evaluation *e)
{
    cli *c = e->c;
    ilk_eval_result r;
    bool list = cli_on(c, "json") && cli_on(c, "per-query");
    ilk_eval_result_init(&r);
    begin(e);
    if (list) {
        ilki_base_jsonw_key(&e->w, "per_query");
        ilki_base_jsonw_open(&e->w, '[');
    }
    ilk_status st = ilk_eval_retrieval(c->rt, e->m, c->operands[1], &e->opt, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (list)
        ilki_base_jsonw_close(&e->w, ']');
    if (st == ILK_OK)
        st = put_model(e);
    if (st != ILK_OK) {
        ilki_base_buf_deinit(&e->buf);
        return cli_fail_err(c);
    }
    put_retrieval(e, &r);
    end(e);
    return CLI_FOUND;
}

/* ------------------------------------------------------------------ sts */

static int run_sts(evaluation *e)
{
    static const char *const kinds[] = {"cosine", "dot", "euclidean", "manhattan"};
    cli *c = e->c;
    ilk_sts_result r;
    ilk_sts_result_init(&r);
    begin(e);
    ilk_status st = ilk_eval_sts(e->m, c->operands[1], &e->opt, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (st == ILK_OK)
        st = put_model(e);
    if (st != ILK_OK) {
        ilki_base_buf_deinit(&e->buf);
        return cli_fail_err(c);
    }
    put_count(e, "pairs", r.n_pairs);
    put_count(e, "passed_over", r.n_junk);
    for (size_t i = 0; i < 8; i++) {
        char key[32];
        double v = i % 2 ? r.pearson[i / 2] : r.spearman[i / 2];
        snprintf(key, sizeof key, "%s_%s", i % 2 ? "pearson" : "spearman", kinds[i / 2]);
        if (cli_on(c, "json"))
            cli_json_number(&e->w, key, v);
        else
            cli_field(c, key, "%.4f", v);
    }
    if (cli_on(c, "json"))
        cli_json_number(&e->w, "seconds", r.seconds);
    else
        cli_field(c, "seconds", "%.1f", r.seconds);
    end(e);
    return CLI_FOUND;
}

/* ------------------------------------------------------------------ the command */

/* Flags that only the other kind of evaluation reads. */
static bool check_flags(cli *c, bool sts)
{
    static const char *const of_retrieval[] = {"k",        "split",    "rerank",    "top",          "run",
                                               "from-run", "complete", "per-query", "query-prompt", "document-prompt"};
    for (size_t i = 0; sts && i < sizeof of_retrieval / sizeof *of_retrieval; i++)
        if (cli_given(c, of_retrieval[i])) {
            cli_usage(c, "--%s is of \"ilk eval retrieval\"", of_retrieval[i]);
            return false;
        }
    if (!sts && cli_given(c, "prompt")) {
        cli_usage(c, "--prompt is of \"ilk eval sts\"; for retrieval there are --query-prompt and --document-prompt");
        return false;
    }
    if (cli_given(c, "from-run") && (cli_given(c, "rerank") || cli_given(c, "run"))) {
        cli_usage(c, "--from-run measures a run as it is: --rerank and --run do not go with it");
        return false;
    }
    if (cli_given(c, "top") && !cli_given(c, "rerank")) {
        cli_usage(c, "--top needs --rerank");
        return false;
    }
    return true;
}

static bool open_models(evaluation *e)
{
    cli *c = e->c;
    cli_config_read_user(c);
    if (cli_text(c, "from-run"))
        return cli_open_runtime(c);
    if (!cli_choose_model(c, NULL, &e->m))
        return false;
    return !cli_text(c, "rerank") || cli_open_model(c, cli_text(c, "rerank"), &e->reranker);
}

static int run(cli *c)
{
    evaluation e = {.c = c};
    bool sts = strcmp(c->operands[0], "sts") == 0;
    if (!sts && strcmp(c->operands[0], "retrieval") != 0)
        return cli_usage(c, "expected \"sts FILE\" or \"retrieval DIR\", found \"%s\"", c->operands[0]);
    if (!check_flags(c, sts))
        return CLI_FAILED;
    ilk_eval_options_init(&e.opt);
    int status = CLI_FAILED;
    if (open_models(&e)) {
        e.opt.k = (uint32_t)cli_count(c, "k", 0);
        e.opt.split = cli_text(c, "split");
        e.opt.run_in = cli_text(c, "from-run");
        e.opt.run_out = cli_text(c, "run");
        e.opt.complete = cli_on(c, "complete");
        e.opt.strict = cli_on(c, "strict");
        e.opt.reranker = e.reranker;
        e.opt.top = (uint32_t)cli_count(c, "top", 0);
        e.opt.prompt_query = cli_text(c, sts ? "prompt" : "query-prompt");
        e.opt.prompt_document = cli_text(c, "document-prompt");
        e.opt.dim = (uint32_t)cli_count(c, "dim", 0);
        e.opt.note = tell;
        e.opt.each = cli_on(c, "per-query") ? put_query : NULL;
        e.opt.user = &e;
        status = sts ? run_sts(&e) : run_retrieval(&e);
    }
    ilk_model_close(e.reranker);
    ilk_model_close(e.m);
    return status;
}

const cli_command cli_cmd_eval = {
    "eval",
    "how good a model is on your own data",
    "sts FILE | retrieval DIR",
    CLI_FILE,
    2,
    2,
    "ilk eval sts -m ORG/NAME pairs.tsv\tcorrelation with gold scores of pairs\n"
    "ilk eval retrieval -m ORG/NAME scifact\tnDCG@10, recall, MRR, MAP of a BEIR folder\n"
    "ilk eval retrieval -m DIR --rerank DIR2 --top 50 scifact\ta cross-encoder behind it\n"
    "ilk eval retrieval -m DIR --run my.run scifact\tand the rankings as a run of TREC\n"
    "ilk eval retrieval --from-run my.run scifact\tmeasure a run, whoever made it\n",
    "sts: FILE is .csv, .tsv or .jsonl of two texts and a gold score; columns are found by their names (sentence1, "
    "sentence2, score and the like), without names there are three. Spearman and Pearson of the cosine, the dot product "
    "and the negated euclidean and manhattan distances.\n\n"
    "retrieval: DIR has corpus.jsonl {\"_id\", \"title\", \"text\"}, queries.jsonl {\"_id\", \"text\"} and qrels/SPLIT.tsv "
    "(query, document, grade). Every judged query is compared with every document. Measures are those of trec_eval: equal "
    "scores are ordered by document id, descending; a grade of 1 and more is relevant; a judged document that is not in the "
    "corpus counts as not found. mrr and map are over the whole ranking of -k documents.\n\n"
    "A line that cannot be used is named and passed over.",
    (const cli_flag *const[]){cli_model_flags, flags, NULL},
    run,
};
