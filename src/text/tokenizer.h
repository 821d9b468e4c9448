/* SPDX-License-Identifier: Apache-2.0
 * Text to ids, as the reference tokenizer of a checkpoint makes them, with the place of every token in the text.
 *
 * A tokenizer is assembled from parts named by the checkpoint's files: added tokens, normalizers, a pre-tokenizer, a
 * model and a post-processor; each type is a row of the tables in tokenizer.c. It is immutable once open and shared by
 * any number of threads; a scratch and an encoding belong to one thread each and keep their memory, so that a call in
 * steady state allocates nothing. */
#ifndef ILKI_TEXT_TOKENIZER_H
#define ILKI_TEXT_TOKENIZER_H

#include "base/mem.h"
#include "text/clean.h"

typedef struct ilki_tokenizer ilki_tokenizer;
typedef struct ilki_text_scratch ilki_text_scratch;

/* ------------------------------------------------------------------ open */

/* The bytes of one file of a checkpoint; data == NULL: the checkpoint has none. Borrowed for the call. */
typedef struct ilki_text_file {
    const char *data;
    size_t n;
    const char *name; /* for messages; NULL: the usual name */
} ilki_text_file;

typedef enum ilki_tokenizer_mode {
    ILKI_TOKENIZER_DEFAULT = 0, /* what the tokenizer class of transformers 5.23 computes from the files */
    ILKI_TOKENIZER_LITERAL      /* what tokenizer.json says, read by the letter */
} ilki_tokenizer_mode;

typedef struct ilki_tokenizer_files {
    ilki_text_file tokenizer_json, tokenizer_config, special_tokens_map, vocab_txt;
    ilki_text_file added_tokens, vocab_json, merges_txt; /* read where there is no tokenizer.json */
    ilki_text_file model;   /* of SentencePiece: sentencepiece.bpe.model, spiece.model or tokenizer.model; likewise */
    const char *model_type; /* of config.json, for a tokenizer_config without tokenizer_class; may be NULL */
    ilki_tokenizer_mode mode;
} ilki_tokenizer_files;

/* Builds a tokenizer from tokenizer.json or, without one, from vocab.txt, vocab.json with merges.txt or a model of
 * SentencePiece, and tokenizer_config.json. UNSUPPORTED names
 * the type of part that is not built; BAD_FORMAT, LIMIT (ids up to 2^22, 512 bytes per added token) and NO_MEMORY name
 * the file. */
ilk_status ilki_text_tokenizer_open(ilki_tokenizer **out, const ilki_tokenizer_files *files, ilk_error *err);
void ilki_text_tokenizer_free(ilki_tokenizer *t);

/* From here on ilki_text_encode cleans its text (not the pair's) before all else; offsets are those of the cleaned one. */
void ilki_text_set_cleaning(ilki_tokenizer *t, ilki_text_cleaning how);

/* ------------------------------------------------------------------ what it holds */

/* One more than the largest id, added tokens included. */
size_t ilki_text_vocab_size(const ilki_tokenizer *t);

/* The string of an id, NUL-terminated; NULL where the vocabulary has a hole or ends. `n` may be NULL. */
const char *ilki_text_token(const ilki_tokenizer *t, int32_t id, size_t *n);
int32_t ilki_text_token_id(const ilki_tokenizer *t, const char *token, size_t n); /* -1 where absent */

typedef enum ilki_special {
    ILKI_SPECIAL_CLS = 0,
    ILKI_SPECIAL_SEP,
    ILKI_SPECIAL_PAD,
    ILKI_SPECIAL_UNK,
    ILKI_SPECIAL_MASK,
    ILKI_SPECIAL_BOS,
    ILKI_SPECIAL_EOS,
    ILKI_SPECIAL_COUNT
} ilki_special;
int32_t ilki_text_special_id(const ilki_tokenizer *t, ilki_special which); /* -1 where there is none */
bool ilki_text_is_special(const ilki_tokenizer *t, int32_t id); /* an added token marked special, or one of the above */

/* Tokens that the post-processor adds around one text or a pair. */
size_t ilki_text_n_added(const ilki_tokenizer *t, bool pair);

/* model_max_length of tokenizer_config.json; 0 where it is absent or beyond 2^31 ("unlimited"). */
size_t ilki_text_max_length(const ilki_tokenizer *t);

/* ------------------------------------------------------------------ encode */

/* Memory of one thread for any number of tokenizers. NULL when memory is short. */
ilki_text_scratch *ilki_text_scratch_new(void);
void ilki_text_scratch_free(ilki_text_scratch *s);

/* Bytes [start, end) of the original text that a token came from. Pieces of one character may share its span. */
typedef struct ilki_span {
    uint32_t start, end;
} ilki_span;

enum { ILKI_FROM_TEXT = 0, ILKI_FROM_PAIR = 1, ILKI_FROM_TEMPLATE = 255 };

/* Parallel arrays of n tokens, owned. A zeroed encoding is valid and empty; each encode overwrites it. */
typedef struct ilki_encoding {
    int32_t *ids;
    int32_t *types;
    ilki_span *spans; /* {0, 0} for a token of the template */
    uint8_t *from;    /* which text the span counts in: ILKI_FROM_… */
    size_t n, cap;
    size_t n_dropped;    /* tokens that max_tokens cut off */
    bool n_dropped_more; /* n_dropped is a lower bound: the rest of the text was not looked at */
} ilki_encoding;
void ilki_text_encoding_deinit(ilki_encoding *e);

typedef enum ilki_truncate {
    ILKI_TRUNCATE_LONGEST_FIRST = 0,
    ILKI_TRUNCATE_ONLY_FIRST,
    ILKI_TRUNCATE_ONLY_SECOND
} ilki_truncate;

/* Zeroed: the whole text, without specials of the template. */
typedef struct ilki_encode_options {
    size_t max_tokens;       /* of the result, the template's tokens included; 0: no limit */
    bool add_specials;       /* apply the post-processor */
    bool no_special_parsing; /* untrusted text: "[SEP]" in it is five characters, not the special token */
    const char *pair;        /* second text, NULL for none; may be empty */
    size_t n_pair;           /* its bytes */
    ilki_truncate truncate;  /* which text of a pair gives way; the side is truncation_side of the files */
} ilki_encode_options;

/* Tokenises n bytes; invalid UTF-8 counts as U+FFFD, one per maximal subpart. `opt` may be NULL. A text is looked at
 * only some way past max_tokens, whatever the parts, but for what the head of blocks.c lists: texts whose first tokens
 * depend on their end. Where the side to cut is the left, its end is enough if white space divides it for the parts; if not
 * it is read whole, and about twice max_tokens are held. BAD_ARGUMENT where max_tokens leaves no room for the
 * template; LIMIT for a text of 2^31 bytes or more, and where the tokenizer's own replacements make what is looked at grow
 * without end or its pattern runs wild there; on failure `out` is empty. */
ilk_status ilki_text_encode(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n,
                            const ilki_encode_options *opt, ilki_encoding *out, ilk_error *err);

/* Tokens of a text without specials, or at least `limit` of them counted (0: all), in `*count`: cheaper than encode. */
ilk_status ilki_text_count(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, size_t limit,
                           size_t *count, ilk_error *err);

#endif
