/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "base/cpu.h"
#include "test.h"

static void check_sha(const void *data, size_t n, const char *want)
{
    uint8_t out[32];
    char hex[65];
    ilki_base_sha256(data, n, out);
    ilki_base_hex(out, 32, hex);
    CHECK_STR(hex, want);
    ilki_sha256 s;
    ilki_base_sha256_init(&s);
    s.plain = true;
    ilki_base_sha256_add(&s, data, n);
    ilki_base_sha256_end(&s, out);
    ilki_base_hex(out, 32, hex);
    CHECK_STR(hex, want);
}

/* the examples of FIPS 180-4 and a million times 'a' */
static void sha256_known_answers(void)
{
    static char million[1000000];
    memset(million, 'a', sizeof million);
    check_sha(NULL, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    check_sha(million, sizeof million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every length across four blocks, in pieces of every kind: the stream equals the whole, the fast path the reference. */
static void sha256_pieces(void)
{
    uint8_t data[300], whole[32], pieces[32];
    uint64_t rng = 3;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)test_random(&rng);
    for (size_t n = 0; n <= sizeof data; n++) {
        ilki_base_sha256(data, n, whole);
        for (int plain = 0; plain < 2; plain++) {
            ilki_sha256 s;
            ilki_base_sha256_init(&s);
            s.plain = plain;
            for (size_t at = 0, take; at < n; at += take) {
                take = test_random(&rng) % 130;
                take = take < n - at ? take : n - at;
                ilki_base_sha256_add(&s, data + at, take);
            }
            ilki_base_sha256_end(&s, pieces);
            CHECK_MEM(pieces, whole, 32);
        }
    }
}

static uint32_t crc_bitwise(const uint8_t *p, size_t n)
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int b = 0; b < 8; b++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
    }
    return ~c;
}

/* RFC 3720, B.4, and the check value of the catalogue */
static void crc32c_known_answers(void)
{
    uint8_t data[32];
    CHECK_INT(ilki_base_crc32c(0, NULL, 0), 0);
    CHECK_INT(ilki_base_crc32c(0, "123456789", 9), 0xe3069283);
    memset(data, 0, sizeof data);
    CHECK_INT(ilki_base_crc32c(0, data, 32), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    CHECK_INT(ilki_base_crc32c(0, data, 32), 0x62a8ab43);
    for (size_t i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    CHECK_INT(ilki_base_crc32c(0, data, 32), 0x46dd794e);
}

static void crc32c_agrees(void)
{
    uint8_t data[200];
    uint64_t rng = 4;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)test_random(&rng);
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; n <= sizeof data - from; n++) {
            uint32_t want = crc_bitwise(data + from, n), part = ilki_base_crc32c(0, data + from, n / 3);
            CHECK_INT(ilki_base_crc32c(0, data + from, n), want);
            CHECK_INT(ilki_base_crc32c_ref(0, data + from, n), want);
            CHECK_INT(ilki_base_crc32c(part, data + from + n / 3, n - n / 3), want);
            CHECK_INT(ilki_base_crc32c_ref(part, data + from + n / 3, n - n / 3), want);
        }
    }
}

/* Around every border of the lanes, and one length past the widest three. */
static void crc32c_lanes(void)
{
    static const size_t widths[] = {3 * 64, 3 * 512, 3 * 2048};
    enum { MOST = 2 * 3 * 2048 + 3 * 512 + 3 * 64 + 16 };
    static uint8_t data[MOST + 8];
    uint64_t rng = 5;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)test_random(&rng);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t n = widths[w] - 9; n <= widths[w] + 9; n++)
            for (size_t from = 0; from < 8; from++)
                CHECK_INT(ilki_base_crc32c(77, data + from, n), ilki_base_crc32c_ref(77, data + from, n));
    for (size_t n = 0; n <= MOST; n += n < 4096 ? 1 : 7)
        CHECK_INT(ilki_base_crc32c(0, data + n % 8, n), ilki_base_crc32c_ref(0, data + n % 8, n));
    CHECK_INT(ilki_base_crc32c(0, data, MOST), ilki_base_crc32c_ref(0, data, MOST));
}

TEST_MAIN({"sha256_known_answers", sha256_known_answers}, {"sha256_pieces", sha256_pieces},
          {"crc32c_known_answers", crc32c_known_answers}, {"crc32c_agrees", crc32c_agrees},
          {"crc32c_lanes", crc32c_lanes})
