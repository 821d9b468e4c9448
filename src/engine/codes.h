/* SPDX-License-Identifier: Apache-2.0
 * The flat indexes of a store, one in memory per dense space; labels are LSNs. */
#ifndef ILKI_ENGINE_CODES_H
#define ILKI_ENGINE_CODES_H

#include <pthread.h>

#include "index/index.h"
#include "store/store.h"

typedef struct ilki_space_codes {
    const ilk_space *space; /* the store's */
    ilki_index *ix;         /* NULL: not made, or dropped after a failure */
    uint64_t upto;          /* LSN it has seen */
    size_t n_changed;       /* rows since it was loaded or saved */
} ilki_space_codes;

typedef struct ilki_codes {
    ilk_runtime *rt;
    ilki_store *store;
    bool read_only, no_mmap;
    pthread_rwlock_t lock;     /* shared by searches; exclusive for changing an index or the list */
    ilki_space_codes **spaces; /* each is made once and stays */
    size_t n, cap;
} ilki_codes;

/* `lock` is made by the caller first. */
void ilki_engine_codes_deinit(ilki_codes *c);

/* The codes of a space, not yet made; NULL name: the only dense space. MISMATCH where there is none of that name. */
ilk_status ilki_engine_codes_find(ilki_codes *c, const char *name, ilki_space_codes **out, ilk_error *err);

/* Brings the index up to the store; *upto is the LSN it has then seen. `fresh`: makes it again from the log. Takes the
 * lock itself. */
ilk_status ilki_engine_codes_update(ilki_codes *c, ilki_space_codes *sc, bool fresh, ilk_job *job, uint64_t *upto,
                                    ilk_error *err);

/* Saves the codes of every space where enough has changed; failures go to the log. */
void ilki_engine_codes_save(ilki_codes *c);

/* Compares every index with the vectors: checksums, count, and the codes of up to 20,000 items of each space. */
ilk_status ilki_engine_codes_check(ilki_codes *c, bool repair, ilk_finding_fn found, void *user, ilk_job *job,
                                   ilk_error *err);

#endif
