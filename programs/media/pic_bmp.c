/* SPDX-License-Identifier: Apache-2.0
 * BMP of Windows and OS/2: palettes of 1, 4 and 8 bits, plain or with runs, and colours of 16, 24 and 32 bits with the masks
 * that Pillow knows. An index behind the palette is black, or gray where the palette is a plain ramp. As stored, colours of
 * a palette that is no ramp, and of one of black and white, are picked; a mask of alpha counts where it stands in the header. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

enum { RAW, RLE8, RLE4, BITFIELDS };

typedef struct decoder {
    const unsigned char *data;
    size_t n, at; /* of the pixels */
    uint32_t width, height, bits, compression, n_colors, masks[4];
    bool top_down, ramp; /* ramp: the palette is one, of gray */
    unsigned char palette[256][3];
} decoder;

static bool probe(const unsigned char *head, size_t n)
{
    return n >= 18 && memcmp(head, "BM", 2) == 0 && head[15] == 0 && head[16] == 0 && head[17] == 0;
}

static ilk_status broken(const char *what, ilk_error *err)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "bmp: expected %s, found the end", what);
}

/* ------------------------------------------------------------------ header */

static void read_info(decoder *d, ilki_cur *c, uint32_t n_header)
{
    if (n_header == 12) {
        d->width = ilki_base_cur_u16(c);
        d->height = ilki_base_cur_u16(c);
        (void)ilki_base_cur_u16(c);
        d->bits = ilki_base_cur_u16(c);
        return;
    }
    d->width = ilki_base_cur_u32(c);
    d->height = ilki_base_cur_u32(c);
    d->top_down = d->height >> 24 == 0xff;
    d->height = d->top_down ? 0 - d->height : d->height;
    (void)ilki_base_cur_u16(c);
    d->bits = ilki_base_cur_u16(c);
    d->compression = ilki_base_cur_u32(c);
    (void)ilki_base_cur_bytes(c, 12);
    d->n_colors = ilki_base_cur_u32(c);
    (void)ilki_base_cur_u32(c);
    if (n_header >= 52 || d->compression == BITFIELDS) /* behind a header of 40, or in a longer one */
        for (size_t i = 0; i < 3; i++)
            d->masks[i] = ilki_base_cur_u32(c);
    if (n_header >= 56)
        d->masks[3] = ilki_base_cur_u32(c);
    if (n_header > 56)
        (void)ilki_base_cur_bytes(c, n_header - 56);
}

static ilk_status read_palette(decoder *d, ilki_cur *c, uint32_t n_header, ilk_error *err)
{
    size_t step = n_header == 12 ? 3 : 4;
    bool ramp = true;
    if (d->n_colors == 0)
        d->n_colors = 1u << d->bits;
    if (d->n_colors > 65536)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "bmp: expected a palette of at most 65536, found %u", d->n_colors);
    if (d->at == 14 + n_header)
        d->at += step * d->n_colors;
    for (size_t i = 0; i < d->n_colors; i++) {
        const unsigned char *e = ilki_base_cur_bytes(c, step);
        unsigned gray = d->n_colors == 2 ? (unsigned)i * 255 : (unsigned)i;
        if (!e)
            return broken("a palette", err);
        ramp = ramp && e[0] == gray && e[1] == gray && e[2] == gray;
        for (size_t k = 0; i < 256 && k < 3; k++)
            d->palette[i][k] = e[2 - k];
    }
    for (size_t i = d->n_colors; ramp && i < 256; i++)
        memset(d->palette[i], (int)i, 3);
    d->ramp = ramp;
    return ILK_OK;
}

