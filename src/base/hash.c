/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 and CRC-32C: the reference in plain C, then the same with the instructions of x86 and Arm, chosen by what the
 * CPU has at each call (the answer of ilki_base_cpu_features is kept, so the choice costs one load). */
#include "base/hash.h"

#include <string.h>

#include "base/cpu.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__AARCH64EL__)
#include <arm_acle.h>
#include <arm_neon.h>
/* GCC switches the instructions on per function; clang's headers have them only where the whole file does. */
#if !defined(__clang__)
#define ARM_SHA   __attribute__((target("+crypto")))
#define ARM_CRC   __attribute__((target("+crc")))
#define ARM_LANES __attribute__((target("+crc+crypto")))
#else
#if defined(__ARM_FEATURE_SHA2)
#define ARM_SHA
#endif
#if defined(__ARM_FEATURE_CRC32)
#define ARM_CRC
#if defined(__ARM_FEATURE_AES)
#define ARM_LANES
#endif
#endif
#endif
#endif

/* First 32 bits of the fractions of the cube roots of the first 64 primes. */
/* clang-format off */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
/* clang-format on */

/* ---- SHA-256: block functions, n blocks of 64 bytes */

static uint32_t rotr(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void blocks_ref(uint32_t state[8], const uint8_t *p, size_t n)
{
    for (; n > 0; n--, p += 64) {
        uint32_t w[64], v[8];
        memcpy(v, state, sizeof v);
        for (int i = 0; i < 16; i++)
            w[i] = load_be(p + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
            uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        for (int i = 0; i < 64; i += 8) {
/* instead of moving a..h along by one each round, the names move: a of round j is v[-j mod 8] */
#pragma GCC unroll 8
            for (int j = 0; j < 8; j++) {
                uint32_t a = v[(8 - j) & 7], b = v[(9 - j) & 7], c = v[(10 - j) & 7], e = v[(12 - j) & 7],
                         f = v[(13 - j) & 7], g = v[(14 - j) & 7], *d = &v[(11 - j) & 7], *h = &v[(15 - j) & 7];
                uint32_t t1 = *h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + K[i + j] +
                              w[i + j];
                *d += t1;
                *h = t1 + (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            }
        }
        for (int i = 0; i < 8; i++)
            state[i] += v[i];
    }
}

#if defined(__x86_64__)
/* The instructions keep the state as (A B E F) and (C D G H); m holds the last 16 words of the schedule, by fours. */
__attribute__((target("sha,sse4.1"))) static void blocks_x86(uint32_t state[8], const uint8_t *p, size_t n)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abcd = _mm_loadu_si128((const __m128i *)(const void *)state);
    __m128i efgh = _mm_loadu_si128((const __m128i *)(const void *)(state + 4));
    abcd = _mm_shuffle_epi32(abcd, 0xb1);
    efgh = _mm_shuffle_epi32(efgh, 0x1b);
    __m128i abef = _mm_alignr_epi8(abcd, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);
    for (; n > 0; n--, p += 64) {
        __m128i abef_before = abef, cdgh_before = cdgh, m[4];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i < 4) {
                m[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)), swap);
            } else {
                __m128i older = _mm_sha256msg1_epu32(m[i & 3], m[(i + 1) & 3]);
                __m128i seventh = _mm_alignr_epi8(m[(i + 3) & 3], m[(i + 2) & 3], 4);
                m[i & 3] = _mm_sha256msg2_epu32(_mm_add_epi32(older, seventh), m[(i + 3) & 3]);
            }
            __m128i k = _mm_add_epi32(m[i & 3], _mm_loadu_si128((const __m128i *)(const void *)(K + 4 * i)));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#elif defined(ARM_SHA)
ARM_SHA static void blocks_arm(uint32_t state[8], const uint8_t *p, size_t n)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    for (; n > 0; n--, p += 64) {
        uint32x4_t abcd_before = abcd, efgh_before = efgh, m[4];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            if (i < 4)
                m[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p + 16 * i)));
            else
                m[i & 3] = vsha256su1q_u32(vsha256su0q_u32(m[i & 3], m[(i + 1) & 3]), m[(i + 2) & 3], m[(i + 3) & 3]);
            uint32x4_t k = vaddq_u32(m[i & 3], vld1q_u32(K + 4 * i)), abcd_now = abcd;
            abcd = vsha256hq_u32(abcd, efgh, k);
            efgh = vsha256h2q_u32(efgh, abcd_now, k);
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}
#endif

static void blocks(ilki_sha256 *s, const uint8_t *p, size_t n)
{
#if defined(__x86_64__)
    if (!s->plain && ilki_base_cpu_features() & ILKI_CPU_SHA) {
        blocks_x86(s->h, p, n);
        return;
    }
#elif defined(ARM_SHA)
    if (!s->plain && ilki_base_cpu_features() & ILKI_CPU_ARM_SHA2) {
        blocks_arm(s->h, p, n);
        return;
    }
#endif
    blocks_ref(s->h, p, n);
}

/* ---- SHA-256: the stream */

void ilki_base_sha256_init(ilki_sha256 *s)
{
    /* first 32 bits of the fractions of the square roots of the first 8 primes */
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(s, 0, sizeof *s);
    memcpy(s->h, start, sizeof start);
}

void ilki_base_sha256_add(ilki_sha256 *s, const void *data, size_t n)
{
    const uint8_t *p = data;
    size_t have = s->n_bytes % 64;
    s->n_bytes += n;
    if (have + n < 64) {
        if (n)
            memcpy(s->block + have, p, n);
        return;
    }
    if (have) {
        size_t take = 64 - have;
        memcpy(s->block + have, p, take);
        blocks(s, s->block, 1);
        p += take;
        n -= take;
    }
    if (n >= 64)
        blocks(s, p, n / 64);
    if (n % 64)
        memcpy(s->block, p + n / 64 * 64, n % 64);
}

