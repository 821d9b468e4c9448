/* SPDX-License-Identifier: Apache-2.0
 * What is neither text nor token ids: parts that become rows of a tower. */
#ifndef ILKI_EMBED_MODALITY_H
#define ILKI_EMBED_MODALITY_H

#include "embed/embed.h"

typedef struct ilki_picture ilki_picture; /* media/resample.h */

typedef struct ilki_modality {
    ilk_modality modality;
    const char *name;
    /* OK where the tower can be given this part; what it is and what was expected where not. Cheap: nothing is decoded. */
    ilk_status (*check)(const ilk_model *m, const ilk_part *p, ilk_error *err);
    /* The part's rows [n_rows][row_dim], the tower's own ones before them zeroed by the caller. A file is turned as it says
     * but with `as_is`. */
    ilk_status (*fill)(const ilk_model *m, const ilk_part *p, bool as_is, ilk_job *job, float *rows, ilk_error *err);
} ilki_modality;

/* The row of a modality; NULL: text, or one that is not built. */
const ilki_modality *ilki_embed_modality(ilk_modality modality);
/* What a part is: as it says, else text for text and ids and a picture for pixels; 0: it does not tell. */
ilk_modality ilki_embed_part_modality(const ilk_part *p);
/* The tower that reads it; -1: none of this model. */
int ilki_embed_tower(const ilk_model *m, ilk_modality modality);
/* Rows and their width of a part of ILK_PART_ROWS, of a modality that the model reads. */
void ilki_embed_rows_shape(const ilk_model *m, ilk_modality modality, uint32_t shape[2]);
/* Rows of a picture that is decoded already, of any kind, for a model that sees. */
ilk_status ilki_embed_fill_picture(const ilk_model *m, const ilki_picture *in, ilk_job *job, float *rows,
                                   ilk_error *err);

/* A file of a part: *data is owned. BAD_FORMAT: no regular file; LIMIT: too large a one. */
ilk_status ilki_embed_read_file(const ilk_model *m, const char *path, char **data, size_t *n, ilk_error *err);

/* For callers that decode files themselves: bits of media/decode.h besides TURNED, and then rows of what was decoded. */
unsigned ilki_embed_decode_how(const ilk_model *m);

#endif
