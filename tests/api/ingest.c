/* SPDX-License-Identifier: Apache-2.0
 * Folders in, hits out: what is told, what is kept, what is found, over the life of a folder. */
#include <time.h>

#include "folder.h"

static const char prose[] = "The red bicycle is lovely.\n\nMars and Venus: what a night!\n\n"
                            "seven dogs crashed in the market\n";

static void check_first_hit(folder *f, const char *text, const char *path, const char *passage, uint32_t line)
{
    ilk_hits *h = folder_search(f, text, 3);
    if (CHECK(ilk_hits_get_count(h, 0) > 0)) {
        ilk_hit hit = folder_hit(h, 0);
        CHECK_STR(hit.path, path);
        CHECK_STR(hit.text, passage);
        CHECK_INT(hit.segment.line_first, line);
        CHECK_STR(hit.collection, "docs");
        CHECK_STR(hit.modality, "text");
        CHECK_INT(hit.score_kind, ILK_SCORE_COSINE);
        CHECK(hit.model && strstr(hit.model, f->model_name));
        CHECK(hit.parent && strncmp(hit.id, hit.parent, strlen(hit.parent)) == 0 && strchr(hit.id, '#'));
    }
    ilk_hits_free(h);
}

static void first_run_and_again(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "\nThe red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "sub/b.md"), "# Guide\n\n## Install\n\ndeep learning in the market\n");
    tree_put(tree_path(f.dir, "c.py"), "def night(x):\n    return x\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_STR(f.log, "indexed a.txt\nindexed c.py\nindexed sub/b.md\n");
    CHECK(f.result.n_files == 3 && f.result.n_indexed == 3 && f.result.n_chunks >= 3 && f.result.n_tokens > 0);
    check_first_hit(&f, "The red bicycle is lovely.", "a.txt", "The red bicycle is lovely.", 2);
    ilk_hits *h = folder_search(&f, "deep learning in the market", 9);
    bool found = false;
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++) {
        ilk_hit hit = folder_hit(h, i);
        if (strcmp(hit.path, "sub/b.md") != 0 || !strstr(hit.text, "deep"))
            continue;
        for (size_t k = 0; k < hit.n_fields; k++)
            found |= strcmp(hit.fields[k].name, "context") == 0 && strstr(hit.fields[k].value.text, "Install");
    }
    CHECK(found);
    ilk_hits_free(h);
    ilk_store_info before, after;
    ilk_store_info_init(&before);
    ilk_store_info_init(&after);
    usleep(150000); /* older than the clock's grain: the times are recorded by this run */
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_OK(ilk_store_get_info(f.s, &before, &f.err), &f.err);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_OK(ilk_store_get_info(f.s, &after, &f.err), &f.err);
    CHECK_STR(f.log, "unchanged a.txt\nunchanged c.py\nunchanged sub/b.md\n");
    CHECK_INT(before.last_lsn, after.last_lsn); /* not a byte was written */
    CHECK_INT(after.n_sources, 3);
    CHECK_INT(after.n_spaces, 1);
end:
    folder_close(&f);
}

/* Number of live items, and the id of the file whose passage is nearest to a text. */
static uint64_t n_items(folder *f)
{
    uint64_t n = 0;
    CHECK_OK(ilk_store_count(f->s, NULL, &n, &f->err), &f->err);
    return n;
}

static void id_of(folder *f, const char *text, char id[64])
{
    ilk_hits *h = folder_search(f, text, 1);
    ilk_hit hit = folder_hit(h, 0);
    snprintf(id, 64, "%s", hit.parent ? hit.parent : "");
    ilk_hits_free(h);
}

