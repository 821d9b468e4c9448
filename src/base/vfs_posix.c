/* SPDX-License-Identifier: Apache-2.0
 * The real file system. Locks belong to the open file (OFD), so that two opens inside one process exclude each other
 * and closing one does not drop another's lock; where the system has none, the process's own record locks stand in. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/vfs.h"

#ifdef F_OFD_SETLK
#define SET_LOCK F_OFD_SETLK
#else
#define SET_LOCK F_SETLK
#endif

enum {
    MAP_ALIGN = 64 << 10,
    FIRST_FD = 3,    /* a stray printf of the host program must not land in a file of ours */
    MAX_IO = 1 << 30 /* bytes of one system call: Linux moves at most 2^31 - 4096 */
};

typedef struct posix_file {
    ilki_file base;
    int fd;
    char path[]; /* for messages */
} posix_file;

static int fd_of(const ilki_file *f)
{
    return ((const posix_file *)f)->fd;
}

static const char *path_of(const ilki_file *f)
{
    return ((const posix_file *)f)->path;
}

/* off_t is signed: an offset that comes from a broken file must not turn negative. */
static ilk_status check_span(const ilki_file *f, const char *verb, uint64_t at, uint64_t n, ilk_error *err)
{
    if (at > INT64_MAX || n > INT64_MAX - at)
        return ilki_base_fail(err, ILK_LIMIT, "%s %s: offset %llu + %llu bytes is past what a file can hold", verb,
                              path_of(f), (unsigned long long)at, (unsigned long long)n);
    return ILK_OK;
}

/* ---- open files */

static int open_fd(const char *path, int how, mode_t mode)
{
    int fd;
    do
        fd = open(path, how, mode);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && fd < FIRST_FD) {
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD), e = errno;
        close(fd);
        errno = e;
        return moved;
    }
    return fd;
}

static ilk_status posix_open(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err)
{
    *out = NULL;
    /* O_NONBLOCK: the open of a FIFO that somebody put in the folder must not hang; it means nothing to a file */
    int how = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (flags & ILKI_OPEN_WRITE ? O_RDWR : O_RDONLY);
    if (flags & ILKI_OPEN_CREATE)
        how |= O_CREAT;
    if (flags & ILKI_OPEN_EXCLUSIVE)
        how |= O_EXCL;
    if (flags & ILKI_OPEN_NOFOLLOW)
        how |= O_NOFOLLOW;
    size_t n = strlen(path) + 1;
    posix_file *f = ilki_base_zalloc(1, sizeof *f + n);
    if (f == NULL)
        return ilki_base_fail_memory(err, sizeof *f + n, "an open file");
    f->base.vfs = v;
    memcpy(f->path, path, n);
    f->fd = open_fd(path, how, flags & ILKI_OPEN_SHARED ? 0666 : 0600);
    if (f->fd < 0) {
        int e = errno;
        free(f);
        return ilki_base_fail_errno(err, e == EEXIST ? ILK_BUSY : ILK_IO, e, "open %s", path);
    }
    *out = &f->base;
    return ILK_OK;
}

static void posix_close(ilki_file *f)
{
    if (f == NULL)
        return;
    close(fd_of(f)); /* not retried on EINTR: Linux has closed it by then */
    free(f);
}

