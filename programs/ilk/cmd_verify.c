/* SPDX-License-Identifier: Apache-2.0
 * ilk verify: a known model against its golden values at every precision, or any model against somebody's vectors. */
#include <stdio.h>
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"known", 0, CLI_TEXT, "NAME", "the golden values of this model, where the folder does not tell (see ilk models)",
     0, 0},
    {"pictures", 0, CLI_FILE, "DIR", "a folder with the pictures that golden values are of; their hash decides", 0, 0},
    {"texts", 0, CLI_FILE, "FILE", "texts, one a line, or .jsonl {\"text\"}", 0, 0},
    {"against", 0, CLI_FILE, "FILE", "your vectors of them: .npy, or .jsonl as ilk embed writes it", 0, 0},
    {"as", 0, CLI_CHOICE, "query|document", "with --against: put the model's own prompt of that role before each text",
     0, 0},
    {"prompt", 0, CLI_TEXT, "STRING", "with --against: put this before each text", 0, 0},
    {"min-cosine", 0, CLI_NUMBER, "X", "with --against: a row below it is bad (default: 0.999)", 0, 0},
    {"max-tokens", 0, CLI_COUNT, "N", "read at most N tokens of a text (default: what the model's files say)", 2,
     1 << 20},
    {"no-mmap", 0, CLI_SWITCH, NULL, "read the weights instead of mapping them", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

/* ------------------------------------------------------------------ golden values */

typedef struct verification {
    cli *c;
    const char *precision;
    uint64_t n_failed, n_skipped;
    ilki_buf buf;
    ilki_jsonw w;
} verification;

static void put_golden(void *user, const ilk_golden *g)
{
    verification *v = user;
    cli *c = v->c;
    if (cli_on(c, "json")) {
        ilki_jsonw *w = &v->w;
        ilki_base_jsonw_open(w, '{');
        cli_json_string(w, "check", g->what);
        if (g->skipped) {
            cli_json_string(w, "skipped", g->skipped);
        } else {
            cli_json_number(w, "got", g->got);
            cli_json_number(w, "want", g->want);
            cli_json_number(w, "tolerance", g->tolerance);
            cli_json_bool(w, "pass", g->held);
        }
        cli_json_string(w, "source", g->source);
        ilki_base_jsonw_close(w, '}');
        return;
    }
    cli_progress_erase(c);
    if (g->skipped)
        cli_putf(c, "%s\tskipped\t%s: %s\t%s\n", v->precision, g->what, g->skipped, g->source);
    else if (c->verbose || !g->held)
        cli_putf(c, "%s\t%s\t%s\t%.7f, want %.7f within %.1e\t%s\n", v->precision, g->held ? "pass" : "FAIL", g->what,
                 g->got, g->want, g->tolerance, g->source);
}

/* The golden values at one precision. NOT_FOUND: none are known. */
static ilk_status verify_precision(verification *v, ilk_model *m, ilk_model *f32)
{
    cli *c = v->c;
    ilk_golden_result r;
    ilk_verify_options o;
    ilk_golden_result_init(&r);
    ilk_verify_options_init(&o);
    o.known = cli_text(c, "known");
    o.pictures = cli_text(c, "pictures");
    o.f32 = f32;
    o.each = put_golden;
    o.user = v;
    if (cli_on(c, "json")) {
        ilki_base_jsonw_open(&v->w, '{');
        cli_json_string(&v->w, "precision", v->precision);
        ilki_base_jsonw_key(&v->w, "checks");
        ilki_base_jsonw_open(&v->w, '[');
    }
    ilk_status st = ilk_verify_known(m, &o, c->job, &r, &c->err);
    if (st != ILK_OK)
        return st;
    bool pass = r.n_failed == 0 && r.n_held > 0;
    v->n_failed += !pass;
    v->n_skipped += r.n_skipped;
    if (cli_on(c, "json")) {
        ilki_base_jsonw_close(&v->w, ']');
        cli_json_string(&v->w, "known_as", r.id);
        cli_json_uint(&v->w, "skipped", r.n_skipped);
        cli_json_bool(&v->w, "pass", pass);
        ilki_base_jsonw_close(&v->w, '}');
    } else {
        char skipped[64] = "";
        if (r.n_skipped)
            snprintf(skipped, sizeof skipped, ", %llu skipped", (unsigned long long)r.n_skipped);
        cli_putf(c, "%s\t%s\t%llu of %llu golden values of %s%s\n", v->precision,
                 pass         ? "pass"
                 : r.n_failed ? "FAIL"
                              : "nothing was compared",
                 (unsigned long long)r.n_held, (unsigned long long)(r.n_held + r.n_failed), r.id, skipped);
    }
    return ILK_OK;
}

static void model_options(const cli *c, ilk_model_options *o)
{
    ilk_model_options_init(o);
    o->max_tokens = (uint32_t)cli_count(c, "max-tokens", 0);
    o->no_mmap = cli_on(c, "no-mmap");
    o->packed_cache = ILK_PACKED_LOOK;
}

/* Every precision that the library opens this model at, f32 first, which the others are measured by. */
static ilk_status verify_all(verification *v, const char *where)
{
    cli *c = v->c;
    ilk_model *f32 = NULL;
    ilk_status st = ILK_OK;
    for (ilk_precision p = ILK_PRECISION_F32; st == ILK_OK && ilk_precision_name(p); p = (ilk_precision)(p + 1)) {
        ilk_model_options o;
        ilk_model *m = NULL;
        model_options(c, &o);
        o.precision = p;
        v->precision = ilk_precision_name(p);
        st = ilk_model_open(&m, c->rt, where, &o, &c->err);
        if (st == ILK_UNSUPPORTED && p != ILK_PRECISION_F32) {
            st = ILK_OK;
            continue;
        }
        if (st == ILK_OK)
            st = verify_precision(v, m, f32);
        if (p == ILK_PRECISION_F32)
            f32 = m;
        else
            ilk_model_close(m);
    }
    ilk_model_close(f32);
    return st;
}

static int verify_known(cli *c, const char *where)
{
    verification v = {.c = c};
    ilki_base_buf_init(&v.buf, (size_t)1 << 30);
    ilki_base_jsonw_init(&v.w, &v.buf);
    ilki_base_jsonw_open(&v.w, '{');
    cli_json_string(&v.w, "model", where);
    ilki_base_jsonw_key(&v.w, "precisions");
    ilki_base_jsonw_open(&v.w, '[');
    ilk_status st = verify_all(&v, where);
    ilki_base_jsonw_close(&v.w, ']');
    cli_json_bool(&v.w, "pass", v.n_failed == 0);
    ilki_base_jsonw_close(&v.w, '}');
    if (st == ILK_OK && cli_on(c, "json"))
        cli_put_json(c, &v.buf);
    else
        ilki_base_buf_deinit(&v.buf);
    if (st != ILK_OK) {
        cli_fail_err(c);
        if (st == ILK_NOT_FOUND && strstr(c->err.message, "golden values"))
            cli_note(c, "if it is a published model under another name: --known ORG/NAME; against vectors of your own: "
                        "--texts FILE --against VECTORS.npy");
        return CLI_FAILED;
    }
    if (v.n_skipped && !cli_text(c, "pictures"))
        cli_note(c, "what is skipped for want of a picture runs with --pictures DIR");
    return v.n_failed ? CLI_NOTHING : CLI_FOUND;
}

/* ------------------------------------------------------------------ somebody's vectors */

static void put_against_json(cli *c, const ilk_against_result *r, const char *id)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, (size_t)1 << 20);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    cli_json_string(&w, "model", id);
    cli_json_bool(&w, "agree", r->agree);
    cli_json_uint(&w, "texts", r->n_texts);
    cli_json_uint(&w, "rows", r->n_rows);
    cli_json_uint(&w, "dim", r->dim);
    cli_json_uint(&w, "model_dim", r->model_dim);
    cli_json_number(&w, "least_cosine", r->least_cosine);
    cli_json_number(&w, "mean_cosine", r->mean_cosine);
    cli_json_uint(&w, "bad", r->n_bad);
    ilki_base_jsonw_key(&w, "first_bad");
    if (r->first_bad == ILK_NO_ROW)
        ilki_base_jsonw_null(&w);
    else
        ilki_base_jsonw_uint(&w, r->first_bad);
    cli_json_uint(&w, "worst", r->worst);
    cli_json_number(&w, "row_norm", r->row_norm);
    cli_json_number(&w, "model_norm", r->model_norm);
    cli_json_string(&w, "cause", r->cause);
    if (!r->agree) {
        cli_json_string(&w, "explanation", r->explanation);
        cli_json_bool(&w, "explains", r->explains);
        cli_json_number(&w, "cause_least", r->cause_least);
        cli_json_number(&w, "cause_mean", r->cause_mean);
    }
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void put_against(cli *c, const ilk_against_result *r, const char *id)
{
    cli_field(c, "model", "%s", id);
    cli_field(c, "texts", "%llu", (unsigned long long)r->n_texts);
    cli_field(c, "rows", "%llu of %u entries, the model's have %u", (unsigned long long)r->n_rows, r->dim,
              r->model_dim);
    cli_field(c, "least cosine", "%.6f, row %llu", r->least_cosine, (unsigned long long)r->worst);
    cli_field(c, "mean cosine", "%.6f", r->mean_cosine);
    if (r->first_bad != ILK_NO_ROW)
        cli_field(c, "first bad", "row %llu of %llu that are", (unsigned long long)r->first_bad,
                  (unsigned long long)r->n_bad);
    cli_field(c, "mean length", "%.6g, the model's %.6g", r->row_norm, r->model_norm);
    cli_field(c, "result", "%s", r->agree ? "pass" : "FAIL");
    if (r->agree)
        return;
    cli_field(c, "likely cause", "%s: %s", r->cause, r->explanation);
    cli_field(c, "with it", "least cosine %.6f, mean %.6f", r->cause_least, r->cause_mean);
}

