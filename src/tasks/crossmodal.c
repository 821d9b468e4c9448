/* SPDX-License-Identifier: Apache-2.0
 * Retrieval between pictures and their captions, both ways, as the literature on CLIP has it: R@k is the share of queries
 * with a right answer among the first k (a hit rate). A caption that several pictures have is one text, right for all of
 * them; a picture is right for any of its captions. Within a language the texts are those said in it, and the pictures
 * those of which something is said in it. Of equal scores the row that comes first is first: pictures and texts stand in
 * the order of the file. All vectors stand in memory; scores are made row by row on the pool. */
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "embed/many.h"
#include "embed/rank.h"
#include "embed/state.h"
#include "tasks/captions.h"
#include "tasks/tasks.h"

static const uint32_t cuts[ILK_CAPTION_CUTS] = {1, 5, 10};

/* One side: rows of unit vectors. */
typedef struct side {
    const ilki_ids *ids;
    float *rows; /* [ids->n][dim] */
    bool *bad;   /* [ids->n] no vector */
    ilki_notes *notes;
} side;

/* What is compared: rows of both sides that take part, and which belong together. */
typedef struct view {
    size_t n[2];        /* pictures, texts */
    uint32_t *row[2];   /* of the side's rows, ascending */
    float *packed[2];   /* those rows, one behind the other */
    size_t *first[2];   /* [n + 1] right answers of each, in `right` */
    uint32_t *right[2]; /* places in the other side's list */
} view;

typedef struct crossmodal {
    ilk_model *m;
    const ilk_captions_options *opt;
    ilk_job *job;
    ilki_notes notes;
    ilki_captions said;
    side side[2];
    size_t dim;
} crossmodal;

/* ------------------------------------------------------------------ vectors */

static ilk_status row_failed(void *user, size_t i, const char *message, ilk_error *err)
{
    side *s = user;
    s->bad[i] = true;
    return ilki_tasks_junk(s->notes, s->ids->name[i], 0, err, "%s", message);
}

static ilk_status embed_side(crossmodal *c, int k, ilk_error *err)
{
    side *s = &c->side[k];
    size_t n = s->ids->n, n_floats;
    s->rows = ilki_base_mul(n, c->dim, &n_floats) ? ilki_base_zalloc(n_floats, sizeof *s->rows) : NULL;
    s->bad = ilki_base_zalloc(n, sizeof *s->bad);
    if (!s->rows || !s->bad)
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory: %zu vectors of %zu floats", n, c->dim);
    ilki_many how = {.modality = k ? ILK_TEXT : ILK_IMAGE,
                     .role = k ? ILK_ROLE_QUERY : ILK_ROLE_NONE,
                     .stage = k ? "captions" : "pictures",
                     .prompt = k ? c->opt->prompt : NULL,
                     .total = n,
                     .failed = row_failed,
                     .user = s};
    return ilki_embed_many(c->m, s->ids->name, n, &how, c->job, s->rows, err);
}

/* ------------------------------------------------------------------ what belongs together */

static void free_view(view *v)
{
    for (int k = 0; k < 2; k++) {
        free(v->row[k]);
        free(v->packed[k]);
        free(v->first[k]);
        free(v->right[k]);
    }
}

static bool takes_part(const crossmodal *c, const ilki_caption *x, uint32_t language)
{
    return (language == UINT32_MAX || x->language == language) && !c->side[0].bad[x->picture] &&
           !c->side[1].bad[x->text];
}

