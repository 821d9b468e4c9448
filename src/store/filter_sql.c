/* SPDX-License-Identifier: Apache-2.0
 * See filter_sql.h. In the tables a text or bytes value longer than 128 bytes is kept as its first 128 with x = 1, so that
 * with q the operand and v the kept part:
 *   q of at most 128 bytes: = is v = q, x = 0;  < is v < q;  <= adds v = q, x = 0;  > is v > q or v = q, x = 1
 *   a longer q, of which p are the first 128: v and p decide unless they are equal; then a short value is less, and of a
 *   long one ilk_rest(lsn, name) is read from the log and compared as a whole.
 * Conditions are never NULL, so that NOT means not. AND and OR over many children become balanced trees: SQLite limits
 * the depth of an expression. */
#include "store/filter_sql.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"

enum { MAX_NODES = 1000, MAX_LEVELS = 32, MAX_PARAMETERS = 30000, MAX_SQL_BYTES = 900000, MAX_LONG_IN = 500 };

/* ---- checking */

static bool name_ok(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > ILKI_FIELD_NAME_BYTES || (s[0] >= '0' && s[0] <= '9') || s[0] == '.')
        return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || *s == '_' ||
              *s == '.'))
            return false;
    return true;
}

static ilk_status check_value(const ilk_filter *f, const ilk_value *v, ilk_error *err)
{
    if ((int)v->type < ILK_VALUE_NULL || v->type > ILK_VALUE_TIME)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on %s: value of unknown type %d", f->field, (int)v->type);
    if (v->type == ILK_VALUE_REAL && !isfinite(v->d))
        return ilki_base_fail(err, ILK_NOT_FINITE, "filter on %s: its value is not a finite number", f->field);
    if (v->n_bytes && !v->text && (v->type == ILK_VALUE_TEXT || v->type == ILK_VALUE_BYTES))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on %s: its text is NULL", f->field);
    return ILK_OK;
}

static ilk_status check_leaf(const ilk_filter *f, ilk_error *err)
{
    if (!name_ok(f->field))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: \"%s\" is no name of a field",
                              f->field ? f->field : "(NULL)");
    size_t want = f->op == ILK_FILTER_EXISTS ? 0 : 1;
    if (f->op != ILK_FILTER_IN && f->n_values != want)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on %s: %zu values, expected %zu", f->field, f->n_values,
                              want);
    if (f->n_values && !f->values)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on %s: its values are NULL", f->field);
    if (f->n_values > MAX_PARAMETERS)
        return ilki_base_fail(err, ILK_LIMIT, "filter on %s: %zu values, at most %d", f->field, f->n_values,
                              MAX_PARAMETERS);
    if (f->op == ILK_FILTER_PREFIX && f->values[0].type != ILK_VALUE_TEXT)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on %s: a prefix is text", f->field);
    ilk_status st = ILK_OK;
    for (size_t i = 0; !st && i < f->n_values; i++)
        st = check_value(f, &f->values[i], err);
    return st;
}

static ilk_status check_node(const ilk_filter *f, int level, size_t *n_nodes, ilk_error *err)
{
    if (++*n_nodes > MAX_NODES || level > MAX_LEVELS)
        return ilki_base_fail(err, ILK_LIMIT, "filter: more than %d nodes or %d levels", MAX_NODES, MAX_LEVELS);
    if (f->op >= ILK_FILTER_EQ && f->op <= ILK_FILTER_EXISTS)
        return check_leaf(f, err);
    if (f->op != ILK_FILTER_AND && f->op != ILK_FILTER_OR && f->op != ILK_FILTER_NOT)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: unknown operator %d", (int)f->op);
    if ((f->op == ILK_FILTER_NOT && f->n_children != 1) || (f->n_children && !f->children))
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: NOT takes one child, and children are not NULL");
    ilk_status st = ILK_OK;
    for (size_t i = 0; !st && i < f->n_children; i++)
        st = check_node(&f->children[i], level + 1, n_nodes, err);
    return st;
}

ilk_status ilki_store_filter_check(const ilk_filter *f, ilk_error *err)
{
    size_t n = 0;
    return f ? check_node(f, 1, &n, err) : ILK_OK;
}

