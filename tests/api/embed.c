/* SPDX-License-Identifier: Apache-2.0
 * Models through the public header, on the tiny checkpoints of tests/fixtures. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cancel.h"
#include "test.h"

#define MEAN  ILK_TEST_DIR "/fixtures/bert-mean"
#define DENSE ILK_TEST_DIR "/fixtures/bert-dense"
#define BIN   ILK_TEST_DIR "/fixtures/bert-bin"
#define N     60

static const char *const words[] = {"a",   "cat",  "dog", "red", "house",       "runs",
                                    "the", "blue", "!",   "x",   "caf\xc3\xa9", "\xe4\xb8\xad"};

typedef struct texts {
    char text[N][400];
    ilk_part parts[N];
    ilk_input in[N];
} texts;

static void make_texts(texts *t)
{
    uint64_t seed = 4;
    for (size_t i = 0; i < N; i++) {
        t->text[i][0] = 0;
        for (size_t k = test_random(&seed) % 25 + (i > 0); k > 0; k--) {
            strcat(t->text[i], words[test_random(&seed) % 12]);
            strcat(t->text[i], " ");
        }
        ilk_part_init(&t->parts[i]);
        ilk_input_init(&t->in[i]);
        t->parts[i].kind = ILK_PART_TEXT;
        t->parts[i].data = t->text[i];
        t->parts[i].n_bytes = strlen(t->text[i]);
        t->in[i].parts = &t->parts[i];
        t->in[i].n_parts = 1;
    }
}

static ilk_model *open_model(ilk_runtime **rt, unsigned threads, const char *where)
{
    ilk_runtime_options o;
    ilk_error err;
    ilk_model *m = NULL;
    ilk_error_init(&err);
    ilk_runtime_options_init(&o);
    o.n_threads = threads;
    if (CHECK_OK(ilk_runtime_open(rt, &o, &err), &err))
        CHECK_OK(ilk_model_open(&m, *rt, where, NULL, &err), &err);
    return m;
}

static void close_model(ilk_runtime *rt, ilk_model *m)
{
    ilk_model_close(m);
    ilk_runtime_close(rt);
}

/* The same bits alone, together, in another order, whatever the number of threads. */
static void same_bits(void)
{
    texts *t = calloc(1, sizeof *t), *shuffled = calloc(1, sizeof *t);
    float *want = NULL;
    size_t dim = 0;
    make_texts(t);
    for (unsigned threads = 1; threads <= 16; threads = threads < 3 ? threads + 1 : threads * 2 + 2) {
        ilk_runtime *rt = NULL;
        ilk_model *m = open_model(&rt, threads, MEAN);
        ilk_vectors *v = NULL;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(m != NULL);
        REQUIRE(CHECK_OK(ilk_embed(m, t->in, N, NULL, NULL, &v, &err), &err));
        ilk_matrix x;
        ilk_matrix_init(&x);
        CHECK_OK(ilk_vectors_view_matrix(v, &x, &err), &err);
        CHECK_INT(x.rows, N);
        dim = x.dim;
        if (!want) {
            want = malloc(N * dim * sizeof *want);
            memcpy(want, x.data, N * dim * sizeof *want);
        }
        CHECK_FLOATS(x.data, want, N * dim, 0, 0);
        for (size_t i = 0; i < N; i++) {
            double norm = 0;
            float *alone = malloc(dim * sizeof *alone);
            CHECK_OK(ilk_embed_text(m, t->text[i], ILK_ROLE_NONE, alone, dim, &err), &err);
            CHECK_FLOATS(alone, want + i * dim, dim, 0, 0);
            for (size_t k = 0; k < dim; k++)
                norm += (double)alone[k] * (double)alone[k];
            CHECK_NEAR(norm, 1, 1e-6);
            free(alone);
            shuffled->in[N - 1 - i] = t->in[i];
        }
        ilk_vectors_free(v);
        REQUIRE(CHECK_OK(ilk_embed(m, shuffled->in, N, NULL, NULL, &v, &err), &err));
        for (size_t i = 0; i < N; i++)
            CHECK_FLOATS(ilk_vectors_get_dense(v, N - 1 - i, NULL), want + i * dim, dim, 0, 0);
        ilk_vectors_free(v);
        close_model(rt, m);
    }
    free(want);
    free(t);
    free(shuffled);
}

