/* SPDX-License-Identifier: Apache-2.0
 * tests/fixtures/pictures (tools/make_resize_goldens.py): what Pillow and torchvision make of pictures of many sizes, byte
 * by byte, and what the processors of the checkpoints in tests/fixtures leave, number by number. With ILK_TEST_PYTHON, an
 * interpreter that has the references, the same of sizes that nobody has seen before. */
#include "base/cpu.h"
#include "base/hash.h"
#include "base/vfs.h"
#include "embed/state.h"
#include "media/decode.h"
#include "media/prepare.h"
#include "media/processor.h"
#include "net.h"
#include "tree.h"

#define FIXTURES ILK_TEST_DIR "/fixtures"

static ilki_kern_ops ops; /* the best of this CPU */

typedef struct golden {
    ilki_json *j;
    ilki_weights *w;
} golden;

static bool open_golden(golden *g, const char *dir)
{
    ilk_error err;
    ilk_error_init(&err);
    *g = (golden){0};
    return CHECK_OK(ilki_kern_select(&ops, NULL, ilki_base_cpu_features(), NULL, 0, &err), &err) &&
           CHECK_OK(test_read_json(&g->j, dir, "pictures.json", &err), &err) &&
           CHECK_OK(test_open_weights(&g->w, dir, "pictures.safetensors", &err), &err);
}

static void close_golden(golden *g)
{
    ilki_format_close(g->w);
    ilki_base_json_free(g->j);
}

static float *read_numbers(const golden *g, const char *kind, size_t i, size_t want)
{
    char name[32];
    size_t n = 0;
    snprintf(name, sizeof name, "%s.%zu", kind, i);
    const ilki_tensor *t = ilki_format_find(g->w, name);
    float *x = malloc((want + 1) * sizeof *x);
    if (CHECK_THAT(t && x && ilki_tensor_count(t, &n) && n == want, "%s: expected %zu numbers, found %zu", name, want,
                   n) &&
        CHECK_OK(ilki_tensor_read_f32(t, 0, n, x, NULL), NULL))
        return x;
    free(x);
    return NULL;
}

/* The generator's noise. */
static uint8_t *make_noise(size_t n)
{
    uint8_t *p = malloc(n + 1);
    for (size_t i = 0; p && i < n; i++) {
        uint32_t x = (uint32_t)(i + 1) * 0x9E3779B1u;
        x ^= x >> 15;
        p[i] = (uint8_t)(x * 0x85EBCA6Bu >> 24);
    }
    return p;
}

static void read_sides(const golden *g, ilki_json_node row, const char *key, uint32_t *to, size_t n)
{
    ilki_json_node v = ilki_base_json_first(g->j, ilki_base_json_get(g->j, row, key));
    for (size_t i = 0; i < n; i++, v = ilki_base_json_next(g->j, v))
        to[i] = (uint32_t)ilki_base_json_double(g->j, v, 0);
}

typedef struct resize_case {
    const char *by;
    ilki_image_filter filter;
    ilki_picture in;
    uint32_t width, height;
} resize_case;

static ilk_status resize(const resize_case *c, const ilki_kern_ops *kernels, const ilki_window *w, uint8_t *out,
                         ilk_error *err)
{
    ilki_rows rows = {out, (size_t)w->n_x * c->in.n_channels};
    bool pillow = strcmp(c->by, "pillow") == 0;
    return (pillow ? ilki_media_resize_pillow : ilki_media_resize_torch)(kernels, &c->in, c->filter, w, rows, NULL,
                                                                         err);
}

