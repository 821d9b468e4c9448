/* SPDX-License-Identifier: Apache-2.0
 * The Unicode tables: what is known of single characters, and that the tables agree with each other. That they agree
 * with the reference over all code points is golden/unicode-tables. */
#include "text/unicode.h"

#include "test.h"

static bool has(uint32_t cp, unsigned flag)
{
    return (ilki_text_flags(cp) & flag) != 0;
}

static void classes(void)
{
    static const uint32_t other[] = {0,      1,      0xb,    0xc,    0x7f,   0x85,    0xad,
                                     0x200b, 0x200d, 0xfeff, 0xfffd, 0xe000, 0x10fffd};
    static const uint32_t not_other[] = {'\t', '\n', '\r', ' ', 'a', 0xa0, 0x0378 /* unassigned */, 0x2028};
    static const uint32_t space[] = {'\t', '\n',   0xb,    0xc,    '\r',   ' ',   0x85,
                                     0xa0, 0x1680, 0x2000, 0x200a, 0x2028, 0x3000};
    static const uint32_t not_space[] = {0x1c, 0x180e, 0x200b, 0xfeff, 'x'};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        CHECK(has(other[i], ILKI_UNI_OTHER));
    for (size_t i = 0; i < sizeof not_other / sizeof *not_other; i++)
        CHECK(!has(not_other[i], ILKI_UNI_OTHER));
    for (size_t i = 0; i < sizeof space / sizeof *space; i++)
        CHECK(has(space[i], ILKI_UNI_SPACE));
    for (size_t i = 0; i < sizeof not_space / sizeof *not_space; i++)
        CHECK(!has(not_space[i], ILKI_UNI_SPACE));
    for (uint32_t c = 33; c < 127; c++)
        CHECK_INT(has(c, ILKI_UNI_PUNCT), c <= 47 || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || c >= 123);
    CHECK(has(0x3002, ILKI_UNI_PUNCT) && has(0xbf, ILKI_UNI_PUNCT) && !has(0xa9, ILKI_UNI_PUNCT));
    CHECK(!has(0x2e52, ILKI_UNI_PUNCT)); /* Unicode 14: the reference does not know it */
    CHECK(has(0x301, ILKI_UNI_MN) && !has(0x903, ILKI_UNI_MN) && has(0x903, ILKI_UNI_MARK));
    CHECK(has('_', ILKI_UNI_WORD) && has(0x301, ILKI_UNI_WORD) && !has('-', ILKI_UNI_WORD) &&
          has(0x200d, ILKI_UNI_WORD));
    CHECK_INT(ilki_text_class_get(0x301).ccc, 230);
    CHECK_INT(ilki_text_class_get(0x323).ccc, 220);
    CHECK_INT(ilki_text_class_get(0x345).ccc, 240);
    CHECK_INT(ilki_text_class_get(0x334).ccc, 1);
    CHECK_INT(ilki_text_class_get('a').ccc, 0);
    CHECK_INT(ilki_text_class_get(0x10ffff).ccc, 0);
}

static void chinese(void)
{
    static const uint32_t in[] = {0x4e00, 0x9fff, 0x3400, 0x4dbf, 0x20000, 0x2a6df, 0x2b740, 0x2b81f, 0x2b920, 0xf900};
    static const uint32_t out[] = {0x33ff, 0x4dc0, 0xa000, 0x3042, 0xac00, 0x2b820, 0x2b91f, 0x2cead + 3, 0x3000};
    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        CHECK(ilki_text_is_chinese(in[i]));
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        CHECK(!ilki_text_is_chinese(out[i]));
}

static void lower(void)
{
    size_t n = 0;
    const uint32_t *to = ilki_text_lower(0x130, &n);
    REQUIRE(CHECK(to != NULL));
    CHECK_INT(n, 2);
    CHECK(to[0] == 'i' && to[1] == 0x307);
    to = ilki_text_lower(0x1e9e, &n);
    CHECK(to && n == 1 && to[0] == 0xdf);
    to = ilki_text_lower(0x3a3, &n);
    CHECK(to && n == 1 && to[0] == 0x3c3);
    CHECK(!ilki_text_lower('a', &n) && !ilki_text_lower(0x17f, &n) && !ilki_text_lower(0x10ffff, &n));
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        to = ilki_text_lower(cp, &n);
        if (!CHECK((to != NULL) == has(cp, ILKI_UNI_LOWER)))
            return;
        for (size_t i = 0; to && i < n; i++)
            CHECK(!has(to[i], ILKI_UNI_LOWER)); /* lowering twice changes nothing: normalise.c stands on it */
    }
}

static void decompositions(void)
{
    size_t n = 0, m = 0, n_composed = 0;
    const uint32_t *to = ilki_text_decompose(0x1ed8, false, &n); /* O with circumflex and dot below */
    CHECK(to && n == 3 && to[0] == 'O' && to[1] == 0x323 && to[2] == 0x302);
    to = ilki_text_decompose(0xfb01, true, &n);
    CHECK(to && n == 2 && to[0] == 'f' && to[1] == 'i');
    CHECK(!ilki_text_decompose(0xfb01, false, &n));
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        to = ilki_text_decompose(cp, false, &n);
        const uint32_t *compat = ilki_text_decompose(cp, true, &m);
        if ((to || compat) && !CHECK(has(cp, ILKI_UNI_NORM)))
            return;
        for (size_t i = 0; to && i < n; i++)
            CHECK(!ilki_text_decompose(to[i], false, &m)); /* full */
        if (to && n == 2) {
            uint32_t back = ilki_text_compose(to[0], to[1]);
            n_composed += back == cp;
            CHECK(back == 0 || has(to[1], ILKI_UNI_NORM));
            CHECK(back == 0 || back == cp || ilki_text_decompose(back, false, &m)); /* a singleton, as U+212B */
        }
    }
    CHECK(n_composed > 600);
    CHECK_INT(ilki_text_compose('a', 'b'), 0);
    CHECK_INT(ilki_text_compose(0x915, 0x93c), 0); /* excluded from composition */
}

static void hangul(void)
{
    uint32_t jamo[3];
    for (uint32_t cp = 0xac00; cp < 0xac00 + 11172; cp++) {
        size_t n = ilki_text_decompose_hangul(cp, jamo);
        uint32_t back = ilki_text_compose(jamo[0], jamo[1]);
        if (n == 3)
            back = ilki_text_compose(back, jamo[2]);
        if (!CHECK(n >= 2 && back == cp && has(cp, ILKI_UNI_NORM) && has(jamo[1], ILKI_UNI_NORM)))
            return;
    }
    CHECK_INT(ilki_text_decompose_hangul(0xabff, jamo), 0);
    CHECK_INT(ilki_text_decompose_hangul(0xac00 + 11172, jamo), 0);
    CHECK_INT(ilki_text_compose(0xac01, 0x11a8), 0); /* has a final already */
    CHECK_INT(ilki_text_compose(0xac00, 0x11a7), 0);
}

TEST_MAIN({"classes", classes}, {"chinese", chinese}, {"lower", lower}, {"decompositions", decompositions},
          {"hangul", hangul})
