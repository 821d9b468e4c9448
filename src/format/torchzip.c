/* SPDX-License-Identifier: Apache-2.0
 * What torch.save writes since 1.6 (caffe2/serialize/inline_container.cc): a zip archive (PKWARE's APPNOTE 6.3) of
 * stored members,
 *
 *   NAME/data.pkl      a pickle of the dict of tensors: pickle.c
 *   NAME/data/KEY      the bytes of one storage; tensors may share one
 *   NAME/byteorder     "little" or "big"; absent: little
 *   NAME/version and others, not looked at
 *
 * With and without ZIP64. The central directory decides; members must follow each other from the file's first byte to the
 * directory without hole or overlap, each local header must say what the directory says, and nothing stands behind the
 * end record, so that there is one reading of a file. Compressed members and archives of TorchScript are refused. Tensors
 * are views into the mapped file. The pickle's CRC-32 is checked (0: torch was told not to compute it); those of storages
 * are not, as safetensors has none: it would read every page. A file from before 1.6 is a bare pickle, and refused. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "format/pickle.h"
#include "format/set.h"

#define MAX_MEMBERS ((uint64_t)1 << 20)
#define MAX_PICKLE  100000000 /* bytes, as of a safetensors header */
#define SIG_LOCAL   0x04034b50U
#define SIG_CENTRAL 0x02014b50U
#define SIG_DESC    0x08074b50U
#define SIG_END     0x06054b50U
#define SIG_END64   0x06064b50U
#define SIG_LOC64   0x07064b50U
#define END_BYTES   22
#define LOC64_BYTES 20
#define END64_BYTES 56
#define DESCRIBED   8 /* flag: sizes and CRC stand behind the data */
#define ENCRYPTED   1 /* flag */

typedef struct member {
    const char *name; /* in the central directory */
    size_t n_name;
    uint64_t header, data, size, stored; /* offsets of local header and data; bytes plain and in the file */
    uint32_t crc;
    uint16_t flags, method;
} member;

typedef struct archive {
    ilki_weights *w;
    const char *path;
    const unsigned char *bytes;
    uint64_t size, directory, directory_bytes, n;
    member *members;
    ilki_map by_name;   /* into `members` */
    const char *prefix; /* "NAME/" */
    size_t n_prefix;
    ilki_tensor *tensors;
    size_t n_tensors, cap_tensors;
    ilki_arena names; /* of the tensors, until the set has copied them */
} archive;

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    /* the first opcodes of the older format: protocol 2, a LONG1 of ten bytes, a magic number */
    static const unsigned char old[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    (void)path;
    return (n >= 4 && memcmp(head, "PK\3\4", 4) == 0) || (n >= sizeof old && memcmp(head, old, sizeof old) == 0);
}

static ilk_status bad(const archive *a, ilk_error *err, const char *what)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: zip: %s", a->path, what);
}

static ilk_status bad_member(const archive *a, const member *m, ilk_error *err, const char *what)
{
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: zip: member %.*s: %s", a->path, (int)m->n_name, m->name, what);
}

/* A cursor over [from, to) of the file, which lies in it. */
static ilki_cur cursor(const archive *a, uint64_t from, uint64_t to)
{
    ilki_cur c;
    ilki_base_cur_init(&c, a->bytes + from, (size_t)(to - from));
    return c;
}

/* ------------------------------------------------------------------ end records, directory */

/* A 32-bit field beside its 64-bit one says the same, or all ones for "see there". */
static bool agrees(uint64_t small, uint64_t ones, uint64_t large)
{
    return small == ones || small == large;
}

/* Where a locator stands before the end record at `end`, the wide record that it points to replaces the narrow fields;
 * *end becomes where the directory must end. */
