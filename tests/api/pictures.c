/* SPDX-License-Identifier: Apache-2.0
 * Pictures through the public calls: what is refused, that one bad input costs itself alone, and that a vector has the same
 * bits in any company. Values are golden/towers' part. */
#include <stdlib.h>
#include <unistd.h>

#include "ilk.h"
#include "test.h"
#include "text_part.h"

#define FIXTURES ILK_TEST_DIR "/fixtures/"

enum { SIDE = 12, DIM = 20, ROWS = 9, ROW = 48 };

typedef struct room {
    ilk_runtime *rt;
    ilk_model *m;
    uint8_t pixels[SIDE * SIDE * 3];
    float rows[ROWS * ROW];
} room;

static bool open_under(room *r, const char *name, uint64_t ceiling)
{
    ilk_runtime_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&opt);
    opt.n_threads = 2;
    opt.memory_ceiling_bytes = ceiling;
    opt.media_helper = ILK_TEST_MEDIA;
    *r = (room){0};
    for (size_t i = 0; i < sizeof r->pixels; i++)
        r->pixels[i] = (uint8_t)(i * 7 + i / 36 * 5);
    for (size_t i = 0; i < ROWS * ROW; i++)
        r->rows[i] = (float)(i % 17) / 9 - 1;
    return CHECK_OK(ilk_runtime_open(&r->rt, &opt, &err), &err) &&
           CHECK_OK(ilk_model_open(&r->m, r->rt, name, NULL, &err), &err);
}

static bool open_room(room *r, const char *name)
{
    return open_under(r, name, 0);
}

static void close_room(room *r)
{
    ilk_model_close(r->m);
    ilk_runtime_close(r->rt);
}

static void check_ids(ilk_model *m, const char *text, const char *same)
{
    ilk_tokens *a = NULL, *b = NULL;
    ilk_error err;
    size_t n = 0, k = 0;
    ilk_error_init(&err);
    if (CHECK_OK(ilk_tokenize(m, text, strlen(text), &a, &err), &err) &&
        CHECK_OK(ilk_tokenize(m, same, strlen(same), &b, &err), &err)) {
        const int32_t *x = ilk_tokens_get_ids(a, &n), *y = ilk_tokens_get_ids(b, &k);
        CHECK_THAT(n == k && memcmp(x, y, n * sizeof *x) == 0, "\"%s\": other ids than \"%s\"", text, same);
    }
    ilk_tokens_free(a);
    ilk_tokens_free(b);
}

static ilk_part picture(const room *r)
{
    ilk_part p;
    ilk_part_init(&p);
    p.kind = ILK_PART_PIXELS;
    p.modality = ILK_IMAGE;
    p.data = r->pixels;
    p.n_bytes = sizeof r->pixels;
    p.shape[0] = p.shape[1] = SIDE;
    p.shape[2] = 3;
    return p;
}

static ilk_input input(const ilk_part *parts, size_t n)
{
    ilk_input in;
    ilk_input_init(&in);
    in.parts = parts;
    in.n_parts = n;
    return in;
}

/* One input alone: its status and what is said. */
static void expect(const room *r, const ilk_part *parts, size_t n, ilk_status status, const char *says)
{
    ilk_input in = input(parts, n);
    ilk_vectors *v = NULL;
    const char *message = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilk_embed(r->m, &in, 1, NULL, NULL, &v, &err), &err);
    CHECK_INT(ilk_vectors_get_status(v, 0, &message), status);
    CHECK_THAT(says == NULL || (message && strstr(message, says)), "expected \"%s\" in \"%s\"", says, message);
    ilk_vectors_free(v);
}

