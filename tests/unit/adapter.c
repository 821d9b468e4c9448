/* SPDX-License-Identifier: Apache-2.0
 * What an adapter's folder is refused for, told by name. That a good one gives the reference's vectors is golden/towers'
 * part. */
#include "embed/adapter.h"

#include <stdlib.h>
#include <unistd.h>

#include "ilk.h"
#include "net.h"

#define LORA ILK_TEST_DIR "/fixtures/clip-lora"
#define BASE ILK_TEST_DIR "/fixtures/clip-quick"

typedef struct place {
    char dir[64], config[96], weights[96];
} place;

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    bool ok = f && fputs(text, f) >= 0;
    return CHECK(f && fclose(f) == 0 && ok);
}

static bool make_place(place *p, const char *config)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/ilk-adapter-XXXXXX");
    if (!CHECK(mkdtemp(p->dir)))
        return false;
    snprintf(p->config, sizeof p->config, "%s/adapter_config.json", p->dir);
    snprintf(p->weights, sizeof p->weights, "%s/adapter_model.safetensors", p->dir);
    return write_text(p->config, config) && CHECK(symlink(LORA "/adapter_model.safetensors", p->weights) == 0);
}

static void end_place(const place *p)
{
    unlink(p->config);
    unlink(p->weights);
    rmdir(p->dir);
}

static void expect(const char *config, ilk_status status, const char *says)
{
    place p;
    ilki_adapter *a = NULL;
    ilk_error err;
    ilk_error_init(&err);
    if (make_place(&p, config)) {
        CHECK_STATUS(ilki_embed_read_adapter(&a, &ilki_base_vfs_posix, p.dir, &err), status, &err);
        CHECK_THAT(!says || strstr(err.message, says), "%s: expected \"%s\" in \"%s\"", config, says, err.message);
        CHECK((a != NULL) == (status == ILK_OK));
    }
    ilki_embed_free_adapter(a);
    end_place(&p);
}

static void configs(void)
{
    ilki_adapter *a = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_embed_read_adapter(&a, &ilki_base_vfs_posix, BASE, &err), &err);
    CHECK(a == NULL);
    expect("{\"peft_type\": \"LORA\", \"lora_alpha\": 4}", ILK_OK, NULL);
    expect("{\"peft_type\": \"IA3\"}", ILK_UNSUPPORTED, "peft_type: expected LORA, found \"IA3\"");
    expect("{}", ILK_UNSUPPORTED, "peft_type: expected LORA, found \"\"");
    expect("{\"peft_type\": \"LORA\", \"bias\": \"all\"}", ILK_UNSUPPORTED, "bias: expected none, found \"all\"");
    expect("{\"peft_type\": \"LORA\", \"use_dora\": true}", ILK_UNSUPPORTED, "use_dora: expected none");
    expect("{\"peft_type\": \"LORA\", \"modules_to_save\": [\"head\"]}", ILK_UNSUPPORTED, "modules_to_save");
    expect("{\"peft_type\": \"LORA\", \"modules_to_save\": [], \"alpha_pattern\": {}}", ILK_OK, NULL);
    expect("{\"peft_type\": \"LORA\", \"alpha_pattern\": {\"q\": 2}}", ILK_UNSUPPORTED, "alpha_pattern");
    expect("{\"peft_type\": \"LORA\", \"init_lora_weights\": \"pissa\"}", ILK_UNSUPPORTED, "\"pissa\" is not built");
    expect("{\"peft_type\": \"LORA\", \"lora_alpha\": 1e9}", ILK_BAD_FORMAT, "lora_alpha");
    expect("{\"peft_type\": ", ILK_BAD_FORMAT, NULL);
}

/* Adds the good adapter to the weights of a folder. */
static ilk_status merge_into(const char *dir, ilki_weights **w, ilki_adapter *a, ilk_error *err)
{
    ilk_status s = test_open_weights(w, dir, "model.safetensors", err);
    return s == ILK_OK ? ilki_embed_merge_adapter(a, &ilki_base_vfs_posix, &ilki_kern_ref, *w, err) : s;
}

