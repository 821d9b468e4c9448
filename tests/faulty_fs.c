/* SPDX-License-Identifier: Apache-2.0
 * See faulty_fs.h and, for what a power loss may do, faulty.h. A test helper: it aborts when memory is short. */
#include "faulty_fs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "faulty.h"

static void need(bool held, const char *what)
{
    if (!held) {
        fprintf(stderr, "the faulty file system cannot go on: %s\n", what);
        abort();
    }
}

static void *grown(void *p, size_t n, size_t size)
{
    void *q = realloc(p, (n > 0 ? n : 1) * size);
    need(q != NULL, "out of memory");
    return q;
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool one_in(uint64_t *state, unsigned n)
{
    return next_random(state) % n == 0;
}

/* ---- paths and names */

bool fs_clean_path(const char *path, char out[FS_PATH])
{
    size_t len = 0;
    if (path[0] == '\0')
        return false;
    for (const char *p = path + strspn(path, "/"); *p != '\0'; p += strspn(p, "/")) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            while (len > 0 && out[--len] != '/') {
            }
        } else if (n != 1 || p[0] != '.') {
            if (len + n + 2 > FS_PATH)
                return false;
            out[len++] = '/';
            memcpy(out + len, p, n);
            len += n;
        }
        p += n;
    }
    if (len == 0)
        out[len++] = '/';
    out[len] = '\0';
    return true;
}

void fs_parent(const char *path, char out[FS_PATH])
{
    size_t n = (size_t)(strrchr(path, '/') - path);
    memcpy(out, path, n);
    out[n] = '\0';
    if (n == 0)
        memcpy(out, "/", 2);
}

static size_t find_name(const fs_names *t, const char *path)
{
    size_t i = 0;
    while (i < t->n && strcmp(t->names[i].path, path) != 0)
        i++;
    return i;
}

static void put_name(fs_names *t, const char *path, fs_node *node)
{
    size_t i = find_name(t, path);
    if (i == t->n) {
        t->names = grown(t->names, ++t->n, sizeof *t->names);
        snprintf(t->names[i].path, FS_PATH, "%s", path);
    }
    t->names[i].node = node;
}

static void drop_name(fs_names *t, const char *path)
{
    size_t i = find_name(t, path);
    if (i < t->n)
        t->names[i] = t->names[--t->n];
}

/* Names below a directory move with it. */
static void move_below(fs_names *t, const char *from, const char *to)
{
    size_t n = strlen(from);
    for (size_t i = 0; i < t->n; i++) {
        char *path = t->names[i].path, moved[2 * FS_PATH];
        if (strncmp(path, from, n) != 0 || path[n] != '/')
            continue;
        snprintf(moved, sizeof moved, "%s%s", to, path + n);
        need(strlen(moved) < FS_PATH, "a path too long");
        memcpy(path, moved, strlen(moved) + 1);
    }
}

static void apply_move(fs_names *t, const fs_move *m)
{
    size_t i = m->from[0] != '\0' ? find_name(t, m->from) : t->n;
    if (i < t->n && t->names[i].node == m->node) {
        drop_name(t, m->from);
        if (m->node->is_dir && m->to[0] != '\0')
            move_below(t, m->from, m->to);
    }
    if (m->to[0] != '\0')
        put_name(t, m->to, m->node);
}

static void add_move(fs *s, const char *from, const char *to, fs_node *node)
{
    s->moves = grown(s->moves, s->n_moves + 1, sizeof *s->moves);
    fs_move *m = &s->moves[s->n_moves++];
    memset(m, 0, sizeof *m);
    snprintf(m->from, FS_PATH, "%s", from);
    snprintf(m->to, FS_PATH, "%s", to);
    m->node = node;
    apply_move(&s->live, m);
}

fs_node *fs_find(const fs *s, const char *path)
{
    size_t i = find_name(&s->live, path);
    return i < s->live.n ? s->live.names[i].node : NULL;
}

