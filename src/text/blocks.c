/* SPDX-License-Identifier: Apache-2.0
 * From a text to tokens: added tokens are found in the raw text, what lies between is normalised, cut and encoded, in
 * blocks, so that memory and work stop soon behind the limit.
 *
 * A block ends at a safe cut: a place across which no part of this tokenizer can see. For any tokenizer whose parts
 * allow it, that is behind ASCII white space; for BERT's normalizer and pre-tokenizer also beside ASCII punctuation and
 * before an ideograph. With the latter two, words of ASCII letters and digits between ASCII neighbours go straight from
 * bytes to the model (the ASCII lane), which is most of most texts.
 *
 * What no cut divides is one block, however long; under a limit its beginning is tried first, for any parts: each makes of a
 * text that goes on only what stays however it does (s->goes_on), so that the tokens are those of the whole. Equality with
 * the reference forces to read on where a token depends on what is far behind it:
 *   - Unigram on "aaaa…": where the letters do not come out even, the odd token stands at the beginning;
 *   - marks without end under a normal form (one of a lower class, at their end, goes before all others);
 *   - white space without end that Strip would drop at the end of the text, that a run's Replace makes one character of or
 *     that an added token would take on its left;
 *   - one match or word without end: a pattern matches at its end ("a+b|a" on "aaaa…"), a token's span ends there, and so
 *     do what ignore_merges looks up and the characters that WordPiece counts. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/part.h"
#include "text/unicode.h"

enum {
    WINDOW = 1 << 15,     /* bytes searched for added tokens ahead of the encoding */
    BLOCK = 2048,         /* bytes of a block where no lane ends it earlier */
    LANE_BLOCK = 256,     /* bytes behind which an ideograph ends a block of the lane */
    FAR = 1 << 15,        /* bytes in which a cut is looked for before the beginning of a block is tried */
    BYTES_PER_TOKEN = 8,  /* more than most texts have: so much of a block is tried first */
    KEEP_CHARS = 1 << 20, /* characters that a scratch keeps room for */
    MAX_TEXT = INT32_MAX
};

/* ------------------------------------------------------------------ one run over one text */

typedef struct run {
    const ilki_tokenizer *t;
    ilki_text_scratch *s;
    ilki_text_tokens *out;
    const char *text;
    size_t n;    /* bytes */
    size_t stop; /* tokens after which the rest is not looked at */
    size_t keep; /* tokens at the end that are wanted: twice as many are held at most, but for one word */
    bool skip_special;
    size_t tried_at, tried; /* where a block without a cut begins, and how much of it was not enough */
} run;

/* What the lane does with a byte. Controls, which BERT's cleaning drops, are left to the general path (O), as is what
 * lies beyond ASCII. */
enum { A_OTHER, A_SPACE, A_PUNCT, A_WORD };
/* clang-format off */
#define O A_OTHER
#define S A_SPACE
#define P A_PUNCT
#define W A_WORD
static const uint8_t ascii_class[256] = {
    O, O, O, O, O, O, O, O, O, S, S, O, O, S, O, O,
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    W, W, W, W, W, W, W, W, W, W, P, P, P, P, P, P,
    P, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, P, P, P, P, P,
    P, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W,
    W, W, W, W, W, W, W, W, W, W, W, P, P, P, P, O,
};
#undef O
#undef S
#undef P
#undef W
/* clang-format on */

static bool ascii_separates(char c)
{
    uint8_t kind = ascii_class[(unsigned char)c];
    return kind == A_SPACE || kind == A_PUNCT;
}

/* A graphic character of ASCII, a letter, a number, a mark or a sign: none of these is white space or becomes any in a
 * normalizer. */
static bool is_solid(uint32_t cp)
{
    return cp < 128 ? cp > 32 && cp < 127
                    : (ilki_text_flags(cp) & (ILKI_UNI_LETTER | ILKI_UNI_NUMBER | ILKI_UNI_M | ILKI_UNI_PUNCT)) != 0;
}

/* The character that ends before text[i], i > 0, and where it begins; U+FFFD for a byte that belongs to none. */
static uint32_t char_before(const run *r, size_t i, size_t *start)
{
    size_t len;
    *start = i - 1;
    while (*start > 0 && i - *start < 4 && ((unsigned char)r->text[*start] & 0xc0) == 0x80)
        --*start;
    uint32_t cp = ilki_base_utf8_get(r->text + *start, i - *start, &len);
    if (*start + len == i)
        return cp;
    *start = i - 1;
    return 0xfffd;
}

