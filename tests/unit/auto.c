/* SPDX-License-Identifier: Apache-2.0
 * The file of a decision: what is written is read back, and no damage, no other machine and no other model passes for it.
 * And on a tiny checkpoint: decided once, opened as decided, with the bits of that precision. */
#include "embed/auto.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "embed/state.h"
#include "test.h"

#define MODEL ILK_TEST_DIR "/fixtures/bert-mean"

static const char fingerprint[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
static const ilki_auto_model fits = {fingerprint, false}, exceeds = {fingerprint, true}, stranger = {"1234", false};

static ilk_calibration example(void)
{
    ilk_calibration c = {.size = sizeof c, .chosen = ILK_PRECISION_INT8, .n_texts = 69, .seconds = 1.5};
    for (int p = ILK_PRECISION_F32; p <= ILK_PRECISION_INT8; p++) {
        c.tokens_per_second[p] = 1000.25 * p;
        c.cosine_mean[p] = 1 - 0.0001 * p;
        c.cosine_least[p] = 1 - 0.001 * p;
        c.nearest_kept[p] = 0.99;
    }
    snprintf(c.why, sizeof c.why, "because of \"this\"");
    return c;
}

static void there_and_back(void)
{
    ilk_runtime rt = {.features = "avx2 sha", .kernels = "avx2,ref"},
                other = {.features = "avx2 sha", .kernels = "ref"};
    ilk_calibration c = example(), got = {.size = sizeof got};
    ilk_error err;
    ilki_buf b;
    ilk_error_init(&err);
    ilki_base_buf_init(&b, 1 << 16);
    CHECK_OK(ilki_embed_print_auto(&b, &rt, &fits, &c, &err), &err);
    CHECK_OK(ilki_embed_parse_auto(&got, &rt, &fits, b.data, b.len, &err), &err);
    CHECK_INT(got.cached, 1);
    got.cached = 0;
    CHECK_MEM(&got.tokens_per_second, &c.tokens_per_second, sizeof c - offsetof(ilk_calibration, tokens_per_second));
    CHECK_INT(got.chosen, c.chosen);
    CHECK_INT(got.n_texts, c.n_texts);

    CHECK_STATUS(ilki_embed_parse_auto(&got, &other, &fits, b.data, b.len, &err), ILK_MISMATCH, &err);
    ilki_kern_ops ops = {.attn_bf16_pays = true}; /* whose precisions attend otherwise */
    other = rt;
    other.ops = &ops;
    CHECK_STATUS(ilki_embed_parse_auto(&got, &other, &fits, b.data, b.len, &err), ILK_MISMATCH, &err);
    CHECK_STATUS(ilki_embed_parse_auto(&got, &rt, &stranger, b.data, b.len, &err), ILK_MISMATCH, &err);
    CHECK_STATUS(ilki_embed_parse_auto(&got, &rt, &exceeds, b.data, b.len, &err), ILK_MISMATCH, &err);
    for (size_t n = 0; n + 2 < b.len; n++) /* the last bytes are the bracket and the end of the line */
        CHECK(ilki_embed_parse_auto(&got, &rt, &fits, b.data, n, NULL) != ILK_OK);
    for (size_t i = 0; i < b.len; i++) {
        unsigned char old = (unsigned char)b.data[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            b.data[i] = (char)(old ^ 1u << bit);
            ilk_calibration any = {.size = sizeof any};
            if (ilki_embed_parse_auto(&any, &rt, &fits, b.data, b.len, NULL) == ILK_OK)
                CHECK(any.chosen > ILK_PRECISION_AUTO && ilk_precision_name(any.chosen) &&
                      any.tokens_per_second[any.chosen] > 0);
        }
        b.data[i] = (char)old;
    }
    ilki_base_buf_deinit(&b);
}

/* Where precisions have two forms of attention the file says which; one of before that was decided means bf16. */
static void forms(void)
{
    static const char old[] = ",\"attention\":\"f32\"";
    ilki_kern_ops ops = {.attn_bf16_pays = true};
    ilk_runtime rt = {.features = "f", .kernels = "k", .ops = &ops}, one = {.features = "f", .kernels = "k"};
    ilk_calibration c = example(), got = {.size = sizeof got};
    ilk_error err;
    ilki_buf b;
    ilk_error_init(&err);
    ilki_base_buf_init(&b, 1 << 16);
    c.attention[ILK_PRECISION_BF16] = ILK_ATTENTION_BF16;
    c.attention[ILK_PRECISION_INT8] = ILK_ATTENTION_F32;
    c.attention_gain = 0.75;
    CHECK_OK(ilki_embed_print_auto(&b, &rt, &fits, &c, &err), &err);
    CHECK_OK(ilki_embed_parse_auto(&got, &rt, &fits, b.data, b.len, &err), &err);
    CHECK_INT(got.attention[ILK_PRECISION_F32], ILK_ATTENTION_AUTO);
    CHECK_INT(got.attention[ILK_PRECISION_BF16], ILK_ATTENTION_BF16);
    CHECK_INT(got.attention[ILK_PRECISION_INT8], ILK_ATTENTION_F32);
    CHECK_NEAR(got.attention_gain, 0.75, 0);

    char *at = strstr(b.data, old);
    REQUIRE(CHECK(at != NULL));
    memcpy(at + sizeof old - 5, "f33", 3);
    CHECK_STATUS(ilki_embed_parse_auto(&got, &rt, &fits, b.data, b.len, &err), ILK_CORRUPT, &err);
    memset(at, ' ', sizeof old - 1);
    CHECK_OK(ilki_embed_parse_auto(&got, &rt, &fits, b.data, b.len, &err), &err);
    CHECK_INT(got.attention[ILK_PRECISION_INT8], ILK_ATTENTION_BF16);
    CHECK_INT(got.attention[ILK_PRECISION_F32], ILK_ATTENTION_AUTO);

    /* with one form none is named */
    b.len = 0;
    CHECK_OK(ilki_embed_print_auto(&b, &one, &fits, &c, &err), &err);
    CHECK_STATUS(ilki_embed_parse_auto(&got, &one, &fits, b.data, b.len, &err), ILK_CORRUPT, &err);
    ilki_base_buf_deinit(&b);
}

static void names(void)
{
    static const struct {
        const char *name;
        ilk_status status;
        ilk_precision precision;
        ilk_attention attention;
    } rows[] = {{"auto", ILK_OK, ILK_PRECISION_AUTO, ILK_ATTENTION_AUTO},
                {"f32", ILK_OK, ILK_PRECISION_F32, ILK_ATTENTION_AUTO},
                {"int8", ILK_OK, ILK_PRECISION_INT8, ILK_ATTENTION_AUTO},
                {"int8w", ILK_OK, ILK_PRECISION_INT8W, ILK_ATTENTION_AUTO},
                {"bf16+attention-f32", ILK_OK, ILK_PRECISION_BF16, ILK_ATTENTION_F32},
                {"int8+attention-f32", ILK_OK, ILK_PRECISION_INT8, ILK_ATTENTION_F32},
                {"int8w+attention-f32", ILK_OK, ILK_PRECISION_INT8W, ILK_ATTENTION_F32},
                {"f32+attention-f32", ILK_BAD_ARGUMENT, 9, 9},
                {"auto+attention-f32", ILK_BAD_ARGUMENT, 9, 9},
                {"+attention-f32", ILK_BAD_ARGUMENT, 9, 9},
                {"int8+attention-bf16", ILK_BAD_ARGUMENT, 9, 9},
                {"int8+", ILK_BAD_ARGUMENT, 9, 9},
                {"int", ILK_BAD_ARGUMENT, 9, 9},
                {"", ILK_BAD_ARGUMENT, 9, 9},
                {NULL, ILK_BAD_ARGUMENT, 9, 9}};
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilk_precision p = 9;
        ilk_attention a = 9;
        CHECK_STATUS(ilk_precision_parse(rows[i].name, &p, &a, &err), rows[i].status, &err);
        CHECK_THAT(p == rows[i].precision && a == rows[i].attention, "%s: %d, %d", rows[i].name, (int)p, (int)a);
    }
    CHECK_STR(ilk_attention_name(ILK_ATTENTION_BF16), "bf16");
    CHECK(!ilk_attention_name((ilk_attention)3));
}

