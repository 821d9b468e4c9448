/* SPDX-License-Identifier: Apache-2.0
 * A document apart from a store: passages as an ingest cuts them, sections as they are, what a file is, what is refused. */
#include "folder.h"

static const char guide[] =
    "# Guide\n\n## Install\n\nPut the file into the folder and run it. Then wait for the light to "
    "turn green, and open the door with the key that came in the box.\n\n## Remove\n\nTake the "
    "file out of the folder again.\n";

static ilk_passage passage(const ilk_document *d, size_t i)
{
    ilk_passage p;
    ilk_passage_init(&p);
    CHECK_OK(ilk_document_get_passage(d, i, &p, NULL), NULL);
    return p;
}

static void passages(void)
{
    folder f;
    ilk_document *d = NULL;
    ilk_document_info info;
    ilk_document_options opt;
    ilk_document_info_init(&info);
    if (!folder_open(&f, "bert-mean"))
        goto end;
    char *path = strdup(tree_path(f.dir, "guide.md"));
    tree_put(path, guide);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    REQUIRE(CHECK_OK(ilk_document_open(&d, f.rt, f.m, path, NULL, NULL, &f.err), &f.err));
    CHECK_OK(ilk_document_get_info(d, &info, &f.err), &f.err);
    CHECK_STR(info.kind, "markdown");
    CHECK_STR(info.title, "Guide");
    CHECK_INT(info.n_passages, f.result.n_chunks); /* as many as the ingest made */
    CHECK(info.n_passages >= 2);
    ilk_hits *all = NULL;
    CHECK_OK(ilk_store_scan(f.s, NULL, NULL, 100, &all, &f.err), &f.err);
    size_t n_same = 0;
    for (size_t i = 0; i < info.n_passages; i++) {
        ilk_passage p = passage(d, i);
        CHECK_INT(p.segment.chunk, i);
        CHECK(p.segment.line_first >= 1 && p.segment.line_last >= p.segment.line_first);
        CHECK(p.n_input >= p.n_bytes && memcmp(p.input + p.n_input - p.n_bytes, p.text, p.n_bytes) == 0);
        for (size_t k = 0; k < ilk_hits_get_count(all, 0); k++) {
            ilk_hit h = folder_hit(all, k);
            n_same += h.text && h.segment.chunk == i && strlen(h.text) == p.n_bytes &&
                      memcmp(h.text, p.text, p.n_bytes) == 0;
        }
    }
    CHECK_INT(n_same, info.n_passages);
    ilk_hits_free(all);
    ilk_passage none;
    ilk_passage_init(&none);
    CHECK_STATUS(ilk_document_get_passage(d, info.n_passages, &none, &f.err), ILK_NOT_FOUND, &f.err);
    ilk_document_close(d);
    CHECK_OK(ilk_document_open(&d, f.rt, NULL, path, NULL, NULL, &f.err), &f.err); /* sections */
    CHECK_OK(ilk_document_get_info(d, &info, &f.err), &f.err);
    CHECK_INT(info.n_passages, 2);
    CHECK_STR(passage(d, 1).context, "Guide > Remove");
    CHECK(strncmp(passage(d, 1).text, "Take the file", 13) == 0);
    ilk_document_close(d);
    ilk_document_options_init(&opt);
    opt.chunk_tokens = 8;
    opt.overlap_tokens = 0;
    CHECK_OK(ilk_document_open(&d, f.rt, f.m, path, &opt, NULL, &f.err), &f.err);
    ilk_document_info more = info;
    CHECK_OK(ilk_document_get_info(d, &more, &f.err), &f.err);
    CHECK(more.n_passages > 4);
    ilk_document_close(d);
    opt.max_file_bytes = 10;
    CHECK_STATUS(ilk_document_open(&d, f.rt, f.m, path, &opt, NULL, &f.err), ILK_UNSUPPORTED, &f.err);
    CHECK_THAT(strstr(f.err.message, "guide.md: ") && strstr(f.err.message, "the limit is 10"), "%s", f.err.message);
    ilk_document_close(NULL);
    free(path);
end:
    folder_close(&f);
}

static void of_the_helper(void)
{
    folder f;
    ilk_document *d = NULL;
    ilk_document_info info;
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilk_document_info_init(&info);
    ilk_runtime_options_init(&ro);
    ro.media_helper = ILK_TEST_MEDIA;
    if (!folder_open(&f, "bert-mean") || !CHECK_OK(ilk_runtime_open(&rt, &ro, &f.err), &f.err))
        goto end;
    CHECK_OK(ilk_document_open(&d, rt, NULL, ILK_TEST_DIR "/fixtures/documents/report.docx", NULL, NULL, &f.err),
             &f.err);
    CHECK_OK(ilk_document_get_info(d, &info, &f.err), &f.err);
    CHECK_STR(info.kind, "docx");
    CHECK(info.n_passages > 0 && passage(d, 0).segment.line_first == ILK_ABSENT);
    ilk_document_close(d);
    CHECK_STATUS(
        ilk_document_open(&d, rt, NULL, ILK_TEST_DIR "/fixtures/picture-files/png-one.png", NULL, NULL, &f.err),
        ILK_UNSUPPORTED, &f.err);
    CHECK_THAT(strstr(f.err.message, "png-one.png: a picture (png)"), "%s", f.err.message);
    CHECK_STATUS(ilk_document_open(&d, rt, NULL, tree_path(f.top, "absent"), NULL, NULL, &f.err), ILK_NOT_FOUND,
                 &f.err);
    CHECK(d == NULL);
end:
    ilk_runtime_close(rt);
    folder_close(&f);
}

static void probe(void)
{
    static const struct {
        const char *name, *head;
        size_t n;
        ilk_status status;
        const char *kind; /* or what is said */
        int plain;
    } files[] = {
        {"a.txt", "hello", 5, ILK_OK, "text", 1},
        {"a.html", "hello", 5, ILK_OK, "html", 0},
        {"a", "%PDF-1.4", 8, ILK_OK, "pdf", 0},
        {"a.txt", "\xff\xd8\xff\xe0", 4, ILK_OK, "jpeg", 0},
        {"a.png", "\x89PNG\r\n\x1a\n", 8, ILK_OK, "png", 0},
        {"a.mp4",
         "\0\0\0\x18"
         "ftypisom",
         12, ILK_UNSUPPORTED, "a video", 0},
        {"a", "\0\1\2", 3, ILK_UNSUPPORTED, "a binary file", 0},
        {"a", "", 0, ILK_UNSUPPORTED, "empty file", 0},
    };
    ilk_error err;
    ilk_file_info info;
    ilk_error_init(&err);
    ilk_file_info_init(&info);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        CHECK_STATUS(ilk_file_probe(files[i].name, files[i].head, files[i].n, &info, &err), files[i].status, &err);
        if (files[i].status == ILK_OK) {
            CHECK_STR(info.kind, files[i].kind);
            CHECK_INT(info.plain, files[i].plain);
            bool picture = strcmp(info.kind, "jpeg") == 0 || strcmp(info.kind, "png") == 0;
            CHECK_INT(info.modality, picture ? ILK_IMAGE : ILK_TEXT);
        } else {
            CHECK_THAT(strstr(err.message, files[i].kind), "%s", err.message);
        }
    }
    CHECK_STATUS(ilk_file_probe(NULL, "", 0, &info, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_file_probe("a", NULL, 1, &info, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_file_probe("a", "b", 1, NULL, &err), ILK_BAD_ARGUMENT, &err);
}

TEST_MAIN({"passages", passages}, {"of_the_helper", of_the_helper}, {"probe", probe})
