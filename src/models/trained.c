/* SPDX-License-Identifier: Apache-2.0
 * See trained.h. Sizes are the tensors' shapes; what shapes do not tell (how wide a head is, the activation, how pixels are
 * prepared) open_clip 3.3 has under the model's name, and so does trained.def. Towers of timm and of transformers would
 * need their own configs: refused by name. */
#include "models/trained.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

enum { MAX_LAYERS = 1024, MAX_SIDE = 1 << 14, TEXT_HEAD_WIDTH = 64 };

typedef struct name_row {
    const char *name;
    uint32_t head_width;
    bool quick_gelu;
    uint32_t eos_id;
    const char *clean;
} name_row;
static const name_row names[] = {
#define ILKI_TRAINED(name, head_width, quick_gelu, eos_id, clean) {name, head_width, quick_gelu, eos_id, clean},
#define ILKI_TRAINED_FROM(name, tag, squash, half)
#include "models/trained.def"
#undef ILKI_TRAINED
#undef ILKI_TRAINED_FROM
};

typedef struct tag_row {
    const char *name, *tag;
    bool squash, half;
} tag_row;
static const tag_row tags[] = {
#define ILKI_TRAINED(name, head_width, quick_gelu, eos_id, clean)
#define ILKI_TRAINED_FROM(name, tag, squash, half) {name, tag, squash, half},
#include "models/trained.def"
#undef ILKI_TRAINED
#undef ILKI_TRAINED_FROM
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define CONFIG       "open_clip_config.json"

/* ------------------------------------------------------------------ tensors to sizes */

typedef struct sizes {
    uint64_t width, patch, grid, layers, ffn, embed; /* of the tower of pictures; embed of both */
    uint64_t text_width, context, vocab, text_layers, text_ffn;
    bool biased; /* the text's projection is a linear */
} sizes;

typedef struct finder {
    const ilki_weights *w;
    const char *where;
    char before[128], text[136]; /* what stands before the names of all, and of the text's */
    ilk_error *err;
    ilk_status status;
} finder;

static const ilki_tensor *find(const finder *f, const char *before, const char *name)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s", before, name);
    return ilki_format_find(f->w, full);
}

/* Of this rank and not empty, or an error: then a shape of zeros. */
static const uint64_t *shape_of(finder *f, const char *before, const char *name, uint32_t rank)
{
    static const uint64_t none[ILKI_MAX_RANK];
    const ilki_tensor *t = find(f, before, name);
    bool fits = t && t->rank == rank;
    for (uint32_t i = 0; fits && i < rank; i++)
        fits = t->shape[i] != 0;
    if (fits)
        return t->shape;
    if (f->status == ILK_OK)
        f->status = ilki_base_fail(f->err, ILK_UNSUPPORTED,
                                   "%s: tensor %s%s: expected one of %u dimensions, as open_clip's own ViT have it, "
                                   "found %s",
                                   f->where, before, name, rank, t ? "another" : "none of this name");
    return none;
}

static uint64_t count_layers(const finder *f, const char *before)
{
    char name[64];
    uint64_t n = 0;
    do
        snprintf(name, sizeof name, "transformer.resblocks.%" PRIu64 ".ln_1.weight", n);
    while (find(f, before, name) && ++n < MAX_LAYERS);
    return n;
}

/* "state_dict.module." and the like: what stands before the one tower of pictures. */
static void find_names(finder *f)
{
    static const char first[] = "visual.class_embedding", words[] = "token_embedding.weight";
    size_t n_found = 0, at = 0;
    for (size_t i = 0; i < ilki_format_count(f->w); i++) {
        const char *name = ilki_format_view(f->w, i)->name;
        size_t n = strlen(name), m = sizeof first - 1;
        if (n < m || strcmp(name + n - m, first) != 0 || (n > m && name[n - m - 1] != '.') || n - m >= sizeof f->before)
            continue;
        at = i;
        n_found++;
    }
    if (n_found == 1)
        snprintf(f->before, sizeof f->before, "%.*s",
                 (int)(strlen(ilki_format_view(f->w, at)->name) - (sizeof first - 1)),
                 ilki_format_view(f->w, at)->name);
    else
        f->status = ilki_base_fail(f->err, ILK_UNSUPPORTED,
                                   "%s: expected one tensor visual.class_embedding, as open_clip's own ViT have it, "
                                   "found %zu",
                                   f->where, n_found);
    snprintf(f->text, sizeof f->text, "%stext.", f->before);
    if (!find(f, f->text, words))
        memcpy(f->text, f->before, sizeof f->before);
}

