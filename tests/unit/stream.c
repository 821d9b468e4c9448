/* SPDX-License-Identifier: Apache-2.0
 * Weights that are packed as a pass needs them: the bits of a model that keeps them packed, whatever the batch and the threads,
 * under a memory ceiling that the weights exceed; and `auto`, decided so. */
#include "nn/stream.h"

#include <stdatomic.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/cpu.h"
#include "embed/auto.h"
#include "embed/state.h"
#include "nn/layers.h"
#include "nn_test.h"
#include "tasks/calibrate.h"
#include "tree.h"
#include "words.h"

enum { N_TEXTS = 40, MAX_DIM = 256, CEILING = 480000 };

static const char *text_of(size_t i)
{
    static char texts[N_TEXTS][400];
    static const char *const words[] = {"a", "red", "cat", "sat", "on", "the", "mat", "of", "seven", "dogs", "!"};
    uint64_t rng = i + 1;
    size_t at = 0;
    if (!texts[i][0])
        for (size_t k = 0, n = 1 + i; k < n && at + 12 < sizeof texts[i]; k++)
            at += (size_t)snprintf(texts[i] + at, sizeof texts[i] - at, "%s ", words[test_random(&rng) % 11]);
    return texts[i];
}

static void embed_all(ilk_model *m, float to[N_TEXTS][MAX_DIM])
{
    ilk_part parts[N_TEXTS];
    ilk_input in[N_TEXTS];
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < N_TEXTS; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].data = text_of(i);
        parts[i].n_bytes = strlen(text_of(i));
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    memset(to, 0, sizeof(float[N_TEXTS][MAX_DIM]));
    if (CHECK_OK(ilk_embed(m, in, N_TEXTS, NULL, NULL, &v, &err), &err))
        for (size_t i = 0; i < N_TEXTS && CHECK(v->dim <= MAX_DIM); i++) {
            CHECK_INT(v->state[i].status, ILK_OK);
            memcpy(to[i], v->data + i * v->dim, v->dim * sizeof(float));
        }
    ilk_vectors_free(v);
}

/* Opened under a ceiling of one byte, used under the runtime's own. */
static ilk_model *open_streamed(ilk_runtime *rt, const char *dir, uint32_t batch_tokens)
{
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_error err;
    uint64_t ceiling = rt->ceiling_bytes;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    o.batch_tokens = batch_tokens;
    rt->ceiling_bytes = 1;
    if (CHECK_OK(ilki_embed_open_reference(&m, rt, dir, &o, NULL, &err), &err))
        CHECK(m->streamed);
    rt->ceiling_bytes = ceiling;
    return m;
}

static void same_bits(const char *fixture)
{
    static float want[N_TEXTS][MAX_DIM], got[N_TEXTS][MAX_DIM];
    const char *dir = tree_path(ILK_TEST_DIR "/fixtures", "%s", fixture);
    ilk_error err;
    ilk_error_init(&err);
    for (unsigned n_threads = 1; n_threads <= 5; n_threads += 2) {
        ilk_runtime *rt = NULL;
        ilk_runtime_options ro;
        ilk_model *m = NULL, *s;
        ilk_model_options o;
        ilk_runtime_options_init(&ro);
        ilk_model_options_init(&o);
        ro.n_threads = n_threads;
        o.precision = ILK_PRECISION_F32;
        CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err);
        CHECK_OK(ilki_embed_open_reference(&m, rt, dir, &o, NULL, &err), &err);
        CHECK_THAT(m && !m->streamed, "%s is streamed though it fits", fixture);
        embed_all(m, want);
        for (uint32_t batch = 8; batch <= 2048; batch *= 16) {
            s = open_streamed(rt, dir, batch);
            CHECK(s->net->memory_bytes < m->net->memory_bytes);
            embed_all(s, got);
            CHECK_THAT(memcmp(got, want, sizeof want) == 0, "%s: other bits on %u threads in passes of %u tokens",
                       fixture, n_threads, batch);
            ilk_model_close(s);
        }
        ilk_model_close(m);
        ilk_runtime_close(rt);
    }
}

