/* SPDX-License-Identifier: Apache-2.0
 * For tools/tokenizer_parity.py: tokenises each line of standard input with the tokenizer of a folder and writes one
 * line of "id:start:end" each, offsets in bytes.
 *
 *   tokenize_lines DIR [--literal] [--plain] [--null] [--max N] < LINES     --null: a line ends at a NUL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../tokenizer_files.h"

int main(int argc, char **argv)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer *t = NULL;
    ilki_encode_options opt = {.add_specials = true};
    ilki_encoding e = {0};
    bool literal = false;
    char *line = NULL, end = '\n';
    size_t cap = 0;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--literal") == 0)
            literal = true;
        else if (strcmp(argv[i], "--plain") == 0)
            opt.add_specials = false;
        else if (strcmp(argv[i], "--null") == 0)
            end = '\0';
        else if (strcmp(argv[i], "--max") == 0 && i + 1 < argc)
            opt.max_tokens = strtoul(argv[++i], NULL, 10);
    }
    ilki_text_scratch *s = ilki_text_scratch_new();
    if (argc < 2 || !s ||
        test_open_tokenizer(&t, argv[1], literal ? ILKI_TOKENIZER_LITERAL : ILKI_TOKENIZER_DEFAULT, &err) != ILK_OK) {
        fprintf(stderr, "tokenize_lines: %s\n", argc < 2 ? "no folder" : err.message);
        return 2;
    }
    for (ssize_t n; (n = getdelim(&line, &cap, end, stdin)) >= 0;) {
        if (n > 0 && line[n - 1] == end)
            n--;
        if (ilki_text_encode(t, s, line, (size_t)n, &opt, &e, &err) != ILK_OK) {
            fprintf(stderr, "tokenize_lines: %s\n", err.message);
            return 2;
        }
        for (size_t i = 0; i < e.n; i++)
            printf("%s%d:%u:%u", i ? " " : "", (int)e.ids[i], e.spans[i].start, e.spans[i].end);
        putchar('\n');
    }
    free(line);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
    return 0;
}
