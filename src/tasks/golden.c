/* SPDX-License-Identifier: Apache-2.0
 * Golden values of known models: the rows of known.def run through a model. A row's own tolerance is of f32; what a
 * smaller precision may move a similarity by is added. A precision also has to keep the vectors themselves: the cosine to
 * those of f32 over the texts and pictures of the rows is 0.999 on average and 0.995 at worst, beyond twelve layers 0.998 and 0.99. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "embed/known.h"
#include "tasks/against.h"
#include "tasks/goldens.h"
#include "tasks/tasks.h"
#include "tasks/texts.h"

#define BF16_SHIFT 0.01
#define INT8_SHIFT 0.03

typedef struct run {
    ilk_model *m, *f32;
    const ilk_verify_options *opt;
    ilk_job *job;
    ilk_golden_result *result;
    double sum, least; /* cosines to f32 */
    size_t n;
} run;

static double shift_of(ilk_precision p)
{
    return p == ILK_PRECISION_F32 || p == ILK_PRECISION_AUTO ? 0 : p == ILK_PRECISION_BF16 ? BF16_SHIFT : INT8_SHIFT;
}

static void tell(run *r, ilk_golden *g)
{
    r->result->n_held += g->held != 0;
    r->result->n_skipped += g->skipped != NULL;
    r->result->n_failed += !g->held && !g->skipped;
    if (r->opt->each)
        r->opt->each(r->opt->user, g);
}

/* What a smaller precision may move a value by: a cosine by its shift, a score against a text by that times the scale, a
 * share by a quarter of that, the steepest that both functions are. */
static double shift_of_kind(const run *r, ilki_golden_kind kind)
{
    double shift = shift_of(r->m->info.precision), scale = (double)r->m->info.compare_scale;
    return kind == ILKI_GOLDEN_LOGIT ? shift * scale : kind == ILKI_GOLDEN_PROB ? shift * scale / 4 : shift;
}

static void check(run *r, const ilki_golden_row *row, double got, size_t i, const char *fmt, ...) ILKI_PRINTF(5, 6);
static void check(run *r, const ilki_golden_row *row, double got, size_t i, const char *fmt, ...)
{
    char what[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    double size = fabs(row->v[i]) > 1 ? fabs(row->v[i]) : 1;
    ilk_golden g = {.size = sizeof g,
                    .what = what,
                    .got = got,
                    .want = row->v[i],
                    .tolerance = row->tolerance * size +
                                 shift_of_kind(r, row->kind) * (row->kind < ILKI_GOLDEN_LOGIT ? size : 1),
                    .source = row->source};
    g.held = fabs(got - g.want) <= g.tolerance;
    tell(r, &g);
}

static void skip(run *r, const ilki_golden_row *row, const char *what, const char *why)
{
    ilk_golden g = {.size = sizeof g, .what = what, .want = row->v[0], .skipped = why, .source = row->source};
    tell(r, &g);
}

static ilk_status check_embedded(ilk_vectors *const v[2], ilk_error *err)
{
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; v[k] && i < v[k]->n; i++)
            if (v[k]->state[i].status != ILK_OK)
                return ilki_base_fail(err, v[k]->state[i].status, "a golden value: %s",
                                      v[k]->state[i].message ? v[k]->state[i].message : "not embedded");
    return ILK_OK;
}

/* One vector a text; the first of a role, the rest of another. */
static ilk_status embed(ilk_model *m, const ilki_golden_row *row, const ilki_text *texts, size_t n, ilk_job *job,
                        ilk_vectors *v[2], ilk_error *err)
{
    bool sides = row->kind == ILKI_GOLDEN_SIMILARITY;
    ilki_texts_how how = {.role = sides ? ILK_ROLE_QUERY : ILK_ROLE_NONE,
                          .prompt = sides ? NULL : "",
                          .normalize = row->kind == ILKI_GOLDEN_ENTRIES};
    size_t first = sides ? 1 : n;
    v[0] = v[1] = NULL;
    ilk_status st = ilki_tasks_embed(m, texts, first, &how, job, &v[0], err);
    how.role = ILK_ROLE_DOCUMENT;
    if (st == ILK_OK && sides)
        st = ilki_tasks_embed(m, texts + 1, n - 1, &how, job, &v[1], err);
    return st == ILK_OK ? check_embedded(v, err) : st;
}