void fs_move_name(fs *s, const char *from, const char *to)
{
    fs_node *node = fs_find(s, from);
    if (strcmp(from, to) != 0)
        add_move(s, from, to, node);
}

void fs_sync_dir(fs *s, const char *dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n_moves; i++) {
        fs_move *m = &s->moves[i];
        char parent[FS_PATH];
        fs_parent(m->to[0] != '\0' ? m->to : m->from, parent);
        if (strcmp(parent, dir) != 0) {
            s->moves[kept++] = *m;
            continue;
        }
        apply_move(&s->synced, m);
        /* a rename that arrived took the old name away: how it got there is of no account any more */
        for (size_t k = 0; k < kept;)
            if (m->from[0] != '\0' && s->moves[k].node == m->node && strcmp(s->moves[k].to, m->from) == 0) {
                memmove(&s->moves[k], &s->moves[k + 1], (kept - k - 1) * sizeof *s->moves);
                kept--;
            } else {
                k++;
            }
    }
    s->n_moves = kept;
}

/* ---- content */

static int new_memfd(void)
{
    int fd = memfd_create("faulty", MFD_CLOEXEC);
    need(fd >= 0, "no memfd");
    return fd;
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static fs_node *new_node(fs *s, bool is_dir)
{
    fs_node *n = calloc(1, sizeof *n);
    need(n != NULL, "out of memory");
    n->is_dir = is_dir;
    n->ino = ++s->next_ino;
    n->mtime_ns = now();
    n->fd = is_dir ? -1 : new_memfd();
    n->next = s->nodes;
    s->nodes = n;
    return n;
}

fs_node *fs_create(fs *s, const char *path, bool is_dir)
{
    fs_node *n = new_node(s, is_dir);
    add_move(s, "", path, n);
    return n;
}

uint64_t fs_size(const fs_node *n)
{
    struct stat st = {0};
    if (n->fd >= 0)
        fstat(n->fd, &st);
    return (uint64_t)st.st_size;
}

static void add_change(fs_node *n, bool truncates, uint64_t at, const void *data, size_t size)
{
    n->changes = grown(n->changes, n->n_changes + 1, sizeof *n->changes);
    fs_change *c = &n->changes[n->n_changes++];
    *c = (fs_change){truncates, false, at, size, NULL};
    if (size > 0) {
        c->data = grown(NULL, size, 1);
        memcpy(c->data, data, size);
    }
    n->mtime_ns = now();
}

static bool write_all(int fd, uint64_t at, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t w = pwrite(fd, (const char *)data + done, size - done, (off_t)(at + done));
        if (w <= 0)
            return false;
        done += (size_t)w;
    }
    return true;
}

bool fs_write(fs_node *n, uint64_t at, const void *data, size_t size)
{
    if (size == 0)
        return true;
    if (!write_all(n->fd, at, data, size))
        return false;
    add_change(n, false, at, data, size);
    return true;
}

bool fs_truncate(fs_node *n, uint64_t size)
{
    if (ftruncate(n->fd, (off_t)size) != 0)
        return false;
    add_change(n, true, size, NULL, 0);
    return true;
}

/* The image of a file that survives, while a sync or a crash works on it. */
static void resize_synced(fs_node *n, uint64_t size)
{
    if (size > n->n_synced) {
        n->synced = grown(n->synced, (size_t)size, 1);
        memset(n->synced + n->n_synced, 0, (size_t)(size - n->n_synced));
    }
    n->n_synced = size;
}

static void apply_bytes(fs_node *n, uint64_t at, const unsigned char *data, uint64_t size)
{
    if (at + size > n->n_synced)
        resize_synced(n, at + size);
    memcpy(n->synced + at, data, (size_t)size);
}

static void apply_change(fs_node *n, const fs_change *c)
{
    if (c->truncates)
        resize_synced(n, c->at);
    else
        apply_bytes(n, c->at, c->data, c->n);
}

static void read_live(const fs_node *n, uint64_t at, unsigned char *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t r = pread(n->fd, to + done, size - done, (off_t)(at + done));
        if (r <= 0)
            break;
        done += (size_t)r;
    }
}

