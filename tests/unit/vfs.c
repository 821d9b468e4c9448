/* SPDX-License-Identifier: Apache-2.0
 * The posix vfs and the helpers over any vfs, in a fresh directory under TMPDIR. */
#include "base/vfs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#define V (&ilki_base_vfs_posix)

static char root[256];

static const char *at(const char *name)
{
    static char paths[4][512];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", root, name);
    return p;
}

/* Every test begins in an empty directory and leaves nothing. */
static void begin(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/ilk-vfs-XXXXXX", tmp != NULL ? tmp : "/tmp");
    CHECK(mkdtemp(root) != NULL);
}

static void end(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    CHECK_INT(system(command), 0);
}

static ilki_file *open_at(const char *name, int flags)
{
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *f = NULL;
    CHECK_OK(V->open(V, &f, at(name), flags, &err), &err);
    return f;
}

static void read_and_write(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *f = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE);
    REQUIRE(CHECK(f != NULL));
    CHECK(f->vfs == V);
    char buf[64] = {0};
    size_t got = 9;
    uint64_t size = 9;
    CHECK_OK(V->read(f, 0, buf, 4, &got, &err), &err);
    CHECK_INT(got, 0);
    CHECK_OK(V->write(f, 100, "world", 5, &err), &err);
    CHECK_OK(V->write(f, 0, "hello", 5, &err), &err);
    CHECK_OK(V->write(f, 3, NULL, 0, &err), &err);
    CHECK_OK(V->size(f, &size, &err), &err);
    CHECK_INT(size, 105);
    CHECK_OK(V->read(f, 98, buf, 64, &got, &err), &err);
    CHECK_INT(got, 7);
    CHECK_MEM(buf, "\0\0world", 7);
    CHECK_OK(V->sync(f, &err), &err);
    CHECK_OK(V->truncate(f, 3, &err), &err);
    CHECK_OK(V->truncate(f, 6, &err), &err);
    CHECK_OK(V->read(f, 0, buf, 64, &got, &err), &err);
    CHECK_INT(got, 6);
    CHECK_MEM(buf, "hel\0\0\0", 6);
    ilki_stat st, named;
    CHECK_OK(V->fstat(f, &st, &err), &err);
    CHECK_OK(V->stat(V, at("file"), true, &named, &err), &err);
    CHECK_INT(st.type, ILKI_FILE_REGULAR);
    CHECK_INT(st.size, 6);
    CHECK_INT(st.mode, 0600);
    CHECK_INT(st.uid, geteuid());
    CHECK(st.mtime_ns > 1600000000000000000);
    CHECK(st.ino == named.ino && st.dev == named.dev && st.ino != 0);
    CHECK_STATUS(V->read(f, UINT64_MAX - 2, buf, 8, &got, &err), ILK_LIMIT, &err);
    CHECK_STATUS(V->write(f, INT64_MAX, "abc", 3, &err), ILK_LIMIT, &err);
    CHECK_STATUS(V->truncate(f, UINT64_MAX, &err), ILK_LIMIT, &err);
    V->close(f);
    f = open_at("file", ILKI_OPEN_READ);
    CHECK_STATUS(V->write(f, 0, "x", 1, &err), ILK_IO, &err);
    CHECK(strstr(err.message, at("file")) != NULL);
    V->close(f);
    V->close(NULL);
    end();
}