static void changes_moves_removals(void)
{
    folder f;
    char before[64], after[64];
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "Mars and Venus: what a night!\n");
    tree_put(tree_path(f.dir, "c.txt"), "seven dogs crashed in the market\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    id_of(&f, "Mars and Venus: what a night!", before);
    uint64_t n = n_items(&f);
    TREE_NEED(mkdir(tree_path(f.dir, "z"), 0700) == 0);
    TREE_NEED(rename(tree_path(f.dir, "b.txt"), tree_path(f.dir, "z/moved.txt")) == 0);
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is deep.\n");
    TREE_NEED(unlink(tree_path(f.dir, "c.txt")) == 0);
    tree_put(tree_path(f.dir, "d.txt"), "cat\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "indexed a.txt");
    CHECK_TOLD(&f, "indexed d.txt");
    CHECK_TOLD(&f, "moved z/moved.txt");
    CHECK_TOLD(&f, "removed c.txt");
    CHECK_INT(f.result.n_moved, 1);
    CHECK_INT(f.result.n_removed, 1);
    CHECK_INT(f.result.n_chunks, 2); /* nothing of the moved file was embedded */
    CHECK_INT(n_items(&f), n);
    id_of(&f, "Mars and Venus: what a night!", after);
    CHECK_STR(after, before);
    check_first_hit(&f, "Mars and Venus: what a night!", "z/moved.txt", "Mars and Venus: what a night!", 1);
    check_first_hit(&f, "The red bicycle is deep.", "a.txt", "The red bicycle is deep.", 1);
    /* a file that comes back has its old id */
    tree_put(tree_path(f.dir, "c.txt"), "seven dogs crashed in the market\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "indexed c.txt");
    /* the whole folder can move, its store inside */
    ilk_store_close(f.s);
    f.s = NULL;
    char *there = strdup(tree_path(f.top, "elsewhere"));
    TREE_NEED(rename(f.dir, there) == 0);
    free(f.dir);
    f.dir = there;
    if (!folder_open_store(&f, tree_path(f.dir, ".ilk")))
        goto end;
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "unchanged a.txt"); /* in any order: those that are young are compared, and told later */
    CHECK_TOLD(&f, "unchanged c.txt");
    CHECK_TOLD(&f, "unchanged d.txt");
    CHECK_TOLD(&f, "unchanged z/moved.txt");
    CHECK_INT(f.result.n_unchanged, 4);
    CHECK_INT(f.result.n_indexed + f.result.n_moved + f.result.n_removed, 0);
end:
    folder_close(&f);
}

/* A file shrinks: passages of the longer version are gone. A rewrite with the same content costs nothing. */
static void shorter_version(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    char text[4000] = "";
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "deep learning in the market %d.\n\n", i);
    tree_put(tree_path(f.dir, "a.txt"), text);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK(f.result.n_chunks > 10);
    CHECK_INT(n_items(&f), f.result.n_chunks + 1);
    tree_put(tree_path(f.dir, "a.txt"), "cat\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_STR(f.log, "indexed a.txt\n");
    CHECK_INT(n_items(&f), 2);
    unlink(tree_path(f.dir, "a.txt"));
    tree_put(tree_path(f.dir, "a.txt"), "cat\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_STR(f.log, "unchanged a.txt\n");
    CHECK_INT(f.result.n_chunks, 0);
    /* what becomes binary loses its items, and what becomes text again has them again */
    tree_write(tree_path(f.dir, "a.txt"), "\0\1\2\3", 4);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(f.result.n_skipped, 1);
    CHECK_INT(n_items(&f), 0);
    tree_put(tree_path(f.dir, "a.txt"), "cat\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(n_items(&f), 2);
end:
    folder_close(&f);
}

/* One of many paragraphs changes: its passage is embedded again, the others keep their vectors, bit for bit. */
static void edit_keeps_other_passages(void)
{
    folder f, fresh;
    memset(&fresh, 0, sizeof fresh);
    if (!folder_open(&f, "bert-mean") || !folder_open(&fresh, "bert-mean"))
        goto end;
    char text[4000];
    uint64_t n_tokens[2];
    for (int edited = 0; edited < 2; edited++) {
        size_t n = 0;
        for (int i = 0; i < 40; i++)
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  "## Part %d\n\nthe %s of market %d is the lovely one on mars in the night\n\n", i / 2,
                                  i == 17 && edited ? "cat" : "bicycle", i % 13);
        tree_put(tree_path(f.dir, "a.md"), text);
        CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
        CHECK_STR(f.log, "indexed a.md\n");
        n_tokens[edited] = f.result.n_tokens;
    }
    CHECK(n_tokens[0] > 400 && n_tokens[1] > 5 && n_tokens[1] * 5 < n_tokens[0]);
    tree_put(tree_path(fresh.dir, "a.md"), text);
    CHECK_OK(folder_ingest(&fresh, fresh.dir, NULL), &fresh.err);
    CHECK_INT(n_items(&f), n_items(&fresh));
    ilk_hits *page = NULL;
    CHECK_OK(ilk_store_scan(fresh.s, NULL, NULL, 1000, &page, &f.err), &f.err);
    for (size_t i = 0; i < ilk_hits_get_count(page, 0); i++) {
        ilk_hits *x = NULL, *y = NULL;
        const char *id = folder_hit(page, i).id;
        ilk_vector v, w;
        ilk_vector_init(&v);
        ilk_vector_init(&w);
        CHECK_OK(ilk_store_get(fresh.s, &id, 1, &x, &f.err), &f.err);
        CHECK_OK(ilk_store_get(f.s, &id, 1, &y, &f.err), &f.err);
        CHECK_STR(folder_hit(x, 0).text, folder_hit(y, 0).text);
        if (strchr(id, '#') && CHECK_OK(ilk_hits_get_vector(x, 0, 0, "text", &v, &f.err), &f.err) &&
            CHECK_OK(ilk_hits_get_vector(y, 0, 0, "text", &w, &f.err), &f.err))
            CHECK_FLOATS(v.data, w.data, v.dim, 0, 0);
        ilk_hits_free(x);
        ilk_hits_free(y);
    }
    ilk_hits_free(page);
end:
    if (fresh.top)
        folder_close(&fresh);
    folder_close(&f);
}

static void junk_is_named_and_passed_over(void)
{
    folder f;
    uid_t me = geteuid();
    if (!folder_open(&f, "bert-mean"))
        goto end;
    char *big = malloc(200000);
    TREE_NEED(big);
    memset(big, 'x', 200000);
    tree_put(tree_path(f.dir, "good.txt"), prose);
    tree_put(tree_path(f.dir, "empty.txt"), "");
    tree_put(tree_path(f.dir, "blank.txt"), " \n\n\t\n");
    tree_write(tree_path(f.dir, "image.png"), "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
    tree_write(tree_path(f.dir, "zeros.bin"), "ab\0\0\0\0\0\0cd", 10);
    tree_write(tree_path(f.dir, "broken.txt.gz"), "\x1f\x8b\x08\0\0\0\0\0\0\3junk", 14);
    tree_write(tree_path(f.dir, "big.txt"), big, 200000);
    tree_put(tree_path(f.dir, "na\xffme.txt"), "cat\n");
    tree_write(tree_path(f.dir, "latin.txt"), "Caf\xe9 M\xdcNCHEN\n", 13);
    tree_put(tree_path(f.dir, ".hidden.txt"), prose);
    tree_put(tree_path(f.dir, ".git/config"), prose);
    tree_put(tree_path(f.dir, "ignored/x.txt"), prose);
    tree_put(tree_path(f.dir, ".gitignore"), "ignored/\n");
    tree_put(tree_path(f.dir, "locked.txt"), prose);
    tree_put(tree_path(f.dir, "no-entry/x.txt"), prose);
    TREE_NEED(mkfifo(tree_path(f.dir, "pipe"), 0600) == 0);
    TREE_NEED(symlink("nowhere", tree_path(f.dir, "dangling.txt")) == 0);
    TREE_NEED(symlink("..", tree_path(f.dir, "loop")) == 0);
    TREE_NEED(symlink("good.txt", tree_path(f.dir, "twice.txt")) == 0);
    tree_put(tree_path(f.top, "far.txt"), prose);
    TREE_NEED(chmod(tree_path(f.top, "far.txt"), 0644) == 0);
    TREE_NEED(symlink("../far.txt", tree_path(f.dir, "link.txt")) == 0);
    free(big);
    ilk_ingest_options o = folder_options(&f);
    o.max_file_bytes = 100000;
    if (me == 0) { /* root may read everything: as somebody else, who owns the folder but for two places */
        char command[8300];
        snprintf(command, sizeof command, "chmod 755 '%s' && chown -R 65534 '%s'", f.top, f.dir);
        TREE_NEED(system(command) == 0);
        ilk_store_close(f.s);
        f.s = NULL;
    }
    TREE_NEED(chmod(tree_path(f.dir, "locked.txt"), 0) == 0);
    TREE_NEED(chmod(tree_path(f.dir, "no-entry"), 0) == 0);
    if (me == 0)
        TREE_NEED(seteuid(65534) == 0 && folder_open_store(&f, tree_path(f.dir, ".ilk")));
    for (int again = 0; again < 2; again++) {
        CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
        CHECK_TOLD(&f, again ? "unchanged good.txt" : "indexed good.txt");
        CHECK_TOLD(&f, again ? "unchanged link.txt" : "indexed link.txt");
        CHECK_TOLD(&f, again ? "unchanged na\xffme.txt" : "indexed na\xffme.txt");
        CHECK_TOLD(&f, again ? "unchanged latin.txt" : "indexed latin.txt");
        CHECK_TOLD(&f, "skipped empty.txt (empty file)");
        CHECK_TOLD(&f, "skipped big.txt (200000 bytes, the limit is 100000)");
        CHECK_TOLD(&f, "skipped pipe (a pipe, a socket or a device)");
        CHECK_TOLD(&f, "skipped dangling.txt (a dangling link)");
        CHECK(strstr(f.log, "skipped blank.txt (") && strstr(f.log, "skipped image.png (") &&
              strstr(f.log, "skipped zeros.bin (") && strstr(f.log, "skipped broken.txt.gz ("));
        CHECK(strstr(f.log, "failed locked.txt (") && strstr(f.log, "failed no-entry ("));
        CHECK(!strstr(f.log, "hidden") && !strstr(f.log, "ignored") && !strstr(f.log, ".git") &&
              !strstr(f.log, "loop") && !strstr(f.log, "twice"));
        CHECK_INT(f.result.n_failed, 2);
        CHECK_INT(f.result.n_skipped, 8);
        CHECK_INT(f.result.n_files, 14);
    }
    check_first_hit(&f, "cat", "na\xffme.txt", "cat", 1);
    o.strict = 1;
    CHECK_STATUS(folder_ingest(&f, f.dir, &o), ILK_IO, &f.err);
    CHECK(strstr(f.err.message, "locked.txt") || strstr(f.err.message, "no-entry"));
end:
    TREE_NEED(seteuid(me) == 0);
    folder_close(&f);
}

/* What cannot be read is not gone. */
static void unreadable_keeps_its_items(void)
{
    folder f;
    uid_t me = geteuid();
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "sub/a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "cat\n");
    ilk_store_close(f.s);
    f.s = NULL;
    if (me == 0) {
        char command[8300];
        snprintf(command, sizeof command, "chmod 755 '%s' && chown -R 65534 '%s'", f.top, f.dir);
        TREE_NEED(system(command) == 0 && seteuid(65534) == 0);
    }
    if (!folder_open_store(&f, tree_path(f.dir, ".ilk")))
        goto end;
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    uint64_t n = n_items(&f);
    CHECK_INT(n, 4);
    TREE_NEED(chmod(tree_path(f.dir, "sub"), 0) == 0);
    tree_put(tree_path(f.dir, "b.txt"), "cat and dogs\n");
    TREE_NEED(chmod(tree_path(f.dir, "b.txt"), 0) == 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK(strstr(f.log, "failed sub (") && strstr(f.log, "failed b.txt ("));
    CHECK_INT(f.result.n_removed, 0);
    CHECK_INT(n_items(&f), n);
    TREE_NEED(chmod(tree_path(f.dir, "sub"), 0700) == 0 && chmod(tree_path(f.dir, "b.txt"), 0600) == 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "unchanged sub/a.txt");
    CHECK_TOLD(&f, "indexed b.txt");
    CHECK_INT(n_items(&f), n);
end:
    TREE_NEED(seteuid(me) == 0);
    folder_close(&f);
}

static void duplicates_are_both_found(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "c.txt"), "cat\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    ilk_hits *h = folder_search(&f, "The red bicycle is lovely.", 2);
    CHECK_INT(ilk_hits_get_count(h, 0), 2);
    ilk_hit x = folder_hit(h, 0), y = folder_hit(h, 1);
    CHECK(x.path && y.path && strcmp(x.path, y.path) != 0 && strcmp(x.text, y.text) == 0);
    CHECK_NEAR((double)x.score, (double)y.score, 0);
    ilk_hits_free(h);
    /* the one moves, the other stays: the mover is recognised all the same */
    TREE_NEED(rename(tree_path(f.dir, "b.txt"), tree_path(f.dir, "d.txt")) == 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_TOLD(&f, "moved d.txt");
    CHECK_TOLD(&f, "unchanged a.txt");
    /* an exchange of two files is two changes */
    TREE_NEED(rename(tree_path(f.dir, "c.txt"), tree_path(f.dir, "t")) == 0 &&
              rename(tree_path(f.dir, "a.txt"), tree_path(f.dir, "c.txt")) == 0 &&
              rename(tree_path(f.dir, "t"), tree_path(f.dir, "a.txt")) == 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    check_first_hit(&f, "cat", "a.txt", "cat", 1);
    CHECK_INT(n_items(&f), 6);
end:
    folder_close(&f);
}

static void missing_files_and_prune(void)
{
    folder f;
    ilk_ingest_result r;
    ilk_ingest_result_init(&r);
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "cat\n");
    tree_put(tree_path(f.dir, "sub/b.txt"), prose);
    tree_put(tree_path(f.dir, "sub/c.txt"), "dogs\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    uint64_t n = n_items(&f);
    TREE_NEED(unlink(tree_path(f.dir, "sub/b.txt")) == 0);
    ilk_ingest_options o = folder_options(&f);
    o.keep_missing = 1;
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_INT(n_items(&f), n);
    CHECK_OK(folder_ingest(&f, tree_path(f.dir, "sub/c.txt"), NULL), &f.err); /* a file alone removes nothing */
    CHECK_INT(n_items(&f), n);
    f.n_log = 0;
    CHECK_OK(ilk_prune(f.s, 1, folder_tell, &f, NULL, &r, &f.err), &f.err);
    CHECK_STR(f.log, "removed sub/b.txt\n");
    CHECK_INT(n_items(&f), n);
    f.n_log = 0;
    CHECK_OK(ilk_prune(f.s, 0, folder_tell, &f, NULL, &r, &f.err), &f.err);
    CHECK_STR(f.log, "removed sub/b.txt\n");
    CHECK_INT(n_items(&f), 4);
    f.n_log = 0;
    f.log[0] = '\0';
    CHECK_OK(ilk_prune(f.s, 0, folder_tell, &f, NULL, NULL, &f.err), &f.err);
    CHECK_STR(f.log, "");
    /* a run over a part of the folder removes there alone; what is newly ignored goes too */
    TREE_NEED(unlink(tree_path(f.dir, "a.txt")) == 0);
    tree_put(tree_path(f.dir, "sub/.gitignore"), "c.*\n");
    CHECK_OK(folder_ingest(&f, tree_path(f.dir, "sub"), NULL), &f.err);
    CHECK_STR(f.log, "removed sub/c.txt\n");
    CHECK_INT(n_items(&f), 2);
    CHECK_STATUS(folder_ingest(&f, tree_path(f.dir, "nowhere"), NULL), ILK_NOT_FOUND, &f.err);
end:
    folder_close(&f);
}

static void files_outside_have_absolute_paths(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.top, "other/a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "cat\n");
    const char *paths[] = {strdup(tree_path(f.top, "other")), strdup(tree_path(f.top, "other/a.txt")), f.dir,
                           strdup(tree_path(f.dir, "b.txt"))};
    ilk_ingest_options o = folder_options(&f);
    CHECK_OK(ilk_ingest(f.s, &f.m, 1, paths, 4, &o, NULL, &f.result, &f.err), &f.err);
    CHECK_INT(f.result.n_indexed, 2); /* each once */
    ilk_hits *h = folder_search(&f, "The red bicycle is lovely.", 1);
    CHECK_STR(folder_hit(h, 0).path, tree_path(f.top, "other/a.txt"));
    ilk_hits_free(h);
    ilk_query q;
    ilk_query_init(&q);
    CHECK_OK(ilk_similar(f.s, tree_path(f.top, "other/a.txt"), &q, NULL, &h, &f.err), &f.err);
    CHECK_INT(ilk_hits_get_count(h, 0), 1);
    CHECK_STR(folder_hit(h, 0).path, "b.txt");
    ilk_hits_free(h);
    for (int i = 0; i < 4; i++)
        if (i != 2)
            free((void *)(uintptr_t)paths[i]);
end:
    folder_close(&f);
}

static void similar_leaves_itself_out(void)
{
    folder f;
    ilk_hits *h = NULL;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "The red bicycle is lovely!\n");
    tree_put(tree_path(f.dir, "c.txt"), prose);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_OK(ilk_similar(f.s, "a.txt", NULL, NULL, &h, &f.err), &f.err);
    CHECK(ilk_hits_get_count(h, 0) >= 2);
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++)
        CHECK(strcmp(folder_hit(h, i).path, "a.txt") != 0);
    char id[128];
    snprintf(id, sizeof id, "%s", folder_hit(h, 0).id);
    ilk_hits_free(h);
    CHECK_OK(ilk_similar(f.s, id, NULL, NULL, &h, &f.err), &f.err); /* a passage */
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++)
        CHECK(strcmp(folder_hit(h, i).id, id) != 0);
    ilk_hits_free(h);
    CHECK_STATUS(ilk_similar(f.s, "nothing", NULL, NULL, &h, &f.err), ILK_NOT_FOUND, &f.err);
    CHECK(h == NULL && strstr(f.err.message, "nothing"));
end:
    folder_close(&f);
}

static void settings_and_models(void)
{
    folder f;
    ilk_model *other = NULL;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), prose);
    tree_put(tree_path(f.dir, "bad.bin"), "\1\2\3");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    ilk_ingest_options o = folder_options(&f);
    o.chunk_tokens = 12;
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "indexed a.txt");
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "unchanged a.txt");
    o.overlap_tokens = 6;
    CHECK_STATUS(folder_ingest(&f, f.dir, &o), ILK_BAD_ARGUMENT, &f.err);
    o.overlap_tokens = 2;
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK_TOLD(&f, "indexed a.txt");
    o.chunk_tokens = 1000;
    CHECK_STATUS(folder_ingest(&f, f.dir, &o), ILK_LIMIT, &f.err);
    /* vectors of two models are not mixed */
    if (!CHECK_OK(ilk_model_open(&other, f.rt, tree_path(ILK_TEST_DIR, "fixtures/bert-cls"), NULL, &f.err), &f.err))
        goto end;
    ilk_model *mine = f.m;
    f.m = other;
    CHECK_STATUS(folder_ingest(&f, f.dir, NULL), ILK_MISMATCH, &f.err);
    CHECK(strstr(f.err.message, "bert-mean") && strstr(f.err.message, "bert-cls"));
    ilk_part part;
    ilk_input in;
    ilk_hits *h = NULL;
    ilk_part_init(&part);
    ilk_input_init(&in);
    part.kind = ILK_PART_TEXT;
    part.modality = ILK_TEXT;
    part.data = "cat";
    part.n_bytes = 3;
    in.parts = &part;
    in.n_parts = 1;
    CHECK_STATUS(ilk_search(f.s, other, &in, NULL, NULL, &h, &f.err), ILK_MISMATCH, &f.err);
    CHECK(!h && strstr(f.err.message, "bert-mean") && strstr(f.err.message, "bert-cls"));
    f.m = mine;
    /* unless both are asked for: then an item has a vector of each */
    ilk_model *both[] = {mine, other};
    const char *dir = f.dir;
    o = folder_options(&f);
    CHECK_OK(ilk_ingest(f.s, both, 2, &dir, 1, &o, NULL, &f.result, &f.err), &f.err);
    CHECK_INT(f.result.n_indexed, 1);
    CHECK_OK(ilk_search(f.s, other, &in, NULL, NULL, &h, &f.err), &f.err);
    CHECK(ilk_hits_get_count(h, 0) > 0);
    CHECK(strstr(folder_hit(h, 0).model, "bert-cls"));
    ilk_hits_free(h);
