/* SPDX-License-Identifier: Apache-2.0
 * Lines of params.txt, and in which of its spellings a folder of open_clip's training is found. That its vectors are the
 * reference's is golden/towers' part. */
#include "embed/training.h"

#include <stdlib.h>
#include <unistd.h>

#include "embed/state.h"
#include "ilk.h"
#include "net.h"
#include "tree.h"

#define RUN ILK_TEST_DIR "/fixtures/openclip-run"

static ilki_trained parse(const char *text, ilk_status status, const char *says)
{
    ilki_trained t;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_embed_read_training(&t, text, strlen(text), &err), status, &err);
    CHECK_THAT(!says || strstr(err.message, says), "expected \"%s\" in \"%s\"", says, err.message);
    return t;
}

static void lines(void)
{
    ilki_trained t = parse("batch_size: 64\nforce_quick_gelu: True\nimage_mean: [0.1, 0.2, 3]\nimage_std: None\n"
                           "train_data: model: x\nmodel: ViT-B/32\r\npretrained: \nforce_image_size: [336]\n"
                           "image_interpolation: bilinear\nimage_resize_mode: squash\nmodelling: x",
                           ILK_OK, NULL);
    CHECK_STR(t.model, "ViT-B-32");
    CHECK_STR(t.pretrained, "");
    CHECK_STR(t.interpolation, "bilinear");
    CHECK_STR(t.resize_mode, "squash");
    CHECK(t.quick_gelu && t.has_mean && !t.has_std && t.image_size == 336);
    CHECK_NEAR(t.mean[2], 3, 0);
    t = parse("model: A\nforce_image_size: (224, 224)", ILK_BAD_FORMAT,
              "force_image_size: expected the side of a square");
    t = parse("force_image_size: [224, 224]\nmodel: A", ILK_OK, NULL);
    CHECK_INT(t.image_size, 224);
    t = parse("force_image_size: None\nmodel: A\nimage_mean: None", ILK_OK, NULL);
    CHECK(t.image_size == 0 && !t.has_mean && !t.quick_gelu);
    parse("", ILK_BAD_FORMAT, "expected a line \"model: NAME\"");
    parse("model:\nmodel: None\n", ILK_BAD_FORMAT, "expected a line \"model: NAME\"");
    parse("model: A\nforce_quick_gelu: yes", ILK_BAD_FORMAT, "force_quick_gelu: expected True or False, found \"yes\"");
    parse("model: A\nforce_image_size: [224, 225]", ILK_BAD_FORMAT, "found \"[224, 225]\"");
    parse("model: A\nforce_image_size: 2.5", ILK_BAD_FORMAT, "side of a square");
    parse("model: A\nforce_image_size: 1000000", ILK_BAD_FORMAT, "side of a square");
    parse("model: A\nforce_image_size: [\"a\"]", ILK_BAD_FORMAT, "side of a square");
    parse("model: A\nimage_mean: [1, 2]", ILK_BAD_FORMAT, "image_mean: expected three numbers");
    parse("model: A\nimage_std: [1, 2, 3, 4]", ILK_BAD_FORMAT, "image_std: expected three numbers");
    parse("model: 0123456789012345678901234567890123456789012345678901234567890123456789", ILK_BAD_FORMAT,
          "model: expected a shorter word");
}

typedef struct place {
    char *top;
    ilk_runtime *rt;
} place;

static void put(const char *top, const char *name, const char *text)
{
    tree_put(tree_path(top, "%s", name), text);
}

/* top/run with the fixture's files; `params` as its params.txt, NULL: none. */
static bool make_place(place *p, const char *params)
{
    static const char *const names[] = {"vocab.json", "merges.txt", "tokenizer_config.json"};
    ilk_error err;
    ilk_error_init(&err);
    p->top = tree_new();
    TREE_NEED(mkdir(tree_path(p->top, "run"), 0700) == 0 && mkdir(tree_path(p->top, "run/checkpoints"), 0700) == 0);
    for (size_t i = 0; i < 3; i++) {
        char *to = strdup(tree_path(p->top, "run/%s", names[i]));
        TREE_NEED(to && symlink(tree_path(RUN, "%s", names[i]), to) == 0);
        free(to);
    }
    TREE_NEED(symlink(RUN "/checkpoints/epoch_10.pt", tree_path(p->top, "run/checkpoints/epoch_2.pt")) == 0);
    if (params)
        put(p->top, "run/params.txt", params);
    return CHECK_OK(ilk_runtime_open(&p->rt, NULL, &err), &err);
}

static void end_place(place *p)
{
    ilk_runtime_close(p->rt);
    tree_free(p->top);
}

/* Opens top/BELOW; `weights`: which it reads, or what the error says. */
static void expect(const place *p, const char *below, ilk_status status, const char *weights)
{
    ilk_model *m = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilk_model_open(&m, p->rt, tree_path(p->top, "%s", below), NULL, &err), status, &err);
    if (m) {
        CHECK_STR(m->weights_path, weights);
        CHECK_STR(m->dir, tree_path(p->top, "%s", strcmp(below, "run/") == 0 ? below : "run"));
    } else {
        CHECK_THAT(strstr(err.message, weights), "%s: expected \"%s\" in \"%s\"", below, weights, err.message);
    }
    ilk_model_close(m);
}

#define PARAMS "model: ViT-H-14\nforce_quick_gelu: True\n"

