/* SPDX-License-Identifier: Apache-2.0
 * Runs an ilki_image_spec: sizes and offsets with the roundings of the reference, then its resampler. References:
 * transformers 5.24's TorchvisionBackend on the CPU, open_clip 3.3's image_transform over Pillow. Sizes are Python's: a
 * quotient of doubles cut to whole (shorter side) or rounded half to even (longer side). */
#include "media/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static ilk_status resized_size(ilki_window *to, const ilki_image_spec *s, const ilki_picture *in, ilk_error *err)
{
    double w = in->width, h = in->height, shorter = w < h ? w : h, new_w = w, new_h = h;
    if (s->resize == ILKI_RESIZE_EXACT) {
        new_w = s->width;
        new_h = s->height;
    } else if (s->resize == ILKI_RESIZE_SHORTEST) {
        new_w = w <= h ? s->width : floor(s->width * w / shorter);
        new_h = w <= h ? floor(s->width * h / shorter) : s->width;
    } else if (s->resize == ILKI_RESIZE_LONGEST) {
        double by_w = w / s->width, by_h = h / s->height, by = by_w > by_h ? by_w : by_h;
        new_w = nearbyint(w / by);
        new_h = nearbyint(h / by);
    }
    if (!(new_w >= 1 && new_h >= 1 && new_w <= ILKI_MEDIA_MAX_TARGET && new_h <= ILKI_MEDIA_MAX_TARGET))
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected to be resized to sides of 1 to %u, found %.0f x %.0f",
                              ILKI_MEDIA_MAX_TARGET, new_h, new_w);
    to->width = (uint32_t)new_w;
    to->height = (uint32_t)new_h;
    return ILK_OK;
}

/* One axis of a centred crop: what is taken of n, and where it stands among `wanted`. */
static void centre(ilki_image_family family, uint32_t n, uint32_t wanted, uint32_t *from, uint32_t *taken,
                   uint32_t *stands)
{
    *from = *stands = 0;
    *taken = wanted < n ? wanted : n;
    if (wanted > n)
        *stands = (wanted - n) / 2;
    else if (family == ILKI_IMAGE_OPEN_CLIP)
        *from = (uint32_t)nearbyint((n - wanted) / 2.0);
    else
        *from = (n - wanted) / 2;
}

ilk_status ilki_media_plan(ilki_image_plan *p, const ilki_image_spec *s, const ilki_picture *in, ilk_error *err)
{
    bool crop = s->crop || s->resize == ILKI_RESIZE_LONGEST;
    ilki_window *r = &p->resized;
    *p = (ilki_image_plan){0};
    if (!in->width || !in->height || in->width > ILKI_MEDIA_MAX_SIDE || in->height > ILKI_MEDIA_MAX_SIDE)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected sides of 1 to %u, found %u x %u", ILKI_MEDIA_MAX_SIDE,
                              in->height, in->width);
    ilk_status st = resized_size(r, s, in, err);
    if (st != ILK_OK)
        return st;
    p->width = s->crop ? s->crop_width : crop ? s->width : r->width;
    p->height = s->crop ? s->crop_height : crop ? s->height : r->height;
    p->fill = s->crop ? 0 : s->fill;
    centre(s->family, r->width, p->width, &r->x, &r->n_x, &p->left);
    centre(s->family, r->height, p->height, &r->y, &r->n_y, &p->top);
    p->unchanged = in->n_channels == 3 && in->kind == ILKI_PICTURE_PLAIN && r->width == in->width &&
                   r->height == in->height && p->width == in->width && p->height == in->height;
    return ILK_OK;
}

/* The padding is put on before the conversion: its number is an index, gray or ink. */
static void fill(uint8_t *out, const ilki_image_plan *p, const ilki_picture *in)
{
    uint8_t ink[4], color[3];
    memset(ink, p->fill, sizeof ink);
    memset(color, p->fill, sizeof color);
    if (in->kind == ILKI_PICTURE_PICKED)
        memcpy(color, in->palette + (size_t)p->fill * 3, 3);
    else if (in->kind == ILKI_PICTURE_INK)
        ilki_media_stored_to_rgb(color, &(ilki_picture){ink, 1, 1, 4, ILKI_PICTURE_INK, NULL});
    for (size_t i = 0; i < (size_t)p->width * p->height; i++)
        memcpy(out + 3 * i, color, 3);
}

