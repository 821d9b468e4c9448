/* SPDX-License-Identifier: Apache-2.0
 * ilk_rerank beyond its goldens (golden/checkpoints): the same bits in any company, which activation, what is refused. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ilk.h"
#include "test.h"
#include "tree.h"

#define DIR(name) ILK_TEST_DIR "/fixtures/" name

enum { N = 40 };

typedef struct side {
    ilk_part part;
    ilk_input in;
} side;

static void make(side *s, const char *text)
{
    ilk_part_init(&s->part);
    ilk_input_init(&s->in);
    s->part.kind = ILK_PART_TEXT;
    s->part.modality = ILK_TEXT;
    s->part.data = text;
    s->part.n_bytes = strlen(text);
    s->in.parts = &s->part;
    s->in.n_parts = 1;
}

static ilk_model *open_model(ilk_runtime **rt, const char *dir, unsigned threads)
{
    ilk_runtime_options o;
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&o);
    o.n_threads = threads;
    if (CHECK_OK(ilk_runtime_open(rt, &o, &err), &err))
        CHECK_OK(ilk_model_open(&m, *rt, dir, NULL, &err), &err);
    return m;
}

static void close_model(ilk_runtime *rt, ilk_model *m)
{
    ilk_model_close(m);
    ilk_runtime_close(rt);
}

static void same_bits(void)
{
    static const char *const words[] = {"mars", "venus", "cat ", "deep learning ", "red", "what a night! ", "in"};
    static char texts[N][200];
    ilk_part parts[N];
    ilk_input docs[N], reversed[N];
    float alone[N], all[N], back[N];
    ilk_error err;
    ilk_error_init(&err);
    side q;
    make(&q, "What is deep learning?");
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < i % 9; k++)
            strcat(texts[i], words[(i * 5 + k * 3) % 7]);
        ilk_part_init(&parts[i]);
        ilk_input_init(&docs[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].modality = ILK_TEXT;
        parts[i].data = texts[i];
        parts[i].n_bytes = strlen(texts[i]);
        docs[i].parts = &parts[i];
        docs[i].n_parts = 1;
    }
    for (size_t i = 0; i < N; i++)
        reversed[i] = docs[N - 1 - i];
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        ilk_runtime *rt = NULL;
        ilk_model *m = open_model(&rt, DIR("modernbert-rerank"), threads);
        REQUIRE(m != NULL);
        for (size_t i = 0; i < N && threads == 1; i++)
            CHECK_OK(ilk_rerank(m, &q.in, &docs[i], 1, NULL, NULL, &alone[i], &err), &err);
        CHECK_OK(ilk_rerank(m, &q.in, docs, N, NULL, NULL, all, &err), &err);
        CHECK_OK(ilk_rerank(m, &q.in, reversed, N, NULL, NULL, back, &err), &err);
        CHECK_MEM(all, alone, sizeof all);
        for (size_t i = 0; i < N; i++)
            CHECK_MEM(&back[N - 1 - i], &all[i], sizeof *all);
        close_model(rt, m);
    }
}

static void parts_are_one_text(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, DIR("bert-rerank"), 1);
    REQUIRE(m != NULL);
    ilk_part two[2], other[2];
    side q, d;
    float one, joined;
    ilk_error err;
    ilk_error_init(&err);
    make(&q, "what is love");
    make(&d, "the red cat");
    CHECK_OK(ilk_rerank(m, &q.in, &d.in, 1, NULL, NULL, &one, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        two[i] = d.part;
        two[i].data = i ? " cat" : "the red";
        two[i].n_bytes = strlen(two[i].data);
        other[i] = q.part;
        other[i].data = i ? " love" : "what is";
        other[i].n_bytes = strlen(other[i].data);
    }
    d.in.parts = two;
    q.in.parts = other;
    d.in.n_parts = q.in.n_parts = 2;
    CHECK_OK(ilk_rerank(m, &q.in, &d.in, 1, NULL, NULL, &joined, &err), &err);
    CHECK_MEM(&joined, &one, sizeof one);
    q.in.role = ILK_ROLE_QUERY; /* a role's prompt is for vectors */
    CHECK_OK(ilk_rerank(m, &q.in, &d.in, 1, NULL, NULL, &joined, &err), &err);
    CHECK_MEM(&joined, &one, sizeof one);
    close_model(rt, m);
}

