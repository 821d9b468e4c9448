/* SPDX-License-Identifier: Apache-2.0
 * The helpers of a runtime. Idle ones stand in a list under one lock; who takes one has it alone. Those with heavy decoders
 * read everything, the others what needs none; where a heavy one is needed and there is no room, an idle other ends for it. A helper that died while
 * it served its first file has that file to blame; one that had served others before is given the benefit of the doubt,
 * and the file a second try in a fresh one: memory that earlier files lost must not be paid by the next, and a helper
 * dies with the thread that started it where the system binds their lives together. */
#include "media/media.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memfile.h"
#include "base/wait.h"
#include "media/process.h"

enum { WAIT_NS = 10 * 1000 * 1000 };

struct ilki_media {
    char *path; /* NULL: none was found */
    ilki_media_limits limits;
    int pid; /* of the process that made it */
    pthread_mutex_t lock;
    pthread_cond_t freed;
    ilki_media_process *idle;
    uint32_t n_live; /* idle, in use and being started */
    uint32_t n_waiting;
    bool known[2]; /* of helpers without heavy decoders and with them: the hello is filled, and never changes again */
    ilki_media_hello hello[2];
    char reads[1024], lacks[2048];
};

/* ---- finding */

/* Where the code that runs here was loaded from: the library, or the program it is linked into. */
static const char *own_file(void)
{
    Dl_info info;
    union {
        ilk_status (*function)(ilki_media **, const char *, const ilki_media_limits *, ilk_error *);
        void *object;
    } self = {.function = ilki_media_new};
    return dladdr(self.object, &info) && info.dli_fname && *info.dli_fname ? info.dli_fname : NULL;
}

/* `file`'s folder with `tail` behind, where a program is there; NULL: none. */
static char *find_at(const char *file, const char *tail)
{
    char *real = realpath(file, NULL), *dir = real ? ilki_base_path_dir(real) : NULL;
    char *path = dir ? ilki_base_path_join(dir, tail) : NULL;
    char *found = path && access(path, X_OK) == 0 ? realpath(path, NULL) : NULL;
    free(path);
    free(real);
    free(dir);
    return found;
}

/* Beside the file, then in the libexec of a prefix whose bin/, lib/ or lib/<triple>/ holds the file. */
static char *find_helper(void)
{
    static const char *const tails[] = {"ilk-media", "../libexec/ilk/ilk-media", "../../libexec/ilk/ilk-media"};
    const char *const files[] = {own_file(), "/proc/self/exe"};
    for (size_t t = 0; t < sizeof tails / sizeof *tails; t++)
        for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
            char *found = files[f] ? find_at(files[f], tails[t]) : NULL;
            if (found)
                return found;
        }
    return NULL;
}

/* ---- life */

static ilk_status init_locks(ilki_media *m, ilk_error *err)
{
    int e = ilki_base_wait_init(&m->lock, &m->freed);
    return e == 0 ? ILK_OK : ilki_base_fail_errno(err, ILK_IO, e, "the lock of the helpers could not be made");
}

ilk_status ilki_media_new(ilki_media **out, const char *helper, const ilki_media_limits *limits, ilk_error *err)
{
    *out = NULL;
    ilki_media *m = ilki_base_zalloc(1, sizeof *m);
    if (!m)
        return ilki_base_fail_memory(err, sizeof *m, "the helpers");
    m->pid = (int)getpid();
    if (limits)
        m->limits = *limits;
    m->limits.memory_bytes = m->limits.memory_bytes ? m->limits.memory_bytes : (uint64_t)1 << 30;
    m->limits.cpu_seconds = m->limits.cpu_seconds ? m->limits.cpu_seconds : 600;
    m->limits.max_files = m->limits.max_files ? m->limits.max_files : 1024;
    m->limits.max_processes = m->limits.max_processes ? m->limits.max_processes : 1;
    m->path = helper ? ilki_base_strndup(helper, strlen(helper)) : find_helper();
    ilk_status st = helper && !m->path ? ilki_base_fail_memory(err, strlen(helper), "a path") : init_locks(m, err);
    if (st != ILK_OK) {
        free(m->path);
        free(m);
        return st;
    }
    *out = m;
    return ILK_OK;
}

void ilki_media_free(ilki_media *m)
{
    if (!m)
        return;
    bool forked = m->pid != (int)getpid();
    while (m->idle) {
        ilki_media_process *p = m->idle;
        m->idle = p->next;
        ilki_media_end(p, forked, NULL, 0);
    }
    if (!forked) {
        pthread_cond_destroy(&m->freed);
        pthread_mutex_destroy(&m->lock);
    }
    free(m->path);
    free(m);
}