/* Whether the character before text[i] is such a one: behind it a space begins something new. */
static bool ends_word(const run *r, size_t i)
{
    size_t start;
    uint32_t cp = char_before(r, i, &start);
    return is_solid(cp) && (!r->t->cut_by_model || r->t->model->ends_before_space(r->t->model_state, cp));
}

/* Whether a line that ends a word ends before text[i] and another begins there: "\n" alone is then no part of what
 * follows, for every pattern that covers a text. */
static bool begins_line(const run *r, size_t i)
{
    size_t len;
    if (r->text[i - 1] != '\n' || i < 2 || !ends_word(r, i - 1))
        return false;
    uint32_t cp = ilki_base_utf8_get(r->text + i, r->n - i, &len);
    return is_solid(cp) && !(ilki_text_flags(cp) & ILKI_UNI_M);
}

static bool begins_cluster(const run *r, size_t i)
{
    size_t len;
    if ((unsigned char)r->text[i] < 128)
        return true;
    return ilki_text_class_get(ilki_base_utf8_get(r->text + i, r->n - i, &len)).cluster != ILKI_CLUSTER_JOIN;
}

/* Whether text[..i) and text[i..) may be encoded apart, 0 < i < n. */
static bool is_safe_cut(const run *r, size_t i)
{
    const char *text = r->text;
    if (r->t->ascii_lane) {
        size_t len;
        if (ascii_separates(text[i - 1]) || ascii_separates(text[i]))
            return true;
        if ((unsigned char)text[i] < 0xe3 || (unsigned char)text[i] >= 0xf5 || !r->t->lane_chinese)
            return false;
        return ilki_text_is_chinese(ilki_base_utf8_get(text + i, r->n - i, &len));
    }
    if (r->t->cut_before)
        return text[i] == ' ' ? text[i - 1] != ' ' && ends_word(r, i) : r->t->cut_line && begins_line(r, i);
    return r->t->cut_space && ascii_class[(unsigned char)text[i - 1]] == A_SPACE &&
           ascii_class[(unsigned char)text[i]] != A_SPACE && begins_cluster(r, i);
}

/* Where the block that begins at `start` ends: a safe cut, or `end`. */
static size_t block_end(const run *r, size_t start, size_t end)
{
    size_t i = start + 1;
    if (r->t->ascii_lane) {
        size_t far = end - start > LANE_BLOCK ? start + LANE_BLOCK : end;
        while (i < far && !ascii_separates(r->text[i]))
            i++;
        if (i < far)
            return i;
    } else {
        if (end - start <= BLOCK || !(r->t->cut_space || r->t->cut_before))
            return end;
        i = start + BLOCK;
    }
    while (i < end && !is_safe_cut(r, i))
        i++;
    return i;
}

/* Words of ASCII until something else turns up: the place where it does. */
static bool ascii_lane(const run *r, size_t *at, size_t end)
{
    const ilki_tokenizer *t = r->t;
    const char *text = r->text;
    size_t i = *at, word;
    bool ok = true;
    while (ok && i < end && r->out->n < r->stop) {
        unsigned char c = (unsigned char)text[i];
        uint8_t kind = ascii_class[c];
        if (kind == A_SPACE) {
            i++;
        } else if (kind == A_PUNCT) {
            ok = ilki_text_tokens_put(r->out, t->ascii_punct[c], (uint32_t)i, (uint32_t)i + 1);
            i++;
        } else {
            for (word = i; word < end && ascii_class[(unsigned char)text[word]] == A_WORD; word++)
                ;
            if (word < end && ascii_class[(unsigned char)text[word]] == A_OTHER)
                break;
            ok = t->model->encode_ascii(t->model_state, &t->vocab, text + i, word - i, i, t->ascii_lower, r->out);
            i = word;
        }
    }
    *at = i;
    return ok;
}

