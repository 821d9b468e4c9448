/* SPDX-License-Identifier: Apache-2.0
 * Limits, orientation and turning. An orientation is three bits: the axes are exchanged, then columns and rows are each
 * read from the other end. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

ilk_status media_picture_begin(media_picture *p, const char *what, uint64_t width, uint64_t height, ilk_error *err)
{
    p->form = p->form ? p->form : ILKI_MEDIA_FORM_PIXELS;
    if (width == 0 || height == 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a picture of at least one pixel, found %llu x %llu",
                              what, (unsigned long long)width, (unsigned long long)height);
    if (width > MEDIA_MAX_SIDE || height > MEDIA_MAX_SIDE || width * height > MEDIA_MAX_PIXELS)
        return ilki_base_fail(err, ILK_LIMIT, "%s: expected at most %d pixels and sides of %d, found %llu x %llu", what,
                              MEDIA_MAX_PIXELS, MEDIA_MAX_SIDE, (unsigned long long)width, (unsigned long long)height);
    p->width = (uint32_t)width;
    p->height = (uint32_t)height;
    if (p->size_only)
        return ILK_OK;
    size_t step = ilki_media_pixel_bytes(p->form);
    p->pixels = p->room ? p->room : ilki_base_zalloc((size_t)(width * height), step);
    return p->pixels ? ILK_OK : ilki_base_fail_memory(err, (size_t)(width * height) * step, "a picture");
}

void media_picture_end(media_picture *p)
{
    if (p->pixels != p->room)
        free(p->pixels);
    p->pixels = NULL;
}

void media_picture_set_bits(media_picture *p)
{
    p->form = ILKI_MEDIA_FORM_PICKED;
    memset(p->palette, 255, sizeof p->palette);
    memset(p->palette[0], 0, 3);
}

/* a * b / 255, rounded */
static unsigned scale(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

void media_picture_print(const unsigned char ink[4], unsigned char rgb[3])
{
    unsigned light = 255u - ink[3];
    for (size_t i = 0; i < 3; i++)
        rgb[i] = (unsigned char)(light - scale(ink[i], light));
}

/* ------------------------------------------------------------------ EXIF */

static uint32_t number(const unsigned char *p, size_t n, bool big)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint32_t)p[i] << 8 * (big ? n - 1 - i : i);
    return v;
}

uint32_t media_exif_orientation(const unsigned char *data, size_t n)
{
    enum { SHORT = 3, LONG = 4 };
    if (n < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 0;
    bool big = *data == 'M';
    size_t at = number(data + 4, 4, big);
    if (at > n || n - at < 2)
        return 0;
    size_t n_entries = number(data + at, 2, big);
    at += 2;
    for (size_t i = 0; i < n_entries && n - at >= 12; i++, at += 12) {
        const unsigned char *e = data + at;
        uint32_t type = number(e + 2, 2, big);
        if (number(e, 2, big) != 0x0112)
            continue;
        if ((type != SHORT && type != LONG) || number(e + 4, 4, big) != 1)
            return 0;
        uint32_t v = number(e + 8, type == SHORT ? 2 : 4, big);
        return v >= 1 && v <= 8 ? v : 0;
    }
    return 0;
}

bool media_has_brand(const unsigned char *head, size_t n, const char *brands)
{
    size_t n_box = n >= 16 ? number(head, 4, true) : 0;
    if (n_box < 16 || memcmp(head + 4, "ftyp", 4) != 0)
        return false;
    n_box = n_box < n ? n_box : n;
    for (size_t at = 8; n_box - at >= 4; at += at == 8 ? 8 : 4) /* behind the major one stands a version */
        for (const char *b = brands; *b; b += 4)
            if (memcmp(head + at, b, 4) == 0)
                return true;
    return false;
}

void media_picture_paint(media_picture *p)
{
    for (size_t i = 0; p->has_key && i < (size_t)p->width * p->height; i++)
        if (memcmp(p->pixels + 3 * i, p->key, 3) == 0)
            memset(p->pixels + 3 * i, 255, 3);
}

/* ------------------------------------------------------------------ turning */

ilk_status media_picture_orient(media_picture *p, ilk_error *err)
{
    static const struct {
        uint8_t swap, right,
            bottom; /* the new picture's columns are the old rows; they begin at the right, at the bottom */
    } ways[9] = {[2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
                 [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};
    uint32_t o = p->orientation, w = p->width, h = p->height;
    size_t step = ilki_media_pixel_bytes(p->form);
    p->orientation = 1;
    if (o < 2 || o > 8)
        return ILK_OK;
    p->width = ways[o].swap ? h : w;
    p->height = ways[o].swap ? w : h;
    if (!p->pixels)
        return ILK_OK;
    unsigned char *turned = ilki_base_zalloc((size_t)w * h, step);
    if (!turned)
        return ilki_base_fail_memory(err, (size_t)w * h * step, "a turned picture");
    for (size_t y = 0; y < p->height; y++)
        for (size_t x = 0; x < p->width; x++) {
            size_t sx = ways[o].swap ? y : x, sy = ways[o].swap ? x : y;
            sx = ways[o].right ? w - 1 - sx : sx;
            sy = ways[o].bottom ? h - 1 - sy : sy;
            memcpy(turned + (y * p->width + x) * step, p->pixels + (sy * w + sx) * step, step);
        }
    media_picture_end(p);
    p->pixels = turned;
    return ILK_OK;
}