static void families(void)
{
    static const char *const fixtures[] = {"bert-mean",      "bert-f16",   "bert-dense",  "bert-bin",
                                           "e2e-me5",        "e2e-mpnet",  "e2e-nomic",   "e2e-gte",
                                           "e2e-modernbert", "gte-native", "e2e-roberta", "e2e-distilbert"};
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++)
        same_bits(fixtures[i]);
}

/* ------------------------------------------------------------------ a chain */

enum { N_LINEARS = ILKI_STREAM_LINEARS + 5, WIDTH = 40, N_ROWS = 300 };

typedef struct chain {
    const ilki_linear *linears; /* [N_LINEARS] */
    const float *x;             /* [N_ROWS][WIDTH] */
    float *y;
} chain;

static void run_rows(ilki_nn *sub, void *arg, size_t first, size_t n)
{
    const chain *c = arg;
    size_t mark = ilki_base_ws_mark(sub->ws);
    float *a = ilki_nn_take(sub, n * WIDTH, sizeof *a), *b = ilki_nn_take(sub, n * WIDTH, sizeof *b);
    for (size_t i = 0; i < N_LINEARS; i++) {
        bool last = i + 1 == N_LINEARS;
        const float *in = i == 0 ? ilki_nn_at_const(c->x, first * WIDTH) : a;
        float *out = last ? ilki_nn_at(c->y, first * WIDTH) : b;
        ilki_nn_linear(
            sub, &c->linears[i],
            &(ilki_linear_args){.x = in, .y = out, .n_rows = n, .act = last ? ILKI_ACT_NONE : ILKI_ACT_TANH});
        float *swap = a;
        a = b;
        b = swap;
    }
    ilki_base_ws_release(sub->ws, mark);
}

/* A chain over all rows, and a layer outside of one. */
static void run_chain(ilki_nn *ctx, void *arg)
{
    const chain *c = arg;
    ilki_nn_rows(ctx, &(ilki_rows_args){run_rows, arg, N_ROWS, 20000});
    ilki_nn_linear(ctx, &c->linears[0], &(ilki_linear_args){.x = c->y, .y = c->y + N_ROWS * WIDTH, .n_rows = N_ROWS});
}

static void count_done(void *user, const ilki_tensor *t)
{
    (void)t;
    atomic_fetch_add((atomic_size_t *)user, 1); /* on any thread */
}

/* More linears than are held at once: those beyond are packed each by itself. Nothing is allocated on the way. */
static void a_long_chain(void)
{
    ilki_kern_ops all[NN_TABLES];
    size_t n_tables = nn_tables(all);
    uint64_t rng = 3;
    float *weights = nn_random(&rng, (size_t)N_LINEARS * WIDTH * WIDTH), *x = nn_random(&rng, (size_t)N_ROWS * WIDTH);
    float *want = malloc(2 * (size_t)N_ROWS * WIDTH * sizeof *want),
          *got = malloc(2 * (size_t)N_ROWS * WIDTH * sizeof *got);
    ilk_error err;
    ilk_error_init(&err);
    for (size_t t = 0; t < n_tables; t++) {
        ilki_tensor tensors[N_LINEARS];
        ilki_linear packed[N_LINEARS], streamed[N_LINEARS];
        for (size_t i = 0; i < N_LINEARS; i++) {
            tensors[i] = (ilki_tensor){.name = "w",
                                       .file = "f",
                                       .dtype = ILKI_DTYPE_F32,
                                       .rank = 2,
                                       .shape = {WIDTH, WIDTH},
                                       .data = (const unsigned char *)(weights + i * WIDTH * WIDTH),
                                       .n_bytes = WIDTH * WIDTH * sizeof(float)};
            const ilki_tensor *source = &tensors[i];
            CHECK_OK(ilki_tensor_linear_init(&packed[i], &all[t], &source, NULL, 1, &err), &err);
            CHECK_OK(ilki_tensor_linear_init_at(&streamed[i], &(ilki_packing){.streamed = true}, &all[t], &source, NULL,
                                                1, &err),
                     &err);
            CHECK(ilki_tensor_linear_is_streamed(&streamed[i]) && !ilki_tensor_linear_is_streamed(&packed[i]));
        }
        for (unsigned threads = 0; threads <= 4; threads += 2) {
            ilki_pool *pool = NULL;
            atomic_size_t n_done = 0; /* parts given back */
            if (threads)
                CHECK_OK(ilki_base_pool_new(&pool, threads, &err), &err);
            ilki_stream s = {.done_with = count_done, .user = &n_done};
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &all[t], .pool = pool}, run_chain, &(chain){packed, x, want}, &err),
                     &err);
            CHECK_OK(nn_pass(&(ilki_nn){.ops = &all[t], .pool = pool, .stream = &s}, run_chain,
                             &(chain){streamed, x, got}, &err),
                     &err);
            CHECK(n_done > N_LINEARS);
            CHECK_FLOATS(got, want, 2 * (size_t)N_ROWS * WIDTH, 0, 0);
            CHECK_STATUS(nn_pass(&(ilki_nn){.ops = &all[t], .pool = pool}, run_chain, &(chain){streamed, x, got}, &err),
                         ILK_UNSUPPORTED, &err);
            ilki_base_pool_free(pool);
        }
        for (size_t i = 0; i < N_LINEARS; i++) {
            ilki_tensor_linear_deinit(&packed[i]);
            ilki_tensor_linear_deinit(&streamed[i]);
        }
    }
    free(weights);
    free(x);
    free(want);
    free(got);
}

