/* SPDX-License-Identifier: Apache-2.0
 * Means of boxes, then libjpeg-turbo at quality 80. For eyes: no vector is made of it. */
#include "thumbnail.h"

#include <stdlib.h>
#include <string.h>

#if ILK_MEDIA_JPEG

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

enum { QUALITY = 80 };

/* Row y of the smaller picture, to where it belongs: behind none of the rows that are still to be read. */
static void shrink_row(media_picture *p, uint32_t width, uint32_t height, uint32_t y)
{
    size_t y0 = (size_t)y * p->height / height, y1 = ((size_t)y + 1) * p->height / height;
    for (size_t x = 0; x < width; x++) {
        size_t x0 = x * p->width / width, x1 = (x + 1) * p->width / width, n = (x1 - x0) * (y1 - y0);
        uint64_t sum[3] = {n / 2, n / 2, n / 2};
        for (size_t v = y0; v < y1; v++)
            for (size_t u = x0; u < x1; u++)
                for (size_t c = 0; c < 3; c++)
                    sum[c] += p->pixels[(v * p->width + u) * 3 + c];
        for (size_t c = 0; c < 3; c++)
            p->pixels[((size_t)y * width + x) * 3 + c] = (unsigned char)(sum[c] / n);
    }
}

static void shrink(media_picture *p, uint32_t side)
{
    uint32_t longer = p->width > p->height ? p->width : p->height;
    if (longer <= side)
        return;
    uint32_t width = (uint32_t)(((uint64_t)p->width * side + longer / 2) / longer);
    uint32_t height = (uint32_t)(((uint64_t)p->height * side + longer / 2) / longer);
    width = width ? width : 1;
    height = height ? height : 1;
    for (uint32_t y = 0; y < height; y++)
        shrink_row(p, width, height, y);
    p->width = width;
    p->height = height;
}

typedef struct encoder {
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    jmp_buf back;
    unsigned char *out;
    unsigned long n;
} encoder;

static void on_error(j_common_ptr c)
{
    longjmp(((encoder *)c->client_data)->back, 1);
}

static void on_message(j_common_ptr c)
{
    (void)c;
}

static bool encode(encoder *e, const media_picture *p)
{
    e->c.err = jpeg_std_error(&e->errors);
    e->c.client_data = e;
    e->errors.error_exit = on_error;
    e->errors.output_message = on_message;
    if (setjmp(e->back) != 0)
        return false;
    jpeg_create_compress(&e->c);
    jpeg_mem_dest(&e->c, &e->out, &e->n);
    e->c.image_width = p->width;
    e->c.image_height = p->height;
    e->c.input_components = 3;
    e->c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&e->c);
    jpeg_set_quality(&e->c, QUALITY, TRUE);
    e->c.optimize_coding = TRUE;
    jpeg_start_compress(&e->c, TRUE);
    while (e->c.next_scanline < p->height) {
        JSAMPROW row = p->pixels + (size_t)e->c.next_scanline * p->width * 3;
        jpeg_write_scanlines(&e->c, &row, 1);
    }
    jpeg_finish_compress(&e->c);
    return true;
}

ilk_status media_thumbnail(media_picture *p, uint32_t side, unsigned char **out, size_t *n, ilk_error *err)
{
    encoder *e = ilki_base_zalloc(1, sizeof *e);
    if (!e)
        return ilki_base_fail_memory(err, sizeof *e, "a thumbnail");
    shrink(p, side);
    bool ok = encode(e, p);
    jpeg_destroy_compress(&e->c);
    *out = ok ? e->out : NULL;
    *n = e->n;
    if (!ok)
        free(e->out);
    free(e);
    return ok ? ILK_OK : ilki_base_fail(err, ILK_LIMIT, "thumbnail: out of memory");
}

#else

ilk_status media_thumbnail(media_picture *p, uint32_t side, unsigned char **out, size_t *n, ilk_error *err)
{
    (void)p;
    (void)side;
    *out = NULL;
    *n = 0;
    return ilki_base_fail(err, ILK_UNSUPPORTED, "thumbnail: this build has no libjpeg-turbo");
}

#endif
