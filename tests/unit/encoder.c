/* SPDX-License-Identifier: Apache-2.0
 * The families that share models/encoder.c beyond their goldens (golden/checkpoints): the same bits in any company,
 * nothing allocated in a pass, heads, and what each family refuses by name. */
#include <stdlib.h>

#include "alloc_count.h"
#include "net.h"
#define N_SEQS 12
#include "sequences.h"

#define DIR(name) ILK_TEST_DIR "/fixtures/" name

enum { MAX_DIM = 32, MAX_LABELS = 4 };

static const char *const fixtures[] = {DIR("bert-rerank"),      DIR("roberta-mean"),      DIR("xlmr-rerank"),
                                       DIR("camembert-labels"), DIR("distilbert-labels"), DIR("mpnet-mean"),
                                       DIR("mpnet-rerank"),     DIR("modernbert-rerank"), DIR("modernbert-biases"),
                                       DIR("nomic-mean"),       DIR("nomic-labels"),      DIR("gte-rerank"),
                                       DIR("gte-native")};
#define N_FIXTURES (sizeof fixtures / sizeof *fixtures)

typedef struct result {
    float pooled[N_SEQS * MAX_DIM], logits[N_SEQS * MAX_LABELS], tokens[N_SEQS * MAX_LEN * MAX_DIM];
} result;

/* everything: pooled, tokens and, where there is one, the classifier; or the classifier alone */
static bool run(const test_net *t, ilki_pool *pool, const batch *b, bool head_only, result *r)
{
    size_t n_labels = t->net->tower[0].n_labels;
    ilki_tower_in in = input_of(b);
    ilki_logits head = {.head = "classifier", .out = r->logits, .n_classes = n_labels};
    ilki_tower_out out = {.logits = &head, .n_logits = n_labels ? 1 : 0};
    if (!head_only) {
        out.pooling = ILKI_POOL_MEAN;
        out.pooled = r->pooled;
        out.tokens = r->tokens;
    }
    ilk_error err;
    ilk_error_init(&err);
    return CHECK_OK(test_net_run(t, pool, &in, &out, &err), &err);
}

static void same_bits_of(const char *dir)
{
    static result whole, other;
    test_net t;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, dir, 1, &err), &err));
    size_t dim = t.net->tower[0].dim, n_labels = t.net->tower[0].n_labels;
    batch b = random_batch(7), reversed = {0};
    run(&t, NULL, &b, false, &whole);
    for (size_t i = 0; i < b.n; i++) {
        batch alone = {0};
        add(&alone, b.ids + b.offsets[i], b.offsets[i + 1] - b.offsets[i]);
        run(&t, NULL, &alone, false, &other);
        CHECK_MEM(other.pooled, whole.pooled + i * dim, dim * sizeof(float));
        CHECK_MEM(other.tokens, whole.tokens + b.offsets[i] * dim, alone.offsets[1] * dim * sizeof(float));
        CHECK_MEM(other.logits, whole.logits + i * n_labels, n_labels * sizeof(float));
        size_t k = b.n - 1 - i;
        add(&reversed, b.ids + b.offsets[k], b.offsets[k + 1] - b.offsets[k]);
    }
    for (unsigned threads = 2; threads <= 5; threads += 3) {
        ilki_pool *pool = NULL;
        REQUIRE(CHECK_OK(ilki_base_pool_new(&pool, threads, &err), &err));
        run(&t, pool, &reversed, false, &other);
        for (size_t k = 0; k < b.n; k++) {
            CHECK_MEM(other.pooled + (b.n - 1 - k) * dim, whole.pooled + k * dim, dim * sizeof(float));
            CHECK_MEM(other.logits + (b.n - 1 - k) * n_labels, whole.logits + k * n_labels, n_labels * sizeof(float));
        }
        if (n_labels) { /* the short last layer, where the head reads first tokens */
            memset(other.logits, 0, sizeof other.logits);
            run(&t, pool, &b, true, &other);
            CHECK_MEM(other.logits, whole.logits, b.n * n_labels * sizeof(float));
        }
        ilki_base_pool_free(pool);
    }
    test_net_close(&t);
}

