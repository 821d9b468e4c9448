/* SPDX-License-Identifier: Apache-2.0
 * The reader of torch.save's files: against safetensors of the same tensors (tests/fixtures/torchzip, made by
 * tools/make_torchzip.py), against archives made here with every form of a header, and against pickles that want more
 * than tensors. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_count.h"
#include "format/set.h"
#include "memory_vfs.h"
#include "test.h"
#include "zip_build.h"

#define FIXTURES ILK_TEST_DIR "/fixtures/torchzip/"

static const char *const equal[] = {"dtypes", "module", "nested", "protocol4", "protocol5", "many", "nocrc"};
#define N_EQUAL (sizeof equal / sizeof *equal)

static unsigned char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = malloc(1 << 16);
    *n = 0;
    if (CHECK_THAT(f && data, "%s: not read", path)) {
        *n = fread(data, 1, 1 << 16, f);
        fclose(f);
    }
    return data;
}

/* Opens bytes as x.bin out of memory. */
static ilk_status open_bytes(ilki_weights **w, const void *data, size_t n, ilk_error *err)
{
    const memory_bytes files[] = {{"x.bin", data, n}, {NULL, NULL, 0}};
    const ilki_vfs vfs = memory_vfs(files);
    const char *const paths[] = {"x.bin"};
    ilk_error_init(err);
    *w = NULL;
    return ilki_format_open(w, &vfs, paths, 1, true, err);
}

static ilk_status open_file(ilki_weights **w, const char *path, bool no_mmap, ilk_error *err)
{
    const char *const paths[] = {path};
    ilk_error_init(err);
    *w = NULL;
    return ilki_format_open(w, &ilki_base_vfs_posix, paths, 1, no_mmap, err);
}

static bool same_tensor(const ilki_tensor *a, const ilki_tensor *b)
{
    return a && b && a->dtype == b->dtype && a->rank == b->rank && a->n_bytes == b->n_bytes &&
           memcmp(a->shape, b->shape, sizeof a->shape) == 0 &&
           (a->n_bytes == 0 || memcmp(a->data, b->data, (size_t)a->n_bytes) == 0);
}

static size_t n_different(const ilki_weights *got, const ilki_weights *want)
{
    size_t n = ilki_format_count(got) != ilki_format_count(want);
    for (size_t i = 0; i < ilki_format_count(want); i++) {
        const ilki_tensor *t = ilki_format_view(want, i);
        n += !same_tensor(ilki_format_find(got, t->name), t);
    }
    return n;
}

static void equals_safetensors(void)
{
    for (size_t i = 0; i < N_EQUAL; i++)
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            char a[512], b[512];
            ilki_weights *got = NULL, *want = NULL;
            ilk_error err;
            snprintf(a, sizeof a, FIXTURES "%s.pt", equal[i]);
            snprintf(b, sizeof b, FIXTURES "%s.safetensors", equal[i]);
            if (CHECK_OK(open_file(&want, b, no_mmap, &err), &err) &&
                CHECK_OK(open_file(&got, a, no_mmap, &err), &err)) {
                CHECK(ilki_format_count(want) > 0);
                for (size_t t = 0; t < ilki_format_count(want); t++) {
                    const ilki_tensor *v = ilki_format_view(want, t);
                    CHECK_THAT(same_tensor(ilki_format_find(got, v->name), v), "%s: %s", equal[i], v->name);
                }
                CHECK_INT(ilki_format_count(got), ilki_format_count(want));
                for (size_t t = 1; t < ilki_format_count(got); t++)
                    CHECK(ilki_format_view(got, t - 1)->data <= ilki_format_view(got, t)->data);
            }
            ilki_format_close(got);
            ilki_format_close(want);
        }
    ilki_weights *w = NULL;
    ilk_error err;
    if (CHECK_OK(open_file(&w, FIXTURES "module.pt", false, &err), &err)) { /* one storage, two names */
        const ilki_tensor *a = ilki_format_find(w, "embed.weight"), *b = ilki_format_find(w, "out.weight");
        CHECK(a && b && a->data == b->data);
    }
    ilki_format_close(w);
}

