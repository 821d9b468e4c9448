/* SPDX-License-Identifier: Apache-2.0
 * A checkpoint on its way to a tokenizer: what checkpoint.c and classes.c share. */
#ifndef ILKI_TEXT_CHECKPOINT_H
#define ILKI_TEXT_CHECKPOINT_H

#include "text/sentencepiece.h"

typedef struct named {
    bool present;
    ilki_added token;
} named;

typedef struct checkpoint {
    ilki_tokenizer *t;
    const ilki_tokenizer_files *files;
    ilki_json *tokenizer, *config, *map, *added,
        *vocab;                         /* NULL where the file is absent; vocab only without tokenizer */
    ilki_text_reader r, rc, rm, ra, rv; /* their readers */
    ilki_spm spm;                       /* without tokenizer.json; no pieces: there is none */
    int64_t n_extra;                    /* T5's extra ids; -1: another class of Unigram */
    size_t n_model;                     /* strings of the model's vocabulary */
    int64_t max_added;                  /* largest id of an added token, -1: none */
    named special[ILKI_SPECIAL_COUNT];
} checkpoint;

/* The special tokens of the names: the class's own (may be NULL), then what the files say. */
ilk_status ilki_text_read_specials(checkpoint *c, const char *const of_class[ILKI_SPECIAL_COUNT]);
/* Adds what the configuration lists and names; for a class of its own, what tokenizer.json lists as well. */
ilk_status ilki_text_add_configured(checkpoint *c, bool of_class);
ilk_status ilki_text_add_list(checkpoint *c, ilki_json_node list);
ilk_status ilki_text_add_special(checkpoint *c, const char *content, size_t n);
ilk_status ilki_text_add_pieces(checkpoint *c); /* control and user-defined ones of a model of SentencePiece */
void ilki_text_set_special_ids(checkpoint *c);

/* The class of a model_type, "Fast" left out; NULL: the generic one (model_types.c). */
const char *ilki_text_class_of_type(const char *type);

/* Finds the class and lets it read everything (classes.c). */
ilk_status ilki_text_read_class(checkpoint *c);

#endif
