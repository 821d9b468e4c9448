/* SPDX-License-Identifier: Apache-2.0
 * The store's contract. Most tests run twice: with the tail applied at once and with nothing applied before close, and
 * every answer must be the same. */
#include "store/store.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_test.h"
#include "tree.h"

typedef struct rig {
    char *root;
    char dir[4096];
    ilki_store *s;
    ilki_store_open_options opt;
    ilk_error err;
} rig;

static void rig_new(rig *r)
{
    memset(r, 0, sizeof *r);
    ilk_error_init(&r->err);
    r->root = tree_new();
    snprintf(r->dir, sizeof r->dir, "%s/a/store", r->root);
    r->opt.vfs = &ilki_base_vfs_posix;
    REQUIRE(CHECK_OK(ilki_store_open(&r->s, r->dir, &r->opt, &r->err), &r->err));
    ilk_space sp = st_space("v", ILK_DENSE, ST_DIM);
    ilki_batch b = {.spaces = &sp, .n_spaces = 1};
    CHECK_OK(ilki_store_write(r->s, &b, NULL, NULL, &r->err), &r->err);
}

static void rig_free(rig *r)
{
    ilki_store_close(r->s);
    tree_free(r->root);
}

static void reopen(rig *r)
{
    ilki_store_close(r->s);
    CHECK_OK(ilki_store_open(&r->s, r->dir, &r->opt, &r->err), &r->err);
}

/* A check applies nothing, so `rounds` of the tests reopen in between where they want the tables to have it all. */
static uint64_t put(rig *r, const char *id, const char *parent, uint64_t version)
{
    st_batch b = {0};
    uint64_t lsn = 0;
    st_put(&b, id, parent, version);
    ilki_batch args = st_args(&b);
    CHECK_OK(ilki_store_write(r->s, &args, NULL, &lsn, &r->err), &r->err);
    return lsn;
}

static void delete (rig *r, const char *id)
{
    st_batch b = {0};
    st_delete(&b, id);
    ilki_batch args = st_args(&b);
    CHECK_OK(ilki_store_write(r->s, &args, NULL, NULL, &r->err), &r->err);
}

typedef struct ids {
    char text[4096];
    size_t n, stop;
} ids;

static bool add_id(void *user, uint64_t lsn, const char *id, const char *parent)
{
    ids *x = user;
    size_t len = strlen(x->text);
    (void)lsn;
    snprintf(x->text + len, sizeof x->text - len, "%s%s%s ", id, parent ? "<" : "", parent ? parent : "");
    return ++x->n != x->stop;
}

static void check_ids(rig *r, const ilk_filter *f, const char *after, size_t stop, const char *want)
{
    ids x = {.stop = stop};
    CHECK_OK(ilki_store_scan(r->s, f, after, add_id, &x, &r->err), &r->err);
    CHECK_STR(x.text, want);
}

static void put_get_delete(void)
{
    for (int applied = 0; applied < 2; applied++) {
        rig r;
        rig_new(&r);
        put(&r, "b", NULL, 1);
        put(&r, "a", "b", 2);
        uint64_t lsn = put(&r, "c", NULL, 3);
        if (applied)
            reopen(&r);
        CHECK_INT(st_get(r.s, "a"), 2);
        CHECK_INT(st_get(r.s, "b"), 1);
        CHECK_INT(st_get(r.s, "c"), 3);
        CHECK_INT(st_get(r.s, "d"), -1);
        put(&r, "c", NULL, 4);
        CHECK_INT(st_get(r.s, "c"), 4);
        ilki_record *rec;
        CHECK_STATUS(ilki_store_get_lsn(r.s, lsn, true, &rec, &r.err), ILK_NOT_FOUND, &r.err);
        CHECK_OK(ilki_store_get_lsn(r.s, lsn + 1, false, &rec, &r.err), &r.err);
        CHECK(rec && rec->lsn == lsn + 1 && rec->item.n_vectors == 0 && rec->source.id == NULL);
        CHECK_STR(rec ? rec->item.id : NULL, "c");
        ilki_store_record_free(rec);
        delete (&r, "b"); /* and its part */
        check_ids(&r, NULL, NULL, 0, "c ");
        CHECK_INT(st_get(r.s, "a"), -1);
        delete (&r, "nothing");
        reopen(&r);
        check_ids(&r, NULL, NULL, 0, "c ");
        CHECK_INT(st_get(r.s, "b"), -1);
        put(&r, "b", NULL, 9);
        CHECK_INT(st_get(r.s, "b"), 9);
        CHECK_OK(ilki_store_check(r.s, false, NULL, NULL, NULL, &r.err), &r.err);
        rig_free(&r);
    }
}

