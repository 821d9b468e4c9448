/* SPDX-License-Identifier: Apache-2.0
 * See gate.h. The futex word is private to the process. */
#include "base/gate.h"

#if ILKI_GATE_FUTEX

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void ilki_base_gate_init(ilki_gate *g)
{
    atomic_init(&g->value, 0);
}

void ilki_base_gate_deinit(ilki_gate *g)
{
    (void)g;
}

void ilki_base_gate_wait(ilki_gate *g, uint32_t expected)
{
    /* EAGAIN (the word has changed) and EINTR both mean: look again */
    syscall(SYS_futex, &g->value, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void ilki_base_gate_wake(ilki_gate *g, uint32_t n)
{
    syscall(SYS_futex, &g->value, FUTEX_WAKE_PRIVATE, n > INT_MAX ? INT_MAX : (int)n, NULL, NULL, 0);
}

#else

void ilki_base_gate_init(ilki_gate *g)
{
    atomic_init(&g->value, 0);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
}

void ilki_base_gate_deinit(ilki_gate *g)
{
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
}

void ilki_base_gate_wait(ilki_gate *g, uint32_t expected)
{
    pthread_mutex_lock(&g->lock);
    if (atomic_load(&g->value) == expected)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

void ilki_base_gate_wake(ilki_gate *g, uint32_t n)
{
    (void)n;
    pthread_mutex_lock(&g->lock); /* so that no sleeper is between its look and its sleep */
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

#endif