/* ------------------------------------------------------------------ auto */

typedef struct watch {
    ilk_runtime *rt;
    uint64_t most;
    size_t n;
} watch;

static void see(void *user, const ilk_progress *p)
{
    watch *w = user;
    uint64_t used = ilki_base_runtime_used(w->rt);
    (void)p;
    w->most = used > w->most ? used : w->most;
    w->n++;
}

static void decided_under_the_ceiling(void)
{
    char *top = tree_new(), line[4096], *dir = strdup(tree_path(top, "model"));
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilk_model_options o;
    ilk_calibration c, again;
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    snprintf(line, sizeof line, "cp -r " ILK_TEST_DIR "/fixtures/bert-mean %s", dir);
    CHECK_INT(system(line), 0);
    words_grow(dir);
    setenv("XDG_CACHE_HOME", top, 1);
    ilk_runtime_options_init(&ro);
    ilk_model_options_init(&o);
    ilk_calibration_init(&c);
    ilk_calibration_init(&again);
    ro.memory_ceiling_bytes = CEILING; /* f32 is 740,000 bytes, 8 bits are 185,000 */
    ro.n_threads = 2;
    o.batch_tokens = 64;
    CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err);

    /* nothing is decided */
    CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err);
    CHECK_INT(ilki_embed_info(m)->precision, ILK_PRECISION_INT8W);
    CHECK_STATUS(ilk_model_get_calibration(m, &c, &err), ILK_NOT_FOUND, &err);
    ilk_model_close(m);

    watch w = {.rt = rt};
    ilk_job_options jo;
    ilk_job_options_init(&jo);
    jo.progress = see;
    jo.progress_user = &w;
    ilk_job *job = ilk_job_new(&jo);
    if (!CHECK_OK(ilk_model_calibrate(rt, dir, &o, job, &c, &err), &err))
        return;
    ilk_job_free(job);
    CHECK(w.n > 0);
    CHECK_THAT(w.most > 0 && w.most <= CEILING, "%llu bytes were used", (unsigned long long)w.most);
    CHECK(ilki_base_runtime_used(rt) <= CEILING);
    CHECK(c.chosen != ILK_PRECISION_F32 && c.chosen != ILK_PRECISION_AUTO);
    CHECK_INT(c.cached, 0);
    CHECK_THAT(strstr(c.why, "exceeds the memory ceiling") != NULL, "why: %s", c.why);
    CHECK(c.tokens_per_second[ILK_PRECISION_F32] > 0 && c.cosine_mean[ILK_PRECISION_F32] == 1);
    CHECK(c.tokens_per_second[ILK_PRECISION_INT8W] > 0 && c.cosine_mean[ILK_PRECISION_INT8W] > 0.99);
    CHECK(c.n_texts >= 24);

    /* once, and opened as decided */
    CHECK_OK(ilk_model_calibrate(rt, dir, &o, NULL, &again, &err), &err);
    CHECK_INT(again.cached, 1);
    CHECK_INT(again.chosen, c.chosen);
    CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err);
    CHECK_INT(ilki_embed_info(m)->precision, c.chosen);
    CHECK_OK(ilk_model_get_calibration(m, &again, &err), &err);
    CHECK_STR(again.why, c.why);
    ilk_model_close(m);
    ilk_runtime_close(rt);

    /* where f32 fits that decision is not this machine's */
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err);
    CHECK_INT(ilki_embed_info(m)->precision, ILK_PRECISION_F32);
    CHECK_STATUS(ilk_model_get_calibration(m, &again, &err), ILK_NOT_FOUND, &err);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    free(dir);
    tree_free(top);
}

