/* SPDX-License-Identifier: Apache-2.0
 * params.txt of open_clip's training: what is accepted names a model, and every word ends. */
#include "embed/training.h"

#include <stdlib.h>
#include <string.h>

#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    ilki_trained t;
    ilk_error err;
    ilk_error_init(&err);
    if (ilki_embed_read_training(&t, (const char *)data, n, &err) != ILK_OK) {
        MUST(err.message[0]);
        return 0;
    }
    MUST(t.model[0] && memchr(t.model, 0, sizeof t.model) && !strchr(t.model, '/'));
    MUST(memchr(t.pretrained, 0, sizeof t.pretrained) && memchr(t.interpolation, 0, sizeof t.interpolation));
    MUST(memchr(t.resize_mode, 0, sizeof t.resize_mode) && t.image_size <= 1 << 14);
    return 0;
}

#include "fuzz_main.h"
