/* SPDX-License-Identifier: Apache-2.0
 * The golden values of embed/known.def as a table, and the texts that they are of. */
#ifndef ILKI_TASKS_GOLDENS_H
#define ILKI_TASKS_GOLDENS_H

#include <stddef.h>

/* Golden values: what a published model makes of texts (or, once they are read, pictures) that the table names. */
typedef enum ilki_golden_set {
    ILKI_GOLDEN_PLANETS,  /* a query and four documents */
    ILKI_GOLDEN_LEARNING, /* "What is Deep Learning?", "Deep Learning is..." */
    ILKI_GOLDEN_ANIMALS,  /* three sentences */
    ILKI_GOLDEN_HELLO,    /* "hello world" */
    ILKI_GOLDEN_STREET,   /* a picture: qdrant/fastembed tests/misc/image.jpeg */
    ILKI_GOLDEN_POKEMON   /* a picture and four labels: OFA-Sys/Chinese-CLIP examples/pokemon.jpeg */
} ilki_golden_set;

typedef enum ilki_golden_kind {
    ILKI_GOLDEN_SIMILARITY, /* the model's similarity of the first text, as a query, to each other one, as a document */
    ILKI_GOLDEN_SCORE,      /* a reranker's scores of the same */
    ILKI_GOLDEN_COSINE,     /* cosines of all pairs, in order, without prompts */
    ILKI_GOLDEN_ENTRIES,    /* the first entries of the first text's vector, without prompt, at unit length */
    ILKI_GOLDEN_PROB        /* the share of each label */
} ilki_golden_kind;

#define ILKI_GOLDEN_VALUES 8
typedef struct ilki_golden_row {
    const char *id;
    ilki_golden_set set;
    ilki_golden_kind kind;
    double tolerance; /* at f32, of a value of 1 or less; more in proportion to a larger one */
    const char *source;
    size_t n;
    double v[ILKI_GOLDEN_VALUES];
} ilki_golden_row;

/* The i-th row, NULL past the last. */
const ilki_golden_row *ilki_tasks_golden_at(size_t i);

/* Up to five texts of a set; returns how many. *picture: what else it needs, NULL: nothing. */
size_t ilki_tasks_golden_texts(ilki_golden_set set, const char *const **texts, const char **picture);

#endif
