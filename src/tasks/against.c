/* SPDX-License-Identifier: Apache-2.0
 * A model's vectors beside somebody else's: row by row the cosine over the entries that both have, then lengths; what
 * makes them differ is causes.c's. */
#include "tasks/against.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/tasks.h"

#define BATCH_TEXTS 4096
#define MIN_COSINE  0.999
#define MAX_STRETCH 0.01 /* of a mean length; half precision and a rounded text form stay below */

double ilki_tasks_length(const float *a, size_t dim)
{
    double sum = 0;
    for (size_t i = 0; i < dim; i++)
        sum += (double)a[i] * (double)a[i];
    return sqrt(sum);
}

double ilki_tasks_cosine(const float *a, const float *b, size_t dim)
{
    double ab = 0, la = ilki_tasks_length(a, dim), lb = ilki_tasks_length(b, dim);
    for (size_t i = 0; i < dim; i++)
        ab += (double)a[i] * (double)b[i];
    return la > 0 && lb > 0 ? ab / (la * lb) : 0;
}

/* Vectors of all texts, in batches that tell progress; a text that has none ends it. */
static ilk_status embed_all(ilki_against *a, ilk_error *err)
{
    ilki_texts_how how = {.role = a->opt->role, .prompt = a->opt->prompt};
    ilk_status st = ilki_embed_vectors_new(&a->own, a->n_texts, a->m->info.dim, err);
    for (size_t first = 0; st == ILK_OK && first < a->n_texts; first += BATCH_TEXTS) {
        size_t n = a->n_texts - first < BATCH_TEXTS ? a->n_texts - first : BATCH_TEXTS;
        ilk_vectors *v = NULL;
        st = ilki_tasks_embed(a->m, a->texts + first, n, &how, a->job, &v, err);
        for (size_t i = 0; st == ILK_OK && i < n; i++) {
            a->own->state[first + i].n_tokens = v->state[i].n_tokens;
            a->own->state[first + i].n_dropped = v->state[i].n_dropped;
            if (v->state[i].status != ILK_OK)
                st = ilki_base_fail(err, v->state[i].status, "text %zu: %s", first + i + 1,
                                    v->state[i].message ? v->state[i].message : "not embedded");
        }
        if (st == ILK_OK)
            memcpy(a->own->data + first * a->own->dim, v->data, n * a->own->dim * sizeof *v->data);
        ilki_embed_vectors_free(v);
        ilki_base_job_progress(a->job, "embed", "texts", first + n, a->n_texts, 0, first + n == a->n_texts);
    }
    return st;
}

static ilk_status compare(ilki_against *a, ilk_error *err)
{
    ilk_against_result *r = a->result;
    size_t n = a->n_texts < a->rows.n ? a->n_texts : a->rows.n;
    double sum = 0, rows = 0, own = 0;
    a->cosine = ilki_base_zalloc(n, sizeof *a->cosine);
    if (!a->cosine)
        return ilki_base_fail_memory(err, n * sizeof *a->cosine, "cosines");
    r->least_cosine = 2;
    for (size_t i = 0; i < n; i++) {
        double c = ilki_tasks_cosine(ilki_tasks_own(a, i), ilki_tasks_row(a, i), a->dim);
        a->cosine[i] = c;
        sum += c;
        rows += ilki_tasks_length(ilki_tasks_row(a, i), a->rows.dim);
        own += ilki_tasks_length(ilki_tasks_own(a, i), a->own->dim);
        if (c < r->least_cosine) {
            r->least_cosine = c;
            r->worst = i;
        }
        if (c < a->min_cosine && r->n_bad++ == 0)
            r->first_bad = i;
    }
    r->n_compared = n;
    r->mean_cosine = sum / (double)n;
    r->row_norm = rows / (double)n;
    r->model_norm = own / (double)n;
    return ILK_OK;
}

static bool same_length(const ilk_against_result *r)
{
    return fabs(r->row_norm - r->model_norm) <= MAX_STRETCH * r->model_norm;
}

static ilk_status read_files(ilki_against *a, ilki_row_texts *f, const char *texts, const char *vectors, ilk_error *err)
{
    const ilki_vfs *vfs = a->m->rt->vfs;
    ilk_status st = ilki_tasks_read_texts(f, vfs, texts, err);
    if (st == ILK_OK)
        st = ilki_tasks_read_rows(&a->rows, vfs, vectors, err);
    if (st != ILK_OK)
        return st;
    a->n_texts = f->n;
    a->texts = ilki_base_zalloc(f->n, sizeof *a->texts);
    if (!a->texts)
        return ilki_base_fail_memory(err, f->n * sizeof *a->texts, "texts");
    for (size_t i = 0; i < f->n; i++)
        a->texts[i] = (ilki_text){ilki_base_buf_view(&f->texts) + f->at[i], f->at[i + 1] - f->at[i]};
    a->dim = a->rows.dim < a->m->info.dim ? a->rows.dim : a->m->info.dim;
    return ILK_OK;
}

ilk_status ilki_tasks_against(ilk_model *m, const char *texts, const char *vectors, const ilk_against_options *opt,
                              ilk_job *job, ilk_against_result *result, ilk_error *err)
{
    ilki_against a = {.m = m,
                      .job = job,
                      .opt = opt,
                      .min_cosine = opt->min_cosine != 0 ? opt->min_cosine : MIN_COSINE,
                      .result = result};
    ilki_row_texts f;
    result->first_bad = result->worst = ILK_NO_ROW;
    ilk_status st = read_files(&a, &f, texts, vectors, err);
    if (st == ILK_OK)
        st = embed_all(&a, err);
    if (st == ILK_OK)
        st = compare(&a, err);
    if (st == ILK_OK) {
        result->n_texts = a.n_texts;
        result->n_rows = a.rows.n;
        result->dim = (uint32_t)a.rows.dim;
        result->model_dim = m->info.dim;
        result->agree = a.n_texts == a.rows.n && a.rows.dim == m->info.dim && result->n_bad == 0 && same_length(result);
        memcpy(result->cause, "none", 5);
        if (!result->agree)
            st = ilki_tasks_find_cause(&a, err);
    }
    free(a.texts);
    free(a.rows.data);
    free(a.cosine);
    ilki_embed_vectors_free(a.own);
    ilki_tasks_texts_deinit(&f);
    return st;
}
