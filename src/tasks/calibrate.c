/* SPDX-License-Identifier: Apache-2.0
 * ilk_model_calibrate. Every precision embeds ilk's own texts, or its pictures where the model sees; those of f32 are the
 * reference. Speeds are taken in turns, so that what disturbs the machine disturbs all, and the best turn of each counts; by
 * CPU time where all of a precision's turns were disturbed. The rule is verdict.c's.
 *
 * Where precisions under f32 have two forms of attention, each is measured with bf16; with f32 only where it does not keep
 * the vectors so. Of the chosen one both forms then take turns over the longest texts. It is one opened model: the form is a
 * matter of a pass.
 *
 * All of it happens under a job of its own that stops when the time is up, packing of weights included; what is done until
 * then counts. trials.c says what is begun.
 *
 * Where f32 exceeds the memory ceiling, the reference packs its weights a layer at a time (embed's open_reference), all texts
 * in as few passes as the ceiling allows, since each reads all weights. Where the precisions exceed it together, they are
 * opened one after the other, and turns of one are taken while it is open. */
#include "tasks/calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "embed/auto.h"
#include "tasks/tasks.h"

static const double hopeless = 0.5; /* of the speed of f32, in one pass */
enum {
    N_NEAREST = 10,
    N_PICTURES = 48,
    MIN_TEXTS = 24,
    MIN_RIVAL_TEXTS = N_NEAREST + 2, /* of one that is slower than f32 */
    PROBE_TEXTS = 3,                 /* short ones */
    TIMED_TEXTS = 24,
    LONG_TEXTS = 8, /* attention is timed by */
    MAX_TURNS = 8,
    MIN_TURNS = 2,
    STREAMED_BATCH = 8192, /* tokens of a pass that packs all weights for itself */
    LEAST_BATCH = 64,
    LARGE_PARAMETERS = 150000000,
    SMALL_PARAMETERS = 30000000
};
static const uint64_t second_ns = 1000000000, calm_ns = 25000000;
static const double small_seconds = 9, large_seconds = 57; /* the rest is for ending */
static const double turns_until = 0.85;                    /* of the time; attention's come behind */

/* ------------------------------------------------------------------ measuring */

typedef struct bench {
    ilk_runtime *rt;
    const char *where;
    const ilk_model_options *opt;
    ilk_job *caller, *job;                    /* job: until the time is up */
    ilk_model *m[ILK_CALIBRATION_PRECISIONS]; /* NULL: the model has no such precision */
    ilk_vectors *v[ILK_CALIBRATION_PRECISIONS];
    ilki_text *texts; /* or pictures, of a model that sees: their tower loses more, and takes longer */
    ilki_texts_how how;
    uint8_t *pixels;
    bool reads_too;     /* it sees and reads */
    ilk_vectors *words; /* then of the first MIN_TEXTS texts, in f32 */
    size_t n, n_timed;  /* texts that are compared, that a turn embeds */
    ilki_pace pace[ILK_CALIBRATION_PRECISIONS];
    unsigned n_threads;
    uint32_t n_layers;
    uint64_t n_parameters;
    bool streamed; /* f32 is the reference alone */
    bool alone;    /* one precision at a time */
    bool both;     /* forms of attention */
    uint64_t begin_ns, until_ns, share_ns;
    uint64_t n_passes; /* that are done, for progress */
    ilk_calibration *out;
} bench;

static const char *name_of(int p)
{
    return ilk_precision_name((ilk_precision)p);
}

static uint64_t count_tokens(const ilk_vectors *v)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        n += v->state[i].n_tokens;
    return n;
}

typedef struct turn {
    uint64_t ns, cpu_ns, preempted;
} turn;

/* A pass of the reference may be larger than the ceiling lets it be: then smaller ones. */
static ilk_status embed_texts(bench *b, int p, size_t n, ilk_vectors **v, ilk_error *err)
{
    ilk_model *m = b->m[p];
    ilk_status st = ilki_tasks_embed(m, b->texts, n, &b->how, b->job, v, err);
    while (st == ILK_LIMIT && m->streamed && m->batch_tokens > LEAST_BATCH) {
        m->batch_tokens /= 2;
        st = ilki_tasks_embed(m, b->texts, n, &b->how, b->job, v, err);
    }
    return st;
}