static void same_bits(void)
{
    for (size_t i = 0; i < N_FIXTURES; i++)
        same_bits_of(fixtures[i]);
}

static void nothing_is_allocated(void)
{
    for (size_t i = 0; i < N_FIXTURES; i++) {
        test_net t;
        ilk_error err;
        ilk_error_init(&err);
        if (!CHECK_OK(test_net_open(&t, fixtures[i], 3, &err), &err))
            continue;
        static float pooled[N_SEQS * MAX_DIM], logits[N_SEQS * MAX_LABELS];
        batch b = random_batch(13);
        size_t n_labels = t.net->tower[0].n_labels, n = 0;
        ilki_tower_in in = {.n_seqs = b.n, .n_tokens = b.offsets[b.n], .offsets = b.offsets, .ids = b.ids};
        ilki_logits head = {.head = "classifier", .out = logits, .n_classes = n_labels};
        ilki_tower_out out = {
            .pooling = ILKI_POOL_MEAN, .pooled = pooled, .logits = &head, .n_logits = n_labels ? 1 : 0};
        ilki_ws ws;
        ilki_nn ctx = {.ops = t.rt->ops, .pool = t.rt->pool, .ws = &ws, .err = &err};
        alloc_count_reset();
        CHECK_OK(ilki_models_measure(t.net, 0, &ctx, &in, &out, &n, &err), &err);
        CHECK_INT(alloc_count(), 0);
        void *memory = ilki_base_alloc_aligned(n, 1);
        ilki_base_ws_init(&ws, memory, n);
        alloc_count_reset();
        CHECK_OK(ilki_models_forward(t.net, 0, &ctx, &in, &out), &err);
        CHECK_INT(alloc_count(), 0);
        CHECK(ws.peak == n && ws.used == 0);
        free(memory);
        test_net_close(&t);
    }
}

static int n_warnings;

static void count_warnings(void *user, ilk_log_level level, const char *message)
{
    (void)user;
    (void)message;
    n_warnings += level <= ILK_LOG_WARN;
}

static void every_tensor_is_used(void)
{
    for (size_t i = 0; i < N_FIXTURES; i++) {
        test_net t;
        ilk_error err;
        ilk_error_init(&err);
        n_warnings = 0;
        CHECK_OK(test_net_open_log(&t, fixtures[i], 1, NULL, count_warnings, NULL, &err), &err);
        CHECK_THAT(n_warnings == 0, "%s: %d warnings", fixtures[i], n_warnings);
        test_net_close(&t);
    }
}

static void every_allocation_may_fail(void)
{
    for (size_t i = 0; i < N_FIXTURES; i++) {
        ilki_weights *w = NULL;
        ilki_json *j = NULL;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_open_weights(&w, fixtures[i], "model.safetensors", &err), &err));
        REQUIRE(CHECK_OK(test_read_json(&j, fixtures[i], "config.json", &err), &err));
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
        CHECK(n > 6);
        ilki_format_close(w);
        ilki_base_json_free(j);
    }
}

/* config.json of a fixture with fields changed: the last one of a key wins */
static void config_row(const char *dir, const char *changes, const char *says, ilk_status want)
{
    char *path = ilki_base_path_join(dir, "config.json"), *text = NULL, changed[8192];
    size_t n = 0;
    ilki_json *j = NULL;
    ilki_weights *w = NULL;
    ilki_net *net = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 16, &text, &n, &err), &err));
    char *end = strrchr(text, '}');
    REQUIRE(CHECK(end != NULL && strlen(text) + strlen(changes) < sizeof changed));
    *end = '\0';
    snprintf(changed, sizeof changed, "%s%s}", text, changes);
    CHECK_OK(ilki_base_json_parse(&j, changed, strlen(changed), "config.json", NULL, &err), &err);
    CHECK_OK(test_open_weights(&w, dir, "model.safetensors", &err), &err);
    ilki_model_source src = {.dir = "dir", .config = j, .weights = w, .ops = &ilki_kern_ref};
    ilk_status s = ilki_models_open(&net, &src, &err);
    CHECK_STATUS(s, want, &err);
    CHECK_THAT(s == ILK_OK || strstr(err.message, says), "\"%s\" lacks \"%s\"", err.message, says);
    ilki_models_close(net);
    ilki_format_close(w);
    ilki_base_json_free(j);
    free(text);
    free(path);
}

