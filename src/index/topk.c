/* SPDX-License-Identifier: Apache-2.0
 * A binary heap with the worst of the kept ones on top. */
#include "index/topk.h"

#include <math.h>
#include <stdlib.h>

static void sift_down(ilki_topk *t, size_t i)
{
    ilki_candidate c = t->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->n)
            break;
        if (child + 1 < t->n && ilki_index_better(t->heap[child], t->heap[child + 1]))
            child++;
        if (!ilki_index_better(c, t->heap[child]))
            break;
        t->heap[i] = t->heap[child];
        i = child;
    }
    t->heap[i] = c;
}

void ilki_index_topk_push(ilki_topk *t, ilki_candidate c)
{
    if (t->n < t->k) {
        size_t i = t->n++;
        while (i > 0 && ilki_index_better(t->heap[(i - 1) / 2], c)) {
            t->heap[i] = t->heap[(i - 1) / 2];
            i = (i - 1) / 2;
        }
        t->heap[i] = c;
    } else if (t->k > 0 && ilki_index_better(c, t->heap[0])) {
        t->heap[0] = c;
        sift_down(t, 0);
    }
}

float ilki_index_topk_floor(const ilki_topk *t)
{
    return t->n < t->k || t->k == 0 ? -INFINITY : t->heap[0].score;
}

static int compare(const void *a, const void *b)
{
    const ilki_candidate *x = a, *y = b;
    return ilki_index_better(*x, *y) ? -1 : ilki_index_better(*y, *x);
}

void ilki_index_topk_sort(ilki_topk *t)
{
    qsort(t->heap, t->n, sizeof *t->heap, compare);
}
