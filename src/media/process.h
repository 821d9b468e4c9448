/* SPDX-License-Identifier: Apache-2.0
 * One helper process: started, asked, ended. Inside this room. */
#ifndef ILKI_MEDIA_PROCESS_H
#define ILKI_MEDIA_PROCESS_H

#include <sys/types.h>

#include "media/media.h"

typedef struct ilki_media_process {
    pid_t pid;
    int sock, window;
    const unsigned char *view; /* of the window; NULL: it can only be copied out */
    unsigned char *inbox;      /* behind it; NULL: files go as descriptors */
    uint32_t n_served, next_id;
    struct ilki_media_process *next; /* in the list of idle ones */
} ilki_media_process;

typedef struct ilki_media_question {
    const void *data; /* the file, and as a descriptor where it is too large for an inbox, or -1 */
    size_t n;
    int input;
    const ilki_buf *ops;
    double seconds;
    bool lend; /* where the window can be looked at, its bytes are not copied out */
} ilki_media_question;

/* Until when somebody waits, and what ended the wait. */
typedef struct ilki_media_watch {
    uint64_t until_ns; /* of the monotonic clock */
    ilk_job *job;
    bool timed_out, stopped;
} ilki_media_watch;
bool ilki_media_wait(void *watch, int sock, short events); /* an ilki_media_wait_fn */

/* What is put on a command line and where: descriptors 0 to 4, -1 for /dev/null (0 to 2) or none. */
ilk_status ilki_media_spawn(pid_t *pid, const char *path, char *const argv[], const int fds[5], ilk_error *err);

/* Kills the process and all of its group, and waits for its end; its wait status, or -1 where somebody else took it. */
int ilki_media_kill(pid_t pid);

/* "ended by signal 11" and the like, of a wait status */
void ilki_media_tell_end(int status, char *to, size_t n);

/* Started and greeted. IO: it does not start or says no hello of ours. */
ilk_status ilki_media_start(ilki_media_process **out, const char *path, const ilki_media_limits *limits, ilk_job *job,
                            ilki_media_hello *hello, ilk_error *err);
void ilki_media_end(ilki_media_process *p, bool forked, char *how, size_t n_how); /* how: may be NULL */

typedef enum ilki_media_outcome {
    ILKI_MEDIA_ANSWERED,
    ILKI_MEDIA_GONE,    /* it has ended */
    ILKI_MEDIA_LIED,    /* err says how */
    ILKI_MEDIA_LATE,    /* the time is over */
    ILKI_MEDIA_STOPPED, /* by the job */
    ILKI_MEDIA_FAILED   /* on this side; err says how */
} ilki_media_outcome;

/* One request. Only an ANSWERED process may be asked again. */
ilki_media_outcome ilki_media_ask(ilki_media_process *p, const ilki_media_question *q, ilk_job *job,
                                  ilki_media_result *result, ilk_error *err);

/* Whether the file goes without a descriptor. */
bool ilki_media_fits_inbox(const ilki_media_process *p, const ilki_media_question *q);

/* Behind a big answer, when nobody looks at it any more. */
void ilki_media_tidy(ilki_media_process *p, uint64_t n_bytes);

#endif
