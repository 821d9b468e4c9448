/* SPDX-License-Identifier: Apache-2.0
 * Every folder of tests/fixtures that holds a golden.json (tools/make_goldens.py) against the reference, stage by
 * stage, so that a drift has an address. A new folder needs no line here. ILK_TEST_FIXTURES names another folder of
 * folders instead (golden/minilm-reference makes one). */
#include "net.h"
#include "nn/layers.h"
#include "stages.h"

#define LOGITS_ABS 1e-5 /* of the order of one as well; what users are promised is 1e-4 */

typedef struct golden {
    test_net t;
    ilki_weights *w;
    ilki_json *j;
    unsigned pooling;
} golden;

static float *read_golden(const golden *g, const char *kind, size_t text, size_t *n)
{
    numbers to = read_numbers(g->w, kind, (int)text);
    *n = to.n;
    return to.x;
}

static unsigned read_pooling(const ilki_json *j)
{
    static const struct {
        const char *name;
        unsigned mode;
    } modes[] = {{"cls", ILKI_POOL_CLS},
                 {"max", ILKI_POOL_MAX},
                 {"mean", ILKI_POOL_MEAN},
                 {"mean_sqrt_len", ILKI_POOL_MEAN_SQRT},
                 {"weightedmean", ILKI_POOL_WEIGHTED},
                 {"lasttoken", ILKI_POOL_LAST}};
    unsigned got = 0;
    ilki_json_node list = ilki_base_json_get(j, ilki_base_json_root(j), "pooling");
    for (ilki_json_node v = ilki_base_json_first(j, list); v; v = ilki_base_json_next(j, v))
        for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
            if (strcmp(ilki_base_json_string(j, v, NULL), modes[i].name) == 0)
                got |= modes[i].mode;
    return got;
}

static bool open_golden(golden *g, const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    *g = (golden){0};
    if (!CHECK_OK(test_read_json(&g->j, dir, "golden.json", &err), &err) ||
        !CHECK_OK(test_open_weights(&g->w, dir, "golden.safetensors", &err), &err) ||
        !CHECK_OK(test_net_open(&g->t, dir, 2, &err), &err))
        return false;
    g->pooling = read_pooling(g->j);
    return CHECK(g->pooling != 0);
}

static void close_golden(golden *g)
{
    test_net_close(&g->t);
    ilki_format_close(g->w);
    ilki_base_json_free(g->j);
}

/* The stages of one text, in order; the first that differs is the address. */
static void check_text(const golden *g, size_t text)
{
    const ilki_tower_info *tower = &g->t.net->tower[0];
    size_t n = 0, n_hidden = 0, n_pooled = 0, n_pooler = 0, dim = tower->dim;
    float *ids = read_golden(g, "ids", text, &n), *hidden = read_golden(g, "hidden", text, &n_hidden);
    float *pooled = read_golden(g, "pooled", text, &n_pooled), *pooler = read_golden(g, "pooler", text, &n_pooler);
    float *got = calloc(n * dim + 1, sizeof *got), *logits = calloc(dim, sizeof *logits);
    float *vector = calloc(dim * ilki_nn_pool_count(g->pooling), sizeof *vector);
    int32_t list[4096];
    uint32_t offsets[2] = {0, (uint32_t)n};
    ilk_error err;
    ilk_error_init(&err);
    bool ok = CHECK(ids && hidden && pooled && got && n <= 4096 && n_hidden == (tower->n_layers + 1) * n * dim &&
                    n_pooled == dim * ilki_nn_pool_count(g->pooling));
    for (size_t i = 0; ok && i < n; i++)
        list[i] = (int32_t)ids[i];
    ilki_tower_in in = {.n_seqs = 1, .n_tokens = n, .offsets = offsets, .ids = list};
    for (uint32_t k = 0; ok && k <= tower->n_layers; k++) {
        ilki_tower_out out = {.layer = (int32_t)k, .layer_tokens = got};
        ok = CHECK_OK(test_net_run(&g->t, g->t.rt->pool, &in, &out, &err), &err) &&
             is_near(got, hidden + k * n * dim, n * dim, HIDDEN_ABS, HIDDEN_REL, "hidden state", g->t.dir, (int)text,
                     (int)k);
    }
    ilki_logits head = {.head = "pooler", .out = logits, .n_classes = dim};
    ilki_tower_out out = {.pooling = g->pooling, .pooled = vector, .logits = &head, .n_logits = pooler ? 1 : 0};
    ok = ok && CHECK_OK(test_net_run(&g->t, g->t.rt->pool, &in, &out, &err), &err);
    if (ok && is_near(vector, pooled, n_pooled, HIDDEN_ABS, HIDDEN_REL, "pooled", g->t.dir, (int)text, 0)) {
        make_unit(vector, n_pooled);
        make_unit(pooled, n_pooled);
        is_near(vector, pooled, n_pooled, VECTOR_ABS, 0, "unit vector", g->t.dir, (int)text, 0);
    }
    if (ok && pooler)
        is_near(logits, pooler, n_pooler, HIDDEN_ABS, HIDDEN_REL, "pooler", g->t.dir, (int)text, 0);
    free(ids);
    free(hidden);
    free(pooled);
    free(pooler);
    free(got);
    free(logits);
    free(vector);
}