static void reads_config(void)
{
    static const struct {
        const char *dir, *changes, *says;
        ilk_status status;
    } rows[] = {
        {DIR("roberta-mean"), ",\"hidden_act\":\"mish\"", "hidden_act: expected one of", ILK_UNSUPPORTED},
        {DIR("roberta-mean"), ",\"position_embedding_type\":\"relative_key\"", "position_embedding_type",
         ILK_UNSUPPORTED},
        {DIR("roberta-mean"), ",\"is_decoder\":true", "is_decoder: expected false", ILK_UNSUPPORTED},
        {DIR("roberta-mean"), ",\"pad_token_id\":25", "max_position_embeddings: expected more than", ILK_BAD_FORMAT},
        {DIR("roberta-mean"), ",\"num_attention_heads\":5",
         "hidden_size: expected a multiple of num_attention_heads (5), found 24", ILK_BAD_FORMAT},
        {DIR("xlmr-rerank"), ",\"id2label\":{\"0\":\"a\",\"1\":\"b\"}",
         "tensor classifier.out_proj.weight: expected shape [2, 24]", ILK_BAD_FORMAT},
        {DIR("xlmr-rerank"), ",\"id2label\":null,\"num_labels\":1", "", ILK_OK},
        {DIR("distilbert-labels"), ",\"n_heads\":5", "dim: expected a multiple of n_heads (5), found 24",
         ILK_BAD_FORMAT},
        {DIR("distilbert-labels"), ",\"activation\":\"tanh\"", "activation: expected one of", ILK_UNSUPPORTED},
        {DIR("mpnet-mean"), ",\"relative_attention_num_buckets\":64",
         "relative_attention_num_buckets: expected 32, found 64", ILK_UNSUPPORTED},
        {DIR("modernbert-rerank"), ",\"rope_scaling\":{\"rope_type\":\"yarn\"}", "rope_scaling: expected none",
         ILK_UNSUPPORTED},
        {DIR("modernbert-rerank"), ",\"norm_bias\":true", "norm_bias", ILK_BAD_FORMAT},
        {DIR("modernbert-biases"), ",\"attention_bias\":false", "attention_bias", ILK_BAD_FORMAT},
        {DIR("modernbert-biases"), ",\"mlp_bias\":false", "mlp_bias", ILK_BAD_FORMAT},
        {DIR("modernbert-rerank"), ",\"global_attn_every_n_layers\":0", "global_attn_every_n_layers", ILK_BAD_FORMAT},
        {DIR("modernbert-rerank"), ",\"classifier_pooling\":\"max\"", "classifier_pooling: expected one of cls, mean",
         ILK_UNSUPPORTED},
        {DIR("modernbert-biases"), ",\"layer_types\":[\"full_attention\"]", "layer_types: expected one of each of 3",
         ILK_BAD_FORMAT},
        {DIR("modernbert-biases"), ",\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]",
         "found \"linear_attention\"", ILK_UNSUPPORTED},
        {DIR("modernbert-biases"), ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"yarn\"}}",
         "full_attention: rope_type: expected default, found \"yarn\"", ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"num_experts\":8", "num_experts: expected none", ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"rotary_scaling_factor\":2", "rotary_scaling_factor: expected none", ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"prenorm\":true", "prenorm: expected none", ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"qkv_proj_bias\":true", "qkv_proj_bias: expected none", ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"rotary_emb_fraction\":0.5", "rotary_emb_fraction: expected 1, found 0.5",
         ILK_UNSUPPORTED},
        {DIR("nomic-mean"), ",\"activation_function\":\"gelu\"", "activation_function: expected one of swiglu",
         ILK_UNSUPPORTED},
        {DIR("nomic-labels"), ",\"head_dim\":4", "head_dim: expected", ILK_UNSUPPORTED},
        {DIR("nomic-labels"), ",\"num_attention_heads\":16,\"head_dim\":1", "expected heads of an even width",
         ILK_BAD_FORMAT},
        {DIR("nomic-labels"), ",\"rope_parameters\":{\"rope_type\":\"dynamic\"}", "rope_type: expected default",
         ILK_UNSUPPORTED},
        {DIR("gte-rerank"), ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}",
         "rope_scaling: type: expected one of ntk", ILK_UNSUPPORTED},
        {DIR("gte-rerank"), ",\"rope_scaling\":{\"type\":\"ntk\",\"factor\":2,\"mixed_b\":1}", "mixed_b",
         ILK_UNSUPPORTED},
        {DIR("gte-rerank"), ",\"rope_scaling\":{\"type\":\"ntk\"}", "rope_scaling: factor", ILK_BAD_FORMAT},
        {DIR("gte-rerank"), ",\"logn_attention_scale\":true", "logn_attention_scale: expected none", ILK_UNSUPPORTED},
        {DIR("gte-rerank"), ",\"layer_norm_type\":\"rms_norm\"", "layer_norm_type: expected one of layer_norm",
         ILK_UNSUPPORTED},
        {DIR("gte-rerank"), ",\"position_embedding_type\":\"absolute\"",
         "position_embedding_type: expected one of rope", ILK_UNSUPPORTED},
        {DIR("gte-native"), ",\"type_vocab_size\":1", "type_vocab_size: expected as the weights have it (no table)",
         ILK_BAD_FORMAT},
        {DIR("gte-rerank"), ",\"type_vocab_size\":0", "token_type_embeddings.weight: expected shape [0, 24]",
         ILK_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        config_row(rows[i].dir, rows[i].changes, rows[i].says, rows[i].status);
}

/* Lengths: rows of a table bound them, less pad_token_id + 1; rotary positions do not. */
static void lengths(void)
{
    static const struct {
        const char *dir;
        uint32_t max, usual;
    } rows[] = {{DIR("bert-rerank"), 24, 0},       {DIR("roberta-mean"), 24, 0}, {DIR("mpnet-mean"), 160, 0},
                {DIR("modernbert-rerank"), 0, 64}, {DIR("nomic-mean"), 0, 64},   {DIR("gte-native"), 0, 64}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_net t;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_net_open(&t, rows[i].dir, 1, &err), &err));
        CHECK_INT(t.net->tower[0].max_tokens, rows[i].max);
        CHECK_INT(t.net->tower[0].usual_tokens, rows[i].usual);
        static int32_t ids[170];
        static float pooled[MAX_DIM];
        uint32_t n = rows[i].max ? rows[i].max : 165, offsets[2] = {0, n};
        ilki_tower_in in = {.n_seqs = 1, .n_tokens = n, .offsets = offsets, .ids = ids};
        ilki_tower_out out = {.pooling = ILKI_POOL_CLS, .pooled = pooled};
        for (uint32_t k = 0; k < 170; k++)
            ids[k] = 2 + (int32_t)k % 100;
        CHECK_OK(test_net_run(&t, NULL, &in, &out, &err), &err);
        in.n_tokens = ++offsets[1];
        CHECK_STATUS(test_net_run(&t, NULL, &in, &out, &err), rows[i].max ? ILK_LIMIT : ILK_OK, &err);
        test_net_close(&t);
    }
}

