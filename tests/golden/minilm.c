/* SPDX-License-Identifier: Apache-2.0
 * The real all-MiniLM-L6-v2, in the folder that ILK_TEST_MINILM names: published figures of two references.
 *   cosines: sentence-transformers, tests/sentence_transformer/test_pretrained.py (bf16, 1 %)
 *   entries: text-embeddings-inference, backends/candle/tests/snapshots (f32; candle's "gelu" is the tanh form, so the
 *            net is opened again with hidden_act gelu_pytorch_tanh; the exact form is 3e-5 off these figures)
 * Against vectors that the reference computes at test time: golden/minilm-reference. */
#include <stdlib.h>

#include "net.h"
#include "nn/layers.h"
#include "text/tokenizer.h"

enum { DIM = 384, MAX_TOKENS = 256 };

typedef struct minilm {
    test_net t;
    ilki_tokenizer *tok;
    ilki_text_scratch *scratch;
} minilm;

static bool open_minilm(minilm *m, const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    *m = (minilm){.scratch = ilki_text_scratch_new()};
    char *path = ilki_base_path_join(dir, "tokenizer.json"), *text = NULL;
    size_t n = 0;
    bool ok = CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 26, &text, &n, &err), &err);
    ilki_tokenizer_files files = {.tokenizer_json = {text, n, "tokenizer.json"}, .model_type = "bert"};
    ok = ok && CHECK_OK(ilki_text_tokenizer_open(&m->tok, &files, &err), &err) &&
         CHECK_OK(test_net_open(&m->t, dir, 2, &err), &err);
    free(text);
    free(path);
    return ok && CHECK_INT(m->t.net->tower[0].dim, DIM) && CHECK(m->scratch != NULL);
}

/* The same weights with the tanh form of GELU. */
static bool reopen_with_tanh(minilm *m)
{
    static const char text[] = "{\"model_type\":\"bert\",\"hidden_act\":\"gelu_pytorch_tanh\",\"vocab_size\":30522,"
                               "\"hidden_size\":384,\"num_hidden_layers\":6,\"num_attention_heads\":12,"
                               "\"intermediate_size\":1536,\"max_position_embeddings\":512}";
    ilk_error err;
    ilk_error_init(&err);
    ilki_models_close(m->t.net);
    ilki_base_json_free(m->t.config);
    m->t.net = NULL;
    m->t.config = NULL;
    if (!CHECK_OK(ilki_base_json_parse(&m->t.config, text, strlen(text), "config", NULL, &err), &err))
        return false;
    ilki_model_source src = {.dir = m->t.dir,
                             .config = m->t.config,
                             .weights = m->t.weights,
                             .ops = m->t.rt->ops,
                             .pool = m->t.rt->pool,
                             .rt = m->t.rt};
    return CHECK_OK(ilki_models_open(&m->t.net, &src, &err), &err);
}

static void close_minilm(minilm *m)
{
    test_net_close(&m->t);
    ilki_text_tokenizer_free(m->tok);
    ilki_text_scratch_free(m->scratch);
}

/* mean over the tokens, to unit length */
static void embed(minilm *m, const char *text, float v[DIM])
{
    ilki_encode_options opt = {.max_tokens = MAX_TOKENS, .add_specials = true};
    ilki_encoding e = {0};
    ilk_error err;
    ilk_error_init(&err);
    memset(v, 0, DIM * sizeof *v);
    if (CHECK_OK(ilki_text_encode(m->tok, m->scratch, text, strlen(text), &opt, &e, &err), &err)) {
        uint32_t offsets[] = {0, (uint32_t)e.n};
        ilki_tower_in in = {.n_seqs = 1, .n_tokens = e.n, .offsets = offsets, .ids = e.ids, .types = e.types};
        ilki_tower_out out = {.pooling = ILKI_POOL_MEAN, .pooled = v};
        CHECK_OK(test_net_run(&m->t, m->t.rt->pool, &in, &out, &err), &err);
        ilki_ws ws;
        unsigned char memory[1024] __attribute__((aligned(ILKI_ALIGN)));
        ilki_base_ws_init(&ws, memory, sizeof memory);
        ilki_nn ctx = {.ops = m->t.rt->ops, .ws = &ws, .err = &err};
        ilki_nn_normalise(&ctx, v, DIM, 1, DIM);
        CHECK_OK(ctx.status, &err);
    }
    ilki_text_encoding_deinit(&e);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (size_t i = 0; i < DIM; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

static void published_figures(void)
{
    static const struct {
        const char *text;
        double cosine;
    } docs[] = {
        {"Venus is often called Earth's twin because of its similar size and proximity.", .46371},
        {"Mars, known for its reddish appearance, is often referred to as the Red Planet.", .81205},
        {"Jupiter, the largest planet in our solar system, has a prominent red spot.", .72828},
        {"Saturn, famous for its rings, is sometimes mistaken for the Red Planet.", .75051},
    };
    static const float first[] = {-.077885F, -.033265F, .019733F, .007262F};
    const char *dir = getenv("ILK_TEST_MINILM");
    if (!dir || !*dir)
        TEST_SKIP("ILK_TEST_MINILM names no folder of all-MiniLM-L6-v2 (tools/get_minilm.sh prints one)");
    minilm m;
    float a[DIM], b[DIM];
    if (open_minilm(&m, dir)) {
        embed(&m, "Which planet is known as the Red Planet?", a);
        for (size_t i = 0; i < sizeof docs / sizeof *docs; i++) {
            embed(&m, docs[i].text, b);
            CHECK_NEAR(dot(a, b), docs[i].cosine, 0.01 * docs[i].cosine);
        }
        embed(&m, "What is Deep Learning?", a);
        embed(&m, "Deep Learning is...", b);
        CHECK_NEAR(dot(a, b), 0.674649, 1e-6); /* transformers 5.24 */
        if (reopen_with_tanh(&m)) {
            embed(&m, "What is Deep Learning?", a);
            embed(&m, "Deep Learning is...", b);
            CHECK_NEAR(dot(a, b), 0.674376, 1e-6);
            CHECK_FLOATS(a, first, 4, 1e-6, 0);
        }
    }
    close_minilm(&m);
}

TEST_MAIN({"published_figures", published_figures})
