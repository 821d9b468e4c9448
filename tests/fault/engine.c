/* SPDX-License-Identifier: Apache-2.0
 * Every allocation of the engine's calls fails once: the call says NO_MEMORY or gets by, nothing leaks or crashes, and
 * the same call succeeds afterwards with the right answer. */
#include "alloc_count.h"
#include "engine/ignore.h"
#include "engine/walk.h"
#include "folder.h"

typedef struct seen {
    size_t n;
} seen;

static ilk_status count_entry(void *user, const ilki_walk_entry *e, ilk_error *err)
{
    (void)err;
    ((seen *)user)->n += e->status == ILK_OK;
    return ILK_OK;
}

static void walk_and_rules(void)
{
    char *d = tree_new();
    tree_put(tree_path(d, ".git/info/exclude"), "*.o\n");
    tree_put(tree_path(d, ".gitignore"), "*.tmp\n[a-c]*x/**/y\n");
    tree_put(tree_path(d, "a/b/c.txt"), "");
    tree_put(tree_path(d, "a/x.tmp"), "");
    TREE_NEED(symlink("/usr/include/sys", tree_path(d, "link")) == 0);
    const char *exclude[] = {"*.h"};
    ilki_walk_options opt = {.exclude = exclude, .n_exclude = 1};
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        seen s = {0};
        ilk_error err;
        ilk_error_init(&err);
        alloc_fail_at(n, false);
        ilk_status st = ilki_engine_walk(&ilki_base_vfs_posix, d, &opt, count_entry, &s, &err);
        failed = alloc_fail_off();
        CHECK_THAT(st == ILK_NO_MEMORY || st == ILK_OK, "allocation %llu: %s", (unsigned long long)n, err.message);
        CHECK(failed || (st == ILK_OK && s.n >= 1));
    }
    CHECK(n > 20);
    tree_free(d);
}

/* One allocation of each call fails; the next call finds everything as it should be. */
static void ingest(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is lovely.\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    uint64_t n = 1, step = 1;
    for (bool failed = true; failed; n += step, step = n / 40 + 1) {
        char text[64];
        snprintf(text, sizeof text, "# Deep\n\nlearning %llu in the market\n", (unsigned long long)n);
        tree_put(tree_path(f.dir, "b.md"), text);
        alloc_fail_at(n, false);
        ilk_status st = folder_ingest(&f, f.dir, NULL);
        failed = alloc_fail_off();
        CHECK_THAT(st == ILK_NO_MEMORY || st == ILK_OK, "allocation %llu: %s: %s", (unsigned long long)n,
                   ilk_status_string(st), f.err.message);
        if (!CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err))
            break;
        uint64_t count = 0;
        CHECK_OK(ilk_store_count(f.s, NULL, &count, &f.err), &f.err);
        CHECK_INT(count, 4);
        CHECK_INT(f.result.n_failed, 0);
        ilk_hits *h = folder_search(&f, "The red bicycle is lovely.", 1);
        CHECK_STR(folder_hit(h, 0).path, "a.txt");
        ilk_hits_free(h);
    }
    CHECK_THAT(n > 100, "%llu", (unsigned long long)n);
end:
    folder_close(&f);
}

