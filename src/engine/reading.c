/* SPDX-License-Identifier: Apache-2.0
 * Files as an ingest reads them: whole, or not at all, and never more than the limit. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ingest.h"

enum { HEAD_BYTES = 4096, MAX_TRIES = 3 };

static ilk_status check_size(const ilki_stat *st, uint64_t max_bytes, ilk_error *err)
{
    if (st->type != ILKI_FILE_REGULAR)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "a pipe, a socket or a device");
    if (st->size == 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "empty file");
    if (st->size > max_bytes || st->size > SIZE_MAX - 1)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%" PRIu64 " bytes, the limit is %" PRIu64, st->size, max_bytes);
    return ILK_OK;
}

/* One try; *whole: nobody wrote meanwhile. The first bytes decide whether the rest is read. */
static ilk_status read_once(ilki_file *f, const char *name, uint64_t max_bytes, char **data, size_t *n, ilki_stat *st,
                            bool *whole, ilk_error *err)
{
    ilki_stat after;
    size_t got = 0, more = 0;
    *data = NULL;
    ilk_status status = f->vfs->fstat(f, st, err);
    if (!status)
        status = check_size(st, max_bytes, err);
    if (status)
        return status;
    size_t size = (size_t)st->size, head = size < HEAD_BYTES ? size : HEAD_BYTES;
    *data = malloc(size + 1);
    if (!*data)
        return ilki_base_fail_memory(err, size, "a file");
    status = f->vfs->read(f, 0, *data, head, &got, err);
    if (!status && got)
        status = ilki_docs_probe(name, *data, got, err);
    if (!status && got == head)
        status = f->vfs->read(f, head, *data + head, size + 1 - head, &more, err);
    if (!status)
        status = f->vfs->fstat(f, &after, err);
    *n = got + more;
    *whole = !status && *n == size && after.size == st->size && after.mtime_ns == st->mtime_ns;
    return status;
}

ilk_status ilki_engine_read_source(const ilki_vfs *vfs, const char *path, const char *name, uint64_t max_bytes,
                                   char **data, size_t *n, ilki_stat *st, ilk_error *err)
{
    ilki_file *f = NULL;
    bool whole = false;
    *data = NULL;
    ilk_status status = vfs->open(vfs, &f, path, ILKI_OPEN_READ, err);
    for (int i = 0; !status && !whole && i < MAX_TRIES; i++) {
        free(*data);
        status = read_once(f, name, max_bytes, data, n, st, &whole, err);
    }
    if (!status && !whole)
        status = ilki_base_fail(err, ILK_IO, "it changes while it is read");
    if (f)
        vfs->close(f);
    if (status) {
        free(*data);
        *data = NULL;
    }
    return status;
}

/* ---- places */

void ilki_engine_locate(const ilk_store *s, const char *absolute, const char **root, const char **path)
{
    size_t n = strlen(s->home);
    bool top = n == 1; /* "/" */
    if (strncmp(absolute, s->home, n) == 0 && (top || absolute[n] == '/')) {
        *root = "";
        *path = absolute + n + !top;
    } else {
        *root = "/";
        *path = absolute + 1;
    }
}

char *ilki_engine_absolute(const ilk_store *s, const ilki_source *src)
{
    return ilki_base_path_join(*src->root ? src->root : s->home, src->path);
}
