/* SPDX-License-Identifier: Apache-2.0
 * Folders for tests: a temporary directory and what is put into it. A failure ends the program: nothing can be tested. */
#ifndef ILK_TEST_TREE_H
#define ILK_TEST_TREE_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREE_NEED(cond)                                                                                                \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, strerror(errno));                                     \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* A new directory, resolved; freed with free(). */
static inline char *tree_new(void)
{
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/ilk-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    TREE_NEED(mkdtemp(path));
    char *real = realpath(path, NULL);
    TREE_NEED(real);
    return real;
}

/* dir/name, in one of eight buffers that take turns. */
static inline __attribute__((format(printf, 2, 3))) const char *tree_path(const char *dir, const char *fmt, ...)
{
    static _Thread_local char buffers[8][4096];
    static _Thread_local unsigned turn;
    char *out = buffers[turn++ % 8];
    va_list args;
    int n = snprintf(out, sizeof buffers[0], "%s/", dir);
    va_start(args, fmt);
    vsnprintf(out + n, sizeof buffers[0] - (size_t)n, fmt, args);
    va_end(args);
    return out;
}

static inline void tree_dirs(const char *path)
{
    char part[4096];
    snprintf(part, sizeof part, "%s", path);
    for (char *p = part + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            TREE_NEED(mkdir(part, 0700) == 0 || errno == EEXIST);
            *p = '/';
        }
}

/* Writes a file and the directories it needs. */
static inline void tree_write(const char *path, const void *data, size_t n)
{
    tree_dirs(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    TREE_NEED(fd >= 0);
    for (size_t at = 0; at < n;) {
        ssize_t k = write(fd, (const char *)data + at, n - at);
        TREE_NEED(k > 0);
        at += (size_t)k;
    }
    TREE_NEED(close(fd) == 0);
}
static inline void tree_put(const char *path, const char *text)
{
    tree_write(path, text, strlen(text));
}

static inline int tree_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    (void)type;
    return remove(path);
}
static inline int tree_open_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, st->st_mode | 0700);
    return 0;
}

/* rm -rf, and free() of the path. */
static inline void tree_free(char *dir)
{
    nftw(dir, tree_open_one, 16, FTW_PHYS);
    TREE_NEED(nftw(dir, tree_remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0);
    free(dir);
}

#endif
