/* SPDX-License-Identifier: Apache-2.0
 * What the comparator's programs share. Every table of ilki_kern_tables that this CPU has is run, entry by entry, against
 * a sum in double precision under a derived bound, or exactly. Arrays stand against a page that may be neither read nor
 * written, so that one element too far is a fault, at whatever alignment their length gives; in front of an output, and
 * between its rows, are canaries. An entry that was not run although the CPU has it fails the program. */
#ifndef ILK_KERN_COMPARE_H
#define ILK_KERN_COMPARE_H

#include <stdlib.h>
#include <sys/mman.h>

#include "base/cpu.h"
#include "clock.h"
#include "kern/ops.h"
#include "test.h"

#define U         0x1p-24  /* unit roundoff of f32 */
#define TINY      0x1p-149 /* what an operation may lose below the normal numbers */
#define N_LENGTHS 71       /* every length 0 to 70 */
enum { CANARY = 0x5a, MAX_TABLES = 32 };

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- arrays against a forbidden page */

enum { N_PENS = 12 };
static struct pen {
    unsigned char *base, *end;
} pens[N_PENS];

/* n bytes ending at the forbidden page of pen i, with 64 canaries in front; all of them canaries at first. */
static inline void *pen_take(int i, size_t n)
{
    struct pen *p = &pens[i];
    size_t want = (n + 64 + 4095) / 4096 * 4096;
    if (!p->base || (size_t)(p->end - p->base) < want) {
        if (p->base)
            munmap(p->base, (size_t)(p->end - p->base) + 4096);
        p->base = mmap(NULL, want + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p->base == MAP_FAILED) {
            printf("FAILED: no memory for %zu bytes\n", want);
            exit(1);
        }
        p->end = p->base + want;
        mprotect(p->end, 4096, PROT_NONE);
    }
    memset(p->end - n - 64, CANARY, n + 64);
    return p->end - n;
}

static inline bool pen_kept(int i, const void *from)
{
    (void)i;
    const unsigned char *c = (const unsigned char *)from - 64;
    for (int x = 0; x < 64; x++)
        if (c[x] != CANARY)
            return false;
    return true;
}

/* The gaps behind n elements of each of `rows` rows still hold canaries (the last row has no gap). */
static inline bool gaps_kept(const float *c, size_t rows, size_t n, size_t ld)
{
    for (size_t i = 0; i + 1 < rows; i++)
        for (size_t x = 0; x < (ld - n) * sizeof *c; x++)
            if (((const unsigned char *)(c + i * ld + n))[x] != CANARY)
                return false;
    return true;
}

static inline size_t span(size_t rows, size_t n, size_t ld)
{
    return rows ? (rows - 1) * ld + n : 0;
}

/* ---- values */

enum kind { PLAIN, WIDE, SPARSE, SUBNORMAL, CANCEL, ZEROS, N_KINDS };
static uint64_t seed = 1;

static inline float uniform(void) /* -1 to 1 */
{
    return (float)((double)(test_random(&seed) >> 11) * 0x1p-52 - 1.0);
}

static inline void fill(float *x, size_t n, enum kind kind)
{
    for (size_t i = 0; i < n; i++) {
        float u = uniform();
        switch (kind) {
        case WIDE: /* twelve orders of magnitude */
            x[i] = u * powf(10.0f, 6.0f * uniform());
            break;
        case SPARSE:
            x[i] = test_random(&seed) % 3 ? 0.0f : test_random(&seed) % 2 ? -0.0f : u;
            break;
        case SUBNORMAL:
            x[i] = test_random(&seed) % 2 ? u : u * 0x1p-126f;
            break;
        case CANCEL: /* a large term and its opposite, a small one between */
            x[i] = i % 3 == 0 ? 4096.0f * u : i % 3 == 2 ? -x[i - 2] : u;
            break;
        case ZEROS:
            x[i] = 0.0f;
            break;
        default:
            x[i] = u;
        }
    }
}

static inline float *pen_floats(int pen, size_t n, enum kind kind)
{
    float *x = pen_take(pen, n * sizeof *x);
    fill(x, n, kind);
    return x;
}

/* ---- exact activations and the error a kernel's may add (docs/NUMERICS.md) */

