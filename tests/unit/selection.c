/* SPDX-License-Identifier: Apache-2.0
 * What filters selected lately: keys, states of the store, which one goes. */
#include "engine/selection.h"

#include "store_test.h"

static void keys(void)
{
    ilk_value a = st_text("image"), b = st_text("images"), n = st_int(3), r = st_real(3);
    ilk_value two[2] = {a, b}, swapped[2] = {b, a};
    ilk_filter f[10] = {
        st_filter(ILK_FILTER_EQ, "modality", &a),
        st_filter(ILK_FILTER_NE, "modality", &a),
        st_filter(ILK_FILTER_EQ, "modality", &b),
        st_filter(ILK_FILTER_EQ, "kind", &a),
        st_filter(ILK_FILTER_EQ, "modality", &n),
        st_filter(ILK_FILTER_EQ, "modality", &r),
        st_filter(ILK_FILTER_IN, "modality", two),
        st_filter(ILK_FILTER_IN, "modality", swapped),
        {.size = sizeof(ilk_filter), .op = ILK_FILTER_NOT, .children = &f[0], .n_children = 1},
        {.size = sizeof(ilk_filter), .op = ILK_FILTER_AND, .children = f, .n_children = 2},
    };
    uint8_t key[10][32], again[32];
    f[6].n_values = f[7].n_values = 2;
    for (size_t i = 0; i < 10; i++)
        ilki_engine_selection_key(&f[i], key[i]);
    for (size_t i = 0; i < 10; i++) {
        ilki_engine_selection_key(&f[i], again);
        CHECK_MEM(again, key[i], 32);
        for (size_t k = 0; k < i; k++)
            CHECK_THAT(memcmp(key[i], key[k], 32) != 0, "filters %zu and %zu have one key", i, k);
    }
}

static void check_found(ilki_selections *s, uint8_t which, uint64_t upto, bool want, size_t want_n, uint64_t first)
{
    uint8_t key[32] = {which};
    uint64_t *labels;
    size_t n;
    CHECK_INT(ilki_engine_selection_find(s, key, upto, &labels, &n), want);
    CHECK_INT(n, want ? want_n : 0);
    if (want && want_n && labels)
        CHECK_INT(labels[0], first);
    free(labels);
}

static void kept(void)
{
    ilki_selections s;
    uint64_t labels[3] = {5, 7, 9};
    uint8_t key[32] = {1};
    REQUIRE(CHECK(ilki_engine_selections_init(&s)));
    check_found(&s, 1, 10, false, 0, 0);
    ilki_engine_selection_keep(&s, key, 10, labels, 3);
    labels[0] = 6; /* it has its own */
    check_found(&s, 1, 10, true, 3, 5);
    check_found(&s, 1, 11, false, 0, 0);
    check_found(&s, 2, 10, false, 0, 0);
    ilki_engine_selection_keep(&s, key, 11, labels, 2); /* the new state takes the old one's place */
    check_found(&s, 1, 10, false, 0, 0);
    check_found(&s, 1, 11, true, 2, 6);
    key[0] = 2;
    ilki_engine_selection_keep(&s, key, 11, NULL, 0); /* nothing is selected: known, too */
    check_found(&s, 2, 11, true, 0, 0);
    for (uint8_t i = 3; i <= 5; i++) { /* the fifth takes the place of the one that was not asked for longest */
        check_found(&s, 1, 11, true, 2, 6);
        key[0] = i;
        ilki_engine_selection_keep(&s, key, 11, labels, i % 3);
    }
    check_found(&s, 2, 11, false, 0, 0);
    for (uint8_t i = 1; i <= 5; i++)
        if (i != 2)
            check_found(&s, i, 11, true, i == 1 ? 2 : i % 3, 6);
    ilki_engine_selection_keep(&s, key, 12, labels, (size_t)ILKI_SELECTION_LABELS + 1); /* too many */
    check_found(&s, 5, 12, false, 0, 0);
    ilki_engine_selections_deinit(&s);
}

TEST_MAIN({"keys", keys}, {"kept", kept})
