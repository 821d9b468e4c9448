/* SPDX-License-Identifier: Apache-2.0
 * JPEG by libjpeg-turbo: its accurate inverse transform and smooth upsampling, as Pillow asks for. The file is one buffer
 * without more to come, so that a truncated file is told by the library's waiting for more. Four channels are taken to be
 * inverted, as Adobe writes them and Pillow reads them; as stored they stay ink. No profile of colours is applied. */
#include "exif.h"
#include "picture.h"

#include <stdlib.h>
#include <string.h>

static bool probe(const unsigned char *head, size_t n)
{
    return n >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0;
}

#if ILK_MEDIA_JPEG

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

enum { MAX_SCANS = 500 }; /* of a progressive file; each costs a walk over the whole picture */

typedef struct decoder {
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_source_mgr source;
    jmp_buf back;
    ilk_status status;
    ilk_error *err;
    unsigned char *row; /* of four channels */
} decoder;

/* ------------------------------------------------------------------ what the library calls */

static void on_error(j_common_ptr c)
{
    decoder *d = c->client_data;
    char said[JMSG_LENGTH_MAX];
    c->err->format_message(c, said);
    d->status = c->err->msg_code == JERR_OUT_OF_MEMORY ? ilki_base_fail(d->err, ILK_LIMIT, "jpeg: %s", said)
                                                       : ilki_base_fail(d->err, ILK_BAD_FORMAT, "jpeg: %s", said);
    longjmp(d->back, 1);
}

static void on_message(j_common_ptr c)
{
    (void)c;
}

static void on_progress(j_common_ptr c)
{
    decoder *d = c->client_data;
    if (d->c.input_scan_number <= MAX_SCANS)
        return;
    d->status = ilki_base_fail(d->err, ILK_LIMIT, "jpeg: expected at most %d scans, found more", MAX_SCANS);
    longjmp(d->back, 1);
}

static void init_source(j_decompress_ptr c)
{
    (void)c;
}

static boolean want_more(j_decompress_ptr c)
{
    (void)c;
    return FALSE;
}

static void skip(j_decompress_ptr c, long n)
{
    size_t by = n > 0 ? (size_t)n : 0;
    by = by < c->src->bytes_in_buffer ? by : c->src->bytes_in_buffer;
    c->src->next_input_byte += by;
    c->src->bytes_in_buffer -= by;
}

/* ------------------------------------------------------------------ decoding */

static void truncated(decoder *d)
{
    if (!d->c.output_height)
        d->status = ilki_base_fail(d->err, ILK_BAD_FORMAT, "jpeg: truncated: expected a header, found the end");
    else
        d->status = ilki_base_fail(d->err, ILK_BAD_FORMAT, "jpeg: truncated: expected %u rows, found the end after %u",
                                   d->c.output_height, d->c.output_scanline);
    longjmp(d->back, 1);
}

static void read_exif(const decoder *d, media_picture *p)
{
    for (jpeg_saved_marker_ptr m = d->c.marker_list; m; m = m->next)
        if (m->data_length > 6 && memcmp(m->data, "Exif\0\0", 6) == 0) {
            media_picture_exif(p, m->data + 6, m->data_length - 6);
            return;
        }
}

/* The inverse transform can leave out the fine parts; the limits are those of the whole. */
static ilk_status begin_smaller(decoder *d, media_picture *p)
{
    bool size_only = p->size_only;
    p->size_only = true;
    ilk_status st = media_picture_begin(p, "jpeg", d->c.image_width, d->c.image_height, d->err);
    p->size_only = size_only;
    uint32_t longer = p->width > p->height ? p->width : p->height;
    for (d->c.scale_denom = 8; d->c.scale_denom > 1 && longer / d->c.scale_denom < p->at_least;)
        d->c.scale_denom /= 2;
    if (st != ILK_OK)
        return st;
    jpeg_calc_output_dimensions(&d->c);
    return media_picture_begin(p, "jpeg", d->c.output_width, d->c.output_height, d->err);
}

static void from_cmyk(const unsigned char *in, unsigned char *out, size_t n)
{
    for (size_t x = 0; x < n; x++) {
        unsigned char ink[4];
        for (size_t i = 0; i < 4; i++)
            ink[i] = (unsigned char)(255 - in[4 * x + i]);
        media_picture_print(ink, out + 3 * x);
    }
}

static void read_header(decoder *d, media_picture *p, const unsigned char *data, size_t n)
{
    d->source = (struct jpeg_source_mgr){.next_input_byte = data,
                                         .bytes_in_buffer = n,
                                         .init_source = init_source,
                                         .fill_input_buffer = want_more,
                                         .skip_input_data = skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = init_source};
    jpeg_create_decompress(&d->c);
    d->progress.progress_monitor = on_progress;
    d->c.progress = &d->progress;
    d->c.src = &d->source;
    jpeg_save_markers(&d->c, JPEG_APP0 + 1, 0xffff);
    if (jpeg_read_header(&d->c, TRUE) != JPEG_HEADER_OK)
        truncated(d);
    read_exif(d, p);
    if (d->c.num_components != 1 && d->c.num_components != 3 && d->c.num_components != 4) {
        d->status = ilki_base_fail(d->err, ILK_UNSUPPORTED, "jpeg: expected 1, 3 or 4 components, found %d",
                                   d->c.num_components);
        longjmp(d->back, 1);
    }
    if (p->as_stored && d->c.num_components == 4)
        p->form = ILKI_MEDIA_FORM_INK;
    d->status = p->at_least ? begin_smaller(d, p)
                            : media_picture_begin(p, "jpeg", d->c.image_width, d->c.image_height, d->err);
    if (d->status != ILK_OK)
        longjmp(d->back, 1);
}

static void read_rows(decoder *d, media_picture *p)
{
    bool cmyk = d->c.num_components == 4, ink = p->form == ILKI_MEDIA_FORM_INK;
    size_t n_row = p->width * ilki_media_pixel_bytes(p->form);
    d->c.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    d->c.dct_method = JDCT_ISLOW;
    d->c.do_fancy_upsampling = TRUE;
    if (!jpeg_start_decompress(&d->c))
        truncated(d);
    if (cmyk && !ink && !(d->row = ilki_base_zalloc(p->width, 4))) {
        d->status = ilki_base_fail_memory(d->err, (size_t)p->width * 4, "a row of a picture");
        longjmp(d->back, 1);
    }
    for (size_t y = 0; y < p->height; y++) {
        unsigned char *to = p->pixels + y * n_row, *row = cmyk && !ink ? d->row : to;
        if (jpeg_read_scanlines(&d->c, &row, 1) != 1)
            truncated(d);
        for (size_t i = 0; ink && i < n_row; i++)
            to[i] = (unsigned char)(255 - to[i]);
        if (cmyk && !ink)
            from_cmyk(row, to, p->width);
    }
}

static ilk_status read_jpeg(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder *d = ilki_base_zalloc(1, sizeof *d);
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "jpeg");
    d->err = err;
    d->c.err = jpeg_std_error(&d->errors);
    d->c.client_data = d;
    d->errors.error_exit = on_error;
    d->errors.output_message = on_message;
    if (setjmp(d->back) == 0) {
        read_header(d, p, data, n);
        if (!p->size_only)
            read_rows(d, p);
    }
    jpeg_destroy_decompress(&d->c);
    ilk_status st = d->status;
    free(d->row);
    free(d);
    return st;
}

const media_reader media_jpeg = {.name = "jpeg", .probe = probe, .picture = read_jpeg};

#else

const media_reader media_jpeg = {.name = "jpeg", .lacks = "libjpeg-turbo", .probe = probe};

#endif
