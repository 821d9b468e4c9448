/* SPDX-License-Identifier: Apache-2.0
 * What everything opened from one ilk_runtime shares: pool, kernel table, vfs, memory ceiling, log; and the job of a
 * long call. api/ fills `ops` from kern's dispatch: base knows no kernel. */
#ifndef ILKI_BASE_RUNTIME_H
#define ILKI_BASE_RUNTIME_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/pool.h"
#include "base/vfs.h"

struct ilki_kern_ops;
struct ilki_media;

/* One thread that waits for memory, on its own stack. */
typedef struct ilki_waiter {
    struct ilki_waiter *next;
    int priority;
} ilki_waiter;

struct ilk_runtime {
    ilki_pool *pool;
    const struct ilki_kern_ops *ops;
    const ilki_vfs *vfs;
    ilk_log_fn log;
    void *log_user;
    ilk_log_level log_level;
    uint64_t ceiling_bytes;
    uint64_t packed_ceiling;  /* of the folder of packed weights; 0: none are kept */
    uint64_t packed_least_ns; /* that packing costs, below which they are not kept */
    unsigned n_cpus;
    int pid;            /* of the process that opened it */
    char *media_helper; /* NULL: to be found */
    char kernels[64];
    char features[256];
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t freed;
    uint64_t used_bytes;
    void *spare; /* a workspace that was given back; counted in used_bytes; NULL: none */
    uint64_t spare_bytes;
    ilki_waiter *waiters;     /* for memory: by priority, then in order of arrival */
    struct ilki_media *media; /* the helpers, made by the room that needs them first, and how they end */
    void (*media_free)(void *);
};

/* Pool, ceiling and log from options whose defaults are filled; ops and kernels are left to the caller. */
ilk_status ilki_base_runtime_new(ilk_runtime **out, const ilk_runtime_options *opt, ilk_error *err);
void ilki_base_runtime_free(ilk_runtime *rt);

/* FORKED in a child process, OK otherwise; every public call begins with it. */
ilk_status ilki_base_runtime_check(const ilk_runtime *rt, ilk_error *err);

/* Takes n_bytes from the ceiling for a pass, waiting for other passes to give back while the job lets it; LIMIT at once
 * where n_bytes can never fit. `what` stands in the message. */
ilk_status ilki_base_runtime_reserve(ilk_runtime *rt, uint64_t n_bytes, const char *what, ilk_job *job, ilk_error *err);
void ilki_base_runtime_release(ilk_runtime *rt, uint64_t n_bytes);
uint64_t ilki_base_runtime_used(const ilk_runtime *rt); /* bytes reserved at this moment */

/* The memory of a pass: reserved as above and allocated, aligned to ILKI_ALIGN, `*got` bytes of it. The last one given
 * back stays for the next taker, because fresh pages cost a pass a percent or two; it counts as used, and goes as soon as
 * a reservation is short of memory. */
ilk_status ilki_base_runtime_take(ilk_runtime *rt, uint64_t n_bytes, ilk_job *job, void **out, uint64_t *got,
                                  ilk_error *err);
void ilki_base_runtime_give(ilk_runtime *rt, void *workspace, uint64_t n_bytes); /* NULL is fine */

/* To the caller's log callback, on this thread; never from a pool thread. rt may be NULL. */
void ilki_base_log(const ilk_runtime *rt, ilk_log_level level, const char *fmt, ...) ILKI_PRINTF(3, 4);

/* ---- jobs: all take NULL */

/* NULL when memory is short; *opt has its defaults filled. free cancels queued work and waits for its end (in a forked
 * child it only frees). cancel is one store to an atomic: legal in a signal handler. */
ilk_job *ilki_base_job_new(const ilk_job_options *opt);
/* A job for a part of the work of another, which may be NULL: its priority and progress, stopped with it, and at a deadline of
 * its own. To be freed before the other. */
ilk_job *ilki_base_job_under(const ilk_job *above, double seconds);
void ilki_base_job_free(ilk_job *job);
void ilki_base_job_cancel(ilk_job *job);

/* OK, CANCELLED or DEADLINE, with a message. */
ilk_status ilki_base_job_check(const ilk_job *job, ilk_error *err);
bool ilki_base_job_stopped(const ilk_job *job);
ilk_priority ilki_base_job_priority(const ilk_job *job);

/* Calls the job's progress callback, at most ten times a second unless `last`; on the thread that made the call. */
void ilki_base_job_progress(ilk_job *job, const char *stage, const char *unit, uint64_t done, uint64_t total,
                            uint64_t skipped, bool last);

/* Queued work: one result per job. begin: BUSY when the job is in use. end: stores status and result (ownership passes
 * to the job; NULL with an error), calls `done`, wakes waiters. wait: blocks until end, takes the result once and makes the
 * job ready for the next begin; BAD_ARGUMENT where nothing was queued. `free_result` destroys a result that nobody took. */
ilk_status ilki_base_job_begin(ilk_job *job, void (*free_result)(void *), ilk_error *err);
void ilki_base_job_end(ilk_job *job, ilk_status status, const ilk_error *err, void *result);
ilk_status ilki_base_job_wait(ilk_job *job, void **result, ilk_error *err);

#endif
