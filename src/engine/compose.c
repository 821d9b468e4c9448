/* SPDX-License-Identifier: Apache-2.0
 * A question of several terms as one vector: the sum of their unit vectors, each times its weight, at unit length. Sums are
 * double and in the order of the terms. What terms say against each other is gone from the sum; where nothing is left, the
 * question has no direction and is refused. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime.h"
#include "embed/embed.h"
#include "embed/state.h"
#include "engine/collection.h"

/* Of the sum to the weights: below it, what is left is rounding. */
#define LEAST_LENGTH 1e-5

static double weight_of(const ilk_question *question, size_t i)
{
    return question->weights ? (double)question->weights[i] : 1.0;
}

static bool is_plain(const ilk_question *question)
{
    return question->n_terms == 1 && weight_of(question, 0) > 0;
}

static const ilk_input *term_of(const ilk_question *question, size_t i)
{
    return (const ilk_input *)(const void *)((const char *)question->terms + i * question->terms->size);
}

static ilk_status add_up(const ilk_question *question, const ilk_vectors *v, float *out, ilk_error *err)
{
    double length2 = 0, weights = 0;
    double *sum = ilki_base_zalloc(v->dim, sizeof *sum);
    if (!sum)
        return ilki_base_fail_memory(err, v->dim * sizeof *sum, "a sum");
    for (size_t i = 0; i < v->n; i++) {
        weights += fabs(weight_of(question, i));
        for (size_t k = 0; k < v->dim; k++)
            sum[k] += weight_of(question, i) * (double)v->data[i * v->dim + k];
    }
    for (size_t k = 0; k < v->dim; k++)
        length2 += sum[k] * sum[k];
    double length = sqrt(length2);
    for (size_t k = 0; k < v->dim; k++)
        out[k] = (float)(sum[k] / length);
    free(sum);
    if (!(length > LEAST_LENGTH * weights))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "the query: its %zu terms cancel each other out: their sum has length %.2g, of weights "
                              "that add up to %.3g; change a weight",
                              v->n, length, weights);
    return ILK_OK;
}

static ilk_status check_terms(const ilk_question *question, const ilk_vectors *v, ilk_error *err)
{
    for (size_t i = 0; i < v->n; i++) {
        const char *message = v->state[i].message ? v->state[i].message : "it could not be embedded";
        if (v->state[i].status && question->n_terms == 1)
            return ilki_base_fail(err, v->state[i].status, "the query: %s", message);
        if (v->state[i].status)
            return ilki_base_fail(err, v->state[i].status, "the query: term %zu: %s", i + 1, message);
    }
    return ILK_OK;
}

/* A model reads so many tokens of a text and no more: whoever asks should know what was not asked for. */
static void tell_cut(ilk_model *m, const ilk_question *question, const ilk_vectors *v)
{
    char which[32] = "";
    for (size_t i = 0; i < v->n; i++) {
        if (v->state[i].n_dropped == 0)
            continue;
        if (question->n_terms > 1)
            snprintf(which, sizeof which, " (term %zu)", i + 1);
        ilki_base_log(ilki_embed_runtime(m), ILK_LOG_WARN,
                      "the query%s is longer than %s reads: its first %zu tokens ask", which, ilki_embed_info(m)->id,
                      v->state[i].n_tokens);
    }
}

ilk_status ilki_engine_compose(ilk_model *m, const ilk_question *question, ilk_job *job, float **vector, ilk_error *err)
{
    ilk_vectors *v = NULL;
    ilk_embed_options opt = {.size = sizeof opt, .normalize = is_plain(question) ? 0 : 1};
    ilk_input *terms = ilki_base_zalloc(question->n_terms, sizeof *terms);
    *vector = NULL;
    if (!terms)
        return ilki_base_fail_memory(err, question->n_terms * sizeof *terms, "a question");
    for (size_t i = 0; i < question->n_terms; i++) {
        terms[i] = *term_of(question, i);
        terms[i].size = sizeof *terms;
        if (terms[i].role == ILK_ROLE_NONE)
            terms[i].role = ILK_ROLE_QUERY;
    }
    ilk_status st = ilki_embed_run(m, terms, question->n_terms, &opt, job, &v, err);
    if (!st)
        st = check_terms(question, v, err);
    if (!st)
        tell_cut(m, question, v);
    if (!st && !(*vector = ilki_base_zalloc(v->dim, sizeof **vector)))
        st = ilki_base_fail_memory(err, v->dim * sizeof **vector, "a vector");
    if (!st && is_plain(question))
        memcpy(*vector, v->data, v->dim * sizeof **vector);
    else if (!st)
        st = add_up(question, v, *vector, err);
    if (st) {
        free(*vector);
        *vector = NULL;
    }
    ilki_embed_vectors_free(v);
    free(terms);
    return st;
}
