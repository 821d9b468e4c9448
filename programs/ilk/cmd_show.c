/* SPDX-License-Identifier: Apache-2.0
 * ilk show: what a model is, by its own files. */
#include <string.h>

#include "cli/choose.h"
#include "commands.h"

static const cli_flag flags[] = {
    {"fingerprint", 0, CLI_SWITCH, NULL, "also the hash over every file that decides a vector (reads them all)", 0, 0},
    {"json", 0, CLI_SWITCH, NULL, "print one JSON document", 0, 0},
    {"no-mmap", 0, CLI_SWITCH, NULL, "read the weights instead of mapping them", 0, 0},
    {"max-tokens", 0, CLI_COUNT, "N", "as if texts were read up to N tokens", 2, 1 << 20},
    {0},
};

/* The row of ilk's own table about the model; NULL where there is none. An id may have a revision behind. */
static const ilk_known *known_row(const ilk_model_info *i, ilk_known *known)
{
    char id[256];
    size_t n = strcspn(i->id, "@");
    ilk_known_init(known);
    if (n >= sizeof id)
        return NULL;
    memcpy(id, i->id, n);
    id[n] = 0;
    return ilk_known_find(id, known, NULL) == ILK_OK && strcmp(known->id, id) == 0 ? known : NULL;
}

static void put_known(ilki_jsonw *w, const ilk_known *k)
{
    ilki_base_jsonw_key(w, "known");
    if (!k) {
        ilki_base_jsonw_null(w);
        return;
    }
    ilki_base_jsonw_open(w, '{');
    cli_json_string(w, "name", k->name);
    cli_json_string(w, "kind", k->kind);
    cli_json_string(w, "licence", k->licence);
    cli_json_string(w, "languages", k->languages);
    cli_json_string(w, "source", k->source);
    ilki_base_jsonw_close(w, '}');
}

static void put_pictures(ilki_jsonw *w, const ilk_model_info *i)
{
    ilki_base_jsonw_key(w, "image");
    if (!i->image_size) {
        ilki_base_jsonw_null(w);
        return;
    }
    ilki_base_jsonw_open(w, '{');
    cli_json_uint(w, "size", i->image_size);
    cli_json_uint(w, "patch", i->patch_size);
    cli_json_uint(w, "layers", i->image_layers);
    cli_json_string(w, "pooling", i->image_pooling);
    cli_json_string(w, "processing", i->image_processing);
    ilki_base_jsonw_close(w, '}');
}

static void put_comparison(ilki_jsonw *w, const ilk_model_info *i)
{
    ilki_base_jsonw_key(w, "compare");
    if (!i->compare_by) {
        ilki_base_jsonw_null(w);
        return;
    }
    ilki_base_jsonw_open(w, '{');
    cli_json_string(w, "by", i->compare_by);
    ilki_base_jsonw_key(w, "scale");
    ilki_base_jsonw_float(w, i->compare_scale);
    ilki_base_jsonw_key(w, "bias");
    ilki_base_jsonw_float(w, i->compare_bias);
    ilki_base_jsonw_close(w, '}');
}

static void put_modalities(ilki_jsonw *w, uint32_t bits)
{
    ilki_base_jsonw_key(w, "modalities");
    ilki_base_jsonw_open(w, '[');
    if (bits & 1u << ILK_TEXT)
        ilki_base_jsonw_cstring(w, "text");
    if (bits & 1u << ILK_IMAGE)
        ilki_base_jsonw_cstring(w, "image");
    ilki_base_jsonw_close(w, ']');
}

