/* SPDX-License-Identifier: Apache-2.0
 * TIFF and BigTIFF by libtiff: the first picture, in strips or tiles, its samples side by side, or of RGB each in a plane.
 * The kinds are a table of those that Pillow knows; others are refused by name. 16 bits as in PNG: the high byte, but gray
 * alone is cut off at 255. Alpha that is multiplied in is divided out, as Pillow does it; YCbCr that no JPEG holds is
 * refused. As stored: indices and bits as colours that are picked, alpha, ink, gray of 16 bits. */
#include "exif.h"
#include "picture.h"

#include <stdlib.h>
#include <string.h>

static bool probe(const unsigned char *head, size_t n)
{
    static const char *const magic[] = {"II*\0", "MM\0*", "II+\0", "MM\0+"};
    for (size_t i = 0; n >= 4 && i < sizeof magic / sizeof *magic; i++)
        if (memcmp(head, magic[i], 4) == 0)
            return true;
    return false;
}

#if ILK_MEDIA_TIFF

#include <tiffio.h>

enum { MAX_BLOCK = 64 << 20 }; /* of a tile or a row */

typedef struct decoder {
    const unsigned char *data;
    uint64_t n, at;
    TIFF *tif;
    uint16_t photo, bits, samples;
    bool alpha;  /* the last sample is that, */
    bool mixed;  /* and multiplied into the others */
    bool planes; /* a plane for each sample */
    uint16_t *map[3];
    ilki_media_form form;
} decoder;

/* ------------------------------------------------------------------ what the library calls */

static tmsize_t on_read(thandle_t user, void *to, tmsize_t n)
{
    decoder *d = user;
    uint64_t left = d->at < d->n ? d->n - d->at : 0, take = n > 0 ? (uint64_t)n : 0;
    take = take < left ? take : left;
    if (take)
        memcpy(to, d->data + d->at, take);
    d->at += take;
    return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t user, void *from, tmsize_t n)
{
    (void)user;
    (void)from;
    (void)n;
    return -1;
}

static toff_t on_seek(thandle_t user, toff_t to, int how)
{
    decoder *d = user;
    d->at = how == SEEK_SET ? to : how == SEEK_CUR ? d->at + to : d->n + to;
    return d->at;
}

static int on_close(thandle_t user)
{
    (void)user;
    return 0;
}

static toff_t on_size(thandle_t user)
{
    return ((decoder *)user)->n;
}

static int on_message(TIFF *tif, void *user, const char *module, const char *form, va_list args)
{
    (void)tif;
    (void)user;
    (void)module;
    (void)form;
    (void)args;
    return 1;
}

/* ------------------------------------------------------------------ rows */

static unsigned sample(const decoder *d, const unsigned char *row, size_t i)
{
    uint16_t v;
    if (d->bits == 16) { /* in the machine's order */
        memcpy(&v, row + 2 * i, 2);
        return v;
    }
    size_t bit = i * d->bits;
    return row[bit / 8] >> (8 - d->bits - bit % 8) & ((1u << d->bits) - 1);
}

static unsigned char byte_of(const decoder *d, unsigned v)
{
    return (unsigned char)(d->bits == 16 ? v >> 8 : v);
}

static unsigned char gray_of(const decoder *d, unsigned v)
{
    unsigned top = (1u << d->bits) - 1;
    if (d->bits == 16)
        return v < 255 ? (unsigned char)v : 255;
    return (unsigned char)((d->photo == PHOTOMETRIC_MINISWHITE ? top - v : v) * 255 / top);
}

static void take_colors(const decoder *d, const unsigned v[4], unsigned char *to)
{
    unsigned alpha = d->mixed ? byte_of(d, v[3]) : 255;
    for (size_t i = 0; i < 3; i++) {
        unsigned c = alpha ? byte_of(d, v[i]) * 255u / alpha : 0;
        to[i] = c < 255 ? (unsigned char)c : 255;
    }
}

static void take_ink(const decoder *d, const unsigned v[4], unsigned char *to)
{
    unsigned char ink[4];
    for (size_t i = 0; i < 4; i++)
        ink[i] = byte_of(d, v[i]);
    if (d->form == ILKI_MEDIA_FORM_INK)
        memcpy(to, ink, 4);
    else
        media_picture_print(ink, to);
}

