/* SPDX-License-Identifier: Apache-2.0
 * A file of packed weights by somebody who knows the sums: head and table are given the size, key and sums that they should
 * have, where there is room for them. What is taken lies inside the file, and channels inside their rows. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "must.h"
#include "tensor/packfile.h"

enum { HEAD = 64, ROW = 80 };

static void put(unsigned char *to, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(v >> 8 * i);
}

static void make_right(unsigned char *file, size_t n, const uint8_t *key)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < 4; i++)
        rows |= (uint64_t)file[12 + i] << 8 * i;
    memcpy(file, "ilkpack\n", 8);
    put(file + 8, 2, 4);
    put(file + 16, n, 8);
    memcpy(file + 24, key, ILKI_PACK_KEY);
    if (rows * ROW <= n - HEAD)
        put(file + 56, ilki_base_crc32c(0, file + HEAD, rows * ROW), 4);
    put(file + 60, ilki_base_crc32c(0, file, 60), 4);
}

static void look(ilki_packs *p, const unsigned char *file, size_t n)
{
    for (size_t i = 0; i < ilki_tensor_packs_count(p); i++) {
        const ilki_pack *pack = ilki_tensor_packs_view(p, i), *next = NULL;
        const unsigned char *at = pack->data;
        MUST(at >= file && at <= file + n && pack->n_bytes <= (size_t)(file + n - at));
        MUST(pack->n_exact == 0 || pack->n_exact == 4 || pack->n_exact == ILKI_I8_EXACT);
        for (size_t k = 0; k < pack->n_exact; k++)
            MUST(pack->exact[k] < pack->n_in && (k == 0 || pack->exact[k] > pack->exact[k - 1]));
        ilki_pack other = *pack;
        other.n_bytes++;
        MUST(ilki_tensor_packs_next(p, &other, &next, NULL) == ILK_CORRUPT && !next);
        MUST(ilki_tensor_packs_next(p, pack, &next, NULL) == ILK_OK && next == pack);
        ilki_tensor_packs_check(p, pack, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t key[ILKI_PACK_KEY] = {1, 2, 3};
    ilki_packs *p = NULL;
    ilk_error err;
    ilk_error_init(&err);
    unsigned char *file = malloc(n ? n : 1);
    MUST(file);
    memcpy(file, data, n);
    MUST((ilki_tensor_packs_parse(&p, file, n, "raw", key, &err) == ILK_OK) == (p != NULL) && (p || err.message[0]));
    ilki_tensor_packs_close(p);
    if (n >= HEAD) {
        make_right(file, n, key);
        if (ilki_tensor_packs_parse(&p, file, n, "right", key, &err) == ILK_OK)
            look(p, file, n);
        else
            MUST(!p);
        ilki_tensor_packs_close(p);
    }
    free(file);
    return 0;
}

#include "fuzz_main.h"