/* All together exceed it, each fits: one after the other. */
static void one_after_the_other(void)
{
    char *top = tree_new(), line[4096], *dir = strdup(tree_path(top, "model"));
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilk_model_options o;
    ilk_calibration c;
    ilk_error err;
    ilk_error_init(&err);
    snprintf(line, sizeof line, "cp -r " ILK_TEST_DIR "/fixtures/bert-mean %s", dir);
    CHECK_INT(system(line), 0);
    words_grow(dir);
    setenv("XDG_CACHE_HOME", top, 1);
    ilk_runtime_options_init(&ro);
    ilk_model_options_init(&o);
    ilk_calibration_init(&c);
    ro.memory_ceiling_bytes = 1000000;
    o.batch_tokens = 64;
    CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err);
    CHECK_OK(ilk_model_calibrate(rt, dir, &o, NULL, &c, &err), &err);
    CHECK_INT(c.chosen, ILK_PRECISION_F32); /* it has less than a million parameters */
    for (int p = ILK_PRECISION_F32; ilk_precision_name((ilk_precision)p); p++)
        CHECK_THAT(c.tokens_per_second[p] > 0, "%s was not measured", ilk_precision_name((ilk_precision)p));
    ilk_runtime_close(rt);
    free(dir);
    tree_free(top);
}

/* ------------------------------------------------------------------ the form of attention */

static const ilki_kern_ops *machine;

/* As if bf16 were ruinous: every score with the other sign. */
static void spoiled_attention(const ilki_attn_f32 *a)
{
    ilki_attn_f32 other = *a;
    other.scale = -a->scale;
    machine->attn_bf16(&other);
}

static void slow_attention(const ilki_attn_f32 *a)
{
    for (uint64_t begin = ilki_base_now_ns(); ilki_base_now_ns() - begin < 200000;)
        ;
    machine->attn_bf16(a);
}

/* Decides with such an attention in bf16, under the ceiling, where one under f32 is chosen for certain. */
static ilk_calibration decide_with(void (*attn_bf16)(const ilki_attn_f32 *a), uint64_t ceiling, const char *dir)
{
    ilki_kern_ops ops;
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilk_model_options o;
    ilk_calibration c;
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&ro);
    ilk_model_options_init(&o);
    ilk_calibration_init(&c);
    ro.memory_ceiling_bytes = ceiling;
    ro.n_threads = 1;
    o.batch_tokens = 64;
    if (!CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err))
        return c;
    machine = rt->ops;
    ops = *machine;
    ops.attn_bf16_pays = true; /* of the reference, where the machine has none */
    ops.attn_bf16 = attn_bf16;
    rt->ops = &ops;
    if (CHECK_OK(ilk_model_calibrate(rt, dir, &o, NULL, &c, &err), &err)) {
        ilk_calibration again;
        ilk_calibration_init(&again);
        printf("%s: %s\n", ilk_precision_name(c.chosen), c.why);
        CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err);
        CHECK_INT(ilki_embed_info(m)->precision, c.chosen);
        CHECK_INT(ilki_embed_info(m)->attention,
                  c.chosen == ILK_PRECISION_F32 ? ILK_ATTENTION_F32 : c.attention[c.chosen]);
        CHECK_OK(ilk_model_get_calibration(m, &again, &err), &err);
        CHECK_MEM(again.attention, c.attention, sizeof c.attention);
        CHECK_STR(again.why, c.why);
        ilk_model_close(m);
    }
    rt->ops = machine;
    ilk_runtime_close(rt);
    return c;
}

