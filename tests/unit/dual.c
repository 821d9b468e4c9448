/* SPDX-License-Identifier: Apache-2.0
 * What a checkpoint of two towers is refused for: one message each, that names what it is. */
#include "models/model.h"

#include "net.h"

#define FOLDER ILK_TEST_DIR "/fixtures/clip-quick"

/* Opens the fixture with one piece of its config.json replaced; the message is left in err. */
static ilk_status open_with(const char *from, const char *to, ilk_error *err)
{
    test_net t = {0};
    ilki_net *net = NULL;
    char *text = NULL, *changed = NULL, *at;
    size_t n = 0;
    ilk_error_init(err);
    ilk_status s = test_net_open(&t, FOLDER, 1, err);
    if (s == ILK_OK)
        s = ilki_base_read_file(&ilki_base_vfs_posix, FOLDER "/config.json", 1 << 20, &text, &n, err);
    changed = s == ILK_OK ? calloc(1, n + strlen(to) + 1) : NULL;
    at = changed ? strstr(text, from) : NULL;
    if (CHECK_THAT(at, "expected %s in config.json", from)) {
        ilki_json *config = NULL;
        sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        s = ilki_base_json_parse(&config, changed, strlen(changed), "config.json", NULL, err);
        ilki_model_source src = {
            .dir = FOLDER, .config = config, .weights = t.weights, .ops = t.rt->ops, .pool = t.rt->pool, .rt = t.rt};
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

static void expect(const char *from, const char *to, ilk_status status, const char *message)
{
    ilk_error err;
    CHECK_STATUS(open_with(from, to, &err), status, &err);
    CHECK_THAT(strstr(err.message, message), "%s -> %s: expected \"%s\" in \"%s\"", from, to, message, err.message);
}

static void refusals(void)
{
    expect("\"image_size\": 12", "\"image_size\": 13", ILK_BAD_FORMAT,
           "image_size: expected a multiple of patch_size (4), found 13");
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

TEST_MAIN({"refusals", refusals}, {"wrong_inputs", wrong_inputs})
