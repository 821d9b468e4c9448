/* SPDX-License-Identifier: Apache-2.0
 * Finding a family, quirks, and the checks of a pass, on a family that lives here: one tower that adds up. */
#include "models/model.h"

#include <stdlib.h>

#include "models/quirks.h"
#include "test.h"

#define TYPES                                                                                                          \
    "bert, roberta, xlm-roberta, camembert, distilbert, mpnet, modernbert, nomic_bert, gte, new, clip, "               \
    "clip_text_model, clip_vision_model, metaclip_2, metaclip_2_text_model, metaclip_2_vision_model, siglip, "         \
    "siglip_text_model, siglip_vision_model, siglip2, chinese_clip, open_clip"

static ilki_json *parse(const char *text)
{
    ilki_json *j = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_json_parse(&j, text, strlen(text), "config.json", NULL, &err), &err);
    return j;
}

static void families(void)
{
    static const struct {
        const char *config, *says;
        ilk_status status;
    } rows[] = {
        {"{\"model_type\":\"gpt2\"}", "dir/config.json: model_type: expected one of " TYPES "; found \"gpt2\"",
         ILK_UNSUPPORTED},
        {"{}", "dir/config.json: model_type: expected one of " TYPES "; found none", ILK_UNSUPPORTED},
        {"{\"model_type\":7,\"attention_probs_dropout_prob\":0}",
         "dir/config.json: model_type: expected one of " TYPES "; found none", ILK_UNSUPPORTED},
        {"[]", "dir/config.json: model_type: expected one of " TYPES "; found none", ILK_UNSUPPORTED},
        {"{\"model_type\":\"bert\"}", "config.json: vocab_size: expected an integer of 1 to 16777216, found nothing",
         ILK_BAD_FORMAT},
        {"{\"attention_probs_dropout_prob\":0.1}", /* the quirk: read as bert */
         "config.json: vocab_size: expected an integer of 1 to 16777216, found nothing", ILK_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_json *j = parse(rows[i].config);
        ilki_model_source src = {.dir = "dir", .config = j, .ops = &ilki_kern_ref};
        ilki_net *net = NULL;
        ilk_error err;
        ilk_error_init(&err);
        CHECK_STATUS(ilki_models_open(&net, &src, &err), rows[i].status, &err);
        CHECK_STR(err.message, rows[i].says);
        CHECK(net == NULL);
        ilki_base_json_free(j);
    }
    ilki_models_close(NULL);
}

static void quirks(void)
{
    static const ilki_quirk rows[] = {
        {"a", "key", "value", ILKI_QUIRK_MODEL_TYPE, "1", "n"},
        {"a", NULL, NULL, ILKI_QUIRK_MODEL_TYPE, "2", "n"},
        {NULL, "key", NULL, ILKI_QUIRK_MODEL_TYPE, "3", "n"},
        {"b", NULL, NULL, (ilki_quirk_effect)99, "4", "n"},
    };
    static const struct {
        const char *config, *arg;
    } cases[] = {
        {"{\"model_type\":\"a\",\"key\":\"value\"}", "1"},
        {"{\"model_type\":\"a\",\"key\":\"x\"}", "2"},
        {"{\"model_type\":\"a\"}", "2"},
        {"{\"key\":1}", "3"},
        {"{\"model_type\":\"b\"}", NULL},
        {"{}", NULL},
        {"{\"model_type\":null,\"key\":1}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_json *j = parse(cases[i].config);
        const ilki_quirk *q = ilki_models_find_quirk(rows, 4, ILKI_QUIRK_MODEL_TYPE, j);
        CHECK_STR(q ? q->arg : NULL, cases[i].arg);
        ilki_base_json_free(j);
    }
}

/* ---- a family whose pass fills its outputs with `fill` */

static float fill = 1;
static int n_passes;

static ilk_status sample_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                                 ilki_tower_out *out)
{
    float *scratch = ilki_nn_take(ctx, 100, sizeof *scratch);
    (void)t;
    n_passes++;
    if (!scratch)
        return ctx->status;
    for (size_t i = 0; out->pooled && i < in->n_seqs * net->tower[0].dim * (out->pooling == 5 ? 2U : 1U); i++)
        out->pooled[i] = fill;
    for (size_t i = 0; out->rows && i < out->n_rows * net->tower[0].dim; i++)
        out->rows[i] = fill;
    for (size_t i = 0; out->tokens && i < in->n_tokens * net->tower[0].dim; i++)
        out->tokens[i] = fill;
    for (size_t i = 0; out->n_logits && i < in->n_seqs * out->logits->n_classes; i++)
        out->logits->out[i] = fill;
    return ctx->status;
}

static const ilki_family sample_family = {"sample", NULL, NULL, NULL, sample_forward};
static const ilki_net sample = {
    .family = &sample_family,
    .n_towers = 2,
    .tower = {{.name = "text", .dim = 2, .n_layers = 3, .vocab_size = 10, .max_tokens = 4},
              {.name = "rows", .dim = 2, .row_dim = 3, .n_layers = 3}},
};

/* What a case changes of a pass of two sequences, of one and two tokens. */
typedef struct pass {
    uint32_t offsets[3], at[2];
    int32_t ids[5];
    float rows[9], pooled[8], tokens[8], logits[4], layer_rows[4];
    ilki_kv kv;
    const ilki_kv *kvs[2];
    ilki_tower_span span;
    ilki_layer_rows extra;
    ilki_logits head;
    ilki_tower_in in;
    ilki_tower_out out;
    unsigned tower;
} pass;

static pass make_pass(pass *p)
{
    *p = (pass){.offsets = {0, 1, 3}, .ids = {1, 2, 9}};
    p->in = (ilki_tower_in){.n_seqs = 2, .n_tokens = 3, .offsets = p->offsets, .ids = p->ids};
    p->out = (ilki_tower_out){.pooling = ILKI_POOL_MEAN, .pooled = p->pooled};
    return *p;
}

static ilk_status run(pass *p, ilk_error *err)
{
    unsigned char memory[1024] __attribute__((aligned(64)));
    ilki_ws ws;
    ilki_base_ws_init(&ws, memory, sizeof memory);
    ilki_nn ctx = {.ops = &ilki_kern_ref, .ws = &ws, .err = err};
    ilk_error_init(err);
    return ilki_models_forward(&sample, p->tower, &ctx, &p->in, &p->out);
}

static void use_rows(pass *p)
{
    p->tower = 1;
    p->in.ids = NULL;
    p->in.rows = p->rows;
    p->in.row_dim = 3;
}

static void break_no_seqs(pass *p)
{
    p->in.n_seqs = 0;
}
static void break_no_offsets(pass *p)
{
    p->in.offsets = NULL;
}
static void break_first(pass *p)
{
    p->offsets[0] = 1;
}
static void break_last(pass *p)
{
    p->offsets[2] = 2;
}
static void break_empty(pass *p)
{
    p->offsets[1] = 0;
}
static void break_descending(pass *p)
{
    p->offsets[1] = 4;
}
static void break_tower(pass *p)
{
    p->tower = 2;
}
static void break_neither(pass *p)
{
    p->in.ids = NULL;
}
static void break_both(pass *p)
{
    p->in.rows = p->rows;
}
static void break_id(pass *p)
{
    p->ids[2] = 10;
}
static void break_negative_id(pass *p)
{
    p->ids[1] = -1;
}
static void break_ids_for_rows(pass *p)
{
    p->tower = 1;
}
static void break_axes(pass *p)
{
    p->in.n_axes = 4;
}
static void break_no_axes(pass *p)
{
    p->in.positions = p->ids;
}
static void break_no_output(pass *p)
{
    p->out = (ilki_tower_out){0};
}
static void break_no_pooled(pass *p)
{
    p->out.pooled = NULL;
}
static void break_no_mode(pass *p)
{
    p->out.pooling = 0;
}
static void break_mode(pass *p)
{
    p->out.pooling = 64;
}

static void break_long(pass *p)
{
    p->in.n_tokens = p->offsets[2] = 6;
}

static void break_long_prefix(pass *p)
{
    p->kv.n_tokens = 3;
    p->kvs[1] = &p->kv;
    p->in.prefix = p->kvs;
}

static void break_row_dim(pass *p)
{
    use_rows(p);
    p->in.row_dim = 2;
}

static void break_nan_rows(pass *p)
{
    use_rows(p);
    p->rows[8] = NAN;
}

static void break_span(pass *p)
{
    p->span = (ilki_tower_span){.first = 2, .n = 2};
    p->in.spans = &p->span;
    p->in.n_spans = 1;
}

static void break_span_rows(pass *p)
{
    p->rows[1] = INFINITY;
    p->span = (ilki_tower_span){.first = 2, .n = 1, .rows = p->rows};
    p->in.spans = &p->span;
    p->in.n_spans = 1;
}

static void set_layer_rows(pass *p)
{
    p->extra = (ilki_layer_rows){.layer = 2, .at = p->at, .rows = p->layer_rows, .n = 2};
    p->in.layer_rows = &p->extra;
    p->in.n_layer_rows = 1;
}

static void break_layer_rows_layer(pass *p)
{
    set_layer_rows(p);
    p->extra.layer = 3;
}

static void break_layer_rows_at(pass *p)
{
    set_layer_rows(p);
    p->at[1] = 3;
}

static void break_layer_rows_nan(pass *p)
{
    set_layer_rows(p);
    p->layer_rows[3] = NAN;
}

static void break_layer(pass *p)
{
    p->out.layer_tokens = p->tokens;
    p->out.layer = 4;
}

static void break_negative_layer(pass *p)
{
    p->out.layer_tokens = p->tokens;
    p->out.layer = -1;
}

static void break_row_at(pass *p)
{
    p->at[1] = 3;
    p->out.row_at = p->at;
    p->out.rows = p->tokens;
    p->out.n_rows = 2;
}

static void passes_are_checked(void)
{
    static const struct {
        void (*change)(pass *);
        ilk_status status;
        const char *says;
    } cases[] = {
        {break_no_seqs, ILK_BAD_ARGUMENT, "tokens in sequences, found 3 in 0"},
        {break_no_offsets, ILK_BAD_ARGUMENT, "tokens in sequences"},
        {break_first, ILK_BAD_ARGUMENT, "offsets: expected 0 to 3, found 1 to 3"},
        {break_last, ILK_BAD_ARGUMENT, "offsets: expected 0 to 3, found 0 to 2"},
        {break_empty, ILK_BAD_ARGUMENT, "sequence 0: expected tokens, found offsets 0 to 0"},
        {break_descending, ILK_BAD_ARGUMENT, "sequence 1: expected tokens, found offsets 4 to 3"},
        {break_long, ILK_LIMIT, "sequence 1: expected at most 4 tokens, found 5"},
        {break_long_prefix, ILK_LIMIT, "sequence 1: expected at most 4 tokens, found 5"},
        {break_tower, ILK_BAD_ARGUMENT, "tower: expected one below 2, found 2"},
        {break_neither, ILK_BAD_ARGUMENT, "expected ids or rows, found neither"},
        {break_both, ILK_BAD_ARGUMENT, "expected ids or rows, found both"},
        {break_id, ILK_BAD_ARGUMENT, "token 2: expected an id below 10, found 10"},
        {break_negative_id, ILK_BAD_ARGUMENT, "token 1: expected an id below 10, found -1"},
        {break_ids_for_rows, ILK_BAD_ARGUMENT, "tower rows: expected rows, found ids"},
        {break_row_dim, ILK_MISMATCH, "tower rows: expected rows of 3, found 2"},
        {break_nan_rows, ILK_NOT_FINITE, "tower rows: expected finite rows"},
        {break_axes, ILK_BAD_ARGUMENT, "positions: expected 1 to 3 axes, found 4"},
        {break_no_axes, ILK_BAD_ARGUMENT, "positions: expected 1 to 3 axes, found 0"},
        {break_span, ILK_BAD_ARGUMENT, "span 0: expected it within 3 tokens, found 2 + 2"},
        {break_span_rows, ILK_NOT_FINITE, "span 0: expected finite rows"},
        {break_layer_rows_layer, ILK_BAD_ARGUMENT, "layer rows 0: expected a layer below 3, found 3"},
        {break_layer_rows_at, ILK_BAD_ARGUMENT, "layer rows 0: expected a token below 3, found 3"},
        {break_layer_rows_nan, ILK_NOT_FINITE, "layer rows 0: expected finite rows"},
        {break_no_output, ILK_BAD_ARGUMENT, "expected an output to fill, found none"},
        {break_no_pooled, ILK_BAD_ARGUMENT, "pooling: expected memory for it, found none"},
        {break_no_mode, ILK_BAD_ARGUMENT, "pooling: expected a mode, found 0"},
        {break_mode, ILK_BAD_ARGUMENT, "pooling: expected a mode, found 64"},
        {break_layer, ILK_BAD_ARGUMENT, "layer: expected 0 to 3, found 4"},
        {break_negative_layer, ILK_BAD_ARGUMENT, "layer: expected 0 to 3, found -1"},
        {break_row_at, ILK_BAD_ARGUMENT, "row 1: expected a token below 3, found 3"},
    };
    pass p;
    ilk_error err;
    fill = 1;
    make_pass(&p);
    CHECK_OK(run(&p, &err), &err);
    make_pass(&p);
    set_layer_rows(&p);
    CHECK_OK(run(&p, &err), &err);
    make_pass(&p);
    use_rows(&p);
    CHECK_OK(run(&p, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_pass(&p);
        cases[i].change(&p);
        n_passes = 0;
        CHECK_STATUS(run(&p, &err), cases[i].status, &err);
        CHECK_THAT(strstr(err.message, cases[i].says), "\"%s\" lacks \"%s\"", err.message, cases[i].says);
        CHECK_INT(n_passes, 0);
    }
}

/* A NaN that a model makes never leaves it. */
static void results_are_checked(void)
{
    pass p;
    ilk_error err;
    const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        fill = bad[i];
        make_pass(&p);
        CHECK_STATUS(run(&p, &err), ILK_NOT_FINITE, &err);
        CHECK_STR(err.message, "pooled: expected finite numbers from the model, found a NaN or infinity");
        make_pass(&p);
        p.out = (ilki_tower_out){.row_at = p.at, .rows = p.tokens, .n_rows = 1};
        CHECK_STATUS(run(&p, &err), ILK_NOT_FINITE, &err);
        make_pass(&p);
        p.out = (ilki_tower_out){.tokens = p.tokens};
        CHECK_STATUS(run(&p, &err), ILK_NOT_FINITE, &err);
        make_pass(&p);
        p.head = (ilki_logits){.head = "h", .out = p.logits, .n_classes = 2};
        p.out = (ilki_tower_out){.logits = &p.head, .n_logits = 1};
        CHECK_STATUS(run(&p, &err), ILK_NOT_FINITE, &err);
    }
    fill = 1;
}

static void measures(void)
{
    pass p;
    ilk_error err;
    size_t n = 0;
    ilki_nn ctx = {.ops = &ilki_kern_ref};
    ilk_error_init(&err);
    make_pass(&p);
    CHECK_OK(ilki_models_measure(&sample, 0, &ctx, &p.in, &p.out, &n, &err), &err);
    CHECK(n >= 400 && n < 600);
    p.ids[0] = 11;
    CHECK_STATUS(ilki_models_measure(&sample, 0, &ctx, &p.in, &p.out, &n, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_INT(n, 0);
}

TEST_MAIN({"families", families}, {"quirks", quirks}, {"passes_are_checked", passes_are_checked},
          {"results_are_checked", results_are_checked}, {"measures", measures})
