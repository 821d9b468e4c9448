/* SPDX-License-Identifier: Apache-2.0
 * MPNet, after transformers 5.24 models/mpnet/modeling_mpnet.py MPNetModel: BERT's network (bert.c) under other names,
 * with positions and head as RoBERTa has them (roberta.c; the pad id is 1 whatever config.json says), no token types, and
 * a bias on every layer's scores after their scaling: bias[bucket(key - query)][head], 32 buckets, one table for all
 * layers. Buckets 0 to 15 are for keys behind the query, 16 to 31 for those before it: distances under 8 one each, then
 * logarithmically up to 128, the rest in the last. */
#include "models/encoder.h"

#include <math.h>
#include <stdlib.h>

enum { N_BUCKETS = 32, EXACT = N_BUCKETS / 4, FAR = 128 };

/* ---- config.json */

static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("hidden_size", dim, 1 << 15),
    ILKI_ENCODER_SIZE("num_hidden_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("num_attention_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("intermediate_size", ffn, 1 << 18),
    ILKI_ENCODER_SIZE("max_position_embeddings", n_positions, 1 << 24),
    ILKI_ENCODER_U32("relative_attention_num_buckets", n_buckets, N_BUCKETS, 1 << 16),
    ILKI_ENCODER_WORD("hidden_act", act, 0, ilki_encoder_act_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-12, 1),
};

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    (void)src;
    if (e->c.n_buckets != N_BUCKETS) /* the reference reads the number for the table's size alone and counts to 32 */
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "config.json: relative_attention_num_buckets: expected %d, found %u", N_BUCKETS,
                              e->c.n_buckets);
    e->c.pad_positions = true;
    e->c.pad = 1;
    return ILK_OK;
}

/* ---- the bias by relative position */

/* In f32 like the reference, whose roundings decide where a bucket ends. */
static unsigned bucket_of(int relative)
{
    unsigned side = relative > 0 ? N_BUCKETS / 2 : 0, n = (unsigned)abs(relative);
    if (n < EXACT)
        return side + n;
    float share = logf((float)n / EXACT) / logf((float)FAR / EXACT);
    unsigned at = EXACT + (unsigned)(share * EXACT);
    return side + (at < N_BUCKETS / 2 ? at : N_BUCKETS / 2 - 1);
}

static ilk_status finish(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    size_t n_heads = e->c.n_heads, width = 2 * FAR + 1;
    float *table = ilki_base_alloc_aligned(N_BUCKETS * n_heads, sizeof *table);
    float *bias = ilki_base_arena_alloc(&e->arena, n_heads * width, sizeof *bias);
    ilk_status s = ILK_OK;
    (void)src;
    if (!table || !bias)
        s = ilki_base_fail_memory(err, n_heads * width * sizeof *bias, "a bias by position");
    if (s == ILK_OK)
        s = ilki_tensor_read_f32(e->bias, 0, N_BUCKETS * n_heads, table, err);
    for (size_t h = 0; s == ILK_OK && h < n_heads; h++)
        for (int r = -FAR; r <= FAR; r++)
            bias[h * width + (size_t)(r + FAR)] = table[bucket_of(r) * n_heads + h];
    free(table);
    e->attn[0].bias = bias;
    e->attn[0].bias_span = FAR;
    e->net.memory_bytes += n_heads * width * sizeof *bias;
    return s;
}

/* ---- weights */

#define LAYER "encoder.layer.%u."
static const ilki_weight rows[] = {
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embeddings.weight", position, ILKI_ENCODER_POSITIONS),
    {.kind = ILKI_WEIGHT_TABLE,
     .name = "encoder.relative_attention_bias.weight",
     .offset = offsetof(ilki_encoder, bias),
     .cols = ILKI_ENCODER_HEADS,
     .rows = {ILKI_ENCODER_BUCKETS}},
    ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm),
    ILKI_ENCODER_QKV(LAYER "attention.attn.%s", "q", "k", "v"),
    ILKI_ENCODER_LINEAR(LAYER "attention.attn.o", ilki_encoder_layer, o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "attention.LayerNorm", ilki_encoder_layer, attn_norm),
    ILKI_ENCODER_LINEAR(LAYER "intermediate.dense", ilki_encoder_layer, in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN),
    ILKI_ENCODER_LINEAR(LAYER "output.dense", ilki_encoder_layer, out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "output.LayerNorm", ilki_encoder_layer, mlp_norm),
    ILKI_ENCODER_HEAD("pooler.dense", pooler, ILKI_ENCODER_DIM),
    ILKI_ENCODER_HEAD("/classifier.dense", classifier.dense, ILKI_ENCODER_DIM),
    ILKI_ENCODER_HEAD("/classifier.out_proj", classifier.out, ILKI_ENCODER_LABELS),
};
static const char *const prefixes[] = {"", "mpnet.", "model.", NULL};
static const char *const ignored[] = {"lm_head.*", "*position_ids", NULL};
static const ilki_weight_list list = {"mpnet", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&list, NULL};

extern const ilki_family ilki_family_mpnet;
static const ilki_encoder_spec spec = {
    &ilki_family_mpnet, fields, sizeof fields / sizeof *fields, lists, settle, finish};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    return ilki_encoder_open(out, &spec, src, err);
}

static const char *const model_types[] = {"mpnet", NULL};
const ilki_family ilki_family_mpnet = {"mpnet", model_types, open_net, ilki_encoder_close, ilki_encoder_forward};
