/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 (FIPS 180-4) and CRC-32C (Castagnoli, reflected polynomial 0x82f63b78). Both use the CPU's instructions where
 * it has them; the plain C beside them is the reference. */
#ifndef ILKI_BASE_HASH_H
#define ILKI_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ilki_sha256 {
    uint32_t h[8];
    uint64_t n_bytes;
    uint8_t block[64];
    bool plain; /* the reference, whatever the CPU has */
} ilki_sha256;

void ilki_base_sha256_init(ilki_sha256 *s);
void ilki_base_sha256_add(ilki_sha256 *s, const void *data, size_t n);
void ilki_base_sha256_end(ilki_sha256 *s, uint8_t out[32]);
void ilki_base_sha256(const void *data, size_t n, uint8_t out[32]);

/* 64 lower-case digits and a NUL */
void ilki_base_hex(const uint8_t *bytes, size_t n, char *out);

/* crc of the empty string is 0; pass the previous value to go on. */
uint32_t ilki_base_crc32c(uint32_t crc, const void *data, size_t n);
uint32_t ilki_base_crc32c_ref(uint32_t crc, const void *data, size_t n);

#endif
