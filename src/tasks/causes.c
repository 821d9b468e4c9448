/* SPDX-License-Identifier: Apache-2.0
 * Why somebody's vectors are not the model's. Cheap causes first, from what is there: the number of rows, their order,
 * dimension, length. Then a few rows (the worst, and some spread over the file) are embedded again in variants, one change
 * at a time, then two: prompts, pooling, the limit of tokens, lower case, and no modules behind the pooling. The first
 * variant under which every tried row agrees is the cause; without one, the nearest is told as such. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/against.h"

#define MAX_SAMPLE  48
#define MAX_SHIFT   8
#define MAX_PROMPTS 48
#define SIGNIFICANT 0.05 /* a mean cosine has to rise by so much, and above a half, to be called nearer */

/* Prompts that users put before texts by habit, beside those of the checkpoint. */
static const char *const habits[] = {
    "query: ",
    "passage: ",
    "search_query: ",
    "search_document: ",
    "clustering: ",
    "classification: ",
    "Represent this sentence for searching relevant passages: ",
    "Represent this sentence: ",
    "title: none | text: ",
    "task: search result | query: ",
};

static const struct {
    unsigned mode;
    const char *name;
} poolings[] = {
    {ILKI_POOL_MEAN, "the mean of all tokens"},
    {ILKI_POOL_CLS, "the first token (CLS)"},
    {ILKI_POOL_LAST, "the last token"},
    {ILKI_POOL_MAX, "the maximum over the tokens"},
    {ILKI_POOL_WEIGHTED, "the mean weighted by position"},
    {ILKI_POOL_MEAN_SQRT, "the sum divided by the square root of the length"},
};
enum { N_POOLINGS = sizeof poolings / sizeof *poolings };

typedef struct variant {
    const char *prompt; /* NULL: as asked for */
    unsigned pooling;   /* 0: the checkpoint's */
    uint32_t max_tokens;
    bool lower, raw;
} variant;

typedef struct search {
    ilki_against *a;
    size_t sample[MAX_SAMPLE], n;
    const char *prompts[MAX_PROMPTS];
    size_t n_prompts;
    variant best;
    double best_least, best_mean;
    bool found;
} search;

static void explain(ilki_against *a, const char *cause, double least, double mean, bool all, const char *fmt, ...)
    ILKI_PRINTF(6, 7);
static void explain(ilki_against *a, const char *cause, double least, double mean, bool all, const char *fmt, ...)
{
    ilk_against_result *r = a->result;
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->explanation, sizeof r->explanation, fmt, args);
    va_end(args);
    snprintf(r->cause, sizeof r->cause, "%s", cause);
    r->cause_least = least;
    r->cause_mean = mean;
    r->explains = all;
}

/* ------------------------------------------------------------------ what needs no pass */

/* Texts [from, ...) against rows moved by `shift`: their least and mean cosine; false without two of them. */
static bool shifted(const ilki_against *a, size_t from, long shift, double *least, double *mean)
{
    size_t n = 0;
    double sum = 0;
    *least = 2;
    for (size_t i = from; i < a->n_texts; i++) {
        if ((shift < 0 && i < (size_t)-shift) || (size_t)((long)i + shift) >= a->rows.n)
            continue;
        double c = ilki_tasks_cosine(ilki_tasks_own(a, i), ilki_tasks_row(a, (size_t)((long)i + shift)), a->dim);
        sum += c;
        *least = c < *least ? c : *least;
        n++;
    }
    *mean = n ? sum / (double)n : 0;
    return n >= 2;
}

