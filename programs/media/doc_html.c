/* SPDX-License-Identifier: Apache-2.0
 * HTML: the visible text in the order of the source, blocks on lines, headings as heading paths, the title. libxml2's
 * parser runs over UTF-8 that we made and tells elements and text one after the other; no tree is built, nothing is
 * loaded, and a page nested a million deep costs a counter. What a reader of the page does not see or does not read
 * (scripts, styles, navigation, forms, what is marked hidden) is left out with all that it holds. */
#include "html.h"

#include <string.h>
#include <strings.h>

#include "charset.h"
#include "documents.h"

#if ILK_MEDIA_DOCS
#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>

enum { MAX_TITLE = 1000 };

typedef enum what { INLINE, LINE, BLOCK, DROP, HEADING, TITLE, PRE, ROW, CELL } what;

/* In order of the alphabet, for nobody but the reader: the list is short. */
static const struct {
    const char *name;
    what what;
} elements[] = {
    {"address", BLOCK}, {"article", BLOCK},  {"aside", BLOCK},     {"audio", DROP},    {"blockquote", BLOCK},
    {"br", LINE},       {"button", DROP},    {"canvas", DROP},     {"caption", LINE},  {"center", BLOCK},
    {"dd", LINE},       {"details", BLOCK},  {"div", LINE},        {"dl", BLOCK},      {"dt", LINE},
    {"embed", DROP},    {"fieldset", BLOCK}, {"figcaption", LINE}, {"figure", BLOCK},  {"footer", BLOCK},
    {"form", BLOCK},    {"h1", HEADING},     {"h2", HEADING},      {"h3", HEADING},    {"h4", HEADING},
    {"h5", HEADING},    {"h6", HEADING},     {"header", BLOCK},    {"hr", BLOCK},      {"iframe", DROP},
    {"input", DROP},    {"li", LINE},        {"listing", PRE},     {"main", BLOCK},    {"menu", DROP},
    {"nav", DROP},      {"noscript", DROP},  {"object", DROP},     {"ol", BLOCK},      {"option", DROP},
    {"p", BLOCK},       {"pre", PRE},        {"script", DROP},     {"section", BLOCK}, {"select", DROP},
    {"style", DROP},    {"summary", LINE},   {"svg", DROP},        {"table", BLOCK},   {"tbody", LINE},
    {"td", CELL},       {"template", DROP},  {"textarea", DROP},   {"tfoot", LINE},    {"th", CELL},
    {"thead", LINE},    {"title", TITLE},    {"tr", ROW},          {"ul", BLOCK},      {"video", DROP},
    {"xmp", PRE},
};

typedef struct page {
    media_flow *flow;
    htmlParserCtxtPtr parser;
    ilki_buf title;
    unsigned dropped; /* depth within an element that is left out */
    bool in_title, has_title;
} page;

static what find(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strcasecmp(elements[i].name, name) == 0)
            return elements[i].what;
    return INLINE;
}

/* hidden, aria-hidden="true", style="display:none" */
static bool is_hidden(const xmlChar **attributes)
{
    for (; attributes && *attributes; attributes += 2) {
        const char *name = (const char *)attributes[0], *value = (const char *)attributes[1];
        if (strcasecmp(name, "hidden") == 0)
            return true;
        if (strcasecmp(name, "aria-hidden") == 0 && value && strcasecmp(value, "true") == 0)
            return true;
        const char *display = strcasecmp(name, "style") == 0 && value ? strcasestr(value, "display") : NULL;
        if (display && strncasecmp(display + 7 + strspn(display + 7, ": "), "none", 4) == 0)
            return true;
    }
    return false;
}

static void note_line(page *p)
{
    if (p->flow->line)
        p->flow->line = p->parser->input && p->parser->input->line > 0 ? (uint32_t)p->parser->input->line : 1;
}

static void on_start(void *user, const xmlChar *name, const xmlChar **attributes)
{
    page *p = user;
    media_flow *f = p->flow;
    what w = find((const char *)name);
    note_line(p);
    if (p->dropped || w == DROP || is_hidden(attributes)) {
        p->dropped++;
        return;
    }
    switch (w) {
    case LINE:
        media_flow_break(f, 1);
        break;
    case BLOCK:
        media_flow_break(f, 2);
        break;
    case HEADING:
        media_flow_heading(f, (unsigned)(name[1] - '0'));
        break;
    case TITLE:
        p->in_title = !p->has_title;
        break;
    case PRE:
        media_flow_break(f, 2);
        f->pre++;
        break;
    case ROW:
        media_flow_row(f);
        break;
    case CELL:
        media_flow_cell(f);
        break;
    default:
        break;
    }
}

