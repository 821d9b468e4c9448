/* SPDX-License-Identifier: Apache-2.0
 * The hub's lists when memory is short, and its cache when the disk refuses: each allocation, each operation on files
 * fails once. A ref is never there before its snapshot is whole, and the next attempt makes everything good. */
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_count.h"
#include "net/hub_cache.h"
#include "test.h"
#include "tree.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define BLOB   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const char list[] = "{\"sha\":\"" COMMIT "\",\"cardData\":{\"license\":\"mit\",\"language\":[\"en\",\"de\"]},"
                           "\"siblings\":[{\"rfilename\":\"config.json\",\"size\":1,\"blobId\":\"" BLOB "1\"},"
                           "{\"rfilename\":\"model.safetensors.index.json\",\"size\":1,\"blobId\":\"" BLOB "2\"},"
                           "{\"rfilename\":\"a.safetensors\",\"size\":1,\"blobId\":\"" BLOB "3\"},"
                           "{\"rfilename\":\"1_Pooling/config.json\",\"size\":1,\"blobId\":\"" BLOB "4\"}]}";
static const char modules[] = "[{\"path\":\"\"},{\"path\":\"1_Pooling\"}]";
static const char shards[] = "{\"weight_map\":{\"t\":\"a.safetensors\"}}";

static ilk_status folder(void *user, const char *dir, ilk_error *err)
{
    (void)err;
    ilki_net_hub_choose(user, dir, NULL);
    return ILK_OK;
}

static ilk_status read_all(ilki_hub_model **m, ilk_error *err)
{
    const char *index = NULL;
    ilk_status st = ilki_net_hub_parse(m, list, sizeof list - 1, "org/model", err);
    if (st != ILK_OK)
        return st;
    ilki_net_hub_choose(*m, "", &index);
    st = ilki_net_hub_choose_shards(*m, index, shards, sizeof shards - 1, err);
    return st == ILK_OK ? ilki_net_hub_modules(modules, sizeof modules - 1, folder, *m, err) : st;
}

static void memory(void)
{
    bool failed = true;
    for (uint64_t n = 1; failed && n < 200; n++) {
        ilki_hub_model *m = NULL;
        ilk_error err;
        ilk_error_init(&err);
        alloc_fail_at(n, false);
        ilk_status st = read_all(&m, &err);
        failed = alloc_fail_off();
        CHECK_STATUS(st, failed ? ILK_NO_MEMORY : ILK_OK, &err);
        ilki_net_hub_free(m);
    }
    CHECK(!failed);
}

/* ---- a disk that refuses the n-th operation */

static uint64_t fail_at, n_calls;

static bool refuses(ilk_error *err)
{
    if (++n_calls != fail_at)
        return false;
    ilki_base_fail(err, ILK_IO, "the disk refuses");
    return true;
}

static ilk_status do_open(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err)
{
    *out = NULL;
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.open(v, out, path, flags, err);
}

static ilk_status do_write(ilki_file *f, uint64_t at, const void *from, size_t n, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.write(f, at, from, n, err);
}

static ilk_status do_truncate(ilki_file *f, uint64_t size, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.truncate(f, size, err);
}

static ilk_status do_sync(ilki_file *f, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.sync(f, err);
}

static ilk_status do_make_dir(const ilki_vfs *v, const char *dir, uint32_t mode, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.make_dir(v, dir, mode, err);
}

static ilk_status do_rename(const ilki_vfs *v, const char *from, const char *to, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.rename(v, from, to, err);
}

static ilk_status do_unlink(const ilki_vfs *v, const char *path, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.unlink(v, path, err);
}

static ilk_status do_sync_dir(const ilki_vfs *v, const char *dir, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.sync_dir(v, dir, err);
}

static ilk_status do_make_link(const ilki_vfs *v, const char *target, const char *path, ilk_error *err)
{
    return refuses(err) ? ILK_IO : ilki_base_vfs_posix.make_link(v, target, path, err);
}

static ilki_vfs refusing(void)
{
    ilki_vfs v = ilki_base_vfs_posix;
    v.open = do_open;
    v.write = do_write;
    v.truncate = do_truncate;
    v.sync = do_sync;
    v.make_dir = do_make_dir;
    v.rename = do_rename;
    v.unlink = do_unlink;
    v.sync_dir = do_sync_dir;
    v.make_link = do_make_link;
    return v;
}