static void batch_is_deletes_then_items(void)
{
    rig r;
    st_batch b = {0};
    rig_new(&r);
    put(&r, "x", NULL, 1);
    put(&r, "x#0", "x", 1);
    put(&r, "x#0#0", "x#0", 1);
    st_delete(&b, "x");
    st_put(&b, "x", NULL, 2);
    st_put(&b, "y", NULL, 1);
    st_put(&b, "y", NULL, 2);
    st_put(&b, "y", NULL, 3); /* the last of equal ids wins */
    ilki_batch args = st_args(&b);
    uint64_t lsn, n;
    CHECK_OK(ilki_store_write(r.s, &args, NULL, &lsn, &r.err), &r.err);
    CHECK_INT(lsn, 4 + 3 + 2); /* three deletes, since parts of parts are parts, and two items */
    check_ids(&r, NULL, NULL, 0, "x y ");
    CHECK_INT(st_get(r.s, "x"), 2);
    CHECK_INT(st_get(r.s, "y"), 3);
    CHECK_OK(ilki_store_count(r.s, NULL, &n, &r.err), &r.err);
    CHECK_INT(n, 2);
    args = (ilki_batch){0};
    CHECK_OK(ilki_store_write(r.s, &args, NULL, &lsn, &r.err), &r.err);
    CHECK_INT(lsn, 9);
    reopen(&r);
    check_ids(&r, NULL, NULL, 0, "x y ");
    CHECK_INT(st_get(r.s, "y"), 3);
    CHECK_OK(ilki_store_check(r.s, false, NULL, NULL, NULL, &r.err), &r.err);
    rig_free(&r);
}

static void scan_pages_and_filters(void)
{
    for (int applied = 0; applied < 3; applied++) {
        rig r;
        char id[16];
        rig_new(&r);
        for (int i = 0; i < 1500; i += 50) {
            st_batch b = {0};
            for (int k = i; k < i + 50; k++) {
                snprintf(id, sizeof id, "i%04d", k * 7 % 1500);
                st_put(&b, id, NULL, (uint64_t)(k * 7 % 1500));
            }
            ilki_batch args = st_args(&b);
            CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
            if (applied == 2 && i == 700)
                reopen(&r); /* half in the tables, half in the tail */
        }
        if (applied == 1)
            reopen(&r);
        ids x = {0};
        CHECK_OK(ilki_store_scan(r.s, NULL, NULL, add_id, &x, &r.err), &r.err);
        CHECK_INT(x.n, 1500);
        check_ids(&r, NULL, "i1496", 0, "i1497 i1498 i1499 ");
        check_ids(&r, NULL, "i0300", 2, "i0301 i0302 ");
        ilk_value v = st_int(1497);
        ilk_filter f[2] = {st_filter(ILK_FILTER_GE, "n", &v), st_filter(ILK_FILTER_EQ, "even", NULL)};
        ilk_value yes = st_int(1);
        yes.type = ILK_VALUE_BOOL;
        f[1].values = &yes;
        f[1].n_values = 1;
        ilk_filter both = {.size = sizeof both, .op = ILK_FILTER_AND, .children = f, .n_children = 2};
        check_ids(&r, &f[0], NULL, 0, "i1497 i1498 i1499 ");
        check_ids(&r, &both, NULL, 0, "i1498 ");
        uint64_t n, *lsns;
        size_t k;
        CHECK_OK(ilki_store_count(r.s, &f[1], &n, &r.err), &r.err);
        CHECK_INT(n, 750);
        CHECK_OK(ilki_store_select(r.s, &f[1], &lsns, &k, &r.err), &r.err);
        CHECK_INT(k, 750);
        for (size_t i = 1; i < k; i++)
            if (lsns[i] <= lsns[i - 1])
                CHECK_INT(i, -1);
        free(lsns);
        rig_free(&r);
    }
}

static bool call_back(void *user, uint64_t lsn, const char *id, const char *parent)
{
    rig *r = user;
    uint64_t n;
    (void)lsn;
    (void)parent;
    CHECK(st_get(r->s, id) >= 0);
    CHECK_OK(ilki_store_count(r->s, NULL, &n, &r->err), &r->err);
    put(r, id, NULL, 100);
    return true;
}

/* No lock and no connection is held while a caller's function runs. */
static void callback_may_call_back(void)
{
    rig r;
    rig_new(&r);
    for (uint64_t i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "i%llu", (unsigned long long)i);
        put(&r, id, NULL, i);
    }
    CHECK_OK(ilki_store_scan(r.s, NULL, NULL, call_back, &r, &r.err), &r.err);
    CHECK_INT(st_get(r.s, "i19"), 100);
    rig_free(&r);
}

/* ---- vectors and spaces */

static void vectors_of_every_kind(void)
{
    rig r;
    rig_new(&r);
    ilk_space sp[3] = {st_space("d2", ILK_DENSE, 2), st_space("m", ILK_MULTI, 3), st_space("s", ILK_SPARSE, 100)};
    static const float d[2] = {1, 2}, m[6] = {1, 2, 3, 4, 5, 6}, w[2] = {0.5F, 2};
    static const uint32_t ix[2] = {0, 99};
    ilk_vector v[3] = {
        {sizeof v[0], "d2", d, NULL, 1, 2}, {sizeof v[0], "m", m, NULL, 2, 3}, {sizeof v[0], "s", w, ix, 1, 2}};
    ilk_item item = {.size = sizeof item, .id = "x", .vectors = v, .n_vectors = 3};
    item.segment = st_no_segment();
    ilki_batch b = {.spaces = sp, .n_spaces = 3, .items = &item, .n_items = 1};
    uint64_t lsn;
    CHECK_OK(ilki_store_write(r.s, &b, NULL, &lsn, &r.err), &r.err);
    for (int i = 0; i < 2; i++) {
        ilki_record *rec = NULL;
        CHECK_OK(ilki_store_get(r.s, "x", true, &rec, &r.err), &r.err);
        REQUIRE(CHECK(rec != NULL && rec->item.n_vectors == 3));
        CHECK_MEM(rec->item.vectors[0].data, d, sizeof d);
        CHECK_MEM(rec->item.vectors[1].data, m, sizeof m);
        CHECK_MEM(rec->item.vectors[2].data, w, sizeof w);
        CHECK_MEM(rec->item.vectors[2].indices, ix, sizeof ix);
        CHECK_STR(rec->item.vectors[1].space, "m");
        ilki_store_record_free(rec);
        float got[2];
        CHECK_OK(ilki_store_get_dense(r.s, lsn, "d2", got, 2, &r.err), &r.err);
        CHECK_MEM(got, d, sizeof d);
        CHECK_STATUS(ilki_store_get_dense(r.s, lsn, "v", got, 2, &r.err), ILK_NOT_FOUND, &r.err);
        CHECK_STATUS(ilki_store_get_dense(r.s, lsn, "no", got, 2, &r.err), ILK_NOT_FOUND, &r.err);
        CHECK_STATUS(ilki_store_get_dense(r.s, lsn, "d2", got, 3, &r.err), ILK_MISMATCH, &r.err);
        CHECK_STATUS(ilki_store_get_dense(r.s, lsn, "m", got, 3, &r.err), ILK_MISMATCH, &r.err);
        CHECK_STATUS(ilki_store_get_dense(r.s, lsn + 1, "d2", got, 2, &r.err), ILK_NOT_FOUND, &r.err);
        CHECK_STATUS(ilki_store_get_dense(r.s, 0, "d2", got, 2, &r.err), ILK_NOT_FOUND, &r.err);
        reopen(&r);
    }
    rig_free(&r);
}