void fs_sync(fs_node *n)
{
    for (size_t i = 0; i < n->n_changes; i++) {
        if (!n->changes[i].doomed)
            apply_change(n, &n->changes[i]);
        free(n->changes[i].data);
    }
    n->n_changes = 0;
    if (n->shared) {
        resize_synced(n, fs_size(n));
        read_live(n, 0, n->synced, (size_t)n->n_synced);
    }
}

void fs_doom(fs_node *n)
{
    for (size_t i = 0; i < n->n_changes; i++)
        n->changes[i].doomed = true;
}

/* ---- locks */

static void add_lock(fs_node *n, fs_lock l)
{
    if (l.begin >= l.end)
        return;
    n->locks = grown(n->locks, n->n_locks + 1, sizeof *n->locks);
    n->locks[n->n_locks++] = l;
}

bool fs_set_lock(fs_node *n, const void *owner, uint64_t begin, uint64_t end, int exclusive)
{
    for (size_t i = 0; i < n->n_locks && exclusive >= 0; i++) {
        const fs_lock *l = &n->locks[i];
        if (l->owner != owner && l->begin < end && begin < l->end && (exclusive || l->exclusive))
            return false;
    }
    size_t n_before = n->n_locks;
    for (size_t i = 0; i < n_before;) {
        fs_lock l = n->locks[i];
        if (l.owner != owner || l.begin >= end || begin >= l.end) {
            i++;
            continue;
        }
        /* own locks give way: what sticks out on either side stays */
        n->locks[i] = n->locks[--n_before];
        n->locks[n_before] = n->locks[--n->n_locks];
        add_lock(n, (fs_lock){owner, l.begin, begin, l.exclusive});
        add_lock(n, (fs_lock){owner, end, l.end, l.exclusive});
    }
    if (exclusive >= 0)
        add_lock(n, (fs_lock){owner, begin, end, exclusive > 0});
    return true;
}

/* ---- power loss */

/* How the changes of one file, or all names, fare: a style first, so that the extremes are not rare. */
typedef enum style { ALL, NONE, PREFIX, EACH, N_STYLES } style;

static style choose_style(fs_fate *f)
{
    if (f->kind != FAULTY_SEEDED)
        return f->kind == FAULTY_KEEP_ALL ? ALL : NONE;
    return (style)(next_random(&f->random) % N_STYLES);
}

/* Each sector of a write arrives or not, or holds anything. */
static void tear_write(fs_node *n, const fs_change *c, fs_fate *f)
{
    for (uint64_t at = c->at, next; at < c->at + c->n; at = next) {
        next = (at / FS_SECTOR + 1) * FS_SECTOR;
        if (next > c->at + c->n)
            next = c->at + c->n;
        unsigned char *data = c->data + (at - c->at), noise[FS_SECTOR];
        if (f->garbage && one_in(&f->random, 4)) {
            for (size_t i = 0; i < next - at; i++)
                noise[i] = (unsigned char)next_random(&f->random);
            data = noise;
        } else if (one_in(&f->random, 2)) {
            continue;
        }
        apply_bytes(n, at, data, next - at);
    }
}

/* The length may arrive without the data. */
static void maybe_only_grow(fs_node *n, const fs_change *c, fs_fate *f)
{
    if (!c->truncates && c->at + c->n > n->n_synced && one_in(&f->random, 4))
        resize_synced(n, c->at + c->n);
}

/* The process dies, the machine does not: what programs saw is what there is. */
static void keep_content(fs_node *n)
{
    resize_synced(n, fs_size(n));
    read_live(n, 0, n->synced, (size_t)n->n_synced);
}

