/* SPDX-License-Identifier: Apache-2.0
 * The sources of a store in memory: what was written is found by path, by content and by id, moved and minted, beside a
 * plain list that is searched from end to end. */
#include "engine/known_files.h"

#include "store_test.h"
#include "tree.h"

enum { N = 900, CONTENTS = 200, MOST_BYTES = 320 };

typedef struct plain {
    char root[16], path[40], id[24];
    ilki_source src;
} plain;

static plain all[N];

static void fill(uint64_t *rng)
{
    static const char *const roots[] = {"", "/", "/b"};
    for (size_t i = 0; i < N; i++) {
        plain *p = &all[i];
        snprintf(p->root, sizeof p->root, "%s", roots[test_random(rng) % 3]);
        snprintf(p->path, sizeof p->path, "%s%zu.jpg", i % 2 ? "x/" : "", i);
        snprintf(p->id, sizeof p->id, "%016llx", (unsigned long long)test_random(rng));
        p->src = (ilki_source){.id = p->id, .path = p->path, .root = p->root, .dev = i, .ino = 3 * i, .n_bytes = 7 + i};
        p->src.mtime_ns = (int64_t)i * 1000;
        p->src.n_items = (uint32_t)i % 5;
        memset(p->src.content_hash, (int)(test_random(rng) % CONTENTS), 32);
        memset(p->src.settings_hash, (int)(i % 3), 32);
        p->src.state = (ilki_source_state)(1 + i % 4);
        p->src.reason = p->src.state == ILKI_SOURCE_SKIPPED ? "because" : NULL;
    }
}

static ilk_status write_all(const char *dir, ilki_store **s, ilk_error *err)
{
    const ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix};
    ilki_source *list = calloc(N, sizeof *list);
    ilk_status st = ilki_store_open(s, dir, &opt, err);
    for (size_t i = 0; i < N; i++)
        list[i] = all[i].src;
    if (!st)
        st = ilki_store_write(*s, &(ilki_batch){.sources = list, .n_sources = N}, NULL, NULL, err);
    free(list);
    return st;
}

static void check_same(const ilki_source *found, const ilki_source *want)
{
    CHECK_STR(found->id, want->id);
    CHECK_STR(found->path, want->path);
    CHECK_STR(found->root, want->root);
    CHECK(found->dev == want->dev && found->ino == want->ino && found->n_bytes == want->n_bytes);
    CHECK(found->mtime_ns == want->mtime_ns && found->n_items == want->n_items && found->state == want->state);
    CHECK_MEM(found->content_hash, want->content_hash, 32);
    CHECK_MEM(found->settings_hash, want->settings_hash, 32);
    CHECK((found->reason == NULL) == (want->reason == NULL));
    if (found->reason && want->reason)
        CHECK_STR(found->reason, want->reason);
}

/* Each by its path, but for those that are GONE. */
static void check_paths(const ilki_known_files *k)
{
    for (size_t i = 0; i < N; i++) {
        const ilki_known *e = ilki_engine_known_find(k, all[i].root, all[i].path);
        CHECK_THAT((e == NULL) == (all[i].src.state == ILKI_SOURCE_GONE), "source %zu: found %d", i, e != NULL);
        if (e) {
            ilki_source src = ilki_engine_known_source(k, e);
            check_same(&src, &all[i].src);
        }
    }
    CHECK(!ilki_engine_known_find(k, "", "no such"));
}

static void check_contents(const ilki_known_files *k)
{
    for (int c = 0; c < CONTENTS; c++) {
        uint8_t hash[32];
        size_t found = 0, want = 0;
        memset(hash, c, 32);
        for (size_t i = 0; i < N; i++)
            want += all[i].src.state == ILKI_SOURCE_INDEXED && memcmp(all[i].src.content_hash, hash, 32) == 0;
        for (ilki_known *e = ilki_engine_known_by_hash(k, hash); e; e = ilki_engine_known_next(k, e))
            found += memcmp(e->content_hash, hash, 32) == 0;
        CHECK_THAT(found == want, "content %d: expected %zu, found %zu", c, want, found);
    }
}

/* Every third that stands somewhere gets another path. */
static void move_some(ilki_known_files *k, ilk_error *err)
{
    for (size_t i = 0; i < N; i += 3) {
        ilki_known *e = ilki_engine_known_find(k, all[i].root, all[i].path);
        plain old = all[i];
        if (!e)
            continue;
        snprintf(all[i].path, sizeof all[i].path, "elsewhere/%zu.jpg", i);
        CHECK_OK(ilki_engine_known_move(k, e, all[i].root, all[i].path, err), err);
        all[i].src.reason = NULL;
        CHECK(e->seen && !ilki_engine_known_find(k, old.root, old.path));
    }
}

/* Found under its path at once, with an id that nobody has but the same file before it was GONE. */
static void add_some(ilki_known_files *k, ilk_error *err)
{
    ilki_known *e, *again;
    CHECK_OK(ilki_engine_known_add(k, "", "new.jpg", &e, err), err);
    CHECK(ilki_engine_known_find(k, "", "new.jpg") == e && e->state == 0 && e->seen);
    ilki_source src = ilki_engine_known_source(k, e);
    CHECK_INT(strlen(src.id), 16);
    CHECK_OK(ilki_engine_known_add(k, "", "new.jpg", &again, err),
             err); /* that id is taken by who still stands there */
    CHECK(strcmp(ilki_engine_known_source(k, again).id, src.id) != 0);
    src.state = ILKI_SOURCE_GONE;
    src.n_items = 4;
    ilki_engine_known_keep(k, e, &src);
    CHECK_INT(ilki_engine_known_source(k, e).n_items, 4);
    CHECK_OK(ilki_engine_known_add(k, "", "new.jpg", &again, err), err);
    CHECK_STR(ilki_engine_known_source(k, again).id, src.id);
}

static void found(void)
{
    ilki_known_files k = {0};
    ilki_store *s = NULL;
    uint64_t rng = 7;
    ilk_error err;
    ilk_error_init(&err);
    char *dir = tree_new();
    fill(&rng);
    CHECK(!ilki_engine_known_find(&k, "", "a") && !ilki_engine_known_by_hash(&k, all[0].src.content_hash));
    if (CHECK_OK(write_all(tree_path(dir, "s"), &s, &err), &err) &&
        CHECK_OK(ilki_engine_known_load(&k, s, &err), &err)) {
        CHECK_INT(k.n, N);
        size_t tables = (k.by_path.cap + k.by_hash.cap + k.by_id.cap) * 8 + k.cap * sizeof *k.list;
        CHECK_THAT((k.arena.total_bytes + tables) / N < MOST_BYTES, "%zu bytes a file",
                   (k.arena.total_bytes + tables) / N);
        check_paths(&k);
        check_contents(&k);
        move_some(&k, &err);
        check_paths(&k);
        add_some(&k, &err);
        check_paths(&k);
    }
    ilki_engine_known_deinit(&k);
    ilki_store_close(s);
    tree_free(dir);
}

TEST_MAIN({"found", found})