static int verify_against(cli *c, const char *where)
{
    ilk_model *m = NULL;
    ilk_model_info info;
    ilk_against_options o;
    ilk_against_result r;
    const char *as = cli_text(c, "as");
    if (as && cli_text(c, "prompt"))
        return cli_usage(c, "--as and --prompt exclude each other");
    ilk_model_info_init(&info);
    ilk_against_options_init(&o);
    ilk_against_result_init(&r);
    o.role = !as ? ILK_ROLE_NONE : strcmp(as, "query") == 0 ? ILK_ROLE_QUERY : ILK_ROLE_DOCUMENT;
    o.prompt = cli_text(c, "prompt");
    o.min_cosine = cli_number(c, "min-cosine", 0);
    if (!cli_open_reference(c, where, &m))
        return CLI_FAILED;
    ilk_status st = ilk_verify_against(m, cli_text(c, "texts"), cli_text(c, "against"), &o, c->job, &r, &c->err);
    cli_progress_erase(c);
    if (st == ILK_OK)
        st = ilk_model_get_info(m, &info, &c->err);
    if (st == ILK_OK && cli_on(c, "json"))
        put_against_json(c, &r, info.id);
    else if (st == ILK_OK)
        put_against(c, &r, info.id);
    ilk_model_close(m);
    if (st != ILK_OK)
        return cli_fail_err(c);
    return r.agree ? CLI_FOUND : CLI_NOTHING;
}

