/* SPDX-License-Identifier: Apache-2.0
 * Element types and their reading as f32. Data may lie at any address, so elements are fetched by memcpy; hosts are
 * little-endian, as the files are. */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bits;
} dtypes[] = {
    {"NONE", 0},
#define ILKI_DTYPE(name, text, bits) {text, bits},
#include "tensor/dtypes.def"
#undef ILKI_DTYPE
};

#define N_DTYPES (sizeof dtypes / sizeof *dtypes)

const char *ilki_tensor_dtype_name(ilki_dtype d)
{
    return dtypes[(size_t)d < N_DTYPES ? d : 0].name;
}

uint32_t ilki_tensor_dtype_bits(ilki_dtype d)
{
    return dtypes[(size_t)d < N_DTYPES ? d : 0].bits;
}

ilki_dtype ilki_tensor_dtype_find(const char *name, size_t n)
{
    for (size_t i = 1; i < N_DTYPES; i++)
        if (strlen(dtypes[i].name) == n && memcmp(dtypes[i].name, name, n) == 0)
            return (ilki_dtype)i;
    return ILKI_DTYPE_NONE;
}

bool ilki_tensor_count(const ilki_tensor *t, size_t *n)
{
    size_t product = 1;
    bool zero = false;
    for (uint32_t i = 0; i < t->rank; i++)
        zero |= t->shape[i] == 0;
    for (uint32_t i = 0; !zero && i < t->rank; i++)
        if ((size_t)t->shape[i] != t->shape[i] || !ilki_base_mul(product, (size_t)t->shape[i], &product))
            return false;
    *n = zero ? 0 : product;
    return true;
}

void ilki_tensor_print_shape(const ilki_tensor *t, char *to, size_t n_bytes)
{
    size_t at = 0;
    for (uint32_t i = 0; i < t->rank && i < ILKI_MAX_RANK && at < n_bytes; i++)
        at += (size_t)snprintf(to + at, n_bytes - at, "%s%" PRIu64, i ? ", " : "[", t->shape[i]);
    if (at < n_bytes)
        snprintf(to + at, n_bytes - at, "%s", at ? "]" : "[]");
}

/* ---- reading */

static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float ilki_tensor_bf16_to_f32(uint16_t h)
{
    return from_bits((uint32_t)h << 16);
}

float ilki_tensor_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = h & 0x7fff;
    if (rest >= 0x7c00) /* infinity, NaN */
        return from_bits(sign | 0x7f800000 | (rest & 0x3ff) << 13);
    if (rest < 0x400) { /* zero, subnormal: a multiple of 2^-24, which f32 holds as a normal number */
        float f = (float)rest * 0x1p-24F;
        return sign ? -f : f;
    }
    return from_bits(sign | ((rest << 13) + (112U << 23)));
}

#define READ_LOOP(type, convert)                                                                                       \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        type v;                                                                                                        \
        memcpy(&v, from + i * sizeof v, sizeof v);                                                                     \
        to[i] = convert(v);                                                                                            \
    }                                                                                                                  \
    break

static bool read_elements(ilki_dtype dtype, const unsigned char *from, size_t n, float *to)
{
    switch (dtype) {
    case ILKI_DTYPE_F32:
        memcpy(to, from, n * sizeof *to);
        break;
    case ILKI_DTYPE_F16:
        READ_LOOP(uint16_t, ilki_tensor_f16_to_f32);
    case ILKI_DTYPE_BF16:
        READ_LOOP(uint16_t, ilki_tensor_bf16_to_f32);
    case ILKI_DTYPE_F64:
        READ_LOOP(double, (float));
    case ILKI_DTYPE_I64:
        READ_LOOP(int64_t, (float));
    case ILKI_DTYPE_I32:
        READ_LOOP(int32_t, (float));
    case ILKI_DTYPE_I16:
        READ_LOOP(int16_t, (float));
    case ILKI_DTYPE_I8:
        READ_LOOP(int8_t, (float));
    case ILKI_DTYPE_U8:
        READ_LOOP(uint8_t, (float));
    case ILKI_DTYPE_BOOL:
        READ_LOOP(uint8_t, (float)!!);
    default:
        return false;
    }
    return true;
}

/* A vector type, because GCC 12 makes a store and a load of every lane out of the plain loop at -O2. */
typedef uint32_t lanes __attribute__((vector_size(16), aligned(4), may_alias));
enum { LANES = sizeof(lanes) / sizeof(uint32_t), STEP = 4 * LANES };

bool ilki_tensor_finite(const float *x, size_t n)
{
    /* the exponent of a NaN or infinity is all ones: adding one to it carries into the sign bit; whole checkpoints pass
     * here */
    lanes carry = {0};
    uint32_t any = 0, u;
    size_t i = 0;
    for (; n - i >= STEP; i += STEP) {
        const lanes *v = (const lanes *)(const void *)(x + i);
        lanes a = (v[0] & 0x7fffffff) + 0x00800000, b = (v[1] & 0x7fffffff) + 0x00800000;
        lanes c = (v[2] & 0x7fffffff) + 0x00800000, d = (v[3] & 0x7fffffff) + 0x00800000;
        carry |= (a | b) | (c | d);
    }
    for (; i < n; i++) {
        memcpy(&u, x + i, sizeof u);
        any |= (u & 0x7fffffff) + 0x00800000;
    }
    for (size_t k = 0; k < LANES; k++)
        any |= carry[k];
    return !(any & 0x80000000);
}

/* Elements of a matrix with a scale per row. */
static void scale_rows(const ilki_tensor *t, size_t first, size_t n, float *to)
{
    size_t cols = (size_t)t->shape[1], row = first / cols, left = cols - first % cols;
    for (; n > 0; row++, left = cols) {
        size_t here = n < left ? n : left;
        const float scale = t->row_scales[row];
        for (size_t i = 0; i < here; i++)
            to[i] *= scale;
        to += here;
        n -= here;
    }
}

ilk_status ilki_tensor_read_f32(const ilki_tensor *t, size_t first, size_t n, float *to, ilk_error *err)
{
    const char *file = t->file ? t->file : "memory", *name = t->name ? t->name : "tensor";
    size_t total = 0, width = ilki_tensor_dtype_bits(t->dtype) / 8;
    if (!ilki_tensor_count(t, &total) || first > total || n > total - first)
        return ilki_base_fail(err, ILK_BAD_ARGUMENT, "%s: %s: elements %zu to %zu of %zu wanted", file, name, first,
                              first + n, total);
    if (n && !read_elements(t->dtype, t->data + first * width, n, to))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: %s: expected numbers, found dtype %s", file, name,
                              ilki_tensor_dtype_name(t->dtype));
    if (t->row_scales) {
        scale_rows(t, first, n, to);
        return ILK_OK; /* made here, from numbers that were finite */
    }
    if (ilki_tensor_finite(to, n))
        return ILK_OK;
    size_t i = 0;
    while (i + 1 < n && ilki_tensor_finite(to + i, 1))
        i++;
    return ilki_base_fail(err, ILK_NOT_FINITE, "%s: %s: element %zu: expected a finite number, found %g", file, name,
                          first + i, (double)to[i]);
}
