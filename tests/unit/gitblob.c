/* SPDX-License-Identifier: Apache-2.0
 * Git's names of files. The wanted ones are what `git hash-object` says. */
#include "net/gitblob.h"

#include "base/hash.h"
#include "test.h"

static void check_name(const void *data, size_t n, size_t piece, const char *want)
{
    ilki_gitblob g;
    uint8_t sum[20];
    char hex[41];
    ilki_net_gitblob_init(&g, n);
    for (size_t at = 0; at < n; at += piece)
        ilki_net_gitblob_add(&g, (const char *)data + at, n - at < piece ? n - at : piece);
    ilki_net_gitblob_end(&g, sum);
    ilki_base_hex(sum, sizeof sum, hex);
    CHECK_STR(hex, want);
}

static void names(void)
{
    check_name("", 0, 1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    check_name("hello\n", 6, 6, "ce013625030ba8dba906f756967f9e9ca394464a");
    check_name("hello\n", 6, 1, "ce013625030ba8dba906f756967f9e9ca394464a");
}

/* Every length around the ends of blocks, in pieces of every size. */
static void lengths(void)
{
    static const struct {
        size_t n;
        const char *want;
    } cases[] = {{44, "e2a756bc77aa071621b4728b3e707a0a2de1dba1"},  {45, "69ce1347bb079586eb6ea14ab5116f835ef29639"},
                 {46, "50b3bbe915fe104dbbb6786fdcfa310bcfc25d4e"},  {47, "5e3bf7e629b4908cce461530c17a64365cb47303"},
                 {48, "12d42395b020f44bb7710113b31f688d0ebeda7c"},  {53, "db4a0b7d4bdb355db58cf4c9a6500267ea087770"},
                 {54, "60704cd2c753c0419b5d235cbf244ec4c696cded"},  {55, "d1985ddc2983785702b9a90effd5aff2f7cfdca4"},
                 {56, "1f973e890f52da1f22fa7e5620a628bc4ee74cb3"},  {57, "d28c6cde5a5ab0b138bd53a288c23e8c011c4171"},
                 {63, "487e57f9763ebddbed2027c4452510c0ae0f95ff"},  {64, "71b7a71962774fa5c721e1163f935cb61a0e09e6"},
                 {65, "44171c1993ae70a544a8e910b00347eed4b8e8f2"},  {111, "d64a843f44190f041194ba87abf3cedc76eeb30e"},
                 {112, "30fd1823c28e22defedf47b062cfef13b71f3bcb"}, {119, "1325c3d76ea6a66e75dce490a0b8cb8b12233ee0"},
                 {120, "253af86ee859905852357aee8bd83b08601364ae"}, {128, "b9ec37e648dcec4d4f60dd267d05079a696d3267"},
                 {200, "1d33d17ad3abab24046a78cf5a4abc31e69865b3"}};
    char data[200];
    memset(data, 'a', sizeof data);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece <= cases[i].n; piece += 13)
            check_name(data, cases[i].n, piece, cases[i].want);
}

TEST_MAIN({"names", names}, {"lengths", lengths})
