/* SPDX-License-Identifier: Apache-2.0
 * What a file that is no text seems to be, by its first bytes; where these only say "TIFF", the extension tells a camera's
 * raw data. */
#ifndef ILKI_MEDIA_SNIFF_H
#define ILKI_MEDIA_SNIFF_H

#include <stddef.h>

typedef enum ilki_sniffed {
    ILKI_SNIFFED_NOTHING, /* nothing of the table */
    ILKI_SNIFFED_PICTURE, /* for a reader of ilk-media, if the build has it */
    ILKI_SNIFFED_LATER    /* raw photos, drawings, videos: no reader exists yet */
} ilki_sniffed;

enum { ILKI_SNIFF_BYTES = 512 }; /* as much of a file's head as is looked at */

typedef struct ilki_sniff {
    ilki_sniffed is;
    const char *reader; /* of a picture: its reader's name, which is the item's kind too: "jpeg" */
    const char *what;   /* of the others, in words: "a RAW photo" */
} ilki_sniff;

/* name: the path, or its last component. */
ilki_sniff ilki_media_sniff(const char *name, const void *head, size_t n);

#endif
