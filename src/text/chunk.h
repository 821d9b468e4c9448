/* SPDX-License-Identifier: Apache-2.0
 * A segment of text to chunks of at most so many tokens, cut at the best border that fits: paragraph, sentence, line,
 * word, and only then inside a word. Consecutive chunks of one segment share up to `overlap` tokens, from a border on.
 * Every byte that is not white space is in at least one chunk. Single-threaded; linear in the text. */
#ifndef ILKI_TEXT_CHUNK_H
#define ILKI_TEXT_CHUNK_H

#include "text/tokenizer.h"

typedef struct ilki_chunk_options {
    size_t max_tokens; /* > 0, specials not counted */
    size_t overlap;    /* < max_tokens / 2 */
    bool code;         /* borders are blank lines and lines; no sentences */
} ilki_chunk_options;

typedef struct ilki_chunk {
    size_t start, end; /* bytes of the text, without white space around */
    size_t n_tokens;   /* as the tokenizer counts the chunk within its text */
} ilki_chunk;

typedef struct ilki_chunks {
    ilki_chunk *list;
    size_t n, cap;
} ilki_chunks;
void ilki_text_chunks_deinit(ilki_chunks *c);

/* Replaces *out. White space alone gives no chunk. The job (may be NULL) is looked at before every megabyte. */
ilk_status ilki_text_chunk(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n,
                           const ilki_chunk_options *opt, const ilk_job *job, ilki_chunks *out, ilk_error *err);

#endif