static void spaces_are_compared(void)
{
    rig r;
    rig_new(&r);
    ilk_space a = st_space("t", ILK_DENSE, 4), b;
    a.fingerprint = "ab";
    a.model = "org/m";
    a.pooling = "mean";
    a.prompt[0] = "query: ";
    ilki_batch batch = {.spaces = &a, .n_spaces = 1};
    CHECK_OK(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), &r.err);
    CHECK_OK(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), &r.err);
    batch.spaces = &b;
    static const char *const words[] = {"kind",
                                        "dimension",
                                        "metric",
                                        "normalisation",
                                        "layer",
                                        "fingerprint",
                                        "pooling",
                                        "query prompt",
                                        "document prompt",
                                        "precision",
                                        "tokenizer",
                                        "query adapter",
                                        "document projection"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        b = a;
        switch (i) {
        case 0:
            b.kind = ILK_MULTI;
            break;
        case 1:
            b.dim = 5;
            break;
        case 2:
            b.metric = ILK_DOT;
            break;
        case 3:
            b.normalized = 1;
            break;
        case 4:
            b.layer = 3;
            break;
        case 5:
            b.fingerprint = "ac";
            break;
        case 6:
            b.pooling = NULL;
            break;
        case 7:
            b.prompt[0] = "";
            break;
        case 8:
            b.prompt[1] = "p";
            break;
        case 9:
            b.precision = "f32";
            break;
        case 10:
            b.tokenizer = "literal";
            break;
        case 11:
            b.adapter[0] = "x";
            break;
        default:
            b.projection[1] = "y";
        }
        CHECK_STATUS(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), ILK_MISMATCH, &r.err);
        CHECK_THAT(strstr(r.err.message, words[i]) != NULL, "%s: %s", words[i], r.err.message);
    }
    b = a;
    b.model = "./a/folder"; /* a name alone makes no other space where the fingerprint is known */
    CHECK_OK(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), &r.err);
    const ilk_space *got;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(ilki_store_space(r.s, 0, &got, &r.err), &r.err);
        CHECK_STR(got->name, "v");
        CHECK_OK(ilki_store_space(r.s, 1, &got, &r.err), &r.err);
        CHECK_STR(got->prompt[0], "query: ");
        CHECK_STR(got->model, "org/m");
        CHECK_STATUS(ilki_store_space(r.s, 2, &got, &r.err), ILK_NOT_FOUND, &r.err);
        reopen(&r);
    }
    rig_free(&r);
}

/* ---- refusals: nothing is written, and the message names the item */

static char longest[520], long_name[80]; /* of 513 and 65 bytes: one too many */

static void bad_id(ilk_item *item, int i)
{
    const char *const bad[] = {NULL, "", longest, "\xff"};
    item->id = bad[i];
}

static ilk_status bad_field(ilk_item *item, st_slot *s, int i)
{
    ilk_field *f = &s->fields[0];
    const char *const names[] = {"1st", long_name, "text"}; /* the last occurs twice */
    if (i < 3) {
        f->name = names[i];
    } else if (i == 3) {
        f->value = st_text("\xc3");
    } else if (i == 4) {
        f->value.type = (ilk_value_type)99;
    } else if (i == 5) {
        f->value = st_real((double)NAN);
        return ILK_NOT_FINITE;
    } else {
        item->n_fields = 5000;
        return ILK_LIMIT;
    }
    return ILK_BAD_ARGUMENT;
}

static ilk_status bad_vector(st_slot *s, int i)
{
    static const float nan_v[ST_DIM] = {1, 2, 3, 4, 5, 6, 7, NAN}, inf_v[ST_DIM] = {INFINITY};
    static const float *const data[] = {nan_v, inf_v, NULL};
    if (i < 3) {
        s->vector.data = data[i];
        return i < 2 ? ILK_NOT_FINITE : ILK_BAD_ARGUMENT;
    }
    s->vector.space = i == 3 ? "other" : "v";
    s->vector.dim = i == 4 ? ST_DIM - 1 : ST_DIM;
    s->vector.rows = i == 5 ? 2 : 1;
    return ILK_MISMATCH;
}

