/* SPDX-License-Identifier: Apache-2.0
 * The readers of documents. */
#ifndef ILK_MEDIA_DOCUMENTS_H
#define ILK_MEDIA_DOCUMENTS_H

#include "readers.h"

extern const media_reader media_html, media_epub, media_docx, media_odt;

#endif