static bool is_whole(const char *repo)
{
    static const char *const names[] = {"config.json", "model.safetensors.index.json", "a.safetensors",
                                        "1_Pooling/config.json"};
    struct stat s;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (stat(tree_path(repo, "snapshots/" COMMIT "/%s", names[i]), &s) != 0 || s.st_size != 1)
            return false;
    }
    return true;
}

static void make_blobs(const char *repo)
{
    for (int i = 1; i <= 4; i++)
        if (access(tree_path(repo, "blobs"), F_OK) == 0)
            tree_put(tree_path(repo, "blobs/" BLOB "%d", i), "x");
}

static ilk_status show(const char *repo, size_t n_hub, const ilki_vfs *v, ilk_error *err)
{
    ilk_runtime rt = {.vfs = v};
    ilki_hub_cache c;
    ilki_hub_model *m = NULL;
    ilk_status st = read_all(&m, err);
    if (st == ILK_OK)
        st = ilki_net_cache_init(&c, &rt, repo, n_hub, err);
    if (st == ILK_OK) {
        st = ilki_net_cache_prepare(&c, 0, err);
        make_blobs(repo);
        if (st == ILK_OK)
            st = ilki_net_cache_publish(&c, m, "refs/pr/1", err);
        ilki_net_cache_deinit(&c);
    }
    ilki_net_hub_free(m);
    return st;
}

static void disk(void)
{
    const ilki_vfs v = refusing();
    bool refused = true;
    uint64_t n_refused = 0, n_passed_over = 0;
    for (uint64_t n = 1; refused && n < 200; n++) {
        char *hub = tree_new(), repo[4200];
        struct stat s;
        ilk_error err;
        ilk_error_init(&err);
        snprintf(repo, sizeof repo, "%s/models--org--model", hub);
        fail_at = n;
        n_calls = 0;
        ilk_status st = show(repo, strlen(hub), &v, &err);
        refused = n_calls >= n;
        n_refused += refused;
        bool ref = stat(tree_path(repo, "refs/refs/pr/1"), &s) == 0;
        n_passed_over += refused && st == ILK_OK; /* an old ref that cannot be read is written anew */
        CHECK_THAT(st == ILK_OK ? ref : refused && st == ILK_IO, "operation %d: %s", (int)n, err.message);
        CHECK_THAT(!ref || is_whole(repo), "operation %d: a ref without its snapshot", (int)n);
        CHECK_THAT(access(tree_path(repo, "snapshots/" COMMIT), F_OK) != 0 || is_whole(repo),
                   "operation %d: a snapshot that is not whole", (int)n);
        fail_at = 0;
        CHECK_OK(show(repo, strlen(hub), &v, &err), &err);
        CHECK(is_whole(repo) && stat(tree_path(repo, "refs/refs/pr/1"), &s) == 0 && s.st_size == 40);
        tree_free(hub);
    }
    CHECK(!refused && n_refused > 15 && n_passed_over == 1);
}

static ilk_status do_free_bytes(const ilki_vfs *v, const char *dir, uint64_t *n, ilk_error *err)
{
    (void)v, (void)dir, (void)err;
    *n = (uint64_t)100 << 20;
    return ILK_OK;
}

/* 64 MiB are left free. */
static void room(void)
{
    ilki_vfs v = ilki_base_vfs_posix;
    char *hub = tree_new();
    ilk_runtime rt = {.vfs = &v};
    ilki_hub_cache c;
    ilk_error err;
    ilk_error_init(&err);
    v.free_bytes = do_free_bytes;
    if (CHECK_OK(ilki_net_cache_init(&c, &rt, tree_path(hub, "models--a--b"), strlen(hub), &err), &err)) {
        CHECK_OK(ilki_net_cache_prepare(&c, 36 << 20, &err), &err);
        CHECK_STATUS(ilki_net_cache_prepare(&c, (36 << 20) + 1, &err), ILK_LIMIT, &err);
        CHECK(strstr(err.message, "37.7 MB are to be fetched, and 104.9 MB are free") != NULL);
        CHECK_STR(c.locks, tree_path(hub, ".locks/models--a--b"));
        ilki_net_cache_deinit(&c);
    }
    tree_free(hub);
}

TEST_MAIN({"room", room}, {"memory", memory}, {"disk", disk})
