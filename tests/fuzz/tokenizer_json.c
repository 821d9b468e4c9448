/* SPDX-License-Identifier: Apache-2.0
 * A hostile tokenizer.json and a hostile text. The input is the file up to its first NUL, tokenizer_config.json up to
 * the next, and the text. Whatever opens must encode, and its spans must lie in the text, in any of the ways to cut; what the beginning of
 * the text has for sure, the text must have. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "beginnings.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool held)
{
    if (!held)
        abort();
}

static ilki_text_file take(const char **p, size_t *n)
{
    const char *end = memchr(*p, '\0', *n);
    ilki_text_file f = {.data = *p, .n = end ? (size_t)(end - *p) : *n};
    *p += f.n + (end != NULL);
    *n -= f.n + (end != NULL);
    if (f.n == 0)
        f.data = NULL;
    return f;
}

static void encode(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, size_t max)
{
    ilki_encoding e = {0};
    ilki_encode_options o = {.max_tokens = max, .add_specials = true, .pair = max % 2 ? text : NULL, .n_pair = n / 2};
    o.no_special_parsing = max % 3 == 0;
    if (ilki_text_encode(t, s, text, n, &o, &e, NULL) == ILK_OK) {
        check(max == 0 || e.n <= max);
        for (size_t i = 0; i < e.n; i++) {
            check(e.spans[i].start <= e.spans[i].end && e.spans[i].end <= (e.from[i] == ILKI_FROM_PAIR ? n / 2 : n));
            check(e.ids[i] >= 0);
            ilki_text_token(t, e.ids[i], NULL);
        }
    }
    ilki_text_encoding_deinit(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = size ? (const char *)data : "";
    size_t n = size;
    ilki_tokenizer_files files = {0};
    files.tokenizer_json = take(&p, &n);
    files.tokenizer_config = take(&p, &n);
    if (n > 4096)
        n = 4096; /* a long pattern and a long text cost their product; time is not what is sought here */
    ilki_text_scratch *s = ilki_text_scratch_new();
    for (int mode = 0; s && mode < 2; mode++) {
        ilki_tokenizer *t = NULL;
        ilk_error err;
        ilk_error_init(&err);
        files.mode = mode ? ILKI_TOKENIZER_LITERAL : ILKI_TOKENIZER_DEFAULT;
        if (ilki_text_tokenizer_open(&t, &files, &err) == ILK_OK) {
            for (size_t max = 0; max < 7; max++)
                encode(t, s, p, n, max == 1 ? 64 : max == 2 ? 0 : max);
            check(test_wrong_beginning(t, p, n, 1 + n / 16, NULL) == SIZE_MAX);
            for (int i = 0; i < ILKI_SPECIAL_COUNT; i++)
                check(ilki_text_special_id(t, i) < (int32_t)ilki_text_vocab_size(t));
        } else {
            check(t == NULL && err.message[0] != '\0');
        }
        ilki_text_tokenizer_free(t);
    }
    ilki_text_scratch_free(s);
    return 0;
}

#include "fuzz_main.h"
