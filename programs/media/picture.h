/* SPDX-License-Identifier: Apache-2.0
 * What decoders of pictures share: the limits, the orientation of EXIF, turning. A decoder fills RGB of 8 bits as Pillow's
 * convert("RGB") does: alpha is dropped, whatever it hides. Where the pixels are wanted as the file holds them, one that has
 * them in another form of the protocol sets `form` before it begins, and fills that. */
#ifndef ILK_MEDIA_PICTURE_H
#define ILK_MEDIA_PICTURE_H

#include "media/fields.h"
#include "readers.h"

enum {
    MEDIA_MAX_SIDE = 1 << 20,
    MEDIA_MAX_PIXELS = (256 << 20) / 3 /* where Pillow begins to warn; the window takes four bytes of each */
};

struct media_picture {
    bool size_only;    /* asked: width and height will do */
    bool as_stored;    /* asked: forms behind FORM_PIXELS are welcome */
    uint32_t at_least; /* asked: a decoder may make it smaller on the way, the longer side no less; 0: it may not */
    ilki_media_fields *fields; /* asked: to be filled; or NULL */
    ilki_media_form form;      /* FORM_PIXELS from the beginning, unless the decoder set another */
    uint32_t width, height;
    unsigned char *room;           /* NULL, or where ILKI_MEDIA_WINDOW bytes of pixels may lie */
    unsigned char *pixels;         /* [height][width] of the form: the room, or owned */
    unsigned char palette[256][3]; /* FORM_PICKED: what stands behind the pixels */
    uint32_t orientation;          /* of EXIF, 1 to 8; 0: none is told */
    bool has_key;                  /* the file calls this colour transparent, and no other; as Pillow has it in RGB */
    unsigned char key[3];
};

extern const media_reader media_avif, media_bmp, media_gif, media_heif, media_jpeg, media_png, media_pnm, media_tiff,
    media_webp;

/* Width and height from a file's header, as soon as they are known: LIMIT and BAD_FORMAT before anything is allocated.
 * Then, unless the size alone was asked for, pixels, which hold anything: a decoder fills all of them or fails. `what` names
 * the reader. */
ilk_status media_picture_begin(media_picture *p, const char *what, uint64_t width, uint64_t height, ilk_error *err);
void media_picture_end(media_picture *p);

/* FORM_PICKED, of bits: index 0 is black, every other one white. */
void media_picture_set_bits(media_picture *p);

/* What ink, 255 of it being all, leaves of white paper, as Pillow has it. */
void media_picture_print(const unsigned char ink[4], unsigned char rgb[3]);

/* The orientation told by n bytes of EXIF, which begin with TIFF's header; 0: none, or a broken one. */
uint32_t media_exif_orientation(const unsigned char *data, size_t n);

/* Is one of the brands, four characters each, told by the first box of an ISO media file? */
bool media_has_brand(const unsigned char *head, size_t n, const char *brands);

/* White where the key is: what transformers' processors make of what load_image leaves them. */
void media_picture_paint(media_picture *p);

/* Turns and mirrors so that the orientation becomes 1. */
ilk_status media_picture_orient(media_picture *p, ilk_error *err);

#endif
