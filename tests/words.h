/* SPDX-License-Identifier: Apache-2.0
 * A checkpoint whose table of words is most of it, as in published ones; made of a fixture where it lies in a temporary folder. */
#ifndef ILK_TEST_WORDS_H
#define ILK_TEST_WORDS_H

#include "base/buf.h"
#include "base/vfs.h"
#include "test.h"
#include "tree.h"

/* Gives a copy of fixtures/bert-mean a table of so many words: its old table stays in the file under a name that nobody asks for. */
static inline void words_grow_to(const char *model, size_t rows)
{
    static const char name[] = "\"embeddings.word_embeddings.weight\"", old[] = "\"cls.unused.weight\"";
    const ilki_vfs *vfs = &ilki_base_vfs_posix;
    enum { DIM = 32 };
    char *file = NULL, *config = NULL;
    size_t n = 0, n_config = 0;
    uint64_t n_header = 0;
    ilki_buf b, c;
    ilk_error err;
    ilk_error_init(&err);
    ilki_base_buf_init(&b, (size_t)1 << 28);
    ilki_base_buf_init(&c, 1 << 20);
    CHECK_OK(ilki_base_read_file(vfs, tree_path(model, "model.safetensors"), 1 << 26, &file, &n, &err), &err);
    CHECK_OK(ilki_base_read_file(vfs, tree_path(model, "config.json"), 1 << 20, &config, &n_config, &err), &err);
    memcpy(&n_header, file, 8);
    size_t n_data = n - 8 - n_header;
    char *at = strstr(file + 8, name), *end = file + 8 + n_header, *vocab = strstr(config, "\"vocab_size\"");
    if (!CHECK(at && vocab && strchr(vocab, '\n')))
        return;
    while (end[-1] != '}')
        end--;
    ilki_base_buf_add(&b, file + 8, (size_t)(at - file - 8));
    ilki_base_buf_adds(&b, old);
    ilki_base_buf_add(&b, at + strlen(name), (size_t)(end - 1 - at) - strlen(name));
    ilki_base_buf_addf(&b, ",%s:{\"dtype\":\"F32\",\"shape\":[%zu,%d],\"data_offsets\":[%zu,%zu]}}", name, rows, DIM,
                       n_data, n_data + rows * DIM * 4);
    n_header = b.len;
    ilki_base_buf_add(&b, file + n - n_data, n_data);
    uint64_t rng = 7;
    for (size_t i = 0; i < rows * DIM; i++)
        ilki_base_buf_put_f32(&b, (float)(test_random(&rng) % 1000) / 500 - 1);
    ilki_base_buf_add(&c, config, (size_t)(vocab - config));
    ilki_base_buf_addf(&c, "\"vocab_size\": %zu", rows);
    ilki_base_buf_adds(&c, strchr(vocab, '\n')[-1] == ',' ? "," : "");
    ilki_base_buf_adds(&c, strchr(vocab, '\n'));
    FILE *f = fopen(tree_path(model, "model.safetensors"), "wbe");
    CHECK(f && fwrite(&n_header, 8, 1, f) == 1 && fwrite(b.data, 1, b.len, f) == b.len);
    fclose(f);
    CHECK_OK(ilki_base_write_file(vfs, tree_path(model, "config.json"), c.data, c.len, &err), &err);
    ilki_base_buf_deinit(&b);
    ilki_base_buf_deinit(&c);
    free(file);
    free(config);
}

/* Multiplies element 3 of a tensor of f32, or of a matrix element 3 of each row of `step` elements; `name` in quotes. */
static inline void words_scale(const char *model, const char *name, size_t step, float by)
{
    char *file = NULL;
    size_t n = 0, first = 0, end = 0;
    uint64_t n_header = 0;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(model, "model.safetensors"), 1 << 26, &file, &n, &err),
             &err);
    memcpy(&n_header, file, 8);
    const char *at = strstr(file + 8, name), *offsets = at ? strstr(at, "data_offsets") : NULL;
    if (!CHECK(offsets && sscanf(offsets, "data_offsets\":[%zu,%zu]", &first, &end) == 2))
        return;
    for (size_t i = first + 12; i < end; i += step ? 4 * step : end) {
        float x;
        memcpy(&x, file + 8 + n_header + i, sizeof x);
        x *= by;
        memcpy(file + 8 + n_header + i, &x, sizeof x);
    }
    FILE *f = fopen(tree_path(model, "model.safetensors"), "wbe");
    CHECK(f && fwrite(file, 1, n, f) == n);
    fclose(f);
    free(file);
}

static inline void words_grow(const char *model)
{
    words_grow_to(model, 5000);
}

#endif
