/* SPDX-License-Identifier: Apache-2.0
 * What the machine has: CPU features, CPUs this process may use, memory it may use. Counts and
 * memory are read by ilk_runtime_open and kept there. */
#ifndef ILKI_BASE_CPU_H
#define ILKI_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name as printed, bit. The operating system's support for the wide registers (XCR0) is part of the answer. */
#define ILKI_CPU_LIST(X)                                                                                               \
    X(AVX2, "avx2", 0)     /* with FMA, BMI2 and F16C */                                                               \
    X(AVX512, "avx512", 1) /* F, BW, CD, DQ, VL */                                                                     \
    X(AVX512_VNNI, "avx512vnni", 2)                                                                                    \
    X(AVX512_BF16, "avx512bf16", 3)                                                                                    \
    X(AVX512_FP16, "avx512fp16", 4)                                                                                    \
    X(AVX_VNNI, "avxvnni", 5)                                                                                          \
    X(SSE42, "sse4.2", 6)                                                                                              \
    X(SHA, "sha", 7)                                                                                                   \
    X(NEON, "neon", 8)                                                                                                 \
    X(DOTPROD, "dotprod", 9)                                                                                           \
    X(I8MM, "i8mm", 10)                                                                                                \
    X(ARM_BF16, "bf16", 11)                                                                                            \
    X(ARM_CRC, "crc32", 12)                                                                                            \
    X(ARM_SHA2, "sha2", 13)                                                                                            \
    X(AMX_TILE, "amxtile", 14)                                                                                         \
    X(AMX_BF16, "amxbf16", 15)                                                                                         \
    X(AMX_INT8, "amxint8", 16)                                                                                         \
    X(PCLMUL, "pclmul", 17)                                                                                            \
    X(ARM_PMULL, "pmull", 18)

enum {
#define ILKI_CPU_ENUM(name, text, bit) ILKI_CPU_##name = 1 << (bit),
    ILKI_CPU_LIST(ILKI_CPU_ENUM)
#undef ILKI_CPU_ENUM
};

/* Of all threads of this process so far: time on a CPU, and how often one was taken off it while it had work. */
typedef struct ilki_cpu_used {
    uint64_t ns, preempted;
} ilki_cpu_used;
ilki_cpu_used ilki_base_cpu_used(void);

/* Cheap: asked of the machine once. The AMX bits mean that the system lets processes have tile data, not that this one
 * may use them: */
uint32_t ilki_base_cpu_features(void);

/* What the maker calls it ("AMD EPYC 9B14"); on Arm the number of the core's design; "unknown". Cut to n bytes. */
void ilki_base_cpu_model(char *to, size_t n);

/* True where this process may use all of `features`. For AMX that asks the system for tile data, for all threads and for
 * good: from then on a signal's frame may need 11 KB more, and Linux refuses an alternate signal stack (sigaltstack) that
 * is too small for it, as it refuses the permission while one such is in place: then the answer is false. */
bool ilki_base_cpu_permit(uint32_t features);

/* CPUs of the affinity mask, bounded by the cgroup's quota (rounded up); at least 1. */
unsigned ilki_base_cpu_count(void);

/* Physical memory, bounded by the cgroup's limit. */
uint64_t ilki_base_memory_bytes(void);

/* The bounds of this process' cgroups, UINT64_MAX where there is none. `root` stands before /proc and /sys: "" but in
 * tests. */
void ilki_base_cgroup_limits(const char *root, uint64_t *milli_cpus, uint64_t *memory_bytes);

/* Nanoseconds of the monotonic clock. */
uint64_t ilki_base_now_ns(void);

/* One pause of a spin loop. */
void ilki_base_cpu_relax(void);

#endif