static void fixtures_are_refused(void)
{
    static const struct {
        const char *name, *says;
    } rows[] = {
        {"strided", "tensor w: expected row-major strides"},
        {"uint16", "tensor u: expected dtype F32, F16, BF16, F64, I64, I32, I16, I8, U8 or BOOL, found torch.uint16"},
        {"complex", "tensor c: expected dtype"},
        {"tensor", "expected a dict of tensors, found a tensor"},
        {"bytes2", "asks for _codecs.encode"},
        {"module", "asks for __main__.Tied"},
        {"device", "asks for torch.device"},
        {"legacy", "a bare pickle, as before torch 1.6"},
        {"deflated", "expected it stored, found it compressed (method 8)"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[512];
        ilki_weights *w = NULL;
        ilk_error err;
        snprintf(path, sizeof path, FIXTURES "refused-%s.pt", rows[i].name);
        ilk_status s = open_file(&w, path, false, &err);
        CHECK_THAT((s == ILK_UNSUPPORTED || s == ILK_BAD_FORMAT) && !w, "%s: %d", rows[i].name, (int)s);
        CHECK_THAT(strstr(err.message, rows[i].says) && strstr(err.message, ".pt: "), "\"%s\" lacks \"%s\"",
                   err.message, rows[i].says);
    }
}

static void every_truncation_fails(void)
{
    for (size_t i = 0; i < N_EQUAL; i++) {
        char path[512];
        size_t n = 0;
        snprintf(path, sizeof path, FIXTURES "%s.pt", equal[i]);
        unsigned char *data = read_all(path, &n);
        for (size_t k = 0; k < n; k++) {
            ilki_weights *w = NULL;
            ilk_error err;
            ilk_status s = open_bytes(&w, data, k, &err);
            CHECK_THAT(!w && (s == ILK_BAD_FORMAT || (k < 4 && s == ILK_UNSUPPORTED)), "%s cut at %zu: %d", equal[i], k,
                       (int)s);
            CHECK(strstr(err.message, "x.bin: ") == err.message);
        }
        free(data);
    }
}

/* Every byte that is no number of a tensor, changed in four ways: an error, or the same tensors. nocrc.pt is left out:
 * nothing guards the names in its pickle. */
static void every_flip_is_safe(void)
{
    size_t n_failed = 0, n_passed = 0;
    for (size_t i = 0; i + 1 < N_EQUAL; i++) {
        char path[512];
        size_t n = 0;
        ilki_weights *want = NULL;
        ilk_error err;
        snprintf(path, sizeof path, FIXTURES "%s.pt", equal[i]);
        unsigned char *data = read_all(path, &n);
        bool *numbers = calloc(n + 1, sizeof *numbers);
        if (CHECK(numbers) && CHECK_OK(open_bytes(&want, data, n, &err), &err)) {
            const unsigned char *begin = want->files[0].bytes.data;
            for (size_t t = 0; t < ilki_format_count(want); t++) {
                const ilki_tensor *v = ilki_format_view(want, t);
                memset(numbers + (v->data - begin), 1, (size_t)v->n_bytes);
            }
            static const unsigned char flips[] = {1, 0x10, 0x80, 0xff};
            for (size_t k = 0; k < n; k++)
                for (size_t f = 0; f < sizeof flips && !numbers[k]; f++) {
                    ilki_weights *w = NULL;
                    data[k] ^= flips[f];
                    ilk_status s = open_bytes(&w, data, n, &err);
                    data[k] ^= flips[f];
                    CHECK_THAT((s == ILK_OK) == (w != NULL), "%s: byte %zu", equal[i], k);
                    CHECK_THAT(s != ILK_OK || n_different(w, want) == 0, "%s: byte %zu ^ %#x: other tensors", equal[i],
                               k, flips[f]);
                    CHECK(s == ILK_OK || s == ILK_BAD_FORMAT || s == ILK_UNSUPPORTED || s == ILK_LIMIT);
                    n_failed += s != ILK_OK;
                    n_passed += s == ILK_OK;
                    ilki_format_close(w);
                }
        }
        ilki_format_close(want);
        free(numbers);
        free(data);
    }
    CHECK_THAT(n_failed > 20000 && n_passed > 2000, "%zu failed, %zu passed", n_failed, n_passed);
}

/* ------------------------------------------------------------------ pickles */

#define STR(n, s) "X" n "\0\0\0" s
#define SMALL(n)  "K" n
#define STORAGE(cls, n)                                                                                                \
    "(" STR("\7", "storage") "ctorch\n" cls "Storage\n" STR("\1", "0") STR("\3", "cpu") SMALL(n) "tQ"
#define V2                                  "ctorch._utils\n_rebuild_tensor_v2\n"
#define TENSOR(cls, n, off, shape, strides) V2 "(" STORAGE(cls, n) SMALL(off) shape strides "\x89}tR"
#define VECTOR                              TENSOR("Float", "\4", "\0", SMALL("\4") "\x85", SMALL("\1") "\x85")
#define DICT(k, v)                          "}" STR("\1", k) v "s"

/* A pickle in an archive with one storage of 16 bytes, the floats 1 to 4. */
static ilk_status open_pickle(ilki_weights **w, const void *pickle, size_t n, ilk_error *err)
{
    static const float numbers[] = {1, 2, 3, 4};
    zip z;
    zip_begin(&z, ZIP_DESCRIPTOR);
    zip_add(&z, "a/data.pkl", pickle, n);
    zip_add(&z, "a/data/0", numbers, sizeof numbers);
    zip_end(&z);
    ilk_status s = open_bytes(w, z.b.data, z.b.len, err);
    ilki_base_buf_deinit(&z.b);
    return s;
}

static void reads_every_opcode(void)
{
    static const struct {
        const char *pickle;
        size_t n;
    } rows[] = {
#define P(text) {text, sizeof text - 1}
        P("\x80\2" DICT("w", VECTOR) "."),
        P("\x80\2}(" STR("\1", "w") VECTOR "u."),
        P("\x80\2" DICT("w", "ctorch._utils\n_rebuild_parameter\n" VECTOR "\x88}\x87R") "."),
        P("\x80\2" DICT("w", "ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("Float", "\4") SMALL("\0")
                                 SMALL("\4") "\x85" SMALL("\1") "\x85\x89}ctorch\nfloat32\ntR") "."),
        P("\x80\2" DICT("w", "ctorch._utils\n_rebuild_tensor_v3\n((" STR(
                                 "\7", "storage") "ctorch.storage\nUntypedStorage\n" STR("\1", "0") STR("\3", "cpu")
                                 SMALL("\x10") "tQ" SMALL("\0")
                                     SMALL("\4") "\x85" SMALL("\1") "\x85\x89}ctorch\nfloat32\nNtR") "."),
        P("\x80\2" DICT("w", V2 "(" STORAGE("Float", "\4") "M\0\0"
                                                           "J\4\0\0\0\x85\x8a\1\1\x85\x88NtR") "."),
        P("\x80\5\x95\1\0\0\0\0\0\0\0}\x8d\1\0\0\0\0\0\0\0w" VECTOR "s."),
        P("\x80\2}" STR("\1", "w") VECTOR "q\5s" STR("\1", "n") "NsK\1K\2s" STR("\1", "l") "](h\5K\1e"
                                                                                           "K\1as."),
        P("\x80\4}\x94(\x8c\1w\x94" VECTOR "\x94\x8c\1z\x8b\0\0\0\0\x8c\1yB\0\0\0\0\x8c\1x\x8e\0\0\0\0\0\0\0\0u."),
        P("\x80\2"
          "ccollections\nOrderedDict\n)R" STR("\1", "w") VECTOR "s}" STR("\1", "m") "G\0\0\0\0\0\0\0\0sb."),
        P("\x80\2" DICT("w", V2 "(" STORAGE("Float", "\4") "K\0"
                                                           "K\4\x85K\1\x85\x89}NtR") "."),
#undef P
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_weights *w = NULL;
        ilk_error err;
        if (CHECK_OK(open_pickle(&w, rows[i].pickle, rows[i].n, &err), &err)) {
            const ilki_tensor *t = ilki_format_find(w, "w");
            float got[4];
            CHECK_INT(ilki_format_count(w), 1);
            if (CHECK_THAT(t && t->rank == 1 && t->shape[0] == 4, "row %zu", i) &&
                CHECK_OK(ilki_tensor_read_f32(t, 0, 4, got, NULL), NULL))
                CHECK_FLOATS(got, ((float[]){1, 2, 3, 4}), 4, 0, 0);
        }
        ilki_format_close(w);
    }
}

static const struct {
    const char *pickle;
    size_t n;
    ilk_status status;
    const char *says;
} hostile[] = {
#define P(text) text, sizeof text - 1
#define B       ILK_BAD_FORMAT
#define U       ILK_UNSUPPORTED
    {P("cos\nsystem\n(" STR("\2", "ls") "tR."), U, "asks for os.system: only tensors"},
    {P("\x80\4\x8c\5posix\x8c\6system\x93\x8c\2ls\x85R."), U, "asks for posix.system"},
    {P("cbuiltins\neval\n."), U, "asks for builtins.eval"},
    {P("ctorch\nload\n."), U, "asks for torch.load"},
    {P("ctorch._utils\n_rebuild_tensor\n."), U, "asks for torch._utils._rebuild_tensor"},
    {P("ctorch\n_utils._rebuild_tensor_v2\n."), U, "asks for torch._utils._rebuild_tensor_v2"},
    {P("ccollections\nOrderedDict\0x\n."), U, "asks for collections.OrderedDict"},
    {P("ccollections\nOrderedDic"), B, "found the end"},
    {P("\x80\4K\1K\2\x93."), B, "expected two strings as a global's name"},
    {P("(ios\nsystem\n."), U, "opcode 0x69 (INST)"},
    {P("(o."), U, "(OBJ)"},
    {P("ccollections\nOrderedDict\n)\x81."), U, "opcode 0x81 (NEWOBJ)"},
    {P("\x82\1."), U, "(EXT1)"},
    {P("P0\n."), U, "(PERSID)"},
    {P("\xff."), U, "opcode 0xff (unknown)"},
    {P("K\1)R."), B, "REDUCE: expected a global and a tuple, found an int and a tuple"},
    {P("ccollections\nOrderedDict\nK\1R."), B, "found a global and an int"},
    {P("ccollections\nOrderedDict\nK\1\x85R."), U, "REDUCE: collections.OrderedDict of 1 arguments"},
    {P("ctorch\nFloatStorage\nK\1\x85R."), U, "REDUCE: torch.FloatStorage"},
    {P("ctorch\nfloat32\n)R."), U, "REDUCE: torch.float32"},
    {P("ctorch._utils\n_rebuild_parameter\nK\1\x85R."), U, "_rebuild_parameter of 1 arguments"},
    {P("]}b."), U, "BUILD: expected a dict and its state, found a list and a dict"},
    {P("}K\1b."), U, "BUILD"},
    {P("K\1Q."), B, "persistent id"},
    {P("(" STR("\7", "storagf") "ctorch\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "K\1tQ."), B, "persistent id"},
    {P("(" STR("\7", "storage") "ccollections\nOrderedDict\n" STR("\1", "0") STR("\3", "cpu") "K\1tQ."), B,
     "persistent id"},
    {P("(" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\1", "0") STR("\3", "cpu") "J\xff\xff\xff\xfftQ."), B,
     "persistent id"},
    {P("(" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\1", "0")
           STR("\3", "cpu") "\x8a\x8\0\0\0\0\0\0\0\x7ftQ."),
     B, "persistent id"},
    {P(V2 "(K\1K\1K\1K\1K\1K\1tR."), B, "expected the arguments of _rebuild_tensor_v2"},
    {P(V2 ")R."), B, "expected the arguments"},
    {P(V2 "(" STORAGE("Float", "\4") "K\0K\4\x85K\1\x85\x89}}" STR("\3", "neg") "\x88stR."), U, "with metadata"},
    {P(V2 "(" STORAGE("Float", "\4") "K\0(K\1K\1K\1K\1K\1K\1K\1K\1K\1t)\x89}tR."), B, "at most 8 dimensions, found 9"},
    {P(V2 "(" STORAGE("Float", "\4") "K\0K\4\x85)\x89}tR."), B, "a size and a stride for each dimension"},
    {P(V2 "(" STORAGE("Float", "\4") "K\0J\xff\xff\xff\xff\x85K\1\x85\x89}tR."), B, "a size and a stride"},
    {P(V2 "(" STORAGE("Float", "\4") "\x8a\1\xff"
                                     "K\4\x85K\1\x85\x89}tR."),
     B, "expected the arguments"},
    {P(V2 "(" STORAGE("Float", "\4") "J\xff\xff\xff\xffK\4\x85K\1\x85\x89}tR."), B, "expected the arguments"},
    {P(DICT("w", TENSOR("Float", "\4", "\1", "K\4\x85", "K\1\x85")) "."), B,
     "tensor w: expected it within its storage's 16 bytes, found shape [4] of F32 from element 1"},
    {P(DICT("w", TENSOR("Float", "\4", "\0", "\x8a\x8\0\0\0\0\0\0\0\x40\x85", "K\1\x85")) "."), B,
     "tensor w: expected it"},
    {P(DICT("w", TENSOR("Float", "\4", "\0", "\x8a\x8\0\0\0\0\0\0\0\x40K\4K\4\x87", "K\20K\4K\1\x87")) "."), B,
     "tensor w: expected a size below 2^64"},
    {P(DICT("w", TENSOR("Float", "\4", "\0", "K\2K\2\x86", "K\1K\2\x86")) "."), U, "tensor w: expected row-major"},
    {P(DICT("w", TENSOR("Float", "\4", "\0", "K\4\x85", "K\0\x85")) "."), U, "tensor w: expected row-major"},
    {P(DICT("w", TENSOR("Float", "\3", "\0", "K\3\x85", "K\1\x85")) "."), B,
     "expected a storage of 12 bytes, found 16"},
    {P(DICT("w", TENSOR("ComplexFloat", "\2", "\0", "K\2\x85", "K\1\x85")) "."), U, "found torch.ComplexFloatStorage"},
    {P("}" STR("\1", "w") V2 "((" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\3", "../")
           STR("\3", "cpu") "K\4tQK\0K\4\x85K\1\x85\x89}tRs."),
     B, "expected a storage data/../, found no such member"},
    {P("}" STR("\1", "w") VECTOR "q\0s" STR("\1", "w") "h\0s."), B, "w: expected a name of its own"},
    {P("}" STR("\3", "a.b") VECTOR "q\0s" STR("\1", "a") "}" STR("\1", "b") "h\0ss."), B,
     "a.b: expected a name of its own"},
    {P("}" STR("\0", "") VECTOR "s."), B, "expected tensor names of UTF-8"},
    {P("}" STR("\1", "\0") VECTOR "s."), B, "expected tensor names of UTF-8"},
    {P("}" STR("\1", "\xff") VECTOR "s."), B, "expected tensor names of UTF-8"},
    {P("}q\0" STR("\1", "a") "h\0s."), B, "a dict that contains itself"},
    {P("}q\0" STR("\1", "a") "}" STR("\1", "b") "h\0ss."), B, "a dict that contains itself"},
    {P("]q\0h\0a."), B, "expected a dict of tensors, found a list"},
    {P("K\1."), B, "expected a dict of tensors, found an int"},
    {P("X\xff\xff\xff\xff"
       "a."),
     B, "expected a string of 4294967295 bytes, found 2 left"},
    {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), B, "expected a string of 18446744073709551615 bytes"},
    {P("\x8e\0\0\0\0\0\0\0\x80."), B, "expected bytes or a number of 9223372036854775808 bytes"},
    {P("\x8b\xff\xff\xff\x7f."), B, "found the end"},
    {P("\x95\xff\0\0\0\0\0\0\0}."), B, "found the end"},
    {P("\x80\1}."), U, "expected protocol 2 to 5, found 1"},
    {P("\x80\6}."), U, "found 6"},
    {P("}r\xff\xff\xff\xff."), ILK_LIMIT, "values in the memo"},
    {P("}q\5."), ILK_LIMIT, "values in the memo"},
    {P("h\0."), B, "expected a value in the memo at 0, found none"},
    {P("}q\1h\0."), B, "expected a value in the memo at 0, found none"},
    {P("."), B, "expected one value at STOP"},
    {P("}}."), B, "expected one value at STOP"},
    {P("}(."), B, "expected one value at STOP"},
    {P("}.}"), B, "expected nothing behind STOP"},
    {P("}"), B, "expected STOP, found the end"},
    {P(""), B, "expected STOP, found the end"},
    {P("t."), B, "expected a mark"},
    {P("u."), B, "expected a mark"},
    {P("R."), B, "expected more values on the stack"},
    {P("K\1R."), B, "expected more values on the stack"},
    {P("}(R."), B, "expected more values on the stack"},
    {P("}K\1(\x86."), B, "expected more values on the stack"},
    {P("a."), B, "expected more values"},
    {P("(K\1e."), B, "expected more values"},
    {P("](K\1u."), B, "expected items for a dict, found 1 for a list"},
    {P("}(K\1u."), B, "expected items for a dict, found 1 for a dict"},
    {P("}K\1a."), B, "expected items for a list, found 1 for a dict"},
    {P("q\0."), B, "expected more values"},
    {P("Q."), B, "expected more values"},
    {P("b."), B, "expected more values"},
    {P("\x93."), B, "expected more values"},
    {P("K"), B, "found the end"},
    {P("G\0\0"), B, "found the end"},
    {P("\x8a"), B, "found the end"},
    {P("}r\0"), B, "found the end"},
    {P("\x80"), B, "found the end"},
#undef P
};

static void hostile_pickles_are_refused(void)
{
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        ilki_weights *w = NULL;
        ilk_error err;
        CHECK_STATUS(open_pickle(&w, hostile[i].pickle, hostile[i].n, &err), hostile[i].status, &err);
        CHECK_THAT(w == NULL && strstr(err.message, hostile[i].says), "row %zu: \"%s\" lacks \"%s\"", i, err.message,
                   hostile[i].says);
        CHECK(strstr(err.message, "x.bin: ") == err.message);
        ilki_format_close(w);
    }
}

/* `unit` n times between a head and a tail. */
static void check_bomb(const char *head, size_t n_head, const char *unit, size_t n_unit, size_t n, const char *says)
{
    ilki_buf b;
    ilki_weights *w = NULL;
    ilk_error err;
    ilki_base_buf_init(&b, (size_t)1 << 24);
    ilki_base_buf_add(&b, head, n_head);
    for (size_t i = 0; i < n; i++)
        ilki_base_buf_add(&b, unit, n_unit);
    ilki_base_buf_addc(&b, '.');
    CHECK_STATUS(open_pickle(&w, b.data, b.len, &err), ILK_LIMIT, &err);
    CHECK_THAT(strstr(err.message, says), "\"%s\" lacks \"%s\"", err.message, says);
    ilki_format_close(w);
    ilki_base_buf_deinit(&b);
}

static void bombs_are_refused(void)
{
#define S(text) text, sizeof text - 1
    check_bomb(S("\x80\2"), S("("), 1025, "at most 1024 open marks (nesting), found more");
    check_bomb(S("\x80\2"), S("N"), (1 << 20) + 1, "at most 1048576 values on the stack");
    check_bomb(S("\x80\2}"), S("\x94"), (1 << 20) + 1, "at most 1048576 values in the memo");
    check_bomb(S("\x80\2)"), S("\x85"), (1 << 20) + 1, "at most 1048576 objects");
    check_bomb(S("\x80\2]"), S("(NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNe"), 139811, "at most 4194304 items");
#undef S
}

/* The same persistent id over and over; a chain of dicts; dicts that double at each level; a name too long. */
static void counts_are_limited(void)
{
    ilki_buf b;
    ilki_weights *w = NULL;
    ilk_error err;
    static const char id[] = "\x80\2](" STR("\7", "storage") "ctorch\nByteStorage\n" STR("\1", "0")
        STR("\3", "cpu") "K\4tq\0a";
    ilki_base_buf_init(&b, (size_t)1 << 24);
    ilki_base_buf_add(&b, id, sizeof id - 1);
    for (int i = 0; i <= 1 << 18; i++)
        ilki_base_buf_add(&b, "h\0Qa", 4);
    ilki_base_buf_addc(&b, '.');
    CHECK_STATUS(open_pickle(&w, b.data, b.len, &err), ILK_LIMIT, &err);
    CHECK(strstr(err.message, "at most 262144 storages and tensors") != NULL);
    for (int depth = 16; depth <= 17; depth++) {
        ilki_base_buf_reset(&b);
        for (int i = 0; i < depth; i++)
            ilki_base_buf_add(&b, "}" STR("\1", "d"), i + 1 < depth ? 7 : 1);
        ilki_base_buf_add(&b, STR("\1", "w") VECTOR "s", sizeof(STR("\1", "w") VECTOR "s") - 1);
        for (int i = 1; i < depth; i++)
            ilki_base_buf_addc(&b, 's');
        ilki_base_buf_addc(&b, '.');
        CHECK_STATUS(open_pickle(&w, b.data, b.len, &err), depth == 16 ? ILK_OK : ILK_LIMIT, &err);
        CHECK(w ? ilki_format_find(w, "d.d.d.d.d.d.d.d.d.d.d.d.d.d.d.w") != NULL
                : strstr(err.message, "at most 16 dicts in one another") != NULL);
        ilki_format_close(w);
    }
    ilki_base_buf_reset(&b);
    ilki_base_buf_adds(&b, "}("); /* 14 levels of four times the one before: 4^14 entries */
    ilki_base_buf_adds(&b, "K\1}q\1");
    for (int i = 1; i < 14; i++)
        ilki_base_buf_addf(&b, "K%c}q%c(K%ch%cK%ch%cK%ch%cK%ch%cu", i, i + 1, 1, i, 2, i, 3, i, 4, i);
    ilki_base_buf_adds(&b, "u.");
    CHECK_STATUS(open_pickle(&w, b.data, b.len, &err), ILK_LIMIT, &err);
    CHECK_THAT(strstr(err.message, "at most 4194304 entries of dicts"), "\"%s\"", err.message);
    for (int n = 4096; n <= 4097; n++) {
        ilki_base_buf_reset(&b);
        ilki_base_buf_adds(&b, "}X");
        ilki_base_buf_put_u32(&b, (uint32_t)n);
        for (int i = 0; i < n; i++)
            ilki_base_buf_addc(&b, 'n');
        ilki_base_buf_add(&b, VECTOR "s.", sizeof(VECTOR "s.") - 1);
        CHECK_STATUS(open_pickle(&w, b.data, b.len, &err), n == 4096 ? ILK_OK : ILK_LIMIT, &err);
        ilki_format_close(w);
    }
    CHECK(strstr(err.message, "at most 4096 bytes of a tensor's name") != NULL);
    ilki_base_buf_deinit(&b);
}

/* ------------------------------------------------------------------ archives */

static const char one[] = "\x80\2" DICT("w", VECTOR) ".";
static const float numbers[] = {1, 2, 3, 4};

static void begin_one(zip *z, unsigned how)
{
    zip_begin(z, how);
    zip_add(z, "a/data.pkl", one, sizeof one - 1);
    zip_add(z, "a/byteorder", "little", 6);
    zip_add(z, "a/data/0", numbers, sizeof numbers);
}

/* Each bit of each byte but those of pickle and numbers: an error, or the same tensor. */
static void flip_archive(zip *z, unsigned how)
{
    bool skip[4096] = {0};
    REQUIRE(CHECK(z->b.len < sizeof skip));
    for (size_t i = 0; i < z->n; i++)
        if (strcmp(z->members[i].name, "a/data.pkl") == 0 || strcmp(z->members[i].name, "a/data/0") == 0) {
            bool wide = (z->members[i].how & ZIP_WIDE) && !(z->members[i].how & ZIP_DESCRIPTOR);
            size_t at = z->members[i].header + 30 + strlen(z->members[i].name) + (wide ? 20 : 0);
            memset(skip + at, 1, z->members[i].n);
        }
    for (size_t k = 0; k < 8 * z->b.len; k++) {
        ilki_weights *w = NULL;
        ilk_error err;
        if (skip[k / 8])
            continue;
        z->b.data[k / 8] ^= (char)(1 << k % 8);
        ilk_status s = open_bytes(&w, z->b.data, z->b.len, &err);
        z->b.data[k / 8] ^= (char)(1 << k % 8);
        const ilki_tensor *t = w ? ilki_format_find(w, "w") : NULL;
        CHECK_THAT(s != ILK_OK || (t && t->n_bytes == 16 && memcmp(t->data, numbers, 16) == 0),
                   "form %u: byte %zu, bit %zu: other tensors", how, k / 8, k % 8);
        CHECK_THAT(s == ILK_OK || s == ILK_BAD_FORMAT || s == ILK_UNSUPPORTED || s == ILK_LIMIT,
                   "form %u: byte %zu, bit %zu: %d", how, k / 8, k % 8, (int)s);
        ilki_format_close(w);
    }
}

static void reads_every_form(void)
{
    for (unsigned how = 0; how < 16; how++) {
        zip z;
        ilki_weights *w = NULL;
        ilk_error err;
        float got[4];
        begin_one(&z, how);
        zip_add(&z, "a/version", "3\n", 2);
        zip_end(&z);
        if (CHECK_OK(open_bytes(&w, z.b.data, z.b.len, &err), &err)) {
            const ilki_tensor *t = ilki_format_find(w, "w");
            if (CHECK(t != NULL) && CHECK_OK(ilki_tensor_read_f32(t, 0, 4, got, NULL), NULL))
                CHECK_FLOATS(got, numbers, 4, 0, 0);
        }
        ilki_format_close(w);
        for (size_t n = 0; n < z.b.len; n++) {
            ilk_status s = open_bytes(&w, z.b.data, n, &err);
            CHECK_THAT(s == ILK_BAD_FORMAT || (n < 4 && s == ILK_UNSUPPORTED), "form %u cut at %zu: %d", how, n,
                       (int)s);
        }
        flip_archive(&z, how);
        ilki_base_buf_deinit(&z.b);
    }
}

static void check_archive(zip *z, ilk_status status, const char *says)
{
    ilki_weights *w = NULL;
    ilk_error err;
    CHECK_STATUS(open_bytes(&w, z->b.data, z->b.len, &err), status, &err);
    CHECK_THAT(w == NULL && strstr(err.message, says), "\"%s\" lacks \"%s\"", err.message, says);
    ilki_format_close(w);
    ilki_base_buf_deinit(&z->b);
}

static void archives_are_checked(void)
{
    zip z;
    begin_one(&z, 0);
    zip_add(&z, "a/data/0", numbers, 4);
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected a name of its own");
    begin_one(&z, 0);
    zip_add(&z, "a/constants.pkl", one, sizeof one - 1);
    zip_end(&z);
    check_archive(&z, ILK_UNSUPPORTED, "found a TorchScript program");
    zip_begin(&z, 0);
    zip_add(&z, "data.pkl", one, sizeof one - 1);
    zip_end(&z);
    check_archive(&z, ILK_UNSUPPORTED, "expected a member NAME/data.pkl");
    zip_begin(&z, 0);
    zip_add(&z, "a/data.pkl", one, sizeof one - 1);
    zip_add(&z, "a/byteorder", "big", 3);
    zip_end(&z);
    check_archive(&z, ILK_UNSUPPORTED, "expected byteorder little, found big");
    zip_begin(&z, 0);
    zip_add(&z, "a/data.pkl", one, sizeof one - 1);
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "tensor w: expected a storage data/0, found no such member");
    zip_begin(&z, 0);
    z.flags = 1;
    zip_add(&z, "a/data.pkl", one, sizeof one - 1);
    zip_end(&z);
    check_archive(&z, ILK_UNSUPPORTED, "member a/data.pkl: expected it stored, found it encrypted");
    begin_one(&z, 0);
    ilki_base_buf_addc(&z.b, 0); /* a hole before the directory */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected the next member behind its data");
    begin_one(&z, 0);
    zip_end(&z);
    ilki_base_buf_addc(&z.b, 0);
    check_archive(&z, ILK_BAD_FORMAT, "expected an end record in the last 22 bytes");
    begin_one(&z, 0);
    z.members[2].header = z.members[1].header; /* two entries of one place */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "local header that agrees");
    begin_one(&z, 0);
    z.members[2].header = 1 << 30;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected it before the directory");
    begin_one(&z, ZIP_WIDE);
    z.members[2].header = UINT64_MAX - 8;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected it before the directory");
    begin_one(&z, ZIP_WIDE | ZIP_DESCRIPTOR);
    z.members[2].n = UINT64_MAX - 8;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected its data before the next member");
    begin_one(&z, 0);
    z.members[0].n--; /* sizes of local header and directory differ */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data.pkl: expected sizes and CRC as in the directory");
    begin_one(&z, ZIP_DESCRIPTOR);
    z.members[0].n--;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data.pkl: expected the next member behind its data");
    zip_begin(&z, 0);
    ilki_base_buf_adds(&z.b, "PK\3\4"); /* bytes before the first member */
    zip_add(&z, "a/data.pkl", one, sizeof one - 1);
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "expected a first member at byte 0");
    begin_one(&z, 0);
    z.n = 0;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "expected a first member at byte 0");
    begin_one(&z, 0);
    zip_end(&z);
    z.b.data[z.b.len - 3] = 1; /* a directory 16 MiB further on */
    check_archive(&z, ILK_BAD_FORMAT, "expected a directory that ends at");
    begin_one(&z, 0);
    zip_end(&z);
    z.b.data[z.b.len - 18] = 1; /* a second disk */
    check_archive(&z, ILK_BAD_FORMAT, "expected an end record");
    begin_one(&z, ZIP_DESCRIPTOR);
    z.b.data[z.b.len - 12]++; /* the CRC behind the last data */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected the next member behind its data");
    begin_one(&z, 0);
    z.members[0].method = 8; /* in the directory only */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data.pkl: expected a local header that agrees");
    begin_one(&z, 0);
    z.members[0].flags = 1;
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data.pkl: expected a local header that agrees");
    begin_one(&z, 0);
    zip_add(&z, "a/version", "3\n", 2);
    z.n--; /* a member that the directory lacks */
    zip_end(&z);
    check_archive(&z, ILK_BAD_FORMAT, "member a/data/0: expected the next member behind its data");
    begin_one(&z, ZIP_END64);
    uint64_t directory = z.b.len;
    zip_end(&z);
    z.b.data[directory + 3 * 46 + 29 + 24] = 0x7f; /* more members than the directory has bytes for */
    check_archive(&z, ILK_BAD_FORMAT, "ZIP64 end record");
}