static ilk_status read_end64(archive *a, uint64_t *end, ilk_error *err)
{
    if (*end < LOC64_BYTES + END64_BYTES)
        return ILK_OK;
    ilki_cur c = cursor(a, *end - LOC64_BYTES, *end);
    if (ilki_base_cur_u32(&c) != SIG_LOC64)
        return ILK_OK;
    uint32_t disk = ilki_base_cur_u32(&c);
    uint64_t at = ilki_base_cur_u64(&c), last = *end - LOC64_BYTES;
    uint32_t n_disks = ilki_base_cur_u32(&c);
    if (disk != 0 || n_disks > 1 || at > last || last - at < END64_BYTES)
        return bad(a, err, "expected a ZIP64 end record before its locator, found none");
    c = cursor(a, at, last);
    uint32_t sig = ilki_base_cur_u32(&c);
    uint64_t rest = ilki_base_cur_u64(&c);
    (void)ilki_base_cur_u32(&c); /* versions */
    disk = ilki_base_cur_u32(&c) | ilki_base_cur_u32(&c);
    uint64_t n_here = ilki_base_cur_u64(&c), n = ilki_base_cur_u64(&c);
    uint64_t n_bytes = ilki_base_cur_u64(&c), directory = ilki_base_cur_u64(&c);
    if (sig != SIG_END64 || rest != last - at - 12 || disk != 0 || n_here != n || !agrees(a->n, 0xffff, n) ||
        !agrees(a->directory_bytes, UINT32_MAX, n_bytes) || !agrees(a->directory, UINT32_MAX, directory))
        return bad(a, err, "expected a ZIP64 end record that agrees with the end record, found another");
    a->n = n;
    a->directory_bytes = n_bytes;
    a->directory = directory;
    *end = at;
    return ILK_OK;
}

static ilk_status read_end(archive *a, ilk_error *err)
{
    if (a->size < END_BYTES)
        return bad(a, err, "expected an end record, found the end (a file cut short?)");
    uint64_t end = a->size - END_BYTES;
    ilki_cur c = cursor(a, end, a->size);
    uint32_t sig = ilki_base_cur_u32(&c), disks = ilki_base_cur_u32(&c);
    uint16_t n_here = ilki_base_cur_u16(&c);
    a->n = ilki_base_cur_u16(&c);
    a->directory_bytes = ilki_base_cur_u32(&c);
    a->directory = ilki_base_cur_u32(&c);
    if (sig != SIG_END || disks != 0 || n_here != a->n || ilki_base_cur_u16(&c) != 0)
        return bad(a, err, "expected an end record in the last 22 bytes, found another (a file cut short?)");
    ilk_status s = read_end64(a, &end, err);
    if (s != ILK_OK)
        return s;
    if (a->directory > end || a->directory_bytes != end - a->directory)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: zip: expected a directory that ends at %" PRIu64 ", found %" PRIu64
                              " bytes from %" PRIu64,
                              a->path, end, a->directory_bytes, a->directory);
    if (a->n > MAX_MEMBERS)
        return ilki_base_fail(err, ILK_LIMIT, "%s: zip: expected at most %" PRIu64 " members, found %" PRIu64, a->path,
                              MAX_MEMBERS, a->n);
    return ILK_OK;
}

/* The ZIP64 extra field holds those of size, stored size and offset that are all ones in the header, in this order. */
static bool read_extra(ilki_cur c, member *m)
{
    while (ilki_base_cur_left(&c)) {
        uint16_t id = ilki_base_cur_u16(&c), n = ilki_base_cur_u16(&c);
        const unsigned char *p = ilki_base_cur_bytes(&c, n);
        if (!p || c.bad)
            return false;
        if (id != 1)
            continue;
        ilki_cur wide;
        ilki_base_cur_init(&wide, p, n);
        if (m->size == UINT32_MAX)
            m->size = ilki_base_cur_u64(&wide);
        if (m->stored == UINT32_MAX)
            m->stored = ilki_base_cur_u64(&wide);
        if (m->header == UINT32_MAX)
            m->header = ilki_base_cur_u64(&wide);
        return !wide.bad;
    }
    return true;
}

