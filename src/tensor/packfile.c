/* SPDX-License-Identifier: Apache-2.0
 * Packed weights on disk. Little-endian:
 *
 *     0  8  "ilkpack" 0x0a
 *     8  4  format, 2
 *    12  4  number of packs, n
 *    16  8  size of the file
 *    24 32  key: what the packs are of, and for which kernels
 *    56  4  CRC-32C of the table
 *    60  4  CRC-32C of bytes 0 to 59
 *    64 80n the table, one row a pack:
 *            0 4 kind    4 4 form    8 8 n_out    16 8 n_in    24 8 where its bytes begin, a multiple of 64;
 *              0 where it has none
 *           32 8 n_bytes 40 4 CRC-32C of the bytes 44 4 number of exact channels  48 32 these, ascending, the rest 0
 *         the packs in the order of the table, the first at a multiple of 4096, zeros between them
 *
 * The bytes of a pack are what kern packs: numbers, whose values no kernel takes for an address or a count, so a file of
 * false numbers gives false vectors and no more. What is an index (the exact channels) is checked here, and that sizes are
 * what the model needs where they are used. Sums are of damage, not of malice: who may write the file may write the model.
 *
 * Head and table are checked at open, the bytes of a pack (packs_check) by the thread that takes it: reading them also
 * maps their pages, which the first pass would otherwise do. Files are never changed once they have their name. */
#include "tensor/packfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cpu.h"
#include "base/hash.h"

#define FORMAT    2
#define HEAD      ((size_t)64)
#define ROW       ((size_t)80)
#define FIRST     ((uint64_t)4096)
#define MAX_PACKS ((size_t)1 << 20)
#define N_MAGIC   8
#define GROUP_W   022u              /* a w for the group or for others */
#define STEP      ((size_t)8 << 20) /* of writing and of checking */

static const char magic[N_MAGIC + 1] = "ilkpack\n";

struct ilki_packs {
    ilki_pack *list;
    size_t n, cap, next;
    ilki_mapped file; /* data NULL: new */
    bool borrowed;    /* data is the caller's */
    int64_t mtime_ns;
    char *name;
};

/* ------------------------------------------------------------------ collecting */

ilki_packs *ilki_tensor_packs_new(void)
{
    return ilki_base_zalloc(1, sizeof(ilki_packs));
}

static ilk_status add(ilki_packs *p, const ilki_pack *pack, ilk_error *err)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        ilki_pack *list = cap <= MAX_PACKS ? realloc(p->list, cap * sizeof *list) : NULL;
        if (!list)
            return ilki_base_fail_memory(err, cap * sizeof *list, "packed weights");
        p->list = list;
        p->cap = cap;
    }
    p->list[p->n++] = *pack;
    return ILK_OK;
}

ilk_status ilki_tensor_packs_add(ilki_packs *p, const ilki_pack *pack, ilk_error *err)
{
    return add(p, pack, err);
}

void ilki_tensor_packs_close(ilki_packs *p)
{
    if (!p)
        return;
    if (p->file.data && !p->borrowed)
        ilki_base_unmap_file(&p->file);
    free(p->list);
    free(p->name);
    free(p);
}

bool ilki_tensor_packs_mapped(const ilki_packs *p)
{
    return p && p->file.data != NULL;
}

size_t ilki_tensor_packs_count(const ilki_packs *p)
{
    return p->n;
}

const ilki_pack *ilki_tensor_packs_view(const ilki_packs *p, size_t i)
{
    return i < p->n ? &p->list[i] : NULL;
}

int64_t ilki_tensor_packs_mtime_ns(const ilki_packs *p)
{
    return p->mtime_ns;
}

static uint64_t align(uint64_t at, uint64_t to)
{
    return (at + to - 1) / to * to;
}

/* Where the bytes of a pack begin, at the next place behind `at`; one without any takes no room. */
static uint64_t place(const ilki_pack *pack, uint64_t at)
{
    return pack->n_bytes ? align(at, ILKI_ALIGN) : at;
}

uint64_t ilki_tensor_packs_bytes(const ilki_packs *p)
{
    uint64_t at = align(HEAD + p->n * ROW, FIRST);
    for (size_t i = 0; i < p->n; i++)
        at = place(&p->list[i], at) + p->list[i].n_bytes;
    return at;
}

/* ------------------------------------------------------------------ writing */

