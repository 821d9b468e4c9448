/* SPDX-License-Identifier: Apache-2.0
 * ilk_model_calibrate. Every precision embeds ilk's own texts; those of f32 are the reference. Speeds are taken in turns, so
 * that what disturbs the machine disturbs all, and the best turn of each counts. */
#include "tasks/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "embed/auto.h"
#include "tasks/tasks.h"

/* The bounds are interface's; see docs/NUMERICS.md for what precisions reach. */
static const double gain = 1.15;
static const double deep_nearest = 0.95;
static const double hopeless = 0.5; /* of the speed of f32, in one pass */
enum {
    SHALLOW_LAYERS = 12,
    N_NEAREST = 10,
    MIN_TEXTS = 24,
    MIN_RIVAL_TEXTS = N_NEAREST + 2, /* of one that is slower than f32 */
    PROBE_TEXTS = 3,                 /* short ones */
    TIMED_TEXTS = 24,
    MAX_TURNS = 6,
    MIN_TURNS = 2,
    LARGE_PARAMETERS = 150000000,
    TINY_PARAMETERS = 1000000 /* below, a pass is calls and waiting more than products, and clocks decide nothing */
};
static const uint64_t second_ns = 1000000000;
static const uint64_t small_seconds = 9, large_seconds = 55; /* a second or more is left for opening and ending */

/* ------------------------------------------------------------------ the rule */

static bool keeps(const ilk_calibration *c, int p, uint32_t n_layers)
{
    bool deep = n_layers > SHALLOW_LAYERS;
    return c->tokens_per_second[p] > 0 && c->cosine_mean[p] >= (deep ? 0.998 : 0.999) &&
           c->cosine_least[p] >= (deep ? 0.99 : 0.995) && (!deep || c->nearest_kept[p] >= deep_nearest);
}

static bool keeps_better(const ilk_calibration *c, int a, int b)
{
    if (c->cosine_mean[a] != c->cosine_mean[b])
        return c->cosine_mean[a] > c->cosine_mean[b];
    return c->cosine_least[a] != c->cosine_least[b] ? c->cosine_least[a] > c->cosine_least[b] : a < b;
}

/* The one that keeps best of those worse than `than`; AUTO: there is none. */
static int next_worse(const ilk_calibration *c, int than, uint32_t n_layers)
{
    int best = ILK_PRECISION_AUTO;
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        if (keeps(c, p, n_layers) && (than == ILK_PRECISION_F32 || keeps_better(c, than, p)) &&
            (best == ILK_PRECISION_AUTO || keeps_better(c, p, best)))
            best = p;
    return best;
}

static void say_why(ilk_calibration *c, uint32_t n_layers)
{
    const double *speed = c->tokens_per_second;
    int best = ILK_PRECISION_AUTO, kept = 0;
    if (c->chosen != ILK_PRECISION_F32) {
        snprintf(c->why, sizeof c->why, "%.2f times as fast as f32, cosine to f32 %.5f on average and %.5f at worst",
                 speed[c->chosen] / speed[ILK_PRECISION_F32], c->cosine_mean[c->chosen], c->cosine_least[c->chosen]);
        return;
    }
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        if (keeps(c, p, n_layers)) {
            best = best == ILK_PRECISION_AUTO || speed[p] > speed[best] ? p : best;
            kept++;
        }
    if (kept)
        snprintf(c->why, sizeof c->why,
                 "no other that keeps the vectors is 15 %% faster; %s has %.2f times the speed of f32",
                 ilk_precision_name((ilk_precision)best), speed[best] / speed[ILK_PRECISION_F32]);
    else
        snprintf(c->why, sizeof c->why, "no other keeps the vectors near enough");
}

void ilki_tasks_settle(ilk_calibration *c, uint32_t n_layers, uint64_t n_parameters)
{
    c->chosen = ILK_PRECISION_F32;
    if (n_parameters < TINY_PARAMETERS) {
        snprintf(c->why, sizeof c->why, "with less than a million parameters another wins nothing that matters");
        return;
    }
    for (int p = next_worse(c, ILK_PRECISION_F32, n_layers); p != ILK_PRECISION_AUTO; p = next_worse(c, p, n_layers))
        if (c->tokens_per_second[p] >= gain * c->tokens_per_second[c->chosen])
            c->chosen = (ilk_precision)p;
    say_why(c, n_layers);
}