static void add_floor(run *r, ilk_vectors *const v[2], ilk_vectors *const f[2])
{
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; v[k] && f[k] && i < v[k]->n; i++) {
            double c = ilki_tasks_cosine(v[k]->data + i * v[k]->dim, f[k]->data + i * f[k]->dim, v[k]->dim);
            r->sum += c;
            r->least = r->n++ == 0 || c < r->least ? c : r->least;
        }
}

static void check_vectors(run *r, const ilki_golden_row *row, ilk_vectors *const v[2])
{
    size_t dim = v[0]->dim, at = 0;
    const float *a = v[0]->data;
    float score;
    for (size_t i = 0; row->kind == ILKI_GOLDEN_ENTRIES && i < row->n && i < dim; i++)
        check(r, row, (double)a[i], i, "entry %zu of a vector", i);
    for (size_t i = 0; row->kind == ILKI_GOLDEN_SIMILARITY && i < row->n && i < v[1]->n; i++)
        if (ilki_embed_similarity(r->m, a, v[1]->data + i * dim, dim, &score, NULL) == ILK_OK)
            check(r, row, (double)score, i, "similarity to document %zu", i + 1);
    for (size_t i = 0; row->kind == ILKI_GOLDEN_COSINE && i < v[0]->n; i++)
        for (size_t k = i + 1; k < v[0]->n && at < row->n; k++)
            check(r, row, ilki_tasks_cosine(a + i * dim, a + k * dim, dim), at++, "cosine of texts %zu and %zu", i + 1,
                  k + 1);
}

static ilk_status run_vectors(run *r, const ilki_golden_row *row, const ilki_text *texts, size_t n, ilk_error *err)
{
    ilk_vectors *v[2], *f[2] = {NULL, NULL};
    if (!(r->m->info.heads & ILK_HEAD_DENSE)) {
        skip(r, row, "vectors", "the model makes none");
        return ILK_OK;
    }
    ilk_status st = embed(r->m, row, texts, n, r->job, v, err);
    if (st == ILK_OK && r->f32)
        st = embed(r->f32, row, texts, n, r->job, f, err);
    if (st == ILK_OK) {
        check_vectors(r, row, v);
        add_floor(r, v, f);
    }
    for (size_t k = 0; k < 2; k++) {
        ilki_embed_vectors_free(v[k]);
        ilki_embed_vectors_free(f[k]);
    }
    return st;
}

static ilk_status run_scores(run *r, const ilki_golden_row *row, const ilki_text *texts, size_t n, ilk_error *err)
{
    float scores[ILKI_GOLDEN_TEXTS];
    if (!(r->m->info.heads & ILK_HEAD_SCORE)) {
        skip(r, row, "scores", "the model is no reranker");
        return ILK_OK;
    }
    ilk_status st = ilki_tasks_rerank(r->m, texts[0], texts + 1, n - 1, r->job, scores, err);
    bool prob = st == ILK_OK && r->m->info.score_kind && strcmp(r->m->info.score_kind, "prob") == 0;
    for (size_t i = 0; st == ILK_OK && i < row->n && i + 1 < n; i++) {
        double x = (double)scores[i];
        check(r, row, prob ? 1 / (1 + exp(-x)) : x, i, "score of document %zu", i + 1);
    }
    return st;
}

/* ------------------------------------------------------------------ pictures */

/* Why a row of a picture cannot be run, NULL: its bytes are in *data. */
static ilk_status get_picture(const run *r, const ilki_golden_row *row, char why[512], char **data, size_t *n,
                              ilk_error *err)
{
    const ilki_golden_picture *p = row->set->picture;
    bool labels = row->kind == ILKI_GOLDEN_LOGIT || row->kind == ILKI_GOLDEN_PROB;
    why[0] = 0;
    *data = NULL;
    if (!(r->m->info.modalities & 1u << ILK_IMAGE) || (labels && !r->m->info.compare_by)) {
        snprintf(why, 512, "the model %s", labels ? "does not compare pictures with texts" : "sees no pictures");
        return ILK_OK;
    }
    if (!r->opt->pictures) {
        snprintf(why, 512, "it needs %s, which does not travel with ilk: a folder that has it was not named", p->where);
        return ILK_OK;
    }
    ilk_status st = ilki_tasks_find_picture(r->m->rt->vfs, r->opt->pictures, p, data, n, err);
    if (st != ILK_NOT_FOUND)
        return st;
    snprintf(why, 512, "no file of %s is %s (SHA-256 %.12s...)", r->opt->pictures, p->where, p->sha256);
    return ILK_OK;
}

