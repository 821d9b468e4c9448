/* SPDX-License-Identifier: Apache-2.0
 * Ignore patterns: cases from the manual of git, and random patterns over a random tree against `git check-ignore`. */
#include "engine/ignore.h"

#include <dirent.h>
#include <spawn.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "test.h"
#include "tree.h"

extern char **environ;

/* '-' none, 'o' out, 'i' in */
static char decide(const char *text, const char *path, bool is_dir)
{
    ilki_ignore *l = NULL;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_engine_ignore_parse(&l, text, strlen(text), &err), &err);
    char verdict = l ? "-oi"[ilki_engine_ignore_match(l, path, strlen(path), is_dir)] : '?';
    ilki_engine_ignore_free(l);
    return verdict;
}

static void cases(void)
{
    static const struct {
        const char *text, *path;
        bool is_dir;
        char want;
    } rows[] = {
        {"", "a", 0, '-'},
        {"a", "a", 0, 'o'},
        {"a", "b/a", 0, 'o'},
        {"/a", "b/a", 0, '-'},
        {"/a", "a", 1, 'o'},
        {"a/", "a", 0, '-'},
        {"a/", "a", 1, 'o'},
        {"#a", "#a", 0, '-'},
        {"\\#a", "#a", 0, 'o'},
        {"\\!a", "!a", 0, 'o'},
        {"a\n!a", "a", 0, 'i'},
        {"!a\na", "a", 0, 'o'},
        {"a \n", "a", 0, 'o'},
        {"a\\ \n", "a ", 0, 'o'},
        {"a\\ \n", "a", 0, '-'},
        {"a\t\n", "a", 0, '-'},
        {"a\r\n", "a", 0, 'o'},
        {"\xef\xbb\xbf"
         "a\n",
         "a", 0, 'o'},
        {"*.c", "x/y.c", 0, 'o'},
        {"*.c", ".c", 0, 'o'},
        {"*.c", "y.cc", 0, '-'},
        {"x/*.c", "x/y.c", 0, 'o'},
        {"x/*.c", "x/z/y.c", 0, '-'},
        {"x/*.c", "w/x/y.c", 0, '-'},
        {"**/foo", "foo", 0, 'o'},
        {"**/foo", "a/b/foo", 0, 'o'},
        {"**/foo/bar", "a/foo/bar", 0, 'o'},
        {"abc/**", "abc/x/y", 0, 'o'},
        {"abc/**", "abc", 1, '-'},
        {"a/**/b", "a/b", 0, 'o'},
        {"a/**/b", "a/x/y/b", 0, 'o'},
        {"a/**/b", "ab", 0, '-'},
        {"a**b/c", "axxb/c", 0, 'o'},
        {"[a-c]x", "bx", 0, 'o'},
        {"[!a-c]x", "bx", 0, '-'},
        {"[^a-c]x", "dx", 0, 'o'},
        {"[]]x", "]x", 0, 'o'},
        {"[]-]x", "-x", 0, 'o'},
        {"[[:digit:]]", "7", 0, 'o'},
        {"[[:nope:]]", "n", 0, '-'},
        {"[a", "[a", 0, '-'},
        {"[\\]]", "]", 0, 'o'},
        {"a\\", "a\\", 0, '-'},
        {"a?c",
         "a\xc3\xa9"
         "c",
         0, '-'},
        {"a??c",
         "a\xc3\xa9"
         "c",
         0, 'o'},
        {"a/[b/]c", "a//c", 0, '-'},
        {"!", "!", 0, '-'},
        {"/", "a", 1, '-'},
        {"//", "a", 1, '-'},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char got = decide(rows[i].text, rows[i].path, rows[i].is_dir);
        CHECK_THAT(got == rows[i].want, "pattern \"%s\", path \"%s\": got %c, want %c", rows[i].text, rows[i].path, got,
                   rows[i].want);
    }
}

