/* SPDX-License-Identifier: Apache-2.0
 * Patterns of a checkpoint that no matcher knows (golden/tokenizer has the reference's answers): what is refused, and that
 * neither a pattern nor a text takes more time than a text is worth. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "test.h"
#include "text/tokenizer.h"

/* A tokenizer that splits at the pattern or, where there is a `content`, replaces what it matches. */
static ilki_tokenizer *open_part(const char *pattern, const char *content, ilk_status want, const char *says)
{
    ilki_tokenizer *t = NULL;
    ilk_error err;
    size_t room = strlen(pattern) * 2 + 512;
    char *json = malloc(room), *escaped = calloc(1, room);
    ilk_error_init(&err);
    for (size_t i = 0, k = 0; pattern[i]; i++) {
        if (pattern[i] == '\\' || pattern[i] == '"')
            escaped[k++] = '\\';
        escaped[k++] = pattern[i];
    }
    int n = snprintf(
        json, room,
        "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"aB\":3}},"
        "\"%s\":{\"type\":\"%s\",\"%s\":\"%s\",\"pattern\":{\"Regex\":\"%s\"}}}",
        content ? "normalizer" : "pre_tokenizer", content ? "Replace" : "Split", content ? "content" : "behavior",
        content ? content : "Isolated", escaped);
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = (size_t)n}, .mode = ILKI_TOKENIZER_LITERAL};
    CHECK_STATUS(ilki_text_tokenizer_open(&t, &files, &err), want, &err);
    CHECK_THAT(!says || strstr(err.message, says) != NULL, "%s", err.message);
    free(json);
    free(escaped);
    return t;
}

static ilki_tokenizer *open_pattern(const char *pattern, ilk_status want, const char *says)
{
    return open_part(pattern, NULL, want, says);
}

static void refuses(void)
{
    static const struct {
        const char *pattern, *says;
        ilk_status status;
    } cases[] = {
        {"(a", "missing closing parenthesis", ILK_BAD_FORMAT},
        {"a{2,1}", "numbers out of order", ILK_BAD_FORMAT},
        {"\\p{Nonsense}", "unknown property", ILK_BAD_FORMAT},
        {"\\h+", "\"\\h+\" is", ILK_UNSUPPORTED},
        {"a\\b", "\"\\b\" is", ILK_UNSUPPORTED},
        {"\\Ka", "\"\\Ka\" is", ILK_UNSUPPORTED},
        {"\\C", "\"\\C\" is", ILK_UNSUPPORTED},
        {"\\Qa\\E", "\"\\Qa\" is a letter", ILK_UNSUPPORTED},
        {"\\pL", "\"\\pL\" is a letter", ILK_UNSUPPORTED},
        {"[a-z&&[^b]]", "\"&&[\" is", ILK_UNSUPPORTED},
        {"[a[bc]]", "\"[bc\" is a class", ILK_UNSUPPORTED},
        {"[[:graph:]]", "\"[:graph:]]\" there", ILK_UNSUPPORTED},
        {"[[:^alpha:]]", "\"[:^alpha:]\" there", ILK_UNSUPPORTED},
        {"(*LIMIT_MATCH=999999999)a", "\"(*L\" is", ILK_UNSUPPORTED},
        {"(?m).", "\"(?m\" is another option", ILK_UNSUPPORTED},
        {"(?im:.)", "\"(?i\" is another option", ILK_UNSUPPORTED},
        {"(?i-s:.)", "\"(?i\" is another option", ILK_UNSUPPORTED},
        {"(?C1)a", "\"(?C\" is", ILK_UNSUPPORTED},
        {"(?R)?a", "\"(?R\" is", ILK_UNSUPPORTED},
        {"(?P<n>a)", "\"(?P\" is no group", ILK_UNSUPPORTED},
        {"a{2,3}+", "\"}+\" is", ILK_UNSUPPORTED},
        {"a{3}?", "\"}?\" is", ILK_UNSUPPORTED},
        {"a{,3}", "\"{,3\" is", ILK_UNSUPPORTED},
        {"\\u12", "\"\\u12\" there", ILK_UNSUPPORTED},
        {"[\\W]", "\"\\W]\" there", ILK_UNSUPPORTED},
        {"((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))", "nested", ILK_BAD_FORMAT},
        {"(?:(?:(?:a{1,99}){1,99}){1,99}){1,99}", NULL, ILK_BAD_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ilki_text_tokenizer_free(open_pattern(cases[i].pattern, cases[i].status, cases[i].says));
    char *big = malloc(6000);
    memset(big, 'a', 5999);
    big[5999] = '\0';
    ilki_text_tokenizer_free(open_pattern(big, ILK_LIMIT, "a pattern of 5999 bytes"));
    free(big);
    ilki_text_tokenizer_free(open_pattern("\\p{L}++|[\\p{L}]+|\\x{61}+|a{2,3}?|[]a]|[^]b]|(?i-x:c)", ILK_OK, NULL));
}

/* Seconds for n times `unit` and then `end`; `want` of the call. */
static double run(const char *pattern, const char *unit, size_t n, const char *end, ilk_status want)
{
    ilki_tokenizer *t = open_pattern(pattern, ILK_OK, NULL);
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding e = {0};
    ilk_error err;
    size_t len = strlen(unit);
    char *text = malloc(n * len + strlen(end) + 1);
    ilk_error_init(&err);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, unit, len);
    strcpy(text + n * len, end);
    double start = test_thread_ms();
    if (t && s)
        CHECK_STATUS(ilki_text_encode(t, s, text, strlen(text), NULL, &e, &err), want, &err);
    double seconds = (test_thread_ms() - start) / 1e3;
    if (want == ILK_OK)
        CHECK(e.n > 0 && e.spans[e.n - 1].end == strlen(text));
    else
        CHECK_THAT(strstr(err.message, "more steps") != NULL && e.n == 0, "%s", err.message);
    free(text);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
    return seconds;
}

/* A normalizer's pattern is no more trusted, nor what it makes of a text. */
static void replaces_within_limits(void)
{
    enum { LONG = 200000 };
    static const struct {
        const char *pattern, *content, *says;
    } cases[] = {{"(?:a+)+[cd]", "", "more steps"},
                 {"a*+b|a", "b", "more steps"},
                 {"", "0123456789012345678901234567890123456789012345678901234567890123456789", "make more than"}};
    char *text = malloc(LONG);
    ilki_text_scratch *s = ilki_text_scratch_new();
    memset(text, 'a', LONG);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_tokenizer *t = open_part(cases[i].pattern, cases[i].content, ILK_OK, NULL);
        ilki_encoding e = {0};
        ilk_error err;
        ilk_error_init(&err);
        CHECK_STATUS(ilki_text_encode(t, s, text, LONG, NULL, &e, &err), ILK_LIMIT, &err);
        CHECK_THAT(strstr(err.message, cases[i].says) != NULL, "%s", err.message);
        CHECK_OK(ilki_text_encode(t, s, "abc", 3, NULL, &e, &err), &err);
        ilki_text_encoding_deinit(&e);
        ilki_text_tokenizer_free(t);
    }
    ilki_text_tokenizer_free(open_part("\\h", "x", ILK_UNSUPPORTED, "a hexadecimal digit"));
    ilki_text_scratch_free(s);
    free(text);
}