static void bad_arguments(void)
{
    rig r;
    st_batch b = {0};
    rig_new(&r);
    put(&r, "ok", NULL, 1);
    ilk_store_info before, after;
    CHECK_OK(ilki_store_info(r.s, &before, &r.err), &r.err);
    memset(longest, 'x', 513);
    memset(long_name, 'n', 65);
    for (int i = 0; i < 19; i++) {
        ilk_status want = ILK_BAD_ARGUMENT;
        b.n = 0;
        st_put(&b, "fine", NULL, 1);
        st_put(&b, "culprit", NULL, 1);
        if (i < 4)
            bad_id(&b.items[1], i);
        else if (i < 6)
            b.items[1].parent = i == 4 ? "" : "culprit";
        else
            want = i < 13 ? bad_field(&b.items[1], &b.slots[1], i - 6) : bad_vector(&b.slots[1], i - 13);
        ilki_batch args = st_args(&b);
        CHECK_STATUS(ilki_store_write(r.s, &args, NULL, NULL, &r.err), want, &r.err);
        if (i > 4)
            CHECK_THAT(strstr(r.err.message, "culprit") != NULL, "%d: %s", i, r.err.message);
    }
    longest[512] = '\0';
    b.n = 0;
    st_put(&b, "x", NULL, 1);
    b.items[0].id = longest;
    ilki_batch args = st_args(&b);
    CHECK_OK(ilki_store_info(r.s, &after, &r.err), &r.err);
    CHECK_INT(after.log_bytes, before.log_bytes);
    CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
    char want_ids[600];
    snprintf(want_ids, sizeof want_ids, "%s ", longest);
    check_ids(&r, NULL, "p", 0, want_ids);
    rig_free(&r);
}

/* ---- sources and metadata */

typedef struct found {
    char text[512];
    size_t n;
} found;

static bool add_source(void *user, const ilki_source *src)
{
    found *x = user;
    size_t len = strlen(x->text);
    snprintf(x->text + len, sizeof x->text - len, "%s=%s/%s:%d%s%s ", src->id, src->root, src->path, (int)src->state,
             src->reason ? "," : "", src->reason ? src->reason : "");
    x->n++;
    return true;
}

static void write_source(rig *r, const char *id, const char *path, int state, uint8_t hash)
{
    ilki_source src = {.id = id, .path = path, .root = "", .state = (ilki_source_state)state, .n_items = 2, .ino = 7};
    src.reason = state == ILKI_SOURCE_FAILED ? "unreadable" : NULL;
    src.content_hash[0] = hash;
    ilki_batch b = {.sources = &src, .n_sources = 1};
    CHECK_OK(ilki_store_write(r->s, &b, NULL, NULL, &r->err), &r->err);
}

static void sources_are_found(void)
{
    for (int applied = 0; applied < 2; applied++) {
        rig r;
        rig_new(&r);
        write_source(&r, "f1", "b.txt", ILKI_SOURCE_INDEXED, 1);
        write_source(&r, "f2", "a\xff.txt", ILKI_SOURCE_FAILED, 2);
        write_source(&r, "f3", "c.txt", ILKI_SOURCE_INDEXED, 3);
        put(&r, "f1#0", "f1", 1);
        put(&r, "f3", NULL, 1);
        put(&r, "f9#0", "f9", 1);
        if (applied)
            reopen(&r);
        write_source(&r, "f3", "c.txt", ILKI_SOURCE_GONE, 3);
        write_source(&r, "f1", "moved.txt", ILKI_SOURCE_INDEXED, 1);
        for (int i = 0; i < 2; i++) {
            found x = {0};
            CHECK_OK(ilki_store_sources(r.s, add_source, &x, &r.err), &r.err);
            CHECK_STR(x.text, "f2=/a\xff.txt:3,unreadable f3=/c.txt:4 f1=/moved.txt:1 ");
            x = (found){0};
            CHECK_OK(ilki_store_source_by_path(r.s, "", "moved.txt", add_source, &x, &r.err), &r.err);
            CHECK_STR(x.text, "f1=/moved.txt:1 ");
            CHECK_STATUS(ilki_store_source_by_path(r.s, "", "b.txt", add_source, &x, &r.err), ILK_NOT_FOUND, &r.err);
            CHECK_STATUS(ilki_store_source_by_path(r.s, "", "c.txt", add_source, &x, &r.err), ILK_NOT_FOUND, &r.err);
            CHECK_STATUS(ilki_store_source_by_path(r.s, "/r", "moved.txt", add_source, &x, &r.err), ILK_NOT_FOUND,
                         &r.err);
            uint8_t hash[32] = {1};
            x = (found){0};
            CHECK_OK(ilki_store_source_by_hash(r.s, hash, add_source, &x, &r.err), &r.err);
            CHECK_STR(x.text, "f1=/moved.txt:1 ");
            hash[0] = 3; /* gone */
            CHECK_STATUS(ilki_store_source_by_hash(r.s, hash, add_source, &x, &r.err), ILK_NOT_FOUND, &r.err);
            x = (found){0};
            CHECK_OK(ilki_store_source_by_id(r.s, "f3", add_source, &x, &r.err), &r.err);
            CHECK_STR(x.text, "f3=/c.txt:4 ");
            static const char *const items[] = {"f1#0", "f3", "f9#0"}, *const paths[] = {"moved.txt", "c.txt", NULL};
            for (int k = 0; k < 3; k++) {
                ilki_record *rec = NULL;
                CHECK_OK(ilki_store_get(r.s, items[k], false, &rec, &r.err), &r.err);
                CHECK_STR(rec ? rec->source.path : "", paths[k]);
                ilki_store_record_free(rec);
            }
            ilk_store_info info;
            CHECK_OK(ilki_store_info(r.s, &info, &r.err), &r.err);
            CHECK_INT(info.n_sources, 2);
            reopen(&r);
        }
        rig_free(&r);
    }
}

