/* SPDX-License-Identifier: Apache-2.0
 * Text on a terminal: widths, wrapping, and nothing that could steer it. Widths are those of libc's C.UTF-8, which is
 * loaded on first use only, as a locale of this call and not of the process; without it, a short table of wide ranges. */
#include <locale.h>
#include <string.h>
#include <wchar.h>

#include "base/utf8.h"
#include "cli.h"

static const struct range {
    uint32_t first, last;
} wide[] = {{0x1100, 0x115f}, {0x2e80, 0x303e},   {0x3041, 0x33ff},   {0x3400, 0x4dbf},  {0x4e00, 0x9fff},
            {0xa000, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},  {0xff00, 0xff60},
            {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}},
  zero[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
            {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};

static bool within(const struct range *r, size_t n, uint32_t cp)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].first && cp <= r[i].last)
            return true;
    return false;
}

/* Cells of one character, by the table above. */
static size_t plain_cells(uint32_t cp)
{
    return within(zero, sizeof zero / sizeof *zero, cp) ? 0 : 1 + within(wide, sizeof wide / sizeof *wide, cp);
}

/* Loaded once; a locale is costly to load, and the process ends soon. */
static locale_t begin_locale(locale_t *before)
{
    static locale_t loaded;
    static bool tried;
    if (!tried)
        loaded = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    tried = true;
    *before = loaded ? uselocale(loaded) : (locale_t)0;
    return loaded;
}

static void end_locale(locale_t l, locale_t before)
{
    if (l)
        uselocale(before);
}

static size_t cells_of(uint32_t cp, locale_t l)
{
    if (cp < 0x300)
        return 1;
    int w = l ? wcwidth((wchar_t)cp) : -1;
    return w >= 0 ? (size_t)w : plain_cells(cp);
}

size_t cli_cells(const char *s, size_t n)
{
    size_t cells = 0, len;
    locale_t before, l = begin_locale(&before);
    for (size_t i = 0; i < n; i += len)
        cells += cells_of(ilki_base_utf8_get(s + i, n - i, &len), l);
    end_locale(l, before);
    return cells;
}

size_t cli_fit(const char *s, size_t n, size_t cells)
{
    size_t used = 0, i = 0, len;
    locale_t before, l = begin_locale(&before);
    for (; i < n; i += len) {
        used += cells_of(ilki_base_utf8_get(s + i, n - i, &len), l);
        if (used > cells)
            break;
    }
    end_locale(l, before);
    return i;
}

size_t cli_wrap(const char *s, size_t n, size_t cells, size_t *next)
{
    size_t fit = cli_fit(s, n, cells), cut = fit, len;
    if (fit == 0 && n > 0)
        ilki_base_utf8_get(s, n, &fit); /* a wide character on a terminal of one column */
    if (fit >= n || s[fit] == ' ') {
        cut = fit;
    } else {
        /* back to a blank, or to a border of a wide character; a word that is longer than the line is cut */
        for (cut = fit; cut > 0; cut--) {
            if (s[cut - 1] == ' ')
                break;
            if ((s[cut] & 0xc0) == 0x80)
                continue;
            if (plain_cells(ilki_base_utf8_get(s + cut, n - cut, &len)) == 2)
                break;
        }
        if (cut == 0)
            cut = fit;
    }
    *next = cut;
    while (*next < n && s[*next] == ' ')
        ++*next;
    while (cut > 0 && s[cut - 1] == ' ')
        cut--;
    return cut;
}

/* Characters that reorder or hide what stands beside them. */
static bool steers(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0x202a && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x200e || cp == 0x200f || cp == 0x61c || cp == 0xfeff;
}

void cli_escape(ilki_buf *b, const char *s, size_t n, const char *keep)
{
    size_t len, from = 0;
    for (size_t i = 0; i < n; i += len) {
        uint32_t cp = ilki_base_utf8_get(s + i, n - i, &len);
        bool invalid = cp == 0xfffd && memcmp(s + i, "\xef\xbf\xbd", len < 3 ? len : 3) != 0;
        if (cp == 0xfffd && len < 3)
            invalid = true;
        if (!invalid && !(steers(cp) && !(cp && cp < 0x80 && strchr(keep, (int)cp))))
            continue;
        ilki_base_buf_add(b, s + from, i - from);
        if (cp >= 0x80 && !invalid)
            ilki_base_buf_addf(b, "\\u%04x", (unsigned)cp);
        else
            for (size_t k = 0; k < len; k++)
                ilki_base_buf_addf(b, "\\x%02x", (unsigned)(unsigned char)s[i + k]);
        from = i + len;
    }
    ilki_base_buf_add(b, s + from, n - from);
}

void cli_escape_tsv(ilki_buf *b, const char *s, size_t n)
{
    static const char from[] = "\t\n\r\\", to[] = "tnr\\";
    for (size_t i = 0; i < n; i++) {
        const char *at = s[i] ? strchr(from, s[i]) : NULL;
        if (at)
            ilki_base_buf_addf(b, "\\%c", to[at - from]);
        else
            ilki_base_buf_addc(b, s[i] ? s[i] : ' ');
    }
}

void cli_quote(ilki_buf *b, const char *s)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-";
    if (*s && s[strspn(s, safe)] == 0) {
        ilki_base_buf_adds(b, s);
        return;
    }
    ilki_base_buf_addc(b, '\'');
    for (; *s; s++)
        if (*s == '\'')
            ilki_base_buf_adds(b, "'\\''");
        else
            ilki_base_buf_addc(b, *s);
    ilki_base_buf_addc(b, '\'');
}
