/* SPDX-License-Identifier: Apache-2.0
 * One helper process. posix_spawn, not fork: the host may be large and have threads. The child gets a mask without
 * blocked signals (pool threads block all), default handlers, a process group of its own (an interrupt typed at the
 * terminal is the host's to handle) and an environment of two variables. Everything of ours is closed on exec; what the
 * host left open, the helper closes. */
#include "media/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/memfile.h"

enum {
    POLL_MS = 10,
    HELLO_SECONDS = 20,
    BIG_ANSWER = 64 << 20 /* of a window that is kept: new pages cost more than old ones */
};

/* ---- waiting */

bool ilki_media_wait(void *watch, int sock, short events)
{
    ilki_media_watch *w = watch;
    struct pollfd p = {.fd = sock, .events = events};
    for (;;) {
        w->stopped = ilki_base_job_stopped(w->job);
        w->timed_out = !w->stopped && ilki_base_now_ns() >= w->until_ns;
        if (w->stopped || w->timed_out)
            return false;
        /* a cancel cannot wake a waiter: it may come from a signal handler */
        int n = poll(&p, 1, POLL_MS);
        if (n > 0)
            return true;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return false;
    }
}

/* ---- starting */

static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int e = posix_spawnattr_setsigmask(attr, &none);
    e = e ? e : posix_spawnattr_setsigdefault(attr, &all);
    e = e ? e : posix_spawnattr_setpgroup(attr, 0);
    return e ? e
             : posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int set_files(posix_spawn_file_actions_t *files, const int fds[5])
{
    int e = 0;
    for (int i = 0; i < 5 && !e; i++) {
        if (fds[i] >= 0)
            e = posix_spawn_file_actions_adddup2(files, fds[i], i);
        else if (i < 3)
            e = posix_spawn_file_actions_addopen(files, i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY, 0);
    }
    return e;
}

ilk_status ilki_media_spawn(pid_t *pid, const char *path, char *const argv[], const int fds[5], ilk_error *err)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    const char *search = getenv("PATH");
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 20);
    ilki_base_buf_addf(&b, "PATH=%s", search ? search : "/usr/bin:/bin");
    ilk_status st = ilki_base_buf_check(&b, "an environment", err);
    if (st != ILK_OK) {
        ilki_base_buf_deinit(&b);
        return st;
    }
    char locale[] = "LC_ALL=C.UTF-8", *env[] = {locale, b.data, NULL};
    int e = posix_spawnattr_init(&attr);
    if (!e && (e = posix_spawn_file_actions_init(&files)) != 0)
        posix_spawnattr_destroy(&attr);
    if (!e) {
        e = set_attributes(&attr);
        e = e ? e : set_files(&files, fds);
        e = e ? e : posix_spawn(pid, path, &files, &attr, argv, env);
        posix_spawn_file_actions_destroy(&files);
        posix_spawnattr_destroy(&attr);
    }
    ilki_base_buf_deinit(&b);
    if (e)
        return ilki_base_fail(err, ILK_IO, "helper %s: it does not start: %s", path, strerror(e));
    return ILK_OK;
}

int ilki_media_kill(pid_t pid)
{
    int status = -1;
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); /* where it has no group of its own yet */
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

void ilki_media_tell_end(int status, char *to, size_t n)
{
    if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        snprintf(to, n, "it took more CPU time than it may have");
    else if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        snprintf(to, n, "it wanted what its sandbox does not allow");
    else if (status >= 0 && WIFSIGNALED(status))
        snprintf(to, n, "signal %d", WTERMSIG(status));
    else if (status >= 0 && WIFEXITED(status))
        snprintf(to, n, "exit %d", WEXITSTATUS(status));
    else
        snprintf(to, n, "for an unknown reason");
}

/* The socket's two ends and the window; *child is closed by the caller. */
static ilk_status make_ends(ilki_media_process *p, int *child, ilk_error *err)
{
    int ends[2];
    *child = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return ilki_base_fail_errno(err, ILK_IO, errno, "a socket for the helper");
    p->sock = ilki_base_fd_guard(ends[0]);
    int e = errno;
    *child = ilki_base_fd_guard(ends[1]);
    if (p->sock < 0 || *child < 0)
        return ilki_base_fail_errno(err, ILK_IO, p->sock < 0 ? e : errno, "a socket for the helper");
    ilk_status st = ilki_base_memfile_new(&p->window, (size_t)ILKI_MEDIA_SLOTS * ILKI_MEDIA_SLOT_BYTES,
                                          "the helper's answers", err);
    p->fixed = st == ILK_OK && ilki_base_memfile_fix(p->window);
    return st;
}

