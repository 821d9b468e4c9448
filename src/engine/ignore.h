/* SPDX-License-Identifier: Apache-2.0
 * Which paths a folder's own files say to leave out: .gitignore and .git/info/exclude as git reads them, .ignore in the
 * same syntax with precedence over both, and globs of the caller on top of all. A list belongs to one thread. */
#ifndef ILKI_ENGINE_IGNORE_H
#define ILKI_ENGINE_IGNORE_H

#include "base/vfs.h"

typedef enum ilki_verdict {
    ILKI_VERDICT_NONE = 0, /* no pattern matches */
    ILKI_VERDICT_OUT,
    ILKI_VERDICT_IN /* the last pattern that matches is negated */
} ilki_verdict;

/* ---- the patterns of one file */
typedef struct ilki_ignore ilki_ignore;

/* Every line is a pattern, as in a .gitignore; one that is malformed matches nothing. */
ilk_status ilki_engine_ignore_parse(ilki_ignore **out, const char *text, size_t n, ilk_error *err);
void ilki_engine_ignore_free(ilki_ignore *l);

/* `path`: n bytes, relative to the directory that holds the file, without a slash at either end. */
ilki_verdict ilki_engine_ignore_match(ilki_ignore *l, const char *path, size_t n, bool is_dir);

/* ---- all rules that hold at one place of a tree: a stack of directories, the current one on top */
typedef struct ilki_rules ilki_rules;

enum { ILKI_HAS_GITIGNORE = 1, ILKI_HAS_IGNORE = 2, ILKI_HAS_GIT = 4 };

/* `root`: an absolute path. With `files`, the rules of the directories above it are read, up to the top of the git
 * repository it lies in; without, only `exclude` counts. `root` itself is entered by the caller. */
ilk_status ilki_engine_rules_new(ilki_rules **out, const ilki_vfs *vfs, const char *root, const char *const *exclude,
                                 size_t n_exclude, bool files, ilk_error *err);
void ilki_engine_rules_free(ilki_rules *r);

/* Goes into a directory, a child of the current one; `has` says which files of interest it holds. */
ilk_status ilki_engine_rules_enter(ilki_rules *r, const char *dir, unsigned has, ilk_error *err);
void ilki_engine_rules_leave(ilki_rules *r);

/* `has` of a directory that was not listed. */
unsigned ilki_engine_rules_look(const ilki_vfs *vfs, const char *dir);

/* Is this entry of the current directory left out? `path` is absolute. What is below an excluded directory is never
 * asked about, so a pattern cannot bring it back: as in git. */
bool ilki_engine_rules_exclude(ilki_rules *r, const char *path, bool is_dir);

#endif