/* v[0]: the picture's vector, v[1]: those of its labels; at unit length. */
static ilk_status embed_picture(ilk_model *m, const ilki_golden_row *row, ilki_text picture, ilk_job *job,
                                ilk_vectors *v[2], ilk_error *err)
{
    ilki_text texts[ILKI_GOLDEN_TEXTS];
    ilki_texts_how image = {.normalize = 1, .kind = ILK_PART_ENCODED}, text = {.normalize = 1, .prompt = ""};
    size_t n = row->kind == ILKI_GOLDEN_ENTRIES ? 0 : row->set->n;
    v[0] = v[1] = NULL;
    for (size_t i = 0; i < n; i++)
        texts[i] = (ilki_text){row->set->texts[i], strlen(row->set->texts[i])};
    ilk_status st = ilki_tasks_embed(m, &picture, 1, &image, job, &v[0], err);
    if (st == ILK_OK && n)
        st = ilki_tasks_embed(m, texts, n, &text, job, &v[1], err);
    return st == ILK_OK ? check_embedded(v, err) : st;
}

static void check_picture(run *r, const ilki_golden_row *row, ilk_vectors *const v[2])
{
    const ilk_model_info *info = &r->m->info;
    double logit[ILKI_GOLDEN_TEXTS], top = -INFINITY, sum = 0;
    size_t n = v[1] ? v[1]->n : 0;
    for (size_t i = 0; !v[1] && i < row->n && i < v[0]->dim; i++)
        check(r, row, (double)v[0]->data[i], i, "entry %zu of the vector of %s", i, row->set->picture->name);
    for (size_t i = 0; i < n; i++) {
        logit[i] = (double)info->compare_scale * ilki_tasks_cosine(v[0]->data, v[1]->data + i * v[1]->dim, v[0]->dim) +
                   (double)info->compare_bias;
        top = fmax(top, logit[i]);
    }
    for (size_t i = 0; i < n; i++)
        sum += exp(logit[i] - top);
    bool sigmoid = n && strcmp(info->compare_by, "sigmoid") == 0;
    for (size_t i = 0; i < row->n && i < n; i++)
        if (row->kind == ILKI_GOLDEN_LOGIT)
            check(r, row, logit[i], i, "score of %s against \"%s\"", row->set->picture->name, row->set->texts[i]);
        else
            check(r, row, sigmoid ? 1 / (1 + exp(-logit[i])) : exp(logit[i] - top) / sum, i, "share of \"%s\" in %s",
                  row->set->texts[i], row->set->picture->name);
}

static ilk_status run_picture(run *r, const ilki_golden_row *row, ilk_error *err)
{
    char why[512], what[96], *data;
    size_t n = 0;
    ilk_vectors *v[2] = {NULL, NULL}, *f[2] = {NULL, NULL};
    ilk_status st = get_picture(r, row, why, &data, &n, err);
    snprintf(what, sizeof what, "%zu values of %s", row->n, row->set->picture->name);
    if (st == ILK_OK && !data)
        skip(r, row, what, why);
    if (st != ILK_OK || !data)
        return st;
    ilki_text picture = {data, n};
    st = embed_picture(r->m, row, picture, r->job, v, err);
    if (st == ILK_OK && r->f32)
        st = embed_picture(r->f32, row, picture, r->job, f, err);
    if (st == ILK_OK) {
        check_picture(r, row, v);
        add_floor(r, v, f);
    }
    for (size_t k = 0; k < 2; k++) {
        ilki_embed_vectors_free(v[k]);
        ilki_embed_vectors_free(f[k]);
    }
    free(data);
    return st;
}

