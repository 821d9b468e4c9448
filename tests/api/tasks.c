/* SPDX-License-Identifier: Apache-2.0
 * ilk_eval_* and ilk_verify_* as a program calls them: arguments, sized structs, cancelling, the same bits on any number
 * of threads. Figures: golden/eval; files: cli/eval and cli/verify. */
#include <math.h>
#include <stdlib.h>

#include "ilk.h"
#include "test.h"

#define FIXTURES ILK_TEST_DIR "/fixtures/"
#define TINY     FIXTURES "eval/tiny"

typedef struct place {
    ilk_runtime *rt;
    ilk_model *m;
    ilk_error err;
} place;

static bool open_place(place *p, unsigned threads)
{
    ilk_runtime_options o;
    *p = (place){0};
    ilk_error_init(&p->err);
    ilk_runtime_options_init(&o);
    o.n_threads = threads;
    return CHECK_OK(ilk_runtime_open(&p->rt, &o, &p->err), &p->err) &&
           CHECK_OK(ilk_model_open(&p->m, p->rt, FIXTURES "bert-mean", NULL, &p->err), &p->err);
}

static void close_place(place *p)
{
    ilk_model_close(p->m);
    ilk_runtime_close(p->rt);
}

static void same_on_any_number_of_threads(void)
{
    ilk_eval_result first;
    ilk_eval_result_init(&first);
    for (unsigned threads = 1; threads <= 3; threads++) {
        place p;
        ilk_eval_result r;
        ilk_eval_result_init(&r);
        REQUIRE(open_place(&p, threads));
        CHECK_OK(ilk_eval_retrieval(p.rt, p.m, TINY, NULL, NULL, &r, &p.err), &p.err);
        CHECK_INT(r.mean.n_cuts, 6);
        CHECK_INT(r.mean.cuts[5], 100);
        CHECK(r.mean.query == NULL && r.n_queries == 10 && r.n_documents == 60);
        if (threads == 1)
            first = r;
        CHECK_MEM(&r.mean, &first.mean, sizeof r.mean);
        close_place(&p);
    }
}

static void arguments(void)
{
    place p, other;
    ilk_eval_result r;
    ilk_sts_result s;
    ilk_against_result a;
    ilk_golden_result g;
    ilk_verify_options vo;
    ilk_eval_options o;
    ilk_against_options ao;
    REQUIRE(open_place(&p, 1) && open_place(&other, 1));
    ilk_eval_result_init(&r);
    ilk_sts_result_init(&s);
    ilk_against_result_init(&a);
    ilk_golden_result_init(&g);
    ilk_verify_options_init(&vo);
    ilk_eval_options_init(&o);
    ilk_against_options_init(&ao);
    CHECK_STATUS(ilk_eval_retrieval(NULL, p.m, TINY, NULL, NULL, &r, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_retrieval(p.rt, p.m, NULL, NULL, NULL, &r, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_retrieval(p.rt, NULL, TINY, NULL, NULL, &r, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_retrieval(p.rt, other.m, TINY, NULL, NULL, &r, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_retrieval(p.rt, p.m, TINY, NULL, NULL, NULL, &p.err), ILK_BAD_ARGUMENT, &p.err);
    o.k = 2000000;
    CHECK_STATUS(ilk_eval_retrieval(p.rt, p.m, TINY, &o, NULL, &r, &p.err), ILK_LIMIT, &p.err);
    o.k = 0;
    o.run_in = TINY "/no.run";
    o.reranker = p.m;
    CHECK_STATUS(ilk_eval_retrieval(p.rt, NULL, TINY, &o, NULL, &r, &p.err), ILK_BAD_ARGUMENT, &p.err);
    o.run_in = NULL;
    o.reranker = NULL;
    o.dim = 100000;
    CHECK_STATUS(ilk_eval_retrieval(p.rt, p.m, TINY, &o, NULL, &r, &p.err), ILK_MISMATCH, &p.err);
    CHECK_STATUS(ilk_eval_sts(NULL, TINY "/pairs.csv", NULL, NULL, &s, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_sts(p.m, NULL, NULL, NULL, &s, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_OK(ilk_eval_sts(p.m, TINY "/pairs.csv", NULL, NULL, &s, &p.err), &p.err);
    CHECK(s.n_pairs == 50 && fabs(s.spearman[0]) < 1);
    ao.min_cosine = 2;
    CHECK_STATUS(ilk_verify_against(p.m, "t", "v", &ao, NULL, &a, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_verify_against(p.m, NULL, "v", NULL, NULL, &a, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_verify_against(p.m, "/nowhere/t", "v", NULL, NULL, &a, &p.err), ILK_NOT_FOUND, &p.err);
    CHECK_STATUS(ilk_verify_known(NULL, NULL, NULL, &g, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_verify_known(p.m, NULL, NULL, &g, &p.err), ILK_NOT_FOUND, &p.err);
    /* the same model twice keeps every vector */
    vo.known = "minilm";
    vo.f32 = p.m;
    CHECK_OK(ilk_verify_known(p.m, &vo, NULL, &g, &p.err), &p.err);
    CHECK_STR(g.id, "sentence-transformers/all-MiniLM-L6-v2");
    CHECK_INT(g.n_held + g.n_failed, 24);
    CHECK(g.n_held >= 2 && g.n_skipped == 0);
    close_place(&p);
    close_place(&other);
}

static void an_older_caller(void)
{
    place p;
    struct {
        size_t size;
        uint64_t n_pairs;
        uint64_t canary;
    } small = {.size = offsetof(ilk_sts_result, n_junk), .canary = 77};
    REQUIRE(open_place(&p, 1));
    CHECK_OK(ilk_eval_sts(p.m, TINY "/pairs.csv", NULL, NULL, (ilk_sts_result *)(void *)&small, &p.err), &p.err);
    CHECK(small.n_pairs == 50 && small.canary == 77);
    close_place(&p);
}

static void cancel_now(void *user, const ilk_progress *progress)
{
    (void)progress;
    ilk_job_cancel(*(ilk_job **)user);
}

static void cancelled(void)
{
    place p;
    ilk_job *job = NULL;
    ilk_job_options o;
    ilk_eval_result r;
    ilk_eval_result_init(&r);
    REQUIRE(open_place(&p, 2));
    ilk_job_options_init(&o);
    o.progress = cancel_now;
    o.progress_user = &job;
    job = ilk_job_new(&o);
    CHECK_STATUS(ilk_eval_retrieval(p.rt, p.m, TINY, NULL, job, &r, &p.err), ILK_CANCELLED, &p.err);
    CHECK_INT(r.n_queries, 0);
    ilk_job_free(job);
    close_place(&p);
}

TEST_MAIN({"same on any number of threads", same_on_any_number_of_threads}, {"arguments", arguments},
          {"an older caller", an_older_caller}, {"cancelled", cancelled})
