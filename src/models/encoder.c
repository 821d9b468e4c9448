/* SPDX-License-Identifier: Apache-2.0
 * The stack that the encoders share:
 *
 *   x = norm(word[id] + type[t] + position[p]), each where the family has it
 *   per layer, post-norm:  a = attention(q, k, v);  x = norm(a Wo + x);  x = norm(mlp(x) + x)
 *              pre-norm:   a likewise of norm(x);   x = a Wo + x;        x = mlp(norm(x)) + x; a last norm behind all
 *   q and k turned by their position where positions are rotary
 *   mlp(x) = act(x W1) W2, or gated: (act(x Wa) * x Wb) W2
 *   head "pooler": tanh(first token Wp); head "classifier": out(norm(act(dense(pooled))))
 *   a tower of pictures begins with x = patch W, a class token before them, instead of words; the families of two towers
 *   have a vector of their own (own.c)
 *
 * q, k and v are one GEMM, and what lies between two attentions (output, norm, MLP, norm, the next layer's q, k, v) is one
 * chain per block of rows, so that a block stays in the cache. Where nothing but one row of each sequence is wanted, the
 * last chain runs on those rows alone. */
#include "models/encoder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const ilki_encoder_act_words[] = {"gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu",
                                              "silu", "swish",    "quick_gelu",        NULL};
const char *const ilki_encoder_position_words[] = {"absolute", NULL};

ilki_act ilki_encoder_act(uint32_t word)
{
    static const ilki_act acts[] = {ILKI_ACT_GELU, ILKI_ACT_GELU_TANH, ILKI_ACT_GELU_TANH, ILKI_ACT_GELU_TANH,
                                    ILKI_ACT_RELU, ILKI_ACT_SILU,      ILKI_ACT_SILU,      ILKI_ACT_GELU_QUICK};
    return acts[word];
}

/* ---- config.json */

ilk_status ilki_encoder_read_rope(const ilki_json *j, ilki_json_node rope, const char *key, float *theta,
                                  ilk_error *err)
{
    if (ilki_base_json_type(j, rope) <= ILKI_JSON_NULL)
        return ILK_OK;
    if (ilki_base_json_type(j, rope) != ILKI_JSON_OBJECT)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "config.json: %s: expected an object", key);
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, rope, "rope_type"), NULL);
    if (!type)
        type = ilki_base_json_string(j, ilki_base_json_get(j, rope, "type"), NULL);
    if (type && strcmp(type, "default") != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "config.json: %s: rope_type: expected default, found \"%.64s\"",
                              key, type);
    const ilki_config_field field = {
        .key = "rope_theta", .type = ILKI_CONFIG_FLOAT, .otherwise = (double)*theta, .min = 1, .max = 1e12};
    return ilki_models_read_config(j, rope, "config.json", &field, 1, theta, err);
}

ilk_status ilki_encoder_refuse(const ilki_model_source *src, const char *const *keys, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(src->config);
    for (; *keys; keys++)
        if (ilki_base_json_type(src->config, ilki_base_json_get(src->config, root, *keys)) > ILKI_JSON_FALSE)
            return ilki_base_fail(err, ILK_UNSUPPORTED, "config.json: %s: expected none, found one", *keys);
    return ILK_OK;
}

/* Labels of a checkpoint of sequence classification: id2label's, else num_labels, else 2 as transformers has it. */
static uint32_t count_labels(const ilki_json *j)
{
    ilki_json_node root = ilki_base_json_root(j), names = ilki_base_json_get(j, root, "id2label");
    int64_t n = 2;
    if (ilki_base_json_type(j, names) == ILKI_JSON_OBJECT)
        return (uint32_t)ilki_base_json_count(j, names);
    ilki_base_json_int(j, ilki_base_json_get(j, root, "num_labels"), 1, 1 << 20, &n);
    return (uint32_t)n;
}

/* Heads of other tasks have tensors of the same names: the class decides. */
static bool classifies_sequences(const ilki_json *j)
{
    ilki_json_node list = ilki_base_json_get(j, ilki_base_json_root(j), "architectures");
    const char *name = ilki_base_json_string(j, ilki_base_json_first(j, list), NULL);
    return !name || strstr(name, "ForSequenceClassification") != NULL;
}

/* The family's word for a member. */
static const char *key_of(const ilki_encoder_spec *spec, size_t offset)
{
    for (size_t i = 0; i < spec->n_fields; i++)
        if (spec->fields[i].offset == offset)
            return spec->fields[i].key;
    return "";
}

