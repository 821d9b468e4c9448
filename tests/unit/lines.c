/* SPDX-License-Identifier: Apache-2.0
 * Lines of a file, ids, numbers. */
#include "tasks/lines.h"

#include <stdio.h>

#include "test.h"
#include "tree.h"

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;

/* Every end of a line, at every place of the pieces that are read. */
static void lines_and_offsets(void)
{
    char *top = tree_new(), *text = malloc(700000);
    size_t n = 0, n_lines = 0;
    const char *path = tree_path(top, "a"), *s;
    static size_t at[20000], length[20000];
    ilki_lines l;
    ilk_error err;
    ilk_error_init(&err);
    TREE_NEED(text);
    memcpy(text, "\xef\xbb\xbf", 3);
    n = 3;
    for (; n < 600000; n_lines++) {
        at[n_lines] = n;
        length[n_lines] = n_lines % 97;
        memset(text + n, 'a' + (int)(n_lines % 26), length[n_lines]);
        n += length[n_lines];
        if (n_lines % 3 == 0)
            text[n++] = '\r';
        text[n++] = '\n';
    }
    at[n_lines] = n;
    length[n_lines] = 5;
    memcpy(text + n, "zzzzz", 5);
    n += 5;
    n_lines++;
    tree_write(path, text, n);
    REQUIRE(CHECK_OK(ilki_tasks_lines_open(&l, vfs, path, &err), &err));
    CHECK_INT(l.size, n);
    for (size_t i = 0; i < n_lines; i++) {
        size_t got;
        REQUIRE(CHECK_OK(ilki_tasks_lines_next(&l, &s, &got, &err), &err) && CHECK(s != NULL));
        bool same = got == length[i] && l.offset == at[i] && l.line == i + 1 && memcmp(s, text + at[i], got) == 0;
        REQUIRE(CHECK_THAT(same, "line %zu: %zu bytes at %llu, want %zu at %zu", i + 1, got,
                           (unsigned long long)l.offset, length[i], at[i]));
    }
    size_t got;
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &got, &err), &err);
    CHECK(s == NULL);
    ilki_tasks_lines_close(&l);
    free(text);
    tree_free(top);
}

static void gigantic_lines(void)
{
    size_t big = ILKI_TASKS_LINE + 3 * 262144 + 17, n;
    char *top = tree_new(), *text = malloc(big + 100);
    const char *path = tree_path(top, "a"), *s;
    ilki_lines l;
    ilk_error err;
    ilk_error_init(&err);
    TREE_NEED(text);
    memset(text, 'x', big);
    memcpy(text + big, "\nshort\n", 7);
    memset(text + big + 7, 'y', 20);
    tree_write(path, text, big + 27);
    REQUIRE(CHECK_OK(ilki_tasks_lines_open(&l, vfs, path, &err), &err));
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s != NULL && l.too_long && n == 0);
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s != NULL && !l.too_long && n == 5 && memcmp(s, "short", 5) == 0 && l.offset == big + 1 && l.line == 2);
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s != NULL && n == 20 && l.line == 3);
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s == NULL);
    ilki_tasks_lines_close(&l);
    text[big] = 'x'; /* and one that the file's end cuts off */
    tree_write(path, text, big);
    REQUIRE(CHECK_OK(ilki_tasks_lines_open(&l, vfs, path, &err), &err));
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s != NULL && l.too_long);
    CHECK_OK(ilki_tasks_lines_next(&l, &s, &n, &err), &err);
    CHECK(s == NULL);
    ilki_tasks_lines_close(&l);
    free(text);
    tree_free(top);
}

static void numbers_as_strtod_reads_them(void)
{
    static const struct {
        const char *s;
        double v;
    } good[] = {{"1", 1},      {" -2.5\t", -2.5}, {"+3", 3},     {".5", 0.5},  {"-.25", -0.25},
                {"5.", 5},     {"007", 7},        {"0", 0},      {"-0.0", 0},  {"1e3", 1000},
                {"2.E2", 200}, {"00.5", 0.5},     {"1e-400", 0}, {"0.1", 0.1}, {"123456789012", 123456789012.0}};
    static const char *const bad[] = {"",          " ",    ".",   "-",   "+",     "e3",  "1e",  "nan", "inf",
                                      "-Infinity", "0x10", "1 2", "1,5", "1.2.3", "--1", "+-1", "1_0"};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (CHECK_THAT(ilki_tasks_number(good[i].s, strlen(good[i].s), &v), "\"%s\" is a number", good[i].s))
            CHECK_NEAR(v, good[i].v, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_THAT(!ilki_tasks_number(bad[i], strlen(bad[i]), &v), "\"%s\" is no number", bad[i]);
    CHECK(ilki_tasks_number("1e999", 5, &v) && isinf(v));
}

static void ids_are_numbered(void)
{
    ilki_ids ids = {0};
    ilk_error err;
    uint32_t number;
    bool fresh;
    char name[16];
    static char long_id[5000];
    ilk_error_init(&err);
    for (uint32_t i = 0; i < 5000; i++) {
        int n = snprintf(name, sizeof name, "id%u", i);
        CHECK_OK(ilki_tasks_ids_add(&ids, name, (size_t)n, &number, &fresh, &err), &err);
        REQUIRE(CHECK(number == i && fresh));
    }
    CHECK_OK(ilki_tasks_ids_add(&ids, "id77", 4, &number, &fresh, &err), &err);
    CHECK(number == 77 && !fresh && ids.n == 5000);
    CHECK_STR(ids.name[77], "id77");
    CHECK(ilki_tasks_ids_find(&ids, "id", 2) == ILKI_MAP_NONE);
    CHECK_STATUS(ilki_tasks_ids_add(&ids, "a\0b", 3, &number, &fresh, &err), ILK_LIMIT, &err);
    memset(long_id, 'a', sizeof long_id);
    CHECK_STATUS(ilki_tasks_ids_add(&ids, long_id, sizeof long_id, &number, &fresh, &err), ILK_LIMIT, &err);
    ilki_tasks_ids_deinit(&ids);
}

static void count_note(void *user, const char *message)
{
    (void)message;
    ++*(size_t *)user;
}

static void junk_is_told_up_to_a_point(void)
{
    size_t told = 0;
    ilki_notes notes = {.fn = count_note, .user = &told};
    for (uint64_t i = 1; i <= 100; i++)
        CHECK_OK(ilki_tasks_junk(&notes, "f", i, NULL, "bad"), NULL);
    CHECK_INT(notes.n_junk, 100);
    CHECK_INT(told, 21);
}

TEST_MAIN({"lines and offsets", lines_and_offsets}, {"gigantic lines", gigantic_lines},
          {"numbers as strtod reads them", numbers_as_strtod_reads_them}, {"ids are numbered", ids_are_numbered},
          {"junk is told up to a point", junk_is_told_up_to_a_point})