static bool find_shift(ilki_against *a)
{
    ilk_against_result *r = a->result;
    size_t first = r->first_bad == ILK_NO_ROW ? r->n_compared : (size_t)r->first_bad;
    double least, mean;
    for (long by = 1; by <= MAX_SHIFT; by++)
        for (long sign = -1; sign <= 1; sign += 2) {
            long shift = by * sign;
            size_t from = shift < 0 ? first + (size_t)by : first;
            if (!shifted(a, from, shift, &least, &mean) || least < a->min_cosine)
                continue;
            if (first == 0)
                explain(a, "order", least, mean, true, "the rows are shifted: row i + %ld belongs to text i", shift);
            else if (shift < 0)
                explain(a, "count", least, mean, true,
                        "%ld text%s from line %zu on ha%s no row: rows behind are shifted", by, by > 1 ? "s" : "",
                        first + 1, by > 1 ? "ve" : "s");
            else
                explain(a, "count", least, mean, true,
                        "%ld row%s from row %zu on ha%s no text: rows behind are shifted", by, by > 1 ? "s" : "", first,
                        by > 1 ? "ve" : "s");
            return true;
        }
    return false;
}

/* The row nearest to a text. */
static size_t nearest(const ilki_against *a, size_t text, double *cosine)
{
    size_t best = 0;
    *cosine = -2;
    for (size_t k = 0; k < a->rows.n; k++) {
        double c = ilki_tasks_cosine(ilki_tasks_own(a, text), ilki_tasks_row(a, k), a->dim);
        if (c > *cosine) {
            *cosine = c;
            best = k;
        }
    }
    return best;
}

/* Every tried text has its row, somewhere else. */
static bool find_shuffle(search *s)
{
    ilki_against *a = s->a;
    double least = 2, sum = 0, c;
    size_t text = 0, row = 0, n_moved = 0;
    for (size_t i = 0; i < s->n; i++) {
        size_t at = nearest(a, s->sample[i], &c);
        least = c < least ? c : least;
        sum += c;
        if (c < a->min_cosine)
            return false;
        if (at != s->sample[i] && n_moved++ == 0) {
            text = s->sample[i];
            row = at;
        }
    }
    if (n_moved == 0)
        return false;
    explain(a, "order", least, sum / (double)s->n, true,
            "the rows are in another order: the vector of text %zu is row %zu, and so for others", text, row);
    return true;
}

/* ------------------------------------------------------------------ variants */

/* ASCII letters, and those of Latin-1, Greek and Cyrillic that stand a fixed distance above their small forms. */
static void lower_text(ilki_buf *b, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i], d = i + 1 < n ? (unsigned char)s[i + 1] : 0;
        if (c >= 'A' && c <= 'Z') {
            ilki_base_buf_addc(b, (char)(c + 32));
        } else if (c == 0xc3 && d >= 0x80 && d <= 0x9e && d != 0x97) { /* U+00C0 to U+00DE */
            ilki_base_buf_addc(b, (char)c);
            ilki_base_buf_addc(b, (char)(d + 32));
            i++;
        } else if (c == 0xd0 && d >= 0x90 && d <= 0xaf) { /* U+0410 to U+042F */
            ilki_base_buf_addc(b, (char)(d < 0xa0 ? 0xd0 : 0xd1));
            ilki_base_buf_addc(b, (char)(d < 0xa0 ? d + 32 : d - 32));
            i++;
        } else {
            ilki_base_buf_addc(b, (char)c);
        }
    }
}

/* The sample's texts as the variant has them, in `buf` where they are changed. */
static ilk_status variant_texts(const search *s, const variant *v, ilki_buf *buf, ilki_text *to, ilk_error *err)
{
    size_t at[MAX_SAMPLE + 1] = {0};
    for (size_t i = 0; i < s->n; i++) {
        to[i] = s->a->texts[s->sample[i]];
        if (v->lower)
            lower_text(buf, to[i].s, to[i].n);
        at[i + 1] = buf->len;
    }
    for (size_t i = 0; v->lower && i < s->n; i++)
        to[i] = (ilki_text){ilki_base_buf_view(buf) + at[i], at[i + 1] - at[i]};
    return ilki_base_buf_check(buf, "texts", err);
}

