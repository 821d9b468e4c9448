/* SPDX-License-Identifier: Apache-2.0
 * Zip archives of torch.save out of memory. The first byte of the input chooses: even, the rest is an archive; odd, a
 * pickle that gets an archive with a few storages around it, so that changes reach the interpreter. What is accepted lies
 * within the file. */
#include <stdio.h>

#include "format/format.h"
#include "memory_vfs.h"
#include "must.h"
#include "zip_build.h"

static void check_set(const ilki_weights *w)
{
    const unsigned char *last = NULL;
    for (size_t i = 0; i < ilki_format_count(w); i++) {
        const ilki_tensor *t = ilki_format_view(w, i);
        size_t count = 0;
        float some[8];
        MUST(ilki_format_find(w, t->name) == t && t->dtype != ILKI_DTYPE_NONE && t->rank <= ILKI_MAX_RANK);
        MUST(ilki_tensor_count(t, &count) && t->n_bytes == (uint64_t)count * ilki_tensor_dtype_bits(t->dtype) / 8);
        MUST(t->n_bytes <= ilki_format_bytes(w) && (!last || t->data >= last));
        last = t->data;
        (void)ilki_tensor_read_f32(t, 0, count < 8 ? count : 8, some, NULL);
        (void)ilki_tensor_read_f32(t, count < 8 ? 0 : count - 8, count < 8 ? count : 8, some, NULL);
    }
}

/* storages of the sizes that the corpus' pickles ask for, as far as a few can be */
static void wrap(zip *z, const uint8_t *pickle, size_t n)
{
    static const unsigned char zeros[96];
    static const size_t sizes[] = {96, 4, 0, 60, 12, 8, 24, 1};
    zip_begin(z, ZIP_DESCRIPTOR);
    zip_add(z, "a/data.pkl", pickle, n);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[16];
        snprintf(name, sizeof name, "a/data/%zu", i);
        zip_add(z, name, zeros, sizes[i]);
    }
    zip_end(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    zip z = {.n = 0};
    if (n == 0)
        return 0;
    memory_bytes files[2] = {{"in.pt", data + 1, n - 1}, {NULL, NULL, 0}};
    if (data[0] & 1) {
        wrap(&z, data + 1, n - 1);
        files[0].data = z.b.data;
        files[0].n = z.b.len;
    }
    const ilki_vfs vfs = memory_vfs(files);
    const char *const paths[] = {"in.pt"};
    ilki_weights *w = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_status s = ilki_format_open(&w, &vfs, paths, 1, true, &err);
    MUST((s == ILK_OK) == (w != NULL) && (s == ILK_OK || err.message[0]));
    if (w)
        check_set(w);
    ilki_format_close(w);
    ilki_base_buf_deinit(&z.b);
    return 0;
}

#include "fuzz_main.h"
