/* SPDX-License-Identifier: Apache-2.0
 * A 32-bit word that threads can sleep on: a futex on Linux, a mutex and a condition variable elsewhere. Whoever changes
 * the word and then wakes loses no sleeper, because the sleep begins only while the word still has the expected value. */
#ifndef ILKI_BASE_GATE_H
#define ILKI_BASE_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__linux__) && !defined(ILKI_GATE_PORTABLE)
#define ILKI_GATE_FUTEX 1
#else
#define ILKI_GATE_FUTEX 0
#include <pthread.h>
#endif

typedef struct ilki_gate {
    _Atomic uint32_t value;
#if !ILKI_GATE_FUTEX
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
} ilki_gate;

void ilki_base_gate_init(ilki_gate *g);
void ilki_base_gate_deinit(ilki_gate *g);

/* Sleeps while the word equals `expected`; may return early. */
void ilki_base_gate_wait(ilki_gate *g, uint32_t expected);

/* Wakes up to n sleepers (elsewhere than on Linux: all of them). */
void ilki_base_gate_wake(ilki_gate *g, uint32_t n);

#endif
