/* SPDX-License-Identifier: Apache-2.0
 * BERT encoders (model_type "bert"), after transformers 5.24 models/bert/modeling_bert.py BertModel:
 *
 *   x = LayerNorm(word[id] + type[t] + position[p])
 *   per layer, post-norm, every linear with a bias:
 *     q, k, v = x Wq, x Wk, x Wv;  a = softmax(q kT / sqrt(d_head)) v, all tokens of a sequence
 *     x = LayerNorm(a Wo + x)
 *     x = LayerNorm(act(x W1) W2 + x)
 *   head "pooler": tanh(x[first token] Wp), where the checkpoint has it
 *
 * No norm behind the last layer. q, k and v are one GEMM, and what lies between two attentions (output, norm, MLP, norm,
 * the next layer's q, k, v) is one chain per block of rows, so that a block stays in the cache. Where nothing but the
 * first token of each sequence is wanted, the last chain runs on those rows alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/config.h"
#include "models/model.h"
#include "models/weights.h"
#include "nn/layers.h"

/* ---- config.json */

typedef struct config {
    uint32_t vocab, dim, n_layers, n_heads, ffn, n_positions, n_types;
    uint32_t act, position; /* indices of the words below */
    float eps;
    bool decoder, cross;
} config;

static const char *const act_words[] = {"gelu",  "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "silu",
                                        "swish", NULL};
static const ilki_act acts[] = {ILKI_ACT_GELU, ILKI_ACT_GELU_TANH, ILKI_ACT_GELU_TANH, ILKI_ACT_GELU_TANH,
                                ILKI_ACT_RELU, ILKI_ACT_SILU,      ILKI_ACT_SILU};
static const char *const position_words[] = {"absolute", NULL};

#define SIZE(text, member, most)                                                                                       \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_U32, .offset = offsetof(config, member), .required = true, .min = 1,          \
        .max = most                                                                                                    \
    }
static const ilki_config_field fields[] = {
    SIZE("vocab_size", vocab, 1 << 24),
    SIZE("hidden_size", dim, 1 << 15),
    SIZE("num_hidden_layers", n_layers, 1 << 10),
    SIZE("num_attention_heads", n_heads, 1 << 10),
    SIZE("intermediate_size", ffn, 1 << 18),
    SIZE("max_position_embeddings", n_positions, 1 << 24),
    {.key = "type_vocab_size",
     .type = ILKI_CONFIG_U32,
     .offset = offsetof(config, n_types),
     .otherwise = 2,
     .min = 1,
     .max = 1 << 16},
    {.key = "hidden_act", .type = ILKI_CONFIG_WORD, .offset = offsetof(config, act), .words = act_words},
    {.key = "position_embedding_type",
     .type = ILKI_CONFIG_WORD,
     .offset = offsetof(config, position),
     .words = position_words},
    {.key = "layer_norm_eps",
     .type = ILKI_CONFIG_FLOAT,
     .offset = offsetof(config, eps),
     .otherwise = 1e-12,
     .min = 0,
     .max = 1},
    {.key = "is_decoder", .type = ILKI_CONFIG_BOOL, .offset = offsetof(config, decoder)},
    {.key = "add_cross_attention", .type = ILKI_CONFIG_BOOL, .offset = offsetof(config, cross)},
};
#undef SIZE

static ilk_status read_config(const ilki_model_source *src, config *c, ilk_error *err)
{
    const char *file = "config.json";
    ilk_status s = ilki_models_read_config(src->config, ilki_base_json_root(src->config), file, fields,
                                           sizeof fields / sizeof *fields, c, err);
    if (s != ILK_OK)
        return s;
    if (c->dim % c->n_heads != 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: hidden_size: expected a multiple of num_attention_heads (%u), found %u", file,
                              c->n_heads, c->dim);
    if (c->decoder || c->cross)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: %s: expected false, found true", file,
                              c->decoder ? "is_decoder" : "add_cross_attention");
    return ILK_OK;
}

