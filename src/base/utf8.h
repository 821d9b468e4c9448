/* SPDX-License-Identifier: Apache-2.0
 * UTF-8. Decoding never fails: an invalid sequence is one U+FFFD per maximal subpart (Unicode 15, section 3.9, table
 * 3-8), as Python's errors="replace" has it. */
#ifndef ILKI_BASE_UTF8_H
#define ILKI_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at s, n > 0 bytes left; `*len` gets the bytes it takes (1 to 4). */
uint32_t ilki_base_utf8_get(const char *s, size_t n, size_t *len);

/* Writes 1 to 4 bytes; surrogates and values past U+10FFFF are written as U+FFFD. */
size_t ilki_base_utf8_put(uint32_t cp, char out[4]);

bool ilki_base_utf8_valid(const char *s, size_t n);

/* The largest length <= n that does not cut a character. */
size_t ilki_base_utf8_floor(const char *s, size_t n);

#endif