static void questions(void)
{
    folder f;
    if (!folder_open(&f, "bert-mean"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "The red bicycle is lovely.\n");
    tree_put(tree_path(f.dir, "b.txt"), "seven dogs\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        ilk_hits *h = NULL, *g = NULL, *p = NULL;
        const char *id = "nothing";
        if (n % 8 == 1 && !folder_open_store(&f, tree_path(f.dir, ".ilk"))) /* codes are made again */
            break;
        alloc_fail_at(n, false);
        ilk_status a = ilk_similar(f.s, "a.txt", NULL, NULL, &h, &f.err);
        ilk_status b = ilk_store_get(f.s, &id, 1, &g, NULL);
        ilk_status c = ilk_store_scan(f.s, NULL, NULL, 10, &p, NULL);
        failed = alloc_fail_off();
        CHECK_THAT((a == ILK_OK || a == ILK_NO_MEMORY) && (b == ILK_OK || b == ILK_NO_MEMORY) &&
                       (c == ILK_OK || c == ILK_NO_MEMORY),
                   "allocation %llu: %d %d %d %s", (unsigned long long)n, a, b, c, f.err.message);
        CHECK((a == ILK_OK) == (h != NULL) && (b == ILK_OK) == (g != NULL) && (c == ILK_OK) == (p != NULL));
        if (h)
            CHECK_STR(folder_hit(h, 0).path, "b.txt");
        ilk_hits_free(h);
        ilk_hits_free(g);
        ilk_hits_free(p);
    }
    CHECK(n > 50);
end:
    folder_close(&f);
}

/* A text as if it were a picture: the space then has two kinds. */
static void put_picture(folder *f)
{
    float v[20];
    ilk_item item;
    ilk_vector vector;
    ilk_field field;
    CHECK_OK(ilk_embed_text(f->m, "a cat", ILK_ROLE_NONE, v, 20, &f->err), &f->err);
    ilk_vector_init(&vector);
    vector.data = v;
    vector.rows = 1;
    vector.dim = 20;
    ilk_field_init(&field);
    field.name = "modality";
    field.value.type = ILK_VALUE_TEXT;
    field.value.text = "image";
    field.value.n_bytes = 5;
    ilk_item_init(&item);
    item.id = "p";
    item.fields = &field;
    item.n_fields = 1;
    item.vectors = &vector;
    item.n_vectors = 1;
    ilk_space space;
    ilk_space_init(&space);
    CHECK_OK(ilk_store_get_space(f->s, 0, &space, &f->err), &f->err);
    vector.space = space.name;
    CHECK_OK(ilk_store_upsert(f->s, &item, 1, NULL, &f->err), &f->err);
}

/* Terms, two lists that are merged, several queries in one walk, a document. */
static void terms_and_documents(void)
{
    folder f;
    float axes[3][20] = {{1}, {0, 1}, {0, 0, 1}}, weights[2] = {1, -0.5f};
    ilk_query q[3];
    ilk_part parts[2];
    ilk_input terms[2];
    ilk_question question;
    if (!folder_open(&f, "clip-quick"))
        goto end;
    tree_put(tree_path(f.dir, "a.txt"), "a red bicycle\n");
    tree_put(tree_path(f.dir, "b.txt"), "a dog\n");
    CHECK_OK(folder_ingest(&f, f.dir, NULL), &f.err);
    put_picture(&f);
    for (size_t i = 0; i < 2; i++) {
        ilk_part_init(&parts[i]);
        ilk_input_init(&terms[i]);
        parts[i].kind = ILK_PART_TEXT;
        parts[i].data = i ? "a dog" : "a red bicycle";
        parts[i].n_bytes = strlen(parts[i].data);
        terms[i].parts = &parts[i];
        terms[i].n_parts = 1;
    }
    ilk_question_init(&question);
    question.terms = terms;
    question.n_terms = 2;
    question.weights = weights;
    for (size_t i = 0; i < 3; i++) {
        ilk_query_init(&q[i]);
        q[i].vector.data = axes[i];
        q[i].vector.rows = 1;
        q[i].vector.dim = 20;
    }
    uint64_t n = 1;
    for (bool failed = true; failed; n++) {
        ilk_hits *h = NULL, *g = NULL;
        ilk_document *d = NULL;
        if (n % 16 == 1 && !folder_open_store(&f, tree_path(f.dir, ".ilk"))) /* nothing is kept from before */
            break;
        alloc_fail_at(n, false);
        ilk_status a = ilk_ask(f.s, &f.m, 1, &question, NULL, NULL, &h, &f.err);
        ilk_status b = ilk_store_search(f.s, q, 3, NULL, &g, NULL);
        ilk_status c = ilk_document_open(&d, f.rt, f.m, tree_path(f.dir, "a.txt"), NULL, NULL, NULL);
        failed = alloc_fail_off();
        CHECK_THAT((a == ILK_OK || a == ILK_NO_MEMORY) && (b == ILK_OK || b == ILK_NO_MEMORY) &&
                       (c == ILK_OK || c == ILK_NO_MEMORY),
                   "allocation %llu: %d %d %d %s", (unsigned long long)n, a, b, c, f.err.message);
        CHECK((a == ILK_OK) == (h != NULL) && (b == ILK_OK) == (g != NULL) && (c == ILK_OK) == (d != NULL));
        if (h) {
            CHECK_STR(folder_hit(h, 0).path, "a.txt");
            CHECK_INT(ilk_hits_get_count(h, 0), 3);
        }
        CHECK(!g || ilk_hits_get_count(g, 2) == 3);
        ilk_hits_free(h);
        ilk_hits_free(g);
        ilk_document_close(d);
    }
    CHECK(n > 80);
end:
    folder_close(&f);
}

TEST_MAIN({"walk_and_rules", walk_and_rules}, {"ingest", ingest}, {"questions", questions},
          {"terms_and_documents", terms_and_documents})
