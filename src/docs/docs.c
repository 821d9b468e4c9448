/* SPDX-License-Identifier: Apache-2.0
 * From the bytes of a file to a document: unpack gzip, refuse what is no text, decode to UTF-8 with '\n' line ends, then
 * hand it to the first kind whose probe says yes; plain text is what is left.
 *
 * Refusals are told by what the file is, not by what failed: a magic number or an extension of a format that ilk does
 * not read names that format. Anything with a NUL byte or many control characters is binary. */
#include "docs/docs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/runtime.h"
#include "base/utf8.h"
#include "docs/kinds.h"

#define HEAD_BYTES   4096
#define PIECE_BYTES  ((size_t)1 << 20) /* between two looks at the job */
#define MAX_SEGMENTS ((size_t)1 << 20)

static const ilki_doc_kind *const kinds[] = {&ilki_docs_markdown, &ilki_docs_rst,   &ilki_docs_man,
                                             &ilki_docs_jsonl,    &ilki_docs_table, &ilki_docs_source};

/* ------------------------------------------------------------------ what is not read */

typedef struct magic {
    const char *bytes;
    uint8_t n, at;
    const char *what;
} magic;

static const magic magics[] = {
    {"%PDF-", 5, 0, "a PDF document"},
    {"\x89PNG\r\n", 6, 0, "a PNG picture"},
    {"\xff\xd8\xff", 3, 0, "a JPEG picture"},
    {"GIF8", 4, 0, "a GIF picture"},
    {"WEBP", 4, 8, "a WebP picture"},
    {"WAVE", 4, 8, "a WAVE sound"},
    {"ftyp", 4, 4, "an MP4 or HEIF file"},
    {"OggS", 4, 0, "an Ogg file"},
    {"fLaC", 4, 0, "a FLAC sound"},
    {"ID3", 3, 0, "an MP3 sound"},
    {"PK\003\004", 4, 0, "a ZIP archive or office document"},
    {"\x7f"
     "ELF",
     4, 0, "a program or library"},
    {"MZ", 2, 0, "a program or library"},
    {"!<arch>\n", 8, 0, "an archive"},
    {"\xfd"
     "7zXZ",
     5, 0, "an xz archive"},
    {"BZh", 3, 0, "a bzip2 archive"},
    {"\x28\xb5\x2f\xfd", 4, 0, "a zstd archive"},
    {"SQLite format 3", 15, 0, "an SQLite database"},
    {"\xd0\xcf\x11\xe0", 4, 0, "an old office document"},
    {"{\\rtf", 5, 0, "an RTF document"},
    {"%!PS", 4, 0, "a PostScript document"},
};

/* Text formats whose markup or data would be indexed as if it were prose. */
static const struct {
    const char *suffix, *what;
} refused[] = {
    {".svg", "an SVG picture"},
    {".xml", "an XML file"},
    {".json", "a JSON file"},
    {".ipynb", "a notebook"},
    {".po", "a message catalogue"},
    {".pot", "a message catalogue"},
    {".lock", "a lock file"},
    {".map", "a source map"},
    {".min.js", "minified code"},
    {".min.css", "minified code"},
    {".pem", "a key or certificate"},
    {".key", "a key or certificate"},
    {".crt", "a key or certificate"},
    {".patch", "a patch"},
    {".diff", "a patch"},
};

static ilk_status refuse(const char *what, ilk_error *err)
{
    return ilki_base_fail(err, ILK_UNSUPPORTED, "not text that is read: it seems to be %s", what);
}

static ilk_status check_magic(const unsigned char *p, size_t n, ilk_error *err)
{
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const magic *m = &magics[i];
        if (n >= (size_t)m->at + m->n && memcmp(p + m->at, m->bytes, m->n) == 0)
            return refuse(m->what, err);
    }
    return ILK_OK;
}

static bool is_utf16(const unsigned char *p, size_t n)
{
    return n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff));
}

ilk_status ilki_docs_go_on(const ilki_doc *doc, ilk_error *err)
{
    return doc->job ? ilki_base_job_check(doc->job, err) : ILK_OK;
}

/* A NUL, or more than one control character in 32, in what is not UTF-16. */
static ilk_status check_text(const ilk_job *job, const unsigned char *p, size_t n, ilk_error *err)
{
    size_t control = 0;
    if (is_utf16(p, n))
        return ILK_OK;
    for (size_t i = 0; i < n; i++) {
        ilk_status st = i % PIECE_BYTES ? ILK_OK : ilki_base_job_check(job, err);
        if (st)
            return st;
        if (p[i] == 0)
            return refuse("a binary file", err);
        control += p[i] < 32 && p[i] != '\n' && p[i] != '\r' && p[i] != '\t' && p[i] != '\f' && p[i] != '\b' &&
                   p[i] != 27;
    }
    return control > n / 32 ? refuse("a binary file", err) : ILK_OK;
}

