/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 by the table of well-formed sequences (Unicode 15, table 3-7): the first byte fixes the length and the range of
 * the second, which is how overlong forms, surrogates and values past U+10FFFF are refused at their first byte. */
#include "base/utf8.h"

#include <string.h>

enum { REPLACEMENT = 0xfffd };

/* Length that the first byte asks for, 0 for a byte that cannot begin a character, and the range of the second. */
static size_t sequence(unsigned char first, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2)
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0) {
        if (first == 0xe0)
            *low = 0xa0;
        else if (first == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (first < 0xf5) {
        if (first == 0xf0)
            *low = 0x90;
        else if (first == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

/* Decodes one character; *len gets its bytes or those of the maximal subpart. False where it is not well-formed. */
static int decode(const unsigned char *s, size_t n, uint32_t *cp, size_t *len)
{
    unsigned char low, high;
    size_t want = sequence(s[0], &low, &high);
    *len = 1;
    if (want <= 1) {
        *cp = s[0];
        return want == 1;
    }
    uint32_t v = s[0] & (0x7fU >> want);
    for (size_t i = 1; i < want; i++) {
        if (i >= n || s[i] < low || s[i] > high) {
            *len = i;
            return 0;
        }
        v = v << 6 | (s[i] & 0x3fU);
        low = 0x80;
        high = 0xbf;
    }
    *cp = v;
    *len = want;
    return 1;
}

uint32_t ilki_base_utf8_get(const char *s, size_t n, size_t *len)
{
    uint32_t cp;
    return decode((const unsigned char *)s, n, &cp, len) ? cp : REPLACEMENT;
}

size_t ilki_base_utf8_put(uint32_t cp, char out[4])
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        cp = REPLACEMENT;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)((0xf00U >> n & 0xf0) | cp);
    return n;
}

bool ilki_base_utf8_valid(const char *s, size_t n)
{
    uint32_t cp;
    size_t i = 0, len;
    while (i < n) {
        uint64_t word;
        if (n - i >= sizeof word) {
            memcpy(&word, s + i, sizeof word);
            if (!(word & 0x8080808080808080U)) {
                i += sizeof word;
                continue;
            }
        }
        if (!decode((const unsigned char *)s + i, n - i, &cp, &len))
            return false;
        i += len;
    }
    return true;
}

size_t ilki_base_utf8_floor(const char *s, size_t n)
{
    size_t start = n;
    unsigned char low, high;
    /* three bytes behind a first one already make it whole */
    while (start > 0 && n - start < 2 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return n; /* nothing but continuation bytes: no character to cut */
    size_t want = sequence((unsigned char)s[start - 1], &low, &high);
    return want > n - (start - 1) ? start - 1 : n;
}
