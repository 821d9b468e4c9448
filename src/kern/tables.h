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
    X(ilki_kern_avx512_gemm, "avx512", ILKI_CPU_AVX512)                                                                \
    X(ilki_kern_avx512_attn, "avx512", ILKI_CPU_AVX512)                                                                \
    X(ilki_kern_avx512_vec, "avx512", ILKI_CPU_AVX512)                                                                 \
    X(ilki_kern_avx512_dot, "avx512", ILKI_CPU_AVX512)                                                                 \
    X(ilki_kern_avx512vnni_dot, "avx512vnni", ILKI_CPU_AVX512 | ILKI_CPU_AVX512_VNNI)
#elif defined(__aarch64__)
#define ILKI_KERN_ISA_LIST(X)                                                                                          \
    X(ilki_kern_neon_gemm, "neon", ILKI_CPU_NEON)                                                                      \
    X(ilki_kern_neon_attn, "neon", ILKI_CPU_NEON)                                                                      \
    X(ilki_kern_neon_vec, "neon", ILKI_CPU_NEON)                                                                       \
    X(ilki_kern_neon_dot, "neon", ILKI_CPU_NEON)
#else
#define ILKI_KERN_ISA_LIST(X)
#endif

#define ILKI_KERN_DECLARE(symbol, name, needs) extern const ilki_kern_ops symbol;
ILKI_KERN_ISA_LIST(ILKI_KERN_DECLARE)
#undef ILKI_KERN_DECLARE

#endif
