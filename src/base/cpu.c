/* SPDX-License-Identifier: Apache-2.0
 * CPU features by cpuid (x86) or the kernel's hwcap (Arm), CPUs and memory by affinity and cgroup, both versions. A
 * cgroup's bound is the least of its own and of all groups above it. */
#include "base/cpu.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* ---- features */

enum { CPU_AMX = ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16 | ILKI_CPU_AMX_INT8 };

#if defined(__x86_64__)
enum { XFEATURE_TILE_DATA = 18 };

/* True where the system hands tile data to processes that ask for them. */
static bool tiles_known(void)
{
#if defined(__linux__)
    enum { ARCH_GET_XCOMP_SUPP = 0x1021 };
    uint64_t known = 0;
    return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &known) == 0 && known >> XFEATURE_TILE_DATA & 1;
#else
    return false;
#endif
}

static bool ask_for_tiles(void)
{
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) == 0;
#else
    return false;
#endif
}

static uint32_t amx_features(uint32_t d7)
{
    const uint32_t tile = 1U << 24, bf16 = 1U << 22, int8 = 1U << 25;
    if (!(d7 & tile) || !tiles_known())
        return 0;
    return ILKI_CPU_AMX_TILE | (d7 & bf16 ? ILKI_CPU_AMX_BF16 : 0U) | (d7 & int8 ? ILKI_CPU_AMX_INT8 : 0U);
}

static bool has(uint32_t reg, uint32_t bits)
{
    return (reg & bits) == bits;
}

static uint32_t read_features(void)
{
    enum { OSXSAVE = 1 << 27, XCR_AVX = 6, XCR_AVX512 = 0xe6 };
    enum { PCLMUL = 1 << 1, SSE42 = 1 << 20, FMA = 1 << 12, F16C = 1 << 29, AVX = 1 << 28 }; /* leaf 1, ecx */
    enum { BMI2 = 1 << 8, AVX2 = 1 << 5, SHA = 1 << 29 };                                    /* leaf 7, ebx */
    const uint32_t avx512 = 1U << 16 | 1U << 17 | 1U << 28 | 1U << 30 | 1U << 31;            /* F DQ CD BW VL */
    uint32_t a, b, c, d, b7 = 0, c7 = 0, d7 = 0, a71 = 0, xcr = 0, found = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1) {
        uint32_t unused_b, unused_c, unused_d;
        __get_cpuid_count(7, 1, &a71, &unused_b, &unused_c, &unused_d);
    }
    if (has(c, OSXSAVE)) {
        uint32_t high;
        __asm__ volatile("xgetbv" : "=a"(xcr), "=d"(high) : "c"(0));
    }
    if (has(c, SSE42))
        found |= ILKI_CPU_SSE42;
    if (has(c, PCLMUL))
        found |= ILKI_CPU_PCLMUL;
    if (has(b7, SHA) && has(c, SSE42))
        found |= ILKI_CPU_SHA;
    if (!has(xcr, XCR_AVX) || !has(c, AVX | FMA | F16C) || !has(b7, AVX2 | BMI2))
        return found;
    found |= ILKI_CPU_AVX2;
    if (has(a71, 1U << 4))
        found |= ILKI_CPU_AVX_VNNI;
    if (!has(xcr, XCR_AVX512) || !has(b7, avx512))
        return found;
    found |= ILKI_CPU_AVX512;
    if (has(c7, 1U << 11))
        found |= ILKI_CPU_AVX512_VNNI;
    if (has(a71, 1U << 5))
        found |= ILKI_CPU_AVX512_BF16;
    if (has(d7, 1U << 23))
        found |= ILKI_CPU_AVX512_FP16;
    return found | amx_features(d7);
}
#elif defined(__aarch64__)
static uint32_t read_features(void)
{
    uint32_t found = ILKI_CPU_NEON;
#if defined(__linux__)
    static const struct {
        int second; /* of the two hwcap words */
        unsigned long bit;
        uint32_t feature;
    } caps[] = {{0, 1UL << 20, ILKI_CPU_DOTPROD},  {0, 1UL << 7, ILKI_CPU_ARM_CRC}, {0, 1UL << 6, ILKI_CPU_ARM_SHA2},
                {0, 1UL << 4, ILKI_CPU_ARM_PMULL}, {1, 1UL << 13, ILKI_CPU_I8MM},   {1, 1UL << 14, ILKI_CPU_ARM_BF16}};
    unsigned long words[2] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        if (words[caps[i].second] & caps[i].bit)
            found |= caps[i].feature;
#endif
    return found;
}
#else
static uint32_t read_features(void)
{
    return 0;
}
#endif

#if defined(__x86_64__)
void ilki_base_cpu_model(char *to, size_t n)
{
    unsigned brand[13] = {0}, eax, ebx, ecx, edx;
    bool known = __get_cpuid(0x80000000u, &eax, &ebx, &ecx, &edx) && eax >= 0x80000004u;
    for (unsigned i = 0; i < 3 && known; i++) {
        unsigned *b = brand + 4 * i;
        __get_cpuid(0x80000002u + i, &b[0], &b[1], &b[2], &b[3]);
    }
    const char *name = (const char *)brand;
    name += strspn(name, " ");
    snprintf(to, n, "%s", *name ? name : "unknown");
}
#else
void ilki_base_cpu_model(char *to, size_t n)
{
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1", "re");
    char line[64];
    bool known = f && fgets(line, sizeof line, f);
    line[known ? strcspn(line, "\n") : 0] = 0;
    snprintf(to, n, "%s", known && *line ? line : "unknown");
    if (f)
        fclose(f);
}
#endif

