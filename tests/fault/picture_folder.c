/* SPDX-License-Identifier: Apache-2.0
 * A folder of pictures while the helpers that decode it die, and while memory is short: the call says so or gets by, costs
 * no picture that is sound, and the next run makes the store whole. */
#include "alloc_count.h"
#include "children.h"
#include "folder.h"

enum { N_PICTURES = 120 };

static void put_picture(const char *dir, const char *fixture, const char *name, int mark)
{
    char data[1 << 16];
    FILE *f = fopen(tree_path(ILK_TEST_DIR, "fixtures/picture-files/%s", fixture), "rb");
    TREE_NEED(f);
    size_t n = fread(data, 1, sizeof data - 16, f);
    fclose(f);
    n += (size_t)snprintf(data + n, 16, "%d", mark); /* behind the end: the same picture, another file */
    tree_write(tree_path(dir, "%s", name), data, n);
}

typedef struct killer {
    folder *f;
    int n_killed, n_told;
} killer;

static void kill_now_and_then(void *user, const ilk_event *e)
{
    killer *k = user;
    folder_tell(k->f, e);
    if (k->n_told++ % 40 == 0)
        k->n_killed += signal_children(SIGKILL);
}

/* A helper that had served others is not its next picture's fault: it goes to a fresh one. */
static void helpers_die(void)
{
    folder f;
    if (!folder_open(&f, "clip-quick"))
        goto end;
    killer k = {.f = &f};
    for (int i = 0; i < N_PICTURES; i++) {
        char name[32];
        snprintf(name, sizeof name, "%03d.jpg", i);
        put_picture(f.dir, "jpeg-420.jpg", name, i);
    }
    put_picture(f.dir, "jpeg-truncated.jpg", "broken.jpg", 0);
    ilk_ingest_options o = folder_options(&f);
    o.event = kill_now_and_then;
    o.event_user = &k;
    CHECK_OK(folder_ingest(&f, f.dir, &o), &f.err);
    CHECK(k.n_killed > 0);
    CHECK_INT(f.result.n_pictures, N_PICTURES);
    CHECK_INT(f.result.n_failed, 1);
end:
    folder_close(&f);
}

/* The n-th allocation of an ingest fails, for each n in steps. */
static void memory_is_short(void)
{
    folder f;
    if (!folder_open(&f, "clip-quick"))
        goto end;
    bool failed = true;
    uint64_t n = 1;
    for (; failed && n < 5000; n += 1 + n / 16) {
        char name[32];
        snprintf(name, sizeof name, "%d.jpg", (int)n);
        put_picture(f.dir, "jpeg-exif6.jpg", name, (int)n); /* something to do each time */
        tree_put(tree_path(f.dir, "%d.txt", (int)n), "the dogs at the river\n");
        const char *dir = f.dir;
        alloc_fail_at(n, false);
        ilk_status st = ilk_ingest(f.s, &f.m, 1, &dir, 1, NULL, NULL, &f.result, &f.err);
        failed = alloc_fail_off();
        CHECK_THAT(st == ILK_OK || (failed && (st == ILK_NO_MEMORY || st == ILK_IO)), "allocation %d: %d: %s", (int)n,
                   (int)st, f.err.message);
        if (st == ILK_IO && !folder_open_store(&f, tree_path(f.dir, ".ilk"))) /* the log's: to be opened again */
            goto end;
    }
    CHECK_THAT(n > 100, "expected many allocations, found %d", (int)n);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(f.result.n_failed, 0);
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    CHECK_INT(f.result.n_unchanged, f.result.n_files);
end:
    folder_close(&f);
}

TEST_MAIN({"helpers_die", helpers_die}, {"memory_is_short", memory_is_short})