static void widen(const decoder *d, const unsigned char *row, unsigned char *to, size_t n)
{
    unsigned v[4] = {0};
    if (d->form == ILKI_MEDIA_FORM_GRAY16) {
        memcpy(to, row, 2 * n); /* the library leaves them in the machine's order */
        return;
    }
    for (size_t x = 0; x < n; x++, to += ilki_media_pixel_bytes(d->form)) {
        for (size_t i = 0; i < 4 && i < d->samples; i++)
            v[i] = sample(d, row, x * d->samples + i);
        if (d->photo == PHOTOMETRIC_PALETTE)
            for (size_t i = 0; i < 3; i++)
                to[i] = (unsigned char)(d->map[i][v[0]] >> 8);
        else if (d->photo == PHOTOMETRIC_SEPARATED)
            take_ink(d, v, to);
        else if (d->photo == PHOTOMETRIC_RGB || d->photo == PHOTOMETRIC_YCBCR)
            take_colors(d, v, to);
        else
            memset(to, gray_of(d, v[0]), 3);
        if (d->form == ILKI_MEDIA_FORM_ALPHA)
            to[3] = byte_of(d, v[d->samples - 1]);
    }
}

static ilk_status broken(ilk_error *err, uint32_t y)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "tiff: expected pixels of row %u, found the end or a broken strip", y);
}

static ilk_status read_strips(decoder *d, media_picture *p, unsigned char *block, ilk_error *err)
{
    for (uint32_t y = 0; y < p->height; y++) {
        if (TIFFReadScanline(d->tif, block, y, 0) != 1)
            return broken(err, y);
        widen(d, block, p->pixels + (size_t)y * p->width * ilki_media_pixel_bytes(p->form), p->width);
    }
    return ILK_OK;
}

/* One behind the other: a strip holds rows of one. What is no channel of the form is passed over. */
static ilk_status read_planes(decoder *d, media_picture *p, unsigned char *block, ilk_error *err)
{
    size_t step = ilki_media_pixel_bytes(p->form);
    for (uint16_t s = 0; s < d->samples && s < step; s++)
        for (uint32_t y = 0; y < p->height; y++) {
            unsigned char *to = p->pixels + (size_t)y * p->width * step + s;
            if (TIFFReadScanline(d->tif, block, y, s) != 1)
                return broken(err, y);
            for (size_t x = 0; x < p->width; x++)
                to[x * step] = byte_of(d, sample(d, block, x));
        }
    return ILK_OK;
}

static ilk_status read_tiles(decoder *d, media_picture *p, unsigned char *block, ilk_error *err)
{
    uint32_t w = 0, h = 0;
    TIFFGetField(d->tif, TIFFTAG_TILEWIDTH, &w);
    TIFFGetField(d->tif, TIFFTAG_TILELENGTH, &h);
    size_t step = (size_t)TIFFTileRowSize(d->tif);
    for (uint64_t y = 0; w && h && y < p->height; y += h)
        for (uint64_t x = 0; x < p->width; x += w) {
            if (TIFFReadTile(d->tif, block, (uint32_t)x, (uint32_t)y, 0, 0) < 0)
                return broken(err, (uint32_t)y);
            size_t n = p->width - x < w ? (size_t)(p->width - x) : w;
            for (uint64_t i = 0; i < h && y + i < p->height; i++)
                widen(d, block + i * step, p->pixels + ((y + i) * p->width + x) * ilki_media_pixel_bytes(p->form), n);
        }
    return w && h ? ILK_OK : broken(err, 0);
}

/* ------------------------------------------------------------------ the file */

/* Of the kinds in the head of this file? */
static bool is_known(decoder *d, uint16_t compression)
{
    bool small = d->bits == 1 || d->bits == 2 || d->bits == 4, deep = d->bits == 16, whole = d->bits == 8 || deep;
    switch (d->photo) {
    case PHOTOMETRIC_MINISBLACK:
        return (d->samples == 1 && (small || whole)) || (d->samples == 2 && d->bits == 8);
    case PHOTOMETRIC_MINISWHITE:
        return d->samples == 1 && (small || d->bits == 8);
    case PHOTOMETRIC_PALETTE:
        return d->samples == 1 && (small || d->bits == 8) &&
               TIFFGetField(d->tif, TIFFTAG_COLORMAP, &d->map[0], &d->map[1], &d->map[2]);
    case PHOTOMETRIC_RGB:
        return (d->samples == 3 || d->samples == 4) && whole;
    case PHOTOMETRIC_SEPARATED:
        return d->samples == 4 && whole;
    case PHOTOMETRIC_YCBCR:
        return compression == COMPRESSION_JPEG && d->samples == 3 && d->bits == 8 &&
               TIFFSetField(d->tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    default:
        return false;
    }
}

static ilk_status check_kind(decoder *d, ilk_error *err)
{
    uint16_t planar = 1, format = 1, compression = 1, n_extra = 0, *extra = NULL;
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_COMPRESSION, &compression);
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_BITSPERSAMPLE, &d->bits);
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_SAMPLESPERPIXEL, &d->samples);
    TIFFGetFieldDefaulted(d->tif, TIFFTAG_EXTRASAMPLES, &n_extra, &extra);
    TIFFGetField(d->tif, TIFFTAG_PHOTOMETRIC, &d->photo);
    bool rgb = d->photo == PHOTOMETRIC_RGB, ok = is_known(d, compression) && format == SAMPLEFORMAT_UINT;
    d->mixed = rgb && d->samples == 4 && n_extra == 1 && extra[0] == EXTRASAMPLE_ASSOCALPHA;
    d->alpha = d->mixed || (rgb && d->samples == 4 && (n_extra == 0 || extra[0] == EXTRASAMPLE_UNASSALPHA)) ||
               (d->samples == 2 && n_extra == 1 && extra[0] == EXTRASAMPLE_UNASSALPHA);
    d->planes = planar == PLANARCONFIG_SEPARATE && d->samples > 1;
    for (uint16_t i = 0; i < n_extra; i++)
        ok = ok && (extra[i] != EXTRASAMPLE_ASSOCALPHA || d->mixed);
    if (d->planes)
        ok = ok && rgb && !d->mixed && !TIFFIsTiled(d->tif);
    return ok ? ILK_OK
              : ilki_base_fail(err, ILK_UNSUPPORTED,
                               "tiff: %u samples of %u bits, format %u, photometric %u, compression %u%s", d->samples,
                               d->bits, format, d->photo, compression, d->planes ? ", in planes" : "");
}

