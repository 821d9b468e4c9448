/* SPDX-License-Identifier: Apache-2.0
 * Helpers over any vfs: whole files, paths, directories, mapped files. */
#include "base/vfs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"

/* ---- paths */

char *ilki_base_path_join(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    if (b[0] == '/' || n == 0)
        return ilki_base_strndup(b, m);
    while (n > 1 && a[n - 1] == '/')
        n--;
    bool slash = a[n - 1] != '/' && m > 0;
    char *out = ilki_base_zalloc(n + slash + m + 1, 1);
    if (out == NULL)
        return NULL;
    memcpy(out, a, n);
    if (slash)
        out[n] = '/';
    memcpy(out + n + slash, b, m);
    return out;
}

const char *ilki_base_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

char *ilki_base_path_dir(const char *path)
{
    const char *name = ilki_base_path_name(path);
    size_t n = (size_t)(name - path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n == 0 ? ilki_base_strndup(".", 1) : ilki_base_strndup(path, n);
}

/* Where the name of the parent of path[0, end) ends; 0: it has none, `end`: it is the root. */
static size_t parent_end(const char *path, size_t end)
{
    while (end > 0 && path[end - 1] != '/')
        end--;
    while (end > 1 && path[end - 1] == '/')
        end--;
    return end;
}

static ilk_status make_prefix(const ilki_vfs *v, char *path, size_t end, uint32_t mode, ilk_error *err)
{
    char c = path[end];
    path[end] = '\0';
    ilk_status st = v->make_dir(v, path, mode, err);
    path[end] = c;
    return st;
}

static ilk_status stat_prefix(const ilki_vfs *v, char *path, size_t end, ilk_error *err)
{
    ilki_stat have;
    char c = path[end];
    path[end] = '\0';
    ilk_status st = v->stat(v, path, true, &have, err);
    path[end] = c;
    return st;
}

ilk_status ilki_base_make_dirs(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err)
{
    size_t n = strlen(dir);
    char *path = ilki_base_strndup(dir, n);
    if (path == NULL)
        return ilki_base_fail_memory(err, n + 1, "a path");
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    /* back to the longest part that exists: the parents may be ours to pass but not to write */
    size_t end = n;
    ilk_status st = stat_prefix(v, path, end, err);
    while (st == ILK_NOT_FOUND && parent_end(path, end) != end) {
        end = parent_end(path, end);
        st = end == 0 ? ILK_OK : stat_prefix(v, path, end, err);
    }
    if (st == ILK_OK && end == n) /* all of it; make_dir says whether it is a directory */
        st = make_prefix(v, path, n, mode, err);
    while (st == ILK_OK && end < n) {
        end += strspn(path + end, "/");
        end += strcspn(path + end, "/");
        st = make_prefix(v, path, end, mode, err);
    }
    free(path);
    return st;
}

/* ---- whole files */

static ilk_status fail_size(const char *path, size_t max_bytes, uint64_t size, ilk_error *err)
{
    return ilki_base_fail(err, ILK_LIMIT, "%s: expected at most %zu bytes, got %" PRIu64, path, max_bytes, size);
}

static ilk_status read_open_file(ilki_file *f, const char *path, size_t max_bytes, char **out, size_t *n,
                                 ilk_error *err)
{
    uint64_t size = 0;
    ilk_status st = f->vfs->size(f, &size, err);
    if (st != ILK_OK)
        return st;
    if (size > max_bytes || size > SIZE_MAX / 4)
        return fail_size(path, max_bytes, size, err);
    /* one byte more than the size, so that the first read sees the end; files under /proc say 0 */
    size_t len = 0, got = 0, cap = size < 4096 ? 4096 : (size_t)size + 1;
    char *data = NULL;
    for (;; cap *= 2) {
        char *grown = realloc(data, cap + 1);
        if (grown == NULL) {
            st = ilki_base_fail_memory(err, cap + 1, path);
            break;
        }
        data = grown;
        st = f->vfs->read(f, len, data + len, cap - len, &got, err);
        len += got;
        if (st == ILK_OK && (len > max_bytes || cap > SIZE_MAX / 4))
            st = fail_size(path, max_bytes, len, err);
        if (st != ILK_OK)
            break;
        if (len < cap) {
            data[len] = '\0';
            *out = data;
            *n = len;
            return ILK_OK;
        }
    }
    free(data);
    return st;
}

ilk_status ilki_base_read_file(const ilki_vfs *v, const char *path, size_t max_bytes, char **out, size_t *n,
                               ilk_error *err)
{
    *out = NULL;
    *n = 0;
    ilki_file *f;
    ilk_status st = v->open(v, &f, path, ILKI_OPEN_READ, err);
    if (st != ILK_OK)
        return st;
    st = read_open_file(f, path, max_bytes, out, n, err);
    v->close(f);
    return st;
}

static ilk_status write_new_file(const ilki_vfs *v, const char *path, const void *data, size_t n, ilk_error *err)
{
    ilki_file *f;
    ilk_status st = v->open(v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_EXCLUSIVE, err);
    if (st != ILK_OK)
        return st;
    st = v->write(f, 0, data, n, err);
    if (st == ILK_OK)
        st = v->sync(f, err);
    v->close(f);
    if (st != ILK_OK)
        v->unlink(v, path, NULL);
    return st;
}

ilk_status ilki_base_write_file(const ilki_vfs *v, const char *path, const void *data, size_t n, ilk_error *err)
{
    size_t room = strlen(path) + 48;
    char *temp = ilki_base_zalloc(room, 1), *dir = ilki_base_path_dir(path);
    ilk_status st;
    if (temp == NULL || dir == NULL) {
        st = ilki_base_fail_memory(err, room, "a path");
        goto done;
    }
    /* process and time make the name new; an EXCLUSIVE open makes sure of it */
    snprintf(temp, room, "%s.tmp-%x-%" PRIx64, path, (unsigned)getpid(), ilki_base_now_ns());
    st = write_new_file(v, temp, data, n, err);
    if (st != ILK_OK)
        goto done;
    st = v->rename(v, temp, path, err);
    if (st != ILK_OK)
        v->unlink(v, temp, NULL);
    else
        st = v->sync_dir(v, dir, err);
done:
    free(temp);
    free(dir);
    return st;
}

/* ---- mapped files */

ilk_status ilki_base_map_file(const ilki_vfs *v, const char *path, bool no_mmap, ilki_mapped *out, ilk_error *err)
{
    *out = (ilki_mapped){0};
    ilki_file *f;
    uint64_t size = 0;
    ilk_status st = v->open(v, &f, path, ILKI_OPEN_READ, err);
    if (st != ILK_OK)
        return st;
    st = v->size(f, &size, err);
    if (st != ILK_OK)
        goto fail;
    if (size > SIZE_MAX / 4) {
        st = ilki_base_fail(err, ILK_LIMIT, "%s: %" PRIu64 " bytes are more than this machine can address", path, size);
        goto fail;
    }
    const void *p = NULL;
    if (!no_mmap && v->map != NULL && size > 0 && v->map(f, 0, (size_t)size, &p, NULL) == ILK_OK) {
        *out = (ilki_mapped){p, (size_t)size, f};
        return ILK_OK;
    }
    char *data = NULL;
    size_t n = 0;
    st = read_open_file(f, path, SIZE_MAX / 4, &data, &n, err);
    if (st == ILK_OK)
        *out = (ilki_mapped){(unsigned char *)data, n, NULL};
fail:
    v->close(f);
    return st;
}

void ilki_base_unmap_file(ilki_mapped *m)
{
    if (m->file != NULL) {
        const ilki_vfs *v = m->file->vfs;
        v->unmap(m->file, m->data, m->size);
        v->close(m->file);
    } else {
        free((void *)(uintptr_t)m->data);
    }
    *m = (ilki_mapped){0};
}

/* ---- advice */

static void advise(const ilki_mapped *m, const void *p, size_t n, int advice)
{
    long page = sysconf(_SC_PAGESIZE);
    uintptr_t base = (uintptr_t)m->data, from = (uintptr_t)p, mask = (uintptr_t)page - 1;
    if (!m->file || page <= 0 || from < base || from - base > m->size || n > m->size - (from - base))
        return;
    uintptr_t to = (from + n) & ~mask;
    from = (from + mask) & ~mask;
    if (from < to)
        (void)madvise((void *)from, to - from, advice);
}

void ilki_base_will_need(const ilki_mapped *m, const void *p, size_t n)
{
#ifdef MADV_POPULATE_READ
    advise(m, p, n, MADV_POPULATE_READ);
#else
    advise(m, p, n, MADV_WILLNEED);
#endif
}

void ilki_base_done_with(const ilki_mapped *m, const void *p, size_t n)
{
    advise(m, p, n, MADV_DONTNEED);
}