static ilk_status read_central(archive *a, ilki_cur *c, member *m, ilk_error *err)
{
    uint32_t sig = ilki_base_cur_u32(c);
    (void)ilki_base_cur_u32(c); /* versions */
    m->flags = ilki_base_cur_u16(c);
    m->method = ilki_base_cur_u16(c);
    (void)ilki_base_cur_u32(c); /* time */
    m->crc = ilki_base_cur_u32(c);
    m->stored = ilki_base_cur_u32(c);
    m->size = ilki_base_cur_u32(c);
    m->n_name = ilki_base_cur_u16(c);
    uint16_t n_extra = ilki_base_cur_u16(c), n_comment = ilki_base_cur_u16(c), disk = ilki_base_cur_u16(c);
    (void)ilki_base_cur_bytes(c, 6); /* attributes */
    m->header = ilki_base_cur_u32(c);
    m->name = (const char *)ilki_base_cur_bytes(c, m->n_name);
    const unsigned char *extra = ilki_base_cur_bytes(c, n_extra);
    (void)ilki_base_cur_bytes(c, n_comment);
    if (c->bad || sig != SIG_CENTRAL || disk != 0)
        return bad(a, err, "expected an entry of the directory for each member, found less");
    ilki_cur wide;
    ilki_base_cur_init(&wide, extra, n_extra);
    if (m->n_name == 0 || memchr(m->name, 0, m->n_name) || !read_extra(wide, m))
        return bad_member(a, m, err, "expected a name and whole extra fields, found none");
    return ILK_OK;
}

static ilk_status read_directory(archive *a, ilk_error *err)
{
    ilki_cur c = cursor(a, a->directory, a->directory + a->directory_bytes);
    if (a->n > a->directory_bytes / 46) /* bytes of the least entry */
        return bad(a, err, "expected an entry of the directory for each member, found less");
    a->members = ilki_base_zalloc((size_t)a->n, sizeof *a->members);
    if (!a->members || !ilki_base_map_reserve(&a->by_name, (size_t)a->n))
        return ilki_base_fail_memory(err, (size_t)a->n * sizeof *a->members, "members of a zip archive");
    for (uint64_t i = 0; i < a->n; i++) {
        member *m = &a->members[i];
        uint32_t old = ILKI_MAP_NONE;
        ilk_status s = read_central(a, &c, m, err);
        if (s != ILK_OK)
            return s;
        if (!ilki_base_map_put(&a->by_name, m->name, m->n_name, (uint32_t)i, &old))
            return ilki_base_fail_memory(err, m->n_name, "a member's name");
        if (old != ILKI_MAP_NONE)
            return bad_member(a, m, err, "expected a name of its own, found it twice");
    }
    return ilki_base_cur_left(&c) ? bad(a, err, "expected a directory of its members alone, found more") : ILK_OK;
}

/* ------------------------------------------------------------------ members */

static int by_header(const void *x, const void *y)
{
    const member *const *a = x, *const *b = y;
    return (*a)->header < (*b)->header ? -1 : (*a)->header > (*b)->header;
}

/* Behind the data of a described member, up to the next header: CRC and sizes again, of 32 or 64 bits, with or without a
 * signature. */
static bool check_descriptor(ilki_cur c, const member *m)
{
    size_t n = ilki_base_cur_left(&c);
    bool wide = n == 20 || n == 24, signed_ = n == 16 || n == 24;
    if (!(m->flags & DESCRIBED))
        return n == 0;
    if ((n != 12 && !wide && !signed_) || (signed_ && ilki_base_cur_u32(&c) != SIG_DESC))
        return false;
    uint32_t crc = ilki_base_cur_u32(&c);
    uint64_t stored = wide ? ilki_base_cur_u64(&c) : ilki_base_cur_u32(&c);
    uint64_t size = wide ? ilki_base_cur_u64(&c) : ilki_base_cur_u32(&c);
    return crc == m->crc && stored == m->stored && size == m->size;
}