/* ------------------------------------------------------------------ measuring */

typedef struct bench {
    ilk_job *job;
    ilk_model *m[ILK_CALIBRATION_PRECISIONS]; /* NULL: the model has no such precision */
    ilk_vectors *v[ILK_CALIBRATION_PRECISIONS];
    ilki_text *texts;
    size_t n, n_timed; /* texts that are compared, that a turn embeds */
    uint64_t until_ns, share_ns;
    uint64_t n_passes; /* that are done, for progress */
    ilk_calibration *out;
} bench;

static uint64_t count_tokens(const ilk_vectors *v)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        n += v->state[i].n_tokens;
    return n;
}

static ilk_status embed(bench *b, int p, size_t n, ilk_vectors **v, uint64_t *ns, ilk_error *err)
{
    static const ilki_texts_how how = {.role = ILK_ROLE_DOCUMENT};
    uint64_t begin = ilki_base_now_ns();
    ilk_status st = ilki_tasks_embed(b->m[p], b->texts, n, &how, b->job, v, err);
    *ns = ilki_base_now_ns() - begin;
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        if ((*v)->state[i].status != ILK_OK)
            st = ilki_base_fail(err, (*v)->state[i].status, "calibration text %zu in %s: %s", i,
                                ilk_precision_name((ilk_precision)p),
                                (*v)->state[i].message ? (*v)->state[i].message : "no vector");
    if (st != ILK_OK) {
        ilki_embed_vectors_free(*v);
        *v = NULL;
    }
    return st;
}

/* How many texts a share of the time is enough for, by a pass over the first, short ones. */
static ilk_status count_texts(bench *b, int p, size_t least, size_t *n, ilk_error *err)
{
    uint64_t ns = 0, cost = 0, probed = 0;
    for (int i = 0; i < 2; i++) { /* the first pass also pays for fresh memory */
        ilk_vectors *v = NULL;
        ilk_status st = embed(b, p, PROBE_TEXTS, &v, &ns, err);
        ilki_embed_vectors_free(v);
        if (st != ILK_OK)
            return st;
    }
    for (size_t i = 0; i < PROBE_TEXTS; i++)
        probed += b->texts[i].n;
    for (*n = 0; *n < b->n; ++*n) {
        cost += b->texts[*n].n;
        if (*n >= least && (double)cost / (double)probed * (double)ns > (double)b->share_ns)
            break;
    }
    return ILK_OK;
}

static void take_rate(bench *b, int p, const ilk_vectors *v, uint64_t ns)
{
    double rate = (double)count_tokens(v) * (double)second_ns / (double)(ns + 1);
    b->out->tokens_per_second[p] = fmax(b->out->tokens_per_second[p], rate);
}

static double cosine(const float *a, const float *b, size_t dim)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < dim; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : aa == bb ? 1 : 0;
}

/* Marks the N_NEAREST of text i among the first n; the first of equals. */
static void mark_nearest(const ilk_vectors *v, size_t n, size_t i, double *score, bool *near)
{
    for (size_t k = 0; k < n; k++) {
        score[k] = k == i ? -2 : cosine(v->data + i * v->dim, v->data + k * v->dim, v->dim);
        near[k] = false;
    }
    for (size_t r = 0; r < N_NEAREST && r + 1 < n; r++) {
        size_t best = i;
        for (size_t k = 0; k < n; k++)
            if (!near[k] && k != i && (best == i || score[k] > score[best]))
                best = k;
        near[best] = true;
    }
}