/* The whole result by what this CPU has, and then a part from its middle by the reference: it must be the same bytes. */
static void check_case(const resize_case *c, const float *want)
{
    ilki_window w = {c->width, c->height, 0, 0, c->width, c->height};
    size_t n_c = c->in.n_channels, n = (size_t)c->width * c->height * n_c, n_bad = 0;
    uint8_t *whole = calloc(n + 1, 1), *part = calloc(n + 1, 1);
    ilk_error err;
    ilk_error_init(&err);
    if (CHECK(whole && part) && CHECK_OK(resize(c, &ops, &w, whole, &err), &err)) {
        for (size_t k = 0; k < n; k++)
            n_bad += whole[k] != (uint8_t)want[k];
        CHECK_THAT(n_bad == 0, "%s %d: %u x %u x %zu to %u x %u: %zu of %zu bytes differ", c->by, (int)c->filter,
                   c->in.height, c->in.width, n_c, c->height, c->width, n_bad, n);
        w = (ilki_window){c->width, c->height, c->width / 3, c->height / 4, (c->width + 2) / 3, (c->height + 1) / 2};
        CHECK_OK(resize(c, &ilki_kern_ref, &w, part, &err), &err);
        for (uint32_t y = 0; y < w.n_y; y++)
            CHECK_MEM(part + y * w.n_x * n_c, whole + ((w.y + y) * c->width + w.x) * n_c, w.n_x * n_c);
    }
    free(whole);
    free(part);
}

static void check_resizes(const golden *g)
{
    size_t i = 0;
    ilki_json_node row = ilki_base_json_first(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "cases"));
    for (; row; row = ilki_base_json_next(g->j, row), i++) {
        uint32_t in[3], out[2];
        read_sides(g, row, "in", in, 3);
        read_sides(g, row, "out", out, 2);
        uint8_t *noise = make_noise((size_t)in[0] * in[1] * in[2]);
        float *want = read_numbers(g, "case", i, (size_t)out[0] * out[1] * in[2]);
        resize_case c = {ilki_base_json_string(g->j, ilki_base_json_get(g->j, row, "by"), NULL),
                         (ilki_image_filter)ilki_base_json_double(g->j, ilki_base_json_get(g->j, row, "filter"), 0),
                         ilki_media_plain(noise, in[1], in[0], in[2]), out[1], out[0]};
        if (want && CHECK(c.by))
            check_case(&c, want);
        free(noise);
        free(want);
    }
    CHECK(i > 0);
}

/* ------------------------------------------------------------------ what files hold */

static const struct {
    const char *mode; /* Pillow's name */
    ilki_picture_kind kind;
    uint32_t n_channels;
} modes[] = {{"RGBA", ILKI_PICTURE_ALPHA, 4},
             {"CMYK", ILKI_PICTURE_INK, 4},
             {"I;16", ILKI_PICTURE_GRAY16, 2},
             {"I", ILKI_PICTURE_GRAY32, 2}};

/* Noise of n pixels; of 16 bits some numbers are above a byte, most are not. */
static uint8_t *make_mode(size_t m, size_t n)
{
    uint8_t *p = make_noise(n * modes[m].n_channels);
    for (size_t i = 0; p && modes[m].n_channels == 2 && i < n; i++) {
        uint16_t v;
        memcpy(&v, p + 2 * i, 2);
        v &= 0x1ff;
        memcpy(p + 2 * i, &v, 2);
    }
    return p;
}

static void check_mode(const golden *g, size_t i, size_t m, ilki_image_filter filter, const uint32_t in[2],
                       const uint32_t out[2])
{
    size_t n = (size_t)out[0] * out[1] * 3, n_bad = 0;
    uint8_t *pixels = make_mode(m, (size_t)in[0] * in[1]), *got = calloc(n + 1, 1);
    float *want = read_numbers(g, "mode", i, n);
    ilki_picture picture = {pixels, in[1], in[0], modes[m].n_channels, modes[m].kind, NULL};
    ilki_window part = {out[1], out[0], out[1] / 3, out[0] / 4, (out[1] + 2) / 3, (out[0] + 1) / 2};
    ilk_error err;
    ilk_error_init(&err);
    if (want && CHECK(pixels && got) &&
        CHECK_OK(ilki_media_resize_stored(&ops, &picture, filter, &(ilki_window){out[1], out[0], 0, 0, out[1], out[0]},
                                          (ilki_rows){got, (size_t)out[1] * 3}, NULL, &err),
                 &err)) {
        for (size_t k = 0; k < n; k++)
            n_bad += got[k] != (uint8_t)want[k];
        CHECK_THAT(n_bad == 0, "%s %d: %u x %u to %u x %u: %zu of %zu bytes differ", modes[m].mode, (int)filter, in[0],
                   in[1], out[0], out[1], n_bad, n);
        CHECK_OK(ilki_media_resize_stored(&ilki_kern_ref, &picture, filter, &part,
                                          (ilki_rows){got, (size_t)part.n_x * 3}, NULL, &err),
                 &err);
        for (size_t k = 0; k < (size_t)part.n_x * part.n_y * 3; k++) {
            size_t y = part.y + k / 3 / part.n_x, x = part.x + k / 3 % part.n_x;
            CHECK(got[k] == (uint8_t)want[(y * out[1] + x) * 3 + k % 3]);
        }
    }
    free(pixels);
    free(got);
    free(want);
}