/* The local header, the data and what stands between it and `end`, where the next header begins. */
static ilk_status check_member(const archive *a, member *m, uint64_t end, ilk_error *err)
{
    ilki_cur c = cursor(a, m->header, end);
    uint32_t sig = ilki_base_cur_u32(&c);
    (void)ilki_base_cur_u16(&c); /* version */
    uint16_t flags = ilki_base_cur_u16(&c), method = ilki_base_cur_u16(&c);
    (void)ilki_base_cur_u32(&c); /* time */
    member local = {.crc = ilki_base_cur_u32(&c)};
    local.stored = ilki_base_cur_u32(&c);
    local.size = ilki_base_cur_u32(&c);
    uint16_t n_name = ilki_base_cur_u16(&c), n_extra = ilki_base_cur_u16(&c);
    const unsigned char *name = ilki_base_cur_bytes(&c, n_name), *extra = ilki_base_cur_bytes(&c, n_extra);
    if (c.bad || sig != SIG_LOCAL || n_name != m->n_name || memcmp(name, m->name, n_name) != 0 || method != m->method ||
        flags != m->flags)
        return bad_member(a, m, err, "expected a local header that agrees with the directory, found another");
    ilki_cur fields;
    ilki_base_cur_init(&fields, extra, n_extra);
    if (!read_extra(fields, &local))
        return bad_member(a, m, err, "expected whole extra fields in its local header, found others");
    if (!(flags & DESCRIBED) && (local.crc != m->crc || local.stored != m->stored || local.size != m->size))
        return bad_member(a, m, err, "expected sizes and CRC as in the directory, found others");
    m->data = end - ilki_base_cur_left(&c);
    if (m->stored > ilki_base_cur_left(&c))
        return bad_member(a, m, err, "expected its data before the next member, found an overlap");
    (void)ilki_base_cur_bytes(&c, (size_t)m->stored);
    if (!check_descriptor(c, m))
        return bad_member(a, m, err, "expected the next member behind its data, found other bytes");
    return ILK_OK;
}

static ilk_status check_layout(archive *a, ilk_error *err)
{
    const member **sorted = ilki_base_zalloc((size_t)a->n, sizeof *sorted);
    ilk_status s = sorted ? ILK_OK : ilki_base_fail_memory(err, (size_t)a->n * sizeof *sorted, "members");
    if (s != ILK_OK)
        return s;
    for (size_t i = 0; i < a->n; i++)
        sorted[i] = &a->members[i];
    qsort(sorted, (size_t)a->n, sizeof *sorted, by_header);
    if (a->n == 0 || sorted[0]->header != 0)
        s = bad(a, err, "expected a first member at byte 0, found none");
    for (size_t i = 0; s == ILK_OK && i < a->n; i++) {
        member *m = &a->members[sorted[i] - a->members];
        uint64_t end = i + 1 < a->n ? sorted[i + 1]->header : a->directory;
        if (end > a->directory || end < m->header)
            s = bad_member(a, i + 1 < a->n ? sorted[i + 1] : m, err,
                           "expected it before the directory, found it behind");
        else
            s = check_member(a, m, end, err);
    }
    free(sorted);
    return s;
}

/* prefix + name (+ rest); NULL where there is none. */
static const member *find(const archive *a, const char *name, const char *rest, size_t n_rest)
{
    char text[512];
    size_t n = strlen(name);
    if (a->n_prefix + n + n_rest > sizeof text)
        return NULL;
    memcpy(text, a->prefix, a->n_prefix);
    memcpy(text + a->n_prefix, name, n);
    if (n_rest)
        memcpy(text + a->n_prefix + n, rest, n_rest);
    uint32_t i = ilki_base_map_get(&a->by_name, text, a->n_prefix + n + n_rest);
    return i == ILKI_MAP_NONE ? NULL : &a->members[i];
}

