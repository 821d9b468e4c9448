/* SPDX-License-Identifier: Apache-2.0
 * PNG by libpng. Rows arrive as gray, index or RGB at the beginning of where their RGB is to stand, and are widened from
 * their end. As in Pillow: no gamma, no profile; the high byte of 16 bits, but gray of 16 bits alone is cut off at 255; an
 * index behind the palette is black. Of a moving picture, the still one. As stored: indices and bits as colours that are
 * picked, alpha, gray of 16 bits. */
#include "exif.h"
#include "picture.h"

#include <string.h>

static const unsigned char magic[8] = "\x89PNG\r\n\x1a\n";

static bool probe(const unsigned char *head, size_t n)
{
    return n >= sizeof magic && memcmp(head, magic, sizeof magic) == 0;
}

#if ILK_MEDIA_PNG

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

typedef struct decoder {
    png_structp png;
    png_infop info;
    ilki_cur in;
    jmp_buf back;
    ilk_status status;
    ilk_error *err;
    unsigned char palette[256][3];
} decoder;

typedef enum form { GRAY, GRAY16, INDEX, AS_IT_IS } form;

/* ------------------------------------------------------------------ what the library calls */

static void on_error(png_structp png, png_const_charp said)
{
    decoder *d = png_get_error_ptr(png);
    d->status = ilki_base_fail(d->err, ILK_BAD_FORMAT, "png: %s", said);
    longjmp(d->back, 1);
}

static void on_warning(png_structp png, png_const_charp said)
{
    (void)png;
    (void)said;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    decoder *d = png_get_io_ptr(png);
    const unsigned char *from = ilki_base_cur_bytes(&d->in, n);
    if (!from)
        png_error(png, "truncated");
    memcpy(to, from, n);
}

/* ------------------------------------------------------------------ decoding */

/* It may stand behind the pixels. */
static void read_exif(media_picture *p, const unsigned char *data, size_t n)
{
    ilki_cur c;
    ilki_base_cur_init(&c, data, n);
    (void)ilki_base_cur_bytes(&c, sizeof magic);
    while (!c.bad) {
        const unsigned char *head = ilki_base_cur_bytes(&c, 8);
        if (!head)
            break;
        size_t n_chunk = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        const unsigned char *chunk = ilki_base_cur_bytes(&c, n_chunk);
        if (chunk && memcmp(head + 4, "eXIf", 4) == 0) {
            media_picture_exif(p, chunk, n_chunk);
            return;
        }
        (void)ilki_base_cur_bytes(&c, 4);
    }
}

static void take_palette(decoder *d)
{
    png_colorp list = NULL;
    int n = 0;
    if (!png_get_PLTE(d->png, d->info, &list, &n))
        png_error(d->png, "expected a palette, found none");
    for (int i = 0; i < n && i < 256; i++) {
        d->palette[i][0] = list[i].red;
        d->palette[i][1] = list[i].green;
        d->palette[i][2] = list[i].blue;
    }
}

/* What the picture is as stored, where that is not RGB or gray of bytes. */
static void choose_form(decoder *d, media_picture *p)
{
    int type = png_get_color_type(d->png, d->info), depth = png_get_bit_depth(d->png, d->info);
    if (!p->as_stored)
        return;
    if (type == PNG_COLOR_TYPE_PALETTE)
        p->form = ILKI_MEDIA_FORM_PICKED;
    else if (type & PNG_COLOR_MASK_ALPHA)
        p->form = ILKI_MEDIA_FORM_ALPHA;
    else if (type == PNG_COLOR_TYPE_GRAY && depth == 16)
        p->form = ILKI_MEDIA_FORM_GRAY16;
    else if (depth == 1)
        media_picture_set_bits(p);
}

static bool is_little(void)
{
    const uint16_t one = 1;
    return *(const unsigned char *)&one;
}

static form set_form(decoder *d, media_picture *p)
{
    int type = png_get_color_type(d->png, d->info), depth = png_get_bit_depth(d->png, d->info);
    if (p->form == ILKI_MEDIA_FORM_GRAY16) {
        if (is_little())
            png_set_swap(d->png);
        return AS_IT_IS;
    }
    if (type == PNG_COLOR_TYPE_GRAY && depth == 16)
        return GRAY16;
    if (depth == 16)
        png_set_strip_16(d->png);
    if (p->form == ILKI_MEDIA_FORM_ALPHA) {
        if (!(type & PNG_COLOR_MASK_COLOR))
            png_set_gray_to_rgb(d->png);
        return AS_IT_IS;
    }
    if (type & PNG_COLOR_MASK_ALPHA)
        png_set_strip_alpha(d->png);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(d->png);
        take_palette(d);
        if (p->form == ILKI_MEDIA_FORM_PICKED)
            memcpy(p->palette, d->palette, sizeof p->palette);
        return INDEX;
    }
    if (type & PNG_COLOR_MASK_COLOR)
        return AS_IT_IS;
    if (depth < 8)
        png_set_expand_gray_1_2_4_to_8(d->png);
    return GRAY;
}