/* Gray bytes at the head of each row of `out` to three of each, from behind. */
static void spread_gray(ilki_rows out, const ilki_window *w)
{
    for (uint32_t y = 0; y < w->n_y; y++) {
        uint8_t *row = out.pixels + y * out.stride;
        for (uint32_t x = w->n_x; x-- > 0;)
            row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = row[x];
    }
}

static ilk_status prepare(uint8_t *out, const ilki_kern_ops *ops, const ilki_image_spec *s, const ilki_picture *in,
                          const ilk_job *job, ilk_error *err)
{
    ilki_image_plan p;
    ilk_status st = ilki_media_plan(&p, s, in, err);
    if (st == ILK_OK && in->n_channels == 1 && !s->rgb)
        st = ilki_base_fail(err, ILK_UNSUPPORTED,
                            "picture: expected 3 channels, since its processor converts nothing, found 1");
    if (st == ILK_OK && in->kind == ILKI_PICTURE_PLAIN && in->n_channels != 1 && in->n_channels != 3)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "picture: expected 1 or 3 channels, found %u", in->n_channels);
    if (st != ILK_OK)
        return st;
    ilki_rows rows = {out + ((size_t)p.top * p.width + p.left) * 3, (size_t)p.width * 3};
    if (p.resized.n_x < p.width || p.resized.n_y < p.height)
        fill(out, &p, in);
    if (s->family == ILKI_IMAGE_OPEN_CLIP)
        st = ilki_media_resize_stored(ops, in, s->filter, &p.resized, rows, job, err);
    else
        st = ilki_media_resize_torch(ops, in, s->filter, &p.resized, rows, job, err);
    if (st == ILK_OK && in->n_channels == 1)
        spread_gray(rows, &p.resized);
    return st;
}

/* Gets a copy of what is not RGB already. */
static bool converts_first(const ilki_image_spec *s, const ilki_picture *in)
{
    return s->family != ILKI_IMAGE_OPEN_CLIP && in->kind != ILKI_PICTURE_PLAIN && in->kind != ILKI_PICTURE_PICKED;
}

uint64_t ilki_media_prepare_bytes(const ilki_image_plan *plan, const ilki_image_spec *s, const ilki_picture *in)
{
    ilki_picture seen = *in;
    uint64_t copy = converts_first(s, in) ? (uint64_t)in->width * in->height * 3 + ILKI_ALIGN : 0;
    if (copy)
        seen = ilki_media_plain(in->pixels, in->width, in->height, 3);
    return copy + ilki_media_resize_bytes(&seen, s->filter, &plan->resized, s->family == ILKI_IMAGE_OPEN_CLIP);
}

ilk_status ilki_media_prepare(uint8_t *out, const ilki_kern_ops *ops, const ilki_image_spec *s, const ilki_picture *in,
                              const ilk_job *job, ilk_error *err)
{
    ilki_picture plain = ilki_media_plain(in->pixels, in->width, in->height, 3);
    uint8_t *rgb = NULL;
    if (in->kind == ILKI_PICTURE_PLAIN || s->family == ILKI_IMAGE_OPEN_CLIP)
        return prepare(out, ops, s, in, job, err);
    if (converts_first(s, in)) {
        size_t n = (size_t)in->width * in->height;
        plain.pixels = rgb = ilki_base_alloc_aligned(n * 3, 1);
        if (!rgb)
            return ilki_base_fail_memory(err, n * 3, "a picture");
        ilki_media_stored_to_rgb(rgb, in);
    }
    ilk_status st = prepare(out, ops, s, &plain, job, err);
    free(rgb);
    return st;
}
