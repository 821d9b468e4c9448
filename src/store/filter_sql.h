/* SPDX-License-Identifier: Apache-2.0
 * Filters: one tree, two evaluations that must agree: as SQL over the derived tables, and in C over items of the tail.
 * NE is "not EQ": true where the field is absent or of a type that does not compare. NULL equals NULL. */
#ifndef ILKI_STORE_FILTER_H
#define ILKI_STORE_FILTER_H

#include "store/meta.h"

/* Operators, names, counts, at most 1000 nodes and 32 levels, finite numbers. NULL is fine. */
ilk_status ilki_store_filter_check(const ilk_filter *f, ilk_error *err);

/* Of a checked filter. */
bool ilki_store_filter_match(const ilk_filter *f, const ilki_item_body *item);

typedef struct ilki_filter_sql {
    ilki_buf text; /* a condition over table `item`, whose parameters come first in a statement */
    struct ilki_bind *binds;
    size_t n, cap;
    ilki_arena arena;
} ilki_filter_sql;

/* Of a checked filter; field names are looked up through c. Values are borrowed from f. */
ilk_status ilki_store_filter_sql(ilki_filter_sql *out, const ilk_filter *f, ilki_conn *c, ilk_error *err);
int ilki_store_filter_bind(const ilki_filter_sql *f, sqlite3_stmt *s); /* an SQLite code */
void ilki_store_filter_sql_deinit(ilki_filter_sql *f);

/* Makes the SQL function that reads a long value from the log known to a connection. */
ilk_status ilki_store_filter_functions(ilki_conn *c, ilk_error *err);

#endif
