/* SPDX-License-Identifier: Apache-2.0
 * Inside of the faulty twin: files with what is synced and what is not, names likewise, and the state after a crash.
 * faulty_fs.c knows no vfs; faulty.c puts the table, the faults and the lock around it. */
#ifndef ILK_FAULTY_FS_H
#define ILK_FAULTY_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FS_PATH = 1024, FS_SECTOR = 512, FS_PAGE = 4096 };

/* A change of a file's content that no sync has covered yet. */
typedef struct fs_change {
    bool truncates; /* else it writes */
    bool doomed;    /* a failed sync covered it: a later one drops it */
    uint64_t at, n; /* of a truncation: `at` is the size */
    unsigned char *data;
} fs_change;

typedef struct fs_lock {
    const void *owner;
    uint64_t begin, end;
    bool exclusive;
} fs_lock;

typedef struct fs_node {
    struct fs_node *next; /* all nodes of the file system */
    bool is_dir;
    uint64_t ino;
    int64_t mtime_ns;
    int fd; /* a memfd with what programs see now */
    size_t n_open;
    unsigned char *synced; /* what survives */
    uint64_t n_synced;
    fs_change *changes;
    size_t n_changes;
    bool shared; /* mapped for writing: the content changes without our knowledge */
    fs_lock *locks;
    size_t n_locks;
} fs_node;

typedef struct fs_name {
    char path[FS_PATH];
    fs_node *node;
} fs_name;

typedef struct fs_names {
    fs_name *names;
    size_t n;
} fs_names;

/* A change of names that no sync_dir has covered yet. */
typedef struct fs_move {
    char from[FS_PATH]; /* "": a new name; of an unlink: what goes */
    char to[FS_PATH];   /* "": an unlink */
    fs_node *node;
} fs_move;

typedef struct fs {
    fs_node *nodes;
    uint64_t next_ino;
    fs_names live, synced;
    fs_move *moves;
    size_t n_moves;
} fs;

typedef struct fs_fate { /* how a crash decides */
    int kind;            /* faulty_crash_kind */
    bool garbage;
    uint64_t random;
} fs_fate;

void fs_init(fs *s);
void fs_deinit(fs *s);

/* Absolute, without "//", "." and ".."; false where it is empty or too long. */
bool fs_clean_path(const char *path, char out[FS_PATH]);
void fs_parent(const char *path, char out[FS_PATH]);

fs_node *fs_find(const fs *s, const char *path);
fs_node *fs_create(fs *s, const char *path, bool is_dir);
void fs_move_name(fs *s, const char *from, const char *to); /* to: "" unlinks */
void fs_sync_dir(fs *s, const char *dir);
void fs_collect(fs *s); /* frees nodes without name or handle */

uint64_t fs_size(const fs_node *n);
bool fs_write(fs_node *n, uint64_t at, const void *data, size_t size);
bool fs_truncate(fs_node *n, uint64_t size);
void fs_sync(fs_node *n);
void fs_doom(fs_node *n);

/* False where another owner's lock is in the way. exclusive < 0 unlocks. */
bool fs_set_lock(fs_node *n, const void *owner, uint64_t begin, uint64_t end, int exclusive);

void fs_crash(fs *s, fs_fate *fate);

#endif
