/* SPDX-License-Identifier: Apache-2.0
 * JSON writer. Two words hold what the open levels are: bit i of `has` and of `object` belong to level i, level 0 being
 * the outside, where one value may stand. */
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/num.h"
#include "base/utf8.h"

enum { MAX_LEVEL = 63 };

void ilki_base_jsonw_init(ilki_jsonw *w, ilki_buf *out)
{
    *w = (ilki_jsonw){.out = out};
}

static bool is_object(const ilki_jsonw *w)
{
    return w->object >> w->depth & 1;
}

static bool has_any(const ilki_jsonw *w)
{
    return w->has >> w->depth & 1;
}

/* Before every value: the comma, and whether a value may stand here. */
static bool begin_value(ilki_jsonw *w)
{
    if (is_object(w) != w->key || (w->depth == 0 && has_any(w))) {
        ilki_base_buf_fail(w->out, ILK_BAD_ARGUMENT);
        return false;
    }
    if (!w->key && has_any(w))
        ilki_base_buf_addc(w->out, ',');
    w->key = false;
    w->has |= (uint64_t)1 << w->depth;
    return true;
}

void ilki_base_jsonw_open(ilki_jsonw *w, char bracket)
{
    if (w->depth == MAX_LEVEL || (bracket != '{' && bracket != '[')) {
        ilki_base_buf_fail(w->out, ILK_BAD_ARGUMENT);
        return;
    }
    if (!begin_value(w))
        return;
    ilki_base_buf_addc(w->out, bracket);
    uint64_t bit = (uint64_t)1 << ++w->depth;
    w->has &= ~bit;
    w->object = bracket == '{' ? w->object | bit : w->object & ~bit;
}

void ilki_base_jsonw_close(ilki_jsonw *w, char bracket)
{
    if (w->depth == 0 || w->key || bracket != (is_object(w) ? '}' : ']')) {
        ilki_base_buf_fail(w->out, ILK_BAD_ARGUMENT);
        return;
    }
    ilki_base_buf_addc(w->out, bracket);
    w->depth--;
}

/* The two-byte escape's letter, 0 where there is none. */
static char short_escape(uint32_t cp)
{
    switch (cp) {
    case '"':
    case '\\':
        return (char)cp;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_quoted(ilki_buf *out, const char *s, size_t n)
{
    ilki_base_buf_addc(out, '"');
    for (size_t i = 0, len; i < n; i += len) {
        for (len = 0; i + len < n && is_plain((unsigned char)s[i + len]);)
            len++;
        if (len) {
            ilki_base_buf_add(out, s + i, len);
            continue;
        }
        char utf8[4], letter;
        uint32_t cp = ilki_base_utf8_get(s + i, n - i, &len);
        if ((letter = short_escape(cp)))
            ilki_base_buf_add(out, (char[]){'\\', letter}, 2);
        else if (cp < 0x20 || cp == 0x2028 || cp == 0x2029)
            ilki_base_buf_addf(out, "\\u%04x", (unsigned)cp);
        else
            ilki_base_buf_add(out, utf8, ilki_base_utf8_put(cp, utf8));
    }
    ilki_base_buf_addc(out, '"');
}

void ilki_base_jsonw_key(ilki_jsonw *w, const char *key)
{
    if (!is_object(w) || w->key) {
        ilki_base_buf_fail(w->out, ILK_BAD_ARGUMENT);
        return;
    }
    if (has_any(w))
        ilki_base_buf_addc(w->out, ',');
    add_quoted(w->out, key, strlen(key));
    ilki_base_buf_addc(w->out, ':');
    w->key = true;
}

void ilki_base_jsonw_string(ilki_jsonw *w, const char *s, size_t n)
{
    if (begin_value(w))
        add_quoted(w->out, s, n);
}

void ilki_base_jsonw_cstring(ilki_jsonw *w, const char *s)
{
    if (s)
        ilki_base_jsonw_string(w, s, strlen(s));
    else
        ilki_base_jsonw_null(w);
}

void ilki_base_jsonw_uint(ilki_jsonw *w, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    if (begin_value(w))
        ilki_base_buf_add(w->out, digits + n, sizeof digits - n);
}

void ilki_base_jsonw_int(ilki_jsonw *w, int64_t v)
{
    if (v >= 0)
        ilki_base_jsonw_uint(w, (uint64_t)v);
    else if (begin_value(w))
        ilki_base_buf_addf(w->out, "%lld", (long long)v);
}

void ilki_base_jsonw_double(ilki_jsonw *w, double v)
{
    char text[ILKI_NUM_BYTES];
    if (!isfinite(v))
        ilki_base_buf_fail(w->out, ILK_NOT_FINITE);
    else if (begin_value(w))
        ilki_base_buf_add(w->out, text, ilki_base_num_print_double(v, text));
}

void ilki_base_jsonw_float(ilki_jsonw *w, float v)
{
    char text[ILKI_NUM_BYTES];
    if (!isfinite(v))
        ilki_base_buf_fail(w->out, ILK_NOT_FINITE);
    else if (begin_value(w))
        ilki_base_buf_add(w->out, text, ilki_base_num_print_float(v, text));
}

void ilki_base_jsonw_bool(ilki_jsonw *w, bool v)
{
    if (begin_value(w))
        ilki_base_buf_adds(w->out, v ? "true" : "false");
}

void ilki_base_jsonw_null(ilki_jsonw *w)
{
    if (begin_value(w))
        ilki_base_buf_adds(w->out, "null");
}