static void what_a_model_can(void)
{
    static const struct {
        const char *dir, *says;
        uint32_t heads;
    } rows[] = {
        {DIR("bert-rerank"), NULL, ILK_HEAD_DENSE | ILK_HEAD_SCORE},
        {DIR("mpnet-rerank"), NULL, ILK_HEAD_DENSE | ILK_HEAD_SCORE}, /* no Pooling module */
        {DIR("bert-mean"), "expected a reranker, found a model without a head for pairs", ILK_HEAD_DENSE},
        {DIR("distilbert-labels"), "expected a reranker of one label, found 3 labels", ILK_HEAD_DENSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilk_runtime *rt = NULL;
        ilk_model *m = open_model(&rt, rows[i].dir, 1);
        REQUIRE(m != NULL);
        ilk_model_info info;
        ilk_embed_options o;
        ilk_vectors *v = NULL;
        side q, d;
        float score;
        ilk_error err;
        ilk_error_init(&err);
        make(&q, "a");
        make(&d, "b");
        ilk_model_info_init(&info);
        CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
        CHECK_INT(info.heads, rows[i].heads);
        CHECK_STATUS(ilk_rerank(m, &q.in, &d.in, 1, NULL, NULL, &score, &err), rows[i].says ? ILK_UNSUPPORTED : ILK_OK,
                     &err);
        CHECK(!rows[i].says || strstr(err.message, rows[i].says));
        ilk_embed_options_init(&o);
        o.heads = ILK_HEAD_SCORE; /* no vector */
        CHECK_STATUS(ilk_embed(m, &q.in, 1, &o, NULL, &v, &err), ILK_UNSUPPORTED, &err);
        close_model(rt, m);
    }
}

static void refuses(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, DIR("bert-rerank"), 1);
    REQUIRE(m != NULL);
    side q, d[3];
    ilk_input docs[3];
    float scores[3] = {7, 7, 7};
    ilk_rerank_options o;
    ilk_error err;
    ilk_error_init(&err);
    make(&q, "what");
    for (size_t i = 0; i < 3; i++) {
        make(&d[i], "deep learning");
        docs[i] = d[i].in;
    }
    CHECK_OK(ilk_rerank(m, &q.in, NULL, 0, NULL, NULL, NULL, &err), &err);
    CHECK_STATUS(ilk_rerank(NULL, &q.in, docs, 3, NULL, NULL, scores, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_rerank(m, NULL, docs, 3, NULL, NULL, scores, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_rerank(m, &q.in, NULL, 3, NULL, NULL, scores, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, NULL, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    int32_t ids[] = {2, 3};
    d[1].part.kind = ILK_PART_IDS;
    d[1].part.data = ids;
    d[1].part.shape[0] = 2;
    docs[1].parts = &d[1].part;
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, NULL, NULL, scores, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "document 1: input: a pair is two texts"));
    make(&d[1], "x");
    docs[1] = d[1].in;
    docs[2].prompt = "query: ";
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, NULL, NULL, scores, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "document 2: prompt"));
    docs[2].prompt = NULL;
    q.in.prompt_name = "query";
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, NULL, NULL, scores, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "query: prompt_name"));
    q.in.prompt_name = NULL;
    ilk_rerank_options_init(&o);
    o.strict = 1;
    CHECK_OK(ilk_rerank(m, &q.in, docs, 3, &o, NULL, scores, &err), &err);
    make(&d[0], "deep learning deep learning deep learning deep learning deep learning deep learning deep learning "
                "deep learning deep learning deep learning deep learning deep learning deep learning deep learning");
    docs[0] = d[0].in;
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, &o, NULL, scores, &err), ILK_LIMIT, &err);
    CHECK(strstr(err.message, "document 0: "));
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilk_rerank(m, &q.in, docs, 3, NULL, job, scores, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    close_model(rt, m);
}

