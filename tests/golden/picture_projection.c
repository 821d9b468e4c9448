/* SPDX-License-Identifier: Apache-2.0
 * Projections behind a model against sentence-transformers' Dense module (tools/make_projection_goldens.py): as a folder, as a
 * file of weights, behind texts and pictures; and what is refused. */
#include "embed/state.h"
#include "net.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures"
#define P        FIXTURES "/projection"

static ilk_runtime *open_runtime(void)
{
    ilk_runtime_options opt;
    ilk_runtime *rt = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.media_helper = ILK_TEST_MEDIA;
    CHECK_OK(ilk_runtime_open(&rt, &opt, &err), &err);
    return rt;
}

static ilk_model *open_model(ilk_runtime *rt, const char *where, const char *projection, ilk_status want,
                             const char *says)
{
    ilk_model *m = NULL;
    ilk_model_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&opt);
    opt.projection = projection;
    if (CHECK_STATUS(ilk_model_open(&m, rt, where, &opt, &err), want, &err) && says)
        CHECK_THAT(strstr(err.message, says) != NULL, "expected \"%s\" in \"%s\"", says, err.message);
    return m;
}

static void compare(ilk_model *m, const ilki_json *j, const char *name, size_t row, ilk_part part)
{
    float want[64];
    size_t n = 0, dim;
    ilk_input in;
    ilk_vectors *v = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_input_init(&in);
    in.parts = &part;
    in.n_parts = 1;
    ilki_json_node list = ilki_base_json_at(j, ilki_base_json_get(j, ilki_base_json_root(j), name), row);
    for (ilki_json_node i = ilki_base_json_first(j, list); i && n < 64; i = ilki_base_json_next(j, i))
        want[n++] = (float)ilki_base_json_double(j, i, 0);
    REQUIRE(CHECK_OK(ilk_embed(m, &in, 1, NULL, NULL, &v, &err), &err));
    const float *got = ilk_vectors_get_dense(v, 0, &dim);
    if (CHECK(got != NULL) && CHECK_INT(dim, n))
        CHECK_FLOATS(got, want, n, 3e-6, 0);
    ilk_vectors_free(v);
}

static ilk_part part_of(ilk_part_kind kind, ilk_modality modality, const char *s)
{
    ilk_part part;
    ilk_part_init(&part);
    part.kind = kind;
    part.modality = modality;
    part.data = s;
    part.n_bytes = strlen(s);
    return part;
}

static void against_the_module(void)
{
    static const char *const how[][2] = {{FIXTURES "/clip-quick", P "/dense"},
                                         {FIXTURES "/clip-quick", P "/plain.safetensors"},
                                         {FIXTURES "/clip-quick#projection=" P "/dense", NULL}};
    ilki_json *j = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime *rt = open_runtime();
    REQUIRE(rt && CHECK_OK(test_read_json(&j, P, "expected.json", &err), &err));
    ilki_json_node root = ilki_base_json_root(j), texts = ilki_base_json_get(j, root, "texts");
    for (size_t k = 0; k < 3; k++) {
        ilk_model *m = open_model(rt, how[k][0], how[k][1], ILK_OK, NULL);
        if (!m)
            continue;
        CHECK(m->info.dim == 32 && m->info.normalized && !m->info.compare_by && m->info.projection);
        CHECK_STR(m->info.similarity, "cosine");
        CHECK(strstr(m->info.id, "clip-quick#projection=" P) && strstr(m->info.notes, "20 to 32 entries"));
        for (size_t i = 0; i < 2; i++)
            compare(m, j, "clip_texts", i,
                    part_of(ILK_PART_TEXT, ILK_TEXT, ilki_base_json_string(j, ilki_base_json_at(j, texts, i), NULL)));
        compare(m, j, "clip_picture", 0,
                part_of(ILK_PART_PATH, ILK_IMAGE, FIXTURES "/picture-eval/classes/bare_wall/0.png"));
        ilk_model_close(m);
    }
    ilk_model *m = open_model(rt, FIXTURES "/bert-mean", P "/tanh", ILK_OK, NULL);
    for (size_t i = 0; m && i < 2; i++)
        compare(m, j, "bert_texts", i,
                part_of(ILK_PART_TEXT, ILK_TEXT, ilki_base_json_string(j, ilki_base_json_at(j, texts, i), NULL)));
    ilk_model_close(m);
    ilki_base_json_free(j);
    ilk_runtime_close(rt);
}

