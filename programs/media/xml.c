/* SPDX-License-Identifier: Apache-2.0
 * libxml2's SAX2 interface with handlers of ours alone: what we do not set does not happen, so no entity that a document
 * declares is ever known, and a billion laughs are one undeclared reference. */
#include "xml.h"

#if ILK_MEDIA_DOCS
#include <libxml/parserInternals.h>
#include <string.h>

struct media_xml_attributes {
    const xmlChar **list; /* five each: local name, prefix, URI, value, its end */
    int n;
};

static void on_start(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri, int n_namespaces,
                     const xmlChar **namespaces, int n_attributes, int n_defaulted, const xmlChar **attributes)
{
    const media_xml *x = user;
    media_xml_attributes a = {attributes, n_attributes};
    (void)prefix, (void)uri, (void)n_namespaces, (void)namespaces, (void)n_defaulted;
    if (x->start)
        x->start(x->user, (const char *)name, &a);
}

static void on_end(void *user, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    const media_xml *x = user;
    (void)prefix, (void)uri;
    if (x->end)
        x->end(x->user, (const char *)name);
}

static void on_text(void *user, const xmlChar *s, int n)
{
    const media_xml *x = user;
    if (x->text && n > 0)
        x->text(x->user, (const char *)s, (size_t)n);
}

static xmlEntityPtr on_entity(void *user, const xmlChar *name)
{
    (void)user;
    return xmlGetPredefinedEntity(name);
}

bool media_xml_attribute(const media_xml_attributes *a, const char *name, char *to, size_t n_to)
{
    for (int i = 0; i < a->n; i++) {
        const xmlChar **one = a->list + 5 * i;
        if (strcmp((const char *)one[0], name) != 0)
            continue;
        size_t n = (size_t)(one[4] - one[3]);
        n = n < n_to - 1 ? n : n_to - 1;
        memcpy(to, one[3], n);
        to[n] = '\0';
        return true;
    }
    return false;
}

ilk_status media_xml_parse(const media_xml *x, const char *data, size_t n, const char *name, ilk_error *err)
{
    if (n == 0 || n > INT32_MAX)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: %zu bytes", name, n);
    xmlParserCtxtPtr c = xmlCreateMemoryParserCtxt(data, (int)n);
    if (!c)
        return ilki_base_fail_memory(err, n, name);
    const xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                               .startElementNs = on_start,
                               .endElementNs = on_end,
                               .characters = on_text,
                               .cdataBlock = on_text,
                               .ignorableWhitespace = on_text,
                               .getEntity = on_entity};
    *c->sax = sax;
    c->userData = (void *)(uintptr_t)x;
    xmlCtxtUseOptions(c, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    c->sax->warning = NULL;
    c->sax->error = NULL;
    xmlParseDocument(c);
    ilk_status st = ILK_OK;
    if (c->errNo == XML_ERR_NO_MEMORY)
        st = ilki_base_fail_memory(err, n, name);
    else if (!c->wellFormed)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "%s: not well-formed XML at line %d (error %d)", name,
                            c->input ? c->input->line : 0, c->errNo);
    xmlDocPtr doc = c->myDoc;
    xmlFreeParserCtxt(c);
    if (doc)
        xmlFreeDoc(doc);
    return st;
}

#endif
