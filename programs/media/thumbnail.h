/* SPDX-License-Identifier: Apache-2.0
 * A small JPEG of a picture. */
#ifndef ILK_MEDIA_THUMBNAIL_H
#define ILK_MEDIA_THUMBNAIL_H

#include "picture.h"

/* Of RGB pixels: the longer side becomes `side`, unless it is shorter. *out: *n bytes, freed with free(). The picture is
 * made smaller in place. UNSUPPORTED where the build has no encoder. */
ilk_status media_thumbnail(media_picture *p, uint32_t side, unsigned char **out, size_t *n, ilk_error *err);

#endif
