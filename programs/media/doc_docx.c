/* SPDX-License-Identifier: Apache-2.0
 * Word documents: word/document.xml. A paragraph is a heading where it or its style, or a style that one is based on, has an
 * outline level; names of styles are those of the writer's language, levels and the inner name "heading 1" are not. Rows of
 * tables are lines; footnotes and endnotes stand in brackets where they are referred to; deleted and moved-away text,
 * hidden text, field codes and comments are left out. */
#include "documents.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "office.h"

#if ILK_MEDIA_DOCS

enum { MAX_ID = 120, MAX_STYLES = 4096, MAX_NOTES = 20000, NO_LEVEL = -1 };

typedef struct style {
    char id[MAX_ID], base[MAX_ID];
    long level; /* from 0; NO_LEVEL */
} style;

typedef struct note {
    long id;
    size_t start, end; /* in word.notes */
} note;

typedef struct word {
    media_flow flow;
    style *styles;
    size_t n_styles, cap_styles;
    ilki_buf notes;
    note *list[2]; /* footnotes, endnotes */
    size_t n_notes[2], cap_notes[2];
    int which;               /* of the two that are being read */
    unsigned dropped, cells; /* depths */
    bool text, hidden, in_properties;
    bool failed;
} word;

static bool wanted(const char *name)
{
    static const char *const list[] = {"word/document.xml", "word/styles.xml", "word/footnotes.xml",
                                       "word/endnotes.xml", "docProps/core.xml"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

static void *grow(word *w, void *list, size_t n, size_t *cap, size_t size, size_t max)
{
    if (n < *cap)
        return list;
    size_t more = *cap ? *cap * 2 : 64;
    void *p = n < max ? realloc(list, more * size) : NULL;
    w->failed |= p == NULL;
    *cap = p ? more : *cap;
    return p ? p : list;
}

/* ---- styles */

static void style_start(void *user, const char *name, const media_xml_attributes *a)
{
    word *w = user;
    char value[MAX_ID];
    style *s = w->n_styles ? &w->styles[w->n_styles - 1] : NULL;
    if (strcmp(name, "style") == 0) {
        w->styles = grow(w, w->styles, w->n_styles, &w->cap_styles, sizeof *w->styles, MAX_STYLES);
        if (w->failed)
            return;
        s = &w->styles[w->n_styles++];
        *s = (style){.level = NO_LEVEL};
        media_xml_attribute(a, "styleId", s->id, sizeof s->id);
    } else if (s && strcmp(name, "basedOn") == 0) {
        media_xml_attribute(a, "val", s->base, sizeof s->base);
    } else if (s && strcmp(name, "outlineLvl") == 0) {
        s->level = media_xml_number(a, "val", NO_LEVEL);
    } else if (s && strcmp(name, "name") == 0 && media_xml_attribute(a, "val", value, sizeof value)) {
        if (strncasecmp(value, "heading ", 8) == 0 && value[8] >= '1' && value[8] <= '9' && s->level == NO_LEVEL)
            s->level = value[8] - '1';
    }
}

static const style *find_style(const word *w, const char *id)
{
    for (size_t i = 0; i < w->n_styles; i++)
        if (strcmp(w->styles[i].id, id) == 0)
            return &w->styles[i];
    return NULL;
}

static long level_of(const word *w, const char *id)
{
    const style *s = find_style(w, id);
    for (int steps = 0; s && s->level == NO_LEVEL && steps < 16; steps++)
        s = *s->base ? find_style(w, s->base) : NULL;
    return s && s->level >= 0 && s->level < 9 ? s->level : NO_LEVEL;
}

/* ---- what is not text, in notes and in the document */

static bool is_dropped(const char *name)
{
    static const char *const list[] = {"del", "moveFrom", "Fallback", "instrText", "delText", "rPrChange", "pPrChange"};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (strcmp(name, list[i]) == 0)
            return true;
    return false;
}

/* A toggle like <w:vanish/> is on unless it says otherwise. */
static bool is_on(const media_xml_attributes *a)
{
    char value[16];
    return !media_xml_attribute(a, "val", value, sizeof value) ||
           (strcmp(value, "0") != 0 && strcmp(value, "false") != 0 && strcmp(value, "off") != 0);
}

static bool enter_run(word *w, const char *name, const media_xml_attributes *a)
{
    if (w->dropped || is_dropped(name)) {
        w->dropped++;
        return false;
    }
    if (strcmp(name, "r") == 0)
        w->hidden = false;
    else if (strcmp(name, "vanish") == 0)
        w->hidden = is_on(a);
    else if (strcmp(name, "t") == 0)
        w->text = true;
    return true;
}

static bool leave_run(word *w, const char *name)
{
    if (w->dropped) {
        w->dropped--;
        return false;
    }
    if (strcmp(name, "t") == 0)
        w->text = false;
    return true;
}

/* ---- notes */

static void note_start(void *user, const char *name, const media_xml_attributes *a)
{
    word *w = user;
    if (!enter_run(w, name, a))
        return;
    if (strcmp(name, "footnote") == 0 || strcmp(name, "endnote") == 0) {
        int k = w->which;
        w->list[k] = grow(w, w->list[k], w->n_notes[k], &w->cap_notes[k], sizeof *w->list[k], MAX_NOTES);
        if (!w->failed)
            w->list[k][w->n_notes[k]++] = (note){media_xml_number(a, "id", -1), w->notes.len, w->notes.len};
    } else if (strcmp(name, "p") == 0 || strcmp(name, "tab") == 0 || strcmp(name, "br") == 0) {
        ilki_base_buf_addc(&w->notes, ' ');
    }
}

static void note_end(void *user, const char *name)
{
    word *w = user;
    if (!leave_run(w, name))
        return;
    size_t n = w->n_notes[w->which];
    if (n && (strcmp(name, "footnote") == 0 || strcmp(name, "endnote") == 0))
        w->list[w->which][n - 1].end = w->notes.len;
}

static void note_text(void *user, const char *s, size_t n)
{
    word *w = user;
    if (w->text && !w->dropped && !w->hidden)
        ilki_base_buf_add(&w->notes, s, n);
}

static void put_note(word *w, int which, long id)
{
    for (size_t i = 0; i < w->n_notes[which]; i++) {
        const note *n = &w->list[which][i];
        if (n->id != id || n->end > w->notes.len ||
            ilki_docs_blank(ilki_base_buf_view(&w->notes) + n->start, n->end - n->start))
            continue;
        media_flow_text(&w->flow, " (", 2);
        const char *s = ilki_base_buf_view(&w->notes) + n->start;
        media_flow_text(&w->flow, s + strspn(s, " "), n->end - n->start - strspn(s, " "));
        w->flow.space = false;
        media_flow_text(&w->flow, ")", 1);
        return;
    }
}

/* ---- the document */

static void heading(word *w, long level)
{
    if (level >= 0 && level < 9 && !w->cells && !w->flow.level)
        media_flow_heading(&w->flow, level < 8 ? (unsigned)level + 1 : 8);
}

static void start(void *user, const char *name, const media_xml_attributes *a)
{
    word *w = user;
    char id[MAX_ID];
    media_flow *f = &w->flow;
    if (!enter_run(w, name, a))
        return;
    if (strcmp(name, "p") == 0)
        media_flow_break(f, w->cells ? 1 : 2);
    else if (strcmp(name, "pPr") == 0)
        w->in_properties = true;
    else if (strcmp(name, "pStyle") == 0 && media_xml_attribute(a, "val", id, sizeof id))
        heading(w, level_of(w, id));
    else if (strcmp(name, "outlineLvl") == 0)
        heading(w, media_xml_number(a, "val", NO_LEVEL));
    else if (strcmp(name, "tr") == 0)
        media_flow_row(f);
    else if (strcmp(name, "tc") == 0)
        media_flow_cell(f), w->cells++;
    else if (strcmp(name, "footnoteReference") == 0)
        put_note(w, 0, media_xml_number(a, "id", -1));
    else if (strcmp(name, "endnoteReference") == 0)
        put_note(w, 1, media_xml_number(a, "id", -1));
    else if ((strcmp(name, "tab") == 0 && !w->in_properties) || (strcmp(name, "br") == 0 && w->cells))
        media_flow_text(f, " ", 1);
    else if (strcmp(name, "br") == 0 || strcmp(name, "cr") == 0)
        media_flow_break(f, 1);
    else if (strcmp(name, "noBreakHyphen") == 0)
        media_flow_text(f, "-", 1);
}

static void end(void *user, const char *name)
{
    word *w = user;
    media_flow *f = &w->flow;
    if (!leave_run(w, name))
        return;
    if (strcmp(name, "p") == 0) {
        media_flow_heading_end(f);
        media_flow_break(f, w->cells ? 1 : 2);
    } else if (strcmp(name, "pPr") == 0) {
        w->in_properties = false;
    } else if (strcmp(name, "tc") == 0) {
        w->cells -= w->cells > 0;
    } else if (strcmp(name, "tbl") == 0) {
        media_flow_row_end(f, 2);
    }
}

static void text(void *user, const char *s, size_t n)
{
    word *w = user;
    if (w->text && !w->dropped && !w->hidden)
        media_flow_text(&w->flow, s, n);
}

/* Parts without which a document still has its text: a broken one is left aside. */
static ilk_status read_helpful(word *w, const media_parts *parts, ilk_error *err)
{
    static const char *const notes[] = {"word/footnotes.xml", "word/endnotes.xml"};
    const media_part *styles = media_parts_find(parts, "word/styles.xml");
    const media_xml of_styles = {.start = style_start, .user = w};
    const media_xml of_notes = {note_start, note_end, note_text, w};
    if (styles)
        media_xml_parse(&of_styles, styles->data, styles->n, styles->name, NULL);
    for (w->which = 0; w->which < 2; w->which++) {
        const media_part *p = media_parts_find(parts, notes[w->which]);
        if (p)
            media_xml_parse(&of_notes, p->data, p->n, p->name, NULL);
        w->dropped = 0;
        w->text = w->hidden = false;
    }
    return w->failed || w->notes.failed
               ? ilki_base_fail(err, ILK_LIMIT, "more than %d styles or %d notes", (int)MAX_STYLES, (int)MAX_NOTES)
               : ILK_OK;
}

static ilk_status read_parts(word *w, const media_parts *parts, ilki_doc *doc, size_t most, ilk_error *err)
{
    const media_part *p = media_parts_find(parts, "word/document.xml");
    const media_xml x = {start, end, text, w};
    if (!p)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "a ZIP container without word/document.xml: not a Word document");
    ilk_status st = read_helpful(w, parts, err);
    if (st != ILK_OK)
        return st;
    media_flow_begin(&w->flow, doc, most, false, err);
    st = media_xml_parse(&x, p->data, p->n, p->name, err);
    ilk_status ended = media_flow_end(&w->flow);
    st = ended != ILK_OK ? ended : st;
    return st == ILK_OK ? media_office_title(parts, "docProps/core.xml", doc, err) : st;
}

static ilk_status read(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err)
{
    media_parts parts;
    word *w = ilki_base_zalloc(1, sizeof *w);
    if (!w)
        return ilki_base_fail_memory(err, sizeof *w, "a Word document");
    ilki_base_buf_init(&w->notes, most);
    ilk_status st = media_archive_read(&parts, data, n, wanted, err);
    if (st == ILK_OK)
        st = read_parts(w, &parts, doc, most, err);
    media_parts_deinit(&parts);
    ilki_base_buf_deinit(&w->notes);
    free(w->styles);
    free(w->list[0]);
    free(w->list[1]);
    free(w);
    return st;
}

const media_reader media_docx = {.name = "docx", .prepare = media_office_prepare, .text = read};
#else
const media_reader media_docx = {.name = "docx", .lacks = "libxml2 and libarchive"};
#endif
