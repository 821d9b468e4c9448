/* SPDX-License-Identifier: Apache-2.0
 * Semantic textual similarity, as sentence-transformers 6.2 EmbeddingSimilarityEvaluator has it: both texts of a pair are
 * embedded alike, four similarities are taken of each pair, each is correlated with the gold scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "tasks/correlate.h"
#include "tasks/pairs.h"
#include "tasks/tasks.h"
#include "tasks/texts.h"

#define BATCH_PAIRS 1024
#define N_KINDS     4

typedef struct sts {
    ilk_model *m;
    const ilk_eval_options *opt;
    ilk_job *job;
    ilki_notes notes;
    ilki_pairs pairs;
    double *gold, *score[N_KINDS]; /* of the pairs that have vectors */
    size_t n;
} sts;

/* As the reference has them, sums in double. A text twice is a cosine of exactly 1 (the square root of a square is exact), as in
 * exact arithmetic: where a tokenizer knows few of the words many pairs are, and would else be ordered by rounding. The
 * cosine of a zero vector is 0. */
static void similarities(const float *a, const float *b, size_t dim, double out[N_KINDS])
{
    double ab = 0, aa = 0, bb = 0, squares = 0, manhattan = 0;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)a[i], y = (double)b[i];
        ab += x * y;
        aa += x * x;
        bb += y * y;
        squares += (x - y) * (x - y);
        manhattan += fabs(x - y);
    }
    out[0] = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
    out[1] = ab;
    out[2] = -sqrt(squares);
    out[3] = -manhattan;
}

static ilk_status run_batch(sts *s, const char *file, size_t first, size_t n, ilk_error *err)
{
    ilki_text *texts = ilki_base_zalloc(2 * n, sizeof *texts);
    ilki_texts_how how = {.prompt = s->opt->prompt_query, .dim = s->opt->dim};
    ilk_vectors *v = NULL;
    if (!texts)
        return ilki_base_fail_memory(err, 2 * n * sizeof *texts, "a batch");
    for (size_t i = 0; i < 2 * n; i++) {
        const ilki_pair *p = &s->pairs.list[first + i / 2];
        texts[i] = (ilki_text){ilki_base_buf_view(&s->pairs.texts) + p->text[i % 2], p->n[i % 2]};
    }
    ilk_status st = ilki_tasks_embed(s->m, texts, 2 * n, &how, s->job, &v, err);
    for (size_t i = 0; st == ILK_OK && i < n; i++) {
        const ilki_pair *p = &s->pairs.list[first + i];
        double of[N_KINDS];
        size_t bad = v->state[2 * i].status != ILK_OK ? 2 * i : 2 * i + 1;
        if (v->state[bad].status != ILK_OK) {
            st = ilki_tasks_junk(&s->notes, file, p->line, err, "%s",
                                 v->state[bad].message ? v->state[bad].message : "not embedded");
            continue;
        }
        similarities(v->data + 2 * i * v->dim, v->data + (2 * i + 1) * v->dim, v->dim, of);
        for (size_t k = 0; k < N_KINDS; k++)
            s->score[k][s->n] = of[k];
        s->gold[s->n++] = p->score;
    }
    ilki_embed_vectors_free(v);
    free(texts);
    return st;
}

static ilk_status run_pairs(sts *s, const char *file, ilk_error *err)
{
    size_t total = s->pairs.n;
    double *memory = ilki_base_zalloc(total, (N_KINDS + 1) * sizeof *memory);
    ilk_status st = memory ? ILK_OK : ilki_base_fail_memory(err, total * sizeof *memory, "scores");
    s->gold = memory;
    for (size_t k = 0; memory && k < N_KINDS; k++)
        s->score[k] = memory + (k + 1) * total;
    for (size_t first = 0; first < total && st == ILK_OK; first += BATCH_PAIRS) {
        size_t n = total - first < BATCH_PAIRS ? total - first : BATCH_PAIRS;
        st = run_batch(s, file, first, n, err);
        ilki_base_job_progress(s->job, "embed", "pairs", first + n, total, s->notes.n_junk, first + n == total);
    }
    return st;
}

ilk_status ilki_tasks_sts(ilk_model *m, const char *file, const ilk_eval_options *opt, ilk_job *job,
                          ilk_sts_result *result, ilk_error *err)
{
    sts s = {.m = m, .opt = opt, .job = job, .notes = {.fn = opt->note, .user = opt->user, .strict = opt->strict != 0}};
    uint64_t start = ilki_base_now_ns();
    ilk_status st = ilki_tasks_read_pairs(&s.pairs, m->rt->vfs, file, &s.notes, err);
    if (st == ILK_OK)
        st = run_pairs(&s, file, err);
    if (st == ILK_OK && s.n < 2)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected two pairs at least, found %zu", file, s.n);
    for (size_t k = 0; st == ILK_OK && k < N_KINDS; k++) {
        result->pearson[k] = ilki_tasks_pearson(s.score[k], s.gold, s.n);
        st = ilki_tasks_spearman(&result->spearman[k], s.score[k], s.gold, s.n, err);
    }
    result->n_pairs = s.n;
    result->n_junk = s.notes.n_junk;
    result->seconds = (double)(ilki_base_now_ns() - start) * 1e-9;
    free(s.gold);
    ilki_tasks_pairs_deinit(&s.pairs);
    return st;
}
