/* SPDX-License-Identifier: Apache-2.0
 * What the tables of bf16 products share: pairs along k of 64 columns side by side, so that 16 pairs of 16 columns are a
 * tile of AMX, too. Both sides are rounded to nearest even. Rows of activations are rounded once a call, into scratch. */
#ifndef ILKI_KERN_AVX512_BF16_H
#define ILKI_KERN_AVX512_BF16_H

#include <string.h>

#include "kern/x86/avx512_math.h"

enum { NR = 64, DEEP = 2, STEP = 32 }; /* k is padded to a multiple of STEP with zeros */

#include "kern/x86/avx512_finish.inc"

#include "kern/gemm_finish.inc"

static size_t deep_k(size_t k)
{
    return (k + STEP - 1) / STEP * STEP;
}

static size_t packed_bytes_bf16(size_t n, size_t k)
{
    return (n + NR - 1) / NR * NR * deep_k(k) * sizeof(uint16_t);
}

static size_t gemm_scratch_bf16(size_t m, size_t k)
{
    return m * deep_k(k) * sizeof(uint16_t);
}

/* 16 values; a NaN stays one. */
INLINE __m256i round_bf16(__m512 x)
{
    __m512i v = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(v, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_srli_epi32(_mm512_add_epi32(v, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    r = _mm512_mask_mov_epi32(r, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), _mm512_set1_epi32(0x7fc0));
    return _mm512_cvtepi32_epi16(r);
}

static void round_row(uint16_t *to, const float *x, size_t k)
{
    for (size_t p = 0; p < deep_k(k); p += 16)
        _mm256_storeu_si256((__m256i *)(void *)(to + p),
                            round_bf16(_mm512_maskz_loadu_ps(p < k ? head_mask(k - p) : 0, x + (p < k ? p : 0))));
}

static void pack_bf16(void *packed, const float *w, size_t ldw, size_t n, size_t k)
{
    uint16_t *to = packed, cut[16];
    for (size_t j0 = 0; j0 < n; j0 += NR, to += NR * deep_k(k)) {
        memset(to, 0, NR * deep_k(k) * sizeof *to);
        for (size_t j = 0; j < NR && j0 + j < n; j++)
            for (size_t p = 0; p < k; p += 16) {
                const float *from = w + (j0 + j) * ldw + p;
                _mm256_storeu_si256((__m256i *)(void *)cut, round_bf16(_mm512_maskz_loadu_ps(head_mask(k - p), from)));
                for (size_t i = 0; i < 16; i += DEEP)
                    memcpy(to + ((p + i) * NR + j * DEEP), cut + i, DEEP * sizeof *cut);
            }
    }
}

#endif
