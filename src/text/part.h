/* SPDX-License-Identifier: Apache-2.0
 * What the parts of a tokenizer share. A part is a row (a const struct of functions, its type name first) and the
 * settings it read; text passes through as characters that remember where they came from. Private to src/text. */
#ifndef ILKI_TEXT_PART_H
#define ILKI_TEXT_PART_H

#include "base/json.h"
#include "base/map.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

/* ------------------------------------------------------------------ text on its way */

/* One character of the normalised text and the bytes of the original it stands for. */
typedef struct ilki_text_char {
    uint32_t cp;
    ilki_span at;
} ilki_text_char;

typedef struct ilki_text_str {
    ilki_text_char *c;
    size_t n, cap;
} ilki_text_str;

/* c[first .. first + n) of a string: a pre-token */
typedef struct ilki_text_piece {
    size_t first, n;
} ilki_text_piece;

typedef struct ilki_text_pieces {
    ilki_text_piece *p;
    size_t n, cap;
} ilki_text_pieces;

typedef struct ilki_text_tokens {
    int32_t *ids;
    ilki_span *spans;
    size_t n, cap;
    size_t n_left; /* tokens before these that were not kept */
} ilki_text_tokens;

/* A character under way to a normal form. */
typedef struct ilki_text_mark {
    uint32_t cp;
    int32_t change; /* 0: stands for the next source character, 1: was added behind it, -k: took k more with it */
    uint32_t ccc;
} ilki_text_mark;

typedef struct ilki_text_marks {
    ilki_text_mark *m;
    size_t n, cap;
} ilki_text_marks;

struct ilki_text_scratch {
    ilki_text_str str, spare, aside;
    ilki_text_pieces pieces, spare_pieces;
    ilki_text_marks marks, spare_marks;
    ilki_text_tokens tokens[2]; /* of the text and of its pair */
    void *work;                 /* a model's own, for the length of one call */
    size_t work_bytes;
    uint32_t base;    /* the byte of the text where str begins; set by load */
    bool at_start;    /* str begins where the text does; set by load */
    bool fresh;       /* str begins a stretch: the text, or what is behind an added token; set by load */
    size_t max_chars; /* that Replace may let str grow to; set by load */
    bool too_long;    /* it tried to grow further */
    size_t stop;      /* tokens behind which the rest of a text does not count; set for each text */
    bool left_off;    /* some of a block was not encoded, because of that */
    /* The text goes on behind str, and behind the last of the pieces: a part leaves of str, and of that piece, what stays
     * however it goes on. Set by load to false. */
    bool goes_on;
    /* What a model is given is only the beginning of a pre-token: it puts the tokens that stay whatever follows. Only
     * for models that say `takes_open`. */
    bool open;
    size_t n_loaded;           /* bytes loaded for a text, repeats counted: what a limit spares shows in it */
    ilki_buf cleaned, between; /* of clean.c */
    void *match;               /* of regex.c */
    bool ran_wild;             /* a pattern took more steps than a text is worth */
};

/* Growing: each gives false when memory is short and leaves what was there. */
bool ilki_text_str_reserve(ilki_text_str *s, size_t n);
bool ilki_text_str_put(ilki_text_str *s, uint32_t cp, ilki_span at);
bool ilki_text_pieces_put(ilki_text_pieces *p, size_t first, size_t n); /* an empty piece is left out */
bool ilki_text_marks_reserve(ilki_text_marks *m, size_t n);
bool ilki_text_tokens_reserve(ilki_text_tokens *t, size_t n);
static inline bool ilki_text_tokens_put(ilki_text_tokens *t, int32_t id, uint32_t start, uint32_t end)
{
    if (t->n == t->cap && !ilki_text_tokens_reserve(t, t->n + 1))
        return false;
    t->ids[t->n] = id;
    t->spans[t->n++] = (ilki_span){start, end};
    return true;
}

/* Room for so many bytes at s->work, contents undefined; false when memory is short. */
bool ilki_text_work_reserve(ilki_text_scratch *s, size_t n, size_t size);

