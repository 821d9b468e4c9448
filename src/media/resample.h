/* SPDX-License-Identifier: Apache-2.0
 * Resizing bytes of pixels, bit for bit as two references do it. A caller names the part of the result that it wants:
 * the rest is not computed, and changes no bit of that part. */
#ifndef ILKI_MEDIA_RESAMPLE_H
#define ILKI_MEDIA_RESAMPLE_H

#include "base/runtime.h"
#include "kern/ops.h"
#include "media/image_spec.h"

#define ILKI_MEDIA_MAX_SIDE   (1u << 16)         /* of a picture before it is resized */
#define ILKI_MEDIA_MAX_TARGET (1u << 20)         /* of the whole result, most of which a crop leaves away */
#define ILKI_MEDIA_MAX_WORK   ((size_t)64 << 20) /* bytes of weights of an axis, and between the two passes */

/* What a picture's file holds where that is not gray or RGB of bytes (protocol.h has the forms they come from). */
typedef enum ilki_picture_kind {
    ILKI_PICTURE_PLAIN = 0,
    ILKI_PICTURE_PICKED, /* RGB of indices or bits: 3 channels, and a palette */
    ILKI_PICTURE_ALPHA,  /* RGBA: 4 */
    ILKI_PICTURE_INK,    /* CMYK: 4 */
    ILKI_PICTURE_GRAY16, /* u16: 2 bytes, which count as channels */
    ILKI_PICTURE_GRAY32  /* u16 of a kind that has more room: the same */
} ilki_picture_kind;

typedef struct ilki_picture {
    const uint8_t *pixels;              /* [height][width][n_channels] */
    uint32_t width, height, n_channels; /* 1 (gray) or 3 (RGB), unless `kind` says more */
    ilki_picture_kind kind;
    const uint8_t *palette; /* [256][3] of a picked one, else NULL */
} ilki_picture;

static inline ilki_picture ilki_media_plain(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t n_channels)
{
    return (ilki_picture){pixels, width, height, n_channels, ILKI_PICTURE_PLAIN, NULL};
}

/* The whole result is width x height; wanted of it are n_x columns from x and n_y rows from y. */
typedef struct ilki_window {
    uint32_t width, height, x, y, n_x, n_y;
} ilki_window;

typedef struct ilki_rows {
    uint8_t *pixels; /* [n_y][n_x][n_channels], rows `stride` bytes apart */
    size_t stride;
} ilki_rows;

/* Image.resize of Pillow 13.0. */
ilk_status ilki_media_resize_pillow(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                    const ilki_window *window, ilki_rows out, const ilk_job *job, ilk_error *err);

/* torchvision's resize of a uint8 tensor on the CPU, with antialias (torch 2.15). UNSUPPORTED for box and Hamming, which
 * it refuses too; nearest is its nearest-exact, which is what transformers asks for. */
ilk_status ilki_media_resize_torch(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                   const ilki_window *window, ilki_rows out, const ilk_job *job, ilk_error *err);

/* The first on what a file holds, any kind of picture, and then converted to RGB: out has 3 channels, but 1 of plain gray. */
ilk_status ilki_media_resize_stored(const ilki_kern_ops *ops, const ilki_picture *in, ilki_image_filter filter,
                                    const ilki_window *window, ilki_rows out, const ilk_job *job, ilk_error *err);
void ilki_media_stored_to_rgb(uint8_t *to, const ilki_picture *in); /* the whole of it, any kind but plain gray */

/* ---- what the resizers share */

/* Which inputs make the outputs from .. from + n of one axis, and with what weights, rounded to 2^-shift. */
typedef struct ilki_taps {
    uint32_t from, n, step; /* `step` weights are kept per output, `count` of them are used, the rest is 0 */
    uint32_t *first, *count;
    int32_t *weight; /* [n][step] */
    int8_t *parts;   /* as ilki_kern_taps has it, and so n_parts */
    unsigned shift, n_parts;
} ilki_taps;

typedef struct ilki_axis {
    uint32_t n_in, n_out, from, n; /* of all n_out outputs, n from `from` */
} ilki_axis;

ilk_status ilki_media_taps_init(ilki_taps *t, const ilki_axis *axis, ilki_image_filter filter, unsigned shift,
                                ilk_error *err);
void ilki_media_taps_deinit(ilki_taps *t);

/* The same weights before they are rounded. */
typedef struct ilki_sums {
    uint32_t n, step, *first, *count;
    double *weight; /* [n][step] */
} ilki_sums;

ilk_status ilki_media_sums_init(ilki_sums *s, const ilki_axis *axis, ilki_image_filter filter, ilk_error *err);
void ilki_media_sums_deinit(ilki_sums *s);

bool ilki_media_is_down_first(const ilki_picture *in, const ilki_window *window); /* in Pillow */

/* The largest weight of any output of the axis, the unwanted ones too. */
ilk_status ilki_media_taps_peak(double *peak, uint32_t n_in, uint32_t n_out, ilki_image_filter filter, ilk_error *err);

/* One or two passes; taps with n == 0: no pass along that axis. */
typedef struct ilki_passes {
    const ilki_kern_ops *ops;
    ilki_taps across, down;
    bool down_first;
} ilki_passes;

ilk_status ilki_media_resample(const ilki_picture *in, const ilki_passes *passes, const ilki_window *window,
                               ilki_rows out, const ilk_job *job, ilk_error *err);

/* Which of n_in inputs output `from` and the n - 1 behind it, of n_out, are copies of; UINT32_MAX: of none. */
typedef void ilki_nearest_fn(uint32_t *to, uint32_t n_in, uint32_t n_out, uint32_t from, uint32_t n);

/* Copies what `nearest` says of columns and rows; what has no input is black. */
ilk_status ilki_media_pick(const ilki_picture *in, ilki_nearest_fn *nearest, const ilki_window *window, ilki_rows out,
                           const ilk_job *job, ilk_error *err);

/* At most what the first or, where `stored`, the last of the three resizers takes; of a window that is checked. */
uint64_t ilki_media_resize_bytes(const ilki_picture *in, ilki_image_filter filter, const ilki_window *window,
                                 bool stored);

/* LIMIT for absurd sizes, BAD_ARGUMENT where the window is not in the result. */
ilk_status ilki_media_check_window(const ilki_picture *in, const ilki_window *window, ilk_error *err);

#endif
