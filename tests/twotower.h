/* SPDX-License-Identifier: Apache-2.0
 * A model that lives in the tests alone: two towers of two layers that use every member of the forward contract. What
 * torch makes of it is in fixtures/twotower (tools/make_twotower.py).
 *
 *   text:    x = word[id] * word_scale + type[t] + position[axis 0 mod 64]; replaced rows of spans; += modality[m] in spans
 *            per layer: x += o(attention(rope(norm(q(h))), rope(norm(k(h))), v(h))), h = norm1(x); o of layer 0 has a
 *            low-rank delta;  x += down(silu(gate(h)) * up(h)), h = norm2(x); then the rows added after this layer
 *            layer 0: prefix mask, soft cap, three interleaved axes; layer 1: causal, window, bias, two extra rows
 *            norms are RMS with 1 + w; heads "lm" and "classifier" over the last token
 *   vision:  x = patch(rows); the same layers without norms of heads, with LayerNorm and GELU
 *            layer 0: equal group, bias, an extra row, two contiguous axes, interleaved pairs; layer 1: windows
 *   both:    a last norm
 *
 * Positions that are not given count on; a span with a grid counts its t, h, w from where it begins. */
#ifndef ILK_TWOTOWER_H
#define ILK_TWOTOWER_H

#include "base/json.h"
#include "models/config.h"
#include "models/model.h"
#include "nn/layers.h"
#include "test.h"

enum { TWOTOWER_TEXT, TWOTOWER_VISION, TWOTOWER_LAYERS = 2, TWOTOWER_PLACES = 64 };

typedef struct twotower_sizes {
    uint32_t dim, row_dim, vocab, n_types, n_modalities, ffn;
    float eps, word_scale;
    bool rms;
} twotower_sizes;

typedef struct twotower_layer {
    ilki_attn attn;
    ilki_rope rope;
    ilki_norm norm1, norm2, q_norm, k_norm; /* of heads: w NULL where there is none */
    ilki_linear qkv, o, up, down;           /* up: gate and up in text */
} twotower_layer;

typedef struct twotower_tower {
    twotower_sizes c;
    const ilki_tensor *word, *type, *position;
    const float *modality;
    ilki_linear patch;
    twotower_layer layers[TWOTOWER_LAYERS];
    ilki_norm norm;
} twotower_tower;

typedef struct twotower {
    ilki_net net;
    const ilki_kern_ops *ops;
    ilki_weights *weights;
    ilki_arena arena;
    twotower_tower towers[2];
    ilki_linear lm, classifier; /* the classifier owns its master */
} twotower;

/* ---- weights */

static const ilki_tensor *twotower_find(const twotower *m, const char *name)
{
    const ilki_tensor *t = ilki_format_find(m->weights, name);
    CHECK(t != NULL);
    if (!t)
        printf("    %s is absent\n", name);
    return t;
}

static float *twotower_floats(twotower *m, const char *name)
{
    const ilki_tensor *t = twotower_find(m, name);
    size_t n = 0;
    if (!t || !ilki_tensor_count(t, &n))
        return NULL;
    float *x = ilki_base_arena_alloc(&m->arena, n, sizeof *x);
    CHECK_OK(ilki_tensor_read_f32(t, 0, n, x, NULL), NULL);
    return x;
}

/* parts: "q,k,v" of prefix; a part without a bias has none */
static void twotower_linear(twotower *m, ilki_linear *l, const char *prefix, const char *const *parts)
{
    const ilki_tensor *w[3], *b[3];
    size_t n = 0;
    char name[96];
    ilk_error err;
    ilk_error_init(&err);
    for (; parts[n]; n++) {
        snprintf(name, sizeof name, "%s%s.weight", prefix, parts[n]);
        w[n] = twotower_find(m, name);
        snprintf(name, sizeof name, "%s%s.bias", prefix, parts[n]);
        b[n] = ilki_format_find(m->weights, name);
    }
    CHECK_OK(ilki_tensor_linear_init(l, m->ops, w, b, n, &err), &err);
}

static ilki_norm twotower_norm(twotower *m, const twotower_sizes *c, const char *prefix, const char *part)
{
    char name[96];
    ilki_norm n = {.dim = c->dim, .eps = c->eps, .rms = c->rms, .w_add = c->rms ? 1.0f : 0.0f};
    snprintf(name, sizeof name, "%s%s.weight", prefix, part);
    n.w = twotower_floats(m, name);
    snprintf(name, sizeof name, "%s%s.bias", prefix, part);
    n.b = c->rms ? NULL : twotower_floats(m, name);
    return n;
}

