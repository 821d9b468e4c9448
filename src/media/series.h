/* SPDX-License-Identifier: Apache-2.0
 * Many files of pictures to pixels, in any order, by helpers that never wait: each is asked for the next file before its
 * answer about this one is looked at. */
#ifndef ILKI_MEDIA_SERIES_H
#define ILKI_MEDIA_SERIES_H

#include "media/decode.h"

typedef struct ilki_media_series ilki_media_series;

typedef struct ilki_media_wish {
    const void *data; /* a file, no DICOM */
    size_t n;
    unsigned how; /* bits of decode.h */
} ilki_media_wish;

/* The i-th file, from any thread, until its picture is ended; asked for again where a helper was lost over it. */
typedef ilk_status (*ilki_media_wish_fn)(void *user, size_t i, ilki_media_wish *out, ilk_error *err);

/* Files 0 to n - 1. Between two of its calls it may keep helpers from others who want one, as many as there are threads:
 * who uses it must go on with it, and ask for no other helper before its end. */
ilk_status ilki_media_series_new(ilki_media_series **out, ilki_media *m, size_t n, ilki_media_wish_fn wish, void *user,
                                 ilk_error *err);
void ilki_media_series_free(ilki_media_series *s); /* NULL is fine */

/* One of the files that nobody got so far: n calls, from as many threads as may be, get all of them. *index is the file and
 * the status its own, as ilki_media_read_picture gives it; or *index is SIZE_MAX: the job's end, or none is left. The
 * picture is as one of decode.h, but ended here. */
ilk_status ilki_media_series_next(ilki_media_series *s, ilk_job *job, size_t *index, ilki_media_picture *out,
                                  ilk_error *err);
void ilki_media_series_end_picture(ilki_media_series *s, ilki_media_picture *p);

#endif
