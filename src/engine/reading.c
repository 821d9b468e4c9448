/* SPDX-License-Identifier: Apache-2.0
 * Files as an ingest reads them: whole, or not at all, and never more than the limit. The first bytes say what a file is,
 * and whether anybody reads it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/runtime.h"
#include "engine/ingest.h"

enum { HEAD_BYTES = 4096, PIECE_BYTES = 4 << 20, MAX_TRIES = 3 };

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

/* The rest of a file, in pieces between which the job is looked at; one byte more than expected shows that it grew. */
static ilk_status read_rest(const ilki_ingest *g, ilki_file *f, char *to, size_t size, size_t *n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t got = PIECE_BYTES; !st && got == PIECE_BYTES && *n < size + 1;) {
        size_t left = size + 1 - *n, want = left < PIECE_BYTES ? left : PIECE_BYTES;
        st = ilki_base_job_check(g->job, err);
        if (!st)
            st = f->vfs->read(f, *n, to + *n, want, &got, err);
        *n += st ? 0 : got;
    }
    return st;
}

/* Does anybody read what begins so? UNSUPPORTED says why not. */
static ilk_status check_head(const ilki_ingest *g, const char *name, ilki_content *c, ilk_error *err)
{
    c->is = ilki_media_sniff(name, c->data, c->n);
    if (c->is.is == ILKI_SNIFFED_LATER)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "not supported yet: %s", c->is.what);
    if (c->is.is == ILKI_SNIFFED_PICTURE)
        return g->n_models && !g->sees && !g->reads_words
                   ? ilki_base_fail(err, ILK_UNSUPPORTED, "a picture: no model here sees")
                   : ILK_OK;
    ilk_status st = ilki_docs_probe(name, c->data, c->n, err);
    if (!st && g->n_models && !g->reads_text)
        st = ilki_base_fail(err, ILK_UNSUPPORTED, "a text: no model here reads it");
    return st;
}

/* One try; *whole: nobody wrote meanwhile. The first bytes decide whether the rest is read. */
static ilk_status read_once(const ilki_ingest *g, ilki_file *f, const char *name, ilki_content *c, ilki_stat *st,
                            bool *whole, ilk_error *err)
{
    ilki_stat after;
    *c = (ilki_content){.data = NULL};
    ilk_status status = f->vfs->fstat(f, st, err);
    if (!status)
        status = check_size(st, SIZE_MAX, err);
    if (status)
        return status;
    size_t head = st->size < HEAD_BYTES ? (size_t)st->size : HEAD_BYTES;
    c->data = malloc(HEAD_BYTES + 1);
    if (!c->data)
        return ilki_base_fail_memory(err, HEAD_BYTES, "a file");
    status = f->vfs->read(f, 0, c->data, head, &c->n, err);
    if (!status && c->n)
        status = check_head(g, name, c, err);
    if (!status)
        status = check_size(st, c->is.is == ILKI_SNIFFED_PICTURE ? g->max_picture_bytes : g->max_bytes, err);
    if (status)
        return status;
    size_t size = (size_t)st->size;
    char *all = realloc(c->data, size + 1);
    if (!all)
        return ilki_base_fail_memory(err, size, "a file");
    c->data = all;
    if (c->n == head)
        status = read_rest(g, f, c->data, size, &c->n, err);
    if (!status)
        status = f->vfs->fstat(f, &after, err);
    *whole = !status && c->n == size && after.size == st->size && after.mtime_ns == st->mtime_ns;
    return status;
}

ilk_status ilki_engine_read_source(const ilki_ingest *g, const char *path, const char *name, ilki_content *c,
                                   ilki_stat *st, ilk_error *err)
{
    const ilki_vfs *vfs = g->vfs;
    ilki_file *f = NULL;
    bool whole = false;
    *c = (ilki_content){.data = NULL};
    ilk_status status = vfs->open(vfs, &f, path, ILKI_OPEN_READ, err);
    for (int i = 0; !status && !whole && i < MAX_TRIES; i++) {
        free(c->data);
        status = read_once(g, f, name, c, st, &whole, err);
    }
    if (!status && !whole)
        status = ilki_base_fail(err, ILK_IO, "it changes while it is read");
    if (f)
        vfs->close(f);
    if (status) {
        free(c->data);
        c->data = NULL;
        c->n = 0;
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
