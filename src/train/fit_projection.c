/* SPDX-License-Identifier: Apache-2.0
 * A projection from pairs of pictures and captions. The pairs are cut by groups into three parts (folds.h). Those to fit on
 * come as a stream, in shuffled order, and leave sums alone; the others stand in memory, at most 2,000 pictures each. Ridges
 * of several strengths, and Procrustes, are compared on the second part by Recall@5 of the captions; the winner is fitted
 * again on both, and judged on the third beside two baselines: no fit at all, and the best of three fits that were chosen
 * likewise on pairs shuffled within each slice of the stream. It is kept where it is above both by more than twice the
 * standard error of the baseline over the groups: with pairs that mean nothing, a fit is above its shuffles half the time. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/json.h"
#include "embed/projection.h"
#include "embed/state.h"
#include "train/dense_folder.h"
#include "train/folds.h"
#include "train/held.h"

enum { SLICE = 1024, LEAST_SLICE = 128, LEAST_GROUPS = 50, LEAST_TEST = 10 };

/* Procrustes is the lambda of 0. */
static const double lambdas[] = {0, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10};
enum { N_LAMBDAS = sizeof lambdas / sizeof *lambdas };

typedef struct fitting {
    ilk_runtime *rt;
    const ilk_train_options *opt;
    ilk_job *job;
    ilki_embedder e;
    ilki_folds folds;
    ilki_held choice, test;
    ilki_moments sums;
    uint64_t random;
    uint32_t *target_of[ILKI_TRAIN_TARGETS]; /* [SLICE + LEAST_SLICE] */
    float *x;                                /* [SLICE + LEAST_SLICE][d] */
} fitting;

/* ------------------------------------------------------------------ sums */

/* Pairs [first, first + n) of those that stand in memory; targets as they are, and shuffled among these. */
static ilk_status add_slice(fitting *f, const ilki_held *h, size_t first, size_t n, ilk_error *err)
{
    size_t d = h->dim[0];
    for (size_t i = 0; i < n; i++) {
        memcpy(f->x + i * d, h->rows[0] + h->row_of[0][first + i] * d, d * sizeof *f->x);
        f->target_of[ILKI_TRAIN_TRUE][i] = h->row_of[1][first + i];
    }
    for (int k = 1; k < ILKI_TRAIN_TARGETS; k++)
        for (size_t i = 0; i < n; i++) {
            size_t other = (size_t)(ilki_train_random(&f->random) % (i + 1));
            f->target_of[k][i] = f->target_of[k][other];
            f->target_of[k][other] = f->target_of[ILKI_TRAIN_TRUE][i];
        }
    return ilki_train_moments_add(&f->sums, f->rt->pool, f->x, h->rows[1], n, f->target_of, f->job, err);
}

/* Slices that are long enough to be shuffled: a short rest goes with the last one. */
static size_t slice_at(size_t first, size_t last)
{
    size_t left = last - first;
    return left < SLICE + LEAST_SLICE ? left : SLICE;
}

static ilk_status add_held(fitting *f, const ilki_held *h, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t first = 0; first < h->n && st == ILK_OK;) {
        size_t n = slice_at(first, h->n);
        st = add_slice(f, h, first, n, err);
        first += n;
    }
    return st;
}

static ilk_status stream_pairs(fitting *f, ilk_error *err)
{
    ilk_status st = ILK_OK;
    size_t last = f->folds.first[ILKI_FOLD_FIT + 1];
    for (size_t first = f->folds.first[ILKI_FOLD_FIT]; first < last && st == ILK_OK;) {
        ilki_held slice;
        size_t n = slice_at(first, last);
        st = ilki_train_hold(&slice, &f->e, f->folds.pairs + first, n, f->job, err);
        if (st == ILK_OK)
            st = add_held(f, &slice, err);
        ilki_train_held_deinit(&slice);
        first += n;
    }
    return st;
}

static ilk_status hold_part(fitting *f, ilki_held *h, ilki_fold fold, ilk_error *err)
{
    size_t first = f->folds.first[fold];
    return ilki_train_hold(h, &f->e, f->folds.pairs + first, f->folds.first[fold + 1] - first, f->job, err);
}