static void merging(void)
{
    place p;
    ilki_adapter *a = NULL;
    ilki_weights *w = NULL, *plain = NULL;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(make_place(&p, "{\"peft_type\": \"LORA\", \"lora_alpha\": 0}"));
    REQUIRE(CHECK_OK(ilki_embed_read_adapter(&a, &ilki_base_vfs_posix, p.dir, &err), &err));
    if (CHECK_OK(merge_into(BASE, &w, a, &err), &err) &&
        CHECK_OK(test_open_weights(&plain, BASE, "model.safetensors", &err), &err)) {
        const char *name = "vision_model.encoder.layers.0.self_attn.q_proj.weight";
        const ilki_tensor *t = ilki_format_find(w, name), *u = ilki_format_find(plain, name);
        CHECK(t->data != u->data && t->n_bytes == u->n_bytes);
        CHECK_MEM(t->data, u->data, (size_t)t->n_bytes); /* alpha 0 adds nothing */
        CHECK_INT(a->rank, 3);
        CHECK(a->n_changed == 2 * 2 * 3 + 1);
    }
    ilki_format_close(w);
    ilki_format_close(plain);
    CHECK_STATUS(merge_into(ILK_TEST_DIR "/fixtures/bert-mean", &w, a, &err), ILK_BAD_FORMAT, &err);
    CHECK_THAT(strstr(err.message, "expected a module of the base model, found none"), "%s", err.message);
    ilki_format_close(w);
    CHECK_STATUS(merge_into(ILK_TEST_DIR "/fixtures/chinese-clip", &w, a, &err), ILK_BAD_FORMAT, &err);
    ilki_format_close(w);
    ilki_embed_free_adapter(a);
    end_place(&p);
}

/* A matrix B whose A has another name is not left out in silence. */
static void a_half(void)
{
    static const char whole[] = "layers.0.mlp.fc1.lora_A.weight", half[] = "layers.0.mlp.fc9.lora_B.weight";
    place p;
    ilki_adapter *a = NULL;
    ilki_weights *w = NULL;
    char *data = NULL;
    size_t n = 0;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(make_place(&p, "{\"peft_type\": \"LORA\"}"));
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, p.weights, 1 << 20, &data, &n, &err), &err));
    char *name = memmem(data, n, whole, sizeof whole - 1);
    REQUIRE(CHECK(name != NULL));
    memcpy(name, half, sizeof half - 1);
    unlink(p.weights);
    CHECK_OK(ilki_base_write_file(&ilki_base_vfs_posix, p.weights, data, n, &err), &err);
    free(data);
    if (CHECK_OK(ilki_embed_read_adapter(&a, &ilki_base_vfs_posix, p.dir, &err), &err))
        CHECK_STATUS(merge_into(BASE, &w, a, &err), ILK_BAD_FORMAT, &err);
    CHECK_THAT(strstr(err.message, "as many tensors lora_B as lora_A, 12, found 14"), "%s", err.message);
    ilki_format_close(w);
    ilki_embed_free_adapter(a);
    end_place(&p);
}

/* Opened by the folder of the adapter alone. */
static void opened(void)
{
    place p;
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_info info;
    const char *with = NULL, *without = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    if (CHECK_OK(ilk_model_open(&m, rt, LORA, NULL, &err), &err)) {
        CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
        CHECK_THAT(info.notes && strstr(info.notes, "LoRA of rank 3, merged into 13 matrices"), "%s", info.notes);
        CHECK_OK(ilk_model_get_fingerprint(m, NULL, &with, &err), &err);
        ilk_model *base = NULL;
        CHECK_OK(ilk_model_open(&base, rt, BASE, NULL, &err), &err);
        CHECK_OK(ilk_model_get_fingerprint(base, NULL, &without, &err), &err);
        CHECK(with && without && strcmp(with, without) != 0);
        ilk_model_close(base);
    }
    ilk_model_close(m);
    if (make_place(&p, "{\"peft_type\": \"LORA\"}")) {
        CHECK_STATUS(ilk_model_open(&m, rt, p.dir, NULL, &err), ILK_BAD_FORMAT, &err);
        CHECK(strstr(err.message, "expected base_model_name_or_path"));
    }
    end_place(&p);
    if (make_place(&p, "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"no/such-base\"}")) {
        CHECK_STATUS(ilk_model_open(&m, rt, p.dir, NULL, &err), ILK_NOT_FOUND, &err);
        CHECK_THAT(strstr(err.message, "adapter_config.json: the base model"), "%s", err.message);
    }
    end_place(&p);
    ilk_runtime_close(rt);
}

/* As sentence-transformers saves a model with an adapter: the modules beside it count, not the base's. */
static void modules(void)
{
    place p;
    char modules[112];
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_info_init(&info);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    REQUIRE(make_place(&p, "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"" BASE "\"}"));
    snprintf(modules, sizeof modules, "%s/modules.json", p.dir);
    for (int k = 0; k < 2; k++) {
        if (CHECK_OK(ilk_model_open(&m, rt, p.dir, NULL, &err), &err)) {
            CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
            CHECK_INT(info.normalized, k == 0);
            CHECK_STR(info.path, k == 0 ? BASE : p.dir);
        }
        ilk_model_close(m);
        if (k == 0)
            write_text(modules, "[{\"idx\": 0, \"path\": \"\", \"type\": \"sentence_transformers.models.CLIPModel\"}]");
    }
    unlink(modules);
    end_place(&p);
    ilk_runtime_close(rt);
}

TEST_MAIN({"configs", configs}, {"merging", merging}, {"a_half", a_half}, {"opened", opened}, {"modules", modules})
