/* SPDX-License-Identifier: Apache-2.0
 * BERT beyond its goldens (golden/checkpoints): the same bits in any company, nothing allocated in a pass, refusals. */
#include <stdlib.h>

#include "alloc_count.h"
#include "net.h"
#include "test.h"

#define N_SEQS 40
#include "sequences.h"

#define DIR(name) ILK_TEST_DIR "/fixtures/" name

enum { MAX_DIM = 64 };

typedef struct result {
    float pooled[N_SEQS][2 * MAX_DIM];
    float tokens[N_SEQS * MAX_LEN * MAX_DIM];
} result;

static bool run(const test_net *t, ilki_pool *pool, const batch *b, unsigned pooling, result *r)
{
    size_t dim = t->net->tower[0].dim, n_modes = (size_t)__builtin_popcount(pooling);
    float *pooled = calloc(b->n * dim * n_modes, sizeof *pooled);
    ilki_tower_in in = input_of(b);
    ilki_tower_out out = {.pooling = pooling, .pooled = pooled, .tokens = r->tokens};
    ilk_error err;
    ilk_error_init(&err);
    bool ok = CHECK_OK(test_net_run(t, pool, &in, &out, &err), &err);
    for (size_t i = 0; ok && i < b->n; i++)
        memcpy(r->pooled[i], pooled + i * dim * n_modes, dim * n_modes * sizeof *pooled);
    free(pooled);
    return ok;
}

/* Alone, in a batch, in the reverse order; on this thread and on 1, 2, 3 and 7 threads. */
static void same_bits(const char *dir)
{
    static const unsigned threads[] = {1, 2, 3, 7};
    static result whole, other;
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, dir, 1, &err), &err));
    size_t dim = t.net->tower[0].dim, n = 2 * dim * sizeof(float);
    unsigned pooling = ILKI_POOL_CLS | ILKI_POOL_MEAN;
    batch b = random_batch(7), reversed = {0};
    run(&t, NULL, &b, pooling, &whole);
    for (size_t i = 0; i < b.n; i++) {
        batch alone = {0};
        add(&alone, b.ids + b.offsets[i], b.offsets[i + 1] - b.offsets[i]);
        run(&t, NULL, &alone, pooling, &other);
        CHECK_MEM(other.pooled[0], whole.pooled[i], n);
        CHECK_MEM(other.tokens, whole.tokens + b.offsets[i] * dim, alone.offsets[1] * dim * sizeof(float));
        size_t k = b.n - 1 - i;
        add(&reversed, b.ids + b.offsets[k], b.offsets[k + 1] - b.offsets[k]);
    }
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        ilki_pool *pool = NULL;
        REQUIRE(CHECK_OK(ilki_base_pool_new(&pool, threads[i], &err), &err));
        run(&t, pool, &reversed, pooling, &other);
        for (size_t k = 0; k < b.n; k++)
            CHECK_MEM(other.pooled[b.n - 1 - k], whole.pooled[k], n);
        ilki_base_pool_free(pool);
    }
    test_net_close(&t);
}

static void same_bits_mean(void)
{
    same_bits(DIR("bert-mean"));
}

static void same_bits_odd(void)
{
    same_bits(DIR("bert-dense"));
}

/* CLS alone takes the short last layer; with tokens wanted it does not. */
static void short_last_layer_has_same_bits(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-cls"), 2, &err), &err));
    static float shorter[N_SEQS * MAX_DIM], head[N_SEQS * MAX_DIM], head_of_all[N_SEQS * MAX_DIM];
    static result all;
    batch b = random_batch(9);
    ilki_tower_in in = input_of(&b);
    size_t dim = t.net->tower[0].dim;
    ilki_logits logits = {.head = "pooler", .out = head, .n_classes = dim};
    ilki_tower_out out = {.pooling = ILKI_POOL_CLS, .pooled = shorter, .logits = &logits, .n_logits = 1};
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    REQUIRE(run(&t, t.rt->pool, &b, ILKI_POOL_CLS, &all));
    for (size_t i = 0; i < b.n; i++) {
        CHECK_MEM(shorter + i * dim, all.pooled[i], dim * sizeof(float));
        CHECK_MEM(all.tokens + b.offsets[i] * dim, all.pooled[i], dim * sizeof(float));
    }
    logits.out = head_of_all;
    out.tokens = all.tokens;
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    CHECK_MEM(head, head_of_all, b.n * dim * sizeof(float));
    test_net_close(&t);
}

