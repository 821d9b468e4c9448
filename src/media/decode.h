/* SPDX-License-Identifier: Apache-2.0
 * Files of pictures to pixels, by the helper. */
#ifndef ILKI_MEDIA_DECODE_H
#define ILKI_MEDIA_DECODE_H

#include "media/media.h"
#include "media/resample.h"

typedef struct ilki_media_picture {
    uint32_t width, height;
    uint8_t *pixels; /* owned: RGB [height][width][3], or what `kind` says, and behind them a palette; free() */
    ilki_picture_kind kind;
} ilki_media_picture;

ilki_picture ilki_media_view_picture(const ilki_media_picture *p);

/* Bits of how. */
enum {
    ILKI_MEDIA_TURNED = 1,   /* as EXIF says */
    ILKI_MEDIA_AS_STORED = 2 /* of any kind; else plain RGB, alpha dropped */
};

/* n bytes of a file of any kind the helper knows. On an error out is zeroed; errors as those of ilki_media_run. */
ilk_status ilki_media_read_picture(ilki_media *m, const void *data, size_t n, unsigned how, ilk_job *job,
                                   ilki_media_picture *out, ilk_error *err);

#endif
