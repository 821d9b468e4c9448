/* SPDX-License-Identifier: Apache-2.0
 * See faulty.h: the vfs table over faulty_fs.c, with faults and the power switch. One lock around everything. */
#include "faulty.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faulty_fs.h"

enum { MAP_ALIGN = 64 << 10 };

struct faulty {
    ilki_vfs vfs;
    pthread_mutex_t lock;
    fs fs;
    uint64_t boot; /* crashes so far: a handle of an earlier one is dead */
    size_t n_open;
    uint64_t counts[FAULTY_N_OPS], n_changes;
    faulty_op fail_op;
    uint64_t fail_in; /* calls until the failure, 1 is the next; 0: no rule */
    int fail_errno, fail_flags;
    bool failed;
    uint64_t cut_in; /* likewise */
    bool power_off, garbage;
};

typedef struct faulty_file {
    ilki_file base;
    faulty *f;
    fs_node *node;
    uint64_t boot;
    bool writable;
    char path[FS_PATH];
} faulty_file;

/* What befalls one call. */
typedef enum call_fate { GOES_WELL, FAILS, TORN, LAST_BEFORE_THE_CUT } call_fate;

/* Of alloc_count.h, where the test is linked with it: the twin's own memory is not the test's matter. */
void alloc_count_pause(int change) __attribute__((weak));

static void pause_alloc(int change)
{
    if (alloc_count_pause != NULL)
        alloc_count_pause(change);
}

static void take(faulty *f)
{
    pthread_mutex_lock(&f->lock);
    pause_alloc(1);
}

static void give(faulty *f)
{
    pause_alloc(-1);
    pthread_mutex_unlock(&f->lock);
}

static faulty *of_vfs(const ilki_vfs *v)
{
    return v->state;
}

static faulty_file *of_file(ilki_file *f)
{
    return (faulty_file *)f;
}

/* ---- faults */

static bool rule_strikes(faulty *f, faulty_op op)
{
    if (f->fail_in == 0 || (f->fail_op != op && f->fail_op != FAULTY_ANY))
        return false;
    if (f->fail_in > 1) {
        f->fail_in--;
        return false;
    }
    if (!(f->fail_flags & FAULTY_FOR_EVER))
        f->fail_in = 0;
    f->failed = true;
    return true;
}

/* Counts the call, with the lock held, and decides; a failure's message is written. */
static call_fate decide(faulty *f, faulty_op op, bool changes, const char *verb, const char *path, ilk_error *err)
{
    f->counts[op]++;
    f->counts[FAULTY_ANY]++;
    f->n_changes += changes;
    if (f->power_off) {
        ilki_base_fail(err, ILK_IO, "%s %s: the power is off", verb, path);
        return FAILS;
    }
    if (changes && f->cut_in > 0 && --f->cut_in == 0) {
        f->power_off = true;
        ilki_base_fail(err, ILK_IO, "%s %s: the power went off", verb, path);
        return LAST_BEFORE_THE_CUT;
    }
    if (!rule_strikes(f, op))
        return GOES_WELL;
    ilki_base_fail_errno(err, ILK_IO, f->fail_errno, "%s %s", verb, path);
    return op == FAULTY_WRITE && (f->fail_flags & FAULTY_TORN) ? TORN : FAILS;
}

static bool acts(call_fate fate)
{
    return fate == GOES_WELL || fate == LAST_BEFORE_THE_CUT;
}

/* What a call reports: its own status, or the failure it was dealt. */
static ilk_status outcome(const faulty *f, call_fate fate, ilk_status st)
{
    if (fate == GOES_WELL)
        return st;
    if (!f->power_off && f->fail_errno == ENOMEM) /* as ilki_base_fail_errno has it */
        return ILK_NO_MEMORY;
    return !f->power_off && f->fail_errno == ENOENT ? ILK_NOT_FOUND : ILK_IO;
}

static ilk_status fail(int errno_value, const char *verb, const char *path, ilk_error *err)
{
    return ilki_base_fail_errno(err, errno_value == EEXIST ? ILK_BUSY : ILK_IO, errno_value, "%s %s", verb, path);
}

/* The start of a call on an open file: takes the lock, decides its fate. */
static call_fate enter(ilki_file *file, faulty_op op, bool changes, const char *verb, ilk_error *err)
{
    faulty_file *h = of_file(file);
    take(h->f);
    call_fate fate = decide(h->f, op, changes, verb, h->path, err);
    if (fate != FAILS && h->boot != h->f->boot) {
        ilki_base_fail(err, ILK_IO, "%s %s: opened before the crash", verb, h->path);
        return FAILS;
    }
    return fate;
}

