/* SPDX-License-Identifier: Apache-2.0
 * kill -9 at random moments, 200 times over one store: while it is made, opened, recovered, written, rolled over to a new
 * file, applied by the service thread, rebuilt. A child tells each acknowledgement through a pipe; after its death all
 * that was acknowledged must be there, and the batch in flight whole or not at all. The seed is printed and may be given
 * in ILK_SEED. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "random.h"
#include "store_test.h"
#include "tree.h"

enum { N_KILLS = 200, N_IDS = 40, LOG_BYTES = 60000 };

typedef struct state {
    int64_t version[N_IDS];
} state;

/* Batch k as a function of k: some puts, at times deletes; ids in the upper half are parts of those in the lower. */
static void make_batch(uint64_t seed, int64_t k, const state *before, st_batch *b, state *after)
{
    uint64_t rng = seed ^ (uint64_t)k * 0x9e3779b9U;
    bool used[N_IDS] = {0};
    char id[16], parent[16];
    memset(b, 0, sizeof *b);
    *after = *before;
    for (uint64_t i = 1 + test_random(&rng) % 8; i-- > 0;) {
        size_t x = test_random(&rng) % N_IDS, part = x + N_IDS / 2;
        if (used[x])
            continue;
        used[x] = true;
        snprintf(id, sizeof id, "i%02zu", x);
        snprintf(parent, sizeof parent, "i%02zu", x - N_IDS / 2);
        if (x < N_IDS / 2 && test_random(&rng) % 4 == 0 && !used[part]) {
            st_delete(b, id);
            used[part] = true;
            after->version[x] = after->version[part] = -1;
        } else {
            st_put(b, id, x < N_IDS / 2 ? NULL : parent, (uint64_t)k);
            after->version[x] = k;
        }
    }
}

static ilk_status open_store(const char *dir, ilk_runtime *rt, bool read_only, ilki_store **s, ilk_error *err)
{
    ilki_store_open_options opt = {
        .vfs = &ilki_base_vfs_posix, .rt = rt, .read_only = read_only, .max_log_bytes = LOG_BYTES, .gather = 1};
    return ilki_store_open(s, dir, &opt, err);
}

static ilk_status write_one(ilki_store *s, uint64_t seed, int64_t k, state *now, ilk_error *err)
{
    st_batch b;
    state after;
    char value[24];
    ilk_space sp = st_space("v", ILK_DENSE, ST_DIM);
    const char *meta[] = {"k", value};
    make_batch(seed, k, now, &b, &after);
    snprintf(value, sizeof value, "%lld", (long long)k);
    ilki_batch args = st_args(&b);
    args.spaces = &sp;
    args.n_spaces = 1;
    args.meta = meta;
    args.n_meta = 1;
    ilk_status st = ilki_store_write(s, &args, NULL, NULL, err);
    if (st == ILK_OK)
        *now = after;
    return st;
}

/* The child: opens, then writes and acknowledges until it is killed; on some runs it closes and opens again. */
static void child(const char *dir, uint64_t seed, int64_t k, state now, bool threads, int pipe_fd)
{
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilki_store *s;
    ilk_error err;
    ilk_error_init(&err);
    ilk_runtime_options_init(&ro);
    ro.n_threads = 1;
    if (threads && ilk_runtime_open(&rt, &ro, &err))
        _exit(3);
    for (;;) {
        if (open_store(dir, rt, false, &s, &err))
            break;
        for (int i = 0; i < 12; i++, k++) {
            if (write_one(s, seed, k, &now, &err) || write(pipe_fd, &k, sizeof k) != sizeof k)
                break;
        }
        ilki_store_close(s);
    }
    fprintf(stderr, "child: %s\n", err.message);
    _exit(3);
}

static int64_t last_acknowledged(int fd, int64_t before)
{
    int64_t k;
    while (read(fd, &k, sizeof k) == sizeof k)
        before = k;
    return before;
}

