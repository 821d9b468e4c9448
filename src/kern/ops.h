/* SPDX-License-Identifier: Apache-2.0
 * The one table of arithmetic on raw pointers. Every entry is single-threaded, allocates nothing, reads and writes only
 * what its arguments span, and accepts any alignment. Row-major everywhere; `ld…` is the distance of rows in elements.
 *
 * One order of reduction, fixed by k alone: an output element is one chain of fused multiply-adds over k in ascending order
 * (on matrix tiles what docs/NUMERICS.md says), whatever m, n and the position in the batch are, so that a row has the same bits alone and in company (within one table; tables of
 * different ISAs may differ in the last bits, never beyond the bound of docs/NUMERICS.md). Where a kernel needs several
 * chains for one element (dot), how it splits depends on n alone.
 *
 * An ISA's file exports one const table with NULL holes; dispatch overlays the tables that the CPU and the mask allow on
 * the reference. Entries of one group (gemm: nr, pack, gemm; i8: packed_bytes, pack, gemm; attn_…bf16) come from one table. Non-finite inputs give whatever IEEE arithmetic gives; callers check results. */
#ifndef ILKI_KERN_OPS_H
#define ILKI_KERN_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef enum ilki_act {
    ILKI_ACT_NONE = 0,
    ILKI_ACT_GELU, /* x/2 (1 + erf(x/sqrt 2)), absolute error under 1e-6 of the exact value for |x| <= 8 */
    ILKI_ACT_GELU_TANH,
    ILKI_ACT_GELU_QUICK, /* x sigmoid(1.702 x) */
    ILKI_ACT_SILU,
    ILKI_ACT_RELU,
    ILKI_ACT_TANH,
    ILKI_ACT_SIGMOID
} ilki_act;

/* c[i][j] = act(sum_k a[i][k] w[j][k] + bias[j]) + residual[i][j], columns j0 <= j < j1 of the n packed ones. */
typedef struct ilki_gemm_f32 {
    const float *a;        /* [m][k] */
    const void *packed;    /* from pack_f32 for n columns */
    const float *bias;     /* [n] or NULL */
    const float *residual; /* [m][n], may be c itself, or NULL */
    float *c;              /* [m][n] */
    void *scratch;         /* gemm_scratch_f32(m, k) bytes, 64-byte aligned; NULL where that is 0 */
    size_t m, n, k, lda, ldc, ldr;
    size_t j0, j1; /* j0 a multiple of gemm_f32_nr; j1 likewise or n */
    ilki_act act;
} ilki_gemm_f32;

/* Products of 8 bits. A row of activations becomes a head and k codes u8, padded with zeros to a multiple of
 * ILKI_I8_ALIGN: x ~ scale (code - zero). Weights are s8 codes, one scale a column. Some columns of the weights, the exact
 * channels, take no part: their codes are zeros and their values, of weights and of activations, are kept as f32. With
 * them the few channels that dwarf all others neither widen a row's range nor are rounded themselves. */
#define ILKI_I8_ALIGN 64
#define ILKI_I8_EXACT 8      /* at most so many exact channels; 0, 4 or 8 */
#define ILKI_I8_MAX_K 65536u /* more could overflow an i32 */
typedef struct ilki_i8_head {
    float scale;  /* NaN where the row holds what is not finite */
    int32_t zero; /* 0 to 255 */
    float exact[ILKI_I8_EXACT];
    uint32_t unused[6];
} ilki_i8_head;
static inline size_t ilki_kern_i8_row_bytes(size_t k)
{
    return sizeof(ilki_i8_head) + (k + ILKI_I8_ALIGN - 1) / ILKI_I8_ALIGN * ILKI_I8_ALIGN;
}

/* Which channels are exact. */
typedef struct ilki_i8_channels {
    const uint32_t *exact; /* [n_exact] ascending */
    size_t n_exact;        /* 0, 4 or 8 */
    const float *keep;     /* [k] 0 at the exact ones, 1 at others; NULL where n_exact is 0 */
} ilki_i8_channels;

/* Rows on their way to codes. `range`, where it is not NULL, holds for each row ILKI_I8_LANES values of which the least,
 * and as many of which the greatest, are lo and hi of quant_rows_i8: begun with zeros, and kept up by the product or the
 * gate that makes the row (NaN counts for nothing there). Else the row is looked through for them. */
#define ILKI_I8_LANES 16
typedef struct ilki_rows_i8 {
    unsigned char *a; /* [rows] heads and codes, lda bytes apart */
    const float *x;   /* [rows][k] */
    const ilki_i8_channels *channels;
    const float *range; /* [rows][2][ILKI_I8_LANES] or NULL */
    size_t lda, ldx, rows, k;
} ilki_rows_i8;