static ilk_status leave(faulty *f, call_fate fate, ilk_status st)
{
    st = outcome(f, fate, st);
    give(f);
    return st;
}

/* ---- open files */

static int open_node(faulty *f, const char *path, int flags, fs_node **out)
{
    char dir[FS_PATH];
    fs_node *node = fs_find(&f->fs, path);
    *out = node;
    if (node != NULL && (flags & ILKI_OPEN_CREATE) && (flags & ILKI_OPEN_EXCLUSIVE))
        return EEXIST;
    if (node != NULL)
        return node->is_dir ? EISDIR : 0;
    fs_parent(path, dir);
    const fs_node *parent = fs_find(&f->fs, dir);
    if (parent == NULL || !(flags & ILKI_OPEN_CREATE))
        return ENOENT;
    if (!parent->is_dir)
        return ENOTDIR;
    *out = fs_create(&f->fs, path, false);
    return 0;
}

static ilk_status faulty_open(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err)
{
    faulty *f = of_vfs(v);
    take(f);
    faulty_file *h = calloc(1, sizeof *h);
    *out = NULL;
    if (h == NULL)
        abort();
    *h = (faulty_file){.base = {v}, .f = f, .writable = flags & ILKI_OPEN_WRITE};
    call_fate fate = decide(f, FAULTY_OPEN, flags & ILKI_OPEN_CREATE, "open", path, err);
    ilk_status st = ILK_OK;
    if (acts(fate)) {
        int e = fs_clean_path(path, h->path) ? open_node(f, h->path, flags, &h->node) : ENOENT;
        if (e != 0 && fate == GOES_WELL)
            st = fail(e, "open", path, err);
    }
    h->boot = f->boot;
    st = outcome(f, fate, st);
    if (st == ILK_OK) {
        h->node->n_open++;
        f->n_open++;
        *out = &h->base;
    } else {
        free(h);
    }
    give(f);
    return st;
}

static void faulty_close(ilki_file *file)
{
    if (file == NULL)
        return;
    faulty_file *h = of_file(file);
    faulty *f = h->f;
    take(f);
    if (h->boot == f->boot)
        fs_set_lock(h->node, h, 0, UINT64_MAX, -1);
    h->node->n_open--;
    f->n_open--;
    fs_collect(&f->fs);
    give(f);
    free(h);
}

static ilk_status faulty_read(ilki_file *file, uint64_t at, void *to, size_t n, size_t *got, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_READ, false, "read", err);
    *got = 0;
    ilk_status st = ILK_OK;
    while (acts(fate) && *got < n) {
        ssize_t r = at <= INT64_MAX - *got ? pread(h->node->fd, (char *)to + *got, n - *got, (off_t)(at + *got)) : -1;
        if (r < 0)
            st = fail(EINVAL, "read", h->path, err);
        if (r <= 0)
            break;
        *got += (size_t)r;
    }
    return leave(h->f, fate, st);
}

static ilk_status faulty_write(ilki_file *file, uint64_t at, const void *from, size_t n, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_WRITE, true, "write", err);
    ilk_status st = ILK_OK;
    if (fate == TORN)
        fs_write(h->node, at, from, n / 2);
    if (acts(fate) && !h->writable)
        st = fail(EBADF, "write", h->path, err);
    else if (acts(fate) && !fs_write(h->node, at, from, n))
        st = fail(ENOSPC, "write", h->path, err);
    return leave(h->f, fate, st);
}

static ilk_status faulty_truncate(ilki_file *file, uint64_t size, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_TRUNCATE, true, "truncate", err);
    ilk_status st = ILK_OK;
    if (acts(fate) && (!h->writable || !fs_truncate(h->node, size)))
        st = fail(EINVAL, "truncate", h->path, err);
    return leave(h->f, fate, st);
}

static ilk_status faulty_sync(ilki_file *file, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_SYNC, true, "sync", err);
    if (fate == GOES_WELL)
        fs_sync(h->node);
    else if (fate == FAILS && h->boot == h->f->boot)
        fs_doom(h->node);
    return leave(h->f, fate, ILK_OK);
}

static void take_stat(const fs_node *n, ilki_stat *st)
{
    *st = (ilki_stat){
        .type = n->is_dir ? ILKI_FILE_DIR : ILKI_FILE_REGULAR,
        .size = fs_size(n),
        .dev = 1,
        .ino = n->ino,
        .mtime_ns = n->mtime_ns,
        .ctime_ns = n->mtime_ns,
        .mode = n->is_dir ? 0700 : 0600,
        .uid = (uint32_t)geteuid(),
    };
}

