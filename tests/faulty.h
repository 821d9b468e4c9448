/* SPDX-License-Identifier: Apache-2.0
 * The faulty twin of the vfs: an in-memory file system that fails on demand and lies plausibly about power loss. It has
 * everything ilki_vfs has, locks between open files and shared maps included, so SQLite's WAL runs on it; two "processes"
 * are two stores opened over one twin. A test that includes this header is linked with ilk_faulty (see CMakeLists.txt).
 * To run a store on it: open a runtime and set rt->vfs = faulty_vfs(f). Paths begin at "/", which exists.
 *
 * Failing the n-th call, for each n (the pattern of tests/fault):
 *
 *     for (uint64_t n = 1;; n++) {
 *         faulty *f = faulty_new();
 *         faulty_fail(f, FAULTY_WRITE, n, ENOSPC, FAULTY_TORN);
 *         ... work; each status is OK or says why ...
 *         bool failed = faulty_fail_off(f);
 *         ... reopen, check that what was acknowledged is there ...
 *         faulty_free(f);
 *         if (!failed)
 *             break;
 *     }
 *
 * Losing power at each call, with several outcomes of each loss:
 *
 *     faulty_cut_power(f, n);  ... work until something fails, close all ...  faulty_crash(f, FAULTY_SEEDED, seed);
 *     ... reopen and check: acknowledged with sync is there, a batch is there whole or not at all ...
 *
 * What a power loss may do (POSIX, and no more): of the writes and truncations of a file since its last sync each one is
 * kept, dropped or torn into 512-byte sectors of which any subset arrives, in any order; a file may have grown without
 * its data, which then reads as zeros; of the creations, renames and unlinks since the last sync_dir of their directory
 * any subset arrives; a file synced but never linked durably is gone. What a shared map wrote arrives page by page. What
 * was synced is never touched. After a failed sync the writes it covered are lost to every later sync, as Linux does it:
 * a second fsync that says OK has written nothing.
 *
 * Not modelled: symbolic links, permissions, hard links, removal of directories, bit rot (write over a file for that). */
#ifndef ILK_FAULTY_H
#define ILK_FAULTY_H

#include <errno.h>

#include "base/vfs.h"

typedef struct faulty faulty;

typedef enum faulty_op {
    FAULTY_OPEN,
    FAULTY_READ,
    FAULTY_WRITE,
    FAULTY_TRUNCATE,
    FAULTY_SYNC,
    FAULTY_LOCK, /* lock and lock_range */
    FAULTY_MAP,  /* map and map_shared */
    FAULTY_STAT, /* stat, fstat and size */
    FAULTY_LIST,
    FAULTY_MAKE_DIR,
    FAULTY_RENAME,
    FAULTY_UNLINK,
    FAULTY_SYNC_DIR,
    FAULTY_ANY, /* every call of the above */
    FAULTY_N_OPS
} faulty_op;

enum {
    FAULTY_ONCE = 0,
    FAULTY_FOR_EVER = 1, /* the n-th and all after it */
    FAULTY_TORN = 2      /* a failing write leaves a prefix behind */
};

typedef enum faulty_crash_kind {
    FAULTY_SEEDED,   /* a state that the seed chooses */
    FAULTY_LOSE_ALL, /* nothing but what was synced */
    FAULTY_KEEP_ALL  /* everything: the process was killed, the machine goes on */
} faulty_crash_kind;

faulty *faulty_new(void);
void faulty_free(faulty *f); /* every file must have been closed, every map unmapped */
const ilki_vfs *faulty_vfs(faulty *f);

/* Fails the n-th call from now (1 is the next) of a kind with EIO, ENOSPC or another errno. One rule at a time. */
void faulty_fail(faulty *f, faulty_op op, uint64_t n, int errno_value, int flags);
bool faulty_fail_off(faulty *f); /* true when a call was failed since faulty_fail */

/* The n-th call from now that changes something (open with CREATE, write, truncate, sync, make_dir, rename, unlink,
 * sync_dir, map_shared) may or may not have happened and fails with EIO; every later call fails too, until the crash. */
void faulty_cut_power(faulty *f, uint64_t n);

/* Makes the state after the loss. Handles opened before it fail from now on (close them); locks and rules are gone. */
void faulty_crash(faulty *f, faulty_crash_kind kind, uint64_t seed);

/* With garbage, a sector torn by a later crash may also hold arbitrary bytes (no powersafe overwrite). Off at first. */
void faulty_set_garbage(faulty *f, bool garbage);

/* ---- looking */
uint64_t faulty_count(faulty *f, faulty_op op); /* calls since the beginning or the last faulty_reset_counts */
uint64_t faulty_count_changes(faulty *f);       /* those that faulty_cut_power counts */
void faulty_reset_counts(faulty *f);
size_t faulty_n_unsynced(faulty *f); /* writes and names that a crash may lose, of files that still have a name */
size_t faulty_n_open(faulty *f);     /* files not closed */

#endif