static void free_untyped(void *m)
{
    ilki_media_free(m);
}

ilk_status ilki_media_of(ilk_runtime *rt, ilki_media **out, ilk_error *err)
{
    ilk_status st = ilki_base_runtime_check(rt, err);
    if (st != ILK_OK)
        return st;
    pthread_mutex_lock(&rt->lock);
    ilki_media *m = rt->media;
    if (!m) {
        ilki_media_limits limits = {.max_processes = ilki_base_pool_threads(rt->pool)};
        st = ilki_media_new(&m, rt->media_helper, &limits, err);
        rt->media = m;
        rt->media_free = free_untyped;
    }
    pthread_mutex_unlock(&rt->lock);
    *out = m;
    return st;
}

const char *ilki_media_path(const ilki_media *m)
{
    return m->path;
}

/* ---- taking and giving back */

static void count_end(ilki_media *m)
{
    pthread_mutex_lock(&m->lock);
    m->n_live--;
    pthread_cond_broadcast(&m->freed);
    pthread_mutex_unlock(&m->lock);
}

/* The first idle one that has heavy decoders, or any; NULL: there is none. */
static ilki_media_process *pick_idle(ilki_media *m, bool heavy)
{
    ilki_media_process **at = &m->idle;
    while (*at && heavy && !(*at)->heavy)
        at = &(*at)->next;
    ilki_media_process *p = *at;
    if (p)
        *at = p->next;
    return p;
}

/* An idle helper that will do, or the right to start one (*p NULL), for which one may have to end (*old). */
static ilk_status take_place(ilki_media *m, bool heavy, ilk_job *job, ilki_media_process **p, ilki_media_process **old,
                             ilk_error *err)
{
    ilk_status st = ILK_OK;
    *old = NULL;
    pthread_mutex_lock(&m->lock);
    m->n_waiting++;
    while (st == ILK_OK && !m->idle && m->n_live >= m->limits.max_processes) {
        ilki_base_wait_for(&m->lock, &m->freed, WAIT_NS);
        st = ilki_base_job_check(job, err);
    }
    m->n_waiting--;
    *p = st == ILK_OK ? pick_idle(m, heavy) : NULL;
    if (st == ILK_OK && !*p && m->n_live >= m->limits.max_processes)
        *old = pick_idle(m, false); /* whose place it is */
    else if (st == ILK_OK && !*p)
        m->n_live++;
    pthread_mutex_unlock(&m->lock);
    return st;
}

/* What a full hello says, for people. */
static void write_lists(ilki_media *m, const ilki_media_hello *hello)
{
    size_t n_reads = 0, n_lacks = 0;
    for (size_t i = 0; i < hello->n_rows; i++) {
        const ilki_media_row *r = &hello->rows[i];
        if (strchr(r->name, '-')) /* another way of the row before it */
            continue;
        size_t left = sizeof m->reads - n_reads, left_lacks = sizeof m->lacks - n_lacks;
        int n = 0, k = 0;
        if (r->lacks[0])
            k = snprintf(m->lacks + n_lacks, left_lacks, "%s%s (%s)", n_lacks ? ", " : "", r->name, r->lacks);
        else
            n = snprintf(m->reads + n_reads, left, "%s%s", n_reads ? ", " : "", r->name);
        n_reads += n > 0 && (size_t)n < left ? (size_t)n : 0;
        n_lacks += k > 0 && (size_t)k < left_lacks ? (size_t)k : 0;
    }
    m->reads[n_reads] = m->lacks[n_lacks] = '\0';
}

static void learn(ilki_media *m, const ilki_media_hello *hello, bool heavy)
{
    pthread_mutex_lock(&m->lock);
    if (!m->known[heavy]) {
        m->hello[heavy] = *hello;
        m->known[heavy] = true;
        if (heavy)
            write_lists(m, hello);
    }
    pthread_mutex_unlock(&m->lock);
}

bool ilki_media_is_heavy(const void *data, size_t n)
{
    return n >= 8 && memcmp((const char *)data + 4, "ftyp", 4) == 0;
}