static ilk_status embed(bench *b, int p, size_t n, ilk_vectors **v, turn *t, ilk_error *err)
{
    ilki_cpu_used before = ilki_base_cpu_used();
    uint64_t begin = ilki_base_now_ns();
    ilk_status st = embed_texts(b, p, n, v, err);
    t->ns = ilki_base_now_ns() - begin;
    ilki_cpu_used after = ilki_base_cpu_used();
    t->cpu_ns = after.ns - before.ns;
    t->preempted = after.preempted - before.preempted;
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        if ((*v)->state[i].status != ILK_OK)
            st = ilki_base_fail(err, (*v)->state[i].status, "calibration text %zu in %s: %s", i, name_of(p),
                                (*v)->state[i].message ? (*v)->state[i].message : "no vector");
    if (st != ILK_OK) {
        ilki_embed_vectors_free(*v);
        *v = NULL;
    }
    return st;
}

/* What a pass over the first n texts takes. */
static ilk_status probe(bench *b, int p, size_t n, turn *t, ilk_error *err)
{
    ilk_vectors *v = NULL;
    ilk_status st = embed(b, p, n, &v, t, err);
    ilki_embed_vectors_free(v);
    return st;
}

static double bytes_of(const bench *b, size_t n)
{
    double bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += (double)b->texts[i].n;
    return bytes;
}

/* How many texts a reference embeds that packs all weights in each pass: by what a pass takes, and what its texts add. */
static ilk_status count_streamed(bench *b, size_t *n, ilk_error *err)
{
    turn small = {0}, more = {0};
    double budget = 3 * (double)b->share_ns, slope = 0;
    *n = MIN_TEXTS;
    ilk_status st = probe(b, ILK_PRECISION_F32, PROBE_TEXTS, &small, err);
    if (st != ILK_OK || 3 * (double)small.ns > budget)
        return st;
    st = probe(b, ILK_PRECISION_F32, 4 * PROBE_TEXTS, &more, err);
    if (st == ILK_OK && more.ns > small.ns)
        slope = (double)(more.ns - small.ns) / (bytes_of(b, 4 * PROBE_TEXTS) - bytes_of(b, PROBE_TEXTS));
    while (st == ILK_OK && *n < b->n && (double)more.ns + slope * bytes_of(b, *n + 1) <= budget)
        ++*n;
    return st;
}

/* How many texts a share of the time is enough for, by a pass over the first, short ones. */
static ilk_status count_texts(bench *b, int p, size_t least, size_t *n, ilk_error *err)
{
    turn t = {0};
    for (int i = 0; i < 2; i++) { /* the first pass also pays for fresh memory */
        ilk_status st = probe(b, p, PROBE_TEXTS, &t, err);
        if (st != ILK_OK)
            return st;
    }
    double probed = bytes_of(b, PROBE_TEXTS), cost = 0;
    for (*n = 0; *n < b->n; ++*n) {
        cost += (double)b->texts[*n].n;
        if (*n >= least && cost / probed * (double)t.ns > (double)b->share_ns)
            break;
    }
    return ILK_OK;
}

/* Calm: no thread was pushed off its CPU more than once in 25 ms. A scheduler shares a CPU in slices far below that. */
static void add_rate(ilki_pace *pace, const ilk_vectors *v, const turn *t, unsigned n_threads)
{
    double tokens = (double)count_tokens(v) * (double)second_ns;
    pace->wall = fmax(pace->wall, tokens / (double)(t->ns + 1));
    pace->cpu = fmax(pace->cpu, tokens / (double)(t->cpu_ns + 1));
    pace->calm |= t->preempted * calm_ns <= t->ns * n_threads;
}