/* "a" or "a.b" of config.json; 0 where there is none. */
static ilki_json_node find_section(const ilki_json *j, const char *path)
{
    char first[32];
    ilki_json_node node = ilki_base_json_root(j);
    const char *dot = path ? strchr(path, '.') : NULL;
    if (!path)
        return 0;
    if (dot) {
        snprintf(first, sizeof first, "%.*s", (int)(dot - path), path);
        node = ilki_base_json_get(j, node, first);
    }
    return ilki_base_json_get(j, node, dot ? dot + 1 : path);
}

static ilk_status read_config(ilki_encoder *e, const ilki_encoder_spec *spec, const ilki_encoder_place *place,
                              const ilki_model_source *src, ilk_error *err)
{
    char file[64] = "config.json";
    ilki_encoder_config *c = &e->c;
    ilki_json_node root = ilki_base_json_root(src->config), section = find_section(src->config, place->section);
    if (section)
        snprintf(file, sizeof file, "config.json: %s", place->section);
    ilk_status s = ilki_models_read_config(src->config, section ? section : root, file, spec->fields, spec->n_fields, c,
                                           err);
    if (s != ILK_OK)
        return s;
    if (c->n_heads == 0) /* the family tells how wide a head is instead */
        c->n_heads = c->head_dim && c->dim >= c->head_dim ? c->dim / c->head_dim : 1;
    if (c->dim % c->n_heads != 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: %s: expected a multiple of %s (%u), found %u", file,
                              key_of(spec, offsetof(ilki_encoder_config, dim)),
                              key_of(spec, offsetof(ilki_encoder_config, n_heads)), c->n_heads, c->dim);
    if (c->decoder || c->cross)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: %s: expected false, found true", file,
                              c->decoder ? "is_decoder" : "add_cross_attention");
    c->n_labels = count_labels(src->config);
    e->layers = ilki_base_zalloc(c->n_layers, sizeof *e->layers);
    if (!e->layers)
        return ilki_base_fail_memory(err, c->n_layers * sizeof *e->layers, "layers");
    uint32_t d_head = c->dim / c->n_heads;
    e->attn[0] = (ilki_attn){.scale = 1 / sqrtf((float)d_head),
                             .n_heads = c->n_heads,
                             .n_kv_heads = c->n_heads,
                             .d_qk = d_head,
                             .d_v = d_head,
                             .window_left = UINT32_MAX,
                             .window_right = UINT32_MAX,
                             .half = src->form != ILKI_FORM_F32};
    e->attn[1] = e->attn[0];
    e->classifier.pool = ILKI_POOL_CLS;
    e->classifier.act = ILKI_ACT_TANH;
    s = spec->settle(e, src, err);
    if (s == ILK_OK && c->rotary && d_head % 2 != 0)
        s = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected heads of an even width, found %u", file, d_head);
    for (unsigned i = 0; i < 2; i++)
        e->rope[i] = (ilki_rope){.theta = c->theta[i], .dim = d_head, .freq_div = e->rope[i].freq_div, .n_axes = 1};
    return s;
}

/* ---- opening */

static ilki_weight_target target_of(ilki_encoder *e, const uint64_t *dims)
{
    return (ilki_weight_target){.net = e,
                                .layers = e->layers,
                                .layer_size = sizeof *e->layers,
                                .n_layers = e->layers ? e->c.n_layers : 0,
                                .dims = dims,
                                .arena = &e->arena};
}

void ilki_encoder_close(ilki_net *net)
{
    ilki_encoder *e = (ilki_encoder *)net;
    ilki_weight_target to = target_of(e, NULL);
    if (e->weights)
        ilki_models_unload(e->weights, &to);
    free(e->layers);
    free(e);
}