/* The fixture gte-rerank, whose files say nothing of an activation, with some more in config.json. */
static void activations(void)
{
    static const struct {
        const char *config, *sentence_transformers;
        bool sigmoid;
        ilk_status status;
    } rows[] = {
        {"", NULL, true, ILK_OK},
        {",\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\"", NULL, false, ILK_OK},
        {",\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"},"
         "\"sbert_ce_default_activation_function\":\"torch.nn.modules.linear.Identity\"",
         NULL, true, ILK_OK},
        {",\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Sigmoid\"}",
         "{\"activation_fn\":\"torch.nn.Identity\"}", false, ILK_OK},
        {",\"sentence_transformers\":{\"activation_fn\":\"custom.Identity\"}", NULL, true, ILK_OK},
        {",\"sentence_transformers\":{\"activation_fn\":\"torch.nn.modules.activation.Tanh\"}", NULL, false,
         ILK_UNSUPPORTED},
    };
    static const char *const files[] = {"model.safetensors", "tokenizer.json", "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char config[4096], *top = tree_new();
        FILE *f = fopen(DIR("gte-rerank") "/config.json", "rb");
        REQUIRE(CHECK(f != NULL));
        size_t n = fread(config, 1, sizeof config - 1, f);
        fclose(f);
        config[n] = 0;
        char *end = strrchr(config, '}');
        snprintf(end, sizeof config - (size_t)(end - config), "%s}", rows[i].config);
        tree_put(tree_path(top, "config.json"), config);
        if (rows[i].sentence_transformers)
            tree_put(tree_path(top, "config_sentence_transformers.json"), rows[i].sentence_transformers);
        for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
            char from[1024];
            snprintf(from, sizeof from, "%s/%s", DIR("gte-rerank"), files[k]);
            CHECK_INT(symlink(from, tree_path(top, "%s", files[k])), 0);
        }
        ilk_runtime *rt = NULL;
        ilk_model *m = open_model(&rt, top, 1);
        REQUIRE(m != NULL);
        side q, d;
        float score = 0, raw = 0;
        ilk_rerank_options o;
        ilk_error err;
        ilk_error_init(&err);
        ilk_rerank_options_init(&o);
        o.raw_scores = 1;
        make(&q, "what is love");
        make(&d, "the red cat");
        CHECK_OK(ilk_rerank(m, &q.in, &d.in, 1, &o, NULL, &raw, &err), &err);
        CHECK_STATUS(ilk_rerank(m, &q.in, &d.in, 1, NULL, NULL, &score, &err), rows[i].status, &err);
        double want = rows[i].sigmoid ? 1 / (1 + exp(-(double)raw)) : (double)raw;
        if (rows[i].status == ILK_OK)
            CHECK_THAT(fabs((double)score - want) < 1e-6, "row %zu: %g, want %g", i, (double)score, want);
        else
            CHECK(strstr(err.message, "torch.nn.modules.activation.Tanh is not built"));
        close_model(rt, m);
        tree_free(top);
    }
}

/* ------------------------------------------------------------------ the queue */

enum { N_JOBS = 24, N_DOCS = 3, N_CALLERS = 3 };

typedef struct caller {
    ilk_model *m;
    int wrong;
} caller;

static void on_done(void *user, ilk_job *job)
{
    (void)job;
    ++*(atomic_int *)user;
}

/* Requests of several queries, activations and sizes at once: each has the bits of ilk_rerank. */
static void *submit_many(void *arg)
{
    static const char *const texts[] = {"mars", "what is love", "deep learning", "the red cat", "venus and mars", "a"};
    caller *c = arg;
    side q[N_JOBS], d[N_JOBS][N_DOCS];
    ilk_input docs[N_JOBS][N_DOCS];
    ilk_job *jobs[N_JOBS];
    atomic_int n_done = 0;
    ilk_rerank_options o;
    ilk_job_options jo;
    ilk_rerank_options_init(&o);
    ilk_job_options_init(&jo);
    jo.done = on_done;
    jo.done_user = &n_done;
    for (size_t i = 0; i < N_JOBS; i++) {
        make(&q[i], texts[i % 6]);
        for (size_t k = 0; k < N_DOCS; k++) {
            make(&d[i][k], texts[(i * 5 + k) % 6]);
            docs[i][k] = d[i][k].in;
        }
        o.raw_scores = i % 4 == 0;
        jo.priority = i % 3 == 0 ? ILK_PRIORITY_HIGH : ILK_PRIORITY_NORMAL;
        jobs[i] = ilk_job_new(&jo);
        c->wrong += ilk_submit_rerank(c->m, &q[i].in, docs[i], 1 + i % N_DOCS, &o, jobs[i], NULL) != ILK_OK;
    }
    for (size_t i = 0; i < N_JOBS; i++) {
        ilk_vectors *v = NULL;
        float want[N_DOCS];
        size_t n = 0;
        c->wrong += ilk_wait(jobs[i], &v, NULL) != ILK_OK || ilk_vectors_get_count(v) != 1 + i % N_DOCS;
        o.raw_scores = i % 4 == 0;
        c->wrong += ilk_rerank(c->m, &q[i].in, docs[i], 1 + i % N_DOCS, &o, NULL, want, NULL) != ILK_OK;
        for (size_t k = 0; v != NULL && k < 1 + i % N_DOCS; k++) {
            const float *got = ilk_vectors_get_dense(v, k, &n);
            c->wrong += got == NULL || n != 1 || memcmp(got, &want[k], sizeof want[k]) != 0;
        }
        ilk_vectors_free(v);
        ilk_job_free(jobs[i]);
    }
    c->wrong += n_done != N_JOBS;
    return NULL;
}