void ilki_base_sha256_end(ilki_sha256 *s, uint8_t out[32])
{
    static const uint8_t pad[64] = {0x80};
    uint64_t n_bits = s->n_bytes * 8;
    uint8_t tail[8];
    ilki_base_sha256_add(s, pad, 64 - (s->n_bytes + 8) % 64);
    for (int i = 0; i < 8; i++)
        tail[i] = (uint8_t)(n_bits >> (56 - 8 * i));
    ilki_base_sha256_add(s, tail, 8);
    for (int i = 0; i < 32; i++)
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void ilki_base_sha256(const void *data, size_t n, uint8_t out[32])
{
    ilki_sha256 s;
    ilki_base_sha256_init(&s);
    ilki_base_sha256_add(&s, data, n);
    ilki_base_sha256_end(&s, out);
}

void ilki_base_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

/* ---- CRC-32C */

uint32_t ilki_base_crc32c_ref(uint32_t crc, const void *data, size_t n)
{
    /* the remainders of four bits */
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *p = data;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
#define CRC_TARGET   __attribute__((target("sse4.2")))
#define LANES_TARGET __attribute__((target("sse4.2,pclmul")))
enum { HAS_CRC = ILKI_CPU_SSE42, HAS_LANES = ILKI_CPU_SSE42 | ILKI_CPU_PCLMUL };

CRC_TARGET static inline uint32_t crc_byte(uint32_t c, uint8_t byte)
{
    return _mm_crc32_u8(c, byte);
}

CRC_TARGET static inline uint64_t crc_word(uint64_t c, uint64_t word)
{
    return _mm_crc32_u64(c, word);
}

LANES_TARGET static inline uint64_t times(uint64_t a, uint64_t b)
{
    __m128i x = _mm_cvtsi64_si128((int64_t)a), y = _mm_cvtsi64_si128((int64_t)b);
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(x, y, 0));
}
#elif defined(ARM_CRC)
#define CRC_TARGET ARM_CRC
#if defined(ARM_LANES)
#define LANES_TARGET ARM_LANES
#endif
enum { HAS_CRC = ILKI_CPU_ARM_CRC, HAS_LANES = ILKI_CPU_ARM_CRC | ILKI_CPU_ARM_PMULL };

ARM_CRC static inline uint32_t crc_byte(uint32_t c, uint8_t byte)
{
    return __crc32cb(c, byte);
}

ARM_CRC static inline uint64_t crc_word(uint64_t c, uint64_t word)
{
    return __crc32cd((uint32_t)c, word);
}

#if defined(LANES_TARGET)
LANES_TARGET static inline uint64_t times(uint64_t a, uint64_t b)
{
    return vgetq_lane_u64(vreinterpretq_u64_p128(vmull_p64(a, b)), 0);
}
#endif
#endif

#if defined(LANES_TARGET)
/* The instruction has a latency of three cycles and a throughput of one, so three lanes of n bytes, one behind the other,
 * are read at once. A lane is then carried over the bytes that follow it by a product with x^(8 * bytes - 33) mod P: the
 * missing 33 come from reflection (1) and from the reduction, which is one more step of the instruction (32). */
LANES_TARGET static uint64_t three_lanes(uint64_t c, const uint8_t *p, size_t n, const uint32_t over[2])
{
    uint64_t second = 0, third = 0, word[3];
    for (const uint8_t *end = p + n; p < end; p += 8) {
        memcpy(&word[0], p, 8);
        memcpy(&word[1], p + n, 8);
        memcpy(&word[2], p + 2 * n, 8);
        c = crc_word(c, word[0]);
        second = crc_word(second, word[1]);
        third = crc_word(third, word[2]);
    }
    return crc_word(0, times(c, over[1])) ^ crc_word(0, times(second, over[0])) ^ third;
}

LANES_TARGET static uint64_t crc_lanes(uint64_t c, const uint8_t **p, size_t *n)
{
    /* x^(8 * bytes - 33) mod P, reflected, for one lane and for two */
    static const struct {
        size_t bytes;
        uint32_t over[2];
    } lanes[] = {{2048, {0xa51b6135, 0x82f89c77}}, {512, {0xdd7e3b0c, 0x170076fa}}, {64, {0x9e4addf8, 0x0d3b6092}}};
    for (size_t i = 0; i < sizeof lanes / sizeof *lanes; i++)
        for (; *n >= 3 * lanes[i].bytes; *p += 3 * lanes[i].bytes, *n -= 3 * lanes[i].bytes)
            c = three_lanes(c, *p, lanes[i].bytes, lanes[i].over);
    return c;
}
#endif

#if defined(CRC_TARGET)
CRC_TARGET static uint32_t crc_fast(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t c = (uint32_t)~crc, word;
#if defined(LANES_TARGET)
    if ((ilki_base_cpu_features() & HAS_LANES) == HAS_LANES)
        c = crc_lanes(c, &p, &n);
#endif
    for (; n >= 8; n -= 8, p += 8) {
        memcpy(&word, p, 8);
        c = crc_word(c, word);
    }
    for (; n > 0; n--, p++)
        c = crc_byte((uint32_t)c, *p);
    return ~(uint32_t)c;
}
#endif

uint32_t ilki_base_crc32c(uint32_t crc, const void *data, size_t n)
{
#if defined(CRC_TARGET)
    if (ilki_base_cpu_features() & HAS_CRC)
        return crc_fast(crc, data, n);
#endif
    return ilki_base_crc32c_ref(crc, data, n);
}
