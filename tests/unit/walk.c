/* SPDX-License-Identifier: Apache-2.0
 * The walk over trees that are pleasant and trees that are not. */
#include "engine/walk.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/runtime.h"
#include "test.h"
#include "tree.h"

typedef struct told {
    ilki_buf text; /* "rel\n" for a file, "rel: reason\n" for the rest */
    size_t n_files, stop_after;
} told;

static ilk_status tell(void *user, const ilki_walk_entry *e, ilk_error *err)
{
    told *t = user;
    if (e->status == ILK_OK)
        ilki_base_buf_addf(&t->text, "%s\n", e->rel);
    else if (e->status == ILK_UNSUPPORTED)
        ilki_base_buf_addf(&t->text, "%s: %s\n", e->rel, e->reason);
    else
        ilki_base_buf_addf(&t->text, "%s! %s\n", e->rel, ilk_status_string(e->status));
    t->n_files += e->status == ILK_OK;
    if (t->stop_after && t->n_files == t->stop_after)
        return ilki_base_fail(err, ILK_CANCELLED, "enough");
    return ILK_OK;
}

/* What is told of `root`; freed with free(). */
static char *walk_text(const char *root, const ilki_walk_options *opt)
{
    static const ilki_walk_options none = {0};
    told t = {.n_files = 0};
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&t.text, 1 << 26);
    CHECK_OK(ilki_engine_walk(&ilki_base_vfs_posix, root, opt ? opt : &none, tell, &t, &err), &err);
    ilki_base_buf_addc(&t.text, '\0');
    return ilki_base_buf_take(&t.text, NULL);
}

static void check_walk(const char *root, const ilki_walk_options *opt, const char *want, int line)
{
    char *got = walk_text(root, opt);
    CHECK_THAT(got && strcmp(got, want) == 0, "line %d: got\n%s---- want\n%s", line, got ? got : "", want);
    free(got);
}
#define CHECK_WALK(root, opt, want) check_walk((root), (opt), (want), __LINE__)

