/* SPDX-License-Identifier: Apache-2.0
 * Places among scores: ties fall to the smaller row, against a sort. */
#include "embed/rank.h"

#include "test.h"

static void known_places(void)
{
    static const float s[] = {0.5f, 0.9f, 0.5f, -1, 0.9f};
    static const struct {
        uint32_t right[3];
        size_t n, want;
    } cases[] = {{{1}, 1, 0}, {{4}, 1, 1},    {{0}, 1, 2},    {{2}, 1, 3},      {{3}, 1, 4},
                 {{0}, 0, 5}, {{4, 1}, 2, 0}, {{3, 2}, 2, 3}, {{2, 0, 3}, 3, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_THAT(ilki_embed_first_place(s, 5, cases[i].right, cases[i].n) == cases[i].want, "case %zu", i);
    CHECK_INT(ilki_embed_first_place(s, 0, NULL, 0), 0);
}

/* Scores of three values, so that nearly all are ties: a stable descending sort has the same place. */
static void as_a_sort(void)
{
    uint64_t state = 7;
    for (int turn = 0; turn < 200; turn++) {
        float s[40];
        uint32_t right[3];
        size_t n = 1 + (size_t)turn % 40, best = n;
        for (size_t i = 0; i < n; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            s[i] = (float)(state >> 62);
        }
        for (size_t i = 0; i < 3; i++)
            right[i] = (uint32_t)((state >> (10 + 8 * i)) % n);
        size_t place = 0;
        for (int value = 3; value >= 0; value--)
            for (size_t i = 0; i < n; i++) {
                if ((int)s[i] != value)
                    continue;
                if (best == n && (right[0] == i || right[1] == i || right[2] == i))
                    best = place;
                place++;
            }
        CHECK_INT(ilki_embed_first_place(s, n, right, 3), best);
    }
}

TEST_MAIN({"known places", known_places}, {"as a sort", as_a_sort})
