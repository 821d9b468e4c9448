/* SPDX-License-Identifier: Apache-2.0
 * Limits and seccomp. The filter is written by hand for the system calls that glibc, malloc, threads and decoders of this
 * program make: a list of what is allowed; what reaches for files or asks about the system is refused with an error, so
 * that a library that looks for its configuration goes on without it; what only an intruder would want (a program, a
 * process, a socket, another's memory) ends the process.
 *
 * A filter is a straight run of comparisons on the call's number, each followed by its verdict. The upper halves of
 * 64-bit arguments are compared too where an address is meant. */
#include "sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#endif
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#define HAVE_SECCOMP 1
#else
#define HAVE_SECCOMP 0
#endif

/* A sanitizer's shadow takes terabytes of addresses, and its runtime calls what it likes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { MAX_FILES = 64 };

/* ------------------------------------------------------------------ limits */

static bool limit(int what, uint64_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r) != 0)
        return false;
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)
        r.rlim_max = (rlim_t)most;
    /* at the soft limit of CPU time comes the signal that says so, at the hard one SIGKILL */
    r.rlim_cur = what == RLIMIT_CPU && r.rlim_max > 1 ? r.rlim_max - 1 : r.rlim_max;
    return setrlimit(what, &r) == 0;
}

bool media_limit(uint64_t memory_bytes, uint64_t cpu_seconds, uint64_t file_bytes)
{
#if defined(__linux__)
    /* before anything else: the parent may be gone already, then the socket ends */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    (void)prctl(PR_SET_DUMPABLE, 0); /* only another guard: no ptrace by its like */
#endif
    return (SANITIZED || !memory_bytes || limit(RLIMIT_AS, memory_bytes)) &&
           (!cpu_seconds || limit(RLIMIT_CPU, cpu_seconds)) && limit(RLIMIT_FSIZE, file_bytes) &&
           limit(RLIMIT_CORE, 0) && limit(RLIMIT_NOFILE, MAX_FILES);
}

void media_close_from(int first)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    closefrom(first);
#else
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (most > 0 && most < 65536 ? most : 65536); fd++)
        close(fd);
#endif
}

/* ------------------------------------------------------------------ seccomp */

#if HAVE_SECCOMP

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#else
#define THIS_ARCH AUDIT_ARCH_AARCH64
#endif

enum { MAX_CODE = 256, FOREIGN_CALLS = 1 << 30 /* and up: x32's; elsewhere there are none */ };

typedef struct filter {
    struct sock_filter code[MAX_CODE];
    unsigned short n;
} filter;

static void add(filter *f, struct sock_filter s)
{
    if (f->n < MAX_CODE)
        f->code[f->n++] = s;
}

static void load(filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void verdict(filter *f, uint32_t action)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (i))

/* The loaded word must be `value`, or have none of `bits`; the next instruction is passed over where it is so. */
static void skip_if_equal(filter *f, uint32_t value)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
}

static void skip_if_none(filter *f, uint32_t bits)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
}

/* Another machine's calls have other numbers; x32's have a high bit. */
static void begin(filter *f)
{
    f->n = 0;
    load(f, offsetof(struct seccomp_data, arch));
    skip_if_equal(f, THIS_ARCH);
    verdict(f, SECCOMP_RET_KILL_PROCESS);
    load(f, offsetof(struct seccomp_data, nr));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_CALLS, 0, 1));
    verdict(f, SECCOMP_RET_KILL_PROCESS);
}

static void rule(filter *f, uint32_t nr, uint32_t action)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1));
    verdict(f, action);
}

static void rules(filter *f, const int *list, size_t n, uint32_t action)
{
    for (size_t i = 0; i < n; i++)
        rule(f, (uint32_t)list[i], action);
}

/* A call whose argument decides: `body` instructions stand between, and each path of them ends in a verdict. */
static unsigned short open_rule(filter *f, uint32_t nr)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 0));
    return f->n;
}

static void close_rule(filter *f, unsigned short at)
{
    if (at <= MAX_CODE)
        f->code[at - 1].jf = (unsigned char)(f->n - at);
}

/* Only without any of these bits in an argument. */
static void rule_without(filter *f, uint32_t nr, size_t arg, uint32_t bits)
{
    unsigned short at = open_rule(f, nr);
    load(f, ARG(arg));
    skip_if_none(f, bits);
    verdict(f, REFUSE);
    verdict(f, SECCOMP_RET_ALLOW);
    close_rule(f, at);
}

/* Only with this number, our own process', as the first argument. */
static void rule_own_pid(filter *f, uint32_t nr)
{
    unsigned short at = open_rule(f, nr);
    load(f, ARG(0));
    skip_if_equal(f, (uint32_t)getpid());
    verdict(f, SECCOMP_RET_KILL_PROCESS);
    verdict(f, SECCOMP_RET_ALLOW);
    close_rule(f, at);
}

/* A new thread, not a new process. clone3 hides its flags in memory: it is said not to exist, and libc takes clone. */
static void rule_threads(filter *f, uint32_t otherwise)
{
    unsigned short at = open_rule(f, __NR_clone);
    load(f, ARG(0));
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0));
    verdict(f, otherwise);
    verdict(f, SECCOMP_RET_ALLOW);
    close_rule(f, at);
    rule(f, __NR_clone3, SECCOMP_RET_ERRNO | ENOSYS);
}

