/* SPDX-License-Identifier: Apache-2.0
 * XML told element by element, by local names. Entities are never expanded but for the five that every document has, no
 * DTD and nothing else is loaded, nesting ends at 256. */
#ifndef ILK_MEDIA_XML_H
#define ILK_MEDIA_XML_H

#include "base/buf.h"

typedef struct media_xml_attributes media_xml_attributes;

typedef struct media_xml {
    void (*start)(void *user, const char *name, const media_xml_attributes *a);
    void (*end)(void *user, const char *name);
    void (*text)(void *user, const char *s, size_t n);
    void *user;
} media_xml;

/* Copies the attribute of this local name, cut to fit; false: there is none. */
bool media_xml_attribute(const media_xml_attributes *a, const char *name, char *to, size_t n_to);

/* `name` stands in messages. Handlers may be NULL. BAD_FORMAT: not well-formed, with the line; what came before has been
 * told. */
ilk_status media_xml_parse(const media_xml *x, const char *data, size_t n, const char *name, ilk_error *err);

#endif
