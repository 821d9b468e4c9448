/* SPDX-License-Identifier: Apache-2.0
 * See sqlite_vfs.h. Locks and shared memory follow the protocol of SQLite's own file system for Unix, byte for byte, so
 * that the sqlite3 shell can look into a store that is in use. Locks of our table belong to the open file: unlike the
 * original, no bookkeeping per process is needed. */
#include "store/sqlite_vfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "store/manifest.h"

enum {
    PENDING_BYTE = 0x40000000,
    RESERVED_BYTE = PENDING_BYTE + 1,
    SHARED_FIRST = PENDING_BYTE + 2,
    SHARED_BYTES = 510,
    SHM_LOCKS = 120,           /* where the lock bytes lie in the shared memory file */
    SHM_ALIVE = SHM_LOCKS + 8, /* held shared by everyone who has it open */
    SHM_REGION = 32768,        /* bytes of one region, SQLite's own number */
    SHM_CHUNK = 65536,         /* bytes mapped at once: the least our table maps */
    ALIVE_TRIES = 100,
    MAX_PATH_BYTES = 4096
};
#define PAGE_TAG 0x504b4c49u

typedef struct sql_file {
    sqlite3_file sqlite;
    ilki_file *file;
    const ilki_vfs *vfs;
    const char *path; /* SQLite keeps it until close */
    bool is_main;
    bool new_name; /* of a journal: not known to be in its directory for good */
    int lock;
    ilki_file *shm;
    void **chunks;
    int n_chunks;
} sql_file;

static const ilki_vfs *table_of(sqlite3_vfs *s)
{
    return ((ilki_sqlite_vfs *)s)->vfs;
}

static int code_of(ilk_status st, int otherwise)
{
    return st == ILK_OK ? SQLITE_OK : st == ILK_BUSY ? SQLITE_BUSY : st == ILK_NO_MEMORY ? SQLITE_NOMEM : otherwise;
}

/* ---- pages */

static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> 8 * i);
}

/* The last 8 bytes of a page as they should be. */
static void page_end(const unsigned char *page, sqlite3_int64 at, unsigned char end[ILKI_PAGE_RESERVED])
{
    unsigned char number[4];
    put32(number, (uint32_t)(at / ILKI_PAGE_BYTES));
    uint32_t crc = ilki_base_crc32c(0, number, sizeof number);
    put32(end, ilki_base_crc32c(crc, page, ILKI_PAGE_BYTES - ILKI_PAGE_RESERVED));
    put32(end + 4, PAGE_TAG);
}

static bool is_page(const sql_file *f, int n, sqlite3_int64 at)
{
    return f->is_main && n == ILKI_PAGE_BYTES && at % ILKI_PAGE_BYTES == 0;
}

