/* SPDX-License-Identifier: Apache-2.0
 * Chunks along borders. The text is tokenised once, in slabs of about a megabyte, and every place between two tokens gets
 * the level of the border that lies there:
 *   PARAGRAPH a blank line   SENTENCE   LINE a newline   WORD white space   PIECE inside a word   NONE inside a character
 * From its first token on, a chunk takes max_tokens tokens and gives back what lies behind the best border in the second
 * half of them (the last one of the highest level). The next chunk begins at the first border of the best level among
 * the last `overlap` tokens. Work is linear: each token is looked at a bounded number of times. */
#include "text/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "base/runtime.h"
#include "base/utf8.h"

#define SLAB_BYTES ((size_t)1 << 20)

typedef enum level { NONE, PIECE, WORD, LINE, SENTENCE, PARAGRAPH } level;

void ilki_text_chunks_deinit(ilki_chunks *c)
{
    free(c->list);
    *c = (ilki_chunks){0};
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* Length of a closing quote or bracket that ends at s[n]; 0: none. */
static size_t closing(const char *s, size_t n)
{
    if (n && strchr("\"')]}", s[n - 1]) && s[n - 1])
        return 1;
    if (n >= 2 && memcmp(s + n - 2, "\u00bb", 2) == 0)
        return 2;
    if (n >= 3 && (memcmp(s + n - 3, "\u201d", 3) == 0 || memcmp(s + n - 3, "\u2019", 3) == 0 ||
                   memcmp(s + n - 3, "\u300d", 3) == 0))
        return 3;
    return 0;
}

/* Does a sentence end at s[end), with white space behind it or not, and `next` the byte that follows? */
static bool ends_sentence(const char *s, size_t end, bool space, char next)
{
    size_t n = end, k;
    while ((k = closing(s, n)) != 0)
        n -= k;
    if (n >= 3 && (memcmp(s + n - 3, "\u3002", 3) == 0 || memcmp(s + n - 3, "\uff01", 3) == 0 ||
                   memcmp(s + n - 3, "\uff1f", 3) == 0))
        return true;
    if (!space || n < 2 || (next >= 'a' && next <= 'z'))
        return false;
    if (s[n - 1] == '!' || s[n - 1] == '?')
        return true;
    /* "J. Smith", "e.g. This": a single letter before the full stop abbreviates */
    return s[n - 1] == '.' && !(is_letter(s[n - 2]) && (n < 3 || !is_letter(s[n - 3])));
}

/* The border between a token that ends at `end` and one that begins at `start`. */
static level border(const char *s, size_t end, size_t start, bool code)
{
    unsigned newlines = 0;
    if (start < end)
        return NONE;
    for (size_t i = end; i < start; i++)
        newlines += s[i] == '\n';
    bool space = start > end;
    if (newlines >= 2)
        return PARAGRAPH;
    if (code)
        return newlines ? LINE : space ? WORD : PIECE;
    if (ends_sentence(s, end, space, s[start]))
        return SENTENCE;
    return newlines ? LINE : space ? WORD : PIECE;
}

static ilk_status add(ilki_chunks *out, size_t start, size_t end, size_t n_tokens, ilk_error *err)
{
    if (out->n == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 16;
        ilki_chunk *list = realloc(out->list, cap * sizeof *list);
        if (!list)
            return ilki_base_fail_memory(err, cap * sizeof *list, "chunks of a text");
        out->list = list;
        out->cap = cap;
    }
    out->list[out->n++] = (ilki_chunk){start, end, n_tokens};
    return ILK_OK;
}

/* Levels of the borders before each token of a slab. */
typedef struct slab {
    const char *s;
    size_t n;
    const ilki_encoding *e;
    unsigned char *level;
} slab;

/* The last border of the highest level in (from, to]. */
static size_t last_best(const slab *b, size_t from, size_t to)
{
    size_t best = to;
    for (size_t i = to; i > from; i--)
        if (b->level[i] > b->level[best])
            best = i;
    return best;
}

/* Where the next chunk begins: the first border of the best level at or behind `from`, `to` where only pieces are. */
static size_t first_best(const slab *b, size_t from, size_t to)
{
    size_t best = to;
    unsigned char highest = PIECE;
    for (size_t i = from; i < to; i++)
        if (b->level[i] > highest) {
            best = i;
            highest = b->level[i];
        }
    return best;
}

static ilk_status cut_slab(const slab *b, size_t base, const ilki_chunk_options *opt, ilki_chunks *out, ilk_error *err)
{
    size_t n = b->e->n, first = 0;
    ilk_status st = ILK_OK;
    while (first < n && st == ILK_OK) {
        size_t last = n;
        if (n - first > opt->max_tokens)
            last = last_best(b, first + (opt->max_tokens - 1) / 2, first + opt->max_tokens);
        size_t start = first ? b->e->spans[first].start : 0, end = last < n ? b->e->spans[last].start : b->n;
        while (start < end && is_space(b->s[start]))
            start++;
        while (end > start && is_space(b->s[end - 1]))
            end--;
        if (end > start)
            st = add(out, base + start, base + end, last - first, err);
        if (last == n)
            break;
        size_t from = last > opt->overlap ? last - opt->overlap : 0;
        if (from <= first)
            from = first + 1;
        first = opt->overlap && from < last ? first_best(b, from, last) : last;
    }
    return st;
}

/* A slab ends at a blank line, else a line, else a space, else between characters. */
static size_t slab_end(const char *s, size_t n)
{
    if (n <= SLAB_BYTES)
        return n;
    size_t line = 0, space = 0;
    for (size_t i = SLAB_BYTES; i > SLAB_BYTES / 2; i--) {
        if (s[i - 1] == '\n' && s[i] == '\n')
            return i;
        if (s[i - 1] == '\n' && !line)
            line = i;
        if (is_space(s[i - 1]) && !space)
            space = i;
    }
    return line ? line : space ? space : ilki_base_utf8_floor(s, SLAB_BYTES);
}

static ilk_status chunk_slab(const ilki_tokenizer *t, ilki_text_scratch *scratch, const char *s, size_t n, size_t base,
                             const ilki_chunk_options *opt, ilki_encoding *e, ilki_chunks *out, ilk_error *err)
{
    ilk_status st = ilki_text_encode(t, scratch, s, n, NULL, e, err);
    if (st != ILK_OK || e->n == 0)
        return st;
    slab b = {s, n, e, ilki_base_zalloc(e->n, 1)};
    if (!b.level)
        return ilki_base_fail_memory(err, e->n, "borders of a text");
    for (size_t i = 1; i < e->n; i++)
        b.level[i] = (unsigned char)border(s, e->spans[i - 1].end, e->spans[i].start, opt->code);
    st = cut_slab(&b, base, opt, out, err);
    free(b.level);
    return st;
}

ilk_status ilki_text_chunk(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n,
                           const ilki_chunk_options *opt, const ilk_job *job, ilki_chunks *out, ilk_error *err)
{
    ilki_encoding e = {0};
    ilk_status st = ILK_OK;
    out->n = 0;
    if (opt->max_tokens == 0 || (opt->overlap && opt->overlap >= opt->max_tokens / 2))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "chunks of %zu tokens with an overlap of %zu: the overlap must be under half",
                              opt->max_tokens, opt->overlap);
    for (size_t at = 0; at < n && st == ILK_OK;) {
        size_t len = slab_end(text + at, n - at);
        if ((st = ilki_base_job_check(job, err)) != ILK_OK)
            break;
        st = chunk_slab(t, s, text + at, len, at, opt, &e, out, err);
        at += len;
    }
    ilki_text_encoding_deinit(&e);
    return st;
}