static ilk_status posix_read(ilki_file *f, uint64_t at, void *to, size_t n, size_t *got, ilk_error *err)
{
    *got = 0;
    ilk_status st = check_span(f, "read", at, n, err);
    if (st != ILK_OK)
        return st;
    while (*got < n) {
        size_t want = n - *got < MAX_IO ? n - *got : MAX_IO;
        ssize_t r = pread(fd_of(f), (char *)to + *got, want, (off_t)(at + *got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return ilki_base_fail_errno(err, ILK_IO, errno, "read %s at %llu", path_of(f),
                                        (unsigned long long)(at + *got));
        if (r == 0)
            break;
        *got += (size_t)r;
    }
    return ILK_OK;
}

static ilk_status posix_write(ilki_file *f, uint64_t at, const void *from, size_t n, ilk_error *err)
{
    ilk_status st = check_span(f, "write", at, n, err);
    if (st != ILK_OK)
        return st;
    for (size_t done = 0; done < n;) {
        size_t want = n - done < MAX_IO ? n - done : MAX_IO;
        ssize_t w = pwrite(fd_of(f), (const char *)from + done, want, (off_t)(at + done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return ilki_base_fail_errno(err, ILK_IO, w < 0 ? errno : ENOSPC, "write %s at %llu", path_of(f),
                                        (unsigned long long)(at + done));
        done += (size_t)w;
    }
    return ILK_OK;
}

static ilk_status posix_truncate(ilki_file *f, uint64_t size, ilk_error *err)
{
    ilk_status st = check_span(f, "truncate", size, 0, err);
    if (st != ILK_OK)
        return st;
    int r;
    do
        r = ftruncate(fd_of(f), (off_t)size);
    while (r != 0 && errno == EINTR);
    if (r != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "truncate %s to %llu", path_of(f), (unsigned long long)size);
    return ILK_OK;
}

static int sync_fd(int fd)
{
#if defined(__APPLE__) && defined(F_FULLFSYNC)
    if (fcntl(fd, F_FULLFSYNC) == 0) /* fsync leaves the data in the drive's cache there */
        return 0;
    return fsync(fd);
#else
    return fdatasync(fd);
#endif
}

static ilk_status posix_sync(ilki_file *f, ilk_error *err)
{
    int r;
    do
        r = sync_fd(fd_of(f));
    while (r != 0 && errno == EINTR);
    if (r != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "sync %s", path_of(f));
    return ILK_OK;
}

static void take_stat(const struct stat *s, ilki_stat *st)
{
    st->type = S_ISREG(s->st_mode)   ? ILKI_FILE_REGULAR
               : S_ISDIR(s->st_mode) ? ILKI_FILE_DIR
               : S_ISLNK(s->st_mode) ? ILKI_FILE_LINK
                                     : ILKI_FILE_OTHER;
    st->size = (uint64_t)s->st_size;
    st->dev = (uint64_t)s->st_dev;
    st->ino = (uint64_t)s->st_ino;
#ifdef __APPLE__
    st->mtime_ns = (int64_t)s->st_mtimespec.tv_sec * 1000000000 + s->st_mtimespec.tv_nsec;
    st->ctime_ns = (int64_t)s->st_ctimespec.tv_sec * 1000000000 + s->st_ctimespec.tv_nsec;
#else
    st->mtime_ns = (int64_t)s->st_mtim.tv_sec * 1000000000 + s->st_mtim.tv_nsec;
    st->ctime_ns = (int64_t)s->st_ctim.tv_sec * 1000000000 + s->st_ctim.tv_nsec;
#endif
    st->mode = (uint32_t)s->st_mode & 07777;
    st->uid = (uint32_t)s->st_uid;
}

static ilk_status posix_fstat(ilki_file *f, ilki_stat *st, ilk_error *err)
{
    struct stat s;
    if (fstat(fd_of(f), &s) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "stat %s", path_of(f));
    take_stat(&s, st);
    return ILK_OK;
}

static ilk_status posix_size(ilki_file *f, uint64_t *size, ilk_error *err)
{
    ilki_stat st = {0};
    ilk_status status = posix_fstat(f, &st, err);
    *size = st.size;
    return status;
}

/* ---- locks and maps */

static ilk_status set_lock(ilki_file *f, uint64_t at, uint64_t n, ilki_lock how, ilk_error *err)
{
    ilk_status st = check_span(f, "lock", at, n, err);
    if (st != ILK_OK)
        return st;
    struct flock l = {0}; /* OFD wants l_pid == 0 */
    l.l_type = how == ILKI_LOCK_NONE ? F_UNLCK : how == ILKI_LOCK_SHARED ? F_RDLCK : F_WRLCK;
    l.l_whence = SEEK_SET;
    l.l_start = (off_t)at;
    l.l_len = (off_t)n; /* 0: to the end, wherever it will be */
    int r;
    do
        r = fcntl(fd_of(f), SET_LOCK, &l);
    while (r != 0 && errno == EINTR);
    if (r == 0)
        return ILK_OK;
    if (errno == EAGAIN || errno == EACCES)
        return ilki_base_fail(err, ILK_BUSY, "%s is locked by another process or handle", path_of(f));
    return ilki_base_fail_errno(err, ILK_IO, errno, "lock %s", path_of(f));
}

static ilk_status posix_lock(ilki_file *f, ilki_lock how, ilk_error *err)
{
    return set_lock(f, 0, 0, how, err);
}

static ilk_status posix_flock(ilki_file *f, ilki_lock how, ilk_error *err)
{
    int op = how == ILKI_LOCK_NONE ? LOCK_UN : how == ILKI_LOCK_SHARED ? LOCK_SH : LOCK_EX, r;
    do
        r = flock(fd_of(f), op | LOCK_NB);
    while (r != 0 && errno == EINTR);
    if (r != 0 && errno == EWOULDBLOCK)
        return ilki_base_fail(err, ILK_BUSY, "%s is locked by another process or handle", path_of(f));
    return r == 0 ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, errno, "lock %s", path_of(f));
}

static ilk_status posix_lock_range(ilki_file *f, uint64_t at, uint64_t n, ilki_lock how, ilk_error *err)
{
    if (n == 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "lock %s: a range of 0 bytes", path_of(f));
    return set_lock(f, at, n, how, err);
}

/* *size: of the file */
static ilk_status check_map(ilki_file *f, uint64_t at, size_t n, uint64_t *size, ilk_error *err)
{
    if (n == 0 || at % MAP_ALIGN != 0)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT,
                              "map %s: %zu bytes at %llu: expected some, at a multiple of 64 KiB", path_of(f), n,
                              (unsigned long long)at);
    ilk_status st = check_span(f, "map", at, n, err);
    return st == ILK_OK ? posix_size(f, size, err) : st;
}

static ilk_status posix_map(ilki_file *f, uint64_t at, size_t n, const void **out, ilk_error *err)
{
    *out = NULL;
    uint64_t size = 0;
    ilk_status st = check_map(f, at, n, &size, err);
    if (st != ILK_OK)
        return st;
    if (at + n > size) /* touching what is not there would be SIGBUS */
        return ilki_base_fail(err, ILK_IO, "map %s: expected %llu bytes, the file has %llu", path_of(f),
                              (unsigned long long)(at + n), (unsigned long long)size);
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd_of(f), (off_t)at);
    if (p == MAP_FAILED)
        return ilki_base_fail_errno(err, ILK_IO, errno, "map %zu bytes of %s", n, path_of(f));
    *out = p;
    return ILK_OK;
}

static void posix_unmap(ilki_file *f, const void *p, size_t n)
{
    (void)f;
    if (p != NULL)
        munmap((void *)(uintptr_t)p, n);
}

/* Growth must neither shrink nor overwrite what another process has put there in between, so no ftruncate. */
static int grow_fd(int fd, uint64_t size)
{
    int e;
    do
        e = posix_fallocate(fd, 0, (off_t)size);
    while (e == EINTR);
    return e;
}

static ilk_status posix_map_shared(ilki_file *f, uint64_t at, size_t n, void **out, ilk_error *err)
{
    *out = NULL;
    uint64_t size = 0;
    ilk_status st = check_map(f, at, n, &size, err);
    if (st != ILK_OK)
        return st;
    if (size < at + n) {
        int e = grow_fd(fd_of(f), at + n);
        if (e != 0)
            return ilki_base_fail_errno(err, ILK_IO, e, "grow %s to %llu", path_of(f), (unsigned long long)(at + n));
    }
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of(f), (off_t)at);
    if (p == MAP_FAILED)
        return ilki_base_fail_errno(err, ILK_IO, errno, "map %zu bytes of %s", n, path_of(f));
    *out = p;
    return ILK_OK;
}

