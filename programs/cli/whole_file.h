/* SPDX-License-Identifier: Apache-2.0
 * Files that a command is given beside what it works through: whole, and of the kind they are. */
#ifndef CLI_WHOLE_FILE_H
#define CLI_WHOLE_FILE_H

#include "cli.h"

#define CLI_FILE_BYTES ((size_t)256 << 20)

/* The content of a file, or of standard input for "-"; a NUL stands behind it. Freed with free(). False: a message has been
 * printed, unless a signal came. */
bool cli_file_read(cli *c, const char *file, char **data, size_t *n);

/* The same by kind: the words of a text or a document (*picture false), or a picture, whose content is left out where it can
 * be read by its name again (*data NULL). False: a message has been printed. */
bool cli_file_take(cli *c, const char *file, bool *picture, char **data, size_t *n);

#endif
