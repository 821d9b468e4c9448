/* SPDX-License-Identifier: Apache-2.0
 * HEIC by libheif: the primary picture of a collection, its rotation and mirror applied, which is all the orientation that
 * counts (EXIF's is ignored, as the format says); more than 8 bits become 8. No threads of the library's own. */
#include "picture.h"

#include <string.h>

static bool probe(const unsigned char *head, size_t n)
{
    return media_has_brand(head, n, "heicheixheimheishevchevxmif1msf1") && !media_has_brand(head, n, "avifavis");
}

#if ILK_MEDIA_HEIF

#include <libheif/heif.h>

#include "library.h"

/* clang-format off */
#define FUNCTIONS(X) \
    X(init) X(context_alloc) X(context_free) X(context_set_max_decoding_threads) \
    X(context_set_maximum_image_size_limit) X(context_read_from_memory_without_copy) \
    X(context_get_primary_image_handle) X(decoding_options_alloc) X(decoding_options_free) X(decode_image) \
    X(image_handle_get_width) X(image_handle_get_height) X(image_handle_get_ispe_width) \
    X(image_handle_get_ispe_height) X(image_handle_has_alpha_channel) X(image_handle_release) X(image_get_width) \
    X(image_get_height) X(image_get_plane_readonly) X(image_release)
/* clang-format on */

static struct {
#define MEMBER(name) __typeof__(heif_##name) *name;
    FUNCTIONS(MEMBER)
} heif;

#define SYMBOL(name) "heif_" #name,
static const char *const symbols[] = {FUNCTIONS(SYMBOL)};
_Static_assert(sizeof heif == sizeof symbols, "a pointer for each function");

static media_library library = {.name = "libheif",
                                .file = ILK_MEDIA_HEIF_FILE,
                                .symbols = symbols,
                                .functions = &heif,
                                .n = sizeof symbols / sizeof *symbols};

typedef struct decoder {
    struct heif_context *context;
    struct heif_image_handle *handle;
    struct heif_decoding_options *options;
    struct heif_image *image;
} decoder;

static ilk_status fail(const struct heif_error *e, ilk_error *err)
{
    ilk_status st = ILK_BAD_FORMAT;
    if (e->code == heif_error_Memory_allocation_error)
        st = ILK_LIMIT;
    if (e->code == heif_error_Unsupported_feature || e->code == heif_error_Unsupported_filetype)
        st = ILK_UNSUPPORTED;
    return ilki_base_fail(err, st, "heif: %.*s", (int)strcspn(e->message, "\n"), e->message);
}

static ilk_status open_file(decoder *d, const unsigned char *data, size_t n, ilk_error *err)
{
    d->context = heif.context_alloc();
    d->options = heif.decoding_options_alloc();
    if (!d->context || !d->options)
        return ilki_base_fail_memory(err, 1 << 10, "heif");
    heif.context_set_max_decoding_threads(d->context, 0);
    heif.context_set_maximum_image_size_limit(d->context, MEDIA_MAX_SIDE);
    d->options->convert_hdr_to_8bit = 1;
    struct heif_error e = heif.context_read_from_memory_without_copy(d->context, data, n, NULL);
    if (e.code == heif_error_Ok)
        e = heif.context_get_primary_image_handle(d->context, &d->handle);
    return e.code == heif_error_Ok ? ILK_OK : fail(&e, err);
}

/* What is stored may be larger than what is shown. */
static ilk_status check_stored(const decoder *d, ilk_error *err)
{
    int w = heif.image_handle_get_ispe_width(d->handle), h = heif.image_handle_get_ispe_height(d->handle);
    if (w > 0 && h > 0 && (uint64_t)w * (uint64_t)h <= MEDIA_MAX_PIXELS)
        return ILK_OK;
    return ilki_base_fail(err, ILK_LIMIT, "heif: expected at most %d pixels, found %d x %d", MEDIA_MAX_PIXELS, w, h);
}

static ilk_status read_pixels(decoder *d, media_picture *p, ilk_error *err)
{
    bool alpha = p->form == ILKI_MEDIA_FORM_ALPHA;
    struct heif_error e = heif.decode_image(d->handle, &d->image, heif_colorspace_RGB,
                                            alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB,
                                            d->options);
    if (e.code != heif_error_Ok)
        return fail(&e, err);
    int stride = 0, w = heif.image_get_width(d->image, heif_channel_interleaved),
        h = heif.image_get_height(d->image, heif_channel_interleaved);
    const uint8_t *rows = heif.image_get_plane_readonly(d->image, heif_channel_interleaved, &stride);
    size_t n_row = p->width * ilki_media_pixel_bytes(p->form);
    if (!rows || w != (int)p->width || h != (int)p->height || stride < 0 || (size_t)stride < n_row)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "heif: expected %u x %u pixels, found %d x %d", p->width, p->height,
                              w, h);
    for (size_t y = 0; y < p->height; y++)
        memcpy(p->pixels + y * n_row, rows + y * (size_t)stride, n_row);
    return ILK_OK;
}

static ilk_status read_heif(media_picture *p, const unsigned char *data, size_t n, ilk_error *err)
{
    decoder d = {.context = NULL};
    ilk_status st = open_file(&d, data, n, err);
    if (st == ILK_OK)
        st = check_stored(&d, err);
    if (st == ILK_OK && p->as_stored && heif.image_handle_has_alpha_channel(d.handle))
        p->form = ILKI_MEDIA_FORM_ALPHA;
    if (st == ILK_OK)
        st = media_picture_begin(p, "heif", (uint64_t)heif.image_handle_get_width(d.handle),
                                 (uint64_t)heif.image_handle_get_height(d.handle), err);
    if (st == ILK_OK && !p->size_only)
        st = read_pixels(&d, p, err);
    heif.image_release(d.image);
    heif.image_handle_release(d.handle);
    heif.decoding_options_free(d.options);
    heif.context_free(d.context);
    return st;
}

/* Finds the library's plugins, where it has any. */
static void prepare(void)
{
    (void)heif.init(NULL);
}

const media_reader media_heif = {
    .name = "heif", .library = &library, .prepare = prepare, .probe = probe, .picture = read_heif};

#else

const media_reader media_heif = {.name = "heif", .lacks = "libheif", .probe = probe};

#endif
