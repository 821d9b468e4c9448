/* SPDX-License-Identifier: Apache-2.0
 * Names, shapes, dtypes. A tensor is a view: row-major, little-endian, not necessarily aligned. */
#ifndef ILKI_TENSOR_TENSOR_H
#define ILKI_TENSOR_TENSOR_H

#include "base/mem.h"
#include "kern/ops.h"

#define ILKI_MAX_RANK 8

typedef enum ilki_dtype {
    ILKI_DTYPE_NONE = 0,
#define ILKI_DTYPE(name, text, bits) ILKI_DTYPE_##name,
#include "tensor/dtypes.def"
#undef ILKI_DTYPE
} ilki_dtype;

typedef struct ilki_tensor {
    const char *name; /* borrowed from the set */
    const unsigned char *data;
    uint64_t n_bytes;
    uint64_t shape[ILKI_MAX_RANK];
    uint32_t rank;
    ilki_dtype dtype;
} ilki_tensor;

const char *ilki_tensor_dtype_name(ilki_dtype d); /* "F32" */
uint32_t ilki_tensor_dtype_bits(ilki_dtype d);

/* product of the shape; false on overflow */
bool ilki_tensor_count(const ilki_tensor *t, size_t *n);

/* Writes "[30522, 384]" */
void ilki_tensor_print_shape(const ilki_tensor *t, char *to, size_t n_bytes);

/* n elements from element `first` as f32 (F32, F16, BF16, F64, I64, I32, U8, I8). UNSUPPORTED names tensor and dtype;
 * NOT_FINITE where a NaN or infinity is met. */
ilk_status ilki_tensor_read_f32(const ilki_tensor *t, size_t first, size_t n, float *to, ilk_error *err);

#endif
