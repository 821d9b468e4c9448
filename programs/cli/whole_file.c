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

/* All passages of a document, a line between two. */
static bool read_document(cli *c, const char *file, char **data, size_t *n)
{
    ilk_document *d = NULL;
    ilk_passage p;
    ilki_buf b;
    if (!cli_open_runtime(c))
        return false;
    if (ilk_document_open(&d, c->rt, NULL, file, NULL, c->job, &c->err) != ILK_OK) {
        cli_fail_err(c);
        return false;
    }
    ilki_base_buf_init(&b, CLI_FILE_BYTES);
    ilk_passage_init(&p);
    for (size_t i = 0; ilk_document_get_passage(d, i, &p, NULL) == ILK_OK; i++) {
        ilki_base_buf_adds(&b, i ? "\n" : "");
        ilki_base_buf_add(&b, p.text, p.n_bytes);
    }
    ilk_document_close(d);
    bool ok = ilki_base_buf_check(&b, file, &c->err) == ILK_OK;
    *n = b.len;
    *data = !ok ? NULL : b.len ? ilki_base_buf_take(&b, NULL) : strdup("");
    ilki_base_buf_deinit(&b);
    if (!ok)
        cli_fail_err(c);
    return *data != NULL;
}

bool cli_file_take(cli *c, const char *file, bool *picture, char **data, size_t *n)
{
    ilk_file_info info;
    bool is_input = strcmp(file, "-") == 0;
    ilk_file_info_init(&info);
    if (!cli_file_read(c, file, data, n))
        return false;
    ilk_error_init(&c->err);
    ilk_status st = *n ? ilk_file_probe(is_input ? "text" : file, *data, *n, &info, &c->err) : ILK_OK;
    *picture = st == ILK_OK && info.modality == ILK_IMAGE;
    if (st == ILK_OK && (*n == 0 || info.plain || (*picture && is_input)))
        return true;
    if (st == ILK_OK && is_input)
        st = ilki_base_fail(&c->err, ILK_UNSUPPORTED, "a document (%s), expected text or a picture", info.kind);
    free(*data);
    *data = NULL;
    *n = 0;
    if (st == ILK_OK && *picture)
        return true;
    if (st == ILK_OK)
        return read_document(c, file, data, n);
    cli_fail(c, "%s: %s", is_input ? "standard input" : file, c->err.message);
    return false;
}
