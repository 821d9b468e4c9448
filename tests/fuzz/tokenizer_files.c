/* SPDX-License-Identifier: Apache-2.0
 * Hostile files of a checkpoint without tokenizer.json. The input is a letter for the class, two bytes of length (little-
 * endian), so many bytes of a model of SentencePiece or, for the classes that have none, of vocab.json up to a NUL and
 * merges.txt; the text follows. Whatever opens must encode, with spans that lie in the text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    char letter;
    bool model;
    const char *config;
} classes[] = {{'x', true, "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}"},
               {'t', true, "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":2}"},
               {'g', true, "{\"tokenizer_class\":\"GemmaTokenizer\",\"add_eos_token\":true}"},
               {'l', true, "{\"tokenizer_class\":\"LlamaTokenizer\"}"},
               {'r', false, "{\"tokenizer_class\":\"RobertaTokenizer\",\"add_prefix_space\":true}"},
               {'q', false, "{\"tokenizer_class\":\"Qwen2Tokenizer\"}"},
               {'c', false, "{\"tokenizer_class\":\"CLIPTokenizer\"}"}};

static void check(bool held)
{
    if (!held)
        abort();
}

static void encode(const ilki_tokenizer *t, const char *text, size_t n, size_t max)
{
    ilki_encoding e = {0};
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encode_options o = {.max_tokens = max, .add_specials = max != 0};
    if (s && ilki_text_encode(t, s, text, n, &o, &e, NULL) == ILK_OK)
        for (size_t i = 0; i < e.n; i++)
            check(e.spans[i].start <= e.spans[i].end && e.spans[i].end <= n && e.ids[i] >= 0 &&
                  (size_t)e.ids[i] < ilki_text_vocab_size(t));
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ilki_tokenizer_files files = {0};
    ilki_tokenizer *t = NULL;
    ilk_error err;
    if (size < 3)
        return 0;
    size_t kind = 0, n = (size_t)data[1] | (size_t)data[2] << 8;
    const char *file = (const char *)data + 3;
    while (kind + 1 < sizeof classes / sizeof *classes && classes[kind].letter != (char)data[0])
        kind++;
    n = n < size - 3 ? n : size - 3;
    files.tokenizer_config = (ilki_text_file){.data = classes[kind].config, .n = strlen(classes[kind].config)};
    if (classes[kind].model) {
        files.model = (ilki_text_file){.data = file, .n = n};
    } else {
        const char *end = memchr(file, '\0', n);
        size_t n_vocab = end ? (size_t)(end - file) : n;
        files.vocab_json = (ilki_text_file){.data = file, .n = n_vocab};
        files.merges_txt = (ilki_text_file){.data = end ? end + 1 : file + n, .n = end ? n - n_vocab - 1 : 0};
    }
    ilk_error_init(&err);
    if (ilki_text_tokenizer_open(&t, &files, &err) == ILK_OK) {
        size_t left = size - 3 - n < 4096 ? size - 3 - n : 4096;
        encode(t, file + n, left, 0);
        encode(t, file + n, left, 5);
    } else {
        check(t == NULL && err.message[0] != '\0');
    }
    ilki_text_tokenizer_free(t);
    return 0;
}

#include "fuzz_main.h"
