/* SPDX-License-Identifier: Apache-2.0
 * The reader of safetensors against files made here, byte by byte. */
#include <stdlib.h>
#include <unistd.h>

#include "alloc_count.h"
#include "base/buf.h"
#include "format/format.h"
#include "test.h"

static char dir[256], path[512];

static bool begin(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/ilk-st-XXXXXX", tmp ? tmp : "/tmp");
    if (!CHECK(mkdtemp(dir) != NULL))
        return false;
    snprintf(path, sizeof path, "%s/x.safetensors", dir);
    return true;
}

static void end(void)
{
    static const char *const names[] = {"x.safetensors", "a.safetensors", "b.safetensors",
                                        "model.safetensors.index.json", "x.bin"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char p[600];
        snprintf(p, sizeof p, "%s/%s", dir, names[i]);
        unlink(p);
    }
    CHECK_INT(rmdir(dir), 0);
}

static void put_file(const char *name, const void *data, size_t n)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (CHECK(f != NULL)) {
        CHECK_INT(fwrite(data, 1, n, f), n);
        fclose(f);
    }
}

/* header and data as a file; returns its bytes */
static size_t build(unsigned char *to, size_t cap, const char *header, const void *data, size_t n_data)
{
    size_t n = strlen(header);
    memset(to, 0, 8);
    for (size_t i = 0; i < 4; i++)
        to[i] = (unsigned char)(n >> 8 * i);
    if (8 + n + n_data > cap)
        return 0;
    memcpy(to + 8, header, n);
    if (n_data)
        memcpy(to + 8 + n, data, n_data);
    return 8 + n + n_data;
}

static ilk_status try_open(ilki_weights **w, bool no_mmap, ilk_error *err)
{
    const char *const paths[] = {path};
    ilk_error_init(err);
    return ilki_format_open(w, &ilki_base_vfs_posix, paths, 1, no_mmap, err);
}

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[17,23]},"
                           "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[17,17]},"
                           "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[1,17]},"
                           "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}  ";
static const unsigned char good_data[23] = {7,    0, 0, 0x80, 0x3f, 0, 0,    0, 0x40, 0, 0,   0x40,
                                            0x40, 0, 0, 0x80, 0x40, 0, 0x3c, 0, 0x40, 0, 0x42};

static void check_good(const ilki_weights *w)
{
    static const char *const order[] = {"s", "a", "empty", "b"};
    CHECK_INT(ilki_format_count(w), 4);
    for (size_t i = 0; i < 4; i++)
        CHECK_STR(ilki_format_view(w, i)->name, order[i]);
    CHECK(ilki_format_view(w, 4) == NULL);
    CHECK(ilki_format_find(w, "nobody") == NULL);
    const ilki_tensor *a = ilki_format_find(w, "a"), *b = ilki_format_find(w, "b"), *s = ilki_format_find(w, "s");
    const ilki_tensor *e = ilki_format_find(w, "empty");
    REQUIRE(CHECK(a && b && s && e));
    float got[4];
    CHECK_INT(a->rank, 2);
    CHECK_INT(a->n_bytes, 16);
    CHECK_STR(a->file, path);
    CHECK_OK(ilki_tensor_read_f32(a, 0, 4, got, NULL), NULL);
    CHECK_FLOATS(got, ((float[]){1, 2, 3, 4}), 4, 0, 0);
    ilki_format_done_with(w, a);
    CHECK_OK(ilki_tensor_read_f32(a, 0, 4, got, NULL), NULL);
    CHECK_FLOATS(got, ((float[]){1, 2, 3, 4}), 4, 0, 0);
    CHECK_OK(ilki_tensor_read_f32(b, 0, 3, got, NULL), NULL);
    CHECK_FLOATS(got, ((float[]){1, 2, 3}), 3, 0, 0);
    CHECK_OK(ilki_tensor_read_f32(s, 0, 1, got, NULL), NULL);
    CHECK_INT(got[0], 7);
    CHECK_INT(e->n_bytes, 0);
    ilki_format_done_with(w, e);
}

static void reads_mapped_and_read(void)
{
    REQUIRE(begin());
    unsigned char file[1024];
    size_t n = build(file, sizeof file, good, good_data, sizeof good_data);
    put_file("x.safetensors", file, n);
    for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
        ilki_weights *w = NULL;
        ilk_error err;
        if (CHECK_OK(try_open(&w, no_mmap, &err), &err)) {
            CHECK_INT(ilki_format_bytes(w), n);
            check_good(w);
        }
        ilki_format_close(w);
    }
    put_file("x.bin", file, n); /* by its first bytes */
    ilki_weights *w = NULL;
    ilk_error err;
    if (CHECK_OK(try_open(&w, false, &err), &err))
        check_good(w);
    ilki_format_close(w);
    put_file("x.bin", "GIF89a, a picture", 17);
    CHECK_STATUS(try_open(&w, false, &err), ILK_UNSUPPORTED, &err);
    CHECK(w == NULL);
    ilki_format_close(NULL);
    end();
}