end:
    ilk_model_close(other);
    folder_close(&f);
}

typedef struct stopper {
    ilk_job *job;
    uint64_t n, at, last_total;
    bool back;
} stopper;

static void stop_after(void *user, const ilk_event *e)
{
    stopper *s = user;
    if (e->kind == ILK_EVENT_INDEXED && ++s->n == s->at)
        ilk_job_cancel(s->job);
}
static void see_progress(void *user, const ilk_progress *p)
{
    stopper *s = user;
    s->back |= p->total && p->done > p->total;
    s->last_total = p->total;
}

static void cancelled_run_is_resumed(void)
{
    folder f;
    stopper s = {.at = 1};
    ilk_job_options jo;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    for (int i = 0; i < 3000; i++) {
        char text[64];
        snprintf(text, sizeof text, "seven dogs crashed in market %d\n", i);
        tree_put(tree_path(f.dir, "d%d/f%04d.txt", i % 7, i), text);
    }
    ilk_job_options_init(&jo);
    jo.progress = see_progress;
    jo.progress_user = &s;
    s.job = ilk_job_new(&jo);
    ilk_ingest_options o = folder_options(&f);
    o.event = stop_after;
    o.event_user = &s;
    const char *dir = f.dir;
    CHECK_STATUS(ilk_ingest(f.s, &f.m, 1, &dir, 1, &o, s.job, &f.result, &f.err), ILK_CANCELLED, &f.err);
    CHECK(f.result.n_indexed > 0 && f.result.n_indexed < 3000);
    uint64_t first = f.result.n_indexed;
    ilk_job_free(s.job);
    s = (stopper){.job = ilk_job_new(&jo)};
    CHECK_OK(ilk_ingest(f.s, &f.m, 1, &dir, 1, &o, s.job, &f.result, &f.err), &f.err);
    CHECK_INT(f.result.n_indexed, 3000 - first);
    CHECK_INT(f.result.n_unchanged, first);
    CHECK_INT(n_items(&f), 6000);
    CHECK(!s.back);
    CHECK_INT(s.last_total, 3000);
    ilk_job_free(s.job);
end:
    folder_close(&f);
}