/* Makes s->str of n bytes of text that begin at `base` in the original. */
bool ilki_text_load(ilki_text_scratch *s, const char *text, size_t n, size_t base);

/* ------------------------------------------------------------------ parts */

/* Where a part reads its settings. */
typedef struct ilki_text_reader {
    const ilki_json *json;
    const char *name; /* the file, for messages */
    ilki_arena *arena;
    ilk_error *err;
} ilki_text_reader;

/* Members of a settings object: absent or null gives the default, another type is BAD_FORMAT. */
ilk_status ilki_text_read_bool(const ilki_text_reader *r, ilki_json_node o, const char *key, bool otherwise, bool *out);
ilk_status ilki_text_read_string(const ilki_text_reader *r, ilki_json_node o, const char *key, const char *otherwise,
                                 const char **out, size_t *n);
/* The characters of a string, in the arena. */
ilk_status ilki_text_read_chars(const ilki_text_reader *r, const char *s, size_t n, const uint32_t **cps,
                                size_t *n_cps);

typedef struct ilki_regex ilki_regex;
typedef struct ilki_normalizer ilki_normalizer;
typedef struct ilki_normalizer_row {
    const char *type;
    const char *members; /* a sequence: the key of its parts; the other members of the row are then unused */
    /* each character alone or with combining neighbours only: a text may be cut between a word and white space and
     * normalised in two goes */
    bool local;
    ilk_status (*read)(ilki_normalizer *p, const ilki_text_reader *r, ilki_json_node node); /* NULL: no settings */
    bool (*apply)(const ilki_normalizer *p, ilki_text_scratch *s); /* on s->str; false when memory is short */
} ilki_normalizer_row;
struct ilki_normalizer {
    const ilki_normalizer_row *row;
    bool local;                        /* of the row, or set by read */
    bool clean, chinese, strip, lower; /* BertNormalizer; Strip: clean is left, strip is right */
    const uint32_t *find, *put;        /* Replace, Prepend */
    size_t n_find, n_put;
    bool lines;        /* … and a line feed, a return or a tab alone */
    size_t least;      /* Replace of a run: so many of `find`, or of white space where that is NULL; 0: no run */
    ilki_regex *regex; /* … or what it matches */
    const void *state; /* Precompiled */
};

typedef struct ilki_splitter ilki_splitter;
typedef struct ilki_splitter_row {
    const char *type;
    const char *members;
    bool drops_space; /* white space is never part of a pre-token, so a text may be cut behind it */
    ilk_status (*read)(ilki_splitter *p, const ilki_text_reader *r, ilki_json_node node);
    bool (*apply)(const ilki_splitter *p, ilki_text_scratch *s); /* s->pieces into smaller ones; may rewrite s->str */
} ilki_splitter_row;

/* Where the next match in c[at..n) ends; `*start` is where it begins, n where there is none. */
typedef size_t ilki_split_next(const ilki_splitter *p, const ilki_text_char *c, size_t n, size_t at, size_t *start);

struct ilki_splitter {
    const ilki_splitter_row *row;
    int behaviour;
    bool drops_space;      /* of the row, or set by read */
    bool before_space;     /* there is always a border between a word and U+0020, and what is behind it sees no more */
    bool invert;           /* Split */
    ilki_split_next *next; /* Split, ByteLevel; NULL: no pattern */
    ilki_regex *regex;     /* … or this */
    size_t digits;         /* how many a pattern takes at once */
    unsigned letters;      /* ILKI_UNI_… that the pattern has in place of \p{L} */
    const uint32_t *find;  /* Split at a string */
    size_t n_find;
    uint32_t mark;   /* Metaspace: what stands for a space */
    bool prefix;     /* a space is put before */
    bool first_only; /* … at the beginning of the text only */
    bool whole;      /* Metaspace does not split */
};

