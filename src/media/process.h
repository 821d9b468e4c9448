/* SPDX-License-Identifier: Apache-2.0
 * One helper process: started, asked, ended. Inside this room. */
#ifndef ILKI_MEDIA_PROCESS_H
#define ILKI_MEDIA_PROCESS_H

#include <sys/types.h>

#include "media/media.h"

enum { ILKI_MEDIA_SECONDS = 30 }; /* for a file, where nothing else is said */

typedef struct ilki_media_slot {
    const unsigned char *view; /* of the window; NULL: it can only be copied out */
    unsigned char *inbox;      /* behind it; NULL: files go as descriptors */
    bool mapped;               /* the two are as they will be */
    uint32_t id;               /* of the request under way */
} ilki_media_slot;

typedef struct ilki_media_process {
    pid_t pid;
    int sock, window; /* window: the memory of all slots */
    bool fixed;       /* its size, so that it may be looked at */
    bool heavy;       /* it has the heavy decoders */
    ilki_media_slot slots[ILKI_MEDIA_SLOTS];
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

/* Started and greeted, with heavy decoders or without. IO: it does not start or says no hello of ours. */
ilk_status ilki_media_start(ilki_media_process **out, const char *path, const ilki_media_limits *limits, bool heavy,
                            ilk_job *job, ilki_media_hello *hello, ilk_error *err);
void ilki_media_end(ilki_media_process *p, bool forked, char *how, size_t n_how); /* how: may be NULL */

typedef enum ilki_media_outcome {
    ILKI_MEDIA_ANSWERED,
    ILKI_MEDIA_GONE,    /* it has ended */
    ILKI_MEDIA_LIED,    /* err says how */
    ILKI_MEDIA_LATE,    /* the time is over */
    ILKI_MEDIA_STOPPED, /* by the job */
    ILKI_MEDIA_FAILED   /* on this side; err says how */
} ilki_media_outcome;

/* One request whose answer comes into `slot`, which nobody looks at, and its answer: in the order of the requests, one a
 * slot under way. That the process has gone is told by the answer alone. Only an ANSWERED process may be asked again. */
ilk_status ilki_media_put(ilki_media_process *p, const ilki_media_question *q, unsigned slot, ilk_job *job,
                          ilk_error *err);
ilki_media_outcome ilki_media_get(ilki_media_process *p, const ilki_media_question *q, unsigned slot, ilk_job *job,
                                  ilki_media_result *result, ilk_error *err);

/* Whether the file goes without a descriptor. */
bool ilki_media_fits_inbox(ilki_media_process *p, unsigned slot, size_t n);

/* Behind a big answer, when nobody looks at it any more. */
void ilki_media_tidy(ilki_media_process *p, const ilki_media_result *r);

/* ---- media.c: who has which */

/* Do these first bytes, of a file of boxes as HEIC and AVIF are, ask for a helper with heavy decoders? */
bool ilki_media_is_heavy(const void *data, size_t n);
/* An idle one or a new one, waited for; with heavy decoders where they are asked for, else perhaps. */
ilk_status ilki_media_take(ilki_media *m, bool heavy, ilk_job *job, ilki_media_process **out, ilk_error *err);
void ilki_media_give(ilki_media *m, ilki_media_process *p);
bool ilki_media_wanted(ilki_media *m);         /* somebody waits for one */
uint32_t ilki_media_most(const ilki_media *m); /* that live at once */
/* It is to be replaced when it has served n more. */
bool ilki_media_is_worn(const ilki_media *m, const ilki_media_process *p, uint32_t n);
/* Asks for q->input where the file needs a descriptor, with the seconds that are usual where q has none. */
ilk_status ilki_media_put_file(ilki_media_process *p, ilki_media_question *q, unsigned slot, ilk_job *job,
                               ilk_error *err);
/* One that did not answer is ended; what is to be said of the file. */
ilk_status ilki_media_blame(ilki_media *m, ilki_media_process *p, ilki_media_outcome outcome, double seconds,
                            ilk_job *job, ilk_error *err);
void ilki_media_discard(ilki_media *m, ilki_media_process *p); /* ended, whatever it does */
/* May the file that it was lost over have another try? `fresh`: it had served nobody before. */
bool ilki_media_may_retry(const ilki_media *m, ilki_media_outcome outcome, bool fresh, int try);
/* What an answer says about the file. */
ilk_status ilki_media_judge(const ilki_media_answer *a, ilk_error *err);

#endif