static ilk_status check_stored(const archive *a, const member *m, ilk_error *err)
{
    if (m->method != 0 || m->flags & ENCRYPTED)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: zip: member %.*s: expected it stored, found it %s (method %u); torch.save writes "
                              "members as they are",
                              a->path, (int)m->n_name, m->name, m->flags & ENCRYPTED ? "encrypted" : "compressed",
                              m->method);
    return m->size == m->stored ? ILK_OK : bad_member(a, m, err, "expected one size of a stored member, found two");
}

/* NAME is what stands before /data.pkl, without a slash. */
static ilk_status find_pickle(archive *a, const member **pickle, ilk_error *err)
{
    static const char tail[] = "/data.pkl";
    const size_t n_tail = sizeof tail - 1;
    *pickle = NULL;
    for (size_t i = 0; i < a->n && !*pickle; i++) {
        const member *m = &a->members[i];
        if (m->n_name > n_tail && memcmp(m->name + m->n_name - n_tail, tail, n_tail) == 0 &&
            !memchr(m->name, '/', m->n_name - n_tail)) {
            a->prefix = m->name;
            a->n_prefix = m->n_name - n_tail + 1;
            *pickle = m;
        }
    }
    if (!*pickle)
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: zip: expected a member NAME/data.pkl, found none (not written by torch.save?)",
                              a->path);
    if (find(a, "constants.pkl", NULL, 0))
        return ilki_base_fail(err, ILK_UNSUPPORTED,
                              "%s: expected the tensors of torch.save, found a TorchScript program", a->path);
    const member *order = find(a, "byteorder", NULL, 0);
    ilk_status s = order ? check_stored(a, order, err) : ILK_OK;
    if (s == ILK_OK && order && (order->size != 6 || memcmp(a->bytes + order->data, "little", 6) != 0))
        s = ilki_base_fail(err, ILK_UNSUPPORTED, "%s: zip: expected byteorder little, found %.*s", a->path,
                           order->size < 16 ? (int)order->size : 16, (const char *)a->bytes + order->data);
    return s;
}

/* ------------------------------------------------------------------ tensors */

static ilk_status keep(archive *a, const ilki_tensor *t, const char *name, size_t n_name, ilk_error *err)
{
    if (a->n_tensors == a->cap_tensors) {
        size_t cap = a->cap_tensors ? 2 * a->cap_tensors : 64; /* pickle.c has a limit */
        ilki_tensor *p = realloc(a->tensors, cap * sizeof *p);
        if (!p)
            return ilki_base_fail_memory(err, cap * sizeof *p, "tensors");
        a->tensors = p;
        a->cap_tensors = cap;
    }
    char *copy = ilki_base_arena_strndup(&a->names, name, n_name);
    if (!copy)
        return ilki_base_fail_memory(err, n_name, "a tensor's name");
    a->tensors[a->n_tensors] = *t;
    a->tensors[a->n_tensors++].name = copy;
    return ILK_OK;
}