/* ---- evaluation in C */

static int compare_bytes(const void *a, size_t n, const void *b, size_t m)
{
    size_t least = n < m ? n : m;
    int c = least ? memcmp(a, b, least) : 0;
    return c ? c : n < m ? -1 : n > m;
}

static int compare_int_real(int64_t i, double d)
{
    if (d >= 9223372036854775808.0)
        return -1;
    if (d < -9223372036854775808.0)
        return 1;
    int64_t t = (int64_t)d;
    double rest = d - (double)t;
    return i != t ? (i < t ? -1 : 1) : rest > 0 ? -1 : rest < 0;
}

/* Of two values of one class. */
static int compare_values(const ilk_value *a, const ilk_value *b)
{
    switch (ilki_store_value_class(a->type)) {
    case ILKI_CLASS_NULL:
        return 0;
    case ILKI_CLASS_BOOL:
        return (a->i != 0) - (b->i != 0);
    case ILKI_CLASS_NUMBER:
        if (a->type == ILK_VALUE_REAL && b->type == ILK_VALUE_REAL)
            return (a->d > b->d) - (a->d < b->d);
        if (a->type == ILK_VALUE_REAL)
            return -compare_int_real(b->i, a->d);
        if (b->type == ILK_VALUE_REAL)
            return compare_int_real(a->i, b->d);
        return (a->i > b->i) - (a->i < b->i);
    case ILKI_CLASS_TEXT:
    case ILKI_CLASS_BYTES:
        return compare_bytes(a->text, a->n_bytes, b->text, b->n_bytes);
    case ILKI_CLASS_TIME:
        return (a->i > b->i) - (a->i < b->i);
    }
    return 0;
}

static bool holds(ilk_filter_op op, const ilk_value *have, const ilk_value *want)
{
    if (ilki_store_value_class(have->type) != ilki_store_value_class(want->type))
        return false;
    if (op == ILK_FILTER_PREFIX)
        return have->n_bytes >= want->n_bytes && (!want->n_bytes || memcmp(have->text, want->text, want->n_bytes) == 0);
    if (have->type == ILK_VALUE_NULL)
        return op != ILK_FILTER_LT && op != ILK_FILTER_GT;
    int c = compare_values(have, want);
    switch (op) {
    case ILK_FILTER_LT:
        return c < 0;
    case ILK_FILTER_LE:
        return c <= 0;
    case ILK_FILTER_GT:
        return c > 0;
    case ILK_FILTER_GE:
        return c >= 0;
    default: /* EQ, NE, IN */
        return c == 0;
    }
}

static bool find_field(const ilki_item_body *item, const char *name, ilk_value *out)
{
    bool id = strcmp(name, "id") == 0;
    if (id || strcmp(name, "parent") == 0) {
        *out = (ilk_value){.size = sizeof *out, .type = ILK_VALUE_TEXT};
        out->text = id ? item->id : item->parent;
        out->n_bytes = id ? item->id_bytes : item->parent_bytes;
        return out->text != NULL;
    }
    ilki_cur c = item->fields;
    for (uint32_t i = 0; i < item->n_fields; i++) {
        ilk_field f;
        ilki_store_next_field(&c, &f);
        if (strcmp(f.name, name) == 0) {
            *out = f.value;
            return true;
        }
    }
    return false;
}

bool ilki_store_filter_match(const ilk_filter *f, const ilki_item_body *item)
{
    bool any = false, all = true;
    for (size_t i = 0; i < f->n_children && f->op <= ILK_FILTER_NOT; i++) {
        bool m = ilki_store_filter_match(&f->children[i], item);
        any |= m;
        all &= m;
    }
    if (f->op == ILK_FILTER_AND)
        return all;
    if (f->op == ILK_FILTER_OR)
        return any;
    if (f->op == ILK_FILTER_NOT)
        return !any;
    ilk_value have = {0};
    bool found = find_field(item, f->field, &have);
    if (f->op == ILK_FILTER_EXISTS)
        return found;
    for (size_t i = 0; found && !any && i < f->n_values; i++)
        any = holds(f->op, &have, &f->values[i]);
    return f->op == ILK_FILTER_NE ? !any : any;
}