static ilk_status check_kind(const decoder *d, ilk_error *err)
{
    static const uint32_t masks[][4] = {{32, 0xff0000, 0xff00, 0xff},   {32, 0xff000000, 0xff0000, 0xff00},
                                        {32, 0xff000000, 0xff00, 0xff}, {32, 0xff, 0xff00, 0xff0000},
                                        {24, 0xff0000, 0xff00, 0xff},   {16, 0xf800, 0x7e0, 0x1f},
                                        {16, 0x7c00, 0x3e0, 0x1f}};
    bool depth = d->bits == 1 || d->bits == 4 || d->bits == 8 || d->bits == 16 || d->bits == 24 || d->bits == 32;
    bool ok = depth && (d->compression == RAW || (d->compression == RLE8 && d->bits == 8) ||
                        (d->compression == RLE4 && d->bits == 4));
    for (size_t i = 0; d->compression == BITFIELDS && i < sizeof masks / sizeof *masks; i++)
        ok = ok || (d->bits == masks[i][0] && memcmp(d->masks, &masks[i][1], 3 * sizeof *d->masks) == 0);
    return ok ? ILK_OK
              : ilki_base_fail(err, ILK_UNSUPPORTED, "bmp: %u bits in compression %u, masks %x %x %x", d->bits,
                               d->compression, d->masks[0], d->masks[1], d->masks[2]);
}

static ilk_status read_header(decoder *d, ilk_error *err)
{
    static const uint8_t known[] = {12, 40, 52, 56, 64, 108, 124};
    ilki_cur c;
    ilki_base_cur_init(&c, d->data, d->n);
    (void)ilki_base_cur_bytes(&c, 10);
    d->at = ilki_base_cur_u32(&c);
    uint32_t n_header = ilki_base_cur_u32(&c);
    if (n_header > 255 || !memchr(known, (int)n_header, sizeof known))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "bmp: expected a known header, found one of %u bytes", n_header);
    read_info(d, &c, n_header);
    if (c.bad)
        return broken("a header", err);
    ilk_status st = check_kind(d, err);
    if (st == ILK_OK && d->bits <= 8)
        st = read_palette(d, &c, n_header, err);
    if (st == ILK_OK && d->at == 0)
        d->at = (size_t)(d->n - ilki_base_cur_left(&c));
    return st;
}

/* ------------------------------------------------------------------ pixels */

static uint8_t part(uint32_t v, uint32_t mask)
{
    while (mask && !(mask & 1)) {
        mask >>= 1;
        v >>= 1;
    }
    return mask ? (uint8_t)((v & mask) * 255 / mask) : 0;
}

static void read_row(const decoder *d, const unsigned char *from, unsigned char *to, size_t step)
{
    static const uint32_t usual[2][3] = {{0xff0000, 0xff00, 0xff}, {0x7c00, 0x3e0, 0x1f}};
    const uint32_t *masks = d->compression == BITFIELDS ? d->masks : usual[d->bits == 16];
    for (size_t x = 0; x < d->width; x++) {
        size_t bit = x * d->bits;
        uint32_t v = 0;
        if (d->bits <= 8) {
            v = from[bit / 8] >> (8 - d->bits - bit % 8) & ((1u << d->bits) - 1);
            memcpy(to + 3 * x, d->palette[v], 3);
            continue;
        }
        for (size_t i = 0; i < d->bits / 8; i++)
            v |= (uint32_t)from[bit / 8 + i] << 8 * i;
        for (size_t i = 0; i < step; i++)
            to[step * x + i] = part(v, i < 3 ? masks[i] : d->masks[3]);
    }
}

static unsigned char *row_of(const decoder *d, const media_picture *p, size_t y)
{
    return p->pixels + (d->top_down ? y : d->height - 1 - y) * (size_t)d->width * ilki_media_pixel_bytes(p->form);
}

static ilk_status read_rows(const decoder *d, const media_picture *p, ilk_error *err)
{
    size_t step = (size_t)(((uint64_t)d->width * d->bits + 31) / 32 * 4), need = ((size_t)d->width * d->bits + 7) / 8;
    for (size_t y = 0, at = d->at; y < d->height; y++, at += step) {
        if (at > d->n || d->n - at < need)
            return broken("more rows", err);
        read_row(d, d->data + at, row_of(d, p, y), ilki_media_pixel_bytes(p->form));
    }
    return ILK_OK;
}

