/* SPDX-License-Identifier: Apache-2.0
 * Files of pictures through the real helper: tests/fixtures/picture-files, where tools/make_picture_files.py wrote what Pillow makes
 * of each, all of them by one helper: a broken picture costs itself. */
#include "media/decode.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/vfs.h"
#include "media/dicom.h"
#include "media_test.h"
#include "test.h"

#define PICTURES ILK_TEST_DIR "/fixtures/picture-files/"

static char *load(const char *name, size_t *n)
{
    char path[512], *data = NULL;
    ilk_error err;
    ilk_error_init(&err);
    snprintf(path, sizeof path, PICTURES "%s", name);
    CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, path, 1 << 24, &data, n, &err), &err);
    return data;
}

/* "near MOST WIDTH HEIGHT": the pixels are in a file beside it. */
static void check_near(ilki_media *m, const char *name, const char *want)
{
    ilki_media_picture p;
    ilk_error err;
    size_t n, n_rgb, n_bad = 0;
    unsigned most = 0, width = 0, height = 0;
    char beside[64], *data = load(name, &n);
    snprintf(beside, sizeof beside, "%s.rgb", name);
    char *rgb = load(beside, &n_rgb);
    ilk_error_init(&err);
    CHECK_INT(sscanf(want, "near %u %u %u", &most, &width, &height), 3);
    if (data && rgb && CHECK_OK(ilki_media_read_picture(m, data, n, ILKI_MEDIA_TURNED, NULL, &p, &err), &err)) {
        bool same = p.width == width && p.height == height && n_rgb == (size_t)width * height * 3;
        for (size_t i = 0; same && i < n_rgb; i++)
            n_bad += abs(p.pixels[i] - (unsigned char)rgb[i]) > (int)most;
        CHECK_THAT(same && n_bad == 0, "%s: %u x %u, %zu bytes further than %u", name, p.width, p.height, n_bad, most);
        ilki_media_end_picture(m, &p);
    }
    free(data);
    free(rgb);
}

/* A line of expected.txt. */
static void check_picture(ilki_media *m, const char *name, const char *want)
{
    ilki_media_picture p;
    ilk_error err;
    size_t n;
    char got[128], *data = load(name, &n);
    ilk_error_init(&err);
    if (!data)
        return;
    ilk_status st = ilki_media_read_picture(m, data, n, ILKI_MEDIA_TURNED, NULL, &p, &err);
    if (st == ILK_OK) {
        uint8_t sum[32];
        ilki_base_sha256(p.pixels, (size_t)p.width * p.height * 3, sum);
        int at = snprintf(got, sizeof got, "ok %" PRIu32 " %" PRIu32 " ", p.width, p.height);
        for (size_t i = 0; i < sizeof sum; i++)
            at += snprintf(got + at, sizeof got - (size_t)at, "%02x", sum[i]);
    } else {
        snprintf(got, sizeof got, "%s", st == ILK_BAD_FORMAT ? "bad" : st == ILK_LIMIT ? "limit" : "another status");
        CHECK_THAT(p.pixels == NULL && !p.held.lender && err.message[0], "%s: pixels and an error", name);
        CHECK_THAT(!strstr(err.message, "crashed"), "%s: %s", name, err.message);
    }
    CHECK_THAT(strcmp(got, want) == 0, "%s: expected %s, found %s: %s", name, want, got, err.message);
    ilki_media_end_picture(m, &p);
    free(data);
}

/* What the name begins with is the reader's. */
static bool is_built(ilki_media *m, const char *name)
{
    char reader[24];
    snprintf(reader, sizeof reader, "%.*s", (int)strcspn(name, "-"), name);
    return ilki_media_check(m, reader, NULL, NULL) == ILK_OK;
}

static void as_pillow(void)
{
    size_t n, n_read = 0;
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    char *list = load("expected.txt", &n), *next = list;
    for (char *line; list && (line = strsep(&next, "\n")) && *line;) {
        char *name = strsep(&line, " ");
        if (is_built(m, name)) {
            (strncmp(line, "near ", 5) == 0 ? check_near : check_picture)(m, name, line);
            n_read++;
        }
    }
    free(list);
    ilki_media_free(m);
    if (n_read == 0)
        TEST_SKIP("this build decodes no pictures: libjpeg, libpng, libwebp, libtiff, libheif or libavif is wanted");
}

