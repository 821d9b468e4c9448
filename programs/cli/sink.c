/* SPDX-License-Identifier: Apache-2.0
 * Output of vectors. NumPy's format 1.0: magic, version, u16 length, a Python dict padded with blanks to a multiple of
 * 64, rows. The number of rows is known at the end only, so the header is written twice into the same 128 bytes. */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NPY_HEADER 128

bool cli_sink_init(cli_sink *s, cli *c, const char *format, const char *path)
{
    memset(s, 0, sizeof *s);
    s->c = c;
    s->fd = -1;
    s->kind = strcmp(format, "npy") == 0 ? CLI_SINK_NPY : strcmp(format, "f32") == 0 ? CLI_SINK_F32 : CLI_SINK_JSONL;
    ilki_base_buf_init(&s->buf, SIZE_MAX / 2);
    if (path && strcmp(path, "-") == 0)
        path = NULL;
    if (!path && s->kind == CLI_SINK_NPY) {
        cli_usage(c, "--format npy needs -o FILE: its header holds the number of rows, which is known at the end");
        return false;
    }
    if (!path && s->kind == CLI_SINK_F32 && c->out.out_terminal) {
        cli_usage(c, "--format f32 is not for a terminal: give -o FILE, or a pipe");
        return false;
    }
    if (!path)
        return true;
    s->path = realpath(path, NULL); /* a link stays a link */
    if (!s->path)
        s->path = strdup(path);
    return s->path != NULL;
}

static ilk_status write_at(cli_sink *s, const void *data, size_t n, off_t at, ilk_error *err)
{
    const char *from = data;
    while (n > 0) {
        ssize_t w = at < 0 ? write(s->fd, from, n) : pwrite(s->fd, from, n, at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return ilki_base_fail_errno(err, ILK_IO, errno, "%s: writing", s->path);
        from += w;
        n -= (size_t)w;
        at += at < 0 ? 0 : w;
    }
    return ILK_OK;
}

static void npy_header(char to[NPY_HEADER], uint64_t rows, size_t dim)
{
    static const char magic[] = "\x93NUMPY\x01\x00";
    memset(to, ' ', NPY_HEADER);
    memcpy(to, magic, 8);
    to[8] = NPY_HEADER - 10;
    to[9] = 0;
    int n = snprintf(to + 10, NPY_HEADER - 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, %zu), }",
                     (unsigned long long)rows, dim);
    to[10 + n] = ' ';
    to[NPY_HEADER - 1] = '\n';
}

static ilk_status open_file(cli_sink *s, ilk_error *err)
{
    struct stat st;
    if (stat(s->path, &st) == 0 && !S_ISREG(st.st_mode)) {
        if (s->kind == CLI_SINK_NPY)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: expected a regular file for npy", s->path);
        s->fd = open(s->path, O_WRONLY | O_CLOEXEC);
        return s->fd >= 0 ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, errno, "%s", s->path);
    }
    ilki_buf b;
    ilki_base_buf_init(&b, PATH_MAX + 64);
    const char *slash = strrchr(s->path, '/');
    int dir = slash ? (int)(slash - s->path) + 1 : 0;
    ilki_base_buf_addf(&b, "%.*s.%s.ilk-XXXXXX", dir, s->path, s->path + dir);
    s->temporary = ilki_base_buf_take(&b, NULL);
    if (!s->temporary)
        return ilki_base_fail(err, ILK_LIMIT, "%s: the path is too long", s->path);
    s->fd = mkostemp(s->temporary, O_CLOEXEC);
    if (s->fd < 0) {
        ilk_status status = ilki_base_fail_errno(err, ILK_IO, errno, "%s", s->path);
        free(s->temporary);
        s->temporary = NULL;
        return status;
    }
    cli_signals_remove_on_exit(s->temporary);
    mode_t mask = umask(0);
    umask(mask);
    fchmod(s->fd, 0666 & ~mask);
    return ILK_OK;
}

ilk_status cli_sink_open(cli_sink *s, size_t dim, ilk_error *err)
{
    char header[NPY_HEADER];
    s->dim = dim;
    if (!s->path)
        return ILK_OK;
    ilk_status st = open_file(s, err);
    if (st != ILK_OK || s->kind != CLI_SINK_NPY)
        return st;
    npy_header(header, 0, dim);
    return write_at(s, header, sizeof header, -1, err);
}

ilki_buf *cli_sink_buf(cli_sink *s)
{
    return &s->buf;
}

void cli_sink_floats(cli_sink *s, const float *v, size_t n)
{
    s->rows++;
    for (size_t i = 0; i < n; i++)
        ilki_base_buf_put_f32(&s->buf, v[i]);
}

void cli_sink_zeros(cli_sink *s)
{
    s->rows++;
    for (size_t i = 0; i < s->dim; i++)
        ilki_base_buf_put_f32(&s->buf, 0);
}

ilk_status cli_sink_flush(cli_sink *s, ilk_error *err)
{
    ilk_status st = ilki_base_buf_check(&s->buf, "a batch of vectors", err);
    if (st == ILK_OK && s->path) {
        st = write_at(s, ilki_base_buf_view(&s->buf), s->buf.len, -1, err);
    } else if (st == ILK_OK) {
        cli_put(s->c, ilki_base_buf_view(&s->buf), s->buf.len);
        cli_flush(s->c);
    }
    ilki_base_buf_reset(&s->buf);
    return st;
}

ilk_status cli_sink_close(cli_sink *s, ilk_error *err)
{
    char header[NPY_HEADER];
    ilk_status st = cli_sink_flush(s, err);
    if (st == ILK_OK && s->kind == CLI_SINK_NPY) {
        npy_header(header, s->rows, s->dim);
        st = write_at(s, header, sizeof header, 0, err);
    }
    if (st != ILK_OK || !s->path)
        return st;
    if (s->temporary && fsync(s->fd) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "%s: syncing", s->path);
    int closed = close(s->fd);
    s->fd = -1;
    if (closed != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "%s: closing", s->path);
    if (s->temporary && rename(s->temporary, s->path) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "%s: renaming", s->path);
    cli_signals_remove_on_exit(NULL);
    free(s->temporary);
    s->temporary = NULL;
    return ILK_OK;
}

void cli_sink_deinit(cli_sink *s)
{
    if (s->fd >= 0)
        close(s->fd);
    if (s->temporary)
        unlink(s->temporary);
    cli_signals_remove_on_exit(NULL);
    free(s->temporary);
    free(s->path);
    ilki_base_buf_deinit(&s->buf);
}
