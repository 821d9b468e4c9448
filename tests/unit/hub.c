/* SPDX-License-Identifier: Apache-2.0
 * Lists of the hub: which paths are safe, which files are chosen. The program against a whole hub: tests/cli/cases_pull.py. */
#include "net/hub.h"

#include "base/buf.h"
#include "test.h"

static void paths(void)
{
    static const char *const good[] = {"a", "a/b", ".a", "..a", "a..", "a/.b/c", "\xc3\xa9", "a b"};
    static const char *const bad[] = {"",    "/",    "/a",     "a/",   "a//b", ".",    "..",    "./a",
                                      "a/.", "a/..", "a/../b", "../a", "a\\b", "a\nb", "a\x7f", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_THAT(ilki_net_hub_is_path(good[i], strlen(good[i])), "\"%s\" is a path", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_THAT(!ilki_net_hub_is_path(bad[i], strlen(bad[i])), "\"%s\" is no path", bad[i]);
    CHECK(!ilki_net_hub_is_path("a\0b", 3));
    char part[300];
    memset(part, 'x', sizeof part);
    CHECK(ilki_net_hub_is_path(part, 255));
    CHECK(!ilki_net_hub_is_path(part, 256));
}

/* What is chosen of files whose names stand between blanks, in the root and the folder "m". */
static void check_choice(const char *names, const char *want)
{
    ilki_buf b, got;
    ilki_hub_model *m = NULL;
    const char *index;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&b, 1 << 16);
    ilki_base_buf_init(&got, 1 << 16);
    ilki_base_buf_adds(&b, "{\"sha\":\"0123456789abcdef0123456789abcdef01234567\",\"siblings\":[");
    for (const char *s = names; *s; s += strspn(s, " ")) {
        ilki_base_buf_addf(&b, "%s{\"rfilename\":\"%.*s\"}", s == names ? "" : ",", (int)strcspn(s, " "), s);
        s += strcspn(s, " ");
    }
    ilki_base_buf_adds(&b, "]}");
    if (CHECK_OK(ilki_net_hub_parse(&m, b.data, b.len, "org/model", &err), &err)) {
        ilki_net_hub_choose(m, "", &index);
        ilki_net_hub_choose(m, "m", NULL);
        for (size_t i = 0; i < m->n_files; i++)
            if (m->files[i].wanted)
                ilki_base_buf_addf(&got, "%s%s", got.len ? " " : "", m->files[i].path);
        CHECK_STR(ilki_base_buf_view(&got), want);
        CHECK_INT(index != NULL, strstr(want, "index.json") != NULL);
    }
    ilki_net_hub_free(m);
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&got);
}

static void choice(void)
{
    check_choice("README.md config.json vocab.txt onnx/model.onnx model.gguf tf_model.h5", "config.json vocab.txt");
    check_choice("model.safetensors pytorch_model.bin model.safetensors.index.json", "model.safetensors");
    check_choice("pytorch_model.bin model.safetensors.index.json", "model.safetensors.index.json");
    check_choice("pytorch_model.bin rust_model.ot", "pytorch_model.bin");
    check_choice("pytorch_model.bin.index.json", "pytorch_model.bin.index.json");
    check_choice("m/config.json m/model.safetensors m/x/config.json n/config.json",
                 "m/config.json m/model.safetensors");
    check_choice("model.safetensors config.json open_clip_config.json open_clip_model.safetensors",
                 "config.json open_clip_config.json open_clip_model.safetensors");
    check_choice("model.safetensors open_clip_config.json open_clip_model.safetensors preprocessor_config.json",
                 "model.safetensors open_clip_config.json preprocessor_config.json");
    check_choice("spiece.model merges.txt vocab.json sparse_linear.pt optimizer.pt",
                 "merges.txt sparse_linear.pt spiece.model vocab.json");
}

static void quoting(void)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 256);
    ilki_net_add_quoted(&b, "a-Z_0.~/ %?#&\xc3\xa9", "/");
    CHECK_STR(ilki_base_buf_view(&b), "a-Z_0.~/%20%25%3F%23%26%C3%A9");
    ilki_base_buf_reset(&b);
    ilki_net_add_quoted(&b, "refs/pr/1", "");
    CHECK_STR(ilki_base_buf_view(&b), "refs%2Fpr%2F1");
    ilki_base_buf_deinit(&b);
}

TEST_MAIN({"paths", paths}, {"choice", choice}, {"quoting", quoting})
