/* SPDX-License-Identifier: Apache-2.0
 * Normalizers, normal forms and pre-tokenizers on single strings, with the places of characters. */
#include "base/utf8.h"
#include "clock.h"
#include "test.h"
#include "text/normal_form.h"
#include "text/part.h"

typedef bool apply_fn(const ilki_normalizer *p, ilki_text_scratch *s);

/* The characters of s->str as UTF-8. */
static const char *spell(const ilki_text_scratch *s, char *to, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < s->str.n && n + 5 < cap; i++)
        n += ilki_base_utf8_put(s->str.c[i].cp, to + n);
    to[n] = '\0';
    return to;
}

static void check_apply(const ilki_normalizer *p, const char *text, const char *want)
{
    char got[4096];
    ilki_text_scratch *s = ilki_text_scratch_new();
    if (CHECK(s && ilki_text_load(s, text, strlen(text), 0)) && CHECK(p->row->apply(p, s)))
        CHECK_STR(spell(s, got, sizeof got), want);
    ilki_text_scratch_free(s);
}

static void check_row(const ilki_normalizer_row *row, const char *text, const char *want)
{
    ilki_normalizer p = {.row = row};
    check_apply(&p, text, want);
}

static void normal_forms(void)
{
    check_row(&ilki_text_nfd, "plain", "plain");
    check_row(&ilki_text_nfd, "\u00e9\u0323", "e\u0323\u0301");
    check_row(&ilki_text_nfd, "\u0301\u0323x", "\u0323\u0301x"); /* marks before any starter */
    check_row(&ilki_text_nfd, "x\u0301\u0300", "x\u0301\u0300"); /* one class: the order stays */
    check_row(&ilki_text_nfd, "\uac01", "\u1100\u1161\u11a8");
    check_row(&ilki_text_nfc, "e\u0301", "\u00e9");
    check_row(&ilki_text_nfc, "e\u0323\u0301", "\u1eb9\u0301");
    check_row(&ilki_text_nfc, "a\u0315\u0300", "\u00e0\u0315"); /* a lower class does not block */
    check_row(&ilki_text_nfc, "a\u0301\u0301", "\u00e1\u0301");
    check_row(&ilki_text_nfc, "\u1100\u1161\u11a8", "\uac01");
    check_row(&ilki_text_nfc, "\u212b", "\u00c5");
    check_row(&ilki_text_nfc, "\ufb01", "\ufb01");
    check_row(&ilki_text_nfkc, "\ufb01\uff21", "fiA");
    check_row(&ilki_text_nfkd, "\u00e9\u2460", "e\u03011");
    check_row(&ilki_text_nfc, "", "");
}

/* After a reordering the places follow the output order, as in the reference. */
static void places(void)
{
    ilki_text_scratch *s = ilki_text_scratch_new();
    const char *text = "a\u0301\u0323b";
    REQUIRE(CHECK(s && ilki_text_load(s, text, strlen(text), 10) && ilki_text_normal_form(s, false, false)));
    REQUIRE(CHECK_INT(s->str.n, 4));
    CHECK_INT(s->str.c[1].cp, 0x323);
    CHECK_INT(s->str.c[1].at.start, 11);
    CHECK_INT(s->str.c[2].at.start, 13);
    CHECK_INT(s->str.c[3].at.start, 15);
    CHECK_INT(s->str.c[3].at.end, 16);
    text = "\u00e9x";
    CHECK(ilki_text_load(s, text, strlen(text), 0) && ilki_text_normal_form(s, false, false));
    CHECK_INT(s->str.n, 3);
    CHECK(s->str.c[1].at.start == 0 && s->str.c[1].at.end == 2 && s->str.c[2].at.start == 2);
    text = "e\u0301x";
    CHECK(ilki_text_load(s, text, strlen(text), 0) && ilki_text_normal_form(s, false, true));
    CHECK_INT(s->str.n, 2);
    CHECK(s->str.c[0].at.start == 0 && s->str.c[0].at.end == 1 && s->str.c[1].at.start == 3);
    ilki_text_scratch_free(s);
}

/* A long run of marks in falling classes: sorted, stably, and in linear time. */
static void many_marks(void)
{
    enum { N = 2000000 };
    ilki_text_scratch *s = ilki_text_scratch_new();
    REQUIRE(CHECK(s && ilki_text_str_reserve(&s->str, N + 2)));
    for (uint32_t i = 0; i < N; i++)
        s->str.c[i] = (ilki_text_char){i % 3 == 0 ? 0x345 : i % 3 == 1 ? 0x301 : 0x323, {i, i + 1}};
    s->str.c[N] = (ilki_text_char){'x', {N, N + 1}};
    s->str.n = N + 1;
    double start = test_thread_ms();
    CHECK(ilki_text_normal_form(s, false, true));
    CHECK(test_thread_ms() - start < 5000);
    REQUIRE(CHECK_INT(s->str.n, N + 1));
    bool sorted = true;
    for (size_t i = 0; i < N; i++)
        sorted &= s->str.c[i].cp == (i < N / 3 ? 0x323U : i < N / 3 * 2 + 1 ? 0x301U : 0x345U);
    CHECK(sorted);
    CHECK_INT(s->str.c[N].cp, 'x');
    ilki_text_scratch_free(s);
}

