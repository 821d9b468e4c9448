/* SPDX-License-Identifier: Apache-2.0
 * What a caller's arrays of sized structs become: arrays of the library's own structs. Where every size is the library's,
 * nothing is copied; otherwise the copy lies in the arena. Strings and vectors stay the caller's. */
#ifndef ILKI_API_TAKE_H
#define ILKI_API_TAKE_H

#include "base/mem.h"

/* Defaults of structs that hold more than zeros. */
extern const ilk_segment ilki_api_segment;
extern const ilk_field ilki_api_field;
extern const ilk_item ilki_api_item;
extern const ilk_query ilki_api_query;
extern const ilk_space ilki_api_space;
extern const ilk_ingest_options ilki_api_ingest_options;

/* Copies the library's defaults into a caller's struct of another size. */
void ilki_api_init_from(void *to, size_t size, const void *defaults, size_t n);

ilk_status ilki_api_take_items(ilki_arena *a, const ilk_item *items, size_t n, const ilk_item **out, ilk_error *err);
/* NULL is fine and gives NULL; checked against the limits of ilk_filter. */
ilk_status ilki_api_take_filter(ilki_arena *a, const ilk_filter *f, const ilk_filter **out, ilk_error *err);
/* n queries with their filters; n is 1 and `q` may be NULL where `one`. Always a copy. */
ilk_status ilki_api_take_queries(ilki_arena *a, const ilk_query *q, size_t n, bool one, ilk_query **out,
                                 ilk_error *err);

#endif
