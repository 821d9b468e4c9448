/* SPDX-License-Identifier: Apache-2.0
 * What a filter may be: every rule broken once. */
#include "engine/backend.h"
#include "test.h"

static ilk_value text_value(const char *s)
{
    return (ilk_value){.size = sizeof(ilk_value), .type = ILK_VALUE_TEXT, .text = s, .n_bytes = strlen(s)};
}

static ilk_filter test_of(ilk_filter_op op, const char *field, const ilk_value *v, size_t n)
{
    return (ilk_filter){.size = sizeof(ilk_filter), .op = op, .field = field, .values = v, .n_values = n};
}

static ilk_status check(const ilk_filter *f, const char *says)
{
    ilk_error err;
    memset(&err, 0, sizeof err);
    err.size = sizeof err;
    ilk_status st = ilki_engine_check_filter(f, &err);
    if (says)
        CHECK_THAT(strstr(err.message, says) != NULL, "\"%s\" should say \"%s\"", err.message, says);
    return st;
}

static void good_ones(void)
{
    ilk_value v[2] = {text_value("a"), text_value("b")};
    ilk_filter kids[9];
    for (int op = ILK_FILTER_EQ; op <= ILK_FILTER_EXISTS; op++)
        kids[op - ILK_FILTER_EQ] = test_of((ilk_filter_op)op, "a_B.9", v,
                                           op == ILK_FILTER_EXISTS ? 0
                                           : op == ILK_FILTER_IN   ? 2
                                                                   : 1);
    ilk_filter all = {.op = ILK_FILTER_OR, .children = kids, .n_children = 9};
    ilk_filter not_ = {.op = ILK_FILTER_NOT, .children = &all, .n_children = 1};
    CHECK_INT(check(&not_, NULL), ILK_OK);
    CHECK_INT(check(NULL, NULL), ILK_OK);
    ilk_filter none = test_of(ILK_FILTER_IN, "x", NULL, 0); /* matches nothing */
    CHECK_INT(check(&none, NULL), ILK_OK);
}

static void bad_ones(void)
{
    ilk_value v = text_value("a"), bad = v;
    ilk_filter f;
    char long_name[66];
    memset(long_name, 'n', 65);
    long_name[65] = '\0';
    const char *fields[] = {NULL, "", "9a", ".a", "a b", "a-b", "\xc3\xa9", long_name};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        f = test_of(ILK_FILTER_EQ, fields[i], &v, 1);
        CHECK_INT(check(&f, "field name"), ILK_BAD_ARGUMENT);
    }
    long_name[64] = '\0';
    f = test_of(ILK_FILTER_EQ, long_name, &v, 1);
    CHECK_INT(check(&f, NULL), ILK_OK);
    f = test_of((ilk_filter_op)0, "a", &v, 1);
    CHECK_INT(check(&f, "operator 0"), ILK_BAD_ARGUMENT);
    f = test_of((ilk_filter_op)99, "a", &v, 1);
    CHECK_INT(check(&f, "operator 99"), ILK_BAD_ARGUMENT);
    f = test_of(ILK_FILTER_LT, "a", &v, 2);
    CHECK_INT(check(&f, "LT takes one value, found 2"), ILK_BAD_ARGUMENT);
    f = test_of(ILK_FILTER_GE, "a", &v, 0);
    CHECK_INT(check(&f, "GE takes one value"), ILK_BAD_ARGUMENT);
    f = test_of(ILK_FILTER_IN, "a", NULL, 2);
    CHECK_INT(check(&f, "NULL"), ILK_BAD_ARGUMENT);
    f = test_of(ILK_FILTER_EXISTS, "a", &v, 1);
    CHECK_INT(check(&f, "EXISTS"), ILK_BAD_ARGUMENT);
    f = test_of(ILK_FILTER_IN, "a", &v, 100001);
    CHECK_INT(check(&f, "at most 100000"), ILK_LIMIT);
    bad = (ilk_value){.type = ILK_VALUE_REAL, .d = (double)NAN};
    f = test_of(ILK_FILTER_EQ, "a", &bad, 1);
    CHECK_INT(check(&f, "finite"), ILK_NOT_FINITE);
    bad = (ilk_value){.type = (ilk_value_type)42};
    CHECK_INT(check(&f, "type 42"), ILK_BAD_ARGUMENT);
    bad = (ilk_value){.type = ILK_VALUE_TEXT, .n_bytes = 3};
    CHECK_INT(check(&f, "3 bytes is NULL"), ILK_BAD_ARGUMENT);
    bad = (ilk_value){.type = ILK_VALUE_TEXT, .text = "\xff", .n_bytes = 1};
    CHECK_INT(check(&f, "UTF-8"), ILK_BAD_ARGUMENT);
    bad = (ilk_value){.type = ILK_VALUE_BYTES, .text = "\xff", .n_bytes = 1};
    CHECK_INT(check(&f, NULL), ILK_OK);
    f.op = ILK_FILTER_PREFIX;
    CHECK_INT(check(&f, "PREFIX"), ILK_BAD_ARGUMENT);
}

static void bad_groups(void)
{
    ilk_value v = text_value("a");
    ilk_filter kid = test_of(ILK_FILTER_EQ, "a", &v, 1);
    ilk_filter f = {.op = ILK_FILTER_NOT};
    CHECK_INT(check(&f, "NOT takes one child, found 0"), ILK_BAD_ARGUMENT);
    f = (ilk_filter){.op = ILK_FILTER_AND, .n_children = 2};
    CHECK_INT(check(&f, "children are NULL"), ILK_BAD_ARGUMENT);
    f = (ilk_filter){.op = ILK_FILTER_AND, .children = &kid, .n_children = 1, .field = "a"};
    CHECK_INT(check(&f, "have no field"), ILK_BAD_ARGUMENT);
    kid.children = &f;
    kid.n_children = 1;
    f.field = NULL;
    CHECK_INT(check(&f, "has no children"), ILK_BAD_ARGUMENT);
}

static void size_of_the_tree(void)
{
    static ilk_filter chain[33], kids[1000];
    ilk_value v = text_value("a");
    for (int i = 0; i < 33; i++)
        chain[i] = (ilk_filter){.op = ILK_FILTER_NOT, .children = &chain[i + 1], .n_children = 1};
    chain[31] = chain[32] = test_of(ILK_FILTER_EQ, "a", &v, 1);
    CHECK_INT(check(chain, NULL), ILK_OK); /* 32 levels */
    chain[31] = (ilk_filter){.op = ILK_FILTER_NOT, .children = &chain[32], .n_children = 1};
    CHECK_INT(check(chain, "deeper than 32"), ILK_LIMIT);
    for (int i = 0; i < 1000; i++)
        kids[i] = test_of(ILK_FILTER_EQ, "a", &v, 1);
    ilk_filter f = {.op = ILK_FILTER_OR, .children = kids, .n_children = 999};
    CHECK_INT(check(&f, NULL), ILK_OK);
    f.n_children = 1000;
    CHECK_INT(check(&f, "1000 nodes"), ILK_LIMIT);
}

TEST_MAIN({"good_ones", good_ones}, {"bad_ones", bad_ones}, {"bad_groups", bad_groups},
          {"size_of_the_tree", size_of_the_tree})