/* Families without a table of types, or whose tokenizers give none, read none; the others do. */
static void types(void)
{
    static const struct {
        const char *dir;
        bool read;
    } rows[] = {{DIR("bert-rerank"), true}, {DIR("nomic-mean"), true},  {DIR("xlmr-rerank"), false},
                {DIR("gte-rerank"), false}, {DIR("mpnet-mean"), false}, {DIR("camembert-labels"), false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_net t;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_net_open(&t, rows[i].dir, 1, &err), &err));
        float plain[MAX_DIM], typed[MAX_DIM];
        int32_t ids[] = {2, 70, 80, 3}, list[] = {0, 0, 1, 1};
        uint32_t offsets[] = {0, 4};
        ilki_tower_in in = {.n_seqs = 1, .n_tokens = 4, .offsets = offsets, .ids = ids};
        ilki_tower_out out = {.pooling = ILKI_POOL_MEAN, .pooled = plain};
        CHECK_OK(test_net_run(&t, NULL, &in, &out, &err), &err);
        in.types = list;
        out.pooled = typed;
        CHECK_OK(test_net_run(&t, NULL, &in, &out, &err), &err);
        CHECK((memcmp(plain, typed, t.net->tower[0].dim * sizeof(float)) != 0) == rows[i].read);
        test_net_close(&t);
    }
}

