/* SPDX-License-Identifier: Apache-2.0
 * A closed interpreter of the pickles that torch.save writes: it builds tensors and nothing else. It knows no zip. */
#ifndef ILKI_FORMAT_PICKLE_H
#define ILKI_FORMAT_PICKLE_H

#include "tensor/tensor.h"

/* A tensor as the pickle describes it: row-major elements of one storage. Nothing here has been held against the
 * storage's bytes. Text is borrowed from the pickle and has no NUL behind it. */
typedef struct ilki_pickle_tensor {
    const char *key; /* of the storage: the member data/KEY of the archive */
    size_t n_key;
    uint64_t storage_bytes; /* as the pickle says */
    uint64_t offset;        /* of the tensor in it, in elements */
    uint64_t shape[ILKI_MAX_RANK];
    uint32_t rank;
    ilki_dtype dtype;
} ilki_pickle_tensor;

/* One tensor with its name, not NUL-terminated but of checked UTF-8 without NUL; a status but OK ends the reading. */
typedef ilk_status (*ilki_pickle_fn)(void *user, const char *name, size_t n_name, const ilki_pickle_tensor *t,
                                     ilk_error *err);

/* Interprets the n bytes at `data`, then calls `fn` for every tensor of the dict that they make, in its order. Names of
 * dicts in dicts are joined with dots; a tensor in a list or tuple has no name and is left out. `path` is for messages. */
ilk_status ilki_format_read_pickle(const unsigned char *data, size_t n, const char *path, ilki_pickle_fn fn, void *user,
                                   ilk_error *err);

#endif
