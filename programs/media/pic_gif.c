/* SPDX-License-Identifier: Apache-2.0
 * GIF: the first frame on its screen, as Pillow shows it. What the frame does not cover has the transparent index, or the
 * first. As stored, its colours are picked, unless its palette is a ramp of gray. LZW with a table of prefixes: a code is written from its end, whose place its length tells. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CODES = 4096 };

typedef struct decoder {
    ilki_cur in;
    unsigned char palette[256][3];
    uint32_t screen_width, screen_height, left, top, width, height;
    uint8_t background, code_bits;
    bool interlaced, transparent, colored; /* the background's index is; its palette is no ramp of gray */
    unsigned char *indices;                /* of the frame */
    /* codes */
    uint16_t prefix[MAX_CODES], length[MAX_CODES];
    uint8_t last[MAX_CODES], first[MAX_CODES];
    /* bits */
    uint32_t held, n_held;
    size_t block; /* bytes left of the block */
} decoder;

static bool probe(const unsigned char *head, size_t n)
{
    return n >= 6 && (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0);
}

/* ------------------------------------------------------------------ blocks */

static void read_palette(decoder *d, uint8_t flags)
{
    size_t n = flags & 0x80 ? (size_t)2 << (flags & 7) : 0;
    const unsigned char *from = ilki_base_cur_bytes(&d->in, n * 3);
    bool ramp = true;
    if (!n || !from)
        return;
    memset(d->palette, 0, sizeof d->palette);
    for (size_t i = 0; i < n; i++) {
        memcpy(d->palette[i], from + 3 * i, 3);
        ramp = ramp && from[3 * i] == i && from[3 * i + 1] == i && from[3 * i + 2] == i;
    }
    for (size_t i = n; ramp && i < 256; i++)
        memset(d->palette[i], (int)i, 3);
    d->colored = !ramp;
}

static void read_extension(decoder *d)
{
    bool control = ilki_base_cur_u8(&d->in) == 0xf9;
    for (size_t n; (n = ilki_base_cur_u8(&d->in)) > 0 && !d->in.bad; control = false) {
        const unsigned char *block = ilki_base_cur_bytes(&d->in, n);
        if (control && block && n >= 4 && block[0] & 1) {
            d->background = block[3];
            d->transparent = true;
        }
    }
}

static bool read_header(decoder *d)
{
    for (size_t i = 0; i < 256; i++)
        memset(d->palette[i], (int)i, 3);
    (void)ilki_base_cur_bytes(&d->in, 6);
    d->screen_width = ilki_base_cur_u16(&d->in);
    d->screen_height = ilki_base_cur_u16(&d->in);
    uint8_t flags = ilki_base_cur_u8(&d->in);
    (void)ilki_base_cur_u16(&d->in);
    read_palette(d, flags);
    for (uint8_t kind; (kind = ilki_base_cur_u8(&d->in)) != ',' && !d->in.bad;) {
        if (kind == '!')
            read_extension(d);
        else if (kind == ';')
            return false;
    }
    d->left = ilki_base_cur_u16(&d->in);
    d->top = ilki_base_cur_u16(&d->in);
    d->width = ilki_base_cur_u16(&d->in);
    d->height = ilki_base_cur_u16(&d->in);
    flags = ilki_base_cur_u8(&d->in);
    d->interlaced = flags & 0x40;
    read_palette(d, flags);
    d->code_bits = ilki_base_cur_u8(&d->in);
    return !d->in.bad;
}

/* ------------------------------------------------------------------ LZW */

/* The next code of n bits; -1: there is none. */
static int next_code(decoder *d, uint32_t n)
{
    while (d->n_held < n) {
        while (d->block == 0) {
            d->block = ilki_base_cur_u8(&d->in);
            if (d->block == 0)
                return -1;
        }
        d->held |= (uint32_t)ilki_base_cur_u8(&d->in) << d->n_held;
        d->n_held += 8;
        d->block--;
        if (d->in.bad)
            return -1;
    }
    int code = (int)(d->held & ((1u << n) - 1));
    d->held >>= n;
    d->n_held -= n;
    return code;
}

static void add_code(decoder *d, uint32_t at, uint32_t prefix, uint8_t last)
{
    d->prefix[at] = (uint16_t)prefix;
    d->length[at] = (uint16_t)(d->length[prefix] + 1);
    d->first[at] = d->first[prefix];
    d->last[at] = last;
}