static void outputs_agree(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-mean"), 2, &err), &err));
    static float rows[3 * MAX_DIM], last[N_SEQS * MAX_LEN * MAX_DIM], embedded[N_SEQS * MAX_LEN * MAX_DIM];
    static result all;
    batch b = random_batch(11);
    ilki_tower_in in = input_of(&b);
    size_t dim = t.net->tower[0].dim, n = b.offsets[b.n];
    const uint32_t at[] = {5, 0, (uint32_t)n - 1};
    ilki_tower_out out = {.row_at = at, .rows = rows, .n_rows = 3, .layer = 2, .layer_tokens = last};
    REQUIRE(run(&t, NULL, &b, ILKI_POOL_CLS, &all));
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    CHECK_MEM(last, all.tokens, n * dim * sizeof(float));
    for (size_t i = 0; i < 3; i++)
        CHECK_MEM(rows + i * dim, all.tokens + at[i] * dim, dim * sizeof(float));

    /* positions and types as they are by themselves, then others */
    static int32_t positions[N_SEQS * MAX_LEN], types[N_SEQS * MAX_LEN];
    for (size_t i = 0; i < b.n; i++)
        for (uint32_t k = b.offsets[i]; k < b.offsets[i + 1]; k++)
            positions[k] = (int32_t)(k - b.offsets[i]);
    in.positions = positions;
    in.n_axes = 1;
    in.types = types;
    out = (ilki_tower_out){.layer_tokens = embedded, .tokens = last};
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    CHECK_MEM(last, all.tokens, n * dim * sizeof(float));
    types[0] = 1;
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    CHECK(memcmp(last, all.tokens, dim * sizeof(float)) != 0);
    types[0] = 0;
    positions[0] = 3;
    CHECK_OK(test_net_run(&t, t.rt->pool, &in, &out, &err), &err);
    CHECK(memcmp(last, all.tokens, dim * sizeof(float)) != 0);
    positions[0] = MAX_LEN;
    CHECK_STATUS(test_net_run(&t, t.rt->pool, &in, &out, &err), ILK_BAD_ARGUMENT, &err);
    positions[0] = 0;
    types[0] = 2;
    CHECK_STATUS(test_net_run(&t, t.rt->pool, &in, &out, &err), ILK_BAD_ARGUMENT, &err);
    test_net_close(&t);
}

static void nothing_is_allocated(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-mean"), 3, &err), &err));
    static float pooled[N_SEQS * MAX_DIM];
    batch b = random_batch(13);
    ilki_tower_in in = input_of(&b);
    ilki_tower_out out = {.pooling = ILKI_POOL_MEAN, .pooled = pooled};
    ilki_ws ws;
    ilki_nn ctx = {.ops = t.rt->ops, .pool = t.rt->pool, .ws = &ws, .err = &err};
    size_t n = 0;
    alloc_count_reset();
    CHECK_OK(ilki_models_measure(t.net, 0, &ctx, &in, &out, &n, &err), &err);
    CHECK_INT(alloc_count(), 0);
    void *memory = ilki_base_alloc_aligned(n, 1);
    REQUIRE(CHECK(memory != NULL && n > 0));
    for (int i = 0; i < 3; i++) {
        ilki_base_ws_init(&ws, memory, n);
        alloc_count_reset();
        CHECK_OK(ilki_models_forward(t.net, 0, &ctx, &in, &out), &err);
        CHECK_INT(alloc_count(), 0);
        CHECK_INT(ws.used, 0);
    }
    ilki_base_ws_init(&ws, memory, n - 64); /* a workspace too small is told, not overrun */
    CHECK(ilki_models_forward(t.net, 0, &ctx, &in, &out) != ILK_OK);
    free(memory);
    test_net_close(&t);
}

static void stops_when_cancelled(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-mean"), 2, &err), &err));
    static float pooled[N_SEQS * MAX_DIM];
    batch b = random_batch(15);
    ilki_tower_in in = input_of(&b);
    ilki_tower_out out = {.pooling = ILKI_POOL_MEAN, .pooled = pooled};
    ilki_ws ws;
    ilki_base_ws_init(&ws, ilki_base_alloc_aligned(1 << 22, 1), 1 << 22);
    ilk_job *job = ilk_job_new(NULL);
    ilki_nn ctx = {.ops = t.rt->ops, .pool = t.rt->pool, .ws = &ws, .job = job, .err = &err};
    CHECK_OK(ilki_models_forward(t.net, 0, &ctx, &in, &out), &err);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_models_forward(t.net, 0, &ctx, &in, &out), ILK_CANCELLED, &err);
    ilk_job_free(job);
    free(ws.base);
    test_net_close(&t);
}

