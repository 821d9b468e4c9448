/* SPDX-License-Identifier: Apache-2.0
 * Tables of values: quotes, separators, lines. More in the goldens of tests/unit/documents.c. */
#include <stdlib.h>

#include "docs/docs.h"
#include "test.h"

static void check_text(const char *name, const char *table, const char *want)
{
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    if (CHECK_OK(ilki_docs_read(&doc, name, table, strlen(table), 0, &err), &err))
        CHECK_STR(doc->text, want);
    ilki_docs_free(doc);
}

static void quotes(void)
{
    check_text("a.csv", "a,b\n\"x \"\"y\"\"\",\"\"\n", "a: x \"y\"\n");
    check_text("a.csv", "a,b\n\"x\"tail,z\n", "a: xtail\nb: z\n");
    check_text("a.csv", "a,b\nx\"y,\"p,q\"\n", "a: x\"y\nb: p,q\n");
    check_text("a.csv", "\"a\nb\",c\n1,2\n", "a b: 1\nc: 2\n");
}

static void separators(void)
{
    check_text("a.csv", "a;b\n1;2\n3;4\n", "a: 1\nb: 2\na: 3\nb: 4\n");
    check_text("a.csv", "a|b\n1|2\n", "a: 1\nb: 2\n");
    check_text("a.csv", "a\tb\n1\t2\n", "a: 1\nb: 2\n");
    check_text("a.csv", "a;b,c\n1;2,3\n4;5,6\n", "a;b: 1;2\nc: 3\na;b: 4;5\nc: 6\n"); /* a tie: the comma */
    check_text("a.tsv", "one\nx y\n", "one: x y\n");
    check_text("a.csv", "one\nx\n", "one: x\n");
}

static void rows(void)
{
    check_text("a.csv", "a,b\n1\n2,3,4\n\n,\n", "a: 1\na: 2\nb: 3\n4\n");
    check_text("a.csv", "a,b\n", "");
    check_text("a.csv", ",b\n1,2", "1\nb: 2\n");
}

static void limits(void)
{
    enum { N = 5000 };
    ilki_doc *doc = NULL;
    ilk_error err;
    ilk_error_init(&err);
    char *row = malloc(2 * N + 1);
    REQUIRE(CHECK(row != NULL));
    for (int i = 0; i < N; i++)
        memcpy(row + 2 * i, "x,", 3);
    CHECK_STATUS(ilki_docs_read(&doc, "a.csv", row, 2 * N, 0, &err), ILK_LIMIT, &err);
    CHECK_STR(err.message, "table of more than 4096 columns");
    free(row);
    /* names that are repeated in every row must not become more than a document may have */
    enum { ROWS = 300000, NAME = 180 };
    char *big = malloc(NAME + 2 + 2 * ROWS);
    REQUIRE(CHECK(big != NULL));
    memset(big, 'n', NAME);
    big[NAME] = '\n';
    for (int i = 0; i < ROWS; i++)
        memcpy(big + NAME + 1 + 2 * i, "x\n", 2);
    CHECK_STATUS(ilki_docs_read(&doc, "a.csv", big, NAME + 1 + 2 * ROWS, 0, &err), ILK_LIMIT, &err);
    free(big);
}

TEST_MAIN({"quotes", quotes}, {"separators", separators}, {"rows", rows}, {"limits", limits})