/* Without turning; the size alone; what is no picture; operations that do not suit. */
static void requests(void)
{
    static const uint8_t four = 4, over[4] = {1, 255, 255, 255};
    ilki_media *m = media_helper();
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    if (ilki_media_check(m, "png", NULL, NULL) != ILK_OK) {
        ilki_media_free(m);
        TEST_SKIP("this build has no libpng: install it and configure with ILK_MEDIA_PNG=ON");
    }
    ilki_media_picture p;
    ilki_media_result r;
    ilki_buf ops;
    ilk_error err;
    size_t n;
    ilk_error_init(&err);
    char *data = load("png-exif6.png", &n);
    if (CHECK_OK(ilki_media_read_picture(m, data, n, 0, NULL, &p, &err), &err))
        CHECK(p.width == 5 && p.height == 3);
    ilki_media_end_picture(m, &p);
    const struct {
        ilki_media_op op;
        const void *args;
        size_t n_args;
        ilk_status status;
    } cases[] = {{ILKI_MEDIA_SIZE, NULL, 0, ILK_OK},
                 {ILKI_MEDIA_PIXELS, &four, 1, ILK_UNSUPPORTED},
                 {ILKI_MEDIA_PIXELS, NULL, 0, ILK_UNSUPPORTED},
                 {ILKI_MEDIA_COMPOSITE, over, 4, ILK_UNSUPPORTED},
                 {ILKI_MEDIA_TEXT, over, 4, ILK_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ilki_base_buf_init(&ops, 4096);
        ilki_media_add_open(&ops, "png");
        ilki_media_add_op(&ops, cases[i].op, cases[i].args, cases[i].n_args);
        CHECK_STATUS(ilki_media_run(m, data, n, &ops, 0, NULL, &r, &err), cases[i].status, &err);
        if (cases[i].op == ILKI_MEDIA_SIZE)
            CHECK(r.about.source_width == 5 && r.about.source_height == 3 && r.about.n_bytes == 0);
        ilki_base_buf_deinit(&ops);
        free(r.data);
    }
    CHECK_STATUS(ilki_media_read_picture(m, "text", 4, ILKI_MEDIA_TURNED, NULL, &p, &err), ILK_UNSUPPORTED, &err);
    CHECK_STATUS(ilki_media_read_picture(m, "", 0, ILKI_MEDIA_TURNED, NULL, &p, &err), ILK_UNSUPPORTED, &err);
    free(data);
    ilki_media_free(m);
}

/* What a DICOM file says beside its picture, and nothing else of it. */
static void dicom(void)
{
    ilki_dicom_facts f;
    ilk_error err;
    size_t n;
    ilki_media *m = media_helper();
    ilk_error_init(&err);
    if (!m)
        TEST_SKIP(MEDIA_NEEDED);
    if (!is_built(m, "dicom-")) {
        ilki_media_free(m);
        TEST_SKIP("dcmj2pnm is not installed (Debian: dcmtk)");
    }
    char *data = load("dicom-window.dcm", &n);
    CHECK(data && ilki_media_is_dicom(data, n) && !ilki_media_is_dicom(data, 131));
    if (CHECK_OK(ilki_media_read_dicom_facts(m, data, n, NULL, &f, &err), &err)) {
        CHECK_STR(f.study_date, "2024-03-05");
        CHECK_STR(f.modality, "CT");
        CHECK_STR(f.body_part, "CHEST");
    }
    ilki_media_picture p;
    if (CHECK_OK(ilki_media_read_picture(m, data, n, ILKI_MEDIA_WITH_FIELDS, NULL, &p, &err), &err)) {
        if (CHECK(p.fields && p.fields->n == 3)) {
            CHECK_STR(p.fields->list[0].name, "study_date");
            CHECK(p.fields->list[0].i == (int64_t)1709596800 * 1000000);
            CHECK_STR(p.fields->list[1].text, "CT");
            CHECK_STR(p.fields->list[2].text, "CHEST");
        }
        ilki_media_end_picture(m, &p);
    }
    CHECK_STATUS(ilki_media_read_dicom_facts(m, data, 100, NULL, &f, &err), ILK_BAD_FORMAT, &err);
    CHECK(!f.modality[0] && !strstr(err.message, "Doe"));
    free(data);
    ilki_media_free(m);
}

TEST_MAIN({"dicom", dicom}, {"as_pillow", as_pillow}, {"requests", requests})