/* More sources than a lookup walks through: they are applied first. */
static void many_sources(void)
{
    rig r;
    char id[16];
    rig_new(&r);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "f%d", i);
        write_source(&r, id, id, ILKI_SOURCE_INDEXED, (uint8_t)i);
        found x = {0};
        CHECK_OK(ilki_store_source_by_path(r.s, NULL, id, add_source, &x, &r.err), &r.err);
        CHECK_INT(x.n, 1);
    }
    rig_free(&r);
}

static void metadata(void)
{
    rig r;
    char *value;
    rig_new(&r);
    const char *const a[] = {"k", "1", "other", "x", "gone", "y"}, *const b[] = {"k", "2", "gone", NULL};
    ilki_batch batch = {.meta = a, .n_meta = 3};
    CHECK_OK(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), &r.err);
    for (int i = 0; i < 3; i++) {
        if (i == 1)
            reopen(&r);
        if (i == 1) {
            batch = (ilki_batch){.meta = b, .n_meta = 2};
            CHECK_OK(ilki_store_write(r.s, &batch, NULL, NULL, &r.err), &r.err);
        }
        if (i == 2)
            reopen(&r);
        CHECK_OK(ilki_store_meta(r.s, "k", &value, &r.err), &r.err);
        CHECK_STR(value, i ? "2" : "1");
        free(value);
        CHECK_OK(ilki_store_meta(r.s, "gone", &value, &r.err), &r.err);
        CHECK_STR(value, i ? NULL : "y");
        free(value);
        CHECK_OK(ilki_store_meta(r.s, "never", &value, &r.err), &r.err);
        CHECK_STR(value, NULL);
    }
    rig_free(&r);
}

/* ---- changes: replaying them over what was known at `since` gives what is there now */

typedef struct mirror {
    uint64_t lsn[40];
    int64_t version[40];
    size_t n, n_calls;
    uint64_t at;
    bool bad;
} mirror;

static bool take_change(void *user, const ilki_change *c)
{
    mirror *m = user;
    size_t i = (size_t)atoi(c->id + 1);
    float v[ST_DIM];
    char text[ST_TEXT];
    m->n_calls++;
    m->bad |= i >= 40 || m->lsn[i] != c->old || (c->lsn && c->lsn <= m->at);
    m->lsn[i] = c->lsn;
    m->bad |= (c->vector != NULL) != (c->lsn != 0);
    if (c->vector) {
        bool seen = false;
        for (int64_t version = 0; version < 400 && !seen; version++) {
            st_content(c->id, (uint64_t)version, v, text);
            seen = memcmp(v, c->vector->data, sizeof v) == 0;
            m->version[i] = version;
        }
        m->bad |= !seen;
    }
    return true;
}

static void changes_catch_up(void)
{
    for (uint64_t seed = 1; seed < 6; seed++) {
        rig r;
        uint64_t rng = seed, upto = 0;
        int64_t truth[40];
        mirror m = {0};
        rig_new(&r);
        memset(truth, 0xff, sizeof truth);
        for (int step = 0; step < 60; step++) {
            st_batch b = {0};
            int64_t next[40];
            memcpy(next, truth, sizeof next);
            bool used[40] = {0};
            for (uint64_t k = test_random(&rng) % 5; k-- > 0;) {
                char id[8];
                size_t i = test_random(&rng) % 40;
                if (used[i])
                    continue;
                used[i] = true;
                snprintf(id, sizeof id, "i%zu", i);
                if (test_random(&rng) % 3 == 0) {
                    st_delete(&b, id);
                    next[i] = -1;
                } else {
                    next[i] = (int64_t)(test_random(&rng) % 400);
                    st_put(&b, id, NULL, (uint64_t)next[i]);
                }
            }
            ilki_batch args = st_args(&b);
            CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
            memcpy(truth, next, sizeof truth);
            if (test_random(&rng) % 7 == 0)
                reopen(&r);
            if (test_random(&rng) % 4 == 0 || step == 59) {
                m.at = upto;
                CHECK_OK(ilki_store_changes(r.s, upto, "v", take_change, &m, &upto, &r.err), &r.err);
                for (size_t i = 0; i < 40; i++) {
                    char id[8];
                    snprintf(id, sizeof id, "i%zu", i);
                    CHECK_INT(m.lsn[i] ? m.version[i] : -1, truth[i]);
                    CHECK_INT(st_get(r.s, id), truth[i]);
                }
                CHECK(!m.bad);
            }
        }
        mirror all = {0};
        CHECK_OK(ilki_store_changes(r.s, 0, "v", take_change, &all, NULL, &r.err), &r.err);
        CHECK_MEM(all.lsn, m.lsn, sizeof m.lsn);
        CHECK_STATUS(ilki_store_changes(r.s, upto + 1, "v", take_change, &m, NULL, &r.err), ILK_MISMATCH, &r.err);
        CHECK_OK(ilki_store_check(r.s, false, NULL, NULL, NULL, &r.err), &r.err);
        rig_free(&r);
    }
}

