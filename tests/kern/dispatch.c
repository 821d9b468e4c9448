/* SPDX-License-Identifier: Apache-2.0
 * The choice of kernels: masks, features, and the message of a mask that cannot be had. */
#include "base/cpu.h"
#include "kern/ops.h"
#include "test.h"

static bool complete(const ilki_kern_ops *o)
{
    return o->gemm_f32_nr && o->gemm_f32_mr && o->gemm_f32_gflops && o->packed_bytes_f32 && o->pack_f32 &&
           o->packed_at_f32 && o->gemm_scratch_f32 && o->gemm_f32 && o->pack_keys_f32 && o->attn_f32 &&
           o->attn_end_f32 && o->norm_f32 && o->act_f32 && o->add_f32 && o->gate_f32 && o->axpy_f32 && o->scale_f32 &&
           o->rope_f32 && o->dot_f32 && o->dot_f32_rows && o->dot_i8_rows && o->quant_i8 && o->peak_f32 && o->peak_i8 &&
           o->peak_read;
}

static void any_cpu_has_ref(void)
{
    ilki_kern_ops ops;
    char names[64] = "";
    ilk_error err;
    ilk_error_init(&err);
    CHECK_OK(ilki_kern_select(&ops, NULL, 0, names, sizeof names, &err), &err);
    CHECK_STR(names, "ref");
    CHECK(complete(&ops) && ops.gemm_f32 == ilki_kern_ref.gemm_f32);
    CHECK_OK(ilki_kern_select(&ops, "ref", UINT32_MAX, names, sizeof names, &err), &err);
    CHECK_STR(names, "ref");
    CHECK(memcmp(&ops, &ilki_kern_ref, sizeof ops) == 0);
}

/* Whatever the CPU has: complete, each table alone, gemm and its packing from one table. */
static void this_cpu(void)
{
    ilki_kern_ops ops;
    char names[64] = "", again[64] = "";
    ilk_error err;
    ilk_error_init(&err);
    size_t n;
    uint32_t features = ilki_base_cpu_features();
    const ilki_kern_table *t = ilki_kern_tables(&n);
    CHECK_OK(ilki_kern_select(&ops, NULL, features, names, sizeof names, &err), &err);
    printf("tables in use: %s\n", names);
    CHECK(complete(&ops));
    CHECK(strlen(names) >= 3 && strcmp(names + strlen(names) - 3, "ref") == 0);
    CHECK_OK(ilki_kern_select(&ops, names, features, again, sizeof again, &err), &err);
    CHECK_STR(again, names);
    CHECK_OK(ilki_kern_select(&ops, "", features, again, sizeof again, &err), &err);
    CHECK_STR(again, names);
    for (size_t i = 0; i < n; i++) {
        CHECK(t[i].name && t[i].ops && (i > 0) == (t[i].needs != 0));
        CHECK(!t[i].ops->gemm_f32 == !t[i].ops->pack_f32 && !t[i].ops->gemm_f32 == !t[i].ops->gemm_f32_nr);
        CHECK(!t[i].ops->dot_f32 == !t[i].ops->dot_f32_rows);
        ilk_status status = ilki_kern_select(&ops, t[i].name, features, names, sizeof names, &err);
        if (t[i].needs & ~features) {
            CHECK_STATUS(status, ILK_BAD_ARGUMENT, &err);
            CHECK(strstr(err.message, t[i].name) && strstr(err.message, "lacks"));
            continue;
        }
        CHECK_OK(status, &err);
        CHECK(complete(&ops) && strncmp(names, t[i].name, strlen(t[i].name)) == 0);
        if (t[i].ops->gemm_f32)
            CHECK(ops.gemm_f32 == t[i].ops->gemm_f32 && ops.pack_f32 == t[i].ops->pack_f32 &&
                  ops.packed_bytes_f32 == t[i].ops->packed_bytes_f32 && ops.packed_at_f32 == t[i].ops->packed_at_f32 &&
                  ops.gemm_scratch_f32 == t[i].ops->gemm_scratch_f32 && ops.gemm_f32_nr == t[i].ops->gemm_f32_nr);
    }
}

static void bad_masks(void)
{
    ilki_kern_ops ops;
    ilk_error err;
    ilk_error_init(&err);
    CHECK_STATUS(ilki_kern_select(&ops, "sse9", UINT32_MAX, NULL, 0, &err), ILK_BAD_ARGUMENT, &err);
    CHECK(strstr(err.message, "'sse9'") != NULL);
    CHECK_STATUS(ilki_kern_select(&ops, "ref,avx", UINT32_MAX, NULL, 0, &err), ILK_BAD_ARGUMENT, &err);
    CHECK_STATUS(ilki_kern_select(&ops, "re", UINT32_MAX, NULL, 0, NULL), ILK_BAD_ARGUMENT, NULL);
    char small[6] = "zzzzz";
    CHECK_OK(ilki_kern_select(&ops, " ref , ref ", 0, small, sizeof small, &err), &err);
    CHECK_STR(small, "ref");
    char one[1] = {'z'};
    CHECK_OK(ilki_kern_select(&ops, "ref", 0, one, sizeof one, &err), &err);
    CHECK_STR(one, "");
}

TEST_MAIN({"any_cpu_has_ref", any_cpu_has_ref}, {"this_cpu", this_cpu}, {"bad_masks", bad_masks})
