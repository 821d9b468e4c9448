/* SPDX-License-Identifier: Apache-2.0
 * Each picture and caption is embedded once for the pairs of one call. A measure is exact: every query against all rows. */
#include "train/held.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embed/many.h"
#include "embed/rank.h"
#include "kern/ops.h"

enum { CUT = 5, TASK_ROWS = 16 };

/* ------------------------------------------------------------------ vectors */

static size_t n_strings(const ilki_embedder *e, int side)
{
    return side == e->picture_side ? e->all->n_pictures : e->all->n_texts;
}

ilk_status ilki_train_embedder_init(ilki_embedder *e, ilk_error *err)
{
    for (int k = 0; k < 2; k++) {
        size_t n = n_strings(e, k);
        e->place[k] = ilki_base_zalloc(n, sizeof *e->place[k]);
        e->told[k] = ilki_base_zalloc(n, 1);
        if (!e->place[k] || !e->told[k])
            return ilki_base_fail_memory(err, n * sizeof *e->place[k], "pairs");
        memset(e->place[k], 0xff, n * sizeof *e->place[k]);
    }
    return ILK_OK;
}

void ilki_train_embedder_deinit(ilki_embedder *e)
{
    for (int k = 0; k < 2; k++) {
        free(e->place[k]);
        free(e->told[k]);
    }
}

/* One side of some pairs: their strings, each once. */
typedef struct one_side {
    ilki_embedder *e;
    int k;
    uint32_t *number;     /* [n] of the strings */
    const char **strings; /* [n] */
    bool *bad;            /* [n] */
    size_t n;
} one_side;

static void side_deinit(one_side *s)
{
    free(s->number);
    free((void *)s->strings);
    free(s->bad);
}

static ilk_status row_failed(void *user, size_t i, const char *message, ilk_error *err)
{
    one_side *s = user;
    ilki_embedder *e = s->e;
    s->bad[i] = true;
    if (e->told[s->k][s->number[i]])
        return ILK_OK;
    e->told[s->k][s->number[i]] = 1;
    e->n_junk++;
    return e->all->failed(e->all->user, s->strings[i], message, err);
}

static uint32_t string_of(const ilki_embedder *e, int side, const ilki_train_pair *p)
{
    return side == e->picture_side ? p->picture : p->text;
}

static ilk_status collect(one_side *s, ilki_embedder *e, int k, const ilki_train_pair *pairs, size_t n, ilk_error *err)
{
    *s = (one_side){.e = e, .k = k};
    s->number = ilki_base_zalloc(n, sizeof *s->number);
    s->strings = ilki_base_zalloc(n, sizeof *s->strings);
    s->bad = ilki_base_zalloc(n, sizeof *s->bad);
    if (!s->number || !s->strings || !s->bad)
        return ilki_base_fail_memory(err, n * sizeof *s->strings, "pairs");
    for (size_t i = 0; i < n; i++) {
        uint32_t number = string_of(e, k, &pairs[i]);
        if (e->place[k][number] != UINT32_MAX)
            continue;
        e->place[k][number] = (uint32_t)s->n;
        s->number[s->n] = number;
        s->strings[s->n++] = k == e->picture_side ? e->all->pictures[number] : e->all->texts[number];
    }
    return ILK_OK;
}

static ilk_status embed_side(ilki_held *h, one_side *s, ilk_job *job, ilk_error *err)
{
    ilki_embedder *e = s->e;
    size_t n_floats;
    bool pictures = s->k == e->picture_side;
    ilki_many how = {.modality = pictures ? ILK_IMAGE : ILK_TEXT,
                     .role = pictures ? ILK_ROLE_NONE : ILK_ROLE_QUERY, /* captions stand for questions */
                     .stage = pictures ? "pictures" : "captions",
                     .done = e->n_done[s->k],
                     .total = n_strings(e, s->k),
                     .failed = row_failed,
                     .user = s};
    e->n_done[s->k] += s->n;
    h->dim[s->k] = ilki_embed_info(e->model[s->k])->dim;
    h->n_rows[s->k] = s->n;
    h->rows[s->k] = ilki_base_mul(s->n, h->dim[s->k], &n_floats) ? ilki_base_zalloc(n_floats, sizeof(float)) : NULL;
    if (!h->rows[s->k])
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory: %zu vectors of %zu floats", s->n, h->dim[s->k]);
    return ilki_embed_many(e->model[s->k], s->strings, s->n, &how, job, h->rows[s->k], err);
}

