/* SPDX-License-Identifier: Apache-2.0
 * From a text, or a pair of texts, to an encoding: cleaned where open_clip does, as far as the limit asks, run through the
 * parts (blocks.c) some way past it, shared out between the two as the reference's truncation has it, and put into the
 * template. What an encoding owns grows and is kept. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/clean.h"
#include "text/part.h"
#include "text/unicode.h"

enum {
    LOOK_AHEAD = 256,   /* tokens encoded past the limit, to tell how many were cut */
    BYTES_PER_TOKEN = 8 /* more than most texts have: so much of one is cleaned first */
};

/* ------------------------------------------------------------------ truncation */

typedef struct text_view {
    const char *data;
    size_t n;
} text_view;

/* Tokens that stay of each text: what the reference's longest_first, only_first and only_second leave of `room`. */
static ilk_status share(const ilki_encode_options *o, bool pair, size_t room, size_t n[2], ilk_error *err)
{
    if (n[0] + n[1] <= room)
        return ILK_OK;
    if (o->truncate != ILKI_TRUNCATE_LONGEST_FIRST) {
        size_t cut = o->truncate == ILKI_TRUNCATE_ONLY_FIRST ? 0 : 1;
        if (cut == 1 && !pair)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "only the second text may be cut, but there is none");
        if (n[1 - cut] >= room)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                                  "the text that may not be cut has %zu tokens or more, there is room for %zu",
                                  n[1 - cut], room);
        n[cut] = room - n[1 - cut];
        return ILK_OK;
    }
    if (!pair) {
        n[0] = room;
        return ILK_OK;
    }
    size_t small = n[0] > n[1] ? 1 : 0;
    size_t a = n[small], b = a > room ? a : (a > room - a ? a : room - a);
    if (a + b > room) {
        a = room / 2;
        b = a + room % 2;
    }
    n[small] = a;
    n[1 - small] = b;
    return ILK_OK;
}

/* Of a pair whose halves of an odd room differ by one, the longer text has more: whether it is not yet known which one
 * that is. n: tokens so far; `more`: there are others. */
static bool is_undecided(const ilki_encode_options *o, size_t room, const size_t n[2], const bool more[2])
{
    if (!o->pair || o->truncate != ILKI_TRUNCATE_LONGEST_FIRST || room % 2 == 0 || n[0] <= room / 2 || n[1] <= room / 2)
        return false;
    return !(!more[1] && n[0] > n[1]) && !(!more[0] && n[1] >= n[0]);
}

/* Both texts, each to `stop` tokens or, where it takes more to tell which is the longer, further. */
static ilk_status run_texts(const ilki_tokenizer *t, ilki_text_scratch *s, const text_view text[2], size_t room,
                            const ilki_encode_options *o, bool more[2], ilk_error *err)
{
    size_t stop = room > SIZE_MAX / 2 - LOOK_AHEAD ? SIZE_MAX : room + LOOK_AHEAD, n[2] = {0, 0};
    do {
        for (int i = 0; i < (o->pair ? 2 : 1); i++) {
            ilk_status status = ilki_text_run(t, s, i, text[i].data, text[i].n, stop, o->no_special_parsing, &more[i],
                                              err);
            if (status)
                return status;
            n[i] = s->tokens[i].n + s->tokens[i].n_left;
        }
        stop = stop > SIZE_MAX / 4 ? SIZE_MAX : stop * 4;
    } while (is_undecided(o, room, n, more));
    return ILK_OK;
}

/* ------------------------------------------------------------------ output */

static bool reserve_encoding(ilki_encoding *e, size_t n)
{
    if (n <= e->cap)
        return true;
    size_t cap = e->cap + e->cap / 2 > n ? e->cap + e->cap / 2 : n;
    int32_t *ids = realloc(e->ids, cap * sizeof *ids);
    if (ids)
        e->ids = ids;
    int32_t *types = realloc(e->types, cap * sizeof *types);
    if (types)
        e->types = types;
    ilki_span *spans = realloc(e->spans, cap * sizeof *spans);
    if (spans)
        e->spans = spans;
    uint8_t *from = realloc(e->from, cap);
    if (from)
        e->from = from;
    if (!ids || !types || !spans || !from)
        return false;
    e->cap = cap;
    return true;
}

