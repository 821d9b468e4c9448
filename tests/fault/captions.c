/* SPDX-License-Identifier: Apache-2.0
 * Each allocation of what reads captioned pictures and fits a projection fails once: NO_MEMORY, nothing leaks, and short
 * memory is never taken for a file that is not there. */
#include "tasks/captions.h"
#include "alloc_count.h"
#include "tasks/goldens.h"
#include "tasks/prompts.h"
#include "test.h"
#include "train/dense_folder.h"
#include "train/folds.h"
#include "train/solve.h"
#include "tree.h"

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;
static char *top;

/* A step is OK or out of memory; where it is OK it has checked what it made. */
static void fail_each(ilk_status (*step)(ilk_error *err), uint64_t at_least)
{
    for (uint64_t n = 1;; n++) {
        ilk_error err;
        ilk_error_init(&err);
        alloc_fail_at(n, false);
        ilk_status st = step(&err);
        bool failed = alloc_fail_off();
        CHECK_THAT(st == (failed ? ILK_NO_MEMORY : ILK_OK), "allocation %llu: %s: %s", (unsigned long long)n,
                   ilk_status_string(st), err.message);
        if (!failed) {
            CHECK_THAT(n > at_least, "%llu allocations alone", (unsigned long long)n);
            break;
        }
    }
}

static ilk_status read_place(const char *name, ilki_said said, size_t want, ilk_error *err)
{
    ilki_captions c;
    ilki_notes notes = {0};
    ilk_status st = ilki_tasks_read_captions(&c, vfs, tree_path(top, "%s", name), said, &notes, err);
    if (st == ILK_OK)
        CHECK_INT(c.n, want);
    ilki_tasks_captions_deinit(&c);
    return st;
}

static ilk_status read_table(ilk_error *err)
{
    return read_place("x.csv", ILKI_SAID_CAPTION, 3, err);
}

static ilk_status read_lines(ilk_error *err)
{
    return read_place("x.jsonl", ILKI_SAID_CAPTION, 3, err);
}

static ilk_status read_notes(ilk_error *err)
{
    return read_place("notes", ILKI_SAID_CAPTION, 2, err);
}

static ilk_status read_folder(ilk_error *err)
{
    return read_place("labelled", ILKI_SAID_LABEL, 1, err);
}

static ilk_status read_prompts(ilk_error *err)
{
    ilki_prompts p;
    ilki_notes notes = {0};
    ilk_status st = ilki_tasks_read_prompts(&p, vfs, tree_path(top, "prompts"), &notes, err);
    if (st == ILK_OK)
        CHECK_INT(p.n, 2);
    ilki_tasks_prompts_deinit(&p);
    if (st == ILK_OK)
        st = ilki_tasks_clip_prompts(&p, 80, err);
    ilki_tasks_prompts_deinit(&p);
    return st;
}

static ilk_status find_picture(ilk_error *err)
{
    /* of "1\n" */
    static const ilki_golden_picture one = {"other", "a test",
                                            "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"};
    char *data;
    size_t n;
    ilk_status st = ilki_tasks_find_picture(vfs, tree_path(top, "pictures"), &one, &data, &n, err);
    if (st == ILK_OK)
        CHECK_INT(n, 2);
    free(data);
    return st;
}

static void files(void)
{
    static const struct {
        const char *name, *text;
    } put[] = {{"x.csv", "image,caption,language\na,\"b\",en\nc,d,de\nc,e,\n"},
               {"x.jsonl", "{\"image\":\"a\",\"caption\":[\"b\",\"c\"]}\n{\"file_name\":\"d\",\"text\":\"e\"}\n"},
               {"notes/a.png", ""},
               {"notes/a.txt", "A dog.\nde.utf8=Ein Hund.\n"},
               {"labelled/labels.csv", "image,label\na,b\n"},
               {"labelled/a.png", ""},
               {"labelled/a.txt", "not this"},
               {"prompts", "a {}\nthe {c}\n"},
               {"pictures/no", "0\n"},
               {"pictures/yes", "1\n"}};
    top = tree_new();
    mkdir(tree_path(top, "notes"), 0700);
    mkdir(tree_path(top, "labelled"), 0700);
    mkdir(tree_path(top, "pictures"), 0700);
    for (size_t i = 0; i < sizeof put / sizeof *put; i++)
        tree_write(tree_path(top, "%s", put[i].name), put[i].text, strlen(put[i].text));
    fail_each(read_table, 10);
    fail_each(read_lines, 10);
    fail_each(read_notes, 10);
    fail_each(read_folder, 5);
    fail_each(read_prompts, 4);
    fail_each(find_picture, 3);
    tree_free(top);
}

static ilk_status fit(ilk_error *err)
{
    static const float x[] = {1, 0, 0, 1, 0.6f, 0.8f, -1, 0}, y[] = {0, 1, 0, -1, 0, 0, 0.5f, 0.5f, 0, 1, 0, 1};
    static uint32_t rows[] = {0, 1, 2, 3};
    uint32_t *const targets[ILKI_TRAIN_TARGETS] = {rows, rows, rows, rows};
    ilki_moments m;
    ilki_fit f = {0}, g = {0};
    ilki_buf about;
    ilki_base_buf_init(&about, 4096);
    ilk_status st = ilki_train_moments_init(&m, 2, 3, err);
    if (st == ILK_OK)
        st = ilki_train_moments_add(&m, NULL, x, y, 4, targets, NULL, err);
    if (st == ILK_OK)
        st = ilki_train_fit(&f, &m, ILKI_TRAIN_TRUE, 0, NULL, NULL, err);
    if (st == ILK_OK)
        st = ilki_train_fit(&g, &m, 1, 0.1, NULL, NULL, err);
    ilki_base_buf_addf(&about, "{}\n");
    if (st == ILK_OK)
        st = ilki_base_buf_check(&about, "a note", err);
    if (st == ILK_OK)
        st = ilki_train_write_dense(vfs, tree_path(top, "out"), &g, &about, err);
    ilki_base_buf_deinit(&about);
    ilki_train_fit_deinit(&f);
    ilki_train_fit_deinit(&g);
    ilki_train_moments_deinit(&m);
    return st;
}

static ilk_status cut(ilk_error *err)
{
    static ilki_train_pair list[100];
    ilki_train_pairs p = {.list = list, .n_pictures = 100, .n_texts = 100, .n = 100};
    ilki_folds f;
    for (uint32_t i = 0; i < 100; i++)
        list[i] = (ilki_train_pair){i, i};
    ilk_status st = ilki_train_folds_init(&f, &p, 1, err);
    if (st == ILK_OK)
        CHECK_INT(f.first[ILKI_FOLDS], 100);
    ilki_train_folds_deinit(&f);
    return st;
}

static void fits(void)
{
    top = tree_new();
    fail_each(fit, 15);
    fail_each(cut, 5);
    tree_free(top);
}

TEST_MAIN({"files", files}, {"fits", fits})
