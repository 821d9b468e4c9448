/* SPDX-License-Identifier: Apache-2.0
 * A 16 by 16 transposition in registers, for packing. */
#ifndef ILKI_KERN_AVX512_TRANSPOSE_H
#define ILKI_KERN_AVX512_TRANSPOSE_H

#include "kern/x86/avx512_math.h"

/* to[c][r] = from[r][c] for c < n_cols (1 to 16) and r < 16; rows from n_rows on count as zeros and are not read. */
INLINE void transpose16(float *to, size_t ldt, const float *from, size_t ldf, size_t n_rows, size_t n_cols)
{
    const __mmask16 cols = head_mask(n_cols);
    __m512 r[16], t[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++)
        r[i] = i < n_rows ? _mm512_maskz_loadu_ps(cols, from + i * ldf) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (size_t i = 0; i < 16; i += 2) { /* pairs of rows */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 16; i += 4) { /* r[i + c]: column c of each 128-bit lane, for rows i to i + 3 */
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
#pragma GCC unroll 4
    for (size_t c = 0; c < 4; c++) { /* lanes 0, 2 and 1, 3 of rows 0-7, then of 8-15 */
        t[c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88);
        t[4 + c] = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
        t[8 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
        t[12 + c] = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
    }
#pragma GCC unroll 4
    for (size_t c = 0; c < 4; c++) {
        r[c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0x88);
        r[8 + c] = _mm512_shuffle_f32x4(t[c], t[8 + c], 0xdd);
        r[4 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0x88);
        r[12 + c] = _mm512_shuffle_f32x4(t[4 + c], t[12 + c], 0xdd);
    }
#pragma GCC unroll 16
    for (size_t c = 0; c < 16; c++)
        if (c < n_cols)
            _mm512_storeu_ps(to + c * ldt, r[c]);
}

#endif