/* ---- weights */

typedef struct layer {
    ilki_linear qkv; /* [3 dim][dim] */
    ilki_linear o;   /* [dim][dim] */
    ilki_linear in;  /* [ffn][dim] */
    ilki_linear out; /* [dim][ffn] */
    ilki_norm attn_norm, mlp_norm;
} layer;

typedef struct bert {
    ilki_net net;
    config c;
    ilki_arena arena;
    const ilki_tensor *word, *position, *type; /* [vocab][dim], [n_positions][dim], [n_types][dim] */
    ilki_norm norm;
    layer *layers;
    ilki_linear pooler; /* [dim][dim]; n_out 0: the checkpoint has none */
} bert;

enum { VOCAB = 1, POSITIONS, TYPES, DIM, FFN, N_DIMS };

#define TABLE(text, member, n)                                                                                         \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_TABLE, .name = text, .offset = offsetof(bert, member), .cols = DIM, .rows = { n }          \
    }
#define NORM(text, type, member)                                                                                       \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_NORM, .name = text, .offset = offsetof(type, member), .cols = DIM                          \
    }
#define LINEAR(text, type, member, n_in, n_out)                                                                        \
    {                                                                                                                  \
        .kind = ILKI_WEIGHT_LINEAR, .name = text, .offset = offsetof(type, member), .cols = n_in, .rows = { n_out }    \
    }
static const ilki_weight weight_rows[] = {
    TABLE("embeddings.word_embeddings.weight", word, VOCAB),
    TABLE("embeddings.position_embeddings.weight", position, POSITIONS),
    TABLE("embeddings.token_type_embeddings.weight", type, TYPES),
    NORM("embeddings.LayerNorm", bert, norm),
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "encoder.layer.%u.attention.self.%s",
     .offset = offsetof(layer, qkv),
     .cols = DIM,
     .rows = {DIM, DIM, DIM},
     .parts = {"query", "key", "value"}},
    LINEAR("encoder.layer.%u.attention.output.dense", layer, o, DIM, DIM),
    NORM("encoder.layer.%u.attention.output.LayerNorm", layer, attn_norm),
    LINEAR("encoder.layer.%u.intermediate.dense", layer, in, DIM, FFN),
    LINEAR("encoder.layer.%u.output.dense", layer, out, FFN, DIM),
    NORM("encoder.layer.%u.output.LayerNorm", layer, mlp_norm),
    {.kind = ILKI_WEIGHT_LINEAR,
     .name = "pooler.dense",
     .offset = offsetof(bert, pooler),
     .cols = DIM,
     .rows = {DIM},
     .optional = true},
};
static const char *const prefixes[] = {"", "bert.", "roberta.", "model.", NULL};
/* the heads of pre-training, and a buffer of numbers 0, 1, 2 ... that old versions saved */
static const char *const ignored[] = {"cls.*", "lm_head.*", "*position_ids", "*embeddings.token_type_ids", NULL};
static const ilki_weight_list weights = {"bert", weight_rows, sizeof weight_rows / sizeof *weight_rows, prefixes,
                                         ignored};

static ilki_weight_target target_of(bert *b, const uint64_t *dims)
{
    return (ilki_weight_target){.net = b,
                                .layers = b->layers,
                                .layer_size = sizeof *b->layers,
                                .n_layers = b->layers ? b->c.n_layers : 0,
                                .dims = dims,
                                .arena = &b->arena};
}

static void close_net(ilki_net *net)
{
    bert *b = (bert *)net;
    ilki_weight_target to = target_of(b, NULL);
    ilki_models_unload(&weights, &to);
    free(b->layers);
    free(b);
}

