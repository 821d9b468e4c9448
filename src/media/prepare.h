/* SPDX-License-Identifier: Apache-2.0
 * A picture of any size to the bytes that a network's processor leaves: resized, cropped or padded. */
#ifndef ILKI_MEDIA_PREPARE_H
#define ILKI_MEDIA_PREPARE_H

#include "media/resample.h"

/* What an ilki_image_spec comes to for one size. Of the resized picture the window is wanted; it stands at left, top
 * of the outcome, the rest of which is filled. */
typedef struct ilki_image_plan {
    ilki_window resized;
    uint32_t left, top;
    uint32_t width, height; /* of the outcome */
    uint8_t fill;
    bool unchanged; /* the outcome is the picture itself */
} ilki_image_plan;

/* LIMIT, by arithmetic alone, where a side or what a resize would make of it is absurd. */
ilk_status ilki_media_plan(ilki_image_plan *plan, const ilki_image_spec *spec, const ilki_picture *in, ilk_error *err);

/* Bytes that the call below takes while it runs, at most: to be counted before. Of a plan that was made. */
uint64_t ilki_media_prepare_bytes(const ilki_image_plan *plan, const ilki_image_spec *spec, const ilki_picture *in);

/* out: [plan.height][plan.width][3]. A gray picture becomes RGB if the spec converts, and is refused if not; of other
 * kinds, ILKI_IMAGE_OPEN_CLIP resizes what they are, the other family RGB. The job is looked at between blocks of rows. */
ilk_status ilki_media_prepare(uint8_t *out, const ilki_kern_ops *ops, const ilki_image_spec *spec,
                              const ilki_picture *in, const ilk_job *job, ilk_error *err);

#endif