/* ---- readers, locks, places */

static void readers_follow(void)
{
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        rig r;
        rig_new(&r);
        put(&r, "a", NULL, 1);
        reopen(&r);
        put(&r, "b", NULL, 1);
        char *db = strdup(tree_path(r.dir, "derived/meta.db"));
        if (in_memory)
            CHECK(rename(db, tree_path(r.dir, "derived/hidden")) == 0);
        ilki_store *reader;
        ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix, .read_only = true};
        REQUIRE(CHECK_OK(ilki_store_open(&reader, r.dir, &opt, &r.err), &r.err));
        if (in_memory)
            CHECK(rename(tree_path(r.dir, "derived/hidden"), db) == 0);
        CHECK_INT(st_get(reader, "a"), 1);
        CHECK_INT(st_get(reader, "b"), 1);
        st_batch b = {0};
        st_delete(&b, "a");
        st_put(&b, "b", NULL, 2);
        st_put(&b, "c", "b", 5);
        ilki_batch args = st_args(&b);
        CHECK_STATUS(ilki_store_write(reader, &args, NULL, NULL, &r.err), ILK_UNSUPPORTED, &r.err);
        CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
        CHECK_INT(st_get(reader, "c"), -1);
        CHECK_OK(ilki_store_refresh(reader, &r.err), &r.err);
        CHECK_INT(st_get(reader, "a"), -1);
        CHECK_INT(st_get(reader, "b"), 2);
        CHECK_INT(st_get(reader, "c"), 5);
        ilk_space sp = st_space("later", ILK_DENSE, 2);
        args = (ilki_batch){.spaces = &sp, .n_spaces = 1};
        CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
        for (uint64_t i = 10; i < 14; i++)
            put(&r, "d", NULL, i);
        reopen(&r); /* all applied; the reader has seen none of it in the log */
        CHECK_INT(st_get(reader, "d"), in_memory ? -1 : 13); /* the writer's tables have overtaken its tail */
        CHECK_OK(ilki_store_refresh(reader, &r.err), &r.err);
        CHECK_INT(st_get(reader, "d"), 13);
        put(&r, "d", NULL, 14);
        CHECK_OK(ilki_store_refresh(reader, &r.err), &r.err);
        CHECK_INT(st_get(reader, "d"), 14); /* in the reader's tail now */
        st_batch two = {0};
        st_put(&two, "c", "b", 15);
        st_put(&two, "d", NULL, 15);
        args = st_args(&two);
        CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
        reopen(&r);
        CHECK_INT(st_get(reader, "c"), in_memory ? 5 : 15);
        CHECK_INT(st_get(reader, "d"), in_memory ? 14 : 15); /* not 14 with the other 15 */
        CHECK_OK(ilki_store_refresh(reader, &r.err), &r.err);
        CHECK_INT(st_get(reader, "d"), 15);
        const ilk_space *got;
        CHECK_OK(ilki_store_space(reader, 1, &got, &r.err), &r.err);
        uint64_t n;
        CHECK_OK(ilki_store_count(reader, NULL, &n, &r.err), &r.err);
        CHECK_INT(n, 3);
        CHECK_OK(ilki_store_check(reader, false, NULL, NULL, NULL, &r.err), &r.err);
        ilk_store_info info;
        CHECK_OK(ilki_store_info(reader, &info, &r.err), &r.err);
        CHECK(info.read_only && info.n_items == 3 && info.n_vectors == 3 && info.n_deleted == 8);
        ilki_store_close(reader);
        free(db);
        rig_free(&r);
    }
}

/* A reader keeps its answers while the writer throws the tables away and makes new ones. */
static void reader_survives_rebuild(void)
{
    rig r;
    rig_new(&r);
    put(&r, "a", NULL, 1);
    reopen(&r);
    ilki_store *reader;
    ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix, .read_only = true};
    REQUIRE(CHECK_OK(ilki_store_open(&reader, r.dir, &opt, &r.err), &r.err));
    ilki_store_close(r.s);
    tree_free(strdup(tree_path(r.dir, "derived")));
    REQUIRE(CHECK_OK(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), &r.err));
    CHECK_INT(st_get(r.s, "a"), 1);
    put(&r, "b", NULL, 2);
    reopen(&r);
    CHECK_INT(st_get(reader, "a"), 1);
    CHECK_OK(ilki_store_refresh(reader, &r.err), &r.err);
    CHECK_INT(st_get(reader, "a"), 1);
    CHECK_INT(st_get(reader, "b"), 2);
    ilki_store_close(reader);
    rig_free(&r);
}

static void one_writer(void)
{
    rig r;
    ilki_store *second;
    rig_new(&r);
    CHECK_STATUS(ilki_store_open(&second, r.dir, &r.opt, &r.err), ILK_BUSY, &r.err);
    CHECK(second == NULL && strstr(r.err.message, "store/lock") != NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ilk_status st = ilki_store_open(&second, r.dir, &r.opt, NULL);
        ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix, .read_only = true};
        bool reads = ilki_store_open(&second, r.dir, &opt, NULL) == ILK_OK;
        ilki_store_close(second);
        _exit(st == ILK_BUSY && reads ? 0 : 1);
    }
    int status = 1;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    put(&r, "still", NULL, 1);
    CHECK_INT(st_get(r.s, "still"), 1);
    rig_free(&r);
}