static ilk_status take_pairs(ilki_held *h, const one_side s[2], const ilki_train_pair *pairs, size_t n, ilk_error *err)
{
    const ilki_embedder *e = s[0].e;
    for (int k = 0; k < 2; k++)
        if (!(h->row_of[k] = ilki_base_zalloc(n, sizeof *h->row_of[k])))
            return ilki_base_fail_memory(err, n * sizeof *h->row_of[k], "pairs");
    for (size_t i = 0; i < n; i++) {
        uint32_t row[2];
        for (int k = 0; k < 2; k++)
            row[k] = e->place[k][string_of(e, k, &pairs[i])];
        if (s[0].bad[row[0]] || s[1].bad[row[1]])
            continue;
        h->row_of[0][h->n] = row[0];
        h->row_of[1][h->n++] = row[1];
    }
    return ILK_OK;
}

ilk_status ilki_train_hold(ilki_held *h, ilki_embedder *e, const ilki_train_pair *pairs, size_t n, ilk_job *job,
                           ilk_error *err)
{
    one_side s[2] = {{0}, {0}};
    ilk_status st = ILK_OK;
    *h = (ilki_held){0};
    for (int k = 0; k < 2 && st == ILK_OK; k++) {
        st = collect(&s[k], e, k, pairs, n, err);
        if (st == ILK_OK)
            st = embed_side(h, &s[k], job, err);
    }
    if (st == ILK_OK)
        st = take_pairs(h, s, pairs, n, err);
    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < s[k].n; i++)
            e->place[k][s[k].number[i]] = UINT32_MAX;
        side_deinit(&s[k]);
    }
    return st;
}

void ilki_train_held_deinit(ilki_held *h)
{
    for (int k = 0; k < 2; k++) {
        free(h->rows[k]);
        free(h->row_of[k]);
    }
    *h = (ilki_held){0};
}

/* ------------------------------------------------------------------ figures */

typedef struct measure {
    const ilki_held *h;
    const ilki_fit *fit;
    const ilki_kern_ops *ops;
    size_t dim;
    float *rows[2];     /* [n_rows][dim] as they are compared */
    int asks;           /* the side whose rows are the queries */
    size_t *first[2];   /* [n_rows + 1] of right rows of the other side */
    uint32_t *right[2]; /* [n] */
    float *scores;      /* [threads][n_rows of the other side] */
    uint8_t *hit;       /* [n_rows of the side that asks] */
} measure;

static void make_unit(float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t i = 0; i < n && sum > 0; i++)
        x[i] = (float)((double)x[i] / sqrt(sum));
}

static void project_rows(void *arg, size_t index, unsigned slot)
{
    const measure *m = arg;
    size_t d = m->h->dim[0],
           last = (index + 1) * TASK_ROWS < m->h->n_rows[0] ? (index + 1) * TASK_ROWS : m->h->n_rows[0];
    (void)slot;
    for (size_t i = index * TASK_ROWS; i < last; i++) {
        float *to = m->rows[0] + i * m->dim;
        m->ops->dot_f32_rows(to, m->h->rows[0] + i * d, m->fit->weight, d, m->dim, d);
        for (size_t k = 0; k < m->dim; k++)
            to[k] += m->fit->bias[k];
        make_unit(to, m->dim);
    }
}

static void cut_rows(measure *m, int side)
{
    for (size_t i = 0; i < m->h->n_rows[side]; i++) {
        memcpy(m->rows[side] + i * m->dim, m->h->rows[side] + i * m->h->dim[side], m->dim * sizeof(float));
        make_unit(m->rows[side] + i * m->dim, m->dim);
    }
}

static void rank_rows(void *arg, size_t index, unsigned slot)
{
    const measure *m = arg;
    int asks = m->asks;
    size_t n = m->h->n_rows[!asks], last = (index + 1) * TASK_ROWS;
    float *scores = m->scores + (size_t)slot * n;
    last = last < m->h->n_rows[asks] ? last : m->h->n_rows[asks];
    for (size_t i = index * TASK_ROWS; i < last; i++) {
        const size_t *first = m->first[asks] + i;
        m->ops->dot_f32_rows(scores, m->rows[asks] + i * m->dim, m->rows[!asks], m->dim, n, m->dim);
        m->hit[i] = first[1] > first[0] &&
                    ilki_embed_first_place(scores, n, m->right[asks] + first[0], first[1] - first[0]) < CUT;
    }
}