static void fingerprints(void)
{
    ilk_runtime *rt = open_runtime();
    const char *hex[3] = {NULL, NULL, NULL};
    ilk_model *m[3] = {open_model(rt, FIXTURES "/clip-quick", NULL, ILK_OK, NULL),
                       open_model(rt, FIXTURES "/clip-quick", P "/dense", ILK_OK, NULL),
                       open_model(rt, FIXTURES "/clip-quick", P "/plain.safetensors", ILK_OK, NULL)};
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(ilk_model_get_fingerprint(m[i], NULL, &hex[i], NULL), NULL);
    CHECK(hex[0] && hex[1] && hex[2] && strcmp(hex[0], hex[1]) != 0 && strcmp(hex[1], hex[2]) != 0);
    for (size_t i = 0; i < 3; i++)
        ilk_model_close(m[i]);
    ilk_runtime_close(rt);
}

/* A copy of dense/ with something put in place of a file. */
static char *broken(const char *name, const char *text, size_t n)
{
    char *top = tree_new(), *bytes = NULL;
    const char *const files[] = {"config.json", "model.safetensors"};
    size_t len = 0;
    for (size_t i = 0; i < 2; i++) {
        TREE_NEED(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(P "/dense", "%s", files[i]), 1 << 20, &bytes,
                                      &len, NULL) == ILK_OK);
        tree_write(tree_path(top, "%s", files[i]), bytes, len);
        free(bytes);
    }
    tree_write(tree_path(top, "%s", name), text, n);
    return top;
}

static void refusals(void)
{
    static const struct {
        const char *name, *text;
        ilk_status status;
        const char *says;
    } cases[] = {
        {"config.json", "{\"in_features\": 21, \"out_features\": 32}", ILK_MISMATCH,
         "in_features 21, but what comes in has 20"},
        {"config.json", "{\"in_features\": 20, \"out_features\": 31}", ILK_BAD_FORMAT,
         "linear.weight: expected [31, 20], found [32, 20]"},
        {"config.json", "{", ILK_BAD_FORMAT, "config.json"},
        {"model.safetensors", "junk", ILK_BAD_FORMAT, "model.safetensors"},
        {"ilk.json", "{\"target\": {\"fingerprint\": \"abc\"}}", ILK_BAD_FORMAT,
         "target.fingerprint: expected 64 hexadecimal"},
        {"ilk.json", "[", ILK_BAD_FORMAT, "ilk.json"},
        {"ilk.json", "{\"target\": 3, \"source\": {\"model\": 7}}", ILK_OK, NULL},
    };
    ilk_runtime *rt = open_runtime();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *top = broken(cases[i].name, cases[i].text, strlen(cases[i].text));
        ilk_model_close(open_model(rt, FIXTURES "/clip-quick", top, cases[i].status, cases[i].says));
        tree_free(top);
    }
    open_model(rt, FIXTURES "/clip-quick", "/nowhere", ILK_NOT_FOUND, "projection: ");
    open_model(rt, FIXTURES "/bert-mean", P "/dense", ILK_MISMATCH, "in_features 20, but what comes in has 32");
    open_model(rt, FIXTURES "/bert-mean", P "/plain.safetensors", ILK_MISMATCH,
               "linear.weight: expected [out, 32], 32 being what comes in, found [32, 20]");
    open_model(rt, FIXTURES "/bert-mean", FIXTURES "/bert-mean/model.safetensors", ILK_BAD_FORMAT,
               "linear.weight: expected [out, 32], 32 being what comes in, found nothing");
    open_model(rt, FIXTURES "/clip-quick#projection=" P "/dense", P "/dense", ILK_BAD_ARGUMENT,
               "found another beside it");
    ilk_runtime_close(rt);
}

TEST_MAIN({"against the module", against_the_module}, {"fingerprints", fingerprints}, {"refusals", refusals})