static void take_rate(bench *b, int p, const ilk_vectors *v, const turn *t)
{
    add_rate(&b->pace[p], v, t, b->n_threads);
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

/* The texts of a model that sees: what keeps its pictures worse than its texts counts by them, and the other way round. */
static ilk_status compare_words(bench *b, int p, ilk_error *err)
{
    static const ilki_texts_how how = {.role = ILK_ROLE_DOCUMENT};
    ilki_text texts[MIN_TEXTS];
    ilk_vectors *v = NULL;
    double mean = 0, least = 1;
    for (size_t i = 0; i < MIN_TEXTS; i++)
        texts[i] = (ilki_text){ilki_tasks_calibration_texts[i], strlen(ilki_tasks_calibration_texts[i])};
    ilk_status st = ilki_tasks_embed(b->m[p], texts, MIN_TEXTS, &how, b->job, &v, err);
    if (st != ILK_OK || p == ILK_PRECISION_F32) {
        b->words = v;
        return st;
    }
    for (size_t i = 0; i < MIN_TEXTS; i++) {
        double c = cosine(b->words->data + i * v->dim, v->data + i * v->dim, v->dim);
        mean += c / MIN_TEXTS;
        least = fmin(least, c);
    }
    b->out->cosine_mean[p] = fmin(b->out->cosine_mean[p], mean);
    b->out->cosine_least[p] = fmin(b->out->cosine_least[p], least);
    ilki_embed_vectors_free(v);
    return ILK_OK;
}

static void tell(bench *b, bool last)
{
    b->n_passes += !last;
    ilki_base_job_progress(b->job, "calibrate", "passes", b->n_passes, 0, 0, last);
}

static ilk_status take_turn(bench *b, int p, ilk_error *err)
{
    ilk_vectors *v = NULL;
    turn t;
    ilk_status st = embed(b, p, b->n_timed, &v, &t, err);
    if (st != ILK_OK)
        return st;
    take_rate(b, p, v, &t);
    ilki_embed_vectors_free(v);
    tell(b, false);
    return ILK_OK;
}

/* The time is up, and nobody else stopped it. */
static bool is_late(const bench *b, ilk_status st)
{
    return st == ILK_DEADLINE && !ilki_base_job_stopped(b->caller);
}

static uint64_t turns_end(const bench *b)
{
    return b->begin_ns + (uint64_t)((double)(b->until_ns - b->begin_ns) * turns_until);
}

/* Turns while there is time, of those that may yet be faster than f32. */
static ilk_status take_turns(bench *b, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (unsigned i = 0; st == ILK_OK && i < MAX_TURNS && ilki_base_now_ns() < turns_end(b); i++)
        for (int p = 0; p < ILK_CALIBRATION_PRECISIONS && st == ILK_OK; p++)
            if (b->m[p] && !(b->pace[p].wall < hopeless * b->pace[ILK_PRECISION_F32].wall))
                st = take_turn(b, p, err);
    return is_late(b, st) ? ILK_OK : st;
}

/* The turns of one that is open alone, for its share of the time; none of one far behind another. */
static ilk_status take_own_turns(bench *b, int p, ilk_error *err)
{
    uint64_t until = ilki_base_now_ns() + b->share_ns;
    double best = 0;
    ilk_status st = ILK_OK;
    for (int k = 0; k < ILK_CALIBRATION_PRECISIONS; k++)
        best = fmax(best, b->pace[k].wall);
    for (unsigned i = 0; st == ILK_OK && i < MAX_TURNS && !(b->pace[p].wall < hopeless * best); i++) {
        if (i >= MIN_TURNS && ilki_base_now_ns() > until)
            break;
        st = take_turn(b, p, err);
    }
    return is_late(b, st) ? ILK_OK : st; /* its vectors are compared, and their pass has told a speed */
}

/* ------------------------------------------------------------------ one precision after the other */

static ilk_status open_at(bench *b, int p, ilk_error *err)
{
    ilk_model_options o = *b->opt;
    o.precision = (ilk_precision)p;
    o.attention = ILK_ATTENTION_AUTO;
    if (o.packed_cache == ILK_PACKED_KEEP) /* of a rival that will not be taken */
        o.packed_cache = ILK_PACKED_LOOK;
    ilk_status st = ilki_base_job_check(b->job, err);
    if (st != ILK_OK || p != ILK_PRECISION_F32)
        return st == ILK_OK ? ilki_embed_open_under(&b->m[p], b->rt, b->where, &o, b->job, err) : st;
    st = ilki_embed_open_reference(&b->m[p], b->rt, b->where, &o, b->job, err);
    if (st == ILK_OK && b->m[p]->streamed && !b->opt->batch_tokens)
        b->m[p]->batch_tokens = STREAMED_BATCH;
    return st;
}

/* About what the weights of a precision take. */
static uint64_t weight_bytes(uint64_t n_parameters, int p)
{
    return n_parameters * (p == ILK_PRECISION_F32 ? 4 : p == ILK_PRECISION_BF16 ? 2 : 1);
}

static ilk_status check_model(bench *b, const ilk_model *m, ilk_error *err)
{
    const ilk_model_info *i = ilki_embed_info(m);
    uint64_t all = 0, ceiling = m->rt->ceiling_bytes;
    if (i->heads & ILK_HEAD_SCORE)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: a reranker is not calibrated, it stays f32", i->id);
    for (int p = ILK_PRECISION_F32; name_of(p); p++)
        all += weight_bytes(i->n_parameters, p);
    b->n_layers = i->image_layers ? ILKI_SHALLOW_LAYERS : i->n_layers; /* towers of any depth keep 0.999 */
    b->n_parameters = i->n_parameters;
    b->n_threads = ilki_base_pool_threads(m->rt->pool);
    b->streamed = m->streamed;
    b->both = ilki_embed_has_attentions(b->rt);
    b->alone = m->streamed || all > ceiling;
    if (weight_bytes(i->n_parameters, ILK_PRECISION_INT8W) > ceiling)
        return ilki_base_fail(err, ILK_LIMIT, "%s: weights of 8 bits need about %llu bytes, the memory ceiling is %llu",
                              i->id, (unsigned long long)weight_bytes(i->n_parameters, ILK_PRECISION_INT8W),
                              (unsigned long long)ceiling);
    return ILK_OK;
}

/* What a turn embeds: all that f32 was compared by, unless turns of so much do not fit. */
static void size_turns(bench *b, const turn *t)
{
    b->n_timed = b->n < TIMED_TEXTS || t->ns * MAX_TURNS < b->share_ns ? b->n : PROBE_TEXTS + 1;
    if (b->streamed) /* whose time tells nothing of the others */
        b->n_timed = b->n_parameters > SMALL_PARAMETERS ? PROBE_TEXTS + 1 : MIN_TEXTS;
}

static ilk_status compare_all(bench *b, int p, ilk_error *err)
{
    ilk_status st = compare(b, p, err);
    return st == ILK_OK && b->reads_too ? compare_words(b, p, err) : st;
}

/* Whether one that did not keep the vectors does with attention in f32, which it then has. */
static ilk_status try_finer(bench *b, int p, ilk_error *err)
{
    ilk_calibration found = *b->out;
    size_t n = b->v[p]->n;
    turn t;
    ilki_embed_vectors_free(b->v[p]);
    b->v[p] = NULL;
    b->m[p]->attention = ILK_ATTENTION_F32;
    ilk_status st = embed(b, p, n, &b->v[p], &t, err);
    if (st == ILK_OK)
        st = compare_all(b, p, err);
    if (st == ILK_OK && ilki_tasks_keeps(b->out, p, b->n_layers)) {
        b->out->attention[p] = ILK_ATTENTION_F32;
        b->pace[p] = (ilki_pace){0};
        take_rate(b, p, b->v[p], &t);
        return ILK_OK;
    }
    *b->out = found;
    b->m[p]->attention = ILK_ATTENTION_BF16;
    return st;
}

/* Vectors of one precision, and how near they are. */
static ilk_status measure_one(bench *b, int p, ilk_error *err)
{
    bool f32 = p == ILK_PRECISION_F32, reference = f32 && b->streamed;
    size_t n = 0;
    turn t;
    ilk_status st = f32 ? ILK_OK : open_at(b, p, err);
    if (st == ILK_UNSUPPORTED) /* of this family */
        return ILK_OK;
    if (st == ILK_OK)
        st = reference ? count_streamed(b, &n, err) : count_texts(b, p, f32 ? MIN_TEXTS : MIN_RIVAL_TEXTS, &n, err);
    if (st == ILK_OK)
        st = embed(b, p, n, &b->v[p], &t, err);
    if (st != ILK_OK)
        return st;
    if (f32) {
        b->n = n;
        size_turns(b, &t);
    }
    take_rate(b, p, b->v[p], &t);
    tell(b, false);
    st = compare_all(b, p, err);
    b->out->tokens_per_second[p] = b->pace[p].wall;
    if (st == ILK_OK && b->both && !f32) {
        b->out->attention[p] = ILK_ATTENTION_BF16;
        if (!ilki_tasks_keeps(b->out, p, b->n_layers))
            st = try_finer(b, p, err);
    }
    if (st == ILK_OK && b->alone && !reference)
        st = take_own_turns(b, p, err);
    if (st == ILK_OK && b->alone) {
        ilki_embed_close(b->m[p]);
        b->m[p] = NULL;
    }
    return st;
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
    b->pace[p] = (ilki_pace){0};
    b->out->attention[p] = ILK_ATTENTION_AUTO;
}

static ilk_status try_one(void *user, int p, ilk_error *err)
{
    bench *b = user;
    ilk_status st = measure_one(b, p, err);
    if (st == ILK_OK || p == ILK_PRECISION_F32)
        return st;
    leave_out(b, p);
    if (is_final(st))
        return st;
    ilki_base_log(b->rt, ILK_LOG_WARN, "%s in %s: %s", b->where, name_of(p),
                  err ? err->message : ilk_status_string(st));
    return ILK_OK;
}

static bool may_try(void *user, int p)
{
    const bench *b = user;
    return p == ILK_PRECISION_F32 || weight_bytes(b->n_parameters, p) <= b->rt->ceiling_bytes;
}

static uint64_t now_ns(void *user)
{
    (void)user;
    return ilki_base_now_ns();
}

static ilk_status measure_all(bench *b, ilk_error *err)
{
    ilki_trials t = {.now_ns = now_ns,
                     .measure = try_one,
                     .may = may_try,
                     .user = b,
                     .job = b->caller,
                     .begin_ns = b->begin_ns,
                     .until_ns = b->until_ns};
    bool any = false;
    ilk_status st = ilki_tasks_try(&t, err);
    for (int p = ILK_PRECISION_F32 + 1; p < ILK_CALIBRATION_PRECISIONS; p++)
        any |= b->pace[p].wall > 0;
    if (st == ILK_OK && t.short_of_time && !any)
        return ilki_base_fail(err, ILK_BUSY, "%s: within %.0f s no precision could be measured beside f32", b->where,
                              (double)(b->until_ns - b->begin_ns) / (double)second_ns);
    return st == ILK_OK && !b->alone ? take_turns(b, err) : st;
}

/* ------------------------------------------------------------------ attention of the chosen one */

/* What attention is timed by: pictures, or the longest texts. */
static ilki_text *long_texts(const bench *b, size_t *n)
{
    size_t n_all = b->how.kind ? b->n : ilki_tasks_n_calibration_texts;
    *n = n_all < LONG_TEXTS ? n_all : LONG_TEXTS;
    ilki_text *list = ilki_base_zalloc(*n, sizeof *list);
    for (size_t i = 0, n_list = 0; list && i < n_all; i++) {
        size_t at = n_list < *n ? n_list++ : *n - 1;
        if (i >= *n && list[at].n >= b->texts[i].n)
            continue;
        for (; at > 0 && list[at - 1].n < b->texts[i].n; at--)
            list[at] = list[at - 1];
        list[at] = b->texts[i];
    }
    return list;
}

static ilk_status time_forms(bench *b, int p, ilki_pace pace[2], ilk_error *err)
{
    static const ilk_attention forms[2] = {ILK_ATTENTION_F32, ILK_ATTENTION_BF16};
    ilki_text *all = b->texts, *list;
    size_t n;
    ilk_status st = ILK_OK;
    if (!(list = long_texts(b, &n)))
        return ilki_base_fail_memory(err, LONG_TEXTS * sizeof *list, "texts");
    b->texts = list;
    for (unsigned i = 0; st == ILK_OK && i < MAX_TURNS && (i < MIN_TURNS || ilki_base_now_ns() < b->until_ns); i++)
        for (unsigned k = 0; k < 2 && st == ILK_OK; k++) {
            ilk_vectors *v = NULL;
            turn t;
            b->m[p]->attention = forms[k];
            st = embed(b, p, n, &v, &t, err);
            if (st == ILK_OK)
                add_rate(&pace[k], v, &t, b->n_threads);
            ilki_embed_vectors_free(v);
            tell(b, false);
        }
    b->texts = all;
    free(list);
    return st;
}

/* The figures of the chosen one with attention in f32. */
static ilk_status measure_finer(bench *b, int p, ilk_error *err)
{
    size_t n = b->v[p]->n;
    turn t;
    ilki_embed_vectors_free(b->v[p]);
    b->v[p] = NULL;
    b->m[p]->attention = ILK_ATTENTION_F32;
    b->pace[p] = (ilki_pace){0};
    ilk_status st = embed(b, p, n, &b->v[p], &t, err);
    if (st == ILK_OK)
        take_rate(b, p, b->v[p], &t);
    for (unsigned i = 0; st == ILK_OK && i < MIN_TURNS; i++)
        st = take_turn(b, p, err);
    return st == ILK_OK ? compare_all(b, p, err) : st;
}

static ilk_status settle(bench *b, ilk_error *err)
{
    ilki_tasks_take_paces(b->out, b->pace);
    if (!b->streamed)
        ilki_tasks_settle(b->out, b->n_layers, b->n_parameters);
    else if (!ilki_tasks_settle_above(b->out, b->n_layers))
        return ilki_base_fail(err, ILK_LIMIT,
                              "%s: no precision could be measured under the memory ceiling of %llu bytes", b->where,
                              (unsigned long long)b->rt->ceiling_bytes);
    return ILK_OK;
}

/* bf16 stays where it is faster. Where time is up before that is told, the kernels' own form stays. */
static ilk_status decide_attention(bench *b, ilk_error *err)
{
    int p = (int)b->out->chosen;
    ilki_pace pace[2] = {{0}};
    if (b->out->attention[p] != ILK_ATTENTION_BF16)
        return ILK_OK;
    ilk_status st = b->m[p] ? ILK_OK : open_at(b, p, err);
    if (st == ILK_OK)
        st = time_forms(b, p, pace, err);
    double gain = ilki_tasks_attention_gain(&pace[0], &pace[1]);
    if (st != ILK_OK && !is_late(b, st))
        return st;
    b->out->attention_gain = gain;
    if (gain == 0 || ilki_tasks_attention_pays(gain))
        return ILK_OK;
    ilk_calibration found = *b->out;
    ilki_pace of = b->pace[p];
    st = measure_finer(b, p, err);
    if (st == ILK_OK) {
        b->out->attention[p] = ILK_ATTENTION_F32;
        st = settle(b, err);
        if ((int)b->out->chosen != p) /* by a hair: then nothing was timed of it */
            b->out->attention_gain = 0;
        return st;
    }
    *b->out = found;
    b->pace[p] = of;
    return is_late(b, st) ? ILK_OK : st;
}

/* ------------------------------------------------------------------ the call */

static ilk_status measure(bench *b, ilk_error *err)
{
    b->share_ns = (b->until_ns - b->begin_ns) / 10;
    b->n = b->how.kind ? N_PICTURES : ilki_tasks_n_calibration_texts;
    ilk_status st = measure_all(b, err);
    if (st == ILK_OK)
        st = settle(b, err);
    if (st == ILK_OK)
        st = decide_attention(b, err);
    tell(b, true);
    if (st != ILK_OK)
        return st;
    ilki_tasks_say_attention(b->out);
    b->out->n_texts = (uint32_t)b->n;
    b->out->seconds = (double)(ilki_base_now_ns() - b->begin_ns) / (double)second_ns;
    return ILK_OK;
}

/* Pictures of the network's own size, so that nothing but the network is measured. */
static ilk_status make_pictures(bench *b, const ilk_model *m, ilk_error *err)
{
    uint32_t side = m->info.image_size;
    size_t n_bytes = (size_t)side * side * 3;
    b->reads_too = m->info.modalities >> ILK_TEXT & 1;
    b->how = (ilki_texts_how){.kind = ILK_PART_PIXELS, .side = side};
    b->texts = ilki_base_zalloc(N_PICTURES, sizeof *b->texts);
    b->pixels = ilki_base_zalloc(N_PICTURES, n_bytes);
    if (!b->texts || !b->pixels)
        return ilki_base_fail_memory(err, N_PICTURES * n_bytes, "calibration pictures");
    for (uint32_t i = 0; i < N_PICTURES; i++) {
        ilki_tasks_draw_picture(b->pixels + i * n_bytes, side, i);
        b->texts[i] = (ilki_text){(const char *)b->pixels + i * n_bytes, n_bytes};
    }
    return ILK_OK;
}

static ilk_status make_texts(bench *b, const ilk_model *m, ilk_error *err)
{
    size_t n = ilki_tasks_n_calibration_texts;
    if (m->info.modalities >> ILK_IMAGE & 1)
        return make_pictures(b, m, err);
    b->how.role = ILK_ROLE_DOCUMENT;
    b->texts = ilki_base_zalloc(n, sizeof *b->texts);
    if (!b->texts)
        return ilki_base_fail_memory(err, n * sizeof *b->texts, "calibration texts");
    for (size_t i = 0; i < n; i++)
        b->texts[i] = (ilki_text){ilki_tasks_calibration_texts[i], strlen(ilki_tasks_calibration_texts[i])};
    return ILK_OK;
}

/* Its time ends where the model's size says. */
static ilk_status set_time(bench *b, double seconds, ilk_error *err)
{
    if (!(seconds > 0))
        seconds = b->n_parameters > LARGE_PARAMETERS ? large_seconds : small_seconds;
    b->until_ns = b->begin_ns + (uint64_t)(seconds * (double)second_ns);
    uint64_t now = ilki_base_now_ns();
    ilki_base_job_free(b->job);
    b->job = ilki_base_job_under(b->caller, now < b->until_ns ? (double)(b->until_ns - now) / (double)second_ns : 0);
    return b->job ? ILK_OK : ilki_base_fail_memory(err, 1, "a job");
}

/* The cached decision, or a new one. */
static ilk_status decide(bench *b, ilk_error *err)
{
    const char *hex = NULL;
    ilk_model *f32 = b->m[ILK_PRECISION_F32];
    ilk_status st = ilki_embed_fingerprint(f32, b->job, &hex, err);
    char fingerprint[65] = "";
    const ilki_auto_model of = {fingerprint, f32->exceeds};
    snprintf(fingerprint, sizeof fingerprint, "%s", hex ? hex : ""); /* the model's own goes when it is closed */
    if (st != ILK_OK || ilki_embed_read_auto(b->rt, &of, b->out))
        return st;
    st = measure(b, err);
    if (st == ILK_OK)
        ilki_embed_write_auto(b->rt, &of, b->out);
    return st;
}

ilk_status ilki_tasks_calibrate_within(ilk_runtime *rt, const char *where, const ilk_model_options *opt, double seconds,
                                       ilk_job *job, ilk_calibration *out, ilk_error *err)
{
    bench b = {.rt = rt, .where = where, .opt = opt, .caller = job, .out = out, .begin_ns = ilki_base_now_ns()};
    *out = (ilk_calibration){.size = sizeof *out};
    b.n_parameters = UINT64_MAX; /* nothing is known of it */
    ilk_status st = set_time(&b, seconds, err);
    if (st == ILK_OK)
        st = open_at(&b, ILK_PRECISION_F32, err);
    if (st == ILK_OK)
        st = check_model(&b, b.m[ILK_PRECISION_F32], err);
    if (st == ILK_OK)
        st = make_texts(&b, b.m[ILK_PRECISION_F32], err);
    if (st == ILK_OK)
        st = set_time(&b, seconds, err);
    if (st == ILK_OK)
        st = decide(&b, err);
    if (is_late(&b, st))
        st = ilki_base_fail(err, ILK_BUSY, "%s: %.0f s were not enough to open it and to measure a precision", where,
                            (double)(b.until_ns - b.begin_ns) / (double)second_ns);
    for (int p = 0; p < ILK_CALIBRATION_PRECISIONS; p++) {
        ilki_embed_vectors_free(b.v[p]);
        ilki_embed_close(b.m[p]);
    }
    ilki_embed_vectors_free(b.words);
    ilki_base_job_free(b.job);
    free(b.texts);
    free(b.pixels);
    return st;
}

ilk_status ilki_tasks_calibrate(ilk_runtime *rt, const char *where, const ilk_model_options *opt, ilk_job *job,
                                ilk_calibration *out, ilk_error *err)
{
    return ilki_tasks_calibrate_within(rt, where, opt, 0, job, out, err);
}

ilk_status ilki_tasks_get_calibration(ilk_model *m, ilk_calibration *out, ilk_error *err)
{
    char fingerprint[65];
    const ilki_auto_model of = {fingerprint, m->exceeds};
    *out = (ilk_calibration){.size = sizeof *out};
    if (m->glance[0] && ilki_embed_recall_folder(m, fingerprint) && ilki_embed_read_auto(m->rt, &of, out))
        return ILK_OK;
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: its precisions were not measured on this machine",
                          ilki_embed_info(m)->id);
}