static void check_modes(const golden *g)
{
    size_t i = 0;
    ilki_json_node row = ilki_base_json_first(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "modes"));
    for (; row; row = ilki_base_json_next(g->j, row), i++) {
        uint32_t in[2], out[2];
        const char *mode = ilki_base_json_string(g->j, ilki_base_json_get(g->j, row, "mode"), NULL);
        read_sides(g, row, "in", in, 2);
        read_sides(g, row, "out", out, 2);
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++)
            if (mode && strcmp(modes[m].mode, mode) == 0)
                check_mode(g, i, m,
                           (ilki_image_filter)ilki_base_json_double(g->j, ilki_base_json_get(g->j, row, "filter"), 0),
                           in, out);
    }
    CHECK(i > 0);
}

/* ------------------------------------------------------------------ resize and crop of a processor's file */

static ilk_status read_spec(ilki_image_spec *spec, const char *text, ilk_error *err)
{
    ilki_json *j = NULL;
    ilk_status st = ilki_base_json_parse(&j, text, strlen(text), "spec", NULL, err);
    if (st == ILK_OK)
        st = strstr(text, "preprocess_cfg") ? ilki_media_read_preprocess_cfg(spec, j, 12, err)
                                            : ilki_media_read_processor(spec, j, "spec", NULL, err);
    ilki_base_json_free(j);
    return st;
}

static void check_spec(const golden *g, size_t i, const char *text, const uint32_t in[3], const uint32_t out[2])
{
    size_t n = (size_t)out[0] * out[1] * 3, n_bad = 0;
    uint8_t *noise = make_noise((size_t)in[0] * in[1] * in[2]), *got = calloc(n + 1, 1);
    float *want = read_numbers(g, "prepared", i, n);
    ilki_picture picture = ilki_media_plain(noise, in[1], in[0], in[2]);
    ilki_image_spec spec;
    ilki_image_plan plan;
    ilk_error err;
    ilk_error_init(&err);
    if (want && CHECK(noise && got) && CHECK_OK(read_spec(&spec, text, &err), &err) &&
        CHECK_OK(ilki_media_plan(&plan, &spec, &picture, &err), &err) &&
        CHECK_THAT(plan.height == out[0] && plan.width == out[1], "%s: %u x %u: %u x %u, want %u x %u", text, in[0],
                   in[1], plan.height, plan.width, out[0], out[1]) &&
        CHECK_OK(ilki_media_prepare(got, &ops, &spec, &picture, NULL, &err), &err)) {
        for (size_t k = 0; k < n; k++)
            n_bad += got[k] != (uint8_t)want[k];
        CHECK_THAT(n_bad == 0, "%s: %u x %u x %u: %zu of %zu bytes differ", text, in[0], in[1], in[2], n_bad, n);
    }
    free(noise);
    free(got);
    free(want);
}

static void check_specs(const golden *g)
{
    size_t i = 0;
    ilki_json_node row = ilki_base_json_first(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "specs"));
    for (; row; row = ilki_base_json_next(g->j, row), i++) {
        uint32_t in[3], out[2];
        const char *text = ilki_base_json_string(g->j, ilki_base_json_get(g->j, row, "processor"), NULL);
        read_sides(g, row, "in", in, 3);
        read_sides(g, row, "out", out, 2);
        if (CHECK(text))
            check_spec(g, i, text, in, out);
    }
    CHECK(i > 0);
}

/* ------------------------------------------------------------------ files, as open_clip and transformers resize them */

#define FILES FIXTURES "/picture-files/"
enum { MAX_SPECS = 8 };