typedef struct ilki_text_model_row {
    const char *type;
    bool counts_places; /* ids of new tokens count the places of the list, with what stands there twice */
    bool takes_open;    /* it knows what to do with the beginning of a pre-token */
    /* Fills the vocabulary and makes the model's own state (in the reader's arena). */
    ilk_status (*read)(void **state, ilki_vocab *v, const ilki_text_reader *r, ilki_json_node node);
    bool (*encode)(const void *state, const ilki_vocab *v, ilki_text_scratch *s, const ilki_text_char *c, size_t n,
                   ilki_text_tokens *out);
    /* The same for n bytes of ASCII letters and digits that begin at `base`, lower-cased where `lower`; may be NULL. */
    bool (*encode_ascii)(const void *state, const ilki_vocab *v, const char *s, size_t n, size_t base, bool lower,
                         ilki_text_tokens *out);
    int32_t (*get_unk)(const void *state); /* may be NULL */
    /* Whether no token can hold `cp` and a space behind it; may be NULL: one can. */
    bool (*ends_before_space)(const void *state, uint32_t cp);
} ilki_text_model_row;

/* A template: what stands around the texts. */
typedef struct ilki_template_item {
    uint8_t from; /* ILKI_FROM_… */
    int32_t id;   /* of a template's token */
    int32_t type;
} ilki_template_item;
typedef struct ilki_template {
    ilki_template_item *items;
    size_t n, n_added;
    bool trim; /* spaces that a token begins or ends with are not part of its span */
    bool trim_prefix;
} ilki_template;
typedef struct ilki_post_row {
    const char *type;
    const char *members; /* a sequence: the key of its parts, of which one at most adds tokens */
    bool adds_nothing;   /* only spans change */
    ilk_status (*read)(ilki_template *single, ilki_template *pair, const ilki_text_reader *r, ilki_json_node node);
} ilki_post_row;

/* BERT's template. */
ilk_status ilki_text_template_bert(ilki_template *single, ilki_template *pair, int32_t cls, int32_t sep,
                                   const ilki_text_reader *r);

/* XLNet's: both behind the texts. */
ilk_status ilki_text_template_xlnet(ilki_template *single, ilki_template *pair, int32_t sep, int32_t cls,
                                    const ilki_text_reader *r);

/* RoBERTa's, which is of one type throughout, and a list of tokens around each text (-1: none). */
ilk_status ilki_text_template_roberta(ilki_template *single, ilki_template *pair, int32_t cls, int32_t sep,
                                      const ilki_text_reader *r);
ilk_status ilki_text_template_around(ilki_template *single, ilki_template *pair, int32_t before, int32_t behind,
                                     const ilki_text_reader *r);

/* An object of tokens and ids. */
ilk_status ilki_text_read_vocab(ilki_vocab *v, const ilki_text_reader *r, ilki_json_node vocab);

/* WordPiece over a vocabulary that is there already, as BERT's class sets it up. */
ilk_status ilki_text_wordpiece_new(void **state, const ilki_vocab *v, const char *unk, size_t n_unk,
                                   const ilki_text_reader *r);

/* BPE over a vocabulary that is there already, as a class sets it up; the merges are pairs in a list of JSON, the lines
 * of a file, or those that the vocabulary implies. */
typedef struct ilki_bpe_settings {
    const char *unk, *prefix, *suffix; /* NULL: none */
    bool fuse_unk, byte_fallback, ignore_merges, generate;
    ilki_json_node merges;
    const char *lines;
    size_t n_lines; /* bytes */
} ilki_bpe_settings;
ilk_status ilki_text_bpe_new(void **state, const ilki_vocab *v, const ilki_bpe_settings *o, const ilki_text_reader *r);

/* Unigram, filled token by token: room for n, each with its id, then which one is the unknown token. */
ilk_status ilki_text_unigram_new(void **state, ilki_vocab *v, size_t n, bool byte_fallback, const ilki_text_reader *r);
ilk_status ilki_text_unigram_add(void *state, ilki_vocab *v, size_t id, const char *token, size_t n, double score,
                                 const ilki_text_reader *r);
