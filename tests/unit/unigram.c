/* SPDX-License-Identifier: Apache-2.0
 * Unigram against its definition: the way of the largest sum, for texts of many windows; limits; a text whose first token
 * depends on its last character. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"
#include "text/tokenizer.h"

static const char json[] =
    "{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-3],[\"b\",-3.25],"
    "[\"ab\",-4.5],[\"ba\",-4.75],[\"aba\",-6],[\"bb\",-6.5],[\"aaaa\",-7],[\"abab\",-8.5]]}}";
static const struct {
    const char *token;
    double score;
} vocab[] = {{"", 0},     {"a", -3},    {"b", -3.25}, {"ab", -4.5},  {"ba", -4.75},
             {"aba", -6}, {"bb", -6.5}, {"aaaa", -7}, {"abab", -8.5}};
enum { N_VOCAB = 9, LONG = 50000, LIMIT = 64 };

/* Ids of the best way over a's and b's. */
static size_t define(const char *text, size_t n, int32_t *ids)
{
    double *score = malloc((n + 1) * sizeof *score);
    int32_t *last = malloc((n + 1) * sizeof *last);
    size_t count = 0;
    score[0] = 0;
    for (size_t i = 1; i <= n; i++) {
        score[i] = -INFINITY;
        for (size_t len = i < 4 ? i : 4; len > 0; len--) /* of equal ones the first found: the earlier beginning */
            for (int32_t k = 1; k < N_VOCAB; k++)
                if (strlen(vocab[k].token) == len && memcmp(vocab[k].token, text + i - len, len) == 0 &&
                    score[i - len] + vocab[k].score > score[i]) {
                    score[i] = score[i - len] + vocab[k].score;
                    last[i] = k;
                }
    }
    for (size_t at = n; at > 0; at -= strlen(vocab[last[at]].token))
        ids[count++] = last[at];
    for (size_t i = 0; i < count / 2; i++) {
        int32_t x = ids[i];
        ids[i] = ids[count - 1 - i];
        ids[count - 1 - i] = x;
    }
    free(score);
    free(last);
    return count;
}

static void check_text(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n)
{
    ilki_encode_options few = {.max_tokens = LIMIT};
    ilki_encoding e = {0};
    ilk_error err;
    int32_t *ids = malloc(n * sizeof *ids);
    ilk_error_init(&err);
    size_t want = define(text, n, ids);
    CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &e, &err), &err);
    CHECK_INT(e.n, want);
    CHECK(e.n == want && memcmp(e.ids, ids, want * sizeof *ids) == 0);
    CHECK_OK(ilki_text_encode(t, s, text, n, &few, &e, &err), &err);
    CHECK(e.n == LIMIT && memcmp(e.ids, ids, LIMIT * sizeof *ids) == 0);
    ilki_text_encoding_deinit(&e);
    free(ids);
}

static void long_words(void)
{
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = sizeof json - 1},
                                  .mode = ILKI_TOKENIZER_LITERAL};
    ilki_tokenizer *t = NULL;
    ilk_error err;
    char *text = malloc(LONG);
    uint32_t state = 5;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    REQUIRE(CHECK(s && text) && CHECK_OK(ilki_text_tokenizer_open(&t, &files, &err), &err));
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < LONG; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = round == 3 ? "ab"[i & 1] : round == 2 ? 'a' : "aaabbaab"[state >> 29];
        }
        for (size_t n = LONG - 5; n <= LONG; n++)
            check_text(t, s, text, n);
    }
    free(text);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

TEST_MAIN({"long_words", long_words})
