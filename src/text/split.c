/* SPDX-License-Identifier: Apache-2.0
 * The pre-tokenizers: each cuts the pieces of s->pieces into smaller ones; empty pieces vanish. Follows tokenizers
 * 0.23, `pre_tokenizers/`. */
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"
#include "text/unicode.h"

/* What becomes of a delimiter. */
static const char *const behaviours[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
enum { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

static bool has(const ilki_text_char *c, unsigned flags)
{
    return (ilki_text_flags(c->cp) & flags) != 0;
}

/* The new pieces in place of the old. The last one goes on if the last old one did and it has the end of that. */
static void put_pieces(ilki_text_scratch *s)
{
    const ilki_text_pieces *from = &s->pieces, *to = &s->spare_pieces;
    if (s->goes_on) {
        ilki_text_piece a = from->p[from->n - 1], b = to->n ? to->p[to->n - 1] : (ilki_text_piece){0};
        s->goes_on = a.first + a.n == b.first + b.n;
    }
    ilki_text_swap_pieces(s);
}

/* ------------------------------------------------------------------ one delimiter character at a time */

/* Cuts one piece at the characters that have a flag, each of which is a delimiter of its own. */
static bool cut_piece(ilki_text_scratch *s, ilki_text_piece piece, unsigned flags, int behaviour)
{
    const ilki_text_char *c = s->str.c;
    size_t end = piece.first + piece.n, start = piece.first;
    ilki_text_pieces *out = &s->spare_pieces;
    bool after = false; /* the character before was a delimiter */
    for (size_t i = piece.first; i < end; i++) {
        bool delimiter = has(&c[i], flags);
        bool border = false; /* a piece ends before i */
        switch (behaviour) {
        case CONTIGUOUS:
            border = delimiter != after;
            break;
        case MERGED_WITH_PREVIOUS: /* a delimiter joins what stands before it, unless that is a delimiter */
            border = after;
            break;
        case MERGED_WITH_NEXT:
            border = delimiter;
            break;
        default:
            border = delimiter || after;
            break;
        }
        if (border) {
            if (!ilki_text_pieces_put(out, start, i - start))
                return false;
            start = i;
        }
        if (delimiter && behaviour == REMOVED)
            start = i + 1;
        after = delimiter;
    }
    return start >= end || ilki_text_pieces_put(out, start, end - start);
}

static bool cut(ilki_text_scratch *s, unsigned flags, int behaviour)
{
    s->spare_pieces.n = 0;
    for (size_t i = 0; i < s->pieces.n; i++)
        if (!cut_piece(s, s->pieces.p[i], flags, behaviour))
            return false;
    put_pieces(s);
    return true;
}

static bool whitespace_split_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    (void)p;
    return cut(s, ILKI_UNI_SPACE, REMOVED);
}
const ilki_splitter_row ilki_text_whitespace_split = {
    .type = "WhitespaceSplit", .drops_space = true, .apply = whitespace_split_apply};

static ilk_status punctuation_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    const char *name;
    ilk_status status = ilki_text_read_string(r, node, "behavior", "Isolated", &name, NULL);
    if (status)
        return status;
    for (int i = 0; i < (int)(sizeof behaviours / sizeof *behaviours); i++)
        if (strcmp(name, behaviours[i]) == 0) {
            p->behaviour = i;
            return ILK_OK;
        }
    return ilki_base_fail(r->err, ILK_BAD_FORMAT, "%s: pre-tokenizer Punctuation: unknown behavior \"%s\"", r->name,
                          name);
}

static bool punctuation_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    return cut(s, ILKI_UNI_PUNCT, p->behaviour);
}
const ilki_splitter_row ilki_text_punctuation = {
    .type = "Punctuation", .read = punctuation_read, .apply = punctuation_apply};

static ilk_status digits_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    bool each;
    ilk_status status = ilki_text_read_bool(r, node, "individual_digits", false, &each);
    p->behaviour = each ? ISOLATED : CONTIGUOUS;
    return status;
}

static bool digits_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    return cut(s, ILKI_UNI_NUMERIC, p->behaviour);
}
const ilki_splitter_row ilki_text_digits = {.type = "Digits", .read = digits_read, .apply = digits_apply};

/* ------------------------------------------------------------------ CharDelimiterSplit */

static ilk_status char_delimiter_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    const char *delimiter;
    size_t n;
    ilk_status status = ilki_text_read_string(r, node, "delimiter", "", &delimiter, &n);
    if (!status)
        status = ilki_text_read_chars(r, delimiter, n, &p->find, &p->n_find);
    if (!status && p->n_find != 1)
        status = ilki_base_fail(r->err, ILK_BAD_FORMAT,
                                "%s: pre-tokenizer CharDelimiterSplit: expected a delimiter of one character", r->name);
    return status;
}

static bool char_delimiter_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    ilki_text_pieces *out = &s->spare_pieces;
    out->n = 0;
    for (size_t k = 0; k < s->pieces.n; k++) {
        size_t start = s->pieces.p[k].first, end = start + s->pieces.p[k].n;
        for (size_t i = start; i < end; i++) {
            if (s->str.c[i].cp != p->find[0])
                continue;
            if (!ilki_text_pieces_put(out, start, i - start))
                return false;
            start = i + 1;
        }
        if (!ilki_text_pieces_put(out, start, end - start))
            return false;
    }
    put_pieces(s);
    return true;
}
const ilki_splitter_row ilki_text_char_delimiter = {
    .type = "CharDelimiterSplit", .read = char_delimiter_read, .apply = char_delimiter_apply};

