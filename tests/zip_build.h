/* SPDX-License-Identifier: Apache-2.0
 * Writes zip archives of stored members, as torch.save does and as it never would. */
#ifndef ILK_TEST_ZIP_BUILD_H
#define ILK_TEST_ZIP_BUILD_H

#include <string.h>

#include "base/buf.h"

enum { ZIP_MEMBERS = 16 };

/* What a member or the archive has of its own. */
enum {
    ZIP_DESCRIPTOR = 1, /* sizes behind the data, zeros in the local header */
    ZIP_WIDE = 2,       /* sizes and offsets in ZIP64 fields; with a descriptor: one of 64-bit sizes */
    ZIP_END64 = 4,      /* ZIP64 end record and locator */
    ZIP_UNSIGNED = 8    /* a descriptor without signature */
};

typedef struct zip {
    ilki_buf b;
    struct {
        char name[64];
        uint64_t header, n;
        unsigned how;
        uint16_t method, flags;
    } members[ZIP_MEMBERS];
    size_t n;
    uint16_t method, flags; /* of the next member */
    unsigned how;
} zip;

static inline void zip_begin(zip *z, unsigned how)
{
    memset(z, 0, sizeof *z);
    ilki_base_buf_init(&z->b, (size_t)1 << 24);
    z->how = how;
}

static inline void zip_wide_extra(ilki_buf *b, uint64_t size, uint64_t stored, const uint64_t *header)
{
    ilki_base_buf_put_u16(b, 1);
    ilki_base_buf_put_u16(b, header ? 24 : 16);
    ilki_base_buf_put_u64(b, size);
    ilki_base_buf_put_u64(b, stored);
    if (header)
        ilki_base_buf_put_u64(b, *header);
}

static inline void zip_add(zip *z, const char *name, const void *data, size_t n)
{
    ilki_buf *b = &z->b;
    bool wide = z->how & ZIP_WIDE, described = z->how & ZIP_DESCRIPTOR;
    uint16_t flags = (uint16_t)(z->flags | (described ? 8 : 0));
    size_t i = z->n++;
    snprintf(z->members[i].name, sizeof z->members[i].name, "%s", name);
    z->members[i].header = b->len;
    z->members[i].n = n;
    z->members[i].how = z->how;
    z->members[i].method = z->method;
    z->members[i].flags = flags;
    ilki_base_buf_put_u32(b, 0x04034b50);
    ilki_base_buf_put_u16(b, 0);
    ilki_base_buf_put_u16(b, flags);
    ilki_base_buf_put_u16(b, z->method);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, 0); /* no CRC */
    for (int k = 0; k < 2; k++)
        ilki_base_buf_put_u32(b, described ? 0 : wide ? UINT32_MAX : (uint32_t)n);
    ilki_base_buf_put_u16(b, (uint16_t)strlen(name));
    ilki_base_buf_put_u16(b, wide && !described ? 20 : 0);
    ilki_base_buf_adds(b, name);
    if (wide && !described)
        zip_wide_extra(b, n, n, NULL);
    if (n)
        ilki_base_buf_add(b, data, n);
    if (!described)
        return;
    if (!(z->how & ZIP_UNSIGNED))
        ilki_base_buf_put_u32(b, 0x08074b50);
    ilki_base_buf_put_u32(b, 0);
    for (int k = 0; k < 2; k++)
        wide ? ilki_base_buf_put_u64(b, n) : ilki_base_buf_put_u32(b, (uint32_t)n);
}

static inline void zip_end64(ilki_buf *b, uint64_t n, uint64_t directory)
{
    uint64_t at = b->len;
    ilki_base_buf_put_u32(b, 0x06064b50);
    ilki_base_buf_put_u64(b, 44);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u64(b, n);
    ilki_base_buf_put_u64(b, n);
    ilki_base_buf_put_u64(b, at - directory);
    ilki_base_buf_put_u64(b, directory);
    ilki_base_buf_put_u32(b, 0x07064b50);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u64(b, at);
    ilki_base_buf_put_u32(b, 1);
}

static inline void zip_end(zip *z)
{
    ilki_buf *b = &z->b;
    uint64_t directory = b->len;
    for (size_t i = 0; i < z->n; i++) {
        bool wide = z->members[i].how & ZIP_WIDE;
        uint64_t header = z->members[i].header;
        ilki_base_buf_put_u32(b, 0x02014b50);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u16(b, z->members[i].flags);
        ilki_base_buf_put_u16(b, z->members[i].method);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u32(b, 0);
        for (int k = 0; k < 2; k++)
            ilki_base_buf_put_u32(b, wide ? UINT32_MAX : (uint32_t)z->members[i].n);
        ilki_base_buf_put_u16(b, (uint16_t)strlen(z->members[i].name));
        ilki_base_buf_put_u16(b, wide ? 28 : 0);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u16(b, 0);
        ilki_base_buf_put_u32(b, 0);
        ilki_base_buf_put_u32(b, wide ? UINT32_MAX : (uint32_t)header);
        ilki_base_buf_adds(b, z->members[i].name);
        if (wide)
            zip_wide_extra(b, z->members[i].n, z->members[i].n, &header);
    }
    uint64_t n_bytes = b->len - directory;
    if (z->how & ZIP_END64)
        zip_end64(b, z->n, directory);
    ilki_base_buf_put_u32(b, 0x06054b50);
    ilki_base_buf_put_u32(b, 0);
    ilki_base_buf_put_u16(b, z->how & ZIP_END64 ? 0xffff : (uint16_t)z->n);
    ilki_base_buf_put_u16(b, z->how & ZIP_END64 ? 0xffff : (uint16_t)z->n);
    ilki_base_buf_put_u32(b, z->how & ZIP_END64 ? UINT32_MAX : (uint32_t)n_bytes);
    ilki_base_buf_put_u32(b, z->how & ZIP_END64 ? UINT32_MAX : (uint32_t)directory);
    ilki_base_buf_put_u16(b, 0);
}

#endif
