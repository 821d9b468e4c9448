/* SPDX-License-Identifier: Apache-2.0
 * Filters: SQL over the tables and C over the tail must select the same items. One store has everything in its tables,
 * one everything in its tail, and a third evaluation, written apart from both, decides who is right. */
#include <math.h>

#include "faulty.h"
#include "random.h"
#include "store/filter_sql.h"
#include "store_test.h"

enum { N_ITEMS = 300, MAX_FIELDS = 5, MAX_VALUES = 4, LONG = 300 };

typedef struct thing {
    char id[16], parent[16];
    bool has_parent;
    ilk_field fields[MAX_FIELDS];
    size_t n_fields;
} thing;

static char texts[12][LONG + 8];
static size_t text_bytes[12];
static const char *const names[] = {"a", "b.c", "_d", "text", "E9"};
static const double reals[] = {0,      -0.0, 1, 1.5, -2.25, 1e300, -1e300, 9007199254740993.0, 9.2233720368547758e18,
                               5e-324, 3};
static const int64_t ints[] = {0, 1, 2, 3, -2, INT64_MAX, INT64_MIN, 9007199254740993, 9007199254740992, -1};

/* Short ones, empty, with NUL and 0xff, around the 128 bytes that tables keep, and long ones that differ late. */
static void make_texts(void)
{
    static const size_t lengths[12] = {0, 1, 2, 3, 127, 128, 129, 200, LONG, LONG, LONG + 1, 128};
    for (int i = 0; i < 12; i++) {
        memset(texts[i], 'm', sizeof texts[i]);
        text_bytes[i] = lengths[i];
    }
    texts[1][0] = '\0';
    texts[2][0] = (char)0xff;
    texts[2][1] = (char)0xff;
    texts[9][250] = 'a';
    texts[11][127] = 'z';
    texts[7][199] = 'n';
}

static ilk_value random_value(uint64_t *rng)
{
    ilk_value v = {.size = sizeof v, .type = (ilk_value_type)(test_random(rng) % 7)};
    uint64_t r = test_random(rng);
    if (v.type == ILK_VALUE_REAL)
        v.d = reals[r % 11];
    else if (v.type == ILK_VALUE_TEXT || v.type == ILK_VALUE_BYTES) {
        size_t i = r % 12;
        if (v.type == ILK_VALUE_TEXT && i == 2)
            i = 3; /* texts are UTF-8 */
        v.text = texts[i];
        v.n_bytes = text_bytes[i];
        if (r >> 32 & 1 && v.n_bytes > 2)
            v.n_bytes -= r >> 40 & 3 ? 1 : 0;
    } else
        v.i = v.type == ILK_VALUE_BOOL ? (int64_t)(r % 2) : ints[r % 10];
    return v;
}

static void random_thing(thing *t, size_t i, uint64_t *rng)
{
    memset(t, 0, sizeof *t);
    snprintf(t->id, sizeof t->id, "i%03zu", i);
    t->has_parent = test_random(rng) % 2;
    snprintf(t->parent, sizeof t->parent, "i%03zu", (size_t)(test_random(rng) % 20 + 500));
    for (int k = 0; k < MAX_FIELDS; k++)
        if (test_random(rng) % 3 != 0)
            t->fields[t->n_fields++] = (ilk_field){
                .size = sizeof(ilk_field), .name = names[k], .value = random_value(rng)};
}

typedef struct pool {
    ilk_filter nodes[200];
    ilk_value values[800];
    size_t n_nodes, n_values;
    char ids[800][16];
    size_t n_ids;
} pool;

static void random_leaf(pool *p, ilk_filter *f, uint64_t *rng)
{
    uint64_t r = test_random(rng);
    f->op = (ilk_filter_op)(ILK_FILTER_EQ + r % 9);
    f->field = r >> 8 & 7 ? names[(r >> 16) % 5] : r >> 24 & 1 ? "id" : r >> 25 & 1 ? "parent" : "never";
    bool own = strcmp(f->field, "id") == 0 || strcmp(f->field, "parent") == 0;
    f->n_values = f->op == ILK_FILTER_EXISTS ? 0 : f->op == ILK_FILTER_IN ? (r >> 32) % (MAX_VALUES + 1) : 1;
    ilk_value *v = &p->values[p->n_values];
    f->values = v;
    p->n_values += f->n_values;
    for (size_t i = 0; i < f->n_values; i++) {
        v[i] = random_value(rng);
        if (own && test_random(rng) % 8) {
            char *id = p->ids[p->n_ids++];
            snprintf(id, 16, "i%03zu", (size_t)(test_random(rng) % 520));
            v[i] = st_text(id);
        }
        if (f->op == ILK_FILTER_PREFIX) {
            if (v[i].type != ILK_VALUE_TEXT)
                v[i] = st_text("mm");
            if (r >> 40 & 1)
                v[i].n_bytes = v[i].n_bytes * (r >> 41 & 7) / 8;
        }
    }
}

