/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a web page to UTF-8. */
#ifndef ILK_MEDIA_CHARSET_H
#define ILK_MEDIA_CHARSET_H

#include "base/buf.h"

/* Loads the tables of every encoding, while files can still be opened. */
void media_charset_prepare(void);

/* By byte-order mark, else by what the beginning declares (<meta charset>, <meta … charset=>, <?xml encoding=>), as
 * browsers understand the label; else UTF-8 where the bytes are that, else Windows-1252. What does not decode becomes
 * U+FFFD, and so does a NUL. A failure is the buffer's. */
void media_charset_decode(ilki_buf *out, const unsigned char *data, size_t n);

#endif
