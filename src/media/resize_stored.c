/* SPDX-License-Identifier: Apache-2.0
 * Image.resize of Pillow 13.0 on what a file holds, and convert("RGB") of the result: open_clip's order. Pixels with alpha
 * are multiplied by it, resized and divided again, in Pillow's roundings, and the alpha dropped; ink is resized as ink;
 * what is picked from a palette goes by nearest, whatever the filter. Gray of 16 bits is summed in double: in the one kind
 * a sum is cut to 16 bits behind each pass, in the other only the last is, to a byte.
 *
 * Not here: orientation, which comes before; filling (prepare.c). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "media/resample.h"

/* a * b / 255, rounded */
static unsigned scale(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* ------------------------------------------------------------------ four channels */

static void multiply(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++, to += 4, from += 4) {
        for (size_t c = 0; c < 3; c++)
            to[c] = (uint8_t)scale(from[c], from[3]);
        to[3] = from[3];
    }
}

static void divide(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++, to += 3, from += 4)
        for (size_t c = 0; c < 3; c++) {
            unsigned v = from[3] == 0 || from[3] == 255 ? from[c] : 255u * from[c] / from[3];
            to[c] = (uint8_t)(v < 255 ? v : 255);
        }
}

static void drop(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++, to += 3, from += 4)
        memcpy(to, from, 3);
}

static void mix(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++, to += 3, from += 4)
        for (size_t c = 0; c < 3; c++) {
            unsigned light = 255u - from[3];
            to[c] = (uint8_t)(light - scale(from[c], light));
        }
}

static ilk_status resize_four(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                              const ilki_window *w, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    bool same = w->width == in->width && w->height == in->height;
    bool multiplied = in->kind == ILKI_PICTURE_ALPHA && filter != ILKI_FILTER_NEAREST && !same;
    size_t n_in = (size_t)in->width * in->height, n_out = (size_t)w->n_x * w->n_y;
    uint8_t *four = ilki_base_zalloc(n_out, 4), *whole = multiplied ? ilki_base_alloc_aligned(n_in * 4, 1) : NULL;
    ilki_picture plain = ilki_media_plain(whole ? whole : in->pixels, in->width, in->height, 4);
    ilk_status st = ILK_OK;
    if (!four || (multiplied && !whole))
        st = ilki_base_fail_memory(err, (n_out + (multiplied ? n_in : 0)) * 4, "a picture of four channels");
    if (st == ILK_OK && whole)
        multiply(whole, in->pixels, n_in);
    if (st == ILK_OK)
        st = ilki_media_resize_pillow(ops, &plain, filter, w, (ilki_rows){four, (size_t)w->n_x * 4}, job, err);
    for (size_t y = 0; st == ILK_OK && y < w->n_y; y++)
        (multiplied                       ? divide
         : in->kind == ILKI_PICTURE_ALPHA ? drop
                                          : mix)(out.pixels + y * out.stride, four + y * w->n_x * 4, w->n_x);
    free(four);
    free(whole);
    return st;
}

/* ------------------------------------------------------------------ 16 bits */

typedef struct deep {
    const ilki_picture *in;
    const ilki_window *w;
    bool bounded; /* to 16 bits, behind each pass */
    ilki_sums across, down;
    int32_t *between; /* [rows][columns], what stands between the passes */
    uint32_t first_row, n_rows, n_columns;
} deep;

static int32_t end_sum(const deep *d, double sum)
{
    int32_t v = (int32_t)(sum >= 0 ? sum + 0.5 : sum - 0.5);
    return !d->bounded || (v > 0 && v < 65536) ? v : v <= 0 ? 0 : 65535;
}

static int32_t value(const deep *d, uint32_t x, uint32_t y)
{
    uint16_t v;
    memcpy(&v, d->in->pixels + ((size_t)y * d->in->width + x) * 2, 2);
    return v;
}

static int32_t sum_across(const deep *d, uint32_t i, uint32_t y)
{
    const ilki_sums *s = &d->across;
    double sum = 0;
    for (uint32_t k = 0; k < s->count[i]; k++)
        sum += value(d, s->first[i] + k, y) * s->weight[(size_t)i * s->step + k];
    return end_sum(d, sum);
}

static int32_t sum_down(const deep *d, uint32_t x, uint32_t i)
{
    const ilki_sums *s = &d->down;
    double sum = 0;
    for (uint32_t k = 0; k < s->count[i]; k++)
        sum += value(d, x, s->first[i] + k) * s->weight[(size_t)i * s->step + k];
    return end_sum(d, sum);
}

/* The second pass, over what the first left. */
static int32_t sum_between(const deep *d, uint32_t x, uint32_t y, bool down_first)
{
    const ilki_sums *s = down_first ? &d->across : &d->down;
    uint32_t i = down_first ? x : y;
    double sum = 0;
    for (uint32_t k = 0; k < s->count[i]; k++) {
        size_t at = s->first[i] + k - (down_first ? 0 : d->first_row);
        sum += (down_first ? d->between[y * (size_t)d->n_columns + at] : d->between[at * d->n_columns + x]) *
               s->weight[(size_t)i * s->step + k];
    }
    return end_sum(d, sum);
}

