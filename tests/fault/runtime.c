/* SPDX-License-Identifier: Apache-2.0
 * Every allocation of the runtime, its jobs and the file helpers fails once and for ever, every call of their vfs too:
 * a clear status, nothing leaked (the leak checker looks), nothing half open; and threads that cannot be started. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/pool.h"
#include "base/runtime.h"
#include "faulty.h"
#include "test.h"

static void open_runtime(void)
{
    for (int for_ever = 0; for_ever < 2; for_ever++) {
        uint64_t n = 1;
        for (bool failed = true; failed; n++) {
            ilk_runtime_options o;
            ilk_runtime_options_init(&o);
            o.n_threads = 3;
            ilk_error err;
            ilk_error_init(&err);
            ilk_runtime *rt = (ilk_runtime *)&o;
            alloc_fail_at(n, for_ever);
            ilk_status st = ilk_runtime_open(&rt, &o, &err);
            failed = alloc_fail_off();
            CHECK_INT(st, failed ? ILK_NO_MEMORY : ILK_OK);
            CHECK((rt == NULL) == (st != ILK_OK));
            CHECK(!failed || strstr(err.message, "out of memory") != NULL);
            ilk_runtime_close(rt);
        }
        CHECK_INT(n, 6); /* runtime, pool, workers, kernel table; then none failed */
    }
}

static void nothing(void *arg)
{
    (void)arg;
}

static void posts(void)
{
    ilki_pool *p = NULL;
    CHECK_OK(ilki_base_pool_new(&p, 2, NULL), NULL);
    ilk_error err;
    ilk_error_init(&err);
    alloc_fail_at(1, false);
    CHECK_STATUS(ilki_base_pool_post(p, ILK_PRIORITY_NORMAL, nothing, NULL, &err), ILK_NO_MEMORY, &err);
    CHECK(alloc_fail_off());
    CHECK_OK(ilki_base_pool_post(p, ILK_PRIORITY_NORMAL, nothing, NULL, &err), &err);
    ilki_base_pool_free(p);
}

/* Writes, reads and maps a file; the first failure. */
static ilk_status use_files(const ilki_vfs *v, ilk_error *err)
{
    char *data = NULL;
    size_t n = 0;
    ilki_mapped m = {0};
    ilk_status st = ilki_base_make_dirs(v, "/a/b", 0700, err);
    if (st == ILK_OK)
        st = ilki_base_write_file(v, "/a/b/file", "some text", 9, err);
    if (st == ILK_OK)
        st = ilki_base_read_file(v, "/a/b/file", 100, &data, &n, err);
    if (st == ILK_OK && n != 9)
        st = ILK_CORRUPT;
    if (st == ILK_OK)
        st = ilki_base_map_file(v, "/a/b/file", true, &m, err);
    free(data);
    ilki_base_unmap_file(&m);
    return st;
}

static bool is_temporary(void *user, const char *name, ilki_file_type type)
{
    (void)type;
    *(int *)user += strstr(name, ".tmp-") != NULL;
    return true;
}

static void file_helpers_without_memory(void)
{
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        faulty *f = faulty_new();
        ilk_error err;
        ilk_error_init(&err);
        alloc_fail_at(n, false);
        ilk_status st = use_files(faulty_vfs(f), &err);
        failed = alloc_fail_off();
        CHECK_INT(st, failed ? ILK_NO_MEMORY : ILK_OK);
        CHECK_INT(faulty_n_open(f), 0);
        faulty_free(f);
    }
    CHECK(n > 5);
}

static void file_helpers_without_luck(void)
{
    static const int errors[] = {EIO, ENOSPC};
    for (int e = 0; e < 2; e++) {
        uint64_t n = 1;
        for (bool failed = true; failed; n++) {
            faulty *f = faulty_new();
            ilk_error err;
            ilk_error_init(&err);
            faulty_fail(f, FAULTY_ANY, n, errors[e], e ? FAULTY_TORN : FAULTY_ONCE);
            ilk_status st = use_files(faulty_vfs(f), &err);
            failed = faulty_fail_off(f);
            CHECK_INT(st, failed ? ILK_IO : ILK_OK);
            CHECK(!failed || strstr(err.message, " /") != NULL);
            CHECK_INT(faulty_n_open(f), 0);
            int left = 0;
            faulty_vfs(f)->list(faulty_vfs(f), "/a/b", is_temporary, &left, NULL);
            CHECK_INT(left, 0);
            faulty_free(f);
        }
        CHECK(n > 12);
    }
}

static void no_threads(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    TEST_SKIP("a sanitizer needs the address space that this test takes away");
#else
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit little = {64 << 20, 64 << 20}; /* room for the program and some 2 MiB stacks */
        ilki_pool *p = (ilki_pool *)&little;
        ilk_error err;
        ilk_error_init(&err);
        if (setrlimit(RLIMIT_AS, &little) != 0)
            _exit(9);
        ilk_status st = ilki_base_pool_new(&p, 500, &err);
        if (st == ILK_OK)
            _exit(77);
        _exit(st == ILK_IO && p == NULL && strstr(err.message, "of 500 could not be started") ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        TEST_SKIP("500 stacks fit into 64 MiB here: an emulator does not count address space");
    CHECK_INT(WEXITSTATUS(status), 0);
#endif
}

TEST_MAIN({"open_runtime", open_runtime}, {"posts", posts},
          {"file_helpers_without_memory", file_helpers_without_memory},
          {"file_helpers_without_luck", file_helpers_without_luck}, {"no_threads", no_threads})
