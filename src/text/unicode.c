/* SPDX-License-Identifier: Apache-2.0
 * Look-ups in the generated tables: sorted keys, bisected. Hangul is arithmetic (Unicode, section 3.12). */
#include "text/unicode.h"

enum {
    HANGUL_S = 0xac00,
    HANGUL_L = 0x1100,
    HANGUL_V = 0x1161,
    HANGUL_T = 0x11a7,
    HANGUL_N_L = 19,
    HANGUL_N_V = 21,
    HANGUL_N_T = 28,
    HANGUL_N_S = HANGUL_N_L * HANGUL_N_V * HANGUL_N_T
};

/* First place in keys[0..n) whose key is not below. */
static size_t lower_bound(const uint32_t *keys, size_t n, uint32_t key)
{
    const uint32_t *base = keys;
    while (n > 1) {
        size_t half = n / 2;
        base += base[half - 1] < key ? half : 0;
        n -= half;
    }
    return (size_t)(base - keys) + (n == 1 && *base < key);
}

static const uint32_t *look_up(uint32_t cp, const uint32_t *keys, size_t n_keys, const uint16_t *at,
                               const uint32_t *pool, size_t *n)
{
    size_t i = lower_bound(keys, n_keys, cp);
    if (i == n_keys || keys[i] != cp)
        return NULL;
    *n = (size_t)(at[i + 1] - at[i]);
    return pool + at[i];
}

const uint32_t *ilki_text_lower(uint32_t cp, size_t *n)
{
    return look_up(cp, ilki_text_lower_key, ilki_text_n_lower, ilki_text_lower_at, ilki_text_lower_pool, n);
}

const uint32_t *ilki_text_decompose(uint32_t cp, bool compat, size_t *n)
{
    const uint32_t *to = NULL;
    if (compat)
        to = look_up(cp, ilki_text_nfkd_key, ilki_text_n_nfkd, ilki_text_nfkd_at, ilki_text_nfkd_pool, n);
    if (!to)
        to = look_up(cp, ilki_text_nfd_key, ilki_text_n_nfd, ilki_text_nfd_at, ilki_text_nfd_pool, n);
    return to;
}

size_t ilki_text_decompose_hangul(uint32_t cp, uint32_t out[3])
{
    if (cp < HANGUL_S || cp >= HANGUL_S + HANGUL_N_S)
        return 0;
    uint32_t s = cp - HANGUL_S;
    out[0] = HANGUL_L + s / (HANGUL_N_V * HANGUL_N_T);
    out[1] = HANGUL_V + s % (HANGUL_N_V * HANGUL_N_T) / HANGUL_N_T;
    out[2] = HANGUL_T + s % HANGUL_N_T;
    return s % HANGUL_N_T ? 3 : 2;
}

static uint32_t compose_hangul(uint32_t first, uint32_t second)
{
    if (first >= HANGUL_L && first < HANGUL_L + HANGUL_N_L && second >= HANGUL_V && second < HANGUL_V + HANGUL_N_V)
        return HANGUL_S + ((first - HANGUL_L) * HANGUL_N_V + (second - HANGUL_V)) * HANGUL_N_T;
    if (first >= HANGUL_S && first < HANGUL_S + HANGUL_N_S && (first - HANGUL_S) % HANGUL_N_T == 0 &&
        second > HANGUL_T && second < HANGUL_T + HANGUL_N_T)
        return first + (second - HANGUL_T);
    return 0;
}

uint32_t ilki_text_compose(uint32_t first, uint32_t second)
{
    size_t n = ilki_text_n_compose;
    for (size_t i = lower_bound(ilki_text_compose_first, n, first); i < n && ilki_text_compose_first[i] == first; i++)
        if (ilki_text_compose_second[i] == second)
            return ilki_text_compose_to[i];
    return compose_hangul(first, second);
}
