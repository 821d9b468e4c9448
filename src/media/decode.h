/* SPDX-License-Identifier: Apache-2.0
 * Files of pictures to pixels, by the helper. */
#ifndef ILKI_MEDIA_DECODE_H
#define ILKI_MEDIA_DECODE_H

#include "media/media.h"

typedef struct ilki_media_picture {
    uint32_t width, height;
    uint8_t *pixels; /* owned: RGB [height][width][3]; free() */
} ilki_media_picture;

/* n bytes of a file of any kind the helper knows, turned as EXIF says where `orient`, alpha dropped. On an error out is
 * zeroed; errors as those of ilki_media_run. */
ilk_status ilki_media_read_picture(ilki_media *m, const void *data, size_t n, bool orient, ilk_job *job,
                                   ilki_media_picture *out, ilk_error *err);

#endif
