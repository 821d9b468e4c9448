/* SPDX-License-Identifier: Apache-2.0
 * The normalizers: each rewrites s->str, and every character keeps the place it came from. Follows tokenizers 0.23,
 * `normalizers/`. */
#include <string.h>

#include "text/normal_form.h"
#include "text/part.h"
#include "text/unicode.h"

/* ------------------------------------------------------------------ filters and maps */

/* Keeps the characters that have none of the flags. */
static void drop(ilki_text_str *s, unsigned flags)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!(ilki_text_flags(s->c[i].cp) & flags))
            s->c[n++] = s->c[i];
    s->n = n;
}

/* Lower case character by character: no final-sigma rule. Only U+0130 gives two. */
static bool lower(ilki_text_scratch *s)
{
    ilki_text_str *str = &s->str;
    size_t more = 0, n;
    for (size_t i = 0; i < str->n; i++) {
        uint32_t cp = str->c[i].cp;
        if (cp < 128) {
            str->c[i].cp = cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
        } else if (ilki_text_flags(cp) & ILKI_UNI_LOWER) {
            const uint32_t *to = ilki_text_lower(cp, &n);
            if (n == 1)
                str->c[i].cp = to[0];
            else
                more += n - 1;
        }
    }
    if (!more)
        return true;
    s->spare.n = 0;
    if (!ilki_text_str_reserve(&s->spare, str->n + more))
        return false;
    for (size_t i = 0; i < str->n; i++) {
        const uint32_t *to = ilki_text_lower(str->c[i].cp, &n); /* now only of what gives several */
        for (size_t k = 0; to && k < n; k++)
            s->spare.c[s->spare.n++] = (ilki_text_char){to[k], str->c[i].at};
        if (!to)
            s->spare.c[s->spare.n++] = str->c[i];
    }
    ilki_text_swap_strs(s);
    return true;
}

/* ------------------------------------------------------------------ BertNormalizer */

/* Control characters go, white space becomes U+0020. */
static void clean(ilki_text_str *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        ilki_text_char c = s->c[i];
        unsigned flags = ilki_text_flags(c.cp);
        if (flags & ILKI_UNI_OTHER)
            continue; /* U+000B and U+000C too, although they are white space */
        if (flags & ILKI_UNI_SPACE)
            c.cp = ' ';
        s->c[n++] = c;
    }
    s->n = n;
}

/* A space on both sides of every ideograph, at the ideograph's own place. */
static bool space_chinese(ilki_text_scratch *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->str.n; i++)
        n += ilki_text_is_chinese(s->str.c[i].cp);
    if (!n)
        return true;
    s->spare.n = 0;
    if (!ilki_text_str_reserve(&s->spare, s->str.n + 2 * n))
        return false;
    ilki_text_char *to = s->spare.c;
    for (size_t i = 0; i < s->str.n; i++) {
        ilki_text_char c = s->str.c[i];
        bool chinese = ilki_text_is_chinese(c.cp);
        if (chinese)
            *to++ = (ilki_text_char){' ', c.at};
        *to++ = c;
        if (chinese)
            *to++ = (ilki_text_char){' ', c.at};
    }
    s->spare.n = (size_t)(to - s->spare.c);
    ilki_text_swap_strs(s);
    return true;
}

static bool bert_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    if (p->clean)
        clean(&s->str);
    if (p->chinese && !space_chinese(s))
        return false;
    if (p->strip) {
        if (!ilki_text_normal_form(s, false, false))
            return false;
        drop(&s->str, ILKI_UNI_MN);
    }
    return !p->lower || lower(s);
}

static ilk_status bert_read(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node)
{
    ilk_status status = ilki_text_read_bool(r, node, "clean_text", true, &p->clean);
    if (!status)
        status = ilki_text_read_bool(r, node, "handle_chinese_chars", true, &p->chinese);
    if (!status)
        status = ilki_text_read_bool(r, node, "lowercase", true, &p->lower);
    if (!status)
        status = ilki_text_read_bool(r, node, "strip_accents", p->lower, &p->strip);
    return status;
}

const ilki_normalizer_row ilki_text_bert_normalizer = {
    .type = "BertNormalizer", .local = true, .read = bert_read, .apply = bert_apply};

/* ------------------------------------------------------------------ the small ones */

static bool lowercase_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    return lower(s);
}
/* Lower case without the 32 punctuation characters of ASCII. The reference puts its mark before the text and only then
 * looks at white space: what a text begins with leaves the mark standing alone. */
static bool canonical_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    size_t n = 0;
    (void)p;
    for (size_t i = 0; i < s->str.n; i++) {
        uint32_t cp = s->str.c[i].cp;
        bool plain = cp <= ' ' || cp >= 127 || (cp >= '0' && cp <= '9') || (cp >= 'A' && cp <= 'Z') ||
                     (cp >= 'a' && cp <= 'z');
        if (plain)
            s->str.c[n++] = s->str.c[i];
    }
    s->str.n = n;
    size_t first = 0;
    while (first < n && ilki_text_flags(s->str.c[first].cp) & ILKI_UNI_SPACE)
        first++;
    if (s->goes_on && first == n)
        s->str.n = 0;
    if (s->fresh && first > 0 && first < n)
        s->str.c[0].cp = 0x2581;
    if (s->fresh && first == 1 && n > 1) {
        if (!ilki_text_str_reserve(&s->str, n + 1))
            return false;
        memmove(s->str.c + 2, s->str.c + 1, (n - 1) * sizeof *s->str.c);
        s->str.c[1] = (ilki_text_char){' ', s->str.c[0].at};
        s->str.n++;
    }
    return lower(s);
}
const ilki_normalizer_row ilki_text_canonical = {.type = "canonical", .local = true, .apply = canonical_apply};

