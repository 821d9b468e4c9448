/* SPDX-License-Identifier: Apache-2.0
 * A picture through a spec: sizes, the place of a crop in both families, gray, refusals by arithmetic, a cancelled job. Bytes
 * of the references are golden/pictures' part. */
#include "media/prepare.h"

#include <string.h>

#include "alloc_count.h"
#include "test.h"

static ilki_image_spec spec(ilki_image_resize resize, uint32_t w, uint32_t h, uint32_t crop)
{
    return (ilki_image_spec){.resize = resize,
                             .filter = ILKI_FILTER_BICUBIC,
                             .width = w,
                             .height = h,
                             .crop = crop > 0,
                             .crop_width = crop,
                             .crop_height = crop,
                             .rgb = true};
}

static void sizes(void)
{
    static const struct {
        ilki_image_resize resize;
        uint32_t w, h, crop, in_w, in_h; /* the spec, the picture */
        ilki_window want;
        uint32_t left, top, width, height;
    } rows[] = {
        {ILKI_RESIZE_SHORTEST, 12, 0, 12, 30, 20, {18, 12, 3, 0, 12, 12}, 0, 0, 12, 12},
        {ILKI_RESIZE_SHORTEST, 12, 0, 12, 20, 31, {12, 18, 0, 3, 12, 12}, 0, 0, 12, 12}, /* 18.6, cut */
        {ILKI_RESIZE_SHORTEST, 10, 0, 13, 20, 10, {20, 10, 3, 0, 13, 10}, 0, 1, 13, 13},
        {ILKI_RESIZE_EXACT, 7, 9, 0, 20, 31, {7, 9, 0, 0, 7, 9}, 0, 0, 7, 9},
        {ILKI_RESIZE_NONE, 0, 0, 12, 15, 12, {15, 12, 1, 0, 12, 12}, 0, 0, 12, 12},
        {ILKI_RESIZE_LONGEST, 12, 12, 0, 30, 20, {12, 8, 0, 0, 12, 8}, 0, 2, 12, 12},
        {ILKI_RESIZE_NONE, 0, 0, 0, 15, 12, {15, 12, 0, 0, 15, 12}, 0, 0, 15, 12},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_image_spec s = spec(rows[i].resize, rows[i].w, rows[i].h, rows[i].crop);
        ilki_picture in = ilki_media_plain(NULL, rows[i].in_w, rows[i].in_h, 3);
        ilki_image_plan p;
        ilk_error err;
        ilk_error_init(&err);
        REQUIRE(CHECK_OK(ilki_media_plan(&p, &s, &in, &err), &err));
        CHECK_MEM(&p.resized, &rows[i].want, sizeof p.resized);
        CHECK(p.left == rows[i].left && p.top == rows[i].top);
        CHECK(p.width == rows[i].width && p.height == rows[i].height);
        CHECK_INT(p.unchanged, rows[i].resize == ILKI_RESIZE_NONE && !rows[i].crop);
    }
}

/* (15 - 12) / 2: the one cuts, the other rounds to even. */
static void rounding(void)
{
    ilki_image_spec s = spec(ILKI_RESIZE_NONE, 0, 0, 12);
    ilki_picture in = ilki_media_plain(NULL, 15, 17, 3);
    ilki_image_plan p;
    CHECK_OK(ilki_media_plan(&p, &s, &in, NULL), NULL);
    CHECK(p.resized.x == 1 && p.resized.y == 2);
    s.family = ILKI_IMAGE_OPEN_CLIP;
    CHECK_OK(ilki_media_plan(&p, &s, &in, NULL), NULL);
    CHECK(p.resized.x == 2 && p.resized.y == 2);
}

static void gray(void)
{
    static const uint8_t pixels[4] = {10, 20, 30, 40}, want[27] = {0,  0,  0,  0,  0,  0, 0, 0, 0,  0,  0,  0,  0, 10,
                                                                   10, 10, 20, 20, 20, 0, 0, 0, 30, 30, 30, 40, 40};
    uint8_t out[5 * 5 * 3];
    ilki_image_spec s = spec(ILKI_RESIZE_NONE, 0, 0, 5);
    ilki_picture in = ilki_media_plain(pixels, 2, 2, 1);
    ilk_error err;
    ilk_error_init(&err);
    memset(out, 9, sizeof out);
    REQUIRE(CHECK_OK(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, &err), &err)); /* stands at 1, 1 */
    CHECK_MEM(out, (const uint8_t[15]){0}, 15);
    CHECK_MEM(out + 15, want + 10, 9);
    CHECK_MEM(out + 30, want + 19, 8);
    CHECK(out[38] == 40 && out[39] == 0 && out[74] == 0);
    s.rgb = false;
    CHECK_STATUS(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, &err), ILK_UNSUPPORTED, &err);
    CHECK(strstr(err.message, "expected 3 channels"));
}

static void refusals(void)
{
    static const struct {
        ilki_image_resize resize;
        uint32_t w, h, in_w, in_h, n_channels;
        ilk_status status;
        const char *says;
    } rows[] = {
        {ILKI_RESIZE_NONE, 0, 0, 0, 5, 3, ILK_LIMIT, "expected sides of 1 to 65536, found 5 x 0"},
        {ILKI_RESIZE_NONE, 0, 0, 65537, 5, 3, ILK_LIMIT, "found 5 x 65537"},
        {ILKI_RESIZE_SHORTEST, 224, 0, 65536, 1, 3, ILK_LIMIT, "expected to be resized to sides of 1 to 1048576"},
        {ILKI_RESIZE_LONGEST, 12, 12, 1000, 1, 3, ILK_LIMIT, "found 0 x 12"},
        {ILKI_RESIZE_EXACT, 9, 1, 2, 2, 4, ILK_UNSUPPORTED, "expected 1 or 3 channels, found 4"},
        /* what lies between the passes: refused by arithmetic, the pixels are not looked at */
        {ILKI_RESIZE_EXACT, 16384, 2, 5, 65536, 3, ILK_LIMIT, "expected up to 67108864 bytes between two passes"},
    };
    static const uint8_t pixels[16] = {0};
    static uint8_t out[16384 * 2 * 3];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_image_spec s = spec(rows[i].resize, rows[i].w, rows[i].h, 0);
        ilk_error err;
        ilk_error_init(&err);
        ilki_picture in = ilki_media_plain(pixels, rows[i].in_w, rows[i].in_h, rows[i].n_channels);
        CHECK_STATUS(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, &err), rows[i].status, &err);
        CHECK_THAT(strstr(err.message, rows[i].says), "expected \"%s\" in \"%s\"", rows[i].says, err.message);
    }
}

