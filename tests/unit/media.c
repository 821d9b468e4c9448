/* SPDX-License-Identifier: Apache-2.0
 * The helpers of a runtime, with helpers that lie, hang and die (tests/liar.c), and with the real one. */
#include "media/media.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "base/vfs.h"
#include "cancel.h"
#include "children.h"
#include "media/decode.h"
#include "media/process.h"
#include "test.h"
#include "tree.h"

static char *top;

/* A copy, not a link: the program asks the system by which name it was started. */
static const char *liar(const char *way)
{
    const char *path = tree_path(top, "liar-%s", way);
    if (access(path, X_OK) == 0)
        return path;
    FILE *from = fopen(ILK_TEST_LIAR, "rbe"), *to = fopen(path, "wbe");
    TREE_NEED(from && to);
    char block[65536];
    for (size_t n; (n = fread(block, 1, sizeof block, from)) > 0;)
        TREE_NEED(fwrite(block, 1, n, to) == n);
    fclose(from);
    TREE_NEED(fclose(to) == 0 && chmod(path, 0700) == 0);
    return path;
}

static ilki_media *open_helper(const char *path, uint32_t max_processes)
{
    ilki_media *m = NULL;
    ilki_media_limits limits = {.max_processes = max_processes};
    if (!top)
        top = tree_new();
    CHECK_OK(ilki_media_new(&m, path, &limits, NULL), NULL);
    return m;
}

static ilk_status ask(ilki_media *m, const char *reader, const char *text, double seconds, ilk_job *job,
                      ilki_media_result *r, ilk_error *err)
{
    ilki_buf ops;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_open(&ops, reader);
    ilki_media_add_text(&ops, 1 << 20);
    ilk_status st = ilki_media_run(m, text, strlen(text), &ops, seconds, job, r, err);
    ilki_base_buf_deinit(&ops);
    return st;
}

static void lies(void)
{
    static const struct {
        const char *way;
        ilk_status status;
        const char *says;
    } cases[] = {
        {"dead", ILK_IO, "it ended before its hello: exit 7"},
        {"version", ILK_IO, "expected protocol 3, found 99"},
        {"sandbox", ILK_IO, "hello: malformed"},
        {"rows", ILK_IO, "hello: malformed"},
        {"crash", ILK_BAD_FORMAT, "its reader crashed over it: signal 11"},
        {"hang", ILK_LIMIT, "took more than 0.2 s"},
        {"half", ILK_LIMIT, "took more than 0.2 s"},
        {"huge", ILK_BAD_FORMAT, "its reader crashed over it"},
        {"number", ILK_BAD_FORMAT, "broke the protocol: answer: expected id 1, found 2"},
        {"beyond", ILK_BAD_FORMAT, "broke the protocol: answer: 1099511627776 bytes"},
        {"pixels", ILK_BAD_FORMAT, "broke the protocol"},
        {"form", ILK_BAD_FORMAT, "broke the protocol"},
        {"trailing", ILK_BAD_FORMAT, "broke the protocol"},
        {"shorter", ILK_BAD_FORMAT, "its reader"},
        {"memory", ILK_LIMIT, "no reason"},
        {"cancelled", ILK_BAD_FORMAT, "no reason"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilk_error err;
        ilki_media_result r;
        ilk_error_init(&err);
        if (!top)
            top = tree_new();
        ilki_media *m = open_helper(liar(cases[i].way), 1);
        double seconds = strstr(cases[i].says, "0.2 s") ? 0.2 : 20;
        for (int k = 0; k < 2; k++) { /* and again: nothing of the first stays */
            CHECK_THAT(ask(m, "html", "x", seconds, NULL, &r, &err) == cases[i].status, "%s: got %s: %s", cases[i].way,
                       ilk_status_string(err.status), err.message);
            CHECK_THAT(strstr(err.message, cases[i].says) != NULL, "%s: no \"%s\" in \"%s\"", cases[i].way,
                       cases[i].says, err.message);
            CHECK(r.data == NULL);
        }
        ilki_media_free(m);
        CHECK_INT(signal_children(0), 0);
    }
}

/* An answer of a form that was not asked for is no picture. */
static void another_form(void)
{
    ilk_error err;
    ilki_media_picture p;
    ilki_media_small small;
    ilk_error_init(&err);
    if (!top)
        top = tree_new();
    ilki_media *m = open_helper(liar("good"), 1);
    static const unsigned ways[] = {0, ILKI_MEDIA_TURNED, ILKI_MEDIA_AS_STORED, ILKI_MEDIA_WITH_FIELDS};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        CHECK_STATUS(ilki_media_read_picture(m, "x", 1, ways[i], NULL, &p, &err), ILK_BAD_FORMAT, &err);
        CHECK_THAT(strstr(err.message, "expected one picture, found form 1") != NULL, "%s", err.message);
        CHECK(p.pixels == NULL && p.fields == NULL);
    }
    CHECK_STATUS(ilki_media_make_small(m, "x", 1, 64, true, NULL, &small, &err), ILK_BAD_FORMAT, &err);
    CHECK_THAT(strstr(err.message, "expected a small JPEG, found form 1") != NULL, "%s", err.message);
    ilki_media_free(m);
}

