/* SPDX-License-Identifier: Apache-2.0
 * Scores of (query, document) pairs by a checkpoint's head for sequence classification, as sentence-transformers 6.2
 * cross_encoder/model.py has them: the pair as the tokenizer's template joins it, the longer text cut first, one logit,
 * and an activation: config_sentence_transformers.json's activation_fn, else config.json's
 * sentence_transformers.activation_fn or sbert_ce_default_activation_function, else the sigmoid. Passes are batch.c's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embed/state.h"

/* ------------------------------------------------------------------ the activation */

ilk_status ilki_embed_read_score(ilk_model *m, ilk_error *err)
{
    const ilki_json *j = m->config;
    ilki_json_node root = ilki_base_json_root(j), st = ilki_base_json_get(j, root, "sentence_transformers");
    const char *name = m->modules.activation;
    if (!name)
        name = ilki_base_json_string(j, ilki_base_json_get(j, st, "activation_fn"), NULL);
    if (!name)
        name = ilki_base_json_string(j, ilki_base_json_get(j, root, "sbert_ce_default_activation_function"), NULL);
    m->score = ILKI_SCORE_SIGMOID;
    if (m->net->tower[0].n_labels != 1)
        return ILK_OK;
    m->info.score_kind = "prob";
    if (!name)
        return ILK_OK;
    if (strncmp(name, "torch.", 6) != 0) { /* code of the checkpoint: the reference falls back, and says so */
        ilki_base_log(m->rt, ILK_LOG_WARN, "%s: activation_fn %s is not torch's: the sigmoid is used", m->dir, name);
        return ILK_OK;
    }
    const char *last = strrchr(name, '.') + 1;
    if (strcmp(last, "Sigmoid") == 0)
        return ILK_OK;
    m->score = strcmp(last, "Identity") == 0 ? ILKI_SCORE_IDENTITY : ILKI_SCORE_UNKNOWN;
    m->info.score_kind = "logit";
    m->score_name = ilki_base_arena_strndup(&m->arena, name, strlen(name));
    return m->score_name ? ILK_OK : ilki_base_fail_memory(err, strlen(name), "the name of an activation");
}

ilk_status ilki_embed_check_rerank(const ilk_model *m, const ilk_rerank_options *opt, ilk_error *err)
{
    uint32_t n = m->net->tower[0].n_labels;
    if (n == 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a reranker, found a model without a head for pairs",
                              m->info.id);
    if (n != 1)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a reranker of one label, found %u labels", m->info.id,
                              n);
    if (m->score == ILKI_SCORE_UNKNOWN && !opt->raw_scores)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: activation_fn %s is not built; raw scores are", m->info.id,
                              m->score_name);
    return ILK_OK;
}

/* ------------------------------------------------------------------ a call */

void ilki_embed_make_scores(const ilk_model *m, const ilk_rerank_options *opt, ilk_vectors *v, size_t first, size_t n)
{
    for (size_t i = first; i < first + n && !opt->raw_scores && m->score == ILKI_SCORE_SIGMOID; i++)
        if (v->state[i].status == ILK_OK)
            v->data[i] = (float)(1 / (1 + exp(-(double)v->data[i])));
}

/* The scores of v, or the first document that has none. */
static ilk_status take_scores(const ilk_vectors *v, float *scores, ilk_error *err)
{
    for (size_t i = 0; i < v->n; i++) {
        if (v->state[i].status != ILK_OK)
            return ilki_base_fail(err, v->state[i].status, "document %zu: %s", i,
                                  v->state[i].message ? v->state[i].message : ilk_status_string(v->state[i].status));
        scores[i] = v->data[i];
    }
    return ILK_OK;
}

ilk_status ilki_embed_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                             const ilk_rerank_options *opt, bool quiet, ilk_job *job, float *scores, ilk_error *err)
{
    ilki_pair_query q = {0};
    ilki_embed_plan plan = {.dim = 1, .strict = opt->strict != 0, .quiet = quiet, .query = &q};
    ilk_vectors *v = NULL;
    const ilk_input **list = NULL;
    ilki_buf buf;
    ilki_base_buf_init(&buf, (size_t)1 << 30);
    ilk_status st = ilki_embed_check_rerank(m, opt, err);
    if (st == ILK_OK && (st = ilki_embed_pair_text(m, query, &buf, &q.text, &q.n, err)) != ILK_OK)
        ilki_base_error_prefix(err, "query");
    if (st == ILK_OK && !(list = ilki_base_zalloc(n_docs, sizeof *list)))
        st = ilki_base_fail_memory(err, n_docs * sizeof *list, "a batch");
    if (st == ILK_OK)
        st = ilki_embed_vectors_new(&v, n_docs, 1, err);
    for (size_t i = 0; st == ILK_OK && i < n_docs; i++)
        list[i] = (const ilk_input *)(const void *)((const char *)docs + i * docs->size);
    if (st == ILK_OK)
        st = ilki_embed_batch(m, list, n_docs, &plan, job, v, err);
    if (st == ILK_OK) {
        ilki_embed_make_scores(m, opt, v, 0, n_docs);
        st = take_scores(v, scores, err);
    }
    ilki_embed_vectors_free(v);
    free(list);
    ilki_base_buf_deinit(&buf);
    return st;
}
