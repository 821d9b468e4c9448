/* SPDX-License-Identifier: Apache-2.0
 * A call of ilk_embed: options to a plan, inputs to vectors; and the queue of ilk_submit and ilk_submit_rerank, in which
 * small requests of several callers share passes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "embed/state.h"

#define SHARED_INPUTS 8   /* a request of more runs alone, under its own job */
#define SHARED_TOTAL  256 /* inputs of requests that run together */

/* ------------------------------------------------------------------ vectors */

ilk_status ilki_embed_vectors_new(ilk_vectors **out, size_t n, size_t dim, ilk_error *err)
{
    size_t floats;
    *out = NULL;
    ilk_vectors *v = ilki_base_zalloc(1, sizeof *v);
    bool ok = v && ilki_base_mul(n, dim, &floats);
    if (ok) {
        v->n = n;
        v->dim = dim;
        v->data = ilki_base_zalloc(floats, sizeof *v->data);
        v->state = ilki_base_zalloc(n, sizeof *v->state);
        ok = v->data && v->state;
    }
    if (!ok) {
        ilki_embed_vectors_free(v);
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory: %zu vectors of %zu floats", n, dim);
    }
    *out = v;
    return ILK_OK;
}

void ilki_embed_vectors_free(ilk_vectors *v)
{
    if (!v)
        return;
    for (size_t i = 0; v->state && i < v->n; i++)
        free((void *)(uintptr_t)v->state[i].message);
    free(v->state);
    free(v->data);
    free(v);
}

void ilki_embed_vectors_fail(ilk_vectors *v, size_t i, const ilk_error *from)
{
    v->state[i].status = from->status;
    free((void *)(uintptr_t)v->state[i].message);
    v->state[i].message = ilki_base_strndup(from->message, strlen(from->message));
    memset(v->data + i * v->dim, 0, v->dim * sizeof *v->data);
}

/* ------------------------------------------------------------------ a call */

ilk_status ilki_embed_make_plan(const ilk_model *m, const ilk_embed_options *opt, ilki_embed_plan *plan, ilk_error *err)
{
    uint32_t heads = opt->heads ? opt->heads : ILK_HEAD_DENSE;
    if (heads & ~(m->info.heads & ~ILK_HEAD_SCORE))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "heads: asked for %#x, this model has %#x", heads, m->info.heads);
    if (opt->dim > m->dim)
        return ilki_base_fail(err, ILK_MISMATCH, "dim: asked for %u entries, this model's vectors have %u", opt->dim,
                              m->dim);
    if (opt->normalize < -1 || opt->normalize > 1)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "normalize: expected -1, 0 or 1, found %d", opt->normalize);
    if (!(opt->text_share >= 0 && opt->text_share <= 1))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "text_share: expected 0 to 1, found %g", (double)opt->text_share);
    *plan = (ilki_embed_plan){.dim = opt->dim ? opt->dim : m->info.dim,
                              .text_share = opt->text_share > 0 ? opt->text_share : 0.5f,
                              .strict = opt->strict != 0,
                              .as_is = opt->no_exif != 0,
                              .n_modules = m->modules.n};
    plan->cut = plan->dim < m->dim;
    /* what the checkpoint itself cuts (truncate_dim) is left as it is, as the reference leaves it */
    plan->unit = opt->normalize == 1 || (opt->normalize == 0 && opt->dim && plan->cut && m->info.normalized);
    if (opt->normalize == -1 && m->info.normalized)
        plan->n_modules--;
    return ILK_OK;
}

static const ilk_input *input_at(const ilk_input *in, size_t i)
{
    return (const ilk_input *)(const void *)((const char *)in + i * in->size);
}

