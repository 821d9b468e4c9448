/* SPDX-License-Identifier: Apache-2.0
 * What a tokenizer says of the beginning of a text that goes on must be so for the text: the same tokens, in the same
 * places. */
#ifndef ILK_TEST_BEGINNINGS_H
#define ILK_TEST_BEGINNINGS_H

#include "text/part.h"

/* Whether the characters of `some` are what `whole` begins with. */
static inline bool test_begins_with(const ilki_text_str *whole, const ilki_text_str *some)
{
    bool ok = some->n <= whole->n;
    for (size_t i = 0; ok && i < some->n; i++)
        ok = some->c[i].cp == whole->c[i].cp && some->c[i].at.start == whole->c[i].at.start &&
             some->c[i].at.end == whole->c[i].at.end;
    return ok;
}

/* Whether text[0..cut) says nothing, normalised and as tokens, that `normal` and `whole`, which are of all of it, do not. */
static inline bool test_is_beginning(const ilki_tokenizer *t, const ilki_text_scratch *normal,
                                     const ilki_text_tokens *whole, ilki_text_scratch *begun, const char *text,
                                     size_t cut)
{
    const ilki_text_tokens *some = &begun->tokens[0];
    if (!ilki_text_load(begun, text, cut, 0))
        return true;
    begun->goes_on = true;
    bool ok = !ilki_text_normalise(t, begun) || test_begins_with(&normal->str, &begun->str);
    if (!ilki_text_encode_block(t, begun, text, cut, true))
        return ok;
    for (size_t i = 0; ok && i < some->n; i++)
        ok = i < whole->n && some->ids[i] == whole->ids[i] && some->spans[i].start == whole->spans[i].start &&
             some->spans[i].end == whole->spans[i].end;
    return ok;
}

/* SIZE_MAX, or after how many bytes a beginning was wrong, tried in steps. `most`: the tokens of the last beginning that
 * was tried; may be NULL. A text that the tokenizer refuses is never wrong. */
static inline size_t test_wrong_beginning(const ilki_tokenizer *t, const char *text, size_t n, size_t step,
                                          size_t *most)
{
    ilki_text_scratch *s = ilki_text_scratch_new(), *normal = ilki_text_scratch_new(), *begun = ilki_text_scratch_new();
    size_t wrong = SIZE_MAX;
    bool ok = s && normal && begun && ilki_text_load(normal, text, n, 0) && ilki_text_normalise(t, normal) &&
              ilki_text_encode_block(t, s, text, n, false);
    for (size_t cut = 0; ok && cut < n && wrong == SIZE_MAX; cut += step)
        if (((unsigned char)text[cut] & 0xc0) != 0x80) {
            wrong = test_is_beginning(t, normal, &s->tokens[0], begun, text, cut) ? SIZE_MAX : cut;
            if (most)
                *most = begun->tokens[0].n;
        }
    ilki_text_scratch_free(s);
    ilki_text_scratch_free(normal);
    ilki_text_scratch_free(begun);
    return wrong;
}

#endif