static inline double act_exact(double x, ilki_act act)
{
    switch (act) {
    case ILKI_ACT_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case ILKI_ACT_GELU_TANH:
        return x / (1.0 + exp(-1.5957691216057307117 * (x + 0.044715 * x * x * x)));
    case ILKI_ACT_GELU_QUICK:
        return x / (1.0 + exp(-1.702 * x));
    case ILKI_ACT_SILU:
        return x / (1.0 + exp(-x));
    case ILKI_ACT_RELU:
        return x > 0.0 ? x : 0.0;
    case ILKI_ACT_TANH:
        return tanh(x);
    case ILKI_ACT_SIGMOID:
        return 1.0 / (1.0 + exp(-x));
    case ILKI_ACT_NONE:
        break;
    }
    return x;
}

/* Relative to max(1, |x|) for those that grow with x, absolute for the bounded ones. */
static inline double act_bound(double x, ilki_act act)
{
    double grows = fabs(x) > 1.0 ? fabs(x) : 1.0;
    if (act == ILKI_ACT_NONE || act == ILKI_ACT_RELU)
        return 0.0;
    return act == ILKI_ACT_TANH || act == ILKI_ACT_SIGMOID ? 1.5e-7 : 1.5e-7 * grows;
}
enum { N_ACTS = ILKI_ACT_SIGMOID + 1 };

/* ---- tables and what of them was run */

#define ENTRIES(X)                                                                                                     \
    X(packed_bytes_f32)                                                                                                \
    X(pack_f32)                                                                                                        \
    X(packed_at_f32)                                                                                                   \
    X(gemm_scratch_f32)                                                                                                \
    X(gemm_f32)                                                                                                        \
    X(packed_bytes_bf16)                                                                                               \
    X(pack_bf16)                                                                                                       \
    X(gemm_scratch_bf16)                                                                                               \
    X(gemm_bf16)                                                                                                       \
    X(packed_bytes_i8)                                                                                                 \
    X(pack_i8)                                                                                                         \
    X(gemm_i8)                                                                                                         \
    X(rest_i8)                                                                                                         \
    X(quant_rows_i8)                                                                                                   \
    X(attn_bytes_bf16)                                                                                                 \
    X(pack_attn_bf16)                                                                                                  \
    X(attn_bf16)                                                                                                       \
    X(pack_keys_f32)                                                                                                   \
    X(attn_f32)                                                                                                        \
    X(attn_end_f32)                                                                                                    \
    X(norm_f32)                                                                                                        \
    X(act_f32)                                                                                                         \
    X(add_f32)                                                                                                         \
    X(gate_f32)                                                                                                        \
    X(axpy_f32)                                                                                                        \
    X(scale_f32)                                                                                                       \
    X(rope_f32)                                                                                                        \
    X(dot_f32)                                                                                                         \
    X(dot_f32_rows)                                                                                                    \
    X(dot_i8_rows)                                                                                                     \
    X(quant_i8) X(bytes_down) X(rgb_across) X(peak_f32) X(peak_tiles_f32) X(peak_bf16) X(peak_i8) X(peak_read)

enum entry {
#define ENTRY_ENUM(field) E_##field,
    ENTRIES(ENTRY_ENUM) N_ENTRIES
};

/* A new entry must be named above. */
_Static_assert(sizeof(ilki_kern_ops) == sizeof(char *) + 14 * sizeof(size_t) + N_ENTRIES * sizeof(void (*)(void)),
               "an entry of ilki_kern_ops is not known to the comparator");

static bool entry_ran[MAX_TABLES][N_ENTRIES];
static const ilki_kern_ops *table; /* the one under test */
static size_t table_index;

static inline bool table_has(const ilki_kern_ops *ops, enum entry e)
{
    switch (e) {
#define ENTRY_CASE(field)                                                                                              \
    case E_##field:                                                                                                    \
        return ops->field != NULL;
        ENTRIES(ENTRY_CASE)
    default:
        return false;
    }
}

static inline const char *entry_name(enum entry e)
{
#define ENTRY_NAME(field) #field,
    static const char *const names[] = {ENTRIES(ENTRY_NAME)};
    return names[e];
}

/* Has this machine what the table needs? Asks the system where it must be asked. */
static inline bool may_run(const ilki_kern_table *t)
{
    return t->needs == 0 || ilki_base_cpu_permit(t->needs);
}

