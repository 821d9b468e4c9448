/* SPDX-License-Identifier: Apache-2.0
 * Arrays step by the size of their first element; each element is copied over the defaults, as far as both know it. A
 * filter is copied level by level, so its depth and its number of nodes are bounded here. */
#include "api/take.h"

#include <math.h>
#include <string.h>

enum { MAX_NODES = 1000, MAX_DEPTH = 32, MAX_SIZE = 65536 };

#define SEGMENT                                                                                                        \
    {                                                                                                                  \
        .size = sizeof(ilk_segment), .t0 = (double)NAN, .t1 = (double)NAN, .page = ILK_ABSENT, .chunk = ILK_ABSENT,    \
        .line_first = ILK_ABSENT, .line_last = ILK_ABSENT, .bbox = {NAN, NAN, NAN, NAN},                               \
    }

const ilk_segment ilki_api_segment = SEGMENT;
const ilk_field ilki_api_field = {.size = sizeof(ilk_field), .value = {.size = sizeof(ilk_value)}};
const ilk_item ilki_api_item = {.size = sizeof(ilk_item), .segment = SEGMENT};
const ilk_query ilki_api_query = {.size = sizeof(ilk_query), .vector = {.size = sizeof(ilk_vector)}, .min_score = NAN};
const ilk_space ilki_api_space = {.size = sizeof(ilk_space), .kind = ILK_DENSE, .metric = ILK_COSINE, .layer = -1};
const ilk_ingest_options ilki_api_ingest_options = {.size = sizeof(ilk_ingest_options), .overlap_tokens = ILK_ABSENT};

void ilki_api_init_from(void *to, size_t size, const void *defaults, size_t n)
{
    if (!to || size < sizeof size)
        return;
    memset(to, 0, size);
    memcpy(to, defaults, size < n ? size : n);
    memcpy(to, &size, sizeof size);
}

/* n structs of at most `known` bytes each, as an array of the library's: the caller's own where sizes agree. */
static ilk_status take_array(ilki_arena *a, const void *from, size_t n, const void *defaults, size_t known,
                             const char *what, const void **out, ilk_error *err)
{
    size_t step;
    *out = NULL;
    if (n == 0)
        return ILK_OK;
    if (!from)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: %zu of them, but the array is NULL", what, n);
    memcpy(&step, from, sizeof step);
    if (step == known) {
        *out = from;
        return ILK_OK;
    }
    if (step <= sizeof step || step > MAX_SIZE)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: size is %zu, expected about %zu; was its init macro called?",
                              what, step, known);
    char *to = ilki_base_arena_alloc(a, n, known);
    if (!to)
        return ilki_base_fail_memory(err, n * known, what);
    for (size_t i = 0; i < n; i++) {
        char *one = to + i * known;
        memcpy(one, defaults, known);
        memcpy(one + sizeof step, (const char *)from + i * step + sizeof step,
               (step < known ? step : known) - sizeof step);
    }
    *out = to;
    return ILK_OK;
}

/* ------------------------------------------------------------------ items */

static const ilk_vector no_vector = {.size = sizeof(ilk_vector)};
static const ilk_value no_value = {.size = sizeof(ilk_value)};
static const ilk_filter no_filter = {.size = sizeof(ilk_filter)};

static bool same_size(const void *array, size_t n, size_t known)
{
    size_t size;
    if (n == 0 || !array)
        return n == 0;
    memcpy(&size, array, sizeof size);
    return size == known;
}

ilk_status ilki_api_take_items(ilki_arena *a, const ilk_item *items, size_t n, const ilk_item **out, ilk_error *err)
{
    const void *taken;
    ilk_status st = take_array(a, items, n, &ilki_api_item, sizeof *items, "items", &taken, err);
    *out = taken;
    bool plain = !st;
    for (size_t i = 0; plain && i < n; i++)
        plain = same_size((*out)[i].fields, (*out)[i].n_fields, sizeof(ilk_field)) &&
                same_size((*out)[i].vectors, (*out)[i].n_vectors, sizeof(ilk_vector));
    if (st || plain)
        return st;
    ilk_item *copy = ilki_base_arena_alloc(a, n, sizeof *copy);
    if (!copy)
        return ilki_base_fail_memory(err, n * sizeof *copy, "items");
    memcpy(copy, *out, n * sizeof *copy);
    for (size_t i = 0; !st && i < n; i++) {
        const void *fields, *vectors;
        st = take_array(a, copy[i].fields, copy[i].n_fields, &ilki_api_field, sizeof(ilk_field), "fields", &fields,
                        err);
        if (!st)
            st = take_array(a, copy[i].vectors, copy[i].n_vectors, &no_vector, sizeof(ilk_vector), "vectors", &vectors,
                            err);
        if (st) {
            ilki_base_error_prefix(err, "item %zu", i);
            break;
        }
        copy[i].fields = fields;
        copy[i].vectors = vectors;
    }
    *out = copy;
    return st;
}

/* ------------------------------------------------------------------ filters */

static ilk_status take_nodes(ilki_arena *a, const ilk_filter *f, size_t n, unsigned depth, size_t *n_nodes,
                             const ilk_filter **out, ilk_error *err)
{
    const void *taken;
    if (depth > MAX_DEPTH)
        return ilki_base_fail(err, ILK_LIMIT, "filter: deeper than %d levels", MAX_DEPTH);
    if (n > MAX_NODES - *n_nodes)
        return ilki_base_fail(err, ILK_LIMIT, "filter: more than %d nodes", MAX_NODES);
    *n_nodes += n;
    ilk_status st = take_array(a, f, n, &no_filter, sizeof *f, "filter", &taken, err);
    if (st || n == 0)
        return *out = NULL, st;
    ilk_filter *copy = ilki_base_arena_alloc(a, n, sizeof *copy);
    if (!copy)
        return ilki_base_fail_memory(err, n * sizeof *copy, "a filter");
    memcpy(copy, taken, n * sizeof *copy);
    for (size_t i = 0; !st && i < n; i++) {
        const void *values = NULL;
        st = take_array(a, copy[i].values, copy[i].n_values, &no_value, sizeof(ilk_value), "filter values", &values,
                        err);
        copy[i].values = values;
        if (!st)
            st = take_nodes(a, copy[i].children, copy[i].n_children, depth + 1, n_nodes, &copy[i].children, err);
    }
    *out = copy;
    return st;
}

ilk_status ilki_api_take_filter(ilki_arena *a, const ilk_filter *f, const ilk_filter **out, ilk_error *err)
{
    size_t n_nodes = 0;
    *out = NULL;
    return f ? take_nodes(a, f, 1, 1, &n_nodes, out, err) : ILK_OK;
}

/* ------------------------------------------------------------------ queries */

ilk_status ilki_api_take_queries(ilki_arena *a, const ilk_query *q, size_t n, bool one, ilk_query **out, ilk_error *err)
{
    const void *taken;
    if (one && !q)
        q = &ilki_api_query;
    ilk_status st = take_array(a, q, n, &ilki_api_query, sizeof *q, "queries", &taken, err);
    if (st)
        return st;
    *out = ilki_base_arena_alloc(a, n, sizeof **out);
    if (!*out)
        return ilki_base_fail_memory(err, n * sizeof **out, "queries");
    if (n)
        memcpy(*out, taken, n * sizeof **out);
    for (size_t i = 0; !st && i < n; i++)
        st = ilki_api_take_filter(a, (*out)[i].filter, &(*out)[i].filter, err);
    return st;
}
