/* SPDX-License-Identifier: Apache-2.0 */
#include "text/chunk.h"

#include <stdlib.h>

#include "base/vfs.h"
#include "test.h"

static ilki_tokenizer *tokenizer;
static ilki_text_scratch *scratch;

static void setup(void)
{
    char *text = NULL;
    size_t n;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, ILK_TEST_DIR "/fixtures/bert-mean/tokenizer.json",
                                         1 << 20, &text, &n, &err),
                     &err));
    ilki_tokenizer_files f = {.tokenizer_json = {text, n, NULL}};
    CHECK_OK(ilki_text_tokenizer_open(&tokenizer, &f, &err), &err);
    scratch = ilki_text_scratch_new();
    CHECK(scratch != NULL);
    free(text);
}

static void teardown(void)
{
    ilki_text_tokenizer_free(tokenizer);
    ilki_text_scratch_free(scratch);
    CHECK(true);
}

/* "first|second|" of the chunks, newlines as '~'. */
static void check_chunks(const char *text, size_t max, size_t overlap, bool code, const char *want)
{
    ilki_chunks c = {0};
    ilki_chunk_options o = {max, overlap, code};
    char got[2000];
    size_t used = 0;
    got[0] = 0;
    REQUIRE(CHECK_OK(ilki_text_chunk(tokenizer, scratch, text, strlen(text), &o, NULL, &c, NULL), NULL));
    for (size_t i = 0; i < c.n; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%.*s|", (int)(c.list[i].end - c.list[i].start),
                                 text + c.list[i].start);
    for (char *p = got; *p; p++)
        *p = *p == '\n' ? '~' : *p;
    CHECK_STR(got, want);
    ilki_text_chunks_deinit(&c);
}

/* Punctuation is one token each; letters and words of this alphabet are one token or more: only their order matters. */
static void borders(void)
{
    check_chunks("", 10, 0, false, "");
    check_chunks(" \n\t ", 10, 0, false, "");
    check_chunks("  ! ! !  ", 10, 0, false, "! ! !|");
    /* a paragraph wins over a sentence, a sentence over a line, a line over a space */
    check_chunks("! ! !\n\n! ! ! ! ! !", 6, 0, false, "! ! !|! ! ! ! ! !|");
    check_chunks("! , ,\n, , , , , ,", 6, 0, false, "! , ,|, , , , , ,|");
    check_chunks(", , , . , , , , , ,", 6, 0, false, ", , , .|, , , , , ,|");
    check_chunks(", , , , , , , , , ,", 6, 0, false, ", , , , , ,|, , , ,|");
    check_chunks(",,,,,,,,,,", 6, 0, false, ",,,,,,|,,,,|");
    /* code: lines, not sentences */
    check_chunks(", , , .\n, . , , , ,", 6, 0, true, ", , , .|, . , , , ,|");
    check_chunks("\u3002\u3002\u3002,,,,,", 6, 0, false, "\u3002\u3002\u3002|,,,,,|");
}

static void overlap(void)
{
    check_chunks(", , , , , . , , ; ;", 6, 2, false, ", , , , , .|, . , , ; ;|");
    check_chunks(", , , . , , ; ; ; ;", 6, 2, false, ", , , .|, . , , ; ;|; ; ; ;|");
    ilki_chunks c = {0};
    ilki_chunk_options o = {6, 3, false};
    CHECK_STATUS(ilki_text_chunk(tokenizer, scratch, "a", 1, &o, NULL, &c, NULL), ILK_BAD_ARGUMENT, NULL);
    o.max_tokens = 0;
    CHECK_STATUS(ilki_text_chunk(tokenizer, scratch, "a", 1, &o, NULL, &c, NULL), ILK_BAD_ARGUMENT, NULL);
    ilki_text_chunks_deinit(&c);
}

/* On any text: chunks ascend, none is too large, no byte but white space is left out, and the count is the tokenizer's. */
static void properties(void)
{
    static const char *const pieces[] = {"a",      "cat ", "\n", "\n\n", ". ", "! ",   "J. ",  "\u3002",
                                         "\u4e2d", " ",    "\t", "x",    "(",  "\") ", "\xff", "\u00e9"};
    uint64_t seed = 11;
    for (int round = 0; round < 300; round++) {
        char text[3000] = "";
        size_t n = 0;
        for (size_t k = test_random(&seed) % 400; k > 0; k--) {
            const char *p = pieces[test_random(&seed) % 16];
            memcpy(text + n, p, strlen(p));
            n += strlen(p);
        }
        ilki_chunks c = {0};
        ilki_chunk_options o = {.max_tokens = 5 + test_random(&seed) % 40, .code = round % 2};
        o.overlap = test_random(&seed) % (o.max_tokens / 2);
        REQUIRE(CHECK_OK(ilki_text_chunk(tokenizer, scratch, text, n, &o, NULL, &c, NULL), NULL));
        size_t covered = 0;
        for (size_t i = 0; i < c.n; i++) {
            CHECK(c.list[i].end > c.list[i].start && c.list[i].end <= n);
            CHECK(i == 0 || (c.list[i].start > c.list[i - 1].start && c.list[i].end > c.list[i - 1].end));
            CHECK(c.list[i].n_tokens <= o.max_tokens);
            for (size_t k = covered; k < c.list[i].start; k++)
                CHECK(strchr(" \n\t", text[k]) != NULL);
            covered = c.list[i].end;
        }
        for (size_t k = covered; c.n && k < n; k++)
            CHECK(strchr(" \n\t", text[k]) != NULL);
        ilki_text_chunks_deinit(&c);
    }
}

/* Many megabytes, without a space or as one line: linear, and in pieces that a person can read. */
static void huge(void)
{
    size_t n = (size_t)3 << 20;
    char *text = malloc(n);
    REQUIRE(CHECK(text != NULL));
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < n; i++)
            text[i] = kind == 0 ? 'a' : kind == 1 ? ".,"[i % 2] : "cat. "[i % 5];
        ilki_chunks c = {0};
        ilki_chunk_options o = {200, 25, false};
        CHECK_OK(ilki_text_chunk(tokenizer, scratch, text, n, &o, NULL, &c, NULL), NULL);
        CHECK(c.n >= 3 && c.list[0].start == 0 && c.list[c.n - 1].end >= n - 1);
        ilki_text_chunks_deinit(&c);
    }
    free(text);
}

static void cancelled(void)
{
    ilki_chunks c = {0};
    ilki_chunk_options o = {6, 0, false};
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_text_chunk(tokenizer, scratch, "a", 1, &o, job, &c, NULL), ILK_CANCELLED, NULL);
    ilki_text_chunks_deinit(&c);
    ilk_job_free(job);
}

TEST_MAIN({"setup", setup}, {"borders", borders}, {"overlap", overlap}, {"properties", properties}, {"huge", huge},
          {"cancelled", cancelled}, {"teardown", teardown})
