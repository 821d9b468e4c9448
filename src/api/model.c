/* SPDX-License-Identifier: Apache-2.0
 * ilk_model_*, ilk_embed*, ilk_vectors_*, ilk_tokens_*: argument checks before room embed. Structs that a caller fills are
 * copied over defaults, so that one built against an older header is read only as far as it goes; elements of arrays step
 * by the size of the first, and this version's are the smallest there are. */
#include <math.h>
#include <stdlib.h>

#include "api/sized.h"
#include "embed/state.h"

void ilk_model_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_model_info_init_sized(void *info, size_t size)
{
    ilki_api_init_sized(info, size);
}

void ilk_part_init_sized(void *part, size_t size)
{
    ilki_api_init_sized(part, size);
}

void ilk_input_init_sized(void *in, size_t size)
{
    ilki_api_init_sized(in, size);
}

void ilk_embed_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_rerank_options_init_sized(void *opt, size_t size)
{
    ilki_api_init_sized(opt, size);
}

void ilk_matrix_init_sized(void *m, size_t size)
{
    ilki_api_init_sized(m, size);
}

/* ------------------------------------------------------------------ models */

ilk_status ilk_precision_parse(const char *name, ilk_precision *precision, ilk_attention *attention, ilk_error *err)
{
    const char *known;
    if (name == NULL || precision == NULL || attention == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_precision_parse: %s is NULL",
                              name == NULL        ? "name"
                              : precision == NULL ? "precision"
                                                  : "attention");
    for (int p = 0; (known = ilk_precision_name((ilk_precision)p)) != NULL; p++) {
        size_t n = strlen(known);
        if (strncmp(name, known, n) != 0)
            continue;
        bool f32 = strcmp(name + n, ILKI_ATTENDS_F32) == 0 && p > ILK_PRECISION_F32;
        if (name[n] != '\0' && !f32)
            continue;
        *precision = (ilk_precision)p;
        *attention = f32 ? ILK_ATTENTION_F32 : ILK_ATTENTION_AUTO;
        return ILK_OK;
    }
    return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                          "expected auto, f32, bf16, int8 or int8w, behind the last three maybe " ILKI_ATTENDS_F32
                          "; found \"%.64s\"",
                          name);
}

ilk_status ilk_model_open(ilk_model **out, ilk_runtime *rt, const char *where, const ilk_model_options *opt,
                          ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_model_open: out is NULL");
    *out = NULL;
    if (rt == NULL || where == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_model_open: %s is NULL", rt == NULL ? "runtime" : "where");
    ilk_model_options o;
    ilk_model_options_init(&o);
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st == ILK_OK && opt != NULL)
        st = ilki_base_take_options(&o, sizeof o, opt, "model options", err);
    if (st == ILK_OK && !ilk_precision_name(o.precision))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "model options: precision: expected one of ilk.h, found %d",
                            (int)o.precision);
    if (st == ILK_OK && !ilk_attention_name(o.attention))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "model options: attention: expected one of ilk.h, found %d",
                            (int)o.attention);
    if (st == ILK_OK && o.batch_tokens > 1u << 20)
        st = ilki_base_fail(err, ILK_LIMIT, "model options: batch_tokens is %u, at most %u", o.batch_tokens, 1u << 20);
    if (st == ILK_OK && ((int)o.packed_cache < 0 || o.packed_cache > ILK_PACKED_OFF))
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "model options: packed_cache: expected one of ilk.h, found %d",
                            (int)o.packed_cache);
    return st == ILK_OK ? ilki_embed_open(out, rt, where, &o, err) : st;
}

void ilk_model_close(ilk_model *m)
{
    ilki_embed_close(m);
}