static void info(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 1, MEAN);
    ilk_model_info i;
    const char *hex = NULL, *again = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(m != NULL);
    ilk_model_info_init(&i);
    CHECK_OK(ilk_model_get_info(m, &i, &err), &err);
    CHECK_STR(i.family, "bert");
    CHECK_STR(i.pooling, "mean");
    CHECK_STR(i.similarity, "cosine");
    CHECK(i.normalized && i.dim > 0 && i.n_parameters > 0 && i.max_tokens > 2);
    CHECK(i.fingerprint == NULL);
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, &err), &err);
    CHECK_INT(strlen(hex), 64);
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &again, &err), &err);
    CHECK_STR(hex, again);
    CHECK_STATUS(ilk_model_get_prompt(m, 0, NULL, NULL, &err), ILK_NOT_FOUND, &err);
    close_model(rt, m);
}

static void options(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 2, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_embed_options o;
    ilk_vectors *v = NULL, *cut = NULL;
    ilk_error err;
    size_t dim, n;
    ilk_error_init(&err);
    ilk_embed_options_init(&o);
    make_texts(t);
    REQUIRE(m != NULL);
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, 3, NULL, NULL, &v, &err), &err));
    ilk_vectors_get_dense(v, 0, &dim);
    o.dim = 5;
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, 3, &o, NULL, &cut, &err), &err));
    for (size_t i = 0; i < 3; i++) {
        const float *a = ilk_vectors_get_dense(v, i, NULL), *b = ilk_vectors_get_dense(cut, i, &n);
        double norm = 0;
        CHECK_INT(n, 5);
        for (size_t k = 0; k < 5; k++)
            norm += (double)a[k] * (double)a[k];
        for (size_t k = 0; k < 5; k++)
            CHECK_NEAR(b[k], (double)a[k] / sqrt(norm), 1e-6);
    }
    ilk_vectors_free(cut);
    o.dim = 0;
    o.normalize = -1;
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, 1, &o, NULL, &cut, &err), &err));
    const float *raw = ilk_vectors_get_dense(cut, 0, NULL), *unit = ilk_vectors_get_dense(v, 0, NULL);
    CHECK(fabs((double)raw[0] / (double)unit[0] - 1) > 1e-3);
    CHECK_NEAR((double)raw[0] / (double)unit[0], (double)raw[1] / (double)unit[1], 1e-4);
    ilk_vectors_free(cut);
    o.normalize = 0;
    o.dim = (uint32_t)dim + 1;
    CHECK_STATUS(ilk_embed(m, t->in, 1, &o, NULL, &cut, &err), ILK_MISMATCH, &err);
    CHECK(cut == NULL);
    o.dim = 0;
    o.heads = ILK_HEAD_SPARSE;
    CHECK_STATUS(ilk_embed(m, t->in, 1, &o, NULL, &cut, &err), ILK_UNSUPPORTED, &err);
    CHECK_OK(ilk_embed(m, NULL, 0, NULL, NULL, &cut, &err), &err);
    CHECK_INT(ilk_vectors_get_count(cut), 0);
    ilk_vectors_free(cut);
    ilk_vectors_free(v);
    free(t);
    close_model(rt, m);
}