static void filters(void)
{
    static const uint8_t pixels[12] = {0};
    uint8_t out[3];
    ilki_image_spec s = spec(ILKI_RESIZE_EXACT, 1, 1, 0);
    ilki_picture in = ilki_media_plain(pixels, 2, 2, 3);
    ilk_error err;
    ilk_error_init(&err);
    for (int f = ILKI_FILTER_NEAREST; f <= ILKI_FILTER_HAMMING; f++) {
        s.filter = (ilki_image_filter)f;
        s.family = ILKI_IMAGE_OPEN_CLIP;
        CHECK_OK(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, &err), &err);
        s.family = ILKI_IMAGE_TORCHVISION;
        CHECK_STATUS(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, &err),
                     f == ILKI_FILTER_BOX || f == ILKI_FILTER_HAMMING ? ILK_UNSUPPORTED : ILK_OK, &err);
    }
}

/* Each allocation of each way through the passes fails once. */
static void memory(void)
{
    static const uint8_t pixels[40 * 40 * 3];
    static const uint32_t sides[][2] = {{12, 12}, {40, 12}, {12, 40}, {39, 12}};
    uint8_t out[40 * 12 * 3];
    for (size_t i = 0; i < 16; i++) {
        ilki_image_spec s = spec(ILKI_RESIZE_EXACT, sides[i % 4][0], sides[i % 4][1], 0);
        bool failed = true;
        s.filter = i % 8 < 4 ? ILKI_FILTER_BICUBIC : ILKI_FILTER_NEAREST;
        s.family = i < 8 ? ILKI_IMAGE_TORCHVISION : ILKI_IMAGE_OPEN_CLIP;
        for (uint64_t n = 1; failed; n++) {
            ilki_picture in = ilki_media_plain(pixels, 40, 40, 3);
            alloc_fail_at(n, false);
            ilk_status st = ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, NULL);
            failed = alloc_fail_off();
            CHECK_STATUS(st, failed ? ILK_NO_MEMORY : ILK_OK, NULL);
        }
    }
}

/* What is counted before covers what is taken, and little more, whatever the picture holds. */
static void counted(void)
{
    static uint8_t pixels[90 * 90 * 4], palette[256 * 3], out[60 * 60 * 3];
    static const uint8_t channels[] = {3, 3, 4, 4, 2, 2};
    static const uint32_t sides[][2] = {{12, 12}, {90, 12}, {12, 90}, {60, 30}, {30, 60}, {7, 60}};
    for (size_t i = 0; i < 2 * 2 * 6 * 6; i++) {
        const uint32_t *side = sides[i / 24], h = i % 2 ? 90 : 40;
        ilki_image_spec s = spec(ILKI_RESIZE_EXACT, side[0], side[1], 12);
        ilki_image_plan plan;
        ilki_picture in = {pixels, 90, h, channels[i / 4 % 6], (ilki_picture_kind)(i / 4 % 6), palette};
        s.filter = ILKI_FILTER_LANCZOS;
        s.family = i / 2 % 2 ? ILKI_IMAGE_TORCHVISION : ILKI_IMAGE_OPEN_CLIP;
        REQUIRE(CHECK_OK(ilki_media_plan(&plan, &s, &in, NULL), NULL));
        uint64_t most = ilki_media_prepare_bytes(&plan, &s, &in);
        alloc_count_reset();
        CHECK_OK(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, NULL, NULL), NULL);
        CHECK_THAT(alloc_bytes() <= most, "case %zu: counted %d bytes, took %d", i, (int)most, (int)alloc_bytes());
        CHECK_THAT(most < 3 * alloc_bytes() + 4096, "case %zu: counted %d bytes, took %d", i, (int)most,
                   (int)alloc_bytes());
    }
}

static void cancelled(void)
{
    static const uint8_t pixels[40 * 40 * 3];
    static const uint32_t sides[][2] = {{12, 12}, {40, 12}, {12, 40}};
    uint8_t out[40 * 12 * 3];
    ilk_job *job = ilk_job_new(NULL);
    ilk_job_cancel(job);
    for (size_t i = 0; i < 6; i++) {
        ilki_image_spec s = spec(ILKI_RESIZE_EXACT, sides[i % 3][0], sides[i % 3][1], 0);
        s.filter = i < 3 ? ILKI_FILTER_BICUBIC : ILKI_FILTER_NEAREST;
        ilki_picture in = ilki_media_plain(pixels, 40, 40, 3);
        CHECK_STATUS(ilki_media_prepare(out, &ilki_kern_ref, &s, &in, job, NULL), ILK_CANCELLED, NULL);
    }
    ilk_job_free(job);
}

TEST_MAIN({"sizes", sizes}, {"rounding", rounding}, {"gray", gray}, {"refusals", refusals}, {"filters", filters},
          {"memory", memory}, {"counted", counted}, {"cancelled", cancelled})
