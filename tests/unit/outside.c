/* SPDX-License-Identifier: Apache-2.0
 * Which files are of kinds that the helper program reads: first bytes first, then names. */
#include "docs/docs.h"
#include "test.h"

#define ZIP(name) "PK\003\004\024\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\010\0\0\0" name

static void kinds(void)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *kind; /* NULL: not of these */
    } cases[] = {
        {"a.pdf", "%PDF-1.4 x", 10, "pdf"},
        {"a.txt", "%PDF-1.4 x", 10, "pdf"},
        {"a.pdf", "plain text", 10, NULL},
        {"a.bin", ZIP("mimetypeapplication/epub+zip"), 58, "epub"},
        {"a.docx", ZIP("mimetypeapplication/epub+zip"), 58, "epub"},
        {"a.zip", ZIP("mimetypeapplication/vnd.oasis.opendocument.text"), 77, "odt"},
        {"a.zip", ZIP("word/document.xml"), 47, "docx"},
        {"a.docx", ZIP("xl/workbook.xml"), 45, "docx"},
        {"A.DOCX", ZIP("x"), 31, "docx"},
        {"a.epub", ZIP("x"), 31, "epub"},
        {"a.zip", ZIP("x"), 31, NULL},
        {"a.html", "anything", 8, "html"},
        {"dir/A.HTM", "anything", 8, "html"},
        {"a", "\xef\xbb\xbf \n<!-- x --><!DOCTYPE HTML><p>", 33, "html"},
        {"a", "<?xml version='1.0'?>\n<html lang='en'>", 38, "html"},
        {"a", "<htmlish>", 9, NULL},
        {"a", "<!-- never closed <html>", 24, NULL},
        {"a", "<html", 5, NULL},
        {"a.md", "<html>\n# Title", 14, NULL},
        {"a.c", "<html> of no use", 16, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const ilki_doc_outside *o = ilki_docs_outside(cases[i].name, cases[i].bytes, cases[i].n);
        CHECK_STR(o ? o->kind : NULL, cases[i].kind);
        if (!o)
            continue;
        ilki_doc *doc = NULL;
        ilk_error err;
        ilk_error_init(&err);
        CHECK_OK(ilki_docs_probe(cases[i].name, cases[i].bytes, cases[i].n, &err), &err);
        CHECK_STATUS(ilki_docs_read(&doc, cases[i].name, cases[i].bytes, cases[i].n, 0, &err), ILK_UNSUPPORTED, &err);
        CHECK(strstr(err.message, "helper") != NULL);
    }
}

/* A page with NULs is none; in UTF-16 they are half of it. */
static void binary(void)
{
    CHECK_STATUS(ilki_docs_probe("a.html", "<p>\0\0\0\0", 7, NULL), ILK_UNSUPPORTED, NULL);
    CHECK_OK(ilki_docs_probe("a.html", "\xff\xfe<\0p\0>\0", 8, NULL), NULL);
}

TEST_MAIN({"kinds", kinds}, {"binary", binary})