static ilk_status first_pass(deep *d, bool down_first, const ilk_job *job, ilk_error *err)
{
    const ilki_sums *s = &d->down;
    uint32_t last = d->w->n_y - 1;
    size_t n = 0;
    d->first_row = down_first ? 0 : s->first[0];
    d->n_rows = down_first ? d->w->n_y : s->first[last] + s->count[last] - d->first_row;
    d->n_columns = down_first ? d->in->width : d->w->n_x;
    if (!ilki_base_mul(d->n_rows, d->n_columns, &n) || n > ILKI_MEDIA_MAX_WORK / sizeof *d->between)
        return ilki_base_fail(err, ILK_LIMIT, "picture: expected up to %zu bytes between two passes, found %u x %u x 4",
                              ILKI_MEDIA_MAX_WORK, d->n_rows, d->n_columns);
    d->between = ilki_base_zalloc(n, sizeof *d->between);
    if (!d->between)
        return ilki_base_fail_memory(err, n * sizeof *d->between, "a picture between two passes");
    for (uint32_t y = 0; y < d->n_rows; y++) {
        ilk_status st = ilki_base_job_check(job, err);
        if (st != ILK_OK)
            return st;
        for (uint32_t x = 0; x < d->n_columns; x++)
            d->between[(size_t)y * d->n_columns + x] = down_first ? sum_down(d, x, y)
                                                                  : sum_across(d, x, d->first_row + y);
    }
    return ILK_OK;
}

static void put_gray(uint8_t *to, int32_t v)
{
    memset(to, v <= 0 ? 0 : v >= 255 ? 255 : v, 3);
}

static ilk_status resize_deep(deep *d, ilki_image_filter filter, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    const ilki_window *w = d->w;
    bool across = w->width != d->in->width, down = w->height != d->in->height;
    bool down_first = ilki_media_is_down_first(d->in, w);
    ilk_status st = ILK_OK;
    if (across)
        st = ilki_media_sums_init(&d->across, &(ilki_axis){d->in->width, w->width, w->x, w->n_x}, filter, err);
    if (st == ILK_OK && down)
        st = ilki_media_sums_init(&d->down, &(ilki_axis){d->in->height, w->height, w->y, w->n_y}, filter, err);
    if (st == ILK_OK && across && down)
        st = first_pass(d, down_first, job, err);
    for (uint32_t y = 0; y < w->n_y && st == ILK_OK; y++) {
        for (uint32_t x = 0; x < w->n_x; x++)
            put_gray(out.pixels + y * out.stride + (size_t)x * 3, across && down ? sum_between(d, x, y, down_first)
                                                                  : across       ? sum_across(d, x, w->y + y)
                                                                  : down         ? sum_down(d, w->x + x, y)
                                                                                 : value(d, w->x + x, w->y + y));
        st = ilki_base_job_check(job, err);
    }
    return st;
}

static ilk_status resize_16(const ilki_picture *in, ilki_image_filter filter, const ilki_window *w, ilki_rows out,
                            const ilk_job *job, ilk_error *err)
{
    deep d = {.in = in, .w = w, .bounded = in->kind == ILKI_PICTURE_GRAY16};
    if (filter == ILKI_FILTER_NEAREST) /* no processor of the reference asks for it */
        return ilki_base_fail(err, ILK_UNSUPPORTED, "picture: gray of 16 bits by nearest");
    ilk_status st = resize_deep(&d, filter, out, job, err);
    ilki_media_sums_deinit(&d.across);
    ilki_media_sums_deinit(&d.down);
    free(d.between);
    return st;
}

/* ------------------------------------------------------------------ kinds */

ilk_status ilki_media_resize_stored(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                    const ilki_window *w, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    ilki_picture plain = *in;
    ilk_status st = ilki_media_check_window(in, w, err);
    if (st != ILK_OK)
        return st;
    switch (in->kind) {
    case ILKI_PICTURE_ALPHA:
    case ILKI_PICTURE_INK:
        return resize_four(ops, in, filter, w, out, job, err);
    case ILKI_PICTURE_GRAY16:
    case ILKI_PICTURE_GRAY32:
        return resize_16(in, filter, w, out, job, err);
    case ILKI_PICTURE_PICKED:
        filter = ILKI_FILTER_NEAREST;
        break;
    case ILKI_PICTURE_PLAIN:
        break;
    }
    plain.kind = ILKI_PICTURE_PLAIN;
    return ilki_media_resize_pillow(ops, &plain, filter, w, out, job, err);
}

void ilki_media_stored_to_rgb(uint8_t *to, const ilki_picture *in)
{
    size_t n = (size_t)in->width * in->height;
    deep d = {.in = in};
    if (in->kind == ILKI_PICTURE_ALPHA)
        drop(to, in->pixels, n);
    else if (in->kind == ILKI_PICTURE_INK)
        mix(to, in->pixels, n);
    else if (in->kind == ILKI_PICTURE_PLAIN || in->kind == ILKI_PICTURE_PICKED)
        memcpy(to, in->pixels, n * 3);
    else
        for (size_t i = 0; i < n; i++)
            put_gray(to + 3 * i, value(&d, (uint32_t)(i % in->width), (uint32_t)(i / in->width)));
}
