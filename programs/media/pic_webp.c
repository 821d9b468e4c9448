/* SPDX-License-Identifier: Apache-2.0
 * WebP by libwebp: a still one straight into its place; of a moving one the first frame on its canvas, as Pillow shows it.
 * EXIF is found by walking over the chunks, so that no second copy of the file is made. */
#include "exif.h"
#include "picture.h"

#include <string.h>

static bool probe(const unsigned char *head, size_t n)
{
    return n >= 16 && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBPVP8", 7) == 0;
}

#if ILK_MEDIA_WEBP

#include <webp/decode.h>
#include <webp/demux.h>

static void read_exif(media_picture *p, const unsigned char *data, size_t n)
{
    ilki_cur c;
    ilki_base_cur_init(&c, data, n);
    (void)ilki_base_cur_bytes(&c, 12);
    while (!c.bad) {
        const unsigned char *name = ilki_base_cur_bytes(&c, 4);
        size_t n_chunk = ilki_base_cur_u32(&c);
        const unsigned char *chunk = ilki_base_cur_bytes(&c, n_chunk);
        if (name && chunk && memcmp(name, "EXIF", 4) == 0) {
            size_t head = n_chunk >= 6 && memcmp(chunk, "Exif\0\0", 6) == 0 ? 6 : 0;
            media_picture_exif(p, chunk + head, n_chunk - head);
            return;
        }
        (void)ilki_base_cur_bytes(&c, n_chunk & 1);
    }
}

static ilk_status read_moving(media_picture *p, const WebPData *file, ilk_error *err)
{
    WebPAnimDecoderOptions options;
    uint8_t *canvas = NULL;
    int time;
    WebPAnimDecoderOptionsInit(&options);
    options.color_mode = MODE_RGBA;
    WebPAnimDecoder *d = WebPAnimDecoderNew(file, &options);
    bool ok = d && WebPAnimDecoderGetNext(d, &canvas, &time) && canvas;
    size_t step = ilki_media_pixel_bytes(p->form);
    for (size_t i = 0; ok && i < (size_t)p->width * p->height; i++)
        memcpy(p->pixels + step * i, canvas + 4 * i, step);
    WebPAnimDecoderDelete(d);
    return ok ? ILK_OK : ilki_base_fail(err, ILK_BAD_FORMAT, "webp: expected a first frame, found a broken one");
}

static ilk_status read_webp(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    WebPBitstreamFeatures f;
    VP8StatusCode code = WebPGetFeatures(data, n, &f);
    if (code != VP8_STATUS_OK)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "webp: expected a header, found %s",
                              code == VP8_STATUS_NOT_ENOUGH_DATA ? "a truncated file" : "a broken one");
    if (p->as_stored && f.has_alpha)
        p->form = ILKI_MEDIA_FORM_ALPHA;
    ilk_status st = media_picture_begin(p, "webp", (uint64_t)f.width, (uint64_t)f.height, err);
    read_exif(p, data, n);
    if (st != ILK_OK || p->size_only)
        return st;
    if (f.has_animation)
        return read_moving(p, &(WebPData){data, n}, err);
    size_t n_row = p->width * ilki_media_pixel_bytes(p->form);
    if (!(p->form == ILKI_MEDIA_FORM_ALPHA ? WebPDecodeRGBAInto : WebPDecodeRGBInto)(data, n, p->pixels,
                                                                                     n_row * p->height, (int)n_row))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "webp: expected %u rows, found a truncated or broken file",
                              p->height);
    return ILK_OK;
}

const media_reader media_webp = {.name = "webp", .probe = probe, .picture = read_webp};

#else

const media_reader media_webp = {.name = "webp", .lacks = "libwebp", .probe = probe};

#endif