static float *twotower_part(twotower *m, const char *prefix, const char *part, bool there)
{
    char name[96];
    snprintf(name, sizeof name, "%s%s", prefix, part);
    return there ? twotower_floats(m, name) : NULL;
}

static void twotower_load_layer(twotower *m, const char *tower, unsigned i, const twotower_sizes *c, twotower_layer *l)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s.layers.%u.", tower, i);
    l->norm1 = twotower_norm(m, c, prefix, "norm1");
    l->norm2 = twotower_norm(m, c, prefix, "norm2");
    twotower_linear(m, &l->qkv, prefix, (const char *const[]){"attn.q", "attn.k", "attn.v", NULL});
    twotower_linear(m, &l->o, prefix, (const char *const[]){"attn.o", NULL});
    if (c->rms)
        twotower_linear(m, &l->up, prefix, (const char *const[]){"mlp.gate", "mlp.up", NULL});
    else
        twotower_linear(m, &l->up, prefix, (const char *const[]){"mlp.up", NULL});
    twotower_linear(m, &l->down, prefix, (const char *const[]){"mlp.down", NULL});
    l->attn.bias = twotower_part(m, prefix, "attn.bias", l->attn.bias_span > 0);
    l->attn.extra_k = twotower_part(m, prefix, "attn.extra_k", l->attn.n_extra > 0);
    l->attn.extra_v = twotower_part(m, prefix, "attn.extra_v", l->attn.n_extra > 0);
    l->q_norm = l->k_norm = l->norm1;
    l->q_norm.dim = l->k_norm.dim = l->attn.d_qk;
    l->q_norm.w = twotower_part(m, prefix, "attn.q_norm", c->rms);
    l->k_norm.w = twotower_part(m, prefix, "attn.k_norm", c->rms);
}

static void twotower_load(twotower *m)
{
    twotower_tower *text = &m->towers[TWOTOWER_TEXT], *vision = &m->towers[TWOTOWER_VISION];
    text->word = twotower_find(m, "text.word");
    text->type = twotower_find(m, "text.type");
    text->position = twotower_find(m, "text.position");
    text->modality = twotower_floats(m, "text.modality");
    text->norm = twotower_norm(m, &text->c, "text.", "norm");
    vision->norm = twotower_norm(m, &vision->c, "vision.", "norm");
    twotower_linear(m, &vision->patch, "vision.", (const char *const[]){"patch", NULL});
    for (unsigned i = 0; i < TWOTOWER_LAYERS; i++) {
        twotower_load_layer(m, "text", i, &text->c, &text->layers[i]);
        twotower_load_layer(m, "vision", i, &vision->c, &vision->layers[i]);
    }
    const float *a = twotower_floats(m, "text.layers.0.attn.o.lora_a"),
                *b = twotower_floats(m, "text.layers.0.attn.o.lora_b");
    CHECK_OK(ilki_tensor_linear_set_delta(&text->layers[0].o, m->ops, 3, 0.5f, a, b, NULL), NULL);
    twotower_linear(m, &m->lm, "text.", (const char *const[]){"lm", NULL});
    CHECK_OK(ilki_tensor_linear_init_master(&m->classifier, m->ops, 5, text->c.dim, true, NULL), NULL);
    memcpy(m->classifier.master, twotower_floats(m, "text.classifier.weight"), 5 * text->c.dim * sizeof(float));
    memcpy(m->classifier.bias, twotower_floats(m, "text.classifier.bias"), 5 * sizeof(float));
    m->classifier.stale = true;
    ilki_tensor_linear_repack(&m->classifier, m->ops);
}

/* ---- config.json */

static const char *const twotower_masks[] = {"full", "causal", "prefix", "group", NULL};
static const char *const twotower_pairings[] = {"half", "interleaved", NULL};
static const char *const twotower_section_maps[] = {"contiguous", "strided", NULL};
#define TWOTOWER_U32(text, of, member)                                                                                 \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_U32, .offset = offsetof(of, member), .required = true, .max = UINT32_MAX      \
    }