ilk_status ilki_text_unigram_read_vocab(void *state, ilki_vocab *v, ilki_json_node list, const ilki_text_reader *r);
ilk_status ilki_text_unigram_end(void *state, const ilki_vocab *v, int64_t unk, const ilki_text_reader *r);

/* Precompiled from the bytes of a map. */
ilk_status ilki_text_charsmap_new(ilki_normalizer *p, const char *map, size_t n, const ilki_text_reader *r);

/* Parts as the classes set them up: a space, or (0) each run of white space, replaced. */
void ilki_text_replace_set(ilki_normalizer *p, uint32_t space, const uint32_t *put, size_t n_put);
void ilki_text_split_set_qwen2(ilki_splitter *p);
void ilki_text_split_set_clip(ilki_splitter *p);
void ilki_text_pattern_set_gpt2(ilki_splitter *p); /* the pattern alone */
uint32_t ilki_text_byte_char(unsigned char b);     /* the character that ByteLevel writes for a byte */
void ilki_text_metaspace_set(ilki_splitter *p, bool prefix, bool first_only, bool whole);
void ilki_text_byte_level_set(ilki_splitter *p, bool prefix, bool regex);

/* Replaces s->str by another string while pieces move along: what ByteLevel and Metaspace have in common. */
void ilki_text_swap_strs(ilki_text_scratch *s);
void ilki_text_swap_pieces(ilki_text_scratch *s);

/* rows; the tables that list them stand in tokenizer.c */
extern const ilki_normalizer_row ilki_text_bert_normalizer, ilki_text_normalizer_sequence, ilki_text_lowercase,
    ilki_text_canonical, ilki_text_strip_accents, ilki_text_strip, ilki_text_replace, ilki_text_nfd, ilki_text_nfc,
    ilki_text_nfkd, ilki_text_nfkc, ilki_text_prepend, ilki_text_byte_level_normalizer, ilki_text_precompiled,
    ilki_text_nmt;
extern const ilki_splitter_row ilki_text_bert_splitter, ilki_text_splitter_sequence, ilki_text_whitespace,
    ilki_text_whitespace_split, ilki_text_punctuation, ilki_text_digits, ilki_text_split, ilki_text_byte_level,
    ilki_text_metaspace, ilki_text_char_delimiter;
extern const ilki_text_model_row ilki_text_wordpiece, ilki_text_bpe, ilki_text_unigram, ilki_text_wordlevel;
extern const ilki_post_row ilki_text_template_processing, ilki_text_bert_processing, ilki_text_roberta_processing,
    ilki_text_byte_level_processing, ilki_text_post_sequence;

/* ------------------------------------------------------------------ added tokens */

typedef struct ilki_added {
    const char *content;
    size_t n;
    const uint32_t *cps; /* as it is searched for: normalised where `normalized` */
    size_t n_cps;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} ilki_added;

/* One pass's patterns. Leftmost, then longest. */
typedef struct ilki_added_set {
    ilki_text_trie trie; /* ids are indices of ilki_tokenizer.added */
    size_t longest;      /* characters */
    bool first[128];     /* ASCII characters a pattern begins with; others always look */
    bool beyond_ascii;   /* some pattern begins beyond ASCII */
    bool has_space;      /* some pattern holds white space, or takes it on its left */
    size_t n;
} ilki_added_set;

enum { ILKI_ADDED_MAX_BYTES = 512 };

typedef struct ilki_added_match {
    const ilki_added *token; /* NULL: none */
    size_t start, end;       /* with the white space that lstrip and rstrip take */
    size_t resume;           /* where the search goes on */
    bool goes_on;            /* in: the text goes on, so a token is found, or none, only where that is sure … */
} ilki_added_match;

/* The first match at or behind `from` that begins before `stop`; matches that do not count (a special token where
 * `skip_special`, a single word inside a word) are stepped over. `from` is also the border that lstrip respects. Where
 * there is none m->start is the end of what was searched, or, in a text that goes on, of what holds none for sure. */
