/* SPDX-License-Identifier: Apache-2.0
 * Files of packed weights: there and back, every bit of head and table turned, every length, other keys, other owners. */
#include "tensor/packfile.h"

#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "tree.h"

static const uint8_t key[ILKI_PACK_KEY] = {9, 8, 7}, other_key[ILKI_PACK_KEY] = {9, 8, 6};
static unsigned char linear_bytes[1000], codes[77];
static float scales[7];

static const ilki_pack packs[] = {
    {.kind = ILKI_PACK_LINEAR, .form = ILKI_FORM_F32, .n_out = 5, .n_in = 50, .n_bytes = 1000, .data = linear_bytes},
    {.kind = ILKI_PACK_LINEAR,
     .form = ILKI_FORM_I8,
     .n_out = 3,
     .n_in = 40,
     .n_bytes = 999,
     .data = linear_bytes + 1,
     .n_exact = 4,
     .exact = {0, 7, 8, 39}},
    {.kind = ILKI_PACK_CODES, .n_out = 7, .n_in = 11, .n_bytes = 77, .data = codes},
    {.kind = ILKI_PACK_SCALES, .n_out = 7, .n_in = 1, .n_bytes = sizeof scales, .data = scales},
    {.kind = ILKI_PACK_PLAIN, .n_out = 9, .n_in = 4, .data = codes}};
enum { N_PACKS = sizeof packs / sizeof *packs };

static char *write_example(const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < sizeof linear_bytes; i++)
        linear_bytes[i] = (unsigned char)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (unsigned char)i;
    for (size_t i = 0; i < 7; i++)
        scales[i] = (float)i / 3;
    char *path = strdup(tree_path(dir, "example.pack"));
    ilki_packs *p = ilki_tensor_packs_new();
    CHECK(!ilki_tensor_packs_mapped(p) && !ilki_tensor_packs_mapped(NULL));
    for (size_t i = 0; i < N_PACKS; i++)
        CHECK_OK(ilki_tensor_packs_add(p, &packs[i], &err), &err);
    uint64_t n_bytes = ilki_tensor_packs_bytes(p);
    CHECK_OK(ilki_tensor_packs_write(p, &ilki_base_vfs_posix, path, key, &err), &err);
    ilki_tensor_packs_close(p);
    struct stat st;
    CHECK(stat(path, &st) == 0);
    CHECK_INT(st.st_size, n_bytes);
    CHECK_INT(st.st_mode & 07777, 0600);
    return path;
}

static void check_whole(ilki_packs *p)
{
    ilk_error err;
    ilk_error_init(&err);
    CHECK(ilki_tensor_packs_mapped(p));
    CHECK_INT(ilki_tensor_packs_peek(p), ILKI_PACK_LINEAR);
    CHECK_INT(ilki_tensor_packs_count(p), N_PACKS);
    for (size_t i = 0; i < N_PACKS; i++) {
        const ilki_pack *got = NULL;
        if (!CHECK_OK(ilki_tensor_packs_next(p, &packs[i], &got, &err), &err))
            continue;
        CHECK_OK(ilki_tensor_packs_check(p, got, &err), &err);
        CHECK_MEM(got->data, packs[i].data, (size_t)packs[i].n_bytes);
        CHECK_INT((uintptr_t)got->data % ILKI_ALIGN, 0);
        CHECK_INT(got->n_exact, packs[i].n_exact);
        CHECK_MEM(got->exact, packs[i].exact, sizeof got->exact);
    }
    const ilki_pack *none;
    CHECK_INT(ilki_tensor_packs_peek(p), 0);
    CHECK_STATUS(ilki_tensor_packs_next(p, &packs[0], &none, &err), ILK_CORRUPT, &err);
}

static void there_and_back(void)
{
    char *dir = tree_new(), *path = write_example(dir);
    ilki_packs *p = NULL;
    ilk_error err;
    ilk_error_init(&err);
    if (CHECK_OK(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, key, &err), &err))
        check_whole(p);
    ilki_tensor_packs_close(p);
    CHECK_STATUS(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, other_key, &err), ILK_MISMATCH, &err);
    CHECK(p == NULL);
    CHECK_STATUS(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, tree_path(dir, "no"), key, &err), ILK_NOT_FOUND,
                 &err);
    free(path);
    tree_free(dir);
}