#define TWOTOWER_FLOAT(text, of, member)                                                                               \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_FLOAT, .offset = offsetof(of, member), .required = true, .max = 1e9           \
    }
#define TWOTOWER_WORD(text, of, member, list)                                                                          \
    {                                                                                                                  \
        .key = text, .type = ILKI_CONFIG_WORD, .offset = offsetof(of, member), .required = true, .words = list         \
    }
static const ilki_config_field twotower_size_fields[] = {
    TWOTOWER_U32("dim", twotower_sizes, dim),
    TWOTOWER_U32("row_dim", twotower_sizes, row_dim),
    TWOTOWER_U32("vocab", twotower_sizes, vocab),
    TWOTOWER_U32("n_types", twotower_sizes, n_types),
    TWOTOWER_U32("n_modalities", twotower_sizes, n_modalities),
    TWOTOWER_U32("ffn", twotower_sizes, ffn),
    TWOTOWER_FLOAT("eps", twotower_sizes, eps),
    TWOTOWER_FLOAT("word_scale", twotower_sizes, word_scale),
    {.key = "rms", .type = ILKI_CONFIG_BOOL, .offset = offsetof(twotower_sizes, rms), .required = true},
};
static const ilki_config_field twotower_attn_fields[] = {
    TWOTOWER_FLOAT("scale", ilki_attn, scale),
    TWOTOWER_FLOAT("softcap", ilki_attn, softcap),
    TWOTOWER_U32("n_heads", ilki_attn, n_heads),
    TWOTOWER_U32("n_kv_heads", ilki_attn, n_kv_heads),
    TWOTOWER_U32("d_qk", ilki_attn, d_qk),
    TWOTOWER_U32("d_v", ilki_attn, d_v),
    TWOTOWER_WORD("mask", ilki_attn, mask, twotower_masks),
    TWOTOWER_U32("window_left", ilki_attn, window_left),
    TWOTOWER_U32("window_right", ilki_attn, window_right),
    TWOTOWER_U32("bias_span", ilki_attn, bias_span),
    TWOTOWER_U32("n_extra", ilki_attn, n_extra),
};
static const ilki_config_field twotower_rope_fields[] = {
    TWOTOWER_FLOAT("theta", ilki_rope, theta),
    TWOTOWER_U32("dim", ilki_rope, dim),
    TWOTOWER_U32("freq_dim", ilki_rope, freq_dim),
    TWOTOWER_WORD("pairing", ilki_rope, pairing, twotower_pairings),
    TWOTOWER_U32("n_axes", ilki_rope, n_axes),
    TWOTOWER_U32("section0", ilki_rope, section[0]),
    TWOTOWER_U32("section1", ilki_rope, section[1]),
    TWOTOWER_U32("section2", ilki_rope, section[2]),
    TWOTOWER_WORD("sections", ilki_rope, sections, twotower_section_maps),
};

#define TWOTOWER_READ(j, object, table, out)                                                                           \
    CHECK_OK(ilki_models_read_config(j, object, "config.json", table, sizeof table / sizeof *table, out, NULL), NULL)

static void twotower_config(twotower *m, const char *path)
{
    static const char *const names[] = {"text", "vision"};
    char *text = NULL;
    size_t n = 0;
    ilki_json *j = NULL;
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &text, &n, NULL), NULL);
    CHECK_OK(ilki_base_json_parse(&j, text, n, "config.json", NULL, NULL), NULL);
    ilki_json_node root = ilki_base_json_root(j);
    for (unsigned t = 0; t < 2; t++) {
        twotower_tower *tower = &m->towers[t];
        TWOTOWER_READ(j, ilki_base_json_get(j, root, names[t]), twotower_size_fields, &tower->c);
        for (unsigned i = 0; i < TWOTOWER_LAYERS; i++) {
            char key[16];
            snprintf(key, sizeof key, "%s.%u", names[t], i);
            ilki_json_node layer = ilki_base_json_get(j, root, key);
            TWOTOWER_READ(j, ilki_base_json_get(j, layer, "attn"), twotower_attn_fields, &tower->layers[i].attn);
            TWOTOWER_READ(j, ilki_base_json_get(j, layer, "rope"), twotower_rope_fields, &tower->layers[i].rope);
        }
        m->net.tower[t] = (ilki_tower_info){.name = names[t],
                                            .modalities = t ? 1U << ILK_IMAGE : 1U << ILK_TEXT,
                                            .dim = tower->c.dim,
                                            .row_dim = tower->c.row_dim,
                                            .n_layers = TWOTOWER_LAYERS,
                                            .vocab_size = tower->c.vocab,
                                            .attn = tower->layers[0].attn,
                                            .pooling = ILKI_POOL_LAST};
    }
    ilki_base_json_free(j);
    free(text);
}

