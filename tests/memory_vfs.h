/* SPDX-License-Identifier: Apache-2.0
 * A vfs of a few files in memory, for tests that open thousands of them: read only, no maps. */
#ifndef ILK_TEST_MEMORY_VFS_H
#define ILK_TEST_MEMORY_VFS_H

#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"

typedef struct memory_bytes {
    const char *path;
    const void *data;
    size_t n;
} memory_bytes;

typedef struct memory_file {
    ilki_file file;
    memory_bytes bytes;
} memory_file;

static inline ilk_status memory_open(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err)
{
    (void)flags;
    for (const memory_bytes *b = v->state; b->path; b++)
        if (strcmp(b->path, path) == 0) {
            memory_file *f = calloc(1, sizeof *f);
            if (!f)
                return ilki_base_fail_memory(err, sizeof *f, "a file in memory");
            f->file.vfs = v;
            f->bytes = *b;
            *out = &f->file;
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no such file", path);
}

static inline void memory_close(ilki_file *f)
{
    free(f);
}

static inline ilk_status memory_size(ilki_file *f, uint64_t *size, ilk_error *err)
{
    (void)err;
    *size = ((memory_file *)f)->bytes.n;
    return ILK_OK;
}

static inline ilk_status memory_read(ilki_file *f, uint64_t at, void *to, size_t n, size_t *got, ilk_error *err)
{
    const memory_bytes *b = &((memory_file *)f)->bytes;
    (void)err;
    *got = at >= b->n ? 0 : n < b->n - at ? n : b->n - (size_t)at;
    if (*got)
        memcpy(to, (const unsigned char *)b->data + at, *got);
    return ILK_OK;
}

static inline ilk_status memory_stat(const ilki_vfs *v, const char *path, bool follow, ilki_stat *st, ilk_error *err)
{
    (void)follow;
    for (const memory_bytes *b = v->state; b->path; b++)
        if (strcmp(b->path, path) == 0) {
            *st = (ilki_stat){.type = ILKI_FILE_REGULAR, .size = b->n};
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_NOT_FOUND, "%s: no such file", path);
}

/* `files` ends with a NULL path and outlives the vfs. */
static inline ilki_vfs memory_vfs(const memory_bytes *files)
{
    return (ilki_vfs){.name = "memory",
                      .state = (void *)(uintptr_t)files,
                      .open = memory_open,
                      .close = memory_close,
                      .size = memory_size,
                      .read = memory_read,
                      .stat = memory_stat};
}

#endif