static void random_filter(pool *p, ilk_filter *f, int depth, uint64_t *rng)
{
    memset(f, 0, sizeof *f);
    f->size = sizeof *f;
    uint64_t r = test_random(rng);
    if (depth == 0 || r % 2 || p->n_nodes > 150) {
        random_leaf(p, f, rng);
        return;
    }
    f->op = (ilk_filter_op)(ILK_FILTER_AND + (r >> 8) % 3);
    f->n_children = f->op == ILK_FILTER_NOT ? 1 : (r >> 16) % 5;
    ilk_filter *children = &p->nodes[p->n_nodes];
    p->n_nodes += f->n_children;
    f->children = children;
    for (size_t i = 0; i < f->n_children; i++)
        random_filter(p, &children[i], depth - 1, rng);
}

/* ---- the judge: what ilk.h says, written the plain way */

static int judge_compare(const ilk_value *a, const ilk_value *b, bool *comparable)
{
    bool number_a = a->type == ILK_VALUE_INT || a->type == ILK_VALUE_REAL;
    bool number_b = b->type == ILK_VALUE_INT || b->type == ILK_VALUE_REAL;
    *comparable = a->type == b->type || (number_a && number_b);
    if (!*comparable)
        return 0;
    if (number_a) {
        /* exact: x87's 64 bits of mantissa hold both kinds; elsewhere long double is wider still */
        long double x = a->type == ILK_VALUE_INT ? (long double)a->i : (long double)a->d;
        long double y = b->type == ILK_VALUE_INT ? (long double)b->i : (long double)b->d;
        return x < y ? -1 : x > y;
    }
    if (a->type == ILK_VALUE_TEXT || a->type == ILK_VALUE_BYTES) {
        for (size_t i = 0; i < a->n_bytes && i < b->n_bytes; i++)
            if (a->text[i] != b->text[i])
                return (unsigned char)a->text[i] < (unsigned char)b->text[i] ? -1 : 1;
        return a->n_bytes < b->n_bytes ? -1 : a->n_bytes > b->n_bytes;
    }
    return a->type == ILK_VALUE_NULL ? 0 : a->i < b->i ? -1 : a->i > b->i;
}

static bool judge(const ilk_filter *f, const thing *t)
{
    if (f->op == ILK_FILTER_NOT)
        return !judge(&f->children[0], t);
    if (f->op <= ILK_FILTER_OR) {
        for (size_t i = 0; i < f->n_children; i++)
            if (judge(&f->children[i], t) == (f->op == ILK_FILTER_OR))
                return f->op == ILK_FILTER_OR;
        return f->op == ILK_FILTER_AND;
    }
    ilk_value have = {.type = (ilk_value_type)-1};
    bool found = false;
    for (size_t i = 0; i < t->n_fields; i++)
        if (strcmp(t->fields[i].name, f->field) == 0) {
            have = t->fields[i].value;
            found = true;
        }
    if (strcmp(f->field, "id") == 0 || strcmp(f->field, "parent") == 0) {
        found = f->field[0] == 'i' || t->has_parent;
        have = st_text(f->field[0] == 'i' ? t->id : t->parent);
    }
    if (f->op == ILK_FILTER_EXISTS)
        return found;
    bool any = false;
    for (size_t i = 0; found && i < f->n_values; i++) {
        bool ok;
        const ilk_value *v = &f->values[i];
        int c = judge_compare(&have, v, &ok);
        switch (f->op) {
        case ILK_FILTER_LT:
            ok = ok && c < 0 && v->type != ILK_VALUE_NULL;
            break;
        case ILK_FILTER_LE:
            ok = ok && c <= 0;
            break;
        case ILK_FILTER_GT:
            ok = ok && c > 0 && v->type != ILK_VALUE_NULL;
            break;
        case ILK_FILTER_GE:
            ok = ok && c >= 0;
            break;
        case ILK_FILTER_PREFIX:
            ok = ok && have.n_bytes >= v->n_bytes && memcmp(have.text, v->text, v->n_bytes) == 0;
            break;
        default:
            ok = ok && c == 0;
        }
        any |= ok;
    }
    return f->op == ILK_FILTER_NE ? !any : any;
}