static const ilki_family twotower_family;

static twotower *twotower_open(const ilki_kern_ops *ops)
{
    const char *const weights[] = {ILK_TEST_DIR "/fixtures/twotower/model.safetensors"};
    twotower *m = ilki_base_zalloc(1, sizeof *m);
    m->net.family = &twotower_family;
    m->net.n_towers = 2;
    m->ops = ops;
    twotower_config(m, ILK_TEST_DIR "/fixtures/twotower/config.json");
    CHECK_OK(ilki_format_open(&m->weights, &ilki_base_vfs_posix, weights, 1, false, NULL), NULL);
    twotower_load(m);
    return m;
}

static void twotower_close(ilki_net *net)
{
    twotower *m = (twotower *)net;
    for (unsigned t = 0; t < 2; t++) {
        ilki_tensor_linear_deinit(&m->towers[t].patch);
        for (unsigned i = 0; i < TWOTOWER_LAYERS; i++) {
            twotower_layer *l = &m->towers[t].layers[i];
            ilki_tensor_linear_deinit(&l->qkv);
            ilki_tensor_linear_deinit(&l->o);
            ilki_tensor_linear_deinit(&l->up);
            ilki_tensor_linear_deinit(&l->down);
        }
    }
    ilki_tensor_linear_deinit(&m->lm);
    ilki_tensor_linear_deinit(&m->classifier);
    ilki_base_arena_deinit(&m->arena);
    ilki_format_close(m->weights);
    free(m);
}

/* ---- the pass */

typedef struct twotower_pass {
    const twotower_tower *t;
    const twotower_layer *l;
    const ilki_tower_in *in;
    const int32_t *positions; /* [axes][n] */
    float *x, *qkv, *a, *y;   /* [n][dim], [n][width], [n][n_heads * d_v], [n][dim] */
    float *cos_, *sin_;       /* of this layer */
} twotower_pass;

static size_t twotower_width(const ilki_attn *d)
{
    return (size_t)d->n_heads * d->d_qk + (size_t)d->n_kv_heads * (d->d_qk + d->d_v);
}

/* from the stream to rotated q, k and v */
static void twotower_before(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const twotower_pass *p = arg;
    const twotower_layer *l = p->l;
    const ilki_attn *d = &l->attn;
    size_t dim = p->t->c.dim, width = twotower_width(d), half = l->rope.dim / 2;
    float *q = ilki_nn_at(p->qkv, first * width);
    float *k = ilki_nn_at(q, (size_t)d->n_heads * d->d_qk);
    const float *x = ilki_nn_at(p->x, first * dim);
    ilki_nn_linear(ctx, &l->qkv, &(ilki_linear_args){.x = x, .norm = &l->norm1, .y = q, .n_rows = n});
    if (l->q_norm.w) {
        ilki_nn_norm_heads(ctx, &l->q_norm, q, width, n, d->n_heads);
        ilki_nn_norm_heads(ctx, &l->k_norm, k, width, n, d->n_kv_heads);
    }
    ilki_rope_args r = {.x = q, .n_rows = n, .n_heads = d->n_heads, .d_head = d->d_qk, .ldx = width};
    r.cos_ = ilki_nn_at(p->cos_, first * half);
    r.sin_ = ilki_nn_at(p->sin_, first * half);
    ilki_nn_rope(ctx, &l->rope, &r);
    r.x = k;
    r.n_heads = d->n_kv_heads;
    ilki_nn_rope(ctx, &l->rope, &r);
}