static ilk_status read_sizes(sizes *s, const ilki_weights *w, const char *where, ilk_error *err)
{
    const ilki_tensor *any = ilki_format_view(w, 0);
    finder f = {.w = w, .where = any ? any->file : where, .err = err};
    char visual[144];
    find_names(&f);
    if (f.status != ILK_OK)
        return f.status;
    snprintf(visual, sizeof visual, "%svisual.", f.before);
    const uint64_t *conv = shape_of(&f, visual, "conv1.weight", 4),
                   *rows = shape_of(&f, visual, "positional_embedding", 2);
    *s = (sizes){.width = conv[0], .patch = conv[2], .layers = count_layers(&f, visual)};
    s->ffn = shape_of(&f, visual, "transformer.resblocks.0.mlp.c_fc.weight", 2)[0];
    s->embed = shape_of(&f, visual, "proj", 2)[1];
    while ((s->grid + 1) * (s->grid + 1) < rows[0] && s->grid < MAX_SIDE)
        s->grid++;
    s->text_width = shape_of(&f, f.text, "token_embedding.weight", 2)[1];
    s->vocab = shape_of(&f, f.text, "token_embedding.weight", 2)[0];
    s->context = shape_of(&f, f.text, "positional_embedding", 2)[0];
    s->text_layers = count_layers(&f, f.text);
    s->text_ffn = shape_of(&f, f.text, "transformer.resblocks.0.mlp.c_fc.weight", 2)[0];
    s->biased = find(&f, f.text, "text_projection.weight") != NULL;
    if (f.status == ILK_OK && (s->grid * s->grid + 1 != rows[0] || s->grid == 0))
        return ilki_base_fail(
            err, ILK_UNSUPPORTED,
            "%s: tensor %spositional_embedding: expected a row for each patch of a square and one more, "
            "found %" PRIu64,
            f.where, visual, rows[0]);
    return f.status;
}

/* ------------------------------------------------------------------ the config */

typedef struct about {
    const name_row *known;
    const ilki_trained *params;
    bool squash, half;
    uint64_t side;
} about;

static void put(ilki_jsonw *w, const char *key, uint64_t value)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_uint(w, value);
}

/* A little above the quotient, since what is read of it is cut to whole numbers. */
static void put_ratio(ilki_jsonw *w, uint64_t ffn, uint64_t width)
{
    ilki_base_jsonw_key(w, "mlp_ratio");
    ilki_base_jsonw_double(w, ffn % width == 0 ? (double)(ffn / width) : ((double)ffn + 0.5) / (double)width);
}

static void put_vision(ilki_jsonw *w, const sizes *s, const about *a)
{
    ilki_base_jsonw_key(w, "vision_cfg");
    ilki_base_jsonw_open(w, '{');
    put(w, "image_size", a->side);
    put(w, "layers", s->layers);
    put(w, "width", s->width);
    put(w, "head_width", a->known ? a->known->head_width : TEXT_HEAD_WIDTH);
    put(w, "patch_size", s->patch);
    put_ratio(w, s->ffn, s->width);
    ilki_base_jsonw_close(w, '}');
}

static void put_text(ilki_jsonw *w, const sizes *s, const about *a)
{
    ilki_base_jsonw_key(w, "text_cfg");
    ilki_base_jsonw_open(w, '{');
    put(w, "context_length", s->context);
    put(w, "vocab_size", s->vocab);
    put(w, "width", s->text_width);
    put(w, "heads", s->text_width / TEXT_HEAD_WIDTH ? s->text_width / TEXT_HEAD_WIDTH : 1);
    put(w, "layers", s->text_layers);
    put_ratio(w, s->text_ffn, s->text_width);
    if (s->biased) {
        ilki_base_jsonw_key(w, "proj_bias");
        ilki_base_jsonw_bool(w, true);
    }
    if (a->known && a->known->eos_id) {
        ilki_base_jsonw_key(w, "pool_type");
        ilki_base_jsonw_cstring(w, "eos");
        put(w, "eos_id", a->known->eos_id);
    }
    if (a->known && a->known->clean) {
        ilki_base_jsonw_key(w, "tokenizer_kwargs");
        ilki_base_jsonw_open(w, '{');
        ilki_base_jsonw_key(w, "clean");
        ilki_base_jsonw_cstring(w, a->known->clean);
        ilki_base_jsonw_close(w, '}');
    }
    ilki_base_jsonw_close(w, '}');
}

static void put_three(ilki_jsonw *w, const char *key, const double *three)
{
    ilki_base_jsonw_key(w, key);
    ilki_base_jsonw_open(w, '[');
    for (size_t i = 0; i < 3; i++)
        ilki_base_jsonw_double(w, three[i]);
    ilki_base_jsonw_close(w, ']');
}

