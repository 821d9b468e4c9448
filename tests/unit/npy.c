/* SPDX-License-Identifier: Apache-2.0
 * .npy: what numpy writes (tests/fixtures/npy, made by tools/make_npy.py), cuts and changes of every byte of the head,
 * headers that are not. */
#include "format/format.h"

#include <stdio.h>

#include "memory_vfs.h"
#include "test.h"

#define DIR ILK_TEST_DIR "/fixtures/npy/"

static ilk_status open_bytes(ilki_weights **w, const void *data, size_t n, ilk_error *err)
{
    memory_bytes files[] = {{"a.npy", data, n}, {NULL, NULL, 0}};
    ilki_vfs vfs = memory_vfs(files);
    const char *paths[] = {"a.npy"};
    return ilki_format_open(w, &vfs, paths, 1, true, err);
}

/* Element i is i / 4 - 2 in every file. */
static void what_numpy_writes(void)
{
    static const struct {
        const char *file;
        uint32_t rank;
        uint64_t shape[3];
        ilki_dtype dtype;
    } cases[] = {
        {"f32.npy", 2, {3, 5, 0}, ILKI_DTYPE_F32},      {"f16.npy", 2, {3, 5, 0}, ILKI_DTYPE_F16},
        {"f64.npy", 2, {3, 5, 0}, ILKI_DTYPE_F64},      {"version2.npy", 2, {3, 5, 0}, ILKI_DTYPE_F32},
        {"version3.npy", 2, {3, 5, 0}, ILKI_DTYPE_F32}, {"one.npy", 1, {7, 0, 0}, ILKI_DTYPE_F32},
        {"three.npy", 3, {2, 2, 2}, ILKI_DTYPE_F32},    {"empty.npy", 2, {0, 5, 0}, ILKI_DTYPE_F32},
        {"scalar.npy", 0, {0, 0, 0}, ILKI_DTYPE_F64},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        ilki_weights *w = NULL;
        ilk_error err;
        size_t n = 0;
        float x[16];
        ilk_error_init(&err);
        snprintf(path, sizeof path, DIR "%s", cases[i].file);
        const char *paths[] = {path};
        if (!CHECK_OK(ilki_format_open(&w, &ilki_base_vfs_posix, paths, 1, false, &err), &err))
            continue;
        const ilki_tensor *t = ilki_format_find(w, "array");
        REQUIRE(CHECK(t != NULL && ilki_format_count(w) == 1));
        CHECK_INT(t->rank, cases[i].rank);
        CHECK_INT(t->dtype, cases[i].dtype);
        for (uint32_t k = 0; k < t->rank; k++)
            CHECK_INT(t->shape[k], cases[i].shape[k]);
        CHECK(ilki_tensor_count(t, &n) && n <= 15);
        CHECK_OK(ilki_tensor_read_f32(t, 0, n, x, &err), &err);
        for (size_t k = 0; k < n; k++)
            CHECK_NEAR(x[k], (double)k / 4 - 2, 0);
        ilki_format_close(w);
    }
}

