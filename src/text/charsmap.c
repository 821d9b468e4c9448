/* SPDX-License-Identifier: Apache-2.0
 * Precompiled: SentencePiece's map of strings to strings, a double array over UTF-8, applied as the reference applies it
 * and not as SentencePiece does: to each grapheme cluster of less than six bytes as a whole, of which the shortest prefix
 * that the map knows decides, whatever stands behind it in the cluster; else to each character. Follows tokenizers 0.23,
 * `normalizers/precompiled.rs`, and spm_precompiled 0.1. The map comes from a file: every step is checked. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/normal_form.h"
#include "text/part.h"
#include "text/unicode.h"

enum { CLUSTER_BYTES = 6 }; /* a cluster of so many bytes or more is looked up by characters */

typedef struct charsmap {
    const unsigned char *units; /* of 4 bytes, little-endian */
    size_t n_units;
    const char *texts; /* each ends at a NUL */
    size_t n_texts;
    bool mapped[128]; /* ASCII characters that begin something in the map */
} charsmap;

/* ------------------------------------------------------------------ the map */

static uint32_t unit_at(const charsmap *m, size_t i)
{
    const unsigned char *p = m->units + 4 * i;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & 1U << 9) >> 6);
}

/* What the shortest prefix of s[0..n) that the map knows becomes; NULL where it knows none. */
static const char *look_up(const charsmap *m, const char *s, size_t n, size_t *len)
{
    size_t at = offset_of(unit_at(m, 0));
    for (size_t i = 0; i < n && s[i]; i++) {
        at ^= (unsigned char)s[i];
        if (at >= m->n_units)
            return NULL;
        uint32_t unit = unit_at(m, at);
        if ((unit & (1U << 31 | 0xff)) != (unsigned char)s[i])
            return NULL;
        at ^= offset_of(unit);
        if (!(unit >> 8 & 1))
            continue;
        size_t text = at < m->n_units ? unit_at(m, at) & 0x7fffffff : m->n_texts;
        if (text >= m->n_texts)
            return NULL;
        const char *end = memchr(m->texts + text, '\0', m->n_texts - text);
        *len = end ? (size_t)(end - m->texts) - text : m->n_texts - text;
        return m->texts + text;
    }
    return NULL;
}

/* ------------------------------------------------------------------ clusters */

static bool is_in(uint32_t cp, uint32_t first, uint32_t last)
{
    return cp >= first && cp <= last;
}

/* Leading, vowel and trailing jamo, syllables without and with a trailing one; 0: not Hangul. */
static int hangul_kind(uint32_t cp)
{
    enum { L = 1, V, T, LV, LVT };
    if (cp < 0x1100 || cp > 0xd7fb)
        return 0;
    if (is_in(cp, 0xac00, 0xd7a3))
        return (cp - 0xac00) % 28 ? LVT : LV;
    if (is_in(cp, 0x1100, 0x115f) || is_in(cp, 0xa960, 0xa97c))
        return L;
    if (is_in(cp, 0x1160, 0x11a7) || is_in(cp, 0xd7b0, 0xd7c6))
        return V;
    return is_in(cp, 0x11a8, 0x11ff) || is_in(cp, 0xd7cb, 0xd7fb) ? T : 0;
}

static bool hangul_joins(uint32_t a, uint32_t b)
{
    /* what may follow each kind, a bit per kind */
    static const uint8_t next[] = {0,     1 << 1 | 1 << 2 | 1 << 4 | 1 << 5, 1 << 2 | 1 << 3, 1 << 3, 1 << 2 | 1 << 3,
                                   1 << 3};
    return next[hangul_kind(a)] >> hangul_kind(b) & 1;
}

/* Whether c[i] goes with c[i - 1], i > first: Unicode, annex 29, as far as clusters below six bytes can tell. */
static bool joins(const ilki_text_char *c, size_t first, size_t i)
{
    uint32_t a = c[i - 1].cp, b = c[i].cp;
    if (a < 128 && b < 128)
        return a == '\r' && b == '\n';
    unsigned left = ilki_text_class_get(a).cluster, right = ilki_text_class_get(b).cluster;
    if (left == ILKI_CLUSTER_CONTROL || right == ILKI_CLUSTER_CONTROL)
        return false;
    if (right == ILKI_CLUSTER_JOIN || left == ILKI_CLUSTER_PREPEND)
        return true;
    if (right == ILKI_CLUSTER_PICT)
        return a == 0x200d && i >= first + 2 && ilki_text_class_get(c[i - 2].cp).cluster == ILKI_CLUSTER_PICT;
    return b >= 0x1100 && hangul_joins(a, b);
}

/* ------------------------------------------------------------------ apply */

/* `n_old` characters become those of a text: they take their places one by one, what is more shares the last one's, and
 * where they are less the last takes the rest along. */
static bool put_text(ilki_text_scratch *s, const char *text, size_t n, size_t n_old)
{
    ilki_text_marks *m = &s->marks;
    size_t first = m->n, count = 0;
    s->too_long = m->n + n > s->max_chars;
    if (s->too_long || !ilki_text_marks_reserve(m, m->n + n))
        return false;
    for (size_t i = 0, len; i < n; i += len, count++)
        m->m[m->n++] = (ilki_text_mark){.cp = ilki_base_utf8_get(text + i, n - i, &len)};
    for (size_t i = n_old; i < count; i++)
        m->m[first + i].change = 1;
    if (count < n_old && m->n)
        m->m[m->n - 1].change += (int32_t)count - (int32_t)n_old;
    return true;
}

static bool put_char(ilki_text_scratch *s, uint32_t cp)
{
    ilki_text_marks *m = &s->marks;
    if (!ilki_text_marks_reserve(m, m->n + 1))
        return false;
    m->m[m->n++] = (ilki_text_mark){.cp = cp};
    return true;
}