static void attention_is_decided(void)
{
    char *top = tree_new(), line[4096], *dir = strdup(tree_path(top, "model"));
    snprintf(line, sizeof line, "cp -r " ILK_TEST_DIR "/fixtures/bert-mean %s", dir);
    CHECK_INT(system(line), 0);
    words_grow(dir);

    setenv("XDG_CACHE_HOME", tree_path(top, "spoiled"), 1);
    ilk_calibration c = decide_with(spoiled_attention, CEILING, dir);
    for (int p = ILK_PRECISION_BF16; p <= ILK_PRECISION_INT8W; p++)
        if (c.tokens_per_second[p] > 0 && c.attention[p] == ILK_ATTENTION_BF16) /* f32 did not save it either */
            CHECK_THAT(c.cosine_mean[p] < 0.999, "%s: %g", ilk_precision_name((ilk_precision)p), c.cosine_mean[p]);
    CHECK_INT(c.attention[c.chosen], ILK_ATTENTION_F32);
    CHECK(c.cosine_mean[c.chosen] >= 0.999 && c.cosine_least[c.chosen] >= 0.995);
    CHECK_NEAR(c.attention_gain, 0, 0);
    CHECK(strstr(c.why, "does not keep") != NULL);

    setenv("XDG_CACHE_HOME", tree_path(top, "slow"), 1);
    c = decide_with(slow_attention, CEILING, dir);
    CHECK_INT(c.attention[c.chosen], ILK_ATTENTION_F32);
    CHECK(c.attention_gain > 0 && c.attention_gain < 1);
    CHECK(strstr(c.why, "attention in f32") != NULL);

    /* all opened at once; f32, which fits, is chosen of so few parameters, and has one form */
    setenv("XDG_CACHE_HOME", tree_path(top, "together"), 1);
    c = decide_with(spoiled_attention, 1 << 30, dir);
    CHECK_INT(c.chosen, ILK_PRECISION_F32);
    CHECK_INT(c.attention[ILK_PRECISION_F32], ILK_ATTENTION_AUTO);
    CHECK_INT(c.attention[ILK_PRECISION_BF16], ILK_ATTENTION_F32);
    free(dir);
    tree_free(top);
}

/* Without time nothing is decided or kept, and it is nobody's failure but the clock's. */
static void no_time(void)
{
    char *top = tree_new();
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_calibration c;
    ilk_model_options o;
    ilk_error err;
    ilk_error_init(&err);
    ilk_calibration_init(&c);
    ilk_model_options_init(&o);
    setenv("XDG_CACHE_HOME", top, 1);
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    const char *dir = ILK_TEST_DIR "/fixtures/bert-mean";
    for (double s = 1e-6; s < 3e-3; s *= 4) { /* cut off in one place after the other */
        ilk_status st = ilki_tasks_calibrate_within(rt, dir, &o, s, NULL, &c, &err);
        CHECK_THAT(st == ILK_BUSY || st == ILK_OK, "within %g s: %s", s, err.message);
        if (st == ILK_OK)
            break;
        CHECK(strstr(err.message, "bert-mean") != NULL);
        CHECK_OK(ilk_model_open(&m, rt, dir, &o, &err), &err);
        CHECK_STATUS(ilk_model_get_calibration(m, &c, &err), ILK_NOT_FOUND, &err);
        CHECK_INT(ilki_embed_info(m)->precision, ILK_PRECISION_F32);
        ilk_model_close(m);
    }
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_tasks_calibrate_within(rt, dir, &o, 1e-6, job, &c, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    ilk_runtime_close(rt);
    tree_free(top);
}

/* Packing ends with the job that a model is opened under. */
static void opened_under_a_job(void)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    for (int p = ILK_PRECISION_F32; ilk_precision_name((ilk_precision)p); p++) {
        ilk_job *job = ilki_base_job_under(NULL, 0);
        o.precision = (ilk_precision)p;
        o.packed_cache = ILK_PACKED_OFF;
        CHECK_STATUS(ilki_embed_open_under(&m, rt, ILK_TEST_DIR "/fixtures/bert-mean", &o, job, &err), ILK_DEADLINE,
                     &err);
        CHECK(m == NULL);
        ilk_job_free(job);
    }
    ilk_runtime_close(rt);
}

