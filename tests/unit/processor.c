/* SPDX-License-Identifier: Apache-2.0
 * A processor's file to what is done to a picture: classes, their own settings, sizes in every spelling, refusals. The
 * numbers of a pixel against the reference are golden/towers' part. */
#include "media/processor.h"

#include <string.h>

#include "test.h"

static ilk_status read_text(ilki_image_spec *s, const char *text, const char *model_type, bool open_clip,
                            ilk_error *err)
{
    ilki_json *j = NULL;
    ilk_error_init(err);
    *s = (ilki_image_spec){0};
    if (!CHECK_OK(ilki_base_json_parse(&j, text, strlen(text), "f", NULL, err), err))
        return ILK_BAD_FORMAT;
    ilk_status st = open_clip ? ilki_media_read_preprocess_cfg(s, j, 336, err)
                              : ilki_media_read_processor(s, j, "f", model_type, err);
    ilki_base_json_free(j);
    return st;
}

static void words(void)
{
    static const struct {
        const char *text, *model_type, *says;
        bool open_clip;
    } rows[] = {
        {"{}", "clip", "shorter side 224 bicubic, centre 224 x 224 (torchvision)", false},
        {"{}", NULL, "shorter side 224 bicubic, centre 224 x 224 (torchvision)", false},
        {"{}", "siglip", "224 x 224 bicubic (torchvision)", false},
        {"{\"size\":336,\"crop_size\":336,\"feature_extractor_type\":\"CLIPFeatureExtractor\"}", NULL,
         "shorter side 336 bicubic, centre 336 x 336 (torchvision)", false},
        {"{\"image_processor_type\":\"SiglipImageProcessorFast\",\"resample\":2,\"size\":{\"height\":384,\"width\":384}}",
         "clip", "384 x 384 bilinear (torchvision)", false},
        {"{\"image_processor\":{\"image_processor_type\":\"ChineseCLIPImageProcessor\",\"do_center_crop\":false,"
         "\"size\":{\"height\":224,\"width\":224}}}",
         "chinese_clip", "224 x 224 bicubic (torchvision)", false},
        {"{\"do_resize\":false,\"crop_size\":{\"height\":8,\"width\":9}}", "clip",
         "as it is, centre 9 x 8 (torchvision)", false},
        {"{\"size\":null,\"crop_size\":null,\"resample\":null}", "clip",
         "shorter side 224 bicubic, centre 224 x 224 (torchvision)", false},
        {"{}", NULL, "shorter side 336 bicubic, centre 336 x 336 (open_clip)", true},
        {"{\"preprocess_cfg\":{\"resize_mode\":\"squash\",\"interpolation\":\"bilinear\"}}", NULL,
         "336 x 336 bilinear (open_clip)", true},
        {"{\"preprocess_cfg\":{\"resize_mode\":\"longest\",\"size\":224}}", NULL, "longer side 224 bicubic (open_clip)",
         true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_image_spec s;
        ilk_error err;
        char got[160];
        CHECK_OK(read_text(&s, rows[i].text, rows[i].model_type, rows[i].open_clip, &err), &err);
        ilki_media_print_processor(&s, got, sizeof got);
        CHECK_STR(got, rows[i].says);
    }
}

static void refusals(void)
{
    static const struct {
        const char *text, *says;
        ilk_status status;
        bool open_clip;
    } rows[] = {
        {"{\"image_processor_type\":\"ViTImageProcessor\"}", "expected the processor of CLIP, ChineseCLIP or Siglip",
         ILK_UNSUPPORTED, false},
        {"{\"image_processor_type\":\"CLIP\"}", "found \"CLIP\"", ILK_UNSUPPORTED, false},
        {"{\"size\":0}", "f: size: expected", ILK_UNSUPPORTED, false},
        {"{\"size\":{\"shortest_edge\":224,\"longest_edge\":300}}", "f: size: expected", ILK_UNSUPPORTED, false},
        {"{\"size\":{\"height\":224}}", "f: size: expected", ILK_UNSUPPORTED, false},
        {"{\"crop_size\":{\"height\":224}}", "f: crop_size: expected", ILK_BAD_FORMAT, false},
        {"{\"resample\":6}", "f: resample: expected", ILK_BAD_FORMAT, false},
        {"{\"image_mean\":[0.5,0.5]}", "f: image_mean: expected three numbers", ILK_BAD_FORMAT, false},
        {"{\"image_std\":[0.5,0,0.5]}", "f: image_std: expected three numbers", ILK_BAD_FORMAT, false},
        {"{\"rescale_factor\":0}", "f: rescale_factor: expected", ILK_BAD_FORMAT, false},
        {"{\"do_pad\":true}", "f: do_pad: expected false", ILK_UNSUPPORTED, false},
        {"{\"preprocess_cfg\":{\"interpolation\":\"nearest\"}}", "interpolation: expected", ILK_UNSUPPORTED, true},
        {"{\"preprocess_cfg\":{\"resize_mode\":\"wrap\"}}", "resize_mode: expected", ILK_UNSUPPORTED, true},
        {"{\"preprocess_cfg\":{\"fill_color\":256}}", "fill_color: expected", ILK_BAD_FORMAT, true},
        {"{\"preprocess_cfg\":{\"size\":-1}}", "size: expected", ILK_BAD_FORMAT, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ilki_image_spec s;
        ilk_error err;
        CHECK_STATUS(read_text(&s, rows[i].text, "clip", rows[i].open_clip, &err), rows[i].status, &err);
        CHECK_THAT(strstr(err.message, rows[i].says), "expected \"%s\" in \"%s\"", rows[i].says, err.message);
    }
}

/* Parts of the arithmetic that no golden has: one of the two steps alone. */
static void values(void)
{
    ilki_image_spec s;
    ilk_error err;
    float table[3][256];
    CHECK_OK(read_text(&s, "{\"do_normalize\":false}", "siglip", false, &err), &err);
    ilki_media_pixel_values(&s, table);
    CHECK(table[1][255] == 255 * (float)(1.0 / 255) && table[2][0] == 0);
    CHECK_OK(read_text(&s, "{\"do_rescale\":false,\"image_mean\":[1,2,3],\"image_std\":4}", "siglip", false, &err),
             &err);
    ilki_media_pixel_values(&s, table);
    CHECK(table[0][9] == 2 && table[1][10] == 2 && table[2][11] == 2);
    CHECK_OK(read_text(&s, "{\"image_mean\":[0,0,0],\"image_std\":[1,1,1]}", "siglip", false, &err), &err);
    ilki_media_pixel_values(&s, table);
    CHECK_NEAR(table[0][128], 128.0 / 255, 1e-7);
}

TEST_MAIN({"words", words}, {"refusals", refusals}, {"values", values})
