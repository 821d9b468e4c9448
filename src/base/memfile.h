/* SPDX-License-Identifier: Apache-2.0
 * Memory with a file descriptor and no name: what two processes share. A sealed one can be changed by nobody. */
#ifndef ILKI_BASE_MEMFILE_H
#define ILKI_BASE_MEMFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* A new file of n zero bytes that take memory once they are touched; close-on-exec, above the three standard streams.
 * Where the system has no memfd, an unlinked temporary file. */
ilk_status ilki_base_memfile_new(int *fd, size_t n, const char *what, ilk_error *err);

/* The same with the bytes of `data`, sealed where the system can: whoever maps it sees these bytes for ever. */
ilk_status ilki_base_memfile_from(int *fd, const void *data, size_t n, const char *what, ilk_error *err);

/* Copies n bytes from `at` on out; IO where there are fewer. No mapping: a file that another process shortens
 * costs an error here, not a signal. */
ilk_status ilki_base_memfile_read(int fd, void *to, size_t at, size_t n, const char *what, ilk_error *err);

/* From here on nobody changes its size. False: the system cannot. */
bool ilki_base_memfile_fix(int fd);

/* n bytes from `at`, a multiple of the page's size, to be read while others write them, or NULL: only of a file whose size is fixed, since a shorter one
 * would cost a signal. munmap() ends it. */
const void *ilki_base_memfile_view(int fd, size_t at, size_t n);

/* Gives the touched memory of n bytes from `at` back, where the system can; the size stays. */
void ilki_base_memfile_clear(int fd, size_t at, size_t n);

/* A descriptor is moved above the standard streams and closed on exec; -1 with errno where it cannot be. Takes `fd`. */
int ilki_base_fd_guard(int fd);

#endif