/* Runs `check` for every table of this CPU that has entry e, and marks it. */
static inline void each_table(enum entry e, void (*check)(void))
{
    size_t n;
    const ilki_kern_table *t = ilki_kern_tables(&n);
    CHECK(n <= MAX_TABLES);
    for (size_t i = 0; i < n && i < MAX_TABLES; i++) {
        if (!table_has(t[i].ops, e))
            continue;
        if (!may_run(&t[i])) {
            printf("SKIPPED: %s of %s: this CPU lacks it, or its system\n", entry_name(e), t[i].name);
            continue;
        }
        table = t[i].ops;
        table_index = i;
        int failed = test_n_failed, checks = test_n_checks;
        seed = 1;
        check();
        if (test_n_failed != failed)
            printf("    so far of %s: %s\n", t[i].name, entry_name(e));
        entry_ran[i][e] = test_n_checks > checks;
    }
}

/* The last test of a program: nothing that this CPU has among `entries` was left out, and the reference was complete. */
static inline void check_all_ran(const enum entry *entries, size_t n_entries)
{
    size_t n;
    const ilki_kern_table *t = ilki_kern_tables(&n);
    CHECK_STR(t[0].name, "ref");
#ifdef ILK_COMPARE_NEEDS /* an emulated run, which would mean nothing without this ISA's tables */
    bool there = false;
    for (size_t i = 0; i < n; i++)
        there |= strcmp(t[i].name, ILK_COMPARE_NEEDS) == 0 && may_run(&t[i]);
    CHECK(there);
#endif
    for (size_t i = 0; i < n; i++)
        for (size_t x = 0; x < n_entries; x++) {
            bool has = table_has(t[i].ops, entries[x]);
            test_check(has || i > 0, __FILE__, __LINE__, "the reference lacks %s", entry_name(entries[x]));
            if (has && may_run(&t[i]))
                test_check(entry_ran[i][entries[x]], __FILE__, __LINE__, "%s of %s was not tested",
                           entry_name(entries[x]), t[i].name);
        }
}

/* Ranges of rows (ilki_rows_i8) as a product or a gate keeps them: fresh ones with junk in a lane of each end, which is
 * neither more nor less than some row has, and whether the ends of the row at x are right. */
enum { RANGE = 2 * ILKI_I8_LANES };
static inline void range_begin(float *range, size_t rows)
{
    memset(range, 0, rows * RANGE * sizeof *range);
    for (size_t i = 0; i < rows; i++) {
        range[i * RANGE + i % ILKI_I8_LANES] = -0.01f;
        range[i * RANGE + ILKI_I8_LANES + i % ILKI_I8_LANES] = 0.02f;
    }
}

static inline bool range_right(const float *range, const float *x, size_t n, const float *keep)
{
    float lo = -0.01f, hi = 0.02f, got_lo = 0.0f, got_hi = 0.0f;
    for (size_t i = 0; i < n; i++)
        if (!keep || keep[i] != 0.0f) {
            lo = fminf(lo, x[i]);
            hi = fmaxf(hi, x[i]);
        }
    bool numbers = true;
    for (size_t i = 0; i < ILKI_I8_LANES; i++) {
        numbers &= !isnan(range[i]) && !isnan(range[ILKI_I8_LANES + i]);
        got_lo = fminf(got_lo, range[i]);
        got_hi = fmaxf(got_hi, range[ILKI_I8_LANES + i]);
    }
    return numbers && memcmp(&lo, &got_lo, sizeof lo) == 0 && memcmp(&hi, &got_hi, sizeof hi) == 0;
}

/* to bf16, ties to even */
static inline float rounded(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t low = bits & 0xffffU, high = bits & 0xffff0000U;
    if (isnan(x))
        return x;
    if (low > 0x8000U || (low == 0x8000U && (high & 0x10000U)))
        high += 0x10000U;
    memcpy(&x, &high, sizeof x);
    return x;
}

/* |got - want| <= bound; both may be the same infinity or NaN. */
static inline bool within(double got, double want, double bound)
{
    return fabs(got - want) <= bound || got == want || (isnan(got) && isnan(want));
}

#endif
