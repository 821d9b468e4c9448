/* SPDX-License-Identifier: Apache-2.0
 * Writing an ilk_error. The site that sees a failure writes the message once; callers forward the status. */
#ifndef ILKI_BASE_ERROR_H
#define ILKI_BASE_ERROR_H

#include <stdarg.h>

#include "ilk.h"

#if defined(__GNUC__)
#define ILKI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ILKI_PRINTF(fmt, args)
#endif

/* Fills err (may be NULL) and returns `status`, so that a site reads `return ilki_base_fail(err, ILK_IO, "…", …)`.
 * A message names the object, what was expected and what was found, without a final period. Bytes that are no UTF-8
 * become U+FFFD and control characters '?' (but for the newline): names of files reach terminals through it. The
 * arguments may point into err's own message. */
ilk_status ilki_base_fail(ilk_error *err, ilk_status status, const char *fmt, ...) ILKI_PRINTF(3, 4);

/* The same with ": <strerror(errno_value)>" behind; ENOMEM gives NO_MEMORY, ENOENT NOT_FOUND, EAGAIN and EACCES of a
 * lock stay with the caller, everything else `status`. */
ilk_status ilki_base_fail_errno(ilk_error *err, ilk_status status, int errno_value, const char *fmt, ...)
    ILKI_PRINTF(4, 5);

/* "out of memory: <n_bytes> bytes for <what>" */
ilk_status ilki_base_fail_memory(ilk_error *err, size_t n_bytes, const char *what);

/* Puts "<prefix>: " before the message that err already has; for a caller that knows which file it was. */
void ilki_base_error_prefix(ilk_error *err, const char *fmt, ...) ILKI_PRINTF(2, 3);

/* Copies one error into another of maybe another size. */
void ilki_base_error_copy(ilk_error *to, const ilk_error *from);

/* Reads `size` of a public struct an older or newer caller filled: copies min(size, n) bytes over `to`, which the
 * caller of this function has filled with defaults; the size member of `to` becomes n. A NULL `from` leaves the defaults.
 * BAD_ARGUMENT where from->size holds nothing but itself or is above 64 KiB, naming `what`. */
ilk_status ilki_base_take_options(void *to, size_t n, const void *from, const char *what, ilk_error *err);

#endif