static void describe(bert *b)
{
    const config *c = &b->c;
    uint32_t d_head = c->dim / c->n_heads;
    b->net.n_towers = 1;
    b->net.tower[0] = (ilki_tower_info){.name = "text",
                                        .modalities = 1U << ILK_TEXT,
                                        .dim = c->dim,
                                        .n_layers = c->n_layers,
                                        .vocab_size = c->vocab,
                                        .max_tokens = c->n_positions,
                                        .pooling = ILKI_POOL_MEAN,
                                        .attn = {.scale = 1 / sqrtf((float)d_head),
                                                 .n_heads = c->n_heads,
                                                 .n_kv_heads = c->n_heads,
                                                 .d_qk = d_head,
                                                 .d_v = d_head,
                                                 .window_left = UINT32_MAX,
                                                 .window_right = UINT32_MAX}};
}

extern const ilki_family ilki_family_bert;

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    bert *b = ilki_base_zalloc(1, sizeof *b);
    *out = NULL;
    if (!b)
        return ilki_base_fail_memory(err, sizeof *b, "a model");
    b->net.family = &ilki_family_bert;
    ilk_status s = read_config(src, &b->c, err);
    if (s != ILK_OK)
        goto fail;
    b->layers = ilki_base_zalloc(b->c.n_layers, sizeof *b->layers);
    if (!b->layers) {
        s = ilki_base_fail_memory(err, b->c.n_layers * sizeof *b->layers, "layers");
        goto fail;
    }
    const uint64_t dims[N_DIMS] = {[VOCAB] = b->c.vocab,
                                   [POSITIONS] = b->c.n_positions,
                                   [TYPES] = b->c.n_types,
                                   [DIM] = b->c.dim,
                                   [FFN] = b->c.ffn};
    ilki_weight_target to = target_of(b, dims);
    s = ilki_models_load(&weights, src, &to, err);
    if (s != ILK_OK)
        goto fail;
    describe(b);
    b->norm.eps = b->c.eps;
    for (uint32_t i = 0; i < b->c.n_layers; i++)
        b->layers[i].attn_norm.eps = b->layers[i].mlp_norm.eps = b->c.eps;
    b->net.n_parameters = to.n_parameters;
    b->net.memory_bytes = to.memory_bytes;
    *out = &b->net;
    return ILK_OK;
fail:
    close_net(&b->net);
    return s;
}

/* ---- the pass */

/* Buffers of a pass; rows are the flat tokens, or the first tokens alone in a last layer that needs no others. */
typedef struct pass {
    const bert *b;
    const ilki_tower_in *in;
    const int32_t *positions;
    float *x;              /* [n][dim] the stream */
    float *a;              /* [n][dim] what attention gave */
    float *qkv;            /* [n][3 dim] */
    const layer *l, *next; /* of the chain that runs; next NULL behind the last */
} pass;

static void project_qkv(ilki_nn *ctx, const pass *p, const layer *l, size_t first, size_t n)
{
    size_t d = p->b->c.dim;
    ilki_linear_args a = {.x = ilki_nn_at(p->x, first * d), .y = ilki_nn_at(p->qkv, first * 3 * d), .n_rows = n};
    ilki_nn_linear(ctx, &l->qkv, &a);
}

static void embed_rows(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const pass *p = arg;
    const bert *b = p->b;
    float *x = ilki_nn_at(p->x, first * b->c.dim);
    ilki_lookup_args a = {.word = b->word,
                          .position = b->position,
                          .type = b->type,
                          .ids = p->in->ids + first,
                          .positions = p->positions ? p->positions + first : NULL,
                          .types = p->in->types ? p->in->types + first : NULL,
                          .y = x,
                          .n_rows = n,
                          .dim = b->c.dim};
    ilki_nn_lookup(ctx, &a);
    ilki_nn_norm(ctx, &b->norm, x, 0, x, 0, n);
    project_qkv(ctx, p, &b->layers[0], first, n);
}

