/* SPDX-License-Identifier: Apache-2.0
 * What the kinds of `ilk eval` share: cmd_eval.c has those of texts, eval_pictures.c those of pictures. */
#ifndef CLI_EVALUATION_H
#define CLI_EVALUATION_H

#include "cli/cli.h"

typedef struct evaluation {
    cli *c;
    ilk_model *m, *reranker;
    ilk_eval_options opt;
    ilki_buf buf; /* the JSON document */
    ilki_jsonw w;
} evaluation;

/* A document is begun, told and ended, or dropped with its error printed. */
void evaluation_begin(evaluation *e);
ilk_status evaluation_put_model(evaluation *e);
void evaluation_put_count(evaluation *e, const char *key, uint64_t n);
void evaluation_put_number(evaluation *e, const char *key, double value);
void evaluation_end(evaluation *e);
int evaluation_drop(evaluation *e);
void evaluation_tell(void *user, const char *message);

int evaluation_run_zeroshot(evaluation *e);
int evaluation_run_captions(evaluation *e);
/* Whether the operand of "retrieval" is pictures with captions, not a folder of the BEIR layout. */
bool evaluation_is_captions(const char *place);

#endif