static void spellings(void)
{
    place p;
    REQUIRE(make_place(&p, PARAMS));
    put(p.top, "run/checkpoints/epoch_1.pt", "older");
    put(p.top, "run/checkpoints/epoch_x.pt", "none");
    put(p.top, "run/checkpoints/tmp.pt", "none");
    put(p.top, "run/checkpoints/epoch_99999999999999999999.pt", "none");
    expect(&p, "run", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/checkpoints/", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/checkpoints", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/checkpoints/epoch_2.pt", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/checkpoints/epoch_1.pt", ILK_UNSUPPORTED, "epoch_1.pt");
    put(p.top, "run/checkpoints/epoch_latest.pt", "newest");
    expect(&p, "run", ILK_UNSUPPORTED, "epoch_latest.pt");
    end_place(&p);
}

static void what_is_missing(void)
{
    place p;
    REQUIRE(make_place(&p, NULL));
    expect(&p, "run/checkpoints/epoch_2.pt", ILK_NOT_FOUND, "epoch_2.pt: tensors tell sizes, not head_width");
    put(p.top, "run/params.txt", "lr: 1\n");
    expect(&p, "run", ILK_BAD_FORMAT, "run: params.txt: expected a line \"model: NAME\"");
    put(p.top, "run/params.txt", "model: RN50\n");
    expect(&p, "run", ILK_UNSUPPORTED, "run/params.txt: model: expected one of open_clip's own ViT, found \"RN50\"");
    put(p.top, "run/params.txt", PARAMS);
    unlink(tree_path(p.top, "run/vocab.json"));
    expect(&p, "run", ILK_NOT_FOUND, "put tokenizer.json, or vocab.json and merges.txt, of a CLIP in the folder");
    unlink(tree_path(p.top, "run/checkpoints/epoch_2.pt"));
    expect(&p, "run", ILK_NOT_FOUND, "run: expected model.safetensors or pytorch_model.bin, found no weights");
    end_place(&p);
}

/* The folder that transformers' Trainer wrote its checkpoints to. */
static void of_a_trainer(void)
{
    place p;
    REQUIRE(make_place(&p, NULL));
    expect(&p, "run/checkpoints", ILK_NOT_FOUND, "run/checkpoints: expected");
    TREE_NEED(mkdir(tree_path(p.top, "out"), 0700) == 0);
    expect(&p, "out", ILK_NOT_FOUND, "out: expected a model's config.json, found none");
    TREE_NEED(mkdir(tree_path(p.top, "out/checkpoint-500"), 0700) == 0);
    TREE_NEED(mkdir(tree_path(p.top, "out/checkpoint-1500"), 0700) == 0);
    TREE_NEED(mkdir(tree_path(p.top, "out/checkpoint-9x"), 0700) == 0);
    expect(&p, "out", ILK_NOT_FOUND, "/out/checkpoint-1500");
    end_place(&p);
}

/* A config beside the checkpoints is asked, not params.txt. */
static void a_config(void)
{
    place p;
    REQUIRE(make_place(&p, "model: RN50\n"));
    put(p.top, "run/open_clip_config.json",
        "{\"model_cfg\":{\"embed_dim\":20,\"quick_gelu\":true,\"vision_cfg\":{\"image_size\":12,\"patch_size\":4,"
        "\"layers\":2,\"width\":80,\"head_width\":80,\"mlp_ratio\":0.6},\"text_cfg\":{\"context_length\":16,"
        "\"vocab_size\":774,\"width\":64,\"heads\":1,\"layers\":1,\"mlp_ratio\":0.5}}}");
    expect(&p, "run", ILK_OK, "checkpoints/epoch_2.pt");
    expect(&p, "run/checkpoints/epoch_2.pt", ILK_OK, "checkpoints/epoch_2.pt");
    unlink(tree_path(p.top, "run/params.txt"));
    expect(&p, "run/checkpoints/epoch_2.pt", ILK_OK, "checkpoints/epoch_2.pt");
    end_place(&p);
}

/* open_clip's config and weights beside those of others: timm's config.json has no model_type, transformers' counts only
 * where its weights are there too. */
static void beside_others(void)
{
    static const struct {
        const char *config, *weights;
        ilk_status status;
        const char *says;
    } rows[] = {
        {"{\"architecture\": \"vit_base_patch32_clip_224\"}", "not read", ILK_OK, "open_clip_model.safetensors"},
        {"{\"model_type\": \"clip\"}", NULL, ILK_OK, "open_clip_model.safetensors"},
        {"{\"model_type\": \"clip\"}", "not weights", ILK_LIMIT, "run/model.safetensors"},
        {"{\"architecture\": \"x\", \"model_type\": \"clip\"}", "not weights", ILK_LIMIT, "run/model.safetensors"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        place p;
        REQUIRE(make_place(&p, NULL));
        for (size_t k = 0; k < 2; k++) {
            const char *name = k ? "open_clip_model.safetensors" : "open_clip_config.json";
            char *to = strdup(tree_path(p.top, "run/%s", name));
            TREE_NEED(to && symlink(tree_path(ILK_TEST_DIR, "fixtures/openclip-quick/%s", name), to) == 0);
            free(to);
        }
        put(p.top, "run/config.json", rows[i].config);
        if (rows[i].weights)
            put(p.top, "run/model.safetensors", rows[i].weights);
        expect(&p, "run", rows[i].status, rows[i].says);
        end_place(&p);
    }
}

TEST_MAIN({"lines", lines}, {"spellings", spellings}, {"what_is_missing", what_is_missing},
          {"of_a_trainer", of_a_trainer}, {"a_config", a_config}, {"beside_others", beside_others})
