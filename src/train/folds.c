/* SPDX-License-Identifier: Apache-2.0
 * Groups by union-find over pictures and captions; groups shuffled, then dealt out whole. */
#include "train/folds.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PICTURES = 2000 };

uint64_t ilki_train_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t find(uint32_t *up, uint32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

/* group[picture] of all pictures, numbered by their first picture; returns how many there are. */
static size_t number_groups(const ilki_train_pairs *p, uint32_t *up, uint32_t *group)
{
    size_t n = 0, total = p->n_pictures + p->n_texts;
    for (size_t i = 0; i < total; i++)
        up[i] = (uint32_t)i;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t a = find(up, p->list[i].picture), b = find(up, (uint32_t)p->n_pictures + p->list[i].text);
        up[a > b ? a : b] = a > b ? b : a; /* the root is the smallest, a picture */
    }
    for (size_t i = 0; i < p->n_pictures; i++) {
        uint32_t root = find(up, (uint32_t)i);
        group[i] = root == i ? (uint32_t)n++ : group[root];
    }
    return n;
}

typedef struct group {
    size_t n_pairs, n_pictures, at; /* at: where its pairs go */
} group;

static void count_pairs(const ilki_train_pairs *p, const uint32_t *group_of, group *groups)
{
    for (size_t i = 0; i < p->n; i++) {
        group *g = &groups[group_of[p->list[i].picture]];
        g->n_pairs++;
        g->n_pictures += i == 0 || p->list[i].picture != p->list[i - 1].picture;
    }
}

/* Which part each group is in, in shuffled order. */
static void deal(const group *groups, const uint32_t *order, size_t n_groups, size_t n_pairs, unsigned char *part)
{
    size_t pairs[2] = {0}, pictures[2] = {0};
    for (size_t i = 0; i < n_groups; i++) {
        const group *g = &groups[order[i]];
        part[order[i]] = ILKI_FOLD_FIT;
        for (unsigned char k = 0; k < 2 && part[order[i]] == ILKI_FOLD_FIT; k++) {
            if (g->n_pairs == 0 || g->n_pairs * 20 > n_pairs || pairs[k] * 5 >= n_pairs || pictures[k] >= MOST_PICTURES)
                continue;
            part[order[i]] = k;
            pairs[k] += g->n_pairs;
            pictures[k] += g->n_pictures;
        }
    }
}

static void lay_out(ilki_folds *f, const ilki_train_pairs *p, const uint32_t *group_of, group *groups,
                    const uint32_t *order, size_t n_groups, const unsigned char *part)
{
    size_t at = 0;
    for (int k = 0; k < ILKI_FOLDS; k++) {
        f->first[k] = at;
        for (size_t i = 0; i < n_groups; i++) {
            group *g = &groups[order[i]];
            if (part[order[i]] != k)
                continue;
            g->at = at;
            at += g->n_pairs;
            f->n_groups[k] += g->n_pairs > 0;
        }
    }
    f->first[ILKI_FOLDS] = at;
    for (size_t i = 0; i < p->n; i++)
        f->pairs[groups[group_of[p->list[i].picture]].at++] = p->list[i];
}

ilk_status ilki_train_folds_init(ilki_folds *f, const ilki_train_pairs *pairs, uint64_t seed, ilk_error *err)
{
    size_t total = pairs->n_pictures + pairs->n_texts, n = pairs->n_pictures;
    *f = (ilki_folds){0};
    if (total > UINT32_MAX / 2)
        return ilki_base_fail(err, ILK_LIMIT, "more than %u pictures and captions", UINT32_MAX / 2);
    f->pairs = ilki_base_zalloc(pairs->n, sizeof *f->pairs);
    uint32_t *up = ilki_base_zalloc(total, sizeof *up), *group_of = ilki_base_zalloc(n, sizeof *group_of),
             *order = ilki_base_zalloc(n, sizeof *order);
    group *groups = ilki_base_zalloc(n, sizeof *groups);
    unsigned char *part = ilki_base_zalloc(n, 1);
    ilk_status st = f->pairs && up && group_of && order && groups && part
                        ? ILK_OK
                        : ilki_base_fail_memory(err, total * sizeof *groups, "groups of pairs");
    if (st == ILK_OK) {
        size_t n_groups = number_groups(pairs, up, group_of);
        count_pairs(pairs, group_of, groups);
        for (size_t i = 0; i < n_groups; i++) { /* shuffled from the front */
            size_t k = (size_t)(ilki_train_random(&seed) % (i + 1));
            order[i] = order[k];
            order[k] = (uint32_t)i;
        }
        deal(groups, order, n_groups, pairs->n, part);
        lay_out(f, pairs, group_of, groups, order, n_groups, part);
    }
    free(up);
    free(group_of);
    free(order);
    free(groups);
    free(part);
    return st;
}

void ilki_train_folds_deinit(ilki_folds *f)
{
    free(f->pairs);
    *f = (ilki_folds){0};
}
