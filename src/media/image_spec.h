/* SPDX-License-Identifier: Apache-2.0
 * What is done to a picture before a model sees it, as its processor's file says: resize, crop, rescale, normalise. Read
 * by embed (processor.c); resize and crop are executed in this room, the numbers of a pixel by embed. */
#ifndef ILKI_MEDIA_IMAGE_SPEC_H
#define ILKI_MEDIA_IMAGE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

/* Filters under Pillow's numbers. */
typedef enum ilki_image_filter {
    ILKI_FILTER_NEAREST = 0,
    ILKI_FILTER_LANCZOS,
    ILKI_FILTER_BILINEAR,
    ILKI_FILTER_BICUBIC,
    ILKI_FILTER_BOX,
    ILKI_FILTER_HAMMING
} ilki_image_filter;

/* Whose resampling it is; the crop's rounding goes with it. */
typedef enum ilki_image_family {
    ILKI_IMAGE_TORCHVISION =
        0,               /* transformers' classes: uint8 with antialias; the crop begins at floor((n - crop) / 2) */
    ILKI_IMAGE_OPEN_CLIP /* Pillow's, before the conversion to RGB; the crop begins at round-half-even((n - crop) / 2) */
} ilki_image_family;

typedef enum ilki_image_resize {
    ILKI_RESIZE_NONE = 0,
    ILKI_RESIZE_EXACT,    /* to width x height, whatever the picture's shape */
    ILKI_RESIZE_SHORTEST, /* the shorter side to `width`, the longer one in proportion, cut to whole pixels */
    ILKI_RESIZE_LONGEST   /* the longer side to `width`, the rest filled with `fill` up to width x height */
} ilki_image_resize;

typedef struct ilki_image_spec {
    ilki_image_family family;
    ilki_image_resize resize;
    ilki_image_filter filter;
    uint32_t width, height;
    bool crop; /* the centre; what lies outside of the picture is black */
    uint32_t crop_width, crop_height;
    uint8_t fill;
    bool rgb; /* pictures of other kinds are converted; else they are refused */
    /* a pixel's byte b becomes b * rescale, then (b - mean) / std per channel, in the family's own order of rounding */
    bool do_rescale, do_normalise;
    double rescale;
    double mean[3], std[3];
} ilki_image_spec;

#endif
