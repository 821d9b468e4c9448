/* SPDX-License-Identifier: Apache-2.0
 * DICOM through dcmtk's programs, one file each (rows of programs/media/readers.c): a picture of the first frame, and the
 * three facts that say what was looked at and when. Nothing else of the file comes out of here: nobody's name, number or
 * birthday is read, and overlays, in which they may be written, are not drawn. */
#ifndef ILKI_MEDIA_DICOM_H
#define ILKI_MEDIA_DICOM_H

#include "media/media.h"

typedef struct ilki_dicom_facts {
    char study_date[11]; /* "2024-03-05"; each is "" where the file does not say */
    char modality[17];   /* "CT" */
    char body_part[17];  /* "CHEST" */
} ilki_dicom_facts;

bool ilki_media_is_dicom(const void *data, size_t n);

/* The first frame as a PNM, gray or RGB of bytes: through the file's first window, or where it has none through one from
 * its least to its largest value. *pnm is owned: free(). UNSUPPORTED: there is no dcmtk; BAD_FORMAT: it makes nothing of it. */
ilk_status ilki_media_convert_dicom(ilki_media *m, const void *data, size_t n, ilk_job *job, char **pnm, size_t *n_pnm,
                                    ilk_error *err);

ilk_status ilki_media_read_dicom_facts(ilki_media *m, const void *data, size_t n, ilk_job *job, ilki_dicom_facts *out,
                                       ilk_error *err);

#endif
