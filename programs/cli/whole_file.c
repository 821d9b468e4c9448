/* SPDX-License-Identifier: Apache-2.0
 * Reading a whole file, or standard input as far as it goes. */
#include "whole_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/vfs.h"

static bool read_input(cli *c, char **data, size_t *n)
{
    ilki_buf b;
    char part[65536];
    ssize_t got = 1;
    ilki_base_buf_init(&b, CLI_FILE_BYTES);
    while (!cli_signal_caught() && got != 0 && !b.failed) {
        got = read(0, part, sizeof part);
        if (got > 0)
            ilki_base_buf_add(&b, part, (size_t)got);
        else if (got < 0 && errno != EINTR)
            break;
    }
    bool ok = false;
    if (got < 0 && !cli_signal_caught())
        cli_fail(c, "standard input: %s", strerror(errno));
    else if (ilki_base_buf_check(&b, "standard input", &c->err) != ILK_OK)
        cli_fail_err(c);
    else
        ok = !cli_signal_caught();
    *n = b.len;
    *data = ok && b.len ? ilki_base_buf_take(&b, NULL) : ok ? strdup("") : NULL;
    ilki_base_buf_deinit(&b);
    return *data != NULL;
}

bool cli_file_read(cli *c, const char *file, char **data, size_t *n)
{
    *data = NULL;
    *n = 0;
    if (strcmp(file, "-") == 0)
        return read_input(c, data, n);
    if (ilki_base_read_file(&ilki_base_vfs_posix, file, CLI_FILE_BYTES, data, n, &c->err) == ILK_OK)
        return true;
    cli_fail_err(c);
    return false;
}

ilk_modality cli_file_modality(cli *c, const char *file, const char *data, size_t n)
{
    ilk_file_info info;
    ilk_file_info_init(&info);
    if (ilk_file_probe(strcmp(file, "-") == 0 ? "standard input" : file, data, n, &info, &c->err) != ILK_OK) {
        cli_fail(c, "%s: %s", file, c->err.message);
        return (ilk_modality)0;
    }
    if (info.modality == ILK_TEXT && !info.plain) {
        cli_fail(c, "%s: a document (%s), expected a text or a picture", file, info.kind);
        return (ilk_modality)0;
    }
    return info.modality;
}
