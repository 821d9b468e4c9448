/* SPDX-License-Identifier: Apache-2.0
 * Captioned pictures in every layout, junk, cuts at every byte; files below a folder; prompts of classes. */
#include "tasks/captions.h"

#include "tasks/files.h"
#include "tasks/prompts.h"
#include "test.h"
#include "told.h"
#include "tree.h"

static const ilki_vfs *const vfs = &ilki_base_vfs_posix;

static ilk_status read_place(ilki_captions *c, const char *path, ilki_said said, bool strict, ilk_error *err)
{
    ilki_notes notes = {.fn = tell, .strict = strict};
    told[0] = 0;
    return ilki_tasks_read_captions(c, vfs, path, said, &notes, err);
}

/* "a.png|said|en;" of every caption, paths without the folder `top`. */
static const char *show(const ilki_captions *c, const char *top)
{
    static char out[8192];
    size_t n = 0, skip = strlen(top) + 1;
    out[0] = 0;
    for (size_t i = 0; i < c->n; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s|%s|%s;", c->pictures.name[c->list[i].picture] + skip,
                              c->texts.name[c->list[i].text], c->languages.name[c->list[i].language]);
    return out;
}

static void layouts(void)
{
    static const struct {
        const char *name, *text, *want;
        ilki_said said;
    } cases[] = {
        {"a.csv", "image,caption\na.png,\"one, two\"\r\nsub/b.png, spider \nc.png,spider\n",
         "a.png|one, two|default;sub/b.png|spider|default;c.png|spider|default;", ILKI_SAID_CAPTION},
        {"a.csv", "a.png,one\nb.png,two\n", "a.png|one|default;b.png|two|default;", ILKI_SAID_CAPTION},
        {"a.tsv", "filepath\ttitle\na.png\tone\n", "a.png|one|default;", ILKI_SAID_CAPTION},
        {"a.tsv", "Language\tText\tFile Name\nen\tone\ta.png\nde\teins\ta.png\n", "a.png|one|en;a.png|eins|de;",
         ILKI_SAID_CAPTION},
        {"a.txt", "image,caption\na.png,one\na.png,one\n", "a.png|one|default;", ILKI_SAID_CAPTION},
        {"a.txt", "a.png\tone, two\n", "a.png|one, two|default;", ILKI_SAID_CAPTION},
        {"a.jsonl",
         "\xef\xbb\xbf{\"image\":\"b.png\",\"caption\":[\"one\",\"two\"],\"language\":\"en\"}\n\n"
         "{\"file_name\":\"a.png\",\"text\":\"one\",\"lang\":\"en\"}",
         "b.png|one|en;b.png|two|en;a.png|one|en;", ILKI_SAID_CAPTION},
        {"a.csv", "path,label\na.png,cat\nb.png,dog\n", "a.png|cat|default;b.png|dog|default;", ILKI_SAID_LABEL},
        {"a.jsonl", "{\"image\":\"a\",\"label\":\"cat\",\"caption\":\"no\"}", "a|cat|default;", ILKI_SAID_LABEL},
    };
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *top = tree_new();
        ilki_captions c;
        tree_write(tree_path(top, "%s", cases[i].name), cases[i].text, strlen(cases[i].text));
        if (CHECK_OK(read_place(&c, tree_path(top, "%s", cases[i].name), cases[i].said, true, &err), &err))
            CHECK_STR(show(&c, top), cases[i].want);
        ilki_tasks_captions_deinit(&c);
        tree_free(top);
    }
}

static void put(const char *top, const char *name, const char *text)
{
    tree_write(tree_path(top, "%s", name), text, strlen(text));
}