/* ------------------------------------------------------------------ choice */

static bool tries(const ilk_train_options *opt, double lambda)
{
    return !opt->method || (strcmp(opt->method, "procrustes") == 0) == !(lambda > 0);
}

static ilk_status measure_lambda(fitting *f, int targets, double lambda, const ilki_held *h, ilki_measured *to,
                                 ilki_fit *fit, ilk_error *err)
{
    ilk_status st = ilki_train_fit(fit, &f->sums, targets, lambda, f->rt->pool, f->job, err);
    return st == ILK_OK ? ilki_train_measure(h, fit, f->e.picture_side, f->rt, f->job, to, err) : st;
}

/* The strength with the largest recall of captions; of equal ones the nearest vectors. */
static ilk_status choose(fitting *f, int targets, double *lambda, ilk_error *err)
{
    ilki_measured best = {{-1, -1}, -2}, one;
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < N_LAMBDAS && st == ILK_OK; i++) {
        ilki_fit fit = {0};
        if (!tries(f->opt, lambdas[i]))
            continue;
        st = measure_lambda(f, targets, lambdas[i], &f->choice, &one, &fit, err);
        ilki_train_fit_deinit(&fit);
        if (st == ILK_OK &&
            (one.recall[0] > best.recall[0] || (one.recall[0] >= best.recall[0] && one.cosine > best.cosine))) {
            best = one;
            *lambda = lambdas[i];
        }
        ilki_base_job_progress(f->job, "fits", "fits", (uint64_t)targets * N_LAMBDAS + i + 1,
                               (uint64_t)ILKI_TRAIN_TARGETS * N_LAMBDAS, 0, false);
    }
    return st;
}

/* ------------------------------------------------------------------ judgement */

static void take(double to[2], const ilki_measured *m)
{
    to[0] = m->recall[0];
    to[1] = m->recall[1];
}

static void decide(const fitting *f, ilk_train_result *r)
{
    double base = fmax(r->none[0], r->shuffled[0]), n = (double)f->folds.n_groups[ILKI_FOLD_TEST],
           p = fmin(fmax(base, 1 / n), 1 - 1 / n);
    r->margin = 2 * sqrt(p * (1 - p) / n);
    r->kept = r->fit[0] > base + r->margin;
}

static ilk_status judge(fitting *f, const double lambda[ILKI_TRAIN_TARGETS], ilki_fit *fit, ilk_train_result *r,
                        ilk_error *err)
{
    ilki_measured one;
    ilk_status st = ilki_train_measure(&f->test, NULL, f->e.picture_side, f->rt, f->job, &one, err);
    take(r->none, &one);
    r->shuffled[0] = -1;
    for (int k = 0; k < ILKI_TRAIN_TARGETS && st == ILK_OK; k++) {
        ilki_fit other = {0};
        st = measure_lambda(f, k, lambda[k], &f->test, &one, k == ILKI_TRAIN_TRUE ? fit : &other, err);
        ilki_train_fit_deinit(&other);
        if (k == ILKI_TRAIN_TRUE)
            take(r->fit, &one);
        else if (one.recall[0] > r->shuffled[0])
            take(r->shuffled, &one);
    }
    r->lambda = lambda[ILKI_TRAIN_TRUE];
    memcpy(r->method, r->lambda > 0 ? "ridge" : "procrustes", r->lambda > 0 ? 6 : 11);
    r->n_test_pictures = f->test.n_rows[f->e.picture_side];
    r->n_test_texts = f->test.n_rows[!f->e.picture_side];
    if (st == ILK_OK)
        decide(f, r);
    return st;
}

/* ------------------------------------------------------------------ what is written */

static void put_model(ilki_jsonw *w, const char *key, const char *id, const char *fingerprint)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_open(w, '{');
    ilki_base_jsonw_key(w, "model");
    ilki_base_jsonw_cstring(w, id);
    ilki_base_jsonw_key(w, "fingerprint");
    ilki_base_jsonw_cstring(w, fingerprint);
    ilki_base_jsonw_close(w, '}');
}