static void where_a_store_may_be(void)
{
    rig r;
    ilki_store *s;
    rig_new(&r);
    struct stat st;
    CHECK(stat(r.dir, &st) == 0 && (st.st_mode & 0777) == 0700);
    char *text;
    size_t n;
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(r.dir, ".gitignore"), 100, &text, &n, &r.err), &r.err);
    CHECK_STR(text, "*\n");
    free(text);
    ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix, .no_create = true};
    CHECK_STATUS(ilki_store_open(&s, tree_path(r.root, "none"), &opt, &r.err), ILK_NOT_FOUND, &r.err);
    opt.no_create = false;
    opt.read_only = true;
    CHECK_STATUS(ilki_store_open(&s, tree_path(r.root, "none"), &opt, &r.err), ILK_NOT_FOUND, &r.err);
    CHECK(stat(tree_path(r.root, "none"), &st) != 0);
    tree_put(tree_path(r.root, "full/thing.txt"), "x");
    CHECK_STATUS(ilki_store_open(&s, tree_path(r.root, "full"), &r.opt, &r.err), ILK_MISMATCH, &r.err);
    CHECK(strstr(r.err.message, "thing.txt") != NULL && stat(tree_path(r.root, "full/lock"), &st) != 0);
    CHECK_STATUS(ilki_store_open(&s, tree_path(r.root, "full/thing.txt"), &r.opt, &r.err), ILK_MISMATCH, &r.err);
    CHECK_STATUS(ilki_store_open(&s, NULL, &r.opt, &r.err), ILK_BAD_ARGUMENT, &r.err);
    /* records without a manifest are not written over */
    put(&r, "a", NULL, 1);
    ilki_store_close(r.s);
    CHECK(rename(tree_path(r.dir, "manifest"), tree_path(r.root, "kept")) == 0);
    CHECK_STATUS(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), ILK_CORRUPT, &r.err);
    CHECK(rename(tree_path(r.root, "kept"), tree_path(r.dir, "manifest")) == 0);
    CHECK_OK(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), &r.err);
    CHECK_INT(st_get(r.s, "a"), 1);
    char *path;
    CHECK_OK(ilki_store_derived_path(r.s, "index-v", &path, &r.err), &r.err);
    CHECK_STR(path, tree_path(r.dir, "derived/index-v"));
    free(path);
    CHECK_STATUS(ilki_store_derived_path(r.s, "../x", &path, &r.err), ILK_BAD_ARGUMENT, &r.err);
    CHECK_STATUS(ilki_store_derived_path(r.s, "", &path, &r.err), ILK_BAD_ARGUMENT, &r.err);
    rig_free(&r);
}

/* As another user sees it: read-only mode bits, and for root a change of owner. */
static void read_only_directory(void)
{
    rig r;
    rig_new(&r);
    put(&r, "a", NULL, 3);
    ilki_store_close(r.s);
    r.s = NULL;
    if (geteuid() == 0) {
        CHECK(chown(r.dir, 12345, 12345) == 0);
        REQUIRE(CHECK_OK(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), &r.err));
        st_batch b = {0};
        st_put(&b, "b", NULL, 1);
        ilki_batch args = st_args(&b);
        CHECK_STATUS(ilki_store_write(r.s, &args, NULL, NULL, &r.err), ILK_UNSUPPORTED, &r.err);
    } else {
        CHECK(chmod(r.dir, 0500) == 0 && chmod(tree_path(r.dir, "derived"), 0500) == 0);
        CHECK_STATUS(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), ILK_OK, &r.err); /* the lock file is there */
        ilki_store_close(r.s);
        ilki_store_open_options opt = {.vfs = &ilki_base_vfs_posix, .read_only = true};
        REQUIRE(CHECK_OK(ilki_store_open(&r.s, r.dir, &opt, &r.err), &r.err));
    }
    CHECK_INT(st_get(r.s, "a"), 3);
    struct stat st; /* nothing is left behind by a reader */
    CHECK(stat(tree_path(r.dir, "derived/meta.db-shm"), &st) != 0);
    rig_free(&r);
}

/* With a runtime the service thread applies behind the writes; answers do not depend on how far it is. */
static void applied_by_the_service_thread(void)
{
    rig r;
    ilk_runtime *rt;
    ilk_runtime_options ro;
    rig_new(&r);
    ilki_store_close(r.s);
    ilk_runtime_options_init(&ro);
    ro.n_threads = 2;
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, &ro, &r.err), &r.err));
    for (int sync = 0; sync < 2; sync++) {
        r.opt.rt = rt;
        r.opt.sync = sync ? ILK_SYNC_NORMAL : ILK_SYNC_FULL;
        r.opt.max_log_bytes = 100000;
        REQUIRE(CHECK_OK(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), &r.err));
        for (uint64_t i = 0; i < 150; i++) {
            st_batch b = {0};
            char id[16];
            for (uint64_t k = 0; k < 8; k++) {
                snprintf(id, sizeof id, "i%llu", (unsigned long long)((i * 8 + k) % 500));
                st_put(&b, id, NULL, i);
            }
            ilki_batch args = st_args(&b);
            CHECK_OK(ilki_store_write(r.s, &args, NULL, NULL, &r.err), &r.err);
            uint64_t n;
            if (i % 10 == 0) {
                CHECK_INT(st_get(r.s, id), i);
                CHECK_OK(ilki_store_count(r.s, NULL, &n, &r.err), &r.err);
                CHECK_INT(n, sync ? 500 : (i + 1) * 8 < 500 ? (i + 1) * 8 : 500);
            }
        }
        CHECK_OK(ilki_store_check(r.s, false, NULL, NULL, NULL, &r.err), &r.err);
        ilki_store_close(r.s);
    }
    r.s = NULL;
    ilk_runtime_close(rt);
    rig_free(&r);
}

