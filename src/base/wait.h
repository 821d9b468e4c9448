/* SPDX-License-Identifier: Apache-2.0
 * A lock and the condition that threads wait for under it, for a while by the monotonic clock: whoever waits under a job
 * wakes to look at it, since a cancel, which may come from a signal handler, cannot wake him. */
#ifndef ILKI_BASE_WAIT_H
#define ILKI_BASE_WAIT_H

#include <pthread.h>
#include <time.h>

/* 0, or an errno and neither is made. */
static inline int ilki_base_wait_init(pthread_mutex_t *lock, pthread_cond_t *changed)
{
    pthread_condattr_t attr;
    int e = pthread_condattr_init(&attr);
    if (e == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        e = pthread_cond_init(changed, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (e == 0 && (e = pthread_mutex_init(lock, NULL)) != 0)
        pthread_cond_destroy(changed);
    return e;
}

/* Under the lock, of an ilki_base_wait_init: until `changed` is told or ns, under a second, are over. */
static inline void ilki_base_wait_for(pthread_mutex_t *lock, pthread_cond_t *changed, long ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ns;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_cond_timedwait(changed, lock, &until);
}

#endif