static ilk_status open_with_limit(const search *s, uint32_t max_tokens, ilk_model **m, ilk_error *err)
{
    const ilk_model *own = s->a->m;
    ilk_model_options opt = {.size = sizeof opt,
                             .precision = own->info.precision,
                             .attention = own->attention,
                             .no_mmap = own->no_mmap,
                             .max_tokens = max_tokens,
                             .batch_tokens = own->batch_tokens};
    return ilki_embed_open(m, own->rt, own->info.path, &opt, err);
}

/* Embeds the sample in a variant; keeps it where it is the best so far. A variant that cannot be made is no cause. */
static ilk_status try_variant(search *s, const variant *v, ilk_error *err)
{
    ilki_against *a = s->a;
    ilki_texts_how how = {.role = a->opt->role,
                          .prompt = v->prompt ? v->prompt : a->opt->prompt,
                          .pooling = v->pooling,
                          .normalize = v->raw ? -1 : 0};
    ilk_model *other = NULL;
    ilk_vectors *got = NULL;
    ilki_text texts[MAX_SAMPLE];
    ilki_buf buf;
    ilk_error why;
    double least = 2, sum = 0;
    if (s->found)
        return ILK_OK;
    ilki_base_buf_init(&buf, (size_t)1 << 30);
    ilk_error_init_sized(&why, sizeof why);
    ilk_status st = v->max_tokens ? open_with_limit(s, v->max_tokens, &other, &why) : ILK_OK;
    if (st == ILK_OK)
        st = variant_texts(s, v, &buf, texts, &why);
    if (st == ILK_OK)
        st = ilki_tasks_embed(other ? other : a->m, texts, s->n, &how, a->job, &got, &why);
    for (size_t i = 0; st == ILK_OK && i < s->n; i++) {
        double c = ilki_tasks_cosine(got->data + i * got->dim, ilki_tasks_row(a, s->sample[i]), a->dim);
        least = c < least ? c : least;
        sum += c;
    }
    ilki_embed_vectors_free(got);
    ilki_embed_close(other);
    ilki_base_buf_deinit(&buf);
    if (st == ILK_OK && sum / (double)s->n > s->best_mean) {
        s->best = *v;
        s->best_least = least;
        s->best_mean = sum / (double)s->n;
        s->found = least >= a->min_cosine;
    }
    if (st == ILK_CANCELLED || st == ILK_DEADLINE || st == ILK_NO_MEMORY)
        return ilki_base_fail(err, st, "%s", why.message);
    return ILK_OK;
}

static void add_prompt(search *s, const char *prompt)
{
    for (size_t i = 0; i < s->n_prompts; i++)
        if (!prompt || strcmp(prompt, s->prompts[i]) == 0)
            return;
    if (prompt && s->n_prompts < MAX_PROMPTS)
        s->prompts[s->n_prompts++] = prompt;
}

static void collect_prompts(search *s)
{
    const ilk_model *m = s->a->m;
    add_prompt(s, "");
    add_prompt(s, m->info.prompt_query);
    add_prompt(s, m->info.prompt_document);
    for (size_t i = 0; i < m->modules.n_prompts; i++)
        add_prompt(s, m->modules.prompts[i].text);
    for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
        add_prompt(s, habits[i]);
}

/* Other pooling makes sense where one mode stands alone. */
static bool may_pool(const search *s)
{
    return __builtin_popcount(s->a->m->modules.pooling) == 1;
}

/* Limits of tokens that would cut a tried text elsewhere than the model's does. */
static ilk_status try_lengths(search *s, ilk_error *err)
{
    static const uint32_t usual[] = {64, 128, 256, 384, 512, 1024, 2048, 4096, 8192, 32768};
    const ilk_model *m = s->a->m;
    size_t longest = 0;
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < s->n; i++) {
        size_t n = s->a->own->state[s->sample[i]].n_tokens + s->a->own->state[s->sample[i]].n_dropped;
        longest = n > longest ? n : longest;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual && st == ILK_OK; i++) {
        uint32_t lower = usual[i] < m->info.max_tokens ? usual[i] : m->info.max_tokens;
        if (usual[i] != m->info.max_tokens && longest > lower)
            st = try_variant(s, &(variant){.max_tokens = usual[i]}, err);
    }
    return st;
}

