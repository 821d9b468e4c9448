/* SPDX-License-Identifier: Apache-2.0
 * Tile registers, for the AMX files alone: static inline only. A kernel loads a configuration, works, and releases it
 * before it returns: no tile state is left in a thread of the host's, which would cost it 8 KiB at every switch and in
 * every signal frame. Who runs a table of this ISA has asked ilki_base_cpu_permit before (dispatch does).
 *
 * bf16 and int8 products have the same shapes in bytes: C[rows][16] (32-bit) += A[rows][64 bytes] B[16][64 bytes], where
 * row r of B holds for each of 16 columns the four bytes that meet bytes 4 r to 4 r + 3 of a row of A. A product takes as
 * many cycles as A has rows. Tile data are never denormal: operands that are count as 0, results become 0. */
#ifndef ILKI_KERN_AMX_TILE_H
#define ILKI_KERN_AMX_TILE_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES };

/* The shape of each tile; 0 rows: it is not used. */
typedef struct tile_shapes {
    uint8_t rows[8], row_bytes[8];
} tile_shapes;

static inline __attribute__((always_inline)) void tiles_shape(const tile_shapes *s)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config __attribute__((aligned(64)));
    _Static_assert(sizeof config == 64, "the layout of ldtilecfg");
    memset(&config, 0, sizeof config);
    config.palette = 1;
    for (int i = 0; i < 8; i++) {
        config.rows[i] = s->rows[i];
        config.row_bytes[i] = s->rows[i] ? s->row_bytes[i] : 0;
    }
    /* the intrinsics tell compilers too little about the memory that they read: nothing may be left unwritten here */
    __asm__ volatile("" : : "r"(&config) : "memory");
    _tile_loadconfig(&config);
}

/* Tiles 0 to 3 are sums, (0, 1) of rows_a and (2, 3) of rows_b rows; 4 (rows_a) and 5 (rows_b) are operands A; 6 and 7 are
 * operands B of 16 rows. rows_b 0: tiles 2, 3 and 5 are not used. */
static inline __attribute__((always_inline)) void tiles_open(size_t rows_a, size_t rows_b)
{
    const uint8_t a = (uint8_t)rows_a, b = (uint8_t)rows_b;
    const tile_shapes shapes = {{a, a, b, b, a, b, TILE_ROWS, TILE_ROWS}, {64, 64, 64, 64, 64, 64, 64, 64}};
    tiles_shape(&shapes);
}

/* Between stores and the tile loads that read what they wrote, and between tile stores and loads. */
static inline __attribute__((always_inline)) void tiles_fence(void)
{
    __asm__ volatile("" : : : "memory");
}

static inline __attribute__((always_inline)) void tiles_close(void)
{
    _tile_release();
}

#endif