static void bert(void)
{
    ilki_normalizer p = {
        .row = &ilki_text_bert_normalizer, .clean = true, .chinese = true, .strip = true, .lower = true};
    check_apply(&p, "H\u00e9llo\tW\u00d6RLD\x01\u200b!", "hello world!");
    check_apply(&p, "a\u5c71b", "a \u5c71 b");
    check_apply(&p, "a\xff\xffz", "az"); /* U+FFFD is dropped */
    check_apply(&p, "\u0130", "i");
    check_apply(&p, "\uac01", "\u1100\u1161\u11a8");
    p.strip = false;
    check_apply(&p, "\u0130\u00c9\u0301A", "i\u0307\u00e9\u0301a");
    check_apply(&p, "\uac01", "\uac01");
    p.lower = p.chinese = false;
    check_apply(&p, "A\u5c71\v\u00a0\xc2\x85.", "A\u5c71 .");
    p.clean = false;
    check_apply(&p, "A\t\x01", "A\t\x01");
}

static void small_ones(void)
{
    static const uint32_t find[] = {'a', 'b'}, put[] = {'<', 0xe9, '>'};
    ilki_normalizer p = {.row = &ilki_text_replace, .find = find, .n_find = 2, .put = put, .n_put = 3};
    check_row(&ilki_text_lowercase, "\u03a3\u0391\u03a3 \u0130X", "\u03c3\u03b1\u03c3 i\u0307x");
    check_row(&ilki_text_strip_accents, "e\u0301\u0903\u00e9", "e\u00e9");
    check_apply(&p, "aabbab", "a<\u00e9>b<\u00e9>");
    p.n_put = 0;
    check_apply(&p, "abab", "");
    p = (ilki_normalizer){.row = &ilki_text_strip, .clean = true};
    check_apply(&p, " \u3000x y \t", "x y \t");
    p.strip = true;
    check_apply(&p, " \u3000x y \t", "x y");
    check_apply(&p, " \t ", "");
    p.clean = false;
    check_apply(&p, "  x ", "  x");
}

/* Pieces joined by '|'. */
static void check_split(const ilki_splitter_row *row, int behaviour, const char *text, const char *want)
{
    char got[512];
    size_t n = 0;
    ilki_splitter p = {.row = row, .behaviour = behaviour};
    ilki_text_scratch *s = ilki_text_scratch_new();
    REQUIRE(CHECK(s && ilki_text_load(s, text, strlen(text), 0)));
    CHECK(ilki_text_pieces_put(&s->pieces, 0, s->str.n) && row->apply(&p, s));
    for (size_t i = 0; i < s->pieces.n; i++) {
        if (i)
            got[n++] = '|';
        for (size_t k = 0; k < s->pieces.p[i].n; k++)
            n += ilki_base_utf8_put(s->str.c[s->pieces.p[i].first + k].cp, got + n);
    }
    got[n] = '\0';
    CHECK_STR(got, want);
    ilki_text_scratch_free(s);
}

static void splitters(void)
{
    check_split(&ilki_text_bert_splitter, 0, " Hey,  you_there\u3002\u00bf ok", "Hey|,|you|_|there|\u3002|\u00bf|ok");
    check_split(&ilki_text_bert_splitter, 0, " \u3000", "");
    check_split(&ilki_text_whitespace, 0, "a_b c!? \u00e9\u0301--", "a_b|c|!?|\u00e9\u0301|--");
    check_split(&ilki_text_whitespace_split, 0, " a, b\u00a0c ", "a,|b|c");
    check_split(&ilki_text_punctuation, 0, "a--b-", "a|b");
    check_split(&ilki_text_punctuation, 1, "a--b c-", "a|-|-|b c|-");
    check_split(&ilki_text_punctuation, 2, "-a--b-", "-|a-|-|b-");
    check_split(&ilki_text_punctuation, 3, "-a--b-", "-a|-|-b|-");
    check_split(&ilki_text_punctuation, 4, "-a--b-", "-|a|--|b|-");
}

TEST_MAIN({"normal_forms", normal_forms}, {"places", places}, {"many_marks", many_marks}, {"bert", bert},
          {"small_ones", small_ones}, {"splitters", splitters})