/* from what attention gave to the stream */
static void twotower_after(ilki_nn *ctx, void *arg, size_t first, size_t n)
{
    const twotower_pass *p = arg;
    const twotower_layer *l = p->l;
    size_t dim = p->t->c.dim, width = (size_t)l->attn.n_heads * l->attn.d_v;
    float *x = ilki_nn_at(p->x, first * dim), *h = ilki_nn_take(ctx, n * dim, sizeof *h);
    ilki_nn_linear(ctx, &l->o,
                   &(ilki_linear_args){.x = ilki_nn_at(p->a, first * width), .y = x, .residual = x, .n_rows = n});
    ilki_nn_norm(ctx, &l->norm2, h, 0, x, 0, n);
    bool gated = p->t->c.rms;
    ilki_mlp mlp = {&l->up, &l->down, gated ? ILKI_ACT_SILU : ILKI_ACT_GELU, .gated = gated};
    ilki_nn_mlp(ctx, &mlp, &(ilki_linear_args){.x = h, .y = x, .residual = x, .n_rows = n});
}

static void twotower_attend(ilki_nn *ctx, const twotower_pass *p, uint32_t layer, const ilki_tower_out *out)
{
    const ilki_attn *d = &p->l->attn;
    const ilki_tower_in *in = p->in;
    size_t width = twotower_width(d), nq = (size_t)d->n_heads * d->d_qk, nk = (size_t)d->n_kv_heads * d->d_qk;
    const float *k = ilki_nn_at(p->qkv, nq), *v = ilki_nn_at(p->qkv, nq + nk);
    ilki_nn_attention(ctx, d,
                      &(ilki_attn_args){.q = p->qkv,
                                        .k = k,
                                        .v = v,
                                        .out = p->a,
                                        .ldq = width,
                                        .ldk = width,
                                        .ldv = width,
                                        .ldout = (size_t)d->n_heads * d->d_v,
                                        .offsets = in->offsets,
                                        .n_seqs = in->n_seqs,
                                        .prefix = in->prefix,
                                        .layer = layer,
                                        .groups = in->groups,
                                        .prefix_len = in->prefix_len});
    for (size_t s = 0; out->kv && s < in->n_seqs; s++)
        if (out->kv[s])
            ilki_nn_kv_fill(ctx, out->kv[s],
                            &(ilki_kv_args){.prefix = in->prefix ? in->prefix[s] : NULL,
                                            .k = ilki_nn_at_const(k, in->offsets[s] * width),
                                            .v = ilki_nn_at_const(v, in->offsets[s] * width),
                                            .ldk = width,
                                            .ldv = width,
                                            .n = in->offsets[s + 1] - in->offsets[s],
                                            .layer = layer});
}

static void twotower_layer_run(ilki_nn *ctx, twotower_pass *p, uint32_t i, const ilki_tower_out *out)
{
    const twotower_layer *l = p->l = &p->t->layers[i];
    size_t n = p->in->n_tokens, mark = ilki_base_ws_mark(ctx->ws), half = l->rope.dim / 2;
    p->qkv = ilki_nn_take(ctx, n * twotower_width(&l->attn), sizeof(float));
    p->a = ilki_nn_take(ctx, n * l->attn.n_heads * l->attn.d_v, sizeof(float));
    p->cos_ = ilki_nn_take(ctx, n * half, sizeof(float));
    p->sin_ = ilki_nn_take(ctx, n * half, sizeof(float));
    ilki_nn_rope_table(ctx, &l->rope, p->positions, n, p->cos_, p->sin_);
    ilki_nn_rows(ctx, &(ilki_rows_args){twotower_before, p, n, ilki_nn_linear_ns(ctx, &l->qkv)});
    twotower_attend(ctx, p, i, out);
    ilki_nn_rows(ctx, &(ilki_rows_args){twotower_after, p, n, 3 * ilki_nn_linear_ns(ctx, &l->up)});
    for (size_t r = 0; r < p->in->n_layer_rows; r++) {
        const ilki_layer_rows *rows = &p->in->layer_rows[r];
        if (rows->layer == i)
            ilki_nn_add_rows(ctx, p->x, 0, rows->at, rows->rows, rows->n, p->t->c.dim);
    }
    ilki_base_ws_release(ctx->ws, mark);
}

