/* SPDX-License-Identifier: Apache-2.0
 * The decoders of ilk-media, inside this process. The first byte says whether the sums in a PNG are set right, so that a
 * change gets past them. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "must.h"
#include "picture.h"

enum { MAX_PIXELS = 1 << 18 }; /* more take long and find nothing else */

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void mend(uint8_t *p, size_t n)
{
    for (size_t at = 8; n >= 20 && at <= n - 12;) {
        size_t len = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (len > n - at - 12)
            break;
        put_u32(p + at + 8 + len, (uint32_t)crc32(0, p + at + 4, (uInt)(len + 4)));
        at += len + 12;
    }
}

static void decode(const media_reader *r, const uint8_t *data, size_t n, bool as_stored)
{
    media_picture size = {.size_only = true}, p = {.as_stored = as_stored};
    ilk_status st = r->picture(&size, data, n, NULL);
    MUST(size.pixels == NULL);
    if (st != ILK_OK || (uint64_t)size.width * size.height > MAX_PIXELS)
        return;
    if (r->picture(&p, data, n, NULL) == ILK_OK) {
        MUST(p.width == size.width && p.height == size.height && p.orientation <= 8);
        MUST(media_picture_orient(&p, NULL) == ILK_OK);
        uint64_t sum = 0;
        size_t n_bytes = (size_t)p.width * p.height * ilki_media_pixel_bytes(p.form);
        MUST(n_bytes > 0 && (as_stored || p.form == ILKI_MEDIA_FORM_PIXELS));
        for (size_t i = 0; i < n_bytes; i++)
            sum += p.pixels[i];
        MUST(sum <= (uint64_t)n_bytes * 255);
    }
    media_picture_end(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool prepared;
    if (!prepared)
        media_readers_prepare(true);
    prepared = true;
    if (n < 2)
        return 0;
    uint8_t *copy = malloc(n - 1);
    if (!copy)
        return 0;
    memcpy(copy, data + 1, n - 1);
    const media_reader *r = media_reader_find("", copy, n - 1);
    if (r == &media_png && data[0] & 1)
        mend(copy, n - 1);
    for (int stored = 0; r && r->picture && !media_reader_lacks(r) && stored < 2; stored++)
        decode(r, copy, n - 1, stored);
    free(copy);
    return 0;
}

#include "fuzz_main.h"