static void refuses_what_it_cannot(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-mean"), 1, &err), &err));
    float pooled[MAX_DIM], rows[3 * MAX_DIM] = {0};
    int32_t ids[] = {2, 5, 3}, positions[9] = {0};
    uint32_t offsets[] = {0, 3}, some[3] = {0};
    const ilki_kv *prefix[1] = {NULL};
    ilki_kv *kv[1] = {NULL};
    ilki_tower_span span = {.n = 1};
    ilki_layer_rows extra = {.at = some, .rows = rows, .n = 1};
    ilki_logits lm = {.head = "lm", .out = rows}, few = {.head = "pooler", .classes = ids, .n_classes = 3, .out = rows},
                wide = {.head = "pooler", .n_classes = 3, .out = rows};
    const ilki_tower_in plain = {.n_seqs = 1, .n_tokens = 3, .offsets = offsets, .ids = ids};
    const ilki_tower_out want = {.pooling = ILKI_POOL_MEAN, .pooled = pooled};
    struct {
        ilki_tower_in in;
        ilki_tower_out out;
        const char *says;
    } cases[10];
    for (size_t i = 0; i < 10; i++) {
        cases[i].in = plain;
        cases[i].out = want;
    }
    cases[0].in.positions = positions, cases[0].in.n_axes = 3, cases[0].says = "positions of several axes";
    cases[1].in.groups = some, cases[1].says = "groups";
    cases[2].in.prefix_len = some, cases[2].says = "prefix_len";
    cases[3].in.prefix = prefix, cases[3].says = "prefix";
    cases[4].in.spans = &span, cases[4].in.n_spans = 1, cases[4].says = "spans";
    cases[5].in.layer_rows = &extra, cases[5].in.n_layer_rows = 1, cases[5].says = "layer_rows";
    cases[6].out.kv = kv, cases[6].says = "kv";
    cases[7].out.logits = &lm, cases[7].out.n_logits = 1, cases[7].says = "(pooler), found \"lm\"";
    cases[8].out.logits = &few, cases[8].out.n_logits = 1, cases[8].says = "expected all 32 classes, found 3";
    cases[9].out.logits = &wide, cases[9].out.n_logits = 1, cases[9].says = "expected all 32 classes, found 3";
    for (size_t i = 0; i < 10; i++) {
        CHECK_STATUS(test_net_run(&t, NULL, &cases[i].in, &cases[i].out, &err), ILK_UNSUPPORTED, &err);
        CHECK_THAT(strstr(err.message, cases[i].says), "\"%s\" lacks \"%s\"", err.message, cases[i].says);
    }
    test_net_close(&t);
    REQUIRE(CHECK_OK(test_net_open(&t, DIR("bert-maxmean"), 1, &err), &err));
    ilki_tower_out pooler = {.logits = &wide, .n_logits = 1};
    CHECK_STATUS(test_net_run(&t, NULL, &plain, &pooler, &err), ILK_UNSUPPORTED, &err);
    CHECK_STR(err.message, "bert: expected a head of this checkpoint (it has none), found \"pooler\"");
    test_net_close(&t);
}