static void heads(void)
{
    static const struct {
        const char *dir, *head, *says;
        size_t n_classes;
    } rows[] = {
        {DIR("roberta-mean"), "classifier",
         "roberta: expected a head of this checkpoint (pooler), found \"classifier\"", 1},
        {DIR("bert-rerank"), "lm", "bert: expected a head of this checkpoint (pooler, classifier), found \"lm\"", 1},
        {DIR("xlmr-rerank"), "pooler", "roberta: expected a head of this checkpoint (classifier), found \"pooler\"", 1},
        {DIR("nomic-mean"), "pooler", "nomic_bert: expected a head of this checkpoint (it has none), found \"pooler\"",
         1},
        {DIR("distilbert-labels"), "classifier", "distilbert: classifier: expected all 3 classes, found 1", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_net t;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_net_open(&t, rows[i].dir, 1, &err), &err));
        float out_of_head[MAX_DIM];
        int32_t ids[] = {2, 3};
        uint32_t offsets[] = {0, 2};
        ilki_tower_in in = {.n_seqs = 1, .n_tokens = 2, .offsets = offsets, .ids = ids};
        ilki_logits l = {.head = rows[i].head, .out = out_of_head, .n_classes = rows[i].n_classes};
        ilki_tower_out out = {.logits = &l, .n_logits = 1};
        CHECK_STATUS(test_net_run(&t, NULL, &in, &out, &err), ILK_UNSUPPORTED, &err);
        CHECK_STR(err.message, rows[i].says);
        test_net_close(&t);
    }
    /* the tensors of a head for tokens have the same names: the class says what they are */
    ilki_json *j = NULL;
    ilki_weights *w = NULL;
    ilki_net *net = NULL;
    ilk_error err;
    ilk_error_init(&err);
    static const char config[] =
        "{\"model_type\":\"bert\",\"architectures\":[\"BertForTokenClassification\"],\"num_labels\":1,\"vocab_size\":148,"
        "\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":40,"
        "\"max_position_embeddings\":24}";
    CHECK_OK(ilki_base_json_parse(&j, config, strlen(config), "config.json", NULL, &err), &err);
    REQUIRE(CHECK_OK(test_open_weights(&w, DIR("bert-rerank"), "model.safetensors", &err), &err));
    ilki_model_source src = {.dir = "dir", .config = j, .weights = w, .ops = &ilki_kern_ref};
    if (CHECK_OK(ilki_models_open(&net, &src, &err), &err))
        CHECK_INT(net->tower[0].n_labels, 0);
    ilki_models_close(net);
    ilki_format_close(w);
    ilki_base_json_free(j);
}

TEST_MAIN({"same_bits", same_bits}, {"nothing_is_allocated", nothing_is_allocated},
          {"every_tensor_is_used", every_tensor_is_used}, {"every_allocation_may_fail", every_allocation_may_fail},
          {"reads_config", reads_config}, {"lengths", lengths}, {"types", types}, {"heads", heads})