static int run(cli *c)
{
    static const char *const with[] = {"as", "prompt", "min-cosine"};
    bool against = cli_text(c, "against") != NULL;
    if (against != (cli_text(c, "texts") != NULL))
        return cli_usage(c, "--texts and --against belong together");
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        if (!against && cli_given(c, with[i]))
            return cli_usage(c, "--%s needs --texts and --against", with[i]);
    if (against && (cli_text(c, "known") || cli_text(c, "pictures")))
        return cli_usage(c, "--%s is of golden values, which --against does not use",
                         cli_text(c, "known") ? "known" : "pictures");
    cli_config_read_user(c);
    if (!cli_open_runtime(c))
        return CLI_FAILED;
    if (against)
        return verify_against(c, c->operands[0]);
    int status = verify_known(c, c->operands[0]);
    ilk_calibration k;
    cli_calibrate(c, c->operands[0], &k);
    return status;
}

const cli_command cli_cmd_verify = {
    "verify",
    "whether a model gives the vectors it should",
    "MODEL",
    CLI_MODEL,
    1,
    1,
    "ilk verify ORG/NAME\tpublished values of a known model\n"
    "ilk verify DIR --known ORG/NAME\tthe same for a copy in a directory\n"
    "ilk verify openai/clip-vit-base-patch32 --pictures DIR\tthose of pictures, too, which are in DIR\n"
    "ilk verify DIR --texts lines.txt --against mine.npy\twhy your own vectors differ\n",
    "Golden values of known models travel with ilk, each with its source; a precision passes when all of them hold within "
    "its tolerance and its vectors keep near to those of f32. Then it is measured, once on a machine, which precision --precision "
    "auto takes for the model. With --verbose every value is printed. Values of pictures need these: "
    "ilk says which, and finds them in the folder of --pictures by their SHA-256, under any name; what is skipped is said, and is no "
    "pass. Exit status 1: something does not hold, or nothing could be compared; 2: no values are known of the model.\n\n"
    "With --against, row i of your vectors belongs to text i; the model computes in f32. Where they differ, variants are tried on some rows: other "
    "prompts, pooling, length, order and case, no normalisation, a cut of the dimension; the one that makes the rows agree "
    "is named as the likely cause. Rows count from 0.",
    (const cli_flag *const[]){flags, NULL},
    run,
};