/* ---- names */

static ilk_status posix_stat(const ilki_vfs *v, const char *path, bool follow, ilki_stat *st, ilk_error *err)
{
    (void)v;
    struct stat s;
    if ((follow ? stat(path, &s) : lstat(path, &s)) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "stat %s", path);
    take_stat(&s, st);
    return ILK_OK;
}

static ilki_file_type entry_type(DIR *d, const struct dirent *e)
{
#ifdef _DIRENT_HAVE_D_TYPE
    switch (e->d_type) {
    case DT_REG:
        return ILKI_FILE_REGULAR;
    case DT_DIR:
        return ILKI_FILE_DIR;
    case DT_LNK:
        return ILKI_FILE_LINK;
    case DT_UNKNOWN: /* some file systems do not say */
        break;
    default:
        return ILKI_FILE_OTHER;
    }
#endif
    struct stat s;
    ilki_stat st = {0};
    if (fstatat(dirfd(d), e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0)
        take_stat(&s, &st);
    return st.type;
}

static ilk_status posix_list(const ilki_vfs *v, const char *dir, ilki_dir_fn fn, void *user, ilk_error *err)
{
    (void)v;
    int fd = open_fd(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, 0);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        int e = errno;
        if (fd >= 0)
            close(fd);
        return ilki_base_fail_errno(err, ILK_IO, e, "list %s", dir);
    }
    int e = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (entry == NULL) {
            e = errno;
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !fn(user, name, entry_type(d, entry)))
            break;
    }
    closedir(d);
    return e == 0 ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, e, "list %s", dir);
}

