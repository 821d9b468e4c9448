/* SPDX-License-Identifier: Apache-2.0
 * Files of pictures to pixels, by the helper. */
#ifndef ILKI_MEDIA_DECODE_H
#define ILKI_MEDIA_DECODE_H

#include "media/fields.h"
#include "media/media.h"
#include "media/resample.h"

typedef struct ilki_media_picture {
    uint32_t width, height;
    const uint8_t *pixels; /* RGB [height][width][3], or what `kind` says, and behind them a palette */
    ilki_picture_kind kind;
    ilki_media_fields *fields; /* what the file says about the picture; NULL where it was not asked for */
    ilki_media_result held;    /* what pixels point into */
} ilki_media_picture;

ilki_picture ilki_media_view_picture(const ilki_media_picture *p);

/* Bits of how. */
enum {
    ILKI_MEDIA_TURNED = 1,    /* as EXIF says */
    ILKI_MEDIA_AS_STORED = 2, /* of any kind; else plain RGB, alpha dropped */
    ILKI_MEDIA_WITH_FIELDS = 4,
    ILKI_MEDIA_PAINTED = 8 /* white where the file has a colour that it calls transparent; not with AS_STORED */
};

/* n bytes of a file of any kind the helper knows. On an error out is zeroed; errors as those of ilki_media_run. The pixels
 * are where the helper wrote them, which waits until they are given back: use them soon, and read no second picture before.
 * They are bytes of a stranger: it may change them meanwhile. */
ilk_status ilki_media_read_picture(ilki_media *m, const void *data, size_t n, unsigned how, ilk_job *job,
                                   ilki_media_picture *out, ilk_error *err);
void ilki_media_end_picture(ilki_media *m, ilki_media_picture *p); /* a zeroed one too */

/* Of one who asks a helper himself (series.c): the operations, and what out->held then is; it stays as it is on an error. */
void ilki_media_add_picture_ops(ilki_buf *ops, unsigned how);
ilk_status ilki_media_take_picture(ilki_media_picture *out, unsigned how, ilk_error *err);

/* The words in a plain picture, by tesseract: *text is owned, n bytes of no known encoding. UNSUPPORTED: there is none;
 * BAD_FORMAT: it failed, as where it lacks the language. */
ilk_status ilki_media_read_words(ilki_media *m, const ilki_media_picture *p, const char *language, ilk_job *job,
                                 char **text, size_t *n, ilk_error *err);

/* A JPEG of it whose longer side is at most `side`, up to 1024. */
typedef struct ilki_media_small {
    uint32_t width, height;
    unsigned char *data; /* owned: free() */
    size_t n_bytes;
} ilki_media_small;
ilk_status ilki_media_make_small(ilki_media *m, const void *data, size_t n, uint16_t side, bool turned, ilk_job *job,
                                 ilki_media_small *out, ilk_error *err);

#endif
