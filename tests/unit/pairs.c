/* SPDX-License-Identifier: Apache-2.0
 * Files of pairs: their layouts, quotes, junk, cuts at every byte. */
#include "tasks/pairs.h"

#include <stdio.h>

#include "test.h"
#include "told.h"
#include "tree.h"

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;

static ilk_status read_text(ilki_pairs *p, const char *name, const char *text, size_t n, bool strict, ilk_error *err)
{
    char *top = tree_new();
    ilki_notes notes = {.fn = tell, .strict = strict};
    told[0] = 0;
    tree_write(tree_path(top, "%s", name), text, n);
    ilk_status st = ilki_tasks_read_pairs(p, vfs, tree_path(top, "%s", name), &notes, err);
    tree_free(top);
    return st;
}

/* "a|b|0.5;" of every pair. */
static const char *show(const ilki_pairs *p)
{
    static char out[8192];
    size_t n = 0;
    const char *texts = ilki_base_buf_view(&p->texts);
    out[0] = 0;
    for (size_t i = 0; i < p->n; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s|%.*s|%g;", (int)p->list[i].n[0],
                              texts + p->list[i].text[0], (int)p->list[i].n[1], texts + p->list[i].text[1],
                              p->list[i].score);
    return out;
}

static void layouts(void)
{
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"a.csv", "one,two,2.5\r\n\"a, b\",\"say \"\"x\"\"\",3\n\n\"two\nlines\",c,1",
         "one|two|2.5;a, b|say \"x\"|3;two\nlines|c|1;"},
        {"a.tsv", "one\t\"two\t2.5\n", "one|\"two|2.5;"},
        {"b.tsv", "\xef\xbb\xbfScore\tsentence1\tid\tsentence2\n1\ta\t7\tb\n0.5\tc\t8\td\n", "a|b|1;c|d|0.5;"},
        {"b.csv", "0.25,a,b\n1,c,d\n", "a|b|0.25;c|d|1;"},
        {"c.tsv", "main-news\tMSRvid\t2012\t0001\t5.000\ta plane\tan air plane\nx\ty\tz\t2\t3.2\tc\td\textra\n",
         "a plane|an air plane|5;c|d|3.2;"},
        {"a.jsonl",
         "{\"sentence1\":\"a\",\"sentence2\":\"b\",\"label\":1}\n\n[\"c\",\"d\",0.5]\n{\"text_1\":\"e\",\"text_2\":\"f\",\"score\":-1}",
         "a|b|1;c|d|0.5;e|f|-1;"},
    };
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_pairs p;
        if (CHECK_OK(read_text(&p, cases[i].name, cases[i].text, strlen(cases[i].text), true, &err), &err))
            CHECK_STR(show(&p), cases[i].want);
        ilki_tasks_pairs_deinit(&p);
    }
}

static void junk(void)
{
    static const char csv[] = "a,b,1\nc,d\ne,f,high\n\"g\nh\",i,2\nj,k,nan\nl,m,\"3\"\n\"open,n,4\n";
    static const char jsonl[] =
        "{\"sentence1\":\"a\",\"sentence2\":\"b\",\"score\":1}\nno\n{\"sentence1\":3}\n[1,2,3]\n[\"a\",\"b\"]\n";
    ilki_pairs p;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(read_text(&p, "x.csv", csv, sizeof csv - 1, false, &err), &err);
    CHECK_STR(show(&p), "a|b|1;g\nh|i|2;l|m|3;");
    CHECK(strstr(told, "x.csv:2: expected 3 fields, found 2\n") != NULL);
    CHECK(strstr(told, "x.csv:3: expected a finite number as the score, found \"high\"\n") != NULL);
    CHECK(strstr(told, "x.csv:6: expected a finite number as the score, found \"nan\"\n") != NULL);
    CHECK(strstr(told, "x.csv:8: a quote that is not closed") != NULL);
    CHECK_INT(p.list[1].line, 4);
    ilki_tasks_pairs_deinit(&p);
    CHECK_STATUS(read_text(&p, "x.csv", csv, sizeof csv - 1, true, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_pairs_deinit(&p);
    CHECK_OK(read_text(&p, "x.jsonl", jsonl, sizeof jsonl - 1, false, &err), &err);
    CHECK_INT(p.n, 1);
    CHECK(strstr(told, "x.jsonl:2: ") && strstr(told, "x.jsonl:3: ") && strstr(told, "x.jsonl:4: ") &&
          strstr(told, "x.jsonl:5: "));
    ilki_tasks_pairs_deinit(&p);
    CHECK_STATUS(read_text(&p, "x.csv", "", 0, false, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_pairs_deinit(&p);
    CHECK_STATUS(read_text(&p, "x.csv", "a,b\n", 4, false, &err), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "names of columns") != NULL);
    ilki_tasks_pairs_deinit(&p);
    CHECK_STATUS(read_text(&p, "x.docx", "a,b\n", 4, false, &err), ILK_UNSUPPORTED, &err);
    ilki_tasks_pairs_deinit(&p);
}

/* Whatever is cut off, nothing is read past it and no pair is made up. */
static void cut_at_every_byte(void)
{
    static const char csv[] = "sentence1,sentence2,score\n\"a \"\"b\"\"\",c,1\r\n\"d\ne\",\"f\",2.5\ng,h,3\n";
    ilk_error err;
    ilk_error_init(&err);
    for (size_t n = 0; n < sizeof csv; n++) {
        ilki_pairs p;
        char *copy = malloc(n ? n : 1);
        TREE_NEED(copy);
        memcpy(copy, csv, n);
        ilk_status st = read_text(&p, "x.csv", copy, n, false, &err);
        CHECK_THAT(st == ILK_OK ? p.n >= 1 && p.n <= 3 : st == ILK_BAD_FORMAT, "cut at %zu: %s", n, err.message);
        ilki_tasks_pairs_deinit(&p);
        free(copy);
    }
}

TEST_MAIN({"layouts", layouts}, {"junk", junk}, {"cut at every byte", cut_at_every_byte})
