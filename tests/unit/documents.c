/* SPDX-License-Identifier: Apache-2.0
 * Documents of every kind, through the real helper: tests/fixtures/documents and what tools/make_documents.py says must
 * come out of each; broken and hostile ones; what a build lacks. */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/vfs.h"
#include "docs/docs.h"
#include "media/media.h"
#include "media_test.h"
#include "test.h"

/* As src/engine/by_helper.c reads a file, with a little less to say about it. */
static ilk_status read_bytes(ilki_media *m, const char *name, const char *data, size_t n, ilki_doc **doc,
                             ilk_error *err)
{
    const ilki_doc_outside *o = ilki_docs_outside(name, data, n);
    ilki_media_result r = {.data = NULL};
    ilki_media_converted c = {.out = NULL};
    ilki_buf ops;
    *doc = NULL;
    if (!o)
        return ilki_docs_read(doc, name, data, n, 0, err);
    ilk_status st = ilki_media_check(m, o->reader, NULL, err);
    if (st != ILK_OK)
        return st;
    if (o->converter) {
        st = ilki_media_convert(m, o->reader, data, n, 1 << 20, 20, NULL, &c, err);
        if (st == ILK_OK && c.exit_status)
            st = strstr(c.said, "password") ? ILK_UNSUPPORTED : ILK_BAD_FORMAT;
        if (st == ILK_OK)
            st = ilki_docs_read_pages(doc, o->kind, c.out, c.n_out, err);
        free(c.out);
        return st;
    }
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_open(&ops, o->reader);
    ilki_media_add_text(&ops, 32 << 20);
    st = ilki_media_run(m, data, n, &ops, 20, NULL, &r, err);
    if (st == ILK_OK)
        st = ilki_docs_unpack(doc, o->kind, r.data, (size_t)r.about.n_bytes, 32 << 20, err);
    free(r.data);
    ilki_base_buf_deinit(&ops);
    return st;
}

static ilk_status read_file(ilki_media *m, const char *path, ilki_doc **doc, ilk_error *err)
{
    char *data;
    size_t n;
    *doc = NULL;
    ilk_status st = ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 24, &data, &n, err);
    if (st != ILK_OK)
        return st;
    st = read_bytes(m, path, data, n, doc, err);
    free(data);
    return st;
}

/* In the form of the expected files. */
static char *dump(const ilki_doc *doc)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 24);
    ilki_base_buf_addf(&b, "%s|%s\n", doc->title ? doc->title : "", doc->note ? doc->note : "");
    for (size_t i = 0; i < doc->n_segments; i++) {
        const ilki_doc_segment *s = &doc->segments[i];
        ilki_base_buf_addf(&b, "%s|%u|%u-%u|", s->context, s->page, s->line_first, s->line_last);
        for (size_t k = s->start; k < s->end; k++)
            if (doc->text[k] == '\n')
                ilki_base_buf_adds(&b, "\\n");
            else
                ilki_base_buf_addc(&b, doc->text[k]);
        ilki_base_buf_addc(&b, '\n');
    }
    return ilki_base_buf_take(&b, NULL);
}

static const char folder[] = ILK_TEST_DIR "/fixtures/documents";

static void check_golden(ilki_media *m, const char *expected, int *n, int *n_lacking)
{
    char path[4096];
    char *want = NULL;
    size_t n_want;
    ilk_error err;
    ilki_doc *doc;
    ilk_error_init(&err);
    snprintf(path, sizeof path, "%s/%s", folder, expected);
    if (!CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &want, &n_want, &err), &err))
        return;
    path[strlen(path) - strlen(".expected")] = '\0';
    ilk_status st = read_file(m, path, &doc, &err);
    if (st == ILK_UNSUPPORTED && strstr(err.message, "not supported by this build")) {
        ++*n_lacking;
    } else if (CHECK_THAT(st == ILK_OK, "%s: %s", path, err.message)) {
        char *got = dump(doc);
        CHECK_THAT(got && strcmp(got, want) == 0, "%s:\n--- got\n%s--- want\n%s", path, got, want);
        free(got);
        ++*n;
    }
    ilki_docs_free(doc);
    free(want);
}

static void goldens(void)
{
    int n = 0, n_lacking = 0;
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t len = strlen(e->d_name);
        if (len > 9 && strcmp(e->d_name + len - 9, ".expected") == 0)
            check_golden(m, e->d_name, &n, &n_lacking);
    }
    if (d)
        closedir(d);
    printf("%d documents, %d of kinds that this build lacks\n", n, n_lacking);
    CHECK(n >= 5 && n + n_lacking >= 20);
    ilki_media_free(m);
}