/* ---- SQL */

struct ilki_bind {
    ilk_value_type type; /* INT, REAL, BYTES */
    int64_t i;
    double d;
    const void *p;
    size_t n;
};

typedef struct ilki_bind bind_t;

static void add_bind(ilki_filter_sql *o, bind_t b)
{
    if (o->n == o->cap) {
        size_t cap = o->cap * 2 + 16;
        bind_t *binds = cap > 2 * MAX_PARAMETERS ? NULL : realloc(o->binds, cap * sizeof *binds);
        if (!binds) {
            ilki_base_buf_fail(&o->text, cap > 2 * MAX_PARAMETERS ? ILK_LIMIT : ILK_NO_MEMORY);
            return;
        }
        o->binds = binds;
        o->cap = cap;
    }
    o->binds[o->n++] = b;
    if (o->n > MAX_PARAMETERS)
        ilki_base_buf_fail(&o->text, ILK_LIMIT);
}

static void add_bytes(ilki_filter_sql *o, const void *p, size_t n)
{
    add_bind(o, (bind_t){.type = ILK_VALUE_BYTES, .p = n ? p : "", .n = n});
}

static void add_value(ilki_filter_sql *o, const ilk_value *v)
{
    if (v->type == ILK_VALUE_REAL)
        add_bind(o, (bind_t){.type = ILK_VALUE_REAL, .d = v->d});
    else if (v->type == ILK_VALUE_BOOL)
        add_bind(o, (bind_t){.type = ILK_VALUE_INT, .i = v->i != 0});
    else if (v->type == ILK_VALUE_TEXT || v->type == ILK_VALUE_BYTES)
        add_bytes(o, v->text, v->n_bytes);
    else
        add_bind(o, (bind_t){.type = ILK_VALUE_INT, .i = v->i});
}

static const char *symbol(ilk_filter_op op)
{
    return op == ILK_FILTER_LT   ? "<"
           : op == ILK_FILTER_LE ? "<="
           : op == ILK_FILTER_GT ? ">"
           : op == ILK_FILTER_GE ? ">="
                                 : "=";
}

/* `column` begins with p: a range. The bytes behind p end at the least string that is past all of them. */
static void prefix_sql(ilki_filter_sql *o, const char *column, const char *p, size_t n)
{
    ilki_base_buf_addf(&o->text, "%s >= ?", column);
    add_bytes(o, p, n);
    while (n && (unsigned char)p[n - 1] == 0xff)
        n--;
    if (n == 0)
        return;
    char *past = ilki_base_arena_strndup(&o->arena, p, n);
    if (!past) {
        ilki_base_buf_fail(&o->text, ILK_NO_MEMORY);
        return;
    }
    past[n - 1] = (char)((unsigned char)past[n - 1] + 1);
    ilki_base_buf_addf(&o->text, " AND %s < ?", column);
    add_bytes(o, past, n);
}

/* The condition on v and x of one text or bytes operand: the table at the head of this file. */
static void bytes_sql(ilki_filter_sql *o, const ilk_filter *f, const ilk_value *q)
{
    ilki_buf *b = &o->text;
    ilk_filter_op op = f->op;
    bool is_long = q->n_bytes > ILKI_MAX_KEPT_BYTES;
    size_t n = is_long ? ILKI_MAX_KEPT_BYTES : q->n_bytes;
    if (op == ILK_FILTER_PREFIX && !is_long) {
        prefix_sql(o, "v", q->text, n);
        return;
    }
    bool less = op == ILK_FILTER_LT || op == ILK_FILTER_LE, more = op == ILK_FILTER_GT || op == ILK_FILTER_GE;
    if (less || more) {
        ilki_base_buf_addf(b, "(v %s ? OR ", less ? "<" : ">");
        add_bytes(o, q->text, n);
    }
    ilki_base_buf_adds(b, "(v = ? AND ");
    add_bytes(o, q->text, n);
    if (!is_long) {
        ilki_base_buf_adds(b, op == ILK_FILTER_LT   ? "0)"
                              : op == ILK_FILTER_GT ? "x = 1)"
                              : op == ILK_FILTER_GE ? "1)"
                                                    : "x = 0)");
    } else {
        ilki_base_buf_adds(b, less ? "(x = 0 OR " : "(x = 1 AND ");
        ilki_base_buf_adds(b, op == ILK_FILTER_PREFIX ? "substr(ilk_rest(lsn, ?), 1, ?) = ?))" : "ilk_rest(lsn, ?) ");
        add_bytes(o, f->field, strlen(f->field));
        if (op == ILK_FILTER_PREFIX)
            add_bind(o, (bind_t){.type = ILK_VALUE_INT, .i = (int64_t)q->n_bytes});
        else
            ilki_base_buf_addf(b, "%s ?))", symbol(op));
        add_bytes(o, q->text, q->n_bytes);
    }
    if (less || more)
        ilki_base_buf_addc(b, ')');
}

