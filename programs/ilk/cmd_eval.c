/* SPDX-License-Identifier: Apache-2.0
 * ilk eval: how good a model is on a file of pairs (sts), a folder of the BEIR layout or pictures with captions
 * (retrieval), pictures of classes (zeroshot; both of pictures are in eval_pictures.c). */
#include <stdio.h>
#include <string.h>

#include "cli/choose.h"
#include "commands.h"
#include "evaluation.h"

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
    {"by", 0, CLI_CHOICE, "language", "retrieval of pictures: each language by itself, too", 0, 0},
    {"prompts", 0, CLI_CHOICE, "1|80", "zeroshot: how many of CLIP's own prompts a class has (default: 80)", 0, 0},
    {"templates", 0, CLI_FILE, "FILE", "zeroshot: prompts of your own, one a line, {} where the class goes", 0, 0},
    {"classnames", 0, CLI_FILE, "FILE", "zeroshot: names of classes: \"ID <tab> NAME\", or one a line for all by id", 0,
     0},
    {"per-class", 0, CLI_SWITCH, NULL, "zeroshot: a line for each class, too", 0, 0},
    {"dim", 0, CLI_COUNT, "N", "keep the first N entries of a vector", 1, 1 << 20},
    {"strict", 0, CLI_SWITCH, NULL, "a line that is not what it should be is fatal (default: named and passed over)", 0,
     0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

void evaluation_tell(void *user, const char *message)
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

ilk_status evaluation_put_model(evaluation *e)
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

void evaluation_begin(evaluation *e)
{
    ilki_base_buf_init(&e->buf, (size_t)1 << 30);
    ilki_base_jsonw_init(&e->w, &e->buf);
    ilki_base_jsonw_open(&e->w, '{');
}

void evaluation_end(evaluation *e)
{
    ilki_base_jsonw_close(&e->w, '}');
    if (cli_on(e->c, "json"))
        cli_put_json(e->c, &e->buf);
    else
        ilki_base_buf_deinit(&e->buf);
}

void evaluation_put_count(evaluation *e, const char *key, uint64_t n)
{
    if (cli_on(e->c, "json")) {
        ilki_base_jsonw_key(&e->w, key);
        ilki_base_jsonw_uint(&e->w, n);
    } else {
        cli_field(e->c, key, "%llu", (unsigned long long)n);
    }
}

void evaluation_put_number(evaluation *e, const char *key, double value)
{
    if (cli_on(e->c, "json"))
        cli_json_number(&e->w, key, value);
    else
        cli_field(e->c, key, strcmp(key, "seconds") == 0 ? "%.1f" : "%.4f", value);
}

int evaluation_drop(evaluation *e)
{
    ilki_base_buf_deinit(&e->buf);
    return cli_fail_err(e->c);
}

/* ------------------------------------------------------------------ retrieval */

static void put_retrieval(evaluation *e, const ilk_eval_result *r)
{
    cli *c = e->c;
    const ilk_eval_scores *s = &r->mean;
    char key[32];
    evaluation_put_count(e, "queries", r->n_queries);
    evaluation_put_count(e, "missing", r->n_missing);
    evaluation_put_count(e, "documents", r->n_documents);
    evaluation_put_count(e, "passed_over", r->n_junk);
    if (cli_on(c, "json"))
        put_scores(&e->w, s);
    for (uint32_t i = 0; i < s->n_cuts && !cli_on(c, "json"); i++) {
        snprintf(key, sizeof key, "ndcg@%u", s->cuts[i]);
        evaluation_put_number(e, key, s->ndcg[i]);
    }
    for (uint32_t i = 0; i < s->n_cuts && !cli_on(c, "json"); i++) {
        snprintf(key, sizeof key, "recall@%u", s->cuts[i]);
        evaluation_put_number(e, key, s->recall[i]);
    }
    if (!cli_on(c, "json")) {
        evaluation_put_number(e, "mrr", s->mrr);
        evaluation_put_number(e, "mrr@10", s->mrr10);
        evaluation_put_number(e, "map", s->map);
    }
    evaluation_put_number(e, "seconds", r->seconds);
}

static int run_retrieval(evaluation *e)
{
    cli *c = e->c;
    ilk_eval_result r;
    bool list = cli_on(c, "json") && cli_on(c, "per-query");
    ilk_eval_result_init(&r);
    evaluation_begin(e);
    if (list) {
        ilki_base_jsonw_key(&e->w, "per_query");
        ilki_base_jsonw_open(&e->w, '[');
    }
    ilk_status st = ilk_eval_retrieval(c->rt, e->m, c->operands[1], &e->opt, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (list)
        ilki_base_jsonw_close(&e->w, ']');
    if (st == ILK_OK)
        st = evaluation_put_model(e);
    if (st != ILK_OK)
        return evaluation_drop(e);
    put_retrieval(e, &r);
    evaluation_end(e);
    return CLI_FOUND;
}

/* ------------------------------------------------------------------ sts */

static int run_sts(evaluation *e)
{
    static const char *const kinds[] = {"cosine", "dot", "euclidean", "manhattan"};
    cli *c = e->c;
    ilk_sts_result r;
    ilk_sts_result_init(&r);
    evaluation_begin(e);
    ilk_status st = ilk_eval_sts(e->m, c->operands[1], &e->opt, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (st == ILK_OK)
        st = evaluation_put_model(e);
    if (st != ILK_OK)
        return evaluation_drop(e);
    evaluation_put_count(e, "pairs", r.n_pairs);
    evaluation_put_count(e, "passed_over", r.n_junk);
    for (size_t i = 0; i < 8; i++) {
        char key[32];
        double v = i % 2 ? r.pearson[i / 2] : r.spearman[i / 2];
        snprintf(key, sizeof key, "%s_%s", i % 2 ? "pearson" : "spearman", kinds[i / 2]);
        evaluation_put_number(e, key, v);
    }
    evaluation_put_number(e, "seconds", r.seconds);
    evaluation_end(e);
    return CLI_FOUND;
}

/* ------------------------------------------------------------------ the command */

/* The kinds; several may be one word, which the operand tells apart. */
enum { STS = 1, TEXTS = 2, CAPTIONS = 4, ZEROSHOT = 8 };

/* Which kinds read a flag that not all of them read. */
static const struct {
    const char *name;
    unsigned kinds;
} readers[] = {
    {"k", TEXTS},
    {"split", TEXTS},
    {"rerank", TEXTS},
    {"top", TEXTS},
    {"run", TEXTS},
    {"from-run", TEXTS},
    {"complete", TEXTS},
    {"per-query", TEXTS},
    {"query-prompt", TEXTS | CAPTIONS},
    {"by", CAPTIONS},
    {"document-prompt", TEXTS},
    {"prompt", STS},
    {"prompts", ZEROSHOT},
    {"templates", ZEROSHOT},
    {"classnames", ZEROSHOT},
    {"per-class", ZEROSHOT},
    {"dim", STS | TEXTS},
};

static bool check_flags(cli *c, unsigned kind)
{
    static const char *const words[] = {[STS] = "ilk eval sts",
                                        [TEXTS] = "ilk eval retrieval",
                                        [CAPTIONS] = "ilk eval retrieval",
                                        [ZEROSHOT] = "ilk eval zeroshot"};
    if (kind == STS && (cli_given(c, "query-prompt") || cli_given(c, "document-prompt"))) {
        cli_usage(c, "--%s is of \"ilk eval retrieval\"",
                  cli_given(c, "query-prompt") ? "query-prompt" : "document-prompt");
        return false;
    }
    if (kind == TEXTS && cli_given(c, "prompt")) {
        cli_usage(c, "--prompt is of \"ilk eval sts\"; for retrieval there are --query-prompt and --document-prompt");
        return false;
    }
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (!(readers[i].kinds & kind) && cli_given(c, readers[i].name)) {
            const char *of = words[readers[i].kinds & (0u - readers[i].kinds)];
            if (strcmp(of, words[kind]) == 0)
                cli_usage(c, "--%s is of \"%s\" over %s", readers[i].name, of,
                          readers[i].kinds == TEXTS ? "a folder of the BEIR layout" : "pictures with captions");
            else
                cli_usage(c, "--%s is of \"%s\"", readers[i].name, of);
            return false;
        }
    if (cli_given(c, "templates") && cli_given(c, "prompts")) {
        cli_usage(c, "--templates and --prompts exclude each other");
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

static unsigned kind_of(const cli *c)
{
    const char *word = c->operands[0];
    if (strcmp(word, "sts") == 0)
        return STS;
    if (strcmp(word, "zeroshot") == 0)
        return ZEROSHOT;
    if (strcmp(word, "retrieval") != 0)
        return 0;
    return !cli_given(c, "from-run") && evaluation_is_captions(c->operands[1]) ? CAPTIONS : TEXTS;
}

static int run(cli *c)
{
    evaluation e = {.c = c};
    unsigned kind = kind_of(c);
    if (!kind)
        return cli_usage(c, "expected \"sts FILE\", \"retrieval DIR\" or \"zeroshot DIR\", found \"%s\"",
                         c->operands[0]);
    if (!check_flags(c, kind))
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
        e.opt.prompt_query = cli_text(c, kind == STS ? "prompt" : "query-prompt");
        e.opt.prompt_document = cli_text(c, "document-prompt");
        e.opt.dim = (uint32_t)cli_count(c, "dim", 0);
        e.opt.note = evaluation_tell;
        e.opt.each = cli_on(c, "per-query") ? put_query : NULL;
        e.opt.user = &e;
        status = kind == STS        ? run_sts(&e)
                 : kind == TEXTS    ? run_retrieval(&e)
                 : kind == ZEROSHOT ? evaluation_run_zeroshot(&e)
                                    : evaluation_run_captions(&e);
    }
    ilk_model_close(e.reranker);
    ilk_model_close(e.m);
    return status;
}

const cli_command cli_cmd_eval = {
    "eval",
    "how good a model is on your own data",
    "sts FILE | retrieval DIR | zeroshot DIR",
    CLI_FILE,
    2,
    2,
    "ilk eval sts -m ORG/NAME pairs.tsv\tcorrelation with gold scores of pairs\n"
    "ilk eval retrieval -m ORG/NAME scifact\tnDCG@10, recall, MRR, MAP of a BEIR folder\n"
    "ilk eval retrieval -m DIR --rerank DIR2 --top 50 scifact\ta cross-encoder behind it\n"
    "ilk eval retrieval -m DIR --run my.run scifact\tand the rankings as a run of TREC\n"
    "ilk eval retrieval --from-run my.run scifact\tmeasure a run, whoever made it\n"
    "ilk eval zeroshot -m ORG/CLIP pictures\ttop-1, top-5 over a folder for each class\n"
    "ilk eval retrieval -m ORG/CLIP captions.jsonl --by language\tcaptions to pictures and back\n",
    "sts: FILE is .csv, .tsv or .jsonl of two texts and a gold score; columns are found by their names (sentence1, "
    "sentence2, score and the like), without names there are three. Spearman and Pearson of the cosine, the dot product "
    "and the negated euclidean and manhattan distances.\n\n"
    "retrieval: DIR has corpus.jsonl {\"_id\", \"title\", \"text\"}, queries.jsonl {\"_id\", \"text\"} and qrels/SPLIT.tsv "
    "(query, document, grade). Every judged query is compared with every document. Measures are those of trec_eval: equal "
    "scores are ordered by document id, descending; a grade of 1 and more is relevant; a judged document that is not in the "
    "corpus counts as not found. mrr and map are over the whole ranking of -k documents.\n\n"
    "retrieval of pictures: a file .jsonl, .csv, .tsv or .txt of \"image\", \"caption\" and, where it is known, \"language\"; a "
    "folder with captions.* or metadata.*; or one with NAME.txt beside NAME.jpg, a caption per line. R@1, R@5 and R@10 are "
    "shares of queries with a right answer among the first; a caption that several pictures have is one text, right for all of "
    "them.\n\n"
    "zeroshot: DIR has a folder of pictures for each class, or labels.csv, .tsv, .jsonl or .txt of \"image\" and \"label\" (or "
    "give that file). A class is the mean of its prompts; mean_per_class is the mean of each class's top-1.\n\n"
    "A line or file that cannot be used is named and passed over.",
    (const cli_flag *const[]){cli_model_flags, flags, NULL},
    run,
};
