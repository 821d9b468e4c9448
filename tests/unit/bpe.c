/* SPDX-License-Identifier: Apache-2.0
 * BPE against its definition: of all pairs the one of lowest rank, leftmost on ties, merged until none is left; for
 * pieces on both sides of the length where the heap takes over. */
#include <stdlib.h>

#include "test.h"
#include "text/tokenizer.h"

static const char json[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"aa\":3,\"ab\":4,\"ca\":5,\"aaa\":6,\"aab\":7,\"caa\":8,"
    "\"bb\":9,\"abab\":10,\"aaaa\":11,\"ac\":12,\"ba\":13,\"acb\":14,\"bac\":15},\"merges\":[\"a c\",\"b a\",\"aa aa\",\"a a\","
    "\"aa b\",\"c a\",\"ac b\",\"ca a\",\"a b\",\"aa a\",\"ab ab\",\"b b\",\"b ac\"]}}";
/* "b a" waits in the heap while "a c" makes its "a" part of another pair, which is of a rank behind that of "ac b" */
static const struct {
    int32_t left, right, to;
} merges[] = {{0, 2, 12}, {1, 0, 13}, {3, 3, 11}, {0, 0, 3},  {3, 1, 7}, {2, 0, 5},  {12, 1, 14},
              {5, 0, 8},  {0, 1, 4},  {3, 0, 6},  {4, 4, 10}, {1, 1, 9}, {1, 12, 15}};

static size_t define(int32_t *ids, size_t n)
{
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t k = 0; k < sizeof merges / sizeof *merges && k < best; k++)
                if (merges[k].left == ids[i] && merges[k].right == ids[i + 1]) {
                    best = k;
                    at = i;
                }
        if (best == SIZE_MAX)
            return n;
        ids[at] = merges[best].to;
        n--;
        for (size_t i = at + 1; i < n; i++)
            ids[i] = ids[i + 1];
    }
}

static void merging(void)
{
    enum { LONGEST = 300 };
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = sizeof json - 1},
                                  .mode = ILKI_TOKENIZER_LITERAL};
    ilki_tokenizer *t = NULL;
    ilki_encoding e = {0};
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    uint32_t state = 7;
    REQUIRE(CHECK(s != NULL) && CHECK_OK(ilki_text_tokenizer_open(&t, &files, &err), &err));
    for (size_t round = 0; round < 3000; round++) {
        char text[LONGEST];
        int32_t ids[LONGEST];
        size_t n = 1 + (round < 2000 ? round % 60 : round % LONGEST), at = 0;
        for (size_t i = 0; i < n; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = "aaaabbcc"[state >> 29];
            ids[i] = text[i] - 'a';
        }
        size_t want = define(ids, n);
        REQUIRE(CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &e, &err), &err) && CHECK_INT(e.n, want));
        for (size_t i = 0; i < want; i++) {
            REQUIRE(CHECK_INT(e.ids[i], ids[i]) && CHECK_INT(e.spans[i].start, at));
            at = e.spans[i].end;
        }
        REQUIRE(CHECK_INT(at, n));
    }
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

/* Words that go window by window: two tokens that stand side by side are the encoding of what they spell, and an encoding
 * of which that is true everywhere is the one. A limit gives its first tokens. */
static void long_words(void)
{
    enum { LONG = 60000, LIMIT = 100 };
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = sizeof json - 1},
                                  .mode = ILKI_TOKENIZER_LITERAL};
    ilki_encode_options few = {.max_tokens = LIMIT};
    ilki_tokenizer *t = NULL;
    ilki_encoding e = {0}, two = {0};
    ilk_error err;
    ilk_error_init(&err);
    ilki_text_scratch *s = ilki_text_scratch_new();
    char *text = malloc(LONG);
    uint32_t state = 11;
    REQUIRE(CHECK(s && text) && CHECK_OK(ilki_text_tokenizer_open(&t, &files, &err), &err));
    for (int round = 0; round < 6; round++) {
        static const char *const letters[] = {"aaaabbcc", "aaaaaaaa", "aaaaaaab", "abababab", "aacbacbb", "abcabcab"};
        for (size_t i = 0; i < LONG; i++) {
            state = state * 1664525 + 1013904223;
            text[i] = round == 3 ? "ab"[i & 1] : letters[round][state >> 29];
        }
        REQUIRE(CHECK_OK(ilki_text_encode(t, s, text, LONG, NULL, &e, &err), &err));
        REQUIRE(CHECK_INT(e.spans[0].start, 0) && CHECK_INT(e.spans[e.n - 1].end, LONG));
        for (size_t i = 0; i + 1 < e.n; i++) {
            uint32_t at = e.spans[i].start;
            REQUIRE(CHECK_INT(e.spans[i].end, e.spans[i + 1].start));
            REQUIRE(CHECK_OK(ilki_text_encode(t, s, text + at, e.spans[i + 1].end - at, NULL, &two, &err), &err) &&
                    CHECK_INT(two.n, 2) && CHECK_INT(two.ids[0], e.ids[i]) && CHECK_INT(two.ids[1], e.ids[i + 1]));
        }
        REQUIRE(CHECK_OK(ilki_text_encode(t, s, text, LONG, &few, &two, &err), &err) && CHECK_INT(two.n, LIMIT) &&
                CHECK(two.n_dropped_more || two.n_dropped == e.n - LIMIT));
        for (size_t i = 0; i < LIMIT; i++)
            REQUIRE(CHECK_INT(two.ids[i], e.ids[i]) && CHECK_INT(two.spans[i].end, e.spans[i].end));
    }
    free(text);
    ilki_text_encoding_deinit(&e);
    ilki_text_encoding_deinit(&two);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
}

TEST_MAIN({"merging", merging}, {"long_words", long_words})
