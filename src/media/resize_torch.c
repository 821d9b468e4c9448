/* SPDX-License-Identifier: Apache-2.0
 * torchvision's resize of a uint8 tensor on the CPU with antialias, bit for bit: weights of 16 bits, each axis with as many
 * bits behind the point (22 at most) as its largest weight leaves room for; across, then down. Nearest is torch's
 * nearest-exact, its scale a float. */
#include <math.h>

#include "media/resample.h"

#define MAX_SHIFT 22

static void pick_nearest(uint32_t *to, uint32_t n_in, uint32_t n_out, uint32_t from, uint32_t n)
{
    float scale = (float)n_in / (float)n_out;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (uint32_t)floorf((float)((from + i + 0.5) * (double)scale));
        to[i] = n_out == n_in ? from + i : at < n_in ? at : n_in - 1;
    }
}

static ilk_status init_axis(ilki_taps *t, const ilki_axis *axis, ilki_image_filter filter, ilk_error *err)
{
    double peak;
    unsigned shift = 0;
    ilk_status st = ilki_media_taps_peak(&peak, axis->n_in, axis->n_out, filter, err);
    while (shift < MAX_SHIFT && (int32_t)(0.5 + peak * (double)(1 << (shift + 1))) < 1 << 15)
        shift++;
    return st == ILK_OK ? ilki_media_taps_init(t, axis, filter, shift, err) : st;
}

ilk_status ilki_media_resize_torch(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                   const ilki_window *w, ilki_rows out, const ilk_job *job, ilk_error *err)
{
    ilki_passes p = {.ops = ops};
    ilk_status st = ilki_media_check_window(in, w, err);
    if (st != ILK_OK)
        return st;
    if (filter == ILKI_FILTER_BOX || filter == ILKI_FILTER_HAMMING)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "picture: expected a filter that torchvision has, found %s",
                              filter == ILKI_FILTER_BOX ? "box" : "Hamming");
    if (filter == ILKI_FILTER_NEAREST)
        return ilki_media_pick(in, pick_nearest, w, out, job, err);
    if (w->width != in->width)
        st = init_axis(&p.across, &(ilki_axis){in->width, w->width, w->x, w->n_x}, filter, err);
    if (st == ILK_OK && w->height != in->height)
        st = init_axis(&p.down, &(ilki_axis){in->height, w->height, w->y, w->n_y}, filter, err);
    if (st == ILK_OK)
        st = ilki_media_resample(in, &p, w, out, job, err);
    ilki_media_taps_deinit(&p.across);
    ilki_media_taps_deinit(&p.down);
    return st;
}