/* What dies of old age costs nobody: the file goes to a fresh one. */
static void tired(void)
{
    ilk_error err;
    ilki_media_result r;
    ilk_error_init(&err);
    if (!top)
        top = tree_new();
    ilki_media *m = open_helper(liar("tired"), 1);
    for (int i = 0; i < 7; i++) {
        if (CHECK_OK(ask(m, "html", "x", 20, NULL, &r, &err), &err))
            CHECK_STR((const char *)r.data, "good");
        free(r.data);
    }
    ilki_media_free(m);
    CHECK_INT(signal_children(0), 0);
}

static void absent(void)
{
    ilk_error err;
    ilki_media_result r;
    ilk_error_init(&err);
    ilki_media *m = open_helper("/nowhere/ilk-media", 1);
    CHECK_STATUS(ask(m, "html", "x", 1, NULL, &r, &err), ILK_IO, &err);
    ilki_media_free(m);
}

static ilk_status ask_in_vain(void *arg, ilk_job *job, ilk_error *err)
{
    ilki_media_result r;
    ilk_status st = ask(arg, "html", "x", 30, job, &r, err);
    CHECK_INT(signal_children(0), 0);
    return st;
}

static void cancel(void)
{
    if (!top)
        top = tree_new();
    static const char *const ways[] = {"hang", "mute"};
    for (int i = 0; i < 2; i++) {
        ilki_media *m = open_helper(liar(ways[i]), 1);
        cancel_in_time(
            &(cancelled){.what = ways[i], .kind = CANCEL_WAIT, .after_ms = 100, .run = ask_in_vain, .arg = m});
        ilki_media_free(m);
    }
}

/* ---- the real one */

static ilki_media *real_helper(uint32_t max_processes)
{
    ilk_error err;
    const ilki_media_hello *h;
    ilk_error_init(&err);
    ilki_media *m = open_helper(ILK_TEST_MEDIA, max_processes);
    if (ilki_media_hello_of(m, NULL, &h, &err) == ILK_OK)
        return m;
    printf("%s\n", err.message);
    ilki_media_free(m);
    return NULL;
}

static void greets(void)
{
    ilk_error err;
    ilki_media_result r;
    const ilki_media_hello *h = NULL;
    ilk_error_init(&err);
    ilki_media *m = real_helper(1);
    if (!m)
        TEST_SKIP("ilk-media does not run here, for the reason above");
    CHECK_OK(ilki_media_hello_of(m, NULL, &h, &err), &err);
    CHECK(h->n_rows >= 2);
    CHECK_STATUS(ilki_media_check(m, "no such", NULL, &err), ILK_UNSUPPORTED, &err);
    CHECK_STATUS(ask(m, "no such", "x", 20, NULL, &r, &err), ILK_UNSUPPORTED, &err);
    CHECK_STR(err.message, "no reader \"no such\" in this build");
    CHECK_INT(signal_children(0), 1); /* it lives on */
    ilki_buf ops;
    ilki_base_buf_init(&ops, 4096);
    ilki_media_add_text(&ops, 1 << 20);
    CHECK_STATUS(ilki_media_run(m, "x", 1, &ops, 20, NULL, &r, &err), ILK_BAD_FORMAT, &err);
    ilki_base_buf_reset(&ops);
    CHECK_STATUS(ilki_media_run(m, "x", 1, &ops, 20, NULL, &r, &err), ILK_BAD_FORMAT, &err);
    ilki_media_add_op(&ops, (ilki_media_op)77, NULL, 0);
    CHECK_STATUS(ilki_media_run(m, "x", 1, &ops, 20, NULL, &r, &err), ILK_BAD_FORMAT, &err);
    ilki_base_buf_deinit(&ops);
    ilki_media_free(m);
    CHECK_INT(signal_children(0), 0);
}

