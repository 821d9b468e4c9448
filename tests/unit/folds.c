/* SPDX-License-Identifier: Apache-2.0
 * Parts of pairs: groups are whole, nothing is lost, the same for a seed; large groups are fitted on. */
#include "train/folds.h"

#include "test.h"

enum { PICTURES = 900, TEXTS = 700 };

static ilki_train_pair list[4 * PICTURES];

static size_t make_pairs(void)
{
    size_t n = 0;
    uint64_t seed = 3;
    for (uint32_t i = 0; i < PICTURES; i++) {
        list[n++] = (ilki_train_pair){i, i < 100 ? 0 : i % TEXTS}; /* a caption that a hundred pictures have */
        if (ilki_train_random(&seed) % 3 == 0)
            list[n++] = (ilki_train_pair){i, (uint32_t)(100 + ilki_train_random(&seed) % 40)};
    }
    return n;
}

/* Nothing of one part is in another. */
static void check_apart(const ilki_folds *f)
{
    static int part_of[2][PICTURES + TEXTS];
    memset(part_of, 0xff, sizeof part_of);
    for (int k = 0; k < ILKI_FOLDS; k++)
        for (size_t i = f->first[k]; i < f->first[k + 1]; i++) {
            int *a = &part_of[0][f->pairs[i].picture], *b = &part_of[1][f->pairs[i].text];
            CHECK_THAT((*a < 0 || *a == k) && (*b < 0 || *b == k), "pair %zu is in part %d, its fellows in %d and %d",
                       i, k, *a, *b);
            *a = *b = k;
        }
}

static void groups_are_whole(void)
{
    ilki_train_pairs p = {.list = list, .n_pictures = PICTURES, .n_texts = TEXTS};
    ilki_folds a, b, c;
    ilk_error err;
    ilk_error_init(&err);
    p.n = make_pairs();
    REQUIRE(CHECK_OK(ilki_train_folds_init(&a, &p, 1, &err), &err));
    REQUIRE(CHECK_OK(ilki_train_folds_init(&b, &p, 1, &err), &err));
    REQUIRE(CHECK_OK(ilki_train_folds_init(&c, &p, 2, &err), &err));
    check_apart(&a);
    check_apart(&c);
    CHECK_INT(a.first[ILKI_FOLDS], p.n);
    CHECK_MEM(a.pairs, b.pairs, p.n * sizeof *list);
    CHECK(memcmp(a.pairs, c.pairs, p.n * sizeof *list) != 0);
    for (int k = 0; k < 2; k++) {
        size_t n = a.first[k + 1] - a.first[k];
        CHECK_THAT(n * 5 >= p.n && n * 5 < p.n + p.n / 2, "part %d has %zu of %zu pairs", k, n, p.n);
    }
    uint64_t sum = 0, want = 0;
    for (size_t i = 0; i < p.n; i++) {
        sum += a.pairs[i].picture * 1000003u + a.pairs[i].text;
        want += list[i].picture * 1000003u + list[i].text;
        if (a.pairs[i].text == 0 && i < a.first[ILKI_FOLD_FIT])
            CHECK_THAT(false, "a large group is held out");
    }
    CHECK_INT(sum, want);
    ilki_train_folds_deinit(&a);
    ilki_train_folds_deinit(&b);
    ilki_train_folds_deinit(&c);
}

static void few(void)
{
    ilki_train_pairs p = {.list = list, .n_pictures = 3, .n_texts = 3, .n = 3};
    ilki_folds f;
    ilk_error err;
    ilk_error_init(&err);
    for (uint32_t i = 0; i < 3; i++)
        list[i] = (ilki_train_pair){i, i};
    CHECK_OK(ilki_train_folds_init(&f, &p, 0, &err), &err);
    CHECK_INT(f.n_groups[ILKI_FOLD_FIT], 3); /* each is more than a twentieth */
    ilki_train_folds_deinit(&f);
}

TEST_MAIN({"groups are whole", groups_are_whole}, {"few", few})
