/* SPDX-License-Identifier: Apache-2.0
 * See charset.h. Tables are iconv's, which libc has; the C library loads one from a file when it is first asked for, so
 * all are asked for beforehand and never given up. */
#include "charset.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

enum { PRESCAN = 4096, MAX_LABEL = 40 };

/* label as browsers know it, name that iconv knows. Labels of narrow encodings mean their wider relatives. */
static const struct {
    const char *label, *name;
} charsets[] = {
    {"iso-8859-1", "CP1252"},
    {"latin1", "CP1252"},
    {"windows-1252", "CP1252"},
    {"us-ascii", "CP1252"},
    {"ascii", "CP1252"},
    {"iso-8859-2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "CP1254"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"windows-1255", "CP1255"},
    {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},
    {"windows-1258", "CP1258"},
    {"windows-874", "CP874"},
    {"tis-620", "CP874"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"ibm866", "IBM866"},
    {"macintosh", "MACINTOSH"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"gb18030", "GB18030"},
    {"x-gbk", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"euc-jp", "EUC-JP"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"euc-kr", "UHC"},
    {"ks_c_5601-1987", "UHC"},
    {"windows-949", "UHC"},
    {"utf-16", "UTF-8"},
    {"utf-16le", "UTF-8"},
    {"utf-16be", "UTF-8"},
    {"utf-8", "UTF-8"},
    {"utf8", "UTF-8"},
};

void media_charset_prepare(void)
{
    static iconv_t
        held[sizeof charsets / sizeof *charsets]; /* until the process ends: a table in use is not unloaded */
    if (held[0])
        return;
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++) {
        char text[8], *out = text;
        char a[] = "a", *in = a;
        size_t n_in = 1, n_out = sizeof text;
        iconv_t c = held[i] = iconv_open("UTF-8", charsets[i].name);
        if (c != (iconv_t)-1)
            iconv(c, &in, &n_in, &out, &n_out);
    }
}

static const char *find(const char *label)
{
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++)
        if (strcasecmp(charsets[i].label, label) == 0)
            return charsets[i].name;
    return NULL;
}

/* The label behind "charset=" or "encoding=", whichever comes first; "" for none. */
static void declared(const unsigned char *p, size_t n, char label[MAX_LABEL])
{
    static const char *const words[] = {"charset", "encoding"};
    label[0] = '\0';
    n = n < PRESCAN ? n : PRESCAN;
    for (size_t i = 0; i < n; i++) {
        size_t w = 0, at = i;
        for (size_t k = 0; k < 2 && !w; k++)
            if (n - i > strlen(words[k]) && strncasecmp((const char *)p + i, words[k], strlen(words[k])) == 0)
                w = strlen(words[k]);
        if (!w)
            continue;
        for (at += w; at < n && isspace(p[at]); at++)
            ;
        if (at >= n || p[at] != '=')
            continue;
        for (at++; at < n && (isspace(p[at]) || p[at] == '"' || p[at] == '\''); at++)
            ;
        size_t len = 0;
        while (at < n && len < MAX_LABEL - 1 && (isalnum(p[at]) || strchr("-_:.", p[at])) && p[at])
            label[len++] = (char)p[at++];
        label[len] = '\0';
        return;
    }
}

static void put(ilki_buf *out, uint32_t cp)
{
    char u[4];
    ilki_base_buf_add(out, u, ilki_base_utf8_put(cp ? cp : 0xfffd, u));
}

static void decode_utf8(ilki_buf *out, const char *s, size_t n)
{
    if (ilki_base_utf8_valid(s, n) && !memchr(s, 0, n)) {
        ilki_base_buf_add(out, s, n);
        return;
    }
    for (size_t at = 0, len; at < n && !out->failed; at += len)
        put(out, ilki_base_utf8_get(s + at, n - at, &len));
}

static void decode_utf16(ilki_buf *out, const unsigned char *p, size_t n, bool big)
{
    for (size_t i = 0; i + 1 < n && !out->failed; i += 2) {
        uint32_t u = big ? (uint32_t)p[i] << 8 | p[i + 1] : (uint32_t)p[i + 1] << 8 | p[i], low = 0;
        if (u >= 0xd800 && u < 0xdc00 && i + 3 < n)
            low = big ? (uint32_t)p[i + 2] << 8 | p[i + 3] : (uint32_t)p[i + 3] << 8 | p[i + 2];
        if (low >= 0xdc00 && low < 0xe000) {
            u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        put(out, u);
    }
}

static void put_clean(ilki_buf *out, char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!s[i])
            s[i] = ' ';
    ilki_base_buf_add(out, s, n);
}

static bool decode_iconv(ilki_buf *out, const char *name, const unsigned char *data, size_t n)
{
    char block[4096], *in = (char *)(uintptr_t)data;
    iconv_t c = iconv_open("UTF-8", name);
    if (c == (iconv_t)-1)
        return false;
    while (n > 0 && !out->failed) {
        char *to = block;
        size_t left = sizeof block;
        size_t r = iconv(c, &in, &n, &to, &left);
        int e = errno;
        put_clean(out, block, (size_t)(to - block));
        if (r == (size_t)-1 && e != E2BIG) { /* one byte that means nothing, or an end within a character */
            put(out, 0xfffd);
            in++;
            n--;
        }
    }
    iconv_close(c);
    return true;
}

void media_charset_decode(ilki_buf *out, const unsigned char *data, size_t n)
{
    char label[MAX_LABEL];
    if (n >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        decode_utf8(out, (const char *)data + 3, n - 3);
        return;
    }
    if (n >= 2 && ((data[0] == 0xff && data[1] == 0xfe) || (data[0] == 0xfe && data[1] == 0xff))) {
        decode_utf16(out, data + 2, n - 2, data[0] == 0xfe);
        return;
    }
    declared(data, n, label);
    const char *name = *label ? find(label) : NULL;
    if (!name)
        name = ilki_base_utf8_valid((const char *)data, n) ? "UTF-8" : "CP1252";
    if (strcmp(name, "UTF-8") == 0 || !decode_iconv(out, name, data, n))
        decode_utf8(out, (const char *)data, n);
}