static void never_hangs(void)
{
    enum { LONG = 200000, LIMIT_S = 60 }; /* of work; without limits these take hours */
    CHECK(run("(?:a+)+[cd]", "a", LONG, "", ILK_LIMIT) < LIMIT_S);
    CHECK(run("(?:a|a?)+[cd]|.", "a", LONG, "b", ILK_LIMIT) < LIMIT_S);
    CHECK(run("(?:a|aa)+$", "a", LONG, "b", ILK_LIMIT) < LIMIT_S);
    CHECK(run("a*+b|a", "a", LONG, "", ILK_LIMIT) < LIMIT_S); /* quadratic in the text, without any backtracking */
    CHECK(run("(.*),(.*),(.*),[xy]", "a,", LONG, "", ILK_LIMIT) < LIMIT_S);
    CHECK(run("[a-z]+|\\s", "ab cde ", LONG, "", ILK_OK) < LIMIT_S);
    CHECK(run("x", "a", LONG * 10, "b", ILK_OK) < LIMIT_S);           /* nothing matches: windows one after the other */
    CHECK(run("\\p{L}+", "\xe7\x8c\xab", 700, "", ILK_OK) < LIMIT_S); /* windows end inside of characters */
}

static void empty_matches(void)
{
    static const struct {
        const char *pattern, *text;
        size_t n;
        uint32_t ends[6];
    } cases[] = {
        {"(?=[A-Z])", "aBaB", 3, {1, 3, 4}}, {"b*", "abba", 3, {1, 3, 4}},
        {"", "abc", 3, {1, 2, 3}},           {"$", "a\nb", 2, {1, 3}},
        {"(?<=a)(?=a)", "aab", 2, {1, 3}},   {"x*$", "ab", 1, {2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_tokenizer *t = open_pattern(cases[i].pattern, ILK_OK, NULL);
        ilki_text_scratch *s = ilki_text_scratch_new();
        ilki_encoding e = {0};
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(t && s);
        CHECK_OK(ilki_text_encode(t, s, cases[i].text, strlen(cases[i].text), NULL, &e, &err), &err);
        CHECK_THAT(e.n == cases[i].n, "%s: %zu pieces", cases[i].pattern, e.n);
        for (size_t k = 0; k < e.n && k < cases[i].n; k++)
            CHECK_INT(e.spans[k].end, cases[i].ends[k]);
        ilki_text_encoding_deinit(&e);
        ilki_text_scratch_free(s);
        ilki_text_tokenizer_free(t);
    }
}

TEST_MAIN({"refuses", refuses}, {"never_hangs", never_hangs}, {"replaces_within_limits", replaces_within_limits},
          {"empty_matches", empty_matches})