static void check_file(ilki_media *m, const ilki_image_spec *spec, const char *name, const char *want)
{
    ilki_media_picture p = {0};
    ilki_image_plan plan;
    ilk_error err;
    size_t n, got = 0;
    char *data = NULL, text[128];
    uint8_t sum[32], *out = NULL;
    unsigned how = spec->family == ILKI_IMAGE_OPEN_CLIP ? ILKI_MEDIA_AS_STORED : ILKI_MEDIA_PAINTED;
    ilk_error_init(&err);
    if (CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, tree_path(FILES, "%s", name), 1 << 24, &data, &n, &err),
                 &err) &&
        CHECK_OK(ilki_media_read_picture(m, data, n, ILKI_MEDIA_TURNED | how, NULL, &p, &err), &err)) {
        ilki_picture in = ilki_media_view_picture(&p);
        if (CHECK_OK(ilki_media_plan(&plan, spec, &in, &err), &err))
            out = calloc((size_t)plan.width * plan.height + 1, 3);
        if (CHECK(out) && CHECK_OK(ilki_media_prepare(out, &ops, spec, &in, NULL, &err), &err)) {
            ilki_base_sha256(out, (size_t)plan.width * plan.height * 3, sum);
            got = (size_t)snprintf(text, sizeof text, "%u %u ", plan.height, plan.width);
            for (size_t i = 0; i < sizeof sum; i++)
                got += (size_t)snprintf(text + got, sizeof text - got, "%02x", sum[i]);
            CHECK_THAT(strcmp(text, want) == 0, "%s: kind %d, expected %s, found %s", name, (int)p.kind, want, text);
        }
    }
    free(data);
    free(out);
    ilki_media_end_picture(m, &p);
}

static bool is_built(ilki_media *m, const char *name)
{
    char reader[24];
    snprintf(reader, sizeof reader, "%.*s", (int)strcspn(name, "-"), name);
    return ilki_media_check(m, reader, NULL, NULL) == ILK_OK;
}

/* Lines of open_clip.txt. */
static size_t check_files(ilki_media *m, char *list)
{
    ilki_image_spec of[MAX_SPECS];
    size_t n_read = 0;
    ilk_error err;
    ilk_error_init(&err);
    for (char *line; (line = strsep(&list, "\n")) && *line;) {
        char *name = strsep(&line, " "), *number = strsep(&line, " ");
        size_t i = number ? strtoul(number, NULL, 10) : MAX_SPECS;
        if (!CHECK(i < MAX_SPECS && line))
            break;
        if (strcmp(name, "spec") == 0) {
            CHECK_OK(read_spec(&of[i], line, &err), &err);
        } else if (is_built(m, name)) {
            check_file(m, &of[i], name, line);
            n_read++;
        }
    }
    return n_read;
}

/* ------------------------------------------------------------------ through a model's processor */

static void check_picture(const golden *g, const ilk_model *m, size_t i, const uint32_t in[2])
{
    const ilki_tower_info *t = &m->net->tower[m->image_tower];
    size_t side = t->image_size, p = t->patch_size, across = side / p, n = across * across * t->row_dim, n_bad = 0;
    uint8_t *noise = make_noise((size_t)in[0] * in[1] * 3);
    float *want = read_numbers(g, "values", i, side * side * 3), *rows = calloc(n + 1, sizeof *rows);
    ilk_part part;
    ilk_error err;
    ilk_error_init(&err);
    ilk_part_init(&part);
    part.kind = ILK_PART_PIXELS;
    part.modality = ILK_IMAGE;
    part.data = noise;
    part.shape[0] = in[0];
    part.shape[1] = in[1];
    part.shape[2] = 3;
    if (want && CHECK(rows) &&
        CHECK_OK(ilki_embed_modality(ILK_IMAGE)->fill(m, &part, false, NULL, rows, &err), &err)) {
        for (size_t k = 0; k < n; k++) {
            size_t patch = k / t->row_dim, c = k % t->row_dim / (p * p), y = k / p % p, x = k % p;
            n_bad += rows[k] != want[(c * side + patch / across * p + y) * side + patch % across * p + x];
        }
        CHECK_THAT(n_bad == 0, "%s: %u x %u: %zu of %zu values differ", m->dir, in[0], in[1], n_bad, n);
    }
    free(noise);
    free(want);
    free(rows);
}

