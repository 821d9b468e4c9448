/* SPDX-License-Identifier: Apache-2.0
 * WordPiece, its vocabulary and its trie. */
#include <stdlib.h>

#include "random.h"
#include "test.h"
#include "text/part.h"

static const char *const words[] = {"[UNK]", "a",     "b",      "ab", "abc", "##c",    "##cd",    "##d",
                                    "un",    "##aff", "##able", "##", "c",   "\u00e9", "##\u00e9"};

static ilk_status fill(ilki_vocab *v, ilk_error *err)
{
    ilk_status status = ILK_OK;
    ilki_text_vocab_init(v);
    for (size_t i = 0; i < sizeof words / sizeof *words && !status; i++)
        status = ilki_text_vocab_add(v, words[i], strlen(words[i]), (int64_t)i, "test", err);
    return status;
}

static void check_word(const void *state, const ilki_vocab *v, const char *word, const char *want)
{
    char got[1024];
    size_t n = 0;
    ilki_text_tokens out = {0};
    ilki_text_scratch *s = ilki_text_scratch_new();
    REQUIRE(CHECK(s && ilki_text_load(s, word, strlen(word), 0)));
    CHECK(ilki_text_wordpiece.encode(state, v, s, s->str.c, s->str.n, &out));
    got[0] = '\0';
    for (size_t i = 0; i < out.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s:%u-%u", i ? " " : "", v->strings[out.ids[i]],
                              out.spans[i].start, out.spans[i].end);
    CHECK_STR(got, want);
    free(out.ids);
    free(out.spans);
    ilki_text_scratch_free(s);
}

static void pieces(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_vocab v;
    ilki_arena arena = {0};
    ilki_text_reader r = {.arena = &arena, .name = "test", .err = &err};
    void *state = NULL;
    REQUIRE(CHECK_OK(fill(&v, &err), &err));
    REQUIRE(CHECK_OK(ilki_text_wordpiece_new(&state, &v, "[UNK]", 5, &r), &err));
    check_word(state, &v, "abc", "abc:0-3");
    check_word(state, &v, "abcd", "abc:0-3 ##d:3-4");
    check_word(state, &v, "acd", "a:0-1 ##cd:1-3");
    check_word(state, &v, "acc", "a:0-1 ##c:1-2 ##c:2-3");
    check_word(state, &v, "unaffable", "un:0-2 ##aff:2-5 ##able:5-9");
    check_word(state, &v, "unaffablex", "[UNK]:0-10"); /* what was found of it is taken back */
    check_word(state, &v, "x", "[UNK]:0-1");
    check_word(state, &v, "ba", "[UNK]:0-2"); /* "a" begins words only */
    check_word(state, &v, "##c", "##c:0-3");  /* a first piece may look like a continuation */
    check_word(state, &v, "##", "##:0-2");
    check_word(state, &v, "a\u00e9d", "a:0-1 ##\u00e9:1-3 ##d:3-4");
    CHECK_STATUS(ilki_text_wordpiece_new(&state, &v, "[X]", 3, &r), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "[X]") != NULL);
    ilki_text_vocab_deinit(&v);
    ilki_base_arena_deinit(&arena);
}

static void limits(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_vocab v;
    ilki_arena arena = {0};
    ilki_text_reader r = {.arena = &arena, .name = "test", .err = &err};
    void *state = NULL;
    char word[102];
    REQUIRE(CHECK_OK(fill(&v, &err), &err));
    REQUIRE(CHECK_OK(ilki_text_wordpiece_new(&state, &v, "[UNK]", 5, &r), &err));
    memset(word, 'c', sizeof word);
    ilki_text_tokens out = {0};
    CHECK(ilki_text_wordpiece.encode_ascii(state, &v, word, 100, 7, false, &out));
    CHECK_INT(out.n, 100);
    CHECK_INT(out.spans[99].end, 107);
    out.n = 0;
    CHECK(ilki_text_wordpiece.encode_ascii(state, &v, word, 101, 7, false, &out));
    REQUIRE(CHECK_INT(out.n, 1));
    CHECK_INT(out.ids[0], 0);
    CHECK_INT(out.spans[0].end, 108);
    out.n = 0;
    CHECK(ilki_text_wordpiece.encode_ascii(state, &v, "ABC", 3, 0, true, &out));
    CHECK_INT(out.ids[0], 4);
    CHECK(ilki_text_wordpiece.encode_ascii(state, &v, "ABC", 3, 0, false, &out));
    CHECK_INT(out.ids[1], 0);
    free(out.ids);
    free(out.spans);
    ilki_text_vocab_deinit(&v);
    ilki_base_arena_deinit(&arena);
}

