/* SPDX-License-Identifier: Apache-2.0
 * EXIF is a TIFF without pixels: directories of entries {tag, type, count, value or where it stands}. Three are read, each
 * once and by its own place, so that no file can lead around in circles: the first, the camera's, the place's. Every offset
 * is checked against the end before it is followed; entries are looked at up to a limit. */
#include "exif.h"

#include <math.h>
#include <string.h>

enum { MAX_ENTRIES = 512, BYTE = 1, ASCII = 2, SHORT = 3, LONG = 4, RATIONAL = 5, SIGNED_RATIONAL = 10 };

typedef struct tiff {
    const unsigned char *p;
    size_t n;
    bool big;
} tiff;

typedef struct entry {
    uint32_t type, count;
    const unsigned char *p; /* n bytes of the value */
    size_t n;
} entry;

static uint32_t number(const tiff *t, const unsigned char *p, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint32_t)p[i] << 8 * (t->big ? n - 1 - i : i);
    return v;
}

static size_t size_of(uint32_t type)
{
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

/* The entry of a tag in the directory at `at`. */
static bool find(const tiff *t, size_t at, uint32_t tag, entry *e)
{
    if (at == 0 || at > t->n || t->n - at < 2)
        return false;
    size_t n = number(t, t->p + at, 2);
    at += 2;
    for (size_t i = 0; i < n && i < MAX_ENTRIES && t->n - at >= 12; i++, at += 12) {
        const unsigned char *p = t->p + at;
        if (number(t, p, 2) != tag)
            continue;
        e->type = number(t, p + 2, 2);
        e->count = number(t, p + 4, 4);
        uint64_t bytes = (uint64_t)e->count * size_of(e->type);
        size_t where = bytes <= 4 ? at + 8 : number(t, p + 8, 4);
        if (bytes == 0 || where > t->n || bytes > t->n - where)
            return false;
        e->p = t->p + where;
        e->n = (size_t)bytes;
        return true;
    }
    return false;
}

/* Where a directory stands that a tag of another one tells; 0: nowhere. */
static size_t directory(const tiff *t, size_t at, uint32_t tag)
{
    entry e;
    return find(t, at, tag, &e) && e.type == LONG && e.count == 1 ? number(t, e.p, 4) : 0;
}

static void add_text(const tiff *t, size_t at, uint32_t tag, ilki_media_fields *f, const char *name)
{
    entry e;
    if (find(t, at, tag, &e) && e.type == ASCII)
        ilki_media_add_text_field(f, name, e.p, e.n);
}

/* The i-th rational; 0 / 0, which cameras write for nothing, is 0; NaN: there is none. */
static double rational(const tiff *t, const entry *e, size_t i)
{
    if ((e->type != RATIONAL && e->type != SIGNED_RATIONAL) || i >= e->count)
        return (double)NAN;
    uint32_t a = number(t, e->p + 8 * i, 4), b = number(t, e->p + 8 * i + 4, 4);
    if (b == 0)
        return a == 0 ? 0.0 : (double)NAN;
    return e->type == RATIONAL ? (double)a / (double)b : (double)(int32_t)a / (double)(int32_t)b;
}

/* ------------------------------------------------------------------ when */

/* n digits; -1: others are there */
static int digits(const unsigned char *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        v = v * 10 + p[i] - '0';
    }
    return v;
}

/* Days since 1970-01-01 in the Gregorian calendar; years are counted from March, so that leap days come last. */
static int64_t days(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

/* "2024:05:01 10:20:30" */
static bool read_time(const entry *e, int64_t *seconds)
{
    static const int last[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const unsigned char *p = e->p;
    if (e->type != ASCII || e->n < 19 || p[4] != p[7] || (p[4] != ':' && p[4] != '-') || p[10] != ' ' || p[13] != ':' ||
        p[16] != ':')
        return false;
    int year = digits(p, 4), month = digits(p + 5, 2), day = digits(p + 8, 2);
    int hour = digits(p + 11, 2), minute = digits(p + 14, 2), second = digits(p + 17, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > last[month - 1] || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60)
        return false;
    *seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

/* "+02:00" in seconds; 0 where there is none: a camera's clock without a zone is taken as it is */
static int64_t read_zone(const tiff *t, size_t at, uint32_t tag)
{
    entry e;
    if (!find(t, at, tag, &e) || e.type != ASCII || e.n < 6 || (e.p[0] != '+' && e.p[0] != '-') || e.p[3] != ':')
        return 0;
    int hours = digits(e.p + 1, 2), minutes = digits(e.p + 4, 2);
    if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
        return 0;
    int64_t s = hours * 3600 + minutes * 60;
    return e.p[0] == '-' ? -s : s;
}

static void add_time(const tiff *t, size_t first, size_t camera, ilki_media_fields *f)
{
    const struct {
        size_t at;
        uint32_t tag, zone;
    } times[] = {{camera, 0x9003, 0x9011}, {camera, 0x9004, 0x9012}, {first, 0x0132, 0x9010}};
    entry e;
    int64_t s;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (!find(t, times[i].at, times[i].tag, &e) || !read_time(&e, &s))
            continue;
        s -= read_zone(t, camera, times[i].zone);
        ilki_media_add_int_field(f, "taken", ILK_VALUE_TIME, s * 1000000);
        return;
    }
}

/* ------------------------------------------------------------------ where */

static double degrees(const tiff *t, size_t place, uint32_t tag, char negative)
{
    entry ref, e;
    if (!find(t, place, tag, &ref) || ref.type != ASCII || !find(t, place, tag + 1, &e))
        return (double)NAN;
    double d = rational(t, &e, 0) + rational(t, &e, 1) / 60 + rational(t, &e, 2) / 3600;
    return ref.p[0] == (unsigned char)negative ? -d : d;
}

static void add_place(const tiff *t, size_t place, ilki_media_fields *f)
{
    double latitude = degrees(t, place, 1, 'S'), longitude = degrees(t, place, 3, 'W');
    entry e, below;
    if (!(fabs(latitude) <= 90 && fabs(longitude) <= 180)) /* the one says nothing without the other */
        return;
    ilki_media_add_real_field(f, "latitude", latitude);
    ilki_media_add_real_field(f, "longitude", longitude);
    if (!find(t, place, 6, &e))
        return;
    bool sunk = find(t, place, 5, &below) && below.type == BYTE && below.p[0] == 1;
    double altitude = rational(t, &e, 0);
    ilki_media_add_real_field(f, "altitude", sunk ? -altitude : altitude);
}

/* ------------------------------------------------------------------ all of it */

void media_exif_fields(ilki_media_fields *f, const unsigned char *data, size_t n)
{
    if (n < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return;
    tiff t = {data, n, *data == 'M'};
    size_t first = number(&t, data + 4, 4), camera = directory(&t, first, 0x8769);
    add_time(&t, first, camera, f);
    add_text(&t, first, 0x010f, f, "camera_make");
    add_text(&t, first, 0x0110, f, "camera_model");
    add_text(&t, camera, 0xa434, f, "lens");
    add_place(&t, directory(&t, first, 0x8825), f);
}

void media_picture_exif(media_picture *p, const unsigned char *data, size_t n)
{
    p->orientation = media_exif_orientation(data, n);
    if (p->fields)
        media_exif_fields(p->fields, data, n);
}