static ilk_status greet(ilki_media_process *p, const char *path, ilk_job *job, ilki_media_hello *hello, ilk_error *err)
{
    ilki_media_watch watch = {.until_ns = ilki_base_now_ns() + HELLO_SECONDS * 1000000000ull, .job = job};
    ilki_media_wire wire = {p->sock, ilki_media_wait, &watch};
    ilki_buf frame;
    char how[80];
    ilk_status st = ILK_OK;
    ilki_base_buf_init(&frame, ILKI_MEDIA_FRAME + 1);
    if (!ilki_base_buf_reserve(&frame, ILKI_MEDIA_FRAME)) {
        st = ilki_base_buf_check(&frame, "a helper's hello", err);
    } else if (ilki_media_receive(&wire, &frame, NULL)) {
        st = ilki_media_get_hello(hello, ilki_base_buf_view(&frame), frame.len, err);
        if (st != ILK_OK) {
            ilki_base_error_prefix(err, "helper %s", path);
            st = err ? (err->status = ILK_IO) : ILK_IO;
        }
    } else if (watch.stopped) {
        st = ilki_base_job_check(job, err);
    } else if (watch.timed_out) {
        st = ilki_base_fail(err, ILK_IO, "helper %s: no hello within %d s", path, (int)HELLO_SECONDS);
    } else {
        ilki_media_tell_end(ilki_media_kill(p->pid), how, sizeof how);
        p->pid = 0;
        st = ilki_base_fail(err, ILK_IO, "helper %s: it ended before its hello: %s", path, how);
    }
    ilki_base_buf_deinit(&frame);
    return st;
}

ilk_status ilki_media_start(ilki_media_process **out, const char *path, const ilki_media_limits *limits, bool heavy,
                            ilk_job *job, ilki_media_hello *hello, ilk_error *err)
{
    char memory[48], cpu[48], name[] = "ilk-media", role[] = "serve", more[] = "heavy";
    char *argv[] = {name, role, memory, cpu, heavy ? more : NULL, NULL};
    int child = -1;
    *out = NULL;
    ilki_media_process *p = ilki_base_zalloc(1, sizeof *p);
    if (!p)
        return ilki_base_fail_memory(err, sizeof *p, "a helper process");
    p->sock = p->window = -1;
    p->heavy = heavy;
    snprintf(memory, sizeof memory, "memory=%llu", (unsigned long long)limits->memory_bytes);
    snprintf(cpu, sizeof cpu, "cpu=%u", limits->cpu_seconds);
    ilk_status st = make_ends(p, &child, err);
    if (st == ILK_OK) {
        const int fds[5] = {-1, -1, -1, child, p->window};
        st = ilki_media_spawn(&p->pid, path, argv, fds, err);
    }
    if (child >= 0)
        close(child); /* so that its end is seen */
    if (st == ILK_OK)
        st = greet(p, path, job, hello, err);
    if (st != ILK_OK) {
        ilki_media_end(p, false, NULL, 0);
        return st;
    }
    *out = p;
    return ILK_OK;
}

void ilki_media_end(ilki_media_process *p, bool forked, char *how, size_t n_how)
{
    if (!p)
        return;
    if (p->sock >= 0)
        close(p->sock);
    for (unsigned i = 0; i < ILKI_MEDIA_SLOTS; i++) {
        if (p->slots[i].view)
            munmap((void *)(uintptr_t)p->slots[i].view, ILKI_MEDIA_WINDOW);
        if (p->slots[i].inbox)
            munmap(p->slots[i].inbox, ILKI_MEDIA_INBOX);
    }
    if (p->window >= 0)
        close(p->window);
    int status = p->pid > 0 && !forked ? ilki_media_kill(p->pid) : -1;
    if (how)
        ilki_media_tell_end(status, how, n_how);
    free(p);
}

/* ---- asking */

/* Most processes use one. */
static ilki_media_slot *slot_of(ilki_media_process *p, unsigned slot)
{
    ilki_media_slot *s = &p->slots[slot];
    size_t at = (size_t)slot * ILKI_MEDIA_SLOT_BYTES;
    if (s->mapped || !p->fixed)
        return s;
    s->mapped = true;
    s->view = ilki_base_memfile_view(p->window, at, ILKI_MEDIA_WINDOW);
    void *inbox = mmap(NULL, ILKI_MEDIA_INBOX, PROT_READ | PROT_WRITE, MAP_SHARED, p->window,
                       (off_t)(at + ILKI_MEDIA_WINDOW));
    s->inbox = inbox == MAP_FAILED ? NULL : inbox;
    return s;
}

bool ilki_media_fits_inbox(ilki_media_process *p, unsigned slot, size_t n)
{
    return n <= ILKI_MEDIA_INBOX && slot_of(p, slot)->inbox;
}