static void expected_and_found(void)
{
    char *dir = tree_new(), *path = write_example(dir);
    ilk_error err;
    ilk_error_init(&err);
    for (int i = 0; i < 5; i++) {
        ilki_packs *p = NULL;
        const ilki_pack *got;
        ilki_pack wrong = packs[0];
        CHECK_OK(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, key, &err), &err);
        wrong.kind = i == 0 ? ILKI_PACK_CODES : wrong.kind;
        wrong.form = i == 1 ? ILKI_FORM_BF16 : wrong.form;
        wrong.n_out += i == 2;
        wrong.n_in += i == 3;
        wrong.n_bytes += i == 4;
        CHECK_STATUS(ilki_tensor_packs_next(p, &wrong, &got, &err), ILK_CORRUPT, &err);
        CHECK_OK(ilki_tensor_packs_next(p, &packs[0], &got, &err), &err);
        ilki_tensor_packs_close(p);
    }
    free(path);
    tree_free(dir);
}

/* What opens in spite of a turned bit is damaged in a pack, whose sum tells. */
static void every_bit(void)
{
    char *dir = tree_new(), *path = write_example(dir), *file = NULL;
    size_t n = 0, n_told = 0;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 20, &file, &n, &err), &err);
    for (size_t bit = 0; bit < n * 8; bit += bit < 8 * (64 + N_PACKS * 80) ? 1 : 37) {
        ilki_packs *p = NULL;
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
        ilk_status st = ilki_tensor_packs_parse(&p, file, n, "a file", key, &err);
        bool head = bit < 8 * (64 + N_PACKS * 80);
        CHECK_THAT(head ? st != ILK_OK : st == ILK_OK, "bit %zu: %d %s", bit, (int)st, err.message);
        for (size_t i = 0; p && i < N_PACKS; i++)
            n_told += ilki_tensor_packs_check(p, ilki_tensor_packs_view(p, i), NULL) != ILK_OK;
        ilki_tensor_packs_close(p);
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    }
    CHECK(n_told > 400);
    for (size_t len = 0; len < n; len += len < 500 ? 1 : 97) {
        ilki_packs *p = NULL;
        CHECK_STATUS(ilki_tensor_packs_parse(&p, file, len, "a file", key, &err), ILK_CORRUPT, &err);
    }
    free(file);
    free(path);
    tree_free(dir);
}

static void of_others(void)
{
    static const mode_t bad[] = {0620, 0602, 0666}, good[] = {0600, 0400, 0644};
    char *dir = tree_new(), *path = write_example(dir), *link = strdup(tree_path(dir, "link.pack"));
    ilki_packs *p = NULL;
    ilk_error err;
    ilk_error_init(&err);
    for (size_t i = 0; i < 3; i++) {
        CHECK(chmod(path, bad[i]) == 0);
        CHECK_STATUS(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, key, &err), ILK_UNSUPPORTED, &err);
        CHECK(strstr(err.message, "example.pack") != NULL);
        CHECK(chmod(path, good[i]) == 0);
        CHECK_OK(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, key, &err), &err);
        ilki_tensor_packs_close(p);
    }
    CHECK(symlink(path, link) == 0);
    CHECK(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, link, key, &err) != ILK_OK);
    CHECK(p == NULL);
    if (geteuid() == 0) {
        CHECK(chown(path, 12345, 0) == 0);
        CHECK_STATUS(ilki_tensor_packs_open(&p, &ilki_base_vfs_posix, path, key, &err), ILK_UNSUPPORTED, &err);
    }
    free(link);
    free(path);
    tree_free(dir);
}

TEST_MAIN({"there_and_back", there_and_back}, {"expected_and_found", expected_and_found}, {"every_bit", every_bit},
          {"of_others", of_others})
