/* SPDX-License-Identifier: Apache-2.0
 * What a decoder that was taken over would try, one row each, from inside the sandbox that serve enters. */
#include "trial.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

enum { REFUSED, DONE, UNKNOWN, NO_SANDBOX };
enum { MEMORY = 512 << 20, CPU_SECONDS = 2 };

static bool try_open(void)
{
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool try_write(void)
{
    return open("ilk-media-trial", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool try_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool try_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool try_exec(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    execv("/bin/true", argv);
    return false;
}

static bool try_kill(void)
{
    return kill(getppid(), 0) == 0;
}

static bool try_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

/* getpid with the bit of x32 on it: the same calls under other numbers. */
static bool try_foreign(void)
{
    return syscall((1L << 30) + 39) >= 0;
}

/* Both ends are touched, so that it is not only promised; all of it would cost a second of CPU time where faults are slow. */
static bool try_memory(void)
{
    for (size_t n = 0; n < 4 * (size_t)MEMORY; n += 1 << 20) {
        volatile char *p = malloc(1 << 20);
        if (!p)
            return false;
        p[0] = p[(1 << 20) - 1] = 1;
    }
    return true;
}

static bool try_cpu(void)
{
    for (volatile unsigned long i = 0;; i++)
        if (i == ~0UL)
            return true;
}

static void *nothing(void *arg)
{
    return arg;
}

/* Decoders may have threads; "refused" is the failure here, so the answer is turned round. */
static bool try_thread(void)
{
    pthread_t t;
    return pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0;
}

static const struct {
    const char *name;
    bool (*run)(void);
} trials[] = {
    {"open", try_open}, {"write", try_write},   {"socket", try_socket},   {"fork", try_fork},
    {"exec", try_exec}, {"kill", try_kill},     {"code", try_code},       {"memory", try_memory},
    {"cpu", try_cpu},   {"thread", try_thread}, {"foreign", try_foreign},
};

int media_try(const char *what)
{
    char note[200];
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        if (strcmp(trials[i].name, what) != 0)
            continue;
        if (!media_limit(MEMORY, CPU_SECONDS, 0))
            return UNKNOWN;
        if (media_lock(note, sizeof note) != ILKI_MEDIA_SECCOMP)
            return NO_SANDBOX;
        return trials[i].run() ? DONE : REFUSED;
    }
    return UNKNOWN;
}
