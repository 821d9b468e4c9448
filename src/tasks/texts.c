/* SPDX-License-Identifier: Apache-2.0
 * Texts and pictures as inputs of one part. */
#include "tasks/texts.h"

#include <stdlib.h>

static ilk_input *make_inputs(const ilki_text *texts, size_t n, const ilki_texts_how *how, ilk_part **parts,
                              ilk_error *err)
{
    ilk_input *in = ilki_base_zalloc(n, sizeof *in);
    *parts = ilki_base_zalloc(n, sizeof **parts);
    if (!in || !*parts) {
        free(in);
        free(*parts);
        *parts = NULL;
        ilki_base_fail_memory(err, n * (sizeof *in + sizeof **parts), "a batch");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        (*parts)[i] = (ilk_part){.size = sizeof **parts,
                                 .kind = how->kind ? how->kind : ILK_PART_TEXT,
                                 .modality = how->kind ? ILK_IMAGE : ILK_TEXT,
                                 .data = texts[i].s,
                                 .n_bytes = texts[i].n};
        if (how->kind == ILK_PART_PIXELS) {
            (*parts)[i].shape[0] = (*parts)[i].shape[1] = how->side;
            (*parts)[i].shape[2] = 3;
        }
        in[i] = (ilk_input){
            .size = sizeof *in, .parts = *parts + i, .n_parts = 1, .role = how->role, .prompt = how->prompt};
    }
    return in;
}

/* That memory was short is no fault of a single text, which would count as bad. */
static ilk_status memory_of(const ilk_vectors *v, size_t n, ilk_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (v->state[i].status == ILK_NO_MEMORY)
            return ilki_base_fail(err, ILK_NO_MEMORY, "%s",
                                  v->state[i].message ? v->state[i].message : "out of memory");
    return ILK_OK;
}

ilk_status ilki_tasks_embed(ilk_model *m, const ilki_text *texts, size_t n, const ilki_texts_how *how, ilk_job *job,
                            ilk_vectors **out, ilk_error *err)
{
    ilk_embed_options opt = {.size = sizeof opt, .dim = how->dim, .normalize = how->normalize};
    ilki_embed_plan plan;
    ilk_part *parts = NULL;
    ilk_vectors *v = NULL;
    *out = NULL;
    ilk_status st = ilki_embed_make_plan(m, &opt, &plan, err);
    if (st != ILK_OK)
        return st;
    plan.quiet = true;
    plan.pooling = how->pooling;
    ilk_input *in = make_inputs(texts, n, how, &parts, err);
    const ilk_input **list = in ? ilki_base_zalloc(n, sizeof *list) : NULL;
    if (!list)
        st = in ? ilki_base_fail_memory(err, n * sizeof *list, "a batch") : ILK_NO_MEMORY;
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        list[i] = &in[i];
    if (st == ILK_OK)
        st = ilki_embed_vectors_new(&v, n, plan.dim, err);
    if (st == ILK_OK)
        st = ilki_embed_batch(m, list, n, &plan, job, v, err);
    free(list);
    free(in);
    free(parts);
    if (st == ILK_OK)
        st = memory_of(v, n, err);
    if (st == ILK_OK)
        *out = v;
    else
        ilki_embed_vectors_free(v);
    return st;
}

ilk_status ilki_tasks_rerank(ilk_model *m, ilki_text query, const ilki_text *docs, size_t n, ilk_job *job,
                             float *scores, ilk_error *err)
{
    static const ilki_texts_how plain = {0};
    ilk_rerank_options opt = {.size = sizeof opt, .raw_scores = 1};
    ilk_part *parts = NULL, *query_part = NULL;
    ilk_status st = ILK_NO_MEMORY;
    ilk_input *in = make_inputs(docs, n, &plain, &parts, err), *q = make_inputs(&query, 1, &plain, &query_part, err);
    if (in && q)
        st = ilki_embed_rerank(m, q, in, n, &opt, true, job, scores, err);
    free(in);
    free(q);
    free(parts);
    free(query_part);
    return st;
}