/* From the last pixel on: none is overwritten before it was read. */
static void widen(const decoder *d, form f, unsigned char *row, size_t n)
{
    for (size_t x = n; f != AS_IT_IS && x-- > 0;) {
        unsigned char v = f == GRAY16 ? (row[2 * x] ? 255 : row[2 * x + 1]) : row[x];
        if (f == INDEX)
            memcpy(row + 3 * x, d->palette[v], 3);
        else
            memset(row + 3 * x, v, 3);
    }
}

/* As Pillow has it: 16 bits are cut to the lower 8 but in gray of bytes, where they are cut off; of bits and of gray of 16
 * bits the key is a red, which black alone can be; of a palette one entry counts, where all others are opaque. */
static void take_key(decoder *d, media_picture *p)
{
    int type = png_get_color_type(d->png, d->info), depth = png_get_bit_depth(d->png, d->info), n = 0;
    png_bytep alpha = NULL;
    png_color_16p color = NULL;
    if (type & PNG_COLOR_MASK_ALPHA || !png_get_tRNS(d->png, d->info, &alpha, &n, &color))
        return;
    if (type == PNG_COLOR_TYPE_PALETTE) {
        int at = 0, n_clear = 0;
        for (int i = 0; alpha && i < n; i++) {
            n_clear += alpha[i] == 0 ? 1 : alpha[i] == 255 ? 0 : 2;
            at = alpha[i] == 0 ? i : at;
        }
        p->has_key = n_clear == 1 && at < 256;
        memcpy(p->key, d->palette[at & 255], 3);
        return;
    }
    p->has_key = color != NULL;
    if (color && type == PNG_COLOR_TYPE_RGB) {
        const unsigned char key[3] = {(unsigned char)color->red, (unsigned char)color->green,
                                      (unsigned char)color->blue};
        memcpy(p->key, key, 3);
    } else if (color && depth > 1 && depth < 16) {
        memset(p->key, color->gray < 255 ? color->gray : 255, 3);
    } else if (color) {
        p->key[0] = (unsigned char)(depth == 1 ? color->gray ? 255 : 0 : color->gray);
    }
}

static void read_rows(decoder *d, media_picture *p)
{
    form f = set_form(d, p);
    take_key(d, p);
    int n_passes = png_set_interlace_handling(d->png);
    size_t n_row = (size_t)p->width * ilki_media_pixel_bytes(p->form);
    png_read_update_info(d->png, d->info);
    if (png_get_rowbytes(d->png, d->info) > n_row)
        png_error(d->png, "expected rows no longer than the picture's");
    for (int pass = 0; pass < n_passes; pass++)
        for (size_t y = 0; y < p->height; y++)
            png_read_row(d->png, p->pixels + y * n_row, NULL);
    for (size_t y = 0; y < p->height; y++)
        widen(d, f, p->pixels + y * n_row, p->width);
}

static void read_file(decoder *d, media_picture *p)
{
    d->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, d, on_error, on_warning);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info) {
        d->status = ilki_base_fail_memory(d->err, 1 << 10, "png");
        return;
    }
    png_set_read_fn(d->png, d, on_read);
    png_set_benign_errors(d->png, 1);
    png_set_user_limits(d->png, MEDIA_MAX_SIDE, MEDIA_MAX_SIDE);
    png_read_info(d->png, d->info);
    choose_form(d, p);
    d->status = media_picture_begin(p, "png", png_get_image_width(d->png, d->info),
                                    png_get_image_height(d->png, d->info), d->err);
    if (d->status == ILK_OK && !p->size_only)
        read_rows(d, p);
}

static ilk_status read_png(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder *d = ilki_base_zalloc(1, sizeof *d);
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "png");
    d->err = err;
    ilki_base_cur_init(&d->in, data, n);
    read_exif(p, data, n);
    if (setjmp(d->back) == 0)
        read_file(d, p);
    ilk_status st = d->status;
    png_destroy_read_struct(&d->png, &d->info, NULL);
    free(d);
    return st;
}

const media_reader media_png = {.name = "png", .probe = probe, .picture = read_png};

#else

const media_reader media_png = {.name = "png", .lacks = "libpng", .probe = probe};

#endif
