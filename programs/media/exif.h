/* SPDX-License-Identifier: Apache-2.0
 * EXIF: how a picture is to be turned, when, where and with what it was taken. */
#ifndef ILK_MEDIA_EXIF_H
#define ILK_MEDIA_EXIF_H

#include "media/fields.h"
#include "picture.h"

/* Adds what n bytes of EXIF, which begin with TIFF's header, tell; what is broken of it is left out. */
void media_exif_fields(ilki_media_fields *f, const unsigned char *data, size_t n);

/* For decoders that have found the bytes: orientation, and fields where they are asked for. */
void media_picture_exif(media_picture *p, const unsigned char *data, size_t n);

#endif