static void refusals(void)
{
    room r;
    REQUIRE(open_room(&r, FIXTURES "clip-quick"));
    ilk_part p = picture(&r);
    expect(&r, &p, 1, ILK_OK, NULL);
    p.shape[0] = 11;
    p.n_bytes = 0;
    expect(&r, &p, 1, ILK_OK, NULL); /* another size is resized */
    p.shape[0] = 0;
    expect(&r, &p, 1, ILK_BAD_ARGUMENT, "part 0: pixels: expected height, width and 3 channels, found 0 x 12 x 3");
    p.shape[0] = 65537;
    expect(&r, &p, 1, ILK_BAD_ARGUMENT, "found 65537 x 12 x 3");
    p = picture(&r);
    p.shape[2] = 4;
    expect(&r, &p, 1, ILK_BAD_ARGUMENT, "expected height, width and 3 channels, found 12 x 12 x 4");
    p = picture(&r);
    p.n_bytes--;
    expect(&r, &p, 1, ILK_BAD_ARGUMENT, "expected 432 bytes of 12 x 12 x 3, found 431");
    p = picture(&r);
    p.data = NULL;
    expect(&r, &p, 1, ILK_BAD_ARGUMENT, "picture: data is NULL");
    p = picture(&r);
    p.kind = ILK_PART_PATH;
    p.kind = ILK_PART_SAMPLES;
    expect(&r, &p, 1, ILK_UNSUPPORTED, "found kind 7");
    p.modality = ILK_AUDIO;
    expect(&r, &p, 1, ILK_UNSUPPORTED, "this model reads text and pictures, found modality 3");
    p = picture(&r);
    p.kind = ILK_PART_ROWS;
    p.data = r.rows;
    p.shape[0] = ROWS;
    p.shape[1] = ROW;
    expect(&r, &p, 1, ILK_OK, NULL);
    r.rows[5] = NAN;
    expect(&r, &p, 1, ILK_NOT_FINITE, "rows: expected finite numbers");
    p.shape[0] = ROWS + 1;
    expect(&r, &p, 1, ILK_MISMATCH, "rows: expected 9 x 48, found 10 x 48");
    close_room(&r);
}

/* A tower alone reads its own kind and says so. */
static void one_tower(void)
{
    room r;
    ilk_tokens *tokens = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(open_room(&r, FIXTURES "clip-vision"));
    ilk_part p = picture(&r), t = test_text_part("a cat");
    expect(&r, &p, 1, ILK_OK, NULL);
    expect(&r, &t, 1, ILK_UNSUPPORTED, "this model reads pictures, found text");
    CHECK_STATUS(ilk_tokenize(r.m, "a cat", 5, &tokens, &err), ILK_UNSUPPORTED, &err);
    close_room(&r);
    REQUIRE(open_room(&r, FIXTURES "clip-text"));
    p = picture(&r);
    expect(&r, &t, 1, ILK_OK, NULL);
    expect(&r, &p, 1, ILK_UNSUPPORTED, "this model reads text, found modality 2");
    close_room(&r);
}

/* The good checkpoint with another file of its processor: what opening says. NULL: none. */
static void expect_processor(const char *name, const char *text, ilk_status status, const char *says)
{
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.json", "merges.txt",
                                        "tokenizer_config.json"};
    char dir[] = "/tmp/ilk-pictures-XXXXXX", to[128], from[512];
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    REQUIRE(CHECK(mkdtemp(dir) != NULL));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        snprintf(from, sizeof from, FIXTURES "clip-quick/%s", files[i]);
        CHECK(symlink(from, to) == 0);
    }
    snprintf(to, sizeof to, "%s/%s", dir, name);
    FILE *f = text ? fopen(to, "wb") : NULL;
    CHECK(!text || (f && fputs(text, f) >= 0 && fclose(f) == 0));
    if (CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err)) {
        CHECK_STATUS(ilk_model_open(&m, rt, dir, NULL, &err), status, &err);
        if (m)
            CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
        CHECK_THAT(strstr(m ? info.image_processing : err.message, says), "expected \"%s\" in \"%s\"", says,
                   m ? info.image_processing : err.message);
    }
    ilk_model_close(m);
    ilk_runtime_close(rt);
    unlink(to);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        unlink(to);
    }
    rmdir(dir);
}

static void processors(void)
{
    const char *usual = "preprocessor_config.json";
    expect_processor(usual, NULL, ILK_NOT_FOUND, "expected preprocessor_config.json, found none");
    expect_processor(usual, "{\"size\":24,\"crop_size\":24}", ILK_MISMATCH,
                     "preprocessor_config.json: expected pictures of 12 x 12, the network's, found 24 x 24");
    expect_processor(usual, "{}", ILK_MISMATCH, "found 224 x 224");
    expect_processor(usual, "{\"image_processor_type\":\"ViTImageProcessor\"}", ILK_UNSUPPORTED, "ViTImageProcessor");
    expect_processor(usual, "{\"size\":12,\"do_center_crop\":false}", ILK_OK, "shorter side 12 bicubic (torchvision)");
    expect_processor("processor_config.json", "{\"image_processor\":{\"size\":12,\"crop_size\":12}}", ILK_OK,
                     "shorter side 12 bicubic, centre 12 x 12 (torchvision)");
}

