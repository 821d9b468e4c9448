/* SPDX-License-Identifier: Apache-2.0
 * One file through a program of others. The helper program is started in another role, `ilk-media convert NAME …`: it
 * takes the limits upon itself, forbids network, new processes and files written, and becomes the converter. Input is a
 * sealed memory file at standard input, output another one; nothing is piped, so nobody can be made to wait. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/memfile.h"
#include "media/process.h"

enum {
    DEFAULT_SECONDS = 60,
    FIRST_PAUSE_NS = 200 * 1000,
    MOST_PAUSE_NS = 5 * 1000 * 1000,
    NOT_STARTED = 127,
    SAID_BYTES = 64 << 10
};

/* Sleeps longer from time to time until the process ends, the time is over or the job stops. *status: its end. */
static ilk_status await(pid_t pid, double seconds, ilk_job *job, int *status, ilk_error *err)
{
    uint64_t until = ilki_base_now_ns() + (uint64_t)(seconds * 1e9);
    for (long pause = FIRST_PAUSE_NS;; pause = pause < MOST_PAUSE_NS ? pause * 2 : MOST_PAUSE_NS) {
        siginfo_t ended = {0};
        /* looked at, not taken: until then its number, and its group's, cannot be another's */
        if (waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == pid) {
            *status = ilki_media_kill(pid);
            return ILK_OK;
        }
        ilk_status st = ilki_base_job_check(job, err);
        if (st == ILK_OK && ilki_base_now_ns() >= until)
            st = ilki_base_fail(err, ILK_LIMIT, "reading it took more than %g s", seconds);
        if (st != ILK_OK) {
            ilki_media_kill(pid);
            return st;
        }
        nanosleep(&(struct timespec){0, pause}, NULL);
    }
}

static ilk_status take_output(int fd, size_t most, ilki_media_converted *r, ilk_error *err)
{
    struct stat s;
    if (fstat(fd, &s) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "a converter's output");
    if (s.st_size < 0 || (uint64_t)s.st_size >= most)
        return ilki_base_fail(err, ILK_LIMIT, "its text is longer than %zu bytes", most);
    r->n_out = (size_t)s.st_size;
    r->out = malloc(r->n_out + 1);
    if (!r->out)
        return ilki_base_fail_memory(err, r->n_out + 1, "a converter's output");
    r->out[r->n_out] = '\0';
    return ilki_base_memfile_read(fd, r->out, 0, r->n_out, "a converter's output", err);
}

static void take_said(int fd, ilki_media_converted *r)
{
    ssize_t n = pread(fd, r->said, sizeof r->said - 1, 0);
    r->said[n > 0 ? n : 0] = '\0';
    for (char *p = r->said; *p; p++)
        if ((*p < ' ' && *p != '\n') || *p > '~')
            *p = '?';
}

static ilk_status judge_end(int status, const char *converter, ilki_media_converted *r, ilk_error *err)
{
    char how[80];
    if (status == -1 || WIFSIGNALED(status)) {
        ilki_media_tell_end(status, how, sizeof how);
        return ilki_base_fail(err, ILK_BAD_FORMAT, "its converter crashed over it: %s", how);
    }
    r->exit_status = WEXITSTATUS(status);
    if (r->exit_status == NOT_STARTED)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "not supported by this build: %s: %s", converter, r->said);
    return ILK_OK;
}

static ilk_status run(const char *path, const ilki_media_conversion *c, const int fds[5], ilk_job *job,
                      ilki_media_converted *r, ilk_error *err)
{
    char name[] = "ilk-media", role[] = "convert", what[32], cpu[48], out[48], language[96];
    char *argv[] = {name, role, what, cpu, out, c->language ? language : NULL, NULL};
    double seconds = c->seconds > 0 ? c->seconds : DEFAULT_SECONDS;
    size_t most = c->most_bytes;
    pid_t pid;
    int status;
    snprintf(what, sizeof what, "%s", c->converter);
    snprintf(language, sizeof language, "language=%s", c->language ? c->language : "");
    snprintf(cpu, sizeof cpu, "cpu=%.0f", seconds + 1);
    /* the limit is one on every file it writes, and it must be able to say what is wrong */
    snprintf(out, sizeof out, "output=%zu", most < SAID_BYTES ? (size_t)SAID_BYTES : most);
    ilk_status st = ilki_media_spawn(&pid, path, argv, fds, err);
    if (st == ILK_OK)
        st = await(pid, seconds, job, &status, err);
    if (st != ILK_OK)
        return st;
    take_said(fds[2], r);
    st = take_output(fds[1], most, r, err); /* a full file ends it by a signal: the limit is the better reason */
    return st == ILK_OK ? judge_end(status, c->converter, r, err) : st;
}

ilk_status ilki_media_convert_as(ilki_media *m, const ilki_media_conversion *c, ilk_job *job,
                                 ilki_media_converted *result, ilk_error *err)
{
    int fds[5] = {-1, -1, -1, -1, -1};
    memset(result, 0, sizeof *result);
    ilk_status st = ilki_media_check(m, c->converter, job, err);
    if (st == ILK_OK)
        st = ilki_base_memfile_from(&fds[0], c->data, c->n, "a file", err);
    for (int i = 1; i < 3 && st == ILK_OK; i++)
        st = ilki_base_memfile_new(&fds[i], 0, "a converter's output", err);
    if (st == ILK_OK)
        st = run(ilki_media_path(m), c, fds, job, result, err);
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (st != ILK_OK) {
        free(result->out);
        result->out = NULL;
        result->n_out = 0;
    }
    return st;
}

ilk_status ilki_media_convert(ilki_media *m, const char *converter, const void *data, size_t n, size_t most_bytes,
                              double seconds, ilk_job *job, ilki_media_converted *result, ilk_error *err)
{
    const ilki_media_conversion c = {
        .converter = converter, .data = data, .n = n, .most_bytes = most_bytes, .seconds = seconds};
    return ilki_media_convert_as(m, &c, job, result, err);
}
