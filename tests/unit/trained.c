/* SPDX-License-Identifier: Apache-2.0
 * What is told of a checkpoint without a config: sizes by its tensors, the rest by the model's name. */
#include "models/trained.h"

#include "net.h"

#define RUN ILK_TEST_DIR "/fixtures/openclip-run/checkpoints"

typedef struct told {
    ilki_json *j;
    ilk_error err;
} told;

static told tell(const char *dir, const char *file, const ilki_trained *params, ilk_status status)
{
    told t = {0};
    ilki_weights *w = NULL;
    ilk_error_init(&t.err);
    if (CHECK_OK(test_open_weights(&w, dir, file, &t.err), &t.err))
        CHECK_STATUS(ilki_models_config_of_trained(&t.j, params, w, "folder", &t.err), status, &t.err);
    CHECK((t.j != NULL) == (status == ILK_OK));
    ilki_format_close(w);
    return t;
}

/* model_cfg.vision_cfg.width and the like; -1: not there */
static double number(const told *t, const char *path)
{
    char part[32];
    ilki_json_node at = ilki_base_json_root(t->j);
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, ".");
        snprintf(part, sizeof part, "%.*s", (int)n, p);
        at = ilki_base_json_get(t->j, at, part);
        p += n + (p[n] == '.');
    }
    return ilki_base_json_type(t->j, at) == ILKI_JSON_TRUE ? 1 : ilki_base_json_double(t->j, at, -1);
}

static const char *word(const told *t, const char *section, const char *key)
{
    ilki_json_node in = ilki_base_json_get(t->j, ilki_base_json_root(t->j), section);
    if (strcmp(section, "preprocess_cfg") != 0)
        in = ilki_base_json_get(t->j, in, "text_cfg");
    const char *s = ilki_base_json_string(t->j, ilki_base_json_get(t->j, in, key), NULL);
    return s ? s : "";
}

static void sizes(void)
{
    static const struct {
        const char *path;
        double want;
    } rows[] = {{"model_cfg.embed_dim", 20},
                {"model_cfg.quick_gelu", 1},
                {"model_cfg.vision_cfg.image_size", 12},
                {"model_cfg.vision_cfg.layers", 2},
                {"model_cfg.vision_cfg.width", 80},
                {"model_cfg.vision_cfg.head_width", 80},
                {"model_cfg.vision_cfg.patch_size", 4},
                {"model_cfg.text_cfg.context_length", 16},
                {"model_cfg.text_cfg.width", 64},
                {"model_cfg.text_cfg.heads", 1},
                {"model_cfg.text_cfg.layers", 1},
                {"model_cfg.text_cfg.eos_id", -1}};
    ilki_trained params = {.model = "ViT-H-14-quickgelu"};
    told t = tell(RUN, "epoch_10.pt", &params, ILK_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_THAT(number(&t, rows[i].path) == rows[i].want, "%s: %g", rows[i].path, number(&t, rows[i].path));
    CHECK_INT((int)(number(&t, "model_cfg.vision_cfg.mlp_ratio") * 80), 48); /* as it is read */
    CHECK_INT((int)(number(&t, "model_cfg.text_cfg.mlp_ratio") * 64), 32);
    ilki_base_json_free(t.j);
}

static void names(void)
{
    ilki_trained params = {.model = "ViT-L-14", .pretrained = "laion2b_s32b_b82k", .quick_gelu = true};
    told t = tell(RUN, "epoch_10.pt", &params, ILK_OK);
    ilki_json_node mean = ilki_base_json_get(t.j, ilki_base_json_get(t.j, ilki_base_json_root(t.j), "preprocess_cfg"),
                                             "mean");
    CHECK_NEAR(ilki_base_json_double(t.j, ilki_base_json_at(t.j, mean, 2), 0), 0.5, 0);
    CHECK_STR(word(&t, "preprocess_cfg", "resize_mode"), "shortest");
    CHECK_INT((int)number(&t, "model_cfg.quick_gelu"), 1);
    CHECK_INT((int)number(&t, "model_cfg.vision_cfg.head_width"), 64);
    ilki_base_json_free(t.j);
    params = (ilki_trained){
        .model = "ViT-H-14-378", .pretrained = "dfn5b", .image_size = 15, .interpolation = "bilinear"};
    t = tell(RUN, "epoch_10.pt", &params, ILK_OK);
    CHECK_STR(word(&t, "preprocess_cfg", "resize_mode"), "squash");
    CHECK_STR(word(&t, "preprocess_cfg", "interpolation"), "bilinear");
    CHECK_INT((int)number(&t, "model_cfg.vision_cfg.image_size"), 15);
    CHECK_INT((int)number(&t, "model_cfg.quick_gelu"), -1);
    ilki_base_json_free(t.j);
    params = (ilki_trained){.model = "ViT-L-14-worldwide", .pretrained = "dfn5b", .resize_mode = "longest"};
    t = tell(RUN, "epoch_10.pt", &params, ILK_OK);
    CHECK_STR(word(&t, "preprocess_cfg", "resize_mode"), "longest");
    CHECK_STR(word(&t, "model_cfg", "pool_type"), "eos");
    CHECK_INT((int)number(&t, "model_cfg.text_cfg.eos_id"), 1);
    ilki_base_json_free(t.j);
}

static void expect(const char *dir, const char *file, const ilki_trained *params, ilk_status status, const char *says)
{
    told t = tell(dir, file, params, status);
    CHECK_THAT(strstr(t.err.message, says), "expected \"%s\" in \"%s\"", says, t.err.message);
    ilki_base_json_free(t.j);
}

static void refusals(void)
{
    ilki_trained params = {.model = "EVA02-B-16"};
    expect(RUN, "epoch_10.pt", NULL, ILK_NOT_FOUND,
           "a file open_clip_config.json beside it, like {\"model_cfg\":{\"embed_dim\":20,");
    expect(RUN, "epoch_10.pt", &params, ILK_UNSUPPORTED,
           "folder/params.txt: model: expected one of open_clip's own ViT, found \"EVA02-B-16\"");
    params = (ilki_trained){.model = "ViT-B-32", .image_size = 16};
    expect(RUN, "epoch_10.pt", &params, ILK_MISMATCH, "force_image_size: expected 3 patches of 4 in a row");
    expect(ILK_TEST_DIR "/fixtures/clip-quick", "model.safetensors", &params, ILK_UNSUPPORTED,
           "model.safetensors: expected one tensor visual.class_embedding, as open_clip's own ViT have it, found 0");
}

TEST_MAIN({"sizes", sizes}, {"names", names}, {"refusals", refusals})