static ilk_status check_model(const ilk_model *m, const char *function, ilk_error *err)
{
    if (m == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: model is NULL", function);
    return ilki_base_runtime_check(m->rt, err);
}

ilk_status ilk_model_get_info(const ilk_model *m, ilk_model_info *info, ilk_error *err)
{
    ilk_status st = check_model(m, "ilk_model_get_info", err);
    return st == ILK_OK ? ilki_api_give_sized(info, ilki_embed_info(m), sizeof *info, "model info", err) : st;
}

ilk_status ilk_model_get_prompt(const ilk_model *m, size_t i, const char **name, const char **text, ilk_error *err)
{
    ilk_status st = check_model(m, "ilk_model_get_prompt", err);
    if (st != ILK_OK)
        return st;
    if (i >= m->modules.n_prompts)
        return ilki_base_fail(err, ILK_NOT_FOUND, "prompt %zu: the model has %zu", i, m->modules.n_prompts);
    if (name != NULL)
        *name = m->modules.prompts[i].name;
    if (text != NULL)
        *text = m->modules.prompts[i].text;
    return ILK_OK;
}

ilk_status ilk_model_get_fingerprint(ilk_model *m, ilk_job *job, const char **hex, ilk_error *err)
{
    if (hex == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_model_get_fingerprint: hex is NULL");
    *hex = NULL;
    ilk_status st = check_model(m, "ilk_model_get_fingerprint", err);
    return st == ILK_OK ? ilki_embed_fingerprint(m, job, hex, err) : st;
}

ilk_status ilk_model_get_similarity(const ilk_model *m, const float *a, const float *b, size_t dim, float *score,
                                    ilk_error *err)
{
    ilk_status st = check_model(m, "ilk_model_get_similarity", err);
    if (st != ILK_OK)
        return st;
    if (a == NULL || b == NULL || score == NULL || dim == 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "ilk_model_get_similarity: expected two vectors and a score to fill");
    return ilki_embed_similarity(m, a, b, dim, score, err);
}

/* ------------------------------------------------------------------ embedding */

static ilk_status check_inputs(const ilk_input *in, size_t n_in, ilk_error *err)
{
    if (n_in == 0)
        return ILK_OK;
    if (in == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "inputs: NULL for %zu of them", n_in);
    if (in->size < sizeof *in || in->size > 65536)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "inputs: size is %zu: call ilk_input_init first", in->size);
    for (size_t i = 0; i < n_in; i++) {
        const ilk_input *p = (const ilk_input *)(const void *)((const char *)in + i * in->size);
        if (p->n_parts && (p->parts == NULL || p->parts->size < sizeof *p->parts || p->parts->size > 65536))
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "input %zu: parts: call ilk_part_init first", i);
    }
    return ILK_OK;
}

static ilk_status take_embed_options(ilk_embed_options *o, const ilk_embed_options *opt, ilk_error *err)
{
    ilk_embed_options_init(o);
    return opt != NULL ? ilki_base_take_options(o, sizeof *o, opt, "embed options", err) : ILK_OK;
}

ilk_status ilk_embed(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                     ilk_vectors **out, ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_embed: out is NULL");
    *out = NULL;
    ilk_embed_options o;
    ilk_status st = check_model(m, "ilk_embed", err);
    if (st == ILK_OK)
        st = take_embed_options(&o, opt, err);
    if (st == ILK_OK)
        st = check_inputs(in, n_in, err);
    return st == ILK_OK ? ilki_embed_run(m, in, n_in, &o, job, out, err) : st;
}

static ilk_status check_rerank(const ilk_model *m, const char *call, const ilk_input *query, const ilk_input *docs,
                               size_t n_docs, ilk_error *err)
{
    ilk_status st = check_model(m, call, err);
    if (st == ILK_OK && query == NULL)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: query is NULL", call);
    if (st == ILK_OK)
        st = check_inputs(query, 1, err);
    return st == ILK_OK ? check_inputs(docs, n_docs, err) : st;
}

static ilk_status take_rerank_options(ilk_rerank_options *o, const ilk_rerank_options *opt, ilk_error *err)
{
    ilk_rerank_options_init(o);
    return opt != NULL ? ilki_base_take_options(o, sizeof *o, opt, "rerank options", err) : ILK_OK;
}

ilk_status ilk_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                      const ilk_rerank_options *opt, ilk_job *job, float *scores, ilk_error *err)
{
    ilk_rerank_options o;
    ilk_status st = check_rerank(m, "ilk_rerank", query, docs, n_docs, err);
    if (st == ILK_OK)
        st = take_rerank_options(&o, opt, err);
    if (st == ILK_OK && scores == NULL && n_docs)
        st = ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_rerank: scores is NULL");
    return st == ILK_OK ? ilki_embed_rerank(m, query, docs, n_docs, &o, false, job, scores, err) : st;
}

ilk_status ilk_submit_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                             const ilk_rerank_options *opt, ilk_job *job, ilk_error *err)
{
    ilk_rerank_options o;
    ilk_status st = check_rerank(m, "ilk_submit_rerank", query, docs, n_docs, err);
    if (st == ILK_OK)
        st = take_rerank_options(&o, opt, err);
    return st == ILK_OK ? ilki_embed_submit_rerank(m, query, docs, n_docs, &o, job, err) : st;
}