/* Rows of side k, packed; place[row] is where each went, UINT32_MAX: nowhere. */
static ilk_status pack(const crossmodal *c, uint32_t language, int k, view *v, uint32_t *place, ilk_error *err)
{
    size_t n = c->side[k].ids->n, used = 0, n_floats;
    for (size_t i = 0; i < n; i++)
        place[i] = UINT32_MAX;
    for (size_t i = 0; i < c->said.n; i++)
        if (takes_part(c, &c->said.list[i], language))
            place[k ? c->said.list[i].text : c->said.list[i].picture] = 0;
    for (size_t i = 0; i < n; i++)
        if (place[i] == 0)
            place[i] = (uint32_t)used++;
    bool fits = ilki_base_mul(used, c->dim, &n_floats);
    v->n[k] = used;
    v->packed[k] = fits ? ilki_base_zalloc(n_floats, sizeof *v->packed[k]) : NULL;
    v->first[k] = ilki_base_zalloc(used + 1, sizeof *v->first[k]);
    v->right[k] = ilki_base_zalloc(c->said.n, sizeof *v->right[k]);
    if (!v->packed[k] || !v->first[k] || !v->right[k])
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory: %zu vectors of %zu floats", used, c->dim);
    for (size_t i = 0; i < n; i++)
        if (place[i] != UINT32_MAX)
            memcpy(v->packed[k] + place[i] * c->dim, c->side[k].rows + i * c->dim, c->dim * sizeof(float));
    return ILK_OK;
}

/* Right answers of side k's rows: places of the other side's, grouped by a count, a sum and a fill. An answer may be there
 * twice, where one text is said in two languages; a first place does not mind. */
static void join(const crossmodal *c, uint32_t language, int k, view *v, uint32_t *const place[2])
{
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < c->said.n; i++) {
            const ilki_caption *x = &c->said.list[i];
            if (!takes_part(c, x, language))
                continue;
            uint32_t own = place[k][k ? x->text : x->picture], other = place[!k][k ? x->picture : x->text];
            if (turn == 0)
                v->first[k][own + 1]++;
            else
                v->right[k][v->first[k][own]++] = other;
        }
        for (size_t i = 0; turn == 0 && i < v->n[k]; i++)
            v->first[k][i + 1] += v->first[k][i];
    }
    memmove(v->first[k] + 1, v->first[k], v->n[k] * sizeof *v->first[k]); /* each had moved on to the next one's */
    v->first[k][0] = 0;
}

static ilk_status make_view(const crossmodal *c, uint32_t language, view *v, ilk_error *err)
{
    uint32_t *place[2] = {ilki_base_zalloc(c->said.pictures.n, sizeof **place),
                          ilki_base_zalloc(c->said.texts.n, sizeof **place)};
    ilk_status st = place[0] && place[1] ? ILK_OK : ilki_base_fail_memory(err, c->said.n, "captions");
    *v = (view){0};
    for (int k = 0; k < 2 && st == ILK_OK; k++)
        st = pack(c, language, k, v, place[k], err);
    for (int k = 0; k < 2 && st == ILK_OK; k++)
        join(c, language, k, v, place);
    free(place[0]);
    free(place[1]);
    return st;
}

/* ------------------------------------------------------------------ recall */

typedef struct ranking {
    const crossmodal *c;
    const view *v;
    int k;           /* the side that asks */
    float *scores;   /* [threads][n of the other side] */
    uint32_t *place; /* [n] of the first right answer */
} ranking;

enum { TASK_ROWS = 16 };

static void rank_rows(void *arg, size_t index, unsigned slot)
{
    const ranking *r = arg;
    const view *v = r->v;
    size_t dim = r->c->dim, n = v->n[!r->k], last = (index + 1) * TASK_ROWS;
    float *scores = r->scores + (size_t)slot * n;
    last = last < v->n[r->k] ? last : v->n[r->k];
    for (size_t i = index * TASK_ROWS; i < last; i++) {
        const size_t *first = v->first[r->k] + i;
        r->c->m->rt->ops->dot_f32_rows(scores, v->packed[r->k] + i * dim, v->packed[!r->k], dim, n, dim);
        r->place[i] = (uint32_t)ilki_embed_first_place(scores, n, v->right[r->k] + first[0], first[1] - first[0]);
    }
}