static int file_read(sqlite3_file *sf, void *to, int n, sqlite3_int64 at)
{
    sql_file *f = (sql_file *)sf;
    size_t got = 0;
    ilk_status st = f->vfs->read(f->file, (uint64_t)at, to, (size_t)n, &got, NULL);
    if (st)
        return code_of(st, SQLITE_IOERR_READ);
    if (got < (size_t)n) {
        memset((char *)to + got, 0, (size_t)n - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    unsigned char end[ILKI_PAGE_RESERVED];
    if (is_page(f, n, at)) {
        page_end(to, at, end);
        if (memcmp((char *)to + n - sizeof end, end, sizeof end) != 0)
            return SQLITE_IOERR_DATA;
    }
    return SQLITE_OK;
}

static int file_write(sqlite3_file *sf, const void *from, int n, sqlite3_int64 at)
{
    sql_file *f = (sql_file *)sf;
    unsigned char page[ILKI_PAGE_BYTES];
    if (is_page(f, n, at)) {
        memcpy(page, from, sizeof page);
        page_end(page, at, page + sizeof page - ILKI_PAGE_RESERVED);
        from = page;
    }
    return code_of(f->vfs->write(f->file, (uint64_t)at, from, (size_t)n, NULL), SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *sf, sqlite3_int64 size)
{
    sql_file *f = (sql_file *)sf;
    return code_of(f->vfs->truncate(f->file, (uint64_t)size, NULL), SQLITE_IOERR_TRUNCATE);
}

static int sync_dir_of(const ilki_vfs *v, const char *path)
{
    char dir[MAX_PATH_BYTES];
    size_t n = (size_t)(ilki_base_path_name(path) - path);
    if (n == 0 || n >= sizeof dir)
        return SQLITE_IOERR_DIR_FSYNC;
    memcpy(dir, path, n);
    dir[n] = '\0';
    return code_of(v->sync_dir(v, dir, NULL), SQLITE_IOERR_DIR_FSYNC);
}

static int file_sync(sqlite3_file *sf, int flags)
{
    sql_file *f = (sql_file *)sf;
    (void)flags;
    if (f->vfs->sync(f->file, NULL))
        return SQLITE_IOERR_FSYNC;
    if (!f->new_name)
        return SQLITE_OK;
    /* a journal that repairs the main file is no use when its name is lost with the power */
    int rc = sync_dir_of(f->vfs, f->path);
    f->new_name = rc != SQLITE_OK;
    return rc;
}

static int file_size(sqlite3_file *sf, sqlite3_int64 *size)
{
    sql_file *f = (sql_file *)sf;
    uint64_t n = 0;
    ilk_status st = f->vfs->size(f->file, &n, NULL);
    *size = (sqlite3_int64)n;
    return code_of(st, SQLITE_IOERR_FSTAT);
}

/* ---- locks of the main file */

static ilk_status range(sql_file *f, uint64_t at, uint64_t n, ilki_lock how)
{
    return f->vfs->lock_range(f->file, at, n, how, NULL);
}

static int file_unlock(sqlite3_file *sf, int level)
{
    sql_file *f = (sql_file *)sf;
    if (f->lock <= level)
        return SQLITE_OK;
    ilk_status st = ILK_OK;
    if (f->lock > SQLITE_LOCK_SHARED) {
        if (level == SQLITE_LOCK_SHARED)
            st = range(f, SHARED_FIRST, SHARED_BYTES, ILKI_LOCK_SHARED);
        if (!st)
            st = range(f, PENDING_BYTE, 2, ILKI_LOCK_NONE);
    }
    if (!st && level == SQLITE_LOCK_NONE)
        st = range(f, SHARED_FIRST, SHARED_BYTES, ILKI_LOCK_NONE);
    if (!st)
        f->lock = level;
    return st ? SQLITE_IOERR_UNLOCK : SQLITE_OK;
}

static int file_lock(sqlite3_file *sf, int level)
{
    sql_file *f = (sql_file *)sf;
    ilk_status st = ILK_OK;
    if (f->lock >= level)
        return SQLITE_OK;
    if (level == SQLITE_LOCK_SHARED) {
        st = range(f, PENDING_BYTE, 1, ILKI_LOCK_SHARED);
        if (st)
            return code_of(st, SQLITE_IOERR_RDLOCK);
        st = range(f, SHARED_FIRST, SHARED_BYTES, ILKI_LOCK_SHARED);
        range(f, PENDING_BYTE, 1, ILKI_LOCK_NONE);
    } else if (level == SQLITE_LOCK_RESERVED) {
        st = range(f, RESERVED_BYTE, 1, ILKI_LOCK_EXCLUSIVE);
    } else {
        if (f->lock < SQLITE_LOCK_PENDING)
            st = range(f, PENDING_BYTE, 1, ILKI_LOCK_EXCLUSIVE);
        if (!st && level == SQLITE_LOCK_EXCLUSIVE) {
            f->lock = SQLITE_LOCK_PENDING;
            st = range(f, SHARED_FIRST, SHARED_BYTES, ILKI_LOCK_EXCLUSIVE);
        }
    }
    if (!st)
        f->lock = level;
    return code_of(st, SQLITE_IOERR_LOCK);
}

static int file_check_reserved(sqlite3_file *sf, int *held)
{
    sql_file *f = (sql_file *)sf;
    *held = 1;
    if (f->lock >= SQLITE_LOCK_RESERVED)
        return SQLITE_OK;
    ilk_status st = range(f, RESERVED_BYTE, 1, ILKI_LOCK_SHARED);
    *held = st == ILK_BUSY;
    if (!st)
        st = range(f, RESERVED_BYTE, 1, ILKI_LOCK_NONE);
    return st && st != ILK_BUSY ? SQLITE_IOERR_CHECKRESERVEDLOCK : SQLITE_OK;
}

static int file_control(sqlite3_file *sf, int op, void *arg)
{
    sql_file *f = (sql_file *)sf;
    if (op == SQLITE_FCNTL_LOCKSTATE) {
        *(int *)arg = f->lock;
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *sf)
{
    (void)sf;
    return ILKI_PAGE_BYTES;
}

/* Nothing is promised: a write may tear, and tear its neighbours. */
static int file_traits(sqlite3_file *sf)
{
    (void)sf;
    return 0;
}

/* ---- shared memory */

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* The first to come empties what a crash left; everyone holds the alive byte from then on. */
static ilk_status shm_join(sql_file *f)
{
    ilk_status st = ILK_BUSY;
    for (int i = 0; i < ALIVE_TRIES && st == ILK_BUSY; i++) {
        if (i)
            pause_ms(1);
        st = f->vfs->lock_range(f->shm, SHM_ALIVE, 1, ILKI_LOCK_EXCLUSIVE, NULL);
        if (!st)
            st = f->vfs->truncate(f->shm, 0, NULL);
        if (!st || st == ILK_BUSY)
            st = f->vfs->lock_range(f->shm, SHM_ALIVE, 1, ILKI_LOCK_SHARED, NULL);
    }
    return st;
}

static char *shm_path(const sql_file *f)
{
    size_t n = strlen(f->path) + sizeof "-shm";
    char *path = malloc(n);
    if (path)
        snprintf(path, n, "%s-shm", f->path);
    return path;
}

static int shm_open(sql_file *f)
{
    char *path = shm_path(f);
    if (!path)
        return SQLITE_NOMEM;
    ilk_status st = f->vfs->open(f->vfs, &f->shm, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_NOFOLLOW, NULL);
    free(path);
    if (!st)
        st = shm_join(f);
    if (st) {
        f->vfs->close(f->shm);
        f->shm = NULL;
    }
    return code_of(st, SQLITE_CANTOPEN);
}

static int shm_map(sqlite3_file *sf, int region, int region_bytes, int extend, void volatile **out)
{
    sql_file *f = (sql_file *)sf;
    int chunk = region / (SHM_CHUNK / SHM_REGION), rc = SQLITE_OK;
    uint64_t size = 0;
    *out = NULL;
    if (region_bytes != SHM_REGION)
        return SQLITE_IOERR_SHMMAP;
    if (!f->shm)
        rc = shm_open(f);
    if (rc)
        return rc;
    if (chunk >= f->n_chunks) {
        ilk_status st = f->vfs->size(f->shm, &size, NULL);
        if (st)
            return code_of(st, SQLITE_IOERR_SHMSIZE);
        if (!extend && size < ((uint64_t)region + 1) * SHM_REGION)
            return SQLITE_OK;
        void **chunks = realloc(f->chunks, ((size_t)chunk + 1) * sizeof *chunks);
        if (!chunks)
            return SQLITE_NOMEM;
        f->chunks = chunks;
        while (!st && f->n_chunks <= chunk) {
            uint64_t at = (uint64_t)f->n_chunks * SHM_CHUNK;
            st = f->vfs->map_shared(f->shm, at, SHM_CHUNK, &chunks[f->n_chunks], NULL);
            f->n_chunks += !st;
        }
        if (st)
            return code_of(st, SQLITE_IOERR_SHMMAP);
    }
    *out = (char *)f->chunks[chunk] + region % (SHM_CHUNK / SHM_REGION) * SHM_REGION;
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *sf, int at, int n, int flags)
{
    sql_file *f = (sql_file *)sf;
    if (!f->shm)
        return SQLITE_IOERR_SHMLOCK;
    ilki_lock how = flags & SQLITE_SHM_UNLOCK   ? ILKI_LOCK_NONE
                    : flags & SQLITE_SHM_SHARED ? ILKI_LOCK_SHARED
                                                : ILKI_LOCK_EXCLUSIVE;
    ilk_status st = f->vfs->lock_range(f->shm, (uint64_t)(SHM_LOCKS + at), (uint64_t)n, how, NULL);
    return code_of(st, SQLITE_IOERR_SHMLOCK);
}

static void shm_barrier(sqlite3_file *sf)
{
    (void)sf;
    __sync_synchronize(); /* the full barrier; GCC refuses the C11 fence under the thread sanitizer */
}

static int shm_unmap(sqlite3_file *sf, int remove)
{
    sql_file *f = (sql_file *)sf;
    if (!f->shm)
        return SQLITE_OK;
    for (int i = 0; i < f->n_chunks; i++)
        f->vfs->unmap(f->shm, f->chunks[i], SHM_CHUNK);
    free(f->chunks);
    f->chunks = NULL;
    f->n_chunks = 0;
    char *path = remove ? shm_path(f) : NULL;
    if (path)
        f->vfs->unlink(f->vfs, path, NULL);
    free(path);
    f->vfs->close(f->shm);
    f->shm = NULL;
    return SQLITE_OK;
}

static int file_close(sqlite3_file *sf)
{
    sql_file *f = (sql_file *)sf;
    shm_unmap(sf, 0);
    f->vfs->close(f->file);
    f->file = NULL;
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_check_reserved,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector,
                                           .xDeviceCharacteristics = file_traits,
                                           .xShmMap = shm_map,
                                           .xShmLock = shm_lock,
                                           .xShmBarrier = shm_barrier,
                                           .xShmUnmap = shm_unmap};

/* ---- the file system */

static int vfs_open(sqlite3_vfs *s, const char *path, sqlite3_file *sf, int flags, int *out_flags)
{
    sql_file *f = (sql_file *)sf;
    memset(f, 0, sizeof *f);
    if (!path) /* a temporary file: kept in memory by pragma, so nobody should ask */
        return SQLITE_CANTOPEN;
    int how = ILKI_OPEN_NOFOLLOW | (flags & SQLITE_OPEN_READWRITE ? ILKI_OPEN_WRITE : ILKI_OPEN_READ) |
              (flags & SQLITE_OPEN_CREATE ? ILKI_OPEN_CREATE : 0) |
              (flags & SQLITE_OPEN_EXCLUSIVE ? ILKI_OPEN_EXCLUSIVE : 0);
    f->vfs = table_of(s);
    ilk_status st = f->vfs->open(f->vfs, &f->file, path, how, NULL);
    if (st)
        return code_of(st, SQLITE_CANTOPEN);
    f->path = path;
    f->is_main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    f->new_name = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    f->sqlite.pMethods = &methods;
    if (out_flags)
        *out_flags = flags;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *s, const char *path, int sync_dir)
{
    const ilki_vfs *v = table_of(s);
    ilk_status st = v->unlink(v, path, NULL);
    if (st == ILK_NOT_FOUND)
        return SQLITE_IOERR_DELETE_NOENT;
    if (st)
        return code_of(st, SQLITE_IOERR_DELETE);
    return sync_dir ? sync_dir_of(v, path) : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *s, const char *path, int flags, int *out)
{
    const ilki_vfs *v = table_of(s);
    ilki_stat st;
    ilk_status status = v->stat(v, path, true, &st, NULL);
    *out = status == ILK_OK && (flags != SQLITE_ACCESS_EXISTS || st.type != ILKI_FILE_REGULAR || st.size > 0);
    return status && status != ILK_NOT_FOUND ? code_of(status, SQLITE_IOERR_ACCESS) : SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *s, const char *path, int n, char *out)
{
    (void)s;
    size_t len = strlen(path);
    if (n <= 0 || len >= (size_t)n)
        return SQLITE_CANTOPEN;
    memcpy(out, path, len + 1);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *s, int n, char *out)
{
    (void)s;
    return ilki_store_random(out, (size_t)n, NULL) ? 0 : n;
}

static int vfs_sleep(sqlite3_vfs *s, int us)
{
    (void)s;
    pause_ms(us / 1000 + 1);
    return us;
}

static int vfs_time64(sqlite3_vfs *s, sqlite3_int64 *ms)
{
    (void)s;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    *ms = 210866760000000 + (sqlite3_int64)t.tv_sec * 1000 + t.tv_nsec / 1000000; /* of the Julian day */
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *s, double *days)
{
    sqlite3_int64 ms;
    vfs_time64(s, &ms);
    *days = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *s, int n, char *out)
{
    (void)s;
    (void)n;
    (void)out;
    return 0;
}

ilk_status ilki_store_sqlite_vfs_add(ilki_sqlite_vfs *s, const ilki_vfs *v, ilk_error *err)
{
    memset(s, 0, sizeof *s);
    s->vfs = v;
    snprintf(s->name, sizeof s->name, "ilk-%p", (void *)s);
    s->sqlite = (sqlite3_vfs){.iVersion = 2,
                              .szOsFile = sizeof(sql_file),
                              .mxPathname = MAX_PATH_BYTES,
                              .zName = s->name,
                              .xOpen = vfs_open,
                              .xDelete = vfs_delete,
                              .xAccess = vfs_access,
                              .xFullPathname = vfs_full_path,
                              .xRandomness = vfs_random,
                              .xSleep = vfs_sleep,
                              .xCurrentTime = vfs_time,
                              .xGetLastError = vfs_last_error,
                              .xCurrentTimeInt64 = vfs_time64};
    if (!sqlite3_threadsafe())
        return ilki_base_fail(err, ILK_UNSUPPORTED, "this build of SQLite is not safe for threads");
    int rc = sqlite3_vfs_register(&s->sqlite, 0);
    if (rc)
        return ilki_base_fail(err, rc == SQLITE_NOMEM ? ILK_NO_MEMORY : ILK_IO, "SQLite: %s", sqlite3_errstr(rc));
    s->registered = true;
    return ILK_OK;
}

void ilki_store_sqlite_vfs_remove(ilki_sqlite_vfs *s)
{
    if (s->registered)
        sqlite3_vfs_unregister(&s->sqlite);
    s->registered = false;
}
