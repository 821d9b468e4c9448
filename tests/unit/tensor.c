/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <stdlib.h>

#include "test.h"

static void dtypes(void)
{
    CHECK_STR(ilki_tensor_dtype_name(ILKI_DTYPE_BF16), "BF16");
    CHECK_STR(ilki_tensor_dtype_name((ilki_dtype)99), "NONE");
    CHECK_INT(ilki_tensor_dtype_bits(ILKI_DTYPE_F64), 64);
    CHECK_INT(ilki_tensor_dtype_bits(ILKI_DTYPE_NONE), 0);
    CHECK_INT(ilki_tensor_dtype_find("F16", 3), ILKI_DTYPE_F16);
    CHECK_INT(ilki_tensor_dtype_find("F1", 2), ILKI_DTYPE_NONE);
    CHECK_INT(ilki_tensor_dtype_find("NONE", 4), ILKI_DTYPE_NONE);
}

/* The value of a half by its definition, in double. */
static double half_value(uint16_t h)
{
    double sign = h & 0x8000 ? -1 : 1, f = (h & 0x3ff) / 1024.0;
    int e = h >> 10 & 31;
    return e ? sign * ldexp(1 + f, e - 15) : sign * ldexp(f, -14);
}

static void halves_are_exact(void)
{
    int n_bad = 0;
    for (uint32_t h = 0; h < 65536; h++) {
        float got = ilki_tensor_f16_to_f32((uint16_t)h);
        bool special = (h >> 10 & 31) == 31;
        if (special)
            n_bad += (h & 0x3ff) ? !isnan(got) : !(isinf(got) && (got < 0) == (h >> 15 == 1));
        else
            n_bad += (double)got != half_value((uint16_t)h) || !signbit(got) != !(h >> 15);
        float b = ilki_tensor_bf16_to_f32((uint16_t)h);
        uint32_t bits;
        memcpy(&bits, &b, 4);
        n_bad += bits != h << 16;
    }
    CHECK_INT(n_bad, 0);
}

static ilki_tensor view(ilki_dtype d, const void *data, size_t n)
{
    return (ilki_tensor){.name = "w",
                         .file = "f.safetensors",
                         .data = data,
                         .shape = {n},
                         .rank = 1,
                         .dtype = d,
                         .n_bytes = n * ilki_tensor_dtype_bits(d) / 8};
}

static void reads_every_dtype(void)
{
    struct {
        ilki_dtype d;
        const void *data;
    } rows[] = {
        {ILKI_DTYPE_F32, (const float[]){0, 1, 100, 3}},
        {ILKI_DTYPE_F64, (const double[]){0, 1, 100, 3}},
        {ILKI_DTYPE_F16, (const uint16_t[]){0, 0x3c00, 0x5640, 0x4200}},
        {ILKI_DTYPE_BF16, (const uint16_t[]){0, 0x3f80, 0x42c8, 0x4040}},
        {ILKI_DTYPE_I64, (const int64_t[]){0, 1, 100, 3}},
        {ILKI_DTYPE_I32, (const int32_t[]){0, 1, 100, 3}},
        {ILKI_DTYPE_I16, (const int16_t[]){0, 1, 100, 3}},
        {ILKI_DTYPE_I8, (const int8_t[]){0, 1, 100, 3}},
        {ILKI_DTYPE_U8, (const uint8_t[]){0, 1, 100, 3}},
    };
    const float want[] = {0, 1, 100, 3};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilk_error err;
        ilk_error_init(&err);
        unsigned char odd[33]; /* data at an odd address */
        size_t width = ilki_tensor_dtype_bits(rows[i].d) / 8;
        memcpy(odd + 1, rows[i].data, 4 * width);
        ilki_tensor t = view(rows[i].d, odd + 1, 4);
        float got[4] = {-1, -1, -1, -1};
        CHECK_OK(ilki_tensor_read_f32(&t, 0, 4, got, &err), &err);
        CHECK_FLOATS(got, want, 4, 0, 0);
        float some[2] = {-1, -1};
        CHECK_OK(ilki_tensor_read_f32(&t, 2, 1, some, &err), &err);
        CHECK_FLOATS(some, ((float[]){100, -1}), 2, 0, 0);
        CHECK_OK(ilki_tensor_read_f32(&t, 4, 0, some, &err), &err);
    }
    float got[3];
    ilki_tensor b = view(ILKI_DTYPE_BOOL, (const uint8_t[]){0, 1, 7}, 3),
                i = view(ILKI_DTYPE_I32, (const int32_t[]){-16777217, -1}, 2);
    CHECK_OK(ilki_tensor_read_f32(&b, 0, 3, got, NULL), NULL);
    CHECK_FLOATS(got, ((float[]){0, 1, 1}), 3, 0, 0);
    CHECK_OK(ilki_tensor_read_f32(&i, 0, 2, got, NULL), NULL);
    CHECK_FLOATS(got, ((float[]){-16777216, -1}), 2, 0, 0);
}