ilk_status ilki_media_take(ilki_media *m, bool heavy, ilk_job *job, ilki_media_process **out, ilk_error *err)
{
    ilki_media_process *old;
    *out = NULL;
    if (!m->path)
        return ilki_base_fail(
            err, ILK_UNSUPPORTED,
            "not supported by this build: the helper program ilk-media is neither beside this program "
            "nor in its libexec");
    ilk_status st = ilki_base_job_check(job, err);
    if (st == ILK_OK)
        st = take_place(m, heavy, job, out, &old, err);
    if (st != ILK_OK || *out)
        return st;
    ilki_media_end(old, false, NULL, 0);
    ilki_media_hello *hello = ilki_base_zalloc(1, sizeof *hello);
    if (hello)
        st = ilki_media_start(out, m->path, &m->limits, heavy, job, hello, err);
    else
        st = ilki_base_fail_memory(err, sizeof *hello, "a helper's hello");
    if (st == ILK_OK)
        learn(m, hello, heavy);
    else
        count_end(m);
    free(hello);
    return st;
}

bool ilki_media_is_worn(const ilki_media *m, const ilki_media_process *p, uint32_t n)
{
    return p->n_served + n >= m->limits.max_files;
}

void ilki_media_discard(ilki_media *m, ilki_media_process *p)
{
    ilki_media_end(p, false, NULL, 0);
    count_end(m);
}

void ilki_media_give(ilki_media *m, ilki_media_process *p)
{
    if (ilki_media_is_worn(m, p, 0)) {
        ilki_media_discard(m, p);
        return;
    }
    pthread_mutex_lock(&m->lock);
    p->next = m->idle;
    m->idle = p;
    pthread_cond_signal(&m->freed);
    pthread_mutex_unlock(&m->lock);
}

bool ilki_media_wanted(ilki_media *m)
{
    pthread_mutex_lock(&m->lock);
    bool wanted = m->n_waiting > 0;
    pthread_mutex_unlock(&m->lock);
    return wanted;
}

uint32_t ilki_media_most(const ilki_media *m)
{
    return m->limits.max_processes;
}

/* The hello of a helper of that class, or of one that has more; NULL: none of them has been. */
static const ilki_media_hello *find_hello(ilki_media *m, bool heavy)
{
    pthread_mutex_lock(&m->lock);
    const ilki_media_hello *h = m->known[true] ? &m->hello[true] : m->known[heavy] ? &m->hello[heavy] : NULL;
    pthread_mutex_unlock(&m->lock);
    return h;
}

static ilk_status ask_hello(ilki_media *m, bool heavy, ilk_job *job, const ilki_media_hello **out, ilk_error *err)
{
    ilki_media_process *p;
    *out = find_hello(m, heavy);
    if (*out)
        return ILK_OK;
    ilk_status st = ilki_media_take(m, heavy, job, &p, err);
    if (st != ILK_OK)
        return st;
    ilki_media_give(m, p);
    *out = find_hello(m, heavy);
    return ILK_OK;
}

ilk_status ilki_media_hello_of(ilki_media *m, ilk_job *job, const ilki_media_hello **out, ilk_error *err)
{
    return ask_hello(m, true, job, out, err);
}

void ilki_media_list(const ilki_media *m, const char **reads, const char **lacks)
{
    *reads = m->reads;
    *lacks = m->lacks;
}

/* What a helper without heavy decoders does not list one with them is asked for. */
ilk_status ilki_media_check(ilki_media *m, const char *reader, ilk_job *job, ilk_error *err)
{
    for (int heavy = 0; heavy < 2; heavy++) {
        const ilki_media_hello *h;
        ilk_status st = ask_hello(m, heavy, job, &h, err);
        if (st != ILK_OK)
            return st;
        for (size_t i = 0; i < h->n_rows; i++)
            if (strcmp(h->rows[i].name, reader) == 0)
                return h->rows[i].lacks[0]
                           ? ilki_base_fail(err, ILK_UNSUPPORTED, "not supported by this build: %s: no %s", reader,
                                            h->rows[i].lacks)
                           : ILK_OK;
    }
    return ilki_base_fail(err, ILK_UNSUPPORTED, "not supported by this build: %s: no reader in %s", reader, m->path);
}

/* ---- running */