static ilk_status try_single(search *s, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < s->n_prompts && st == ILK_OK; i++)
        st = try_variant(s, &(variant){.prompt = s->prompts[i]}, err);
    for (size_t i = 0; i < N_POOLINGS && may_pool(s) && st == ILK_OK; i++)
        st = try_variant(s, &(variant){.pooling = poolings[i].mode}, err);
    if (st == ILK_OK)
        st = try_lengths(s, err);
    if (st == ILK_OK)
        st = try_variant(s, &(variant){.lower = true}, err);
    return st == ILK_OK ? try_variant(s, &(variant){.raw = true}, err) : st;
}

static ilk_status try_pairs(search *s, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; i < s->n_prompts && st == ILK_OK; i++) {
        for (size_t k = 0; k < N_POOLINGS && may_pool(s) && st == ILK_OK; k++)
            st = try_variant(s, &(variant){.prompt = s->prompts[i], .pooling = poolings[k].mode}, err);
        if (st == ILK_OK)
            st = try_variant(s, &(variant){.prompt = s->prompts[i], .lower = true}, err);
    }
    for (size_t k = 0; k < N_POOLINGS && may_pool(s) && st == ILK_OK; k++)
        st = try_variant(s, &(variant){.pooling = poolings[k].mode, .lower = true}, err);
    return st;
}

/* "with the prompt "query: "" and so on; which word stands for it. */
static const char *describe(const variant *v, char *to, size_t n)
{
    const char *cause = "unknown";
    size_t at = 0;
    to[0] = 0;
    if (v->prompt) {
        cause = "prompt";
        at += (size_t)snprintf(to, n, *v->prompt ? "with the prompt \"%.120s\" before each text" : "without a prompt%s",
                               v->prompt);
    }
    for (size_t k = 0; v->pooling && k < N_POOLINGS; k++)
        if (poolings[k].mode == v->pooling && at < n) {
            cause = v->prompt ? cause : "pooling";
            at += (size_t)snprintf(to + at, n - at, "%spooled by %s", at ? ", " : "", poolings[k].name);
        }
    if (v->max_tokens && at < n) {
        cause = "length";
        at += (size_t)snprintf(to + at, n - at, "%swith texts cut at %u tokens", at ? ", " : "", v->max_tokens);
    }
    if (v->lower && at < n) {
        cause = v->prompt || v->pooling ? cause : "case";
        at += (size_t)snprintf(to + at, n - at, "%sof the texts in lower case", at ? ", " : "");
    }
    if (v->raw && at < n) {
        cause = "norm";
        snprintf(to + at, n - at, "%sbefore normalisation", at ? ", " : "");
    }
    return cause;
}

/* ------------------------------------------------------------------ lengths and the whole */