static void folders(void)
{
    char *top = tree_new();
    ilki_captions c;
    ilk_error err;
    ilk_error_init(&err);
    mkdir(tree_path(top, "deep"), 0700);
    put(top, "a.png", "");
    put(top, "a.txt", "A dog.\n\nde.utf8=Ein Hund.\nzh_CN.utf8=\xe4\xb8\x80\nfr.utf8=\nx = y\n");
    put(top, "b.JPG", "");
    put(top, "b.txt", "A dog.\n");
    put(top, "b.more.png", "");
    put(top, "b.more.txt", "more");
    put(top, "lonely.txt", "nothing beside it");
    put(top, "deep/c.webp", "");
    put(top, "deep/c.txt", "deep");
    if (CHECK_OK(read_place(&c, top, ILKI_SAID_CAPTION, true, &err), &err))
        CHECK_STR(show(&c, top), "a.png|A dog.|default;a.png|Ein Hund.|de;a.png|\xe4\xb8\x80|zh_CN;a.png|x = y|default;"
                                 "b.more.png|more|default;b.JPG|A dog.|default;deep/c.webp|deep|default;");
    ilki_tasks_captions_deinit(&c);
    CHECK_STATUS(read_place(&c, top, ILKI_SAID_LABEL, false, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_captions_deinit(&c);
    put(top, "metadata.csv", "file_name,text\na.png,from metadata\n");
    CHECK_OK(read_place(&c, top, ILKI_SAID_CAPTION, true, &err), &err);
    CHECK_STR(show(&c, top), "a.png|from metadata|default;");
    ilki_tasks_captions_deinit(&c);
    put(top, "captions.jsonl", "{\"image\":\"/abs/a.png\",\"caption\":\"c\"}\n");
    CHECK_OK(read_place(&c, top, ILKI_SAID_CAPTION, true, &err), &err);
    CHECK_STR(c.pictures.name[0], "/abs/a.png");
    ilki_tasks_captions_deinit(&c);
    tree_free(top);
}

static void junk(void)
{
    static const char csv[] = "image,caption\na.png\n,x\nb.png,\nc.png,\"\xff\xfe\"\n\"d.png\",ok\n\"open,n\n";
    static const char jsonl[] =
        "no\n[1]\n{\"image\":3,\"caption\":\"x\"}\n{\"image\":\"a\"}\n{\"image\":\"a\",\"caption\":7}\n"
        "{\"image\":\"a\",\"caption\":[\"ok\",7]}\n";
    char *top = tree_new();
    ilki_captions c;
    ilk_error err;
    ilk_error_init(&err);
    tree_write(tree_path(top, "x.csv"), csv, sizeof csv - 1);
    CHECK_OK(read_place(&c, tree_path(top, "x.csv"), ILKI_SAID_CAPTION, false, &err), &err);
    CHECK_STR(show(&c, top), "d.png|ok|default;");
    CHECK(strstr(told, "x.csv:2: expected 2 fields, found 1") &&
          strstr(told, "x.csv:3: expected the path of a picture"));
    CHECK(strstr(told, "x.csv:4: expected a caption") && strstr(told, "x.csv:5: expected a caption"));
    CHECK(strstr(told, "x.csv:7: a quote that is not closed") != NULL);
    ilki_tasks_captions_deinit(&c);
    CHECK_STATUS(read_place(&c, tree_path(top, "x.csv"), ILKI_SAID_CAPTION, true, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_captions_deinit(&c);
    tree_write(tree_path(top, "x.jsonl"), jsonl, sizeof jsonl - 1);
    CHECK_OK(read_place(&c, tree_path(top, "x.jsonl"), ILKI_SAID_CAPTION, false, &err), &err);
    CHECK_STR(show(&c, top), "a|ok|default;");
    CHECK(strstr(told, "x.jsonl:1: ") && strstr(told, "x.jsonl:3: ") && strstr(told, "x.jsonl:5: ") &&
          strstr(told, "x.jsonl:6: "));
    ilki_tasks_captions_deinit(&c);
    tree_write(tree_path(top, "y.csv"), "a,b,c\n", 6);
    CHECK_STATUS(read_place(&c, tree_path(top, "y.csv"), ILKI_SAID_CAPTION, false, &err), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "expected names of columns (image, caption)") != NULL);
    ilki_tasks_captions_deinit(&c);
    tree_write(tree_path(top, "y.docx"), "a", 1);
    CHECK_STATUS(read_place(&c, tree_path(top, "y.docx"), ILKI_SAID_CAPTION, false, &err), ILK_UNSUPPORTED, &err);
    ilki_tasks_captions_deinit(&c);
    CHECK_STATUS(read_place(&c, tree_path(top, "no.csv"), ILKI_SAID_CAPTION, false, &err), ILK_NOT_FOUND, &err);
    ilki_tasks_captions_deinit(&c);
    tree_free(top);
}

static void cut_at_every_byte(void)
{
    static const char csv[] = "image,caption,language\n\"a \"\"b\"\"\",c,en\r\n\"d\ne\",\"f\",de\ng,h,\n";
    static const char jsonl[] = "{\"image\":\"a\",\"caption\":[\"b\",\"c\"]}\n{\"image\":\"d\",\"caption\":\"e\"}\n";
    char *top = tree_new();
    ilk_error err;
    ilk_error_init(&err);
    for (int form = 0; form < 2; form++)
        for (size_t n = 0; n < (form ? sizeof jsonl : sizeof csv); n++) {
            ilki_captions c;
            const char *path = tree_path(top, form ? "x.jsonl" : "x.csv");
            tree_write(path, form ? jsonl : csv, n);
            ilk_status st = read_place(&c, path, ILKI_SAID_CAPTION, false, &err);
            CHECK_THAT(st == ILK_OK ? c.n >= 1 && c.n <= 3 : st == ILK_BAD_FORMAT, "cut at %zu: %s", n, err.message);
            ilki_tasks_captions_deinit(&c);
        }
    tree_free(top);
}

static void lists_of_files(void)
{
    char *top = tree_new();
    ilki_file_list l;
    ilk_error err;
    ilk_error_init(&err);
    mkdir(tree_path(top, "b"), 0700);
    mkdir(tree_path(top, ".hidden"), 0700);
    put(top, "b/z", "");
    put(top, "b/.no", "");
    put(top, ".hidden/x", "");
    put(top, "c", "");
    put(top, "a", "");
    CHECK_INT(symlink("c", tree_path(top, "link")), 0);
    CHECK_INT(symlink("nowhere", tree_path(top, "gone")), 0);
    if (CHECK_OK(ilki_tasks_list_files(&l, vfs, top, &err), &err) && CHECK_INT(l.n, 4)) {
        CHECK_STR(l.path[0], "a");
        CHECK_STR(l.path[1], "b/z");
        CHECK_STR(l.path[2], "c");
        CHECK_STR(l.path[3], "link");
    }
    ilki_tasks_file_list_deinit(&l);
    CHECK_INT(symlink("..", tree_path(top, "b/round")), 0);
    CHECK_STATUS(ilki_tasks_list_files(&l, vfs, top, &err), ILK_LIMIT, &err);
    CHECK(strstr(err.message, "more than 16 folders within each other") != NULL);
    ilki_tasks_file_list_deinit(&l);
    tree_free(top);
}

static void prompts(void)
{
    static const char text[] = "the {} at night\nno place\n\na {c} and {}\n";
    char *top = tree_new();
    ilki_prompts p;
    ilki_buf b;
    ilk_error err;
    ilki_notes notes = {.fn = tell};
    ilk_error_init(&err);
    told[0] = 0;
    ilki_base_buf_init(&b, 65536);
    CHECK_OK(ilki_tasks_clip_prompts(&p, 1, &err), &err);
    CHECK_STR(p.text[0], "a photo of a {}.");
    ilki_tasks_prompts_deinit(&p);
    CHECK_OK(ilki_tasks_clip_prompts(&p, 80, &err), &err);
    CHECK_STR(p.text[0], "a bad photo of a {}.");
    CHECK_STR(p.text[35], "a {} in a video game.");
    CHECK_STR(p.text[79], "a tattoo of the {}.");
    for (size_t i = 0; i < p.n; i++)
        for (size_t k = 0; k < i; k++)
            CHECK_THAT(strcmp(p.text[i], p.text[k]) != 0, "%s is there twice", p.text[i]);
    ilki_tasks_prompts_deinit(&p);
    CHECK_STATUS(ilki_tasks_clip_prompts(&p, 7, &err), ILK_BAD_ARGUMENT, &err);
    tree_write(tree_path(top, "t"), text, sizeof text - 1);
    CHECK_OK(ilki_tasks_read_prompts(&p, vfs, tree_path(top, "t"), &notes, &err), &err);
    CHECK_INT(p.n, 2);
    CHECK(strstr(told, "t:2: expected a prompt with {}") != NULL);
    ilki_tasks_fill_prompt(&b, p.text[0], "cat");
    ilki_tasks_fill_prompt(&b, p.text[1], "dog");
    CHECK_STR(ilki_base_buf_view(&b), "the cat at nighta dog and {}");
    ilki_tasks_prompts_deinit(&p);
    ilki_base_buf_deinit(&b);
    tree_write(tree_path(top, "t"), "x\n", 2);
    CHECK_STATUS(ilki_tasks_read_prompts(&p, vfs, tree_path(top, "t"), &notes, &err), ILK_BAD_FORMAT, &err);
    ilki_tasks_prompts_deinit(&p);
    tree_free(top);
}

TEST_MAIN({"layouts", layouts}, {"folders", folders}, {"junk", junk}, {"cut at every byte", cut_at_every_byte},
          {"lists of files", lists_of_files}, {"prompts", prompts})
