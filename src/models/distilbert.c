/* SPDX-License-Identifier: Apache-2.0
 * DistilBERT, after transformers 5.24 models/distilbert/modeling_distilbert.py DistilBertModel: BERT's network (bert.c)
 * under other names, without token types and pooler; the epsilon of its norms is a constant, 1e-12. Positions that were
 * sines are stored as rows like others. Head "classifier": relu(first token Wp) Wc. */
#include "models/encoder.h"

/* ---- config.json */

static const ilki_config_field fields[] = {
    ILKI_ENCODER_SIZE("vocab_size", vocab, 1 << 24),
    ILKI_ENCODER_SIZE("dim", dim, 1 << 15),
    ILKI_ENCODER_SIZE("n_layers", n_layers, 1 << 10),
    ILKI_ENCODER_SIZE("n_heads", n_heads, 1 << 10),
    ILKI_ENCODER_SIZE("hidden_dim", ffn, 1 << 18),
    ILKI_ENCODER_SIZE("max_position_embeddings", n_positions, 1 << 24),
    ILKI_ENCODER_WORD("activation", act, 0, ilki_encoder_act_words),
};

static ilk_status settle(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    (void)src;
    (void)err;
    e->c.eps = 1e-12F;
    e->classifier.act = ILKI_ACT_RELU;
    return ILK_OK;
}

/* ---- weights */

#define LAYER "transformer.layer.%u."
static const ilki_weight rows[] = {
    ILKI_ENCODER_TABLE("embeddings.word_embeddings.weight", word, ILKI_ENCODER_VOCAB),
    ILKI_ENCODER_TABLE("embeddings.position_embeddings.weight", position, ILKI_ENCODER_POSITIONS),
    ILKI_ENCODER_NORM("embeddings.LayerNorm", ilki_encoder, norm),
    ILKI_ENCODER_QKV(LAYER "attention.%s", "q_lin", "k_lin", "v_lin"),
    ILKI_ENCODER_LINEAR(LAYER "attention.out_lin", ilki_encoder_layer, o, ILKI_ENCODER_DIM, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "sa_layer_norm", ilki_encoder_layer, attn_norm),
    ILKI_ENCODER_LINEAR(LAYER "ffn.lin1", ilki_encoder_layer, in, ILKI_ENCODER_DIM, ILKI_ENCODER_FFN),
    ILKI_ENCODER_LINEAR(LAYER "ffn.lin2", ilki_encoder_layer, out, ILKI_ENCODER_FFN, ILKI_ENCODER_DIM),
    ILKI_ENCODER_NORM(LAYER "output_layer_norm", ilki_encoder_layer, mlp_norm),
    ILKI_ENCODER_HEAD("/pre_classifier", classifier.dense, ILKI_ENCODER_DIM),
    ILKI_ENCODER_HEAD("/classifier", classifier.out, ILKI_ENCODER_LABELS),
};
static const char *const prefixes[] = {"", "distilbert.", "model.", NULL};
static const char *const ignored[] = {"vocab_transform.*", "vocab_layer_norm.*", "vocab_projector.*", "*position_ids",
                                      NULL};
static const ilki_weight_list list = {"distilbert", rows, sizeof rows / sizeof *rows, prefixes, ignored};
static const ilki_weight_list *const lists[] = {&list, NULL};

extern const ilki_family ilki_family_distilbert;
static const ilki_encoder_spec spec = {
    &ilki_family_distilbert, fields, sizeof fields / sizeof *fields, lists, settle, NULL};

static ilk_status open_net(ilki_net **out, const ilki_model_source *src, ilk_error *err)
{
    return ilki_encoder_open(out, &spec, src, err);
}

static const char *const model_types[] = {"distilbert", NULL};
const ilki_family ilki_family_distilbert = {"distilbert", model_types, open_net, ilki_encoder_close,
                                            ilki_encoder_forward};