/* 60 inputs, alone and together: texts, pictures, both, two pictures; one of them bad. */
static void company(void)
{
    enum { N = 60, BAD = 13 };
    room r;
    ilk_part parts[N][3];
    ilk_input in[N];
    ilk_vectors *all = NULL, *one = NULL;
    ilk_embed_options opt;
    ilk_error err;
    ilk_error_init(&err);
    ilk_embed_options_init(&opt);
    opt.dim = 12;
    REQUIRE(open_room(&r, FIXTURES "clip-quick"));
    for (size_t i = 0; i < N; i++) {
        parts[i][0] = parts[i][2] = picture(&r);
        parts[i][1] = test_text_part(i % 3 ? "a red cat" : "the dogs at the river");
        in[i] = i % 4 == 0   ? input(&parts[i][1], 1)
                : i % 4 == 1 ? input(&parts[i][0], 1)
                : i % 4 == 2 ? input(&parts[i][0], 3)
                             : input(&parts[i][0], 2);
    }
    parts[BAD][0].shape[1] = 1;
    REQUIRE(CHECK_OK(ilk_embed(r.m, in, N, &opt, NULL, &all, &err), &err));
    for (size_t i = 0; i < N; i++) {
        size_t n = 0;
        REQUIRE(CHECK_OK(ilk_embed(r.m, &in[i], 1, &opt, NULL, &one, &err), &err));
        const float *a = ilk_vectors_get_dense(all, i, &n), *b = ilk_vectors_get_dense(one, 0, &n);
        CHECK_INT(a == NULL, i == BAD);
        double length = 0;
        for (size_t k = 0; a && b && k < n; k++)
            length += (double)a[k] * (double)a[k];
        if (a && b) {
            CHECK_MEM(a, b, n * sizeof *a);
            CHECK_NEAR(length, 1, 1e-5);
            CHECK_INT(n, 12);
        }
        CHECK_INT(ilk_vectors_get_fused(all, i) != 0, i % 4 > 1);
        ilk_vectors_free(one);
    }
    opt.text_share = 1.5f;
    CHECK_STATUS(ilk_embed(r.m, in, N, &opt, NULL, &one, &err), ILK_BAD_ARGUMENT, &err);
    ilk_vectors_free(all);
    close_room(&r);
}

/* A file's vector has the bits of its pixels'; a broken or a missing one costs itself. */
static void files(void)
{
#define FILES FIXTURES "picture-files/"
    static const struct {
        const char *path;
        ilk_status status;
        const char *says;
    } bad[] = {{FILES "png-truncated.png", ILK_BAD_FORMAT, "png-truncated.png: png: truncated"},
               {FILES "png-bomb.png", ILK_LIMIT, "expected at most 89478485 pixels"},
               {FILES "expected.txt", ILK_UNSUPPORTED, "no reader knows it"},
               {FILES "none.png", ILK_NOT_FOUND, "none.png"},
               {FILES, ILK_BAD_FORMAT, "expected a file, found something else"}};
    enum { N_BAD = sizeof bad / sizeof *bad, N = 3 + N_BAD };
    room r;
    ilk_part parts[N];
    ilk_input in[N];
    ilk_vectors *v = NULL;
    ilk_error err;
    uint8_t encoded[4096];
    const char *message = NULL;
    ilk_error_init(&err);
    FILE *f = fopen(FILES "png-pattern.png", "rb");
    REQUIRE(CHECK(f != NULL) && open_room(&r, FIXTURES "clip-quick"));
    parts[0] = parts[1] = parts[2] = picture(&r);
    parts[1].kind = ILK_PART_ENCODED;
    parts[1].data = encoded;
    parts[1].n_bytes = fread(encoded, 1, sizeof encoded, f);
    fclose(f);
    parts[2].kind = ILK_PART_PATH;
    parts[2].data = FILES "png-pattern.png";
    for (size_t i = 0; i < N; i++) {
        if (i >= 3) {
            parts[i] = parts[2];
            parts[i].data = bad[i - 3].path;
        }
        in[i] = input(&parts[i], 1);
    }
    CHECK_OK(ilk_embed(r.m, in, N, NULL, NULL, &v, &err), &err);
    if (v && ilk_vectors_get_status(v, 1, &message) == ILK_UNSUPPORTED) {
        printf("%s\n", message);
        ilk_vectors_free(v);
        close_room(&r);
        TEST_SKIP("this build decodes no PNG");
    }
    for (size_t i = 0; v && i < N; i++) {
        size_t n = 0;
        const float *a = ilk_vectors_get_dense(v, 0, &n), *b = ilk_vectors_get_dense(v, i, &n);
        ilk_status st = ilk_vectors_get_status(v, i, &message), want = i < 3 ? ILK_OK : bad[i - 3].status;
        CHECK_THAT(st == want, "input %zu: status %d: %s", i, (int)st, message);
        if (i >= 3)
            CHECK_THAT(message && strstr(message, bad[i - 3].says), "no \"%s\" in \"%s\"", bad[i - 3].says, message);
        else if (CHECK(a && b))
            CHECK_MEM(a, b, n * sizeof *a);
    }
    ilk_vectors_free(v);
    close_room(&r);
}

