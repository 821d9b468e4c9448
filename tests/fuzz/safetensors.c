/* SPDX-License-Identifier: Apache-2.0
 * Weight files out of memory. The first byte of the input chooses: even, the rest is a safetensors file; odd, an index
 * of shards, each of which is one small file. What is accepted keeps the format's rules. */
#include <stdlib.h>
#include <string.h>

#include "format/format.h"
#include "must.h"

typedef struct memory {
    const uint8_t *data;
    size_t n;
} memory;

typedef struct memory_file {
    ilki_file file;
    memory bytes;
} memory_file;

static const char shard[] = "\x38\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}    \x05";

static ilk_status open_file(const ilki_vfs *v, ilki_file **out, const char *path, int flags, ilk_error *err)
{
    const memory *input = v->state;
    memory_file *f = calloc(1, sizeof *f);
    MUST(f && flags == ILKI_OPEN_READ && strchr(path, '/') == NULL);
    (void)err;
    f->file.vfs = v;
    f->bytes = *input;
    if (strcmp(path, "in.safetensors") != 0 && strcmp(path, "in.index.json") != 0)
        f->bytes = (memory){(const uint8_t *)shard, sizeof shard - 1};
    *out = &f->file;
    return ILK_OK;
}

static void close_file(ilki_file *f)
{
    free(f);
}

static ilk_status size_file(ilki_file *f, uint64_t *size, ilk_error *err)
{
    (void)err;
    *size = ((memory_file *)f)->bytes.n;
    return ILK_OK;
}

static ilk_status read_file(ilki_file *f, uint64_t at, void *to, size_t n, size_t *got, ilk_error *err)
{
    const memory *m = &((memory_file *)f)->bytes;
    (void)err;
    *got = at >= m->n ? 0 : n < m->n - at ? n : m->n - (size_t)at;
    if (*got)
        memcpy(to, m->data + at, *got);
    return ILK_OK;
}

static void check_set(const ilki_weights *w)
{
    const unsigned char *end = NULL;
    for (size_t i = 0; i < ilki_format_count(w); i++) {
        const ilki_tensor *t = ilki_format_view(w, i);
        size_t count = 0;
        float some[8];
        MUST(ilki_format_find(w, t->name) == t && t->dtype != ILKI_DTYPE_NONE && t->rank <= ILKI_MAX_RANK);
        MUST(ilki_tensor_count(t, &count) && t->n_bytes == (uint64_t)count * ilki_tensor_dtype_bits(t->dtype) / 8);
        MUST(i == 0 || t->file != ilki_format_view(w, i - 1)->file || t->data == end);
        end = t->data + t->n_bytes;
        (void)ilki_tensor_read_f32(t, count < 8 ? 0 : count - 8, count < 8 ? count : 8, some, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    memory input = {data + 1, n - 1};
    ilki_vfs vfs = {.name = "memory",
                    .state = &input,
                    .open = open_file,
                    .close = close_file,
                    .size = size_file,
                    .read = read_file};
    const char *const paths[] = {data[0] & 1 ? "in.index.json" : "in.safetensors"};
    ilki_weights *w = NULL;
    ilk_error err;
    ilk_error_init(&err);
    ilk_status s = ilki_format_open(&w, &vfs, paths, 1, true, &err);
    MUST((s == ILK_OK) == (w != NULL) && (s == ILK_OK || err.message[0]));
    if (w)
        check_set(w);
    ilki_format_close(w);
    return 0;
}

#include "fuzz_main.h"
