/* SPDX-License-Identifier: Apache-2.0
 * kill -9 in the middle of reading a folder, again and again: what is there afterwards is a part of the whole, and the
 * run that ends makes the store that a run without any kill would have made. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "folder.h"
#include "random.h"

enum { N_FILES = 1500, MAX_KILLS = 40 };

static void make_files(const char *dir)
{
    static const char *const words[] = {"red", "bicycle", "deep", "learning", "dogs", "market", "night", "cat"};
    uint64_t seed = 7;
    for (int i = 0; i < N_FILES; i++) {
        char text[2000] = "";
        size_t n = 0;
        for (uint64_t k = 3 + test_random(&seed) % 120; k; k--)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", words[test_random(&seed) % 8],
                                  k % 9 ? " " : ".\n\n");
        tree_put(tree_path(dir, "d%d/f%04d.txt", i % 5, i), text);
    }
}

/* Reads the folder with everything of its own; never returns. */
static void child(const char *dir, const char *store)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_store *s = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_status st = ilk_runtime_open(&rt, NULL, &err);
    if (!st)
        st = ilk_model_open(&m, rt, tree_path(ILK_TEST_DIR, "fixtures/bert-mean"), NULL, &err);
    if (!st)
        st = ilk_store_open(&s, rt, store, NULL, &err);
    if (!st)
        st = ilk_ingest(s, &m, 1, &dir, 1, NULL, NULL, NULL, &err);
    if (st)
        printf("child: %s\n", err.message);
    ilk_store_close(s);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    fflush(stdout);
    _exit(st ? 1 : 0);
}