static ilk_status load_weights(ilki_encoder *e, const ilki_encoder_spec *spec, const ilki_model_source *src,
                               ilk_error *err)
{
    const ilki_encoder_config *c = &e->c;
    const uint64_t dims[ILKI_ENCODER_N_DIMS] = {[ILKI_ENCODER_VOCAB] = c->vocab,
                                                [ILKI_ENCODER_POSITIONS] = c->n_positions,
                                                [ILKI_ENCODER_TYPES] = c->n_types,
                                                [ILKI_ENCODER_DIM] = c->dim,
                                                [ILKI_ENCODER_DIM3] = 3 * (uint64_t)c->dim,
                                                [ILKI_ENCODER_FFN] = c->ffn,
                                                [ILKI_ENCODER_FFN2] = 2 * (uint64_t)c->ffn,
                                                [ILKI_ENCODER_HEADS] = c->n_heads,
                                                [ILKI_ENCODER_BUCKETS] = c->n_buckets,
                                                [ILKI_ENCODER_LABELS] = c->n_labels,
                                                [ILKI_ENCODER_PATCH] = (uint64_t)c->channels * c->patch * c->patch,
                                                [ILKI_ENCODER_PROJECTION] = c->projection,
                                                [ILKI_ENCODER_ONE] = 1};
    size_t fits = 0;
    while (spec->lists[fits] && !ilki_models_list_fits(spec->lists[fits], src))
        fits++;
    e->weights = spec->lists[fits] ? spec->lists[fits] : spec->lists[0]; /* whose message then says what is absent */
    ilki_weight_target to = target_of(e, dims);
    ilk_status s = ilki_models_load(e->weights, src, &to, err);
    e->net.n_parameters = to.n_parameters;
    e->net.memory_bytes = to.memory_bytes;
    e->norm.eps = e->final_norm.eps = e->classifier.norm.eps = e->probe.norm.eps = c->eps;
    for (uint32_t i = 0; i < c->n_layers; i++)
        e->layers[i].attn_norm.eps = e->layers[i].mlp_norm.eps = c->eps;
    return s;
}

static bool has_classifier(const ilki_encoder *e)
{
    return e->classifier.out.n_out && (e->c.pooler_first ? e->pooler.n_out : e->classifier.dense.n_out);
}

static void describe_own(const ilki_encoder *e, ilki_tower_info *t)
{
    static const char *const by[] = {NULL, "cls", "last", "eos", "eos", "probe"};
    const ilki_encoder_config *c = &e->c;
    t->embed_by = by[c->own];
    t->embed_dim = c->own ? c->dim : 0;
    if (c->own && e->projection.n_out)
        t->embed_dim = (uint32_t)e->projection.n_out;
    t->pad_to = (int32_t)c->pad_to;
    t->pad_id = (int32_t)c->pad;
    if (e->patch.n_out == 0)
        return;
    t->modalities = 1U << ILK_IMAGE;
    t->row_dim = (uint32_t)e->patch.n_in;
    t->vocab_size = 0;
    t->n_own_rows = e->first != NULL;
    t->image_size = c->image;
    t->patch_size = c->patch;
}

static void describe(ilki_encoder *e, const ilki_encoder_place *place, const ilki_json *config)
{
    const ilki_encoder_config *c = &e->c;
    uint32_t first = c->pad_positions ? c->pad + 1 : 0;
    e->net.n_towers = 1;
    e->net.tower[0] = (ilki_tower_info){.name = place->tower,
                                        .modalities = 1U << ILK_TEXT,
                                        .dim = c->dim,
                                        .n_layers = c->n_layers,
                                        .vocab_size = c->vocab,
                                        .max_tokens = c->rotary ? 0 : c->n_positions - first,
                                        .usual_tokens = c->rotary ? c->n_positions : 0,
                                        .n_labels = has_classifier(e) && classifies_sequences(config) ? c->n_labels : 0,
                                        .pooling = ILKI_POOL_MEAN,
                                        .attn = e->attn[0]};
    describe_own(e, &e->net.tower[0]);
}

ilk_status ilki_encoder_open(ilki_net **out, const ilki_encoder_spec *spec, const ilki_model_source *src,
                             ilk_error *err)
{
    static const ilki_encoder_place alone = {"text", NULL};
    return ilki_encoder_open_tower(out, spec, &alone, src, err);
}