static void on_end(void *user, const xmlChar *name)
{
    page *p = user;
    media_flow *f = p->flow;
    note_line(p);
    if (p->dropped) {
        p->dropped--;
        return;
    }
    switch (find((const char *)name)) {
    case ROW:
        media_flow_row_end(f, 1);
        break;
    case LINE:
        media_flow_break(f, 1);
        break;
    case BLOCK:
        media_flow_break(f, 2);
        break;
    case HEADING:
        media_flow_heading_end(f);
        break;
    case TITLE:
        p->has_title |= p->in_title;
        p->in_title = false;
        break;
    case PRE:
        f->pre -= f->pre > 0;
        media_flow_break(f, 2);
        break;
    default:
        break;
    }
}

static void on_text(void *user, const xmlChar *s, int n)
{
    page *p = user;
    if (p->dropped || n <= 0)
        return;
    if (p->in_title) {
        if (p->title.len + (size_t)n < MAX_TITLE)
            ilki_base_buf_add(&p->title, s, (size_t)n);
        return;
    }
    note_line(p); /* of the text's end: the parser is past it */
    for (int i = 0; i < n && p->flow->line > 1; i++)
        p->flow->line -= s[i] == '\n';
    media_flow_text(p->flow, (const char *)s, (size_t)n);
}

/* Runs of white space to one space, none at the ends. */
static char *squeeze(const char *s, size_t n)
{
    char *to = ilki_base_strndup(s, n);
    size_t len = 0;
    for (size_t i = 0; to && i < n; i++) {
        bool space = strchr(" \t\r\n\f", s[i]) != NULL;
        if (!space)
            to[len++] = s[i];
        else if (len && to[len - 1] != ' ')
            to[len++] = ' ';
    }
    while (to && len && to[len - 1] == ' ')
        len--;
    if (to)
        to[len] = '\0';
    return to;
}

static void silent(void *user, const char *format, ...)
{
    (void)user;
    (void)format;
}

static void quiet(void *user, xmlErrorPtr error)
{
    (void)user;
    (void)error;
}

void media_html_prepare(void)
{
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, silent);
    xmlSetStructuredErrorFunc(NULL, quiet);
    media_charset_prepare();
}

ilk_status media_html_read(media_flow *flow, const char *text, size_t n, char **title, ilk_error *err)
{
    page p = {.flow = flow};
    ilk_status st = ILK_OK;
    if (title)
        *title = NULL;
    if (n == 0)
        return ILK_OK;
    if (n > INT32_MAX)
        return ilki_base_fail(err, ILK_LIMIT, "HTML page of %zu bytes is over 2 GiB", n);
    p.parser = htmlCreateMemoryParserCtxt(text, (int)n);
    if (!p.parser)
        return ilki_base_fail_memory(err, n, "an HTML page");
    htmlSAXHandler sax = {.startElement = on_start,
                          .endElement = on_end,
                          .characters = on_text,
                          .ignorableWhitespace = on_text,
                          .initialized = 1};
    *p.parser->sax = sax;
    p.parser->userData = &p;
    ilki_base_buf_init(&p.title, MAX_TITLE);
    htmlCtxtUseOptions(p.parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                                     HTML_PARSE_IGNORE_ENC);
    xmlSwitchEncoding(p.parser, XML_CHAR_ENCODING_UTF8);
    htmlParseDocument(p.parser);
    if (p.parser->errNo == XML_ERR_NO_MEMORY)
        st = ilki_base_fail_memory(err, n, "an HTML page");
    if (st == ILK_OK && title && p.title.len)
        *title = squeeze(p.title.data, p.title.len);
    htmlFreeParserCtxt(p.parser);
    ilki_base_buf_deinit(&p.title);
    return st;
}

static ilk_status read(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err)
{
    ilki_buf text;
    media_flow flow;
    ilki_base_buf_init(&text, most * 3 + 16); /* a byte grows to at most three */
    media_charset_decode(&text, data, n);
    ilk_status st = ilki_base_buf_check(&text, "an HTML page", err);
    if (st != ILK_OK)
        return st;
    media_flow_begin(&flow, doc, most, true, err);
    st = media_html_read(&flow, ilki_base_buf_view(&text), text.len, &doc->title, err);
    ilk_status end = media_flow_end(&flow);
    ilki_base_buf_deinit(&text);
    return st == ILK_OK ? end : st;
}

#define LACKS NULL
#else
void media_html_prepare(void) {}
static ilk_status read(ilki_doc *doc, const unsigned char *data, size_t n, size_t most, ilk_error *err)
{
    (void)doc, (void)data, (void)n, (void)most;
    return ilki_base_fail(err, ILK_UNSUPPORTED, "html: this build has no libxml2");
}
#define LACKS "libxml2"
#endif

const media_reader media_html = {.name = "html", .lacks = LACKS, .prepare = media_html_prepare, .text = read};
