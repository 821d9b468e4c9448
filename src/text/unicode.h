/* SPDX-License-Identifier: Apache-2.0
 * Characters as the reference tokenizer sees them: classes, lower case, normal forms. The tables (unicode_gen.c) are
 * read out of the reference by tools/gen_unicode.py and mix several Unicode versions, as the reference does; newer
 * characters pass through unchanged there and here. Nothing else in ilk may take these for Unicode's own answers. */
#ifndef ILKI_TEXT_UNICODE_H
#define ILKI_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ILKI_UNI_OTHER = 1,  /* categories Cc, Cf, Co (about Unicode 8), U+0000 and U+FFFD: what BERT's clean_text drops */
    ILKI_UNI_SPACE = 2,  /* White_Space */
    ILKI_UNI_PUNCT = 4,  /* ASCII punctuation and symbols, categories P* (about Unicode 8) */
    ILKI_UNI_MN = 8,     /* category Mn of what has no decomposition */
    ILKI_UNI_MARK = 16,  /* combining mark, M* */
    ILKI_UNI_WORD = 32,  /* \w of a regular expression */
    ILKI_UNI_LOWER = 64, /* has a lower case of its own */
    ILKI_UNI_NORM = 128, /* a normal form may change it or move it: decomposes, combines or composes backwards */
    ILKI_UNI_LETTER = 256, /* \p{L}, \p{N} and \p{M} of a regular expression */
    ILKI_UNI_NUMBER = 512,
    ILKI_UNI_NUMERIC = 1024, /* what the pre-tokenizer Digits calls a digit */
    ILKI_UNI_M = 2048
};

/* What a character is to a grapheme cluster, as far as the reference's Precompiled can see; Hangul apart. */
enum {
    ILKI_CLUSTER_OTHER = 0,
    ILKI_CLUSTER_CONTROL, /* alone, but for CR LF */
    ILKI_CLUSTER_JOIN,    /* goes with what stands before: Extend, SpacingMark, ZWJ */
    ILKI_CLUSTER_PREPEND, /* goes with what stands behind */
    ILKI_CLUSTER_PICT     /* Extended_Pictographic: a ZWJ holds two together */
};

typedef struct ilki_text_class {
    uint16_t flags;  /* ILKI_UNI_… */
    uint8_t ccc;     /* canonical combining class */
    uint8_t cluster; /* ILKI_CLUSTER_… */
} ilki_text_class;

extern const uint8_t ilki_text_class_super[];
extern const uint16_t ilki_text_class_block[];
extern const uint8_t ilki_text_class_of[];
extern const ilki_text_class ilki_text_classes[];

/* cp < 0x110000 */
static inline ilki_text_class ilki_text_class_get(uint32_t cp)
{
    size_t block = ilki_text_class_block[(size_t)ilki_text_class_super[cp >> 11] << 6 | (cp >> 5 & 63)];
    return ilki_text_classes[ilki_text_class_of[block << 5 | (cp & 31)]];
}
static inline unsigned ilki_text_flags(uint32_t cp)
{
    return ilki_text_class_get(cp).flags;
}

/* The block test of BERT, with its range that begins at 2B920 where Unicode's begins at 2B820. */
static inline bool ilki_text_is_chinese(uint32_t cp)
{
    if (cp < 0x3400)
        return false;
    return (cp >= 0x4e00 && cp <= 0x9fff) || cp <= 0x4dbf || (cp >= 0x20000 && cp <= 0x2a6df) ||
           (cp >= 0x2a700 && cp <= 0x2b73f) || (cp >= 0x2b740 && cp <= 0x2b81f) || (cp >= 0x2b920 && cp <= 0x2ceaf) ||
           (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x2f800 && cp <= 0x2fa1f);
}

/* Mappings give the characters (borrowed, `*n` of them) or NULL where cp maps to itself. Hangul syllables are not in
 * the tables of decompositions. */
const uint32_t *ilki_text_lower(uint32_t cp, size_t *n);
const uint32_t *ilki_text_decompose(uint32_t cp, bool compat, size_t *n); /* full, not yet in canonical order */

/* Writes the two or three jamo of a Hangul syllable; 0 for what is not one. */
size_t ilki_text_decompose_hangul(uint32_t cp, uint32_t out[3]);

/* The primary composite of a pair, Hangul included; 0 where there is none. */
uint32_t ilki_text_compose(uint32_t first, uint32_t second);

/* ---- the generated tables */
extern const uint32_t ilki_text_lower_key[], ilki_text_lower_pool[];
extern const uint32_t ilki_text_nfd_key[], ilki_text_nfd_pool[];
extern const uint32_t ilki_text_nfkd_key[], ilki_text_nfkd_pool[]; /* what NFD does not say already */
extern const uint16_t ilki_text_lower_at[], ilki_text_nfd_at[], ilki_text_nfkd_at[];
extern const uint32_t ilki_text_compose_first[], ilki_text_compose_second[], ilki_text_compose_to[];
extern const size_t ilki_text_n_lower, ilki_text_n_nfd, ilki_text_n_nfkd, ilki_text_n_compose;

#endif