static ilk_status faulty_fstat(ilki_file *file, ilki_stat *st, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_STAT, false, "stat", err);
    if (acts(fate))
        take_stat(h->node, st);
    return leave(h->f, fate, ILK_OK);
}

static ilk_status faulty_size(ilki_file *file, uint64_t *size, ilk_error *err)
{
    ilki_stat st = {0};
    ilk_status status = faulty_fstat(file, &st, err);
    *size = st.size;
    return status;
}

/* ---- locks and maps */

static ilk_status set_lock(ilki_file *file, uint64_t begin, uint64_t end, ilki_lock how, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_LOCK, false, "lock", err);
    ilk_status st = ILK_OK;
    int exclusive = how == ILKI_LOCK_NONE ? -1 : how == ILKI_LOCK_EXCLUSIVE;
    if (acts(fate) && (begin >= end || (exclusive == 1 && !h->writable)))
        st = fail(begin >= end ? EINVAL : EBADF, "lock", h->path, err);
    else if (acts(fate) && !fs_set_lock(h->node, h, begin, end, exclusive))
        st = ilki_base_fail(err, ILK_BUSY, "%s is locked by another process or handle", h->path);
    return leave(h->f, fate, st);
}

static ilk_status faulty_lock(ilki_file *file, ilki_lock how, ilk_error *err)
{
    return set_lock(file, 0, UINT64_MAX, how, err);
}

static ilk_status faulty_lock_range(ilki_file *file, uint64_t at, uint64_t n, ilki_lock how, ilk_error *err)
{
    return set_lock(file, at, at > UINT64_MAX - n ? at : at + n, how, err);
}

static ilk_status map_node(faulty_file *h, uint64_t at, size_t n, int prot, void **out, ilk_error *err)
{
    bool shared = prot & PROT_WRITE;
    if (n == 0 || at % MAP_ALIGN != 0 || at > INT64_MAX - n)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "map %s: %zu bytes at %llu", h->path, n, (unsigned long long)at);
    if (!shared && at + n > fs_size(h->node))
        return ilki_base_fail(err, ILK_IO, "map %s: expected %llu bytes, the file has %llu", h->path,
                              (unsigned long long)(at + n), (unsigned long long)fs_size(h->node));
    if (shared && !h->writable)
        return fail(EACCES, "map", h->path, err);
    if (shared && fs_size(h->node) < at + n && !fs_truncate(h->node, at + n))
        return fail(ENOSPC, "grow", h->path, err);
    void *p = mmap(NULL, n, prot, shared ? MAP_SHARED : MAP_PRIVATE, h->node->fd, (off_t)at);
    if (p == MAP_FAILED)
        return fail(errno, "map", h->path, err);
    h->node->shared |= shared;
    *out = p;
    return ILK_OK;
}

static ilk_status faulty_map(ilki_file *file, uint64_t at, size_t n, const void **out, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_MAP, false, "map", err);
    void *p = NULL;
    ilk_status st = acts(fate) ? map_node(h, at, n, PROT_READ, &p, err) : ILK_OK;
    *out = p;
    return leave(h->f, fate, st);
}

static ilk_status faulty_map_shared(ilki_file *file, uint64_t at, size_t n, void **out, ilk_error *err)
{
    faulty_file *h = of_file(file);
    call_fate fate = enter(file, FAULTY_MAP, true, "map", err);
    *out = NULL;
    ilk_status st = fate == GOES_WELL ? map_node(h, at, n, PROT_READ | PROT_WRITE, out, err) : ILK_OK;
    return leave(h->f, fate, st);
}

static void faulty_unmap(ilki_file *file, const void *p, size_t n)
{
    (void)file;
    if (p != NULL)
        munmap((void *)(uintptr_t)p, n);
}

/* ---- names */

/* The start of a call on a path. */
static call_fate enter_path(faulty *f, faulty_op op, bool changes, const char *verb, const char *path, ilk_error *err)
{
    take(f);
    return decide(f, op, changes, verb, path, err);
}

static ilk_status faulty_stat(const ilki_vfs *v, const char *path, bool follow, ilki_stat *st, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char clean[FS_PATH];
    (void)follow;
    call_fate fate = enter_path(f, FAULTY_STAT, false, "stat", path, err);
    const fs_node *node = fs_clean_path(path, clean) ? fs_find(&f->fs, clean) : NULL;
    ilk_status status = ILK_OK;
    if (acts(fate) && node == NULL)
        status = fail(ENOENT, "stat", path, err);
    else if (acts(fate))
        take_stat(node, st);
    return leave(f, fate, status);
}

