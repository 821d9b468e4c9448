/* SPDX-License-Identifier: Apache-2.0
 * "Did you mean": the distance of Damerau and Levenshtein with swaps of neighbours (optimal string alignment). */
#include <string.h>

#include "cli.h"

#define MAX_WORD 32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[3][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

void cli_suggest(cli_suggestion *s, const char *candidate)
{
    size_t n = strlen(s->wanted), d = distance(s->wanted, candidate);
    /* a beginning is as good as one slip: "sim" means similar, "colo" means color */
    if (n >= 3 && strncmp(s->wanted, candidate, n) == 0)
        d = 1;
    if (d <= 1 + n / 4 && d < n && (!s->best || d < s->distance)) {
        s->best = candidate;
        s->distance = d;
    }
}