/* One bad input has a status of its own; the others are as without it. */
static void bad_inputs(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 2, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_embed_options o;
    int32_t ids[3] = {2, 3, 1 << 30};
    const char *message;
    static char long_text[100000];
    ilk_error_init(&err);
    ilk_embed_options_init(&o);
    make_texts(t);
    REQUIRE(m != NULL);
    t->parts[1].kind = ILK_PART_IDS;
    t->parts[1].data = ids;
    t->parts[1].shape[0] = 3;
    t->parts[2].kind = ILK_PART_PIXELS;
    t->in[3].n_parts = 0;
    t->in[4].prompt_name = "nothing";
    t->in[5].instruction = "do it";
    for (size_t i = 0; i + 2 < sizeof long_text; i += 2)
        memcpy(long_text + i, "a ", 2);
    t->parts[6].data = long_text;
    t->parts[6].n_bytes = strlen(long_text);
    t->parts[7].data = "cat";
    t->parts[7].n_bytes = 3;
    static const ilk_status want[] = {ILK_OK,           ILK_BAD_ARGUMENT, ILK_UNSUPPORTED, ILK_BAD_ARGUMENT,
                                      ILK_BAD_ARGUMENT, ILK_UNSUPPORTED,  ILK_OK,          ILK_OK};
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, 8, NULL, NULL, &v, &err), &err));
    for (size_t i = 0; i < 8; i++) {
        CHECK_INT(ilk_vectors_get_status(v, i, &message), want[i]);
        CHECK((message != NULL) == (want[i] != ILK_OK));
        CHECK((ilk_vectors_get_dense(v, i, NULL) != NULL) == (want[i] == ILK_OK));
    }
    size_t dropped = 0;
    CHECK(ilk_vectors_get_tokens(v, 6, &dropped) > 2);
    CHECK(dropped > 0);
    ilk_vectors_free(v);
    o.strict = 1;
    REQUIRE(CHECK_OK(ilk_embed(m, t->in + 6, 2, &o, NULL, &v, &err), &err));
    CHECK_INT(ilk_vectors_get_status(v, 0, NULL), ILK_LIMIT);
    CHECK_INT(ilk_vectors_get_status(v, 1, NULL), ILK_OK);
    CHECK_INT(ilk_vectors_get_status(v, 2, NULL), ILK_BAD_ARGUMENT);
    ilk_vectors_free(v);
    free(t);
    close_model(rt, m);
}

/* A text, its prompt given apart, and its ids are the same input. */
static void prompt_and_ids(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 1, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_vectors *v = NULL;
    ilk_tokens *tokens = NULL;
    ilk_error err;
    size_t n, dim;
    ilk_error_init(&err);
    make_texts(t);
    REQUIRE(m != NULL);
    strcpy(t->text[0], "the red house runs");
    t->parts[0].n_bytes = strlen(t->text[0]);
    t->in[1].prompt = "the red ";
    strcpy(t->text[1], "house runs");
    t->parts[1].n_bytes = strlen(t->text[1]);
    ilk_part two[2] = {t->parts[0], t->parts[1]};
    two[0].n_bytes = 8;
    t->in[2].parts = two;
    t->in[2].n_parts = 2;
    REQUIRE(CHECK_OK(ilk_tokenize(m, t->text[0], strlen(t->text[0]), &tokens, &err), &err));
    t->parts[3].kind = ILK_PART_IDS;
    t->parts[3].data = ilk_tokens_get_ids(tokens, &n);
    t->parts[3].shape[0] = (uint32_t)n;
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, 4, NULL, NULL, &v, &err), &err));
    const float *want = ilk_vectors_get_dense(v, 0, &dim);
    for (size_t i = 1; i < 4; i++) {
        CHECK_INT(ilk_vectors_get_tokens(v, i, NULL), n);
        CHECK_FLOATS(ilk_vectors_get_dense(v, i, NULL), want, dim, 0, 0);
    }
    float score = 0;
    CHECK_OK(ilk_model_get_similarity(m, want, want, dim, &score, &err), &err);
    CHECK_NEAR(score, 1, 1e-6);
    ilk_tokens_free(tokens);
    ilk_vectors_free(v);
    free(t);
    close_model(rt, m);
}

/* ------------------------------------------------------------------ the queue */

static void on_done(void *user, ilk_job *job)
{
    (void)job;
    ++*(atomic_int *)user;
}