bool ilki_docs_has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcasecmp(name + n - m, suffix) == 0;
}

static ilk_status check_name(const char *name, ilk_error *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (ilki_docs_has_suffix(name, refused[i].suffix))
            return refuse(refused[i].what, err);
    return ILK_OK;
}

/* ------------------------------------------------------------------ bytes to UTF-8 */

/* 0x80-0x9f of Windows-1252; 0: undefined, taken as U+FFFD */
static const uint16_t windows_1252[32] = {
    0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017d, 0,      0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178,
};

static void put_char(ilki_buf *b, uint32_t cp)
{
    char u[4];
    ilki_base_buf_add(b, u, ilki_base_utf8_put(cp, u));
}

static ilk_status decode_utf16(const ilki_doc *doc, ilki_buf *b, const unsigned char *p, size_t n, ilk_error *err)
{
    bool big = p[0] == 0xfe;
    ilk_status st = ILK_OK;
    for (size_t i = 2; !st && i + 1 < n; i += 2) {
        uint32_t u = big ? (uint32_t)p[i] << 8 | p[i + 1] : (uint32_t)p[i + 1] << 8 | p[i];
        if (u >= 0xd800 && u < 0xdc00 && i + 3 < n) {
            uint32_t low = big ? (uint32_t)p[i + 2] << 8 | p[i + 3] : (uint32_t)p[i + 3] << 8 | p[i + 2];
            if (low >= 0xdc00 && low < 0xe000) {
                u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        put_char(b, u ? u : 0xfffd);
        if (u == '\n')
            st = ilki_docs_go_on(doc, err);
    }
    return st;
}

static ilk_status decode_1252(const ilki_doc *doc, ilki_buf *b, const unsigned char *p, size_t n, ilk_error *err)
{
    ilk_status st = ILK_OK;
    for (size_t i = 0; !st && i < n; i++) {
        uint32_t cp = p[i];
        if (cp >= 0x80 && cp < 0xa0)
            cp = windows_1252[cp - 0x80] ? windows_1252[cp - 0x80] : 0xfffd;
        put_char(b, cp);
        if (i % PIECE_BYTES == 0)
            st = ilki_docs_go_on(doc, err);
    }
    return st;
}

/* In pieces that end between characters; *valid: all of it is UTF-8, and has been added. */
static ilk_status add_utf8(const ilki_doc *doc, ilki_buf *b, const char *s, size_t n, bool *valid, ilk_error *err)
{
    ilk_status st = ILK_OK;
    *valid = true;
    for (size_t at = 0, len; !st && *valid && at < n; at += len) {
        len = n - at > PIECE_BYTES ? ilki_base_utf8_floor(s + at, PIECE_BYTES) : n - at;
        *valid = len && ilki_base_utf8_valid(s + at, len);
        if (*valid)
            ilki_base_buf_add(b, s + at, len);
        st = ilki_docs_go_on(doc, err);
    }
    return st;
}

/* CR LF and CR to LF, in place */
static ilk_status unify_lines(const ilki_doc *doc, ilki_buf *b, ilk_error *err)
{
    ilk_status st = ILK_OK;
    const char *first = b->len ? memchr(b->data, '\r', b->len) : NULL;
    size_t to = first ? (size_t)(first - b->data) : b->len;
    for (size_t i = to; !st && i < b->len; i++) {
        char c = b->data[i];
        if (i % PIECE_BYTES == 0)
            st = ilki_docs_go_on(doc, err);
        if (c == '\r') {
            if (i + 1 < b->len && b->data[i + 1] == '\n')
                continue;
            c = '\n';
        }
        b->data[to++] = c;
    }
    ilki_base_buf_truncate(b, to);
    return st;
}

static ilk_status decode(ilki_doc *doc, const unsigned char *p, size_t n, size_t max, ilk_error *err)
{
    ilki_buf b;
    bool valid = false;
    ilk_status st = ILK_OK;
    /* a byte of Windows-1252 grows to at most three */
    ilki_base_buf_init(&b, max * 3 + 16);
    if (is_utf16(p, n)) {
        st = decode_utf16(doc, &b, p, n, err);
    } else {
        size_t bom = n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        ilki_base_buf_reserve(&b, n + 1);
        st = add_utf8(doc, &b, (const char *)p + bom, n - bom, &valid, err);
        if (!st && !valid) {
            ilki_base_buf_truncate(&b, 0);
            st = decode_1252(doc, &b, p, n, err);
        }
    }
    ilki_base_buf_addc(&b, '\n');
    if (!st)
        st = ilki_base_buf_check(&b, "the text of a file", err);
    if (!st)
        st = unify_lines(doc, &b, err);
    if (!st)
        doc->text = ilki_base_buf_take(&b, &doc->n_text);
    ilki_base_buf_deinit(&b);
    return st;
}

static bool is_gzip(const unsigned char *p, size_t n)
{
    return n >= 18 && p[0] == 0x1f && p[1] == 0x8b && p[2] == 8;
}

/* Unpacks every member of a gzip stream. */
static ilk_status unpack(const ilk_job *job, const unsigned char *p, size_t n, size_t max, ilki_buf *out,
                         ilk_error *err)
{
    z_stream z = {0};
    unsigned char block[16384];
    int rc = inflateInit2(&z, 15 + 16);
    if (rc != Z_OK)
        return ilki_base_fail_memory(err, sizeof block, "unpacking gzip");
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    ilk_status st = ILK_OK;
    while (st == ILK_OK && (st = ilki_base_job_check(job, err)) == ILK_OK) {
        z.next_out = block;
        z.avail_out = sizeof block;
        rc = inflate(&z, Z_NO_FLUSH);
        size_t got = sizeof block - z.avail_out;
        if (out->len + got > max)
            st = ilki_base_fail(err, ILK_LIMIT, "gzip file unpacks to more than %zu bytes", max);
        else if (!ilki_base_buf_add(out, block, got))
            st = ilki_base_buf_check(out, "an unpacked gzip file", err);
        else if (rc == Z_STREAM_END && z.avail_in >= 18 && is_gzip(z.next_in, z.avail_in))
            rc = inflateReset(&z);
        else if (rc == Z_STREAM_END)
            break;
        else if (rc != Z_OK || (got == 0 && z.avail_in == 0))
            st = ilki_base_fail(err, ILK_BAD_FORMAT, "broken gzip file: %s after %lu bytes",
                                z.msg ? z.msg : "it ends too early", z.total_in);
    }
    inflateEnd(&z);
    return st;
}

/* The beginning of a gzip file, as much as comes out; for probing. */
static size_t unpack_head(const unsigned char *p, size_t n, unsigned char *to, size_t max)
{
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return 0;
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = to;
    z.avail_out = (uInt)max;
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return max - z.avail_out;
}

/* ------------------------------------------------------------------ helpers of the kinds */

bool ilki_docs_blank(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\n\r\f\v", s[i]) || !s[i])
            return false;
    return true;
}

bool ilki_docs_next_line(const char *text, size_t n, size_t *at, size_t *start, size_t *end)
{
    if (*at >= n)
        return false;
    const char *nl = memchr(text + *at, '\n', n - *at);
    *start = *at;
    *end = nl ? (size_t)(nl - text) : n;
    *at = nl ? *end + 1 : n;
    return true;
}

void ilki_docs_heading(ilki_headings *h, unsigned level, const char *title, size_t n)
{
    if (level < 1)
        level = 1;
    if (level > ILKI_DOCS_LEVELS)
        level = ILKI_DOCS_LEVELS;
    if (n > sizeof h->title[0] - 1)
        n = ilki_base_utf8_floor(title, sizeof h->title[0] - 1);
    memcpy(h->title[level - 1], title, n);
    h->title[level - 1][n] = 0;
    for (unsigned i = level; i < ILKI_DOCS_LEVELS; i++)
        h->title[i][0] = 0;
    char *to = h->path;
    for (unsigned i = 0; i < level; i++) {
        size_t len = strlen(h->title[i]);
        if (!len)
            continue;
        if (to != h->path) {
            memcpy(to, " > ", 3);
            to += 3;
        }
        memcpy(to, h->title[i], len);
        to += len;
    }
    *to = 0;
}

static size_t count_newlines(const char *text, size_t from, size_t to)
{
    size_t n = 0;
    for (const char *p = text + from, *end = text + to; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        n++;
    return n;
}

uint32_t ilki_docs_line(ilki_doc *doc, size_t at)
{
    if (at > doc->n_text)
        at = doc->n_text;
    if (at >= doc->asked_at)
        doc->asked_line += count_newlines(doc->text, doc->asked_at, at);
    else
        doc->asked_line -= count_newlines(doc->text, at, doc->asked_at);
    doc->asked_at = at;
    size_t line = doc->asked_line;
    if (doc->no_lines)
        return 0;
    if (!doc->line_of)
        return (uint32_t)line + 1;
    return doc->n_lines ? doc->line_of[line < doc->n_lines ? line : doc->n_lines - 1] : 1;
}

ilk_status ilki_docs_add_segment(ilki_doc *doc, size_t start, size_t end, const char *context, bool code,
                                 ilk_error *err)
{
    size_t from = start;
    /* whole blank lines go, the indentation of the first line of text stays */
    for (size_t i = start; i < end && ilki_docs_blank(doc->text + i, 1); i++)
        if (doc->text[i] == '\n')
            from = i + 1;
    while (end > from && ilki_docs_blank(doc->text + end - 1, 1))
        end--;
    if (from >= end)
        return ILK_OK;
    if (doc->n_segments == doc->cap_segments) {
        size_t cap = doc->cap_segments ? doc->cap_segments * 2 : 16;
        if (cap > MAX_SEGMENTS)
            return ilki_base_fail(err, ILK_LIMIT, "document has more than %zu sections", MAX_SEGMENTS);
        ilki_doc_segment *s = realloc(doc->segments, cap * sizeof *s);
        if (!s)
            return ilki_base_fail_memory(err, cap * sizeof *s, "sections of a document");
        doc->segments = s;
        doc->cap_segments = cap;
    }
    char *copy = ilki_base_arena_strndup(&doc->arena, context, strlen(context));
    if (!copy)
        return ilki_base_fail_memory(err, strlen(context) + 1, "the heading of a section");
    ilki_doc_segment *s = &doc->segments[doc->n_segments++];
    *s = (ilki_doc_segment){.start = from, .end = end, .context = copy, .code = code};
    return ILK_OK;
}

void ilki_docs_number_lines(ilki_doc *doc)
{
    if (doc->no_lines)
        return;
    size_t line = 0, at = 0;
    for (size_t i = 0; i < doc->n_segments; i++) {
        ilki_doc_segment *s = &doc->segments[i];
        size_t ends[2] = {s->start, s->end};
        uint32_t *to[2] = {&s->line_first, &s->line_last};
        for (int k = 0; k < 2; k++) {
            for (; at < ends[k]; at++)
                line += doc->text[at] == '\n';
            size_t last = doc->n_lines ? doc->n_lines - 1 : 0;
            *to[k] = doc->line_of ? doc->line_of[line < last ? line : last] : (uint32_t)line + 1;
        }
    }
}

/* ------------------------------------------------------------------ reading */

/* Base name in lower case without ".gz"; long names keep their end, which holds the extension. */
static void plain_name(const char *name, char *to, size_t n_to)
{
    const char *slash = strrchr(name, '/');
    if (slash)
        name = slash + 1;
    size_t n = strlen(name);
    if (n > 3 && strcasecmp(name + n - 3, ".gz") == 0)
        n -= 3;
    if (n > n_to - 1) {
        name += n - (n_to - 1);
        n = n_to - 1;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    to[n] = 0;
}

/* The file as it is or unpacked into `unpacked`. */
static ilk_status plain_under(const ilk_job *job, const void *data, size_t n, size_t max, ilki_buf *unpacked,
                              const void **out, size_t *n_out, ilk_error *err)
{
    *out = data;
    *n_out = n;
    if (!is_gzip(data, n))
        return ILK_OK;
    if (n > UINT32_MAX)
        return ilki_base_fail(err, ILK_LIMIT, "gzip file of %zu bytes is over 4 GiB", n);
    ilk_status st = unpack(job, data, n, max, unpacked, err);
    *out = ilki_base_buf_view(unpacked);
    *n_out = unpacked->len;
    return st;
}

ilk_status ilki_docs_plain(const void *data, size_t n, size_t max, ilki_buf *unpacked, const void **out, size_t *n_out,
                           ilk_error *err)
{
    return plain_under(NULL, data, n, max, unpacked, out, n_out, err);
}

static const ilki_doc_kind *find_kind(const char *name, const char *head, size_t n)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i]->probe(name, head, n))
            return kinds[i];
    return NULL;
}

const ilki_doc_outside *ilki_docs_outside(const char *name, const void *head, size_t n)
{
    char plain[256];
    unsigned char block[HEAD_BYTES];
    plain_name(name, plain, sizeof plain);
    if (!is_gzip(head, n))
        return ilki_docs_find_outside(plain, head, n);
    n = unpack_head(head, n, block, sizeof block);
    return ilki_docs_find_outside(plain, block, n);
}

ilk_status ilki_docs_probe(const char *name, const void *head, size_t n, ilk_error *err)
{
    char plain[256];
    unsigned char block[HEAD_BYTES];
    const unsigned char *p = head;
    if (n == 0)
        return ilki_base_fail(err, ILK_UNSUPPORTED, "empty file");
    if (is_gzip(p, n)) {
        n = unpack_head(p, n, block, sizeof block);
        p = block;
        if (n == 0)
            return refuse("a gzip archive of nothing that can be read", err);
    }
    plain_name(name, plain, sizeof plain);
    const ilki_doc_outside *outside = ilki_docs_find_outside(plain, p, n);
    ilk_status st = outside ? ILK_OK : check_magic(p, n, err);
    if (st == ILK_OK && (!outside || outside->text))
        st = check_text(NULL, p, n, err);
    if (st == ILK_OK)
        st = check_name(plain, err);
    return st;
}

/* Kinds of outside come here only where nobody reads them for us: in tests, and by mistake. */
static ilk_status refuse_outside(const char *plain, const void *p, size_t n, ilk_error *err)
{
    const ilki_doc_outside *o = ilki_docs_find_outside(plain, p, n);
    return o ? ilki_base_fail(err, ILK_UNSUPPORTED, "%s is read by a helper program", o->what) : ILK_OK;
}

static ilk_status read_decoded(ilki_doc *doc, const char *name, ilk_error *err)
{
    const ilki_doc_kind *kind = find_kind(name, doc->text, doc->n_text < HEAD_BYTES ? doc->n_text : HEAD_BYTES);
    doc->kind = kind ? kind->name : "text";
    ilk_status st = kind ? kind->read(doc, name, err) : ILK_OK;
    /* a document whose headings have no body, or a plain one, is one segment */
    if (st == ILK_OK && doc->n_segments == 0)
        st = ilki_docs_add_segment(doc, 0, doc->n_text, "", false, err);
    if (st == ILK_OK)
        ilki_docs_number_lines(doc);
    return st;
}

ilk_status ilki_docs_read(ilki_doc **out, const char *name, const void *data, size_t n, size_t max_text_bytes,
                          ilk_error *err)
{
    return ilki_docs_read_under(NULL, out, name, data, n, max_text_bytes, err);
}

ilk_status ilki_docs_read_under(const ilk_job *job, ilki_doc **out, const char *name, const void *data, size_t n,
                                size_t max_text_bytes, ilk_error *err)
{
    char plain[256];
    ilki_buf unpacked;
    const unsigned char *p;
    size_t max = max_text_bytes ? max_text_bytes : ILKI_DOCS_MAX_TEXT;
    *out = NULL;
    ilki_base_buf_init(&unpacked, max + 32768);
    ilki_doc *doc = ilki_base_zalloc(1, sizeof *doc);
    ilk_status st = ILK_OK;
    if (!doc) {
        st = ilki_base_fail_memory(err, sizeof *doc, "a document");
        goto fail;
    }
    doc->kind = "text";
    doc->job = job;
    if ((st = ilki_docs_probe(name, data, n, err)) != ILK_OK)
        goto fail;
    const void *whole;
    if ((st = plain_under(job, data, n, max, &unpacked, &whole, &n, err)) != ILK_OK)
        goto fail;
    p = whole;
    plain_name(name, plain, sizeof plain);
    if ((st = refuse_outside(plain, p, n, err)) != ILK_OK)
        goto fail;
    if (n > max) {
        st = ilki_base_fail(err, ILK_LIMIT, "file of %zu bytes is over the limit of %zu", n, max);
        goto fail;
    }
    if ((st = check_text(job, p, n, err)) != ILK_OK)
        goto fail;
    if ((st = decode(doc, p, n, max, err)) != ILK_OK)
        goto fail;
    if ((st = read_decoded(doc, plain, err)) != ILK_OK)
        goto fail;
    ilki_base_buf_deinit(&unpacked);
    doc->job = NULL;
    *out = doc;
    return ILK_OK;
fail:
    ilki_base_buf_deinit(&unpacked);
    ilki_docs_free(doc);
    return st;
}

void ilki_docs_free(ilki_doc *doc)
{
    if (!doc)
        return;
    ilki_base_arena_deinit(&doc->arena);
    free(doc->title);
    free(doc->note);
    free(doc->text);
    free(doc->line_of);
    free(doc->segments);
    free(doc);
}