typedef struct entry {
    char name[FS_PATH];
    ilki_file_type type;
} entry;

/* The entries of a directory, copied: the caller's function may call the vfs. */
static entry *take_entries(const fs *s, const char *dir, size_t *n)
{
    entry *all = calloc(s->live.n + 1, sizeof *all);
    *n = 0;
    for (size_t i = 0; all != NULL && i < s->live.n; i++) {
        const fs_name *name = &s->live.names[i];
        char parent[FS_PATH];
        fs_parent(name->path, parent);
        if (strcmp(parent, dir) != 0 || strcmp(name->path, "/") == 0)
            continue;
        entry *e = &all[(*n)++];
        memcpy(e->name, strrchr(name->path, '/') + 1, strlen(strrchr(name->path, '/')));
        e->type = name->node->is_dir ? ILKI_FILE_DIR : ILKI_FILE_REGULAR;
    }
    return all;
}

static ilk_status faulty_list(const ilki_vfs *v, const char *dir, ilki_dir_fn fn, void *user, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char clean[FS_PATH];
    size_t n = 0;
    entry *all = NULL;
    call_fate fate = enter_path(f, FAULTY_LIST, false, "list", dir, err);
    const fs_node *node = fs_clean_path(dir, clean) ? fs_find(&f->fs, clean) : NULL;
    ilk_status st = ILK_OK;
    if (acts(fate) && (node == NULL || !node->is_dir))
        st = fail(node == NULL ? ENOENT : ENOTDIR, "list", dir, err);
    else if (acts(fate))
        all = take_entries(&f->fs, clean, &n);
    st = leave(f, fate, st);
    for (size_t i = 0; st == ILK_OK && i < n; i++)
        if (!fn(user, all[i].name, all[i].type))
            break;
    free(all);
    return st;
}

static int make_dir_node(faulty *f, const char *path)
{
    char dir[FS_PATH];
    const fs_node *node = fs_find(&f->fs, path);
    if (node != NULL)
        return node->is_dir ? 0 : ENOTDIR;
    fs_parent(path, dir);
    const fs_node *parent = fs_find(&f->fs, dir);
    if (parent == NULL || !parent->is_dir)
        return parent == NULL ? ENOENT : ENOTDIR;
    fs_create(&f->fs, path, true);
    return 0;
}

static ilk_status faulty_make_dir(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char clean[FS_PATH];
    (void)mode;
    call_fate fate = enter_path(f, FAULTY_MAKE_DIR, true, "make directory", dir, err);
    int e = !acts(fate) ? 0 : fs_clean_path(dir, clean) ? make_dir_node(f, clean) : ENOENT;
    return leave(f, fate, e != 0 && fate == GOES_WELL ? fail(e, "make directory", dir, err) : ILK_OK);
}

static int rename_node(faulty *f, const char *from, const char *to)
{
    char dir[FS_PATH];
    const fs_node *node = fs_find(&f->fs, from), *old = fs_find(&f->fs, to);
    fs_parent(to, dir);
    const fs_node *parent = fs_find(&f->fs, dir);
    if (node == NULL || parent == NULL)
        return ENOENT;
    if (old != NULL && old != node &&
        (old->is_dir || node->is_dir)) /* an empty directory would do, and nobody needs it */
        return old->is_dir ? EISDIR : ENOTDIR;
    fs_move_name(&f->fs, from, to);
    return 0;
}

static ilk_status faulty_rename(const ilki_vfs *v, const char *from, const char *to, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char a[FS_PATH], b[FS_PATH];
    call_fate fate = enter_path(f, FAULTY_RENAME, true, "rename", from, err);
    int e = !acts(fate) ? 0 : fs_clean_path(from, a) && fs_clean_path(to, b) ? rename_node(f, a, b) : ENOENT;
    return leave(f, fate, e != 0 && fate == GOES_WELL ? fail(e, "rename", from, err) : ILK_OK);
}

static int unlink_node(faulty *f, const char *path)
{
    const fs_node *node = fs_find(&f->fs, path);
    if (node == NULL || node->is_dir)
        return node == NULL ? ENOENT : EISDIR;
    fs_move_name(&f->fs, path, "");
    return 0;
}