static void queue(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 2, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_vectors *all = NULL;
    ilk_job *jobs[N];
    ilk_error err;
    atomic_int n_done = 0;
    ilk_error_init(&err);
    make_texts(t);
    REQUIRE(m != NULL);
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, N, NULL, NULL, &all, &err), &err));
    for (size_t i = 0; i < N; i++) {
        ilk_job_options o;
        ilk_job_options_init(&o);
        o.done = on_done;
        o.done_user = &n_done;
        o.priority = i % 3 == 0 ? ILK_PRIORITY_HIGH : ILK_PRIORITY_LOW;
        jobs[i] = ilk_job_new(&o);
        CHECK_OK(ilk_submit(m, &t->in[i], 1 + (i == 0) * (N - 1), NULL, jobs[i], &err), &err);
    }
    CHECK_STATUS(ilk_submit(m, t->in, 1, NULL, jobs[N - 1], &err), ILK_BUSY, &err);
    CHECK_STATUS(ilk_submit(m, t->in, 1, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    for (size_t i = 0; i < N; i++) {
        ilk_vectors *v = NULL;
        size_t dim;
        const float *want = ilk_vectors_get_dense(all, i, &dim);
        if (CHECK_OK(ilk_wait(jobs[i], &v, &err), &err))
            CHECK_FLOATS(ilk_vectors_get_dense(v, 0, NULL), want, dim, 0, 0);
        ilk_vectors_free(v);
        ilk_job_free(jobs[i]);
    }
    CHECK_INT(n_done, N);
    /* a result that nobody takes, a job that is cancelled before it runs, and a close that waits */
    jobs[0] = ilk_job_new(NULL);
    jobs[1] = ilk_job_new(NULL);
    ilk_job_cancel(jobs[1]);
    CHECK_OK(ilk_submit(m, t->in, N, NULL, jobs[0], &err), &err);
    CHECK_OK(ilk_submit(m, t->in, N, NULL, jobs[1], &err), &err);
    ilk_vectors *none = NULL;
    CHECK_STATUS(ilk_wait(jobs[1], &none, &err), ILK_CANCELLED, &err);
    CHECK(none == NULL);
    ilk_model_close(m);
    ilk_job_free(jobs[0]);
    ilk_job_free(jobs[1]);
    ilk_vectors_free(all);
    free(t);
    ilk_runtime_close(rt);
}

/* ------------------------------------------------------------------ callers in company */

typedef struct caller {
    ilk_model *m;
    texts *t;
    const ilk_vectors *want;
    int wrong;
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    for (int round = 0; round < 20; round++) {
        ilk_vectors *v = NULL;
        size_t first = (size_t)round % 10, n = 7, dim;
        if (ilk_embed(c->m, c->t->in + first, n, NULL, NULL, &v, NULL) != ILK_OK)
            c->wrong++;
        for (size_t i = 0; v && i < n; i++) {
            const float *want = ilk_vectors_get_dense(c->want, first + i, &dim);
            c->wrong += memcmp(ilk_vectors_get_dense(v, i, NULL), want, dim * sizeof *want) != 0;
        }
        ilk_vectors_free(v);
    }
    return NULL;
}

static void callers(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 3, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_vectors *want = NULL;
    pthread_t threads[4];
    caller c[4];
    make_texts(t);
    REQUIRE(m != NULL);
    REQUIRE(CHECK_OK(ilk_embed(m, t->in, N, NULL, NULL, &want, NULL), NULL));
    for (int i = 0; i < 4; i++) {
        c[i] = (caller){m, t, want, 0};
        pthread_create(&threads[i], NULL, call, &c[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(c[i].wrong, 0);
    }
    ilk_vectors_free(want);
    free(t);
    close_model(rt, m);
}

enum { MANY = 200000 };

typedef struct crowd {
    ilk_model *m;
    ilk_input *many;
} crowd;

static ilk_status embed_crowd(void *arg, ilk_job *job, ilk_error *err)
{
    crowd *c = arg;
    ilk_vectors *v = NULL;
    ilk_status st = ilk_embed(c->m, c->many, MANY, NULL, job, &v, err);
    ilk_vectors_free(v);
    return st;
}

static void cancel(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 2, MEAN);
    texts *t = calloc(1, sizeof *t);
    ilk_input *many = calloc(MANY, sizeof *many);
    ilk_job *job = ilk_job_new(NULL);
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    make_texts(t);
    REQUIRE(m != NULL && many != NULL);
    for (size_t i = 0; i < MANY; i++)
        many[i] = t->in[i % N];
    cancel_in_time(&(cancelled){.what = "many texts", .after_ms = 20, .run = embed_crowd, .arg = &(crowd){m, many}});
    ilk_job_cancel(job);
    CHECK_STATUS(ilk_embed(m, many, 1, NULL, job, &v, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    free(many);
    free(t);
    close_model(rt, m);
}

static void forked(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = open_model(&rt, 2, MEAN);
    REQUIRE(m != NULL);
    pid_t pid = fork();
    if (pid == 0) {
        float v[4];
        int ok = ilk_embed_text(m, "a", ILK_ROLE_NONE, v, 4, NULL) == ILK_FORKED;
        close_model(rt, m);
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK_INT(status, 0);
    close_model(rt, m);
}

/* ------------------------------------------------------------------ folders */

static char root[64];

static void write_file(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "w");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

/* A copy of a fixture by links, so that single files can be replaced. */
static void copy_fixture(const char *from, const char *dir)
{
    static const char *const files[] = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
                                        "vocab.txt"};
    char a[512], b[512];
    snprintf(b, sizeof b, "%s/%s", root, dir);
    mkdir(b, 0700);
    for (size_t i = 0; i < 5; i++) {
        snprintf(a, sizeof a, "%s/%s", from, files[i]);
        snprintf(b, sizeof b, "%s/%s/%s", root, dir, files[i]);
        CHECK_INT(symlink(a, b), 0);
    }
}

static void check_open(ilk_runtime *rt, const char *where, ilk_status want, const char *says)
{
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilk_model_open(&m, rt, where, NULL, &err), want, &err);
    CHECK_THAT(!says || strstr(err.message, says), "\"%s\" does not say \"%s\"", err.message, says);
    ilk_model_close(m);
}

static void hub_cache(void)
{
    static const char commit[] = "0123456789abcdef0123456789abcdef01234567";
    char dir[256];
    ilk_runtime *rt = NULL;
    snprintf(root, sizeof root, "/tmp/ilk-embed-%d", (int)getpid());
    mkdir(root, 0700);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, NULL), NULL));
    static const char *const dirs[] = {"models--org--name", "models--org--name/refs", "models--org--name/snapshots"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(dir, sizeof dir, "%s/%s", root, dirs[i]);
        mkdir(dir, 0700);
    }
    write_file("models--org--name/refs/main", commit);
    snprintf(dir, sizeof dir, "models--org--name/snapshots/%s", commit);
    copy_fixture(MEAN, dir);
    setenv("HF_HUB_CACHE", root, 1);
    check_open(rt, "org/name", ILK_OK, NULL);
    snprintf(dir, sizeof dir, "org/name@%s", commit);
    check_open(rt, dir, ILK_OK, NULL);
    check_open(rt, "org/name@other", ILK_NOT_FOUND, "other");
    check_open(rt, "org/name@../../x", ILK_NOT_FOUND, NULL);
    check_open(rt, "org/missing", ILK_NOT_FOUND, "cache");
    check_open(rt, "../x", ILK_NOT_FOUND, "not an id");
    check_open(rt, "/nowhere/at/all", ILK_NOT_FOUND, "/nowhere/at/all");
    check_open(rt, "", ILK_BAD_ARGUMENT, NULL);
    check_open(rt, MEAN "/model.safetensors", ILK_OK, NULL);
    unsetenv("HF_HUB_CACHE");
    ilk_runtime_close(rt);
}