ilk_status ilki_embed_run(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                          ilk_vectors **out, ilk_error *err)
{
    ilki_embed_plan plan;
    ilk_vectors *v = NULL;
    *out = NULL;
    ilk_status st = ilki_embed_make_plan(m, opt, &plan, err);
    const ilk_input **list = st == ILK_OK ? ilki_base_zalloc(n_in, sizeof *list) : NULL;
    if (st == ILK_OK && !list)
        st = ilki_base_fail_memory(err, n_in * sizeof *list, "a batch");
    if (st == ILK_OK)
        st = ilki_embed_vectors_new(&v, n_in, plan.dim, err);
    for (size_t i = 0; st == ILK_OK && i < n_in; i++)
        list[i] = input_at(in, i);
    if (st == ILK_OK)
        st = ilki_embed_batch(m, list, n_in, &plan, job, v, err);
    free(list);
    if (st != ILK_OK) {
        ilki_embed_vectors_free(v);
        return st;
    }
    *out = v;
    return ILK_OK;
}

ilk_status ilki_embed_need(const ilk_model *m, uint32_t modalities, ilk_error *err)
{
    static const char *const names[] = {[ILK_TEXT] = "texts", [ILK_IMAGE] = "pictures"};
    if (!(m->info.heads & ILK_HEAD_DENSE))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected a model that makes vectors", m->info.id);
    for (unsigned i = ILK_TEXT; i <= ILK_IMAGE; i++)
        if (modalities & 1u << i && !(m->info.modalities & 1u << i))
            return ilki_base_fail(err, ILK_UNSUPPORTED,
                                  "%s: expected a model that reads %s, found one that reads %s alone", m->info.id,
                                  names[i], names[ILK_TEXT + ILK_IMAGE - i]);
    return ILK_OK;
}

ilk_status ilki_embed_similarity(const ilk_model *m, const float *a, const float *b, size_t dim, float *score,
                                 ilk_error *err)
{
    double ab = 0, aa = 0, bb = 0, manhattan = 0, squares = 0, s;
    for (size_t i = 0; i < dim; i++) {
        double x = (double)a[i], y = (double)b[i];
        ab += x * y;
        aa += x * x;
        bb += y * y;
        manhattan += fabs(x - y);
        squares += (x - y) * (x - y);
    }
    const char *f = m->info.similarity;
    if (strcmp(f, "dot") == 0)
        s = ab;
    else if (strcmp(f, "euclidean") == 0)
        s = -sqrt(squares);
    else if (strcmp(f, "manhattan") == 0)
        s = -manhattan;
    else if (strcmp(f, "cosine") == 0)
        s = aa > 0 && bb > 0 ? ab / (sqrt(aa) * sqrt(bb)) : 0;
    else
        return ilki_base_fail(err, ILK_UNSUPPORTED, "similarity_fn_name \"%s\" is not built", f);
    if (!isfinite(s))
        return ilki_base_fail(err, ILK_NOT_FINITE, "similarity: a vector holds a NaN or infinity");
    *score = (float)s;
    return ILK_OK;
}

/* ------------------------------------------------------------------ the queue */

typedef struct ilki_request {
    struct ilki_request *next;
    const ilk_input *in;
    size_t n_in;
    ilk_embed_options opt;
    ilk_job *job;
    bool rerank; /* the inputs are documents, and the options these */
    ilk_rerank_options score;
    ilki_pair_query query; /* borrowed from the input, or in */
    ilki_buf query_text;
} request;

static void free_request(request *r)
{
    ilki_base_buf_deinit(&r->query_text);
    free(r);
}

static void free_result(void *result)
{
    ilki_embed_vectors_free(result);
}

/* Whether two may run together: of rerankers' requests the query and the activation are each one's own. */
static bool same_kind(const request *x, const request *y)
{
    const ilk_embed_options *a = &x->opt, *b = &y->opt;
    if (x->rerank || y->rerank)
        return x->rerank && y->rerank && !x->score.strict == !y->score.strict;
    return a->dim == b->dim && a->normalize == b->normalize && a->heads == b->heads && a->strict == b->strict &&
           a->no_exif == b->no_exif && memcmp(&a->text_share, &b->text_share, sizeof a->text_share) == 0;
}

/* Takes the first request of the highest priority out of the queue, and behind it the small ones that may share its
 * passes. A list in order. */