static ilk_status posix_make_dir(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err)
{
    (void)v;
    struct stat s;
    if (mkdir(dir, (mode_t)mode) == 0)
        return ILK_OK;
    int e = errno;
    if (e == EEXIST && stat(dir, &s) == 0) {
        if (S_ISDIR(s.st_mode))
            return ILK_OK;
        e = ENOTDIR;
    }
    return ilki_base_fail_errno(err, ILK_IO, e, "make directory %s", dir);
}

static ilk_status posix_rename(const ilki_vfs *v, const char *from, const char *to, ilk_error *err)
{
    (void)v;
    if (rename(from, to) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "rename %s to %s", from, to);
    return ILK_OK;
}

static ilk_status posix_unlink(const ilki_vfs *v, const char *path, ilk_error *err)
{
    (void)v;
    if (unlink(path) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "unlink %s", path);
    return ILK_OK;
}

static ilk_status posix_sync_dir(const ilki_vfs *v, const char *dir, ilk_error *err)
{
    (void)v;
    int fd = open_fd(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "sync directory %s", dir);
    int r, e = 0;
    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    if (r != 0)
        e = errno;
    close(fd);
    /* EINVAL: this file system orders its directories by itself and offers no call for it */
    return e == 0 || e == EINVAL ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, e, "sync directory %s", dir);
}

static ilk_status posix_make_link(const ilki_vfs *v, const char *target, const char *path, ilk_error *err)
{
    (void)v;
    if (symlink(target, path) == 0)
        return ILK_OK;
    return ilki_base_fail_errno(err, errno == EEXIST ? ILK_BUSY : ILK_IO, errno, "link %s to %s", path, target);
}

static ilk_status posix_free_bytes(const ilki_vfs *v, const char *dir, uint64_t *n, ilk_error *err)
{
    (void)v;
    struct statvfs s;
    *n = 0;
    if (statvfs(dir, &s) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "free space of %s", dir);
    if (__builtin_mul_overflow((uint64_t)s.f_bavail, (uint64_t)s.f_frsize, n))
        *n = UINT64_MAX;
    return ILK_OK;
}

static ilk_status posix_read_link(const ilki_vfs *v, const char *path, char *to, size_t n, ilk_error *err)
{
    (void)v;
    ssize_t r = readlink(path, to, n);
    if (r < 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "read link %s", path);
    if ((size_t)r >= n)
        return ilki_base_fail(err, ILK_LIMIT, "read link %s: longer than %zu bytes", path, n);
    to[r] = '\0';
    return ILK_OK;
}

static ilk_status posix_touch(const ilki_vfs *v, const char *path, ilk_error *err)
{
    (void)v;
    if (utimensat(AT_FDCWD, path, NULL, 0) == 0)
        return ILK_OK;
    return ilki_base_fail_errno(err, ILK_IO, errno, "touch %s", path);
}

const ilki_vfs ilki_base_vfs_posix = {
    .name = "posix",
    .open = posix_open,
    .close = posix_close,
    .read = posix_read,
    .write = posix_write,
    .truncate = posix_truncate,
    .sync = posix_sync,
    .size = posix_size,
    .fstat = posix_fstat,
    .lock = posix_lock,
    .flock = posix_flock,
    .lock_range = posix_lock_range,
    .map = posix_map,
    .unmap = posix_unmap,
    .map_shared = posix_map_shared,
    .stat = posix_stat,
    .list = posix_list,
    .make_dir = posix_make_dir,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .sync_dir = posix_sync_dir,
    .make_link = posix_make_link,
    .free_bytes = posix_free_bytes,
    .read_link = posix_read_link,
    .touch = posix_touch,
};