static ilk_status add_tensor(void *user, const char *name, size_t n_name, const ilki_pickle_tensor *p, ilk_error *err)
{
    archive *a = user;
    const member *m = find(a, "data/", p->key, p->n_key);
    if (!m)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: tensor %.*s: expected a storage data/%.*s, found no such member", a->path,
                              (int)n_name, name, p->n_key < 64 ? (int)p->n_key : 64, p->key);
    ilk_status s = check_stored(a, m, err);
    if (s != ILK_OK)
        return s;
    if (m->size != p->storage_bytes)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: tensor %.*s: expected a storage of %" PRIu64 " bytes, found %" PRIu64 " in %.*s",
                              a->path, (int)n_name, name, p->storage_bytes, m->size, (int)m->n_name, m->name);
    ilki_tensor t = {.dtype = p->dtype, .rank = p->rank};
    size_t n = 0, n_bytes = 0, begin = 0, width = ilki_tensor_dtype_bits(p->dtype) / 8;
    memcpy(t.shape, p->shape, sizeof t.shape);
    if (!ilki_tensor_count(&t, &n) || !ilki_base_mul(n, width, &n_bytes) ||
        !ilki_base_mul((size_t)p->offset, width, &begin) || begin > m->size || n_bytes > m->size - begin) {
        char shape[ILKI_SHAPE_TEXT];
        ilki_tensor_print_shape(&t, shape, sizeof shape);
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "%s: tensor %.*s: expected it within its storage's %" PRIu64
                              " bytes, found shape %s of %s from element %" PRIu64,
                              a->path, (int)n_name, name, m->size, shape, ilki_tensor_dtype_name(p->dtype), p->offset);
    }
    t.data = a->bytes + m->data + begin;
    t.n_bytes = n_bytes;
    return keep(a, &t, name, n_name, err);
}

static int by_place(const void *x, const void *y)
{
    const ilki_tensor *a = x, *b = y;
    if (a->data != b->data)
        return a->data < b->data ? -1 : 1;
    if (a->n_bytes != b->n_bytes)
        return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name); /* tied weights: an order that does not depend on qsort */
}

static ilk_status read_archive(archive *a, ilk_error *err)
{
    const member *pickle = NULL;
    ilk_status s = read_end(a, err);
    if (s == ILK_OK)
        s = read_directory(a, err);
    if (s == ILK_OK)
        s = check_layout(a, err);
    if (s == ILK_OK)
        s = find_pickle(a, &pickle, err);
    if (s == ILK_OK)
        s = check_stored(a, pickle, err);
    if (s != ILK_OK)
        return s;
    if (pickle->size > MAX_PICKLE)
        return ilki_base_fail(err, ILK_LIMIT, "%s: expected a pickle of at most %d bytes, found %" PRIu64, a->path,
                              MAX_PICKLE, pickle->size);
    const unsigned char *text = a->bytes + pickle->data;
    uint32_t crc = (uint32_t)crc32(0, text, (uInt)pickle->size);
    if (pickle->crc && crc != pickle->crc)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: zip: member %.*s: expected a CRC-32 of %08x, found %08x",
                              a->path, (int)pickle->n_name, pickle->name, pickle->crc, crc);
    s = ilki_format_read_pickle(text, (size_t)pickle->size, a->path, add_tensor, a, err);
    if (s == ILK_OK)
        s = ilki_format_reserve(a->w, a->n_tensors, err);
    if (s == ILK_OK && a->n_tensors)
        qsort(a->tensors, a->n_tensors, sizeof *a->tensors, by_place);
    for (size_t i = 0; s == ILK_OK && i < a->n_tensors; i++)
        s = ilki_format_add(a->w, &a->tensors[i], strlen(a->tensors[i].name), err);
    return s;
}

static ilk_status read_file(ilki_weights *w, ilk_error *err)
{
    const ilki_format_file *f = &w->files[w->n_files - 1];
    archive a = {.w = w, .path = f->path, .bytes = f->bytes.data, .size = f->bytes.size};
    if (a.size < 4 || memcmp(a.bytes, "PK\3\4", 4) != 0)
        return ilki_base_fail(err, a.size && a.bytes[0] == 0x80 ? ILK_UNSUPPORTED : ILK_BAD_FORMAT,
                              "%s: expected a zip archive of torch.save, found %s", f->path,
                              a.size && a.bytes[0] == 0x80
                                  ? "a bare pickle, as before torch 1.6: save it again or convert it to safetensors"
                                  : "other bytes");
    ilk_status s = read_archive(&a, err);
    free(a.members);
    free(a.tensors);
    ilki_base_map_deinit(&a.by_name);
    ilki_base_arena_deinit(&a.names);
    return s;
}

const ilki_format ilki_format_torchzip = {"torch zip", probe, read_file};