/* An index, and what it must not name. */
static void reads_shards(void)
{
    static const struct {
        const char *index;
        ilk_status status;
        const char *says;
    } rows[] = {{"{\"weight_map\":{\"w\":\"a.bin\"}}", ILK_OK, ""},
                {"{\"weight_map\":{\"v\":\"a.bin\"}}", ILK_BAD_FORMAT, "tensor v: expected it in a.bin"},
                {"{\"weight_map\":{\"w\":\"../a.bin\"}}", ILK_BAD_FORMAT, "without a path"},
                {"{\"weight_map\":{\"w\":\"b.bin\"}}", ILK_NOT_FOUND, "b.bin"},
                {"{\"weight_map\":{\"w\":\"c.bin\"}}", ILK_BAD_FORMAT, "c.bin: expected a zip archive of torch.save"},
                {"{\"weight_map\":{\"w\":\"m.bin.index.json\"}}", ILK_LIMIT, "m.bin.index.json"}};
    zip z;
    begin_one(&z, 0);
    zip_end(&z);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const memory_bytes files[] = {{"m.bin.index.json", rows[i].index, strlen(rows[i].index)},
                                      {"a.bin", z.b.data, z.b.len},
                                      {"c.bin", "{}", 2},
                                      {NULL, NULL, 0}};
        const ilki_vfs vfs = memory_vfs(files);
        const char *const paths[] = {"m.bin.index.json"};
        ilki_weights *w = NULL;
        ilk_error err;
        ilk_error_init(&err);
        CHECK_STATUS(ilki_format_open(&w, &vfs, paths, 1, true, &err), rows[i].status, &err);
        CHECK_THAT(rows[i].status == ILK_OK ? ilki_format_find(w, "w") != NULL
                                            : strstr(err.message, rows[i].says) != NULL,
                   "\"%s\" lacks \"%s\"", err.message, rows[i].says);
        ilki_format_close(w);
    }
    ilki_base_buf_deinit(&z.b);
}