/* What a picture of boxes wants ends the only helper, which has no heavy decoders, and its successor reads everything. */
static void heavy(void)
{
    static const char boxes[] = "\0\0\0\x14"
                                "ftypnone\0\0\0\0none";
    ilk_error err;
    ilki_media_result r;
    ilki_media_process *p = NULL;
    pid_t light = 0;
    ilk_error_init(&err);
    if (!top)
        top = tree_new();
    ilki_media *m = open_helper(ILK_TEST_MEDIA, 1);
    if (ilki_media_check(m, "jpeg", NULL, &err) == ILK_IO)
        TEST_SKIP("ilk-media does not run here, for the reason above");
    for (int k = 0; k < 2; k++) {
        if (CHECK_OK(ilki_media_take(m, false, NULL, &p, &err), &err)) {
            CHECK(p->heavy == (k == 1) && (p->pid == light) == 0);
            light = p->pid;
            ilki_media_give(m, p);
        }
        ilki_buf ops;
        ilki_base_buf_init(&ops, 4096);
        ilki_media_add_open(&ops, "");
        CHECK_STATUS(ilki_media_run(m, boxes, sizeof boxes - 1, &ops, 20, NULL, &r, &err), ILK_UNSUPPORTED, &err);
        CHECK_STR(err.message, "no reader knows it");
        ilki_base_buf_deinit(&ops);
        CHECK_INT(signal_children(0), 1);
    }
    CHECK_STATUS(ask(m, "no such", "x", 20, NULL, &r, &err), ILK_UNSUPPORTED, &err);
    if (CHECK_OK(ilki_media_take(m, false, NULL, &p, &err), &err)) {
        CHECK(p->heavy && p->pid == light);
        ilki_media_give(m, p);
    }
    ilki_media_free(m);
    CHECK_INT(signal_children(0), 0);
}

/* A copy of the helper that looks for libheif under a name which nothing has; NULL: the helper does not load it. */
static const char *bereft(void)
{
    static const char name[] = "libheif.so";
    const char *path = tree_path(top, "ilk-media-bereft");
    char *data = NULL, *at = NULL;
    size_t n = 0;
    ilk_error err;
    ilk_error_init(&err);
    TREE_NEED(ilki_base_read_file(&ilki_base_vfs_posix, ILK_TEST_MEDIA, 1 << 28, &data, &n, &err) == ILK_OK);
    if ((at = memmem(data, n, name, sizeof name - 1)) != NULL) {
        memcpy(at, "libnone.so", sizeof name - 1);
        FILE *to = fopen(path, "wbe");
        TREE_NEED(to && fwrite(data, 1, n, to) == n && fclose(to) == 0 && chmod(path, 0700) == 0);
    }
    free(data);
    return at ? path : NULL;
}

/* A library that is not there when the helper starts is named, and the others are loaded. */
static void without_library(void)
{
    const char *reads, *lacks;
    const ilki_media_hello *h;
    ilk_error err;
    ilk_error_init(&err);
    if (!top)
        top = tree_new();
    const char *path = bereft();
    if (!path)
        TEST_SKIP("this build has no libheif");
    ilki_media *whole = open_helper(ILK_TEST_MEDIA, 1), *m = open_helper(path, 1);
    CHECK_OK(ilki_media_check(whole, "heif", NULL, &err), &err);
    CHECK_STATUS(ilki_media_check(m, "heif", NULL, &err), ILK_UNSUPPORTED, &err);
    CHECK_STR(err.message, "not supported by this build: heif: no libheif");
    CHECK(ilki_media_check(m, "avif", NULL, NULL) == ilki_media_check(whole, "avif", NULL, NULL));
    CHECK_OK(ilki_media_hello_of(m, NULL, &h, &err), &err);
    ilki_media_list(m, &reads, &lacks);
    CHECK(strstr(lacks, "heif (libheif)") && !strstr(reads, "heif"));
    ilki_media_free(m);
    ilki_media_free(whole);
}

