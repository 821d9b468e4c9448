/* SPDX-License-Identifier: Apache-2.0
 * Speed of a tokenizer on one thread.
 *
 *   bench_tokenize FOLDER [FILE…]     FOLDER holds tokenizer.json or vocab.txt; lines of FILE, or text made here
 *   bench_tokenize --serve FOLDER     for tokenize_peers.py: each line "END MAX FILE" of stdin is a pass over the texts of FILE,
 *                                     which end at the byte END, to at most MAX tokens (0: all); answers its CPU time */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "base/vfs.h"
#include "text/tokenizer.h"

enum { MADE_BYTES = 4 << 20, MIN_NS = 500000000 };

static char *read_optional(const char *dir, const char *name, ilki_text_file *f)
{
    char *path = ilki_base_path_join(dir, name), *data = NULL;
    size_t n;
    if (path && ilki_base_read_file(&ilki_base_vfs_posix, path, 1U << 28, &data, &n, NULL) == ILK_OK)
        *f = (ilki_text_file){.data = data, .n = n};
    free(path);
    return data;
}

static ilki_tokenizer *open_folder(const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_tokenizer_files files = {0};
    ilki_tokenizer *t = NULL;
    char *data[] = {read_optional(dir, "tokenizer.json", &files.tokenizer_json),
                    read_optional(dir, "tokenizer_config.json", &files.tokenizer_config),
                    read_optional(dir, "special_tokens_map.json", &files.special_tokens_map),
                    read_optional(dir, "vocab.txt", &files.vocab_txt),
                    read_optional(dir, "added_tokens.json", &files.added_tokens),
                    read_optional(dir, "vocab.json", &files.vocab_json),
                    read_optional(dir, "merges.txt", &files.merges_txt),
                    read_optional(dir, "tokenizer.model", &files.model)};
    uint64_t start = ilki_base_now_ns();
    if (ilki_text_tokenizer_open(&t, &files, &err) != ILK_OK)
        fprintf(stderr, "bench_tokenize: %s\n", err.message);
    else
        fprintf(stderr, "open: %.2f ms\n", (double)(ilki_base_now_ns() - start) / 1e6);
    for (size_t i = 0; i < sizeof data / sizeof *data; i++)
        free(data[i]);
    return t;
}

/* Sentences of common words; `mixed`: every fourth is in another script. */
static char *make_text(bool mixed, size_t *n)
{
    static const char *const ascii[] = {"the",    "system", "of",     "a",         "reader", "Searching", "tokens",
                                        "and",    "in",     "2024",   "unlikely",  "to",     "retrieval", "is",
                                        "vector", "memory", "London", "configure", "for",    "x86_64",    "quickly"};
    static const char *const other[] = {"маленький", "чайка",          "小さな猫が窓の外を見ている",
                                        "café",      "schöne",         "σπίτι",
                                        "가창밖을",  "我们在山上看见", "été",
                                        "प्यारा",     "العالم",         "Grüße",
                                        "naïve",     "tiếng",          "Việt"};
    char *text = malloc(MADE_BYTES + 256);
    uint32_t state = 1;
    size_t at = 0, word = 0;
    while (text && at < MADE_BYTES) {
        state = state * 1664525 + 1013904223;
        bool foreign = mixed && word / 14 % 4 == 3;
        const char *w = foreign ? other[(state >> 16) % (sizeof other / sizeof *other)]
                                : ascii[(state >> 16) % (sizeof ascii / sizeof *ascii)];
        at += (size_t)sprintf(text + at, "%s%s", w, ++word % 14 == 0 ? ".\n" : word % 5 == 0 ? ", " : " ");
    }
    *n = at;
    return text;
}

static void measure(const ilki_tokenizer *t, const char *name, const char *text, size_t n)
{
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilki_encoding e = {0};
    ilki_encode_options opt = {.add_specials = true};
    size_t n_lines = 0, n_tokens = 0, rounds = 0;
    uint64_t start = ilki_base_now_ns(), ns = 0;
    for (; s && ns < MIN_NS; ns = ilki_base_now_ns() - start, rounds++) {
        n_lines = n_tokens = 0;
        for (size_t at = 0; at < n; n_lines++) {
            const char *end = memchr(text + at, '\n', n - at);
            size_t len = end ? (size_t)(end - text) - at : n - at;
            if (ilki_text_encode(t, s, text + at, len, &opt, &e, NULL) != ILK_OK)
                break;
            n_tokens += e.n;
            at += len + 1;
        }
    }
    double seconds = (double)ns / 1e9 / (double)(rounds ? rounds : 1);
    printf("%s: %.1f MB/s, %.0f lines/s, %.1f million tokens/s (%zu lines, %zu tokens)\n", name,
           (double)n / 1e6 / seconds, (double)n_lines / seconds, (double)n_tokens / 1e6 / seconds, n_lines, n_tokens);
    ilki_text_encoding_deinit(&e);
    ilki_text_scratch_free(s);
}

/* One pass: CPU time in nanoseconds, tokens. */
static void pass(const ilki_tokenizer *t, ilki_text_scratch *s, const char *text, size_t n, int border, size_t max)
{
    ilki_encoding e = {0};
    ilki_encode_options opt = {.add_specials = true, .max_tokens = max};
    struct timespec before, after;
    size_t n_tokens = 0, len;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (size_t at = 0; at < n; at += len + 1) {
        const char *end = memchr(text + at, border, n - at);
        len = end ? (size_t)(end - text) - at : n - at;
        if (ilki_text_encode(t, s, text + at, len, &opt, &e, NULL) != ILK_OK)
            break;
        n_tokens += e.n;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    printf("%.0f %zu\n", (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec),
           n_tokens);
    fflush(stdout);
    ilki_text_encoding_deinit(&e);
}

static int serve(const ilki_tokenizer *t)
{
    char line[4096], *path, *text = NULL, held[4096] = "";
    ilki_text_scratch *s = ilki_text_scratch_new();
    size_t n = 0;
    while (s && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        int border = (int)strtol(line, &path, 10);
        size_t max = strtoul(path, &path, 10);
        path += *path == ' ';
        if (strcmp(path, held) != 0) {
            free(text);
            text = NULL;
            if (ilki_base_read_file(&ilki_base_vfs_posix, path, 1U << 28, &text, &n, NULL) != ILK_OK)
                break;
            memcpy(held, path, strlen(path) + 1);
        }
        pass(t, s, text, n, border, max);
    }
    free(text);
    ilki_text_scratch_free(s);
    return 0;
}

int main(int argc, char **argv)
{
    bool serving = argc == 3 && strcmp(argv[1], "--serve") == 0;
    ilki_tokenizer *t = argc > 1 ? open_folder(argv[serving ? 2 : 1]) : NULL;
    if (t && serving) {
        int status = serve(t);
        ilki_text_tokenizer_free(t);
        return status;
    }
    if (!t) {
        fprintf(stderr, "usage: bench_tokenize FOLDER [FILE...]\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        char *text = NULL;
        size_t n;
        if (ilki_base_read_file(&ilki_base_vfs_posix, argv[i], 1U << 28, &text, &n, NULL) == ILK_OK)
            measure(t, argv[i], text, n);
        free(text);
    }
    for (int mixed = 0; argc == 2 && mixed < 2; mixed++) {
        size_t n;
        char *text = make_text(mixed, &n);
        if (text)
            measure(t, mixed ? "mixed" : "ascii", text, n);
        free(text);
    }
    ilki_text_tokenizer_free(t);
    return 0;
}
