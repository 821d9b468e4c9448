/* SPDX-License-Identifier: Apache-2.0
 * The files below a directory, in an order that depends on the tree alone. */
#ifndef ILKI_ENGINE_WALK_H
#define ILKI_ENGINE_WALK_H

#include "base/vfs.h"

typedef struct ilki_walk_options {
    bool hidden;    /* also names that begin with a dot; .git and .ilk are never entered */
    bool no_ignore; /* do not read .gitignore and .ignore */
    const char *const *exclude;
    size_t n_exclude;
    uint64_t skip_dev, skip_ino; /* a directory that is passed over in silence: the store; 0, 0: none */
    bool names_only;             /* for counting: files are told without `st`, links are not followed */
    ilk_job *job;
} ilki_walk_options;

typedef struct ilki_walk_entry {
    const char *path;   /* absolute */
    const char *rel;    /* within the root; "" for the root itself */
    ilki_stat st;       /* of a file */
    ilk_status status;  /* OK: a regular file; UNSUPPORTED: passed over; else: could not be read */
    const char *reason; /* where not OK */
} ilki_walk_entry;

/* Anything but OK ends the walk with that status; the callee has filled err. */
typedef ilk_status (*ilki_walk_fn)(void *user, const ilki_walk_entry *e, ilk_error *err);

/* Tells every regular file below `root` (absolute, without a slash at the end unless "/"), directory by directory: the
 * names of one directory in order of bytes, a directory's content where its name stands. Links to files are followed,
 * but for one whose target below the root is told itself, which is passed over in silence. A link to a directory is
 * entered after everything else, once, and only where its target was not seen before and does not hold the root; so no
 * loop is walked and a real path is preferred. What is hidden or ignored is passed over in silence too; sockets, pipes,
 * devices, dangling links and directories that cannot be read are told with a reason. Needs no open file per level and
 * no recursion. `root` must be a directory, its path free of links. */
ilk_status ilki_engine_walk(const ilki_vfs *vfs, const char *root, const ilki_walk_options *opt, ilki_walk_fn fn,
                            void *user, ilk_error *err);

#endif
