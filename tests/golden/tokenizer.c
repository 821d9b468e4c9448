/* SPDX-License-Identifier: Apache-2.0
 * Every folder tests/fixtures/tok-* (tools/make_tokenizer_fixture.py writes them): ids, types and byte spans equal to
 * the reference's. A new folder needs no line here. */
#include <dirent.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/vfs.h"
#include "beginnings.h"
#include "test.h"
#include "tokenizer_files.h"

typedef struct text {
    char *data;
    size_t n;
} text;

static text from_hex(const ilki_json *j, ilki_json_node node)
{
    size_t n;
    const char *hex = ilki_base_json_string(j, node, &n);
    text t = {0};
    if (!hex)
        return t;
    t.n = n / 2;
    t.data = malloc(t.n + 1);
    for (size_t i = 0; i < t.n; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        t.data[i] = (char)strtol(pair, NULL, 16);
    }
    t.data[t.n] = '\0';
    return t;
}

static int64_t number(const ilki_json *j, ilki_json_node node)
{
    int64_t v = -1;
    ilki_base_json_int(j, node, INT32_MIN, INT32_MAX, &v);
    return v;
}

static bool same_case(const ilki_json *j, ilki_json_node c, const ilki_encoding *e)
{
    ilki_json_node id = ilki_base_json_first(j, ilki_base_json_get(j, c, "ids"));
    ilki_json_node type = ilki_base_json_first(j, ilki_base_json_get(j, c, "types"));
    ilki_json_node from = ilki_base_json_first(j, ilki_base_json_get(j, c, "from"));
    ilki_json_node span = ilki_base_json_first(j, ilki_base_json_get(j, c, "spans"));
    size_t n = ilki_base_json_count(j, ilki_base_json_get(j, c, "ids"));
    if (!CHECK_INT(e->n, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        ilki_json_node end = ilki_base_json_next(j, span);
        if (!CHECK_INT(e->ids[i], number(j, id)) || !CHECK_INT(e->types[i], number(j, type)) ||
            !CHECK_INT(e->from[i], number(j, from)) || !CHECK_INT(e->spans[i].start, number(j, span)) ||
            !CHECK_INT(e->spans[i].end, number(j, end))) {
            printf("    token %zu of %zu\n", i, n);
            return false;
        }
        id = ilki_base_json_next(j, id);
        type = ilki_base_json_next(j, type);
        from = ilki_base_json_next(j, from);
        span = ilki_base_json_next(j, end);
    }
    int64_t dropped = number(j, ilki_base_json_get(j, c, "dropped"));
    return e->n_dropped_more ? CHECK((int64_t)e->n_dropped < dropped) : CHECK_INT(e->n_dropped, dropped);
}

static void run_case(const ilki_tokenizer *t, ilki_text_scratch *s, const ilki_json *j, ilki_json_node c, size_t index)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_encoding e = {0};
    text a = from_hex(j, ilki_base_json_get(j, c, "hex")), b = from_hex(j, ilki_base_json_get(j, c, "pair"));
    const char *truncate = ilki_base_json_string(j, ilki_base_json_get(j, c, "truncate"), NULL);
    ilki_encode_options o = {
        .max_tokens = (size_t)number(j, ilki_base_json_get(j, c, "max")),
        .add_specials = ilki_base_json_bool(j, ilki_base_json_get(j, c, "specials"), true),
        .no_special_parsing = ilki_base_json_bool(j, ilki_base_json_get(j, c, "no_special"), false),
        .pair = b.data,
        .n_pair = b.n};
    if (truncate && strcmp(truncate, "only_first") == 0)
        o.truncate = ILKI_TRUNCATE_ONLY_FIRST;
    if (truncate && strcmp(truncate, "only_second") == 0)
        o.truncate = ILKI_TRUNCATE_ONLY_SECOND;
    bool same = CHECK(a.data != NULL) && CHECK_OK(ilki_text_encode(t, s, a.data, a.n, &o, &e, &err), &err) &&
                same_case(j, c, &e);
    size_t wrong = same ? test_wrong_beginning(t, a.data, a.n, 1 + a.n / 64, NULL) : SIZE_MAX;
    same &= CHECK_THAT(wrong == SIZE_MAX, "the first %zu bytes say something else", wrong);
    if (!same)
        printf("    case %zu: \"%.*s\"\n", index, (int)(a.n < 200 ? a.n : 200), a.data ? a.data : "");
    ilki_text_encoding_deinit(&e);
    free(a.data);
    free(b.data);
}

static void run_folder(const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_json *j = NULL;
    ilki_tokenizer *t = NULL;
    ilki_text_file f = {0};
    size_t n = 0;
    char *data = test_read_optional(dir, "cases.json", &f);
    ilki_text_scratch *s = ilki_text_scratch_new();
    if (CHECK(data && s) && CHECK_OK(ilki_base_json_parse(&j, f.data, f.n, "cases.json", NULL, &err), &err)) {
        ilki_json_node root = ilki_base_json_root(j);
        const char *mode = ilki_base_json_string(j, ilki_base_json_get(j, root, "mode"), NULL);
        bool literal = mode && strcmp(mode, "literal") == 0;
        ilk_status status = test_open_tokenizer(&t, dir, literal ? ILKI_TOKENIZER_LITERAL : ILKI_TOKENIZER_DEFAULT,
                                                &err);
        ilki_json_node list = ilki_base_json_get(j, root, "cases");
        if (CHECK_OK(status, &err))
            for (ilki_json_node c = ilki_base_json_first(j, list); c; c = ilki_base_json_next(j, c))
                run_case(t, s, j, c, n++);
    }
    CHECK(n > 0);
    printf("%s: %zu cases\n", dir, n);
    ilki_text_scratch_free(s);
    ilki_text_tokenizer_free(t);
    ilki_base_json_free(j);
    free(data);
}

static void folders(void)
{
    DIR *d = opendir(ILK_TEST_DIR "/fixtures");
    size_t n = 0;
    char dir[4096];
    REQUIRE(CHECK(d != NULL));
    for (struct dirent *e; (e = readdir(d));)
        if (strncmp(e->d_name, "tok-", 4) == 0) {
            snprintf(dir, sizeof dir, ILK_TEST_DIR "/fixtures/%s", e->d_name);
            run_folder(dir);
            n++;
        }
    closedir(d);
    CHECK(n > 0);
}

TEST_MAIN({"folders", folders})