/* Right rows of a side's rows: a count, a sum, a fill. */
static void join(measure *m, int side)
{
    size_t *first = m->first[side], n = m->h->n_rows[side];
    for (size_t i = 0; i < m->h->n; i++)
        first[m->h->row_of[side][i] + 1]++;
    for (size_t i = 0; i < n; i++)
        first[i + 1] += first[i];
    for (size_t i = m->h->n; i-- > 0;)
        m->right[side][--first[m->h->row_of[side][i] + 1]] = m->h->row_of[!side][i];
    memmove(first, first + 1, n * sizeof *first); /* each had moved back to its own first */
    first[n] = m->h->n;
}

static ilk_status recall(measure *m, int asks, ilki_pool *pool, ilk_job *job, double *to, ilk_error *err)
{
    size_t n = m->h->n_rows[asks], hits = 0, asked = 0;
    m->asks = asks;
    m->scores = ilki_base_zalloc(ilki_base_pool_threads(pool) * m->h->n_rows[!asks], sizeof *m->scores);
    m->hit = ilki_base_zalloc(n, 1);
    ilk_status st = m->scores && m->hit ? ILK_OK : ilki_base_fail_memory(err, n, "scores");
    ilki_run run = {.fn = rank_rows,
                    .arg = m,
                    .n_tasks = (n + TASK_ROWS - 1) / TASK_ROWS,
                    .cost_ns = (uint64_t)n * m->h->n_rows[!asks] * (m->dim / 8 + 1),
                    .job = job};
    if (st == ILK_OK)
        st = ilki_base_pool_run(pool, &run, err);
    for (size_t i = 0; i < n && st == ILK_OK; i++) {
        asked += m->first[asks][i + 1] > m->first[asks][i];
        hits += m->hit[i];
    }
    *to = asked ? (double)hits / (double)asked : 0;
    free(m->scores);
    free(m->hit);
    return st;
}

static double mean_cosine(const measure *m)
{
    double sum = 0;
    for (size_t i = 0; i < m->h->n; i++)
        sum += (double)m->ops->dot_f32(m->rows[0] + m->h->row_of[0][i] * m->dim,
                                       m->rows[1] + m->h->row_of[1][i] * m->dim, m->dim);
    return m->h->n ? sum / (double)m->h->n : 0;
}

static ilk_status make_rows(measure *m, ilki_pool *pool, ilk_job *job, ilk_error *err)
{
    size_t least = m->h->dim[0] < m->h->dim[1] ? m->h->dim[0] : m->h->dim[1];
    m->dim = m->fit ? m->h->dim[1] : least;
    for (int k = 0; k < 2; k++) {
        m->rows[k] = ilki_base_zalloc(m->h->n_rows[k] * m->dim, sizeof *m->rows[k]);
        m->first[k] = ilki_base_zalloc(m->h->n_rows[k] + 1, sizeof *m->first[k]);
        m->right[k] = ilki_base_zalloc(m->h->n, sizeof *m->right[k]);
        if (!m->rows[k] || !m->first[k] || !m->right[k])
            return ilki_base_fail_memory(err, m->h->n_rows[k] * m->dim * sizeof(float), "vectors");
        join(m, k);
    }
    cut_rows(m, 1);
    if (!m->fit) {
        cut_rows(m, 0);
        return ILK_OK;
    }
    ilki_run run = {.fn = project_rows,
                    .arg = m,
                    .n_tasks = (m->h->n_rows[0] + TASK_ROWS - 1) / TASK_ROWS,
                    .cost_ns = (uint64_t)m->h->n_rows[0] * m->dim * (m->h->dim[0] / 8 + 1),
                    .job = job};
    return ilki_base_pool_run(pool, &run, err);
}

ilk_status ilki_train_measure(const ilki_held *h, const ilki_fit *fit, int picture_side, ilk_runtime *rt, ilk_job *job,
                              ilki_measured *to, ilk_error *err)
{
    measure m = {.h = h, .fit = fit, .ops = rt->ops};
    *to = (ilki_measured){{0, 0}, 0};
    ilk_status st = make_rows(&m, rt->pool, job, err);
    if (st == ILK_OK)
        st = recall(&m, !picture_side, rt->pool, job, &to->recall[0], err);
    if (st == ILK_OK)
        st = recall(&m, picture_side, rt->pool, job, &to->recall[1], err);
    if (st == ILK_OK)
        to->cosine = mean_cosine(&m);
    for (int k = 0; k < 2; k++) {
        free(m.rows[k]);
        free(m.first[k]);
        free(m.right[k]);
    }
    return st;
}
