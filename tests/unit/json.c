/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <float.h>
#include <stdlib.h>

#include "test.h"

typedef struct text_case {
    const char *text;
    size_t n; /* 0: up to the NUL */
} text_case;

/* Parses an exact copy, so that a read past the end is seen by the sanitizer. */
static ilk_status parse(ilki_json **out, const char *text, size_t n, const ilki_json_limits *limits, ilk_error *err)
{
    char *copy = malloc(n ? n : 1);
    ilk_error_init(err);
    *out = NULL;
    if (!CHECK(copy != NULL))
        return ILK_NO_MEMORY;
    memcpy(copy, text, n);
    ilk_status status = ilki_base_json_parse(out, copy, n, "t.json", limits, err);
    free(copy);
    return status;
}

static void accepted(void)
{
    static const text_case cases[] = {
        {"null", 0},
        {"true", 0},
        {" false\n", 0},
        {"0", 0},
        {"-0", 0},
        {"-0.0e-0", 0},
        {"1e5", 0},
        {"1E+2", 0},
        {"123.456e-789", 0},
        {"\"\"", 0},
        {"\"a\"", 0},
        {"[]", 0},
        {"{}", 0},
        {"\t[ ]\r\n", 0},
        {"[1,2 , 3]", 0},
        {"[[],[[]],{}]", 0},
        {"{\"\":0}", 0},
        {"{\"a\":{\"b\":[null]},\"a\":1}", 0},
        {"{\"a\" : \"b\"}", 0},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", 0},
        {"\"\\u0000\\u001f\\u007f\\uffff\\uFfFf\\ufdd0\"", 0},
        {"\"\\ud834\\udd1e\\uDBFF\\uDFFF\"", 0},
        {"\"\x7f\xc2\x80\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xbf\xf4\x8f\xbf\xbf\"", 0},
        {"\"\\\\u0000\"", 0},
        {"\"/* no comment */\"", 0},
        {"[0.4e006,1e-0,20e1,-1.7976931348623157e308]", 0},
        {"100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000", 0},
        {"0e99999999999999999999", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_json *j;
        ilk_error err;
        if (!CHECK_OK(parse(&j, cases[i].text, strlen(cases[i].text), NULL, &err), &err))
            printf("    for %s\n", cases[i].text);
        ilki_base_json_free(j);
    }
}

static const text_case bad_texts[] = {
    {"", 0},
    {" ", 0},
    {"nul", 0},
    {"nulll", 0},
    {"True", 0},
    {"NaN", 0},
    {"Infinity", 0},
    {"-Infinity", 0},
    {"[-]", 0},
    {"[+1]", 0},
    {"[.5]", 0},
    {"[5.]", 0},
    {"[01]", 0},
    {"[-012]", 0},
    {"[1.0e]", 0},
    {"[1e+]", 0},
    {"[0x1]", 0},
    {"[1 000]", 0},
    {"[1e400]", 0},
    {"[-1e400]", 0},
    {"[1", 0},
    {"[1,", 0},
    {"[1,]", 0},
    {"[,1]", 0},
    {"[1,,2]", 0},
    {"[1 2]", 0},
    {"[\"a\",\n4\n,1,", 0},
    {"[1]]", 0},
    {"[1}", 0},
    {"[][]", 0},
    {"1 2", 0},
    {"]", 0},
    {"{", 0},
    {"{]", 0},
    {"{,}", 0},
    {"{\"a\"}", 0},
    {"{\"a\" 1}", 0},
    {"{\"a\"::1}", 0},
    {"{\"a\":}", 0},
    {"{\"a\":1,}", 0},
    {"{\"a\":1,,\"b\":2}", 0},
    {"{\"a\":1 \"b\":2}", 0},
    {"{\"a\":1]", 0},
    {"{a:1}", 0},
    {"{'a':1}", 0},
    {"{1:1}", 0},
    {"{null:1}", 0},
    {"{\"a\":1}/**/", 0},
    {"// x\n1", 0},
    {"#1", 0},
    {"'a'", 0},
    {"\"", 0},
    {"\"a", 0},
    {"\"\\", 0},
    {"\"\\\"", 0},
    {"\"\\x41\"", 0},
    {"\"\\a\"", 0},
    {"\"\\U0041\"", 0},
    {"\"\\u\"", 0},
    {"\"\\u00\"", 0},
    {"\"\\u00A", 0},
    {"\"\\u00G0\"", 0},
    {"\"\\u-123\"", 0},
    {"\"\\ud800\"", 0},
    {"\"\\ud800x\"", 0},
    {"\"\\ud800\\n\"", 0},
    {"\"\\ud800\\u0041\"", 0},
    {"\"\\ud800\\ud800\"", 0},
    {"\"\\ud800\\u", 0},
    {"\"\\ud800\\udc0", 0},
    {"\"\\udc00\"", 0},
    {"\"\\udfff\\ud800\"", 0},
    {"\"\x1f\"", 0},
    {"\"a\nb\"", 0},
    {"\"\t\"", 0},
    {"\"\x80\"", 0},
    {"\"\xc0\xaf\"", 0},
    {"\"\xe0\x80\x80\"", 0},
    {"\"\xed\xa0\x80\"", 0},
    {"\"\xf4\x90\x80\x80\"", 0},
    {"\"\xe2\x82\"", 0},
    {"\"\xff\"", 0},
    {"\xe2\x82\xac", 0},
    {"\xc2\xa0"
     "1",
     0},
    {"\x0c"
     "1",
     0},
    {"\xef\xbb\xbf{}", 0},
    {"\xff\xfe[\0]\0", 6},
    {"\"\0\"", 3},
    {"\"\\\0\"", 4},
    {"1\0", 2},
    {"[\0]", 3},
    {"{\"a\":\0}", 7},
    {"123\0"
     "4",
     5},
    {"[1]\0", 4},
};

static void refused(void)
{
    for (size_t i = 0; i < sizeof bad_texts / sizeof *bad_texts; i++) {
        ilki_json *j;
        ilk_error err;
        size_t n = bad_texts[i].n ? bad_texts[i].n : strlen(bad_texts[i].text);
        if (!CHECK_STATUS(parse(&j, bad_texts[i].text, n, NULL, &err), ILK_BAD_FORMAT, &err))
            printf("    for %s\n", bad_texts[i].text);
        CHECK(j == NULL);
        CHECK(strncmp(err.message, "t.json: byte ", 13) == 0);
        ilki_base_json_free(j);
    }
}

/* Every proper beginning of a text that needs its last byte is refused. */
static void truncations(void)
{
    static const char text[] =
        "{\"k\\u0041\":[1.5e3,-0,true,false,null,\"\\ud834\\udd1e\xe2\x82\xac\",{\"\":{}}],\"b\":[[]]}";
    for (size_t n = 0; n < sizeof text; n++) {
        ilki_json *j;
        ilk_error err;
        CHECK_STATUS(parse(&j, text, n, NULL, &err), n == sizeof text - 1 ? ILK_OK : ILK_BAD_FORMAT, &err);
        ilki_base_json_free(j);
    }
}

static void messages(void)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"[1 x]", "t.json: byte 3: expected ',' or ']', found 'x'"},
        {"{\"a\":1", "t.json: byte 6: expected ',' or '}', found the end"},
        {"[1,\x01]", "t.json: byte 3: expected a value, found byte 0x01"},
        {"{1", "t.json: byte 1: expected a key or '}', found '1'"},
        {"{\"a\":1,}", "t.json: byte 7: expected a key, found '}'"},
        {"{\"a\",", "t.json: byte 4: expected ':', found ','"},
        {"\"\\q\"", "t.json: byte 2: expected an escape, found 'q'"},
        {"\"\xff\"", "t.json: byte 1: expected UTF-8, found byte 0xff"},
        {"[1e999]", "t.json: byte 1: expected a number below 1.8e308, found 1e999"},
        {"[012]", "t.json: byte 2: expected no digit behind a leading 0, found '1'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_json *j;
        ilk_error err;
        parse(&j, rows[i].text, strlen(rows[i].text), NULL, &err);
        CHECK_STR(err.message, rows[i].message);
        ilki_base_json_free(j);
    }
}