/* ------------------------------------------------------------------ runs */

/* Pixels are counted through, from the bottom row on; what is passed over has index 0. */
typedef struct runs {
    const decoder *d;
    const media_picture *p;
    ilki_cur in;
    size_t done, all, x; /* x: of the row, which ends with its mark alone */
} runs;

static void put(runs *r, uint8_t index, size_t n)
{
    for (; n > 0 && r->done < r->all; n--, r->done++)
        memcpy(row_of(r->d, r->p, r->done / r->d->width) + r->done % r->d->width * 3, r->d->palette[index], 3);
}

static void put_literal(runs *r, size_t n, bool four)
{
    n = n < r->all - r->done ? n : r->all - r->done;
    const unsigned char *v = ilki_base_cur_bytes(&r->in, four ? (n + 1) / 2 : n);
    for (size_t i = 0; v && i < n; i++)
        put(r, four ? v[i / 2] >> (i % 2 ? 0 : 4) & 15 : v[i], 1);
    if (r->done < r->all && (r->d->n - ilki_base_cur_left(&r->in)) & 1)
        (void)ilki_base_cur_u8(&r->in);
}

static ilk_status read_runs(const decoder *d, const media_picture *p, ilk_error *err)
{
    runs r = {.d = d, .p = p, .all = (size_t)d->width * d->height};
    bool four = d->compression == RLE4;
    if (d->at > d->n)
        return broken("pixels", err);
    ilki_base_cur_init(&r.in, d->data, d->n);
    (void)ilki_base_cur_bytes(&r.in, d->at);
    while (r.done < r.all && !r.in.bad) {
        uint8_t n = ilki_base_cur_u8(&r.in), v = ilki_base_cur_u8(&r.in);
        size_t left = d->width - r.done % d->width, most = r.x < d->width ? d->width - r.x : 0;
        if (r.in.bad || (n == 0 && v == 1))
            break;
        if (n > 0) {
            size_t run = n < most ? n : most;
            for (size_t i = 0; i < run; i++)
                put(&r, four ? v >> (i % 2 ? 0 : 4) & 15 : v, 1);
            r.x += run;
        } else if (v == 0) {
            put(&r, 0, left % d->width);
            r.x = 0;
        } else if (v == 2) {
            size_t right = ilki_base_cur_u8(&r.in), up = ilki_base_cur_u8(&r.in);
            put(&r, 0, right + up * d->width);
            r.x = r.done % d->width;
        } else {
            put_literal(&r, v, four);
            r.x += v;
        }
    }
    return r.done == r.all ? ILK_OK : broken("more pixels", err);
}

static void choose_form(const decoder *d, media_picture *p)
{
    if (d->bits <= 8 && d->ramp && d->n_colors <= 2) {
        media_picture_set_bits(p);
    } else if (d->bits <= 8 && !d->ramp) {
        p->form = ILKI_MEDIA_FORM_PICKED;
        memcpy(p->palette, d->palette, sizeof p->palette);
    } else if (d->bits == 32 && d->compression == BITFIELDS && d->masks[3]) {
        p->form = ILKI_MEDIA_FORM_ALPHA;
    }
}

static ilk_status read_bmp(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder *d = ilki_base_zalloc(1, sizeof *d);
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "bmp");
    d->data = data;
    d->n = n;
    ilk_status st = read_header(d, err);
    if (st == ILK_OK && p->as_stored)
        choose_form(d, p);
    if (st == ILK_OK)
        st = media_picture_begin(p, "bmp", d->width, d->height, err);
    if (st == ILK_OK && !p->size_only)
        st = d->compression == RLE8 || d->compression == RLE4 ? read_runs(d, p, err) : read_rows(d, p, err);
    free(d);
    return st;
}

const media_reader media_bmp = {.name = "bmp", .probe = probe, .picture = read_bmp};