static void crash_content(fs_node *n, fs_fate *f)
{
    style how = choose_style(f);
    size_t first_lost = how == PREFIX ? next_random(&f->random) % (n->n_changes + 1) : n->n_changes;
    for (size_t i = 0; i < n->n_changes; i++) {
        const fs_change *c = &n->changes[i];
        bool keep = how == ALL || (how == PREFIX && i < first_lost) || (how == EACH && one_in(&f->random, 3));
        bool tear = how == EACH ? one_in(&f->random, 2) : how == PREFIX && i == first_lost;
        if (keep)
            apply_change(n, c);
        else if (tear && !c->truncates)
            tear_write(n, c, f);
        else if (how == EACH)
            maybe_only_grow(n, c, f);
        free(c->data);
    }
    n->n_changes = 0;
    if (f->kind == FAULTY_KEEP_ALL) {
        keep_content(n);
    } else if (n->shared) {
        uint64_t size = fs_size(n);
        resize_synced(n, how == NONE ? n->n_synced : size);
        for (uint64_t at = 0; at < n->n_synced; at += FS_PAGE)
            if (how != NONE && (how == ALL || one_in(&f->random, 2)))
                read_live(n, at, n->synced + at, (size_t)(n->n_synced - at < FS_PAGE ? n->n_synced - at : FS_PAGE));
    }
    n->shared = false;
    n->n_locks = 0;
    /* a new memfd: maps of the world before the crash keep their pages */
    close(n->fd);
    n->fd = new_memfd();
    need(write_all(n->fd, 0, n->synced, (size_t)n->n_synced), "no room for a file");
}

static void crash_names(fs *s, fs_fate *f)
{
    style how = choose_style(f);
    size_t first_lost = how == PREFIX ? next_random(&f->random) % (s->n_moves + 1) : s->n_moves;
    for (size_t i = 0; i < s->n_moves; i++)
        if (how == ALL || (how == PREFIX && i < first_lost) || (how == EACH && one_in(&f->random, 2)))
            apply_move(&s->synced, &s->moves[i]);
    s->n_moves = 0;
    /* what lies in a directory that is gone is gone */
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < s->synced.n; i++) {
            char parent[FS_PATH];
            fs_parent(s->synced.names[i].path, parent);
            size_t dir = find_name(&s->synced, parent);
            if (dir < s->synced.n && s->synced.names[dir].node->is_dir)
                continue;
            s->synced.names[i--] = s->synced.names[--s->synced.n];
            again = true;
        }
    }
    s->live.n = 0;
    for (size_t i = 0; i < s->synced.n; i++)
        put_name(&s->live, s->synced.names[i].path, s->synced.names[i].node);
}

void fs_crash(fs *s, fs_fate *f)
{
    crash_names(s, f);
    for (fs_node *n = s->nodes; n != NULL; n = n->next)
        if (!n->is_dir)
            crash_content(n, f);
    fs_collect(s);
}

/* ---- life */

static bool has_name(const fs *s, const fs_node *node)
{
    for (size_t i = 0; i < s->live.n; i++)
        if (s->live.names[i].node == node)
            return true;
    for (size_t i = 0; i < s->synced.n; i++)
        if (s->synced.names[i].node == node)
            return true;
    for (size_t i = 0; i < s->n_moves; i++)
        if (s->moves[i].node == node)
            return true;
    return false;
}

static void free_node(fs_node *n)
{
    for (size_t i = 0; i < n->n_changes; i++)
        free(n->changes[i].data);
    free(n->changes);
    free(n->synced);
    free(n->locks);
    if (n->fd >= 0)
        close(n->fd);
    free(n);
}

void fs_collect(fs *s)
{
    for (fs_node **at = &s->nodes; *at != NULL;) {
        fs_node *n = *at;
        if (n->n_open > 0 || has_name(s, n)) {
            at = &n->next;
            continue;
        }
        *at = n->next;
        free_node(n);
    }
}

void fs_init(fs *s)
{
    memset(s, 0, sizeof *s);
    fs_node *root = new_node(s, true);
    put_name(&s->live, "/", root);
    put_name(&s->synced, "/", root);
}

void fs_deinit(fs *s)
{
    while (s->nodes != NULL) {
        fs_node *n = s->nodes;
        s->nodes = n->next;
        free_node(n);
    }
    free(s->live.names);
    free(s->synced.names);
    free(s->moves);
}