static const int hostile[] = {
    __NR_execveat,   __NR_ptrace,      __NR_process_vm_readv, __NR_process_vm_writev, __NR_socket, __NR_socketpair,
    __NR_connect,    __NR_bind,        __NR_listen,           __NR_accept4,           __NR_sendto, __NR_kill,
    __NR_bpf,        __NR_keyctl,      __NR_add_key,          __NR_unshare,           __NR_setns,  __NR_mount,
    __NR_pidfd_open, __NR_userfaultfd, __NR_perf_event_open,  __NR_init_module,       __NR_chroot,
#if defined(__x86_64__)
    __NR_fork,       __NR_vfork,
#endif
};

static const int decoding[] = {
    __NR_read,
    __NR_pread64,
    __NR_recvmsg,
    __NR_sendmsg,
    __NR_write,
    __NR_close,
    __NR_fstat,
    __NR_lseek,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_brk,
    __NR_futex,
    __NR_rt_sigaction,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_sigaltstack,
    __NR_clock_gettime,
    __NR_clock_nanosleep,
    __NR_gettimeofday,
    __NR_nanosleep,
    __NR_sched_yield,
    __NR_sched_getaffinity,
    __NR_getpid,
    __NR_gettid,
    __NR_getrandom,
    __NR_exit,
    __NR_exit_group,
    __NR_set_robust_list,
    __NR_rseq,
    __NR_getcpu,
    __NR_membarrier,
    __NR_restart_syscall,
    __NR_get_robust_list,
};

/* Files are not to be changed by a converter. */
static const int changing[] = {
    __NR_unlinkat,
    __NR_renameat2,
    __NR_linkat,
    __NR_symlinkat,
    __NR_mkdirat,
    __NR_mknodat,
    __NR_fchmodat,
    __NR_fchownat,
    __NR_truncate,
    __NR_io_uring_setup,
    __NR_openat2,
    __NR_setxattr,
    __NR_name_to_handle_at,
    __NR_open_by_handle_at,
#if defined(__x86_64__)
    __NR_unlink,
    __NR_rename,
    __NR_link,
    __NR_symlink,
    __NR_mkdir,
    __NR_mknod,
    __NR_chmod,
    __NR_chown,
    __NR_rmdir,
    __NR_creat,
#else
    __NR_renameat,
#endif
};

static ilki_media_sandbox install(filter *f, char *note, size_t n_note)
{
    struct sock_fprog program = {.len = f->n, .filter = f->code};
    note[0] = '\0';
    if (SANITIZED) {
        snprintf(note, n_note, "built with a sanitizer, which needs every system call");
        return ILKI_MEDIA_LIMITS;
    }
    if (f->n < MAX_CODE && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return ILKI_MEDIA_SECCOMP;
    snprintf(note, n_note, "the system refuses seccomp: %s", strerror(errno));
    return ILKI_MEDIA_LIMITS;
}

ilki_media_sandbox media_lock(char *note, size_t n_note)
{
    filter f;
    begin(&f);
    rules(&f, decoding, sizeof decoding / sizeof *decoding, SECCOMP_RET_ALLOW);
    rule_without(&f, __NR_mmap, 2, PROT_EXEC); /* no new code */
    rule_without(&f, __NR_mprotect, 2, PROT_EXEC);
    rule_threads(&f, SECCOMP_RET_KILL_PROCESS);
    rule_own_pid(&f, __NR_tgkill); /* abort */
    rules(&f, hostile, sizeof hostile / sizeof *hostile, SECCOMP_RET_KILL_PROCESS);
    rule(&f, __NR_execve, SECCOMP_RET_KILL_PROCESS);
    verdict(&f, REFUSE);
    return install(&f, note, n_note);
}

static void rule_exec(filter *f, const char *program)
{
    uint64_t address = (uint64_t)(uintptr_t)program;
    unsigned short at = open_rule(f, __NR_execve);
    load(f, ARG(0));
    skip_if_equal(f, (uint32_t)address);
    verdict(f, SECCOMP_RET_KILL_PROCESS);
    load(f, ARG(0) + 4);
    skip_if_equal(f, (uint32_t)(address >> 32));
    verdict(f, SECCOMP_RET_KILL_PROCESS);
    verdict(f, SECCOMP_RET_ALLOW);
    close_rule(f, at);
}

ilki_media_sandbox media_lock_for(const char *program, char *note, size_t n_note)
{
    filter f;
    begin(&f);
    rules(&f, hostile, sizeof hostile / sizeof *hostile, REFUSE); /* its libraries may ask without meaning harm */
    rules(&f, changing, sizeof changing / sizeof *changing, REFUSE);
    rule_threads(&f, REFUSE);
    rule_without(&f, __NR_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
#if defined(__x86_64__)
    rule_without(&f, __NR_open, 1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
#endif
    rule_exec(&f, program);
    verdict(&f, SECCOMP_RET_ALLOW);
    return install(&f, note, n_note);
}

#else /* limits alone */

static ilki_media_sandbox unlocked(char *note, size_t n_note)
{
    snprintf(note, n_note, "this system has no seccomp, or ilk does not know its system calls");
    return ILKI_MEDIA_LIMITS;
}

ilki_media_sandbox media_lock(char *note, size_t n_note)
{
    return unlocked(note, n_note);
}

ilki_media_sandbox media_lock_for(const char *program, char *note, size_t n_note)
{
    (void)program;
    return unlocked(note, n_note);
}

#endif
