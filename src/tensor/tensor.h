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
    const char *file; /* where it lies, for messages; borrowed from the set, may be NULL */
    const unsigned char *data;
    uint64_t n_bytes;
    uint64_t shape[ILKI_MAX_RANK];
    uint32_t rank;
    ilki_dtype dtype;
    const float *row_scales; /* [shape[0]] that numbers are multiplied by, of a table made here; of files: NULL */
} ilki_tensor;

const char *ilki_tensor_dtype_name(ilki_dtype d); /* "F32"; "NONE" for what is none */
uint32_t ilki_tensor_dtype_bits(ilki_dtype d);
ilki_dtype ilki_tensor_dtype_find(const char *name, size_t n); /* NONE where unknown */

/* One IEEE half or bfloat16 as f32; every bit pattern, NaN payloads included. */
float ilki_tensor_f16_to_f32(uint16_t h);
float ilki_tensor_bf16_to_f32(uint16_t h);

/* product of the shape; false on overflow */
bool ilki_tensor_count(const ilki_tensor *t, size_t *n);

/* "[30522, 384]", "[]" of a scalar; for messages */
#define ILKI_SHAPE_TEXT 192 /* bytes that always suffice */
void ilki_tensor_print_shape(const ilki_tensor *t, char *to, size_t n_bytes);

/* n elements from element `first` as f32: F32, F16 and BF16 exactly, F64, I64 and I32 rounded to nearest even, I16, I8,
 * U8 and BOOL (0 or 1) exactly. UNSUPPORTED names tensor and dtype; NOT_FINITE where a NaN or infinity is met, also one
 * made by rounding an F64; BAD_ARGUMENT past the end. */
ilk_status ilki_tensor_read_f32(const ilki_tensor *t, size_t first, size_t n, float *to, ilk_error *err);

/* No NaN, no infinity. */
bool ilki_tensor_finite(const float *x, size_t n);

#endif
