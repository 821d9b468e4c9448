/* SPDX-License-Identifier: Apache-2.0
 * preprocessor_config.json (or the object image_processor of processor_config.json) to an ilki_image_spec, as the classes
 * of transformers 5.24 read it: what the file does not say, its class does. A size that is one number is the shorter
 * side's for these classes, a crop's is both sides. open_clip's settings are read from open_clip_config.json. */
#include <stdio.h>
#include <string.h>

#include "media/processor.h"

#define CLIP_MEAN                                                                                                      \
    {                                                                                                                  \
        0.48145466, 0.4578275, 0.40821073                                                                              \
    }
#define CLIP_STD                                                                                                       \
    {                                                                                                                  \
        0.26862954, 0.26130258, 0.27577711                                                                             \
    }
#define HALF                                                                                                           \
    {                                                                                                                  \
        0.5, 0.5, 0.5                                                                                                  \
    }

typedef struct processor_class {
    const char *name;       /* without ImageProcessor and what follows */
    const char *model_type; /* of config.json, for files that name no class: its first part */
    ilki_image_spec usual;
} processor_class;

#define CLIP_USUAL                                                                                                     \
    {                                                                                                                  \
        .family = ILKI_IMAGE_TORCHVISION, .resize = ILKI_RESIZE_SHORTEST, .filter = ILKI_FILTER_BICUBIC, .width = 224, \
        .crop = true, .crop_width = 224, .crop_height = 224, .rgb = true, .do_rescale = true, .do_normalise = true,    \
        .rescale = 1.0 / 255, .mean = CLIP_MEAN, .std = CLIP_STD                                                       \
    }

static const processor_class classes[] = {
    {"CLIP", "clip", CLIP_USUAL},
    {"ChineseCLIP", "chinese_clip", CLIP_USUAL},
    {"Siglip",
     "siglip",
     {.family = ILKI_IMAGE_TORCHVISION,
      .resize = ILKI_RESIZE_EXACT,
      .filter = ILKI_FILTER_BICUBIC,
      .width = 224,
      .height = 224,
      .rgb = true,
      .do_rescale = true,
      .do_normalise = true,
      .rescale = 1.0 / 255,
      .mean = HALF,
      .std = HALF}},
};

typedef struct reader {
    const ilki_json *j;
    ilki_json_node object;
    const char *file;
    ilki_image_spec *spec;
    ilk_error *err;
    ilk_status status;
} reader;

/* ------------------------------------------------------------------ members */

static ilki_json_node member(const reader *r, const char *key)
{
    ilki_json_node n = ilki_base_json_get(r->j, r->object, key);
    return ilki_base_json_type(r->j, n) > ILKI_JSON_NULL ? n : 0;
}

static void fail(reader *r, ilk_status status, const char *key, const char *expected)
{
    if (r->status == ILK_OK)
        r->status = ilki_base_fail(r->err, status, "%s: %s: expected %s, found another value", r->file, key, expected);
}

static void read_bool(reader *r, const char *key, bool *to)
{
    ilki_json_node n = member(r, key);
    if (n)
        *to = ilki_base_json_bool(r->j, n, *to);
}

static bool side_of(const reader *r, ilki_json_node n, uint32_t *to)
{
    int64_t i = 0;
    if (!ilki_base_json_int(r->j, n, 1, 1 << 14, &i))
        return false;
    *to = (uint32_t)i;
    return true;
}

static void read_size(reader *r)
{
    ilki_image_spec *s = r->spec;
    ilki_json_node n = member(r, "size");
    if (!n)
        return;
    if (side_of(r, n, &s->width)) {
        s->resize = ILKI_RESIZE_SHORTEST;
        s->height = 0;
        return;
    }
    ilki_json_node shortest = ilki_base_json_get(r->j, n, "shortest_edge"),
                   height = ilki_base_json_get(r->j, n, "height"), width = ilki_base_json_get(r->j, n, "width");
    if (shortest && !ilki_base_json_get(r->j, n, "longest_edge") && side_of(r, shortest, &s->width)) {
        s->resize = ILKI_RESIZE_SHORTEST;
        s->height = 0;
    } else if (!shortest && side_of(r, height, &s->height) && side_of(r, width, &s->width)) {
        s->resize = ILKI_RESIZE_EXACT;
    } else {
        fail(r, ILK_UNSUPPORTED, "size", "a number, shortest_edge, or height and width, of 1 to 16384");
    }
}

