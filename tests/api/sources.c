/* SPDX-License-Identifier: Apache-2.0
 * ilk_store_list_sources through the public header; the paths and states it tells are seen by tests/cli. */
#include <unistd.h>

#include "test.h"

typedef struct seen {
    unsigned n, most;
    char path[256];
    ilk_source_state state;
} seen;

static int see(void *user, const ilk_source *src)
{
    seen *s = user;
    snprintf(s->path, sizeof s->path, "%s", src->path);
    s->state = src->state;
    return ++s->n < s->most;
}

static void lists(void)
{
    char dir[] = "/tmp/ilk-sources-XXXXXX", path[128];
    ilk_error err;
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    ilk_store *s = NULL;
    ilk_error_init(&err);
    REQUIRE(CHECK(mkdtemp(dir) != NULL));
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%c.txt", dir, "abc"[i]);
        FILE *f = fopen(path, "w");
        REQUIRE(CHECK(f != NULL));
        fputs(i < 2 ? "hello world" : "", f);
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/.ilk", dir);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    REQUIRE(CHECK_OK(ilk_model_open(&m, rt, ILK_TEST_DIR "/fixtures/bert-mean", NULL, &err), &err));
    REQUIRE(CHECK_OK(ilk_store_open(&s, rt, path, NULL, &err), &err));
    seen all = {.most = 100}, one = {.most = 1};
    CHECK_OK(ilk_store_list_sources(s, see, &all, &err), &err);
    CHECK_INT(all.n, 0);
    const char *paths[] = {dir};
    CHECK_OK(ilk_ingest(s, &m, 1, paths, 1, NULL, NULL, NULL, &err), &err);
    CHECK_OK(ilk_store_list_sources(s, see, &all, &err), &err);
    CHECK_INT(all.n, 3);
    CHECK_STR(all.path, "c.txt");
    CHECK_INT(all.state, ILK_SOURCE_SKIPPED);
    CHECK_OK(ilk_store_list_sources(s, see, &one, &err), &err);
    CHECK_INT(one.n, 1);
    CHECK_STR(one.path, "a.txt");
    CHECK_INT(one.state, ILK_SOURCE_INDEXED);
    CHECK_STATUS(ilk_store_list_sources(s, NULL, NULL, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilk_store_list_sources(NULL, see, &all, NULL), ILK_BAD_ARGUMENT, NULL);
    ilk_store_close(s);
    ilk_model_close(m);
    ilk_runtime_close(rt);
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK_INT(system(command), 0);
}

TEST_MAIN({"lists", lists})