/* y = (x - mean) / sqrt(var + eps) * w + b, biased variance; with rms y = x / sqrt(mean(x^2) + eps) * (w + w_add). */
typedef struct ilki_norm_f32 {
    const float *x;     /* [rows][n] */
    float *y;           /* [rows][n], may be x with the same ld */
    const float *w, *b; /* [n]; b NULL: none */
    size_t rows, n, ldx, ldy;
    float eps, w_add;
    bool rms;
    unsigned char
        *a; /* the codes of y too, as quant_rows_i8 makes them, of each row while it is near; then ldy may be 0, where
                         each row goes over the one before. NULL: none */
    size_t lda;
    const ilki_i8_channels *channels;
} ilki_norm_f32;

/* For each element, in this order and in f32 with fused multiply-adds, so that every table gives the same bits up to the
 * activation (of which GELU may be 1e-4 max(1, |v|) off: what comes of it is to be codes):
 *   v = (sum_k (code_a - zero) code_w, exactly) * (scale_a * scale_w)
 *   v = v + exact_a[x] * exact_w[x] for each x < n_exact;  v = v + bias;  c = act(v) + residual */
typedef struct ilki_gemm_i8 {
    const unsigned char *a; /* [m] rows from quant_rows_i8, lda bytes apart */
    const void *packed;     /* from pack_i8 for n columns */
    const float *bias;      /* [n] or NULL */
    const float *residual;  /* [m][n], may be c itself, or NULL */
    float *c;               /* [m][n] */
    float *range;           /* [m][2][ILKI_I8_LANES] or NULL: kept up for c as input of the next product */
    const float *keep;      /* [n] of that product's channels; NULL: all are kept */
    size_t m, n, k, lda, ldc, ldr, n_exact;
    size_t j0, j1; /* j0 a multiple of gemm_i8_nr; j1 likewise or n */
    ilki_act act;
} ilki_gemm_i8;

/* y = act(a) b for one row, with the bits of act_f32; y may be a or b. */
typedef struct ilki_gate_f32 {
    float *y;
    const float *a, *b; /* [n] */
    float *range;       /* [2][ILKI_I8_LANES] or NULL: kept up for y, as by gemm_i8 */
    const float *keep;  /* [n] or NULL */
    size_t n;
    ilki_act act;
} ilki_gate_f32;

/* One key block of attention for a block of query rows of one head, with the running softmax of the rows:
 *   s = scale * q kT;  if (softcap > 0) s = softcap * tanh(s / softcap);  s += add (add may hold -inf)
 *   m' = max(m, rowmax s);  l = l e^(m - m') + rowsum e^(s - m');  acc = acc e^(m - m') + e^(s - m') v
 * A row whose keys are all masked so far keeps m = -inf, l = 0, acc = 0. Blocks of a row are presented in ascending
 * order of absolute key position, cut at multiples of ILKI_ATTN_KEYS. `first` and `out` save the way through memory that
 * a block alone or the last one does not need; the bits are the same. */
#define ILKI_ATTN_KEYS 64
#define ILKI_ATTN_ROWS 64 /* at most so many query rows in a call */
typedef struct ilki_attn_f32 {
    const float *q;   /* [n_q][d] */
    const float *kt;  /* [d][ILKI_ATTN_KEYS], from pack_keys_f32 */
    const float *v;   /* [n_k][dv] */
    const float *add; /* [n_q][n_k] or NULL */
    float *m, *l;     /* [n_q]; -inf and 0 before the first block */
    float *acc;       /* [n_q][dv], zeros before the first block; divided by l by the caller's attn_end_f32 */
    float *out;       /* [n_q][dv] or NULL: gets what attn_end_f32 would give; acc is undefined then */
    size_t n_q, n_k, d, dv, ldq, ldv, ldadd, ldacc, ldout;
    bool first; /* m, l and acc are undefined so far, and taken as before the first block */
    float scale, softcap;
} ilki_attn_f32;

/* A block of keys and values, for pack_attn_bf16. */
typedef struct ilki_attn_block {
    const float *k, *v; /* [n_k][d], [n_k][dv] */
    size_t n_k, d, dv, ldk, ldv;
} ilki_attn_block;

/* Which inputs make each of n outputs, and with what weights. A row of weights has `step` of them, a multiple of 4, those
 * from count[i] on are 0. */
typedef struct ilki_kern_taps {
    const uint32_t *first, *count; /* count is at least 1 */
    const int32_t *weight;         /* [n][step] */
    const int8_t *parts;           /* [n][step / 4][3][4]: the same in signed bytes, the low ones first */
    uint32_t n, step;
    unsigned shift, n_parts; /* n_parts 2: the third byte of all is 0 */
} ilki_kern_taps;

/* Fills parts from n weights, a multiple of 4, |weight| < 2^23 - 2^16; gives n_parts. */
unsigned ilki_kern_cut_weights(int8_t *parts, const int32_t *weight, size_t n);

