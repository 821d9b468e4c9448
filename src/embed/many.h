/* SPDX-License-Identifier: Apache-2.0
 * A long list of texts or of files of pictures into rows of unit length. */
#ifndef ILKI_EMBED_MANY_H
#define ILKI_EMBED_MANY_H

#include "embed/embed.h"

typedef struct ilki_many {
    ilk_modality modality; /* ILK_TEXT, or ILK_IMAGE: the strings are paths */
    ilk_role role;
    const char *prompt;   /* NULL: the role's */
    uint32_t dim;         /* the first entries; 0: all */
    const char *stage;    /* of progress */
    uint64_t done, total; /* of it, before this call and in all */
    /* String i has no vector, its row is zeros; the message is without a picture's path. An error ends the call. Not
     * called where memory is short, which ends the call too. */
    ilk_status (*failed)(void *user, size_t i, const char *message, ilk_error *err);
    void *user;
} ilki_many;

/* rows: [n][dim]. Memory beside them does not grow with n. */
ilk_status ilki_embed_many(ilk_model *m, const char *const *strings, size_t n, const ilki_many *how, ilk_job *job,
                           float *rows, ilk_error *err);

#endif