static void modules(void)
{
    static const struct {
        const char *modules, *pooling;
        ilk_status want;
        const char *says;
    } cases[] = {
        {NULL, NULL, ILK_OK, NULL}, /* no modules.json: mean pooling */
        {"[", NULL, ILK_BAD_FORMAT, "modules.json"},
        {"[]", NULL, ILK_BAD_FORMAT, "array of modules"},
        {"[{\"type\":\"a.Transformer\",\"path\":\"\"}]", NULL, ILK_UNSUPPORTED, "Pooling"},
        {"[{\"type\":\"a.Strange\",\"path\":\"x\"}]", NULL, ILK_UNSUPPORTED, "Strange"},
        {"[{\"type\":\"a.Pooling\",\"path\":\"../p\"}]", NULL, ILK_BAD_FORMAT, "leads out"},
        {"[{\"type\":\"a.Pooling\",\"path\":\"p\"}]", "{\"pooling_mode_cls_token\":true}", ILK_OK, NULL},
        {"[{\"type\":\"a.Pooling\",\"path\":\"p\"}]", "{\"pooling_mode\":[\"mean\",\"cls\"]}", ILK_OK, NULL},
        {"[{\"type\":\"a.Pooling\",\"path\":\"p\"}]", "{\"pooling_mode\":\"odd\"}", ILK_UNSUPPORTED, "odd"},
        {"[{\"type\":\"a.Pooling\",\"path\":\"p\"}]", "{\"pooling_mode\":\"cls\",\"embedding_dimension\":7}",
         ILK_MISMATCH, "7"},
        {"[{\"type\":\"a.Pooling\",\"path\":\"p\"},{\"type\":\"Dense\",\"path\":\"p\"}]", "{\"pooling_mode\":\"cls\"}",
         ILK_BAD_FORMAT, "in_features"},
    };
    char dir[256], path[300];
    ilk_runtime *rt = NULL;
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, NULL), NULL));
    copy_fixture(MEAN, "m");
    snprintf(dir, sizeof dir, "%s/m", root);
    snprintf(path, sizeof path, "%s/p", dir);
    mkdir(path, 0700);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].modules)
            write_file("m/modules.json", cases[i].modules);
        write_file("m/p/config.json", cases[i].pooling ? cases[i].pooling : "{}");
        check_open(rt, dir, cases[i].want, cases[i].says);
    }
    write_file("m/modules.json", "[{\"type\":\"a.Pooling\",\"path\":\"p\"}]");
    write_file("m/p/config.json", "{\"pooling_mode\":\"cls\"}");
    write_file(
        "m/config_sentence_transformers.json",
        "{\"prompts\":{\"query\":\"red \",\"passage\":\"green \",\"document\":\"blue \",\"other\":\"x \"},\"similarity_fn_name\":\"dot\",\"truncate_dim\":3}");
    ilk_model *m = NULL;
    ilk_model_info info_;
    ilk_model_info_init(&info_);
    REQUIRE(CHECK_OK(ilk_model_open(&m, rt, dir, NULL, NULL), NULL));
    CHECK_OK(ilk_model_get_info(m, &info_, NULL), NULL);
    CHECK_STR(info_.prompt_query, "red ");
    CHECK_STR(info_.prompt_document, "blue ");
    CHECK_STR(info_.similarity, "dot");
    CHECK_INT(info_.dim, 3);
    float a[3], b[3];
    CHECK_OK(ilk_embed_text(m, "cat", ILK_ROLE_QUERY, a, 3, NULL), NULL);
    CHECK_OK(ilk_embed_text(m, "red cat", ILK_ROLE_NONE, b, 3, NULL), NULL);
    CHECK_FLOATS(a, b, 3, 0, 0);
    const char *first = NULL, *second = NULL;
    char kept[65];
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &first, NULL), NULL);
    snprintf(kept, sizeof kept, "%s", first ? first : "");
    ilk_model_close(m);
    write_file("m/p/config.json", "{\"pooling_mode\":\"mean\"}");
    REQUIRE(CHECK_OK(ilk_model_open(&m, rt, dir, NULL, NULL), NULL));
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &second, NULL), NULL);
    CHECK(strcmp(kept, second) != 0); /* another pooling is another model */
    ilk_model_close(m);
    ilk_runtime_close(rt);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_INT(system(command), 0);
}