typedef struct ilki_kern_ops {
    const char *name;

    /* gemm */
    size_t gemm_f32_nr;     /* columns of a panel */
    size_t gemm_f32_mr;     /* rows the kernel likes best to get at once: a hint for cutting tasks */
    bool gemm_f32_flushes;  /* what is subnormal, in operands or on the way, counts as 0 */
    size_t gemm_f32_few;    /* up to so many rows go by the time of the weights, not of the rows; 0: none do */
    size_t gemm_f32_gflops; /* what a core of 2023 reaches at half of its best, for estimates alone */
    size_t
        layout_f32; /* which packed form this is: raised with any change of a byte that pack gives, since packed weights
                          are kept on disk (tests/kern/compare_layout.c holds tables to it) */
    /* The packed form of n rows (out) of k (in) is the table's own: panels of nr rows one behind the other, so that the
     * rows from a multiple of nr on lie behind packed_bytes_f32(those before, k). Missing rows of the last panel are
     * zeros. At most (n + 255) (k + 63) 8 bytes, which the caller has checked to fit; 64-byte aligned where speed counts. */
    size_t (*packed_bytes_f32)(size_t n, size_t k);
    void (*pack_f32)(void *packed, const float *w, size_t ldw, size_t n, size_t k);
    float (*packed_at_f32)(const void *packed, size_t k, size_t j, size_t p); /* w[j][p]; slow */
    size_t (*gemm_scratch_f32)(size_t m, size_t k);                           /* bytes a product of m rows needs */
    void (*gemm_f32)(const ilki_gemm_f32 *g);

    /* bf16: the product of gemm_f32 with both operands rounded to bf16 (nearest even) and sums in f32; a table may take
     * denormal operands and results for 0. Packed forms as of gemm_f32 */
    size_t gemm_bf16_nr;
    size_t gemm_bf16_gflops;
    size_t layout_bf16;                              /* as layout_f32 */
    size_t (*packed_bytes_bf16)(size_t n, size_t k); /* at most (n + 255) (k + 63) 4 */
    void (*pack_bf16)(void *packed, const float *w, size_t ldw, size_t n, size_t k);
    size_t (*gemm_scratch_bf16)(size_t m, size_t k);
    void (*gemm_bf16)(const ilki_gemm_f32 *g);

    /* i8 */
    size_t gemm_i8_nr; /* columns of a panel */
    size_t gemm_i8_mr;
    size_t gemm_i8_gflops; /* as gemm_f32_gflops */
    size_t layout_i8;      /* as layout_f32 */
    /* The packed form is the table's own: panels of nr rows of the weight one behind the other, so that the rows from a
     * multiple of nr on lie behind packed_bytes_i8(those before, k, n_exact). At most (n + 255) (k + 127) 2 bytes. k at
     * most ILKI_I8_MAX_K. scale_w = max|w| / 127 over what is kept of a row, code = round-half-even(w * (127 / max|w|)). */
    size_t (*packed_bytes_i8)(size_t n, size_t k, size_t n_exact);
    void (*pack_i8)(void *packed, const float *w, size_t ldw, size_t n, size_t k, const ilki_i8_channels *c);
    void (*gemm_i8)(const ilki_gemm_i8 *g);
    /* lo = min(0, min x), hi = max(0, max x) over what is kept; scale = (hi - lo) / 255, zero = round(-lo (255 / (hi -
     * lo))), code = round(x (255 / (hi - lo))) + zero within 0 to 255, rounding half to even. Under a range of 2^-118 all is
     * 0. The same codes with a range given. */
    void (*quant_rows_i8)(const ilki_rows_i8 *r);
    /* What the codes of one row from quant_rows_i8 leave of it: x - scale (code - zero) by a fused multiply-add, 0 at the
     * exact channels. Codes of that beside the first make 16 bits of an activation. */
    void (*rest_i8)(float *rest, const float *x, const unsigned char *row, size_t k, const ilki_i8_channels *c);

    /* attention */
    /* kt: the transposed keys; columns past n_k up to a multiple of 16 are zeros, those beyond are left alone */
    void (*pack_keys_f32)(float *kt, const float *k, size_t ldk, size_t n_k, size_t d);
    void (*attn_f32)(const ilki_attn_f32 *a);
    /* out[i][0..dv) = acc[i] / l[i]; zeros where l is 0 */
    void (*attn_end_f32)(float *out, size_t ldout, const float *acc, size_t ldacc, const float *l, size_t n_q,
                         size_t dv);
    /* The same with q, k, v and the weights e^(s - m') rounded to bf16 (nearest even) before they are multiplied, sums in
     * f32, l the sum of the rounded weights. A weight is within 2^-13 of its own before it is rounded; denormal operands and
     * results may count as 0. The call's kt is what pack_attn_bf16 made of the block (attn_bytes_bf16 bytes, a multiple of
     * 4 and at most (d + dv + 62) KEYS 4), its v is not read; m is the table's own, -inf before the first block. */
    bool attn_bf16_pays; /* it is faster than attn_f32 here, so that precisions under f32 go by it */
    size_t (*attn_bytes_bf16)(size_t d, size_t dv);
    void (*pack_attn_bf16)(void *packed, const ilki_attn_block *b);
    void (*attn_bf16)(const ilki_attn_f32 *a);

    /* rows */
    void (*norm_f32)(const ilki_norm_f32 *n);

    /* vec */
    void (*act_f32)(float *x, size_t n, ilki_act act);
    void (*add_f32)(float *y, const float *x, size_t n); /* y += x */
    void (*gate_f32)(const ilki_gate_f32 *g);
    void (*axpy_f32)(float *y, const float *x, float a, size_t n); /* y += a x */
    void (*scale_f32)(float *y, float a, size_t n);                /* y *= a */
    /* rotate pairs by cos/sin [half]: (x[i], x[i + half]) -> (x c - y s, y c + x s); `step` 1 and offset half is the
     * half-split pairing, interleaved pairs (2i, 2i+1) with `interleaved` */
    void (*rope_f32)(float *x, const float *cos_, const float *sin_, size_t half, bool interleaved);

    /* dot */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    /* out[r] = dot_f32(q, rows + r * stride, n), the same bits */
    void (*dot_f32_rows)(float *out, const float *q, const float *rows, size_t stride, size_t n_rows, size_t n);
    /* out[r] = sum_i q[i] rows[r * stride + i], exactly, |values| <= 127, n <= 65536 */
    void (*dot_i8_rows)(int32_t *out, const int8_t *q, const int8_t *rows, size_t stride, size_t n_rows, size_t n);
    /* symmetric codes: scale = max|x| / 127 (0 where all are 0), code = round-half-even(x / scale), |code| <= 127 */
    float (*quant_i8)(int8_t *codes, const float *x, size_t n);

    /* pixel: bytes weighted by integers, |weight| < 2^23 - 2^16; a sum begins at one half, 2^(shift - 1), is shifted down by `shift`
     * and clipped to a byte. The whole sum fits an int32. */
    /* output i of n columns: out[x] = sum_k weight[i][k] rows[k][x]; first is not looked at */
    void (*bytes_down)(uint8_t *out, const uint8_t *const *rows, const ilki_kern_taps *taps, size_t i, size_t n);
    /* RGB, rows of n_in pixels to rows of taps->n: out[r][3 i + c] = sum_k weight[i][k] in[r][3 (first[i] + k) + c] */
    void (*rgb_across)(uint8_t *const *out, const uint8_t *const *in, size_t n_rows, size_t n_in,
                       const ilki_kern_taps *taps);

    /* peak: what the machine can do, measured by the caller's clock around them */
    /* n_iterations of independent multiply-add chains in registers; gives the floating-point operations done */
    uint64_t (*peak_f32)(uint64_t n_iterations);
    /* the same for f32 products on matrix tiles, whose operations it counts; NULL where there are none */
    uint64_t (*peak_tiles_f32)(uint64_t n_iterations);
    /* the same for the multiply-adds that the products of bf16 and of 8 bits are made of, by the instruction that the table
     * uses; NULL where a table has none for bf16 */
    uint64_t (*peak_bf16)(uint64_t n_iterations);
    uint64_t (*peak_i8)(uint64_t n_iterations);
    /* reads n_bytes from p; the xor of its 64-bit words (a tail of under 64 bytes is left out), so that it is not
     * optimised away */
    uint64_t (*peak_read)(const void *p, size_t n_bytes);
} ilki_kern_ops;

/* The reference: complete, scalar. */
extern const ilki_kern_ops ilki_kern_ref;

/* One row per table: bits of base/cpu.h it needs. An ISA has several tables, one per file, all under its name; a later
 * row goes over an earlier one. For dispatch, the comparator and doctor; the first row is "ref". */
typedef struct ilki_kern_table {
    const char *name;
    uint32_t needs;
    const ilki_kern_ops *ops;
} ilki_kern_table;
const ilki_kern_table *ilki_kern_tables(size_t *n);

/* Overlays the tables that `features` and `mask` allow. mask: NULL or "" for all, or "ref", or comma-separated table names
 * ("avx2" allows avx2 and ref). Writes into *out; names gets "avx512,avx2,ref". BAD_ARGUMENT for an unknown name or one
 * this CPU lacks. */
ilk_status ilki_kern_select(ilki_kern_ops *out, const char *mask, uint32_t features, char *names, size_t names_bytes,
                            ilk_error *err);

#endif