ilk_status ilki_encoder_open_tower(ilki_net **out, const ilki_encoder_spec *spec, const ilki_encoder_place *place,
                                   const ilki_model_source *src, ilk_error *err)
{
    ilki_encoder *e = ilki_base_zalloc(1, sizeof *e);
    *out = NULL;
    if (!e)
        return ilki_base_fail_memory(err, sizeof *e, "a model");
    e->net.family = spec->family;
    ilk_status s = read_config(e, spec, place, src, err);
    if (s == ILK_OK && e->c.pad_positions && e->c.pad + 1 >= e->c.n_positions)
        s = ilki_base_fail(err, ILK_BAD_FORMAT,
                           "config.json: max_position_embeddings: expected more than pad_token_id + 1 (%u), found %u",
                           e->c.pad + 1, e->c.n_positions);
    if (s == ILK_OK)
        s = load_weights(e, spec, src, err);
    if (s == ILK_OK && spec->finish)
        s = spec->finish(e, src, err);
    if (s != ILK_OK) {
        ilki_encoder_close(&e->net);
        return s;
    }
    describe(e, place, src->config);
    *out = &e->net;
    return ILK_OK;
}

/* ---- the pass */

/* Buffers of a pass; rows are the flat tokens, or the first tokens alone in a last layer that needs no others. */
typedef struct pass {
    const ilki_encoder *e;
    const ilki_tower_in *in;
    const int32_t *positions;
    const uint32_t *kept;               /* [n_seqs] the rows that the last layer is run for; NULL: all */
    float *x;                           /* [n][dim] the stream */
    float *a;                           /* [n][dim] what attention gave */
    float *qkv;                         /* [n][3 dim] */
    float *cos_[2], *sin_[2];           /* [n][d_head / 2] per kind of layer, of rotary positions */
    const ilki_encoder_layer *l, *next; /* of the chain that runs; next NULL behind the last */
} pass;

/* q, k, v of layer l for rows of x that start at `first`; `stream` is a norm of the stream itself before, or NULL. */
static void project_qkv(ilki_nn *ctx, const pass *p, const ilki_encoder_layer *l, const ilki_norm *stream, size_t first,
                        size_t n)
{
    const ilki_encoder *e = p->e;
    size_t d = e->c.dim;
    float *x = ilki_nn_at(p->x, first * d), *y = ilki_nn_at(p->qkv, first * 3 * d);
    const ilki_norm *own = e->c.pre_norm && l->attn_norm.w ? &l->attn_norm : NULL;
    if (stream && own)
        ilki_nn_norm(ctx, stream, x, 0, x, 0, n);
    ilki_linear_args a = {.x = x, .norm = own ? own : stream, .normed = x, .wants_normed = !own, .y = y, .n_rows = n};
    ilki_nn_linear(ctx, &l->qkv, &a);
    if (!e->c.rotary)
        return;
    const ilki_rope *r = &e->rope[l->kind];
    ilki_rope_args turn = {.x = y, /* q and k lie side by side: twice the heads */
                           .cos_ = ilki_nn_at_const(p->cos_[l->kind], first * r->dim / 2),
                           .sin_ = ilki_nn_at_const(p->sin_[l->kind], first * r->dim / 2),
                           .n_rows = n,
                           .n_heads = 2 * (size_t)e->c.n_heads,
                           .d_head = r->dim,
                           .ldx = 3 * d};
    ilki_nn_rope(ctx, r, &turn);
}

/* Patches to x; the class token stands in the rows before them, whose input counts for nothing. */
static void project_patches(ilki_nn *ctx, const pass *p, size_t first, size_t n, float *x)
{
    const ilki_encoder *e = p->e;
    size_t d = e->c.dim, length = e->c.n_positions;
    ilki_linear_args a = {.x = ilki_nn_at_const(p->in->rows, first * e->patch.n_in), .y = x, .n_rows = n};
    ilki_nn_linear(ctx, &e->patch, &a);
    for (size_t at = (first + length - 1) / length * length; e->first && at < first + n; at += length)
        ilki_nn_replace_rows(ctx, x, 0, at - first, e->first, 1, d);
}

static void embed_rows(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const pass *p = arg;
    const ilki_encoder *e = p->e;
    float *x = ilki_nn_at(p->x, first * e->c.dim);
    size_t mark = ilki_base_ws_mark(ctx->ws);
    bool patches = e->patch.n_out != 0;
    ilki_lookup_args a = {.word = e->word,
                          .position = e->position,
                          .type = e->type,
                          .ids = patches ? NULL : p->in->ids + first,
                          .positions = p->positions ? p->positions + first : NULL,
                          .types = p->in->types && !e->c.no_types ? p->in->types + first : NULL,
                          .y = patches ? ilki_nn_take(ctx, n * e->c.dim, sizeof *x) : x,
                          .n_rows = n,
                          .dim = e->c.dim};
    ilki_nn_lookup(ctx, &a);
    if (patches) {
        project_patches(ctx, p, first, n, x);
        ilki_nn_add(ctx, x, 0, a.y, 0, n, e->c.dim);
    }
    ilki_base_ws_release(ctx->ws, mark);
    project_qkv(ctx, p, &e->layers[0], e->norm.w ? &e->norm : NULL, first, n);
}

