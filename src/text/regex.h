/* SPDX-License-Identifier: Apache-2.0
 * A regular expression of a checkpoint, untrusted: bounded in everything. Private to src/text. */
#ifndef ILKI_TEXT_REGEX_H
#define ILKI_TEXT_REGEX_H

#include "base/buf.h"
#include "text/part.h"

/* BAD_FORMAT where it is none; UNSUPPORTED where the reference's engine would read it otherwise; LIMIT. */
ilk_status ilki_text_regex_new(ilki_regex **out, const char *pattern, size_t n, const ilki_text_reader *r);
void ilki_text_regex_free(ilki_regex *x);
void ilki_text_regex_free_match(void *match);

/* The matches in c[0..n), one after the other. Uses the scratch's work and match. */
typedef struct ilki_regex_run {
    const ilki_regex *x;
    ilki_text_scratch *s;
    const char *text;   /* as UTF-8 */
    size_t n, at;       /* bytes; where the search goes on */
    size_t byte, place; /* a byte and the character there: how far places are known */
    size_t last;        /* where the last match ended */
    size_t allowance;   /* bytes and steps that may still be charged */
    bool goes_on;       /* set behind begin: more may follow c[0..n), and only what that cannot change is a match */
} ilki_regex_run;
bool ilki_text_regex_begin(ilki_regex_run *u, const ilki_regex *x, ilki_text_scratch *s, const ilki_text_char *c,
                           size_t n);
/* 1: characters [*start, *end) match; 0: no more do, up to *start, which is n or, in a text that goes on, where what
 * follows decides; -1: out of memory or, s->ran_wild, out of steps. */
int ilki_text_regex_next(ilki_regex_run *u, size_t *start, size_t *end);

#endif
