/* SPDX-License-Identifier: Apache-2.0 */
#include "models/config.h"

#include <stddef.h>

#include "test.h"

typedef struct sample {
    uint32_t size, word;
    float eps;
    bool flag;
} sample;

static const char *const words[] = {"gelu", "relu", NULL};
static const ilki_config_field fields[] = {
    {.key = "size", .type = ILKI_CONFIG_U32, .offset = offsetof(sample, size), .required = true, .min = 1, .max = 100},
    {.key = "act", .type = ILKI_CONFIG_WORD, .offset = offsetof(sample, word), .otherwise = 1, .words = words},
    {.key = "eps", .type = ILKI_CONFIG_FLOAT, .offset = offsetof(sample, eps), .otherwise = 1e-12, .min = 0, .max = 1},
    {.key = "flag", .type = ILKI_CONFIG_BOOL, .offset = offsetof(sample, flag), .otherwise = 1},
};

static ilk_status read_text(const char *text, sample *out, ilk_error *err)
{
    ilki_json *j = NULL;
    ilk_error_init(err);
    memset(out, 0x55, sizeof *out);
    if (!CHECK_OK(ilki_base_json_parse(&j, text, strlen(text), "c.json", NULL, err), err))
        return ILK_OK;
    ilk_status s = ilki_models_read_config(j, ilki_base_json_root(j), "c.json", fields, 4, out, err);
    ilki_base_json_free(j);
    return s;
}

static void reads(void)
{
    sample c;
    ilk_error err;
    CHECK_OK(read_text("{\"size\":100,\"act\":\"gelu\",\"eps\":1e-5,\"flag\":false,\"other\":[]}", &c, &err), &err);
    CHECK_INT(c.size, 100);
    CHECK_INT(c.word, 0);
    CHECK(c.eps == 1e-5F && !c.flag);
    CHECK_OK(read_text("{\"size\":1.0,\"act\":null,\"eps\":null,\"flag\":true}", &c, &err), &err);
    CHECK_INT(c.size, 1);
    CHECK_INT(c.word, 1);
    CHECK(c.eps == 1e-12F && c.flag);
    CHECK_OK(read_text("{\"size\":7}", &c, &err), &err);
    CHECK(c.word == 1 && c.eps == 1e-12F && c.flag);
}

static void refuses(void)
{
    static const struct {
        const char *text;
        ilk_status status;
        const char *message;
    } rows[] = {
        {"{}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found nothing"},
        {"{\"size\":null}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found null"},
        {"{\"size\":0}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found 0"},
        {"{\"size\":101}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found 101"},
        {"{\"size\":1.5}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found 1.5"},
        {"{\"size\":\"7\"}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found \"7\""},
        {"{\"size\":[7]}", ILK_BAD_FORMAT, "c.json: size: expected an integer of 1 to 100, found an array"},
        {"{\"size\":7,\"act\":\"gelu2\"}", ILK_UNSUPPORTED, "c.json: act: expected one of gelu, relu; found \"gelu2\""},
        {"{\"size\":7,\"act\":\"gelu\\u0000\"}", ILK_UNSUPPORTED,
         "c.json: act: expected one of gelu, relu; found \"gelu\""},
        {"{\"size\":7,\"act\":3}", ILK_BAD_FORMAT, "c.json: act: expected one of gelu, relu; found 3"},
        {"{\"size\":7,\"eps\":-1}", ILK_BAD_FORMAT, "c.json: eps: expected a number of 0 to 1, found -1"},
        {"{\"size\":7,\"eps\":\"x\"}", ILK_BAD_FORMAT, "c.json: eps: expected a number of 0 to 1, found \"x\""},
        {"{\"size\":7,\"eps\":{}}", ILK_BAD_FORMAT, "c.json: eps: expected a number of 0 to 1, found an object"},
        {"{\"size\":7,\"flag\":1}", ILK_BAD_FORMAT, "c.json: flag: expected true or false, found 1"},
        {"[]", ILK_BAD_FORMAT, "c.json: expected an object, found another value"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sample c;
        ilk_error err;
        CHECK_STATUS(read_text(rows[i].text, &c, &err), rows[i].status, &err);
        CHECK_STR(err.message, rows[i].message);
    }
}

TEST_MAIN({"reads", reads}, {"refuses", refuses})