/* Positions that nobody gave: on from the prefix, grids of spans counted from where they begin. */
static void twotower_count_on(ilki_nn *ctx, const ilki_tower_in *in, int32_t *out)
{
    if (ilki_nn_measuring(ctx) || !out)
        return;
    for (size_t s = 0; s < in->n_seqs; s++) {
        int32_t next = in->prefix && in->prefix[s] ? (int32_t)in->prefix[s]->n_tokens : 0;
        for (size_t i = in->offsets[s]; i < in->offsets[s + 1];) {
            const ilki_tower_span *span = NULL;
            for (size_t k = 0; k < in->n_spans; k++)
                if (in->spans[k].first == i && in->spans[k].t)
                    span = &in->spans[k];
            uint32_t t = span ? span->t : 1, h = span ? span->h : 1, w = span ? span->w : 1;
            for (uint32_t k = 0; k < t * h * w && i < in->offsets[s + 1]; k++, i++) {
                out[i] = next + (int32_t)(k / (h * w));
                out[in->n_tokens + i] = next + (int32_t)(k / w % h);
                out[2 * in->n_tokens + i] = next + (int32_t)(k % w);
            }
            next += (int32_t)(t > h ? t > w ? t : w : h > w ? h : w);
        }
    }
}

static void twotower_embed(ilki_nn *ctx, const twotower_pass *p)
{
    const twotower_tower *t = p->t;
    const ilki_tower_in *in = p->in;
    size_t dim = t->c.dim, mark = ilki_base_ws_mark(ctx->ws);
    if (in->rows) {
        ilki_nn_linear(ctx, &t->patch, &(ilki_linear_args){.x = in->rows, .y = p->x, .n_rows = in->n_tokens});
        return;
    }
    int32_t *places = ilki_nn_take(ctx, in->n_tokens, sizeof *places);
    for (size_t i = 0; places && i < in->n_tokens; i++)
        places[i] = p->positions[i] % TWOTOWER_PLACES;
    ilki_nn_lookup(ctx, &(ilki_lookup_args){.word = t->word,
                                            .position = t->position,
                                            .type = t->type,
                                            .ids = in->ids,
                                            .positions = places,
                                            .types = in->types,
                                            .word_scale = t->c.word_scale,
                                            .y = p->x,
                                            .n_rows = in->n_tokens,
                                            .dim = dim});
    for (size_t i = 0; i < in->n_spans; i++) {
        const ilki_tower_span *s = &in->spans[i];
        if (s->rows)
            ilki_nn_replace_rows(ctx, p->x, 0, s->first, s->rows, s->n, dim);
        for (uint32_t k = 0; k < s->n; k++)
            ilki_nn_add_rows(ctx, p->x, 0, &(uint32_t){(uint32_t)s->first + k}, t->modality + s->modality * dim, 1,
                             dim);
    }
    ilki_base_ws_release(ctx->ws, mark);
}

static void twotower_logits(ilki_nn *ctx, const ilki_linear *head, const float *last, size_t n, const ilki_logits *l)
{
    size_t mark = ilki_base_ws_mark(ctx->ws);
    float *all = ilki_nn_take(ctx, n * head->n_out, sizeof *all);
    ilki_nn_linear(ctx, head, &(ilki_linear_args){.x = last, .y = all, .n_rows = n});
    for (size_t i = 0; all && i < n; i++)
        for (size_t c = 0; c < l->n_classes; c++)
            l->out[i * l->n_classes + c] = all[i * head->n_out + (l->classes ? (size_t)l->classes[c] : c)];
    ilki_base_ws_release(ctx->ws, mark);
}

static void twotower_outputs(ilki_nn *ctx, const twotower *m, const twotower_pass *p, const ilki_tower_out *out)
{
    const ilki_tower_in *in = p->in;
    size_t dim = p->t->c.dim, n_seqs = in->n_seqs;
    ilki_nn_norm(ctx, &p->t->norm, p->y, 0, p->x, 0, in->n_tokens);
    if (out->tokens)
        ilki_nn_take_rows(ctx, out->tokens, p->y, 0, NULL, in->n_tokens, dim);
    if (out->rows)
        ilki_nn_take_rows(ctx, out->rows, p->y, 0, out->row_at, out->n_rows, dim);
    if (out->pooled)
        ilki_nn_pool(ctx,
                     &(ilki_pool_args){out->pooling, p->y, out->pooled, 0, dim, in->offsets, n_seqs, out->pool_skip});
    if (!out->n_logits)
        return;
    float *last = ilki_nn_take(ctx, n_seqs * dim, sizeof *last);
    ilki_nn_pool(ctx, &(ilki_pool_args){ILKI_POOL_LAST, p->y, last, 0, dim, in->offsets, n_seqs, NULL});
    for (size_t i = 0; i < out->n_logits; i++)
        twotower_logits(ctx, strcmp(out->logits[i].head, "lm") == 0 ? &m->lm : &m->classifier, last, n_seqs,
                        &out->logits[i]);
}