static void read_crop(reader *r)
{
    ilki_image_spec *s = r->spec;
    ilki_json_node n = member(r, "crop_size");
    if (!n)
        return;
    if (side_of(r, n, &s->crop_width))
        s->crop_height = s->crop_width;
    else if (!side_of(r, ilki_base_json_get(r->j, n, "height"), &s->crop_height) ||
             !side_of(r, ilki_base_json_get(r->j, n, "width"), &s->crop_width))
        fail(r, ILK_BAD_FORMAT, "crop_size", "a number, or height and width, of 1 to 16384");
}

static void read_three(reader *r, const char *key, double least, double to[3])
{
    ilki_json_node n = member(r, key);
    size_t i = 0;
    if (!n)
        return;
    if (ilki_base_json_type(r->j, n) == ILKI_JSON_NUMBER) {
        to[0] = to[1] = to[2] = ilki_base_json_double(r->j, n, 0);
        i = 3;
    }
    for (ilki_json_node v = ilki_base_json_first(r->j, n); v; v = ilki_base_json_next(r->j, v), i++)
        if (i < 3)
            to[i] = ilki_base_json_double(r->j, v, -1e9);
    for (size_t k = 0; k < 3; k++)
        if (i != 3 || !(to[k] >= least && to[k] <= 1e6)) {
            fail(r, ILK_BAD_FORMAT, key, "three numbers, one per channel");
            return;
        }
}

static void read_filter(reader *r)
{
    int64_t i = r->spec->filter;
    ilki_json_node n = member(r, "resample");
    if (n && !ilki_base_json_int(r->j, n, 0, 5, &i))
        fail(r, ILK_BAD_FORMAT, "resample", "a filter's number of 0 to 5");
    r->spec->filter = (ilki_image_filter)i;
}

/* ------------------------------------------------------------------ the class */

static const processor_class *find_class(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strlen(classes[i].name) == n && memcmp(classes[i].name, name, n) == 0)
            return &classes[i];
    return NULL;
}

/* "CLIPImageProcessor", "CLIPFeatureExtractor", without a name what the model's type has. What stands behind (Fast, Pil) is
 * no matter: the reference takes the class of torchvision for all of them. */
static ilk_status choose_class(reader *r, const char *model_type, const processor_class **out)
{
    const char *name = ilki_base_json_string(r->j, member(r, "image_processor_type"), NULL), *end = NULL;
    if (!name)
        name = ilki_base_json_string(r->j, member(r, "feature_extractor_type"), NULL);
    *out = NULL;
    if (name) {
        end = strstr(name, "ImageProcessor");
        end = end ? end : strstr(name, "FeatureExtractor");
        *out = end ? find_class(name, (size_t)(end - name)) : NULL;
        if (!*out)
            return ilki_base_fail(r->err, ILK_UNSUPPORTED,
                                  "%s: expected the processor of CLIP, ChineseCLIP or Siglip, found \"%.64s\"", r->file,
                                  name);
    }
    for (size_t i = 0; !*out && i < sizeof classes / sizeof *classes; i++)
        if (model_type && strncmp(model_type, classes[i].model_type, strlen(classes[i].model_type)) == 0)
            *out = &classes[i];
    if (!*out)
        *out = &classes[0];
    *r->spec = (*out)->usual;
    return ILK_OK;
}

static ilk_status read_object(reader *r, const char *model_type)
{
    const processor_class *class;
    bool resize = true;
    ilk_status st = choose_class(r, model_type, &class);
    if (st != ILK_OK)
        return st;
    read_bool(r, "do_resize", &resize);
    read_bool(r, "do_center_crop", &r->spec->crop);
    read_bool(r, "do_rescale", &r->spec->do_rescale);
    read_bool(r, "do_normalize", &r->spec->do_normalise);
    read_bool(r, "do_convert_rgb", &r->spec->rgb);
    read_size(r);
    read_crop(r);
    read_filter(r);
    read_three(r, "image_mean", -1e6, r->spec->mean);
    read_three(r, "image_std", 1e-6, r->spec->std);
    ilki_json_node factor = member(r, "rescale_factor");
    r->spec->rescale = factor ? ilki_base_json_double(r->j, factor, 0) : r->spec->rescale;
    if (!(r->spec->rescale > 0 && r->spec->rescale <= 1e6))
        fail(r, ILK_BAD_FORMAT, "rescale_factor", "a number above 0");
    if (r->status == ILK_OK && ilki_base_json_bool(r->j, member(r, "do_pad"), false))
        fail(r, ILK_UNSUPPORTED, "do_pad", "false");
    if (!resize)
        r->spec->resize = ILKI_RESIZE_NONE;
    return r->status;
}

