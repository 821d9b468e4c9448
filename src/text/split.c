/* SPDX-License-Identifier: Apache-2.0
 * The pre-tokenizers: each cuts the pieces of s->pieces into smaller ones; empty pieces vanish. Follows tokenizers
 * 0.23, `pre_tokenizers/`. */
#include <string.h>

#include "text/part.h"
#include "text/unicode.h"

/* What becomes of a delimiter. */
static const char *const behaviours[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
enum { REMOVED, ISOLATED, MERGED_WITH_PREVIOUS, MERGED_WITH_NEXT, CONTIGUOUS };

static bool has(const ilki_text_char *c, unsigned flags)
{
    return (ilki_text_flags(c->cp) & flags) != 0;
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
    ilki_text_swap_pieces(s);
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
    ilki_text_swap_pieces(s);
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
    ilki_text_swap_pieces(s);
    return true;
}
const ilki_splitter_row ilki_text_whitespace = {.type = "Whitespace", .drops_space = true, .apply = whitespace_apply};

const ilki_splitter_row ilki_text_splitter_sequence = {.type = "Sequence", .members = "pretokenizers"};
