/* SPDX-License-Identifier: Apache-2.0
 * Kinds that are recognised here and read by the helper program. The first bytes decide; where they only say "ZIP", the
 * names or the declared type in it do, and then the extension. */
#include <string.h>
#include <strings.h>

#include "docs/docs.h"
#include "docs/kinds.h"

/* What the first entry of the container holds, uncompressed, in EPUB and OpenDocument: header of 30 bytes, name, type. */
static bool zip_has_type(const char *p, size_t n, const char *type)
{
    static const char name[] = "mimetype";
    size_t at = 30 + sizeof name - 1, n_type = strlen(type);
    return n >= at + n_type && memcmp(p + 30, name, sizeof name - 1) == 0 && memcmp(p + at, type, n_type) == 0;
}

static bool is_zip(const char *p, size_t n)
{
    return n >= 4 && memcmp(p, "PK\003\004", 4) == 0;
}

static bool is_pdf(const char *name, const char *p, size_t n)
{
    (void)name;
    return n >= 5 && memcmp(p, "%PDF-", 5) == 0;
}

static bool is_epub(const char *name, const char *p, size_t n)
{
    return is_zip(p, n) && (zip_has_type(p, n, "application/epub+zip") || ilki_docs_has_suffix(name, ".epub"));
}

static bool is_odt(const char *name, const char *p, size_t n)
{
    return is_zip(p, n) && (zip_has_type(p, n, "application/vnd.oasis.opendocument.text") ||
                            ilki_docs_has_suffix(name, ".odt") || ilki_docs_has_suffix(name, ".ott"));
}

static bool is_docx(const char *name, const char *p, size_t n)
{
    static const char part[] = "word/document.xml";
    bool named = ilki_docs_has_suffix(name, ".docx") || ilki_docs_has_suffix(name, ".docm") ||
                 ilki_docs_has_suffix(name, ".dotx");
    return is_zip(p, n) && (named || memmem(p, n, part, sizeof part - 1) != NULL);
}

/* "<!doctype html" or "<html" behind white space, comments and an XML declaration. */
static bool looks_like_html(const char *p, size_t n)
{
    size_t at = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (;;) {
        while (at < n && strchr(" \t\r\n\f", p[at]) && p[at])
            at++;
        const char *end = NULL;
        if (n - at > 4 && memcmp(p + at, "<!--", 4) == 0)
            end = memmem(p + at, n - at, "-->", 3);
        else if (n - at > 5 && memcmp(p + at, "<?xml", 5) == 0)
            end = memchr(p + at, '>', n - at);
        else
            return (n - at >= 14 && strncasecmp(p + at, "<!doctype html", 14) == 0) ||
                   (n - at >= 6 && strncasecmp(p + at, "<html", 5) == 0 && strchr(" >\t\r\n", p[at + 5]));
        if (!end)
            return false;
        at = (size_t)(end - p) + (*end == '-' ? 3 : 1);
    }
}

static bool is_html(const char *name, const char *p, size_t n)
{
    static const char *const suffixes[] = {".html", ".htm", ".xhtml", ".xht", ".shtml"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ilki_docs_has_suffix(name, suffixes[i]))
            return true;
    /* a program or a guide that begins with a piece of HTML stays what it is */
    return looks_like_html(p, n) && !ilki_docs_language(name, p, n) && !ilki_docs_has_suffix(name, ".md") &&
           !ilki_docs_has_suffix(name, ".rst");
}

static const struct {
    bool (*probe)(const char *name, const char *head, size_t n);
    ilki_doc_outside is;
} outside[] = {
    {is_pdf, {"pdf", "a PDF document", "pdf", true, false}},
    {is_epub, {"epub", "an EPUB book", "epub", false, false}},
    {is_odt, {"odt", "an OpenDocument text", "odt", false, false}},
    {is_docx, {"docx", "a Word document", "docx", false, false}},
    {is_html, {"html", "an HTML page", "html", false, true}},
};

const ilki_doc_outside *ilki_docs_find_outside(const char *name, const void *head, size_t n)
{
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (outside[i].probe(name, head, n))
            return &outside[i].is;
    return NULL;
}