void ilki_text_added_find_bytes(const ilki_tokenizer *t, const char *text, size_t n, size_t from, size_t search,
                                size_t stop, bool skip_special, ilki_added_match *m);
void ilki_text_added_find_chars(const ilki_tokenizer *t, const ilki_text_char *c, size_t n, size_t from, size_t search,
                                bool skip_special, ilki_added_match *m);

/* Enters t->added into the two sets; the ids are set. */
ilk_status ilki_text_added_build(ilki_tokenizer *t, ilk_error *err);

/* ------------------------------------------------------------------ the tokenizer */

struct ilki_tokenizer {
    ilki_arena arena;
    ilki_vocab vocab;
    ilki_normalizer *normalizers;
    size_t n_normalizers;
    ilki_splitter *splitters;
    size_t n_splitters;
    const ilki_text_model_row *model;
    void *model_state;
    ilki_template single, pair;

    ilki_added *added;
    size_t n_added, cap_added;
    ilki_map added_by_content;      /* index of added */
    ilki_added_set raw, normalized; /* pass 1, pass 2 */

    int32_t special[ILKI_SPECIAL_COUNT];
    uint8_t *is_special;         /* by id, vocab.n of them */
    ilki_text_cleaning cleaning; /* before all else */
    size_t max_length;
    bool truncate_left;
    bool split_special; /* the files say that special tokens in a text are text */

    /* how a text may be cut, derived from the parts */
    bool cut_space;           /* behind ASCII white space */
    bool cut_before;          /* before U+0020 behind a word */
    bool cut_line;            /* behind a line feed between words, too */
    bool cut_end;             /* behind a cut at white space, nothing before it matters: the end of a text may do */
    bool cut_by_model;        /* before a space where the model says so of the word's last character */
    bool ascii_lane;          /* BERT's normalizer and pre-tokenizer: words of ASCII need no normalising */
    bool ascii_lower;         /* the lane lower-cases */
    bool lane_chinese;        /* the normalizer sets ideographs apart */
    int32_t ascii_punct[128]; /* the token of a punctuation character alone */
};

/* Reads the files as a class of transformers does (checkpoint.c): parts, added tokens, specials. */
ilk_status ilki_text_read_checkpoint(ilki_tokenizer *t, const ilki_tokenizer_files *files, ilk_error *err);

/* The parts of a tokenizer.json by the letter, vocabulary included, without its added tokens (tokenizer.c). */
ilk_status ilki_text_read_parts(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node root);

/* A post-processor into the two templates (tokenizer.c). */
ilk_status ilki_text_read_post(ilki_tokenizer *t, const ilki_text_reader *r, ilki_json_node node);

/* The tokens of a text into s->tokens[which]: at least `stop` of them (of the end, where the tokenizer truncates there) or
 * all; `*more`: something was left. Special tokens in the text are text where `skip_special`. Errors: LIMIT (the text, a
 * pattern's steps, a normalizer's growth), NO_MEMORY. blocks.c. */
ilk_status ilki_text_run(const ilki_tokenizer *t, ilki_text_scratch *s, int which, const char *text, size_t n,
                         size_t stop, bool skip_special, bool *more, ilk_error *err);

/* The last place in text[..n) where it may be cut at white space, whatever stands behind text[..n): what is before it has
 * tokens of its own. 0: there is none. blocks.c. */
size_t ilki_text_last_cut(const ilki_tokenizer *t, const char *text, size_t n);

/* A text by the general path, as one block between added tokens, into s->tokens[0]: all of its tokens or, where it
 * `goes_on`, those that stay whatever follows. False as ilki_text_normalise gives it. For tests. */
bool ilki_text_encode_block(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, bool goes_on);

/* Runs the normalizers over s->str; false when memory is short. */
bool ilki_text_normalise(const ilki_tokenizer *t, ilki_text_scratch *s);

#endif