/* One operand of a field with number n, as "item.lsn IN (...)". */
static void operand_sql(ilki_filter_sql *o, const ilk_filter *f, const ilk_value *q, int64_t n)
{
    ilki_buf *b = &o->text;
    ilki_class class = ilki_store_value_class(q->type);
    if (class == ILKI_CLASS_NULL && (f->op == ILK_FILTER_LT || f->op == ILK_FILTER_GT)) {
        ilki_base_buf_adds(b, "0");
        return;
    }
    ilki_base_buf_addf(b, "item.lsn IN (SELECT lsn FROM field WHERE n = %lld AND c = %d", (long long)n, (int)class);
    if (class == ILKI_CLASS_TEXT || class == ILKI_CLASS_BYTES) {
        ilki_base_buf_adds(b, " AND ");
        bytes_sql(o, f, q);
    } else if (class != ILKI_CLASS_NULL) {
        ilki_base_buf_addf(b, " AND v %s ?", symbol(f->op));
        add_value(o, q);
    }
    ilki_base_buf_addc(b, ')');
}

static bool is_long_value(const ilk_value *v)
{
    return (v->type == ILK_VALUE_TEXT || v->type == ILK_VALUE_BYTES) && v->n_bytes > ILKI_MAX_KEPT_BYTES;
}

/* One list per class for what is kept whole, and the long ones one by one. */
static void in_sql(ilki_filter_sql *o, const ilk_filter *f, int64_t n)
{
    ilki_buf *b = &o->text;
    size_t n_long = 0;
    const char * or = ""; /* a constant in front would keep SQLite from using an index */
    ilki_base_buf_addc(b, '(');
    for (int class = ILKI_CLASS_NULL; class <= ILKI_CLASS_TIME; class ++) {
        size_t k = 0;
        for (size_t i = 0; i < f->n_values; i++) {
            const ilk_value *v = &f->values[i];
            if ((int)ilki_store_value_class(v->type) != class || is_long_value(v))
                continue;
            if (k++ == 0)
                ilki_base_buf_addf(b, "%sitem.lsn IN (SELECT lsn FROM field WHERE n = %lld AND c = %d AND x = 0%s", or,
                                   (long long)n, class, class == ILKI_CLASS_NULL ? "" : " AND v IN (");
            or = " OR ";
            if (class == ILKI_CLASS_NULL)
                continue;
            ilki_base_buf_adds(b, k == 1 ? "?" : ",?");
            add_value(o, v);
        }
        if (k)
            ilki_base_buf_adds(b, class == ILKI_CLASS_NULL ? ")" : "))");
    }
    for (size_t i = 0; i < f->n_values; i++) {
        if (!is_long_value(&f->values[i]))
            continue;
        if (++n_long > MAX_LONG_IN)
            ilki_base_buf_fail(b, ILK_LIMIT);
        ilki_base_buf_adds(b, or);
        or = " OR ";
        operand_sql(o, f, &f->values[i], n);
    }
    ilki_base_buf_adds(b, * or ? ")" : "0)");
}