/* One cluster, s->str.c[first .. end). */
static bool put_cluster(const charsmap *m, ilki_text_scratch *s, size_t first, size_t end)
{
    const ilki_text_char *c = s->str.c;
    char bytes[CLUSTER_BYTES + 4];
    size_t n = 0, len;
    for (size_t i = first; i < end && n < CLUSTER_BYTES; i++)
        n += ilki_base_utf8_put(c[i].cp, bytes + n);
    const char *to = n < CLUSTER_BYTES ? look_up(m, bytes, n, &len) : NULL;
    if (to)
        return put_text(s, to, len, end - first);
    for (size_t i = first; i < end; i++) {
        bool beyond = c[i].cp >= 128 || m->mapped[c[i].cp];
        to = beyond ? look_up(m, bytes, ilki_base_utf8_put(c[i].cp, bytes), &len) : NULL;
        if (to ? !put_text(s, to, len, 1) : !put_char(s, c[i].cp))
            return false;
    }
    return true;
}

/* Whether a cluster is looked up as a whole: then one more character may change what becomes of it. */
static bool is_small(const ilki_text_char *c, size_t n)
{
    char bytes[4];
    size_t size = 0;
    for (size_t i = 0; i < n && size < CLUSTER_BYTES; i++)
        size += ilki_base_utf8_put(c[i].cp, bytes);
    return size < CLUSTER_BYTES;
}

static bool charsmap_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    const charsmap *m = p->state;
    const ilki_text_str *str = &s->str;
    size_t i = 0;
    while (i < str->n && str->c[i].cp < 128 && !m->mapped[str->c[i].cp])
        i++;
    if (i == str->n) {
        s->str.n -= s->goes_on && i > 0;
        return true;
    }
    s->marks.n = 0;
    if (!ilki_text_marks_reserve(&s->marks, str->n))
        return false;
    for (i = 0; i < str->n;) {
        size_t end = i + 1;
        while (end < str->n && joins(str->c, i, end))
            end++;
        if (s->goes_on && end == str->n && is_small(str->c + i, end - i))
            break;
        if (end == i + 1 && str->c[i].cp < 128 && !m->mapped[str->c[i].cp]) {
            if (!put_char(s, str->c[i].cp))
                return false;
        } else if (!put_cluster(m, s, i, end)) {
            return false;
        }
        i = end;
    }
    s->marks.n -= s->goes_on && s->marks.n > 0; /* characters that vanish behind it may yet change its place */
    return ilki_text_take_places(s);
}

/* ------------------------------------------------------------------ set-up */

ilk_status ilki_text_charsmap_new(ilki_normalizer *p, const char *map, size_t n, const ilki_text_reader *r)
{
    charsmap *m = ilki_base_arena_alloc(r->arena, 1, sizeof *m);
    char *copy = ilki_base_arena_strndup(r->arena, map, n);
    if (!m || !copy)
        return ilki_base_fail_memory(r->err, n, "a precompiled charsmap");
    m->units = (const unsigned char *)copy + 4;
    uint32_t bytes = 0;
    for (size_t i = 0; n >= 4 && i < 4; i++)
        bytes |= (uint32_t)(unsigned char)copy[i] << 8 * i;
    if (n < 8 || bytes < 4 || bytes > n - 4)
        return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                              "%s: precompiled_charsmap: a trie of %u bytes in a map of %zu bytes", r->name, bytes, n);
    m->n_units = bytes / 4;
    m->texts = copy + 4 + 4 * m->n_units;
    m->n_texts = n - 4 - 4 * m->n_units;
    if (!ilki_base_utf8_valid(m->texts, m->n_texts))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: precompiled_charsmap: its texts are not valid UTF-8",
                              r->name);
    for (unsigned c = 1; c < 128; c++) {
        size_t at = offset_of(unit_at(m, 0)) ^ c;
        m->mapped[c] = at < m->n_units && (unit_at(m, at) & (1U << 31 | 0xff)) == c;
    }
    *p = (ilki_normalizer){.row = &ilki_text_precompiled, .local = true, .state = m};
    return ILK_OK;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes of base64 at `to`, which has room for 3/4 of n; false where it is not base64 with its padding. */
static bool decode_base64(const char *s, size_t n, char *to, size_t *n_to)
{
    size_t pad = n && s[n - 1] == '=' ? (n > 1 && s[n - 2] == '=' ? 2 : 1) : 0;
    uint32_t bits = 0;
    *n_to = 0;
    if (n % 4 != 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        int digit = i < n - pad ? base64_digit(s[i]) : 0;
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        for (int k = 2; i % 4 == 3 && k >= 0; k--)
            to[(*n_to)++] = (char)(bits >> 8 * k & 0xff);
    }
    *n_to -= pad;
    return true;
}

static ilk_status charsmap_read(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node)
{
    const char *text;
    size_t n;
    ilk_status status = ilki_text_read_string(r, node, "precompiled_charsmap", "", &text, &n);
    if (status)
        return status;
    char *bytes = ilki_base_zalloc(n / 4 * 3 + 1, 1);
    if (!bytes)
        return ilki_base_fail_memory(r->err, n, "a precompiled charsmap");
    if (decode_base64(text, n, bytes, &n))
        status = ilki_text_charsmap_new(p, bytes, n, r);
    else
        status = ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: precompiled_charsmap: not base64", r->name);
    free(bytes);
    return status;
}
const ilki_normalizer_row ilki_text_precompiled = {
    .type = "Precompiled", .local = true, .read = charsmap_read, .apply = charsmap_apply};
