/* SPDX-License-Identifier: Apache-2.0
 * The first SIGINT, SIGTERM or SIGHUP cancels the job that runs: its work so far is kept, the command says how to go on
 * and the program ends with 128 + the signal. A second one ends at once. A handler can reach nothing but file-scope
 * state, hence the three words below. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static _Atomic(ilk_job *) watched;
static _Atomic(const char *) remove_on_exit;
static atomic_int caught;

static void handle(int sig)
{
    int errno_before = errno;
    if (atomic_exchange(&caught, sig)) {
        const char *path = atomic_load(&remove_on_exit);
        if (path)
            unlink(path);
        _exit(128 + sig);
    }
    ilk_job *job = atomic_load(&watched);
    if (job)
        ilk_job_cancel(job);
    errno = errno_before;
}

void cli_signals_install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction act, old;
    memset(&act, 0, sizeof act);
    sigemptyset(&act.sa_mask);
    act.sa_handler = handle; /* without SA_RESTART: a read of the terminal ends too */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup and "&" stay in force */
            sigaction(signals[i], &act, NULL);
    act.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &act, NULL);
}

void cli_signals_watch(void *job)
{
    atomic_store(&watched, (ilk_job *)job);
    if (job && atomic_load(&caught))
        ilk_job_cancel(job);
}

void cli_signals_remove_on_exit(const char *path)
{
    atomic_store(&remove_on_exit, path);
}

int cli_signal_caught(void)
{
    return atomic_load(&caught);
}
