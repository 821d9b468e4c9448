/* SPDX-License-Identifier: Apache-2.0
 * .npy (numpy/lib/format.py): one array, a tensor named "array" here.
 *
 *   "\x93NUMPY" | u8 major, 1 to 3 | u8 minor, 0 | header length, little-endian: u16 of version 1, else u32 | header
 *   header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 384), } in ASCII, spaces, a newline at its end
 *
 * The header is a Python literal: only the one form of it is read that numpy writes, with its keys in any order, once
 * each; nothing is evaluated. Little-endian floats of 2, 4 or 8 bytes in C order are taken, of any rank up to 8; the data
 * must end with the file. Everything else is refused by what it is: an object array is a pickle, and is not looked at. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "format/set.h"

#define MAX_HEADER 65536 /* bytes; numpy writes 118 */

typedef struct literal {
    const char *path, *p, *end;
} literal;

static bool probe(const unsigned char *head, size_t n, const char *path)
{
    (void)path;
    return n >= 6 && memcmp(head, "\x93NUMPY", 6) == 0;
}

static ilk_status bad(const literal *l, const char *expected, ilk_error *err)
{
    size_t left = (size_t)(l->end - l->p), n = left < 24 ? left : 24;
    return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: header: expected %s, found \"%.*s\"", l->path, expected, (int)n,
                          l->p);
}

static void skip_space(literal *l)
{
    while (l->p < l->end && (*l->p == ' ' || *l->p == '\t' || *l->p == '\n' || *l->p == '\r'))
        l->p++;
}

static bool take(literal *l, char c)
{
    skip_space(l);
    if (l->p == l->end || *l->p != c)
        return false;
    l->p++;
    return true;
}

static bool take_word(literal *l, const char *word)
{
    size_t n = strlen(word);
    skip_space(l);
    if ((size_t)(l->end - l->p) < n || memcmp(l->p, word, n) != 0)
        return false;
    l->p += n;
    return true;
}

/* A quoted string without escapes into `to`. */
static bool take_string(literal *l, char *to, size_t room)
{
    skip_space(l);
    if (l->p == l->end || (*l->p != '\'' && *l->p != '"'))
        return false;
    const char *begin = l->p + 1, *end = memchr(begin, *l->p, (size_t)(l->end - begin));
    if (!end || (size_t)(end - begin) >= room || memchr(begin, '\\', (size_t)(end - begin)))
        return false;
    memcpy(to, begin, (size_t)(end - begin));
    to[end - begin] = 0;
    l->p = end + 1;
    return true;
}

static ilk_status read_dtype(literal *l, ilki_tensor *t, ilk_error *err)
{
    static const struct {
        const char *descr;
        ilki_dtype dtype;
    } known[] = {{"<f4", ILKI_DTYPE_F32}, {"<f2", ILKI_DTYPE_F16}, {"<f8", ILKI_DTYPE_F64}};
    char descr[32];
    skip_space(l);
    if (l->p < l->end && *l->p == '[')
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected an array of floats, found one of records", l->path);
    if (!take_string(l, descr, sizeof descr))
        return bad(l, "a type as '<f4'", err);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(descr, known[i].descr) == 0) {
            t->dtype = known[i].dtype;
            return ILK_OK;
        }
    return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected elements of type <f4, <f2 or <f8, found %s", l->path,
                          descr);
}

static ilk_status read_order(literal *l, ilk_error *err)
{
    if (take_word(l, "False"))
        return ILK_OK;
    if (take_word(l, "True"))
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected C order, found Fortran's (numpy.ascontiguousarray)",
                              l->path);
    return bad(l, "False or True", err);
}

static ilk_status read_shape(literal *l, ilki_tensor *t, ilk_error *err)
{
    if (!take(l, '('))
        return bad(l, "a shape as (3, 384)", err);
    for (t->rank = 0; !take(l, ')');) {
        uint64_t v = 0;
        const char *begin;
        if (t->rank == ILKI_MAX_RANK)
            return ilki_base_fail(err, ILK_LIMIT, "%s: expected at most %d dimensions", l->path, ILKI_MAX_RANK);
        skip_space(l);
        for (begin = l->p; l->p < l->end && *l->p >= '0' && *l->p <= '9' && l->p - begin < 18; l->p++)
            v = v * 10 + (uint64_t)(*l->p - '0');
        if (l->p == begin)
            return bad(l, "a length", err);
        t->shape[t->rank++] = v;
        if (!take(l, ',') && (l->p == l->end || *l->p != ')'))
            return bad(l, "',' or ')'", err);
    }
    return ILK_OK;
}

