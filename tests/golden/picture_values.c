/* SPDX-License-Identifier: Apache-2.0
 * Golden values of pictures as ilk verify runs them, with rows of a table of this test: what transformers makes of a picture
 * of tests/fixtures/picture-eval with tiny checkpoints (tools/make_picture_evals.py). The published rows take the same way
 * through the same code, with weights and pictures that are not here. */
#include "base/hash.h"
#include "embed/state.h"
#include "net.h"
#include "tasks/goldens.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures"
#define DATA     FIXTURES "/picture-eval"
#define SHOWN    DATA "/classes/bare_wall/0.png"

typedef struct values {
    ilki_json *j;
    ilk_runtime *rt;
    ilk_model *m;
    char sha[65];
    const char *texts[2];
    ilki_golden_picture picture;
    ilki_golden_set set;
    ilki_golden_row row[3];
    char said[4096];
} values;

static void hear(void *user, const ilk_golden *g)
{
    values *v = user;
    size_t n = strlen(v->said);
    snprintf(v->said + n, sizeof v->said - n, "%s: %s\n", g->what,
             g->skipped ? g->skipped
             : g->held  ? "held"
                        : "failed");
}

static void read_row(values *v, int k, ilki_golden_kind kind, ilki_json_node golden, const char *name)
{
    ilki_json_node list = ilki_base_json_get(v->j, golden, name);
    ilki_golden_row *row = &v->row[k];
    *row = (ilki_golden_row){
        .id = "test/row", .set = &v->set, .kind = kind, .tolerance = 2e-5, .source = "transformers"};
    for (ilki_json_node i = ilki_base_json_first(v->j, list); i && row->n < ILKI_GOLDEN_VALUES;
         i = ilki_base_json_next(v->j, i))
        row->v[row->n++] = ilki_base_json_double(v->j, i, 0);
    CHECK(row->n >= 2);
}

static bool open_values(values *v, const char *model, const char *helper)
{
    ilk_runtime_options opt;
    ilk_error err;
    char path[512];
    size_t n;
    char *bytes;
    uint8_t digest[32];
    *v = (values){0};
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.media_helper = helper;
    snprintf(path, sizeof path, FIXTURES "/%s", model);
    if (!CHECK_OK(test_read_json(&v->j, DATA, "expected.json", &err), &err) ||
        !CHECK_OK(ilk_runtime_open(&v->rt, &opt, &err), &err) ||
        !CHECK_OK(ilk_model_open(&v->m, v->rt, path, NULL, &err), &err) ||
        !CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, SHOWN, 1 << 20, &bytes, &n, &err), &err))
        return false;
    ilki_base_sha256(bytes, n, digest);
    ilki_base_hex(digest, sizeof digest, v->sha);
    free(bytes);
    v->picture = (ilki_golden_picture){"0.png", "tests/fixtures/picture-eval", v->sha};
    v->set = (ilki_golden_set){v->texts, 2, &v->picture};
    ilki_json_node root = ilki_base_json_root(v->j),
                   golden = ilki_base_json_get(v->j, ilki_base_json_get(v->j, root, model), "golden"),
                   texts = ilki_base_json_get(v->j, golden, "texts");
    for (size_t i = 0; i < 2; i++)
        v->texts[i] = ilki_base_json_string(v->j, ilki_base_json_at(v->j, texts, i), NULL);
    read_row(v, 0, ILKI_GOLDEN_ENTRIES, golden, "entries");
    read_row(v, 1, ILKI_GOLDEN_LOGIT, golden, "logits");
    read_row(v, 2, ILKI_GOLDEN_PROB, golden, "probs");
    return CHECK(v->texts[0] && v->texts[1]);
}

static void close_values(values *v)
{
    ilk_model_close(v->m);
    ilk_runtime_close(v->rt);
    ilki_base_json_free(v->j);
}

static ilk_golden_result run(values *v, const char *pictures, ilk_model *f32)
{
    ilk_golden_result r;
    ilk_verify_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_golden_result_init(&r);
    ilk_verify_options_init(&opt);
    opt.pictures = pictures;
    opt.each = hear;
    opt.user = v;
    opt.f32 = f32;
    v->said[0] = 0;
    CHECK_OK(ilki_tasks_run_goldens(v->m, &opt, v->row, 3, "test/row", NULL, &r, &err), &err);
    return r;
}