/* How many spaces (as ByteLevel writes them, or white space) a token begins with, or (`back`) ends in. */
static size_t count_spaces(const char *token, size_t n, bool back)
{
    size_t count = 0, len;
    while (n) {
        size_t at = 0;
        if (back)
            for (at = n - 1; at > 0 && ((unsigned char)token[at] & 0xc0) == 0x80;)
                at--;
        uint32_t cp = ilki_base_utf8_get(token + at, n - at, &len);
        if (cp != 0x120 && !(ilki_text_flags(cp) & ILKI_UNI_SPACE))
            break;
        count++;
        n -= len;
        token += back ? 0 : len;
    }
    return count;
}

/* The spans of n tokens of one text without the spaces around, as the reference's `process_offsets` has it. */
static void trim_spans(const ilki_tokenizer *t, const text_view *text, const int32_t *ids, ilki_span *spans, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t len, n_token = t->vocab.lengths[ids[i]], step;
        const char *token = t->vocab.strings[ids[i]];
        if (!token)
            continue;
        if (ilki_base_map_get(&t->added_by_content, token, n_token) != ILKI_MAP_NONE) {
            token = text->data + spans[i].start; /* the text of an added token has the space that lstrip took */
            n_token = spans[i].end - spans[i].start;
        }
        size_t ahead = count_spaces(token, n_token, false), behind = count_spaces(token, n_token, true);
        ilki_span *s = &spans[i];
        if (ahead == 1 && t->single.trim_prefix && (i == 0 || s->start == 0))
            ahead = 0;
        for (; ahead && s->start < s->end; ahead--) {
            ilki_base_utf8_get(text->data + s->start, text->n - s->start, &len);
            s->start += (uint32_t)len;
        }
        for (; behind && s->end > s->start; behind--) {
            for (step = 1;
                 step < 4 && s->end - step > s->start && ((unsigned char)text->data[s->end - step] & 0xc0) == 0x80;)
                step++;
            s->end -= (uint32_t)step;
        }
        if (s->start > s->end)
            s->start = s->end;
    }
}

static bool emit(const ilki_tokenizer *t, const ilki_text_scratch *s, const ilki_template *tmpl, bool add_specials,
                 const size_t keep[2], const text_view text[2], ilki_encoding *out)
{
    size_t n = 0;
    for (size_t i = 0; i < tmpl->n; i++)
        n += tmpl->items[i].from == ILKI_FROM_TEMPLATE ? (size_t)add_specials : keep[tmpl->items[i].from];
    if (!reserve_encoding(out, n))
        return false;
    for (size_t i = 0; i < tmpl->n; i++) {
        const ilki_template_item *item = &tmpl->items[i];
        size_t at = out->n, count = 1;
        if (item->from == ILKI_FROM_TEMPLATE) {
            if (!add_specials)
                continue;
            out->ids[at] = item->id;
            out->spans[at] = (ilki_span){0, 0};
        } else {
            const ilki_text_tokens *tokens = &s->tokens[item->from];
            size_t first = t->truncate_left ? tokens->n - keep[item->from] : 0;
            count = keep[item->from];
            if (count) {
                memcpy(out->ids + at, tokens->ids + first, count * sizeof *out->ids);
                memcpy(out->spans + at, tokens->spans + first, count * sizeof *out->spans);
                if (tmpl->trim)
                    trim_spans(t, &text[item->from], out->ids + at, out->spans + at, count);
            }
        }
        for (size_t k = 0; k < count; k++)
            out->types[at + k] = item->type;
        if (count)
            memset(out->from + at, item->from, count);
        out->n += count;
    }
    return true;
}

/* ------------------------------------------------------------------ cleaning */

/* The last place at or before text[n], behind text[low], in front of ASCII white space and behind another character of
 * ASCII: no reference to a character reaches across, at either going through. 0: there is none. */
static size_t raw_cut(const char *text, size_t low, size_t n)
{
    for (size_t i = n; i > low + 1; i--)
        if ((text[i] == ' ' || text[i] == '\n' || text[i] == '\t') && text[i - 1] > ' ' &&
            (unsigned char)text[i - 1] < 128)
            return i;
    return 0;
}