/* Exponential in a matcher that backtracks. */
static void many_stars_end_soon(void)
{
    char pattern[700], path[3000];
    size_t n = 0;
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(pattern + n, sizeof pattern - n, "%s", i % 2 ? "**/" : "*a");
    memset(path, 'a', sizeof path);
    for (size_t i = 7; i < sizeof path; i += 7)
        path[i] = '/';
    path[sizeof path - 1] = '\0';
    CHECK_INT(decide(pattern, path, false), '-');
}

/* ---- against git */

static const char *const names[] = {"a", "b", "ab", "a.c", "b c", "[x]", "ba", "\\b", "c ", "A"};
enum { N_NAMES = sizeof names / sizeof *names };

static void make_tree(const char *root, unsigned depth, uint64_t *seed)
{
    for (size_t i = 0; i < N_NAMES; i++) {
        bool must = strcmp(names[i], "ab") == 0; /* ignore files will be put into ab and ab/ab */
        if (!must && test_random(seed) % 3 == 0)
            continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        if (depth > 0 && (must || test_random(seed) % 2)) {
            TREE_NEED(mkdir(path, 0700) == 0);
            make_tree(path, depth - 1, seed);
        } else {
            tree_put(path, "");
        }
    }
}

static void random_line(ilki_buf *b, uint64_t *seed)
{
    static const char *const parts[] = {"a",    "b",     "c",           "*",   "**",  "/",   "/",     "?",    "[ab]",
                                        "[!a]", ".",     "\\",          " ",   "[",   "]",   "!",     "-",    "a/b",
                                        "ab",   "/**/",  "[[:alpha:]]", "**/", "/**", "\\b", "[a-c]", "[]x]", "A",
                                        "[[:x", "[\\]]", "[^",          "#",   "*.c", "b c"};
    if (test_random(seed) % 4 == 0)
        ilki_base_buf_adds(b, "!");
    for (uint64_t n = 1 + test_random(seed) % 5; n; n--)
        ilki_base_buf_adds(b, parts[test_random(seed) % (sizeof parts / sizeof *parts)]);
    if (test_random(seed) % 5 == 0)
        ilki_base_buf_adds(b, "/");
    ilki_base_buf_adds(b, test_random(seed) % 8 ? "\n" : "\r\n");
}

static void random_file(const char *path, uint64_t *seed, unsigned max_lines)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 16);
    for (uint64_t n = 1 + test_random(seed) % max_lines; n; n--)
        random_line(&b, seed);
    tree_write(path, ilki_base_buf_view(&b), b.len);
    ilki_base_buf_deinit(&b);
}