/* config.json of bert-mean with one field changed */
static void reads_config(void)
{
    static const struct {
        const char *changes, *says;
        ilk_status status;
    } rows[] = {
        {"", "", ILK_OK},
        {",\"hidden_act\":\"gelu_fast\",\"is_decoder\":false", "", ILK_OK},
        {",\"hidden_act\":\"mish\"", "hidden_act: expected one of gelu, ", ILK_UNSUPPORTED},
        {",\"position_embedding_type\":\"relative_key\"", "position_embedding_type: expected one of absolute; found",
         ILK_UNSUPPORTED},
        {",\"is_decoder\":true", "is_decoder: expected false, found true", ILK_UNSUPPORTED},
        {",\"add_cross_attention\":true", "add_cross_attention: expected false, found true", ILK_UNSUPPORTED},
        {",\"num_attention_heads\":5", "hidden_size: expected a multiple of num_attention_heads (5), found 32",
         ILK_BAD_FORMAT},
        {",\"num_hidden_layers\":0", "num_hidden_layers", ILK_BAD_FORMAT},
        {",\"num_hidden_layers\":3", "tensor encoder.layer.2.attention.self.query.weight: expected shape [32, 32]",
         ILK_BAD_FORMAT},
        {",\"vocab_size\":149", "expected shape [149, 32], as config.json has it, found [148, 32]", ILK_BAD_FORMAT},
        {",\"type_vocab_size\":3", "token_type_embeddings.weight: expected shape [3, 32]", ILK_BAD_FORMAT},
        {",\"intermediate_size\":63", "intermediate.dense.weight: expected shape [63, 32]", ILK_BAD_FORMAT},
    };
    ilki_weights *w = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_open_weights(&w, DIR("bert-mean"), "model.safetensors", &err), &err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"model_type\":\"bert\",\"vocab_size\":148,\"hidden_size\":32,\"num_hidden_layers\":2,"
                 "\"num_attention_heads\":4,\"intermediate_size\":64,\"max_position_embeddings\":24%s}",
                 rows[i].changes);
        ilki_json *j = NULL;
        ilki_net *net = NULL;
        CHECK_OK(ilki_base_json_parse(&j, text, strlen(text), "config.json", NULL, &err), &err);
        ilki_model_source src = {.dir = "dir", .config = j, .weights = w, .ops = &ilki_kern_ref};
        ilk_status s = ilki_models_open(&net, &src, &err);
        CHECK_STATUS(s, rows[i].status, &err);
        CHECK_THAT(s == ILK_OK || strstr(err.message, rows[i].says), "\"%s\" lacks \"%s\"", err.message, rows[i].says);
        CHECK((s == ILK_OK) == (net != NULL));
        if (net) {
            const ilki_tower_info *t = &net->tower[0];
            CHECK(net->n_towers == 1 && t->dim == 32 && t->n_layers == 2 && t->vocab_size == 148 &&
                  t->max_tokens == 24);
            CHECK(t->attn.n_heads == 4 && t->attn.d_qk == 8 && t->modalities == 1U << ILK_TEXT);
            CHECK_INT(net->n_parameters, 23776);
            CHECK(net->memory_bytes > 2 * (4 * 32 * 32 + 2 * 32 * 64) * 4);
        }
        ilki_models_close(net);
        ilki_base_json_free(j);
    }
    ilki_format_close(w);
}

static int n_warnings;

static void count_warnings(void *user, ilk_log_level level, const char *message)
{
    (void)user;
    (void)message;
    n_warnings += level <= ILK_LOG_WARN;
}

/* Heads of pre-training and saved position ids are no news. */
static void old_checkpoints_are_silent(void)
{
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    n_warnings = 0;
    CHECK_OK(test_net_open_log(&t, DIR("bert-old"), 1, NULL, count_warnings, NULL, &err), &err);
    CHECK_INT(n_warnings, 0);
    test_net_close(&t);
}

static void every_allocation_may_fail(void)
{
    ilki_weights *w = NULL;
    ilki_json *j = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_open_weights(&w, DIR("bert-f16"), "model.safetensors", &err), &err));
    REQUIRE(CHECK_OK(test_read_json(&j, DIR("bert-f16"), "config.json", &err), &err));
    ilki_model_source src = {.dir = "dir", .config = j, .weights = w, .ops = &ilki_kern_ref};
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        ilki_net *net = NULL;
        alloc_fail_at(n, false);
        ilk_status s = ilki_models_open(&net, &src, &err);
        failed = alloc_fail_off();
        CHECK_STATUS(s, failed ? ILK_NO_MEMORY : ILK_OK, &err);
        CHECK((net != NULL) == !failed);
        ilki_models_close(net);
    }
    CHECK(n > 15);
    ilki_format_close(w);
    ilki_base_json_free(j);
}

TEST_MAIN({"same_bits_mean", same_bits_mean}, {"same_bits_odd", same_bits_odd},
          {"short_last_layer_has_same_bits", short_last_layer_has_same_bits}, {"outputs_agree", outputs_agree},
          {"nothing_is_allocated", nothing_is_allocated}, {"stops_when_cancelled", stops_when_cancelled},
          {"refuses_what_it_cannot", refuses_what_it_cannot}, {"reads_config", reads_config},
          {"old_checkpoints_are_silent", old_checkpoints_are_silent},
          {"every_allocation_may_fail", every_allocation_may_fail})
