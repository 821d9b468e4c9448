/* SPDX-License-Identifier: Apache-2.0
 * What a checkpoint of two towers is refused for: one message each, that names what it is. */
#include "models/model.h"

#include "net.h"

#define FOLDER ILK_TEST_DIR "/fixtures/clip-quick"

/* Opens the fixture with one piece of its config.json replaced; the message is left in err. */
static ilk_status open_with(const char *dir, const char *from, const char *to, ilk_error *err)
{
    test_net t = {0};
    ilki_net *net = NULL;
    char *text = NULL, *changed = NULL, *at, path[1024];
    size_t n = 0;
    ilk_error_init(err);
    ilk_status s = test_net_open(&t, dir, 1, err);
    snprintf(path, sizeof path, "%s/config.json", dir);
    if (s == ILK_OK)
        s = ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &text, &n, err);
    changed = s == ILK_OK ? calloc(1, n + strlen(to) + 1) : NULL;
    at = changed ? strstr(text, from) : NULL;
    if (CHECK_THAT(at, "expected %s in config.json", from)) {
        ilki_json *config = NULL;
        sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        s = ilki_base_json_parse(&config, changed, strlen(changed), "config.json", NULL, err);
        ilki_model_source src = {
            .dir = dir, .config = config, .weights = t.weights, .ops = t.rt->ops, .pool = t.rt->pool, .rt = t.rt};
        if (s == ILK_OK)
            s = ilki_models_open(&net, &src, err);
        ilki_models_close(net);
        ilki_base_json_free(config);
    }
    free(text);
    free(changed);
    test_net_close(&t);
    return s;
}

static void expect_of(const char *dir, const char *from, const char *to, ilk_status status, const char *message)
{
    ilk_error err;
    CHECK_STATUS(open_with(dir, from, to, &err), status, &err);
    CHECK_THAT(strstr(err.message, message), "%s -> %s: expected \"%s\" in \"%s\"", from, to, message, err.message);
}

static void expect(const char *from, const char *to, ilk_status status, const char *message)
{
    expect_of(FOLDER, from, to, status, message);
}

static void refusals(void)
{
    expect("\"image_size\": 12", "\"image_size\": 3", ILK_BAD_FORMAT,
           "image_size: expected at least patch_size (4), found 3");
    expect("\"image_size\": 12", "\"image_size\": 15", ILK_OK, "");
    expect("\"image_size\": 12", "\"image_size\": 16", ILK_BAD_FORMAT,
           "vision_model.embeddings.position_embedding.weight: expected shape [17, 18], as config.json has it, found "
           "[10, 18]");
    expect("\"patch_size\": 4", "\"patch_size\": 6", ILK_BAD_FORMAT,
           "patch_embedding.weight: expected shape [18, 108]");
    expect("\"projection_dim\": 20", "\"projection_dim\": 21", ILK_BAD_FORMAT,
           "text_projection.weight: expected shape [21, 16], as config.json has it, found [20, 16]");
    expect("\"image_size\"", "\"hidden_act\": \"mish\", \"image_size\"", ILK_UNSUPPORTED,
           "vision_config: hidden_act: expected one of");
    expect("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", ILK_BAD_FORMAT, "text_model.encoder.layers.2.");
    expect("\"image_size\": 12", "\"num_channels\": 4, \"image_size\": 12", ILK_BAD_FORMAT, "num_channels");
    expect("\"model_type\": \"clip\"", "\"model_type\": \"clip_vision_model\"", ILK_OK, "");
}

static void other_families(void)
{
    expect_of(ILK_TEST_DIR "/fixtures/clip-vision-bare", "\"CLIPVisionModel\"", "\"CLIPVisionModelWithProjection\"",
              ILK_BAD_FORMAT, "tensor visual_projection.weight: expected shape [20, 18], found no tensor of this name");
    const char *dir = ILK_TEST_DIR "/fixtures/siglip-bicubic";
    expect_of(dir, "\"model_type\": \"siglip\"", "\"model_type\": \"siglip2\"", ILK_UNSUPPORTED, "NaFlex");
    expect_of(dir, "\"vision_use_head\": true", "\"vision_use_head\": false", ILK_UNSUPPORTED, "vision_use_head");
    expect_of(dir, "\"image_size\": 12", "\"image_size\": 3", ILK_BAD_FORMAT, "expected at least patch_size (4)");
    expect_of(dir, "\"projection_size\": 18", "\"projection_size\": 17", ILK_BAD_FORMAT, "head.weight: expected shape");
    expect_of(ILK_TEST_DIR "/fixtures/chinese-clip", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3",
              ILK_BAD_FORMAT, "encoder.layer.2.");
}