static void refused(void)
{
    static const char *const members[] = {
        "\"chosen\":\"auto\",\"why\":\"\",\"texts\":1,\"seconds\":1,\"precisions\":{}",
        "\"chosen\":\"f32\",\"why\":\"\",\"texts\":1,\"seconds\":1,\"precisions\":{}",
        "\"chosen\":\"f32\",\"why\":\"\",\"texts\":1,\"seconds\":1,\"precisions\":{\"f33\":{}}",
        "\"chosen\":\"f32\",\"why\":\"\",\"texts\":1,\"seconds\":1,\"precisions\":{\"f32\":{\"tokens_per_second\":-1,"
        "\"cosine_mean\":1,\"cosine_least\":1,\"nearest_kept\":1}}",
        "\"chosen\":\"f32\",\"texts\":1,\"seconds\":1,\"precisions\":{\"f32\":{\"tokens_per_second\":1,"
        "\"cosine_mean\":1,\"cosine_least\":1,\"nearest_kept\":1}}"};
    ilk_runtime rt = {.features = "f", .kernels = "k"};
    char cpu[64], text[2048];
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_cpu_model(cpu, sizeof cpu);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        ilk_calibration c = {.size = sizeof c};
        int n = snprintf(
            text, sizeof text,
            "{\"version\":\"%s\",\"fingerprint\":\"%s\",\"f32\":\"under the ceiling\",\"cpu\":\"%s\",\"features\":\"f\",\"kernels\":\"k\",\"attention\":\"f32\",%s}",
            ILK_VERSION, fingerprint, cpu, members[i]);
        CHECK_STATUS(ilki_embed_parse_auto(&c, &rt, &fits, text, (size_t)n, &err), ILK_CORRUPT, &err);
        CHECK_INT(c.chosen, ILK_PRECISION_AUTO);
    }
}

