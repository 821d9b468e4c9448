/* SPDX-License-Identifier: Apache-2.0
 * Chooses kernels once, when a runtime opens: the tables that the CPU and the caller's mask allow are laid over the
 * reference, in the order of the rows. No state is kept here. */
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "kern/ops.h"
#include "kern/tables.h"

static const ilki_kern_table tables[] = {{"ref", 0, &ilki_kern_ref},
#define ROW(symbol, name, needs) {name, needs, &symbol},
                                         ILKI_KERN_ISA_LIST(ROW)
#undef ROW
};
enum { N_TABLES = sizeof tables / sizeof *tables };
enum { CPU_ASKED = ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16 | ILKI_CPU_AMX_INT8 }; /* what a process must ask for */

const ilki_kern_table *ilki_kern_tables(size_t *n)
{
    *n = N_TABLES;
    return tables;
}

static bool word_is(const char *word, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(word, name, len) == 0;
}

/* The next word of a comma list; false at its end. */
static bool next_word(const char **list, const char **word, size_t *len)
{
    const char *p = *list + strspn(*list, ", ");
    *word = p;
    *len = strcspn(p, ", ");
    *list = p + *len;
    return *len > 0;
}

static bool mask_allows(const char *mask, const char *name)
{
    const char *word;
    size_t len;
    while (next_word(&mask, &word, &len))
        if (word_is(word, len, name))
            return true;
    return false;
}

/* Every word must name a table that this CPU has. */
static ilk_status check_mask(const char *mask, uint32_t features, ilk_error *err)
{
    const char *word;
    size_t len;
    while (next_word(&mask, &word, &len)) {
        bool known = false, has = false;
        for (size_t i = 0; i < N_TABLES; i++)
            if (word_is(word, len, tables[i].name)) {
                known = true;
                has |= (tables[i].needs & ~features) == 0;
            }
        int shown = len > 40 ? 40 : (int)len;
        if (!known)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "kernel mask: expected names of kernel tables, found '%.*s'",
                                  shown, word);
        if (!has)
            return ilki_base_fail(err, ILK_BAD_ARGUMENT, "kernel mask: this CPU lacks '%.*s'", shown, word);
    }
    return ILK_OK;
}

/* `features` without those of a table that the mask allows and the system does not: it is asked for no other. */
static uint32_t permitted(uint32_t features, const char *mask)
{
    uint32_t out = features;
    for (size_t i = 1; i < N_TABLES; i++) {
        bool wanted = (tables[i].needs & ~out) == 0 && (!mask || mask_allows(mask, tables[i].name));
        if (wanted && tables[i].needs & CPU_ASKED && !ilki_base_cpu_permit(tables[i].needs & CPU_ASKED))
            out &= ~(uint32_t)CPU_ASKED;
    }
    return out;
}

#define TAKE(field)                                                                                                    \
    if (from->field)                                                                                                   \
    to->field = from->field

static void overlay(ilki_kern_ops *to, const ilki_kern_ops *from)
{
    to->name = from->name;
    if (from->gemm_f32) { /* one group: the panel layout belongs to the kernel */
        to->gemm_f32_nr = from->gemm_f32_nr;
        to->gemm_f32_mr = from->gemm_f32_mr;
        to->gemm_f32_few = from->gemm_f32_few;
        to->gemm_f32_flushes = from->gemm_f32_flushes;
        to->gemm_f32_gflops = from->gemm_f32_gflops;
        to->layout_f32 = from->layout_f32;
        to->packed_bytes_f32 = from->packed_bytes_f32;
        to->pack_f32 = from->pack_f32;
        to->packed_at_f32 = from->packed_at_f32;
        to->gemm_scratch_f32 = from->gemm_scratch_f32;
        to->gemm_f32 = from->gemm_f32;
    }
    if (from->gemm_bf16) {
        to->gemm_bf16_nr = from->gemm_bf16_nr;
        to->gemm_bf16_gflops = from->gemm_bf16_gflops;
        to->layout_bf16 = from->layout_bf16;
        to->packed_bytes_bf16 = from->packed_bytes_bf16;
        to->pack_bf16 = from->pack_bf16;
        to->gemm_scratch_bf16 = from->gemm_scratch_bf16;
        to->gemm_bf16 = from->gemm_bf16;
    }
    if (from->gemm_i8) {
        to->gemm_i8_nr = from->gemm_i8_nr;
        to->gemm_i8_mr = from->gemm_i8_mr;
        to->gemm_i8_gflops = from->gemm_i8_gflops;
        to->layout_i8 = from->layout_i8;
        to->packed_bytes_i8 = from->packed_bytes_i8;
        to->pack_i8 = from->pack_i8;
        to->gemm_i8 = from->gemm_i8;
    }
    if (from->attn_bf16) {
        to->attn_bf16_pays = from->attn_bf16_pays;
        to->attn_bytes_bf16 = from->attn_bytes_bf16;
        to->pack_attn_bf16 = from->pack_attn_bf16;
        to->attn_bf16 = from->attn_bf16;
    }
    TAKE(quant_rows_i8);
    TAKE(rest_i8);
    TAKE(pack_keys_f32);
    TAKE(attn_f32);
    TAKE(attn_end_f32);
    TAKE(norm_f32);
    TAKE(act_f32);
    TAKE(add_f32);
    TAKE(gate_f32);
    TAKE(axpy_f32);
    TAKE(scale_f32);
    TAKE(rope_f32);
    if (from->dot_f32) { /* one group: both give the same bits */
        to->dot_f32 = from->dot_f32;
        to->dot_f32_rows = from->dot_f32_rows;
    }
    TAKE(dot_i8_rows);
    TAKE(quant_i8);
    TAKE(bytes_down);
    TAKE(rgb_across);
    TAKE(peak_f32);
    TAKE(peak_tiles_f32);
    TAKE(peak_bf16);
    TAKE(peak_i8);
    TAKE(peak_read);
}

/* Writes the distinct names of the rows in use, the last laid first; cut where it does not fit. */
static void write_names(const bool *used, char *names, size_t names_bytes)
{
    size_t at = 0;
    const char *last = NULL;
    for (size_t i = N_TABLES; i-- > 0;) {
        if (!used[i] || (last && strcmp(last, tables[i].name) == 0))
            continue;
        int n = snprintf(names + at, names_bytes - at, "%s%s", at ? "," : "", tables[i].name);
        last = tables[i].name;
        if (n < 0 || (size_t)n >= names_bytes - at)
            return;
        at += (size_t)n;
    }
}

ilk_status ilki_kern_select(ilki_kern_ops *out, const char *mask, uint32_t features, char *names, size_t names_bytes,
                            ilk_error *err)
{
    bool used[N_TABLES] = {true};
    if (mask && !*mask)
        mask = NULL;
    features = permitted(features, mask);
    if (mask) {
        ilk_status status = check_mask(mask, features, err);
        if (status != ILK_OK)
            return status;
    }
    *out = ilki_kern_ref;
    for (size_t i = 1; i < N_TABLES; i++) {
        used[i] = (tables[i].needs & ~features) == 0 && (!mask || mask_allows(mask, tables[i].name));
        if (used[i])
            overlay(out, tables[i].ops);
    }
    if (names && names_bytes)
        write_names(used, names, names_bytes);
    return ILK_OK;
}