/* open_clip's config, by what is said of a member that is not built. */
static void open_clip(void)
{
    static const struct {
        const char *config;
        ilk_status status;
        const char *says;
    } rows[] = {
        {"{\"model_cfg\":{\"vision_cfg\":{},\"text_cfg\":{}}}", ILK_BAD_FORMAT,
         "token_embedding.weight: expected it behind a known prefix"},
        {"{\"model_cfg\":{\"vision_cfg\":{\"timm_model_name\":\"x\"},\"text_cfg\":{}}}", ILK_UNSUPPORTED,
         "vision_cfg: timm_model_name: expected none, found \"x\""},
        {"{\"model_cfg\":{\"text_cfg\":{\"hf_model_name\":\"y\"}}}", ILK_UNSUPPORTED,
         "text_cfg: hf_model_name: expected none, found \"y\""},
        {"{\"model_cfg\":{\"vision_cfg\":{\"layers\":[3,4,6,3]}}}", ILK_UNSUPPORTED,
         "found a list, as ResNets have it"},
        {"{\"model_cfg\":{\"vision_cfg\":{\"pool_type\":\"avg\"}}}", ILK_UNSUPPORTED,
         "pool_type: expected tok, found \"avg\""},
        {"{\"model_cfg\":{\"multimodal_cfg\":{}}}", ILK_UNSUPPORTED, "multimodal_cfg: expected none, found one"},
        {"{\"model_cfg\":{\"text_cfg\":{\"pool_type\":\"none\"}}}", ILK_UNSUPPORTED,
         "pool_type: expected one of argmax"},
        {"{\"model_cfg\":{\"text_cfg\":{\"embed_cls\":true}}}", ILK_UNSUPPORTED, "embed_cls: expected none"},
        {"{\"model_cfg\":{\"text_cfg\":{\"mlp_ratio\":-1}}}", ILK_BAD_FORMAT, "mlp_ratio"},
        {"{\"model_cfg\":{\"text_cfg\":{\"width\":510}}}", ILK_BAD_FORMAT,
         "expected a multiple of heads (8), found 510"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_net t = {0};
        ilki_json *config = NULL;
        ilki_net *net = NULL;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(test_net_open(&t, FOLDER, 1, &err), &err));
        REQUIRE(CHECK_OK(ilki_base_json_parse(&config, rows[i].config, strlen(rows[i].config), "c", NULL, &err), &err));
        ilki_model_source src = {
            .dir = "dir", .config = config, .weights = t.weights, .ops = t.rt->ops, .pool = t.rt->pool, .rt = t.rt};
        CHECK_STATUS(ilki_models_open(&net, &src, &err), rows[i].status, &err);
        CHECK_THAT(strstr(err.message, rows[i].says), "expected \"%s\" in \"%s\"", rows[i].says, err.message);
        ilki_base_json_free(config);
        test_net_close(&t);
    }
}

/* A picture of other than the model's rows, and rows where ids belong. */
static void wrong_inputs(void)
{
    test_net t = {0};
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(test_net_open(&t, FOLDER, 1, &err), &err));
    float rows[11 * 48] = {0}, own[20];
    uint32_t offsets[2] = {0, 9};
    ilki_tower_in in = {.n_seqs = 1, .n_tokens = 9, .offsets = offsets, .rows = rows, .row_dim = 48};
    ilki_tower_out out = {.embedded = own};
    CHECK_STATUS(test_net_run_tower(&t, 1, NULL, &in, &out, &err), ILK_MISMATCH, &err);
    CHECK(strstr(err.message, "expected 10 rows (12 x 12 pixels in patches of 4), found 9"));
    CHECK_STATUS(test_net_run_tower(&t, 0, NULL, &in, &out, &err), ILK_MISMATCH, &err);
    in.row_dim = 47;
    CHECK_STATUS(test_net_run_tower(&t, 1, NULL, &in, &out, &err), ILK_MISMATCH, &err);
    int32_t ids[9] = {0};
    in = (ilki_tower_in){.n_seqs = 1, .n_tokens = 9, .offsets = offsets, .ids = ids};
    CHECK_STATUS(test_net_run_tower(&t, 1, NULL, &in, &out, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_OK(test_net_run_tower(&t, 0, NULL, &in, &out, &err), &err);
    CHECK_NEAR(t.net->compare_scale, exp(1.5), 1e-6);
    CHECK_STR(t.net->compare_by, "softmax");
    test_net_close(&t);
}

TEST_MAIN({"refusals", refusals}, {"other_families", other_families}, {"open_clip", open_clip},
          {"wrong_inputs", wrong_inputs})
