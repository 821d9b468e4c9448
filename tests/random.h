/* SPDX-License-Identifier: Apache-2.0
 * The tests' only randomness (splitmix64): the same on every machine; and how often a random test should repeat. */
#ifndef ILK_TEST_RANDOM_H
#define ILK_TEST_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

/* ILK_TEST_SCALE: 1, or more in the soak tests, which repeat what a short run samples. */
static inline unsigned test_scale(void)
{
    const char *text = getenv("ILK_TEST_SCALE");
    long n = text ? strtol(text, NULL, 10) : 1;
    return n > 1 && n <= 100000 ? (unsigned)n : 1;
}

static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

#endif
