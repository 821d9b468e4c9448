/* SPDX-License-Identifier: Apache-2.0
 * Writing packed weights on a failing disk and through a loss of power: afterwards there is the file as it should be, or the one
 * that was there before, or none; never one that is taken and is not what was written. */
#include "tensor/packfile.h"

#include "faulty.h"
#include "test.h"

static const uint8_t key[ILKI_PACK_KEY] = {4, 4, 4};
static unsigned char bytes[2][20000];

static ilk_status write_version(const ilki_vfs *v, int version, ilk_error *err)
{
    for (size_t i = 0; i < sizeof bytes[0]; i++)
        bytes[version][i] = (unsigned char)(i * 7 + (size_t)version);
    ilki_pack pack = {
        .kind = ILKI_PACK_LINEAR, .n_out = 50, .n_in = 100, .n_bytes = sizeof bytes[0], .data = bytes[version]};
    ilki_packs *p = ilki_tensor_packs_new();
    ilk_status st = ilki_tensor_packs_add(p, &pack, err);
    if (st == ILK_OK)
        st = ilki_tensor_packs_write(p, v, "/p/m.pack", key, err);
    ilki_tensor_packs_close(p);
    return st;
}

/* -1: none that is taken; else the version. */
static int read_version(const ilki_vfs *v)
{
    ilki_packs *p = NULL;
    int found = -1;
    if (ilki_tensor_packs_open(&p, v, "/p/m.pack", key, NULL) == ILK_OK) {
        const ilki_pack *pack = ilki_tensor_packs_view(p, 0);
        if (pack && ilki_tensor_packs_check(p, pack, NULL) == ILK_OK) {
            const unsigned char *first = pack->data;
            found = first[0];
            CHECK(found < 2);
            CHECK_MEM(pack->data, bytes[found & 1], sizeof bytes[0]);
        }
    }
    ilki_tensor_packs_close(p);
    return found;
}

static faulty *begin(void)
{
    faulty *f = faulty_new();
    const ilki_vfs *v = faulty_vfs(f);
    CHECK_OK(v->make_dir(v, "/p", 0700, NULL), NULL);
    CHECK_OK(v->sync_dir(v, "/", NULL), NULL);
    CHECK_OK(write_version(v, 0, NULL), NULL);
    return f;
}

static bool see_temp(void *user, const char *name, ilki_file_type type)
{
    (void)type;
    *(int *)user += strstr(name, ".tmp-") != NULL;
    return true;
}

static void each_call_fails(void)
{
    static const int errors[] = {EIO, ENOSPC};
    for (int torn = 0; torn < 2; torn++)
        for (uint64_t n = 1;; n++) {
            faulty *f = begin();
            const ilki_vfs *v = faulty_vfs(f);
            ilk_error err;
            ilk_error_init(&err);
            faulty_fail(f, FAULTY_ANY, n, errors[torn], torn ? FAULTY_TORN : FAULTY_ONCE);
            ilk_status st = write_version(v, 1, &err);
            bool failed = faulty_fail_off(f);
            CHECK_THAT(st == ILK_OK || failed, "call %d: %s", (int)n, err.message);
            int found = read_version(v), n_temps = 0;
            CHECK_THAT(st == ILK_OK ? found == 1 : found == 0 || found == 1, "call %d: version %d", (int)n, found);
            CHECK_OK(v->list(v, "/p", see_temp, &n_temps, NULL), NULL);
            CHECK_INT(n_temps, 0);
            CHECK_INT(faulty_n_open(f), 0);
            faulty_free(f);
            if (!failed)
                break;
        }
}

static void the_disk_is_full(void)
{
    faulty *f = begin();
    const ilki_vfs *v = faulty_vfs(f);
    ilk_error err;
    ilk_error_init(&err);
    faulty_fail(f, FAULTY_WRITE, 1, ENOSPC, FAULTY_TORN | FAULTY_FOR_EVER);
    CHECK(write_version(v, 1, &err) != ILK_OK);
    CHECK(err.message[0] != 0);
    CHECK(faulty_fail_off(f));
    CHECK_INT(read_version(v), 0);
    faulty_free(f);
}

static void each_call_loses_power(void)
{
    int n_new = 0, n_old = 0;
    for (uint64_t n = 1;; n++) {
        bool cut = false;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            faulty *f = begin();
            const ilki_vfs *v = faulty_vfs(f);
            faulty_set_garbage(f, true);
            faulty_cut_power(f, n);
            ilk_status st = write_version(v, 1, NULL);
            cut |= st != ILK_OK;
            faulty_crash(f, FAULTY_SEEDED, seed);
            int found = read_version(v);
            CHECK_THAT(st == ILK_OK ? found == 1 : found == 0 || found == 1, "call %d, seed %d: version %d", (int)n,
                       (int)seed, found);
            n_new += found == 1;
            n_old += found == 0;
            faulty_free(f);
        }
        if (!cut)
            break;
    }
    CHECK(n_new > 0 && n_old > 0);
}

TEST_MAIN({"each_call_fails", each_call_fails}, {"the_disk_is_full", the_disk_is_full},
          {"each_call_loses_power", each_call_loses_power})