static void put_number(ilki_jsonw *w, const char *key, double v)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_double(w, v);
}

static ilk_status write_folder(fitting *f, const char *folder, const ilki_fit *fit, const ilk_train_result *r,
                               ilk_error *err)
{
    const char *hex[2] = {NULL, NULL};
    ilki_buf b;
    ilki_jsonw w;
    ilk_status st = ilki_embed_fingerprint(f->e.model[0], f->job, &hex[0], err);
    if (st == ILK_OK)
        st = ilki_embed_fingerprint(f->e.model[1], f->job, &hex[1], err);
    if (st != ILK_OK)
        return st;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    put_model(&w, "source", ilki_embed_info(f->e.model[0])->id, hex[0]);
    put_model(&w, "target", ilki_embed_info(f->e.model[1])->id, hex[1]);
    ilki_base_jsonw_key(&w, "side");
    ilki_base_jsonw_cstring(&w, f->e.picture_side == 0 ? "pictures" : "captions");
    ilki_base_jsonw_key(&w, "method");
    ilki_base_jsonw_cstring(&w, r->method);
    put_number(&w, "lambda", r->lambda);
    ilki_base_jsonw_key(&w, "pairs");
    ilki_base_jsonw_uint(&w, r->n_pairs);
    put_number(&w, "recall@5", r->fit[0]);
    put_number(&w, "recall@5_no_fit", r->none[0]);
    put_number(&w, "recall@5_shuffled", r->shuffled[0]);
    ilki_base_jsonw_close(&w, '}');
    ilki_base_buf_addc(&b, '\n');
    st = ilki_base_buf_check(&b, ILKI_PROJECTION_ABOUT, err);
    if (st == ILK_OK)
        st = ilki_train_write_dense(f->rt->vfs, folder, fit, &b, err);
    ilki_base_buf_deinit(&b);
    return st;
}

/* ------------------------------------------------------------------ the call */

static uint32_t modalities(const ilk_model *m)
{
    return ilki_embed_info(m)->modalities;
}

/* Which side the pictures are: what `from` embeds is side 0. */
static ilk_status decide_side(fitting *f, ilk_error *err)
{
    const uint32_t image = 1u << ILK_IMAGE, text = 1u << ILK_TEXT;
    const ilk_model *from = f->e.model[0], *into = f->e.model[1];
    const char *side = f->opt->side;
    bool pictures = side ? strcmp(side, "pictures") == 0 : modalities(from) & image && modalities(into) & text;
    f->e.picture_side = pictures ? 0 : 1;
    for (int k = 0; k < 2; k++)
        if (f->e.model[k]->projection ||
            (f->e.model[k]->modules.truncate_dim && f->e.model[k]->modules.truncate_dim < f->e.model[k]->dim))
            return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a model without a projection or truncate_dim",
                                  ilki_embed_info(f->e.model[k])->id);
    ilk_status st = ilki_embed_need(from, pictures ? image : text, err);
    return st == ILK_OK ? ilki_embed_need(into, pictures ? text : image, err) : st;
}

static ilk_status check_folds(const fitting *f, const ilki_train_pairs *pairs, ilk_error *err)
{
    size_t n = 0;
    for (int k = 0; k < ILKI_FOLDS; k++)
        n += f->folds.n_groups[k];
    if (n >= LEAST_GROUPS && f->folds.n_groups[ILKI_FOLD_FIT])
        return ILK_OK;
    return ilki_base_fail(
        err, ILK_BAD_FORMAT,
        "expected %d groups of pictures and captions that share nothing, so that some can be held out; "
        "found %zu of %zu pictures and %zu captions",
        LEAST_GROUPS, n, pairs->n_pictures, pairs->n_texts);
}