static void keep_last(const run *r)
{
    ilki_text_tokens *out = r->out;
    if (out->n / 2 < r->keep)
        return;
    size_t left = out->n - r->keep;
    memmove(out->ids, out->ids + left, r->keep * sizeof *out->ids);
    memmove(out->spans, out->spans + left, r->keep * sizeof *out->spans);
    out->n = r->keep;
    out->n_left += left;
}

/* Pre-tokens of s->str[first .. first + n), and their tokens. */
static bool encode_chars(const run *r, size_t first, size_t n)
{
    const ilki_tokenizer *t = r->t;
    ilki_text_scratch *s = r->s;
    s->pieces.n = 0;
    s->goes_on &= n > 0;
    if (!ilki_text_pieces_put(&s->pieces, first, n))
        return false;
    for (size_t i = 0; i < t->n_splitters; i++)
        if (!t->splitters[i].row->apply(&t->splitters[i], s))
            return false;
    bool ok = true;
    for (size_t i = 0; i < s->pieces.n && ok; i++) {
        ilki_text_piece p = s->pieces.p[i];
        s->left_off |= r->out->n >= r->stop;
        if (r->out->n >= r->stop)
            break;
        s->open = s->goes_on && i + 1 == s->pieces.n;
        if (!s->open || t->model->takes_open)
            ok = t->model->encode(t->model_state, &t->vocab, s, s->str.c + p.first, p.n, r->out);
        keep_last(r);
    }
    s->open = false;
    return ok;
}

/* The normalised text with the added tokens in it, of which `m` is the first. A pre-tokenizer may write a string of its
 * own in place of s->str, so the text stands aside meanwhile. */
static bool encode_matches(const run *r, ilki_added_match *m)
{
    const ilki_tokenizer *t = r->t;
    ilki_text_scratch *s = r->s;
    ilki_text_str whole = s->str;
    bool ok = true;
    s->str = s->aside;
    s->aside = (ilki_text_str){0};
    for (size_t from = 0; ok && from < whole.n;) {
        size_t n = m->start - from;
        if (n) {
            s->str.n = 0;
            ok = ilki_text_str_reserve(&s->str, n);
            if (ok) {
                memcpy(s->str.c, whole.c + from, n * sizeof *whole.c);
                s->str.n = n;
                s->at_start &= from == 0;
                s->goes_on = m->goes_on && !m->token;
                ok = encode_chars(r, 0, n);
            }
        }
        if (!ok || !m->token)
            break;
        ok = ilki_text_tokens_put(r->out, m->token->id, whole.c[m->start].at.start, whole.c[m->end - 1].at.end);
        from = m->end;
        ilki_text_added_find_chars(t, whole.c, whole.n, from, m->resume, r->skip_special, m);
    }
    s->aside = s->str;
    s->str = whole;
    return ok;
}

/* text[start .. end) by the general path: all of it or, where the text `goes_on`, the tokens that stay however it does.
 * Every part sees to that for what it makes (s->goes_on). */
static bool encode_block(const run *r, size_t start, size_t end, bool fresh, bool goes_on)
{
    const ilki_tokenizer *t = r->t;
    ilki_text_str *str = &r->s->str;
    ilki_added_match m = {.goes_on = goes_on};
    if (!ilki_text_load(r->s, r->text + start, end - start, start))
        return false;
    r->s->fresh = fresh;
    r->s->goes_on = goes_on;
    if (!ilki_text_normalise(t, r->s))
        return false;
    if (!t->normalized.n)
        return encode_chars(r, 0, str->n);
    ilki_text_added_find_chars(t, str->c, str->n, 0, 0, r->skip_special, &m);
    if (!m.token)
        return encode_chars(r, 0, m.start);
    return encode_matches(r, &m);
}

bool ilki_text_encode_block(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, bool goes_on)
{
    run r = {.t = t, .s = s, .out = &s->tokens[0], .text = text, .n = n, .stop = SIZE_MAX, .keep = SIZE_MAX};
    s->tokens[0].n = 0;
    s->stop = SIZE_MAX;
    s->ran_wild = false;
    return encode_block(&r, 0, n, true, goes_on);
}

/* ------------------------------------------------------------------ the beginning of a block without a cut */

/* A place at or before text[i], behind `start`, that is inside no character; not behind white space where an added token
 * further on may take that. `start` where there is none. */