/* ------------------------------------------------------------------ on a checkpoint */

static void vector(ilk_runtime *rt, ilk_precision asked, ilk_precision want, float *to)
{
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_model_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    ilk_model_info_init(&info);
    o.precision = asked;
    CHECK_OK(ilk_model_open(&m, rt, MODEL, &o, &err), &err);
    CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
    CHECK_INT(info.precision, want);
    CHECK_OK(ilk_embed_text(m, "a red cat", ILK_ROLE_NONE, to, info.dim, &err), &err);
    ilk_model_close(m);
}

static void opened_as_decided(void)
{
    char top[] = "/tmp/ilk-auto-XXXXXX", line[256];
    float f32[256], int8[256], got[256];
    ilk_runtime *rt = NULL;
    ilk_calibration c;
    ilk_error err;
    ilk_error_init(&err);
    ilk_calibration_init(&c);
    CHECK(mkdtemp(top) != NULL);
    setenv("XDG_CACHE_HOME", top, 1);
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    vector(rt, ILK_PRECISION_F32, ILK_PRECISION_F32, f32);
    vector(rt, ILK_PRECISION_INT8, ILK_PRECISION_INT8, int8);
    vector(rt, ILK_PRECISION_AUTO, ILK_PRECISION_F32, got);
    CHECK_MEM(got, f32, 8 * sizeof *got);

    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilk_model_calibrate(rt, MODEL, NULL, job, &c, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    CHECK_OK(ilk_model_calibrate(rt, MODEL, NULL, NULL, &c, &err), &err);
    CHECK_INT(c.cached, 0);
    CHECK(c.tokens_per_second[ILK_PRECISION_INT8] > 0 && c.cosine_mean[ILK_PRECISION_INT8] < 1);
    CHECK_OK(ilk_model_calibrate(rt, MODEL, NULL, NULL, &c, &err), &err);
    CHECK_INT(c.cached, 1);

    ilk_model *m = NULL;
    const char *hex = NULL;
    CHECK_OK(ilk_model_open(&m, rt, MODEL, NULL, &err), &err);
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, &err), &err);
    c.chosen = ILK_PRECISION_INT8;
    ilki_embed_write_auto(rt, &(ilki_auto_model){hex, false}, &c);
    CHECK_INT(ilki_embed_info(m)->precision, ILK_PRECISION_F32); /* of a handle for good */
    ilk_model_close(m);
    vector(rt, ILK_PRECISION_AUTO, ILK_PRECISION_INT8, got);
    CHECK_MEM(got, int8, 8 * sizeof *got);
    vector(rt, ILK_PRECISION_F32, ILK_PRECISION_F32, got);
    CHECK_MEM(got, f32, 8 * sizeof *got);
    CHECK_STATUS(ilk_model_calibrate(rt, ILK_TEST_DIR "/fixtures/bert-rerank", NULL, NULL, &c, &err), ILK_UNSUPPORTED,
                 &err);
    CHECK_STATUS(ilk_model_calibrate(rt, NULL, NULL, NULL, &c, &err), ILK_BAD_ARGUMENT, &err);
    ilk_runtime_close(rt);
    snprintf(line, sizeof line, "rm -r %s", top);
    CHECK_INT(system(line), 0);
}

/* ------------------------------------------------------------------ attention */

enum { MAX_DIM = 256 };