/* What is not said is OpenAI's, as where open_clip_config.json does not say it. */
static void put_pixels(ilki_jsonw *w, const about *a)
{
    static const double half[3] = {0.5, 0.5, 0.5};
    const ilki_trained *p = a->params;
    ilki_base_jsonw_key(w, "preprocess_cfg");
    ilki_base_jsonw_open(w, '{');
    if (p->has_mean || a->half)
        put_three(w, "mean", p->has_mean ? p->mean : half);
    if (p->has_std || a->half)
        put_three(w, "std", p->has_std ? p->std : half);
    if (p->interpolation[0]) {
        ilki_base_jsonw_key(w, "interpolation");
        ilki_base_jsonw_cstring(w, p->interpolation);
    }
    ilki_base_jsonw_key(w, "resize_mode");
    ilki_base_jsonw_cstring(w, p->resize_mode[0] ? p->resize_mode : a->squash ? "squash" : "shortest");
    ilki_base_jsonw_close(w, '}');
}

static void put_config(ilki_jsonw *w, const sizes *s, const about *a)
{
    ilki_base_jsonw_open(w, '{');
    ilki_base_jsonw_key(w, "model_cfg");
    ilki_base_jsonw_open(w, '{');
    put(w, "embed_dim", s->embed);
    ilki_base_jsonw_key(w, "quick_gelu");
    ilki_base_jsonw_bool(w, a->known && (a->known->quick_gelu || a->params->quick_gelu));
    put_vision(w, s, a);
    put_text(w, s, a);
    ilki_base_jsonw_close(w, '}');
    if (a->params)
        put_pixels(w, a);
    ilki_base_jsonw_close(w, '}');
}

/* What a config would have to say, by an example of the right sizes. */
static ilk_status ask_for_config(const ilki_trained *params, const char *where, const char *sketch, ilk_error *err)
{
    if (params)
        return ilki_base_fail(
            err, ILK_UNSUPPORTED,
            "%s/" ILKI_TRAINED_PARAMS ": model: expected one of open_clip's own ViT, found \"%s\", whose "
            "head_width and quick_gelu are not known; a file " CONFIG " beside it would tell, like %s",
            where, params->model, sketch);
    return ilki_base_fail(err, ILK_NOT_FOUND,
                          "%s: tensors tell sizes, not head_width, quick_gelu and how pixels are prepared: expected "
                          "open_clip's " ILKI_TRAINED_PARAMS " in the folder or above it, or a file " CONFIG
                          " beside it, like %s, found neither",
                          where, sketch);
}

static ilk_status settle(about *a, const sizes *s, const char *where, ilk_error *err)
{
    const char *name = a->params ? a->params->model : "";
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i].name, name) == 0)
            a->known = &names[i];
    for (size_t i = 0; a->params && i < COUNT(tags); i++)
        if (strcmp(tags[i].name, name) == 0 && strcmp(tags[i].tag, a->params->pretrained) == 0) {
            a->squash = tags[i].squash;
            a->half = tags[i].half;
        }
    a->side = a->params && a->params->image_size ? a->params->image_size : s->grid * s->patch;
    if (a->side / s->patch != s->grid)
        return ilki_base_fail(err, ILK_MISMATCH,
                              "%s/" ILKI_TRAINED_PARAMS ": force_image_size: expected %" PRIu64 " patches of %" PRIu64
                              " in a row, the checkpoint's, found %" PRIu64,
                              where, s->grid, s->patch, a->side);
    return ILK_OK;
}

ilk_status ilki_models_config_of_trained(ilki_json **config, const ilki_trained *params, const ilki_weights *w,
                                         const char *where, ilk_error *err)
{
    sizes s;
    about a = {.params = params};
    ilki_buf text;
    ilki_jsonw json;
    *config = NULL;
    ilk_status st = read_sizes(&s, w, where, err);
    if (st == ILK_OK)
        st = settle(&a, &s, where, err);
    if (st != ILK_OK)
        return st;
    ilki_base_buf_init(&text, 4096);
    ilki_base_jsonw_init(&json, &text);
    put_config(&json, &s, &a);
    st = ilki_base_buf_check(&text, "a config", err);
    if (st == ILK_OK && !a.known)
        st = ask_for_config(params, params ? where : ilki_format_view(w, 0)->file, text.data, err);
    else if (st == ILK_OK)
        st = ilki_base_json_parse(config, text.data, text.len, ILKI_TRAINED_PARAMS, NULL, err);
    ilki_base_buf_deinit(&text);
    return st;
}
