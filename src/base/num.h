/* SPDX-License-Identifier: Apache-2.0
 * Numbers as text, the same under every locale: exact reading, shortest printing. */
#ifndef ILKI_BASE_NUM_H
#define ILKI_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ILKI_NUM_BYTES 32 /* room for any printed double, NUL included */

/* Length of the number by the grammar of JSON (-?int frac? exp?) at the start of s, 0 if there is none; `*stop` (may be
 * NULL) gets where a number that began breaks the grammar. */
size_t ilki_base_num_scan(const char *s, size_t n, size_t *stop);

/* The double nearest to the number s of n bytes, which ilki_base_num_scan has accepted as a whole; ties to even. False
 * when it is too large for a double; *out is infinite then. */
bool ilki_base_num_double(const char *s, size_t n, double *out);

/* True when the number is an integer (1, 1.0, 1e3, 10e-1) that fits. */
bool ilki_base_num_int(const char *s, size_t n, int64_t *out);

/* The shortest text that reads back as the same double or float, as a JSON number; v is finite. Returns the length. */
size_t ilki_base_num_print_double(double v, char out[ILKI_NUM_BYTES]);
size_t ilki_base_num_print_float(float v, char out[ILKI_NUM_BYTES]);

#endif