/* open_clip's texts are cleaned before they are tokenised, and in a vector as in the list of ids. */
static void cleaned(void)
{
    static const char *const texts[] = {"a &amp;lt; b", "a < b", "a  <\n b"};
    room r;
    if (open_room(&r, FIXTURES "openclip-quick")) {
        ilk_part parts[3];
        ilk_input in[3];
        ilk_vectors *v = NULL;
        ilk_error err;
        ilk_error_init(&err);
        check_ids(r.m, texts[0], texts[1]);
        check_ids(r.m, texts[2], texts[1]);
        for (size_t i = 0; i < 3; i++) {
            parts[i] = test_text_part(texts[i]);
            ilk_input_init(&in[i]);
            in[i].parts = &parts[i];
            in[i].n_parts = 1;
        }
        if (CHECK_OK(ilk_embed(r.m, in, 3, NULL, NULL, &v, &err), &err)) {
            size_t dim = 0;
            const float *x = ilk_vectors_get_dense(v, 0, &dim);
            for (size_t i = 1; i < 3; i++)
                CHECK_MEM(ilk_vectors_get_dense(v, i, NULL), x, dim * sizeof *x);
        }
        ilk_vectors_free(v);
    }
    close_room(&r);
}

/* What a resize works with is counted before it is taken: a row of pixels that is to become 32 of them needs more than the
 * ceiling, and costs itself alone; the next picture has the room again. */
static void ceiling(void)
{
    enum { WIDE = 1 << 16, HIGH = 16, N = 5 };
    static uint8_t wide[WIDE * HIGH * 3];
    room r;
    ilk_part parts[N];
    ilk_input in[N];
    ilk_vectors *v = NULL;
    ilk_error err;
    const char *message = NULL;
    ilk_error_init(&err);
    REQUIRE(open_under(&r, FIXTURES "siglip-bicubic", 2 << 20));
    for (size_t i = 0; i < N; i++) {
        parts[i] = picture(&r);
        if (i % 2) {
            parts[i].data = wide;
            parts[i].n_bytes = sizeof wide;
            parts[i].shape[0] = HIGH;
            parts[i].shape[1] = WIDE;
        }
        in[i] = input(&parts[i], 1);
    }
    CHECK_OK(ilk_embed(r.m, in, N, NULL, NULL, &v, &err), &err);
    for (size_t i = 0; v && i < N; i++) {
        ilk_status st = ilk_vectors_get_status(v, i, &message);
        CHECK_THAT(st == (i % 2 ? ILK_LIMIT : ILK_OK), "input %zu: status %d: %s", i, (int)st, message);
        if (i % 2)
            CHECK_THAT(message && strstr(message, "a picture to be resized needs ") &&
                           strstr(message, "ceiling is 2097152"),
                       "input %zu: \"%s\"", i, message);
    }
    ilk_vectors_free(v);
    close_room(&r);
}

TEST_MAIN({"cleaned", cleaned}, {"ceiling", ceiling}, {"files", files}, {"refusals", refusals},
          {"one_tower", one_tower}, {"processors", processors}, {"company", company})