/* As much of the cleaned text as has all tokens that are wanted, four times as much each time, or all of it: what is cleaned
 * of a text's beginning is what the cleaned text begins with, and what is in front of a cut has tokens of its own. */
static ilk_status run_cleaned(const ilki_tokenizer *t, ilki_text_scratch *s, text_view text[2], size_t room,
                              const ilki_encode_options *o, bool more[2], ilk_error *err)
{
    text_view whole = text[0];
    size_t stop = room + LOOK_AHEAD;
    bool cuts = t->cut_end && (t->cut_space || t->cut_before || t->ascii_lane);
    bool in_part = cuts && o->max_tokens && !o->pair && !t->truncate_left && room < whole.n;
    for (size_t n = stop * BYTES_PER_TOKEN; in_part && n < whole.n / 2; n *= 4) {
        size_t cut = raw_cut(whole.data, n / 2, n);
        ilk_status status = cut ? ilki_text_clean(&s->cleaned, &s->between, t->cleaning, whole.data, cut, err) : ILK_OK;
        if (status)
            return status;
        text[0].data = ilki_base_buf_view(&s->cleaned);
        text[0].n = cut ? ilki_text_last_cut(t, text[0].data, s->cleaned.len) : 0;
        if (text[0].n == 0)
            continue;
        status = run_texts(t, s, text, room, o, more, err);
        more[0] = true; /* behind a cut inside of what was cleaned */
        if (status || s->tokens[0].n >= stop)
            return status;
    }
    ilk_status status = ilki_text_clean(&s->cleaned, &s->between, t->cleaning, whole.data, whole.n, err);
    text[0] = (text_view){ilki_base_buf_view(&s->cleaned), s->cleaned.len};
    return status ? status : run_texts(t, s, text, room, o, more, err);
}

/* ------------------------------------------------------------------ public */

ilk_status ilki_text_encode(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n,
                            const ilki_encode_options *opt, ilki_encoding *out, ilk_error *err)
{
    static const ilki_encode_options none = {0};
    const ilki_encode_options *o = opt ? opt : &none;
    const ilki_template *tmpl = o->pair ? &t->pair : &t->single;
    size_t added = o->add_specials ? tmpl->n_added : 0, room = SIZE_MAX / 2;
    bool more[2] = {false, false};
    out->n = out->n_dropped = 0;
    out->n_dropped_more = false;
    if (o->max_tokens) {
        if (o->max_tokens < added)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "a limit of %zu tokens, the template alone has %zu",
                                  o->max_tokens, added);
        room = o->max_tokens - added;
    }
    s->tokens[1].n = s->tokens[1].n_left = 0;
    text_view texts[2] = {{text, n}, {o->pair, o->n_pair}};
    ilk_status status = t->cleaning ? run_cleaned(t, s, texts, room, o, more, err)
                                    : run_texts(t, s, texts, room, o, more, err);
    if (status)
        return status;
    size_t n_all[2] = {s->tokens[0].n + s->tokens[0].n_left, s->tokens[1].n + s->tokens[1].n_left};
    size_t keep[2] = {n_all[0], n_all[1]};
    status = share(o, o->pair != NULL, room, keep, err);
    if (status)
        return status;
    if (!emit(t, s, tmpl, o->add_specials, keep, texts, out)) {
        out->n = 0;
        return ilki_base_fail(err, ILK_NO_MEMORY, "out of memory while tokenising");
    }
    out->n_dropped = n_all[0] - keep[0] + n_all[1] - keep[1];
    out->n_dropped_more = more[0] || more[1];
    return ILK_OK;
}

ilk_status ilki_text_count(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, size_t limit,
                           size_t *count, ilk_error *err)
{
    bool more;
    ilk_status status = ilki_text_run(t, s, 0, text, n, limit ? limit : SIZE_MAX, false, &more, err);
    *count = status ? 0 : s->tokens[0].n + s->tokens[0].n_left;
    return status;
}

void ilki_text_encoding_deinit(ilki_encoding *e)
{
    free(e->ids);
    free(e->types);
    free(e->spans);
    free(e->from);
    *e = (ilki_encoding){0};
}
