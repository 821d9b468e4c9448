/* SPDX-License-Identifier: Apache-2.0
 * BERT encoders (model_type "bert"), after transformers 5.24 models/bert/modeling_bert.py BertModel and
 * BertForSequenceClassification:
 *
 *   x = LayerNorm(word[id] + type[t] + position[p])
 *   per layer, post-norm, every linear with a bias:
 *     q, k, v = x Wq, x Wk, x Wv;  a = softmax(q kT / sqrt(d_head)) v, all tokens of a sequence
 *     x = LayerNorm(a Wo + x)
 *     x = LayerNorm(act(x W1) W2 + x)
 *   head "pooler": tanh(x[first token] Wp), where the checkpoint has it; head "classifier": that Wc
 *
 * No norm behind the last layer. The stack itself is encoder.c. */
#include "models/encoder.h"

/* ---- config.json */

static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("hidden_size", dim, 1 << 15),
    ILKI_ENCODER_SIZE("num_hidden_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("num_attention_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("intermediate_size", ffn, 1 << 18),
    ILKI_ENCODER_SIZE("max_position_embeddings", n_positions, 1 << 24),
    {.key = "type_vocab_size",
     .type = ILKI_CONFIG_U32,
     .offset = offsetof(ilki_encoder_config, n_types),
     .otherwise = 2,
     .min = 1,
     .max = 1 << 16},
    ILKI_ENCODER_WORD("hidden_act", act, 0, ilki_encoder_act_words),
    ILKI_ENCODER_WORD("position_embedding_type", position, 0, ilki_encoder_position_words),
    ILKI_ENCODER_FLOAT("layer_norm_eps", eps, 1e-12, 1),
    ILKI_ENCODER_BOOL("is_decoder", decoder),
    ILKI_ENCODER_BOOL("add_cross_attention", cross),
};

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    (void)src;
    (void)err;
    e->c.pooler_first = true;
    return ILK_OK;
}

/* ---- weights */

#define LAYER "encoder.layer.%u."
static const ilki_weight rows[] = {
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embeddings.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_TABLE("embeddings.token_type_embeddings.weight", type, ILKI_ENCODER_TYPES),
    ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm),
    ILKI_ENCODER_QKV(LAYER "attention.self.%s", "query", "key", "value"),
    ILKI_ENCODER_LINEAR(LAYER "attention.output.dense", ilki_encoder_layer, o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "attention.output.LayerNorm", ilki_encoder_layer, attn_norm),
    ILKI_ENCODER_LINEAR(LAYER "intermediate.dense", ilki_encoder_layer, in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN),
    ILKI_ENCODER_LINEAR(LAYER "output.dense", ilki_encoder_layer, out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "output.LayerNorm", ilki_encoder_layer, mlp_norm),
    ILKI_ENCODER_HEAD("pooler.dense", pooler, ILKI_ENCODER_DIM),
    ILKI_ENCODER_HEAD("/classifier", classifier.out, ILKI_ENCODER_LABELS),
};
static const char *const prefixes[] = {"", "bert.", "roberta.", "model.", NULL};
/* the heads of pre-training, and a buffer of numbers 0, 1, 2 ... that old versions saved */
static const char *const ignored[] = {"cls.*", "lm_head.*", "*position_ids", "*embeddings.token_type_ids", NULL};
static const ilki_weight_list list = {"bert", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&list, NULL};

extern const ilki_family ilki_family_bert;
static const ilki_encoder_spec spec = {&ilki_family_bert, fields, sizeof fields / sizeof *fields, lists, settle, NULL};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    return ilki_encoder_open(out, &spec, src, err);
}

static const char *const model_types[] = {"bert", NULL};
const ilki_family ilki_family_bert = {"bert", model_types, open_net, ilki_encoder_close, ilki_encoder_forward};