/* ------------------------------------------------------------------ Metaspace */

enum { MARK = 0x2581 };

/* Spaces become marks, one is put before a piece that begins with none, and each mark goes with what follows it. */
static bool metaspace_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    ilki_text_str *to = &s->spare;
    ilki_text_pieces *out = &s->spare_pieces;
    to->n = out->n = 0;
    if (!ilki_text_str_reserve(to, s->str.n + s->pieces.n))
        return false;
    for (size_t k = 0; k < s->pieces.n; k++) {
        const ilki_text_char *c = s->str.c + s->pieces.p[k].first;
        bool starts = !p->first_only || (s->at_start && s->pieces.p[k].first == 0);
        size_t n = s->pieces.p[k].n, start = to->n;
        if (p->prefix && starts && c[0].cp != ' ' && c[0].cp != p->mark)
            to->c[to->n++] = (ilki_text_char){p->mark, c[0].at};
        for (size_t i = 0; i < n; i++) {
            uint32_t cp = c[i].cp == ' ' ? p->mark : c[i].cp;
            if (cp == p->mark && !p->whole) {
                if (!ilki_text_pieces_put(out, start, to->n - start))
                    return false;
                start = to->n;
            }
            to->c[to->n++] = (ilki_text_char){cp, c[i].at};
        }
        if (!ilki_text_pieces_put(out, start, to->n - start))
            return false;
    }
    ilki_text_swap_strs(s);
    ilki_text_swap_pieces(s);
    return true;
}

void ilki_text_metaspace_set(ilki_splitter *p, bool prefix, bool first_only, bool whole)
{
    *p = (ilki_splitter){.row = &ilki_text_metaspace,
                         .prefix = prefix,
                         .first_only = first_only,
                         .whole = whole,
                         .before_space = !whole,
                         .mark = MARK};
}

static ilk_status metaspace_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    const char *mark, *scheme;
    size_t n, len;
    bool prefix, split;
    ilk_status status = ilki_text_read_string(r, node, "replacement", "\u2581", &mark, &n);
    if (!status)
        status = ilki_text_read_string(r, node, "prepend_scheme", "always", &scheme, NULL);
    if (!status)
        status = ilki_text_read_bool(r, node, "add_prefix_space", true, &prefix);
    if (!status)
        status = ilki_text_read_bool(r, node, "split", true, &split);
    if (status)
        return status;
    uint32_t cp = ilki_base_utf8_get(mark, n, &len);
    bool first = strcmp(scheme, "first") == 0, never = strcmp(scheme, "never") == 0;
    if (n == 0 || len != n || (!first && !never && strcmp(scheme, "always") != 0))
        return ilki_base_fail(r->err, ILK_BAD_FORMAT,
                              "%s: pre-tokenizer Metaspace: expected one character as replacement and a prepend_scheme",
                              r->name);
    ilki_text_metaspace_set(p, prefix && !never, first, !split);
    p->mark = cp;
    p->before_space &= cp == MARK;
    return ILK_OK;
}
const ilki_splitter_row ilki_text_metaspace = {.type = "Metaspace", .read = metaspace_read, .apply = metaspace_apply};

/* ------------------------------------------------------------------ BertPreTokenizer */

/* White space goes, punctuation stands alone; both in one pass. */
static bool bert_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    (void)p;
    ilki_text_pieces *out = &s->spare_pieces;
    out->n = 0;
    for (size_t k = 0; k < s->pieces.n; k++) {
        size_t start = s->pieces.p[k].first, end = start + s->pieces.p[k].n;
        for (size_t i = start; i < end; i++) {
            unsigned flags = ilki_text_flags(s->str.c[i].cp);
            if (!(flags & (ILKI_UNI_SPACE | ILKI_UNI_PUNCT)))
                continue;
            if (!ilki_text_pieces_put(out, start, i - start))
                return false;
            if (flags & ILKI_UNI_PUNCT && !ilki_text_pieces_put(out, i, 1))
                return false;
            start = i + 1;
        }
        if (!ilki_text_pieces_put(out, start, end - start))
            return false;
    }
    put_pieces(s);
    return true;
}
const ilki_splitter_row ilki_text_bert_splitter = {
    .type = "BertPreTokenizer", .drops_space = true, .apply = bert_apply};

/* ------------------------------------------------------------------ Whitespace: \w+|[^\w\s]+ */

static bool whitespace_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    (void)p;
    ilki_text_pieces *out = &s->spare_pieces;
    out->n = 0;
    for (size_t k = 0; k < s->pieces.n; k++) {
        size_t start = s->pieces.p[k].first, end = start + s->pieces.p[k].n;
        unsigned kind = ILKI_UNI_SPACE; /* of the run that began at start: a space, a word or (0) neither */
        for (size_t i = start; i < end; i++) {
            unsigned now = ilki_text_flags(s->str.c[i].cp) & (ILKI_UNI_SPACE | ILKI_UNI_WORD);
            if (now == kind)
                continue;
            if (kind != ILKI_UNI_SPACE && !ilki_text_pieces_put(out, start, i - start))
                return false;
            kind = now;
            start = i;
        }
        if (kind != ILKI_UNI_SPACE && !ilki_text_pieces_put(out, start, end - start))
            return false;
    }
    put_pieces(s);
    return true;
}
const ilki_splitter_row ilki_text_whitespace = {.type = "Whitespace", .drops_space = true, .apply = whitespace_apply};

const ilki_splitter_row ilki_text_splitter_sequence = {.type = "Sequence", .members = "pretokenizers"};