static int64_t number_of(ilki_store *s)
{
    char *value = NULL;
    int64_t k = -2;
    if (ilki_store_meta(s, "k", &value, NULL) == ILK_OK)
        k = value ? atoll(value) : -1;
    free(value);
    return k;
}

/* One look at the store after a kill, by a reader or the next writer. */
static int64_t verify(const char *dir, uint64_t seed, int64_t acked, const state *now, bool read_only, bool check,
                      state *found)
{
    ilki_store *s;
    ilk_error err;
    ilk_error_init(&err);
    ilk_status st = open_store(dir, NULL, read_only, &s, &err);
    if (st == ILK_NOT_FOUND && read_only && acked < 0)
        return -1;
    if (!CHECK_OK(st, &err))
        return acked;
    int64_t k = number_of(s);
    CHECK_THAT(k == acked || k == acked + 1, "batch %lld is there, %lld was acknowledged", (long long)k,
               (long long)acked);
    st_batch b;
    *found = *now;
    if (k == acked + 1)
        make_batch(seed, k, now, &b, found);
    uint64_t n, n_want = 0;
    for (size_t i = 0; i < N_IDS; i++) {
        char id[16];
        snprintf(id, sizeof id, "i%02zu", i);
        CHECK_INT(st_get(s, id), found->version[i]);
        n_want += found->version[i] >= 0;
    }
    CHECK_OK(ilki_store_count(s, NULL, &n, &err), &err);
    CHECK_INT(n, n_want);
    if (check)
        CHECK_OK(ilki_store_check(s, false, NULL, NULL, NULL, &err), &err);
    ilki_store_close(s);
    return k;
}

static uint64_t seed_of_run(void)
{
    const char *text = getenv("ILK_SEED");
    return text ? strtoull(text, NULL, 10) : (uint64_t)time(NULL) * 1000 + (uint64_t)getpid() % 1000;
}

static void sleep_us(uint64_t us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static void killed_200_times(void)
{
    uint64_t seed = seed_of_run(), rng = seed;
    char *root = tree_new(), *dir = strdup(tree_path(root, "store"));
    state now, found;
    int64_t acked = -1;
    size_t n_written = 0;
    int n_kills = N_KILLS * (int)test_scale();
    memset(&now, 0xff, sizeof now);
    printf("seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < n_kills && test_n_failed == 0; i++) {
        int fds[2];
        uint64_t r = test_random(&rng);
        if (r % 16 == 0 && acked >= 0) {
            char *derived = strdup(tree_path(dir, "derived"));
            if (access(derived, F_OK) == 0) /* the last child may have died before it made them */
                tree_free(derived);         /* the next one has the tables to rebuild */
            else
                free(derived);
        }
        REQUIRE(CHECK(pipe(fds) == 0));
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            child(dir, seed, acked + 1, now, r >> 8 & 3, fds[1]);
        }
        close(fds[1]);
        /* while it opens, or once it has written something: a busy machine may take long to get there */
        if (!(r >> 12 & 1))
            poll(&(struct pollfd){.fd = fds[0], .events = POLLIN}, 1, 30000);
        sleep_us((r >> 16) % (r >> 12 & 1 ? 6000 : 60000));
        kill(pid, SIGKILL);
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_THAT(WIFSIGNALED(status), "the child ended by itself with %d", WEXITSTATUS(status));
        int64_t last = last_acknowledged(fds[0], acked);
        close(fds[0]);
        n_written += (size_t)(last - acked);
        st_batch b;
        for (; acked < last; acked++) {
            state after;
            make_batch(seed, acked + 1, &now, &b, &after);
            now = after;
        }
        int64_t seen = verify(dir, seed, acked, &now, true, false, &found);
        if (r >> 40 & 1) {
            int64_t again = verify(dir, seed, acked, &now, false, i % 16 == 0, &found);
            CHECK(again == seen || seen == -1);
            seen = again;
        }
        if (seen == acked + 1) {
            now = found;
            acked = seen;
        }
    }
    CHECK_THAT(n_written > (size_t)n_kills / 3, "only %zu batches were acknowledged", n_written);
    verify(dir, seed, acked, &now, false, true, &found);
    printf("%zu acknowledged batches over %d kills\n", n_written, n_kills);
    free(dir);
    tree_free(root);
}