static ilk_status compare(bench *b, int p, ilk_error *err)
{
    const ilk_vectors *f32 = b->v[ILK_PRECISION_F32], *v = b->v[p];
    size_t n = v->n, kept = 0, all = 0;
    double *score = ilki_base_zalloc(n, sizeof *score), mean = 0, least = 1;
    bool *want = ilki_base_zalloc(n, sizeof *want), *got = ilki_base_zalloc(n, sizeof *got);
    ilk_status st = score && want && got ? ILK_OK : ilki_base_fail_memory(err, n * 10, "comparing vectors");
    for (size_t i = 0; st == ILK_OK && i < n; i++) {
        double c = cosine(f32->data + i * v->dim, v->data + i * v->dim, v->dim);
        mean += c / (double)n;
        least = fmin(least, c);
        mark_nearest(f32, n, i, score, want);
        mark_nearest(v, n, i, score, got);
        for (size_t k = 0; k < n; k++) {
            all += want[k];
            kept += want[k] && got[k];
        }
        st = ilki_base_job_check(b->job, err);
    }
    b->out->cosine_mean[p] = p == ILK_PRECISION_F32 ? 1 : mean;
    b->out->cosine_least[p] = p == ILK_PRECISION_F32 ? 1 : least;
    b->out->nearest_kept[p] = all ? (double)kept / (double)all : 1;
    free(score);
    free(want);
    free(got);
    return st;
}

static void tell(bench *b, bool last)
{
    b->n_passes += !last;
    ilki_base_job_progress(b->job, "calibrate", "passes", b->n_passes, 0, 0, last);
}

/* Turns until the time is up, at least two, of those that may yet be faster than f32. */
static ilk_status take_turns(bench *b, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (unsigned turn = 0; turn < MAX_TURNS && (turn < MIN_TURNS || ilki_base_now_ns() < b->until_ns); turn++)
        for (int p = 0; p < ILK_CALIBRATION_PRECISIONS && st == ILK_OK; p++) {
            ilk_vectors *v = NULL;
            uint64_t ns;
            if (!b->m[p] || b->out->tokens_per_second[p] < hopeless * b->out->tokens_per_second[ILK_PRECISION_F32])
                continue;
            st = embed(b, p, b->n_timed, &v, &ns, err);
            if (st != ILK_OK)
                break;
            take_rate(b, p, v, ns);
            ilki_embed_vectors_free(v);
            tell(b, false);
        }
    tell(b, true);
    return st;
}

/* ------------------------------------------------------------------ the call */

static ilk_status open_at(bench *b, ilk_runtime *rt, const char *where, const ilk_model_options *opt, int p,
                          ilk_error *err)
{
    ilk_model_options o = *opt;
    o.precision = (ilk_precision)p;
    if (o.packed_cache == ILK_PACKED_KEEP) /* of a rival that will not be taken */
        o.packed_cache = ILK_PACKED_LOOK;
    ilk_status st = ilki_base_job_check(b->job, err);
    return st == ILK_OK ? ilki_embed_open(&b->m[p], rt, where, &o, err) : st;
}

static ilk_status check_model(const ilk_model *m, ilk_error *err)
{
    const ilk_model_info *i = ilki_embed_info(m);
    if (i->heads & ILK_HEAD_SCORE)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: a reranker is not calibrated, it stays f32", i->id);
    if (i->modalities != 1u << ILK_TEXT)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: a model of pictures is not calibrated, it stays f32", i->id);
    uint64_t bytes = i->n_parameters * 2 * sizeof(float); /* f32, and the others that are as much together */
    if (bytes > m->rt->ceiling_bytes)
        return ilki_base_fail(err, ILK_LIMIT,
                              "%s: all precisions together need about %llu bytes, the memory ceiling is %llu", i->id,
                              (unsigned long long)bytes, (unsigned long long)m->rt->ceiling_bytes);
    return ILK_OK;
}

/* Vectors of one precision, and how near they are. */
static ilk_status measure_one(bench *b, ilk_runtime *rt, const char *where, const ilk_model_options *opt, int p,
                              ilk_error *err)
{
    bool f32 = p == ILK_PRECISION_F32;
    size_t n;
    uint64_t ns;
    ilk_status st = f32 ? ILK_OK : open_at(b, rt, where, opt, p, err);
    if (st == ILK_UNSUPPORTED) /* of this family */
        return ILK_OK;
    if (st == ILK_OK)
        st = count_texts(b, p, f32 ? MIN_TEXTS : MIN_RIVAL_TEXTS, &n, err);
    if (st == ILK_OK)
        st = embed(b, p, n, &b->v[p], &ns, err);
    if (st != ILK_OK)
        return st;
    if (f32) {
        b->n = n;
        b->n_timed = n < TIMED_TEXTS || ns * MAX_TURNS < b->share_ns ? n : PROBE_TEXTS + 1;
    }
    take_rate(b, p, b->v[p], ns);
    tell(b, false);
    return compare(b, p, err);
}

