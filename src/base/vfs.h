/* SPDX-License-Identifier: Apache-2.0
 * Every file operation of ilk passes one table, so that tests can fail, tear and lose any of them. ilki_base_vfs_posix is
 * the real one; its faulty twin lives in tests/. SQLite's I/O goes through the same table (store/ wraps it as a
 * sqlite3_vfs). Paths are bytes. All functions return OK or fill err with path and reason; short reads and writes are
 * completed inside, EINTR is retried. A table is const and its functions may be called from any thread. */
#ifndef ILKI_BASE_VFS_H
#define ILKI_BASE_VFS_H

#include <stdbool.h>

#include "base/error.h"

typedef struct ilki_vfs ilki_vfs;
typedef struct ilki_file ilki_file; /* one open file; begins with its vfs */

enum {
    ILKI_OPEN_READ = 0,
    ILKI_OPEN_WRITE = 1,     /* read and write */
    ILKI_OPEN_CREATE = 2,    /* create where absent, mode 0600 */
    ILKI_OPEN_EXCLUSIVE = 4, /* with CREATE: BUSY where present */
    ILKI_OPEN_NOFOLLOW = 8,  /* a symbolic link is an error */
    ILKI_OPEN_SHARED = 16    /* with CREATE: mode 0666 less the umask, for folders that users may share */
};

typedef enum ilki_file_type { ILKI_FILE_OTHER, ILKI_FILE_REGULAR, ILKI_FILE_DIR, ILKI_FILE_LINK } ilki_file_type;

typedef struct ilki_stat {
    ilki_file_type type;
    uint64_t size, dev, ino;
    int64_t mtime_ns, ctime_ns;
    uint32_t mode, uid;
} ilki_stat;

/* Return false to stop; `name` is valid during the call only. */
typedef bool (*ilki_dir_fn)(void *user, const char *name, ilki_file_type type);

typedef enum ilki_lock { ILKI_LOCK_NONE, ILKI_LOCK_SHARED, ILKI_LOCK_EXCLUSIVE } ilki_lock;

struct ilki_vfs {
    const char *name;
    void *state; /* of a test's twin */

    ilk_status (*open)(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err);
    void (*close)(ilki_file *f); /* NULL is fine */
    /* *got < n only at the end of the file */
    ilk_status (*read)(ilki_file *f, uint64_t at, void *to, size_t n, size_t *got, ilk_error *err);
    ilk_status (*write)(ilki_file *f, uint64_t at, const void *from, size_t n, ilk_error *err);
    ilk_status (*truncate)(ilki_file *f, uint64_t size, ilk_error *err);
    ilk_status (*sync)(ilki_file *f, ilk_error *err); /* fdatasync; a failure is final, it must not be retried */
    ilk_status (*size)(ilki_file *f, uint64_t *size, ilk_error *err);
    ilk_status (*fstat)(ilki_file *f, ilki_stat *st, ilk_error *err);
    /* whole-file advisory lock that ends with the process (OFD); BUSY where another holds it */
    ilk_status (*lock)(ilki_file *f, ilki_lock how, ilk_error *err);
    /* the other whole-file lock, flock(2)'s, for folders shared with programs that take it; the two do not see each other */
    ilk_status (*flock)(ilki_file *f, ilki_lock how, ilk_error *err);
    /* advisory byte-range lock, for SQLite's protocol */
    ilk_status (*lock_range)(ilki_file *f, uint64_t at, uint64_t n, ilki_lock how, ilk_error *err);
    /* read-only private map of [at, at + n), n > 0, at a multiple of 64 KiB, inside the file; unmap with the same n,
     * for a shared map too */
    ilk_status (*map)(ilki_file *f, uint64_t at, size_t n, const void **out, ilk_error *err);
    void (*unmap)(ilki_file *f, const void *p, size_t n);
    /* shared writable map for SQLite's shared memory; the file is grown to at + n */
    ilk_status (*map_shared)(ilki_file *f, uint64_t at, size_t n, void **out, ilk_error *err);

    ilk_status (*stat)(const ilki_vfs *v, const char *path, bool follow, ilki_stat *st, ilk_error *err);
    ilk_status (*list)(const ilki_vfs *v, const char *dir, ilki_dir_fn fn, void *user, ilk_error *err);
    ilk_status (*make_dir)(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err); /* present: OK */
    ilk_status (*rename)(const ilki_vfs *v, const char *from, const char *to, ilk_error *err);
    ilk_status (*unlink)(const ilki_vfs *v, const char *path, ilk_error *err); /* absent: NOT_FOUND */
    ilk_status (*sync_dir)(const ilki_vfs *v, const char *dir, ilk_error *err);
    ilk_status (*make_link)(const ilki_vfs *v, const char *target, const char *path,
                            ilk_error *err); /* BUSY: present */
    ilk_status (*free_bytes)(const ilki_vfs *v, const char *dir, uint64_t *n,
                             ilk_error *err); /* that this user may take */
    ilk_status (*read_link)(const ilki_vfs *v, const char *path, char *to, size_t n, ilk_error *err);
    ilk_status (*touch)(const ilki_vfs *v, const char *path,
                        ilk_error *err); /* its modification time is now; may be NULL */
};

struct ilki_file {
    const ilki_vfs *vfs;
};

extern const ilki_vfs ilki_base_vfs_posix;

/* ---- helpers over any vfs (vfs.c) */

/* The whole file, NUL-terminated behind `*n` bytes; LIMIT past max_bytes. Freed with free(). */
ilk_status ilki_base_read_file(const ilki_vfs *v, const char *path, size_t max_bytes, char **out, size_t *n,
                               ilk_error *err);

/* Writes a new file beside `path`, syncs it, renames it over and syncs the directory: old or new, never half. */
ilk_status ilki_base_write_file(const ilki_vfs *v, const char *path, const void *data, size_t n, ilk_error *err);

/* a/b joined, freed with free(); NULL when memory is short. An absolute b stands alone. */
char *ilki_base_path_join(const char *a, const char *b);
const char *ilki_base_path_name(const char *path); /* behind the last '/' */
/* What holds it: before the last '/', "." without one. Freed with free(); NULL when memory is short. */
char *ilki_base_path_dir(const char *path);

/* mkdir -p with `mode` for what is created. */
ilk_status ilki_base_make_dirs(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err);

/* A file's bytes, mapped, or read where `no_mmap` (or where the vfs cannot map). Close with unmap. */
typedef struct ilki_mapped {
    const unsigned char *data;
    size_t size;
    ilki_file *file; /* NULL: `data` is heap memory */
} ilki_mapped;
ilk_status ilki_base_map_file(const ilki_vfs *v, const char *path, bool no_mmap, ilki_mapped *out, ilk_error *err);
void ilki_base_unmap_file(ilki_mapped *m);

/* About n bytes from p on of a mapped file: only advice, which does nothing where `m` is not mapped, and costs nothing where
 * the system refuses. Pages shared with neighbours are left out. will_need reads them in at once; done_with gives them
 * back, to be read again if need be. */
void ilki_base_will_need(const ilki_mapped *m, const void *p, size_t n);
void ilki_base_done_with(const ilki_mapped *m, const void *p, size_t n);

#endif
