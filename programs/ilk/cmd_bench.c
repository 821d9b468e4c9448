/* SPDX-License-Identifier: Apache-2.0
 * ilk bench: what this machine reaches, and what a model reaches of it. Each figure is the best of a few runs, since
 * other programs only ever slow one down. */
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"peak", 0, CLI_SWITCH, NULL, "only the machine: multiply-adds and memory reads", 0, 0},
    {"seconds", 0, CLI_COUNT, "N", "time for each shape (default: 1)", 1, 600},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {0},
};

typedef struct shape {
    const char *name;
    uint32_t texts, tokens;
} shape;

static const shape shapes[] = {
    {"query", 1, 16}, {"short", 64, 16}, {"sentence", 64, 32}, {"passage", 32, 128}, {"long", 16, 256}};

typedef struct report {
    cli *c;
    ilki_buf b;
    ilki_jsonw w;
    bool json;
} report;

static void put_number(report *r, const char *key, double v)
{
    ilki_base_jsonw_key(&r->w, key);
    ilki_base_jsonw_double(&r->w, v);
}

static ilk_status measure_peak(report *r, ilk_peak *peak)
{
    cli *c = r->c;
    ilk_peak_init(peak);
    ilk_status st = ilk_runtime_measure_peak(c->rt, c->job, peak, &c->err);
    if (st != ILK_OK)
        return st;
    if (r->json) {
        ilki_base_jsonw_key(&r->w, "peak");
        ilki_base_jsonw_open(&r->w, '{');
        put_number(r, "threads", peak->n_threads);
        put_number(r, "gflops_f32", peak->gflops_f32);
        if (peak->gflops_f32_tiles > 0)
            put_number(r, "gflops_f32_tiles", peak->gflops_f32_tiles);
        if (peak->gflops_bf16 > 0)
            put_number(r, "gflops_bf16", peak->gflops_bf16);
        put_number(r, "gops_i8", peak->gops_i8);
        put_number(r, "read_gbytes", peak->read_gbytes);
        ilki_base_jsonw_close(&r->w, '}');
    } else {
        cli_field(c, "threads", "%u", peak->n_threads);
        cli_field(c, "f32 peak", "%.1f GFLOP/s", peak->gflops_f32);
        if (peak->gflops_f32_tiles > 0)
            cli_field(c, "f32 on tiles", "%.1f GFLOP/s, by products of bf16", peak->gflops_f32_tiles);
        if (peak->gflops_bf16 > 0)
            cli_field(c, "bf16 peak", "%.1f GFLOP/s", peak->gflops_bf16);
        cli_field(c, "int8 peak", "%.1f GOP/s", peak->gops_i8);
        cli_field(c, "memory", "%.1f GB/s", peak->read_gbytes);
        cli_flush(c);
    }
    return ILK_OK;
}