static void limits(void)
{
    static char deep[200001];
    ilki_json *j;
    ilk_error err;
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    CHECK_STATUS(parse(&j, deep, 200000, NULL, &err), ILK_LIMIT, &err);
    CHECK_STR(err.message, "t.json: byte 64: deeper than 64 levels");
    CHECK_STATUS(parse(&j, deep + 100000 - 65, 130, NULL, &err), ILK_LIMIT, &err);
    CHECK_OK(parse(&j, deep + 100000 - 64, 128, NULL, &err), &err);
    ilki_base_json_free(j);
    CHECK_STATUS(parse(&j, deep, 200000, &(ilki_json_limits){.max_depth = 1000000}, &err), ILK_LIMIT, &err);
    CHECK_OK(parse(&j, deep + 100000 - 1024, 2048, &(ilki_json_limits){.max_depth = 1024}, &err), &err);
    ilki_base_json_free(j);
    CHECK_STATUS(parse(&j, "[1,2,3]", 7, &(ilki_json_limits){.max_nodes = 3}, &err), ILK_LIMIT, &err);
    CHECK_OK(parse(&j, "[1,2,3]", 7, &(ilki_json_limits){.max_nodes = 4}, &err), &err);
    ilki_base_json_free(j);
    CHECK_STATUS(parse(&j, "[1,2,3]", 7, &(ilki_json_limits){.max_bytes = 6}, &err), ILK_LIMIT, &err);
    CHECK_OK(parse(&j, "[1,2,3]", 7, &(ilki_json_limits){.max_bytes = 7}, &err), &err);
    ilki_base_json_free(j);
    ilki_json_limits unique = {.unique_keys = true};
    CHECK_STATUS(parse(&j, "{\"a\":1,\"b\":2,\"\\u0061\":3}", 24, &unique, &err), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "'a' twice") != NULL);
    CHECK_OK(parse(&j, "{\"a\":{\"a\":1},\"b\":{\"a\":1}}", 25, &unique, &err), &err);
    ilki_base_json_free(j);
}

