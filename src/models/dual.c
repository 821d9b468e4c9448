/* SPDX-License-Identifier: Apache-2.0
 * Two encoders (encoder.c) under one net. Each reads its own section of config.json and its own list of weights; a
 * model_type that ends with _text_model or _vision_model is one tower saved alone. */
#include "models/dual.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct dual {
    ilki_net net;
    ilki_encoder *part[2];
} dual;

void ilki_dual_close(ilki_net *net)
{
    dual *d = (dual *)net;
    for (unsigned i = 0; i < 2; i++)
        if (d->part[i])
            ilki_encoder_close(&d->part[i]->net);
    free(d);
}

/* ---- for the families' settle */

ilk_status ilki_dual_settle_picture(ilki_encoder *e, uint32_t n_own, ilk_error *err)
{
    ilki_encoder_config *c = &e->c;
    if (c->image < c->patch)
        return ilki_base_fail(err, ILK_BAD_FORMAT,
                              "config.json: image_size: expected at least patch_size (%u), found %u", c->patch,
                              c->image);
    uint32_t side = c->image / c->patch; /* what is left on the right and below no patch covers: 384 by 14 */
    if (side > 1024)
        return ilki_base_fail(err, ILK_LIMIT,
                              "config.json: image_size: expected at most 1024 patches in a row, found %u", side);
    c->n_positions = side * side + n_own;
    c->pre_norm = true;
    return ILK_OK;
}

ilk_status ilki_dual_read_projection(ilki_encoder *e, const ilki_model_source *src, ilk_error *err)
{
    const ilki_config_field field = ILKI_DUAL_SIZE("projection_dim", projection, 512, 1 << 15);
    return ilki_models_read_config(src->config, ilki_base_json_root(src->config), "config.json", &field, 1, &e->c, err);
}

/* ---- opening */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static ilk_status open_part(dual *d, const ilki_encoder_spec *spec, const char *tower, const char *section,
                            const ilki_model_source *src, ilk_error *err)
{
    /* what old checkpoints have beside the section wins over it, as in the reference */
    char old[32];
    ilki_json_node root = ilki_base_json_root(src->config);
    ilki_encoder_place place = {.tower = tower, .section = section};
    snprintf(old, sizeof old, "%s_dict", section);
    if (ilki_base_json_type(src->config, ilki_base_json_get(src->config, root, old)) == ILKI_JSON_OBJECT)
        place.section = old;
    ilki_net *net = NULL;
    ilk_status s = ilki_encoder_open_tower(&net, spec, &place, src, err);
    if (s != ILK_OK)
        return s;
    unsigned i = d->net.n_towers++;
    d->part[i] = (ilki_encoder *)net;
    d->net.tower[i] = net->tower[0];
    d->net.n_parameters += net->n_parameters;
    d->net.memory_bytes += net->memory_bytes;
    return ILK_OK;
}

/* What the text's list found of it. */
static ilk_status read_comparison(dual *d, const ilki_dual_spec *spec, const ilki_model_source *src, ilk_error *err)
{
    const ilki_encoder *text = d->part[0];
    if (d->net.n_towers != 2 || !text->compare_scale)
        return ILK_OK;
    d->net.compare_by = spec->compare_by;
    d->net.compare_scale = expf(text->compare_scale[0]);
    d->net.compare_bias = text->compare_bias ? text->compare_bias[0] : 0;
    if (!isfinite(d->net.compare_scale))
        return ilki_base_fail(err, ILK_NOT_FINITE, "%s: tensor logit_scale: expected the logarithm of a number",
                              src->dir);
    return ILK_OK;
}

static ilk_status open_parts(dual *d, const ilki_dual_spec *spec, const ilki_model_source *src, ilk_error *err)
{
    const ilki_json *j = src->config;
    const char *type = ilki_base_json_string(j, ilki_base_json_get(j, ilki_base_json_root(j), "model_type"), NULL);
    bool only_text = type && ends_with(type, "_text_model"), only_vision = type && ends_with(type, "_vision_model");
    ilk_status s = ILK_OK;
    if (!only_vision)
        s = open_part(d, spec->text, "text", spec->text_section, src, err);
    if (s == ILK_OK && !only_text)
        s = open_part(d, spec->vision, "vision", spec->vision_section, src, err);
    if (s == ILK_OK && d->net.n_towers == 2 && d->net.tower[0].embed_dim != d->net.tower[1].embed_dim)
        s = ilki_base_fail(err, ILK_MISMATCH,
                           "config.json: expected both towers' vectors of one length, found %u and %u",
                           d->net.tower[0].embed_dim, d->net.tower[1].embed_dim);
    return s == ILK_OK ? read_comparison(d, spec, src, err) : s;
}

ilk_status ilki_dual_open(ilki_net **out, const ilki_dual_spec *spec, const ilki_model_source *src, ilk_error *err)
{
    dual *d = ilki_base_zalloc(1, sizeof *d);
    *out = NULL;
    if (!d)
        return ilki_base_fail_memory(err, sizeof *d, "a model");
    d->net.family = spec->family;
    ilk_status s = open_parts(d, spec, src, err);
    if (s != ILK_OK) {
        ilki_dual_close(&d->net);
        return s;
    }
    *out = &d->net;
    return ILK_OK;
}

ilk_status ilki_dual_forward(const ilki_net *net, unsigned t, ilki_nn *ctx, const ilki_tower_in *in,
                             ilki_tower_out *out)
{
    const dual *d = (const dual *)net;
    return ilki_encoder_forward(&d->part[t]->net, 0, ctx, in, out);
}