static void vocabulary(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_vocab v;
    ilki_text_vocab_init(&v);
    CHECK_INT(ilki_text_vocab_get(&v, "a", 1), -1);
    CHECK_OK(ilki_text_vocab_add(&v, "a", 1, 0, "f", &err), &err);
    CHECK_OK(ilki_text_vocab_add(&v, "ab", 2, 5, "f", &err), &err);
    CHECK_OK(ilki_text_vocab_add(&v, "a", 1, 3, "f", &err), &err); /* the last id counts */
    CHECK_OK(ilki_text_vocab_add(&v, "", 0, 4, "f", &err), &err);
    CHECK_OK(ilki_text_vocab_add(&v, "\0b", 2, 7, "f", &err), &err);
    CHECK_INT(ilki_text_vocab_get(&v, "a", 1), 3);
    CHECK_INT(ilki_text_vocab_get(&v, "ab", 2), 5);
    CHECK_INT(ilki_text_vocab_get(&v, "", 0), 4);
    CHECK_INT(ilki_text_vocab_get(&v, "\0b", 2), 7);
    CHECK_INT(ilki_text_vocab_get(&v, "\0", 1), -1); /* only a beginning */
    CHECK(v.strings[0] == NULL && v.strings[1] == NULL && v.n == 8 && v.n_strings == 4);
    CHECK_STATUS(ilki_text_vocab_add(&v, "x", 1, -1, "file", &err), ILK_LIMIT, &err);
    CHECK_STATUS(ilki_text_vocab_add(&v, "x", 1, ILKI_TEXT_MAX_ID + 1, "file", &err), ILK_LIMIT, &err);
    CHECK(strstr(err.message, "file") != NULL);
    ilki_text_vocab_deinit(&v);
}

/* The trie against a plain search over a thousand strings of three letters. */
static void trie(void)
{
    enum { N = 1000 };
    static uint32_t strings[N][6];
    static size_t lengths[N];
    ilki_text_trie t = {0};
    uint64_t state = 7;
    int32_t old;
    for (size_t i = 0; i < N; i++) {
        lengths[i] = 1 + test_random(&state) % 6;
        for (size_t k = 0; k < lengths[i]; k++)
            strings[i][k] = 0x10fffd + (uint32_t)(test_random(&state) % 3);
        REQUIRE(CHECK(ilki_text_trie_add(&t, strings[i], lengths[i], (int32_t)i, &old)));
        for (size_t j = i; old >= 0 && j-- > 0;)
            if (lengths[j] == lengths[i] && memcmp(strings[j], strings[i], lengths[i] * 4) == 0) {
                CHECK_INT(old, j);
                break;
            }
    }
    for (size_t i = 0; i < N; i++) {
        uint32_t node = 0;
        const ilki_text_edge *e = NULL;
        for (size_t k = 0; k < lengths[i]; k++) {
            e = ilki_text_trie_step(&t, node, strings[i][k]);
            REQUIRE(CHECK(e != NULL));
            node = e->node;
        }
        size_t last = i;
        for (size_t j = i + 1; j < N; j++)
            if (lengths[j] == lengths[i] && memcmp(strings[j], strings[i], lengths[i] * 4) == 0)
                last = j;
        CHECK_INT(e->id, last);
        CHECK(!ilki_text_trie_step(&t, node, 'x'));
    }
    ilki_text_trie_deinit(&t);
    CHECK(!ilki_text_trie_step(&t, 0, 'x'));
}

TEST_MAIN({"pieces", pieces}, {"limits", limits}, {"vocabulary", vocabulary}, {"trie", trie})