static ilki_mlp mlp_of(const ilki_encoder *e, const ilki_encoder_layer *l)
{
    return (ilki_mlp){.in = &l->in,
                      .out = &l->out,
                      .act = ilki_encoder_act(e->c.act),
                      .gated = e->c.gated,
                      .gate_second = e->c.gate_second};
}

/* From what attention gave to the next layer's q, k, v. */
static void layer_rows(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const pass *p = arg;
    const ilki_encoder_layer *l = p->l;
    bool pre = p->e->c.pre_norm;
    size_t d = p->e->c.dim;
    float *x = ilki_nn_at(p->x, first * d);
    ilki_linear_args o = {.x = ilki_nn_at(p->a, first * d), .y = x, .residual = x, .n_rows = n};
    ilki_nn_linear(ctx, &l->o, &o);
    ilki_mlp mlp = mlp_of(p->e, l);
    ilki_linear_args m = {.x = x,
                          .norm = pre ? &l->mlp_norm : &l->attn_norm,
                          .normed = x,
                          .wants_normed = !pre,
                          .y = x,
                          .residual = x,
                          .n_rows = n};
    ilki_nn_mlp(ctx, &mlp, &m);
    if (p->next)
        project_qkv(ctx, p, p->next, pre ? NULL : &l->mlp_norm, first, n);
    else if (!pre || !p->e->c.own_norm)
        ilki_nn_norm(ctx, pre ? &p->e->final_norm : &l->mlp_norm, x, 0, x, 0, n);
}

static uint64_t chain_ns(const ilki_nn *ctx, const pass *p)
{
    ilki_mlp mlp = mlp_of(p->e, p->l);
    return ilki_nn_linear_ns(ctx, &p->l->o) + ilki_nn_mlp_ns(ctx, &mlp) +
           (p->next ? ilki_nn_linear_ns(ctx, &p->next->qkv) : 0);
}

static void attend(ilki_nn *ctx, const pass *p)
{
    size_t d = p->e->c.dim;
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
    ilki_nn_attention(ctx, &p->e->attn[p->l->kind], &a);
}

static bool only_first_tokens(const ilki_encoder *e, const ilki_tower_out *out)
{
    bool heads_first = e->classifier.pool == ILKI_POOL_CLS;
    for (size_t i = 0; i < out->n_logits; i++)
        if (strcmp(out->logits[i].head, "classifier") == 0 && !heads_first)
            return false;
    return !out->embedded && !out->rows && !out->tokens &&
           !(out->layer_tokens && (uint32_t)out->layer == e->c.n_layers) &&
           (!out->pooled || (out->pooling == ILKI_POOL_CLS && !out->pool_skip));
}

/* The family's own vectors alone, each made of one row. */
static bool only_own_rows(const ilki_encoder *e, const ilki_tower_out *out)
{
    return out->embedded && e->c.own != ILKI_OWN_PROBE && !out->rows && !out->tokens && !out->pooled &&
           !out->n_logits && !(out->layer_tokens && (uint32_t)out->layer == e->c.n_layers);
}

/* Drops all rows of x and a but one of each sequence. */
static void keep_rows(ilki_nn *ctx, pass *p)
{
    size_t n = p->in->n_seqs, d = p->e->c.dim;
    float *x = ilki_nn_take(ctx, n * d, sizeof *x), *a = ilki_nn_take(ctx, n * d, sizeof *a);
    ilki_nn_take_rows(ctx, x, p->x, d, p->kept, n, d);
    ilki_nn_take_rows(ctx, a, p->a, d, p->kept, n, d);
    p->x = x;
    p->a = a;
}