/* The published model under a ceiling of 45 MB, of which f32 would take 90. */
static void the_real_one(void)
{
    const char *dir = getenv("ILK_TEST_MINILM");
    if (!dir || access(dir, R_OK) != 0)
        TEST_SKIP("ILK_TEST_MINILM names no folder of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)");
    char *top = tree_new();
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilk_calibration c;
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&ro);
    ilk_calibration_init(&c);
    ro.memory_ceiling_bytes = 45000000;
    setenv("XDG_CACHE_HOME", top, 1);
    CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err);
    ilk_status st = ilk_model_calibrate(rt, dir, NULL, NULL, &c, &err);
    if (st != ILK_BUSY && CHECK_OK(st, &err)) {
        for (int p = ILK_PRECISION_F32; ilk_precision_name((ilk_precision)p); p++)
            printf("%s: %.0f tokens/s, cosine %.5f, at worst %.5f\n", ilk_precision_name((ilk_precision)p),
                   c.tokens_per_second[p], c.cosine_mean[p], c.cosine_least[p]);
        printf("%s: %s; %u texts, %.1f s\n", ilk_precision_name(c.chosen), c.why, c.n_texts, c.seconds);
        CHECK(c.chosen > ILK_PRECISION_F32);
        CHECK(c.tokens_per_second[c.chosen] > 0);
        for (int p = ILK_PRECISION_F32; ilk_precision_name((ilk_precision)p); p++) /* a busy machine tries fewer */
            CHECK(c.tokens_per_second[p] == 0 || c.cosine_mean[p] > 0.999);
    }
    CHECK_OK(ilk_model_open(&m, rt, dir, NULL, &err), &err);
    if (st != ILK_BUSY)
        CHECK_INT(ilki_embed_info(m)->precision, c.chosen);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    tree_free(top);
    if (st == ILK_BUSY)
        TEST_SKIP("a machine with less to do is wanted: %s", err.message);
}

/* A pass without a stream says what it lacks. */
static void failures(void)
{
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    ilk_model *m = open_streamed(rt, ILK_TEST_DIR "/fixtures/bert-mean", 0);
    float v[MAX_DIM];
    m->streamed = false;
    CHECK_STATUS(ilk_embed_text(m, "a cat", ILK_ROLE_NONE, v, ilki_embed_info(m)->dim, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "not packed") != NULL);
    m->streamed = true;
    rt->ceiling_bytes = 5000;
    CHECK_STATUS(ilk_embed_text(m, "a cat", ILK_ROLE_NONE, v, ilki_embed_info(m)->dim, &err), ILK_LIMIT, &err);
    rt->ceiling_bytes = 1 << 30;
    CHECK_OK(ilk_embed_text(m, "a cat", ILK_ROLE_NONE, v, ilki_embed_info(m)->dim, &err), &err);
    ilk_model_close(m);
    ilk_runtime_close(rt);
}

TEST_MAIN({"families", families}, {"a_long_chain", a_long_chain},
          {"decided_under_the_ceiling", decided_under_the_ceiling}, {"one_after_the_other", one_after_the_other},
          {"attention_is_decided", attention_is_decided}, {"no_time", no_time},
          {"opened_under_a_job", opened_under_a_job}, {"the_real_one", the_real_one}, {"failures", failures})