static ilk_status recall(const crossmodal *c, const view *v, int k, double to[ILK_CAPTION_CUTS], ilk_error *err)
{
    ilki_pool *pool = c->m->rt->pool;
    size_t n = v->n[k], hits[ILK_CAPTION_CUTS] = {0};
    ranking r = {.c = c, .v = v, .k = k};
    memset(to, 0, ILK_CAPTION_CUTS * sizeof *to);
    if (n == 0)
        return ILK_OK;
    r.scores = ilki_base_zalloc(ilki_base_pool_threads(pool) * v->n[!k], sizeof *r.scores);
    r.place = ilki_base_zalloc(n, sizeof *r.place);
    ilk_status st = r.scores && r.place ? ILK_OK : ilki_base_fail_memory(err, n * sizeof *r.place, "places");
    ilki_run run = {.fn = rank_rows,
                    .arg = &r,
                    .n_tasks = (n + TASK_ROWS - 1) / TASK_ROWS,
                    .cost_ns = (uint64_t)n * v->n[!k] * (c->dim / 8 + 1),
                    .job = c->job};
    if (st == ILK_OK)
        st = ilki_base_pool_run(pool, &run, err);
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        for (size_t cut = 0; cut < ILK_CAPTION_CUTS; cut++)
            hits[cut] += r.place[i] < cuts[cut];
    for (size_t cut = 0; cut < ILK_CAPTION_CUTS; cut++)
        to[cut] = (double)hits[cut] / (double)n;
    free(r.scores);
    free(r.place);
    return st;
}

static ilk_status score(const crossmodal *c, uint32_t language, ilk_captions_scores *to, ilk_error *err)
{
    view v;
    *to = (ilk_captions_scores){.size = sizeof *to};
    ilk_status st = make_view(c, language, &v, err);
    to->language = language == UINT32_MAX ? NULL : c->said.languages.name[language];
    to->n_pictures = v.n[0];
    to->n_texts = v.n[1];
    if (st == ILK_OK)
        st = recall(c, &v, 0, to->image_to_text, err);
    if (st == ILK_OK)
        st = recall(c, &v, 1, to->text_to_image, err);
    free_view(&v);
    return st;
}

ilk_status ilki_tasks_crossmodal(ilk_model *m, const char *place, const ilk_captions_options *opt, ilk_job *job,
                                 ilk_captions_result *result, ilk_error *err)
{
    crossmodal c = {.m = m,
                    .opt = opt,
                    .job = job,
                    .notes = {.fn = opt->note, .user = opt->user, .strict = opt->strict != 0},
                    .dim = m->info.dim};
    uint64_t start = ilki_base_now_ns();
    c.side[0] = (side){.ids = &c.said.pictures, .notes = &c.notes};
    c.side[1] = (side){.ids = &c.said.texts, .notes = &c.notes};
    ilk_status st = ilki_embed_need(m, 1u << ILK_TEXT | 1u << ILK_IMAGE, err);
    if (st == ILK_OK)
        st = ilki_tasks_read_captions(&c.said, m->rt->vfs, place, ILKI_SAID_CAPTION, &c.notes, err);
    for (int k = 0; k < 2 && st == ILK_OK; k++)
        st = embed_side(&c, k, err);
    if (st == ILK_OK)
        st = score(&c, UINT32_MAX, &result->all, err);
    if (st == ILK_OK && result->all.n_pictures == 0)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: none of %zu pictures can be read", place, c.said.pictures.n);
    for (uint32_t i = 0; i < c.said.languages.n && opt->each && st == ILK_OK; i++) {
        ilk_captions_scores one;
        st = score(&c, i, &one, err);
        if (st == ILK_OK)
            opt->each(opt->user, &one);
    }
    result->n_captions = c.said.n;
    result->n_junk = c.notes.n_junk;
    result->seconds = (double)(ilki_base_now_ns() - start) * 1e-9;
    for (int k = 0; k < 2; k++) {
        free(c.side[k].rows);
        free(c.side[k].bad);
    }
    ilki_tasks_captions_deinit(&c.said);
    return st;
}
