/* SPDX-License-Identifier: Apache-2.0
 * A new manifest from what is in log/. Every log file says in its header which store it belongs to, its number, its first
 * LSN and its salt: all that a manifest says but the floors. Files are taken in order of number, from 1 and without a
 * gap, since nothing is trimmed; every file but the last is sealed at its length, and the floor of the last is its header,
 * so that its end is judged by the rules of a tail. A file of a header alone that does not follow is left from a roll that
 * a crash ended: it never existed. Records are not looked at here: opening and `check` do that.
 *
 * That the last file is missing can be known from the tables alone, whose place would lie in it: opening fails then. Where
 * they are lost too, or had not got so far, the store ends with the files that are there, and the message says which.
 *
 * Nothing is taken away: a damaged manifest is replaced, and files that cannot be used stay where they are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/core.h"

enum { MAX_FILES = 1 << 20 };

typedef struct names {
    uint64_t *list;
    size_t n, cap;
    bool failed;
} names;

static bool take_name(void *user, const char *name, ilki_file_type type)
{
    names *l = user;
    unsigned long long number = 0;
    int end = 0;
    if (type == ILKI_FILE_DIR || sscanf(name, "%20llu.log%n", &number, &end) != 1 || end == 0 || name[end])
        return true;
    if (l->n == l->cap) {
        size_t cap = l->cap * 2 + 16;
        uint64_t *more = cap <= MAX_FILES ? realloc(l->list, cap * sizeof *more) : NULL;
        l->failed = !more;
        if (!more)
            return false;
        l->list = more;
        l->cap = cap;
    }
    l->list[l->n++] = number;
    return true;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* One log file: its entry, and how long it is. */
static ilk_status look(const ilki_store *s, uint64_t number, uint8_t uuid[ILKI_UUID_BYTES], ilki_log_entry *e,
                       uint64_t *size, ilk_error *err)
{
    char name[40];
    ilki_file *f = NULL;
    snprintf(name, sizeof name, "log/%08" PRIu64 ".log", number);
    char *path = ilki_base_path_join(s->dir, name);
    ilk_status st = path ? s->vfs->open(s->vfs, &f, path, ILKI_OPEN_READ | ILKI_OPEN_NOFOLLOW, err)
                         : ilki_base_fail_memory(err, sizeof name, "a path");
    if (!st)
        st = ilki_store_log_header(f, path, uuid, e, err);
    if (!st && e->number != number)
        st = ilki_base_fail(err, ILK_CORRUPT, "%s: its header says number %" PRIu64, path, e->number);
    if (!st)
        st = s->vfs->size(f, size, err);
    s->vfs->close(f);
    free(path);
    return st;
}

/* Adds a file to the manifest, or says why it is not one of its files; CORRUPT where records would be left out. */
static ilk_status add_file(const ilki_store *s, ilki_manifest *m, uint64_t *last_size, uint64_t number, ilk_error *err)
{
    uint8_t uuid[ILKI_UUID_BYTES];
    ilki_log_entry e;
    uint64_t size = 0;
    ilk_status st = look(s, number, uuid, &e, &size, err);
    if (st)
        return st;
    if (m->n_files == 0 && (number != 1 || e.first_lsn != 1))
        return ilki_base_fail(err, ILK_CORRUPT, "%s: expected log file 1 as the first, found %" PRIu64, s->dir, number);
    if (m->n_files == 0) {
        memcpy(m->uuid, uuid, sizeof uuid);
    } else {
        ilki_log_entry *last = &m->files[m->n_files - 1];
        bool follows = memcmp(m->uuid, uuid, sizeof uuid) == 0 && e.first_lsn > last->first_lsn &&
                       number == last->number + 1;
        if (size <= ILKI_LOG_HEADER_BYTES && (!follows || *last_size <= ILKI_LOG_HEADER_BYTES)) {
            ilki_base_log(s->rt, ILK_LOG_WARN, "%s: log file %" PRIu64 " holds no record and is passed over", s->dir,
                          number);
            return ILK_OK;
        }
        if (!follows)
            return ilki_base_fail(err, ILK_CORRUPT,
                                  "%s: log file %" PRIu64 " is of another store, or does not follow log file %" PRIu64
                                  " (is one between them missing?)",
                                  s->dir, number, last->number);
        last->sealed = true;
        last->floor_bytes = *last_size;
        last->floor_lsn = e.first_lsn - 1;
    }
    m->files[m->n_files++] = e;
    *last_size = size;
    return ILK_OK;
}

static ilk_status make_manifest(const ilki_store *s, const names *l, const char *path, ilk_error *err)
{
    struct timespec now;
    uint64_t size = 0;
    ilki_manifest m = {.files = ilki_base_zalloc(l->n, sizeof *m.files)};
    ilk_status st = m.files ? ILK_OK : ilki_base_fail_memory(err, l->n * sizeof *m.files, "a manifest");
    clock_gettime(CLOCK_REALTIME, &now);
    m.created_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    for (size_t i = 0; !st && i < l->n; i++)
        st = add_file(s, &m, &size, l->list[i], err);
    if (!st)
        st = ilki_store_manifest_write(&m, s->vfs, path, err);
    if (!st)
        ilki_base_log(s->rt, ILK_LOG_WARN,
                      "%s: made again from %zu log files, the last of them %08" PRIu64
                      ".log: one behind it that is lost cannot be noticed here",
                      path, m.n_files, m.files[m.n_files - 1].number);
    ilki_store_manifest_deinit(&m);
    return st;
}

ilk_status ilki_store_salvage(ilki_store *s, ilk_error *err)
{
    ilki_manifest had;
    ilk_error why;
    names l = {0};
    ilk_error_init(&why);
    char *path = ilki_base_path_join(s->dir, "manifest"), *dir = ilki_base_path_join(s->dir, "log");
    ilk_status st = path && dir ? ILK_OK : ilki_base_fail_memory(err, strlen(s->dir), "a path");
    ilk_status got = st ? st : ilki_store_manifest_read(&had, s->vfs, path, true, &why);
    if (!got)
        ilki_store_manifest_deinit(&had);
    if (!st && got && got != ILK_CORRUPT && got != ILK_NOT_FOUND) {
        ilki_base_error_copy(err, &why);
        st = got;
    }
    if (!st && got && s->vfs->list(s->vfs, dir, take_name, &l, NULL) == ILK_OK && l.n) {
        ilki_base_log(s->rt, ILK_LOG_WARN, "%s", why.message);
        qsort(l.list, l.n, sizeof *l.list, by_number);
        st = l.failed ? ilki_base_fail_memory(err, l.n * sizeof *l.list, "log files") : make_manifest(s, &l, path, err);
    }
    free(l.list);
    free(path);
    free(dir);
    return st;
}
