/* SPDX-License-Identifier: Apache-2.0
 * The tail: batches of the log that SQLite has not applied yet, in memory without their vectors. Batches are immutable
 * and counted: a view keeps those it needs alive while the tail moves on. */
#ifndef ILKI_STORE_TAIL_H
#define ILKI_STORE_TAIL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "store/log.h"

typedef struct ilki_entry {
    uint64_t lsn;
    uint8_t type;
    const char *key; /* id of item, delete or source; name of space or metadata; into the body */
    size_t key_bytes;
    ilki_place place;
    const unsigned char *body;
    struct ilki_tail_batch *batch;
} ilki_entry;

typedef struct ilki_tail_batch {
    atomic_uint refs;
    uint64_t first_lsn, last_lsn;
    uint64_t file, end;                             /* where the batch ends in the log */
    uint64_t bytes;                                 /* of memory */
    size_t n, n_items, n_sources, n_meta, n_spaces; /* n_items: puts */
    ilki_entry entries[];
} ilki_tail_batch;

/* From the bytes of one valid batch that begin at `at` of log file `file`. NULL when memory is short. */
ilki_tail_batch *ilki_store_tail_batch_new(const unsigned char *bytes, size_t n, uint64_t file, uint64_t at);
void ilki_store_tail_batch_hold(ilki_tail_batch *b);
void ilki_store_tail_batch_drop(ilki_tail_batch *b);

typedef struct ilki_tail {
    pthread_mutex_t lock;      /* guards all below */
    ilki_tail_batch **batches; /* [first, first + n), oldest first */
    size_t first, n, cap;
    uint64_t bytes;
    size_t n_entries;
    uint64_t base;     /* all up to this LSN has been applied and dropped */
    uint64_t last_lsn; /* of the newest batch ever added, or where the tail began */
    size_t n_entered;  /* batches, from the oldest, that `newest` knows */
    ilki_map newest;   /* id -> slot of its newest put or delete */
    ilki_entry **slots;
    size_t n_slots, cap_slots;
    uint32_t *free_slots; /* a stack, room for cap_slots */
    size_t n_free;
} ilki_tail;

void ilki_store_tail_init(ilki_tail *t);
void ilki_store_tail_deinit(ilki_tail *t);
/* Room for a batch, so that the add cannot fail: called before the batch is written. */
ilk_status ilki_store_tail_reserve(ilki_tail *t, ilk_error *err);
void ilki_store_tail_add(ilki_tail *t, ilki_tail_batch *b); /* takes the reference */
/* Drops batches up to and with `lsn`. */
void ilki_store_tail_trim(ilki_tail *t, uint64_t lsn);
/* Drops everything; the tail begins behind `lsn`. */
void ilki_store_tail_restart(ilki_tail *t, uint64_t lsn);
/* Under t->lock: the newest put or delete of an id, NULL where the tail has none. */
ilki_entry *ilki_store_tail_find(ilki_tail *t, const char *id, size_t n);
/* Under t->lock: the entry of an LSN. */
ilki_entry *ilki_store_tail_find_lsn(const ilki_tail *t, uint64_t lsn);

#endif