/* The string of a code at `at`, as much as fits before n. */
static size_t put_code(decoder *d, uint32_t code, size_t at, size_t n)
{
    size_t end = at + d->length[code];
    for (size_t k = end; k > at; k--, code = d->prefix[code])
        if (k <= n)
            d->indices[k - 1] = d->last[code];
    return end < n ? end : n;
}

/* Fills the frame's indices in the order of the file; false: too few, or no code. */
static bool unpack(decoder *d)
{
    uint32_t clear = 1u << d->code_bits, bits = d->code_bits + 1u, n_codes = clear + 2;
    size_t n = (size_t)d->width * d->height, at = 0;
    int previous = -1;
    for (uint32_t i = 0; i < clear; i++) {
        d->length[i] = 1;
        d->first[i] = d->last[i] = (uint8_t)i;
    }
    while (at < n) {
        int code = next_code(d, bits);
        if (code < 0 || (uint32_t)code == clear + 1)
            return false;
        if ((uint32_t)code == clear) {
            bits = d->code_bits + 1u;
            n_codes = clear + 2;
            previous = -1;
            continue;
        }
        if ((uint32_t)code > n_codes || (previous < 0 && (uint32_t)code >= clear) ||
            ((uint32_t)code == n_codes && n_codes == MAX_CODES))
            return false;
        if (previous >= 0 && n_codes < MAX_CODES) {
            add_code(d, n_codes, (uint32_t)previous, d->first[(uint32_t)code == n_codes ? previous : code]);
            n_codes++;
            bits += n_codes == 1u << bits && bits < 12;
        }
        at = put_code(d, (uint32_t)code, at, n);
        previous = code;
    }
    return true;
}

/* ------------------------------------------------------------------ the screen */

static uint32_t row_of(const decoder *d, uint32_t i)
{
    static const uint8_t passes[4][2] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
    for (size_t p = 0; d->interlaced && p < 4; p++) {
        uint32_t n = d->height > passes[p][0] ? (d->height - passes[p][0] - 1) / passes[p][1] + 1 : 0;
        if (i < n)
            return passes[p][0] + i * passes[p][1];
        i -= n;
    }
    return i;
}

static void paint(const decoder *d, media_picture *p)
{
    for (size_t i = 0; i < (size_t)p->width * p->height; i++)
        memcpy(p->pixels + 3 * i, d->palette[d->background], 3);
    for (uint32_t i = 0; i < d->height; i++) {
        unsigned char *to = p->pixels + (((size_t)d->top + row_of(d, i)) * p->width + d->left) * 3;
        for (size_t x = 0; x < d->width; x++)
            memcpy(to + 3 * x, d->palette[d->indices[(size_t)i * d->width + x]], 3);
    }
}

static ilk_status read_frame(decoder *d, media_picture *p, ilk_error *err)
{
    if (!read_header(d))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "gif: expected a frame, found the end");
    uint32_t right = d->left + d->width, bottom = d->top + d->height;
    p->has_key = d->transparent;
    memcpy(p->key, d->palette[d->background], 3);
    if (p->as_stored && d->colored) {
        p->form = ILKI_MEDIA_FORM_PICKED;
        memcpy(p->palette, d->palette, sizeof p->palette);
    }
    ilk_status st = media_picture_begin(p, "gif", right > d->screen_width ? right : d->screen_width,
                                        bottom > d->screen_height ? bottom : d->screen_height, err);
    if (st != ILK_OK || p->size_only)
        return st;
    if (d->width == 0 || d->height == 0 || d->code_bits < 1 || d->code_bits > 8)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "gif: expected a frame of codes of 1 to 8 bits, found %u x %u of %u",
                              d->width, d->height, d->code_bits);
    d->indices = ilki_base_zalloc((size_t)d->width * d->height, 1);
    if (!d->indices)
        return ilki_base_fail_memory(err, (size_t)d->width * d->height, "a frame");
    if (!unpack(d))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "gif: expected %u x %u pixels, found the end or a broken code",
                              d->width, d->height);
    paint(d, p);
    return ILK_OK;
}

static ilk_status read_gif(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder *d = ilki_base_zalloc(1, sizeof *d);
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "gif");
    ilki_base_cur_init(&d->in, data, n);
    ilk_status st = read_frame(d, p, err);
    free(d->indices);
    free(d);
    return st;
}

const media_reader media_gif = {.name = "gif", .probe = probe, .picture = read_gif};
