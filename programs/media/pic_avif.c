/* SPDX-License-Identifier: Apache-2.0
 * AVIF by libavif, whose conversion from YUV is the one Pillow has (libheif's draws colours another way). The first picture;
 * rotation and mirror are told as EXIF would, and EXIF itself is ignored, as the format says. No threads of the library's. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

static bool probe(const unsigned char *head, size_t n)
{
    return media_has_brand(head, n, "avifavis");
}

#if ILK_MEDIA_AVIF

#include <avif/avif.h>

#include "library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(DecoderCreate) X(DecoderDestroy) X(DecoderSetIOMemory) X(DecoderParse) X(DecoderNextImage) \
    X(RGBImageSetDefaults) X(ImageYUVToRGB) X(ResultToString)
/* clang-format on */

static struct {
#define MEMBER(name) __typeof__(avif##name) *name;
    FUNCTIONS(MEMBER)
} avif;

#define SYMBOL(name) "avif" #name,
static const char *const symbols[] = {FUNCTIONS(SYMBOL)};
_Static_assert(sizeof avif == sizeof symbols, "a pointer for each function");

static media_library library = {.name = "libavif",
                                .file = ILK_MEDIA_AVIF_FILE,
                                .symbols = symbols,
                                .functions = &avif,
                                .n = sizeof symbols / sizeof *symbols};

static uint32_t orientation(const avifImage *image)
{
    static const uint8_t turned[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}}; /* by angle; not, rows, columns */
#if AVIF_VERSION >= 1000000
    unsigned mirror = image->imir.axis;
#else
    unsigned mirror = image->imir.mode;
#endif
    unsigned angle = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;
    return turned[angle][image->transformFlags & AVIF_TRANSFORM_IMIR ? 1 + (mirror & 1) : 0];
}

static ilk_status fail(avifResult r, ilk_error *err)
{
    ilk_status st = r == AVIF_RESULT_OUT_OF_MEMORY        ? ILK_LIMIT
                    : r == AVIF_RESULT_NO_CODEC_AVAILABLE ? ILK_UNSUPPORTED
                                                          : ILK_BAD_FORMAT;
    return ilki_base_fail(err, st, "avif: %s", avif.ResultToString(r));
}

static ilk_status read_pixels(media_picture *p, const avifImage *image, ilk_error *err)
{
    avifRGBImage rgb;
    bool four = image->alphaPlane; /* which is to be left out as it is, not multiplied in */
    avif.RGBImageSetDefaults(&rgb, image);
    rgb.depth = 8;
    rgb.format = four ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.rowBytes = p->width * (four ? 4 : 3);
    unsigned char *own = four && p->form != ILKI_MEDIA_FORM_ALPHA ? ilki_base_zalloc((size_t)p->width * p->height, 4)
                                                                  : p->pixels;
    if (!own)
        return ilki_base_fail_memory(err, (size_t)p->width * p->height * 4, "avif");
    rgb.pixels = own;
    avifResult r = avif.ImageYUVToRGB(image, &rgb);
    for (size_t i = 0; own != p->pixels && i < (size_t)p->width * p->height; i++)
        memcpy(p->pixels + 3 * i, own + 4 * i, 3);
    if (own != p->pixels)
        free(own);
    return r == AVIF_RESULT_OK ? ILK_OK : fail(r, err);
}

static ilk_status read_file(media_picture *p, avifDecoder *d, ilk_error *err)
{
    avifResult r = avif.DecoderParse(d);
    if (r != AVIF_RESULT_OK)
        return fail(r, err);
    p->orientation = orientation(d->image);
    if (p->as_stored && d->alphaPresent)
        p->form = ILKI_MEDIA_FORM_ALPHA;
    ilk_status st = media_picture_begin(p, "avif", d->image->width, d->image->height, err);
    if (st != ILK_OK || p->size_only)
        return st;
    r = avif.DecoderNextImage(d);
    if (r != AVIF_RESULT_OK)
        return fail(r, err);
    if (d->image->width != p->width || d->image->height != p->height)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "avif: expected %u x %u pixels, found %u x %u", p->width, p->height,
                              d->image->width, d->image->height);
    if (p->form == ILKI_MEDIA_FORM_ALPHA && !d->image->alphaPlane)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "avif: expected alpha, found none");
    return read_pixels(p, d->image, err);
}

static ilk_status read_avif(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    avifDecoder *d = avif.DecoderCreate();
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "avif");
    d->maxThreads = 1;
    d->ignoreExif = d->ignoreXMP = AVIF_TRUE;
    d->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED); /* as Pillow has it */
    avifResult r = avif.DecoderSetIOMemory(d, data, n);
    ilk_status st = r == AVIF_RESULT_OK ? read_file(p, d, err) : fail(r, err);
    avif.DecoderDestroy(d);
    return st;
}

const media_reader media_avif = {.name = "avif", .library = &library, .probe = probe, .picture = read_avif};

#else

const media_reader media_avif = {.name = "avif", .lacks = "libavif", .probe = probe};

#endif