static ilk_status check_test(const fitting *f, ilk_error *err)
{
    for (int k = 0; k < 2; k++)
        if (f->test.n_rows[k] < LEAST_TEST || f->choice.n_rows[k] < LEAST_TEST || f->test.n < LEAST_TEST ||
            f->choice.n < LEAST_TEST)
            return ilki_base_fail(err, ILK_BAD_FORMAT,
                                  "expected %d pairs at least to choose and to judge by, found %zu and %zu", LEAST_TEST,
                                  f->choice.n, f->test.n);
    return f->sums.n > 1
               ? ILK_OK
               : ilki_base_fail(err, ILK_BAD_FORMAT, "expected pairs to fit on, found none that can be embedded");
}

static ilk_status make_room(fitting *f, ilk_error *err)
{
    size_t d = ilki_embed_info(f->e.model[0])->dim, e = ilki_embed_info(f->e.model[1])->dim, n = SLICE + LEAST_SLICE;
    bool ok = (f->x = ilki_base_zalloc(n * d, sizeof *f->x)) != NULL;
    for (int k = 0; k < ILKI_TRAIN_TARGETS; k++)
        ok &= (f->target_of[k] = ilki_base_zalloc(n, sizeof *f->target_of[k])) != NULL;
    ilk_status st = ok ? ilki_train_embedder_init(&f->e, err)
                       : ilki_base_fail_memory(err, n * d * sizeof *f->x, "pairs");
    return st == ILK_OK ? ilki_train_moments_init(&f->sums, d, e, err) : st;
}

static ilk_status fit_and_judge(fitting *f, ilki_fit *fit, ilk_train_result *r, ilk_error *err)
{
    double lambda[ILKI_TRAIN_TARGETS] = {0};
    ilk_status st = hold_part(f, &f->test, ILKI_FOLD_TEST, err);
    if (st == ILK_OK)
        st = hold_part(f, &f->choice, ILKI_FOLD_CHOICE, err);
    if (st == ILK_OK)
        st = stream_pairs(f, err);
    if (st == ILK_OK)
        st = check_test(f, err);
    for (int k = 0; k < ILKI_TRAIN_TARGETS && st == ILK_OK; k++)
        st = choose(f, k, &lambda[k], err);
    if (st == ILK_OK)
        st = add_held(f, &f->choice, err);
    r->n_pairs = f->sums.n + f->test.n;
    return st == ILK_OK ? judge(f, lambda, fit, r, err) : st;
}

ilk_status ilki_train_projection(ilk_model *from, ilk_model *into, const ilki_train_pairs *pairs, const char *folder,
                                 const ilk_train_options *opt, ilk_job *job, ilk_train_result *result, ilk_error *err)
{
    fitting f = {.rt = from->rt, .opt = opt, .job = job, .random = opt->seed};
    ilki_fit fit = {0};
    uint64_t start = ilki_base_now_ns();
    f.e = (ilki_embedder){.model = {from, into}, .all = pairs};
    ilk_status st = ilki_train_check_folder(f.rt->vfs, folder, err);
    if (st == ILK_OK)
        st = decide_side(&f, err);
    if (st == ILK_OK)
        st = ilki_train_folds_init(&f.folds, pairs, opt->seed, err);
    if (st == ILK_OK)
        st = check_folds(&f, pairs, err);
    if (st == ILK_OK)
        st = make_room(&f, err);
    if (st == ILK_OK)
        st = fit_and_judge(&f, &fit, result, err);
    if (st == ILK_OK && result->kept)
        st = write_folder(&f, folder, &fit, result, err);
    result->n_junk += f.e.n_junk;
    for (int k = 0; k < ILKI_FOLDS; k++)
        result->n_groups += f.folds.n_groups[k];
    result->seconds = (double)(ilki_base_now_ns() - start) * 1e-9;
    ilki_train_fit_deinit(&fit);
    ilki_train_moments_deinit(&f.sums);
    ilki_train_held_deinit(&f.choice);
    ilki_train_held_deinit(&f.test);
    ilki_train_embedder_deinit(&f.e);
    ilki_train_folds_deinit(&f.folds);
    for (int k = 0; k < ILKI_TRAIN_TARGETS; k++)
        free(f.target_of[k]);
    free(f.x);
    return st;
}
