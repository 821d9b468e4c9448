/* SPDX-License-Identifier: Apache-2.0
 * One table of magic numbers, the first row that fits wins. */
#include "media/sniff.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct row {
    const char *bytes, *more; /* at `at`; and at `more_at`, where there is more */
    uint8_t n, at, n_more, more_at;
    ilki_sniff is;
} row;

#define PICTURE(reader)                                                                                                \
    {                                                                                                                  \
        ILKI_SNIFFED_PICTURE, reader, NULL                                                                             \
    }
#define RAW                                                                                                            \
    {                                                                                                                  \
        ILKI_SNIFFED_LATER, NULL, "a RAW photo"                                                                        \
    }
#define VIDEO                                                                                                          \
    {                                                                                                                  \
        ILKI_SNIFFED_LATER, NULL, "a video"                                                                            \
    }
#define DRAWING                                                                                                        \
    {                                                                                                                  \
        ILKI_SNIFFED_LATER, NULL, "an SVG drawing"                                                                     \
    }
#define FTYP(brand, is)                                                                                                \
    {                                                                                                                  \
        "ftyp", brand, 4, 4, sizeof(brand) - 1, 8, is                                                                  \
    }

static const row rows[] = {
    {"\xff\xd8\xff", NULL, 3, 0, 0, 0, PICTURE("jpeg")},
    {"\x89PNG\r\n\x1a\n", NULL, 8, 0, 0, 0, PICTURE("png")},
    {"RIFF", "WEBP", 4, 0, 4, 8, PICTURE("webp")},
    {"GIF87a", NULL, 6, 0, 0, 0, PICTURE("gif")},
    {"GIF89a", NULL, 6, 0, 0, 0, PICTURE("gif")},
    /* raw photos that are a TIFF of their own kind, before TIFF */
    {"II*\0", "CR\2", 4, 0, 3, 8, RAW},
    {"IIRO", NULL, 4, 0, 0, 0, RAW},
    {"IIRS", NULL, 4, 0, 0, 0, RAW},
    {"MMOR", NULL, 4, 0, 0, 0, RAW},
    {"IIU\0", NULL, 4, 0, 0, 0, RAW},
    {"FUJIFILMCCD-RAW", NULL, 15, 0, 0, 0, RAW},
    {"FOVb", NULL, 4, 0, 0, 0, RAW},
    {"\0MRM", NULL, 4, 0, 0, 0, RAW},
    FTYP("crx ", RAW),
    {"II*\0", NULL, 4, 0, 0, 0, PICTURE("tiff")},
    {"MM\0*", NULL, 4, 0, 0, 0, PICTURE("tiff")},
    {"II+\0", NULL, 4, 0, 0, 0, PICTURE("tiff")}, /* with offsets of 64 bits */
    {"MM\0+", NULL, 4, 0, 0, 0, PICTURE("tiff")},
    /* pictures in the container of videos */
    FTYP("avif", PICTURE("avif")),
    FTYP("avis", PICTURE("avif")),
    FTYP("heic", PICTURE("heif")),
    FTYP("heix", PICTURE("heif")),
    FTYP("heim", PICTURE("heif")),
    FTYP("heis", PICTURE("heif")),
    FTYP("hevc", PICTURE("heif")),
    FTYP("hevx", PICTURE("heif")),
    FTYP("mif1", PICTURE("heif")),
    FTYP("msf1", PICTURE("heif")),
    /* sounds in it are not told here */
    FTYP("isom", VIDEO),
    FTYP("iso2", VIDEO),
    FTYP("iso4", VIDEO),
    FTYP("iso5", VIDEO),
    FTYP("iso6", VIDEO),
    FTYP("mp41", VIDEO),
    FTYP("mp42", VIDEO),
    FTYP("avc1", VIDEO),
    FTYP("dash", VIDEO),
    FTYP("M4V ", VIDEO),
    FTYP("MSNV", VIDEO),
    FTYP("qt  ", VIDEO),
    FTYP("3gp", VIDEO),
    FTYP("3g2", VIDEO),
    FTYP("XAVC", VIDEO),
    {"moov", NULL, 4, 4, 0, 0, VIDEO},
    {"\x1a\x45\xdf\xa3", NULL, 4, 0, 0, 0, VIDEO},
    {"RIFF", "AVI ", 4, 0, 4, 8, VIDEO},
    {"FLV\1", NULL, 4, 0, 0, 0, VIDEO},
    {"\0\0\1\xba", NULL, 4, 0, 0, 0, VIDEO},
    {"\0\0\1\xb3", NULL, 4, 0, 0, 0, VIDEO},
    {"G", "G", 1, 0, 1, 188, VIDEO}, /* a transport stream */
    {"\x30\x26\xb2\x75\x8e\x66\xcf\x11", NULL, 8, 0, 0, 0, VIDEO},
    {"DICM", NULL, 4, 128, 0, 0, PICTURE("dicom")},
};

