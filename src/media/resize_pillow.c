/* SPDX-License-Identifier: Apache-2.0
 * Pillow 13.0's Image.resize of bytes, bit for bit: weights of 22 bits; across and then down, but where the height
 * shrinks by more than twice what the width does (in pixels) down and then across. Pillow to 12 turned the order only
 * for pictures a hundred times as tall as wide: those that lie between get other bits from it. Nearest steps by adding
 * the scale up, with the rounding errors that brings. Not here: what modes ask for before and behind it (resize_stored.c), boxes, reducing_gap. */

#include "media/resample.h"

#define SHIFT (32 - 8 - 2)

/* Of output `from` and the n - 1 behind it; an output that comes to lie outside has no input. */
static void step_through(uint32_t *to, uint32_t n_in, uint32_t n_out, uint32_t from, uint32_t n)
{
    double scale = (double)n_in / n_out, at = scale * 0.5;
    for (uint32_t i = 0; i < from + n; i++, at += scale)
        if (i >= from)
            to[i - from] = at < n_in ? (uint32_t)at : UINT32_MAX;
}

bool ilki_media_is_down_first(const ilki_picture *in, const ilki_window *w)
{
    int64_t lower = (int64_t)in->height - w->height, narrower = (int64_t)in->width - w->width;
    return lower > 0 && lower > 2 * narrower;
}

ilk_status ilki_media_resize_pillow(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                    const ilki_window *w, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    ilki_passes p = {.ops = ops, .down_first = ilki_media_is_down_first(in, w)};
    ilk_status st = ilki_media_check_window(in, w, err);
    if (st != ILK_OK)
        return st;
    if (filter == ILKI_FILTER_NEAREST)
        return ilki_media_pick(in, step_through, w, out, job, err);
    if (w->width != in->width)
        st = ilki_media_taps_init(&p.across, &(ilki_axis){in->width, w->width, w->x, w->n_x}, filter, SHIFT, err);
    if (st == ILK_OK && w->height != in->height)
        st = ilki_media_taps_init(&p.down, &(ilki_axis){in->height, w->height, w->y, w->n_y}, filter, SHIFT, err);
    if (st == ILK_OK)
        st = ilki_media_resample(in, &p, w, out, job, err);
    ilki_media_taps_deinit(&p.across);
    ilki_media_taps_deinit(&p.down);
    return st;
}