/* What was measured of its precisions on this machine. */
static void put_calibration(ilki_jsonw *w, ilk_model *m)
{
    ilk_calibration k;
    const char *name;
    ilk_calibration_init(&k);
    ilki_base_jsonw_key(w, "auto");
    if (ilk_model_get_calibration(m, &k, NULL) != ILK_OK) {
        ilki_base_jsonw_null(w);
        return;
    }
    ilki_base_jsonw_open(w, '{');
    cli_json_string(w, "chosen", ilk_precision_name(k.chosen));
    cli_json_string(w, "why", k.why);
    if (k.attention[k.chosen] != ILK_ATTENTION_AUTO)
        cli_json_string(w, "attention", ilk_attention_name(k.attention[k.chosen]));
    cli_json_uint(w, "texts", k.n_texts);
    ilki_base_jsonw_key(w, "precisions");
    ilki_base_jsonw_open(w, '{');
    for (int p = 1; (name = ilk_precision_name((ilk_precision)p)); p++) {
        const char *const keys[] = {"tokens_per_second", "cosine_mean", "cosine_least", "nearest_kept"};
        const double values[] = {k.tokens_per_second[p], k.cosine_mean[p], k.cosine_least[p], k.nearest_kept[p]};
        if (!(k.tokens_per_second[p] > 0))
            continue;
        ilki_base_jsonw_key(w, name);
        ilki_base_jsonw_open(w, '{');
        for (size_t i = 0; i < 4; i++) {
            ilki_base_jsonw_key(w, keys[i]);
            ilki_base_jsonw_double(w, values[i]);
        }
        if (k.attention[p] != ILK_ATTENTION_AUTO)
            cli_json_string(w, "attention", ilk_attention_name(k.attention[p]));
        ilki_base_jsonw_close(w, '}');
    }
    ilki_base_jsonw_close(w, '}');
    ilki_base_jsonw_close(w, '}');
}

static void put_measured(cli *c, ilk_model *m)
{
    ilk_calibration k;
    const char *name;
    ilk_calibration_init(&k);
    if (ilk_model_get_calibration(m, &k, NULL) != ILK_OK) {
        cli_field(c, "auto", "not decided on this machine; ilk verify or the first ilk index decides");
        return;
    }
    cli_field(c, "auto", "%s: %s", ilk_precision_name(k.chosen), k.why);
    for (int p = 1; (name = ilk_precision_name((ilk_precision)p)); p++)
        if (k.tokens_per_second[p] > 0)
            cli_field(
                c, name, "%.0f tokens/s, cosine to f32 %.5f on average, %.5f at worst, %.1f %% of the ten nearest%s%s",
                k.tokens_per_second[p], k.cosine_mean[p], k.cosine_least[p], 100 * k.nearest_kept[p],
                k.attention[p] ? ", attention in " : "", k.attention[p] ? ilk_attention_name(k.attention[p]) : "");
}

static void put_json(cli *c, ilk_model *m, const ilk_model_info *i, const char *fingerprint)
{
    ilki_buf b;
    ilki_jsonw w;
    const char *name, *text;
    ilki_base_buf_init(&b, 1 << 24);
    ilki_base_jsonw_init(&w, &b);
    ilki_base_jsonw_open(&w, '{');
    cli_json_string(&w, "id", i->id);
    cli_json_string(&w, "path", i->path);
    cli_json_string(&w, "family", i->family);
    cli_json_uint(&w, "dim", i->dim);
    put_modalities(&w, i->modalities);
    cli_json_uint(&w, "max_tokens", i->max_tokens);
    cli_json_string(&w, "pooling", i->pooling);
    ilki_base_jsonw_key(&w, "normalized");
    ilki_base_jsonw_bool(&w, i->normalized != 0);
    cli_json_string(&w, "similarity", i->similarity);
    cli_json_string(&w, "projection", i->projection);
    cli_json_uint(&w, "layers", i->n_layers);
    cli_json_uint(&w, "parameters", i->n_parameters);
    cli_json_uint(&w, "vocabulary", i->vocab_size);
    cli_json_uint(&w, "weights_bytes", i->weights_bytes);
    put_pictures(&w, i);
    put_comparison(&w, i);
    cli_json_string(&w, "precision", ilk_precision_name(i->precision));
    cli_json_string(&w, "attention", ilk_attention_name(i->attention));
    cli_json_string(&w, "packed_file", i->packed_file);
    cli_json_uint(&w, "packed_bytes", i->packed_bytes);
    put_calibration(&w, m);
    cli_json_string(&w, "prompt_query", i->prompt_query);
    cli_json_string(&w, "prompt_document", i->prompt_document);
    ilki_base_jsonw_key(&w, "prompts");
    ilki_base_jsonw_open(&w, '{');
    for (size_t k = 0; ilk_model_get_prompt(m, k, &name, &text, NULL) == ILK_OK; k++)
        cli_json_string(&w, name, text);
    ilki_base_jsonw_close(&w, '}');
    cli_json_string(&w, "notes", i->notes);
    ilk_known known;
    put_known(&w, known_row(i, &known));
    if (fingerprint)
        cli_json_string(&w, "fingerprint", fingerprint);
    ilki_base_jsonw_close(&w, '}');
    cli_put_json(c, &b);
}