/* ---- two stores */

typedef struct rig {
    faulty *f;
    ilki_store *tables, *tail;
    thing things[N_ITEMS];
    ilk_error err;
} rig;

static ilki_store *make_store(rig *r, const char *dir, bool apply)
{
    ilki_store_open_options opt = {.vfs = faulty_vfs(r->f)};
    ilki_store *s;
    ilk_item items[N_ITEMS];
    if (!CHECK_OK(ilki_store_open(&s, dir, &opt, &r->err), &r->err))
        return NULL;
    for (size_t i = 0; i < N_ITEMS; i++) {
        memset(&items[i], 0, sizeof items[i]);
        items[i].id = r->things[i].id;
        items[i].parent = r->things[i].has_parent ? r->things[i].parent : NULL;
        items[i].segment = st_no_segment();
        items[i].fields = r->things[i].fields;
        items[i].n_fields = r->things[i].n_fields;
    }
    ilki_batch b = {.items = items, .n_items = N_ITEMS};
    CHECK_OK(ilki_store_write(s, &b, NULL, NULL, &r->err), &r->err);
    if (apply) {
        ilki_store_close(s);
        CHECK_OK(ilki_store_open(&s, dir, &opt, &r->err), &r->err);
    }
    return s;
}

static void rig_new(rig *r, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    make_texts();
    ilk_error_init(&r->err);
    r->f = faulty_new();
    uint64_t rng = seed;
    for (size_t i = 0; i < N_ITEMS; i++)
        random_thing(&r->things[i], i, &rng);
    r->tables = make_store(r, "/tables", true);
    r->tail = make_store(r, "/tail", false);
}

static void rig_free(rig *r)
{
    ilki_store_close(r->tables);
    ilki_store_close(r->tail);
    faulty_free(r->f);
}

typedef struct seen {
    const thing *things;
    const ilk_filter *f;
    size_t next;
    bool bad;
} seen;

static void pass_to(seen *x, size_t end)
{
    for (; x->next < end; x->next++)
        x->bad |= judge(x->f, &x->things[x->next]);
}

static bool take(void *user, uint64_t lsn, const char *id, const char *parent)
{
    seen *x = user;
    size_t i = (size_t)atoi(id + 1);
    (void)lsn;
    (void)parent;
    pass_to(x, i);
    x->bad |= i != x->next || !judge(x->f, &x->things[i]);
    x->next = i + 1;
    return true;
}

static bool agrees(rig *r, ilki_store *s, const ilk_filter *f)
{
    seen x = {.things = r->things, .f = f};
    if (!CHECK_OK(ilki_store_scan(s, f, NULL, take, &x, &r->err), &r->err))
        return false;
    pass_to(&x, N_ITEMS);
    return !x.bad;
}

static void print(const ilk_filter *f, int depth)
{
    printf("%*sop %d field %s values %zu", depth * 2, "", (int)f->op, f->field ? f->field : "-", f->n_values);
    for (size_t i = 0; i < f->n_values; i++)
        printf(" [type %d i %lld d %g n %zu]", (int)f->values[i].type, (long long)f->values[i].i, f->values[i].d,
               f->values[i].n_bytes);
    printf("\n");
    for (size_t i = 0; i < f->n_children; i++)
        print(&f->children[i], depth + 1);
}

