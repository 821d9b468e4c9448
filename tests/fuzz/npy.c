/* SPDX-License-Identifier: Apache-2.0
 * .npy files out of memory. What is accepted is one tensor that ends with the file. */
#include <stdio.h>

#include "format/format.h"
#include "memory_vfs.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    memory_bytes files[] = {{"a.npy", data, n}, {NULL, NULL, 0}};
    ilki_vfs vfs = memory_vfs(files);
    const char *const paths[] = {"a.npy"};
    ilki_weights *w = NULL;
    ilk_error err;
    size_t count = 0;
    float some[8];
    if (n < 6 || memcmp(data, "\x93NUMPY", 6) != 0)
        return 0; /* another format's */
    ilk_error_init(&err);
    ilk_status s = ilki_format_open(&w, &vfs, paths, 1, true, &err);
    MUST((s == ILK_OK) == (w != NULL) && (s == ILK_OK || err.message[0]));
    if (!w)
        return 0;
    const ilki_tensor *t = ilki_format_view(w, 0);
    MUST(ilki_format_count(w) == 1 && ilki_tensor_count(t, &count));
    MUST(t->n_bytes == (uint64_t)count * ilki_tensor_dtype_bits(t->dtype) / 8 && t->n_bytes < n);
    (void)ilki_tensor_read_f32(t, count < 8 ? 0 : count - 8, count < 8 ? count : 8, some, NULL);
    ilki_format_close(w);
    return 0;
}

#include "fuzz_main.h"