static bool fits(const char *name, ilk_status st)
{
    if (strncmp(name, "bad-", 4) == 0)
        return st == ILK_BAD_FORMAT;
    if (strncmp(name, "limit-or-bad-", 13) == 0)
        return st == ILK_LIMIT || st == ILK_BAD_FORMAT;
    return st == (strncmp(name, "limit-", 6) == 0 ? ILK_LIMIT : ILK_UNSUPPORTED);
}

static void junk(void)
{
    char path[4096];
    int n = 0;
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    snprintf(path, sizeof path, "%s/junk", folder);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)); n++) {
        ilk_error err;
        ilki_doc *doc;
        ilk_error_init(&err);
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/junk/%s", folder, e->d_name);
        ilk_status st = read_file(m, path, &doc, &err);
        bool lacking = st == ILK_UNSUPPORTED && strstr(err.message, "not supported by this build");
        CHECK_THAT(lacking || fits(e->d_name, st), "%s: got \"%s\": %s", e->d_name, ilk_status_string(st), err.message);
        CHECK_THAT(!strstr(err.message, "crashed"), "%s: %s", e->d_name, err.message);
        ilki_docs_free(doc);
    }
    if (d)
        closedir(d);
    CHECK(n >= 15);
    ilki_media_free(m);
}

/* Beginnings of every small document: an answer, whatever it is, and no crash. */
static void cut(void)
{
    static const char *const names[] = {"report.docx", "soup.odt", "book.epub", "page.html"};
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char path[4096], *data;
        size_t n;
        ilk_error err;
        ilk_error_init(&err);
        snprintf(path, sizeof path, "%s/%s", folder, names[k]);
        REQUIRE(CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &data, &n, &err), &err));
        for (size_t len = 4; len < n; len += 41) {
            ilki_doc *doc;
            read_bytes(m, names[k], data, len, &doc, &err);
            CHECK_THAT(!strstr(err.message, "crashed"), "%s, %zu bytes: %s", names[k], len, err.message);
            ilki_docs_free(doc);
        }
        free(data);
    }
    ilki_media_free(m);
}

static void deep(void)
{
    enum { DEPTH = 300000 };
    ilk_error err;
    ilki_doc *doc;
    ilk_error_init(&err);
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 24);
    for (int i = 0; i < DEPTH; i++)
        ilki_base_buf_adds(&b, "<b><p>");
    ilki_base_buf_adds(&b, "bottom");
    ilk_status st = read_bytes(m, "a.html", b.data, b.len, &doc, &err);
    CHECK_THAT(st == ILK_OK || st == ILK_UNSUPPORTED || st == ILK_LIMIT, "%s", err.message);
    if (st == ILK_OK)
        CHECK(doc->n_segments == 1 && strstr(doc->text, "bottom"));
    ilki_docs_free(doc);
    ilki_base_buf_deinit(&b);
    ilki_media_free(m);
}

/* A converter is stopped by its time and by the job, and leaves nothing behind. */
static void converter(void)
{
    ilk_error err;
    ilki_media_converted c;
    ilk_error_init(&err);
    ilki_media *m = media_helper();
    if (!m || ilki_media_check(m, "pdf", NULL, &err) != ILK_OK) {
        ilki_media_free(m);
        TEST_SKIP("pdftotext is not installed (Debian: poppler-utils)");
    }
    CHECK_STATUS(ilki_media_convert(m, "html", "x", 1, 100, 20, NULL, &c, &err), ILK_UNSUPPORTED, &err);
    CHECK(c.out == NULL);
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    CHECK_STATUS(ilki_media_convert(m, "pdf", "x", 1, 100, 5, job, &c, &err), ILK_CANCELLED, &err);
    ilk_job_free(job);
    CHECK_STATUS(ilki_media_convert(m, "pdf", "%PDF-1.4\n", 9, 100, 1e-9, NULL, &c, &err), ILK_LIMIT, &err);
    CHECK_OK(ilki_media_convert(m, "pdf", "%PDF-1.4\n", 9, 100, 20, NULL, &c, &err), &err);
    CHECK_INT(c.exit_status, 1);
    CHECK(c.said[0] != '\0');
    free(c.out);
    ilki_media_free(m);
}

TEST_MAIN({"goldens", goldens}, {"junk", junk}, {"cut", cut}, {"deep", deep}, {"converter", converter})
