/* SPDX-License-Identifier: Apache-2.0
 * EPUB: META-INF/container.xml names the package, the package its chapters in the order of reading (the spine), and each
 * chapter is a page of XHTML, read as HTML since not all are well-formed. */
#include "documents.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "charset.h"
#include "html.h"
#include "office.h"

#if ILK_MEDIA_DOCS

enum { MAX_PATH = 1024, MAX_ID = 200 };

typedef struct item {
    char id[MAX_ID], path[MAX_PATH];
} item;

typedef struct book {
    char package[MAX_PATH];
    item *items;
    size_t n_items, cap_items;
    char (*spine)[MAX_ID];
    size_t n_spine, cap_spine;
    bool failed; /* out of memory */
} book;

static bool wanted(const char *name)
{
    static const char *const suffixes[] = {".xml", ".opf", ".xhtml", ".html", ".htm", ".xht"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ilki_docs_has_suffix(name, suffixes[i]))
            return true;
    return false;
}

/* ---- the package */

static void container_start(void *user, const char *name, const media_xml_attributes *a)
{
    book *b = user;
    if (strcmp(name, "rootfile") == 0 && !*b->package)
        media_xml_attribute(a, "full-path", b->package, sizeof b->package);
}

static int hex(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* %20 and the like, in place; what is behind a '#' goes. */
static void decode_href(char *s)
{
    char *to = s;
    for (; *s && *s != '#'; s++) {
        if (*s == '%' && hex(s[1]) >= 0 && hex(s[2]) >= 0) {
            *to++ = (char)(hex(s[1]) * 16 + hex(s[2]));
            s += 2;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* href within the folder of the package, "../" resolved. */
static void join(const char *package, const char *href, char *to, size_t n_to)
{
    const char *slash = strrchr(package, '/');
    size_t n = slash ? (size_t)(slash - package) + 1 : 0;
    n = n < n_to ? n : 0;
    memcpy(to, package, n);
    while (strncmp(href, "../", 3) == 0 || strncmp(href, "./", 2) == 0) {
        bool up = href[1] == '.';
        href += up ? 3 : 2;
        n -= up && n > 0;
        while (up && n > 0 && to[n - 1] != '/')
            n--;
    }
    size_t m = strlen(href);
    m = m < n_to - n - 1 ? m : n_to - n - 1;
    memcpy(to + n, href, m);
    to[n + m] = '\0';
}

static void *grow(book *b, void *list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return list;
    size_t more = *cap ? *cap * 2 : 64;
    void *p = realloc(list, more * size);
    b->failed |= p == NULL;
    *cap = p ? more : *cap;
    return p ? p : list;
}

static void package_start(void *user, const char *name, const media_xml_attributes *a)
{
    book *b = user;
    char href[MAX_PATH];
    if (strcmp(name, "item") == 0 && media_xml_attribute(a, "href", href, sizeof href)) {
        b->items = grow(b, b->items, b->n_items, &b->cap_items, sizeof *b->items);
        if (b->failed)
            return;
        item *i = &b->items[b->n_items];
        if (!media_xml_attribute(a, "id", i->id, sizeof i->id))
            return;
        decode_href(href);
        join(b->package, href, i->path, sizeof i->path);
        b->n_items++;
    } else if (strcmp(name, "itemref") == 0) {
        b->spine = grow(b, b->spine, b->n_spine, &b->cap_spine, sizeof *b->spine);
        if (!b->failed && media_xml_attribute(a, "idref", b->spine[b->n_spine], sizeof *b->spine))
            b->n_spine++;
    }
}

static const media_part *chapter(const book *b, const media_parts *parts, const char *id)
{
    for (size_t i = 0; i < b->n_items; i++)
        if (strcmp(b->items[i].id, id) == 0)
            return media_parts_find(parts, b->items[i].path);
    return NULL;
}

/* ---- chapters */

static ilk_status read_chapter(media_flow *flow, const media_part *p, size_t most, ilk_error *err)
{
    ilki_buf text;
    ilki_base_buf_init(&text, most * 3 + 16);
    media_charset_decode(&text, (const unsigned char *)p->data, p->n);
    ilk_status st = ilki_base_buf_check(&text, p->name, err);
    media_flow_section(flow, NULL);
    if (st == ILK_OK)
        st = media_html_read(flow, ilki_base_buf_view(&text), text.len, NULL, err);
    ilki_base_buf_deinit(&text);
    return st;
}

static ilk_status read_spine(const book *b, const media_parts *parts, ilki_doc *doc, size_t most, ilk_error *err)
{
    media_flow flow;
    size_t n_absent = 0;
    ilk_status st = ILK_OK;
    media_flow_begin(&flow, doc, most, false, err);
    for (size_t i = 0; st == ILK_OK && i < b->n_spine; i++) {
        const media_part *p = chapter(b, parts, b->spine[i]);
        n_absent += p == NULL;
        if (p)
            st = read_chapter(&flow, p, most, err);
    }
    ilk_status ended = media_flow_end(&flow);
    st = ended != ILK_OK ? ended : st;
    if (st == ILK_OK && n_absent)
        st = ilki_docs_note(doc, err, "%zu of %zu chapters are not in the container", n_absent, b->n_spine);
    return st;
}

static ilk_status read_book(book *b, const media_parts *parts, ilki_doc *doc, size_t most, ilk_error *err)
{
    const media_part *container = media_parts_find(parts, "META-INF/container.xml");
    const media_part *locks = media_parts_find(parts, "META-INF/encryption.xml");
    const media_xml first = {.start = container_start, .user = b}, second = {.start = package_start, .user = b};
    if (!container)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "a ZIP container without META-INF/container.xml: not an EPUB book");
    if (locks && strstr(locks->data, "xmlenc#aes"))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "an encrypted book, which needs a key");
    ilk_status st = media_xml_parse(&first, container->data, container->n, container->name, err);
    const media_part *package = st == ILK_OK ? media_parts_find(parts, b->package) : NULL;
    if (st == ILK_OK && !package)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "META-INF/container.xml: no package \"%s\" in the container",
                            b->package);
    if (st == ILK_OK)
        st = media_xml_parse(&second, package->data, package->n, package->name, err);
    if (st == ILK_OK && b->failed)
        st = ilki_base_fail_memory(err, b->n_items * sizeof *b->items, "the chapters of a book");
    if (st == ILK_OK)
        st = media_office_title(parts, b->package, doc, err);
    return st == ILK_OK ? read_spine(b, parts, doc, most, err) : st;
}

static ilk_status read(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err)
{
    media_parts parts;
    book *b = ilki_base_zalloc(1, sizeof *b);
    if (!b)
        return ilki_base_fail_memory(err, sizeof *b, "a book");
    ilk_status st = media_archive_read(&parts, data, n, wanted, err);
    if (st == ILK_OK)
        st = read_book(b, &parts, doc, most, err);
    media_parts_deinit(&parts);
    free(b->items);
    free(b->spine);
    free(b);
    return st;
}

const media_reader media_epub = {.name = "epub", .prepare = media_office_prepare, .text = read};
#else
const media_reader media_epub = {.name = "epub", .lacks = "libxml2 and libarchive"};
#endif