/* A storage of more than 4 GiB, in a file with a hole in it, and a tensor behind it. */
static void reads_zip64(void)
{
    static const char text[] = "\x80\2}" STR("\3", "big") V2
        "((" STR("\7", "storage") "ctorch\nByteStorage\n" STR("\1", "0")
            STR("\3", "cpu") "\x8a\5\5\0\0\0\1tQK\0\x8a\5\5\0\0\0\1\x85K\1\x85\x89}tRs" STR("\1", "w") V2
        "((" STR("\7", "storage") "ctorch\nFloatStorage\n" STR("\1", "1")
            STR("\3", "cpu") "K\4tQK\0K\4\x85K\1\x85\x89}tRs.";
    const uint64_t big = ((uint64_t)1 << 32) + 5;
    char path[] = "/tmp/ilk-zip64-XXXXXX";
    int fd = mkstemp(path);
    zip z;
    REQUIRE(CHECK(fd >= 0));
    zip_begin(&z, ZIP_WIDE);
    zip_add(&z, "a/data.pkl", text, sizeof text - 1);
    zip_add(&z, "a/data/0", NULL, 0);
    size_t cut = z.b.len;          /* the hole comes here */
    for (size_t i = 0; i < 2; i++) /* both sizes of the local extra field */
        for (size_t k = 0; k < 8; k++)
            z.b.data[cut - 16 + 8 * i + k] = (char)(big >> 8 * k);
    z.members[1].n = big;
    zip_add(&z, "a/data/1", numbers, sizeof numbers);
    z.members[2].header += big;
    size_t directory = z.b.len;
    zip_end(&z);
    z.b.len = z.b.len - 22; /* the end records anew, with the hole counted */
    size_t n_directory = z.b.len - directory;
    zip_end64(&z.b, 3, directory);
    for (size_t k = 0; k < 8; k++) {
        z.b.data[directory + n_directory + 48 + k] = (char)((directory + big) >> 8 * k);
        z.b.data[directory + n_directory + 56 + 8 + k] = (char)((directory + n_directory + big) >> 8 * k);
    }
    static const unsigned char end[22] = {'P', 'K', 5,   6,   0,   0,   0,   0,   3,   0, 3,
                                          0,   255, 255, 255, 255, 255, 255, 255, 255, 0, 0};
    ilki_base_buf_add(&z.b, end, sizeof end);
    size_t rest = z.b.len - cut;
    bool wrote = pwrite(fd, z.b.data, cut, 0) == (ssize_t)cut &&
                 pwrite(fd, z.b.data + cut, rest, (off_t)(cut + big)) == (ssize_t)rest;
    close(fd);
    ilki_weights *w = NULL;
    ilk_error err;
    if (CHECK(wrote) && CHECK_OK(open_file(&w, path, false, &err), &err)) {
        const ilki_tensor *b = ilki_format_find(w, "big"), *t = ilki_format_find(w, "w");
        float got[4];
        if (CHECK(b && t)) {
            CHECK(b->n_bytes == big && b->data[big - 1] == 0);
            CHECK_OK(ilki_tensor_read_f32(t, 0, 4, got, NULL), NULL);
            CHECK_FLOATS(got, numbers, 4, 0, 0);
        }
    }
    ilki_format_close(w);
    unlink(path);
    ilki_base_buf_deinit(&z.b);
}