static void access_values(void)
{
    static const char text[] =
        "{\"a\":[1,2.5,\"x\\u0000y\",true,false,null],\"b\":{\"c\":-7},\"a\\n\":1e2,\"d\":1,\"d\":2,\"e\":[]}";
    ilki_json *j;
    ilk_error err;
    REQUIRE(CHECK_OK(parse(&j, text, sizeof text - 1, NULL, &err), &err));
    ilki_json_node root = ilki_base_json_root(j), a = ilki_base_json_get(j, root, "a");
    int64_t v = 99;
    size_t len;
    CHECK_INT(ilki_base_json_type(j, root), ILKI_JSON_OBJECT);
    CHECK_INT(ilki_base_json_count(j, root), 6);
    CHECK_INT(ilki_base_json_type(j, a), ILKI_JSON_ARRAY);
    CHECK_INT(ilki_base_json_count(j, a), 6);
    CHECK(ilki_base_json_int(j, ilki_base_json_at(j, a, 0), 0, 10, &v) && v == 1);
    CHECK(!ilki_base_json_int(j, ilki_base_json_at(j, a, 0), 2, 10, &v));
    CHECK(!ilki_base_json_int(j, ilki_base_json_at(j, a, 0), -5, 0, &v));
    CHECK(!ilki_base_json_int(j, ilki_base_json_at(j, a, 1), INT64_MIN, INT64_MAX, &v) && v == 1);
    CHECK(!ilki_base_json_int(j, ilki_base_json_at(j, a, 2), INT64_MIN, INT64_MAX, &v));
    CHECK_NEAR(ilki_base_json_double(j, ilki_base_json_at(j, a, 1), 0), 2.5, 0);
    CHECK_NEAR(ilki_base_json_double(j, ilki_base_json_at(j, a, 2), 7), 7, 0);
    const char *s = ilki_base_json_string(j, ilki_base_json_at(j, a, 2), &len);
    CHECK(s && len == 3 && memcmp(s, "x\0y", 4) == 0);
    CHECK(ilki_base_json_string(j, ilki_base_json_at(j, a, 0), &len) == NULL && len == 0);
    CHECK(ilki_base_json_bool(j, ilki_base_json_at(j, a, 3), false));
    CHECK(!ilki_base_json_bool(j, ilki_base_json_at(j, a, 4), true));
    CHECK(ilki_base_json_bool(j, ilki_base_json_at(j, a, 5), true));
    CHECK(!ilki_base_json_bool(j, ilki_base_json_at(j, a, 5), false));
    CHECK_INT(ilki_base_json_type(j, ilki_base_json_at(j, a, 5)), ILKI_JSON_NULL);
    CHECK_INT(ilki_base_json_at(j, a, 6), 0);
    CHECK_INT(ilki_base_json_at(j, root, 0), 0);
    CHECK_INT(ilki_base_json_get(j, a, "a"), 0);
    CHECK(ilki_base_json_int(j, ilki_base_json_get(j, ilki_base_json_get(j, root, "b"), "c"), -9, 9, &v) && v == -7);
    CHECK(ilki_base_json_int(j, ilki_base_json_get(j, root, "a\n"), 100, 100, &v));
    CHECK(ilki_base_json_int(j, ilki_base_json_get(j, root, "d"), 0, 9, &v) && v == 2);
    CHECK_INT(ilki_base_json_first(j, ilki_base_json_get(j, root, "e")), 0);
    CHECK_INT(ilki_base_json_first(j, ilki_base_json_get(j, root, "d")), 0);

    static const char *const keys[] = {"a", "b", "a\n", "d", "d", "e"};
    size_t n = 0;
    for (ilki_json_node i = ilki_base_json_first(j, root); i && n < 6; i = ilki_base_json_next(j, i), n++) {
        CHECK_STR(ilki_base_json_key(j, i, &len), keys[n]);
        CHECK_INT(len, strlen(keys[n]));
    }
    CHECK_INT(n, 6);
    CHECK(ilki_base_json_key(j, root, &len) == NULL && len == 0);
    CHECK(ilki_base_json_key(j, ilki_base_json_first(j, a), NULL) == NULL);
    /* what is absent may be asked anything */
    for (ilki_json_node none = 0; none < 1000; none += 999) {
        CHECK_INT(ilki_base_json_type(j, none), ILKI_JSON_NONE);
        CHECK_INT(ilki_base_json_count(j, none), 0);
        CHECK_INT(ilki_base_json_first(j, none), 0);
        CHECK_INT(ilki_base_json_next(j, none), 0);
        CHECK_INT(ilki_base_json_get(j, none, "a"), 0);
        CHECK(ilki_base_json_key(j, none, NULL) == NULL && ilki_base_json_string(j, none, NULL) == NULL);
        CHECK(!ilki_base_json_int(j, none, 0, 1, &v) && ilki_base_json_bool(j, none, true));
        CHECK_NEAR(ilki_base_json_double(j, none, -3), -3, 0);
    }
    ilki_base_json_free(j);
    ilki_base_json_free(NULL);
}

