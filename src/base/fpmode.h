/* SPDX-License-Identifier: Apache-2.0
 * The floating-point mode of a thread: rounding, flush-to-zero, denormals-are-zero. A host program may have switched
 * the last two on (one shared object linked with fast-math is enough); a result must not depend on which thread made it,
 * so ilk computes in the default mode everywhere and gives the caller's mode back. */
#ifndef ILKI_BASE_FPMODE_H
#define ILKI_BASE_FPMODE_H

#include <stdint.h>

#if defined(__SSE__)

#include <xmmintrin.h>

typedef unsigned ilki_fpmode;
#define ILKI_MXCSR_DEFAULT 0x1f80u
#define ILKI_MXCSR_FLAGS   0x3fu /* sticky exception flags: not a mode */

static inline ilki_fpmode ilki_base_fpmode_default(void)
{
    ilki_fpmode old = _mm_getcsr();
    if ((old & ~ILKI_MXCSR_FLAGS) != ILKI_MXCSR_DEFAULT)
        _mm_setcsr(ILKI_MXCSR_DEFAULT | (old & ILKI_MXCSR_FLAGS));
    return old;
}

static inline void ilki_base_fpmode_restore(ilki_fpmode old)
{
    if ((old & ~ILKI_MXCSR_FLAGS) != ILKI_MXCSR_DEFAULT)
        _mm_setcsr(old);
}

#elif defined(__aarch64__)

typedef uint64_t ilki_fpmode;

static inline ilki_fpmode ilki_base_fpmode_default(void)
{
    ilki_fpmode old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    if (old != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return old;
}

static inline void ilki_base_fpmode_restore(ilki_fpmode old)
{
    if (old != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"(old));
}

#else

#include <fenv.h>

typedef fenv_t ilki_fpmode;

static inline ilki_fpmode ilki_base_fpmode_default(void)
{
    ilki_fpmode old;
    fegetenv(&old);
    fesetenv(FE_DFL_ENV);
    return old;
}

static inline void ilki_base_fpmode_restore(ilki_fpmode old)
{
    fesetenv(&old);
}

#endif

#endif