static size_t prefix_end(const run *r, size_t start, size_t i)
{
    size_t back = 0, before;
    while (back < 3 && i - back > start && ((unsigned char)r->text[i - back] & 0xc0) == 0x80)
        back++;
    if (((unsigned char)r->text[i - back] & 0xc0) != 0x80) /* four in a row belong to no character */
        i -= back;
    while (r->t->raw.has_space && i > start && ilki_text_flags(char_before(r, i, &before)) & ILKI_UNI_SPACE)
        i = before;
    return i;
}

/* Whether the beginning of text[start .. end), where there is no safe cut, gives all tokens that are wanted; if not, none
 * is put. Four times as much each time, and nothing twice, so that the work stays linear. A pattern that runs wild, or a
 * text that grows too much, is judged by the whole. */
static bool encode_beginning(run *r, size_t start, size_t end, bool fresh, bool *enough)
{
    size_t mark = r->out->n, wanted = r->stop - mark;
    *enough = false;
    if (wanted > (end - start) / BYTES_PER_TOKEN)
        return true;
    if (r->tried_at != start)
        r->tried = 0;
    r->tried_at = start;
    size_t n = wanted * BYTES_PER_TOKEN > BLOCK ? wanted * BYTES_PER_TOKEN : BLOCK;
    for (; n < end - start && !*enough; n *= 4) {
        size_t at = n > r->tried ? prefix_end(r, start, start + n) : start;
        if (at == start)
            continue;
        r->tried = n;
        if (!encode_block(r, start, at, fresh, true)) {
            if (!r->s->ran_wild && !r->s->too_long)
                return false;
            r->s->ran_wild = r->s->too_long = false;
        } else {
            *enough = r->out->n >= r->stop;
        }
        if (!*enough)
            r->out->n = mark;
    }
    r->s->left_off = *enough;
    return true;
}

/* A stretch of text without added tokens of the first pass. `*at` is left where the limit stopped it. */
static bool encode_stretch(run *r, size_t *at, size_t end, size_t border)
{
    while (*at < end && r->out->n < r->stop) {
        if (r->t->ascii_lane && !ascii_lane(r, at, end))
            return false;
        keep_last(r);
        if (*at >= end || r->out->n >= r->stop)
            break;
        size_t near = end - *at > FAR ? *at + FAR : end, to = block_end(r, *at, near);
        bool enough = false, far = to == near && near < end;
        if (to - *at > 2 * BLOCK && !encode_beginning(r, *at, far ? end : to, *at == border, &enough))
            return false;
        if (enough)
            break;
        if (far)
            to = block_end(r, *at, end);
        if (!encode_block(r, *at, to, *at == border, false))
            return false;
        *at = to;
    }
    return true;
}

/* The last safe cut in (low, high), or 0. */
static size_t last_cut(const run *r, size_t low, size_t high)
{
    for (size_t i = high; i > low + 1; i--)
        if (is_safe_cut(r, i - 1))
            return i - 1;
    return 0;
}

/* The text from `first` on, or as much as gives `stop` tokens; `*more`: something was left. */
static bool encode_text(run *r, size_t first, bool *more)
{
    const ilki_tokenizer *t = r->t;
    bool cuts = t->cut_space || t->cut_before || t->ascii_lane;
    size_t at = first, search = first;        /* encoded so far; searched so far */
    size_t border = first ? SIZE_MAX : first; /* where the text or what is behind the last match begins */
    bool enough = false;
    while (at < r->n && r->out->n < r->stop) {
        ilki_added_match m;
        size_t seen = search > at ? search : at;
        size_t window = (cuts || r->stop != SIZE_MAX) && r->n - search > WINDOW ? search + WINDOW : r->n;
        ilki_text_added_find_bytes(t, r->text, r->n, border, search, window, r->skip_special, &m);
        if (!m.token && window < r->n) {
            search = window;
            size_t cut = cuts ? last_cut(r, seen, window) : 0;
            if (cut && !encode_stretch(r, &at, cut, border))
                return false;
            if (!cut && !encode_beginning(r, at, window, at == border, &enough))
                return false;
            if (enough)
                break;
            continue;
        }
        size_t end = m.token ? m.start : r->n;
        if (at < end && !encode_stretch(r, &at, end, border))
            return false;
        if (at < end || !m.token)
            break;
        if (r->out->n >= r->stop)
            break;
        if (!ilki_text_tokens_put(r->out, m.token->id, (uint32_t)m.start, (uint32_t)m.end))
            return false;
        at = border = m.end;
        search = m.resume;
    }
    *more = at < r->n || r->s->left_off;
    return true;
}