static void reads_no_tensors(void)
{
    REQUIRE(begin());
    unsigned char file[64];
    ilki_weights *w = NULL;
    ilk_error err;
    put_file("x.safetensors", file, build(file, sizeof file, "{}", NULL, 0));
    if (CHECK_OK(try_open(&w, false, &err), &err))
        CHECK_INT(ilki_format_count(w), 0);
    ilki_format_close(w);
    end();
}

static void every_truncation_fails(void)
{
    REQUIRE(begin());
    unsigned char file[1024];
    size_t n = build(file, sizeof file, good, good_data, sizeof good_data);
    for (size_t i = 0; i < n; i++)
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            ilki_weights *w = NULL;
            ilk_error err;
            put_file("x.safetensors", file, i);
            CHECK_STATUS(try_open(&w, no_mmap, &err), ILK_BAD_FORMAT, &err);
            CHECK(w == NULL && strstr(err.message, "x.safetensors") != NULL);
        }
    file[n] = 0; /* one byte too many */
    ilki_weights *w = NULL;
    ilk_error err;
    put_file("x.safetensors", file, n + 1);
    CHECK_STATUS(try_open(&w, false, &err), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "expected 23 bytes of data, found 24") != NULL);
    end();
}

/* Every value of every byte of length and header: an answer that keeps the rules, or one error that names the file. */
static void every_mutation_is_safe(void)
{
    REQUIRE(begin());
    unsigned char file[1024];
    static const unsigned char values[] = {0,   1,    ' ', '"', ',', '-', '0',  '9', ':',
                                           '[', '\\', ']', 'a', '{', '}', 0x80, 0xff};
    static const char small[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                                "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]}}";
    size_t n = build(file, sizeof file, small, good_data, 19), n_failed = 0, n_passed = 0;
    for (size_t i = 0; i < n - 19; i++) {
        unsigned char was = file[i];
        for (size_t k = 0; k < sizeof values + 8; k++) {
            file[i] = k < sizeof values ? values[k] : (unsigned char)(was ^ 1U << (k - sizeof values));
            ilki_weights *w = NULL;
            ilk_error err;
            put_file("x.safetensors", file, n);
            ilk_status s = try_open(&w, false, &err);
            if (s == ILK_OK) {
                n_passed++;
                for (size_t t = 0; t < ilki_format_count(w); t++) {
                    const ilki_tensor *v = ilki_format_view(w, t);
                    float x[32];
                    size_t count = 0;
                    CHECK(ilki_tensor_count(v, &count) && count <= 32);
                    if (count <= 32)
                        ilki_tensor_read_f32(v, 0, count, x, NULL);
                }
            } else {
                n_failed++;
                CHECK(w == NULL && strstr(err.message, "x.safetensors") != NULL);
                CHECK(s == ILK_BAD_FORMAT || s == ILK_UNSUPPORTED || s == ILK_LIMIT);
            }
            ilki_format_close(w);
        }
        file[i] = was;
    }
    CHECK(n_failed > 2000 && n_passed > 50);
    end();
}

static void breaches_are_named(void)
{
    static const struct {
        const char *header;
        size_t n_data;
        ilk_status status;
        const char *says;
    } rows[] = {
#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "a"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[2,6]") "}", 6, ILK_BAD_FORMAT,
         "tensor b: expected data to begin at 4 behind a, found 2 (an overlap)"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"b\":" T("F32", "[1]", "[5,9]") "}", 9, ILK_BAD_FORMAT,
         "tensor b: expected data to begin at 4 behind a, found 5 (a hole)"},
        {"{\"a\":" T("F32", "[1]", "[1,5]") "}", 5, ILK_BAD_FORMAT, "begin at 0 behind the header, found 1 (a hole)"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") "}", 3, ILK_BAD_FORMAT,
         "tensor a: expected data_offsets within the file's 3"},
        {"{\"a\":" T("F32", "[2]", "[0,4]") "}", 4, ILK_BAD_FORMAT,
         "tensor a: expected 8 bytes for shape [2] of F32, found data_offsets of 4"},
        {"{\"a\":" T("F32", "[1]", "[4,0]") "}", 4, ILK_BAD_FORMAT, "ascending order, found [4, 0]"},
        {"{\"a\":" T("F8_E4M3", "[1]", "[0,1]") "}", 1, ILK_UNSUPPORTED, "found F8_E4M3"},
        {"{\"a\":" T("f32", "[1]", "[0,4]") "}", 4, ILK_UNSUPPORTED, "found f32"},
        {"{\"a\":" T("F32", "[-1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "dimension 0"},
        {"{\"a\":" T("F32", "[1,1.5]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "dimension 1"},
        {"{\"a\":" T("F32", "[9223372036854775807,8]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "below 2^64"},
        {"{\"a\":" T("F32", "[4611686018427387904]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "below 2^64"},
        {"{\"a\":" T("F32", "[99999999999999999999]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "dimension 0"},
        {"{\"a\":" T("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "at most 8 dimensions, found 9"},
        {"{\"a\":" T("F32", "1", "[0,4]") "}", 4, ILK_BAD_FORMAT, "\"shape\""},
        {"{\"a\":" T("F32", "[1]", "[0]") "}", 4, ILK_BAD_FORMAT, "data_offsets"},
        {"{\"a\":" T("F32", "[1]", "[0,4,8]") "}", 4, ILK_BAD_FORMAT, "data_offsets"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, ILK_BAD_FORMAT, "\"dtype\""},
        {"{\"a\":7}", 0, ILK_BAD_FORMAT, "tensor a: expected an object"},
        {"{\"\":" T("F32", "[1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "names without NUL"},
        {"{\"a\\u0000\":" T("F32", "[1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "names without NUL"},
        {"{\"__metadata__\":{\"a\":1}}", 0, ILK_BAD_FORMAT, "__metadata__"},
        {"{\"__metadata__\":3}", 0, ILK_BAD_FORMAT, "__metadata__"},
        {"{\"a\xff\":" T("F32", "[1]", "[0,4]") "}", 4, ILK_BAD_FORMAT, "x.safetensors"},
        {" {}", 0, ILK_BAD_FORMAT, "begins with '{'"},
        {"{\"a\":", 0, ILK_BAD_FORMAT, "x.safetensors"},
        {"{}{}", 0, ILK_BAD_FORMAT, "x.safetensors"},
        {"[]", 0, ILK_BAD_FORMAT, "begins with '{'"},
        {"{", 0, ILK_BAD_FORMAT, "begins with '{'"},
#undef T
    };
    REQUIRE(begin());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char file[1024], data[64] = {0};
        ilki_weights *w = NULL;
        ilk_error err;
        put_file("x.safetensors", file, build(file, sizeof file, rows[i].header, data, rows[i].n_data));
        CHECK_STATUS(try_open(&w, false, &err), rows[i].status, &err);
        CHECK_THAT(w == NULL && strstr(err.message, rows[i].says), "\"%s\" lacks \"%s\"", err.message, rows[i].says);
    }
    unsigned char file[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, '{'};
    ilki_weights *w = NULL;
    ilk_error err;
    put_file("x.safetensors", file, sizeof file);
    CHECK_STATUS(try_open(&w, false, &err), ILK_LIMIT, &err);
    unlink(path);
    CHECK_STATUS(try_open(&w, false, &err), ILK_NOT_FOUND, &err);
    end();
}

/* More tensors than any first guess of an array. */
static void reads_many(void)
{
    REQUIRE(begin());
    ilki_buf b;
    ilki_base_buf_init(&b, 1 << 24);
    enum { N = 5000 };
    ilki_base_buf_adds(&b, "{");
    for (int i = 0; i < N; i++)
        ilki_base_buf_addf(&b, "%s\"layer.%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i ? "," : "",
                           i, N - 1 - i, N - i);
    ilki_base_buf_adds(&b, "}");
    size_t cap = b.len + N + 8;
    unsigned char *file = malloc(cap), data[N];
    for (int i = 0; i < N; i++)
        data[i] = (unsigned char)(N - 1 - i);
    put_file("x.safetensors", file, build(file, cap, ilki_base_buf_view(&b), data, N));
    ilki_weights *w = NULL;
    ilk_error err;
    if (CHECK_OK(try_open(&w, false, &err), &err)) {
        CHECK_INT(ilki_format_count(w), N);
        for (int i = 0; i < N; i++) {
            char name[32];
            snprintf(name, sizeof name, "layer.%d", i);
            const ilki_tensor *t = ilki_format_find(w, name);
            CHECK(t && *t->data == (unsigned char)i);
        }
    }
    ilki_format_close(w);
    free(file);
    ilki_base_buf_deinit(&b);
    end();
}

static void put_shard(const char *name, const char *tensor, unsigned char value)
{
    unsigned char file[256];
    char header[128];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", tensor);
    put_file(name, file, build(file, sizeof file, header, &value, 1));
}

static void reads_shards(void)
{
    static const struct {
        const char *index;
        ilk_status status;
        const char *says;
    } rows[] = {
        {"{\"metadata\":{\"total_size\":2},\"weight_map\":{\"u\":\"a.safetensors\",\"v\":\"b.safetensors\"}}", ILK_OK,
         ""},
        {"{\"weight_map\":{\"u\":\"../a.safetensors\"}}", ILK_BAD_FORMAT, "without a path, found \"../a.safetensors\""},
        {"{\"weight_map\":{\"u\":\"\\\\a.safetensors\"}}", ILK_BAD_FORMAT, "without a path"},
        {"{\"weight_map\":{\"u\":\"..\"}}", ILK_BAD_FORMAT, "without a path"},
        {"{\"weight_map\":{\"u\":\"\"}}", ILK_BAD_FORMAT, "without a path"},
        {"{\"weight_map\":{\"u\":\"a.safetensors\\u0000b\"}}", ILK_BAD_FORMAT, "without a path"},
        {"{\"weight_map\":{\"u\":1}}", ILK_BAD_FORMAT, "tensor u: expected a file's name"},
        {"{\"weight_map\":{\"v\":\"a.safetensors\"}}", ILK_BAD_FORMAT, "tensor v: expected it in a.safetensors"},
        {"{\"weight_map\":{\"u\":\"b.safetensors\",\"v\":\"a.safetensors\"}}", ILK_BAD_FORMAT,
         "expected it in b.safetensors"},
        {"{\"weight_map\":{\"u\":\"c.safetensors\"}}", ILK_NOT_FOUND, "c.safetensors"},
        {"{\"weight_map\":{\"u\":\"model.safetensors.index.json\"}}", ILK_LIMIT, "index.json"},
        {"{\"weight_map\":[]}", ILK_BAD_FORMAT, "weight_map"},
        {"{}", ILK_BAD_FORMAT, "weight_map"},
        {"{\"weight_map\":", ILK_BAD_FORMAT, "index.json"},
    };
    REQUIRE(begin());
    put_shard("a.safetensors", "u", 3);
    put_shard("b.safetensors", "v", 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_weights *w = NULL;
        ilk_error err;
        put_file("model.safetensors.index.json", rows[i].index, strlen(rows[i].index));
        CHECK_STATUS(try_open(&w, false, &err), rows[i].status, &err);
        if (rows[i].status == ILK_OK && w) {
            CHECK_INT(ilki_format_count(w), 2);
            CHECK_INT(*ilki_format_find(w, "v")->data, 5);
        }
        CHECK_THAT(rows[i].status == ILK_OK || (!w && strstr(err.message, rows[i].says)), "\"%s\" lacks \"%s\"",
                   err.message, rows[i].says);
        ilki_format_close(w);
    }
    put_shard("b.safetensors", "u", 5); /* the same name in two files */
    ilki_weights *w = NULL;
    ilk_error err;
    char a[512], b[512];
    snprintf(a, sizeof a, "%s/a.safetensors", dir);
    snprintf(b, sizeof b, "%s/b.safetensors", dir);
    const char *const both[] = {a, b};
    ilk_error_init(&err);
    CHECK_STATUS(ilki_format_open(&w, &ilki_base_vfs_posix, both, 2, false, &err), ILK_BAD_FORMAT, &err);
    CHECK(strstr(err.message, "b.safetensors: u: expected a name of its own, found it in") != NULL);
    end();
}

/* The set of an index with two shards, each allocation failing once. */
static void every_allocation_may_fail(void)
{
    static const char index[] = "{\"weight_map\":{\"u\":\"a.safetensors\",\"v\":\"b.safetensors\"}}";
    REQUIRE(begin());
    put_shard("a.safetensors", "u", 3);
    put_shard("b.safetensors", "v", 5);
    put_file("model.safetensors.index.json", index, strlen(index));
    uint64_t n = 1;
    for (bool failed = true; failed; n++)
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            ilki_weights *w = NULL;
            ilk_error err;
            alloc_fail_at(n, false);
            ilk_status s = try_open(&w, no_mmap, &err);
            failed = alloc_fail_off();
            CHECK_STATUS(s, failed ? ILK_NO_MEMORY : ILK_OK, &err);
            CHECK((w != NULL) == !failed);
            ilki_format_close(w);
        }
    CHECK(n > 15);
    end();
}

TEST_MAIN({"reads_mapped_and_read", reads_mapped_and_read}, {"reads_no_tensors", reads_no_tensors},
          {"every_truncation_fails", every_truncation_fails}, {"every_mutation_is_safe", every_mutation_is_safe},
          {"breaches_are_named", breaches_are_named}, {"reads_many", reads_many}, {"reads_shards", reads_shards},
          {"every_allocation_may_fail", every_allocation_may_fail})