const ilki_normalizer_row ilki_text_lowercase = {.type = "Lowercase", .local = true, .apply = lowercase_apply};

static bool strip_accents_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    drop(&s->str, ILKI_UNI_MARK);
    return true;
}
const ilki_normalizer_row ilki_text_strip_accents = {
    .type = "StripAccents", .local = true, .apply = strip_accents_apply};

static ilk_status strip_read(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node)
{
    ilk_status status = ilki_text_read_bool(r, node, "strip_left", true, &p->clean);
    return status ? status : ilki_text_read_bool(r, node, "strip_right", true, &p->strip);
}

/* Of a text that goes on, what it ends with may yet be inside. Spaces without end are read to their end: they go if
 * nothing follows, and stay if anything does. */
static bool strip_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    ilki_text_str *str = &s->str;
    size_t first = 0;
    while (p->clean && first < str->n && ilki_text_flags(str->c[first].cp) & ILKI_UNI_SPACE)
        first++;
    while (p->strip && str->n > first && ilki_text_flags(str->c[str->n - 1].cp) & ILKI_UNI_SPACE)
        str->n--;
    str->n -= first;
    if (first)
        memmove(str->c, str->c + first, str->n * sizeof *str->c);
    return true;
}
const ilki_normalizer_row ilki_text_strip = {.type = "Strip", .read = strip_read, .apply = strip_apply};

static bool nfd_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    return ilki_text_normal_form(s, false, false);
}
static bool nfc_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    return ilki_text_normal_form(s, false, true);
}
static bool nfkd_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    return ilki_text_normal_form(s, true, false);
}
static bool nfkc_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    return ilki_text_normal_form(s, true, true);
}
const ilki_normalizer_row ilki_text_nfd = {.type = "NFD", .local = true, .apply = nfd_apply};
const ilki_normalizer_row ilki_text_nfc = {.type = "NFC", .local = true, .apply = nfc_apply};
const ilki_normalizer_row ilki_text_nfkd = {.type = "NFKD", .local = true, .apply = nfkd_apply};
const ilki_normalizer_row ilki_text_nfkc = {.type = "NFKC", .local = true, .apply = nfkc_apply};

const ilki_normalizer_row ilki_text_normalizer_sequence = {.type = "Sequence", .members = "normalizers"};

/* ------------------------------------------------------------------ Nmt */

static bool nmt_drops(uint32_t cp)
{
    return (cp >= 1 && cp <= 8) || cp == 0xb || (cp >= 0xe && cp <= 0x1f) || cp == 0x7f || cp == 0x8f || cp == 0x9f;
}

static bool nmt_spaces(uint32_t cp)
{
    return cp == 9 || cp == 0xa || cp == 0xc || cp == 0xd || cp == 0x1680 || (cp >= 0x200b && cp <= 0x200f) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x2581 || cp == 0xfeff || cp == 0xfffd;
}

/* Control characters go, separators and marks of width and direction become spaces. */
static bool nmt_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    size_t n = 0;
    (void)p;
    for (size_t i = 0; i < s->str.n; i++) {
        ilki_text_char c = s->str.c[i];
        if (nmt_drops(c.cp))
            continue;
        c.cp = nmt_spaces(c.cp) ? ' ' : c.cp;
        s->str.c[n++] = c;
    }
    s->str.n = n;
    return true;
}
const ilki_normalizer_row ilki_text_nmt = {.type = "Nmt", .local = true, .apply = nmt_apply};

/* ------------------------------------------------------------------ Prepend */

static ilk_status prepend_read(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node)
{
    const char *put;
    size_t n;
    ilk_status status = ilki_text_read_string(r, node, "prepend", "", &put, &n);
    if (!status && n > ILKI_ADDED_MAX_BYTES)
        status = ilki_base_fail(r->err, ILK_LIMIT, "%s: normalizer Prepend: %zu bytes, at most %d are taken", r->name,
                                n, ILKI_ADDED_MAX_BYTES);
    return status ? status : ilki_text_read_chars(r, put, n, &p->put, &p->n_put);
}

/* Once before each stretch of text; what is put in has the place of the first character. */
static bool prepend_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    ilki_text_str *str = &s->str;
    size_t n = p->n_put;
    if (!s->fresh || str->n == 0 || n == 0)
        return true;
    if (!ilki_text_str_reserve(str, str->n + n))
        return false;
    memmove(str->c + n, str->c, str->n * sizeof *str->c);
    for (size_t i = 0; i < n; i++)
        str->c[i] = (ilki_text_char){p->put[i], str->c[n].at};
    str->n += n;
    return true;
}
const ilki_normalizer_row ilki_text_prepend = {
    .type = "Prepend", .local = true, .read = prepend_read, .apply = prepend_apply};

bool ilki_text_normalise(const ilki_tokenizer *t, ilki_text_scratch *s)
{
    for (size_t i = 0; i < t->n_normalizers; i++)
        if (!t->normalizers[i].row->apply(&t->normalizers[i], s))
            return false;
    return true;
}
