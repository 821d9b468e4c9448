/* SPDX-License-Identifier: Apache-2.0
 * A model file of SentencePiece, read. */
#ifndef ILKI_TEXT_SENTENCEPIECE_H
#define ILKI_TEXT_SENTENCEPIECE_H

#include "text/part.h"

enum { ILKI_SPM_NORMAL = 1, ILKI_SPM_UNKNOWN, ILKI_SPM_CONTROL, ILKI_SPM_USER_DEFINED, ILKI_SPM_UNUSED, ILKI_SPM_BYTE };
enum { ILKI_SPM_UNIGRAM = 1, ILKI_SPM_BPE };

typedef struct ilki_spm_piece {
    const char *text; /* n bytes of the file */
    size_t n;
    float score;
    int type; /* ILKI_SPM_… */
} ilki_spm_piece;

typedef struct ilki_spm {
    ilki_spm_piece *pieces; /* by id, in the reader's arena */
    size_t n;
    const char *charsmap; /* bytes of the file; NULL: none */
    size_t n_charsmap;
    int model_type;
} ilki_spm;

/* Borrows the file. BAD_FORMAT, LIMIT or NO_MEMORY names it. */
ilk_status ilki_text_spm_read(ilki_spm *m, const ilki_text_file *file, const ilki_text_reader *r);

#endif