/* Not before text[low], not behind text[i]: the last place behind which a text may be encoded as if nothing stood before
 * it, a safe cut at white space, which no added token holds; 0 where there is none. */
static size_t end_cut(const run *r, size_t low, size_t i)
{
    for (; r->t->cut_end && i > low; i--)
        if ((ascii_class[(unsigned char)r->text[i - 1]] == A_SPACE ||
             ascii_class[(unsigned char)r->text[i]] == A_SPACE) &&
            is_safe_cut(r, i))
            return i;
    return 0;
}

size_t ilki_text_last_cut(const ilki_tokenizer *t, const char *text, size_t n)
{
    run r = {.t = t, .text = text, .n = n};
    return n > 1 ? end_cut(&r, 0, n - 1) : 0;
}

/* At least the last `keep` tokens, or all. */
static bool encode_end(run *r, bool *more)
{
    size_t n = r->keep < BLOCK / BYTES_PER_TOKEN ? BLOCK : r->keep;
    n = n > r->n / BYTES_PER_TOKEN ? r->n : n * BYTES_PER_TOKEN;
    for (; n < r->n; n *= 4) {
        size_t at = end_cut(r, r->n - n > n ? r->n - 2 * n : 0, r->n - n);
        if (!at)
            continue;
        r->out->n = r->out->n_left = 0;
        bool ok = encode_text(r, at, more);
        *more = true;
        if (ok && r->out->n >= r->keep)
            return true;
        if (!ok && !r->s->ran_wild && !r->s->too_long)
            return false;
        r->s->ran_wild = r->s->too_long = false;
    }
    r->out->n = r->out->n_left = 0;
    return encode_text(r, 0, more);
}

static void trim(ilki_text_scratch *s)
{
    ilki_text_str *strs[] = {&s->str, &s->spare, &s->aside};
    ilki_text_marks *marks[] = {&s->marks, &s->spare_marks};
    for (int i = 0; i < 3; i++)
        if (strs[i]->cap > KEEP_CHARS) {
            free(strs[i]->c);
            *strs[i] = (ilki_text_str){0};
        }
    if (s->work_bytes > KEEP_CHARS * sizeof(ilki_text_char)) {
        free(s->work);
        s->work = NULL;
        s->work_bytes = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (marks[i]->cap > KEEP_CHARS) {
            free(marks[i]->m);
            *marks[i] = (ilki_text_marks){0};
        }
    }
}

ilk_status ilki_text_run(const ilki_tokenizer *t, ilki_text_scratch *s, int which, const char *text, size_t n,
                         size_t stop, bool skip_special, bool *more, ilk_error *err)
{
    if (n > MAX_TEXT)
        return ilki_base_fail(err, ILK_LIMIT, "a text of %zu bytes, at most %d are tokenised at once", n, MAX_TEXT);
    size_t keep = t->truncate_left ? stop : SIZE_MAX;
    s->tokens[which].n = s->tokens[which].n_left = 0;
    s->stop = stop = t->truncate_left ? SIZE_MAX : stop;
    s->left_off = s->ran_wild = false;
    s->n_loaded = 0;
    run r = {.t = t,
             .s = s,
             .out = &s->tokens[which],
             .text = text,
             .n = n,
             .stop = stop,
             .keep = keep,
             .tried_at = SIZE_MAX,
             .skip_special = skip_special || t->split_special};
    bool ok = keep == SIZE_MAX ? encode_text(&r, 0, more) : encode_end(&r, more);
    trim(s);
    if (!ok && s->ran_wild)
        return ilki_base_fail(err, ILK_LIMIT,
                              "the tokenizer's pattern needs more steps for this text than are allowed");
    if (!ok && s->too_long)
        return ilki_base_fail(err, ILK_LIMIT, "the tokenizer's normalizers make more than %zu characters of a text",
                              s->max_chars);
    return ok ? ILK_OK : ilki_base_fail(err, ILK_NO_MEMORY, "out of memory while tokenising");
}
