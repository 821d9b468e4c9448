/* SPDX-License-Identifier: Apache-2.0
 * A first program on libilk: a store of four colours, and the two nearest to a fifth. The vectors are its own (red, green,
 * blue), so no model is needed. It is C11 and C++17 at the same time, and uses only the installed package:
 *
 *     cc first.c -o first $(pkg-config --cflags --libs ilk) && ./first /tmp/colours
 */
#include <ilk.h>
#include <stdio.h>

#define N_COLOURS 4

static const char *const names[N_COLOURS] = {"brick", "sky", "leaf", "rose"};
static const float colours[N_COLOURS][3] = {
    {0.80f, 0.25f, 0.20f}, {0.40f, 0.70f, 0.95f}, {0.25f, 0.65f, 0.20f}, {0.95f, 0.30f, 0.45f}};

/* Every vector of a store belongs to a space, which says what it is. */
static ilk_status declare_space(ilk_store *store, ilk_error *err)
{
    ilk_space space;
    ilk_space_init(&space);
    space.name = "rgb";
    space.kind = ILK_DENSE;
    space.dim = 3;
    space.metric = ILK_COSINE;
    return ilk_store_ensure_space(store, &space, err);
}

/* One batch: when the call returns ILK_OK, all of it is on the disk. */
static ilk_status put_colours(ilk_store *store, ilk_error *err)
{
    ilk_item items[N_COLOURS];
    ilk_vector vectors[N_COLOURS];
    for (int i = 0; i < N_COLOURS; i++) {
        vectors[i].size = sizeof vectors[i];
        vectors[i].space = "rgb";
        vectors[i].data = colours[i];
        vectors[i].indices = NULL;
        vectors[i].rows = 1;
        vectors[i].dim = 3;
        ilk_item_init(&items[i]);
        items[i].id = names[i];
        items[i].vectors = &vectors[i];
        items[i].n_vectors = 1;
    }
    return ilk_store_upsert(store, items, N_COLOURS, NULL, err);
}

static ilk_status print_nearest(ilk_store *store, const float *colour, ilk_error *err)
{
    ilk_query query;
    ilk_query_init(&query);
    query.vector.size = sizeof query.vector;
    query.vector.space = "rgb";
    query.vector.data = colour;
    query.vector.rows = 1;
    query.vector.dim = 3;
    query.k = 2;
    ilk_hits *hits = NULL;
    ilk_status status = ilk_store_search(store, &query, 1, NULL, &hits, err);
    for (size_t i = 0; i < ilk_hits_get_count(hits, 0) && status == ILK_OK; i++) {
        ilk_hit hit;
        ilk_hit_init(&hit);
        status = ilk_hits_get(hits, 0, i, &hit, err);
        if (status == ILK_OK)
            printf("%u. %s %.3f\n", (unsigned)hit.rank, hit.id, (double)hit.score);
    }
    ilk_hits_free(hits);
    return status;
}

int main(int argc, char **argv)
{
    static const float crimson[3] = {0.86f, 0.08f, 0.24f};
    ilk_error err;
    ilk_runtime *runtime = NULL;
    ilk_store *store = NULL;
    ilk_error_init(&err);
    if (argc != 2) {
        fprintf(stderr, "usage: first DIRECTORY\n");
        return 2;
    }
    ilk_status status = ilk_runtime_open(&runtime, NULL, &err);
    if (status == ILK_OK)
        status = ilk_store_open(&store, runtime, argv[1], NULL, &err);
    if (status == ILK_OK)
        status = declare_space(store, &err);
    if (status == ILK_OK)
        status = put_colours(store, &err);
    if (status == ILK_OK)
        status = print_nearest(store, crimson, &err);
    if (status != ILK_OK)
        fprintf(stderr, "first: %s: %s\n", ilk_status_string(status), err.message);
    ilk_store_close(store);
    ilk_runtime_close(runtime);
    return status == ILK_OK ? 0 : 1;
}