ilk_status ilki_media_blame(ilki_media *m, ilki_media_process *p, ilki_media_outcome outcome, double seconds,
                            ilk_job *job, ilk_error *err)
{
    char how[80];
    ilki_media_end(p, false, how, sizeof how);
    count_end(m);
    switch (outcome) {
    case ILKI_MEDIA_GONE:
        return ilki_base_fail(err, ILK_BAD_FORMAT, "its reader crashed over it: %s", how);
    case ILKI_MEDIA_LATE:
        return ilki_base_fail(err, ILK_LIMIT, "reading it took more than %g s", seconds);
    case ILKI_MEDIA_STOPPED:
        return ilki_base_job_check(job, err);
    case ILKI_MEDIA_LIED:
        ilki_base_error_prefix(err, "its reader broke the protocol");
        if (err)
            err->status = ILK_BAD_FORMAT;
        return ILK_BAD_FORMAT;
    default:
        return err ? err->status : ILK_NO_MEMORY;
    }
}

bool ilki_media_may_retry(const ilki_media *m, ilki_media_outcome outcome, bool fresh, int try)
{
    return outcome == ILKI_MEDIA_GONE && !fresh && try <= (int)m->limits.max_processes;
}

ilk_status ilki_media_put_file(ilki_media_process *p, ilki_media_question *q, unsigned slot, ilk_job *job,
                               ilk_error *err)
{
    ilk_status st = ILK_OK;
    q->seconds = q->seconds > 0 ? q->seconds : ILKI_MEDIA_SECONDS;
    if (q->input < 0 && !ilki_media_fits_inbox(p, slot, q->n))
        st = ilki_base_memfile_from(&q->input, q->data, q->n, "a file", err);
    return st == ILK_OK ? ilki_media_put(p, q, slot, job, err) : st;
}

ilk_status ilki_media_judge(const ilki_media_answer *a, ilk_error *err)
{
    if (a->status == ILK_OK)
        return ILK_OK;
    return ilki_base_fail(err, a->status, "%s", a->message[0] ? a->message : "its reader gave no reason");
}

static ilk_status run_input(ilki_media *m, ilki_media_question *q, ilk_job *job, ilki_media_result *result,
                            ilk_error *err)
{
    for (int try = 0;; try++) {
        ilki_media_process *p;
        ilk_status st = ilki_media_take(m, ilki_media_is_heavy(q->data, q->n), job, &p, err);
        if (st != ILK_OK)
            return st;
        bool fresh = p->n_served == 0;
        st = ilki_media_put_file(p, q, 0, job, err);
        if (st != ILK_OK) {
            ilki_media_give(m, p);
            return st;
        }
        ilki_media_outcome outcome = ilki_media_get(p, q, 0, job, result, err);
        if (outcome == ILKI_MEDIA_ANSWERED && result->view) {
            result->lender = p;
            break;
        }
        if (outcome == ILKI_MEDIA_ANSWERED) {
            ilki_media_give(m, p);
            break;
        }
        st = ilki_media_blame(m, p, outcome, q->seconds, job, err);
        if (!ilki_media_may_retry(m, outcome, fresh, try))
            return st;
    }
    if (result->about.status != ILK_OK)
        ilki_media_give_back(m, result);
    return ilki_media_judge(&result->about, err);
}

void ilki_media_give_back(ilki_media *m, ilki_media_result *r)
{
    if (r->lender) {
        ilki_media_tidy(r->lender, r);
        ilki_media_give(m, r->lender);
    }
    free(r->data);
    r->data = NULL;
    r->view = NULL;
    r->lender = NULL;
}

static ilk_status run(ilki_media *m, ilki_media_question *q, ilk_job *job, ilki_media_result *result, ilk_error *err)
{
    memset(result, 0, sizeof *result);
    ilk_error why; /* a caller without an error still gets its status */
    ilk_error_init_sized(&why, sizeof why);
    err = err ? err : &why;
    ilk_status st = ilki_base_buf_check(q->ops, "operations", err);
    if (st != ILK_OK)
        return st;
    q->input = -1;
    st = run_input(m, q, job, result, err);
    if (q->input >= 0)
        close(q->input);
    return st;
}

ilk_status ilki_media_run(ilki_media *m, const void *data, size_t n, const ilki_buf *ops, double seconds, ilk_job *job,
                          ilki_media_result *result, ilk_error *err)
{
    ilki_media_question q = {.data = data, .n = n, .ops = ops, .seconds = seconds};
    return run(m, &q, job, result, err);
}

ilk_status ilki_media_borrow(ilki_media *m, const void *data, size_t n, const ilki_buf *ops, double seconds,
                             ilk_job *job, ilki_media_result *result, ilk_error *err)
{
    ilki_media_question q = {.data = data, .n = n, .ops = ops, .seconds = seconds, .lend = true};
    return run(m, &q, job, result, err);
}
