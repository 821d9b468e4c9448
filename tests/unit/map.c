/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

static void empty_map(void)
{
    ilki_map m = {0};
    CHECK_INT(ilki_base_map_get(&m, "a", 1), ILKI_MAP_NONE);
    CHECK(!ilki_base_map_remove(&m, "a", 1));
    ilki_base_map_deinit(&m);
    ilki_base_map_deinit(&m);
    CHECK(m.slots == NULL);
}

static void put_get_remove(void)
{
    ilki_map m = {0};
    uint32_t old = 7;
    CHECK(ilki_base_map_put(&m, "ab", 2, 1, &old));
    CHECK_INT(old, ILKI_MAP_NONE);
    CHECK(ilki_base_map_put(&m, "ab\0", 3, 2, NULL));
    CHECK(ilki_base_map_put(&m, NULL, 0, 3, NULL));
    CHECK(ilki_base_map_put(&m, "ab", 2, 4, &old));
    CHECK_INT(old, 1);
    CHECK_INT(m.n, 3);
    CHECK_INT(ilki_base_map_get(&m, "ab", 2), 4);
    CHECK_INT(ilki_base_map_get(&m, "ab\0", 3), 2);
    CHECK_INT(ilki_base_map_get(&m, "", 0), 3);
    CHECK_INT(ilki_base_map_get(&m, "a", 1), ILKI_MAP_NONE);
    CHECK(ilki_base_map_remove(&m, "ab", 2));
    CHECK(!ilki_base_map_remove(&m, "ab", 2));
    CHECK_INT(m.n, 2);
    CHECK_INT(ilki_base_map_get(&m, "ab", 2), ILKI_MAP_NONE);
    CHECK_INT(ilki_base_map_get(&m, "ab\0", 3), 2);
    CHECK(m.seed != 0);
    CHECK(!ilki_base_map_reserve(&m, SIZE_MAX));
    CHECK(!ilki_base_map_put(&m, "x", (size_t)UINT32_MAX + 1, 1, NULL));
    ilki_base_map_deinit(&m);
}

/* The old key's memory may go once it is renewed. */
static void renew(void)
{
    ilki_map m = {0};
    uint32_t old = 7;
    char first[] = "key", second[] = "key";
    CHECK(ilki_base_map_renew(&m, first, 3, 1, &old));
    CHECK_INT(old, ILKI_MAP_NONE);
    CHECK(ilki_base_map_renew(&m, second, 3, 2, &old));
    CHECK_INT(old, 1);
    first[0] = 'x';
    CHECK_INT(ilki_base_map_get(&m, "key", 3), 2);
    CHECK_INT(m.n, 1);
    CHECK(!ilki_base_map_renew(&m, "x", (size_t)UINT32_MAX + 1, 1, &old));
    ilki_base_map_deinit(&m);
}

/* Random puts and removes against an array, in a table kept nearly full so that runs are long and wrap. */
static void against_an_array(void)
{
    enum { N = 3000, STEPS = 200000 };
    static char keys[N][8];
    static uint32_t want[N];
    uint64_t rng = 1;
    ilki_map m = {.seed = 99};
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        want[i] = ILKI_MAP_NONE;
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        size_t i = test_random(&rng) % N;
        if (test_random(&rng) % 3) {
            uint32_t old;
            n += want[i] == ILKI_MAP_NONE;
            if (!ilki_base_map_put(&m, keys[i], strlen(keys[i]), step, &old) || old != want[i])
                REQUIRE(CHECK_INT(old, want[i]));
            want[i] = step;
        } else {
            bool there = want[i] != ILKI_MAP_NONE;
            if (ilki_base_map_remove(&m, keys[i], strlen(keys[i])) != there)
                REQUIRE(CHECK(!"remove tells what was there"));
            n -= there;
            want[i] = ILKI_MAP_NONE;
        }
        if (step % 997 == 0)
            for (size_t j = 0; j < N; j++)
                if (ilki_base_map_get(&m, keys[j], strlen(keys[j])) != want[j])
                    REQUIRE(CHECK_INT(ilki_base_map_get(&m, keys[j], strlen(keys[j])), want[j]));
    }
    CHECK_INT(m.n, n);
    CHECK_INT(m.cap, 4096);
    ilki_base_map_deinit(&m);
}

static int compare(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Every length, every single bit flipped: all hashes differ, and each output bit turns about half of the time. */
static void hash_spreads(void)
{
    enum { LEN = 70 };
    static uint64_t all[LEN * LEN * 8 + LEN];
    unsigned char key[LEN];
    size_t n = 0, turned[64] = {0}, flips = 0;
    for (size_t i = 0; i < LEN; i++)
        key[i] = (unsigned char)(i * 37 + 11);
    for (size_t len = 0; len < LEN; len++) {
        uint64_t h = ilki_base_hash64(key, len, 5);
        all[n++] = h;
        for (size_t bit = 0; bit < len * 8; bit++, flips++) {
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            uint64_t g = ilki_base_hash64(key, len, 5);
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            all[n++] = g;
            for (int b = 0; b < 64; b++)
                turned[b] += (h ^ g) >> b & 1;
        }
    }
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 1; i < n; i++)
        if (all[i] == all[i - 1])
            CHECK(!"two hashes are equal");
    for (int b = 0; b < 64; b++) /* 19,320 flips: 0.5 +- 5 standard deviations is 0.482 to 0.518 */
        CHECK_NEAR((double)turned[b] / (double)flips, 0.5, 0.018);
    CHECK(ilki_base_hash64("abc", 3, 1) != ilki_base_hash64("abc", 3, 2));
    static const char zeros[40];
    for (size_t len = 1; len <= sizeof zeros; len++)
        CHECK(ilki_base_hash64(zeros, len, 6) != ilki_base_hash64(zeros, len - 1, 6));
    CHECK_INT(ilki_base_hash64(NULL, 0, 3), ilki_base_hash64("x", 0, 3));
}

TEST_MAIN({"empty_map", empty_map}, {"put_get_remove", put_get_remove}, {"renew", renew},
          {"against_an_array", against_an_array}, {"hash_spreads", hash_spreads})