/* What is no fault of one precision. */
static bool is_final(ilk_status st)
{
    return st == ILK_CANCELLED || st == ILK_DEADLINE || st == ILK_NO_MEMORY || st == ILK_FORKED;
}

/* One that fails is not chosen, and does not keep the others from it. */
static void leave_out(bench *b, int p)
{
    ilki_embed_close(b->m[p]);
    ilki_embed_vectors_free(b->v[p]);
    b->m[p] = NULL;
    b->v[p] = NULL;
    b->out->tokens_per_second[p] = 0;
}

static ilk_status measure(bench *b, ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_error *err)
{
    bool large = ilki_embed_info(b->m[ILK_PRECISION_F32])->n_parameters > LARGE_PARAMETERS;
    uint64_t all = (large ? large_seconds : small_seconds) * second_ns, begin = ilki_base_now_ns();
    b->until_ns = begin + all;
    b->share_ns = all / 10;
    b->n = ilki_tasks_n_calibration_texts;
    ilk_status st = ILK_OK;
    for (int p = ILK_PRECISION_F32; st == ILK_OK && ilk_precision_name((ilk_precision)p); p++) {
        st = measure_one(b, rt, where, opt, p, err);
        if (st != ILK_OK && p != ILK_PRECISION_F32 && !is_final(st)) {
            ilki_base_log(rt, ILK_LOG_WARN, "%s in %s: %s", where, ilk_precision_name((ilk_precision)p),
                          err ? err->message : ilk_status_string(st));
            leave_out(b, p);
            st = ILK_OK;
        }
    }
    if (st == ILK_OK)
        st = take_turns(b, err);
    b->out->n_texts = (uint32_t)b->n;
    b->out->seconds = (double)(ilki_base_now_ns() - begin) / (double)second_ns;
    return st;
}

static ilk_status make_texts(bench *b, ilk_error *err)
{
    size_t n = ilki_tasks_n_calibration_texts;
    b->texts = ilki_base_zalloc(n, sizeof *b->texts);
    if (!b->texts)
        return ilki_base_fail_memory(err, n * sizeof *b->texts, "calibration texts");
    for (size_t i = 0; i < n; i++)
        b->texts[i] = (ilki_text){ilki_tasks_calibration_texts[i], strlen(ilki_tasks_calibration_texts[i])};
    return ILK_OK;
}

ilk_status ilki_tasks_calibrate(ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_job *job,
                                ilk_calibration *out, ilk_error *err)
{
    bench b = {.job = job, .out = out};
    const char *fingerprint = NULL;
    *out = (ilk_calibration){.size = sizeof *out};
    ilk_status st = make_texts(&b, err);
    if (st == ILK_OK)
        st = open_at(&b, rt, where, opt, ILK_PRECISION_F32, err);
    ilk_model *f32 = b.m[ILK_PRECISION_F32];
    if (st == ILK_OK)
        st = check_model(f32, err);
    if (st == ILK_OK)
        st = ilki_embed_fingerprint(f32, job, &fingerprint, err);
    if (st == ILK_OK && !ilki_embed_read_auto(rt, fingerprint, out)) {
        st = measure(&b, rt, where, opt, err);
        if (st == ILK_OK) {
            ilki_tasks_settle(out, ilki_embed_info(f32)->n_layers, ilki_embed_info(f32)->n_parameters);
            ilki_embed_write_auto(rt, fingerprint, out);
        }
    }
    for (int p = 0; p < ILK_CALIBRATION_PRECISIONS; p++) {
        ilki_embed_vectors_free(b.v[p]);
        ilki_embed_close(b.m[p]);
    }
    free(b.texts);
    return st;
}

ilk_status ilki_tasks_get_calibration(ilk_model *m, ilk_calibration *out, ilk_error *err)
{
    char fingerprint[65];
    *out = (ilk_calibration){.size = sizeof *out};
    if (m->glance[0] && ilki_embed_recall_folder(m, fingerprint) && ilki_embed_read_auto(m->rt, fingerprint, out))
        return ILK_OK;
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: its precisions were not measured on this machine",
                          ilki_embed_info(m)->id);
}
