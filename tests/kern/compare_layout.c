/* SPDX-License-Identifier: Apache-2.0
 * Packed weights are kept on disk under the number of their layout. So a byte that packing gives and did not give before is a
 * new layout: here are the sums over what each table makes of a fixed matrix, beside the number they were taken under. A
 * test that fails says what to do. */
#include <stdlib.h>

#include "base/cpu.h"
#include "kern/ops.h"
#include "test.h"

enum { N = 150, K = 203 }; /* no multiple of any panel, and more than one of each */

static const struct {
    const char *table, *form;
    size_t layout;
    uint32_t sum;
} known[] = {
    {"ref", "f32", 1, 0x1958d76d},          {"ref", "bf16", 1, 0x577abf62},
    {"ref", "i8", 1, 0x93fb4be1},           {"ref", "i8 exact", 1, 0xff19f114},
    {"avx2", "f32", 1, 0xef22d985},         {"avx2", "i8", 1, 0x1753b5b9},
    {"avx2", "i8 exact", 1, 0xdd54ad74},    {"avxvnni", "i8", 1, 0xb7571755},
    {"avxvnni", "i8 exact", 1, 0xd905def0}, {"avx512", "f32", 1, 0x94c03cbd},
    {"avx512vnni", "i8", 1, 0x1b7220e1},    {"avx512vnni", "i8 exact", 1, 0xc44b993c},
    {"avx512bf16", "bf16", 1, 0x55ff9b1e},  {"amx", "bf16", 1, 0x55ff9b1e},
    {"amx", "i8", 1, 0x1b7220e1},           {"amx", "i8 exact", 1, 0xc44b993c},
    {"amx", "f32", 1, 0x7e2835b9},          {"neon", "f32", 1, 0x4033387d},
    {"dotprod", "i8", 1, 0xb7571755},       {"dotprod", "i8 exact", 1, 0xd905def0},
    {"i8mm", "i8", 1, 0xe4ed0bfd},          {"i8mm", "i8 exact", 1, 0x4acd6900},
};

static uint32_t sum_of(const unsigned char *p, size_t n)
{
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 16777619u;
    return sum;
}

static float *matrix(void)
{
    static float w[N * K];
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)N * K; i++) {
        state = state * 1664525u + 1013904223u;
        w[i] = (float)(int32_t)state * 0x1p-31f;
    }
    return w;
}

static void check_sum(const char *name, const char *form, size_t layout, const void *packed, size_t n_bytes)
{
    uint32_t sum = sum_of(packed, n_bytes);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].table, name) != 0 || strcmp(known[i].form, form) != 0)
            continue;
        CHECK_THAT(layout >= known[i].layout, "%s %s: layout %zu, it was %zu before", name, form, layout,
                   known[i].layout);
        CHECK_THAT(
            layout != known[i].layout || sum == known[i].sum,
            "%s %s: packed bytes have changed (sum 0x%08x, expected 0x%08x) and the layout's number %zu has not: "
            "raise it beside the table's pack function, and write both here",
            name, form, sum, known[i].sum, layout);
        CHECK_THAT(layout == known[i].layout, "%s %s: write layout %zu and its sum 0x%08x here", name, form, layout,
                   sum);
        return;
    }
    CHECK_THAT(false, "no row for {\"%s\", \"%s\", %zu, 0x%08x}", name, form, layout, sum);
}

static void check_table(const ilki_kern_table *t)
{
    const float *w = matrix();
    const ilki_kern_ops *o = t->ops;
    float keep[K];
    static const uint32_t exact[ILKI_I8_EXACT] = {1, 5, 8, 64, 100, 127, 128, 202};
    for (size_t i = 0; i < K; i++)
        keep[i] = 1;
    for (size_t i = 0; i < ILKI_I8_EXACT; i++)
        keep[exact[i]] = 0;
    unsigned char *room = aligned_alloc(64, (size_t)(N + 255) * (K + 127) * 8 / 64 * 64 + 64);
    if (!CHECK(room != NULL))
        return;
    if (o->pack_f32) {
        size_t n = o->packed_bytes_f32(N, K);
        memset(room, 0, n);
        o->pack_f32(room, w, K, N, K);
        check_sum(t->name, "f32", o->layout_f32, room, n);
    }
    if (o->pack_bf16) {
        size_t n = o->packed_bytes_bf16(N, K);
        memset(room, 0, n);
        o->pack_bf16(room, w, K, N, K);
        check_sum(t->name, "bf16", o->layout_bf16, room, n);
    }
    for (size_t n_exact = 0; o->pack_i8 && n_exact <= ILKI_I8_EXACT; n_exact += ILKI_I8_EXACT) {
        ilki_i8_channels c = {exact, n_exact, n_exact ? keep : NULL};
        size_t n = o->packed_bytes_i8(N, K, n_exact);
        memset(room, 0, n);
        o->pack_i8(room, w, K, N, K, &c);
        check_sum(t->name, n_exact ? "i8 exact" : "i8", o->layout_i8, room, n);
    }
    free(room);
}

static void packed_bytes_keep_their_number(void)
{
    size_t n;
    uint32_t features = ilki_base_cpu_features();
    const ilki_kern_table *t = ilki_kern_tables(&n);
    for (size_t i = 0; i < n; i++)
        if ((t[i].needs & ~features) == 0)
            check_table(&t[i]);
}

TEST_MAIN({"packed_bytes_keep_their_number", packed_bytes_keep_their_number})