/* "id" and "parent" are columns of their own, kept whole. */
static void column_sql(ilki_filter_sql *o, const ilk_filter *f)
{
    ilki_buf *b = &o->text;
    if (f->op == ILK_FILTER_EXISTS) {
        ilki_base_buf_addf(b, "%s IS NOT NULL", f->field);
        return;
    }
    ilki_base_buf_addf(b, "%s(%s IS NOT NULL AND (", f->op == ILK_FILTER_NE ? "NOT " : "", f->field);
    size_t k = 0;
    bool in = f->op == ILK_FILTER_IN;
    for (size_t i = 0; i < f->n_values; i++) {
        const ilk_value *v = &f->values[i];
        if (v->type != ILK_VALUE_TEXT)
            continue;
        if (f->op == ILK_FILTER_PREFIX) {
            prefix_sql(o, f->field, v->text, v->n_bytes);
        } else {
            if (k == 0)
                ilki_base_buf_addf(b, "%s %s", f->field, in ? "IN (" : symbol(f->op));
            ilki_base_buf_adds(b, k ? ",?" : "?");
            add_value(o, v);
        }
        k++;
    }
    ilki_base_buf_adds(b, k == 0 ? "0))" : in ? ")))" : "))");
}

static ilk_status leaf_sql(ilki_filter_sql *o, const ilk_filter *f, ilki_conn *c, ilk_error *err)
{
    if (strcmp(f->field, "id") == 0 || strcmp(f->field, "parent") == 0) {
        column_sql(o, f);
        return ILK_OK;
    }
    ilk_status st;
    bool row = false;
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_NAME, &st, err);
    if (!s)
        return st;
    int rc = sqlite3_bind_blob(s, 1, f->field, (int)strlen(f->field), SQLITE_STATIC);
    st = rc ? ilki_store_db_fail(c, rc, err) : ilki_store_db_step(c, s, &row, err);
    int64_t n = row ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    if (st)
        return st;
    if (!row) { /* no item has such a field */
        ilki_base_buf_adds(&o->text, f->op == ILK_FILTER_NE ? "1" : "0");
    } else if (f->op == ILK_FILTER_EXISTS) {
        ilki_base_buf_addf(&o->text, "item.lsn IN (SELECT lsn FROM field WHERE n = %lld)", (long long)n);
    } else if (f->op == ILK_FILTER_IN) {
        in_sql(o, f, n);
    } else {
        ilki_base_buf_adds(&o->text, f->op == ILK_FILTER_NE ? "NOT " : "");
        operand_sql(o, f, &f->values[0], n);
    }
    return ILK_OK;
}

static ilk_status node_sql(ilki_filter_sql *o, const ilk_filter *f, ilki_conn *c, ilk_error *err);

/* Children [from, to) of an AND or OR, halved so that the depth is the logarithm of their number. */
static ilk_status children_sql(ilki_filter_sql *o, const ilk_filter *f, size_t from, size_t to, ilki_conn *c,
                               ilk_error *err)
{
    if (to - from == 1)
        return node_sql(o, &f->children[from], c, err);
    size_t mid = from + (to - from) / 2;
    ilki_base_buf_addc(&o->text, '(');
    ilk_status st = children_sql(o, f, from, mid, c, err);
    ilki_base_buf_adds(&o->text, f->op == ILK_FILTER_AND ? " AND " : " OR ");
    if (!st)
        st = children_sql(o, f, mid, to, c, err);
    ilki_base_buf_addc(&o->text, ')');
    return st;
}

static ilk_status node_sql(ilki_filter_sql *o, const ilk_filter *f, ilki_conn *c, ilk_error *err)
{
    if (f->op > ILK_FILTER_NOT)
        return leaf_sql(o, f, c, err);
    if (f->n_children == 0) {
        ilki_base_buf_adds(&o->text, f->op == ILK_FILTER_AND ? "1" : "0");
        return ILK_OK;
    }
    ilki_base_buf_adds(&o->text, f->op == ILK_FILTER_NOT ? "NOT (" : "(");
    ilk_status st = children_sql(o, f, 0, f->n_children, c, err);
    ilki_base_buf_addc(&o->text, ')');
    return st;
}