static const char *const raw_suffixes[] = {".dng", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".pef", ".ptx", ".srw",
                                           ".raw", ".rwl", ".3fr", ".fff", ".iiq", ".erf", ".kdc", ".dcr", ".mef",
                                           ".mos", ".cr2", ".orf", ".rw2", ".raf", ".gpr", ".cap", ".k25"};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = strlen(suffix);
    return n >= m && strcasecmp(name + n - m, suffix) == 0;
}

static bool at(const unsigned char *p, size_t n, size_t where, const char *bytes, size_t n_bytes)
{
    return n >= where + n_bytes && memcmp(p + where, bytes, n_bytes) == 0;
}

/* Two bytes are too few to believe in a picture: the header must say how long it is. */
static bool is_bmp(const unsigned char *p, size_t n)
{
    return n >= 26 && at(p, n, 0, "BM", 2) && p[15] == 0 && p[16] == 0 && p[17] == 0 && p[14] >= 12 && p[14] <= 128;
}

/* Behind white space and comments, of which there must be some: the end of a number; 0: there is none. */
static size_t skip_number(const unsigned char *p, size_t n, size_t i)
{
    size_t first = i, digits;
    for (bool comment = false; i < n; i++) {
        comment = p[i] == '#' || (comment && p[i] != '\n');
        if (!comment && (!p[i] || !strchr(" \t\r\n", p[i])))
            break;
    }
    for (digits = i; i < n && p[i] >= '0' && p[i] <= '9';)
        i++;
    return digits > first && i > digits ? i : 0;
}

/* P1 to P6, then width and height: less could be the beginning of a text. */
static bool is_pnm(const unsigned char *p, size_t n)
{
    if (n < 7 || p[0] != 'P' || p[1] < '1' || p[1] > '6')
        return false;
    size_t i = skip_number(p, n, 2);
    return i && skip_number(p, n, i);
}

static bool is_svg(const char *name, const unsigned char *p, size_t n)
{
    if (has_suffix(name, ".svg") || has_suffix(name, ".svgz"))
        return true;
    size_t i = at(p, n, 0, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (i < n && strchr(" \t\r\n", p[i]) && p[i])
        i++;
    if (at(p, n, i, "<svg", 4))
        return true;
    if (!at(p, n, i, "<?xml", 5) && !at(p, n, i, "<!DOCTYPE svg", 13))
        return false;
    for (; i + 4 < n; i++)
        if (memcmp(p + i, "<svg", 4) == 0 && strchr(" \t\r\n>/", p[i + 4]) && p[i + 4])
            return true;
    return false;
}

ilki_sniff ilki_media_sniff(const char *name, const void *head, size_t n)
{
    static const ilki_sniff nothing = {ILKI_SNIFFED_NOTHING, NULL, NULL}, raw = RAW, drawing = DRAWING,
                            bmp = PICTURE("bmp"), pnm = PICTURE("pnm");
    const unsigned char *p = head;
    n = n < ILKI_SNIFF_BYTES ? n : ILKI_SNIFF_BYTES;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const row *r = &rows[i];
        if (!at(p, n, r->at, r->bytes, r->n) || (r->more && !at(p, n, r->more_at, r->more, r->n_more)))
            continue;
        if (r->n == 1 && (!at(p, n, 376, "G", 1) || !memchr(p, 0, 376))) /* one every 188 bytes, and no text */
            continue;
        for (size_t k = 0;
             r->is.reader && strcmp(r->is.reader, "tiff") == 0 && k < sizeof raw_suffixes / sizeof *raw_suffixes; k++)
            if (has_suffix(name, raw_suffixes[k]))
                return raw;
        return r->is;
    }
    if (is_svg(name, p, n))
        return drawing;
    return is_bmp(p, n) ? bmp : is_pnm(p, n) ? pnm : nothing;
}