static request *take_group(ilk_model *m)
{
    request *best = m->first, **link = &m->first, *group, **end;
    for (request *r = m->first; r; r = r->next)
        if (ilki_base_job_priority(r->job) > ilki_base_job_priority(best->job))
            best = r;
    while (*link != best)
        link = &(*link)->next;
    *link = best->next;
    group = best;
    end = &best->next;
    *end = NULL;
    size_t total = best->n_in;
    for (link = &m->first; *link && best->n_in <= SHARED_INPUTS;) {
        request *r = *link;
        if (r->n_in > SHARED_INPUTS || total + r->n_in > SHARED_TOTAL || !same_kind(r, best)) {
            link = &r->next;
            continue;
        }
        total += r->n_in;
        *link = r->next;
        r->next = NULL;
        *end = r;
        end = &r->next;
    }
    m->last = NULL;
    for (request *r = m->first; r; r = r->next)
        m->last = r;
    return group;
}

/* Vectors [at, at + n) of a shared result as a result of their own. */
static ilk_status split(ilk_vectors **out, ilk_vectors *all, size_t at, size_t n, ilk_error *err)
{
    ilk_status st = ilki_embed_vectors_new(out, n, all->dim, err);
    if (st != ILK_OK)
        return st;
    memcpy((*out)->data, all->data + at * all->dim, n * all->dim * sizeof *all->data);
    memcpy((*out)->state, all->state + at, n * sizeof *all->state);
    for (size_t i = at; i < at + n; i++)
        all->state[i].message = NULL; /* moved */
    return ILK_OK;
}

/* Ends the requests of a group that were stopped meanwhile; the rest, in order. */
static request *drop_stopped(request *group)
{
    request *keep = NULL, **end = &keep;
    for (request *r = group, *next; r; r = next) {
        ilk_error err;
        next = r->next;
        r->next = NULL;
        ilk_error_init(&err);
        ilk_status st = ilki_base_job_check(r->job, &err);
        if (st != ILK_OK) {
            ilki_base_job_end(r->job, st, &err, NULL);
            free_request(r);
            continue;
        }
        *end = r;
        end = &r->next;
    }
    return keep;
}

/* A group's inputs in one row, its queries likewise. */
typedef struct group_run {
    const ilk_input **list; /* [n] */
    uint32_t *query_of;     /* [n] */
    ilki_pair_query *queries;
    size_t n, n_requests;
    ilki_embed_plan plan;
} group_run;

static ilk_status lay_out(group_run *g, const ilk_model *m, const request *group, ilk_error *err)
{
    size_t at = 0, k = 0;
    for (const request *r = group; r; r = r->next, g->n_requests++)
        g->n += r->n_in;
    g->list = ilki_base_zalloc(g->n, sizeof *g->list);
    g->query_of = ilki_base_zalloc(g->n, sizeof *g->query_of);
    g->queries = ilki_base_zalloc(g->n_requests, sizeof *g->queries);
    if (!g->list || !g->query_of || !g->queries)
        return ilki_base_fail_memory(err, g->n * sizeof *g->list, "a batch");
    for (const request *r = group; r; r = r->next, k++) {
        g->queries[k] = r->query;
        for (size_t i = 0; i < r->n_in; i++, at++) {
            g->list[at] = input_at(r->in, i);
            g->query_of[at] = (uint32_t)k;
        }
    }
    if (!group->rerank)
        return ilki_embed_make_plan(m, &group->opt, &g->plan, err);
    g->plan = (ilki_embed_plan){
        .dim = 1, .strict = group->score.strict != 0, .query = g->queries, .query_of = g->query_of};
    return ILK_OK;
}

static void run_group(ilk_model *m, request *group)
{
    ilk_error err;
    ilk_vectors *all = NULL;
    group_run g = {0};
    size_t at = 0;
    ilk_error_init(&err);
    if ((group = drop_stopped(group)) == NULL)
        return;
    ilk_status st = lay_out(&g, m, group, &err);
    g.plan.quiet = true;
    if (st == ILK_OK)
        st = ilki_embed_vectors_new(&all, g.n, g.plan.dim, &err);
    /* a group's passes are short: its members are asked before and after; a single request runs under its own job */
    if (st == ILK_OK)
        st = ilki_embed_batch(m, g.list, g.n, &g.plan, group->next ? NULL : group->job, all, &err);
    for (request *r = group, *next; r; r = next) {
        ilk_vectors *own = NULL;
        ilk_error why = err;
        ilk_status end = st;
        next = r->next;
        if (end == ILK_OK && r->rerank)
            ilki_embed_make_scores(m, &r->score, all, at, r->n_in);
        if (end == ILK_OK)
            end = ilki_base_job_check(r->job, &why);
        if (end == ILK_OK)
            end = split(&own, all, at, r->n_in, &why);
        at += r->n_in;
        ilki_base_job_end(r->job, end, &why, own);
        free_request(r);
    }
    free(g.list);
    free(g.query_of);
    free(g.queries);
    ilki_embed_vectors_free(all);
}

