/* SPDX-License-Identifier: Apache-2.0
 * ilk_pull_* and ilk_model_pull without a hub: arguments, environment, and a job that ends the wait for a server that says
 * nothing. A whole hub: tests/cli/cases_pull.py. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cancel.h"
#include "test.h"

static ilk_runtime *rt;
static ilk_error err;

static bool begin(void)
{
    ilk_error_init(&err);
    setenv("HF_HUB_CACHE", "/nonexistent/ilk", 1);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    unsetenv("HF_HUB_OFFLINE");
    return CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err);
}

static void arguments(void)
{
    ilk_pull *p = (ilk_pull *)&err;
    ilk_pull_options o;
    ilk_pull_info i;
    ilk_pull_file f;
    REQUIRE(begin());
    ilk_pull_options_init(&o);
    ilk_pull_info_init(&i);
    ilk_pull_file_init(&f);
    CHECK_STATUS(ilk_pull_open(NULL, rt, "org/model", NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_pull_open(&p, NULL, "org/model", NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(p == NULL);
    CHECK_STATUS(ilk_pull_open(&p, rt, NULL, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_pull_open(&p, rt, "../up", NULL, NULL, &err), ILK_NOT_FOUND, &err);
    CHECK_STATUS(ilk_pull_open(&p, rt, "", NULL, NULL, &err), ILK_NOT_FOUND, &err);
    o.revision = "v1";
    CHECK_STATUS(ilk_pull_open(&p, rt, "org/model@v2", &o, NULL, &err), ILK_BAD_ARGUMENT, &err);
    o.revision = "a//b";
    CHECK_STATUS(ilk_pull_open(&p, rt, "org/model", &o, NULL, &err), ILK_BAD_ARGUMENT, &err);
    o.size = 1;
    CHECK_STATUS(ilk_model_pull(rt, "org/model", &o, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_pull_get_info(NULL, &i, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_pull_get_file(NULL, 0, &f, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_pull_run(NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    ilk_pull_close(NULL);
    ilk_runtime_close(rt);
}

static void environment(void)
{
    REQUIRE(begin());
    setenv("HF_HUB_OFFLINE", "yes", 1);
    CHECK_STATUS(ilk_model_pull(rt, "org/model", NULL, NULL, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "HF_HUB_OFFLINE") != NULL);
    unsetenv("HF_HUB_OFFLINE");
    setenv("HF_ENDPOINT", "file:///etc", 1);
    CHECK_STATUS(ilk_model_pull(rt, "org/model", NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    ilk_runtime_close(rt);
}

/* A socket whose connections are never answered. */
static int silence(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 8) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        return -1;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(a.sin_port));
    setenv("HF_ENDPOINT", url, 1);
    return fd;
}

static ilk_status pull_in_silence(void *arg, ilk_job *job, ilk_error *err_)
{
    (void)arg;
    ilk_status st = ilk_model_pull(rt, "org/model", NULL, job, err_);
    if (st == ILK_CANCELLED) /* and at once, with the same job */
        CHECK_STATUS(ilk_model_pull(rt, "org/model", NULL, job, &err), ILK_CANCELLED, &err);
    return st;
}

static void jobs(void)
{
    ilk_job_options o;
    REQUIRE(begin());
    int fd = silence();
    if (ilk_network_version(&err) == NULL)
        TEST_SKIP("%s", err.message);
    REQUIRE(CHECK(fd >= 0));
    ilk_job_options_init(&o);
    o.deadline_seconds = 0.15;
    ilk_job *job = ilk_job_new(&o);
    CHECK_STATUS(ilk_model_pull(rt, "org/model", NULL, job, &err), ILK_DEADLINE, &err);
    ilk_job_free(job);
    cancel_in_time(&(cancelled){
        .what = "a server that says nothing", .kind = CANCEL_WAIT, .after_ms = 150, .run = pull_in_silence});
    close(fd);
    ilk_runtime_close(rt);
}

TEST_MAIN({"arguments", arguments}, {"environment", environment}, {"jobs", jobs})
