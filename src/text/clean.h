/* SPDX-License-Identifier: Apache-2.0
 * What open_clip does to a text before its tokenizer sees it. */
#ifndef ILKI_TEXT_CLEAN_H
#define ILKI_TEXT_CLEAN_H

#include "base/json.h"

typedef enum ilki_text_cleaning {
    ILKI_CLEAN_NONE = 0,
    ILKI_CLEAN_WHITESPACE,  /* characters of HTML, twice over; runs of white space become one blank, none at the ends */
    ILKI_CLEAN_CANONICALIZE /* and "_" is a blank, other punctuation of ASCII nothing, letters are small */
} ilki_text_cleaning;

/* The cleaned text, valid UTF-8, in `out`; `between` is a buffer to work in. Errors are the buffers'. */
ilk_status ilki_text_clean(ilki_buf *out, ilki_buf *between, ilki_text_cleaning how, const char *text, size_t n,
                           ilk_error *err);

/* Which one open_clip_config.json asks for. */
ilk_status ilki_text_read_cleaning(ilki_text_cleaning *out, const ilki_json *config, ilk_error *err);

/* ---- the generated table: name, NUL, UTF-8, NUL; in the order of the names' bytes */
extern const uint8_t ilki_text_entities[];
extern const uint16_t ilki_text_entity_at[];
extern const size_t ilki_text_n_entities;

#endif