static void choose_form(const decoder *d, media_picture *p)
{
    bool gray = d->photo == PHOTOMETRIC_MINISBLACK || d->photo == PHOTOMETRIC_MINISWHITE;
    if (d->photo == PHOTOMETRIC_PALETTE) {
        p->form = ILKI_MEDIA_FORM_PICKED;
        for (size_t v = 0; v < (size_t)1 << d->bits; v++)
            for (size_t i = 0; i < 3; i++)
                p->palette[v][i] = (unsigned char)(d->map[i][v] >> 8);
    } else if (gray && d->bits == 1) {
        media_picture_set_bits(p);
    } else if (gray && d->bits == 16) {
        p->form = ILKI_MEDIA_FORM_GRAY16;
    } else if (d->photo == PHOTOMETRIC_SEPARATED) {
        p->form = ILKI_MEDIA_FORM_INK;
    } else if (d->alpha) {
        p->form = ILKI_MEDIA_FORM_ALPHA;
    }
}

static ilk_status read_picture(decoder *d, media_picture *p, ilk_error *err)
{
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1;
    TIFFGetField(d->tif, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(d->tif, TIFFTAG_IMAGELENGTH, &height);
    TIFFGetField(d->tif, TIFFTAG_ORIENTATION, &orientation);
    p->orientation = orientation <= 8 ? orientation : 0;
    if (p->fields)
        media_exif_fields(p->fields, d->data, d->n);
    ilk_status st = check_kind(d, err);
    if (st == ILK_OK && p->as_stored)
        choose_form(d, p);
    if (st == ILK_OK)
        st = media_picture_begin(p, "tiff", width, height, err);
    d->form = p->form;
    if (st != ILK_OK || p->size_only)
        return st;
    bool tiled = TIFFIsTiled(d->tif);
    uint64_t n = tiled ? TIFFTileSize64(d->tif) : TIFFScanlineSize64(d->tif);
    if (n == 0 || n > MAX_BLOCK)
        return ilki_base_fail(err, ILK_LIMIT, "tiff: expected rows and tiles of at most %d bytes, found %llu",
                              MAX_BLOCK, (unsigned long long)n);
    unsigned char *block = ilki_base_zalloc((size_t)n, 1);
    if (!block)
        return ilki_base_fail_memory(err, (size_t)n, "tiff");
    st = (tiled ? read_tiles : d->planes ? read_planes : read_strips)(d, p, block, err);
    free(block);
    return st;
}

static ilk_status read_tiff(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder d = {.data = data, .n = n};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options)
        return ilki_base_fail_memory(err, 64, "tiff");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, 4 * (tmsize_t)MAX_BLOCK);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_message, NULL);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_message, NULL);
    d.tif = TIFFClientOpenExt("tiff", "rm", &d, on_read, on_write, on_seek, on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    if (!d.tif)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "tiff: expected a directory, found a truncated or broken one");
    ilk_status st = read_picture(&d, p, err);
    TIFFClose(d.tif);
    return st;
}

const media_reader media_tiff = {.name = "tiff", .probe = probe, .picture = read_tiff};

#else

const media_reader media_tiff = {.name = "tiff", .lacks = "libtiff", .probe = probe};

#endif
