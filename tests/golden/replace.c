/* SPDX-License-Identifier: Apache-2.0
 * The normalizer Replace with regular expressions: text and places of every byte equal to the reference's
 * (tools/make_replace_fixture.py), and of every beginning what stays of the whole. */
#include <stdlib.h>

#include "base/json.h"
#include "base/vfs.h"
#include "beginnings.h"
#include "test.h"
#include "text/tokenizer.h"

enum { ADDED = 256 }; /* the id of "<x>" */

static size_t from_hex(const char *hex, char *to, size_t room)
{
    size_t n = 0;
    for (; hex && hex[2 * n] && n + 1 < room; n++) {
        char pair[3] = {hex[2 * n], hex[2 * n + 1], 0};
        to[n] = (char)strtol(pair, NULL, 16);
    }
    to[n] = 0;
    return n;
}

/* Bytes as ids, an added token as what it says. */
static size_t join_ids(const ilki_encoding *e, char *to, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n && n + 4 < room; i++)
        if (e->ids[i] == ADDED)
            n += (size_t)snprintf(to + n, room - n, "<x>");
        else
            to[n++] = (char)e->ids[i];
    to[n] = 0;
    return n;
}

static bool same_spans(const ilki_json *j, ilki_json_node list, const ilki_encoding *e)
{
    ilki_json_node x = ilki_base_json_first(j, list);
    bool same = CHECK_INT(ilki_base_json_count(j, list), 2 * e->n);
    for (size_t i = 0; same && i < e->n; i++) {
        int64_t start = -1, end = -1;
        ilki_base_json_int(j, x, 0, 1 << 20, &start);
        x = ilki_base_json_next(j, x);
        ilki_base_json_int(j, x, 0, 1 << 20, &end);
        x = ilki_base_json_next(j, x);
        same = CHECK_THAT(e->spans[i].start == start && e->spans[i].end == end, "token %zu: %u to %u, want %d to %d", i,
                          e->spans[i].start, e->spans[i].end, (int)start, (int)end);
    }
    return same;
}

static bool run_case(const ilki_tokenizer *t, ilki_text_scratch *s, const ilki_json *j, ilki_json_node c)
{
    static char text[1024], want[2048], got[2048];
    ilki_json_node first = ilki_base_json_first(j, c), second = ilki_base_json_next(j, first);
    ilki_encoding e = {0};
    ilk_error err;
    ilk_error_init(&err);
    size_t n = from_hex(ilki_base_json_string(j, first, NULL), text, sizeof text);
    size_t n_want = from_hex(ilki_base_json_string(j, second, NULL), want, sizeof want);
    bool same = CHECK_OK(ilki_text_encode(t, s, text, n, NULL, &e, &err), &err);
    if (same) {
        size_t n_got = join_ids(&e, got, sizeof got);
        same = CHECK_THAT(n_got == n_want && memcmp(got, want, n_got) == 0, "\"%s\": \"%s\", want \"%s\"", text, got,
                          want) &&
               same_spans(j, ilki_base_json_next(j, second), &e);
        size_t wrong = same ? test_wrong_beginning(t, text, n, 1, NULL) : SIZE_MAX;
        same &= CHECK_THAT(wrong == SIZE_MAX, "\"%s\": the first %zu bytes say something else", text, wrong);
    }
    ilki_text_encoding_deinit(&e);
    return same;
}

/* The cases of one pattern; how many there were. */
static size_t run_pattern(const ilki_json *j, ilki_json_node p, const char *rest)
{
    const char *normalizer = ilki_base_json_string(j, ilki_base_json_get(j, p, "normalizer"), NULL);
    size_t room = strlen(normalizer) + strlen(rest) + 32, n = 0;
    char *json = malloc(room);
    ilki_tokenizer *t = NULL;
    ilki_text_scratch *s = ilki_text_scratch_new();
    ilk_error err;
    ilk_error_init(&err);
    int len = snprintf(json, room, "{\"normalizer\":%s,%s", normalizer, rest);
    ilki_tokenizer_files files = {.tokenizer_json = {.data = json, .n = (size_t)len}, .mode = ILKI_TOKENIZER_LITERAL};
    if (CHECK_OK(ilki_text_tokenizer_open(&t, &files, &err), &err) && CHECK(s != NULL)) {
        ilki_json_node list = ilki_base_json_get(j, p, "cases");
        bool same = true;
        for (ilki_json_node c = ilki_base_json_first(j, list); c; c = ilki_base_json_next(j, c), n++)
            same &= run_case(t, s, j, c);
        CHECK_THAT(same, "by %s", normalizer);
    }
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
    free(json);
    return n;
}

static void every_pattern(void)
{
    char *data = NULL;
    ilki_json *j = NULL;
    ilk_error err;
    size_t n = 0, n_patterns = 0, n_cases = 0;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, ILK_TEST_DIR "/fixtures/replace/cases.json", 1 << 22, &data, &n,
                                 &err),
             &err);
    if (data && CHECK_OK(ilki_base_json_parse(&j, data, n, "cases.json", NULL, &err), &err)) {
        ilki_json_node root = ilki_base_json_root(j), list = ilki_base_json_get(j, root, "patterns");
        const char *rest = ilki_base_json_string(j, ilki_base_json_get(j, root, "rest"), NULL);
        for (ilki_json_node p = ilki_base_json_first(j, list); p; p = ilki_base_json_next(j, p), n_patterns++)
            n_cases += run_pattern(j, p, rest);
    }
    CHECK_THAT(n_patterns >= 30 && n_cases >= 30 * n_patterns, "%zu patterns, %zu cases", n_patterns, n_cases);
    ilki_base_json_free(j);
    free(data);
}

TEST_MAIN({"every_pattern", every_pattern})