static ilk_status read_header(literal *l, ilki_tensor *t, ilk_error *err)
{
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    ilk_status st = ILK_OK;
    if (!take(l, '{'))
        return bad(l, "'{'", err);
    while (st == ILK_OK && !take(l, '}')) {
        char key[32];
        unsigned k = 0;
        if (!take_string(l, key, sizeof key))
            return bad(l, "a key", err);
        while (k < 3 && strcmp(key, keys[k]) != 0)
            k++;
        if (k == 3 || seen & 1u << k)
            return ilki_base_fail(err, ILK_BAD_FORMAT,
                                  "%s: header: expected the keys descr, fortran_order and shape once each, found %s",
                                  l->path, key);
        seen |= 1u << k;
        if (!take(l, ':'))
            return bad(l, "':'", err);
        st = k == 0 ? read_dtype(l, t, err) : k == 1 ? read_order(l, err) : read_shape(l, t, err);
        if (st == ILK_OK && !take(l, ',') && (l->p == l->end || *l->p != '}'))
            return bad(l, "',' or '}'", err);
    }
    skip_space(l);
    if (st == ILK_OK && (seen != 7 || l->p != l->end))
        return seen != 7 ? ilki_base_fail(err, ILK_BAD_FORMAT,
                                          "%s: header: expected the keys descr, fortran_order and shape", l->path)
                         : bad(l, "nothing behind it", err);
    return st;
}

static ilk_status read_file(ilki_weights *w, ilk_error *err)
{
    const ilki_format_file *f = &w->files[w->n_files - 1];
    ilki_tensor t = {.name = "array"};
    ilki_cur cur;
    size_t n = 0, n_bytes = 0;
    char shape[ILKI_SHAPE_TEXT];
    ilki_base_cur_init(&cur, f->bytes.data, f->bytes.size);
    const unsigned char *magic = ilki_base_cur_bytes(&cur, 6);
    unsigned major = ilki_base_cur_u8(&cur), minor = ilki_base_cur_u8(&cur);
    if (cur.bad || memcmp(magic, "\x93NUMPY", 6) != 0)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected \\x93NUMPY and a version, found a file of %zu bytes",
                              f->path, f->bytes.size);
    if (major < 1 || major > 3 || minor != 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "%s: expected version 1.0, 2.0 or 3.0, found %u.%u", f->path, major,
                              minor);
    size_t length = major == 1 ? ilki_base_cur_u16(&cur) : ilki_base_cur_u32(&cur);
    if (!cur.bad && length > MAX_HEADER)
        return ilki_base_fail(err, ILK_LIMIT, "%s: expected a header of at most %d bytes, found %zu", f->path,
                              MAX_HEADER, length);
    const char *text = (const char *)ilki_base_cur_bytes(&cur, length);
    if (cur.bad)
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a header of %zu bytes, found %zu (a file cut short?)",
                              f->path, length, ilki_base_cur_left(&cur));
    literal l = {f->path, text, text + length};
    ilk_status st = read_header(&l, &t, err);
    if (st != ILK_OK)
        return st;
    ilki_tensor_print_shape(&t, shape, sizeof shape);
    if (!ilki_tensor_count(&t, &n) || !ilki_base_mul(n, ilki_tensor_dtype_bits(t.dtype) / 8, &n_bytes))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected a size below 2^64 bytes, found shape %s", f->path,
                              shape);
    if (n_bytes != ilki_base_cur_left(&cur))
        return ilki_base_fail(err, ILK_BAD_FORMAT, "%s: expected %zu bytes for shape %s of %s, found %zu%s", f->path,
                              n_bytes, shape, ilki_tensor_dtype_name(t.dtype), ilki_base_cur_left(&cur),
                              n_bytes > ilki_base_cur_left(&cur) ? " (a file cut short?)" : "");
    t.data = cur.p;
    t.n_bytes = n_bytes;
    return ilki_format_add(w, &t, strlen(t.name), err);
}

const ilki_format ilki_format_npy = {"npy", probe, read_file};