static void put_fields(cli *c, ilk_model *m, const ilk_model_info *i, const char *fingerprint)
{
    const char *name, *text;
    cli_field(c, "model", "%s", i->id);
    if (strcmp(i->id, i->path) != 0)
        cli_field(c, "path", "%s", i->path);
    cli_field(c, "family", "%s", i->family);
    cli_field(c, "dimension", "%u", i->dim);
    bool texts = (i->modalities & 1u << ILK_TEXT) != 0;
    if (texts)
        cli_field(c, "max tokens", "%u", i->max_tokens);
    cli_field(c, "pooling", "%s%s", i->pooling, i->normalized ? ", unit length" : "");
    cli_field(c, "similarity", "%s", i->similarity);
    if (i->projection)
        cli_field(c, "projection", "%s", i->projection);
    cli_field(c, "layers", "%u", i->n_layers);
    if (i->image_size) {
        cli_field(c, "pictures", "%u x %u in patches of %u, %u layers, pooling %s", i->image_size, i->image_size,
                  i->patch_size, i->image_layers, i->image_pooling);
        cli_field(c, "processing", "%s", i->image_processing);
    }
    if (i->compare_by)
        cli_field(c, "probability", "%s of %.9g * cosine + %.9g", i->compare_by, (double)i->compare_scale,
                  (double)i->compare_bias);
    cli_field(c, "parameters", "%.1f million", (double)i->n_parameters * 1e-6);
    if (texts)
        cli_field(c, "vocabulary", "%u", i->vocab_size);
    cli_field(c, "weights", "%.1f MB", (double)i->weights_bytes * 1e-6);
    cli_field(c, "precision", "%s", i->precision_name);
    if (i->precision != ILK_PRECISION_F32)
        cli_field(c, "attention", "%s", ilk_attention_name(i->attention));
    if (i->packed_file)
        cli_field(c, "packed", "%.1f MB mapped from %s", (double)i->packed_bytes * 1e-6, i->packed_file);
    if (!i->score_kind)
        put_measured(c, m);
    for (size_t k = 0; ilk_model_get_prompt(m, k, &name, &text, NULL) == ILK_OK; k++)
        cli_field(c, "prompt", "%s: \"%s\"", name, text);
    for (const char *s = i->notes; s && *s;) {
        size_t n = strcspn(s, "\n");
        cli_field(c, "note", "%.*s", (int)n, s);
        s += n + (s[n] == '\n');
    }
    ilk_known room;
    const ilk_known *k = known_row(i, &room);
    if (k)
        cli_field(c, "known as", "%s: %s, licence %s (%s)", k->name, k->languages, k->licence, k->source);
    if (fingerprint)
        cli_field(c, "fingerprint", "%s", fingerprint);
}

static int run(cli *c)
{
    ilk_model *m = NULL;
    ilk_model_info info;
    const char *fingerprint = NULL;
    cli_config_read_user(c);
    if (!(c->n_operands ? cli_open_model(c, c->operands[0], &m) : cli_choose_model(c, NULL, &m)))
        return CLI_FAILED;
    ilk_model_info_init(&info);
    ilk_status st = ilk_model_get_info(m, &info, &c->err);
    if (st == ILK_OK && cli_on(c, "fingerprint"))
        st = ilk_model_get_fingerprint(m, c->job, &fingerprint, &c->err);
    if (st == ILK_OK && cli_on(c, "json"))
        put_json(c, m, &info, fingerprint);
    else if (st == ILK_OK)
        put_fields(c, m, &info, fingerprint);
    ilk_model_close(m);
    return st == ILK_OK ? CLI_FOUND : cli_fail_err(c);
}

const cli_command cli_cmd_show = {
    "show",
    "what a model is: dimension, pooling, prompts, limits",
    "[MODEL]",
    CLI_MODEL,
    0,
    1,
    "ilk show ORG/NAME\tby its own files\n"
    "ilk show --fingerprint --json DIR\tfor a program, with the hash of what decides a vector\n",
    "Speed and cosine of every precision are shown where they were measured on this machine: by ilk pull, ilk verify or the "
    "first ilk index, which so decide what --precision auto is. They are kept in $XDG_CACHE_HOME/ilk/auto.",
    (const cli_flag *const[]){flags, NULL},
    run,
};
