/* SPDX-License-Identifier: Apache-2.0
 * config.json as a list of typed, ranged fields: a family states a table, one function reads it and says what is wrong. */
#ifndef ILKI_MODELS_CONFIG_H
#define ILKI_MODELS_CONFIG_H

#include "base/json.h"
#include "base/mem.h"

typedef enum ilki_config_type {
    ILKI_CONFIG_U32,   /* uint32_t */
    ILKI_CONFIG_FLOAT, /* float; the number is rounded once */
    ILKI_CONFIG_BOOL,  /* bool */
    ILKI_CONFIG_WORD   /* uint32_t: the index of one of `words` */
} ilki_config_type;

typedef struct ilki_config_field {
    const char *key;
    ilki_config_type type;
    size_t offset;            /* of the member in the family's config struct */
    bool required;            /* else `otherwise` where the key is absent or null */
    double otherwise;         /* of a WORD: its index */
    double min, max;          /* of U32 and FLOAT, both allowed */
    const char *const *words; /* NULL-terminated */
} ilki_config_field;

/* Fills the members that the fields name. `file` stands in messages. BAD_FORMAT: absent, of another type or out of
 * range; UNSUPPORTED: a word that is not in the list. */
ilk_status ilki_models_read_config(const ilki_json *j, ilki_json_node object, const char *file,
                                   const ilki_config_field *fields, size_t n_fields, void *out, ilk_error *err);

#endif