ilk_status ilki_store_filter_sql(ilki_filter_sql *out, const ilk_filter *f, ilki_conn *c, ilk_error *err)
{
    memset(out, 0, sizeof *out);
    ilki_base_buf_init(&out->text, MAX_SQL_BYTES);
    ilk_status st = ILK_OK;
    if (f)
        st = node_sql(out, f, c, err);
    else
        ilki_base_buf_adds(&out->text, "1");
    return st ? st : ilki_base_buf_check(&out->text, "a filter", err);
}

int ilki_store_filter_bind(const ilki_filter_sql *f, sqlite3_stmt *s)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < f->n; i++) {
        const bind_t *b = &f->binds[i];
        if (b->type == ILK_VALUE_REAL)
            rc = sqlite3_bind_double(s, (int)i + 1, b->d);
        else if (b->type == ILK_VALUE_INT)
            rc = sqlite3_bind_int64(s, (int)i + 1, b->i);
        else
            rc = sqlite3_bind_blob64(s, (int)i + 1, b->p, b->n, SQLITE_STATIC);
    }
    return rc;
}

void ilki_store_filter_sql_deinit(ilki_filter_sql *f)
{
    ilki_base_buf_deinit(&f->text);
    free(f->binds);
    ilki_base_arena_deinit(&f->arena);
}

/* ---- ilk_rest(lsn, name): a field's whole value, from the log */

static ilk_status read_value(ilki_conn *c, uint64_t lsn, const char *name, size_t n, sqlite3_context *ctx,
                             ilk_error *err)
{
    ilk_status st;
    bool row = false;
    ilki_raw raw = {0};
    sqlite3_stmt *s = ilki_store_db_stmt(c, ILKI_SQL_ITEM_BY_LSN, &st, err);
    if (!s)
        return st;
    sqlite3_bind_int64(s, 1, (sqlite3_int64)lsn);
    st = ilki_store_db_step(c, s, &row, err);
    if (st || !row)
        return st ? st : ilki_base_fail(err, ILK_CORRUPT, "%s: a field without its item", c->owner->path);
    ilki_place p = {(uint64_t)sqlite3_column_int64(s, 2), (uint64_t)sqlite3_column_int64(s, 3),
                    (uint64_t)sqlite3_column_int64(s, 4), (uint32_t)sqlite3_column_int64(s, 5)};
    sqlite3_reset(s);
    st = ilki_store_read_place(c->owner->store, &p, lsn, false, &raw, err);
    ilki_item_body item;
    if (!st && !ilki_store_get_item(raw.body, raw.head.body_bytes, &item))
        st = ilki_base_fail(err, ILK_CORRUPT, "log record %llu is no item", (unsigned long long)lsn);
    for (uint32_t i = 0; !st && i < item.n_fields; i++) {
        ilk_field f;
        ilki_store_next_field(&item.fields, &f);
        if (strlen(f.name) == n && memcmp(f.name, name, n) == 0)
            sqlite3_result_blob64(ctx, f.value.text ? f.value.text : "", f.value.n_bytes, SQLITE_TRANSIENT);
    }
    free(raw.bytes);
    return st;
}

static void rest(sqlite3_context *ctx, int n_args, sqlite3_value **args)
{
    ilki_conn *c = sqlite3_user_data(ctx);
    (void)n_args;
    uint64_t lsn = (uint64_t)sqlite3_value_int64(args[0]);
    const char *name = sqlite3_value_blob(args[1]);
    ilk_status st = read_value(c, lsn, name, (size_t)sqlite3_value_bytes(args[1]), ctx, &c->func_error);
    if (st) {
        c->func_status = st;
        sqlite3_result_error_code(ctx, SQLITE_ABORT);
    }
}

ilk_status ilki_store_filter_functions(ilki_conn *c, ilk_error *err)
{
    int rc = sqlite3_create_function_v2(c->db, "ilk_rest", 2, SQLITE_UTF8, c, rest, NULL, NULL, NULL);
    return rc ? ilki_store_db_fail(c, rc, err) : ILK_OK;
}