static void order_is_by_bytes(void)
{
    char *d = tree_new();
    static const char *const files[] = {"b", "a/z", "a/b/c", "a.txt", "a-b/x", "\xc3\xa9", "Z", "a/B"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        tree_put(tree_path(d, "%s", files[i]), "x");
    TREE_NEED(mkdir(tree_path(d, "empty"), 0700) == 0);
    CHECK_WALK(d, NULL, "Z\na/B\na/b/c\na/z\na-b/x\na.txt\nb\n\xc3\xa9\n");
    tree_free(d);
}

static void hidden_ignored_and_stores(void)
{
    char *d = tree_new();
    static const char *const files[] = {".h",       ".d/x",    "a/.ilk/x", ".ilk/y", ".git/z",  "k.o",  "sub/k.o",
                                        "sub/keep", "sub/out", "w/x",      "st/log", "top/n.o", "t.log"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        tree_put(tree_path(d, "%s", files[i]), "x");
    tree_put(tree_path(d, ".gitignore"), "*.o\n/sub/out\n");
    tree_put(tree_path(d, "sub/.gitignore"), "!k.o\n");
    tree_put(tree_path(d, ".ignore"), "!top/n.o\nt.log\n");
    tree_put(tree_path(d, "w/.ignore"), "*\n");
    CHECK_WALK(d, NULL, "st/log\nsub/k.o\nsub/keep\ntop/n.o\n");
    const char *exclude[] = {"/sub", "!t.log"};
    ilki_walk_options opt = {.exclude = exclude, .n_exclude = 2};
    CHECK_WALK(d, &opt, "st/log\nt.log\ntop/n.o\n");
    struct stat st;
    TREE_NEED(stat(tree_path(d, "st"), &st) == 0);
    opt = (ilki_walk_options){.no_ignore = true, .skip_dev = (uint64_t)st.st_dev, .skip_ino = (uint64_t)st.st_ino};
    CHECK_WALK(d, &opt, "k.o\nsub/k.o\nsub/keep\nsub/out\nt.log\ntop/n.o\nw/x\n");
    opt = (ilki_walk_options){.hidden = true, .names_only = true};
    CHECK_WALK(d, &opt, ".d/x\n.gitignore\n.h\n.ignore\nst/log\nsub/.gitignore\nsub/k.o\nsub/keep\ntop/n.o\n");
    /* the rules above the root count up to the repository's top, and none where there is no repository */
    CHECK_WALK(tree_path(d, "top"), NULL, "n.o\n");
    tree_put(tree_path(d, "top/m.o"), "x");
    CHECK_WALK(tree_path(d, "top"), NULL, "n.o\n");
    TREE_NEED(rename(tree_path(d, ".git"), tree_path(d, ".gone")) == 0);
    CHECK_WALK(tree_path(d, "top"), NULL, "m.o\nn.o\n");
    /* a repository below is a scope of its own */
    tree_put(tree_path(d, "top/.git/info/exclude"), "n.o\n");
    CHECK_WALK(tree_path(d, "top"), NULL, "m.o\n");
    CHECK_WALK(d, NULL, "st/log\nsub/k.o\nsub/keep\ntop/m.o\ntop/n.o\n"); /* .ignore beats info/exclude */
    tree_free(d);
}

static void links_and_loops(void)
{
    char *d = tree_new(), *far = tree_new();
    tree_put(tree_path(d, "real/f"), "x");
    tree_put(tree_path(d, "real/deep/g"), "x");
    tree_put(tree_path(far, "out/h"), "x");
    tree_put(tree_path(far, "out/.gitignore"), "no\n");
    tree_put(tree_path(far, "out/no"), "x");
    TREE_NEED(symlink("real/f", tree_path(d, "lf")) == 0);
    TREE_NEED(symlink("real", tree_path(d, "a-link")) == 0);
    TREE_NEED(symlink("..", tree_path(d, "real/up")) == 0);
    TREE_NEED(symlink(".", tree_path(d, "real/self")) == 0);
    TREE_NEED(symlink("/", tree_path(d, "rootlink")) == 0);
    TREE_NEED(symlink("nowhere", tree_path(d, "dangling")) == 0);
    TREE_NEED(symlink("loop2", tree_path(d, "loop1")) == 0);
    TREE_NEED(symlink("loop1", tree_path(d, "loop2")) == 0);
    TREE_NEED(symlink(tree_path(far, "out"), tree_path(d, "real/far")) == 0);
    TREE_NEED(symlink(tree_path(far, "out"), tree_path(d, "again")) == 0);
    TREE_NEED(symlink(tree_path(d, "real"), tree_path(far, "out/back")) == 0);
    TREE_NEED(symlink(far, tree_path(far, "out/more")) == 0);
    CHECK_WALK(d, NULL,
               "dangling: a dangling link\nloop1! input or output failed\nloop2! input or output failed\n"
               "real/deep/g\nreal/f\nagain/h\n");
    tree_free(far);
    tree_free(d);
}

/* What a link points to is told once: under its own name, or the link's where it has none that is told. */
static void links_to_files(void)
{
    char *d = tree_new(), *far = tree_new();
    static const char *const files[] = {"in/f", "in/.h", "out/f", ".dots/rc", "in/skip.me", "z"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        tree_put(tree_path(d, "%s", files[i]), "x");
    tree_put(tree_path(far, "x"), "x");
    tree_put(tree_path(d, "in/.gitignore"), "skip.*\n");
    tree_put(tree_path(d, ".gitignore"), "/out\n");
    static const char *const links[][2] = {{"in/f", "a1"},        {"../z", "in/a2"},      {"a1", "a3"},
                                           {"in/.h", "b-hidden"}, {"out/f", "b-ignored"}, {".dots/rc", "b-dots"},
                                           {"z", ".quiet"},       {"../z", "out/a4"},     {"in/skip.me", "b-below"}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        TREE_NEED(symlink(links[i][0], tree_path(d, "%s", links[i][1])) == 0);
    TREE_NEED(symlink(tree_path(far, "x"), tree_path(d, "c-far")) == 0);
    CHECK_WALK(d, NULL, "b-below\nb-dots\nb-hidden\nb-ignored\nc-far\nin/f\nz\n");
    ilki_walk_options all = {.hidden = true, .no_ignore = true};
    CHECK_WALK(d, &all, ".dots/rc\n.gitignore\nc-far\nin/.gitignore\nin/.h\nin/f\nin/skip.me\nout/f\nz\n");
    const char *exclude[] = {"z"};
    ilki_walk_options not_z = {.exclude = exclude, .n_exclude = 1};
    CHECK_WALK(tree_path(d, "in"), &not_z, "a2\nf\n"); /* a target outside of the root that is walked */
    tree_free(far);
    tree_free(d);
}

static void odd_files_are_named(void)
{
    char *d = tree_new();
    TREE_NEED(mkfifo(tree_path(d, "fifo"), 0600) == 0);
    TREE_NEED(symlink("fifo", tree_path(d, "fifolink")) == 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", tree_path(d, "sock"));
    TREE_NEED(fd >= 0 && bind(fd, (struct sockaddr *)&sun, sizeof sun) == 0);
    tree_put(tree_path(d, "bad\xff name"), "x");
    tree_put(tree_path(d, "new\nline"), "x");
    CHECK_WALK(
        d, NULL,
        "bad\xff name\nfifo: a pipe, a socket or a device\nfifolink: a pipe, a socket or a device\nnew\nline\nsock: a pipe, a socket or a device\n");
    close(fd);
    tree_free(d);
}

static void unreadable_dir_is_passed_over(void)
{
    uid_t me = geteuid();
    char *d = tree_new();
    tree_put(tree_path(d, "a/x"), "x");
    tree_put(tree_path(d, "b/x"), "x");
    TREE_NEED(chmod(d, 0755) == 0 && chmod(tree_path(d, "b"), 0755) == 0);
    TREE_NEED(chmod(tree_path(d, "a"), 0) == 0);
    if (me == 0) /* root may read everything: not as somebody else */
        TREE_NEED(seteuid(65534) == 0);
    CHECK_WALK(d, NULL, "a! input or output failed\nb/x\n");
    TREE_NEED(seteuid(me) == 0);
    tree_free(d);
}

/* Far deeper than there are file descriptors or a path may be long. */
static void deep_tree(void)
{
    char *d = tree_new();
    enum { DEPTH = 2100 };
    int fd = open(d, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < DEPTH; i++) {
        TREE_NEED(mkdirat(fd, "d", 0700) == 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY);
        TREE_NEED(next >= 0);
        close(fd);
        fd = next;
        if (i % 1000 == 500)
            close(openat(fd, "file", O_CREAT | O_WRONLY, 0600));
    }
    close(fd);
    char *got = walk_text(d, NULL);
    size_t n_lines = 0;
    for (const char *p = got; (p = strchr(p, '\n')); p++)
        n_lines++;
    /* two files above PATH_MAX, and one directory that cannot be reached */
    CHECK_INT(n_lines, 3);
    CHECK(got && strstr(got, "! input or output failed\n"));
    free(got);
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s'", d); /* nftw would need the long path too */
    CHECK_INT(system(command), 0);
    free(d);
}

static void wide_directory_and_stop(void)
{
    char *d = tree_new();
    for (int i = 0; i < 1500; i++)
        tree_put(tree_path(d, "f%05d", i), "");
    told t = {.stop_after = 1250};
    ilk_error err;
    ilk_error_init(&err);
    ilki_walk_options opt = {0};
    ilki_base_buf_init(&t.text, 1 << 20);
    CHECK_STATUS(ilki_engine_walk(&ilki_base_vfs_posix, d, &opt, tell, &t, &err), ILK_CANCELLED, NULL);
    CHECK_STR(err.message, "enough");
    CHECK_INT(t.n_files, 1250);
    CHECK(strstr(ilki_base_buf_view(&t.text), "f00000\nf00001\n") && strstr(t.text.data, "f01249\n"));
    opt.job = ilk_job_new(NULL);
    ilk_job_cancel(opt.job);
    CHECK_STATUS(ilki_engine_walk(&ilki_base_vfs_posix, d, &opt, tell, &t, &err), ILK_CANCELLED, NULL);
    ilk_job_free(opt.job);
    ilki_base_buf_deinit(&t.text);
    CHECK_STATUS(ilki_engine_walk(&ilki_base_vfs_posix, tree_path(d, "f00000"), &opt, tell, &t, &err), ILK_BAD_ARGUMENT,
                 NULL);
    CHECK_STATUS(ilki_engine_walk(&ilki_base_vfs_posix, tree_path(d, "none"), &opt, tell, &t, &err), ILK_NOT_FOUND,
                 NULL);
    tree_free(d);
}

TEST_MAIN({"order_is_by_bytes", order_is_by_bytes}, {"hidden_ignored_and_stores", hidden_ignored_and_stores},
          {"links_and_loops", links_and_loops}, {"links_to_files", links_to_files},
          {"odd_files_are_named", odd_files_are_named},
          {"unreadable_dir_is_passed_over", unreadable_dir_is_passed_over}, {"deep_tree", deep_tree},
          {"wide_directory_and_stop", wide_directory_and_stop})
