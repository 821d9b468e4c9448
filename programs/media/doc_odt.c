/* SPDX-License-Identifier: Apache-2.0
 * OpenDocument text: content.xml. Headings are text:h with their outline level; rows of tables are lines; notes stand in
 * brackets where they are referred to; what tracked changes deleted and what comments say is left out. */
#include "documents.h"

#include <string.h>

#include "office.h"

#if ILK_MEDIA_DOCS

typedef struct odt {
    media_flow flow;
    unsigned dropped, note, cells; /* depths */
    bool body;
} odt;

static bool wanted(const char *name)
{
    return strcmp(name, "content.xml") == 0 || strcmp(name, "meta.xml") == 0 ||
           strcmp(name, "META-INF/manifest.xml") == 0;
}

static bool is_dropped(const char *name)
{
    static const char *const list[] = {"tracked-changes", "annotation", "note-citation", "hidden-text",
                                       "sequence-decls",  "forms",      "desc",          "binary-data"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* White space that the format writes as elements. */
static bool put_space(odt *o, const char *name)
{
    if (strcmp(name, "line-break") == 0 && !o->note && !o->cells)
        media_flow_break(&o->flow, 1);
    else if (strcmp(name, "line-break") == 0 || strcmp(name, "tab") == 0 || strcmp(name, "s") == 0)
        media_flow_text(&o->flow, " ", 1);
    else
        return false;
    return true;
}

static void start(void *user, const char *name, const media_xml_attributes *a)
{
    odt *o = user;
    media_flow *f = &o->flow;
    if (o->dropped || is_dropped(name)) {
        o->dropped++;
        return;
    }
    if (strcmp(name, "body") == 0) {
        o->body = true;
    } else if (strcmp(name, "h") == 0 && !o->note && !o->cells) {
        long level = media_xml_number(a, "outline-level", 1);
        media_flow_heading(f, level >= 1 && level <= 8 ? (unsigned)level : level < 1 ? 1 : 8);
    } else if (strcmp(name, "p") == 0 || strcmp(name, "h") == 0) {
        if (!o->note)
            media_flow_break(f, o->cells ? 1 : 2);
    } else if (strcmp(name, "note-body") == 0) {
        o->note++;
        media_flow_text(f, " (", 2);
    } else if (strcmp(name, "table-row") == 0) {
        media_flow_row(f);
    } else if (strcmp(name, "table-cell") == 0) {
        media_flow_cell(f);
        o->cells++;
    } else {
        put_space(o, name);
    }
}

static void end(void *user, const char *name)
{
    odt *o = user;
    media_flow *f = &o->flow;
    if (o->dropped) {
        o->dropped--;
        return;
    }
    if (strcmp(name, "body") == 0) {
        o->body = false;
    } else if (strcmp(name, "h") == 0 && !o->note && !o->cells) {
        media_flow_heading_end(f);
    } else if (strcmp(name, "p") == 0 && o->note) {
        media_flow_text(f, " ", 1);
    } else if (strcmp(name, "p") == 0) {
        media_flow_break(f, o->cells ? 1 : 2);
    } else if (strcmp(name, "note-body") == 0) {
        o->note--;
        f->space = false;
        media_flow_text(f, ")", 1);
    } else if (strcmp(name, "table-cell") == 0) {
        o->cells--;
    } else if (strcmp(name, "table") == 0) {
        media_flow_row_end(f, 2);
    }
}

static void text(void *user, const char *s, size_t n)
{
    odt *o = user;
    if (o->body && !o->dropped)
        media_flow_text(&o->flow, s, n);
}

static ilk_status read_parts(odt *o, const media_parts *parts, ilki_doc *doc, size_t most, ilk_error *err)
{
    const media_part *content = media_parts_find(parts, "content.xml");
    const media_part *manifest = media_parts_find(parts, "META-INF/manifest.xml");
    const media_xml x = {start, end, text, o};
    if (!content)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "a ZIP container without content.xml: not an OpenDocument text");
    if (manifest && strstr(manifest->data, "encryption-data"))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "an encrypted document, which needs a password");
    media_flow_begin(&o->flow, doc, most, false, err);
    ilk_status st = media_xml_parse(&x, content->data, content->n, content->name, err);
    ilk_status ended = media_flow_end(&o->flow);
    st = ended != ILK_OK ? ended : st;
    return st == ILK_OK ? media_office_title(parts, "meta.xml", doc, err) : st;
}

static ilk_status read(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err)
{
    media_parts parts;
    odt o;
    memset(&o, 0, sizeof o);
    ilk_status st = media_archive_read(&parts, data, n, wanted, err);
    if (st == ILK_OK)
        st = read_parts(&o, &parts, doc, most, err);
    media_parts_deinit(&parts);
    return st;
}

const media_reader media_odt = {.name = "odt", .prepare = media_office_prepare, .text = read};
#else
const media_reader media_odt = {.name = "odt", .lacks = "libxml2 and libarchive"};
#endif