static void run_stack(ilki_nn *ctx, pass *p, const ilki_tower_out *out)
{
    const ilki_encoder *e = p->e;
    size_t n = p->in->n_tokens, d = e->c.dim;
    ilki_rows_args rows = {
        .fn = embed_rows, .arg = p, .n_rows = n, .row_ns = ilki_nn_linear_ns(ctx, &e->layers[0].qkv)};
    ilki_nn_rows(ctx, &rows);
    if (out->layer_tokens && out->layer == 0)
        ilki_nn_take_rows(ctx, out->layer_tokens, p->x, d, NULL, n, d);
    rows.fn = layer_rows;
    for (uint32_t i = 0; i < e->c.n_layers; i++) {
        p->l = &e->layers[i];
        p->next = i + 1 < e->c.n_layers ? &e->layers[i + 1] : NULL;
        attend(ctx, p);
        if (!p->next && p->kept) {
            keep_rows(ctx, p);
            rows.n_rows = p->in->n_seqs;
        }
        rows.row_ns = chain_ns(ctx, p);
        ilki_nn_rows(ctx, &rows);
        if (out->layer_tokens && (uint32_t)out->layer == i + 1)
            ilki_nn_take_rows(ctx, out->layer_tokens, p->x, d, NULL, n, d);
    }
}

/* ---- heads */

/* x [n_seqs][dim] pooled; `to` [n_seqs][n_labels] */
static void run_classifier(ilki_nn *ctx, const ilki_encoder *e, const float *x, size_t n, float *to)
{
    size_t d = e->c.dim, mark = ilki_base_ws_mark(ctx->ws);
    float *h = ilki_nn_take(ctx, n * d, sizeof *h);
    ilki_linear_args dense = {.x = x, .y = h, .n_rows = n, .act = e->classifier.act};
    ilki_linear_args last = {.x = h,
                             .norm = e->classifier.norm.w ? &e->classifier.norm : NULL,
                             .normed = h,
                             .wants_normed = true,
                             .y = to,
                             .n_rows = n};
    ilki_nn_linear(ctx, e->c.pooler_first ? &e->pooler : &e->classifier.dense, &dense);
    ilki_nn_linear(ctx, &e->classifier.out, &last);
    ilki_base_ws_release(ctx->ws, mark);
}

static void run_logits(ilki_nn *ctx, const pass *p, const ilki_tower_out *out, bool first_only)
{
    const ilki_encoder *e = p->e;
    size_t n = p->in->n_seqs, d = e->c.dim;
    const float *first = p->x;
    if (out->n_logits && !first_only) {
        float *rows = ilki_nn_take(ctx, n * d, sizeof *rows);
        ilki_nn_take_rows(ctx, rows, p->x, d, p->in->offsets, n, d);
        first = rows;
    }
    for (size_t i = 0; i < out->n_logits; i++) {
        const float *x = first;
        if (strcmp(out->logits[i].head, "pooler") == 0) {
            ilki_linear_args a = {.x = x, .y = out->logits[i].out, .n_rows = n, .act = ILKI_ACT_TANH};
            ilki_nn_linear(ctx, &e->pooler, &a);
            continue;
        }
        if (e->classifier.pool != ILKI_POOL_CLS) {
            float *mean = ilki_nn_take(ctx, n * d, sizeof *mean);
            ilki_pool_args a = {.modes = e->classifier.pool,
                                .x = p->x,
                                .out = mean,
                                .ldx = d,
                                .dim = d,
                                .offsets = p->in->offsets,
                                .n_seqs = n};
            ilki_nn_pool(ctx, &a);
            x = mean;
        }
        run_classifier(ctx, e, x, n, out->logits[i].out);
    }
}

static void run_outputs(ilki_nn *ctx, const pass *p, ilki_tower_out *out, bool first_only)
{
    size_t n = p->in->n_seqs, d = p->e->c.dim;
    if (out->embedded)
        ilki_encoder_own(ctx, p->e, p->in, p->x, p->kept != NULL, out->embedded);
    run_logits(ctx, p, out, first_only);
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

/* ---- what is refused, and the pass as a whole */

static ilk_status refuse_head(const ilki_encoder *e, const ilki_logits *l, ilk_error *err)
{
    const char *family = e->net.family->name;
    size_t labels = e->net.tower[0].n_labels, want = 0;
    if (strcmp(l->head, "pooler") == 0 && e->pooler.n_out)
        want = e->c.dim;
    if (strcmp(l->head, "classifier") == 0)
        want = labels;
    if (want == 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a head of this checkpoint (%s%s%s), found \"%s\"",
                              family, e->pooler.n_out ? "pooler" : "", e->pooler.n_out && labels ? ", " : "",
                              labels            ? "classifier"
                              : e->pooler.n_out ? ""
                                                : "it has none",
                              l->head);
    if (l->classes || l->n_classes != want)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: %s: expected all %zu classes, found %zu", family, l->head,
                              want, l->n_classes);
    return ILK_OK;
}

