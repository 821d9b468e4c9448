/* SPDX-License-Identifier: Apache-2.0
 * What the kernel files export, for dispatch.c alone. */
#ifndef ILKI_KERN_TABLES_H
#define ILKI_KERN_TABLES_H

#include "kern/ops.h"

/* symbol, name of the ISA, bits of base/cpu.h; a later row goes over an earlier one */
#if defined(__x86_64__)
#define ILKI_KERN_ISA_LIST(X)                                                                                          \
    X(ilki_kern_avx2_gemm, "avx2", ILKI_CPU_AVX2)                                                                      \
    X(ilki_kern_avx2_attn, "avx2", ILKI_CPU_AVX2)                                                                      \
    X(ilki_kern_avx2_vec, "avx2", ILKI_CPU_AVX2)                                                                       \
    X(ilki_kern_avx2_dot, "avx2", ILKI_CPU_AVX2)                                                                       \
    X(ilki_kern_avx2_i8, "avx2", ILKI_CPU_AVX2)                                                                        \
    X(ilki_kern_avx2_pixel, "avx2", ILKI_CPU_AVX2)                                                                     \
    X(ilki_kern_avxvnni_i8, "avxvnni", ILKI_CPU_AVX2 | ILKI_CPU_AVX_VNNI)                                              \
    X(ilki_kern_avx512_gemm, "avx512", ILKI_CPU_AVX512)                                                                \
    X(ilki_kern_avx512_attn, "avx512", ILKI_CPU_AVX512)                                                                \
    X(ilki_kern_avx512_vec, "avx512", ILKI_CPU_AVX512)                                                                 \
    X(ilki_kern_avx512_dot, "avx512", ILKI_CPU_AVX512)                                                                 \
    X(ilki_kern_avx512vnni_dot, "avx512vnni", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_VNNI)                                  \
    X(ilki_kern_avx512vnni_i8, "avx512vnni", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_VNNI)                                   \
    X(ilki_kern_avx512vnni_pixel, "avx512vnni", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_VNNI)                                \
    X(ilki_kern_avx512bf16_bf16, "avx512bf16", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_BF16)                                 \
    X(ilki_kern_amx_bf16, "amx", ILKI_CPU_AVX512 | ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16)                              \
    X(ilki_kern_amx_attn, "amx", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_BF16 | ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16)       \
    X(ilki_kern_amx_i8, "amx", ILKI_CPU_AVX512 | ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_INT8)                                \
    X(ilki_kern_amx_gemm, "amx", ILKI_CPU_AVX512 | ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16)
#elif defined(__aarch64__)
#define ILKI_KERN_ISA_LIST(X)                                                                                          \
    X(ilki_kern_neon_gemm, "neon", ILKI_CPU_NEON)                                                                      \
    X(ilki_kern_neon_attn, "neon", ILKI_CPU_NEON)                                                                      \
    X(ilki_kern_neon_vec, "neon", ILKI_CPU_NEON)                                                                       \
    X(ilki_kern_neon_dot, "neon", ILKI_CPU_NEON)                                                                       \
    X(ilki_kern_dotprod_i8, "dotprod", ILKI_CPU_NEON | ILKI_CPU_DOTPROD)                                               \
    X(ilki_kern_i8mm_i8, "i8mm", ILKI_CPU_NEON | ILKI_CPU_I8MM)
#else
#define ILKI_KERN_ISA_LIST(X)
#endif

#define ILKI_KERN_DECLARE(symbol, name, needs) extern const ilki_kern_ops symbol;
ILKI_KERN_ISA_LIST(ILKI_KERN_DECLARE)
#undef ILKI_KERN_DECLARE

#endif