static void put_row(ilki_buf *b, const ilki_pack *pack, uint64_t at)
{
    const ilki_i8_channels *c = pack->linear && pack->linear->i8 ? &pack->linear->i8->channels : NULL;
    size_t n_exact = c ? c->n_exact : pack->n_exact;
    ilki_base_buf_put_u32(b, (uint32_t)pack->kind);
    ilki_base_buf_put_u32(b, (uint32_t)pack->form);
    ilki_base_buf_put_u64(b, pack->n_out);
    ilki_base_buf_put_u64(b, pack->n_in);
    ilki_base_buf_put_u64(b, at);
    ilki_base_buf_put_u64(b, pack->n_bytes);
    ilki_base_buf_put_u32(b, ilki_base_crc32c(0, pack->data, (size_t)pack->n_bytes));
    ilki_base_buf_put_u32(b, (uint32_t)n_exact);
    for (size_t i = 0; i < ILKI_I8_EXACT; i++)
        ilki_base_buf_put_u32(b, i >= n_exact ? 0 : c ? c->exact[i] : pack->exact[i]);
}

/* Head and table, padded to where the first pack begins. */
static ilk_status make_front(const ilki_packs *p, const uint8_t key[ILKI_PACK_KEY], ilki_buf *front, ilk_error *err)
{
    static const char zeros[64];
    ilki_buf table;
    uint64_t at = align(HEAD + p->n * ROW, FIRST);
    ilki_base_buf_init(&table, MAX_PACKS * ROW);
    for (size_t i = 0; i < p->n; i++) {
        at = place(&p->list[i], at);
        put_row(&table, &p->list[i], p->list[i].n_bytes ? at : 0);
        at += p->list[i].n_bytes;
    }
    ilki_base_buf_add(front, magic, N_MAGIC);
    ilki_base_buf_put_u32(front, FORMAT);
    ilki_base_buf_put_u32(front, (uint32_t)p->n);
    ilki_base_buf_put_u64(front, at);
    ilki_base_buf_add(front, key, ILKI_PACK_KEY);
    ilki_base_buf_put_u32(front, ilki_base_crc32c(0, ilki_base_buf_view(&table), table.len));
    ilki_base_buf_put_u32(front, ilki_base_crc32c(0, ilki_base_buf_view(front), front->len));
    ilki_base_buf_add(front, ilki_base_buf_view(&table), table.len);
    ilk_status st = ilki_base_buf_check(&table, "a table of packed weights", err);
    ilki_base_buf_deinit(&table);
    while (!front->failed && front->len % FIRST)
        ilki_base_buf_add(front, zeros,
                          FIRST - front->len % FIRST < sizeof zeros ? FIRST - front->len % FIRST : sizeof zeros);
    return st == ILK_OK ? ilki_base_buf_check(front, "a table of packed weights", err) : st;
}

static ilk_status write_packs(const ilki_packs *p, ilki_file *f, const ilki_buf *front, ilk_error *err)
{
    uint64_t at = front->len;
    ilk_status st = f->vfs->write(f, 0, front->data, front->len, err);
    for (size_t i = 0; i < p->n && st == ILK_OK; i++) {
        const unsigned char *data = p->list[i].data;
        uint64_t n = p->list[i].n_bytes;
        at = place(&p->list[i], at);
        for (uint64_t done = 0; done < n && st == ILK_OK; done += STEP)
            st = f->vfs->write(f, at + done, data + done, n - done < STEP ? (size_t)(n - done) : STEP, err);
        at += n;
    }
    return st == ILK_OK ? f->vfs->sync(f, err) : st;
}

ilk_status ilki_tensor_packs_write(const ilki_packs *p, const ilki_vfs *vfs, const char *path,
                                   const uint8_t key[ILKI_PACK_KEY], ilk_error *err)
{
    size_t room = strlen(path) + 48;
    char *temp = ilki_base_zalloc(room, 1), *dir = ilki_base_path_dir(path);
    ilki_file *f = NULL;
    ilki_buf front;
    ilki_base_buf_init(&front, HEAD + MAX_PACKS * ROW + FIRST);
    ilk_status st = temp && dir ? make_front(p, key, &front, err) : ilki_base_fail_memory(err, room, "a path");
    if (st != ILK_OK)
        goto end;
    /* process and time make the name new; an EXCLUSIVE open makes sure of it */
    snprintf(temp, room, "%s.tmp-%x-%" PRIx64, path, (unsigned)getpid(), ilki_base_now_ns());
    st = vfs->open(vfs, &f, temp, ILKI_OPEN_WRITE | ILKI_OPEN_CREATE | ILKI_OPEN_EXCLUSIVE, err);
    if (st != ILK_OK)
        goto end;
    st = write_packs(p, f, &front, err);
    vfs->close(f);
    if (st == ILK_OK)
        st = vfs->rename(vfs, temp, path, err);
    if (st != ILK_OK)
        vfs->unlink(vfs, temp, NULL);
    else
        st = vfs->sync_dir(vfs, dir, err);
end:
    ilki_base_buf_deinit(&front);
    free(temp);
    free(dir);
    return st;
}