typedef struct crowd {
    ilki_media *m;
    atomic_int n_ok;
} crowd;

static void *ask_often(void *arg)
{
    crowd *c = arg;
    for (int i = 0; i < 5; i++) {
        ilki_media_result r;
        ilk_error err;
        ilk_error_init(&err);
        if (ask(c->m, "html", "x", 20, NULL, &r, &err) == ILK_OK)
            c->n_ok += r.about.n_bytes == 4;
        free(r.data);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t t[6];
    if (!top)
        top = tree_new();
    crowd c = {.m = open_helper(liar("good"), 2)};
    for (int i = 0; i < 6; i++)
        REQUIRE(CHECK(pthread_create(&t[i], NULL, ask_often, &c) == 0));
    for (int i = 0; i < 6; i++)
        pthread_join(t[i], NULL);
    CHECK_INT(c.n_ok, 30);
    CHECK(signal_children(0) <= 2);
    ilki_media_free(c.m);
    CHECK_INT(signal_children(0), 0);
}

/* In a forked child the helpers stay the parent's. */
static void forked(void)
{
    ilk_error err;
    ilki_media_result r;
    ilk_error_init(&err);
    if (!top)
        top = tree_new();
    ilki_media *m = open_helper(liar("good"), 1);
    CHECK_OK(ask(m, "html", "x", 20, NULL, &r, &err), &err);
    free(r.data);
    pid_t pid = fork();
    if (pid == 0) {
        ilki_media_free(m);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_OK(ask(m, "html", "x", 20, NULL, &r, &err), &err);
    free(r.data);
    CHECK_INT(signal_children(0), 1);
    ilki_media_free(m);
}

/* Everything that a decoder may not do, tried from inside. */
static void sandbox(void)
{
    static const struct {
        const char *what;
        int signal;
    } trials[] = {{"open", 0},      {"write", 0},     {"socket", SIGSYS}, {"fork", SIGSYS},
                  {"exec", SIGSYS}, {"kill", SIGSYS}, {"code", 0},        {"memory", 0},
                  {"cpu", SIGXCPU}, {"thread", 0},    {"foreign", SIGSYS}};
    if (system(ILK_TEST_MEDIA " try open >/dev/null 2>&1") == 3 << 8)
        TEST_SKIP("no seccomp here, or a build with a sanitizer");
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl(ILK_TEST_MEDIA, "ilk-media", "try", trials[i].what, (char *)NULL);
            _exit(9);
        }
        int status = -1;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (trials[i].signal)
            CHECK_THAT(WIFSIGNALED(status) && (WTERMSIG(status) == trials[i].signal || WTERMSIG(status) == SIGKILL),
                       "try %s: status %#x, want signal %d", trials[i].what, (unsigned)status, trials[i].signal);
        else
            CHECK_THAT(status == 0, "try %s: status %#x, want 0", trials[i].what, (unsigned)status);
    }
}

#ifdef __linux__
/* Runs the trial where the system refuses filters, as some containers' do. */
static int try_without_seccomp(void)
{
    struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
                                 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
            execl(ILK_TEST_MEDIA, "ilk-media", "try", "open", (char *)NULL);
        _exit(9);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void refused_sandbox(void)
{
    int got = try_without_seccomp();
    if (got == 9)
        TEST_SKIP("no seccomp to begin with");
    CHECK_INT(got, 3);
}
#else
static void refused_sandbox(void)
{
    TEST_SKIP("no seccomp on this system");
}
#endif

static void end(void)
{
    CHECK_INT(signal_children(0), 0);
    if (top)
        tree_free(top);
}

TEST_MAIN({"lies", lies}, {"another_form", another_form}, {"tired", tired}, {"absent", absent}, {"cancel", cancel},
          {"greets", greets}, {"heavy", heavy}, {"without_library", without_library}, {"threads", threads},
          {"forked", forked}, {"sandbox", sandbox}, {"refused_sandbox", refused_sandbox}, {"end", end})