static void bad_arguments(void)
{
    folder f;
    ilk_hits *h = NULL;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    const char *dir = f.dir, *none = NULL;
    CHECK_STATUS(ilk_ingest(NULL, &f.m, 1, &dir, 1, NULL, NULL, NULL, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_ingest(f.s, &f.m, 0, &dir, 1, NULL, NULL, NULL, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_ingest(f.s, &f.m, 1, &none, 1, NULL, NULL, NULL, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_ingest(f.s, &f.m, 1, NULL, 0, NULL, NULL, NULL, &f.err), ILK_BAD_ARGUMENT, &f.err);
    ilk_ingest_options o = folder_options(&f);
    o.n_exclude = 1;
    CHECK_STATUS(folder_ingest(&f, f.dir, &o), ILK_BAD_ARGUMENT, &f.err);
    o.size = 3;
    CHECK_STATUS(folder_ingest(&f, f.dir, &o), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_search(f.s, NULL, NULL, NULL, NULL, &h, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_search(f.s, f.m, NULL, NULL, NULL, &h, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_similar(f.s, "", NULL, NULL, &h, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_STATUS(ilk_prune(NULL, 0, NULL, NULL, NULL, NULL, &f.err), ILK_BAD_ARGUMENT, &f.err);
    CHECK_OK(ilk_ingest(f.s, &f.m, 1, &dir, 1, NULL, NULL, NULL, &f.err), &f.err);
end:
    folder_close(&f);
}

typedef struct ticks {
    uint64_t begun, last, longest;
} ticks;

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void see_tick(void *user, const ilk_progress *p)
{
    ticks *t = user;
    uint64_t now = clock_ns();
    (void)p;
    t->longest = now - t->last > t->longest ? now - t->last : t->longest;
    t->last = now;
}

/* Nobody waits for the end of a long file without a word. */
static void progress_while_embedding(void)
{
    enum { N_LINES = 40000 };
    folder f;
    char *text = malloc(N_LINES * 40), *p = text;
    if (!folder_open(&f, "bert-mean") || !CHECK(text != NULL))
        goto end;
    for (int i = 0; i < N_LINES; i++)
        p += sprintf(p, "seven dogs crashed in market %d.\n\n", i);
    tree_write(tree_path(f.dir, "a.txt"), text, (size_t)(p - text));
    ticks t = {.begun = clock_ns()};
    t.last = t.begun;
    ilk_job_options jo;
    ilk_job_options_init(&jo);
    jo.progress = see_tick;
    jo.progress_user = &t;
    ilk_job *job = ilk_job_new(&jo);
    ilk_ingest_options o = folder_options(&f);
    const char *dir = f.dir;
    CHECK_OK(ilk_ingest(f.s, &f.m, 1, &dir, 1, &o, job, &f.result, &f.err), &f.err);
    uint64_t all = clock_ns() - t.begun;
    CHECK_THAT(all < 300000000 || t.longest < all / 10 * 7, "silent for %g of %g s", (double)t.longest * 1e-9,
               (double)all * 1e-9);
    ilk_job_free(job);
end:
    free(text);
    folder_close(&f);
}

/* The passage of `path` that begins at a line; its lines, text and heading path. */
static void check_passage(folder *f, const char *path, uint32_t first, uint32_t last, const char *text,
                          const char *context)
{
    ilk_hits *h = folder_search(f, "cat", 100);
    size_t n_found = 0;
    for (size_t i = 0; i < ilk_hits_get_count(h, 0); i++) {
        ilk_hit hit = folder_hit(h, i);
        if (strcmp(hit.path, path) != 0 || hit.segment.line_first != first)
            continue;
        n_found++;
        CHECK_INT(hit.segment.line_last, last);
        CHECK_STR(hit.text, text);
        const char *got = "";
        for (size_t k = 0; k < hit.n_fields; k++)
            if (strcmp(hit.fields[k].name, "context") == 0)
                got = hit.fields[k].value.text;
        CHECK_STR(got, context);
    }
    CHECK_THAT(n_found == 1, "%s:%u: %zu passages", path, first, n_found);
    ilk_hits_free(h);
}

/* Neighbours of a word or two under one heading are one passage; a longer one, or one under another heading, is not. */
static void tiny_sections_are_joined(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    ilk_ingest_options o = folder_options(&f);
    o.chunk_tokens = 16; /* so that four tokens are not small any more */
    tree_put(tree_path(f.dir, "a.md"), "# X\n\n## A\n\nred\n\n## B\n\ncat\n\n### D\n\ndeep\n\n## C\n\n"
                                       "deep learning in the market\n\n## E\n\nred\n\n# Y\n\ncat\n\n# Z\n\ndeep\n");
    tree_put(tree_path(f.dir, "b.c"), "cat;\nint a(void)\n{\n}\n\ndeep;\n");
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    check_passage(&f, "a.md", 5, 9, "red\n\n## B\n\ncat", "X");
    check_passage(&f, "a.md", 13, 13, "deep", "X > B > D");
    check_passage(&f, "a.md", 17, 17, "deep learning in the market", "X > C");
    check_passage(&f, "a.md", 21, 21, "red", "X > E");
    check_passage(&f, "a.md", 25, 29, "cat\n\n# Z\n\ndeep", "");
    CHECK_INT(f.result.n_chunks, 8);
end:
    folder_close(&f);
}

TEST_MAIN({"first_run_and_again", first_run_and_again}, {"changes_moves_removals", changes_moves_removals},
          {"shorter_version", shorter_version}, {"progress_while_embedding", progress_while_embedding},
          {"tiny_sections_are_joined", tiny_sections_are_joined},
          {"edit_keeps_other_passages", edit_keeps_other_passages},
          {"junk_is_named_and_passed_over", junk_is_named_and_passed_over},
          {"unreadable_keeps_its_items", unreadable_keeps_its_items},
          {"duplicates_are_both_found", duplicates_are_both_found},
          {"missing_files_and_prune", missing_files_and_prune},
          {"files_outside_have_absolute_paths", files_outside_have_absolute_paths},
          {"similar_leaves_itself_out", similar_leaves_itself_out}, {"settings_and_models", settings_and_models},
          {"cancelled_run_is_resumed", cancelled_run_is_resumed}, {"bad_arguments", bad_arguments})