/* The vector of a text, how the model attends, and what a space calls its precision. */
static void attend(ilk_runtime *rt, ilk_precision precision, ilk_attention asked, ilk_attention want, const char *name,
                   float to[MAX_DIM])
{
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_model_info info;
    const ilk_space *space = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    ilk_model_info_init(&info);
    o.precision = precision;
    o.attention = asked;
    memset(to, 0, MAX_DIM * sizeof *to);
    if (!CHECK_OK(ilk_model_open(&m, rt, MODEL, &o, &err), &err))
        return;
    CHECK_OK(ilk_model_get_info(m, &info, &err), &err);
    CHECK_INT(info.attention, want);
    CHECK_STR(info.precision_name, name);
    CHECK(info.dim <= MAX_DIM);
    CHECK_OK(ilki_embed_space(m, NULL, &space, &err), &err);
    CHECK_STR(space->precision, name);
    CHECK_OK(
        ilk_embed_text(m, "a red cat sat on the mat, and seven dogs looked at it", ILK_ROLE_NONE, to, info.dim, &err),
        &err);
    ilk_model_close(m);
}

static void keep_decision(ilk_runtime *rt, ilk_precision chosen, ilk_attention attention)
{
    ilk_model *m = NULL;
    const char *hex = NULL;
    ilk_calibration c = example();
    c.chosen = chosen;
    for (int p = ILK_PRECISION_BF16; p <= ILK_PRECISION_INT8; p++)
        c.attention[p] = attention;
    CHECK_OK(ilk_model_open(&m, rt, MODEL, NULL, NULL), NULL);
    CHECK_OK(ilk_model_get_fingerprint(m, NULL, &hex, NULL), NULL);
    ilki_embed_write_auto(rt, &(ilki_auto_model){hex, false}, &c);
    ilk_model_close(m);
}

/* Bits are those of the form that was asked for or decided, by kernels that have a fast form of bf16 and by those without. */
static void attention(void)
{
    char top[] = "/tmp/ilk-auto-XXXXXX", line[256];
    float own[MAX_DIM], f32[MAX_DIM], bf16[MAX_DIM], got[MAX_DIM];
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_model_options o;
    ilk_error err;
    ilk_error_init(&err);
    ilk_model_options_init(&o);
    CHECK(mkdtemp(top) != NULL);
    setenv("XDG_CACHE_HOME", top, 1);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    const ilki_kern_ops *machine = rt->ops;
    ilki_kern_ops two = *machine, one = *machine;
    two.attn_bf16_pays = true; /* of the reference, where the machine has none */
    one.attn_bf16_pays = false;
    rt->ops = &one;
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_AUTO, ILK_ATTENTION_F32, "int8", own);
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_F32, ILK_ATTENTION_F32, "int8+attention-f32", got);
    CHECK_MEM(got, own, sizeof got);
    o.precision = ILK_PRECISION_INT8;
    o.attention = ILK_ATTENTION_BF16;
    CHECK_STATUS(ilk_model_open(&m, rt, MODEL, &o, &err), ILK_UNSUPPORTED, &err);

    rt->ops = &two;
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_AUTO, ILK_ATTENTION_BF16, "int8", bf16);
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_BF16, ILK_ATTENTION_BF16, "int8", got);
    CHECK_MEM(got, bf16, sizeof got);
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_F32, ILK_ATTENTION_F32, "int8+attention-f32", f32);
    CHECK_MEM(f32, own, sizeof f32);
    CHECK(memcmp(f32, bf16, sizeof f32) != 0);
    o.precision = ILK_PRECISION_F32;
    CHECK_STATUS(ilk_model_open(&m, rt, MODEL, &o, &err), ILK_UNSUPPORTED, &err);
    o.attention = (ilk_attention)3;
    CHECK_STATUS(ilk_model_open(&m, rt, MODEL, &o, &err), ILK_BAD_ARGUMENT, &err);

    keep_decision(rt, ILK_PRECISION_INT8, ILK_ATTENTION_F32);
    attend(rt, ILK_PRECISION_AUTO, ILK_ATTENTION_AUTO, ILK_ATTENTION_F32, "int8+attention-f32", got);
    CHECK_MEM(got, f32, sizeof got);
    attend(rt, ILK_PRECISION_AUTO, ILK_ATTENTION_BF16, ILK_ATTENTION_BF16, "int8", got); /* asked for all the same */
    CHECK_MEM(got, bf16, sizeof got);
    attend(rt, ILK_PRECISION_INT8, ILK_ATTENTION_AUTO, ILK_ATTENTION_BF16, "int8", got); /* means one thing */
    CHECK_MEM(got, bf16, sizeof got);
    keep_decision(rt, ILK_PRECISION_INT8, ILK_ATTENTION_BF16);
    attend(rt, ILK_PRECISION_AUTO, ILK_ATTENTION_AUTO, ILK_ATTENTION_BF16, "int8", got);
    CHECK_MEM(got, bf16, sizeof got);
    keep_decision(rt, ILK_PRECISION_F32, ILK_ATTENTION_BF16);
    attend(rt, ILK_PRECISION_AUTO, ILK_ATTENTION_AUTO, ILK_ATTENTION_F32, "f32", got);
    CHECK(memcmp(got, f32, sizeof got) != 0);
    rt->ops = machine;
    ilk_runtime_close(rt);
    snprintf(line, sizeof line, "rm -r %s", top);
    CHECK_INT(system(line), 0);
}