/* Runs git in `dir` with stdin and stdout as files; its exit status, -1 where it cannot be run. */
static int run_git(const char *dir, const char *in, const char *out, char *const argv[])
{
    posix_spawn_file_actions_t fa;
    char *env[] = {(char *)(uintptr_t) "GIT_CONFIG_GLOBAL=/dev/null", (char *)(uintptr_t) "GIT_CONFIG_SYSTEM=/dev/null",
                   (char *)(uintptr_t) "HOME=/nonexistent", NULL, NULL};
    char path[4096];
    snprintf(path, sizeof path, "PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    env[3] = path;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addchdir_np(&fa, dir);
    posix_spawn_file_actions_addopen(&fa, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status = -1, rc = posix_spawnp(&pid, "git", &fa, NULL, argv, env);
    posix_spawn_file_actions_destroy(&fa);
    if (rc != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status);
}

typedef struct lists {
    ilki_buf all, ours;
    ilki_rules *rules;
    size_t n_root;
} lists;

/* Every path below dir, NUL after each: into `all`, and into `ours` what is left out. */
static void collect(lists *l, const char *dir, bool out)
{
    DIR *d = opendir(dir);
    ilk_error err;
    ilk_error_init(&err);
    TREE_NEED(d);
    if (!out)
        CHECK_OK(ilki_engine_rules_enter(l->rules, dir, ilki_engine_rules_look(&ilki_base_vfs_posix, dir), &err), &err);
    for (struct dirent *e; (e = readdir(d));) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        bool is_dir = e->d_type == DT_DIR;
        bool here = out || ilki_engine_rules_exclude(l->rules, path, is_dir);
        ilki_base_buf_add(&l->all, path + l->n_root, strlen(path) + 1 - l->n_root);
        if (here)
            ilki_base_buf_add(&l->ours, path + l->n_root, strlen(path) + 1 - l->n_root);
        if (is_dir)
            collect(l, path, here);
    }
    if (!out)
        ilki_engine_rules_leave(l->rules);
    closedir(d);
}

static bool holds(const char *list, size_t n, const char *path)
{
    for (size_t at = 0; at < n; at += strlen(list + at) + 1)
        if (strcmp(list + at, path) == 0)
            return true;
    return false;
}

static char *const git_init[] = {(char *)(uintptr_t) "git", (char *)(uintptr_t) "init", (char *)(uintptr_t) "-q", NULL};
static char *const git_check[] = {(char *)(uintptr_t) "git",        (char *)(uintptr_t) "check-ignore",
                                  (char *)(uintptr_t) "--no-index", (char *)(uintptr_t) "--stdin",
                                  (char *)(uintptr_t) "-z",         NULL};

/* One set of ignore files: true when all paths agree. */
static bool agree(const char *top, const char *root)
{
    lists l = {.n_root = strlen(top) + 1};
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&l.all, 1 << 24);
    ilki_base_buf_init(&l.ours, 1 << 24);
    CHECK_OK(ilki_engine_rules_new(&l.rules, &ilki_base_vfs_posix, root, NULL, 0, true, &err), &err);
    collect(&l, root, false);
    tree_write(tree_path(top, ".git/in"), ilki_base_buf_view(&l.all), l.all.len);
    int rc = run_git(top, tree_path(top, ".git/in"), tree_path(top, ".git/out"), git_check);
    bool same = CHECK_THAT(rc == 0 || rc == 1, "git check-ignore: %d", rc);
    char *theirs = NULL;
    size_t n = 0;
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(top, ".git/out"), 1 << 24, &theirs, &n, &err), &err);
    for (size_t at = 0; theirs && at < l.all.len; at += strlen(l.all.data + at) + 1) {
        const char *path = l.all.data + at;
        bool ours = l.ours.len && holds(l.ours.data, l.ours.len, path), git = holds(theirs, n, path);
        same &= CHECK_THAT(ours == git, "path \"%s\": git %s it, we do not", path, git ? "ignores" : "keeps");
    }
    CHECK(l.all.len > 100);
    free(theirs);
    ilki_engine_rules_free(l.rules);
    ilki_base_buf_deinit(&l.all);
    ilki_base_buf_deinit(&l.ours);
    return same;
}

static void as_git(void)
{
    char *top = tree_new();
    uint64_t seed = 42;
    if (run_git(top, "/dev/null", "/dev/null", git_init) != 0) {
        tree_free(top);
        TEST_SKIP("git is not installed, or not in PATH");
    }
    make_tree(top, 3, &seed);
    for (int round = 0; round < 150; round++) {
        random_file(tree_path(top, ".gitignore"), &seed, round % 2 ? 2 : 6);
        random_file(tree_path(top, "ab/.gitignore"), &seed, 3);
        random_file(tree_path(top, "ab/ab/.gitignore"), &seed, 2);
        random_file(tree_path(top, ".git/info/exclude"), &seed, 2);
        if (!agree(top, top) && round > 0) {
            char *text = NULL;
            size_t n;
            for (int i = 0; i < 4; i++) {
                static const char *const files[] = {".gitignore", "ab/.gitignore", "ab/ab/.gitignore",
                                                    ".git/info/exclude"};
                if (ilki_base_read_file(&ilki_base_vfs_posix, tree_path(top, "%s", files[i]), 1 << 20, &text, &n,
                                        NULL) == 0)
                    printf("---- %s\n%s", files[i], text);
                free(text);
            }
            break;
        }
    }
    tree_free(top);
}

TEST_MAIN({"cases", cases}, {"many_stars_end_soon", many_stars_end_soon}, {"as_git", as_git})