#if !defined(__x86_64__)
static bool ask_for_tiles(void)
{
    return false;
}
#endif

bool ilki_base_cpu_permit(uint32_t features)
{
    return (features & ~ilki_base_cpu_features()) == 0 && (!(features & CPU_AMX) || ask_for_tiles());
}

uint32_t ilki_base_cpu_features(void)
{
    /* The one exception to "no mutable state": cpuid leaves a virtual machine for tens of microseconds, and hash asks
     * per call. Every thread that gets here first writes the same value. Bit 31: it is known. */
    static _Atomic uint32_t known;
    uint32_t v = atomic_load_explicit(&known, memory_order_relaxed);
    if (!v) {
        v = read_features() | 1U << 31;
        atomic_store_explicit(&known, v, memory_order_relaxed);
    }
    return v & ~(1U << 31);
}

void ilki_base_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most cores; isb waits about as long as x86's pause */
#endif
}

uint64_t ilki_base_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* ---- cgroups */

/* Reads up to two numbers from a file; "max" and what cannot be read is UINT64_MAX. */
static void read_numbers(const char *path, uint64_t out[2])
{
    char text[128], *p = text, *end;
    out[0] = out[1] = UINT64_MAX;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    for (int i = 0; i < 2; i++) {
        while (*p == ' ')
            p++;
        if (*p >= '0' && *p <= '9') {
            out[i] = strtoull(p, &end, 10);
            p = end;
        } else {
            p += strcspn(p, " \n");
        }
    }
}

static uint64_t read_number(const char *dir, const char *file)
{
    char path[4400];
    uint64_t v[2];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    read_numbers(path, v);
    return v[0];
}

static void take_quota(uint64_t quota, uint64_t period, uint64_t *milli_cpus)
{
    if (quota >= UINT64_MAX / 1000 || period == 0 || period == UINT64_MAX)
        return;
    uint64_t milli = quota * 1000 / period;
    if (milli < *milli_cpus)
        *milli_cpus = milli;
}

/* The bounds set in one group's folder, of either version. */
static void read_group(const char *dir, uint64_t *milli_cpus, uint64_t *memory_bytes)
{
    char path[4400];
    uint64_t v[2];
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    read_numbers(path, v);
    take_quota(v[0], v[1], milli_cpus);
    take_quota(read_number(dir, "cpu.cfs_quota_us"), read_number(dir, "cpu.cfs_period_us"), milli_cpus);
    static const char *const files[] = {"memory.max", "memory.high", "memory.limit_in_bytes"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        uint64_t bytes = read_number(dir, files[i]);
        if (bytes < *memory_bytes)
            *memory_bytes = bytes;
    }
}

/* From the group of this process up to the mount. Inside a container the path may name what is not visible: the groups
 * that are there count. */
static void read_groups(const char *mount, char *group, uint64_t *milli_cpus, uint64_t *memory_bytes)
{
    char dir[4300];
    for (;;) {
        snprintf(dir, sizeof dir, "%s%s", mount, group);
        read_group(dir, milli_cpus, memory_bytes);
        char *slash = strrchr(group, '/');
        if (!slash)
            return;
        *slash = '\0';
    }
}

void ilki_base_cgroup_limits(const char *root, uint64_t *milli_cpus, uint64_t *memory_bytes)
{
    char path[256], line[4096], mount[256];
    *milli_cpus = *memory_bytes = UINT64_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        /* "0::/group" in version 2, "4:cpu,cpuacct:/group" in version 1 */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        bool cpu = strncmp(controllers, "cpu", 3) == 0 && strncmp(controllers, "cpuset", 6) != 0;
        if (*controllers == '\0')
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        else if (cpu || strcmp(controllers, "memory") == 0)
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, cpu ? "cpu" : "memory");
        else
            continue;
        read_groups(mount, group, milli_cpus, memory_bytes);
    }
    fclose(f);
}

/* ---- what this process may use */

static unsigned affinity_count(void)
{
#if defined(__linux__)
    for (int n = 1024; n <= 1 << 20; n *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)n);
        if (!set)
            break;
        int rc = sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)n), set);
        int count = rc == 0 ? CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)n), set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (unsigned)count;
    }
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

unsigned ilki_base_cpu_count(void)
{
    uint64_t milli_cpus, memory_bytes;
    unsigned n = affinity_count();
    ilki_base_cgroup_limits("", &milli_cpus, &memory_bytes);
    uint64_t quota = milli_cpus / 1000 + (milli_cpus % 1000 != 0);
    if (quota == 0)
        quota = 1;
    return quota < n ? (unsigned)quota : n;
}

uint64_t ilki_base_memory_bytes(void)
{
    uint64_t milli_cpus, memory_bytes;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t physical = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 30;
    ilki_base_cgroup_limits("", &milli_cpus, &memory_bytes);
    return memory_bytes < physical ? memory_bytes : physical;
}

ilki_cpu_used ilki_base_cpu_used(void)
{
    struct rusage u;
    ilki_cpu_used used = {0};
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return used;
    used.ns = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
              (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
    used.preempted = (uint64_t)u.ru_nivcsw;
    return used;
}