/* flock(2)'s lock excludes another handle, and knows nothing of the other kind. */
static void foreign_locks(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    mode_t mask = umask(0027);
    ilki_file *a = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_SHARED);
    umask(mask);
    ilki_file *b = open_at("file", ILKI_OPEN_WRITE);
    ilki_stat st;
    CHECK_OK(V->fstat(a, &st, &err), &err);
    CHECK_INT(st.mode, 0640);
    CHECK_OK(V->flock(a, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_STATUS(V->flock(b, ILKI_LOCK_SHARED, &err), ILK_BUSY, &err);
    CHECK_OK(V->lock(b, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_OK(V->flock(a, ILKI_LOCK_NONE, &err), &err);
    CHECK_OK(V->flock(b, ILKI_LOCK_SHARED, &err), &err);
    CHECK_OK(V->flock(a, ILKI_LOCK_SHARED, &err), &err);
    V->close(a);
    V->close(b);
    end();
}

static void open_failures(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *f = (ilki_file *)&err;
    CHECK_STATUS(V->open(V, &f, at("none"), ILKI_OPEN_READ, &err), ILK_NOT_FOUND, &err);
    CHECK(f == NULL);
    CHECK(strstr(err.message, at("none")) && strstr(err.message, "No such file"));
    CHECK_STATUS(V->open(V, &f, root, ILKI_OPEN_WRITE, &err), ILK_IO, &err);
    f = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_EXCLUSIVE);
    V->close(f);
    CHECK_STATUS(V->open(V, &f, at("file"), ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_EXCLUSIVE, &err), ILK_BUSY,
                 &err);
    CHECK_INT(symlink("file", at("link")), 0);
    CHECK_STATUS(V->open(V, &f, at("link"), ILKI_OPEN_READ | ILKI_OPEN_NOFOLLOW, &err), ILK_IO, &err);
    f = open_at("link", ILKI_OPEN_READ);
    V->close(f);
    CHECK_STATUS(V->open(V, &f, at("file/x"), ILKI_OPEN_READ, &err), ILK_IO, &err);

    CHECK_INT(mkfifo(at("fifo"), 0600), 0); /* must not wait for a writer */
    alarm(10);
    ilk_status st = V->open(V, &f, at("fifo"), ILKI_OPEN_READ, &err);
    alarm(0);
    if (CHECK_OK(st, &err)) {
        char c;
        size_t got;
        CHECK_STATUS(V->read(f, 0, &c, 1, &got, &err), ILK_IO, &err);
        V->close(f);
    }
    ilki_stat s;
    CHECK_OK(V->stat(V, at("fifo"), true, &s, &err), &err);
    CHECK_INT(s.type, ILKI_FILE_OTHER);
    end();
}

static void no_permission(void)
{
    begin();
    fflush(stdout);
    ilki_file *f = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE);
    V->close(f);
    chmod(at("file"), 0);
    chmod(root, 0755);
    pid_t pid = fork();
    if (pid == 0) { /* root may read everything, so be somebody else */
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(77);
        ilk_error err;
        ilk_error_init(&err);
        ilk_status st = V->open(V, &f, at("file"), ILKI_OPEN_READ, &err);
        bool told = strstr(err.message, at("file")) && strstr(err.message, "Permission denied");
        _exit(st == ILK_IO && f == NULL && told ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    end();
}

static void disk_full(void)
{
    if (access("/dev/full", W_OK) != 0)
        TEST_SKIP("no /dev/full here");
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *f = NULL;
    CHECK_OK(V->open(V, &f, "/dev/full", ILKI_OPEN_WRITE, &err), &err);
    CHECK_STATUS(V->write(f, 0, "x", 1, &err), ILK_IO, &err);
    CHECK(strstr(err.message, "/dev/full") && strstr(err.message, "No space left"));
    V->close(f);
}

/* A file never gets descriptor 0, 1 or 2, and none is inherited over exec. */
static void descriptors(void)
{
    begin();
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 0; fd < 64; fd++)
            if (fd != 2)
                close(fd);
        ilki_file *f = NULL;
        if (V->open(V, &f, at("file"), ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, NULL) != ILK_OK)
            _exit(1);
        if (write(1, "x", 1) != -1 || fcntl(0, F_GETFD) != -1)
            _exit(2);
        _exit(fcntl(3, F_GETFD) == FD_CLOEXEC ? 0 : 3);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    end();
}

static void locks(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *a = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE), *b = open_at("file", ILKI_OPEN_WRITE);
    CHECK_OK(V->lock(a, ILKI_LOCK_SHARED, &err), &err);
    CHECK_OK(V->lock(b, ILKI_LOCK_SHARED, &err), &err);
    CHECK_STATUS(V->lock(b, ILKI_LOCK_EXCLUSIVE, &err), ILK_BUSY, &err);
    CHECK(strstr(err.message, at("file")) != NULL);
    CHECK_OK(V->lock(a, ILKI_LOCK_NONE, &err), &err);
    CHECK_OK(V->lock(b, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_STATUS(V->lock(a, ILKI_LOCK_SHARED, &err), ILK_BUSY, &err);
    ilki_file *c = open_at("file", ILKI_OPEN_WRITE);
    V->close(c); /* a process-wide lock would be gone now */
    CHECK_STATUS(V->lock(a, ILKI_LOCK_SHARED, &err), ILK_BUSY, &err);
    V->close(b);
    CHECK_OK(V->lock(a, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_OK(V->lock(a, ILKI_LOCK_NONE, &err), &err);

    b = open_at("file", ILKI_OPEN_WRITE);
    CHECK_OK(V->lock_range(a, 1073741824, 1, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_OK(V->lock_range(b, 1073741825, 1, ILKI_LOCK_EXCLUSIVE, &err), &err);
    CHECK_STATUS(V->lock_range(b, 1073741823, 2, ILKI_LOCK_SHARED, &err), ILK_BUSY, &err);
    CHECK_STATUS(V->lock_range(b, 0, 0, ILKI_LOCK_SHARED, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_OK(V->lock_range(a, 1073741824, 1, ILKI_LOCK_NONE, &err), &err);
    CHECK_OK(V->lock_range(b, 1073741823, 2, ILKI_LOCK_SHARED, &err), &err);
    V->close(a);
    V->close(b);
    end();
}

static void maps(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    ilki_file *f = open_at("file", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE), *g = open_at("file", ILKI_OPEN_WRITE);
    CHECK_OK(V->write(f, 65536, "second", 6, &err), &err);
    const void *p = &err;
    CHECK_OK(V->map(f, 65536, 6, &p, &err), &err);
    CHECK_MEM(p, "second", 6);
    V->unmap(f, p, 6);
    CHECK_STATUS(V->map(f, 65536, 7, &p, &err), ILK_IO, &err);
    CHECK(p == NULL);
    CHECK(strstr(err.message, "65543") && strstr(err.message, "65542"));
    CHECK_STATUS(V->map(f, 4096, 6, &p, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(V->map(f, 0, 0, &p, &err), ILK_BAD_ARGUMENT, &err);

    void *x = NULL, *y = NULL;
    uint64_t size = 0;
    CHECK_OK(V->map_shared(f, 131072, 32768, &x, &err), &err);
    CHECK_OK(V->size(g, &size, &err), &err);
    CHECK_INT(size, 131072 + 32768);
    memcpy(x, "wal", 3);
    CHECK_OK(V->map_shared(g, 131072, 32768, &y, &err), &err);
    CHECK_MEM(y, "wal", 3);
    memcpy(y, "idx", 3);
    CHECK_MEM(x, "idx", 3);
    CHECK_OK(V->size(g, &size, &err), &err);
    CHECK_INT(size, 131072 + 32768);
    V->unmap(f, x, 32768);
    V->unmap(g, y, 32768);
    V->close(f);
    V->close(g);
    end();
}

typedef struct listing {
    int n, stop_at;
    int types[4];
} listing;

static bool count_entry(void *user, const char *name, ilki_file_type type)
{
    listing *l = user;
    CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    l->types[type]++;
    return ++l->n != l->stop_at;
}

static void names(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(V->make_dir(V, at("d"), 0700, &err), &err);
    CHECK_OK(V->make_dir(V, at("d"), 0700, &err), &err);
    V->close(open_at("f", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE));
    V->close(open_at("g", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE));
    CHECK_STATUS(V->make_dir(V, at("f"), 0700, &err), ILK_IO, &err);
    CHECK_STATUS(V->make_dir(V, at("x/y"), 0700, &err), ILK_NOT_FOUND, &err);
    CHECK_INT(symlink("somewhere", at("l")), 0);
    listing l = {0};
    CHECK_OK(V->list(V, root, count_entry, &l, &err), &err);
    CHECK_INT(l.n, 4);
    CHECK_INT(l.types[ILKI_FILE_DIR], 1);
    CHECK_INT(l.types[ILKI_FILE_REGULAR], 2);
    CHECK_INT(l.types[ILKI_FILE_LINK], 1);
    l = (listing){.stop_at = 2};
    CHECK_OK(V->list(V, root, count_entry, &l, &err), &err);
    CHECK_INT(l.n, 2);
    CHECK_STATUS(V->list(V, at("none"), count_entry, &l, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(V->list(V, at("f"), count_entry, &l, &err), ILK_IO, &err);

    char to[16];
    CHECK_OK(V->read_link(V, at("l"), to, sizeof to, &err), &err);
    CHECK_STR(to, "somewhere");
    CHECK_STATUS(V->read_link(V, at("l"), to, 9, &err), ILK_LIMIT, &err);
    CHECK_STATUS(V->read_link(V, at("f"), to, 9, &err), ILK_IO, &err);
    ilki_stat st;
    CHECK_OK(V->stat(V, at("l"), false, &st, &err), &err);
    CHECK_INT(st.type, ILKI_FILE_LINK);
    CHECK_STATUS(V->stat(V, at("l"), true, &st, &err), ILK_NOT_FOUND, &err);

    CHECK_OK(V->make_link(V, "f", at("m"), &err), &err);
    CHECK_STATUS(V->make_link(V, "g", at("m"), &err), ILK_BUSY, &err);
    CHECK_STATUS(V->make_link(V, "g", at("none/m"), &err), ILK_NOT_FOUND, &err);
    CHECK_OK(V->read_link(V, at("m"), to, sizeof to, &err), &err);
    CHECK_STR(to, "f");
    CHECK_OK(V->stat(V, at("m"), true, &st, &err), &err);
    CHECK_INT(st.type, ILKI_FILE_REGULAR);
    uint64_t free_bytes = 0;
    CHECK_OK(V->free_bytes(V, root, &free_bytes, &err), &err);
    CHECK(free_bytes > 0);
    CHECK_STATUS(V->free_bytes(V, at("none"), &free_bytes, &err), ILK_NOT_FOUND, &err);

    CHECK_OK(V->rename(V, at("f"), at("g"), &err), &err);
    CHECK_STATUS(V->rename(V, at("f"), at("g"), &err), ILK_NOT_FOUND, &err);
    CHECK_OK(V->sync_dir(V, root, &err), &err);
    CHECK_STATUS(V->sync_dir(V, at("none"), &err), ILK_NOT_FOUND, &err);
    CHECK_OK(V->unlink(V, at("g"), &err), &err);
    CHECK_STATUS(V->unlink(V, at("g"), &err), ILK_NOT_FOUND, &err);
    end();
}

static void check_join(const char *a, const char *b, const char *want)
{
    char *got = ilki_base_path_join(a, b);
    CHECK_STR(got, want);
    free(got);
}

static void paths(void)
{
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("a//", "b/c", "a/b/c");
    check_join("/", "b", "/b");
    check_join("a", "/b", "/b");
    check_join("", "b", "b");
    check_join("a", "", "a");
    CHECK_STR(ilki_base_path_name("a/b"), "b");
    CHECK_STR(ilki_base_path_name("b"), "b");
    CHECK_STR(ilki_base_path_name("a/"), "");
}

static bool is_dir(const char *path)
{
    ilki_stat st;
    return V->stat(V, path, true, &st, NULL) == ILK_OK && st.type == ILKI_FILE_DIR;
}

static void make_dirs(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_make_dirs(V, at("a/b//c/"), 0700, &err), &err);
    CHECK(is_dir(at("a/b/c")));
    CHECK_OK(ilki_base_make_dirs(V, at("a/b/c"), 0700, &err), &err);
    CHECK_OK(ilki_base_make_dirs(V, "/", 0700, &err), &err);
    V->close(open_at("f", ILKI_OPEN_WRITE | ILKI_OPEN_CREATE));
    CHECK_STATUS(ilki_base_make_dirs(V, at("f"), 0700, &err), ILK_IO, &err);
    CHECK_STATUS(ilki_base_make_dirs(V, at("f/x"), 0700, &err), ILK_IO, &err);
    char old[512];
    CHECK(getcwd(old, sizeof old) != NULL);
    CHECK_INT(chdir(root), 0);
    CHECK_OK(ilki_base_make_dirs(V, "r/s", 0700, &err), &err);
    CHECK_OK(ilki_base_make_dirs(V, "t", 0700, &err), &err);
    CHECK_INT(chdir(old), 0);
    CHECK(is_dir(at("r/s")) && is_dir(at("t")));
    CHECK_STATUS(ilki_base_make_dirs(V, "", 0700, &err), ILK_NOT_FOUND, &err);
    end();
}

static void whole_files(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    char *data = NULL;
    size_t n = 0;
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *want = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++)
            want[k] = (char)(k * 31 + i);
        CHECK_OK(ilki_base_write_file(V, at("file"), want, sizes[i], &err), &err);
        if (CHECK_OK(ilki_base_read_file(V, at("file"), 100000, &data, &n, &err), &err)) {
            CHECK_INT(n, sizes[i]);
            CHECK_MEM(data, want, n);
            CHECK_INT(data[n], 0);
        }
        free(data);
        if (sizes[i] > 0) {
            CHECK_STATUS(ilki_base_read_file(V, at("file"), sizes[i] - 1, &data, &n, &err), ILK_LIMIT, &err);
            CHECK(data == NULL);
        }
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            ilki_mapped m;
            CHECK_OK(ilki_base_map_file(V, at("file"), no_mmap, &m, &err), &err);
            CHECK_INT(m.size, sizes[i]);
            CHECK(m.data != NULL);
            CHECK((m.file == NULL) == (no_mmap || sizes[i] == 0));
            CHECK_MEM(m.data, want, sizes[i]);
            ilki_base_unmap_file(&m);
            CHECK(m.data == NULL);
        }
        free(want);
    }
    listing l = {0};
    CHECK_OK(V->list(V, root, count_entry, &l, &err), &err);
    CHECK_INT(l.n, 1); /* no temporary file is left */
    CHECK_STATUS(ilki_base_write_file(V, at("none/file"), "x", 1, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(ilki_base_read_file(V, at("none"), 10, &data, &n, &err), ILK_NOT_FOUND, &err);
    CHECK(data == NULL && n == 0);
    ilki_mapped m = {.size = 7};
    CHECK_STATUS(ilki_base_map_file(V, at("none"), false, &m, &err), ILK_NOT_FOUND, &err);
    CHECK(m.data == NULL && m.size == 0);
    CHECK_OK(V->make_dir(V, at("d"), 0700, &err), &err);
    CHECK_STATUS(ilki_base_write_file(V, at("d"), "x", 1, &err), ILK_IO, &err);
    l = (listing){0};
    CHECK_OK(V->list(V, root, count_entry, &l, &err), &err);
    CHECK_INT(l.n, 2);
    if (access("/proc/self/stat", R_OK) == 0) { /* a file whose size says 0 */
        CHECK_OK(ilki_base_read_file(V, "/proc/self/stat", 10000, &data, &n, &err), &err);
        CHECK(n > 20);
        free(data);
        CHECK_STATUS(ilki_base_read_file(V, "/proc/self/stat", 5, &data, &n, &err), ILK_LIMIT, &err);
    }
    end();
}

/* Advice changes no byte, and is taken about any range. */
static void advice(void)
{
    begin();
    ilk_error err;
    ilk_error_init(&err);
    enum { N = 300000 };
    unsigned char *want = malloc(N);
    for (size_t i = 0; i < N; i++)
        want[i] = (unsigned char)(i * 7 + i / 256);
    CHECK_OK(ilki_base_write_file(V, at("file"), want, N, &err), &err);
    for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
        ilki_mapped m;
        CHECK_OK(ilki_base_map_file(V, at("file"), no_mmap, &m, &err), &err);
        static const size_t ranges[][2] = {{0, N}, {1, N - 1}, {5000, 10}, {4096, 8192}, {N, 0}, {N - 1, 1}, {9, 0}};
        for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
            ilki_base_will_need(&m, m.data + ranges[i][0], ranges[i][1]);
            ilki_base_done_with(&m, m.data + ranges[i][0], ranges[i][1]);
        }
        ilki_base_done_with(&m, m.data, (size_t)N + 1); /* none of its business */
        ilki_base_done_with(&m, want, N);
        CHECK_MEM(m.data, want, N);
        ilki_base_unmap_file(&m);
    }
    free(want);
    end();
}

static void touch(void)
{
    begin();
    ilk_error err;
    ilki_stat st = {0};
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    ilk_error_init(&err);
    CHECK_OK(ilki_base_write_file(V, at("file"), "x", 1, &err), &err);
    CHECK(utimensat(AT_FDCWD, at("file"), old, 0) == 0);
    CHECK_OK(V->stat(V, at("file"), true, &st, &err), &err);
    CHECK_INT(st.mtime_ns, 1000 * INT64_C(1000000000));
    CHECK_OK(V->touch(V, at("file"), &err), &err);
    CHECK_OK(V->stat(V, at("file"), true, &st, &err), &err);
    CHECK(st.mtime_ns > 1000000 * INT64_C(1000000000));
    CHECK_STATUS(V->touch(V, at("none"), &err), ILK_NOT_FOUND, &err);
    CHECK(strstr(err.message, "none") != NULL);
    end();
}

TEST_MAIN({"read_and_write", read_and_write}, {"foreign_locks", foreign_locks}, {"open_failures", open_failures},
          {"no_permission", no_permission}, {"disk_full", disk_full}, {"descriptors", descriptors}, {"locks", locks},
          {"maps", maps}, {"names", names}, {"paths", paths}, {"make_dirs", make_dirs}, {"whole_files", whole_files},
          {"advice", advice}, {"touch", touch})