ilk_status ilki_media_read_processor(ilki_image_spec *spec, const ilki_json *j, const char *file,
                                     const char *model_type, ilk_error *err)
{
    ilki_json_node root = ilki_base_json_root(j), inner = ilki_base_json_get(j, root, "image_processor");
    reader r = {.j = j, .object = inner ? inner : root, .file = file, .spec = spec, .err = err};
    return read_object(&r, model_type);
}

/* ------------------------------------------------------------------ open_clip */

static void read_mode(reader *r)
{
    const char *filter = ilki_base_json_string(r->j, member(r, "interpolation"), NULL),
               *mode = ilki_base_json_string(r->j, member(r, "resize_mode"), NULL);
    ilki_image_spec *s = r->spec;
    if (filter && strcmp(filter, "bilinear") == 0)
        s->filter = ILKI_FILTER_BILINEAR;
    else if (filter && strcmp(filter, "bicubic") != 0 && strcmp(filter, "random") != 0)
        fail(r, ILK_UNSUPPORTED, "interpolation", "bicubic or bilinear");
    if (mode && strcmp(mode, "squash") == 0)
        s->resize = ILKI_RESIZE_EXACT;
    else if (mode && strcmp(mode, "longest") == 0)
        s->resize = ILKI_RESIZE_LONGEST;
    else if (mode && strcmp(mode, "shortest") != 0)
        fail(r, ILK_UNSUPPORTED, "resize_mode", "shortest, squash or longest");
}

ilk_status ilki_media_read_preprocess_cfg(ilki_image_spec *spec, const ilki_json *config, uint32_t side, ilk_error *err)
{
    reader r = {.j = config, .file = "open_clip_config.json", .spec = spec, .err = err};
    int64_t fill = 0;
    r.object = ilki_base_json_get(config, ilki_base_json_root(config), "preprocess_cfg");
    *spec = classes[0].usual;
    spec->family = ILKI_IMAGE_OPEN_CLIP;
    read_mode(&r);
    ilki_json_node size = member(&r, "size"), color = member(&r, "fill_color");
    if (size && !ilki_base_json_first(config, size) && !side_of(&r, size, &side))
        fail(&r, ILK_BAD_FORMAT, "size", "a number of 1 to 16384");
    if (color && !ilki_base_json_int(config, color, 0, 255, &fill))
        fail(&r, ILK_BAD_FORMAT, "fill_color", "a number of 0 to 255");
    read_three(&r, "mean", -1e6, spec->mean);
    read_three(&r, "std", 1e-6, spec->std);
    spec->fill = (uint8_t)fill;
    spec->width = spec->height = spec->crop_width = spec->crop_height = side;
    spec->crop = spec->resize == ILKI_RESIZE_SHORTEST;
    return r.status;
}

/* ------------------------------------------------------------------ words and numbers */

void ilki_media_print_processor(const ilki_image_spec *s, char *to, size_t n)
{
    static const char *const filters[] = {"nearest", "Lanczos", "bilinear", "bicubic", "box", "Hamming"};
    static const char *const families[] = {"torchvision", "open_clip"};
    char resize[96] = "as it is", crop[64] = "";
    if (s->resize == ILKI_RESIZE_EXACT)
        snprintf(resize, sizeof resize, "%u x %u %s", s->width, s->height, filters[s->filter]);
    else if (s->resize != ILKI_RESIZE_NONE)
        snprintf(resize, sizeof resize, "%s side %u %s", s->resize == ILKI_RESIZE_SHORTEST ? "shorter" : "longer",
                 s->width, filters[s->filter]);
    if (s->crop)
        snprintf(crop, sizeof crop, ", centre %u x %u", s->crop_width, s->crop_height);
    snprintf(to, n, "%s%s (%s)", resize, crop, families[s->family]);
}

void ilki_media_pixel_values(const ilki_image_spec *s, float table[3][256])
{
    for (unsigned c = 0; c < 3; c++)
        for (unsigned b = 0; b < 256; b++) {
            float x = (float)b, mean = (float)s->mean[c], std = (float)s->std[c];
            if (s->do_rescale && s->do_normalise && s->family == ILKI_IMAGE_TORCHVISION) {
                float inverse = (float)(1.0 / s->rescale); /* fused: the means are scaled instead of the pixel */
                x = (x - mean * inverse) / (std * inverse);
            } else {
                if (s->do_rescale && s->family == ILKI_IMAGE_OPEN_CLIP)
                    x = x / 255.0f;
                else if (s->do_rescale)
                    x = x * (float)s->rescale;
                if (s->do_normalise)
                    x = (x - mean) / std;
            }
            table[c][b] = x;
        }
}