static ilk_status faulty_unlink(const ilki_vfs *v, const char *path, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char clean[FS_PATH];
    call_fate fate = enter_path(f, FAULTY_UNLINK, true, "unlink", path, err);
    int e = !acts(fate) ? 0 : fs_clean_path(path, clean) ? unlink_node(f, clean) : ENOENT;
    return leave(f, fate, e != 0 && fate == GOES_WELL ? fail(e, "unlink", path, err) : ILK_OK);
}

static ilk_status faulty_sync_dir(const ilki_vfs *v, const char *dir, ilk_error *err)
{
    faulty *f = of_vfs(v);
    char clean[FS_PATH];
    call_fate fate = enter_path(f, FAULTY_SYNC_DIR, true, "sync directory", dir, err);
    const fs_node *node = fs_clean_path(dir, clean) ? fs_find(&f->fs, clean) : NULL;
    ilk_status st = ILK_OK;
    if (fate == GOES_WELL && (node == NULL || !node->is_dir))
        st = fail(node == NULL ? ENOENT : ENOTDIR, "sync directory", dir, err);
    else if (fate == GOES_WELL)
        fs_sync_dir(&f->fs, clean);
    return leave(f, fate, st);
}

static ilk_status faulty_read_link(const ilki_vfs *v, const char *path, char *to, size_t n, ilk_error *err)
{
    (void)v, (void)to, (void)n;
    return fail(EINVAL, "read link", path, err); /* nothing here is a link */
}

/* ---- the test's side */

faulty *faulty_new(void)
{
    static const ilki_vfs table = {
        .name = "faulty",
        .open = faulty_open,
        .close = faulty_close,
        .read = faulty_read,
        .write = faulty_write,
        .truncate = faulty_truncate,
        .sync = faulty_sync,
        .size = faulty_size,
        .fstat = faulty_fstat,
        .lock = faulty_lock,
        .lock_range = faulty_lock_range,
        .map = faulty_map,
        .unmap = faulty_unmap,
        .map_shared = faulty_map_shared,
        .stat = faulty_stat,
        .list = faulty_list,
        .make_dir = faulty_make_dir,
        .rename = faulty_rename,
        .unlink = faulty_unlink,
        .sync_dir = faulty_sync_dir,
        .read_link = faulty_read_link,
    };
    faulty *f = calloc(1, sizeof *f);
    if (f == NULL)
        abort();
    f->vfs = table;
    f->vfs.state = f;
    pthread_mutex_init(&f->lock, NULL);
    fs_init(&f->fs);
    return f;
}

void faulty_free(faulty *f)
{
    if (f == NULL)
        return;
    fs_deinit(&f->fs);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

const ilki_vfs *faulty_vfs(faulty *f)
{
    return &f->vfs;
}

void faulty_fail(faulty *f, faulty_op op, uint64_t n, int errno_value, int flags)
{
    take(f);
    f->fail_op = op;
    f->fail_in = n;
    f->fail_errno = errno_value;
    f->fail_flags = flags;
    f->failed = false;
    give(f);
}

bool faulty_fail_off(faulty *f)
{
    take(f);
    f->fail_in = 0;
    bool failed = f->failed;
    give(f);
    return failed;
}

void faulty_cut_power(faulty *f, uint64_t n)
{
    take(f);
    f->cut_in = n;
    give(f);
}

void faulty_crash(faulty *f, faulty_crash_kind kind, uint64_t seed)
{
    take(f);
    fs_fate fate = {(int)kind, f->garbage, seed};
    fs_crash(&f->fs, &fate);
    f->boot++;
    f->fail_in = f->cut_in = 0;
    f->power_off = false;
    give(f);
}

void faulty_set_garbage(faulty *f, bool garbage)
{
    take(f);
    f->garbage = garbage;
    give(f);
}

uint64_t faulty_count(faulty *f, faulty_op op)
{
    take(f);
    uint64_t n = f->counts[op];
    give(f);
    return n;
}

uint64_t faulty_count_changes(faulty *f)
{
    take(f);
    uint64_t n = f->n_changes;
    give(f);
    return n;
}

void faulty_reset_counts(faulty *f)
{
    take(f);
    memset(f->counts, 0, sizeof f->counts);
    f->n_changes = 0;
    give(f);
}

size_t faulty_n_unsynced(faulty *f)
{
    take(f);
    size_t n = f->fs.n_moves;
    for (size_t i = 0; i < f->fs.live.n; i++)
        n += f->fs.live.names[i].node->n_changes;
    give(f);
    return n;
}

size_t faulty_n_open(faulty *f)
{
    take(f);
    size_t n = f->n_open;
    give(f);
    return n;
}