static bool twotower_shapes_fit(const twotower_tower *t)
{
    bool fit = t->patch.n_in == t->c.row_dim;
    for (unsigned i = 0; i < TWOTOWER_LAYERS; i++) {
        const twotower_layer *l = &t->layers[i];
        fit = fit && l->attn.n_kv_heads && l->attn.n_heads % l->attn.n_kv_heads == 0 && l->rope.dim <= l->attn.d_qk &&
              l->qkv.n_out == twotower_width(&l->attn) && l->qkv.n_in == t->c.dim && l->o.n_out == t->c.dim &&
              l->o.n_in == (size_t)l->attn.n_heads * l->attn.d_v && l->down.n_in == t->c.ffn &&
              l->down.n_out == t->c.dim;
    }
    return fit;
}

static ilk_status twotower_refuse(const twotower *m, unsigned t, const ilki_tower_in *in, const ilki_tower_out *out,
                                  ilk_error *err)
{
    const twotower_tower *tower = &m->towers[t];
    const char *what = t == TWOTOWER_TEXT ? (in->groups ? "groups" : NULL)
                       : in->types        ? "types"
                       : in->prefix_len   ? "prefix_len"
                       : in->prefix       ? "prefix"
                       : in->n_spans      ? "spans"
                       : in->n_layer_rows ? "layer_rows"
                       : out->n_logits    ? "logits"
                                          : NULL;
    for (size_t s = 0; in->prefix && out->pooled && s < in->n_seqs; s++)
        if (in->prefix[s] && (out->pooling & (ILKI_POOL_CLS | ILKI_POOL_WEIGHTED)))
            what = "pooling of a first or weighted token behind a cached prefix";
    for (size_t i = 0; i < in->n_spans; i++)
        if ((uint32_t)in->spans[i].modality >= tower->c.n_modalities)
            what = "unknown modality";
    for (size_t i = 0; i < out->n_logits; i++)
        if (strcmp(out->logits[i].head, "lm") != 0 && strcmp(out->logits[i].head, "classifier") != 0)
            what = out->logits[i].head;
    if (what)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "twotower: expected no %s, found some", what);
    if (!twotower_shapes_fit(tower))
        return ilki_base_fail(err, ILK_MISMATCH, "twotower: descriptors do not fit the weights");
    for (unsigned i = 0; i < TWOTOWER_LAYERS; i++)
        if (in->positions && tower->layers[i].rope.n_axes > in->n_axes)
            return ilki_base_fail(err, ILK_MISMATCH, "twotower: expected %u axes of positions, found %u",
                                  tower->layers[i].rope.n_axes, in->n_axes);
    return ILK_OK;
}

static ilk_status twotower_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                                   ilki_tower_out *out)
{
    const twotower *m = (const twotower *)net;
    ilk_status refused = twotower_refuse(m, t, in, out, ctx->err);
    if (refused != ILK_OK)
        return refused;
    size_t n = in->n_tokens, dim = m->towers[t].c.dim, mark = ilki_base_ws_mark(ctx->ws);
    twotower_pass p = {.t = &m->towers[t], .in = in, .positions = in->positions};
    p.x = ilki_nn_take(ctx, n * dim, sizeof *p.x);
    p.y = ilki_nn_take(ctx, n * dim, sizeof *p.y);
    int32_t *positions = ilki_nn_take(ctx, 3 * n, sizeof *positions);
    if (!in->positions) {
        twotower_count_on(ctx, in, positions);
        p.positions = positions;
    }
    twotower_embed(ctx, &p);
    for (uint32_t i = 0; i <= TWOTOWER_LAYERS; i++) {
        if (out->layer_tokens && out->layer == (int32_t)i)
            ilki_nn_take_rows(ctx, out->layer_tokens, p.x, 0, NULL, n, dim);
        if (i < TWOTOWER_LAYERS)
            twotower_layer_run(ctx, &p, i, out);
    }
    twotower_outputs(ctx, m, &p, out);
    ilki_base_ws_release(ctx->ws, mark);
    return ctx->status;
}

static const char *const twotower_types[] = {"twotower", NULL};
static const ilki_family twotower_family = {"twotower", twotower_types, NULL, twotower_close, twotower_forward};

#endif