static void queued_scores(void)
{
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        ilk_runtime *rt = NULL;
        ilk_model *m = open_model(&rt, DIR("xlmr-rerank"), threads);
        pthread_t ids[N_CALLERS];
        caller callers[N_CALLERS];
        REQUIRE(m != NULL);
        for (size_t i = 0; i < N_CALLERS; i++) {
            callers[i] = (caller){.m = m};
            CHECK(pthread_create(&ids[i], NULL, submit_many, &callers[i]) == 0);
        }
        for (size_t i = 0; i < N_CALLERS; i++) {
            pthread_join(ids[i], NULL);
            CHECK_INT(callers[i].wrong, 0);
        }
        close_model(rt, m);
    }
}

static void queue_refuses(void)
{
    ilk_runtime *rt = NULL, *other = NULL;
    ilk_model *m = open_model(&rt, DIR("bert-rerank"), 2), *none = open_model(&other, DIR("bert-mean"), 1);
    ilk_job *job = ilk_job_new(NULL), *second = ilk_job_new(NULL);
    ilk_vectors *v = NULL;
    side q, d[2];
    ilk_input docs[2];
    const char *why = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(m && none && job && second);
    make(&q, "what is love");
    for (size_t i = 0; i < 2; i++) {
        make(&d[i], "the red cat");
        docs[i] = d[i].in;
    }
    CHECK_STATUS(ilk_submit_rerank(none, &q.in, docs, 2, NULL, job, &err), ILK_UNSUPPORTED, &err);
    CHECK_STATUS(ilk_submit_rerank(NULL, &q.in, docs, 2, NULL, job, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_submit_rerank(m, NULL, docs, 2, NULL, job, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_submit_rerank(m, &q.in, NULL, 2, NULL, job, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_submit_rerank(m, &q.in, docs, 2, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    q.in.prompt_name = "query";
    CHECK_STATUS(ilk_submit_rerank(m, &q.in, docs, 2, NULL, job, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "query: prompt_name"));
    q.in.prompt_name = NULL;
    docs[1].prompt = "query: "; /* one document of two: it has a status, the other a score */
    CHECK_OK(ilk_submit_rerank(m, &q.in, docs, 2, NULL, job, &err), &err);
    CHECK_STATUS(ilk_submit_rerank(m, &q.in, docs, 2, NULL, job, &err), ILK_BUSY, &err);
    REQUIRE(CHECK_OK(ilk_wait(job, &v, &err), &err));
    CHECK(ilk_vectors_get_dense(v, 0, NULL) != NULL && ilk_vectors_get_dense(v, 1, NULL) == NULL);
    CHECK_INT(ilk_vectors_get_status(v, 1, &why), ILK_UNSUPPORTED);
    CHECK(why && strstr(why, "prompt"));
    ilk_vectors_free(v);
    v = NULL;
    ilk_job_cancel(second);
    CHECK_OK(ilk_submit_rerank(m, &q.in, docs, 1, NULL, second, &err), &err);
    CHECK_STATUS(ilk_wait(second, &v, &err), ILK_CANCELLED, &err);
    CHECK(v == NULL);
    ilk_job_free(job);
    ilk_job_free(second);
    close_model(rt, m);
    close_model(other, none);
}

TEST_MAIN({"same_bits", same_bits}, {"parts_are_one_text", parts_are_one_text}, {"what_a_model_can", what_a_model_can},
          {"refuses", refuses}, {"activations", activations}, {"queued_scores", queued_scores},
          {"queue_refuses", queue_refuses})
