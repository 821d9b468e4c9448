/* SPDX-License-Identifier: Apache-2.0
 * safetensors: u64 length of a JSON header (padded with blanks to a multiple of 8), the header, then the tensors' bytes, little
 * end first, as this machine's floats are. */
#include "train/dense_folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "embed/projection.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they stand in memory");

static bool see_entry(void *user, const char *name, ilki_file_type type)
{
    (void)name, (void)type;
    *(bool *)user = true;
    return false;
}

ilk_status ilki_train_check_folder(const ilki_vfs *vfs, const char *folder, ilk_error *err)
{
    ilki_stat info;
    bool any = false;
    if (vfs->stat(vfs, folder, true, &info, NULL) != ILK_OK)
        return ILK_OK;
    ilk_status st = vfs->list(vfs, folder, see_entry, &any, err);
    if (st == ILK_OK && any)
        st = ilki_base_fail(err, ILK_BUSY, "%s: expected a folder that is new or empty, found something in it", folder);
    return st;
}

static ilk_status write_file(const ilki_vfs *vfs, const char *folder, const char *name, const void *data, size_t n,
                             ilk_error *err)
{
    char *path = ilki_base_path_join(folder, name);
    ilk_status st = path ? ilki_base_write_file(vfs, path, data, n, err)
                         : ilki_base_fail_memory(err, strlen(folder), "a path");
    free(path);
    return st;
}

static ilk_status write_weights(const ilki_vfs *vfs, const char *folder, const ilki_fit *fit, ilk_error *err)
{
    size_t n_bias = fit->e * sizeof *fit->bias, n_weight = fit->e * fit->d * sizeof *fit->weight;
    ilki_buf b;
    ilki_base_buf_init(&b, n_bias + n_weight + 4096);
    ilki_base_buf_add(&b, "\0\0\0\0\0\0\0\0", 8);
    ilki_base_buf_addf(&b,
                       "{\"linear.bias\":{\"dtype\":\"F32\",\"shape\":[%zu],\"data_offsets\":[0,%zu]},"
                       "\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}}",
                       fit->e, n_bias, fit->e, fit->d, n_bias, n_bias + n_weight);
    while (b.len % 8 && !b.failed)
        ilki_base_buf_addc(&b, ' ');
    uint64_t n_header = b.len - 8;
    ilki_base_buf_add(&b, fit->bias, n_bias);
    ilki_base_buf_add(&b, fit->weight, n_weight);
    ilk_status st = ilki_base_buf_check(&b, "weights", err);
    if (st == ILK_OK) {
        memcpy(b.data, &n_header, sizeof n_header);
        st = write_file(vfs, folder, "model.safetensors", b.data, b.len, err);
    }
    ilki_base_buf_deinit(&b);
    return st;
}

ilk_status ilki_train_write_dense(const ilki_vfs *vfs, const char *folder, const ilki_fit *fit, const ilki_buf *about,
                                  ilk_error *err)
{
    ilki_buf b;
    ilki_base_buf_init(&b, 4096);
    ilki_base_buf_addf(&b,
                       "{\n  \"in_features\": %zu,\n  \"out_features\": %zu,\n  \"bias\": true,\n"
                       "  \"activation_function\": \"torch.nn.modules.linear.Identity\"\n}\n",
                       fit->d, fit->e);
    ilk_status st = ilki_base_buf_check(&b, "config.json", err);
    if (st == ILK_OK)
        st = ilki_base_make_dirs(vfs, folder, 0777, err);
    if (st == ILK_OK)
        st = write_weights(vfs, folder, fit, err);
    if (st == ILK_OK)
        st = write_file(vfs, folder, ILKI_PROJECTION_ABOUT, about->data, about->len, err);
    if (st == ILK_OK)
        st = write_file(vfs, folder, "config.json", b.data, b.len, err);
    ilki_base_buf_deinit(&b);
    return st;
}
