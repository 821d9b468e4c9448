/* SPDX-License-Identifier: Apache-2.0
 * The readers of ilk-media, inside this process: the first byte chooses the reader and what the rest is, the whole file or
 * one part of a container that is otherwise sound. What comes out is packed and must be taken by the client's side. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "documents.h"
#include "must.h"

typedef struct member {
    const char *name;
    const void *data;
    size_t n;
} member;

static void put_header(ilki_buf *b, uint32_t magic, const member *m, size_t at)
{
    bool central = magic == 0x02014b50;
    ilki_base_buf_put_u32(b, magic);
    if (central)
        ilki_base_buf_put_u16(b, 20);
    ilki_base_buf_put_u16(b, 20);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, (uint32_t)crc32(0, m->data, (uInt)m->n));
    ilki_base_buf_put_u32(b, (uint32_t)m->n);
    ilki_base_buf_put_u32(b, (uint32_t)m->n);
    ilki_base_buf_put_u16(b, (uint16_t)strlen(m->name));
    ilki_base_buf_put_u16(b, 0);
    if (central) {
        ilki_base_buf_put_u16(b, 0);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u32(b, (uint32_t)at);
    }
    ilki_base_buf_adds(b, m->name);
}

static void put_container(ilki_buf *b, const member *list, size_t n)
{
    size_t at[4] = {0}, directory;
    for (size_t i = 0; i < n; i++) {
        at[i] = b->len;
        put_header(b, 0x04034b50, &list[i], 0);
        ilki_base_buf_add(b, list[i].data, list[i].n);
    }
    directory = b->len;
    for (size_t i = 0; i < n; i++)
        put_header(b, 0x02014b50, &list[i], at[i]);
    size_t n_directory = b->len - directory;
    ilki_base_buf_put_u32(b, 0x06054b50);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u16(b, (uint16_t)n);
    ilki_base_buf_put_u16(b, (uint16_t)n);
    ilki_base_buf_put_u32(b, (uint32_t)n_directory);
    ilki_base_buf_put_u32(b, (uint32_t)directory);
    ilki_base_buf_put_u16(b, 0);
}

#define TEXT(s) s, sizeof(s) - 1
static const char document[] = "<w:document><w:body><w:p><w:pPr><w:pStyle w:val=\"a\"/></w:pPr><w:r><w:t>x</w:t>"
                               "<w:footnoteReference w:id=\"1\"/></w:r></w:p></w:body></w:document>";
static const char container[] = "<container><rootfile full-path=\"o/b.opf\"/></container>";
static const char package[] =
    "<package><title>t</title><item id=\"a\" href=\"a.xhtml\"/><itemref idref=\"a\"/></package>";

/* The reader, and its file in `b` where it is a container around the data. */
static const media_reader *choose(uint8_t c, const uint8_t *data, size_t n, ilki_buf *b)
{
    const member docx[] = {{"word/document.xml", data, n}};
    const member styles[] = {{"word/document.xml", TEXT(document)}, {"word/styles.xml", data, n}};
    const member notes[] = {{"word/document.xml", TEXT(document)}, {"word/footnotes.xml", data, n}};
    const member odt[] = {{"content.xml", data, n}};
    const member meta[] = {{"content.xml", TEXT("<body><p>x</p></body>")}, {"meta.xml", data, n}};
    const member opf[] = {
        {"META-INF/container.xml", TEXT(container)}, {"o/b.opf", data, n}, {"o/a.xhtml", TEXT("<p>a")}};
    const member chapter[] = {
        {"META-INF/container.xml", TEXT(container)}, {"o/b.opf", TEXT(package)}, {"o/a.xhtml", data, n}};
    const struct {
        char c;
        const media_reader *reader;
        const member *list;
        size_t n;
    } ways[] = {{'h', &media_html, NULL, 0},  {'d', &media_docx, docx, 1},    {'s', &media_docx, styles, 2},
                {'f', &media_docx, notes, 2}, {'o', &media_odt, odt, 1},      {'m', &media_odt, meta, 2},
                {'p', &media_epub, opf, 3},   {'c', &media_epub, chapter, 3}, {'z', &media_docx, NULL, 0},
                {'e', &media_epub, NULL, 0}};
    size_t i = 0, n_ways = sizeof ways / sizeof *ways;
    while (i < n_ways && ways[i].c != (char)c)
        i++;
    i = i < n_ways ? i : c % n_ways;
    if (ways[i].list)
        put_container(b, ways[i].list, ways[i].n);
    return ways[i].reader;
}

static void check(const ilki_doc *doc)
{
    ilki_doc *taken = NULL;
    ilki_buf packed;
    ilki_base_buf_init(&packed, 1 << 26);
    ilki_docs_pack(doc, &packed);
    MUST(ilki_docs_unpack(&taken, "x", ilki_base_buf_view(&packed), packed.len, 1 << 20, NULL) == ILK_OK);
    MUST(taken->n_segments == doc->n_segments && taken->n_text == doc->n_text);
    for (size_t i = 0; i < doc->n_segments; i++)
        MUST(taken->segments[i].start == doc->segments[i].start && taken->segments[i].end == doc->segments[i].end);
    ilki_docs_free(taken);
    ilki_base_buf_deinit(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool prepared;
    ilki_buf b;
    if (n == 0)
        return 0;
    ilki_base_buf_init(&b, 1 << 24);
    const media_reader *r = choose(data[0], data + 1, n - 1, &b);
    if (!prepared && r->prepare)
        media_epub.prepare();
    prepared = true;
    ilki_doc *doc = ilki_base_zalloc(1, sizeof *doc);
    if (doc && r->text) {
        const unsigned char *file = b.len ? (const unsigned char *)b.data : data + 1;
        if (r->text(doc, file, b.len ? b.len : n - 1, 1 << 20, NULL) == ILK_OK)
            check(doc);
    }
    ilki_docs_free(doc);
    ilki_base_buf_deinit(&b);
    return 0;
}

#include "fuzz_main.h"
