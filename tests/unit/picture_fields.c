/* SPDX-License-Identifier: Apache-2.0
 * What files say about pictures: as Pillow reads it, from the sandbox, and nothing that breaks a bound. */
#include "media/fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/vfs.h"
#include "media/decode.h"
#include "media/sniff.h"
#include "test.h"
#include "tree.h"

static const ilki_media_field *find(const ilki_media_fields *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->list[i].name, name) == 0)
            return &f->list[i];
    return NULL;
}

static bool read_one(ilki_media *m, const char *name, ilki_media_picture *p)
{
    char *data = NULL;
    size_t n;
    ilk_error err;
    ilk_error_init(&err);
    bool ok = CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(ILK_TEST_DIR, "fixtures/exif/%s", name),
                                           1 << 20, &data, &n, &err),
                       &err) &&
              CHECK_OK(ilki_media_read_picture(m, data, n, ILKI_MEDIA_TURNED | ILKI_MEDIA_WITH_FIELDS, NULL, p, &err),
                       &err);
    free(data);
    return ok;
}

static void check_line(const ilki_media_fields *f, const char *file, const char *name, const char *want)
{
    const ilki_media_field *x = find(f, name);
    char got[200] = "nothing";
    if (x && x->type == ILK_VALUE_TEXT)
        snprintf(got, sizeof got, "%s", x->text);
    else if (x && x->type == ILK_VALUE_TIME)
        snprintf(got, sizeof got, "%lld", (long long)x->i);
    else if (x && fabs(x->d - atof(want)) < 1e-9)
        snprintf(got, sizeof got, "%s", want);
    CHECK_THAT(strcmp(got, want) == 0, "%s: %s: expected %s, found %s", file, name, want, got);
}

static void as_pillow_reads(void)
{
    char line[512], last[64] = "", file[64], name[64], want[200];
    ilki_media *m = NULL;
    ilki_media_picture p = {.pixels = NULL};
    size_t n_lines = 0, n_files = 0;
    ilk_error err;
    ilk_error_init(&err);
    if (!CHECK_OK(ilki_media_new(&m, ILK_TEST_MEDIA, NULL, &err), &err))
        return;
    FILE *f = fopen(tree_path(ILK_TEST_DIR, "fixtures/exif/expected.txt"), "r");
    TREE_NEED(f);
    while (fgets(line, sizeof line, f)) {
        TREE_NEED(sscanf(line, "%63[^\t]\t%63[^\t]\t%199[^\n]", file, name, want) == 3);
        if (strcmp(file, last) != 0) {
            CHECK_THAT(!p.fields || p.fields->n == n_lines, "%s: expected %zu fields, found %zu", last, n_lines,
                       p.fields ? p.fields->n : 0);
            ilki_media_end_picture(m, &p);
            snprintf(last, sizeof last, "%s", file);
            n_lines = 0;
            n_files++;
            if (!read_one(m, file, &p))
                break;
        }
        if (strcmp(name, "-") == 0)
            continue;
        n_lines++;
        check_line(p.fields, file, name, want);
    }
    CHECK(n_files >= 11);
    ilki_media_end_picture(m, &p);
    fclose(f);
    ilki_media_free(m);
}

static void bounds(void)
{
    static ilki_media_fields f, got;
    char longest[300];
    ilki_buf b;
    memset(longest, 'x', sizeof longest);
    ilki_media_add_real_field(&f, "latitude", 90.001);
    ilki_media_add_real_field(&f, "latitude", (double)NAN);
    ilki_media_add_real_field(&f, "longitude", -(double)INFINITY);
    ilki_media_add_real_field(&f, "modality", 1); /* no name of the table */
    ilki_media_add_real_field(&f, "taken", 1);    /* of another type */
    ilki_media_add_text_field(&f, "lens", "\0 ", 2);
    ilki_media_add_text_field(&f, "lens", "a\nb", 3);
    ilki_media_add_int_field(&f, "taken", ILK_VALUE_TIME, INT64_MAX);
    CHECK_INT(f.n, 0);
    ilki_media_add_text_field(&f, "camera_model", "  Cam\xe9ra \0junk", 14);
    ilki_media_add_text_field(&f, "camera_model", "second", 6); /* the first one counts */
    ilki_media_add_text_field(&f, "lens", longest, sizeof longest);
    ilki_media_add_real_field(&f, "latitude", -90);
    CHECK_INT(f.n, 3);
    CHECK_STR(f.list[0].text, "Caméra");
    CHECK_INT(strlen(f.list[1].text), ILKI_MEDIA_FIELD_TEXT - 1);
    ilki_base_buf_init(&b, ILKI_MEDIA_FIELDS_BYTES);
    ilki_media_put_fields(&b, &f);
    CHECK(ilki_media_get_fields(&got, b.data, b.len, NULL) == ILK_OK && got.n == 3);
    for (size_t n = 0; n < b.len; n++)
        CHECK(ilki_media_get_fields(&got, b.data, n, NULL) == ILK_BAD_FORMAT && got.n == 0);
    ilki_base_buf_addc(&b, 0);
    CHECK(ilki_media_get_fields(&got, b.data, b.len, NULL) == ILK_BAD_FORMAT);
    b.data[4] = 'X'; /* of "camera_model" */
    CHECK(ilki_media_get_fields(&got, b.data, b.len - 1, NULL) == ILK_BAD_FORMAT);
    ilki_base_buf_deinit(&b);
}