/* From what attention gave to the next layer's q, k, v. */
static void layer_rows(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const pass *p = arg;
    const layer *l = p->l;
    size_t d = p->b->c.dim;
    float *x = ilki_nn_at(p->x, first * d);
    ilki_linear_args o = {.x = ilki_nn_at(p->a, first * d), .y = x, .residual = x, .n_rows = n};
    ilki_nn_linear(ctx, &l->o, &o);
    ilki_nn_norm(ctx, &l->attn_norm, x, 0, x, 0, n);
    ilki_mlp mlp = {.in = &l->in, .out = &l->out, .act = acts[p->b->c.act]};
    ilki_linear_args m = {.x = x, .y = x, .residual = x, .n_rows = n};
    ilki_nn_mlp(ctx, &mlp, &m);
    ilki_nn_norm(ctx, &l->mlp_norm, x, 0, x, 0, n);
    if (p->next)
        project_qkv(ctx, p, p->next, first, n);
}

static uint64_t chain_ns(const ilki_nn *ctx, const pass *p)
{
    ilki_mlp mlp = {.in = &p->l->in, .out = &p->l->out, .act = acts[p->b->c.act]};
    return ilki_nn_linear_ns(ctx, &p->l->o) + ilki_nn_mlp_ns(ctx, &mlp) +
           (p->next ? ilki_nn_linear_ns(ctx, &p->next->qkv) : 0);
}

static void attend(ilki_nn *ctx, const pass *p)
{
    size_t d = p->b->c.dim;
    ilki_attn_args a = {.q = p->qkv,
                        .k = ilki_nn_at(p->qkv, d),
                        .v = ilki_nn_at(p->qkv, 2 * d),
                        .out = p->a,
                        .ldq = 3 * d,
                        .ldk = 3 * d,
                        .ldv = 3 * d,
                        .ldout = d,
                        .offsets = p->in->offsets,
                        .n_seqs = p->in->n_seqs};
    ilki_nn_attention(ctx, &p->b->net.tower[0].attn, &a);
}

static bool only_first_tokens(const ilki_tower_out *out, uint32_t n_layers)
{
    return !out->rows && !out->tokens && !(out->layer_tokens && (uint32_t)out->layer == n_layers) &&
           (!out->pooled || (out->pooling == ILKI_POOL_CLS && !out->pool_skip));
}

/* Drops all rows of x and a but the first of each sequence. */
static void keep_first_tokens(ilki_nn *ctx, pass *p)
{
    size_t n = p->in->n_seqs, d = p->b->c.dim;
    float *x = ilki_nn_take(ctx, n * d, sizeof *x), *a = ilki_nn_take(ctx, n * d, sizeof *a);
    ilki_nn_take_rows(ctx, x, p->x, d, p->in->offsets, n, d);
    ilki_nn_take_rows(ctx, a, p->a, d, p->in->offsets, n, d);
    p->x = x;
    p->a = a;
}

static void run_stack(ilki_nn *ctx, pass *p, const ilki_tower_out *out, bool first_only)
{
    const bert *b = p->b;
    size_t n = p->in->n_tokens, d = b->c.dim;
    ilki_rows_args rows = {
        .fn = embed_rows, .arg = p, .n_rows = n, .row_ns = ilki_nn_linear_ns(ctx, &b->layers[0].qkv)};
    ilki_nn_rows(ctx, &rows);
    if (out->layer_tokens && out->layer == 0)
        ilki_nn_take_rows(ctx, out->layer_tokens, p->x, d, NULL, n, d);
    rows.fn = layer_rows;
    for (uint32_t i = 0; i < b->c.n_layers; i++) {
        p->l = &b->layers[i];
        p->next = i + 1 < b->c.n_layers ? &b->layers[i + 1] : NULL;
        attend(ctx, p);
        if (!p->next && first_only) {
            keep_first_tokens(ctx, p);
            rows.n_rows = p->in->n_seqs;
        }
        rows.row_ns = chain_ns(ctx, p);
        ilki_nn_rows(ctx, &rows);
        if (out->layer_tokens && (uint32_t)out->layer == i + 1)
            ilki_nn_take_rows(ctx, out->layer_tokens, p->x, d, NULL, n, d);
    }
}