/* Head "classifier" on a pair as the reference's tokenizer gave it. */
static void check_pair(const golden *g, size_t pair)
{
    size_t n = 0, n_types = 0, n_labels = g->t.net->tower[0].n_labels, n_logits = 0;
    float *ids = read_golden(g, "pair", pair, &n), *types = read_golden(g, "types", pair, &n_types);
    float *want = read_golden(g, "logits", pair, &n_logits), *got = calloc(n_labels + 1, sizeof *got);
    int32_t lists[2][4096];
    uint32_t offsets[2] = {0, (uint32_t)n};
    ilk_error err;
    ilk_error_init(&err);
    bool ok = CHECK(ids && types && want && got && n > 0 && n <= 4096 && n == n_types && n_labels == n_logits);
    for (size_t i = 0; ok && i < n; i++) {
        lists[0][i] = (int32_t)ids[i];
        lists[1][i] = (int32_t)types[i];
    }
    ilki_tower_in in = {.n_seqs = 1, .n_tokens = n, .offsets = offsets, .ids = lists[0], .types = lists[1]};
    ilki_logits head = {.head = "classifier", .out = got, .n_classes = n_labels};
    ilki_tower_out out = {.logits = &head, .n_logits = 1};
    if (ok && CHECK_OK(test_net_run(&g->t, g->t.rt->pool, &in, &out, &err), &err))
        is_near(got, want, n_labels, LOGITS_ABS, LOGITS_ABS, "logits", g->t.dir, (int)pair, 0);
    free(ids);
    free(types);
    free(want);
    free(got);
}

