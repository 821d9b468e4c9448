/* SPDX-License-Identifier: Apache-2.0
 * Weight files on a failing disk: each call fails once; what was opened is whole, what was not says which file. */
#include <stdlib.h>

#include "faulty.h"
#include "format/format.h"
#include "test.h"

static void put(const ilki_vfs *v, const char *path, const void *data, size_t n)
{
    ilki_file *f = NULL;
    ilk_error err;
    ilk_error_init(&err);
    if (CHECK_OK(v->open(v, &f, path, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE, &err), &err))
        CHECK_OK(v->write(f, 0, data, n, &err), &err);
    v->close(f);
}

static void put_shard(const ilki_vfs *v, const char *path, const char *tensor, unsigned char value)
{
    unsigned char file[8 + 128 + 3 * 4096] = {0};
    char header[129];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[12288],\"data_offsets\":[0,12288]}}", tensor);
    memset(file + 8, ' ', 128);
    memcpy(file + 8, header, strlen(header));
    memset(file + 8 + 128, value, 3 * 4096);
    file[0] = 128;
    put(v, path, file, sizeof file);
}

static void each_call_fails_once(void)
{
    static const char index[] = "{\"weight_map\":{\"u\":\"a.safetensors\",\"v\":\"b.safetensors\"}}";
    static const char *const paths[] = {"/m.safetensors.index.json"};
    int n_failed = 0, n_passed = 0;
    for (int no_mmap = 0; no_mmap < 2; no_mmap++)
        for (uint64_t n = 1;; n++) {
            faulty *f = faulty_new();
            const ilki_vfs *v = faulty_vfs(f);
            put(v, paths[0], index, strlen(index));
            put_shard(v, "/a.safetensors", "u", 3);
            put_shard(v, "/b.safetensors", "v", 5);
            ilki_weights *w = NULL;
            ilk_error err;
            ilk_error_init(&err);
            faulty_fail(f, FAULTY_ANY, n, EIO, FAULTY_ONCE);
            ilk_status s = ilki_format_open(&w, v, paths, 1, no_mmap, &err);
            bool failed = faulty_fail_off(f);
            CHECK_THAT(s == ILK_OK || (failed && s == ILK_IO && !w), "call %d: %d %s", (int)n, (int)s, err.message);
            CHECK_THAT(s == ILK_OK || strstr(err.message, ".safetensors"), "\"%s\" names no file", err.message);
            if (w) { /* a map that was refused is read instead */
                const ilki_tensor *u = ilki_format_find(w, "u"), *b = ilki_format_find(w, "v");
                if (CHECK(u && b)) {
                    ilki_format_done_with(w, u);
                    size_t n_wrong = 0;
                    for (size_t i = 0; i < 12288; i++)
                        n_wrong += u->data[i] != 3 || b->data[i] != 5;
                    CHECK_INT(n_wrong, 0);
                }
            }
            n_failed += s != ILK_OK;
            n_passed += s == ILK_OK;
            ilki_format_close(w);
            CHECK_INT(faulty_n_open(f), 0);
            faulty_free(f);
            if (!failed)
                break;
        }
    CHECK_THAT(n_failed >= 12 && n_passed >= 2, "%d failed, %d passed", n_failed, n_passed);
}

TEST_MAIN({"each_call_fails_once", each_call_fails_once})
