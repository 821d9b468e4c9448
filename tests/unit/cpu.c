/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"

/* The kernel's list in /proc/cpuinfo is an independent reader of the same machine. */
static void features_agree_with_cpuinfo(void)
{
#if defined(__x86_64__)
    static const struct {
        const char *flags;
        uint32_t feature;
    } rows[] = {{" avx2 fma bmi2 f16c ", ILKI_CPU_AVX2},
                {" avx512f avx512bw avx512cd avx512dq avx512vl ", ILKI_CPU_AVX512},
                {" avx512_vnni ", ILKI_CPU_AVX512_VNNI},
                {" avx512_bf16 ", ILKI_CPU_AVX512_BF16},
                {" avx512_fp16 ", ILKI_CPU_AVX512_FP16},
                {" avx_vnni ", ILKI_CPU_AVX_VNNI},
                {" sse4_2 ", ILKI_CPU_SSE42},
                {" sha_ni sse4_2 ", ILKI_CPU_SHA},
                {" amx_tile ", ILKI_CPU_AMX_TILE},
                {" amx_bf16 ", ILKI_CPU_AMX_BF16},
                {" amx_int8 ", ILKI_CPU_AMX_INT8},
                {" pclmulqdq ", ILKI_CPU_PCLMUL}};
    static char line[16384];
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (!f)
        TEST_SKIP("no /proc/cpuinfo");
    while (fgets(line, sizeof line - 1, f) && strncmp(line, "flags", 5) != 0)
        ;
    fclose(f);
    line[strcspn(line, "\n")] = ' ';
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool all = true;
        for (const char *p = rows[i].flags, *end; p[1]; p = end) {
            char flag[32] = {0};
            end = strchr(p + 1, ' ');
            memcpy(flag, p, (size_t)(end - p) + 1);
            all = all && strstr(line, flag);
        }
        CHECK_INT((ilki_base_cpu_features() & rows[i].feature) != 0, all);
    }
#elif defined(__aarch64__)
    CHECK(ilki_base_cpu_features() & ILKI_CPU_NEON);
#else
    CHECK_INT(ilki_base_cpu_features(), 0);
#endif
    CHECK_INT(ilki_base_cpu_features(), ilki_base_cpu_features());
}

/* Asking again changes nothing; nobody may use what the CPU lacks. With too small an alternate signal stack in place the
 * system refuses tile data: only a process that has asked for nothing yet can see that. */
static void permission_is_asked(void)
{
    const uint32_t amx = ILKI_CPU_AMX_TILE | ILKI_CPU_AMX_BF16 | ILKI_CPU_AMX_INT8;
    uint32_t features = ilki_base_cpu_features();
    CHECK(ilki_base_cpu_permit(0) && ilki_base_cpu_permit(features & ~amx));
    CHECK(!ilki_base_cpu_permit(~features & 0x7fffffffU));
    if (!(features & ILKI_CPU_AMX_TILE))
        TEST_SKIP("no AMX");
    static char small[4096];
    stack_t old, stack = {.ss_sp = small, .ss_size = sizeof small};
    if (sigaltstack(&stack, &old) == 0) {
        CHECK(!ilki_base_cpu_permit(features & amx));
        CHECK_INT(sigaltstack(&old, NULL), 0);
    }
    CHECK(ilki_base_cpu_permit(features & amx) && ilki_base_cpu_permit(features));
    CHECK(sigaltstack(&stack, NULL) != 0);
}

static void counts_are_sane(void)
{
    unsigned n = ilki_base_cpu_count();
    CHECK(n >= 1 && (long)n <= sysconf(_SC_NPROCESSORS_CONF));
    CHECK(ilki_base_memory_bytes() > 16U << 20);
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        TEST_SKIP("no CPU affinity here");
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &before))
            CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) {
        CHECK_INT(ilki_base_cpu_count(), 1);
        sched_setaffinity(0, sizeof before, &before);
    }
    uint64_t t = ilki_base_now_ns();
    for (int i = 0; i < 1000; i++)
        ilki_base_cpu_relax();
    CHECK(ilki_base_now_ns() > t && ilki_base_now_ns() - t < 10000000000U);
}