/* The vector of one word and the fingerprint of a folder. */
static bool open_once(ilk_runtime *rt, const char *dir, float *to, char hex[65])
{
    ilk_model *m = NULL;
    const char *got = NULL;
    ilk_error err;
    ilk_error_init(&err);
    bool ok = CHECK_OK(ilk_model_open(&m, rt, dir, NULL, &err), &err) &&
              CHECK_OK(ilk_embed_text(m, "cat", ILK_ROLE_NONE, to, 20, &err), &err) &&
              CHECK_OK(ilk_model_get_fingerprint(m, NULL, &got, &err), &err);
    snprintf(hex, 65, "%s", ok ? got : "");
    ilk_model_close(m);
    return ok;
}

/* bert-bin holds the weights of bert-dense as zips of torch.save: the same bits from either, from an index, from a path;
 * a fingerprint that follows the weights of network and Dense module. */
static void torch_weights(void)
{
    static const char *const parts[] = {"modules.json", "1_Pooling", "3_Normalize"};
    char dir[256], a[512], b[512], hex[5][65];
    float want[20], got[20];
    ilk_runtime *rt = NULL;
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, NULL), NULL));
    copy_fixture(BIN, "bin");
    snprintf(dir, sizeof dir, "%s/bin", root);
    for (size_t i = 0; i < 3; i++) {
        snprintf(a, sizeof a, BIN "/%s", parts[i]);
        snprintf(b, sizeof b, "%s/%s", dir, parts[i]);
        CHECK_INT(symlink(a, b), 0);
    }
    snprintf(b, sizeof b, "%s/2_Dense", dir);
    CHECK_INT(symlink(BIN "/2_Dense", b), 0);
    check_open(rt, dir, ILK_NOT_FOUND, "or pytorch_model.bin, found no weights");
    snprintf(a, sizeof a, "%s/w.bin", dir);
    CHECK_INT(symlink(BIN "/pytorch_model.bin", a), 0);
    write_file("bin/pytorch_model.bin.index.json",
               "{\"weight_map\":{\"embeddings.word_embeddings.weight\":\"w.bin\"}}");
    bool ok = open_once(rt, DENSE, want, hex[0]) && open_once(rt, BIN, got, hex[1]);
    CHECK_FLOATS(got, want, 20, 0, 0);
    ok = ok && open_once(rt, BIN "/pytorch_model.bin", got, hex[2]);
    CHECK_FLOATS(got, want, 20, 0, 0);
    ok = ok && open_once(rt, dir, got, hex[3]);
    CHECK_FLOATS(got, want, 20, 0, 0);
    CHECK_INT(unlink(b), 0);
    CHECK_INT(symlink(DENSE "/2_Dense", b), 0);
    ok = ok && open_once(rt, dir, got, hex[4]);
    CHECK_FLOATS(got, want, 20, 0, 0);
    ilk_runtime_close(rt);
    REQUIRE(CHECK(ok));
    CHECK_STR(hex[2], hex[1]);
    CHECK(strcmp(hex[0], hex[1]) != 0 && strcmp(hex[3], hex[1]) != 0 && strcmp(hex[4], hex[3]) != 0);
}

