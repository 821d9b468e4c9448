/* SPDX-License-Identifier: Apache-2.0
 * Memory with a descriptor: contents, seals, clearing, guarded descriptors. */
#include "base/memfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static void contents(void)
{
    ilk_error err;
    char got[6] = "";
    int fd;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_memfile_from(&fd, "hello", 5, "a test", &err), &err));
    CHECK(fd >= 10 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK_OK(ilki_base_memfile_read(fd, got, 0, 5, "a test", &err), &err);
    CHECK_STR(got, "hello");
    CHECK_STATUS(ilki_base_memfile_read(fd, got, 0, 6, "a test", &err), ILK_IO, &err);
    CHECK_STR(err.message, "shared memory for a test: expected 6 bytes, found 5");
#ifdef F_GET_SEALS
    if (fcntl(fd, F_GET_SEALS) >= 0) {
        CHECK(pwrite(fd, "x", 1, 0) < 0);
        CHECK(ftruncate(fd, 1) != 0);
        CHECK(ftruncate(fd, 100) != 0);
    }
#endif
    close(fd);
}

static void clears(void)
{
    ilk_error err;
    char got[4] = "abc";
    int fd;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_base_memfile_new(&fd, 1 << 20, "a test", &err), &err));
    CHECK(pwrite(fd, "xyz", 3, 0) == 3);
    ilki_base_memfile_clear(fd, 0, 1 << 20);
    CHECK_OK(ilki_base_memfile_read(fd, got, 0, 3, "a test", &err), &err);
    CHECK_MEM(got, "\0\0\0", 3);
    CHECK_INT(lseek(fd, 0, SEEK_END), 1 << 20);
    close(fd);
}

static void guards(void)
{
    int fd = ilki_base_fd_guard(open("/dev/null", O_RDONLY)); /* the lowest number that is free */
    CHECK(fd >= 10 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    CHECK_INT(ilki_base_fd_guard(fd), fd);
    close(fd);
    CHECK_INT(ilki_base_fd_guard(-1), -1);
}

TEST_MAIN({"contents", contents}, {"clears", clears}, {"guards", guards})