static void put_file(const char *root, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "we");
    if (!CHECK(f != NULL))
        return;
    fputs(text, f);
    fclose(f);
}

static void check_cgroup(const char *const (*files)[2], uint64_t want_cpus, uint64_t want_bytes)
{
    char root[] = "/tmp/ilk-cgroup-XXXXXX", command[64];
    uint64_t cpus, bytes;
    REQUIRE(CHECK(mkdtemp(root) != NULL));
    for (; (*files)[0]; files++)
        put_file(root, (*files)[0], (*files)[1]);
    ilki_base_cgroup_limits(root, &cpus, &bytes);
    CHECK_INT(cpus, want_cpus);
    CHECK_INT(bytes, want_bytes);
    snprintf(command, sizeof command, "rm -rf %s", root);
    CHECK_INT(system(command), 0);
}

static void cgroups_of_both_versions(void)
{
    static const char *const none[][2] = {{NULL, NULL}};
    check_cgroup(none, UINT64_MAX, UINT64_MAX);
    static const char *const unbounded[][2] = {{"proc/self/cgroup", "0::/a\n"},
                                               {"sys/fs/cgroup/a/cpu.max", "max 100000\n"},
                                               {"sys/fs/cgroup/a/memory.max", "max\n"},
                                               {NULL, NULL}};
    check_cgroup(unbounded, UINT64_MAX, UINT64_MAX);
    static const char *const two[][2] = {{"proc/self/cgroup", "0::/a/b\n"},
                                         {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                                         {"sys/fs/cgroup/a/cpu.max", "250000 100000\n"},
                                         {"sys/fs/cgroup/a/b/memory.max", "5000\n"},
                                         {"sys/fs/cgroup/a/memory.max", "9000\n"},
                                         {NULL, NULL}};
    check_cgroup(two, 2500, 5000);
    static const char *const least[][2] = {{"proc/self/cgroup", "0::/a/b\n"},
                                           {"sys/fs/cgroup/a/b/cpu.max", "100000 100000\n"},
                                           {"sys/fs/cgroup/a/cpu.max", "400000 100000\n"},
                                           {NULL, NULL}};
    check_cgroup(least, 1000, UINT64_MAX);
    static const char *const container[][2] = {{"proc/self/cgroup", "0::/../../x\n"},
                                               {"sys/fs/cgroup/cpu.max", "50000 100000\n"},
                                               {"sys/fs/cgroup/memory.high", "7000\n"},
                                               {NULL, NULL}};
    check_cgroup(container, 500, 7000);
    static const char *const one[][2] = {
        {"proc/self/cgroup", "9:cpuset:/c\n4:cpu,cpuacct:/d\n3:memory:/d\n1:name=systemd:/e\n0::/f\n"},
        {"sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "150000\n"},
        {"sys/fs/cgroup/cpu/d/cpu.cfs_period_us", "100000\n"},
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
        {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
        {"sys/fs/cgroup/memory/d/memory.limit_in_bytes", "123456\n"},
        {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
        {NULL, NULL}};
    check_cgroup(one, 1500, 123456);
    static const char *const zero[][2] = {{"proc/self/cgroup", "nonsense\n0::/\n"},
                                          {"sys/fs/cgroup/cpu.max", "100000 0\n"},
                                          {"sys/fs/cgroup/memory.max", ""},
                                          {NULL, NULL}};
    check_cgroup(zero, UINT64_MAX, UINT64_MAX);
}

static void used_grows(void)
{
    ilki_cpu_used first = ilki_base_cpu_used(), then = first;
    volatile unsigned x = 1;
    for (uint64_t begin = ilki_base_now_ns(); then.ns < first.ns + 5000000 && ilki_base_now_ns() - begin < 10000000000u;
         then = ilki_base_cpu_used())
        for (int i = 0; i < 100000; i++)
            x = x * 5 + 1;
    CHECK(then.ns >= first.ns + 5000000);
    CHECK(then.preempted >= first.preempted);
}

TEST_MAIN({"features_agree_with_cpuinfo", features_agree_with_cpuinfo}, {"permission_is_asked", permission_is_asked},
          {"counts_are_sane", counts_are_sane}, {"used_grows", used_grows},
          {"cgroups_of_both_versions", cgroups_of_both_versions})