static void run_heads(ilki_nn *ctx, const pass *p, ilki_tower_out *out, bool first_only)
{
    size_t n = p->in->n_seqs, d = p->b->c.dim;
    const float *first = p->x;
    if (out->n_logits && !first_only) {
        float *rows = ilki_nn_take(ctx, n * d, sizeof *rows);
        ilki_nn_take_rows(ctx, rows, p->x, d, p->in->offsets, n, d);
        first = rows;
    }
    for (size_t i = 0; i < out->n_logits; i++) {
        ilki_linear_args a = {.x = first, .y = out->logits[i].out, .n_rows = n, .act = ILKI_ACT_TANH};
        ilki_nn_linear(ctx, &p->b->pooler, &a);
    }
    if (out->rows)
        ilki_nn_take_rows(ctx, out->rows, p->x, d, out->row_at, out->n_rows, d);
    if (out->tokens)
        ilki_nn_take_rows(ctx, out->tokens, p->x, d, NULL, p->in->n_tokens, d);
    if (out->pooled && first_only)
        ilki_nn_take_rows(ctx, out->pooled, p->x, d, NULL, n, d);
    else if (out->pooled) {
        ilki_pool_args a = {.modes = out->pooling,
                            .x = p->x,
                            .out = out->pooled,
                            .ldx = d,
                            .dim = d,
                            .offsets = p->in->offsets,
                            .n_seqs = n,
                            .skip = out->pool_skip};
        ilki_nn_pool(ctx, &a);
    }
}

/* What this family cannot do, by the member's name. */
static ilk_status refuse(const bert *b, const ilki_tower_in *in, const ilki_tower_out *out, ilk_error *err)
{
    const char *what = in->rows                           ? "rows"
                       : in->positions && in->n_axes != 1 ? "positions of several axes"
                       : in->groups                       ? "groups"
                       : in->prefix_len                   ? "prefix_len"
                       : in->prefix                       ? "prefix"
                       : in->n_spans                      ? "spans"
                       : in->n_layer_rows                 ? "layer_rows"
                       : out->kv                          ? "kv"
                                                          : NULL;
    if (what)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "bert: expected no %s, found some", what);
    for (size_t i = 0; i < out->n_logits; i++) {
        const ilki_logits *l = &out->logits[i];
        if (strcmp(l->head, "pooler") != 0 || !b->pooler.n_out)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "bert: expected a head of this checkpoint (%s), found \"%s\"",
                                  b->pooler.n_out ? "pooler" : "it has none", l->head);
        if (l->classes || l->n_classes != b->c.dim)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "bert: pooler: expected all %u classes, found %zu", b->c.dim,
                                  l->n_classes);
    }
    return ILK_OK;
}

static ilk_status forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in, ilki_tower_out *out)
{
    const bert *b = (const bert *)net;
    size_t n = in->n_tokens, d = b->c.dim;
    bool first_only = only_first_tokens(out, b->c.n_layers);
    (void)t;
    ilk_status s = refuse(b, in, out, ctx->err);
    if (s != ILK_OK)
        return s;
    size_t mark = ilki_base_ws_mark(ctx->ws);
    pass p = {.b = b, .in = in, .positions = in->positions};
    p.x = ilki_nn_take(ctx, n * d, sizeof *p.x);
    p.a = ilki_nn_take(ctx, n * d, sizeof *p.a);
    p.qkv = ilki_nn_take(ctx, n * 3 * d, sizeof *p.qkv);
    if (!p.positions) {
        int32_t *positions = ilki_nn_take(ctx, n, sizeof *positions);
        ilki_nn_positions(ctx, positions, in->offsets, in->n_seqs, NULL);
        p.positions = positions;
    }
    run_stack(ctx, &p, out, first_only);
    run_heads(ctx, &p, out, first_only);
    ilki_base_ws_release(ctx->ws, mark);
    return ctx->status;
}

static const char *const model_types[] = {"bert", NULL};
const ilki_family ilki_family_bert = {"bert", model_types, open_net, close_net, forward};
