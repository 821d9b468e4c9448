/* SPDX-License-Identifier: Apache-2.0
 * What the readers of containers share. */
#ifndef ILK_MEDIA_OFFICE_H
#define ILK_MEDIA_OFFICE_H

#include "container.h"
#include "flow.h"
#include "xml.h"

void media_office_prepare(void);

/* doc->title from the element <title> of a part; none, or a broken part, changes nothing. */
ilk_status media_office_title(const media_parts *parts, const char *part, ilki_doc *doc, ilk_error *err);

/* The attribute as a number; `otherwise` where there is none. */
long media_xml_number(const media_xml_attributes *a, const char *name, long otherwise);

#endif
