/* SPDX-License-Identifier: Apache-2.0
 * ilk_eval_zeroshot, ilk_eval_captions and ilk_train_projection as a program calls them: arguments, sized structs, cancelling.
 * Figures: golden/picture-evals; files: cli/eval_pictures and cli/train. */
#include "test.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures"
#define DATA     FIXTURES "/picture-eval"

typedef struct place {
    ilk_runtime *rt;
    ilk_model *m;
    ilk_error err;
} place;

static bool open_place(place *p)
{
    ilk_runtime_options opt;
    *p = (place){0};
    ilk_error_init(&p->err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.media_helper = ILK_TEST_MEDIA;
    return CHECK_OK(ilk_runtime_open(&p->rt, &opt, &p->err), &p->err) &&
           CHECK_OK(ilk_model_open(&p->m, p->rt, FIXTURES "/clip-quick", NULL, &p->err), &p->err);
}

static void close_place(place *p)
{
    ilk_model_close(p->m);
    ilk_runtime_close(p->rt);
}

static void arguments(void)
{
    place p;
    ilk_zeroshot_options zo;
    ilk_zeroshot_result z;
    ilk_captions_result c;
    ilk_train_options to;
    ilk_train_result t;
    REQUIRE(open_place(&p));
    ilk_zeroshot_options_init(&zo);
    ilk_zeroshot_result_init(&z);
    ilk_captions_result_init(&c);
    ilk_train_options_init(&to);
    ilk_train_result_init(&t);
    CHECK_STATUS(ilk_eval_zeroshot(NULL, DATA, NULL, NULL, &z, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_zeroshot(p.m, NULL, NULL, NULL, &z, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_zeroshot(p.m, "/nowhere", NULL, NULL, &z, &p.err), ILK_NOT_FOUND, &p.err);
    zo.prompts = 7;
    CHECK_STATUS(ilk_eval_zeroshot(p.m, DATA, &zo, NULL, &z, &p.err), ILK_BAD_ARGUMENT, &p.err);
    zo.prompts = 1;
    zo.templates = DATA "/templates.txt";
    CHECK_STATUS(ilk_eval_zeroshot(p.m, DATA, &zo, NULL, &z, &p.err), ILK_BAD_ARGUMENT, &p.err);
    zo.size = 3;
    CHECK_STATUS(ilk_eval_zeroshot(p.m, DATA, &zo, NULL, &z, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_OK(ilk_eval_zeroshot(p.m, DATA "/classes", NULL, NULL, &z, &p.err), &p.err);
    CHECK_STATUS(ilk_eval_captions(NULL, DATA, NULL, NULL, &c, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_eval_captions(p.m, "/nowhere.csv", NULL, NULL, &c, &p.err), ILK_NOT_FOUND, &p.err);
    CHECK_OK(ilk_eval_captions(p.m, DATA, NULL, NULL, &c, &p.err), &p.err);
    CHECK(c.all.n_pictures == 25 && c.all.n_texts == 53 && c.all.language == NULL && c.n_captions > 53);
    CHECK_STATUS(ilk_train_projection(p.m, NULL, DATA, "/tmp/x", NULL, NULL, &t, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_train_projection(p.m, p.m, DATA, NULL, NULL, NULL, &t, &p.err), ILK_BAD_ARGUMENT, &p.err);
    to.method = "lasso";
    CHECK_STATUS(ilk_train_projection(p.m, p.m, DATA, "/nowhere/x", &to, NULL, &t, &p.err), ILK_BAD_ARGUMENT, &p.err);
    to.method = NULL;
    to.side = "left";
    CHECK_STATUS(ilk_train_projection(p.m, p.m, DATA, "/nowhere/x", &to, NULL, &t, &p.err), ILK_BAD_ARGUMENT, &p.err);
    CHECK_STATUS(ilk_train_projection(p.m, p.m, DATA, "/nowhere/x", NULL, NULL, &t, &p.err), ILK_BAD_FORMAT, &p.err);
    CHECK(strstr(p.err.message, "expected 50 groups") != NULL);
    close_place(&p);
}

static void stop(void *user, const ilk_progress *progress)
{
    if (progress->done)
        ilk_job_cancel(*(ilk_job **)user);
}

static void cancelled(void)
{
    place p;
    ilk_zeroshot_result z;
    ilk_captions_result c;
    ilk_zeroshot_result_init(&z);
    ilk_captions_result_init(&c);
    REQUIRE(open_place(&p));
    for (int k = 0; k < 3; k++) {
        ilk_job *job = NULL;
        ilk_job_options jo;
        ilk_job_options_init(&jo);
        jo.progress = stop;
        jo.progress_user = &job;
        job = ilk_job_new(&jo);
        ilk_status st = k == 0   ? ilk_eval_zeroshot(p.m, DATA "/classes", NULL, job, &z, &p.err)
                        : k == 1 ? ilk_eval_captions(p.m, DATA, NULL, job, &c, &p.err)
                                 : ilk_eval_captions(p.m, DATA "/captions.jsonl", NULL, job, &c, &p.err);
        CHECK_STATUS(st, ILK_CANCELLED, &p.err);
        ilk_job_free(job);
    }
    close_place(&p);
}

TEST_MAIN({"arguments", arguments}, {"cancelled", cancelled})