/* What these families cannot do, by the member's name. */
static ilk_status refuse(const ilki_encoder *e, const ilki_tower_in *in, const ilki_tower_out *out, ilk_error *err)
{
    const char *what = in->rows && !e->patch.n_out        ? "rows"
                       : in->positions && in->n_axes != 1 ? "positions of several axes"
                       : in->groups                       ? "groups"
                       : in->prefix_len                   ? "prefix_len"
                       : in->prefix                       ? "prefix"
                       : in->n_spans                      ? "spans"
                       : in->n_layer_rows                 ? "layer_rows"
                       : out->kv                          ? "kv"
                                                          : NULL;
    if (what)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected no %s, found some", e->net.family->name, what);
    for (size_t i = 0; e->patch.n_out && i < in->n_seqs; i++)
        if (in->offsets[i + 1] - in->offsets[i] != e->c.n_positions)
            return ilki_base_fail(err, ILK_MISMATCH,
                                  "%s: picture %zu: expected %u rows (%u x %u pixels in patches of %u), found %u",
                                  e->net.family->name, i, e->c.n_positions, e->c.image, e->c.image, e->c.patch,
                                  in->offsets[i + 1] - in->offsets[i]);
    for (size_t i = 0; i < out->n_logits; i++) {
        ilk_status s = refuse_head(e, &out->logits[i], err);
        if (s != ILK_OK)
            return s;
    }
    return ILK_OK;
}

/* pad + 1, pad + 2 ... per sequence; a pad token gets pad itself and does not count. */
static void pad_positions(const ilki_tower_in *in, int32_t pad, int32_t *to)
{
    for (size_t i = 0; i < in->n_seqs; i++) {
        int32_t at = pad;
        for (uint32_t t = in->offsets[i]; t < in->offsets[i + 1]; t++)
            to[t] = in->ids[t] == pad ? pad : ++at;
    }
}

static void set_positions(ilki_nn *ctx, pass *p)
{
    const ilki_encoder *e = p->e;
    size_t n = p->in->n_tokens, half = e->rope[0].dim / 2;
    p->positions = p->in->positions;
    if (!p->positions) {
        int32_t *positions = ilki_nn_take(ctx, n, sizeof *positions);
        if (!e->c.pad_positions)
            ilki_nn_positions(ctx, positions, p->in->offsets, p->in->n_seqs, NULL);
        else if (positions)
            pad_positions(p->in, (int32_t)e->c.pad, positions);
        p->positions = positions;
    }
    for (unsigned i = 0; i < 2 && e->c.rotary; i++)
        if (i == 0 || e->c.theta[1] > 0) {
            p->cos_[i] = ilki_nn_take(ctx, n * half, sizeof(float));
            p->sin_[i] = ilki_nn_take(ctx, n * half, sizeof(float));
            ilki_nn_rope_table(ctx, &e->rope[i], p->positions, n, p->cos_[i], p->sin_[i]);
        }
}

ilk_status ilki_encoder_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                                ilki_tower_out *out)
{
    const ilki_encoder *e = (const ilki_encoder *)net;
    size_t n = in->n_tokens, d = e->c.dim;
    bool first_only = only_first_tokens(e, out);
    (void)t;
    ilk_status s = refuse(e, in, out, ctx->err);
    if (s != ILK_OK)
        return s;
    size_t mark = ilki_base_ws_mark(ctx->ws);
    pass p = {.e = e, .in = in};
    p.x = ilki_nn_take(ctx, n * d, sizeof *p.x);
    p.a = ilki_nn_take(ctx, n * d, sizeof *p.a);
    p.qkv = ilki_nn_take(ctx, n * 3 * d, sizeof *p.qkv);
    set_positions(ctx, &p);
    if (only_own_rows(e, out)) {
        uint32_t *at = ilki_nn_take(ctx, in->n_seqs, sizeof *at);
        if (at)
            ilki_encoder_own_rows(e, in, at);
        p.kept = at ? at : in->offsets; /* of a pass that only measures */
    } else if (first_only) {
        p.kept = in->offsets;
    }
    run_stack(ctx, &p, out);
    run_outputs(ctx, &p, out, first_only);
    ilki_base_ws_release(ctx->ws, mark);
    return ctx->status;
}