/* Directions agree; lengths or dimensions do not. */
static ilk_status explain_length(search *s, ilk_error *err)
{
    ilki_against *a = s->a;
    ilk_against_result *r = a->result;
    double least = r->least_cosine, mean = r->mean_cosine;
    if (a->rows.dim < a->m->info.dim) {
        explain(a, "dimension", least, mean, true, "the rows are the first %zu of the model's %u entries%s",
                a->rows.dim, a->m->info.dim,
                fabs(r->row_norm - 1) < 0.01 ? ", brought to unit length again" : ", not brought to unit length again");
        return ILK_OK;
    }
    if (a->rows.dim > a->m->info.dim) {
        explain(a, "dimension", least, mean, false,
                "the rows have %zu entries, the model's vectors %u, which are the first of them", a->rows.dim,
                a->m->info.dim);
        return ILK_OK;
    }
    ilk_vectors *raw = NULL;
    ilki_texts_how how = {.role = a->opt->role, .prompt = a->opt->prompt, .normalize = -1};
    ilk_status st = ilki_tasks_embed(a->m, a->texts, s->n, &how, a->job, &raw, err);
    if (st != ILK_OK)
        return st;
    double length = 0, rows = 0;
    for (size_t i = 0; i < s->n; i++) {
        length += ilki_tasks_length(raw->data + i * raw->dim, raw->dim) / (double)s->n;
        rows += ilki_tasks_length(ilki_tasks_row(a, i), a->rows.dim) / (double)s->n;
    }
    ilki_embed_vectors_free(raw);
    if (fabs(r->row_norm - 1) < 0.01)
        explain(a, "norm", least, mean, true, "the rows have unit length, the model's vectors a length of %.4g",
                r->model_norm);
    else if (a->m->info.normalized && fabs(length - rows) < 0.01 * rows)
        explain(
            a, "norm", least, mean, true,
            "the rows are not normalised: they are what the model has before its module Normalize (mean length %.4g)",
            r->row_norm);
    else
        explain(a, "norm", least, mean, true, "the rows have a mean length of %.4g, the model's vectors of %.4g",
                r->row_norm, r->model_norm);
    return ILK_OK;
}

/* The worst rows, and some spread over the file. */
static void choose_sample(search *s)
{
    const ilki_against *a = s->a;
    size_t n = (size_t)a->result->n_compared, step = n / (MAX_SAMPLE / 2) + 1;
    bool *taken = ilki_base_zalloc(n, sizeof *taken);
    for (size_t i = 0; taken && i < n && s->n < MAX_SAMPLE; i += step) {
        taken[i] = true;
        s->sample[s->n++] = i;
    }
    for (size_t i = 0; taken && i < n && s->n < MAX_SAMPLE; i++)
        if (a->cosine[i] < a->min_cosine && !taken[i]) {
            taken[i] = true;
            s->sample[s->n++] = i;
        }
    free(taken);
    if (s->n == 0 && n) /* no memory to mark them */
        s->sample[s->n++] = 0;
}

static void tell_best(search *s)
{
    char how[400];
    const char *cause = describe(&s->best, how, sizeof how);
    ilki_against *a = s->a;
    if (s->found)
        explain(a, cause, s->best_least, s->best_mean, true, "the rows are the model's vectors %s", how);
    else if (s->best_mean > 0.5 && s->best_mean > a->result->mean_cosine + SIGNIFICANT)
        explain(a, cause, s->best_least, s->best_mean, false,
                "nothing that was tried makes the rows agree; nearest are the model's vectors %s", how);
    else
        explain(a, "unknown", a->result->least_cosine, a->result->mean_cosine, false,
                "nothing that was tried makes the rows agree: another model, or other texts");
}

ilk_status ilki_tasks_find_cause(ilki_against *a, ilk_error *err)
{
    search s = {.a = a, .best_mean = a->result->mean_cosine, .best_least = a->result->least_cosine};
    choose_sample(&s);
    if (a->n_texts != a->rows.n && a->result->n_bad == 0 && a->rows.dim == a->m->info.dim) {
        explain(a, "count", a->result->least_cosine, a->result->mean_cosine, true,
                "the first %zu agree, but there are %zu texts and %zu rows", (size_t)a->result->n_compared, a->n_texts,
                a->rows.n);
        return ILK_OK;
    }
    if (a->result->n_bad == 0)
        return explain_length(&s, err);
    if (find_shift(a) || find_shuffle(&s))
        return ILK_OK;
    double mean = 0; /* of the sample as it is, that variants have to beat */
    for (size_t i = 0; i < s.n; i++)
        mean += a->cosine[s.sample[i]] / (double)s.n;
    s.best_mean = mean;
    collect_prompts(&s);
    ilk_status st = try_single(&s, err);
    if (st == ILK_OK)
        st = try_pairs(&s, err);
    if (st == ILK_OK)
        tell_best(&s);
    return st;
}
