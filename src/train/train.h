/* SPDX-License-Identifier: Apache-2.0
 * Fitting small things behind frozen encoders. The contract of each call stands in ilk.h. */
#ifndef ILKI_TRAIN_TRAIN_H
#define ILKI_TRAIN_TRAIN_H

#include "embed/embed.h"

/* Pictures and what is said of them; all of it borrowed. */
typedef struct ilki_train_pair {
    uint32_t picture, text;
} ilki_train_pair;

typedef struct ilki_train_pairs {
    const char *const *pictures; /* [n_pictures] paths */
    const char *const *texts;    /* [n_texts] */
    const ilki_train_pair *list; /* [n] by picture; none twice */
    size_t n_pictures, n_texts, n;
    /* A picture or text cannot be embedded; an error ends the call. */
    ilk_status (*failed)(void *user, const char *what, const char *message, ilk_error *err);
    void *user;
} ilki_train_pairs;

/* `folder` is written where result->kept. */
ilk_status ilki_train_projection(ilk_model *from, ilk_model *into, const ilki_train_pairs *pairs, const char *folder,
                                 const ilk_train_options *opt, ilk_job *job, ilk_train_result *result, ilk_error *err);

#endif
