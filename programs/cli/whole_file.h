/* SPDX-License-Identifier: Apache-2.0
 * Files that a command is given beside what it works through: whole, and of the kind they are. */
#ifndef CLI_WHOLE_FILE_H
#define CLI_WHOLE_FILE_H

#include "cli.h"

#define CLI_FILE_BYTES ((size_t)256 << 20)

/* The content of a file, or of standard input for "-"; a NUL stands behind it. Freed with free(). False: a message has been
 * printed, unless a signal came. */
bool cli_file_read(cli *c, const char *file, char **data, size_t *n);

/* Text as it stands or a picture, by name and first bytes; 0: neither, a message has been printed. */
ilk_modality cli_file_modality(cli *c, const char *file, const char *data, size_t n);

#endif
