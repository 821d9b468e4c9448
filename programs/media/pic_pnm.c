/* SPDX-License-Identifier: Apache-2.0
 * PBM, PGM and PPM, plain and raw (P1 to P6). Samples of another highest value are scaled and rounded half to even; gray of
 * more than 8 bits is scaled to 16 and cut off at 255: both are Pillow's ways. As stored, it is not cut off, and bits are picked. */
#include "picture.h"

#include <string.h>

enum { BITMAP, GRAYMAP, PIXMAP };

typedef struct decoder {
    ilki_cur in;
    int kind;
    bool plain;
    uint32_t top; /* the highest value */
} decoder;

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool probe(const unsigned char *head, size_t n)
{
    return n >= 3 && head[0] == 'P' && head[1] >= '1' && head[1] <= '6' && (is_space(head[2]) || head[2] == '#');
}

/* The next byte that is neither space nor comment; what follows a number is taken with it. */
static uint8_t next_byte(ilki_cur *c)
{
    uint8_t b = ilki_base_cur_u8(c);
    while (!c->bad && (is_space(b) || b == '#')) {
        while (b == '#' && !c->bad)
            for (b = '#'; !c->bad && b != '\n' && b != '\r';)
                b = ilki_base_cur_u8(c);
        if (!c->bad)
            b = ilki_base_cur_u8(c);
    }
    return b;
}

/* Malformed or past `most`: false. */
static bool number(ilki_cur *c, uint32_t most, uint32_t *out)
{
    uint64_t v = 0;
    uint8_t b = next_byte(c);
    if (c->bad || b < '0' || b > '9')
        return false;
    for (; b >= '0' && b <= '9' && v <= most; b = ilki_base_cur_left(c) ? ilki_base_cur_u8(c) : ' ')
        v = v * 10 + (b - '0');
    *out = (uint32_t)v;
    return v <= most && is_space(b);
}

static bool is_deep(const decoder *d)
{
    return d->kind == GRAYMAP && d->top > 255;
}

static uint16_t scaled(const decoder *d, uint32_t v)
{
    uint64_t most = is_deep(d) ? 65535 : 255;
    uint64_t twice = 2 * v * most, down = twice / (2 * d->top), rest = twice % (2 * d->top);
    uint64_t got = down + (rest > d->top || (rest == d->top && down & 1));
    return got < most ? (uint16_t)got : (uint16_t)most;
}

static bool sample(decoder *d, uint16_t *out)
{
    uint32_t v = 0;
    if (d->plain && d->kind == BITMAP) {
        uint8_t b = next_byte(&d->in);
        *out = b == '0' ? 255 : 0;
        return !d->in.bad && (b == '0' || b == '1');
    }
    if (d->plain && !number(&d->in, d->top, &v))
        return false;
    if (!d->plain)
        v = ilki_base_cur_u8(&d->in);
    if (!d->plain && d->top > 255)
        v = v << 8 | ilki_base_cur_u8(&d->in);
    *out = scaled(d, v);
    return !d->in.bad;
}

static bool read_row(decoder *d, unsigned char *to, uint32_t width, bool deep)
{
    uint8_t bits = 0;
    uint16_t v[3];
    for (size_t x = 0; x < width; x++) {
        if (d->kind == BITMAP && !d->plain) {
            bits = x % 8 ? (uint8_t)(bits << 1) : ilki_base_cur_u8(&d->in);
            v[0] = bits & 0x80 ? 0 : 255;
        } else if (!sample(d, &v[0])) {
            return false;
        }
        v[1] = v[2] = v[0];
        if (d->kind == PIXMAP && (!sample(d, &v[1]) || !sample(d, &v[2])))
            return false;
        if (deep)
            memcpy(to + 2 * x, v, 2);
        for (size_t i = 0; !deep && i < 3; i++)
            to[3 * x + i] = (unsigned char)(v[i] < 255 ? v[i] : 255);
    }
    return !d->in.bad;
}

static ilk_status read_pnm(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder d = {.kind = (data[1] - '1') % 3, .plain = data[1] < '4', .top = 1};
    uint32_t width, height;
    ilki_base_cur_init(&d.in, data, n);
    (void)ilki_base_cur_bytes(&d.in, 2);
    if (!number(&d.in, UINT32_MAX - 1, &width) || !number(&d.in, UINT32_MAX - 1, &height) ||
        (d.kind != BITMAP && (!number(&d.in, 65535, &d.top) || d.top == 0)))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "pnm: expected width, height and a highest value up to 65535");
    if (p->as_stored && d.kind == BITMAP)
        media_picture_set_bits(p);
    else if (p->as_stored && is_deep(&d))
        p->form = ILKI_MEDIA_FORM_GRAY32;
    bool deep = p->form == ILKI_MEDIA_FORM_GRAY32;
    ilk_status st = media_picture_begin(p, "pnm", width, height, err);
    size_t n_row = width * ilki_media_pixel_bytes(p->form);
    for (size_t y = 0; st == ILK_OK && !p->size_only && y < height; y++)
        if (!read_row(&d, p->pixels + y * n_row, width, deep))
            st = ilki_base_fail(err, ILK_BAD_FORMAT,
                                "pnm: expected %u rows, found the end or a broken sample in row %zu", height, y);
    return st;
}

const media_reader media_pnm = {.name = "pnm", .probe = probe, .picture = read_pnm};
