/* SPDX-License-Identifier: Apache-2.0
 * open_clip's cleaning, after Python's html.unescape and str.split: a reference is & and #digits, #x and hex digits, or up
 * to 32 characters that are a name or begin with one, each with or without a semicolon; the longest name counts. Its ftfy
 * is not done: mojibake, curly quotes and wide letters stay as they are. No rule for a final sigma. */
#include "text/clean.h"

#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum { MAX_NAME = 32, REPLACEMENT = 0xfffd };

/* ------------------------------------------------------------------ references */

/* What HTML makes of the numbers 0x80 to 0x9f: windows-1252, where that has a character. */
static const uint16_t windows[32] = {0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
                                     0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
                                     0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                     0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

/* No character at all: the reference vanishes. */
static bool is_none(uint32_t cp)
{
    return (cp >= 1 && cp <= 8) || cp == 0xb || (cp >= 0xe && cp <= 0x1f) || cp == 0x7f ||
           (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe;
}

static void put(ilki_buf *out, uint32_t cp)
{
    char bytes[4];
    ilki_base_buf_add(out, bytes, ilki_base_utf8_put(cp, bytes));
}

static void put_number(ilki_buf *out, uint32_t cp)
{
    if (cp == 0 || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        put(out, REPLACEMENT);
    else if (cp >= 0x80 && cp <= 0x9f)
        put(out, windows[cp - 0x80]);
    else if (!is_none(cp))
        put(out, cp);
}

static int digit_of(char c, uint32_t base)
{
    int v = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : 99;
    return v < (int)base ? v : -1;
}

/* Behind "&#": the bytes taken, 0 where it is no number. */
static size_t take_number(ilki_buf *out, const char *s, size_t n)
{
    uint32_t base = n > 0 && (s[0] == 'x' || s[0] == 'X') ? 16 : 10, cp = 0;
    size_t first = base == 16, i = first;
    for (int v; i < n && (v = digit_of(s[i], base)) >= 0; i++)
        cp = cp > 0x10ffff ? cp : cp * base + (uint32_t)v;
    if (i == first)
        return 0;
    put_number(out, cp);
    return i + (i < n && s[i] == ';');
}

/* The row of this name; NULL: there is none. */
static const char *find(const char *name, size_t n)
{
    size_t lo = 0, hi = ilki_text_n_entities;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *row = (const char *)ilki_text_entities + ilki_text_entity_at[mid];
        int order = strncmp(row, name, n);
        if (order == 0 && !row[n])
            return row + n + 1;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* Behind "&": the bytes taken, 0 where no name begins there. */
static size_t take_name(ilki_buf *out, const char *s, size_t n)
{
    size_t end = 0;
    for (size_t chars = 0, len; end < n && chars < MAX_NAME && !strchr("\t\n\f <&#;", s[end]) && s[end]; chars++) {
        (void)ilki_base_utf8_get(s + end, n - end, &len);
        end += len;
    }
    end += end < n && s[end] == ';';
    const char *text = NULL;
    for (; end > 1 && !text; end -= text == NULL)
        text = find(s, end);
    if (!text)
        return 0;
    ilki_base_buf_adds(out, text);
    return end;
}

static void unescape(ilki_buf *out, const char *s, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *amp = memchr(s + at, '&', n - at);
        size_t plain = amp ? (size_t)(amp - s) - at : n - at;
        ilki_base_buf_add(out, s + at, plain);
        at += plain;
        if (!amp)
            return;
        at++;
        size_t taken = at < n && s[at] == '#' ? take_number(out, s + at + 1, n - at - 1) : 0;
        if (taken)
            taken++;
        else if (at >= n || s[at] != '#')
            taken = take_name(out, s + at, n - at);
        if (!taken)
            ilki_base_buf_add(out, "&", 1);
        at += taken;
    }
}

/* ------------------------------------------------------------------ white space and the rest */

/* As Python's str.isspace. */
static bool is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1c && cp <= 0x20) || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
           cp == 0x3000;
}

static bool is_punctuation(uint32_t cp)
{
    return (cp >= '!' && cp <= '/') || (cp >= ':' && cp <= '@') || (cp >= '[' && cp <= '`') || (cp >= '{' && cp <= '~');
}

static void put_small(ilki_buf *out, uint32_t cp)
{
    size_t n = 1;
    const uint32_t *to = ilki_text_lower(cp, &n);
    for (size_t i = 0; i < n; i++)
        put(out, to ? to[i] : cp);
}

static void squeeze(ilki_buf *out, ilki_text_cleaning how, const char *s, size_t n)
{
    bool canonical = how == ILKI_CLEAN_CANONICALIZE, begun = false, blank = false;
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t cp = ilki_base_utf8_get(s + at, n - at, &len);
        if (is_space(cp) || (canonical && cp == '_')) {
            blank = begun;
            continue;
        }
        if (canonical && is_punctuation(cp))
            continue;
        if (blank)
            ilki_base_buf_add(out, " ", 1);
        if (canonical)
            put_small(out, cp);
        else
            put(out, cp);
        begun = true;
        blank = false;
    }
}

ilk_status ilki_text_clean(ilki_buf *out, ilki_buf *between, ilki_text_cleaning how, const char *text, size_t n,
                           ilk_error *err)
{
    ilki_base_buf_reset(out);
    ilki_base_buf_reset(between);
    unescape(out, text, n);
    ilk_status st = ilki_base_buf_check(out, "a text", err);
    if (st == ILK_OK)
        unescape(between, ilki_base_buf_view(out), out->len);
    ilki_base_buf_reset(out);
    if (st == ILK_OK)
        st = ilki_base_buf_check(between, "a text", err);
    if (st == ILK_OK)
        squeeze(out, how, ilki_base_buf_view(between), between->len);
    return st == ILK_OK ? ilki_base_buf_check(out, "a text", err) : st;
}

ilk_status ilki_text_read_cleaning(ilki_text_cleaning *out, const ilki_json *j, ilk_error *err)
{
    ilki_json_node text = ilki_base_json_get(j, ilki_base_json_get(j, ilki_base_json_root(j), "model_cfg"), "text_cfg");
    ilki_json_node how = ilki_base_json_get(j, ilki_base_json_get(j, text, "tokenizer_kwargs"), "clean");
    const char *word = ilki_base_json_string(j, how, NULL);
    *out = ILKI_CLEAN_WHITESPACE;
    if (!word || strcmp(word, "whitespace") == 0 || strcmp(word, "lower") == 0) /* which the tokenizer's files do */
        return ILK_OK;
    *out = ILKI_CLEAN_CANONICALIZE;
    if (strcmp(word, "canonicalize") == 0)
        return ILK_OK;
    return ilki_base_fail(err, ILK_UNSUPPORTED,
                          "open_clip_config.json: clean: expected whitespace, lower or canonicalize, found \"%.32s\"",
                          word);
}
