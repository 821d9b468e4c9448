/* SPDX-License-Identifier: Apache-2.0
 * SHA-1 (FIPS 180-4, 6.1) behind git's header of a blob. */
#include "net/gitblob.h"

#include <stdio.h>
#include <string.h>

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void take_block(ilki_gitblob *g, const uint8_t *p)
{
    uint32_t w[80], a = g->h[0], b = g->h[1], c = g->h[2], d = g->h[3], e = g->h[4];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20)
            f = (b & c) | (~b & d), k = 0x5a827999;
        else if (i < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (i < 60)
            f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        uint32_t t = rotate(a, 5) + f + e + k + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = t;
    }
    g->h[0] += a, g->h[1] += b, g->h[2] += c, g->h[3] += d, g->h[4] += e;
}

void ilki_net_gitblob_init(ilki_gitblob *g, uint64_t size)
{
    char head[32];
    *g = (ilki_gitblob){.h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
    int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size);
    ilki_net_gitblob_add(g, head, (size_t)n + 1);
}

void ilki_net_gitblob_add(ilki_gitblob *g, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t have = g->n_bytes % 64;
    g->n_bytes += n;
    while (n > 0) {
        size_t take = n < 64 - have ? n : 64 - have;
        memcpy(g->block + have, p, take);
        have += take, p += take, n -= take;
        if (have == 64) {
            take_block(g, g->block);
            have = 0;
        }
    }
}

void ilki_net_gitblob_end(ilki_gitblob *g, uint8_t out[20])
{
    uint64_t bits = g->n_bytes * 8;
    uint8_t tail[72] = {0x80};
    size_t have = g->n_bytes % 64, n = (have < 56 ? 56 : 120) - have;
    for (int i = 0; i < 8; i++)
        tail[n + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    ilki_net_gitblob_add(g, tail, n + 8);
    for (int i = 0; i < 20; i++)
        out[i] = (uint8_t)(g->h[i / 4] >> (24 - 8 * (i % 4)));
}
