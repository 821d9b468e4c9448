/* SPDX-License-Identifier: Apache-2.0
 * A table of vectors out of a weight file's format: .npy holds one. */
#include <stdlib.h>

#include "embed/embed.h"
#include "format/format.h"

ilk_status ilki_embed_read_array(const ilki_vfs *vfs, const char *path, float **out, size_t *rows, size_t *dim,
                                 ilk_error *err)
{
    ilki_weights *w = NULL;
    const char *paths[] = {path};
    size_t n = 0;
    *out = NULL;
    *rows = *dim = 0;
    ilk_status st = ilki_format_open(&w, vfs, paths, 1, false, err);
    if (st != ILK_OK)
        return st;
    const ilki_tensor *t = ilki_format_view(w, 0);
    char shape[ILKI_SHAPE_TEXT] = "nothing";
    if (t)
        ilki_tensor_print_shape(t, shape, sizeof shape);
    if (ilki_format_count(w) != 1 || t->rank < 1 || t->rank > 2 || !ilki_tensor_count(t, &n))
        st = ilki_base_fail(err, ILK_BAD_FORMAT,
                            "%s: expected one array of vectors as [3, 384], found %zu tensors of %s", path,
                            ilki_format_count(w), shape);
    if (st == ILK_OK && (*out = ilki_base_zalloc(n, sizeof **out)) == NULL)
        st = ilki_base_fail_memory(err, n * sizeof **out, "vectors");
    if (st == ILK_OK)
        st = ilki_tensor_read_f32(t, 0, n, *out, err);
    if (st == ILK_OK) {
        *rows = t->rank == 2 ? (size_t)t->shape[0] : 1;
        *dim = (size_t)t->shape[t->rank - 1];
    } else {
        free(*out);
        *out = NULL;
    }
    ilki_format_close(w);
    return st;
}