ilk_status ilk_embed_text(ilk_model *m, const char *text, ilk_role role, float *out, size_t dim, ilk_error *err)
{
    ilk_status st = check_model(m, "ilk_embed_text", err);
    if (st != ILK_OK)
        return st;
    if (text == NULL || out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_embed_text: %s is NULL", text == NULL ? "text" : "out");
    if (dim != m->info.dim)
        return ilki_base_fail(err, ILK_MISMATCH, "ilk_embed_text: room for %zu floats, the model's vectors have %u",
                              dim, m->info.dim);
    ilk_part part;
    ilk_input in;
    ilk_embed_options o;
    ilk_vectors *v = NULL;
    ilk_part_init(&part);
    ilk_input_init(&in);
    ilk_embed_options_init(&o);
    part.kind = ILK_PART_TEXT;
    part.modality = ILK_TEXT;
    part.data = text;
    part.n_bytes = strlen(text);
    in.parts = &part;
    in.n_parts = 1;
    in.role = role;
    st = ilki_embed_run(m, &in, 1, &o, NULL, &v, err);
    if (st == ILK_OK && v->state[0].status != ILK_OK)
        st = ilki_base_fail(err, v->state[0].status, "%s", v->state[0].message ? v->state[0].message : "not embedded");
    if (st == ILK_OK)
        memcpy(out, v->data, dim * sizeof *out);
    ilki_embed_vectors_free(v);
    return st;
}

ilk_status ilk_submit(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                      ilk_error *err)
{
    ilk_embed_options o;
    ilk_status st = check_model(m, "ilk_submit", err);
    if (st == ILK_OK)
        st = take_embed_options(&o, opt, err);
    if (st == ILK_OK)
        st = check_inputs(in, n_in, err);
    return st == ILK_OK ? ilki_embed_submit(m, in, n_in, &o, job, err) : st;
}

ilk_status ilk_wait(ilk_job *job, ilk_vectors **out, ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_wait: out is NULL");
    return ilki_embed_wait(job, out, err);
}

/* ------------------------------------------------------------------ vectors */

void ilk_vectors_free(ilk_vectors *v)
{
    ilki_embed_vectors_free(v);
}

size_t ilk_vectors_get_count(const ilk_vectors *v)
{
    return v != NULL ? v->n : 0;
}

const float *ilk_vectors_get_dense(const ilk_vectors *v, size_t i, size_t *n)
{
    if (n != NULL)
        *n = 0;
    if (v == NULL || i >= v->n || v->state[i].status != ILK_OK)
        return NULL;
    if (n != NULL)
        *n = v->dim;
    return v->data + i * v->dim;
}

ilk_status ilk_vectors_get_status(const ilk_vectors *v, size_t i, const char **message)
{
    if (message != NULL)
        *message = v != NULL && i < v->n ? v->state[i].message : NULL;
    return v != NULL && i < v->n ? v->state[i].status : ILK_BAD_ARGUMENT;
}

size_t ilk_vectors_get_tokens(const ilk_vectors *v, size_t i, size_t *n_dropped)
{
    bool there = v != NULL && i < v->n;
    if (n_dropped != NULL)
        *n_dropped = there ? v->state[i].n_dropped : 0;
    return there ? v->state[i].n_tokens : 0;
}

uint32_t ilk_vectors_get_fused(const ilk_vectors *v, size_t i)
{
    return v != NULL && i < v->n ? v->state[i].fused : 0;
}

ilk_status ilk_vectors_view_matrix(const ilk_vectors *v, ilk_matrix *m, ilk_error *err)
{
    if (v == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_vectors_view_matrix: vectors is NULL");
    ilk_matrix all = {.size = sizeof all, .data = v->data, .rows = v->n, .dim = v->dim, .stride = v->dim};
    return ilki_api_give_sized(m, &all, sizeof all, "matrix", err);
}

/* ------------------------------------------------------------------ tokens */

struct ilk_tokens {
    ilki_encoding encoding;
};

ilk_status ilk_tokenize(ilk_model *m, const char *text, size_t n_bytes, ilk_tokens **out, ilk_error *err)
{
    if (out == NULL)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_tokenize: out is NULL");
    *out = NULL;
    ilk_status st = check_model(m, "ilk_tokenize", err);
    if (st != ILK_OK)
        return st;
    if (m->tokenizer == NULL)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "ilk_tokenize: this model reads pictures alone");
    if (text == NULL && n_bytes)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "ilk_tokenize: text is NULL for %zu bytes", n_bytes);
    ilk_tokens *t = ilki_base_zalloc(1, sizeof *t);
    ilki_text_scratch *scratch = ilki_text_scratch_new();
    ilki_encode_options o = {.max_tokens = m->info.max_tokens, .add_specials = true};
    if (t == NULL || scratch == NULL)
        st = ilki_base_fail_memory(err, sizeof *t, "tokens");
    else
        st = ilki_text_encode(m->tokenizer, scratch, text != NULL ? text : "", n_bytes, &o, &t->encoding, err);
    ilki_text_scratch_free(scratch);
    if (st != ILK_OK) {
        ilk_tokens_free(t);
        return st;
    }
    *out = t;
    return ILK_OK;
}

void ilk_tokens_free(ilk_tokens *t)
{
    if (t == NULL)
        return;
    ilki_text_encoding_deinit(&t->encoding);
    free(t);
}

const int32_t *ilk_tokens_get_ids(const ilk_tokens *t, size_t *n)
{
    if (n != NULL)
        *n = t != NULL ? t->encoding.n : 0;
    return t != NULL ? t->encoding.ids : NULL;
}