static void drain(void *arg)
{
    ilk_model *m = arg;
    pthread_mutex_lock(&m->lock);
    while (m->first) {
        request *group = take_group(m);
        pthread_mutex_unlock(&m->lock);
        run_group(m, group);
        pthread_mutex_lock(&m->lock);
    }
    m->draining = false;
    pthread_cond_broadcast(&m->idle);
    pthread_mutex_unlock(&m->lock);
}

/* Queues a request, which is the queue's from here on or, on an error, freed. */
static ilk_status enqueue(ilk_model *m, request *r, ilk_error *err)
{
    ilk_status st = ilki_base_job_begin(r->job, free_result, err);
    if (st != ILK_OK) {
        free_request(r);
        return st;
    }
    pthread_mutex_lock(&m->lock);
    if (m->last)
        m->last->next = r;
    else
        m->first = r;
    m->last = r;
    bool post = !m->draining;
    m->draining = true;
    pthread_mutex_unlock(&m->lock);
    if (!post)
        return ILK_OK;
    st = ilki_base_pool_post(m->rt->pool, ILK_PRIORITY_NORMAL, drain, m, err);
    if (st != ILK_OK) {
        /* no thread to serve: the queue holds only requests that came since, and this one, which fail alike */
        pthread_mutex_lock(&m->lock);
        request *all = m->first;
        m->first = m->last = NULL;
        m->draining = false;
        pthread_mutex_unlock(&m->lock);
        for (request *next; all; all = next) {
            next = all->next;
            ilki_base_job_end(all->job, st, err, NULL);
            free_request(all);
        }
    }
    return ILK_OK;
}

ilk_status ilki_embed_submit(ilk_model *m, const ilk_input *in, size_t n_in, const ilk_embed_options *opt, ilk_job *job,
                             ilk_error *err)
{
    ilki_embed_plan plan;
    ilk_status st = ilki_embed_make_plan(m, opt, &plan, err);
    if (st != ILK_OK)
        return st;
    request *r = ilki_base_zalloc(1, sizeof *r);
    if (!r)
        return ilki_base_fail_memory(err, sizeof *r, "a request");
    *r = (request){.in = in, .n_in = n_in, .opt = *opt, .job = job};
    return enqueue(m, r, err);
}

ilk_status ilki_embed_submit_rerank(ilk_model *m, const ilk_input *query, const ilk_input *docs, size_t n_docs,
                                    const ilk_rerank_options *opt, ilk_job *job, ilk_error *err)
{
    ilk_status st = ilki_embed_check_rerank(m, opt, err);
    if (st != ILK_OK)
        return st;
    request *r = ilki_base_zalloc(1, sizeof *r);
    if (!r)
        return ilki_base_fail_memory(err, sizeof *r, "a request");
    *r = (request){.in = docs, .n_in = n_docs, .job = job, .rerank = true, .score = *opt};
    ilki_base_buf_init(&r->query_text, (size_t)1 << 30);
    st = ilki_embed_pair_text(m, query, &r->query_text, &r->query.text, &r->query.n, err);
    if (st != ILK_OK) {
        ilki_base_error_prefix(err, "query");
        free_request(r);
        return st;
    }
    return enqueue(m, r, err);
}

ilk_status ilki_embed_wait(ilk_job *job, ilk_vectors **out, ilk_error *err)
{
    void *result = NULL;
    *out = NULL;
    ilk_status st = ilki_base_job_wait(job, &result, err);
    *out = result;
    return st;
}