/* Inputs of exactly so many tokens: ordinary ids between the special ones that an empty text has. */
static ilk_status make_inputs(cli *c, ilk_model *m, const ilk_model_info *info, const shape *sh, int32_t *ids,
                              ilk_part *parts, ilk_input *in)
{
    ilk_tokens *t = NULL;
    size_t n = 0;
    ilk_status st = ilk_tokenize(m, "", 0, &t, &c->err);
    if (st != ILK_OK)
        return st;
    const int32_t *ends = ilk_tokens_get_ids(t, &n);
    uint32_t state = 1;
    for (uint32_t i = 0; i < sh->texts; i++) {
        int32_t *own = ids + (size_t)i * sh->tokens;
        for (uint32_t k = 0; k < sh->tokens; k++) {
            state = state * 1664525U + 1013904223U;
            uint32_t first = info->vocab_size / 2;
            own[k] = (int32_t)(first + (state >> 8) % (info->vocab_size - first));
        }
        if (n >= 2 && sh->tokens >= 2) {
            own[0] = ends[0];
            own[sh->tokens - 1] = ends[n - 1];
        }
        ilk_part_init(&parts[i]);
        parts[i].kind = ILK_PART_IDS;
        parts[i].modality = ILK_TEXT;
        parts[i].data = own;
        parts[i].shape[0] = sh->tokens;
        ilk_input_init(&in[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    ilk_tokens_free(t);
    return ILK_OK;
}

/* Multiplications and additions of one text: every weight but the embeddings once per token, and attention. */
static double flops(const ilk_model_info *i, uint32_t tokens)
{
    double hidden = (double)i->dim, n = (double)tokens;
    double weights = (double)i->n_parameters - (double)i->vocab_size * hidden - 512 * hidden;
    return 2 * (weights > 0 ? weights : 0) * n + 4.0 * n * n * hidden * (double)i->n_layers;
}

static ilk_status run_shape(report *r, ilk_model *m, const ilk_model_info *info, const shape *sh, const ilk_input *in,
                            double peak_gflops)
{
    cli *c = r->c;
    double best = 0, limit = (double)cli_count(c, "seconds", 1), spent = 0;
    for (int run = 0; run < 3 || spent < limit; run++) {
        ilk_vectors *v = NULL;
        uint64_t t = ilki_base_now_ns();
        ilk_status st = ilk_embed(m, in, sh->texts, NULL, c->job, &v, &c->err);
        double s = (double)(ilki_base_now_ns() - t) * 1e-9;
        ilk_vectors_free(v);
        if (st != ILK_OK)
            return st;
        best = best == 0 || s < best ? s : best;
        spent += s;
    }
    double n = (double)sh->texts * sh->tokens, gflops = flops(info, sh->tokens) * sh->texts / best * 1e-9;
    if (r->json) {
        ilki_base_jsonw_open(&r->w, '{');
        ilki_base_jsonw_key(&r->w, "name");
        ilki_base_jsonw_cstring(&r->w, sh->name);
        put_number(r, "texts", sh->texts);
        put_number(r, "tokens", sh->tokens);
        put_number(r, "milliseconds", best * 1e3);
        put_number(r, "tokens_per_second", n / best);
        put_number(r, "gflops", gflops);
        put_number(r, "share_of_peak", gflops / peak_gflops);
        ilki_base_jsonw_close(&r->w, '}');
    } else {
        cli_field(c, sh->name, "%2u of %3u tokens: %8.2f ms, %7.0f tokens/s, about %.0f GFLOP/s, %.0f %% of the peak",
                  sh->texts, sh->tokens, best * 1e3, n / best, gflops, 100 * gflops / peak_gflops);
        cli_flush(c);
    }
    return ILK_OK;
}

/* What the products of a precision could reach. */
static double peak_of(const ilk_peak *p, ilk_precision precision)
{
    double f32 = p->gflops_f32_tiles > p->gflops_f32 ? p->gflops_f32_tiles : p->gflops_f32;
    return precision == ILK_PRECISION_INT8                           ? p->gops_i8
           : precision == ILK_PRECISION_BF16 && p->gflops_bf16 > 0.0 ? p->gflops_bf16
                                                                     : f32;
}

static ilk_status run_model(report *r, ilk_model *m, const ilk_peak *peak)
{
    enum { MOST = 64 * 256 };
    ilk_model_info info;
    int32_t *ids = ilki_base_zalloc(MOST, sizeof *ids);
    ilk_part *parts = ilki_base_zalloc(64, sizeof *parts);
    ilk_input *in = ilki_base_zalloc(64, sizeof *in);
    ilk_model_info_init(&info);
    ilk_status st = ids && parts && in ? ilk_model_get_info(m, &info, &r->c->err)
                                       : ilki_base_fail_memory(&r->c->err, MOST * sizeof *ids, "the texts");
    if (st == ILK_OK && r->json) {
        ilki_base_jsonw_key(&r->w, "model");
        ilki_base_jsonw_cstring(&r->w, info.id);
        ilki_base_jsonw_key(&r->w, "precision");
        ilki_base_jsonw_cstring(&r->w, ilk_precision_name(info.precision));
        ilki_base_jsonw_key(&r->w, "shapes");
        ilki_base_jsonw_open(&r->w, '[');
    } else if (st == ILK_OK) {
        cli_field(r->c, "model", "%s, %s", info.id, info.precision_name);
    }
    for (size_t i = 0; st == ILK_OK && i < sizeof shapes / sizeof *shapes; i++) {
        if (shapes[i].tokens > info.max_tokens)
            continue;
        st = make_inputs(r->c, m, &info, &shapes[i], ids, parts, in);
        if (st == ILK_OK)
            st = run_shape(r, m, &info, &shapes[i], in, peak_of(peak, info.precision));
    }
    if (st == ILK_OK && r->json)
        ilki_base_jsonw_close(&r->w, ']');
    free(ids);
    free(parts);
    free(in);
    return st;
}

static int run(cli *c)
{
    ilk_peak peak;
    ilk_model *m = NULL;
    report r = {.c = c, .json = cli_on(c, "json")};
    cli_config_read_user(c);
    if (!cli_open_runtime(c) || (!cli_on(c, "peak") && !cli_choose_model(c, NULL, &m)))
        return CLI_FAILED;
    ilki_base_buf_init(&r.b, 1 << 20);
    ilki_base_jsonw_init(&r.w, &r.b);
    if (r.json)
        ilki_base_jsonw_open(&r.w, '{');
    ilk_status st = measure_peak(&r, &peak);
    if (st == ILK_OK && m)
        st = run_model(&r, m, &peak);
    if (st == ILK_OK && r.json) {
        ilki_base_jsonw_close(&r.w, '}');
        cli_put_json(c, &r.b);
    }
    ilki_base_buf_deinit(&r.b);
    ilk_model_close(m);
    return st == ILK_OK ? CLI_FOUND : cli_fail_err(c);
}

const cli_command cli_cmd_bench = {
    "bench",
    "how fast this machine is, and a model on it",
    "",
    CLI_TEXT,
    0,
    0,
    "ilk bench --peak\twhat the machine can do at best\n"
    "ilk bench -m ORG/NAME\ttokens a second at a few lengths, and the time of one short query\n",
    "",
    (const cli_flag *const[]){flags, cli_model_flags, NULL},
    run,
};
