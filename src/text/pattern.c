/* SPDX-License-Identifier: Apache-2.0
 * The pre-tokenizer Split, and the regular expressions that checkpoints split by, each as a matcher written by hand: a
 * pattern is known by its very text; one that is not goes to regex.c. What a pattern's alternatives say stands beside the code; they are tried in order,
 * as the reference's engine does. */
#include <string.h>

#include "text/part.h"
#include "text/regex.h"
#include "text/unicode.h"

static const char *const behaviours[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
enum { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };
enum { LOOK_AHEAD = 16 }; /* characters, more than any known pattern looks at from where it begins */

/* ------------------------------------------------------------------ matchers */

static unsigned flags_of(const ilki_text_char *c)
{
    return ilki_text_flags(c->cp);
}

static uint32_t fold(uint32_t cp)
{
    return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp == 0x17f ? 's' : cp;
}

/* 's|'t|'re|'ve|'m|'ll|'d: where it ends, or `at`. */
static size_t contraction(const ilki_text_char *c, size_t n, size_t at, bool any_case)
{
    if (c[at].cp != '\'' || at + 1 >= n)
        return at;
    uint32_t a = any_case ? fold(c[at + 1].cp) : c[at + 1].cp;
    uint32_t b = at + 2 >= n ? 0 : any_case ? fold(c[at + 2].cp) : c[at + 2].cp;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return at + 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? at + 3 : at;
}

/* The end of a run of characters that have some of the flags, or (`lacking`) none. */
static size_t run_of(const ilki_text_char *c, size_t n, size_t at, unsigned flags, bool lacking)
{
    while (at < n && ((flags_of(&c[at]) & flags) == 0) == lacking)
        at++;
    return at;
}

/* \s+(?!\S)|\s+ : a run of white space, without its last where something follows and more than one there are. */
static size_t spaces(const ilki_text_char *c, size_t n, size_t at)
{
    size_t end = run_of(c, n, at, ILKI_UNI_SPACE, false);
    return end < n && end - at > 1 ? end - 1 : end;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t next_gpt2(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start)
{
    (void)p;
    *start = at;
    size_t end = contraction(c, n, at, false);
    if (end > at)
        return end;
    size_t first = at + (c[at].cp == ' ' && at + 1 < n);
    unsigned flags = flags_of(&c[first]);
    if (flags & ILKI_UNI_LETTER)
        return run_of(c, n, first, ILKI_UNI_LETTER, false);
    if (flags & ILKI_UNI_NUMBER)
        return run_of(c, n, first, ILKI_UNI_NUMBER, false);
    if (!(flags & ILKI_UNI_SPACE))
        return run_of(c, n, first, ILKI_UNI_SPACE | ILKI_UNI_LETTER | ILKI_UNI_NUMBER, true);
    return spaces(c, n, at);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * with \p{N}{1,digits}; `letters` stands for \p{L} where it says letters and is out where it says not. */
static size_t next_qwen2(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start)
{
    unsigned letter = p->letters, not_other = ILKI_UNI_SPACE | ILKI_UNI_NUMBER | p->letters;
    *start = at;
    size_t end = contraction(c, n, at, true);
    if (end > at)
        return end;
    unsigned flags = flags_of(&c[at]);
    bool line = c[at].cp == '\r' || c[at].cp == '\n';
    bool leads = !line && !(flags & (ILKI_UNI_LETTER | ILKI_UNI_NUMBER)) && at + 1 < n;
    if (leads && flags_of(&c[at + 1]) & letter)
        return run_of(c, n, at + 1, letter, false);
    if (flags & letter)
        return run_of(c, n, at, letter, false);
    if (flags & ILKI_UNI_NUMBER) {
        for (end = at + 1; end < n && end - at < p->digits && flags_of(&c[end]) & ILKI_UNI_NUMBER; end++)
            ;
        return end;
    }
    size_t first = at + (c[at].cp == ' ' && at + 1 < n);
    if (!(flags_of(&c[first]) & not_other)) {
        end = run_of(c, n, first, not_other, true);
        while (end < n && (c[end].cp == '\r' || c[end].cp == '\n'))
            end++;
        return end;
    }
    end = run_of(c, n, at, ILKI_UNI_SPACE, false);
    for (size_t i = end; i > at; i--)
        if (c[i - 1].cp == '\r' || c[i - 1].cp == '\n')
            return i;
    return spaces(c, n, at);
}

static bool has_at(const ilki_text_char *c, size_t n, size_t at, const char *s)
{
    size_t k = 0;
    for (; s[k] && at + k < n; k++)
        if (c[at + k].cp != (unsigned char)s[k])
            return false;
    return s[k] == '\0';
}

/* <\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+ */
static size_t next_clip(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start)
{
    (void)p;
    at = run_of(c, n, at, ILKI_UNI_SPACE, false);
    *start = at;
    if (at == n)
        return n;
    if (c[at].cp == '<' && has_at(c, n, at, "<|startoftext|>"))
        return at + strlen("<|startoftext|>");
    if (c[at].cp == '<' && has_at(c, n, at, "<|endoftext|>"))
        return at + strlen("<|endoftext|>");
    size_t end = contraction(c, n, at, false);
    if (end > at)
        return end;
    unsigned flags = flags_of(&c[at]);
    if (flags & ILKI_UNI_LETTER)
        return run_of(c, n, at, ILKI_UNI_LETTER, false);
    if (flags & ILKI_UNI_NUMBER)
        return at + 1;
    return run_of(c, n, at, ILKI_UNI_SPACE | ILKI_UNI_LETTER | ILKI_UNI_NUMBER, true);
}

/* \s+ */
static size_t next_spaces(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start)
{
    (void)p;
    *start = run_of(c, n, at, ILKI_UNI_SPACE, true);
    return run_of(c, n, *start, ILKI_UNI_SPACE, false);
}

/* The characters of p->find. */
static size_t next_string(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start)
{
    for (; at + p->n_find <= n; at++) {
        size_t k = 0;
        while (k < p->n_find && c[at + k].cp == p->find[k])
            k++;
        if (k == p->n_find) {
            *start = at;
            return at + k;
        }
    }
    *start = n;
    return n;
}

/* ------------------------------------------------------------------ patterns by their text */

#define WORDS "'s|'t|'re|'ve|'m|'ll|'d"
#define CLIP  WORDS "|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"

static const struct pattern {
    const char *regex;
    ilki_split_next *next;
    bool covers; /* every character is in some match, and no match goes on from a word into a space */
    size_t digits;
    unsigned letters;
} patterns[] = {
    {WORDS "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", next_gpt2, true, 0, 0},
    {"(?i:" WORDS
     ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     next_qwen2, true, 1, ILKI_UNI_LETTER},
    {"(?i:" WORDS
     ")|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     next_qwen2, true, 3, ILKI_UNI_LETTER},
    {"(?i:" WORDS
     ")|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+"
     "(?!\\S)|\\s+",
     next_qwen2, true, 1, ILKI_UNI_LETTER | ILKI_UNI_M},
    {CLIP, next_clip, false, 0, 0},
    {"<\\|startoftext\\|>|<\\|endoftext\\|>|" CLIP, next_clip, false, 0, 0},
    {"\\s+", next_spaces, false, 0, 0},
};
enum { GPT2 = 0, QWEN2 = 1, CLIP_CLASS = 5 };

static void set_pattern(ilki_splitter *p, size_t i)
{
    p->next = patterns[i].next;
    p->before_space = patterns[i].covers;
    p->digits = patterns[i].digits;
    p->letters = patterns[i].letters;
}

void ilki_text_split_set_qwen2(ilki_splitter *p)
{
    *p = (ilki_splitter){.row = &ilki_text_split, .behaviour = ISOLATED};
    set_pattern(p, QWEN2);
}

void ilki_text_split_set_clip(ilki_splitter *p)
{
    *p = (ilki_splitter){.row = &ilki_text_split, .behaviour = REMOVED, .invert = true, .drops_space = true};
    set_pattern(p, CLIP_CLASS);
}

void ilki_text_pattern_set_gpt2(ilki_splitter *p)
{
    set_pattern(p, GPT2);
}

/* ------------------------------------------------------------------ Split */

static ilk_status split_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    ilki_json_node pattern = ilki_base_json_get(r->json, node, "pattern");
    const char *regex = NULL, *string = NULL, *name = NULL;
    size_t n = 0, n_regex = 0;
    ilk_status status = ilki_text_read_string(r, pattern, "Regex", NULL, &regex, &n_regex);
    if (!status)
        status = ilki_text_read_string(r, pattern, "String", NULL, &string, &n);
    if (!status)
        status = ilki_text_read_string(r, node, "behavior", NULL, &name, NULL);
    if (!status)
        status = ilki_text_read_bool(r, node, "invert", false, &p->invert);
    if (status)
        return status;
    p->behaviour = -1;
    for (int i = 0; name && i < (int)(sizeof behaviours / sizeof *behaviours); i++)
        if (strcmp(name, behaviours[i]) == 0)
            p->behaviour = i;
    if (p->behaviour < 0 || (!regex && (!string || !n)))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: pre-tokenizer Split: expected a pattern and a behavior",
                              r->name);
    if (string && n > ILKI_ADDED_MAX_BYTES)
        return ilki_base_fail(r->err, ILK_LIMIT,
                              "%s: pre-tokenizer Split: a pattern of %zu bytes, at most %d are taken", r->name, n,
                              ILKI_ADDED_MAX_BYTES);
    if (!regex) {
        p->next = next_string;
        return ilki_text_read_chars(r, string, n, &p->find, &p->n_find);
    }
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(patterns[i].regex, regex) == 0)
            set_pattern(p, i);
    if (!p->next)
        return ilki_text_regex_new(&p->regex, regex, n_regex, r);
    p->before_space &= p->behaviour == ISOLATED;
    p->drops_space = p->next == next_clip && p->invert && p->behaviour == REMOVED;
    return ILK_OK;
}

/* What a behaviour keeps from one stretch to the next. */
typedef struct fold_state {
    ilki_text_pieces *out;
    int behaviour;
    size_t start, end; /* a stretch not yet put; none where equal */
    bool matched;      /* that was a match */
} fold_state;

static bool flush(fold_state *f)
{
    bool ok = ilki_text_pieces_put(f->out, f->start, f->end - f->start);
    f->start = f->end;
    return ok;
}

/* One stretch, or the beginning of one, in order; the ways to join are those of the reference's `split`. */
static bool begin_stretch(fold_state *f, size_t start, size_t end, bool match)
{
    bool pending = f->end > f->start, joins = false;
    if (start == end)
        return true;
    if (f->behaviour == REMOVED && match)
        return true;
    if (f->behaviour == CONTIGUOUS)
        joins = pending && match == f->matched;
    else if (f->behaviour == MERGED_WITH_PREVIOUS)
        joins = pending && match && !f->matched;
    else if (f->behaviour == MERGED_WITH_NEXT)
        joins = pending && !match && f->matched;
    if (!joins && !flush(f))
        return false;
    if (!joins)
        f->start = start;
    f->end = end;
    f->matched = match;
    return true;
}

static bool stretch(fold_state *f, size_t start, size_t end, bool match)
{
    return begin_stretch(f, start, end, match) && (f->behaviour > ISOLATED || flush(f));
}

/* One piece by a pattern that is not known. PCRE2 does not tell before a match is at its end whether it will be one, so a
 * match without end is read to its end: "a+b|a" makes one piece of "aaaa…b" and many of "aaaa…". */
static bool split_by_regex(const ilki_splitter *p, ilki_text_scratch *s, fold_state *f, ilki_text_piece piece,
                           bool goes_on)
{
    ilki_regex_run u;
    size_t at = 0, first = piece.first, start, end;
    int found;
    if (!ilki_text_regex_begin(&u, p->regex, s, s->str.c + first, piece.n))
        return false;
    u.goes_on = goes_on;
    while ((found = ilki_text_regex_next(&u, &start, &end)) > 0) {
        if (!stretch(f, first + at, first + start, p->invert) || !stretch(f, first + start, first + end, !p->invert))
            return false;
        at = end;
    }
    if (found < 0)
        return false;
    return goes_on ? begin_stretch(f, first + at, first + start, p->invert)
                   : stretch(f, first + at, first + piece.n, p->invert);
}

/* In c[0..n), of a text that goes on: matches that end here or before are what they seem, of one that ends behind it is
 * sure that it reaches so far. What the patterns look at is LOOK_AHEAD characters from where a match begins, the run that
 * it takes and one more, and (Qwen2's) where in a run of white space the last line ends. */
static size_t sure_end(const ilki_splitter *p, const ilki_text_char *c, size_t n)
{
    size_t ahead = p->next == next_string ? p->n_find - 1 : LOOK_AHEAD, sure = n > ahead ? n - ahead : 0;
    for (size_t i = n; p->next == next_qwen2 && i > 0 && flags_of(&c[i - 1]) & ILKI_UNI_SPACE; i--)
        if (c[i - 1].cp == '\r' || c[i - 1].cp == '\n')
            return i - 1 < sure ? i - 1 : sure;
    return sure;
}

static bool split_by_match(const ilki_splitter *p, ilki_text_scratch *s, fold_state *f, ilki_text_piece piece,
                           bool goes_on)
{
    const ilki_text_char *c = s->str.c + piece.first;
    size_t n = piece.n, first = piece.first, at = 0, start, end, sure = goes_on ? sure_end(p, c, n) : n;
    for (; at < sure; at = end) {
        end = p->next(p, c, n, at, &start);
        if (end > sure)
            return begin_stretch(f, first + at, first + (start < sure ? start : sure), p->invert) &&
                   (start >= sure || begin_stretch(f, first + start, first + sure, !p->invert));
        if (!stretch(f, first + at, first + start, p->invert) || !stretch(f, first + start, first + end, !p->invert))
            return false;
    }
    return true;
}

static bool split_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    fold_state f = {.out = &s->spare_pieces, .behaviour = p->behaviour};
    bool goes_on = false;
    f.out->n = 0;
    for (size_t k = 0; k < s->pieces.n; k++) {
        ilki_text_piece piece = s->pieces.p[k];
        goes_on = s->goes_on && k + 1 == s->pieces.n;
        f.start = f.end = piece.first;
        f.matched = false;
        if (!(p->regex ? split_by_regex : split_by_match)(p, s, &f, piece, goes_on))
            return false;
        goes_on &= f.end > f.start;
        if (!flush(&f))
            return false;
    }
    s->goes_on = goes_on;
    ilki_text_swap_pieces(s);
    return true;
}
const ilki_splitter_row ilki_text_split = {.type = "Split", .read = split_read, .apply = split_apply};