static void every_allocation_may_fail(void)
{
    uint64_t n = 1;
    for (bool failed = true; failed; n++)
        for (int no_mmap = 0; no_mmap < 2; no_mmap++) {
            ilki_weights *w = NULL;
            ilk_error err;
            alloc_fail_at(n, false);
            ilk_status s = open_file(&w, FIXTURES "nested.pt", no_mmap, &err);
            failed = alloc_fail_off();
            CHECK_STATUS(s, failed ? ILK_NO_MEMORY : ILK_OK, &err);
            CHECK((w != NULL) == !failed);
            ilki_format_close(w);
        }
    CHECK(n > 15);
}

TEST_MAIN({"equals_safetensors", equals_safetensors}, {"fixtures_are_refused", fixtures_are_refused},
          {"every_truncation_fails", every_truncation_fails}, {"every_flip_is_safe", every_flip_is_safe},
          {"reads_every_opcode", reads_every_opcode}, {"hostile_pickles_are_refused", hostile_pickles_are_refused},
          {"bombs_are_refused", bombs_are_refused}, {"counts_are_limited", counts_are_limited},
          {"reads_every_form", reads_every_form}, {"archives_are_checked", archives_are_checked},
          {"reads_shards", reads_shards}, {"reads_zip64", reads_zip64},
          {"every_allocation_may_fail", every_allocation_may_fail})
