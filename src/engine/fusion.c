/* SPDX-License-Identifier: Apache-2.0
 * Several ranked lists as one (reciprocal rank fusion, Cormack, Clarke and Buettcher 2009): an item counts 1 / (60 + rank)
 * in each list that has it. Scores of different spaces, and those of texts and pictures in one space, do not compare;
 * ranks do. Equal sums keep the order of the lists. No index and no store here. */
#include <stdlib.h>
#include <string.h>

#include "engine/collection.h"

enum { RANK_OFFSET = 60 };

typedef struct entry {
    ilki_record *record; /* NULL: merged into another of its id */
    const ilk_space *space;
    double score;
    size_t list, rank; /* where it stands best; rank from 0 */
} entry;

static bool stands_before(const entry *a, const entry *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->list < b->list;
}

static int by_id(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int c = strcmp(x->record->item.id, y->record->item.id);
    return c ? c : stands_before(x, y) ? -1 : 1;
}

static int by_score(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return stands_before(x, y) ? -1 : 1;
}

/* One entry for each id, the best placed of its lists with the sum of all; the number of them. */
static size_t merge(entry *e, size_t n)
{
    size_t n_out = 0;
    if (n)
        qsort(e, n, sizeof *e, by_id);
    for (size_t i = 0; i < n; i++) {
        entry *last = n_out ? &e[n_out - 1] : NULL;
        if (last && strcmp(last->record->item.id, e[i].record->item.id) == 0) {
            last->score += e[i].score;
            ilki_store_record_free(e[i].record);
        } else {
            e[n_out++] = e[i];
        }
    }
    return n_out;
}

ilk_status ilki_engine_fuse(const ilki_answer *lists, size_t n_lists, size_t k, ilki_found *out, size_t *n_out,
                            ilk_error *err)
{
    size_t n = 0, at = 0;
    *n_out = 0;
    for (size_t i = 0; i < n_lists; i++)
        n += lists[i].n;
    entry *e = ilki_base_zalloc(n, sizeof *e);
    for (size_t i = 0; i < n_lists; i++)
        for (size_t r = 0; r < lists[i].n; r++) {
            ilki_found *f = &lists[i].found[r];
            if (e)
                e[at++] = (entry){f->record, lists[i].space, 1.0 / (double)(RANK_OFFSET + r + 1), i, r};
            else
                ilki_store_record_free(f->record);
            f->record = NULL;
        }
    if (!e)
        return ilki_base_fail_memory(err, n * sizeof *e, "results");
    n = merge(e, n);
    if (n)
        qsort(e, n, sizeof *e, by_score);
    for (size_t i = 0; i < n; i++)
        if (i < k)
            out[(*n_out)++] = (ilki_found){(float)e[i].score, e[i].record, e[i].space};
        else
            ilki_store_record_free(e[i].record);
    free(e);
    return ILK_OK;
}