static void hold_and_fail(void)
{
    static const char *const models[] = {"clip-quick", "siglip-bilinear", "chinese-clip"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        values v;
        REQUIRE(open_values(&v, models[i], ILK_TEST_MEDIA));
        ilk_golden_result r = run(&v, DATA "/classes/bare_wall", NULL);
        CHECK_THAT(r.n_held == 9 && !r.n_failed && !r.n_skipped, "%s:\n%s", models[i], v.said);
        r = run(&v, DATA "/classes/bare_wall", v.m); /* and the floor over picture and texts */
        CHECK_THAT(r.n_held == 11 && !r.n_failed, "%s:\n%s", models[i], v.said);
        for (size_t k = 0; k < 3; k++)
            v.row[k].v[1] += 5e-5;
        r = run(&v, DATA "/classes/bare_wall", NULL);
        CHECK_THAT(r.n_held == 6 && r.n_failed == 3, "%s:\n%s", models[i], v.said);
        CHECK(strstr(v.said, "score of 0.png against \"a photo of two dogs at the river\": failed") != NULL);
        close_values(&v);
    }
}

/* Under another name the hash finds it; another picture of its name is none. */
static void found_by_hash(void)
{
    values v;
    char *bytes, *top = tree_new();
    size_t n;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(open_values(&v, "clip-quick", ILK_TEST_MEDIA));
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, SHOWN, 1 << 20, &bytes, &n, &err), &err));
    tree_write(tree_path(top, "0.png"), "no picture", 10);
    ilk_golden_result r = run(&v, top, NULL);
    CHECK(r.n_skipped == 3 && r.n_held == 0 && r.n_failed == 0);
    CHECK_THAT(strstr(v.said, "is tests/fixtures/picture-eval (SHA-256 ") != NULL, "%s", v.said);
    tree_write(tree_path(top, "renamed.bin"), bytes, n);
    r = run(&v, top, NULL);
    CHECK_INT(r.n_held, 9);
    tree_free(top);
    free(bytes);
    close_values(&v);
}

static void reasons(void)
{
    values v;
    ilk_verify_options opt;
    ilk_golden_result r;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(open_values(&v, "clip-quick", ILK_TEST_MEDIA));
    r = run(&v, NULL, NULL);
    CHECK(r.n_skipped == 3 && r.n_held == 0 && strstr(v.said, "does not travel with ilk") != NULL);
    ilk_golden_result_init(&r);
    ilk_verify_options_init(&opt);
    opt.pictures = "/nowhere/at/all";
    CHECK_STATUS(ilki_tasks_run_goldens(v.m, &opt, v.row, 3, "test/row", NULL, &r, &err), ILK_IO, &err);
    CHECK_STATUS(ilki_tasks_run_goldens(v.m, &opt, v.row, 3, "other/row", NULL, &r, &err), ILK_NOT_FOUND, &err);
    close_values(&v);
    REQUIRE(open_values(&v, "clip-quick", "/nowhere/ilk-media"));
    opt.pictures = DATA "/classes/bare_wall";
    CHECK(ilki_tasks_run_goldens(v.m, &opt, v.row, 3, "test/row", NULL, &r, &err) != ILK_OK);
    close_values(&v);
}

static void models_that_see_nothing(void)
{
    values v;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(open_values(&v, "clip-quick", ILK_TEST_MEDIA));
    ilk_model_close(v.m);
    v.m = NULL;
    REQUIRE(CHECK_OK(ilk_model_open(&v.m, v.rt, FIXTURES "/bert-mean", NULL, &err), &err));
    ilk_golden_result r = run(&v, DATA "/classes/bare_wall", NULL);
    CHECK(r.n_skipped == 3 && r.n_held == 0);
    CHECK(strstr(v.said, "the model sees no pictures") && strstr(v.said, "does not compare pictures with texts"));
    close_values(&v);
}

TEST_MAIN({"hold and fail", hold_and_fail}, {"found by hash", found_by_hash}, {"reasons", reasons},
          {"models that see nothing", models_that_see_nothing})
