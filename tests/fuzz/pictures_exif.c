/* SPDX-License-Identifier: Apache-2.0
 * EXIF alone: whatever the bytes are, what is told keeps its bounds, and passes unchanged between helper and client. */
#include <stdlib.h>
#include <string.h>

#include "exif.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_media_fields said = {.n = 0}, got;
    media_picture p = {.fields = &said};
    ilki_buf b;
    uint8_t *copy = malloc(n ? n : 1); /* so that a byte behind the end is noticed */
    if (!copy)
        return 0;
    memcpy(copy, data, n);
    media_picture_exif(&p, copy, n);
    free(copy);
    MUST(p.orientation <= 8 && said.n <= ILKI_MEDIA_MAX_FIELDS);
    ilki_base_buf_init(&b, ILKI_MEDIA_FIELDS_BYTES);
    ilki_media_put_fields(&b, &said);
    MUST(!b.failed);
    MUST(ilki_media_get_fields(&got, ilki_base_buf_view(&b), b.len, NULL) == ILK_OK && got.n == said.n);
    for (size_t i = 0; i < got.n; i++)
        MUST(got.list[i].name == said.list[i].name && got.list[i].i == said.list[i].i &&
             memcmp(&got.list[i].d, &said.list[i].d, sizeof(double)) == 0 &&
             strcmp(got.list[i].text, said.list[i].text) == 0);
    ilki_base_buf_deinit(&b);
    /* the same bytes as those of a helper that lies */
    if (ilki_media_get_fields(&got, data, n, NULL) == ILK_OK)
        MUST(got.n <= ILKI_MEDIA_MAX_FIELDS);
    return 0;
}

#include "fuzz_main.h"