/* Weights that are more than the ceiling in f32. */
static void above_the_ceiling(void)
{
    static const ilk_precision asked[] = {ILK_PRECISION_AUTO, ILK_PRECISION_F32},
                               want[] = {ILK_PRECISION_INT8W, ILK_PRECISION_F32};
    char top[] = "/tmp/ilk-auto-XXXXXX";
    ilk_runtime_options ro;
    ilk_runtime *rt = NULL;
    ilk_calibration c;
    ilk_error err;
    ilk_error_init(&err);
    ilk_calibration_init(&c);
    ilk_runtime_options_init(&ro);
    ro.memory_ceiling_bytes = 20000;
    CHECK(mkdtemp(top) != NULL);
    setenv("XDG_CACHE_HOME", top, 1);
    CHECK_OK(ilk_runtime_open(&rt, &ro, &err), &err);
    for (size_t i = 0; i < 2; i++) {
        ilk_model *m = NULL;
        ilk_model_options o;
        ilk_model_options_init(&o);
        o.precision = asked[i];
        if (CHECK_OK(ilk_model_open(&m, rt, MODEL, &o, &err), &err))
            CHECK_INT(ilki_embed_info(m)->precision, want[i]);
        ilk_model_close(m);
    }
    CHECK_STATUS(ilk_model_calibrate(rt, MODEL, NULL, NULL, &c, &err), ILK_LIMIT, &err);
    ilk_runtime_close(rt);
    CHECK(rmdir(top) == 0);
}

/* A decision that cannot be kept is made all the same. */
static void nowhere_to_keep_it(void)
{
    ilk_runtime *rt = NULL;
    ilk_calibration c;
    ilk_error err;
    ilk_error_init(&err);
    ilk_calibration_init(&c);
    setenv("XDG_CACHE_HOME", "/dev/null/nowhere", 1);
    CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ilk_model_calibrate(rt, MODEL, NULL, NULL, &c, &err), &err);
        CHECK_INT(c.cached, 0);
        CHECK_INT(c.chosen, ILK_PRECISION_F32);
    }
    ilk_runtime_close(rt);
}

static void a_glance(void)
{
    char top[] = "/tmp/ilk-auto-XXXXXX", path[64], first[65], second[65];
    const ilki_vfs *vfs = &ilki_base_vfs_posix;
    CHECK(mkdtemp(top) != NULL);
    snprintf(path, sizeof path, "%s/1_Pooling", top);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/1_Pooling/config.json", top);
    CHECK_OK(ilki_base_write_file(vfs, path, "{}", 2, NULL), NULL);
    ilki_embed_glance(vfs, top, "", first);
    ilki_embed_glance(vfs, top, "", second);
    CHECK_STR(first, second);
    CHECK_INT(strlen(first), 64);
    ilki_embed_glance(vfs, top, "other.safetensors", second);
    CHECK(strcmp(first, second) != 0);
    CHECK_OK(ilki_base_write_file(vfs, path, "[]", 2, NULL), NULL); /* of the same size */
    ilki_embed_glance(vfs, top, "", second);
    CHECK(strcmp(first, second) != 0);
    CHECK(unlink(path) == 0);
    *strrchr(path, '/') = 0;
    CHECK(rmdir(path) == 0 && rmdir(top) == 0);
    ilki_embed_glance(vfs, top, "", second);
    CHECK_STR(second, "");
}

TEST_MAIN({"there_and_back", there_and_back}, {"forms", forms}, {"names", names}, {"refused", refused},
          {"attention", attention}, {"opened_as_decided", opened_as_decided}, {"above_the_ceiling", above_the_ceiling},
          {"nowhere_to_keep_it", nowhere_to_keep_it}, {"a_glance", a_glance})