/* The same pair through the public call, tokenizer and activation included. */
static void check_score(const golden *g, ilk_model *m, size_t pair, const char *const text[2])
{
    size_t n = 0, n_score = 0;
    float *logit = read_golden(g, "logits", pair, &n), *want = read_golden(g, "score", pair, &n_score);
    float got = 0;
    ilk_part parts[2];
    ilk_input in[2];
    ilk_rerank_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_rerank_options_init(&opt);
    for (size_t i = 0; i < 2; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&in[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].modality = ILK_TEXT;
        parts[i].data = text[i];
        parts[i].n_bytes = strlen(text[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    if (n > 1) {
        CHECK_STATUS(ilk_rerank(m, &in[0], &in[1], 1, NULL, NULL, &got, &err), ILK_UNSUPPORTED, &err);
    } else if (CHECK(logit && want && n_score == 1)) {
        CHECK_OK(ilk_rerank(m, &in[0], &in[1], 1, NULL, NULL, &got, &err), &err);
        is_near(&got, want, 1, LOGITS_ABS, LOGITS_ABS, "score", g->t.dir, (int)pair, 0);
        opt.raw_scores = 1;
        CHECK_OK(ilk_rerank(m, &in[0], &in[1], 1, &opt, NULL, &got, &err), &err);
        is_near(&got, logit, 1, LOGITS_ABS, LOGITS_ABS, "raw score", g->t.dir, (int)pair, 0);
    }
    free(logit);
    free(want);
}

static void check_scores(const golden *g, ilki_json_node pairs)
{
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    if (!pairs || !CHECK_OK(ilk_model_open(&m, g->t.rt, g->t.dir, NULL, &err), &err))
        return;
    size_t i = 0;
    for (ilki_json_node p = ilki_base_json_first(g->j, pairs); p; p = ilki_base_json_next(g->j, p)) {
        ilki_json_node first = ilki_base_json_first(g->j, p);
        const char *const text[2] = {ilki_base_json_string(g->j, first, NULL),
                                     ilki_base_json_string(g->j, ilki_base_json_next(g->j, first), NULL)};
        check_score(g, m, i++, text);
    }
    ilk_model_close(m);
}

/* Ids of the public tokenizer, and the vector behind all modules. */
static void check_vector(const golden *g, ilk_model *m, const ilk_vectors *all, size_t text, const char *s)
{
    ilk_tokens *tokens = NULL;
    ilk_error err;
    ilk_error_init(&err);
    size_t n = 0, n_ids = 0, n_vector = 0, n_got = 0, n_bad = 0;
    float *ids = read_golden(g, "ids", text, &n), *want = read_golden(g, "vector", text, &n_vector);
    if (CHECK(ids && want) && CHECK_OK(ilk_tokenize(m, s, strlen(s), &tokens, &err), &err)) {
        const int32_t *got = ilk_tokens_get_ids(tokens, &n_ids);
        for (size_t i = 0; i < n && i < n_ids; i++)
            n_bad += got[i] != (int32_t)ids[i];
        CHECK_THAT(n_ids == n && n_bad == 0, "%s: text %zu: %zu ids, want %zu; %zu differ", g->t.dir, text, n_ids, n,
                   n_bad);
    }
    const float *got = ilk_vectors_get_dense(all, text, &n_got);
    double length = 0;
    for (size_t i = 0; want && i < n_vector; i++)
        length += (double)want[i] * (double)want[i];
    if (CHECK(got && want && n_got == n_vector))
        is_near(got, want, n_got, VECTOR_ABS * (length > 1 ? sqrt(length) : 1), 0, "vector", g->t.dir, (int)text, 0);
    ilk_tokens_free(tokens);
    free(ids);
    free(want);
}

/* All texts as one batch through the public calls. */
static void check_public(const golden *g, ilki_json_node texts, size_t n)
{
    ilk_part *parts = calloc(n, sizeof *parts);
    ilk_input *in = calloc(n, sizeof *in);
    ilk_model *m = NULL;
    ilk_vectors *all = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilki_json_node text = ilki_base_json_first(g->j, texts);
    for (size_t i = 0; i < n; i++, text = ilki_base_json_next(g->j, text)) {
        ilk_part_init(&parts[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].modality = ILK_TEXT;
        parts[i].data = ilki_base_json_string(g->j, text, &parts[i].n_bytes);
        ilk_input_init(&in[i]);
        in[i].parts = &parts[i];
        in[i].n_parts = 1;
    }
    if (CHECK_OK(ilk_model_open(&m, g->t.rt, g->t.dir, NULL, &err), &err) &&
        CHECK_OK(ilk_embed(m, in, n, NULL, NULL, &all, &err), &err))
        for (size_t i = 0; i < n; i++)
            check_vector(g, m, all, i, parts[i].data);
    ilk_vectors_free(all);
    ilk_model_close(m);
    free(parts);
    free(in);
}

static void check_folder(const char *dir)
{
    golden g;
    size_t n_pairs = 0;
    if (open_golden(&g, dir)) {
        ilki_json_node texts = ilki_base_json_get(g.j, ilki_base_json_root(g.j), "texts");
        size_t n = ilki_base_json_count(g.j, texts);
        CHECK(n > 0);
        for (size_t i = 0; i < n; i++)
            check_text(&g, i);
        n_pairs = ilki_base_json_count(g.j, ilki_base_json_get(g.j, ilki_base_json_root(g.j), "pairs"));
        CHECK((n_pairs > 0) == (g.t.net->tower[0].n_labels > 0));
        for (size_t i = 0; i < n_pairs; i++)
            check_pair(&g, i);
        check_scores(&g, ilki_base_json_get(g.j, ilki_base_json_root(g.j), "pairs"));
        check_public(&g, texts, n);
    }
    close_golden(&g);
}

static void every_fixture(void)
{
    each_golden("golden.json", check_folder, 22);
}

TEST_MAIN({"every_fixture", every_fixture})