/* ------------------------------------------------------------------ reading */

static ilk_status damaged(const ilki_packs *p, const char *expected, ilk_error *err)
{
    return ilki_base_fail(err, ILK_CORRUPT, "%s: expected %s, found another", p->name, expected);
}

/* One row; *end is where the one before ended. */
static ilk_status take_row(ilki_packs *p, ilki_cur *c, uint64_t *end, ilk_error *err)
{
    ilki_pack pack = {0};
    uint32_t kind = ilki_base_cur_u32(c), form = ilki_base_cur_u32(c);
    pack.n_out = ilki_base_cur_u64(c);
    pack.n_in = ilki_base_cur_u64(c);
    uint64_t at = ilki_base_cur_u64(c);
    pack.n_bytes = ilki_base_cur_u64(c);
    pack.sum = ilki_base_cur_u32(c);
    pack.n_exact = ilki_base_cur_u32(c);
    for (size_t i = 0; i < ILKI_I8_EXACT; i++)
        pack.exact[i] = ilki_base_cur_u32(c);
    if (kind < ILKI_PACK_LINEAR || kind > ILKI_PACK_PLAIN || form > ILKI_FORM_I8W)
        return damaged(p, "a kind and a form that are known", err);
    pack.kind = (ilki_pack_kind)kind;
    pack.form = (ilki_form)form;
    bool bare = pack.n_bytes == 0;
    if (bare ? at != 0 : at % ILKI_ALIGN || at < *end || at > p->file.size || pack.n_bytes > p->file.size - at)
        return damaged(p, "packs one behind the other inside the file", err);
    bool exact = kind == ILKI_PACK_LINEAR && form >= ILKI_FORM_I8;
    if (pack.n_exact != 0 && !(exact && (pack.n_exact == 4 || pack.n_exact == ILKI_I8_EXACT)))
        return damaged(p, "0, 4 or 8 exact channels", err);
    for (size_t i = 0; i < pack.n_exact; i++)
        if (pack.exact[i] >= pack.n_in || (i && pack.exact[i] <= pack.exact[i - 1]))
            return damaged(p, "exact channels in ascending order", err);
    if (!bare)
        *end = at + pack.n_bytes;
    pack.data = p->file.data + at;
    return add(p, &pack, err);
}

static ilk_status parse(ilki_packs *p, const uint8_t key[ILKI_PACK_KEY], ilk_error *err)
{
    ilki_cur c;
    const unsigned char *data = p->file.data;
    size_t size = p->file.size;
    ilki_base_cur_init(&c, data, size);
    const unsigned char *word = ilki_base_cur_bytes(&c, N_MAGIC);
    if (size < HEAD || !word || memcmp(word, magic, N_MAGIC) != 0)
        return damaged(p, "packed weights", err);
    uint32_t format = ilki_base_cur_u32(&c), n = ilki_base_cur_u32(&c);
    uint64_t n_bytes = ilki_base_cur_u64(&c);
    const unsigned char *found = ilki_base_cur_bytes(&c, ILKI_PACK_KEY);
    uint32_t table_sum = ilki_base_cur_u32(&c), head_sum = ilki_base_cur_u32(&c);
    if (head_sum != ilki_base_crc32c(0, data, HEAD - 4))
        return damaged(p, "the sum of its head", err);
    if (format != FORMAT || memcmp(found, key, ILKI_PACK_KEY) != 0)
        return ilki_base_fail(err, ILK_MISMATCH, "%s: expected format %d and the model's key, found %s", p->name,
                              FORMAT, format != FORMAT ? "another format" : "another key");
    if (n_bytes != size || n > MAX_PACKS || n * ROW > size - HEAD)
        return damaged(p, "its own size", err);
    if (table_sum != ilki_base_crc32c(0, data + HEAD, n * ROW))
        return damaged(p, "the sum of its table", err);
    uint64_t end = HEAD + n * ROW;
    ilk_status st = ILK_OK;
    for (uint32_t i = 0; i < n && st == ILK_OK; i++)
        st = take_row(p, &c, &end, err);
    return st;
}

/* Nobody else may have written it. */
static ilk_status check_owner(const ilki_packs *p, ilki_file *f, int64_t *mtime_ns, ilk_error *err)
{
    ilki_stat info;
    ilk_status st = f->vfs->fstat(f, &info, err);
    if (st != ILK_OK)
        return st;
    *mtime_ns = info.mtime_ns;
    if (info.type == ILKI_FILE_REGULAR && info.uid == (uint32_t)geteuid() && !(info.mode & GROUP_W))
        return ILK_OK;
    return ilki_base_fail(err, ILK_UNSUPPORTED,
                          "%s: expected a file of user %u that no other may write, found user %u and mode %o", p->name,
                          (unsigned)geteuid(), info.uid, info.mode & 0777u);
}

