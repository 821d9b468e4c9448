/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stdlib.h>

#include "test.h"

static void every_code_point(void)
{
    size_t n_bad = 0;
    for (uint32_t cp = 0; cp <= 0x110010; cp++) {
        char s[4] = {0};
        size_t n = ilki_base_utf8_put(cp, s), len = 0;
        bool real = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
        uint32_t want = real ? cp : 0xfffd;
        size_t want_len = want < 0x80 ? 1 : want < 0x800 ? 2 : want < 0x10000 ? 3 : 4;
        bool good = n == want_len && ilki_base_utf8_get(s, n, &len) == want && len == n && ilki_base_utf8_valid(s, n);
        for (size_t cut = 1; cut < n; cut++)
            good = good && !ilki_base_utf8_valid(s, cut) && ilki_base_utf8_floor(s, cut) == 0;
        good = good && ilki_base_utf8_floor(s, n) == n;
        if (!good && n_bad++ == 0)
            CHECK_INT(ilki_base_utf8_get(s, n, &len), want);
    }
    CHECK_INT(n_bad, 0);
}

/* What decoding gives, as code points and lengths: tables 3-8 to 3-11 of the standard and their neighbours. */
static void maximal_subparts(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *lens; /* a digit for each character: its bytes, 'n' lower-case where it is U+FFFD: a=1, b=2, c=3 */
    } rows[] = {
        {"\x80", 1, "a"},
        {"\xff", 1, "a"},
        {"\xc0\xaf", 2, "aa"},
        {"\xc1\xbf", 2, "aa"},
        {"\xc2", 1, "a"},
        {"\xc2\x41", 2, "a1"},
        {"\xe0\x80\xbf", 3, "aaa"},
        {"\xe0\x9f\xbf", 3, "aaa"},
        {"\xe0\xa0", 2, "b"},
        {"\xe0\xa0\x41", 3, "b1"},
        {"\xed\xa0\x80", 3, "aaa"},
        {"\xed\x9f\xbf", 3, "3"},
        {"\xf0\x8f\xbf\xbf", 4, "aaaa"},
        {"\xf0\x90\x80", 3, "c"},
        {"\xf0\x90\x80\x41", 4, "c1"},
        {"\xf0\x90\xf0\x90\x80\x80", 6, "b4"},
        {"\xf4\x90\x80\x80", 4, "aaaa"},
        {"\xf4\x8f\xbf\xbf", 4, "4"},
        {"\xf5\x80\x80\x80", 4, "aaaa"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", 9, "aaaaa1aa1"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9, "bacb1"},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        char *copy = malloc(rows[r].n), got[16] = {0};
        size_t used = 0, len;
        bool all_good = true;
        REQUIRE(CHECK(copy != NULL));
        memcpy(copy, rows[r].bytes, rows[r].n);
        for (size_t i = 0; i < rows[r].n; i += len) {
            bool bad = ilki_base_utf8_get(copy + i, rows[r].n - i, &len) == 0xfffd;
            got[used++] = (char)((bad ? 'a' - 1 : '0') + len);
            all_good = all_good && !bad;
        }
        CHECK_STR(got, rows[r].lens);
        CHECK_INT(ilki_base_utf8_valid(copy, rows[r].n), all_good);
        free(copy);
    }
}

/* The eight-byte path sees a bad byte at every place. */
static void valid_at_every_offset(void)
{
    char text[64];
    for (size_t n = 0; n <= sizeof text; n++) {
        memset(text, 'a', sizeof text);
        CHECK(ilki_base_utf8_valid(text, n));
        for (size_t i = 0; i < n; i++) {
            text[i] = '\x80';
            CHECK(!ilki_base_utf8_valid(text, n));
            text[i] = 'a';
        }
    }
}

static void floor_of_odd_bytes(void)
{
    CHECK_INT(ilki_base_utf8_floor("", 0), 0);
    CHECK_INT(ilki_base_utf8_floor("ab", 2), 2);
    CHECK_INT(ilki_base_utf8_floor("\x80\x80\x80\x80\x80", 5), 5);
    CHECK_INT(ilki_base_utf8_floor("a\xff", 2), 2);
    CHECK_INT(ilki_base_utf8_floor("ab\xe2\x82", 4), 2);
    CHECK_INT(ilki_base_utf8_floor("ab\xe2\x82\xac", 5), 5);
    CHECK_INT(ilki_base_utf8_floor("\xf0\x9f\x98", 3), 0);
}

TEST_MAIN({"every_code_point", every_code_point}, {"maximal_subparts", maximal_subparts},
          {"valid_at_every_offset", valid_at_every_offset}, {"floor_of_odd_bytes", floor_of_odd_bytes})
