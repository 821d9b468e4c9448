/* SPDX-License-Identifier: Apache-2.0
 * Vectors and texts of one's own, and the table of golden values: what the CLI's transcripts do not reach. */
#include "tasks/vectors.h"

#include <stdio.h>

#include "tasks/against.h"
#include "tasks/goldens.h"
#include "test.h"
#include "tree.h"

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;

static void texts_keep_every_line(void)
{
    char *top = tree_new();
    ilki_row_texts t;
    ilk_error err;
    ilk_error_init(&err);
    tree_write(tree_path(top, "a.txt"), "one\n\nthree\r\nfour", 16);
    REQUIRE(CHECK_OK(ilki_tasks_read_texts(&t, vfs, tree_path(top, "a.txt"), &err), &err));
    CHECK_INT(t.n, 4);
    CHECK_INT(t.at[2] - t.at[1], 0);
    CHECK_MEM(ilki_base_buf_view(&t.texts) + t.at[2], "three", 5);
    CHECK_INT(t.at[4] - t.at[3], 4);
    ilki_tasks_texts_deinit(&t);
    tree_write(tree_path(top, "b.jsonl"), "{\"text\":\"a\"}\n\"b\"\n\n{\"text\":\"\"}\n", 29);
    REQUIRE(CHECK_OK(ilki_tasks_read_texts(&t, vfs, tree_path(top, "b.jsonl"), &err), &err));
    CHECK_INT(t.n, 3);
    ilki_tasks_texts_deinit(&t);
    tree_write(tree_path(top, "c.jsonl"), "{\"text\":1}\n", 11);
    CHECK_STATUS(ilki_tasks_read_texts(&t, vfs, tree_path(top, "c.jsonl"), &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_texts_deinit(&t);
    tree_free(top);
}

static void rows_of_both_forms(void)
{
    ilki_rows r;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_tasks_read_rows(&r, vfs, ILK_TEST_DIR "/fixtures/npy/f16.npy", &err), &err));
    CHECK(r.n == 3 && r.dim == 5 && r.data[14] == 1.5F);
    free(r.data);
    REQUIRE(CHECK_OK(ilki_tasks_read_rows(&r, vfs, ILK_TEST_DIR "/fixtures/npy/one.npy", &err), &err));
    CHECK(r.n == 1 && r.dim == 7);
    free(r.data);
    static const char *const refused[] = {"three.npy", "empty.npy", "scalar.npy", "object.npy", "fortran.npy"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ilk_status st = ilki_tasks_read_rows(&r, vfs, tree_path(ILK_TEST_DIR "/fixtures/npy", "%s", refused[i]), &err);
        CHECK_THAT(st != ILK_OK && r.data == NULL, "%s: %s", refused[i], err.message);
    }
    char *top = tree_new();
    tree_write(tree_path(top, "a.jsonl"), "[1,2.5]\n{\"vector\":[3,4]}\n", 25);
    REQUIRE(CHECK_OK(ilki_tasks_read_rows(&r, vfs, tree_path(top, "a.jsonl"), &err), &err));
    CHECK(r.n == 2 && r.dim == 2 && r.data[1] == 2.5F && r.data[3] == 4);
    free(r.data);
    tree_free(top);
}

static void cosines(void)
{
    static const float a[] = {1, 2, 2}, b[] = {2, 4, 4}, c[] = {2, -1, 0}, zero[3];
    CHECK_NEAR(ilki_tasks_cosine(a, b, 3), 1, 1e-15);
    CHECK_NEAR(ilki_tasks_cosine(a, c, 3), 0, 1e-15);
    CHECK_NEAR(ilki_tasks_cosine(a, zero, 3), 0, 0);
    CHECK_NEAR(ilki_tasks_length(a, 3), 3, 1e-15);
}

/* Every row can be run or says what it needs, and has as many values as its texts give. */
static void golden_rows_are_whole(void)
{
    size_t n_rows = 0;
    for (const ilki_golden_row *row; (row = ilki_tasks_golden_at(n_rows)); n_rows++) {
        const ilki_golden_picture *picture = row->set->picture;
        size_t n = row->set->n, most = ILKI_GOLDEN_VALUES;
        if (row->kind == ILKI_GOLDEN_SIMILARITY || row->kind == ILKI_GOLDEN_SCORE)
            most = n - 1;
        else if (row->kind == ILKI_GOLDEN_COSINE)
            most = n * (n - 1) / 2;
        else if (row->kind == ILKI_GOLDEN_PROB || row->kind == ILKI_GOLDEN_LOGIT)
            most = n;
        CHECK_THAT(row->n >= 1 && row->n <= most, "%s: %zu values, at most %zu", row->id, row->n, most);
        CHECK_THAT(strchr(row->id, '/') && row->source && *row->source, "%s: an id and a source", row->id);
        CHECK_THAT(row->tolerance > 0 && row->tolerance <= 0.03, "%s: tolerance %g", row->id, row->tolerance);
        CHECK_THAT(n <= ILKI_GOLDEN_TEXTS, "%s: %zu texts", row->id, n);
        CHECK_THAT(!picture || (strlen(picture->sha256) == 64 && *picture->where), "%s: its picture", row->id);
        CHECK_THAT(picture || row->kind < ILKI_GOLDEN_LOGIT, "%s: scores of no picture", row->id);
        CHECK_THAT(n > 0 || picture, "%s: nothing to run", row->id);
        CHECK_THAT(row->kind != ILKI_GOLDEN_ENTRIES || picture || n > 0, "%s: no first text", row->id);
    }
    CHECK(n_rows > 40 && ilki_tasks_golden_at(SIZE_MAX) == NULL);
}

TEST_MAIN({"texts keep every line", texts_keep_every_line}, {"rows of both forms", rows_of_both_forms},
          {"cosines", cosines}, {"golden rows are whole", golden_rows_are_whole})
