/* SPDX-License-Identifier: Apache-2.0
 * ByteLevel: every byte of UTF-8 becomes a character of its own, so that a vocabulary of 256 characters holds any text:
 * 33-126, 161-172 and 174-255 stand for themselves, the others in order for U+0100 and on (a space for U+0120). As a
 * pre-tokenizer it may put a space before and split by GPT-2's pattern first. Follows tokenizers 0.23,
 * `pre_tokenizers/byte_level.rs`. */
#include "base/utf8.h"
#include "text/part.h"

uint32_t ilki_text_byte_char(unsigned char b)
{
    if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
        return b;
    if (b <= 32)
        return 256U + b;
    return b == 173 ? 256 + 67 : 256U + 33 + (b - 127U); /* 127 to 160 come behind 0 to 32 */
}

/* The bytes of one character at `to`, which has room for four. */
static size_t put_bytes(ilki_text_char c, ilki_text_char *to)
{
    char bytes[4];
    if (c.cp < 128) {
        *to = (ilki_text_char){ilki_text_byte_char((unsigned char)c.cp), c.at};
        return 1;
    }
    size_t n = ilki_base_utf8_put(c.cp, bytes);
    for (size_t i = 0; i < n; i++)
        to[i] = (ilki_text_char){ilki_text_byte_char((unsigned char)bytes[i]), c.at};
    return n;
}

/* Each piece, with a space before it where it is to have one and begins with none. */
static bool prepend_spaces(ilki_text_scratch *s)
{
    ilki_text_str *to = &s->spare;
    to->n = 0;
    if (!ilki_text_str_reserve(to, s->str.n + s->pieces.n))
        return false;
    for (size_t k = 0; k < s->pieces.n; k++) {
        ilki_text_piece *p = &s->pieces.p[k];
        const ilki_text_char *c = s->str.c + p->first;
        size_t first = to->n;
        if (c[0].cp != ' ')
            to->c[to->n++] = (ilki_text_char){' ', c[0].at};
        for (size_t i = 0; i < p->n; i++)
            to->c[to->n++] = c[i];
        *p = (ilki_text_piece){first, to->n - first};
    }
    ilki_text_swap_strs(s);
    return true;
}

static bool byte_level_apply(const ilki_splitter *p, ilki_text_scratch *s)
{
    ilki_text_str *to = &s->spare;
    if (p->prefix && !prepend_spaces(s))
        return false;
    if (p->next && !ilki_text_split.apply(p, s))
        return false;
    to->n = 0;
    if (!ilki_text_str_reserve(to, s->str.n * 4))
        return false;
    for (size_t k = 0; k < s->pieces.n; k++) {
        ilki_text_piece *piece = &s->pieces.p[k];
        const ilki_text_char *c = s->str.c + piece->first;
        size_t first = to->n;
        for (size_t i = 0; i < piece->n; i++)
            to->n += put_bytes(c[i], to->c + to->n);
        *piece = (ilki_text_piece){first, to->n - first};
    }
    ilki_text_swap_strs(s);
    return true;
}

void ilki_text_byte_level_set(ilki_splitter *p, bool prefix, bool regex)
{
    *p = (ilki_splitter){.row = &ilki_text_byte_level, .prefix = prefix};
    if (regex)
        ilki_text_pattern_set_gpt2(p);
    p->behaviour = 1; /* each match is a piece */
}

static ilk_status byte_level_read(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node)
{
    bool prefix, regex;
    ilk_status status = ilki_text_read_bool(r, node, "add_prefix_space", true, &prefix);
    if (!status)
        status = ilki_text_read_bool(r, node, "use_regex", true, &regex);
    if (!status)
        ilki_text_byte_level_set(p, prefix, regex);
    return status;
}
const ilki_splitter_row ilki_text_byte_level = {
    .type = "ByteLevel", .read = byte_level_read, .apply = byte_level_apply};

static bool normalizer_apply(const ilki_normalizer *p, ilki_text_scratch *s)
{
    (void)p;
    ilki_text_str *to = &s->spare;
    to->n = 0;
    if (!ilki_text_str_reserve(to, s->str.n * 4))
        return false;
    for (size_t i = 0; i < s->str.n; i++)
        to->n += put_bytes(s->str.c[i], to->c + to->n);
    ilki_text_swap_strs(s);
    return true;
}
/* not local: what follows sees no white space */
const ilki_normalizer_row ilki_text_byte_level_normalizer = {.type = "ByteLevel", .apply = normalizer_apply};
