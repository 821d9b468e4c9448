/* SPDX-License-Identifier: Apache-2.0
 * Exceptions of published checkpoints that their files do not tell: rows of quirks.def, each with its source. */
#ifndef ILKI_MODELS_QUIRKS_H
#define ILKI_MODELS_QUIRKS_H

#include "base/json.h"

typedef enum ilki_quirk_effect {
    ILKI_QUIRK_MODEL_TYPE = 1 /* config.json's model_type is to be read as `arg` */
} ilki_quirk_effect;

typedef struct ilki_quirk {
    const char *model_type; /* of config.json; NULL: it has none */
    const char *key;        /* a key that config.json has, too; NULL: no matter */
    const char *value;      /* and the string that it is; NULL: any value */
    ilki_quirk_effect effect;
    const char *arg;
    const char *note; /* what `ilk show` prints, source included */
} ilki_quirk;

/* The first row with this effect that fits, or NULL. */
const ilki_quirk *ilki_models_find_quirk(const ilki_quirk *rows, size_t n_rows, ilki_quirk_effect effect,
                                         const ilki_json *config);

#endif