static void sniffing(void)
{
    static const struct {
        const char *name, *head;
        size_t n;
        const char *want;
    } cases[] = {
        {"x", "\xff\xd8\xff\xe0", 4, "jpeg"},
        {"x", "\xff\xd8", 2, ""},
        {"x.nef", "MM\0*\0\0\0\x08", 8, "a RAW photo"},
        {"x.NEF", "II*\0\x08\0\0\0", 8, "a RAW photo"},
        {"x.tif", "II*\0\x08\0\0\0", 8, "tiff"},
        {"x.jpg", "II+\0\x08\0\0\0", 8, "tiff"},
        {"x", "MM\0+\0\x08\0\0", 8, "tiff"},
        {"x", "<svg/>", 6, "an SVG drawing"},
        {"x.tif", "II*\0\x10\0\0\0CR\2\0", 12, "a RAW photo"},
        {"x",
         "\0\0\0\x18"
         "ftypheic",
         12, "heif"},
        {"x",
         "\0\0\0\x18"
         "ftypavif",
         12, "avif"},
        {"x",
         "\0\0\0\x18"
         "ftypcrx ",
         12, "a RAW photo"},
        {"x",
         "\0\0\0\x18"
         "ftypqt  ",
         12, "a video"},
        {"x.m4a",
         "\0\0\0\x18"
         "ftypM4A ",
         12, ""},
        {"x", "RIFF\0\0\0\0WEBP", 12, "webp"},
        {"x", "RIFF\0\0\0\0AVI ", 12, "a video"},
        {"x", "RIFF\0\0\0\0WAVE", 12, ""},
        {"x", "\x1a\x45\xdf\xa3", 4, "a video"},
        {"x.svg", "anything", 8, "an SVG drawing"},
        {"x", "<?xml version=\"1.0\"?><svg xmlns='a'>", 37, "an SVG drawing"},
        {"x.html", "<html><body><svg width='1'></svg>", 33, ""},
        {"x", "P6 3 2 255\n", 11, "pnm"},
        {"x", "P6\n# made by hand\n3 2 255\n", 26, "pnm"},
        {"x.txt", "P1 3 things to do", 17, ""},
        {"x.txt", "Going home", 10, ""},
        {"x", "BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\2\0\0\0", 26, "bmp"},
        {"x.txt", "BMW makes cars and motorcycles", 30, ""},
        {"x", "", 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_sniff s = ilki_media_sniff(cases[i].name, cases[i].head, cases[i].n);
        const char *got = s.reader ? s.reader : s.what ? s.what : "";
        CHECK_THAT(strcmp(got, cases[i].want) == 0, "%s %zu: expected \"%s\", found \"%s\"", cases[i].name, i,
                   cases[i].want, got);
        CHECK((s.is == ILKI_SNIFFED_PICTURE) == (s.reader != NULL) && (s.is == ILKI_SNIFFED_LATER) == (s.what != NULL));
    }
    char stream[512];
    memset(stream, 0, sizeof stream);
    stream[0] = stream[188] = stream[376] = 'G';
    CHECK(ilki_media_sniff("x.ts", stream, sizeof stream).is == ILKI_SNIFFED_LATER);
    memset(stream, 'a', sizeof stream);
    stream[0] = stream[188] = stream[376] = 'G';
    CHECK(ilki_media_sniff("x.txt", stream, sizeof stream).is == ILKI_SNIFFED_NOTHING);
}

TEST_MAIN({"as_pillow_reads", as_pillow_reads}, {"bounds", bounds}, {"sniffing", sniffing})