static void refuses(void)
{
    ilk_error err;
    ilk_error_init(&err);
    float got[4];
    ilki_tensor t = view(ILKI_DTYPE_F32, (const float[]){0, 1, NAN, INFINITY}, 4);
    CHECK_OK(ilki_tensor_read_f32(&t, 0, 2, got, &err), &err);
    CHECK_STATUS(ilki_tensor_read_f32(&t, 1, 2, got, &err), ILK_NOT_FINITE, &err);
    CHECK_STR(err.message, "f.safetensors: w: element 2: expected a finite number, found nan");
    CHECK_STATUS(ilki_tensor_read_f32(&t, 3, 1, got, &err), ILK_NOT_FINITE, &err);
    CHECK_STATUS(ilki_tensor_read_f32(&t, 3, 2, got, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilki_tensor_read_f32(&t, SIZE_MAX, 2, got, &err), ILK_BAD_ARGUMENT, &err);
    ilki_tensor d = view(ILKI_DTYPE_F64, (const double[]){1e300}, 1);
    CHECK_STATUS(ilki_tensor_read_f32(&d, 0, 1, got, &err), ILK_NOT_FINITE, &err);
    ilki_tensor h = view(ILKI_DTYPE_F16, (const uint16_t[]){0xfc00}, 1);
    CHECK_STATUS(ilki_tensor_read_f32(&h, 0, 1, got, &err), ILK_NOT_FINITE, &err);
    ilki_tensor none = view(ILKI_DTYPE_NONE, got, 1);
    CHECK_STATUS(ilki_tensor_read_f32(&none, 0, 1, got, &err), ILK_UNSUPPORTED, &err);
    CHECK_STR(err.message, "f.safetensors: w: expected numbers, found dtype NONE");
}

static void tells_finite(void)
{
    const float ok[] = {0, -0.F, 3.4028235e38F, -3.4028235e38F, 1e-45F};
    CHECK(ilki_tensor_finite(ok, 5));
    CHECK(ilki_tensor_finite(ok, 0));
    CHECK(!ilki_tensor_finite((const float[]){1, -INFINITY}, 2));
    CHECK(!ilki_tensor_finite((const float[]){-NAN, 1}, 2));
    float many[67];
    for (size_t n = 0; n < 67; n++)
        many[n] = -3.4028235e38F;
    for (size_t n = 0; n <= 67; n++)
        for (size_t i = 0; i < 67; i++) {
            many[i] = INFINITY;
            CHECK(ilki_tensor_finite(many, n) == (i >= n));
            many[i] = -3.4028235e38F;
        }
}

static void shapes(void)
{
    char text[ILKI_SHAPE_TEXT];
    size_t n = 0;
    ilki_tensor t = {.rank = 2, .shape = {30522, 384}};
    ilki_tensor_print_shape(&t, text, sizeof text);
    CHECK_STR(text, "[30522, 384]");
    CHECK(ilki_tensor_count(&t, &n));
    CHECK_INT(n, 30522 * 384);
    ilki_tensor_print_shape(&t, text, 6);
    CHECK_STR(text, "[3052");
    t = (ilki_tensor){0};
    ilki_tensor_print_shape(&t, text, sizeof text);
    CHECK_STR(text, "[]");
    CHECK(ilki_tensor_count(&t, &n));
    CHECK_INT(n, 1);
    t = (ilki_tensor){.rank = 3, .shape = {UINT64_MAX, 2, 0}};
    CHECK(ilki_tensor_count(&t, &n));
    CHECK_INT(n, 0);
    t.shape[2] = 1;
    CHECK(!ilki_tensor_count(&t, &n));
    t = (ilki_tensor){.rank = ILKI_MAX_RANK};
    for (int i = 0; i < ILKI_MAX_RANK; i++)
        t.shape[i] = UINT64_MAX;
    ilki_tensor_print_shape(&t, text, sizeof text);
    CHECK_INT(strlen(text), ILKI_MAX_RANK * 22);
}

TEST_MAIN({"dtypes", dtypes}, {"halves_are_exact", halves_are_exact}, {"reads_every_dtype", reads_every_dtype},
          {"refuses", refuses}, {"tells_finite", tells_finite}, {"shapes", shapes})