/* ---- threads: writers of ids of their own, readers of all, the service thread behind them */

enum { N_WRITERS = 3, N_READERS = 3, N_ROUNDS = 60 };

typedef struct worker {
    ilki_store *s;
    int number;
    size_t n_bad;
    pthread_t thread;
    ilk_error err;
} worker;

static void *write_ids(void *arg)
{
    worker *w = arg;
    for (uint64_t k = 1; k <= N_ROUNDS; k++) {
        st_batch b = {0};
        char id[16];
        for (int i = 0; i < 6; i++) {
            snprintf(id, sizeof id, "t%d-%d", w->number, i);
            if (i == 5 && k % 3 == 0)
                st_delete(&b, id);
            else
                st_put(&b, id, NULL, k);
        }
        ilki_batch args = st_args(&b);
        w->n_bad += ilki_store_write(w->s, &args, NULL, NULL, &w->err) != ILK_OK;
        snprintf(id, sizeof id, "t%d-2", w->number);
        w->n_bad += st_get(w->s, id) != (int64_t)k; /* what was acknowledged is seen at once */
    }
    return NULL;
}

static void *read_ids(void *arg)
{
    worker *w = arg;
    ilk_value v = st_int(5);
    ilk_filter f = st_filter(ILK_FILTER_GE, "n", &v);
    for (int k = 0; k < N_ROUNDS; k++) {
        uint64_t *lsns = NULL, n = 0;
        size_t n_lsns = 0;
        ids x = {0};
        float to[ST_DIM];
        w->n_bad += st_get(w->s, "t1-3") == -2 || st_get(w->s, "t0-5") == -2;
        w->n_bad += ilki_store_select(w->s, &f, &lsns, &n_lsns, &w->err) != ILK_OK;
        w->n_bad += n_lsns > N_WRITERS * 6;
        for (size_t i = 0; i < n_lsns; i++) { /* found or replaced meanwhile */
            ilk_status st = ilki_store_get_dense(w->s, lsns[i], "v", to, ST_DIM, &w->err);
            w->n_bad += st != ILK_OK && st != ILK_NOT_FOUND;
        }
        free(lsns);
        w->n_bad += ilki_store_scan(w->s, NULL, NULL, add_id, &x, &w->err) != ILK_OK || x.n > N_WRITERS * 6;
        w->n_bad += ilki_store_count(w->s, NULL, &n, &w->err) != ILK_OK || n > N_WRITERS * 6;
    }
    return NULL;
}

static void many_threads(void)
{
    rig r;
    ilk_runtime *rt;
    ilk_runtime_options ro;
    worker w[N_WRITERS + N_READERS];
    rig_new(&r);
    ilki_store_close(r.s);
    ilk_runtime_options_init(&ro);
    ro.n_threads = 2;
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, &ro, &r.err), &r.err));
    r.opt.rt = rt;
    r.opt.sync = ILK_SYNC_NORMAL;
    r.opt.max_log_bytes = 50000;
    REQUIRE(CHECK_OK(ilki_store_open(&r.s, r.dir, &r.opt, &r.err), &r.err));
    for (int i = 0; i < N_WRITERS + N_READERS; i++) {
        w[i] = (worker){.s = r.s, .number = i};
        ilk_error_init(&w[i].err);
        CHECK(pthread_create(&w[i].thread, NULL, i < N_WRITERS ? write_ids : read_ids, &w[i]) == 0);
    }
    for (int i = 0; i < N_WRITERS + N_READERS; i++) {
        CHECK(pthread_join(w[i].thread, NULL) == 0);
        CHECK_THAT(w[i].n_bad == 0, "thread %d: %zu wrong: %s", i, w[i].n_bad, w[i].err.message);
    }
    ids x = {0};
    CHECK_OK(ilki_store_scan(r.s, NULL, NULL, add_id, &x, &r.err), &r.err);
    CHECK_INT(x.n, N_WRITERS * 5);
    CHECK_OK(ilki_store_check(r.s, false, NULL, NULL, NULL, &r.err), &r.err);
    ilki_store_close(r.s);
    r.s = NULL;
    ilk_runtime_close(rt);
    rig_free(&r);
}

TEST_MAIN({"put_get_delete", put_get_delete}, {"batch_is_deletes_then_items", batch_is_deletes_then_items},
          {"scan_pages_and_filters", scan_pages_and_filters}, {"callback_may_call_back", callback_may_call_back},
          {"vectors_of_every_kind", vectors_of_every_kind}, {"spaces_are_compared", spaces_are_compared},
          {"bad_arguments", bad_arguments}, {"sources_are_found", sources_are_found}, {"many_sources", many_sources},
          {"metadata", metadata}, {"changes_catch_up", changes_catch_up}, {"readers_follow", readers_follow},
          {"reader_survives_rebuild", reader_survives_rebuild}, {"one_writer", one_writer},
          {"where_a_store_may_be", where_a_store_may_be}, {"read_only_directory", read_only_directory},
          {"applied_by_the_service_thread", applied_by_the_service_thread}, {"many_threads", many_threads})
