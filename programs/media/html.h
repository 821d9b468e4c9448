/* SPDX-License-Identifier: Apache-2.0
 * The reader of HTML, for chapters of books too. */
#ifndef ILK_MEDIA_HTML_H
#define ILK_MEDIA_HTML_H

#include "flow.h"

/* Once, while files can be opened. Also makes libxml2 silent. */
void media_html_prepare(void);

/* Writes the page's text (UTF-8) into the flow; *title, which may be NULL, gets its title, owned, or NULL. */
ilk_status media_html_read(media_flow *flow, const char *text, size_t n, char **title, ilk_error *err);

#endif