static void what_is_refused_by_name(void)
{
    static const struct {
        const char *file, *message;
        ilk_status status;
    } cases[] = {
        {"fortran.npy", "expected C order, found Fortran's", ILK_UNSUPPORTED},
        {"big_endian.npy", "expected elements of type <f4, <f2 or <f8, found >f4", ILK_UNSUPPORTED},
        {"int64.npy", "found <i8", ILK_UNSUPPORTED},
        {"object.npy", "found |O", ILK_UNSUPPORTED},
        {"record.npy", "found one of records", ILK_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[512];
        ilki_weights *w = NULL;
        ilk_error err;
        ilk_error_init(&err);
        snprintf(path, sizeof path, DIR "%s", cases[i].file);
        const char *paths[] = {path};
        CHECK_STATUS(ilki_format_open(&w, &ilki_base_vfs_posix, paths, 1, false, &err), cases[i].status, &err);
        CHECK_THAT(strstr(err.message, cases[i].message) && strstr(err.message, cases[i].file), "%s", err.message);
    }
}

static size_t make(unsigned char *to, unsigned major, const char *header, size_t n_data)
{
    size_t n = strlen(header), at = 8;
    memcpy(to, "\x93NUMPY", 6);
    to[6] = (unsigned char)major;
    to[7] = 0;
    to[at++] = (unsigned char)n;
    to[at++] = (unsigned char)(n >> 8);
    if (major > 1)
        memset(to + at, 0, 2), at += 2;
    memcpy(to + at, header, n);
    memset(to + at + n, 0, n_data);
    return at + n + n_data;
}

static void headers_that_are_not(void)
{
    static const struct {
        const char *header;
        size_t n_data;
        ilk_status status;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 8, ILK_OK},
        {" {\"shape\" : ( 2 ,1) ,'fortran_order':False,'descr':'<f4'}  \n", 8, ILK_OK},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 7, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", 9, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2), }", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1e1, 2), }", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': [1, 2], }", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (1, 2), }", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False}", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f\\x34', 'fortran_order': False, 'shape': (2,)}", 8, ILK_BAD_FORMAT},
        {"{'descr: '<f4', 'fortran_order': False, 'shape': (2,)}", 8, ILK_BAD_FORMAT},
        {"{'descr' '<f4'}", 8, ILK_BAD_FORMAT},
        {"{'descr': __import__('os')}", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999, 99999999999999999)}", 8,
         ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999999999, 1)}", 8, ILK_BAD_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, ILK_LIMIT},
        {"", 0, ILK_BAD_FORMAT},
        {"{", 0, ILK_BAD_FORMAT},
    };
    static unsigned char file[4096];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned major = 1; major <= 3; major++) {
            ilki_weights *w = NULL;
            ilk_error err;
            ilk_error_init(&err);
            size_t n = make(file, major, cases[i].header, cases[i].n_data);
            CHECK_THAT(open_bytes(&w, file, n, &err) == cases[i].status, "%s: %s", cases[i].header, err.message);
            ilki_format_close(w);
        }
    static const unsigned char versions[][2] = {{0, 0}, {4, 0}, {1, 1}};
    for (size_t i = 0; i < 3; i++) {
        ilki_weights *w = NULL;
        size_t n = make(file, 1, cases[0].header, 8);
        memcpy(file + 6, versions[i], 2);
        CHECK_STATUS(open_bytes(&w, file, n, NULL), ILK_UNSUPPORTED, NULL);
    }
    ilki_weights *w = NULL;
    size_t n = make(file, 2, cases[0].header, 8);
    file[10] = 1; /* a header of more than 64 KiB */
    CHECK_STATUS(open_bytes(&w, file, n, NULL), ILK_LIMIT, NULL);
}

static void cuts_and_changes(void)
{
    static unsigned char file[4096];
    size_t n = make(file, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 16);
    for (size_t cut = 0; cut < n; cut++) {
        unsigned char *copy = malloc(cut ? cut : 1);
        ilki_weights *w = NULL;
        REQUIRE(CHECK(copy != NULL));
        memcpy(copy, file, cut);
        ilk_status st = open_bytes(&w, copy, cut, NULL);
        CHECK_THAT(st != ILK_OK && w == NULL, "cut at %zu", cut);
        free(copy);
    }
    for (size_t at = 0; at < n - 16; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            ilki_weights *w = NULL;
            file[at] ^= (unsigned char)(1 << bit);
            if (open_bytes(&w, file, n, NULL) == ILK_OK) {
                size_t count = 0;
                const ilki_tensor *t = ilki_format_view(w, 0);
                CHECK_THAT(ilki_tensor_count(t, &count) && t->n_bytes == 16, "byte %zu, bit %u", at, bit);
            }
            ilki_format_close(w);
            file[at] ^= (unsigned char)(1 << bit);
        }
}

TEST_MAIN({"what numpy writes", what_numpy_writes}, {"what is refused by name", what_is_refused_by_name},
          {"headers that are not", headers_that_are_not}, {"cuts and changes", cuts_and_changes})