/* Killed after so many microseconds (0: never); the exit status, -1 when it was killed. */
static int run_child(const char *dir, const char *store, unsigned us)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    TREE_NEED(pid >= 0);
    if (pid == 0)
        child(dir, store);
    if (us) {
        usleep(us);
        kill(pid, SIGKILL);
    }
    TREE_NEED(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Every item of both stores, side by side; the first may hold a part of the second. */
static size_t compare(ilk_runtime *rt, const char *part, const char *whole, bool all)
{
    ilk_store *s[2] = {NULL, NULL};
    ilk_store_options opt;
    ilk_error err;
    size_t n = 0;
    ilk_error_init(&err);
    ilk_store_options_init(&opt);
    opt.read_only = 1;
    if (!CHECK_OK(ilk_store_open(&s[0], rt, part, &opt, &err), &err) ||
        !CHECK_OK(ilk_store_open(&s[1], rt, whole, &opt, &err), &err))
        goto end;
    char after[600] = "";
    for (size_t got = 1; got;) {
        ilk_hits *page = NULL;
        if (!CHECK_OK(ilk_store_scan(s[all], NULL, *after ? after : NULL, 100, &page, &err), &err))
            break;
        got = ilk_hits_get_count(page, 0);
        for (size_t i = 0; i < got; i++, n++) {
            snprintf(after, sizeof after, "%s", folder_hit(page, i).id);
            const char *id = after;
            ilk_hits *h[2] = {NULL, NULL};
            bool both = CHECK_OK(ilk_store_get(s[0], &id, 1, &h[0], &err), &err) &&
                        CHECK_OK(ilk_store_get(s[1], &id, 1, &h[1], &err), &err) &&
                        CHECK_THAT(ilk_hits_get_count(h[0], 0) == 1 && ilk_hits_get_count(h[1], 0) == 1, "item %s", id);
            if (both) {
                ilk_hit x = folder_hit(h[0], 0), y = folder_hit(h[1], 0);
                ilk_vector v, w;
                v.size = w.size = sizeof v;
                CHECK_STR(x.text, y.text);
                CHECK_STR(x.path, y.path);
                CHECK_STR(x.parent, y.parent);
                CHECK_INT(x.segment.line_last, y.segment.line_last);
                if (x.parent && CHECK_OK(ilk_hits_get_vector(h[0], 0, 0, "text", &v, &err), &err) &&
                    CHECK_OK(ilk_hits_get_vector(h[1], 0, 0, "text", &w, &err), &err))
                    CHECK_FLOATS(v.data, w.data, v.dim, 0, 0);
            }
            ilk_hits_free(h[0]);
            ilk_hits_free(h[1]);
        }
        ilk_hits_free(page);
    }
end:
    ilk_store_close(s[0]);
    ilk_store_close(s[1]);
    return n;
}

/* Files that a killed run has left in the store; 0 where there is none yet. No thread is left behind: a fork follows. */
static uint64_t n_sources(const char *path)
{
    ilk_runtime *rt = NULL;
    ilk_store *s = NULL;
    ilk_store_options opt;
    ilk_store_info info;
    ilk_error err;
    ilk_error_init(&err);
    ilk_store_options_init(&opt);
    ilk_store_info_init(&info);
    opt.read_only = 1;
    ilk_status st = ilk_runtime_open(&rt, NULL, &err);
    if (!st)
        st = ilk_store_open(&s, rt, path, &opt, &err);
    if (st != ILK_NOT_FOUND)
        CHECK_OK(st ? st : ilk_store_get_info(s, &info, &err), &err);
    ilk_store_close(s);
    ilk_runtime_close(rt);
    return info.n_sources;
}

static void killed_and_resumed(void)
{
    char *top = tree_new();
    char *dir = strdup(tree_path(top, "docs")), *whole = strdup(tree_path(top, "whole"));
    char *part = strdup(tree_path(top, "part"));
    ilk_runtime *rt = NULL;
    ilk_error err;
    uint64_t seed = 99;
    int n_killed = 0, n_parts = 0;
    ilk_error_init(&err);
    make_files(dir);
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    CHECK_INT(run_child(dir, whole, 0), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    uint64_t us = (uint64_t)((end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000);
    int rc = -1;
    for (int i = 0; i < MAX_KILLS && rc == -1; i++) {
        rc = run_child(dir, part, 1 + (unsigned)(test_random(&seed) % (us / 3 + 1)));
        CHECK(rc == -1 || rc == 0);
        n_killed += rc == -1;
        uint64_t n = rc == -1 ? n_sources(part) : 0;
        n_parts += n > 0 && n < N_FILES;
        if (rc == 0 && n_parts == 0 && us > 1000) { /* it was faster than the run that was timed */
            us /= 2;
            tree_free(part);
            part = strdup(tree_path(top, "part"));
            rc = -1;
        }
    }
    printf("%d runs were killed, %d of them after some files and before all\n", n_killed, n_parts);
    CHECK(n_parts > 0);
    if (rc != 0)
        CHECK_INT(run_child(dir, part, 0), 0);
    if (CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err)) {
        size_t n = compare(rt, part, whole, false);
        CHECK(n > N_FILES);
        CHECK_INT(compare(rt, part, whole, true), n);
    }
    ilk_runtime_close(rt);
    free(dir);
    free(whole);
    free(part);
    tree_free(top);
}

/* A folder that changes under the reader: nothing crashes, and the next run has what stands then. */
static void files_change_while_they_are_read(void)
{
    folder f;
    char *dir = tree_new();
    make_files(dir);
    fflush(stdout);
    pid_t pid = fork();
    TREE_NEED(pid >= 0);
    if (pid == 0) {
        uint64_t seed = 5;
        for (pid_t parent = getppid(); getppid() == parent;) { /* not longer than the test */
            int i = (int)(test_random(&seed) % N_FILES);
            const char *path = tree_path(dir, "d%d/f%04d.txt", i % 5, i);
            if (test_random(&seed) % 3 == 0)
                unlink(path);
            else
                tree_put(path, test_random(&seed) % 2 ? "cat and dogs\n" : "the night of the red bicycle.\n\nmarket\n");
        }
        _exit(0);
    }
    bool open = folder_open(&f, "bert-mean");
    for (int i = 0; open && i < 3; i++)
        CHECK_OK(folder_ingest(&f, dir, NULL), &f.err);
    kill(pid, SIGKILL);
    TREE_NEED(waitpid(pid, NULL, 0) == pid);
    if (!open)
        goto end;
    tree_put(tree_path(dir, "d0/f0000.txt"), "the last word\n");
    CHECK_OK(folder_ingest(&f, dir, NULL), &f.err);
    CHECK_INT(f.result.n_failed, 0);
    CHECK_OK(folder_ingest(&f, dir, NULL), &f.err);
    CHECK_INT(f.result.n_indexed + f.result.n_moved + f.result.n_removed, 0);
    ilk_hits *h = folder_search(&f, "the last word", 1);
    CHECK_STR(folder_hit(h, 0).text, "the last word");
    ilk_hits_free(h);
end:
    tree_free(dir);
    folder_close(&f);
}

TEST_MAIN({"killed_and_resumed", killed_and_resumed},
          {"files_change_while_they_are_read", files_change_while_they_are_read})