static void arguments(void)
{
    ilk_error err;
    ilk_model *m = NULL;
    ilk_vectors *v = NULL;
    ilk_runtime *rt = NULL;
    ilk_input in = {0};
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, NULL), NULL));
    CHECK_STATUS(ilk_model_open(NULL, rt, "x", NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_model_open(&m, NULL, "x", NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_embed(NULL, NULL, 0, NULL, NULL, &v, &err), ILK_BAD_ARGUMENT, &err);
    REQUIRE(CHECK_OK(ilk_model_open(&m, rt, MEAN, NULL, &err), &err));
    CHECK_STATUS(ilk_embed(m, NULL, 1, NULL, NULL, &v, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_embed(m, &in, 1, NULL, NULL, &v, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "ilk_input_init") != NULL);
    float one;
    CHECK_STATUS(ilk_embed_text(m, "a", ILK_ROLE_NONE, &one, 1, &err), ILK_MISMATCH, &err);
    ilk_model_options o;
    ilk_model_options_init(&o);
    o.max_tokens = 1u << 30;
    ilk_model *more = NULL;
    CHECK_STATUS(ilk_model_open(&more, rt, MEAN, &o, &err), ILK_LIMIT, &err);
    o.max_tokens = 2;
    CHECK_STATUS(ilk_model_open(&more, rt, MEAN, &o, &err), ILK_LIMIT, &err);
    ilk_vectors_free(NULL);
    ilk_tokens_free(NULL);
    ilk_model_close(NULL);
    close_model(rt, m);
}

TEST_MAIN({"same_bits", same_bits}, {"info", info}, {"options", options}, {"bad_inputs", bad_inputs},
          {"prompt_and_ids", prompt_and_ids}, {"queue", queue}, {"callers", callers}, {"cancel", cancel},
          {"forked", forked}, {"hub_cache", hub_cache}, {"torch_weights", torch_weights}, {"modules", modules},
          {"arguments", arguments})