/* The request's frame, and the file where it fits behind the window. */
static ilk_status write_request(ilki_media_process *p, const ilki_media_question *q, unsigned slot, ilki_buf *frame,
                                ilk_error *err)
{
    ilki_buf ops;
    ilki_base_buf_init(&ops, ILKI_MEDIA_FRAME);
    if (slot)
        ilki_media_add_slot(&ops, (uint8_t)slot);
    if (ilki_media_fits_inbox(p, slot, q->n)) {
        if (q->n)
            memcpy(p->slots[slot].inbox, q->data, q->n);
        ilki_media_add_inbox(&ops, q->n);
    }
    ilki_base_buf_add(&ops, ilki_base_buf_view(q->ops), q->ops->len);
    p->slots[slot].id = ++p->next_id;
    ilki_media_put_request(frame, p->slots[slot].id, ilki_base_buf_view(&ops), ops.len);
    ilk_status st = ilki_base_buf_check(&ops, "a request to the helper", err);
    ilki_base_buf_deinit(&ops);
    return st == ILK_OK ? ilki_base_buf_check(frame, "a request to the helper", err) : st;
}

static ilk_status copy_window(ilki_media_process *p, ilki_media_result *r, ilk_error *err)
{
    size_t n = (size_t)r->about.n_bytes + r->about.n_fields;
    r->data = malloc(n + 1);
    if (!r->data)
        return ilki_base_fail_memory(err, n + 1, "a helper's answer");
    ilk_status st = ilki_base_memfile_read(p->window, r->data, (size_t)r->slot * ILKI_MEDIA_SLOT_BYTES, n,
                                           "a helper's answer", err);
    r->data[n] = '\0';
    ilki_media_tidy(p, r);
    return st;
}

void ilki_media_tidy(ilki_media_process *p, const ilki_media_result *r)
{
    if (r->about.n_bytes > BIG_ANSWER)
        ilki_base_memfile_clear(p->window, (size_t)r->slot * ILKI_MEDIA_SLOT_BYTES, ILKI_MEDIA_SLOT_BYTES);
}

static ilki_media_outcome read_answer(ilki_media_process *p, const ilki_buf *frame, bool lend, ilki_media_result *r,
                                      ilk_error *err)
{
    const ilki_media_slot *s = &p->slots[r->slot];
    ilk_status st = ilki_media_get_answer(&r->about, ilki_base_buf_view(frame), frame->len, err);
    if (st == ILK_OK && r->about.id != s->id)
        st = ilki_base_fail(err, ILK_BAD_FORMAT, "answer: expected id %u, found %u", s->id, r->about.id);
    if (st != ILK_OK)
        return ILKI_MEDIA_LIED;
    if (lend && s->view && r->about.form >= ILKI_MEDIA_FORM_PIXELS)
        r->view = s->view;
    else if (r->about.n_bytes + r->about.n_fields && (st = copy_window(p, r, err)) != ILK_OK) {
        free(r->data);
        r->data = NULL;
        return st == ILK_NO_MEMORY ? ILKI_MEDIA_FAILED : ILKI_MEDIA_LIED; /* a window that it made shorter */
    }
    return ILKI_MEDIA_ANSWERED;
}

static ilki_media_watch watch_of(const ilki_media_question *q, ilk_job *job)
{
    return (ilki_media_watch){.until_ns = ilki_base_now_ns() + (uint64_t)(q->seconds * 1e9), .job = job};
}

ilk_status ilki_media_put(ilki_media_process *p, const ilki_media_question *q, unsigned slot, ilk_job *job,
                          ilk_error *err)
{
    ilki_media_watch watch = watch_of(q, job);
    ilki_media_wire wire = {p->sock, ilki_media_wait, &watch};
    ilki_buf frame;
    ilki_base_buf_init(&frame, ILKI_MEDIA_FRAME);
    ilk_status st = write_request(p, q, slot, &frame, err);
    if (st == ILK_OK)
        (void)ilki_media_send(&wire, ilki_base_buf_view(&frame), frame.len,
                              ilki_media_fits_inbox(p, slot, q->n) ? -1 : q->input);
    ilki_base_buf_deinit(&frame);
    return st;
}

ilki_media_outcome ilki_media_get(ilki_media_process *p, const ilki_media_question *q, unsigned slot, ilk_job *job,
                                  ilki_media_result *result, ilk_error *err)
{
    ilki_media_watch watch = watch_of(q, job);
    ilki_media_wire wire = {p->sock, ilki_media_wait, &watch};
    ilki_media_outcome outcome;
    ilki_buf frame;
    memset(result, 0, sizeof *result);
    result->slot = slot;
    ilki_base_buf_init(&frame, ILKI_MEDIA_FRAME + 1);
    if (!ilki_base_buf_reserve(&frame,
                               ILKI_MEDIA_FRAME)) { /* nothing is allocated on the way: a failure there is its end */
        (void)ilki_base_buf_check(&frame, "an answer of the helper", err);
        outcome = ILKI_MEDIA_FAILED;
    } else if (ilki_media_receive(&wire, &frame, NULL)) {
        outcome = read_answer(p, &frame, q->lend, result, err);
    } else {
        outcome = watch.stopped ? ILKI_MEDIA_STOPPED : watch.timed_out ? ILKI_MEDIA_LATE : ILKI_MEDIA_GONE;
    }
    p->n_served++;
    ilki_base_buf_deinit(&frame);
    return outcome;
}