/* ------------------------------------------------------------------ rows */

static ilk_status run_row(run *r, const ilki_golden_row *row, ilk_error *err)
{
    ilki_text texts[ILKI_GOLDEN_TEXTS];
    size_t n = row->set->n;
    if (row->set->picture)
        return run_picture(r, row, err);
    for (size_t i = 0; i < n; i++)
        texts[i] = (ilki_text){row->set->texts[i], strlen(row->set->texts[i])};
    return row->kind == ILKI_GOLDEN_SCORE ? run_scores(r, row, texts, n, err) : run_vectors(r, row, texts, n, err);
}

static void check_floor(run *r)
{
    bool deep = r->m->info.n_layers > 12;
    double mean = r->n ? r->sum / (double)r->n : 0;
    ilk_golden g = {.size = sizeof g, .want = 1, .source = "ilk's own floor for a precision"};
    if (!r->f32 || r->n == 0)
        return;
    g.what = "mean cosine to f32";
    g.got = mean;
    g.tolerance = deep ? 0.002 : 0.001;
    g.held = mean >= 1 - g.tolerance;
    tell(r, &g);
    g.what = "least cosine to f32";
    g.got = r->least;
    g.tolerance = deep ? 0.01 : 0.005;
    g.held = r->least >= 1 - g.tolerance;
    tell(r, &g);
}

/* The known id that a model goes by: its short name or id, without a revision; or that of its folder in the cache,
 * ".../models--ORG--NAME/snapshots/...". NULL: none. */
static const char *known_id(const ilk_model *m)
{
    if (m->projection) /* published values are of what comes into it */
        return NULL;
    const char *at = strchr(m->info.id, '@'), *folder = strstr(m->info.path, "models--");
    const ilk_known *k = ilki_embed_known_find(m->info.id, at ? (size_t)(at - m->info.id) : strlen(m->info.id));
    if (k)
        return k->id;
    for (size_t i = 0; ilki_tasks_golden_at(i); i++) {
        const char *id = ilki_tasks_golden_at(i)->id, *slash = strchr(id, '/');
        size_t n = strlen(id), org = (size_t)(slash - id);
        if (strncmp(m->info.id, id, n) == 0 && (m->info.id[n] == 0 || m->info.id[n] == '@'))
            return id;
        if (folder && strncmp(folder + 8, id, org) == 0 && strncmp(folder + 8 + org, "--", 2) == 0 &&
            strncmp(folder + 10 + org, slash + 1, n - org - 1) == 0 && (folder[9 + n] == '/' || folder[9 + n] == 0))
            return id;
    }
    return NULL;
}

ilk_status ilki_tasks_run_goldens(ilk_model *m, const ilk_verify_options *opt, const ilki_golden_row *rows, size_t n,
                                  const char *id, ilk_job *job, ilk_golden_result *result, ilk_error *err)
{
    run r = {.m = m, .f32 = opt->f32, .opt = opt, .job = job, .result = result};
    size_t n_run = 0;
    ilk_status st = ILK_OK;
    for (size_t i = 0; id && st == ILK_OK && i < n; i++) {
        if (strcmp(rows[i].id, id) != 0)
            continue;
        n_run++;
        result->id = rows[i].id;
        st = run_row(&r, &rows[i], err);
    }
    if (st == ILK_OK && n_run == 0)
        return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no golden values are known of %s", m->info.id,
                              id ? id : "a model of this name");
    if (st == ILK_OK)
        check_floor(&r);
    return st;
}

ilk_status ilki_tasks_known(ilk_model *m, const ilk_verify_options *opt, ilk_job *job, ilk_golden_result *result,
                            ilk_error *err)
{
    const char *known = opt->known;
    const ilk_known *k = known ? ilki_embed_known_find(known, strlen(known)) : NULL;
    size_t n = 0;
    while (ilki_tasks_golden_at(n))
        n++;
    return ilki_tasks_run_goldens(m, opt, ilki_tasks_golden_at(0), n,
                                  k       ? k->id
                                  : known ? known
                                          : known_id(m),
                                  job, result, err);
}