static void random_filters_agree(void)
{
    static rig r;
    size_t n_bad = 0, n_some = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        rig_new(&r, seed);
        uint64_t rng = seed * 1000;
        for (int i = 0; i < 700 && n_bad < 5; i++) {
            static pool p;
            ilk_filter f;
            p.n_nodes = p.n_values = p.n_ids = 0;
            random_filter(&p, &f, i % 4, &rng);
            bool ok = CHECK_OK(ilki_store_filter_check(&f, &r.err), &r.err);
            bool a = ok && agrees(&r, r.tables, &f), b = ok && agrees(&r, r.tail, &f);
            uint64_t n = 0;
            ilki_store_count(r.tables, &f, &n, NULL);
            n_some += n > 0 && n < N_ITEMS;
            if (!CHECK_THAT(a && b, "seed %d filter %d: tables %d, tail %d", (int)seed, i, a, b)) {
                print(&f, 1);
                n_bad++;
            }
        }
        rig_free(&r);
    }
    CHECK_THAT(n_some > 1000, "only %zu filters told items apart", n_some);
}

static void long_values_are_read_from_the_log(void)
{
    static rig r;
    rig_new(&r, 9);
    ilk_value v = st_text(texts[8]);
    v.n_bytes = LONG;
    for (int op = ILK_FILTER_EQ; op <= ILK_FILTER_PREFIX; op++) {
        ilk_filter f = st_filter((ilk_filter_op)op, "text", &v);
        CHECK(agrees(&r, r.tables, &f));
        CHECK(agrees(&r, r.tail, &f));
    }
    rig_free(&r);
}

static void wide_and_deep(void)
{
    static rig r;
    static ilk_filter wide[999], deep[40];
    static ilk_value values[30001];
    rig_new(&r, 2);
    ilk_value v = st_int(3);
    for (size_t i = 0; i < 999; i++)
        wide[i] = st_filter(ILK_FILTER_NE, names[i % 5], &v);
    ilk_filter f = {.size = sizeof f, .op = ILK_FILTER_AND, .children = wide, .n_children = 999};
    CHECK(agrees(&r, r.tables, &f));
    f.n_children = 1000;
    CHECK_STATUS(ilki_store_count(r.tables, &f, &(uint64_t){0}, &r.err), ILK_LIMIT, &r.err);
    for (int i = 0; i < 40; i++)
        deep[i] = (ilk_filter){.size = sizeof f, .op = ILK_FILTER_NOT, .children = &deep[i + 1], .n_children = 1};
    deep[31] = wide[0];
    CHECK(agrees(&r, r.tables, &deep[0]));
    CHECK(agrees(&r, r.tail, &deep[0]));
    deep[31] = (ilk_filter){.size = sizeof f, .op = ILK_FILTER_NOT, .children = wide, .n_children = 1};
    CHECK_STATUS(ilki_store_count(r.tables, &deep[0], &(uint64_t){0}, &r.err), ILK_LIMIT, &r.err);
    for (int i = 0; i < 30001; i++)
        values[i] = st_int(i - 5);
    f = st_filter(ILK_FILTER_IN, "a", values);
    f.n_values = 30000;
    CHECK(agrees(&r, r.tables, &f));
    CHECK(agrees(&r, r.tail, &f));
    f.n_values = 30001;
    CHECK_STATUS(ilki_store_count(r.tables, &f, &(uint64_t){0}, &r.err), ILK_LIMIT, &r.err);
    rig_free(&r);
}

static void malformed_filters(void)
{
    ilk_error err;
    ilk_error_init(&err);
    ilk_value v = st_int(1), two[2] = {v, v};
    ilk_filter f = st_filter(ILK_FILTER_EQ, "a", &v);
    static const char *const bad[] = {NULL, "", "1a", ".a", "a b", "\xc3\xa9", "a'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        f.field = bad[i];
        CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    }
    f = st_filter((ilk_filter_op)0, "a", &v);
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    f.op = (ilk_filter_op)99;
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    f = st_filter(ILK_FILTER_EQ, "a", NULL);
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    f = (ilk_filter){.op = ILK_FILTER_EQ, .field = "a", .values = two, .n_values = 2};
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    f.n_values = 1;
    two[0] = st_real((double)NAN);
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_NOT_FINITE, &err);
    f.op = ILK_FILTER_PREFIX;
    two[0] = v;
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    f = (ilk_filter){.op = ILK_FILTER_NOT};
    CHECK_STATUS(ilki_store_filter_check(&f, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_OK(ilki_store_filter_check(NULL, &err), &err);
}

TEST_MAIN({"random_filters_agree", random_filters_agree},
          {"long_values_are_read_from_the_log", long_values_are_read_from_the_log}, {"wide_and_deep", wide_and_deep},
          {"malformed_filters", malformed_filters})
