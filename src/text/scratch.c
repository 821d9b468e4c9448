/* SPDX-License-Identifier: Apache-2.0
 * The growing arrays of a scratch. A text is at most 2^31 bytes and gives at most three characters a byte, so counts are
 * far from overflow on 64 bits; the checked allocation stands all the same. */
#include <stdlib.h>

#include "base/utf8.h"
#include "text/part.h"
#include "text/regex.h"

/* Characters that one byte of text may become, and that any text may: replacements of replacements would otherwise
 * double and double. The longest decomposition, of U+FDFA, is 18 for 3 bytes. */
enum { GROWTH = 64, GROWTH_MIN = 1 << 16 };

/* Room for n of `size` bytes each; *cap is updated. The old block or, on failure, NULL (and the old block stays). */
static void *grow(void *p, size_t size, size_t n, size_t *cap)
{
    size_t want = *cap + *cap / 2, bytes;
    if (want < n)
        want = n;
    if (want < 64)
        want = 64;
    if (!ilki_base_mul(want, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    void *q = realloc(p, bytes);
    if (q)
        *cap = want;
    return q;
}

bool ilki_text_str_reserve(ilki_text_str *s, size_t n)
{
    if (n <= s->cap && s->c)
        return true;
    ilki_text_char *c = grow(s->c, sizeof *c, n, &s->cap);
    if (c)
        s->c = c;
    return c != NULL;
}

bool ilki_text_str_put(ilki_text_str *s, uint32_t cp, ilki_span at)
{
    if (s->n == s->cap && !ilki_text_str_reserve(s, s->n + 1))
        return false;
    s->c[s->n++] = (ilki_text_char){cp, at};
    return true;
}

bool ilki_text_pieces_put(ilki_text_pieces *p, size_t first, size_t n)
{
    if (n == 0)
        return true;
    if (p->n == p->cap) {
        ilki_text_piece *q = grow(p->p, sizeof *q, p->n + 1, &p->cap);
        if (!q)
            return false;
        p->p = q;
    }
    p->p[p->n++] = (ilki_text_piece){first, n};
    return true;
}

bool ilki_text_marks_reserve(ilki_text_marks *m, size_t n)
{
    if (n <= m->cap)
        return true;
    ilki_text_mark *q = grow(m->m, sizeof *q, n, &m->cap);
    if (q)
        m->m = q;
    return q != NULL;
}

bool ilki_text_tokens_reserve(ilki_text_tokens *t, size_t n)
{
    size_t cap = t->cap, unused = t->cap;
    if (n <= t->cap)
        return true;
    int32_t *ids = grow(t->ids, sizeof *ids, n, &unused);
    if (!ids)
        return false;
    t->ids = ids;
    ilki_span *spans = grow(t->spans, sizeof *spans, n, &cap);
    if (!spans)
        return false;
    t->spans = spans;
    t->cap = cap;
    return true;
}

bool ilki_text_work_reserve(ilki_text_scratch *s, size_t n, size_t size)
{
    size_t bytes;
    if (!ilki_base_mul(n, size, &bytes))
        return false;
    if (bytes <= s->work_bytes)
        return true;
    void *p = grow(NULL, 1, bytes, &s->work_bytes); /* nothing of the old block is wanted */
    if (p) {
        free(s->work);
        s->work = p;
    }
    return p != NULL;
}

void ilki_text_swap_strs(ilki_text_scratch *s)
{
    ilki_text_str t = s->str;
    s->str = s->spare;
    s->spare = t;
}

void ilki_text_swap_pieces(ilki_text_scratch *s)
{
    ilki_text_pieces t = s->pieces;
    s->pieces = s->spare_pieces;
    s->spare_pieces = t;
}

bool ilki_text_load(ilki_text_scratch *s, const char *text, size_t n, size_t base)
{
    ilki_text_str *str = &s->str;
    s->max_chars = n * GROWTH + GROWTH_MIN;
    s->too_long = false;
    s->base = (uint32_t)base;
    s->at_start = base == 0;
    s->fresh = true;
    s->goes_on = false;
    s->n_loaded += n;
    str->n = 0;
    if (!ilki_text_str_reserve(str, n)) /* a character takes a byte or more */
        return false;
    ilki_text_char *c = str->c;
    for (size_t i = 0, len; i < n; i += len) {
        uint32_t cp = (unsigned char)text[i];
        len = 1;
        if (cp >= 0x80)
            cp = ilki_base_utf8_get(text + i, n - i, &len);
        *c++ = (ilki_text_char){cp, {(uint32_t)(base + i), (uint32_t)(base + i + len)}};
    }
    str->n = (size_t)(c - str->c);
    return true;
}

#define MAX_CLEANED ((size_t)1 << 30)

ilki_text_scratch *ilki_text_scratch_new(void)
{
    ilki_text_scratch *s = ilki_base_zalloc(1, sizeof *s);
    if (s) {
        ilki_base_buf_init(&s->cleaned, MAX_CLEANED);
        ilki_base_buf_init(&s->between, MAX_CLEANED);
    }
    return s;
}

void ilki_text_scratch_free(ilki_text_scratch *s)
{
    if (!s)
        return;
    ilki_base_buf_deinit(&s->cleaned);
    ilki_base_buf_deinit(&s->between);
    free(s->str.c);
    free(s->spare.c);
    free(s->aside.c);
    free(s->pieces.p);
    free(s->spare_pieces.p);
    free(s->marks.m);
    free(s->spare_marks.m);
    free(s->work);
    ilki_text_regex_free_match(s->match);
    for (int i = 0; i < 2; i++) {
        free(s->tokens[i].ids);
        free(s->tokens[i].spans);
    }
    free(s);
}
