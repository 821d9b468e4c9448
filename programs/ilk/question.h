/* SPDX-License-Identifier: Apache-2.0
 * A question as flags and operands say it: words, pictures, what else it should be like and what not. */
#ifndef CLI_QUESTION_H
#define CLI_QUESTION_H

#include "cli/cli.h"

extern const cli_flag cli_question_flags[];

typedef struct cli_term {
    bool picture;
    float weight;     /* below 0: not like it */
    const char *file; /* of a file: its name as it was given, "-" is standard input; NULL: words */
    char *data;       /* words, or the content of a file; NULL of a picture that is read by its name */
    size_t n_data;
} cli_term;

typedef struct cli_question {
    cli_term *terms;
    ilk_part *parts;
    ilk_input *inputs;
    float *weights;
    size_t n;
    const char *words; /* the text that is wanted, to find the best sentence of a passage; NULL: none */
} cli_question;

/* Operands, --image, --plus and --minus in their order. False: a message has been printed. */
bool cli_question_read(cli *c, cli_question *q);
void cli_question_free(cli_question *q);

/* Fills what ilk_ask takes; borrowed from q. */
void cli_question_fill(const cli *c, const cli_question *q, ilk_question *to);

/* The members "query" (the words) and, where there is more than words, "terms" of the object that is open. */
void cli_question_json(ilki_jsonw *w, const cli_question *q);

/* In words, for people: "a beach + cat.jpg - 0.5 x people". */
void cli_question_text(ilki_buf *b, const cli_question *q);

/* "[W:]REST": the weight and the rest. A weight is a decimal number above 0 and at most 1000 without sign, then a colon and
 * no digit behind it, so that "10:30" and "16:9" are text; blanks behind the colon are passed over. An empty weight is 1:
 * ":REST" is REST, whatever it looks like. NULL: the weight is out of range. */
const char *cli_question_weight(const char *s, float *weight);

#endif