static void writer_output(void)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, 4096);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    ilki_base_jsonw_key(&w, "a\"");
    ilki_base_jsonw_open(&w, '[');
    ilki_base_jsonw_int(&w, INT64_MIN);
    ilki_base_jsonw_uint(&w, UINT64_MAX);
    ilki_base_jsonw_int(&w, 0);
    ilki_base_jsonw_double(&w, 0.1);
    ilki_base_jsonw_float(&w, 0.1f);
    ilki_base_jsonw_bool(&w, true);
    ilki_base_jsonw_bool(&w, false);
    ilki_base_jsonw_null(&w);
    ilki_base_jsonw_cstring(&w, NULL);
    ilki_base_jsonw_open(&w, '[');
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_open(&w, '{');
    ilki_base_jsonw_close(&w, '}');
    ilki_base_jsonw_close(&w, ']');
    ilki_base_jsonw_key(&w, "");
    ilki_base_jsonw_string(&w, "\0\x1f\n\r\t\b\f\"\\/\x7f\xff\xe2\x82\xe2\x80\xa8\xe2\x80\xa9\xf0\x9f\x98\x80", 24);
    ilki_base_jsonw_close(&w, '}');
    CHECK_OK(ilki_base_buf_check(&b, "output", NULL), NULL);
    CHECK_STR(
        ilki_base_buf_view(&b),
        "{\"a\\\"\":[-9223372036854775808,18446744073709551615,0,0.1,0.1,true,false,null,null,[],{}],"
        "\"\":\"\\u0000\\u001f\\n\\r\\t\\b\\f\\\"\\\\/\x7f\xef\xbf\xbd\xef\xbf\xbd\\u2028\\u2029\xf0\x9f\x98\x80\"}");
    ilki_base_buf_deinit(&b);
}

/* Each misuse is one letter of a program for the writer. */
static ilk_status run_writer(const char *program)
{
    ilki_buf b;
    ilki_jsonw w;
    ilki_base_buf_init(&b, 4096);
    ilki_base_jsonw_init(&w, &b);
    for (; *program; program++) {
        if (strchr("{[", *program))
            ilki_base_jsonw_open(&w, *program);
        else if (strchr("}]", *program))
            ilki_base_jsonw_close(&w, *program);
        else if (*program == 'k')
            ilki_base_jsonw_key(&w, "k");
        else if (*program == 'n')
            ilki_base_jsonw_double(&w, (double)NAN);
        else if (*program == 'f')
            ilki_base_jsonw_float(&w, -INFINITY);
        else
            ilki_base_jsonw_null(&w);
    }
    ilk_status status = ilki_base_buf_check(&b, "output", NULL);
    ilki_base_buf_deinit(&b);
    return status;
}

static void writer_misuse(void)
{
    static const char *const good[] = {"0", "[00[]]", "{k0k[0]k{}}", ""};
    static const char *const bad[] = {"00", "{0", "{k}", "{kk",  "[k",    "k",   "[}",
                                      "{]", "]",  "[]]", "[][]", "{k00}", "[0]0"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_OK(run_writer(good[i]), NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!CHECK_STATUS(run_writer(bad[i]), ILK_BAD_ARGUMENT, NULL))
            printf("    for %s\n", bad[i]);
    CHECK_STATUS(run_writer("[n]"), ILK_NOT_FINITE, NULL);
    CHECK_STATUS(run_writer("f"), ILK_NOT_FINITE, NULL);
    char deep[65];
    memset(deep, '[', 64);
    deep[64] = '\0';
    CHECK_STATUS(run_writer(deep), ILK_BAD_ARGUMENT, NULL);
    CHECK_OK(run_writer(deep + 1), NULL);
}

TEST_MAIN({"accepted", accepted}, {"refused", refused}, {"truncations", truncations}, {"messages", messages},
          {"limits", limits}, {"access_values", access_values}, {"writer_output", writer_output},
          {"writer_misuse", writer_misuse})