/* ---- a reader while another process writes */

enum { N_WHOLE = 10 };

static void write_whole(const char *dir)
{
    ilk_runtime *rt = NULL;
    ilk_runtime_options ro;
    ilki_store *s;
    ilk_error err;
    ilk_space sp = st_space("v", ILK_DENSE, ST_DIM);
    ilk_error_init(&err);
    ilk_runtime_options_init(&ro);
    ro.n_threads = 1;
    if (ilk_runtime_open(&rt, &ro, &err) || open_store(dir, rt, false, &s, &err))
        _exit(3);
    for (uint64_t k = 1;; k++) {
        st_batch b = {0};
        char id[16];
        for (int i = 0; i < N_WHOLE; i++) {
            snprintf(id, sizeof id, "w%d", i);
            if (k % 5 == 0 && i == 0)
                st_delete(&b, id);
            st_put(&b, id, NULL, k);
        }
        ilki_batch args = st_args(&b);
        args.spaces = &sp;
        args.n_spaces = 1;
        if (ilki_store_write(s, &args, NULL, NULL, &err))
            _exit(3);
    }
}

typedef struct seen {
    uint64_t first, last, n;
} seen;

static bool take(void *user, uint64_t lsn, const char *id, const char *parent)
{
    seen *x = user;
    (void)id;
    (void)parent;
    x->first = x->n++ == 0 || lsn < x->first ? lsn : x->first;
    x->last = lsn > x->last ? lsn : x->last;
    return true;
}

static void reader_sees_whole_batches(void)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        char *root = tree_new(), *dir = strdup(tree_path(root, "store"));
        ilki_store *s = NULL;
        ilk_error err;
        ilk_error_init(&err);
        if (in_memory) { /* no tables to read: this reader makes its own, the writer rebuilds the file */
            CHECK_OK(open_store(dir, NULL, false, &s, &err), &err);
            ilki_store_close(s);
            CHECK(unlink(tree_path(dir, "derived/meta.db")) == 0);
            CHECK_OK(open_store(dir, NULL, true, &s, &err), &err);
        }
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0)
            write_whole(dir);
        for (int i = 0; i < 30000 && !s; i++) {
            ilk_status st = open_store(dir, NULL, true, &s, &err);
            if (st != ILK_NOT_FOUND)
                REQUIRE(CHECK_OK(st, &err));
            if (!s)
                sleep_us(1000);
        }
        REQUIRE(CHECK(s != NULL));
        uint64_t newest = 0, n_steps = 0;
        struct timespec start, now;
        clock_gettime(CLOCK_MONOTONIC, &start);
        do {
            seen x = {0};
            CHECK_OK(ilki_store_refresh(s, &err), &err);
            CHECK_OK(ilki_store_scan(s, NULL, NULL, take, &x, &err), &err);
            CHECK_THAT(x.n == 0 || (x.n == N_WHOLE && x.last - x.first == N_WHOLE - 1), "%d items, LSN %d to %d",
                       (int)x.n, (int)x.first, (int)x.last);
            CHECK(x.first >= newest);
            n_steps += x.first > newest;
            newest = x.first > newest ? x.first : newest;
            if (x.n)
                CHECK(st_get(s, "w3") > 0);
            clock_gettime(CLOCK_MONOTONIC, &now);
        } while (now.tv_sec - start.tv_sec < 1 || (n_steps < 10 && now.tv_sec - start.tv_sec < 20));
        CHECK_THAT(n_steps >= 10, "only %d batches were seen", (int)n_steps);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        ilki_store_close(s);
        free(dir);
        tree_free(root);
    }
}

TEST_MAIN({"killed_200_times", killed_200_times}, {"reader_sees_whole_batches", reader_sees_whole_batches})
