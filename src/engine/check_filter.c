/* SPDX-License-Identifier: Apache-2.0
 * Is a filter well-formed? Depth first over a stack of bounded height; the tree is not evaluated here. */
#include "engine/backend.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

enum { MAX_NODES = 1000, MAX_DEPTH = 32, MAX_FIELD_BYTES = 64, MAX_VALUES = 100000 };

static bool is_field_name(const char *s)
{
    size_t n = s ? strlen(s) : 0;
    if (n == 0 || n > MAX_FIELD_BYTES || (*s >= '0' && *s <= '9') || *s == '.')
        return false;
    return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.") == n;
}

static ilk_status check_value(const ilk_value *v, const char *field, ilk_error *err)
{
    switch (v->type) {
    case ILK_VALUE_NULL:
    case ILK_VALUE_BOOL:
    case ILK_VALUE_INT:
    case ILK_VALUE_TIME:
        return ILK_OK;
    case ILK_VALUE_REAL:
        if (!isfinite(v->d))
            return ilki_base_fail(err, ILK_NOT_FINITE, "filter on \"%s\": a value is not finite", field);
        return ILK_OK;
    case ILK_VALUE_TEXT:
    case ILK_VALUE_BYTES:
        if (!v->text && v->n_bytes)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": a value of %zu bytes is NULL", field,
                                  v->n_bytes);
        if (v->type == ILK_VALUE_TEXT && v->n_bytes && !ilki_base_utf8_valid(v->text, v->n_bytes))
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": a text is not UTF-8", field);
        return ILK_OK;
    }
    return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": value type %d is unknown", field, (int)v->type);
}

static ilk_status check_test(const ilk_filter *f, ilk_error *err)
{
    static const char *const names[] = {
        [ILK_FILTER_EQ] = "EQ", [ILK_FILTER_NE] = "NE", [ILK_FILTER_LT] = "LT",         [ILK_FILTER_LE] = "LE",
        [ILK_FILTER_GT] = "GT", [ILK_FILTER_GE] = "GE", [ILK_FILTER_PREFIX] = "PREFIX",
    };
    if (!is_field_name(f->field))
        return ilki_base_fail(
            err, ILK_BAD_ARGUMENT,
            "filter: expected a field name of letters, digits, '_' and '.', at most %d bytes, found %s",
            MAX_FIELD_BYTES, f->field ? f->field : "none");
    if (f->n_children)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": a test has no children, found %zu", f->field,
                              f->n_children);
    if (f->n_values > MAX_VALUES)
        return ilki_base_fail(err, ILK_LIMIT, "filter on \"%s\": %zu values, at most %d", f->field, f->n_values,
                              MAX_VALUES);
    if (f->n_values && !f->values)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": its %zu values are NULL", f->field,
                              f->n_values);
    if (f->op == ILK_FILTER_EXISTS && f->n_values)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": EXISTS takes no value", f->field);
    if (f->op != ILK_FILTER_EXISTS && f->op != ILK_FILTER_IN && f->n_values != 1)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": %s takes one value, found %zu", f->field,
                              names[f->op], f->n_values);
    for (size_t i = 0; i < f->n_values; i++) {
        ilk_status st = check_value(&f->values[i], f->field, err);
        if (st)
            return st;
    }
    if (f->op == ILK_FILTER_PREFIX && f->values[0].type != ILK_VALUE_TEXT)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter on \"%s\": PREFIX takes a text", f->field);
    return ILK_OK;
}

static ilk_status check_node(const ilk_filter *f, ilk_error *err)
{
    switch (f->op) {
    case ILK_FILTER_AND:
    case ILK_FILTER_OR:
    case ILK_FILTER_NOT:
        if (f->field || f->n_values)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: AND, OR and NOT have no field and no values");
        if (f->op == ILK_FILTER_NOT && f->n_children != 1)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: NOT takes one child, found %zu", f->n_children);
        if (f->n_children && !f->children)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: %zu children are NULL", f->n_children);
        return ILK_OK;
    case ILK_FILTER_EQ:
    case ILK_FILTER_NE:
    case ILK_FILTER_LT:
    case ILK_FILTER_LE:
    case ILK_FILTER_GT:
    case ILK_FILTER_GE:
    case ILK_FILTER_IN:
    case ILK_FILTER_PREFIX:
    case ILK_FILTER_EXISTS:
        return check_test(f, err);
    }
    return ilki_base_fail(err, ILK_BAD_ARGUMENT, "filter: operator %d is unknown", (int)f->op);
}

ilk_status ilki_engine_check_filter(const ilk_filter *f, ilk_error *err)
{
    struct {
        const ilk_filter *next;
        size_t left;
    } stack[MAX_DEPTH];
    size_t depth = 0, n_nodes = 0;
    if (!f)
        return ILK_OK;
    stack[depth].next = f;
    stack[depth++].left = 1;
    while (depth) {
        if (stack[depth - 1].left == 0) {
            depth--;
            continue;
        }
        const ilk_filter *node = stack[depth - 1].next++;
        stack[depth - 1].left--;
        if (++n_nodes > MAX_NODES)
            return ilki_base_fail(err, ILK_LIMIT, "filter: more than %d nodes", MAX_NODES);
        ilk_status st = check_node(node, err);
        if (st)
            return st;
        if (node->n_children == 0)
            continue;
        if (depth == MAX_DEPTH)
            return ilki_base_fail(err, ILK_LIMIT, "filter: deeper than %d levels", MAX_DEPTH);
        stack[depth].next = node->children;
        stack[depth++].left = node->n_children;
    }
    return ILK_OK;
}
