/* SPDX-License-Identifier: Apache-2.0
 * See memfile.h. */
#include "base/memfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FIRST_FD = 10 }; /* also above the places that a child's descriptors are moved to */

int ilki_base_fd_guard(int fd)
{
    if (fd < 0)
        return -1;
    if (fd >= FIRST_FD && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD), e = errno;
    close(fd);
    errno = e;
    return moved;
}

static int open_nameless(void)
{
#ifdef MFD_ALLOW_SEALING
    int fd = memfd_create("ilk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 || errno != ENOSYS)
        return fd;
#endif
    char path[] = "/tmp/ilk-XXXXXX";
    int file = mkostemp(path, O_CLOEXEC);
    if (file >= 0)
        unlink(path);
    return file;
}

ilk_status ilki_base_memfile_new(int *fd, size_t n, const char *what, ilk_error *err)
{
    *fd = ilki_base_fd_guard(open_nameless());
    if (*fd >= 0 && ftruncate(*fd, (off_t)n) == 0)
        return ILK_OK;
    int e = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return ilki_base_fail_errno(err, ILK_IO, e, "%zu bytes of shared memory for %s", n, what);
}

ilk_status ilki_base_memfile_from(int *fd, const void *data, size_t n, const char *what, ilk_error *err)
{
    ilk_status st = ilki_base_memfile_new(fd, 0, what, err);
    for (size_t done = 0; st == ILK_OK && done < n;) {
        ssize_t w = pwrite(*fd, (const char *)data + done, n - done, (off_t)done);
        if (w > 0)
            done += (size_t)w;
        else if (w == 0 || errno != EINTR)
            st = ilki_base_fail_errno(err, ILK_IO, w == 0 ? ENOSPC : errno, "%zu bytes of shared memory for %s", n,
                                      what);
    }
    if (st != ILK_OK && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
#ifdef F_ADD_SEALS
    if (st == ILK_OK) /* refused for a temporary file, which is as good as the system has */
        (void)fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
#endif
    return st;
}

ilk_status ilki_base_memfile_read(int fd, void *to, size_t at, size_t n, const char *what, ilk_error *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = pread(fd, (char *)to + done, n - done, (off_t)(at + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return ilki_base_fail_errno(err, ILK_IO, errno, "shared memory for %s", what);
        if (r == 0)
            return ilki_base_fail(err, ILK_IO, "shared memory for %s: expected %zu bytes, found %zu", what, n, done);
        done += (size_t)r;
    }
    return ILK_OK;
}

bool ilki_base_memfile_fix(int fd)
{
#ifdef F_ADD_SEALS
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
#else
    (void)fd;
    return false;
#endif
}

const void *ilki_base_memfile_view(int fd, size_t at, size_t n)
{
    const void *view = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, (off_t)at);
    return view == MAP_FAILED ? NULL : view;
}

void ilki_base_memfile_clear(int fd, size_t at, size_t n)
{
#ifdef FALLOC_FL_PUNCH_HOLE
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) != 0)
        return; /* it stays as it was: memory, not correctness */
#else
    (void)fd;
    (void)at;
    (void)n;
#endif
}