/* The file that is mapped is the one that was looked at: no second look by name. */
static ilk_status map(ilki_packs *p, const ilki_vfs *vfs, const char *path, ilk_error *err)
{
    ilki_file *f = NULL;
    const void *data = NULL;
    uint64_t size = 0;
    ilk_status st = vfs->open(vfs, &f, path, ILKI_OPEN_READ | ILKI_OPEN_NOFOLLOW, err);
    if (st != ILK_OK)
        return st;
    st = check_owner(p, f, &p->mtime_ns, err);
    if (st == ILK_OK)
        st = vfs->size(f, &size, err);
    if (st == ILK_OK && (size < HEAD || size > SIZE_MAX / 4))
        st = damaged(p, "packed weights", err);
    if (st == ILK_OK)
        st = vfs->map(f, 0, (size_t)size, &data, err);
    if (st != ILK_OK) {
        vfs->close(f);
        return st;
    }
    p->file = (ilki_mapped){data, (size_t)size, f};
    return ILK_OK;
}

static ilk_status open_packs(ilki_packs **out, const ilki_vfs *vfs, const char *path, const ilki_mapped *bytes,
                             const uint8_t key[ILKI_PACK_KEY], ilk_error *err)
{
    ilki_packs *p = ilki_tensor_packs_new();
    ilk_status st = ILK_OK;
    *out = NULL;
    if (!p || !(p->name = ilki_base_strndup(path, strlen(path))))
        st = ilki_base_fail_memory(err, sizeof *p, "packed weights");
    if (st == ILK_OK && bytes) {
        p->file = *bytes;
        p->borrowed = true;
    } else if (st == ILK_OK) {
        st = map(p, vfs, path, err);
    }
    if (st == ILK_OK)
        st = parse(p, key, err);
    if (st != ILK_OK) {
        ilki_tensor_packs_close(p);
        return st;
    }
    *out = p;
    return ILK_OK;
}

ilk_status ilki_tensor_packs_open(ilki_packs **out, const ilki_vfs *vfs, const char *path,
                                  const uint8_t key[ILKI_PACK_KEY], ilk_error *err)
{
    return open_packs(out, vfs, path, NULL, key, err);
}

ilk_status ilki_tensor_packs_parse(ilki_packs **out, const void *data, size_t n, const char *name,
                                   const uint8_t key[ILKI_PACK_KEY], ilk_error *err)
{
    return open_packs(out, NULL, name, &(ilki_mapped){data, n, NULL}, key, err);
}

ilki_pack_kind ilki_tensor_packs_peek(const ilki_packs *p)
{
    const ilki_pack *pack = ilki_tensor_packs_view(p, p->next);
    return pack ? pack->kind : (ilki_pack_kind)0;
}

ilk_status ilki_tensor_packs_next(ilki_packs *p, const ilki_pack *expected, const ilki_pack **out, ilk_error *err)
{
    const ilki_pack *pack = ilki_tensor_packs_view(p, p->next);
    *out = NULL;
    if (!pack || pack->kind != expected->kind || pack->form != expected->form || pack->n_out != expected->n_out ||
        pack->n_in != expected->n_in || pack->n_bytes != expected->n_bytes)
        return ilki_base_fail(err, ILK_CORRUPT,
                              "%s: pack %zu: expected %" PRIu64 " x %" PRIu64 " in %" PRIu64 " bytes, found another",
                              p->name, p->next, expected->n_out, expected->n_in, expected->n_bytes);
    p->next++;
    *out = pack;
    return ILK_OK;
}

ilk_status ilki_tensor_packs_check(const ilki_packs *p, const ilki_pack *pack, ilk_error *err)
{
    const unsigned char *at = pack->data;
    uint32_t sum = 0;
    for (size_t left = (size_t)pack->n_bytes, n; left > 0; left -= n, at += n) {
        n = left < STEP ? left : STEP;
        ilki_base_will_need(&p->file, at, n);
        sum = ilki_base_crc32c(sum, at, n);
        if (pack->kind == ILKI_PACK_CODES) /* of a table, of which few rows will be read */
            ilki_base_done_with(&p->file, at, n);
    }
    if (sum == pack->sum)
        return ILK_OK;
    return ilki_base_fail(err, ILK_CORRUPT, "%s: pack %zu: expected the sum 0x%08x, found 0x%08x", p->name,
                          (size_t)(pack - p->list), pack->sum, sum);
}