static void check_processors(const golden *g)
{
    ilk_runtime *rt = NULL;
    ilk_model *m = NULL;
    const char *opened = "";
    size_t i = 0;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilk_runtime_open(&rt, NULL, &err), &err));
    ilki_json_node row = ilki_base_json_first(g->j, ilki_base_json_get(g->j, ilki_base_json_root(g->j), "processors"));
    for (; row; row = ilki_base_json_next(g->j, row), i++) {
        const char *name = ilki_base_json_string(g->j, ilki_base_json_get(g->j, row, "open"), NULL);
        uint32_t in[2];
        read_sides(g, row, "in", in, 2);
        if (name && strcmp(name, opened) != 0) {
            ilk_model_close(m);
            m = NULL;
            CHECK_OK(ilk_model_open(&m, rt, tree_path(FIXTURES, "%s", name), NULL, &err), &err);
            opened = name;
        }
        if (CHECK(m && m->image_tower >= 0))
            check_picture(g, m, i, in);
    }
    CHECK(i > 0);
    ilk_model_close(m);
    ilk_runtime_close(rt);
}

/* ------------------------------------------------------------------ the tests */

static void resizers(void)
{
    golden g;
    if (open_golden(&g, FIXTURES "/pictures"))
        check_resizes(&g);
    close_golden(&g);
}

static void stored(void)
{
    golden g;
    if (open_golden(&g, FIXTURES "/pictures"))
        check_modes(&g);
    close_golden(&g);
}

static void specs(void)
{
    golden g;
    if (open_golden(&g, FIXTURES "/pictures"))
        check_specs(&g);
    close_golden(&g);
}

static void files(void)
{
    ilki_media *m = NULL;
    const ilki_media_hello *h;
    char *list = NULL;
    size_t n, n_read = 0;
    ilk_error err;
    ilk_error_init(&err);
    REQUIRE(CHECK_OK(ilki_kern_select(&ops, NULL, ilki_base_cpu_features(), NULL, 0, &err), &err));
    if (ilki_media_new(&m, ILK_TEST_MEDIA, NULL, &err) != ILK_OK || ilki_media_hello_of(m, NULL, &h, &err) != ILK_OK) {
        ilki_media_free(m);
        TEST_SKIP("ilk-media does not run here: %s", err.message);
    }
    if (CHECK_OK(ilki_base_read_file(&ilki_base_vfs_posix, FILES "open_clip.txt", 1 << 20, &list, &n, &err), &err))
        n_read = check_files(m, list);
    free(list);
    ilki_media_free(m);
    if (n_read == 0)
        TEST_SKIP("this build decodes no pictures: libjpeg, libpng, libwebp, libtiff, libheif or libavif is wanted");
}

static void processors(void)
{
    golden g;
    if (open_golden(&g, FIXTURES "/pictures"))
        check_processors(&g);
    close_golden(&g);
}

static void unseen(void)
{
    const char *python = getenv("ILK_TEST_PYTHON"), *seed = getenv("ILK_TEST_SEED");
    char command[8192];
    golden g;
    if (!python || !*python)
        TEST_SKIP("ILK_TEST_PYTHON names no Python with Pillow, torchvision and transformers");
    char *dir = tree_new();
    snprintf(command, sizeof command, "'%s' '%s/../tools/make_resize_goldens.py' --random %s '%s' '%s' 2>&1", python,
             ILK_TEST_DIR, seed ? seed : "1", dir, FIXTURES);
    int rc = system(command);
    if (rc == 0 && open_golden(&g, dir)) {
        check_resizes(&g);
        check_modes(&g);
        check_specs(&g);
        check_processors(&g);
        close_golden(&g);
    }
    CHECK_THAT(rc == 0 || rc == 77 << 8, "%s: ended with %d", command, rc);
    tree_free(dir);
}

TEST_MAIN({"resizers", resizers}, {"stored", stored}, {"specs", specs}, {"files", files}, {"processors", processors},
          {"unseen", unseen})
